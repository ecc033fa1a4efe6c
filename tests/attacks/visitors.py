"""A visitor with a browser, and a test account of the testbed that exists for the time of one attack."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from typing import Any, Protocol

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Reader, writing
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._attacker import Target
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._insider import Insider
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer

_COOKIE = re.compile(r"([^=;\s]+)=([^;]*)")
_API = "/api/authentication_token"


class Portal(Protocol):
    """What can be asked for a page."""

    def get(self, path: str, **request: Any) -> Answer: ...


class Visitor:
    """A visitor with a browser: keeps cookies, reads the testbed's CAPTCHA."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self.cookies: dict[str, str] = {}

    def ask(self, path: str, data: dict[str, Any] | None = None) -> Answer:
        request: dict[str, Any] = {"headers": {}}
        if self.cookies:
            request["headers"]["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if data is not None:
            request["headers"]["Content-Type"] = "application/json"
            request |= {"method": "POST", "body": json.dumps(data).encode()}
        answer = self._portal.get(path, **request)
        if not answer.status:
            raise OSError(f"{answer.url} gave no answer: {answer.error}")
        for line in answer.values("Set-Cookie"):
            match = _COOKIE.match(line)
            if match:
                self.cookies[match[1]] = match[2]
        return answer

    def login(self, user: str, password: str, **more: Any) -> None:
        status = self.try_login(user, password, **more)
        if status != 200:
            raise OSError(f"{user} could not log in: {status}")

    def try_login(self, user: str, password: str, **more: Any) -> int:
        """A login on the page. How it was answered."""
        data = {"username": user, "password": password, **more}
        if b'data-captcha="true"' in self.ask("/login").body:
            picture = self.ask("/login/captcha").body.decode("utf-8", "replace")
            data["captcha_code"] = "".join(re.findall(r"<text[^>]*>(.)</text>", picture))
        return self.ask("/login_json", data).status

    def token(self, user: str, password: str) -> int:
        """A login of a program, which no CAPTCHA asks. How it was answered."""
        return self.ask(_API, {"username": user, "password": password}).status


def stored_role(reader: Reader, role: str) -> str:
    """The one role of an account as the column ``roles`` keeps it: in JSON since 3.0, as PHP serialises it before.

    The other accounts show which, for an upgrade that was interrupted may not have converted the column.
    """
    if reader.query("SELECT 1 FROM `user` WHERE roles LIKE '[%' LIMIT 1"):
        return json.dumps([role])
    return f'a:1:{{i:0;s:{len(role)}:"{role}";}}'


def here(insider: Insider) -> Target:
    """The portal, requested from its own host, whose addresses are never banned."""
    own = [address for address in insider.site.addresses if ":" not in address]
    return Target(insider.site.domain, own[0] if own else "127.0.0.1")


@contextlib.contextmanager
def test_account(insider: Insider) -> Iterator[tuple[str, str]]:
    """An account and its password. What it leaves in the database goes with it."""
    name, password = f"canary-{secrets.token_hex(6)}", f"Aa1!{secrets.token_hex(12)}"
    secret = _hashed(insider, password)
    reader = Reader.of(insider.site.installation)
    database, roles = reader.account, stored_role(reader, "ROLE_STUDENT")
    with writing(database) as ask:
        ask(
            "INSERT INTO user (username, username_canonical, email, password, roles, status, active, created_at,"
            " updated_at, password_updated_at) VALUES (%s, %s, %s, %s, %s, 5, 1, NOW(), NOW(), NOW())",
            (name, name, f"{name}@example.test", secret, roles),
        )
        ask(
            "INSERT INTO access_url_rel_user (access_url_id, user_id) SELECT 1, id FROM user WHERE username = %s",
            (name,),
        )
    try:
        yield name, password
    finally:
        mine = "(SELECT id FROM user WHERE username = %s)"
        with writing(database) as ask:
            ask(f"DELETE FROM validation_token WHERE type = 3 AND resource_id IN {mine}", (name,))
            ask(f"DELETE FROM track_e_login WHERE login_user_id IN {mine}", (name,))
            ask(f"DELETE FROM track_e_online WHERE login_user_id IN {mine}", (name,))
            ask(f"DELETE FROM track_e_default WHERE default_user_id IN {mine}", (name,))
            ask("DELETE FROM track_e_login_record WHERE username = %s", (name,))
            ask(f"DELETE FROM access_url_rel_user WHERE user_id IN {mine}", (name,))
            ask("DELETE FROM user WHERE username = %s", (name,))


def _hashed(insider: Insider, password: str) -> str:
    """As the application stores it: PHP makes it, and gets the password where no process list shows it."""

    def ask() -> str:
        program = ["php", "-r", "echo password_hash(stream_get_contents(STDIN), PASSWORD_BCRYPT, ['cost' => 4]);"]
        done = subprocess.run(
            program,
            input=password.encode(),
            env={"PATH": os.defpath},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=30,
            check=True,
        )
        return done.stdout.decode("ascii")

    tried = insider.as_user(insider.web_user, ask)
    if not tried.value:
        raise OSError(f"PHP made no hash of the test account's password: {tried.error}")
    return str(tried.value)
