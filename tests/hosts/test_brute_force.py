"""The role brute_force: real bans of a real attacker, no other client banned, and a way to unlock users."""

from __future__ import annotations

import ipaddress
import json
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.hosts.attacks import attack
from tests.hosts.conftest import Cell
from tests.hosts.hardening import CERTIFICATE, QUIET, Playbook
from tests.playbook import PlayError
from tests.testbed.app.selfcheck import PASSWORDS, Browser
from tests.testbed.hosts import Host

ATTEMPTS, BAN = 5, 8
PATHS = ["/login_json", "/login/ldap/check", "/api/authentication_token"]
# What the application takes for the same, and no browser and no app asks for.
DISGUISED = [
    "/%69ndex.php/%6cogin_json",
    "/login_json#x",
    "/index.phplogin_json",
    "/login%2fldap%2fcheck",
    # Behind a script of its own the application finds the same path, and would try the password.
    "/main/auth/lostPassword.php/login_json",
    "/certificates/index.php/login/ldap/check",
    "/main/admin/user_list.php/api/authentication_token",
    "//main/auth/lostPassword.php/login_json",
    "/a/../main/auth/lostPassword.php/%6cogin_json",
    "/main/auth/lostPassword%2ephp/login_json",
]
JAIL = "chamilo-campus-test"
ALONE = """
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: chamilo.hardening.brute_force
"""


@dataclass
class Attacker:
    """A host beside the portal's, with as many addresses as it likes."""

    host: Host
    known: list[str] = field(default_factory=list)

    def address(self) -> str:
        """One more address in the same network."""
        own = ipaddress.ip_interface(
            self.host.run(
                "ip -4 -o address show eth0 scope global | head -1 | tr -s ' ' | cut -d' ' -f4"
            ).stdout.strip()
        )
        found = str(own.ip + 100 + len(self.known))
        self.host.run(f"ip address add {found}/{own.network.prefixlen} dev eth0")
        self.known.append(found)
        return found

    def send(self, address: str, path: str, *options: str, **data: str) -> int:
        """A login from this address. 0: no answer."""
        body = json.dumps({"username": "nobody", "password": "wrong", **data})
        words = ["curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", "--interface", address]
        kind = [] if any("Content-Type" in option for option in options) else ["-H", "Content-Type: application/json"]
        words += [*kind, "--data-binary", body, *options]
        target = ["--request-target", path, "http://campus.test/"]
        return int(self.host.run([*words, *target], check=False).stdout or 0)

    def floods(self, address: str, path: str, **data: str) -> list[int]:
        """Fifty logins at once. What they were answered."""
        body = json.dumps({"username": "nobody", "password": "wrong", **data})
        words = ["curl", "-s", "-Z", "--parallel-immediate", "--parallel-max", "50", "-m", "20", "--interface", address]
        words += ["-H", "Content-Type: application/json", "--data-binary", body, "-o", "/dev/null"]
        words += ["-w", "%{http_code}\\n", "--path-as-is", f"http://campus.test{path}?[1-50]"]
        return [int(code) for code in self.host.run(words, check=False).stdout.split()]

    def class_of_30(self, address: str, path: str, visitors: Callable[[int], str]) -> list[tuple[int, float]]:
        """Thirty phones at once, every sixth with an old password: what each was answered, after how many seconds."""
        phones = []
        for number in range(30):
            login = {"username": f"student{number + 1:02d}", "password": PASSWORDS["student01"]}
            login["password"] += " of last year" if number % 6 == 5 else ""
            phones.append(
                f'url="http://campus.test{path}"\ninterface={address}\nheader="X-Forwarded-For: {visitors(number)}"\n'
                f'header="Content-Type: application/json"\ndata={json.dumps(json.dumps(login))}\nmax-time=90\n'
                'output=/dev/null\nwrite-out="%{http_code} %{time_total}\\n"\n'
            )
        self.host.put("/root/class", "next\n".join(phones))
        words = ["curl", "-s", "-Z", "--parallel-immediate", "--parallel-max", "30", "-K", "/root/class"]
        lines = self.host.run(words, check=False).stdout.splitlines()
        return [(int(code), float(seconds)) for code, seconds in map(str.split, lines)]

    def reaches(self, address: str) -> bool:
        words = f"curl -s -m 3 -o /dev/null --interface {shlex.quote(address)} http://campus.test/robots.txt"
        return self.host.run(words, check=False).returncode == 0


def banned(host: Host) -> list[str]:
    output = json.loads(host.run("fail2ban-client banned").stdout.replace("'", '"'))
    return sorted(address for jail in output for addresses in jail.values() for address in addresses)


def until(question: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not question():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def alone(playbook: Playbook, host: Host, *options: str, **variables: object) -> int:
    """Run the role and return how many tasks changed something."""
    play = playbook.write("alone.yml", ALONE)
    own = {
        "chamilo_friends": [],
        "chamilo_brute_force_attempts": ATTEMPTS,
        "chamilo_brute_force_ban_seconds": BAN,
        "chamilo_brute_force_interfaces": ["oauth"],
    }
    return playbook.run(play, host, *options, **{**own, **variables}).changed[host.domain]


def prepare(playbook: Playbook, host: Host) -> None:
    """A host with another jail of its own, before and after."""
    host.put("/var/log/own.log", "")
    host.put(
        "/etc/fail2ban/jail.d/own.conf",
        "[own]\nenabled = true\nbackend = polling\nfilter = sshd\nlogpath = /var/log/own.log\nmaxretry = 17\n",
    )
    alone(playbook, host)


@pytest.fixture
def guarded(stage: Callable[..., Host], playbook: Playbook) -> Host:
    host = stage("brute_force", lambda fresh: prepare(playbook, fresh))
    assert until(lambda: JAIL in host.run("fail2ban-client status", check=False).stdout, 30)
    return host


@pytest.fixture
def attacker(make: Callable[..., Host]) -> Attacker:
    return Attacker(make("attacker", state="empty"))


def tag(host: Host) -> str:
    """By which name the web server writes to the journal who logs in."""
    return host.run(
        f"grep -o 'SYSLOG_IDENTIFIER=[a-z0-9_]*' /etc/fail2ban/filter.d/{JAIL}.conf | cut -d= -f2"
    ).stdout.strip()


@pytest.mark.wire
def test_an_attacker_is_banned_on_every_path_and_unbanned_again(cell: Cell, guarded: Host, attacker: Attacker) -> None:
    bystander = attacker.address()
    for path in [*PATHS, "/index.php/login_json"]:
        address = attacker.address()
        for _ in range(ATTEMPTS):
            assert attacker.send(address, path) in (401, 429), path
        assert until(lambda address=address: not attacker.reaches(address), 6), f"{path}: not banned"
        assert attacker.reaches(bystander)
        assert until(lambda address=address: attacker.reaches(address), BAN + 10), f"{path}: not unbanned"
    # A right login counts nothing, however many there are.
    browser = Browser(f"http://{guarded.domain}", guarded.address, None)
    for _ in range(2 * ATTEMPTS):
        assert browser.login("student01", PASSWORDS["student01"]).status == 200
    assert banned(guarded) == []


@pytest.mark.wire
def test_what_is_not_counted_tries_no_password(cell: Cell, guarded: Host, attacker: Attacker) -> None:
    reader = attacker.address()
    login = {"username": "student01", "password": PASSWORDS["student01"]}
    for path in DISGUISED:
        assert {attacker.send(reader, path, **login) for _ in range(ATTEMPTS + 1)} <= {400, 404}, path
    assert attacker.send(reader, PATHS[0], "-X", "post", **login) in (400, 405)
    # What a page of another site has its reader's browser send.
    for site in ("cross-site", "same-site"):
        plain = ["-H", f"Sec-Fetch-Site: {site}", "-H", "Content-Type: text/plain"]
        for path in PATHS:
            assert {attacker.send(reader, path, *plain, **login) for _ in range(ATTEMPTS + 1)} == {400}, path
    for path in ("/%2egit", "/%6dain/install/", "/%6cogin", "/main/%69nstall/index.php"):
        for _ in range(ATTEMPTS + 1):
            attacker.send(reader, path)
    if guarded.web == "apache":  # what it answers itself
        own = "/etc/apache2/conf-enabled/own.conf"
        guarded.put(own, f'<Location "{PATHS[0]}">\nRequire ip 192.0.2.1\n</Location>\n')
        guarded.run("systemctl reload apache2")
        assert until(lambda: attacker.send(reader, PATHS[0]) == 403, 5)
        assert {attacker.send(reader, PATHS[0]) for _ in range(2 * ATTEMPTS)} == {403}
        guarded.run(f"rm {own} && systemctl reload apache2")
    time.sleep(2)
    assert banned(guarded) == []
    # The portal's own page, and an app that shows one of its own.
    assert attacker.send(reader, PATHS[0], "-H", "Sec-Fetch-Site: same-origin") == 401
    assert attacker.send(reader, PATHS[2], "-H", "Sec-Fetch-Site: cross-site") == 401
    # What such a script is really asked for. Whether it takes more behind its name is up to the owner's virtual host.
    script = "/main/auth/lostPassword.php"
    assert attacker.send(reader, script, "-X", "GET") == 200
    for path in (f"{script}/x", f"{script}/login"):
        assert attacker.send(reader, path, "-X", "GET") in (200, 404), path


@pytest.mark.wire
def test_on_plain_http_everything_is_redirected_first(fresh: Host, attacker: Attacker, playbook: Playbook) -> None:
    given = {**CERTIFICATE, "chamilo_friends": []}
    playbook.run("harden", fresh, "--tags", "https,brute_force", **given)
    reader = attacker.address()
    for path in (*PATHS, DISGUISED[0], DISGUISED[4]):
        assert {attacker.send(reader, path) for _ in range(ATTEMPTS + 1)} == {301}, path
    time.sleep(2)
    assert banned(fresh) == []


@pytest.mark.wire
def test_no_attacker_can_get_another_client_banned(guarded: Host, attacker: Attacker) -> None:
    victim = attacker.address()
    date = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
    line = f'{victim} - - [{date}] "POST /login_json HTTP/1.1" 401 1 "-" "-"'
    there = guarded.run("date '+%F %T'").stdout.strip()  # fail2ban takes a time without a zone for the host's own
    own = f"[{there}] [Info] [Client {victim}] Login failed for username x"
    plain = line.replace('"', "").replace(" ", "%20")
    tricks: list[tuple[str, list[str], dict[str, str]]] = [
        ("/login_json", ["-H", f"X-Forwarded-For: {victim}", "-H", f"X-Real-IP: {victim}"], {}),
        ("/login_json", ["-H", f"Referer: {line}"], {}),
        ("/login_json", ["-A", f'" {line}'], {}),
        ("/login_json", ["-A", line], {}),
        (f"/login_json?{plain}", [], {}),
        (f"/{plain}", [], {}),
        ("/api/authentication_token", ["-u", f"{line}:x"], {}),
        ("/api/authentication_token", ["-u", f"x\n{line}:x"], {}),
        ("/api/authentication_token", [], {"username": f"x\n{line}"}),
        ("/api/authentication_token", [], {"username": f"x\n{own}"}),
    ]
    for path, options, data in tricks:
        address = attacker.address()
        for _ in range(ATTEMPTS + 1):
            attacker.send(address, path, *options, **data)
        if path in PATHS and options[:1] != ["-u"]:
            assert until(lambda address=address: address in banned(guarded), 6), (path, options, data)
    time.sleep(2)
    assert victim not in banned(guarded)
    assert attacker.reaches(victim)
    assert set(banned(guarded)) <= set(attacker.known)


FORGE = (
    "<?php openlog('{tag}', LOG_PID, LOG_AUTHPRIV); for ($i = 0; $i < 20; ++$i) {{ syslog(LOG_INFO, '{victim} 401'); }}"
)


@pytest.mark.wire
def test_php_forges_no_failed_login_of_another_client(guarded: Host, attacker: Attacker, playbook: Playbook) -> None:
    """Not by the journal, not where it owns the access log; and the log outlives journald."""
    name, victim, guesser = tag(guarded), attacker.address(), attacker.address()
    guarded.put("/var/www/chamilo/public/forge.php", FORGE.format(tag=name, victim=victim))
    assert attacker.send(victim, "/forge.php") == 200
    guarded.run(f"for i in $(seq 10); do logger -t {name} '{victim} 401'; done", user="www-data")
    log = {"nginx": "/var/log/nginx/access.log", "apache": "/var/log/apache2/other_vhosts_access.log"}[guarded.web]
    date = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
    line = f'{victim} - - [{date}] "POST /login_json HTTP/1.1" 401 1 "-" "-"'
    guarded.run(f"chown www-data {log}; for i in $(seq 9); do echo {shlex.quote(line)} >>{log}; done")
    forged = guarded.run(f"journalctl -t {name} --no-pager | grep -c {victim}").stdout
    assert int(forged) >= 30, "it is there"
    guarded.run("systemctl restart systemd-journald")
    for _ in range(ATTEMPTS):
        attacker.send(guesser, PATHS[0])
    assert until(lambda: banned(guarded) == [guesser], 6), banned(guarded)
    alone(playbook, guarded, chamilo_brute_force_ban_seconds=900)
    playbook.run("audit", guarded, chamilo_friends=[])
    (entry,) = json.loads((playbook.directory / "report/report.json").read_text())["hosts"]
    statuses = {one["id"]: (one["status"], one["evidence"]) for one in entry["controls"]}
    for control in ("brute_force_fail2ban", "brute_force_forgery", "brute_force_friends", "brute_force_lock"):
        # Nothing of Apache's slows down many guesses at once, and a person has to know.
        waits = control == "brute_force_lock" and guarded.web == "apache"
        assert statuses[control][0] == ("fail" if waits else "pass"), statuses[control]
    # The owner's own log goes on.
    assert "/login_json" in guarded.run(["tail", "-n", "5", log]).stdout


@pytest.mark.long
def test_friends_are_never_banned(guarded: Host, attacker: Attacker, playbook: Playbook) -> None:
    friend, proxy, controller, unrelated_client = (attacker.address() for _ in range(4))
    alone(playbook, guarded, chamilo_friends=[f"{friend}/32"], chamilo_trusted_proxies=[proxy])
    directory = "/var/lib/chamilo-hardening/friends"
    guarded.run(
        f"mkdir -p {directory}; touch {directory}/{controller}; touch -d '25 hours ago' {directory}/{unrelated_client}"
    )
    for address in (friend, proxy, controller):
        for _ in range(50):
            attacker.send(address, PATHS[2])
        assert attacker.reaches(address)
    for _ in range(ATTEMPTS):
        attacker.send(unrelated_client, PATHS[2])
    assert until(lambda: not attacker.reaches(unrelated_client), 6), "the entry of the controller ends after a day"
    assert banned(guarded) == [unrelated_client]


def behind(host: Host, proxy: str) -> None:
    """Have the web server take visitors' addresses from it."""
    if host.web == "nginx":
        text = f"set_real_ip_from {proxy};\nreal_ip_header X-Forwarded-For;\nreal_ip_recursive on;\n"
        host.put("/etc/nginx/conf.d/proxy.conf", text)
        host.run("systemctl restart nginx")
    else:
        text = f"RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy {proxy}\n"
        host.put("/etc/apache2/conf-enabled/proxy.conf", text)
        host.run("a2enmod -q remoteip && systemctl restart apache2")


@pytest.mark.cells("trixie-nginx", "bookworm-apache")
def test_a_class_behind_one_address_is_in_within_a_minute(
    guarded: Host, attacker: Attacker, playbook: Playbook
) -> None:
    """At eight, by app and by page, with five old passwords; and who guesses there is banned before a lock."""
    proxy = attacker.address()
    behind(guarded, proxy)
    given = {"chamilo_brute_force_attempts": 8, "chamilo_brute_force_captcha": False}
    alone(playbook, guarded, chamilo_trusted_proxies=[proxy], **given)
    for path, visitors in (
        (PATHS[2], lambda _number: "203.0.113.80"),
        (PATHS[0], lambda _number: "203.0.113.81"),
        (PATHS[2], lambda number: f"2001:db8:8::{number + 1:x}"),
        (PATHS[0], lambda number: f"2001:db8:9::{number + 1:x}"),
    ):
        answers = attacker.class_of_30(proxy, path, visitors)
        seconds = sorted(took for code, took in answers if code == 200)
        print(f"{guarded.web} {path} {visitors(0)}: {len(seconds)} are in, after {seconds[-1:]} seconds")
        assert len(seconds) == 25 and seconds[-1] < 60, answers
    time.sleep(2)
    assert banned(guarded) == []


@pytest.mark.cells("trixie-nginx", "bookworm-nginx")
def test_one_address_cannot_lock_the_administrator_out(guarded: Host, attacker: Attacker, playbook: Playbook) -> None:
    """Not with many guesses at once either: they wait for their turn, and those of a banned address are not tried."""
    given = {"chamilo_brute_force_attempts": 8, "chamilo_brute_force_ban_seconds": 120}
    alone(playbook, guarded, chamilo_brute_force_captcha=False, **given)
    for path in (PATHS[2], PATHS[0]):
        address = attacker.address()
        answers = attacker.floods(address, path, username="admin")
        assert until(lambda address=address: address in banned(guarded), 15), answers
        time.sleep(3)
        record = f"SELECT COUNT(*) FROM track_e_login_record WHERE success = 0 AND user_ip = '{address}'"
        tried = guarded.run(["mariadb", "-N", "chamilo", "-e", record]).stdout
        print(f"{guarded.web} {path}: {tried.strip()} guesses of {len(answers)} were tried")
        assert 8 <= int(tried) < 10, answers
        # A right password makes the application forget the wrong ones.
        admin = Browser(f"http://{guarded.domain}", guarded.address, None)
        assert admin.login("admin", PASSWORDS["admin"]).status == 200, path


def test_the_only_administrator_comes_back(guarded: Host, attacker: Attacker) -> None:
    for address in (attacker.address(), attacker.address()):
        for _ in range(ATTEMPTS):
            attacker.send(address, PATHS[2], username="admin")
    admin = Browser(f"http://{guarded.domain}", guarded.address, None)
    assert admin.login("admin", PASSWORDS["admin"]).status == 403, "locked, although the password is right"
    output = guarded.run("chamilo-hardening unlock").stdout
    assert "admin (administrator, admin@example.test) of campus.test is locked: 10 failed logins" in output
    assert address in output
    output = guarded.run("chamilo-hardening unlock admin").stdout
    assert output.index("is locked") < output.index("is active again"), "it prints what it does before it does it"
    assert admin.login("admin", PASSWORDS["admin"]).status == 200
    assert "switched off" not in guarded.run("chamilo-unlock").stdout
    refused = guarded.run("chamilo-unlock admin", user="www-data", check=False)
    assert refused.returncode == 2 and "must be run by root" in refused.stderr


@pytest.mark.long
def test_the_lock_is_attacked_and_undone_with_its_section(guarded: Host) -> None:
    assert attack(guarded, ["brute_force_lock"])["brute_force_lock"].status == "pass"
    output = guarded.run("chamilo-hardening undo brute_force --yes").stdout
    assert "login_max_attempt_before_blocking_account is '0' again" in output or "is not set again" in output
    assert "Accounts that are locked stay locked" in output
    assert attack(guarded, ["brute_force_lock"])["brute_force_lock"].status == "fail"
    assert "Nothing is locked or banned." in guarded.run("chamilo-hardening unlock").stdout, "it is still there"


@pytest.mark.long
def test_an_address_comes_back(guarded: Host, attacker: Attacker, playbook: Playbook) -> None:
    play = playbook.write("alone.yml", ALONE)
    playbook.run(play, guarded, chamilo_friends=[])  # for the usual quarter of an hour
    address = attacker.address()
    for _ in range(ATTEMPTS):
        attacker.send(address, PATHS[0])
    assert until(lambda: not attacker.reaches(address), 6)
    assert f"{address} is banned by {JAIL}." in guarded.run("chamilo-unlock").stdout
    guarded.run(f"chamilo-unlock {address}")
    assert until(lambda: attacker.reaches(address), 3)


def test_a_login_needs_the_captcha(guarded: Host) -> None:
    # The tests are the controller of this host.
    here = guarded.run("ip -4 route show default").stdout.split()[2]
    guarded.run(f"mkdir -p /var/lib/chamilo-hardening/friends/{here}")
    browser = Browser(f"http://{guarded.domain}", guarded.address, None)
    assert browser.post_json("/login_json", username="student01", password=PASSWORDS["student01"]).status == 401
    for _ in range(4):
        browser.post_json("/login_json", username="student01", password="x", captcha_code="wrong")
    assert browser.login("student01", PASSWORDS["student01"]).status == 429, "five wrong answers"
    assert "student01@example.test) of campus.test is blocked for" in guarded.run("chamilo-hardening unlock").stdout
    guarded.run("chamilo-hardening unlock student01")
    assert browser.login("student01", PASSWORDS["student01"]).status == 200


def test_nobody_with_a_second_factor_is_asked_for_the_captcha(guarded: Host, playbook: Playbook) -> None:
    """Chamilo's page sends the code of the first step again, which is used up by then."""
    console = ["runuser", "-u", "www-data", "--", "/var/www/chamilo/bin/console", "testbed:second-factor"]
    guarded.run([*console, "student01"])
    offered = "UPDATE settings SET selected_value = 'true' WHERE variable = '2fa_enable'"
    guarded.run(["mariadb", "chamilo", "-e", offered])
    browser = Browser(f"http://{guarded.domain}", guarded.address, None)
    assert browser.post_json("/login_json", username="student01", password=PASSWORDS["student01"]).status == 401
    assert alone(playbook, guarded) > 0
    answer = browser.post_json("/login_json", username="student01", password=PASSWORDS["student01"])
    assert (answer.status, json.loads(answer.body)) == (200, {"requires2FA": True})
    assert alone(playbook, guarded) == 0
    assert alone(playbook, guarded, chamilo_brute_force_captcha=True) > 0
    assert browser.post_json("/login_json", username="student01", password=PASSWORDS["student01"]).status == 401


@pytest.mark.long
@pytest.mark.wire
def test_other_jails_stay_as_they_are(guarded: Host) -> None:
    assert guarded.run("fail2ban-client get own maxretry").stdout.strip() == "17"
    assert "sshd" in guarded.run("fail2ban-client status").stdout
    guarded.run("chamilo-hardening undo brute_force --yes")
    status = guarded.run("fail2ban-client status").stdout
    assert "own" in status and "sshd" in status and JAIL not in status


def test_a_second_run_changes_nothing_and_a_reboot_neither(guarded: Host, playbook: Playbook) -> None:
    assert alone(playbook, guarded, "--check") == 0
    assert alone(playbook, guarded) == 0
    guarded.restart()
    assert until(lambda: JAIL in guarded.run("fail2ban-client status", check=False).stdout, 30)
    server = {"nginx": "nginx", "apache": "apache2"}[guarded.web]
    recovered = moment(guarded, "chamilo-hardening-recover", "ActiveEnter")
    assert 0 < recovered < moment(guarded, server, "InactiveExit"), (
        "an interrupted run is recovered before it is served"
    )


def moment(host: Host, unit: str, what: str) -> int:
    """When a unit last came to a state since boot, in microseconds; 0 where it never did."""
    return int(host.run(f"systemctl show --value --property={what}TimestampMonotonic {unit}").stdout)


@pytest.mark.long
def test_a_log_that_shows_only_a_proxy_arms_nothing(fresh: Host, playbook: Playbook) -> None:
    log = {"nginx": "/var/log/nginx/access.log", "apache": "/var/log/apache2/other_vhosts_access.log"}[fresh.web]
    front = "campus.test:80 " if fresh.web == "apache" else ""
    line = f'{front}10.0.0.5 - - [25/Nov/2025:10:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "browser {{}}"'
    fresh.put(log, "".join(f"{line.format(number % 9)}\n" for number in range(120)))
    with pytest.raises(PlayError) as refused:
        alone(playbook, fresh)
    words = " ".join(str(refused.value).split())
    assert "come from 10.0.0.5. That is a proxy" in words
    assert JAIL not in fresh.run("fail2ban-client status").stdout
    fresh.put(log, line.format(1) + "\n")
    with pytest.raises(PlayError):  # one visit is enough where a proxy is declared
        alone(playbook, fresh, chamilo_trusted_proxies=["10.0.0.5"])
    fresh.put(log, "".join(f"{line.format(1).replace('10.0.0.5', f'10.0.0.{number}')}\n" for number in range(3)))
    with pytest.raises(PlayError, match=r"come from 10.0.0.0, 10.0.0.1, 10.0.0.2. That is a proxy"):
        alone(playbook, fresh, chamilo_trusted_proxies=["10.0.0.0/24"])
    assert alone(playbook, fresh, chamilo_friends=["10.0.0.0/24"]) > 0


@pytest.mark.long
def test_a_fresh_host_in_check_mode(fresh: Host, playbook: Playbook) -> None:
    before = fresh.snapshot()
    assert alone(playbook, fresh, "--check", "--diff") > 0
    ignore = [*QUIET, "/var/lib/apt/*", "/var/cache/*", "/var/www/chamilo/var/*"]
    assert not before.changes(fresh.snapshot(), ignore)


@pytest.mark.wire
def test_behind_a_declared_proxy_the_visitor_is_banned(guarded: Host, attacker: Attacker, playbook: Playbook) -> None:
    proxy, other = attacker.address(), attacker.address()
    behind(guarded, proxy)
    alone(playbook, guarded, chamilo_trusted_proxies=[proxy])
    visitor, victim = "203.0.113.50", "203.0.113.60"
    for _ in range(ATTEMPTS):
        attacker.send(proxy, PATHS[2], "-H", f"X-Forwarded-For: {victim}, {visitor}")
    assert until(lambda: banned(guarded) == [visitor], 6), banned(guarded)
    # The jail was there before a proxy was declared.
    assert until(lambda: attacker.send(proxy, PATHS[2], "-H", f"X-Forwarded-For: {visitor}") == 423, 3)
    assert attacker.reaches(proxy)
    for _ in range(ATTEMPTS):
        attacker.send(other, PATHS[2], "-H", f"X-Forwarded-For: {victim}")
    assert until(lambda: other in banned(guarded), 6)
    assert victim not in banned(guarded), "what a client claims about others is not believed"

    # nginx knows an address of IPv4 that is written as one of IPv6 by that name, fail2ban by its own.
    visitor = "203.0.113.70"
    mapped = ["-H", f"X-Forwarded-For: ::ffff:{visitor}"]
    for _ in range(ATTEMPTS):
        attacker.send(proxy, PATHS[2], *mapped)
    assert until(lambda: visitor in banned(guarded), 6), banned(guarded)
    assert until(lambda: attacker.send(proxy, PATHS[2], *mapped) == 423, 3)
    guarded.run(f"chamilo-hardening unlock {visitor}")
    assert until(lambda: attacker.send(proxy, PATHS[2], *mapped) != 423, 3)

    # Of IPv6 a client has all of a /64, and is banned with all of it, in the kernel as well.
    for network, others, neighbour in (
        ("2001:db8:1:2", [f"2001:db8:1:2:{number:x}::{number:x}" for number in range(1, 9)], "2001:db8:1:3::1"),
        ("2001:db8", [f"2001:db8::{number:x}" for number in range(1, 9)], "2001:db8:0:1::1"),
        ("2001:db8:5", [f"2001:db8:5:0:{number:x}:2:3:4" for number in range(1, 9)], "2001:db8:5:1:1:2:3:4"),
    ):
        for address in others[:ATTEMPTS]:
            attacker.send(proxy, PATHS[2], "-H", f"X-Forwarded-For: {address}")
        assert until(lambda network=network: f"{network}::/64" in banned(guarded), 6), (network, banned(guarded))
        header = ["-H", f"X-Forwarded-For: {others[-1]}"]
        assert until(lambda header=header: attacker.send(proxy, PATHS[2], *header) == 423, 3), network
        assert attacker.send(proxy, PATHS[2], "-H", f"X-Forwarded-For: {neighbour}") != 423, network
        assert f"{network}::/64" in guarded.run("nft list ruleset").stdout
        guarded.run(f"chamilo-hardening unlock {others[-1]}")
        assert until(lambda header=header: attacker.send(proxy, PATHS[2], *header) != 423, 3), network


@pytest.mark.long
def test_the_administrator_s_address_is_exempt_for_a_day(make: Callable[..., Host], playbook: Playbook) -> None:
    host = make(ssh=True)
    alone(playbook, host)
    here = host.run("ip -4 route show default").stdout.split()[2]
    assert host.run("ls /var/lib/chamilo-hardening/friends").stdout.split() == [here]

    def guess(times: int) -> set[int]:
        kind = {"Content-Type": "application/json"}
        bodies = [b'{"username":"x%d","password":"y"}' % number for number in range(times)]
        return {
            host.http("/api/authentication_token", method="POST", body=body, headers=kind).status for body in bodies
        }

    assert guess(50) <= {401, 429, 503}, "slowed down as any other"
    time.sleep(ATTEMPTS + 1)
    assert banned(host) == []
    assert alone(playbook, host) == 0
    host.run(f"rmdir /var/lib/chamilo-hardening/friends/{here}")
    assert guess(ATTEMPTS) <= {401, 429}
    assert until(lambda: banned(host) == [here], 6)
