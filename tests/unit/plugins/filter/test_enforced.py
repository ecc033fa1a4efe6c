# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.chamilo.hardening.plugins.filter.enforced import FilterModule

enforced = FilterModule().filters()["enforced"]
WAIVER = {"control": "headers_csp", "reason": "The editor breaks.", "owner": "Anna", "until": "2999-01-01"}


def test_a_control_is_enforced_at_its_level_unless_waived() -> None:
    assert enforced("headers_csp") is True
    assert enforced("headers_csp", "must") is False
    assert enforced("headers_csp", "should", [WAIVER]) is False
    assert enforced("headers_csp", "should", [{**WAIVER, "until": "2020-01-01"}]) is True
    assert enforced("passwords_expiry") is False
    assert enforced("passwords_expiry", "consider") is True


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (("headers_cps",), "Did you mean headers_csp"),
        (("headers_csp", "all"), "chamilo_level is 'all'"),
        (("headers_csp", "should", [{**WAIVER, "owner": ""}]), "owner is missing"),
    ],
)
def test_what_is_not_known_is_refused(arguments: tuple[object, ...], output: str) -> None:
    with pytest.raises(AnsibleFilterError, match=output):
        enforced(*arguments)
