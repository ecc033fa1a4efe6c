# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chamilo's own file integrity check: it goes by our list, and what another made of it is reported."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files, records
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import application_scan
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Php, Site

NOW = 1_790_000_000.0
# Writes a baseline, as app:file-integrity:baseline does.
CONSOLE = """
import pathlib, sys
assert sys.argv[1] == "app:file-integrity:baseline", sys.argv
folder = pathlib.Path({folder!r})
folder.mkdir(parents=True, exist_ok=True)
(folder / "baseline.json").write_text("made " + str(len(list(folder.iterdir()))))
"""


@pytest.fixture
def portal(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    directory = tmp_path / "portal/var/security/file_integrity"
    site = Site("campus.test", root=str(tmp_path / "portal"), version="3.0.2", php=Php(user="nobody"))
    console = [sys.executable, "-c", CONSOLE.format(folder=str(directory))]
    return SimpleNamespace(site=site, directory=directory, console=console)


def follow(portal, digest="list 1"):
    return application_scan.follow(portal.site, "campus", digest, portal.console)


def faults(portal):
    return application_scan.faults(portal.site, "campus", NOW)


def snooze(portal, until):
    portal.directory.mkdir(parents=True, exist_ok=True)
    (portal.directory / "state.json").write_text(json.dumps({"snoozedUntil": until}))


def test_the_baseline_is_made_once_for_each_list(portal):
    assert faults(portal) == [] and follow(portal) == ""
    made = (portal.directory / "baseline.json").stat().st_mtime_ns
    assert follow(portal) == "" and (portal.directory / "baseline.json").stat().st_mtime_ns == made
    assert follow(portal, "list 2") == "" and (portal.directory / "baseline.json").stat().st_mtime_ns != made
    assert faults(portal) == []


def test_one_that_another_made_or_removed_is_a_fault(portal):
    follow(portal)
    (portal.directory / "baseline.json").write_text("with a back door")
    assert faults(portal) == [
        "The baseline of Chamilo's own file integrity check was made anew, and not by chamilo-hardening."
    ]
    (portal.directory / "baseline.json").unlink()
    assert "was removed" in faults(portal)[0]
    application_scan.forget("campus")
    assert faults(portal) == [] and follow(portal) == "" and faults(portal) == []


def test_one_of_before_us_is_no_fault(portal):
    portal.directory.mkdir(parents=True)
    (portal.directory / "baseline.json").write_text("of the administrator")
    assert faults(portal) == []
    application_scan.forget("campus")
    assert records.read(application_scan.RECORD) == {}


@pytest.mark.parametrize("until", [NOW + 3600, int(NOW) + 86400, "2026-12-31T10:00:00+00:00", "2099-01-01T00:00:00Z"])
def test_a_pause_is_a_fault(portal, until):
    snooze(portal, until)
    assert "is paused until 20" in faults(portal)[0]


@pytest.mark.parametrize("until", [None, 0, NOW - 1, "2020-01-01T00:00:00+00:00"])
def test_one_that_is_over_is_none(portal, until):
    snooze(portal, until)
    assert faults(portal) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"snoozedUntil": "soon"}', '{"snoozedUntil": [1]}', "x" * 70000])
def test_what_cannot_be_read_may_be_a_pause(portal, text):
    portal.directory.mkdir(parents=True)
    (portal.directory / "state.json").write_text(text)
    assert "may be paused" in faults(portal)[0]


def test_a_link_of_the_web_user_is_not_followed(portal, tmp_path):
    portal.directory.mkdir(parents=True)
    (tmp_path / "secret").write_text("{}")
    (portal.directory / "state.json").symlink_to(tmp_path / "secret")
    if os.geteuid() == 0:
        os.lchown(portal.directory / "state.json", 65534, 65534)
        assert "may be paused" in faults(portal)[0]


def test_in_a_maintenance_window_and_before_3_0_there_is_nothing_to_report(portal, tmp_path):
    snooze(portal, NOW + 3600)
    windows = [{"tree": {"path": os.path.realpath(portal.site.root)}}]
    (tmp_path / "state").mkdir()
    (tmp_path / "state/windows.json").write_text(json.dumps(windows))
    assert faults(portal) == []
    (tmp_path / "state/windows.json").write_text("[]")
    assert faults(portal)
    assert application_scan.faults(replace(portal.site, version="2.0.4"), "campus", NOW) == []


def test_a_command_that_fails_is_reported_once_for_each_list(portal):
    portal.console = [sys.executable, "-c", "import sys; sys.exit('There is no such command.')"]
    assert "ended with 1 (There is no such command." in follow(portal)
    assert follow(portal) == "" and faults(portal) == []
    assert time.time() - records.read(application_scan.RECORD)["campus"]["at"] < 60


def test_a_baseline_that_cannot_be_read_is_a_fault(portal, monkeypatch):
    assert follow(portal) == ""

    def closed(_site):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(application_scan, "_digest", closed)
    assert faults(portal) == [f"{portal.directory}/baseline.json cannot be read: Input/output error."]
