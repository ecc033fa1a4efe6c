# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Owners and modes of a portal's tree: what chamilo_perms does, and what closes a maintenance window.

The window itself is the host program's, which closes it, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .._application import release, release_files
from .._common.files import STATE
from .._common.tree import Tree
from .._transaction.probe import Fetch, ask
from . import aside, open_windows
from .aside import Aside
from .found import Found
from .open_windows import WindowError
from .pages import Pages
from .policy import order
from .walk import run

# How the module names what belongs to a tree.
TREE = ("path", "owner", "group", "web_user", "policy", "exclude", "roots")
PROGRAM = "/usr/local/sbin/chamilo-hardening"


def apply(
    tree: Mapping[str, Any],
    profile: str,
    until: int | None,
    check: bool,
    pages: Sequence[Mapping[str, Any]] = (),
    state: str = STATE,
    clock: Callable[[], float] = time.time,
) -> tuple[Found, str]:
    """What was changed, and what is open. ``pages``: those of the portal that have to be answered as before."""
    order(tree, profile)  # what does not fit is refused, whatever is open
    if until is not None and profile == "production":
        raise WindowError("until goes with the profiles upgrade and install: production has no end.")
    window = open_windows.at(tree["path"], state) if os.geteuid() == 0 else None
    overdue = window is not None and window.due(clock())
    if window and not overdue and (profile == "production" or until is not None and window.profile == profile):
        return Found(), window.description()
    if until is not None and not check:
        given = {**tree, "path": os.path.realpath(tree["path"])}
        opened = Found.from_json(_by_program(["open", f"--profile={profile}", f"--minutes={until}", "--tree"], given))
        window = open_windows.at(tree["path"], state)
        return opened, window.description() if window else ""
    closes = overdue and profile == "production" and not check
    if closes:
        _by_program(["close", "--due"])
    found = produce(tree, profile, pages, state, check)
    found.closed = closes
    return found, ""


def _by_program(command: Sequence[str], given: Mapping[str, Any] | None = None) -> str:
    argv = [PROGRAM, "window", *command]
    try:
        done = subprocess.run(argv, input=json.dumps(given), capture_output=True, encoding="utf-8", check=False)
    except FileNotFoundError as problem:
        raise WindowError(f"{PROGRAM} is not installed, so nothing would close the window again.") from problem
    if done.returncode:
        raise WindowError(done.stderr.strip() or f"`{' '.join(argv)}` ended with {done.returncode}.")
    return done.stdout


def produce(
    tree: Mapping[str, Any],
    profile: str = "production",
    pages: Sequence[Mapping[str, Any]] = (),
    state: str = STATE,
    check: bool = False,
    partly: bool = False,
    fetch: Fetch = ask,
) -> Found:
    """Owners and modes of a tree, with the pages of a portal probed before and after; see ``walk.run``."""
    desired, asked = order(tree, profile), Pages(pages, fetch) if pages else None
    found = run(desired, check, aside=disabled(tree, state), partly=partly, pages=asked, state=state)
    if not check:
        aside.forget(desired.path, state, bool(found.disabled))
    return found


def disabled(tree: Mapping[str, Any], state: str) -> Aside:
    """What an earlier version disabled in a tree, and what of it is used again."""

    def files() -> Mapping[str, str]:
        manifest = release_files.known(tree["path"], installed(tree), state)
        return manifest.files if manifest else {}

    return Aside(aside.known(tree["path"], state), files)


def installed(tree: Mapping[str, Any]) -> str:
    """The release that is there; empty where its files do not name it."""
    return release.installed(Tree(), os.path.realpath(tree["path"]), str(tree["web_user"])).version


# Where no package is asked for.
NOTHING = dict.fromkeys(("package", "package_needed", "package_problem", "version"), "")


def package(tree: Mapping[str, Any], wanted: str, sha256: str, state: str = STATE) -> dict[str, str]:
    """What is known here of the package of the release, and whether the controller has to bring its manifest.

    With ``auto``, a package that cannot be had is not asked for again for a day.
    """
    root = os.path.realpath(tree["path"])
    if open_windows.at(root, state):  # PHP replaces the program now
        return NOTHING
    version = installed(tree)
    known = release_files.known(root, version, state)
    if known and sha256.lower() in ("", known.sha256):
        return {**NOTHING, "version": version, "package": known.words}
    problem = release_files.refusal(root, version, state) if wanted == "auto" else ""
    needed = "" if problem else version or "unknown"
    return {**NOTHING, "version": version, "package_problem": problem, "package_needed": needed}
