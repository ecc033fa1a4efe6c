# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Checks the backups: their jobs, their traces, and copies that lie where the web server can read them.

Whatever tool makes them counts, as far as its success can be seen on this host. What cannot be seen is not assessed.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import key as backups_key
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import shown as repository_shown
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.proof import fingerprint
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import (
    PASS,
    Finding,
    check,
    failed,
    passed,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import head, open_regular, tail
from ansible_collections.chamilo.hardening.plugins.module_utils._common.sentences import first_of
from ansible_collections.chamilo.hardening.plugins.module_utils._common.walks import Budget, walk
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.tree import can_read, shown, web_users
from ansible_collections.chamilo.hardening.plugins.module_utils._portal import dotenv
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Tree
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.host_jobs import (
    RECORDS,
    SETTINGS,
    job_of_ours,
    record,
    settings,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.naming import word
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.observer import Observer, Unseen
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.processes import Job, jobs, named

OURS = "backups.json"
PLACES = (
    "/var/backups",
    "/backup",
    "/backups",
    "/srv/backup",
    "/srv/backups",
    "/opt/backup",
    "/opt/backups",
    "/mnt/backup",
    "/var/lib/automysqlbackup",
    "/root",
    "/home",
)
_DAY = 26  # hours: a day, and the time a backup takes
_RESTORE_TEST = 31 * 24
_AHEAD = 3600  # seconds a date may be ahead of the clock
_SECONDS = 5.0  # for one walk
_HEAD = 2048
_UNPACK = 8 << 20  # bytes of a packed dump that are unpacked to see its end
_DUMP = re.compile(r"(?i)\.(?:sql|dump)(?:\.(?:gz|xz|bz2|zst|lz4))?$")
_ARCHIVE = re.compile(r"(?i)\.(?:zip|tar|tar\.\w{1,4}|t[gbx]z|7z|rar)$")
_NAMED_SO = re.compile(
    r"(?i)backup|sauvegarde|respaldo|sicherung|(?:^|[-_.])(?:bak|dump|db|sql)(?:[-_.\d]|$)|chamilo|20\d\d"
)
_LIST = 4 << 20  # bytes at the end of a zip archive, in which its list is searched for
_IN_A_BACKUP = re.compile(
    rb"(?i)\.(?:sql|dump)(?:\.\w+)?$|(?:^|/)(?:\.env(?:\.local)?|bin/console)$|\.(?:zip|tar|t[gbx]z|7z|rar|gz|bz2|xz|zst)$"
)
_MADE_BY = re.compile(
    rb"-- (?:MySQL|MariaDB) dump|/\*M!999999|phpMyAdmin SQL Dump|-- Adminer |PostgreSQL database dump"
)
_COMPLETE = re.compile(rb"-- Dump completed\b")
_DUMPERS = r"\b(?:mysqldump|mariadb-dump|automysqlbackup)\b"
_SNAPSHOTS = r"\b(?:mariabackup|mariadb-backup|xtrabackup|mydumper)\b"
_TOOLS = (
    r"\b(?:restic|borg|borgmatic|duplicity|duply|rsnapshot|rdiff-backup|kopia|tarsnap|backupninja|bacula-fd|bareos-fd|"
    r"urbackupclientctl|proxmox-backup-client|rclone)\b"
)
_COPIERS = r"\b(?:rsync|scp|sftp|tar|zip|cpio)\b"
_ELSEWHERE = re.compile(
    r"(?:sftp|ssh|rest|rclone|s3|b2|azure|gs|swift|webdavs?|ftps?|rsync):[^\s'\"]+|(?P<web>https?://[^\s'\"]+)"
    r"|\b[\w.-]+@(?P<host>[\w.-]+):[^\s'\"]*"
)
# Programs that send a copy to a web address. Others only send it a notification.
_SENDERS = re.compile(r"(?:^|[\s/(])(?:(?:rclone|restic|borg|rsync|scp)\s|curl\s(?:.*\s)?(?:-\w*T|--upload-file)\b)")
_WAY = re.compile(r"(\w+:(?://)?)(?:https?://)?(?:[^/?]*@)?(\[[\da-fA-F:]+\]|[\w.-]*)")
_SCRIPT = re.compile(r"(?<![\w./-])/(?:etc|root|home|opt|srv|usr/local)/[\w./+-]+")
_SCRIPT_BYTES = 1 << 16
# Files of users, and of Chamilo and its libraries: no backups, whatever their names.
_NOT_OURS = ("var/upload", "var/courses", "var/cache", "vendor", "node_modules", ".git")


@dataclass(frozen=True)
class Dump:
    path: str
    at: float
    size: int


@dataclass(frozen=True)
class Makers:
    """The jobs of this host that seem to be backups, with the text of the scripts they call."""

    dumps: tuple[tuple[Job, str], ...]
    tools: tuple[tuple[Job, str], ...]
    copies: tuple[tuple[Job, str], ...]

    @property
    def all(self) -> tuple[tuple[Job, str], ...]:
        return self.dumps + self.tools + self.copies


def makers(observer: Observer) -> Makers:
    found: dict[str, list[tuple[Job, str]]] = {"dumps": [], "tools": [], "copies": []}
    for job in observer.once(jobs):
        if not job.active:
            continue
        text = job.command + "\n" + "\n".join(_scripts(job.command))
        if re.search(_DUMPERS, text):
            found["dumps"].append((job, text))
        elif re.search(f"{_TOOLS}|{_SNAPSHOTS}", text):
            found["tools"].append((job, text))
        elif re.search(_COPIERS, text) and re.search(r"(?i)backup|" + re.escape(observer.site.root or "\0"), text):
            found["copies"].append((job, text))
    return Makers(tuple(found["dumps"]), tuple(found["tools"]), tuple(found["copies"]))


def _scripts(command: str) -> Iterator[str]:
    for path in dict.fromkeys(_SCRIPT.findall(command)):
        text = head(path, _SCRIPT_BYTES)
        if (
            text.startswith(b"#!") and b"\0" not in text
        ):  # a program in a zip file, such as ours, has words of all it can
            yield text.decode("utf-8", "replace")


def _called(makers: tuple[tuple[Job, str], ...]) -> str:
    return first_of(dict.fromkeys(job.source for job, _text in makers), 3)


_SEARCHED = (
    f"Searched: {RECORDS}/{OURS}, timers and cron jobs that call mysqldump, mariadb-dump, restic, borg and the like, "
    "and dumps in /var/backups, /backup, /srv, /opt, /root, /home"
)


def _lost(observer: Observer, hours: float = _DAY, last: bool = False) -> str:
    """What is gone of what our own backups need: a portal's repository on this host (``last``: the farthest), its key.

    What lies on another machine does not show here; there the date of the last success has to do.
    """
    for site, known in settings("backups").items():
        if not named(observer.once(jobs), rf"\bchamilo-hardening\b.*--site {re.escape(site)}(?:\s|$)"):
            return f"no cron job saves {site} any more"
        if os.path.exists(f"{RECORDS}/backups/{site}.restoring.json"):
            return f"a restore of {site} is not finished: `chamilo-hardening status` shows where it stands"
        places = [str(known.get(name) or "") for name in ("repository", "offsite")]
        place = next(filter(None, reversed(places) if last else places), "")
        copied = record(f"backups-{site}.json", "offsite") if last and places[1] else None
        if copied and copied.detail != f"In {repository_shown(places[1])}.":
            return (
                f"none is in {repository_shown(places[1])} yet, which is configured now. Run: chamilo-hardening backup"
            )
        if not place:
            return f"no repository is configured for {site}"
        if not os.path.exists(f"{SETTINGS}/backups-{site}.key"):
            return f"the key of {site} is gone ({SETTINGS}/backups-{site}.key)"
        if place.startswith("/"):
            dates = [entry.stat().st_mtime for entry in walk(f"{place}/snapshots", Budget(_SECONDS))]
            if not os.path.exists(f"{place}/config") or not dates:
                return f"there is no repository in {shown(place)} any more"
            snapshots = [date for date in dates if date <= observer.now + _AHEAD]
            if not snapshots:
                return f"every backup in {shown(place)} is dated in the future"
            if observer.now - max(snapshots) > hours * 3600:
                return f"the newest backup in {shown(place)} is older than {hours:.0f} hours"
    return ""


@check("backups_database")
def database(observer: Observer) -> Finding:
    ours = job_of_ours(
        observer, OURS, "database", "The backup of the database", _DAY, "backup", partial(_lost, observer)
    )
    if ours:
        return ours
    found = observer.once(makers)
    dump = observer.once(_newest)
    if dump is None:
        _may_hide(observer, found)
        if found.dumps:
            return failed(f"{_called(found.dumps)} dumps a database, but no dump of it is in {first_of(PLACES, 20)}.")
        return failed(f"No backup of the database was found. {_SEARCHED}.")
    age = (observer.now - dump.at) / 3600
    text = f"The newest dump is {shown(dump.path)}, {age:.0f} hours old"
    wrong = [] if age <= _DAY else [f"older than {_DAY} hours"]
    wrong += [] if age >= -_AHEAD / 3600 else ["dated in the future, so its age is unknown"]
    complete = _is_complete(dump)
    if complete is False:
        wrong.append("cut off: its last line is missing")
    if not found.dumps:
        wrong.append("made by no job that is known, so there will not be one tomorrow")
    elif not any(re.search(r"--single-transaction|automysqlbackup", text) for _job, text in found.dumps):
        wrong.append(f"made without --single-transaction ({_called(found.dumps)}), so what changed meanwhile is torn")
    if wrong:
        return failed(f"{text}: {'; '.join(wrong)}.")
    if complete is None:
        raise Unseen(f"{text.lower()}, but it is too large, or packed in a way, to see here whether it is complete")
    return passed(f"{text} and complete, made by {_called(found.dumps)} in one transaction.")


def _may_hide(observer: Observer, found: Makers) -> None:
    """A tool that keeps its backups out of sight may well work."""
    if found.tools:
        raise Unseen(
            f"{_called(found.tools)} calls a backup tool; when that last succeeded, and with what, it does not show"
        )
    if not observer.as_root:
        raise Unseen("needs root to see the jobs of other accounts and where backups lie")


def _newest(observer: Observer) -> Dump | None:
    """The newest dump that contains our database, outside of the portal's own directory."""
    budget = Budget(_SECONDS)
    found = []
    for place in PLACES:
        for entry in walk(place, budget):
            if _DUMP.search(entry.name):
                with contextlib.suppress(FileNotFoundError):  # it went meanwhile
                    status = entry.stat(follow_symlinks=False)
                    found.append(Dump(entry.path, status.st_mtime, status.st_size))
    name = observer.site.database.name.encode()
    for dump in sorted(found, key=lambda dump: -dump.at)[:50]:
        start = _start(dump.path)
        if _MADE_BY.search(start) and (not name or name in start or name in os.fsencode(dump.path)):
            return dump
    return None


@contextlib.contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    """What is in a file, unpacked where it is packed."""
    openers: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
    opener = openers.get(os.path.splitext(path)[1])
    with open(open_regular(path), "rb") as raw:
        if opener is None:
            yield raw
        else:
            with opener(raw, "rb") as stream:
                yield stream


def _start(path: str) -> bytes:
    """The first bytes of a dump, unpacked."""
    start = b""
    # One that is cut off still has a beginning; one that is not there, or not for us, has none.
    with contextlib.suppress(OSError, EOFError, lzma.LZMAError, zlib.error), _opened(path) as stream:
        while len(start) < _HEAD:
            piece = stream.read(64)
            if not piece:
                break
            start += piece
    return start


def _is_complete(dump: Dump) -> bool | None:
    """Whether the last line that the dump program writes is there. None: cannot be seen here."""
    if dump.path.endswith((".zst", ".lz4")) or not head(dump.path, 1):
        return None
    if not dump.path.endswith((".gz", ".xz", ".bz2")):
        return bool(_COMPLETE.search(tail(dump.path, 512)))
    if dump.size > _UNPACK:
        return None
    end = b""
    try:
        with _opened(dump.path) as stream:
            for piece in iter(lambda: stream.read(1 << 20), b""):
                end = (end + piece)[-512:]
    except (OSError, EOFError, lzma.LZMAError, zlib.error):
        return False
    return bool(_COMPLETE.search(end))


@check("backups_files")
def files(observer: Observer) -> Finding:
    environment = dotenv.read(Tree(), observer.root, web_user=observer.site.php.user)
    stores = [name for name in environment.sources if _is_store(name) and environment.secret(name)]
    if stores:
        return failed(
            f"Uploads are kept in an object store ({first_of(stores)} in the environment), not on this host; they need "
            "a backup of their own there."
        )
    what = "The backup of var/, .env and config/"
    ours = job_of_ours(observer, OURS, "files", what, _DAY, "backup", partial(_lost, observer))
    if ours:
        return ours
    found = observer.once(makers)
    _may_hide(observer, found)
    if found.copies:
        raise Unseen(f"{_called(found.copies)} copies files; when that last succeeded, and with what, it does not show")
    return failed(f"No backup of the uploads, .env and config/ was found. {_SEARCHED}.")


def _is_store(name: str) -> bool:
    return bool(re.match(r"(?:AWS_S3|AZURE|GOOGLE)_STORAGE_", name) and re.search("BUCKET|CONTAINER|KEY|STRING", name))


@check("backups_offsite")
def offsite(observer: Observer) -> Finding:
    what = "The copy to another machine"
    ours = job_of_ours(observer, OURS, "offsite", what, _DAY, "backup", partial(_lost, observer, last=True))
    if ours:
        return ours
    found = observer.once(makers)
    hosts = first_of(dict.fromkeys(host for _job, text in found.all for host in _elsewhere(text)), 3)
    if hosts:
        raise Unseen(f"{_called(found.all)} names {hosts}; whether a copy arrives there does not show on this host")
    _may_hide(observer, found)
    if found.all:
        return failed(f"{_called(found.all)} makes copies, but names no other machine.")
    return failed(f"No copy on another machine: nothing on this host sends one. {_SEARCHED}.")


def _elsewhere(text: str) -> Iterator[str]:
    """Where the commands of a script send something: way and host alone. The rest of an address can be a secret."""
    for command in re.split(r"[;|&\n]", text.replace("\\\n", " ")):
        for found in _ELSEWHERE.finditer(command):
            way = _WAY.match(found[0])
            if found["host"]:
                yield found["host"]
            elif way and (not found["web"] or _SENDERS.search(command, 0, found.start())):
                yield f"{way[1]}{way[2]}"


@check("backups_encrypted")
def encrypted(observer: Observer) -> Finding:
    what = "The comparison of the repository's key with its copy elsewhere"
    ours = job_of_ours(observer, OURS, "encrypted", what, _RESTORE_TEST, "backup", partial(_lost, observer))
    if ours and ours.status == PASS:
        return _compared(observer, ours)
    if ours:
        return failed(f"{ours.evidence} The playbook harden compares them, run where the copy of the key is.")
    dump = observer.once(_newest)
    if dump is not None:
        return failed(f"{shown(dump.path)} is a dump that is readable wherever it is copied: it is not encrypted.")
    found = observer.once(makers)
    _may_hide(observer, found)
    return failed(f"No encrypted backup was found. {_SEARCHED}.")


def _compared(observer: Observer, ours: Finding) -> Finding:
    """Whether the controller still has the copy: the host alone cannot know, whatever it recorded once."""
    copy, proof = observer.options["key_copy"], observer.options["key_proof"]
    if not proof:
        raise Unseen(
            f"the controller that runs this audit shows no copy of the backup key: {copy or 'it was not asked'}. Run "
            "the audit where the copy is, or set chamilo_backups_password. The playbook harden fetches another copy"
        )
    path = f"{SETTINGS}/backups-{observer.options['site'] or word(observer.site.domain)}.key"
    if not os.path.exists(path):
        raise Unseen(f"there is no {path}, so the backups of this host are those of other portals")
    with open(path, encoding="utf-8") as stream:
        key = stream.read()
    if fingerprint(key, proof["salt"]) != proof["fingerprint"]:
        return failed(
            f"The copy of the backup key on the controller ({copy}) is not the key in {path}: without a copy of that "
            "one the backups are lost with the host. Put the right copy there, or move the wrong one away and run the "
            "playbook harden, which fetches another."
        )
    if observer.options["key_holder"] in ("", backups_key.machine()):
        raise Unseen(f"this host runs the audit itself, so {copy} is no copy elsewhere. Run it where the copy is")
    return passed(f"{ours.evidence} The key is the same as that of the controller now ({copy}).")


@check("backups_restore_tested")
def restore_tested(observer: Observer) -> Finding:
    what = "A restore test"
    ours = job_of_ours(
        observer, OURS, "drill", what, _RESTORE_TEST, "drill", partial(_lost, observer, hours=_RESTORE_TEST, last=True)
    )
    if ours:
        return ours
    observer.needs_root(f"read {RECORDS}/{OURS}")
    return failed(f"No restore test was recorded: there is no such entry in {RECORDS}/{OURS}.")


@check("backups_private")
def private(observer: Observer) -> Finding:
    users = web_users(observer)
    budget = Budget(_SECONDS)
    roots = {os.path.realpath(host.root) for host in observer.site.virtual_hosts if host.root}
    roots |= {os.path.realpath(observer.site.root)} if observer.site.root else set()
    roots = {root for root in roots if root != "/" and not any(root.startswith(f"{other}/") for other in roots)}
    exposed = []
    for root in sorted(roots):
        skip = {os.path.join(root, name) for name in _NOT_OURS}
        exposed += [entry.path for entry in walk(root, budget, skip) if _is_backup(entry)]
    for place in PLACES:
        exposed += [
            entry.path
            for entry in walk(place, budget)
            if _is_backup(entry) and any(can_read(who, entry.path) for who in users)
        ]
    who = first_of(user.name for user in users)
    if exposed:
        listed = first_of(map(shown, exposed))
        return failed(f"Under a web root, or readable by {who}: {listed}. {budget.gap}".strip())
    if budget.gap:
        raise Unseen(f"no backup was found that {who} can read, but: {budget.gap}")
    return passed(
        f"No dump or archive under {first_of(sorted(roots))}, and none that {who} can read in {first_of(PLACES, 3)}."
    )


def _is_backup(entry: os.DirEntry[str]) -> bool:
    """A database dump by its content; an archive by its name, unless all that is in it is seen to be something else."""
    if _DUMP.search(entry.name):
        return bool(_MADE_BY.search(_start(entry.path)))
    if not (_ARCHIVE.search(entry.name) and _NAMED_SO.search(entry.name) and entry.is_file(follow_symlinks=False)):
        return False
    listed = _listed(entry.path)
    return listed is None or any(map(_IN_A_BACKUP.search, listed))


def _listed(path: str) -> list[bytes] | None:
    """The names in a zip archive; None for other kinds, and where its list is not seen whole."""
    end = tail(path, _LIST)
    start = end.rfind(b"PK\5\6")
    if start < 0 or len(end) < start + 22:
        return None
    number, size = struct.unpack("<HI", end[start + 10 : start + 16])
    place, found = start - size, []
    while 0 <= place and end[place : place + 4] == b"PK\1\2" and place + 46 <= start:
        named, extra, comment = struct.unpack("<HHH", end[place + 28 : place + 34])
        found.append(end[place + 46 : place + 46 + named])
        place += 46 + named + extra + comment
    return found if len(found) == number and place == start else None
