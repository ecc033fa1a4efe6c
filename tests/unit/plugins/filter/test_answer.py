# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.chamilo.hardening.plugins.filter import answer as filter_answer
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _answers

answer = filter_answer.FilterModule().filters()["answer"]


def test_an_answer_comes_through_and_another_ends_with_a_sentence() -> None:
    assert answer("a\x1bb", "text") == "a\ufffdb"
    assert answer(["a\x1bb"], "text") == ["a\ufffdb"]
    with pytest.raises(AnsibleFilterError, match="Invalid answer of the host to chamilo-hardening daily"):
        answer("x", "daily")


def test_its_kinds_are_the_documented_ones() -> None:
    documented = yaml.safe_load(open(filter_answer.__file__.replace(".py", ".yml")))
    assert documented["DOCUMENTATION"]["options"]["kind"]["choices"] == sorted(_answers.KINDS)
    with pytest.raises(AnsibleFilterError, match="'other' is none of certificate, daily, status, text"):
        answer("x", "other")
