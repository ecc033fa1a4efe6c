# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apache: what is written into the VirtualHost sections of a portal that stay their owner's.

Our files are included twice. Rules of mod_rewrite run in the order in which they are read, so ours come first; of
settings and of sections with access rules the last one counts, so they come again at the end. Header lines stand in
a <Location> there: it is merged behind every <Directory>, <Files> and .htaccess.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from .._common.markers import Mark, Piece
from . import apache, apache_beside, beside, bound, panels, tls_policy
from .configuration import Configuration, Directive, Server, every, in_order, is_public, walk
from .in_place import DesiredHost, Unmarked, digest, exposed, unreached, unread
from .planned import Block, Edited, InPlace, Obstacle, Page

_MOST_PAGES = 60
# What a copy of a VirtualHost for another port leaves out: what belongs to the port, and what Apache takes once.
_OF_TLS = frozenset(
    {"sslengine", "sslcertificatefile", "sslcertificatekeyfile", "sslcertificatechainfile", "sslcacertificatefile"}
)
_ONCE = frozenset({"wsgidaemonprocess"})
_OF_OURS = re.compile(r"/chamilo-[^/]+\.d/tls/")


def plan(tree: Unmarked, configuration: Configuration, desired: DesiredHost) -> InPlace:
    """What is written where, or why it is not. ``configuration``: parsed from ``tree``, without marks of this site."""
    if desired.tls and "ssl" not in configuration.modules:  # what waits for the module counts as soon as it is there
        configuration = apache.parse(tree, configuration.version, ("ssl",)).of_owners()
    return _Planner(tree, configuration, desired).plan()


class _Planner:
    def __init__(self, tree: Unmarked, configuration: Configuration, desired: DesiredHost) -> None:
        self.tree, self.configuration, self.desired = tree, configuration, desired
        self.servers = [server for server in apache.servers(configuration) if not server.host.ours]
        self.roots = {tree.real(root) for root in desired.roots}
        self.marks: dict[str, list[Mark]] = {}
        self.guarded = False
        self.obstacles: list[Obstacle] = []

    def plan(self) -> InPlace:
        self.obstacles += unread(self.tree, self.configuration.problems, apache.MAIN, "apache2ctl configtest")
        own = self.portal()
        blocks = [(server, beside.kind(server, beside.names_in(server))) for server in own]
        serving = [server for server, kind in blocks if kind == "portal"]
        if own and not serving:
            what = f"{self.desired.domain} is only led elsewhere here, and no virtual host serves its pages"
            self.refuse(own[0], what, "Activate the virtual host to which it leads, or remove this one")
        self.obstacles += _unreached(self.servers, serving, own, self.desired.domain)
        for server in serving:
            self.edit(server)
        if self.marks and self.desired.tls:
            self.refuse_unreachable(serving, own)
        secured = [server for server in serving if self.add_sibling(server, own)]
        edited = [
            Edited(file, digest(self.configuration.texts[file]), tuple(marks))
            for file, marks in sorted(self.marks.items())
        ]
        return InPlace(
            files=() if self.obstacles else tuple(edited),
            blocks=tuple(
                Block(server.host.file, server.host.line, beside.names_in(server), kind, _is_tls(server))
                for server, kind in blocks
            ),
            pages=tuple(self.pages(own)),
            programs=beside.programs(self.tree, "apache", self.configuration, serving, self.desired.roots),
            obstacles=tuple(dict.fromkeys(self.obstacles)),
            tls=bool(secured),
            bound=bound.by_https(self.configuration, serving, everywhere=not self.desired.tls),
        )

    def is_root(self, server: Server) -> bool:
        return bool(server.host.root) and self.tree.real(server.host.root) in self.roots

    def portal(self) -> list[Server]:
        """The VirtualHost sections that answer for the portal: by its names, or with its pages."""
        chosen: list[Server] = []
        for name in sorted({self.desired.domain, *self.desired.names}):
            named, fallback = apache.answering(self.servers, name)
            chosen += [server for server in named if self.is_root(server) or name in server.host.names]
            if name == self.desired.domain:
                chosen += [server for server in fallback if self.is_root(server)]
                chosen += [server for server in (*named, *fallback) if "%" in server.host.root]
        chosen += [server for server in self.servers if self.is_root(server)]
        unique: dict[tuple[str, int, int], Server] = {}
        for server in in_order(self.servers, chosen):
            unique.setdefault((server.host.file, server.host.line, server.block.start), server)
        return list(unique.values())

    def refuse_unreachable(self, serving: Sequence[Server], own: Sequence[Server]) -> None:
        if not any(is_public(*listen.socket) for server in own for listen in server.host.listens):
            what = "no virtual host of the portal answers on port 80 or 443 of an address that visitors reach"
            self.refuse(
                serving[0],
                what,
                "If a proxy speaks https for it, set chamilo_https_terminated_elsewhere and chamilo_trusted_proxies; "
                "else have it answer on port 80: <VirtualHost *:80>",
            )

    # What is written into one VirtualHost

    def edit(self, server: Server) -> None:
        block, file = server.block, server.host.file
        elsewhere = apache_beside.elsewhere(server)
        if elsewhere:
            self.refuse(server, *elsewhere)
            return
        by_panel = panels.rewritten("apache", server, self.configuration, self.desired)
        if by_panel:
            self.obstacles += [] if panels.includes(block, self.desired.drop_ins) else [by_panel]
            return
        refusal = apache_beside.refusal(server, self.tree, self.roots, self.desired)
        self.obstacles += apache_beside.other_statuses(server, self.configuration)
        if refusal:
            self.refuse(server, *refusal)
            return
        if block.start < 0 or any(_is_another(other.block, block) for other in self.servers):
            what = "this virtual host is made by a macro that makes others as well, or whose parameters have no $ or @"
            self.refuse(server, what, "Write it out as a section of its own")
            return
        problem = exposed(self.tree, file)
        if problem:
            self.refuse(server, problem, "Make it root's own: chown root: and chmod go-w")
            return
        text = self.configuration.texts[file]
        marks = self.marks.setdefault(file, [])
        top = [*self.naming(server)]
        if not panels.includes(block, self.desired.drop_ins):
            top.append(self.include)
        if top:
            marks.append(Mark(_behind(text, block.opened), tuple(top)))
        policy = tls_policy.closing(_level(server), self.configuration.directives) if _is_tls(server) else ()
        marks.append(Mark(_line(text, block.closed), (*self.last(), *(policy if self.desired.tls else ()))))
        marks += [Mark(item.start, (), item.end) for item in self.late_headers(block)]

    def refuse(self, server: Server, what: str, remedy: str) -> None:
        self.obstacles.append(Obstacle.at(server.host, what, remedy))

    @property
    def include(self) -> str:
        return f"IncludeOptional {self.desired.drop_ins}/*.conf"

    def last(self) -> tuple[str, ...]:
        location = f"    IncludeOptional {self.desired.drop_ins}/location/*.conf"
        return (self.include, '<Location "/">', location, "</Location>")

    def naming(self, server: Server) -> Iterator[str]:
        """The name, where a VirtualHost answers to it for being the first one alone."""
        _named, fallback = apache.answering(self.servers, self.desired.domain)
        if any(one.block is server.block for one in fallback):
            named = any(every(_level(server), "servername"))
            yield f"{'ServerAlias' if named else 'ServerName'} {self.desired.domain}"

    def late_headers(self, block: Directive) -> Iterator[Directive]:
        """Lines with headers of ours that no <Location> has the last word on: in an <If>, and early ones."""
        for item, late in _sections(block.block or ()):
            words = [word.lower() for word in item.arguments if word.lower() not in ("always", "onsuccess")]
            ours = item.name == "header" and len(words) > 1 and words[1] in self.desired.headers
            if ours and _is_within(item, block) and (late or words[-1] == "early"):
                yield item

    # Another VirtualHost beside it, for https

    def add_sibling(self, server: Server, own: Sequence[Server]) -> bool:
        """Whether https was added."""
        block, file = server.block, server.host.file
        if self.obstacles or block.start < 0 or file not in self.marks or not self.desired.tls:
            return False
        if _is_tls(server) or self.speaks_tls(server, own):
            return False
        lines = self.tls_sibling(server, own)
        if not lines or self.displaces(server):
            return False
        self.marks[file].append(Mark(_behind(self.configuration.texts[file], block.end), lines))
        return True

    def speaks_tls(self, server: Server, own: Sequence[Server]) -> bool:
        """Whether a VirtualHost answers to one of its names by https."""
        names = beside.names_in(server) or (self.desired.domain,)
        return any(
            is_public(*listen.socket) and listen.port == 443 and listen.tls
            for other in self.servers
            if any(apache.is_named(other.host.names, name) for name in names if "*" not in name)
            or (other in own and not beside.names_in(other))
            for listen in other.host.listens
        )

    def for_other_names(self, addresses: Sequence[str], own: Sequence[Server]) -> Iterator[str]:
        """Redirects visitors of other sites to http. Without another https site the portal would answer to all names.

        Another portal that speaks it by files of ours alone may stop: each has a section of its own for them.
        """
        others = [one for one in self.servers if not any(map(_OF_OURS.search, one.host.includes))]
        taken = any(is_public("", listen.port) and listen.tls for one in others for listen in one.host.listens)
        if taken or self.guarded or all(server in own for server in self.servers):
            return
        self.guarded = True
        yield f"<VirtualHost {' '.join(addresses)}>"
        yield "    ServerName other-names.invalid"
        yield f"    IncludeOptional {self.desired.drop_ins}/tls/*.conf"
        yield "    RewriteEngine On"
        yield '    RewriteCond %{THE_REQUEST} "^\\S+ (/[^?\\s]*)"'
        yield "    RewriteRule ^ http://%{SERVER_NAME}%1 [R=302,L,NE]"
        yield '    <Location "/">'
        yield "        Require all denied"
        yield "    </Location>"
        yield "</VirtualHost>"

    def tls_sibling(self, server: Server, own: Sequence[Server]) -> tuple[Piece, ...]:
        """The same again on port 443.

        Without a certificate yet, the first VirtualHost of the port would have all sites there speak plain http.
        """
        addresses = self.addresses(server)
        if not addresses:
            return ()
        named = [*self.naming(server)]
        written = list(every(_level(server), "servername"))
        again = [item for item in written if re.search(r":\d+$|^\w+://", "".join(item.arguments[:1]))]
        if again and again[-1] is written[-1]:
            named.append(f"ServerName {server.host.names[0]}")
        left_out = [*again, *self.only_once(server), *self.late_headers(server.block)]
        return (
            f"<IfFile {self.desired.drop_ins}/tls/https.conf>",
            *([] if any(one.port == 443 for one in apache.listening(self.configuration)) else ["Listen 443"]),
            *self.for_other_names(addresses, own),
            f"<VirtualHost {' '.join(addresses)}>",
            *(f"    {line}" for line in named),
            f"    {self.include}",
            *_but(self.configuration.texts[server.host.file], server.block, left_out),
            f"    IncludeOptional {self.desired.drop_ins}/tls/*.conf",
            *(f"    {line}" for line in self.last()),
            "</VirtualHost>",
            "</IfFile>",
        )

    def addresses(self, server: Server) -> list[str]:
        """Those of a VirtualHost on port 80, as they are written for 443.

        Of a VirtualHost for all addresses, those as well that others have for themselves: Apache would ask only these.
        """
        found = []
        for argument in server.block.arguments:
            split = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[\w.*-]+)(?::(\d+|\*))?", argument, re.ASCII)
            if split and split[2] in (None, "*", "80"):
                found.append(f"{split[1]}:443")
        if any(address.startswith(("*:", "_default_:")) for address in found):
            listens = [listen for other in self.servers for listen in other.host.listens if listen.port == 443]
            found += [
                f"{listen.address}:443"
                for listen in listens
                if listen.address != "*" and is_public(listen.address, 443)
            ]
        return list(dict.fromkeys(found))

    def only_once(self, server: Server) -> Iterator[Directive]:
        """What a copy leaves out: a line of the port itself, and an include of a file that has such a line."""
        for level in (_level(server), *(item.block for item in walk(_level(server)) if item.block is not None)):
            include: Directive | None = None
            for item in level:
                if _is_within(item, server.block):
                    include = item if item.name in ("include", "includeoptional", "use") else None
                if item.name in _OF_TLS or item.name in _ONCE:
                    if _is_within(item, server.block):
                        yield item
                    elif include is not None:
                        yield include
                        include = None

    def displaces(self, server: Server) -> bool:
        """Whether a site without a name answered so far for being the first one, and no longer would."""
        here = next(index for index, one in enumerate(self.servers) if one.block is server.block)
        for index, other in enumerate(self.servers):
            if any(listen.port == 443 for listen in other.host.listens):
                if index > here and not beside.names_in(other):
                    file = other.host.file
                    what = f"the virtual host without a name in {file} would no longer be the first on 443"
                    self.refuse(server, what, f'Give that one a name: add the line "ServerName ..." to {file}')
                    return True
                return False
        return False

    # What is compared before and after

    def pages(self, own: Iterable[Server]) -> Iterator[Page]:
        found: dict[Page, None] = {}
        for server in own:
            names = [name for name in beside.names_in(server) or (self.desired.domain,) if _is_host_name(name)]
            schemes = {"https" if listen.tls else "http" for listen in server.host.listens if listen.port in (80, 443)}
            for name in names:
                for scheme in sorted(schemes):
                    for path in dict.fromkeys(("/", *apache_beside.paths(_level(server)))):
                        found[Page(scheme, name, path)] = None
        return iter(list(found)[:_MOST_PAGES])


def _unreached(
    servers: Sequence[Server], serving: Sequence[Server], own: Sequence[Server], domain: str
) -> Iterator[Obstacle]:
    """Of a portal in virtual hosts without a name, of which none answers for being the first one."""
    named, fallback = apache.answering(servers, domain)
    if not (serving and fallback) or named or any(one in own for one in fallback) or any(map(beside.names_in, serving)):
        return
    other = fallback[0].host
    yield Obstacle.at(serving[0].host, *unreached(domain, f"{other.file} line {other.line}", f"ServerName {domain}"))


def _sections(level: Iterable[Directive], late: bool = False) -> Iterator[tuple[Directive, bool]]:
    """All directives, each with whether it is in an <If>, which is merged behind every <Location>."""
    for item in level:
        yield item, late
        yield from _sections(item.block or (), late or item.name in ("if", "elseif", "else"))


def _level(server: Server) -> tuple[Directive, ...]:
    return server.block.block or ()


def _is_another(one: Directive, block: Directive) -> bool:
    """Whether the macro that makes this block makes another one, too. A file that is included twice has one."""
    return (one.file, one.start) == (block.file, block.start) and one != block


def _is_within(item: Directive, block: Directive) -> bool:
    """Whether it is written in a block, and does not come there by a file or by a macro."""
    return item.file == block.file and block.start <= item.start < block.end


def _is_tls(server: Server) -> bool:
    return any(listen.tls for listen in server.host.listens)


def _is_host_name(name: str) -> bool:
    return re.fullmatch(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?\.)+[a-z0-9-]*[a-z][a-z0-9-]*", name) is not None


def _line(text: str, position: int) -> int:
    """Where its line begins."""
    return text.rfind("\n", 0, position) + 1


def _behind(text: str, position: int) -> int:
    """Where the next line begins."""
    found = text.find("\n", position)
    return found + 1 if found >= 0 else len(text)


def _but(text: str, block: Directive, left_out: Iterable[Directive]) -> list[Piece]:
    """The lines of a block without those of some directives."""
    pieces: list[Piece] = []
    done = _behind(text, block.opened)
    for item in sorted(left_out, key=lambda item: item.start):
        start = _line(text, item.start)
        if start > done:
            pieces.append((done, start))
        done = max(done, _behind(text, item.end))
    last = _line(text, block.closed)
    return [*pieces, (done, last)] if done < last else pieces
