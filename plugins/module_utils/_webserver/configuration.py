# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the configurations of nginx and Apache have in common: files, directives and virtual hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Optional

from .._common.tree import Place

# What the first line of every file of ours begins with.
OURS = "# Managed by Ansible: chamilo.hardening,"
GIVEN = ("PHP_ADMIN_VALUE", "PHP_VALUE")  # settings that a virtual host gives to PHP


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


@dataclass(frozen=True)
class Listen:
    """An address a virtual host asks for. ``address`` is ``*`` for all of IPv4, ``[::]`` for all of IPv6.

    Apache's ``*`` is both. A port of 0 is a socket file.
    """

    address: str
    port: int
    tls: bool
    default: bool = False
    http2: bool = False

    @property
    def socket(self) -> tuple[str, int]:
        return self.address, self.port


@dataclass(frozen=True)
class Alias:
    """An address of a virtual host whose files lie outside of its document root."""

    path: str  # what addresses begin with, without a slash at the end; empty for all of them
    directory: str


@dataclass(frozen=True)
class VirtualHost:
    """One server block of nginx or one VirtualHost section of Apache that is active."""

    file: str
    line: int
    names: tuple[str, ...]
    listens: tuple[Listen, ...]
    root: str
    certificate: str = ""
    certificate_key: str = ""
    enabled_by: str = ""  # the link in sites-enabled, when it is one
    includes: tuple[str, ...] = ()  # include arguments at server level, as written
    includes_ours: bool = False  # it includes the drop-ins of this site
    leads_away: bool = False  # it serves nothing, and redirects to where it is
    access_log: str = ""  # the first one, perhaps inherited: all that is written behind the directive
    access_log_file: str = ""
    inherited_logs: tuple[str, ...] = ()  # what nginx writes here only as long as nothing else is written here
    error_log: str = ""  # all that is written behind the directive
    body_limit: int = -1  # bytes a request may send; 0 without limit; -1 when not set
    body_limit_own: bool = False  # set by a line of its owner in this virtual host itself
    patience: int = -1  # seconds that its owner has it wait for an answer of PHP; -1 when not set
    patience_own: bool = False  # that line is in this virtual host itself
    once: tuple[Place, ...] = ()  # nginx: its owner's own lines that may occur once and that ours would repeat
    php: str = ""  # where PHP requests go: unix:/run/php/x.sock, 127.0.0.1:9000 or mod_php
    aliases: tuple[Alias, ...] = ()
    ours: bool = False  # the file is managed by this collection


@dataclass(frozen=True)
class Directive:
    """One directive with the file and line it stands on. ``block`` is None when it has none."""

    name: str
    arguments: tuple[str, ...]
    file: str
    line: int
    block: tuple[Directive, ...] | None = None
    written: str = ""  # as its author wrote it
    # In characters of its file; -1 where it stands in none. From its first one to behind its last one, and of its block
    # from behind what opens it to before what closes it.
    start: int = field(default=-1, compare=False)
    end: int = field(default=-1, compare=False)
    opened: int = field(default=-1, compare=False)
    closed: int = field(default=-1, compare=False)

    @property
    def rest(self) -> str:
        """What is written behind the name."""
        return "".join(self.written.split(maxsplit=1)[1:]).strip()

    @property
    def place(self) -> Place:
        return Place(self.file, self.line, self.written)


@dataclass
class Configuration:
    """A whole active configuration: includes followed, inactive parts left out."""

    directives: tuple[Directive, ...] = ()
    links: dict[str, list[str]] = field(default_factory=dict)  # file -> the links it was included by
    texts: dict[str, str] = field(default_factory=dict)  # file -> its text
    problems: list[str] = field(default_factory=list)
    modules: tuple[str, ...] = ()  # Apache only
    version: str = ""  # Apache only

    def is_ours(self, file: str) -> bool:
        return self.texts.get(file, "").startswith(OURS)

    def of_owners(self) -> Configuration:
        """Without what files of ours add to the lines of others. Virtual hosts of ours are there as a whole."""
        return replace(self, directives=self._of_owners(self.directives))

    def _of_owners(self, directives: Iterable[Directive]) -> tuple[Directive, ...]:
        return tuple(
            one if self.is_ours(one.file) or one.block is None else replace(one, block=self._of_owners(one.block))
            for one in directives
            if one.name in ("server", "virtualhost") or not self.is_ours(one.file)
        )


@dataclass(frozen=True)
class Server:
    """A virtual host with the directives it is made of."""

    host: VirtualHost
    block: Directive


def every(directives: Iterable[Directive], *names: str) -> Iterator[Directive]:
    """The directives of these names at this level."""
    return (directive for directive in directives if directive.name in names)


def first(directives: Iterable[Directive], name: str) -> str:
    """The first argument of the first directive of that name at this level, or an empty text."""
    return next((directive.arguments[0] for directive in every(directives, name) if directive.arguments), "")


def walk(directives: Iterable[Directive]) -> Iterator[Directive]:
    """All directives, those inside blocks too."""
    for directive in directives:
        yield directive
        yield from walk(directive.block or ())


def is_public(address: str, port: int) -> bool:
    """Whether a visitor who types the name of a site may end up here."""
    return port in (80, 443) and not address.startswith(("127.", "[::1]", "localhost"))


def in_order(servers: Iterable[Server], chosen: Iterable[Server]) -> list[Server]:
    """The chosen ones, each once, in the order of the files."""
    desired = {id(server) for server in chosen}
    return [server for server in servers if id(server) in desired]


Listening = Sequence[tuple[Server, Listen]]
ByName = Callable[[Sequence[Server], str], Optional[Server]]


def sockets(servers: Iterable[Server]) -> dict[tuple[str, int], list[tuple[Server, Listen]]]:
    """The virtual hosts at each address and port, in the order of the files."""
    found: dict[tuple[str, int], list[tuple[Server, Listen]]] = {}
    for server in servers:
        for listen in server.host.listens:
            if listen.port:
                found.setdefault(listen.socket, []).append((server, listen))
    return found


def default_of(there: Listening) -> Server:
    """Which of them answers to the names that none has."""
    return next((server for server, listen in there if listen.default), there[0][0])


def reached(servers: Sequence[Server], name: str, by_name: ByName) -> tuple[list[Server], list[Server]]:
    """The virtual hosts that answer to a name from outside, in the order of the files.

    First those that name it; then those that answer because they are the default of an address where none does. The
    latter are asked only on ports 80 and 443 of addresses that are not loopback.
    """
    named, default = [], []
    for socket, there in sockets(servers).items():
        found = by_name([server for server, _listen in there], name)
        if found:
            named.append(found)
        elif is_public(*socket):
            default.append(default_of(there))
    return in_order(servers, named), in_order(servers, default)
