# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import re
import shutil

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import DatabaseError
from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Unseen
from ansible_collections.chamilo.hardening.plugins.module_utils._audit import sessions
from ansible_collections.chamilo.hardening.plugins.module_utils._host.processes import Job
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php_ini import Setting
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import (
    Listen,
    VirtualHost,
    WebServer,
)

FLAGS = "; path=/; secure; HttpOnly; SameSite=lax"
NUMBER = "317541b6161e81623ab87ea25ea02428"


def setting(*cookies):
    return lambda endpoint, path, request: (200, {"Set-Cookie": list(cookies)}, b"")


def inspect(look_at, server, **more):
    it = look_at(server, root="/srv/campus", **more)
    it._known[sessions.symfony] = {"name": "chamilo2"}
    return it


CHECKS = {
    "secure": sessions.secure,
    "HttpOnly": sessions.http_only,
    "SameSite": sessions.same_site,
}


@pytest.mark.parametrize("name", CHECKS)
def test_all_flags(look_at, name):
    finding = CHECKS[name](inspect(look_at, setting(f"chamilo2={NUMBER}{FLAGS}")))
    assert finding.status == "pass"
    assert NUMBER not in finding.evidence


@pytest.mark.parametrize("name", CHECKS)
def test_a_flag_that_is_missing(look_at, name):
    flags = ";".join(flag for flag in FLAGS.split(";") if not flag.strip().lower().startswith(name.lower()))
    finding = CHECKS[name](inspect(look_at, setting(f"chamilo2={NUMBER}{flags}")))
    assert finding.status == "fail"
    assert "chamilo2" in finding.evidence
    assert NUMBER not in finding.evidence


@pytest.mark.parametrize(
    ("kind", "flags", "status", "words"),
    [
        ("lti", "; SameSite=None; Secure", "pass", "Forms of any site reach the session"),
        ("proctoring", "; SameSite=None; Secure", "pass", "https://lms.example"),
        ("lti", "; SameSite=None", "fail", "without Secure"),
        ("lti", "", "fail", "not said"),
        ("lti", "; SameSite=Lax", "pass", "SameSite is Lax"),
        ("onlyoffice", "; SameSite=None; Secure", "fail", "instead of Lax"),
    ],
)
def test_samesite_none_is_declared_by_who_frames_the_portal(look_at, kind, flags, status, words):
    declared = {"integrations": [{"partner": kind, "origin": "https://lms.example"}]}
    finding = sessions.same_site(inspect(look_at, setting(f"chamilo2={NUMBER}{flags}"), options=declared))
    assert finding.status == status and words in finding.evidence


def test_each_wrong_samesite_is_named(look_at):
    cookies = setting("chamilo2=1; SameSite=None; Secure", "PHPSESSID=2", "PHPSESSID=3; SameSite=None")
    assert (
        "SameSite is None or not said instead of Lax: chamilo2 at "
        in sessions.same_site(inspect(look_at, cookies)).evidence
    )


def test_secure_is_asked_of_every_cookie_and_the_others_of_the_session_alone(look_at):
    it = inspect(look_at, setting(f"chamilo2={NUMBER}{FLAGS}", "language=en; path=/"))
    assert sessions.secure(it).status == "fail"
    assert sessions.http_only(it).status == "pass"
    assert sessions.same_site(it).status == "pass"


def test_plain_http_keeps_no_cookie_safe(look_at):
    host = VirtualHost("f", 1, ("campus.test",), (Listen("*", 80, tls=False),), "/srv/campus/public")
    finding = sessions.secure(inspect(look_at, setting(f"chamilo2={NUMBER}{FLAGS}"), hosts=(host,)))
    assert finding.status == "fail"
    assert "plain http" in finding.evidence


def test_a_site_without_a_cookie_is_not_assessed(look_at):
    for function in (*CHECKS.values(), sessions.strict):
        with pytest.raises(Unseen, match="no page without a login sets a cookie"):
            function(inspect(look_at, setting()))


# -------------------------------------------------------------------------------------------------------- strict


def starting(takes_cookie=False, takes_address=False):
    """A site that starts a session on each page, and the numbers it takes from a visitor."""

    def answer(endpoint, path, request):
        cookie = request["headers"].get("Cookie", "")
        chosen = re.search(r"chamilo2=(\w+)", cookie if takes_cookie else "")
        if chosen:
            return 200, {}, b""  # the visitor has that number already
        chosen = re.search(r"\?chamilo2=(\w+)", path if takes_address else "")
        return 200, {"Set-Cookie": f"chamilo2={chosen[1] if chosen else NUMBER}{FLAGS}"}, b""

    return answer


def test_no_visitor_chooses_a_session_number(look_at):
    it = inspect(look_at, starting())
    assert sessions.strict(it).status == "pass"
    assert len(it.asked) == 4


KEPT = "tls://10.0.0.5:6380?auth[user]=a&auth[pass]=canary&stream[cafile]=%2Fa%20b.pem, tcp://[::1]:6379?prefix=x"


@pytest.mark.parametrize(
    ("php", "application", "found"),
    [
        ({"session.save_handler": "redis", "session.save_path": KEPT}, "", ["10.0.0.5:6380", "::1:6379"]),
        ({"session.save_handler": "files", "session.save_path": "/var/lib/php/sessions"}, "null", []),
        (
            {"session.save_handler": "redis", "session.save_path": KEPT},
            "rediss://:canary@redis.test",
            ["redis.test:6379"],
        ),
        ({}, "redis://%env(REDIS)%", []),
        ({}, "file:///srv/sessions", []),
    ],
)
def test_a_redis_that_answers_any_client_fails(look_at, monkeypatch, php, application, found):
    def asked(open_to_all):
        it = inspect(look_at, starting())
        it.php = {name: Setting(text, "") for name, text in php.items()}
        it._known[sessions.symfony] = {"name": "chamilo2", "handler_id": application}
        seen = []
        monkeypatch.setattr(sessions.redis, "is_open", lambda store: seen.append(store) or open_to_all)
        finding = sessions.strict(it)
        assert "canary" not in finding.evidence
        return finding, seen

    finding, seen = asked(False)
    assert (finding.status, [str(store) for store in seen]) == ("pass", found)
    assert [store.tls for store in seen] == [True, False][: len(found)]
    assert not seen or seen[0].ca_file == ("/a b.pem" if len(found) > 1 else "")
    assert asked(True)[0].status == ("fail" if found else "pass")


def test_a_page_that_fails_reports_nothing_of_its_session_numbers(look_at):
    def fails(endpoint, path, request):
        return (500, {}, b"") if "Cookie" in request["headers"] else starting()(endpoint, path, request)

    with pytest.raises(Unseen, match="answers 500"):
        sessions.strict(inspect(look_at, fails))


def test_a_redis_that_is_away_is_not_assessed(look_at):
    it = inspect(look_at, starting())
    it.php = {}
    it._known[sessions.symfony] = {"handler_id": "redis://127.0.0.1:1"}
    with pytest.raises(Unseen, match=r"whether Redis at 127\.0\.0\.1:1 answers clients without a password: "):
        sessions.strict(it)


@pytest.mark.parametrize(
    ("server", "words"),
    [(starting(takes_cookie=True), "use_strict_mode"), (starting(takes_address=True), "use_only_cookies")],
)
def test_a_number_of_the_visitors_choice(look_at, server, words):
    finding = sessions.strict(inspect(look_at, server))
    assert finding.status == "fail"
    assert words in finding.evidence


# --------------------------------------------------------------------------------------------------- remember me


class Tokens:
    def __init__(self, kept):
        self.kept = kept

    def query(self, sql, params=()):
        assert params == [3]
        if self.kept is None:
            raise DatabaseError("db.test is away.")
        return [{"kept": str(self.kept)}]


@pytest.mark.parametrize(("kept", "words"), [(14, "14 people"), (0, "Nothing removes the cookie")])
def test_remember_me(look_at, kept, words):
    it = inspect(look_at, setting())
    it.database = Tokens(kept)
    finding = sessions.remember_me(it)
    assert finding.status == "fail"
    assert words in finding.evidence


NGINX = "server {\n listen 80;\n server_name campus.test;\n location ~ php {\n  %s\n  fastcgi_pass unix:/x;\n }\n}\n"
APACHE = "<VirtualHost *:80>\nServerName campus.test\n%s\n</VirtualHost>\n"


@pytest.mark.parametrize(
    ("web", "text", "line", "taken"),
    [
        ("nginx", NGINX, "fastcgi_param HTTP_COOKIE $chamilo_cookie;", True),
        ("nginx", NGINX, "fastcgi_param HTTP_COOKIE $http_cookie;", False),
        ("nginx", NGINX, "fastcgi_param HTTP_PROXY '';", False),
        ("apache", APACHE, 'RequestHeader edit* Cookie "ch_remember_me=[^;]*" ""', True),
        ("apache", APACHE, 'RequestHeader edit* Cookie "basket=[^;]*" ""', False),
        ("apache", APACHE, "RequestHeader unset Proxy", False),
    ],
)
def test_the_web_server_may_take_the_cookie_away(look_at, host, monkeypatch, web, text, line, taken):
    host.install(web)
    host.site(web, text % line)
    monkeypatch.setattr(sessions, "Tree", lambda: host.tree)
    it = inspect(look_at, setting(), web=WebServer(web))
    it.database = Tokens(1)
    assert sessions.remember_me(it).status == ("pass" if taken else "fail")


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (0, None),
        (14, " 14 are stored for it nevertheless."),
        (None, "stored for it nevertheless was not seen: db.test"),
    ],
)
def test_stored_logins_are_reported_even_where_the_cookie_is_taken_away(look_at, kept, words):
    it = inspect(look_at, setting())
    it._known[sessions.taken_away] = True
    it.database = Tokens(kept)
    finding = sessions.remember_me(it)
    assert finding.status == "pass"
    assert words in finding.evidence if words else finding.evidence.endswith("logs no user in.")


# ------------------------------------------------------------------------------------------------------ lifetime

EVERY_HALF_HOUR = Job("phpsessionclean.timer", "/usr/lib/php/sessionclean")


@pytest.fixture
def idle(tree_look, tmp_path, monkeypatch, web_user):
    directory = tmp_path / "sessions"
    directory.mkdir()

    def make(
        php=None, application=None, faces=None, found=(EVERY_HALF_HOUR,), pause=1800.0, oldest=60, root=True, **options
    ):
        faces = {"fpm": "1440", "cli": "1440"} if faces is None else faces
        known = {
            face: {"session.save_path": Setting(str(directory), ""), "session.gc_maxlifetime": Setting(seconds, "")}
            for face, seconds in faces.items()
        }
        monkeypatch.setattr(sessions, "faces", lambda _tree: [("8.4", face) for face in faces])
        monkeypatch.setattr(sessions, "of_face", lambda _tree, _version, face: known[face])
        monkeypatch.setattr(sessions, "longest_pause", lambda job: pause)
        it = tree_look(options=options)
        it.as_root = root
        it.php = {"session.save_path": Setting(str(directory), ""), **(php or {})}
        it._known[sessions.symfony] = application or {}
        it.jobs = found
        session = directory / "sess_abc"
        session.touch()
        shutil.chown(session, web_user)
        os.utime(session, (it.now - oldest, it.now - oldest))
        return sessions.lifetime(it)

    return make


def test_an_idle_session_ends_soon_enough(idle):
    assert "54 minutes at worst" in idle().evidence
    assert idle().status == idle(faces={"fpm": "3600"}, pause=300.0).status == "pass"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"faces": {"fpm": "3600"}}, "90 minutes at worst; desired: 60 minutes"),
        ({"faces": {"fpm": "1440", "cli": "86400"}}, "/etc/php/8.4/cli"),  # the longest of all faces counts
        ({"found": ()}, "No active timer"),
        ({"faces": {}}, "the directory of no php.ini"),
        ({"oldest": 4000}, "A session that was not used for 67 minutes is still kept"),
        ({"oldest": 3000, "sessions_lifetime": 1800}, "desired: 30 minutes"),
        ({"application": {"save_path": "/var/elsewhere"}}, "/var/elsewhere: it is the directory of no php.ini"),
    ],
)
def test_an_idle_session_lives_too_long(idle, changes, words):
    finding = idle(**changes)
    assert finding.status == "fail"
    assert words in finding.evidence


@pytest.mark.parametrize(
    ("handler", "seconds", "status"),
    [
        ("redis://10.0.0.5", "86400", "fail"),
        ("redis://10.0.0.5", "3600", "pass"),
        ("redis://:s3cret@10.0.0.5/1?timeout=5&ttl=1800", "86400", "pass"),
        ("mysql://chamilo:p%%40ss@db.test/sessions?ttl=86400", "3600", "fail"),
        ("rediss://10.0.0.5", "", "pass"),
    ],
)
def test_sessions_that_symfony_keeps_elsewhere(idle, handler, seconds, status):
    finding = idle(application={"handler_id": handler, "gc_maxlifetime": seconds}, faces={}, found=())
    assert finding.status == status
    assert f"kept by {handler.partition(':')[0]} and forgotten after" in finding.evidence
    assert "s3cret" not in finding.evidence


@pytest.mark.parametrize(
    "handler",
    [
        "App\\Session\\Handler",
        "%env(SESSION_DSN)%",
        "redis://:s3cret@%env(REDIS)%",
        "file://%kernel.x%/y",
        "file://var/sessions",
    ],
)
def test_sessions_of_unknown_lifetime_are_not_assessed(idle, handler):
    with pytest.raises(Unseen, match="handler_id") as problem:
        idle(application={"handler_id": handler})
    assert "s3cret" not in str(problem.value)


@pytest.mark.parametrize("handler", ["null", "NULL", "~", "", "session.handler.native_file", "file://"])
def test_phps_own_files_need_a_cleaner(idle, handler):
    assert idle(application={"handler_id": handler}).status == "pass"
    assert "No active timer" in idle(application={"handler_id": handler}, found=()).evidence


def test_files_that_symfony_puts_elsewhere_need_a_cleaner(idle):
    finding = idle(application={"handler_id": "file:///srv/sessions"})
    assert finding.status == "fail"
    assert "Old sessions are not cleaned up in /srv/sessions" in finding.evidence


def test_without_root_old_sessions_cannot_be_seen(idle):
    with pytest.raises(Unseen, match="needs root"):
        idle(root=False)
    assert idle(root=False, faces={"fpm": "86400"}).status == "fail"


def test_what_is_no_session_of_this_site_is_not_its_oldest(idle, tmp_path, web_user):
    """Debian keeps those of all sites in one directory."""
    for name, owner in (("other_abc", web_user), ("sess_of_root", "root")):
        (tmp_path / "sessions" / name).touch()
        shutil.chown(tmp_path / "sessions" / name, owner)
        os.utime(tmp_path / "sessions" / name, (0, 0))
    assert idle().status == "pass"
    (tmp_path / "sessions/sess_old").touch()
    shutil.chown(tmp_path / "sessions/sess_old", web_user)
    os.utime(tmp_path / "sessions/sess_old", (0, 0))
    assert "is still kept" in idle().evidence
