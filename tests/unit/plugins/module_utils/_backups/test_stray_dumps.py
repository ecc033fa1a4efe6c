# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of data in the portal's directory are put away."""

from __future__ import annotations

import contextlib
import errno
import gzip
import lzma
import os
import resource
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import dump_detection, stray_dumps
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import Portal
from tests.unit.plugins.module_utils._backups.conftest import DUMP, of_campus

pytestmark = pytest.mark.usefixtures("directories")


def put_away(there: Portal) -> list[str]:
    return list(stray_dumps.put_away(there, []))


def test_copies_in_the_portals_directory_are_put_where_root_alone_reads(directories: Path) -> None:
    public = directories / "chamilo" / "public"
    public.mkdir(parents=True)
    (directories / "chamilo" / "var").mkdir()
    (public / "dump.sql").write_bytes(DUMP)
    with gzip.open(public / "x.sql.gz", "wb") as stream:
        stream.write(DUMP)
    with zipfile.ZipFile(public / "slides.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("all/chamilo.sql", DUMP)
    (public / "database.sql").write_text("-- the installer's own\n")
    (public / "lesson.zip").write_bytes(b"x")
    (directories / "chamilo" / "var" / "backup.zip").write_bytes(b"a pupil's")
    lines = put_away(of_campus(directories))
    assert len(lines) == 3
    assert sorted(path.name for path in public.iterdir()) == ["database.sql", "lesson.zip"]
    kept = [path for path in (directories / "state").rglob("*") if path.is_file()]
    assert len(kept) == 3 and all(path.stat().st_mode & 0o777 == 0o600 for path in kept)
    assert put_away(of_campus(directories)) == []


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
    real = dump_detection.contains_data

    def exchanged(stream: IO[bytes]) -> bool:
        """The web user puts another file, and another directory, where the scan has just been."""
        public.rename(directories / "chamilo" / "aside")
        public.symlink_to(directories)
        (directories / "chamilo" / "aside" / "dump.sql").unlink()
        (directories / "chamilo" / "aside" / "dump.sql").symlink_to(secret)
        return real(stream)

    monkeypatch.setattr(dump_detection, "contains_data", exchanged)
    (line,) = put_away(of_campus(directories))
    assert "dump.sql" in line and secret.read_bytes() == DUMP
    assert (directories / "chamilo" / "aside" / "dump.sql").is_symlink()
    (kept,) = [path for path in (directories / "state").rglob("*") if path.is_file()]
    assert kept.read_bytes() == DUMP


def test_a_copy_that_asks_for_much_memory_gets_none(directories: Path) -> None:
    """64 bytes of xz whose dictionary is to have 4 GiB: nothing of it is unpacked."""
    packed = bytearray(lzma.compress(b"x" * 100, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32))
    end = 12 + (packed[12] + 1) * 4
    packed[packed.index(b"\x21\x01", 12) + 2] = 40  # the size of the dictionary
    packed[end - 4 : end] = struct.pack("<I", zlib.crc32(bytes(packed[12 : end - 4])))
    (directories / "chamilo").mkdir()
    (directories / "chamilo" / "dump.sql.xz").write_bytes(packed)
    (directories / "chamilo" / "lesson.sql.xz").write_bytes(packed)
    (directories / "chamilo" / "real.sql.xz").write_bytes(lzma.compress(DUMP, preset=9))
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))  # a host with less memory than that
        with contextlib.suppress(BaseException):
            put_away(of_campus(directories))
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert sorted(path.name for path in (directories / "chamilo").iterdir()) == ["dump.sql.xz", "lesson.sql.xz"]


def test_the_name_of_a_copy_is_reported_as_text(directories: Path) -> None:
    (directories / "chamilo").mkdir()
    with open(os.fsencode(directories / "chamilo") + b"/\xe9\n.sql", "wb") as stream:
        stream.write(DUMP)
    (line,) = put_away(of_campus(directories))
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
    first, second = put_away(of_campus(directories))
    assert first == f"{path} can be downloaded or read by the web server, and stays: {os.strerror(number)}."
    assert second.startswith(f"{directories}/chamilo/z/dump.sql could be downloaded or read by the web server: it is ")
    assert path.exists() and not (directories / "chamilo/z/dump.sql").exists()


def test_of_a_copy_that_cannot_be_put_away_whole_nothing_is_kept(
    directories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_source: IO[bytes], copy: IO[bytes], _size: int) -> None:
        copy.write(b"-- half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = copy_of(directories)
    monkeypatch.setattr(stray_dumps.shutil, "copyfileobj", full)
    lines = put_away(of_campus(directories))
    assert len(lines) == 2 and all(line.endswith("and stays: No space left on device.") for line in lines)
    assert path.read_bytes() == DUMP
    assert [path for path in (directories / "state").rglob("*") if path.is_file()] == []


def test_a_directory_that_goes_meanwhile_ends_no_search(directories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, listed = copy_of(directories), os.scandir

    def scanned(handle: int) -> object:
        if os.readlink(f"/proc/self/fd/{handle}") == str(path.parent):
            raise FileNotFoundError
        return listed(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scanned)
        (line,) = put_away(of_campus(directories))
    assert line.startswith(f"{directories}/chamilo/z/dump.sql") and path.exists()
    (directories / "chamilo/z/dump.sql").write_bytes(DUMP)
    real = os.open

    def opened(name: str, *more: int, **options: int) -> int:
        if name == "a":
            raise NotADirectoryError
        return real(name, *more, **options)

    monkeypatch.setattr(os, "open", opened)
    (line,) = put_away(of_campus(directories))
    assert line.startswith(f"{directories}/chamilo/z/dump.sql") and path.exists()
