# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Dumps of databases in the portal's directory, where a visitor may guess their names.

What begins as a dump program begins its output is one, and is moved to where root alone reads. An archive that is named
like a copy of data is listed, for a person to read.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import time
import zlib
from collections.abc import Iterator
from typing import IO

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import jobs
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError, Portal
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._common.sentences import first_of
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.tree import open_trusted

_COPIES = re.compile(r"(?i)\.(?:sql|dump|zip|tar|t[gbx]z|tar\.\w{1,4}|7z|rar)(?:\.(?:gz|xz|bz2|zst))?$")
_LIKE_COPIES = re.compile(
    r"(?i)backup|sauvegarde|respaldo|sicherung|(?:^|[-_.])(?:bak|dump|db)(?:[-_.\d]|$)|chamilo|20\d\d"
)
_DUMPED = re.compile(rb"-- (?:MySQL|MariaDB) dump|/\*M!999999|phpMyAdmin SQL Dump|-- Adminer ")
_START = 2048  # bytes, unpacked, in which a dump names its program
_NO_COPIES = ("var", "vendor", "node_modules", ".git")
_CHUNK = 1 << 20
_DEEPEST = 100  # levels; each keeps a descriptor open


def put_away(portal: Portal) -> list[str]:
    """Move dumps out of the portal's directory. What was moved is reported, whatever ends the search."""
    moved: list[str] = []
    alike: list[str] = []
    try:
        for line in _search(portal, alike):
            moved.append(line)
    finally:
        if moved:  # no run reports them tomorrow
            jobs.notify(portal, "Copies of data lay in the portal's directory", " ".join(moved), again=True)
    if alike:
        moved.append(f"Named like copies of data, and left where they are: {first_of(alike)}.")
    return moved


def _search(portal: Portal, alike: list[str]) -> Iterator[str]:
    """What is moved, or cannot be; ``alike``: what has the name of a copy alone.

    The web user may exchange directories and files meanwhile: all is reached through what is open already.
    """
    kept = os.path.join(files.STATE, "kept", "backups", portal.site)
    deep: list[str] = []
    top = open_trusted(portal.directory)
    try:
        for directory, names, handle in _directories(top, portal.directory, 0, deep):
            for name in sorted(filter(_COPIES.search, names)):
                path = ascii(f"{directory}/{name}")[1:-1]
                try:
                    target = _put_away(name, handle, kept)
                except OSError as problem:
                    yield f"{path} can be downloaded or read by the web server, and stays: {problem.strerror}."
                    continue
                if target:
                    yield f"{path} could be downloaded or read by the web server: it is {ascii(target)[1:-1]} now."
                elif target is None and _LIKE_COPIES.search(name):
                    alike.append(path)
    finally:
        os.close(top)
    if deep:
        more = f" and {len(deep) - 1} more" if len(deep) > 1 else ""
        raise BackupError(f"{ascii(deep[0])[1:200]} ...{more}: more than {_DEEPEST} levels deep, and not checked.")


def _directories(handle: int, path: str, level: int, deep: list[str]) -> Iterator[tuple[str, list[str], int]]:
    """An open directory and those below it: path, names of files, descriptor. Too ``deep`` ones are only named."""
    try:
        with os.scandir(handle) as entries:
            kinds = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
    except FileNotFoundError:  # it was removed meanwhile
        return
    yield path, [name for name, directory in kinds.items() if not directory], handle
    for name in sorted(name for name, directory in kinds.items() if directory and (level or name not in _NO_COPIES)):
        if level == _DEEPEST:
            deep.append("" if deep else f"{path}/{name}")  # of the others only the number: there may be a million
            continue
        try:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
        except OSError:  # gone, or another thing since
            continue
        try:
            yield from _directories(below, f"{path}/{name}", level + 1, deep)
        finally:
            os.close(below)


def _put_away(name: str, directory: int, kept: str) -> str | None:
    """Where a file of this name in an open directory is now, if it is a dump; None where it stays.

    An empty text: it is no file.
    """
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except OSError as problem:
        if problem.errno in (errno.ELOOP, errno.ENOENT, errno.ENXIO):  # a link, gone since, a socket: no copy
            return ""
        raise
    with open(handle, "rb") as stream:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            return ""
        if not _is_dump(stream):
            return None
        target = os.path.join(kept, f"{time.time_ns()}-{name}")
        with files.Tree() as tree:
            for missing in tree.missing_parents(target):
                tree.make_directory(missing, 0o700)
        if info.st_size > shutil.disk_usage(kept).free // 2:  # its holes, if it has any, are filled by a copy
            raise OSError(errno.ENOSPC, f"there is too little room for it in {kept}")
        try:
            with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy:
                _copy(stream, copy, info.st_size)
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(target)
            raise
        with contextlib.suppress(FileNotFoundError):
            now = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if (now.st_dev, now.st_ino) == (info.st_dev, info.st_ino):
                os.unlink(name, dir_fd=directory)
    return target


def _copy(stream: IO[bytes], copy: IO[bytes], size: int) -> None:
    """Of this size: one that grows meanwhile is not followed to where the disk is full."""
    stream.seek(0)
    while (left := size - copy.tell()) > 0 and (part := stream.read(min(left, _CHUNK))):
        copy.write(part)
    if os.fstat(stream.fileno()).st_size != size:
        raise OSError(errno.EBUSY, "a program writes to it")
    copy.flush()
    os.fsync(copy.fileno())


def _is_dump(stream: IO[bytes]) -> bool:
    start = stream.read(_CHUNK)
    if start.startswith(b"\x1f\x8b"):
        try:
            start = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(start, _START)
        except zlib.error:
            return False
    return bool(_DUMPED.search(start, 0, _START))
