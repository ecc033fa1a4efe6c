# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the other machines that a run needs answer: asked side by side, in a few seconds. Nothing is sent to them."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping

SECONDS = 4.0


def unanswered(places: Mapping[str, str], ca_file: str = "", seconds: float = SECONDS) -> dict[str, str]:
    """Which of these give no answer, and why. Each is a host with its port, or the address of a page.

    ``ca_file``: authorities that are trusted besides those of the host.
    """
    found: dict[str, str] = {}

    def ask(name: str, place: str, how: Callable[[str, str, float], str]) -> None:
        found[name] = how(place, ca_file, seconds)

    asked = [
        threading.Thread(target=ask, args=(name, place, _page if "://" in place else _port), daemon=True)
        for name, place in places.items()
    ]
    for one in asked:
        one.start()
    end = time.monotonic() + seconds
    for one in asked:
        one.join(max(0.0, end - time.monotonic()))  # the DNS alone may take longer
    return {name: why for name in places if (why := found.get(name, f"no answer within {seconds:.0f} seconds"))}


def _port(place: str, _ca_file: str, seconds: float) -> str:
    host, _colon, port = place.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), seconds).close()
    except OSError as problem:
        return problem.strerror or str(problem)
    return ""


def _page(url: str, ca_file: str, seconds: float) -> str:
    """By the proxy of the environment, where there is one."""
    try:
        trusted = ssl.create_default_context()
        if ca_file:
            trusted.load_verify_locations(ca_file)
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=trusted))
        opener.open(url, timeout=seconds).close()
    except urllib.error.URLError as problem:
        return str(problem.reason)
    except (OSError, ValueError, http.client.HTTPException) as problem:
        return str(problem)
    return ""
