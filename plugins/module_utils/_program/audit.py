# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""The command audit: what the playbook audit observes, on the host itself, without a controller."""

from __future__ import annotations

import argparse
import json
import socket
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

from .._common.control import FAIL, NOT_APPLICABLE, NOT_ASSESSED, PASS
from .._monitoring import daily, watch

AUDIT = """\
Runs each check of the security guide on this host, with the values that the playbook harden wrote down, and changes
nothing. Titles, waivers and what to do about it are in the report of the playbook audit. It ends with 1 where a
control that is enforced on this host is not met."""
LEFT_OUT = "not enforced"  # by the level of the host, or by a waiver
ORDER = (FAIL, NOT_ASSESSED, LEFT_OUT, PASS, NOT_APPLICABLE)


def add(commands: Any) -> None:
    """Add the command to the parser of the program."""
    parser = commands.add_parser("audit", help="run the checks of the security guide", description=AUDIT)
    parser.add_argument("--site", default="", help="one portal, as its files name it (default: all)")
    parser.add_argument("--json", action="store_true", help="for programs: a list with the result of each portal")
    parser.set_defaults(run=lambda options, _engine: _audit(options))


def _audit(options: argparse.Namespace) -> int:
    # Loaded only here: the program is compiled at each start, and most starts need none of the audit.
    from .._audit import engine

    sites = [options.site] if options.site else daily.sites()
    if not sites:
        raise watch.WatchError("No portal is watched on this host. Run the playbook harden with section monitoring.")
    found, failed = [], False
    for site in sites:
        observer = daily.portal_of(site).observer
        audit = engine.audit(site, observer)
        answer = audit.answer()
        for warning in audit.warnings:
            print(warning, file=sys.stderr)
        statuses = {
            name: LEFT_OUT if one["status"] == FAIL and not observer.enforced(name) else one["status"]
            for name, one in answer["observed"].items()
        }
        failed = failed or FAIL in statuses.values()
        found.append({"host": socket.gethostname(), "site": site, "answer": answer})
        if not options.json:
            _show(answer, statuses)
    if options.json:
        print(json.dumps(found, sort_keys=True))
    return int(failed)


def _show(answer: Mapping[str, Any], statuses: Mapping[str, str]) -> None:
    print(f"{answer['names'][0]}, Chamilo {answer['chamilo_version'] or 'of unknown version'}")
    for name in sorted(statuses, key=lambda name: ORDER.index(statuses[name])):
        status = statuses[name]
        words = "" if status == PASS else f"  {answer['observed'][name]['evidence']}"
        print(f"  {status.ljust(14)} {name}{words}")
    print(", ".join(f"{count} {status}" for status, count in Counter(statuses.values()).most_common()))
