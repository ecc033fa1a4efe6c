# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Whether a PHP file runs what a request names: a web shell, however its functions are called.

Values of a request are followed through assignments. What calls, includes or evaluates one of them obeys the visitor.
"""

from __future__ import annotations

import re

_ROUNDS = 8  # assignments from one variable to the next that are followed
_LARGEST = 1 << 20  # bytes; nobody writes so much by hand, and no search of more ends in time
# Of $_SERVER, what a visitor sends.
_SENT = (
    rb"(?:\$_(?:GET|POST|REQUEST|COOKIE|FILES)\b|\$_SERVER\s*\[\s*(?:\$|['\"](?:HTTP_|PHP_AUTH|QUERY|REQUEST_URI|PATH_INFO))"
    rb"|\$(?:http)?request\s*->|\b(?:getallheaders|apache_request_headers|filter_input(?:_array)?)\s*\(|php://input)"
)
_ASSIGNED = re.compile(rb"\$(\w+)\s*(?:\[[^\]\n]{0,80}\]\s*)*(?:\.|\?\?)?=(?![=>])\s*([^;]{0,500})")
_EACH = re.compile(rb"\bforeach\s*\(([^;{]{0,300}?)\bas\s+(?:&?\$(\w+)\s*=>\s*)?&?\$(\w+)", re.I)
_SEVERAL = re.compile(rb"(?:\blist\s*\(|\[)([^\])=]{0,200}\$[^\])]{0,200})[\])]\s*=(?![=>])\s*([^;]{0,500})", re.I)
_BY_NAME = re.compile(rb"\b(?:extract|parse_str)\s*\([^;]{0,500}" + _SENT, re.I)
_NAMES = re.compile(rb"\$(\w+)")


def obeys(text: bytes) -> bool:
    if len(text) > _LARGEST:
        return True
    first, *others = text.split(b"/*")
    text = b"".join([first, *(other.partition(b"*/")[2] for other in others)])
    if not re.search(_SENT, text, re.I):
        return False
    if _BY_NAME.search(text):
        return True
    names = b"|".join(map(re.escape, sorted(_followed(text))))
    sent = rb"(?:" + _SENT + (rb"|\$(?:" + names + rb")\b" if names else b"") + rb")"
    return re.search(_calls(sent), text, re.I) is not None


def _followed(text: bytes) -> set[bytes]:
    """The variables that hold something of a request."""
    steps: list[tuple[list[bytes], bytes]] = [([found[1]], found[2]) for found in _ASSIGNED.finditer(text)]
    steps += [([name for name in found.groups()[1:] if name], found[1]) for found in _EACH.finditer(text)]
    steps += [(_NAMES.findall(found[1]), found[2]) for found in _SEVERAL.finditer(text)]
    sent = re.compile(_SENT, re.I)
    known: set[bytes] = {name for names, value in steps if sent.search(value) for name in names}
    for _round in range(_ROUNDS):
        more = {name for names, value in steps if known & set(_NAMES.findall(value)) for name in names}
        if more <= known:
            break
        known |= more
    return known


def _calls(sent: bytes) -> bytes:
    """What calls, includes or evaluates a value."""
    first = (
        rb"call_user_func(?:_array)?|forward_static_call(?:_array)?|array_(?:map|diff_ukey)|register_\w+_function|ob_start"
        rb"|set_(?:error|exception)_handler|header_register_callback|ReflectionFunction|Closure::fromCallable"
    )
    second = rb"u[ak]?sort|array_(?:filter|reduce|walk(?:_recursive)?|u\w+)|iterator_apply|preg_replace_callback"
    whole = (
        rb"eval|assert|system|exec|shell_exec|passthru|popen|proc_open|pcntl_exec|create_function"
        rb"|(?:include|require)(?:_once)?"
    )
    index = rb"(?:[^\[\]()$;\n]{0,40}\])?(?:\s*\[[^\]\n]{0,80}\])*"  # the rest of one that began, and more
    return b"|".join(
        (
            rb"(?<![\w$>])(?:" + first + rb")\s*\(\s*[\[(@&]*\s*" + sent,
            rb"(?<![\w$>])(?:" + second + rb")\s*\([^;]{0,500},\s*" + sent,
            rb"(?<![\w$>:])(?:" + whole + rb")\b[^;]{0,500}" + sent,
            rb"\bnew\s+" + sent,
            rb"(?<!->)(?<!::)(?<!\bfunction )" + sent + index + rb"\s*\(",
            rb"(?:[;{}=!&|,(.@]|\b(?:echo|print|return)|<\?php)\s*\(\s*" + sent + index + rb"\s*\)\s*\(",
        )
    )
