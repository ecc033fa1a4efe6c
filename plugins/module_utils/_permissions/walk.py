# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Owner, group and mode of a whole tree as one policy, in one pass, against somebody who changes it meanwhile.

A directory is opened relative to the one above it, tightened, and only then listed; what is not as it should be is
opened and changed through that descriptor. No name is ever looked up twice and believed to be the same thing, no link
below the start is followed, and a file that has a name elsewhere as well is left alone. What is right costs one look.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import fnmatch
import functools
import grp
import json
import math
import os
import pwd
import re
import resource
import stat
import struct
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ansible_collections.chamilo.hardening.plugins.module_utils._common import locks
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import DIRECTORY as _DIRECTORY
from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import FILE as _FILE
from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import (
    mounts,
    of_root,
    open_path,
    served_by_users,
    shown,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import acl
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import vouch as permissions_vouch
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.journal import Journal
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.release import (
    MAPPED,
    Release,
    born,
    seen,
)

if TYPE_CHECKING:
    from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.pages import Pages

_ENOUGH = 192  # directories that wait: from here on several processes share them
_PROCESSES = 4
_NEAR = 8  # levels
_DEEPEST = 800  # levels; each holds a descriptor
_LISTED = 20  # samples, and things refused, that are told one by one
_LIST = 16 << 20  # bytes of the list of suspect PHP: whoever plants it must not fill the disk with its names
_LINKS = 100_000  # files with several names that are remembered
_IN_ONE = 5_000_000  # entries of one directory
_SECONDS = 3600.0  # against somebody who makes files faster than they are looked at
_FS_IOC_GETFLAGS = 0x80086601
_IMMUTABLE = 0x30  # FS_IMMUTABLE_FL | FS_APPEND_FL
_DENIED = (errno.EACCES, errno.EPERM)
_NAMELESS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}
# A wrong variable, or a link to the wrong place, must not give the host itself away.
_SYSTEM = frozenset(
    "/ /bin /boot /dev /etc /home /lib /lib32 /lib64 /media /mnt /opt /proc /root /run /sbin /sys /tmp /usr /usr/bin "
    "/usr/lib /usr/local /usr/sbin /usr/share /var /var/cache /var/lib /var/log /var/tmp".split()
)
# What waits for somebody to look at it is root's, with a mode that nothing else has, so that each run knows it again.
_QUARANTINE = stat.S_IFREG | 0o600
_ASIDE = stat.S_IFREG | 0o200  # outside public/, where a file that cannot be read would keep the portal from starting:
ASIDE_NAME = ".quarantined"  # it gets another name
_MARKS = ((_QUARANTINE, 0, 0), (_ASIDE, 0, 0))
_UNREAD = 0o400  # what the owner of a doubtful file lacks; root reads it all the same
_TAKEN = (*MAPPED, "bin", "config", "public")  # where one of them is not as it should be, code gets another owner
_COMPILED = ("code", "program")  # kinds of places
# Every page goes through one of them, so the portal would be down.
_FRONT = ("public/index.php", "public/main/inc/global.inc.php")
_GIT = ".git"
_HTACCESS = ".htaccess"
_GIT_ADVICE = "It stays that user's, so that Git refuses root; remove the settings, then run again"
_FEW_SETTINGS = 10
_FEW = 5
_GIT_MODE = 0o700
_GITS = (_GIT, f"public/plugin/*/{_GIT}", f"vendor/*/*/{_GIT}")
DOUBTFUL, QUARANTINED = "doubtful", "quarantined"
PROFILES = ("production", "upgrade", "install")


_INTERNAL = ("held", "links", "taken", "unfinished", "unnoted")  # of what was found


class PermsError(HardeningError):
    """The tree cannot be worked on at all; the text says why and what to do."""


@dataclass(frozen=True)
class Rule:
    """What holds for everything that the glob matches, and below it. What is None is left to the rules after it."""

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

    ``web``: numbers of the user who works for strangers, ``web_groups``: those of its groups. ``roots``: parts, below
    ``path``, that may be links of root's or file systems of their own. ``exclude``: globs of what nobody looks at.
    ``programs``: globs below public/ where PHP belongs; PHP elsewhere in public/ that the web user could have written
    cannot be read by it any more until its path is in ``acknowledged``. The same goes for PHP where it belongs that
    came later than the release, or that is the web user's in a release that is not, unless it came after ``opened``,
    when PHP was meant to write; 0 where it is now. Such PHP outside public/ gets another name as well, unless the
    portal may need it, which is only told.
    """

    path: str
    rules: tuple[Rule, ...]
    web: int
    web_groups: frozenset[int]
    exclude: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    acknowledged: tuple[str, ...] = ()
    opened: float = math.inf


@dataclass
class Found:
    """What was seen and done. Paths are relative to the tree and safe to print."""

    entries: int = 0
    fixed: Counter[str] = field(default_factory=Counter)
    refused: list[dict[str, str]] = field(default_factory=list)
    refused_total: int = 0
    samples: list[dict[str, str]] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    quarantined_total: int = 0
    doubtful: list[str] = field(default_factory=list)
    doubtful_total: int = 0
    listing: str = ""  # the file with the names of both
    unnamed: int = 0  # of both, that are not in it
    unnamed_why: str = ""
    unfinished: str = ""  # why not all was looked at
    taken: int = 0  # files of the program that got another owner
    held: list[str] = field(default_factory=list)  # quarantined in this run
    unnoted: str = ""  # why not every change can be rolled back
    # (device, inode) -> names there are, names found, could one have been moved meanwhile, wants, path, suspect PHP
    links: dict[tuple[int, int], list[Any]] = field(default_factory=dict)

    def refuse(self, path: str, why: str) -> None:
        self.refused_total += 1
        if len(self.refused) < _LISTED:
            self.refused.append({"path": shown(path), "why": why})

    def add(self, other: Found) -> None:
        self.entries += other.entries
        self.fixed += other.fixed
        self.refused += other.refused
        self.refused_total += other.refused_total
        self.samples += other.samples
        self.quarantined += other.quarantined
        self.quarantined_total += other.quarantined_total
        self.doubtful += other.doubtful
        self.doubtful_total += other.doubtful_total
        self.unnamed += other.unnamed
        self.unnamed_why = self.unnamed_why or other.unnamed_why
        self.unfinished = self.unfinished or other.unfinished
        self.taken += other.taken
        self.held += other.held
        self.unnoted = self.unnoted or other.unnoted
        for key, link in other.links.items():
            self.link(key, link)

    def link(self, key: tuple[int, int], link: list[Any]) -> None:
        known = self.links.get(key)
        if known is None:
            self.links[key] = link
        else:
            known[1] += link[1]
            known[2] = known[2] or link[2]
            known[3] = sorted({*known[3], *link[3]})
            if link[5] and not known[5]:
                known[4:] = link[4:]

    @property
    def changed(self) -> bool:
        return any(self.fixed.values())

    def result(self) -> dict[str, Any]:
        """What the module returns."""
        kinds = {kind: self.fixed[kind] for kind in ("owner", "group", "mode", "setuid", "acl")}
        told = {name: value for name, value in vars(self).items() if name not in _INTERNAL}
        return {**told, "fixed": kinds, "changed": self.changed}

    def to_json(self) -> str:
        values = {**vars(self), "links": [[*key, link] for key, link in self.links.items()]}
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> Found:
        values = json.loads(text)
        links = {(device, inode): link for device, inode, link in values.pop("links")}
        return cls(**{**values, "fixed": Counter(values["fixed"]), "links": links})


def diff(path: str, found: Found) -> dict[str, str]:
    before = "".join(f"{one['path']}  {one['before']}\n" for one in found.samples)
    after = "".join(f"{one['path']}  {one['after']}\n" for one in found.samples)
    if len(found.samples) == _LISTED:
        after += (
            f"and others: {found.fixed['owner']} owners, {found.fixed['group']} groups, {found.fixed['mode']} modes\n"
        )
    return {"before_header": shown(path), "after_header": shown(path), "before": before, "after": after}


def built_in(profile: str, owner: int, group: int, web: int) -> tuple[Rule, ...]:
    """The guide's rules. The two open profiles let PHP, through its group, write what its work needs."""
    install, upgrade = profile == "install", profile == "upgrade"
    opened = install or upgrade
    return (
        Rule("var/sessions", web, group, 0o770, 0o600),  # as PHP makes each
        Rule("var", web, group, 0o770, 0o660),
        Rule(".env*", owner, group, 0o770 if opened else 0o750, 0o660 if opened else 0o640),
        Rule("config/packages/*/*chamilo_hardening*", owner, group, 0o750, 0o640),  # the collection's own
        Rule("config", owner, group, 0o770 if opened else 0o750, 0o660 if opened else 0o640),
        *(Rule(f"{place}/hooks", keep_x=True) for place in _GITS),
        *(Rule(place, owner, group, _GIT_MODE, 0o600) for place in _GITS),
        Rule("bin", keep_x=True),
        Rule("vendor/bin", keep_x=True),
        Rule("vendor/*/*/bin", keep_x=True),  # where the links of vendor/bin lead
        Rule("", owner, group, 0o775 if upgrade else 0o755, 0o664 if upgrade else 0o644),
    )


# ------------------------------------------------------------------------------------------------------- policy


class _Glob:
    """``*`` and ``?`` stay within a name, ``**`` is any number of folders. It matches a path and all below it."""

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
    """A position in the tree as the policy sees it. Positions that cannot be told apart are one object."""

    def __init__(self, policy: Policy, state: tuple[frozenset[int], ...]) -> None:
        self._policy = policy
        self._state = state
        live = [glob.parts[position] for glob, at in zip(policy.globs, state) for position in at if position < glob.end]
        self.want: Want | None = policy.want(state)
        self.kind = policy.kind(state)
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
            self.modes = (regular, stat.S_IFREG | _executable(want.file_mode)) if want.keep_x else (regular,)
            self.simple = self.kind != "foreign" and not want.keep_x
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


def _executable(mode: int) -> int:
    return mode | (mode >> 2 & 0o111)


class Policy:
    """The rules, compiled: each step down a path is a look into a table."""

    def __init__(self, order: Order) -> None:
        self._rules = order.rules
        self._excluded = len(order.exclude)
        self._programs = len(order.programs)
        self._acknowledged = len(order.acknowledged)
        patterns = [
            *order.exclude,
            *order.programs,
            *order.acknowledged,
            "public",
            "var",
            *(rule.path for rule in order.rules),
        ]
        self.globs = [_Glob(pattern) for pattern in patterns]
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

    def _matched(self, state: tuple[frozenset[int], ...]) -> list[bool]:
        return [glob.end in at for glob, at in zip(self.globs, state)]

    def want(self, state: tuple[frozenset[int], ...]) -> Want | None:
        """None for what is excluded."""
        matched = self._matched(state)
        if any(matched[: self._excluded]):
            return None
        first = self._excluded + self._programs + self._acknowledged + 2
        rules = [rule for rule, fits in zip(self._rules, matched[first:]) if fits]

        def value(name: str) -> int:
            # The last rule holds for everything and leaves nothing open.
            return int(next(getattr(rule, name) for rule in rules if getattr(rule, name) is not None))

        keep_x = next((rule.keep_x for rule in rules if rule.keep_x or rule.file_mode is not None), False)
        return Want(value("owner"), value("group"), value("directory_mode"), value("file_mode"), keep_x)

    def kind(self, state: tuple[frozenset[int], ...]) -> str:
        """What PHP is here: "foreign" where none belongs, "program" what a URL can call, "code" the rest of Chamilo."""
        matched = self._matched(state)
        known = self._excluded + self._programs
        public = known + self._acknowledged
        if not self._programs or any(matched[: self._excluded]) or any(matched[known:public]) or matched[public + 1]:
            return ""
        if not matched[public]:
            return "code"
        return "program" if any(matched[self._excluded : known]) else "foreign"


# --------------------------------------------------------------------------------------------------------- tree


@dataclass(frozen=True)
class Root:
    """An open directory, or file, that the walk starts from."""

    handle: int
    path: str  # relative to the tree; empty for the tree itself
    device: int
    inode: int
    squashed: bool = False  # root may not work there, as on NFS with root_squash: the web user does


def open_trusted(path: str, start: int = -1) -> int:
    """Open a directory or file. A link on the way is followed only where root owns it and the folder it lies in."""
    try:
        return open_path(path, of_root, start)[0]
    except OSError as problem:
        raise PermsError(f"{shown(path)}: {problem.strerror}.") from problem


class Tree:
    """The tree and its declared parts, open, with what must not be crossed.

    ``partly``: a part that cannot be trusted is ``unfinished``, and no reason to leave the others as they are.
    ``check``: nothing may be changed, not even for a try.
    """

    def __init__(
        self,
        order: Order,
        partly: bool = False,
        check: bool = False,
        lists: Sequence[str] = (),
        journal: Journal | None = None,
    ) -> None:
        self.order = order
        self.journal = journal
        self.policy = Policy(order)
        self.roots: list[Root] = []
        self.unfinished = ""
        top = open_trusted(order.path)
        status = os.fstat(top)
        if not stat.S_ISDIR(status.st_mode):
            os.close(top)
            raise PermsError(f"{shown(order.path)} is not a directory.")
        self.roots.append(Root(top, "", status.st_dev, status.st_ino))
        try:
            self._not_the_system(top, order.path)
            for part in order.roots:
                try:
                    self._declared(part, top, check)
                except PermsError as problem:
                    if not partly:
                        raise
                    self.unfinished = self.unfinished or str(problem)
        except PermsError:
            self.close()
            raise
        # Walked on their own, so passed over where they are met by the way.
        self.claimed = {(root.device, root.inode) for root in self.roots}
        self.release = Release(top, order.web)
        self.lists = permissions_vouch.Lists(order.path, lists)
        # Each file that the web user can write, where there is a package of this release.
        self.compares = any(os.path.basename(path).startswith("release-") for path in lists)
        self._laid: permissions_vouch.Release | None = None
        # Before anything changes: what a run changes is root's then.
        self._tracked: dict[str, bytes] | None = None if self._index_is_sound(top) else {}
        self._own: dict[str, permissions_vouch.Release] = {}
        if not all(self._is_right(top, part) for part in _TAKEN):
            # Before anything changes: what a run changes has another owner and another time then.
            self.release.look()
            self._laid = permissions_vouch.release(top, order.web)
            self._look_at_plugins(top)
        real = os.readlink(f"/proc/self/fd/{top}")
        self.mounted = set(self._mounted(real))

    def open_below(self, path: str) -> int:
        """Open what is in the tree; no link below the root it belongs to is followed."""
        root = max((root for root in self.roots if _below(path, root.path)), key=lambda root: len(root.path))
        names = path[len(root.path) :].strip("/").split("/")
        handle = os.dup(root.handle)
        try:
            for number, name in enumerate(filter(None, names), 1):
                below = os.open(name, _FILE if number == len(names) else _DIRECTORY, dir_fd=handle)
                os.close(handle)
                handle = below
        except OSError:
            os.close(handle)
            raise
        return handle

    def _declared(self, part: str, top: int, check: bool) -> None:
        squashed = False
        try:
            handle = open_trusted(part, top)
        except PermsError as problem:
            if getattr(problem.__cause__, "errno", 0) not in _DENIED:
                raise
            with _as_web(self.order):
                handle = open_trusted(part, top)
            squashed = True
        try:
            self._not_the_system(handle, part)
        except PermsError:
            os.close(handle)
            raise
        status = os.fstat(handle)
        if not (squashed or check or status.st_dev == self.roots[0].device):
            try:
                os.fchmod(handle, stat.S_IMODE(status.st_mode))
            except OSError as problem:
                squashed = problem.errno in _DENIED and not _flags(handle) & _IMMUTABLE
        self.roots.append(Root(handle, part, status.st_dev, status.st_ino, squashed))

    def _is_right(self, top: int, part: str) -> bool:
        """Was this part made what it should be in a run before?"""
        status, want = seen(top, part), self.policy.of(part).want
        return (
            status is None
            or want is None
            or stat.S_ISLNK(status.st_mode)
            or _mark(status) == (stat.S_IFDIR | want.directory_mode, want.owner, want.group)
        )

    @property
    def laid(self) -> permissions_vouch.Release:
        if self._laid is None:
            self._laid = permissions_vouch.release(self.roots[0].handle, self.order.web)
            self._look_at_plugins(self.roots[0].handle)
        return self._laid

    def _look_at_plugins(self, top: int) -> None:
        for place in permissions_vouch.OWN:
            try:
                handle = permissions_vouch.open_below(top, place, os.O_DIRECTORY)
            except OSError:  # not every tree has both
                continue
            try:
                folders = [f"{place}/{name}" for name in os.listdir(handle)[: permissions_vouch.PLUGINS]]
            finally:
                os.close(handle)
            self._own.update((folder, permissions_vouch.own_history(top, folder)) for folder in folders)

    def _index_is_sound(self, top: int) -> bool:
        """Was the index written by somebody else than the web user, and could that user not have exchanged it?"""
        way = [os.fstat(top), seen(top, _GIT), seen(top, f"{_GIT}/index")]
        # Behind the rights of a group may be those of an ACL.
        return not any(status is None or self.loose(status) or status.st_mode & 0o020 for status in way)

    def is_tracked(self, path: str, handle: int) -> bool:
        """Does Git have it as it is? An update by Git changes few files, and later than the others were laid.

        An index that the web user could write vouches for nothing.
        """
        if self._tracked is None:
            self._tracked = permissions_vouch.tracked(self.roots[0].handle)
        return path in self._tracked and self._tracked[path] == permissions_vouch.blob(handle)

    def planted(self, status: os.stat_result, handle: int) -> bool:
        """Could the web user have put this file here, or changed it, since the release was laid?"""
        laid = self._laid or self.laid
        if status[9] > laid.changed or status[8] > laid.written:
            return status[9] < self.order.opened and self.loose(status, handle)
        theirs = status[4] == self.order.web and not laid.web
        return theirs and status[9] < self.order.opened and laid is not permissions_vouch.NOT_THERE

    def is_weak(self, handle: int, status: os.stat_result) -> bool:
        """Is its change time all that came later? A mode, an owner or a second name changes that one as well.

        A file that was made later is a new one, whatever date its owner gave it.
        """
        theirs = status.st_uid == self.order.web and not self.laid.web
        if theirs or status.st_mtime > self.laid.written or self.lists.release:
            return False
        birth = born(handle)
        return birth is not None and birth <= self.laid.changed

    def has_own_history(self, path: str, status: os.stat_result) -> bool:
        """Did it come together with the rest of its plugin or theme, which is no part of the release?"""
        own = self._own.get(permissions_vouch.own_folder(path), permissions_vouch.NOT_THERE)
        return own is not permissions_vouch.NOT_THERE and not own.later(status)

    def loose(self, status: os.stat_result, handle: int = -1) -> bool:
        """Can the web user write to it? An ACL counts where ``handle`` is given: the mode's group is its mask then."""
        mode = status[0]
        if status[4] == self.order.web or mode & 0o002:
            return True
        return bool(mode & 0o020) and (
            status[5] in self.order.web_groups
            or (handle >= 0 and acl.lets(handle, self.order.web, self.order.web_groups))
        )

    @staticmethod
    def _not_the_system(handle: int, path: str) -> None:
        real = os.readlink(f"/proc/self/fd/{handle}")
        if real in _SYSTEM:
            raise PermsError(f"{shown(path)} leads to {real}, which belongs to the system and not to Chamilo.")

    def _mounted(self, real: str) -> Iterator[tuple[int, int]]:
        """What other file systems, or other parts of this one, show within the tree."""
        for path in mounts():
            if path.startswith(real.rstrip("/") + "/"):
                try:
                    status = os.lstat(path)
                except OSError:  # unmounted meanwhile
                    continue
                yield status.st_dev, status.st_ino

    def close(self) -> None:
        for root in self.roots:
            os.close(root.handle)


class _Listing:
    """Suspect PHP, where an attacker makes too much of it to be told: each is named before it changes its owner.

    Each process appends. An empty path is nowhere. What cannot be named is counted, and nothing else waits for it.
    Whoever holds the list is alone with the tree: one run would take what another is about to put aside for root's own.
    """

    def __init__(self, path: str, patience: float) -> None:
        self.path = path
        self.new = f"{path}.new"  # until the whole tree was looked at, what the last run named is not lost
        self.problem = ""  # why nothing more can be named
        self._handle = -1
        if path:
            try:
                os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
                self._handle = locks.acquire(self.new, patience, self._busy)
                os.ftruncate(self._handle, 0)  # of a run that was killed
            except OSError as problem:
                self.problem = _words(problem)

    def _busy(self, _holder: str) -> PermsError:
        return PermsError(f"Another run is at the same tree and has {self.new}. Run again when it has ended.")

    def name(self, what: str, path: str) -> bool:
        """False for what could not be named."""
        if not self.path:
            return True
        line = f"{what} {shown(path)}\n".encode()
        try:
            if not self.problem and os.fstat(self._handle).st_size + len(line) > _LIST:
                self.problem = f"the list ends at {_LIST >> 20} MB"
            if not self.problem and os.write(self._handle, line) != len(line):
                self.problem = os.strerror(errno.ENOSPC)
        except OSError as problem:
            self.problem = _words(problem)
        return not self.problem

    def done(self, found: Found) -> None:
        """The whole tree was looked at: the list takes the place of the last one."""
        total = found.quarantined_total + found.doubtful_total
        if self.path and not total:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
        if not self.path or found.unnamed == total:  # what the last run named is better than nothing
            return
        if found.unnamed:
            with contextlib.suppress(OSError):  # it is told as well
                os.write(self._handle, f"\nand {found.unnamed} more: {found.unnamed_why}\n".encode())
        try:
            os.replace(self.new, self.path)
        except OSError as problem:
            found.unnamed, found.unnamed_why = total, _words(problem)
            return
        os.close(self._handle)
        self._handle = -1  # what is called new from here on is another run's
        found.listing = self.path

    def close(self) -> None:
        if self._handle >= 0:
            with contextlib.suppress(OSError):
                os.unlink(self.new)
            os.close(self._handle)


def run(
    order: Order,
    check: bool = False,
    processes: int = 0,
    patience: float = _SECONDS,
    listing: str = "",
    partly: bool = False,
    lists: Sequence[str] = (),
    renew: Callable[[int], str] | None = None,
    pages: Pages | None = None,
) -> Found:
    """Make the tree what the order says, or with ``check`` say what would be done.

    ``listing``: a file in a folder of root's, for the names of all suspect PHP. A check writes none. ``partly``: what
    is wrong with one of the roots is raised after the others were looked at, and not before anything changes.
    ``lists``: files with checksums, which root alone can write, that vouch for what is in the tree. ``renew``: is given
    var/cache, open, where code got another owner, and returns what went wrong. ``pages``: of the portal; where one does
    not work any more, all is rolled back.
    """
    if os.geteuid() != 0:
        raise PermsError("Only root can give files to somebody else; run it as root (become: true).")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _DEEPEST + 200:
        wanted = _DEEPEST + 200 if hard == resource.RLIM_INFINITY else min(hard, _DEEPEST + 200)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    with contextlib.ExitStack() as open_now:
        suspects = open_now.enter_context(contextlib.closing(_Listing("" if check else listing, patience)))
        journal = None
        if pages and not check:
            journal = open_now.enter_context(contextlib.closing(Journal(os.path.dirname(listing), order.web)))
            pages.look()
        with contextlib.closing(Tree(order, partly, check, lists, journal)) as tree:
            until = time.monotonic() + patience
            found = _walked(_Walk(tree, check, until, suspects), processes)
            if any(root.squashed for root in tree.roots):
                with _as_web(order):
                    found.add(_walked(_Walk(tree, check, until, suspects, squashed=True), 1))
            unfinished = tree.unfinished or found.unfinished
            if renew and found.taken and not check and not unfinished:
                _renew(tree, found, renew)
            if pages and journal and found.changed:
                _prove(tree, found, pages, journal, renewed=renew is not None and found.taken > 0)
        if unfinished:
            raise PermsError(unfinished)
        suspects.done(found)
    for kept in (found.refused, found.samples):
        kept.sort(key=lambda one: one["path"])
        del kept[_LISTED:]
    for names in (found.quarantined, found.doubtful):
        names.sort()
        del names[_LISTED:]
    return found


def _prove(tree: Tree, found: Found, pages: Pages, journal: Journal, renewed: bool) -> None:
    """See that the portal works as before. Where it does not, roll back what changed, and raise which file it was."""
    # PHP goes on with what it compiled, whether or not it may still read the file.
    forgets = renewed or found.quarantined_total > 0
    problem = pages.reload() if forgets else ""
    if problem:
        raise PermsError(f"{shown(tree.order.path)}: PHP goes on with what it compiled. {problem}")
    broken = pages.broken()
    if not broken:
        return
    journal.problem = journal.problem or found.unnoted
    failed = journal.roll_back(tree.open_below)
    problem = pages.reload() if forgets else ""
    still = pages.broken()
    told = [f"The portal is not answered as before: {broken}. The owners and modes of this run were rolled back."]
    told += [f"Not so {'; '.join(failed[:_FEW])}."] if failed else []
    told += [problem] if problem else []
    told += [f"It is not answered as before even so, so look for another cause as well: {still}."] if still else []
    if found.held:
        told.append(
            f"This run had quarantined {', '.join(sorted(found.held)[:_LISTED])}. Compare each with the release. "
            "Remove what is not part of it, list what the portal needs as acknowledged, and run again."
        )
    else:
        some = "; ".join(f"{one['path']} ({one['before']} to {one['after']})" for one in found.samples[:_FEW])
        told.append(f"It had changed {some}. Check web_user, group and policy, and run again.")
    raise PermsError(" ".join(told))


@contextlib.contextmanager
def _as_web(order: Order) -> Iterator[None]:
    """Where root may not: as the web user, to whom the data belongs."""
    groups, group = os.getgroups(), os.getegid()
    os.setgroups(sorted(order.web_groups))
    os.setegid(min(order.web_groups))
    os.seteuid(order.web)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _renew(tree: Tree, found: Found, renew: Callable[[int], str]) -> None:
    declared = next((root.handle for root in tree.roots if root.path == "var"), -1)
    try:
        if declared >= 0:
            cache = permissions_vouch.open_below(declared, "cache", os.O_DIRECTORY)
        else:
            cache = permissions_vouch.open_below(tree.roots[0].handle, "var/cache", os.O_DIRECTORY)
    except FileNotFoundError:  # nothing was compiled yet
        return
    except OSError as problem:
        found.refuse("var/cache", f"what the application compiled cannot be put away: {_words(problem)}")
        return
    try:
        why = renew(cache)
    except OSError as problem:
        why = f"what the application compiled could not be put away: {_words(problem)}"
    finally:
        os.close(cache)
    if why:
        found.refuse("var/cache", why)


def _walked(walk: _Walk, processes: int) -> Found:
    back = os.open(".", os.O_PATH | os.O_CLOEXEC)
    try:
        waiting = walk.begin()
        while waiting and len(waiting) < _ENOUGH:
            if len(waiting[0].names) < _NEAR:
                walk.descend(waiting)
            else:  # each step of this kind begins at the root again
                walk.deep(waiting.popleft())
        walk.note()  # what waits in it would be noted by each process
        if waiting:
            _share(walk, list(waiting), processes or min(_PROCESSES, len(os.sched_getaffinity(0))))
        walk.settle_links()
    finally:
        os.fchdir(back)
        os.close(back)
    return walk.found


@dataclass(frozen=True)
class Job:
    """A directory that waits: how to come to it from its root, and what holds there."""

    root: Root
    names: tuple[str, ...]
    place: Place


def _share(walk: _Walk, jobs: Sequence[Job], processes: int) -> None:
    """The jobs, by several processes: each takes the next one from a pipe when it is done with one."""
    piles = [jobs[first::4096] for first in range(min(len(jobs), 4096))]
    taking, giving = os.pipe()
    os.write(giving, b"".join(struct.pack("=I", number) for number in range(len(piles))))
    os.close(giving)
    children: list[tuple[int, int]] = []
    for _more in range(processes - 1):
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            code = 1
            try:
                walk.found = Found()
                walk.work(taking, piles)
                walk.note()
                said = walk.found.to_json()
                code = 0
            except BaseException as problem:  # the parent tells it
                said = str(problem) if isinstance(problem, PermsError) else f"{type(problem).__name__}: {problem}"
            finally:
                with os.fdopen(writing, "w", encoding="utf-8", errors="backslashreplace") as answer:
                    answer.write(said)
                os._exit(code)
        os.close(writing)
        children.append((child, reading))
    failed: list[str] = []
    try:
        walk.work(taking, piles)
    finally:
        os.close(taking)
        for child, reading in children:
            with os.fdopen(reading, encoding="utf-8") as answer:
                said = answer.read()
            if os.waitpid(child, 0)[1]:
                failed.append(said or "it was killed")
            elif not failed:
                walk.found.add(Found.from_json(said))
    if failed:
        raise PermsError(f"{shown(walk.tree.order.path)}: not all of it was looked at: {failed[0]}")


class _Walk:
    """One process on its way through the tree."""

    def __init__(self, tree: Tree, check: bool, until: float, listing: _Listing, squashed: bool = False) -> None:
        self.tree = tree
        self.squashed = squashed  # the roots where root may not work, or all others
        self.listing = listing
        self.check = check
        self.until = until
        self.found = Found()
        self._no_xattrs: set[int] = set()  # devices
        self._renames: list[tuple[str, str, str]] = []  # of one directory: path, name, name to be

    def begin(self) -> deque[Job]:
        """The roots themselves."""
        waiting: deque[Job] = deque()
        for root in self.tree.roots:
            if root.squashed != self.squashed:
                continue
            place = self.tree.policy.of(root.path) if root.path else self.tree.policy.top
            if place.want is None:
                continue
            status = os.fstat(root.handle)
            self.found.entries += 1
            if stat.S_ISDIR(status.st_mode):
                self._directory(root.handle, root.path, place, status)
                waiting.append(Job(root, (), place))
            else:
                self._opened(root.handle, root.path, place, status, root.device)
        return waiting

    def note(self) -> None:
        """Have what this process changed in the journal."""
        if self.tree.journal:
            self.tree.journal.flush()
            self.found.unnoted = self.tree.journal.problem

    def work(self, taking: int, piles: Sequence[Sequence[Job]]) -> None:
        while True:
            number = os.read(taking, 4)
            if not number:
                return
            for job in piles[struct.unpack("=I", number)[0]]:
                self.deep(job)

    def descend(self, waiting: deque[Job]) -> None:
        """Look into the first directory that waits; its own go to the end."""
        job = waiting.popleft()
        handle = self._reopen(job)
        if handle < 0:
            return
        try:
            for name, place in self._list(handle, job.root, "/".join(_path(job)), job.place):
                below = self._enter(handle, name, place, job.root, "/".join((*_path(job), name)))
                if below is not None:
                    os.close(below)
                    waiting.append(Job(job.root, (*job.names, name), place))
        finally:
            os.close(handle)

    def deep(self, job: Job) -> None:
        """A directory and all below it. The stack holds what is open, and what waits in it."""
        handle = self._reopen(job)
        if handle < 0:
            return
        path = "/".join(_path(job))
        stack = [(handle, path, iter(self._list(handle, job.root, path, job.place)))]
        try:
            while stack:
                handle, path, inside = stack[-1]
                name, place = next(inside, (None, job.place))
                if name is None:
                    os.close(handle)
                    stack.pop()
                    continue
                below = self._enter(handle, name, place, job.root, f"{path}/{name}" if path else name)
                if below is None:
                    continue
                if len(stack) >= _DEEPEST:
                    os.close(below)
                    self.found.refuse(f"{path}/{name}", f"more than {_DEEPEST} levels deep; not looked into")
                    continue
                path = f"{path}/{name}" if path else name
                stack.append((below, path, iter(self._list(below, job.root, path, place))))
        finally:
            for left in stack:
                os.close(left[0])

    def _reopen(self, job: Job) -> int:
        """Come to a job's directory again; -1 when it has gone, or was exchanged for a link, meanwhile."""
        handle = os.dup(job.root.handle)
        for name in job.names:
            try:
                below = os.open(name, _DIRECTORY, dir_fd=handle)
            except OSError as problem:
                self._moved("/".join(_path(job)), problem)
                return -1
            finally:
                os.close(handle)
            handle = below
        status = os.fstat(handle)
        if self._elsewhere(status, job.root) and job.names:
            os.close(handle)
            return -1
        return handle

    def _elsewhere(self, status: os.stat_result, root: Root) -> str:
        """Why a directory is not part of this root."""
        here = (status.st_dev, status.st_ino)
        if here in self.tree.claimed:
            return "claimed"
        if status.st_dev != root.device or here in self.tree.mounted:
            return "another file system is mounted here; name it in roots to have it looked at"
        return ""

    def _enter(self, handle: int, name: str, place: Place, root: Root, path: str) -> int | None:
        """Open a directory and tighten it."""
        try:
            below = os.open(name, _DIRECTORY, dir_fd=handle)
        except OSError as problem:
            if problem.errno not in _DENIED or not self._claimed(handle, name):
                self._moved(path, problem)
            return None
        status = os.fstat(below)
        elsewhere = self._elsewhere(status, root)
        if elsewhere:
            os.close(below)
            if elsewhere != "claimed":
                self.found.refuse(path, elsewhere)
            return None
        self.found.entries += 1
        git = name == _GIT and place.kind != ""
        if git and self._keeps_git(below, path, status):
            os.close(below)
            return None
        self._directory(below, path, place, status)
        # Once more when the web user cannot enter it any more.
        if git and not self.check and self.tree.loose(status) and self._keeps_git(below, path, status):
            os.close(below)
            return None
        return below

    def _claimed(self, handle: int, name: str) -> bool:
        """Whether it is a root that is walked on its own."""
        try:
            status = os.stat(name, dir_fd=handle, follow_symlinks=False)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) in self.tree.claimed

    def _keeps_git(self, handle: int, path: str, before: os.stat_result) -> bool:
        """Does Git run here what the web user wrote? Then it stays that user's: Git refuses to work in it as root.

        ``before``: what the folder was like.
        """
        web = self.tree.order.web

        def theirs(status: os.stat_result) -> bool:
            return self.tree.loose(before if (status.st_dev, status.st_ino) == here else status)

        here = before.st_dev, before.st_ino
        try:
            found = permissions_vouch.git_runs(handle, theirs)
        except OSError as problem:
            found = [_words(problem)]
        if not found:
            return False
        status = os.fstat(handle)
        if status.st_uid != web or stat.S_IMODE(status.st_mode) != _GIT_MODE:
            self._set(handle, path, status, web, status.st_gid, _GIT_MODE)
        names = ", ".join(shown(name) for name in found[:_FEW_SETTINGS])
        self.found.refuse(path, f"Git would run what the web user could have set: {names}. {_GIT_ADVICE}")
        return True

    def _moved(self, path: str, problem: OSError) -> None:
        """What has gone is no fault. What was exchanged is left alone, and said."""
        if problem.errno == errno.ENOENT:
            return
        exchanged = problem.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO)
        self.found.refuse(path, "was exchanged while it was looked at" if exchanged else _words(problem))

    def _list(self, handle: int, root: Root, path: str, place: Place) -> list[tuple[str, Place]]:
        """Look at all files of a directory. Its directories come back."""
        found, below = self.found, []
        names = place.same_below
        child: Place = place
        acls = False
        entries = 0
        self._renames.clear()  # of a directory that could not be looked at to its end
        wrong = False  # where one file is, the next one mostly is too: it is opened at once then
        try:
            with os.scandir(handle) as listing:
                os.fchdir(handle)  # for the one call that has no descriptor-relative form
                if names:
                    modes, owned = place.modes, place.owned
                    acls = place.private and root.device not in self._no_xattrs
                for number, entry in enumerate(listing, 1):
                    if not number & 0xFFF:
                        self._in_time()
                        if number > _IN_ONE:
                            here = shown(path or self.tree.order.path)
                            why = f"{here} has more than {_IN_ONE:,} entries, or somebody fills it meanwhile."
                            found.unfinished = found.unfinished or why
                            break
                    entries += 1
                    if not names:
                        child = place.step(entry.name)
                        if child.want is None:
                            entries -= 1
                            continue
                        modes, owned = child.modes, child.owned
                        acls = child.private and root.device not in self._no_xattrs
                    if entry.is_dir(follow_symlinks=False):
                        entries -= 1  # counted when it is entered
                        below.append((entry.name, child))
                        continue
                    if wrong and entry.is_file(follow_symlinks=False):
                        wrong = self._file(handle, entry.name, path, child, root)
                    else:
                        try:
                            status = entry.stat(follow_symlinks=False)
                        except FileNotFoundError:
                            entries -= 1
                            continue
                        # Mode; then number of names, owner and group.
                        if status[0] in modes and status[3:6] == owned:
                            if acls and self._acls(entry.name, root.device):
                                self._file(handle, entry.name, path, child, root)
                            continue
                        wrong = self._wrong(handle, entry.name, path, child, status, root)
            if self._renames:
                self._rename(handle)
        except OSError as problem:
            self._moved(path, problem)
        found.entries += entries
        self._in_time()
        return below

    def _in_time(self) -> None:
        if time.monotonic() > self.until:
            raise PermsError(
                f"{shown(self.tree.order.path)} was not wholly looked at in time. Does somebody fill it meanwhile?"
            )

    # ------------------------------------------------------------------------------------------ what is not right

    def _wrong(self, handle: int, name: str, folder: str, place: Place, status: os.stat_result, root: Root) -> bool:
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFREG:
            return self._file(handle, name, folder, place, root)
        path = f"{folder}/{name}" if folder else name
        if kind == stat.S_IFLNK:
            self._link(handle, name, path, place, status)
        else:
            self._special(path, place, status, kind)
        return False

    def _file(self, handle: int, name: str, folder: str, place: Place, root: Root) -> bool:
        """Open a file and make it right. False when it was, or is no longer there."""
        try:
            opened = os.open(name, _FILE, dir_fd=handle)
        except OSError as problem:
            self._moved(f"{folder}/{name}" if folder else name, problem)
            return False
        try:
            status = os.fstat(opened)
            if status[0] in place.modes and status[3:6] == place.owned and not place.private:
                return False
            plain = status[3] == 1 and status[2] == root.device and stat.S_ISREG(status[0])
            path = f"{folder}/{name}" if folder else name
            if not (plain and place.simple and not self.check and self._simply(opened, path, place, status)):
                self._opened(opened, path, place, status, root.device, handle)
            return True
        finally:
            os.close(opened)

    def _simply(self, handle: int, path: str, place: Place, status: os.stat_result) -> bool:
        """What nearly every wrong file needs, in as few steps as can be right. False when that is not enough."""
        if place.want is None or len(self.found.samples) < _LISTED or (status[2], status[1]) in self.tree.mounted:
            return False
        if place.kind and (
            self.tree.planted(status, handle) or not status[0] & stat.S_IRUSR or status[0] == _QUARANTINE
        ):
            return False
        if self.tree.compares and place.kind:
            return False
        owner, group, mode = place.want.owner, place.want.group, place.want.file_mode
        was = status[0] & 0o7777
        given = status[4] != owner or status[5] != group
        try:
            if given:
                if _gain(was, mode):
                    os.fchmod(handle, was & mode)
                os.fchown(handle, owner, group)
            if was != mode:
                os.fchmod(handle, mode)
        except OSError:  # said by what comes after this
            return False
        if self.tree.journal:
            self.tree.journal.changed(path, status, (owner, group, mode))
        kinds = self.found.fixed
        if status[4] != owner:
            kinds["owner"] += 1
            self.found.taken += place.kind in _COMPILED
        if status[5] != group:
            kinds["group"] += 1
        if was != mode:
            kinds["mode"] += 1
            if was & 0o6000:
                kinds["setuid"] += 1
        if place.private or self._had_more(place.want, mode, was):
            self._lift_acls(handle, path, place.want, mode, status)
        return True

    def _open_now(self, handle: int, place: Place) -> bool:
        """Whether the web user can still move names in this directory. A check asks what would be."""
        if self.check:
            if place.want is None:
                raise AssertionError("only what has a rule is opened")
            want = place.want
            web = self.tree.order.web
            mode = want.directory_mode
            return want.owner == web or bool(
                mode & 0o002 or (mode & 0o020 and want.group in self.tree.order.web_groups)
            )
        return self.tree.loose(os.fstat(handle), handle)

    def _link(self, handle: int, name: str, path: str, place: Place, status: os.stat_result) -> None:
        """Its owner and mode mean nothing; where the web user's leads may be a trap."""
        web = self.tree.order.web
        if status.st_uid != web:
            return
        try:
            target = os.readlink(name, dir_fd=handle)
        except OSError:
            return
        leads = os.path.normpath(os.path.join("/", os.path.dirname(path), target))
        # Within the tree a path cannot climb above it.
        depth = 0
        for part in (os.path.dirname(path) + "/" + target).split("/"):
            depth += {"": 0, ".": 0, "..": -1}.get(part, 1)
            if depth < 0:
                break
        top = self.tree.order.path.rstrip("/") + "/"
        if target.startswith("/") or depth < 0:
            whole = os.path.normpath(target) if target.startswith("/") else f"..{leads}"
            if not f"{whole}/".startswith(top):
                self.found.refuse(path, f"a link of the web user's that leads out of the tree, to {shown(target)}")
                return
            leads = whole[len(top) - 1 :]
        want, there = place.want, self.tree.policy.of(leads.strip("/")).want
        if want and there and want.owner != web and there.owner == web:
            why = f"a link of the web user's that leads to what it can change, {shown(target)}"
            self.found.refuse(path, f"{why}; remove it, or, if it is right, chown -h root")

    def _special(self, path: str, place: Place, status: os.stat_result, kind: int) -> None:
        what = _NAMELESS.get(kind, "no file")
        want = place.want
        if want is None:
            raise AssertionError("only what has a rule is looked at")
        right = (status.st_uid, status.st_gid) == (want.owner, want.group)
        if kind in (stat.S_IFBLK, stat.S_IFCHR):
            self.found.refuse(path, "a device has no business here; remove it")
        elif not right or stat.S_IMODE(status.st_mode) & ~want.file_mode:
            self.found.refuse(path, f"{what}, left as it is ({rights(status)}); remove it if no program needs it")

    def _opened(
        self, handle: int, path: str, place: Place, status: os.stat_result, device: int, folder: int = -1
    ) -> None:
        """A file, through its descriptor."""
        want = place.want
        if want is None:
            return
        if not stat.S_ISREG(status.st_mode):
            self.found.refuse(path, "was exchanged while it was looked at")
            return
        if status.st_dev != device or (status.st_dev, status.st_ino) in self.tree.mounted:
            self.found.refuse(path, "another file is mounted here; left as it is")
            return
        if status.st_nlink != 1:
            key = (status.st_dev, status.st_ino)
            if status.st_nlink and (key in self.found.links or len(self.found.links) < _LINKS):
                movable = folder >= 0 and self._open_now(folder, place)
                kind = place.kind if self._suspect(handle, path, place.kind, status) else ""
                self.found.link(key, [status.st_nlink, 1, movable, [place.index], path, kind])
            elif status.st_nlink:
                self.found.refuse(path, "has several names, and too many files here have; left as it is")
            return
        what = self._suspect(handle, path, place.kind, status)
        if what:
            want = self._held(handle, path, place.kind, what, want, status)
        self.found.taken += place.kind in _COMPILED and status.st_uid != want.owner
        self._change(handle, path, want, status)

    def _suspect(self, handle: int, path: str, kind: str, status: os.stat_result) -> str:
        """What a file runs that the web user could have written, or that waits for somebody to look at it already.

        Empty for what is data, and for what something vouches for.
        """
        if _is_aside(path, status):  # whatever glob fits it by its new name
            return permissions_vouch.PHP
        if not kind or f"/{_GIT}/" in f"/{path}":  # what Git runs is looked at by itself
            return ""
        doubted = _is_doubted(status)
        waits = doubted or _mark(status) == ((_ASIDE if kind == "code" else _QUARANTINE), 0, 0)
        if not waits:
            if not self.tree.order.opened:
                return ""
            where_none_belongs = (
                kind == "foreign" and permissions_vouch.PHP_NAME.search(path) and self.tree.loose(status, handle)
            )
            if not where_none_belongs and not self._unvouched(handle, path, status):
                return ""
        what = permissions_vouch.runs(path, handle) or (permissions_vouch.STEERS if doubted else "")
        # What cannot run is given back by its path in acknowledged alone.
        return "" if what and (doubted or not waits) and self.tree.lists.vouch(path, handle) else what

    def _unvouched(self, handle: int, path: str, status: os.stat_result) -> bool:
        """Could the web user have written it, and does neither the release's package nor its history vouch for it?"""
        release = self.tree.lists.release if self.tree.loose(status, handle) else {}
        if release and status[9] < self.tree.order.opened:
            if path in release:
                return not self.tree.lists.vouch(path, handle)
            return not self.tree.has_own_history(path, status)
        return self.tree.planted(status, handle) and not self.tree.has_own_history(path, status)

    def _held(
        self, handle: int, path: str, kind: str, what: str, want: Want, status: os.stat_result, alone: bool = True
    ) -> Want:
        """What is done with such a file. ``alone``: it has one name."""
        if _is_aside(path, status):
            name, path = os.path.basename(path), path.removesuffix(ASIDE_NAME)
            if not self.tree.policy.of(path).kind:  # acknowledged
                self._renames.append((path, name, os.path.basename(path)))
                return want
            self._tell_held(path)
            return Want(0, 0, 0, stat.S_IMODE(_ASIDE))
        if self._is_needed(handle, path, kind, what, status):
            # Without one of its classes or templates the portal would be down, and no URL calls it: it is told only.
            self._name("doubtful", path)
            self.found.doubtful_total += 1
            if len(self.found.doubtful) < _LISTED:
                self.found.doubtful.append(shown(path))
            mode = want.file_mode
            if want.keep_x and status.st_mode & 0o100:
                mode = _executable(mode)
            return Want(0, want.group, 0, mode & ~_UNREAD)
        if not waits(path, status) and len(self.found.held) < _LISTED:
            self.found.held.append(shown(path))
        if kind != "code" and not path.endswith(_HTACCESS):
            self._tell_held(path)
            return Want(0, 0, 0, stat.S_IMODE(_QUARANTINE))
        if alone:
            name = os.path.basename(path)
            self._renames.append((path, name, name + ASIDE_NAME))
        self._tell_held(path)
        return Want(0, 0, 0, stat.S_IMODE(_ASIDE))

    def _is_needed(self, handle: int, path: str, kind: str, what: str, status: os.stat_result) -> bool:
        """Could the portal be down without this file? What waits as such a one already goes on to."""
        if _is_doubted(status):
            return True
        if _mark(status) in _MARKS:
            return False
        if path in _FRONT or (kind in _COMPILED and self.tree.is_weak(handle, status)):
            return True
        if what == permissions_vouch.HANDLER:
            return path == f"public/{_HTACCESS}"  # the addresses of Chamilo rest on it
        if what == permissions_vouch.PHP and kind == "code":
            return not permissions_vouch.PHP_NAME.search(path) or self.tree.release.needs(path, status)
        if what != permissions_vouch.PHP or path.endswith((".tpl", ".twig")):
            return True
        return kind == "program" and self.tree.is_tracked(path, handle)

    def _tell_held(self, path: str) -> None:
        self._name("quarantined", path)
        self.found.quarantined_total += 1
        if len(self.found.quarantined) < _LISTED:
            self.found.quarantined.append(shown(path))

    def _name(self, what: str, path: str) -> None:
        """By its mark the next run knows it all the same, and names it then."""
        if not self.listing.name(what, path):
            self.found.unnamed += 1
            self.found.unnamed_why = self.listing.problem

    def _rename(self, handle: int) -> None:
        """In a directory that was looked at. A name that is taken meanwhile is left to whoever took it."""
        for path, old, new in self._renames if not self.check else ():
            try:
                if old.endswith(ASIDE_NAME):
                    os.link(old, new, src_dir_fd=handle, dst_dir_fd=handle, follow_symlinks=False)
                    os.unlink(old, dir_fd=handle)
                else:
                    os.rename(old, new, src_dir_fd=handle, dst_dir_fd=handle)
                if self.tree.journal:
                    self.tree.journal.renamed(path, old, new)
            except OSError as problem:
                self.found.refuse(path, f"cannot be renamed to {shown(new)}: {_words(problem)}")
        self._renames.clear()

    def _directory(self, handle: int, path: str, place: Place, status: os.stat_result) -> None:
        want = place.want
        if want is None:
            return
        if want.owner != self.tree.order.web or place.private:
            self._lift_acls(handle, path, want, want.directory_mode, status)
        right = (want.owner, want.group, want.directory_mode)
        if (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) != right:
            self._set(handle, path, status, want.owner, want.group, want.directory_mode)

    def _change(self, handle: int, path: str, want: Want, status: os.stat_result) -> None:
        mode = want.file_mode
        if want.keep_x and status.st_mode & 0o100:
            mode = _executable(mode)
        if (mode >> 3 & ~mode & 7) or self._had_more(want, mode, status.st_mode):
            self._lift_acls(handle, path, want, mode, status)
        if (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) != (want.owner, want.group, mode):
            self._set(handle, path, status, want.owner, want.group, mode)

    def _set(self, handle: int, path: str, status: os.stat_result, owner: int, group: int, mode: int) -> None:
        was = stat.S_IMODE(status.st_mode)
        given = (status.st_uid, status.st_gid) != (owner, group)
        try:
            if self.check:
                self._would(handle)
            else:
                if given and _gain(was, mode):
                    os.fchmod(handle, was & mode)
                if given:
                    os.fchown(handle, owner, group)
                os.fchmod(handle, mode)
        except OSError as problem:
            if problem.errno == errno.EROFS:
                raise PermsError(
                    f"{shown(self.tree.order.path)}: {shown(path) or 'it'} is on a read-only file system."
                ) from problem
            self.found.refuse(path, self._why(handle, problem))
            return
        if self.tree.journal:
            self.tree.journal.changed(path, status, (owner, group, mode))
        kinds = self.found.fixed
        kinds["owner"] += status.st_uid != owner
        kinds["group"] += status.st_gid != group
        kinds["mode"] += was != mode
        kinds["setuid"] += stat.S_ISREG(status.st_mode) and bool(was & 0o6000)
        if len(self.found.samples) < _LISTED:
            after = f"{_who(owner, group)} {mode:04o}"
            self.found.samples.append({"path": shown(path) or ".", "before": rights(status), "after": after})

    @staticmethod
    def _would(handle: int) -> None:
        """Raise what a change would."""
        if os.fstatvfs(handle).f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        if _flags(handle) & _IMMUTABLE:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    @staticmethod
    def _why(handle: int, problem: OSError) -> str:
        if problem.errno == errno.EPERM and _flags(handle) & _IMMUTABLE:
            return "is immutable; chattr -i -a lets it be changed"
        return _words(problem)

    def _acls(self, file: str | int, device: int) -> list[str]:
        """The ACLs there are, those first that new files inherit. By name only to look."""
        if device in self._no_xattrs:
            return []
        try:
            names = os.listxattr(file) if isinstance(file, int) else os.listxattr(file, follow_symlinks=False)
        except OSError as problem:
            if problem.errno == errno.ENOTSUP:
                self._no_xattrs.add(device)
            return []
        return [name for name in acl.BOTH if name in names] if names else []

    def _had_more(self, want: Want, mode: int, was: int) -> bool:
        """Could an ACL have given more so far? The group's bits of a mode are all that it can give."""
        return want.owner != self.tree.order.web and bool(was & ~mode & 0o070)

    def _lift_acls(self, handle: int, path: str, want: Want, mode: int, status: os.stat_result) -> None:
        """Remove what gives rights that the mode does not show. In data it is told: somebody wanted it."""
        for name in self._acls(handle, status.st_dev):
            if want.owner == self.tree.order.web:
                self.found.refuse(path, "has an ACL, which may give rights to others; setfacl -b removes it")
                return
            try:
                value = os.getxattr(handle, name)
                if not acl.gives_more(value, mode):
                    continue
                if self.check:
                    self._would(handle)
                else:
                    os.removexattr(handle, name)
            except OSError as problem:
                self.found.refuse(path, f"has an ACL that cannot be removed: {self._why(handle, problem)}")
                continue
            if self.tree.journal and not self.check:
                self.tree.journal.lifted(path, status, name, value)
            self.found.fixed["acl"] += 1
            if len(self.found.samples) < _LISTED:
                before = f"{rights(status)} with an ACL ({name.rpartition('_')[2]})"
                self.found.samples.append({"path": shown(path) or ".", "before": before, "after": rights(status)})

    def settle_links(self) -> None:
        """Files with several names, once all names have been counted."""
        wants = list(self.tree.policy.wants)
        for key, (there, met, movable, indexes, path, kind) in sorted(self.found.links.items()):
            if met != there:
                self.found.refuse(path, f"has {there} names, and {there - met} of them not in this tree")
                continue
            if kind:
                indexes = indexes[:1]
            if len(indexes) > 1:
                self.found.refuse(path, "has several names, for which different rules hold")
                continue
            self._settle(key, there, movable, wants[indexes[0]], path, kind)

    def _settle(self, key: tuple[int, int], there: int, movable: bool, want: Want, path: str, kind: str) -> None:
        try:
            handle = self.tree.open_below(path)
        except OSError as problem:
            self._moved(path, problem)
            return
        try:
            status = os.fstat(handle)
            if (status.st_dev, status.st_ino) != key or status.st_nlink != there:
                self.found.refuse(path, "was exchanged while it was looked at")
            elif movable and status.st_uid != self.tree.order.web and not (kind and waits(path, status)):
                # Whoever can move a name can have it counted twice, and hide one that is elsewhere.
                self.found.refuse(path, "has several names where the web user can move them")
            else:
                if kind:
                    what = permissions_vouch.runs(path, handle)
                    want = self._held(handle, path, kind, what, want, status, alone=False)
                self._change(handle, path, want, status)
        except OSError as problem:
            self._moved(path, problem)
        finally:
            os.close(handle)


def _is_aside(path: str, status: os.stat_result) -> bool:
    return _mark(status) == (_ASIDE, 0, 0) and path.endswith(ASIDE_NAME)


def waits(path: str, status: os.stat_result) -> str:
    """What a file is marked as until somebody has looked at it; empty where it is not."""
    if _is_doubted(status):
        return DOUBTFUL
    held = _is_aside(path, status) or _mark(status) == (_QUARANTINE, 0, 0)
    return QUARANTINED if held else ""


def _mark(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mode, status.st_uid, status.st_gid


def _is_doubted(status: os.stat_result) -> bool:
    """The mark of PHP that runs on and waits for somebody to look at it, in whatever profile it got it."""
    return status.st_uid == 0 and status.st_mode & 0o7600 == 0o200 and _mark(status) != (_ASIDE, 0, 0)


def _gain(was: int, mode: int) -> int:
    """What a new owner and group must not hold, for a moment, because only the old ones had it."""
    return was & ~mode & ~((was & 7) * 0o110) & 0o770


def _path(job: Job) -> tuple[str, ...]:
    return (job.root.path, *job.names) if job.root.path else job.names


def _below(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(f"{folder}/")


def _words(problem: OSError) -> str:
    return problem.strerror or str(problem)


def _flags(handle: int) -> int:
    try:
        return int(struct.unpack("=I", fcntl.ioctl(handle, _FS_IOC_GETFLAGS, b"\0" * 8)[:4])[0])
    except OSError:  # a file system without such flags
        return 0


def rights(status: os.stat_result) -> str:
    return f"{_who(status.st_uid, status.st_gid)} {stat.S_IMODE(status.st_mode):04o}"


@functools.lru_cache(maxsize=1024)
def _who(owner: int, group: int) -> str:
    try:
        user = pwd.getpwuid(owner).pw_name
    except KeyError:
        user = str(owner)
    try:
        return f"{user}:{grp.getgrgid(group).gr_name}"
    except KeyError:
        return f"{user}:{group}"


# ---------------------------------------------------------------------------------------- what an administrator gives

# Where Chamilo's own PHP lies below public/; courses of some sites have pages of their own.
_PROGRAMS = (
    "public/main",
    "public/plugin",
    "public/certificates/index.php",
    "public/custompages",
    "public/index.php",
    "public/check.php",
    "public/courses.php",
    "public/load_search.php",
)


def order(
    given: Mapping[str, Any], profile: str, opened: float = math.inf, called: Mapping[str, str] | None = None
) -> Order:
    """Names to numbers, texts to modes. What does not fit is refused with its value.

    ``called``: how whoever gave an option knows it, where that is not the option's own name.
    """
    names = {name: (called or {}).get(name, name) for name in given}
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
    for name in ("exclude", "roots", "acknowledged"):
        for pattern in given.get(name) or ():
            below_path(names[name], pattern)
    made = Order(
        path,
        (*own, *built_in(profile, owner, group, account.pw_uid)),
        account.pw_uid,
        frozenset(os.getgrouplist(account.pw_name, account.pw_gid)),
        tuple(given.get("exclude") or ()),
        tuple(part.strip("/") for part in given.get("roots") or ()),
        _PROGRAMS,
        tuple(given.get("acknowledged") or ()),
        opened if profile == "production" else 0,
    )
    return replace(made, roots=(*made.roots, *_disks(made)))


def _disks(order: Order) -> Iterator[str]:
    """File systems of their own on which data of the web user's lies, as a disk or an NFS share for var/upload."""
    policy = Policy(order)
    starts = {os.path.realpath(os.path.join(order.path, part)): part for part in ("", *order.roots)}
    users = served_by_users()
    for point in sorted(mounts()):
        real = max((start for start in starts if point.startswith(f"{start}/")), key=len, default="")
        if not real or point in users:
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
        raise PermsError(f"{where} is {given!r}, which lets everybody on this host write.")
    return mode
