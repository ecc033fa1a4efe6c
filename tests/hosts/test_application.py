"""The application behaves as Chamilo 2 is known to: its faults too, for the collection works around them."""

from __future__ import annotations

import base64
import json
import os
import re
import time
from collections.abc import Iterator

import pytest

from tests.hosts.conftest import Cell
from tests.testbed import hosts
from tests.testbed.app.selfcheck import Answer, Browser, check
from tests.testbed.hosts import Host

# Of the testbed alone: what else runs on it would notice, too.
pytestmark = pytest.mark.long

ROOT = "/var/www/chamilo"
LOG = f"{ROOT}/var/log/ids/ids.log"
STUDENT = "student-Password-1!"
# Seconds after which PHP checks a file again that it has compiled. It counts whole ones: more than two are three.
OPCACHE = 3.1


class Site:
    """The application on a host, with what tests change on it."""

    def __init__(self, host: Host) -> None:
        self.host = host

    @property
    def base(self) -> str:
        return f"http://{self.host.domain}"

    def browser(self) -> Browser:
        return Browser(self.base, self.host.address)

    def query(self, statement: str) -> str:
        words = ["mariadb", "--batch", "--skip-column-names", "chamilo", "-e", statement]
        return self.host.run(words).stdout.strip()

    def set(self, category: str, variable: str, value: str) -> None:
        where = f"category = '{category}' AND variable = '{variable}' AND access_url = 1"
        assert self.query(f"SELECT COUNT(*) FROM settings WHERE {where}") == "1"
        self.query(f"UPDATE settings SET selected_value = '{value}' WHERE {where}")

    def console(self, *words: str) -> str:
        return self.host.run(["php", f"{ROOT}/bin/console", *words], user="www-data").stdout

    def environment(self, **values: str) -> None:
        text = "".join(f"{name}='{value}'\n" for name, value in values.items())
        self.host.put(f"{ROOT}/.env.local", text, owner="www-data:www-data")

    def production(self) -> None:
        self.environment(APP_ENV="prod", APP_DEBUG="0")
        self.console("cache:clear")
        time.sleep(OPCACHE)

    def login(self, username: str, password: str = "wrong", **headers: str) -> Answer:
        body = json.dumps({"username": username, "password": password}).encode()
        return self.browser().request("POST", "/login_json", body, {"Content-Type": "application/json", **headers})

    def reset(self) -> None:
        schema = (hosts.ROOT / "tests/testbed/app/schema.sql").read_text()
        self.host.run(["mariadb", "chamilo"], data=f"SET @portal = '{self.base}/';\n{schema}")
        self.host.run(
            f"cd {ROOT} && rm -rf .env.local config/settings_overrides.yaml config/packages/prod/framework.yaml "
            "config/packages/prod/monolog.yaml var/log/* var/cache/*/pools var/cache/prod"
        )


@pytest.fixture(scope="module")
def own(cell: Cell) -> Iterator[Site]:
    network = f"chamilo-application-{os.getpid()}-{cell}"
    yield Site(hosts.up("application", cell.release, cell.web, vhost="two-names", network=network))
    hosts.down(network)


@pytest.fixture
def site(own: Site) -> Site:
    own.reset()
    return own


def failed(site: Site) -> list[tuple[str, str]]:
    return [(name, detail) for name, ok, detail in check(site.base, site.host.address) if not ok]


def test_everything_works_in_development(site: Site) -> None:
    assert failed(site) == []


def test_everything_works_in_production(site: Site) -> None:
    site.production()
    assert failed(site) == []


def test_everything_works_with_captcha(site: Site) -> None:
    site.set("security", "allow_captcha", "true")
    assert failed(site) == []


def test_error_page_shows_details_in_development_only(site: Site) -> None:
    answer = site.browser().get("/_testbed/crash")
    assert (answer.status, b"TestbedController.php" in answer.body) == (500, True)
    site.production()
    answer = site.browser().get("/_testbed/crash")
    assert (answer.status, b"TestbedController" in answer.body) == (500, False)


def test_development_writes_world_writable_logs(site: Site) -> None:
    site.browser().get("/")
    assert site.host.run(["stat", "-c", "%a", f"{ROOT}/var/log/dev.log"]).stdout == "666\n"


class TestLoginLog:
    def test_line(self, site: Site) -> None:
        assert site.login("jdoe").status == 401
        line = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] \[Info\] \[Client [\d.]+\] Login failed for username jdoe\n"
        assert re.fullmatch(line, site.host.get(LOG))
        assert site.query("SELECT username, success FROM track_e_login_record") == "jdoe\t0"

    @pytest.mark.parametrize(("language", "words"), [("fr", "Connexion échouée"), ("es", "Inicio de sesión fallido")])
    def test_language_of_the_visitor(self, site: Site, language: str, words: str) -> None:
        site.login("jdoe", **{"Accept-Language": language})
        assert words in site.host.get(LOG)

    def test_newline_forges_a_line(self, site: Site) -> None:
        forged = "[2026-11-25 09:44:57] [Info] [Client 203.0.113.7] Login failed for username jdoe"
        site.login(f"x\n{forged}")
        assert forged in site.host.get(LOG).splitlines()

    def test_empty_file_breaks_logins(self, site: Site) -> None:
        site.login("jdoe")
        site.host.run(f": >{LOG}")
        assert site.login("jdoe").status == 500
        site.host.run(f"echo >{LOG}")
        assert site.login("jdoe").status == 401

    def test_empty_file_is_harmless_with_the_switch(self, site: Site) -> None:
        site.environment(TESTBED_EMPTY_LOG_BUG="0")
        site.login("jdoe")
        site.host.run(f": >{LOG}")
        assert site.login("jdoe").status == 401

    def test_rotates_by_the_day_of_the_last_line(self, site: Site) -> None:
        site.login("jdoe")
        yesterday = "[2026-01-01 10:00:00] [Info] [Client 192.0.2.1] Login failed for username old\n"
        site.host.put(LOG, yesterday, owner="www-data:www-data")
        site.login("jdoe")
        assert site.host.get(f"{LOG}.1") == yesterday
        assert "jdoe" in site.host.get(LOG)

    def test_words_in_lower_case_with_the_switch(self, site: Site) -> None:
        site.environment(TESTBED_LOG_LOWERCASE="1")
        site.login("jdoe")
        assert "] [info] [client " in site.host.get(LOG)

    def test_success_is_logged_unless_switched_off(self, site: Site) -> None:
        assert site.login("student01", STUDENT).status == 200
        assert "Login succeeded for username student01" in site.host.get(LOG)
        site.environment(TESTBED_LOG_SUCCESS="0")
        assert site.login("student02", STUDENT).status == 200
        assert "student02" not in site.host.get(LOG)


class TestLogin:
    def test_all_three_paths_answer_401(self, site: Site) -> None:
        for path in ("/login_json", "/login/ldap/check", "/api/authentication_token"):
            assert site.browser().post_json(path, username="jdoe", password="wrong").status == 401
        assert len(site.host.get(LOG).splitlines()) == 3

    @pytest.mark.parametrize("username", ["inactive.student", "expired.student"])
    def test_refused_account_answers_403(self, site: Site, username: str) -> None:
        assert site.login(username, STUDENT).status == 403
        assert "failed" not in site.host.get(LOG)

    def test_throttled_answers_401_and_is_counted(self, site: Site) -> None:
        answers = [site.login("student03") for _ in range(6)]
        assert {answer.status for answer in answers} == {401}
        assert b"Too many failed" in answers[-1].body
        assert site.login("student03", STUDENT).status == 401
        assert site.query("SELECT COUNT(*) FROM track_e_login_record WHERE success = 0") == "7"

    def test_lock_is_permanent(self, site: Site) -> None:
        site.set("security", "login_max_attempt_before_blocking_account", "3")
        for _ in range(3):
            assert site.login("student04").status == 401
        assert site.login("student04", STUDENT).status == 403
        assert site.query("SELECT active FROM user WHERE username = 'student04'") == "0"

    def test_window_of_the_lock_is_a_switch(self, site: Site) -> None:
        site.set("security", "login_max_attempt_before_blocking_account", "3")
        site.environment(TESTBED_LOCK_WINDOW="1")
        for _ in range(3):
            site.login("student04")
            time.sleep(1.1)
        assert site.login("student04", STUDENT).status == 200

    def test_captcha(self, site: Site) -> None:
        site.set("security", "allow_captcha", "true")
        site.set("security", "captcha_number_mistakes_to_block_account", "2")
        assert [site.login("student05", STUDENT).status for _ in range(3)] == [401, 401, 429]
        assert site.browser().login("student06", STUDENT).status == 200
        token = site.browser().post_json("/api/authentication_token", username="student05", password=STUDENT)
        assert token.status == 200
        assert "student05" not in site.host.get(LOG).replace("Login succeeded for username student05", "")

    def test_second_factor(self, site: Site) -> None:
        site.set("security", "2fa_enable", "true")
        code = site.console("testbed:second-factor", "student07").split()[1]
        assert b"requires2FA" in site.login("student07", STUDENT).body
        wrong = site.browser().post_json("/login_json", username="student07", password=STUDENT, totp="000000")
        right = site.browser().post_json("/login_json", username="student07", password=STUDENT, totp=code)
        assert (wrong.status, right.status) == (401, 200)
        assert "failed" not in site.host.get(LOG)

    def test_remember_me(self, site: Site) -> None:
        # The application trusts a proxy on the host itself; only over https is there such a cookie.
        curl = "curl -s -i -H 'X-Forwarded-Proto: https' -H 'Host: application.test'"
        data = json.dumps({"username": "student08", "password": STUDENT, "_remember_me": True})
        answer = site.host.run(
            f"{curl} -H 'Content-Type: application/json' -d @- 127.0.0.1/login_json", data=data
        ).stdout
        cookie = re.search(r"ch_remember_me=([^;]+);.*Max-Age=1209600;.*secure; httponly; samesite=strict", answer)
        assert cookie
        assert site.query("SELECT type, resource_id FROM validation_token") == "3\t17"
        again = f"{curl} -b 'ch_remember_me={cookie[1]}' 127.0.0.1/check-session"
        first, second = site.host.run(again).stdout, site.host.run(again).stdout
        assert '"isAuthenticated":true' in first and "ch_remember_me=" in first
        assert '"isAuthenticated":false' in second

    def test_public_passphrase_forges_a_token(self, site: Site) -> None:
        parts = [json.dumps(part).encode() for part in ({"alg": "RS256"}, {"username": "admin", "exp": 2**31})]
        body = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts).decode()
        sign = f"openssl dgst -sha256 -sign {ROOT}/config/jwt/private.pem -passin pass:your_secret_passphrase"
        signature = site.host.run(f"{sign} | base64 -w0 | tr +/ -_ | tr -d =", data=body).stdout
        answer = site.browser().get("/api/users", Authorization=f"Bearer {body}.{signature}")
        assert (answer.status, b"student30" in answer.body) == (200, True)


class TestSettings:
    def test_session_keeps_old_values_of_the_main_portal(self, site: Site) -> None:
        visitor = site.browser()
        assert b"<h1>Campus</h1>" in visitor.get("/").body
        site.set("platform", "site_name", "Renamed")
        assert b"<h1>Campus</h1>" in visitor.get("/").body
        assert b"<h1>Renamed</h1>" in site.browser().get("/").body

    def test_row_of_another_category_is_ignored(self, site: Site) -> None:
        site.query(
            "UPDATE settings SET category = 'platform', selected_value = 'true' WHERE variable = 'allow_captcha'"
        )
        assert site.login("student09", STUDENT).status == 200

    def test_second_portal(self, site: Site) -> None:
        second = Browser("http://library.test", site.host.address)
        site.query(
            f"UPDATE access_url SET url = '{site.base}/' WHERE id = 1;"
            "INSERT INTO access_url (id, url, active, created_by) VALUES (2, 'https://library.test/', 1, 1);"
            "INSERT INTO settings (access_url, variable, category, selected_value, title, access_url_changeable)"
            " VALUES (2, 'allow_captcha', 'security', 'true', '', 1)"
        )
        assert b'data-captcha="true"' in second.get("/").body
        assert b'data-captcha="false"' in site.browser().get("/").body
        site.query("UPDATE settings SET access_url_changeable = 0 WHERE access_url = 1 AND variable = 'allow_captcha'")
        assert b'data-captcha="false"' in second.get("/").body

    @pytest.mark.parametrize(("value", "status"), [('"true"', 401), ("true", 200)])
    def test_override_must_be_a_quoted_string(self, site: Site, value: str, status: int) -> None:
        site.production()
        text = f"parameters:\n    settings_overrides:\n        default:\n            security.allow_captcha: {value}\n"
        site.host.put(f"{ROOT}/config/settings_overrides.yaml", text)
        time.sleep(OPCACHE)
        assert site.login("student09", STUDENT).status == 200, "no effect before the cache is cleared"
        site.console("cache:clear", "--env=prod")
        time.sleep(OPCACHE)
        assert site.login("student09", STUDENT).status == status

    def test_form_saves_to_the_database(self, site: Site) -> None:
        admin = site.browser()
        admin.login("admin", "admin-Password-1!")
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert admin.request("POST", "/admin/settings/security", b"check_password=true", form).status == 302
        assert site.query("SELECT selected_value FROM settings WHERE variable = 'check_password'") == "true"


class TestUpload:
    def stored(self, site: Site, name: str) -> object:
        student = site.browser()
        student.login("student10", STUDENT)
        answer = student.upload("/documents/upload", name, b"content")
        return answer.json()["title"] if answer.status == 201 else answer.status

    @pytest.mark.parametrize(
        ("blacklist", "name", "stored"),
        [
            ("", "essay.txt", "essay.txt"),
            ("", "evil.php", "evil.phps"),
            ("", "evil.php.txt", "evil.phps"),
            ("", "evil.pht", "evil.pht"),
            ("", ".htaccess", "htaccess.txt"),
            ("php;phtml", "evil.php", "evil.phps"),
            ("php;phps", "evil.php", 400),
            ("exe", "EVIL.EXE", 400),
            ("exe", "evil.exe.txt", "evil.exe.txt"),
            ("exe", "README", "README"),
        ],
    )
    def test_blacklist(self, site: Site, blacklist: str, name: str, stored: object) -> None:
        site.set("document", "upload_extensions_blacklist", blacklist)
        assert self.stored(site, name) == stored

    def test_replaced_instead_of_refused(self, site: Site) -> None:
        site.set("document", "upload_extensions_blacklist", "exe")
        site.set("document", "upload_extensions_skip", "false")
        assert self.stored(site, "evil.exe") == "evil.REPLACED_dangerous"

    def test_whitelist(self, site: Site) -> None:
        site.query(
            "INSERT INTO settings (access_url, variable, category, selected_value, title, access_url_changeable)"
            " VALUES (1, 'upload_extensions_whitelist', 'document', 'pdf', '', 1)"
        )
        site.set("document", "upload_extensions_list_type", "whitelist")
        assert [self.stored(site, f"x.{kind}") for kind in ("pdf", "png", "txt")] == ["x.pdf", "x.png", 400]

    @pytest.mark.parametrize(("switch", "name"), [("0", "evil.php"), ("1", "evil.phps")])
    def test_legacy_script_and_the_filter(self, site: Site, switch: str, name: str) -> None:
        site.environment(TESTBED_LEGACY_UPLOAD_FILTER=switch)
        student = site.browser()
        student.login("student10", STUDENT)
        boundary = "frontier"
        part = 'Content-Disposition: form-data; name="file"; filename="evil.php"'
        body = f"--{boundary}\r\n{part}\r\n\r\ncontent\r\n--{boundary}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        assert student.request("POST", "/main/upload/upload.php", body, kind).json() == {"stored": name}


class TestPassword:
    def change(self, site: Site, new: str) -> int:
        student = site.browser()
        student.login("student11", STUDENT)
        answer = student.post_json("/account/change-password", current_password=STUDENT, new_password=new)
        if answer.status == 200:
            assert site.login("student11", new).status == 200
            assert b'"isAuthenticated":true' in student.get("/check-session").body
        return answer.status

    def test_no_policy_by_default(self, site: Site) -> None:
        assert self.change(site, "a") == 200

    @pytest.mark.parametrize(("enforced", "status"), [("false", 200), ("true", 400)])
    def test_policy_needs_check_password(self, site: Site, enforced: str, status: int) -> None:
        minimum = {"length": 12, "lowercase": 1, "uppercase": 1, "numeric": 1, "specials": 1}
        site.set("security", "password_requirements", json.dumps({"min": minimum}))
        site.set("security", "check_password", enforced)
        assert self.change(site, "short-Pw-1!") == status

    def test_policy_lets_a_good_one_by(self, site: Site) -> None:
        site.set("security", "check_password", "true")
        assert self.change(site, "long-enough-12") == 200

    def test_rotation(self, site: Site) -> None:
        site.set("security", "password_rotation_days", "10")
        assert site.login("student12", STUDENT).json()["force_password_change"] is True


class TestHeaders:
    def test_application_sends_its_own_headers_when_configured(self, site: Site) -> None:
        assert "X-Frame-Options" not in site.browser().get("/").headers
        site.environment(IDS_SECURITY_HEADERS="true")
        headers = site.browser().get("/").headers
        assert headers.get_all("X-Frame-Options") == ["SAMEORIGIN"]
        assert headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
        assert headers["Permissions-Policy"] == "camera=(), microphone=(), geolocation=(), payment=()"

    def test_legacy_pages_print_settings(self, site: Site) -> None:
        site.set("security", "security_content_policy", "default-src https:")
        page = "/main/auth/lostPassword.php"
        headers = site.browser().get(page).headers
        assert headers["Referrer-Policy"] == "origin-when-cross-origin"
        assert headers["Content-Security-Policy"] == "default-src https:"
        assert "Content-Security-Policy" not in site.browser().get("/").headers
        site.environment(TESTBED_LEGACY_HEADERS="0")
        assert "X-Frame-Options" not in site.browser().get(page).headers

    def test_shipped_default_of_hsts_is_malformed(self, site: Site) -> None:
        site.query("DELETE FROM settings WHERE variable = 'security_strict_transport'")
        header = site.browser().get("/main/auth/lostPassword.php").headers["Strict-Transport-Security"]
        assert header.startswith("strict-transport-security: ")

    def test_session_cookie(self, site: Site) -> None:
        line = site.browser().get("/").headers["Set-Cookie"]
        assert re.fullmatch(r"chamilo2=\w+; path=/; httponly; samesite=lax", line, re.IGNORECASE)

    def test_proxy_on_the_host_is_trusted_others_are_not(self, site: Site) -> None:
        site.environment(TRUSTED_PROXIES="127.0.0.1")  # as it is shipped
        reported = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
        seen = site.browser().get("/_testbed/request", **reported).json()
        assert seen["client_ip"] != "203.0.113.9" and seen["secure"] is False
        curl = "curl -s -H 'Host: application.test' -H 'X-Forwarded-For: 203.0.113.9' 127.0.0.1/_testbed/request"
        assert '"client_ip":"203.0.113.9"' in site.host.run(curl).stdout


class TestDropIns:
    def test_no_log_file_in_production_until_configured(self, site: Site) -> None:
        site.production()
        site.browser().get("/_testbed/crash")
        assert site.host.run(["ls", f"{ROOT}/var/log"]).stdout == ""
        path = "%kernel.logs_dir%/%kernel.environment%.log"
        text = f"monolog:\n    handlers:\n        nested:\n            type: stream\n            path: '{path}'\n"
        site.host.put(f"{ROOT}/config/packages/prod/monolog.yaml", text)
        site.console("cache:clear")
        time.sleep(OPCACHE)
        site.browser().get("/_testbed/crash")
        assert "A page failed on purpose." in site.host.get(f"{ROOT}/var/log/prod.log")

    def test_failed_login_has_no_address_in_the_application_log(self, site: Site) -> None:
        text = "monolog:\n    handlers:\n        all:\n            type: rotating_file\n            level: info\n"
        site.host.put(f"{ROOT}/config/packages/prod/monolog.yaml", text + "            channels: [security]\n")
        site.production()
        site.login("jdoe")
        log = site.host.run(f"cat {ROOT}/var/log/prod-*.log").stdout
        assert "Authenticator failed." in log
        assert site.host.get(LOG).split("Client ")[1].split("]")[0] not in log

    def test_session_cookie(self, site: Site) -> None:
        text = "framework:\n    session:\n        cookie_secure: true\n        cookie_samesite: strict\n"
        site.host.put(f"{ROOT}/config/packages/prod/framework.yaml", text)
        site.production()
        line = site.browser().get("/").headers["Set-Cookie"].lower()
        assert "; secure" in line and "samesite=strict" in line and line.startswith("chamilo2=")


class TestIntrusionDetection:
    LOG = f"{ROOT}/var/log/ids/ids_events.log"

    def test_line(self, site: Site) -> None:
        site.browser().get("/?q=%3Cscript%3E")
        line = (
            r"\[[\d: -]+\] \[XSS\] \[IP [\d.]+\] \[URI /\?q=%3Cscript%3E\] \[PARAM q\] "
            r"Detected XSS pattern in param 'q': <script>\n"
        )
        assert re.fullmatch(line, site.host.get(self.LOG))

    def test_blocks_when_configured(self, site: Site) -> None:
        site.environment(IDS_BLOCK="true")
        assert site.browser().get("/", **{"User-Agent": "sqlmap/1.8"}).status == 400

    @pytest.mark.parametrize(("switch", "seen"), [("1", True), ("0", False)])
    def test_legacy_script(self, site: Site, switch: str, seen: bool) -> None:
        site.environment(TESTBED_LEGACY_IDS=switch)
        site.browser().get("/main/auth/lostPassword.php?q=%3Cscript%3E")
        assert site.host.run(["test", "-e", self.LOG], check=False).returncode == (0 if seen else 1)


class TestConsole:
    def test_migrations_run_once(self, site: Site) -> None:
        words = ("doctrine:migrations:migrate", "--no-interaction")
        assert "SQL statements executed" in site.console(*words)
        assert "Already at the latest version" in site.console(*words)

    def test_real_variables_win_over_the_file(self, site: Site) -> None:
        command = f"DATABASE_USER=other php {ROOT}/bin/console doctrine:migrations:migrate -n"
        answer = site.host.run(command, user="www-data", check=False)
        assert answer.returncode != 0
        assert "'other'@" in answer.stdout + answer.stderr

    def test_warmed_cache_serves(self, site: Site) -> None:
        site.environment(APP_ENV="prod", APP_DEBUG="0")
        site.console("cache:warmup", "--env=prod")
        assert site.browser().get("/").status == 200
