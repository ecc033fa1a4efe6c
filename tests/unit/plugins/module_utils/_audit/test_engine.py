# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Observer
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._audit import engine
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import checks, failed, passed
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _answers

LOOK = Observer(Site("campus.test", portal_names=("campus.test",)), {})


def test_the_answer_is_what_the_controller_reads() -> None:
    answer = engine.audit("campus", LOOK, ["headers"]).answer()
    assert _answers.validate(_answers.shape("guide_audit_info"), answer, "answer") == answer
    assert answer["observed"] and answer["names"] == ["campus.test"]


def test_what_an_intruder_may_have_left_is_listed_where_section_monitoring_is_audited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine.monitoring, "left", lambda _observer: ["PHP: /x"])
    assert engine.Audit(LOOK, {"monitoring_compromise": failed("x")}).answer()["signs"] == ["PHP: /x"]
    assert engine.Audit(LOOK, {"monitoring_auth": failed("x")}).answer()["signs"] == []


@pytest.mark.parametrize(("user", "there"), [(0, True), (0, False), (1000, True)])
def test_what_the_host_program_observes_is_in_the_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, user: int, there: bool
) -> None:
    """Root alone can ask it, and a host that was never hardened has none."""
    entry = {"state": "red", "section": "backups", "why": "No backup.", "next": "chamilo-hardening backup"}
    printed = {"sections": {"headers:campus": {}}, "settings": {"passwords": []}, "entries": [entry]}
    program = tmp_path / "program"
    if there:
        program.write_text(f"#!/bin/sh\necho '{json.dumps(printed)}'")
        program.chmod(0o755)
    monkeypatch.setattr(engine.host_jobs, "PROGRAM", str(program))
    monkeypatch.setattr(engine.os, "geteuid", lambda: user)
    answer = engine.audit("campus", LOOK, ["headers"]).answer()
    asked = there and not user
    assert answer["state"] == ([entry] if asked else [])
    assert answer["active"] == (["headers", "passwords"] if asked else [])


def test_a_program_that_fails_is_a_warning_and_the_audit_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "program").write_text("#!/bin/sh\necho state.json is damaged; exit 1")
    (tmp_path / "program").chmod(0o755)
    monkeypatch.setattr(engine.host_jobs, "PROGRAM", str(tmp_path / "program"))
    monkeypatch.setattr(engine.os, "geteuid", lambda: 0)
    monkeypatch.setitem(checks, "headers_csp", lambda _observer: failed("Not sent."))
    audit = engine.audit("campus", LOOK, ["headers"])
    assert audit.warnings == ["chamilo-hardening status ended with 1: state.json is damaged"]
    assert audit.findings["headers_csp"].status == "fail"


def test_lines_that_are_gone_are_reported_where_they_are_missed() -> None:
    state = {"sections": {"https:campus": {"lost": ["Lines are gone."]}, "https:shop": {"lost": ["Of another."]}}}
    made = {"database_bind": failed("It listens."), "https_hsts": failed("Not sent."), "headers_csp": passed("Sent.")}
    found = engine.explained("campus", made, state)
    assert [one.evidence for one in found.values()] == ["It listens.", "Not sent. Lines are gone.", "Sent."]
