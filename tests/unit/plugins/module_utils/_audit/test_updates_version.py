# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict on each layout and version of the application, and its reason."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Account, Reader
from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._audit import updates
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files, records
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php
from ansible_collections.chamilo.hardening.plugins.module_utils._updates import advisories
from ansible_collections.chamilo.hardening.plugins.plugin_utils._advisories import brief

DATED = advisories.read(brief()).dated
LISTED = datetime.datetime.fromisoformat(f"{DATED}T12:00:00+00:00").timestamp()
ROOT = "/var/www/chamilo"
OWN, INSTALLER = "version.php", "public/main/install/version.php"
LOCK, JSON, PACKAGES = "composer.lock", "composer.json", "vendor/composer/installed.php"
CHANGELOG = "public/documentation/changelog.html"
SHIM = "<?php\n\nreturn require dirname(__DIR__, 3).'/version.php';\n"
OLD_CHANGELOG = "<h1>Chamilo LMS 1.11.10</h1>"


def php(version: str, status: str = "stable", number: str = "1") -> str:
    """As the application's own file is written."""
    return f"""<?php

/* For licensing terms, see /license.txt */

return [
    'new_version' => '{version}',
    'new_version_status' => '{status}',
    'new_version_last_id' => '{number}',
    'new_version_stable' => true, // what the installer shows
    'new_version_major' => false,
    'software_name' => 'Chamilo',
    'software_url' => 'https://chamilo.org/',
];
"""


def old(version: str) -> str:
    """As 1.11 has it."""
    return f"<?php\n$stable = true;\n$new_version = '{version}';\n$new_version_branch = '1.11';\n"


def lock(framework: str) -> str:
    packages = [
        {"name": "symfony/form", "version": "v5.0.1"},
        {"name": "symfony/framework-bundle", "version": framework},
    ]
    return json.dumps({"packages": packages}, indent=4)


def packages(version: str) -> str:
    return (
        "<?php return array(\n    'root' => array(\n        'name' => 'chamilo/chamilo-lms',\n"
        f"        'pretty_version' => '{version}',\n        'version' => '2.0.4.0',\n    ),\n);\n"
    )


def migrations(*lines: str) -> dict[str, str]:
    return {f"src/CoreBundle/Migrations/Schema/V{line}/Version20260727000000.php": "<?php" for line in lines}


TWO = {LOCK: lock("v6.4.26"), **migrations("200")}
THREE = {LOCK: lock("v7.4.1"), INSTALLER: SHIM, CHANGELOG: OLD_CHANGELOG, **migrations("200", "210", "300")}
NEXT = {**THREE, **migrations("310")}


def two(version: str) -> dict[str, str]:
    return {**TWO, INSTALLER: php(version)}


def three(version: str) -> dict[str, str]:
    return {**THREE, OWN: php(version)}


LAYOUTS = {
    # What is installed, and whether it is behind.
    "2.0.0": (two("2.0.0"), "fail", "fixed in 2.0.4"),
    "2.0.1": (two("2.0.1"), "fail", "fixed in 2.0.4"),
    "2.0.2": (two("2.0.2"), "fail", "fixed in 2.0.4"),
    "2.0.3": (two("2.0.3"), "fail", "fixed in 2.0.4"),
    "2.0.4": (two("2.0.4"), "pass", "no longer supported"),
    "2.0.4 written v2.0.4": (two("v2.0.4"), "pass", "2.0.4 is installed"),
    "a candidate of 2.0.0": ({**TWO, INSTALLER: php("2.0.0", "RC", "2")}, "fail", "2.0.0-RC.2 is installed"),
    "a candidate of 3.0.2": ({**THREE, OWN: php("3.0.2", "RC", "1")}, "fail", "3.0.2-RC.1 is installed"),
    "3.0.2 in the making": (three("3.0.2-dev"), "fail", "3.0.2-dev is installed"),
    "2.1.0, a snapshot": ({**THREE, OWN: php("2.1.0")}, "fail", "was never released"),
    "2.1.3, a snapshot": ({**TWO, OWN: php("2.1.3")}, "fail", "was never released"),
    "3.0.0": (three("3.0.0"), "fail", "fixed in 3.0.2"),
    "3.0.1": (three("3.0.1"), "fail", "fixed in 3.0.2"),
    "3.0.2": (three("3.0.2"), "pass", "3.0.2 is installed"),
    "3.0.3, newer than the list": (three("3.0.3"), "pass", "3.0.3 is installed"),
    "3.1.0, unknown to the list": ({**NEXT, OWN: php("3.1.0")}, "not_assessed", "knows nothing of the branch 3.1"),
    "1.11.40": ({INSTALLER: old("1.11.40")}, "fail", "fixed in 1.11.42"),
    "1.10.8": ({INSTALLER: old("1.10.8")}, "fail", "no longer gets fixes"),
    # Which file counts.
    "the root's file before the installer's": (
        {**two("2.0.4"), **three("3.0.1"), INSTALLER: php("2.0.4")},
        "fail",
        "3.0.1 is installed",
    ),
    "the installer of 3.0 deleted": ({**three("3.0.2"), INSTALLER: None}, "pass", "3.0.2 is installed"),
    "the installer of 2.0 deleted": (
        {**TWO, CHANGELOG: OLD_CHANGELOG},
        "not_assessed",
        "The code is of the branch 2.0",
    ),
    "deleted, named by Composer": ({**TWO, PACKAGES: packages("v2.0.4")}, "pass", "2.0.4 is installed"),
    "deleted, Composer without a tag": (
        {**TWO, PACKAGES: packages("dev-master"), JSON: '{"name": "chamilo/chamilo-lms", "version": "2.0.3"}'},
        *("fail", "2.0.3 is installed"),
    ),
    "deleted, Composer without a version": (
        {**TWO, PACKAGES: packages("1.0.0+no-version-set")},
        "not_assessed",
        "The code is of the branch 2.0",
    ),
    "3.0 without its file": (THREE, "not_assessed", "The code is of the branch 3.0"),
    "a file of 2.0 in a tree of 3.0": (
        {**THREE, INSTALLER: php("2.0.4")},
        "not_assessed",
        "the code is of the branch 3.0",
    ),
    "3.0.2 on an old framework": ({**TWO, OWN: php("3.0.2")}, "not_assessed", "the code is of the branch 2.0"),
    "nothing at all": ({CHANGELOG: OLD_CHANGELOG}, "not_assessed", "The installed version is not known: no file"),
    # Hostile.
    "huge": ({**THREE, OWN: php("3.0.2") + " " * (1 << 20)}, "not_assessed", "larger than 65536 bytes"),
    "binary": ({**THREE, OWN: "\x7fELF\0\0'new_version' => '3.0.2'"}, "not_assessed", "more than a list of values"),
    "a link": ({**two("2.0.4"), OWN: "-> /root/key"}, "not_assessed", "is a link"),
    "a second value": (
        {**THREE, OWN: php("3.0.1").replace("];", "'new_version' => '3.0.2'];")},
        "not_assessed",
        "more than a list of values",
    ),
    "a value in a comment": (
        {**THREE, OWN: "<?php // 'new_version' => '3.0.2'\n" + php("3.0.1")[5:]},
        "fail",
        "3.0.1 is installed",
    ),
    "a comment that ends PHP": (
        {**THREE, OWN: "<?php // ?><?php return ['new_version' => '3.0.1']; //\nreturn ['new_version' => '3.0.2'];"},
        *("not_assessed", "more than a list of values"),
    ),
    "an earlier return": (
        {**THREE, OWN: php("3.0.2").replace("return [", "if (true) { return ['new_version' => '3.0.1']; }\nreturn [")},
        *("not_assessed", "more than a list of values"),
    ),
    "a value put together": (
        {**THREE, OWN: "<?php return ['new_version' => '3.0'.'.2'];"},
        "not_assessed",
        "more than a list of values",
    ),
    "a call": (
        {**THREE, OWN: "<?php return ['new_version' => getenv('X') ?: '3.0.2'];"},
        "not_assessed",
        "more than a list of values",
    ),
    "a number that goes on": ({**THREE, OWN: php("3.0.2<script>")}, "not_assessed", "names no version where it should"),
    "a number for a terminal": (
        {**THREE, OWN: php("3.0.2\x1b[2J")},
        "not_assessed",
        "names no version where it should",
    ),
    "a tower of Composer's": ({**TWO, JSON: "[" * 100_000}, "not_assessed", "The code is of the branch 2.0"),
}


def test_each_layout_is_in_the_documentation_with_its_verdict() -> None:
    """UPDATE=1 renders the table anew."""
    page = Path(__file__).resolve().parents[5] / "docs/tested.md"
    text = page.read_text(encoding="utf-8")
    before, heading, rest = text.partition("| version or layout | verdict | its reason, in part |\n|---|---|---|\n")
    old, blank, after = rest.partition("\n\n")
    rows = "\n".join(f"| {name} | `{status}` | {words} |" for name, (_files, status, words) in LAYOUTS.items())
    if os.environ.get("UPDATE"):
        page.write_text(f"{before}{heading}{rows}{blank}{after}", encoding="utf-8")
    else:
        assert old == rows


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_is_reported_of_a_layout(host, look_at, name: str) -> None:
    files, status, words = LAYOUTS[name]
    host.write(f"{ROOT}/public/main/index.php")
    host.write(f"{ROOT}/bin/console")
    for path, text in files.items():
        if text is not None and text.startswith("-> "):
            host.write("/root/key", php("3.0.2"))
            (host.root / "root/key").chmod(0o600)
            host.link(f"{ROOT}/{path}", "../../../root/key")
        elif text is not None:
            host.write(f"{ROOT}/{path}", text)
    site = discover("campus.test", ROOT, tree=host.tree)
    shown = (field for field in ("version", "version_source", "branch") if hasattr(site, field))
    observer = look_at(root=ROOT, **{field: getattr(site, field) for field in shown})
    observer.now = LISTED + 86400
    observer.settings = {}
    finding = updates.version(observer)
    assert (finding.status, words in finding.evidence) == (status, True), finding.evidence


# ------------------------------------------------------------------------------------- joined with what was last read


@pytest.fixture
def installed(look_at, monkeypatch, tmp_path):
    """The finding on 2.0.4 or another version, so many days after the list. ``read``: what the daily check noted."""
    monkeypatch.setattr(files, "STATE", str(tmp_path))

    def make(version="2.0.4", days=1.0, feed=None):
        observer = look_at(root=ROOT, version=version, version_source=OWN)
        observer.now = LISTED + days * 86400
        records.note("updates.json", "watch", True, "x", read={"campus.test": {"feed": feed or {}}})
        return updates.version(observer)

    return make


@pytest.mark.parametrize(
    ("newest", "status"),
    [("2.0.4", "pass"), ("2.0.5", "fail"), ("2.0.10", "fail"), ("2.0.3", "pass"), ("", "pass"), ("a hoax", "pass")],
)
def test_a_newer_release_of_the_branch_never_passes(installed, newest, status):
    finding = installed(feed={"at": LISTED, "newest": {"2.0": newest, "3.0": "3.0.9"}})
    assert finding.status == status
    assert (f"{newest} is the newest release of its branch" in finding.evidence) is (status == "fail")


DAY = 86400


@pytest.mark.parametrize(
    ("days", "feed", "status"),
    [
        (60, {}, "pass"),
        (61, {}, "not_assessed"),
        (61, {"at": LISTED + 60 * DAY, "newest": {"2.0": "2.0.4"}}, "pass"),
        (61, {"at": LISTED + 60 * DAY, "newest": {"2.0": "2.0.4"}, "problem": "away since this night"}, "pass"),
        (61, {"at": LISTED + 90 * DAY, "newest": {"2.0": "2.0.4"}}, "not_assessed"),  # the clock was wrong
    ],
)
def test_an_old_list_is_no_proof_without_a_feed(installed, days, feed, status):
    finding = installed(days=days, feed=feed)
    assert finding.status == status
    assert ("too old" in finding.evidence) is (status == "not_assessed")
    assert f"list of vulnerabilities of {DATED} ({days} days old)" in finding.evidence


def test_the_evidence_reports_when_what_was_read(installed):
    finding = installed(feed={"at": LISTED, "newest": {}, "problem": "github.com could not be reached"})
    assert finding.evidence.endswith(
        f"Known by: list of vulnerabilities of {DATED} (1 day old), feed of releases read "
        f"{DATED} 12:00 UTC, not reached since."
    )


def test_without_root_nothing_that_was_read_is_known(look_at, monkeypatch):
    def closed(_file):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(records, "read", closed)
    observer = look_at(root=ROOT, version="2.0.4", version_source=OWN)
    observer.now = LISTED
    assert "feed of releases not read yet" in updates.version(observer).evidence


@pytest.mark.parametrize(
    ("version", "php", "status"),
    [
        ("3.0.2", "8.2", "fail"),
        ("3.0.2", "8.3", "pass"),
        ("3.0.2", "8.10", "pass"),
        ("3.0.2", "", "pass"),
        ("2.0.4", "8.2", "pass"),
        ("2.0.4", "8.1", "fail"),
    ],
)
def test_php_that_is_too_old_for_the_release_is_named(look_at, version, php, status):
    observer = look_at(root=ROOT, version=version, version_source=OWN, php=Php(php))
    observer.now = LISTED
    finding = updates.version(observer)
    assert (finding.status, f"and this portal runs with {php}" in finding.evidence) == (status, status == "fail")


@pytest.mark.parametrize(("versions", "warned"), [([], True), ([{"version": "V200"}], False)])
def test_an_empty_history_of_migrations_is_named_before_an_update(look_at, versions, warned):
    def ask(sql):
        return [{"name": "user"}, {"name": "version"}] if "information_schema" in sql else versions

    observer = look_at(root=ROOT, version="2.0.4", version_source=OWN)
    observer.now, observer.database = LISTED, Reader(Account("chamilo"), ask=ask)
    finding = updates.version(observer)
    assert finding.status == "pass" and ("The history of migrations is empty" in finding.evidence) == warned
