# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the lifetime and the cookies of sessions are configured, and where they are left alone."""

from __future__ import annotations

import urllib.parse
from typing import Any

import pytest
from ansible.errors import AnsibleError

from tests.tools.plans import discovered, planned, waived

PHP = {"version": "8.4", "sapi": "fpm", "service": "php8.4-fpm", "user": "www-data", "group": "www-data"}


def portal(host: Any, vhost: str = "https") -> dict[str, Any]:
    host.install("nginx")
    host.chamilo()
    host.testbed_site("nginx", vhost)
    found = discovered(host, systemd=True, php_folders=["/etc/php/8.4/cli", "/etc/php/8.4/fpm"])
    return {**found, "php": {**found["php"], **PHP}}


def text(plan: dict[str, Any], transaction: str, name: str) -> str:
    return "".join(file.get("content", "") for file in plan[transaction]["files"] if name in file["path"])


@pytest.mark.parametrize("handler", ["null", "'redis://10.0.0.5'"])
def test_cookies_are_dropped_only_where_php_keeps_the_sessions(host, handler):
    host.install("nginx")
    host.chamilo()
    host.write("/var/www/chamilo/config/packages/framework.yaml", f"framework:\n session:\n  handler_id: {handler}\n")
    host.write("/etc/php/8.4/fpm/php.ini")
    host.write("/etc/php/8.4/fpm/pool.d/www.conf", "[www]\nuser = www-data\nlisten = /run/php/php8.4-fpm.sock\n")
    host.testbed_site("nginx", "plain")
    found = [file["path"] for file in planned(host, "sessions")["php"]["files"]]
    parts = [path for path in found if path.startswith("/usr/local/share/chamilo-hardening/prepend.d/sessions")]
    assert [path.rsplit("/", 1)[1] for path in parts] == ["sessions.php", "sessions-campus_test"] * (handler == "null")
    assert "/etc/php/8.4/fpm/conf.d/91-chamilo-campus_test-sessions.ini" in found


def test_a_php_that_was_not_found_is_reported(host):
    site = portal(host)
    site = {**site, "php": {**site["php"], "user": ""}, "problems": ["There is no pool."]}
    with pytest.raises(AnsibleError, match=r"The PHP that serves campus\.test was not found.*There is no pool\."):
        planned(host, "sessions", __chamilo_common_info={"site": site})


@pytest.mark.parametrize(("vhost", "secure"), [("plain", False), ("https", True)])
def test_a_secure_cookie_goes_to_a_portal_that_is_reached_by_https(host, vhost, secure):
    plan = planned(host, "sessions", __chamilo_common_info={"site": portal(host, vhost)})
    assert ("session.cookie_secure = 1" in text(plan, "php", "91-chamilo-campus_test")) is secure
    assert ("cookie_secure: true" in text(plan, "application", "zz_chamilo_hardening")) is secure
    assert "session.cookie_samesite = Lax" in text(plan, "php", "91-chamilo-campus_test")


OFFICE = {"partner": "onlyoffice", "origin": "https://docs.example"}
PLATFORM = {"partner": "lti", "direction": "embeds", "origin": "https://lms.school.example"}
FRAMED = {"chamilo_integrations": [PLATFORM, OFFICE]}
SETTING = "security.security_session_cookie_samesite_none"


@pytest.mark.parametrize(
    ("given", "vhost", "flag"),
    [
        (FRAMED, "https", '"None"'),  # a bare None is no value to PHP
        ({"chamilo_integrations": [{"partner": "proctoring", "origin": "https://exams.example"}]}, "https", '"None"'),
        (
            {"chamilo_integrations": [{**PLATFORM, "direction": "embedded"}]},
            "https",
            '"None"',
        ),  # a deep link comes back
        ({"chamilo_integrations": [OFFICE]}, "https", "Lax"),
        (FRAMED, "plain", "Lax"),  # no browser takes None without Secure
    ],
)
def test_a_declared_site_has_the_cookie_in_its_frame(host, given, vhost, flag):
    plan = planned(host, "sessions", __chamilo_common_info={"site": portal(host, vhost)}, **given)
    assert f"session.cookie_samesite = {flag}\n" in text(plan, "php", "91-chamilo-campus_test")
    assert "cookie_samesite: lax" in text(plan, "application", "zz_chamilo_hardening"), "its own setting overrules it"
    settings = plan["settings"] and (plan["settings"]["settings"], plan["settings"]["state"])
    assert settings == (({SETTING: True}, "present") if "None" in flag else None)


def test_the_setting_is_reset_when_no_site_is_declared_any_more(host):
    info = {"site": portal(host), "settings_kept": ["sessions:campus_test"]}
    plan = planned(host, "sessions", __chamilo_common_info=info)
    assert (plan["settings"]["settings"], plan["settings"]["state"]) == ({}, "absent")
    without_client = {**info["site"], "database": {**info["site"]["database"], "client": ""}}
    assert planned(host, "sessions", __chamilo_common_info={**info, "site": without_client})["packages"] == [
        "python3-pymysql"
    ]


def test_with_a_waived_lifetime_the_cleaner_stays_as_it_is(host):
    info = {"site": portal(host)}
    plan = planned(host, "sessions", __chamilo_common_info=info)
    assert plan["application"]["load"] == {"service": "phpsessionclean.timer", "action": "restart"}
    assert "gc_maxlifetime = 3600" in text(plan, "php", "90-chamilo-hardening-sessions")
    plan = planned(host, "sessions", __chamilo_common_info=info, chamilo_waivers=waived("sessions_lifetime"))
    assert "load" not in plan["application"] and "gc_maxlifetime" not in str(plan)


@pytest.mark.parametrize("server", ["nginx", "apache"])
@pytest.mark.parametrize(
    ("given", "forget"),
    [
        ({}, False),
        ({"chamilo_level": "consider"}, True),
        ({"chamilo_sessions_remember_me": False}, True),
        ({"chamilo_sessions_remember_me": "false"}, True),  # as -e gives it
        ({"chamilo_sessions_remember_me": False, "chamilo_waivers": waived("sessions_remember_me")}, False),
    ],
)
def test_remember_me_is_dropped_where_that_is_asked_for(host, server, given, forget):
    site = portal(host)
    site = {**site, "web": {**site["web"], "name": server}}
    plan = planned(host, "sessions", __chamilo_common_info={"site": site}, **given)
    assert (plan["forget"] is not None, plan["web"] is not None, plan["packages"] != []) == (forget, forget, forget)
    if forget:
        paths = [file["path"] for file in plan["web"]["files"]]
        assert any(path.endswith("/php/sessions.conf") for path in paths) is (server == "nginx")
        assert any(path.endswith("/rewrite.load") for path in paths) is (server == "apache")


REDIS = {
    "chamilo_sessions_handler": "redis",
    "chamilo_sessions_redis_host": "redis.internal",
    "chamilo_sessions_redis_password": "p%ss\"w'o;rd&=${x}",
}


def kept(host: Any, **given: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The plan with sessions in Redis, and the file that PHP reads it from."""
    site = {**portal(host), "sessions_in_php": True, "missing_packages": ["php8.4-redis"]}
    plan = planned(host, "sessions", __chamilo_common_info={"site": site}, **{**REDIS, **given})
    return plan, next(file for file in plan["php"]["files"] if "91-chamilo-campus_test" in file["path"])


def test_sessions_of_all_nodes_go_to_redis(host):
    plan, file = kept(host)
    assert plan["packages"] == ["php8.4-redis"]
    assert (file["mode"], "content" in file) == ("0600", False), "root alone reads it, and no output shows it"
    lines = [line for line in file["secret_content"].splitlines() if line.startswith("session.save_")]
    assert lines[0] == "session.save_handler = redis"
    place = lines[1].removeprefix('session.save_path = "').removesuffix('"')
    assert not set(place) & set("\"'\\${};") and place.startswith("tls://redis.internal:6379?auth[user]=chamilo&")
    words = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(place).query))
    assert (words["auth[pass]"], words["prefix"]) == (REDIS["chamilo_sessions_redis_password"], "chamilo-campus_test:")
    assert [probe["url"] for probe in plan["php"]["probe"]] == ["https://campus.test/", "https://campus.test/login"]


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"chamilo_sessions_redis_host": "127.0.0.1"}, "tcp://127.0.0.1:6379?"),
        ({"chamilo_sessions_redis_host": "::1", "chamilo_sessions_redis_port": 7000}, "tcp://[::1]:7000?"),
        ({"chamilo_sessions_redis_host": "10.0.0.5"}, "tls://10.0.0.5:6379?"),
        ({"chamilo_sessions_redis_ca_file": "/etc/ssl/a b.pem"}, "&stream[cafile]=%2Fetc%2Fssl%2Fa%20b.pem"),
    ],
)
def test_nothing_but_this_host_is_asked_in_plain_text(host, given, place):
    assert place in kept(host, **given)[1]["secret_content"]


@pytest.mark.parametrize("wrong", [{"sessions_in_php": False}, {"php": {**PHP, "sapi": "mod_php"}}])
def test_an_application_that_would_not_use_redis_is_refused(host, wrong):
    site = {**portal(host), "sessions_in_php": True, **wrong}
    with pytest.raises(AnsibleError, match=r"campus\.test: sessions cannot go to Redis\. That takes PHP-FPM"):
        planned(host, "sessions", __chamilo_common_info={"site": site}, **REDIS)
