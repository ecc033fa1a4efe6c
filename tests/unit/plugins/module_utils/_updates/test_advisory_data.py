# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engines carry is the content of meta/advisories.yml, which is of the form it should have."""

from __future__ import annotations

import copy

import jsonschema
import pytest

from tests.tools import advisories


def test_the_list_is_of_its_form_and_the_engines_carry_the_same() -> None:
    assert advisories.main(["--check"]) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"id": "CHAMILO-1"},
        {"modified": "2026-11-29"},
        {"fixed": "2.0.4"},
        {"aliases": []},
        {"severity": [{"type": "CVSS_V3", "score": "9.8"}]},
        {"affected": [{"package": {"ecosystem": "Packagist", "name": "other/other"}, "ranges": []}]},
        {"references": [{"type": "WEB", "url": "http://example.org/"}]},
        {"database_specific": {"severity": "9.8"}},
        {"database_specific": {"controls": "updates_installer"}},
    ],
    ids=str,
)
def test_what_is_not_of_the_schema_is_refused(change: dict[str, object]) -> None:
    known = copy.deepcopy(advisories.load())
    known["advisories"][0].update(change)
    with pytest.raises(jsonschema.ValidationError):
        advisories.validate(known)


def test_a_vulnerability_stands_in_it_once() -> None:
    known = copy.deepcopy(advisories.load())
    known["advisories"].append({**known["advisories"][0], "id": "GHSA-2222-2222-2222"})
    with pytest.raises(SystemExit, match="CVE-2026-45140|GHSA-g4c3"):
        advisories.validate(known)
