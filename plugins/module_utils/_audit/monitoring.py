# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks for alerts: of errors, of a full disk, of guessed passwords, of accounts, of changed files."""

from __future__ import annotations

import fnmatch
import glob
import json
import os
import re
import time
from dataclasses import replace
from functools import partial
from typing import Any

from .._application.accounts import LOCKED, administrators
from .._application.database import Row
from .._application.observer import Observer, Unseen
from .._common import records
from .._common.control import FAIL, PASS, Finding, check, failed, passed, waiting
from .._common.naming import word
from .._common.paths import head, shown
from .._common.sentences import first_of
from .._host.processes import named
from .._monitoring import left_behind
from .host_jobs import RECORDS, SETTINGS, is_enabled, job_of_ours, no_recipient, not_ours, settings

OURS = "monitoring.json"
_DAY, _MONTH = 26, 31 * 24  # hours
_TEXT = 1 << 16  # bytes of one configuration file
_FILES = 200
_PULSE = "/run/chamilo-hardening"  # where monit leaves a sign of life when it asks for failed logins
_MONIT_STARTED = "/run/monit.pid"
_LEAST = 1000  # bytes of a list of a program's files
_FRESH = 900  # seconds: it asks every two minutes

_MONIT = ("/etc/monit/monitrc", "/etc/monit/conf.d/*", "/etc/monit/conf-enabled/*")
_LOGROTATE = ("/etc/logrotate.conf", "/etc/logrotate.d/*")


def left(observer: Observer) -> list[str]:
    """What an intruder may have left and was not accepted yet, for the top of the report."""
    return list(map(str, _lists(observer).get("lines", ()))) if observer.as_root else []


def _joined(patterns: tuple[str, ...]) -> str:
    paths = [path for pattern in patterns for path in sorted(glob.glob(pattern))[:_FILES]]
    text = b"\n".join(head(path, _TEXT) for path in paths).decode("utf-8", "replace")
    return "\n".join(line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))


def _monit(_observer: Observer) -> str:
    """The configuration of monit, without comments."""
    return _joined(_MONIT)


# ------------------------------------------------------------------------------- what our own watch is made of


def _watch_lost(observer: Observer, *desired: str) -> str:
    """What is gone of the watch that monit keeps: it runs, has our checks, and asks."""
    if not any(process.name == "monit" for process in observer.processes):
        return "monit does not run"
    for words in desired:
        if words not in observer.once(_monit):
            return f"the configuration of monit does not contain `{words}` any more"
    for site in settings("monitoring"):
        age = observer.now - _asked(site)
        if not -_FRESH < age < _FRESH:
            return f"monit does not ask for failed logins of {site}"
    return ""


def _asked(site: str) -> float:
    """When monit last asked for failed logins; where it never did since this host came up, when it was started."""
    try:
        return float(_sign(site)["at"])
    except (ValueError, KeyError, TypeError):
        return os.path.getmtime(_MONIT_STARTED) if os.path.exists(_MONIT_STARTED) else 0.0


def _sign(site: str) -> dict[str, Any]:
    """The sign of life of the watch over failed logins, and what keeps it from seeing any."""
    try:
        with open(f"{_PULSE}/watch-{site}.json", encoding="utf-8") as stream:
            known = json.load(stream)
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _logins_lost(observer: Observer) -> str:
    """What keeps failed logins from being counted now."""
    blind = (str(_sign(site).get("error", "")).rstrip(".") for site in settings("monitoring"))
    return _watch_lost(observer, "watch logins") or next((f"now: {words}" for words in blind if words), "")


def _log_lost(observer: Observer, log: str, environment: str) -> str:
    files = ("config/packages/*.y*ml", f"config/packages/{environment}/*.y*ml")
    text = _joined(tuple(os.path.join(observer.root, pattern) for pattern in files))
    # A block for another environment, such as "when@dev:", does not apply to this one.
    text = re.sub(rf"(?ms)^when@(?!{re.escape(environment)}:).*?(?=^\S|\Z)", "", text)
    if "kernel.logs_dir" not in text:
        return "no configuration of Chamilo sends its errors to var/log any more"
    return _watch_lost(observer, log)


def _list_lost() -> str:
    gone = [site for site in settings("monitoring") if _is_empty(f"{RECORDS}/integrity-{site}.json")]
    return f"the list of {first_of(gone)} is gone" if gone else ""


def _is_empty(path: str) -> bool:
    return not os.path.exists(path) or os.path.getsize(path) < _LEAST


def _monit_blunt(observer: Observer) -> str:
    """Why monit would find nothing, or tell nobody."""
    text = observer.once(_monit)
    seconds = re.search(r"^\s*set daemon\s+(\d+)", text, re.MULTILINE)
    if seconds and int(seconds[1]) > _FRESH:
        return f"monit looks once in {seconds[1]} seconds"
    ours = text[text.find("check system chamilo_host") :]
    full = re.search(r"usage > (?:100|\d{4,})%", ours)
    if full:
        return f"monit reports `{full[0]}`, when it is too late"
    mute = re.search(r"^\s*if .*then exec (?!.*chamilo-hardening alert).*$", ours, re.MULTILINE)
    if mute:
        return f"monit has an alert that does not go out: `{mute[0].strip()[:100]}`"
    return "" if is_enabled("monit") else "monit is not started when the host boots"


# --------------------------------------------------------------------------------------------------- errors


@check("monitoring_app_log")
def app_log(observer: Observer) -> Finding:
    environment = observer.site.environment.get("APP_ENV") or "prod"
    directory = os.path.join(observer.root, "var/log")
    if not os.access(directory, os.R_OK | os.X_OK):
        raise Unseen(f"{directory} cannot be opened by this account")
    kept = [path for path in glob.glob(os.path.join(directory, f"{environment}*.log")) if os.path.getsize(path)]
    desired = os.path.join(directory, f"{environment}.log")
    # Just rotated, and no error since.
    just = os.path.exists(f"{desired}.1") and observer.now - os.path.getmtime(f"{desired}.1") < _MONTH * 3600
    if not kept and not just:
        there = os.path.exists(desired)
        return failed(
            f"{desired} is {'empty' if there else 'not there'}: nothing shows that errors of Chamilo reach a file."
        )
    log = max(kept, key=os.path.getmtime, default=desired)
    rotated = _is_rotated(observer, log, environment)
    what = f"The watch over {log}"
    ours = job_of_ours(
        observer, OURS, "app_log", what, _DAY, "daily", partial(_log_lost, observer, desired, environment)
    )
    if not rotated:
        return failed(f"Errors of Chamilo are in {log}, but nothing rotates it.")
    return ours or not_ours(
        observer,
        f"Errors of Chamilo are in {log}, and no watch over it by the role monitoring was recorded",
    )


def _is_rotated(observer: Observer, log: str, environment: str) -> bool:
    if re.fullmatch(rf"{re.escape(environment)}-\d{{4}}-\d\d-\d\d\.log", os.path.basename(log)):
        return True  # Monolog begins a new one each day
    text = _joined(_LOGROTATE)
    before_braces = " ".join(re.findall(r"([^{}]*)\{", text))
    patterns = [word.strip("\"'") for word in re.findall(r"\"[^\"]+\"|'[^']+'|/\S+", before_braces)]
    covered = any(fnmatch.fnmatchcase(log, pattern) for pattern in patterns)
    return covered and bool(named(observer.jobs, r"\blogrotate\b"))


# ------------------------------------------------------------------------------------------------ resources


@check("monitoring_resources")
def resources(observer: Observer) -> Finding:
    what, words = "The watch over processor, memory and disk", ("watch disks", "check system chamilo_host")
    ours = job_of_ours(
        observer,
        OURS,
        "resources",
        what,
        _DAY,
        "daily",
        lambda: _watch_lost(observer, *words) or _monit_blunt(observer),
    )
    return ours or not_ours(
        observer,
        "No watch over processor, memory and disk by the role monitoring was recorded",
    )


# ------------------------------------------------------------------------------------------- failed logins


@check("monitoring_auth")
def auth(observer: Observer) -> Finding:
    ours = job_of_ours(
        observer, OURS, "auth", "The count of failed logins", _DAY, "daily", partial(_logins_lost, observer)
    )
    return ours or not_ours(observer, "No count of failed logins by the role monitoring was recorded")


# ------------------------------------------------------------------------------------------------ accounts


def _days(observer: Observer) -> int:
    return int(observer.options["dormant_days"])


def _people(observer: Observer) -> Row:
    """Numbers about accounts, in one query."""
    people = "FROM `user` WHERE status NOT IN (6, 99) AND active <> -2"
    return observer.database.query(
        "SELECT"
        f" (SELECT COUNT(*) {people}) AS total,"
        f" (SELECT COUNT(*) {people} AND active = 1 AND last_login < NOW() - INTERVAL %s DAY) AS dormant,"
        f" (SELECT COUNT(*) {people} AND active = 1 AND last_login IS NULL AND created_at < NOW() - INTERVAL %s DAY)"
        " AS never,"
        f" (SELECT COUNT(*) FROM (SELECT email {people} AND email <> '' GROUP BY email HAVING COUNT(*) > 1) AS doubles)"
        " AS twice,"
        f" (SELECT COUNT(*) {people} AND {LOCKED}) AS locked",
        (_days(observer), _days(observer)),
    )[0]


def _accounts_lost(observer: Observer) -> str:
    """Why no report on this portal's accounts would be sent today, or was not lately: the record is of all portals."""
    with open(f"{RECORDS}/{OURS}", encoding="utf-8") as stream:
        reported = json.load(stream)["accounts"].get("told")
    domain = observer.site.domain
    ours = [site for site, known in settings("monitoring").items() if str(known.get("domain")).lower() == domain]
    # Earlier versions wrote down no moment of a portal's own.
    if reported is not None and not any(observer.now - reported.get(site, 0) < _MONTH * 3600 for site in ours):
        return f"none of {domain} went out in the last month"
    return no_recipient()


@check("monitoring_accounts")
def accounts(observer: Observer) -> Finding:
    row, days = observer.once(_people), _days(observer)
    admins = [admin for admin in administrators(observer.database, 0) if admin["active"] == "1"]
    listed = first_of(shown(admin["username"] or "") for admin in admins)
    text = (
        f"Of {row['total']} accounts {row['dormant']} were not used for {days} days, {row['never']} never, "
        f"{row['twice']} mail addresses are there more than once, {row['locked']} accounts seem to be locked by "
        f"guessing, and {len(admins)} are administrators: {listed}."
    )
    lost = partial(_accounts_lost, observer)
    ours = job_of_ours(observer, OURS, "accounts", "The list of accounts for a person", _MONTH, "daily", lost)
    if ours:
        return replace(ours, evidence=f"{ours.evidence} {text}")
    observer.needs_root(f"read {RECORDS}/{OURS}")
    return failed(f"{text} Nothing shows that a person was given such a list in the last month.")


@check("monitoring_delivery")
def delivery(observer: Observer) -> Finding:
    ours = job_of_ours(observer, OURS, "delivery", "The test alert", _MONTH, "daily", no_recipient)
    if ours:
        return _to_today(ours)
    observer.needs_root(f"read {RECORDS}/{OURS}")
    mailer = any(os.access(path, os.X_OK) for path in ("/usr/sbin/sendmail", "/usr/bin/msmtp"))
    hint = "" if mailer else " This host has no program to send mail with."
    return failed(f"No test alert is known to have arrived: there is no such entry in {RECORDS}/{OURS}.{hint}")


def _to_today(ours: Finding) -> Finding:
    """The test alert went to the recipients of that day."""
    if ours.status != PASS:
        return ours
    with open(f"{SETTINGS}/alert.json", encoding="utf-8") as stream:
        mail = str(json.load(stream).get("mail") or "")
    if mail and "by mail to " in ours.evidence and mail not in ours.evidence:
        return failed(f"{ours.evidence} It did not go to {mail}, which is configured now: chamilo-hardening daily.")
    return ours


# ----------------------------------------------------------------------------------------------- integrity


_ACCEPT = "chamilo-hardening integrity accept"
_TO_ACCEPT = f"For a person: inspect what differs, then run on the host: {_ACCEPT}"


@check("monitoring_integrity")
def integrity(observer: Observer) -> Finding:
    what = "The comparison of the program's files with their list"
    ours = job_of_ours(observer, OURS, "integrity", what, _DAY, "daily", _list_lost)
    if ours:
        return waiting(ours.evidence, _TO_ACCEPT) if ours.status == FAIL and _ACCEPT in ours.evidence else ours
    return not_ours(observer, "No comparison of the program's files by the role monitoring was recorded")


@check("monitoring_compromise")
def compromise(observer: Observer) -> Finding:
    """The lists that the daily work made; nothing is searched here."""
    observer.needs_root(f"read {RECORDS}/{left_behind.RECORD}")
    known = _lists(observer)
    if not known:
        raise Unseen("no lists were made here: harden with section monitoring, or chamilo-hardening daily monitoring")
    age, when = (observer.now - known["at"]) / 3600, _moment(known["at"])
    if not -1 < age < _DAY:
        raise Unseen(f"the lists are of {when}, not of the last {_DAY} hours: chamilo-hardening daily monitoring")
    missed = f" Not listed: {' '.join(map(str, known['gaps']))}" if known["gaps"] else ""
    if known["lines"]:
        return failed(
            f"On {when} nobody had accepted this much of the lists: {len(known['lines'])}. Read them: "
            f"chamilo-hardening integrity lists. What is yours: {left_behind.ACCEPT}. What worries you: "
            f"docs/break-in.md.{missed}"
        )
    if missed:
        raise Unseen(f"on {when} the lists had no line that was not accepted.{missed}")
    return passed(f"On {when} the lists had no line that was not accepted.")


def _lists(observer: Observer) -> dict[str, Any]:
    """The record of this portal; empty where there is none."""
    site = observer.options["site"] or word(observer.site.domain)
    found = records.read(left_behind.RECORD).get(site)
    whole = isinstance(found, dict) and isinstance(found.get("at"), float)
    return {"lines": [], "gaps": [], **found} if isinstance(found, dict) and whole else {}


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))
