# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Chamilo's own file integrity check, since 3.0. It is an addition to our list: all that it goes by is the web user's.

Code that runs as that user can have it take changed files for its baseline, or pause it: while it is paused, each
scan takes the files as they are. So the baseline is made when our list was, and one that another made is reported.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import os
from collections.abc import Sequence

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files, records, services
from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import shown
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Tree
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Site

RECORD = "application-scan.json"
_STATE = "var/security/file_integrity"
_COMMAND = "app:file-integrity:baseline"
_SMALL, _LARGE = 64 << 10, 64 << 20  # bytes
_SECONDS = 600


def faults(site: Site, word: str, now: float) -> list[str]:
    """What was done to it by another than ``follow`` outside of a maintenance window, a sentence for each."""
    if site.major < 3 or _in_window(site.root):
        return []
    return [*_paused(site, now), *_replaced(site, word)]


def _in_window(root: str) -> bool:
    try:
        with open(os.path.join(files.STATE, "windows.json"), encoding="utf-8") as file:
            windows = json.load(file)
    except (FileNotFoundError, ValueError):  # the audit reports one that is damaged
        return False
    return any(window["tree"]["path"] == os.path.realpath(root) for window in windows)


def _paused(site: Site, now: float) -> list[str]:
    try:
        text = _read(site, "state.json", _SMALL)
        known = json.loads(text) if text else {}
        until = _moment(known.get("snoozedUntil") if isinstance(known, dict) else "?")
    except (OSError, ValueError, RecursionError, OverflowError) as problem:
        return [f"{_path(site, 'state.json')} cannot be read, so the check of Chamilo may be paused: {problem}."]
    if until <= now:
        return []
    when = datetime.datetime.fromtimestamp(until, datetime.timezone.utc)
    return [f"Chamilo's own file integrity check is paused until {when:%Y-%m-%d %H:%M} UTC: it accepts every change."]


def _moment(value: object) -> float:
    """In seconds since 1970, of a number or of an ISO date."""
    if value is None:
        return -math.inf
    if isinstance(value, (int, float)):
        return float(value)
    found = datetime.datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    return found.replace(tzinfo=found.tzinfo or datetime.timezone.utc).timestamp()


def _replaced(site: Site, word: str) -> list[str]:
    ours = str(records.read(RECORD).get(word, {}).get("baseline", ""))
    if not ours:
        return []
    try:
        there = _digest(site)
    except OSError as problem:
        return [f"{_path(site, 'baseline.json')} cannot be read: {problem.strerror}."]
    if there == ours:
        return []
    done = "was made anew" if there else "was removed"
    return [f"The baseline of Chamilo's own file integrity check {done}, and not by chamilo-hardening."]


def follow(site: Site, word: str, digest: str, console: Sequence[str]) -> str:
    """Renew its baseline where ``digest`` of our list is a new one. Returns a message about it."""
    if records.read(RECORD).get(word, {}).get("list") == digest:
        return ""
    code, output = services.run([*console, _COMMAND, "--no-interaction"], _SECONDS)
    problem, baseline = "", ""
    if code:
        problem = f"Chamilo's own file integrity check has no baseline of this state: {_COMMAND} ended with {code}"
        problem += f" ({shown(output[-300:])})."
    else:
        baseline = _digest(site)
    records.note(RECORD, word, not problem, problem, list=digest, baseline=baseline)
    return problem


def forget(word: str) -> None:
    """The administrator answers for the files as they are: the next comparison makes a baseline, whatever is there."""
    if word in records.read(RECORD):
        records.note(RECORD, word, True, "", list="", baseline="")


def _digest(site: Site) -> str:
    """Of its baseline; empty where there is none."""
    text = _read(site, "baseline.json", _LARGE)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest() if text else ""


def _read(site: Site, name: str, most: int) -> str:
    path = _path(site, name)
    return Tree().read_bounded(path, site.php.user or site.web.user, most) if os.path.lexists(path) else ""


def _path(site: Site, name: str) -> str:
    return os.path.join(site.root, _STATE, name)
