# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who can write a log that bans rest on. What the audit makes of it is in test_brute_force.py."""

from __future__ import annotations

import pwd
from dataclasses import replace
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._audit import _log_writer
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.observer import Observer, Unseen
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Php, Site, WebServer

NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def observer(monkeypatch):
    monkeypatch.setattr(_log_writer.services, "run", lambda _argv, _seconds: (0, ""))
    monkeypatch.setattr(_log_writer, "processes", lambda _observer: [])
    return Observer(replace(Site("campus.test"), php=Php(user="nobody"), web=WebServer("nginx", user="nobody")), {})


@pytest.mark.parametrize(
    ("log", "above", "words"),
    [
        (0o644, 0o755, ""),
        (0o646, 0o755, "access.log is nobody's to write"),
        (0o644, 0o757, "var, where "),
        (0o644, 0o1757, ""),  # in a sticky directory each may replace what is its own
    ],
)
def test_by_the_file_or_a_directory_above_it(observer, monkeypatch, log, above, words):
    modes = {"/var/log/access.log": log, "/var/log": 0o755, "/var": above, "/": 0o755}
    monkeypatch.setattr(_log_writer.os, "stat", lambda path: SimpleNamespace(st_uid=0, st_gid=0, st_mode=modes[path]))
    way = _log_writer.Writer(observer).way_into("/var/log/access.log")
    assert words in way and bool(way) == bool(words)


def test_an_unknown_user_is_not_assumed_to_write_nothing(observer):
    for name in ("", "no-such-user"):
        observer.site = replace(observer.site, php=Php(user=name))
        with pytest.raises(Unseen):
            _log_writer.Writer(observer)


MADE = """/var/log/*.log forced from command line (14 rotations)
considering log {log}
creating new {log} mode = {mode} uid = {uid} gid = {gid}
{command}
"""


@pytest.mark.parametrize(
    ("web", "made", "words"),
    [
        ("nginx", {}, ""),
        ("nginx", {"uid": NOBODY.pw_uid}, "makes /var/log/a.log for nobody (create in /etc/logrotate.d)"),
        ("nginx", {"gid": NOBODY.pw_gid}, ""),
        ("nginx", {"gid": NOBODY.pw_gid, "mode": "0660"}, "makes /var/log/a.log for nobody"),
        ("nginx", {"mode": "0642"}, "makes /var/log/a.log for nobody"),
        ("nginx", {"mode": "0642", "log": "/var/log/a.logs"}, ""),
        ("nginx", {"mode": "0642", "log": "/var/log/axlog"}, ""),
        ("nginx", {"command": "systemctl reload nginx"}, ""),
        ("nginx", {"command": "nginx -s reopen"}, "has nginx reopen its logs, which gives them to nobody"),
        ("nginx", {"command": "kill -USR1 1 # of another program"}, ""),
        ("apache", {"command": "nginx -s reopen"}, ""),
        ("nginx of another user", {"command": "nginx -s reopen"}, ""),
    ],
)
def test_by_a_rotation_that_makes_it_anew_or_has_it_opened_again(observer, web, made, words):
    name, _of, other = web.partition(" of ")
    observer.site = replace(observer.site, web=WebServer(name, user="www-data" if other else "nobody"))
    values = {"log": "/var/log/a.log", "mode": "0640", "uid": 0, "gid": 4, "command": "", **made}
    way = _log_writer.Writer(observer).after(MADE.format(**values), "/var/log/a.log")
    assert words in way and bool(way) == bool(words)
    assert not way or way.startswith("the rotation of /var/log/*.log ")
