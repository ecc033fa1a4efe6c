# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planted, what is judged, how the process is kept in bounds. The real engine is tried on hosts."""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import replace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force import filter_proof
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.fail2ban import Fail2banError
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_attacks import Sample
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_file import Definition, FilterError

NGINX = '203.0.113.7 - - [25/Nov/2026:14:47:59 +0000] "POST /login_json?a=b HTTP/1.1" 401 43 "-" "Mozilla/5.0 (X11)"'
IDS = "[2026-11-25 09:44:57] [Info] [Client 203.0.113.7] Login failed for username jdoe"
GOOD = Definition("campus", (r"^<ADDR> .*",))
FAILURE = Sample(NGINX, "203.0.113.7")
VICTIM = "198.51.100.77"


class Fake:
    """In place of fail2ban: ``yields`` returns what comes out of a line."""

    def __init__(self):
        self.first = {}
        self.read = READ

    def yields(self, line):
        return ["203.0.113.7"] if line.startswith("203.0.113.7") and " 401 " in line else []

    def answer(self, reported):
        lines = [line for group in json.loads(reported)["groups"] for line in group]
        first = self.first or {"read": self.read, "loose": []}
        return [first, *([self.yields(line), 0.001] for line in lines)], 0, ""


READ = {"failregex": list(GOOD.failregex), "ignoreregex": [], "prefregex": [], "datepattern": []}


@pytest.fixture
def fake(monkeypatch):
    fake = Fake()
    monkeypatch.setattr(filter_proof, "_engine", fake.answer)
    return fake


def refused(*samples, definition=GOOD, **options):
    with pytest.raises(FilterError) as reported:
        filter_proof.prove(definition, samples, **options)
    return str(reported.value)


def test_a_sound_filter_is_proved_with_what_was_planted(fake):
    other = Sample(NGINX.replace(" 401 ", " 200 "))
    proof = filter_proof.prove(GOOD, [FAILURE, other]).to_dict()
    assert proof["matched"] == 1
    assert proof["refused"] > 200
    assert proof["slowest_ms"] == 1.0
    again = filter_proof.prove(GOOD, [FAILURE, other, FAILURE]).to_dict()
    assert again == proof, "a sample that is given twice is one sample"


def test_a_client_that_bans_itself_is_no_victim(fake):
    """A line that must not match, in which a client writes what makes it match: that bans this client alone."""
    other = Sample(NGINX.replace(" 401 ", " 200 "))
    fake.yields = lambda line: [] if line == other.line else ["203.0.113.7"]
    assert filter_proof.prove(GOOD, [FAILURE, other]).refused > 200


def test_a_miss_is_named_with_its_line(fake):
    reported = refused(FAILURE, Sample(IDS, "203.0.113.7"))
    assert "must match does not" in reported
    assert IDS in reported
    assert "nothing instead of 203.0.113.7" in reported


def test_a_false_hit_is_named_with_what_it_yields(fake):
    reported = refused(FAILURE, Sample(f"{NGINX} again"))
    assert "must not match does" in reported
    assert "yields 203.0.113.7" in reported


def test_a_second_address_is_wrong_too(fake):
    fake.yields = lambda line: ["203.0.113.7", "203.0.113.8"]
    assert refused(FAILURE).startswith("The wrong address")


@pytest.mark.parametrize("form", ["::ffff:203.0.113.7", "203.0.113.7"])
def test_an_address_counts_in_whatever_form(fake, form):
    assert filter_proof.prove(GOOD, [Sample(NGINX, form)]).matched == 1


@pytest.mark.parametrize(
    ("what", "form"),
    [
        ("the user name", "203.0.113.7 - {} ["),
        ("the path", '"POST {}?'),
        ("the query", "/login_json{} HTTP"),
        ("the referer", '43 "{}" "Moz'),
        ("the user agent", '"-" "{}"'),
    ],
)
def test_a_victim_that_comes_out_of_any_part_is_refused(fake, what, form):
    planted = form.format(VICTIM)

    def yields(line):
        return ["203.0.113.7", VICTIM] if planted in line else ["203.0.113.7"]

    fake.yields = yields
    reported = refused(FAILURE)
    assert f"planted in {what}, the line" in reported
    assert f"yields {VICTIM}" in reported


URI = "[2026-11-25 09:44:57] [XSS] [URI /x] [IP 203.0.113.7] [PARAM q] Detected"
BASIC = 'user "jdoe": password mismatch, client: 203.0.113.7, server: campus.test'


@pytest.fixture
def real(fake):
    """The patterns of the definition, by Python's own engine."""

    def set_up(pattern):
        compiled = re.compile(pattern.replace("<ADDR>", "(?P<ip>[0-9a-f:.]{3,})"))

        def yields(line):
            found = compiled.search(line)
            return [found["ip"]] if found else []

        fake.yields = yields
        fake.read = {**fake.read, "failregex": [pattern]}
        return Definition("campus", (pattern,))

    return set_up


@pytest.mark.parametrize(
    ("pattern", "line", "what"),
    [
        (r"^auth error path=.*? client=<ADDR> agent", "auth error path=/x client=203.0.113.7 agent=curl", "a path"),
        (r"^error id=\S+ client=<ADDR> agent", "error id=jdoe client=203.0.113.7 agent=curl", "a value"),
        (r"^denied \S+ from <ADDR> status", "denied /path from 203.0.113.7 status 403", "a path"),
        (r"^\[[^]]*\] \[[A-Z]+\] \[URI .*?\] \[IP <ADDR>\]", URI, "a path"),
        (r'^user "[^"]*": password mismatch, client: <ADDR>, server', BASIC, "a quoted text"),
        (r"^Invalid user .*? from <ADDR> port", "Invalid user ada from 203.0.113.7 port 40022", "the user name"),
    ],
)
def test_a_victim_that_comes_out_of_a_line_of_no_known_form_is_refused(real, pattern, line, what):
    """An attacker goes on with the rest of the line."""
    reported = refused(Sample(line, "203.0.113.7"), definition=real(pattern), escaped="escaped")
    assert f"planted in {what}, the line" in reported
    assert f"yields {VICTIM}" in reported


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (r"^auth error client=<ADDR> path=", "auth error client=203.0.113.7 path=/x agent=curl"),
        (r"^level=error tty=ssh client=<ADDR> id", "level=error tty=ssh client=203.0.113.7 id=jdoe"),
        (r"^\[[^]]*\] \[[^]]*\] \[\S+ <ADDR>\] \S+", IDS),
        (r"^\[[^]]*\] \[[A-Z]+\] \[IP <ADDR>\] \[URI\b", "[25] [XSS] [IP 203.0.113.7] [URI /x] [PARAM q] Detected"),
        (r"^Invalid user .* from <ADDR> port \d+$", "Invalid user ada from 203.0.113.7 port 40022"),
        (
            r"^Jan  4 [\d:]+ campus \S+\[\d+\]: refused <ADDR> via \S+$",
            "Jan  4 21:51:05 campus cyrus/imap[5]: refused 203.0.113.7 via ssh",
        ),
        (r'^{"path":"(?:[^"\\]|\\.)*","client":"<ADDR>"', '{"path":"/x","client":"203.0.113.7"}'),
    ],
)
def test_a_sound_filter_of_a_line_of_no_known_form_is_proved(real, pattern, line):
    assert filter_proof.prove(real(pattern), [Sample(line, "203.0.113.7")], escaped="escaped").matched == 1


def test_another_address_of_the_line_may_not_be_banned(fake):
    sample = Sample("10.0.0.5 via 203.0.113.7 refused", "203.0.113.7")
    fake.yields = lambda line: ["203.0.113.7" if line == sample.line else "10.0.0.5"]
    assert "yields 10.0.0.5" in refused(sample)


def test_a_log_with_raw_line_breaks_can_be_forged(fake):
    fake.yields = lambda line: [line.split("Client ")[1].split("]")[0]] if line.startswith("[") else []
    reported = refused(Sample(IDS, "203.0.113.7"))
    assert "behind a line break that this log does not escape" in reported
    fake.yields = lambda line: ["203.0.113.7"] if line == IDS else []
    assert filter_proof.prove(GOOD, [Sample(IDS, "203.0.113.7")], escaped="escaped").matched == 1


@pytest.mark.parametrize(
    ("line", "raw"),
    [
        (NGINX, False),
        (f"campus.test:443 {NGINX}", False),
        (IDS, True),
        ("Nov 25 10:00:00 campus sshd[8]: Invalid user a from 203.0.113.7 port 40022", False),
        ("2026-11-25T10:00:00+00:00 campus sshd[8]: Invalid user a from 203.0.113.7 port 40022", False),
        ("[2026-11-25 09:44:57] [XSS] [IP 203.0.113.7] [URI /] [PARAM a] Detected", False),
    ],
)
def test_which_logs_end_a_line_where_a_client_breaks_it(fake, line, raw):
    """A filter that takes whatever begins as the sample: a forged line does, where a client can begin one."""
    start = line[: line.index("203.0.113.7")]
    fake.yields = lambda tried: re.findall(r"\A" + re.escape(start) + r"([0-9a-f.:]+)", tried)[:1]
    for definition, expected in ((GOOD, raw), (replace(GOOD, journalmatch="_COMM=x"), False)):
        try:
            filter_proof.prove(definition, [Sample(line, "203.0.113.7")])
            told = ""
        except FilterError as problem:
            told = str(problem)
        assert ("does not escape" in told) == expected, told


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": "../x"}, "no slash"),
        ({"name": ""}, "no name of a filter"),
        ({"failregex": ()}, "find nothing"),
        ({"failregex": ("sshd",)}, "name of a file"),
        ({"failregex": ("/etc/fail2ban/filter.d/sshd.conf",)}, "name of a file"),
        ({"failregex": ("^a\nb",)}, "no single line"),
        ({"failregex": ("^<ADDR> ",)}, "ends with a space"),
        ({"ignoreregex": (" x$",)}, "ends with a space"),
        ({"ignoreregex": ("sshd",)}, "name of a file"),
        ({"prefregex": "sshd"}, "name of a file"),
        ({"datepattern": "%Y\n"}, "no single line"),
        ({"journalmatch": "a\nb"}, "no single line"),
    ],
)
def test_what_needs_no_engine_to_be_refused(changed, words):
    definition = Definition(**{"name": "campus", "failregex": ("^<ADDR>",), **changed})
    assert words in refused(FAILURE, definition=definition)


def test_what_is_no_pattern_may_resemble_the_name_of_a_file():
    definition = Definition("campus", ("^<ADDR>",), datepattern="EPOCH", journalmatch="_COMM=x")
    filter_proof.check(definition, [FAILURE])


def test_a_budget_is_a_time():
    assert refused(FAILURE, budget=0).startswith("time_budget")
    assert refused(FAILURE, budget=-0.5).startswith("time_budget: -0.5 is no time")


def test_what_fail2ban_refuses_or_reads_differently(fake):
    fake.first = {"refused": "no group"}
    assert "fail2ban itself refuses the filter: no group" in refused(FAILURE)
    fake.first = {"read": {**fake.read, "failregex": ["other"]}, "loose": []}
    assert "failregex: fail2ban reads it as ['other']" in refused(FAILURE)
    fake.first = {"read": {**fake.read, "prefregex": ["^x"]}, "loose": []}
    assert "prefregex: fail2ban reads it as ['^x'], not as []" in refused(FAILURE)
    for key in ("ignoreregex", "datepattern"):
        fake.first = {"read": {**fake.read, key: ["^x"]}, "loose": []}
        assert f"{key}: fail2ban reads it as ['^x'], not as []" in refused(FAILURE)
    whole = Definition("campus", GOOD.failregex, prefregex="^p", datepattern="%Y")
    fake.first = {"read": {**fake.read, "prefregex": ["^p"], "datepattern": ["%Y"]}, "loose": []}
    assert filter_proof.prove(whole, [FAILURE]).matched == 1


def test_a_loose_pattern_is_named(fake):
    fake.read = {**fake.read, "failregex": ["x <ADDR>"]}
    fake.first = {"read": fake.read, "loose": ["x (?P<ip4>)"]}
    assert "'x <ADDR>' is not anchored" in refused(FAILURE, definition=Definition("campus", ("x <ADDR>",)))
    fake.first = {"read": {**READ, "prefregex": ["p .*"]}, "loose": ["p (?P<content>.*)"]}
    assert "'p .*' is not anchored" in refused(
        FAILURE, definition=Definition("campus", GOOD.failregex, prefregex="p .*")
    )
    fake.read = {**fake.read, "failregex": ["^x|<ADDR>"]}
    fake.first = {"read": fake.read, "loose": ["^x|(?P<ip4>)"]}
    reported = refused(FAILURE, definition=Definition("campus", ("^x|<ADDR>",)))
    assert "'^x|(?P<ip4>)' is not anchored" in reported, "an alternative of it, so it is told as fail2ban takes it"


class TestProcess:
    """The real process, with other code in it."""

    @pytest.fixture(autouse=True)
    def own_python(self, monkeypatch):
        monkeypatch.setattr(filter_proof, "interpreter", lambda: sys.executable)

    def code(self, monkeypatch, text):
        start = (
            "import json, signal, sys, time\n"
            "told = json.load(sys.stdin)\n"
            f"print(json.dumps({{'read': {READ!r}, 'loose': []}}), flush=True)\n"
        )
        monkeypatch.setattr(filter_proof, "ENGINE", start + text)

    @pytest.mark.parametrize("work", ["while True: pass", "time.sleep(60)"])
    def test_a_pattern_that_never_ends_is_ended(self, monkeypatch, work):
        timers = (
            "signal.setitimer(signal.ITIMER_PROF, told['budget'])\n"
            "signal.setitimer(signal.ITIMER_REAL, 1.5 * told['budget'])\n"
        )
        self.code(monkeypatch, f"print(json.dumps([['203.0.113.7'], 0]), flush=True)\n{timers}{work}\n")
        began = time.monotonic()
        reported = refused(FAILURE, budget=0.2)
        assert time.monotonic() - began < 5
        assert reported.startswith("Too slow: the line '198.51.100.77") or "Too slow: the line '203.0.113.7" in reported
        assert "made from the sample" in reported

    @pytest.mark.parametrize("output", ["", "[["])
    @pytest.mark.parametrize("end", ["SIGALRM", "SIGPROF"])
    def test_a_sample_that_takes_too_long_is_reported_as_it_is(self, monkeypatch, output, end):
        """Also by a process that was ended in the middle of a word."""
        self.code(monkeypatch, f"print({output!r}, end='', flush=True)\nsignal.raise_signal(signal.{end})\n")
        reported = refused(FAILURE)
        assert reported.startswith(f"Too slow: the line {NGINX!r} ({len(NGINX)} characters) and its like take longer")

    def test_an_engine_that_breaks_is_no_verdict(self, monkeypatch):
        self.code(monkeypatch, "raise SystemExit('broken')")
        with pytest.raises(Fail2banError, match="own engine stopped: broken"):
            filter_proof.prove(GOOD, [FAILURE])
        monkeypatch.setattr(filter_proof, "ENGINE", "import fail2ban_that_is_not_there")
        with pytest.raises(Fail2banError, match="could not be used: ModuleNotFoundError"):
            filter_proof.prove(GOOD, [FAILURE])
        monkeypatch.setattr(filter_proof, "ENGINE", "import os; os._exit(3)")
        with pytest.raises(Fail2banError, match="ended with 3"):
            filter_proof.prove(GOOD, [FAILURE])
