# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell around the installation of the program."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._program import install
from ansible_collections.chamilo.hardening.plugins.modules import host_program
from tests.tools.asking import ask

CONTENT = base64.b64encode(zlib.compress(b"program")).decode()


def test_the_program_is_unpacked_and_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        host_program,
        "install",
        lambda *words, recipient, store: (
            installed.append((*words, recipient)) or install.Installed(True, [{"before": ""}])
        ),
    )
    done = ask(host_program, capsys, content=CONTENT, version="1.2.3", path="/x", _ansible_diff=True)
    assert installed == [(b"program", "1.2.3", "/x", False, None)]
    assert (done["changed"], done["version"], done["diff"]) == (True, "1.2.3", [{"before": ""}])
    assert CONTENT not in json.dumps(done)


@pytest.mark.parametrize(
    "arguments, recipient",
    [
        ({"alert_mail": "a@b.example"}, ("a@b.example", "")),
        ({"alert_mail": "", "alert_webhook": "https://b.example/x"}, ("", "https://b.example/x")),
    ],
)
def test_whom_to_report_is_handed_on(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: dict[str, str],
    recipient: tuple[str, str],
) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(
        host_program, "install", lambda *words, recipient, store: reported.append(recipient) or install.Installed()
    )
    ask(host_program, capsys, content=CONTENT, version="1.2.3", **arguments)
    assert [(one.mail, one.webhook) for one in reported] == [recipient]


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"alert_mail": "nobody"}, "no mail address"),
        ({"alert_mail": "-oQ/tmp@x"}, "no mail address"),
        ({"alert_webhook": "http://b.example/hidden"}, "begins with https://"),
    ],
)
def test_an_unusable_recipient_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: dict[str, str], words: str
) -> None:
    failed = ask(host_program, capsys, content=CONTENT, version="1.2.3", **arguments)
    assert words in failed["msg"] and "hidden" not in json.dumps(failed)


def test_the_program_needs_its_action_plugin(capsys: pytest.CaptureFixture[str]) -> None:
    assert "through its action plugin only" in ask(host_program, capsys)["msg"]
