# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pwd
import time

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._insider import Insider
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php

NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def insider():
    return Insider(Site("campus.test", php=Php(user="www-data")))


def test_the_function_runs_as_that_user_alone(insider):
    reported = insider.as_user("nobody", lambda: [os.getresuid(), os.getresgid(), os.getgroups(), os.getcwd()])
    groups = os.getgrouplist("nobody", NOBODY.pw_gid)
    assert reported.value == [[NOBODY.pw_uid] * 3, [NOBODY.pw_gid] * 3, groups, "/"]
    assert not reported.error
    assert os.getuid() == 0


def test_what_it_raises_comes_back_as_words(insider, tmp_path):
    file = tmp_path / "secret"
    file.write_text("x")
    file.chmod(0o600)
    reported = insider.as_user("nobody", file.read_text)
    assert reported.value is None
    assert "Permission denied" in reported.error


def test_one_that_does_not_end_is_killed(insider):
    begun = time.monotonic()
    reported = insider.as_user("nobody", lambda: time.sleep(60), patience=0.2)
    assert "not done after 0.2 seconds" in reported.error
    assert time.monotonic() - begun < 5


def test_one_that_dies_is_no_success(insider):
    assert "without a word" in insider.as_user("nobody", lambda: os._exit(0)).error


def test_the_web_user_is_that_of_php(insider):
    assert insider.web_user == "www-data"
    with pytest.raises(OSError, match="PHP"):
        _ = Insider(Site("campus.test")).web_user
