# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several transactions that have the same file."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import repair
from tests.unit.plugins.module_utils._transaction.conftest import World, alone, nothing_to_do, one


@pytest.mark.parametrize("first", ["headers:one", "headers:two"])
def test_what_another_one_wants_stays(world: World, first: str) -> None:
    """A file of the host, which two portals share."""
    before = world.tree()
    portals = ("headers:one", "headers:two") if first == "headers:one" else ("headers:two", "headers:one")
    for name in portals:
        world.apply(name=name, files=alone("main.conf", "new/deep/first.conf"))
    assert not world.apply(name="headers:one", files=alone("main.conf"), check=True).changed
    assert not world.apply(name="headers:one", files=alone("main.conf")).changed
    assert nothing_to_do(world, name="headers:one", files=alone("main.conf"))
    assert nothing_to_do(world, name="headers:two", files=alone("main.conf", "new/deep/first.conf"))
    assert world.apply(name="headers:two", files=alone("main.conf")).changed, "nobody wants it now"
    assert "new" not in world.tree()
    for name in portals[::-1]:
        world.undo(name)
    assert world.tree() == before


def test_a_file_is_again_as_the_one_below_wrote_it(world: World) -> None:
    world.apply(name="headers:one", files=one("of one"))
    world.apply(name="headers:two", files=[*one("of two"), *alone("key.pem")])
    assert world.apply(name="headers:two", files=alone("key.pem")).changed
    assert (world.etc / "main.conf").read_text() == "of one"
    assert nothing_to_do(world, name="headers:one", files=one("of one"))


def test_what_the_one_below_wrote_anew_stays(world: World) -> None:
    for text in ("old", "new"):
        world.apply(name="headers:one", files=one(text))
        world.apply(name="headers:two", files=[*one(text), *alone("key.pem")])
    assert not world.apply(name="headers:two", files=alone("key.pem")).changed
    assert (world.etc / "main.conf").read_text() == "new"
    assert nothing_to_do(world, name="headers:one", files=one("new"))


def test_with_nothing_left_the_transaction_is_forgotten(world: World) -> None:
    before = world.tree()
    world.apply()
    world.apply(files=[{"path": "enabled/default", "state": "absent"}])
    assert "headers" in world.journal()["records"], "what was removed can still come back"
    world.apply(name="https", files=alone("new/deep/first.conf"))
    assert world.apply(name="https", files=[]).changed
    assert "https" not in world.journal()["records"]
    world.undo()
    assert world.tree() == before


@pytest.mark.parametrize("order", [["https", "headers"], ["headers", "https"]], ids=" then ".join)
def test_two_sections_are_undone_in_either_order(world: World, order: list[str]) -> None:
    before = world.tree()
    shared = [*one("by https", "shared.conf"), *one("main by https")]
    world.apply(name="https", files=[*shared, *one("x", "site.d/https.conf")])
    world.apply(name="headers", files=[*one("by headers", "shared.conf"), *one("y", "site.d/headers.conf")])
    both = world.tree()
    for name in order:
        world.undo(name)
        if world.journal()["records"]:
            # What only one of them touched is its own.
            assert world.tree() != both
            assert (f"site.d/{name}.conf" not in world.tree()) and "site.d" in world.tree()
    assert world.tree() == before
    assert world.untouched()


def test_what_another_one_wrote_anew_is_not_taken_for_an_edit(world: World) -> None:
    for text in ("old", "new"):
        for name in ("headers:one", "headers:two"):
            assert world.apply(name=name, files=one(text)).changed is (name == "headers:one")
    assert repair.edited(world.journal()) == {"headers:one": [], "headers:two": []}
    assert nothing_to_do(world, name="headers:two", files=one("new"))
    serial = world.journal()["serial"]
    world.apply(name="headers:two", files=one("new"))
    assert world.journal()["serial"] == serial, "once is enough"


def test_undo_leaves_what_the_one_below_wrote_anew(world: World) -> None:
    before = world.tree()
    world.apply(name="headers:one", files=one("old"))
    world.apply(name="headers:two", files=one("new"))
    world.apply(name="headers:one", files=one("new"))
    done = world.undo("headers:two")
    assert world.texts()["main.conf"] == "new" and not done.notes
    assert nothing_to_do(world, name="headers:one", files=one("new"))
    world.undo("headers:one")
    assert world.tree() == before and world.untouched()
