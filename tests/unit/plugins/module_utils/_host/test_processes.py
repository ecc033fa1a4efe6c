# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._host import processes
from ansible_collections.chamilo.hardening.plugins.module_utils._host.processes import Job

TIMERS = """\
Id=phpsessionclean.timer
Unit=phpsessionclean.service
ActiveState=active
TimersCalendar={ OnCalendar=*-*-* *:09,39:00 ; next_elapse=Wed 2026-11-25 14:09:00 UTC }

Id=systemd-tmpfiles-clean.timer
Unit=systemd-tmpfiles-clean.service
ActiveState=inactive
TimersMonotonic={ OnUnitActiveUSec=1d ; next_elapse=0 }
TimersMonotonic={ OnBootUSec=15min ; next_elapse=39min 16.609585s }
"""
SERVICES = """\
ExecStart={ path=/usr/lib/php/sessionclean ; argv[]=/usr/lib/php/sessionclean ; ignore_errors=no ; start_time=[n/a] }
Result=success
Id=phpsessionclean.service
OnFailure=mail@phpsessionclean.service
"""


def test_timers(monkeypatch):
    def output(argv):
        return TIMERS if argv[-1] == "*.timer" else SERVICES

    monkeypatch.setattr(processes, "output", output)
    clean, tmpfiles = processes._timers()
    assert clean == Job(
        source="phpsessionclean.timer",
        command="/usr/lib/php/sessionclean",
        active=True,
        service="phpsessionclean.service",
        schedule=("OnCalendar=*-*-* *:09,39:00",),
        result="success",
        alerts="mail@phpsessionclean.service",
    )
    assert not tmpfiles.active
    assert tmpfiles.command == "systemd-tmpfiles-clean.service"
    assert tmpfiles.schedule == ("OnUnitActiveUSec=1d", "OnBootUSec=15min")


CALENDAR = """\
  Original form: *-*-* *:0/5:00
Normalized form: *-*-* *:00/5:00
    Next elapse: Wed 2026-11-25 13:50:00 UTC
       From now: 11s left
   Iteration #2: Wed 2026-11-25 13:55:00 UTC
       From now: 5min left
   Iteration #3: Wed 2026-11-25 14:05:00 UTC
       From now: 15min left
"""


@pytest.mark.parametrize(
    ("schedule", "printed", "seconds"),
    [
        (("OnCalendar=*-*-* *:0/5:00",), CALENDAR, 600.0),  # the longest of its pauses
        (("OnCalendar=*-*-* *:0/5:00",), CALENDAR.replace("Iteration", "    Iter."), 600.0),  # systemd 252
        (("OnUnitActiveUSec=5min",), "Original: 5min\n      \u03bcs: 300000000\n   Human: 5min", 300.0),
        (("OnBootUSec=15min",), "", float("inf")),
        (("OnCalendar=daily", "OnBootUSec=1min"), "", float("inf")),
        ((), "", float("inf")),
    ],
)
def test_the_longest_pause_of_a_timer(monkeypatch, schedule, printed, seconds):
    monkeypatch.setattr(processes, "output", lambda argv: printed)
    assert processes.longest_pause(Job("x.timer", "x", schedule=schedule)) == seconds


@pytest.mark.parametrize(
    ("systemd", "line", "active"),
    [
        (True, "0 */12 * * * root test -x /usr/bin/certbot -a \\! -d /run/systemd/system && certbot renew", False),
        (False, "0 */12 * * * root test -x /usr/bin/certbot -a \\! -d /run/systemd/system && certbot renew", True),
        (True, "@daily root certbot renew", True),
    ],
)
def test_cron(monkeypatch, systemd, line, active):
    texts = {"/etc/cron.d/certbot": f"# a comment about certbot\nSHELL=/bin/sh\n{line}\n"}
    monkeypatch.setattr(processes.glob, "glob", lambda pattern: list(texts) if pattern == "/etc/cron.d/*" else [])
    monkeypatch.setattr(processes, "_text", lambda path: texts.get(path, ""))
    (job,) = processes._cron(systemd)
    assert job == Job("/etc/cron.d/certbot:3", line, active=active)
    assert processes.named([job], r"\bcertbot\b") == ([job] if active else [])


def test_what_cron_runs_itself_and_from_its_directories(monkeypatch):
    """A script with a point in its name is skipped by run-parts, and so is one that is not executable."""
    texts = {
        "/var/spool/cron/crontabs/ada": "  @hourly one\n\n# 7 * * * * no\nx=7\n*/5 * * * * two\r\n0 5 * * * three",
        "/etc/cron.daily/runs": "work",
        "/etc/cron.daily/runs.sh": "work",
        "/etc/cron.weekly/closed": "work",
        "/etc/cron.monthly/idle": "[ -d /run/systemd/system ] && exit",
    }
    monkeypatch.setattr(processes.glob, "glob", lambda of: [path for path in texts if os.path.dirname(path) == of[:-2]])
    monkeypatch.setattr(processes, "_text", lambda path: texts.get(path, ""))
    monkeypatch.setattr(processes.os, "access", lambda path, _mode: not path.endswith("closed"))
    assert [(job.source, job.command, job.active) for job in processes._cron(systemd=True)] == [
        ("/var/spool/cron/crontabs/ada:1", "@hourly one", True),
        ("/var/spool/cron/crontabs/ada:5", "*/5 * * * * two", True),
        ("/var/spool/cron/crontabs/ada:6", "0 5 * * * three", True),
        *[(path, text, path.endswith("/runs")) for path, text in texts.items() if path.startswith("/etc")],
    ]
    assert [job.active for job in processes._cron(systemd=False)][-1:] == [True]


def test_processes_of_this_host():
    found = {process.pid: process for process in processes.processes()}
    own = found[os.getpid()]
    assert (own.parent, own.user) == (os.getppid(), os.geteuid())
    assert 1 in found
