# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""The command that unlocks an account, or unbans an address."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

UNLOCK = """\
Unlocks an account that too many wrong passwords have locked, or unbans an address that fail2ban has banned.
Without a name it shows both. It shows what it is going to do before it does it. An account that an administrator has
switched off is left alone."""


def add(commands: Any, report: Callable[[str], None]) -> None:
    def run(options: argparse.Namespace, _engine: Any) -> int:
        # Loaded only here: the audit asks for the help, which needs no database.
        from . import unlock

        todo = unlock.inspect(options.target)
        print(*todo.description(), sep="\n")
        if not options.target or not todo.acts:
            return 1 if options.target else 0
        if sys.stdin.isatty() and not options.yes and input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
            print("Nothing was changed.")
            return 1
        for line in todo.act():
            report(f"unlock {options.target}: {line}")
        return 0

    parser = commands.add_parser("unlock", help="unlock an account or unban an address", description=UNLOCK)
    parser.add_argument("target", metavar="USER|ADDRESS", nargs="?", default="", help="empty: show who is locked")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(run=run)
