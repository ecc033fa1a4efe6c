# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Account
from ansible_collections.chamilo.hardening.plugins.module_utils._application.portal_reader import PortalReader
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site, SiteError
from ansible_collections.chamilo.hardening.plugins.module_utils._audit import engine
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import (
    checks,
    passed,
)
from ansible_collections.chamilo.hardening.plugins.modules import guide_audit_info
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls
from tests.tools.asking import ask


def run(capsys, **arguments):
    return ask(guide_audit_info, capsys, domain="campus.test", **arguments)


@pytest.fixture
def empty(monkeypatch):
    """A host on which nothing was found; what the test asked discovery for."""
    asked = []

    def discover(*arguments, **more):
        asked.append((arguments, more))
        return Site("campus.test")

    monkeypatch.setattr(guide_audit_info, "discover", discover)
    return asked


def test_an_empty_host_passes_nothing_and_breaks_nothing(empty, capsys):
    answer = run(capsys)
    assert answer["changed"] is False
    assert answer["chamilo_version"] == ""
    assert set(answer["observed"]) == set(checks)
    for name, finding in answer["observed"].items():
        assert finding["evidence"], name
        assert "Error: " not in finding["evidence"], finding  # nothing but a check's own message


def test_sections_can_be_chosen(empty, capsys):
    observed = run(capsys, sections=["headers", "https"], root="/srv/campus", site="campus")["observed"]
    assert {name.split("_")[0] for name in observed} == {"headers", "https"}
    assert empty == [(("campus.test", "/srv/campus", ""), {"site": "campus", "names": []})]


def test_what_discovery_refuses_is_the_message(monkeypatch, capsys):
    def discover(*_arguments, **_more):
        raise SiteError("/srv/x holds no Chamilo.")

    monkeypatch.setattr(guide_audit_info, "discover", discover)
    answer = run(capsys)
    assert answer["failed"] is True
    assert answer["msg"] == "/srv/x holds no Chamilo."


def test_a_check_that_breaks_off_is_not_assessed_and_the_others_go_on(empty, capsys, monkeypatch):
    def broken(observer):
        raise KeyError("lost")

    monkeypatch.setitem(checks, "headers_csp", broken)
    observed = run(capsys, sections=["headers"])["observed"]
    assert observed["headers_csp"] == {"status": "not_assessed", "evidence": "KeyError: 'lost'."}
    assert set(observed) == {control.id for control in _controls.load().of("headers") if not control.unchecked}


def test_last_week_is_checked_under_bans_that_are_not_active(monkeypatch, capsys):
    given = []
    site = Site("campus.test", portal_names=("campus.test",), addresses=("192.0.2.7",))
    monkeypatch.setattr(guide_audit_info, "discover", lambda *_given, **_more: site)
    monkeypatch.setattr(PortalReader, "of", lambda _where: PortalReader(Account("chamilo"), ask=lambda _sql: []))
    monkeypatch.setattr(engine, "forecast", lambda *reported: given.append(reported) or ["x"])
    desired = {"friends": ["10.0.0.0/8"], "trusted_proxies": ["10.1.1.1"], "attempts": 3, "ban_seconds": 60}
    answer = run(capsys, sections=["brute_force"], **desired)
    ((_reader, rules),) = given
    assert answer["forecast"] == {"said": ["x"]}
    assert {"10.0.0.0/8", "10.1.1.1", "192.0.2.7", "127.0.0.0/8"} <= set(rules.spared)
    assert (rules.attempts, rules.find_seconds, rules.ban_seconds) == (3, 900, 60)
    assert answer["observed"]["brute_force_fail2ban"]["status"] in ("fail", "not_assessed")
    assert engine.foretold(None, {"brute_force_fail2ban": passed("Active.")}) == {} and len(given) == 1


def test_a_record_of_logins_that_cannot_be_read_is_reported(capsys):
    (said,) = run(capsys, sections=["brute_force"])["forecast"]["said"]
    assert said.startswith("Chamilo's record of logins cannot be read: No Chamilo was found on this host")
