# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleActionFail


def test_an_answer_that_cannot_be_one_is_refused(answered: Any) -> None:
    answer = {"changed": False, "files": {"/var/www/chamilo/.env": "rm"}}
    with pytest.raises(AnsibleActionFail) as refused:
        answered("chamilo_env", answer)
    assert "is missing" in str(refused.value)
