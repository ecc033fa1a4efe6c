# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.php_accounts import PhpUserError
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.php_user import Done
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Php, Site
from ansible_collections.chamilo.hardening.plugins.modules import chamilo_php_user

GIVEN = {"domain": "campus.test", "site": "campus", "tree": {"path": "/srv/campus"}, "probe": [{"url": "http://x/"}]}


@pytest.fixture
def asked(monkeypatch):
    """What the engine was asked for; ``problem``: what it raises."""

    class Asked:
        desired_by_name = []
        problem = None

        def __init__(self, desired, engine):
            self.desired_by_name.append(desired)

        def go(self, check):
            if self.problem:
                raise self.problem
            php = Php(user="chamilo-campus", group="chamilo-campus", socket="unix:/run/x.sock", pool_file="/x.conf")
            site = Site("campus.test", php=php, log_rotation="# x", exposed_logs={"/var/log/a": ""})
            return Done(site, not check, ["A line."])

    monkeypatch.setattr(chamilo_php_user, "Switch", Asked)
    return Asked


def run(capsys, **arguments):
    with patch_module_args({**GIVEN, **arguments}), pytest.raises(SystemExit):
        chamilo_php_user.main()
    return json.loads(capsys.readouterr().out)


def test_the_answer_is_what_came_of_it(capsys, asked):
    result = run(capsys)
    assert result["changed"] and result["told"] == ["A line."]
    assert result["php"] == {
        "user": "chamilo-campus",
        "group": "chamilo-campus",
        "socket": "unix:/run/x.sock",
        "pool_file": "/x.conf",
    }
    assert (result["log_rotation"], result["exposed_logs"]) == ("# x", {"/var/log/a": ""})
    desired = asked.desired_by_name[-1]
    assert desired.own and (desired.domain, desired.site, desired.tree) == (
        "campus.test",
        "campus",
        {"path": "/srv/campus"},
    )
    assert desired.probe == [{"url": "http://x/", "address": None, "send": {}}]


def test_a_check_is_handed_on_and_keep_is_not_own(capsys, asked):
    assert not run(capsys, state="keep", _ansible_check_mode=True)["changed"]
    assert not asked.desired_by_name[-1].own


def test_a_problem_is_reported(capsys, asked):
    asked.problem = PhpUserError("It cannot be.")
    result = run(capsys)
    assert result["failed"] and result["msg"] == "It cannot be."
