# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is desired: the files of a section, and how they are tested, loaded and probed."""

from __future__ import annotations

import grp
import hashlib
import json
import os
import pwd
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Optional

from .._common.files import ABSENT, Item, file_item
from .._common.in_force import InForce
from .._common.markers import Mark, Piece
from .._common.services import split_address
from .._common.typed import made
from .job import Load, TransactionError
from .our_lines import site_of
from .probe import Probe, ProbeError, checked

GENERATION = "@generation@"
NAME = re.compile(r"[a-z][a-z_]*(?::[A-Za-z0-9][A-Za-z0-9._-]*)?")


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
class Marked:
    """One file of its owner's, with our lines. ``digest``: SHA-256 of the text without them that the marks are for."""

    path: str
    digest: str
    marks: tuple[Mark, ...]

    @property
    def seen(self) -> str:
        """What is asked for, in a word: see ``as_seen``."""
        asked = json.dumps([self.digest, *map(asdict, self.marks)], sort_keys=True)
        return f"marked {hashlib.sha256(asked.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class File:
    """One file as the module takes it: see its documentation."""

    path: str
    state: Literal["file", "link", "absent"] = "file"
    content: Optional[str] = None  # noqa: UP045 (Python 3.9 evaluates it)
    secret_content: Optional[str] = field(default=None, metadata={"no_log": True})  # noqa: UP045 (as above)
    target: Optional[str] = None  # noqa: UP045 (as above)
    marks: Optional[Sequence[Mark]] = None  # noqa: UP045 (as above)
    digest: Optional[str] = None  # noqa: UP045 (as above)
    owner: str = "root"
    group: str = "root"
    mode: Any = "0644"


@dataclass(frozen=True)
class Transaction:
    """Files that become active together, as the module takes them."""

    name: str
    files: Optional[Sequence[File]] = None  # noqa: UP045 (Python 3.9 evaluates it)
    state: Literal["present", "absent"] = "present"
    test: Sequence[Sequence[str]] = ()
    load: Optional[Load] = None  # noqa: UP045 (as above)
    listen: Sequence[str] = ()
    probe: Sequence[Probe] = ()
    complete: bool = True


@dataclass(frozen=True)
class Plan:
    """What a transaction comes to on a host."""

    name: str
    files: tuple[Want, ...]
    test: tuple[tuple[str, ...], ...] = ()
    load: Load | None = None
    listen: tuple[str, ...] = ()
    probe: tuple[Probe, ...] = ()
    generation: str = ""
    complete: bool = True  # earlier files that ``files`` no longer names are restored
    marked: tuple[Marked, ...] = ()


def plan(given: Mapping[str, Any] | Transaction) -> Plan:
    """A plan of a transaction, or of the options that make one. Refuses, in words, what cannot be meant."""
    asked = given if isinstance(given, Transaction) else made(Transaction, given)
    name, every = asked.name, asked.files or ()
    if not NAME.fullmatch(name):
        raise TransactionError(f"name: {name!r} is no section with an optional site, such as headers or https:campus.")
    files = tuple(_want(each) for each in every if each.marks is None)
    marked = tuple(_marked(each, each.marks) for each in every if each.marks is not None)
    if marked and not site_of(name):
        raise TransactionError(f"files: {marked[0].path} has marks, which carry the site: {name} has none.")
    paths = [*(each.path for each in files), *(each.path for each in marked)]
    for path in paths:
        if paths.count(path) > 1:
            raise TransactionError(f"files: {path} is there twice.")
    for address in asked.listen:
        try:
            split_address(address)
        except ValueError as problem:
            raise TransactionError(f"listen: {problem}.") from problem
    test = tuple(tuple(argv) for argv in asked.test)
    if not all(test):
        raise TransactionError("test: an empty command.")
    generation = _generation(files, marked)
    return Plan(
        name,
        tuple(replace(each, content=each.content.replace(GENERATION.encode(), generation.encode())) for each in files),
        test,
        asked.load,
        tuple(asked.listen),
        tuple(_probe(each, generation) for each in asked.probe),
        generation,
        asked.complete,
        marked,
    )


def _path(path: str) -> str:
    if not path.startswith("/") or os.path.normpath(path) != path or path == "/":
        raise TransactionError(f"files: {path!r} is no plain absolute path.")
    return path


def _marked(given: File, asked: Sequence[Mark]) -> Marked:
    path, digest = _path(given.path), given.digest or ""
    if any(one is not None for one in (given.content, given.secret_content, given.target)):
        raise TransactionError(f"files: {path} has marks, and so no content or target.")
    if given.state != "file" or not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise TransactionError(f"files: {path} has marks, and so needs its digest, and no other state than file.")
    try:
        marks = tuple(Mark(int(each.at), tuple(map(_piece, each.lines)), int(each.until)) for each in asked)
    except (TypeError, ValueError) as problem:
        raise TransactionError(f"files: {path}: marks are not in their form ({problem}).") from problem
    return Marked(path, digest, marks)


def _piece(given: Any) -> Piece:
    if isinstance(given, str):
        if "\n" in given or "\r" in given:
            raise ValueError("a line has an end of a line in it")
        return given
    start, end = given
    return int(start), int(end)


def _want(given: File) -> Want:
    path, state = _path(given.path), given.state
    content, secret, target = given.content, given.secret_content, given.target
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
        str(given.owner),
        str(given.group),
        _mode(path, given.mode),
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


def _probe(asked: Probe, generation: str) -> Probe:
    try:
        found = checked(asked)
    except ProbeError as problem:
        raise TransactionError(str(problem)) from problem
    headers = {name: value.replace(GENERATION, generation) for name, value in found.headers.items()}
    return replace(found, headers=headers, generation=headers != found.headers)


def _generation(files: Iterable[Want], marked: Iterable[Marked] = ()) -> str:
    """The same files have the same generation, in whatever order they come.

    Links and absent files do not count: what had to go the first time is not asked for again the second time. Nor does
    where our lines stand in a file of its owner's, who may edit around them.
    """
    known = [
        {**asdict(each), "content": hashlib.sha256(each.content).hexdigest()}
        for each in sorted(files, key=lambda each: each.path)
        if each.state == "file"
    ]
    for each in sorted(marked, key=lambda each: each.path):
        ours = ([piece for piece in mark.lines if isinstance(piece, str)] for mark in each.marks)
        known.append({"path": each.path, "marks": sorted(ours)})
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


def as_seen(kind: str, target: str) -> str:
    return f"link {target}" if kind == "link" else kind


def asks_for_nothing(plan: Plan, known: InForce) -> bool:
    """Whether the files of a plan are what is active of the transaction of that name."""
    files = known.files
    return (
        known.generation == plan.generation
        and all(files.get(want.path) == as_seen(want.state, want.target) for want in plan.files)
        and all(files.get(want.path) == want.seen for want in plan.marked)
        and not no_longer_named(plan, (path for path, seen in files.items() if seen != "absent"))
    )


def no_longer_named(plan: Plan, tracked: Iterable[str]) -> list[str]:
    """The managed files to restore. Removed files are not requested again: see ``_generation``."""
    named = {*(want.path for want in plan.files), *(want.path for want in plan.marked)}
    return sorted(path for path in tracked if path not in named) if plan.complete else []


def as_item(want: Want) -> Item:
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
