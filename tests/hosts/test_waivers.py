"""Waivers on a real host: with all controls of its sections waived nothing of theirs is done, and the audit says so."""

from __future__ import annotations

import json

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls
from tests.hosts.hardening import Playbook
from tests.testbed.hosts import Host

SECTIONS = ("permissions", "passwords", "brute_force", "sessions")
CONTROLS = [one.id for one in _controls.load().controls if one.section in SECTIONS and one.level != "people"]
# True on a sloppy host, or nothing to look at where no fail2ban runs.
NOT_RED = {
    "permissions_links": "pass",
    "permissions_web_user": "pass",
    "brute_force_forgery": "not_applicable",
    "brute_force_friends": "not_applicable",
    "brute_force_unlock": "pass",  # the way back comes with the section
    "sessions_lifetime": "pass",
    "sessions_cookie_httponly": "pass",
    "sessions_cookie_samesite": "pass",
    "sessions_strict": "pass",
}
PHP = "/etc/php/*/fpm"
ALLOWED = [
    # The program and what it knows of the portal, which come with any section.
    *("/usr/local/sbin*", "/etc/chamilo-hardening*", "/var/lib/chamilo-hardening*", "/etc/systemd/system*"),
    *("/etc", "/var/lib", "unit:chamilo-hardening*"),
    # That a reload kills no request, and a file for the portal's scripts in which nothing is said.
    *(f"{PHP}/pool.d", f"{PHP}/pool.d/zz-chamilo-hardening.conf"),
    *(f"{PHP}/conf.d", f"{PHP}/conf.d/91-chamilo-*-sessions.ini"),
    # What a visit leaves behind, and the clock.
    *("/var/log/*", "/var/lib/php/sessions*", "/var/www/chamilo/var/cache/dev/profiler*", "/var/www/chamilo/var/log/*"),
    *("/var/lib/systemd/*", "/root/.ansible*", "database:shop.visit"),
]


def test_with_everything_waived_nothing_is_done_and_the_audit_says_so(fresh: Host, playbook: Playbook) -> None:
    waivers = [{"control": name, "reason": "A test.", "owner": "Ada", "until": "2999-12-31"} for name in CONTROLS]
    options = {"chamilo_level": "consider", "chamilo_waivers": waivers}
    before = fresh.snapshot()
    playbook.harden(fresh, "--tags", ",".join(SECTIONS), **options)
    assert before.changes(fresh.snapshot(), ALLOWED) == []
    said = fresh.run(f"cat {PHP}/conf.d/91-chamilo-*-sessions.ini").stdout
    assert [line for line in said.splitlines() if not line.startswith((";", "[PATH="))] == []
    playbook.run("audit", fresh, **options)
    (entry,) = json.loads((playbook.folder / "report/report.json").read_text())["hosts"]
    found = {one["id"]: one["status"] for one in entry["controls"] if one["id"] in CONTROLS}
    assert found == dict.fromkeys(CONTROLS, "waived") | NOT_RED
