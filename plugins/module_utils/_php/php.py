# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PHP that serves a portal."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Php:
    """The PHP that serves the site."""

    version: str = ""
    sapi: str = ""  # fpm, mod_php or empty
    service: str = ""
    socket: str = ""  # as FastCGI address: unix:/run/php/x.sock or 127.0.0.1:9000
    pool_file: str = ""
    user: str = ""
    group: str = ""
    time_limit: int = 30  # seconds a script may take, max_execution_time; 0 without limit
    prepended: str = ""  # what the owner's pool runs before each script; PHP itself knows that of php.ini
    prepended_cli: str = ""  # the same on the command line
    confined: str = ""  # where an open_basedir stands that keeps it from what the sections have it run

    @property
    def face(self) -> str:
        """The directory below that of its version in which its settings are."""
        return "fpm" if self.sapi == "fpm" else "apache2"
