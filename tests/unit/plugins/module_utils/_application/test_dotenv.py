# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import dotenv, known_secrets
from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Place

ROOT = "/srv/campus"
OWN = "6f1c0b7e94d25a83c1f0e7b2a9d46358"


def read(host, files, real=None):
    for name, text in files.items():
        host.write(f"{ROOT}/{name}", text)
    return dotenv.read(host.tree, ROOT, real)


# Each of these was given to symfony/dotenv 6.4.50 as well, with this outcome.
@pytest.mark.parametrize(
    "text, values",
    [
        ('A="x y"', {"A": "x y"}),
        ("A='x $B \"q\"'", {"A": 'x $B "q"'}),
        ('A="a\\nb"', {"A": "a\nb"}),
        ('A="say \\"hi\\""', {"A": 'say "hi"'}),
        ("A=it\\'s", {"A": "it's"}),
        ("A=plain # comment", {"A": "plain"}),
        ("A=plain#nocomment", {"A": "plain#nocomment"}),
        ("A='a'\"b\"c", {"A": "abc"}),
        ("A= # c", {"A": ""}),
        ("B=1\nA=${B}x", {"A": "1x", "B": "1"}),
        ("A=$B\nB=$C\nC=$D\nD=x", {"A": "x", "B": "x", "C": "x"}),
        ("A=$A$B\nB=x", {"A": "x"}),
        # Each pass reads what the pass before it left.
        ("C=x\nB=$C\nA=$B$C", {"A": "", "B": "x"}),
        ("B=${B:-d}x\nA=$B", {"A": "dxx", "B": "dx"}),
        ("A=$B\nB=$A", {"A": "$A", "B": "$B"}),
        ("A=$B\nB=late", {"A": "late", "B": "late"}),
        ("A=${NOPE:-def}", {"A": "def"}),
        ('A="p\\$ss"', {"A": "p$ss"}),
        ('B=1\nA="\\\\\\$B"', {"A": "\\$B"}),
        ('B=1\nA="\\\\\\\\$B"', {"A": "\\\\1"}),
        ('B=1\nA="\\\\$B"', {"A": "\\1", "B": "1"}),
        ("A='multi\nline'", {"A": "multi\nline"}),
        ("A=^https?://(localhost|127\\\\.0)(:[0-9]+)?$", {"A": "^https?://(localhost|127\\.0)(:[0-9]+)?$"}),
        ("# only\n\n  A=1\n\t# x\n  B=2", {"A": "1", "B": "2"}),
        ("A=x\r\nB=y\r\n", {"A": "x", "B": "y"}),
        ('A=a"b c"', {"A": "ab c"}),
        ('A="x\\\\"\nB=1', {"A": "x\\", "B": "1"}),
    ],
)
def test_values_are_those_symfony_sees(host, text, values):
    environment = read(host, {".env": text})
    assert environment.problems == ()
    assert {name: environment.secret(name) for name in values} == values


@pytest.mark.parametrize(
    "text, problem",
    [
        ("X=1\nA =1", f'{ROOT}/.env:2: "=" is missing behind A.'),
        ("1A=2", f"{ROOT}/.env:1: this is no variable name."),
        ("A= x", f"{ROOT}/.env:1: A: a blank stands before the value."),
        ("A=x y", f"{ROOT}/.env:1: A: a value with blanks needs quotes."),
        ('A="x', f"{ROOT}/.env:1: A: the closing quote is missing."),
        ("A=${B", f'{ROOT}/.env: A: "}}" is missing.'),
        ("A=${B:-$C}", f"{ROOT}/.env: A: the default of B has a quote, a brace or a reference in it."),
        ("A=1\n\n# c\nB='two\nlines'\nC= x", f"{ROOT}/.env:6: C: a blank stands before the value."),
        ("A=1\0", f"{ROOT}/.env:1: a byte-order mark or a NUL byte stands in the file."),
        ("A=$(date)", f"{ROOT}/.env: A: the value comes from a command, which is not run here."),
        ("\ufeffA=1", f"{ROOT}/.env:1: a byte-order mark or a NUL byte stands in the file."),
    ],
)
def test_what_symfony_refuses_is_a_problem_with_its_place(host, text, problem):
    assert read(host, {".env": text}).problems == (problem,)


def test_references_without_an_end_are_a_problem(host):
    environment = read(host, {".env": "A=$B\nB=$C\nC=$A\nD=1"})
    assert environment.problems == tuple(f"{ROOT}/.env: {name}: its references have no end." for name in "ABC")
    assert [environment.secret(name) for name in "ABCD"] == ["", "", "", "1"]


def test_references_that_would_fill_the_memory_are_a_problem(host):
    """An account that may write the file must not bring down the host that reads it."""
    tracemalloc.start()
    try:
        environment = read(host, {".env": f"A={'$B' * 400}\nB={'$C' * 400}\nC={'$D' * 400}\nD=xxxxxxxx\nE=$D"})
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert environment.problems[0].startswith(f"{ROOT}/.env: A: the references of these files bring in more than")
    assert environment.secret("D") == "xxxxxxxx" and peak < 96 << 20


@pytest.mark.parametrize(
    "files, values",
    [
        (
            {
                ".env": "APP_ENV=prod\nA=1\nB=1\nC=1\nD=1\nE=$D",
                ".env.local": "B=2\nF=$B",
                ".env.prod": "C=3\nB=3",
                ".env.prod.local": "D=4",
            },
            {"A": "1", "B": "3", "C": "3", "D": "4", "E": "4", "F": "3", "APP_ENV": "prod", "APP_DEBUG": "0"},
        ),
        ({".env.dist": "A=1", ".env": "B=1"}, {"A": "", "B": "1", "APP_ENV": "dev", "APP_DEBUG": "1"}),
        (
            {".env": "APP_ENV=prod\nA=1", ".env.local": "APP_ENV=x", ".env.x": "A=x", ".env.prod": "A=prod"},
            {"A": "x", "APP_ENV": "x", "APP_DEBUG": "1"},
        ),
        ({".env": "APP_ENV=test", ".env.local": "A=2", ".env.test": "A=3"}, {"A": "3", "APP_ENV": "test"}),
        ({".env": "A=1", ".env.local": "APP_ENV=local\nA=2", ".env.local.local": "A=3"}, {"A": "2"}),
        ({".env": "APP_ENV=$X\nX=prod", ".env.prod": "A=3"}, {"A": "3", "APP_ENV": "prod"}),
        (
            {
                ".env": "APP_ENV=dev\nA=1",
                ".env.local.php": "<?php\nreturn array (\n  'APP_ENV' => 'prod',\n  'A' => 'it\\'s \\\\ x',\n);\n",
            },
            {"A": "it's \\ x", "APP_ENV": "prod", "APP_DEBUG": "0"},
        ),
        *(
            ({".env": f"APP_ENV={environment}\nAPP_DEBUG={given}"}, {"APP_DEBUG": debug})
            for debug, environment, values in (("1", "prod", "on 2x +1 True yes"), ("0", "dev", "false -0 no"))
            for given in values.split()
        ),
        ({".env": "APP_ENV=dev\nAPP_DEBUG="}, {"APP_DEBUG": "0"}),
    ],
)
def test_files_win_in_symfonys_order(host, files, values):
    environment = read(host, files)
    assert environment.problems == ()
    assert {name: environment.secret(name) for name in values} == values


def test_what_the_server_gives_wins_and_is_named(host):
    real = {"APP_ENV": Place("/etc/php/8.4/fpm/pool.d/www.conf", 12, "prod")}
    environment = read(host, {".env": "APP_ENV=dev\nA=$APP_ENV", ".env.prod": "B=1"}, real)
    assert environment.get("APP_ENV") == "prod"
    assert environment.secret("A") == "prod"
    assert environment.secret("B") == "1"
    assert environment.sources == {
        "A": f"{ROOT}/.env",
        "B": f"{ROOT}/.env.prod",
        "APP_ENV": "/etc/php/8.4/fpm/pool.d/www.conf:12",
        "APP_DEBUG": "Symfony's default",
    }


@pytest.mark.parametrize(("given", "found"), [("prod", ("dumped", "")), (None, ("dumped", "")), ("stage", ("1", "1"))])
def test_a_dump_counts_alone_where_the_server_reports_the_same_or_nothing(host, given, found):
    dump = "<?php return ['APP_ENV' => 'prod', 'A' => 'dumped'];"
    real = {"APP_ENV": Place("/pool.conf", 1, given)} if given else {"B": Place("/pool.conf", 2, "2")}
    environment = read(host, {".env": "A=1\nC=1", ".env.local.php": dump}, real)
    assert (environment.secret("A"), environment.secret("C")) == found
    assert (environment.files == (f"{ROOT}/.env.local.php",)) is (given != "stage")
    assert given or environment.secret("B") == "2"


def test_no_secret_is_shown(host):
    secret = (
        "APP_SECRET=s1\nDATABASE_PASSWORD=s2\nMAILER_DSN=smtp://u:s3@h\nAWS_S3_STORAGE_ACCESS_KEY=s4\nODD=s5\n"
        "APP_ENV_KEY=s6\nMY_APP_ENV=s7\nDATABASE_URL=s8\nJWT_PASSPHRASE=s9\nAWS_S3_STORAGE_SECRET=s10\n"
    )
    shown = {
        "DATABASE_USER": "chamilo",
        "DATABASE_HOST": "db",
        "JWT_SECRET_KEY": "%kernel.project_dir%/k.pem",
        "TRUSTED_PROXIES": "10.0.0.1",
        "IDS_BLOCK": "1",
        "AWS_S3_STORAGE_BUCKET": "b",
    }
    environment = read(host, {".env": secret + "".join(f"{name}={value}\n" for name, value in shown.items())})
    assert environment.visible == {"APP_DEBUG": "1", "APP_ENV": "dev", **shown}
    assert environment.get("DATABASE_PASSWORD") == ""
    assert environment.secret("DATABASE_PASSWORD") == "s2"
    assert not any(f"s{number}" in str(environment.sources) for number in range(1, 11))


def asked() -> Iterator[tuple[str, str]]:
    """Each name that an engine asks the visible environment of a portal for, and where."""
    utils = Path(dotenv.__file__).parents[1]
    for path in sorted(utils.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        constants = dict(re.findall(r'^([A-Z_]+) = "([A-Z_0-9]+)"', text, re.MULTILINE))
        for literal, constant in re.findall(r'\benvironment(?:\.get\(|\[)(?:"([A-Z_0-9]+)"|([A-Z_]{2,})\b)', text):
            yield literal or constants[constant], str(path.relative_to(utils))


def test_what_is_asked_for_is_not_taken_for_a_secret():
    """A secret is never in there: a check of it would find nothing, on every host."""
    names = dict(asked())
    assert {"APP_ENV", "TRUSTED_PROXIES"} <= names.keys()
    assert {name: where for name, where in names.items() if dotenv.is_secret(name)} == {}


@pytest.mark.parametrize(
    "text, names",
    [
        (f"APP_SECRET={OWN}\nJWT_PASSPHRASE={OWN}", ()),
        (f"APP_SECRET={OWN}\nJWT_PASSPHRASE=your_secret_passphrase", ("JWT_PASSPHRASE",)),
        (f"APP_SECRET='{{{{APP_SECRET}}}}'\nJWT_PASSPHRASE={OWN}", ("APP_SECRET",)),
        (f"APP_SECRET=2ca64f8d83b9e89f5f19d672841d6bb8\nJWT_PASSPHRASE={OWN}", ("APP_SECRET",)),
        (f"APP_SECRET=changeme\nJWT_PASSPHRASE={OWN}", ("APP_SECRET",)),
        ("A=1", ("APP_SECRET", "JWT_PASSPHRASE")),
    ],
)
def test_published_and_guessable_secrets_are_named(host, text, names):
    assert known_secrets.published(read(host, {".env": text})) == names


@pytest.mark.parametrize("name", [".env", ".env.local", ".env.local.php", ".env.prod"])
def test_nothing_is_reported_where_a_file_that_would_win_cannot_be_read(open_host, nobody, name):
    open_host.write(f"{ROOT}/.env", "APP_ENV=prod\nAPP_SECRET=x")
    open_host.write(f"{ROOT}/{name}", "APP_SECRET=y")
    (open_host.root / "srv/campus" / name).chmod(0)
    with nobody():
        environment = dotenv.read(open_host.tree, ROOT, {"B": Place("/pool.conf", 1, "2")})
    assert environment.problems == (f"{ROOT}/{name} cannot be read: Permission denied.",)
    assert (environment.files, environment.sources) == ((), {"B": "/pool.conf:1"})
    assert known_secrets.published(environment) == () and "APP_SECRET" not in environment.visible
