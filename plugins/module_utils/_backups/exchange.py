# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is laid beside the portal takes the place of what is in use, which goes aside. Each step can be undone."""

from __future__ import annotations

import contextlib
import datetime
import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from .._common import files as common_files
from .._common.errors import HardeningError
from .._common.mounts import mounts
from .._common.paths import of_root, open_path
from .._host.accounts import rights
from . import portal as backups_portal
from . import restic, restore_tables
from .portal import FETCHING, STAGED, BackupError, Portal
from .saved_files import below


class Exchange:
    """What is laid beside the portal, before anything changes."""

    def __init__(self, portal: Portal, part: str, path: str = "", run: str = "") -> None:
        self.portal = portal
        self.root = portal.directory
        known = backups_portal.journal(portal)
        begun = [known.get(name) for name in ("phase", "part", "path", "run")]
        self.resumed = begun == [FETCHING, part, path, run]  # a second try goes on where the first ended
        if self.resumed:
            self.journal = known
        else:
            staging = _directory(portal, part != "database")
            self.journal = {
                "part": part,
                "path": path,
                "run": run,
                "since": common_files.now(),
                "staging": staging,
                "kept": f"{os.path.splitext(staging)[0]}.before-{_moment()}",
                "database": {},
            }
        self.journal["swaps"] = []
        self.staging: str = self.journal["staging"]
        self.kept: str = self.journal["kept"]

    def clear(self) -> None:
        """Begin, without what another restore fetched that was killed before anything changed."""
        directory = os.path.dirname(self.staging)
        _refuse_shared(directory)
        if not self.resumed or not os.path.lexists(self.staging):
            self.journal["database"] = {}
            discard(self.portal, self.staging)
            os.makedirs(directory, exist_ok=True)
            os.mkdir(self.staging, 0o700)  # ours, and closed, before anything lies in it
        self.made = os.lstat(self.staging)
        if self.made.st_uid != os.geteuid():
            raise BackupError(f"{self.staging} is not root's. Nothing was changed. Remove it first.")
        self.write_down(FETCHING)

    def write_down(self, phase: str = STAGED) -> None:
        backups_portal.reach(self.portal, self.journal, phase)

    def swap(self, fetched: str, live: str) -> None:
        """Note what is to change places, and refuse while nothing was changed what could not.

        Where its directory is not there, the highest one that is missing comes back with it alone, as it was saved.
        """
        while not os.path.lexists(os.path.dirname(live)):
            fetched, live = os.path.dirname(fetched), os.path.dirname(live)
        refuse_mounts(live)
        above = os.path.dirname(live)
        if _disk(above) != _disk(os.path.dirname(self.staging)):
            raise BackupError(
                f"{live} is on another file system than {self.staging}, so it cannot change places. "
                f"Nothing was changed. What came back is {fetched}: copy it from there."
            )
        try:
            os.close(_of_root(above))
        except BackupError as problem:
            raise BackupError(f"{problem} Nothing was changed.") from problem
        self.journal["swaps"].append([fetched, live, _inode(fetched)])


def discard(portal: Portal, staging: str) -> None:
    """Remove what was fetched."""
    if os.path.lexists(staging):
        remove(staging)
    if restore_tables.may_restore(portal):
        restore_tables.execute(
            portal, f"DROP DATABASE IF EXISTS {restore_tables.quoted(restore_tables.new_database(portal))}"
        )


def remove(directory: str) -> None:
    _refuse_shared(os.path.dirname(directory))
    restic.on_tree("rm", "-rf", "--one-file-system", "--", directory)


def _directory(portal: Portal, files: bool = True) -> str:
    """Beside the portal's directory, inside where that is a file system of its own, or else where our records are.

    From there ``files`` can change places with the portal's, and nobody else can lead them elsewhere. No pattern
    matches a dot.
    """
    root = portal.directory
    parent, name = os.path.split(root)
    records = os.path.join(os.path.realpath(common_files.STATE), "backups")
    problems = []
    for directory, called in ((parent, name), (root, name), (records, portal.site)):
        if _disk(directory) == _disk(root) or directory == records and not files:
            try:
                _refuse_shared(directory)
                return f"{directory}/.{called}.restoring"
            except BackupError as problem:
                problems.append(problem)
    raise problems[0]


def _disk(path: str) -> tuple[int, str]:
    """The file system of a path, or of where it would be, and where that is mounted."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return os.stat(path).st_dev, max((mount for mount in mounts() if below(path, mount)), key=len, default="/")


def refuse_mounts(path: str, *but: str) -> None:
    """Refuse what is, or contains, a file system of its own; ``but`` may be one."""
    mounted = [mount for mount in mounts() if below(mount, path) and mount not in but]
    if mounted:
        raise BackupError(
            f"{mounted[0]} is a file system of its own, which cannot change places. Nothing was changed. Unmount "
            "it first; afterwards mount it elsewhere, and copy what came back onto it."
        )


def _refuse_shared(path: str) -> None:
    """Refuse a way on which others than root can move or exchange anything, as far as it is there."""
    ways = [path, *map(str, PurePosixPath(path).parents)]
    for way in filter(os.path.lexists, reversed(ways)):
        status = os.lstat(way)  # all may write a link
        shared = status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX
        if shared or status.st_uid not in (0, os.geteuid()):
            raise BackupError(
                f"{way} can be written by others than root ({rights(status)}): they could lead what is fetched to "
                f"elsewhere. Nothing was changed. Give it to root first: chown root:root {way} && chmod go-w {way}"
            )


def _moment() -> str:
    return f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%dT%H%M%SZ}"


# ------------------------------------------------------------------------------------------ changing places


def bring(journal: Mapping[str, Any]) -> None:
    """What was there goes aside, and what was fetched takes its place. Doing it twice does nothing."""
    for fetched, live, inode, *_earlier in journal["swaps"]:
        try:
            _bring(fetched, live, inode, _aside(journal, fetched))
        except (HardeningError, OSError) as problem:
            why = (getattr(problem, "strerror", "") or str(problem)).rstrip(".")
            hint = f" Something may be immutable: lsattr -d {shlex.quote(live)} {shlex.quote(os.path.dirname(live))}"
            hint = hint if isinstance(problem, PermissionError) else ""
            raise BackupError(f"{live} cannot be replaced: {why}.{hint}") from problem


def _bring(fetched: str, live: str, inode: int, aside: str) -> None:
    if inode and _inode(fetched) != inode or not inode and (os.path.lexists(aside) or not os.path.lexists(live)):
        return  # done before
    with _open(os.path.dirname(live)) as directory:
        there = f"{directory}/{os.path.basename(live)}"
        if os.path.lexists(there):
            _move(there, aside)
        if inode:
            os.rename(fetched, there)


def take_back(journal: Mapping[str, Any]) -> None:
    """Undo ``bring``, as far as it got: what was in use before is in use again."""
    for fetched, live, inode, *_earlier in reversed(journal["swaps"]):
        old = _aside(journal, fetched)
        if os.path.lexists(old) or inode and _inode(live) == inode:
            with _open(os.path.dirname(live)) as directory:
                there = f"{directory}/{os.path.basename(live)}"
                if os.path.lexists(there):
                    _move(there, fetched)
                if os.path.lexists(old):
                    os.rename(old, there)


def _aside(journal: Mapping[str, Any], fetched: str) -> str:
    return str(journal["kept"] + fetched.removeprefix(journal["staging"]))


def _move(path: str, target: str) -> None:
    """Also where something lies already: requests may have made it anew between two steps."""
    os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
    while os.path.lexists(target):
        target += "~"
    os.rename(path, target)


def _inode(path: str) -> int:
    return os.lstat(path).st_ino if os.path.lexists(path) else 0


@contextlib.contextmanager
def _open(directory: str) -> Iterator[str]:
    """The way to a directory that is open: the web user, who may own it, can lay no link into that way any more."""
    handle = _of_root(directory)
    try:
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


def _of_root(path: str) -> int:
    """Open what no link leads to but root's own."""
    try:
        return open_path(path, of_root)[0]
    except OSError as problem:
        raise BackupError(f"{path}: {problem.strerror}.") from problem
