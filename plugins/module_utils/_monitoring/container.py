# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Symfony's compiled code, compared with a new compilation.

The web user writes that code, each request runs it, and an attacker who changes all of it at one moment leaves no
suspicious time. So each day the cache is compiled again, into an empty directory: a file that does not come out the
same was not compiled. All else that lies there goes with it, as it cannot be compared: templates that were compiled
later, and the pools, whose values requests run as PHP or make objects of. What all of it came out as is recorded.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Callable, Generator, Mapping, Sequence

from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import of_root, open_path
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.container_record import note, noted
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import compiled, vouch

WARM_UP = ("cache:warmup", "--no-interaction", "--quiet")
_FILES = 50_000
_BYTES = 16 << 20  # of one file
_DEPTH = 8
_MORE = "more"
_OF_THE_CONTAINER = re.compile(r"[^/]+/(Container\w+)/")
_DATA = ("pools",)  # what changes by itself
# All that differs between two times that the same configuration is compiled.
_BUILD = re.compile(rb"'container\.build_(?:hash|id|time)' => (?:'\w+'|\d+),")
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY

Run = Callable[[Sequence[str], float], "tuple[int, str]"]
Picture = Mapping[str, str]


def check(root: str, console: Sequence[str], run: Run, forget: Callable[[], str]) -> tuple[list[str], str]:
    """What was changed since it was compiled, and why that cannot be seen. ``forget``: has PHP reload its code."""
    known = noted().get(os.path.realpath(root), {})
    try:
        var = open_path(os.path.join(root, "var"), of_root)[0]
        try:
            cache = vouch.open_below(var, "cache", os.O_DIRECTORY)
        finally:
            os.close(var)
    except FileNotFoundError:  # nothing was compiled yet
        return [], ""
    try:
        before = picture(cache)
        problem = compiled.renew(cache, [*console, *WARM_UP], run)
        after = picture(cache)
        found = [] if problem else changed(before, after, known.get("files") or {})
        if found:  # a file that is compiled differently each time proves nothing
            problem = compiled.renew(cache, [*console, *WARM_UP], run)
            again = picture(cache)
            after = {path: digest for path, digest in after.items() if again.get(path) == digest}
            found = changed(before, after, known.get("files") or {})
    finally:
        os.close(cache)
    if problem:
        return [], problem
    note(root, {"files": after, "found": found or known.get("found") or []})
    return found, forget() if found else ""


def changed(before: Picture, after: Picture, known: Picture) -> list[str]:
    """Files of the cache ``before`` that are not what the same configuration gives.

    ``known``: what it gave the last time. A container of another name is one of another configuration, unless this one
    is what it was then.
    """
    found = []
    for environment in sorted({path.partition("/")[0] for path in after if path != _MORE}):
        old, new, last = (_containers(each, environment) for each in (before, after, known))
        if old & new:
            found += [
                path
                for path, digest in before.items()
                if path.startswith(f"{environment}/") and path in after and after[path] != digest
            ]
        elif old and new and new == last:
            found += [f"{environment}/{name}" for name in sorted(old)]
    return [f"var/cache/{path}" for path in found]


def picture(cache: int) -> dict[str, str]:
    """Each PHP file below the directory that is open, with its checksum."""
    seen: dict[str, str] = {}
    with contextlib.closing(_php(cache, "", 0)) as found:
        for path, handle, name in found:
            if len(seen) >= _FILES:  # so many hide something among them: everything counts as changed
                seen[_MORE] = ""
                break
            seen[path] = _digest(handle, name)
    return seen


def _php(directory: int, below: str, depth: int) -> Generator[tuple[str, int, str], None, None]:
    directories = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                directories.append(entry.name)
            elif depth and entry.name.endswith(".php"):
                yield f"{below}{entry.name}", directory, entry.name
    for name in directories:
        if depth >= _DEPTH or (depth == 1 and name in _DATA) or (not depth and name.startswith(".")):
            continue
        try:
            handle = os.open(name, _DIRECTORY, dir_fd=directory)
        except OSError:  # it went, or became something else
            continue
        try:
            yield from _php(handle, f"{below}{name}/", depth + 1)
        finally:
            os.close(handle)


def _digest(directory: int, name: str) -> str:
    try:
        handle = os.open(name, _OPEN, dir_fd=directory)
    except OSError as problem:
        return problem.strerror or "unreadable"
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _BYTES:
            return f"{stat.filemode(status.st_mode)} {status.st_size}"
        return hashlib.sha256(_BUILD.sub(b"", file.read(_BYTES))).hexdigest()[:32]


def _containers(seen: Picture, environment: str) -> set[str]:
    names = (_OF_THE_CONTAINER.match(path) for path in seen if path.startswith(f"{environment}/"))
    return {name[1] for name in names if name}
