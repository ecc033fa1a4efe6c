# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleActionFail


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"domain": "{{ lookup('pipe', 'id') }}"}, "portals[0].domain"),
        ({"names": ["../../etc"]}, "portals[0].names"),
        ({"root": "/var/www\n/etc"}, "portals[0].root"),
        ({"obstacles": "all"}, "portals[0].obstacles"),
    ],
)
def test_an_answer_that_cannot_be_one_is_refused(answered: Any, changed: dict[str, Any], words: str) -> None:
    texts = dict.fromkeys(("web_server", "php", "database", "version"), "")
    portal = {"domain": "a.test", "names": [], "root": "/var/www", "obstacles": [], **texts, **changed}
    with pytest.raises(AnsibleActionFail) as refused:
        answered("chamilo_portals_info", {"changed": False, "portals": [portal]})
    assert words in str(refused.value)
