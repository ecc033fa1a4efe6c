# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to change and to be restored, and how that is shown."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.job import Outcome, TransactionError
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import plan
from tests.unit.plugins.module_utils._transaction.conftest import ME, World, alone, failing, nothing_to_do, one


def test_the_diff_shows_values_and_no_secret(world: World) -> None:
    (world.etc / "binary").write_bytes(b"\x00\x01")
    files = [
        *world.params()["files"],
        {**ME, "path": f"{world.etc}/binary", "content": "text\n"},
    ]
    outcome = Outcome()
    world.engine().apply(plan({**world.params(), "files": files}), outcome, check=True)
    by_path = {each["before_header"].removeprefix(f"{world.etc}/"): each for each in outcome.diff}
    assert by_path["new/deep/first.conf (absent)"]["after"] == "first"
    assert by_path["enabled/default"]["after_header"].endswith("enabled/default (absent)")
    assert by_path["enabled/site"]["before"] == "link to ../main.conf\n"
    assert by_path["binary"]["before"].startswith("(binary, 2 bytes, sha256 ")
    assert "mode: 0644" in by_path["main.conf (owner and mode)"]["after"]
    # main.conf is 0640: what not every account may read is not shown either.
    assert "main" not in by_path["main.conf"]["before"] and by_path["main.conf"]["after"] == "new main, header on"
    assert "key" not in by_path["key.pem"]["before"] + by_path["key.pem"]["after"]


def test_a_private_file_that_we_wrote_in_plain_is_shown(world: World) -> None:
    world.apply(files=[*one("first", mode="0640"), {"path": "key.pem", "secret_content": "key 1", "mode": "0640"}])
    files = [*one("second", mode="0640"), {"path": "key.pem", "content": "no key", "mode": "0640"}]
    plain, key = world.apply(files=files, check=True).diff
    assert (plain["before"], plain["after"]) == ("first", "second")
    assert "key 1" not in key["before"] and key["after"] == "no key"
    world.write("main.conf", "somebody's password", 0o640)
    assert "password" not in world.apply(files=files, check=True).diff[0]["before"]


def test_mode_alone_is_a_change(world: World) -> None:
    assert world.apply(files=one("main", mode="0600")).changed
    assert world.tree()["main.conf"][3] == 0o600
    assert not world.apply(files=one("main", mode="0600")).changed


def test_an_unmanaged_link_is_not_replaced_by_a_file(world: World) -> None:
    failure = failing(world, files=one("x", "enabled/site"))
    assert "is a link to ../main.conf that this collection did not make" in str(failure)
    link = [{"path": "enabled/site", "state": "link", "target": "../key.pem"}]
    assert world.apply(files=link).changed
    # Now it is ours.
    assert world.apply(files=one("x", "enabled/site")).changed


def test_what_is_no_longer_named_is_restored_in_that_run(world: World) -> None:
    before = world.tree()
    world.apply()
    files = one("new main, header on", mode="0644")
    assert not nothing_to_do(world, files=files)
    predicted = world.apply(check=True, files=files)
    assert (world.etc / "token.conf").exists()
    done = world.apply(files=files)
    assert predicted.changed and done.changed and done.loaded and predicted.diff == done.diff
    (key,) = (each for each in done.diff if each["after_header"].endswith("key.pem"))
    assert "key" not in key["before"] + key["after"], "secrets are in no diff"
    after = world.tree()
    assert {name for name in before if before[name] != after.get(name)} == {"main.conf", "enabled/default"}
    assert set(after) < set(before), "folders that were made for it are gone"
    assert world.loaded == world.texts() and world.untouched()
    assert nothing_to_do(world, files=files) and not world.apply(files=files).changed
    world.undo()
    assert world.tree() == before and not world.journal()["records"]


def test_what_was_removed_stays_removed(world: World) -> None:
    world.apply(files=[*one("new"), {"path": "enabled/default", "state": "absent"}])
    assert nothing_to_do(world, files=one("new")) and not world.apply(files=one("new")).changed
    world.undo()
    assert (world.etc / "enabled/default").read_text() == "default"


def test_a_plan_that_is_not_complete_leaves_the_rest_alone(world: World) -> None:
    world.apply()
    files = one("new main, header on", mode="0644")
    assert not world.apply(files=files, complete=False).changed
    assert (world.etc / "token.conf").exists()
    world.apply(files=one("newer"), complete=False)
    assert (world.etc / "token.conf").exists()
    assert nothing_to_do(world, files=one("newer"), complete=False)
    assert not nothing_to_do(world, files=one("newer"))


def test_what_was_edited_stays_and_is_reported_once(world: World) -> None:
    world.apply(files=alone("main.conf", "new/deep/first.conf"))
    world.write("new/deep/first.conf", "edited")
    done = world.apply(files=alone("main.conf"))
    assert not done.changed and "first.conf was edited by hand" in done.notes[0]
    assert (world.etc / "new/deep/first.conf").read_text() == "edited"
    assert nothing_to_do(world, files=alone("main.conf"))
    again = world.apply(files=alone("main.conf"))
    assert not again.changed and not again.notes


def test_another_owner_or_mode_is_no_edit(world: World) -> None:
    """Of files in the portal's tree they change with PHP's user, and by section permissions."""
    world.apply(files=alone("main.conf", "new/deep/first.conf"))
    file = world.etc / "new/deep/first.conf"
    file.chmod(0o604)
    done = world.apply(files=alone("main.conf"))
    assert done.changed and not done.notes and not file.exists()
    world.apply(files=alone("main.conf", "new/deep/first.conf"))
    file.chmod(0o604)
    assert not [note for note in world.undo().notes if "edited" in note] and not file.exists()


def test_without_a_service_the_one_that_read_it_is_reported(world: World) -> None:
    """Where a jail is waived fail2ban is no longer named, but has to forget it."""
    world.apply(files=alone("main.conf", "new/deep/first.conf"))
    done = world.apply(files=alone("main.conf"), load=None, test=[])
    assert done.loaded and world.loads() == 1 and "check" in world.commands
    assert "new/deep/first.conf" not in world.loaded
    assert world.journal()["records"]["headers"]["load"] is None


def test_when_it_cannot_be_restored_everything_stays(world: World) -> None:
    world.apply(files=alone("main.conf", "new/deep/first.conf"))
    tracked = world.tree()
    world.site = lambda loaded: 200 if "new/deep/first.conf" in loaded else 500
    with pytest.raises(TransactionError, match="answers 500"):
        world.apply(files=alone("main.conf"))
    assert world.tree() == tracked and world.untouched()
    assert nothing_to_do(world, files=alone("main.conf", "new/deep/first.conf"))
