# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell around the engine: what it proves, and what it reports when it cannot."""

from __future__ import annotations

import pytest
import yaml

from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_file import FilterError
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_proof import Proof
from ansible_collections.chamilo.hardening.plugins.modules import fail2ban_filter
from tests.tools.asking import ask

(EXAMPLE,) = (task["chamilo.hardening.fail2ban_filter"]["request"] for task in yaml.safe_load(fail2ban_filter.EXAMPLES))


@pytest.fixture
def run(capsys, monkeypatch):
    monkeypatch.setattr(fail2ban_filter, "is_installed", lambda: True)
    monkeypatch.setattr(fail2ban_filter, "prove", lambda *given: Proof(1, 2, 3.04))
    return lambda check=False, **more: ask(fail2ban_filter, capsys, **EXAMPLE, **more, _ansible_check_mode=check)


def test_a_proof_changes_nothing(run):
    done = run()
    assert not done["changed"] and done["proof"] == {"matched": 1, "refused": 2, "slowest_ms": 3.0}


def test_what_is_refused_is_reported(run, monkeypatch):
    def refuse(*given):
        raise FilterError("the sample and what it yielded")

    monkeypatch.setattr(fail2ban_filter, "prove", refuse)
    failed = run()
    assert failed["failed"] and failed["msg"] == "the sample and what it yielded"


def test_without_fail2ban_nothing_is_proved(run, capsys, monkeypatch):
    monkeypatch.setattr(fail2ban_filter, "is_installed", lambda: False)
    predicted = run(check=True)
    assert not predicted.get("failed") and "proof" not in predicted
    assert "fail2ban is not installed" in run()["msg"]
    unproved = {**EXAMPLE, "samples": {"match": []}, "_ansible_check_mode": True}
    assert "samples.match" in ask(fail2ban_filter, capsys, **unproved)["msg"], "what needs no fail2ban is refused"


def test_the_visitors_of_a_log_are_reported(run, tmp_path):
    log = tmp_path / "access.log"
    assert "log" not in run(log=str(log))
    log.write_text(f"{EXAMPLE['samples']['match'][0]['line']}\n")
    assert run(log=str(log))["log"]["only"] == "203.0.113.7"
