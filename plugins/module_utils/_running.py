# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""What runs on this host, now (processes) and by the clock (timers and cron jobs). Read only.

Each function takes a ``Look``, so that several checks can share it by ``look.once``.
"""

from __future__ import annotations

import glob
import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.chamilo.hardening.plugins.module_utils._look import Look

_CRON_FOLDERS = ("hourly", "daily", "weekly", "monthly")
_CRON_LIMIT = 200_000  # bytes of one crontab or script


@dataclass(frozen=True)
class Process:
    """One process. ``user`` is the effective user id."""

    pid: int
    parent: int
    name: str
    user: int


@dataclass(frozen=True)
class Job:
    """Something that starts by the clock. ``last`` and ``next`` are seconds since 1970, 0 where nobody knows."""

    source: str  # the timer, or the crontab and line
    command: str
    active: bool = True
    service: str = ""
    last: float = 0
    next: float = 0
    result: str = ""  # of the last run: success, exit-code, ...
    tells: str = ""  # what is started when it fails


def said(argv: Sequence[str], seconds: float = 20, user: int | None = None) -> str:
    """What a command prints; an empty text where it cannot run or fails."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, env=environment, user=user
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def processes(_look: Look) -> tuple[Process, ...]:
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


def jobs(look: Look) -> tuple[Job, ...]:
    """Every timer of systemd and every line of cron. Users' own crontabs only as root."""
    return (*_timers(), *_cron(look.site.systemd))


def named(known: Iterable[Job], pattern: str) -> list[Job]:
    """The active ones whose command matches."""
    return [job for job in known if job.active and re.search(pattern, job.command)]


def _show(properties: str, *units: str) -> list[dict[str, str]]:
    text = said(["systemctl", "show", "--timestamp=unix", f"--property={properties}", "--", *units])
    blocks = (block.splitlines() for block in text.split("\n\n"))
    return [dict(line.split("=", 1) for line in block if "=" in line) for block in blocks if block]


def _moment(text: str | None) -> float:
    """``@1764079749``; anything else is no moment."""
    found = re.fullmatch(r"@(\d+)(?:\.\d+)?", text or "")
    return float(found[1]) if found else 0


def _timers() -> list[Job]:
    timers = _show("Id,Unit,ActiveState,LastTriggerUSec,NextElapseUSecRealtime", "*.timer")
    names = sorted({timer["Unit"] for timer in timers if timer.get("Unit")})
    services = {each.get("Id", ""): each for each in _show("Id,ExecStart,Result,OnFailure", *names)} if names else {}
    return [_timer(timer, services.get(timer.get("Unit", ""), {})) for timer in timers if timer.get("Id")]


def _timer(timer: Mapping[str, str], service: Mapping[str, str]) -> Job:
    command = re.search(r"argv\[\]=(.*?) ; ", service.get("ExecStart", ""))
    return Job(
        source=timer["Id"],
        command=command[1] if command else timer.get("Unit", ""),
        active=timer.get("ActiveState") == "active",
        service=timer.get("Unit", ""),
        last=_moment(timer.get("LastTriggerUSec")),
        next=_moment(timer.get("NextElapseUSecRealtime")),
        result=service.get("Result", ""),
        tells=service.get("OnFailure", ""),
    )


def _cron(systemd: bool) -> list[Job]:
    found = []
    for path in ["/etc/crontab", *sorted(glob.glob("/etc/cron.d/*") + glob.glob("/var/spool/cron/crontabs/*"))]:
        for number, line in enumerate(_text(path).splitlines(), 1):
            # Debian's own lines look for systemd and then leave the work to its timer.
            idle = systemd and "/run/systemd/system" in line
            if re.match(r"\s*(?:@|[\d*])", line):
                found.append(Job(f"{path}:{number}", line.strip(), active=not idle))
    for folder in _CRON_FOLDERS:
        for path in sorted(glob.glob(f"/etc/cron.{folder}/*")):
            text = _text(path)
            runs = os.access(path, os.X_OK) and "." not in os.path.basename(path)
            idle = systemd and "/run/systemd/system" in text
            found.append(Job(path, text, active=runs and not idle))
    return found


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_CRON_LIMIT)
    except OSError:  # not there, or not for us
        return ""
