# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import time
from dataclasses import replace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Account
from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Endpoint, Observer, Unseen
from ansible_collections.chamilo.hardening.plugins.module_utils._application.portal_reader import PortalReader
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._audit import brute_force
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force import fail2ban
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.fail2ban import Jail
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import (
    Listen,
    VirtualHost,
    WebServer,
)
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans import brute_force as plan

UNIT, TAG = "_SYSTEMD_UNIT=nginx.service", "SYSLOG_IDENTIFIER=chamilo_1"
GOOD = r"^\S+ chamilo_1\[\d+\]: <ADDR> (?:401|403|429)$"
IDS = r"^\s*\[[^\]]*\] \[\S+ <ADDR>\] Login failed for username "


def settings(second_factors=False, **values):
    rows = [
        {
            "category": "security",
            "variable": variable,
            "access_url": "1",
            "selected_value": value,
            "access_url_changeable": "1",
        }
        for variable, value in values.items()
    ]
    it = Observer(Site("campus.test"), {})

    def ask(sql):
        return [] if "access_url WHERE" in sql or ("mfa_enabled" in sql and not second_factors) else rows

    it.database = PortalReader(Account("chamilo"), ask=ask)
    return it


@pytest.mark.parametrize(
    ("value", "second_factors", "status", "words"),
    [
        ("true", False, "pass", "'true'."),
        ("false", False, "fail", "should be 'true'"),
        ("false", True, "not_applicable", "nobody who has it can log in"),
        ("true", True, "pass", "Nobody with a second factor can log in"),
    ],
)
def test_the_captcha_locks_nobody_with_a_second_factor_out(value, second_factors, status, words):
    finding = brute_force.captcha(settings(second_factors, allow_captcha=value))
    assert finding.status == status and words in finding.evidence


@pytest.mark.parametrize(
    ("value", "status"), [("5", "pass"), ("1", "pass"), ("10", "pass"), ("0", "fail"), ("11", "fail"), ("", "fail")]
)
def test_lock(monkeypatch, value, status):
    monkeypatch.setattr(fail2ban, "running", lambda: None)
    it = settings(login_max_attempt_before_blocking_account=value)
    it.as_root = True
    assert brute_force.lock(it).status == status


@pytest.mark.parametrize(
    ("jails", "value", "status"),
    [
        # Ban and lock both come at five: one attacker locks the administrator out.
        ([{"attempts": 5, "window": 900}], "5", "fail"),
        ([{"attempts": 5, "window": 900}], "6", "pass"),
        # Four, and when these are forgotten five more, all of which Chamilo still counts.
        ([{"attempts": 5, "window": 600}], "9", "fail"),
        ([{"attempts": 5, "window": 600}], "10", "pass"),
        # Three times five, as soon as a ban ends.
        ([{"attempts": 5, "window": 900, "seconds": 300}], "10", "fail"),
        ([{"attempts": 3, "window": 900, "seconds": 300}], "10", "pass"),
        ([{"attempts": 9, "window": 900, "journal": ((UNIT.replace("nginx", "ssh"),),)}], "5", "pass"),
        ([], "5", "pass"),
    ],
)
def test_one_address_is_banned_before_an_account_is_locked(monkeypatch, jails, value, status):
    found = [jail(GOOD, **one) for one in jails]
    monkeypatch.setattr(fail2ban, "running", lambda: found)
    it = settings(login_max_attempt_before_blocking_account=value)
    it.site, it.as_root = replace(it.site, web=WebServer("nginx", service="nginx")), True
    monkeypatch.setattr(brute_force, "_slows", lambda _observer, _door: True)
    monkeypatch.setattr(brute_force, "_own_doors", lambda _observer: [Endpoint("https", "campus.test", 443)])
    finding = brute_force.lock(it)
    assert finding.status == status, finding.evidence
    assert ("in 15 minutes before the jail" in finding.evidence) == (status == "fail")
    assert ("an attacker can lock any account" in finding.evidence) == (status == "fail")


@pytest.mark.parametrize(
    ("free", "then", "status"), [(5, (503, 0.0), "pass"), (5, (404, 1.5), "pass"), (9, (404, 0.0), "fail")]
)
def test_many_guesses_at_once_have_to_wait_before_they_lock_an_account(monkeypatch, free, then, status):
    """The ban takes a second or two; what was sent meanwhile is tried. Measured by the time that an answer takes."""
    clock = [0.0]
    monkeypatch.setattr(brute_force.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(fail2ban, "running", lambda: [jail(GOOD)])
    it = settings(login_max_attempt_before_blocking_account="10")
    it.site, it.as_root = replace(it.site, web=WebServer("nginx", service="nginx")), True
    endpoints = [Endpoint("http", "campus.test", 80), Endpoint("https", "campus.test", 443)]
    monkeypatch.setattr(brute_force, "_own_doors", lambda _observer: endpoints)
    asked = []

    def answer(endpoint, path, **_request):
        if endpoint.scheme == "http":
            return Answer(path, status=301)
        asked.append(path)
        code, seconds = (404, 0.0) if len(asked) <= free else then
        clock[0] += seconds
        return Answer(path, status=code)

    monkeypatch.setattr(it, "ask", answer)
    finding = brute_force.lock(it)
    assert finding.status == status, finding.evidence
    assert len(set(asked)) == len(asked) < 10, "the same question is sent once"
    assert not any(login in path for path in asked for login in brute_force.LOGINS)
    assert ("at once" in finding.evidence) and ("can lock any account" in finding.evidence) == (status == "fail")


@pytest.mark.parametrize(
    ("version", "declared", "values", "status", "words"),
    [
        ("3.0.2", [], {}, "pass", "No interface is declared"),
        ("3.0.2", [], {"mcp_enabled": "false", "external_api_enabled": "false"}, "pass", "mcp_enabled is 'false'"),
        ("3.0.2", [], {"mcp_enabled": "true"}, "fail", "mcp_enabled is 'true'; it should be 'false'"),
        ("3.0.2", ["oauth"], {"external_api_enabled": "true"}, "fail", "external_api_enabled is 'true'"),
        ("3.0.2", ["mcp"], {"mcp_enabled": "true"}, "pass", "Declared as used: mcp."),
        ("2.0.4", [], {}, "not_applicable", "since 3.0"),
    ],
)
def test_interfaces_for_programs_are_off_unless_they_are_declared(version, declared, values, status, words):
    it = settings(**values)
    it.site, it.options = replace(it.site, version=version), {"interfaces": declared}
    finding = brute_force.interfaces(it)
    assert (finding.status, words in finding.evidence) == (status, True), finding.evidence


def jail(*expressions, **differences):
    values = {
        "name": "chamilo",
        "files": (),
        "journal": ((UNIT, TAG),),
        "expressions": expressions,
        "ignored_expressions": (),
        "prefix": "",
        "date_pattern": "",
        "lines": 1,
        "attempts": 5,
        "window": 600,
        "seconds": 900,
        "friends": (),
        "spares_itself": True,
        "friend_command": "",
        "actions": {"nftables": "nft add element inet f2b-table <addr_set> \\{ <ip> \\}"},
    }
    return Jail(**{**values, **differences})


def engine(_loaded, jails, lines):
    """What matters of fail2ban's engine here: it reads <ADDR>."""

    def addresses(expressions, line):
        found = (re.search(text.replace("<ADDR>", r"(?P<a>\d+(?:\.\d+){3})"), line) for text in expressions)
        return [hit["a"] for hit in found if hit]

    return [[addresses(each.expressions, line) for line in lines] for each in jails]


class Host:
    """A portal whose web server writes to the journal about each login that PHP answers."""

    def __init__(self, tmp_path, monkeypatch):
        self.root = tmp_path / "chamilo"
        (self.root / "var/log/ids").mkdir(parents=True)
        self.jails = []
        self.written = []  # in the journal
        self.form = "{client} {status}"
        self.trusts_anybody = False
        self.behind = 403  # what a login path answers behind an older script
        monkeypatch.setattr(fail2ban, "running", lambda: self.jails)
        monkeypatch.setattr(fail2ban, "is_installed", lambda: False)
        monkeypatch.setattr(fail2ban, "banned", dict)
        monkeypatch.setattr(fail2ban, "engine", lambda: None)
        monkeypatch.setattr(fail2ban, "matches", engine)
        monkeypatch.setattr(brute_force.shutil, "which", lambda name, path=None: f"/usr/sbin/{name}")
        monkeypatch.setattr(brute_force, "_PATIENCE", 0.1)
        monkeypatch.setattr(brute_force.services, "run", self.journal)

    def journal(self, argv, _seconds):
        if argv[0] == "systemctl":
            return 0, "enabled\n"
        assert argv[0] == "journalctl" and argv[-1] == UNIT
        return 0, "".join(f"{json.dumps(entry)}\n" for entry in self.written)

    def inspect(self, php="", **options):
        virtual_host = VirtualHost("site.conf", 1, ("campus.test",), (Listen("10.0.0.5", 80, False),), "", php=php)
        hosts = {"serving": (virtual_host,), "virtual_hosts": (virtual_host,)}
        server = WebServer("nginx", service="nginx", user="nobody")
        it = Observer(Site("campus.test", root=str(self.root), web=server, **hosts), options)
        it.as_root = True
        it._fetch = self.fetch
        return it

    def fetch(self, endpoint, path, headers):
        if path.startswith("/main/"):
            return Answer(endpoint.url(path), self.behind)
        client = headers["X-Forwarded-For"] if self.trusts_anybody else endpoint.address
        if self.form:
            entry = dict(one.split("=") for one in (UNIT, TAG))
            message = self.form.format(client=client, status=405)
            moment = str(int(time.time() * 1_000_000) + 1)
            entry.update(MESSAGE=message, _HOSTNAME="campus", _PID="7", __REALTIME_TIMESTAMP=moment)
            self.written.append(entry)
        return Answer(endpoint.url(path), 405)


@pytest.fixture
def host(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("answer", "status"), [(400, "pass"), (403, "pass"), (404, "pass"), (200, "fail"), (401, "fail"), (405, "fail")]
)
def test_a_login_behind_an_older_script_is_a_way_past_the_jail(host, answer, status):
    host.jails = [jail(GOOD)]
    host.behind = answer
    finding = brute_force.fail2ban(host.inspect())
    assert finding.status == status
    assert (f"/main/auth/lostPassword.php/login_json answers {answer}: " in finding.evidence) is (status == "fail")


def test_without_fail2ban(host, monkeypatch):
    host.jails = None
    it = host.inspect()
    assert brute_force.fail2ban(it).evidence == "fail2ban is not installed on this host."
    monkeypatch.setattr(fail2ban, "is_installed", lambda: True)
    assert brute_force.fail2ban(it).evidence == "fail2ban does not run on this host."
    forgery, friends = brute_force.forgery(it), brute_force.friends(it)
    assert (forgery.status, friends.status) == ("not_applicable", "not_applicable")
    assert forgery.evidence == "No fail2ban runs here, so no other client can be banned by forged lines."
    assert friends.evidence == "No fail2ban runs here, so no client is banned."


def test_a_jail_that_never_bans_most_of_the_internet_is_no_jail(host):
    """Declared or not: that the jail really spares them is what counts."""
    halves = ("127.0.0.0/8", "0.0.0.0/1", "128.0.0.0/1")
    host.jails = [jail(GOOD, friends=halves)]
    for options in ({}, {"friends": ["0.0.0.0/1", "128.0.0.0/1"]}):
        finding = brute_force.fail2ban(host.inspect(**options))
        assert finding.status == "fail"
        assert "never bans 127.0.0.0/8, 0.0.0.0/1, 128.0.0.0/1, which is 100.00%" in finding.evidence


@pytest.mark.parametrize(
    ("banned", "rules", "status"),
    [
        ("10.0.0.1", "elements = { 10.0.0.10, 10.0.0.1 }", "pass"),
        ("10.0.0.1", "elements = { 10.0.0.10, 110.0.0.1 }", "fail"),
        ("2001:db8:1::/64", "elements = { 2001:db8:1::/64,", "pass"),
        ("2001:db8:1::/64", "elements = { 2001:db8:1:2::/64 }", "fail"),
        ("10.0.0.1", "-A f2b-chamilo -s 10.0.0.1/32 -j REJECT", "pass"),
    ],
)
def test_whoever_is_banned_is_refused_by_the_kernel(host, monkeypatch, banned, rules, status):
    host.jails = [jail(GOOD)]
    monkeypatch.setattr(fail2ban, "banned", lambda: {banned: ["chamilo"]})
    monkeypatch.setattr(brute_force, "output", lambda argv: rules if argv[0] == "nft" else "")
    finding = brute_force.fail2ban(host.inspect())
    assert finding.status == status, finding.evidence
    assert (f"{banned} is banned, and no rule of the kernel has it" in finding.evidence) == (status == "fail")


MAIL = {"mail": "printf '%%b' 'Hi' | mail -s ban root"}


@pytest.mark.parametrize(
    ("more", "refuses", "status", "words"),
    [
        ({}, 204, "fail", "nftables refuses packets alone"),
        (MAIL, 204, "fail", "nftables refuses packets alone"),
        ({"chamilo": "touch /run/banned/<ip>"}, 204, "pass", ""),
        ({"chamilo": "touch /run/banned/<ip>"}, 404, "fail", "the web server does not check for the files"),
    ],
)
def test_behind_a_proxy_a_firewall_is_not_enough(host, more, refuses, status, words):
    known = jail(GOOD)
    host.jails = [replace(known, actions={**known.actions, **more})]
    observer = host.inspect(trusted_proxies=["192.0.2.9"])
    ask = observer.ask
    observer.ask = lambda endpoint, path, **more: (
        Answer(path, refuses) if path == brute_force._REFUSES else ask(endpoint, path, **more)
    )
    finding = brute_force.fail2ban(observer)
    assert finding.status == status and words in finding.evidence
    assert brute_force.fail2ban(host.inspect()).status == "pass", "packets are the visitors' own"


def test_a_proxy_that_ends_tls_is_not_asked_whether_the_web_server_refuses(host):
    known = jail(GOOD)
    host.jails = [replace(known, actions={**known.actions, "chamilo": "touch /run/banned/<ip>"})]
    observer = host.inspect(trusted_proxies=["192.0.2.9"], terminated_elsewhere=True)
    ask = observer.ask

    def answered(endpoint, path, **more):
        if path == brute_force._REFUSES:  # through the proxy this host is a visitor like any other
            return Answer(path, 204 if endpoint.address else 404)
        return ask(replace(endpoint, address="198.51.100.4"), path, **more)

    observer.ask = answered
    assert brute_force.fail2ban(observer).status == "pass"


@pytest.mark.parametrize("form", ["", "{client} visited", "{client} 200"])
def test_a_web_server_that_writes_nothing_of_a_login_is_of_no_use(host, form):
    host.form, host.jails = form, [jail(GOOD)]
    finding = brute_force.fail2ban(host.inspect())
    assert finding.status == "fail"
    assert (
        "nginx.service wrote nothing to the journal about a request to http://campus.test/login_json"
        in finding.evidence
    )


def test_a_door_that_leads_to_https_sees_no_login(host):
    it = host.inspect()
    it._fetch = lambda endpoint, path, headers: Answer(endpoint.url(path), 301, headers=(("Location", "https://x/"),))
    with pytest.raises(Unseen, match="nothing was seen of its visitors"):
        brute_force.fail2ban(it)


def test_a_fail2ban_that_gives_no_answer_is_not_assessed(host, monkeypatch):
    def broken(*_asked):
        raise fail2ban.Fail2banError("It gave no answer.")

    host.jails = [jail(GOOD)]
    monkeypatch.setattr(fail2ban, "matches", broken)
    with pytest.raises(Unseen, match="It gave no answer."):
        brute_force.fail2ban(host.inspect())
    monkeypatch.setattr(fail2ban, "running", broken)
    with pytest.raises(Unseen, match="It gave no answer."):
        brute_force.jails(host.inspect())


@pytest.mark.parametrize(
    ("group", "php", "words"),
    [
        ((UNIT, TAG), "", ""),
        ((TAG,), "", "names no service"),
        ((UNIT,), "", "names no program of it"),
        ((UNIT, TAG, "_UID=0"), "mod_php", "inherit what Apache writes to the journal by"),
    ],
)
def test_the_kernel_vouches_for_what_bans(host, group, php, words):
    host.jails = [jail(GOOD, journal=(group,))]
    finding = brute_force.forgery(host.inspect(php=php))
    assert (finding.status, words in finding.evidence) == ("fail" if words else "pass", True), finding.evidence


def test_a_line_break_in_a_user_name_forges_a_line_of_the_application(host):
    host.jails = [jail(IDS, journal=(), files=(str(host.root / "var/log/ids/ids.log"),))]
    finding = brute_force.forgery(host.inspect())
    assert finding.status == "fail"
    assert "a line break in the user name" in finding.evidence


def test_an_access_log_does_not_show_who_wrote_a_line(host):
    it = host.inspect()
    log = "/var/log/nginx/campus.log"
    it.site = replace(it.site, serving=tuple(replace(one, access_log_file=log) for one in it.site.serving))
    host.jails = [jail(GOOD), jail(GOOD, name="own", journal=(), files=(log,))]
    finding = brute_force.forgery(it)
    assert finding.status == "fail" and f"The jail own reads {log}." in finding.evidence


def test_a_header_that_any_client_can_send_is_not_trusted(host):
    host.trusts_anybody = True
    host.jails = [jail(GOOD)]
    finding = brute_force.forgery(host.inspect())
    assert finding.status == "fail"
    assert finding.evidence.startswith("The web server takes the visitor's address from X-Forwarded-For of any client")
    assert "set_real_ip_from" in finding.evidence


def test_jails_that_read_something_else_are_none_of_ours(host):
    host.jails = [jail(GOOD, journal=((UNIT.replace("nginx", "ssh"),),), name="sshd")]
    it = host.inspect()
    assert brute_force.forgery(it).status == "not_applicable"
    assert brute_force.friends(it).status == "not_applicable"


@pytest.mark.parametrize(
    ("differences", "options", "missing"),
    [
        ({}, {}, ""),
        (
            {"friends": ("10.9.0.0/16", "2001:db8::/32")},
            {"friends": ["10.9.8.0/24"], "trusted_proxies": ["2001:db8::7"]},
            "",
        ),
        ({"spares_itself": False, "friends": ("127.0.0.0/8", "::1")}, {}, ""),
        ({"spares_itself": False}, {}, "127.0.0.1"),
        ({"friends": ("10.9.8.7",)}, {"friends": ["10.9.8.0/24"]}, "10.9.8.0/24"),
        ({}, {"trusted_proxies": ["192.0.2.4"]}, "192.0.2.4"),
        # Of IPv6 a /64 is counted, and banned with all of it.
        ({"friends": ("2001:db8::7",)}, {"friends": ["2001:db8::7"]}, "2001:db8::7"),
        ({"friends": ("2001:db8::/64",)}, {"friends": ["2001:db8::7"]}, ""),
    ],
)
def test_friends(host, differences, options, missing):
    host.jails = [jail(GOOD, **differences)]
    finding = brute_force.friends(host.inspect(**options))
    assert finding.status == ("fail" if missing else "pass"), finding.evidence
    assert missing in finding.evidence and "managed from" not in finding.evidence
    undeclared = "chamilo never bans 127.0.0.1, ::1; no network, proxy or controller was declared."
    assert missing or (finding.evidence == undeclared) is not bool(options)


def test_the_machine_that_manages_the_host_is_one_of_them(host, tmp_path, monkeypatch):
    directory = tmp_path / "friends"
    monkeypatch.setattr(brute_force, "FRIENDS", str(directory))
    ours = {"friend_command": f'test -n "$(find {directory}/<ip> -mmin -1440 2>/dev/null)"'}

    def seen(controller="", **differences):
        host.jails = [jail(GOOD, **differences)]
        it = host.inspect(controller=controller)
        it.site = replace(it.site, managed_from="198.51.100.9")
        finding = brute_force.friends(it)
        return finding.status, finding.evidence

    assert seen(friends=("198.51.100.0/24",))[0] == "pass"
    for differences in ({}, ours):
        status, words = seen(**differences)
        assert status == "fail" and "could ban 198.51.100.9" in words
        assert words.endswith(" This host is managed from 198.51.100.9.")
    (directory / "198.51.100.9").mkdir(parents=True)
    status, words = seen(**ours)
    assert status == "pass" and "198.51.100.9 for a day" in words
    assert "for a day" not in seen(friends=("198.51.100.9",), **ours)[1]
    assert seen()[0] == "fail", "the folder helps nobody where the jail does not look there"
    assert "203.0.113.4" in seen("203.0.113.4", **ours)[1], "what is given counts more than what is found"


def test_the_directory_of_friends_is_that_of_the_role():
    assert plan.FRIENDS == brute_force.FRIENDS


HELP = "#!/bin/sh\ncase $1 in unlock) echo 'usage: unlock USER|ADDRESS';; *) exit 2;; esac\n"


@pytest.mark.parametrize(
    ("text", "mode", "status", "words"),
    [
        (HELP, 0o700, "pass", "belongs to root"),
        (None, 0, "fail", "no program"),
        (HELP, 0o777, "fail", "changed by others"),
        (HELP, 0o600, "fail", "cannot be run"),
        ("#!/bin/sh\nexit 2\n", 0o700, "fail", "no command that unlocks"),
    ],
)
def test_unlock(tmp_path, monkeypatch, text, mode, status, words):
    program = tmp_path / "chamilo-hardening"
    if text:
        program.write_text(text)
        program.chmod(mode)
    monkeypatch.setattr(brute_force, "UNLOCK", (str(program),))
    real = brute_force.os.stat
    monkeypatch.setattr(
        brute_force.os, "stat", lambda path: type("S", (), {"st_uid": 0, "st_mode": real(path).st_mode})
    )
    it = Observer(Site("campus.test"), {})
    it.as_root = True
    finding = brute_force.unlock(it)
    assert (finding.status, words in finding.evidence) == (status, True), finding.evidence
