# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans what is written into the server blocks of a portal that stay their owner's. Nothing is changed here.

What a server block needs beside the line that includes our drop-ins follows from nginx's own rules: a location with
lines of its own for headers, or for parameters of PHP, inherits none of them, and of two parameters the last one wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from .._common.markers import Mark, Piece, without
from . import beside, bound, nginx, old_addresses, panels, server_blocks, tls_policy
from .configuration import Configuration, Directive, Server, every, walk
from .in_place import DesiredHost, Unmarked, digest, exposed, unread
from .planned import Block, Edited, InPlace, Obstacle
from .shared_directives import mentions

# An inner level with a line of its own inherits none of these: the lines of our drop-ins are repeated there.
_HIDES = ("fastcgi_hide_header", "proxy_hide_header")
# A level of these has headers of its own.
_LEVELS = ("location", "if", "limit_except")
# The directives that add https to a server block: our file sets them, and nginx accepts most of them once.
TLS = (
    "http2",
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_ciphers",
    "ssl_prefer_server_ciphers",
    "ssl_protocols",
    "ssl_session_cache",
    "ssl_session_tickets",
    "ssl_session_timeout",
)
_MORE = ("more_set_headers", "more_clear_headers")  # of a module; they win over all others

# What may be written out, which the controller sees: how nginx works, and what visitors see.
_PUBLIC = re.compile(
    r"include|root|alias|index|try_files|internal|location|limit_except|rewrite|return|break|error_page|recursive_error_pages"
    r"|allow|deny|satisfy|expires|etag|add_header|add_trailer|more_set_headers|more_clear_headers|valid_referers"
    r"|access_log|error_log|log_not_found|log_subrequest|autoindex\w*|charset\w*|default_type|override_charset|server_tokens"
    r"|fastcgi_(?!param|pass$|cache_key|store)\w+|proxy_(?:hide_header|ignore_headers|pass_header|http_version|redirect|\w*buffer\w*"
    r"|\w*timeout|intercept_errors|next_upstream\w*|max_temp_file_size)|client_\w+|send_timeout|keepalive_\w+|resolver_timeout"
    r"|gzip\w*|brotli\w*|zstd\w*|sendfile\w*|tcp_\w+|aio\w*|directio\w*|open_file_cache\w*|limit_(?:req|conn|rate)\w*"
    r"|(?:min|max)_\w+|merge_slashes|absolute_redirect|\w+_in_redirect|disable_symlinks|if_modified_since|large_client_\w+"
    r"|listen|server_name|http2|http3|quic_\w+|set_real_ip_from|real_ip_\w+|resolver|satisfy|auth_basic|ssl_(?!\w*key$)\w+"
)
# A key itself may stand where its file is usual, or the word that opens it.
_KEYS = re.compile(r"ssl_\w*key")
_PATH = re.compile(r"[\w./-]+")
_PASSES = ("fastcgi_pass", "proxy_pass")
# What an authority, and this collection itself, asks for.
_OWN_ADDRESSES = 'if ($uri ~ "^/\\.well-known/(?:acme-challenge|chamilo-hardening)/") { break; }'
_VALUES = ("fastcgi_param", "proxy_set_header", "set")
_FROM_THE_REQUEST = re.compile(r"(?:\$\{?\w+\}?|[/.:-])*|on|off|https?|upgrade|close|keep-alive|80|443")
_PUBLIC_TEST = re.compile(
    r"\( ?(?:!?-[fdex] |\$(?:request_method|uri|document_uri|request_uri|request_filename|host|scheme|https|server_port"
    r"|server_name|remote_addr|http_user_agent|http_referer|invalid_referer|args|is_args) ?[!=~])"
)


def plan(tree: Unmarked, configuration: Configuration, desired: DesiredHost) -> InPlace:
    """What is written where. ``configuration``: parsed from ``tree``, so without the marks of this site."""
    found = server_blocks.classify(tree, configuration, desired)
    made = _Plan(configuration, desired, found)
    obstacles = unread(tree, configuration.problems, nginx.MAIN, "nginx -t")
    by_panels = set()
    for server in (*found.portal, *found.elsewhere):
        by_panel = panels.rewritten("nginx", server, configuration, desired)
        if by_panel:
            by_panels.add(server.host.file)
            if not panels.includes(server.block, desired.drop_ins):
                obstacles.append(by_panel)
    for server in found.portal:
        if server.host.file not in by_panels:
            made.server(server)
    obstacles += [
        obstacle for obstacle in server_blocks.obstacles(tree, configuration, found) if obstacle.file not in by_panels
    ]
    obstacles += made.obstacles
    obstacles += [
        Obstacle(file, 1, problem, "Make it root's own: chown root: and chmod go-w")
        for file, problem in ((file, exposed(tree, file)) for file in made.changes)
        if problem
    ]
    return InPlace(
        files=() if obstacles else made.edited(),
        blocks=tuple(
            Block(one.host.file, one.host.line, one.host.names, kind, any(listen.tls for listen in one.host.listens))
            for kind, servers in (("portal", found.portal), ("redirect", found.redirect))
            for one in servers
        ),
        pages=tuple(dict.fromkeys(server_blocks.pages(found, desired))),
        programs=beside.programs(tree, "nginx", configuration, found.portal, desired.roots),
        answered=old_addresses.answered(found.portal),
        obstacles=tuple(dict.fromkeys(obstacles)),
        bare=tuple(dict.fromkeys(made.bare)),
        tls=any(found.needs_tls(server) for server in found.portal),
        bound=bound.by_owner(configuration, _secure_levels(configuration, found)),
    )


def _secure_levels(configuration: Configuration, found: server_blocks.Found) -> Iterator[Sequence[Directive]]:
    """What visitors of the portal see by https: where TLS ends elsewhere, all of it."""
    http = next((http.block or () for http in every(configuration.directives, "http")), ())
    for server in found.portal:
        if any(listen.tls for listen in server.host.listens) or not found.desired.tls:
            yield server.block.block or ()
            if not any(every(server.block.block or (), "add_header")):
                yield tuple(every(http, "add_header", "more_set_headers"))


@dataclass
class _Changes:
    """What is written into one file: lines by their place, and spans that are set aside with what stands for them."""

    added: dict[int, list[Piece]] = field(default_factory=dict)
    aside: dict[tuple[int, int], tuple[Piece, ...]] = field(default_factory=dict)


class _Plan:
    """Gathers the changes of all server blocks of the portal. One that two of them ask for is made once."""

    def __init__(self, configuration: Configuration, desired: DesiredHost, found: server_blocks.Found) -> None:
        self.configuration = configuration
        self.desired = desired
        self.found = found
        self.obstacles: list[Obstacle] = []
        self.bare: list[Obstacle] = []
        self.changes: dict[str, _Changes] = {}
        self._pending: dict[int, list[Piece]] = {}  # what cannot be written where it belongs, by the directive
        own = {id(server.block) for server in (*found.portal, *found.redirect)}
        self._programs: set[tuple[str, int]] = set()  # the locations of other programs in the server block
        self._foreign = {(item.file, item.start) for item in _outside(configuration.directives, own)}
        self._http = next((http.block or () for http in every(configuration.directives, "http")), ())

    def edited(self) -> tuple[Edited, ...]:
        result = []
        for file, changes in self.changes.items():
            marks = [Mark(at, tuple(lines)) for at, lines in changes.added.items()]
            marks += [Mark(start, lines, end) for (start, end), lines in changes.aside.items()]
            marks.sort(key=lambda mark: (mark.at, mark.end))
            result.append(Edited(file, digest(self.configuration.texts[file]), tuple(marks)))
        return tuple(result)

    def server(self, server: Server) -> None:
        level = server.block.block or ()
        self._add(server.block, server.block.opened, [*self._first(server), *self._inherited(level)])
        self._headers(level)
        for item in every(level, *self.desired.once, *(TLS if self.found.needs_tls(server) else ())):
            self._aside(item)
        if self.desired.tls and any(listen.tls for listen in server.host.listens):
            self._speak_well(server.block)
        self._programs = {(one.file, one.line) for one in beside.nginx_programs(server, self.desired.roots)}
        for inner in every(level, *_LEVELS):
            self._level(inner, [server.block])
        if self._pending:
            self._write_out(level, server.block.file)
            self._pending.clear()

    def _speak_well(self, block: Directive) -> None:
        """Protocols and ciphers, where its owner sets none or old ones. Lines shared with other sites stay."""
        for name, own in tls_policy.lacking(block.block or (), self._http).items():
            if not any(map(self._is_foreign, own)):
                self._add(block, block.opened, [tls_policy.LINES[name]])
                for item in own:
                    self._aside(item)

    def _first(self, server: Server) -> Iterator[str]:
        drop_ins = self.desired.drop_ins
        if any(every(server.block.block or (), "if", "rewrite")):  # nginx applies these before it selects a location
            yield _OWN_ADDRESSES
        if not panels.includes(server.block, drop_ins):  # its owner may have added the line
            yield f"include {drop_ins}/*.conf;"
        if self.found.needs_tls(server):
            yield f"include {drop_ins}/tls/*.conf;"
        locations = every(server.block.block or (), "location")
        if self.desired.tls and not any("well-known" in word for item in locations for word in item.arguments):
            yield f"include {drop_ins}/acme/*.conf;"
        names = self.found.unnamed(server)
        if names:
            yield f"server_name {' '.join(names)};"
        if self.found.needs_tls(server) and not any(every(server.block.block or (), "listen")):
            yield "listen 80;"  # what nginx does without any such line, and no longer with one

    def _inherited(self, level: Sequence[Directive]) -> Iterator[str]:
        """Lines for all of http that would no longer be inherited here, as our drop-ins have such lines too."""
        for name in ("add_header", "error_page", *_HIDES):
            if any(every(level, name)):
                continue
            for item in every(self._http, name):
                if self._is_desired(item):
                    continue
                if "\n" in item.written:
                    self._refuse(item, "a directive of several lines for all of http", "Write it in one line")
                yield f"{item.written};"

    def _is_desired(self, item: Directive) -> bool:
        return item.name == "add_header" and item.arguments[0].lower() in self.desired.headers

    def _level(self, block: Directive, around: Sequence[Directive]) -> None:
        """A location, or an ``if`` within the server block or a location. ``around``: what it lies in, inside out."""
        level = block.block or ()
        if _goes_before(block) and not any((one.file, one.line) in self._programs for one in (block, *around)):
            self._add(block, block.opened, [f"include {self.desired.drop_ins}/within/*.conf;"])
        lines = []
        if self._headers(level):
            lines.append(f"include {self.desired.drop_ins}/location/*.conf;")
            if not any(lines[0] == f"{item.written};" for item in every(level, "include")):
                what = block.written if block.name == "location" else block.name  # a test may have a secret
                self.bare.append(Obstacle.at(block, what, f'Add "{lines[0]}" to it'))
        if block.name == "location" and any(every(level, *_HIDES)):
            lines.append(f"include {self.desired.drop_ins}/hide/*.conf;")
        if block.name == "location" and any(every(level, "limit_req")):
            lines.append(f"include {self.desired.drop_ins}/limit/*.conf;")
        logs = [item.arguments[0] for item in every(level, "access_log") if item.arguments]
        if block.name == "location" and logs and "off" not in logs:
            lines.append(f"include {self.desired.drop_ins}/log/*.conf;")
        self._add(block, self._end(block), lines)
        if block.name == "location" and any(item.name == "fastcgi_pass" for item in _of_location(level)):
            self._php(block, around)
        for inner in every(level, *_LEVELS):
            self._level(inner, [block, *around])

    def _php(self, block: Directive, around: Sequence[Directive]) -> None:
        """The parameters of our sections stand behind those of the owner, at the level that gives them to PHP."""
        for one in (block, *around):
            if any(every(one.block or (), "fastcgi_param")):
                self._add(one, self._end(one), [f"include {self.desired.drop_ins}/php/*.conf;"])
                return
        if any(every(self._http, "fastcgi_param")):
            self._refuse(
                block,
                "PHP gets its parameters from lines that apply to all of http",
                'Write "include fastcgi_params;" and the other fastcgi_param lines into this location as well',
            )

    def _headers(self, level: Sequence[Directive]) -> bool:
        """Set aside what would send one of our headers a second time. Whether other headers of its own are left."""
        own = False
        for item in level:
            if not item.arguments:
                continue
            if self._is_desired(item):
                self._aside(item)
            elif item.name == "add_header":
                own = True
            elif item.name in _MORE and mentions(item.written, self.desired.headers):
                self._refuse(item, f"{item.name} for headers that chamilo.hardening sends", "Take these out of it")
        return own

    def _end(self, block: Directive) -> int:
        """Before its last brace, on a line of its own where the brace has one."""
        text = self.configuration.texts[block.file]
        first = text.rfind("\n", 0, block.closed) + 1
        return block.closed if text[first : block.closed].strip(" \t") else max(first, block.opened)

    def _add(self, block: Directive, at: int, lines: Iterable[Piece]) -> None:
        lines = list(lines)
        if not lines:
            return
        if self._is_foreign(block):
            there = self._pending.setdefault(id(block), [])
        else:
            there = self.changes.setdefault(block.file, _Changes()).added.setdefault(at, [])
        there += [line for line in lines if line not in there]

    def _aside(self, item: Directive, *instead: Piece) -> None:
        if self._is_foreign(item):
            self._pending[id(item)] = list(instead)
        else:
            self.changes.setdefault(item.file, _Changes()).aside[item.start, item.end] = instead

    def _is_foreign(self, item: Directive) -> bool:
        """Whether it stands in a file that other sites include too, which is not edited."""
        return (item.file, item.start) in self._foreign

    # What stands in a file that other sites include too is written into the portal's own instead of the include line.

    def _write_out(self, level: Sequence[Directive], file: str) -> None:
        for item, included in _included(level, file):
            if any(id(each) in self._pending for each in walk(included)):
                if not self._is_foreign(included[0]):
                    self._write_out(included, included[0].file)
                    continue
                lines = self._text(included)
                if lines is not None:
                    named = f"# {included[0].file}, which other sites include too:"
                    self.changes.setdefault(item.file, _Changes()).aside[item.start, item.end] = (named, *lines)
            elif item.block and not self._is_foreign(item):
                self._write_out(item.block, item.file)

    def _text(self, level: Sequence[Directive], indent: str = "") -> list[Piece] | None:
        """The lines of a level with our changes, or nothing where they might contain a secret, which is refused."""
        lines: list[Piece] = []
        for item, included in _included(level, level[0].file if level else ""):
            inner: list[Piece] | None = []
            if included and any(id(each) in self._pending for each in walk(included)):
                inner = self._text(included, indent)
            elif item.block is None and id(item) in self._pending:
                instead = [f"{indent}{line}" for line in self._pending[id(item)]]
                # The controller must not see a key, for instance.
                if not instead and "\n" not in item.written and item.name not in TLS:
                    instead = [indent + without(f"{item.written};")]
                lines += instead
                continue
            elif _may_be_secret(item):
                inner = None
                self._refuse(
                    item,
                    f"{_shown(item)} stands in a file that other sites include too",
                    f"Copy {item.file} to a file of the portal's own, and include that one in its server blocks",
                )
            elif item.block is not None:
                inner = self._text(item.block, f"{indent}    ")
            if inner is None:
                return None
            if item.block is not None:
                ours = [f"{indent}    {line}" for line in self._pending.get(id(item), [])]
                lines += [f"{indent}{item.written} {{", *inner, *ours, f"{indent}}}"]
            else:
                lines += inner or [f"{indent}{item.written};"]
        return lines

    def _refuse(self, item: Directive, what: str, remedy: str) -> None:
        self.obstacles.append(Obstacle.at(item, what, remedy))


def _goes_before(block: Directive) -> bool:
    """Whether nginx checks no regular expression of the server block here, or those within first."""
    if block.name != "location" or not block.arguments or "well-known" in block.arguments[-1]:
        return False
    if block.arguments[0][0] in "=~@":
        return False
    within = (item.arguments[0] for item in every(block.block or (), "location") if item.arguments)
    return block.arguments[0].startswith("^~") or any(kind.startswith("~") for kind in within)


def _shown(item: Directive) -> str:
    """A directive without what may be a secret."""
    return f"{item.name} {item.arguments[0]}" if item.name in ("add_header", "location") else item.name


def _may_be_secret(item: Directive) -> bool:
    """Whether its text must stay on the host, because it may contain one or is unknown."""
    if "\n" in item.written:
        return True
    if item.name in _VALUES and len(item.arguments) > 1:
        request = item.arguments[0] in nginx.REQUEST_PARAMS
        return not request and _FROM_THE_REQUEST.fullmatch(item.arguments[1]) is None
    if item.name == "if":
        return len(item.arguments) > 1 and _PUBLIC_TEST.match(" ".join(item.arguments)) is None
    if _KEYS.fullmatch(item.name):
        return not all(map(_PATH.fullmatch, item.arguments))
    if item.name in _PASSES:
        return any(mark in "".join(item.arguments) for mark in "@?")
    return item.name not in _VALUES and _PUBLIC.fullmatch(item.name) is None


def _included(level: Sequence[Directive], file: str) -> Iterator[tuple[Directive, list[Directive]]]:
    """The directives of a file in a level, each with what it includes there."""
    number = 0
    while number < len(level):
        behind = number + 1
        while behind < len(level) and level[behind].file != file:
            behind += 1
        yield level[number], list(level[number + 1 : behind])
        number = behind


def _of_location(level: Iterable[Directive]) -> Iterator[Directive]:
    """The directives that belong to a location itself: those of ``if`` too, but not those of locations within it."""
    for item in level:
        yield item
        if item.name != "location":
            yield from _of_location(item.block or ())


def _outside(directives: Iterable[Directive], own: set[int]) -> Iterator[Directive]:
    """All directives, but those of the portal's server server_blocks."""
    for item in directives:
        if id(item) in own:
            continue
        yield item
        yield from _outside(item.block or (), own)
