# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Git would run out of a .git directory in which the web user could write: root must not work there then."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from .._common.paths import FILE, open_below

if TYPE_CHECKING:
    from collections.abc import Callable

    Theirs = Callable[["int | str", os.stat_result], bool]  # an open file or a path, and what it is like

_READ = 1 << 20  # bytes of a configuration; a longer one is reported
# What Git itself, `git remote`, `git branch` and `git submodule` write. All else may run something, today or tomorrow.
_HARMLESS = re.compile(
    r"core\.(?:autocrlf|bare|eol|filemode|ignorecase|logallrefupdates|precomposeunicode|repositoryformatversion|symlinks)"
    r"|branch\.(?:merge|pushremote|rebase|remote)|remote\.(?:fetch|prune|push|pushurl|tagopt|url)|url\.(?:push)?insteadof"
    r"|submodule\.(?:active|branch|url)|(?:fetch|pull|push)\.\w+|gc\.auto|user\.(?:email|name)"
)
_HELPER = re.compile(r"\w::")  # of a transport, such as ext::COMMAND


def git_settings(text: str) -> list[str]:
    """The settings of a Git configuration that may run something, by name."""
    return [
        f"{section}.{middle}.{key}" if middle else f"{section}.{key}"
        for section, middle, key, value in _git_values(text)
        if not _HARMLESS.fullmatch(f"{section}.{key}") or _HELPER.search(f"{middle} {value}")
    ]


def _git_values(text: str) -> list[tuple[str, str, str, str]]:
    """Section, what stands in quotes beside it, key and value of each line."""
    section = middle = ""
    values = []
    for line in re.sub(r"\\\r?\n", "", text).splitlines():
        rest = line.strip().lstrip("\ufeff")
        while rest.startswith("["):
            head = re.match(r'\[\s*([\w.-]+)\s*(?:"((?:\\.|[^"\\])*)")?\s*\]', rest)
            if not head:
                break
            section, _dot, old = head[1].lower().partition(".")
            middle = head[2] if head[2] is not None else old
            rest = rest[head.end() :].strip()
        if not rest or rest[0] in "#;[":
            continue
        key, _equals, value = rest.partition("=")
        values.append((section, middle, key.strip().lower(), value.strip().replace('"', "")))
    return values


def git_runs(directory: int, theirs: Theirs) -> list[str]:
    """What Git would run out of this .git directory, which is open, and that the web user could have written."""
    found: list[str] = []
    loose = theirs(directory, os.fstat(directory))
    for name in ("config", "config.worktree"):
        found += _git_file(directory, name, theirs, loose)
    for name in ("commondir", "objects/info/alternates"):
        try:
            handle = open_below(directory, name)
        except OSError:  # most have neither
            continue
        os.close(handle)
        if loose and name == "commondir":
            found.append(name)
    found += _git_hooks(directory, theirs, loose)
    return found + _git_modules(directory, theirs, loose)


def _git_file(directory: int, name: str, theirs: Theirs, loose: bool) -> list[str]:
    try:
        handle = open_below(directory, name)
    except FileNotFoundError:
        return []
    except OSError as problem:
        return [f"{name}: {problem.strerror}"] if loose else []
    try:
        if not loose and not theirs(handle, os.fstat(handle)):
            return []
        text, whole = _text(handle)
    finally:
        os.close(handle)
    names = git_settings(text.decode("utf-8", "replace"))
    return [*names, *([] if whole else [f"{name}, which is too long"])]


def _git_hooks(directory: int, theirs: Theirs, loose: bool) -> list[str]:
    try:
        hooks = open_below(directory, "hooks", os.O_DIRECTORY)
    except OSError as problem:
        return [] if isinstance(problem, FileNotFoundError) or not loose else [f"hooks: {problem.strerror}"]
    found = []
    try:
        loose = loose or theirs(hooks, os.fstat(hooks))
        with os.scandir(hooks) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                active = stat.S_ISLNK(status.st_mode) or status.st_mode & 0o111 and stat.S_ISREG(status.st_mode)
                path = f"/proc/self/fd/{hooks}/{entry.name}"
                if active and not entry.name.endswith(".sample") and (loose or theirs(path, status)):
                    found.append(f"hooks/{entry.name}")
    finally:
        os.close(hooks)
    return sorted(found)[:20]


def _git_modules(directory: int, theirs: Theirs, loose: bool, levels: int = 4) -> list[str]:
    """Git enters submodules by itself."""
    try:
        modules = open_below(directory, "modules", os.O_DIRECTORY)
    except OSError:
        return []
    if not levels:
        os.close(modules)
        return ["modules, which are nested too deep"]
    found: list[str] = []
    try:
        loose = loose or theirs(modules, os.fstat(modules))
        with os.scandir(modules) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        for name in sorted(names)[:200]:
            try:
                handle = os.open(name, FILE | os.O_DIRECTORY, dir_fd=modules)
            except OSError:  # it went meanwhile
                continue
            try:
                insider = [*_git_file(handle, "config", theirs, loose), *_git_hooks(handle, theirs, loose)]
                found += [f"modules/{name}: {one}" for one in insider]
                found += _git_modules(handle, theirs, loose, levels - 1)
            finally:
                os.close(handle)
    finally:
        os.close(modules)
    return found


def _text(handle: int) -> tuple[bytes, bool]:
    """The beginning of a file, and whether it is all of it. Of what is no file nothing is known."""
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        return b"", False
    text = os.pread(handle, _READ + 1, 0)
    return text, len(text) <= _READ
