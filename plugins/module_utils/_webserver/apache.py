# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apache: the active configuration, its virtual hosts, and which of them answers to a name.

Directive names are kept in lower case, as Apache ignores case; names of sections have no angle brackets.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from .._common.errors import HardeningError
from .._common.tree import Place, Tree
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

MAIN = "/etc/apache2/apache2.conf"
ENVIRONMENT = "/etc/apache2/envvars"
_HOSTNAME, _HOSTS = "/etc/hostname", "/etc/hosts"
_DEPTH = 20  # includes within includes; more is a loop

# What Debian builds into the server itself.
_BUILT_IN = frozenset({"core", "so", "watchdog", "http", "log_config", "logio", "version", "unixd"})
_CONDITIONS = frozenset({"ifmodule", "ifdefine", "iffile", "ifversion"})
_WORD = re.compile(r"""\s*(?:(["'])((?:(?!\1)[^\\]|\\.)*)\1|(\S+))""", re.DOTALL)
_VARIABLE = re.compile(r"\$\{([^}:]+)\}")
_PARAMETER = re.compile(r"[$@][A-Za-z_]\w*", re.ASCII)
_FCGI = re.compile(r"(?:(unix:[^|]+)\|)?fcgi://([^/|]*)")
_FCGI_PATH = re.compile(r"fcgi://[^/|]*(/.*)")
_LITERAL = re.compile(r"\^?(?:/[\w-]+)*")  # what every address begins with that fits an expression, or is below a path


class _SyntaxError(HardeningError):
    """Apache would not start with this file."""


def environment(tree: Tree) -> dict[str, str]:
    """The variables that Debian's ``envvars`` sets, for the one instance called apache2."""
    variables: dict[str, str] = {}
    for line in tree.read(ENVIRONMENT).splitlines():
        found = re.fullmatch(r"\s*(?:export\s+)?([A-Za-z_]\w*)=(\S*|\"[^\"]*\"|'[^']*')\s*(?:#.*)?", line)
        if found and found[1] != "SUFFIX":
            value = found[2].strip("\"'")
            variables[found[1]] = re.sub(r"\$\{?(\w+)\}?", lambda name: variables.get(name[1], ""), value)
    return variables


@dataclass(frozen=True)
class _Line:
    """A line with those that continue it, without white space around it."""

    number: int  # of the first one
    written: str
    start: int  # in characters of its file
    end: int


class _Reader:
    def __init__(self, tree: Tree, version: str) -> None:
        self.tree = tree
        self.configuration = Configuration()
        self.root = posixpath.dirname(MAIN)
        self.version = [int(number) for number in re.findall(r"\d+", version)[:3]]
        self.defined: dict[str, str] = {}
        self.modules = set(_BUILT_IN)
        self.depth = 0
        self.macros: dict[str, tuple[list[str], list[_Line], str]] = {}
        try:
            self.defined.update(environment(tree))
        except OSError as problem:
            self.configuration.problems.append(f"Apache: {ENVIRONMENT} cannot be read: {problem.strerror}.")
        self.flags = set(re.findall(r"-D\s*(\w+)", self.defined.get("APACHE_ARGUMENTS", "")))

    def file(self, path: str) -> list[Directive]:
        file = self.tree.real(path)
        if self.tree.is_link(path):
            links = self.configuration.links.setdefault(file, [])
            if path not in links:
                links.append(path)
        if self.depth > _DEPTH:
            self.configuration.problems.append(f"Apache: {path} is included from itself.")
            return []
        self.depth += 1
        try:
            text = self.configuration.texts[file] = self.tree.read(path)
            return self.lines(_logical_lines(text), file)
        except OSError as problem:
            self.configuration.problems.append(f"Apache: {path} cannot be read: {problem.strerror}.")
        except _SyntaxError as problem:
            self.configuration.problems.append(f"Apache: {problem}.")
        finally:
            self.depth -= 1
        return []

    def lines(self, text: Iterable[_Line], file: str) -> list[Directive]:
        """The directives of some lines. A section is a condition (followed or left out) or a block."""
        top: list[Directive] = []
        # Of each open section: its name, arguments, first line, the level around it, and the result of its condition.
        outer: list[tuple[str, list[str], _Line, list[Directive], bool | None]] = []
        level, dead = top, 0  # dead: number of open sections whose condition is false
        text = iter(text)
        for at in text:
            written, line = at.written, at.number
            if written.startswith("</"):
                closed = written[2:].rstrip("> \t").lower()
                if not outer or outer[-1][0] != closed:
                    raise _SyntaxError(f"{file}:{line}: unexpected {written}")
                name, arguments, opening, around, condition = outer.pop()
                if condition is False:
                    dead -= 1
                elif condition is None and not dead:
                    span = (opening.start, at.end, opening.end, at.start)
                    around.append(
                        Directive(name, tuple(arguments), file, opening.number, tuple(level), opening.written, *span)
                    )
                level = around
            elif written.startswith("<"):
                name, arguments = self.words(written[1:].rstrip().removesuffix(">"))
                condition = self.is_true(name, arguments) if name in _CONDITIONS and not dead else None
                if name == "macro" and arguments and not dead:
                    end = self.macro(at, arguments, text, file)
                    level.append(
                        Directive(name, tuple(arguments), file, line, (), written, at.start, end.end, at.end, end.start)
                    )
                    continue
                outer.append((name, arguments, at, level, condition))
                if condition is False:
                    dead += 1
                elif condition is None:
                    level = []
            elif not dead:
                self.directive(at, file, level)
        if outer:
            raise _SyntaxError(f"{file}:{outer[-1][2].number}: <{outer[-1][0]}> is never closed")
        return top

    def words(self, written: str) -> tuple[str, list[str]]:
        written = _VARIABLE.sub(lambda found: self.defined.get(found[1], found[0]), written)
        words = [
            re.sub(rf"\\([{found[1]}\\])", r"\1", found[2]) if found[1] else found[3]
            for found in _WORD.finditer(written)
        ]
        return (words[0].lower(), words[1:]) if words else ("", [])

    def directive(self, at: _Line, file: str, level: list[Directive]) -> None:
        name, arguments = self.words(at.written)
        level.append(Directive(name, tuple(arguments), file, at.number, None, at.written, start=at.start, end=at.end))
        if not arguments:
            return
        if name == "loadmodule":
            self.modules.add(arguments[0].removesuffix("_module"))
        elif name == "define":
            self.flags.add(arguments[0])
            self.defined[arguments[0]] = arguments[1] if len(arguments) > 1 else ""
        elif name == "undefine":
            self.flags.discard(arguments[0])
            self.defined.pop(arguments[0], None)
        elif name == "serverroot":
            self.root = arguments[0]
        elif name in ("include", "includeoptional"):
            for path in self.included(arguments[0], optional=name == "includeoptional"):
                level += self.file(path)
        elif name == "use":
            level += self.used(at, arguments, file)

    def macro(self, opening: _Line, arguments: Sequence[str], text: Iterator[_Line], file: str) -> _Line:
        """Keep the lines of a macro, which take effect where it is used. Returns the line that closes it."""
        kept: list[_Line] = []
        for at in text:
            if re.fullmatch(r"</macro\s*>", at.written, re.IGNORECASE):
                # A parameter of another form could stand in what is written into the macro, too.
                if not all(map(_PARAMETER.fullmatch, arguments[1:])):
                    kept = [replace(one, start=-1, end=-1) for one in kept]
                self.macros[arguments[0].lower()] = [*arguments[1:]], kept, file
                return at
            kept.append(at)
        raise _SyntaxError(f"{file}:{opening.number}: <macro> is never closed")

    def used(self, at: _Line, arguments: Sequence[str], file: str) -> list[Directive]:
        """The directives of a macro with these values, each with its place in the macro, however often that is used."""
        names, kept, written = self.macros.get(arguments[0].lower(), ([], [], ""))
        if not kept or len(names) != len(arguments) - 1 or self.depth > _DEPTH:
            self.configuration.problems.append(
                f'Apache: {file}:{at.number}: the macro in "{at.written}" is not followed.'
            )
            return []
        values = dict(zip(names, arguments[1:]))
        form = re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True))) or r"(?!)")
        self.depth += 1
        try:
            messages = [replace(one, written=form.sub(lambda name: values[name[0]], one.written)) for one in kept]
            return self.lines(messages, written)
        finally:
            self.depth -= 1

    def included(self, argument: str, optional: bool) -> list[str]:
        pattern = posixpath.join(self.root, argument)
        result = []
        for path in self.tree.glob(pattern) or ([] if optional or re.search(r"[*?\[]", pattern) else [pattern]):
            if self.tree.is_directory(path):
                result += self.tree.glob(posixpath.join(path, "*"))
            else:
                result.append(path)
        return result

    def is_true(self, name: str, arguments: Sequence[str]) -> bool:
        argument = arguments[0] if arguments else ""
        desired, argument = not argument.startswith("!"), argument.lstrip("!")
        if name == "ifmodule":
            module = re.sub(r"_module$|\.c$", "", argument).removeprefix("mod_")
            return (module in self.modules or f"mpm_{module}" in self.modules) == desired
        if name == "ifdefine":
            return (argument in self.flags) == desired
        if name == "iffile":
            return self.tree.exists(posixpath.join(self.root, argument)) == desired
        return self.version_is(arguments)

    def version_is(self, arguments: Sequence[str]) -> bool:
        operator, value = arguments if len(arguments) == 2 else ("=", "".join(arguments))
        desired, operator = not operator.startswith("!"), operator.lstrip("!")
        numbers = [int(number) for number in re.findall(r"\d+", value)]
        numbers += [0] * (3 - len(numbers))
        here = self.version or [2, 4, 0]
        answers = {"=": here == numbers, "==": here == numbers, ">": here > numbers, ">=": here >= numbers}
        answers.update({"<": here < numbers, "<=": here <= numbers})
        return answers.get(operator, True) == desired


def _logical_lines(text: str) -> Iterator[_Line]:
    """Lines with continuations joined, without comments and empty ones."""
    number = start = position = 0
    joined = ""
    for count, line in enumerate(text.split("\n"), 1):
        if not number:
            number, start = count, position + len(line) - len(line.lstrip())
        position += len(line) + 1
        bare = line[:-1] if line.endswith("\r") else line
        if bare.endswith("\\"):
            joined += bare[:-1]
            continue
        joined += bare
        if joined.strip() and not joined.lstrip().startswith("#"):
            yield _Line(number, joined.strip(), start, position - 1 - len(line) + len(line.rstrip()))
        number, joined = 0, ""


def parse(tree: Tree, version: str = "", modules: Iterable[str] = ()) -> Configuration:
    """The active configuration. An unreadable file is a problem, not an exception.

    ``modules``: more of them, which are about to be loaded.
    """
    reader = _Reader(tree, version)
    reader.modules.update(modules)
    reader.configuration.directives = (*_own_name(tree), *reader.file(MAIN))
    reader.configuration.modules = tuple(sorted(reader.modules))
    reader.configuration.version = version
    return reader.configuration


def _own_name(tree: Tree) -> list[Directive]:
    """The full name of the host, which Apache uses as its own name without a ServerName."""
    if not (tree.exists(_HOSTNAME) and tree.exists(_HOSTS)):
        return []
    name = tree.read(_HOSTNAME).strip().lower()
    lines = (line.partition("#")[0].lower().split() for line in tree.read(_HOSTS).splitlines())
    known = next((words[1] for words in lines if name in words[1:]), name)
    full = next((each for each in (known, name) if "." in each), "")
    return [Directive("servername", (full,), _HOSTNAME, 1)] if full else []


def servers(configuration: Configuration) -> list[Server]:
    """The VirtualHost sections, in order."""
    return [Server(_host(block, configuration), block) for block in every(configuration.directives, "virtualhost")]


def inherited(configuration: Configuration) -> VirtualHost:
    """What a VirtualHost is without a line of its own."""
    return _host(Directive("virtualhost", (), "", 0, ()), configuration)


def _host(block: Directive, configuration: Configuration) -> VirtualHost:
    level, main = block.block or (), configuration.directives

    def value(name: str) -> str:
        return first(level, name) or first(main, name)

    def log(name: str) -> Directive | None:
        return next((item for item in (*level, *main) if item.name == name and item.arguments), None)

    tls = value("sslengine").lower() == "on"
    http2 = tls and any("h2" in item.arguments for item in (*every(level, "protocols"), *every(main, "protocols")))
    listens = tuple(parse_listens(block.arguments, tls, configuration, http2))
    if not value("sslengine") and first(level, "sslcertificatefile"):  # it goes by the port then
        secure = {listen.port for listen in listening(configuration) if listen.tls}
        listens = tuple(replace(listen, tls=listen.port in secure) for listen in listens)
    named = [item for item in every(level, "servername") if item.arguments]
    if not named and any(listen.address == "*" for listen in listens):
        named = [item for item in every(main, "servername") if item.arguments]
    names = [_host_name(item.arguments[0]) for item in named[-1:]]
    names += [name.lower() for item in every(level, "serveralias") for name in item.arguments]
    limit = value("limitrequestbody")
    waits = [
        item
        for name in ("proxytimeout", "timeout")
        for part in (level, main)
        for item in reversed(list(every(part, name)))
        if "".join(item.arguments[:1]).isdigit() and not configuration.is_ours(item.file)
    ]
    access, error = log("customlog"), log("errorlog")
    links = configuration.links.get(block.file, [])
    return VirtualHost(
        file=block.file,
        line=block.line,
        names=tuple(names),
        listens=listens,
        root=(value("virtualdocumentroot") or value("documentroot")).rstrip("/"),
        certificate=value("sslcertificatefile"),
        certificate_key=value("sslcertificatekeyfile"),
        enabled_by=links[0] if links else "",
        includes=tuple(item.arguments[0] for item in every(level, "include", "includeoptional") if item.arguments),
        access_log=access.rest if access else "",
        access_log_file=access.arguments[0] if access else "",
        error_log=error.rest if error else "",
        body_limit=int(limit) if limit.isdigit() else -1,
        body_limit_own=any(not configuration.is_ours(item.file) for item in level if item.name == "limitrequestbody"),
        patience=int(waits[0].arguments[0]) if waits else -1,
        patience_own=bool(waits) and waits[0] in level,
        php=_php(level)
        or _php(every(main, "filesmatch", "files", "sethandler", "proxypassmatch", "directory"))
        or ("mod_php" if is_mod_php(configuration.modules) else ""),
        aliases=tuple(dict.fromkeys(_aliases([*walk(level), *_outside(main)]))),
        ours=configuration.is_ours(block.file),
    )


def _aliases(directives: Iterable[Directive]) -> Iterator[Alias]:
    """Where addresses have their files, or PHP its scripts, as far as it is written out."""
    for item in directives:
        if item.name in ("location", "locationmatch") and item.arguments:
            for inner in every(item.block or (), "alias"):
                if len(inner.arguments) == 1:
                    yield _alias(item.arguments[-1], inner.arguments[0])
        elif item.name in ("alias", "aliasmatch", "scriptalias", "scriptaliasmatch") and len(item.arguments) == 2:
            yield _alias(*item.arguments)
        elif item.name in ("proxypass", "proxypassmatch") and len(item.arguments) > 1:
            found = _FCGI_PATH.search(item.arguments[1])
            if found:
                yield _alias(item.arguments[0], found[1])


def _alias(address: str, directory: str) -> Alias:
    literal = _LITERAL.match(address)
    return Alias(
        (literal[0] if literal else "").lstrip("^").rstrip("/"), directory.partition("$")[0].rstrip("/") or "/"
    )


def is_mod_php(modules: Iterable[str]) -> bool:
    return any(re.fullmatch(r"php\d*", module) for module in modules)


def _outside(main: Sequence[Directive]) -> list[Directive]:
    """The directives outside of every virtual host: they count in all of them."""
    return [item for item in main if item.name != "virtualhost" for item in walk([item])]


def _php(level: Iterable[Directive]) -> str:
    """Where a handler or a proxy directive sends PHP."""
    for item in walk(level):
        if item.name in ("sethandler", "proxypassmatch", "proxypass") and item.arguments:
            address = fcgi_address(item.arguments[-1])
            if address:
                return address
    return ""


def fcgi_address(target: str) -> str:
    """The address in a handler such as ``proxy:unix:/run/php/x.sock|fcgi://localhost``, or an empty text."""
    found = _FCGI.search(target)
    return (found[1] or found[2]) if found else ""


def _host_name(argument: str) -> str:
    """A ServerName without scheme and port."""
    return re.sub(r"^\w+://|:\d+$", "", argument).lower()


def listening(configuration: Configuration) -> list[Listen]:
    """The Listen directives."""
    result = []
    for item in every(configuration.directives, "listen"):
        if item.arguments:
            address, _colon, port = item.arguments[0].rpartition(":")
            if port.isdigit():
                result.append(Listen(_address(address), int(port), item.arguments[1:] == ("https",) or port == "443"))
    return result


def _address(text: str) -> str:
    return "*" if text in ("", "*", "_default_", "0.0.0.0") else text


def parse_listens(
    arguments: Sequence[str], tls: bool, configuration: Configuration, http2: bool = False
) -> Iterable[Listen]:
    """The addresses of a VirtualHost section. Without a port it is for those ports that no other section asks for."""
    for address, port in map(_split, arguments):
        if port:
            yield Listen(address, port, tls, http2=http2)
        else:
            taken = {
                other
                for block in every(configuration.directives, "virtualhost")
                for where, other in map(_split, block.arguments)
                if where == address
            }
            for free in sorted({listen.port for listen in listening(configuration)} - taken):
                yield Listen(address, free, tls, http2=http2)


def _split(argument: str) -> tuple[str, int]:
    """Address and port of ``*:80``; the port is 0 when it is any."""
    found = re.fullmatch(r"(.*?)(?::(\d+|\*))?", argument) if not argument.endswith("]") else None
    if found is None:
        return argument, 0
    return _address(found[1]), int(found[2]) if found[2] and found[2] != "*" else 0


def answering(all_servers: Sequence[Server], name: str) -> tuple[list[Server], list[Server]]:
    """By Apache's own rules. The first of an address is its default."""
    return reached(all_servers, name, _by_name)


def _by_name(servers: Sequence[Server], name: str) -> Server | None:
    return next((server for server in servers if is_named(server.host.names, name)), None)


def is_named(names: Iterable[str], name: str) -> bool:
    """Whether a ServerName or ServerAlias fits; ``*`` and ``?`` in an alias are wildcards."""
    return any(pattern == name.lower() or fnmatch.fnmatchcase(name.lower(), pattern) for pattern in names)


def real_environment(server: Server) -> dict[str, Place]:
    """What ``SetEnv`` passes to PHP, by name: its place, with the bare value."""
    return {
        item.arguments[0]: Place(item.file, item.line, item.arguments[1])
        for item in walk(server.block.block or ())
        if item.name == "setenv" and len(item.arguments) > 1
    }
