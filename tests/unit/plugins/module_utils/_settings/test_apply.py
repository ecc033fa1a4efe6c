# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import sqlite3
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.catalogue import CATALOGUE
from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import (
    Account,
    DatabaseError,
    Deadlock,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._application.installation import Installation
from ansible_collections.chamilo.hardening.plugins.module_utils._settings import apply, undo_data
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.apply import Host, in_force, result
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.plan import SettingsError, desired

CHECK = "security.check_password"
ACCOUNT = Account("chamilo")


class Fake:
    """The table in SQLite, which knows the same statements but no locks."""

    def __init__(self, portals=(1, 2, 3)):
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        self.database.row_factory = sqlite3.Row
        self.asked = []
        self.fail_at = None
        self.database.execute("CREATE TABLE access_url (id INTEGER PRIMARY KEY, url TEXT)")
        self.database.execute(
            "CREATE TABLE settings (id INTEGER PRIMARY KEY AUTOINCREMENT, access_url INT, variable TEXT NOT NULL,"
            " subkey TEXT, category TEXT, selected_value TEXT, title TEXT NOT NULL, scope TEXT,"
            " access_url_changeable INT NOT NULL, access_url_locked INT NOT NULL DEFAULT 0,"
            " UNIQUE (variable, subkey, access_url))"
        )
        for portal in portals:
            self.database.execute("INSERT INTO access_url VALUES (?, ?)", (portal, f"https://{portal}.test/"))

    def add(self, portal, key, value, changeable=1, subkey=None):
        category, _dot, variable = key.partition(".")
        self.database.execute(
            "INSERT INTO settings (access_url, variable, subkey, category, selected_value, title,"
            " access_url_changeable) VALUES (?, ?, ?, ?, ?, 'old title', ?)",
            (portal, variable, subkey, category, value, changeable),
        )

    def ask(self, sql, params=()):
        self.asked.append(sql)
        if self.fail_at and self.fail_at in sql:
            raise self.problem
        cursor = self.database.execute(sql.replace(" FOR UPDATE", "").replace("%s", "?"), list(params))
        return [{name: None if row[name] is None else str(row[name]) for name in row.keys()} for row in cursor]

    problem: Exception = DatabaseError("gone")

    @contextlib.contextmanager
    def transaction(self, _account):
        self.database.execute("BEGIN")
        try:
            yield self.ask
        except BaseException:
            self.database.execute("ROLLBACK")
            raise
        self.database.execute("COMMIT")

    def rows(self):
        return [tuple(row) for row in self.database.execute("SELECT * FROM settings ORDER BY id")]

    def uses(self, key, portal):
        """What the application uses, the way its own code finds it."""
        category, _dot, variable = key.partition(".")
        value, changeable = CATALOGUE[key].default, True
        for row in self.database.execute(
            "SELECT selected_value, access_url, access_url_changeable FROM settings WHERE lower(category) = ? AND"
            " variable = ? AND access_url IN (1, ?) AND subkey IS NULL ORDER BY access_url, id",
            (category, variable, portal),
        ):
            if row["access_url"] == 1:
                value, changeable = row["selected_value"] or "", bool(row["access_url_changeable"])
            elif portal != 1 and changeable:
                value = row["selected_value"] or ""
        return value


@pytest.fixture
def fake():
    return Fake()


def host(fake, application=None, state=""):
    return Host(ACCOUNT, application or Installation("/nowhere"), state, fake.transaction, fake.ask)


def asked(settings, **options):
    given = {"secret_settings": {}, "reset": [], "access_url": ["all"], "lock": None, "pin": None, **options}
    return desired(settings, given.pop("secret_settings"), **given)


KEYS = [CHECK, "security.login_max_attempt_before_blocking_account", "security.allow_strength_pass_checker"]


def test_the_lock_is_there_before_the_rows_are_read(fake):
    host(fake).apply(asked({CHECK: True}), check=False)
    kinds = [re.sub(r"^(\w+).* (access_url|settings).*?( FOR UPDATE)?$", r"\1 \2\3", sql) for sql in fake.asked[2:4]]
    assert kinds == ["SELECT access_url FOR UPDATE", "SELECT settings FOR UPDATE"]


def test_a_failure_leaves_every_row_as_it_was(fake):
    fake.add(1, CHECK, "false")
    fake.add(1, CHECK, "false")
    before = fake.rows()
    fake.fail_at = "INSERT INTO settings"
    with pytest.raises(DatabaseError, match="gone"):
        host(fake).apply(asked({CHECK: True, "security.2fa_enable": True}), check=False)
    assert fake.rows() == before


def test_after_a_deadlock_the_second_try_counts(fake):
    fake.problem, fake.fail_at = Deadlock("gave way"), "INSERT INTO settings"
    begin = fake.transaction
    begun = []

    @contextlib.contextmanager
    def transaction(account):
        begun.append(account)
        with begin(account) as ask:
            fake.fail_at = fake.fail_at if len(begun) == 1 else None
            yield ask

    fake.transaction = transaction
    assert host(fake).apply(asked({CHECK: True}), check=False).changed
    assert len(begun) == 2
    assert [row[1:6] for row in fake.rows()] == [(1, "check_password", None, "security", "true")]


def test_a_row_of_no_portal_is_never_read(fake):
    fake.add(None, CHECK, "true")
    before = fake.rows()
    outcome = host(fake).apply(asked({CHECK: True}), check=False)
    assert outcome.plan.settings[CHECK]["before"]["stored"] == {"1": None, "2": None, "3": None}
    assert fake.rows()[:1] == before and len(fake.rows()) == 2


def test_the_diff_shows_values_and_no_secret(fake):
    fake.add(1, CHECK, "false")
    fake.add(1, "mail.mailer_dsn", "smtp://old-secret")
    expected = asked({CHECK: True}, secret_settings={"mail.mailer_dsn": "smtp://new-secret"}, lock=True)
    (diff,) = host(fake).apply(expected, check=True).diff
    assert f"{CHECK} of portal 1: 'false'\n" in diff["before"]
    assert f"{CHECK} of portal 1: 'true' (locked)\n" in diff["after"]
    assert "secret" not in str(diff)


# ---------------------------------------------------------------------------------------------- the override file

CONSOLE = """#!/bin/sh
echo "$@ in $APP_ENV" >>{told}
test ! -e {broken} || {{ echo "In Container.php: it is broken"; exit 1; }}
touch {cache}/Chamilo_KernelProdContainer.php
"""


class Portal:
    """A directory of Chamilo, and a php that clears its cache."""

    def __init__(self, directory: Path, monkeypatch) -> None:
        self.root = directory / "chamilo"
        self.reported = directory / "told"
        self.broken = directory / "broken"
        self.file = self.root / "config/settings_overrides.yaml"
        cache = self.root / "var/cache/prod"
        cache.mkdir(parents=True)
        self.file.parent.mkdir()
        self.container = cache / "Chamilo_KernelProdContainer.php"
        self.container.touch()
        self.container.chmod(0o666)
        self.php = php = directory / "bin/php"
        php.parent.mkdir()
        php.write_text(CONSOLE.format(told=self.reported, broken=self.broken, cache=cache))
        php.chmod(0o755)
        monkeypatch.setenv("PATH", f"{php.parent}:{os.environ['PATH']}")
        for path in (directory, cache, self.root):
            path.chmod(0o777)
        self.state = str(directory / "state")
        self.application = Installation(str(self.root), "nobody")

    def cleared(self) -> int:
        return self.reported.read_text().count("bin/console cache:clear") if self.reported.exists() else 0


@pytest.fixture
def portal(open_host, monkeypatch):
    return Portal(open_host.root, monkeypatch)


def pin(fake, portal, settings, check=False, **options):
    return host(fake, portal.application, portal.state).apply(asked(settings, pin=True, **options), check=check)


def test_a_pin_is_a_new_file_of_root_and_a_cleared_cache(fake, portal):
    predicted = result(pin(fake, portal, {CHECK: True}, check=True))
    assert not portal.file.exists() and not portal.cleared()
    assert result(pin(fake, portal, {CHECK: True})) == predicted
    assert predicted["cache_cleared"] and predicted["settings"][CHECK]["after"]["overridden"]["2"] == "true"
    assert "        default:\n            security.check_password: 'true'\n" in portal.file.read_text()
    info = portal.file.stat()
    assert (info.st_uid, info.st_mode & 0o777, portal.cleared()) == (0, 0o640, 1)
    assert portal.reported.read_text().endswith(" in prod\n"), "the server may give PHP another mode than the files"
    again = pin(fake, portal, {CHECK: True})
    assert not again.changed and portal.cleared() == 1


def test_an_existing_file_keeps_owner_mode_and_all_else(fake, portal):
    portal.file.write_text("# ours\nparameters:\n  settings_overrides:\n    2:\n      security.allow_captcha: 'true'\n")
    portal.file.chmod(0o604)
    os.chown(portal.file, 1234, 1234)
    os.utime(portal.container)
    outcome = pin(fake, portal, {CHECK: True})
    info = portal.file.stat()
    assert (info.st_uid, info.st_gid, info.st_mode & 0o777) == (1234, 1234, 0o604)
    assert portal.file.read_text().startswith(
        "# ours\nparameters:\n  settings_overrides:\n    2:\n      security.allow"
    )
    assert outcome.diff[1]["after"] == portal.file.read_text()


def test_the_old_file_is_back_when_the_cache_cannot_be_cleared(fake, portal):
    portal.broken.touch()
    with pytest.raises(
        SettingsError, match="cache:clear failed as nobody, so .* is as it was before: In Container.php"
    ):
        pin(fake, portal, {CHECK: True})
    assert not portal.file.exists()
    assert fake.rows() == []
    portal.file.write_text("parameters:\n  settings_overrides: {}\n")
    os.utime(portal.file, (7, 7))
    with pytest.raises(SettingsError):
        pin(fake, portal, {CHECK: True})
    assert portal.file.read_text() == "parameters:\n  settings_overrides: {}\n"
    assert portal.file.stat().st_mtime == 7


def test_the_old_file_is_back_when_the_database_fails(fake, portal):
    fake.fail_at = "INSERT INTO settings"
    with pytest.raises(DatabaseError):
        pin(fake, portal, {CHECK: True})
    assert not portal.file.exists()
    assert portal.cleared() == 2, "once for the new file, once for the old state"


def test_a_file_that_is_not_active_yet_is_activated(fake, portal):
    pin(fake, portal, {CHECK: True})
    os.utime(portal.container, (7, 7))  # as if the run had been killed between file and cache
    assert pin(fake, portal, {CHECK: True}, check=True).changed
    outcome = pin(fake, portal, {CHECK: True})
    assert outcome.changed and outcome.cache_cleared and portal.cleared() == 2
    assert not pin(fake, portal, {CHECK: True}).changed


def test_a_pin_needs_a_user(fake, portal):
    for user, words in (("root", "not made as root"), ("nobody-at-all", "no user 'nobody-at-all'")):
        portal.application = Installation(str(portal.root), user)
        with pytest.raises(SettingsError, match=words):
            pin(fake, portal, {CHECK: True})
        assert not portal.file.exists()


def test_only_root_pins(fake, portal, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 33)
    with pytest.raises(SettingsError, match="run it as root"):
        pin(fake, portal, {CHECK: True})
    assert not portal.file.exists() and fake.rows() == []


def test_a_concurrently_modified_file_is_left(fake, portal):
    def late(sql, params=()):
        portal.file.write_text("parameters: {}\n")
        return fake.ask(sql, params)

    there = Host(ACCOUNT, portal.application, portal.state, fake.transaction, late)
    with pytest.raises(SettingsError, match="was modified concurrently. Nothing was written"):
        there.apply(asked({CHECK: True}, pin=True), check=False)
    assert portal.file.read_text() == "parameters: {}\n"
    assert fake.rows() == [] and not portal.cleared()


def test_a_file_that_is_no_text_is_refused(fake, portal):
    portal.file.write_bytes(b"parameters:\n  a: \xff\n")
    with pytest.raises(SettingsError, match="is no UTF-8 text"):
        pin(fake, portal, {CHECK: True})


def test_without_php_nothing_is_pinned(fake, portal, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="needs the php command"):
        pin(fake, portal, {CHECK: True})
    assert not portal.file.exists()


@pytest.mark.parametrize(
    ("does", "words"), [("exec sleep 60", "did not end in 0.2 seconds"), ("kill -9 $$", "cache:clear failed as nobody")]
)
def test_a_cache_that_takes_for_ever_is_not_waited_for(fake, portal, monkeypatch, does, words):
    monkeypatch.setattr(apply, "_CACHE_SECONDS", 0.2)
    portal.php.write_text(f"#!/bin/sh\n{does}\n")
    with pytest.raises(SettingsError, match=words):
        pin(fake, portal, {CHECK: True})
    assert not portal.file.exists() and fake.rows() == []


def test_the_cache_is_cleared_as_the_web_user_and_with_nothing_of_root_s(fake, portal, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    portal.php.write_text(f"#!/bin/sh\n(id -u; id -g; umask; pwd; env; cat) >>{portal.reported} 2>&1\n")
    pin(fake, portal, {CHECK: True})
    reported = portal.reported.read_text()
    user = pwd.getpwnam("nobody")
    assert reported.splitlines()[:4] == [str(user.pw_uid), str(user.pw_gid), "0007", str(portal.root)]
    assert "hunter2" not in reported and "HOME=/nonexistent" in reported


def test_a_link_in_place_of_the_file_is_refused(fake, portal):
    portal.file.symlink_to("/etc/passwd")
    with pytest.raises(SettingsError, match="is a link"):
        pin(fake, portal, {CHECK: True})


def test_a_secret_in_the_file_is_in_no_diff(fake, portal):
    entries = "      mail.mailer_dsn: 'hunter2'\n      ldap.password: hunter3\n"
    portal.file.write_text(f"parameters:\n  settings_overrides:\n    default:\n{entries}")
    os.utime(portal.container)
    outcome = pin(fake, portal, {CHECK: True}, check=True)
    assert len(outcome.diff) == 2
    assert "hunter" not in str(outcome.diff)


def seen_in_force(fake, portal):
    return in_force(Installation(str(portal.root)), portal.state, fake.ask)


def section(fake, portal, settings, name, **options):
    there = host(fake, portal.application, portal.state)
    return there.apply(asked(settings, **options), check=False, section=name)


def test_what_sections_requested_is_active_until_it_is_changed(fake, portal):
    assert seen_in_force(fake, portal) == {}
    section(fake, portal, {CHECK: True}, "passwords:campus", lock=True)
    section(fake, portal, {KEYS[1]: 5}, "brute_force:campus")
    fake.asked.clear()
    assert seen_in_force(fake, portal) == {
        "passwords:campus": {"values": {CHECK: "true"}, "reset": [], "portals": None, "lock": True, "pin": None},
        "brute_force:campus": {"values": {KEYS[1]: "5"}, "reset": [], "portals": None, "lock": None, "pin": None},
    }
    assert len(fake.asked) == 2, "the portals, and the rows of all sections at once"
    fake.database.execute("UPDATE settings SET selected_value = 'false' WHERE variable = 'check_password'")
    assert list(seen_in_force(fake, portal)) == ["brute_force:campus"]
    (portal.root / "config/settings_overrides.yaml").write_text(
        f"parameters:\n  settings_overrides:\n    default:\n      {KEYS[1]}: '0'\n"
    )
    assert seen_in_force(fake, portal) == {}


def test_production_mode_is_active_without_the_name_of_a_section(fake, portal):
    section(fake, portal, {"platform.server_type": "prod"}, "")
    asked = {"values": {"platform.server_type": "prod"}, "reset": [], "portals": None, "lock": None, "pin": None}
    assert seen_in_force(fake, portal) == {"": asked}
    assert in_force(Installation(), portal.state, fake.ask) == {}, "no portal was found"
    fake.database.execute("UPDATE settings SET selected_value = 'test' WHERE variable = 'server_type'")
    assert seen_in_force(fake, portal) == {}


def test_a_pin_that_the_application_has_not_compiled_is_not_active(fake, portal):
    section(fake, portal, {CHECK: True}, "passwords:campus", pin=True)
    assert list(seen_in_force(fake, portal)) == ["passwords:campus"]
    os.utime(portal.container, (7, 7))
    assert seen_in_force(fake, portal) == {}


def test_no_secret_and_no_other_portal_is_shown(fake, portal):
    secret = next(key for key, setting in CATALOGUE.items() if setting.secret and setting.type == "text")
    section(fake, portal, {}, "monitoring:campus", secret_settings={secret: "canary"})
    assert seen_in_force(fake, portal) == {}
    section(fake, portal, {CHECK: True}, "passwords:campus")
    assert in_force(Installation("/srv/other"), portal.state, fake.ask) == {}


@pytest.mark.parametrize("version", ["earlier", "another"])
def test_what_another_version_remembers_reports_nothing(fake, portal, version):
    section(fake, portal, {CHECK: True}, "passwords:campus")
    path = Path(portal.state, undo_data.MEMORY.file)
    known = json.loads(path.read_text().replace(CHECK, CHECK if version == "earlier" else "security.unknown_here"))
    if version == "earlier":
        del known["passwords:campus"]["asked"]
    path.write_text(json.dumps(known))
    assert seen_in_force(fake, portal) == {}


# ------------------------------------------------------------------------------------ what a section wants no more


def test_what_a_section_no_longer_requests_is_restored_in_that_run(fake, portal):
    before = fake.rows()
    section(fake, portal, {CHECK: True, KEYS[1]: 5}, "brute_force:campus", lock=True)
    held = fake.rows()
    there = host(fake, portal.application, portal.state)
    predicted = there.apply(asked({CHECK: True}, lock=True), check=True, section="brute_force:campus")
    assert fake.rows() == held and KEYS[1] in undo_data.MEMORY.recall(portal.state)["brute_force:campus"].settings
    done = section(fake, portal, {CHECK: True}, "brute_force:campus", lock=True)
    assert predicted.changed and done.changed and predicted.diff == done.diff and predicted.messages == done.messages
    assert KEYS[1] in done.messages[0] and len(done.messages) == 1
    assert list(undo_data.MEMORY.recall(portal.state)["brute_force:campus"].settings) == [CHECK]
    assert list(seen_in_force(fake, portal)) == ["brute_force:campus"]
    again = section(fake, portal, {CHECK: True}, "brute_force:campus", lock=True)
    assert not again.changed and again.messages == []
    there.restore(undo_data.MEMORY.recall(portal.state)["brute_force:campus"].settings)
    assert fake.rows() == before


def test_what_was_changed_since_stays_and_is_reported_once(fake, portal):
    section(fake, portal, {CHECK: True, KEYS[1]: 5}, "brute_force:campus")
    variable = KEYS[1].partition(".")[2]
    fake.database.execute(f"UPDATE settings SET selected_value = '9' WHERE variable = '{variable}'")
    done = section(fake, portal, {CHECK: True}, "brute_force:campus")
    assert not done.changed and "stays as it is" in done.messages[0]
    assert section(fake, portal, {CHECK: True}, "brute_force:campus").messages == []
    assert list(seen_in_force(fake, portal)) == ["brute_force:campus"]


def test_nothing_is_restored_where_the_rest_is_refused(fake, portal):
    section(fake, portal, {CHECK: True, KEYS[1]: 5}, "brute_force:campus")
    held, known = fake.rows(), undo_data.MEMORY.recall(portal.state)
    with pytest.raises(SettingsError):
        section(fake, portal, {CHECK: True}, "brute_force:campus", access_url=["9"])
    assert (fake.rows(), undo_data.MEMORY.recall(portal.state)) == (held, known)
