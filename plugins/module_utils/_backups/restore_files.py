# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a restore: what is fetched beside the portal, and how it changes places with what is in use.

Each exchange can be undone after each of its steps.
"""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import errno
import os
import shlex
import stat
from collections.abc import Iterator, Sequence
from typing import Any

from .._common import files as common_files
from .._common.errors import HardeningError
from .._common.mounts import mounts
from .._common.paths import of_root, open_path
from .._host.accounts import rights
from . import dump, restic, restore_tables, saved_files
from . import portal as backups_portal
from .portal import FETCHING, STAGED, BackupError, Portal, Unchanged
from .restic import Pair, Repository

_EXCHANGE = 2
_HERE = -100
_FILES = ("var", "config", "public/plugin")  # and the environment files
_LEFT = (".git", "node_modules")  # in no backup
_NAMES = 500  # paths in one command line
Source = tuple[Repository, Pair]


class Exchange:
    """What is laid beside the portal, before anything changes places."""

    def __init__(self, portal: Portal, part: str, path: str = "", run: str = "") -> None:
        self.portal = portal
        self.root = portal.directory
        self.staging = _directory(portal, part != "database")
        self.kept = _kept(self.staging)
        self.journal: dict[str, Any] = {
            "part": part,
            "path": path,
            "run": run,
            "since": common_files.now(),
            "staging": self.staging,
            "kept": self.kept,
            "swaps": [],
            "database": {},
        }

    def clear(self) -> None:
        """Begin anew, without what a restore fetched that was killed before anything changed places."""
        self.discard()
        directory, name = os.path.split(self.staging)
        os.makedirs(directory, exist_ok=True)
        handle = _open_roots_alone(directory)
        try:
            os.mkdir(f"/proc/self/fd/{handle}/{name}", 0o700)  # ours, and closed, before anything lies in it
        finally:
            os.close(handle)
        self.made = os.lstat(self.staging)

    def discard(self) -> None:
        discard(self.portal, self.staging)

    def write_down(self, phase: str = STAGED) -> None:
        backups_portal.reach(self.portal, self.journal, phase)

    def _swap(self, fetched: str, live: str) -> None:
        """Note what is to change places, and refuse while nothing was changed what could not."""
        _refuse_mount(live, [mount for mount in mounts() if below(mount, live)])
        above = os.path.dirname(live)
        while not os.path.lexists(above):
            above = os.path.dirname(above)
        if _disk(above) != _disk(os.path.dirname(self.staging)):
            raise BackupError(
                f"{live} is on another file system than {self.staging}, so it cannot change places. "
                f"Nothing was changed. What came back is {fetched}: copy it from there."
            )
        try:
            os.close(_of_root(above))
        except BackupError as problem:
            raise BackupError(f"{problem} Nothing was changed.") from problem
        inode = os.lstat(fetched).st_ino if os.path.lexists(fetched) else 0
        self.journal["swaps"].append([fetched, live, inode, above])


class Staging(Exchange):
    """What is fetched of a backup; what cannot be read of it, of another repository or of an older run.

    What was fetched stays when that fails: a second try of the same goes on where the first ended.
    """

    def __init__(self, portal: Portal, sources: Sequence[Source], part: str = "host", path: str = "") -> None:
        self.place, self.pair = sources[0]
        super().__init__(portal, part, path, self.pair.run)
        known = backups_portal.journal(portal)
        same = {"phase": FETCHING, **{name: self.journal[name] for name in ("part", "path", "run", "staging")}}
        self.resumed = {name: known.get(name) for name in same} == same and os.path.lexists(self.staging)
        if self.resumed:
            self.journal, self.kept = {**known, "swaps": []}, known["kept"]
        self.saved = saved_files.saved_root(portal, self.place, self.pair.files)
        # A link may have led elsewhere then.
        self.sources = [one for one in sources if one[1].files.paths == self.pair.files.paths]
        self.left: list[str] = []  # what could not be kept, or has another place
        self.number = 0  # of the files of the backup, where it is known
        self.missing: dict[str, str] = {}  # paths, and why they cannot be read
        self.older: dict[str, str] = {}  # what was taken from older runs

    def clear(self) -> None:
        if self.resumed:
            os.close(_open_roots_alone(self.staging))
            self.made = os.lstat(self.staging)
        else:
            super().clear()

    def stage_files(self, everything: bool) -> None:
        """Fetch the whole directory, or what the application writes and is configured by."""
        self._room(everything)
        saved = restic.literal(self.saved)
        chosen = [saved] if everything else [f"{saved}/{name}" for name in (*_FILES, ".env", ".env.*")]
        self._fetch(
            *(f"{restic.literal(path[:-1])}*" if path.endswith("*") else restic.literal(path) for path in chosen)
        )
        fetched = f"{self.staging}{self.saved}"
        if not os.path.lexists(f"{fetched}/var"):  # a link may lead to what is not there yet
            raise BackupError(f"The backup contains no {self.saved}/var.")
        if not os.path.lexists(self.root):
            self._swap(fetched, self.saved)
            if self.saved != self.root:  # it lay behind a link, and links in it lead on from where it lay
                link = f"{self.staging}{self.root}"
                os.makedirs(os.path.dirname(link), exist_ok=True)
                if not os.path.lexists(link):
                    os.symlink(os.path.relpath(self.saved, os.path.dirname(self.root)), link)
                self._swap(link, self.root)
            return
        names = os.listdir(fetched)
        if everything:  # what came later goes aside too
            names += [name for name in os.listdir(self.root) if name not in names and name not in _LEFT]
        for name in sorted(names):
            if name == "public" and not everything:
                self._swap(f"{fetched}/public/plugin", f"{self.root}/public/plugin")
            elif f"{self.root}/{name}" != self.staging:
                self._swap(f"{fetched}/{name}", f"{self.root}/{name}")

    def refuse_mounts(self, everything: bool) -> None:
        """What is inside as a file system of its own cannot change places."""
        left = [f"{self.root}/{name}" for name in _LEFT]
        insider = [mount for mount in mounts() if mount != self.root and not any(below(mount, path) for path in left)]
        for path in [self.root] if everything else [f"{self.root}/{name}" for name in _FILES]:
            _refuse_mount(path, [mount for mount in insider if below(mount, path)])

    def _fetch(self, *patterns: str) -> None:
        """Fetch all that can be read, each file of the first source that has it whole."""
        asked, problem = list(patterns), ""
        known = False  # which files there are
        for place, pair in self.sources:
            try:
                unread = self._take(place, pair, asked)
            except BackupError as unreadable:
                place.identity()  # where nobody answers, nothing is known to be damaged
                problem = problem or str(unreadable)
                continue
            if not known and any(below(self.saved, path) for path in unread):
                problem = problem or f"{place.shown}: {next(iter(unread.values()))}"
                continue
            came = [path for path in self.missing if path not in unread and os.path.lexists(self.staging + path)]
            came = came if known else [self.saved]
            self.older |= dict.fromkeys(came if pair.run != self.pair.run else (), pair.run)
            self.missing = {path: words for path, words in self.missing.items() if path not in came} | unread
            known = True
            if not self.missing:
                break
            lost = map(restic.literal, self.missing)
            # Of a directory that was asked for in part no more is.
            asked = [one for path in lost for one in ([name for name in patterns if below(name, path)] or [path])]
        if not known:
            raise BackupError(f"Nothing of it can be read. {problem}")
        if not os.path.samestat(os.lstat(self.staging), self.made):
            raise BackupError(f"{self.staging} was exchanged while the backup was fetched. Nothing was changed.")

    def _take(self, place: Repository, pair: Pair, patterns: Sequence[str]) -> dict[str, str]:
        """Fetch some of one source. Returns what it has not whole; of that nothing stays."""
        unread: dict[str, str] = {}
        for first in range(0, len(patterns), _NAMES):
            chosen = [f"--include={pattern}" for pattern in patterns[first : first + _NAMES]]
            unread |= place.fetch(pair.files.id, self.staging, "--verify", *chosen)
        if any(restic.too_long(words) for words in unread.values()):
            self.left.append(
                f"Files whose paths are too long did not come back. Snapshot {pair.files.id} has them. "
                "Because of them restic did not read the others once more after it wrote them."
            )
        unread = {path: words for path, words in unread.items() if not restic.too_long(words)}
        full = [words for words in unread.values() if words.endswith(os.strerror(errno.ENOSPC).lower())]
        if full:
            raise OSError(errno.ENOSPC, full[0])
        if unread:
            place.identity()
        for path in unread:
            with contextlib.suppress(FileNotFoundError, IsADirectoryError, NotADirectoryError):
                os.unlink(self.staging + os.path.normpath(f"/{path}"))
        return unread

    def incomplete(self) -> str:
        """What is not as in the backup, in a sentence; its list is written. Empty where all is."""
        if not self.missing and not self.older:
            return ""
        name = f"{self.portal.site}.not-restored-{os.path.basename(self.kept).rpartition('-')[2]}.txt"
        path = os.path.join(common_files.STATE, "backups", name)
        lines = [f"Of the backup {self.pair.run}:"]
        lines += [f"{ascii(name)[1:-1]}\tmissing: {why}" for name, why in sorted(self.missing.items())]
        lines += [f"{ascii(name)[1:-1]}\tof the older backup {run}" for name, run in sorted(self.older.items())]
        common_files.replace_file(path, "\n".join([*lines, ""]))
        of = f" of {self.number:,} files" if self.number else f" path{'s' * (len(self.missing) > 1)}"
        counts = [f"{len(self.missing)}{of} that cannot be read"] if self.missing else []
        counts += [f"{len(self.older)} of an older backup"] if self.older else []
        return f"Restored but for {', and '.join(counts)}. The list: {path}"

    def elsewhere(self) -> list[str]:
        """What links lead to stays as it is: it may be on another disk, and others may use it."""
        return [
            f"Left as it is, because a link leads there: {path}. Snapshot {self.pair.files.id} has it too."
            if os.path.lexists(path)
            else f"A link leads to {path}, which is not there. To restore it as well, restore this file or directory."
            for path in self._linked()
        ]

    def _linked(self) -> list[str]:
        ours = (self.saved, backups_portal.path_of(self.portal.site))
        return [path for path in self.pair.files.paths if path not in ours]

    def stage_file(self, path: str) -> None:
        """Fetch one file, or one directory, also of what links lead to."""
        live = os.path.normpath(os.path.join(self.root, path))
        if live.startswith(f"{self.saved}/"):  # as the backup calls it
            live = self.root + live.removeprefix(self.saved)
        desired = live
        if live.startswith(f"{self.root}/"):
            desired = self.saved + live.removeprefix(self.root)
        elif not any(below(live, linked) for linked in self._linked()):
            raise BackupError(f"{path} is not below {self.root}, nor does a link of the backup lead there.")
        self._fetch(restic.literal(desired))
        fetched = f"{self.staging}{desired}"
        if not os.path.lexists(fetched):
            raise BackupError(" ".join([*self.left, *self.missing.values()]) or f"{desired} is not in that backup.")
        self._swap(fetched, live)

    def stage_database(self) -> None:
        """Load the dump into a database of its own."""
        if not restore_tables.may_restore(self.portal):
            raise BackupError(
                "No database server runs on this host: install mariadb-server first."
                if self.portal.local
                else f"The database is on {self.portal.host}. Put the login of an account that may make databases "
                f"there into {restore_tables.login_file(self.portal)}, below [client], for as long as the restore "
                "takes."
            )
        if not self.journal["database"]:  # else the first try loaded it
            self._load()
        if self.journal["database"]["run"] != self.pair.run:
            self.older["the database"] = self.journal["database"]["run"]
        if restore_tables.rows(
            self.portal, f"SHOW DATABASES WHERE `Database` = {restore_tables.text(self.portal.name)}"
        ):
            self._keep_objects()

    def _load(self) -> None:
        path = f"{self.staging}/database.sql"
        run, reading = self._dump(path)
        new = restore_tables.new_database(self.portal)
        made = f"{restore_tables.quoted(new)} CHARACTER SET utf8mb4"
        restore_tables.execute(self.portal, f"DROP DATABASE IF EXISTS {restore_tables.quoted(new)}")
        restore_tables.execute(self.portal, f"CREATE DATABASE {made}")
        with open(path, "rb") as stream, restore_tables.large_rows(self.portal):
            restore_tables.execute(self.portal, "", new, stream)
        if not set(reading.done().tables) <= set(restore_tables.tables(self.portal, new)):
            raise BackupError("Not every table of the dump could be loaded. Nothing was changed.")
        os.unlink(path)
        restore_tables.write_objects(self.portal, new, f"{self.staging}/{restore_tables.COMING}")
        restore_tables.execute(self.portal, restore_tables.drops(self.portal, new))
        moment = os.path.basename(self.kept).rpartition("-")[2]
        self.journal["database"] = {"new": new, "old": f"{self.portal.name[:40]}_before_{moment}", "run": run}
        self.write_down(FETCHING)

    def _dump(self, path: str) -> tuple[str, dump.Reading]:
        """The newest dump that can be read, and the run it is of."""
        problem = ""
        for place, pair in self.sources:
            try:
                with open(path, "wb") as output:
                    place.run("dump", pair.database.id, restic.DUMP, output=output)
                reading = dump.read(path)
                if reading.tail.endswith(dump.stamp(pair.run)):
                    return pair.run, reading
                problem = problem or "The dump in the backup is not whole, or of another run."
            except BackupError as unread:
                place.identity()  # as above
                problem = problem or str(unread)
        raise BackupError(f"{problem} Nothing was changed.")

    def _keep_objects(self) -> None:
        """Write down what cannot move aside. What is damaged cannot be written down, and is a reason to restore."""
        for write, name in (
            (restore_tables.write_triggers, restore_tables.TRIGGERS),
            (restore_tables.write_objects, restore_tables.GOING),
        ):
            with contextlib.suppress(FileNotFoundError):  # of the first try
                os.unlink(f"{self.staging}/{name}")
            try:
                write(self.portal, self.portal.name, f"{self.staging}/{name}", "--force")
            except BackupError as problem:
                self.left.append(f"Not all that was there could be written down in {self.kept}/{name}. {problem}")

    def _room(self, everything: bool) -> None:
        prefix = tuple(f"{self.saved}/{name}" for name in ("", *_FILES))[not everything :]
        needed = 0
        try:
            for node in self.place.nodes(self.pair.files.id):
                if node["path"].startswith(prefix):
                    needed += int(node.get("size", 0))
                    self.number += node["type"] == "file"
        except BackupError:  # what of it can be read is found out below
            self.number = 0
            return
        directory = os.path.dirname(self.staging)
        there = os.statvfs(directory)
        free = there.f_bavail * there.f_frsize
        if free < (needed - (restic.size(self.staging) if self.resumed else 0)) * 1.05:
            raise BackupError(f"{directory} has {free / 1e6:.0f} MB free, the restore needs {needed / 1e6:.0f}.")


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
                os.close(_open_roots_alone(directory))
                return f"{directory}/.{called}.restoring"
            except BackupError as problem:
                problems.append(problem)
    raise problems[0]


def discard(portal: Portal, staging: str) -> None:
    """Remove what was fetched."""
    if os.path.lexists(staging):
        remove(staging)
    if restore_tables.may_restore(portal):
        restore_tables.execute(
            portal, f"DROP DATABASE IF EXISTS {restore_tables.quoted(restore_tables.new_database(portal))}"
        )


def remove(directory: str) -> None:
    os.close(_open_roots_alone(os.path.dirname(directory)))
    restic.on_tree("rm", "-rf", "--one-file-system", "--", directory)


def _disk(path: str) -> tuple[int, str]:
    """The file system of a path, or of where it would be, and where that is mounted."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return os.stat(path).st_dev, max((mount for mount in mounts() if below(path, mount)), key=len, default="/")


def _refuse_mount(path: str, mounted: Sequence[str]) -> None:
    if mounted:
        raise BackupError(
            f"{mounted[0]} is a file system of its own, which cannot change places. Nothing was changed. Unmount "
            "it first; afterwards mount it elsewhere, and copy what came back onto it."
        )


def _open_roots_alone(path: str) -> int:
    """Open a directory, or the nearest above it, on a way on which root alone can move or exchange anything."""
    here, way = os.open("/", os.O_DIRECTORY), "/"
    try:
        for name in [*filter(None, path.split("/")), ""]:
            status = os.fstat(here)
            shared = status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX
            if shared or status.st_uid not in (0, os.geteuid()):
                raise BackupError(
                    f"{way} can be written by others than root ({rights(status)}): they could lead what is "
                    f"fetched to elsewhere. Nothing was changed. Give it to root first: chown root:root {way} && "
                    f"chmod go-w {way}"
                )
            if not name or not os.path.lexists(f"/proc/self/fd/{here}/{name}"):
                break
            below = os.open(name, os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here, way = below, os.path.join(way, name)
        return here
    except (BackupError, OSError):
        os.close(here)
        raise


def _kept(staging: str) -> str:
    now = datetime.datetime.now(datetime.timezone.utc)
    return f"{os.path.splitext(staging)[0]}.before-{now:%Y%m%dT%H%M%SZ}"


# ------------------------------------------------------------------------------------------ changing places


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
                with contextlib.suppress(OSError, BackupError), _open(above, os.path.dirname(way)) as directory:
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
        return _of_root(live)
    with _open(os.path.dirname(fetched), os.path.dirname(live)) as above:
        os.mkdir(f"{above}/{os.path.basename(live)}", 0o700)
        handle = os.open(f"{above}/{os.path.basename(live)}", os.O_DIRECTORY | os.O_NOFOLLOW)
    known = os.stat(fetched)
    os.fchown(handle, known.st_uid, known.st_gid)
    os.fchmod(handle, stat.S_IMODE(known.st_mode))
    return handle


def _of_root(path: str) -> int:
    """Open what no link leads to but root's own."""
    try:
        return open_path(path, of_root)[0]
    except OSError as problem:
        raise BackupError(f"{path}: {problem.strerror}.") from problem


def exchange(one: str, other: str) -> None:
    """Two paths change places, in one step where the file system can do that."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        if libc.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
            return
        code = ctypes.get_errno()
        if code not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(code, os.strerror(code))
        aside = f"{one}.aside"
        os.rename(other, aside)
        os.rename(one, other)
        os.rename(aside, one)
    except OSError as problem:
        place = os.path.realpath(os.path.dirname(other)) + "/" + os.path.basename(other)
        raise BackupError(f"{place} cannot change places with {one}: {problem.strerror}.") from problem


def below(path: str, directory: str) -> bool:
    return f"{path}/".startswith(f"{directory.rstrip('/')}/")
