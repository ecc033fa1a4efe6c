# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits of a portal's virtual hosts, which stay their owner's: the model that both web servers share.

A plan contains the lines and their places. The text of its owner, which may contain secrets, is no part of it.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from .._common.markers import MarkerError, strip
from .._common.tree import Tree
from .planned import Obstacle


@dataclass(frozen=True)
class DesiredHost:
    """What the virtual hosts of a portal have to do."""

    site: str  # the word in the names of our files, and in the marks
    domain: str  # the portal's first name, in lower case
    names: frozenset[str]  # all names that are the portal's as far as they are declared or in the application's table
    roots: frozenset[str]  # what leads to its document root, or to the project directory
    drop_ins: str  # the directory of our files for this portal, such as /etc/nginx/sites-available/chamilo-campus.d
    headers: frozenset[str]  # names, in lower case, of the headers that have one sender: ours
    tls: bool  # this host is to speak https for the portal, where it does not yet
    once: frozenset[str] = frozenset()  # nginx: directives that may occur once, and that our files set


PROXY_PROTOCOL = (
    "it takes the PROXY protocol of a load balancer alone, so nothing on this host can see how the portal answers",
    "Take that out of this line, have the load balancer send X-Forwarded-For instead (HAProxy: option forwardfor, and "
    "no send-proxy), and name its address in chamilo_trusted_proxies",
)
PLAIN_443 = (
    "it answers on port 443 without TLS, where browsers speak nothing but https",
    "Take port 443 out of this line: https is added, with a certificate",
)


def unread(tree: Unmarked, problems: Iterable[str], main: str, test: str) -> list[Obstacle]:
    """What was not understood of a configuration, and where marks of ours are damaged."""
    found = [unreadable(problem, main, test) for problem in problems]
    for file, problem in tree.damaged.items():
        line = re.match(r"line (\d+): ", problem)
        found.append(Obstacle(file, int(line[1]) if line else 1, "damaged marks of chamilo.hardening", problem))
    return found


def unreadable(problem: str, main: str, test: str) -> Obstacle:
    """Of what was not understood. It begins with the web server's name and, mostly, the place."""
    place = re.match(r"\w+: (/[^\s:]+)(?::(\d+))?", problem)
    file, line = (place[1], int(place[2] or 1)) if place else (main, 1)
    if "macro" in problem:
        return Obstacle(file, line, problem, "Write out what it makes as sections of their own")
    return Obstacle(file, line, problem, f"Correct it until {test} accepts the configuration")


def below(path: str, domain: str) -> tuple[str, str]:
    """Of a portal in a directory of another site."""
    return (
        f"the portal is served below {path} of another site, where the rules of this collection do not reach it",
        f"Give the portal a virtual host of its own, with {domain} as its name and the portal's directory public as "
        "its root, and lead visitors of the old address there",
    )


def by_name(root: str, lines: str) -> tuple[str, str]:
    """Of a virtual host whose directory is not written out. ``lines``: those that give the portal one."""
    return (
        f"its document root is {root}, another one for each name, and other sites would get the rules of the portal",
        f"Give the portal a virtual host of its own beside this one: the same lines, but with {lines}",
    )


def unreached(domain: str, other: str, line: str) -> tuple[str, str]:
    """Of a portal that visitors reach by no name, and where another site answers to it."""
    return (
        f"visitors of {domain} get another site, {other}, which answers to every name that no other has",
        f'Add the line "{line}" to this virtual host, so that they get the portal',
    )


def other_status(line: str) -> tuple[str, str]:
    """Of a page for what is refused that is answered with another status."""
    return (
        f"what is refused would be answered with another status than 403 ({line}), so nothing could see that it is",
        "Take 403 out of this line, or give it a page of its own as a file of this site, such as /403.html",
    )


def public_of(roots: Iterable[str]) -> str:
    """The document root of a portal, as it can be written."""
    return next((root for root in sorted(roots) if root.endswith("/public")), "the portal's directory public")


def digest(text: str) -> str:
    """SHA-256 of a text as it is on disk."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def exposed(tree: Tree, file: str) -> str:
    """Why root cannot go by a file, which others than root could have changed; an empty text where it can."""
    users, groups = {0, os.geteuid()}, {0, os.getegid()}
    path, form = file, stat.S_ISREG
    while True:
        status = tree.status(path)
        if status is None or not form(status.st_mode):
            return f"{path} is no regular file" if path == file else f"{path} cannot be read"
        if status.st_uid not in users:
            return f"{path} belongs to another user than root"
        if status.st_mode & stat.S_IWOTH or (status.st_mode & stat.S_IWGRP and status.st_gid not in groups):
            return f"{path} can be written by others than root"
        if path == "/":
            return ""
        path, form = posixpath.dirname(path), stat.S_ISDIR


class Unmarked(Tree):
    """The files of this host as they would be without the marks of a site. Damaged marks are kept in ``damaged``."""

    def __init__(self, tree: Tree, site: str) -> None:
        super().__init__(tree.prefix)
        self._tree, self._site = tree, site
        self.damaged: dict[str, str] = {}

    def read(self, path: str, web_user: str | None = None) -> str:
        text = self._tree.read(path, web_user)
        if "chamilo.hardening" not in text:
            return text
        try:
            return strip(text, self._site)
        except MarkerError as problem:
            self.damaged[path] = str(problem)
            return text
