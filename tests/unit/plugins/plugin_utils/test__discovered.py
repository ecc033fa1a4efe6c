# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Only the playbook harden lets action plugins answer from what discovery saw."""

from __future__ import annotations

from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovered import Discovered
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._common.in_force import InForce
from ansible_collections.chamilo.hardening.plugins.plugin_utils._discovered import seen

FOUND_THERE = Discovered(Site("campus.test"), in_force={"headers:campus": InForce("5f")})
INFO = asdict(FOUND_THERE)
HERE = SimpleNamespace(delegate_to=None)


def test_what_discovery_saw_in_this_play() -> None:
    assert seen(HERE, {"_chamilo_each_once": True, "__chamilo_common_info": {**INFO, "changed": False}}) == FOUND_THERE


@pytest.mark.parametrize(
    ("task", "variables"),
    [
        (HERE, {"__chamilo_common_info": INFO}),
        (HERE, {"_chamilo_each_once": "True", "__chamilo_common_info": INFO}),
        (HERE, {"_chamilo_each_once": True}),
        (HERE, {"_chamilo_each_once": True, "__chamilo_common_info": None}),
        (HERE, {"_chamilo_each_once": True, "__chamilo_common_info": {"unreachable": True}}),
        (SimpleNamespace(delegate_to="database"), {"_chamilo_each_once": True, "__chamilo_common_info": INFO}),
    ],
)
def test_otherwise_the_host_is_asked(task: Any, variables: dict[str, Any]) -> None:
    assert seen(task, variables) is None
