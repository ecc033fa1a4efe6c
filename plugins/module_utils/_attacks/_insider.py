# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The portal for an attacker who already has an account on its host: the web user, or another one."""

from __future__ import annotations

import json
import os
import pwd
import select
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from .._application.site import Site

_PATIENCE = 60.0  # seconds
_MOST = 1 << 20  # bytes of an answer
_PIECE = 1 << 16  # bytes read at a time


@dataclass(frozen=True)
class Tried:
    """How it went: what the function returned, or why it stopped (``error``)."""

    value: Any = None
    error: str = ""


class Insider:
    """What is attacked, on the host itself. Needs root, to become another user."""

    unrelated_client = "nobody"  # an account that has nothing to do with the portal

    def __init__(self, site: Site) -> None:
        self.site = site

    @property
    def web_user(self) -> str:
        """The user PHP runs as, and with it an attacker who takes over a page."""
        name = self.site.php.user
        if not name:
            raise OSError("the user PHP runs as could not be found")
        return name

    def as_user(self, name: str, function: Callable[[], Any], patience: float = _PATIENCE) -> Tried:
        """Run the function as that user with all its groups, in a process of its own.

        It returns what JSON can carry. What it raises comes back as words. It is killed when it takes too long.
        """
        account = pwd.getpwnam(name)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            _be(account, function, writing)
        os.close(writing)
        try:
            output = _read(reading, patience)
        finally:
            os.close(reading)
            os.kill(child, signal.SIGKILL)  # it has reported, or it never will
            os.waitpid(child, 0)
        if not output:
            return Tried(error=f"stopped without a word, or was not done after {patience:g} seconds")
        return Tried(**json.loads(output))


def _read(source: int, patience: float) -> bytes:
    output = b""
    while len(output) < _MOST and select.select([source], [], [], patience)[0]:
        part = os.read(source, _PIECE)
        if not part:
            return output
        output += part
    return b""


def _be(account: pwd.struct_passwd, function: Callable[[], Any], answer: int) -> NoReturn:
    """The life of the child. It never returns into the code of its parent."""
    try:
        try:
            os.setsid()
            os.setgroups(os.getgrouplist(account.pw_name, account.pw_gid))
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
            os.chdir("/")
            os.umask(0o022)
            reported = {"value": function()}
        except Exception as problem:  # words for the parent, whatever it is
            reported = {"error": str(problem) or type(problem).__name__}
        with os.fdopen(answer, "w") as file:
            json.dump(reported, file)
    finally:
        os._exit(0)
