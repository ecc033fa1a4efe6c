# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import NoClient
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.probe import Probe
from ansible_collections.chamilo.hardening.plugins.modules import chamilo_database_account as module
from tests.tools.asking import ask

GIVEN = {"domain": "campus.test", "site": "campus"}


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs the module with a manager that does what the test gives it to do."""
    done = []

    class Recovery:
        def recover(self):
            done.append("recovered")
            return ["It was put back."]

    monkeypatch.setattr(module, "Recovery", Recovery)
    (tmp_path / ".env").write_text("DATABASE_HOST=db\nDATABASE_PORT=3307\n")

    def call(work, **arguments):
        made = []

        class Manager:
            def __init__(self, context):
                self.context, self.desired = context, context.desired
                done.append("looked")
                made.append((context.desired, context.given_admin))

            def apply(self, result, check):
                work(result, check)

            def restore(self, result, check):
                result.notes.append("restored")

        monkeypatch.setattr(module, "AccountManager", Manager)
        return ask(module, capsys, **GIVEN, installation={"root": str(tmp_path)}, **arguments), made

    call.done = done
    return call


def test_what_an_interrupted_run_left_is_rolled_back_first(run):
    reported, _made = run(lambda result, check: None)
    assert run.done == ["recovered", "looked"] and reported["notes"] == ["It was put back."]
    run.done.clear()
    run(lambda result, check: None, _ansible_check_mode=True)
    assert run.done == ["looked"]


def test_it_reports_what_was_done_without_secrets(run):
    def work(result, check):
        assert not check
        result.record_change("root\n", "chamilo_campus\n")
        result.moved = {"from": "root@localhost", "to": "chamilo_campus@localhost"}

    reported, ((desired, admin),) = run(
        work, admin_user="boss", admin_password="hunter2", clients=[], _ansible_diff=True
    )
    assert reported["changed"] and reported["moved"]["to"] == "chamilo_campus@localhost"
    assert (reported["diff"]["before"], reported["diff"]["after"]) == ("root\n", "chamilo_campus\n")
    assert (admin.user, admin.host, admin.port) == ("boss", "db", 3307)
    assert list(desired.clients) == [] and "hunter2" not in json.dumps(reported)


def test_a_check_without_a_client_reports_what_it_needs(run):
    def work(result, check):
        raise NoClient("nothing here speaks to a database")

    reported, _made = run(work, _ansible_check_mode=True)
    assert reported["changed"] and "needs python3-pymysql" in reported["notes"][-1]
    reported, _made = run(work)
    assert reported["failed"] and reported["msg"] == "nothing here speaks to a database"


def test_the_portal_is_asked_as_it_was_reported(run):
    asked = {
        "url": "http://campus.test/",
        "address": "127.0.0.1",
        "status": [200, 302],
        "send": {"X-Forwarded-Proto": "https"},
    }
    _notify, ((desired, _admin),) = run(lambda result, check: None, probe=[asked])
    claim = {"X-Forwarded-Proto": "https"}
    assert list(desired.probe) == [Probe("http://campus.test/", address="127.0.0.1", status=(200, 302), send=claim)]
