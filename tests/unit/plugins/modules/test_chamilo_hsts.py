# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell around the engine: what a step returns, and what is missing from a configuration."""

from __future__ import annotations

import os

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._https import hsts as https_hsts
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import plan
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.modules import chamilo_hsts
from tests.tools.asking import ask


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    machine = Machine(lambda argv, seconds: (0, "inactive"), systemd=False)
    monkeypatch.setattr(chamilo_hsts, "Engine", lambda: Engine(str(tmp_path / "state"), machine))
    monkeypatch.setattr(https_hsts, "STATE", str(tmp_path))
    monkeypatch.setattr(plan, "_user", lambda name: os.geteuid())
    monkeypatch.setattr(plan, "_group", lambda name: os.getegid())

    def call(configuration, check=False):
        modes = {"_ansible_check_mode": check, "_ansible_diff": True}
        return ask(chamilo_hsts, capsys, configuration=configuration, **modes)

    return call


def test_a_step_is_predicted_and_taken_once(run, tmp_path):
    files = [{"path": str(tmp_path / "hsts.conf"), "content": "@hsts@ @mark@"}]
    hsts = {"mode": "full", "subdomains": [], "files": files, "probe": []}
    configuration = {"domain": "campus.test", "site": "campus", "service": "nginx", "test": [], "hsts": hsts}
    predicted = run(configuration, check=True)
    assert predicted["changed"] and not (tmp_path / "hsts.conf").exists()
    done = run(configuration)
    assert (done["changed"], done["value"], done["waits"]) == (True, https_hsts.GUIDE, [])
    assert (tmp_path / "hsts.conf").read_text().startswith(f"{https_hsts.GUIDE} ")
    assert "@" not in (tmp_path / "hsts.conf").read_text()
    assert not run(configuration)["changed"]


def test_what_is_missing_is_named(run):
    assert "'site' is missing" in run({})["msg"]
