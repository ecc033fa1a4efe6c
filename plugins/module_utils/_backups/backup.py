# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Backups of a portal with restic: a snapshot of the database and one of the files, always as a pair.

A pair counts only when both are there, when the dump ended well, and when it carries the stamp of its run. Which one is
the newest is said by the number of its run, a tag of both snapshots: a clock may have been wrong. What a run
needs to know of the last one is in ``/var/lib/chamilo-hardening/backups/<site>.json``; what it did is in
``backups.json`` beside, for the audit.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import functools
import hashlib
import ipaddress
import json
import os
import pwd
import re
import secrets
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import dumps
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import key as backups_key
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import (
    ABANDONING,
    CHANGING,
    BackupError,
    Portal,
    journal,
    note,
    path_of,
    portals,
    remember,
    remembered,
    shown,
    unfinished,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._common import alert, records
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files as common_files
from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import DIRECTORY
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.walk import open_trusted
from ansible_collections.chamilo.hardening.plugins.module_utils._portal import database as portal_database
from ansible_collections.chamilo.hardening.plugins.module_utils._portal import dotenv
from ansible_collections.chamilo.hardening.plugins.module_utils._portal import host as portal_host
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Tree

CACHE = "/var/cache/chamilo-hardening/restic"
TAG = "chamilo-hardening"
DUMP = "/database.sql"  # its path in the snapshot
STAMP = b"-- chamilo-hardening run "
LATE_HOURS, LATE_DRILL_DAYS = 26, 8
_UPKEEP = 6.5 * 86400  # a week, with room for a run that begins earlier than the last one
_SHRUNKEN = 0.5
AHEAD = 3600.0  # seconds a date may be ahead of the clock; beyond, one of the two is wrong
_PATIENCE = 60.0  # seconds, for a repository to answer
_CHUNK = 1 << 20
_ENDED = re.compile(rb"-- Dump completed\b[^\n]*\n?\Z")
_TABLE = re.compile(rb"^CREATE TABLE `((?:[^`]|``)+)`", re.MULTILINE)
# We may be killed: none of these may go on without us, or a dump that was cut off would look whole.
LEASH = ("setpriv", "--pdeathsig", "KILL", "--")
GENTLE = (*LEASH, "nice", "-n", "19", "ionice", "-t", "-c", "2", "-n", "7")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class NeedsALook(BackupError):
    """The backup was made; what else is wrong. The text says what."""


class Busy(BackupError):
    """Another backup, drill or restore of this portal is going on."""


# ------------------------------------------------------------------------------------------------- who is told


def tell(portal: Portal, title: str, text: str, again: bool = False) -> None:
    """Tell somebody. That nobody could be told must not hide what was to be told: it is added."""
    try:
        alert.tell("backups", f"{title} ({portal.domain})", text, again=again)
    except alert.AlertError as problem:
        raise BackupError(f"{text} {problem}") from problem


def failed(portal: Portal, names: Sequence[str], title: str, problem: str) -> None:
    """Tell it and write it down. Told first: on a full disk nothing can be written."""
    try:
        tell(portal, title, problem)
    finally:
        for name in names:
            note(portal, name, False, problem)


@contextlib.contextmanager
def alone(portal: Portal, who: str, wait: float = 0) -> Iterator[None]:
    """One at a time for each portal. The kernel lets go of the lock when its holder dies."""
    path = os.path.join(common_files.STATE, "backups", f"{portal.site}.lock")
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as problem:
                if time.monotonic() >= end:
                    holder = os.pread(handle, 200, 0).decode(errors="replace").strip()
                    raise Busy(f"A {holder or 'backup'} of {portal.domain} is still going on.") from problem
                time.sleep(0.5)
        with contextlib.suppress(OSError):  # only words: a full disk must be told further on, not end here
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{who} (process {os.getpid()}, since {common_files.now()})".encode(), 0)
        yield
    finally:
        os.close(handle)


def holder(portal: Portal) -> str:
    """Which job of this portal is going on, or an empty text."""
    try:
        handle = os.open(os.path.join(common_files.STATE, "backups", f"{portal.site}.lock"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(handle, 200, 0).decode(errors="replace").strip() or "an unknown process"
    finally:
        os.close(handle)
    return ""


# ------------------------------------------------------------------------------------------------- restic


def environment() -> dict[str, str]:
    return {"PATH": _PATH, "LC_ALL": "C.UTF-8", "HOME": "/root"}


def on_tree(*command: str) -> None:
    """Have a program do something to a whole tree: the web user's folders may be deeper than Python's ways stand."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(), check=False)
    if done.returncode:
        raise BackupError(f"{command[0]} failed: {done.stderr.decode(errors='replace').strip()[-300:]}")


class Repository:
    """One repository, spoken to through restic. Addresses and keys go through its environment, never its arguments."""

    def __init__(self, portal: Portal, url: str) -> None:
        self.portal = portal
        self.url = url
        self.shown = shown(url)

    def environment(self, source: Repository | None = None) -> dict[str, str]:
        known = {
            **environment(),
            **_credentials(self.portal),
            "RESTIC_REPOSITORY": self.url,
            "RESTIC_PASSWORD_FILE": self.portal.key_file,
            "RESTIC_CACHE_DIR": CACHE,
            "RESTIC_PROGRESS_FPS": "0.01",
        }
        if source:
            known |= {"RESTIC_FROM_REPOSITORY": source.url, "RESTIC_FROM_PASSWORD_FILE": self.portal.key_file}
        return known

    def run(
        self,
        *arguments: str,
        source: Repository | None = None,
        accepted: Sequence[int] = (0,),
        seconds: float | None = None,
        output: IO[bytes] | None = None,
    ) -> tuple[str, str]:
        """What it prints, and what it complains of."""
        os.makedirs(CACHE, 0o700, exist_ok=True)
        try:
            done = subprocess.run(
                [*GENTLE, restic(), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output or subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self.environment(source),
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as problem:
            raise BackupError(
                f"{self.shown} gave no answer to restic {arguments[0]} in {seconds:g} seconds."
            ) from problem
        complaint = done.stderr.decode(errors="replace").strip()
        if done.returncode not in accepted:
            raise self.failed(arguments[0], done.returncode, complaint)
        return (done.stdout or b"").decode(errors="replace"), complaint

    def failed(self, doing: str, code: int, complaint: str) -> BackupError:
        words = " ".join(complaint.replace(self.url, self.shown).split())[-600:]
        if "parsing repository location failed" in complaint:  # restic's words for it hold the password
            words = "this is no address. In a password, write what is neither letter nor digit as %2F for a slash."
        problem = BackupError(f"restic {doing} on {self.shown} failed ({code}): {words or 'no words'}")
        problem.complaint = complaint
        return problem

    def identity(self) -> str:
        """Its number. restic itself would go on trying for a quarter of an hour where nobody answers."""
        told, _complaint = self.run("cat", "config", seconds=_PATIENCE)
        return str(json.loads(told)["id"])

    def reached(self, memory: Mapping[str, Any]) -> None:
        """Whether it answers, and is the one that is known."""
        identity = self.identity()
        if identity != memory["repositories"].get(self.shown, identity):
            raise BackupError(f"{self.shown} is another repository than the one this host sent its backups to.")

    def prepare(self, memory: dict[str, Any], source: Repository | None = None) -> None:
        """Know the repository, or make it where none is. One that was there before is never made anew."""
        if self.shown in memory["repositories"]:
            return
        try:
            identity = self.identity()
        except BackupError as absent:
            if "wrong password" in str(absent):
                raise
            if self.url.startswith("/"):
                os.makedirs(self.url, 0o700, exist_ok=True)
            alike = ("--copy-chunker-params",) if source else ()
            try:
                # Where a repository is after all, or nobody answers, this fails and changes nothing.
                self.run("init", *alike, source=source, seconds=300)
            except BackupError as problem:
                raise BackupError(f"{absent} {problem}") from problem
            identity = self.identity()
        memory["repositories"][self.shown] = identity
        remember(self.portal, memory)

    def unlock(self) -> None:
        """Remove locks whose owner is gone, as a run leaves them that was killed."""
        self.run("unlock", seconds=300)

    def nodes(self, snapshot: str) -> Iterator[dict[str, Any]]:
        """What lies in a snapshot, one after the other: there may be a million."""
        with tempfile.TemporaryFile() as listed:
            self.run("ls", "--json", snapshot, output=listed)
            listed.seek(0)
            for line in listed:
                node = json.loads(line)
                if "path" in node and "type" in node:
                    yield node

    def fetch(self, snapshot: str, folder: str, *arguments: str) -> bool:
        """Bring files back to a folder. Whether some stayed away because their paths are too long there.

        The web user may lay such ones: they are no reason to bring back nothing.
        """
        sparse = ("--sparse",) if restores_sparse() else ()
        try:
            self.run("restore", snapshot, "--target", folder, *sparse, *arguments)
        except BackupError as problem:
            *errors, end = re.split(
                r"^(?=ignoring error for |Fatal: There were )", problem.complaint, flags=re.MULTILINE
            )
            errors = [error.rstrip("\n") for error in errors if error]
            if end == f"Fatal: There were {len(errors)} errors" and errors:
                if all(error.endswith(": file name too long") for error in errors):
                    return True
            raise
        return False

    def pairs(self) -> list[Pair]:
        """All complete pairs of this portal, the first run first."""
        told, _complaint = self.run("snapshots", "--json", "--host", self.portal.site, "--tag", TAG, seconds=600)
        return paired(json.loads(told) or [])


def restic() -> str:
    program = shutil.which("restic", path=_PATH)
    if program is None:
        raise BackupError("restic is not installed on this host.")
    return program


@functools.cache
def restores_sparse() -> bool:
    """Whether this version brings files back with their holes: 0.15 and later."""
    known = subprocess.run([restic(), "restore", "--help"], stdout=subprocess.PIPE, env=environment(), check=False)
    return b"--sparse" in known.stdout


def _credentials(portal: Portal) -> dict[str, str]:
    """What restic needs to get into the repository, as the role wrote it: NAME=value lines."""
    try:
        with open(portal.credentials_file, encoding="utf-8") as stream:
            return dict(line.rstrip("\n").split("=", 1) for line in stream if "=" in line)
    except FileNotFoundError:
        return {}


@dataclass(frozen=True)
class Snapshot:
    id: str
    tree: str
    at: float
    run: str
    paths: tuple[str, ...]
    number: int = 0  # of its run; runs from before they were numbered have none


@dataclass(frozen=True)
class Pair:
    """A database and the files around it, of one run."""

    run: str
    database: Snapshot
    files: Snapshot

    @property
    def at(self) -> float:
        return self.database.at

    @property
    def number(self) -> int:
        return self.database.number

    @property
    def ahead(self) -> bool:
        """Whether its date is still to come: the clock was wrong then, or is now."""
        return self.at > time.time() + AHEAD


def paired(entries: Sequence[Mapping[str, Any]]) -> list[Pair]:
    runs: dict[str, dict[bool, Snapshot]] = {}
    for snapshot in _snapshots(entries):
        runs.setdefault(snapshot.run, {})[snapshot.paths == (DUMP,)] = snapshot
    pairs = [Pair(run, both[True], both[False]) for run, both in runs.items() if len(both) == 2]
    return sorted(pairs, key=lambda pair: (pair.number, pair.at))


def _snapshots(entries: Sequence[Mapping[str, Any]]) -> Iterator[Snapshot]:
    for entry in entries:
        tags = dict(tag.split("=", 1) for tag in entry.get("tags") or () if "=" in tag)
        run, number = tags.get("run", ""), tags.get("number", "")
        if run:
            at = moment(entry["time"])
            number = int(number) if re.fullmatch(r"[0-9]{1,15}", number) else 0
            yield Snapshot(entry["id"], entry["tree"], at, run, tuple(entry["paths"]), number)


def saved_root(portal: Portal, place: Repository, files: Snapshot) -> str:
    """Where the portal lay when it was saved. A link may lead to another folder since, as to that of a new release."""
    known = [path for path in files.paths if path != path_of(portal.site)]
    if portal.folder in known or not known:
        return portal.folder
    if len(known) == 1:
        return known[0]
    marks = {f"{path}/{name}": path for path in known for name in ("bin/console", "var")}
    found = [marks[node["path"]] for node in place.nodes(files.id) if node["path"] in marks]
    roots = [path for path in known if found.count(path) == 2]
    if len(roots) == 1:
        return roots[0]
    raise BackupError(
        f"Which of these in snapshot {files.id} is the portal's folder cannot be told: {', '.join(known)}."
    )


def moment(text: str) -> float:
    """restic's time, whose nanoseconds older Pythons do not read."""
    return datetime.datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace("Z", "+00:00")).timestamp()


# ------------------------------------------------------------------------------------------------- the database


def dumper() -> str:
    program = shutil.which("mariadb-dump", path=_PATH) or shutil.which("mysqldump", path=_PATH)
    if program is None:
        raise BackupError("Neither mariadb-dump nor mysqldump is installed on this host.")
    return program


# The same database always gives the same bytes but for comments.
DUMP_OPTIONS = (
    "--single-transaction",
    "--no-tablespaces",
    "--skip-dump-date",
    "--hex-blob",
    "--default-character-set=utf8mb4",
    "--max-allowed-packet=1G",
)
# What Chamilo itself has none of. The application's account may not see them.
PROGRAMS = ("--routines", "--events")


def _by_socket(portal: Portal) -> str:
    """The socket by which root of this host reaches the portal's server, or an empty text."""
    path = portal.socket or portal_database.SOCKET
    return path if portal.local and os.path.exists(path) else ""


def _has_routines(portal: Portal) -> bool:
    """Whether the database has what the account for backups may not see, and root by the socket may."""
    if not _by_socket(portal):
        return False
    sql = "SELECT COUNT(*) AS number FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s"
    try:
        (row,) = portal_database.Reader(portal_database.Account("root", socket=_by_socket(portal))).query(
            sql, (portal.name,)
        )
    except portal_database.DatabaseError:  # root does not get in by the socket
        return False
    return int(row["number"] or 0) > 0


@contextlib.contextmanager
def dumping(portal: Portal) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """The command that dumps the portal's database, and the descriptors it needs."""
    account = portal.account_file
    if os.path.exists(account) and not _has_routines(portal):
        yield [dumper(), f"--defaults-file={account}", *DUMP_OPTIONS, *PROGRAMS, "--", portal.name], ()
    elif _by_socket(portal):
        where = f"--socket={_by_socket(portal)}"
        yield [dumper(), "--no-defaults", "--user=root", where, *DUMP_OPTIONS, *PROGRAMS, "--", portal.name], ()
    else:  # the application's own account
        known = dotenv.read(Tree(), portal.folder, web_user=portal.web_user)
        if not known.files:
            raise BackupError(" ".join(known.problems))
        login = portal_database.Account(
            known.get("DATABASE_USER"),
            known.secret("DATABASE_PASSWORD"),
            portal.host,
            portal.port,
            authority=portal_database.authority(portal.host),
        )
        reading = portal_database._options(login)
        try:
            yield [dumper(), f"--defaults-file=/dev/fd/{reading}", *DUMP_OPTIONS, "--", portal.name], (reading,)
        finally:
            os.close(reading)


@dataclass
class Dumped:
    """What came out of the dump program."""

    size: int = 0
    sha256: str = ""
    tables: tuple[str, ...] = ()


class Reading:
    """Looks at a dump as it passes by."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._rest = b""
        self._tables: list[str] = []
        self._size = 0
        self.tail = b""

    def take(self, part: bytes) -> None:
        self._digest.update(part)
        self._size += len(part)
        self.tail = (self.tail + part)[-500:]
        text = self._rest + part
        end = text.rfind(b"\n") + 1
        self._tables += [name.decode(errors="replace") for name in _TABLE.findall(text[:end])]
        # Of a line that is not whole only its beginning matters.
        self._rest = text[end:][:300]

    @property
    def ended(self) -> bool:
        """Whether the dump program wrote its last line."""
        return bool(_ENDED.search(self.tail))

    def done(self) -> Dumped:
        return Dumped(self._size, self._digest.hexdigest(), tuple(sorted(self._tables)))


def stamp(run: str) -> bytes:
    """The last line of each dump. An older dump under a newer name has another one, a dump that was cut off none."""
    return STAMP + run.encode() + b"\n"


def _save_database(place: Repository, run: str, tags: Sequence[str]) -> tuple[Dumped, str]:
    """Stream the dump into the repository. Its snapshot is made only after the dump program ended well."""
    os.makedirs(CACHE, 0o700, exist_ok=True)
    command = [*GENTLE, restic(), "backup", "--json", "--quiet", *tags, "--stdin", f"--stdin-filename={DUMP}"]
    with contextlib.ExitStack() as stack:
        words, complaints = (stack.enter_context(tempfile.TemporaryFile()) for _each in range(2))
        dump_command, handles = stack.enter_context(dumping(place.portal))
        dump = subprocess.Popen(
            [*LEASH, *dump_command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
            pass_fds=handles,
            env=environment(),
        )
        saver = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, env=place.environment()
        )
        if not (dump.stdout and saver.stdin and saver.stdout):
            raise AssertionError("both have pipes")
        source = dump.stdout.fileno()
        reading = Reading()
        try:
            with contextlib.suppress(BrokenPipeError):  # restic gave up: it says why below
                for part in iter(lambda: os.read(source, _CHUNK), b""):
                    saver.stdin.write(part)
                    reading.take(part)
                if saver.poll() is None:
                    _must_be_whole(dump.wait(), words, reading)
                    reading.take(stamp(run))
                    saver.stdin.write(stamp(run))
                    saver.stdin.close()
            told = saver.stdout.read()
            if saver.wait() != 0:
                raise place.failed("backup", saver.returncode, _said(complaints))
        finally:
            # Killed before its input ends: at an orderly end it would make a snapshot of what it has.
            for process in (saver, dump):
                if process.poll() is None:
                    process.kill()
                process.wait()
            with contextlib.suppress(BrokenPipeError):
                saver.stdin.close()
            saver.stdout.close()
            dump.stdout.close()
    return reading.done(), _summary(told.decode())["snapshot_id"]


def _must_be_whole(code: int, words: IO[bytes], reading: Reading) -> None:
    if code != 0:
        raise BackupError(f"The dump of the database failed ({code}): {_said(words)}")
    if not reading.ended:
        raise BackupError("The dump of the database was cut short: its last line is missing.")
    if not reading.done().tables:
        raise BackupError("The dump of the database is empty: it has no table.")


def _said(stream: IO[bytes]) -> str:
    stream.seek(0)
    return " ".join(stream.read().decode(errors="replace").split())[-600:]


def _summary(text: str) -> dict[str, Any]:
    for line in reversed(text.splitlines()):
        if '"summary"' in line:
            found: dict[str, Any] = json.loads(line)
            return found
    raise BackupError("restic did not say what it saved.")


# ------------------------------------------------------------------------------------------------- the files


# Below the portal's folder. No links are looked for there: it comes from elsewhere, or is not saved.
_MADE_ANEW = ("var/cache", "vendor", "node_modules", ".git")
_OF_THE_KERNEL = ("/proc/", "/sys/", "/dev/")
# Directories of the host's own; those that hold many things are whole, what is in them may be the portal's.
_OF_THE_HOST = re.compile(
    r"/(?:(?:bin|boot|etc|lib\w*|root|run|sbin|usr)(?:/|$)|(?:home(?:/[^/]+)?|media|mnt|opt|srv|tmp)?$"
    r"|var(?:/(?:backups|cache|crash|lib|local|lock|log|mail|opt|run|spool|tmp|www))?$"
    r"|var/(?:backups|cache|crash|lib|lock|log|mail|run|spool)/)"
)
_NAMED = 5  # links
_ANYTHING = os.O_PATH | os.O_CLOEXEC  # also a FIFO, which then does not make us wait


def contents(portal: Portal) -> list[str]:
    """What is saved: the portal's folder, what links inside it lead to, and how it is backed up."""
    linked = {target for _link, target in links(portal) if target}
    # What lies in one of these is not named again: restic knows by the paths which snapshot came before.
    found = {path for path in linked if linked.isdisjoint(map(str, PurePosixPath(path).parents))} | {portal.folder}
    if os.path.exists(path_of(portal.site)):
        found.add(path_of(portal.site))
    return sorted(found)


def strange_links(portal: Portal) -> list[str]:
    """Why what a link leads to is not saved; of many the first ones, so that they hide nothing else."""
    strange = [ascii(link)[1:-1] for link, target in links(portal) if not target]
    lines = [
        f"{link} is not followed: {portal.web_user} could have laid it, or moved it there, and its target is not "
        f"the portal's own. If it is right, give the target to {portal.web_user}, or link and directory to root "
        "(chown -h)."
        for link in strange[:_NAMED]
    ]
    return lines + ([f"The same goes for {len(strange) - _NAMED} more links."] if len(strange) > _NAMED else [])


def links(portal: Portal) -> Iterator[tuple[str, str]]:
    """Links that lead out of the portal's folder, and where to; to nowhere where it is not for the web user to say.

    Whoever is the web user could have the whole host saved, or what never ends. It may exchange its folders while we
    look: what lies in them, and what a link leads to, is asked of what is open. Links in what is found count as well.
    A link is followed to what the web user can change, which is data of the portal's; and where root laid it and the
    web user cannot have moved it, to what is none of the host's own directories.
    """
    root = portal.folder
    web, groups = -1, frozenset[int]()
    with contextlib.suppress(KeyError):
        account = pwd.getpwnam(portal.web_user)
        web, groups = account.pw_uid, frozenset(os.getgrouplist(portal.web_user, account.pw_gid))
    seen = {f"{root}/{name}" for name in _MADE_ANEW}
    folders = [root]
    while folders:
        folder = folders.pop()
        if folder in seen:
            continue
        seen.add(folder)
        # What cannot be listed, because its path is too long or it is a file, has no links for restic either.
        with contextlib.suppress(OSError), _opened(folder, DIRECTORY) as (handle, real):
            here = os.fstat(handle)
            for entry in list(os.scandir(handle)) if real == folder else ():
                if entry.is_dir(follow_symlinks=False):
                    folders.append(os.path.join(folder, entry.name))
                elif entry.is_symlink():
                    # Many lead nowhere, or to a link to a link and so on.
                    with contextlib.suppress(OSError), _opened(entry.name, _ANYTHING, handle) as (there, target):
                        found = os.fstat(there)
                        data = stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)
                        if not data or f"{target}/".startswith(f"{root}/"):
                            continue
                        laid = entry.stat(follow_symlinks=False).st_uid
                        own = found.st_gid in groups and laid != web
                        moved = here.st_uid == web or here.st_gid in groups and here.st_mode & 0o020
                        apart = laid != web and not (moved or here.st_mode & 0o002) and not _OF_THE_HOST.match(target)
                        followed = found.st_uid == web or own or apart
                        if followed and target.startswith(_OF_THE_KERNEL):  # a process of its own
                            continue
                        yield os.path.join(folder, entry.name), target if followed else ""
                        if followed:
                            folders.append(target)


@contextlib.contextmanager
def _opened(path: str, flags: int, folder: int | None = None) -> Iterator[tuple[int, str]]:
    """The descriptor of a path, in an open folder where one is given, and where what is open lies."""
    handle = os.open(path, flags, dir_fd=folder)
    try:
        yield handle, os.readlink(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


def _save_files(place: Repository, tags: Sequence[str]) -> dict[str, Any]:
    root = place.portal.folder
    if not os.path.isdir(f"{root}/var"):
        raise BackupError(f"{root}/var is not there, so there is nothing to back up.")
    # What is made anew by itself, or comes from where the program came from.
    skipped = [f"--exclude={root}/{name}" for name in ("var/cache/*", "node_modules", ".git")]
    with tempfile.NamedTemporaryFile() as listed:  # the web user decides how many it is, and a command line has an end
        listed.write(b"".join(os.fsencode(path) + b"\0" for path in contents(place.portal)))
        listed.flush()
        which = ["--files-from-raw", listed.name]
        told, complaint = place.run("backup", "--json", "--quiet", *tags, *skipped, *which, accepted=(0, 3))
    missed = [path for path in _missed(complaint) if os.path.lexists(path)]
    if missed:
        more = f" and {len(missed) - 3} more" if len(missed) > 3 else ""
        raise BackupError(f"Files could not be read: {', '.join(missed[:3])}{more}.")
    summary = _summary(told)
    if not summary["total_files_processed"]:
        raise BackupError(f"The backup of {root} is empty.")
    return summary


def _missed(complaint: str) -> Iterator[str]:
    """The files restic could not read. On a portal in use some vanish while it looks: those are no loss."""
    for line in complaint.splitlines():
        with contextlib.suppress(ValueError):
            known = json.loads(line)
            if isinstance(known, dict) and known.get("message_type") == "error" and known.get("item"):
                yield known["item"]


# ------------------------------------------------------------------------------------------------- stray copies

_COPIES = re.compile(r"(?i)\.(?:sql|dump|zip|tar|t[gbx]z|tar\.\w{1,4}|7z|rar)(?:\.(?:gz|xz|bz2|zst))?$")
_LIKE_COPIES = re.compile(
    r"(?i)backup|sauvegarde|respaldo|sicherung|(?:^|[-_.])(?:bak|dump|db)(?:[-_.\d]|$)|chamilo|20\d\d"
)
_NO_COPIES = ("var", "vendor", "node_modules", ".git")
_DEEPEST = 100  # levels; each holds a descriptor


def put_away(portal: Portal, alike: list[str]) -> Iterator[str]:
    """Move copies of data out of the portal's directory, where a visitor may guess their names.

    What is one only by its name, as a plugin's slides-2024.zip may be, stays, and its path goes into ``alike``.

    The web user may exchange folders and files while we look: all is reached through what is open already.
    """
    kept = os.path.join(common_files.STATE, "kept", "backups", portal.site)
    deep: list[str] = []
    top = open_trusted(portal.folder)
    try:
        for folder, names, handle in _folders(top, portal.folder, 0, deep):
            for name in sorted(filter(_COPIES.search, names)):
                path = ascii(f"{folder}/{name}")[1:-1]
                try:
                    target = _put_away(name, handle, kept)
                    if target is None and _LIKE_COPIES.search(name):
                        alike.append(path)
                except OSError as problem:
                    yield f"{path} can be downloaded or read by the web server, and stays: {problem.strerror}."
                    continue
                if target:
                    yield f"{path} could be downloaded or read by the web server: it is {ascii(target)[1:-1]} now."
    finally:
        os.close(top)
    if deep:
        more = f" and {len(deep) - 1} more" if len(deep) > 1 else ""
        raise BackupError(f"{ascii(deep[0])[1:200]} ...{more}: more than {_DEEPEST} levels deep, and not looked into.")


def _folders(handle: int, path: str, level: int, deep: list[str]) -> Iterator[tuple[str, list[str], int]]:
    """An open folder and those below it: path, names of files, descriptor. Too ``deep`` ones are only named."""
    try:
        with os.scandir(handle) as entries:
            kinds = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
    except FileNotFoundError:  # it was removed meanwhile
        return
    yield path, [name for name, folder in kinds.items() if not folder], handle
    for name in sorted(name for name, folder in kinds.items() if folder and (level or name not in _NO_COPIES)):
        if level == _DEEPEST:
            deep.append("" if deep else f"{path}/{name}")  # of the others only the number: there may be a million
            continue
        try:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
        except OSError:  # gone, or another thing since
            continue
        try:
            yield from _folders(below, f"{path}/{name}", level + 1, deep)
        finally:
            os.close(below)


def _put_away(name: str, folder: int, kept: str) -> str | None:
    """Where a file of this name in an open folder is now, if it was a copy of data; None where it stays.

    An empty text: it is no file.
    """
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as problem:
        if problem.errno in (errno.ELOOP, errno.ENOENT, errno.ENXIO):  # a link, gone since, a socket: no copy
            return ""
        raise
    with open(handle, "rb") as stream:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            return ""
        if not dumps.holds_data(stream):
            return None
        target = os.path.join(kept, f"{time.time_ns()}-{name}")
        with common_files.Tree() as tree:
            for missing in tree.missing_parents(target):
                tree.make_directory(missing, 0o700)
        stream.seek(0)
        try:
            with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as copy:
                shutil.copyfileobj(stream, copy, _CHUNK)
                copy.flush()
                os.fsync(copy.fileno())
        except OSError:
            os.unlink(target)
            raise
        with contextlib.suppress(FileNotFoundError):
            now = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if (now.st_dev, now.st_ino) == (info.st_dev, info.st_ino):
                os.unlink(name, dir_fd=folder)
    return target


# ------------------------------------------------------------------------------------------------- the whole


def backup(portal: Portal, accept: bool = False) -> list[str]:
    """Save the portal. Everything that is wrong is written down and told; then it is raised."""
    problems: list[str] = []
    lines: list[str] = []
    less: list[str] = []
    with alone(portal, "backup"):
        memory = remembered(portal)
        found: list[str] = []
        alike: list[str] = []
        try:
            for line in put_away(portal, alike):
                found.append(line)
        except Exception as problem:  # whatever ended it is told, and no reason to make no backup
            problems.append(f"The search for copies of data did not see all: {_words(problem)}")
        if found:
            try:
                # They are away now, so nobody hears of these tomorrow.
                tell(portal, "Copies of data lay in the portal's folder", " ".join(found), again=True)
            except BackupError as problem:  # nobody could be told: no reason to make no backup
                problems.append(str(problem))
        lines += found
        lines += _left(portal, memory, alike, problems)
        if journal(portal).get("phase") in (CHANGING, ABANDONING):  # saved all the same: for long there may be no other
            problems.append(f"This backup was made while a restore was not finished. {unfinished(portal)}")
        try:
            strange = strange_links(portal)
            last = _pair(portal, memory)
        except Exception as problem:  # whatever it was, somebody is told
            failed(portal, ("database", "files"), "The backup failed", _words(problem))
            raise BackupError(_words(problem)) from problem
        size = f"{last['dump_bytes'] / 1e6:.1f} MB"
        less = [] if accept else shrunken(memory["good"], last)
        if less:
            problems.append(f"{' '.join(less)} If that is right: chamilo-hardening backup --accept")
        else:
            memory["good"] = {name: last[name] for name in ("dump_bytes", "tables", "files", "bytes")}
        where = shown(portal.places[0])
        database = f"A dump of {size} with {len(last['tables'])} tables, in one transaction, in {where}."
        note(portal, "database", not less, " ".join([*less, database]), run=last["run"])
        files = f"{last['files']} files, {last['bytes'] / 1e6:.0f} MB, in {where}."
        note(portal, "files", not less, " ".join([*less, files]), run=last["run"])
        lines += [database, files]
        # One that is much less than before may not be enough to go back to, nor one in a repository that is not sound.
        doubtful = bool(less)
        for url, step in ((portal.offsite, _offsite), *((place, _upkeep) for place in portal.places)):
            try:
                lines += step(portal, memory, url)
            except (BackupError, OSError, ValueError, KeyError) as problem:
                problems.append(str(problem))
                doubtful |= url == portal.places[0]
        memory["open"] = ""
        remember(portal, memory)
        try:
            _compare_key(portal)
        except (BackupError, OSError) as problem:
            problems.append(str(problem))
    problems += strange
    if problems:
        words = " ".join(problems)
        try:
            tell(portal, "The backup needs a look", words)
        except BackupError as problem:
            words = str(problem)
        raise BackupError(words) if doubtful else NeedsALook(words)
    return lines


def _left(portal: Portal, memory: dict[str, Any], alike: Sequence[str], problems: list[str]) -> list[str]:
    """Report files whose names alone are those of copies; to the administrator only when there are new ones."""
    if not alike:
        return []
    more = f" and {len(alike) - _NAMED} more" if len(alike) > _NAMED else ""
    line = (
        f"Named like a copy of data, but no dump was found in them, so they stay: {', '.join(alike[:_NAMED])}{more}. "
        "If one is a backup, move it out of the portal's directory."
    )
    if set(alike) - set(memory.get("alike", ())):
        try:
            tell(portal, "Files may be copies of data", line)
        except BackupError as problem:
            problems.append(str(problem))
    memory["alike"] = list(alike)[:1000]
    return [line]


def _words(problem: Exception) -> str:
    return str(problem) or type(problem).__name__


def _pair(portal: Portal, memory: dict[str, Any]) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.timezone.utc)
    run = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    if not portal.places:
        raise BackupError("No repository is configured: set chamilo_backups_repository.")
    place = Repository(portal, portal.places[0])
    place.prepare(memory)
    if memory["open"]:  # the last run did not end
        for url in portal.places:
            with contextlib.suppress(BackupError):  # one that cannot be reached is found out below
                Repository(portal, url).unlock()
        _forget_halves(place)
    memory["open"] = run
    memory["number"] = _highest(portal, memory) + 1
    remember(portal, memory)
    numbered = ("--tag", f"run={run}", "--tag", f"number={memory['number']}")
    tags = ["--host", portal.site, "--tag", TAG, *numbered, "--time"]
    # Both of one day: with midnight between them, `forget` would keep of a week the one of this run and the other of
    # another, and two halves are no backup. The files are the later ones, whoever asks restic for the latest.
    later = now.astimezone()
    earlier = max(later - datetime.timedelta(seconds=1), later.replace(hour=0, minute=0, second=0))
    dumped, database = _save_database(place, run, [*tags, f"{earlier:%Y-%m-%d %H:%M:%S}"])
    saved = _save_files(place, [*tags, f"{later:%Y-%m-%d %H:%M:%S}"])
    last = {
        "run": run,
        "at": round(time.time(), 3),
        "dump_bytes": dumped.size,
        "dump_sha256": dumped.sha256,
        "tables": list(dumped.tables),
        "files": saved["total_files_processed"],
        "bytes": saved["total_bytes_processed"],
        "snapshots": [database, saved["snapshot_id"]],
        "offsite": False,
    }
    memory["last"] = last
    remember(portal, memory)
    return last


def _highest(portal: Portal, memory: Mapping[str, Any]) -> int:
    """The number of the last run; on a machine that does not know it, as the repositories have it."""
    if "number" in memory:
        return int(memory["number"])
    numbers = [0]
    for url in portal.places:
        place = Repository(portal, url)
        with contextlib.suppress(BackupError):  # one that cannot be reached is found out when it is written to
            place.reached(memory)
            numbers += [pair.number for pair in place.pairs()]
    return max(numbers)


def _forget_halves(place: Repository) -> None:
    """Remove what a run left that was killed between database and files."""
    told, _complaint = place.run("snapshots", "--json", "--host", place.portal.site, "--tag", TAG, seconds=600)
    entries = json.loads(told) or []
    whole = {pair.run for pair in paired(entries)}
    halves = [snapshot.id for snapshot in _snapshots(entries) if snapshot.run not in whole]
    if halves:
        _where_allowed(place, "forget", *halves)


def _where_allowed(place: Repository, *arguments: str) -> bool:
    """Remove something; False where the other side only lets us add."""
    try:
        place.run(*arguments)
    except BackupError as problem:
        if re.search(r"\b403\b|Forbidden|AccessDenied|Access Denied", str(problem)):
            return False
        raise
    return True


def shrunken(good: Mapping[str, Any], last: Mapping[str, Any]) -> list[str]:
    """What is much less than it was in the last good backup, in sentences."""
    found = []
    for name, what in (("dump_bytes", "bytes of database"), ("files", "files"), ("bytes", "bytes of files")):
        if last[name] < _SHRUNKEN * good.get(name, 0):
            found.append(f"{last[name]} {what} were saved; it were {good[name]} before.")
    gone = sorted(set(good.get("tables", ())) - set(last["tables"]))
    if gone:
        found.append(f"Tables are gone: {', '.join(gone[:5])}{' ...' if len(gone) > 5 else ''}.")
    return found


def _offsite(portal: Portal, memory: dict[str, Any], url: str) -> list[str]:
    """Have the pair in the repository elsewhere too, and see it there."""
    if not url:
        note(portal, "offsite", False, "There is no off-site repository: set chamilo_backups_offsite_repository.")
        return ["Nothing left this host: there is no off-site repository."]
    there = Repository(portal, url)
    try:
        if portal.repository:
            here = Repository(portal, portal.repository)
            there.prepare(memory, here)
            there.reached(memory)
            there.run("copy", "--quiet", "--host", portal.site, "--tag", TAG, source=here)
        pairs = there.pairs()
        pair = next((pair for pair in pairs if pair.run == memory["last"]["run"]), None)
        if pair is None:
            raise BackupError(f"{there.shown} does not show what was just sent there.")
        if pairs[-1].number > pair.number:  # it could not be asked when this machine, new then, began to count
            memory["number"] = pairs[-1].number
            raise BackupError(
                f"The backup {pairs[-1].run} in {there.shown} has a higher number ({pairs[-1].number}) than this one "
                f"({pair.number}), so a restore would prefer it. The next backup gets the number after it."
            )
        memory["last"].update(offsite=there.shown, trees=[pair.database.tree, pair.files.tree])
        near = nearby(portal)
        if near:
            note(portal, "offsite", False, near)
            return [near]
    except (BackupError, OSError, ValueError, KeyError) as problem:
        note(portal, "offsite", False, str(problem))
        raise
    note(portal, "offsite", True, f"In {there.shown}.", run=pair.run)
    return [f"A copy is in {there.shown}."]


_REMOTE = re.compile(r"(?:azure|b2|gs|rclone|rest|s3|sftp|swift):")  # all else is a directory for restic


def nearby(portal: Portal) -> str:
    """Why the off-site repository is no other place, or an empty text."""
    if not _REMOTE.match(portal.offsite):
        mount = os.path.join("/", portal.offsite.partition("local:")[2] or portal.offsite)
        while not os.path.exists(mount):
            mount = os.path.dirname(mount)
        if os.stat(mount).st_dev in (os.stat(portal.folder).st_dev, os.stat("/").st_dev):
            return f"{portal.offsite} lies on the same disk as the portal: a fire takes both."
        return ""
    found = re.match(r"(?:rest:|s3:)?(?:\w+://)?(?:sftp:)?(?:[^/@]+@)?(\[[^]]+\]|[^/:]+)", portal.offsite)
    name = found[1].strip("[]") if found else ""
    own = name in ("localhost", socket.gethostname(), portal.domain) or _leads_here(name)
    return f"{shown(portal.offsite)} is this very machine." if own else ""


def _leads_here(name: str) -> bool:
    """Whether a name or an address is one of this host."""
    try:
        found = {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(name, None)}
    except (OSError, UnicodeError):  # a name of ssh's own configuration, or nobody to ask
        return False
    own = set(portal_host.addresses(Tree()))
    return any(address in own or ipaddress.ip_address(address).is_loopback for address in found)


def _upkeep(portal: Portal, memory: dict[str, Any], url: str) -> list[str]:
    """Once a week: forget what is old, give its room back, and have restic look whether all is in order."""
    place = Repository(portal, url)
    since = memory["upkeep"].setdefault(place.shown, time.time())
    if 0 <= time.time() - since < _UPKEEP:  # below: the clock was wrong then
        return []
    lines = []
    place.unlock()
    _forget_halves(place)
    pairs = place.pairs()
    old = [half.id for pair in outdated(portal, pairs) for half in (pair.database, pair.files)]
    if old and not _where_allowed(place, "forget", "--prune", *old):
        lines.append(f"{place.shown} lets nothing be removed: what is old is cleared away over there.")
    place.run("check")
    memory["upkeep"][place.shown] = time.time()
    return [*lines, f"{place.shown} is in order.", *dated_ahead(place, pairs)]


def outdated(portal: Portal, pairs: Sequence[Pair]) -> list[Pair]:
    """What goes: all but the last two runs, and the last of each day, week and month, for as many as are to be kept.

    As ``restic forget`` does it, which goes by dates alone: runs dated ahead would take the place of those since.
    They stay, and take no place, until their date has come.
    """
    dated = sorted((pair for pair in pairs if not pair.ahead), key=lambda pair: (pair.at, pair.number), reverse=True)
    kept = {pair.run for pair in pairs[-2:]}
    for how, most in (("%Y-%m-%d", portal.keep_daily), ("%G-%V", portal.keep_weekly), ("%Y-%m", portal.keep_monthly)):
        last, number = "", 0
        for pair in dated:
            period = datetime.datetime.fromtimestamp(pair.at).strftime(how)
            if number < most and (period != last or pair is dated[-1]):  # the oldest as long as there are few
                kept.add(pair.run)
                number += 1
            last = period
    return [pair for pair in dated if pair.run not in kept]


def dated_ahead(place: Repository, pairs: Sequence[Pair]) -> list[str]:
    """Report runs whose dates are still to come."""
    ahead = [pair.run for pair in pairs if pair.ahead]
    named = ", ".join(ahead[:_NAMED]) + (f" and {len(ahead) - _NAMED} more" if len(ahead) > _NAMED else "")
    return [f"Backups in {place.shown} are dated in the future: {named}. The clock was wrong."] if ahead else []


# ------------------------------------------------------------------------------------------------- the key


def _compare_key(portal: Portal) -> None:
    """The copy elsewhere is of the key that was there when the two were compared."""
    known = backups_key.compared(portal)
    with open(portal.key_file, encoding="utf-8") as stream:
        present = backups_key.fingerprint(stream.read(), str(known.get("salt", "")))
    if known.get("ok") and known["fingerprint"] != present:
        words = "The key on this host is no longer the one of which there is a copy elsewhere."
        note(portal, "encrypted", False, words, salt=known["salt"], fingerprint=known["fingerprint"])
        tell(portal, "The key of the backups has changed", words)


# ------------------------------------------------------------------------------------------------- daily


def late() -> list[str]:
    """A step of the daily work: a backup or drill that did not even start tells nobody by itself."""
    lines = []
    for portal in portals():
        known = records.read(f"backups-{portal.site}.json")
        drills = [("drill", "drill", LATE_DRILL_DAYS * 24)] if portal.drills else []
        for name, what, hours in (("database", "backup", LATE_HOURS), *drills):
            age = (time.time() - float(known.get(name, {}).get("at", 0))) / 3600
            if not -1 < age <= hours:
                since = f"for {age:.0f} hours" if name in known else "ever"
                if age < 0:  # the clock was wrong then
                    since = "that is known: the last one is dated in the future. Check the clock"
                words = f"There was no {what} of {portal.domain} {since}. Look at: journalctl -t chamilo-hardening"
                tell(portal, f"The {what} is late", words)
                lines.append(words)
        restoring = unfinished(portal)
        if restoring and not holder(portal):
            tell(portal, "A restore is not finished", restoring)
            lines.append(restoring)
    return lines or ["Backups and drills are in time."]
