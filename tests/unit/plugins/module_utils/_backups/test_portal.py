# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which portals are backed up, and what the host remembers of all of them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError

ROOT = Path(__file__).resolve().parents[5]

pytestmark = pytest.mark.usefixtures("directories")


def test_what_an_older_configuration_lacks_is_as_the_role_declares_it() -> None:
    declared = yaml.safe_load((ROOT / "roles/backups/defaults/main.yml").read_text())
    kept = {name: declared[f"chamilo_backups_{name}"] for name in ("keep_daily", "keep_weekly", "keep_monthly")}
    usual = {"web_user": "www-data", "host": "localhost", "port": 3306, "drills": True, **kept}
    texts = dict.fromkeys(("php", "php_service", "socket", "name", "repository", "offsite", "scratch"), "")
    given = {"site": "one", "domain": "one.test", "root": "/x"}
    assert asdict(portal.parse(json.dumps({**given, "other": 1}), "x")) == {**given, **usual, **texts}
    for damaged in ("{", "[]", "{}"):
        with pytest.raises(BackupError, match="x cannot be used: .* Run the playbook harden again"):
            portal.parse(damaged, "x")


def test_the_audit_sees_the_worst_of_all_portals(directories: Path) -> None:
    for site in ("one", "two"):
        (directories / "etc" / f"backups-{site}.json").write_text(
            json.dumps({"site": site, "domain": f"{site}.test", "root": "/x"})
        )
    one, two = portal.portals()
    portal.note(one, "database", False, "broken")
    portal.note(two, "database", True, "fine")
    entry = json.loads((directories / "state" / "backups.json").read_text())["database"]
    assert (entry["ok"], entry["detail"], entry["site"]) == (False, "broken", "one")
    portal.note(one, "database", True, "fine again")
    assert json.loads((directories / "state" / "backups.json").read_text())["database"]["ok"] is True


def test_a_repository_that_no_copy_reached_is_due(directories: Path) -> None:
    vault, other = "sftp:backup@vault.test:/srv", "rest:https://user:secret@other.test/campus"
    for last, offsite, due in (
        ({}, "", False),
        ({"offsite": vault}, vault, False),
        ({"offsite": vault}, other, True),
        ({"offsite": "rest:https://other.test/campus"}, other, False),
        ({"offsite": True}, other, False),  # an older version did not note where
        ({}, other, True),
    ):
        one = portal.Portal("campus", "campus.test", "/x", offsite=offsite)
        portal.note(one, "database", True, "fine")
        portal.remember(one, {**portal.remembered(one), "last": last})
        assert ("backup" in portal.due(one)) is due, (last, offsite)


def test_a_repository_is_shown_without_its_password() -> None:
    assert portal.shown("rest:https://campus:secret@store.example/x") == "rest:https://store.example/x"
    assert portal.shown("rest:https://campus:se@cret@store.example/x@y") == "rest:https://store.example/x@y"
    assert portal.shown("rest:https://campus:se/cr@et@store.example/x") == "rest:https://store.example/x"
    for plain in ("rest:https://store.example:8000/x@y", "rest:https://[2001:db8::5]:8000/x@y", "sftp:me@there:/x"):
        assert portal.shown(plain) == plain


def test_the_farthest_repository_is_the_last_that_is_configured() -> None:
    one = portal.Portal("one", "one.test", "/x", repository="/near", offsite="/far")
    assert (one.places, one.farthest) == (("/near", "/far"), "/far")
    assert portal.Portal("one", "one.test", "/x", repository="/near").farthest == "/near"
    words = r"^No repository is configured for one\.test: set chamilo_backups_repository\.$"
    with pytest.raises(BackupError, match=words):
        _none = portal.Portal("one", "one.test", "/x").farthest
