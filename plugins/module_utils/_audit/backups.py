# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the collection's own backups, and copies of data that lie where the web server can read them.

Whether the backups of another program are good is for a person to say: the jobs that call one are listed.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import replace
from functools import partial

from .._application import dotenv
from .._application.observer import Observer, Unseen
from .._backups import key as backups_key
from .._backups.portal import shown as repository_shown
from .._backups.proof import fingerprint
from .._common import locks
from .._common.control import PASS, Finding, check, failed, passed
from .._common.naming import word
from .._common.paths import open_regular, shown
from .._common.sentences import first_of
from .._common.tree import Tree
from .._common.walks import Budget, walk
from .._host.processes import named
from .._monitoring.tree import can_read, web_users
from .host_jobs import RECORDS, SETTINGS, job_of_ours, not_ours, record, settings

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
_DUMP = re.compile(r"(?i)\.(?:sql|dump)(?:\.(?:gz|xz|bz2|zst|lz4))?$")
_ARCHIVE = re.compile(r"(?i)\.(?:zip|tar|tar\.\w{1,4}|t[gbx]z|7z|rar)$")
_NAMED_SO = re.compile(
    r"(?i)backup|sauvegarde|respaldo|sicherung|(?:^|[-_.])(?:bak|dump|db|sql)(?:[-_.\d]|$)|chamilo|20\d\d"
)
_MADE_BY = re.compile(
    rb"-- (?:MySQL|MariaDB) dump|/\*M!999999|phpMyAdmin SQL Dump|-- Adminer |PostgreSQL database dump"
)
# Files of users, and of Chamilo and its libraries: no backups, whatever their names.
_NOT_OURS = ("var/upload", "var/courses", "var/cache", "vendor", "node_modules", ".git")


def _lost(observer: Observer, hours: float = _DAY, last: bool = False) -> str:
    """What is gone of what our own backups need: a portal's repository on this host (``last``: the farthest), its key.

    What lies on another machine does not show here; there the date of the last success has to do.
    """
    for site, known in settings("backups").items():
        if not named(observer.jobs, rf"\bchamilo-hardening\b.*--site {re.escape(site)}(?:\s|$)"):
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


def _ours(observer: Observer, name: str, what: str, hours: float, starts: str, last: bool = False) -> Finding | None:
    """What our own record of a job says; None where there is none, and none is being made."""
    lost = partial(_lost, observer, hours=hours, last=last)
    if found := job_of_ours(observer, OURS, name, what, hours, starts, lost):
        return found
    going_on = [site for site in settings("backups") if locks.holder(f"{RECORDS}/backups/{site}.lock")]
    if not going_on:
        return None
    words = f"{what} was not done yet: the first backup or restore test of {first_of(going_on)} goes on."
    return replace(failed(words), waits=f"{words} Audit again when it has ended.")


@check("backups_database")
def database(observer: Observer) -> Finding:
    ours = _ours(observer, "database", "The backup of the database", _DAY, "backup")
    if ours:
        return ours
    return not_ours(observer, "No backup of the database by the role backups was recorded")


def _start(path: str) -> bytes:
    """The first bytes of a file; none of one that is not there, or not for us."""
    with contextlib.suppress(OSError), open(open_regular(path), "rb") as stream:
        return stream.read(_HEAD)
    return b""


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
    ours = _ours(observer, "files", what, _DAY, "backup")
    if ours:
        return ours
    return not_ours(observer, "No backup of the uploads, .env and config/ by the role backups was recorded")


def _is_store(name: str) -> bool:
    return bool(re.match(r"(?:AWS_S3|AZURE|GOOGLE)_STORAGE_", name) and re.search("BUCKET|CONTAINER|KEY|STRING", name))


@check("backups_offsite")
def offsite(observer: Observer) -> Finding:
    what = "The copy to another machine"
    ours = _ours(observer, "offsite", what, _DAY, "backup", last=True)
    if ours:
        return ours
    return not_ours(observer, "No copy on another machine by the role backups was recorded")


@check("backups_encrypted")
def encrypted(observer: Observer) -> Finding:
    what = "The comparison of the repository's key with its copy elsewhere"
    ours = job_of_ours(observer, OURS, "encrypted", what, _RESTORE_TEST, "backup", partial(_lost, observer))
    if ours and ours.status == PASS:
        return _compared(observer, ours)
    if ours:
        return failed(f"{ours.evidence} The playbook harden compares them, run where the copy of the key is.")
    return not_ours(observer, "No encrypted backup by the role backups was recorded")


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
    ours = _ours(observer, "drill", what, _RESTORE_TEST, "drill", last=True)
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
        words = f"Under a web root, or readable by {who}: {listed}. Move them away, or remove them. {budget.gap}"
        return failed(words.strip())
    if budget.gap:
        raise Unseen(f"no backup was found that {who} can read, but: {budget.gap}")
    return passed(
        f"No dump or archive under {first_of(sorted(roots))}, and none that {who} can read in {first_of(PLACES, 3)}."
    )


def _is_backup(entry: os.DirEntry[str]) -> bool:
    """A database dump by its content; what is packed by its name, which is all that a visitor has to guess."""
    if _DUMP.search(entry.name):
        return not entry.name.lower().endswith((".sql", ".dump")) or bool(_MADE_BY.search(_start(entry.path)))
    return bool(_ARCHIVE.search(entry.name) and _NAMED_SO.search(entry.name) and entry.is_file(follow_symlinks=False))
