# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Proves a filter of fail2ban before it is installed.

fail2ban's own reader reads the very text that would be installed, and its own engine matches the samples, the samples
with somebody else's address in every place that a stranger writes, and the slowest lines that can be made of them. All
that happens in a process of its own, which the kernel ends when a line takes too long.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import json
import os
import re
import signal
import string
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.fail2ban import Fail2banError, interpreter
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import open_regular

DIRECTORY = "/etc/fail2ban/filter.d"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# Addresses for documentation: nobody has them. Two of each kind, should one stand in a sample.
VICTIMS = (("198.51.100.77", "192.0.2.77"), ("2001:db8:bad::77", "2001:db8:dead::77"))
LOG_BYTES = 1 << 20
_BUSY_LINES, _BUSY_AGENTS = 100, 5  # no single visitor has so many browsers
_LONG = 8000  # what a web server takes as one line of a request
STRAIN, ANY = "strain", "any"
_SHORT = 40  # what an exponential pattern cannot do

# Runs under fail2ban's own Python. One line of answer for each line it was given; the timers are the kernel's, so a
# pattern that never comes back ends the process. The second one is for a machine that is busy with something else.
ENGINE = """
import json, os, shutil, signal, sys, tempfile, time, warnings
warnings.simplefilter("ignore")
from fail2ban.client.filterreader import FilterReader
from fail2ban.server.filter import Filter
try:
    from re import _parser as parser
except ImportError:
    import sre_parse as parser

def say(what):
    sys.stdout.write(json.dumps(what) + "\\n")
    sys.stdout.flush()

def anchored(items):
    for operator, value in items:
        if operator is parser.AT:
            return value in (parser.AT_BEGINNING, parser.AT_BEGINNING_STRING)
        if operator is parser.SUBPATTERN:
            return anchored(value[-1])
        if operator is parser.BRANCH:
            return all(anchored(branch) for branch in value[1])
        if operator not in (parser.ASSERT, parser.ASSERT_NOT):
            return False
    return False

told = json.load(sys.stdin)
folder = tempfile.mkdtemp()
try:
    os.mkdir(os.path.join(folder, "filter.d"))
    with open(os.path.join(folder, "filter.d", told["name"] + ".conf"), "w", encoding="utf-8") as file:
        file.write(told["text"])
    reader = FilterReader(told["name"], "proof", {}, basedir=folder)
    reader.read()
    reader.getOptions(None)
    commands = reader.convert()
finally:
    shutil.rmtree(folder)

engine = Filter(None, useDns="raw")
engine.checkFindTime = False
read = {"failregex": [], "ignoreregex": [], "prefregex": [], "datepattern": []}
try:
    for command in commands:
        key = command[2].replace("add", "", 1) if command[2].startswith("add") else command[2]
        values = command[3] if command[0] == "multi-set" else command[3:]
        if key in read:
            read[key] += values
    for value in read["datepattern"]:
        engine.setDatePattern(value)
    for value in read["prefregex"]:
        engine.prefRegex = value
    for value in read["failregex"]:
        engine.addFailRegex(value)
    for value in read["ignoreregex"]:
        engine.addIgnoreRegex(value)
except Exception as problem:  # fail2ban raises many kinds; each is told as the refusal it is
    say({"refused": str(problem)})
    sys.exit(0)
compiled = list(engine.failRegex) if hasattr(engine, "failRegex") else engine.getFailRegex()
if engine.prefRegex:
    compiled.append(engine.prefRegex.getRegex())
say({"read": read, "loose": [one for one in compiled if not anchored(parser.parse(one))]})
for lines in told["groups"]:
    signal.setitimer(signal.ITIMER_PROF, told["budget"])
    signal.setitimer(signal.ITIMER_REAL, 1.25 * told["budget"])
    for line in lines:
        began = time.process_time()
        hits = [str(hit[1]) for hit in engine.processLine(line) if not hit[3].get("nofail")]
        say([hits, time.process_time() - began])
"""


class FilterError(HardeningError):
    """A filter that must not be installed. The text says why, with the sample and what it yielded."""


@dataclass(frozen=True)
class Definition:
    """A filter, as it stands in its file."""

    name: str
    failregex: tuple[str, ...]
    ignoreregex: tuple[str, ...] = ()
    prefregex: str = ""
    datepattern: str = ""
    journalmatch: str = ""

    def text(self) -> str:
        """The file. Its patterns are written as they are; what fail2ban would interpolate is escaped."""
        lines = ["# Managed by Ansible: chamilo.hardening, module fail2ban_filter. Changes here are lost.", ""]
        lines.append("[Definition]")
        for key, value in (
            ("prefregex", [self.prefregex] if self.prefregex else []),
            ("failregex", self.failregex),
            ("ignoreregex", self.ignoreregex),
            ("datepattern", [self.datepattern] if self.datepattern else []),
            ("journalmatch", [self.journalmatch] if self.journalmatch else []),
        ):
            if value or key == "ignoreregex":  # without it fail2ban warns
                lines.append(f"{key} = {f'{chr(10)}    '.join(one.replace('%', '%%') for one in value)}".rstrip())
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Sample:
    """A line of a log. ``address``: whom the filter must find in it; empty when it must find nobody."""

    line: str
    address: str = ""


@dataclass(frozen=True)
class Trial:
    """A line to try. ``what``: how it was made, empty for a sample. ``allowed``: what may come out of it.

    ``unsure``: it counts only where the filter takes another text as well. The trial ``ANY`` before it tells.
    """

    line: str
    what: str
    allowed: frozenset[str]
    sample: Sample
    unsure: bool = False


@dataclass(frozen=True)
class Proof:
    """What was tried, and how long the slowest line took."""

    matched: int
    refused: int
    slowest_ms: float

    def to_dict(self) -> dict[str, Any]:
        return {"matched": self.matched, "refused": self.refused, "slowest_ms": round(self.slowest_ms, 1)}


def check(definition: Definition, samples: Sequence[Sample]) -> None:
    """Refuse what needs no engine to be refused."""
    if not NAME.fullmatch(definition.name):
        raise FilterError(_no_name(definition.name))
    if not definition.failregex:
        raise FilterError("failregex: there is none, so the filter would find nothing.")
    for key, patterns in (
        ("failregex", definition.failregex),
        ("ignoreregex", definition.ignoreregex),
        ("prefregex", (definition.prefregex,)),
        ("datepattern", (definition.datepattern,)),
        ("journalmatch", (definition.journalmatch,)),
    ):
        for pattern in patterns:
            if "\n" in pattern or (not pattern and key in ("failregex", "ignoreregex")):
                raise FilterError(f"{key}: {pattern!r} is no single line of text.")
            if pattern != pattern.strip():
                raise FilterError(
                    f"{key}: {pattern!r} begins or ends with a space, which fail2ban takes away when it reads "
                    "the file. Write it as [ ]."
                )
            if key.endswith("regex") and pattern and _is_file(pattern):
                raise FilterError(
                    f"{key}: {pattern!r} is the name of a file or filter, not a pattern. Give the pattern itself."
                )
    if not any(sample.address for sample in samples):
        raise FilterError("samples.match: there is none, so nothing is proved. Give real lines that must match.")
    for sample in samples:
        if not sample.line.strip() or "\n" in sample.line:
            raise FilterError(f"samples: {sample.line!r} is no single line of a log.")
        if sample.address and not normal(sample.address):
            raise FilterError(
                f"samples.match: {sample.address!r} is no address; it must be the one in {sample.line!r}."
            )


def _is_file(pattern: str) -> bool:
    """What fail2ban's own tools take for the name of a filter: no character in it means anything in a pattern."""
    return re.fullmatch(r"/{0,3}[\w/_\-.]+(?:\[.*\])?", pattern) is not None


def within(address: str, networks: Iterable[str]) -> bool:
    """Whether an address lies in one of the networks. What is no network holds nobody."""
    inner = ipaddress.ip_address(address)
    for text in networks:
        with contextlib.suppress(ValueError):
            if inner in ipaddress.ip_network(text, strict=False):
                return True
    return False


def normal(address: str) -> str:
    """An address in its usual form, IPv4 out of IPv6; empty when it is none."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def prove(definition: Definition, samples: Sequence[Sample], budget: float = 1.0, escaped: str = "auto") -> Proof:
    """Prove the filter, or say why it must not be installed."""
    check(definition, samples)
    if budget <= 0:
        raise FilterError(f"time_budget: {budget:g} is no time. Give the seconds that one line may take.")
    samples = list(dict.fromkeys(samples))
    # First the samples as they are: what is plainly wrong is said first.
    groups = [[Trial(each.line, "", frozenset(filter(None, [normal(each.address)])), each) for each in samples]]
    groups += [list(plants(each, _breaks(definition, each, escaped))) for each in samples]
    groups += [[Trial(line, STRAIN, frozenset(), each) for line in strain(each)] for each in samples]
    slowest, tried, free = 0.0, 0, False
    for trial, hits, seconds in answers(definition, groups, budget):
        slowest = max(slowest, seconds)
        if trial.what == ANY:
            free = bool(hits)
        elif trial.what != STRAIN and (free or not trial.unsure):  # of the strained ones only the time counts
            _judge(trial, hits)
            tried += 1
    matched = sum(bool(sample.address) for sample in samples)
    return Proof(matched, tried - matched, slowest * 1000)


def _judge(trial: Trial, answer: Sequence[str]) -> None:
    """Refuse the filter when this line yields what it must not."""
    hits = [normal(hit) or hit for hit in answer]
    line, wanted = _short(trial.line), normal(trial.sample.address)
    if trial.what:
        strangers = sorted(set(hits) - trial.allowed)
        if strangers:
            raise FilterError(
                f"A stranger can have somebody else banned: with a victim's address planted in {trial.what}, the line "
                f"{line} yields {', '.join(strangers)}. It was made from the sample {_short(trial.sample.line)}. Leave "
                "nothing before the address that a stranger writes."
            )
    elif not wanted and hits:
        raise FilterError(f"A line that must not match does: {line} yields {', '.join(hits)}.")
    elif wanted and not hits:
        raise FilterError(f"A line that must match does not: {line} yields nothing instead of {wanted}.")
    elif wanted and set(hits) != {wanted}:
        raise FilterError(f"The wrong address: {line} yields {', '.join(hits)} instead of {wanted}.")


def _too_slow(trial: Trial, budget: float) -> str:
    made = "" if trial.line == trial.sample.line else f", made from the sample {_short(trial.sample.line)},"
    return (
        f"Too slow: the line {_short(trial.line)} ({len(trial.line)} characters){made} and its like take longer than "
        f"{budget:g} s. Whoever sends them stops fail2ban. Look for a repetition within a repetition, or for two in a "
        "row that take the same characters."
    )


def _short(line: str) -> str:
    return repr(line if len(line) <= 300 else f"{line[:200]}...{line[-60:]}")


def answers(
    definition: Definition, groups: Sequence[Sequence[Trial]], budget: float
) -> Iterator[tuple[Trial, list[str], float]]:
    """For each line the addresses that come out, and the seconds it took. A group that takes too long is refused."""
    first_in = {trial.line: number for number, group in reversed(list(enumerate(groups))) for trial in group}
    told = {
        "name": definition.name,
        "text": definition.text(),
        "budget": budget,
        # Samples that are alike yield many a line more than once. One answer is enough.
        "groups": [
            list(dict.fromkeys(trial.line for trial in group if first_in[trial.line] == number))
            for number, group in enumerate(groups)
        ],
    }
    known: dict[str, tuple[list[str], float]] = {}
    with _Process(json.dumps(told)) as engine:
        first = engine.take()
        if first is None:
            raise Fail2banError(f"fail2ban's own engine could not be used: {engine.complaint()}")
        _read(definition, first)
        for trial in itertools.chain.from_iterable(groups):
            if trial.line not in known:
                answer = engine.take()
                if answer is not None:
                    known[trial.line] = answer[0], answer[1]
                elif -engine.ended() in (signal.SIGPROF, signal.SIGALRM):
                    raise FilterError(_too_slow(trial, budget))
                else:
                    raise Fail2banError(f"fail2ban's own engine stopped: {engine.complaint()}")
            yield trial, *known[trial.line]


class _Process:
    """fail2ban's engine at work, in a process of its own that ends with the block."""

    def __init__(self, told: str) -> None:
        # Files: to wake somebody up for each answer takes as long as the answer.
        self._answers, self._errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        with tempfile.TemporaryFile() as work:
            work.write(told.encode())
            work.seek(0)
            self._process = subprocess.Popen(
                [interpreter(), "-c", ENGINE],
                stdin=work,
                stdout=self._answers,
                stderr=self._errors,
                env={"LC_ALL": "C.UTF-8"},
            )

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.kill()
        self._process.wait()
        self._answers.close()
        self._errors.close()

    def take(self) -> Any:
        """Its next answer, or None when there are no more. The first one is there when it has ended."""
        if self._process.returncode is None:
            self._process.wait()
            self._answers.seek(0)
        line = self._answers.readline()
        return json.loads(line) if line.endswith(b"\n") else None

    def ended(self) -> int:
        return self._process.wait()

    def complaint(self) -> str:
        code = self.ended()
        self._errors.seek(0)
        words = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return words[-1] if words else f"it ended with {code} and gave no reason"


def _read(ours: Definition, answer: Mapping[str, Any]) -> None:
    """Refuse what fail2ban refuses, reads differently, or finds anywhere in a line."""
    if "refused" in answer:
        raise FilterError(f"fail2ban itself refuses the filter: {answer['refused']}")
    given = {
        "failregex": list(ours.failregex),
        "ignoreregex": list(ours.ignoreregex),
        "prefregex": [ours.prefregex] if ours.prefregex else [],
        "datepattern": [ours.datepattern] if ours.datepattern else [],
    }
    for key, patterns in given.items():
        if answer["read"][key] != patterns:
            raise FilterError(f"{key}: fail2ban reads it as {answer['read'][key]!r}, not as {patterns!r}.")
    if answer["loose"]:
        wrong = [one for one in (*ours.failregex, ours.prefregex) if one and not one.startswith("^")]
        raise FilterError(
            f"The pattern {(wrong or answer['loose'])[0]!r} is not anchored: it can match anywhere in a line, also in "
            "what a stranger wrote. Begin it, and every alternative of it, with ^."
        )


# ------------------------------------------------------------------------------------------ what a stranger writes


@dataclass(frozen=True)
class Field:
    """A part of a line that a stranger writes. ``spaces``: whether it can hold spaces as they are.

    ``sure``: False where it may as well be the program's own. ``other``: where the filter takes this text, a stranger
    may go on with the rest of the line. Empty: he may in any case. None: he cannot.
    """

    what: str
    start: int
    end: int
    spaces: bool = True
    quoted: bool = False
    sure: bool = True
    other: str | None = None


_IP = r"(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:.]*:[0-9a-fA-F.]*)"
_ACCESS = re.compile(
    rf"^(?:.*? )??(?P<address>{_IP}) (?P<ident>\S+) (?P<user>.*?) ?\[(?P<date>[^\]]*)\] "
    r'"(?P<request>(?P<method>[^\s"]+) (?P<path>[^\s"?]*)(?P<query>\?[^\s"]*)? (?P<protocol>HTTP/[\d.]+))" '
    r'(?P<status>\d{3}) \S+(?: "(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)")?'
)
# The same of lines that strangers write, in a time that grows with their length alone.
_VISIT = re.compile(
    rf'(?:[^\s"\[]{{1,255}} ){{0,8}}?(?P<address>{_IP}) [^"]*"(?:[^"\\]|\\.)*" \d{{3}} \S+'
    r'(?: "(?:[^"\\]|\\.)*" "(?P<agent>(?:[^"\\]|\\.)*)")?'
)
_LONGEST = 1 << 16  # characters of such a line
_USER = re.compile(r"(?i)\b(?:user(?:name)?|login|account|for)[ =:]+(?:username |user )?['\"]?(?P<user>[^\s'\"\]]+)")
_QUOTED = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'([^']*)'")
_SYSLOG = re.compile(r"(?:[A-Z][a-z]{2} +\d{1,2} [\d:]{8}|\d{4}-\d\d-\d\dT\S+) \S+ [^\s:]+: ")
_SANITISED = re.compile(r"\[[^\]]+\] \[[A-Z]+\] \[IP [^\]]+\] \[URI ")
# With a port or a colon behind it as well.
_ADDRESS = re.compile(rf"(?<![\w.:]){_IP}(?<![^:]:)(?<!\.)(?!\w|\.\d)")
# Neither a number nor a date, nor what names something: "path=/x", "path: /x", "[URI /x]", "port 22", "sshd[812]".
_APART = r"\s\[\](){}<>=,;:\"'"
_IN_PATH = r"[^\s\[\](){}<>,;\"']"
_WORD = re.compile(
    rf"(?<![^{_APART}])(?!\d|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b)"
    rf"(?:(?P<path>[^{_APART}/]*/{_IN_PATH}*(?!{_IN_PATH}|\[))"
    rf"|(?!(?<=\[)[\w.-]+[ =])[^{_APART}/]*[^\W\d_][^{_APART}/]*(?![^{_APART}]|[=:\[]))"
)
_NUMBERED = re.compile(r" \d")
_NEXT = str.maketrans(
    f"{string.ascii_letters}{string.digits}",
    "".join(each[1:] + each[0] for each in (string.ascii_lowercase, string.ascii_uppercase, string.digits)),
)
_JSON = re.compile(r'\{"\w+":')  # whatever writes that escapes quotes


def fields(line: str) -> list[Field]:
    """Where a stranger writes in a line: known for access logs, else what is quoted, named as a user, or like a path.

    Every other word before the last address may be his as well, and the end of the line where nothing is known.
    """
    found = _ACCESS.match(line)
    if found:
        query = found.span("query") if found["query"] else (found.end("path"),) * 2
        names = [
            Field("the user name", *found.span("user")),
            Field("the path", *found.span("path"), spaces=False),
            Field("the query", *query, spaces=False),
        ]
        if found["agent"] is not None:
            names += [
                Field("the referer", *found.span("referer"), quoted=True),
                Field("the user agent", *found.span("agent"), quoted=True),
            ]
        return names
    addresses = [match.span() for match in _ADDRESS.finditer(line)]
    quoted = [match.span(match.lastindex or 0) for match in _QUOTED.finditer(line)]
    quoted = [span for span in quoted if span not in addresses]
    users = [match.span("user") for match in _USER.finditer(line)]
    names = [Field("a quoted text", *span, quoted=True, other=_other(line[slice(*span)])) for span in quoted]
    names += [Field("the user name", *span, other=_other(line[slice(*span)])) for span in users]
    syslog = _SYSLOG.match(line)
    taken = [(0, syslog.end() if syslog else 0), *addresses, *quoted, *users]
    words = [match for match in _WORD.finditer(line) if all(match.end() <= a or b <= match.start() for a, b in taken)]
    # Before an address a word names no number. A time looks like one, too.
    here = {start - 1 for start, end in addresses if normal(line[start:end])}
    words = [each for each in words if each["path"] or each.end() in here or not _NUMBERED.match(line, each.end())]
    names += [Field("a path", *match.span(), other="") for match in words if match["path"]]
    if not names:
        names.append(Field("the end of the line", len(line), len(line)))
    # The first word stands where a line begins, which no stranger writes.
    last = max((start for start, _end in addresses), default=0)
    names += [_word(line, match) for match in words[1:] if not match["path"] and match.end() <= last]
    return names


def _word(line: str, match: re.Match[str]) -> Field:
    """A value, or else a word that is a stranger's only where the filter takes several."""
    start, other = match.start(), _other(match[0])
    value = line[start - 1] == "=" or line.rfind("[", 0, start) > line.rfind("]", 0, start)
    return Field(f"the word {match[0]!r}", *match.span(), sure=False, other=other if value else f"{other} {other}")


def _breaks(definition: Definition, sample: Sample, escaped: str) -> bool:
    """Whether a line break that a stranger sends ends the line of the log."""
    if escaped != "auto":
        return escaped == "raw"
    known = (_ACCESS, _SYSLOG, _SANITISED)
    return not definition.journalmatch and not any(form.match(sample.line) for form in known)


def plants(sample: Sample, breaks: bool) -> Iterator[Trial]:
    """The sample with a victim's address in every place that a stranger writes, in every form that could be taken."""
    there = frozenset(filter(None, map(normal, _ADDRESS.findall(sample.line))))
    allowed = frozenset([normal(sample.address)]) if sample.address else there
    for kind in VICTIMS:
        victim = next((one for one in kind if one not in sample.line), kind[0])
        forged = _with_victim(sample, victim)
        for field in fields(sample.line):
            before, own, after = _apart(sample.line, field)
            if own and field.other is not None and sample.address:
                if field.other:
                    yield Trial(f"{before}{field.other}{after}", ANY, allowed, sample)
                for text in _goes_on(field, sample, victim, forged):
                    yield Trial(f"{before}{text}{after}", field.what, allowed, sample, unsure=field.other != "")
            if not field.sure:
                continue
            for text in _payloads(field, victim, forged):
                yield Trial(f"{before}{text}{after}", field.what, allowed, sample)
            # As the servers write a line break: nginx, Apache, syslog.
            for mark in (r"\x0A", r"\n", "#012"):
                text = f"x{mark}{forged if field.spaces else _encoded(forged)}"
                yield Trial(f"{before}{text}{after}", f"{field.what}, behind a line break", allowed, sample)
            if breaks:
                what = f"{field.what}, behind a line break that this log does not escape"
                yield Trial(forged + after, what, allowed, sample)
        for what, line in _forwarded(sample, victim):
            yield Trial(line, what, allowed, sample)


def _with_victim(sample: Sample, victim: str) -> str:
    """The line as the victim would have caused it, so far as its address is known."""
    places = [match for match in _ADDRESS.finditer(sample.line) if normal(match[0])]
    mine = next((match for match in places if normal(match[0]) == normal(sample.address)), None)
    place = mine or next(iter(places), None)
    if place is None:
        return f"{victim} {sample.line}"
    return sample.line[: place.start()] + victim + sample.line[place.end() :]


def _apart(line: str, field: Field) -> tuple[str, str, str]:
    return line[: field.start], line[field.start : field.end], line[field.end :]


def _other(text: str) -> str:
    """Another text of the same shape."""
    return text.translate(_NEXT)


def _payloads(field: Field, victim: str, forged: str) -> list[str]:
    at = forged.find(victim)
    tail = forged[at:]
    # A whole line; one from the address on; the word before the address with it; an address alone; a list of two.
    texts = [victim, f"{victim}, 10.0.0.1", forged, tail, forged[forged.rfind(" ", 0, at) + 1 :]]
    texts += [f"x {text} x" for text in (victim, tail)]
    if not field.spaces:
        fronts = ("", "/", "?", "?x=")
        coded = [f"{front}{_encoded(text)}" for text in texts for front in fronts]
        return [*coded, *(text.replace(" ", "+") for text in texts)]
    if not field.quoted:
        return [*texts, *(_escape(text, mark) for text in texts[2:5] for mark in (r"\"", r"\x22"))]
    closed = [f'" {text}' for text in texts[2:5]]
    return [*texts, *closed, *(_escape(text, mark) for text in (*texts, *closed) for mark in (r"\"", r"\x22"))]


def _goes_on(field: Field, sample: Sample, victim: str, forged: str) -> list[str]:
    """What stands there, and behind it what the line goes on with, about the victim."""
    own, at = sample.line[field.start : field.end], forged.find(victim)
    word = forged.rfind(" ", 0, at) + 1
    # With one word before the address, and with two: "client=203.0.113.7", "from 203.0.113.7", "[Client 203.0.113.7]".
    texts = [f"{own} {forged[start:]}" for start in sorted({word, forged.rfind(" ", 0, max(word - 1, 0)) + 1})]
    if field.end <= at:
        texts.append(own + forged[field.end :])
    if not field.quoted:
        return texts
    texts += [f'{own}" {forged[word:]}']
    escaped = [_escape(text, mark) for text in texts for mark in (r"\"", r"\x22")]
    return escaped if _JSON.search(sample.line) else [*texts, *escaped]


def _encoded(text: str) -> str:
    return text.replace("%", "%25").replace(" ", "%20").replace('"', "%22")


def _escape(text: str, mark: str) -> str:
    return text.replace('"', mark)


def _forwarded(sample: Sample, victim: str) -> Iterator[tuple[str, str]]:
    """X-Forwarded-For where logs have it: at the end, or before the address of whoever connected."""
    what = "X-Forwarded-For"
    yield what, f'{sample.line} "{victim}"'
    yield what, f'{sample.line} "{victim}, 10.0.0.1"'
    yield what, f"{sample.line} {victim}"
    place = next(iter(_ADDRESS.finditer(sample.line)), None)
    if place:
        yield what, f"{sample.line[: place.start()]}{victim}, {sample.line[place.start() :]}"


def strain(sample: Sample) -> Iterator[str]:
    """The slowest lines that can be made from a sample: each field filled with what patterns repeat, and broken off."""
    for field in fields(sample.line):
        before, text, after = _apart(sample.line, field)
        own = [text] if text.strip("-") else []
        for filler in ("a", "A", "0", "a ", "a0_", ".", "/", "a/", "=", r"\"", *own):
            for length in (_SHORT, _LONG):
                full = (filler * (length // len(filler) + 1))[:length]
                if not field.spaces:
                    full = full.replace(" ", "+")
                if length == _SHORT:
                    yield f"{before}{full}\x01!"
                    yield f"{before}{full}!{after}\x01"
                elif filler in ("a", "0", "a ", "/", r"\""):
                    yield f"{before}{full}{after}\x01!"
    yield f"{(sample.line + ' ') * (_LONG // len(sample.line))}\x01"


# ------------------------------------------------------------------------------------------------ the log as it is


def log_summary(path: str, proxies: Sequence[str] = (), friends: Sequence[str] = ()) -> dict[str, Any]:
    """Who visits, by the newest lines of an access log: how many addresses and browsers, and whether all are proxies.

    That is so where each is one of ``proxies``, or where many browsers share one private address that is no friend's.
    """
    try:
        with open(open_regular(path), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - LOG_BYTES))
            text = file.read(LOG_BYTES).decode("utf-8", "replace")
    except OSError as problem:
        raise FilterError(f"log: {path} cannot be read: {problem.strerror}.") from problem
    lines = text.splitlines()[1 if size > LOG_BYTES else 0 :]
    visitors: Counter[str] = Counter()
    agents = set()
    for line in lines:
        found = _VISIT.match(line, 0, _LONGEST)
        address = normal(found["address"]) if found else ""
        if found and address and not ipaddress.ip_address(address).is_loopback:
            visitors[address] += 1
            agents.add(found["agent"])
    strangers = [address for address in visitors if not within(address, friends)]
    declared = bool(strangers) and all(within(address, proxies) for address in strangers)
    only = next(iter(visitors)) if len(visitors) == 1 else ""
    busy = bool(only) and sum(visitors.values()) >= _BUSY_LINES and len(agents) >= _BUSY_AGENTS
    hidden = busy and bool(strangers) and ipaddress.ip_address(only).is_private
    return {
        "lines": sum(visitors.values()),
        "visitors": len(visitors),
        "agents": len(agents),
        "only": only,
        "proxies": strangers[:5] if declared or hidden else [],
    }


# ---------------------------------------------------------------------------------------------------- the file


class File:
    """The file of a filter."""

    def __init__(self, directory: str, name: str) -> None:
        if not NAME.fullmatch(name):
            raise FilterError(_no_name(name))
        self.path = os.path.join(directory, f"{name}.conf")

    def alone(self) -> None:
        """Refuse a filter that another file would change behind the proof's back."""
        local = f"{self.path[: -len('.conf')]}.local"
        if os.path.lexists(local):
            raise FilterError(f"{local} would change what was proved. Remove it, or give the filter another name.")

    def read(self) -> str | None:
        try:
            with open(self.path, encoding="utf-8", errors="surrogateescape") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def write(self, text: str | None) -> None:
        """Replace the file in one step, or remove it."""
        if text is None:
            os.unlink(self.path)
            return
        part = f"{self.path}.chamilo-hardening"
        with open(
            os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644), "w", encoding="utf-8"
        ) as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, self.path)

    def diff(self, before: str | None, after: str | None) -> dict[str, str]:
        def header(text: str | None) -> str:
            return self.path if text is not None else f"{self.path} (absent)"

        headers = {"before_header": header(before), "after_header": header(after)}
        return {**headers, "before": before or "", "after": after or ""}


def _no_name(name: str) -> str:
    return (
        f"name: {name!r} is no name of a filter. It becomes a file of that name with .conf, so it holds letters, "
        "digits, dots, dashes and underscores only, and no slash."
    )
