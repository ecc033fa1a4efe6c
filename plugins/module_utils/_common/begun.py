# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""A program that runs beside us, and the environment of each that we run."""

from __future__ import annotations

import os
import subprocess
import weakref
from collections.abc import Sequence


def environment(language: str) -> dict[str, str]:
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "LC_ALL": language, "HOME": os.environ.get("HOME", "/root")}


class Begun:
    """A program that runs while something else is done. It is ended with this object at the latest."""

    def __init__(self, argv: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        self._child = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, env=environment("C.UTF-8"))
        weakref.finalize(self, _ended, self._child)

    def answer(self, request: bytes, seconds: float) -> tuple[int, bytes, bytes]:
        """Its exit code, output and errors. Raises TimeoutExpired after so many seconds more."""
        try:
            output, errors = self._child.communicate(request, seconds)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.communicate()
            raise
        return self._child.returncode, output, errors


def _ended(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.kill()
        child.communicate()
