# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pwd

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import DatabaseError
from ansible_collections.chamilo.hardening.plugins.module_utils._application.installation import Installation
from ansible_collections.chamilo.hardening.plugins.module_utils._settings import logins

ADMIN = b'_sf2_attributes|a:1:{s:14:"_security_main";s:44:"O:30:"Chamilo\\CoreBundle\\Entity\\User":1:{}";}'
OTHER = b'_sf2_attributes|a:1:{s:14:"_security_main";s:21:"O:13:"Shop\\Customer":";}'
US = pwd.getpwuid(os.getuid()).pw_name
VISITOR = b'_sf2_attributes|a:1:{s:7:"schemas";s:7:"Chamilo\\";}'


@pytest.fixture
def sessions(tmp_path, monkeypatch):
    """The sessions of a portal and of others, some in a directory of their own."""
    directory = tmp_path / "sessions"
    (directory / "deep").mkdir(parents=True)
    for name, content in (("sess_a", ADMIN), ("sess_b", OTHER), ("sess_c", VISITOR), ("deep/sess_d", ADMIN)):
        (directory / name).write_bytes(content)
    (directory / "notes").write_bytes(ADMIN)
    os.symlink("notes", directory / "sess_link")
    monkeypatch.setattr(logins, "forget", lambda _reader, _check: 3)
    monkeypatch.setattr(logins.Reader, "of", classmethod(lambda *_portal: None))
    return directory


def portal(directory, user="", keeper=""):
    return Installation("/srv/campus", user or US, sessions=str(directory), sessions_keeper=keeper)


def left(directory):
    return sorted(name for _path, _directories, names in os.walk(directory) for name in names)


def test_all_logins_of_the_portal_end_and_nothing_else(sessions):
    reported, notes = logins.end_logins(portal(sessions), check=True)
    assert "are ended (2)" in reported[0] and len(left(sessions)) == 6
    assert (reported, notes) == logins.end_logins(portal(sessions))
    assert (reported[1], notes) == ('3 devices of "Remember me" are forgotten.', [])
    assert left(sessions) == ["notes", "sess_b", "sess_c", "sess_link"]


def test_sessions_of_another_user_stay(sessions):
    assert "are ended (0)" in logins.end_logins(portal(sessions, "nobody"))[0][0]
    assert len(left(sessions)) == 6


def test_what_cannot_be_ended_is_reported(sessions):
    for where, words in (
        (portal("", keeper="redis"), "redis keeps them"),
        (portal("/nowhere/at/all"), "in /nowhere/at/all were not ended"),
    ):
        reported, notes = logins.end_logins(where)
        assert len(reported) == 1 and words in notes[0] and "delete them there" in notes[0]
    assert len(left(sessions)) == 6


def test_a_directory_that_an_administrator_linked_is_followed(sessions):
    os.symlink(sessions, sessions.parent / "link")
    assert "are ended (2)" in logins.end_logins(portal(sessions.parent / "link"))[0][0]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a link to another account")
def test_a_directory_that_the_web_user_linked_is_reported(sessions):
    os.symlink(sessions, sessions.parent / "link")
    os.lchown(sessions.parent / "link", pwd.getpwnam("www-data").pw_uid, -1)
    reported, notes = logins.end_logins(portal(sessions.parent / "link", "www-data"))
    assert len(reported) == 1 and "www-data could have laid it" in notes[0] and len(left(sessions)) == 6


def test_a_database_that_does_not_answer_is_reported(sessions, monkeypatch):
    def refuse(_reader, _check):
        raise DatabaseError("It is down.")

    monkeypatch.setattr(logins, "forget", refuse)
    reported, notes = logins.end_logins(portal(sessions))
    assert len(reported) == 1 and notes == ['The devices of "Remember me" were not forgotten. It is down.']
