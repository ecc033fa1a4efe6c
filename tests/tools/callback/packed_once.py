# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs each module once for all playbooks that tests run over the same code, not once for each of them.

To find what a module imports and to pack it is a third of what a run of harden costs the controller. ansible-core keeps
the packages in the temporary directory of one run: here that leads to one below .cache/packed/, which is named by what
the packages are made from. The benches pack anew, as users do.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase
from ansible.release import __version__

DOCUMENTATION = """
name: packed_once
type: aggregate
short_description: Pack each module once for all playbooks of the tests
description: It leads ansible-core's cache of packed modules to a directory that all runs share.
"""
ROOT = Path(__file__).resolve().parents[3]
PACKED = ROOT / ".cache/packed"
DAY = 24 * 60 * 60


def sources() -> str:
    """What packages are made from: ours by name, size and time, and the versions of ansible-core and Python."""
    digest = hashlib.sha256(f"{__version__} {sys.version}".encode())
    for path in sorted((ROOT / "plugins").rglob("*.py")):
        facts = path.stat()
        digest.update(f"{path}\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:16]


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "packed_once"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        shared = PACKED / sources()
        if not shared.is_dir():
            for old in PACKED.glob("*"):  # of code that was edited since; a run that began before may still use it
                if old.stat().st_mtime < time.time() - DAY:
                    shutil.rmtree(old)
            with contextlib.suppress(FileExistsError):
                shared.mkdir(parents=True)
        Path(constants.DEFAULT_LOCAL_TMP, "ansiballz_cache").symlink_to(shared)
