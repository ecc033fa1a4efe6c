# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planted, what is judged, how the process is kept in bounds. The real engine is tried on hosts."""

from __future__ import annotations

import json
import sys
import time

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils import _fail2ban_filter as engine
from ansible_collections.chamilo.hardening.plugins.module_utils._fail2ban import Fail2banError
from ansible_collections.chamilo.hardening.plugins.module_utils._fail2ban_filter import (
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


@pytest.mark.parametrize("mark", [r"\x0A", r"\n", "#012"])
def test_escaped_line_breaks_are_planted(mark):
    lines = [trial.line for trial in engine.plants(FAILURE, False)]
    assert any(f"x{mark}{VICTIM} - - [" in line for line in lines)
    assert not any("\n" in line for line in lines)


def test_forwarded_for_is_planted_before_and_behind():
    lines = [trial.line for trial in engine.plants(Sample(APACHE, "203.0.113.7"), False)]
    assert any(line.startswith(f"campus.test:443 {VICTIM}, 203.0.113.7 - -") for line in lines)
    assert any(line.endswith(f'(X11)" "{VICTIM}"') for line in lines)


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
    ],
)
def test_what_needs_no_engine_to_be_refused(changed, words):
    definition = Definition(**{"name": "campus", "failregex": ("^<ADDR>",), **changed})
    assert words in refused(FAILURE, definition=definition)


def test_without_samples_nothing_is_proved():
    assert "samples.match: there is none" in refused()
    assert "samples.match: there is none" in refused(Sample(NGINX))


@pytest.mark.parametrize("sample", [Sample("a\nb", "203.0.113.7"), Sample(" ", "203.0.113.7"), Sample(NGINX, "host")])
def test_samples_that_cannot_be_meant(sample):
    assert refused(sample).startswith("samples")


def test_a_budget_is_a_time():
    assert refused(FAILURE, budget=0).startswith("time_budget")


def test_what_fail2ban_refuses_or_reads_differently(fake):
    fake.first = {"refused": "no group"}
    assert "fail2ban itself refuses the filter: no group" in refused(FAILURE)
    fake.first = {"read": {**fake.read, "failregex": ["other"]}, "loose": []}
    assert "failregex: fail2ban reads it as ['other']" in refused(FAILURE)


def test_a_loose_pattern_is_named(fake):
    fake.read = {**fake.read, "failregex": ["x <ADDR>"]}
    fake.first = {"read": fake.read, "loose": ["x (?P<ip4>)"]}
    assert "'x <ADDR>' is not anchored" in refused(FAILURE, definition=Definition("campus", ("x <ADDR>",)))


def test_the_file_is_what_fail2ban_reads():
    text = Definition("x", ("^%a", "^b"), ("^c",), "^p", "%Y", "_COMM=x").text()
    assert text.splitlines()[2:] == [
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
    assert max(map(len, made)) >= engine._LONG
    assert len(made) < 200


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


def test_a_local_file_beside_it_is_refused(tmp_path):
    (tmp_path / "campus.local").write_text("")
    with pytest.raises(FilterError, match=r"campus\.local would change what was proved"):
        File(str(tmp_path), "campus").alone()


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
    assert engine.log_summary(seen(log, "10.0.0.5", times=20))["proxies"] == [], "that can be one visitor"
    assert engine.log_summary(seen(log, "8.8.8.8", times=120))["proxies"] == []
    assert engine.log_summary(seen(log))["proxies"] == []
