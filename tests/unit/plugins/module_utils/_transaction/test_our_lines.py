# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of ours in files of other owners; test_marked.py has how they come and go."""

from __future__ import annotations

import hashlib

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import Tree
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import our_lines
from tests.unit.plugins.module_utils._transaction.conftest import World, nothing_to_do

NAME = "https:campus"


@pytest.fixture
def marked(world: World) -> World:
    """A virtual host with lines of ours in two places."""
    world.write("main.conf", "one\ntwo\n")
    marks = [{"at": 0, "lines": ["ours"]}, {"at": 4, "lines": ["ours as well"]}]
    digest = hashlib.sha256(b"one\ntwo\n").hexdigest()
    world.apply(name=NAME, files=[{"path": "main.conf", "digest": digest, "marks": marks}])
    return world


@pytest.mark.parametrize(("name", "site"), [("https:campus", "campus"), ("database", "")])
def test_the_site_is_in_the_name_of_a_transaction(name: str, site: str) -> None:
    assert our_lines.site_of(name) == site


def test_what_is_as_it_was_written_is_all_there(marked: World) -> None:
    (known,) = our_lines.of(marked.journal()["records"][NAME]).values()
    path = str(marked.etc / "main.conf")
    with Tree() as tree:
        assert our_lines.as_written(tree, path, known) and our_lines.places_of(tree, path, known, "campus") == [path]
    assert our_lines.lost(marked.journal()) == {NAME: []}


def test_lines_that_are_gone_are_counted(marked: World) -> None:
    file = marked.etc / "main.conf"
    first, *rest = file.read_text().split("one\n")
    assert "ours" in first and "ours as well" in rest[0]
    file.write_text("".join(["one\n", *rest]))
    (known,) = our_lines.of(marked.journal()["records"][NAME]).values()
    with Tree() as tree:
        assert not our_lines.as_written(tree, str(file), known)
    assert our_lines.lost(marked.journal()) == {NAME: [f"{file}: lines of {NAME} are gone, in 1 of 2 places."]}


def test_a_file_under_another_name_is_found_by_its_marks(marked: World) -> None:
    (known,) = our_lines.of(marked.journal()["records"][NAME]).values()
    (marked.etc / "main.conf").rename(marked.etc / "renamed.conf")
    (marked.etc / "other.conf").write_text("one\n")
    with Tree() as tree:
        assert our_lines.places_of(tree, known["file"], known, "campus") == [f"{marked.etc}/renamed.conf"]
        assert our_lines.places_of(tree, known["file"], known, "school") == []


def test_what_an_older_version_wrote_down_knows_of_no_lines(world: World) -> None:
    world.apply()
    state = world.journal()
    assert "marked" not in state["records"]["headers"]
    assert our_lines.of(state["records"]["headers"]) == {} and our_lines.lost(state) == {"headers": []}
    assert nothing_to_do(world)


def test_lines_that_were_edited_are_reported_as_such_and_not_as_gone(marked: World) -> None:
    file = marked.etc / "main.conf"
    file.write_text(file.read_text().replace("ours as well\n", "theirs\n"))
    ((words,),) = our_lines.lost(marked.journal()).values()
    assert words.startswith(f"{file} line ") and "what stands between the marks of chamilo.hardening was" in words


def test_a_file_that_is_gone_is_reported(marked: World) -> None:
    (marked.etc / "main.conf").unlink()
    assert our_lines.lost(marked.journal()) == {NAME: [f"{marked.etc}/main.conf is not there any more."]}


def test_all_files_that_have_the_marks_are_found_in_order(marked: World) -> None:
    (known,) = our_lines.of(marked.journal()["records"][NAME]).values()
    text = (marked.etc / "main.conf").read_text()
    (marked.etc / "main.conf").unlink()
    names = [f"{letter}.conf" for letter in "qcxamzb"]
    for name in names:
        (marked.etc / name).write_text(text)
    with Tree() as tree:
        found = our_lines.places_of(tree, known["file"], known, "campus")
    assert found == [f"{marked.etc}/{name}" for name in sorted(names)]
