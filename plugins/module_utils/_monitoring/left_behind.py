# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an intruder may have left, as lists for a person. Each line is what is there; nothing is judged or changed."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import itertools
import json
import os
import pwd
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._application import comparison
from .._application.accounts import administrators
from .._application.database import DatabaseError, Reader
from .._application.observer import Observer
from .._common import files, locks, records
from .._common.paths import head, open_path, open_regular, shown, tail, untrusted
from .._common.walks import Budget, walk
from .._host import processes
from .._host.accounts import user_name
from .._transaction.store import Store
from .tree import Identity, web_users

RECORD = "left_behind.json"
ACCEPT = "chamilo-hardening integrity accept"
OLD = 3600.0  # seconds; no page of the portal takes that long
DAYS = 30
_SECONDS = 60.0  # for var/, and for each of the other directories
_LINE, _LINES, _ITEMS = 300, 100, 1000  # characters of a line, lines of a list that are shown, and that there are
_PATHS = 50_000  # PHP below var/
_FILE = 1 << 16  # bytes that are read of a file
_DEPTH = 4  # parts of a path below which files in var/ are counted together

_AT = ("/var/spool/cron/atjobs", "/var/spool/at")
_LINGER = "/var/lib/systemd/linger"
_KEYS = (".ssh/authorized_keys", ".ssh/authorized_keys2")
_UNITS = (".config/systemd/user", ".local/share/systemd/user")
_PHP = re.compile(r"(?i)\.(?:php\d?|phtml|phar|pht)$")
_UNIT = re.compile(r"(?<=/)[^/\n]+\.(?:service|scope)(?=[/\n]|$)")
_DELETED = " (deleted)"  # an update replaced the file meanwhile
_DEFINED = """
SELECT 'trigger' AS kind, TRIGGER_SCHEMA AS place, TRIGGER_NAME AS name, DEFINER AS definer, ACTION_STATEMENT AS text
  FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s
UNION ALL SELECT 'event', EVENT_SCHEMA, EVENT_NAME, DEFINER, EVENT_DEFINITION FROM information_schema.EVENTS
UNION ALL SELECT LOWER(ROUTINE_TYPE), ROUTINE_SCHEMA, ROUTINE_NAME, DEFINER, ROUTINE_DEFINITION
  FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s
UNION ALL SELECT 'view', TABLE_SCHEMA, TABLE_NAME, DEFINER, VIEW_DEFINITION
  FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s
ORDER BY kind, place, name
"""


@dataclass(frozen=True)
class Item:
    """One line. ``same``: what it is known by on another day, without numbers of processes and times that move."""

    text: str
    same: str

    @classmethod
    def of(cls, text: str, same: str = "") -> Item:
        line = shown(text)
        line = line if len(line) <= _LINE else f"{line[:_LINE]} ..."
        return cls(line, same or text)


@dataclass
class Lists:
    """By title, and ``gaps``: what could not be listed, as sentences."""

    lists: dict[str, list[Item]] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)

    def add(self, title: str, items: Iterable[Item]) -> None:
        some = list(itertools.islice(items, _ITEMS + 1))
        self.gaps += [f"{title}: more than {_ITEMS:,}"] if len(some) > _ITEMS else []
        self.lists.setdefault(title, []).extend(some[:_ITEMS])

    def keys(self) -> set[str]:
        return {_key(title, item) for title, items in self.lists.items() for item in items}

    def lines(self, known: Iterable[str] = ()) -> list[str]:
        """As text, but for what is in ``known``."""
        known = set(known)
        found = []
        for title, items in self.lists.items():
            new = [item.text for item in items if _key(title, item) not in known]
            found += [f"{title}: {text}" for text in new[:_LINES]]
            found += [f"{title}: {len(new) - _LINES} more lines"] if len(new) > _LINES else []
        return found


def _key(title: str, item: Item) -> str:
    text = f"{title}\n{item.same}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:24]


def make(observer: Observer, database: bool = True) -> Lists:
    """All of them. ``database``: also those of what is in it, which all nodes of a portal share."""
    found = Lists()
    users = [user for user in web_users(observer) if user.user != 0]
    outside: tuple[tuple[str, Callable[[Identity, Budget], Iterator[Item]]], ...] = (
        ("Crontab of the web user", _crontab),
        ("At job of the web user", _at_jobs),
        ("Key that lets in as the web user", _keys),
        ("Unit of the web user's own", _units),
        ("Hidden file in the home of the web user", _hidden),
    )
    for title, listed in outside:
        for user in users:
            budget = Budget(_SECONDS)
            found.add(title, listed(user, budget))
            found.gaps += [f"{title}: {budget.gap}"] if budget.gap else []
    found.add("Process of the web user that is no server, for over an hour", _processes(observer, users))
    if database:
        _of_the_database(observer, found)
    budget = Budget(_SECONDS)
    found.add("PHP below var/ (but for var/cache, which Symfony compiles)", _below_var(observer, budget))
    found.gaps += [f"var/: {budget.gap}"] if budget.gap else []
    found.add("Files of the program", _program(observer))
    return found


def _home(user: Identity) -> str:
    return pwd.getpwnam(user.name).pw_dir


def _below(directory: str, web_user: str, budget: Budget, skip: Collection[str] = ()) -> Iterator[os.DirEntry[str]]:
    """The files below a directory, unless the web user could have led there by a link."""
    try:
        os.close(open_path(directory, untrusted(web_user))[0])
    except FileNotFoundError:
        return
    except OSError:
        budget.unread += 1
        return
    yield from walk(directory, budget, skip)


def _text_lines(path: str, user: Identity) -> list[str]:
    lines = head(path, _FILE, user.name).decode("utf-8", "replace").split("\n")
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _crontab(user: Identity, _budget: Budget) -> Iterator[Item]:
    for path in (f"{directory}/{user.name}" for directory in processes.CRONTABS):
        for line in _text_lines(path, user):
            yield Item.of(f"{user.name}: {line}")


def _at_jobs(user: Identity, _budget: Budget) -> Iterator[Item]:
    """Before its command, a job repeats the environment that it was made in."""
    for path in sorted(path for directory in _AT for path in glob.glob(f"{directory}/*")):
        with contextlib.suppress(FileNotFoundError):  # it ran meanwhile
            if os.lstat(path).st_uid == user.user and not os.path.basename(path).startswith("."):
                end = tail(path, _FILE, user.name).decode("utf-8", "replace").split("\n")
                command = " ".join([line for line in end if line.strip()][-2:])
                yield Item.of(f"{path}: {command}", f"{user.name} {command}")


def _keys(user: Identity, _budget: Budget) -> Iterator[Item]:
    """Where sshd itself says that it reads them, and at the usual places."""
    asked = processes.output(["sshd", "-T", "-C", f"user={user.name},host=localhost,addr=127.0.0.1"])
    named = re.search(r"(?m)^authorizedkeysfile (.*)$", asked)
    tokens = {"%%": "%", "%h": _home(user), "%u": user.name, "%U": str(user.user)}
    for each in dict.fromkeys([*_KEYS, *(named[1].split() if named else ())]):
        path = os.path.join(_home(user), re.sub("%[%huU]", lambda token: tokens[token[0]], each))
        for line in _text_lines(path, user):
            kind, _blank, rest = line.partition(" ")
            brief = line if len(line) < 80 else f"{kind} ... {rest[-60:]}"
            yield Item.of(f"{path}: {brief}", f"{path} {line}")


def _units(user: Identity, budget: Budget) -> Iterator[Item]:
    """Its systemd starts them when it logs in; where it lingers, at boot."""
    below = [os.path.join(_home(user), directory) for directory in _UNITS]
    below += [f"/run/user/{user.user}/systemd/{name}" for name in ("user", "transient")]
    for directory in below:
        for path in sorted(entry.path for entry in _below(directory, user.name, budget)):
            lines = " ".join(line for line in _text_lines(path, user) if line.startswith("Exec"))
            yield Item.of(f"{path} ({_facts([path])}) {lines}", f"{path} {_digest([path], user.name)}")
    if os.path.lexists(path := os.path.join(_LINGER, user.name)):
        yield Item.of(f"{path} ({_facts([path])})", path)


def _hidden(user: Identity, _budget: Budget) -> Iterator[Item]:
    """What shells, mailers and other programs read there before they do anything else."""
    for path in sorted(glob.glob(f"{glob.escape(_home(user))}/.*")):
        yield Item.of(f"{path} ({_facts([path])})", path)


def _processes(observer: Observer, users: Sequence[Identity]) -> Iterator[Item]:
    """A worker of a server runs the same program as its parent, which is root's."""
    known = {process.pid: process for process in observer.processes}
    numbers = {user.user: user.name for user in users}
    found: dict[str, list[str]] = {}
    for process in known.values():
        program, parent = _executable(process), known.get(process.parent)
        if process.user not in numbers or not program:
            continue
        serves = parent is not None and parent.user == 0 and _executable(parent) == program
        began = _began(process.pid)
        if not serves and began and observer.now - began >= OLD:
            units = _UNIT.findall(head(f"/proc/{process.pid}/cgroup", _FILE).decode("utf-8", "replace"))
            unit = re.sub(r"\d+(?=\.scope)", "", units[-1]) if units else "no unit"  # sessions are numbered
            found.setdefault(f"{numbers[process.user]}: {program} in {unit}", []).append(
                f"process {process.pid} since {comparison.day(began)}"
            )
    for what, which in sorted(found.items()):
        yield Item.of(f"{what} ({', '.join(which[:3])}{', ...' if len(which) > 3 else ''})", what)


def _executable(process: processes.Process) -> str:
    """What a process runs; empty where it is gone, or not for us."""
    try:
        return os.readlink(f"/proc/{process.pid}/exe").removesuffix(_DELETED)
    except OSError:
        return ""


def _began(pid: int) -> float:
    """When a process began, in seconds since 1970; 0 where it is gone."""
    fields = head(f"/proc/{pid}/stat", _FILE).rpartition(b")")[2].split()
    up = head("/proc/uptime", _FILE).split()
    if len(fields) < 20 or not up:
        return 0.0
    return time.time() - float(up[0]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _of_the_database(observer: Observer, found: Lists) -> None:
    title = "Runs in the database, as its definer"
    try:
        name = observer.database.account.name
        # The application's account does not see what others defined; only on its own host root can be asked.
        if observer.site.database.host in ("", "localhost", "127.0.0.1", "::1", *observer.site.addresses):
            found.add(title, map(_defined, Reader.of_server().query(_DEFINED, (name, name, name))))
        else:
            host = observer.site.database.host
            found.add(title, [Item.of(f"not seen from here: docs/break-in.md has what to ask {host}")])
    except DatabaseError as problem:
        found.gaps.append(f"{title}: {problem}")
    title = f"Administrator made in the last {DAYS} days, or with the account of a pupil"
    try:
        for row in administrators(observer.database, DAYS):
            if row["late"] == "1" or row["status"] == "5":
                found.add(title, [Item.of(row["username"] or "")])
    except DatabaseError as problem:
        found.gaps.append(f"{title}: {problem}")


def _defined(row: Mapping[str, str | None]) -> Item:
    what = f"{row['kind']} {row['place']}.{row['name']}, as {row['definer']}"
    return Item.of(f"{what}: {' '.join((row['text'] or '').split())}", f"{what}: {row['text']}")


def _below_var(observer: Observer, budget: Budget) -> Iterator[Item]:
    top = os.path.join(observer.root, "var")
    found: dict[str, list[str]] = {}
    left = _PATHS
    web_user = observer.site.php.user
    for entry in _below(top, web_user, budget, {os.path.join(top, "cache")}):
        if _PHP.search(entry.name) and (left := left - 1) >= 0:
            parts = os.path.relpath(os.path.dirname(entry.path), observer.root).split("/")
            found.setdefault("/".join(parts[:_DEPTH]), []).append(entry.path)
    for directory, paths in sorted(found.items()):
        yield Item.of(_counted(directory, paths), f"{directory} {_digest(sorted(paths), web_user)}")
    if left < 0:
        yield Item.of(f"var: {-left:,} more files", "var")


def _program(observer: Observer) -> Iterator[Item]:
    """By directory alone: the daily comparison with the list of files alerts each change of one."""
    compared = comparison.against_release(observer.root, observer.site.version, Store(files.STATE).written())
    for group in compared.groups:
        yield Item.of(group.line(), f"{group.directory} {group.what}")
    if not compared.package:
        yield Item.of("compared with no package of the release (chamilo_release_archive)")


def _counted(directory: str, paths: Sequence[str]) -> str:
    """``var/upload: 3 files (www-data, newest of 2026-11-25 x.php)``"""
    number = "1 file" if len(paths) == 1 else f"{len(paths):,} files"
    return f"{directory}: {number} ({_facts(paths)})"


def _facts(paths: Sequence[str]) -> str:
    """The owners, and the newest with its day."""
    seen = []
    for path in paths:
        with contextlib.suppress(OSError):  # it went meanwhile
            status = os.lstat(path)
            seen.append((status.st_mtime, path, status.st_uid))
    if not seen:
        return "gone meanwhile"
    moment, newest, _owner = max(seen)
    owners = sorted({user_name(owner) for _moment, _path, owner in seen})
    name = f" {os.path.basename(newest)}" if len(paths) > 1 else ""
    return f"{', '.join(owners[:3])}, {'newest of ' if name else ''}{comparison.day(moment)}{name}"


def _digest(paths: Sequence[str], web_user: str) -> str:
    """Of their names, sizes and first bytes."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(os.fsencode(path))
        with contextlib.suppress(OSError), os.fdopen(open_regular(path, web_user), "rb") as file:  # a link, or gone
            digest.update(f" {os.fstat(file.fileno()).st_size} ".encode() + file.read(_FILE))
    return digest.hexdigest()


def note(site: str, found: Lists) -> list[str]:
    """Keep them with the date. Returns what is neither accepted nor reported; the first lists count as reported."""
    with _changing(site) as known:
        accepted, reported = known.get("accepted", ()), set(known.get("reported", found.keys()))
        new = found.lines({*accepted, *reported})
        known.update(at=time.time(), keys=sorted(found.keys()), lines=found.lines(accepted), gaps=found.gaps)
        if not new:  # what went is new when it comes again, but not where it was not seen just now
            known["reported"] = sorted(found.keys() | (reported if found.gaps else set()))
    return new


def reported(site: str) -> None:
    """The alert went out."""
    with _changing(site) as known:
        known["reported"] = sorted({*known["keys"], *(known["reported"] if known["gaps"] else ())})


def accept(site: str, found: Lists) -> int:
    """What is there now and was in the lists before is expected from now on. Returns how many lines that are."""
    with _changing(site) as known:
        accepted = sorted(found.keys() & set(known.get("keys", found.keys())))
        known.update(at=time.time(), keys=sorted(found.keys()), lines=found.lines(accepted), gaps=found.gaps)
        known.update(accepted=accepted, accepted_at=time.time())
    return len(accepted)


@contextlib.contextmanager
def _changing(site: str) -> Iterator[dict[str, Any]]:
    path = os.path.join(files.STATE, RECORD)
    os.makedirs(files.STATE, 0o700, exist_ok=True)
    with locks.lock(f"{path}.lock", RECORD, locks.FOREVER):
        every = records.read(RECORD)
        known = every.setdefault(site, {})
        yield known
        files.replace_file(path, json.dumps(every, indent=1, sort_keys=True) + "\n")
