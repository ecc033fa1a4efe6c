# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who visits, by an access log."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force import access_log
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.access_log import (
    AccessLogError,
    proxies_only,
)

NGINX = '203.0.113.7 - - [25/Nov/2026:14:47:59 +0000] "POST /login_json?a=b HTTP/1.1" 401 43 "-" "Mozilla/5.0 (X11)"'


def seen(path, *addresses, times=1):
    lines = (
        NGINX.replace("203.0.113.7", address).replace("X11", f"b{turn}")
        for address in addresses
        for turn in range(times)
    )
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def test_a_log_that_shows_only_proxies(tmp_path):
    log = tmp_path / "access.log"
    both = seen(log, "10.0.0.5", "10.0.0.6")
    assert proxies_only(both) == []
    assert proxies_only(both, ["10.0.0.5"]) == [], "the other one is a visitor"
    assert proxies_only(both, ["10.0.0.0/24", "nonsense"]) == ["10.0.0.5", "10.0.0.6"]
    assert proxies_only(both, ["10.0.0.0/24"], ["10.0.0.6"]) == ["10.0.0.5"]
    assert proxies_only(both, ["10.0.0.0/24"], ["10.0.0.0/24"]) == [], "a school of one's own"
    assert proxies_only(seen(log, "10.0.0.5", times=120)) == ["10.0.0.5"]
    assert proxies_only(seen(log, "10.0.0.5", times=120), friends=["10.0.0.0/8"]) == []
    assert proxies_only(seen(log, "10.0.0.5", times=100)) == ["10.0.0.5"]
    assert proxies_only(seen(log, "10.0.0.5", times=99)) == [], "that can be one visitor"
    few = "".join(f"{NGINX.replace('203.0.113.7', '10.0.0.5').replace('X11', f'b{n % 5}')}\n" for n in range(150))
    log.write_text(few)
    assert proxies_only(str(log)) == ["10.0.0.5"]
    log.write_text(few.replace("(b4)", "(b3)"))
    assert proxies_only(str(log)) == [], "one visitor with four browsers"
    many = [f"10.0.0.{number}" for number in range(1, 8)]
    assert proxies_only(seen(log, *many), ["10.0.0.0/24"]) == many[:5], "five are enough to be told"
    assert proxies_only(seen(log, "8.8.8.8", times=120)) == []
    assert proxies_only(seen(log)) == []


def test_of_a_long_log_the_newest_whole_lines_are_read(tmp_path, monkeypatch):
    log = tmp_path / "access.log"
    monkeypatch.setattr(access_log, "LOG_BYTES", 2 * len(NGINX) + 10)
    log.write_text(f"{NGINX}\n{NGINX.replace('203.0.113.7', '10.0.0.5')}\n")
    assert proxies_only(str(log), ["10.0.0.5"]) == []
    log.write_text(f"{NGINX}\n{NGINX}\n{NGINX.replace('203.0.113.7', '10.0.0.5')}\n"[-len(NGINX) - 40 :] * 2)
    assert proxies_only(str(log), ["10.0.0.5"]) == ["10.0.0.5"], "half an address is another one"
    with pytest.raises(AccessLogError, match="cannot be read"):
        proxies_only(str(tmp_path / "none"))
