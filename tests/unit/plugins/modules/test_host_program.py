# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell around the installation of the program."""

from __future__ import annotations

import base64
import json
import zlib

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.alert import Addressee
from ansible_collections.chamilo.hardening.plugins.module_utils._program import install
from ansible_collections.chamilo.hardening.plugins.modules import host_program
from tests.tools.asking import ask

CONTENT = base64.b64encode(zlib.compress(b"program")).decode()


def given(monkeypatch: pytest.MonkeyPatch) -> list[install.Installation]:
    """What the engine is asked for."""
    installed: list[install.Installation] = []

    class Installation(install.Installation):
        def install(self, check: bool) -> install.Installed:
            installed.append(self)
            return install.Installed(True, [{"before": ""}])

    monkeypatch.setattr(host_program, "Installation", Installation)
    return installed


def test_the_program_is_unpacked_and_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed = given(monkeypatch)
    done = ask(host_program, capsys, content=CONTENT, version="1.2.3", path="/x", daily=False, _ansible_diff=True)
    (one,) = installed
    assert (one.content, one.version, one.places.program) == (b"program", "1.2.3", "/x")
    assert (one.recipient, one.daily) == (None, False)
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
    installed = given(monkeypatch)
    ask(host_program, capsys, content=CONTENT, version="1.2.3", **arguments)
    assert [one.recipient for one in installed] == [Addressee(*recipient)]


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
