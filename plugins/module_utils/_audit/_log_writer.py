# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether PHP's user can write a log that bans rest on: now, by a handle that it has open, or after a rotation."""

from __future__ import annotations

import os
import pwd
import re
import stat

from .._application.observer import Observer, Unseen
from .._common import services

_ROTATION = ("logrotate", "--debug", "--force", "/etc/logrotate.conf")
_REOPENS = re.compile(r"\bUSR1\b|\bnginx\s+rotate\b|\bnginx\s+-s\s+reopen\b")


class Writer:
    """PHP's user, and with it an attacker who takes over a page, before a log: now, and once it is rotated."""

    def __init__(self, observer: Observer) -> None:
        name = observer.site.php.user
        if not name:
            raise Unseen("as whom PHP runs was not found, so whether that user can write the log is not known")
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            raise Unseen(f"PHP is configured to run as {name}, which this host does not know") from None
        self.name, self.uid = name, account.pw_uid
        self.groups = {*os.getgrouplist(name, account.pw_gid)}
        # nginx gives its logs to the user of its workers where it reopens them.
        self.reopens = observer.site.web.name == "nginx" and observer.site.web.user == name
        self.server = {"nginx": "nginx", "apache": "apache2"}.get(observer.site.web.name, "")
        self.processes = [one for one in observer.processes if one.user == self.uid and one.name != self.server]
        # It prints what it would do, and does nothing.
        self.rotations = services.run(_ROTATION, 30)[1].split("\nrotating pattern: ")[1:]

    def may(self, owner: int, group: int, mode: int) -> bool:
        bits = stat.S_IWOTH | (stat.S_IWGRP if group in self.groups else 0)
        return owner == self.uid or bool(mode & bits)

    def way_into(self, log: str) -> str:
        status = os.stat(log)
        if self.may(status.st_uid, status.st_gid, status.st_mode):
            return f"{log} is {self.name}'s to write. Rotate it once its rotation leaves it to root"
        above = log
        while above != "/":
            above = os.path.dirname(above)
            there = os.stat(above)
            if self.may(there.st_uid, there.st_gid, there.st_mode) and not there.st_mode & stat.S_ISVTX:
                return f"{above}, where {log} is, is {self.name}'s to write. Have the log written elsewhere"
        holder = next((one for one in self.processes if _has_open(one.pid, status)), None)
        if holder:
            return f"process {holder.pid} ({holder.name}) of {self.name} has {log} open. Rotate it"
        return next(filter(None, (self.after(rotation, log) for rotation in self.rotations)), "")

    def after(self, rotation: str, log: str) -> str:
        """What a rotation, as logrotate reports it, will do to the log."""
        pattern = rotation.partition(" forced from command line")[0]
        made = re.search(
            rf"^creating new {re.escape(log)} mode = (\d+) uid = (\d+) gid = (\d+)$", rotation, re.MULTILINE
        )
        if made and self.may(int(made[2]), int(made[3]), int(made[1], 8)):
            return f"the rotation of {pattern} makes {log} for {self.name} (create in /etc/logrotate.d)"
        if self.reopens and "nginx" in rotation and _REOPENS.search(rotation):
            return (
                f"the rotation of {pattern} has nginx reopen its logs, which gives them to {self.name}; have it reload"
            )
        return ""


def _has_open(pid: int, file: os.stat_result) -> bool:
    """Whether the process can write to the file through a handle that it has."""
    try:
        handles = os.listdir(f"/proc/{pid}/fd")
    except FileNotFoundError:  # it ended meanwhile
        return False
    return any(_writes(pid, handle, file) for handle in handles)


def _writes(pid: int, handle: str, file: os.stat_result) -> bool:
    try:
        there = os.stat(f"/proc/{pid}/fd/{handle}")
        if (there.st_dev, there.st_ino) != (file.st_dev, file.st_ino):
            return False
        with open(f"/proc/{pid}/fdinfo/{handle}", encoding="ascii") as reported:
            flags = re.search(r"^flags:\s+([0-7]+)$", reported.read(), re.MULTILINE)
    except FileNotFoundError:  # closed meanwhile: the others still count
        return False
    return bool(flags and int(flags[1], 8) & os.O_ACCMODE != os.O_RDONLY)
