# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends all logins of a portal: sessions that are open, and devices that are remembered.

For the moment in which secrets are replaced because others may know them: who logged in with one stays logged in
otherwise.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
from collections.abc import Callable

from .._application.database import DatabaseError, Reader
from .._application.installation import Installation
from .._application.remembered import forget
from .._common.paths import open_path, untrusted

# Marks of a session that is logged in to Chamilo, and of no other application.
_MARKS = (b"_security_", b"Chamilo\\")
_LONGEST = 4 << 20

# Where, and whether to count alone -> what was ended, what could not be
EndLogins = Callable[[Installation, bool], "tuple[list[str], list[str]]"]


def end_logins(portal: Installation, check: bool = False) -> tuple[list[str], list[str]]:
    """What was ended, and what could not be, each in sentences."""
    reported, notes = [], []
    directory = portal.sessions
    stay = "Who was logged in before stays so until you delete them there."
    try:
        if directory:
            ended = _end_sessions(directory, portal.web_user, check)
            reported.append(
                f"All sessions of people who were logged in are ended ({ended}): all users log in once more."
            )
        else:
            notes.append(f"The sessions were not ended: {portal.sessions_keeper} keeps them. {stay}")
    except (KeyError, OSError) as problem:
        notes.append(f"The sessions in {directory} were not ended: {problem}. {stay}")
    try:
        kept = forget(Reader.of(portal), check)
    except DatabaseError as problem:
        notes.append(f'The devices of "Remember me" were not forgotten. {problem}')
    else:
        reported += [f'{kept} devices of "Remember me" are forgotten.'] if kept else []
    return reported, notes


def _end_sessions(directory: str, user: str, check: bool) -> int:
    """How many were ended. Nothing but session files of PHP's user goes, and no link that it laid is followed."""
    ended, owner = 0, pwd.getpwnam(user).pw_uid

    def stop(problem: OSError) -> None:
        raise problem

    # By its name it would be no directory to os.fwalk where it is a link, and nothing would end.
    refusal = untrusted(user)
    top = open_path(directory, refusal)[0]
    try:
        for _path, _directories, names, handle in os.fwalk(".", onerror=stop, dir_fd=top):
            for name in names:
                if name.startswith("sess_") and _is_login(name, handle, owner):
                    ended += 1
                    if not check:
                        with contextlib.suppress(FileNotFoundError):  # PHP ended it
                            os.unlink(name, dir_fd=handle)
    finally:
        os.close(top)
    return ended


def _is_login(name: str, directory: int, owner: int) -> bool:
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except OSError:  # ended meanwhile, or a link
        return False
    try:
        status = os.fstat(file)
        if status.st_uid != owner or not stat.S_ISREG(status.st_mode):
            return False
        if status.st_size > _LONGEST:
            return True
        content = os.read(file, _LONGEST)
        return all(mark in content for mark in _MARKS)
    finally:
        os.close(file)
