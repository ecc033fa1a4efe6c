# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Proves a filter of fail2ban before it is installed.

fail2ban's own reader reads the very text that would be installed, and its own engine matches the samples, the samples
with another client's address in every place that a client controls, and the slowest lines that can be made of them.
This runs in a process of its own, which the kernel ends when a line takes too long.
"""

from __future__ import annotations

import itertools
import json
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._common.networks import normal
from . import filter_attacks, filter_file
from .fail2ban import Fail2banError, interpreter
from .filter_attacks import STRAIN, Sample, Trial
from .filter_file import NAME, Definition, FilterError

# Runs under fail2ban's own Python. One line of answer for each line it was given; the timers are the kernel's, so a
# pattern that never returns ends the process. The second one is for a machine that is busy with something else.
ENGINE = """
import json, os, shutil, signal, sys, tempfile, time, warnings
warnings.simplefilter("ignore")
from fail2ban.client.filterreader import FilterReader
from fail2ban.server.filter import Filter
try:
    from re import _parser as parser
except ImportError:
    import sre_parse as parser

def report(what):
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

task = json.load(sys.stdin)
scratch = tempfile.mkdtemp()
try:
    os.mkdir(os.path.join(scratch, "filter.d"))
    with open(os.path.join(scratch, "filter.d", task["name"] + ".conf"), "w", encoding="utf-8") as file:
        file.write(task["text"])
    reader = FilterReader(task["name"], "proof", {}, basedir=scratch)
    reader.read()
    reader.getOptions(None)
    commands = reader.convert()
finally:
    shutil.rmtree(scratch)

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
except Exception as problem:  # fail2ban raises many kinds; each is reported as a refusal
    report({"refused": str(problem)})
    sys.exit(0)
compiled = list(engine.failRegex) if hasattr(engine, "failRegex") else engine.getFailRegex()
if engine.prefRegex:
    compiled.append(engine.prefRegex.getRegex())
report({"read": read, "loose": [one for one in compiled if not anchored(parser.parse(one))]})
for lines in task["groups"]:
    signal.setitimer(signal.ITIMER_PROF, task["budget"])
    signal.setitimer(signal.ITIMER_REAL, 1.25 * task["budget"])
    for line in lines:
        began = time.process_time()
        hits = [str(hit[1]) for hit in engine.processLine(line) if not hit[3].get("nofail")]
        report([hits, time.process_time() - began])
"""


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
        raise FilterError(filter_file.no_name(definition.name))
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


def prove(definition: Definition, samples: Sequence[Sample], budget: float = 1.0, escaped: str = "auto") -> Proof:
    """Prove the filter; raises when it must not be installed."""
    check(definition, samples)
    if budget <= 0:
        raise FilterError(f"time_budget: {budget:g} is no time. Give the seconds that one line may take.")
    samples = list(dict.fromkeys(samples))
    # First the samples as they are: plain mistakes are reported first.
    groups = [[Trial(each.line, "", frozenset(filter(None, [normal(each.address)])), each) for each in samples]]
    groups += [
        list(filter_attacks.plants(each, filter_attacks.breaks_lines(definition, each, escaped))) for each in samples
    ]
    groups += [[Trial(line, STRAIN, frozenset(), each) for line in filter_attacks.strain(each)] for each in samples]
    slowest, tried = 0.0, 0
    for trial, hits, seconds in answers(definition, groups, budget):
        slowest = max(slowest, seconds)
        if trial.what != STRAIN:  # of those only the time counts
            _judge(trial, hits)
            tried += 1
    matched = sum(bool(sample.address) for sample in samples)
    return Proof(matched, tried - matched, slowest * 1000)


def _judge(trial: Trial, answer: Sequence[str]) -> None:
    """Refuse the filter when this line yields what it must not."""
    hits = [normal(hit) or hit for hit in answer]
    line, desired = _short(trial.line), normal(trial.sample.address)
    if trial.what:
        unrelated = sorted(set(hits) - trial.allowed)
        if unrelated:
            raise FilterError(
                f"An attacker can ban another client: with a victim's address planted in {trial.what}, the line "
                f"{line} yields {', '.join(unrelated)}. It was made from the sample {_short(trial.sample.line)}. Leave "
                "nothing before the address that a client controls."
            )
    elif not desired and hits:
        raise FilterError(f"A line that must not match does: {line} yields {', '.join(hits)}.")
    elif desired and not hits:
        raise FilterError(f"A line that must match does not: {line} yields nothing instead of {desired}.")
    elif desired and set(hits) != {desired}:
        raise FilterError(f"The wrong address: {line} yields {', '.join(hits)} instead of {desired}.")


def _too_slow(trial: Trial, budget: float) -> str:
    made = "" if trial.line == trial.sample.line else f", made from the sample {_short(trial.sample.line)},"
    return (
        f"Too slow: the line {_short(trial.line)} ({len(trial.line)} characters){made} and its like take longer than "
        f"{budget:g} s. A client that sends them stops fail2ban. Search for a repetition within a repetition, or "
        "for two in a row that take the same characters."
    )


def _short(line: str) -> str:
    return repr(line if len(line) <= 300 else f"{line[:200]}...{line[-60:]}")


def answers(
    definition: Definition, groups: Sequence[Sequence[Trial]], budget: float
) -> Iterator[tuple[Trial, list[str], float]]:
    """For each line the addresses that come out, and the seconds it took. A group that takes too long is refused."""
    first_in = {trial.line: number for number, group in reversed(list(enumerate(groups))) for trial in group}
    reported = {
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
    found, code, complaint = _engine(json.dumps(reported))
    left = iter(found)
    first = next(left, None)
    if first is None:
        raise Fail2banError(f"fail2ban's own engine could not be used: {complaint}")
    _read(definition, first)
    for trial in itertools.chain.from_iterable(groups):
        if trial.line not in known:
            answer = next(left, None)
            if answer is not None:
                known[trial.line] = answer[0], answer[1]
            elif -code in (signal.SIGPROF, signal.SIGALRM):
                raise FilterError(_too_slow(trial, budget))
            else:
                raise Fail2banError(f"fail2ban's own engine stopped: {complaint}")
        yield trial, *known[trial.line]


def _engine(task: str) -> tuple[list[Any], int, str]:
    """fail2ban's engine at work, in a process of its own: its answers, how it ended, and its last words."""
    # A file: waking a reader for each answer takes as long as the answer.
    with tempfile.TemporaryFile() as answers:
        done = subprocess.run(
            [interpreter(), "-c", ENGINE],
            input=task.encode(),
            stdout=answers,
            stderr=subprocess.PIPE,
            env={"LC_ALL": "C.UTF-8"},
            check=False,
        )
        answers.seek(0)
        found = [json.loads(line) for line in answers if line.endswith(b"\n")]
    words = done.stderr.decode("utf-8", "replace").strip().splitlines()
    code = done.returncode
    return found, code, words[-1] if words else f"it ended with {code} and gave no reason"


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
            "what a client wrote. Begin it, and every alternative of it, with ^."
        )
