# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mistakes that tests/mutation/texts.py plants."""

from __future__ import annotations

from collections import Counter

from tests.mutation import texts


def test_a_seed_takes_the_same_sample_of_each_kind() -> None:
    chosen = texts.sample(14, 4)
    assert list(map(str, chosen)) == list(map(str, texts.sample(14, 4)))
    assert Counter(mistake.kind for mistake in chosen) == dict.fromkeys(texts.KINDS, 2)
    assert all(mistake.text() != (texts.ROOT / mistake.file).read_text(encoding="utf-8") for mistake in chosen)


def test_the_tests_that_are_to_notice_them_exist() -> None:
    named = {test for _files, tests in texts.KINDS.values() for test in tests}
    assert [test for test in sorted(named) if not (texts.ROOT / test).exists()] == []


def test_a_task_a_condition_and_a_value_are_changed() -> None:
    lines = "- name: One\n  apt: {}\n  when: one or two # why\n  become: true".split("\n")
    found = list(texts.in_tasks(lines))
    assert ("task", 0, 4, []) in found
    assert ("when", 2, 1, ["  when: not (one or two)"]) in found
    assert ("task", 3, 1, ["  become: false"]) in found
