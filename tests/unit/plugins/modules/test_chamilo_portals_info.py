# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.portals import Portal
from ansible_collections.chamilo.hardening.plugins.modules import chamilo_portals_info

CAMPUS = Portal(
    domain="campus.test",
    names=("campus.test", "*.campus.test"),
    root="/var/www/chamilo",
    web_server="nginx 1.26.3",
    php="8.4 as www-data",
    database="chamilo on localhost",
    version="2.0.4",
    obstacles=("MySQL is on this host.",),
)


def run(capsys):
    with patch_module_args({}), pytest.raises(SystemExit):
        chamilo_portals_info.main()
    return json.loads(capsys.readouterr().out)


def test_it_returns_what_is_there(capsys, monkeypatch):
    monkeypatch.setattr(chamilo_portals_info, "portals", lambda sections: [CAMPUS])
    answer = run(capsys)
    assert answer["changed"] is False
    assert answer["portals"][0]["names"] == ["campus.test", "*.campus.test"]


def test_what_cannot_be_read_is_the_message(capsys, monkeypatch):
    def refuse(sections):
        raise HardeningError("It cannot be read.")

    monkeypatch.setattr(chamilo_portals_info, "portals", refuse)
    assert run(capsys)["msg"] == "It cannot be read."
