# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pwd
from dataclasses import replace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import DatabaseError
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php_ini import Setting
from ansible_collections.chamilo.hardening.plugins.module_utils._settings import logins

ADMIN = b'_sf2_attributes|a:1:{s:14:"_security_main";s:44:"O:30:"Chamilo\\CoreBundle\\Entity\\User":1:{}";}'
OTHER = b'_sf2_attributes|a:1:{s:14:"_security_main";s:21:"O:13:"Shop\\Customer":";}'
VISITOR = b'_sf2_attributes|a:1:{s:7:"schemas";s:7:"Chamilo\\";}'


@pytest.fixture
def sessions(tmp_path, monkeypatch):
    """The sessions of a portal and of others, some in a directory of their own; what is asked of PHP's files."""
    directory = tmp_path / "sessions"
    (directory / "deep").mkdir(parents=True)
    for name, content in (("sess_a", ADMIN), ("sess_b", OTHER), ("sess_c", VISITOR), ("deep/sess_d", ADMIN)):
        (directory / name).write_bytes(content)
    (directory / "notes").write_bytes(ADMIN)
    os.symlink("notes", directory / "sess_link")
    output = {"session.save_path": f"1;0600;{directory}"}

    def in_force(*_where):
        return {name: Setting(value, "php.ini") for name, value in output.items()}

    monkeypatch.setattr(logins.php_ini, "of_site", in_force)
    monkeypatch.setattr(logins.symfony_sessions, "options", lambda *_where: {})
    monkeypatch.setattr(logins, "forget", lambda _reader, _check: 3)
    monkeypatch.setattr(logins.Reader, "of_site", classmethod(lambda *_site: None))
    return directory, output


def site(user="", in_php=True):
    php = Php(version="8.4", sapi="fpm", user=user or pwd.getpwuid(os.getuid()).pw_name)
    return Site("campus.test", root="/srv/campus", php=php, sessions_in_php=in_php)


def left(directory):
    return sorted(name for _path, _directories, names in os.walk(directory) for name in names)


def test_all_logins_of_the_portal_end_and_nothing_else(sessions):
    directory, _output = sessions
    reported, notes = logins.end_logins(site(), "prod", check=True)
    assert "are ended (2)" in reported[0] and len(left(directory)) == 6
    assert (reported, notes) == logins.end_logins(site(), "prod")
    assert (reported[1], notes) == ('3 devices of "Remember me" are forgotten.', [])
    assert left(directory) == ["notes", "sess_b", "sess_c", "sess_link"]


def test_sessions_of_another_user_stay(sessions):
    directory, _output = sessions
    assert "are ended (0)" in logins.end_logins(site("nobody"), "prod")[0][0]
    assert len(left(directory)) == 6


def test_another_user_of_php_gets_the_sessions_of_the_portal_alone(sessions):
    directory, _output = sessions
    (directory / "sess_b").write_bytes(OTHER)
    (directory / "sess_c").write_bytes(
        b'_sf2_attributes|a:1:{s:7:"schemas";a:1:{s:24:"chamilo_database_version";s:1:"2";}}'
    )
    us, taker = pwd.getpwuid(os.getuid()).pw_name, pwd.getpwnam("nobody")
    logins.hand_over(site(), "prod", us, "nobody")
    given = sorted(path.name for path in directory.iterdir() if path.lstat().st_uid == taker.pw_uid)
    assert given == ["sess_a", "sess_c"]
    logins.hand_over(site(), "prod", "nobody", us)
    assert {path.lstat().st_uid for path in directory.iterdir()} == {os.getuid()}
    sessions[1]["session.save_path"] = "tcp://redis:6379"
    logins.hand_over(site(), "prod", us, "nobody")


@pytest.mark.parametrize(
    ("own", "output", "store"),
    [
        ({"handler_id": "redis://:canary@10.0.0.5"}, {}, "redis keeps them"),
        ({"handler_id": "App\\Sessions"}, {}, "App\\Sessions keeps them"),
        ({"save_path": "%env(SESSIONS)%"}, {}, "%env(SESSIONS)% keeps them"),
        ({"handler_id": "file://%env(SESSIONS)%"}, {}, "file://%env(SESSIONS)% keeps them"),
        ({}, {"session.save_handler": "memcached"}, "memcached keeps them"),
        ({}, {"session.save_path": "/nowhere/at/all"}, "in /nowhere/at/all were not ended"),
    ],
)
def test_what_cannot_be_ended_is_reported(sessions, monkeypatch, own, output, store):
    monkeypatch.setattr(logins.symfony_sessions, "options", lambda *_where: own)
    sessions[1].update(output)
    reported, notes = logins.end_logins(site(in_php=False), "prod")
    assert len(reported) == 1 and store in notes[0] and "canary" not in notes[0]
    assert len(left(sessions[0])) == 6


@pytest.mark.parametrize(
    "own", [{"handler_id": "file://{}"}, {"handler_id": "session.handler.native_file", "save_path": "'{}'"}]
)
def test_the_directory_that_the_application_names_counts(sessions, monkeypatch, own):
    directory, output = sessions
    output["session.save_path"] = "/nowhere"
    own = {name: value.format(directory) for name, value in own.items()}
    monkeypatch.setattr(logins.symfony_sessions, "options", lambda *_where: own)
    assert "are ended (2)" in logins.end_logins(site(in_php=False), "prod")[0][0]


def test_placeholders_in_the_handler_are_replaced(sessions, monkeypatch):
    directory, _output = sessions
    own = {"handler_id": "file://%kernel.project_dir%/%kernel.environment%"}
    monkeypatch.setattr(logins.symfony_sessions, "options", lambda *_where: own)
    portal = replace(site(in_php=False), root=str(directory.parent))
    assert "are ended (2)" in logins.end_logins(portal, directory.name)[0][0]


def test_what_php_is_set_to_cannot_be_read(sessions, monkeypatch):
    def refuse(*_where):
        raise PermissionError(13, "Permission denied", "/etc/php")

    monkeypatch.setattr(logins.php_ini, "of_site", refuse)
    reported, notes = logins.end_logins(site(), "prod")
    assert reported == ['3 devices of "Remember me" are forgotten.']
    assert "were not ended" in notes[0] and "Permission denied" in notes[0] and "delete them there" in notes[0]


def test_a_directory_that_an_administrator_linked_is_followed(sessions):
    directory, output = sessions
    os.symlink(directory, directory.parent / "link")
    output["session.save_path"] = str(directory.parent / "link")
    assert "are ended (2)" in logins.end_logins(site(), "prod")[0][0]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a link to another account")
def test_a_directory_that_the_web_user_linked_is_reported(sessions):
    directory, output = sessions
    os.symlink(directory, directory.parent / "link")
    os.lchown(directory.parent / "link", pwd.getpwnam("www-data").pw_uid, -1)
    output["session.save_path"] = str(directory.parent / "link")
    reported, notes = logins.end_logins(site("www-data"), "prod")
    assert len(reported) == 1 and "www-data could have laid it" in notes[0] and len(left(directory)) == 6


def test_a_database_that_does_not_answer_is_reported(sessions, monkeypatch):
    def refuse(_reader, _check):
        raise DatabaseError("It is down.")

    monkeypatch.setattr(logins, "forget", refuse)
    reported, notes = logins.end_logins(site(), "prod")
    assert len(reported) == 1 and notes == ['The devices of "Remember me" were not forgotten. It is down.']
    assert "PHP that was not found" in logins.end_logins(Site("campus.test"), "prod")[1][0]
