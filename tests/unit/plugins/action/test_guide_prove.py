# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.chamilo.hardening.plugins.action import guide_prove
from ansible_collections.chamilo.hardening.plugins.action.guide_prove import ActionModule
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._attacker import Target
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import FAIL, NOT_ASSESSED, PASS, Finding
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls


def prove(ansible, *arguments, **options):
    task = {"chamilo.hardening.guide_prove": {"request": {"domain": "campus.test", **options}}}
    return ansible.play([{"hosts": "all", "gather_facts": False, "tasks": [task]}], {"campus.test": {}}, *arguments)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["token", "state", "attacks"])
def test_what_the_collection_makes_cannot_be_given(ansible, name):
    done = prove(ansible, **{name: "present"})
    assert done.code != 0
    assert f"request.{name}. Supported parameters include: address" in " ".join(done.output.split())


@pytest.mark.slow
def test_a_host_without_chamilo_is_not_attacked(ansible, tmp_path):
    done = prove(ansible, root=str(tmp_path))
    assert done.code != 0
    assert str(tmp_path) in done.output
    assert "attacks" not in done.output


@pytest.mark.slow
def test_an_unknown_waiver_is_refused_before_anything(ansible):
    waiver = {"control": "headers_onze", "reason": "r", "owner": "o", "until": "2099-01-01"}
    done = prove(ansible, waivers=[waiver])
    assert done.code != 0
    assert "headers_once" in done.output


@pytest.mark.slow
def test_check_mode_skips_it(ansible):
    done = prove(ansible, "--check")
    assert done.code == 0
    assert done.recap("campus.test")["skipped"] == 1


@pytest.mark.slow
def test_the_playbook_is_silent_in_check_mode(ansible):
    done = ansible.play("chamilo.hardening.prove", {"campus.test": {}}, "--check")
    assert done.code == 0
    assert done.recap("campus.test")["skipped"] == 1
    assert not (ansible.directory / "chamilo-report").exists()


@pytest.mark.parametrize(
    ("variables", "proxied"),
    [
        ({}, False),
        ({"chamilo_trusted_proxies": [], "chamilo_https_terminated_elsewhere": False}, False),
        ({"chamilo_trusted_proxies": ["192.0.2.1"]}, True),
        ({"chamilo_https_terminated_elsewhere": True}, True),
    ],
)
def test_the_playbook_reports_whether_there_is_a_proxy(variables, proxied):
    playbook = yaml.safe_load(Path(__file__).parents[4].joinpath("playbooks/prove.yml").read_text())
    task = next(task for task in playbook[0]["tasks"][0]["block"] if "chamilo.hardening.guide_prove" in task)
    reported = trust_as_template(task["chamilo.hardening.guide_prove"]["request"]["proxied"])
    assert Templar(DataLoader(), variables=variables).template(reported) is proxied


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (OSError("this is the host itself"), "this is the host itself"),
        (ValueError("Unsupported protocol version 0x301"), "ValueError: Unsupported protocol version 0x301"),
    ],
)
def test_an_attack_that_breaks_off_ends_no_other(monkeypatch, problem, words):
    def broken(target):
        raise problem

    control = _controls.load().controls[0]
    monkeypatch.setitem(guide_prove.attacks, control.id, broken)
    found = ActionModule._try(Target("campus.test"), control)
    assert (found.status, found.evidence) == (NOT_ASSESSED, words)


@pytest.mark.parametrize(
    ("seen", "enforced", "status"),
    [
        (PASS, True, "held"),
        (PASS, False, "held"),
        (FAIL, True, "through"),
        (FAIL, False, "waived"),
        (NOT_ASSESSED, True, "not_tried"),
        (NOT_ASSESSED, False, "waived"),
    ],
)
def test_what_is_not_enforced_fails_nothing(seen, enforced, status):
    control = _controls.load().controls[0]
    assert ActionModule._row(control, Finding(seen, "as it was seen"), enforced)["status"] == status


@pytest.mark.parametrize(("status", "enforced"), [(PASS, True), (PASS, False), (FAIL, True)])
def test_an_attack_that_is_blocked_while_its_control_is_open_is_explained(status, enforced):
    control = _controls.load().controls[0]
    row = ActionModule._row(control, Finding(status, "403."), enforced, "It is too old.")
    explained = row["evidence"] == f"Blocked, but {control.id} is not met: It is too old. The attack: 403."
    assert row["open"] is explained is (status == PASS and enforced)


def test_a_name_is_attacked_only_where_the_word_comes_back(monkeypatch):
    """A host may claim the name of another one."""

    class Portal(Target):
        def ask(self, scheme, path, **request):
            return Answer("", 200, (), b"the word" if self.domain != "victim.test" else b"welcome")

    placed = {"path": "/chamilo-hardening-x.txt", "names": ["www.campus.test", "victim.test"]}
    monkeypatch.setattr(
        ActionModule, "_module", lambda _self, reported, _vars: placed if reported["state"] == "present" else {}
    )
    target = Portal("campus.test")
    assert ActionModule.__new__(ActionModule)._prove_ownership(target, {"token": "the word"}, {}) == ""
    assert target.names == ("www.campus.test",)
