# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is believed of Chamilo, against a program that is so, otherwise, or not to be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import beliefs
from ansible_collections.chamilo.hardening.plugins.module_utils._audit.engine import doubted
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import Finding, failed, passed
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _beliefs, _controls

FACT: dict[str, Any] = {
    "id": "captcha",
    "belief": "The CAPTCHA is a setting",
    "file": "src/Captcha.php",
    "words": ["allow_captcha", "captcha_time"],
    "controls": ["brute_force_captcha", "brute_force_unlock"],
    "checks": ["brute_force_captcha"],
    "fixers": ["brute_force_captcha"],
    "since": "2.0.0",
    "before": "4.0.0",
}


def judged(root: Path, text: str | None, version: str = "3.0.2") -> list[beliefs.Belief]:
    (root / "src").mkdir(exist_ok=True)
    if text is not None:
        (root / "src/Captcha.php").write_text(text)
    return beliefs.judge([FACT], str(root), version, "nobody")


@pytest.mark.parametrize(
    ("text", "state", "missing"),
    [
        ("allow_captcha captcha_time", "holds", ()),
        ("allow_captcha", "does not hold", ("captcha_time",)),
        (None, "not known", ()),
    ],
)
def test_a_file_with_its_words_is_as_believed(tmp_path: Path, text: str | None, state: str, missing: Any) -> None:
    (one,) = judged(tmp_path, text)
    assert (one.state, one.missing) == (state, missing)


@pytest.mark.parametrize(("version", "judges"), [("1.11.40", 0), ("2.0.0", 1), ("3.0.2", 1), ("4.0.0", 0), ("", 1)])
def test_a_fact_is_of_its_versions(tmp_path: Path, version: str, judges: int) -> None:
    assert len(judged(tmp_path, "", version)) == judges


def test_no_fixer_is_kept_from_its_work_by_what_others_than_root_could_have_written(tmp_path: Path) -> None:
    sticky = judged(tmp_path, "")
    assert not sticky[0].vouched and beliefs.doubts(sticky) == [], "/tmp is everybody's"
    (doubt,) = beliefs.doubts([beliefs.Belief(sticky[0].fact, "does not hold", ("captcha_time",), vouched=True)])
    assert doubt.controls == ("brute_force_captcha",)
    assert doubt.why.startswith("This Chamilo does it otherwise: src/Captcha.php does not have captcha_time.")


def test_a_check_that_stands_on_it_does_not_assess_and_the_others_tell_it(tmp_path: Path) -> None:
    found: dict[str, Finding] = {
        "brute_force_captcha": passed("It is on."),
        "brute_force_unlock": failed("There is none."),
        "headers_csp": passed("Sent."),
    }
    assert doubted(found, judged(tmp_path, "allow_captcha captcha_time")) == found
    now = doubted(found, judged(tmp_path, "allow_captcha"))
    assert now["brute_force_captcha"].status == "not_assessed"
    assert now["brute_force_unlock"].status == "fail"
    assert now["brute_force_unlock"].evidence.startswith("There is none. This Chamilo does it otherwise: src/Captcha")
    assert now["headers_csp"] == found["headers_csp"]


@pytest.mark.parametrize("fact", _beliefs.brief(), ids=lambda fact: str(fact["id"]))
def test_what_rests_on_a_fact_is_in_the_table_of_controls(fact: dict[str, Any]) -> None:
    rests = set(fact["controls"])
    assert rests <= {*_controls.load().by_id}
    assert {*fact.get("checks", ()), *fact.get("fixers", ())} <= rests
