# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How plugins read the variables of a host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.chamilo.hardening.plugins.plugin_utils._variables import ROLES, Variables

PLANS = sorted((ROLES.parent / "plugins/plugin_utils/_plans").glob("*.py"))


def test_a_variable_is_worked_out_once_and_an_answer_never() -> None:
    raw = {"a": trust_as_template("{{ b }}"), "b": "x", "__c": trust_as_template("{{ b }}")}
    known = Variables(Templar(DataLoader(), variables=raw), raw)
    assert [known["a"], known["__c"], len(known), list(known)] == ["x", "{{ b }}", 3, ["a", "b", "__c"]]


def test_what_ansible_made_is_taken_as_it_is() -> None:
    raw = {"hostvars": object(), "groups": {"all": [trust_as_template("{{ x }}")]}}
    known = Variables(Templar(DataLoader(), variables=raw), raw)
    assert known["hostvars"] is raw["hostvars"] and known["groups"] is raw["groups"]


def test_a_variable_of_a_role_that_is_not_in_the_play_has_the_default_that_the_role_declares() -> None:
    known = Variables(Templar(DataLoader(), variables={}), {"chamilo_level": "must"})
    assert known["chamilo_level"] == "must" and known["chamilo_friends"] == []
    assert known["chamilo_brute_force_attempts"] == 8 and known["chamilo_sessions_handler"] == "files"
    for name in ("chamilo_domain", "chamilo_backups_repository", "chamilo_of_no_role", "_chamilo_ahead", "level"):
        assert known.get(name) is None, "made of others, or no variable of a role"


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_no_default_of_a_variable_is_typed_where_a_plan_reads_it(path: Path) -> None:
    found = re.findall(r"""\.get\(f?["']chamilo_[^)]*?["'],[^)]*\)""", path.read_text(encoding="utf-8"))
    assert found == [], "read it with [...]: Variables has the default that the role declares"
