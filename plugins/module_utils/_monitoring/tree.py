# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One walk over the project directory for all checks of owners and modes. It opens no file.

It follows only links that make directories part of the site, or give them a web address.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field

from .._application.observer import Observer, Unseen
from .._common import acl
from .._common.paths import shown

_SAMPLES = 3
_READ, _ENTER = 4, 1
KEPT = 12  # paths of one kind that are named
_ELSEWHERE = 20_000  # entries of another tree, or behind a link below public/
_MANY = 200_000  # hard links that are remembered

CODE, BIN, VAR, CONFIG, ENV = "code", "bin", "var", "config", "env"

# What people leave below a web root and forget.
_LEFT = (".sql", ".sql.gz", ".dump", ".bak", ".old", ".orig", ".save", ".swp", ".tar.gz", ".tgz", "~")


@dataclass(frozen=True)
class Identity:
    """A user with all its groups."""

    name: str
    user: int
    groups: frozenset[int]

    def may(self, bit: int, mode: int, owner: int, group: int) -> bool:
        """``bit``: 4 to read, 2 to write. As the kernel decides: the first class that fits counts."""
        if owner == self.user:
            return bool(mode >> 6 & bit)
        return bool((mode >> 3 if group in self.groups else mode) & bit)

    def controls(self, mode: int, owner: int, group: int) -> bool:
        """May write by the mode alone, or give itself the right to."""
        return owner == self.user or self.may(2, mode, owner, group)

    def changes(self, where: int | str, status: os.stat_result) -> bool:
        """As ``controls``, with what an ACL gives to an open file, or to what lies at a path.

        The group's bits of the mode are the most that it can give.
        """
        if self.controls(status.st_mode, status.st_uid, status.st_gid):
            return True
        given = acl.access(where) if status.st_mode & 0o020 and not stat.S_ISLNK(status.st_mode) else None
        return given is not None and given.writable_by(self.user, self.groups)


@dataclass
class Tally:
    """How many there are, and the first few. Names that could harm a terminal or a report are escaped."""

    count: int = 0
    samples: list[str] = field(default_factory=list)

    def add(self, path: str) -> None:
        self.count += 1
        if len(self.samples) < _SAMPLES:
            self.samples.append(shown(path))

    def report(self, what: str) -> str:
        """``1,204 entries WHAT, for example var/x``"""
        entries = "1 entry" if self.count == 1 else f"{self.count:,} entries"
        return f"{entries} {what}, for example {', '.join(self.samples)}"


@dataclass
class Seen:
    """What the walk found. Paths are relative to the project directory."""

    entries: int = 0
    unread: Tally = field(default_factory=Tally)  # directories this user may not read
    every_address: Tally = field(default_factory=Tally)  # writable by all users
    code_writable: Tally = field(default_factory=Tally)  # the web user can change it
    code_owner: Tally = field(default_factory=Tally)
    code_mode: Tally = field(default_factory=Tally)  # more than 755 and 644
    code_acl: Tally = field(default_factory=Tally)  # an ACL gives more
    config_writable: Tally = field(default_factory=Tally)
    config_acl: Tally = field(default_factory=Tally)
    var_others: Tally = field(default_factory=Tally)  # any right for others
    var_owner: Tally = field(default_factory=Tally)  # not of the user PHP runs as
    setuid: Tally = field(default_factory=Tally)
    devices: Tally = field(default_factory=Tally)
    links_out: Tally = field(default_factory=Tally)
    links_writable: Tally = field(default_factory=Tally)  # from the program to what the web user can change
    links_given_away: Tally = field(default_factory=Tally)  # below public/, to what has no web address
    hard_links: Tally = field(default_factory=Tally)
    public_writable: list[str] = field(default_factory=list)  # directories below public/ that the web user can change
    public_writable_count: int = 0  # how many of them there are
    public_unread: list[str] = field(default_factory=list)  # links below public/ behind which not all could be seen
    left: list[str] = field(default_factory=list)  # forgotten copies below public/
    templates: list[str] = field(default_factory=list)  # sources of templates below public/
    stored: list[str] = field(default_factory=list)  # some files in var/


def identity(name: str) -> Identity:
    try:
        entry = pwd.getpwnam(name)
    except KeyError as problem:
        raise Unseen(f"the user {name}, as whom the site runs, does not exist on this host") from problem
    return Identity(name, entry.pw_uid, frozenset(os.getgrouplist(name, entry.pw_gid)))


def php_user(observer: Observer) -> Identity:
    if not observer.site.php.user:
        raise Unseen("the user PHP runs as could not be found")
    return identity(observer.site.php.user)


def web_users(observer: Observer) -> tuple[Identity, ...]:
    """The users that serve visitors: PHP, and the web server where it runs as another user."""
    names = [observer.site.php.user, observer.site.web.user]
    found = tuple(identity(name) for name in dict.fromkeys(names) if name)
    if not found:
        raise Unseen("neither a web server nor PHP was found, so it is not known as whom they would run")
    return found


def owners(observer: Observer) -> frozenset[int]:
    """Who may own the program: root, the declared owner, or the deploy user to whom the project directory belongs."""
    web = {user.user for user in web_users(observer)}
    found = {0, os.stat(observer.root).st_uid}
    try:
        found.add(pwd.getpwnam(str(observer.options["owner"])).pw_uid)
    except KeyError:
        pass  # a declared owner that is not there owns nothing
    return frozenset(found - web)


def tree(observer: Observer) -> Seen:
    """Walk the project directory once."""
    return _Walk(os.path.realpath(observer.root), web_users(observer), php_user(observer), owners(observer)).go()


def can_read(who: Identity, path: str) -> bool:
    """Whether the account can open the file: by the mode of the file, and of every directory above it."""
    desired = _READ
    path = os.path.realpath(path)
    while True:
        try:
            status = os.stat(path)
        except OSError:
            return False
        if not who.may(desired, status.st_mode, status.st_uid, status.st_gid):
            return False
        if path == "/":
            return True
        path, desired = os.path.dirname(path), _ENTER


def writable_directories(root: str, users: Iterable[Identity]) -> tuple[list[str], bool]:
    """The topmost directories below a web root that a web user can change, and whether all could be seen.

    As web addresses lead there: through links too, but in no circle.
    """
    users = tuple(users)
    found: list[str] = []
    pending, entries, whole = [(root, frozenset([os.path.realpath(root)]))], 0, True
    while pending:
        directory, behind = pending.pop()
        try:
            status = os.stat(directory)
            if any(user.changes(directory, status) for user in users):
                found.append(directory)
                continue
            with os.scandir(directory) as listed:
                for entry in listed:
                    entries += 1
                    if entry.is_dir(follow_symlinks=False):
                        pending.append((entry.path, behind))
                    elif entry.is_symlink() and os.path.isdir(entry.path):
                        target = os.path.realpath(entry.path)
                        if target not in behind:
                            pending.append((entry.path, behind | {target}))
        except OSError:
            whole = False
        if entries > _ELSEWHERE:
            return sorted(found), False
    return sorted(found), whole


def changeable(path: str, users: Iterable[Identity]) -> bool:
    """Whether one of the users can change or exchange what is there, or make it where there is nothing."""
    users = tuple(users)
    exchanged = False
    path = os.path.realpath(path)
    while True:
        try:
            status = os.stat(path)
        except OSError:
            exchanged = False  # in a sticky directory too, something can be made
        else:
            kept = exchanged and status.st_mode & stat.S_ISVTX
            if any(user.user == status.st_uid for user in users):
                return True
            if not kept and any(user.changes(path, status) for user in users):
                return True
            exchanged = True
        if path == "/":
            return False
        path = os.path.dirname(path)


class _Walk:
    def __init__(self, root: str, users: tuple[Identity, ...], php: Identity, rightful: frozenset[int]) -> None:
        self.root = root
        self.var = os.path.realpath(os.path.join(root, "var"))
        self.users = users
        self.php = php
        self.rightful = rightful
        self.seen = Seen()
        # A tree has few combinations of area, mode, owner and group: each is judged once.
        self._verdicts: dict[tuple[str, int, int, int], tuple[Tally, ...]] = {}
        self._names: dict[tuple[int, int], list[int]] = {}  # a file with several names -> names there are, names seen
        self._first_name: dict[tuple[int, int], str] = {}

    def go(self) -> Seen:
        # Directory, its path below the root, area, may the web user put things there.
        top = os.stat(self.root)
        self._acls(self.root, ".", CODE, top)
        pending = [(self.root, "", CODE, self._controlled(self.root, top))]
        while pending:
            directory, below, area, open_ = pending.pop()
            try:
                listed = self._listed(directory)
            except OSError:
                self.seen.unread.add(below or ".")
                continue
            for entry, status in listed:
                path = f"{below}/{entry.name}" if below else entry.name
                if status is None:
                    self.seen.unread.add(path)
                    continue
                self.seen.entries += 1
                here = area if below else _area(entry.name)
                if stat.S_ISLNK(status.st_mode):  # its owner and mode mean nothing
                    pending += self._link(entry.path, path, here, open_, status, top=not below)
                    continue
                if stat.S_ISDIR(status.st_mode):
                    controlled = self._directory(entry.path, path, open_, status)
                    pending.append(
                        (entry.path, path, BIN if entry.name == "bin" and here == CODE else here, controlled)
                    )
                else:
                    self._file(path, here, open_, status)
                for tally in self._judge(here, status):
                    tally.add(path)
                self._acls(entry.path, path, here, status)
        for key, (there, found) in self._names.items():
            if found < there:
                self.seen.hard_links.add(self._first_name[key])
        return self.seen

    def _listed(self, directory: str) -> list[tuple[os.DirEntry[str], os.stat_result | None]]:
        """The entries of a directory; as PHP's user where root may not read it, as on NFS with root_squash."""
        try:
            return _entries(directory)
        except PermissionError:
            if os.geteuid() != 0:
                raise
        os.seteuid(self.php.user)
        try:
            return _entries(directory)
        finally:
            os.seteuid(0)

    def _controlled(self, full: str, status: os.stat_result) -> bool:
        return any(user.changes(full, status) for user in self.users)

    def _acls(self, full: str, path: str, area: str, status: os.stat_result) -> None:
        """What gives rights that no mode shows. It gives no more than the group's bits of the mode."""
        directory = stat.S_ISDIR(status.st_mode)
        secret = area == CONFIG
        if area in (VAR, ENV) or not (directory or stat.S_ISREG(status.st_mode)):
            return
        allowed = 0o750 if secret else 0o755
        try:
            given = acl.access(full) if secret or status.st_mode & 0o020 else None
            passed_on = acl.inherited(full) if directory else None
        except OSError:
            self.seen.unread.add(path)
            return
        if any(one and one.exceeds(allowed) for one in (given, passed_on)):
            (self.seen.config_acl if area == CONFIG else self.seen.code_acl).add(path)
        if passed_on and passed_on.others & 2:
            self.seen.every_address.add(path)

    def _by_mode(self, status: os.stat_result) -> bool:
        return any(user.controls(status.st_mode, status.st_uid, status.st_gid) for user in self.users)

    def _judge(self, area: str, status: os.stat_result) -> tuple[Tally, ...]:
        key = (area, status.st_mode, status.st_uid, status.st_gid)
        if key not in self._verdicts:
            self._verdicts[key] = tuple(self._verdict(area, status.st_mode, status))
        return self._verdicts[key]

    def _verdict(self, area: str, mode: int, status: os.stat_result) -> Iterable[Tally]:
        seen = self.seen
        directory = stat.S_ISDIR(mode)
        if mode & 0o002:
            yield seen.every_address
        if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
            yield seen.setuid
        if stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
            yield seen.devices
        if area == VAR:
            if mode & 0o007:
                yield seen.var_others
            if status.st_uid != self.php.user:
                yield seen.var_owner
        elif area == CONFIG and self._by_mode(status):
            yield seen.config_writable
        elif area in (CODE, BIN):
            if self._by_mode(status):
                yield seen.code_writable
            if status.st_uid not in self.rightful:
                yield seen.code_owner
            allowed = 0o755 if directory or area == BIN else 0o644
            if mode & 0o777 & ~allowed:
                yield seen.code_mode

    def _link(
        self, full: str, path: str, area: str, open_: bool, status: os.stat_result, top: bool
    ) -> list[tuple[str, str, str, bool]]:
        target = os.path.realpath(full)
        if top and status.st_uid in self.rightful and os.path.isdir(target):
            # A shared var/ or config/ behind a link of the administrator's: part of the site.
            insider = os.stat(target)
            for tally in self._judge(area, insider):
                tally.add(path)
            self._acls(target, path, area, insider)
            return [(target, path, area, self._controlled(target, insider))]
        if path.startswith("public/") and not open_ and os.path.isdir(target):
            self._public_link(full, path)
        if path.startswith("public/") and self._gives_away(target):
            self.seen.links_given_away.add(path)
            return []
        theirs = open_ or status.st_uid in {user.user for user in self.users}
        if theirs and not f"{target}/".startswith(f"{self.root}/"):
            self.seen.links_out.add(path)
        elif area != VAR and self._leads_to_data(target, path, status):
            self.seen.links_writable.add(path)
        return []

    def _gives_away(self, target: str) -> bool:
        """Whether a web address for it is one for secrets of the program: they lie there, or below."""
        if f"{self.root}/".startswith(f"{target.rstrip('/')}/"):
            return True
        first = os.path.relpath(target, self.root).partition("/")[0]
        return first == ".git" or _area(first) in (ENV, CONFIG)

    def _public_link(self, full: str, path: str) -> None:
        """What the web user can change behind it has a web address."""
        found, whole = writable_directories(full, self.users)
        for directory in found:
            self._web_writable(f"{path}{directory[len(full) :]}")
        if not whole:
            self._keep(self.seen.public_unread, path)

    def _web_writable(self, path: str) -> None:
        self.seen.public_writable_count += 1
        self._keep(self.seen.public_writable, path)

    def _leads_to_data(self, target: str, path: str, status: os.stat_result) -> bool:
        """Whether the web user can change the target of a link in the program."""
        if f"{target}/".startswith(f"{self.root}/") and not f"{target}/".startswith(f"{self.var}/"):
            return False  # it is judged where it lies, as what links of Symfony's lead to
        if os.path.isdir(target) and status.st_uid in self.rightful and path.startswith("public/"):
            return False  # a directory for uploads that the administrator has elsewhere
        return changeable(target, self.users)

    def _directory(self, full: str, path: str, open_: bool, status: os.stat_result) -> bool:
        controlled = self._controlled(full, status)
        if controlled and (path == "public" or (path.startswith("public/") and not open_)):
            self._web_writable(path)
        return controlled

    def _file(self, path: str, area: str, open_: bool, status: os.stat_result) -> None:
        if status.st_nlink > 1 and stat.S_ISREG(status.st_mode) and (open_ or area == VAR):
            key = (status.st_dev, status.st_ino)
            if key in self._names:
                self._names[key][1] += 1
            elif len(self._names) < _MANY:
                self._names[key] = [status.st_nlink, 1]
                self._first_name[key] = path
        if not status.st_size:
            return
        if path.startswith("public/"):
            name = path.rpartition("/")[2]
            if name.startswith(".env") or name.endswith(_LEFT):
                self._keep(self.seen.left, path)
            elif name.endswith((".tpl", ".twig")):
                self._keep(self.seen.templates, path)
        elif path.startswith(("var/log/", "var/upload/")):
            self._keep(self.seen.stored, path)

    @staticmethod
    def _keep(some: list[str], path: str) -> None:
        if len(some) < KEPT:
            some.append(path)


def _entries(directory: str) -> list[tuple[os.DirEntry[str], os.stat_result | None]]:
    """Each entry and what it is; None for one that cannot be seen."""
    found: list[tuple[os.DirEntry[str], os.stat_result | None]] = []
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            try:
                found.append((entry, entry.stat(follow_symlinks=False)))
            except FileNotFoundError:  # it has gone meanwhile
                continue
            except OSError:
                found.append((entry, None))
    return found


def _area(name: str) -> str:
    if name.startswith(".env"):
        return ENV
    return {"var": VAR, "config": CONFIG}.get(name, CODE)
