# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _history

OLD, NEW, LATER = "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z"


def audit(directory: Path, generated: str, hosts: dict[str, dict[str, str]]) -> dict[str, Any]:
    """An audit that saw these statuses; the changes of each host in its report."""
    earlier = _history.last(directory, list(hosts))
    entries, changes = [], {}
    for name, controls in hosts.items():
        rows: list[dict[str, Any]] = [{"id": control, "status": status} for control, status in controls.items()]
        changes[name] = _history.annotate(rows, earlier.get(name), generated)
        changes[f"{name} since"] = {row["id"]: row["since"] for row in rows}
        entries.append({"name": name, "controls": rows})
    path = directory / _history.name(generated)
    path.parent.mkdir(exist_ok=True)
    path.write_text(_history.entry({"generated": generated, "hosts": entries}, earlier))
    _history.prune(directory)
    return changes


def test_since_when_and_what_changed(tmp_path: Path) -> None:
    first = audit(tmp_path, OLD, {"a": {"one": "fail", "two": "pass", "three": "fail"}})
    assert first["a"] == {}
    second = audit(tmp_path, NEW, {"a": {"one": "fail", "two": "fail", "three": "pass"}})
    assert second["a"] == {"before": OLD, "better": ["three"], "worse": ["two"]}
    assert second["a since"] == {"one": OLD, "two": NEW, "three": NEW}
    third = audit(tmp_path, LATER, {"a": {"one": "fail", "two": "not_assessed", "three": "not_assessed"}})
    assert third["a"] == {"before": NEW, "better": [], "worse": ["three"]}
    assert third["a since"]["one"] == OLD
    controls = _history.last(tmp_path, ["a"])["a"]["controls"]
    assert [controls[name]["met"] for name in ("one", "two", "three")] == [False, True, True]


def test_an_audit_of_other_hosts_hides_nothing(tmp_path: Path) -> None:
    audit(tmp_path, OLD, {"a": {"one": "fail"}, "b": {"one": "pass"}})
    audit(tmp_path, NEW, {"b": {"one": "fail"}})
    assert audit(tmp_path, LATER, {"a": {"one": "pass"}})["a"] == {"before": OLD, "better": ["one"], "worse": []}


def test_many_hosts_are_no_forged_result(tmp_path: Path) -> None:
    """Of 500 hosts, what a file has is more than one host may answer."""
    hosts = {f"school{number}.test": {f"control_{one}": "pass" for one in range(71)} for number in range(500)}
    audit(tmp_path, OLD, hosts)
    assert audit(tmp_path, NEW, {"school499.test": {"control_7": "fail"}})["school499.test"]["worse"] == ["control_7"]


def test_it_is_bounded(tmp_path: Path) -> None:
    for day in range(_history.MOST + 5):
        audit(tmp_path, f"2026-{1 + day // 28:02}-{1 + day % 28:02}T00:00:00Z", {"a": {"one": "fail"}})
    assert len(_history.files(tmp_path)) == _history.MOST
    assert _history.last(tmp_path, ["a"])["a"]["controls"]["one"]["since"] == "2026-01-01T00:00:00Z", "it is carried on"


@pytest.mark.parametrize("text", ["", "[]", '{"generated": "{{ x }}", "hosts": {}}', '{"hosts": {"a": {"b": {}}}}'])
def test_what_is_no_history_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "history").mkdir()
    (tmp_path / "history/x.json").write_text(text)
    with pytest.raises(_history.HistoryError, match="Move it away"):
        _history.last(tmp_path, ["a"])


def test_a_host_that_was_not_audited_has_no_entry() -> None:
    report = {"generated": OLD, "hosts": [{"name": "a", "error": "gone", "controls": []}]}
    assert json.loads(_history.entry(report, {}))["hosts"] == {}
