# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be asked for, and what need not be asked for again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.job import TransactionError
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import plan
from tests.unit.plugins.module_utils._transaction.conftest import World, nothing_to_do, one


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"name": "Headers"}, "no section with an optional site"),
        ({"files": [{"path": "../x", "content": ""}]}, "is no plain absolute path"),
        ({"files": one("x") + one("y")}, "is there twice"),
        ({"files": [{"path": "x"}]}, "needs content or secret_content"),
        ({"files": [{"path": "x", "state": "absent", "content": ""}]}, "takes no content when state is absent"),
        ({"files": [{"path": "x", "state": "link"}]}, "target goes with state link"),
        ({"files": one("x", mode="u+x")}, r"mode 'u\+x' is no octal number"),
        ({"files": one("x", owner="nobody-here")}, "there is no user 'nobody-here'"),
        ({"listen": ["0.0.0.0:99999"]}, "'0.0.0.0:99999' is no address with a port"),
        ({"test": [[]]}, "an empty command"),
        ({"probe": [{"url": "ftp://x/"}]}, "is no http or https URL"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(world: World, params: dict[str, Any], words: str) -> None:
    before = world.tree()
    with pytest.raises(TransactionError, match=words):
        world.apply(**params)
    assert world.tree() == before and world.commands == []


DIGEST = "5f" * 32


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"path": "etc/x"}, "is no plain absolute path"),
        ({"path": "/etc/../x"}, "is no plain absolute path"),
        ({"content": ""}, "has marks, and so no content or target"),
        ({"state": "absent"}, "needs its digest, and no other state"),
        ({"digest": None}, "needs its digest, and no other state"),
        ({"marks": [{"at": "x"}]}, "marks are not in their form"),
        ({"marks": [{"at": 0, "lines": ["x\ny"]}]}, "end of a line in it"),
        ({"marks": [{"at": 0, "lines": [[1, 2, 3]]}]}, "marks are not in their form"),
    ],
)
def test_marks_that_cannot_be_meant_are_refused_in_words(given: dict[str, Any], words: str) -> None:
    known = {"path": "/etc/x", "marks": [], "digest": DIGEST}
    with pytest.raises(TransactionError, match=words):
        plan({"name": "https:campus", "files": [{**known, **given}]})


@pytest.mark.parametrize(
    "drift",
    [
        lambda etc: (etc / "main.conf").write_text("edited"),
        lambda etc: (etc / "main.conf").chmod(0o600),
        lambda etc: (etc / "main.conf").unlink(),
        lambda etc: (etc / "enabled/default").write_text("back again"),
        lambda etc: ((etc / "enabled/site").unlink(), (etc / "enabled/site").symlink_to("../main.conf")),
    ],
)
def test_what_was_changed_since_is_applied_again(world: World, drift: Callable[[Path], Any]) -> None:
    world.apply()
    drift(world.etc)
    assert not nothing_to_do(world)
    assert world.apply().changed, "which is what the transaction says itself"


@pytest.mark.parametrize(
    "more",
    [
        {"path": "main.conf.bak", "state": "absent"},
        {"path": "enabled/other", "state": "link", "target": "../main.conf"},
        {"path": "more.conf", "content": "more"},
    ],
)
def test_a_plan_that_asks_for_more_has_to_be_asked_for(world: World, more: dict[str, Any]) -> None:
    world.apply()
    (world.etc / "main.conf.bak").write_text("")
    files = [
        {**each, "path": os.path.relpath(each["path"], world.etc)}  # as params takes them
        for each in world.params()["files"]
    ]
    assert nothing_to_do(world, files=files)
    assert not nothing_to_do(world, files=[*files, more])


@pytest.mark.parametrize("owed", [{"pending": {"web": {}}}, {"open": {"name": "https", "entries": []}}])
def test_nothing_is_active_while_something_is_pending(world: World, owed: dict[str, Any]) -> None:
    world.apply()
    path = world.state / "state.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **owed}))
    assert not nothing_to_do(world)
    assert list(world.engine().in_force()) == ["headers"], "that it holds files is told all the same"


def test_a_link_that_is_no_longer_named_has_to_be_asked_for(world: World) -> None:
    link = {"path": "enabled/other", "state": "link", "target": "../main.conf"}
    world.apply(files=[*one("new"), link])
    assert not nothing_to_do(world, files=one("new"))
    assert world.apply(files=one("new")).changed
    assert not (world.etc / "enabled/other").is_symlink()
    assert nothing_to_do(world, files=one("new"))
