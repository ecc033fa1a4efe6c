# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx: the active configuration, its server blocks, and which of them answers to a name."""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from .._common.errors import HardeningError
from .._common.tree import Place, Tree
from . import shared_directives
from .configuration import (
    Alias,
    Configuration,
    Directive,
    Listen,
    Server,
    VirtualHost,
    every,
    first,
    reached,
    walk,
)

MAIN = "/etc/nginx/nginx.conf"
# Debian's own: what every PHP request is given.
FASTCGI_FILES = ("/etc/nginx/fastcgi_params", "/etc/nginx/fastcgi.conf", "/etc/nginx/snippets/fastcgi-php.conf")
# What speaks of the request, not of the application.
REQUEST_PARAMS = frozenset(
    {"SCRIPT_FILENAME", "SCRIPT_NAME", "DOCUMENT_ROOT", "PATH_INFO", "PATH_TRANSLATED", "HTTP_PROXY", "HTTPS"}
)
_DEPTH = 20  # includes within includes; more is a loop

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*)
    | (?P<mark>[{};])
    | (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<word>(?!["'])(?:\\.|\$\{|[^\s;{\\])+)
    """,
    re.VERBOSE | re.DOTALL,
)
_LUA = re.compile(
    r"""--\[(=*)\[.*?\]\1\]|--[^\n]*|\[(=*)\[.*?\]\2\]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[{}]""", re.DOTALL
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_PLAIN_NAME = re.compile(r"[\w-]+(?:\.[\w-]+)+")
_LITERAL = re.compile(r"\^(?:/[\w-]+)*")  # what every address begins with that fits an expression
_ESCAPED = {"t": "\t", "r": "\r", "n": "\n", '"': '"', "'": "'", "\\": "\\"}


class _SyntaxError(HardeningError):
    """nginx would not start with this file."""


def _plain(text: str) -> str:
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[0]), text)


@functools.lru_cache(maxsize=512)  # discovery and audit read one configuration several times
def parse_text(text: str, file: str) -> tuple[Directive, ...]:
    """The directives of one file; ``include`` stays as it is."""
    top: list[Directive] = []
    level = top
    outer: list[tuple[list[Directive], list[str], str, int, int, int]] = []
    words: list[str] = []
    written: list[str] = []
    position = counted = begin = 0
    line = start = 1
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise _SyntaxError(f"{file}:{line}: cannot be read")
        line += text.count("\n", counted, position)
        counted, position = position, found.end()
        if found["space"]:
            continue
        if found["mark"] is None:
            if not words:
                start, begin = line, found.start()
            written = [*written, found[0]] if words else [found[0]]
            words.append(_plain(found["quoted"][1:-1] if found["quoted"] else found["word"]))
        elif found["mark"] == "}":
            if words or not outer:
                raise _SyntaxError(f'{file}:{line}: unexpected "}}"')
            block, (level, words, head, start, begin, opened) = tuple(level), outer.pop()
            span = (begin, found.end(), opened, found.start())
            level.append(Directive(words[0], tuple(words[1:]), file, start, block, head, *span))
            words = []
        elif not words:
            raise _SyntaxError(f'{file}:{line}: unexpected "{found["mark"]}"')
        elif found["mark"] == ";":
            level.append(Directive(words[0], tuple(words[1:]), file, start, None, " ".join(written), begin, position))
            words = []
        elif words[0].endswith("_by_lua_block"):
            position = _behind_lua(text, position, file, line)
            level.append(Directive(words[0], tuple(words[1:]), file, start, None, " ".join(written), begin, position))
            words = []
        else:
            outer.append((level, words, " ".join(written), start, begin, position))
            level, words = [], []
    if words or outer:
        raise _SyntaxError(f'{file}:{line}: the file ends within "{(words or outer[-1][1])[0]}"')
    return tuple(top)


def _behind_lua(text: str, position: int, file: str, line: int) -> int:
    """Where a program of Lua ends, whose braces and quotes are its own."""
    depth = 1
    for found in _LUA.finditer(text, position):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if depth == 0:
            return found.end()
    raise _SyntaxError(f"{file}:{line}: the file ends within a program of Lua")


def parse(tree: Tree, main: str = MAIN) -> Configuration:
    """The active configuration. An unreadable file is a problem, not an exception."""
    configuration = Configuration()
    configuration.directives = tuple(_parse_file(tree, main, posixpath.dirname(main), configuration, 0))
    return configuration


def _parse_file(tree: Tree, path: str, prefix: str, configuration: Configuration, depth: int) -> list[Directive]:
    file = tree.real(path)
    if tree.is_link(path):
        links = configuration.links.setdefault(file, [])
        if path not in links:
            links.append(path)
    if depth > _DEPTH:
        configuration.problems.append(f"nginx: {path} is included from itself.")
        return []
    try:
        text = configuration.texts[file] = tree.read(path)
        return _expand(tree, parse_text(text, file), prefix, configuration, depth)
    except OSError as problem:
        configuration.problems.append(f"nginx: {path} cannot be read: {problem.strerror}.")
    except _SyntaxError as problem:
        configuration.problems.append(f"nginx: {problem}.")
    return []


def _expand(
    tree: Tree, directives: Iterable[Directive], prefix: str, configuration: Configuration, depth: int
) -> list[Directive]:
    """Put what an ``include`` brings behind it."""
    result = []
    for directive in directives:
        if directive.block is not None:
            block = tuple(_expand(tree, directive.block, prefix, configuration, depth))
            directive = replace(directive, block=block)
        result.append(directive)
        if directive.name == "include" and len(directive.arguments) == 1:
            pattern = posixpath.join(prefix, directive.arguments[0])
            paths = tree.glob(pattern)
            if not paths and not re.search(r"[*?\[]", pattern):
                paths = [pattern]  # nginx would reject it: let the reader report it
            for path in paths:
                result += _parse_file(tree, path, prefix, configuration, depth + 1)
    return result


def servers(configuration: Configuration) -> list[Server]:
    """The server blocks of http, in order."""
    result = []
    for http in every(configuration.directives, "http"):
        level = http.block or ()
        upstreams = _upstreams(level)
        around = [item for item in level if item.name != "server"]  # there may be thousands of these
        result += [Server(_host(block, around, upstreams, configuration), block) for block in every(level, "server")]
    return result


def inherited(configuration: Configuration) -> VirtualHost:
    """What a server block is without a line of its own."""
    http = next((one.block or () for one in every(configuration.directives, "http")), ())
    return _host(Directive("server", (), "", 0, ()), http, {}, configuration)


def limits_names(configuration: Configuration) -> bool:
    """Whether its owner limits the length of the names of server blocks. nginx rejects a second line."""
    return any(
        not configuration.is_ours(item.file)
        for http in every(configuration.directives, "http")
        for item in every(http.block or (), "server_names_hash_bucket_size")
    )


def _upstreams(level: Sequence[Directive]) -> dict[str, str]:
    return {
        block.arguments[0]: first(block.block or (), "server") for block in every(level, "upstream") if block.arguments
    }


def _host(
    block: Directive, http: Sequence[Directive], upstreams: dict[str, str], configuration: Configuration
) -> VirtualHost:
    level = block.block or ()

    def value(name: str) -> str:
        return first(level, name) or first(http, name)

    # Not those of our drop-ins, where an inherited log is repeated.
    here = [item for item in level if item.file == block.file or not configuration.is_ours(item.file)]

    def log(name: str) -> Directive | None:
        return next((item for item in (*here, *http) if item.name == name and item.arguments), None)

    http2 = value("http2") == "on"
    legacy_tls = value("ssl") == "on"
    written = [listen.arguments for listen in every(level, "listen") if listen.arguments]
    php = next((item.arguments[0] for item in walk(level) if item.name == "fastcgi_pass" and item.arguments), "")
    waits = [
        item
        for item in every((*level, *http), "fastcgi_read_timeout")
        if item.arguments and not configuration.is_ours(item.file)
    ]
    access, error = log("access_log"), log("error_log")
    links = configuration.links.get(block.file, [])
    return VirtualHost(
        file=block.file,
        line=block.line,
        names=tuple(
            name if name.startswith("~") else name.lower()  # in an expression \D is another thing than \d
            for item in every(level, "server_name")
            for name in item.arguments
        ),
        listens=tuple(
            parse_listen(arguments, legacy_tls, http2) for arguments in written or [("80",)] if "quic" not in arguments
        ),
        root=_root(level) or first(http, "root"),
        certificate=value("ssl_certificate"),
        certificate_key=value("ssl_certificate_key"),
        enabled_by=links[0] if links else "",
        includes=tuple(item.arguments[0] for item in every(level, "include") if item.arguments),
        access_log=access.rest if access else "",
        access_log_file=access.arguments[0] if access else "",
        inherited_logs=()
        if any(every(here, "access_log"))
        else tuple(item.rest for item in every(http, "access_log") if item.arguments),
        error_log=error.rest if error else "",
        body_limit=size(value("client_max_body_size")),
        body_limit_own=any(
            not configuration.is_ours(item.file) for item in level if item.name == "client_max_body_size"
        ),
        patience=seconds(waits[0].arguments) if waits else -1,
        patience_own=bool(waits) and waits[0] in level,
        once=tuple(
            Place(item.file, item.line, " ".join((item.name, *item.arguments)))
            for item in every(level, *shared_directives.ONCE)
            if not configuration.is_ours(item.file)
        ),
        php=upstreams.get(php, php),
        aliases=tuple(dict.fromkeys(_aliases(level))),
        ours=configuration.is_ours(block.file),
    )


def _aliases(level: Sequence[Directive]) -> Iterator[Alias]:
    """Where locations have their files, or PHP its scripts, as far as it is written out."""
    for location in every(walk(level), "location"):
        path = location.arguments[-1] if location.arguments else ""
        if location.arguments[:1] in (("~",), ("~*",)):
            path = (_LITERAL.match(path) or [""])[0].lstrip("^")
        path = path.rstrip("/")
        for item in every(location.block or (), "alias", "root", "fastcgi_param"):
            if item.name == "fastcgi_param" and item.arguments[:1] != ("SCRIPT_FILENAME",):
                continue
            written = with_variables(item.arguments[-1], level) if item.arguments else ""
            directory, variable, _rest = written.partition("$")
            if not directory.startswith("/"):  # below the document root, or it is unknown where
                continue
            if item.name == "root" or (item.name == "fastcgi_param" and variable):
                directory = f"{directory.rstrip('/')}{path}"
            elif item.name == "fastcgi_param":
                directory = posixpath.dirname(directory)
            if path[:1] in ("", "/"):
                yield Alias(path, directory.rstrip("/") or "/")


def _root(level: Sequence[Directive]) -> str:
    """The document root, with what the server block itself sets as variables."""
    front = (item.block or () for item in every(level, "location") if item.arguments[-1:] == ("/",))
    root = with_variables(first(level, "root") or next((first(block, "root") for block in front), ""), level)
    names = [name for item in every(level, "server_name") for name in item.arguments]
    if names and _PLAIN_NAME.fullmatch(names[0]):
        root = _put(root, "server_name", names[0])
        if len(names) == 1:  # visitors can ask for no other
            root = _put(_put(root, "host", names[0]), "http_host", names[0])
    return root


def _put(text: str, variable: str, value: str) -> str:
    return re.sub(rf"\$(?:{variable}\b|\{{{variable}\}})", lambda _found: value, text)


def with_variables(text: str, level: Sequence[Directive]) -> str:
    """A text with the variables that ``set`` gives a value of its own in this level."""
    given = {item.arguments[0]: item.arguments[1] for item in every(level, "set") if len(item.arguments) == 2}
    for name, value in given.items():
        word = re.escape(name[1:])
        text = re.sub(rf"\$(?:{word}\b|\{{{word}\}})", value.replace("\\", r"\\"), text)
    return text


def size(text: str) -> int:
    """Bytes of an nginx size such as 256m; -1 when not set."""
    found = re.fullmatch(r"(\d+)([kKmMgG]?)", text)
    return int(found[1]) * 1024 ** " kmg".index(found[2].lower() or " ") if found else -1


def seconds(words: Sequence[str]) -> int:
    """Seconds of an nginx time such as 90, 5m or 1m 30s; -1 when it is none."""
    each = {"ms": 0.001, "s": 1, "": 1, "m": 60, "h": 3600, "d": 86400}
    text = "".join(words)
    parts = re.findall(r"(\d+)(ms|[smhd]|$)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return -1
    return int(sum(int(number) * each[unit] for number, unit in parts))


def parse_listen(arguments: Sequence[str], tls: bool = False, http2: bool = False) -> Listen:
    """The address of a ``listen`` directive."""
    address, port = arguments[0], 80
    if address.startswith("unix:"):
        port = 0
    elif address.isdigit():
        address, port = "*", int(address)
    else:
        found = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d+))?", address)
        if found:
            address, port = found[1], int(found[2] or 80)
    return Listen(
        address="*" if address == "0.0.0.0" else address,
        port=port,
        tls=tls or "ssl" in arguments,
        default="default_server" in arguments or "default" in arguments,
        http2=http2 or "http2" in arguments,
    )


def answering(all_servers: Sequence[Server], name: str) -> tuple[list[Server], list[Server]]:
    """By nginx's own rules."""
    return reached(all_servers, name, by_name)


def by_name(candidates: Sequence[Server], name: str) -> Server | None:
    """Exact name, then the longest leading and the longest trailing wildcard, then the first regular expression."""
    name = name.lower()
    ranked: list[tuple[int, int, Server]] = []
    for server in candidates:
        for pattern in server.host.names:
            rank = _rank(pattern, name)
            if rank == _EXACT:
                return server
            if rank:
                ranked.append((*rank, server))
    return max(ranked, key=lambda entry: entry[:2])[2] if ranked else None


_EXACT = (4, 0)


def _rank(pattern: str, name: str) -> tuple[int, int] | None:
    """How well a pattern fits a name in lower case; None where it does not."""
    if pattern in (name, f".{name}"):
        return _EXACT
    if pattern.startswith(("*.", ".")) and name.endswith(pattern.lstrip("*")):
        return 2, len(pattern.lstrip("*"))
    if pattern.endswith(".*") and name.startswith(pattern[:-1]):
        return 1, len(pattern)
    return (0, 0) if pattern.startswith("~") and _matches(pattern[1:], name) else None


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.search(_python(pattern), name, re.IGNORECASE) is not None
    except re.error:
        return False  # a form only PCRE knows


def _python(pattern: str) -> str:
    return re.sub(r"\(\?<(?![=!])", "(?P<", pattern)


def real_environment(server: Server) -> dict[str, Place]:
    """What ``fastcgi_param`` passes to PHP, by name: its place, with the bare value."""
    given = (item for item in walk(server.block.block or ()) if item.name == "fastcgi_param" and item.arguments[1:])
    return {
        item.arguments[0]: Place(item.file, item.line, item.arguments[1])
        for item in given
        if item.file not in FASTCGI_FILES and item.arguments[0] not in REQUEST_PARAMS
    }
