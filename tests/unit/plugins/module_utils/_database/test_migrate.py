# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._database import migrate
from ansible_collections.chamilo.hardening.plugins.module_utils._database.server import AccountError

PLACE = {"root": "/var/www/chamilo", "user": "www-data", "php": "/usr/bin/php8.4"}


@pytest.fixture
def portal(tmp_path, monkeypatch):
    """``portal(site)`` has an account for upgrades, ``portal.php`` is what runs; how it was started is written down."""
    ran = []
    real = subprocess.Popen

    def popen(words, env, **options):
        ran.append((words, env))
        assert options["start_new_session"], "the web user could type into our terminal"
        return real(["/bin/sh", "-c", make.php], env=env, **options)

    monkeypatch.setattr(migrate.subprocess, "Popen", popen)

    def make(site):
        (tmp_path / f"upgrade-{site}.cnf").write_text(f'[client]\nuser="chamilo_{site}_upgrade"\npassword="s-3_cret"\n')
        (tmp_path / f"database-{site}.json").write_text(json.dumps({"place": PLACE}))

    make.ran, make.php = ran, "exit 3"
    make.go = lambda *command, site="": migrate.migrate(command, site, str(tmp_path), str(tmp_path))
    return make


def test_migrations_run_as_the_web_user_with_the_password_off_the_command_line(portal):
    portal("campus")
    assert portal.go() == ("campus", 3)
    ((words, env),) = portal.ran
    assert words[:3] == ["runuser", "-u", "www-data"] and "--chdir=/var/www/chamilo" in words
    assert words[-4:] == ["/usr/bin/php8.4", "bin/console", *migrate.MIGRATE]
    assert (env["DATABASE_USER"], env["DATABASE_PASSWORD"]) == ("chamilo_campus_upgrade", "s-3_cret")
    assert not [word for word in words if "s-3_cret" in word]


def test_it_has_no_descriptor_of_ours_and_what_it_leaves_running_blocks_nothing(portal, capfd):
    """What the web user wrote runs there: it could read what is typed into a terminal, also after the end."""
    portal("campus")
    portal.php = "sleep 60 & echo $!; readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2"
    begin = time.monotonic()
    assert portal.go() == ("campus", 0)
    assert time.monotonic() - begin < 30
    pid, *descriptors = capfd.readouterr().out.splitlines()
    os.kill(int(pid), signal.SIGKILL)
    assert descriptors[0] == "/dev/null" and all(each.startswith("pipe:") for each in descriptors[1:])


def test_what_it_reports_is_passed_on_and_harms_no_terminal(portal, capfd):
    portal("campus")
    portal.php = r"printf 'one\n\033[2Jt\303\274\n' >&2; printf '%070000d\nlast' 0"
    assert portal.go() == ("campus", 0)
    output = capfd.readouterr().out
    assert output.startswith("one\n\\x1b[2Jtü\n") and output.endswith("\nlast\n") and output.count("0") >= 70_000


def test_no_command_asks_and_none_gets_our_environment(portal, monkeypatch):
    monkeypatch.setenv("RESTIC_PASSWORD", "s-3_cret of root's")
    portal("campus")
    portal.go()
    portal.go("cache:clear", "--quiet")
    assert all("--no-interaction" in words and "RESTIC_PASSWORD" not in env for words, env in portal.ran)


@pytest.mark.parametrize(
    ("tables", "versions", "runs"),
    [
        (["user", "version"], ["V200"], True),
        (["user", "version"], [], False),
        (["user"], [], False),
        ([], [], True),  # nothing is installed yet
    ],
)
def test_an_empty_history_of_migrations_is_found_before_all_run_again(portal, monkeypatch, tables, versions, runs):
    portal("campus")
    monkeypatch.setitem(PLACE, "database", "chamilo")
    portal("campus")

    def query(reader, sql, params=()):
        assert (reader.account.user, reader.account.name) == ("chamilo_campus_upgrade", "chamilo")
        return [{"name": name} for name in (tables if "information_schema" in sql else versions)]

    monkeypatch.setattr(migrate.Reader, "query", query)
    if runs:
        assert portal.go() == ("campus", 3)
        return
    with pytest.raises(AccountError, match=r"chamilo\.version is empty.*version --add --all\. Nothing was run"):
        portal.go()
    assert portal.ran == []
    assert portal.go("doctrine:migrations:version", "--add", "--all") == ("campus", 3), "which is the way out"


def test_a_database_that_is_away_runs_no_migration(portal, monkeypatch):
    monkeypatch.setitem(PLACE, "database", "chamilo")
    portal("campus")

    def query(reader, sql, params=()):
        raise migrate.DatabaseError("It is gone.")

    monkeypatch.setattr(migrate.Reader, "query", query)
    with pytest.raises(AccountError, match="so nothing was run. It is gone"):
        portal.go()


def test_another_command_and_another_portal(portal):
    portal("campus")
    portal("shop")
    with pytest.raises(AccountError, match="--site campus or --site shop"):
        portal.go()
    assert portal.go("cache:clear", "--quiet", site="shop") == ("shop", 3)
    assert portal.ran[0][0][-2:] == ["cache:clear", "--quiet"]


def test_without_an_account_nothing_runs(portal):
    with pytest.raises(AccountError, match="run bin/console as the web user"):
        portal.go()
    with pytest.raises(AccountError, match="made with chamilo_database_split"):
        portal.go(site="campus")
    assert portal.ran == []


def test_an_interrupt_stops_it_too(tmp_path, monkeypatch):
    """It is in a session of its own, so the terminal's Ctrl-C reaches us alone."""
    (tmp_path / "upgrade-campus.cnf").write_text('user="u"\npassword="p"\n')
    (tmp_path / "database-campus.json").write_text(json.dumps({"place": PLACE}))
    real = subprocess.Popen
    pattern = []

    class Interrupted(real):
        def poll(self):
            pattern.append(self.pid)
            if len(pattern) == 1:
                raise KeyboardInterrupt
            return super().poll()

    def popen(words, **options):
        # Where the tests run in the background the signal is ignored, also by what they start.
        return Interrupted(["sleep", "60"], preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **options)

    monkeypatch.setattr(migrate.subprocess, "Popen", popen)
    site, code = migrate.migrate((), "campus", str(tmp_path), str(tmp_path))
    assert (site, code) == ("campus", -signal.SIGINT)
