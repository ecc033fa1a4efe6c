"""A proxy in front: it ends TLS or passes it on, its word about the visitor counts, and no other client's does."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from tests.hosts.hardening import BEHIND, HSTS, Playbook, missing_from_the_portal, proxy
from tests.hosts.test_audit_data import audit, install
from tests.hosts.test_brute_force import ATTEMPTS, BAN, JAIL, Attacker, banned, until
from tests.hosts.test_sessions import SCRIPT, flags
from tests.playbook import PlayError
from tests.testbed.hosts import Host

# Ten runs. What a proxy does to bans is in test_brute_force too, its configuration in tests/unit/rendered.
pytestmark = pytest.mark.long

FORGED = "203.0.113.66"
REFUSED = 423  # by the web server, for fail2ban
INDEX = "/var/www/chamilo/public/index.php"


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    return Playbook(tmp_path, "https,brute_force,sessions,headers")


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
    directory = {"nginx": "/var/log/nginx", "apache": "/var/log/apache2"}[host.web]
    line = host.run(f"tail -qn 1 $(ls -t {directory}/*access*.log | head -1)").stdout
    return re.sub(r"^[a-z.]+:\d+ ", "", line).split()[0]


def knock(attacker: Attacker, address: str, gate: Host, path: str = "/robots.txt", *options: str) -> int:
    """What a visitor with this address gets at the proxy."""
    words = ["curl", "-s", "-k", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", "--interface", address]
    there = ["--resolve", f"campus.test:443:{gate.address}", f"https://campus.test{path}"]
    return int(attacker.host.run([*words, *options, *there], check=False).stdout or 0)


def guess(attacker: Attacker, address: str, gate: Host) -> int:
    """A wrong password, by a client that claims another address."""
    data = ["-H", "Content-Type: application/json", "-H", f"X-Forwarded-For: {FORGED}"]
    return knock(
        attacker, address, gate, "/login_json", *data, "--data-binary", '{"username": "nobody", "password": "wrong"}'
    )


def recorded(host: Host, scheme: str) -> str:
    """The address that the application records for a failed login by a visitor who names another one."""
    reported = {"X-Forwarded-For": FORGED, "Content-Type": "application/json"}
    body = b'{"username": "nobody", "password": "wrong"}'
    host.http(f"{scheme}://{host.domain}/login_json", method="POST", body=body, headers=reported)
    last = "SELECT user_ip FROM track_e_login_record ORDER BY id DESC LIMIT 1"
    return host.run(["mariadb", "--skip-column-names", "chamilo", "-e", last]).stdout.strip()


def test_only_the_own_proxy_is_believed(fresh: Host, gate: Host, make: Callable[..., Host], playbook: Playbook) -> None:
    base = f"https://{fresh.domain}"
    behind = {**BEHIND, "chamilo_trusted_proxies": [gate.address]}
    # The address this test comes from, as a host sees it.
    fresh.http("/")
    tester = logged(fresh)
    assert tester not in (gate.address, FORGED)
    environment = fresh.get("/var/www/chamilo/.env")
    assert "TRUSTED_PROXIES=0.0.0.0/0\n" in environment and recorded(fresh, "http") == FORGED
    behind |= {"chamilo_friends": [tester], "chamilo_brute_force_ban_seconds": BAN}
    playbook.harden(fresh, **behind)
    assert f"TRUSTED_PROXIES=127.0.0.1,{gate.address}" in fresh.get("/var/www/chamilo/.env").replace('"', "")

    # Through the proxy: http is sent to https, https is served with all that belongs to it.
    plain = fresh.http(f"http://{fresh.domain}/login?a=b", address=gate.address)
    assert (plain.status, plain.value("Location")) == (301, f"{base}/login?a=b")
    page = fresh.http(f"{base}/login", address=gate.address)
    assert page.status == 200
    assert page.values("Strict-Transport-Security") == [HSTS]
    for path in ("/login", SCRIPT):
        given = fresh.http(f"{base}{path}", address=gate.address).values("Set-Cookie")
        assert given and all({"secure", "httponly", "samesite=lax"} <= flags(line) for line in given), (path, given)
    forged = {"X-Forwarded-For": FORGED}
    for headers in ({}, forged):
        seen = visitor(fresh.http(f"{base}/_testbed/request", address=gate.address, headers=headers))
        assert (seen["client_ip"], seen["secure"]) == (tester, "true"), headers
        assert logged(fresh) == tester

    # Past the proxy: what a client claims has no effect.
    claim = {**forged, "X-Forwarded-Proto": "https"}
    direct = fresh.http(f"http://{fresh.domain}/login", headers=claim)
    assert (direct.status, direct.value("Location")) == (301, f"{base}/login")
    assert direct.values("Strict-Transport-Security") == []
    assert logged(fresh) == tester

    # What breaks PHP alone is rolled back: the probe after a change comes as far as PHP.
    trap = "<?php if (ini_get('session.gc_maxlifetime') === '7200') { http_response_code(503); exit; } ?>"
    fresh.run(["sed", "-i", f"1i {trap}", INDEX])
    with pytest.raises(PlayError, match=r"answers 503 instead of 200.*The old configuration was restored"):
        playbook.harden(fresh, "--tags", "sessions", **behind, chamilo_sessions_lifetime=7200)
    assert fresh.http(f"{base}/login", address=gate.address).status == 200
    fresh.run(["sed", "-i", "1d", INDEX])
    assert playbook.harden(fresh, "--tags", "sessions", **behind) == 0, "by itself the section asks for no less"
    # The host itself is believed how it comes, and not who it is.
    own = ["curl", "-s", "--resolve", f"{fresh.domain}:80:127.0.0.1", f"http://{fresh.domain}/_testbed/request"]
    assert fresh.run([*own, "-o", "/dev/null", "-w", "%{http_code}"]).stdout == "301"
    seen = fresh.run([*own, *(word for name, value in claim.items() for word in ("-H", f"{name}: {value}"))]).stdout
    assert '"secure":true' in seen
    assert logged(fresh) == "127.0.0.1"

    # Who guesses is banned, and neither the proxy nor whom he names or who comes the same way.
    attacker = Attacker(make("attacker", state="empty"))
    guesser, bystander = attacker.address(), attacker.address()
    assert knock(attacker, guesser, gate) == 200
    assert {guess(attacker, guesser, gate) for _ in range(ATTEMPTS)} <= {401, 429}
    assert until(lambda: banned(fresh) == [guesser], 6), banned(fresh)
    assert until(lambda: knock(attacker, guesser, gate) == REFUSED, 3)
    assert guess(attacker, guesser, gate) == REFUSED
    assert knock(attacker, bystander, gate) == 200
    assert fresh.http(f"{base}/login", address=gate.address).status == 200
    # A client that tries on meanwhile is unbanned after the same time, and his first try then is one of five again.
    assert until(lambda: guess(attacker, guesser, gate) != REFUSED, BAN + 10), "each try makes the ban longer"
    assert knock(attacker, guesser, gate) == 200

    # Unlocked in the middle of it, he may mistype once more.
    assert {guess(attacker, guesser, gate) for _ in range(ATTEMPTS - 1)} <= {401, 429}
    assert until(lambda: knock(attacker, guesser, gate) == REFUSED, 9), banned(fresh)
    assert {guess(attacker, guesser, gate) for _ in range(ATTEMPTS - 1)} == {REFUSED}
    assert f"{guesser} may come in again." in fresh.run(f"chamilo-hardening unlock {guesser}").stdout
    assert until(lambda: knock(attacker, guesser, gate) == 200, 3)
    assert guess(attacker, guesser, gate) in (401, 429)
    assert not until(lambda: banned(fresh) != [], 4), "what he tried meanwhile counts"

    assert playbook.harden(fresh, **behind) == 0

    # The audit, with a ban of the usual length. A request from the host itself comes by the proxy too.
    del behind["chamilo_brute_force_ban_seconds"]
    playbook.harden(fresh, "--tags", "brute_force", **behind)
    fresh.run(f"echo {gate.address} {fresh.domain} >> /etc/hosts")
    options = {"terminated_elsewhere": True, "trusted_proxies": [gate.address]}
    found = audit(install(fresh), "brute_force", "https_trusted", **options)
    assert found.status["https_trusted_proxies"] == "pass", found.evidence
    assert "forged ones changed no redirect" in found.evidence["https_trusted_proxies"], "asked through the proxy"
    assert found.status["brute_force_fail2ban"] == "pass", found.evidence
    assert found.status["brute_force_forgery"] == "pass", found.evidence

    # TLS on both ways.
    playbook.harden(fresh, chamilo_trusted_proxies=[gate.address])
    seen = visitor(fresh.http(f"https://{fresh.domain}:8443/_testbed/request", address=gate.address, headers=forged))
    assert (seen["client_ip"], seen["secure"]) == (tester, "true")
    assert visitor(fresh.http(f"{base}/_testbed/request", headers=claim))["client_ip"] == tester
    assert not missing_from_the_portal(fresh, "https")
    found = audit(install(fresh), "brute_force", trusted_proxies=[gate.address])
    assert found.status["brute_force_fail2ban"] == "pass", found.evidence

    # The proxy is gone: web server and application forget it in the same run, and a second run has nothing to report.
    playbook.harden(fresh)
    assert "TRUSTED_PROXIES=127.0.0.1,::1\n" in fresh.get("/var/www/chamilo/.env")
    assert recorded(fresh, "https") == tester
    seen = visitor(fresh.http(f"https://{fresh.domain}:8443/_testbed/request", address=gate.address, headers=forged))
    assert seen["client_ip"] == gate.address
    again = playbook.run("harden", fresh)
    assert again.changed[fresh.domain] == 0, again.output
    assert re.search(r"trusted proxies of the application\] \*+\nskipping", again.output), (
        "a second run does nothing here"
    )
    left = "ls /etc/fail2ban/action.d/*campus*; grep -l /run/ /etc/*/sites-available/*.d/login.conf"
    assert fresh.run(left, check=False).stdout == ""
    assert JAIL in fresh.run("fail2ban-client status").stdout

    playbook.harden(fresh, chamilo_trusted_proxies=[gate.address])
    assert gate.address in fresh.get("/var/www/chamilo/.env")
    output = fresh.run("chamilo-hardening undo https --yes").stdout
    assert "TRUSTED_PROXIES is '0.0.0.0/0' again." in output
    assert fresh.get("/var/www/chamilo/.env") == environment
