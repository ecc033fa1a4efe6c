# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Observer
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._audit import engine
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import failed, not_assessed, passed
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import daily, watch
from ansible_collections.chamilo.hardening.plugins.module_utils._program import main


@pytest.fixture
def findings(monkeypatch):
    """What the checks find, to be changed by the test."""
    found = {"headers_csp": passed("Sent."), "https_hsts": failed("It is not sent.")}
    found["backups_key"] = not_assessed("The controller knows.")
    observer = Observer(Site("campus.test", portal_names=("campus.test",), version="2.0.4"), {})
    monkeypatch.setattr(daily, "sites", lambda: ["campus_test"])
    monkeypatch.setattr(daily, "portal_of", lambda site: SimpleNamespace(site=site, observer=observer))
    monkeypatch.setattr(
        engine, "audit", lambda _site, observer: engine.Audit(observer, found, warnings=["state.json is damaged."])
    )
    monkeypatch.setattr(main.os, "geteuid", lambda: 0)
    return found


def test_what_is_not_met_stands_first_with_its_evidence(findings, capsys):
    assert main.main(["audit"]) == 1
    shown = capsys.readouterr()
    assert shown.err == "state.json is damaged.\n"
    assert shown.out.splitlines() == [
        "campus.test, Chamilo 2.0.4",
        "  fail           https_hsts  It is not sent.",
        "  not_assessed   backups_key  The controller knows.",
        "  pass           headers_csp",
        "1 pass, 1 fail, 1 not_assessed",
    ]


def test_it_ends_with_0_where_all_is_met(findings, capsys):
    findings["https_hsts"] = passed("Sent.")
    assert main.main(["audit", "--site", "campus_test"]) == 0
    assert "fail" not in capsys.readouterr().out


def test_what_the_level_or_a_waiver_leaves_out_is_no_failure(findings, capsys):
    observer = daily.portal_of("campus_test").observer
    observer.options = {**observer.options, "unenforced": ["https_hsts"]}
    assert main.main(["audit"]) == 0
    assert "  not enforced   https_hsts  It is not sent." in capsys.readouterr().out


def test_programs_read_the_same(findings, capsys):
    assert main.main(["audit", "--json"]) == 1
    (result,) = json.loads(capsys.readouterr().out)
    assert result["site"] == "campus_test"
    assert result["answer"]["observed"]["https_hsts"] == {"status": "fail", "evidence": "It is not sent."}


def test_a_host_without_the_section_reports_what_to_do(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(main.os, "geteuid", lambda: 0)
    monkeypatch.setattr(watch, "DIRECTORY", str(tmp_path))
    assert main.main(["audit"]) == 1
    assert "Run the playbook harden with section monitoring." in capsys.readouterr().err
