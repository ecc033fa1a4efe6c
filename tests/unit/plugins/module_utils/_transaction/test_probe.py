# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request of a probe, and what is right of its answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import probe as transaction_probe
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.judgement import answers
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.probe import Probe, ask, changed, visit


def test_a_probe_asks_for_its_host_at_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.chamilo.hardening.plugins.module_utils._common import http

    asked: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(http, "fetch", lambda url, **more: asked.append((url, more)) or Answer(url, 200))
    ask(Probe("https://127.0.0.1:8443//a?b", host="campus.test", ca="/ca.pem"))
    ask(Probe("http://campus.test/", address="10.0.0.1", send={"X-Forwarded-Proto": "https"}))
    alone = {"ca_alone": True}  # the authority must have signed the certificate
    claim = {"X-Forwarded-Proto": "https"}
    assert asked == [
        (
            "https://campus.test:8443//a?b",
            {"address": "127.0.0.1", "headers": {}, "verify": True, "ca_file": "/ca.pem", **alone},
        ),
        ("http://campus.test/", {"address": "10.0.0.1", "headers": claim, "verify": False, "ca_file": "", **alone}),
    ]


def test_an_authority_that_is_not_there_is_an_answer(tmp_path: Path) -> None:
    answer = ask(Probe("https://127.0.0.1:1/", ca=str(tmp_path / "ca.pem")))
    assert answer.status == 0 and "ca.pem, cannot be used" in answer.error


def test_a_header_must_come_exactly_once() -> None:
    probe = Probe("http://x/", headers={"X-A": "1"})
    twice = Answer("http://x/", 200, (("X-A", "1"), ("x-a", "1")))
    assert probe.faults(twice) == {"X-A": "http://x/ sends '1' and '1' as X-A instead of '1'"}
    assert probe.faults(Answer("http://x/", 200, (("x-a", "1"),))) == {}


@pytest.mark.parametrize(
    ("url", "where", "fault"),
    [
        ("https://x/", "http://x/", "https://x/ redirects to plain http: http://x/"),
        ("https://x/", "https://x/home", ""),
        ("https://x/", "/home", ""),
        ("http://x/", "http://x/home", ""),
    ],
)
def test_a_page_by_https_that_leads_back_is_none(url: str, where: str, fault: str) -> None:
    """So does another portal of a host for names that are not its own: nothing is observed by https then."""
    found = Probe(url, status=(200, 302)).faults(Answer(url, 302, (("Location", where),)))
    assert found.get("status", "") == fault


class Server:
    """Answers by name and path: a status, or where a redirect leads."""

    def __init__(self, **pages: int | str) -> None:
        self.pages = pages

    def __call__(self, probe: Probe) -> Answer:
        assert probe.host == "campus.test" and (probe.address or "127.0.0.1" in probe.url)
        page = self.pages.get(probe.url.partition(":")[0], 0)
        url = f"{probe.url.partition(':')[0]}://campus.test/a?b=1"
        if isinstance(page, str):
            return Answer(url, 301, (("Location", page),))
        return Answer(url, page, error="" if page else "refused")


PAGE = Probe("http://127.0.0.1/a?b=1", host="campus.test", same=True)
SECURE = "https://campus.test/a?b=1"
WWW = "http://www.campus.test/a"
SAME = {
    "as it was": (Server(http=200), Server(http=200)),
    "https instead": (Server(http=200), Server(http=SECURE, https=200)),
    "https instead, and the application says so": (Server(http=WWW), Server(http=SECURE, https=f"https{WWW[4:]}")),
    "a denial": (Server(http=403), Server(http=SECURE, https=403)),
    "by https already": (Server(http=SECURE, https=404), Server(http=SECURE, https=404)),
    "no answer before": (Server(), Server(http=404)),
    "an error before": (Server(http=502), Server(http=200)),
    "a loop before": (Server(http=SECURE, https=PAGE.url), Server(http=SECURE, https=PAGE.url)),
}
OTHER = {
    "another status": (Server(http=200), Server(http=404), "404, and 200 before"),
    "no answer": (Server(http=200), Server(), "refused, and 200 before"),
    "open now": (Server(http=401), Server(http=200), "200, and 401 before"),
    "open now by https": (Server(http=401), Server(http=SECURE, https=200), "200, and 401 before"),
    "another place": (Server(http=WWW), Server(http=f"{WWW}b"), f"301 to '{WWW}b', and 301 to '{WWW}' before"),
    "another name": (Server(http=200), Server(http=WWW), f"301 to '{WWW}', and 200 before"),
    "another path": (Server(http=200), Server(http=f"{SECURE}2"), f"301 to '{SECURE}2', and 200 before"),
    "nothing by https": (Server(http=200), Server(http=SECURE), "refused, and 200 before"),
    "in a loop": (
        Server(http=200),
        Server(http=SECURE, https="http://campus.test/a"),
        "301 to 'http://campus.test/a', a redirect loop, and 200 before",
    ),
    "plain again": (
        Server(http=SECURE, https=200),
        Server(http=200, https=200),
        "200 by plain http, and 200 by https before",
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_a_page_is_the_same_for_visitors(case: str) -> None:
    before, after = SAME[case]
    assert changed(PAGE, visit(PAGE, before), visit(PAGE, after)) == ""


@pytest.mark.parametrize("case", OTHER)
def test_a_page_is_not_the_same_any_more(case: str) -> None:
    before, after, reported = OTHER[case]
    where = "http://127.0.0.1/a?b=1 as campus.test answers"
    assert changed(PAGE, visit(PAGE, before), visit(PAGE, after)) == f"{where} {reported}"


@pytest.mark.parametrize(
    ("seconds", "statuses", "known"),
    [
        (9.0, [200, 404, 200, 404], ["/a", "/b"]),
        (9.0, [200, 404, 200, 200], ["/a"]),  # the second is not the same twice
        (1.0, [200], ["/a"]),  # there was no time for the second, nor to ask twice
        (3.0, [200, 404, 500], ["/b"]),
        (0.0, [], []),
    ],
)
def test_pages_are_asked_twice_while_there_is_time(
    monkeypatch: pytest.MonkeyPatch, seconds: float, statuses: list[int], known: list[str]
) -> None:
    """A page takes a second here. What is asked for something else is always asked, and once."""
    asked: list[int] = []
    monkeypatch.setattr(transaction_probe.time, "monotonic", lambda: 1000.5 + len(asked))

    def fetch(probe: Probe) -> Answer:
        if not probe.same:
            return Answer(probe.url, 200)
        asked.append(statuses[len(asked)])
        return Answer(probe.url, asked[-1])

    pages = [Probe(f"https://campus.test{path}", same=True) for path in ("/a", "/b")]
    found = answers([Probe("https://campus.test/x", status=(200,)), *pages], fetch, seconds)
    assert [probe.url.removeprefix("https://campus.test") for probe in found] == ["/x", *known]
    assert len(asked) == len(statuses)


@pytest.mark.parametrize("status", [200, 304, 404])
def test_what_is_no_redirect_is_the_answer(status: int) -> None:
    answer = Answer("http://campus.test/a", status, (("Location", "https://campus.test/a"),))
    assert visit(Probe("http://campus.test/a", same=True), lambda _probe: answer) == answer
