# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on the host of what was written."""

from __future__ import annotations

import hashlib

from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import observed, our_lines
from tests.unit.plugins.module_utils._transaction.conftest import World, nothing_to_do, one


def test_what_was_edited_is_not_active(world: World) -> None:
    world.apply()
    files = [*one("new main, header on", mode="0644")]
    assert observed.edited(world.journal()) == {"headers": []} and nothing_to_do(world)
    world.write("main.conf", "edited")
    assert observed.edited(world.journal()) == {"headers": [f"{world.etc}/main.conf"]}
    assert not nothing_to_do(world) and not nothing_to_do(world, files=files)


def test_a_file_with_our_lines_is_active_as_it_was_written(world: World) -> None:
    digest = hashlib.sha256(b"main").hexdigest()
    world.write("main.conf", "main")
    files = [{"path": "main.conf", "digest": digest, "marks": [{"at": 0, "lines": ["ours"]}]}]
    world.apply(name="https:campus", files=files)
    assert nothing_to_do(world, name="https:campus", files=files)
    written = (world.etc / "main.conf").read_text()
    for text in (f"{written}# mine", "main", ""):
        (world.etc / "main.conf").write_text(text)
        assert not nothing_to_do(world, name="https:campus", files=files)
        assert bool(our_lines.lost(world.journal())["https:campus"]) is ("ours" not in text)
    (world.etc / "main.conf").unlink()
    (world.etc / "main.conf").mkdir()
    assert not nothing_to_do(world, name="https:campus", files=files)
    assert "neither a file nor a link" in our_lines.lost(world.journal())["https:campus"][0]
    assert observed.edited(world.journal()) == {"https:campus": []}
