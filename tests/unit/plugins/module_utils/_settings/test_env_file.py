# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real files, a real openssl, and the reader that was compared with Symfony's own Dotenv."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import replace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import DatabaseError
from ansible_collections.chamilo.hardening.plugins.module_utils._application.installation import Installation
from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import note_written
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Place
from ansible_collections.chamilo.hardening.plugins.module_utils._settings import env_file
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.env_file import Desired, EnvFile, Result
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import recovery
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from tests.unit.plugins.module_utils._common.test_acl import packed
from tests.unit.plugins.module_utils._settings.conftest import OWN_SECRET, PUBLIC_PASSPHRASE, PUBLIC_SECRET, openssl

# ------------------------------------------------------------------------------------------------ the file that wins


@pytest.mark.parametrize(
    "files, changed",
    [
        ({".env": "APP_ENV=dev\n"}, {".env": "APP_ENV=prod\n"}),
        ({".env": "APP_ENV=dev\n", ".env.local": "APP_ENV=dev\n"}, {".env.local": "APP_ENV=prod\n"}),
        ({".env": "X=1\n", ".env.local": "Y=1\n"}, {".env.local": "Y=1\nAPP_ENV=prod\n"}),
        (
            {".env": "APP_ENV=dev\n", ".env.local.php": "<?php return ['APP_ENV' => 'dev'];"},
            {".env": "APP_ENV=prod\n", ".env.local.php": "<?php return ['APP_ENV' => 'prod'];"},
        ),
        (
            {
                ".env": "APP_ENV=dev\n",
                ".env.local": "APP_ENV=dev\n",
                ".env.local.php": "<?php return ['APP_ENV' => 'dev'];",
            },
            {".env.local": "APP_ENV=prod\n", ".env.local.php": "<?php return ['APP_ENV' => 'prod'];"},
        ),
        (
            {".env.local.php": "<?php return ['APP_ENV' => 'dev'];"},
            {".env.local.php": "<?php return ['APP_ENV' => 'prod'];"},
        ),
    ],
)
def test_the_source_that_wins_is_changed_and_no_other(app, files, changed):
    for name, text in files.items():
        app.write(name, text)
    result, problem = app.set(values={"APP_ENV": "prod"})
    assert (problem, result.changed) == ("", True)
    assert {name: app.read(name) for name in files} == {**files, **changed}
    assert sorted(result.files) == sorted(app.path(name) for name in changed)
    assert app.see().get("APP_ENV") == "prod"
    assert app.set(values={"APP_ENV": "prod"})[0] == Result()


def test_a_file_that_another_key_brings_into_play_is_corrected_too(app):
    app.write(".env", "APP_ENV=dev\nAPP_DEBUG=1\n")
    app.write(".env.prod", "APP_DEBUG=1\n")
    result, problem = app.set(values={"APP_ENV": "prod", "APP_DEBUG": "0"})
    assert problem == ""
    assert (app.see().get("APP_ENV"), app.see().get("APP_DEBUG")) == ("prod", "0")
    assert app.read(".env.prod") == "APP_DEBUG=0\n"
    assert result.changes == {
        "APP_ENV": {"before": "dev", "after": "prod"},
        "APP_DEBUG": {"before": "1", "after": "0"},
    }


@pytest.mark.parametrize("output", ["0", "false", "off", ""])
def test_debugging_that_is_off_in_other_words_is_left(app, output):
    app.write(".env", f"APP_ENV=prod\nAPP_DEBUG={output}\n")
    assert app.set(values={"APP_DEBUG": "0"})[0] == Result()


def test_what_the_server_gives_is_named_and_nothing_changes(app):
    app.write(".env", "APP_ENV=dev\nAPP_DEBUG=1\n")
    given = {"APP_ENV": Place("/etc/php/8.4/fpm/pool.d/www.conf", 12, "dev")}
    result, problem = app.set(given, values={"APP_ENV": "prod", "APP_DEBUG": "0"})
    assert "APP_ENV (/etc/php/8.4/fpm/pool.d/www.conf line 12)" in problem
    assert "No file was changed" in problem
    assert (result.changed, app.read(".env")) == (False, "APP_ENV=dev\nAPP_DEBUG=1\n")


def test_what_the_server_gives_may_be_right_already(app):
    app.write(".env", "APP_ENV=dev\n")
    given = {"APP_ENV": Place("/etc/apache2/sites-enabled/campus.conf", 3, "prod")}
    assert app.set(given, values={"APP_ENV": "prod"}) == (Result(), "")


@pytest.mark.parametrize(
    "files, problem",
    [
        ({".env.dist": "APP_ENV=dev\n"}, "has no .env file: Chamilo is not installed yet"),
        ({}, "/campus/.env cannot be read: No such file"),
        ({".env": "A=b c\nAPP_ENV=dev\n"}, ".env:1: A: a value with blanks needs quotes"),
    ],
)
def test_a_file_that_cannot_be_changed_stays(app, files, problem):
    for name, text in files.items():
        app.write(name, text)
    result, output = app.set(values={"APP_ENV": "prod"})
    assert problem in output
    assert not result.changed
    assert {name: app.read(name) for name in files} == files


@pytest.mark.parametrize(
    "desired, problem",
    [
        ({"values": {"A B": "1"}}, "'A B' is no name of a variable"),
        ({"values": {"MAILER_DSN": "1"}}, "MAILER_DSN may be a secret: give it in secret_values"),
        ({"values": {"APP_ENV": "x\0"}}, "NUL byte"),
        (
            {"values": {"APP_ENV": "a"}, "secret_values": {"APP_ENV": "b"}},
            "APP_ENV stands in values and in secret_values",
        ),
        ({"secret_values": {"APP_SECRET": PUBLIC_SECRET}}, "The value given for APP_SECRET is published"),
    ],
)
def test_what_cannot_be_meant_is_refused(app, desired, problem):
    app.write(".env", "APP_ENV=dev\n")
    assert problem in app.set(**desired)[1]
    assert app.read(".env") == "APP_ENV=dev\n"


# ---------------------------------------------------------------------------------------------------------- files


def test_owner_and_mode_stay(app):
    app.write(".env", "APP_ENV=dev\n", 0o604)
    owner = (33, 34) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(app.path(".env"), *owner)
    app.set(values={"APP_ENV": "prod"})
    info = os.stat(app.path(".env"))
    assert (stat.S_IMODE(info.st_mode), (info.st_uid, info.st_gid)) == (0o604, owner)
    assert os.listdir(app.root) == [".env"], "nothing of ours is left beside it"


def test_two_names_of_one_file_are_one_file(app, tmp_path):
    (tmp_path / "shared").write_text("APP_ENV=dev\nAPP_DEBUG=1\n")
    for name in (".env", ".env.local"):
        os.symlink(tmp_path / "shared", app.path(name))
    result, problem = app.set(values={"APP_ENV": "prod", "APP_DEBUG": "0"})
    assert (problem, result.files) == ("", [str(tmp_path / "shared")])
    assert (tmp_path / "shared").read_text() == "APP_ENV=prod\nAPP_DEBUG=0\n"


def test_a_concurrently_modified_file_is_left(app, monkeypatch):
    app.write(".env", "APP_ENV=dev\n")
    begin = EnvFile._carry_out

    def late(*given):
        app.write(".env", "APP_ENV=test\n")
        begin(*given)

    monkeypatch.setattr(EnvFile, "_carry_out", late)
    result, problem = app.set(values={"APP_ENV": "prod"})
    assert "changed while it was read. No file was changed; run again" in problem
    assert (result.changed, app.read(".env")) == (False, "APP_ENV=test\n")


@pytest.mark.parametrize("name", [".env", "config/jwt/private.pem"])
def test_a_link_of_the_web_user_is_not(portal, tmp_path, name):
    os.rename(portal.path(name), tmp_path / "bait")
    before = (tmp_path / "bait").read_text()
    os.symlink(tmp_path / "bait", portal.path(name))
    os.chown(portal.path(name), pwd.getpwnam("www-data").pw_uid, -1, follow_symlinks=False)
    _result, problem = portal.set(require=["JWT_PASSPHRASE"], generate=True)
    assert f"{name} cannot be read: " in problem and f"is a link of www-data to {tmp_path}/bait" in problem
    assert (tmp_path / "bait").read_text() == before and portal.commands == []


def test_check_mode_reports_and_touches_nothing(portal):
    before = {name: portal.read(name) for name in (".env", "config/jwt/private.pem")}
    predicted, _ = portal.set(values={"APP_DEBUG": "1"}, require=env_file.REQUIRED, generate=True, check=True)
    assert {name: portal.read(name) for name in before} == before
    assert portal.commands == [] and not os.path.exists(portal.state)
    done, _ = portal.set(values={"APP_DEBUG": "1"}, require=env_file.REQUIRED, generate=True)
    assert done.cache_cleared and "systemd does not run here" in done.notes[0]
    assert replace(done, cache_cleared=False, notes=[]) == predicted


def test_the_cache_is_cleared_as_the_web_user(app):
    app.write(".env", "APP_ENV=dev\n")
    os.makedirs(app.path("var/cache/dev"))
    app.set(values={"APP_ENV": "prod"})
    clear, remove = (argv for argv in app.commands if argv[0] == "runuser")
    assert clear[:4] == ["runuser", "-u", "www-data", "--"] and "cache:clear" in clear and "APP_ENV=prod" in clear
    assert remove == ["runuser", "-u", "www-data", "--", "rm", "-rf", "--", app.path("var/cache/dev")]


def test_php_forgets_what_it_read_of_a_program(app):
    app.write(".env", "APP_ENV=dev\n")
    app.service = "php8.4-fpm"
    app.set(values={"APP_ENV": "test"})
    assert not any("systemctl" in argv for argv in app.commands)
    app.write(".env.local.php", "<?php\n\nreturn array (\n  'APP_ENV' => 'test',\n);\n")
    app.set(values={"APP_ENV": "prod"})
    clear, reload = app.commands[-2:]
    assert "cache:clear" in clear and reload == ["systemctl", "try-reload-or-restart", "php8.4-fpm"]


def test_without_a_user_of_php_the_cache_cannot_be_cleared(app):
    app.write(".env", "APP_ENV=dev\n")
    app.web_user = ""
    _result, problem = app.set(values={"APP_ENV": "prod"})
    assert "set web_user" in problem
    assert app.read(".env") == "APP_ENV=dev\n"
    assert app.set(values={"APP_ENV": "prod"}, web_user="portal")[0].cache_cleared
    assert app.commands[-1][:3] == ["runuser", "-u", "portal"]


@pytest.mark.parametrize("mode", ["../../config", "."])
def test_no_directory_but_a_cache_is_removed(app, mode):
    app.write(".env", f"APP_ENV={mode}\n")
    os.makedirs(app.path("var/cache"))
    os.makedirs(app.path("config"))
    assert app.set(values={"APP_ENV": "prod"})[0].changed
    assert not any("rm" in argv for argv in app.commands)


def test_a_failure_is_reported_with_all_but_its_secrets(app):
    app.write(".env", "APP_ENV=dev\nAPP_SECRET=in\nDATABASE_PASSWORD=four\nDATABASE_NAME=campus\n")
    app.fails = "no four, canary-2 in campus or production"
    _result, problem = app.set(values={"APP_ENV": "production"}, secret_values={"MAILER_DSN": "canary-2"})
    assert "(exit code 1): no ***, *** in campus or production" in problem


@pytest.mark.parametrize("code", [1, -9])
def test_when_the_cache_cannot_be_cleared_all_is_as_before(portal, code):
    portal.code = code
    before = {name: portal.read(name) for name in (".env", "config/jwt/private.pem")}
    portal.fails = f"Invalid passphrase {PUBLIC_PASSPHRASE}"
    result, problem = portal.set(require=env_file.REQUIRED, generate=True)
    assert "cache could not be cleared as www-data" in problem and "The old files were restored" in problem
    assert PUBLIC_PASSPHRASE not in problem
    assert not result.changed
    assert {name: portal.read(name) for name in before} == before
    left = [name for _directory, _directories, names in os.walk(portal.state) for name in names]
    assert sorted(left) == ["lock", "state.json"], "no copy of a secret is kept"


def test_no_copy_of_an_old_secret_is_kept(portal):
    portal.set(require=env_file.REQUIRED, generate=True)
    left = [name for _directory, _directories, names in os.walk(portal.state) for name in names]
    # Checksums of what was written, and nothing of it; and the key that others may have.
    assert [name for name in sorted(left) if "private" not in name] == ["lock", "state.json", "written.json"]


# ------------------------------------------------------------------------------------------------------- secrets


def test_public_secrets_are_replaced_by_random_ones_once(portal):
    result, problem = portal.set(require=env_file.REQUIRED, generate=True)
    assert problem == ""
    assert sorted(result.generated) == sorted(result.secrets) == ["APP_SECRET", "JWT_PASSPHRASE"]
    made = [portal.see().secret(name) for name in env_file.REQUIRED]
    assert all(len(one) == 64 for one in made) and made[0] != made[1]
    assert all(one not in repr(result) for one in (*made, PUBLIC_SECRET, PUBLIC_PASSPHRASE))
    assert portal.set(require=env_file.REQUIRED, generate=True)[0] == Result()


def test_without_generate_they_are_named(portal):
    result, problem = portal.set(require=env_file.REQUIRED)
    assert "APP_SECRET and JWT_PASSPHRASE" in problem and "Set generate" in problem
    assert not result.changed


def test_a_public_secret_that_another_file_overrules_is_none(app):
    app.write(".env", f"APP_SECRET={PUBLIC_SECRET}\n")
    app.write(".env.local", f"APP_SECRET={OWN_SECRET}\n")
    assert app.set(require=["APP_SECRET"]) == (Result(), "")


def test_with_a_second_factor_in_use_the_secret_stays(portal):
    portal.factors = "3 people use two-factor login, and could not log in any more"
    result, problem = portal.set(require=env_file.REQUIRED, generate=True)
    assert problem == ""
    assert result.refused == [{"name": "APP_SECRET", "why": portal.factors}]
    assert (result.generated, portal.see().secret("APP_SECRET")) == (["JWT_PASSPHRASE"], PUBLIC_SECRET)
    result, _ = portal.set(require=env_file.REQUIRED, generate=True, rotate_secret=True)
    assert (result.generated, result.refused) == (["APP_SECRET"], [])
    assert portal.see().secret("APP_SECRET") != PUBLIC_SECRET


def test_a_desired_state_can_be_printed():
    assert "canary" not in repr(Desired(secret_values={"APP_SECRET": "canary"}))


def test_the_secret_that_is_there_already_is_no_new_one(portal):
    portal.write(".env", "APP_SECRET=canary-of-our-own\n")
    portal.factors = "2 people use two-factor login"
    assert portal.set(secret_values={"APP_SECRET": "canary-of-our-own"}) == (Result(), "")


@pytest.mark.parametrize(
    "users, words",
    [
        (None, ""),
        ("0", ""),
        ("1", "1 person uses two-factor login, and could not log in any more"),
        ("2", "2 people use two-factor login, and could not log in any more"),
    ],
)
def test_who_would_be_locked_out(monkeypatch, users, words):
    monkeypatch.setattr(env_file.Reader, "of", lambda _portal: Table([{"users": users}]))
    assert env_file.in_use(Installation("/srv/campus")) == words


def test_what_cannot_be_observed_may_lock_users_out(monkeypatch):
    monkeypatch.setattr(env_file.Reader, "of", lambda _portal: Table(DatabaseError("The database is gone.")))
    words = "the use of two-factor login could not be checked (The database is gone)"
    assert env_file.in_use(Installation("/srv/campus")) == words


class Table:
    """A database that has one answer."""

    def __init__(self, answer):
        self.answer = answer

    def query(self, _sql):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("own, factors", [(True, ""), (False, "2 people use two-factor login, and could not log in")])
def test_a_secret_that_is_given_needs_the_switch_too(portal, own, factors):
    if own:
        portal.write(".env", "APP_SECRET=canary-of-our-own\n")
    portal.factors = factors
    before = portal.read(".env")
    _result, problem = portal.set(secret_values={"APP_SECRET": "canary-9-f1c0b7e94d25a83c"})
    assert "Set rotate_secret" in problem and "canary" not in problem
    assert portal.read(".env") == before
    assert portal.set(secret_values={"APP_SECRET": "canary-9-f1c0b7e94d25a83c"}, rotate_secret=True)[0].secrets == [
        "APP_SECRET"
    ]


def test_the_diff_shows_values_and_no_secret(portal):
    result, _ = portal.set(
        values={"APP_ENV": "dev"},
        secret_values={"DATABASE_PASSWORD": "canary-7", "JWT_PASSPHRASE": "canary-8-f1c0b7e94d25a83c"},
    )
    assert "canary" not in repr(result)
    env, key = result.diff
    assert env["before"] == "APP_ENV=prod\nJWT_PASSPHRASE=(a secret)\n"
    assert env["after"] == "APP_ENV=dev\nJWT_PASSPHRASE=(another secret)\nDATABASE_PASSWORD=(another secret)\n"
    assert key["before_header"].endswith("private.pem")


# ----------------------------------------------------------------------------------------------------------- the key


def opens(path, passphrase):
    done = openssl("pkey", "-in", path, "-passin", f"pass:{passphrase}", "-pubout")
    return done.stdout if done.returncode == 0 else b""


@pytest.mark.parametrize("start", ["public", "plain", "left behind", "in another place", "readable", "another half"])
def test_a_key_that_others_may_have_is_replaced_once(portal, key, plain_key, start, monkeypatch):
    monkeypatch.setattr(env_file, "_reachable", lambda _path: True)  # pytest keeps others out of its directories
    path = portal.path("config/jwt/private.pem")
    public = openssl("pkey", "-pubout", data=plain_key).stdout
    if start == "plain":
        portal.write("config/jwt/private.pem", plain_key, 0o600)
    if start in ("readable", "another half"):
        portal.write(".env", f"JWT_PASSPHRASE={OWN_SECRET}\nAPP_SECRET={OWN_SECRET}\n")
        words = ["pkey", "-aes-256-cbc", "-passout", f"pass:{OWN_SECRET}"]
        portal.write("config/jwt/private.pem", openssl(*words, data=plain_key).stdout, 0o600)
    if start == "readable":
        os.chmod(path, 0o777)
    if start == "left behind":  # the passphrase was changed and the key forgotten
        portal.write(".env", "JWT_PASSPHRASE=\"own 'passphrase'\"\nAPP_SECRET=own\n")
    if start == "in another place":
        os.rename(path, portal.path("config/own.pem"))
        path = portal.path("config/own.pem")
        portal.write(".env", portal.read(".env") + "JWT_SECRET_KEY=%kernel.project_dir%/config/own.pem\n")
    planted = openssl("pkey", "-pubout", data=openssl("genpkey", "-algorithm", "RSA").stdout).stdout
    portal.write("config/jwt/public.pem", planted if start == "another half" else public, 0o666)
    predicted, problem = portal.set(require=["JWT_PASSPHRASE"], generate=True, check=True)
    assert problem == "" and portal.ended == [True]
    result, problem = portal.set(require=["JWT_PASSPHRASE"], generate=True)
    assert problem == "" and {path, portal.path("config/jwt/public.pem")} <= set(result.files) == set(predicted.files)
    passphrase = portal.see().secret("JWT_PASSPHRASE")
    half = opens(path, passphrase)
    assert half and half not in (public, planted) and portal.read("config/jwt/public.pem").encode() == half
    assert not opens(path, PUBLIC_PASSPHRASE) and not opens(path, "")
    assert stat.S_IMODE(os.stat(path).st_mode) == (0o640 if start == "readable" else 0o600)
    assert start != "readable" or os.stat(path).st_gid == pwd.getpwnam("www-data").pw_gid
    assert stat.S_IMODE(os.stat(portal.path("config/jwt/public.pem")).st_mode) == 0o644
    assert "Tokens that were given out are refused" in result.consequences[0]
    assert result.consequences[1:] == ["All are logged out."]
    assert {entry["after"] for entry in result.diff if entry["before_header"] == path} == {"another key\n"}
    assert portal.set(require=["JWT_PASSPHRASE"], generate=True)[0] == Result()
    assert len(portal.ended) == 2, "once"


def lay_own(portal, mode=0o640):
    """A pair that an administrator makes, with a passphrase that is known to no other."""
    key = openssl("genpkey", "-algorithm", "RSA", "-aes-256-cbc", "-pass", f"pass:{OWN_SECRET}").stdout
    portal.write(".env", f"JWT_PASSPHRASE={OWN_SECRET}\nAPP_SECRET={OWN_SECRET}\n")
    portal.write("config/jwt/private.pem", key, mode)
    portal.write("config/jwt/public.pem", opens(portal.path("config/jwt/private.pem"), OWN_SECRET), 0o644)


def age(portal, name="config/jwt/public.pem", seconds=3600):
    os.utime(portal.path(name), (os.stat(portal.path(name)).st_mtime - seconds,) * 2)


def test_only_what_every_account_gets_to_is_exposed_by_its_mode(portal, tmp_path):
    os.chmod(tmp_path, 0o750)
    lay_own(portal, 0o644)  # as lexik:jwt:generate-keypair makes it
    assert portal.set(require=env_file.REQUIRED, generate=True) == (Result(), "") and portal.ended == []
    assert env_file._reachable("/usr/bin/env") and not env_file._reachable(portal.path(".env"))


def test_a_mode_that_something_sets_again_and_again_is_reported_and_ends_no_logins(portal, monkeypatch):
    monkeypatch.setattr(env_file, "_reachable", lambda _path: True)
    lay_own(portal, 0o644)
    assert portal.set(require=env_file.REQUIRED, generate=True)[0].changed and len(portal.ended) == 1
    os.chmod(portal.path("config/jwt/private.pem"), 0o644)
    result, problem = portal.set(require=env_file.REQUIRED, generate=True)
    assert (problem, result.changed, len(portal.ended)) == ("", False, 1)
    assert "Every account of this host can read" in result.notes[0]


def test_a_pair_that_was_made_by_hand_since_stays(portal):
    portal.set(secret_values={"JWT_PASSPHRASE": OWN_SECRET})  # the private half alone is noted
    lay_own(portal)
    age(portal)
    assert portal.set(require=env_file.REQUIRED, generate=True) == (Result(), "") and portal.ended == []


def test_halves_that_were_written_together_are_one_pair(portal):
    lay_own(portal)
    note_written(portal.path("config/jwt/private.pem"), portal.state)
    assert portal.set(require=env_file.REQUIRED, generate=True) == (Result(), "") and portal.ended == []


def test_a_new_key_is_readable_for_php_that_read_the_old_one_by_an_acl(portal):
    path = portal.path("config/jwt/private.pem")
    entries = ((1, 6, 2**32 - 1), (2, 4, 33), (4, 0, 2**32 - 1), (0x10, 4, 2**32 - 1), (0x20, 0, 2**32 - 1))
    acl = packed(entries)
    os.setxattr(path, "system.posix_acl_access", acl)
    result, problem = portal.set(require=["JWT_PASSPHRASE"], generate=True)
    assert problem == "" and path in result.files and result.consequences
    assert os.listxattr(path) == [] and os.stat(path).st_gid == pwd.getpwnam("www-data").pw_gid
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640


def test_a_public_half_outside_of_the_project_is_left_alone(portal, tmp_path):
    (tmp_path / "public.pem").write_text("canary")
    portal.write(".env", portal.read(".env") + "JWT_PUBLIC_KEY=../public.pem\n")
    result, problem = portal.set(require=["JWT_PASSPHRASE"], generate=True)
    assert problem == "" and "JWT_PUBLIC_KEY names a file outside" in result.notes[-1]
    assert opens(portal.path("config/jwt/private.pem"), portal.see().secret("JWT_PASSPHRASE"))
    assert (tmp_path / "public.pem").read_text() == "canary"
    assert portal.set(require=["JWT_PASSPHRASE"], generate=True) == (Result(), "")


def test_a_key_that_an_earlier_release_kept_is_replaced(portal):
    portal.write("config/jwt/public.pem", opens(portal.path("config/jwt/private.pem"), PUBLIC_PASSPHRASE))
    age(portal)
    result = portal.set(secret_values={"JWT_PASSPHRASE": OWN_SECRET})[0]
    assert "Others may have the key" in result.notes[-1] and "is published" in result.notes[-1]
    assert result.consequences == [] and portal.ended == []
    again = portal.set(require=["JWT_PASSPHRASE"], generate=True)[0]
    assert portal.path("config/jwt/public.pem") in again.files and "not replaced" in again.consequences[0]
    assert portal.set(require=["JWT_PASSPHRASE"], generate=True)[0] == Result()


def test_a_key_that_was_not_exposed_stays(portal, plain_key):
    words = ["pkey", "-aes-256-cbc", "-passout", f"pass:{OWN_SECRET}"]
    portal.write(".env", f"JWT_PASSPHRASE={OWN_SECRET}\nAPP_SECRET={OWN_SECRET}\n")
    portal.write("config/jwt/private.pem", openssl(*words, data=plain_key).stdout, 0o640)
    portal.write("config/jwt/public.pem", openssl("pkey", "-pubout", data=plain_key).stdout, 0o644)
    assert portal.set(require=env_file.REQUIRED, generate=True) == (Result(), "")
    result, problem = portal.set(secret_values={"JWT_PASSPHRASE": "four horses, a red door"})
    assert problem == "" and portal.path("config/jwt/public.pem") not in result.files
    assert "Others" not in " ".join(result.notes)
    assert portal.set(require=["JWT_PASSPHRASE"], generate=True)[0] == Result()


def test_when_the_new_key_cannot_be_laid_no_user_is_logged_out(portal):
    before = portal.read("config/jwt/private.pem")
    portal.fails = "it does not boot"
    result, problem = portal.set(require=["JWT_PASSPHRASE"], generate=True)
    assert problem and portal.read("config/jwt/private.pem") == before
    assert (result.consequences, portal.ended) == ([], [])


class Killed(BaseException):
    """What a process can do nothing about."""


@pytest.mark.parametrize("place", ["note_written", "end_logins"])
def test_logins_end_once_also_when_the_run_is_killed_behind_its_commit(portal, monkeypatch, place):
    def killed(*_unused):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(*((env_file, place) if place == "note_written" else (portal, place)), killed)
        with pytest.raises(Killed):
            portal.set(require=env_file.REQUIRED, generate=True)
    made = portal.read(".env")
    assert portal.set(require=env_file.REQUIRED, generate=True, check=True)[0].consequences == ["All are logged out."]
    result, problem = portal.set(require=env_file.REQUIRED, generate=True)
    assert (problem, result.changed, result.consequences) == ("", True, ["All are logged out."])
    assert portal.set(require=env_file.REQUIRED, generate=True)[0] == Result()
    assert portal.ended == [True, False] and portal.read(".env") == made


def test_a_run_that_is_killed_before_its_commit_owes_nothing(portal, monkeypatch):
    def killed(*_unused):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(portal, "run", killed)
        with pytest.raises(Killed):
            portal.set(require=env_file.REQUIRED, generate=True)
    Engine(portal.state, Machine(portal.run, systemd=False)).recover()
    assert portal.set(values={"APP_ENV": "prod"}) == (Result(), "") and portal.ended == []
    assert portal.set(require=env_file.REQUIRED, generate=True)[0].changed
    assert portal.ended == [False]


def test_a_passphrase_that_is_given_takes_the_key_along(portal):
    portal.set(secret_values={"JWT_PASSPHRASE": "it's a 'canary' $x 7b2e"})
    assert opens(portal.path("config/jwt/private.pem"), "it's a 'canary' $x 7b2e")
    result, problem = portal.set(secret_values={"JWT_PASSPHRASE": "four horses, a red door"})
    assert problem == "" and portal.path("config/jwt/private.pem") in result.files
    assert opens(portal.path("config/jwt/private.pem"), "four horses, a red door")
    assert portal.set(secret_values={"JWT_PASSPHRASE": "four horses, a red door"}) == (Result(), "")


def test_a_key_that_does_not_open_stops_everything(portal):
    portal.write(
        "config/jwt/private.pem",
        openssl(
            "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-aes256", "-pass", "pass:lost"
        ).stdout,
    )
    before = portal.read(".env")
    result, problem = portal.set(require=env_file.REQUIRED, generate=True)
    assert "does not open with JWT_PASSPHRASE" in problem and "generate-keypair" in problem
    assert (result.changed, portal.read(".env")) == (False, before)


def test_a_key_outside_of_the_project_is_not_touched(portal, tmp_path, plain_key):
    (tmp_path / "other.key").write_bytes(plain_key)
    portal.write(".env", portal.read(".env") + "JWT_SECRET_KEY=../other.key\n")
    _result, problem = portal.set(require=["JWT_PASSPHRASE"], generate=True)
    assert "is not below" in problem
    assert (tmp_path / "other.key").read_bytes() == plain_key


def test_a_passphrase_that_openssl_would_not_take_is_refused(portal):
    problem = portal.set(secret_values={"JWT_PASSPHRASE": "two\nlines of sixteen"})[1]
    assert "has a line break" in problem and "lines" not in problem
    problem = portal.set(secret_values={"JWT_PASSPHRASE": "abcd"})[1]
    assert "fewer than 16 characters" in problem and "abcd" not in problem


def test_a_key_that_comes_back_as_another_one_is_not_written(portal, monkeypatch):
    """openssl is what makes it; what it made is checked."""
    before = portal.read("config/jwt/private.pem")
    real = env_file.run_openssl
    for code, made in ((1, b""), (0, b""), (0, openssl("genpkey", "-algorithm", "RSA").stdout)):
        monkeypatch.setattr(
            env_file,
            "run_openssl",
            lambda words, *given, answer=(code, made): answer if "-passout" in words else real(words, *given),
        )
        result, problem = portal.set(secret_values={"JWT_PASSPHRASE": OWN_SECRET})
        assert f"could not be encrypted with another passphrase: openssl answers {code}" in problem
        assert not result.changed and portal.read("config/jwt/private.pem") == before


def test_without_openssl_nothing_is_changed(portal, monkeypatch):
    monkeypatch.setenv("PATH", portal.root)
    result, problem = portal.set(require=["JWT_PASSPHRASE"], generate=True)
    assert "without the program openssl" in problem and not result.changed


def test_pages_that_fail_with_the_new_secrets_bring_the_old_ones_back(portal, monkeypatch):
    """What ``probe`` compares is in the tests of the transaction."""
    before = portal.read(".env"), portal.read("config/jwt/private.pem")
    asked = []

    def fetch(probe):
        asked.append(probe.url)
        return Answer(probe.url, status=200 if len(asked) < 3 else 500)

    monkeypatch.setattr(recovery, "ANSWER_SECONDS", 0.0)
    portal.fetch = fetch
    page = {"url": "http://campus.test/"}
    result, problem = portal.set(require=env_file.REQUIRED, generate=True, probe=[page])
    assert "http://campus.test/ answers 500, and 200 before" in problem and not result.changed
    assert (portal.read(".env"), portal.read("config/jwt/private.pem")) == before and portal.ended == []
