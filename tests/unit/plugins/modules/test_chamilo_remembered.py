# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import sys

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import (
    Account,
    DatabaseError,
    Reader,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Database, Site, SiteError
from ansible_collections.chamilo.hardening.plugins.modules import chamilo_remembered

GIVEN = {"domain": "campus.test", "root": "/srv/campus", "web_server": "nginx"}


@pytest.fixture
def host(monkeypatch):
    """``places``: which portal was to be discovered; ``checks``: in which mode it was asked to forget two people."""

    class Host:
        places = []
        checks = []
        problem = None

        def discover(self, *place, require):
            assert require
            self.places.append(place)
            return Site("campus.test", "/srv/campus", database=Database("db.test"))

        def forget(self, reader, check):
            self.checks.append(check)
            if self.problem:
                raise self.problem
            return 2 if len(self.checks) == 1 else 0

    found = Host()
    monkeypatch.setattr(chamilo_remembered, "discover", found.discover)
    monkeypatch.setattr(chamilo_remembered, "forget", found.forget)
    monkeypatch.setattr(
        Reader, "of_site", classmethod(lambda cls, site: cls(Account("campus", host=site.database.host)))
    )
    return found


def run(capsys, **arguments):
    with patch_module_args({**GIVEN, **arguments}), pytest.raises(SystemExit):
        chamilo_remembered.main()
    return json.loads(capsys.readouterr().out)


def test_it_reports_how_many_and_a_second_run_changes_nothing(capsys, host):
    first = run(capsys)
    assert (first["changed"], first["forgotten"]) == (True, 2)
    second = run(capsys)
    assert (second["changed"], second["forgotten"]) == (False, 0)
    assert host.places == [("campus.test", "/srv/campus", "nginx")] * 2
    assert host.checks == [False, False]


def test_a_check_is_handed_on(capsys, host):
    assert run(capsys, _ansible_check_mode=True)["changed"]
    assert host.checks == [True]


@pytest.mark.parametrize("problem", [DatabaseError("db.test is away."), SiteError("No Chamilo was found.")])
def test_nothing_is_passed_over_in_silence(capsys, host, problem):
    host.problem = problem
    result = run(capsys)
    assert result["failed"] and result["msg"] == f"Who is remembered was not forgotten. {problem}"


def test_a_check_without_a_client_reports_what_is_needed(capsys, host, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pymysql", None)
    monkeypatch.setattr(chamilo_remembered, "forget", lambda reader, check: reader.query("SELECT 1"))
    result = run(capsys, _ansible_check_mode=True)
    assert result["changed"] and result["msg"].startswith("needs python3-pymysql")
    assert run(capsys)["failed"]
