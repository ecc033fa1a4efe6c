"""Waivers on a real host: with all controls of its sections waived nothing of theirs is done, and the audit reports so.

A waiver that comes later undoes what its control activated.
"""

from __future__ import annotations

import itertools
import json
import re

import pytest

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls
from tests.hosts.hardening import AT_REST, Playbook, changed
from tests.playbook import PlayError
from tests.testbed.hosts import Host

SECTIONS = ("permissions", "passwords", "brute_force", "sessions")
CONTROLS = [one.id for one in _controls.load().controls if one.section in SECTIONS and one.level != "people"]
# True on a sloppy host, or nothing to check where no fail2ban runs.
NOT_RED = {
    "permissions_links": "pass",
    "permissions_web_user": "pass",
    "brute_force_forgery": "not_applicable",
    "brute_force_friends": "not_applicable",
    "brute_force_interfaces": "not_applicable",  # since 3.0
    "brute_force_unlock": "pass",  # the command comes with the section
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
    # That a reload kills no request, and a file for the portal's scripts in which nothing is set.
    *(f"{PHP}/pool.d", f"{PHP}/pool.d/zz-chamilo-hardening.conf"),
    *(f"{PHP}/conf.d", f"{PHP}/conf.d/91-chamilo-*-sessions.ini"),
    # What a visit leaves behind, and the clock.
    *AT_REST,
    *("/var/www/chamilo/var/cache/dev/profiler*", "/var/www/chamilo/var/log/*"),
]

LATER = {
    "brute_force_fail2ban": "/etc/fail2ban/jail.d/chamilo-campus-test.conf",
    "monitoring_app_log": "/var/www/chamilo/config/packages/prod/zz_chamilo_hardening_log.yaml",
    "permissions_var": "/usr/local/share/chamilo-hardening/prepend.d/permissions.php",
    "sessions_lifetime": "/etc/systemd/system/phpsessionclean.timer.d/chamilo-hardening.conf",
    "sessions_cookie_httponly": "/var/www/chamilo/config/packages/prod/zz_chamilo_hardening.yaml",
    "sessions_cookie_samesite": "/var/www/chamilo/config/packages/prod/zz_chamilo_hardening.yaml",
    "sessions_strict": "/usr/local/share/chamilo-hardening/prepend.d/sessions.php",
    "updates_installer": "/etc/*/sites-available/chamilo-campus_test.d/updates.conf",
    "updates_os": "/etc/apt/apt.conf.d/52chamilo-hardening",  # by its switch
    "uploads_no_exec": "/usr/local/share/chamilo-hardening/prepend.d/uploads.php",
}
SECTIONS_LATER = ("brute_force", "monitoring", "permissions", "sessions", "updates", "uploads")
# Done at once and not only set up: check mode cannot predict what comes of it.
DAILY = {"monitoring : Run the daily work that is due", "updates : Check for a new release"}


def waived(*names: str) -> list[dict[str, str]]:
    return [{"control": name, "reason": "A test.", "owner": "Ada", "until": "2999-12-31"} for name in names]


def test_with_everything_waived_nothing_is_done_and_the_audit_reports_so(fresh: Host, playbook: Playbook) -> None:
    options = {"chamilo_level": "consider", "chamilo_waivers": waived(*CONTROLS)}
    before = fresh.snapshot()
    playbook.harden(fresh, "--tags", ",".join(SECTIONS), **options)
    assert before.changes(fresh.snapshot(), ALLOWED) == []
    output = fresh.run(f"cat {PHP}/conf.d/91-chamilo-*-sessions.ini").stdout
    assert [line for line in output.splitlines() if not line.startswith((";", "[PATH="))] == []
    playbook.run("audit", fresh, **options)
    (entry,) = json.loads((playbook.directory / "report/report.json").read_text())["hosts"]
    found = {one["id"]: one["status"] for one in entry["controls"] if one["id"] in CONTROLS}
    assert found == dict.fromkeys(CONTROLS, "waived") | NOT_RED


def there(host: Host) -> set[str]:
    return {name for name, path in LATER.items() if host.run(f"ls {path}", check=False).returncode == 0}


@pytest.mark.long
def test_what_is_waived_later_is_undone_in_that_run(fresh: Host, playbook: Playbook) -> None:
    """Several sections at once: a file of a transaction, a whole transaction, one that a service has to forget."""
    tags = ("--tags", ",".join(SECTIONS_LATER))
    installer = fresh.http("/main/install/index.php").status
    playbook.harden(fresh, *tags)
    assert there(fresh) == set(LATER) and fresh.http("/main/install/index.php").status == 403

    later = {"chamilo_waivers": waived(*(set(LATER) - {"updates_os"})), "chamilo_updates_unattended": False}
    predicted = playbook.run("harden", fresh, *tags, "--check", **later)
    assert there(fresh) == set(LATER)
    done = playbook.run("harden", fresh, *tags, **later)
    assert changed(predicted.output) == changed(done.output) - DAILY
    assert there(fresh) == set()
    assert fresh.http("/main/install/index.php").status == installer
    assert "chamilo-campus-test" not in fresh.run(["fail2ban-client", "status"]).stdout
    assert fresh.run("ls /usr/local/share/chamilo-hardening/prepend.php", check=False).returncode, "nothing needs it"
    assert changed(playbook.run("harden", fresh, *tags, **later).output) == set()

    playbook.harden(fresh, *tags)
    assert there(fresh) == set(LATER), "a waiver that ends"
    for section in SECTIONS_LATER:
        fresh.run(["chamilo-hardening", "undo", section, "--yes"])
    assert there(fresh) == set()


@pytest.mark.long
def test_what_is_not_enforced_turns_no_other_control_red(hardened: Host, playbook: Playbook) -> None:
    """Each control once, together with one of each other section; and the levels."""

    def red(**options: object) -> set[str]:
        try:
            playbook.harden(hardened, **options)
        except (
            PlayError
        ) as problem:  # browsers are bound to https, which one waiver takes away: that is reported, rightly
            assert "exit code 0" in str(problem)
            warnings = re.findall(r"WARNING\]: (.*)", str(problem))
            assert all(text.startswith("Browsers that have been at campus.test") for text in warnings), warnings
        playbook.run("audit", hardened, **options)
        (entry,) = json.loads((playbook.directory / "report/report.json").read_text())["hosts"]
        return {one["id"] for one in entry["controls"] if one["status"] in ("fail", "not_assessed")}

    table = _controls.load()
    sections = [[one.id for one in table.of(section.id) if one.level != "people"] for section in table.sections]
    before = red()
    for level in ("must", "consider"):
        own = {one.id for one in table.controls if one.level == "consider"}
        assert red(chamilo_level=level) <= before | own, level
    for together in itertools.zip_longest(*sections):
        names = [name for name in together if name]
        assert red(chamilo_waivers=waived(*names)) <= before - set(names), names


@pytest.mark.long
def test_settings_that_are_waived_later_are_as_they_were(fresh: Host, playbook: Playbook) -> None:
    """One of several, and all of a section."""

    def rows(names: str) -> str:
        chosen = "SELECT access_url, variable, selected_value, access_url_changeable FROM settings WHERE variable"
        return fresh.run(["mariadb", "chamilo", "-Ne", f"{chosen} REGEXP '{names}' ORDER BY id"]).stdout

    tags = ("--tags", "passwords,brute_force")
    lock, passwords = "^login_max_attempt", "^(check_password|password_)"
    before = rows(lock), rows(passwords)
    playbook.harden(fresh, *tags, chamilo_waivers=waived("brute_force_fail2ban"))
    captcha = rows("^allow_captcha")
    assert rows(lock) != before[0] and rows(passwords) != before[1]
    all_of_it = [name for name in CONTROLS if name.startswith("passwords_")]
    later = waived("brute_force_fail2ban", "brute_force_lock", *all_of_it)
    predicted = playbook.run("harden", fresh, *tags, "--check", chamilo_waivers=later)
    done = playbook.run("harden", fresh, *tags, chamilo_waivers=later)
    assert changed(predicted.output) == changed(done.output) and len(changed(done.output)) == 2
    assert (rows(lock), rows(passwords)) == before
    assert rows("^allow_captcha") == captcha, "another control of the same section"
    assert playbook.harden(fresh, *tags, chamilo_waivers=later) == 0
