# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Recognizes a copy of a portal's data by its content, whatever its name: a dump of a database, or an archive with one.

The web user may have made the file: what is read and unpacked of it is bounded, in bytes, members and memory.
"""

from __future__ import annotations

import bz2
import contextlib
import lzma
import re
import struct
import zlib
from collections.abc import Iterator
from typing import IO

_DUMPED = re.compile(rb"-- (?:MySQL|MariaDB) dump|/\*M!999999|phpMyAdmin SQL Dump|-- Adminer ")
_PASSWORD = re.compile(rb"(?m)^(?:export )?DATABASE_PASSWORD=")
_ENVIRONMENT = (".env", ".env.local", ".env.prod", ".env.prod.local")
_CHUNK = 1 << 20
_START = 2048  # bytes, unpacked, in which a dump names its program
_MEMBER = 1 << 16  # bytes of a member of an archive
_INSPECTED = 16 << 20  # bytes of a tar archive, or of a zip archive's list
_MEMBERS = 10_000
_LARGE = 128 << 20  # bytes of memory to unpack xz; its highest preset asks for 65 MiB
_BROKEN = (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error, struct.error)


def contains_data(stream: IO[bytes]) -> bool:
    """Whether this is a dump of a database, or an archive that contains one or the portal's own environment file."""
    with contextlib.suppress(*_BROKEN):
        start = stream.read(_CHUNK)
        if start.startswith(b"PK"):
            return any(_is_data(name, part) for name, part in _zipped(stream))
        unpacked = _unpacked(start, _START)  # a piece: it may be made to have no end
        if unpacked[257:262] == b"ustar":
            while len(start) < _INSPECTED:
                part = stream.read(_CHUNK)
                if not part:
                    break
                start += part
            return any(_is_data(name, part) for name, part in _tarred(_unpacked(start, _INSPECTED)))
        return bool(_DUMPED.search(unpacked))
    return False  # damaged, perhaps on purpose


def _is_data(name: bytes, start: bytes) -> bool:
    if name.rpartition(b"/")[2].decode(errors="replace") in _ENVIRONMENT and _PASSWORD.search(start):
        return True
    with contextlib.suppress(*_BROKEN):
        return bool(_DUMPED.search(_unpacked(start, _START)))
    return False


def _unpacked(packed: bytes, most: int) -> bytes:
    if packed.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(packed, most)
    if packed.startswith(b"BZh"):
        return bz2.BZ2Decompressor().decompress(packed, most)
    if packed.startswith(b"\xfd7zXZ"):
        return lzma.LZMADecompressor(memlimit=_LARGE).decompress(packed, most)
    return packed[:most]


def _tarred(archive: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and beginning of each member, as far as the archive was read."""
    place = 0
    while archive[place + 257 : place + 262] == b"ustar":
        header = archive[place : place + 512]
        size = int(header[124:135].strip(b" \0") or b"0", 8)
        data = place + 512
        yield header[:100].rstrip(b"\0"), archive[data : data + min(size, _MEMBER)]
        place = data + -(-size // 512) * 512


def _zipped(stream: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Name and beginning of each member, by the list at the end of the archive."""
    size = stream.seek(0, 2)
    tail = stream.seek(max(0, size - 65557))
    end = stream.read(65557)
    found = end.rfind(b"PK\5\6")
    if found < 0:
        return
    number, length, start = struct.unpack("<10xHII", end[found : found + 20])
    start = min(start, tail + found)
    if length > _INSPECTED:
        return
    stream.seek(start)
    listed, place = stream.read(length), 0
    for _member in range(min(number, _MEMBERS)):
        if listed[place : place + 4] != b"PK\1\2":
            return
        flags, method = struct.unpack("<HH", listed[place + 8 : place + 12])
        named, extra, comment, local = struct.unpack("<HHH8xI", listed[place + 28 : place + 46])
        name = listed[place + 46 : place + 46 + named]
        place += 46 + named + extra + comment
        if flags & 1 or method not in (0, 8):  # encrypted, or packed in a rare way
            continue
        stream.seek(local)
        head = stream.read(30)
        stream.seek(local + 30 + sum(struct.unpack("<HH", head[26:30])))
        data = stream.read(_MEMBER)
        with contextlib.suppress(zlib.error):
            yield name, data if method == 0 else zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, _MEMBER)
