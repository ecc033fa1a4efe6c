# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import gzip
import io
import json
import os
import random
import time
import tracemalloc

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force import forecast as brute_force_forecast
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.forecast import (
    BANS,
    REFUSED,
    Log,
    Rules,
    forecast,
)
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans import brute_force, updates
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans.portal import Portal

NOW = 1_795_600_000.0
ALL = frozenset({BANS, *REFUSED})


def line(address, ago, request="POST /login_json HTTP/1.1", status=401, agent="Firefox", user="-"):
    date = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(NOW - ago))
    return f'{address} - {user} [{date}] "{request}" {status} 43 "-" "{agent}"\n'


def inspect(tmp_path, *lines, rules=None, form="", **bounds):
    file = tmp_path / "access.log"
    file.write_bytes("".join(lines).encode())
    os.utime(file, (NOW, NOW))
    return forecast([Log(str(file), form)], rules or Rules(ALL), NOW, **bounds)


def met(reported):
    return {each["address"]: each["times"] for each in reported["shut_out"]}


def test_whom_it_would_have_met_how_often_and_whether_that_is_a_school(tmp_path):
    school = [line("10.1.2.3", 9000 - turn, agent=f"browser {turn % 7}") for turn in range(6)]
    school += [line("10.1.2.3", 5000 - turn, agent=f"browser {turn}") for turn in range(5)]
    school += [line("10.1.2.3", 4000 - turn, status=200) for turn in range(4)]
    attacker = [line("203.0.113.7", 3000 - turn, "POST /api/authentication_token HTTP/2.0") for turn in range(200)]
    school += [line("10.1.2.3", 4000, "GET /courses HTTP/1.1", 200), line("10.1.2.3", 4000, "GET /api/x HTTP/1.1")]
    reported = inspect(tmp_path, *school, *attacker, line("198.51.100.4", 10), line("198.51.100.4", 9, status=200))
    assert met(reported) == {"10.1.2.3": 2, "203.0.113.7": 1}
    assert reported["shut_out"][0] == {
        "address": "10.1.2.3", "times": 2, "failed": 11, "good": 4, "browsers": 7, "gateway": True,
    }  # fmt: skip
    assert not reported["shut_out"][1]["gateway"]
    output = " ".join(reported["said"])
    assert "would have met 2 addresses, 3 times: 10.1.2.3 2 times (11 failed and 4 good logins, 7 browsers)" in output
    assert "203.0.113.7 once (200 failed and 0 good logins, 1 browser)" in output
    assert "Several people share 10.1.2.3: likely the gateway of a school." in output
    assert "Read: 219 lines of" in output and reported["whole"]


def test_who_would_be_met_most_often_comes_first(tmp_path):
    once = [line("192.0.2.1", 9000 - turn) for turn in range(5)]
    often = [
        line(address, ago - turn) for address in ("192.0.2.3", "192.0.2.2") for ago in (8000, 4000) for turn in range(5)
    ]
    reported = inspect(tmp_path, *once, *often)
    assert list(met(reported).items()) == [("192.0.2.2", 2), ("192.0.2.3", 2), ("192.0.2.1", 1)]


def test_only_what_is_not_active_yet_counts(tmp_path):
    lines = [line("203.0.113.7", 20)] * 5 + [line("203.0.113.9", 10, "GET /.git/config HTTP/1.1", 200)]
    assert inspect(tmp_path, *lines, rules=Rules(frozenset({"https_hsts"}))) == {}
    reported = inspect(tmp_path, *lines, rules=Rules(frozenset({BANS})))
    assert met(reported) and reported["refused"] == [] and "refused" not in " ".join(reported["said"])
    reported = inspect(tmp_path, *lines, rules=Rules(frozenset({"permissions_docroot"})))
    assert not met(reported) and "A ban of" not in " ".join(reported["said"])
    assert reported["refused"] == [
        {"control": "permissions_docroot", "requests": 1, "addresses": 1, "most": ["203.0.113.9"]}
    ]


@pytest.mark.parametrize(
    ("control", "path"),
    [
        ("updates_installer", "/main/install/index.php?x=1"),
        ("updates_installer", "/%6dain/Install/"),
        ("updates_installer", "https://campus.test/check.php"),
        ("permissions_docroot", "/.env"),
        ("permissions_docroot", "/a/%2egit/config"),
        ("permissions_docroot", "/documentation/changelog.html"),
        ("permissions_docroot", "/main/template/default/x.tpl"),
        ("permissions_docroot", "/backup.sql.gz"),
        ("uploads_no_exec", "/build/shell.php"),
        ("uploads_no_exec", "/main/upload/x.phtml"),
        ("uploads_no_exec", "/themes/x.PHP7/info"),
        ("", "/main/lp/lp_controller.php?cidReq=A"),
        ("updates_installer", "/plugin/Pens/pens.php?package-url=x"),
        ("", "/plugin/bbb/start.php/x"),
        ("", "/index.php/login"),
        ("", "/.well-known/acme-challenge/x"),
        ("", "/r/document/files/a%20b.pdf"),
        ("", "/build/app.js?v=.php"),
    ],
)
def test_what_would_have_been_refused(tmp_path, control, path):
    reported = inspect(tmp_path, line("198.51.100.4", 10, f"GET {path} HTTP/1.1", 200))
    assert [each["control"] for each in reported["refused"]] == ([control] if control else [])
    reported = inspect(tmp_path, line("198.51.100.4", 10, f"GET {path} HTTP/1.1", 404))
    assert reported["refused"] == [], "what was never answered is no loss"


def test_what_the_role_updates_closes_is_known(tmp_path):
    paths = [path.replace("\\", "") for path in (*updates.EXPLOITED, *updates.INSTALLER.split("|"))]
    reported = inspect(tmp_path, *[line("198.51.100.4", 10, f"GET /{path} HTTP/1.1", 200) for path in paths])
    assert [(each["control"], each["requests"]) for each in reported["refused"]] == [("updates_installer", len(paths))]


def test_a_request_for_a_refused_page_reports_which(tmp_path):
    reported = inspect(tmp_path, *[line("198.51.100.4", 10, "GET /check.php HTTP/1.1", 200)] * 3)
    assert (
        "3 requests of 1 address would have been refused by updates_installer, such as /check.php: 198.51.100.4."
        in reported["said"]
    )


def test_it_counts_what_the_filter_of_the_role_counts():
    """The role's own samples, which fail2ban proves: the same lines, the same addresses."""
    for form in ("", "vhost_combined"):
        site = {"answering": [{"access_log_file": "/x.log", "access_log_format": form}]}
        known = {"chamilo_domain": "campus.test", "__chamilo_common_info": {"site": site}}
        samples = brute_force.samples(Portal(known))
        rules = Rules(frozenset({BANS}), names=("campus.test",))
        for sample in samples["match"]:
            reading, visitors = brute_force_forecast._Reading(), {}
            brute_force_forecast._Accounting(rules, [], 0, visitors, reading).at([sample["line"].encode()])
            seen = [address for address, one in brute_force_forecast._people(visitors).items() if one.failures]
            assert seen == [sample["address"].replace("::ffff:", "")], sample["line"]
        for sample in samples["no_match"]:
            reading, visitors = brute_force_forecast._Reading(), {}
            brute_force_forecast._Accounting(rules, [], 0, visitors, reading).at([sample.encode()])
            assert not [one for one in visitors.values() if one.failures], sample


def test_it_counts_the_failures_that_real_servers_wrote(pytestconfig):
    files = sorted((pytestconfig.rootpath / "tests/unit/fixtures/logins").glob("*-*.json"))
    assert len(files) == 4
    rules = Rules(frozenset({BANS}), names=("campus.test",))
    for file in files:
        for each in json.loads(file.read_text()):
            visitors = {}
            brute_force_forecast._Accounting(rules, [], 0, visitors, brute_force_forecast._Reading()).at(
                [each["line"].encode()]
            )
            seen = [address for address, one in brute_force_forecast._people(visitors).items() if one.failures]
            assert seen == [address.replace("::ffff:", "") for address in [each["address"]] if address], each


def test_an_audit_of_this_collection_is_no_visitor(tmp_path):
    own = [line("192.0.2.1", 10, "GET /check.php HTTP/1.1", 200, agent="chamilo-hardening")]
    own += [line("192.0.2.1", 9 - turn / 10, agent="chamilo-hardening") for turn in range(9)]
    reported = inspect(tmp_path, *own, line("203.0.113.7", 5, "GET /check.php HTTP/1.1", 200))
    assert reported["refused"] == [
        {"control": "updates_installer", "requests": 1, "addresses": 1, "most": ["203.0.113.7"]}
    ]
    assert met(reported) == {}


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
    assert met(reported) == {"203.0.113.7": 1} and reported["shut_out"][0]["failed"] == 15


def test_friends_are_spared_and_the_same_address_is_one(tmp_path):
    lines = [line("10.0.0.9", 10), line("::ffff:203.0.113.7", 10), line("203.0.113.7", 9, agent="Safari")] * 3
    lines += [line("203.0.113.7", 8, status=200), line("::ffff:203.0.113.7", 8, status=200)]
    (both,) = inspect(tmp_path, *lines, rules=Rules(ALL, spared=("10.0.0.7/8",)))["shut_out"]
    assert (both["failed"], both["good"], both["browsers"]) == (6, 2, 2)
    assert met(inspect(tmp_path, *lines, rules=Rules(ALL, spared=("10.0.0.0/8", "nonsense")))) == {"203.0.113.7": 1}
    assert met(inspect(tmp_path, *lines, rules=Rules(ALL, attempts=3))) == {"10.0.0.9": 1, "203.0.113.7": 1}


def test_a_shared_log_counts_for_this_portal_alone(tmp_path):
    lines = [f"campus.test:443 {line('203.0.113.7', 10)}", f"shop.test:443 {line('203.0.113.8', 10)}"] * 5
    reported = inspect(tmp_path, *lines, rules=Rules(ALL, names=("campus.test",)), form="vhost_combined")
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
    assert brute_force_forecast.bans(times, Rules(ALL, find_seconds=600)) == expected


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
    assert met(reported) == {"203.0.113.7": 2} and reported["lines"] == 16 and reported["whole"]
    packed = gzip.compress(os.urandom(5000))
    (tmp_path / "access.log.4.gz").write_bytes(packed[:2000] + packed[-4:])
    reported = inspect(tmp_path, line("203.0.113.7", 1))
    assert not reported["whole"] and "access.log.4.gz cannot be read to its end" in " ".join(reported["said"])
    (tmp_path / "access.log.4.gz").write_bytes(b"\xff" * 50)
    reported = inspect(tmp_path, line("203.0.113.7", 1))
    assert met(reported) and "access.log.4.gz is too long" in " ".join(reported["said"])


def test_what_is_too_long_is_read_from_its_newest_part(tmp_path):
    lines = [line(f"10.0.{turn // 100}.{turn % 100}", 5000 - turn) for turn in range(1000)] + [
        line("203.0.113.7", 9)
    ] * 5
    reported = inspect(tmp_path, *lines, most_bytes=2000)
    assert met(reported) == {"203.0.113.7": 1} and not reported["whole"]
    assert "There is more, which would have taken too long." in " ".join(reported["said"])
    reported = inspect(tmp_path, *lines, most_seconds=-1)
    assert not reported["whole"]


def test_a_log_that_is_not_seen_hides_no_other(tmp_path, monkeypatch):
    (tmp_path / "access.log.1").write_text(line("203.0.113.9", 1))
    (tmp_path / "access.log.2.xz").write_bytes(b"packed")
    for name in ("access.log.1", "access.log.2.xz"):
        os.utime(tmp_path / name, (NOW, NOW))
    stat = os.stat

    def closed(path, **how):
        if str(path).endswith("access.log.1"):
            raise PermissionError(13, "Permission denied")
        return stat(path, **how)

    monkeypatch.setattr(brute_force_forecast.os, "stat", closed)
    reported = inspect(tmp_path, line("203.0.113.7", 1) * 5)
    assert met(reported) == {"203.0.113.7": 1} and not reported["whole"]
    output = " ".join(reported["said"])
    assert f"{tmp_path}/access.log.1 cannot be read: Permission denied." in output
    assert f"{tmp_path}/access.log.2.xz is packed in a way that is not read here." in output


@pytest.mark.parametrize(("more", "whole", "lines"), [(0, False, 5), (1, False, 5), (10_000, True, 10)])
def test_once_enough_was_read_older_logs_are_left_out(tmp_path, more, whole, lines):
    newest = line("203.0.113.7", 1) * 5
    (tmp_path / "access.log.1").write_text(line("203.0.113.9", 100) * 5)
    os.utime(tmp_path / "access.log.1", (NOW - 100, NOW - 100))
    reported = inspect(tmp_path, newest, most_bytes=len(newest) + more)
    assert (reported["whole"], reported["lines"]) == (whole, lines)


@pytest.mark.parametrize(
    ("text", "size", "torn", "lines"),
    [
        (b"one\ntwo\nthr", 11, False, [b"one", b"two"]),
        (b"one\ntwo\n", 100, False, [b"one", b"two"]),  # it was cut meanwhile
        (b"one\ntwo\nthree\n", 8, False, [b"one", b"two"]),
        (b"ne\ntwo\n", 7, True, [b"two"]),
        (b"", 7, True, []),
        (b"123456789012\ntwo\n", 17, False, [b"two"]),  # no request is so long
        (b"12345678\ntwo\n", 13, False, [b"12345678", b"two"]),
    ],
)
def test_lines_are_read_whole(monkeypatch, text, size, torn, lines):
    monkeypatch.setattr(brute_force_forecast, "_BLOCK", 4)
    monkeypatch.setattr(brute_force_forecast, "_LONGEST", 8)
    found = brute_force_forecast._blocks(io.BytesIO(text), size, torn)
    assert [each for block in found for each in block] == lines


def test_a_line_that_is_too_long_hides_no_other(tmp_path):
    long = line("203.0.113.8", 1, agent="x" * brute_force_forecast._LONGEST)
    reported = inspect(tmp_path, *[long, line("203.0.113.7", 1)] * 5)
    assert met(reported) == {"203.0.113.7": 1}


def test_a_log_that_was_just_rotated_hides_no_other(tmp_path):
    (tmp_path / "access.log.1").write_text(line("203.0.113.7", 1) * 5)
    os.utime(tmp_path / "access.log.1", (NOW, NOW))
    assert met(forecast([Log(str(tmp_path / "access.log"))], Rules(ALL), NOW)) == {"203.0.113.7": 1}


@pytest.mark.parametrize(
    ("address", "browsers", "good", "gateway"),
    [
        ("11.22.33.44", 3, 3, True),
        ("11.22.33.44", 3, 2, False),
        ("11.22.33.44", 2, 3, False),
        ("10.1.2.3", 3, 0, True),
        ("10.1.2.3", 2, 9, False),
    ],
)
def test_several_people_have_several_browsers_and_log_in_or_a_network_of_their_own(address, browsers, good, gateway):
    visitor = brute_force_forecast.Visitor(good=good)
    visitor.came_with(range(browsers))
    assert brute_force_forecast._gateway(address, visitor) is gateway


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "A ban of 0 s after"), (900, "A ban of 900 s after"), (-1, "A ban without an end after")]
)
def test_how_long_a_ban_lasts_is_named(tmp_path, seconds, words):
    assert words in " ".join(inspect(tmp_path, line("203.0.113.7", 1), rules=Rules(ALL, ban_seconds=seconds))["said"])


@pytest.mark.parametrize(("older", "words"), [(4, "access.log.1, "), (5, "access.log.2 and older ones, ")])
def test_so_many_logs_are_named(tmp_path, older, words):
    for number in range(1, older + 1):
        (tmp_path / f"access.log.{number}").write_text(line("203.0.113.7", 100 * number))
        os.utime(tmp_path / f"access.log.{number}", (NOW - 1000 + number, NOW - 1000 + number))
    read = " ".join(inspect(tmp_path, line("203.0.113.7", 1))["said"]).partition("Read: ")[2]
    assert read.startswith(f"{older + 1} lines of {tmp_path}/access.log, ") and words in read


def test_so_many_paths_are_remembered_and_then_judged_again(monkeypatch):
    monkeypatch.setattr(brute_force_forecast, "_MOST_PATHS", 2)
    view = brute_force_forecast._Accounting(Rules(ALL), [], 0, {}, brute_force_forecast._Reading())
    kept = []
    for path in ("/a", "/b", "/b", "/c", "/.env"):
        view.at([line("203.0.113.7", 1, f"GET {path} HTTP/1.1", 200).encode()])
        kept.append(len(view.judged))
    assert kept == [1, 2, 2, 1, 2]
    (visitor,) = view.visitors.values()
    assert visitor.refused == {"permissions_docroot": 1}


def test_what_one_address_was_refused_under_two_names_is_added_up(tmp_path):
    env, git = "GET /.env HTTP/1.1", "GET /main/install/index.php HTTP/1.1"
    lines = [line("203.0.113.7", 1, env, 200)] * 2 + [line("::ffff:203.0.113.7", 1, env, 200)] * 3
    lines += [line("::ffff:203.0.113.7", 1, git, 200)]
    found = {each["control"]: each for each in inspect(tmp_path, *lines)["refused"]}
    assert {name: (each["requests"], each["addresses"]) for name, each in found.items()} == {
        "permissions_docroot": (5, 1),
        "updates_installer": (1, 1),
    }


def test_memory_is_bounded_by_addresses(tmp_path, monkeypatch):
    monkeypatch.setattr(brute_force_forecast, "MOST_ADDRESSES", 3)
    reported = inspect(tmp_path, *[line(f"10.0.0.{turn}", 100 - turn) for turn in range(9)])
    assert not reported["whole"] and "More than 3 addresses" in " ".join(reported["said"])


def test_long_paths_that_never_come_twice_are_not_kept(tmp_path):
    def paths(length):
        return [line("203.0.113.7", 100, f"GET /{turn}{'a' * length} HTTP/1.1", 404) for turn in range(1500)]

    def peak(*lines):
        file = tmp_path / "access.log"
        file.write_text("".join(lines))
        os.utime(file, (NOW, NOW))
        tracemalloc.start()
        try:
            assert forecast([Log(str(file))], Rules(ALL), NOW)["lines"] == 1500
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # The log is read in pieces of a megabyte, so it is at most a few of these.
    assert peak(*paths(8000)) - peak(*paths(8)) < 6 << 20


def test_memory_is_bounded_by_failures(tmp_path, monkeypatch):
    monkeypatch.setattr(brute_force_forecast, "MOST_FAILURES", 6)
    reported = inspect(tmp_path, *[line("203.0.113.7", 100 - turn) for turn in range(6)])
    assert reported["whole"] and met(reported) == {"203.0.113.7": 1}
    assert "More than" not in " ".join(reported["said"])
    reported = inspect(tmp_path, *[line("203.0.113.7", 100 - turn) for turn in range(7)])
    assert not reported["whole"] and "More than 6 logins failed; only the first ones count here." in " ".join(
        reported["said"]
    )
    assert met(reported) == {"203.0.113.7": 1} and reported["shut_out"][0]["failed"] == 7


@pytest.mark.parametrize("ban", [1, 40, -1])
def test_of_many_failures_in_one_second_enough_are_kept(tmp_path, ban):
    """What is forgotten changes no ban."""
    dice = random.Random(ban)
    rules = Rules(ALL, attempts=3, find_seconds=10, ban_seconds=ban)
    for _round in range(50):
        times = sorted(int(NOW) - dice.randrange(150) for _ in range(200))
        reading, visitors = brute_force_forecast._Reading(), {}
        view = brute_force_forecast._Accounting(rules, [], 0, visitors, reading)
        view.at([line("203.0.113.7", NOW - moment).encode() for moment in times])
        (visitor,) = visitors.values()
        assert visitor.failed == 200 > len(visitor.failures)
        assert brute_force_forecast.bans(visitor.failures, rules) == brute_force_forecast.bans(times, rules)


def test_of_many_browsers_twenty_are_kept(tmp_path):
    lines = [
        line(address, 100, agent=f"{turn}") for turn in range(15) for address in ("203.0.113.7", "::ffff:203.0.113.7")
    ]
    lines += [line("203.0.113.8", 100, agent=f"{turn}") for turn in range(30)]
    lines += [line("::ffff:203.0.113.8", 100, agent=f"{turn}") for turn in range(40, 70)]
    reported = inspect(tmp_path, *lines)
    assert {each["address"]: each["browsers"] for each in reported["shut_out"]} == {
        "203.0.113.7": 15,
        "203.0.113.8": 20,
    }


def test_what_is_no_address_is_no_visitor(tmp_path):
    reported = inspect(tmp_path, *[line("2001:db8:" + "0" * 60, 10)] * 5)
    assert met(reported) == {}


def test_a_log_that_is_not_there_or_cannot_be_read_is_named(tmp_path, nobody):
    gone = str(tmp_path / "gone.log")
    assert forecast([Log(gone)], Rules(ALL), NOW)["said"] == [f"There is no access log of the last 7 days: {gone}."]
    assert "No access log of the portal is known" in forecast([], Rules(ALL), NOW)["said"][0]
    reported = forecast([Log("/x.log", "json")], Rules(ALL), NOW)
    assert "/x.log is written in the form json, which is not understood." in reported["said"] and not reported["whole"]
    os.mkfifo(tmp_path / "pipe.log.1")
    assert "There is no" in forecast([Log(str(tmp_path / "pipe.log"))], Rules(ALL), NOW)["said"][0]
    file = tmp_path / "access.log"
    file.write_text(line("203.0.113.7", 1))
    os.utime(file, (NOW, NOW))
    file.chmod(0o600)
    tmp_path.chmod(0o755)
    with nobody():
        reported = forecast([Log(str(file))], Rules(ALL), NOW)
    assert reported["said"] == [f"{file} cannot be read: Permission denied."] and not reported["whole"]


@pytest.mark.parametrize(
    ("date", "utc"),
    [
        (b"25/Nov/2026:10:20:30 +0000", "2026-11-25 10:20:30"),
        (b"25/Nov/2026:10:20:30 +0245", "2026-11-25 07:35:30"),
        (b"25/Nov/2026:22:20:30 -0530", "2026-11-26 03:50:30"),
        (b"25/Nix/2026:10:20:30 +0000", "1970-01-01 00:00:00"),
    ],
)
def test_a_date_of_any_zone_is_a_moment(date, utc):
    assert time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(brute_force_forecast._seconds(date))) == utc
