# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random

import pytest
import yaml

from ansible_collections.chamilo.hardening.plugins.module_utils._application.overrides import (
    OverridesError,
    edit,
    parse,
)

CHECK = "security.check_password"
BLACKLIST = "document.upload_extensions_blacklist"


FULL = """\
# Pinned by the infrastructure team, ask Ada.
parameters:
    locale: fr   # not ours
    settings_overrides:
        default:   # all portals
            hosting_limit:
                users: 0
                courses: 0
            security.allow_captcha: 'true'   # since the attack

            # passwords
            security.check_password: 'false' # soon
        2:
            "document.upload_extensions_blacklist": exe;bat # short
    other: 1

services: {}
"""


def test_maps_of_other_things_are_left_out():
    assert parse(FULL, "x.yaml") == {
        "default": {"security.allow_captcha": "true", CHECK: "false"},
        "2": {"document.upload_extensions_blacklist": "exe;bat"},
    }


def test_what_stands_elsewhere_in_the_file_is_no_override():
    elsewhere = (
        "a:\n  b:\n    c:\n      security.x: 'no'\nparameters:\n  other:\n    default:\n      security.x: 'no'\n"
    )
    assert parse(elsewhere, "x.yaml") == {}
    assert parse(elsewhere + "  settings_overrides:\n    default:\n      security.x: 'yes'\n", "x.yaml") == {
        "default": {"security.x": "yes"}
    }
    new = edit(elsewhere, "x.yaml", {"default": {"security.x": None}})
    assert new == elsewhere
    new = edit(elsewhere, "x.yaml", {"default": {"security.x": "yes"}})
    assert new == elsewhere + "  settings_overrides:\n      default:\n          security.x: 'yes'\n"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", "true without quotes"),
        ("~", "~ without quotes"),
        ("'true'", "true"),
        ("12  # why", "12"),
        ("a#b", "a#b"),
        ("'it''s'", "it's"),
        (r'"a\\n\tb\"c"', 'a\\n\tb"c'),
        (r'"\r\0\/\ "', "\r\0/ "),
        ("100%%", "100%"),
    ],
)
def test_a_value_is_read_as_the_application_reads_it(written, value):
    assert parse(f"parameters:\n  settings_overrides:\n    2:\n      a.b: {written}\n", "x.yaml") == {
        "2": {"a.b": value}
    }


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (r'"\x41"', "line 4: an escape that this reader does not know"),
        ("a%locale%", "line 4: the value depends on another parameter"),
        ("'a %%%b%'", "line 4: the value depends on another parameter"),
    ],
)
def test_a_value_that_this_reader_cannot_know_is_refused(written, words):
    with pytest.raises(OverridesError) as problem:
        parse(f"parameters:\n  settings_overrides:\n    2:\n      a.b: {written}\n", "x.yaml")
    assert f"x.yaml, {words}" in str(problem.value)


@pytest.mark.parametrize(
    ("changes", "old", "new"),
    [
        ({"default": {CHECK: "true"}}, "'false' # soon", "'true' # soon"),
        ({"2": {BLACKLIST: "exe;php"}}, "exe;bat # short", "'exe;php' # short"),
        # A new value stands behind the others of its scope, and a new scope behind the others.
        (
            {"default": {"security.x": "1"}},
            "'false' # soon\n",
            "'false' # soon\n            security.x: '1'\n",
        ),
        ({"3": {"security.x": "1"}}, "# short\n", "# short\n        3:\n            security.x: '1'\n"),
        ({"default": {CHECK: None}}, f"            {CHECK}: 'false' # soon\n", ""),
        ({"3": {CHECK: None}}, "", ""),
        # A scope that was emptied stays a map.
        ({"2": {BLACKLIST: None}}, f'2:\n            "{BLACKLIST}": exe;bat # short\n', "2: {}\n"),
        ({"2": {BLACKLIST: None, CHECK: "true"}}, f'"{BLACKLIST}": exe;bat # short', f"{CHECK}: 'true'"),
    ],
)
def test_what_is_changed_stands_in_its_place(changes, old, new):
    assert edit(FULL, "x.yaml", changes) == FULL.replace(old, new)


def test_an_emptied_scope_takes_a_value_again():
    emptied = edit(FULL, "x.yaml", {"2": {BLACKLIST: None}})
    again = edit(emptied, "x.yaml", {"2": {CHECK: "true"}})
    assert again == emptied.replace("2: {}\n", f"2:\n            {CHECK}: 'true'\n")


@pytest.mark.parametrize(
    ("row", "new"),
    [
        ("a.b:   'c'  # why", "a.b:   'd' # why"),
        ("'a.b' : \"c\"", "'a.b' : 'd'"),
        ("a.b: c\r", "a.b: 'd'\r"),
    ],
)
def test_what_stands_around_a_value_stays(row, new):
    text = "---\nparameters:\n  settings_overrides:\n    default:\n      {}\n      x.y: 'z'\n"
    assert edit(text.format(row), "x.yaml", {"default": {"a.b": "d"}}) == text.format(new)


def test_a_scope_that_was_emptied_keeps_its_note():
    text = "parameters:\n  settings_overrides:\n    '2': # of the second portal: ask Ada\n      a.b: 'c'\n"
    assert edit(text, "x.yaml", {"2": {"a.b": None}}) == (
        "parameters:\n  settings_overrides:\n    '2': {} # of the second portal: ask Ada\n"
    )


NEW = "security.check_password: 'true'\n"
SETTINGS = f"    settings_overrides:\n        default:\n            {NEW}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", f"parameters:\n{SETTINGS}"),
        ("# a note", f"# a note\nparameters:\n{SETTINGS}"),
        ("parameters:\n", f"parameters:\n{SETTINGS}"),
        ("parameters:\n  a: 1\n", f"parameters:\n  a: 1\n  settings_overrides:\n      default:\n          {NEW}"),
        (
            "parameters:\n  settings_overrides: {}  # none yet\nservices: {}\n",
            f"parameters:\n  settings_overrides:  # none yet\n      default:\n          {NEW}services: {{}}\n",
        ),
        (
            "a: 1\nparameters:\n  settings_overrides:\n    2:\n      a.b: 'c'\n# end\nz: 1",
            "a: 1\nparameters:\n  settings_overrides:\n    2:\n      a.b: 'c'\n"
            f"    default:\n        {NEW}# end\nz: 1\n",
        ),
        (
            "parameters:\r\n  settings_overrides:\r\n    default:\r\n      a.b: 'c'\r\n",
            f"parameters:\n  settings_overrides:\n    default:\n      a.b: 'c'\n      {NEW}".replace("\n", "\r\n"),
        ),
    ],
)
def test_what_is_missing_on_the_way_is_made(text, expected):
    new = edit(text, "x.yaml", {"default": {CHECK: "true"}})
    assert new == expected
    assert yaml.safe_load(new)["parameters"]["settings_overrides"]["default"][CHECK] == "true"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "it's",
        'a "quote"',
        "back\\slash",
        "two\nlines\r\n\tand a tab",
        "100% of %env(SECRET)%",
        "ü \U0001f600 漢",
        '{"min":{"length":12}}' + "x" * 60000,
    ],
)
def test_every_value_comes_back_as_it_was(value):
    new = edit(FULL, "x.yaml", {"default": {CHECK: value}, "7": {CHECK: value}})
    assert parse(new, "x.yaml")["default"][CHECK] == value
    assert parse(new, "x.yaml")["7"][CHECK] == value
    # As Symfony reads it: percent signs are doubled in a container parameter.
    reported = yaml.safe_load(new)["parameters"]["settings_overrides"]
    assert reported["default"][CHECK] == reported[7][CHECK] == value.replace("%", "%%")


def test_a_control_character_cannot_be_pinned():
    with pytest.raises(OverridesError, match=f"value of {CHECK} contains a control character"):
        edit("", "x.yaml", {"default": {CHECK: "a\x1bb"}})


@pytest.mark.parametrize(
    "text",
    [
        "parameters: {settings_overrides: {}}\n",
        "parameters:\n  settings_overrides: 'x'\n",
        "imports:\n  - {resource: x.yaml}\n",
        *(
            f"parameters:\n  settings_overrides:\n    default:{scope}\n"
            for scope in (
                " &all\n      a.b: 'c'",
                "\n      a.b: |\n        long",
                " 'a'",
                "\n      a.b: 'c'\n      a.b: 'd'",
                "\n      a.b:",
                "\n      a.b: 'c'\n    default:\n      a.d: 'd'",
                f"\n      {CHECK}:\n        users: 0",
            )
        ),
    ],
)
def test_another_shape_is_refused_with_its_line(text):
    with pytest.raises(OverridesError, match=r"x\.yaml, line \d"):
        edit(text, "x.yaml", {"default": {CHECK: "true"}})


def test_any_row_of_edits_leaves_a_file_that_reports_what_it_should():
    """Random edits against a plain map, with a YAML parser as the judge."""
    chance = random.Random(4)

    def without_empty(scopes):
        return {name: settings for name, settings in scopes.items() if settings}

    for _ in range(200):
        text = chance.choice(["", FULL, "parameters:\n  settings_overrides: {}\n"])
        reported = parse(text, "x.yaml")
        for _ in range(6):
            scope = chance.choice(["default", "2", "3"])
            key = chance.choice([CHECK, "security.allow_captcha", BLACKLIST])
            value = chance.choice([None, "", "it's # 5%", "a\nb"])
            text = edit(text, "x.yaml", {scope: {key: value}})
            if value is None:
                reported.get(scope, {}).pop(key, None)
            else:
                reported.setdefault(scope, {})[key] = value
            judged = (yaml.safe_load(text) or {}).get("parameters", {}).get("settings_overrides") or {}
            seen = {
                str(name): {k: str(v).replace("%%", "%") for k, v in (settings or {}).items() if "." in k}
                for name, settings in judged.items()
            }
            assert without_empty(seen) == without_empty(parse(text, "x.yaml")) == without_empty(reported)
