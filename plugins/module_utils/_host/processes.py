# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on this host, now (processes) and by the clock (timers and cron jobs). Read only."""

from __future__ import annotations

import datetime
import glob
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .._common import services as common_services

_CRON_DIRECTORIES = ("hourly", "daily", "weekly", "monthly")
_SOON = 40 * 86400  # seconds: what is done each month is
CRON_LIMIT = 200_000  # bytes of one crontab or script
CRONTABS = ("/var/spool/cron/crontabs", "/var/spool/cron")  # of users: Debian's cron, and cronie


@dataclass(frozen=True)
class Process:
    """One process. ``user`` is the effective user id."""

    pid: int
    parent: int
    name: str
    user: int


@dataclass(frozen=True)
class Job:
    """Something that starts by the clock."""

    source: str  # the timer, or the crontab and line
    command: str
    active: bool = True
    service: str = ""
    schedule: tuple[str, ...] = ()  # of a timer: OnCalendar=... and OnUnitActiveUSec=..., as systemd shows them
    result: str = ""  # of the last run: success, exit-code, ...
    alerts: str = ""  # what is started when it fails


def output(argv: Sequence[str], seconds: float = 20) -> str:
    """What a command prints, with times in UTC; an empty text where it cannot run or fails."""
    code, text = common_services.run(("env", "TZ=UTC", *argv), seconds)
    return "" if code else text


def processes() -> tuple[Process, ...]:
    """Every process this user may see."""
    found = []
    for pid in (name for name in os.listdir("/proc") if name.isdigit()):
        try:
            with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        except OSError:  # it ended meanwhile
            continue
        found.append(Process(int(pid), int(status["PPid"]), status["Name"], int(status["Uid"].split()[1])))
    return tuple(found)


def jobs(systemd: bool) -> tuple[Job, ...]:
    """Every timer of systemd, if that runs this host, and every line of cron. Users' own crontabs only as root."""
    return (*_timers(), *_cron(systemd))


def named(known: Iterable[Job], pattern: str) -> list[Job]:
    """The active ones whose command matches."""
    return [job for job in known if job.active and re.search(pattern, job.command)]


def _show(properties: str, *units: str) -> list[dict[str, list[str]]]:
    """The properties of units; one that is there several times keeps all its values."""
    found = []
    for block in output(["systemctl", "show", f"--property={properties}", "--", *units]).split("\n\n"):
        unit: dict[str, list[str]] = {}
        for name, _is, value in (line.partition("=") for line in block.splitlines()):
            unit.setdefault(name, []).append(value)
        found.append(unit)
    return found


def _one(unit: Mapping[str, Sequence[str]], name: str) -> str:
    return next(iter(unit.get(name, ())), "")


def _moment(text: str) -> float:
    """``Wed 2026-11-25 14:09:00 UTC``; anything else is no moment."""
    found = re.search(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", text)
    return datetime.datetime.fromisoformat(f"{found[1]}+00:00").timestamp() if found else 0


def _timers() -> list[Job]:
    desired = "Id,Unit,ActiveState,TimersCalendar,TimersMonotonic,NextElapseUSecRealtime"
    timers = [timer for timer in _show(desired, "*.timer") if _one(timer, "Id")]
    names = sorted({_one(timer, "Unit") for timer in timers} - {""})
    services = {_one(each, "Id"): each for each in _show("Id,ExecStart,Result,OnFailure", *names)} if names else {}
    return [_timer(timer, services.get(_one(timer, "Unit"), {})) for timer in timers]


def _timer(timer: Mapping[str, Sequence[str]], service: Mapping[str, Sequence[str]]) -> Job:
    command = re.search(r"argv\[\]=(.*?) ; ", _one(service, "ExecStart"))
    schedule = [*timer.get("TimersCalendar", ()), *timer.get("TimersMonotonic", ())]
    return Job(
        source=_one(timer, "Id"),
        command=command[1] if command else _one(timer, "Unit"),
        active=_one(timer, "ActiveState") == "active" and not _far(timer),
        service=_one(timer, "Unit"),
        schedule=tuple(found[1] for text in schedule for found in re.finditer(r"\{ (\w+=.*?) ;", text)),
        result=_one(service, "Result"),
        alerts=_one(service, "OnFailure"),
    )


def _far(timer: Mapping[str, Sequence[str]]) -> bool:
    """Whether a timer that goes by the calendar alone starts nothing within weeks."""
    return not timer.get("TimersMonotonic") and _moment(_one(timer, "NextElapseUSecRealtime")) > time.time() + _SOON


def longest_pause(job: Job) -> float:
    """Seconds between two starts of a timer, at most; infinite where unknown. Any of its schedules starts it."""
    return min(map(_pause, job.schedule), default=float("inf"))


def _pause(entry: str) -> float:
    kind, _is, value = entry.partition("=")
    if kind == "OnCalendar":
        text = output(["systemd-analyze", "calendar", "--iterations=5", value])
        starts = [_moment(line) for line in text.splitlines() if re.search(r"elapse:|Iter(?:ation|\.) #", line)]
        return max((later - earlier for earlier, later in zip(starts, starts[1:])), default=float("inf"))
    if kind in ("OnUnitActiveUSec", "OnUnitInactiveUSec"):
        found = re.search(r"s: (\d+)$", output(["systemd-analyze", "timespan", value]), re.MULTILINE)
        return int(found[1]) / 1e6 if found else float("inf")
    return float("inf")  # OnBootSec and the like start once


def _cron(systemd: bool) -> list[Job]:
    found = []
    users = [path for directory in CRONTABS for path in glob.glob(f"{directory}/*")]
    for path in ["/etc/crontab", *sorted(glob.glob("/etc/cron.d/*") + users)]:
        read = _is_read_by_cron(path)
        for number, line in enumerate(_text(path).split("\n"), 1):  # cron knows no other end of a line
            # Debian's own lines check for systemd and then leave the work to its timer.
            idle = systemd and "/run/systemd/system" in line
            if re.match(r"\s*(?:@|[\d*])", line):
                found.append(Job(f"{path}:{number}", line.strip(), active=not idle and read))
    for directory in _CRON_DIRECTORIES:
        for path in sorted(glob.glob(f"/etc/cron.{directory}/*")):
            text = _text(path)
            runs = os.access(path, os.X_OK) and "." not in os.path.basename(path)
            idle = systemd and "/run/systemd/system" in text
            found.append(Job(path, text, active=runs and not idle))
    return found


def _is_read_by_cron(path: str) -> bool:
    """Debian's cron passes over what has a dot in its name in /etc/cron.d, and over what others can write."""
    own = path.startswith("/etc/cron.d/") and os.path.exists(path)
    return not own or ("." not in os.path.basename(path) and not os.stat(path).st_mode & 0o022)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
            return file.read(CRON_LIMIT)
    except OSError:  # not there, or not for us
        return ""
