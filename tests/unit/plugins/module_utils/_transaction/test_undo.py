# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back to what was there before the first run."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.job import Outcome, TransactionError
from tests.unit.plugins.module_utils._transaction.conftest import World, kill_points, one


def test_undo_restores_what_was_before_the_first_run(world: World) -> None:
    before, loaded = world.tree(), dict(world.loaded)
    world.apply()
    world.apply(files=[*one("second"), *one("late", "late.conf")])
    world.apply()
    done = world.undo()
    assert done.changed and done.loaded and done.notes == []
    assert world.tree() == before and world.loaded == loaded
    assert world.untouched()
    assert world.journal()["records"] == {} and world.journal()["directories"] == []
    with pytest.raises(TransactionError, match="there is nothing to undo"):
        world.undo()


def test_a_section_that_is_to_be_absent_is_undone_once(world: World) -> None:
    before = world.tree()
    world.apply()
    predicted, done, again = Outcome(), Outcome(), Outcome()
    world.engine().withdraw("headers", predicted, check=True)
    assert predicted.changed and world.tree() != before
    world.engine().withdraw("headers", done)
    assert done.changed and done.loaded and world.tree() == before
    world.engine().withdraw("headers", again)
    assert not again.changed and not again.loaded


def test_the_daily_comparison_expects_what_a_section_leaves_behind(world: World) -> None:
    world.apply(files=[*one("main"), *one("x", "new.conf"), *one("x", "late.conf")])
    world.apply(files=[*one("main"), *one("x", "new.conf")])
    assert list(world.journal()["left"]) == [f"{world.etc}/late.conf"]
    world.undo()
    left = {Path(path).name: item.get("sha256", "gone") for path, item in world.journal()["left"].items()}
    assert left == {"main.conf": hashlib.sha256(b"main").hexdigest(), "new.conf": "gone", "late.conf": "gone"}


def test_undo_keeps_a_file_that_was_edited_by_hand(world: World) -> None:
    before = world.tree()
    world.apply()
    world.write("main.conf", "edited")
    done = world.undo()
    assert world.tree() == before
    (kept,) = (each for each in (world.state / "kept").rglob("main.conf"))
    assert kept.read_text() == "edited" and stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert done.notes == [
        f"{world.etc}/main.conf was edited by hand after it was written. The edited file is kept as {kept}."
    ]


def test_undo_leaves_alone_what_the_section_never_changed(world: World) -> None:
    world.apply(files=[*one("main", mode="0640"), *one("x", "new.conf")])
    world.write("main.conf", "edited")
    world.undo()
    assert world.texts()["main.conf"] == "edited" and "new.conf" not in world.texts()


def test_a_file_that_was_right_at_first_comes_back_as_it_was_then(world: World) -> None:
    before = world.tree()
    world.apply(files=[*one("main", mode="0640"), *one("x", "new.conf")])
    world.apply(files=[*one("other", mode="0644")])
    world.undo()
    assert world.tree() == before


@pytest.mark.parametrize("code", [5, 125, 127])
def test_undo_does_without_a_test_that_this_host_cannot_run_any_more(world: World, code: int) -> None:
    """After an upgrade of Debian, for example, there is another PHP."""
    before, run = world.tree(), world.run
    world.apply(test=[["php-fpm8.2", "-t"], ["check"]])

    def gone(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        return (code, "not found") if argv[0] == "php-fpm8.2" else run(argv, seconds)

    world.machine.run = gone
    done = world.undo()
    assert world.tree() == before and "check" in world.commands, "the others count"
    assert done.notes == ["`php-fpm8.2 -t` was left out, because this host cannot run it any more: not found"]
    with pytest.raises(TransactionError, match=r"php-fpm8\.2 -t` failed"):
        world.apply(test=[["php-fpm8.2", "-t"]])


def test_undo_that_breaks_the_site_goes_back(world: World) -> None:
    world.write("main.conf", "crash")
    world.loaded = world.texts()
    world.apply()
    before = world.tree()
    world.site = lambda loaded: 500 if loaded["main.conf"] == "crash" else 200
    # It was broken before the section too, and would be again: that is "as it was".
    world.undo()
    world.write("main.conf", "main", 0o640)
    world.loaded = world.texts()
    world.apply()
    before = world.tree()
    world.site = lambda loaded: 404 if loaded["main.conf"] == "main" else 200
    with pytest.raises(TransactionError, match="http://host/ answers 404; before this it was 200"):
        world.undo()
    assert world.tree() == before
    assert world.journal()["records"]


def test_undo_of_a_site_that_is_broken_may_lead_anywhere(world: World) -> None:
    world.apply()
    world.site = lambda loaded: 404 if loaded["main.conf"] == "main" else 500
    assert world.undo().changed


SENT = [{"url": "http://host/", "status": [200, 301], "send": {"X-Claim": 1}}]


def test_undo_asks_as_the_run_did(world: World) -> None:
    world.claim = {"X-Claim": "1"}
    assert world.apply(probe=SENT, files=one("new")).changed
    world.site = lambda loaded: 200 if loaded["main.conf"] == "new" else 500
    with pytest.raises(TransactionError, match="http://host/ answers 500; before this it was 200"):
        world.undo()


def test_what_an_older_run_wrote_down_knows_of_no_header(world: World) -> None:
    assert world.apply(probe=SENT, files=one("new")).changed
    state = world.journal()
    for known in (known for name in ("seen", "probe") for known in state["records"]["headers"][name]):
        del known["send"]
    (world.state / "state.json").write_text(json.dumps(state))
    assert world.undo().changed


def test_undo_waits_until_the_token_is_gone(world: World) -> None:
    world.apply()
    before = world.tree()
    world.deaf = True
    with pytest.raises(TransactionError, match="still answers with the configuration that was to go"):
        world.undo()
    assert world.tree() == before
    world.deaf = False
    world.undo()


@pytest.mark.slow
def test_killed_at_any_change_an_undo_is_whole_or_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.tree()
    world.apply()
    hardened = world.tree()
    for number, stopped in kill_points(world, monkeypatch, world.undo):
        world.engine().recover()
        if world.journal()["records"]:
            assert stopped is not None and world.tree() == hardened, number
            continue
        assert world.tree() == before and world.untouched(), number
        world.apply()
    world.undo()
    assert world.tree() == before and world.untouched()


def test_a_section_is_found_by_its_name_and_a_site_is_no_part_of_another(world: World) -> None:
    names = ("headers", "https:campus", "https:campus.php", "https:campus.example.org")
    for number, name in enumerate(names):
        world.apply(name=name, files=one(str(number), f"{number}.conf"))
    found = world.engine().names
    assert sorted(found("https")) == sorted(names[1:]) and found("http") == []
    assert found("https:campus") == ["https:campus", "https:campus.php"]
    assert found("https:campus.example.org") == ["https:campus.example.org"]
