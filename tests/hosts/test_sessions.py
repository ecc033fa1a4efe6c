"""The role sessions: idle sessions end, cookies are protected, and no attacker chooses the session of a visitor."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import pytest

from tests.hosts.attacks import attack
from tests.hosts.hardening import Playbook, missing_from_the_portal
from tests.playbook import PlayError
from tests.testbed import authority
from tests.testbed.app.selfcheck import PASSWORDS, Browser
from tests.testbed.hosts import Host

SCRIPT = "/main/lp/aicc_hacp.php"
CHOSEN = "0chosen0by0a0stranger0chosen0by0a0stranger"
PLAY = """
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - chamilo.hardening.host_program: {request: {}}
      register: __chamilo_common_program
    - name: Activate production mode, as the section permissions does
      chamilo.hardening.chamilo_env:
        domain: "{{ inventory_hostname }}"
        values: {APP_ENV: prod, APP_DEBUG: 0}
    - ansible.builtin.include_role:
        name: "chamilo.hardening.{{ item }}"
      loop: [https, sessions]
"""


@pytest.fixture
def secured(stage: Callable[..., Host], playbook: Playbook) -> Host:
    """A host of the test's own in production mode, over https, with the section active."""
    return stage("sessions", lambda host: apply(playbook, host))


def apply(playbook: Playbook, host: Host, *options: str, **variables: object) -> int:
    play = playbook.write("sessions.yml", PLAY)
    return playbook.run(play, host, *options, **variables).changed[host.domain]


def browser(host: Host) -> Browser:
    return Browser(f"https://{host.domain}", host.address, str(authority.certificate()))


def logged_in(visitor: Browser) -> bool:
    return b'"isAuthenticated":true' in visitor.get("/check-session").body


def login(host: Host, **more: object) -> Browser:
    visitor = browser(host)
    answer = visitor.post_json("/login_json", username="student01", password=PASSWORDS["student01"], **more)
    assert answer.status == 200 and logged_in(visitor)
    return visitor


def flags(line: str) -> set[str]:
    return {part.strip().lower() for part in line.split(";")[1:]}


def test_an_idle_session_ends_by_itself(secured: Host, playbook: Playbook) -> None:
    apply(playbook, secured, chamilo_sessions_lifetime=60)
    schedule = secured.run("systemctl show phpsessionclean.timer -p TimersCalendar --value").stdout
    assert "OnCalendar=*-*-* *:00/5:00" in schedule and schedule.count("OnCalendar") == 1
    # No test waits for five minutes here; it is still the timer that calls Debian's cleaner.
    often = "[Timer]\nOnCalendar=*:*:0/10\n"
    secured.put("/etc/systemd/system/phpsessionclean.timer.d/zz-often.conf", often)
    secured.run("systemctl daemon-reload && systemctl restart phpsessionclean.timer")
    left, used = login(secured), login(secured)
    for _visit in range(6):
        time.sleep(14)
        assert logged_in(used), "a session that is in use goes on"
    assert not logged_in(left), "84 seconds without a visit, and 60 are allowed"
    assert logged_in(used)


def test_php_the_cleaner_and_the_application_agree(secured: Host) -> None:
    ask = "PHP_INI_SCAN_DIR=$d/conf.d php -c $d/php.ini -r 'echo ini_get(\"session.gc_maxlifetime\"), PHP_EOL;'"
    output = secured.run(f"for d in /etc/php/*/*; do test ! -e $d/php.ini || {ask}; done").stdout
    assert set(output.split()) == {"3600"}
    compiled = secured.run("cat /var/www/chamilo/var/cache/prod/Container*/*Container.php").stdout
    assert "'gc_maxlifetime' => 3600" in compiled


@pytest.mark.long
def test_the_application_is_reported_in_the_mode_that_the_server_gives_it(fresh: Host, playbook: Playbook) -> None:
    """What PHP-FPM is given wins over .env, which the console alone would go by."""
    play = playbook.write("server.yml", PLAY.replace("values: {APP_ENV: prod, APP_DEBUG: 0}", "values: {}"))
    fresh.run("sed -i '/^APP_ENV=/d' /var/www/chamilo/.env && echo APP_ENV=dev >>/var/www/chamilo/.env")
    fresh.run("echo 'env[APP_ENV] = prod' | tee -a /etc/php/*/fpm/pool.d/www.conf")
    fresh.run("systemctl restart 'php*-fpm.service'")
    assert fresh.wait("/login").status == 200
    playbook.run(play, fresh, chamilo_sessions_lifetime=1800)
    assert login(fresh)
    compiled = fresh.run("cat /var/www/chamilo/var/cache/prod/Container*/*Container.php").stdout
    assert "'gc_maxlifetime' => 1800" in compiled


@pytest.mark.wire
def test_every_cookie_is_protected_on_the_wire(secured: Host) -> None:
    for path in ("/", "/login", SCRIPT, f"{SCRIPT}?session_id={CHOSEN}"):
        (line,) = secured.http(f"https://{secured.domain}{path}").values("Set-Cookie")
        assert {"secure", "httponly", "samesite=lax"} <= flags(line), f"{path}: {line}"
    body = json.dumps({"username": "student01", "password": PASSWORDS["student01"]}).encode()
    kind = {"Content-Type": "application/json"}
    answer = secured.http(f"https://{secured.domain}/login_json", method="POST", body=body, headers=kind)
    given = answer.values("Set-Cookie")
    assert answer.status == 200 and given
    assert all({"secure", "httponly", "samesite=lax"} <= flags(line) for line in given), given


@pytest.mark.wire
def test_no_attacker_can_choose_the_session_of_a_visitor(secured: Host, shared: Host) -> None:
    def given(host: Host, scheme: str, path: str, cookie: str = "") -> str:
        headers = {"Cookie": cookie} if cookie else {}
        lines = host.http(f"{scheme}://{host.domain}{path}", headers=headers).values("Set-Cookie")
        return lines[0].split(";")[0].partition("=")[2] if lines else CHOSEN

    tries = [
        ("/", f"chamilo2={CHOSEN}"),
        (f"/?chamilo2={CHOSEN}", ""),
        (SCRIPT, f"chamilo2={CHOSEN}"),
        (f"{SCRIPT}?session_id={CHOSEN}", ""),
    ]
    assert [path for path, cookie in tries if given(secured, "https", path, cookie) == CHOSEN] == []
    assert given(shared, "http", f"{SCRIPT}?session_id={CHOSEN}") == CHOSEN, "before, it was possible"


@pytest.mark.wire
def test_people_stay_logged_in_where_scripts_do_not_see_the_sessions(secured: Host) -> None:
    seen = "open_basedir=/var/www:/tmp:/usr/local/share/chamilo-hardening"
    secured.run(f"for directory in /etc/php/*/fpm/conf.d; do echo {seen} >$directory/99-owner.ini; done")
    secured.run("systemctl reload 'php*-fpm.service'")
    login(secured)


@pytest.mark.long
def test_people_stay_logged_in_where_the_application_keeps_the_sessions(secured: Host, playbook: Playbook) -> None:
    directory, parts = "/var/www/chamilo/var/sessions", "/usr/local/share/chamilo-hardening/prepend.d"
    own = "framework:\n    session:\n        handler_id: 'file://%kernel.project_dir%/var/sessions'\n"
    secured.run(f"test -e {parts}/sessions.php && install -d -o www-data -g www-data -m 0700 {directory}")
    secured.put("/var/www/chamilo/config/packages/own.yaml", own)
    secured.run(["php", "/var/www/chamilo/bin/console", "cache:clear"], user="www-data")
    secured.run("systemctl reload 'php*-fpm.service'")
    visitor = browser(secured)
    visitor.post_json("/login_json", username="student01", password=PASSWORDS["student01"])
    assert not logged_in(visitor), "before, for the part reads where php.ini points"
    assert apply(playbook, secured) > 0
    assert "sessions" not in secured.run(f"ls {parts}", check=False).stdout
    visitor = login(secured)
    assert logged_in(visitor), "on a second page"
    assert visitor.cookies["chamilo2"] in secured.run(f"ls {directory}").stdout
    (line,) = secured.http(f"https://{secured.domain}/", headers={"Cookie": f"chamilo2={CHOSEN}"}).values("Set-Cookie")
    assert CHOSEN not in line, "Symfony checks itself whether it knows the number"
    assert apply(playbook, secured) == 0


# What PHP takes for the name of the cookie, and places it can stand in.
SPELLINGS = [
    "ch_remember_me={0}",
    "ch.remember.me={0}",
    "ch remember_me={0}",
    "x=1;   ch[remember_me={0}; y=2",
    "; ".join(["ch_remember_me={0}"] * 5),
]


def remembered(host: Host, cookie: str) -> bool:
    return b'"isAuthenticated":true' in browser(host).get("/check-session", Cookie=cookie).body


def kept(visitor: Browser) -> str:
    return visitor.cookies["ch_remember_me"]


@pytest.mark.long
def test_remember_me_has_no_effect_when_it_is_off(secured: Host, playbook: Playbook) -> None:
    for spelling in SPELLINGS[:4]:
        assert remembered(secured, spelling.format(kept(login(secured, _remember_me=True)))), f"before: {spelling}"
    old = kept(login(secured, _remember_me=True))
    # By this name it could be another host's database: it is asked by TCP, with the portal's own account.
    secured.run(["sed", "-i", f"s/^DATABASE_HOST=.*/DATABASE_HOST='{secured.domain}'/", "/var/www/chamilo/.env"])
    assert remembered(secured, f"ch_remember_me={old}"), "before"
    old = kept(login(secured, _remember_me=True))
    assert apply(playbook, secured, chamilo_sessions_remember_me=False) > 0
    count = "mariadb -N -e 'SELECT COUNT(*) FROM chamilo.validation_token WHERE type = 3'"
    assert secured.run(count).stdout.strip() == "0"
    assert not remembered(secured, f"ch_remember_me={old}")
    # One that is good, but for the web server.
    visitor = login(secured, _remember_me=True)
    assert [one for one in SPELLINGS if remembered(secured, one.format(kept(visitor)))] == []
    assert logged_in(visitor), "the other cookies of the same request arrive"
    assert secured.run(count).stdout.strip() == "1", "and the token was not used up"
    assert apply(playbook, secured, chamilo_sessions_remember_me=False) == 1, (
        "it is forgotten, and nothing else is done"
    )
    assert apply(playbook, secured, chamilo_sessions_remember_me=False) == 0
    assert not missing_from_the_portal(secured, "https")
    assert apply(playbook, secured) > 0
    assert remembered(secured, f"ch_remember_me={kept(login(secured, _remember_me=True))}"), "on again"


@pytest.mark.long
def test_the_attack_with_a_kept_cookie_is_rejected_by_this_section_alone(secured: Host, playbook: Playbook) -> None:
    assert attack(secured, ["sessions_remember_me"])["sessions_remember_me"].status == "fail"
    # The level with the extras does not cover this one, whose own variable stays as it is.
    assert apply(playbook, secured, chamilo_level="consider") > 0
    assert attack(secured, ["sessions_remember_me"])["sessions_remember_me"].status == "pass"
    output = secured.run("chamilo-hardening undo sessions --yes").stdout
    assert "do not come back: those people log in once more" in output
    assert attack(secured, ["sessions_remember_me"])["sessions_remember_me"].status == "fail"


@pytest.mark.long
def test_a_file_of_the_administrator_stays_and_is_overruled(secured: Host, playbook: Playbook) -> None:
    own = "framework:\n    session:\n        gc_maxlifetime: 999999\n        name: chamilo2\n"
    path = "/var/www/chamilo/config/packages/prod/framework.yaml"
    secured.put(path, own)
    apply(playbook, secured, chamilo_sessions_lifetime=1800)
    assert secured.get(path) == own
    compiled = secured.run("cat /var/www/chamilo/var/cache/prod/Container*/*Container.php").stdout
    assert "'gc_maxlifetime' => 1800" in compiled


def as_a_module(host: Host) -> None:
    """PHP inside Apache instead of beside it, as many an older host has it."""
    host.run("apt-get -q -y --no-install-recommends install libapache2-mod-php")
    host.run(
        "a2dismod -q mpm_event 2>/dev/null;"
        " a2enmod -q mpm_prefork $(ls /etc/apache2/mods-available | grep -o '^php[0-9.]*[0-9]')"
    )
    host.run("systemctl disable --now 'php*-fpm.service'; systemctl restart apache2")
    assert host.wait(f"http://{host.domain}/login").status == 200


@pytest.mark.long
@pytest.mark.cells("trixie-apache")
def test_php_inside_apache_is_reported_the_same(fresh: Host, playbook: Playbook) -> None:
    host = fresh
    as_a_module(host)
    (line,) = host.http(f"http://{host.domain}{SCRIPT}").values("Set-Cookie")
    assert "samesite=lax" not in flags(line), "before"
    apply(playbook, host, chamilo_sessions_lifetime=60)
    for path in ("/", SCRIPT, f"{SCRIPT}?session_id={CHOSEN}"):
        (line,) = host.http(f"https://{host.domain}{path}").values("Set-Cookie")
        assert {"secure", "httponly", "samesite=lax"} <= flags(line), f"{path}: {line}"
        assert CHOSEN not in line
    (line,) = host.http(f"https://{host.domain}/", headers={"Cookie": f"chamilo2={CHOSEN}"}).values("Set-Cookie")
    assert CHOSEN not in line
    visitor = login(host)
    assert apply(playbook, host, chamilo_sessions_lifetime=60) == 0
    assert not missing_from_the_portal(host, "https")
    ask = "PHP_INI_SCAN_DIR=$d/conf.d php -c $d/php.ini -r 'echo ini_get(\"session.gc_maxlifetime\"), PHP_EOL;'"
    assert set(host.run(f"for d in /etc/php/*/*; do test ! -e $d/php.ini || {ask}; done").stdout.split()) == {"60"}
    time.sleep(65)
    host.run("systemctl start phpsessionclean.service")
    assert not logged_in(visitor), "65 seconds without a visit, and 60 are allowed"
    host.run("chamilo-hardening undo sessions --yes")
    (line,) = host.http(f"https://{host.domain}{SCRIPT}").values("Set-Cookie")
    assert "samesite=lax" not in flags(line)


@pytest.mark.long
def test_a_reload_of_php_kills_no_request(secured: Host) -> None:
    answers: list[int] = []

    def ask() -> None:
        answers.append(secured.http(f"https://{secured.domain}/_testbed/slow?seconds=3", timeout=20).status)

    visitors = [threading.Thread(target=ask) for _visitor in range(3)]
    for visitor in visitors:
        visitor.start()
    time.sleep(1)
    secured.run("systemctl reload 'php*-fpm.service'")
    for visitor in visitors:
        visitor.join()
    assert answers == [200, 200, 200]


def test_undo_restores_what_was_there(secured: Host) -> None:
    secured.run("chamilo-hardening undo sessions --yes")
    (line,) = secured.http(f"https://{secured.domain}{SCRIPT}").values("Set-Cookie")
    assert "samesite=lax" not in flags(line)
    assert "*:09,39:00" in secured.run("systemctl show phpsessionclean.timer -p TimersCalendar --value").stdout
    assert not missing_from_the_portal(secured, "https")


@pytest.mark.long
@pytest.mark.wire
def test_without_https_people_log_in_by_plain_http(secured: Host, playbook: Playbook) -> None:
    def logs_in() -> bool:
        visitor = Browser(f"http://{secured.domain}", secured.address)
        visitor.post_json("/login_json", username="student01", password=PASSWORDS["student01"])
        return logged_in(visitor)

    assert "by plain http" in secured.run("chamilo-hardening undo https --yes").stdout
    assert logs_in()
    apply(playbook, secured, chamilo_https_hsts="off")
    assert login(secured) and not logs_in()
    playbook.harden(secured, "--tags", "https", chamilo_https_state="absent")
    assert logs_in()
    # What the section writes for plain http stays.
    playbook.harden(secured, "--tags", "https,sessions", chamilo_https_state="absent")
    assert playbook.harden(secured, "--tags", "https", chamilo_https_state="absent") == 0
    assert logs_in() and "sessions:" in secured.run("chamilo-hardening status").stdout


def test_a_value_that_cannot_work_is_refused_by_name(fresh: Host, playbook: Playbook) -> None:
    with pytest.raises(PlayError, match="Invalid value for chamilo_sessions_lifetime: 5. Valid: a number from 60"):
        apply(playbook, fresh, chamilo_sessions_lifetime=5)
