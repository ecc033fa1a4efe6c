"""The audit on real hosts: red for the right reason, without a trace, without root, and on an empty host."""

from __future__ import annotations

import json
from collections.abc import Callable
from fnmatch import fnmatch
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks.headers import HEADERS
from tests.demo import PROMISED, ROLES, apart
from tests.hosts.conftest import Cell
from tests.hosts.hardening import Playbook
from tests.testbed import images
from tests.testbed.hosts import Host

# What a visit leaves behind, the audit's too, and nothing else.
LOGS = ("/var/log/nginx/*.log", "/var/log/apache2/*.log", "/var/www/chamilo/var/log/*.log", "/var/log/journal/*")
VISITED = (
    "/var/lib/php/sessions",
    "/var/lib/php/sessions/sess_*",
    # In development mode the application itself keeps a file on every visit.
    "/var/www/chamilo/var/cache/dev/profiler*",
)
ANSIBLE = ("/root/.ansible*",)
# What went off by the clock meanwhile: timers, and the cron job of the unrelated site.
CLOCK = ("/var/lib/systemd/timers*", "database:shop.visit")

# Control -> what its evidence must contain on a sloppy host.
RED = {
    "updates_installer": "/main/install/version.php (200)",
    "updates_os": "unattended-upgrades is not installed",
    "updates_watch": "No check for a newer release by the role updates",
    "https_certificate": "Nothing on this host serves https",
    "https_redirect": "answers 200 instead of 301",
    "https_hsts": "Nothing on this host serves https",
    "https_protocols": "Nothing on this host serves https",
    "https_renewal": "nothing is renewed",
    "https_trusted_proxies": "trusts X-Forwarded-* headers from 0.0.0.0/0",
    "permissions_code": "can be changed by www-data",
    "permissions_var": "rights for every account of this host",
    "permissions_env": ".env (www-data:www-data 0777) allows more than 640",
    "permissions_config": "config (www-data:www-data 0777) allows more than 750",
    "permissions_no_777": "can be changed by every account of this host",
    "permissions_docroot": "/.env.bak gives away public/.env.bak",
    "permissions_production": "APP_ENV is dev",
    "permissions_secrets": "APP_SECRET has a publicly known value",
    "sessions_cookie_secure": "plain http",
    **dict.fromkeys(HEADERS.values(), "not sent"),
    "headers_nosniff": "(200 file): not sent",
    "headers_csp": "neither Content-Security-Policy nor",
    "headers_once": "Not exactly once",
    "headers_versions": "Server: ",
    "uploads_extensions": "Nothing is blocked",
    "uploads_no_exec": "PHP would run where the web user can write",
    "uploads_no_override": "PHP obeys .user.ini",
}
# True on Debian from the first day.
GREEN = {
    "permissions_web_user": "as www-data",
    "sessions_cookie_httponly": "HttpOnly",
    "sessions_cookie_samesite": "lax",
}


def audit(playbook: Playbook, host: Host, **variables: Any) -> dict[str, dict[str, Any]]:
    """The controls of one host, by their names, out of the report."""
    played = playbook.run("audit", host, **variables)
    assert played.changed == {host.domain: 0}
    report = json.loads((playbook.directory / "report/report.json").read_text())
    (entry,) = report["hosts"]
    return {control["id"]: control for control in entry["controls"]}


@pytest.fixture(scope="module")
def seen(shared: Host, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return audit(Playbook(tmp_path_factory.mktemp("audit")), shared)


@pytest.mark.wire
class TestSloppy:
    @pytest.mark.parametrize("control", RED)
    def test_red_for_the_right_reason(self, seen: dict[str, dict[str, Any]], control: str) -> None:
        assert seen[control]["status"] == "fail", seen[control]
        assert RED[control] in seen[control]["evidence"]

    @pytest.mark.parametrize("control", GREEN)
    def test_what_debian_does_by_itself_is_green(self, seen: dict[str, dict[str, Any]], control: str) -> None:
        assert seen[control]["status"] == "pass", seen[control]
        assert GREEN[control] in seen[control]["evidence"]

    def test_no_check_broke_off(self, seen: dict[str, dict[str, Any]]) -> None:
        broken = {name: control["evidence"] for name, control in seen.items() if "Error: " in control["evidence"]}
        assert broken == {}

    def test_no_secret_is_reported(self, shared: Host, seen: dict[str, dict[str, Any]]) -> None:
        environment = dict(
            line.split("=", 1) for line in shared.get("/var/www/chamilo/.env").splitlines() if "=" in line
        )
        reported = json.dumps(seen)
        for name in ("APP_SECRET", "DATABASE_PASSWORD", "JWT_PASSPHRASE"):
            assert environment[name].strip("'\"") not in reported

    def test_every_class_of_answer_was_seen(self, seen: dict[str, dict[str, Any]]) -> None:
        for control in ("headers_nosniff", "headers_once"):
            assert "Not seen" not in seen[control]["evidence"]

    def test_the_virtual_host_is_named(self, cell: Cell, seen: dict[str, dict[str, Any]]) -> None:
        assert f"/etc/{'nginx' if cell.web == 'nginx' else 'apache2'}/sites-" in seen["permissions_docroot"]["evidence"]


def grown(host: Host, before: str, path: str) -> bool:
    """Whether a file still begins with what was in it: the line of a snapshot ends with size and digest."""
    size, digest = before.split()[-2:]
    return host.run(f"head -c {size} '{path}' | sha256sum").stdout.split()[0] == digest


@pytest.mark.wire
def test_nothing_is_changed(fresh: Host, playbook: Playbook) -> None:
    audit(playbook, fresh)  # as after any first visit, PHP and the application have their caches
    before = fresh.snapshot()
    audit(playbook, fresh)
    after = fresh.snapshot()
    assert before.changes(after, (*LOGS, *VISITED, *ANSIBLE, *CLOCK)) == []
    written = [path for path, line in after.entries.items() if line != before.entries.get(path)]
    logs = [path for path in written if any(fnmatch(path, pattern) for pattern in LOGS) and "journal" not in path]
    assert [path for path in logs if path in before.entries and not grown(fresh, before.entries[path], path)] == []
    # No login was tried, by none of the three ways.
    asked = fresh.run("cat /var/log/nginx/access.log /var/log/apache2/*access.log", check=False).stdout
    assert "chamilo-hardening" in asked
    assert not any(way in asked for way in ("/login_json", "/login/ldap", "/api/authentication_token"))


@pytest.mark.long
def test_without_root(shared: Host, playbook: Playbook) -> None:
    shared.run("install -d -o 65534 -g 65534 -m 0700 /tmp/audit-of-another && chmod 0700 /var/www/chamilo/var/log")
    unprivileged = {"ansible_user": "nobody", "ansible_become": False, "ansible_remote_tmp": "/tmp/audit-of-another"}
    found = audit(playbook, shared, **unprivileged)
    assert {name: control["evidence"] for name, control in found.items() if "Error: " in control["evidence"]} == {}
    # What every account can see fails as before.
    for control in ("permissions_code", "headers_nosniff", "updates_installer", "permissions_production"):
        assert found[control]["status"] == "fail", found[control]
    for control in ("permissions_links", "sessions_lifetime"):
        assert found[control]["status"] == "not_assessed", found[control]


@pytest.mark.long
def test_an_empty_host(make: Callable[..., Host], playbook: Playbook, cell: Cell) -> None:
    host = make("empty", image=images.base(cell.release), state="virgin")
    found = audit(playbook, host)
    passed = {name: control["evidence"] for name, control in found.items() if control["status"] == "pass"}
    assert passed == {}
    assert {name: control["evidence"] for name, control in found.items() if "Error: " in control["evidence"]} == {}
    for control in ("permissions_code", "permissions_docroot", "updates_version"):
        assert found[control]["status"] == "not_assessed"
        assert "No Chamilo found under the usual places; set chamilo_root." in found[control]["evidence"]


# What a host that is thrown away cannot have: a place elsewhere for its copies, and a recipient of alerts.
NO_RECIPIENT = "There is no recipient of alerts: set chamilo_alert_mail or chamilo_alert_webhook."
APART = {
    "updates_watch": "no recipient is named",
    "backups_offsite": "There is no off-site repository: set chamilo_backups_offsite_repository.",
    **{f"monitoring_{name}": NO_RECIPIENT for name in ("accounts", "app_log", "auth", "delivery", "resources")},
}


@pytest.mark.wire
def test_a_hardened_host_is_green_wherever_a_role_makes_it_so(hardened: Host, playbook: Playbook) -> None:
    # What the web user left before is for a person to read, and the program was compared with no package.
    assert "no package is known" in audit(playbook, hardened)["monitoring_integrity"]["evidence"]
    hardened.run(["chamilo-hardening", "integrity", "accept"])
    found = audit(playbook, hardened)
    # Given files are renewed by their owner.
    assert found["https_renewal"]["status"] == "not_applicable"
    assert {control["section"] for name, control in found.items() if name in PROMISED} == set(ROLES)
    assert len(ROLES) == 11
    red = {control["id"]: control for control in apart(list(found.values()))[1]}
    # Apache slows down nobody who sends many guesses at once; the control says so, and what a person can do.
    alone = {"brute_force_lock"} if hardened.web == "apache" else set()
    assert {name: control["evidence"] for name, control in red.items() if name not in {*APART, *alone}} == {}
    # It fails, with what to set in the role, and is not skipped.
    assert [name for name, words in APART.items() if words not in red[name]["evidence"]] == []


@pytest.mark.parametrize("vhost", ["old-docroot", "wrong-docroot"])
def test_a_wrong_document_root_is_found(make: Callable[..., Host], playbook: Playbook, cell: Cell, vhost: str) -> None:
    host = make("campus", vhost=vhost)
    evidence = audit(playbook, host)["permissions_docroot"]["evidence"]
    assert "/.env gives away .env" in evidence, evidence
