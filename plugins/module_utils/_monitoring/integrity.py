# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of a portal's program, configuration and environment files, with their checksums, and what differs from it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._application import comparison, release, release_files
from .._common import files as common_files
from .._common.errors import HardeningError
from .._common.tree import Tree
from .._transaction.store import Store

# Without the list only a copy that no intruder could reach shows what was changed since.
_MEND = (
    "Compare the files with the copy off this host (chamilo-hardening integrity check --against COPY), then remove the "
    "damaged list and run the playbook harden, which makes a new one"
)


class IntegrityError(HardeningError):
    """The list cannot be read; the message states why."""


@dataclass
class Changes:
    """What differs from the list, as paths below the project directory."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.gone)

    def description(self, most: int = 30) -> str:
        """One line for each, cut where it gets long."""
        lines = [f"new: {path}" for path in self.added]
        lines += [f"changed: {path}" for path in self.changed]
        lines += [f"gone: {path}" for path in self.gone]
        more = [f"and {len(lines) - most} more"] if len(lines) > most else []
        return "\n".join([*map(_printable, lines[:most]), *more])


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode() if text.isprintable() else ascii(text)[1:-1]


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

    def accept(self, present: Mapping[str, str], why: str) -> str:
        """Make ``present`` the list from now on. Returns its checksum."""
        known: dict[str, Any] = {"root": self.root, "made": common_files.now(), "why": why}
        known.update(digest=digest(present), files=dict(present))
        text = json.dumps(known, indent=0, sort_keys=True) + "\n"
        common_files.replace_file(self.path, text)
        return str(known["digest"])

    def inspect(self) -> tuple[Changes, dict[str, str], dict[str, Any] | None]:
        """What differs from the list; what is there; and the list.

        Without what this collection itself wrote, and without new files that the release's package has byte for byte:
        the list of an earlier version left out what that had disabled.
        """
        known = self.read()
        present = comparison.files(self.root)
        if known is None:
            return Changes(), present, None
        ours = Store(common_files.STATE).written()
        changes = compare(known["files"], present)
        for name in ("added", "changed", "gone"):
            paths = getattr(changes, name)
            setattr(changes, name, [path for path in paths if not self._ours(ours, path, present.get(path, ""))])
        if changes.added and (
            of_release := release_files.known(self.root, release.installed(Tree(), self.root, None).version)
        ):
            changes.added = [path for path in changes.added if of_release.files.get(path) != present[path]]
        return changes, present, known

    def _ours(self, ours: Mapping[str, set[str]], path: str, present: str) -> bool:
        return present in ours.get(os.path.join(os.path.realpath(self.root), path), set())
