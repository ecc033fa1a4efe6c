# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell around the engine: a self-signed certificate is made and renewed, a refusal becomes one failure."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import plan
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.modules import chamilo_certificate
from tests.testbed import authority
from tests.tools.asking import ask


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    machine = Machine(systemd=False)
    monkeypatch.setattr(plan, "_user", lambda name: os.geteuid())
    monkeypatch.setattr(plan, "_group", lambda name: os.getegid())
    monkeypatch.setattr(chamilo_certificate, "Engine", lambda: Engine(str(tmp_path / "state"), machine))

    def call(check=False, **options):
        arguments = {"domain": "campus.test", "site": "campus", "_ansible_check_mode": check, "_ansible_diff": True}
        return ask(chamilo_certificate, capsys, **{**arguments, **options})

    return call


def files(tmp_path: Path) -> dict[str, str]:
    return {"certificate": str(tmp_path / "x.pem"), "certificate_key": str(tmp_path / "x.key")}


def test_a_certificate_of_ones_own_is_made_once_and_again_before_it_runs_out(run, tmp_path):
    where = {"source": "self_signed", **files(tmp_path)}
    assert run(check=True, **where)["changed"] and not (tmp_path / "x.pem").exists()
    made = run(**where)
    assert made["changed"] and made["days_left"] > 800
    assert stat.S_IMODE((tmp_path / "x.key").stat().st_mode) == 0o600
    assert "PRIVATE KEY" not in json.dumps(made)
    assert not run(**where)["changed"]
    (tmp_path / "x.pem").write_text(authority.issue("campus.test", days=29)[0])
    assert run(**where)["days_left"] > 800
    assert run(**where, domain="other.test")["changed"]


def test_what_is_refused_fails_with_the_reason(run):
    assert "webroot" in run()["msg"]


def test_a_name_that_a_wildcard_covers_is_among_the_names(run, tmp_path):
    where = {"source": "self_signed", **files(tmp_path)}
    (tmp_path / "x.pem").write_text(authority.issue("campus.test", "*.campus.test", days=90)[0])
    found = run(**where, names=["www.Campus.test", "*.campus.test"])
    assert (found["changed"], found["names"]) == (False, ["campus.test", "www.campus.test", "*.campus.test"])
    assert set(run(**where, names=["library.test"])["names"]) == {"campus.test", "library.test"}


def test_what_is_no_name_becomes_no_argument(run, tmp_path):
    where = {"source": "self_signed", **files(tmp_path)}
    for name in ("--help.x", "a.test,dns:b.test", "localhost", "*.*.a.test"):
        assert run(**where, names=[name])["msg"].startswith(f"Invalid value for names: {name!r}.")
