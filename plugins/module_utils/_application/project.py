# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which directory of a host is the project directory of a portal."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Sequence
from typing import TypeVar

from .._common.tree import Tree
from .._webserver.configuration import VirtualHost
from . import release

# Where people put web applications, most usual first.
PLACES = ("/var/www/*", "/var/www", "/var/www/*/current", "/var/www/*/htdocs", "/srv/*", "/srv/www/*", "/opt/*")
BOOT = "/proc/sys/kernel/random/boot_id"
_Answer = TypeVar("_Answer")


class Findings:
    """What is found on a host: what nothing can be done without and is not there, and what could not be seen."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.errors: list[str] = []  # nothing can be done without it
        self.problems: list[str] = []  # it could not be seen

    def attempt(self, question: Callable[[], _Answer], otherwise: _Answer) -> _Answer:
        """The answer, or the other one where this user may not read."""
        try:
            return question()
        except OSError as problem:
            self.problems.append(f"{problem.filename} cannot be read: {problem.strerror}.")
            return otherwise

    def denied(self) -> list[str]:
        paths = list(dict.fromkeys(self.tree.denied))
        return [f"This user may not read {', '.join(paths[:5])}. Run it as root to see them."] if paths else []


class Projects:
    """The project directories of Chamilo on a host, and which one is that of a domain."""

    def __init__(self, findings: Findings, domain: str) -> None:
        self.findings = findings
        self.tree = findings.tree
        self.domain = domain

    def root(self, given: str, answering: Sequence[VirtualHost], all_hosts: Sequence[VirtualHost]) -> str:
        """The project directory."""
        if given:
            given = given.rstrip("/") or "/"
            if not self.is_chamilo(given):
                hint = " It is the project directory, not its public/." if posixpath.basename(given) == "public" else ""
                self.findings.errors.append(
                    f'chamilo_root is "{given}", but no Chamilo is there: it has no public/main, or neither '
                    f"bin/console nor a composer.json naming chamilo.{hint} Set it to the directory with both."
                )
            return given
        for hosts in (answering, all_hosts):
            found = list(dict.fromkeys(filter(None, (self.project(host.root) for host in hosts))))
            if len(found) == 1 or (found and hosts is answering):
                return found[0]
        places = [path for pattern in PLACES for path in self.tree.glob(pattern) if self.is_chamilo(path)]
        if len(places) == 1:
            return places[0]
        if places:
            self.findings.errors.append(
                f"Several Chamilo portals are on this host ({', '.join(places)}) and no virtual host shows which one "
                f'"{self.domain}" is. Set chamilo_root to its project directory.'
            )
        else:
            self.findings.errors.append(
                f"No Chamilo was found: no document root of a virtual host and none of {', '.join(PLACES)} contains "
                f"public/main beside bin/console. Set chamilo_root to the project directory."
            )
        return ""

    def project(self, document_root: str) -> str:
        """The project directory behind a document root, be it right (public/) or wrong (the project itself)."""
        for path in (posixpath.dirname(document_root), document_root):
            if document_root and self.is_chamilo(path):
                return path
        return ""

    def is_project(self, document_root: str, root: str) -> bool:
        found = self.project(document_root)
        return bool(found) and self.tree.real(found) == self.tree.real(root)

    def is_chamilo(self, path: str) -> bool:
        if not self.tree.is_directory(posixpath.join(path, "public/main")):
            return False
        if self.tree.exists(posixpath.join(path, "bin/console")):
            return True
        composer = posixpath.join(path, "composer.json")
        return self.tree.exists(composer) and "chamilo" in self.findings.attempt(
            lambda: self.tree.read(composer, ""), ""
        )

    def release(self, root: str, web_user: str) -> release.Release:
        """Which release it is. A file of it that cannot be read, or is no plain list of values, is a problem."""
        found = release.installed(self.tree, root, web_user)
        if found.source and not found.version:
            self.findings.problems.append(f"The version of Chamilo is not known: {found.source}.")
        return found

    def real_root(self, root: str) -> str:
        """current -> releases/7: the next release is the portal as well."""
        if not root:
            return ""
        real = self.tree.real(root)
        above = posixpath.dirname(real)
        many = real != root and f"{posixpath.dirname(above)}/" == f"{posixpath.dirname(root)}/" != "//"
        return f"{above}/*" if many else real

    def fingerprint(self, root: str) -> str:
        """The same for this directory of this machine under every name and path; it reveals nothing else.

        Machines that are copies of each other have each their own boot, and containers of one machine their own root.
        """
        found = [self.tree.status(path) for path in ("/", root)]
        if not root or None in found:
            return ""
        # The kernel refuses to read such a file in one large piece.
        boot = self.tree.read_bounded(BOOT, None, 64) if self.tree.exists(BOOT) else ""
        parts = [boot.strip(), *(f"{status.st_dev}:{status.st_ino}" for status in found if status)]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:32]

    def spellings(self, root: str, document_roots: Sequence[str]) -> tuple[str, ...]:
        """The project directory as its scripts may be named to PHP: each virtual host has its own path to it."""
        if not root:
            return ()
        real = self.tree.real(root)
        found = {root, real, self.real_root(root).removesuffix("/*")}
        for path in filter(None, (path.rstrip("/") for path in document_roots)):
            there = self.tree.real(path)
            if there == real or there.startswith(f"{real}/"):
                found.add(path)
            elif real.startswith(f"{there}/"):
                found.add(path + real[len(there) :])
        return tuple(sorted(path for path in found if not any(path.startswith(f"{other}/") for other in found)))
