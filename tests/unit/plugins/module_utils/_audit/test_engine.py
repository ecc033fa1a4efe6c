# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Observer
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._audit import engine
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import checks, failed
from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import StateError
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


def test_damaged_undo_data_is_a_warning_and_the_audit_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged() -> list[str]:
        raise StateError("state.json is damaged.")

    monkeypatch.setattr(engine.os, "geteuid", lambda: 0)
    monkeypatch.setattr(engine, "active", damaged)
    monkeypatch.setitem(checks, "headers_csp", lambda _observer: failed("Not sent."))
    audit = engine.audit("campus", LOOK, ["headers"])
    assert audit.warnings == ["state.json is damaged."] and audit.findings["headers_csp"].status == "fail"


def test_what_other_accounts_than_root_cannot_know_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(engine, "active", lambda: asked.append("active") or ["headers"])
    for user, left in ((1000, []), (0, ["headers"])):
        monkeypatch.setattr(engine.os, "geteuid", lambda user=user: user)
        audit = engine.audit("campus", LOOK, ["headers"])
        assert (audit.active, audit.warnings, len(asked)) == (left, [], len(left))
