# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that an attacker could have written instead of a sample: to have a victim banned, or to stop fail2ban."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .._common.networks import normal
from . import log_fields
from .filter_file import Definition
from .log_fields import Field, fields

# Addresses for documentation, which no host has. Two of each kind, should one occur in a sample.
VICTIMS = (("198.51.100.77", "192.0.2.77"), ("2001:db8:bad::77", "2001:db8:dead::77"))
_LONG = 8000  # what a web server takes as one line of a request
STRAIN = "strain"
_SHORT = 40  # what an exponential pattern cannot do


@dataclass(frozen=True)
class Sample:
    """A line of a log. ``address``: the address the filter must find in it; empty when it must find none."""

    line: str
    address: str = ""


@dataclass(frozen=True)
class Trial:
    """A line to try. ``what``: how it was made, empty for a sample. ``allowed``: what may come out of it."""

    line: str
    what: str
    allowed: frozenset[str]
    sample: Sample


def breaks_lines(definition: Definition, sample: Sample, escaped: str) -> bool:
    """Whether a line break that a client sends ends the line of the log."""
    if escaped != "auto":
        return escaped == "raw"
    known = (log_fields.ACCESS, log_fields.SYSLOG, log_fields.SANITISED)
    return not definition.journalmatch and not any(form.match(sample.line) for form in known)


def plants(sample: Sample, breaks: bool) -> Iterator[Trial]:
    """The sample with a victim's address in every place that a client controls, in every form that could match."""
    there = frozenset(filter(None, map(normal, log_fields.ADDRESS.findall(sample.line))))
    allowed = frozenset([normal(sample.address)]) if sample.address else there
    for kind in VICTIMS:
        victim = next((one for one in kind if one not in sample.line), kind[0])
        forged = _with_victim(sample, victim)
        for field in fields(sample.line):
            before, own, after = _apart(sample.line, field)
            # A value that a filter demands, such as level=error, is the program's own.
            texts = _payloads(field, "x" if field.what == log_fields.VALUE else own, victim, forged)
            if field.quoted and '{"' in sample.line:  # whatever writes that escapes quotes
                texts = [text for text in texts if '"' not in text.replace(r"\"", "")]
            for text in texts:
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
    places = [match for match in log_fields.ADDRESS.finditer(sample.line) if normal(match[0])]
    mine = next((match for match in places if normal(match[0]) == normal(sample.address)), None)
    place = mine or next(iter(places), None)
    if place is None:
        return f"{victim} {sample.line}"
    return sample.line[: place.start()] + victim + sample.line[place.end() :]


def _apart(line: str, field: Field) -> tuple[str, str, str]:
    return line[: field.start], line[field.start : field.end], line[field.end :]


def _payloads(field: Field, own: str, victim: str, forged: str) -> list[str]:
    at = forged.find(victim)
    tail = forged[at:]
    # A whole line; one from the address on; the word before the address with it; an address alone; a list of two.
    texts = [victim, f"{victim}, 10.0.0.1", forged, tail, forged[forged.rfind(" ", 0, at) + 1 :]]
    texts += [f"x {text} x" for text in (victim, tail)]
    # What stood there, and behind it the line once more from the word or two before the address on.
    word = forged.rfind(" ", 0, at) + 1
    texts += [f"{own} {forged[start:]}" for start in sorted({word, forged.rfind(" ", 0, max(word - 1, 0)) + 1})]
    texts += [own + forged[field.end :]] if field.end <= at else []
    if not field.spaces:
        fronts = ("", "/", "?", "?x=")
        coded = [f"{front}{_encoded(text)}" for text in texts for front in fronts]
        return [*coded, *(text.replace(" ", "+") for text in texts)]
    if not field.quoted:
        return [*texts, *(_escape(text, mark) for text in texts[2:5] for mark in (r"\"", r"\x22"))]
    closed = [f'" {text}' for text in texts[2:5]]
    return [*texts, *closed, *(_escape(text, mark) for text in (*texts, *closed) for mark in (r"\"", r"\x22"))]


def _encoded(text: str) -> str:
    return text.replace("%", "%25").replace(" ", "%20").replace('"', "%22")


def _escape(text: str, mark: str) -> str:
    return text.replace('"', mark)


def _forwarded(sample: Sample, victim: str) -> Iterator[tuple[str, str]]:
    """X-Forwarded-For where logs have it: at the end, or before the address of the connecting client."""
    what = "X-Forwarded-For"
    yield what, f'{sample.line} "{victim}"'
    yield what, f'{sample.line} "{victim}, 10.0.0.1"'
    yield what, f"{sample.line} {victim}"
    place = next(iter(log_fields.ADDRESS.finditer(sample.line)), None)
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
