# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether recurring work is due: by what the host program wrote down, and by the times of files."""

from __future__ import annotations

import glob
import hashlib
import os
import time

from . import alert, files, records
from .networks import counted

DAILY = "daily.json"
COPIES = "integrity.json"
_RENEWED = 600.0  # seconds; the jail spares whom a note names for that much longer than a day


def configuration(name: str) -> str:
    """A digest of what a daily step works by: its own files, and the recipients of alerts."""
    directory = os.path.dirname(alert.CONFIGURATION)
    digest = hashlib.sha256()
    for path in [*sorted(glob.glob(f"{directory}/{name}-*.json")), alert.CONFIGURATION]:
        with files.Tree() as tree:
            digest.update(f"{path} {tree.inspect(path).sha256}\n".encode())
    return digest.hexdigest()[:16]


def outcomes(name: str) -> dict[str, bool]:
    """Which jobs of a daily step succeeded, of those that it keeps a record of."""
    known = records.read(f"{name}.json")
    return {job: entry["ok"] is True for job, entry in known.items() if isinstance(entry, dict) and "ok" in entry}


def same(name: str) -> bool:
    """Whether a daily step succeeded as it is configured now."""
    known = records.read(DAILY).get(name, {})
    return known.get("ok") is True and known.get("configuration") == configuration(name)


def settled(name: str) -> bool:
    """Whether all jobs of it did. Without a recipient of alerts, a job that fails for want of one fails again."""
    return same(name) and (all(outcomes(name).values()) or alert.addressee() == alert.Addressee())


def copied(site: str) -> bool:
    """Whether the list of files of a portal is the one that was copied off this host."""
    name, copy = f"integrity-{site}.json", records.read(COPIES).get(site, {})
    try:
        written = os.stat(os.path.join(files.STATE, name)).st_mtime
    except FileNotFoundError:
        return True  # there is nothing to copy
    if copy.get("at", 0) >= written:
        return True
    # Written again since, as by `integrity accept`, it may be the same list.
    digest = copy.get("digest")
    return digest is not None and bool(records.read(name).get("digest") == digest)


def note(address: str) -> str:
    """The name of the note by which a jail spares an administrator's address."""
    return counted(address).partition("/")[0]


def spared(address: str) -> bool:
    """Whether the administrator's address was noted a short while ago: no jail bans it for a day."""
    try:
        return os.stat(f"{files.STATE}/friends/{note(address)}").st_mtime > time.time() - _RENEWED
    except OSError:
        return False
