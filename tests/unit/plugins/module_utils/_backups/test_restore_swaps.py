# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and directories change places."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import restore, restore_swaps
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError, Portal
from tests.unit.plugins.module_utils._backups.conftest import work


def test_two_paths_change_places_also_where_the_kernel_cannot_do_it_in_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.write_text("file")
    restore_swaps.exchange(str(one), str(other))
    assert one.read_text() == "file" and other.is_dir()

    class Old:
        def renameat2(self, *_arguments: Any) -> int:
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_a, **_k: Old())
    monkeypatch.setattr(ctypes, "get_errno", lambda: 22)
    restore_swaps.exchange(str(one), str(other))
    assert other.read_text() == "file" and one.is_dir()
    monkeypatch.setattr(ctypes, "get_errno", lambda: 18)
    with pytest.raises(BackupError, match="cannot change places"):
        restore_swaps.exchange(str(one), str(other))


def test_a_directory_is_made_in_what_is_open(portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = work(portal)
    secret = tmp_path / "secret"
    secret.mkdir(0o700)
    real = os.mkdir

    def swapped(path: str, mode: int = 0o777, **more: Any) -> None:
        real(path, mode, **more)
        if path.endswith("/new"):
            os.rmdir(path)
            os.symlink(secret, path)

    made._swap(f"{made.staging}{portal.directory}/new/deep/file", f"{portal.directory}/new/deep/file")
    made.write_down()
    monkeypatch.setattr(os, "mkdir", swapped)
    with pytest.raises(BackupError, match="Not a directory|symbolic links"):
        restore.finish(portal)
    assert secret.stat().st_mode & 0o777 == 0o700 and not list(secret.iterdir())


@pytest.mark.parametrize(
    ("fetched", "live", "known", "after"),
    [
        ("new", "old", True, ("old", "new")),
        ("new", None, True, (None, "new")),
        (None, "later", False, ("later", None)),  # it came after the backup
        (None, None, False, (None, None)),
        ("old", "new", False, ("old", "new")),  # done before
    ],
)
def test_what_was_fetched_and_what_was_there_change_places(
    tmp_path: Path, fetched: str | None, live: str | None, known: bool, after: tuple[str | None, str | None]
) -> None:
    places = (tmp_path / "staged/a", tmp_path / "www/a")
    for path, text in zip(places, (fetched, live), strict=True):
        path.parent.mkdir()
        if text:
            path.write_text(text)
    inode = places[0].stat().st_ino if known else 0
    for _time in range(2):
        restore_swaps.change_places(str(places[0]), str(places[1]), inode)
        assert tuple(path.read_text() if path.exists() else None for path in places) == after
