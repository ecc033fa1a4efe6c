# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils import _migrate
from ansible_collections.chamilo.hardening.plugins.module_utils._database_account import AccountError

PLACE = {"root": "/var/www/chamilo", "user": "www-data", "php": "/usr/bin/php8.4"}


@pytest.fixture
def portal(tmp_path, monkeypatch):
    """``portal(site)`` has an account for upgrades; what would be run is written down."""
    ran = []

    @contextlib.contextmanager
    def popen(words, env, start_new_session):
        assert start_new_session, "the web user could type into our terminal"
        ran.append((words, env))
        yield SimpleNamespace(wait=lambda: 3)

    monkeypatch.setattr(_migrate.subprocess, "Popen", popen)

    def make(site):
        (tmp_path / f"upgrade-{site}.cnf").write_text(f'[client]\nuser="chamilo_{site}_upgrade"\npassword="s-3_cret"\n')
        (tmp_path / f"database-{site}.json").write_text(json.dumps({"place": PLACE}))

    make.ran = ran
    make.go = lambda *command, site="": _migrate.migrate(command, site, str(tmp_path), str(tmp_path))
    return make


def test_migrations_run_as_the_web_user_with_the_password_off_the_command_line(portal):
    portal("campus")
    assert portal.go() == ("campus", 3)
    ((words, env),) = portal.ran
    assert words[:3] == ["runuser", "-u", "www-data"] and "--chdir=/var/www/chamilo" in words
    assert words[-4:] == ["/usr/bin/php8.4", "bin/console", *_migrate.MIGRATE]
    assert (env["DATABASE_USER"], env["DATABASE_PASSWORD"]) == ("chamilo_campus_upgrade", "s-3_cret")
    assert not [word for word in words if "s-3_cret" in word]


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


def test_whoever_stops_us_stops_it(tmp_path, monkeypatch):
    """It is in a session of its own, so the terminal's Ctrl-C reaches us alone."""
    (tmp_path / "upgrade-campus.cnf").write_text('user="u"\npassword="p"\n')
    (tmp_path / "database-campus.json").write_text(json.dumps({"place": PLACE}))
    real = subprocess.Popen
    waits = []

    class Interrupted(real):
        def wait(self, timeout=None):
            waits.append(timeout)
            if len(waits) == 1:
                raise KeyboardInterrupt
            return super().wait(timeout)

    def popen(words, **options):
        # Whoever runs the tests in the background has the signal ignored, by what it starts too.
        return Interrupted(["sleep", "60"], preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **options)

    monkeypatch.setattr(_migrate.subprocess, "Popen", popen)
    site, code = _migrate.migrate((), "campus", str(tmp_path), str(tmp_path))
    assert (site, code) == ("campus", -signal.SIGINT)
