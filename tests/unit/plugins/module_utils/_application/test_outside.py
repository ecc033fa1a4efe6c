# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import http.server
import socket
import threading
import time

from ansible_collections.chamilo.hardening.plugins.module_utils._application.outside import unanswered


def test_what_answers_and_what_does_not_are_known_in_the_time_of_the_slowest():
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    page = f"http://127.0.0.1:{pages.server_address[1]}"
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.create_server(("127.0.0.1", 0)) as gone:
        mute, closed = (f"127.0.0.1:{server.getsockname()[1]}" for server in (silent, gone))
        gone.close()
        began = time.monotonic()
        found = unanswered(
            {"page": page, "none": f"{page}/none", "port": mute, "slow": f"http://{mute}/", "closed": closed}, seconds=1
        )
    pages.shutdown()
    assert time.monotonic() - began < 3
    assert "page" not in found and "port" not in found, "a port that is open is all that can be asked without a word"
    assert found["none"] == "File not found" and found["closed"] == "Connection refused"
    assert "time" in found["slow"] or "no answer" in found["slow"]
