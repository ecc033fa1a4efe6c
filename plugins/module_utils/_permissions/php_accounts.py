# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""The user of a portal's PHP, the groups it is in for a while, and the jobs in its crontab."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
from collections.abc import Collection

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import php_pool
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Tree

_SECONDS = 60
_UNITS = "/etc/systemd/system/*.service"


class PhpUserError(HardeningError):
    """PHP of a portal cannot get another user; the message states why and what to do."""


class Accounts:
    """Creates accounts. A directory of root has the files that commands read."""

    def __init__(self, machine: Machine, directory: str) -> None:
        self._machine = machine
        self._directory = directory

    def command(self, *argv: str) -> None:
        code, output = self._machine.command(argv, _SECONDS)
        if code:
            raise PhpUserError(f"`{' '.join(argv)}` failed ({code}): {output or 'no output'}.")

    def make(self, user: str) -> None:
        """The user and the group of the web server's workers. What is there already stays as it is."""
        self.command("groupadd", "--system", "--force", php_pool.WEB_GROUP)
        try:
            pwd.getpwnam(user)
        except KeyError:
            own = ("--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent")
            shown = ("--shell", "/usr/sbin/nologin", "--comment", "PHP of a portal (chamilo.hardening)")
            self.command("useradd", *own, *shown, user)

    def join(self, user: str, group: str) -> bool:
        """Whether the user had to be added."""
        if user in grp.getgrnam(group).gr_mem:
            return False
        self.command("gpasswd", "--add", user, group)
        return True

    def leave(self, user: str, group: str) -> bool:
        """Whether the user had to be removed. Its processes keep the group until they start anew."""
        if user not in grp.getgrnam(group).gr_mem:
            return False
        self.command("gpasswd", "--delete", user, group)
        return True

    def move_jobs(self, old: str, new: str, roots: Collection[str]) -> list[str]:
        """The jobs of the portal, from one crontab to another. What an administrator has to know of it."""
        reported = []
        moved, stays = php_pool.crontab_parts(self._crontab(old), roots)
        if moved:
            there = self._crontab(new)
            known = there.splitlines()
            self._write(new, there + "".join(line for line in moved.splitlines(True) if line.rstrip("\n") not in known))
            self._write(old, stays)
            reported.append(f"The portal's jobs in the crontab of {old} are in the crontab of {new} now.")
        units = [path for path in Tree().glob(_UNITS) if _runs(path, old, roots)]
        if units:
            names = ", ".join(units)
            reported.append(f"{names}: runs the portal's program as {old}. Write User={new} there, and restart it.")
        return reported

    def _crontab(self, user: str) -> str:
        code, text = self._machine.run(["crontab", "-u", user, "-l"], _SECONDS)
        return f"{text}\n" if not code and text else ""

    def _write(self, user: str, text: str) -> None:
        if not php_pool.has_jobs(text):
            self.command("crontab", "-u", user, "-r")
            return
        path = os.path.join(self._directory, "crontab")
        files.replace_file(path, text)
        try:
            self.command("crontab", "-u", user, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def primary_group(user: str) -> str:
    return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name


def _runs(path: str, user: str, roots: Collection[str]) -> bool:
    text = Tree().read(path) if os.path.isfile(path) else ""
    return bool(re.search(rf"(?m)^User\s*=\s*{re.escape(user)}\s*$", text)) and any(root in text for root in roots)
