# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What monit asks: failed logins over all addresses, and disks."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import watch
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.watch import WatchError, disks, logins

NOW = 1795626000.0  # 25/Nov/2026:17:00:00 +0000
FAILED = '{address} - - [{moment}] "POST {path} HTTP/1.1" {status} 25 "-" "curl"\n'


def line(address="203.0.113.7", moment="25/Nov/2026:16:55:00 +0000", path="/login_json", status=401):
    return FAILED.format(address=address, moment=moment, path=path, status=status)


@pytest.fixture
def host(monkeypatch, tmp_path):
    """``log(text)``: what the web server wrote; ``pulse()``: the sign of life."""
    log = tmp_path / "access.log"
    known = {"domain": "campus.test", "logs": [str(log)], "failures": 3, "minutes": 10}
    (tmp_path / "monitoring-campus.json").write_text(json.dumps(known))
    monkeypatch.setattr(watch, "DIRECTORY", str(tmp_path))
    monkeypatch.setattr(watch, "PULSE", str(tmp_path / "run"))
    host = SimpleNamespace(pulse=lambda: watch.pulse("campus"), path=log)

    def write(text, name="access.log"):
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, (NOW, NOW))

    host.log = write
    return host


def test_failures_of_many_addresses_are_one_alarm(host):
    host.log("".join(line(f"203.0.113.{number}") for number in range(3)))
    seen = logins("campus", NOW)
    assert seen.alarm and seen.text == "3 failed logins from 3 addresses in 10 minutes at campus.test."
    assert host.pulse() == {"at": NOW, "text": seen.text}


@pytest.mark.parametrize(
    "text",
    [
        line(moment="25/Nov/2026:16:49:59 +0000"),  # too long ago
        line(moment="25/Nov/2026:16:55:00 +0100"),  # the same, elsewhere
        line(status=200),
        line(path="/login"),
        '203.0.113.7 - - [25/Nov/2026:16:55:00 +0000] "GET /?POST /login_json HTTP/1.1" 401 25 "-" "-"\n',
        '203.0.113.7 - - [25/Nov/2026:16:55:00 +0000] "GET / HTTP/1.1" 200 5 "-" "POST /login_json HTTP/1.1\\" 401 "\n',
    ],
)
def test_what_is_no_failure_of_the_last_minutes_does_not_count(host, text):
    host.log(text * 9)
    assert logins("campus", NOW).text.startswith("0 failed logins")


@pytest.mark.parametrize(
    "text",
    [
        line(path="/index.php/login_json"),
        line(path="/api/authentication_token?x=1"),
        line(path="/login/ldap/check", status=403),
        line(path="https://campus.test/login_json", status=429),
        line(path="X://y/login_json"),
        line(path=" /login_json#x "),
        line().replace("POST", "post"),
        line(address="2001:db8::7"),
        line(moment="25/Nov/2026:17:55:00 +0100"),
        "campus.test:80 " + line(),
    ],
)
def test_each_way_to_log_in_counts(host, text):
    host.log(text)
    assert logins("campus", NOW).text.startswith("1 failed logins from 1 addresses")


def test_it_counts_what_real_servers_wrote(host, pytestconfig):
    lines = []
    for file in (pytestconfig.rootpath / "tests/unit/fixtures/logins").glob("*-*.json"):
        lines += [(each["line"], [each["address"]] if each["address"] else []) for each in json.loads(file.read_text())]
    assert len(lines) > 40
    for text, addresses in lines:
        host.log(f"{text}\n")
        assert [address.decode() for address in watch._failures(str(host.path), 0)] == addresses, text


def test_a_log_that_was_just_rotated_still_counts(host):
    host.log(line() * 2, "access.log.1")
    host.log(line())
    assert logins("campus", NOW).alarm


PADDED = '203.0.113.9 - - [{moment}] "GET / HTTP/1.1" 200 5 "{padding}" "-"\n'


@pytest.mark.parametrize("moment", ["25/Nov/2026:16:58:00 +0000", "25/Nov/2026:16:20:00 +0000"])
def test_long_requests_push_no_failure_out_of_sight(host, moment):
    """Apache writes when a request began: requests that are kept open for long make lines that appear old."""
    host.log(line() * 3 + PADDED.format(moment=moment, padding="x" * 32000) * 400)
    assert logins("campus", NOW).alarm


def test_no_more_of_a_log_is_read_than_of_the_last_hours(host, monkeypatch):
    monkeypatch.setattr(watch, "_BLOCK", 1000)
    monkeypatch.setattr(watch, "_MOST", 4000)
    host.log(line(moment="25/Nov/2026:12:00:00 +0000") * 100 + line() * 3)
    assert logins("campus", NOW).alarm
    host.log(line() * 100)
    with pytest.raises(WatchError, match="not all failed logins are seen"):
        logins("campus", NOW)


def test_a_log_that_is_gone_is_an_error(host):
    with pytest.raises(WatchError, match="so failed logins are not seen"):
        logins("campus", NOW)
    with pytest.raises(WatchError, match=r"no \S+/monitoring-shop.json"):
        logins("shop", NOW)


JSON = '{"at": "25/Nov/2026:16:55:00 +0000", "request": "POST /login_json HTTP/1.1", "status": 401}\n'


@pytest.mark.parametrize("text", [JSON, line().replace('" 401', '" campus.test 401')])
def test_a_form_that_cannot_be_read_is_an_error_that_is_noted(host, text):
    host.log(text * 3)
    with pytest.raises(WatchError, match=r"access\.log are in a form that is not understood.*combined"):
        logins("campus", NOW)
    pulse = host.pulse()
    assert (pulse["at"], "not understood" in pulse["error"]) == (NOW, True), "monit asked all the same"
    host.log(text * 3 + line(status=200))
    logins("campus", NOW)
    assert "error" not in host.pulse()


def test_lines_of_an_earlier_form_do_not_hide_that_nothing_is_read_any_more(host):
    host.log(line() + JSON * 1000)
    with pytest.raises(WatchError, match="not understood"):
        logins("campus", NOW)


def test_the_longest_line_is_no_other_form(host):
    host.log(line() * 3 + PADDED.format(moment="25/Nov/2026:16:58:00 +0000", padding="x" * 96000))
    assert logins("campus", NOW).alarm


def test_where_no_file_is_written_nothing_is_counted(host, tmp_path):
    known = {"domain": "campus.test", "logs": [], "failures": 3, "minutes": 10}
    (tmp_path / "monitoring-campus.json").write_text(json.dumps(known))
    with pytest.raises(
        WatchError, match="does not have the visitors of campus.test written into a file.*waive monitoring_auth"
    ):
        logins("campus", NOW)
    (tmp_path / "monitoring-campus.json").write_text(json.dumps({**known, "logs": ["/dev/null"]}))
    with pytest.raises(WatchError, match="no file /dev/null, so failed logins are not seen"):
        logins("campus", NOW)
    assert "not seen" in host.pulse()["error"]


@pytest.fixture
def filled(monkeypatch, tmp_path):
    """``filled(of, free, nodes)``: a file system of so many blocks and of 100 inodes behind each path."""

    def fill(blocks, free, nodes, reserved=0):
        facts = {"f_blocks": blocks, "f_bfree": free + reserved, "f_bavail": free, "f_files": 100, "f_ffree": nodes}
        monkeypatch.setattr(watch.os, "statvfs", lambda _path: SimpleNamespace(**facts))
        return disks([f"{tmp_path}/none", str(tmp_path)], 90)

    monkeypatch.setattr(watch, "mount_of", lambda path: "/srv")
    return fill


@pytest.mark.parametrize(
    ("facts", "alarm", "text"),
    [
        ((100, 11, 50), False, "/srv 89 % full"),
        ((100, 10, 50), True, "/srv is 90 % full, 50 % of its inodes are in use"),
        ((100, 50, 10), True, "/srv is 50 % full, 90 % of its inodes are in use"),
        ((100, 50, 11), False, "/srv 50 % full"),
        ((200, 10, 50, 100), True, "/srv is 90 % full, 50 % of its inodes are in use"),  # 100 are kept for root
        ((0, 0, 50), False, "No such path."),  # such as /proc
    ],
)
def test_a_disk_is_full_from_so_many_percent_on(filled, facts, alarm, text):
    assert filled(*facts) == watch.Seen(text, alarm)
