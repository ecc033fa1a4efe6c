# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a portal with their checksums, and what of them differs from the package of its release.

A person reads it: nothing is concluded from it, and nothing is done.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from .._common.errors import HardeningError
from .._common.files import LINK
from .._common.paths import open_below, open_path, shown
from .._host.accounts import user_name
from . import release_files

# What the application writes by itself, and what only a developer's copy has.
_LEFT_OUT = ("var", ".git", "node_modules")
# The installation made these.
_INSTALLED = (".env", "config/jwt/private.pem", "config/jwt/public.pem")
# Parts of a package that a portal need not have: data, the installer, and what is for developers or the updater.
_NOT_NEEDED = ("var/", ".git", "node_modules/", "public/main/install/", "tests/", "UPDATE-METADATA.json")
_CHUNK = 1 << 20
_LINES = 40  # of one kind: with more, directories are put together
_DEEPEST = 100  # levels of directories
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_NO_FILE = "neither file nor directory"
Ours = Mapping[str, Collection[str]]  # for each path the checksums that it was given
CHANGED, ADDED, MISSING = "differ from the package", "are in no package", "of the package are missing"


class ComparisonError(HardeningError):
    """A tree cannot be compared; the message states why."""


@dataclass(frozen=True)
class Request:
    """What the module release_comparison is asked for."""

    root: str
    version: str  # the installed one, empty where it is not known
    # Of the package, packed. No secret, but nothing to have in the host's log either.
    manifest: str = field(default="", metadata={"no_log": True})
    problem: str = ""  # why there is none


@dataclass(frozen=True)
class Group:
    """Files of one directory, and of those below it. ``newest``: a date; that and ``owner`` are empty for no file."""

    directory: str
    what: str
    count: int
    owner: str = ""
    newest: str = ""

    def line(self) -> str:
        files = f"{self.count:,} files {self.what}"
        if self.count == 1:
            files = f"1 file {self.what.replace('differ ', 'differs ').replace('are ', 'is ')}"
        who = f" (owner {self.owner}, newest {self.newest})" if self.owner else ""
        return f"{shown(self.directory) or '.'}: {files}{who}"


@dataclass(frozen=True)
class Comparison:
    """``package``: what the tree was compared with, in words; empty where no package of its release is known."""

    package: str = ""
    groups: tuple[Group, ...] = ()

    def lines(self) -> list[str]:
        return [group.line() for group in self.groups]


def against_release(root: str, version: str, ours: Ours, state: str = "") -> Comparison:
    """What differs from the package of the release that a portal runs, by directory.

    ``version``: the installed one, empty where it is not known. ``ours``: what this collection wrote, which is left
    out.
    """
    known = release_files.known(root, version, state)
    return compared(root, known, ours, files(root)) if known else Comparison()


def compared(root: str, manifest: release_files.Manifest, ours: Ours, present: Mapping[str, str]) -> Comparison:
    release, real = manifest.files, os.path.realpath(root)

    def differs(path: str) -> bool:
        """Is it neither as in the package, nor as this collection or the installation left it?"""
        here, there = present.get(path, ""), release.get(path)
        same = here.startswith(LINK) and there is not None and f"{here} ".startswith(f"{there} ")
        if same or here.partition(" ")[0] == there or path in _INSTALLED:
            return False
        return here not in ours.get(os.path.join(real, path), ())

    directories = {""}
    for path in release:
        while path := os.path.dirname(path):
            directories.add(path)

    def place(path: str) -> str:
        """The topmost directory above it that is in no package; else the one it is in."""
        found = os.path.dirname(path)
        while found not in directories and os.path.dirname(found) not in directories:
            found = os.path.dirname(found)
        return found

    changed = [path for path in present.keys() & release.keys() if differs(path)]
    added = [path for path in present.keys() - release.keys() if differs(path)]
    missing = [path for path in release.keys() - present.keys() if not path.startswith(_NOT_NEEDED) and differs(path)]
    groups = [
        *_grouped(real, CHANGED, {path: os.path.dirname(path) for path in changed}),
        *_grouped(real, ADDED, {path: place(path) for path in added}),
        *_grouped(real, MISSING, {path: os.path.dirname(path) for path in missing}),
    ]
    return Comparison(manifest.words, tuple(groups))


def _grouped(root: str, what: str, places: Mapping[str, str]) -> list[Group]:
    depth = max((place.count("/") + 1 for place in places.values()), default=1)
    while len(found := _by_place(places, depth)) > _LINES and depth > 1:
        depth -= 1
    return [_group(root, place, what, paths) for place, paths in sorted(found.items())]


def _by_place(places: Mapping[str, str], depth: int) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path, place in places.items():
        found.setdefault("/".join(place.split("/")[:depth]), []).append(path)
    return found


def _group(root: str, directory: str, what: str, paths: list[str]) -> Group:
    owners, newest = set(), 0.0
    for path in paths:
        try:
            status = os.lstat(os.path.join(root, path))
        except OSError:  # missing, or removed meanwhile
            continue
        owners.add(user_name(status.st_uid))
        newest = max(newest, status.st_mtime)
    names = sorted(owners)
    date = day(newest) if names else ""
    return Group(directory, what, len(paths), ", ".join(names[:3]) + (" and others" if names[3:] else ""), date)


def day(moment: float) -> str:
    try:
        return time.strftime("%Y-%m-%d", time.gmtime(moment))
    except (OverflowError, ValueError, OSError):  # its owner can give a file any time
        return "no date"


# ------------------------------------------------------------------------------------------------ what is there


def files(root: str) -> dict[str, str]:
    """Each file below the project directory with its checksum, each link with its target and, in var/, its content."""
    if not os.path.isdir(root):
        raise ComparisonError(f"There is no directory {root}.")
    return dict(sorted(_walk(root)))


def _walk(root: str) -> Iterator[tuple[str, str]]:
    """The web user may exchange directories meanwhile, and nest them: names are followed from what is open already."""
    unlisted = tuple(os.path.realpath(os.path.join(root, name)) + "/" for name in _LEFT_OUT)
    todo, top = [""], os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        while todo:
            directory = todo.pop()
            if directory.count("/") >= _DEEPEST:
                yield directory, f"unread: more than {_DEEPEST} levels deep"
                continue
            try:
                handle = open_below(top, directory, os.O_DIRECTORY) if directory else os.dup(top)
            except FileNotFoundError:  # it went meanwhile
                continue
            except OSError as problem:
                yield directory, f"unread: {problem.strerror}"
                continue
            try:
                with os.scandir(handle) as entries:
                    for entry in entries:
                        path = f"{directory}/{entry.name}" if directory else entry.name
                        if path in _LEFT_OUT:
                            continue
                        if entry.is_symlink():
                            target = _target(entry.name, handle)
                            yield path, f"{LINK}{target}{_behind(os.path.join(root, path), unlisted)}"
                        elif entry.is_dir(follow_symlinks=False):
                            todo.append(path)
                        else:
                            yield path, _file(entry.name, handle)
            finally:
                os.close(handle)
    finally:
        os.close(top)


def _target(name: str, directory: int) -> str:
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError:  # gone, or another thing meanwhile
        return ""


def _behind(link: str, unlisted: tuple[str, ...]) -> str:
    """The checksum of a file where no other entry has it: a part of the program may be a link to data."""
    target = os.path.realpath(link)
    if not target.startswith(unlisted) or os.path.isdir(target):
        return ""
    try:
        handle, _linked = open_path(target, lambda *_link: "it was no link before")
    except OSError as problem:
        return f" unread: {problem.strerror}"
    return f" {_checksum(handle, release_files.MOST)}"


def _file(name: str, directory: int) -> str:
    try:
        # Opening some devices is an order to them.
        if not stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            return _NO_FILE
        handle = os.open(name, _OPEN, dir_fd=directory)
    except OSError as problem:
        return f"unread: {problem.strerror}"
    return _checksum(handle)


def _checksum(handle: int, most: int = sys.maxsize) -> str:
    """The checksum of an open file, or its type if it is none. A mark shows setuid and setgid."""
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            return _NO_FILE
        digest = hashlib.sha256()
        most = min(most, max(release_files.MOST, info.st_blocks * release_files.PACKED))
        while most > 0 and (part := os.read(handle, _CHUNK)):
            digest.update(part)
            most -= len(part)
        more = "" if most > 0 else f" of the first part of {info.st_size} bytes"
        return digest.hexdigest() + more + (" setuid" if info.st_mode & (stat.S_ISUID | stat.S_ISGID) else "")
    except OSError as problem:
        return f"unread: {problem.strerror}"
    finally:
        os.close(handle)
