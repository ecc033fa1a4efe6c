# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What chamilo_site_info answers: the portal of a host, and what of this collection is active there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._common.in_force import InForce
from .obstacle import Obstacle
from .site import Site


@dataclass(frozen=True)
class BackupKey:
    """The key of the backups, where it was compared with its copy within a day."""

    fingerprint: str = ""
    salt: str = ""  # of the fingerprint; the controller sets it
    held: bool = False
    due: tuple[str, ...] = ()  # the jobs that never succeeded


@dataclass(frozen=True)
class Compared:
    """What the controller compares with the answers of the portal's other nodes."""

    shared: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Any] = field(default_factory=dict)
    sealed: str = ""


@dataclass(frozen=True)
class Recurring:
    """What is done in each run, or was done by the daily work."""

    daily: bool = False  # nothing of it is due
    copied: bool = False  # its list of files has a copy off the host
    spared: bool = False  # the address of this run's administrator is never banned
    proxies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Discovered:
    site: Site
    given: str = ""  # what the server gives PHP, sealed with the salt where there was one
    active: bool = False  # the web server goes by our drop-ins
    in_force: Mapping[str, InForce] = field(default_factory=dict)  # by the name of the transaction
    program: Mapping[str, str] = field(default_factory=dict)  # the host program, as it is installed
    settings_in_force: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by section, as it asked for them
    settings_kept: tuple[str, ...] = ()  # the sections whose platform settings have undo data
    environment_kept: tuple[str, ...] = ()  # and those whose environment has
    backup_key: BackupKey = field(default_factory=BackupKey)
    node: Compared = field(default_factory=Compared)
    recurring: Recurring = field(default_factory=Recurring)
    obstacles: tuple[Obstacle, ...] = ()  # to sections of this run
