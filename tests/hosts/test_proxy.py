"""A proxy in front: it ends TLS or passes it on, its word about the visitor counts, and nobody else's does."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._wire import Answer
from tests.hosts.hardening import HSTS, Playbook, missing_from_the_portal
from tests.testbed import authority
from tests.testbed.hosts import Host

FORGED = "203.0.113.66"
# The usual configuration of a proxy: TLS ends here, or (8443) is spoken on to the portal as well.
GATE = """
server {{
    listen 80;
    listen 443 ssl;
    server_name {domain};
    ssl_certificate /etc/ssl/portal.pem;
    ssl_certificate_key /etc/ssl/portal.key;
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    location / {{ proxy_pass http://{address}; }}
}}
server {{
    listen 8443 ssl;
    server_name {domain};
    ssl_certificate /etc/ssl/portal.pem;
    ssl_certificate_key /etc/ssl/portal.key;
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_ssl_server_name on;
    proxy_ssl_name {domain};
    location / {{ proxy_pass https://{address}; }}
}}
"""


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    return Playbook(tmp_path, "https,sessions,headers")


@pytest.fixture
def gate(fresh: Host, make: Callable[..., Host]) -> Host:
    """The proxy in front of ``fresh``."""
    made = make("gate", release="trixie", web="nginx", state="virgin")
    chain, key = authority.issue(fresh.domain)
    made.put("/etc/ssl/portal.pem", chain)
    made.put("/etc/ssl/portal.key", key, "0600")
    made.put("/etc/nginx/conf.d/gate.conf", GATE.format(domain=fresh.domain, address=fresh.address))
    made.run("systemctl restart nginx")
    made.wait(f"http://{fresh.domain}/", address=made.address)
    return made


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
    behind = {
        "chamilo_https_certificate": "auto",
        "chamilo_https_certificate_file": "",
        "chamilo_https_certificate_key_file": "",
        "chamilo_https_terminated_elsewhere": True,
        "chamilo_trusted_proxies": [gate.address],
    }
    # The address this test comes from, as a host sees it.
    fresh.http("/")
    tester = logged(fresh)
    assert tester not in (gate.address, FORGED)
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
