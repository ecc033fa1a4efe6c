# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An update of the program: made, refused, or rolled back."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import types
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import (
    backup,
    jobs,
    restore,
    restore_staging,
    restore_tables,
    restore_test,
    saved_files,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import portal as backups_portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError, Portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.restic import Pair, Snapshot
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import sites
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.database import Account, Reader
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Database, Php, Site
from ansible_collections.chamilo.hardening.plugins.module_utils._updates import update
from ansible_collections.chamilo.hardening.plugins.module_utils._updates.package import Package
from tests.minisign import Signer
from tests.unit.plugins.module_utils._updates.test_package import FILES, OLD, lay, packed

HALF = Snapshot("id", "tree", 0, "run7", ())


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
    monkeypatch.setattr(restore_test, "rehearse", did("rehearsal"))
    monkeypatch.setattr(restore, "restore", did("database back", ["The database is back."]))
    monkeypatch.setattr(restore, "wake", did("wake"))
    monkeypatch.setattr(restore, "found", lambda *_words: (None, Pair("run7", HALF, HALF)))
    monkeypatch.setattr(saved_files, "saved_root", lambda *_words: portal.directory)
    monkeypatch.setattr(restore_tables, "may_restore", lambda _portal: False)
    monkeypatch.setattr(jobs, "alone", lambda *_words: contextlib.nullcontext())
    monkeypatch.setattr(update.window, "sites", dict)
    monkeypatch.setattr(update, "_compile", did("compile"))
    monkeypatch.setattr(update, "_migrate", did("migrate"))
    monkeypatch.setattr(update, "_suits", lambda *_words: None)
    pages = {"/": 302, "/login": 200}
    monkeypatch.setattr(update, "_answers", lambda _site: dict(pages))
    package = Package(str(packed(tmp_path / "chamilo-3.0.2.zip", FILES)), "www-data")
    return types.SimpleNamespace(portal=portal, package=package, done=done, pages=pages, at=Path(portal.root))


def there(campus):
    return {str(path.relative_to(campus.at)): path.read_text() for path in campus.at.rglob("*") if path.is_file()}


def test_an_update_is_rehearsed_and_then_made(campus):
    upload = campus.at / "var/upload/lesson.txt"
    inode = upload.stat().st_ino
    lines = list(update.update(campus.portal, campus.package))
    assert campus.done == ["backup", "rehearsal", "backup", "wake", "compile", "migrate"]
    now = there(campus)
    assert now["version.php"] == FILES["version.php"] and "public/main/old.php" not in now
    assert now[".env"] == OLD[".env"] and now["public/plugin/Own/index.php"] == OLD["public/plugin/Own/index.php"]
    assert upload.stat().st_ino == inode, "what the application writes is not touched"
    (kept,) = (path for path in campus.at.parent.iterdir() if ".before-" in path.name)
    assert (kept / str(campus.at)[1:] / "public/main/old.php").read_text() == OLD["public/main/old.php"]
    assert lines[0] == "From 3.0.1 to 3.0.2." and any(str(kept) in line for line in lines)
    assert backups_portal.journal(campus.portal) == {}


def test_what_is_rehearsed_is_the_package_and_its_migrations(campus, monkeypatch):
    asked = []
    monkeypatch.setattr(restore_test, "rehearse", lambda *words: asked.append(words) or [])
    list(update.update(campus.portal, campus.package, rehearse=True))
    assert asked == [(campus.portal, campus.package.lay, [("doctrine:migrations:migrate",)])]


def test_a_rehearsal_leaves_the_portal_alone(campus):
    before = there(campus)
    lines = list(update.update(campus.portal, campus.package, rehearse=True))
    assert there(campus) == before == OLD and campus.done == ["backup", "rehearsal"]
    assert "The rehearsal went well" in lines[-1]


def test_what_fails_in_the_rehearsal_never_reaches_the_portal(campus, monkeypatch):
    def fails(*_words):
        raise BackupError("The restored portal does not start: /login answers 500")

    monkeypatch.setattr(restore_test, "rehearse", fails)
    with pytest.raises(BackupError, match="does not start"):
        list(update.update(campus.portal, campus.package))
    assert there(campus) == OLD and campus.done == ["backup"]


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
    needed = len([name for name in campus.package.parts if (campus.at / name).exists()]) * 3
    with pytest.raises(BackupError, match=f" has 2 MB free, the update needs {needed}.$"):
        list(update.update(campus.portal, campus.package))
    assert there(campus) == OLD and backups_portal.journal(campus.portal) == {}
    assert not os.path.exists(restore_staging._directory(campus.portal))


@pytest.mark.parametrize(("free", "enough"), [(1.04, False), (1.06, True)])
def test_what_is_needed_is_the_release_and_what_it_replaces_and_a_little_more(campus, monkeypatch, free, enough):
    needed = campus.package.size
    for part in (campus.at / name for name in campus.package.parts):
        if part.exists():
            below = [path.lstat().st_size for path in part.rglob("*") if path.is_file()]
            needed += part.lstat().st_size + sum(below)
    monkeypatch.setattr(update.shutil, "disk_usage", lambda _path: types.SimpleNamespace(free=int(needed * free)))
    with contextlib.nullcontext() if enough else pytest.raises(BackupError, match="MB free, the update needs"):
        list(update.update(campus.portal, campus.package))
    assert (there(campus) == OLD) != enough


# ------------------------------------------------------------------------------------------------- what suits

SUITS = update._suits


@pytest.fixture
def suits(campus, monkeypatch):
    monkeypatch.setattr(restore_tables, "may_restore", lambda _portal: True)
    monkeypatch.setattr(update.Reader, "of_site", lambda _site: None)
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
        ({"version": "3.1.0"}, "is installed already"),
        ({"version": ""}, "the installed version is not known"),
        ({"version": "2.0.4", "php": Php("8.2")}, "3.0 needs PHP 8.3, and this portal runs with 8.2"),
    ],
)
def test_what_does_not_suit_is_refused(suits, changes, words):
    with pytest.raises(update.UpdateError, match=words):
        suits(**changes)


def test_a_checkout_of_git_is_not_left_with_the_history_of_the_release_before(suits, campus, tmp_path):
    lay(campus.at, {".git/HEAD": "3.0.1"})
    with pytest.raises(update.UpdateError) as refused:
        suits()
    output = str(refused.value)
    assert "is a checkout of Git" in output and "git clone --branch v3.0.2 --depth 1" in output
    assert "composer install" in output and "yarn build" in output and "chmod" not in output
    assert output.endswith("chamilo-hardening update /srv/chamilo-3.0.2. Nothing was changed.")
    built = lay(tmp_path / "built", {**FILES, ".git/HEAD": "3.0.2"})
    campus.package = Package(str(built), "www-data", checkout=True)
    suits()


@pytest.mark.parametrize("fault", [None, "_migrate"])
def test_the_history_changes_places_with_the_program(campus, monkeypatch, tmp_path, fault):
    lay(campus.at, {".git/HEAD": "3.0.1", ".git/refs/heads/own": "3.0.1"})
    before = there(campus)
    campus.package = Package(str(lay(tmp_path / "built", {**FILES, ".git/HEAD": "3.0.2"})), "www-data", checkout=True)
    if fault:

        def fails(*_words):
            raise update.UpdateError("the migration fails")

        monkeypatch.setattr(update, fault, fails)
        with pytest.raises(update.UpdateError, match="rolled back"):
            list(update.update(campus.portal, campus.package))
        assert there(campus) == before
    else:
        list(update.update(campus.portal, campus.package))
        assert (campus.at / ".git/HEAD").read_text() == "3.0.2" and not (campus.at / ".git/refs/heads/own").exists()


def test_an_empty_history_of_migrations_is_refused(suits, monkeypatch):
    monkeypatch.setattr(update, "migrations_without_history", lambda _reader: True)
    with pytest.raises(update.UpdateError, match="history of migrations is empty"):
        suits()


def test_a_database_that_could_not_come_back_is_refused(suits, monkeypatch):
    monkeypatch.setattr(restore_tables, "may_restore", lambda _portal: False)
    with pytest.raises(update.UpdateError, match="could not be rolled back"):
        suits()


def test_an_open_window_is_refused(suits, monkeypatch):
    monkeypatch.setattr(update.window.Windows, "at", lambda _self, _path: object())
    with pytest.raises(update.UpdateError, match="A window is open"):
        suits()


# ------------------------------------------------------------------------------------------- what proves a package


def test_a_package_needs_a_proof(campus):
    path = Path(campus.package.path)
    with pytest.raises(update.UpdateError, match=r"There is no .*\.minisig"):
        update.proved(str(path), "", "", "")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest in update.proved(str(path), "", "", digest.upper())
    with pytest.raises(update.UpdateError, match="has the sha256"):
        update.proved(str(path), "", "", "0" * 64)
    signer = Signer()
    signer.sign(path, "file:chamilo-3.0.2.zip")
    assert "file:chamilo-3.0.2.zip" in update.proved(str(path), "", signer.public, "")
    with pytest.raises(update.UpdateError, match=r"is the trusted one\..*Nothing was unpacked\."):
        update.proved(str(path), "", Signer().public, "")
    assert "its builder" in update.proved(str(path.parent), "", "", "")


# ------------------------------------------------------------------------------------ a node that does not lead

SCHEMA = "src/CoreBundle/Migrations/Schema"
BEFORE, ADDED, LAST = "Version20260501000000", "Version20260903150000", "Version20261201000000"


@pytest.fixture
def node(campus, monkeypatch, tmp_path):
    """A web node of 3.0.1, and a package with two migrations that it has not; what the database remembers of them."""
    named = {f"{SCHEMA}/V200/{BEFORE}.php": "<?php", f"{SCHEMA}/V300/Helper.php": "<?php"}
    lay(campus.at, named)
    added = {f"{SCHEMA}/V300/{name}.php": "<?php" for name in (ADDED, LAST)}
    campus.package = Package(str(packed(tmp_path / "added.zip", {**FILES, **named, **added})), "www-data")
    campus.made = [BEFORE]

    def ask(sql):
        if "information_schema" in sql:
            return [{"name": "user"}, {"name": "version"}]
        return [{"version": f"Chamilo\\CoreBundle\\Migrations\\Schema\\V300\\{name}"} for name in campus.made]

    monkeypatch.setattr(update.Reader, "of_site", lambda _site: Reader(Account(""), ask=ask))
    monkeypatch.setattr(update.releases, "DIRECTORY", str(tmp_path / "etc"))
    known = {"domain": "campus.test", "root": campus.portal.root, "feed": "", "leader": "web1.internal"}
    lay(tmp_path, {"etc/updates-campus.json": json.dumps(known), "etc/updates-other.json": '{"root": "/other"}'})
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
    assert output.startswith("Node web1.internal, which leads campus.test, is not updated to 3.0.2: ")
    assert words in output and f"There, run first: chamilo-hardening update {node.package.path} (" in output
    assert output.endswith("Nothing was changed.")
    assert node.done == [] and "3.0.1" in there(node)["version.php"] and backups_portal.journal(node.portal) == {}


def test_a_leader_whose_name_is_not_known_is_still_waited_for(node, tmp_path):
    (tmp_path / "etc/updates-campus.json").unlink()
    with pytest.raises(update.UpdateError, match=r"^The node that leads campus\.test is not updated to 3\.0\.2: "):
        list(update.follow(node.portal, node.package))


def test_a_node_follows_the_one_that_leads(node):
    node.made = [BEFORE, ADDED, LAST]
    lines = list(update.follow(node.portal, node.package))
    assert lines[0] == "From 3.0.1 to 3.0.2, on this node alone." and "is in use" in lines[1] and len(lines) == 2


def test_a_release_without_migrations_shows_no_node_whether_another_has_it(node, tmp_path):
    node.package = Package(str(packed(tmp_path / "none.zip", FILES)), "www-data")
    lines = list(update.follow(node.portal, node.package))
    assert lines[1].startswith("It brings no migration, so whether web1.internal has it cannot be seen from here")
    assert "is in use" in lines[2]


def test_a_rehearsal_is_refused_to_a_node_that_does_not_lead(capsys):
    """It would have updated the node."""
    parser = argparse.ArgumentParser()
    update.add(parser.add_subparsers(), print)
    with pytest.raises(SystemExit):
        parser.parse_args(["update", "--node", "--rehearse", "x.zip"])
    assert "--rehearse: not allowed with argument --node" in capsys.readouterr().err


def test_a_node_that_does_not_lead_gets_the_program_alone(campus, monkeypatch):
    """No backup, no rehearsal, no migration: those are the leader's, and so is the database that is rolled back."""
    monkeypatch.setattr(restore, "found", lambda *_words: pytest.fail("it has no backups"))
    monkeypatch.setattr(update, "_migrate", lambda _portal: pytest.fail("the database is the leader's"))
    lines = list(update.follow(campus.portal, campus.package))
    assert lines[0] == "From 3.0.1 to 3.0.2, on this node alone." and "is in use" in lines[-1]
    assert campus.done == ["wake", "compile"] and there(campus)["version.php"] == FILES["version.php"]
    assert backups_portal.journal(campus.portal) == {}


def test_the_program_of_a_node_is_rolled_back_and_its_database_is_not(campus, monkeypatch):
    pages = [{"/login": 200}, {"/login": 500}]
    before = there(campus)
    monkeypatch.setattr(update, "_answers", lambda _site: pages[0] if len(pages) == 1 else pages.pop(0))
    with pytest.raises(update.UpdateError, match="/login answers 500 instead of 200"):
        list(update.follow(campus.portal, campus.package))
    assert "database back" not in campus.done and there(campus) == before


@pytest.mark.parametrize(
    ("words", "code", "lines"),
    [
        ([], 2, ["Name the package: chamilo-hardening update PACKAGE; or --abandon alone."]),
        (["--abandon", "x.zip"], 2, ["Name the package: chamilo-hardening update PACKAGE; or --abandon alone."]),
        (["--abandon"], 0, ["update of campus.test: abandoned"]),
        (["x.zip"], 0, ["update of campus.test: proved x.zip", "update of campus.test: updated x.zip False False"]),
        (
            ["--rehearse", "x.zip"],
            0,
            ["update of campus.test: proved x.zip", "update of campus.test: updated x.zip False True"],
        ),
        (["--node", "x.zip"], 0, ["update of node.test: proved x.zip", "update of node.test: followed x.zip False"]),
    ],
)
def test_what_is_asked_for_is_done_and_reported(campus, monkeypatch, words, code, lines):
    monkeypatch.setattr(update, "Package", lambda path, _user, checkout: f"{path} {checkout}")
    monkeypatch.setattr(update, "proved", lambda path, *_more: f"proved {path}")
    monkeypatch.setattr(update, "abandon", lambda _portal: ["abandoned"])
    monkeypatch.setattr(update, "update", lambda _portal, package, rehearse: [f"updated {package} {rehearse}"])
    monkeypatch.setattr(update, "follow", lambda _portal, package: [f"followed {package}"])
    monkeypatch.setattr(update, "_here", lambda _name: replace(campus.portal, domain="node.test"))
    monkeypatch.setattr(backups_portal, "chosen", lambda _name: campus.portal)
    parser, reported = argparse.ArgumentParser(), []
    update.add(parser.add_subparsers(), lambda line, *_priority: reported.append(line))
    options = parser.parse_args(["update", *words])
    assert options.run(options, None) == code
    assert reported == lines


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
        assert given[-4:] == ["php8.4", "bin/console", "--no-interaction", "doctrine:migrations:migrate"]


@pytest.mark.parametrize("send", [[], [""], ["PROXY TCP4", ""]])
def test_which_pages_are_answered_well_before_an_update(monkeypatch, send):
    class Asked:
        def __init__(self, site, answers):
            asked.append((site.root, answers))

        def get(self, path):
            return types.SimpleNamespace(status=int(path[1:]))

    asked = []
    monkeypatch.setattr(update, "Observer", Asked)
    monkeypatch.setattr(update, "_PAGES", ("/0", "/199", "/200", "/302", "/399", "/400", "/500"))
    pages = {"probe": [{"url": "https://campus.test/", "send": one} for one in send]}
    known = {"campus": sites.Site("campus", {"path": "/srv/campus"}, {}, pages)}
    other = {"shop": sites.Site("shop", {"path": "/srv/shop"}, {}, {"probe": [{"send": "PROXY TCP4"}]})}
    monkeypatch.setattr(update.sites, "known", lambda: {**known, **other})
    assert update._answers(Site("campus.test", "/srv/campus")) == {"/200": 200, "/302": 302, "/399": 399}
    elsewhere = any(send)
    assert asked == [("/srv/campus", {"terminated_elsewhere": elsewhere, "several_nodes": elsewhere})]


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("active", [True, False])
def test_a_new_program_gets_owners_and_modes_where_the_section_is_active(campus, monkeypatch, archive, active):
    applied = []
    known = {"campus": sites.Site("campus", {"path": campus.portal.root}, {}), "shop": sites.Site("shop", {}, {})}
    monkeypatch.setattr(update.sites, "known", lambda: known if active else {"shop": known["shop"]})
    monkeypatch.setattr(update.window, "apply", lambda *words: applied.append(words))
    monkeypatch.setattr(update.permissions_package, "read", lambda path: f"the manifest of {path}")
    monkeypatch.setattr(update.permissions_package, "remember", lambda *words: applied.append(words))
    package = types.SimpleNamespace(path="/x.zip", is_archive=archive)
    update._Update(campus.portal, Site("campus.test", campus.portal.root), package, node=True)._owned()
    known = [("the manifest of /x.zip", campus.portal.root)] * archive
    assert applied == [*known, ({"path": campus.portal.root}, "production", None, False)] * active


@pytest.mark.parametrize(
    ("probes", "asked"),
    [([{"url": "https://node.test:8443/x"}, {"url": "https://b.test"}], "node.test"), ([{}], ""), ([], "")],
)
def test_a_portal_that_is_not_backed_up_here_is_known_by_its_tree(monkeypatch, probes, asked):
    known = sites.Site("campus", {"path": "/srv/campus", "web_user": "www-campus"}, {}, {"probe": probes})
    found = Site("campus.test", "/srv/campus", php=Php("8.4", service="php8.4-fpm"), database=Database("db.test"))
    monkeypatch.setattr(update.window, "site", lambda name: known if name == "campus" else None)
    monkeypatch.setattr(
        update, "discover", lambda domain, root: found if (domain, root) == (asked, found.root) else None
    )
    here = Portal("campus", "campus.test", "/srv/campus", "www-campus", "8.4", "php8.4-fpm", "db.test")
    assert update._here("campus") == here
    found = replace(found, database=Database(""))
    assert update._here("campus") == replace(here, host="localhost")


@pytest.mark.parametrize("why", ["", "cache:warmup ended with 1"])
def test_what_was_compiled_of_the_program_before_is_compiled_anew(campus, monkeypatch, why):
    monkeypatch.undo()
    asked = []

    def anew(cache, console, _run):
        asked.append((os.readlink(f"/proc/self/fd/{cache}"), console))
        return why

    before = set(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(update.compiled, "anew", anew)
    update._compile(campus.portal)
    assert asked == []
    (campus.at / "var/cache").mkdir(parents=True)
    with pytest.raises(update.UpdateError, match=f"^{why}.$") if why else contextlib.nullcontext():
        update._compile(campus.portal)
    ((cache, console),) = asked
    assert cache == f"{campus.at}/var/cache" and console[-2:] == ["--no-interaction", "cache:warmup"]
    assert set(os.listdir("/proc/self/fd")) == before, "nothing stays open"


@pytest.mark.parametrize("part", ["", "files"])
def test_without_an_unfinished_update_there_is_nothing_to_abandon(campus, part):
    if part:
        Path(backups_portal.journal_path(campus.portal)).write_text(json.dumps({"part": part}))
    with pytest.raises(update.UpdateError, match="^No update of campus.test is unfinished. Nothing was changed.$"):
        update.abandon(campus.portal)


def test_the_size_of_a_tree_is_that_of_what_lies_in_it(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/x").write_bytes(bytes(1000))
    (tmp_path / "a/b/y").write_bytes(bytes(300))
    (tmp_path / "a/link").symlink_to("x" * 50)
    assert update._size(str(tmp_path / "a")) == os.lstat(tmp_path / "a").st_size + 1350
    assert update._size(str(tmp_path / "a/x")) == 1000


def test_a_backup_that_needs_a_check_is_enough_for_an_update(campus, monkeypatch):
    assert update._backup(campus.portal) == []

    def shrunken(_portal):
        raise backup.NeedsReview("Tables are gone: user.")

    monkeypatch.setattr(backup, "backup", shrunken)
    assert update._backup(campus.portal) == ["The backup was made, and needs a check: Tables are gone: user."]


@pytest.mark.parametrize(
    ("phase", "compiled"), [("fetching", False), ("staged", False), ("changing", True), ("abandoning", True)]
)
def test_the_program_is_compiled_anew_only_where_another_was_in_its_place(campus, monkeypatch, phase, compiled):
    monkeypatch.setattr(restore, "roll_back", lambda _portal, journal: [f"From {journal['phase']}."])
    assert update._program_back(campus.portal, {"phase": phase}) == [f"From {phase}."]
    assert campus.done == ["compile"] * compiled
