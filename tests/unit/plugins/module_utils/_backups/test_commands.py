# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the commands report and ask; what they do is tested where it is done."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import backup, restore_test
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import portal as backups_portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import restore as backups_restore
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.restic import Pair, Repository, Snapshot
from ansible_collections.chamilo.hardening.plugins.module_utils._program import main


@pytest.fixture
def host(monkeypatch, tmp_path):
    """``did``: what was done; ``journal``: what only the journal heard; ``broken``: the portal whose jobs fail."""
    host = SimpleNamespace(did=[], journal=[], broken="")

    def portals(*names):
        for name in names:
            known = {"site": name, "domain": f"{name}.test", "root": f"/srv/{name}"}
            (tmp_path / f"backups-{name}.json").write_text(json.dumps(known))

    def job(what):
        def work(portal, accept=False):
            host.did.append((what, portal.site, accept))
            if portal.site == host.broken:
                raise BackupError("The repository is full.")
            return [f"{what} done."]

        return work

    def restore(portal, *asked):
        host.did.append((portal.site, *asked))
        return ["It is back."]

    def begin(site, url):
        host.did.append((site, url))
        portals(site)
        return backups_portal.chosen(site)

    host.portals = portals
    monkeypatch.setattr(backups_portal, "CONFIGURATION", str(tmp_path))
    monkeypatch.setattr(backup, "backup", job("backup"))
    monkeypatch.setattr(restore_test, "restore_test", job("drill"))
    monkeypatch.setattr(backups_restore, "restore", restore)
    monkeypatch.setattr(backups_restore, "begin", begin)
    monkeypatch.setattr(
        backups_restore, "runs", lambda portal, source: [f"20261125 of {portal.site} in {source or 'any'}"]
    )
    monkeypatch.setattr(main.syslog, "syslog", lambda _level, line: host.journal.append(line))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    return host


@pytest.mark.parametrize("job", ["backup", "drill"])
def test_one_portal_that_fails_does_not_stop_the_others(host, capsys, job):
    host.portals("campus", "shop")
    host.broken = "campus"
    assert main.main([job]) == 1
    output = capsys.readouterr()
    assert output.err == f"{job} of campus.test: The repository is full.\n"
    assert output.out == f"{job} of shop.test: {job} done.\n"


@pytest.mark.parametrize(
    ("words", "ran"),
    [
        (["restic", "snapshots", "--json"], [("/near", "snapshots", "--json")]),
        (["--from", "offsite", "restic", "snapshots"], [("/far", "snapshots")]),
        (["check"], [("/near", "check", "--read-data"), ("/far", "check", "--read-data")]),
        (["show", "20", "/srv"], [("/near", "ls", "--long", "d1", "/srv"), ("/near", "ls", "--long", "f1", "/srv")]),
        (["list"], []),
    ],
)
def test_what_is_in_the_repositories_is_shown_by_restic(host, capsys, monkeypatch, words, ran):
    host.portals("campus")
    path = backups_portal.path_of("campus")
    known = {"site": "campus", "domain": "campus.test", "root": "/srv/campus", "repository": "/near", "offsite": "/far"}
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(known, stream)
    database, files = (Snapshot(name, 0, "20261125", (), 1) for name in ("d1", "f1"))
    monkeypatch.setattr(Repository, "pairs", lambda _self: [Pair("20261125", database, files)])
    called = []
    monkeypatch.setattr(Repository, "interactive", lambda place, *given: called.append((place.url, *given)) or 0)
    assert main.main(["backup", *words]) == 0
    assert called == ran and host.did == []
    output = capsys.readouterr().out
    assert ("In no backup: var/cache/*" in output) is (words[0] == "show")
    if words == ["list"]:
        assert [line.split("  ")[0] or line.split()[0] for line in output.splitlines()] == [
            "/near:",
            "20261125",
            "/far:",
            "20261125",
        ]


def test_quiet_is_quiet_when_all_is_well_and_only_then(host, capsys):
    host.portals("campus")
    assert main.main(["backup", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert host.journal == ["backup of campus.test: backup done."]
    host.broken = "campus"
    assert main.main(["backup", "--quiet"]) == 1
    assert "The repository is full" in capsys.readouterr().err


def test_the_portal_that_was_named_alone(host):
    host.portals("campus", "shop")
    assert main.main(["backup", "--site", "shop.test", "--accept"]) == 0
    assert main.main(["drill", "--site", "campus"]) == 0
    assert host.did == [("backup", "shop", True), ("drill", "campus", False)]


@pytest.mark.parametrize(
    ("known", "arguments", "words"),
    [
        ((), ["backup"], "No portal at all is backed up here. Known: none."),
        (("campus",), ["drill", "--site", "shop"], "No portal shop is backed up here. Known: campus."),
        (("campus", "shop"), ["restore", "files"], "--site campus or --site shop"),
        (("campus",), ["restore", "file"], "Name the file"),
        (("campus",), ["restore", "files"], "confirm with --confirm campus.test"),
        (("campus",), ["restore", "files", "--confirm", "campus"], "Nothing was changed."),
        (("campus",), ["restore", "files", "--confirm", ""], "Nothing was changed."),
    ],
)
def test_what_is_not_reported_clearly_is_not_done(host, capsys, known, arguments, words):
    host.portals(*known)
    assert main.main(arguments) == 1
    assert words in capsys.readouterr().err
    assert host.did == []


def test_a_damaged_configuration_is_reported(host, capsys):
    open(backups_portal.path_of("campus"), "w", encoding="utf-8").write("{")
    assert main.main(["backup"]) == 1
    assert "backups-campus.json cannot be used" in capsys.readouterr().err


def test_who_confirms_gets_what_was_asked_for(host, capsys):
    host.portals("campus", "shop")
    arguments = "restore file var/upload/x --site campus --run 2026 --from local --confirm campus.test".split()
    assert main.main(arguments) == 0
    assert host.did == [("campus", "file", "var/upload/x", "2026", "local")]
    assert capsys.readouterr().out == "restore of campus.test: It is back.\n"


@pytest.mark.parametrize(("typed", "code"), [(" campus.test\n", 0), ("yes", 1), ("", 1)])
def test_a_person_types_the_name(host, monkeypatch, typed, code):
    host.portals("campus")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda question: typed if "campus.test" in question else "")
    assert main.main(["restore", "host"]) == code
    assert len(host.did) == (not code)


def test_an_interrupted_restore_is_rolled_back(host, capsys, monkeypatch):
    host.portals("campus")
    monkeypatch.setattr(backups_restore, "abandon", lambda portal: [f"{portal.site} is as before."])
    assert main.main(["restore", "--abandon"]) == 0
    assert "restore of campus.test: campus is as before." in capsys.readouterr().out
    for words in (["host", "--abandon"], []):
        assert main.main(["restore", *words]) == 1
        assert (
            "Name what to restore (host, database, files, file or list), or --abandon alone" in capsys.readouterr().err
        )
    assert host.did == []


def test_a_list_changes_nothing_and_asks_nothing(host, capsys):
    host.portals("campus")
    assert main.main(["restore", "list", "--from", "offsite"]) == 0
    assert capsys.readouterr().out == "20261125 of campus in offsite\n"
    assert host.did == []


@pytest.mark.parametrize("known", [False, True])
def test_a_new_machine_is_reported_where_the_backups_are(host, tmp_path, known):
    """By a file: the address may contain a password."""
    if known:
        host.portals("campus")
    reported = tmp_path / "told"
    reported.write_text("rest:https://u:p@vault.test/\n", encoding="utf-8")
    asked = ["restore", "host", "--site", "campus", "--confirm", "campus.test"]
    assert main.main([*asked, "--repository-file", str(reported)]) == 0
    begun = [] if known else [("campus", "rest:https://u:p@vault.test/")]
    assert host.did == [*begun, ("campus", "host", "", "", "")]


def test_a_file_that_is_not_there_is_reported(host, capsys, tmp_path):
    assert main.main(["restore", "list", "--repository-file", str(tmp_path / "gone")]) == 1
    assert f"{tmp_path}/gone" in capsys.readouterr().err
    assert host.did == []
