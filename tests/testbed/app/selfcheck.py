"""Reports whether the application still does what it is for: pages, legacy scripts, logins, API, upload, download.

python -m tests.testbed.app.selfcheck https://campus.test [--address 172.18.0.2] [--ca FILE]

Works over http and https, in dev and prod, before and after hardening: where the CAPTCHA is on, it is solved. Leaves
nothing behind but log lines, one failed login of student30 among them. Standard library only.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import socket
import ssl
import sys
import uuid
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

Result = tuple[str, bool, str]
PASSWORDS = {"admin": "admin-Password-1!", "student01": "student-Password-1!"}


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> dict[str, object]:
        value = json.loads(self.body)
        if not isinstance(value, dict):
            raise TypeError(f"not an object: {self.body[:80]!r}")
        return value

    def __str__(self) -> str:
        place = self.headers.get("Location")
        return f"{self.status} {self.headers.get('Content-Type', 'no type')}" + (f" to {place}" if place else "")


@dataclass
class Browser:
    """One visitor with a cookie jar. Connects to `address` whatever the name of the host resolves to."""

    base: str
    address: str | None = None
    ca: str | None = None
    timeout: float = 30
    cookies: dict[str, str] = field(default_factory=dict)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        url = urlsplit(self.base)
        host = url.hostname or ""
        port = url.port or (443 if url.scheme == "https" else 80)
        raw = socket.create_connection((self.address or host, port), timeout=self.timeout)
        if url.scheme == "https":
            raw = ssl.create_default_context(cafile=self.ca).wrap_socket(raw, server_hostname=host)
        connection = http.client.HTTPConnection(host, port)
        connection.sock = raw
        sent = {"Host": url.netloc, "User-Agent": "selfcheck", "Connection": "close", **(headers or {})}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        finally:
            connection.close()
        for line in answer.headers.get_all("Set-Cookie") or []:
            for name, morsel in SimpleCookie(line).items():
                if morsel.value in ("", "deleted"):
                    self.cookies.pop(name, None)
                elif url.scheme == "https" or not morsel["secure"]:  # as browsers do
                    self.cookies[name] = morsel.value
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, headers=headers)

    def post_json(self, path: str, **data: object) -> Answer:
        return self.request("POST", path, json.dumps(data).encode(), {"Content-Type": "application/json"})

    def upload(self, path: str, name: str, content: bytes, **headers: str) -> Answer:
        boundary = uuid.uuid4().hex
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="uploadFile"; filename="{name}"\r\n\r\n'
        body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
        kind = f"multipart/form-data; boundary={boundary}"
        return self.request("POST", path, body, {"Content-Type": kind, **headers})

    def captcha(self) -> str | None:
        """The code of a new picture, None where the login asks for none."""
        if b'data-captcha="true"' not in self.get("/login").body:
            return None
        picture = self.get("/login/captcha").body.decode()
        return "".join(re.findall(r"<text[^>]*>(.)</text>", picture))

    def login(self, username: str, password: str) -> Answer:
        code = self.captcha()
        data: dict[str, object] = {"username": username, "password": password}
        if code is not None:
            data["captcha_code"] = code
        return self.post_json("/login_json", **data)


class Checks:
    def __init__(self, base: str, address: str | None, ca: str | None) -> None:
        self.visitor = Browser(base.rstrip("/"), address, ca)
        self.student = Browser(base.rstrip("/"), address, ca)
        self.admin = Browser(base.rstrip("/"), address, ca)
        self.results: list[Result] = []

    def expect(self, name: str, answer: Answer, status: int, holds: bytes = b"", kind: str = "") -> Answer:
        seen = answer.headers.get("Content-Type") or ""
        ok = answer.status == status and holds in answer.body and seen.startswith(kind)
        detail = str(answer)
        if not ok:
            desired = f"expected {status} {kind}" + (f" with {holds.decode()!r}" if holds else "")
            detail += f"; {desired}; got {answer.body[:120]!r}"
        self.results.append((name, ok, detail))
        return answer

    def page(self, who: Browser, path: str, holds: bytes = b"", kind: str = "", status: int = 200) -> Answer:
        return self.expect(f"GET {path}", who.get(path), status, holds, kind)

    def pages(self) -> None:
        guest = self.visitor
        self.page(guest, "/", b'id="app"', "text/html")
        kept = "chamilo2" in guest.cookies
        self.results.append(("session cookie chamilo2", kept, "set" if kept else "not set by the front page"))
        self.page(guest, "/login", b'id="login"')
        self.page(guest, "/build/app.css", b"font-family", "text/css")
        self.page(guest, "/build/app.js", b"dataset.app")
        self.page(guest, "/img/icon.png", b"PNG", "image/png")
        self.page(guest, "/favicon.ico")
        self.page(guest, "/robots.txt", b"User-agent", "text/plain")
        self.page(guest, "/themes/chamilo/colors.css", b"--color-primary-base", "text/css")
        self.page(guest, "/themes/chamilo/images/header-logo.svg", b"<svg", "image/svg+xml")
        self.page(guest, "/assets/scorm/demo/index.html", b"SCORM package", "text/html")
        self.page(guest, "/editor", b"Editor.init", "text/html")
        self.page(guest, "/no/such/page", status=404)
        self.page(guest, "/build/no-such.css", status=404)

    def legacy(self) -> None:
        guest = self.visitor
        self.page(guest, "/main/auth/lostPassword.php", b"I lost my password", "text/html")
        self.page(guest, "/main/document/create_document.php", b"Editor.init", "text/html")
        self.page(guest, "/main/lp/lp_controller.php", b"/assets/scorm/demo/index.html", "text/html")
        self.page(guest, "/main/social/vcard_export.php", b"BEGIN:VCARD", "text/vcard")
        self.page(guest, "/main/inc/ajax/message.ajax.php", b'"count":0', "application/json")
        self.page(guest, "/main/inc/ajax/statistics.ajax.php", b"ok", "application/json")
        self.page(guest, "/main/course_home/course_home.php", status=302)
        self.page(guest, "/plugin/BuyCourses/index.php", b"Courses for sale", "text/html")
        self.page(guest, "/plugin/BuyCourses/src/course_catalog.php", b"Demonstration course", "text/html")
        self.page(guest, "/plugin/BuyCourses/resources/style.css", b"body", "text/css")
        self.page(guest, "/plugin/bbb/listing.php", status=302)
        self.page(guest, "/courses.php", status=302)
        self.page(guest, "/load_search.php", b"Search", "text/html")
        self.page(guest, "/certificates/index.php", b"Certificates", "text/html")

    def session(self) -> None:
        student = self.student
        self.expect("login, wrong password", student.login("student30", "not-the-password"), 401, b"error")
        self.expect("login", student.login("student01", PASSWORDS["student01"]), 200, b'"username":"student01"')
        self.page(student, "/check-session", b'"isAuthenticated":true')
        self.page(student, "/main/course_home/course_home.php", b"Course home")
        self.page(student, "/main/inc/ajax/course.ajax.php", b"DEMO", "application/json")
        self.page(student, "/plugin/bbb/listing.php", b"Video conferences")
        self.page(student, "/main/upload/upload.php", b"multipart/form-data")
        self.page(student, "/admin/settings/security", status=403)
        self.page(student, "/r/document/files/1/download", b"Welcome", "text/plain")
        content = b"An essay of a student.\n" * 200
        answer = self.expect("upload", student.upload("/documents/upload", "essay.txt", content), 201, b"essay.txt")
        if answer.status == 201:
            stored = answer.json()
            got = student.get(str(stored["url"]))
            self.expect("download of the upload", got, 200)
            same = got.body == content
            self.results.append(("download is the upload", same, f"{len(got.body)} of {len(content)} bytes"))
            self.expect("removal of the upload", student.request("DELETE", f"/documents/{stored['id']}"), 204)
        self.expect("logout", student.get("/logout"), 302)
        self.page(student, "/check-session", b'"isAuthenticated":false')
        self.expect("login of the administrator", self.admin.login("admin", PASSWORDS["admin"]), 200)
        self.page(self.admin, "/main/admin/user_list.php", b"student30")
        self.page(self.admin, "/admin/settings/security", b"password_requirements")
        self.expect("logout of the administrator", self.admin.get("/logout"), 302)

    def api(self) -> None:
        client = Browser(self.visitor.base, self.visitor.address, self.visitor.ca)
        self.page(client, "/api/me", b"JWT Token not found", "application/json", 401)
        path = "/api/authentication_token"
        answer = client.post_json(path, username="student01", password=PASSWORDS["student01"])
        self.expect("JWT login", answer, 200, b'"token"')
        if answer.status != 200:
            return
        token = f"Bearer {answer.json()['token']}"
        self.expect("API with a token", client.get("/api/me", Authorization=token), 200, b'"student01"')
        self.expect("API with a broken token", client.get("/api/me", Authorization=token[:-8]), 401)
        stored = client.upload("/api/documents", "work.pdf", b"%PDF-1.4 work", Authorization=token)
        self.expect("upload over the API", stored, 201, b"work.pdf")
        if stored.status == 201:
            owner = Browser(client.base, client.address, client.ca)
            owner.login("student01", PASSWORDS["student01"])
            self.expect("removal", owner.request("DELETE", f"/documents/{stored.json()['id']}"), 204)


def check(base: str, address: str | None = None, ca: str | None = None) -> list[Result]:
    """Name, whether it works, what was seen."""
    checks = Checks(base, address, ca)
    for group in (checks.pages, checks.legacy, checks.session, checks.api):
        try:
            group()
        except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError) as error:
            checks.results.append((group.__name__, False, f"{type(error).__name__}: {error}"))
    return checks.results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="for example https://campus.test")
    parser.add_argument("--address", help="connect there, whatever the name resolves to")
    parser.add_argument("--ca", help="file with the certificate authority to trust")
    options = parser.parse_args()
    results = check(options.base, options.address, options.ca)
    for name, ok, detail in results:
        print(f"{'ok  ' if ok else 'FAIL'} {name}: {detail}")
    failed = sum(not ok for _, ok, _ in results)
    print(f"{len(results)} checks, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
