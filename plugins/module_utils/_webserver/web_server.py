# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The web server that serves a portal."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WebServer:
    """nginx or Apache. ``name`` is empty when neither is installed."""

    name: str = ""
    version: str = ""
    user: str = ""
    service: str = ""
    running: bool = False
    modules: tuple[str, ...] = ()  # Apache: loaded modules, without "_module"
    names_own: bool = False  # nginx: a line of its owner limits the length of names of virtual hosts
