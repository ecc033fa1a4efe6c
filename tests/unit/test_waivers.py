# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A waiver: the role leaves that one thing alone, and still does all the rest."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls

ROLES = Path(__file__).resolve().parents[2] / "roles"


def text(pattern: str) -> Callable[[str], bool]:
    return lambda text: re.search(pattern, text) is not None


def looks_at(part: str) -> Callable[[str], bool]:
    """The module that sets owners and modes does not exclude this part."""
    return lambda text: "chamilo_perms" in text and not re.search(rf'"exclude": \[[^]]*"{re.escape(part)}"', text)


# How to see in what a role does that a control is active.
SIGNS = {
    "permissions_code": looks_at("src"),
    "permissions_var": lambda text: looks_at("var")(text) and "umask(0007)" in text,
    "permissions_env": looks_at(".env*"),
    "permissions_config": looks_at("config"),
    "permissions_docroot": text("What was left behind"),
    "permissions_production": lambda text: '"APP_ENV": "prod"' in text and "platform.server_type" in text,
    "permissions_secrets": text(r'"require": \["APP_SECRET"'),
    "passwords_length": text(r'"length": 12'),
    "passwords_mix": text(r'"uppercase": 1'),
    "passwords_enforced": text("security.check_password"),
    "passwords_expiry": text("password_rotation_days"),
    "brute_force_lock": text("login_max_attempt_before_blocking_account"),
    "brute_force_captcha": text("security.allow_captcha"),
    "brute_force_captcha_block": text("captcha_number_mistakes_to_block_account"),
    "brute_force_interfaces": text("security.mcp_enabled"),
    "brute_force_fail2ban": text(r"/etc/fail2ban/jail\.d/chamilo-campus"),
    "sessions_lifetime": lambda text: "gc_maxlifetime" in text and "phpsessionclean" in text,
    "sessions_cookie_secure": text(r"cookie_secure = 1"),
    "sessions_cookie_httponly": text(r"cookie_httponly = 1"),
    "sessions_cookie_samesite": text(r"cookie_samesite = Lax"),
    "sessions_strict": lambda text: "use_strict_mode = 1" in text and "prepend.d/sessions.php" in text,
    "sessions_apart": text(r"SystemCallFilter=~@debug"),
    "sessions_remember_me": lambda text: "remember" in text and "chamilo.hardening.chamilo_remembered" in text,
}
# These have no deed of their own: they follow from the others, or from the way things are made. A waiver takes them out
# of the report alone, as the README of their role states.
OF_THEMSELVES = {
    "permissions_no_777",
    "permissions_links",
    "permissions_web_user",
    "brute_force_forgery",
    "brute_force_friends",
    "brute_force_unlock",
    "https_certificate",
    "https_renewal",
    "https_redirect",
    "https_protocols",
    "headers_once",
    "backups_database",
    "backups_files",
    "backups_encrypted",
    "backups_private",
    "monitoring_accounts",
    "monitoring_delivery",
    "monitoring_integrity",
}
SECTIONS = ("permissions", "passwords", "brute_force", "sessions")


def controls(section: str) -> list[str]:
    return [
        control.id
        for control in _controls.load().controls
        if control.section == section and control.level != "people" and control.id not in OF_THEMSELVES
    ]


def done(asked: list[Any]) -> list[str]:
    command = [sys.executable, "-m", "tests.tools.doings"]
    ran = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False)
    assert not ran.returncode, ran.stderr
    texts: list[str] = json.loads(ran.stdout)
    return texts


@pytest.fixture(scope="module")
def doings(once: Callable[[str, Callable[[], Any]], Any]) -> Doings:
    """By section and what is waived, or the web server; monitoring by what is waived alone."""
    asked: dict[tuple[str, ...], list[Any]] = {}
    for section in SECTIONS:
        for waived in ((), controls(section)):
            asked[(section, *waived)] = [section, waived]
    for control in SIGNS:
        section = _controls.load().control(control).section
        asked[section, control] = [section, [control]]
    for web in ("nginx", "apache"):
        for waived in ((), ("headers_versions",)):
            asked[("headers", web, *waived)] = ["headers", waived, web]
        asked["uploads", web] = ["uploads", [], web]
    for waived in MONIT:
        asked[("monitoring", *waived)] = ["monitoring", waived]
    return dict(zip(asked, once("doings", lambda: done(list(asked.values())))))


Doings = dict[tuple[str, ...], str]
MONIT = ((), ("monitoring_auth",), tuple(controls("monitoring")))


def test_each_control_of_these_sections_has_a_sign() -> None:
    missing = [control for section in SECTIONS for control in controls(section) if control not in SIGNS]
    assert missing == [], "add a line to SIGNS; or to OF_THEMSELVES, where the role does nothing for it alone"


@pytest.mark.parametrize("section", SECTIONS)
def test_everything_is_active_without_a_waiver(doings: Doings, section: str) -> None:
    assert [control for control in controls(section) if not SIGNS[control](doings[section,])] == []


@pytest.mark.parametrize("control", SIGNS)
def test_a_waiver_leaves_its_control_alone_and_no_other(doings: Doings, control: str) -> None:
    section = _controls.load().control(control).section
    assert {other: SIGNS[other](doings[section, control]) for other in controls(section)} == {
        other: other != control for other in controls(section)
    }


@pytest.mark.parametrize("web, words", [("nginx", "server_tokens off"), ("apache", "ServerTokens Prod")])
def test_a_waiver_leaves_it_to_the_web_server_what_it_reports_of_its_version(
    doings: Doings, web: str, words: str
) -> None:
    assert words in doings["headers", web] and words not in doings["headers", web, "headers_versions"]


@pytest.mark.parametrize("waived", MONIT)
def test_monit_takes_no_program_of_which_nothing_is_asked(doings: Doings, waived: tuple[str, ...]) -> None:
    text = doings[("monitoring", *waived)]
    checks = text.partition("check program chamilo_campus_test_logins")[2].split("check ")[0]
    assert re.search(r"\\n  if status = ", checks), text


@pytest.mark.parametrize("web", ["nginx", "apache"])
def test_how_much_may_be_uploaded_is_not_raised_unasked(doings: Doings, web: str) -> None:
    limits = "upload_max_filesize|post_max_size|client_max_body_size|LimitRequestBody"
    assert not re.search(limits, doings["uploads", web])


@pytest.mark.parametrize("control", sorted(OF_THEMSELVES))
def test_why_a_waiver_changes_nothing_on_the_host_is_written_down(control: str) -> None:
    text = (ROLES / _controls.load().control(control).section / "README.md").read_text(encoding="utf-8")
    assert f"`{control}`" in text.partition("A waiver")[2], 'name it in the paragraph "A waiver of ..."'


@pytest.mark.parametrize("role", sorted(path.name for path in ROLES.iterdir()))
def test_a_role_asks_for_each_control_whose_waiver_changes_the_host(role: str) -> None:
    plan = ROLES.parent / "plugins/plugin_utils/_plans" / f"{role}.py"
    files = [*(ROLES / role).rglob("*.yml"), *([plan] if plan.exists() else [])]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files).replace('"', "'")
    made = {control.id for control in _controls.load().controls if control.fixer.role == role} - OF_THEMSELVES
    missing = [control for control in sorted(made) if f"{control}'" not in text and f" {control}" not in text]
    assert missing == [], f'have {plan.name} ask portal.enforced("..."), or add it to OF_THEMSELVES'


@pytest.mark.parametrize("section", SECTIONS)
def test_with_everything_waived_nothing_is_active(doings: Doings, section: str) -> None:
    text = doings[(section, *controls(section))]
    assert [control for control in controls(section) if SIGNS[control](text)] == []
