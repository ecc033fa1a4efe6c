# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host program's own jobs: what it wrote down when it last did one, and whether one still starts by itself."""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._application.observer import Observer, Unseen
from .._common import services
from .._common.control import FAIL, Finding, failed, passed
from .._host.processes import Job, named

RECORDS = "/var/lib/chamilo-hardening"
SETTINGS = "/etc/chamilo-hardening"
_MAILERS = ("/usr/sbin/sendmail", "/usr/lib/sendmail")
PROGRAM = "/usr/local/sbin/chamilo-hardening"


@dataclass(frozen=True)
class Record:
    """What the host program wrote down when it last did a job, or tried to."""

    at: float
    done: bool
    detail: str


def settings(section: str) -> dict[str, dict[str, Any]]:
    """What the host program works by in a section, by portal. All of them: its records are of the whole host."""
    found = {}
    for path in sorted(glob.glob(f"{SETTINGS}/{section}-*.json")):
        try:
            with open(path, encoding="utf-8") as stream:
                found[os.path.basename(path)[len(section) + 1 : -len(".json")]] = dict(json.load(stream))
        except (OSError, ValueError, TypeError) as problem:
            raise Unseen(f"{path} cannot be read: {problem}") from problem
    return found


def record(file: str, name: str) -> Record | None:
    """An entry of one of the host program's own records, which root alone can write; None where there is none."""
    try:
        with open(os.path.join(RECORDS, file), encoding="utf-8") as stream:
            entry = json.load(stream).get(name)
        return Record(float(entry["at"]), entry["ok"] is True, str(entry.get("detail", ""))) if entry else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise Unseen(f"{RECORDS}/{file} cannot be read: {problem}") from problem


def state() -> tuple[dict[str, Any], str]:
    """What `chamilo-hardening status` observes, and why it could not. A host that was never hardened has nothing."""
    if not os.path.exists(PROGRAM):
        return {}, ""
    code, text = services.run((PROGRAM, "status", "--json"), 120)
    try:
        return dict(json.loads(text)), ""
    except (ValueError, TypeError):
        return {}, f"chamilo-hardening status ended with {code}: {text[-500:]}"


def job_of_ours(
    observer: Observer, file: str, name: str, what: str, hours: float, starts: str, lost: Callable[[], str] = lambda: ""
) -> Finding | None:
    """The finding from our own record of a job that must have succeeded lately; None without a record.

    One success is not enough: ``starts`` (the command of the host program) must still run it, and ``lost`` names what
    else it needs and is missing.
    """
    entry = record(file, name)
    if entry is None:
        return None
    age = (observer.now - entry.at) / 3600
    if not entry.done:
        words = f"{what} failed {age:.0f} hours ago. {entry.detail}".strip()
        return Finding(FAIL, words, cause=_undelivered(entry))
    if age <= -1:
        return failed(f"{what} is dated {-age / 24:.1f} days in the future: the clock was wrong then, or is now.")
    if age > hours:
        return failed(f"{what} last succeeded {age / 24:.1f} days ago; it should be no older than {hours:.0f} hours.")
    gone = is_started(observer, starts) or lost()
    if gone:
        return failed(f"{what} succeeded {age:.0f} hours ago, but {gone}.")
    return passed(f"{what} succeeded {age:.0f} hours ago. {entry.detail}".strip())


def not_ours(observer: Observer, missing: str) -> Finding:
    """The finding without a record of ours. Whether another program does it a person knows, and no list of names."""
    observer.needs_root(f"read {RECORDS}")
    return failed(
        f"{missing}. Where another program does that, waive this control with the name of who looks after it."
    )


def _undelivered(entry: Record) -> str:
    """The cause, where a job failed for want of a way for alerts."""
    delivery = record("monitoring.json", "delivery")
    if delivery is None or delivery.done or not delivery.detail or delivery.detail not in entry.detail:
        return ""
    return f"{delivery.detail} When that is mended, run on the host: chamilo-hardening daily monitoring"


def is_started(observer: Observer, command: str) -> str:
    """Why a command of the host program does not start by itself any more; empty where it does."""
    if not os.access(PROGRAM, os.X_OK):
        return f"{PROGRAM} is not there any more"
    started = named(observer.jobs, rf"\bchamilo-hardening {command}(?:\s|$)")
    if not started:
        return f"no timer and no cron job of this host calls chamilo-hardening {command} any more"
    runs = {process.name for process in observer.processes} & {"cron", "crond"}
    if not runs and not any(job.service for job in started):
        return f"{started[0].source} is to start it, and cron does not run"
    if not any(job.service for job in started) and not any(map(is_enabled, runs)):
        return "cron is not started when the host boots"
    passed_over = [kept_from_starting(job) for job in started]
    return passed_over[0] if all(passed_over) else ""


def is_enabled(unit: str) -> bool:
    """Whether a unit is started when the host boots, as far as systemd knows it."""
    code, text = services.run(("systemctl", "is-enabled", unit), 20)
    return not code or not {"disabled", "masked"} & {*text.split()}


def kept_from_starting(job: Job) -> str:
    """A condition of its unit that does not hold, by which systemd passes over it; empty where it starts."""
    if not job.service:
        return ""
    code, text = services.run(("systemd-analyze", "condition", f"--unit={job.service}"), 20)
    found = re.search(r"(?:Condition|Assert)\w+=\S+(?= failed)", text)
    return f"{found[0]} of {job.service} does not hold" if code and found else ""


def no_recipient() -> str:
    """Why no alert would be sent today."""
    path = f"{SETTINGS}/alert.json"
    try:
        with open(path, encoding="utf-8") as stream:
            known = json.load(stream)
        mail, webhook = known.get("mail"), known.get("webhook")
    except (OSError, ValueError, AttributeError):
        return f"{path}, which names the recipients of alerts, is gone or damaged"
    if not (mail or webhook):
        return "no recipient is named any more"
    if not webhook and not any(os.access(path, os.X_OK) for path in _MAILERS):
        return "this host has no program any more to send mail with"
    return ""
