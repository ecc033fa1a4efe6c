# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the server is this host's own."""

from __future__ import annotations

import socket

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._database.server import AccountError


def test_a_name_that_leads_elsewhere_or_nowhere_is_another_host(sloppy, monkeypatch):
    for answer in ([(0, 0, 0, "", ("127.0.0.1", 0)), (0, 0, 0, "", ("192.0.2.9", 0))], OSError("no such name")):

        def ask(host, port, answer=answer):
            if isinstance(answer, OSError):
                raise answer
            return answer

        monkeypatch.setattr(socket, "getaddrinfo", ask)
        with pytest.raises(AccountError, match="The database is on db.test"):
            sloppy.apply(there="db.test", listen=["127.0.0.1"])
