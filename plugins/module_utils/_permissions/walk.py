# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Owner, group and mode of a whole tree as one policy, in one pass, safe against concurrent modification.

A directory is opened relative to the one above it, tightened, and only then listed; entries with wrong rights are
opened and changed through that descriptor. No name is resolved twice and believed to be the same thing, no link below
the start is followed, and a file that has a name elsewhere as well is left alone. A correct entry costs one stat.
"""

from __future__ import annotations

import contextlib
import os
import resource
import stat
import struct
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common.paths import DIRECTORY, shown
from .aside import Aside
from .change import Work
from .entries import Entries
from .found import LISTED, Found
from .journal import Journal
from .policy import GIT, GIT_MODE, Order, PermsError, Place
from .tree import DENIED, Root, Tree, as_web

if TYPE_CHECKING:
    from .pages import Pages

_ENOUGH = 192  # directories that wait: from here on several processes share them
_PROCESSES = 4
_NEAR = 8  # levels
_DEEPEST = 800  # levels; each keeps a descriptor open
_IN_ONE = 5_000_000  # entries of one directory
_SECONDS = 3600.0  # against a user who creates files faster than they are checked
_GIT_ADVICE = (
    "the web user could write what Git runs, so it stays that user's, and Git refuses to work there as root. Read its "
    "config and hooks/, then chown -R it to the owner of the program"
)
_FEW = 5


def run(
    order: Order,
    check: bool = False,
    processes: int = 0,
    patience: float = _SECONDS,
    aside: Aside | None = None,
    partly: bool = False,
    pages: Pages | None = None,
    state: str = "",
) -> Found:
    """Apply the order to the tree, or with ``check`` predict the changes.

    ``aside``: what an earlier version disabled, and what of it is to be used again. ``partly``: a problem of one of
    the roots is raised after the others were checked, and not before anything changes. ``pages``: of the portal; where
    one fails afterwards, all is rolled back. ``state``: a directory of root, for what changed until then.
    """
    if os.geteuid() != 0:
        raise PermsError("Only root can change the owner of files; run it as root (become: true).")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _DEEPEST + 200:
        desired = _DEEPEST + 200 if hard == resource.RLIM_INFINITY else min(hard, _DEEPEST + 200)
        resource.setrlimit(resource.RLIMIT_NOFILE, (desired, hard))
    with contextlib.ExitStack() as open_now:
        journal = None
        if pages and not check:
            journal = open_now.enter_context(contextlib.closing(Journal(state, order.web)))
            pages.probe()
        with contextlib.closing(Tree(order, partly, check, journal)) as tree:
            until = time.monotonic() + patience
            work = Work(tree, check, until, aside or Aside())
            found = _walked(_Walk(work), processes)
            if any(root.squashed for root in tree.roots):
                with as_web(order):
                    found.add(_walked(_Walk(Work(tree, check, until, work.aside), squashed=True), 1))
            unfinished = tree.unfinished or found.unfinished
            if pages and journal and found.changed:
                _prove(tree, found, pages, journal)
        if unfinished:
            raise PermsError(unfinished)
    for kept in (found.refused, found.samples):
        kept.sort(key=lambda one: one["path"])
        del kept[LISTED:]
    return found


def _prove(tree: Tree, found: Found, pages: Pages, journal: Journal) -> None:
    """See that the portal works as before. Where it does not, roll back what changed, and raise which file it was."""
    broken = pages.broken()
    if not broken:
        return
    journal.problem = journal.problem or found.unnoted
    failed = journal.roll_back(tree.open_below)
    still = pages.broken()
    reported = [f"The portal's health check failed: {broken}. The owners and modes of this run were rolled back."]
    reported += [f"Could not be rolled back: {'; '.join(failed[:_FEW])}."] if failed else []
    reported += [f"The check fails even so: {still}. Search for another cause as well."] if still else []
    some = "; ".join(f"{one['path']} ({one['before']} to {one['after']})" for one in found.samples[:_FEW])
    reported.append(f"It had changed {some}. Check web_user, group and policy, and run again.")
    raise PermsError(" ".join(reported))


def _walked(walk: _Walk, processes: int) -> Found:
    back = os.open(".", os.O_PATH)
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
        walk.entries.settle_links()
    finally:
        os.fchdir(back)
        os.close(back)
    return walk.at.found


@dataclass(frozen=True)
class Job:
    """A directory that waits: its path from its root, and the rules that apply there."""

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
                walk.at.found = Found()
                walk.work(taking, piles)
                walk.note()
                output = walk.at.found.to_json()
                code = 0
            except BaseException as problem:  # the parent reports it
                output = str(problem) if isinstance(problem, PermsError) else f"{type(problem).__name__}: {problem}"
            finally:
                with os.fdopen(writing, "w", encoding="utf-8", errors="backslashreplace") as answer:
                    answer.write(output)
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
                output = answer.read()
            if os.waitpid(child, 0)[1]:
                failed.append(output or "it was killed")
            elif not failed:
                walk.at.found.add(Found.from_json(output))
    if failed:
        raise PermsError(f"{shown(walk.at.tree.order.path)}: not all of it was checked: {failed[0]}")


class _Walk:
    """One process on its way through the tree. ``squashed``: the roots where root may not work, or all others."""

    def __init__(self, work: Work, squashed: bool = False) -> None:
        self.at = work
        self.squashed = squashed
        self.entries = Entries(work)

    def begin(self) -> deque[Job]:
        """The roots themselves."""
        waiting: deque[Job] = deque()
        for root in self.at.tree.roots:
            if root.squashed != self.squashed:
                continue
            place = self.at.tree.policy.of(root.path) if root.path else self.at.tree.policy.top
            if place.want is None:
                continue
            status = os.fstat(root.handle)
            self.at.found.entries += 1
            if stat.S_ISDIR(status.st_mode):
                self.entries.changes.directory(root.handle, root.path, place, status)
                waiting.append(Job(root, (), place))
            else:
                self.entries.opened(root.handle, root.path, place, status, root.device)
        return waiting

    def note(self) -> None:
        """Have what this process changed in the journal."""
        if self.at.tree.journal:
            self.at.tree.journal.flush()
            self.at.found.unnoted = self.at.tree.journal.problem

    def work(self, taking: int, piles: Sequence[Sequence[Job]]) -> None:
        while True:
            number = os.read(taking, 4)
            if not number:
                return
            for job in piles[struct.unpack("=I", number)[0]]:
                self.deep(job)

    def descend(self, waiting: deque[Job]) -> None:
        """Process the first directory that waits; its subdirectories are appended."""
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
        """A directory and all below it. The stack has the open directories and their waiting subdirectories."""
        handle = self._reopen(job)
        if handle < 0:
            return
        stack: list[tuple[int, str, Iterator[tuple[str, Place]]]] = []
        try:
            self._down(stack, handle, job.root, "/".join(_path(job)), job.place)
            while stack:
                handle, path, insider = stack[-1]
                name, place = next(insider, (None, job.place))
                if name is None:
                    os.close(handle)
                    stack.pop()
                    continue
                below = self._enter(handle, name, place, job.root, f"{path}/{name}" if path else name)
                if below is None:
                    continue
                if len(stack) >= _DEEPEST:
                    os.close(below)
                    self.at.found.refuse(f"{path}/{name}", f"more than {_DEEPEST} levels deep; not checked")
                    continue
                self._down(stack, below, job.root, f"{path}/{name}" if path else name, place)
        finally:
            for left in stack:
                os.close(left[0])

    def _down(
        self,
        stack: list[tuple[int, str, Iterator[tuple[str, Place]]]],
        handle: int,
        root: Root,
        path: str,
        place: Place,
    ) -> None:
        stack.append((handle, path, iter(())))  # it is closed also where it cannot be listed
        stack[-1] = (handle, path, iter(self._list(handle, root, path, place)))

    def _reopen(self, job: Job) -> int:
        """Come to a job's directory again; -1 when it has gone, or was exchanged for a link, meanwhile."""
        handle = os.dup(job.root.handle)
        for name in job.names:
            try:
                below = os.open(name, DIRECTORY, dir_fd=handle)
            except OSError as problem:
                self.entries.moved("/".join(_path(job)), problem)
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
        if here in self.at.tree.claimed:
            return "claimed"
        if status.st_dev != root.device or here in self.at.tree.mounted:
            return "another file system is mounted here; name it in roots to have it checked"
        return ""

    def _enter(self, handle: int, name: str, place: Place, root: Root, path: str) -> int | None:
        """Open a directory and tighten it."""
        try:
            below = os.open(name, DIRECTORY, dir_fd=handle)
        except OSError as problem:
            if problem.errno not in DENIED or not self._claimed(handle, name):
                self.entries.moved(path, problem)
            return None
        status = os.fstat(below)
        elsewhere = self._elsewhere(status, root)
        if elsewhere:
            os.close(below)
            if elsewhere != "claimed":
                self.at.found.refuse(path, elsewhere)
            return None
        self.at.found.entries += 1
        web = self.at.tree.order.web
        theirs = name == GIT and self.at.tree.loose(status, below)
        if theirs and place.want is not None and place.want.owner != web:
            # Git runs what it finds there, and refuses to work as root in what is another user's.
            if (status.st_uid, stat.S_IMODE(status.st_mode)) != (web, GIT_MODE):
                self.entries.changes.give(below, path, status, web, status.st_gid, GIT_MODE)
            self.at.found.refuse(path, _GIT_ADVICE)
            os.close(below)
            return None
        self.entries.changes.directory(below, path, place, status)
        return below

    def _claimed(self, handle: int, name: str) -> bool:
        """Whether it is a root that is walked on its own."""
        try:
            status = os.stat(name, dir_fd=handle, follow_symlinks=False)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) in self.at.tree.claimed

    def _list(self, handle: int, root: Root, path: str, place: Place) -> list[tuple[str, Place]]:
        """Check all files of a directory. Returns its directories."""
        found, below = self.at.found, []
        names = place.same_below
        child: Place = place
        acls = False
        entries = 0
        wrong = False  # where one file is, the next one mostly is too: it is opened at once then
        try:
            with os.scandir(handle) as listing:
                os.fchdir(handle)  # for the one call that has no descriptor-relative form
                if names:
                    modes, owned = place.modes, place.owned
                    acls = place.private and root.device not in self.entries.changes.no_xattrs
                for number, entry in enumerate(listing, 1):
                    if not number & 0xFFF:
                        self._in_time()
                        if number > _IN_ONE:
                            here = shown(path or self.at.tree.order.path)
                            why = f"{here} has more than {_IN_ONE:,} entries, or is being filled meanwhile."
                            found.unfinished = found.unfinished or why
                            break
                    entries += 1
                    if not names:
                        child = place.step(entry.name)
                        if child.want is None:
                            entries -= 1
                            continue
                        modes, owned = child.modes, child.owned
                        acls = child.private and root.device not in self.entries.changes.no_xattrs
                    if entry.is_dir(follow_symlinks=False):
                        entries -= 1  # counted when it is entered
                        below.append((entry.name, child))
                        continue
                    if wrong and entry.is_file(follow_symlinks=False):
                        wrong = self.entries.file(handle, entry.name, path, child, root)
                    else:
                        try:
                            status = entry.stat(follow_symlinks=False)
                        except FileNotFoundError:
                            entries -= 1
                            continue
                        # Mode; then number of names, owner and group.
                        if status[0] in modes and status[3:6] == owned:
                            if acls and self.entries.changes.acls(entry.name, root.device):
                                self.entries.file(handle, entry.name, path, child, root)
                            continue
                        wrong = self.entries.wrong(handle, entry.name, path, child, status, root)
        except OSError as problem:
            self.entries.moved(path, problem)
        found.entries += entries
        self._in_time()
        return below

    def _in_time(self) -> None:
        if time.monotonic() > self.at.until:
            raise PermsError(
                f"{shown(self.at.tree.order.path)} was not wholly checked in time. Is it being filled meanwhile?"
            )


def _path(job: Job) -> tuple[str, ...]:
    return (job.root.path, *job.names) if job.root.path else job.names
