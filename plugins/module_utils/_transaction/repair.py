# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What brings files back as they were last written: those of sections, and their lines in those of an owner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .._common import tree as files
from .._common.files import Item, StateError, Tree
from .._common.markers import MarkerError, strip
from . import marked
from .difference import diff, private
from .engine import Engine
from .job import Change, Job, Load, Outcome, TransactionError
from .judgement import judge, revive
from .marked import diff as diff_of_lines
from .marked import with_text
from .our_lines import of, places_of, site_of, text_of, whole, written
from .ownership import last_owner
from .recovery import LOCK_SECONDS
from .store import Store

ASK_HARDEN = "The next run of the playbook does: ansible-playbook chamilo.hardening.harden"


# A section may need several for one portal: SECTION:SITE and SECTION:SITE.PART. A site's name may have dots as well.
PARTS = ("antivirus", "apart", "application", "certificate", "host", "hsts", "php", "renewal", "web", "window")


def names(records: Iterable[str], section: str) -> list[str]:
    """The transactions that ``undo SECTION`` undoes, or those of one portal: ``undo SECTION:SITE``."""
    own = {section, *(f"{section}.{part}" for part in PARTS)}
    return sorted(name for name in records if name in own or name.startswith(f"{section}:"))


class Repairing(Engine):
    """An engine that repairs what keeps it from loading files, and so knows all that was written."""

    def repair(self, outcome: Outcome) -> None:
        """Bring the files of all sections, and their lines in those of an owner, back as they were last written."""
        with self.store.lock("repair", LOCK_SECONDS):
            state = self.store.peek()
            self._recover(state, outcome.recovered)
            outcome.changed = bool(outcome.recovered) or outcome.changed
            self._repair(state, outcome)
            self._sweep(state)
            if state["pending"]:
                raise TransactionError(" ".join(outcome.recovered))

    def names(self, section: str) -> list[str]:
        """The transactions that ``undo SECTION`` undoes, or those of one portal: ``undo SECTION:SITE``."""
        return names(self.store.peek()["records"], section)

    def ensure_undo(self, names: Sequence[str]) -> None:
        """Refuse to undo these transactions where one of them could not be undone as a whole."""
        ensure_possible(self.store, self.store.peek(), names)

    def _repair(self, state: dict[str, Any], outcome: Outcome) -> bool:
        """Whether there was something to repair. What is right for one service does not wait for that of another."""
        problems = []
        jobs = [job(self.store, state, names, outcome) for _service, names in services(state)]
        for one in jobs:
            if one.changes:
                try:
                    self._carry_out(state, one, outcome)
                except TransactionError as problem:
                    problems.append(str(problem))
                    continue
                outcome.changed = True
                files = ", ".join(sorted(change.path for change in one.changes))
                outcome.recovered.append(f"As {one.name} wrote them again: {files}.")
        if problems:
            raise TransactionError(" ".join(problems))
        return any(one.changes for one in jobs)


def edited(state: Mapping[str, Any]) -> dict[str, list[str]]:
    """The files of each section that were changed after they were written."""
    found = {}
    with Tree() as tree:
        for name, record in state["records"].items():
            found[name] = [
                path
                for path, known in sorted(record["files"].items())
                # A file that a later section has taken over is that section's to compare.
                if last_owner(state, path) == name and not tree.inspect(path).same(Item.from_json(known["after"]))
            ]
    return found


class Repaired(files.Tree):
    """The files of this host as a repair leaves those of the web server: what is planned does not depend on damage."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._root = store.root
        records = store.peek()["records"]
        self._lines = [(site_of(name), known) for name, record in records.items() for known in of(record).values()]
        self._whole = {
            path: known["after"].get("sha256", "")
            for record in records.values()
            if record["load"] and record["load"]["service"] in ("nginx", "apache2")
            for path, known in record["files"].items()
        }

    def read(self, path: str, web_user: str | None = None) -> str:
        text, real = super().read(path, web_user), self.real(path)
        data = written(self._root, self._whole[real]) if real in self._whole else None
        if data is not None:
            return data.decode("utf-8", "surrogateescape")
        for site, known in self._lines:
            text = whole(self._root, text, known, site) if known["file"] == real else text
        return text


def ensure_possible(store: Store, state: Mapping[str, Any], names: Iterable[str]) -> None:
    """Refuse, before anything is undone, what could be undone only in part."""
    for name in names:
        marked.without(store.root, state, name, Outcome())
        for known in state["records"][name]["files"].values():
            store.load(Item.from_json(known["before"]))


def services(state: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """The transactions by the service that reads their files: it reads the files of all or of none."""
    found: dict[str, list[str]] = {}
    for name, record in sorted(state["records"].items()):
        found.setdefault(record["load"]["service"] if record["load"] else name, []).append(name)
    return sorted(found.items())


def job(store: Store, state: Mapping[str, Any], names: Iterable[str], outcome: Outcome) -> Job:
    """The job that repairs transactions. A file that was edited is kept aside, which ``outcome`` notes."""
    changes: list[Change] = []
    damaged = []
    with Tree() as tree:
        for name in names:
            own = [*_files(store, tree, state, name, outcome), *_lines(store, tree, state, name, outcome)]
            damaged += [name] if own else []
            changes += own
    records = [state["records"][name] for name in damaged]
    loads = sorted((record["load"] for record in records if record["load"]), key=lambda load: str(load["action"]))
    test = [argv for record in records for argv in record["test"]]
    return Job(
        " and ".join(damaged),
        changes,
        {},
        [argv for number, argv in enumerate(test) if argv not in test[:number]],
        Load(**loads[-1]) if loads else None,
        (),
        list(dict.fromkeys(revive(probe) for record in records for probe in record["probe"])),
        judge,
        lambda after, kept, before: None,
    )


def _files(store: Store, tree: Tree, state: Mapping[str, Any], name: str, outcome: Outcome) -> Iterable[Change]:
    for path, known in sorted(state["records"][name]["files"].items()):
        after, current = Item.from_json(known["after"]), tree.inspect(path)
        if last_owner(state, path) != name or current.same(after):
            continue
        data = current.data if current.reads_as(after) else written(store.root, after.sha256) if after.is_file else b""
        if data is None:
            outcome.notes.append(f"{path} cannot be repaired here: an older version wrote it. {ASK_HARDEN}")
            continue
        if not current.reads_as(after):
            outcome.notes.append(store.keep_edited(path, current))
        new = replace(after, data=data)
        outcome.diff += diff(path, current, new, private(current), known.get("secret", True) or private(new))
        yield Change(path, current, new)


def _lines(store: Store, tree: Tree, state: Mapping[str, Any], name: str, outcome: Outcome) -> Iterable[Change]:
    for path, known in sorted(of(state["records"][name]).items()):
        try:
            places = places_of(tree, path, known, site_of(name))
        except StateError as problem:
            raise TransactionError(f"{problem} Lines of {name} were in that file.") from problem
        if not places:
            outcome.notes.append(f"{known['file']} is not there any more, and so are the lines of {name} in it.")
        for file in places:
            old = tree.inspect(file)
            new = with_text(old, whole(store.root, text_of(old), known, site_of(name)))
            try:
                strip(text_of(new), site_of(name))
            except MarkerError as problem:
                raise TransactionError(
                    f"{file} {str(problem).partition('. Run: ')[0]}, and an older version of this program kept no copy "
                    "of what stood there. Remove all lines between these marks, and the marks. Each line below "
                    f"'# set aside:' was your own: take away its first '# '. {ASK_HARDEN}"
                ) from problem
            if not old.same(new):
                outcome.diff.append(diff_of_lines(file, old, new))
                yield Change(file, old, new)
