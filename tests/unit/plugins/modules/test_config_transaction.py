# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell around the engine: options in, one result or one clear failure out."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import plan as transaction_plan
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import repair
from ansible_collections.chamilo.hardening.plugins.modules import config_transaction


def run(module: Any, capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(lambda argv, seconds: (int(argv[0] == "false"), ""), systemd=False)
    real = repair.Repairing
    monkeypatch.setattr(config_transaction, "Repairing", lambda: real(str(tmp_path / "state"), machine))


def file(tmp_path: Path, **more: Any) -> list[dict[str, Any]]:
    me = {"owner": str(os.geteuid()), "group": str(os.getegid())}
    return [{"path": str(tmp_path / "x.conf"), **me, **more}]


@pytest.mark.usefixtures("engine")
def test_a_transaction_changes_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = {"name": "headers", "files": file(tmp_path, content="text @generation@")}
    predicted = run(config_transaction, capsys, **arguments, _ansible_check_mode=True, _ansible_diff=True)
    assert predicted["changed"] and not (tmp_path / "x.conf").exists()
    done = run(config_transaction, capsys, **arguments, _ansible_diff=True)
    assert done["changed"] and done["diff"] == predicted["diff"]
    assert (tmp_path / "x.conf").read_text() == f"text {done['generation']}"
    again = run(config_transaction, capsys, **arguments)
    assert not again["changed"] and "diff" not in again
    assert (again["recovered"], again["notes"], again["loaded"]) == ([], [], False)


@pytest.mark.usefixtures("engine")
def test_a_failure_is_one_sentence_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = run(config_transaction, capsys, name="Headers", files=file(tmp_path, content=""))
    assert failed["failed"] and failed["msg"].startswith("name: 'Headers' is no section")
    assert "rolled_back" not in failed


@pytest.mark.usefixtures("engine")
def test_a_rollback_reports_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.conf").write_text("old")
    failed = run(config_transaction, capsys, name="headers", files=file(tmp_path, content="new"), test=[["false"]])
    assert failed["failed"] and failed["rolled_back"] == "The test `false` failed (1): no output"
    assert failed["msg"].startswith(failed["rolled_back"]) and not failed["changed"]
    assert (tmp_path / "x.conf").read_text() == "old"


@pytest.mark.usefixtures("engine")
def test_a_secret_is_in_no_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = file(tmp_path, mode="0600")
    arguments = {"name": "https", "files": files, "secrets": {files[0]["path"]: "canary-7"}}
    with patch_module_args({**arguments, "_ansible_diff": True}), pytest.raises(SystemExit):
        config_transaction.main()
    output = capsys.readouterr()
    assert "canary-7" not in output.out + output.err
    assert (tmp_path / "x.conf").read_text() == "canary-7"


@pytest.mark.usefixtures("engine")
def test_a_secret_that_was_not_set_apart_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That nothing of it is logged applies to every module: see tests/unit/test_guards_plugins.py."""
    refused = run(config_transaction, capsys, name="https", files=file(tmp_path, secret_content="canary\n7"))
    assert "through its action plugin only" in refused["msg"] and "canary" not in str(refused)
    assert not (tmp_path / "x.conf").exists()


def test_each_example_is_a_plan_that_can_be_meant() -> None:
    tasks = [task["chamilo.hardening.config_transaction"] for task in yaml.safe_load(config_transaction.EXAMPLES)]
    for task in (task for task in tasks if task.get("state") != "absent"):
        plan = transaction_plan.plan(task)
        assert (plan.files or plan.marked) and plan.load


@pytest.mark.usefixtures("engine")
def test_lines_go_into_a_file_that_stays_its_owners(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "site.conf"
    path.write_text("server {\n}\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    marks = [{"at": 9, "lines": ["include x;", [0, 9]]}]
    arguments = {"name": "https:campus", "files": [{"path": str(path), "digest": digest, "marks": marks}]}
    done = run(config_transaction, capsys, **arguments, _ansible_diff=True)
    assert done["changed"] and "+include x;" in done["diff"][0]["prepared"]
    assert path.read_text().splitlines()[1:4] == ["# BEGIN chamilo.hardening campus", "include x;", "server {"]
    assert not run(config_transaction, capsys, **arguments)["changed"]
    assert run(config_transaction, capsys, name="https:campus", state="absent")["changed"]
    assert path.read_text() == "server {\n}\n"
