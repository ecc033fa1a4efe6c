# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of data in the portal's directory are put away."""

from __future__ import annotations

import contextlib
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
