# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""How each command of the host program is run, and what it prints."""

from __future__ import annotations

import argparse
import os
import sys
import syslog
from collections.abc import Callable
from typing import Any, TextIO

from .._common import alert
from .._common.errors import HardeningError


def run(options: argparse.Namespace, engine: Callable[[], Any]) -> int:
    """Run the command that was parsed. Returns the exit code."""
    if os.geteuid() != 0:
        print("chamilo-hardening must be run by root: try `sudo chamilo-hardening ...`.", file=sys.stderr)
        return 2
    syslog.openlog("chamilo-hardening", syslog.LOG_PID, syslog.LOG_DAEMON)
    command: Callable[[argparse.Namespace, Any], int] = options.run
    try:
        return command(options, engine())
    except (HardeningError, OSError) as problem:
        report(str(problem), syslog.LOG_ERR)
        return 1
    except KeyboardInterrupt:
        report("Interrupted. `chamilo-hardening status` shows whether anything is left unfinished.", syslog.LOG_ERR)
        return 130


def agreed(yes: bool) -> bool:
    """Whether to go on with what opens or undoes something: asked on a terminal, and without one only by --yes."""
    if not yes and not sys.stdin.isatty():
        report(
            "Nothing was changed: there is no terminal to ask on. To go on without a question: --yes", syslog.LOG_ERR
        )
    elif not yes and input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        print("Nothing was changed.")
    else:
        return True
    return False


def report(text: str, level: int = syslog.LOG_INFO) -> None:
    """To the one who asked, and to the journal. The web user's programs may have chosen the words of a failure."""
    text = alert.harmless(text)
    stream = sys.stderr if level == syslog.LOG_ERR else sys.stdout
    if not _is_journal(stream):
        print(text, file=stream)
    for line in text.splitlines():
        syslog.syslog(level, line)


def _is_journal(stream: TextIO) -> bool:
    """Whether what is printed here lands in the journal anyway, as from a timer: once is enough."""
    try:
        info = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{info.st_dev}:{info.st_ino}"
