# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Closing a window keeps the portal working, or keeps the window open and reports it. Real files, as root."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import alert
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import pages as permissions_pages
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import window
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.window import WindowError
from ansible_collections.chamilo.hardening.plugins.module_utils._program import main
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import recovery
from tests.unit.plugins.module_utils._permissions.conftest import WindowHost

FRONT = "https://campus.example/"


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setattr(permissions_pages, "ANSWER_SECONDS", 0)
    return WindowHost(tmp_path, pages={"probe": [{"url": FRONT}]})


def test_a_portal_that_works_no_more_once_it_is_closed_stays_open_and_that_is_reported(host):
    host.open()
    host.needs = 0o020  # as if the update needed to write what it may not
    with pytest.raises(WindowError) as failed:
        host.windows.close(host.windows.known()[0])
    words = str(failed.value)
    assert "is not wholly closed" in words and f"{FRONT} answers 500, and 200 before" in words
    assert "were rolled back" in words and host.mode() == 0o664
    assert host.windows.known() and (host.directory / "units/chamilo-hardening-window.timer").exists()
    host.needs = 0o004
    host.windows.close(host.windows.known()[0])
    assert host.mode() == 0o644 and not host.windows.known()


def test_of_a_portal_that_did_not_work_before_nothing_is_asked(host):
    host.open()
    host.dead = True
    host.windows.close(host.windows.known()[0])
    assert host.mode() == 0o644 and not host.windows.known()


def test_the_installer_is_unreachable_whatever_becomes_of_the_tree(host):
    host.open(address="203.0.113.7")
    installer = Path(host.portal.installer["file"])
    assert installer.exists()
    host.needs = 0o020
    with pytest.raises(WindowError, match="not wholly closed"):
        host.windows.close(host.windows.known()[0])
    assert not installer.exists() and host.windows.known()


def test_what_is_overdue_is_closed_by_the_role_in_the_same_way(host, monkeypatch):
    host.serve(monkeypatch)
    host.open()
    host.now += 3600
    host.needs = 0o020
    with pytest.raises(WindowError, match="were rolled back"):
        host.apply()
    assert host.mode() == 0o664 and host.windows.known()


def test_the_unit_that_closes_it_alerts(host, monkeypatch, capsys):
    reported = []
    monkeypatch.setattr(window, "Windows", lambda _engine: host.windows)
    monkeypatch.setattr(alert, "notify", lambda *given, **_more: reported.append(given))
    host.open()
    host.now += 3600
    host.needs = 0o020
    assert main.main(["window", "close", "--due"], engine=host.engine) == 1
    ((section, title, text),) = reported
    assert (section, title) == ("permissions", "A window cannot be closed")
    assert "were rolled back" in text and "tried again each minute" in text
    assert "were rolled back" in capsys.readouterr().err


def test_what_an_opened_installer_breaks_is_rolled_back(host, monkeypatch):
    """The web server's configuration is tested, loaded and probed, as each change of it is."""
    monkeypatch.setattr(recovery, "ANSWER_SECONDS", 0)
    asked = host.fetch

    def fetch(probe):
        if Path(host.portal.installer["file"]).exists():
            return Answer(probe.url, 502)
        return asked(probe)

    host.engine.fetch = fetch
    with pytest.raises(Exception, match="502"):
        host.open(address="203.0.113.7")
    assert not Path(host.portal.installer["file"]).exists()
    assert host.mode() == 0o644 and not host.windows.known()


def test_a_window_of_an_older_version_has_no_pages(host):
    host.open()
    path = host.directory / "state/windows.json"
    known = json.loads(path.read_text())
    assert known[0].pop("pages") == host.portal.pages and "mounts" in known[0]
    del known[0]["mounts"]
    path.write_text(json.dumps(known))
    host.needs = 0o020
    host.windows.close(host.windows.known()[0])
    assert host.mode() == 0o644
