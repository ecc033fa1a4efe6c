# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the server is this host's own."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Account
from ansible_collections.chamilo.hardening.plugins.module_utils._application.installation import Installation
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._database import context
from ansible_collections.chamilo.hardening.plugins.module_utils._database.context import Context, Desired
from ansible_collections.chamilo.hardening.plugins.module_utils._database.grants import Who
from ansible_collections.chamilo.hardening.plugins.module_utils._database.server import AccountError
from tests.unit.plugins.module_utils._database.conftest import PROBE


def test_a_name_that_leads_elsewhere_or_nowhere_is_another_host(sloppy, monkeypatch):
    for answer in ([(0, 0, 0, "", ("127.0.0.1", 0)), (0, 0, 0, "", ("192.0.2.9", 0))], OSError("no such name")):

        def ask(host, port, answer=answer):
            if isinstance(answer, OSError):
                raise answer
            return answer

        monkeypatch.setattr(socket, "getaddrinfo", ask)
        with pytest.raises(AccountError, match="The database is on db.test"):
            sloppy.apply(there="db.test", listen=["127.0.0.1"])


@pytest.fixture
def make(tmp_path):
    """``make(host, answers, **more)``: what is known of a portal whose database is there."""

    def made(host="db.test", answers=(), site="campus", **more):
        left = list(answers)
        engine = SimpleNamespace(fetch=lambda probe: Answer(probe.url, left.pop(0) if len(left) > 1 else left[0]))
        (tmp_path / ".env").write_text(f"DATABASE_HOST={host}\nDATABASE_NAME=chamilo\nDATABASE_USER=chamilo\n")
        return Context(
            Installation(str(tmp_path)), Desired(site, probe=(PROBE,)), root=str(tmp_path), engine=engine, **more
        )

    return made


@pytest.mark.parametrize(("length", "fits"), [(context._LONGEST, True), (context._LONGEST + 1, False)])
def test_a_name_too_long_for_an_account_is_refused(make, length, fits):
    site = "c" * (length - len("chamilo__x"))
    if fits:
        assert make(site=site).account_name("_x") == f"chamilo_{site}_x"
    else:
        with pytest.raises(AccountError, match=f"^chamilo_{site}_x is too long for an account. No account was changed"):
            make(site=site).account_name("_x")


def test_the_server_takes_the_application_for_the_account_that_is_meant(make, monkeypatch):
    account = Account("chamilo", "p")
    monkeypatch.setattr(context, "see", lambda _account: SimpleNamespace(who=Who("chamilo", "%")))
    make().prove(account, Who("chamilo", "%"))
    with pytest.raises(AccountError, match="^The server takes chamilo for chamilo@% instead of chamilo@localhost.$"):
        make().prove(account, Who("chamilo", "localhost"))


def test_a_portal_that_answers_otherwise_in_the_end_is_a_fault(make, monkeypatch):
    monkeypatch.setattr(context, "_ANSWER_SECONDS", 0.0)
    with pytest.raises(AccountError, match=r"^The portal does not go on with it: .*500.*\.$"):
        make(answers=[500]).probe({PROBE: Answer(PROBE.url, 200)})
