"""Attacks that must be detected: whether this host's own monitoring detects each of them. All changes are undone."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import socket
import ssl
import time

from ansible_collections.chamilo.hardening.plugins.module_utils._application import accounts
from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Reader, writing
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._insider import Insider
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import Finding, attack, failed, passed
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import daily, watch
from tests.attacks.visitors import stored_role

_ADDRESSES = 20


def _watched(insider: Insider) -> str:
    """The word under which section monitoring knows this portal."""
    for site in daily.sites():
        if os.path.realpath(str(watch.configuration(site)["root"])) == os.path.realpath(insider.site.root):
            return site
    return ""


_UNPRIVILEGED = "Section monitoring is not active, so it would not be detected."


@attack("monitoring_app_log", insider=True)
def make_an_error(insider: Insider) -> Finding:
    site = _watched(insider)
    if not site:
        return failed(_UNPRIVILEGED)
    known = watch.configuration(site)
    problem = daily.log_test(known)
    if problem:
        return failed(problem)
    fresh = time.time() - float(watch.pulse(site).get("at", 0)) < 900
    if not fresh:
        return failed(f"An error of the application is in {known['log']}, but monit does not read it.")
    return passed(f"An error of the application is in {known['log']}, which monit read within the last minutes.")


@attack("monitoring_auth", insider=True)
def guess_from_many_addresses(insider: Insider) -> Finding:
    site = _watched(insider)
    if not site:
        return failed(_UNPRIVILEGED)
    before = watch.logins(site).text
    for last in range(2, _ADDRESSES + 2):
        _guess(insider, f"127.0.0.{last}")
    seen = watch.logins(site)
    if not seen.alarm:
        return failed(
            f"{_ADDRESSES} wrong passwords from as many addresses raised no alarm. {before} After: {seen.text}"
        )
    return passed(f"{_ADDRESSES} wrong passwords from as many addresses raise the alarm: {seen.text}")


def _guess(insider: Insider, address: str) -> None:
    """One wrong password for an account that is not there, from one of the host's many own addresses."""
    listens = [listen for host in insider.site.serving for listen in host.listens if listen.port]
    # Where both are spoken, plain http only leads to the other.
    endpoint = max(listens, key=lambda listen: listen.tls, default=None)
    port, tls = (endpoint.port, endpoint.tls) if endpoint else (80, False)
    raw = socket.create_connection(("127.0.0.1", port), 10, (address, 0))
    if tls:
        # Whose certificate that is does not matter: it is this host, and nothing secret is sent.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        raw = context.wrap_socket(raw, server_hostname=insider.site.domain)
    connection = http.client.HTTPConnection(insider.site.domain, port, timeout=10)
    connection.sock = raw
    try:
        body = json.dumps({"username": f"nobody-{secrets.token_hex(4)}", "password": "wrong"})
        headers = {"Host": insider.site.domain, "Content-Type": "application/json"}
        # No CAPTCHA asks there: where one does, no password is tried without its answer.
        connection.request("POST", "/api/authentication_token", body, headers)
        connection.getresponse().read()
    finally:
        connection.close()


@attack("monitoring_accounts", insider=True)
def make_an_administrator(insider: Insider) -> Finding:
    site = _watched(insider)
    if not site:
        return failed(_UNPRIVILEGED)
    reader = Reader.of(insider.site.installation)
    expected = accounts.review(reader, 90, ()).administrators
    name = f"intruder-{secrets.token_hex(4)}"
    roles = stored_role(reader, "ROLE_ADMIN")
    columns = "username, username_canonical, email, password, salt, roles, status, active, created_at, updated_at"
    with writing(reader.account) as ask:
        ask(
            f"INSERT INTO `user` ({columns}) VALUES (%s, %s, '', '', '', %s, 5, 1, NOW(), NOW())",
            (name, name, roles),
        )
    try:
        found = accounts.review(Reader.of(insider.site.installation), 90, expected).unrelated
    finally:
        with writing(reader.account) as ask:
            ask("DELETE FROM `user` WHERE username = %s", (name,))
    if name not in found:
        return failed("A new administrator would not be in the list that the administrator gets.")
    return passed("A new administrator is in the list, as an unexpected one.")


@attack("monitoring_integrity", insider=True)
def change_a_file(insider: Insider) -> Finding:
    site = _watched(insider)
    if not site:
        return failed(_UNPRIVILEGED)
    name = f"public/main/chamilo-hardening-{secrets.token_hex(4)}.txt"
    with _planted(insider, name, ""):
        found = daily.compare(site)
    if name not in found.added:
        return failed(f"{name} was put there, and the comparison with the list did not see it.")
    return passed("A new file below public/main was seen by the comparison with the list.")


class _planted:
    """A file that is there for the length of a block."""

    def __init__(self, insider: Insider, name: str, text: str) -> None:
        self.path = os.path.join(insider.site.root, name)
        self.text = text

    def __enter__(self) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(self.text)

    def __exit__(self, *_unused: object) -> None:
        os.unlink(self.path)
