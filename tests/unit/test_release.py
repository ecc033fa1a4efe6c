"""bin/release says what is missing, and lets nothing be released that is not as the promises for versions have it."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from tests.tools.release import least, missing

TODAY = datetime.date(2026, 12, 2)
FILES = {
    "changelogs/changelog.yaml": "releases: {1.0.0: {}, 1.0.1: {}}\n",
    "changelogs/fragments/a.yml": "release_summary: For all.\nremoved_features: [x - y.]\n",
    "meta/advisories.json": '{"dated": "2026-11-29"}',
    "plugins/modules/a.py": "version_added: 1.0.0\nversion_added: 2.0.0\n",
    "roles/a/meta/argument_specs.yml": "version_added: 1.0.1\n",
    "docs/upgrade.md": "## From 1.0.1 to 2.0.0\n",
}


@pytest.mark.parametrize(
    ("path", "text", "version", "message"),
    [
        ("", "", "2.0.0", ""),
        ("", "", "1.1.0", "at least 2.0.0"),
        ("changelogs/fragments/a.yml", "removed_features: [x - y.]\n", "2.0.0", "no release_summary"),
        ("meta/advisories.json", '{"dated": "2026-10-01"}', "2.0.0", "of 2026-10-01"),
        ("plugins/modules/a.py", "    version_added: 1.1.0\n", "2.0.0", "version_added is 1.1.0"),
        ("docs/upgrade.md", "## From 1.0.0 to 2.0.0\n", "2.0.0", 'no section "From 1.0.1 to 2.0.0"'),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, path: str, text: str, version: str, message: str) -> None:
    for name, content in {**FILES, **({path: text} if path else {})}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    found = list(missing(tmp_path, version, TODAY))
    assert not found if not message else any(message in one for one in found)


@pytest.mark.parametrize(
    ("kinds", "version"),
    [
        ({"bugfixes"}, "1.2.4"),
        ({"bugfixes", "minor_changes"}, "1.3.0"),
        ({"breaking_changes", "minor_changes"}, "2.0.0"),
    ],
)
def test_the_version_follows_from_what_changed(kinds: set[str], version: str) -> None:
    assert least("1.2.3", kinds) == version
