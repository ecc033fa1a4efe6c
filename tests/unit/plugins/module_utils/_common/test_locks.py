# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One holder at a time, whose name those that wait get to read."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import locks


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "lock")


def test_the_second_waits_and_reads_who_the_first_is(path: str) -> None:
    with locks.lock(path, "backup", 0):
        began = time.monotonic()
        with pytest.raises(locks.Busy, match=rf"^backup \(process {os.getpid()}, since 20.*Z\)$"):
            locks.acquire(path, 0.2)
        assert time.monotonic() - began >= 0.2
        assert locks.holder(path).startswith("backup (process ")
    assert locks.holder(path) == ""
    with locks.lock(path, "restore", 0):
        assert locks.holder(path).startswith("restore (process "), "and no rest of the longer name before it"


def test_it_is_had_as_soon_as_it_is_free(path: str) -> None:
    seen: list[int] = []

    def wait(patience: float) -> threading.Thread:
        thread = threading.Thread(target=lambda: seen.append(locks.acquire(path, patience)))
        thread.start()
        time.sleep(0.1)
        return thread

    with locks.lock(path, "first", 0):
        second = wait(5)
        assert seen == []
    second.join(5)
    third = wait(locks.FOREVER)
    assert len(seen) == 1, "the one that waits without an end waits too"
    os.close(seen[0])
    third.join(5)
    os.close(seen[1])


def test_it_is_free_when_its_holder_was_killed(path: str) -> None:
    script = (
        f"import fcntl, time; f = open({path!r}, 'a'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        assert locks.holder(path) == "an unknown process"
        process.kill()
    with locks.lock(path, "next", 0):
        pass


def test_a_lock_file_that_was_replaced_meanwhile_is_no_lock(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two would have it: one the old file, one the new."""
    flock = locks.fcntl.flock

    def replaced(handle: int, how: int) -> None:
        flock(handle, how)
        monkeypatch.undo()
        os.unlink(path)

    monkeypatch.setattr(locks.fcntl, "flock", replaced)
    with locks.lock(path, "second", 0), pytest.raises(locks.Busy, match="second"):
        locks.acquire(path, 0)


def test_no_link_is_followed(path: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("precious")
    os.symlink(tmp_path / "elsewhere", path)
    with pytest.raises(OSError, match="symbolic links"), locks.lock(path, "x", 0):
        pass
    with pytest.raises(OSError, match="symbolic links"):
        locks.holder(path)
    assert (tmp_path / "elsewhere").read_text() == "precious"


def test_a_full_disk_prevents_no_lock(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_unused: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with locks.lock(path, "x", 0):
        assert locks.holder(path) == "an unknown process"
