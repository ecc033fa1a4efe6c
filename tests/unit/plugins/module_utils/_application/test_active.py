# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import active
from ansible_collections.chamilo.hardening.plugins.module_utils._application.active import held, inactive
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._common.in_force import InForce
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import (
    Listen,
    VirtualHost,
    WebServer,
)

DROP_INS = "/etc/nginx/sites-available/chamilo-campus.d"
SECTIONS = {"https": "g1", "headers": "g2"}
LINE = f"include {DROP_INS}/*.conf;"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(active, "_PAUSE", 0)


def site(running=True, **host):
    one = {"file": "own.conf", "line": 3, "names": ("campus.test",), "listens": (Listen("*", 80, False),), "root": "/x"}
    serving = (VirtualHost(**{**one, "includes_ours": True, **host}),)
    return Site("campus.test", web=WebServer("nginx", service="nginx", running=running), serving=serving)


def answers(*given):
    """One answer for each request; the last one goes on."""
    left = list(given)

    def ask(_endpoint, name, path):
        assert (name, path) == ("campus.test", "/.well-known/chamilo-hardening/https")
        status, generation = left.pop(0) if len(left) > 1 else left[0]
        headers = (("X-Chamilo-Generation", generation),) if generation else ()
        return Answer("http://campus.test", status, headers, error="timed out")

    return ask


def test_the_sections_that_have_a_drop_in_of_this_portal():
    files = {f"{DROP_INS}/https.conf": "file"}
    in_force = {
        "https:campus": InForce("g1", files),
        "headers:campus": InForce("g2", {f"{DROP_INS}/headers.conf": "absent"}),
        "https:other": InForce("g3", files),
        "monitoring": InForce("g4", {"/etc/monit/x": "file"}),
    }
    assert held("campus", in_force) == {"https": "g1"}
    assert held("campus", {}) == {}


def test_what_answers_with_its_generation_is_active():
    assert inactive(site(), "campus", SECTIONS, answers((204, "g1"))) == ""
    assert inactive(site(), "campus", SECTIONS, answers((404, ""), (204, "g0"), (204, "g1"))) == "", "it was reloading"


@pytest.mark.parametrize("answer", [(204, "g0"), (404, ""), (301, ""), (0, ""), (200, "g1")])
def test_what_answers_with_anything_else_is_not_and_has_to_be_reloaded(answer):
    output = inactive(site(), "campus", SECTIONS, answers(answer))
    assert "campus.test: not active." in output and "systemctl reload nginx" in output


def test_a_line_that_is_missing_is_named_with_its_place():
    output = inactive(site(includes_ours=False), "campus", SECTIONS, answers((204, "g1")))
    assert f'own.conf line 3 includes no files of this collection. Add the line "{LINE}" there' in output
    nobody = Site("campus.test", web=WebServer("nginx", service="nginx"))
    assert "No virtual host carries this name" in inactive(nobody, "campus", SECTIONS)


def test_where_nothing_runs_or_nothing_is_known_only_the_configuration_counts():
    assert inactive(site(running=False), "campus", SECTIONS, answers((0, ""))) == ""
    assert inactive(site(), "campus", {"https": ""}, answers((0, ""))) == ""
    assert "not active" in inactive(site(running=False, includes_ours=False), "campus", SECTIONS)


def test_each_address_of_the_portal_is_called_by_its_name(monkeypatch):
    """None at which a virtual host of another one answers."""

    def asked(*listens, others=(), addresses=()):
        calls = []

        def fetch(url, address, **_options):
            calls.append((url.partition("/.well-known/")[0], address))
            return Answer(url, 404)

        monkeypatch.setattr(active, "fetch", fetch)
        host = VirtualHost("own.conf", 1, ("campus.test",), listens, "/x", includes_ours=True)
        status = VirtualHost("status.conf", 1, (), others, "/y")
        known = {"serving": (host,), "virtual_hosts": (host, status), "addresses": addresses}
        web = WebServer("nginx", service="nginx", running=True)
        assert inactive(Site("campus.test", web=web, **known), "campus", {"https": "g1"}).startswith("Web conf")
        return [*dict.fromkeys(calls)]

    plain, secure = Listen("*", 80, False), Listen("*", 443, True)
    assert asked(secure, plain, Listen("[::]", 80, False), Listen("unix:/x", 0, False)) == [
        ("http://campus.test", "127.0.0.1"),
        ("http://campus.test", "::1"),
        ("https://campus.test", "127.0.0.1"),
    ]
    loopback = (Listen("127.0.0.1", 80, False),)
    assert asked(plain, others=loopback, addresses=("10.0.0.5",)) == [("http://campus.test", "10.0.0.5")]
    assert asked(Listen("10.0.0.6", 8080, False)) == [("http://campus.test:8080", "10.0.0.6")]
    assert asked(Listen("10.0.0.6", 80, True)) == [("https://campus.test:80", "10.0.0.6")]
