# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""A list of a portal's program, configuration and environment files, with their checksums, and what differs from it."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files as common_files
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import marks, vouch
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.store import Store

# What the application writes by itself, and what only a developer's copy has.
_LEFT_OUT = ("var", ".git", "node_modules")
_CHUNK = 1 << 20
_MOST = vouch.MOST
# Without the list only a copy that no intruder could reach shows what was changed since.
_MEND = (
    "Compare the files with the copy off this host (chamilo-hardening integrity check --against COPY), then remove the "
    "damaged list and run the playbook harden, which makes a new one"
)
_UNPROVEN = (
    "nothing vouches for the program: {:,} of its files were the web user's to write, and no package of the release "
    "was compared. Name it in chamilo_release_archive and run the playbook harden; or compare the files yourself, then "
    "run: chamilo-hardening integrity accept"
)
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class IntegrityError(HardeningError):
    """The list cannot be made, read or accepted; the message states why."""


@dataclass
class Changes:
    """What differs from the list, as paths below the project directory."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    unvouched: list[str] = field(default_factory=list)  # whether or not they are listed
    foreign: list[str] = field(default_factory=list)  # plugins and themes that are no part of the release
    unproven: int = 0  # files that the web user could write before, and that were compared with nothing

    def __bool__(self) -> bool:
        return self.differs or bool(self.foreign or self.unproven)

    @property
    def differs(self) -> bool:
        return bool(self.added or self.changed or self.gone or self.unvouched)

    def description(self, most: int = 30) -> str:
        """One line for each, cut where it gets long."""
        lines = [_UNPROVEN.format(self.unproven)] if self.unproven else []
        lines += [f"no part of the release: {path}" for path in self.foreign]
        lines += [f"new: {path}" for path in self.added]
        lines += [f"changed: {path}" for path in self.changed]
        lines += [f"gone: {path}" for path in self.gone]
        lines += [f"nothing vouches for: {path}" for path in self.unvouched]
        more = [f"and {len(lines) - most} more"] if len(lines) > most else []
        return "\n".join([*map(_printable, lines[:most]), *more])


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode() if text.isprintable() else ascii(text)[1:-1]


def files(root: str, unvouched: list[str] | None = None) -> dict[str, str]:
    """Each file below the project directory with its checksum, each link with its target and, in var/, its content.

    ``unvouched`` gets the files that section permissions marked: nothing vouches for them.
    """
    if not os.path.isdir(root):
        raise IntegrityError(f"There is no directory {root}.")
    return dict(sorted(_walk(root, [] if unvouched is None else unvouched)))


def _walk(root: str, unvouched: list[str]) -> Iterator[tuple[str, str]]:
    todo = [root]
    above = len(os.path.join(root, ""))
    while todo:
        directory = todo.pop()
        try:
            entries = list(os.scandir(directory))
        except FileNotFoundError:  # it went meanwhile
            continue
        for entry in entries:
            path = entry.path[above:]
            if path in _LEFT_OUT:
                continue
            if entry.is_symlink():
                yield path, f"-> {_target(entry.path)}{_behind(entry.path, root)}"
            elif entry.is_dir(follow_symlinks=False):
                todo.append(entry.path)
            else:
                yield path, _checksum(entry.path)
                if _waits(path, entry):
                    unvouched.append(path)


def _waits(path: str, entry: os.DirEntry[str]) -> bool:
    try:
        marked = marks.waits(path, entry.stat(follow_symlinks=False))
    except FileNotFoundError:  # it went meanwhile
        return False
    # A plain file of root has the same mode as a quarantined one, which is below public/ or has another name.
    held = path.startswith("public/") or path.endswith(marks.ASIDE_NAME)
    return marked == marks.DOUBTFUL or marked == marks.QUARANTINED and held


def _target(path: str) -> str:
    try:
        return os.readlink(path)
    except FileNotFoundError:
        return ""


def _behind(link: str, root: str) -> str:
    """The checksum of a file where no other entry has it: a part of the program may be a link to data."""
    target = os.path.realpath(link)
    unlisted = any(target.startswith(os.path.realpath(os.path.join(root, name)) + "/") for name in _LEFT_OUT)
    return f" {_checksum(target, _MOST)}" if unlisted and not os.path.isdir(target) else ""


def _checksum(path: str, most: int = sys.maxsize) -> str:
    """The checksum of a file, or its type if it is none. A mark shows setuid and setgid."""
    try:
        handle = os.open(path, _OPEN)
    except OSError as problem:
        return f"unread: {problem.strerror}"
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            return "neither file nor directory"
        digest = hashlib.sha256()
        most = min(most, max(_MOST, info.st_blocks * vouch.PACKED))
        while most > 0 and (part := os.read(handle, _CHUNK)):
            digest.update(part)
            most -= len(part)
        more = "" if most > 0 else f" of the first part of {info.st_size} bytes"
        return digest.hexdigest() + more + (" setuid" if info.st_mode & (stat.S_ISUID | stat.S_ISGID) else "")
    finally:
        os.close(handle)


def compare(known: Mapping[str, str], present: Mapping[str, str]) -> Changes:
    return Changes(
        added=sorted(present.keys() - known.keys()),
        changed=sorted(path for path in present.keys() & known.keys() if present[path] != known[path]),
        gone=sorted(known.keys() - present.keys()),
    )


def digest(listed: Mapping[str, str]) -> str:
    """One checksum for the whole list: short enough for a mail, where no intruder can change it."""
    text = json.dumps(listed, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


class Manifest:
    """The list of one portal, kept where root alone can write."""

    def __init__(self, site: str, root: str) -> None:
        self.site = site
        self.root = root
        self.path = os.path.join(common_files.STATE, f"integrity-{site}.json")

    def read(self) -> dict[str, Any] | None:
        """The list as it was last accepted; None when there is none."""
        try:
            with open(self.path, encoding="utf-8", errors="surrogateescape") as stream:
                known: dict[str, Any] = json.load(stream)
        except FileNotFoundError:
            return None
        except ValueError as problem:
            raise IntegrityError(f"{self.path} is damaged: {problem}. {_MEND}") from problem
        listed = known.get("files") if isinstance(known, dict) else None
        if not isinstance(listed, dict) or not isinstance(known.get("digest"), str):
            raise IntegrityError(f"{self.path} is damaged: it contains no list of files with its checksum. {_MEND}")
        if digest(known["files"]) != known["digest"]:
            raise IntegrityError(f"{self.path} was changed by hand. Compare with the copy off this host.")
        return known

    def accept(self, present: Mapping[str, str], why: str, basis: str = "", unvouched: Sequence[str] = ()) -> str:
        """Make ``present`` the list from now on, but for what nothing vouches for: the list vouches for its files.

        ``basis``: what vouched for them when the first list was made. Returns its checksum.
        """
        left_out = set(unvouched)
        listed = {path: value for path, value in present.items() if path not in left_out}
        known: dict[str, Any] = {"root": self.root, "made": common_files.now(), "why": why, "basis": basis}
        known.update(digest=digest(listed), files=listed)
        text = json.dumps(known, indent=0, sort_keys=True) + "\n"
        common_files.replace_file(self.path, text)
        return str(known["digest"])

    def inspect(self) -> tuple[Changes, dict[str, str], dict[str, Any] | None]:
        """What differs from the list, without what this collection itself wrote; what is there; and the list."""
        known = self.read()
        unvouched: list[str] = []
        present = files(self.root, unvouched)
        if known is None:
            return Changes(unvouched=sorted(unvouched)), present, None
        ours = written()
        changes = compare(known["files"], present)
        changes.added = sorted(set(changes.added) - set(unvouched))
        changes.unvouched = sorted(unvouched)
        for name in ("added", "changed", "gone"):
            paths = getattr(changes, name)
            setattr(changes, name, [path for path in paths if not self._ours(ours, path, present.get(path, ""))])
        return changes, present, known

    def _ours(self, ours: Mapping[str, set[str]], path: str, present: str) -> bool:
        return present in ours.get(os.path.join(os.path.realpath(self.root), path), set())


def written() -> dict[str, set[str]]:
    """For each path the checksums that this collection gave it: an empty one where it is gone."""
    found: dict[str, set[str]] = {}
    state = Store(common_files.STATE).peek()
    ours = [(path, known["after"]) for record in state["records"].values() for path, known in record["files"].items()]
    for path, item in [*state["left"].items(), *ours]:
        target = item.get("target", "")
        found.setdefault(os.path.realpath(os.path.dirname(path)) + "/" + os.path.basename(path), set()).add(
            f"-> {target}" if target else item.get("sha256", "")
        )
    for path, checksum in common_files.noted():
        found.setdefault(path, set()).add(checksum)
    return found
