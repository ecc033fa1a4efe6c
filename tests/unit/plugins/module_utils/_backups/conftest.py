# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A portal and a restore of it that fetched its files, for the tests of each part of a restore."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import restore_staging
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import Portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.restic import Pair, Snapshot
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Portal:
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    (tmp_path / "state" / "backups").mkdir(parents=True)
    root = tmp_path / "chamilo"
    (root / "var").mkdir(parents=True)
    (root / "var" / "lesson").write_text("spoilt")
    (root / "later").write_text("came after the backup")
    return Portal("campus", "campus.test", str(root), host="db.example.org")


def work(portal: Portal) -> restore_staging.Staging:
    half = Snapshot("id", "tree", 0, "run", ())
    made = restore_staging.Staging(portal, None, Pair("run", half, half))  # type: ignore[arg-type]  # fetches nothing here
    made.clear()
    assert os.stat(made.staging).st_mode & 0o777 == 0o700
    fetched = Path(f"{made.staging}{portal.directory}")
    (fetched / "var").mkdir(parents=True)
    (fetched / "var" / "lesson").write_text("as it was")
    (fetched / "new" / "deep").mkdir(parents=True)
    (fetched / "new").chmod(0o750)
    (fetched / "new" / "deep" / "file").write_text("gone since")
    return made


def planned(portal: Portal) -> restore_staging.Staging:
    made = work(portal)
    for name in ("var", "later", "new/deep/file"):
        made._swap(f"{made.staging}{portal.directory}/{name}", f"{portal.directory}/{name}")
    made.write_down()
    return made


def looks_right(portal: Portal, kept: str) -> None:
    root, old = Path(portal.directory), Path(f"{kept}{portal.directory}")
    assert (root / "var" / "lesson").read_text() == "as it was"
    assert (root / "new" / "deep" / "file").read_text() == "gone since"
    assert not (root / "later").exists()
    assert (old / "var" / "lesson").read_text() == "spoilt"
    assert (old / "later").read_text() == "came after the backup"
