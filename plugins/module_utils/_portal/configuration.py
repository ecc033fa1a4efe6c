# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""What the configurations of nginx and Apache have in common: files, directives and virtual hosts."""

from __future__ import annotations

import errno
import glob
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import (
    Refusal,
    open_path,
    open_regular,
    read_guarded,
)

# What the first line of every file of ours begins with.
OURS = "# Managed by Ansible: chamilo.hardening,"


MOST = 64 * 1024 * 1024


class Tree:
    """The files of this host. With a prefix, the files below it stand for them; links there must be relative."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = os.path.realpath(prefix) if prefix else ""
        self.denied: list[str] = []  # what this user may not read

    def _at(self, path: str) -> str:
        return self.prefix + path

    def read(self, path: str, web_user: str | None = None) -> str:
        """A text. The application's user may have put a pipe, a device or a giant in its place: those are refused.

        A link that PHP's user could have laid is refused as well. ``web_user``: whom PHP runs as, for a file of the
        application's that root goes by or shows, which this user shall not have led elsewhere by root's own links
        either; an empty one is Debian's.
        """
        return self.read_bounded(path, web_user, MOST)

    def read_bounded(self, path: str, web_user: str | None, most: int) -> str:
        """A text of at most so many bytes, by the rules of ``read``."""
        if web_user is None:
            with open(open_regular(self._at(path)), "rb") as file:
                data = file.read(most + 1)
        else:
            data = read_guarded(self._at(path), web_user, most + 1)
        if len(data) > most:
            raise OSError(errno.EFBIG, f"larger than {most} bytes", path)
        return data.decode("utf-8", "surrogateescape")

    def directory(self, path: str, refusal: Refusal) -> int:
        """An open directory, whose owner closes it. A link on the way is followed only where it is not refused."""
        handle, _linked = open_path(self._at(path), refusal)
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            os.close(handle)
            raise NotADirectoryError(errno.ENOTDIR, "no directory", path)
        return handle

    def _mode(self, path: str) -> int:
        try:
            return os.stat(self._at(path)).st_mode
        except PermissionError:
            self.denied.append(path)
        except (OSError, ValueError):
            pass  # not there, or no path at all
        return 0

    def exists(self, path: str) -> bool:
        return self._mode(path) != 0

    def is_directory(self, path: str) -> bool:
        return stat.S_ISDIR(self._mode(path))

    def is_link(self, path: str) -> bool:
        return os.path.islink(self._at(path))

    def status(self, path: str) -> os.stat_result | None:
        """Owner, mode and times; None where it is not there or not to be seen."""
        try:
            return os.stat(self._at(path))
        except OSError:
            return None

    def changed(self, path: str) -> float:
        """When the file was written; 0 where it is gone."""
        status = self.status(path)
        return status.st_mtime if status else 0

    def glob(self, pattern: str) -> list[str]:
        found = glob.glob(glob.escape(self.prefix) + pattern)
        return sorted(path[len(self.prefix) :] for path in found)

    def real(self, path: str) -> str:
        """The path without links."""
        return os.path.realpath(self._at(path))[len(self.prefix) :]


@dataclass(frozen=True)
class Place:
    """A line of a configuration, and its text."""

    file: str
    line: int
    what: str


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
    access_log_format: str = ""  # its name; empty is nginx's own, combined; of Apache what it means, see _log_format
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
