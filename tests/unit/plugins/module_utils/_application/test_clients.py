# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which accounts let a client in."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import clients


def resolve(host, _port):
    if host != "here.test":
        raise OSError("not found")
    return [(0, 0, 0, "", ("10.0.0.8", 0)), (0, 0, 0, "", ("fe80::1%eth0", 0))]


@pytest.mark.parametrize(
    "client, host, may",
    [
        ("10.0.0.8", "%", True),
        ("10.0.0.8", "10.%", True),
        ("10.0.0.0/8", "10.1.2.%", True),
        ("10.0.0.8", "10.1.%", False),
        ("10.0.0.8", "10.0.0.0/255.255.255.0", True),
        ("10.0.0.8", "10.0.0.9", False),
        ("10.0.0.8", "localhost", False),
        ("10.0.0.8", "%.example.org", True),
        ("10.0.0.8", "nowhere.invalid", True),
        ("10.0.0.8", "here.test", True),
        ("10.0.0.9", "here.test", False),
        ("10.2.3.0/24", "10.2.3.1_", True),
    ],
)
def test_whom_an_account_at_a_host_lets_in(monkeypatch, client, host, may):
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert clients.may_come(client, host) is may


@pytest.mark.parametrize(
    ("client", "among"),
    [("10.0.0.8:50712", True), ("192.0.2.9:50712", False), ("localhost:50712", True), ("nowhere.invalid:50712", False)],
)
def test_a_client_is_compared_by_its_address_also_where_the_server_shows_its_name(client, among):
    networks = [ipaddress.ip_network(one) for one in ("10.0.0.0/8", "127.0.0.0/8", "::1/128")]
    assert clients.is_among(client, networks) is among


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("", True),
        ("localhost", True),
        ("::1:4711", True),
        ("192.0.2.5:4711", True),
        ("192.0.2.6:4711", False),
    ],
)
def test_a_client_on_this_host_is_local(host, local):
    assert clients.is_local(host, ("192.0.2.5",)) is local
