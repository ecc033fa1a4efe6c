# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the running fail2ban does: its jails by its own socket, their expressions by its own engine. Read only."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._common.begun import Begun
from .._common.errors import HardeningError

SOCKET = "/run/fail2ban/fail2ban.sock"
_END = b"<F2B_END_COMMAND>"
_SECONDS = 5.0
_PROTOCOL = 2
_MOST = 1 << 22  # bytes of one answer
_PIECE = 1 << 16  # bytes read at a time

# Runs under fail2ban's own Python, in a process of its own: an expression that never ends must not end the audit.
_ENGINE = """
import json, sys, warnings
warnings.simplefilter("ignore")
from fail2ban.server.filter import Filter
task = json.load(sys.stdin)
answers = []
for jail in task["jails"]:
    engine = Filter(None, useDns="no")
    engine.checkFindTime = False
    if jail["maxlines"] > 1:
        engine.setMaxLines(jail["maxlines"])
    if jail["datepattern"]:
        engine.setDatePattern(jail["datepattern"])
    if jail["prefregex"]:
        engine.prefRegex = jail["prefregex"]
    for expression in jail["failregex"]:
        engine.addFailRegex(expression)
    for expression in jail["ignoreregex"]:
        engine.addIgnoreRegex(expression)
    answers.append([[str(hit[1]) for hit in engine.processLine(line)] for line in task["lines"]])
json.dump(answers, sys.stdout)
"""


class Fail2banError(HardeningError):
    """fail2ban could not be queried; the message states why."""


@dataclass(frozen=True)
class Jail:
    """A jail as it runs, which may differ from its present files."""

    name: str
    files: tuple[str, ...]
    journal: tuple[tuple[str, ...], ...]  # of which entries of the journal: of one group all has to hold
    expressions: tuple[str, ...]
    ignored_expressions: tuple[str, ...]
    prefix: str
    date_pattern: str
    lines: int
    attempts: int
    window: int
    seconds: int  # of a ban; below zero for ever
    friends: tuple[str, ...]  # addresses and networks that are never banned
    spares_itself: bool
    friend_command: str
    actions: Mapping[str, str]  # name -> the command that bans


class _NothingButData(pickle.Unpickler):
    """fail2ban answers in pickles. Numbers, texts and lists need no class; it wraps addresses in ``str``."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in (("builtins", "str"), ("__builtin__", "str"), ("__builtin__", "unicode")):
            return str
        raise pickle.UnpicklingError(f"{module}.{name}")


def is_installed() -> bool:
    return _client() is not None


def running() -> list[Jail] | None:
    """The running jails; None where no fail2ban runs."""

    def jails(line: socket.socket) -> list[Jail]:
        listed = dict(_ask(line, "status"))["Jail list"]
        return [_jail(line, name.strip()) for name in listed.split(",") if name.strip()]

    found: list[Jail] | None = _connected(jails)
    return found


def banned() -> dict[str, list[str]]:
    """The present bans: address -> its jails. Empty where fail2ban does not run."""
    found: dict[str, list[str]] = {}
    for jail in _connected(lambda line: _ask(line, "banned")) or []:
        for name, addresses in jail.items():
            for address in addresses:
                found.setdefault(str(address), []).append(str(name))
    return found


def unban(address: str) -> None:
    """Let an address in again, in all jails."""
    _connected(lambda line: _ask(line, "unban", address))


def _connected(work: Callable[[socket.socket], Any]) -> Any:
    """What comes of a connection to the running fail2ban; None where none runs."""
    if not os.path.exists(SOCKET):
        return None
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(_SECONDS)
            line.connect(SOCKET)
            return work(line)
    except ConnectionRefusedError:  # the socket of one that died
        return None
    except (OSError, pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError) as problem:
        raise Fail2banError(f"fail2ban gave no usable answer at {SOCKET}: {problem}") from problem


def _jail(line: socket.socket, name: str) -> Jail:
    def get(*what: str) -> Any:
        return _ask(line, "get", name, *what)

    pattern = get("datepattern")
    return Jail(
        name=name,
        files=tuple(get("logpath")),
        journal=tuple(tuple(map(str, group)) for group in get("journalmatch")),
        expressions=tuple(get("failregex")),
        ignored_expressions=tuple(get("ignoreregex")),
        prefix=get("prefregex") or "",
        date_pattern=(pattern[0] if pattern else "") or "",
        lines=int(get("maxlines")),
        attempts=int(get("maxretry")),
        window=int(get("findtime")),
        seconds=int(get("bantime")),
        friends=tuple(str(friend) for friend in get("ignoreip")),
        spares_itself=bool(get("ignoreself")),
        friend_command=get("ignorecommand") or "",
        actions={action: _bans(line, name, action) for action in get("actions")},
    )


def _bans(line: socket.socket, jail: str, action: str) -> str:
    """What an action runs to ban. Actions written in Python have no such command."""
    known = _ask(line, "get", jail, "actionproperties", action)
    return str(_ask(line, "get", jail, "action", action, "actionban")) if "actionban" in known else ""


def _ask(line: socket.socket, *words: str) -> Any:
    line.sendall(pickle.dumps(list(words), _PROTOCOL) + _END)
    answer = b""
    while not answer.endswith(_END):
        piece = line.recv(_PIECE)
        if not piece or len(answer) > _MOST:
            raise OSError("the answer broke off")
        answer += piece
    code, value = _NothingButData(io.BytesIO(answer[: -len(_END)])).load()
    if code:
        raise ValueError(f"{' '.join(words)} was refused")
    return value


def engine() -> Begun:
    """fail2ban's own engine, which takes a while to load."""
    return Begun([interpreter(), "-c", _ENGINE])


def matches(loaded: Begun, jails: Sequence[Jail], lines: Sequence[str]) -> list[list[list[str]]]:
    """For each jail and each line the addresses that would be counted. An engine answers once."""
    if not jails or not lines:
        return [[[] for _line in lines] for _jail in jails]
    reported = {
        "lines": list(lines),
        "jails": [
            {
                "failregex": jail.expressions,
                "ignoreregex": jail.ignored_expressions,
                "prefregex": jail.prefix,
                "datepattern": jail.date_pattern,
                "maxlines": jail.lines,
            }
            for jail in jails
        ],
    }
    try:
        code, output, errors = loaded.answer(json.dumps(reported).encode(), _SECONDS)
    except subprocess.TimeoutExpired as problem:
        raise Fail2banError(
            f"the expressions of {', '.join(jail.name for jail in jails)} took longer than {_SECONDS:g} s"
        ) from problem
    if code:
        words = errors.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise Fail2banError(f"fail2ban's own engine could not be used: {words[-1]}")
    found: list[list[list[str]]] = json.loads(output)
    return found


def _client() -> str | None:
    return shutil.which("fail2ban-client", path="/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin")


def interpreter() -> str:
    """The Python that fail2ban runs under: that of the first line of its client."""
    path = _client()
    if path is None:
        raise Fail2banError("fail2ban-client is not installed")
    with open(path, encoding="utf-8", errors="replace") as file:
        found = re.match(r"#!\s*(/\S+)", file.readline(200))
    if found is None or not os.path.basename(found[1]).startswith("python"):
        raise Fail2banError(f"{path} does not name the Python it runs under")
    return found[1]
