# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is so on this host now. `status` prints it; the last screens, the audit and prove ask `status --json` for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .._application.discovery import unused_drop_ins
from .._backups import jobs, restore
from .._backups import portal as backups_portal
from .._brute_force import unlock
from .._common import records
from .._common.errors import HardeningError
from .._common.recurring import DAILY
from .._monitoring import daily
from .._permissions import open_windows
from .._transaction import our_lines, repair
from .._transaction.repair import Repairing
from .._uploads import antivirus
from .undo import KINDS

# OPEN: for a person or a run to end. WAITING: ends by itself, or with what goes on. BROKEN: our files or marks were
# changed, or a service has not read them. RED: a job failed, until it succeeds. LOCKED: accounts and addresses.
OPEN, WAITING, BROKEN, RED, LOCKED, UNSEEN = "open", "waiting", "broken", "red", "locked", "not looked at"
STATES = (BROKEN, RED, OPEN, UNSEEN, LOCKED, WAITING)
HARDEN, REPAIR = "ansible-playbook chamilo.hardening.harden", "chamilo-hardening repair"
_STATUS = "chamilo-hardening status"


@dataclass(frozen=True)
class Entry:
    """One thing that is not as it should be, and the command that ends it."""

    state: str
    section: str  # of the guide, or as transactions are called: headers:SITE
    why: str
    next: str


@dataclass(frozen=True)
class State:
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # each transaction that is active
    kept: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)  # of KINDS: the keys that `undo` restores
    entries: tuple[Entry, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"sections": self.sections, **self.kept, "entries": [asdict(one) for one in self.entries]}


def observe(engine: Repairing) -> State:
    """All of it. What cannot be read is an entry, and hides nothing else."""
    entries: list[Entry] = []
    sections: dict[str, dict[str, Any]] = {}
    readers: tuple[tuple[str, Callable[[], Iterator[Entry]]], ...] = (
        ("", lambda: _transactions(engine, sections)),
        ("backups", restores),
        ("backups", _backups),
        ("permissions", lambda: _windows(engine)),
        ("monitoring", _jobs),
        ("monitoring", _lists),
        ("brute_force", _locked),
    )
    for section, reader in readers:
        entries += _read(section, reader)
    kept = {kind.memory.name: dict[str, list[str]]() for kind in KINDS}
    for kind in KINDS:

        def remembered(kind: Any = kind) -> Iterator[Entry]:
            known = kind.memory.recall(engine.store.root)
            kept[kind.memory.name].update({name: sorted(kind.memory.keys(one)) for name, one in sorted(known.items())})
            yield from ()

        entries += _read("", remembered)
    return State(sections, kept, tuple(sorted(entries, key=lambda one: STATES.index(one.state))))


def _read(section: str, reader: Callable[[], Iterator[Entry]]) -> Iterator[Entry]:
    try:
        yield from reader()
    except (HardeningError, OSError, ValueError) as problem:
        yield Entry(UNSEEN, section, str(problem), _STATUS)


def _transactions(engine: Repairing, sections: dict[str, dict[str, Any]]) -> Iterator[Entry]:
    state = engine.store.peek()
    unused = unused_drop_ins({path for record in state["records"].values() for path in record["files"]})
    edited, lost = repair.edited(state), our_lines.lost(state)
    for name, record in sorted(state["records"].items()):
        idle = [path for path in sorted(record["files"]) if path in unused]
        sections[name] = {
            "since": record["at"],
            "generation": record["generation"],
            "files": sorted([*record["files"], *our_lines.of(record)]),
            "edited": edited[name],
            "lost": lost[name],
            "unused": idle,
        }
        for path in edited[name]:
            if path not in idle:
                yield Entry(BROKEN, name, f"Edited by hand since: {path}", REPAIR)
        for sentence in lost[name]:
            yield Entry(BROKEN, name, sentence, REPAIR)
        for path in idle:
            yield Entry(OPEN, name, f"No virtual host includes {path}", HARDEN)
    if running := engine.store.holder():
        yield Entry(WAITING, "", f"A run is going on: {running}", _STATUS)
    elif state["open"]:
        name, since = state["open"]["name"], state["open"]["since"]
        why = f"The run of {name} that began at {since} was interrupted. A timer or the next boot rolls its files back"
        yield Entry(BROKEN, name, why, REPAIR)
    for service in sorted(state["pending"]):
        yield Entry(BROKEN, "", f"{service} has not read its present files", REPAIR)


def restores() -> Iterator[Entry]:
    """Those that go on, or are not finished."""
    for portal in backups_portal.portals():
        running = jobs.holder(portal)
        if running.startswith(("restore ", "update ")):
            yield Entry(WAITING, "backups", f"Of {portal.domain}, still going on: {running}.", _STATUS)
        elif words := backups_portal.unfinished(portal):
            why, _, command = words.rpartition(" Roll back: ")
            yield Entry(OPEN, "backups", why, command)


def _backups() -> Iterator[Entry]:
    """What of them is late or failed, and what restores have left."""
    for portal in backups_portal.portals():
        for job, words in jobs.red(portal):
            command = f"chamilo-hardening {job} --site {portal.site}" if job else _STATUS
            yield Entry(RED if job else WAITING, "backups", words, command)
        for words in restore.kept(portal):
            why, _colon, command = words.partition(" When all is well: ")
            yield Entry(WAITING, "backups", why, command or _STATUS)


def _windows(engine: Repairing) -> Iterator[Entry]:
    for window in open_windows.known(engine.store.root):
        yield Entry(OPEN, "permissions", window.description(), "chamilo-hardening window close")


def _jobs() -> Iterator[Entry]:
    """Steps of the daily work, and scans of uploads."""
    for file, section, command in ((DAILY, "", "daily"), (antivirus.RECORD, "uploads", "scan")):
        for name, known in records.read(file).items():
            if isinstance(known, dict) and known.get("ok") is False:
                words = f"The {'daily work of' if file == DAILY else 'last scan of uploads of'} {name} failed"
                again = f"chamilo-hardening {command}{f' {name}' if file == DAILY else ''}"
                yield Entry(RED, section or name, f"{words}: {known.get('detail', '')}", again)


def _lists() -> Iterator[Entry]:
    for site, words in daily.unread().items():
        why = f"What an intruder may have left, not accepted yet: {site}: {words}. chamilo-hardening integrity lists"
        yield Entry(UNSEEN, "monitoring", why, f"chamilo-hardening integrity accept --site {site}")


def _locked() -> Iterator[Entry]:
    if not unlock.known():
        return
    todo = unlock.inspect("")
    for note in todo.notes:
        yield Entry(UNSEEN, "brute_force", note, _STATUS)
    for account in todo.accounts:
        yield Entry(LOCKED, "brute_force", account.description(), f"chamilo-hardening unlock {account.name}")
    for address, jails in sorted(todo.bans.items()):
        yield Entry(
            LOCKED, "brute_force", f"{address} is banned by {', '.join(jails)}.", f"chamilo-hardening unlock {address}"
        )
