# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks an internal module in this process, as its action plugin does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.chamilo.hardening.plugins.module_utils._common.request import apart


def ask(module: Any, capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    """What it answers. Arguments that ansible-core gives begin with ``_ansible_``."""
    given = {name: value for name, value in arguments.items() if name.startswith("_ansible_")}
    request = apart(module.Request, {name: value for name, value in arguments.items() if name not in given})
    with patch_module_args({**given, **request}), pytest.raises(SystemExit):
        module.main()
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer
