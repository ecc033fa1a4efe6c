# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Whether a PHP file runs what a request names: a web shell, however its functions are called.

Values of a request are followed through assignments. Code that calls, includes or evaluates one of them runs what the
visitor sends. Comments, words in strings and text outside the tags of PHP do not count. A value that the page compares
with a list, or puts behind a directory of its own, is a choice among existing files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_ROUNDS = 8  # assignments from one variable to the next that are followed
_LARGEST = 1 << 20  # bytes; larger than handwritten code; a search of more takes too long
_GAP = 500  # bytes of a call that are read

# ------------------------------------------------------------------------------------------------ the code of a file

_RUN = rb"assert|system|exec|shell_exec|passthru|popen|proc_open|pcntl_exec|create_function"
# Of $_SERVER, what a visitor sends.
_HEADERS = rb"HTTP_|PHP_AUTH|QUERY|REQUEST_URI|PATH_INFO"
_REPORTING = re.compile(rb"\\?(?:" + _RUN + rb")|(?:" + _HEADERS + rb")\w*|php://input", re.I)  # strings that are kept
_VALUE = re.compile(rb"(\{\$[^{}]*\}|(?<!\\)\$\w+(?:\[[^\]\s]*\])?)")  # in double quotes
_TOKEN = (
    rb"(?P<none>/\*.*?(?:\*/|\Z)|(?://|#(?!\[))[^\r\n]*?(?=[\r\n]|\?>|\Z))"
    rb"|\?>.*?(?:%s|\Z)"
    rb"|(?P<end>__halt_compiler\b.*)"
    rb"|'(?P<plain>[^'\\]*(?:\\.[^'\\]*)*)(?:'|\Z)"
    rb"|(?P<quote>[\"`])(?P<text>(?:(?!(?P=quote))[^\\{]|\\.|\{(?!\$)|\{\$[^{}\"]*(?:\"[^{}\"]*\"[^{}\"]*)*\})*)(?P=quote)"
    rb"|<<<[ \t]*(?P<mark>['\"]?)(?P<name>\w+)(?P=mark)(?=[\r\n])(?P<here>.*?)(?:[\r\n][ \t]*(?P=name)\b|\Z)"
)
_SHORT = re.compile(rb"<\?(?!php\b|=|xml)", re.I)
_LONG_TAGS = re.compile(_TOKEN % rb"<\?(?:php\b|=)", re.I | re.S)
_ALL_TAGS = re.compile(_TOKEN % rb"<\?(?:php\b|=|(?!xml))", re.I | re.S)


def obeys(text: bytes) -> bool:
    if not re.search(_SENT, text, re.I):
        return False
    if len(text) > _LARGEST:
        return True
    # What PHP takes for a tag is a setting of the host.
    tags = (_LONG_TAGS, _ALL_TAGS) if _SHORT.search(text) else (_LONG_TAGS,)
    return any(_obeys(scope) for known in tags for scope in _scopes(known.sub(_bare, b"?>" + text)))


def _bare(token: re.Match[bytes]) -> bytes:
    """What is left of a comment, a string or what is no PHP."""
    if token["none"] is not None or token["end"] is not None:
        return b" "
    if token["plain"] is not None:
        return b"'" + token["plain"] + b"'" if _REPORTING.fullmatch(token["plain"]) else b"''"
    text = token["text"] if token["quote"] else token["here"]
    if text is None:
        return b"; echo " if token[0].endswith(b"<?=") else b"; "
    if _REPORTING.fullmatch(text):
        return b'"' + text + b'"'
    pieces = [] if token["mark"] == b"'" else _VALUE.split(text)
    values = b"".join(piece.strip(b"{}") if place % 2 else piece and b"-" for place, piece in enumerate(pieces))
    return b'shell_exec("' + values + b'")' if token["quote"] == b"`" else b'"' + values + b'"'


_BODY = re.compile(rb"\bfunction\s+&?\s*\w+|[{};]", re.I)


def _scopes(code: bytes) -> list[bytes]:
    """Each named function, which has variables of its own, and what stands outside of them."""
    scopes, outside, begin, depth, end = [], b"", 0, 0, -1  # end: the depth outside of the function that was begun
    for found in _BODY.finditer(code):
        depth += (found[0] == b"{") - (found[0] == b"}")
        if len(found[0]) > 1:
            if end < 0:
                outside, begin, end = outside + code[begin : found.start()], found.start(), depth
        elif depth == end and found[0] != b"{":  # the last bracket; or it has no body
            scopes.append(code[begin : found.end()])
            begin, end = found.end(), -1
    return [*scopes, outside + code[begin:]]


# --------------------------------------------------------------------------------------------- what a request sends

_SENT = (
    rb"(?:\$_(?:GET|POST|REQUEST|COOKIE|FILES)\b|\$_SERVER\s*\[\s*(?:\$|['\"]?(?:" + _HEADERS + rb"))[^\]\n]{0,80}\]"
    rb"|\$(?:http)?request\s*->|\b(?:getallheaders|apache_request_headers|filter_input(?:_array)?)\s*\(|php://input)"
)
_INDEX = rb"(?:\s*\[[^\]\n]{0,80}\])*"
# A closure or an object that has a value is not the value.
_ASSIGNED = re.compile(
    rb"\$(\w+)\s*((?:\[[^\]\n]{0,80}\]\s*)*)(?:\.|\?\?)?=(?![=>])(?!\s*(?:static\s+)?(?:function|fn|new)\b)\s*([^;{}]{0,500})",
    re.I,
)
_EACH = re.compile(rb"\bforeach\s*\(([^;{]{0,300}?)\bas\s+(?:&?\$(\w+)\s*=>\s*)?&?\$(\w+)", re.I)
_SEVERAL = re.compile(rb"(?:\blist\s*\(|\[)([^\])=]{0,200}\$[^\])]{0,200})[\])]\s*=(?![=>])\s*([^;{}]{0,500})", re.I)
_PARSED = re.compile(rb"\bparse_str\s*\(([^;{}]{0,500}),\s*\$(\w+)\s*\)", re.I)
_BY_NAME = re.compile(rb"\bextract\s*\([^;]{0,500}" + _SENT, re.I)
_NAMES = re.compile(rb"\$(\w+)")
# What asks about a value, or makes something of it that no longer is what a visitor sent.
_ASKED = re.compile(
    rb"(?:(?<![\w$>:])(?:isset|empty|is_\w+|in_array|array_key_exists|count|strlen|intval|escapeshell(?:arg|cmd)|md5|sha1"
    rb"|ctype_\w+)\s*\([^(){};]{0,300}\)|\((?:int|bool|float)\)\s*"
    + _SENT
    + _INDEX
    + rb"|"
    + _SENT
    + _INDEX
    + rb"\s*[!=]==?)",
    re.I,
)
# What a method returns, or an array has at a place, is not what named it.
_FROM_ELSEWHERE = re.compile(
    rb"(?<!request)(?:->|::)\s*\w+\s*\((?:[^()]|\([^()]*\))*\)|(?<!_SERVER)(?<=[\w\])])\s*\[[^\[\]]*\]", re.I
)
# What begins with something of the page's own is a file of a directory, or a name of a group, that it chose.
_OWN = re.compile(rb"\s*(?:['\"]-|(?:['\"]{2}|__DIR__|[A-Z][A-Z_]+|dirname\s*\([^()]*\))\s*\.)")
# What was found among the values that a page knows.
_CHOSEN = re.compile(
    rb"(?<![\w$>:])(?:in_array|array_key_exists|ctype_\w+)\s*\(\s*\$(\w+)\s*[,)]|(?<![\w$>:])preg_match\s*\([^;,]{0,200},\s*\$(\w+)\s*[,)]",
    re.I,
)


Steps = list[tuple[list[bytes], bytes]]


def _steps(code: bytes, arrays: bool = False) -> Steps:
    """Which variables get which value. ``arrays``: also those that get one among others."""
    steps: Steps = [([found[1]], found[3]) for found in _ASSIGNED.finditer(code) if arrays or not found[2]]
    steps += [([name for name in found.groups()[1:] if name], found[1]) for found in _EACH.finditer(code)]
    steps += [(_NAMES.findall(found[1]), found[2]) for found in _SEVERAL.finditer(code)]
    steps += [([found[2]], found[1]) for found in _PARSED.finditer(code)]
    return [(names, _FROM_ELSEWHERE.sub(b"", value)) for names, value in steps]


def _sent(code: bytes, steps: Steps, chosen: set[bytes]) -> bytes:
    """What a request sends, and the variables that contain some of it."""
    sent = re.compile(_SENT, re.I)
    known: set[bytes] = {name for names, value in steps if sent.search(value) for name in names}
    if _BY_NAME.search(code):
        known |= set(_NAMES.findall(code)) - {name for names, _value in steps for name in names}
    known -= chosen
    for _round in range(_ROUNDS):
        more = {name for names, value in steps if known & set(_NAMES.findall(value)) for name in names} - chosen
        if more <= known:
            break
        known |= more
    names = b"|".join(map(re.escape, sorted(known)))
    return rb"(?:" + _SENT + (rb"|\$(?:" + names + rb")\b" if names else b"") + rb")"


# ------------------------------------------------------------------------------------------- what calls such a value

_NO_METHOD = rb"(?<![\w$>:])(?<!\bfunction )(?<!\bfunction &)"
_CALLED_FIRST = (  # what calls its first argument
    rb"call_user_func(?:_array)?|forward_static_call(?:_array)?|array_map|register_\w+_function|ob_start"
    rb"|set_(?:error|exception)_handler|header_register_callback|ReflectionFunction|Closure::fromCallable"
)
_CALLED_SECOND = rb"u[ak]?sort|array_(?:filter|reduce|walk(?:_recursive)?)|iterator_apply|preg_replace_callback"
_CALLED_LAST = rb"array_(?:u(?:diff|intersect)\w*|(?:diff|intersect)_u\w+)"
_CALL = re.compile(
    _NO_METHOD
    + rb"(?:(?P<all>(?:eval|"
    + _RUN
    + rb")\b|['\"]\\?(?:"
    + _RUN
    + rb")['\"])|(?P<first>"
    + _CALLED_FIRST
    + rb")|(?P<second>"
    + _CALLED_SECOND
    + rb")|(?P<last>"
    + _CALLED_LAST
    + rb"))\s*(?=\()",
    re.I,
)
_SIGN = re.compile(rb"[][(){},;]")
_RUNS = re.compile(rb"\s*['\"]\\?(?:" + _RUN + rb")['\"]\s*", re.I)


def _obeys(code: bytes) -> bool:
    if not re.search(_SENT, code, re.I):
        return False
    chosen = {b"this", *(name for found in _CHOSEN.finditer(code) for name in found.groups() if name)}
    code = _ASKED.sub(b" 0 ", code)
    whole = _sent(code, [step for step in _steps(code) if not _OWN.match(step[1])], chosen)
    direct = (
        _NO_METHOD + rb"(?:include|require)(?:_once)?\b[\s(@\"']*" + whole,
        rb"\bnew\s+" + _SENT,
        rb"(?<!->)(?<!::)(?<!\bfunction )(?<!\bnew )" + whole + _INDEX + rb"\s*\(",
        rb"(?:[;{}=!&|,(.@]|\b(?:echo|print|return))\s*\(\s*" + whole + _INDEX + rb"\s*\)\s*\(",
    )
    if re.search(b"|".join(direct), code, re.I):
        return True
    anywhere = re.compile(_sent(code, _steps(code, arrays=True), chosen), re.I)
    begins = re.compile(rb"[\s\[(@&]*" + whole + rb"(?!\s*(?:->|::))", re.I)
    for call in _CALL.finditer(code):
        given = list(_arguments(code, call.end()))
        if call["all"]:
            if anywhere.search(b",".join(given)):
                return True
            continue
        place = 0 if call["first"] else 1 if call["second"] else len(given) - 1
        callback = given.pop(place) if place < len(given) else b""
        if begins.match(callback) or (_RUNS.fullmatch(callback) and anywhere.search(b",".join(given))):
            return True
    return False


def _arguments(code: bytes, start: int) -> Iterator[bytes]:
    """Of the call whose bracket opens there."""
    depth, begin, end = 0, start + 1, start + _GAP
    for sign in _SIGN.finditer(code, start, end):
        depth += (sign[0] in b"([{") - (sign[0] in b")]}")
        if not depth or (depth == 1 and sign[0] == b","):
            yield code[begin : sign.start()]
            begin = sign.end()
        if not depth:
            return
    yield code[begin:end]
