# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Chamilo that does something otherwise than is believed of it."""

from __future__ import annotations

import pytest

from tests.hosts.hardening import Playbook
from tests.hosts.test_audit import audit
from tests.playbook import PlayError
from tests.testbed.hosts import Host

FILE = "/var/www/chamilo/src/CoreBundle/Security/LoginCaptchaManager.php"
CONTROLS = ("brute_force_captcha", "brute_force_captcha_block")
ENABLED = "mariadb -N chamilo -e \"SELECT selected_value FROM settings WHERE variable = 'allow_captcha'\""


@pytest.mark.cells("trixie-nginx")
def test_a_belief_that_does_not_hold_is_told_and_its_fixer_leaves_the_matter_alone(
    hardened: Host, playbook: Playbook
) -> None:
    before = {name: audit(playbook, hardened)[name] for name in CONTROLS}
    assert {one["status"] for one in before.values()} == {"pass"}
    assert hardened.run(ENABLED).stdout.split() == ["true"]
    hardened.run(f"sed -i.kept s/captcha_time_to_block/captcha_minutes/ {FILE}")

    now = audit(playbook, hardened)
    for name in CONTROLS:
        assert now[name]["status"] == "not_assessed"
        assert "This Chamilo does it otherwise: src/CoreBundle/Security/LoginCaptchaManager" in now[name]["evidence"]
    assert now["brute_force_unlock"]["status"] == "pass" and "otherwise" in now["brute_force_unlock"]["evidence"]
    playbook.sections = "brute_force"
    with pytest.raises(PlayError, match="exit code 2") as told:
        playbook.run("harden", hardened)
    assert "brute_force_captcha, brute_force_captcha_block: This Chamilo does it otherwise" in str(told.value)
    assert hardened.run(ENABLED).stdout.split() == ["false"]

    # What the web user can write keeps no fixer from its work.
    hardened.run(f"chown www-data {FILE}")
    assert playbook.harden(hardened) > 0
    assert hardened.run(ENABLED).stdout.split() == ["true"]
    hardened.run(f"mv {FILE}.kept {FILE} && chown root {FILE}")
    assert playbook.harden(hardened) == 0
    assert {audit(playbook, hardened)[name]["status"] for name in CONTROLS} == {"pass"}
