# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which requests an owner's server block of nginx answers by itself, such as those for addresses of an older program.

They go on to be answered so, whatever an address ends in: by nginx's own order nothing else comes to see them. Where
that does not follow from the configuration alone, the request is none of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from .beside import PASSES
from .configuration import Directive, Server, every, walk

MOST = 200
_REWRITES = ("rewrite", "return", "break", "set", "if")  # nginx goes through these in their order
# What means the same in quotes as it did without, and names no variable.
_PATTERN = re.compile(r"""(?!.*(?:\(\?P?[<'][A-Za-z_]|\{[{%#]))(?:[!#-&(-\[\]-~]|\\[^"'\\tnr\s])+""", re.ASCII)
_LITERAL = re.compile(r"/[\w./@~+-]*", re.ASCII)
# A test that may be written out, which others can read.
_TEST = re.compile(
    r"(?!.*\{[{%#])\(\s*(?:\$(?P<alone>[A-Za-z_]\w*)|\$(?P<of>uri|request_uri|document_uri|host|scheme)"
    r"\s+!?(?:=|~\*?)\s+[!-~]+)\s*\)",
    re.ASCII,
)


def answered(servers: Sequence[Server]) -> tuple[str, ...]:
    """The conditions of nginx for a request that each of these server blocks answers by itself."""
    found = [list(dict.fromkeys(_of(server.block.block or ()))) for server in servers]
    return tuple(one for one in (found or [[]])[0] if all(one in other for other in found[1:]))[:MOST]


def _of(level: Sequence[Directive]) -> Iterator[str]:
    given = {item.arguments[0].lstrip("$") for item in every(walk(level), "set") if item.arguments}
    for item in every(level, *_REWRITES):
        if item.name == "if":
            if any(inner.name in ("rewrite", "break") for inner in item.block or ()):
                return
            test = _TEST.fullmatch(item.rest)
            if test and not {test["alone"], test["of"]} & given and any(every(item.block or (), "return")):
                yield item.rest
        elif item.name == "rewrite" and _leads_away(item):
            yield from _matching("~", item.arguments[0])
        elif item.name != "set":
            return  # from here on it is another address, or none is left
    yield from _by_locations(list(every(level, "location")))


def _leads_away(rewrite: Directive) -> bool:
    to, *flag = rewrite.arguments[1:] or ("",)
    return flag in (["permanent"], ["redirect"]) or to.startswith(("http://", "https://", "$scheme"))


def _by_locations(locations: Sequence[Directive]) -> Iterator[str]:
    """Those of locations that do nothing but return: exact ones, ``^~`` and the first regular expressions."""
    if any(len(one.arguments) != 2 and one.arguments[0][:1] in "=~^" for one in locations):
        return  # written without a space
    others = [one for one in locations if not _returns(one)]
    first = not any(_comes_first(one) for one in others)
    for one in locations:
        kind, path = (*one.arguments, "")[:2] if len(one.arguments) == 2 else ("", one.arguments[0])
        if not _returns(one):
            first &= kind not in ("~", "~*")
        elif kind in ("~", "~*") and first:
            yield from _matching(kind, path)
        elif kind == "=" and _LITERAL.fullmatch(path):
            yield f'($uri = "{path}")'
        elif kind == "^~" and _LITERAL.fullmatch(path):
            if not any(other.arguments[-1].startswith(path) for other in others if other.arguments[0][0] != "~"):
                yield f'($uri ~ "^{re.escape(path)}")'


def _returns(location: Directive) -> bool:
    level = location.block or ()
    return [item.name for item in every(level, *_REWRITES)] == ["return"] and not any(item.block for item in level)


def _comes_first(location: Directive) -> bool:
    """Whether it can hand a request on before any regular expression of the server block is looked at."""
    within = location.block or ()
    if location.arguments[0] not in ("=", "^~") and not any(every(within, "location")):
        return False
    return any(
        item.name in (*PASSES, "rewrite") or any(word[:1] == "@" for word in item.arguments) for item in walk(within)
    )


def _matching(operator: str, pattern: str) -> Iterator[str]:
    if _PATTERN.fullmatch(pattern):
        yield f'($uri {operator} "{pattern}")'
