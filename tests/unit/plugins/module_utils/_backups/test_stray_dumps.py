# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of data in the portal's directory are put away."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import jobs, stray_dumps
from tests.unit.plugins.module_utils._backups.conftest import DUMP, of_campus

pytestmark = pytest.mark.usefixtures("directories")


@pytest.fixture(autouse=True)
def reported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []
    monkeypatch.setattr(jobs, "notify", lambda _portal, _title, text, again=False: texts.append(text))
    return texts


def test_dumps_are_put_where_root_alone_reads_and_archives_are_listed(directories: Path, reported: list[str]) -> None:
    public = directories / "chamilo" / "public"
    public.mkdir(parents=True)
    (directories / "chamilo" / "var").mkdir()
    (public / "dump.sql").write_bytes(DUMP)
    with gzip.open(public / "x.sql.gz", "wb") as stream:
        stream.write(DUMP)
    kept_here = ["backup.zip", "broken.sql.gz", "database.sql", "lesson.zip", "slides-2024.zip"]
    for name in kept_here:
        (public / name).write_bytes(b"\x1f\x8b no more" if name.endswith(".gz") else b"-- the installer's own")
    (directories / "chamilo" / "var" / "dump.sql").write_bytes(DUMP)
    *moved, listed = stray_dumps.put_away(of_campus(directories))
    assert [line.split()[0] for line in moved] == [f"{public}/dump.sql", f"{public}/x.sql.gz"]
    assert reported == [" ".join(moved)]
    assert (
        listed == f"Named like copies of data, and left where they are: {public}/backup.zip, {public}/slides-2024.zip."
    )
    assert sorted(path.name for path in public.iterdir()) == kept_here
    kept = [path for path in (directories / "state").rglob("*") if path.is_file()]
    assert len(kept) == 2 and all(path.stat().st_mode & 0o777 == 0o600 for path in kept)
    assert stray_dumps.put_away(of_campus(directories)) == [listed] and len(reported) == 1


def test_what_changes_places_while_copies_are_put_away_is_left_alone(
    directories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = directories / "chamilo" / "public"
    public.mkdir(parents=True)
    secret = directories / "secret.sql"
    secret.write_bytes(DUMP)
    (public / "link.sql").symlink_to(secret)
    os.mkfifo(public / "backup.sql")
    (public / "dump.sql").write_bytes(DUMP)
    real = os.fsync

    def exchanged(copy: int) -> None:
        """The web user puts another file, and another directory, where the scan has just been."""
        real(copy)
        if not stat.S_ISREG(os.fstat(copy).st_mode) or public.is_symlink():
            return
        public.rename(directories / "chamilo" / "aside")
        public.symlink_to(directories)
        (directories / "chamilo" / "aside" / "dump.sql").unlink()
        (directories / "chamilo" / "aside" / "dump.sql").symlink_to(secret)

    monkeypatch.setattr(os, "fsync", exchanged)
    (line,) = stray_dumps.put_away(of_campus(directories))
    assert "dump.sql" in line and secret.read_bytes() == DUMP
    assert (directories / "chamilo" / "aside" / "dump.sql").is_symlink()
    (kept,) = [path for path in (directories / "state").rglob("*") if path.is_file()]
    assert kept.read_bytes() == DUMP


def test_the_name_of_a_copy_is_reported_as_text(directories: Path) -> None:
    (directories / "chamilo").mkdir()
    with open(os.fsencode(directories / "chamilo") + b"/\xe9\n.sql", "wb") as stream:
        stream.write(DUMP)
    (line,) = stray_dumps.put_away(of_campus(directories))
    assert r"\udce9\n.sql could be downloaded" in line and line.isprintable()


def copy_of(directories: Path) -> Path:
    """A dump in the portal's directory, beside what is none."""
    (directories / "chamilo" / "a").mkdir(parents=True)
    (directories / "chamilo" / "z").mkdir()
    for name in ("a/dump.sql", "z/dump.sql"):
        (directories / "chamilo" / name).write_bytes(DUMP)
    return directories / "chamilo" / "a" / "dump.sql"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_a_copy_that_cannot_be_opened_is_reported_and_the_next_is_put_away(
    directories: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path, real, seen = copy_of(directories), os.open, []

    def opened(name: str, *more: int, **options: int) -> int:
        if name == "dump.sql" and not seen:
            seen.append(name)
            raise OSError(number, os.strerror(number))
        return real(name, *more, **options)

    monkeypatch.setattr(os, "open", opened)
    first, second = stray_dumps.put_away(of_campus(directories))
    assert first == f"{path} can be downloaded or read by the web server, and stays: {os.strerror(number)}."
    assert second.startswith(f"{directories}/chamilo/z/dump.sql could be downloaded or read by the web server: it is ")
    assert path.exists() and not (directories / "chamilo/z/dump.sql").exists()


def test_of_a_copy_that_cannot_be_put_away_whole_nothing_is_kept(
    directories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_copy: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = copy_of(directories)
    monkeypatch.setattr(os, "fsync", full)
    lines = stray_dumps.put_away(of_campus(directories))
    assert len(lines) == 2 and all(line.endswith("and stays: No space left on device.") for line in lines)
    assert path.read_bytes() == DUMP
    assert [path for path in (directories / "state").rglob("*") if path.is_file()] == []


def test_a_dump_without_end_fills_no_disk(directories: Path) -> None:
    """It has 8 TB for its owner, of which the disk holds one block."""
    path = copy_of(directories)
    os.truncate(path, 8 << 40)
    first, second = stray_dumps.put_away(of_campus(directories))
    assert "and stays: there is too little room for it in " in first and "it is " in second
    path.unlink()


def test_a_dump_that_a_program_still_writes_is_left_to_it(directories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = copy_of(directories), shutil.disk_usage

    def grown(where: str) -> Any:
        path.write_bytes(DUMP + b"more")
        return real(where)

    monkeypatch.setattr(shutil, "disk_usage", grown)
    first, _second = stray_dumps.put_away(of_campus(directories))
    assert first.endswith("and stays: a program writes to it.") and path.read_bytes() == DUMP + b"more"
    assert len([path for path in (directories / "state").rglob("*") if path.is_file()]) == 1
