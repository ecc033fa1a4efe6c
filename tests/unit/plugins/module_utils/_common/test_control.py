# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Unseen
from ansible_collections.chamilo.hardening.plugins.module_utils._common import control
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import (
    attack,
    check,
    failed,
    observe,
    passed,
)


@pytest.fixture(autouse=True)
def registers(monkeypatch):
    """Empty ones: those of the collection stay as they are."""
    monkeypatch.setattr(control, "checks", {})
    monkeypatch.setattr(control, "attacks", {})
    monkeypatch.setattr(control, "inside_attacks", set())
    monkeypatch.setattr(control, "preparations", {})


def test_one_check_that_breaks_off_does_not_stop_the_others():
    def unseen(it):
        raise Unseen("no such thing here")

    def broken(it):
        raise ZeroDivisionError("by nothing")

    def silent(it):
        raise Unseen("https://campus.test/ gave no answer.")

    seen = observe({"a": unseen, "b": broken, "c": lambda it: passed("well"), "d": silent}, "the host")
    assert [(finding.status, finding.evidence) for finding in seen.values()] == [
        ("not_assessed", "No such thing here."),
        ("not_assessed", "ZeroDivisionError: by nothing."),
        ("pass", "well"),
        ("not_assessed", "https://campus.test/ gave no answer."),
    ]


@pytest.mark.parametrize("problem", [None, Unseen("not here"), FileNotFoundError("no program")])
def test_a_slow_program_begins_before_the_first_check_and_is_read_after_the_last(problem):
    order = []

    class Subject:
        def once(self, question):
            order.append("begun")
            if problem:
                raise problem

    @check("headers_slow", prepare=lambda _subject: None)
    def slow(_subject):
        order.append("slow")
        return passed("well")

    @check("headers_quick")
    def quick(_subject):
        order.append("quick")
        return passed("well")

    assert list(observe(control.checks, Subject())) == ["headers_slow", "headers_quick"]
    assert order == ["begun", "quick", "slow"]


def test_a_control_has_one_check_and_one_attack():
    @check("headers_x")
    def inspect(it):
        return passed(f"{it} is well")

    @attack("headers_x")
    def try_it(it):
        return failed("not held off")

    assert observe(control.checks, "campus")["headers_x"] == passed("campus is well"), "the function stays itself"
    assert observe(control.attacks, "campus")["headers_x"].status == "fail"
    for register in (check, attack):
        with pytest.raises(ValueError, match="headers_x is registered twice"):
            register("headers_x")(inspect)
    assert observe(control.checks, "campus")["headers_x"].status == "pass", "the first one stays"


def test_what_runs_on_the_host_itself_is_reported_apart():
    attack("backups_x", insider=True)(passed)
    attack("headers_x")(passed)
    assert control.inside_attacks == {"backups_x"} and set(control.attacks) == {"backups_x", "headers_x"}


def test_what_an_attacker_wrote_is_harmless_in_the_evidence():
    def raising(it):
        raise Unseen("x\x1b]0;y\x07")

    seen = observe({"a": lambda it: failed("caf\xe9 \x1b[2J\u202e\udcff\nnext"), "b": raising}, "the host")
    assert seen["a"].evidence == "caf\xe9 \\x1b[2J\\u202e\\udcff\nnext"
    assert seen["b"].evidence == r"x\x1b]0;y\x07."
    long = observe({"a": lambda it: failed("x" * 10_000_000)}, "the host")["a"].evidence
    assert long == f"{'x' * 10_000} ... {'x' * 10_000}"
