# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered so that it can be undone, whichever version wrote it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import StateError
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.memory import Memory


@dataclass(frozen=True)
class Entry:
    root: str
    before: dict[str, str]


MEMORY = Memory(
    "things",
    "things",
    "things.json",
    "a test",
    1.0,
    lambda known: Entry(**known),
    asdict,
    lambda one: one.root,
    lambda one: one.before,
)
CAMPUS, SHOP = Entry("/srv/campus", {"b": "1", "a": "2"}), Entry("/srv/shop", {"c": "3"})


@pytest.fixture
def state(tmp_path: Path) -> str:
    found = str(tmp_path / "state")
    with MEMORY.lock(found):
        MEMORY.replace({"https:shop": SHOP, "https:campus": CAMPUS, "headers:campus": CAMPUS}, found)
    return found


def test_what_is_kept_is_found_by_section_or_portal(state: str) -> None:
    assert MEMORY.recall(state)["https:campus"] == CAMPUS
    assert MEMORY.names("https", state) == ["https:campus", "https:shop"]
    assert MEMORY.names("https:shop", state) == ["https:shop"]
    assert MEMORY.names("http", state) == MEMORY.names("https:x", state) == []
    assert list(MEMORY.description(["https:campus"], state)) == ["These things of /srv/campus as well: a, b"]


@pytest.mark.parametrize("text", ["{", "[]" + "x", "[1]", '{"https:a": {}}', '{"https:a": []}', "\\xff"])
def test_a_damaged_file_is_named_with_what_to_do(state: str, text: str) -> None:
    Path(state, "things.json").write_text(text)
    with pytest.raises(StateError, match=r"/things\.json is damaged \(.*\)\. Restore it from a backup\."):
        MEMORY.recall(state)


def test_the_file_is_for_root_alone(state: str) -> None:
    path = Path(state, "things.json")
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["https:shop"] == asdict(SHOP)
