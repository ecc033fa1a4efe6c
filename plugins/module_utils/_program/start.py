# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the host program begins. Who is locked out waits for it: `unlock` loads what unlocks, and no other command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None, version: str = "") -> int:
    if arguments is None:
        linked = os.path.basename(sys.argv[0]) == "chamilo-unlock"
        arguments = [*(["unlock"] if linked else []), *sys.argv[1:]]
    if arguments[:1] != ["unlock"]:
        from .main import main as run

        return run(arguments, version)
    from .._brute_force import unlock_command
    from . import session

    parser = argparse.ArgumentParser(prog="chamilo-hardening")
    parser.set_defaults(root=True)
    unlock_command.add(parser.add_subparsers(), session.report)
    return session.run(parser.parse_args(arguments), lambda: None)
