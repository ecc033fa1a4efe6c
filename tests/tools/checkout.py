# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of this checkout, and copies of it that nothing else writes to."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"


def listed(*paths: str) -> list[str]:
    """The files of the checkout below these paths, new ones included, ignored ones not."""
    # The checkout may belong to another user than root.
    command = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "--", *paths]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return [name for name in names if os.path.lexists(ROOT / name)]


def copy_checkout(target: Path, *paths: str) -> Path:
    """Copy the files of the checkout below these paths (all by default) to a directory."""
    shutil.rmtree(target, ignore_errors=True)
    for name in listed(*(paths or (".",))):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    return target
