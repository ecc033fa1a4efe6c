# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import php_files
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Php, Site, WebServer
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine

MEMO = php_files.Memo("campus.test", "/srv/campus", "nginx", "www-data", "www-data", "unix:/a", "www", "/gone", "line")


def test_a_job_of_cron_that_others_could_have_written_is_left_alone(tmp_path, monkeypatch):
    """cron itself runs none that others may write."""
    cron = tmp_path / "cron.d"
    cron.mkdir()
    monkeypatch.setattr(php_files, "_CRON", f"{cron}/*")
    engine = Engine(str(tmp_path / "state"), Machine(lambda argv, seconds: (0, ""), systemd=True))
    made = php_files.PoolFiles("campus", Site("campus.test", "/srv/campus"), engine, ())
    for name, mode in (("right", 0o644), ("private", 0o600), ("group", 0o664), ("others", 0o646)):
        (cron / name).write_text("* * * * * www-data php /srv/campus/bin/console x\n")
        (cron / name).chmod(mode)
    (cron / "elsewhere").write_text("* * * * * www-data php /srv/shop/x\n")
    (cron / "link").symlink_to("right")
    (cron / "directory").mkdir()
    found = made._cron("www-data", "campus")
    assert {one["path"].rpartition("/")[2]: one["content"] for one in found} == dict.fromkeys(
        ("right", "private"), "* * * * * campus php /srv/campus/bin/console x\n"
    )


def test_two_portals_share_the_group_of_the_web_server(tmp_path, monkeypatch):
    """The last one that gives its user back takes it away."""
    (tmp_path / "nginx.conf").write_text("user www-data;\n")
    monkeypatch.setattr(php_files, "_NGINX", str(tmp_path / "nginx.conf"))
    monkeypatch.setattr(php_files, "_MEMO", f"{tmp_path}/php_user-{{site}}.json")
    monkeypatch.setattr(php_files, "_CRON", f"{tmp_path}/none/*")
    engine = Engine(str(tmp_path / "state"), Machine(lambda argv, seconds: (0, ""), systemd=True))
    site = Site("campus.test", "/srv/campus", web=WebServer("nginx", service="nginx"), php=Php("8.4", "fpm"))
    made = php_files.PoolFiles("campus", site, engine, ())
    desired = {one["path"]: one for one in made.desired(MEMO, made.own)["files"]}
    changed = desired[str(tmp_path / "nginx.conf")]["content"]
    assert "user www-data chamilo-web;" in changed
    (tmp_path / "nginx.conf").write_text(changed)
    (tmp_path / "php_user-library.json").write_text("{}")
    assert made.others() and made.restored(MEMO)["files"][0]["content"] == changed
    (tmp_path / "php_user-library.json").unlink()
    (tmp_path / "php_user-campus.json").write_text("{}")
    assert not made.others() and made.restored(MEMO)["files"][0]["content"] == "user www-data;\n"


def test_what_the_pool_reports_is_secret(tmp_path, monkeypatch):
    monkeypatch.setattr(php_files, "_CRON", f"{tmp_path}/none/*")
    engine = Engine(str(tmp_path / "state"), Machine(lambda argv, seconds: (0, ""), systemd=True))
    site = Site("campus.test", "/srv/campus", web=WebServer("apache", service="apache2"), php=Php("8.4", "fpm"))
    made = php_files.PoolFiles("campus", site, engine, ({"url": "http://campus.test/"},))
    asked = made.desired(MEMO, made.own)
    assert asked["files"][0]["mode"] == "0600" and "content" not in asked["files"][0]
    assert "\nlisten = /run/chamilo-campus.sock\n" in asked["files"][0]["secret_content"]
    assert asked["probe"] == [{"url": "http://campus.test/", "status": [200, 301, 302, 303]}]
