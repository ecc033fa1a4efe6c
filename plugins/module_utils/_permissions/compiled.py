# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""What Symfony compiled, put away and compiled again: code that was planted there is not part of what was judged.

Requests go on with the old cache until the new one is there: the console has a view of its own, in which the cache is
empty, and what it compiles changes places with the old one in one step of the kernel. Where the kernel refuses that
view, the old cache is put away first, and a request that is under way may miss a file of it. All is done through open
directories, against a web user who exchanges them, and the old cache stays where the new one cannot be compiled.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import sys
from collections.abc import Callable, Sequence

from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import exchange

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_SECONDS = 600
_ENDS = 300  # characters of the console's output
_NEW = "new"
# Run a command for which one directory lies in the place of another. Each is opened by its path, and has to be the one
# that is meant: the web user may have exchanged it.
_VIEW = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def done(code):
    if code:
        sys.exit(os.strerror(ctypes.get_errno()))
def meant(path, known):
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    found = os.fstat(handle)
    if f"{found.st_dev}:{found.st_ino}" != known:
        sys.exit(f"{path} was exchanged meanwhile")
    return f"/proc/self/fd/{handle}".encode()
NEW_NAMESPACE, BIND, PRIVATE, ALL = 0x20000, 0x1000, 0x40000, 0x4000
done(libc.unshare(NEW_NAMESPACE))
done(libc.mount(None, b"/", None, ALL | PRIVATE, None))
done(libc.mount(meant(*sys.argv[1:3]), meant(*sys.argv[3:5]), None, BIND, None))
os.execvp(sys.argv[5], sys.argv[5:])
"""

Run = Callable[[Sequence[str], float], "tuple[int, str]"]


def renew(cache: int, console: Sequence[str], run: Run) -> str:
    """``cache``: the directory var/cache, open. Returns what went wrong; the old cache is there then."""
    name, apart = _apart(cache)
    try:
        new = _empty_like(cache, apart)
        try:
            view = [sys.executable, "-I", "-c", _VIEW, *_named(new), *_named(cache)]
            if not run([*view, "true"], _SECONDS)[0]:
                code, output = run([*view, *console], _SECONDS)
                if not code:
                    _take_over(cache, new, name)
                return _why(console, code, output)
        finally:
            os.close(new)
    finally:
        _remove(cache, name, apart)
    return anew(cache, console, run)


def anew(cache: int, console: Sequence[str], run: Run) -> str:
    """As ``renew``, where what was compiled would not do for the program that is there now: it is put away first."""
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


def _empty_like(cache: int, apart: int) -> int:
    """A directory that the web user can write, below one that it cannot enter."""
    os.mkdir(_NEW, 0o700, dir_fd=apart)
    new = os.open(_NEW, _DIRECTORY, dir_fd=apart)
    known = os.fstat(cache)
    os.fchown(new, known.st_uid, known.st_gid)
    os.fchmod(new, stat.S_IMODE(known.st_mode))
    return new


def _named(handle: int) -> tuple[str, str]:
    found = os.fstat(handle)
    return os.readlink(f"/proc/self/fd/{handle}"), f"{found.st_dev}:{found.st_ino}"


def _take_over(cache: int, new: int, but: str) -> None:
    """What was compiled changes places with what was there, and what nothing took the place of goes aside."""
    compiled = os.listdir(new)
    for name in compiled:
        try:
            exchange(name, name, new, cache)
        except FileNotFoundError:  # there was none before
            os.rename(name, name, src_dir_fd=new, dst_dir_fd=cache)
        except OSError as problem:
            if problem.errno != errno.EXDEV:
                raise
            _delete(cache, name)  # of an image's lower layer
            os.rename(name, name, src_dir_fd=new, dst_dir_fd=cache)
    _move(cache, new, but, *compiled)


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
