# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change that needs a restart is put off, until a run that may restart the service."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.job import TransactionError
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.store import put_off
from tests.unit.plugins.module_utils._transaction.conftest import World, nothing_to_do, one

NOW: dict[str, Any] = {"load": {"service": "mariadb", "action": "restart"}}
LATER: dict[str, Any] = {"load": {**NOW["load"], "deferred": True}}


def test_what_is_put_off_changes_nothing_and_is_carried_out_by_a_run_that_may(world: World) -> None:
    before = world.tree()
    predicted = world.apply(check=True, **LATER)
    assert (predicted.changed, predicted.deferred) == (False, "mariadb") and not world.state.exists()
    for _number in range(2):
        done = world.apply(**LATER)
        assert (done.changed, done.loaded, done.deferred) == (False, False, "mariadb")
        assert world.loads() == 0 and world.tree() == before
        assert done.notes == [], "it was asked for: no warning"
        assert not nothing_to_do(world, **LATER), "it is asked for in each run"
    (sentence,) = put_off(world.journal())
    assert sentence.startswith("The restart of mariadb is put off since 2") and f"{world.etc}/main.conf" in sentence
    assert [each for each in world.apply(check=True, **NOW).diff if "prepared" in each]
    done = world.apply(**NOW)
    assert done.changed and done.loaded and not done.deferred and world.loads() == 1
    assert put_off(world.journal()) == []
    assert nothing_to_do(world, **LATER) and not world.apply(**LATER).deferred


def test_a_service_that_does_not_run_needs_no_restart(world: World) -> None:
    world.service = "inactive"
    done = world.apply(**LATER)
    assert done.changed and not done.deferred and world.journal()["deferred"] == {}


def test_what_is_not_asked_for_any_more_is_not_put_off_any_more(world: World) -> None:
    world.apply(**NOW, files=one("first"))
    world.apply(**LATER, files=one("second"))
    assert world.journal()["deferred"]
    assert not world.apply(**LATER, files=one("first")).deferred
    assert world.journal()["deferred"] == {}
    world.apply(**LATER, files=one("second"))
    world.undo()
    assert world.journal()["deferred"] == {}


def test_what_fails_is_not_put_off_any_more(world: World) -> None:
    world.apply(**LATER, files=one("syntax error"))
    with pytest.raises(TransactionError, match="syntax error"):
        world.apply(**NOW, files=one("syntax error"))
    assert world.journal()["deferred"] == {}
