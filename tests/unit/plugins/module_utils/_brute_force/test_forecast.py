# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import gzip
import json
import os
import re
import time

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force import forecast as brute_force_forecast
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.forecast import Rules, forecast

NOW = 1_795_600_000.0


def line(address, ago, request="POST /login_json HTTP/1.1", status=401, agent="Firefox", user="-"):
    date = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(NOW - ago))
    return f'{address} - {user} [{date}] "{request}" {status} 43 "-" "{agent}"\n'


def inspect(tmp_path, *lines, rules=None, form="", **bounds):
    file = tmp_path / "access.log"
    file.write_bytes("".join(lines).encode())
    os.utime(file, (NOW, NOW))
    return forecast({str(file): form}, rules or Rules(), NOW, **bounds)


def met(reported):
    """How often each address would have been banned, as the sentences have it."""
    found = re.findall(r"([0-9a-f.:]+) (?:(once)|(\d+) times) \(\d+ failed", " ".join(reported))
    return {address: int(times or 1) for address, _once, times in found}


def test_whom_it_would_have_met_how_often_and_whether_that_is_a_school(tmp_path):
    school = [line("10.1.2.3", 9000 - turn, agent=f"browser {turn % 7}") for turn in range(6)]
    school += [line("10.1.2.3", 5000 - turn, agent=f"browser {turn}") for turn in range(5)]
    school += [line("10.1.2.3", 4000 - turn, status=200) for turn in range(4)]
    attacker = [line("203.0.113.7", 3000 - turn, "POST /api/authentication_token HTTP/2.0") for turn in range(200)]
    school += [line("10.1.2.3", 4000, "GET /courses HTTP/1.1", 200), line("10.1.2.3", 4000, "GET /api/x HTTP/1.1")]
    reported = inspect(tmp_path, *school, *attacker, line("198.51.100.4", 10), line("198.51.100.4", 9, status=200))
    assert met(reported) == {"10.1.2.3": 2, "203.0.113.7": 1}
    output = " ".join(reported)
    assert "would have met 2 addresses, 3 times: 10.1.2.3 2 times (11 failed and 4 good logins, 7 browsers)" in output
    assert "203.0.113.7 once (200 failed and 0 good logins, 1 browser)" in output
    assert "Several people log in from 10.1.2.3. If that is the gateway of your school" in output
    assert "Read: 219 lines of" in output and "There is more" not in output


def failed(tmp_path, text):
    """Who failed to log in, by one line."""
    return list(met(inspect(tmp_path, text, "\n", rules=Rules(attempts=1, names=("campus.test",)))))


def test_it_counts_what_real_servers_wrote(tmp_path, monkeypatch, pytestconfig):
    monkeypatch.setattr(brute_force_forecast, "DAYS", 10_000)
    for file in (pytestconfig.rootpath / "tests/unit/fixtures/logins").glob("*-*.json"):
        for each in json.loads(file.read_text()):
            address = each["address"].replace("::ffff:", "")
            assert failed(tmp_path, each["line"]) == ([address] if address else []), each["line"]


def test_it_counts_the_failures_that_real_servers_wrote(tmp_path, monkeypatch, pytestconfig):
    monkeypatch.setattr(brute_force_forecast, "DAYS", 10_000)
    files = sorted((pytestconfig.rootpath / "tests/unit/fixtures/logins").glob("*-*.json"))
    assert len(files) == 4
    for file in files:
        for each in json.loads(file.read_text()):
            assert failed(tmp_path, each["line"]) == [
                address.replace("::ffff:", "") for address in [each["address"]] if address
            ], each


def test_an_audit_of_this_collection_is_no_visitor(tmp_path):
    own = [line("192.0.2.1", 9 - turn / 10, agent="chamilo-hardening") for turn in range(9)]
    assert met(inspect(tmp_path, *own)) == {}


def test_forged_lines_affect_no_other_client(tmp_path):
    forged = line("198.51.100.77", 10).strip().replace('"', '\\"')
    mine = [
        line("203.0.113.7", 10, agent=forged),
        line("203.0.113.7", 10, user=forged),
        line("203.0.113.7", 10, f"POST /login_json?{forged.replace(' ', '%20')} HTTP/1.1"),
        line("203.0.113.7", 10, forged, 400),
        f"x{line('198.51.100.77', 10)}",
        f" {line('198.51.100.77', 10)}",
        line("198.51.100.77, 203.0.113.7", 10),
        line("999.1.1.1", 10),
        "\n",
        "\x00\xff \\\n",
    ]
    reported = inspect(tmp_path, *(mine * 5))
    assert met(reported) == {"203.0.113.7": 1} and "15 failed" in reported[0]


def test_friends_are_spared_and_the_same_address_is_one(tmp_path):
    lines = [line("10.0.0.9", 10), line("::ffff:203.0.113.7", 10), line("203.0.113.7", 9, agent="Safari")] * 3
    lines += [line("203.0.113.7", 8, status=200), line("::ffff:203.0.113.7", 8, status=200)]
    reported = inspect(tmp_path, *lines, rules=Rules(spared=("10.0.0.7/8",)))
    assert "203.0.113.7 once (6 failed and 2 good logins, 2 browsers)" in reported[0]
    assert met(inspect(tmp_path, *lines, rules=Rules(spared=("10.0.0.0/8", "nonsense")))) == {"203.0.113.7": 1}
    assert met(inspect(tmp_path, *lines, rules=Rules(attempts=3))) == {"10.0.0.9": 1, "203.0.113.7": 1}


def test_a_shared_log_counts_for_this_portal_alone(tmp_path):
    lines = [f"campus.test:443 {line('203.0.113.7', 10)}", f"shop.test:443 {line('203.0.113.8', 10)}"] * 5
    reported = inspect(tmp_path, *lines, rules=Rules(names=("campus.test",)), form="vhost_combined")
    assert met(reported) == {"203.0.113.7": 1}


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0, 1, 2, 3], 0),
        ([0, 1, 2, 3, 4], 1),
        ([0, 1, 2, 3, 4, 5, 900, 903, 904, 905, 906, 907, 908], 2),
        ([0, 1, 2, 3, 604], 0),
        ([0, 200, 400, 600, 800], 0),
        ([0, 100, 200, 300, 400], 1),
    ],
)
def test_bans_are_counted_as_fail2ban_counts(times, expected):
    assert brute_force_forecast.bans(times, Rules(find_seconds=600)) == expected


def test_rotated_and_packed_logs_of_the_week_are_read_too(tmp_path):
    old = tmp_path / "access.log.2.gz"
    old.write_bytes(gzip.compress("".join(line("203.0.113.7", 3 * 86400 - turn) for turn in range(5)).encode()))
    os.utime(old, (NOW - 2 * 86400, NOW - 2 * 86400))
    (tmp_path / "access.log.1").write_text("".join(line("203.0.113.7", 86400 - turn) for turn in range(5)))
    os.utime(tmp_path / "access.log.1", (NOW - 3600, NOW - 3600))
    ancient = tmp_path / "access.log.3.gz"
    ancient.write_bytes(b"no gzip at all")
    os.utime(ancient, (NOW - 9 * 86400, NOW - 9 * 86400))
    (tmp_path / "access.log.old").write_text(line("203.0.113.9", 1) * 5)
    os.utime(tmp_path / "access.log.old", (NOW, NOW))
    reported = inspect(tmp_path, line("203.0.113.8", 8 * 86400) * 5, line("203.0.113.7", 1))
    assert met(reported) == {"203.0.113.7": 2} and "Read: 16 lines of" in reported[-1]
    packed = gzip.compress(os.urandom(5000))
    (tmp_path / "access.log.4.gz").write_bytes(packed[:2000] + packed[-4:])
    reported = inspect(tmp_path, line("203.0.113.7", 1))
    assert "access.log.4.gz cannot be read" in " ".join(reported)
    (tmp_path / "access.log.4.gz").write_bytes(b"\xff" * 50)
    reported = inspect(tmp_path, line("203.0.113.7", 1))
    assert met(reported) and "access.log.4.gz cannot be read" in " ".join(reported)


def test_what_is_too_long_is_read_from_its_newest_part(tmp_path, monkeypatch):
    monkeypatch.setattr(brute_force_forecast, "MOST_BYTES", 2000)
    lines = [line(f"10.0.{turn // 100}.{turn % 100}", 5000 - turn) for turn in range(1000)]
    reported = inspect(tmp_path, *lines, *[line("203.0.113.7", 9)] * 5)
    assert met(reported) == {"203.0.113.7": 1}
    assert "There is more, which would have taken too long." in " ".join(reported)


def test_once_the_time_is_over_older_logs_are_left_out(tmp_path):
    (tmp_path / "access.log.1").write_text(line("203.0.113.9", 100) * 5)
    os.utime(tmp_path / "access.log.1", (NOW - 100, NOW - 100))
    reported = inspect(tmp_path, line("203.0.113.7", 1) * 4096, most_seconds=-1)
    assert met(reported) == {"203.0.113.7": 1} and "There is more" in " ".join(reported)


def test_lines_are_read_whole(tmp_path):
    """Neither the rest of a line that is too long, nor a line that is still being written, is one."""
    long = "x" * (1 << 16) + line("203.0.113.8", 1)
    reported = inspect(
        tmp_path, *[long, line("203.0.113.7", 1)] * 5, *[line("203.0.113.9", 1)] * 4, line("203.0.113.9", 1)[:-1]
    )
    assert met(reported) == {"203.0.113.7": 1}


def test_a_log_that_cannot_be_read_hides_no_other(tmp_path):
    os.mkfifo(tmp_path / "access.log.1")
    os.utime(tmp_path / "access.log.1", (NOW, NOW))
    (tmp_path / "access.log.2").symlink_to("gone")
    reported = inspect(tmp_path, line("203.0.113.7", 1) * 5)
    assert met(reported) == {"203.0.113.7": 1}
    output = " ".join(reported)
    assert f"{tmp_path}/access.log.1 cannot be read: no regular file." in output
    assert f"{tmp_path}/access.log.2 cannot be read: No such file or directory." in output


@pytest.mark.parametrize(("browsers", "good", "gateway"), [(3, 3, True), (3, 2, False), (2, 3, False), (30, 9, True)])
def test_several_people_have_several_browsers_and_log_in(tmp_path, browsers, good, gateway):
    lines = [line("10.1.2.3", 50 - turn, agent=f"{turn % browsers}") for turn in range(30)]
    lines += [line("10.1.2.3", 60, status=200, agent="0")] * good
    output = " ".join(inspect(tmp_path, *lines))
    assert ("Several people log in from 10.1.2.3." in output) is gateway
    assert f"{min(browsers, 20)} browsers" in output


def test_memory_is_bounded_by_addresses(tmp_path, monkeypatch):
    monkeypatch.setattr(brute_force_forecast, "MOST_ADDRESSES", 3)
    reported = inspect(tmp_path, *[line(f"10.0.0.{turn}", 100 - turn) for turn in range(9)])
    assert "More than 3 addresses" in " ".join(reported)


def test_a_log_that_is_not_there_or_not_understood_is_named(tmp_path):
    gone = str(tmp_path / "gone.log")
    assert forecast({gone: ""}, Rules(), NOW) == [f"There is no access log of the last 7 days: {gone}."]
    assert forecast({}, Rules(), NOW) == ["There is no access log of the last 7 days: none is known."]
    reported = forecast({"/x.log": "json"}, Rules(), NOW)
    assert reported == ["/x.log is written in the form json, which is not understood."]


@pytest.mark.parametrize(("zone", "shift"), [("+0245", 9900), ("-0530", -19800)])
def test_a_date_of_any_zone_is_a_moment(tmp_path, zone, shift):
    lines = [line("203.0.113.7", 5 - shift).replace("+0000", zone)] * 4
    rules = Rules(find_seconds=10)
    assert met(inspect(tmp_path, *lines, line("203.0.113.7", 1), rules=rules)) == {"203.0.113.7": 1}
