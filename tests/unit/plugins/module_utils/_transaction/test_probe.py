# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request of a probe, and what is right of its answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.probe import Probe, ask


def test_a_probe_asks_for_its_host_at_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.chamilo.hardening.plugins.module_utils._common import http

    asked: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(http, "fetch", lambda url, **more: asked.append((url, more)) or Answer(url, 200))
    ask(Probe("https://127.0.0.1:8443//a?b", host="campus.test", ca="/ca.pem"))
    ask(Probe("http://campus.test/", address="10.0.0.1", send=(("X-Forwarded-Proto", "https"),)))
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
    probe = Probe("http://x/", headers=(("X-A", "1"),))
    twice = Answer("http://x/", 200, (("X-A", "1"), ("x-a", "1")))
    assert probe.faults(twice) == {"X-A": "http://x/ sends '1' and '1' as X-A instead of '1'"}
    assert probe.faults(Answer("http://x/", 200, (("x-a", "1"),))) == {}
