# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import sys

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import DatabaseError
from ansible_collections.chamilo.hardening.plugins.modules import chamilo_remembered

GIVEN = {"domain": "campus.test", "root": "/srv/campus", "web_server": "nginx"}


@pytest.fixture
def host(monkeypatch, tmp_path):
    """``accounts``: with which one it was to be done; ``checks``: in which mode it was asked to forget two people."""
    (tmp_path / ".env").write_text("DATABASE_HOST=db.test\nDATABASE_NAME=chamilo\nDATABASE_USER=app\n")

    class Host:
        root = str(tmp_path)
        accounts = []
        checks = []
        problem = None

        def forget(self, reader, check):
            self.accounts.append((reader.account.user, reader.account.host))
            self.checks.append(check)
            if self.problem:
                raise self.problem
            return 2 if len(self.checks) == 1 else 0

    found = Host()
    monkeypatch.setattr(chamilo_remembered, "forget", found.forget)
    return found


def run(capsys, host, **arguments):
    with patch_module_args({**GIVEN, "installation": {"root": host.root}, **arguments}), pytest.raises(SystemExit):
        chamilo_remembered.main()
    return json.loads(capsys.readouterr().out)


def test_it_reports_how_many_and_a_second_run_changes_nothing(capsys, host):
    first = run(capsys, host)
    assert (first["changed"], first["forgotten"]) == (True, 2)
    second = run(capsys, host)
    assert (second["changed"], second["forgotten"]) == (False, 0)
    assert host.accounts == [("app", "db.test")] * 2
    assert host.checks == [False, False]


def test_a_check_is_handed_on(capsys, host):
    assert run(capsys, host, _ansible_check_mode=True)["changed"]
    assert host.checks == [True]


@pytest.mark.parametrize("problem", [DatabaseError("db.test is away."), OSError("A file cannot be read.")])
def test_nothing_is_passed_over_in_silence(capsys, host, problem):
    host.problem = problem
    result = run(capsys, host)
    assert result["failed"] and result["msg"] == f"Who is remembered was not forgotten. {problem}"


def test_a_check_without_a_client_reports_what_is_needed(capsys, host, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pymysql", None)
    monkeypatch.setattr(chamilo_remembered, "forget", lambda reader, check: reader.query("SELECT 1"))
    result = run(capsys, host, _ansible_check_mode=True)
    assert result["changed"] and result["msg"].startswith("needs python3-pymysql")
    assert run(capsys, host)["failed"]
