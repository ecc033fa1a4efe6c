# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An update of the program: made, refused, or rolled back."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import types
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Account, Reader
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import (
    backup,
    exchange,
    jobs,
    restore,
    restore_tables,
    saved_files,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import portal as backups_portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError, Portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.restic import Pair, Snapshot
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import open_windows
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php
from ansible_collections.chamilo.hardening.plugins.module_utils._program import update
from tests.unit.plugins.module_utils._program.test_new_release import FILES, OLD, lay, packed, release

HALF = Snapshot("id", 0, "run7", ())


@pytest.fixture
def campus(tmp_path, monkeypatch):
    """A portal with 3.0.1, a package of 3.0.2, and what was done, in order."""
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    (tmp_path / "state/backups").mkdir(parents=True)
    portal = Portal("campus", "campus.test", str(lay(tmp_path / "www/campus", OLD)), php="8.4")
    done = []

    def did(name, answer=None):
        return lambda *_words, **_more: done.append(name) or ([] if answer is None else answer)

    monkeypatch.setattr(update, "discover", lambda domain, root: Site(domain, root, version="3.0.1", php=Php("8.4")))
    monkeypatch.setattr(backup, "backup", did("backup"))
    monkeypatch.setattr(restore, "restore", did("database back", ["The database is back."]))
    monkeypatch.setattr(restore, "wake", did("wake"))
    monkeypatch.setattr(restore, "found", lambda *_words: [(None, Pair("run7", HALF, HALF))])
    monkeypatch.setattr(saved_files, "saved_root", lambda *_words: portal.directory)
    monkeypatch.setattr(restore_tables, "may_restore", lambda _portal: False)
    monkeypatch.setattr(jobs, "alone", lambda *_words: contextlib.nullcontext())
    monkeypatch.setattr(update.open_windows, "sites", dict)
    monkeypatch.setattr(update, "_compile", did("compile"))
    monkeypatch.setattr(update, "_migrate", did("migrate"))
    monkeypatch.setattr(update, "_suits", lambda *_words: None)
    pages = {"/": 302, "/login": 200}
    monkeypatch.setattr(update, "_answers", lambda _site: dict(pages))
    package = release(packed(tmp_path / "chamilo-3.0.2.zip", FILES))
    return types.SimpleNamespace(portal=portal, package=package, done=done, pages=pages, at=Path(portal.root))


def there(campus):
    return {str(path.relative_to(campus.at)): path.read_text() for path in campus.at.rglob("*") if path.is_file()}


def test_an_update_is_made(campus):
    upload = campus.at / "var/upload/lesson.txt"
    inode = upload.stat().st_ino
    lines = list(update.update(campus.portal, campus.package))
    assert campus.done == ["backup", "wake", "compile", "migrate"]
    now = there(campus)
    assert now["version.php"] == FILES["version.php"] and "public/main/old.php" not in now
    assert now[".env"] == OLD[".env"] and now["public/plugin/Own/index.php"] == OLD["public/plugin/Own/index.php"]
    assert upload.stat().st_ino == inode, "what the application writes is not touched"
    (kept,) = (path for path in campus.at.parent.iterdir() if ".before-" in path.name)
    assert (kept / str(campus.at)[1:] / "public/main/old.php").read_text() == OLD["public/main/old.php"]
    assert lines[0] == "From 3.0.1 to 3.0.2." and any(str(kept) in line for line in lines)
    compared = next(line for line in lines if line.startswith("Compared with the package chamilo-3.0.2.zip"))
    assert "public/plugin/Own: 1 file is in no package" in compared and "config: 1 file is in no package" in compared
    assert backups_portal.journal(campus.portal) == {}


@pytest.mark.parametrize("fault", ["migration", "page", "interrupted", "compile"])
def test_what_fails_in_the_middle_is_rolled_back(campus, monkeypatch, fault):
    def fails(*_words):
        if fault == "interrupted":
            raise KeyboardInterrupt
        raise update.UpdateError(f"the {fault} failed.")

    if fault == "page":
        answers = [{"/": 302, "/login": 200}, {"/": 302}, {"/": 302}]
        monkeypatch.setattr(update, "_answers", lambda _site: answers.pop(0))
    elif fault == "compile":
        monkeypatch.setattr(update, "_compile", fails)
    else:
        monkeypatch.setattr(update, "_migrate", fails)
    with pytest.raises(update.UpdateError, match="failed and was rolled back") as problem:
        list(update.update(campus.portal, campus.package))
    assert there(campus) == OLD
    migrated = fault != "compile"
    assert ("database back" in campus.done) is migrated
    assert ("The database is back." in str(problem.value)) is migrated
    assert backups_portal.journal(campus.portal) == {}
    words = {"page": "/login answers 0 instead of 200", "interrupted": "it was interrupted"}
    assert words.get(fault, f"the {fault} failed") in str(problem.value)


def test_one_that_was_killed_is_rolled_back_by_hand(campus, monkeypatch):
    class Killed(BaseException):
        pass

    def kills(*_words):
        raise Killed

    monkeypatch.setattr(update, "_migrate", kills)
    with pytest.raises(Killed):
        list(update.update(campus.portal, campus.package))
    assert there(campus)["version.php"] == FILES["version.php"]
    words = backups_portal.unfinished(campus.portal)
    assert "The update of campus.test" in words and "update --abandon --site campus" in words
    monkeypatch.setattr(update, "_suits", SUITS)
    with pytest.raises(update.UpdateError, match="is not finished"):
        list(update.update(campus.portal, campus.package))
    for refused in (lambda: restore.abandon(campus.portal), lambda: restore._refuse_less(campus.portal, "host")):
        with pytest.raises(BackupError, match="update --abandon"):
            refused()
    lines = update.abandon(campus.portal)
    assert there(campus) == OLD and lines[-1] == "The database is back."
    with pytest.raises(update.UpdateError, match="No update of campus.test is unfinished"):
        update.abandon(campus.portal)


def test_a_disk_that_is_full_is_found_before_anything_changes(campus, monkeypatch):
    monkeypatch.setattr(update.shutil, "disk_usage", lambda _path: types.SimpleNamespace(free=2_000_000))
    real = update._size
    monkeypatch.setattr(update, "_size", lambda path: real(path) + 3_000_000)
    needed = len([name for name in campus.package.parts if (campus.at / name).exists()]) * 6
    with pytest.raises(BackupError, match=f" has 2 MB free, the update needs {needed}.$"):
        list(update.update(campus.portal, campus.package))
    assert there(campus) == OLD and backups_portal.journal(campus.portal) == {}
    assert not os.path.exists(exchange._directory(campus.portal))


# ------------------------------------------------------------------------------------------------- what suits

SUITS = update._suits


@pytest.fixture
def suits(campus, monkeypatch):
    monkeypatch.setattr(restore_tables, "may_restore", lambda _portal: True)
    monkeypatch.setattr(update.Reader, "of", lambda _where: None)
    monkeypatch.setattr(update, "migrations_without_history", lambda _reader: False)
    monkeypatch.setattr(update.window.Windows, "at", lambda _self, _path: None)
    site = Site("campus.test", campus.portal.root, version="3.0.1", php=Php("8.4"))
    return lambda **changes: SUITS(campus.portal, replace(site, **changes), campus.package)


def test_a_newer_release_suits(suits):
    suits()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "3.0.2"}, "is installed already"),
        ({"version": ""}, "the installed version is not known"),
        ({"version": "2.0.4", "php": Php("8.2")}, "3.0 needs PHP 8.3, and this portal runs with 8.2"),
    ],
)
def test_what_does_not_suit_is_refused(suits, changes, words):
    with pytest.raises(update.UpdateError, match=words):
        suits(**changes)


def test_a_checkout_of_git_is_left_to_git(suits, campus):
    lay(campus.at, {".git/HEAD": "3.0.1"})
    with pytest.raises(update.UpdateError, match="is a checkout of Git, which a package does not update"):
        suits()


@pytest.mark.parametrize(
    ("where", "name", "answer", "words"),
    [
        (update, "migrations_without_history", True, "history of migrations is empty"),
        (restore_tables, "may_restore", False, "could not be rolled back"),
        (update.window.Windows, "at", object(), "A window is open"),
    ],
)
def test_a_host_that_is_not_ready_is_refused(suits, monkeypatch, where, name, answer, words):
    monkeypatch.setattr(where, name, lambda *_words: answer)
    with pytest.raises(update.UpdateError, match=words):
        suits()


# ------------------------------------------------------------------------------------ a node that does not lead

SCHEMA = "src/CoreBundle/Migrations/Schema"
BEFORE, ADDED, LAST = "Version20260501000000", "Version20260903150000", "Version20261201000000"


@pytest.fixture
def node(campus, monkeypatch, tmp_path):
    """A web node of 3.0.1, and a package with two migrations that it has not; what the database remembers of them."""
    named = {f"{SCHEMA}/V200/{BEFORE}.php": "<?php", f"{SCHEMA}/V300/Helper.php": "<?php"}
    lay(campus.at, named)
    added = {f"{SCHEMA}/V300/{name}.php": "<?php" for name in (ADDED, LAST)}
    campus.package = release(packed(tmp_path / "added.zip", {**FILES, **named, **added}))
    campus.made = [BEFORE]

    def ask(sql):
        if "information_schema" in sql:
            return [{"name": "user"}, {"name": "version"}]
        return [{"version": f"Chamilo\\CoreBundle\\Migrations\\Schema\\V300\\{name}"} for name in campus.made]

    monkeypatch.setattr(update.Reader, "of", lambda _where: Reader(Account(""), ask=ask))
    return campus


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ([BEFORE], f"{ADDED} and 1 more"),
        ([BEFORE, ADDED], f"{LAST}, which it brings,"),  # its migrations are under way
        ([], f"{ADDED} and 1 more"),
    ],
)
def test_a_node_waits_for_the_one_that_leads(node, made, words):
    node.made = made
    with pytest.raises(update.UpdateError) as refused:
        list(update.follow(node.portal, node.package))
    output = str(refused.value)
    assert output.startswith("The node that leads campus.test is not updated to 3.0.2: ")
    assert words in output and output.endswith("Nothing was changed.")
    assert node.done == [] and "3.0.1" in there(node)["version.php"] and backups_portal.journal(node.portal) == {}


def test_a_node_follows_the_one_that_leads(node):
    node.made = [BEFORE, ADDED, LAST]
    lines = list(update.follow(node.portal, node.package))
    assert lines[0] == "From 3.0.1 to 3.0.2, on this node alone." and "is in use" in lines[1]


def test_a_node_that_does_not_lead_gets_the_program_alone(campus, monkeypatch):
    """No backup, no migration: those are the leader's, and so is the database that is rolled back."""
    monkeypatch.setattr(restore, "found", lambda *_words: pytest.fail("it has no backups"))
    monkeypatch.setattr(update, "_migrate", lambda _portal: pytest.fail("the database is the leader's"))
    lines = list(update.follow(campus.portal, campus.package))
    assert lines[0] == "From 3.0.1 to 3.0.2, on this node alone." and "is in use" in lines[1]
    assert campus.done == ["wake", "compile"] and there(campus)["version.php"] == FILES["version.php"]
    assert backups_portal.journal(campus.portal) == {}


def test_the_program_of_a_node_is_rolled_back_and_its_database_is_not(campus, monkeypatch):
    pages = [{"/login": 200}, {"/login": 500}]
    before = there(campus)
    monkeypatch.setattr(update, "_answers", lambda _site: pages[0] if len(pages) == 1 else pages.pop(0))
    with pytest.raises(update.UpdateError, match="/login answers 500 instead of 200"):
        list(update.follow(campus.portal, campus.package))
    assert "database back" not in campus.done and there(campus) == before


USAGE = "Name the package: chamilo-hardening update PACKAGE --sha256 SUM; or --abandon alone."


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        ([], 2, USAGE),
        (["--abandon", "x.zip", "--sha256", "0"], 2, USAGE),
        (["--abandon"], 0, "update of campus.test: abandoned"),
        (["x.zip", "--sha256", "0"], 0, "update of campus.test: updated"),
        (["--node", "x.zip", "--sha256", "0"], 0, "update of node.test: followed"),
    ],
)
def test_what_is_asked_for_is_done_and_reported(campus, monkeypatch, words, code, line):
    monkeypatch.setattr(update, "Package", lambda *_given: campus.package)
    monkeypatch.setattr(update, "abandon", lambda _portal: ["abandoned"])
    monkeypatch.setattr(update, "update", lambda _portal, _package: ["updated"])
    monkeypatch.setattr(update, "follow", lambda _portal, _package: ["followed"])
    monkeypatch.setattr(update, "_here", lambda _name: replace(campus.portal, domain="node.test"))
    monkeypatch.setattr(backups_portal, "chosen", lambda _name: campus.portal)
    parser, reported = argparse.ArgumentParser(), []
    update.add(parser.add_subparsers(), lambda line, *_priority: reported.append(line))
    options = parser.parse_args(["update", *words])
    assert options.run(options, None) == code
    assert reported[-1] == line


@pytest.mark.parametrize(("code", "output", "words"), [(0, "done", ""), (3, "", "3"), (3, "no table\n", "3: no table")])
@pytest.mark.parametrize("own", [True, False])
def test_migrations_run_by_the_account_for_upgrades_where_there_is_one(
    campus, monkeypatch, tmp_path, code, output, words, own
):
    monkeypatch.undo()
    asked = []
    monkeypatch.setattr(update, "CREDENTIALS", str(tmp_path))
    monkeypatch.setattr(update.migrate, "migrate", lambda *given: asked.append(given) or ("campus", code))
    monkeypatch.setattr(update.services, "run", lambda argv, _seconds: asked.append(argv) or (code, output))
    if own:
        (tmp_path / "upgrade-campus.cnf").touch()
    ended = f"^The migrations ended with {'3' if own else words}.$"
    with pytest.raises(update.UpdateError, match=ended) if code else contextlib.nullcontext():
        update._migrate(campus.portal)
    (given,) = asked
    if own:
        assert given == ((), "campus")
    else:
        assert given[:3] == ["runuser", "-u", "www-data"] and f"--chdir={campus.at}" in given
        assert given[-4:] == ["php8.4", "bin/console", "doctrine:migrations:migrate", "--no-interaction"]


@pytest.mark.parametrize("active", [True, False])
def test_a_new_program_gets_owners_and_modes_where_the_section_is_active(campus, monkeypatch, active):
    applied = []
    known = {
        "campus": open_windows.Site("campus", {"path": campus.portal.root}, {}),
        "shop": open_windows.Site("shop", {}, {}),
    }
    monkeypatch.setattr(update.open_windows, "sites", lambda: known if active else {"shop": known["shop"]})
    monkeypatch.setattr(update.apply, "produce", applied.append)
    list(update.update(campus.portal, campus.package))
    assert applied == [{"path": campus.portal.root}] * active


def test_what_was_compiled_of_the_program_before_is_put_away_by_php_s_own_account(campus, monkeypatch):
    monkeypatch.undo()
    asked = []
    monkeypatch.setattr(update.services, "run", lambda argv, _seconds: asked.append(argv) or (0, ""))
    update._compile(campus.portal)
    away, warm = asked
    assert all(command[:4] == ["runuser", "-u", "www-data", "--"] for command in asked)
    assert warm[-3:] == ["bin/console", "--no-interaction", "cache:warmup"]
    lay(campus.at, {"var/cache/prod/App.php": "old", "var/cache/.before/killed.php": "older"})
    (campus.at / "var/cache/link").symlink_to("/etc")
    subprocess.run(away[away.index("sh") :], cwd=campus.at, check=True)
    assert list((campus.at / "var/cache").iterdir()) == []
    monkeypatch.setattr(update.services, "run", lambda *_words: (1, "it is full"))
    with pytest.raises(update.UpdateError, match="^The cache could not be compiled: it is full.$"):
        update._compile(campus.portal)


@pytest.mark.parametrize("part", ["", "files"])
def test_without_an_unfinished_update_there_is_nothing_to_abandon(campus, part):
    if part:
        Path(backups_portal.journal_path(campus.portal)).write_text(json.dumps({"part": part}))
    with pytest.raises(update.UpdateError, match="^No update of campus.test is unfinished. Nothing was changed.$"):
        update.abandon(campus.portal)


def test_a_backup_that_needs_a_check_is_enough_for_an_update(campus, monkeypatch):
    def shrunken(_portal):
        raise backup.NeedsReview("Tables are gone: user.")

    monkeypatch.setattr(backup, "backup", shrunken)
    lines = list(update.update(campus.portal, campus.package))
    assert "The backup was made, and needs a check: Tables are gone: user." in lines
    assert there(campus)["version.php"] == FILES["version.php"]
