# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import grp

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import php_accounts
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.php_accounts import Accounts, PhpUserError


@pytest.fixture
def accounts(tmp_path, monkeypatch):
    """``asked``: the commands; the first that has ``fails`` in it fails."""
    monkeypatch.setattr(php_accounts, "_UNITS", f"{tmp_path}/*.service")

    def run(argv, _seconds):
        made.asked.append(" ".join(argv))
        return (1, "no") if made.fails and made.fails in made.asked[-1] else (0, "")

    made = Accounts(Machine(run, systemd=True), str(tmp_path))
    made.asked, made.fails = [], ""
    return made


def test_a_user_is_made_once(accounts):
    accounts.make("chamilo-of-this-test")
    assert accounts.asked[0] == "groupadd --system --force chamilo-web"
    assert accounts.asked[1].startswith("useradd --system --user-group --no-create-home")
    assert accounts.asked[1].endswith(" chamilo-of-this-test")
    accounts.asked.clear()
    accounts.make("nobody")
    assert len(accounts.asked) == 1


def test_who_is_no_member_has_not_to_leave(accounts):
    assert accounts.join("nobody", "daemon") and not accounts.leave("nobody", "daemon")
    assert accounts.asked == ["gpasswd --add nobody daemon"]
    assert php_accounts.primary_group("root") == "root"


def test_a_command_that_fails_is_reported(accounts):
    accounts.fails = "gpasswd"
    with pytest.raises(PhpUserError, match="`gpasswd --add nobody daemon` failed .1.: no."):
        accounts.join("nobody", "daemon")


def test_a_member_does_not_join_again(accounts, monkeypatch):
    known = grp.struct_group(("daemon", "x", 1, ["nobody", "www-data"]))
    monkeypatch.setattr(grp, "getgrnam", lambda _name: known)
    assert not accounts.join("nobody", "daemon") and accounts.asked == []
    assert accounts.join("bin", "daemon") and accounts.asked == ["gpasswd --add bin daemon"]
