# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""The commands of the host program that back up a portal, test the restore, and restore."""

from __future__ import annotations

import argparse
import sys
import syslog
from collections.abc import Callable, Sequence
from typing import Any

from .._common.errors import HardeningError
from . import backup as backups_backup
from . import portal as backups_portal
from . import restore as backups_restore
from . import restore_test as backups_restore_test
from . import saved_files
from .portal import BackupError, Portal
from .restic import Repository

__all__ = ["BackupError", "add"]
SOURCES = ["local", "offsite"]
INCOMPLETE = 3  # as restic ends where it could not read everything

BACKUP = """\
Saves the database, in one transaction, and the files of each portal as a pair of encrypted snapshots with restic, in
the repository on this host and in the one elsewhere, each by itself. Once a week it also removes what is too old and
has restic check the repositories. Failures are reported to the configured recipients.

`list` shows the backups of each repository; `show RUN [PATH]` what is in one, and what is in none; `check` reads the
repositories whole; `repair` removes locks that were left and makes the index anew, where a repository lets it; `restic
...` runs restic with the key and the environment of the portal, as in
`chamilo-hardening backup --site campus --from offsite restic snapshots`; `forget-before` removes what restores kept of
the state before them."""

RESTORE_TEST = """\
Has restic read the farthest repository, and restores the newest backup in it into a scratch directory: the whole
database and the program, without uploads. It starts the restored portal without a network, and requests its login page.
The portal in use is left alone."""

RESTORE = """\
Restores the whole portal (host), its database, its files (var, config, public/plugin, the environment files) or one
file from the backup of the last run, or another. It asks for the name of the portal first. All is fetched before
anything changes. What cannot be read is taken from the other repository or an older backup, or else left out:
then the command ends with 3 and names the list of it. An interrupted restore is resumed by the same command, or rolled
back with --abandon; `chamilo-hardening status` shows its progress. The previous state is moved aside: directories to a
directory that it names, tables to a database beside its own. On a new machine, put the key of the backups into
/etc/chamilo-hardening/backups-SITE.key first and name the repository: with --repository, or with --repository-file
where the address contains a password."""


def add(commands: Any, report: Callable[..., None]) -> None:
    """Add the commands. Their output goes to the terminal and to the journal."""
    backup = commands.add_parser("backup", help="back up the database and the files now", description=BACKUP)
    _common(backup)
    backup.add_argument("--accept", action="store_true", help="what is much less than before is right")
    backup.add_argument("--from", dest="source", choices=SOURCES, default="", help="which repository; default: all")
    backup.add_argument(
        "what",
        nargs="?",
        choices=["list", "show", "check", "repair", "restic", "forget-before"],
        help="see above; not: make one",
    )
    backup.add_argument("words", nargs=argparse.REMAINDER, metavar="RUN [PATH] or words for restic")
    backup.set_defaults(run=lambda options, _engine: _backed_up(options, report))

    restore_test = commands.add_parser(
        "drill", help="test whether the backup can be restored", description=RESTORE_TEST
    )
    _common(restore_test)
    restore_test.set_defaults(
        run=lambda options, _engine: _each(options, report, "drill", backups_restore_test.restore_test)
    )

    restore = commands.add_parser("restore", help="bring the portal or a part of it back", description=RESTORE)
    parts = [*backups_restore.PARTS, "list"]
    restore.add_argument("part", nargs="?", choices=parts, help="what; list: show the backups there are")
    restore.add_argument(
        "path", metavar="PATH", nargs="?", default="", help="with file: which, below the portal's directory"
    )
    restore.add_argument("--site", default="", help="which portal, where this host has several")
    restore.add_argument(
        "--run", dest="which", default="", help="which backup, as list shows it; the newest if not given"
    )
    restore.add_argument("--from", dest="source", choices=SOURCES, default="", help="from which repository")
    restore.add_argument("--repository", default="", help="where the backups are, on a machine that does not know it")
    # The address may contain a password, and every user may list the arguments of processes.
    restore.add_argument("--repository-file", metavar="FILE", default="", help="a file with its address, instead")
    restore.add_argument("--abandon", action="store_true", help="roll back the one that was interrupted")
    restore.add_argument("--confirm", metavar="DOMAIN", default="", help="the portal's name, instead of being asked")
    restore.set_defaults(run=lambda options, _engine: _restored(options, report))


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--site", default="", help="which portal, where this host has several; else all")
    command.add_argument("--quiet", action="store_true", help="no output when all is well")


def _backed_up(options: argparse.Namespace, report: Callable[..., None]) -> int:
    if not options.what:
        return _each(options, report, "backup", lambda portal: backups_backup.backup(portal, options.accept))
    portal = backups_portal.chosen(options.site)
    known = {"local": portal.repository, "offsite": portal.offsite}
    places = [Repository(portal, url) for url in ([known[options.source]] if options.source else portal.places) if url]
    if not places:
        raise BackupError(f"{portal.domain} has no {options.source or 'repository'}.")
    if options.what == "forget-before":
        for line in backups_restore.forget_before(portal):
            report(f"backup of {portal.domain}: {line}")
        return 0
    if options.what == "restic":
        return places[0].interactive(*options.words)
    if options.what == "check":
        return max(place.interactive("check", "--read-data", *options.words) for place in places)
    if options.what == "repair":
        return max(place.repaired() for place in places)
    if options.what == "show":
        if len(options.words) not in (1, 2):
            raise BackupError("Name the backup: chamilo-hardening backup show RUN [PATH], as backup list shows it.")
        place, pair = backups_restore.found(portal, options.words[0], options.source)[0]
        worst = max(
            place.interactive("ls", "--long", half.id, *options.words[1:]) for half in (pair.database, pair.files)
        )
        print(f"In no backup: {', '.join(saved_files.SKIPPED)} of {portal.root}, and {saved_files.ELSEWHERE}.")
        print(f"A new machine needs besides: web server, PHP, MariaDB, and a copy of the key {portal.key_file}.")
        print(*saved_files.strange_links(portal), *saved_files.chosen(portal).problems, sep="\n")
        return worst
    worst = 0
    for place in places:
        print(f"{place.shown}:")
        try:
            print(*(f"  {line}" for line in backups_restore.dated(place.pairs())), sep="\n")
        except BackupError as problem:
            report(str(problem), syslog.LOG_ERR)
            worst = 1
    return worst


def _restored(options: argparse.Namespace, report: Callable[..., None]) -> int:
    if bool(options.part) == options.abandon:
        raise BackupError(f"Name what to restore ({', '.join(backups_restore.PARTS)} or list), or --abandon alone.")
    if options.part == "file" and not options.path:
        raise BackupError("Name the file: chamilo-hardening restore file var/upload/...")
    repository = options.repository
    if options.repository_file:
        with open(options.repository_file, encoding="utf-8") as stream:
            repository = stream.read().strip()
    known = [portal for portal in backups_portal.portals() if options.site in ("", portal.site, portal.domain)]
    if repository and not known:
        portal = backups_restore.begin(options.site, repository)
    else:
        portal = backups_portal.chosen(options.site)
    if options.abandon:
        for line in backups_restore.abandon(portal):
            report(f"restore of {portal.domain}: {line}")
        return 0
    if options.part == "list":
        print(*backups_restore.runs(portal, options.source), sep="\n")
        return 0
    confirmed = options.confirm
    if not confirmed and sys.stdin.isatty():
        confirmed = input(f"This replaces the {options.part} of {portal.domain} here. Type its name to go on: ").strip()
    if confirmed != portal.domain:
        raise BackupError(f"Nothing was changed. To restore, confirm with --confirm {portal.domain}")
    incomplete = ""
    try:
        lines = backups_restore.restore(portal, options.part, options.path, options.which, options.source)
    except backups_restore.Incomplete as problem:
        lines, incomplete = problem.lines, str(problem)
    for line in lines:
        report(f"restore of {portal.domain}: {line}")
    if incomplete:
        report(f"restore of {portal.domain}: {incomplete}", syslog.LOG_ERR)
    return INCOMPLETE if incomplete else 0


def _each(
    options: argparse.Namespace,
    report: Callable[..., None],
    what: str,
    work: Callable[[Portal], Sequence[str]],
) -> int:
    """Do it for the portal that was named, or all of them; 1 when it failed for one."""
    worst = 0
    for portal in (not options.site and backups_portal.portals()) or [backups_portal.chosen(options.site)]:
        try:
            lines = work(portal)
        except (HardeningError, OSError) as problem:
            report(f"{what} of {portal.domain}: {problem}", syslog.LOG_ERR)
            worst = 1
            continue
        for line in lines:
            if options.quiet:
                syslog.syslog(syslog.LOG_INFO, f"{what} of {portal.domain}: {line}")
            else:
                report(f"{what} of {portal.domain}: {line}")
    return worst
