# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which portals are backed up, and what is remembered of it."""

from __future__ import annotations

import glob
import json
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from .._common import files, records
from .._common.errors import HardeningError

CONFIGURATION = "/etc/chamilo-hardening"
RECORD = "backups.json"


class BackupError(HardeningError):
    """A backup, restore test or restore that failed. The message states why, without a secret."""

    complaint = ""  # the whole output of restic


@dataclass(frozen=True)
class Portal:
    """What is backed up, and to where. Empty texts: not there."""

    site: str
    domain: str
    root: str
    web_user: str = "www-data"
    php: str = ""  # 8.4
    php_service: str = ""
    host: str = "localhost"
    port: int = 3306
    socket: str = ""
    name: str = ""
    repository: str = ""
    offsite: str = ""
    keep_daily: int = 7
    keep_weekly: int = 5
    keep_monthly: int = 12
    scratch: str = ""
    drills: bool = True

    @property
    def local(self) -> bool:
        """Whether the database server runs on this host."""
        return self.host in ("", "localhost", "127.0.0.1", "::1")

    @property
    def key_file(self) -> str:
        return f"{CONFIGURATION}/backups-{self.site}.key"

    @property
    def credentials_file(self) -> str:
        """What restic needs to get into the repositories."""
        return f"{CONFIGURATION}/backups-{self.site}.env"

    @property
    def account_file(self) -> str:
        """The account that dumps the database."""
        return f"{CONFIGURATION}/backup-{self.site}.cnf"

    @property
    def places(self) -> tuple[str, ...]:
        """The repositories, the first one first."""
        return tuple(filter(None, (self.repository, self.offsite)))

    @property
    def farthest(self) -> str:
        """The one that a restore test and a restore read by default."""
        if not self.places:
            raise BackupError(f"No repository is configured for {self.domain}: set chamilo_backups_repository.")
        return self.places[-1]

    @property
    def directory(self) -> str:
        return os.path.realpath(self.root)


def path_of(site: str) -> str:
    return f"{CONFIGURATION}/backups-{site}.json"


def parse(text: str, where: str) -> Portal:
    try:
        known = json.loads(text)
        return Portal(**{field.name: known[field.name] for field in fields(Portal) if field.name in known})
    except (ValueError, TypeError) as problem:
        raise BackupError(f"{where} cannot be used: {problem}. Run the playbook harden again.") from problem


def portals() -> list[Portal]:
    """The portals of this host that are backed up."""
    found = []
    for path in sorted(glob.glob(path_of("*"))):
        with open(path, encoding="utf-8") as stream:
            found.append(parse(stream.read(), path))
    return found


def chosen(site: str) -> Portal:
    """The portal of this name or domain; without one, the only portal of the host."""
    known = portals()
    found = [portal for portal in known if site in (portal.site, portal.domain)] if site else known
    if len(found) == 1:
        return found[0]
    names = ", ".join(portal.site for portal in known) or "none"
    if site or not known:
        raise BackupError(f"No portal {site or 'at all'} is backed up here. Known: {names}.")
    raise BackupError(f"Name the portal: --site {names.replace(', ', ' or --site ')}.")


def _memory_path(portal: Portal) -> str:
    return os.path.join(files.STATE, "backups", f"{portal.site}.json")


def remembered(portal: Portal) -> dict[str, Any]:
    try:
        with open(_memory_path(portal), encoding="utf-8") as stream:
            known = json.load(stream)
    except (FileNotFoundError, ValueError):  # replaced whole: a damaged one is as good as none
        known = {}
    return {"repositories": {}, "last": {}, "good": {}, "upkeep": {}, "open": "", **known}


def remember(portal: Portal, memory: Mapping[str, Any]) -> None:
    files.replace_file(_memory_path(portal), json.dumps(memory, indent=1, sort_keys=True) + "\n")


def note(portal: Portal, name: str, done: bool, detail: str, **more: Any) -> None:
    """Write down how a job went: for this portal, and for the host, whose audit sees the worst of all its portals."""
    records.note(f"backups-{portal.site}.json", name, done, detail, **more)
    merged: dict[str, Any] = {}
    for known in portals() or [portal]:
        for job, entry in records.read(f"backups-{known.site}.json").items():
            worst = merged.get(job)
            if worst is None or (entry["ok"], entry["at"]) < (worst["ok"], worst["at"]):
                merged[job] = {**entry, "site": known.site}
    files.replace_file(os.path.join(files.STATE, RECORD), json.dumps(merged, indent=1, sort_keys=True) + "\n")


# How far a restore is, as it is written down before each step, and what an administrator has to know of it.
FETCHING, STAGED, CHANGING, ABANDONING = "fetching", "staged", "changing", "abandoning"
UPDATE = "update"  # the part of one that is no restore: a new release and the one before change places
_REACHED = {
    FETCHING: "The backup was being fetched; nothing was changed",
    STAGED: "The backup is fetched; nothing was changed",
    CHANGING: "Tables and files were changing places: some may be from the backup and some from before",
    ABANDONING: "It was being rolled back: some tables and files may still be from the backup",
}


def journal_path(portal: Portal) -> str:
    return os.path.join(files.STATE, "backups", f"{portal.site}.restoring.json")


def journal(portal: Portal) -> dict[str, Any]:
    """What was written down of a restore that is not finished."""
    try:
        with open(journal_path(portal), encoding="utf-8") as stream:
            known: dict[str, Any] = json.load(stream)
    except FileNotFoundError:
        return {}
    except ValueError as problem:
        raise BackupError(f"{journal_path(portal)} cannot be read: {problem}.") from problem
    return {"phase": CHANGING, "part": "host", "path": "", "run": "", "since": "", **known}


def reach(portal: Portal, journal: dict[str, Any], phase: str) -> None:
    """Write the journal, before anything of a phase is done."""
    journal["phase"] = phase
    files.replace_file(journal_path(portal), json.dumps(journal, indent=1) + "\n")


def unfinished(portal: Portal) -> str:
    """Where a restore stands that is not finished, and how to go on; an empty text where there is none."""
    known = journal(portal)
    if not known:
        return ""
    if known["part"] == UPDATE:
        return (
            f"The update of {portal.domain} that began at {known['since']} is not finished. "
            f"Roll back: chamilo-hardening update --abandon --site {portal.site}{'' if known['run'] else ' --node'}"
        )
    words = {name: f" {word} {known[name]}" if known[name] else "" for name, word in (("run", "from"), ("since", "of"))}
    resume = [known["part"], *filter(None, [known["path"]]), "--site", portal.site, "--confirm", portal.domain]
    return (
        f"The restore{words['since']} ({known['part']} of {portal.domain}{words['run']}) is not finished. "
        f"{_REACHED.get(known['phase'], known['phase'])}. "
        f"Resume: chamilo-hardening restore {' '.join(map(shlex.quote, resume))}. "
        f"Roll back: chamilo-hardening restore --abandon --site {portal.site}"
    )


def shown(url: str) -> str:
    """A repository without user and password."""
    # To the last @: a password may contain one. Also where it contains a slash, which no address may: that is no port.
    return re.sub(r"//([^/]+@|[^/:[]+:(?!\d*/).*@)", "//", url)


def due(portal: Portal) -> list[str]:
    """What never succeeded as things are now: the role does it at once."""
    known = records.read(f"backups-{portal.site}.json")
    last = remembered(portal)["last"]
    # An older version noted that a copy was made, and not where.
    reached = not portal.offsite or last.get("offsite") in (True, shown(portal.offsite))
    jobs = [] if known.get("database", {}).get("ok") and reached else ["backup"]
    return [*jobs, *([] if known.get("drill", {}).get("ok") else ["drill"])]
