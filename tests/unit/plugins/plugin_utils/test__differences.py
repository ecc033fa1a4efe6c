# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.plugin_utils._differences import brief

OWNERS = {
    "prepared": "--- before: /etc/nginx/site\n+++ after: /etc/nginx/site\n@@ -1 +1,2 @@\n server {\n+    include x;\n"
}
TEXT = {"before_header": "/etc/x", "after_header": "/etc/x", "before": "one line\n", "after": "another\n"}
APT = "Suggested packages:\n  mailx\nThe following NEW packages will be installed:\n  fail2ban\n  monit\n0 upgraded\n"


def values(before: str, after: str) -> dict[str, Any]:
    return {"before_header": "x", "after_header": "x", "before": before, "after": after}


@pytest.mark.parametrize(
    ("one", "lines"),
    [
        (values("", "# Ours.\nlisten 443;\n"), "+++ after: x (new; -vv shows it)"),
        (values("APP_ENV=dev\nA=1\n", "APP_ENV=prod\nA=1\n"), "+++ after: x\nAPP_ENV=dev -> prod"),
        (values("a.b of portal 1: ''\n", "a.b of portal 1: '5'\n"), "+++ after: x\na.b of portal 1: '' -> '5'"),
        (
            values("bin  w:w 0777\n", "bin  root:w 0755\nand others: 9\n"),
            "+++ after: x\nbin  w:w 0777 -> root:w 0755\n+and others: 9",
        ),
        ({"prepared": APT}, "The following NEW packages will be installed:\n  fail2ban\n  monit"),
    ],
)
def test_what_is_new_or_one_value_takes_a_line(one: dict[str, Any], lines: str) -> None:
    assert brief([one], set()) == [{"prepared": f"{lines}\n"}]


def test_long_lists_are_cut_with_their_number() -> None:
    many = [f"file{number}  " for number in range(30)]
    (found,) = brief([values("".join(f"{one}a\n" for one in many), "".join(f"{one}b\n" for one in many))], set())
    assert found["prepared"].count("->") == 8 and found["prepared"].endswith("and 22 more; -vv shows them\n")


@pytest.mark.parametrize("one", [OWNERS, TEXT, values("A=1\nB=2\n", "A=1\n")])
def test_a_text_of_somebody_else_is_shown_as_it_changes(one: dict[str, Any]) -> None:
    assert brief([one], set()) == [one]


def test_the_same_is_shown_once_for_a_host() -> None:
    shown: set[str] = set()
    assert brief([OWNERS], shown) == [OWNERS] and brief([OWNERS, TEXT], shown) == [TEXT]
