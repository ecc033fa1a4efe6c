# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is a copy of a portal's data, by its content."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile
import zipfile
from collections.abc import Callable

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import dump_detection

DUMP = b"-- MariaDB dump 10.19\n" + b"x" * 5000
PACKERS = [gzip.compress, bz2.compress, lzma.compress]


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tarred(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"chamilo/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


class Endless(io.BytesIO):
    """A sparse file of the web user's, of 16 TB: it must never be read as a whole."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None and 0 < size <= 1 << 20
        self.taken += size
        assert self.taken <= 32 << 20
        return super().read(size).ljust(size, b"\0")


def holds(content: bytes) -> bool:
    return dump_detection.contains_data(io.BytesIO(content))


@pytest.mark.parametrize("pack", PACKERS)
def test_a_packed_dump_is_known_and_no_end_is_waited_for(pack: Callable[[bytes], bytes]) -> None:
    assert holds(pack(DUMP))
    assert not dump_detection.contains_data(Endless(pack(b"")))
    assert not dump_detection.contains_data(Endless(pack(bytes(1 << 24))))
    assert holds(pack(tarred(readme=b"x" * 100_000, sql=DUMP)))
    assert holds(zipped(**{"all.sql.packed": pack(DUMP)}))
    assert not holds(pack(tarred(readme=b"x" * 100_000)))
    assert not dump_detection.contains_data(Endless(tarred(readme=b"x")[:1024]))


@pytest.mark.parametrize("archive", [zipped, tarred])
def test_an_archive_is_known_by_a_dump_or_the_environment_in_it(archive: Callable[..., bytes]) -> None:
    secrets = b"APP_ENV=prod\nDATABASE_PASSWORD='x'\n"
    assert holds(archive(slide=b"x", chamilo=DUMP))
    assert holds(archive(**{".env": secrets}))
    assert not holds(archive(**{".env.dist": secrets, "slides": b"-- a lesson about dumps", "x.sql": b"SELECT 1"}))
    assert not holds(archive())


@pytest.mark.parametrize("content", [DUMP, b"--\n-- phpMyAdmin SQL Dump\n", b"\n-- Adminer 4.8.1 MySQL dump\n"])
def test_a_dump_is_known_by_the_program_that_made_it(content: bytes) -> None:
    assert holds(content)
    assert not holds(b"x" * 3000 + content)


def test_damage_and_lies_end_nothing() -> None:
    chance = random.Random(1)
    for whole in (zipped(a=b"x" * 3000, b=b"y"), tarred(a=b"x" * 3000, b=b"y"), gzip.compress(b"x" * 3000)):
        for _time in range(300):
            broken = bytearray(whole[: chance.randrange(len(whole))] if chance.random() < 0.3 else whole)
            for _bit in range(chance.randrange(1, 6)):
                if broken:
                    broken[chance.randrange(len(broken))] = chance.randrange(256)
            assert not holds(bytes(broken))
    assert not holds(b"")


@pytest.mark.parametrize("name", ["x.gz", "x.bz2", "x.xz"])
def test_what_seems_packed_in_an_archive_and_is_not_is_no_data(name: str) -> None:
    whole = gzip.compress(DUMP)
    assert holds(zipped(**{name: whole}))
    assert not holds(zipped(**{name: whole[:10] + bytes(100)}))
