# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mistakes that tests/mutation plants, and what is none."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.mutation import texts
from tests.mutation.no_mistake import NoMistake


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


@pytest.mark.parametrize(
    ("code", "at", "operator", "is_none"),
    [
        ("x: int | None = 1 | y", "|", "ReplaceBinaryOperator_BitOr_Add", True),
        ("x: int = 1 | y", "|", "ReplaceBinaryOperator_BitOr_Add", False),
        ("x = os.O_RDONLY | os.O_CLOEXEC", "|", "ReplaceBinaryOperator_BitOr_Add", True),
        ("x = os.O_RDONLY | os.O_CLOEXEC", "|", "ReplaceBinaryOperator_BitOr_BitAnd", False),
        ("x = len(y) == 0", "==", "ReplaceComparisonOperator_Eq_LtE", True),
        ("x = len(y) == 1", "==", "ReplaceComparisonOperator_Eq_LtE", False),
        ("x = y == 0", "==", "ReplaceComparisonOperator_Eq_LtE", False),
        ("x = time.monotonic() >= end", ">=", "ReplaceComparisonOperator_GtE_Gt", True),
        ("x = time.monotonic() >= end", ">=", "ReplaceComparisonOperator_GtE_Lt", False),
        ("x = time.time() - y >= end", ">=", "ReplaceComparisonOperator_GtE_Gt", False),
        ("x = y.st_uid != 0", "!=", "ReplaceComparisonOperator_NotEq_Gt", True),
        ("x = y == 'z'", "==", "ReplaceComparisonOperator_Eq_Is", True),
        ("x = y == z", "==", "ReplaceComparisonOperator_Eq_Is", False),
        ("x = y == 'z'", "==", "ReplaceComparisonOperator_Eq_NotEq", False),
        ("run(timeout=30)", "30", "NumberReplacer", True),
        ("run(most=30)", "30", "NumberReplacer", False),
        ("run(['a', 3], 30)", "30", "NumberReplacer", True),
        ("run(['a', 3], 30)", "3]", "NumberReplacer", False),
        ("_LOCK_SECONDS = 180.0", "180", "NumberReplacer", True),
        ("@lru_cache(maxsize=512)\ndef x(): pass", "512", "NumberReplacer", True),
        ("@functools.cache\ndef x(): pass", "@", "RemoveDecorator", True),
        ("@functools.cached_property\ndef x(self): pass", "@", "RemoveDecorator", False),
        ("_CHUNK = 1 << 20", "20", "NumberReplacer", True),
        ("_CHUNK = 1 << 20", "<<", "ReplaceBinaryOperator_LShift_Sub", False),
        ("_LARGEST = 1 << 20", "20", "NumberReplacer", False),
        ("_PAUSE_SECONDS = 0.1", "0.1", "NumberReplacer", False),
        ("x = secrets.token_hex(8)", "8", "NumberReplacer", True),
        ("x = token(8)", "8", "NumberReplacer", False),
        ("x = stream.read(1 << 20)", "20", "NumberReplacer", True),
        ("x = stream.read(20)", "20", "NumberReplacer", False),
        ("x = head(path, 1 << 20)", "20", "NumberReplacer", False),
        ("time.sleep(0.2)", "0.2", "NumberReplacer", True),
        ("time.sleep(2)", "2", "NumberReplacer", False),
        ("x = json.dumps(y, indent=1)", "1", "NumberReplacer", True),
        ("x = time.time() - float(y.get('at', 0))", "0", "NumberReplacer", True),
        ("x = time.time() - y.get(0, 60)", "60", "NumberReplacer", False),
        ("x = many - y.get('at', 0)", "0", "NumberReplacer", False),
        ("jail.seconds = 30", "30", "NumberReplacer", False),
        ("raise X(y[:30])", "30", "NumberReplacer", True),
        ("x = y[-300:]", "300", "NumberReplacer", True),
        ("x = y[:11]", "11", "NumberReplacer", False),
        ("x = y[300]", "300", "NumberReplacer", False),
        ("@dataclass(frozen=True)\nclass X: pass", "True", "ReplaceTrueWithFalse", True),
        ("x = 'ü' if TYPE_CHECKING else 2", "TYPE", "AddNot", True),
        ("x = 'ü' or len(y) == 0", "==", "ReplaceComparisonOperator_Eq_LtE", True),
    ],
)
def test_what_changes_nothing_is_no_mistake(code: str, at: str, operator: str, is_none: bool) -> None:
    line = next(number for number, line in enumerate(code.splitlines(), 1) if at in line)
    assert NoMistake(code)(operator, line, code.splitlines()[line - 1].index(at)) is is_none
