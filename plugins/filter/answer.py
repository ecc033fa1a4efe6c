# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter answer; its documentation is in answer.yml beside this file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _answers


def answer(value: Any, kind: str) -> Any:
    if kind not in _answers.KINDS:
        raise AnsibleFilterError(f"answer: {kind!r} is none of {', '.join(sorted(_answers.KINDS))}.")
    try:
        return _answers.KINDS[kind](value)
    except _answers.AnswerError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"answer": answer}
