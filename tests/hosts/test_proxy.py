"""A proxy in front: it ends TLS or passes it on, its word about the visitor counts, and nobody else's does."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._wire import Answer
from tests.hosts.hardening import BEHIND, HSTS, Playbook, missing_from_the_portal, proxy
from tests.testbed.hosts import Host

FORGED = "203.0.113.66"


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    return Playbook(tmp_path, "https,sessions,headers")


@pytest.fixture
def gate(fresh: Host, make: Callable[..., Host]) -> Host:
    """The proxy in front of ``fresh``."""
    return proxy(fresh, make)


def visitor(answer: Answer) -> dict[str, str]:
    """How the application saw the request it answered."""
    assert answer.status == 200, f"{answer.url} answers {answer.status} {answer.value('Location')}"
    return dict(re.findall(r'"(\w+)":"?([^",}]*)', answer.body.decode()))


def logged(host: Host) -> str:
    """The address in the last line of the portal's access log."""
    folder = {"nginx": "/var/log/nginx", "apache": "/var/log/apache2"}[host.web]
    line = host.run(f"tail -qn 1 $(ls -t {folder}/*access*.log | head -1)").stdout
    return re.sub(r"^[a-z.]+:\d+ ", "", line).split()[0]


@pytest.mark.wire
def test_only_the_own_proxy_is_believed(fresh: Host, gate: Host, playbook: Playbook) -> None:
    base = f"https://{fresh.domain}"
    behind = {**BEHIND, "chamilo_trusted_proxies": [gate.address]}
    # The address this test comes from, as a host sees it.
    fresh.http("/")
    tester = logged(fresh)
    assert tester not in (gate.address, FORGED)
    environment = fresh.get("/var/www/chamilo/.env")
    playbook.harden(fresh, **behind)
    assert f"TRUSTED_PROXIES=127.0.0.1,{gate.address}" in fresh.get("/var/www/chamilo/.env").replace('"', "")

    # Through the proxy: http is sent to https, https is served with all that belongs to it.
    plain = fresh.http(f"http://{fresh.domain}/login?a=b", address=gate.address)
    assert (plain.status, plain.value("Location")) == (301, f"{base}/login?a=b")
    page = fresh.http(f"{base}/login", address=gate.address)
    assert page.status == 200
    assert page.values("Strict-Transport-Security") == [HSTS]
    assert page.values("Set-Cookie") and all("secure" in cookie.lower() for cookie in page.values("Set-Cookie"))
    forged = {"X-Forwarded-For": FORGED}
    for headers in ({}, forged):
        seen = visitor(fresh.http(f"{base}/_testbed/request", address=gate.address, headers=headers))
        assert (seen["client_ip"], seen["secure"]) == (tester, "true"), headers
        assert logged(fresh) == tester

    # Past the proxy: what somebody claims has no effect.
    claim = {**forged, "X-Forwarded-Proto": "https"}
    direct = fresh.http(f"http://{fresh.domain}/login", headers=claim)
    assert (direct.status, direct.value("Location")) == (301, f"{base}/login")
    assert direct.values("Strict-Transport-Security") == []
    assert logged(fresh) == tester

    assert playbook.harden(fresh, **behind) == 0

    # TLS on both ways.
    playbook.harden(fresh, chamilo_trusted_proxies=[gate.address])
    seen = visitor(fresh.http(f"https://{fresh.domain}:8443/_testbed/request", address=gate.address, headers=forged))
    assert (seen["client_ip"], seen["secure"]) == (tester, "true")
    assert visitor(fresh.http(f"{base}/_testbed/request", headers=claim))["client_ip"] == tester
    assert not missing_from_the_portal(fresh, "https")

    # The proxy is gone: web server and application forget it in the same run, and a second run has nothing to say.
    playbook.harden(fresh)
    assert fresh.get("/var/www/chamilo/.env") == environment
    seen = visitor(fresh.http(f"https://{fresh.domain}:8443/_testbed/request", address=gate.address, headers=forged))
    assert seen["client_ip"] == gate.address
    again = playbook.run("harden", fresh)
    assert again.changed[fresh.domain] == 0
    assert re.search(r"believe the same proxies\] \*+\nskipping", again.output), "a second run does nothing here"

    playbook.harden(fresh, chamilo_trusted_proxies=[gate.address])
    assert gate.address in fresh.get("/var/www/chamilo/.env")
    said = fresh.run("chamilo-hardening undo https").stdout
    assert "TRUSTED_PROXIES is '127.0.0.1' again." in said
    assert fresh.get("/var/www/chamilo/.env") == environment
