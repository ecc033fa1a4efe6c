# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Owner, group and mode that each entry of a tree should have, compiled: a step down a path is one table access."""

from __future__ import annotations

import fnmatch
import grp
import os
import pwd
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .._common.errors import HardeningError
from .._common.mounts import mounts
from .._common.paths import shown

PROFILES = ("production", "upgrade", "install")
GIT, GIT_MODE = ".git", 0o700
_GITS = (GIT, f"public/plugin/*/{GIT}", f"vendor/*/*/{GIT}")


class PermsError(HardeningError):
    """The tree cannot be processed; the message states why and what to do."""


@dataclass(frozen=True)
class Rule:
    """Applies to everything that the glob matches, and below it. None leaves a value to later rules."""

    path: str
    owner: int | None = None
    group: int | None = None
    directory_mode: int | None = None
    file_mode: int | None = None
    keep_x: bool = False  # a file that can be executed stays so


@dataclass(frozen=True)
class Want:
    owner: int
    group: int
    directory_mode: int
    file_mode: int
    keep_x: bool = False


@dataclass(frozen=True)
class Order:
    """What is asked for.

    ``web``: numbers of the user PHP runs as, ``web_groups``: those of its groups. ``roots``: parts, below ``path``,
    that may be links of root's or file systems of their own. ``exclude``: globs of what is not inspected.
    """

    path: str
    rules: tuple[Rule, ...]
    web: int
    web_groups: frozenset[int]
    exclude: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()


def built_in(profile: str, owner: int, group: int, web: int) -> tuple[Rule, ...]:
    """The guide's rules. The two open profiles let PHP, through its group, write what its work needs."""
    install, upgrade = profile == "install", profile == "upgrade"
    opened = install or upgrade
    return (
        Rule("var/sessions", web, group, 0o770, 0o600),  # as PHP makes each
        Rule("var/security", web, group, 0o750, 0o660),  # as Chamilo 3 makes it when it first checks files
        Rule("var", web, group, 0o770, 0o660),
        Rule(".env*", owner, group, 0o770 if opened else 0o750, 0o660 if opened else 0o640),
        Rule("config/packages/*/*chamilo_hardening*", owner, group, 0o750, 0o640),  # the collection's own
        Rule("config", owner, group, 0o770 if opened else 0o750, 0o660 if opened else 0o640),
        *(Rule(f"{place}/hooks", keep_x=True) for place in _GITS),
        *(Rule(place, owner, group, GIT_MODE, 0o600) for place in _GITS),
        Rule("bin", keep_x=True),
        Rule("vendor/bin", keep_x=True),
        Rule("vendor/*/*/bin", keep_x=True),  # where the links of vendor/bin lead
        Rule("", owner, group, 0o775 if upgrade else 0o755, 0o664 if upgrade else 0o644),
    )


class _Glob:
    """``*`` and ``?`` stay within a name, ``**`` is any number of directories. It matches a path and all below it."""

    def __init__(self, pattern: str) -> None:
        self.parts: list[Any] = []  # a name, a compiled pattern, or None for **
        for part in pattern.split("/") if pattern else []:
            if part == "**":
                self.parts.append(None)
            elif any(mark in part for mark in "*?["):
                self.parts.append(re.compile(fnmatch.translate(part)))
            else:
                self.parts.append(part)
        self.end = len(self.parts)

    def start(self) -> frozenset[int]:
        return self._closed({0})

    def step(self, at: frozenset[int], name: str) -> frozenset[int]:
        if not at or self.end in at:
            return at
        return self._closed(
            {
                position if self.parts[position] is None else position + 1
                for position in at
                if self._fits(position, name)
            }
        )

    def _fits(self, position: int, name: str) -> bool:
        part = self.parts[position]
        return part is None or (part == name if isinstance(part, str) else part.match(name) is not None)

    def _closed(self, at: set[int]) -> frozenset[int]:
        for position in sorted(at):
            while position < self.end and self.parts[position] is None:
                position += 1
                at.add(position)
        return frozenset({self.end} if self.end in at else at)


class Place:
    """A position in the tree as the policy sees it. Equivalent positions are one object."""

    def __init__(self, policy: Policy, state: tuple[frozenset[int], ...]) -> None:
        self._policy = policy
        self._state = state
        live = [glob.parts[position] for glob, at in zip(policy.globs, state) for position in at if position < glob.end]
        self.want: Want | None = policy.want(state)
        self.same_below = not live  # everything below is this place again
        self._names = {part for part in live if isinstance(part, str)}
        self._by_name: dict[str, Place] = {}
        self._plain = all(isinstance(part, str) for part in live)
        self._other: Place | None = None
        if self.want is not None:
            want = self.want
            self.index = policy.wants.setdefault(want, len(policy.wants))
            # What nearly every file has: compared at once. A file with several names is no such file.
            self.owned = (1, want.owner, want.group)
            regular = stat.S_IFREG | want.file_mode
            self.modes = (regular, stat.S_IFREG | executable(want.file_mode)) if want.keep_x else (regular,)
            # Where the group may do what others may not, an ACL could let others in.
            self.private = any(mode >> 3 & ~mode & 7 for mode in (want.file_mode, want.directory_mode))

    def step(self, name: str) -> Place:
        if self.same_below:
            return self
        if self._plain and name not in self._names:
            if self._other is None:
                self._other = self._policy.at(self._policy.step(self._state, name))
            return self._other
        if not self._plain:
            return self._policy.at(self._policy.step(self._state, name))
        if name not in self._by_name:
            self._by_name[name] = self._policy.at(self._policy.step(self._state, name))
        return self._by_name[name]


def executable(mode: int) -> int:
    return mode | (mode >> 2 & 0o111)


class Policy:
    """The rules, compiled: each step down a path is one table access."""

    def __init__(self, order: Order) -> None:
        self._rules = order.rules
        self._excluded = len(order.exclude)
        self.globs = [_Glob(pattern) for pattern in (*order.exclude, *(rule.path for rule in order.rules))]
        self.wants: dict[Want, int] = {}
        self._places: dict[tuple[frozenset[int], ...], Place] = {}

    @property
    def top(self) -> Place:
        return self.at(tuple(glob.start() for glob in self.globs))

    def at(self, state: tuple[frozenset[int], ...]) -> Place:
        if state not in self._places:
            self._places[state] = Place(self, state)
        return self._places[state]

    def step(self, state: tuple[frozenset[int], ...], name: str) -> tuple[frozenset[int], ...]:
        return tuple(glob.step(at, name) for glob, at in zip(self.globs, state))

    def of(self, path: str) -> Place:
        place = self.top
        for part in path.split("/"):
            place = place.step(part)
        return place

    def want(self, state: tuple[frozenset[int], ...]) -> Want | None:
        """None for what is excluded."""
        matched = [glob.end in at for glob, at in zip(self.globs, state)]
        if any(matched[: self._excluded]):
            return None
        rules = [rule for rule, fits in zip(self._rules, matched[self._excluded :]) if fits]

        def value(name: str) -> int:
            # The last rule applies to everything and has no None.
            return int(next(getattr(rule, name) for rule in rules if getattr(rule, name) is not None))

        keep_x = next((rule.keep_x for rule in rules if rule.keep_x or rule.file_mode is not None), False)
        return Want(value("owner"), value("group"), value("directory_mode"), value("file_mode"), keep_x)


# ---------------------------------------------------------------------------------------- what an administrator gives


def order(given: Mapping[str, Any], profile: str, called: Mapping[str, str] | None = None) -> Order:
    """Names to numbers, texts to modes. What does not fit is refused with its value.

    ``called``: how whoever gave an option knows it, where that is not the option's own name.
    """
    known = {"path": "root", **(called or {})}
    names = {name: known.get(name, name) for name in given}
    path = given["path"]
    if not path.startswith("/"):
        raise PermsError(f"{names['path']} is {shown(path)!r}; it has to begin with a slash.")
    try:
        account = pwd.getpwnam(given["web_user"])
    except KeyError as problem:
        raise PermsError(
            f"{names['web_user']} is {shown(given['web_user'])!r}, and there is no such user."
        ) from problem
    if account.pw_uid == 0:
        raise PermsError(f"{names['web_user']} is root. Let PHP run as a user of its own first.")
    owner = _number(names["owner"], given["owner"], lambda name: pwd.getpwnam(name).pw_uid)
    if owner == account.pw_uid:
        raise PermsError(
            f"{names['owner']} is {shown(given['owner'])!r}, as whom PHP runs: it could change the program."
        )
    group = account.pw_gid
    if given.get("group"):
        group = _number(names["group"], given["group"], lambda name: grp.getgrnam(name).gr_gid)
    policy = given.get("policy") or ()
    own = tuple(_rule(f"{names.get('policy')}, rule {number}", rule) for number, rule in enumerate(policy, 1))
    for name in ("exclude", "roots"):
        for pattern in given.get(name) or ():
            below_path(names[name], pattern)
    made = Order(
        path,
        (*own, *built_in(profile, owner, group, account.pw_uid)),
        account.pw_uid,
        frozenset(os.getgrouplist(account.pw_name, account.pw_gid)),
        tuple(given.get("exclude") or ()),
        tuple(part.strip("/") for part in given.get("roots") or ()),
    )
    return replace(made, roots=(*made.roots, *_disks(made)))


def _disks(order: Order) -> Iterator[str]:
    """File systems of their own on which data of the web user's lies, as a disk or an NFS share for var/upload."""
    policy = Policy(order)
    starts = {os.path.realpath(os.path.join(order.path, part)): part for part in ("", *order.roots)}
    for point, mount in sorted(mounts().items()):
        real = max((start for start in starts if point.startswith(f"{start}/")), key=len, default="")
        if not real or mount.of_user:
            continue
        name = f"{starts[real]}{point[len(real) :]}".strip("/")
        want = policy.of(name).want
        try:
            devices = {os.lstat(path).st_dev for path in (os.path.dirname(point), "/")}
            own = os.lstat(point).st_dev not in devices  # not a part of the system's, shown here as well
        except OSError:  # unmounted meanwhile
            continue
        if own and want is not None and want.owner == order.web:
            yield name


def _rule(where: str, given: Mapping[str, Any]) -> Rule:
    owner, group = given.get("owner"), given.get("group")
    return Rule(
        below_path(where, given["path"]).strip("/"),
        None if owner is None else _number(f"{where}: owner", owner, lambda name: pwd.getpwnam(name).pw_uid),
        None if group is None else _number(f"{where}: group", group, lambda name: grp.getgrnam(name).gr_gid),
        octal(f"{where}: directory_mode", given.get("directory_mode")),
        octal(f"{where}: file_mode", given.get("file_mode")),
    )


def below_path(where: str, pattern: str) -> str:
    if pattern.startswith("/") or not pattern.strip("/") or set(pattern.split("/")) & {".", ".."}:
        raise PermsError(f"{where}: {shown(pattern)!r} is no path below the tree, such as public/custom or **/*.sh.")
    return pattern


def _number(where: str, given: Any, find: Callable[[str], int]) -> int:
    text = str(given)  # YAML makes a number of one
    try:
        return int(text) if text.isdigit() else find(text)
    except KeyError as problem:
        raise PermsError(f"{where} is {shown(text)!r}, and there is none of that name.") from problem


def octal(where: str, given: Any) -> int | None:
    if given is None:
        return None
    if not isinstance(given, str) or not re.fullmatch(r"0?[0-7]{3}", given):
        raise PermsError(f"{where} is {given!r}; write it as an octal number in quotes, such as '0640'.")
    mode = int(given, 8)
    if mode & 0o002:
        raise PermsError(f"{where} is {given!r}, which lets every user of this host write.")
    return mode
