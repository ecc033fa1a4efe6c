# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A portal, a server of its database, and a restore that fetched its files, for the tests of each part."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import portal as backups_portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import (
    restore,
    restore_tables,
    saved_files,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError, Portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.restic import Pair, Repository, Snapshot
from ansible_collections.chamilo.hardening.plugins.module_utils._common import alert, files

DUMP = b"""/*M!999999\\- enable the sandbox mode */
-- MariaDB dump 10.19-11.8.3-MariaDB, for debian-linux-gnu (x86_64)
DROP TABLE IF EXISTS `course`;
CREATE TABLE `course` (
  `id` int(11) NOT NULL
);
INSERT INTO `course` VALUES (1,'a\\nCREATE TABLE `no` (');
CREATE TABLE `user` (
  `id` int(11) NOT NULL
);
-- Dump completed
"""


@pytest.fixture(autouse=True)
def at_home_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in /dev is not saved, but for the files of tests."""
    others = tuple(one for one in saved_files._OF_THE_KERNEL if not str(tmp_path).startswith(one))
    monkeypatch.setattr(saved_files, "_OF_THE_KERNEL", others)


@pytest.fixture
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(
        saved_files, "discover", lambda *_words: SimpleNamespace(served=SimpleNamespace(file="", key=""))
    )
    monkeypatch.setattr(backups_portal, "CONFIGURATION", str(tmp_path / "etc"))
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    (tmp_path / "etc").mkdir()
    return tmp_path


@pytest.fixture
def alerts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The alerts, as title and text."""
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(alert, "notify", lambda _section, title, text, **_more: found.append((title, text)) or [])
    monkeypatch.setattr(alert, "over", lambda *_words: None)
    return found


def of_campus(directory: Path, **more: Any) -> Portal:
    return Portal("campus", "campus.test", str(directory / "chamilo"), **more)


def made(run: str, number: int, at: float) -> Pair:
    half = Snapshot(f"s{run}", at, run, (), number)
    return Pair(run, half, half)


class Server:
    """Knows tables, and what cannot be moved with them, by database."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.messages: list[str] = []
        self.tables = {"chamilo_restoring": ["course", "user"], "chamilo": ["user"]}
        self.objects = {"chamilo": ["TRIGGER\0trimmed", "VIEW\0active"]}
        self.pointing = ""
        self.refuses, self.words = "", "refused"
        monkeypatch.setattr(restore_tables, "tables", lambda _portal, name: self.tables.get(name, []))
        monkeypatch.setattr(restore_tables, "execute", self.sql)

    def sql(self, _portal: Portal, sql: str, database: str = "", source: IO[bytes] | None = None) -> str:
        if "REFERENTIAL_CONSTRAINTS" in sql:
            return self.pointing.encode().hex()
        if "information_schema.EVENTS" in sql:
            found = next((found for name, found in self.objects.items() if f"'{name}'" in sql), [])
            return "\n".join(one.encode().hex() for one in found)
        self.messages.append(source.read().decode() if source else sql)
        if self.refuses and self.refuses in self.messages[-1]:
            raise BackupError(self.words)
        return ""


NAMES = {"new": "chamilo_restoring", "old": "chamilo_before_x"}


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Portal:
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    (tmp_path / "state" / "backups").mkdir(parents=True)
    root = tmp_path / "chamilo"
    (root / "var").mkdir(parents=True)
    (root / "var" / "lesson").write_text("spoilt")
    (root / "later").write_text("came after the backup")
    return Portal("campus", "campus.test", str(root), host="db.example.org")


def work(portal: Portal) -> restore.Staging:
    half = Snapshot("id", 0, "run", ())
    made = restore.Staging(portal, [(Repository(portal, "/repository"), Pair("run", half, half))])
    made.clear()
    assert os.stat(made.staging).st_mode & 0o777 == 0o700
    fetched = Path(f"{made.staging}{portal.directory}")
    (fetched / "var").mkdir(parents=True)
    (fetched / "var" / "lesson").write_text("as it was")
    (fetched / "new" / "deep").mkdir(parents=True)
    (fetched / "new").chmod(0o750)
    (fetched / "new" / "deep" / "file").write_text("gone since")
    return made


def planned(portal: Portal) -> restore.Staging:
    made = work(portal)
    for name in ("var", "later", "new/deep/file"):
        made.swap(f"{made.staging}{portal.directory}/{name}", f"{portal.directory}/{name}")
    made.write_down()
    return made


def looks_right(portal: Portal, kept: str) -> None:
    root, old = Path(portal.directory), Path(f"{kept}{portal.directory}")
    assert (root / "var" / "lesson").read_text() == "as it was"
    assert (root / "new" / "deep" / "file").read_text() == "gone since"
    assert not (root / "later").exists()
    assert (old / "var" / "lesson").read_text() == "spoilt"
    assert (old / "later").read_text() == "came after the backup"
