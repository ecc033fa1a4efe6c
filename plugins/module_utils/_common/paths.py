# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a path step by step. A link on the way is followed only if its owner is trusted to redirect root."""

from __future__ import annotations

import errno
import functools
import os
import pwd
import stat
from collections.abc import Callable

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# Neither a FIFO nor a lease of another user makes this wait.
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_ON_THE_WAY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
_FEW = 40
_SHOWN = 4096  # characters of a name; a path that can be given to a command is no longer

# (name of a link, where it leads, what it is, what its directory is) -> why it is not followed, or an empty text
Refusal = Callable[[str, str, os.stat_result, os.stat_result], str]


def shown(path: str) -> str:
    """A name that can harm neither a terminal nor a report."""
    text = path if path.isprintable() else ascii(path)[1:-1]
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]} ... {text[-_SHOWN // 2 :]}"


def open_below(top: int, path: str, flags: int = 0) -> int:
    """Open a path below a directory that is open; no link on the way is followed."""
    *directories, name = path.split("/")
    handle = os.dup(top)
    try:
        for directory in directories:
            below = os.open(directory, FILE | os.O_DIRECTORY, dir_fd=handle)
            os.close(handle)
            handle = below
        return os.open(name, FILE | flags, dir_fd=handle)
    finally:
        os.close(handle)


def open_path(path: str, refusal: Refusal, start: int = -1) -> tuple[int, bool]:
    """An open directory or file, and whether the path itself is a link. ``start``: where a relative path begins."""
    todo = _steps(path)
    here = os.open("/", DIRECTORY) if path.startswith("/") or start < 0 else os.dup(start)
    followed, linked, opened = 0, False, True
    try:
        while todo:
            part = todo.pop()
            status = os.stat(part, dir_fd=here, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                target, status = _link(part, here)
                followed += 1
                why = "too many links" if followed > _FEW else refusal(part, target, status, os.fstat(here))
                if why:
                    raise OSError(errno.ELOOP, why, path)
                linked = linked or not todo
                todo += _steps(target)
                there = os.open("/", DIRECTORY) if target.startswith("/") else os.dup(here)
            else:
                if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):  # opening some is an order to them
                    raise OSError(errno.ENXIO, "no regular file but a device", path)
                opened = not todo
                last = DIRECTORY if stat.S_ISDIR(status.st_mode) else FILE
                there = os.open(part, last if opened else _ON_THE_WAY, dir_fd=here)
            os.close(here)
            here = there
        if not opened:  # a link to a directory above
            there = os.open(".", DIRECTORY, dir_fd=here)
            os.close(here)
            here = there
    except OSError as problem:
        os.close(here)
        problem.filename = path
        raise
    return here, linked


def _link(name: str, directory: int) -> tuple[str, os.stat_result]:
    """Where a link leads, and whose it is: of one and the same, though another may take its place meanwhile."""
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=directory)
    try:
        return os.readlink("", dir_fd=handle), os.fstat(handle)
    finally:
        os.close(handle)


def open_regular(path: str, web_user: str = "") -> int:
    """An open regular file. No link on the way is followed that PHP's user could have laid; nothing is waited for.

    ``web_user``: whom PHP runs as; where that is not known, Debian's.
    """
    return _regular(open_path(path, untrusted(web_user))[0], path)


def read_guarded(path: str, web_user: str, most: int) -> bytes:
    """The first bytes of a regular file of the application's, by the rules of ``open_guarded``."""
    with open(_regular(open_guarded(path, web_user), path), "rb") as file:
        return file.read(most)


def _regular(handle: int, path: str) -> int:
    """The application's user may have put a pipe, a socket or a directory in the place of a file."""
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise OSError(errno.EINVAL, "no regular file", path)


def head(path: str, size: int, web_user: str = "") -> bytes:
    """The first bytes of a regular file; nothing where it cannot be read, or only through a link of the web user's."""
    return _piece(path, size, os.SEEK_SET, web_user)


def tail(path: str, size: int, web_user: str = "") -> bytes:
    """The last bytes of a regular file; nothing where it cannot be read, or only through a link of the web user's."""
    return _piece(path, size, os.SEEK_END, web_user)


def _piece(path: str, size: int, whence: int, web_user: str) -> bytes:
    try:
        descriptor = open_regular(path, web_user)
    except OSError:
        return b""
    try:
        start = max(0, os.fstat(descriptor).st_size - size) if whence == os.SEEK_END else 0
        return os.pread(descriptor, size, start)
    except OSError:  # on some file systems of the kernel's
        return b""
    finally:
        os.close(descriptor)


def open_guarded(path: str, web_user: str) -> int:
    """An open file of the application's that root goes by. PHP's user cannot have led it there by a link.

    A link counts as root's own or that of its folder's owner, such as a deploy user. ``web_user``: whom PHP runs as;
    where that is not known, Debian's.
    """
    web = _Web(web_user or "www-data")
    handle, linked = open_path(path, web.refusal)
    status = os.fstat(handle)
    why = ""
    if linked and web.may_change(status):
        why = (
            f"which {web.name} can change. Give that file to root, with mode 640 and the group of {web.name}, or put it"
        )
        why += " in the place of the link"
    elif linked and status.st_uid == 0 and not status.st_mode & 0o044:
        why = "which root alone can read, and not PHP. Remove the link if it is none of yours; else give PHP the right"
    if why:
        real = shown(os.readlink(f"/proc/self/fd/{handle}"))
        os.close(handle)
        raise OSError(errno.ELOOP, f"it is a link to {real}, {why}", path)
    return handle


def of_root(part: str, target: str, link: os.stat_result, directory: os.stat_result) -> str:
    """Refuses to follow a link that an account other than root could have made, or moved to where it is."""
    ours = {0, os.geteuid()}
    if {link.st_uid, directory.st_uid} <= ours and (not directory.st_mode & 0o022 or directory.st_mode & stat.S_ISVTX):
        return ""
    return (
        f"{shown(part)} is a link to {shown(target)} that an account other than root could have made. Give it and its "
        "directory to root (chown -h root), or name the directory it leads to"
    )


def untrusted(web_user: str) -> Refusal:
    """Refuses to follow a link that PHP's user could have laid. Where that user is not known, Debian's."""
    return _Web(web_user or "www-data").refusal


class _Web:
    """What PHP's user could have done."""

    def __init__(self, name: str) -> None:
        self.name = name

    @functools.cached_property
    def _identity(self) -> tuple[int, frozenset[int]]:
        """Its number and groups. Asked only where a link was found: most paths have none."""
        try:
            user = pwd.getpwnam(self.name)
        except KeyError:
            return -1, frozenset()
        if user.pw_uid in (0, os.geteuid()):  # nothing is gained by leading oneself
            return -1, frozenset()
        return user.pw_uid, frozenset(os.getgrouplist(self.name, user.pw_gid))

    def may_change(self, status: os.stat_result) -> bool:
        (user, groups), mode = self._identity, status.st_mode
        return status.st_uid == user or bool(mode & 0o002 or mode & 0o020 and status.st_gid in groups)

    def refusal(self, part: str, target: str, link: os.stat_result, directory: os.stat_result) -> str:
        user, _groups = self._identity
        sticky = directory.st_mode & stat.S_ISVTX and directory.st_uid != user
        laid = link.st_uid in (0, os.geteuid(), directory.st_uid) and link.st_uid != user
        if laid and (sticky or not self.may_change(directory)):
            return ""
        return (
            f"{shown(part)} is a link of {_name(link.st_uid)} to {shown(target)}, and {self.name} could have laid it. "
            "Remove it if it is none of yours; else give it and its directory to root (chown -h)"
        )


def _steps(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")][::-1]


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
