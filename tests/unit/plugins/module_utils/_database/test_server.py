# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an account finds when it logs in."""

from __future__ import annotations

EIGHT = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX"


def test_rights_of_public_are_not_the_account_s_own(host, monkeypatch):
    host.server.add("'chamilo'@'%'", "old-password-1", f"{EIGHT} ON `chamilo`.*")
    lines = host.server.lines
    every_address = [{"line": "GRANT SELECT ON `help`.* TO PUBLIC"}]
    monkeypatch.setattr(host.server, "lines", lambda name: [*lines(name), *every_address])
    assert not host.apply().changed
