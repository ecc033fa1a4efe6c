# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""What Symfony compiled, put away and compiled again: that of one program would break the console of another.

All is done through open directories, against a web user who exchanges them, and the old cache stays where the new one
cannot be compiled.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Callable, Sequence

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_SECONDS = 600
_ENDS = 300  # characters of the console's output

Run = Callable[[Sequence[str], float], "tuple[int, str]"]


def anew(cache: int, console: Sequence[str], run: Run) -> str:
    """``cache``: the directory var/cache, open. Returns what went wrong; the old cache is there then."""
    name, old = _apart(cache)
    done = False
    try:
        _move(cache, old, name)
        code, output = run(console, _SECONDS)
        done = not code
        return _why(console, code, output)
    finally:
        try:
            if not done:
                _restore(cache, old, name)
        finally:
            _remove(cache, name, old)


def _why(console: Sequence[str], code: int, output: str) -> str:
    words = f"`{' '.join(console)}` ended with {code}: {output.strip()[-_ENDS:]}"
    return f"the cache could not be compiled again, so the old one is back. {words}" if code else ""


def _restore(cache: int, old: int, name: str) -> None:
    other, new = _apart(cache)
    try:
        _move(cache, new, name, other)
        _move(old, cache)
    finally:
        _remove(cache, other, new)


def _apart(cache: int) -> tuple[str, int]:
    """A directory that only root can enter."""
    name = f".chamilo-hardening-{secrets.token_hex(8)}"
    os.mkdir(name, 0o700, dir_fd=cache)
    handle = os.open(name, _DIRECTORY, dir_fd=cache)
    if os.fstat(handle).st_uid != os.geteuid() or os.fstat(handle).st_mode & 0o077:
        os.close(handle)
        raise OSError(f"var/cache/{name} was exchanged meanwhile")
    return name, handle


def _move(source: int, target: int, *but: str) -> None:
    for name in os.listdir(source):
        if name not in but:
            try:
                os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
            except FileNotFoundError:  # it went meanwhile
                continue
            except OSError as problem:
                if problem.errno != errno.EXDEV:
                    raise
                # Of an image's lower layer, or a mount: it cannot come back, and is compiled anew.
                _delete(source, name)


def _delete(source: int, name: str) -> None:
    handle = os.open(name, _DIRECTORY, dir_fd=source)
    _remove(source, name, handle)
    with contextlib.suppress(FileNotFoundError):
        os.stat(name, dir_fd=source, follow_symlinks=False)
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), name)


def _remove(cache: int, name: str, handle: int) -> None:
    """Remove with all contents. What the web user creates meanwhile stays in a directory that only root can enter."""
    try:
        for _path, directories, files, directory in os.fwalk(".", topdown=False, dir_fd=handle):
            for entry in files:
                with contextlib.suppress(OSError):
                    os.unlink(entry, dir_fd=directory)
            for entry in directories:
                with contextlib.suppress(OSError):
                    _unlink_any(entry, directory)
    finally:
        os.close(handle)
    with contextlib.suppress(OSError):
        os.rmdir(name, dir_fd=cache)


def _unlink_any(name: str, directory: int) -> None:
    try:
        os.rmdir(name, dir_fd=directory)
    except NotADirectoryError:  # a link to a directory
        os.unlink(name, dir_fd=directory)
