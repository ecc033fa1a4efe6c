# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._audit import engine
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import checks, failed
from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import StateError
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.observer import Observer
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Site
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _answers

LOOK = Observer(Site("campus.test", portal_names=("campus.test",)), {})


def test_the_answer_is_what_the_controller_reads() -> None:
    answer = engine.audit("campus", LOOK, ["headers"]).answer()
    assert _answers.validate(_answers.shape("guide_audit_info"), answer, "answer") == answer
    assert answer["observed"] and answer["names"] == ["campus.test"]


def test_damaged_undo_data_is_a_warning_and_the_audit_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged() -> list[str]:
        raise StateError("state.json is damaged.")

    monkeypatch.setattr(engine.os, "geteuid", lambda: 0)
    monkeypatch.setattr(engine, "active", damaged)
    monkeypatch.setitem(checks, "headers_csp", lambda _observer: failed("Not sent."))
    audit = engine.audit("campus", LOOK, ["headers"])
    assert audit.warnings == ["state.json is damaged."] and audit.findings["headers_csp"].status == "fail"
