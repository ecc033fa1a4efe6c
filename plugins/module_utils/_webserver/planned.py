# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planned for the virtual hosts of a portal, and what was found in its way.

Of the text of an owner, which may contain secrets, it has none but lines that may be shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .._common.markers import Mark
from .configuration import Directive, VirtualHost


@dataclass(frozen=True)
class Edited:
    """A file of an owner with what is written into it."""

    path: str  # the file itself, no link
    digest: str  # of its text without marks of this site, see ``digest``
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Block:
    """A virtual host that answers for the portal."""

    file: str
    line: int
    names: tuple[str, ...]  # as written
    kind: str  # portal: it serves pages; redirect: it only leads to where they are, and is left alone
    tls: bool


@dataclass(frozen=True)
class Obstacle:
    """Why a virtual host cannot be edited, with one complete instruction."""

    file: str
    line: int
    what: str
    remedy: str

    @classmethod
    def at(cls, place: Directive | VirtualHost, what: str, remedy: str) -> Obstacle:
        return cls(place.file, place.line, what, remedy)


@dataclass(frozen=True)
class Page:
    """An address that the owner wrote into a virtual host: it answers afterwards as it did before."""

    scheme: str
    name: str
    path: str


@dataclass(frozen=True)
class Program:
    """Another program under the portal's name: PHP outside of the places of Chamilo, or an address handed on."""

    file: str
    line: int
    path: str  # as visitors see it, such as /phpmyadmin/
    what: str
    directory: str = ""  # where its files are, outside of the portal


@dataclass(frozen=True)
class InPlace:
    """The whole plan. With an obstacle nothing of it is carried out."""

    files: tuple[Edited, ...] = ()
    marked: tuple[Edited, ...] = ()  # files with marks of this site: the same without them
    blocks: tuple[Block, ...] = ()
    pages: tuple[Page, ...] = ()
    programs: tuple[Program, ...] = ()
    answered: tuple[str, ...] = ()  # nginx: the conditions of requests that its owner's lines answer, see old_addresses
    obstacles: tuple[Obstacle, ...] = ()
    bare: tuple[Obstacle, ...] = ()  # locations with headers of their own, which hide ours until a line is there
    tls: bool = False  # a block includes what has it speak https
    bound: str = ""  # what its owner had browsers go by as Strict-Transport-Security, by https


# Why a virtual host is not edited, and what to do: the same for both web servers.


@dataclass(frozen=True)
class OwnHost:
    """What the virtual host of this collection has of an owner's, and what is in its way."""

    refused: Mapping[str, str] = field(default_factory=dict)  # auto, managed, include -> why not, where it is not done
    kept: tuple[str, ...] = ()  # lines without the end that nginx asks for
    kept_php: tuple[str, ...] = ()  # those that nginx has where it hands requests to PHP
    access_log: str = ""  # its logs, as those of a VirtualHost
    access_log_file: str = ""
    error_log: str = ""


@dataclass(frozen=True)
class AccessFile:
    """A directory whose .htaccess closes something now, or leads visitors on, and has to go on doing so."""

    directory: str  # as Apache sees it
    listed: str = ""  # the directives by name, for AllowOverrideList
    lost: str = ""  # why they cannot go on
