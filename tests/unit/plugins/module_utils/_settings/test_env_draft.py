# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts of environment files, and the reader that was compared with Symfony's own Dotenv."""

from __future__ import annotations

import random

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._settings import env_draft
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.env_draft import EnvError


@pytest.mark.parametrize(
    "before, after",
    [
        ("A=1", "A=new"),
        ("A='1'", "A='new'"),
        ('A="1"', 'A="new"'),
        ("A= # why", "A=new # why"),
        ("A='1' # why", "A='new' # why"),
        ("A='x'\"y\"z # why", "A='new' # why"),
        ("export A=1\n", "export A=new\n"),
        ("# A=0\nA=1\n#A=2\n", "# A=0\nA=new\n#A=2\n"),
        ("A=1\nB=2\nA=3\n", "A=1\nB=2\nA=new\n"),
        ("A='two\nlines'\nB=2\n", "A='new'\nB=2\n"),
        ("X=1\r\nA=1\r\nB=2\r\n", "X=1\r\nA=new\r\nB=2\r\n"),
        ("B=2", "B=2\nA=new\n"),
        ("", "A=new\n"),
        ("A=$B-x\n", "A=new\n"),
        ("B=ünï # ö\nA=ü\n", "B=ünï # ö\nA=new\n"),
    ],
)
def test_everything_but_the_value_stays(before, after):
    assert env_draft.set_dotenv(before, ".env", "A", "new") == after


VALUES = [
    "",
    "it's",
    "p$ss",
    "$(id)",
    "back\\slash",
    " # x",
    "two\nlines",
]


@pytest.mark.parametrize("seed", range(200))
def test_random_values_come_back(app, seed):
    chance = random.Random(seed)
    value = "".join(chance.choice("aZ0 '\"\\$#{}()=\n\t`!nrü") for _ in range(chance.randrange(12)))
    text = chance.choice(["A=1 # c\nB=2\n", "A='x'\nB=2\n", 'A="x"\nB=2\n', "B=2\n"])
    app.write(".env", env_draft.set_dotenv(text, ".env", "A", value))
    environment = app.see()
    assert (environment.problems, environment.secret("A"), environment.secret("B")) == ((), value, "2")


@pytest.mark.parametrize("value", VALUES)
def test_the_array_that_composer_writes(app, value):
    text = "<?php\n\n// by hand: no\n\nreturn array (\n  'APP_ENV' => 'prod',\n  'A' => 'it\\'s',\n);\n"
    for old in (text, text.replace("  'A' => 'it\\'s',\n", "")):
        app.write(".env.local.php", env_draft.set_php(old, ".env.local.php", "A", value))
        assert app.see().secret("A") == value
        assert app.see().get("APP_ENV") == "prod"


@pytest.mark.parametrize(
    "before, after",
    [
        ("B=1\nA=x\n", "B=1\n"),
        ("A='x' # why\nB=1\n", "B=1\n"),
        ("B=1\nexport A=x", "B=1\n"),
        ("B=1\r\nA='two\r\nlines'\r\nC=3\r\n", "B=1\r\nC=3\r\n"),
        ("A=1\nB=2\nA=3\n", "A=1\nB=2\n"),
    ],
)
def test_a_line_is_taken_out_and_no_other(before, after):
    assert env_draft.unset_dotenv(before, ".env", "A") == after


def test_a_name_is_meant_whole_wherever_it_stands():
    text = "A=1\nB=2\nBA=3\nA=4\nC=5\n"
    assert env_draft.set_dotenv(text, ".env", "B", "x") == text.replace("B=2", "B=x")
    assert env_draft.unset_dotenv(text, ".env", "B") == text.replace("B=2\n", "")
    assert env_draft.set_dotenv(text, ".env", "AB", "x") == f"{text}AB=x\n"


def test_what_was_put_in_is_taken_out_again_wherever_it_is_read(app):
    composed = "<?php return array (\n  'APP_ENV' => 'prod',\n);\n"
    app.write(".env", "APP_ENV=prod\n")
    app.write(".env.local.php", composed)
    assert app.set(values={"TRUSTED_PROXIES": "10.0.0.5"})[1] == ""
    assert app.see().visible["TRUSTED_PROXIES"] == "10.0.0.5" and "10.0.0.5" in app.read(".env")
    result, problem = app.set(values={"TRUSTED_PROXIES": None})
    assert problem == "" and [one["after"] for one in result.diff] == ["", ""]
    assert (app.read(".env"), app.read(".env.local.php")) == ("APP_ENV=prod\n", composed)
    assert not app.set(values={"TRUSTED_PROXIES": None})[0].changed


def test_the_last_entry_of_an_array_counts_and_the_rest_stays():
    text = "<?php return ['A' => '1', 'B' => '2',\n 'A'  =>  '3', 'C' => '4'];"
    assert env_draft.set_php(text, "x.php", "A", "new") == text.replace("'3'", "'new'")
    assert env_draft.set_php(text, "x.php", "D", "new") == text.replace("['A'", "[\n  'D' => 'new','A'")


def test_a_program_is_no_array(app):
    with pytest.raises(EnvError, match="not what `composer dump-env` writes, so A cannot be set"):
        env_draft.set_php("<?php echo 1;", "x.php", "A", "1")
