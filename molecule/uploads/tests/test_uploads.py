"""What a visitor gets after the role uploads alone, on plain http."""

from __future__ import annotations

from typing import Any

import pytest

from tests.testbed.hosts import Host

testinfra_hosts = ["ansible://uploads"]

PUBLIC = "/var/www/chamilo/public"


@pytest.fixture
def dropped(portal: Host) -> str:
    """A folder that the web user made, with a program under several names."""
    names = "a.php a.PHP a.phtml a.pht a.phar a.php5 a.php.jpg"
    portal.run(
        f"mkdir -p {PUBLIC}/files && cd {PUBLIC}/files && for n in {names}; do echo '<?php echo 6*7;' >$n; done",
        "www-data",
    )
    return "/files"


@pytest.mark.parametrize("name", ["a.php", "a.PHP", "a.phtml", "a.pht", "a.phar", "a.php5", "a.php.jpg", "a.php/b"])
def test_what_was_uploaded_does_not_run(portal: Host, dropped: str, name: str) -> None:
    answer = portal.http(f"{dropped}/{name}")
    assert (answer.status, b"42" in answer.body) == (403, False)


@pytest.mark.parametrize("path", ["/", "/main/auth/lostPassword.php", "/plugin/BuyCourses/index.php", "/build/app.css"])
def test_chamilo_goes_on(portal: Host, path: str) -> None:
    assert portal.http(path).status == 200


def test_php_takes_no_larger_files_than_before(portal: Host) -> None:
    probe = f"{PUBLIC}/main/size.php"
    portal.put(
        probe, "<?php echo ini_get('upload_max_filesize'), ' ', ini_get('post_max_size');", owner="www-data:www-data"
    )
    answer = portal.http("/main/size.php")
    portal.run(["rm", probe])
    assert answer.body == b"2M 8M"


def test_the_shop_beside_it_is_left_alone(portal: Host) -> None:
    assert portal.http("http://shop.test/").status == 200


def test_the_server_still_accepts_its_configuration(host: Any) -> None:
    variables = host.ansible.get_variables()
    command = {"nginx": "nginx -t", "apache": "apache2ctl configtest"}[variables["testbed_web"]]
    assert host.run(command).rc == 0
