# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How plugins read the variables of a host."""

from __future__ import annotations

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.chamilo.hardening.plugins.plugin_utils._variables import Variables


def test_a_variable_is_worked_out_once_and_an_answer_never() -> None:
    raw = {"a": trust_as_template("{{ b }}"), "b": "x", "__c": trust_as_template("{{ b }}")}
    known = Variables(Templar(DataLoader(), variables=raw), raw)
    assert [known["a"], known["__c"], len(known), list(known)] == ["x", "{{ b }}", 3, ["a", "b", "__c"]]


def test_what_ansible_made_is_taken_as_it_is() -> None:
    raw = {"hostvars": object(), "groups": {"all": [trust_as_template("{{ x }}")]}}
    known = Variables(Templar(DataLoader(), variables=raw), raw)
    assert known["hostvars"] is raw["hostvars"] and known["groups"] is raw["groups"]
