# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the host is asked: one that cannot be reached gives it away."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._https import hsts
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import plan
from tests.tools.plans import answered

SINCE = "2026-01-01"
CONFIGURATION = {
    "domain": "campus.test",
    "site": "campus",
    "service": "nginx",
    "test": [],
    "hsts": {"mode": "full", "subdomains": [], "files": [{"path": "/etc/hsts.conf", "content": "@hsts@"}], "probe": []},
}
STEP = hsts.Step(hsts.GUIDE, hsts.Ramp("full", SINCE, True))
with pytest.MonkeyPatch.context() as on_a_host:
    on_a_host.setattr(hsts, "STATE", "/var/lib/chamilo-hardening")
    IN_FORCE = {
        "https:campus.hsts": {
            "generation": plan(hsts._transaction(CONFIGURATION, STEP)).generation,
            "files": {"/etc/hsts.conf": "file", hsts.record_of("campus"): "file"},
        }
    }

KNOWN = {
    "_chamilo_each_once": True,
    "__chamilo_common_info": answered(Site("campus.test", hsts_since=SINCE), in_force=IN_FORCE),
}
QUESTIONS: list[tuple[dict[str, Any], Any]] = [
    ({**KNOWN, "_chamilo_each_once": False}, CONFIGURATION),
    (KNOWN, {**CONFIGURATION, "site": "other"}),
    (KNOWN, {**CONFIGURATION, "hsts": {**CONFIGURATION["hsts"], "mode": "off"}}),
    (KNOWN, {**CONFIGURATION, "hsts": {}}),
    (KNOWN, "none"),
]
ANSWERED = [(KNOWN, CONFIGURATION)]


def test_only_a_step_that_discovery_observed_active_is_not_taken_again(ansible: Any) -> None:
    questions = [
        (variables, {"chamilo.hardening.chamilo_hsts": {"request": {"configuration": configuration}}})
        for variables, configuration in [*QUESTIONS, *ANSWERED]
    ]
    assert ansible.ask(questions) == [(0, 0, 1)] * len(QUESTIONS) + [(1, 0, 0)]
