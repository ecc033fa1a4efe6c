# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The key of the backups, and its copy on the controller."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import backup, jobs, key, portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.key import Kept, keep_key
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.proof import fingerprint
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files

MACHINE = key.machine


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the key lies."""
    monkeypatch.setattr(portal, "CONFIGURATION", str(tmp_path / "etc"))
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    monkeypatch.setattr(key, "machine", lambda: "host")
    (tmp_path / "etc").mkdir()
    return tmp_path / "etc" / "backups-campus.key"


def kept(given: str = "", controller: str = "controller", create: bool = True, check: bool = False) -> Kept:
    return keep_key("campus", given, "s", controller, create, check)


def noted(path: Path) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads((path.parents[1] / "state" / "backups.json").read_text())["encrypted"]
    return entry


def test_a_key_is_made_once_for_root_alone(path: Path) -> None:
    first = kept()
    assert first.changed and first.key == path.read_text().strip() and len(first.key) >= 40
    assert path.stat().st_mode & 0o777 == 0o600
    second = kept(first.key)
    assert not second.changed and second.held and second.fingerprint == fingerprint(first.key, "s")
    assert noted(path)["ok"] is True


def test_a_key_that_is_there_is_never_replaced(path: Path) -> None:
    kept("the first one")
    with pytest.raises(BackupError, match="so it stays"):
        kept("another one")
    assert path.read_text() == "the first one\n"


@pytest.mark.parametrize("left", [None, ""])
def test_a_lost_key_is_restored_and_not_replaced_by_another(path: Path, left: str | None) -> None:
    kept("the first one")
    path.unlink()
    if left is not None:  # such as by a disk that was full
        path.write_text(left)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jobs, "report", lambda *_arguments: None)
            backup._compared_key(portal.Portal("campus", "campus", ""))
    for given, check in (("", False), ("another one", False), ("", True)):
        with pytest.raises(BackupError) as reported:
            kept(given, check=check)
        assert f"{path} is gone" in str(reported.value)
        assert (path.read_text() if path.exists() else None) == left
    assert kept("the first one").changed
    assert path.read_text() == "the first one\n"


@pytest.mark.parametrize("controller", ["", "host"])
def test_a_copy_on_the_host_itself_does_not_count(path: Path, controller: str) -> None:
    assert kept("known", controller).held is False
    assert noted(path)["ok"] is False


def test_a_restore_makes_up_no_key(path: Path) -> None:
    with pytest.raises(BackupError, match="chamilo_backups_password"):
        kept(create=False)
    assert not path.exists()


def test_what_was_compared_within_a_day_is_shown_without_being_compared_again(path: Path) -> None:
    assert key.shown("campus", "new") == {}
    first = kept(controller="").key
    assert key.shown("campus", "new")["held"] is False, "it has no copy yet"
    kept(first)
    proof = fingerprint(first, "new")
    assert key.shown("campus", "new") == {"fingerprint": proof, "held": True, "due": ["backup", "drill"]}


@pytest.mark.parametrize("age", [-60.0, 86401.0])
def test_what_was_compared_longer_ago_is_compared_anew(path: Path, monkeypatch: pytest.MonkeyPatch, age: float) -> None:
    kept(kept().key)
    moment = noted(path)["at"] + age
    monkeypatch.setattr(key.time, "time", lambda: moment)
    assert key.shown("campus", "new") == {}


@pytest.mark.parametrize("text", ["another\n", ""])
def test_a_key_that_was_exchanged_since_is_compared_anew(path: Path, text: str) -> None:
    kept(kept().key)
    path.write_text(text)
    assert key.shown("campus", "new") == {}
