# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a virtual host does beside serving a portal: it leads elsewhere, or has other programs under its name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from .._common.tree import Tree
from . import nginx
from .configuration import Configuration, Directive, Server, every, walk
from .planned import Program

PASSES = ("fastcgi_pass", "proxy_pass", "uwsgi_pass", "scgi_pass", "grpc_pass")
FRONT = (("/",), ("^~", "/"), ("~", "^"), ("~", ".*"), ("~", "^/"), ("~*", ".*"))
PATH = re.compile(r"/[\w./-]*")
# Where Chamilo has programs, and what nginx or an authority asks for.
_CHAMILO = re.compile(r"/(?:index\.php.*|main/.*|plugin/.*|certificates/.*|\.well-known/.*)?")
_ANY_PATH = ("/", "/some/page.php", "/img/x", "/forum/")
_REDIRECTS = re.compile(r"[\[,]\s*(?:R|redirect)(?:=(?:30[12378]|permanent|temp|seeother))?\s*[\],]", re.IGNORECASE)
_STATUSES = frozenset({"permanent", "temp", "seeother", "301", "302", "303", "307", "308"})
_NAME_CONDITION = re.compile(r"%\{(?:SERVER_NAME|HTTP_HOST)\}", re.IGNORECASE)
_ANY_REQUEST = ("GET /some/page?of=it HTTP/1.1", "POST / HTTP/2.0")
_PLAIN_CONDITION = re.compile(r"%\{(?:HTTPS|REQUEST_SCHEME|SERVER_PORT)\}", re.IGNORECASE)
_LITERAL = re.compile(r"/[\w./@~+-]*", re.ASCII)


def leads(server: Server) -> bool:
    """Whether a virtual host serves nothing: all requests are led elsewhere."""
    return _nginx_leads(server) if server.block.name == "server" else kind(server, names_in(server)) == "redirect"


def programs(
    tree: Tree, web_server: str, configuration: Configuration, servers: Sequence[Server], roots: Collection[str]
) -> tuple[Program, ...]:
    """What answers under the portal's name beside it. ``servers``: those that serve it, from ``roots``."""
    if web_server == "apache":
        return tuple(_apache_programs(tree, configuration, servers, roots))
    return tuple(dict.fromkeys(program for server in servers for program in nginx_programs(server, roots)))


def _nginx_leads(server: Server) -> bool:
    """Whether it serves nothing: all requests are answered by a redirect or a status."""
    level = server.block.block or ()
    if _ends(level):
        return True
    if any(item.name in PASSES for item in walk(level)):
        return False
    return any(_ends(item.block or ()) for item in every(level, "location") if item.arguments in FRONT)


def _ends(level: Iterable[Directive]) -> bool:
    """Whether every request that comes here is answered here."""
    for item in level:
        if item.name == "return":
            return True
        if item.name == "rewrite" and len(item.arguments) > 1:
            away = item.arguments[1].startswith(("http://", "https://", "$scheme://"))
            if (away or item.arguments[2:] in (("permanent",), ("redirect",))) and _fits_all(item.arguments[0]):
                return True
    return False


def _fits_all(pattern: str) -> bool:
    try:
        return all(re.search(pattern, path) for path in ("/", "/any/where"))
    except re.error:
        return False  # a form only PCRE knows


def nginx_programs(server: Server, roots: Collection[str]) -> Iterator[Program]:
    """Addresses under which another program answers than Chamilo's own."""
    roots = {root.rstrip("/") for root in roots}
    for path, location in prefixes(server.block.block or (), ""):
        if _CHAMILO.fullmatch(path):
            continue
        inner = location.block or ()
        to = next((item for item in walk(inner) if item.name in PASSES and item.arguments), None)
        if to is None:
            continue
        output = next((item for item in every(walk(inner), "root", "alias") if item.arguments), None)
        place = nginx.with_variables(output.arguments[0], server.block.block or ()).rstrip("/") if output else ""
        where = "" if place in roots or to.name != "fastcgi_pass" else place
        directory = f"{where}{path}".rstrip("/") if where and output and output.name == "root" else where
        what = f"PHP in {where or 'the portal'}" if to.name == "fastcgi_pass" else f"handed on by {to.name}"
        yield Program(location.file, location.line, path, what, directory if directory.startswith("/") else "")


def prefixes(level: Iterable[Directive], around: str) -> Iterator[tuple[str, Directive]]:
    """The outermost locations that are for one directory or address, with what all their addresses begin with."""
    for item in every(level, "location"):
        kind, pattern = (*item.arguments, "")[0], item.arguments[-1] if item.arguments else ""
        if kind in ("~", "~*"):
            literal = re.match(r"\^((?:/[\w-]+)*/)", pattern)
            pattern = literal[1] if literal else ""
        if PATH.fullmatch(pattern) and pattern != "/":
            yield pattern, item
        elif not around:
            yield from prefixes(item.block or (), pattern)


def names_in(server: Server) -> tuple[str, ...]:
    """The names that are written in a VirtualHost; what it has of the host itself is none."""
    return server.host.names if any(every((server.block.block or ()), "servername", "serveralias")) else ()


def kind(server: Server, names: Sequence[str]) -> str:
    """portal, or redirect where a VirtualHost does nothing but lead elsewhere."""
    level = server.block.block or ()
    tls = any(listen.tls for listen in server.host.listens)
    for item in level:
        if item.name in ("redirect", "redirectpermanent", "redirecttemp", "redirectmatch") and _is_redirect(item):
            return "redirect"
    if not any("".join(item.arguments[:1]).lower() == "on" for item in every(level, "rewriteengine")):
        return "portal"
    conditions: list[Directive] = []
    left = set(names)
    for item in level:
        if item.name == "rewritecond":
            conditions.append(item)
        elif item.name == "rewriterule":
            if _leads_all(item):
                left = {name for name in left if not _apply(conditions, name, tls)}
                if not left and (names or _apply(conditions, "", tls)):
                    return "redirect"
            conditions = []
    return "portal"


def _is_redirect(item: Directive) -> bool:
    words = list(item.arguments)
    if item.name in ("redirect", "redirectmatch") and len(words) == 3:
        if words.pop(0).lower() not in _STATUSES:
            return False
    if len(words) != 2 or not re.match(r"https?://", words[1], re.IGNORECASE):
        return False
    if item.name == "redirectmatch":
        return everything(words[0])
    return words[0] == "/"


def everything(pattern: str) -> bool:
    """Whether a pattern fits every address, but for one by which an authority knows the host."""
    if ("(?!" in pattern or pattern.startswith("!")) and "well-known" not in pattern:
        return False
    desired, pattern = not pattern.startswith("!"), pattern.lstrip("!")
    return all(_found(pattern, path, any_case=False) is desired for path in _ANY_PATH)


def _leads_all(rule: Directive) -> bool:
    pattern, target, flags = (*rule.arguments, "", "", "")[:3]
    return (
        everything(pattern)
        and re.match(r"https?://", target, re.IGNORECASE) is not None
        and _REDIRECTS.search(flags) is not None
    )


def _apply(conditions: Sequence[Directive], name: str, tls: bool) -> bool:
    """Whether conditions are true for every visit under a name. Those that are joined by OR are one."""
    joined: list[bool] = []
    for item in conditions:
        test, pattern, flags = (*item.arguments, "", "", "")[:3]
        joined.append(_contains(test, pattern, "nc" in flags.lower(), name, tls))
        if not re.search(r"[\[,]\s*(?:or|ornext)\s*[\],]", flags, re.IGNORECASE):
            if not any(joined):
                return False
            joined = []
    return not joined or any(joined)


def _contains(test: str, pattern: str, any_case: bool, name: str, tls: bool) -> bool:
    desired, pattern = not pattern.startswith("!"), pattern.lstrip("!")
    if test.upper() == "%{THE_REQUEST}":
        return all(_found(pattern, request, any_case) == desired for request in _ANY_REQUEST)
    if _PLAIN_CONDITION.fullmatch(test):
        value = {"%{https}": "on" if tls else "off", "%{server_port}": "443" if tls else "80"}.get(
            test.lower(), "https" if tls else "http"
        )
    elif _NAME_CONDITION.fullmatch(test) and name:
        value = name.replace("*", "any", 1)
    else:
        return test.upper() == "%{REQUEST_URI}" and not desired and "well-known" in pattern
    if pattern.startswith("="):
        return (value.lower() == pattern[1:].strip('"').lower()) == desired
    return _found(pattern, value, any_case) == desired


def _found(pattern: str, value: str, any_case: bool) -> bool | None:
    """None where the pattern is none that is understood here."""
    try:
        return re.search(pattern, value, re.IGNORECASE if any_case else 0) is not None
    except re.error:
        return None


def _apache_programs(
    tree: Tree, configuration: Configuration, serving: Sequence[Server], roots: Collection[str]
) -> Iterator[Program]:
    """What answers under the portal's name beside it."""
    outside = [item for item in configuration.directives if item.name in ("alias", "scriptalias")]
    for item in (*(item for server in serving for item in walk(server.block.block or ())), *outside):
        if item.name in ("alias", "scriptalias") and len(item.arguments) > 1:
            path, target = item.arguments[:2]
            target = target.rstrip("/")
            insider = any(f"{target}/".startswith(f"{root}/") for root in roots)
            runs = item.name == "scriptalias" or any(tree.glob(f"{target}/{each}") for each in ("*.php", "*/*.php"))
            if not insider and runs and _LITERAL.fullmatch(path):
                yield Program(item.file, item.line, path, item.written, target)
        elif item.name == "proxypass" and len(item.arguments) > 1:
            path = item.arguments[0]
            if path != "/" and _LITERAL.fullmatch(path) and item.arguments[1] != "!":
                yield Program(item.file, item.line, path, "handed on by ProxyPass")  # it may contain a password
