# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The key of the backups: there is one, it stays the same, and there is a copy elsewhere."""

from __future__ import annotations

import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Any

from .._common import files, records
from .portal import BackupError, Portal, due, note, portals
from .proof import fingerprint

_DAY = 86400.0  # seconds; the audit asks that the key was compared within a few weeks


@dataclass
class Kept:
    """How it stands with the key on this host."""

    changed: bool
    held: bool
    due: list[str]
    key: str = ""
    fingerprint: str = ""


def keep_key(site: str, given: str, salt: str, controller: str, create: bool, check: bool) -> Kept:
    """Ensure a key, the given one if any, and record whether the controller has a copy.

    ``controller``: which machine that is; empty when it is this one, or unknown.
    """
    portal = _portal(site)
    key = _key(portal)
    if key and given and not hmac.compare_digest(key.encode(), given.strip().encode()):
        raise BackupError(
            f"The key in {portal.key_file} is not the controller's copy. Backups were made with the one on the "
            "host, so it stays. If you want another, add it to the repositories with `restic key add` first, then "
            "replace that file."
        )
    changed = not key
    if not key:
        if not given and not create:
            raise BackupError("There is no key here, and the controller has no copy: set chamilo_backups_password.")
        _refuse_another(portal, given)
        key = given.strip() or secrets.token_urlsafe(32)
        if not check:
            files.replace_file(portal.key_file, key + "\n")
    held = bool(given and controller and controller != machine())
    if not check and (given or not controller):
        proof = {"salt": salt, "fingerprint": fingerprint(key, salt)}
        words = (
            "The machine that runs the playbook has a copy of the key."
            if held
            else "The only copy of the key that is known is on this host: run the playbook from another machine."
        )
        note(portal, "encrypted", held, words, **proof)
    return Kept(changed, held, due(portal), key, fingerprint(key, salt))


def shown(site: str, salt: str) -> dict[str, Any]:
    """What ``keep_key`` would report of a key that was compared with its copy within a day; else nothing."""
    portal = _portal(site)
    entry, key = compared(portal), _key(portal)
    same = bool(key) and fingerprint(key, str(entry.get("salt", ""))) == entry.get("fingerprint")
    if not (same and 0 <= time.time() - float(entry.get("at", 0)) < _DAY):
        return {}
    return {"fingerprint": fingerprint(key, salt), "held": entry["ok"] is True, "due": due(portal)}


def compared(portal: Portal) -> dict[str, Any]:
    """What is known of the key that was there when it was compared: "salt" and "fingerprint", or neither."""
    entry: dict[str, Any] = records.read(f"backups-{portal.site}.json").get("encrypted", {})
    return entry if entry.get("fingerprint") else {}


def _refuse_another(portal: Portal, given: str) -> None:
    """The key is gone, or its file is empty: another one could not read the backups that were made so far."""
    known = compared(portal)
    if known and fingerprint(given, str(known.get("salt", ""))) != known["fingerprint"]:
        raise BackupError(
            f"The key in {portal.key_file} is gone, and the controller has no copy. Without it the backups that "
            "were made so far cannot be read. Restore it: run the playbook from the machine with the copy "
            "(chamilo_backups_key_folder), or set chamilo_backups_password. If it is lost for good, remove "
            f'"encrypted" from {files.STATE}/backups-{portal.site}.json and name new repositories.'
        )


def _portal(site: str) -> Portal:
    return next((known for known in portals() if known.site == site), Portal(site, site, ""))


def _key(portal: Portal) -> str:
    """The key on this host; empty where there is none."""
    try:
        with open(portal.key_file, encoding="utf-8") as stream:
            return stream.read().strip()
    except FileNotFoundError:
        return ""


def machine() -> str:
    try:
        with open("/etc/machine-id", encoding="utf-8") as stream:
            return stream.read().strip()
    except FileNotFoundError:
        return ""
