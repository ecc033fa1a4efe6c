# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Discovery: what stands on this host, found in one pass and without changing anything.

Everything that a role or a check must know about the host is in ``Site``. Nothing here is a secret.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Place:
    """A line of somebody's configuration, and what stands there."""

    file: str
    line: int
    what: str


@dataclass(frozen=True)
class Listen:
    """An address a virtual host asks for. ``address`` is ``*`` for all of IPv4, ``[::]`` for all of IPv6."""

    address: str
    port: int
    tls: bool
    default: bool = False
    http2: bool = False


@dataclass(frozen=True)
class VirtualHost:
    """One server block of nginx or one VirtualHost section of Apache that is in force."""

    file: str
    line: int
    names: tuple[str, ...]
    listens: tuple[Listen, ...]
    root: str
    certificate: str = ""
    certificate_key: str = ""
    enabled_by: str = ""  # the link in sites-enabled, when it is one
    includes: tuple[str, ...] = ()  # include arguments at server level, as written
    add_headers: tuple[Place, ...] = ()  # header directives at any level of this virtual host


@dataclass(frozen=True)
class Takeover:
    """Whether our virtual host can stand in for what serves the name now without losing a directive."""

    possible: bool
    files: tuple[str, ...]  # the files whose virtual hosts ours replaces
    disable: tuple[str, ...]  # the links (or regular files in sites-enabled) that must go
    obstacles: tuple[Place, ...]  # what would be lost, file and line


@dataclass(frozen=True)
class WebServer:
    """nginx or Apache. ``name`` is empty when neither is installed; ``both`` when both are."""

    name: str = ""
    both: bool = False
    version: str = ""
    user: str = ""
    service: str = ""
    running: bool = False
    modules: tuple[str, ...] = ()  # Apache: loaded modules, without "_module"


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


@dataclass(frozen=True)
class Database:
    """Where the application finds its database. The password stays in the environment file."""

    host: str = ""
    port: int = 0
    socket: str = ""
    name: str = ""
    user: str = ""


@dataclass(frozen=True)
class Site:
    """The Chamilo portal on this host, and the host around it. Empty texts mean: not found."""

    domain: str
    root: str = ""  # the project folder; its public/ is the document root
    installed: bool = False
    version: str = ""
    environment: dict[str, str] = field(default_factory=dict)  # effective values that are no secrets
    environment_source: dict[str, str] = field(default_factory=dict)  # name -> file that wins
    secrets_default: tuple[str, ...] = ()  # names whose value is a public default
    distribution: str = ""  # Debian 13
    codename: str = ""  # trixie
    web: WebServer = field(default_factory=WebServer)
    php: Php = field(default_factory=Php)
    database: Database = field(default_factory=Database)
    virtual_hosts: tuple[VirtualHost, ...] = ()  # all of this host
    serving: tuple[VirtualHost, ...] = ()  # those that answer to the domain
    takeover: Takeover = field(default_factory=lambda: Takeover(False, (), (), ()))
    addresses: tuple[str, ...] = ()  # of this host
    listening: tuple[str, ...] = ()  # TCP addresses in LISTEN state, "0.0.0.0:80", "[::]:443"
    missing_packages: tuple[str, ...] = ()  # of those asked for
    systemd: bool = False
    problems: tuple[str, ...] = ()  # what could not be seen, and why
