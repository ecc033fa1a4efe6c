# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What monit asks: failed logins over all addresses, and disks."""

from __future__ import annotations

import json
from collections import Counter
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Account, DatabaseError
from ansible_collections.chamilo.hardening.plugins.module_utils._application.portal_reader import PortalReader
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import watch
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.watch import WatchError, disks, logins

NOW = 1795626000.0


@pytest.fixture
def host(monkeypatch, tmp_path):
    """``fail(address, name, times)``: a login failed; ``ask(moment)``: monit asks; ``pulse()``: the sign of life."""
    known = {"domain": "campus.test", "root": "/srv", "failures": 20, "minutes": 10}
    (tmp_path / "monitoring-campus.json").write_text(json.dumps(known))
    monkeypatch.setattr(watch, "DIRECTORY", str(tmp_path))
    monkeypatch.setattr(watch, "PULSE", str(tmp_path / "run"))
    monkeypatch.setattr(watch, "discover", lambda *_given: Site("campus.test"))
    rows = []

    def answer(sql):
        if "MAX(id)" in sql:
            return [{"id": str(len(rows))}]
        after = int(sql.split("id > ")[1].split()[0])
        found = Counter(rows[after:])
        return [
            {"username": name, "user_ip": address, "failures": str(count), "known": str(int(name != "nobody"))}
            for (name, address), count in found.items()
        ]

    host = SimpleNamespace(
        answer=answer,
        rows=rows,
        fail=lambda address, name="teacher", times=1: rows.extend([(name, address)] * times),
        ask=lambda moment=NOW: logins("campus", moment),
        pulse=lambda: watch.pulse("campus"),
        known=lambda **more: (tmp_path / "monitoring-campus.json").write_text(json.dumps({**known, **more})),
    )
    monkeypatch.setattr(
        PortalReader, "of", lambda _where: PortalReader(Account("chamilo"), ask=lambda sql: host.answer(sql))
    )
    return host


def test_failures_of_many_addresses_are_one_alarm(host):
    host.fail("198.51.100.1", times=50)  # before monit asked for the first time
    host.ask(NOW - 300)
    for last in range(19):
        host.fail(f"203.0.113.{last}", f"pupil{last}")
    assert not host.ask(NOW - 60).alarm
    host.fail("203.0.113.99", "pupil99")
    seen = host.ask()
    assert seen.alarm and seen.text == "20 failed logins from 20 addresses in 10 minutes at campus.test."
    assert host.pulse()["at"] == NOW and host.pulse()["text"] == seen.text


def test_what_is_older_than_the_minutes_counts_no_more(host):
    host.ask(NOW)
    host.fail("203.0.113.7", times=30)
    assert host.ask(NOW + 120).alarm and host.ask(NOW + 600).alarm
    assert host.ask(NOW + 840).text.startswith("0 failed logins")


def test_the_record_may_be_emptied(host):
    host.fail("203.0.113.7", times=30)
    host.ask(NOW)
    host.rows.clear()
    host.fail("203.0.113.7", times=5)
    assert not host.ask(NOW + 60).alarm
    host.fail("203.0.113.7", times=25)
    assert host.ask(NOW + 120).alarm


@pytest.mark.parametrize(
    ("addresses", "name", "named"),
    [
        (["203.0.113.1", "203.0.113.2", "198.51.100.3"], "teacher", "teacher 6 times from 3 networks"),
        (["203.0.113.1", "203.0.113.2"], "teacher", ""),  # at school and at home
        (["2001:db8::1", "2001:db8::2", "2001:db8::3"], "teacher", ""),  # one client has a /64
        (["2001:db8::1", "2001:db8:0:1::2", "203.0.113.1"], "\x1b[31mx", r"\x1b[31mx 6 times"),
        (["203.0.113.1", "203.0.113.2", "198.51.100.3"], "nobody", ""),  # no such account
    ],
)
def test_guesses_of_many_networks_at_one_account_are_an_alarm_that_names_it(host, addresses, name, named):
    host.ask(NOW - 60)
    for address in addresses:
        host.fail(address, name, 2)
    seen = host.ask()
    assert seen.alarm is bool(named) and named in seen.text
    assert ("chamilo-hardening unlock" in seen.text) is bool(named)


def test_one_node_counts_for_all(host):
    host.known(leader="web1")
    host.answer = None
    assert not host.ask().alarm and host.pulse()["text"] == "Failed logins are counted on web1."


def test_a_database_that_does_not_answer_is_noted_and_reported(host):
    def refuse(_sql):
        raise DatabaseError("The database is away.")

    host.answer = refuse
    with pytest.raises(WatchError, match=r"not seen. The database is away."):
        host.ask()
    assert host.pulse() == {"at": NOW, "error": "Failed logins are not seen. The database is away."}
    with pytest.raises(WatchError, match=r"no \S+/monitoring-shop.json"):
        logins("shop", NOW)


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
