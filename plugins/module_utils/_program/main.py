# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""The program chamilo-hardening: what a host does by itself, or an administrator by hand, when no Ansible is there."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import syslog
from collections.abc import Iterable, Sequence

from .._application.discovery import discover
from .._backups import backup
from .._backups import commands as backups_commands
from .._backups import portal as backups_portal
from .._brute_force import unlock_command
from .._common import alert as common_alert
from .._common.errors import HardeningError
from .._common.files import Tree
from .._common.locks import Busy
from .._database import migrate
from .._https import renewal
from .._monitoring import daily as monitoring_daily
from .._permissions import window as permissions_window
from .._permissions.open_windows import WindowError
from .._transaction import our_lines, repair
from .._transaction.job import Outcome
from .._transaction.repair import Repairing
from .._updates import releases
from .._uploads import antivirus
from . import audit, display, integrity, session, state, update
from . import daily as program_daily
from .session import report as _print
from .undo import GONE, KINDS

ABOUT = """\
Manages this host's Chamilo hardening. It was installed by the Ansible collection chamilo.hardening and needs
no Ansible to run. Everything it does is in the journal: journalctl -t chamilo-hardening"""

UNDO = """\
Restores the files of a section as they were before the collection first changed them, tests the configuration, loads it
and checks whether the site still answers. If it does not, the files stay as they are now. A file that was edited by
other means since is copied to /var/lib/chamilo-hardening/kept first. The next run of the playbook hardens it again,
unless it is run with --skip-tags SECTION. Of several portals on one host, SECTION:SITE names one, as `chamilo-hardening
status` shows it (headers:campus_example_org)."""

REPAIR = """\
Brings the files of all sections, and the marked lines in files of an owner, back as they were last written: whole or
not at all, tested, loaded, and with a look at whether the site still answers. What an owner wrote around the marks
stays. A file of ours that was edited is copied to /var/lib/chamilo-hardening/kept first. An interrupted run is rolled
back, and what a service has not loaded is loaded. The next run of the playbook does the same."""

STATUS = """\
Shows which sections are active, and since when; then what is not as it should be, each with the command that ends it:
files and lines that were changed, a run that was interrupted, backups, restore tests and daily work that failed last,
what is open, what could not be looked at, accounts and addresses that are locked, and what goes on. It ends with how
old the list of vulnerabilities is."""

DAILY = """\
Runs the daily tasks of this host, and sends alerts to chamilo_alert_mail and chamilo_alert_webhook about what an
administrator has to see. The timer chamilo-hardening-daily.timer starts it. Without STEP it runs all of it."""

ALERT = """\
Sends an alert to chamilo_alert_mail and chamilo_alert_webhook, to verify that it arrives: --test. Without it, the
title and the text are sent; again after 1, 3 and 7 days, and a last time when it is not seen any more."""

WINDOW = """\
For an update or an installation through the browser, lets PHP write what it must for a while. `open` gives the tree
the modes for it and, with --from, lets that one address reach the installer; opened again without --from, it goes on
with the address given before. Before that it verifies what the web updater of Chamilo 3.0 downloaded and unpacked, and
takes a backup where the portal is backed up here. It closes by itself when the time is up, also when the host was
restarted in between. `close` does it now: owners and modes are as the guide wants them again. Where a page of the
portal worked before and does not afterwards, they are rolled back, the tree stays open, and that is reported. It ends
by naming the files of this collection that the update changed. While a window is open, the playbook leaves the tree as
it is and reports so."""


def main(arguments: Sequence[str], version: str = "", engine: Repairing | None = None) -> int:
    """Run one command. Returns the exit code: 0 done, 1 it failed, 2 it was asked for in a wrong way."""
    return session.run(_parser(version).parse_args(arguments), lambda: engine or Repairing())


def _parser(version: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chamilo-hardening",
        description=ABOUT,
    )
    parser.add_argument("--version", action="version", version=f"chamilo-hardening {version}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    status = commands.add_parser("status", help="show what is active on this host", description=STATUS)
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(run=_status, version=version)

    audit.add(commands)

    undo = commands.add_parser("undo", help="restore the state before a section", description=UNDO)
    undo.add_argument("section", metavar="SECTION", help="as `chamilo-hardening status` shows it, such as headers")
    undo.add_argument("--yes", action="store_true", help="do not ask")
    undo.set_defaults(run=_undo)

    repair = commands.add_parser("repair", help="bring back what was damaged of the collection", description=REPAIR)
    repair.set_defaults(run=_repaired)

    unlock_command.add(commands, _print)

    window = commands.add_parser("window", help="let PHP write the program for a while", description=WINDOW)
    doing = window.add_subparsers(metavar="open|close", required=True)
    opened = doing.add_parser("open", help="open it, or give it another deadline", description=WINDOW)
    opened.add_argument("--profile", choices=["upgrade", "install"], default="upgrade", help="default: %(default)s")
    opened.add_argument(
        "--minutes", type=int, default=permissions_window.MINUTES, help="how long (default: %(default)s)"
    )
    opened.add_argument("--from", dest="address", metavar="ADDRESS", default="", help="who may reach the installer")
    opened.add_argument("--site", default="", help="which portal, where there are several")
    opened.add_argument("--yes", action="store_true", help="do not ask")
    opened.add_argument("--without-backup", action="store_true", help="take no backup first")
    # For the module chamilo_perms: the tree comes on standard input, and what was changed goes to standard output.
    opened.add_argument("--tree", action="store_true", help=argparse.SUPPRESS)
    opened.set_defaults(run=_window_opened)
    closed = doing.add_parser("close", help="close it now", description=WINDOW)
    closed.add_argument("--site", default="", help="only that of this portal")
    closed.add_argument("--due", action="store_true", help="only those whose time is up")
    closed.set_defaults(run=_window_closed)

    migrate.add(commands, _print)

    backups_commands.add(commands, _print)
    update.add(commands, _print)

    daily = commands.add_parser("daily", help="do the daily work now", description=DAILY)
    daily.add_argument("steps", metavar="STEP", nargs="*", help="only these, such as monitoring")
    daily.add_argument("--due", action="store_true", help="only what never succeeded as it is configured now")
    daily.add_argument("--json", action="store_true", help="for the playbook: what was done, as JSON")
    daily.set_defaults(run=_daily_work)

    integrity.add(commands, _print)
    antivirus.add(commands, _print)

    alert = commands.add_parser("alert", help="send an alert to the administrator", description=ALERT)
    alert.add_argument("title", metavar="TITLE", nargs="?", default="")
    alert.add_argument("text", metavar="TEXT", nargs="?", default="")
    alert.add_argument("--section", default="monitoring", help="what it is about (default: %(default)s)")
    alert.add_argument("--holds", default="", help="what still holds")
    alert.add_argument("--then", default="", help="what to do about it")
    alert.add_argument("--monit", action="store_true", help="add what monit saw: it calls this")
    alert.add_argument("--test", action="store_true", help="send a test")
    alert.set_defaults(run=_alerted)

    renewal.add(commands, _print)

    # Without help, so that the list shows only what a person needs: timers and the boot call this.
    recover = commands.add_parser("recover", description="Roll back what an interrupted run left behind.")
    recover.add_argument("--boot", action="store_true", help="early, when little of the host is there")
    recover.set_defaults(run=_recover)
    return parser


def _recover(options: argparse.Namespace, engine: Repairing) -> int:
    try:
        done = engine.recover(0, early=True) if options.boot else engine.recover()
    except Busy:
        if options.boot:
            return 0  # a run is active: it does this itself
        raise
    except (HardeningError, OSError) as problem:
        if not options.boot:
            raise
        _print(f"{problem} It is tried again when the host is up.", syslog.LOG_WARNING)
        alone = engine.machine.arm("boot", 15)
        if alone:
            _print(alone, syslog.LOG_ERR)
        return 1 if alone else 0
    for line in done:
        _print(line)
    return 0


def _undo(options: argparse.Namespace, engine: Repairing) -> int:
    names = engine.names(options.section)
    others = [(kind, name) for kind in KINDS for name in kind.memory.names(options.section, engine.store.root)]
    if not names and not others:
        known = state.observe(engine)
        there = ", ".join(sorted({*known.sections, *(name for kept in known.kept.values() for name in kept)})) or "none"
        _print(f"Nothing of {options.section} is active here. Active: {there}.", syslog.LOG_ERR)
        return 1
    if options.section.partition(":")[0] == "backups":
        if restoring := [f"{one.why} {one.next}" for one in state.restores()]:
            _print(f"undo {options.section}: refused. {' '.join(restoring)} Then undo the section.", syslog.LOG_ERR)
            return 1
    for warning in renewal.warnings(names):
        _print(warning)
    engine.ensure_undo(names)
    if not options.yes:
        records = engine.store.peek()["records"]
        paths = sorted({path for name in names for path in records[name]["files"]})
        if paths:
            print("These files go back to what they were before:", *paths, sep="\n  ")
        theirs = sorted({known["file"] for name in names for known in our_lines.of(records[name]).values()})
        if theirs:
            print("From these only the lines of this collection go:", *theirs, sep="\n  ")
        reported = [line for kind, name in others for line in kind.memory.description([name], engine.store.root)]
        print(*(f"{line}\n" for line in reported), sep="", end="")
    if not session.agreed(options.yes):
        return 1
    encrypted = _encrypted(names)
    worst = 0
    for number, name in enumerate(names):
        if _undone(engine, name):
            left = ", ".join(sorted({*names[number:], *(name for _kind, name in others)}))
            _print(f"undo {options.section}: ended here. Still active: {left}.", syslog.LOG_ERR)
            return 1
    for site, domain in encrypted.items():
        for name in _secure_cookie(engine, site) if not _speaks_tls(domain) else ():
            _print(f"Logins to {domain} by plain http would fail with a cookie for https alone, so {name} goes too.")
            paths = engine.store.peek()["records"][name]["files"]
            worst |= _undone(engine, name)
            if kept := _with_secure_cookie(paths):
                _print(f"{kept[0]} is another portal's too and stays: logins to {domain} fail.", syslog.LOG_ERR)
                worst = 1
    for kind, name in others:
        try:
            for line in kind.undo(name, engine):
                _print(f"undo {name}: {line}")
        except (HardeningError, OSError) as problem:
            _print(f"undo {name}: {problem}", syslog.LOG_ERR)  # the others go back all the same
            worst = 1
    for line in GONE.get(options.section.partition(":")[0], ()):
        _print(f"undo {options.section}: {line}")
    return worst


def _repaired(_options: argparse.Namespace, engine: Repairing) -> int:
    outcome = Outcome()
    try:
        engine.repair(outcome)
    finally:
        _report(outcome)
    if not outcome.changed:
        _print("repair: nothing to do. All files are as they were written.")
    return 0


def _undone(engine: Repairing, name: str) -> int:
    syslog.syslog(syslog.LOG_INFO, f"undo {name}: begins")
    outcome = Outcome()
    try:
        engine.undo(name, outcome)
    except (HardeningError, OSError) as problem:
        _report(outcome)
        _print(f"undo {name}: {problem}", syslog.LOG_ERR)
        return 1
    _report(outcome)
    how = "loaded, and the site answers" if outcome.loaded else "nothing had to be loaded"
    _print(f"undo {name}: done; {how}.")
    return 0


def _encrypted(names: Sequence[str]) -> dict[str, str]:
    """The sites of the section https among these transactions for which this host speaks https, and their domains."""
    known = {one["site"]: one["domain"] for one in renewal.configurations()[0] if f"https:{one['site']}" in names}
    return {site: domain for site, domain in known.items() if _speaks_tls(domain)}


def _speaks_tls(domain: str) -> bool:
    return any(listen.tls for host in discover(domain).serving for listen in host.listens)


def _secure_cookie(engine: Repairing, site: str) -> list[str]:
    """The transactions that have PHP and the application send the cookie of a session by https alone."""
    records = engine.store.peek()["records"]
    names = (f"sessions:{site}.php", f"sessions:{site}.application")
    return [name for name in names if name in records and _with_secure_cookie(records[name]["files"])]


def _with_secure_cookie(paths: Iterable[str]) -> list[str]:
    with Tree() as tree:
        return [path for path in paths if b"cookie_secure" in tree.inspect(path).data]


def _report(outcome: Outcome) -> None:
    for line in [*outcome.recovered, *outcome.notes]:
        _print(line)


def _daily_work(options: argparse.Namespace, _engine: Repairing) -> int:
    failed = False
    ran = []
    for done in program_daily.run(options.steps, options.due):
        ran.append({"step": done.name, "problem": done.problem, "changed": done.changed})
        for line in done.lines:
            (syslog.syslog if options.json else _print)(f"{done.name}: {line}")
        if done.problem:
            _print(f"{done.name}: {done.problem}", syslog.LOG_ERR)
            failed = True
    if options.json:
        print(json.dumps({"ran": ran, "lists": monitoring_daily.lists()}))
    return int(failed)


def _alerted(options: argparse.Namespace, _engine: Repairing) -> int:
    title, text = options.title, options.text
    if options.test:
        title = title or "Test alert"
        text = text or "This is a test: alerts of this host arrive. There is nothing to do."
    if not title:
        _print("Usage: chamilo-hardening alert TITLE TEXT, or chamilo-hardening alert --test", syslog.LOG_ERR)
        return 2
    if options.monit:
        text = f"{text}\nmonit: {os.environ.get('MONIT_DESCRIPTION', 'it gave no reason')}"
    parts = {"holds": options.holds, "then": options.then}
    ways = common_alert.notify(options.section, title, text or title, again=options.test, **parts)
    if not ways:
        _print("No recipient: set chamilo_alert_mail or chamilo_alert_webhook and harden again.", syslog.LOG_ERR)
        return 1
    _print(f"Reported by {' and '.join(ways)}.")
    return 0


def _window_opened(options: argparse.Namespace, engine: Repairing) -> int:
    windows = permissions_window.Windows(engine)
    if options.tree:
        print(windows.open(json.load(sys.stdin), options.profile, options.minutes).found.to_json())
        return 0
    portal = permissions_window.site(options.site)
    windows.validate(portal.tree, options.minutes, options.address, portal)  # a backup takes a while
    whom = f"{options.address} can reach the installer" if options.address else "nobody can reach the installer"
    print(f"For {options.minutes} minutes PHP can write the program in {portal.tree['path']}, and {whom}.")
    if not session.agreed(options.yes):
        return 1
    if not options.without_backup and not windows.at(portal.tree["path"]):  # what is open already may be half updated
        _save_first(portal.name)
    done = windows.open(portal.tree, options.profile, options.minutes, options.address, portal)
    _print(f"window open: {done.window.description()}. {_entries(done)}")
    _print("To close it before: chamilo-hardening window close")
    return 0


def _save_first(site: str) -> None:
    """A backup of the portal whose program is about to change."""
    saved = [portal for portal in backups_portal.portals() if portal.site == site]
    if not saved:
        _print("No backup was taken: the section backups is not active here. Take one of your own first.")
    for portal in saved:
        _print(f"A backup of {portal.domain} first; this may take a while ...")
        try:
            lines = backup.backup(portal)
        except backup.NeedsReview as problem:
            _print(f"The backup of {portal.domain} was made, and needs a check: {problem}", syslog.LOG_WARNING)
            continue
        except (HardeningError, OSError) as problem:
            raise WindowError(
                f"There is no good backup, so the window stays closed: {problem} "
                "To open it all the same: chamilo-hardening window open --without-backup"
            ) from problem
        for line in lines:
            _print(f"backup of {portal.domain}: {line}")


def _window_closed(options: argparse.Namespace, engine: Repairing) -> int:
    windows = permissions_window.Windows(engine)
    known = [one for one in windows.known() if options.site in ("", one.site)]
    if options.due:
        known = [one for one in known if windows.due(one)]
    elif not known:
        _print("No window is open.")
    problems = []
    for window in known:
        try:
            done = windows.close(window)
        except (HardeningError, OSError) as problem:
            problems.append(str(problem))
            continue
        _print(f"window close: {window.path} is as the guide wants it again. {_entries(done)}")
    if problems:
        words = " ".join(problems)
        if options.due:  # output is not read
            try:
                common_alert.notify(
                    "permissions", "A window cannot be closed", f"{words}\nIt is tried again each minute."
                )
            except common_alert.AlertError as problem:
                words = f"{words} {problem}"
        raise WindowError(words)
    if known:
        _report_differences(engine, options.due)
    return 0


def _report_differences(engine: Repairing, alone: bool) -> None:
    """An update may have changed files of ours. ``alone``: output is not read here."""
    edited = [path for paths in repair.edited(engine.store.peek()).values() for path in paths]
    for path in edited:
        _print(f"No longer as this collection wrote it: {path}")
    again = "Harden again from where you run the playbook: ansible-playbook chamilo.hardening.harden"
    _print(f"{again}. It restores what an update changed.")
    if edited and alone:
        text = "\n".join(["No longer as this collection wrote them:", *edited, "", f"{again}. It puts them back."])
        try:
            common_alert.notify("updates", "The window closed by itself, and files of ours differ", text, again=True)
        except common_alert.AlertError as problem:  # it is closed all the same
            _print(str(problem), syslog.LOG_ERR)


def _entries(done: permissions_window.Done) -> str:
    found = done.found
    messages = [f"{found.entries:,} entries checked, {sum(found.fixed.values()):,} changes.", *done.notes]
    if found.given_back:
        messages.append(f"{found.given_back} files that an earlier version had disabled are in use again.")
    if found.disabled:
        messages.append(f"An earlier version disabled files in {', '.join(found.result()['disabled'])}.")
    messages += [f"Left as it is: {one['path']} {one['why']}." for one in found.refused]
    return " ".join(messages)


def _status(options: argparse.Namespace, engine: Repairing) -> int:
    known = state.observe(engine)
    if options.json:
        print(json.dumps({"version": options.version, **known.to_json()}, indent=2, sort_keys=True))
        return 0
    print(f"chamilo-hardening {options.version} on {socket.gethostname()}", *display.lines(known), sep="\n")
    if updates := releases.states():
        print("\nUpdates:", *(f"  {domain}: {words}" for domain, words in updates.items()), sep="\n")
    return 0
