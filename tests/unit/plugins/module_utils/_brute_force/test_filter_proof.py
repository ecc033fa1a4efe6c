# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planted, what is judged, how the process is kept in bounds. The real engine is tried on hosts."""

from __future__ import annotations

import json
import os
import re
import sys
import time

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force import filter_proof as engine
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.fail2ban import Fail2banError
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_proof import (
    Definition,
    File,
    FilterError,
    Sample,
)

NGINX = '203.0.113.7 - - [25/Nov/2026:14:47:59 +0000] "POST /login_json?a=b HTTP/1.1" 401 43 "-" "Mozilla/5.0 (X11)"'
APACHE = f"campus.test:443 {NGINX}"
IDS = "[2026-11-25 09:44:57] [Info] [Client 203.0.113.7] Login failed for username jdoe"
GOOD = Definition("campus", (r"^<ADDR> .*",))
FAILURE = Sample(NGINX, "203.0.113.7")
VICTIM = "198.51.100.77"


class Fake:
    """In place of fail2ban: ``yields`` says what comes out of a line."""

    yields = staticmethod(lambda line: [])
    first: dict[str, object] = {}

    def __init__(self, told):
        told = json.loads(told)
        self.lines = [line for group in told["groups"] for line in group]
        self.answers = [self.first or {"read": self.read, "loose": []}]
        self.answers += [[self.yields(line), 0.001] for line in self.lines]

    read = {"failregex": list(GOOD.failregex), "ignoreregex": [], "prefregex": [], "datepattern": []}

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def take(self):
        return self.answers.pop(0) if self.answers else None


@pytest.fixture
def fake(monkeypatch):
    class Own(Fake):
        pass

    monkeypatch.setattr(engine, "_Process", Own)
    Own.yields = staticmethod(
        lambda line: ["203.0.113.7"] if line.startswith("203.0.113.7") and " 401 " in line else []
    )
    return Own


def refused(*samples, definition=GOOD, **options):
    with pytest.raises(FilterError) as told:
        engine.prove(definition, samples, **options)
    return str(told.value)


def test_a_sound_filter_is_proved_with_what_was_planted(fake):
    other = Sample(NGINX.replace(" 401 ", " 200 "))
    proof = engine.prove(GOOD, [FAILURE, other]).to_dict()
    assert proof["matched"] == 1
    assert proof["refused"] > 200
    assert proof["slowest_ms"] == 1.0
    again = engine.prove(GOOD, [FAILURE, other, FAILURE]).to_dict()
    assert again == proof, "a sample that is given twice is one sample"


def test_all_lines_that_are_tried_are_counted(fake):
    other = Sample(NGINX.replace("X11", "Linux"), "203.0.113.7")
    apart = [engine.prove(GOOD, [sample]) for sample in (FAILURE, other)]
    whole = engine.prove(GOOD, [FAILURE, other])
    assert (whole.matched, whole.refused) == (2, sum(proof.refused for proof in apart))
    assert apart[0].refused == len(list(engine.plants(FAILURE, False))), "and none of the strained ones"


def test_how_long_the_slowest_line_took(fake):
    seconds = [0.0004, 0.01234, 0.002]
    take = fake.take

    def timed(self):
        answer = take(self)
        return [answer[0], seconds.pop()] if seconds and isinstance(answer, list) else answer

    fake.take = timed
    assert engine.prove(GOOD, [FAILURE]).to_dict()["slowest_ms"] == 12.3


def test_whoever_bans_himself_is_no_victim(fake):
    """A line that must match nobody, in which somebody writes what makes it match: that hits him alone."""
    other = Sample(NGINX.replace(" 401 ", " 200 "))
    fake.yields = staticmethod(lambda line: [] if line == other.line else ["203.0.113.7"])
    assert engine.prove(GOOD, [FAILURE, other]).refused > 200


def test_a_miss_is_named_with_its_line(fake):
    told = refused(FAILURE, Sample(IDS, "203.0.113.7"))
    assert "must match does not" in told
    assert IDS in told
    assert "nothing instead of 203.0.113.7" in told


def test_a_false_hit_is_named_with_what_it_yields(fake):
    told = refused(FAILURE, Sample(f"{NGINX} again"))
    assert "must not match does" in told
    assert "yields 203.0.113.7" in told


def test_a_wrong_address_is_named(fake):
    told = refused(Sample(NGINX, "203.0.113.8"))
    assert "yields 203.0.113.7 instead of 203.0.113.8" in told


def test_a_second_address_is_wrong_too(fake):
    fake.yields = staticmethod(lambda line: ["203.0.113.7", "203.0.113.8"])
    assert refused(FAILURE).startswith("The wrong address")


@pytest.mark.parametrize("form", ["::ffff:203.0.113.7", "203.0.113.7"])
def test_an_address_counts_in_whatever_form(fake, form):
    assert engine.prove(GOOD, [Sample(NGINX, form)]).matched == 1


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

    fake.yields = staticmethod(yields)
    told = refused(FAILURE)
    assert f"planted in {what}, the line" in told
    assert f"yields {VICTIM}" in told


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

        fake.yields = staticmethod(yields)
        fake.read = {**fake.read, "failregex": [pattern]}
        return Definition("campus", (pattern,))

    return set_up


@pytest.mark.parametrize(
    ("pattern", "line", "what"),
    [
        (r"^auth error path=.*? client=<ADDR> agent", "auth error path=/x client=203.0.113.7 agent=curl", "a path"),
        (r"^auth error path=\S+ client=<ADDR> agent", "auth error path=/x client=203.0.113.7 agent=curl", "a path"),
        (r"^error id=\S+ client=<ADDR> agent", "error id=jdoe client=203.0.113.7 agent=curl", "the word 'jdoe'"),
        (r"^denied \S+ from <ADDR> status", "denied /path from 203.0.113.7 status 403", "a path"),
        (r"^denied /path from <ADDR> status", "denied /path from 203.0.113.7 status 403", "a path"),
        (r"^denied .*? from <ADDR> status", "denied jdoe from 203.0.113.7 status 403", "the word 'jdoe'"),
        (r"^denied \S+ 7 from <ADDR> status", "denied /path 7 from 203.0.113.7 status 403", "a path"),
        (r"^denied .*? <ADDR> status", "denied jdoe 203.0.113.7 status 403", "the word 'jdoe'"),
        (r"^denied .*? <ADDR> status", "denied jdoe 2001:db8::7 status 403", "the word 'jdoe'"),
        (r"^\[[^]]*\] \[[A-Z]+\] \[URI .*?\] \[IP <ADDR>\]", URI, "a path"),
        (r"^\[[^]]*\] \[[A-Z]+\] \[URI [^]]*\] \[IP <ADDR>\]", URI.replace("/x", "x"), "the word 'x'"),
        (r"^.* client=<ADDR> agent", "error client=203.0.113.7 agent=curl path=/x", "a path"),
        (r'^user "[^"]*": password mismatch, client: <ADDR>, server', BASIC, "a quoted text"),
        (r"^Invalid user .*? from <ADDR> port", "Invalid user ada from 203.0.113.7 port 40022", "the user name"),
    ],
)
def test_a_victim_that_comes_out_of_a_line_of_no_known_form_is_refused(real, pattern, line, what):
    """A stranger goes on with the rest of the line."""
    own = "2001:db8::7" if "::" in line else "203.0.113.7"
    told = refused(Sample(line, own), definition=real(pattern), escaped="escaped")
    assert f"planted in {what}, the line" in told
    assert f"yields {VICTIM}" in told


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (r"^auth error client=<ADDR> path=", "auth error client=203.0.113.7 path=/x agent=curl"),
        (r"^auth error path=.* client=<ADDR>$", "auth error path=/x client=203.0.113.7"),
        (r"^level=error tty=ssh client=<ADDR> id", "level=error tty=ssh client=203.0.113.7 id=jdoe"),
        (r"^\S+ of \S+ at <ADDR> port", "Failure of sshd at 203.0.113.7 port 22"),
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
    assert engine.prove(real(pattern), [Sample(line, "203.0.113.7")], escaped="escaped").matched == 1


@pytest.mark.parametrize("mark", [r"\x0A", r"\n", "#012"])
def test_escaped_line_breaks_are_planted(mark):
    lines = [trial.line for trial in engine.plants(FAILURE, False)]
    assert any(f"x{mark}{VICTIM} - - [" in line for line in lines)
    assert not any("\n" in line for line in lines)


def test_forwarded_for_is_planted_before_and_behind():
    lines = [trial.line for trial in engine.plants(Sample(APACHE, "203.0.113.7"), False)]
    assert any(line.startswith(f"campus.test:443 {VICTIM}, 203.0.113.7 - -") for line in lines)
    assert any(line.endswith(f'(X11)" "{VICTIM}"') for line in lines)


QUOTED = 'Refused "j doe" client=203.0.113.7 port 22'
NAMED = 'user=ada client=203.0.113.7 "GET /"'


@pytest.mark.parametrize(
    ("line", "planted"),
    [
        # A quoted field that is closed, as it is and as the servers escape that.
        (NGINX, f'43 "" {VICTIM} - - ['),
        (NGINX, rf'43 "\" {VICTIM} - - ['),
        (NGINX, rf'43 "\x22 {VICTIM} - - ['),
        (NGINX, f'43 "x {VICTIM} x" "Moz'),
        (NGINX, f'43 "{VICTIM}, 10.0.0.1" "Moz'),
        # Where no spaces can stand they are written in other ways.
        (NGINX, f"POST {VICTIM}%20-%20-%20[25"),
        (NGINX, f"POST /{VICTIM}%20-%20-%20[25"),
        (NGINX, f"POST {VICTIM}+-+-+[25"),
        (NGINX, f"/login_json{VICTIM}%20-"),
        (NGINX, r"/login_jsonx\x0A198.51.100.77%20-%20-%20["),
        (NGINX, f"/login_json?{VICTIM}%20-"),
        (NGINX, f"/login_json?x={VICTIM} HTTP"),
        # A line without a query may get one.
        (NGINX.replace("?a=b", ""), f"POST /login_json{VICTIM} HTTP"),
        # With the word that stands before an address.
        ("auth failure; rhost=203.0.113.7 user=jdoe", f"user=rhost={VICTIM} user=jdoe"),
        # No quotes, no names: what comes last.
        ("refused 203.0.113.7", f"refused 203.0.113.7{VICTIM}"),
        # The line from its start, from the address and from the word before it on, behind a quotation mark.
        (QUOTED, f'"" Refused "j doe" client={VICTIM} port 22'),
        (QUOTED, f'"" {VICTIM} port 22'),
        (QUOTED, f'"" client={VICTIM} port 22'),
        # The same with the line's own marks escaped.
        (NAMED, rf"user=user=ada client={VICTIM} \"GET /\""),
        (NAMED, rf"user={VICTIM} \"GET /\""),
        (NAMED, rf"user=client={VICTIM} \"GET /\""),
        # In the middle of a text.
        (NGINX, f'43 "x {VICTIM} - - ['),
        # What is written in other ways already.
        (
            NGINX.replace("n_j", "n%20j"),
            f"POST {VICTIM}%20-%20-%20[25/Nov/2026:14:47:59%20+0000]%20%22POST%20/login%2520json",
        ),
        # Where logs have X-Forwarded-For.
        (NGINX, f'(X11)" "{VICTIM}, 10.0.0.1"'),
        (NGINX, f'(X11)" {VICTIM}'),
        # No address of its own.
        ("refused somebody", f"refused somebody{VICTIM} refused somebody"),
    ],
)
def test_what_is_planted_where(line, planted):
    made = [trial.line for trial in engine.plants(Sample(line), False)]
    assert any(planted in one for one in made), "\n".join(one for one in made if VICTIM in one)


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ("user=ada at 203.0.113.7 x", {f"ada {VICTIM} x", f"ada at {VICTIM} x"}),
        ("by user=ada at 203.0.113.7 x", {f"ada {VICTIM} x", f"ada at {VICTIM} x"}),
        ("user=ada client=203.0.113.7 x", {f"ada client={VICTIM} x", f"ada user=ada client={VICTIM} x"}),
        ("203.0.113.7 x user=ada", {f"ada {VICTIM} x user=ada"}),
        (
            'user "ada" of x at 203.0.113.7',
            {
                *(f"ada {VICTIM}", f"ada at {VICTIM}"),
                *(f"ada{mark} {VICTIM}" for mark in ('"', r"\"", r"\x22")),
                *(f"ada{mark} of x at {VICTIM}" for mark in ('"', r"\"", r"\x22")),
            },
        ),
    ],
)
def test_how_a_stranger_goes_on_with_the_line(line, texts):
    """With one word before the address, with two, and with all that stands between."""
    sample, own = (
        Sample(line, "203.0.113.7"),
        next(one for one in engine.fields(line) if line[one.start :][:3] == "ada"),
    )
    assert set(engine._goes_on(own, sample, VICTIM, line.replace("203.0.113.7", VICTIM))) == texts


@pytest.mark.parametrize("line", [NGINX, APACHE, IDS])
def test_what_is_planted_in_one_part_leaves_the_others(line):
    for trial in engine.plants(Sample(line), False):
        if trial.what != "X-Forwarded-For":
            name = trial.what.partition(",")[0]
            parts = [(line[: part.start], line[part.end :]) for part in engine.fields(line) if part.what == name]
            assert any(trial.line.startswith(before) and trial.line.endswith(after) for before, after in parts)


def test_the_line_of_a_log_with_raw_breaks_goes_on_behind_what_was_planted():
    sample = Sample(f"{IDS} on campus", "203.0.113.7")
    broken = [trial.line for trial in engine.plants(sample, True) if "does not escape" in trial.what]
    assert f"{IDS.replace('203.0.113.7', VICTIM)} on campus on campus" in broken


NGINX_PARTS = [
    ("the user name", "-"),
    ("the path", "/login_json"),
    ("the query", "?a=b"),
    ("the referer", "-"),
    ("the user agent", "Mozilla/5.0 (X11)"),
]


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (NGINX, NGINX_PARTS),
        (
            '2001:db8::1 - jane doe [25/Nov/2026:14:47:59 +0000] "GET / HTTP/2.0" 200 43',
            [("the user name", "jane doe"), ("the path", "/"), ("the query", "")],
        ),
        ("Refused: user=jdoe", [("the user name", "jdoe")]),
        ('Refused "j doe", account: jane', [("a quoted text", "j doe"), ("the user name", "jane")]),
        ("Refused 'j doe'", [("a quoted text", "j doe")]),
        ("nothing known", [("the end of the line", "")]),
        (
            "Nov 25 10:00:00 campus app[8]: Error 42 path=/x?a=b id=jdoe tid 7 at imap[9] 203.0.113.7 by ada",
            [("a path", "/x?a=b"), ("the word 'jdoe'", "jdoe"), ("the word 'at'", "at")],
        ),
        ("Nov 25 Error ada: bob", [("the end of the line", "")]),
        # What is empty may be filled.
        (NGINX.replace("Mozilla/5.0 (X11)", ""), [*NGINX_PARTS[:-1], ("the user agent", "")]),
        *((f"Refused {word} jdoe", [("the user name", "jdoe")]) for word in ("username", "login", "account", "for")),
    ],
)
def test_where_strangers_write(line, parts):
    found = engine.fields(line)
    assert [(one.what, line[one.start : one.end]) for one in found] == parts
    assert parts[0][1] or found[0].start == len(line)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("refused user jdoe at 203.0.113.7", ["user", "at"]),
        ("refused by fe80::abcd at 203.0.113.7", ["by", "at"]),
        ("refused on Sun 4 Jan at 203.0.113.7", ["on", "at"]),
        ("refused by the 3rd at 203.0.113.7", ["by", "at"]),
        ("refused by agent: cyrus/imap[9] at 203.0.113.7", ["by", "at"]),
    ],
)
def test_what_is_no_word_of_a_stranger(line, words):
    """A user's name, which is planted in as such, part of an address or a date, a number, what names something."""
    assert [line[one.start : one.end] for one in engine.fields(line) if not one.sure] == words


def test_where_a_word_is_a_value_another_word_is_tried_and_elsewhere_two():
    line = "12:00:01 [warn] sorry id=ada [pid seven] went on port 22 at 12:00:00 from 192.0.2.1"
    tried = {line[one.start : one.end]: one.other for one in engine.fields(line) if not one.sure}
    assert tried == {
        "sorry": "tpssz tpssz",
        "ada": "beb",
        "seven": "tfwfo",
        "went": "xfou xfou",
        "on": "po po",
        "from": "gspn gspn",
    }


@pytest.mark.parametrize(
    ("address", "usual"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("203.0.113.256", ""),
        ("campus.test", ""),
    ],
)
def test_the_usual_form_of_an_address(address, usual):
    assert engine.normal(address) == usual


def test_the_forged_line_is_the_victim_s_own_where_two_addresses_stand():
    """A proxy's, and that of the visitor whom the filter must find."""
    line = "10.0.0.5 via 203.0.113.7 refused"
    forged = f"10.0.0.5 via {VICTIM} refused"
    made = [trial.line for trial in engine.plants(Sample(line, "203.0.113.7"), False)]
    assert f"{line}{forged}" in made
    made = [trial.line for trial in engine.plants(Sample(line), False)]
    assert f"{line}{VICTIM} via 203.0.113.7 refused" in made, "of nobody: the first one is as good"


@pytest.mark.parametrize("line", [NGINX, APACHE, IDS])
def test_a_victim_is_planted_whole(line):
    made = [trial.line for trial in engine.plants(Sample(line, "203.0.113.7"), True)]
    assert all(one.count(VICTIM) == one.count(VICTIM[1:]) for one in made)


def test_another_address_of_the_line_is_a_stranger_s_too(fake):
    sample = Sample("10.0.0.5 via 203.0.113.7 refused", "203.0.113.7")
    fake.yields = staticmethod(lambda line: ["203.0.113.7" if line == sample.line else "10.0.0.5"])
    assert "yields 10.0.0.5" in refused(sample)


@pytest.mark.parametrize(
    ("network", "inside"),
    [("10.0.0.0/24", True), ("10.0.0.5/24", True), ("10.0.0.9", True), ("10.0.1.0/24", False), ("fe80::/10", False)],
)
def test_who_lies_within_a_network(network, inside):
    assert engine.within("10.0.0.9", ["nonsense", network]) is inside


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("sshd: from 203.0.113.7: refused", "203.0.113.7"),
        ("client: 203.0.113.7:51234, server: campus.test", "203.0.113.7"),
        ("[client 2001:db8::7] refused", "2001:db8::7"),
        ("[2001:db8::7]:51234 refused", "2001:db8::7"),
        ("2001:db8::7: refused", "2001:db8::7"),
        ("from 2001:db8::7.", "2001:db8::7"),
        ("version 1.2.3.4.5 at 12:34:56", None),
        ("version 1.2.3.4rc1", None),
    ],
)
def test_an_address_is_known_with_whatever_stands_behind_it(line, address):
    victim = "198.51.100.77"
    expected = f"{victim} {line}" if address is None else line.replace(address, victim)
    assert engine._with_victim(engine.Sample(line), victim) == expected


def test_both_families_are_planted():
    lines = [trial.line for trial in engine.plants(FAILURE, False)]
    assert any("2001:db8:bad::77" in line for line in lines)


def test_a_victim_is_nobody_of_the_sample():
    sample = Sample(NGINX.replace("203.0.113.7", VICTIM), VICTIM)
    assert all(VICTIM in trial.allowed for trial in engine.plants(sample, False))
    assert any("192.0.2.77" in trial.line for trial in engine.plants(sample, False))


def test_a_log_with_raw_line_breaks_can_be_written_by_strangers(fake):
    fake.yields = staticmethod(lambda line: [line.split("Client ")[1].split("]")[0]] if line.startswith("[") else [])
    told = refused(Sample(IDS, "203.0.113.7"))
    assert "behind a line break that this log does not escape" in told
    fake.yields = staticmethod(lambda line: ["203.0.113.7"] if line == IDS else [])
    assert engine.prove(GOOD, [Sample(IDS, "203.0.113.7")], escaped="escaped").matched == 1


@pytest.mark.parametrize(
    ("line", "raw"),
    [
        (NGINX, False),
        (APACHE, False),
        (IDS, True),
        ("Nov 25 10:00:00 campus sshd[8]: Invalid user a from 203.0.113.7 port 40022", False),
        ("2026-11-25T10:00:00+00:00 campus sshd[8]: Invalid user a from 203.0.113.7 port 40022", False),
        ("[2026-11-25 09:44:57] [XSS] [IP 203.0.113.7] [URI /] [PARAM a] Detected", False),
    ],
)
def test_which_logs_escape_line_breaks(line, raw):
    assert engine._breaks(GOOD, Sample(line), "auto") is raw
    assert engine._breaks(Definition("x", ("^",), journalmatch="_COMM=x"), Sample(line), "auto") is False
    assert engine._breaks(GOOD, Sample(line), "raw") is True


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": "../x"}, "no slash"),
        ({"name": "a/b"}, "no slash"),
        ({"name": ""}, "no name of a filter"),
        ({"failregex": ()}, "find nothing"),
        ({"failregex": ("sshd",)}, "name of a file"),
        ({"failregex": ("/etc/fail2ban/filter.d/sshd.conf",)}, "name of a file"),
        ({"failregex": ("sshd[mode=aggressive]",)}, "name of a file"),
        ({"failregex": ("^a\nb",)}, "no single line"),
        ({"failregex": ("",)}, "no single line"),
        ({"failregex": ("^<ADDR> ",)}, "ends with a space"),
        ({"ignoreregex": (" x$",)}, "ends with a space"),
        ({"ignoreregex": ("",)}, "no single line"),
        ({"ignoreregex": ("sshd",)}, "name of a file"),
        ({"prefregex": "sshd"}, "name of a file"),
        ({"prefregex": "^ "}, "ends with a space"),
        ({"datepattern": "%Y\n"}, "no single line"),
        ({"datepattern": " %Y"}, "ends with a space"),
        ({"journalmatch": "a\nb"}, "no single line"),
    ],
)
def test_what_needs_no_engine_to_be_refused(changed, words):
    definition = Definition(**{"name": "campus", "failregex": ("^<ADDR>",), **changed})
    assert words in refused(FAILURE, definition=definition)


def test_what_is_no_pattern_may_look_like_the_name_of_a_file():
    definition = Definition("campus", ("^<ADDR>",), datepattern="EPOCH", journalmatch="_COMM=x")
    engine.check(definition, [FAILURE])


@pytest.mark.parametrize(("length", "whole"), [(300, True), (301, False)])
def test_of_a_long_line_both_ends_are_told(fake, length, whole):
    line = f'{NGINX[:-1]}{"z" * (length - len(NGINX) - 3)}end"'
    told = refused(Sample(line, "203.0.113.8"))
    assert (repr(line) in told) is whole
    assert whole or f"{line[:200]}...{line[-60:]}" in told


def test_without_samples_nothing_is_proved():
    assert "samples.match: there is none" in refused()
    assert "samples.match: there is none" in refused(Sample(NGINX))


@pytest.mark.parametrize("sample", [Sample("a\nb", "203.0.113.7"), Sample(" ", "203.0.113.7"), Sample(NGINX, "host")])
def test_samples_that_cannot_be_meant(sample):
    assert refused(sample).startswith("samples")


def test_a_budget_is_a_time():
    assert refused(FAILURE, budget=0).startswith("time_budget")
    assert refused(FAILURE, budget=-0.5).startswith("time_budget: -0.5 is no time")


def test_the_engine_is_told_the_budget_and_the_file(fake, monkeypatch):
    told = []
    monkeypatch.setattr(engine, "_Process", lambda text: told.append(json.loads(text)) or fake(text))
    engine.prove(GOOD, [FAILURE], budget=0.5)
    assert (told[0]["name"], told[0]["text"], told[0]["budget"]) == ("campus", GOOD.text(), 0.5)
    assert told[0]["groups"][0] == [NGINX]


def test_a_line_that_many_samples_yield_is_tried_once_and_judged_for_each(fake, monkeypatch):
    told = []
    monkeypatch.setattr(engine, "_Process", lambda text: told.append(json.loads(text)) or fake(text))
    alike = [FAILURE, Sample(NGINX.replace(" 401 ", " 200 "))]
    engine.prove(GOOD, alike)
    lines = [line for group in told[0]["groups"] for line in group]
    wanted = [
        line for each in alike for line in (*(trial.line for trial in engine.plants(each, False)), *engine.strain(each))
    ]
    assert len(lines) == len(set(lines)) < len(wanted)
    assert set(lines) == {*wanted, *(each.line for each in alike)}
    # The same line, out of which somebody has to come for one sample and nobody for the other.
    assert "A line that must not match does" in refused(FAILURE, Sample(NGINX))


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
    assert engine.prove(whole, [FAILURE]).matched == 1


def test_a_loose_pattern_is_named(fake):
    fake.read = {**fake.read, "failregex": ["x <ADDR>"]}
    fake.first = {"read": fake.read, "loose": ["x (?P<ip4>)"]}
    assert "'x <ADDR>' is not anchored" in refused(FAILURE, definition=Definition("campus", ("x <ADDR>",)))
    fake.first = {"read": {**Fake.read, "prefregex": ["p .*"]}, "loose": ["p (?P<content>.*)"]}
    assert "'p .*' is not anchored" in refused(
        FAILURE, definition=Definition("campus", GOOD.failregex, prefregex="p .*")
    )
    fake.read = {**fake.read, "failregex": ["^x|<ADDR>"]}
    fake.first = {"read": fake.read, "loose": ["^x|(?P<ip4>)"]}
    told = refused(FAILURE, definition=Definition("campus", ("^x|<ADDR>",)))
    assert "'^x|(?P<ip4>)' is not anchored" in told, "an alternative of it, so it is told as fail2ban takes it"


def test_the_file_is_what_fail2ban_reads():
    text = Definition("x", ("^%a", "^b"), ("^c",), "^p", "%Y", "_COMM=x").text()
    assert text.removesuffix("\n").split("\n")[2:] == [
        "[Definition]",
        "prefregex = ^p",
        "failregex = ^%%a",
        "    ^b",
        "ignoreregex = ^c",
        "datepattern = %%Y",
        "journalmatch = _COMM=x",
    ]
    assert "ignoreregex =\n" in Definition("x", ("^a",)).text()


@pytest.mark.parametrize("line", [NGINX, APACHE, IDS])
def test_strained_lines_come_from_what_strangers_write(line):
    made = list(engine.strain(Sample(line)))
    assert any("a" * engine._SHORT in one for one in made)
    assert engine._LONG <= max(map(len, made)) <= engine._LONG + 2 * len(line), "no server takes longer ones"
    assert len(made) < 200
    for part in engine.fields(line):
        before, after = line[: part.start], line[part.end :]
        assert f"{before}{'a' * engine._SHORT}\x01!" in made
        assert f"{before}{'a' * engine._SHORT}!{after}\x01" in made
        assert f"{before}{'a' * engine._LONG}{after}\x01!" in made
        own = line[part.start : part.end]
        repeated = (own * engine._SHORT)[: engine._SHORT]
        assert (f"{before}{repeated}\x01!" in made) is bool(own.strip("-") and (part.spaces or " " not in own))
        assert any(f"{before}a{'a '[1] if part.spaces else '+'}a" in one for one in made)


def test_with_what_a_line_is_strained():
    made = list(engine.strain(Sample(IDS)))
    before = IDS[: -len("jdoe")]
    for filler in ("a", "A", "0", "a ", "a0_", ".", "/", "a/", "=", r"\"", "jdoe"):
        assert f"{before}{(filler * 40)[:40]}\x01!" in made
    for filler in ("a", "0", "a ", "/", r"\""):
        assert f"{before}{(filler * 8000)[:8000]}\x01!" in made
    assert any(one.count(IDS) > 50 for one in made), "the whole line, again and again"


class TestProcess:
    """The real process, with other code in it."""

    @pytest.fixture(autouse=True)
    def own_python(self, monkeypatch):
        monkeypatch.setattr(engine, "interpreter", lambda: sys.executable)

    def code(self, monkeypatch, text):
        start = (
            "import json, signal, sys, time\n"
            "told = json.load(sys.stdin)\n"
            f"print(json.dumps({{'read': {Fake.read!r}, 'loose': []}}), flush=True)\n"
        )
        monkeypatch.setattr(engine, "ENGINE", start + text)

    @pytest.mark.parametrize("work", ["while True: pass", "time.sleep(60)"])
    def test_a_pattern_that_never_ends_is_ended(self, monkeypatch, work):
        timers = (
            "signal.setitimer(signal.ITIMER_PROF, told['budget'])\n"
            "signal.setitimer(signal.ITIMER_REAL, 1.5 * told['budget'])\n"
        )
        self.code(monkeypatch, f"print(json.dumps([['203.0.113.7'], 0]), flush=True)\n{timers}{work}\n")
        began = time.monotonic()
        told = refused(FAILURE, budget=0.2)
        assert time.monotonic() - began < 5
        assert told.startswith("Too slow: the line '198.51.100.77") or "Too slow: the line '203.0.113.7" in told
        assert "made from the sample" in told

    @pytest.mark.parametrize("said", ["", "[["])
    @pytest.mark.parametrize("end", ["SIGALRM", "SIGPROF"])
    def test_a_sample_that_takes_too_long_is_told_as_it_is(self, monkeypatch, said, end):
        """Also by a process that was ended in the middle of a word."""
        self.code(monkeypatch, f"print({said!r}, end='', flush=True)\nsignal.raise_signal(signal.{end})\n")
        told = refused(FAILURE)
        assert told.startswith(f"Too slow: the line {NGINX!r} ({len(NGINX)} characters) and its like take longer")

    def test_an_engine_that_breaks_is_no_verdict(self, monkeypatch):
        self.code(monkeypatch, "raise SystemExit('broken')")
        with pytest.raises(Fail2banError, match="own engine stopped: broken"):
            engine.prove(GOOD, [FAILURE])
        monkeypatch.setattr(engine, "ENGINE", "import fail2ban_that_is_not_there")
        with pytest.raises(Fail2banError, match="could not be used: ModuleNotFoundError"):
            engine.prove(GOOD, [FAILURE])
        monkeypatch.setattr(engine, "ENGINE", "import os; os._exit(3)")
        with pytest.raises(Fail2banError, match="ended with 3"):
            engine.prove(GOOD, [FAILURE])


def test_the_file_is_replaced_in_one_step_and_removed(tmp_path):
    file = File(str(tmp_path), "campus")
    assert file.read() is None
    file.write("text")
    assert file.read() == "text"
    assert [path.name for path in tmp_path.iterdir()] == ["campus.conf"]
    assert (tmp_path / "campus.conf").stat().st_mode & 0o777 == 0o644
    assert file.diff(None, "text")["before_header"].endswith("campus.conf (absent)")
    file.write(None)
    assert file.read() is None


def test_what_lies_in_the_way_of_the_new_file(tmp_path):
    """One that a killed run left is replaced whole, and no link is followed."""
    part = tmp_path / "campus.conf.chamilo-hardening"
    part.write_text("much longer than what comes")
    part.chmod(0o600)
    File(str(tmp_path), "campus").write("text")
    assert [path.name for path in tmp_path.iterdir()] == ["campus.conf"]
    assert (tmp_path / "campus.conf").read_text() == "text"
    assert (tmp_path / "campus.conf").stat().st_mode & 0o777 == 0o644
    part.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        File(str(tmp_path), "campus").write("other")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_the_file_can_be_read_whatever_the_umask(tmp_path, umask):
    old = os.umask(umask)
    try:
        File(str(tmp_path), "campus").write("text")
    finally:
        os.umask(old)
    assert (tmp_path / "campus.conf").stat().st_mode & 0o777 == 0o644


def test_a_local_file_beside_it_is_refused(tmp_path):
    (tmp_path / "campus.local").write_text("")
    with pytest.raises(FilterError, match=r"campus\.local would change what was proved"):
        File(str(tmp_path), "campus").alone()
    File(str(tmp_path), "other").alone()


def test_of_a_long_log_the_newest_lines_are_read(tmp_path, monkeypatch):
    """From the first whole one on."""
    monkeypatch.setattr(engine, "LOG_BYTES", 2 * len(NGINX) + 10)
    log = tmp_path / "access.log"
    log.write_text("".join(f"{NGINX.replace('113.7', f'113.{number}')}\n" for number in (3, 4, 5, 6)))
    assert engine.log_summary(str(log))["visitors"] == 2
    monkeypatch.setattr(engine, "LOG_BYTES", 3 * len(NGINX) + 1)
    assert engine.log_summary(str(log))["visitors"] == 2, "half an address is another one"
    log.write_text(f"{NGINX.replace('113.7', '113.3')}\n{NGINX}\n")
    for fits in (0, 1):
        monkeypatch.setattr(engine, "LOG_BYTES", log.stat().st_size + fits)
        assert engine.log_summary(str(log))["visitors"] == 2, "a log that fits is read from its first line on"


def test_who_visits_by_the_log(tmp_path):
    log = tmp_path / "access.log"
    log.write_text(f"{NGINX}\n{NGINX.replace('Mozilla', 'curl')}\n127.0.0.1{NGINX[11:]}\nnonsense\n")
    seen = engine.log_summary(str(log))
    assert {"lines": 2, "visitors": 1, "agents": 2, "only": "203.0.113.7"}.items() <= seen.items()
    log.write_text(f"{NGINX}\n{APACHE.replace('113.7', '113.8')}\n")
    assert engine.log_summary(str(log))["only"] == ""
    with pytest.raises(FilterError, match="cannot be read"):
        engine.log_summary(str(tmp_path / "none"))


def seen(path, *addresses, times=1):
    lines = (
        NGINX.replace("203.0.113.7", address).replace("X11", f"b{turn}")
        for address in addresses
        for turn in range(times)
    )
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def test_a_log_that_shows_nobody_but_proxies(tmp_path):
    log = tmp_path / "access.log"
    both = seen(log, "10.0.0.5", "10.0.0.6")
    assert engine.log_summary(both)["proxies"] == []
    assert engine.log_summary(both, ["10.0.0.5"])["proxies"] == [], "the other one is a visitor"
    assert engine.log_summary(both, ["10.0.0.0/24", "nonsense"])["proxies"] == ["10.0.0.5", "10.0.0.6"]
    assert engine.log_summary(both, ["10.0.0.0/24"], ["10.0.0.6"])["proxies"] == ["10.0.0.5"]
    assert engine.log_summary(both, ["10.0.0.0/24"], ["10.0.0.0/24"])["proxies"] == [], "a school of one's own"
    assert engine.log_summary(seen(log, "10.0.0.5", times=120))["proxies"] == ["10.0.0.5"]
    assert engine.log_summary(seen(log, "10.0.0.5", times=120), friends=["10.0.0.0/8"])["proxies"] == []
    assert engine.log_summary(seen(log, "10.0.0.5", times=100))["proxies"] == ["10.0.0.5"]
    assert engine.log_summary(seen(log, "10.0.0.5", times=99))["proxies"] == [], "that can be one visitor"
    few = "".join(f"{NGINX.replace('203.0.113.7', '10.0.0.5').replace('X11', f'b{n % 5}')}\n" for n in range(150))
    log.write_text(few)
    assert engine.log_summary(str(log))["proxies"] == ["10.0.0.5"]
    log.write_text(few.replace("(b4)", "(b3)"))
    assert engine.log_summary(str(log))["proxies"] == [], "one visitor with four browsers"
    many = [f"10.0.0.{number}" for number in range(1, 8)]
    assert engine.log_summary(seen(log, *many), ["10.0.0.0/24"])["proxies"] == many[:5], "five are enough to be told"
    assert engine.log_summary(seen(log, "8.8.8.8", times=120))["proxies"] == []
    assert engine.log_summary(seen(log))["proxies"] == []
