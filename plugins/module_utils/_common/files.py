# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Files that are replaced whole, and the memory of what this collection did on a host.

``Tree`` looks at paths and replaces them, always through open directories, so that nobody who may write to a directory
on the way can lead root elsewhere. ``Store`` is ``/var/lib/chamilo-hardening``: one lock for the host, one small
``state.json`` that is only ever replaced whole (that replacement is what "committed" means), and copies of old files.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import stat
import time
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import open_path, shown

STATE = "/var/lib/chamilo-hardening"
# No include pattern of a web server matches a name that begins with a dot ("sites-enabled/*", "conf.d/*.conf").
TEMPORARY = ".chamilo-hardening."
_MOST = 64 << 20  # bytes of a file that this collection writes, or puts back
_NOTED = 200  # files that are remembered

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class StateError(Exception):
    """A path or the memory of this collection cannot be used; the text says why and what to do."""


class Busy(StateError):
    """Somebody else holds the lock of this host."""


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

    def same(self, other: Item) -> bool:
        """Content, owner and mode agree: there is nothing to do."""
        if self.kind != other.kind or self.kind == "absent":
            return self.kind == other.kind
        if self.kind == "link":
            return self.target == other.target
        mine = (self.sha256, self.uid, self.gid, self.mode)
        return mine == (other.sha256, other.uid, other.gid, other.mode)

    def to_json(self) -> dict[str, Any]:
        """The item without its bytes and without what says nothing."""
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
    """A regular file as it is wanted."""
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

    def look(self, path: str) -> Item:
        """What lies at ``path`` now."""
        folder, name = os.path.split(path)
        try:
            parent = self._directory(folder)
            info = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return ABSENT
        if stat.S_ISLNK(info.st_mode):
            return Item("link", info.st_uid, info.st_gid, target=os.readlink(name, dir_fd=parent))
        _must_be_file(path, info)
        # It may have been exchanged meanwhile: a FIFO would keep us waiting.
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
        try:
            info = os.fstat(handle)
            _must_be_file(path, info)
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
        folder = os.path.dirname(path)
        while folder != "/":
            try:
                self._directory(folder)
                break
            except FileNotFoundError:
                missing.insert(0, folder)
                folder = os.path.dirname(folder)
        return missing

    def make_directory(self, path: str, mode: int = 0o755) -> None:
        """Make one directory of root; one that is there already is left alone."""
        folder, name = os.path.split(path)
        parent = self._directory(folder)
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
        """Remove an empty directory. False when it holds something."""
        folder, name = os.path.split(path)
        if path in self._open:
            os.close(self._open.pop(path))
        try:
            parent = self._directory(folder)
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
        if item.kind == "link":
            os.symlink(item.target, temporary, dir_fd=parent)
            os.chown(temporary, item.uid, item.gid, dir_fd=parent, follow_symlinks=False)
        elif item.kind == "file":
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
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
        folder, name = os.path.split(path)
        try:
            parent = self._directory(folder)
            if item.kind == "absent":
                os.unlink(name, dir_fd=parent)
            else:
                os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        except FileNotFoundError:
            if item.kind != "absent":
                raise

    def discard(self, path: str, temporary: str) -> None:
        """Remove what was staged and not swapped in."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=self._directory(os.path.dirname(path)))

    def sync(self, paths: Iterable[str]) -> None:
        """Make the names in the directories of these paths durable."""
        for folder in sorted({os.path.dirname(path) for path in paths}):
            with contextlib.suppress(FileNotFoundError):
                os.fsync(self._directory(folder))

    def write(self, path: str, item: Item) -> None:
        """Replace one file, durably."""
        temporary = TEMPORARY + os.path.basename(path)
        self.stage(path, item, temporary)
        self.swap(path, item, temporary)
        self.sync([path])

    def _directory(self, path: str) -> int:
        """An open directory. A link on the way is followed only where root made it, and nobody else can move it."""
        if path not in self._open:
            try:
                handle = open_path(path or "/", _not_ours)[0]
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


def _not_ours(part: str, _target: str, link: os.stat_result, folder: os.stat_result) -> str:
    ours = {0, os.geteuid()}
    if link.st_uid not in ours:
        return f"{shown(part)} on the way is a link that root did not make"
    if folder.st_uid not in ours or (folder.st_mode & 0o022 and not folder.st_mode & stat.S_ISVTX):
        return f"{shown(part)} on the way is a link in a directory that others can change. Give that directory to root"
    return ""


def _must_be_file(path: str, info: os.stat_result) -> None:
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


def _set_xattr(handle: int, name: str, value: bytes) -> None:
    try:
        os.setxattr(handle, name, value)
    except OSError as problem:
        # In a container root may not set each label it sees. The content must come back all the same.
        if problem.errno not in (errno.EPERM, errno.ENOTSUP):
            raise


class Store:
    """The directory of the collection's memory on a host. Everything but ``peek`` wants the lock held."""

    def __init__(self, root: str = STATE) -> None:
        self.root = root
        self._tree = Tree()

    @contextlib.contextmanager
    def lock(self, who: str, wait: float) -> Iterator[None]:
        """Hold the host's one lock; after ``wait`` seconds say who has it instead."""
        self._make_root()
        handle = os.open(os.path.join(self.root, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            end = time.monotonic() + wait
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as problem:
                    if time.monotonic() >= end:
                        raise Busy(
                            f"Waited {wait:.0f} seconds for the lock of this host, which is held by {_holder(handle)}. "
                            "No file was changed. Run again when that is done."
                        ) from problem
                    time.sleep(0.1)
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{who} (process {os.getpid()}, since {now()})\n".encode(), 0)
            yield
        finally:
            os.close(handle)
            self._tree.close()

    def holder(self) -> str:
        """Who holds the lock now, or an empty text."""
        try:
            handle = os.open(os.path.join(self.root, "lock"), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return ""
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _holder(handle)
        finally:
            os.close(handle)
        return ""

    def peek(self) -> dict[str, Any]:
        """The state as it was last committed. It is replaced whole, so this needs no lock."""
        try:
            with open(os.path.join(self.root, "state.json"), "rb") as stream:
                state = json.load(stream)
        except FileNotFoundError:
            state = {}
        except ValueError as problem:
            raise StateError(f"{self.root}/state.json is damaged ({problem}). Restore it from a backup.") from problem
        fresh: dict[str, Any] = {
            "version": 1,
            "serial": 0,
            "open": None,
            "pending": {},
            "directories": [],
            "records": {},
            "left": {},
        }
        return {**fresh, **state}

    def commit(self, state: Mapping[str, Any]) -> None:
        """Replace the state, durably and in one step."""
        text = json.dumps(state, indent=1, sort_keys=True) + "\n"
        item = file_item(text.encode(), os.geteuid(), os.getegid(), 0o600)
        self._tree.write(os.path.join(self.root, "state.json"), item)

    def keep(self, blob: str, data: bytes) -> None:
        """Store bytes under a name relative to the root, readable by root alone."""
        path = os.path.join(self.root, blob)
        for folder in self._tree.missing_parents(path):
            self._tree.make_directory(folder, 0o700)
        self._tree.write(path, file_item(data, os.geteuid(), os.getegid(), 0o600))

    def load(self, item: Item) -> Item:
        """The item with its bytes, from the store."""
        if item.kind != "file" or item.data:
            return item
        try:
            with open(os.path.join(self.root, item.blob), "rb") as stream:
                data = stream.read()
        except FileNotFoundError as problem:
            raise StateError(f"{self.root}/{item.blob} is gone. It cannot be put back.") from problem
        if hashlib.sha256(data).hexdigest() != item.sha256:
            raise StateError(f"{self.root}/{item.blob} is not the copy that was made. It cannot be put back.")
        return replace(item, data=data)

    def prune(self, wanted: Iterable[str]) -> None:
        """Remove the copies that nothing refers to any more."""
        keep = {os.path.join(self.root, blob) for blob in wanted}
        self._tree.discard(os.path.join(self.root, "state.json"), f"{TEMPORARY}state.json")
        for part in ("transactions", "baseline"):
            for folder, _folders, names in os.walk(os.path.join(self.root, part), topdown=False):
                for name in names:
                    if os.path.join(folder, name) not in keep:
                        os.unlink(os.path.join(folder, name))
                self._tree.remove_directory(folder)

    def _make_root(self) -> None:
        try:
            mode = stat.S_IMODE(os.stat(self.root).st_mode)
        except FileNotFoundError:
            for folder in self._tree.missing_parents(self.root):
                self._tree.make_directory(folder)
            self._tree.make_directory(self.root, 0o700)
            mode = 0o700
        if mode != 0o700:
            os.chmod(self.root, 0o700)


def _holder(handle: int) -> str:
    return os.pread(handle, 200, 0).decode(errors="replace").strip() or "an unknown process"


def replace_file(path: str, text: str, mode: int = 0o600) -> None:
    """Replace a file of root's own, durably; folders that are missing are made for root alone."""
    with Tree() as tree:
        for folder in tree.missing_parents(path):
            tree.make_directory(folder, 0o700)
        tree.write(path, file_item(text.encode(), os.geteuid(), os.getegid(), mode))


def note_written(path: str, state: str = "") -> None:
    """Remember that we wrote a file of the application outside the transactions: the daily comparison expects it."""
    folder = state or STATE
    with Tree() as tree:
        item = tree.look(path)
        known = [entry for entry in noted(folder) if entry[0] != os.path.realpath(path)]
        text = json.dumps([*known, (os.path.realpath(path), item.sha256)][-_NOTED:]) + "\n"
    replace_file(os.path.join(folder, "written.json"), text)


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
