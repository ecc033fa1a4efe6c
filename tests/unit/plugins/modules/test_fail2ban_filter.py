# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell around the engine: what it writes, what it predicts, and what it reports when it must not write."""

from __future__ import annotations

import json

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_file import FilterError
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_proof import Proof
from ansible_collections.chamilo.hardening.plugins.modules import fail2ban_filter

LINE = '203.0.113.7 - - [25/Nov/2026:14:47:59 +0000] "POST /login_json HTTP/1.1" 401 43 "-" "curl"'
SAMPLES = {"match": [{"line": LINE, "address": "203.0.113.7"}]}


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(fail2ban_filter, "is_installed", lambda: True)
    monkeypatch.setattr(fail2ban_filter, "prove", lambda *given: Proof(1, 2, 3.04))

    def call(check=False, **options):
        arguments = {"name": "campus", "failregex": ["^<ADDR> x"], "samples": SAMPLES, "directory": str(tmp_path)}
        arguments |= {"_ansible_check_mode": check, "_ansible_diff": True, **options}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            fail2ban_filter.main()
        return json.loads(capsys.readouterr().out)

    return call


def test_it_writes_once_and_predicts_that(run, tmp_path):
    file = tmp_path / "campus.conf"
    predicted = run(check=True)
    assert predicted["changed"] and not file.exists()
    done = run()
    assert done["changed"] and file.read_text() == done["content"] == done["diff"]["after"]
    assert done["proof"] == {"matched": 1, "refused": 2, "slowest_ms": 3.0}
    assert all(done[key] == value for key, value in predicted.items() if key != "invocation")
    assert not run()["changed"]
    assert run(state="absent", samples=None, failregex=[])["changed"] and not file.exists()
    assert not run(state="absent")["changed"]


def test_what_is_refused_is_not_written(run, tmp_path, monkeypatch):
    def refuse(*given):
        raise FilterError("the sample and what it yielded")

    monkeypatch.setattr(fail2ban_filter, "prove", refuse)
    failed = run()
    assert failed["failed"] and failed["msg"] == "the sample and what it yielded"
    assert list(tmp_path.iterdir()) == []


def test_a_slash_in_the_name_leads_nowhere(run, tmp_path):
    assert "no slash" in run(name="../campus", state="absent")["msg"]


def test_without_fail2ban_nothing_is_proved(run, tmp_path, monkeypatch):
    monkeypatch.setattr(fail2ban_filter, "is_installed", lambda: False)
    predicted = run(check=True)
    assert predicted["changed"] and predicted["reason"] == "needs fail2ban"
    assert "proof" not in predicted
    assert "fail2ban is not installed" in run()["msg"]
    assert "samples.match" in run(check=True, samples=None)["msg"], "what needs no fail2ban is refused without it too"


def test_each_example_can_be_meant(run):
    name = "chamilo.hardening.fail2ban_filter"
    tasks = [task[name] for task in yaml.safe_load(fail2ban_filter.EXAMPLES) if name in task]
    assert len(tasks) == 3
    for arguments in tasks:
        assert not run(check=True, **{"samples": None, **arguments}).get("failed")
