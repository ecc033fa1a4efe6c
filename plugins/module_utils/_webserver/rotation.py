# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who owns the web server's logs, and how logrotate has to rotate them so that PHP's user cannot write what bans read.

Debian's rotation of nginx creates the new log for the web server's user, whom PHP runs as, and nginx itself gives every
log to that user when it is asked to reopen them (USR1). A reload opens them as root and leaves the owner.
"""

from __future__ import annotations

import fnmatch
import grp
import posixpath
import pwd
import re
import shlex
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .._common.tree import Tree
from .configuration import OURS

DIRECTORY = "/etc/logrotate.d"
# logrotate reads its files in the order of their names, and of two that name a log the first counts.
FILE = f"{DIRECTORY}/00-chamilo-hardening"
_HEAD = f"""\
{OURS} section brute_force. Changes here are lost.
# The rotation of the logs as the files named below have it, but that the logs stay root's: PHP's user must not write
# what fail2ban reads. nginx gives its logs to its own user where it reopens them (USR1), so it is reloaded instead.
"""
_IGNORED = (".bak", ".cfsaved", ".disabled", ".old", ".rpmnew", ".rpmorig", ".rpmsave", ".swp", "~")
_SCRIPTS = ("prerotate", "postrotate", "firstaction", "lastaction", "preremove")
_REOPENS = (
    (
        re.compile(r"(?:\binvoke-rc\.d\s+|\bservice\s+|/etc/init\.d/)nginx\s+rotate\b"),
        "systemctl try-reload-or-restart nginx",
    ),
    (re.compile(r"\bnginx\s+-s\s+reopen\b"), "nginx -s reload"),
    (re.compile(r"\b(?:SIG)?USR1\b"), "HUP"),
)
_CREATE = re.compile(r"(\s*)create\s+(?:([0-7]+)\s+)?(\S+)\s+(\S+)\s*")


@dataclass(frozen=True)
class _Stanza:
    file: str
    patterns: tuple[str, ...]
    body: tuple[str, ...]
    scripts: frozenset[int]  # the numbers of its lines that belong to scripts

    def covers(self, log: str) -> bool:
        return any(_matches(pattern, log) for pattern in self.patterns)


@dataclass(frozen=True)
class Rotation:
    """``content``: of our file, empty where none is needed. ``files``: log -> the file by which it is rotated then."""

    content: str
    files: dict[str, str]


def rotation(tree: Tree, user: str, logs: Collection[str]) -> Rotation:
    """How the logs of the web server, which runs as ``user`` just as PHP does, are rotated so that they stay root's."""
    found = list(_stanzas(tree))
    taken = [(stanza, body) for stanza in found if (body := _mended(stanza, user, logs)) is not None]
    blocks = [
        f"\n# {stanza.file}\n{' '.join(map(_quoted, stanza.patterns))} {{\n\tignoreduplicates\n"
        + "".join(f"{line}\n" for line in body)
        + "}\n"
        for stanza, body in taken
    ]
    files = {}
    for log in logs:
        stanza = next((stanza for stanza in found if stanza.covers(log)), None)
        if stanza:
            files[log] = FILE if any(stanza is one for one, _body in taken) else stanza.file
    return Rotation(_HEAD + "".join(blocks) if blocks else "", files)


def exposed(tree: Tree, user: str, log: str) -> bool:
    """Whether the user may write the log. Its owner always may: he can change the mode."""
    status = tree.status(log)
    if status is None or not user:
        return False
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return False
    groups = {account.pw_gid, *(group.gr_gid for group in grp.getgrall() if user in group.gr_mem)}
    bits = stat.S_IWOTH | (stat.S_IWGRP if status.st_gid in groups else 0)
    return status.st_uid == account.pw_uid or bool(status.st_mode & bits)


def mendable(tree: Tree, user: str, log: str) -> bool:
    """Whether a rotation helps: not where others may write the directory, which logrotate leaves alone as well."""
    directory = posixpath.dirname(log)
    status = tree.status(directory)
    return status is not None and not status.st_mode & 0o022 and not exposed(tree, user, directory)


def _quoted(pattern: str) -> str:
    return f'"{pattern}"' if re.search(r"\s", pattern) else pattern


def _matches(pattern: str, path: str) -> bool:
    """As glob(3): no asterisk stands for a slash."""
    parts, names = pattern.split("/"), path.split("/")
    return len(parts) == len(names) and all(map(fnmatch.fnmatchcase, names, parts))


def _stanzas(tree: Tree) -> Iterator[_Stanza]:
    for path in tree.glob(f"{DIRECTORY}/*"):
        name = posixpath.basename(path)
        if path == FILE or name.endswith(_IGNORED) or ".dpkg-" in name or tree.is_directory(path):
            continue
        yield from _parse(tree.read(path), path)


def _parse(text: str, path: str) -> Iterator[_Stanza]:
    head: list[str] = []
    body: list[str] | None = None
    scripts: set[int] = set()
    script = False
    for line in text.splitlines():
        words = line.split() or [""]
        if body is None:
            if words[-1].endswith("{") and not words[0].startswith("#"):
                head.append(line.strip()[:-1])
                body, scripts = [], set()
            # Anything else outside of a block is a comment, or a directive for all of them.
            elif words[0].startswith(("/", '"', "'")):
                head.append(line)
        elif words == ["}"] and not script:
            yield _Stanza(path, _patterns(" ".join(head)), tuple(body), frozenset(scripts))
            head, body = [], None
        else:
            script = words[0] != "endscript" if script else words[0] in _SCRIPTS
            if script:
                scripts.add(len(body))
            body.append(line)


def _patterns(head: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(head))
    except ValueError:  # a quote without an end: logrotate leaves the file out
        return ()


def _mended(stanza: _Stanza, user: str, logs: Collection[str]) -> list[str] | None:
    """The lines of the stanza with which the logs stay root's; None where they do already."""
    text = "\n".join(stanza.body[number] for number in sorted(stanza.scripts))
    reopens = "nginx" in text and any(pattern.search(text) for pattern, _instead in _REOPENS)
    if not reopens and not any(map(stanza.covers, logs)):
        return None
    lines = list(stanza.body)
    for number, line in enumerate(stanza.body):
        found = _CREATE.fullmatch(line)
        if number in stanza.scripts:
            for pattern, instead in _REOPENS if reopens else ():
                lines[number] = pattern.sub(instead, lines[number])
        elif found and found[3] == user:
            mode = int(found[2] or "640", 8) & ~0o022
            lines[number] = f"{found[1]}create {mode:04o} root {'adm' if found[4] == user else found[4]}"
    return lines if lines != list(stanza.body) else None
