# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import http.server
import threading

import pytest

from ansible_collections.chamilo.hardening.plugins.action import guide_prove  # noqa: F401 (the attacks register)
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import _attacker
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._attacker import Target, by_every_name
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import (
    attacks,
    failed,
    inside_attacks,
    passed,
)


class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(404 if "not-there" in self.path else 200)
        self.end_headers()
        self.wfile.write(f"{self.headers['Host']} {self.requestline}".encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def port():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_connects_to_the_address_and_speaks_of_the_domain(port):
    target = Target(f"campus.test:{port}", "127.0.0.1")
    answer = target.ask("http", "//main/../x")
    assert answer.body.decode() == f"campus.test:{port} GET //main/../x HTTP/1.1", "a path goes out as it stands"


def test_without_tls_it_asks_over_http(port):
    target = Target(f"campus.test:{port}", "127.0.0.1")
    assert target.scheme == "http"
    assert (target.page.status, target.missing.status) == (200, 404)


def test_it_shakes_hands_with_the_address_on_the_port_of_https(monkeypatch):
    monkeypatch.setattr(_attacker, "handshake", lambda *asked: asked)
    assert Target("campus.test", "192.0.2.7").shake() == ("campus.test", 443, "192.0.2.7", None)
    assert Target("campus.test").shake("context") == ("campus.test", 443, "", "context")


# What the host decides, whatever the name.
WHATEVER_THE_NAME = {"database_bind"}


def test_what_a_virtual_host_decides_is_attacked_by_every_name():
    """Of those that are shipped; the testbed has more."""
    shipped = {control: one for control, one in attacks.items() if one.__module__.startswith(_attacker.__package__)}
    outside = {control: one for control, one in shipped.items() if control not in inside_attacks}
    assert {control for control, one in outside.items() if not hasattr(one, "__wrapped__")} == WHATEVER_THE_NAME


def test_an_attack_reports_by_which_name_it_got_through():
    target = Target("campus.test")
    target.names = ("www.campus.test", "old.campus.test")
    attack = by_every_name(
        lambda target: failed("It got through.") if target.domain[:3] == "old" else passed("It did not.")
    )
    assert attack(target) == failed("By the name old.campus.test: It got through.")


def test_an_attack_that_is_blocked_under_each_name_reports_it_once():
    target = Target("campus.test")
    tried = []

    def attempt(target, status=passed):
        tried.append(target.domain)
        return status("It went on.")

    attack = by_every_name(attempt)
    assert attack(target) == passed("It went on."), "there is one name"
    target.names = ("www.campus.test", "old.campus.test")
    assert attack(target) == passed("It went on. The same applies to www.campus.test, old.campus.test.")
    assert tried == ["campus.test", "campus.test", "www.campus.test", "old.campus.test"]
    assert by_every_name(lambda target: attempt(target, failed))(target) == failed("It went on.")
    assert tried[4:] == ["campus.test"], "once it got through nothing is tried under the other names"
