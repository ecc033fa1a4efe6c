# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of an environment go back to what they were before a section first set them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.installation import Installation
from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import StateError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._program import undo
from ansible_collections.chamilo.hardening.plugins.module_utils._settings import env_undo
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.env_file import Desired, EnvFile, Result
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine

NAME, KEY = "https:campus", "TRUSTED_PROXIES"
BEFORE = f"APP_ENV=prod\n{KEY}=127.0.0.1 # ours\nAPP_SECRET=canary\n"


class Portal:
    def __init__(self, directory: Path) -> None:
        self.file = directory / "campus/.env"
        self.state = str(directory / "state")
        self.engine = Engine(self.state, Machine(lambda _argv, _seconds: (0, ""), systemd=False))
        self.installation = Installation(str(directory / "campus"), "www-data")
        self.file.parent.mkdir()
        self.file.write_text(BEFORE)

    def env_file(self) -> EnvFile:
        return EnvFile(self.installation, self.engine, lambda _portal: "")

    def set(self, proxies: str) -> None:
        env_undo.remember(NAME, self.env_file(), {KEY: proxies}, "campus.test")
        self.env_file().apply(Desired(values={KEY: proxies}), Result())

    def back(self, check: bool = False) -> tuple[bool, list[str]]:
        result = Result()
        output = env_undo.restore(NAME, self.env_file(), result, check)
        return result.changed, output


@pytest.fixture
def portal(tmp_path: Path) -> Portal:
    return Portal(tmp_path)


def test_what_was_there_first_comes_back_once(portal: Portal) -> None:
    for proxies in ("10.0.0.5", "10.0.0.5", "10.0.0.6"):
        portal.set(proxies)
    assert portal.back(check=True) == (True, [f"{KEY} is '127.0.0.1' again."])
    assert f"{KEY}=10.0.0.6" in portal.file.read_text()
    assert portal.back() == (True, [f"{KEY} is '127.0.0.1' again."])
    assert portal.file.read_text() == BEFORE
    assert portal.back() == (False, [])


def test_what_stood_nowhere_stands_nowhere_again(portal: Portal) -> None:
    portal.file.write_text("APP_ENV=prod\n")
    portal.set("10.0.0.5")
    assert portal.back() == (True, [f"{KEY} is not set again."])
    assert portal.file.read_text() == "APP_ENV=prod\n"


def test_what_was_changed_since_stays(portal: Portal) -> None:
    portal.set("10.0.0.5")
    portal.file.write_text(BEFORE.replace("127.0.0.1", "10.9.9.9"))
    result = Result()
    assert env_undo.restore(NAME, portal.env_file(), result) == [] and not result.changed
    assert result.notes == [f"{KEY} was changed since; it stays as it is."]
    assert "10.9.9.9" in portal.file.read_text() and env_undo.MEMORY.recall(portal.state) == {}


def test_a_run_that_did_not_get_to_write_has_nothing_to_undo(portal: Portal) -> None:
    env_undo.remember(NAME, portal.env_file(), {KEY: "10.0.0.5"}, "campus.test")
    assert portal.back() == (False, [f"{KEY} is '127.0.0.1' again."])
    assert portal.file.read_text() == BEFORE


def test_the_host_brings_it_back_by_itself(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    portal.set("10.0.0.5")
    found = {("campus.test", portal.installation.root, ""): portal.installation}
    monkeypatch.setattr(undo.discovery, "installation", lambda *place: found[place])
    (kind,) = (kind for kind in undo.KINDS if kind.memory is env_undo.MEMORY)
    assert env_undo.MEMORY.names("headers", portal.state) == []
    assert env_undo.MEMORY.names("https", portal.state) == env_undo.MEMORY.names(NAME, portal.state) == [NAME]
    assert env_undo.MEMORY.names("https:other", portal.state) == []
    (reported,) = env_undo.MEMORY.description([NAME], portal.state)
    assert KEY in reported and portal.installation.root in reported
    assert kind.undo(NAME, portal.engine)[0] == f"{KEY} is '127.0.0.1' again."
    assert portal.file.read_text() == BEFORE


def test_no_secret_is_kept_and_a_damaged_memory_is_named(portal: Portal) -> None:
    portal.set("10.0.0.5")
    file = Path(portal.state, env_undo.MEMORY.file)
    assert "canary" not in file.read_text() and file.stat().st_mode & 0o777 == 0o600
    file.write_text("[]")
    with pytest.raises(StateError, match="is damaged"):
        env_undo.MEMORY.names("https", portal.state)
