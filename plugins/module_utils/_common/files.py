# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are replaced whole, by one rename.

``Tree`` inspects and replaces paths, always through open directories, so that a user who may write to a directory on
the way cannot redirect root.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import time
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .errors import HardeningError
from .paths import of_root, open_path

STATE = "/var/lib/chamilo-hardening"
LINK = "-> "  # before the target of a link, where a file has its checksum
# No include pattern of a web server matches a name that begins with a dot ("sites-enabled/*", "conf.d/*.conf").
TEMPORARY = ".chamilo-hardening."
_MOST = 64 << 20  # bytes of a file that this collection writes or restores
_NOTED = 200  # files that are remembered

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class StateError(HardeningError):
    """A path or the saved state cannot be used; the message states why and what to do."""


@dataclass(frozen=True)
class Item:
    """What lies at a path. ``data`` is in memory only; ``blob`` names the copy of it in the store."""

    kind: str = "absent"
    uid: int = 0
    gid: int = 0
    mode: int = 0
    target: str = ""
    sha256: str = ""
    blob: str = ""
    mtime_ns: int = 0
    xattrs: tuple[tuple[str, str], ...] = ()
    data: bytes = field(default=b"", compare=False, repr=False)

    @property
    def is_file(self) -> bool:
        return self.kind == "file"

    @property
    def is_link(self) -> bool:
        return self.kind == "link"

    @property
    def is_there(self) -> bool:
        return self.kind != "absent"

    def same(self, other: Item) -> bool:
        """Content, owner and mode agree: there is nothing to do."""
        if self.kind != other.kind or not self.is_there:
            return self.kind == other.kind
        if self.is_link:
            return self.target == other.target
        mine = (self.sha256, self.uid, self.gid, self.mode)
        return mine == (other.sha256, other.uid, other.gid, other.mode)

    def reads_as(self, other: Item) -> bool:
        """The content agrees. Owners and modes change without an edit: with PHP's user, or by section permissions."""
        return self.kind == other.kind and self.target == other.target and self.sha256 == other.sha256

    def to_json(self) -> dict[str, Any]:
        """The item without its bytes and without empty values."""
        known = {
            name: getattr(self, name)
            for name in ("kind", "uid", "gid", "mode", "target", "sha256", "blob", "mtime_ns")
            if getattr(self, name)
        }
        if self.xattrs:
            known["xattrs"] = [list(pair) for pair in self.xattrs]
        return known

    @classmethod
    def from_json(cls, known: Mapping[str, Any]) -> Item:
        """The reverse of ``to_json``."""
        values = dict(known)
        values["xattrs"] = tuple((name, value) for name, value in values.get("xattrs", ()))
        return cls(**values)


ABSENT = Item()


def file_item(data: bytes, uid: int, gid: int, mode: int) -> Item:
    """The desired state of a regular file."""
    return Item("file", uid, gid, mode, sha256=hashlib.sha256(data).hexdigest(), data=data)


class Tree:
    """The file system, reached by directories that are opened once and kept open until ``close``."""

    def __init__(self) -> None:
        self._open: dict[str, int] = {}

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, *_unused: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget the open directories."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def inspect(self, path: str) -> Item:
        """What lies at ``path`` now."""
        directory, name = os.path.split(path)
        try:
            parent = self._directory(directory)
            info = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return ABSENT
        if stat.S_ISLNK(info.st_mode):
            return Item("link", info.st_uid, info.st_gid, target=os.readlink(name, dir_fd=parent))
        must_be_file(path, info)
        # It may have been exchanged meanwhile: a FIFO would keep us waiting.
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
        try:
            info = os.fstat(handle)
            must_be_file(path, info)
            data = _read_all(handle, info.st_size)
            if len(data) > _MOST:
                raise StateError(f"{path} is larger than {_MOST >> 20} MiB. Move it out of the way first.")
            seen = file_item(data, info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode))
            return replace(seen, mtime_ns=info.st_mtime_ns, xattrs=_xattrs(handle))
        finally:
            os.close(handle)

    def missing_parents(self, path: str) -> list[str]:
        """The directories above ``path`` that do not exist, outermost first."""
        missing: list[str] = []
        directory = os.path.dirname(path)
        while directory != "/":
            try:
                self._directory(directory)
                break
            except FileNotFoundError:
                missing.insert(0, directory)
                directory = os.path.dirname(directory)
        return missing

    def make_directory(self, path: str, mode: int = 0o755) -> None:
        """Make one directory of root; one that is there already is left alone."""
        directory, name = os.path.split(path)
        parent = self._directory(directory)
        try:
            os.mkdir(name, mode, dir_fd=parent)
        except FileExistsError:
            return
        made = os.open(name, _DIRECTORY, dir_fd=parent)
        try:
            os.fchmod(made, mode)  # whatever the umask
        finally:
            os.close(made)
        os.fsync(parent)

    def remove_directory(self, path: str) -> bool:
        """Remove an empty directory. False when it is not empty."""
        directory, name = os.path.split(path)
        if path in self._open:
            os.close(self._open.pop(path))
        try:
            parent = self._directory(directory)
            os.rmdir(name, dir_fd=parent)
            os.fsync(parent)
        except FileNotFoundError:
            return True
        except OSError as problem:
            if problem.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY, errno.ENOTDIR):
                return False
            raise
        return True

    def stage(self, path: str, item: Item, temporary: str) -> None:
        """Write ``item`` beside ``path`` under a name no server reads. Nothing to write for an absent one."""
        parent = self._directory(os.path.dirname(path))
        self.discard(path, temporary)
        if item.is_link:
            os.symlink(item.target, temporary, dir_fd=parent)
            os.chown(temporary, item.uid, item.gid, dir_fd=parent, follow_symlinks=False)
        elif item.is_file:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            handle = os.open(temporary, flags, 0o600, dir_fd=parent)
            try:
                _write_all(handle, item.data)
                os.fchown(handle, item.uid, item.gid)
                os.fchmod(handle, item.mode)
                for name, value in item.xattrs:
                    _set_xattr(handle, name, b64decode(value))
                if item.mtime_ns:
                    os.utime(handle, ns=(item.mtime_ns, item.mtime_ns))
                os.fsync(handle)
            finally:
                os.close(handle)

    def swap(self, path: str, item: Item, temporary: str) -> None:
        """Put what was staged in the place of ``path``, in one step."""
        directory, name = os.path.split(path)
        try:
            parent = self._directory(directory)
            if not item.is_there:
                os.unlink(name, dir_fd=parent)
            else:
                os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        except FileNotFoundError:
            if item.is_there:
                raise

    def discard(self, path: str, temporary: str) -> None:
        """Remove what was staged and not swapped in."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=self._directory(os.path.dirname(path)))

    def sync(self, paths: Iterable[str]) -> None:
        """Make the names in the directories of these paths durable."""
        for directory in sorted({os.path.dirname(path) for path in paths}):
            with contextlib.suppress(FileNotFoundError):
                os.fsync(self._directory(directory))

    def write(self, path: str, item: Item) -> None:
        """Replace one file, durably."""
        temporary = TEMPORARY + os.path.basename(path)
        self.stage(path, item, temporary)
        self.swap(path, item, temporary)
        self.sync([path])

    def _directory(self, path: str) -> int:
        """An open directory. A link on the way is followed only where root made it and only root can move it."""
        if path not in self._open:
            try:
                handle = open_path(path or "/", of_root)[0]
            except NotADirectoryError as problem:
                raise StateError(f"{path} cannot be reached: something on the way is not a directory.") from problem
            except OSError as problem:
                if problem.errno != errno.ELOOP:
                    raise
                raise StateError(f"{path} is not used: {problem.strerror}.") from problem
            self._open[path] = handle
            if not stat.S_ISDIR(os.fstat(handle).st_mode):
                os.close(self._open.pop(path))
                raise StateError(f"{path} cannot be reached: it is not a directory.")
        return self._open[path]


def must_be_file(path: str, info: os.stat_result) -> None:
    if not stat.S_ISREG(info.st_mode):
        raise StateError(f"{path} is neither a file nor a link. Move it out of the way first.")


def _read_all(handle: int, size: int) -> bytes:
    """A file, or a byte more than the most. The web user may have made it a terabyte, or go on writing."""
    parts: list[bytes] = []
    left = _MOST + 1
    while left > 0:
        part = os.read(handle, min(max(size, 4096) + 1, left))
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _write_all(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _xattrs(handle: int) -> tuple[tuple[str, str], ...]:
    """Access lists and labels, to put them back with the file."""
    try:
        names = os.listxattr(handle)
    except OSError as problem:
        if problem.errno == errno.ENOTSUP:
            return ()
        raise
    return tuple((name, b64encode(os.getxattr(handle, name)).decode()) for name in sorted(names))


def has_acl(handle: int) -> bool:
    return any(name == "system.posix_acl_access" for name, _value in _xattrs(handle))


def _set_xattr(handle: int, name: str, value: bytes) -> None:
    try:
        os.setxattr(handle, name, value)
    except OSError as problem:
        # In a container root may not set each label it sees. The content must come back all the same.
        if problem.errno not in (errno.EPERM, errno.ENOTSUP):
            raise


def replace_file(path: str, text: str, mode: int = 0o600) -> None:
    """Replace a file of root durably; missing directories are created for root alone."""
    with Tree() as tree:
        for directory in tree.missing_parents(path):
            tree.make_directory(directory, 0o700)
        tree.write(path, file_item(text.encode(), os.geteuid(), os.getegid(), mode))


def document(path: str) -> Any:
    """The JSON of a file; an empty map when it is not there. Raises ValueError when it is damaged."""
    try:
        with open(path, "rb") as stream:
            return json.load(stream)
    except FileNotFoundError:
        return {}


def note_written(path: str, state: str = "") -> None:
    """Remember that we wrote a file of the application outside the transactions: the daily comparison expects it."""
    directory = state or STATE
    with Tree() as tree:
        item = tree.inspect(path)
        known = [entry for entry in noted(directory) if entry[0] != os.path.realpath(path)]
        text = json.dumps([*known, (os.path.realpath(path), item.sha256)][-_NOTED:]) + "\n"
    replace_file(os.path.join(directory, "written.json"), text)


def noted(state: str = "") -> list[tuple[str, str]]:
    """Those files, each with the checksum it had then."""
    try:
        with open(os.path.join(state or STATE, "written.json"), encoding="utf-8") as stream:
            return [(str(path), str(checksum)) for path, checksum in json.load(stream)]
    except (FileNotFoundError, ValueError):
        return []


def now() -> str:
    """The time of day in a form that sorts."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
