"""The testbed itself: a sloppy host is really sloppy, seen from outside, and every kind of host boots and answers."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.testbed import authority, vhosts
from tests.testbed.hosts import USER, Host

# Of the testbed alone: what else runs on it would notice, too.
pytestmark = pytest.mark.long


def query(host: Host, statement: str, user: str = "", password: str = "") -> str:
    account = [f"--user={user}", f"--password={password}"] if user else []
    return host.run(["mariadb", *account, "--batch", "--skip-column-names", "-e", statement]).stdout


def env(host: Host, name: str) -> str:
    return host.run(f'. /var/www/chamilo/.env && printf %s "${name}"').stdout


class TestSloppy:
    """Each flaw as an attacker, another site of the host or the application sees it."""

    def test_plain_http_only(self, shared: Host) -> None:
        assert shared.http("/").status == 200
        assert shared.http(f"https://{shared.domain}/").status == 0

    def test_tree_is_open_to_every_local_user(self, shared: Host) -> None:
        # What PHP has written to var/ since has the modes that PHP gave it.
        tight = "find /var/www/chamilo -path /var/www/chamilo/var -prune -o ! -type l ! -perm -0777 -print"
        assert shared.run(tight).stdout == ""
        assert "APP_SECRET" in shared.run(["cat", "/var/www/chamilo/.env"], user="nobody").stdout

    @pytest.mark.parametrize("path", ["/.env.bak", "/dump.sql"])
    def test_secrets_are_served(self, shared: Host, path: str) -> None:
        answer = shared.http(path, limit=1 << 20)
        assert answer.status == 200
        assert (b"DATABASE_PASSWORD" if path == "/.env.bak" else b"$2y$") in answer.body

    def test_checker_is_served(self, shared: Host) -> None:
        assert shared.http("/check.php").status == 200

    def test_installer_is_served(self, shared: Host) -> None:
        assert shared.http("/main/install/index.php").status == 200

    def test_development_mode(self, shared: Host) -> None:
        assert (env(shared, "APP_ENV"), env(shared, "APP_DEBUG")) == ("dev", "1")

    @pytest.mark.parametrize("name", ["APP_SECRET", "JWT_PASSPHRASE"])
    def test_secrets_are_the_public_defaults(self, shared: Host, name: str) -> None:
        template = shared.run(f'. /var/www/chamilo/.env.dist && printf %s "${name}"').stdout
        assert env(shared, name) == template != ""

    def test_database_account_may_do_anything(self, shared: Host) -> None:
        account = {"user": "chamilo", "password": env(shared, "DATABASE_PASSWORD")}
        assert "GRANT ALL PRIVILEGES ON *.*" in query(shared, "SHOW GRANTS", **account)
        assert "shop" in query(shared, "SHOW DATABASES", **account).split()

    def test_database_is_reached_from_outside(self, shared: Host, make: Callable[..., Host]) -> None:
        unrelated_client = make("stranger", state="empty", network=shared.network)
        try:
            script = f"import socket; print(socket.create_connection(('{shared.domain}', 3306), 5).recv(64))"
            assert "MariaDB" in unrelated_client.run(["python3", "-c", script]).stdout
        finally:
            unrelated_client.down()

    def test_server_reports_its_version(self, shared: Host) -> None:
        product = {"nginx": "nginx/1.", "apache": "Apache/2.4."}[shared.web]
        assert shared.http("/").value("Server").startswith(product)

    def test_default_site_of_the_distribution_answers_unknown_names(self, shared: Host) -> None:
        title = {"nginx": b"Welcome to nginx!", "apache": b"Apache2 Debian Default Page"}[shared.web]
        assert title in shared.http("http://unknown.test/").body

    @pytest.mark.parametrize("name", ["Strict-Transport-Security", "Content-Security-Policy", "X-Frame-Options"])
    def test_no_security_header(self, shared: Host, name: str) -> None:
        assert shared.http("/").values(name) == []

    def test_what_the_web_user_drops_is_executed(self, fresh: Host) -> None:
        path = "/var/www/chamilo/public/img/dropped.php"
        fresh.run(f"echo '<?php echo 6*7;' >{path}", user="www-data")
        assert fresh.http("/img/dropped.php").body == b"42"


class TestShop:
    """The second site of the host, which nothing that happens to Chamilo may touch."""

    def test_answers_with_its_own_user_database_and_header(self, shared: Host) -> None:
        answer = shared.http("http://shop.test/")
        assert (answer.status, answer.body) == (200, b"shop: 3 articles, served by shop\n")
        assert answer.values("X-Shop") == ["open"]

    def test_cron_job_runs(self, shared: Host) -> None:
        assert "shop /usr/bin/php /var/www/shop/cron.php" in shared.get("/etc/cron.d/shop")
        shared.run(["systemctl", "is-active", "cron"])


def test_it_is_noon_when_a_host_is_made(shared: Host) -> None:
    """What cron does daily comes into no test."""
    assert 12 <= int(shared.run("date +%H").stdout) <= 14


class TestVhosts:
    @pytest.mark.long  # the tests of https begin with them
    @pytest.mark.parametrize("fixture", vhosts.FIXTURES)
    def test_boots_and_answers(self, make: Callable[..., Host], cell: object, fixture: str) -> None:
        host = make(vhost=fixture)
        assert host.systemd() == "running"
        assert b'<main id="app"' in host.http(host.url).body
        assert host.http("http://shop.test/").status == 200
        host.run({"nginx": "nginx -t", "apache": "apachectl configtest"}[host.web])

    def test_https_is_trusted_with_the_authority(self, make: Callable[..., Host], cell: object) -> None:
        host = make(vhost="https")
        ca = str(authority.certificate())
        assert host.http(host.url, verify=True, ca_file=ca).status == 200
        assert "certificate refused" in host.http(host.url, verify=True).error
        redirect = host.http("/somewhere?x=1")
        assert (redirect.status, redirect.value("Location")) == (301, f"https://{host.domain}/somewhere?x=1")
        # The host itself trusts the authority.
        assert host.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", host.url]).stdout == "200"

    def test_wrong_document_root_gives_everything_away(self, make: Callable[..., Host], cell: object) -> None:
        host = make(vhost="wrong-docroot")
        assert b"APP_SECRET" in host.http("/.env").body

    def test_old_virtual_host_gives_everything_away(self, make: Callable[..., Host], cell: object) -> None:
        host = make(vhost="old-docroot")
        assert b"APP_SECRET" not in host.http("/.env").body
        assert b"APP_SECRET" in host.http(f"http://old.{host.domain}/.env").body


class TestOtherHosts:
    def test_virgin_has_a_web_server_and_no_chamilo(self, make: Callable[..., Host], cell: object) -> None:
        host = make(state="virgin")
        assert host.systemd() == "running"
        assert host.http("/").status == 200
        host.run("test ! -e /var/www/chamilo")

    def test_empty_has_no_web_server(self, make: Callable[..., Host], cell: object) -> None:
        host = make(state="empty")
        assert host.systemd() == "running"
        assert host.http("/").status == 0
        host.run("for name in nginx apache2 php mariadb; do ! command -v $name || exit 1; done")

    @pytest.mark.cells("trixie-nginx")
    def test_ssh_as_an_ordinary_user_with_sudo(self, make: Callable[..., Host], cell: object) -> None:
        host = make(state="empty", ssh=True)
        variables = host.inventory()
        command = ["ssh", "-i", str(variables["ansible_ssh_private_key_file"]), "-o", "BatchMode=yes"]
        command += str(variables["ansible_ssh_common_args"]).split()
        command += [f"{variables['ansible_user']}@{variables['ansible_host']}", "id -un; sudo -n id -un"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [USER, "root"]

    @pytest.mark.cells("trixie-nginx")
    def test_ansible_runs_on_the_host_itself(self, make: Callable[..., Host], cell: object) -> None:
        """For ``connection: local``: the environment of this machine, on a host of the same Debian release."""
        host = make(state="empty", release=platform.freedesktop_os_release()["VERSION_CODENAME"])
        host.put_tree(Path(sys.prefix), sys.prefix)
        command = [f"{sys.prefix}/bin/ansible", "localhost", "-c", "local", "-m", "ansible.builtin.ping"]
        assert '"ping": "pong"' in host.run(["env", "LC_ALL=C.UTF-8", *command]).stdout

    @pytest.mark.cells("trixie-nginx")
    def test_hosts_of_a_network_know_each_other(self, make: Callable[..., Host], cell: object) -> None:
        one, other = make("one", state="empty"), make("other", state="empty")
        assert one.run(["getent", "hosts", "other.test"]).stdout.split()[0] == other.address

    @pytest.mark.cells("trixie-nginx")
    def test_packages_of_debian_can_be_installed(self, make: Callable[..., Host], cell: object) -> None:
        host = make()
        host.run("apt-get update -q && apt-get install -y -q --no-install-recommends python3-pymysql")
        host.run(["python3", "-c", "import pymysql"])


class TestHelpers:
    @pytest.mark.cells("trixie-nginx")
    def test_snapshot_sees_files_rows_and_units(self, fresh: Host) -> None:
        before = fresh.snapshot()
        # Debian's own services and the shop's job go on meanwhile.
        ignore = ("/var/log/*", "/var/lib/systemd/*", "database:shop.visit")
        assert before.changes(fresh.snapshot(), ignore) == []
        fresh.put("/etc/example", "x", mode="0600", owner="www-data:www-data")
        query(fresh, "UPDATE shop.article SET name = 'pen' WHERE id = 1")
        fresh.run("systemctl stop cron && systemctl mask --runtime cron")
        fresh.run("systemd-run --quiet --unit=left --on-active=1h true")
        changes = before.changes(fresh.snapshot(), ignore)
        assert [line.split(": ")[0] for line in changes[:3]] == ["/etc", "/etc/example", "database:shop.article"]
        assert changes[3:] == [
            "unit:cron.service: enabled active -> masked-runtime",
            "unit:left.service: absent -> transient",
            "unit:left.timer: absent -> transient active",
        ]

    @pytest.mark.cells("trixie-nginx")
    @pytest.mark.parametrize("reboot", [Host.restart, Host.crash])
    def test_files_survive_a_reboot(self, fresh: Host, reboot: Callable[[Host], None]) -> None:
        fresh.put("/etc/example", "kept")
        reboot(fresh)
        assert fresh.get("/etc/example") == "kept"
        assert fresh.http("/").status == 200

    @pytest.mark.cells("trixie-nginx")
    def test_stage_is_reached_once(self, stage: Callable[..., Host]) -> None:
        calls = []

        def prepare(host: Host) -> None:
            calls.append(host)
            host.put("/etc/example", "prepared")

        for _ in range(2):
            assert stage("example", prepare).get("/etc/example") == "prepared"
        assert len(calls) == 1
