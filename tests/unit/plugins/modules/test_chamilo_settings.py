# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import json
import sys

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Account, DatabaseError
from ansible_collections.chamilo.hardening.plugins.module_utils._settings import apply
from ansible_collections.chamilo.hardening.plugins.modules import chamilo_settings

CHECK = "security.check_password"
ACCOUNT = Account("maintenance", "hunter2", "localhost", 3306, "/run/mysqld/mysqld.sock", "chamilo")


class Database:
    """One portal with one row."""

    def __init__(self):
        self.account = None
        self.written = []

    def ask(self, sql, params=()):
        if "FROM access_url" in sql:
            return [{"id": "1", "url": "https://campus.test/"}]
        if "FROM settings" in sql and sql.startswith("SELECT"):
            names = ("id", "access_url", "category", "variable", "selected_value", "access_url_changeable")
            return [dict(zip(names, ("7", "1", "security", "check_password", "false", "1"), strict=True))]
        self.written.append((sql, list(params)))
        return []

    @contextlib.contextmanager
    def transaction(self, account):
        self.account = account
        yield self.ask


@pytest.fixture
def root(tmp_path):
    """A portal whose database account is known."""
    text = "DATABASE_HOST=localhost\nDATABASE_NAME=chamilo\nDATABASE_USER=maintenance\nDATABASE_PASSWORD=hunter2\n"
    (tmp_path / ".env").write_text(text)
    return str(tmp_path)


@pytest.fixture
def database(monkeypatch):
    found = Database()
    monkeypatch.setattr(apply.Reader, "query", lambda self, sql, params=(): found.ask(sql, params))
    monkeypatch.setattr(chamilo_settings, "Host", lambda *given: apply.Host(*given, transaction=found.transaction))
    return found


def run(capsys, **arguments):
    told = {"root": arguments["root"], "web_user": "www-data"}
    with patch_module_args({"installation": told, **arguments}), pytest.raises(SystemExit):
        chamilo_settings.main()
    return json.loads(capsys.readouterr().out)


def test_it_writes_and_reports_what_it_was(capsys, database, root):
    result = run(capsys, root=root, settings={CHECK: True}, _ansible_diff=True)
    assert result["changed"] is True
    assert result["settings"][CHECK]["before"]["effective"] == {"1": "false"}
    assert result["settings"][CHECK]["after"]["effective"] == {"1": "true"}
    assert (result["repaired"], result["sessions_hold_old_values"], result["cache_cleared"]) == ([], False, False)
    assert result["diff"][0]["after"] == f"{CHECK} of portal 1: 'true'\n"
    ((sql, params),) = database.written
    assert sql.startswith("UPDATE settings SET ") and "true" in params
    assert database.account == ACCOUNT


def test_a_check_writes_nothing(capsys, database, root):
    result = run(capsys, root=root, settings={CHECK: True}, _ansible_check_mode=True)
    assert result["changed"] is True
    assert result["settings"][CHECK]["after"]["stored"] == {"1": "true"}
    assert database.written == [] and database.account is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"settings": {"security.chek": True}}, "There is no setting 'security.chek'. Did you mean "),
        ({"settings": {CHECK: True}, "access_url": [9]}, "There is no portal 9. There are: 1 (https://campus.test/)."),
        ({"settings": {CHECK: True}, "installation": {}}, "No Chamilo was found"),
        ({}, "Nothing is asked for"),
    ],
)
def test_what_cannot_be_fails_with_words_and_writes_nothing(capsys, database, root, options, words):
    result = run(capsys, **{"root": root, **options})
    assert result["failed"] is True
    assert words in result["msg"]
    assert database.written == []


def test_what_the_database_reports_is_passed_on(capsys, database, root, monkeypatch):
    def refuse(sql, params=()):
        raise DatabaseError("The database on x could not be read as 'maintenance': gone away")

    monkeypatch.setattr(database, "ask", refuse)
    assert "gone away" in run(capsys, root=root, settings={CHECK: True})["msg"]


def test_a_check_without_a_client_reports_what_is_needed(capsys, root, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pymysql", None)
    result = run(capsys, root=root, settings={CHECK: True}, _ansible_check_mode=True)
    assert result["changed"] is True
    assert result["msg"].startswith("needs python3-pymysql")
    assert run(capsys, root=root, settings={CHECK: True})["failed"] is True


def test_a_secret_is_in_no_output(capsys, database, root):
    with patch_module_args(
        {
            "chamilo_root": root,
            "installation": {"root": root},
            "secret_settings": {"mail.mailer_dsn": "smtp://a:hunter3@b"},
            "_ansible_diff": True,
        }
    ):
        with pytest.raises(SystemExit):
            chamilo_settings.main()
    reported = capsys.readouterr()
    assert "hunter" not in reported.out + reported.err
    assert any("smtp://a:hunter3@b" in params for _sql, params in database.written)
