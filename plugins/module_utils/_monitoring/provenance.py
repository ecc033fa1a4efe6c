# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Where the program came from: what an administrator has to answer for, because nothing else vouches for it."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Mapping

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import integrity
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.tree import Identity
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import basis, vouch

# Parts of a package that a portal need not have: data, and the installer, which section updates closes.
_NOT_COMPARED = ("var/", ".git", "node_modules/", "public/main/install/", "tests/")


def open_questions(root: str, present: Mapping[str, str], changes: integrity.Changes) -> None:
    """Add what was not confirmed since the program became root's: all of it, or what differs from the release."""
    known = basis.read(root, files.STATE)
    changes.foreign = [
        f"{path} ({who})" for path, who in sorted(known.plugins.items()) if os.path.isdir(f"{root}/{path}")
    ]
    if not known.writable:
        return
    release = vouch.Lists(root, sorted(glob.glob(f"{glob.escape(files.STATE)}/release-*.json"))).release
    if not release:
        changes.unproven = known.writable
        return
    differ = differences(root, release, present)
    changes.unvouched = sorted({*changes.unvouched, *differ.changed, *differ.added})
    changes.added = sorted(set(changes.added) - set(changes.unvouched))


def differences(root: str, release: Mapping[str, str], present: Mapping[str, str]) -> integrity.Changes:
    """What differs from the release: changed or missing, or not in it and able to run code. Ours is left out."""
    changes = integrity.compare(release, {path: value.partition(" ")[0] for path, value in present.items()})
    ours = integrity.written()
    real = os.path.realpath(root)

    def own(path: str) -> bool:
        return present.get(path, "") in ours.get(os.path.join(real, path), set())

    changes.changed = [path for path in changes.changed if not own(path)]
    changes.gone = [path for path in changes.gone if not path.startswith(_NOT_COMPARED) and not own(path)]
    changes.added = [path for path in changes.added if not own(path) and _could_run(real, path)]
    return changes


def _could_run(root: str, path: str) -> bool:
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        handle = vouch.open_below(top, path)
    except OSError:  # a link, whose target is checked in its own place; or it was removed meanwhile
        return os.path.islink(os.path.join(root, path))
    finally:
        os.close(top)
    try:
        return vouch.runs(path, handle) != "" or vouch.runs_in_browsers(path)
    finally:
        os.close(handle)


def writable(root: str, present: Mapping[str, str], users: tuple[Identity, ...]) -> int:
    """How many files of the program the web user can write, but for environment files."""
    found = 0
    for path in present:
        full = os.path.join(root, path)
        try:
            status = os.lstat(full)
        except FileNotFoundError:  # it went meanwhile
            continue
        theirs = any(user.changes(full, status) for user in users)
        found += theirs and not path.startswith(".env") and not stat.S_ISLNK(status.st_mode)
    return found
