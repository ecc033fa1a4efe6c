# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Files and directories of a restore change places with those in use, and can change back after each step."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import stat
from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.policy import PermsError
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.tree import open_trusted


class Unchanged(BackupError):
    """What was to change places may not, and did not."""


def rehearse(swaps: Sequence[Sequence[Any]]) -> None:
    """Do each exchange and undo it at once. One that cannot be done is a reason to change nothing."""
    for swap in reversed(swaps):  # a rehearsal may have been killed
        reverse_swap(*swap)
    for fetched, live, inode, *above in swaps:
        refused: Exception | None = None
        try:
            change_places(fetched, live, inode)
        except (HardeningError, OSError) as problem:
            refused = problem
        reverse_swap(fetched, live, inode, *above)
        if refused:
            why = (getattr(refused, "strerror", "") or str(refused)).rstrip(".")
            hint = f" Something may be immutable: lsattr -d {shlex.quote(live)} {shlex.quote(os.path.dirname(live))}"
            hint = hint if os.strerror(errno.EPERM) in why else ""
            raise Unchanged(f"{live} cannot be replaced: {why}. Nothing was changed.{hint}") from refused


def reverse_swap(fetched: str, live: str, inode: int, above: str = "") -> None:
    """Undo ``_change_places``, as far as it got: what was in use before is in use again.

    An exchange that takes several steps may have been killed in between, forwards or backwards.
    """
    aside = f"{fetched}.aside"
    waiting, used, third = (os.lstat(path).st_ino if os.path.lexists(path) else 0 for path in (fetched, live, aside))
    if inode and inode in (used, third) or inode and third or not inode and waiting:
        with _open(os.path.dirname(fetched), os.path.dirname(live)) as directory:
            path = f"{directory}/{os.path.basename(live)}"
            if third and third == inode:
                if not used:
                    os.rename(fetched, path)
                os.rename(aside, fetched)
            elif third:
                if used:
                    os.rename(path, fetched)
                os.rename(aside, path)
            elif waiting and used:
                exchange(fetched, path)
            elif waiting:
                os.rename(fetched, path)
            else:
                os.rename(path, fetched)
    way = os.path.dirname(live)
    if above and inode and not os.path.lexists(live):  # what was made for it alone
        while way != above and below(way, above):
            if os.path.lexists(way):
                with contextlib.suppress(OSError, PermsError), _open(above, os.path.dirname(way)) as directory:
                    os.rmdir(f"{directory}/{os.path.basename(way)}")
            way = os.path.dirname(way)


def change_places(fetched: str, live: str, inode: int) -> None:
    """What was fetched goes where it belongs, what was there goes where that lay."""
    waiting = os.lstat(fetched).st_ino if os.path.lexists(fetched) else 0
    if waiting != inode:
        if not waiting and os.path.lexists(f"{fetched}.aside"):
            os.rename(f"{fetched}.aside", fetched)
        return  # done before
    if not inode and not os.path.lexists(live):
        return
    with _open(os.path.dirname(fetched), os.path.dirname(live)) as directory:
        there = f"{directory}/{os.path.basename(live)}"
        if not inode:  # it came after the backup
            os.makedirs(os.path.dirname(fetched), 0o700, exist_ok=True)
            os.rename(there, fetched)
        elif os.path.lexists(there):
            exchange(fetched, there)
        else:
            os.rename(fetched, there)
            if os.path.lexists(f"{fetched}.aside"):  # an exchange in several steps was killed after the first
                os.rename(f"{fetched}.aside", fetched)


@contextlib.contextmanager
def _open(fetched: str, live: str) -> Iterator[str]:
    """The way to a directory that is open: the web user, who may own it, can lay no link into that way any more."""
    handle = _make_way(fetched, live)
    try:
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


def _make_way(fetched: str, live: str) -> int:
    """Open a directory; make it, and those above, as they were in the backup."""
    if os.path.lexists(live):
        return open_trusted(live)
    with _open(os.path.dirname(fetched), os.path.dirname(live)) as above:
        os.mkdir(f"{above}/{os.path.basename(live)}", 0o700)
        handle = os.open(f"{above}/{os.path.basename(live)}", os.O_DIRECTORY | os.O_NOFOLLOW)
    known = os.stat(fetched)
    os.fchown(handle, known.st_uid, known.st_gid)
    os.fchmod(handle, stat.S_IMODE(known.st_mode))
    return handle


def exchange(one: str, other: str) -> None:
    """Two paths change places in one step."""
    try:
        files.exchange(one, other)
    except OSError as problem:
        place = os.path.realpath(os.path.dirname(other)) + "/" + os.path.basename(other)
        raise BackupError(f"{place} cannot change places with {one}: {problem.strerror}.") from problem


def below(path: str, directory: str) -> bool:
    return f"{path}/".startswith(f"{directory.rstrip('/')}/")
