# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell around the engine: options in, one result or one clear failure out."""

from __future__ import annotations

import json

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from ansible_collections.chamilo.hardening.plugins.doc_fragments.portal import ModuleDocFragment
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._settings import env_file
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.modules import chamilo_env


@pytest.fixture
def root(tmp_path, monkeypatch):
    engine = Engine(str(tmp_path / "state"), Machine(lambda _argv, _seconds: (0, ""), systemd=False))
    monkeypatch.setattr(
        chamilo_env,
        "EnvFile",
        lambda *found: env_file.EnvFile(
            *found, engine, lambda _portal: "one uses it", end_logins=lambda *_place: (["All are logged out."], [])
        ),
    )
    (tmp_path / "campus").mkdir()
    (tmp_path / "campus/.env").write_text("APP_ENV=dev\nAPP_SECRET=\n")
    return tmp_path / "campus"


def run(capsys, root, **arguments):
    told = {"root": str(root), "web_user": "www-data"}
    with patch_module_args({"domain": "campus.test", "installation": told, **arguments}), pytest.raises(SystemExit):
        chamilo_env.main()
    output = capsys.readouterr()
    return json.loads(output.out), output.out + output.err


def test_values_are_set_once(root, capsys):
    desired = {"values": {"APP_ENV": "prod", "APP_DEBUG": False}, "_ansible_diff": True}
    predicted, _ = run(capsys, root, **desired, _ansible_check_mode=True)
    assert predicted["changed"] and (root / ".env").read_text().startswith("APP_ENV=dev")
    done, _ = run(capsys, root, **desired)
    assert done["changes"] == predicted["changes"] and done["diff"] == predicted["diff"]
    assert (root / ".env").read_text() == "APP_ENV=prod\nAPP_SECRET=\nAPP_DEBUG=0\n"
    again, _ = run(capsys, root, **desired)
    assert not again["changed"] and again["files"] == []


def test_what_is_kept_under_a_name_comes_back(root, capsys):
    before = (root / ".env").read_text()
    desired = {"name": "https:campus", "values": {"TRUSTED_PROXIES": "10.0.0.5"}}
    run(capsys, root, **desired, _ansible_check_mode=True)
    assert not (root.parent / "state").exists(), "check mode keeps nothing"
    run(capsys, root, **desired)
    assert "10.0.0.5" in (root / ".env").read_text()
    away = {"name": "https:campus", "state": "absent"}
    assert run(capsys, root, **away, _ansible_check_mode=True)[0]["changed"]
    done, _ = run(capsys, root, **away)
    assert done["changes"] == {"TRUSTED_PROXIES": {"before": "10.0.0.5", "after": ""}}
    assert (root / ".env").read_text() == before
    assert not run(capsys, root, **away)[0]["changed"]
    assert "name" in run(capsys, root, state="absent")[0]["msg"]


def test_a_secret_among_the_values_is_kept_nowhere(root, capsys):
    failed, _ = run(capsys, root, name="https:campus", values={"APP_SECRET": "canary"})
    assert failed["msg"].startswith("APP_SECRET may be a secret")
    assert not [path for path in root.parent.rglob("*") if path.is_file() and "canary" in path.read_text()]
    assert not run(capsys, root, name="https:campus", state="absent")[0].get("failed")


def test_a_host_without_chamilo_is_a_failure(root, capsys):
    (root / ".env").unlink()
    assert "cannot be read" in run(capsys, root)[0]["msg"]


def test_what_was_refused_is_a_warning_with_the_switch(root, capsys):
    done, output = run(capsys, root, require=["APP_SECRET"], generate=True)
    assert done["refused"] == [{"name": "APP_SECRET", "why": "one uses it"}] and not done["changed"]
    assert "Set rotate_secret" in output


def test_a_secret_is_in_no_output(root, capsys):
    done, output = run(
        capsys, root, secret_values={"DATABASE_PASSWORD": "canary-7"}, _ansible_diff=True, _ansible_verbosity=4
    )
    assert done["secrets"] == ["DATABASE_PASSWORD"]
    assert "canary-7" not in output
    assert "DATABASE_PASSWORD=canary-7\n" in (root / ".env").read_text()


def test_each_example_can_be_meant():
    for task in yaml.safe_load(chamilo_env.EXAMPLES):
        options = task.get("chamilo.hardening.chamilo_env", {})
        fragments = (chamilo_env.DOCUMENTATION, ModuleDocFragment.DOCUMENTATION, ModuleDocFragment.PROBE)
        assert set(options) <= {name for text in fragments for name in yaml.safe_load(text)["options"]}
