# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import http.server
import threading

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._attacker import Aim


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
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_connects_to_the_address_and_speaks_of_the_domain(port):
    aim = Aim(f"campus.test:{port}", "127.0.0.1")
    answer = aim.ask("http", "//main/../x")
    assert answer.body.decode() == f"campus.test:{port} GET //main/../x HTTP/1.1", "a path goes out as it stands"


def test_without_tls_it_asks_over_http(port):
    aim = Aim(f"campus.test:{port}", "127.0.0.1")
    assert aim.scheme == "http"
    assert (aim.page.status, aim.missing.status) == (200, 404)
