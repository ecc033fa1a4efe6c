# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.stored_code import runs, stored_code
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.tree import Identity
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import basis, sites
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.database import Account, Reader
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Site


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("sendmail://default?command=/tmp/x%20-t", "the command /tmp/x -t"),
        ("failover(smtp://u:canary@mail sendmail://default?a=1&command=sh%20-c%20id)", "the command sh -c id"),
        ("sendmail://default?command=/usr/sbin/sendmail%20-oi%20-t", ""),
        ("sendmail://default?command=/usr/sbin/sendmail%20-t%20-C/tmp/x", "the command /usr/sbin/sendmail -t -C/tmp/x"),
        ("sendmail://default?command=/usr/bin/msmtp%20-t", ""),
        ("sendmail://default?command=/usr/sbin/sendmail+-t+-f+bounce%2Bcampus@example.org", ""),
        ("sendmail://default?command=/usr/sbin/sendmail%20-t%20-fbounce@example.org", ""),
        ("sendmail://default?command=/usr/sbin/sendmail+-f+-X/x@y", "the command /usr/sbin/sendmail -f -X/x@y"),
        ("sendmail://default?command=/usr/bin/msmtp+-f+a@b;id", "the command /usr/bin/msmtp -f a@b;id"),
        ("sendmail://default?command=/usr/bin/msmtp+-C+/tmp/x", "the command /usr/bin/msmtp -C /tmp/x"),
        ("sendmail://default", ""),
        ("smtp://u:p@mail.example.org:587", ""),
        ("<SCRIPT src=//x>", "<SCRIPT in the page"),
        ('<img src=x onerror="x()">', "<img src=x onerror= in the page"),
        ("<a href='javascript:x()'>", "javascript: in the page"),
        ('<meta http-equiv="refresh" content="0">', '<meta http-equiv="refresh in the page'),
        ('<meta name="keywords" content="school"><b>One</b> & two', ""),
        ('{"min":{"length":12}}', ""),
    ],
)
def test_what_a_value_runs(value, what):
    assert runs(value) == what


ROWS = [
    {
        "category": "Tracking",
        "variable": "header_extra_content",
        "access_url": url,
        "selected_value": "<script>x</script>",
    }
    for url in ("1", "2")
]


def test_what_is_pinned_is_the_administrator_s(tmp_path):
    config = tmp_path / "config"
    config.mkdir()
    (tmp_path / ".env").write_text("MAILER_DSN='sendmail://default?command=/tmp/x'\n")
    site, reader = Site("campus.test", root=str(tmp_path)), Reader(Account("app"), str(tmp_path), ask=lambda _sql: ROWS)
    mine = "tracking.header_extra_content of portal {} (<script in the page)".format
    sent = "MAILER_DSN in the environment (the command /tmp/x)"
    assert stored_code(reader, site) == [mine(1), mine(2), sent]
    (config / "settings_overrides.yaml").write_text(
        "parameters:\n  settings_overrides:\n    2:\n      tracking.header_extra_content: '<script>mine</script>'\n"
    )
    reader = Reader(Account("app"), str(tmp_path), ask=lambda _sql: ROWS)
    assert stored_code(reader, site) == [mine(1), sent]


@pytest.fixture
def sending(tmp_path, monkeypatch):
    """A portal whose environment names a command, and what this host wrote down of it."""
    root, state, etc = tmp_path / "campus", tmp_path / "state", tmp_path / "etc"
    for directory in (root, state, etc):
        directory.mkdir()
    (root / ".env").write_text("MAILER_DSN='sendmail://default?command=/opt/mail/send%20-q'\n")
    (root / ".env").chmod(0o640)
    monkeypatch.setattr(files, "STATE", str(state))
    monkeypatch.setattr(sites, "SITES", str(etc))
    return root


def found(root):
    site, reader = Site("campus.test", root=str(root)), Reader(Account("app"), str(root), ask=lambda _sql: [])
    return bool(stored_code(reader, site, (Identity("www-data", 33, frozenset({33})),)))


def hardened(root):
    known = {"tree": {"path": str(root)}, "installer": {}}
    (root.parent / "etc/permissions-campus.json").write_text(json.dumps(known))


def test_what_root_wrote_into_an_environment_file_is_the_administrator_s(sending):
    assert not found(sending)
    basis.environment_taken(str(sending), files.STATE, 0, first=True)
    hardened(sending)
    assert not found(sending)


@pytest.mark.parametrize(("owner", "mode"), [((33, 33), 0o600), ((0, 33), 0o660), ((0, 0), 0o646)])
def test_what_the_web_user_can_write_now_is_not(sending, owner, mode):
    os.chown(sending / ".env", *owner)
    (sending / ".env").chmod(mode)
    assert found(sending)


def test_what_it_could_write_before_it_became_root_s_waits_for_an_administrator(sending):
    basis.environment_taken(str(sending), files.STATE, 1, first=True)
    hardened(sending)
    assert found(sending)
    basis.accepted(str(sending), files.STATE)
    assert not found(sending)


def test_nor_is_what_an_earlier_version_made_root_s(sending):
    hardened(sending)
    assert found(sending)
