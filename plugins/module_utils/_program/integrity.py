# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""The commands of the host program that section monitoring brings: the list of files, and what monit asks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from .._monitoring import daily
from .._monitoring import watch as monitoring_watch
from .._transaction.engine import Engine

# monit takes this for an alarm. 1 and 2 mean that the check failed.
ALARM = 10

INTEGRITY = """\
The list of a portal's program files, configuration and environment files with their checksums. `check` compares now,
with the list of this host or, with --against, with a copy of it that was kept elsewhere. `accept` makes what is there
now the list: after an update, or when you changed the files yourself. The daily work compares too. `compare` compares
with the package of the release, of which harden left the checksums here, or with ARCHIVE, a zip or tar file, and
names what differs by directory. `lists` shows what an intruder may have left elsewhere: what the web user has outside
of the portal, what runs in the database, new administrators, PHP below var/. What was not accepted begins with a star;
`accept` accepts the lines that were listed, and a new one is an alert."""


def add(commands: Any, report: Callable[[str], None]) -> None:
    """Add the commands to the parser of the program."""
    integrity = commands.add_parser("integrity", help="compare program files with a list", description=INTEGRITY)
    integrity.add_argument(
        "what",
        choices=["check", "lists", "accept", "compare", "copied"],
        help="copied: for the playbook",
    )
    integrity.add_argument("path", nargs="?", default="", help="for compare: the package")
    integrity.add_argument("--sha256", default="", help="for compare: the checksum that the package has to have")
    integrity.add_argument("--site", default="", help="one portal, as its files name it (default: all)")
    integrity.add_argument("--against", metavar="FILE", default="", help="a copy of the list, such as the controller's")
    integrity.add_argument("--digest", default="", help=argparse.SUPPRESS)
    integrity.add_argument("--where", default="", help=argparse.SUPPRESS)
    integrity.set_defaults(run=lambda options, engine: _integrity_command(options, engine, report))

    # Without help: monit asks these.
    watch = commands.add_parser("watch", description="Check failed logins or disks once. 10: an alarm.")
    watch.add_argument("what", choices=["logins", "disks"])
    watch.add_argument("site")
    watch.set_defaults(run=_watch_command)


def _integrity_command(options: argparse.Namespace, engine: Engine, report: Callable[[str], None]) -> int:
    sites = [options.site] if options.site else daily.sites()
    if not sites:
        raise monitoring_watch.WatchError(
            "No portal is watched on this host. Run the playbook harden with section monitoring."
        )
    if options.path and options.what != "compare":
        raise monitoring_watch.WatchError(f"{options.what} takes no path: {options.path}.")
    differs = False
    for site in sites:
        if options.what == "compare":
            compared = daily.compare_release(site, options.path, options.sha256)
            if not compared.package:
                raise monitoring_watch.WatchError(
                    f"{site}: no package of the installed release is known here. Name it: chamilo-hardening integrity "
                    "compare ARCHIVE."
                )
            print(*(f"{site}: {line}" for line in compared.lines()), sep="\n")
            print(f"{site}: all else is as in {compared.package}")
            differs = differs or bool(compared.groups)
            continue
        if options.what == "lists":
            print(*(f"{site}: {line}" for line in daily.lists_of(site) or ["  nothing is there"]), sep="\n")
            continue
        if options.what == "copied":
            daily.copied(site, options.digest, options.where)
            continue
        if options.what == "accept":
            if sys.stdin.isatty():
                print(daily.compare(site).description() or "Nothing differs.", *daily.lists_of(site), sep="\n")
                if input("Are these yours? [y/N] ").strip().lower() not in ("y", "yes"):
                    print("Nothing was accepted.")
                    return 1
            report(f"integrity accept {site}: {daily.accept(site)}")
            continue
        changes = daily.compare(site, options.against)
        print(f"{site}: {changes.description(1000) or 'as listed'}")
        differs = differs or bool(changes)
    return int(differs)


def _watch_command(options: argparse.Namespace, _engine: object) -> int:
    if options.what == "logins":
        seen = monitoring_watch.logins(options.site)
    else:
        known = monitoring_watch.configuration(options.site)
        seen = monitoring_watch.disks(known["disks"], int(known["percent"]))
    print(seen.text)
    return ALARM if seen.alarm else 0
