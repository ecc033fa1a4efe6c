# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""A set of files, tested, loaded, probed, or put back.

A change is written down (old bytes, owner, mode) before the first file moves, and is over only when ``state.json`` was
replaced by one that no longer speaks of it. Whatever ends in between (a failed step, a killed process, a reboot) ends
with the old files: this run, the next one, a timer or the unit at boot puts them back from what was written down.
"""

from __future__ import annotations

import copy
import grp
import hashlib
import json
import os
import pwd
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import (
    ABSENT,
    STATE,
    TEMPORARY,
    Item,
    StateError,
    Store,
    Tree,
    file_item,
    now,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import mounts_on_the_way, not_mounted
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine, split_address

if TYPE_CHECKING:
    from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer

GENERATION = "@generation@"
LOCK_SECONDS = 180.0
TEST_SECONDS = 60.0
_NOT_THERE = (5, 125, 127)  # systemctl knows no such unit, env no such folder, and there is no such program
AGAIN_SECONDS = 300.0  # as a cache may need that the application makes anew
TOKEN_SECONDS = 10.0
ANSWER_SECONDS = 5.0
LEAVE_SECONDS = 0.2  # nginx: for up to half of it old workers take connections beside the new ones after a reload
# A section may need several for one portal: SECTION:SITE and SECTION:SITE.PART. A site's name may have dots as well.
PARTS = ("antivirus", "application", "certificate", "host", "hsts", "php", "renewal", "web", "window")
NAME = re.compile(r"[a-z][a-z_]*(?::[A-Za-z0-9][A-Za-z0-9._-]*)?")


class TransactionError(Exception):
    """A transaction did not happen. ``rolled_back`` says why, when files had been changed and were put back."""

    def __init__(self, message: str, rolled_back: str = "") -> None:
        super().__init__(message)
        self.rolled_back = rolled_back


class Refused(TransactionError):
    """A test command refused the files."""


@dataclass(frozen=True)
class Want:
    """One file as it should be."""

    path: str
    state: str = "file"
    content: bytes = b""
    secret: bool = False
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    target: str = ""


@dataclass(frozen=True)
class Load:
    """The service that reads the files, and how it is told to."""

    service: str
    action: str = "reload"


@dataclass(frozen=True)
class Probe:
    """One request and the answer that is right. ``generation``: a header carries this generation's token.

    ``was``: where the same answer came from before the change, if that is another URL.
    ``send``: headers that go with the request.
    """

    url: str
    was: str = ""
    address: str = ""
    host: str = ""
    status: tuple[int, ...] = (200,)
    headers: tuple[tuple[str, str], ...] = ()
    ca: str = ""
    generation: bool = False
    send: tuple[tuple[str, str], ...] = ()

    def faults(self, answer: Answer) -> dict[str, str]:
        """What is wrong with an answer, by the part of it that is."""
        found = {}
        if answer.status == 0:
            found["status"] = f"{self.where} does not answer: {answer.error}"
        elif answer.status not in self.status:
            right = " or ".join(str(status) for status in self.status)
            found["status"] = f"{self.where} answers {answer.status} instead of {right}"
        for name, value in self.headers:
            sent = answer.values(name)
            if sent != [value]:
                seen = " and ".join(repr(one) for one in sent) or "nothing"
                found[name] = f"{self.where} sends {seen} as {name} instead of {value!r}"
        return found

    @property
    def where(self) -> str:
        """The probe in words."""
        said = f" as {self.host}" if self.host else ""
        return f"{self.url}{said} (at {self.address})" if self.address else f"{self.url}{said}"


@dataclass(frozen=True)
class Plan:
    """What the caller asks for."""

    name: str
    files: tuple[Want, ...]
    test: tuple[tuple[str, ...], ...] = ()
    load: Load | None = None
    listen: tuple[str, ...] = ()
    probe: tuple[Probe, ...] = ()
    generation: str = ""
    complete: bool = True  # what the transaction wrote before and ``files`` no longer names is given back


@dataclass
class Outcome:
    """What came of it."""

    changed: bool = False
    generation: str = ""
    loaded: bool = False
    recovered: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    diff: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Change:
    """One path that is to change."""

    path: str
    old: Item
    new: Item


@dataclass(frozen=True)
class Before:
    """Where a probe was answered before the change, and how."""

    probe: Probe
    answer: Answer


Judge = Callable[[Probe, "Answer | None", "Answer"], str]


@dataclass(frozen=True)
class Job:
    """A change and how to know that it went well. ``commit`` turns the state into the one after it.

    ``left_out``: what of the test is not on this host any more is named there; None where it has to be.
    """

    name: str
    changes: Sequence[Change]
    keep: Mapping[str, Item]
    test: Sequence[Sequence[str]]
    load: Load | None
    listen: Sequence[str]
    probe: Sequence[Probe]
    judge: Judge
    commit: Callable[[dict[str, Any], Mapping[str, Item], Mapping[Probe, Before]], None]
    left_out: list[str] | None = None


def plan(params: Mapping[str, Any]) -> Plan:
    """A plan from the options of the module. Refuses, in words, what cannot be meant."""
    name = params["name"]
    if not NAME.fullmatch(name):
        raise TransactionError(f"name: {name!r} is no section with an optional site, such as headers or https:campus.")
    files = tuple(_want(each) for each in params["files"])
    paths = [each.path for each in files]
    for path in paths:
        if paths.count(path) > 1:
            raise TransactionError(f"files: {path} is there twice.")
    for address in params.get("listen") or ():
        try:
            split_address(address)
        except ValueError as problem:
            raise TransactionError(f"listen: {problem}.") from problem
    test = tuple(tuple(argv) for argv in params.get("test") or ())
    if not all(test):
        raise TransactionError("test: an empty command.")
    generation = _generation(files)
    load = params.get("load")
    return Plan(
        name,
        tuple(replace(each, content=each.content.replace(GENERATION.encode(), generation.encode())) for each in files),
        test,
        Load(load["service"], load.get("action") or "reload") if load else None,
        tuple(params.get("listen") or ()),
        tuple(_probe(each, generation) for each in params.get("probe") or ()),
        generation,
        params.get("complete", True),
    )


def _want(given: Mapping[str, Any]) -> Want:
    path, state = given["path"], given.get("state") or "file"
    if not path.startswith("/") or os.path.normpath(path) != path or path == "/":
        raise TransactionError(f"files: {path!r} is no plain absolute path.")
    content, secret, target = given.get("content"), given.get("secret_content"), given.get("target")
    if (content is not None or secret is not None) != (state == "file"):
        wrong = "needs content or secret_content" if state == "file" else f"takes no content when state is {state}"
        raise TransactionError(f"files: {path} {wrong}.")
    if content is not None and secret is not None:
        raise TransactionError(f"files: {path} has both content and secret_content.")
    if bool(target) != (state == "link"):
        raise TransactionError(f"files: {path}: target goes with state link, and only with it.")
    text = content if secret is None else secret
    return Want(
        path,
        state,
        (text or "").encode("utf-8", "surrogateescape"),
        secret is not None,
        str(given.get("owner") or "root"),
        str(given.get("group") or "root"),
        _mode(path, given.get("mode")),
        target or "",
    )


def _mode(path: str, given: Any) -> int:
    if given is None:
        return 0o644
    # YAML reads 0644 without quotes as a number that is right already.
    if isinstance(given, int) and not isinstance(given, bool):
        mode = given
    elif re.fullmatch(r"0?[0-7]{3,4}", str(given)):
        mode = int(str(given), 8)
    else:
        raise TransactionError(f"files: {path}: mode {given!r} is no octal number in quotes, such as '0644'.")
    if not 0 <= mode <= 0o7777:
        raise TransactionError(f"files: {path}: mode {given!r} is no octal number in quotes, such as '0644'.")
    return mode


def _probe(given: Mapping[str, Any], generation: str) -> Probe:
    url, was = given["url"], given.get("was") or ""
    for each in (url, was) if was else (url,):
        if not re.match(r"https?://[^/\s]+", each):
            raise TransactionError(f"probe: {each!r} is no http or https URL.")
    status = given.get("status") or [200]
    headers = given.get("headers") or {}
    return Probe(
        url,
        was,
        given.get("address") or "",
        given.get("host") or "",
        tuple(int(each) for each in status),
        tuple((name, str(value).replace(GENERATION, generation)) for name, value in sorted(headers.items())),
        given.get("ca") or "",
        any(GENERATION in str(value) for value in headers.values()),
        tuple((name, str(value)) for name, value in sorted((given.get("send") or {}).items())),
    )


def _generation(files: Iterable[Want]) -> str:
    """The same files have the same generation, in whatever order they come.

    Links and absent files do not count: what had to go the first time is not asked for again the second time.
    """
    known = [
        {**asdict(each), "content": hashlib.sha256(each.content).hexdigest()}
        for each in sorted(files, key=lambda each: each.path)
        if each.state == "file"
    ]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


def _as_seen(kind: str, target: str) -> str:
    return f"link {target}" if kind == "link" else kind


def asks_for_nothing(plan: Plan, known: Mapping[str, Any]) -> bool:
    """Whether the files of a plan are what ``Engine.in_force`` found of the transaction of that name."""
    files = known.get("files", {})
    return (
        known.get("generation") == plan.generation
        and all(files.get(want.path) == _as_seen(want.state, want.target) for want in plan.files)
        and not _no_longer_named(plan, (path for path, seen in files.items() if seen != "absent"))
    )


def _no_longer_named(plan: Plan, held: Iterable[str]) -> list[str]:
    """What the transaction holds and gives back. What it removed is not asked for again: see ``_generation``."""
    named = {want.path for want in plan.files}
    return sorted(path for path in held if path not in named) if plan.complete else []


def _item(want: Want) -> Item:
    if want.state == "absent":
        return ABSENT
    uid, gid = _number(want, want.owner, _user), _number(want, want.group, _group)
    if want.state == "link":
        return Item("link", uid, gid, target=want.target)
    return file_item(want.content, uid, gid, want.mode)


def _user(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


def _group(name: str) -> int:
    return grp.getgrnam(name).gr_gid


def _number(want: Want, name: str, find: Callable[[str], int]) -> int:
    if name.isdigit():
        return int(name)
    try:
        return find(name)
    except KeyError as problem:
        kind = "user" if find is _user else "group"
        raise TransactionError(f"files: {want.path}: there is no {kind} {name!r} on this host.") from problem


class Engine:
    """Applies plans, undoes sections, and recovers what was interrupted, on one host."""

    def __init__(
        self,
        root: str = STATE,
        machine: Machine | None = None,
        fetch: Callable[[Probe], Answer] | None = None,
    ) -> None:
        self.store = Store(root)
        self.machine = machine or Machine()
        self.fetch = fetch or ask

    # -- what callers do ---------------------------------------------------------------------------------------------

    def apply(self, plan: Plan, outcome: Outcome, check: bool = False) -> None:
        """Make the files of a plan true. ``outcome`` is filled as things happen, so a failure keeps what it knew."""
        outcome.generation = plan.generation
        if os.geteuid() != 0 and self.store.root == STATE:
            raise TransactionError("Only root may do this: run the task with become.")
        if check:
            state = self.store.peek()
            interrupted = state["open"]
            entries = interrupted["entries"] if interrupted else []
            old = {each["path"]: self.store.load(Item.from_json(each["old"])) for each in entries}
            changes, _kept = self._compare(state, plan, outcome, old)
            changes += self._given_back(state, plan, outcome, old)
            if interrupted:
                outcome.notes.append(f"A run of {interrupted['name']} did not finish; its files would be put back.")
            outcome.changed = bool(changes or interrupted or state["pending"])
            return
        with self.store.lock(plan.name, LOCK_SECONDS):
            state = self.store.peek()
            settled = self._recover(state, outcome.recovered)
            outcome.changed = bool(outcome.recovered)
            changes, keep = self._compare(state, plan, outcome, {})
            back = self._given_back(state, plan, outcome, {})
            job = self._job(state, plan, changes, back, keep)
            if job.changes:
                self._carry_out(state, job, outcome)
                outcome.changed = True
                if back:
                    self._sweep(state)
                return
            if _given_up(state, plan) or _shared(state, plan) or _written_by_another(state, plan):
                # No file moves, but who wants which does.
                after = copy.deepcopy(state)
                job.commit(after, self._keep(state, job), {})
                self._commit(state, after)
                self._forget(state, outcome)
            if plan.load and plan.load.service in state["pending"]:
                raise TransactionError(" ".join(outcome.recovered))
            elif plan.load and plan.load.service in settled:
                # The load that was owed brought these files into force: see that it did.
                self._probe(plan.probe, {}, _judge)
                outcome.loaded = True

    def recover(self, wait: float = LOCK_SECONDS, early: bool = False) -> list[str]:
        """Put back what an interrupted run left behind, and load it. Returns what was done.

        ``early``: at boot, with no more than the files of the host itself. What needs more is left, and raised.
        """
        done: list[str] = []
        with self.store.lock("chamilo-hardening recover", wait):
            state = self.store.peek()
            self._recover(state, done, early)
            # What an undo that died at its very end had left to tidy up.
            if not early:
                self._sweep(state)
            self.store.prune(_blobs(state))
            if state["pending"]:
                raise TransactionError(" ".join(done))
        return done

    def in_force(self) -> dict[str, dict[str, Any]]:
        """All transactions, and what ``asks_for_nothing`` wants to know of each.

        None has a generation while something is owed to a service, or a run was cut off; nor has one with a file that
        is not as it was written.
        """
        state = self.store.peek()
        settled = not state["open"] and not state["pending"]
        found: dict[str, dict[str, Any]] = {}
        with Tree() as tree:
            for name, record in state["records"].items():
                items = {path: Item.from_json(known["after"]) for path, known in record["files"].items()}
                whole = settled and all(tree.look(path).same(item) for path, item in items.items())
                files = {path: _as_seen(item.kind, item.target) for path, item in items.items()}
                found[name] = {"generation": record["generation"] if whole else "", "files": files}
        return found

    def names(self, section: str) -> list[str]:
        """The transactions that ``undo SECTION`` takes back, or those of one portal: ``undo SECTION:SITE``."""
        records = self.store.peek()["records"]
        own = {section, *(f"{section}.{part}" for part in PARTS)}
        return sorted(name for name in records if name in own or name.startswith(f"{section}:"))

    @staticmethod
    def owner(state: Mapping[str, Any], path: str) -> str:
        """The section that touched a path last."""
        return _last_owner(state, path)

    @staticmethod
    def edited(state: Mapping[str, Any]) -> dict[str, list[str]]:
        """The files of each section that somebody changed since we wrote them."""
        found = {}
        with Tree() as tree:
            for name, record in state["records"].items():
                found[name] = [
                    path
                    for path, known in sorted(record["files"].items())
                    # A file that a later section has taken over is that section's to compare.
                    if Engine.owner(state, path) == name and not tree.look(path).same(Item.from_json(known["after"]))
                ]
        return found

    def undo(self, name: str, outcome: Outcome) -> None:
        """Bring back what was there before the first transaction of this name."""
        with self.store.lock(f"undo {name}", LOCK_SECONDS):
            state = self.store.peek()
            self._recover(state, outcome.recovered)
            record = state["records"].get(name)
            if record is None:
                raise TransactionError(f"Nothing of {name} is in force here: there is nothing to undo.")
            self._undo(state, name, record, outcome)
            self._sweep(state)

    def withdraw(self, name: str, outcome: Outcome, check: bool = False) -> None:
        """The same, and nothing where there is nothing to bring back."""
        outcome.changed = name in self.store.peek()["records"]
        if outcome.changed and not check:
            self.undo(name, outcome)

    # -- one transaction ---------------------------------------------------------------------------------------------

    def _compare(
        self, state: Mapping[str, Any], plan: Plan, outcome: Outcome, overlay: Mapping[str, Item]
    ) -> tuple[list[Change], dict[str, Item]]:
        """What differs, and every file as it is now (wanted when its section touches it for the first time)."""
        changes: list[Change] = []
        found: dict[str, Item] = {}
        with Tree() as tree:
            for want in plan.files:
                new = _item(want)
                old = overlay[want.path] if want.path in overlay else tree.look(want.path)
                found[want.path] = old
                if old.same(new):
                    continue
                if old.kind == "link" and new.kind == "file" and not _our_link(state, want.path):
                    raise TransactionError(
                        f"{want.path} is a link to {old.target} that this collection did not make. "
                        "No file was changed. Remove the link, or name the file it leads to."
                    )
                changes.append(Change(want.path, old, new))
                unknown = want.secret or (_private(old) and not _ours_and_plain(state, want.path, old))
                outcome.diff.extend(_diff(want.path, old, new, unknown, want.secret))
        return changes, found

    def _given_back(
        self, state: Mapping[str, Any], plan: Plan, outcome: Outcome, overlay: Mapping[str, Item]
    ) -> list[Change]:
        """How files come back as they were that the transaction wrote once and wants no more."""
        back: list[Change] = []
        with Tree() as tree:
            for path, known in _given_up(state, plan).items():
                current = overlay[path] if path in overlay else tree.look(path)
                before, after = Item.from_json(known["before"]), Item.from_json(known["after"])
                below = _last_owner(state, path, plan.name)
                if _next_owner(state, plan.name, path, known["since"]) or current.same(before):
                    continue
                if below:
                    # As that section wrote it, which it may have done anew since.
                    wrote = Item.from_json(state["records"][below]["files"][path]["after"])
                    if current.same(wrote) or not before.same(wrote):
                        continue
                if not current.same(after):
                    outcome.notes.append(
                        f"{path} was edited by hand since we wrote it, so it stays. It is wanted no more: look at it."
                    )
                    continue
                before = self.store.load(before)
                back.append(Change(path, current, before))
                hidden = known.get("secret", True) or (_private(current) and not _ours_and_plain(state, path, current))
                outcome.diff.extend(_diff(path, current, before, hidden, _private(before)))
        return back

    def _job(
        self,
        state: Mapping[str, Any],
        plan: Plan,
        changes: Sequence[Change],
        back: Sequence[Change],
        found: Mapping[str, Item],
    ) -> Job:
        test, load = plan.test, plan.load
        known = state["records"].get(plan.name, {})
        if back and not load and known["load"]:
            # What goes is taken out of force as it was brought in.
            load = Load(**known["load"])
            written = [tuple(argv) for argv in known["test"]]
            test = (*test, *(argv for argv in written if argv not in test))

        def commit(state: dict[str, Any], kept: Mapping[str, Item], before: Mapping[Probe, Before]) -> None:
            state["serial"] += 1
            seen = [{**_plain(was.probe), "seen": was.answer.status} for was in before.values()]
            record = state["records"].setdefault(plan.name, {"files": {}, "seen": seen})
            record.update(
                generation=plan.generation,
                at=now(),
                test=[list(argv) for argv in plan.test],
                load=asdict(plan.load) if plan.load else None,
                probe=[_plain(probe) for probe in plan.probe],
            )
            for want in plan.files:
                # The first time, what was there before is kept for undo.
                if want.path in kept:
                    first = {"before": kept[want.path].to_json(), "since": state["serial"]}
                    record["files"][want.path] = first
                known = record["files"][want.path]
                known["after"] = _item(want).to_json()
                known["secret"] = want.secret
            _give_up(state, plan)

        return Job(plan.name, [*changes, *back], found, test, load, plan.listen, plan.probe, _judge, commit)

    def _carry_out(self, state: dict[str, Any], job: Job, outcome: Outcome) -> None:
        service = job.load.service if job.load else ""
        running = self.machine.state(service) if service else ""
        start_owed = service in state["pending"] and state["pending"][service]["active"]
        if start_owed and running == "failed":
            # A restart of ours stopped it. These files may be what it needs to start.
            job, running = replace(job, load=Load(service, "restart")), "active"
        if service and running != "active":
            outcome.notes.append(f"{service} is {running}, so nothing was loaded or probed; it was not started.")
        # Without a service the commands of the test bring the files into force, if anything does.
        asks = not service or running == "active"
        asked = [each for each in job.probe if not each.generation] if asks else []
        before = {each: self._before(each) for each in asked}
        for address in job.listen:
            problem = self.machine.occupied(address, service)
            if problem:
                raise TransactionError(f"{problem} No file was changed. Stop that program or give it another port.")
        token = secrets.token_hex(4)
        unprotected = self.machine.arm(token)
        if unprotected:
            outcome.notes.append(unprotected)
        try:
            try:
                kept = self._write_down(state, job, token, running == "active" or start_owed)
            except OSError as problem:
                raise TransactionError(f"{_sentence(problem)} No file was changed.") from problem
            self._change(state, job, running, kept, before)
            outcome.loaded = running == "active"
        finally:
            if not state["open"]:
                self._forget(state, outcome)
                if service not in state["pending"]:
                    self.machine.disarm(token)

    def _before(self, probe: Probe) -> Before:
        """The answer as it is now, at ``was`` if it is not right at ``url`` itself."""
        here = replace(probe, was="")
        answer = self.fetch(here)
        if probe.was and probe.faults(answer):
            there = replace(here, url=probe.was)
            return Before(there, self.fetch(there))
        return Before(here, answer)

    def _change(
        self,
        state: dict[str, Any],
        job: Job,
        running: str,
        kept: Mapping[str, Item],
        before: Mapping[Probe, Before],
    ) -> None:
        """Swap, test, load, probe, commit; back again when one of them fails."""
        loaded = tested = False
        try:
            journal = state["open"]
            items = [
                (change.path, change.new, entry["temporary"]) for change, entry in zip(job.changes, journal["entries"])
            ]
            self._exchange(items, journal["directories"])
            tested = True
            self._test(job.test, job.left_out)
            if job.load and running == "active":
                loaded = True
                problem = self.machine.service(job.load.action, job.load.service)
                if problem:
                    raise TransactionError(problem)
                self._probe(job.probe, before, job.judge)
                if self.machine.state(job.load.service) != "active":
                    raise TransactionError(f"{job.load.service} stopped after the {job.load.action}")
            elif not job.load:
                self._probe(job.probe, before, job.judge)
            after = copy.deepcopy(state)
            job.commit(after, kept, before)
            after["open"] = None
            after["directories"] = sorted({*after["directories"], *journal["directories"]})
            if job.load:
                after["pending"].pop(job.load.service, None)
                if running not in ("active", "inactive", "failed"):
                    # It was on its way up or down and may have read the old files.
                    after["pending"][job.load.service] = journal["owed"]
            self._commit(state, after)
        except BaseException as problem:
            try:
                # With a service a test changes nothing; without one the commands bring the files into force.
                refused = isinstance(problem, Refused)
                ended = self._roll_back(state, job, before, loaded, refused or (tested and not job.load), refused)
            except (OSError, StateError) as worse:
                left = "The old files could not be put back; a timer and the next run will try again"
                raise TransactionError(f"{_sentence(problem)} {left}: {_sentence(worse)}") from worse
            if not isinstance(problem, Exception):
                raise
            raise TransactionError(f"{_sentence(problem)} {ended}", rolled_back=str(problem)) from problem

    def _commit(self, state: dict[str, Any], after: Mapping[str, Any]) -> None:
        """What we know changes only when the disk knows it."""
        gone = _paths(state) - _paths(after)
        if gone:
            # The daily comparison expects them to differ from its list.
            with Tree() as tree:
                left = {path: tree.look(path).to_json() for path in sorted(gone)}
            after = {**after, "left": {**after["left"], **left}}
        self.store.commit(after)
        state.update(after)

    def _write_down(self, state: dict[str, Any], job: Job, token: str, active: bool) -> dict[str, Item]:
        """The journal. Returns the files the section has not touched before, with a copy that stays."""
        used = set(_blobs(state))
        kept = self._keep(state, job)
        entries: list[dict[str, Any]] = []
        directories: list[str] = []
        with Tree() as tree:
            for change in job.changes:
                old = kept.get(change.path) or self._copy(f"transactions/{job.name}", change.path, change.old, used)
                temporary = f"{TEMPORARY}{token}.{len(entries)}"
                known = {"old": old.to_json(), "new": change.new.to_json()}
                points = mounts_on_the_way(os.path.dirname(change.path))
                entries.append({"path": change.path, "temporary": temporary, "mounts": points, **known})
                if change.new.kind != "absent":
                    directories += [each for each in tree.missing_parents(change.path) if each not in directories]
        journal = {
            "name": job.name,
            "since": now(),
            "entries": entries,
            "directories": directories,
            "service": job.load.service if job.load else "",
            "owed": _owed(job, active),
        }
        self._commit(state, {**state, "open": journal})
        return kept

    def _keep(self, state: Mapping[str, Any], job: Job) -> dict[str, Item]:
        """The files the section has not touched before, with a copy that stays."""
        files = state["records"].get(job.name, {"files": {}})["files"]
        used = set(_blobs(state))
        new = {path: item for path, item in job.keep.items() if path not in files}
        return {path: self._copy(f"baseline/{job.name}", path, item, used) for path, item in new.items()}

    def _copy(self, folder: str, path: str, item: Item, used: set[str]) -> Item:
        if item.kind != "file":
            return item
        blob = folder + path
        while blob in used:
            blob += "~"
        self.store.keep(blob, item.data)
        return replace(item, blob=blob)

    def _exchange(self, items: Sequence[tuple[str, Item, str]], directories: Sequence[str]) -> None:
        """Everything is written beside its place and durable before the first name changes."""
        paths = [path for path, _item, _temporary in items]
        with Tree() as tree:
            for folder in directories:
                tree.make_directory(folder)
            for path, item, temporary in items:
                tree.stage(path, item, temporary)
            tree.sync(paths)
            for path, item, temporary in items:
                tree.swap(path, item, temporary)
            tree.sync(paths)

    def _test(self, commands: Sequence[Sequence[str]], left_out: list[str] | None = None) -> None:
        for argv in commands:
            code, said = self.machine.command(argv, AGAIN_SECONDS if "cache:clear" in argv else TEST_SECONDS)
            if left_out is not None and code in _NOT_THERE:
                left_out.append(f"`{' '.join(argv)}` was left out, because this host cannot run it any more: {said}")
            elif code != 0:
                raise Refused(f"The test `{' '.join(argv)}` failed ({code}): {said or 'it said nothing'}")

    def _probe(self, probes: Sequence[Probe], before: Mapping[Probe, Before], judge: Judge) -> None:
        """Ask until the answer is right or time is up. The generation first: it tells old workers from new ones."""
        told = False
        for probe in sorted(probes, key=lambda probe: not probe.generation):
            if told and not probe.generation:
                # The token came from a new worker; an old one could still take the next question.
                time.sleep(LEAVE_SECONDS)
            told = probe.generation
            end = time.monotonic() + (TOKEN_SECONDS if probe.generation else ANSWER_SECONDS)
            while True:
                was = before.get(probe)
                problem = judge(probe, was.answer if was else None, self.fetch(probe))
                if not problem:
                    break
                if time.monotonic() >= end:
                    raise TransactionError(problem)
                time.sleep(0.1)

    def _roll_back(
        self,
        state: dict[str, Any],
        job: Job,
        before: Mapping[Probe, Before],
        loaded: bool,
        again: bool,
        refused: bool,
    ) -> str:
        """The old files, and the old configuration in force. Returns how that ended, in a sentence.

        ``again``: the tests are run once more. ``refused``: one of them failed with the new files.
        """
        edited = "".join(f" {told}" for told in self._put_back(state))
        failure = ""
        if again:
            try:
                self._test(job.test, job.left_out)
            except Refused as still:
                failure = f"The old files are back, but could not be brought into force: {still}"
                if refused:
                    failure = "The old files are back, and fail the same test: the fault was there before. "
                    failure += "Mend that first."
        # A disk without room keeps nothing from being loaded: the files are back already.
        unnoted = _unnoted(lambda: self._close(state, loaded))
        if failure:
            return failure + unnoted + edited
        if job.load and loaded:
            service = job.load.service
            problem = self._bring_in(service, _owed(job, True), start=True)
            if problem:
                return f"The old files are back, but could not be loaded: {_sentence(problem)}{unnoted}{edited}"
            unnoted = unnoted or _unnoted(lambda: self._paid(state, service))
        elif job.load or not again:
            return f"The old files are back.{unnoted}{edited}"
        try:
            self._probe([was.probe for was in before.values()], {was.probe: was for was in before.values()}, _judge)
        except TransactionError as worse:
            return f"The old files are back and loaded, but {worse}.{unnoted}{edited}"
        return f"The old configuration is back and in force.{unnoted}{edited}"

    # -- back to what was --------------------------------------------------------------------------------------------

    def _put_back(self, state: Mapping[str, Any], early: bool = False) -> list[str]:
        """Restore every file of the open transaction. Returns what somebody had changed meanwhile.

        Raises a StateError when some of them lie on a disk that is not there, as early at boot. The others are back.
        """
        journal = state["open"]
        items: list[tuple[str, Item, str]] = []
        parents: list[str] = []
        edited: list[str] = []
        waiting: dict[str, list[str]] = {}
        with Tree() as tree:
            for entry in journal["entries"]:
                path, old = entry["path"], Item.from_json(entry["old"])
                # A journal of an older version does not know them.
                point = not_mounted(entry.get("mounts", ()), os.path.dirname(path), early)
                if point:
                    waiting.setdefault(point, []).append(path)
                    continue
                tree.discard(path, entry["temporary"])
                there = tree.look(path)
                if not there.same(old):
                    # A journal of an older version does not know the new file.
                    if not there.same(Item.from_json(entry["new"]) if "new" in entry else there):
                        edited.append(self._keep_edited(path, there))
                    items.append((path, self.store.load(old), entry["temporary"]))
                    parents += tree.missing_parents(path) if old.kind != "absent" else []
        self._exchange(items, parents)
        if waiting:
            told = [
                f"{point} is not mounted, and {len(paths)} of the files that the run of {journal['name']} left there "
                f"have to be put back. Mount it. If it is gone for good, take it out of /etc/fstab and remove {point}."
                for point, paths in waiting.items()
            ]
            raise StateError(" ".join([*edited, *told]))
        return edited

    def _close(self, state: dict[str, Any], load: bool) -> None:
        """Forget the open transaction, whose files are back; from then on at most a load is owed."""
        journal = state["open"]
        with Tree() as tree:
            for folder in reversed(journal["directories"]):
                tree.remove_directory(folder)
        after = {**state, "open": None}
        if load and journal["service"]:
            after["pending"] = {**state["pending"], journal["service"]: journal["owed"]}
        self._commit(state, after)

    def _recover(self, state: dict[str, Any], done: list[str], early: bool = False) -> set[str]:
        """Put back an interrupted transaction and make up for loads that are owed. Returns the services that loaded."""
        journal = state["open"]
        if journal:
            edited = self._put_back(state, early)
            done.append(
                f"The run of {journal['name']} that began at {journal['since']} did not finish. "
                f"Its files ({len(journal['entries'])}) are as they were before."
            )
            done += edited
            if early and (_clears_a_cache(journal["owed"]) or (not journal["service"] and journal["owed"]["test"])):
                raise TransactionError(" ".join([*done, "What brings them into force needs more than is there."]))
            if not journal["service"]:
                self._again(journal["owed"]["test"], done)
            self._close(state, load=True)
        settled = set()
        for service in sorted(state["pending"]):
            later = early and _clears_a_cache(state["pending"][service])
            problem = "the cache that goes with them needs more than is there." if later else ""
            problem = problem or self._settle(state, service, start=False)
            if problem:
                done.append(f"{service} could not load its files: {problem}")
            else:
                settled.add(service)
                done.append(f"{service} has its present files in force.")
        if journal:
            self.store.prune(_blobs(state))
        return settled

    def _again(self, commands: Sequence[Sequence[str]], done: list[str]) -> None:
        """Run the commands that bring files into force where no service does. Once: a failure is told, not repeated."""
        for argv in commands:
            code, _said = self.machine.command(argv, AGAIN_SECONDS)  # nor is what it said: that may be a secret
            if code != 0:
                done.append(f"What brings the files into force failed ({code}): `{' '.join(argv)}`. Run it by hand.")

    def _settle(self, state: dict[str, Any], service: str, start: bool) -> str:
        """Load what is owed. Returns why that failed, or an empty text."""
        problem = self._bring_in(service, state["pending"][service], start)
        if not problem:
            self._paid(state, service)
        return problem

    def _paid(self, state: dict[str, Any], service: str) -> None:
        left = {name: load for name, load in state["pending"].items() if name != service}
        self._commit(state, {**state, "pending": left})

    def _bring_in(self, service: str, owed: Mapping[str, Any], start: bool) -> str:
        """Load the files that are there. Returns why that failed, or an empty text."""
        running = self.machine.state(service)
        # A service that failed while it was ours to load is started again; one that somebody stopped is not.
        if running == "failed" or (start and running == "inactive"):
            action = "restart" if owed["active"] else ""
        else:
            action = "" if running == "inactive" else owed["action"]
        if action:
            try:
                self._test(owed["test"])
            except Refused as problem:
                return str(problem)
            return self.machine.service(action, service)
        return ""

    def _forget(self, state: Mapping[str, Any], outcome: Outcome) -> None:
        """Remove copies that are of no use any more. That this fails is no reason to hide how the run went."""
        try:
            self.store.prune(_blobs(state))
        except OSError as problem:
            outcome.notes.append(f"Old copies below {self.store.root} could not be removed: {problem}.")

    def _sweep(self, state: dict[str, Any]) -> None:
        """Remove the directories we made and nobody uses."""
        with Tree() as tree:
            left = [each for each in sorted(state["directories"], reverse=True) if not tree.remove_directory(each)]
        if sorted(left) != state["directories"]:
            self._commit(state, {**state, "directories": sorted(left)})

    def _undo(self, state: dict[str, Any], name: str, record: Mapping[str, Any], outcome: Outcome) -> None:
        changes: list[Change] = []
        above: dict[str, str] = {}
        with Tree() as tree:
            for path, known in sorted(record["files"].items()):
                before, after = Item.from_json(known["before"]), Item.from_json(known["after"])
                over = _next_owner(state, name, path, known["since"])
                if over:
                    # A later section has this file. It stays; that section's undo will go back to before ours.
                    above[path] = over
                    continue
                current = tree.look(path)
                if before.same(after) or current.same(before):
                    continue
                below = _last_owner(state, path, name)
                if below and current.same(Item.from_json(state["records"][below]["files"][path]["after"])):
                    # As that section wrote it, which it may have done anew since.
                    continue
                if not current.same(after):
                    outcome.notes.append(self._keep_edited(path, current))
                before = self.store.load(before)
                changes.append(Change(path, current, before))
                outcome.diff.extend(_diff(path, current, before, _private(current), _private(before)))

        seen = {_revive(each): each["seen"] for each in record["seen"]}
        tokens = [probe for probe in map(_revive, record["probe"]) if probe.generation]

        def judge(probe: Probe, was: Answer | None, answer: Answer) -> str:
            if probe.generation:
                shown = all(answer.values(name) == [value] for name, value in probe.headers)
                return f"{probe.where} still answers with the configuration that was to go" if shown else ""
            # As it was before the section, or as it was a moment ago: either is no harm done.
            if was is None or not 0 < was.status < 500 or answer.status in (was.status, seen[probe]):
                return ""
            return f"{probe.where} answers {answer.status or answer.error}; before this it was {was.status}"

        def commit(after: dict[str, Any], _kept: Mapping[str, Item], _before: Mapping[Probe, Before]) -> None:
            for path, over in above.items():
                after["records"][over]["files"][path]["before"] = record["files"][path]["before"]
            del after["records"][name]

        load = Load(**record["load"]) if record["load"] else None
        # Another PHP, or no portal any more: a test that cannot be run must not keep things as they are for ever.
        left_out: list[str] = []
        job = Job(name, changes, {}, record["test"], load, (), [*seen, *tokens], judge, commit, left_out)
        outcome.generation = record["generation"]
        outcome.changed = True
        if changes:
            self._carry_out(state, job, outcome)
            outcome.notes += left_out
        else:
            without = copy.deepcopy(state)
            commit(without, {}, {})
            self._commit(state, without)
            self._forget(state, outcome)

    def _keep_edited(self, path: str, current: Item) -> str:
        if current.kind != "file":
            what = "gone" if current.kind == "absent" else f"a link to {current.target}"
            return f"{path} was changed by hand: it is {what} now."
        blob = f"kept/{now()}{path}"
        self.store.keep(blob, current.data)
        return f"{path} was edited by hand since we wrote it. The edited file is kept as {self.store.root}/{blob}."


def ask(probe: Probe) -> Answer:
    """Send the request of a probe."""
    # Here, because an unchanged run never needs it, and TLS takes its time to import.
    from urllib.parse import urlsplit

    from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer, fetch

    parts = urlsplit(probe.url)
    url = probe.url
    if probe.host:
        port = f":{parts.port}" if parts.port else ""
        url = f"{parts.scheme}://{probe.host}{port}{probe.url.split('://', 1)[1][len(parts.netloc) :]}"
    try:
        address = probe.address or parts.hostname or ""
        return fetch(
            url, address=address, headers=dict(probe.send), verify=bool(probe.ca), ca_file=probe.ca, ca_alone=True
        )
    except OSError as problem:
        return Answer(url, error=f"the file of the authority, {probe.ca}, cannot be used: {problem}")


def _judge(probe: Probe, before: Answer | None, after: Answer) -> str:
    """Why the change must go back: the token of this generation is missing, or something that was green is not."""
    faults = probe.faults(after)
    if probe.generation:
        told = "; ".join(faults.values())
        return f"The new configuration is not in force: {told}" if told else ""
    was = probe.faults(before) if before is not None else faults
    return "; ".join(text for part, text in faults.items() if part not in was)


def _owed(job: Job, active: bool) -> dict[str, Any]:
    action = job.load.action if job.load else ""
    return {"action": action, "test": [list(argv) for argv in job.test], "active": active}


def _clears_a_cache(owed: Mapping[str, Any]) -> bool:
    return any("cache:clear" in argv for argv in owed["test"])


def _our_link(state: Mapping[str, Any], path: str) -> bool:
    records = state["records"].values()
    return any(record["files"].get(path, {}).get("after", {}).get("kind") == "link" for record in records)


def _ours_and_plain(state: Mapping[str, Any], path: str, old: Item) -> bool:
    """Whether this is what we wrote, and no secret: then it may be shown, whoever may read the file."""
    known = [record["files"][path] for record in state["records"].values() if path in record["files"]]
    return any(not each.get("secret", True) and Item.from_json(each["after"]).same(old) for each in known)


def _next_owner(state: Mapping[str, Any], name: str, path: str, since: int) -> str:
    """The section that took this path over after ``name`` did, the earliest of them."""
    later = [
        (record["files"][path]["since"], other)
        for other, record in state["records"].items()
        if other != name and path in record["files"] and record["files"][path]["since"] > since
    ]
    return min(later)[1] if later else ""


def _last_owner(state: Mapping[str, Any], path: str, but: str = "") -> str:
    """The section that touched a path last, but for one."""
    owners = [
        (record["files"][path]["since"], name)
        for name, record in state["records"].items()
        if name != but and path in record["files"]
    ]
    return max(owners)[1] if owners else ""


def _given_up(state: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """What the transaction of that name wrote, and wants no more."""
    files = state["records"].get(plan.name, {"files": {}})["files"]
    held = (path for path, known in files.items() if known["after"]["kind"] != "absent")
    return {path: files[path] for path in _no_longer_named(plan, held)}


def _shared(state: Mapping[str, Any], plan: Plan) -> bool:
    """Whether the plan wants what only others hold so far: they must not take it away when they want it no more."""
    held = {name: record["files"] for name, record in state["records"].items()}
    own = held.pop(plan.name, {})
    return any(want.path not in own and any(want.path in files for files in held.values()) for want in plan.files)


def _written_by_another(state: Mapping[str, Any], plan: Plan) -> bool:
    """Whether files that are right are not as the transaction itself wrote them: they would seem edited for ever."""
    own = state["records"].get(plan.name, {"files": {}})["files"]
    known = ((want, own[want.path]["after"]) for want in plan.files if want.path in own)
    return any(not Item.from_json(after).same(_item(want)) for want, after in known)


def _give_up(state: dict[str, Any], plan: Plan) -> None:
    """Forget it. Whoever took it over goes back to what was there before both."""
    record = state["records"][plan.name]
    record["generation"] = plan.generation
    for path, known in _given_up(state, plan).items():
        over = _next_owner(state, plan.name, path, known["since"])
        if over:
            state["records"][over]["files"][path]["before"] = known["before"]
        del record["files"][path]
    if not record["files"]:
        del state["records"][plan.name]


def _blobs(state: Mapping[str, Any]) -> list[str]:
    """The copies that the state refers to."""
    items = [known["before"] for record in state["records"].values() for known in record["files"].values()]
    if state["open"]:
        items += [entry["old"] for entry in state["open"]["entries"]]
    return [item["blob"] for item in items if "blob" in item]


def _paths(state: Mapping[str, Any]) -> set[str]:
    """The files of all sections."""
    return {path for record in state["records"].values() for path in record["files"]}


def _plain(probe: Probe) -> dict[str, Any]:
    pairs = {"headers": [list(pair) for pair in probe.headers], "send": [list(pair) for pair in probe.send]}
    return {**asdict(probe), "status": list(probe.status), **pairs}


def _revive(known: Mapping[str, Any]) -> Probe:
    values = {name: value for name, value in known.items() if name != "seen"}
    values["status"] = tuple(values["status"])
    for pairs in ("headers", "send"):  # older records have nothing that is sent
        values[pairs] = tuple((name, value) for name, value in values.get(pairs, ()))
    return Probe(**values)


def _unnoted(note: Callable[[], None]) -> str:
    """Why something could not be written down, as a sentence to add; nothing where it was."""
    try:
        note()
    except (OSError, StateError) as problem:
        return f" That could not be noted; a timer and the next run will do it: {_sentence(problem)}"
    return ""


def _sentence(problem: BaseException | str) -> str:
    text = str(problem) or type(problem).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _diff(path: str, old: Item, new: Item, hide_old: bool, hide_new: bool) -> list[dict[str, str]]:
    """What changes, for people."""
    before, after = _shown(old, hide_old, "before"), _shown(new, hide_new, "after")
    found = []
    if before != after:
        headers = {"before_header": path if old.kind != "absent" else f"{path} (absent)"}
        headers["after_header"] = path if new.kind != "absent" else f"{path} (absent)"
        found.append({**headers, "before": before, "after": after})
    if old.kind == new.kind == "file" and (old.uid, old.gid, old.mode) != (new.uid, new.gid, new.mode):
        header = f"{path} (owner and mode)"
        found.append({"before_header": header, "after_header": header, "before": _rights(old), "after": _rights(new)})
    return found


def _private(item: Item) -> bool:
    return item.kind == "file" and not item.mode & 0o004


def _shown(item: Item, hidden: bool, when: str) -> str:
    if item.kind == "absent":
        return ""
    if item.kind == "link":
        return f"link to {item.target}\n"
    if hidden:
        return f"(secret content, not shown: {when})\n"
    try:
        text = item.data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return f"(binary, {len(item.data)} bytes, sha256 {item.sha256})\n"
    return text


def _rights(item: Item) -> str:
    return f"owner: {_name_of(item.uid, True)}\ngroup: {_name_of(item.gid, False)}\nmode: {item.mode:04o}\n"


def _name_of(number: int, user: bool) -> str:
    try:
        return pwd.getpwuid(number).pw_name if user else grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
