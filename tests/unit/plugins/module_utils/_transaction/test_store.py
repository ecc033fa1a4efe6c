# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of a host: replaced whole, private, and one lock for all of it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import Item, StateError, file_item
from ansible_collections.chamilo.hardening.plugins.module_utils._common.locks import Busy
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.store import Store

ME = (os.geteuid(), os.getegid())


def test_the_state_is_private_and_comes_back(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "var/state"))
    assert (store.peek()["serial"], store.peek()["records"]) == (0, {})
    assert not (tmp_path / "var").exists(), "looking makes nothing"
    with store.lock("test", 0):
        store.commit({**store.peek(), "serial": 7})
        store.keep("baseline/x/etc/y", b"secret")
    assert store.peek()["serial"] == 7
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "var").rglob("*")}
    assert modes["state"] == modes["baseline"] == 0o700
    assert modes["state.json"] == modes["y"] == modes["lock"] == 0o600


def test_a_state_directory_that_others_could_read_is_closed(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    with Store(str(tmp_path / "state")).lock("test", 0):
        pass
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(StateError, match=r"state\.json is damaged"):
        Store(str(tmp_path)).peek()


def test_a_copy_that_changed_is_not_restored(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    item = Item.from_json({**file_item(b"old", *ME, 0o644).to_json(), "blob": "baseline/x"})
    with store.lock("test", 0):
        with pytest.raises(StateError, match="is gone"):
            store.load(item)
        store.keep("baseline/x", b"something else")
        with pytest.raises(StateError, match="not the saved copy"):
            store.load(item)
        store.keep("baseline/x", b"old")
        assert store.load(item).data == b"old"


def test_unreferenced_copies_go(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with store.lock("test", 0):
        for blob in ("baseline/a/etc/x", "baseline/a/etc/y", "transactions/a/etc/x"):
            store.keep(blob, b"")
        store.prune(["baseline/a/etc/y"])
    files = [str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*") if each.is_file()]
    assert sorted(files) == ["baseline/a/etc/y", "lock"]


def test_the_second_waits_then_reports_who_is_there(tmp_path: Path) -> None:
    first, second = Store(str(tmp_path)), Store(str(tmp_path))
    assert second.holder() == ""
    with first.lock("headers", 0):
        assert second.holder().startswith(f"headers (process {os.getpid()}, since 20")
        with pytest.raises(Busy, match=rf"belongs to headers \(process {os.getpid()}"), second.lock("https", 0.2):
            pass
    assert second.holder() == ""
    with second.lock("https", 0):
        pass
