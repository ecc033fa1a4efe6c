# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the host is asked: one that cannot be reached gives it away."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from tests.tools.plans import answered

NAME, CHECK, ROOT = "passwords:campus", "security.check_password", "/var/www/chamilo"
GIVEN = {"chamilo_root": ROOT, "web_user": "www-data", "settings": {CHECK: True}, "section": NAME, "lock": True}
ASKED = {"values": {CHECK: "true"}, "reset": [], "portals": None, "lock": True, "pin": None}


def known(asked: dict[str, Any], root: str = ROOT) -> dict[str, Any]:
    info = answered(Site("campus.test", root), settings_in_force={NAME: asked})
    return {"_chamilo_each_once": True, "__chamilo_common_info": info}


QUESTIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({**known(ASKED), "_chamilo_each_once": False}, {}),
    (known(ASKED, "/srv/other"), {}),
    (known(ASKED), {"section": "passwords:other"}),
    (known(ASKED), {"settings": {CHECK: False}}),
    (known(ASKED), {"settings": {CHECK: True, "security.allow_captcha": True}}),
    (known(ASKED), {"settings": {"security.no_such": True}}),
    (known(ASKED), {"settings": "none"}),
    (known(ASKED), {"lock": False}),
    (known(ASKED), {"pin": True}),
    (known(ASKED), {"access_url": ["1"]}),
    (known(ASKED), {"state": "absent"}),
    (known({**ASKED, "values": {CHECK: "false"}}), {}),
]
ANSWERED: list[tuple[dict[str, Any], dict[str, Any]]] = [(known(ASKED), {})]
# Production mode has no section. The active settings of a section are no answer for it.
TYPE = "platform.server_type"
SECTIONLESS = {"chamilo_root": ROOT, "settings": {TYPE: "prod"}}
PRODUCTION = {"values": {TYPE: "prod"}, "reset": [], "portals": None, "lock": None, "pin": None}


@pytest.mark.slow
def test_only_what_discovery_observed_active_is_not_requested_again(ansible: Any) -> None:
    questions = [
        (variables, {"chamilo.hardening.chamilo_settings": {**GIVEN, **options}})
        for variables, options in [*QUESTIONS, *ANSWERED]
    ]
    assert ansible.ask(questions) == [(0, 0, 1)] * len(QUESTIONS) + [(1, 0, 0)]


def test_production_mode_is_known_without_a_section(ansible: Any) -> None:
    holds = known(ASKED)
    holds["__chamilo_common_info"]["settings_in_force"][""] = PRODUCTION
    questions = [
        (variables, {"chamilo.hardening.chamilo_settings": {**SECTIONLESS, **options}})
        for variables, options in [(known(ASKED), {}), (holds, {"settings": {TYPE: "test"}}), (holds, {})]
    ]
    assert ansible.ask(questions) == [(0, 0, 1), (0, 0, 1), (1, 0, 0)]
