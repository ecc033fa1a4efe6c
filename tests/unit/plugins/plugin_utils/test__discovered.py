# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Only the playbook harden lets action plugins answer from what discovery saw."""

from __future__ import annotations

from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovered import Discovered, Unchanged
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._common.in_force import InForce
from ansible_collections.chamilo.hardening.plugins.plugin_utils._answers import AnswerError
from ansible_collections.chamilo.hardening.plugins.plugin_utils._discovered import request, seen, unchanged

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


ASKED = {"require": ["APP_SECRET"], "values": {"APP_ENV": "prod"}}
FOUND = {
    "changed": False,
    "files": [],
    "changes": {},
    "secrets": [],
    "generated": [],
    "refused": [],
    "consequences": [],
    "cache_cleared": False,
    "sealed": "",
    "notes": [],
}


def observed(options: dict[str, Any], **result: Any) -> Discovered:
    return replace(FOUND_THERE, unchanged={"chamilo_env": Unchanged(request(options), {**FOUND, **result})})


def test_the_host_cannot_answer_what_the_module_cannot() -> None:
    with pytest.raises(AnswerError, match="files"):
        unchanged(observed(ASKED, files="rm"), "chamilo_env", ASKED)
    assert not unchanged(observed(ASKED, changed=True), "chamilo_env", ASKED)["changed"]


@pytest.mark.parametrize("secret", ["secret_values", "sealed", "admin_password"])
def test_a_secret_is_in_no_digest(secret: str) -> None:
    assert request({**ASKED, secret: {"APP_SECRET": "canary"}}) == ""
    assert len(request({**ASKED, secret: ""})) == 64
