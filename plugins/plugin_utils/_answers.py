# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validates what a managed host answers against what its module is to return: as documented, or as it is below.

An attacker who controls a host chooses what its modules answer. On the controller such an answer is data: it has the
documented types, matches the pattern below where a name, a path or a command is built from it, and has no control
characters. Any other result is dropped.
"""

from __future__ import annotations

import base64
import collections.abc
import functools
import importlib
import itertools
import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml

from . import _facts

MODULES = Path(__file__).resolve().parents[1] / "modules"
MOST_RAW = 16_000_000  # bytes in memory before they are decoded
MOST_ESCAPES = 1_000_000
MOST_TEXT = 1_000_000
MOST_OF_ALL = 4_000_000  # characters of all texts together
MOST_VALUES = 200_000
MOST_DISPLAYED = 10_000  # characters of what is printed
CUT = " ... (cut)"

# Control characters that a terminal obeys, lone surrogates, and the marks that turn text around.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]|\r(?!\n)"
)


class AnswerError(Exception):
    """The answer does not match what is documented; the message gives the reason."""

    def __init__(self, asked: str, why: str) -> None:
        self.why = printable(why)
        super().__init__(
            f"Invalid answer of the host to {asked}: {self.why}. It was rejected. The host may be compromised, or its "
            "Python broken: inspect it before the next run."
        )


@dataclass(frozen=True)
class Text:
    form: str = ""
    most: int = MOST_TEXT
    cut: bool = False  # instead of being refused, where it is longer


@dataclass(frozen=True)
class Flag:
    pass


@dataclass(frozen=True)
class Number:
    pass


@dataclass(frozen=True)
class Plain:
    """Anything that JSON has."""


@dataclass(frozen=True)
class List:
    of: Shape


@dataclass(frozen=True)
class Each:
    """A map whose keys are not known beforehand."""

    of: Shape


@dataclass(frozen=True)
class Table:
    entries: Mapping[str, Shape]
    needed: frozenset[str] = field(default_factory=frozenset)


Shape = Union[Text, Flag, Number, Plain, List, Each, Table]


def _whole(entries: Mapping[str, Shape]) -> Table:
    """Where nothing of it may be missing."""
    return Table(entries, frozenset(entries))


# A name of the portal, perhaps a wildcard.
NAME = r"(?:\*\.)?[0-9a-z_](?:[0-9a-z_.-]{0,251}[0-9a-z])?"
# The directory of a plugin, which becomes part of a pattern.
PLUGIN = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,100}"
SEALED = r"[0-9A-Za-z+/=]{0,100000}"
HEX = r"(?:[0-9a-f]{2})*"
JOB = r"backup|drill"
HOST = r"[][0-9A-Za-z.:%_/-]{0,255}"
# It is granted privileges: no wildcard.
ONE_HOST = r"[0-9A-Za-z.:_-]{0,255}"
# A line of a virtual host, which no template takes for its own.
LINE = r"(?!.*\{[{%#])[ -~]+"
MESSAGE = Text(most=MOST_DISPLAYED, cut=True)
EVIDENCE = Text(most=4_000, cut=True)
_STATUS = Text(r"pass|fail|not_applicable|not_assessed")
_FINDING = Table(
    {"status": _STATUS, **dict.fromkeys(("evidence", "waits", "cause"), EVIDENCE)}, frozenset({"status", "evidence"})
)
# As the host program observes it.
STATE = List(
    _whole(
        {
            "state": Text(r"open|waiting|broken|red|locked|not looked at"),
            "section": Text(r"[0-9A-Za-z_.:-]{0,300}"),
            **dict.fromkeys(("why", "next"), EVIDENCE),
        }
    )
)

# It becomes an inventory of the controller.
_PORTAL = Table(
    {
        "domain": Text(rf"(?:{NAME})?"),
        "names": List(Text(NAME)),
        "root": Text(r"/[^\x00-\x1f\x7f{}]{0,4095}"),
        "obstacles": List(MESSAGE),
        **{name: Text() for name in ("web_server", "php", "database", "version")},
    },
    frozenset({"domain", "names", "root", "obstacles", "web_server", "php", "database", "version"}),
)

# Where the documentation is not precise enough: what becomes part of a name, a path or a command, or is parsed here.
FORMS: dict[str, dict[str, Shape]] = {
    "chamilo_env": {"sealed": Text(SEALED)},
    "chamilo_settings": {"settings": Each(Table({"before": Plain(), "after": Plain(), "changed": Flag()}))},
}
# What internal modules return, which is not documented.
INTERNAL: dict[str, Table] = {
    "backup_key": Table(
        {
            "held": Flag(),
            "due": List(Text(JOB)),
            "key": Text(r"[0-9A-Za-z_=+/-]{1,512}"),
            "fingerprint": Text(HEX),
        }
    ),
    "chamilo_certificate": Table(
        {"certificate": Text(), "certificate_key": Text(), "names": List(Text()), "days_left": Number()}
    ),
    "chamilo_database_account": _whole(
        {
            **dict.fromkeys(("server_here", "needs_admin"), Flag()),
            "source": Text(ONE_HOST),
            **dict.fromkeys(("accounts", "moved"), Each(Plain())),
            "notes": List(Text()),
        }
    ),
    "chamilo_hsts": _whole({"value": Text(), "since": Text(), "waits": List(Text())}),
    "chamilo_portals_info": _whole({"portals": List(_PORTAL)}),
    # On the host a file is named after the job.
    "foreign_module": Table(
        {
            "ansible_job_id": Text(r"[0-9A-Za-z.]{1,64}"),
            "finished": Plain(),
            "cmd": Plain(),
            "rc": Number(),
            **dict.fromkeys(("stdout", "stderr", "content"), Text()),
            **dict.fromkeys(("stdout_lines", "stderr_lines"), List(Text())),
        }
    ),
    "guide_audit_info": Table(
        {
            "observed": Each(_FINDING),
            "chamilo_version": Text(r"[0-9A-Za-z.+~_ -]{0,64}"),
            "names": List(Text(NAME)),
            "signs": List(EVIDENCE),
            "active": List(Text(r"[a-z_]{1,32}")),
            "forecast": Table({"said": List(EVIDENCE)}),
            "state": STATE,
        },
        frozenset({"observed", "chamilo_version", "signs", "forecast"}),
    ),
    # The path is asked for from here: "@other.host/" would be another host.
    "guide_prove": Table(
        {
            "path": Text(r"/chamilo-hardening-[0-9A-Za-z]{1,16}\.txt"),
            "names": List(Text(NAME)),
            "findings": Each(_FINDING),
            "observed": Each(_FINDING),
        }
    ),
    "host_program": _whole({"version": Text()}),
    "release_comparison": _whole({"package": Text(), "package_problem": Text(), "unlike": List(Text())}),
}
# The dataclass that a module answers, which is compiled where it is needed, and the forms of what is in it.
TYPED = {"chamilo_site_info": ("_application.discovered", "Discovered")}
ENGINES = "ansible_collections.chamilo.hardening.plugins.module_utils."
DISCOVERED: dict[str, Shape] = {
    "in_force{}.generation": Text(HEX),
    "program": Each(Text(HEX)),
    "backup_key.fingerprint": Text(HEX),
    "backup_key.due": List(Text(JOB)),
    "given": Text(SEALED),
    "obstacles[].why": MESSAGE,
    "obstacles[].sections": List(Text("[a-z_]{1,32}")),
    "obstacles[].controls": List(Text("[a-z_]{1,64}")),
    "node.sealed": Text(SEALED),
    "site.environment": Each(Text()),
    "site.environment_source": Each(Text()),
    "site.database.host": Text(HOST),
    "site.hsts_since": Text(r"(?:\d{4}-\d\d-\d\d)?"),
    "site.managed_from": Text(HOST),
    **{f"site.{each}": List(Text(NAME)) for each in ("portal_names", "access_urls", "answered")},
    "site.in_place.answered": List(Text(LINE)),
    "site.plugins": List(Text(PLUGIN)),
    "site.own_host.refused": Each(MESSAGE),
    **{f"site.own_host.{each}": List(Text(LINE)) for each in ("kept", "kept_php")},
    "site.web.name": Text(r"nginx|apache|"),
    "site.web.version": Text(r"(?:\d[0-9A-Za-z.+~-]{0,63})?"),
}
# What the host program prints, by its command.
PRINTED: dict[str, Table] = {
    "status": Table({"entries": STATE}),
    "daily": Table(
        {
            "ran": List(Table({"changed": Flag()}, frozenset({"changed"}))),
            "lists": Each(Table({"digest": Text(r"[0-9a-f]{64}"), "copied": Flag()}, frozenset({"digest", "copied"}))),
        }
    ),
}

# What any module may return for display.
_DISPLAYED = ("msg", "diff", "warnings", "invocation", "module_stdout", "module_stderr")
# What Ansible itself evaluates. No module of this collection returns facts, or reports its own host as unreachable.
_EVALUATED = ("changed", "failed", "skipped")


def printable(text: str) -> str:
    """A text without control characters."""
    plain = text.encode(errors="surrogatepass").decode(errors="surrogatepass")  # no type of ansible-core's
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", plain)


# In JSON: a backslash with what it escapes.
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|r\\n|.)", re.DOTALL)


_ESCAPED, _STRING = re.compile(r"\\.", re.DOTALL), re.compile(r'"[^"\n]*"')


def without_controls(text: str) -> str:
    """JSON, or what was to be JSON, without control characters, written as they are or escaped.

    ansible-core prints the warnings in an answer, and what is around the JSON, before anybody can look at the answer.
    """

    def escape(found: re.Match[str]) -> str:
        character = json.loads(f'"{found[0]}"') if re.fullmatch(r"\\(?:u\w{4}|[bfr])", found[0]) else ""
        surrogate = "\ud800" <= character <= "\udfff"  # half of a character
        return found[0] if surrogate or printable(character) == character else "\\ufffd"

    return _ESCAPE.sub(escape, printable(text))


def bounded(asked: str, *printed: str) -> None:
    """Refuse what a host printed where it is larger than any answer, or decodes to more values than one has.

    ansible-core itself has it in memory by then, once as a text and once by its lines.
    """
    reader = _Reader(asked)
    if sum(map(sys.getsizeof, printed)) > MOST_RAW:
        raise reader._error(f"it is larger than {MOST_RAW} bytes")
    for text in printed:
        if text.count("\\") > MOST_ESCAPES:
            raise reader._error(f"it has more than {MOST_ESCAPES} escapes")
        if next(itertools.islice(_UNPRINTABLE.finditer(text), MOST_ESCAPES, None), None):
            raise reader._error(f"it has more than {MOST_ESCAPES} control characters")
        # In JSON no text goes beyond a line. In two steps, neither of which has to remember where it came from.
        bare = _STRING.sub("", _ESCAPED.sub("", text))
        if sum(map(bare.count, "[{,")) > 2 * MOST_VALUES:
            raise reader._error(f"it has more than {MOST_VALUES} values")


def displayable(value: Any) -> Any:
    """Bounded and safe to display. A value of another type than text, list or map stays as it is."""
    if isinstance(value, str):
        text = printable(value[: MOST_DISPLAYED + 1])
        return text if len(text) <= MOST_DISPLAYED else text[:MOST_DISPLAYED] + CUT
    if isinstance(value, Mapping):
        return {printable(str(key)[:MOST_DISPLAYED]): displayable(item) for key, item in value.items()}
    return [displayable(item) for item in value[:MOST_DISPLAYED]] if isinstance(value, list) else value


class _Reader:
    def __init__(self, asked: str) -> None:
        self.asked = asked
        self.values = MOST_VALUES
        self.characters = MOST_OF_ALL

    def read(self, shape: Shape, value: Any, where: str) -> Any:
        self._count(where)
        if isinstance(shape, Text):
            return self._text(shape, value, where)
        if isinstance(shape, Flag):
            return value if isinstance(value, bool) else self._refuse(where, value, "true or false")
        if isinstance(shape, Number):
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            return value if number else self._refuse(where, value, "a number")
        if isinstance(shape, List) or (isinstance(shape, Plain) and isinstance(value, list)):
            if not isinstance(value, list):
                self._refuse(where, value, "a list")
            of = shape.of if isinstance(shape, List) else shape
            return [self.read(of, item, f"{where}[{number}]") for number, item in enumerate(value)]
        if isinstance(shape, Plain) and not isinstance(value, (Mapping, str)):
            return (
                value if value is None or isinstance(value, (bool, int, float)) else self._refuse(where, value, "JSON")
            )
        if isinstance(shape, Plain) and isinstance(value, str):
            return self._text(Text(), value, where)
        if not isinstance(value, Mapping):
            self._refuse(where, value, "a map")
        if isinstance(shape, Table):
            return self._table(shape, value, where)
        of = shape.of if isinstance(shape, Each) else shape
        return {
            self._text(Text(most=4_096), key, f"{where}, a key"): self.read(of, item, f"{where}.{str(key)[:60]}")
            for key, item in value.items()
        }

    def _table(self, shape: Table, value: Mapping[Any, Any], where: str) -> dict[str, Any]:
        for name in sorted(shape.needed):
            if name not in value:
                raise self._error(f"{where}{'.' if where else ''}{name} is missing")
        return {
            name: self.read(entry, value[name], f"{where}{'.' if where else ''}{name}")
            for name, entry in shape.entries.items()
            if name in value
        }

    def _text(self, shape: Text, value: Any, where: str) -> str:
        if not isinstance(value, str):
            self._refuse(where, value, "a text")
        if len(value) > shape.most:
            if not shape.cut:
                raise self._error(f"{where} has {len(value)} characters, more than {shape.most}")
            value = value[: shape.most] + CUT
        self._count(where, len(value))
        text = printable(value)
        if shape.form and not re.fullmatch(shape.form, text):
            self._refuse(where, text, f"of the form {shape.form}")
        return text

    def _count(self, where: str, characters: int = 0) -> None:
        self.values -= 1
        self.characters -= characters
        if self.values < 0 or self.characters < 0:
            raise self._error(f"it is larger than any valid result, up to {where[:120]}")

    def _refuse(self, where: str, value: Any, desired: str) -> Any:
        kinds = {str: "text", bool: "boolean", list: "list", type(None): "null", int: "number", float: "number"}
        kind = next((name for type_, name in kinds.items() if isinstance(value, type_)), "map")
        shown = f" {value[:40]!r}" if isinstance(value, str) else ""
        raise self._error(f"{where[:120] or 'it'} is a {kind}{shown}, not {desired}")

    def _error(self, why: str) -> AnswerError:
        return AnswerError(self.asked, why)


_KINDS: dict[Any, Shape] = {str: Text(), bool: Flag(), int: Number(), float: Number(), Any: Plain()}


def _of(kind: Any, where: str = "") -> Table:
    """The shape of a dataclass, with all of its fields."""
    hints = get_type_hints(kind)
    return _whole({each.name: _typed(hints[each.name], f"{where}{each.name}") for each in fields(kind)})


def _typed(kind: Any, where: str) -> Shape:
    """The shape of a value of an annotated type."""
    if where in DISCOVERED:
        return DISCOVERED[where]
    if is_dataclass(kind):
        return _of(kind, f"{where}.")
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple and arguments[1:] == (...,):
        return List(_typed(arguments[0], f"{where}[]"))
    if origin in (dict, collections.abc.Mapping) and arguments[0] is str:
        return Each(_typed(arguments[1], f"{where}{{}}"))
    return Plain() if origin is Union else _KINDS[kind]


def _documented(option: Mapping[str, Any]) -> Shape:
    kind = option["type"]
    if "contains" in option:
        table = Table({name: _documented(entry) for name, entry in option["contains"].items()})
        return List(table) if kind == "list" else _whole(table.entries)
    if kind == "list":
        return List(_documented({"type": option.get("elements", "raw")}))
    kinds: dict[str, Shape] = {"str": Text(), "bool": Flag(), "int": Number(), "float": Number(), "dict": Each(Plain())}
    return kinds.get(kind, Plain())


@functools.cache
def shape(module: str) -> Table:
    """What a module of this collection returns: as it is documented, or as it is above."""
    if module in INTERNAL:
        return INTERNAL[module]
    if module in TYPED:
        engine, kind = TYPED[module]
        return _of(getattr(importlib.import_module(ENGINES + engine), kind))
    text = (MODULES / f"{module}.py").read_text(encoding="utf-8")
    documented = re.search(r'^RETURN = r"""\n(.*?)^"""', text, re.MULTILINE | re.DOTALL)
    if not documented:
        return Table({})
    options = yaml.load(documented[1], Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    options = {name: option for name, option in options.items() if name not in _DISPLAYED}
    entries = {name: FORMS.get(module, {}).get(name) or _documented(option) for name, option in options.items()}
    return Table(entries, frozenset(name for name in entries if options[name].get("returned") in ("success", "always")))


def read(module: str, answer: Mapping[str, Any], asked: str = "") -> dict[str, Any]:
    """The answer of a module of this collection as the controller may use it."""
    reader = _Reader(asked or module)
    taken = _facts.reserved(answer.get("ansible_facts"))
    if taken:
        raise reader._error(f"it sets variables of the controller as facts ({', '.join(taken)[:1000]})")
    read_: dict[str, Any] = {}
    for name, value in answer.items():
        if name in _EVALUATED:
            read_[name] = reader.read(Flag(), value, name)
        elif name in _DISPLAYED:
            read_[name] = displayable(value)
        elif name.startswith("_ansible_"):
            read_[name] = value
    whole = shape(module)
    if answer.get("failed") or answer.get("skipped"):
        whole = Table(whole.entries)  # what is there
    return {**read_, **reader.read(whole, answer, "")}


def validate(shape: Shape, value: Any, what: str) -> Any:
    """A value of that shape, which may be from anywhere; a ValueError where it is not."""
    try:
        return _Reader("").read(shape, value, what)
    except AnswerError as error:
        raise ValueError(error.why) from None


def validate_hosts(shape: Shape, value: Any, what: str) -> dict[str, Any]:
    """What a file of ours has of each host. It may have hundreds of them, so the limits are for each by itself."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} is no map of hosts")
    found: dict[str, Any] = {}
    for name, one in value.items():
        found.update(validate(Each(shape), {name: one}, what))
    return found


def _certificates(value: Any) -> str:
    """Certificates in PEM form, as the module slurp brings a file."""
    try:
        text = base64.b64decode(value, validate=True).decode("ascii")
    except (ValueError, TypeError):
        text = ""
    block = r"-----BEGIN CERTIFICATE-----\n[0-9A-Za-z+/=\n]{1,16384}-----END CERTIFICATE-----\n"
    if not re.fullmatch(f"(?:{block}){{1,16}}", text):
        raise _Reader("the question for a certificate")._error("it is not one in PEM form")
    return text


def _printed(command: str, value: Any) -> Any:
    """What a command of the host program printed as JSON."""
    reader = _Reader(f"chamilo-hardening {command}")
    if not isinstance(value, str) or len(value) > MOST_OF_ALL:
        raise reader._error("it is no text, or longer than any valid one")
    try:
        known = json.loads(value)
    except (ValueError, RecursionError):
        raise reader._error("it is not in the form of JSON") from None
    return reader.read(PRINTED[command], known, "")


# For answers of other modules than those of this collection: by the kind of answer.
KINDS: dict[str, Callable[[Any], Any]] = {
    "certificate": _certificates,
    "text": displayable,
    **{command: functools.partial(_printed, command) for command in PRINTED},
}
