# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who visits, by an access log."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force import access_log
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_file import FilterError

NGINX = '203.0.113.7 - - [25/Nov/2026:14:47:59 +0000] "POST /login_json?a=b HTTP/1.1" 401 43 "-" "Mozilla/5.0 (X11)"'
APACHE = f"campus.test:443 {NGINX}"


def test_of_a_long_log_the_newest_lines_are_read(tmp_path, monkeypatch):
    """From the first whole one on."""
    monkeypatch.setattr(access_log, "LOG_BYTES", 2 * len(NGINX) + 10)
    log = tmp_path / "access.log"
    log.write_text("".join(f"{NGINX.replace('113.7', f'113.{number}')}\n" for number in (3, 4, 5, 6)))
    assert access_log.log_summary(str(log))["visitors"] == 2
    monkeypatch.setattr(access_log, "LOG_BYTES", 3 * len(NGINX) + 1)
    assert access_log.log_summary(str(log))["visitors"] == 2, "half an address is another one"
    log.write_text(f"{NGINX.replace('113.7', '113.3')}\n{NGINX}\n")
    for fits in (0, 1):
        monkeypatch.setattr(access_log, "LOG_BYTES", log.stat().st_size + fits)
        assert access_log.log_summary(str(log))["visitors"] == 2, "a log that fits is read from its first line on"


def test_who_visits_by_the_log(tmp_path):
    log = tmp_path / "access.log"
    log.write_text(f"{NGINX}\n{NGINX.replace('Mozilla', 'curl')}\n127.0.0.1{NGINX[11:]}\nnonsense\n")
    seen = access_log.log_summary(str(log))
    assert {"lines": 2, "visitors": 1, "agents": 2, "only": "203.0.113.7"}.items() <= seen.items()
    log.write_text(f"{NGINX}\n{APACHE.replace('113.7', '113.8')}\n")
    assert access_log.log_summary(str(log))["only"] == ""
    with pytest.raises(FilterError, match="cannot be read"):
        access_log.log_summary(str(tmp_path / "none"))


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
    assert access_log.log_summary(both)["proxies"] == []
    assert access_log.log_summary(both, ["10.0.0.5"])["proxies"] == [], "the other one is a visitor"
    assert access_log.log_summary(both, ["10.0.0.0/24", "nonsense"])["proxies"] == ["10.0.0.5", "10.0.0.6"]
    assert access_log.log_summary(both, ["10.0.0.0/24"], ["10.0.0.6"])["proxies"] == ["10.0.0.5"]
    assert access_log.log_summary(both, ["10.0.0.0/24"], ["10.0.0.0/24"])["proxies"] == [], "a school of one's own"
    assert access_log.log_summary(seen(log, "10.0.0.5", times=120))["proxies"] == ["10.0.0.5"]
    assert access_log.log_summary(seen(log, "10.0.0.5", times=120), friends=["10.0.0.0/8"])["proxies"] == []
    assert access_log.log_summary(seen(log, "10.0.0.5", times=100))["proxies"] == ["10.0.0.5"]
    assert access_log.log_summary(seen(log, "10.0.0.5", times=99))["proxies"] == [], "that can be one visitor"
    few = "".join(f"{NGINX.replace('203.0.113.7', '10.0.0.5').replace('X11', f'b{n % 5}')}\n" for n in range(150))
    log.write_text(few)
    assert access_log.log_summary(str(log))["proxies"] == ["10.0.0.5"]
    log.write_text(few.replace("(b4)", "(b3)"))
    assert access_log.log_summary(str(log))["proxies"] == [], "one visitor with four browsers"
    many = [f"10.0.0.{number}" for number in range(1, 8)]
    assert access_log.log_summary(seen(log, *many), ["10.0.0.0/24"])["proxies"] == many[:5], (
        "five are enough to be told"
    )
    assert access_log.log_summary(seen(log, "8.8.8.8", times=120))["proxies"] == []
    assert access_log.log_summary(seen(log))["proxies"] == []
