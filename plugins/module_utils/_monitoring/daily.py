# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daily work of section monitoring: whether alerts arrive, who has an account, which files were changed."""

from __future__ import annotations

import glob
import os
import re
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from .._application import accounts, comparison, package, release_files
from .._application.discovery import discover
from .._application.observer import Observer
from .._common import alert, files, records, services
from .._common.errors import HardeningError
from .._common.paths import open_regular, shown
from .._transaction import our_lines, repair
from .._transaction.store import Store
from . import integrity, left_behind, watch

# The figures of an audit of a site, as node-exporter reads them.
Audit = Callable[[str, Observer], str]
RECORD = "monitoring.json"
MARK = "chamilo-hardening:log-test"
_NO_RECIPIENT = "There is no recipient of alerts: set chamilo_alert_mail or chamilo_alert_webhook."
_DAY = 86400
_MONTH = 27 * _DAY  # a little before the audit asks
_PATIENCE = 30.0  # seconds until monit asks for the first time after it was started
# What earlier versions kept: what modules were asked for, and of a search for indicators of compromise.
_RETIRED = ("asked.json*", "compiled.json*", "application-scan.json*", "acme-*.json")
_LOG_BYTES = 1 << 20  # of what was written to a log since
_FRESH = 900.0  # seconds: monit asks every two minutes


class MonitoringError(HardeningError):
    """Part of the daily work could not be done; the message states which."""


@dataclass
class Portal:
    """One portal of this host, as section monitoring wrote it down."""

    site: str
    known: Mapping[str, Any]
    observer: Observer

    @property
    def domain(self) -> str:
        return str(self.known["domain"])

    @property
    def leads(self) -> bool:
        """Whether no other node of the portal inspects its database."""
        return not self.known.get("leader")


@dataclass
class _Day:
    """What came of the day: an entry of the record for each job, over all portals."""

    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    jobs: dict[str, list[tuple[bool, str]]] = field(default_factory=dict)
    more: dict[str, dict[str, Any]] = field(default_factory=dict)
    undelivered: str = ""  # why alerts do not arrive

    def job(self, name: str, done: bool, detail: str) -> None:
        self.jobs.setdefault(name, []).append((done, detail))

    def write(self) -> None:
        for name, found in self.jobs.items():
            words = " ".join(dict.fromkeys(detail for _done, detail in found))
            records.note(RECORD, name, all(done for done, _detail in found), words, **self.more.get(name, {}))


def step(audit: Audit) -> list[str]:
    """The daily work for every portal."""
    watched = sites()
    if not watched:
        return []
    day = _Day()
    _delivery(day)
    for site in watched:
        portal = portal_of(site)
        parts: tuple[tuple[str, Callable[[], None]], ...] = (
            ("the watch over log and machine", partial(_watched, day, portal)),
            ("the accounts", partial(_reviewed, day, portal)),
            ("the files", partial(_compared, day, portal)),
            ("the lists of what an intruder may have left", partial(_listed, day, portal)),
        )
        for what, part in parts:
            _attempt(day, f"{what} of {portal.domain}", part)
    _attempt(day, "our own files", partial(_edited, day))
    _attempt(day, "records of earlier versions", _retired)
    day.write()
    for site in watched:
        portal = portal_of(site)
        _attempt(day, f"the audit of {portal.domain}", partial(_audited, portal, audit))
    if day.problems:
        raise MonitoringError(" ".join(day.problems))
    return day.lines


def _attempt(day: _Day, what: str, part: Callable[[], None]) -> None:
    try:
        part()
    except Exception as problem:  # one check that fails must not hide the others
        day.problems.append(f"{what[:1].upper()}{what[1:]} could not be checked: {problem}")


def _configurations() -> list[str]:
    return sorted(glob.glob(f"{watch.DIRECTORY}/monitoring-*.json"))


def portal_of(site: str) -> Portal:
    known = watch.configuration(site)
    found = discover(known["domain"], known["root"], known.get("web_server", ""), site=site)
    return Portal(site, known, Observer(found, {"site": site, **known.get("options", {})}))


# ------------------------------------------------------------------------------------------------ delivery


def _delivery(day: _Day) -> None:
    """Send a test alert monthly, and to a new recipient."""
    who = alert.addressee()
    present = str(hash_of(who))
    known = records.read(RECORD).get("delivery", {})
    recent = 0 <= time.time() - float(known.get("at", 0)) < _MONTH
    if known.get("ok") is True and known.get("to") == present and recent:
        return
    day.more["delivery"] = {"to": present}
    try:
        ways = alert.notify(
            "monitoring",
            "Test alert",
            "This is the monthly test: alerts of this host reach you. There is nothing to do.",
            again=True,
        )
    except alert.AlertError as problem:
        day.undelivered = str(problem)
        day.lines.append(str(problem))
    else:
        day.undelivered = "" if ways else _NO_RECIPIENT
    day.job("delivery", not day.undelivered, day.undelivered or f"It went out by {' and '.join(ways)}.")


def hash_of(who: alert.Addressee) -> str:
    """The recipient, as a hash: a webhook's address is a secret."""
    return integrity.digest({"mail": who.mail, "webhook": who.webhook})[:16]


# ------------------------------------------------------------------------------------------- log and machine


def _watched(day: _Day, portal: Portal) -> None:
    pulse = _pulse(portal.site)
    if pulse:
        words = day.undelivered
    else:
        words = "monit does not run, or did not read our files: see /var/log/monit.log and `monit -t`."
    known = portal.known
    blind = str(pulse.get("error", ""))
    day.job(
        "auth",
        not (words or blind),
        words or blind or f"{pulse.get('text', '')} An alert goes out at {known['failures']}.",
    )
    thresholds = f"monit watches processor, memory and disk; an alert goes out at {known['percent']} % of a disk."
    day.job("resources", not words, words or thresholds)
    if known["log"]:
        problem = log_test(known)
        detail = f"A test error reached {known['log']}, and monit watches it."
        day.job("app_log", not (problem or words), problem or words or detail)
        day.lines += [problem] if problem else []
    day.lines += [line for line in (words, blind) if line]


def _pulse(site: str) -> Mapping[str, Any]:
    """The sign of life that monit leaves when it asks for failed logins; waited for where it was just started."""
    end = time.monotonic() + _PATIENCE
    while True:
        known = watch.pulse(site)
        if known and 0 <= time.time() - float(known["at"]) < _FRESH:
            return known
        if time.monotonic() > end:
            return {}
        time.sleep(0.5)


def log_test(known: Mapping[str, Any]) -> str:
    """Have the application itself make an error, and check that it is in the log. Returns the fault."""
    log = str(known["log"])
    there = os.lstat(log) if os.path.lexists(log) else None
    if there and not stat.S_ISREG(there.st_mode):
        return (
            f"No test error was made: {log} is no regular file ({stat.filemode(there.st_mode)}). What writes to it may "
            "wait without end, and errors are lost. Remove it: the application makes the file again."
        )
    before = there.st_size if there else 0
    code, output = services.run([*known["console"], MARK, "--no-interaction", "--quiet"], 120)
    try:
        handle = open_regular(log)
    except OSError as problem:
        ended = f"bin/console ended with {code}: {shown(output[-300:])}"
        return (
            f"A test error did not reach {log}: {problem.strerror}. {ended} Chamilo writes it in production mode alone "
            "(APP_ENV=prod, section permissions)."
        )
    try:
        size = os.fstat(handle).st_size
        text = os.pread(handle, _LOG_BYTES, before if size >= before else 0)
    finally:
        os.close(handle)
    if MARK.encode() in text:
        return ""
    return f"A test error did not reach {log}. bin/console ended with {code}."


# ------------------------------------------------------------------------------------------------- accounts


def _reviewed(day: _Day, portal: Portal) -> None:
    known = portal.known
    if not portal.leads:
        return
    reader = portal.observer.database
    last = records.read(RECORD).get("accounts", {})
    seen = last.get("administrators", {}).get(portal.site)
    declared = list(known["administrators"])
    review = accounts.review(reader, int(known["dormant_days"]), declared or seen or ())
    # Without a declaration the first list is the yardstick: the person who reads it has to object.
    unrelated = review.unrelated if declared or seen is not None else []
    moments = _notified_at(last)
    reported = time.time() - moments.get(portal.site, 0) < _MONTH
    if reported and set(unrelated) <= set(last.get("strangers", {}).get(portal.site, ())):
        return
    review.unrelated = unrelated
    before = {name: dict(last.get(name, {})) for name in ("administrators", "strangers")}  # other portals' too
    more = day.more.setdefault("accounts", {**before, "told": moments})
    more["administrators"][portal.site] = sorted({*(seen or ()), *review.administrators} - set(unrelated))
    more["strangers"][portal.site] = unrelated
    title = f"{'An unexpected administrator' if unrelated else 'Accounts to review'} at {portal.domain}"
    text = review.description()
    files.replace_file(os.path.join(files.STATE, f"accounts-{portal.site}.txt"), text + "\n")
    holds = "No account was changed or locked for that."
    then = "Lock in Chamilo, under Administration, Users, whoever is unknown or left the school."
    ways = _notify(day, title, text, holds, then, again=True)  # sent alerts are recorded here, by name
    more["told"][portal.site] = time.time() if ways else 0
    listed = f"The list is in {files.STATE}/accounts-{portal.site}.txt."
    day.job(
        "accounts",
        bool(ways),
        f"It went out by {' and '.join(ways)}. {listed}" if ways else f"{day.undelivered} {listed}",
    )
    day.lines += text.splitlines()


def _notified_at(last: Mapping[str, Any]) -> dict[str, float]:
    """When each portal's list last went out. Records of earlier versions know one moment for all of them."""
    moment = float(last.get("at", 0)) if last.get("ok") is True else 0.0
    return {**dict.fromkeys(last.get("administrators", {}), moment), **last.get("told", {})}


def _notify(day: _Day, title: str, text: str, holds: str, then: str, again: bool = False) -> list[str]:
    try:
        return alert.notify("monitoring", title, text, again=again, holds=holds, then=then)
    except alert.AlertError as problem:  # it is in the journal, too
        day.undelivered = str(problem)
        return []


# ---------------------------------------------------------------------------------------------------- files


def _compared(day: _Day, portal: Portal) -> None:
    manifest = integrity.Manifest(portal.site, portal.observer.root)
    try:
        changes, present, known = manifest.inspect()
    except integrity.IntegrityError as problem:
        day.job("integrity", False, str(problem))
        day.lines.append(str(problem))
        title = f"The list of files of {portal.domain} cannot be used"
        then = "chamilo-hardening integrity check --against COPY, with the copy that the machine of the playbook has"
        _notify(day, title, str(problem), "The portal is in use as before; its files are compared with no list.", then)
        return
    if known is None:
        value = manifest.accept(present, "first list")
        day.lines.append(f"A list of {len(present):,} files of {portal.domain} was made.")
    if changes:
        then = (
            "After an update, or when you changed them: chamilo-hardening integrity accept\n"
            "If you did not: see chamilo-hardening integrity lists, and docs/break-in.md of the collection."
        )
        holds = "All other files are as listed. None was changed back."
        ways = _notify(day, f"Files of {portal.domain} were changed", changes.description(), holds, then)
        day.lines += changes.description().splitlines()
        first = changes.description(3).replace("\n", ", ")
        reported = f"Files of {portal.domain} differ from the list: {first}. Reported by {ways or 'no way'}."
        day.job("integrity", False, reported)
        return
    if known and known["files"] != present:
        value = manifest.accept(present, "written by chamilo.hardening")
    elif known:
        value = str(known["digest"])
    words = f"{len(present):,} files are as listed"
    known_package = release_files.known(portal.observer.root, portal.observer.site.version)
    words += (
        f"; of the release there is {known_package.words}" if known_package else "; of the release no package is known"
    )
    copy = copies().get(portal.site, {})
    if copy.get("digest") == value:
        day.job("integrity", True, f"{words}; a copy of the list is on {copy['where']}.")
    elif copy:
        # What we wrote ourselves is expected; the next run of the playbook fetches the new list.
        day.job("integrity", True, f"{words}; an older list is on {copy['where']}.")
    else:
        lacks = "no copy of the list is off this host: run the playbook harden from another machine."
        day.job("integrity", False, f"{words}, but {lacks}")


def copies() -> dict[str, Any]:
    """Where the lists were copied to, by portal."""
    known: dict[str, Any] = records.read("integrity.json")
    return known


def copied(site: str, digest: str, where: str) -> None:
    """The playbook fetched the list."""
    records.note("integrity.json", site, True, "", digest=digest, where=where)
    _compare_all()


def _compare_all() -> None:
    """Of all portals: what is right of one must not hide what is wrong of another."""
    day = _Day()

    def compared(site: str) -> None:
        _compared(day, portal_of(site))

    for site in sites():
        _attempt(day, f"the files of {site}", partial(compared, site))
    for problem in day.problems:
        day.job("integrity", False, problem)
    day.write()


def lists() -> dict[str, Any]:
    """For the playbook: each portal's list, and whether its present state is off this host."""
    found = {}
    for site in sites():
        try:
            known = integrity.Manifest(site, "").read()
        except integrity.IntegrityError:  # the comparison reported it
            continue
        if known:
            found[site] = {"digest": known["digest"], "copied": copies().get(site, {}).get("digest") == known["digest"]}
    return found


def sites() -> list[str]:
    """The portals that are watched here."""
    return [re.sub(r"^monitoring-|\.json$", "", os.path.basename(path)) for path in _configurations()]


def compare(site: str, against: str = "") -> integrity.Changes:
    """What differs now: from the list of this host, or from a copy of it."""
    manifest = integrity.Manifest(site, str(watch.configuration(site)["root"]))
    if not against:
        return manifest.inspect()[0]
    manifest.path = against
    known = manifest.read()
    if known is None:
        raise MonitoringError(f"There is no {against}.")
    return integrity.compare(known["files"], comparison.files(manifest.root))


def compare_release(site: str, archive: str = "", sha256: str = "") -> comparison.Comparison:
    """What differs from the package of the release: from the one that is named, or whose manifest the host has."""
    portal = portal_of(site)
    root, version = portal.observer.root, portal.observer.site.version
    if archive:
        manifest = package.read(archive, sha256)
        if not release_files.is_of(manifest, version):
            raise MonitoringError(f"{archive} is the package of Chamilo {manifest.version}; {version} is installed.")
        release_files.remember(manifest, root)
    return comparison.against_release(root, version, Store(files.STATE).written())


def accept(site: str) -> str:
    """The files as they are now are the ones that are expected."""
    portal = portal_of(site)
    manifest = integrity.Manifest(site, portal.observer.root)
    changes, present, _known = manifest.inspect()
    manifest.accept(present, "accepted by hand")
    _compare_all()
    lines = left_behind.accept(site, _lists(portal))
    differed = changes.description() or "Nothing differed."
    return f"{differed}\nOf the lists of what an intruder may have left, {lines} lines are expected from now on."


def _edited(day: _Day) -> None:
    """Files of ours that were edited by hand, and lines of ours that are gone from files of other owners."""
    state = Store(files.STATE).peek()
    edited = [path for paths in repair.edited(state).values() for path in paths]
    if edited:
        then = "Run the playbook harden: it shows the difference with --check --diff, and writes them again."
        holds = "What is in the files is active, as it was edited. All other files are as they were written."
        _notify(day, "Files of this collection were edited by hand", "\n".join(edited), holds, then)
        day.lines += [f"Edited by hand: {path}" for path in edited]
    lost = [sentence for sentences in our_lines.lost(state).values() for sentence in sentences]
    if lost:
        then = "Find out what writes the file, as a panel or Certbot. The playbook harden adds them again."
        holds = "The other lines of the virtual host are as they were; what the lost ones include is not active."
        _notify(day, "Lines of this collection are gone from a virtual host", "\n".join(lost), holds, then)
        day.lines += lost


# -------------------------------------------------------------------------------------------------- lists


def _listed(day: _Day, portal: Portal) -> None:
    new = left_behind.note(portal.site, _lists(portal))
    if new:
        then = f"What is yours: {left_behind.ACCEPT}\nWhat worries you: docs/break-in.md of the collection."
        title = f"New at {portal.domain}, which an intruder may have left"
        holds = "Nothing of it was stopped or removed."
        if _notify(day, title, "\n".join(new), holds, then, again=True):  # what was reported is remembered here
            left_behind.reported(portal.site)
        day.lines += new


def lists_of(site: str) -> list[str]:
    """The lists as they are now. What was not accepted begins with a star."""
    found = _lists(portal_of(site))
    left_behind.note(site, found)
    unread = set(found.lines(records.read(left_behind.RECORD)[site].get("accepted", ())))
    return [f"{'*' if line in unread else ' '} {line}" for line in found.lines()] + found.gaps


def unread() -> dict[str, str]:
    """Of each portal, how many of the lines that were listed last nobody accepted, and the day."""
    found = {}
    for site, known in records.read(left_behind.RECORD).items():
        if isinstance(known, dict) and known.get("lines"):
            day = time.strftime("%Y-%m-%d", time.gmtime(known["at"]))
            found[site] = f"{len(known['lines'])} lines, as listed on {day}"
    return found


def _lists(portal: Portal) -> left_behind.Lists:
    return left_behind.make(portal.observer, portal.leads)


def _retired() -> None:
    records.forget(RECORD, "compromise")
    for path in (path for pattern in _RETIRED for path in glob.glob(os.path.join(files.STATE, pattern))):
        os.unlink(path)


# --------------------------------------------------------------------------------------------------- audit


def _audited(portal: Portal, audit: Audit) -> None:
    """Run one audit where its figures are needed."""
    directory = str(portal.known.get("figures") or "")
    if directory:
        path = os.path.join(directory, f"chamilo_{portal.site}.prom")
        files.replace_file(path, audit(portal.site, portal.observer), 0o644)
