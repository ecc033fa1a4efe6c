# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The search runs in a process of its own, from before the first check."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._audit import engine, monitoring
from ansible_collections.chamilo.hardening.plugins.module_utils._common import control
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import Finding, passed
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import compromise, search
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.search import Trace
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.observer import Observer
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Site


@pytest.fixture
def observer() -> Observer:
    return Observer(Site("campus.test"), {})


def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file to which each search adds the number of its process."""
    file = tmp_path / "searches"
    file.touch()

    def trace(_observer: Observer) -> Trace:
        with file.open("a") as known:
            known.write(f"{os.getpid()}\n")
        return Trace(["a sign"])

    monkeypatch.setattr(compromise, "trace", trace)
    return file


def test_it_runs_once_and_elsewhere(observer: Observer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = counted(tmp_path, monkeypatch)
    search.begin(observer)
    assert monitoring.compromise(observer).status == "fail"
    assert monitoring.signs(observer) == ["a sign"]
    (number,) = file.read_text().split()
    assert int(number) != os.getpid()


@pytest.mark.parametrize(("sections", "begun"), [((), 1), (("headers", "monitoring"), 1), (("headers",), 0)])
def test_it_begins_where_the_audit_is_of_its_section(
    observer: Observer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sections: tuple[str, ...], begun: int
) -> None:
    file = counted(tmp_path, monkeypatch)
    search.begin(observer, sections)
    search.begin(observer, sections)
    if begun:
        search.found(observer)
    assert len(file.read_text().split()) == begun


def test_an_audit_begins_it_before_anything_is_open_that_it_would_inherit(
    observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    monkeypatch.setattr(search, "begun", lambda _observer: order.append("the search"))

    def session(_observer: Observer) -> None:
        order.append("a session")

    def connected(one: Observer):
        one.once(session)
        return passed("It is.")

    monkeypatch.setattr(control, "preparations", {connected: session})
    monkeypatch.setattr(engine, "checks", {"monitoring_x": connected})
    engine.audit("campus", observer)
    assert order == ["the search", "a session"]


def test_its_result_is_waited_for_behind_the_other_checks(observer: Observer, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def found(_observer: Observer) -> Trace:
        order.append("the result")
        return Trace()

    def other(_observer: Observer) -> Finding:
        order.append("another check")
        return passed("It is.")

    monkeypatch.setattr(search, "found", found)
    control.observe({"monitoring_compromise": control.checks["monitoring_compromise"], "headers_x": other}, observer)
    assert order == ["another check", "the result"]


def test_where_no_process_can_begin_the_check_reports_it(observer: Observer, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    search.begin(observer)
    found = control.observe({"monitoring_compromise": monitoring.compromise}, observer)["monitoring_compromise"]
    assert found.status == "not_assessed"
    assert "Resource temporarily unavailable" in found.evidence


def test_a_search_that_was_killed_is_no_pass(observer: Observer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compromise, "trace", lambda _observer: os.kill(os.getpid(), 9))
    found = control.observe({"monitoring_compromise": monitoring.compromise}, observer)["monitoring_compromise"]
    assert (found.status, found.evidence) == (
        "not_assessed",
        "The search for traces of a break-in ended with signal 9, without a result.",
    )
