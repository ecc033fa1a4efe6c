"""HSTS grows by itself, in the role and on the host alike. The record's date is moved, not the clock."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.hardening import BEHIND, HSTS, Playbook, proxy
from tests.testbed import authority
from tests.testbed.hosts import Host

RECORD = "/var/lib/chamilo-hardening/hsts-campus_test.json"
TRIAL = "max-age=86400"
RAMP = {"chamilo_https_hsts": "ramp"}


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    return Playbook(tmp_path, "https")


@pytest.fixture
def ramping(stage: Callable[..., Host], playbook: Playbook) -> Host:
    """A host whose ramp began today."""
    return stage("ramping", lambda host: playbook.harden(host, **RAMP))


def sent(host: Host, path: str = "/", **options: Any) -> list[str]:
    return host.http(f"https://{host.domain}{path}", **options).values("Strict-Transport-Security")


def service(host: Host) -> str:
    return {"nginx": "nginx", "apache": "apache2"}[host.web]


def a_week_goes_by(host: Host) -> None:
    record = json.loads(host.get(RECORD))
    began = datetime.date.fromisoformat(record["since"]) - datetime.timedelta(days=7)
    host.put(RECORD, json.dumps({**record, "since": began.isoformat()}), "0600")


def daily(host: Host) -> str:
    return host.run("chamilo-hardening daily https").stdout


@pytest.mark.wire
def test_the_host_and_the_role_take_the_same_step(ramping: Host, playbook: Playbook) -> None:
    assert sent(ramping) == [TRIAL]
    assert sent(ramping, "/favicon.ico", headers={"Range": "bytes=999999-"}) == [TRIAL], "a part that is not there"
    assert f"sends '{TRIAL}'" in daily(ramping)
    assert playbook.harden(ramping, **RAMP) == 0
    a_week_goes_by(ramping)
    assert f"sends '{HSTS}' from now on" in daily(ramping)
    assert sent(ramping) == [HSTS]
    assert playbook.harden(ramping, **RAMP) == 0, "the host was there first"
    assert "from now on" not in daily(ramping)


@pytest.mark.long
def test_the_role_takes_it_where_it_comes_first(ramping: Host, playbook: Playbook) -> None:
    a_week_goes_by(ramping)
    assert playbook.harden(ramping, **RAMP) == 1
    assert sent(ramping) == [HSTS]
    before = ramping.get(RECORD)
    daily(ramping)
    assert ramping.get(RECORD) == before and playbook.harden(ramping, **RAMP) == 0


@pytest.mark.long
def test_a_subdomain_without_https_delays_the_ramp(
    ramping: Host, playbook: Playbook, make: Callable[..., Host]
) -> None:
    media = make("media.campus", state="virgin", web="nginx", release="trixie")
    assert media.domain == "media.campus.test"
    declared = {**RAMP, "chamilo_https_subdomains": [media.domain]}
    playbook.harden(ramping, **declared)
    a_week_goes_by(ramping)
    assert f"https://{media.domain}/ does not answer" in daily(ramping)
    assert sent(ramping) == [TRIAL]
    media.put(
        "/etc/nginx/conf.d/tls.conf",
        "server { listen 443 ssl; ssl_certificate /etc/ssl/testbed/fullchain.pem; "
        "ssl_certificate_key /etc/ssl/testbed/privkey.pem; return 204; }\n",
    )
    media.run("systemctl restart nginx")
    assert "from now on" in daily(ramping)
    assert sent(ramping) == [HSTS] and playbook.harden(ramping, **declared) == 0
    media.run("systemctl stop nginx")
    assert "cannot reach what they are bound to" in daily(ramping)
    assert sent(ramping) == [HSTS], "what browsers know is not lowered"


@pytest.mark.long
def test_behind_a_proxy_the_ramp_checks_what_the_proxy_serves(
    fresh: Host, playbook: Playbook, make: Callable[..., Host]
) -> None:
    gate = proxy(fresh, make)
    fresh.run(f"echo '{gate.address} {fresh.domain}' >>/etc/hosts")  # as the DNS of the world has it

    def through() -> list[str]:
        return fresh.http(f"https://{fresh.domain}/", address=gate.address).values("Strict-Transport-Security")

    behind = {**BEHIND, **RAMP, "chamilo_trusted_proxies": [gate.address]}
    playbook.harden(fresh, **behind)
    assert through() == [TRIAL]
    a_week_goes_by(fresh)
    gate.run("systemctl stop nginx")
    assert f"https://{fresh.domain}/ does not answer" in daily(fresh)
    gate.run("systemctl start nginx")
    assert through() == [TRIAL]
    assert f"sends '{HSTS}' from now on" in daily(fresh)
    assert through() == [HSTS] and playbook.harden(fresh, **behind) == 0


def test_a_certificate_that_clients_refuse_delays_the_ramp(ramping: Host) -> None:
    chain, key = authority.issue(ramping.domain, days=-1)
    ramping.put("/etc/ssl/testbed/fullchain.pem", chain)
    ramping.put("/etc/ssl/testbed/privkey.pem", key, "0600")
    ramping.run(f"systemctl restart {service(ramping)}")
    a_week_goes_by(ramping)
    output = daily(ramping)
    assert "certificate has expired" in output and "runs out on" in output
    assert sent(ramping) == [TRIAL]


@pytest.mark.long
def test_off_is_reported_to_browsers_and_the_ramp_begins_again(ramping: Host, playbook: Playbook) -> None:
    a_week_goes_by(ramping)
    daily(ramping)
    playbook.harden(ramping, chamilo_https_hsts="off")
    assert sent(ramping) == ["max-age=0"]
    assert playbook.harden(ramping, chamilo_https_hsts="off") == 0
    playbook.harden(ramping, **RAMP)
    assert sent(ramping) == [TRIAL]
    assert json.loads(ramping.get(RECORD))["since"] == datetime.date.today().isoformat()


@pytest.mark.wire
def test_undo_reports_that_browsers_stay_bound(ramping: Host, playbook: Playbook) -> None:
    output = ramping.run("chamilo-hardening undo https --yes").stdout
    assert "each for 86400 seconds (1 day)" in output and 'chamilo_https_hsts to "off"' in output
    assert ramping.wait("/login").status == 200
    assert ramping.run(["test", "-e", RECORD], check=False).returncode == 1


def test_status_names_what_no_virtual_host_includes(ramping: Host) -> None:
    sites = f"/etc/{service(ramping)}/sites-available"
    suffix = "" if ramping.web == "nginx" else ".conf"
    drop_in = f"{sites}/chamilo-campus_test.d/https_hsts.conf"
    assert "No virtual host includes" not in ramping.run("chamilo-hardening status").stdout
    ramping.run(rf"sed -i '/chamilo-campus_test.d\/\*.conf/d' {sites}/chamilo{suffix}")
    output = ramping.run("chamilo-hardening status").stdout
    assert f"No virtual host includes {drop_in}" in output


# Apache does not know yet for which virtual host it speaks.
@pytest.mark.long
@pytest.mark.cells("trixie-nginx")
def test_hsts_is_sent_with_what_nginx_answers_before_it_knows_the_address(ramping: Host) -> None:
    # Over nginx's 8 KiB, and within one TLS record: closing on what it has not read can lose its answer.
    long = ramping.http(f"https://{ramping.domain}/{'x' * 12000}")
    assert (long.status, long.values("Strict-Transport-Security")) == (414, [TRIAL])
    bad = ramping.http(f"https://{ramping.domain}/", headers={"Content-Length": "-1"})
    assert (bad.status, bad.values("Strict-Transport-Security")) == (400, [TRIAL])


@pytest.mark.long
def test_a_self_signed_certificate_is_renewed_in_time(fresh: Host, playbook: Playbook) -> None:
    variables = {"chamilo_https_certificate": "self_signed"}
    playbook.harden(fresh, **variables)
    assert sent(fresh) == [] and fresh.http(f"https://{fresh.domain}/").status == 200
    assert playbook.harden(fresh, **variables) == 0
    chain, key = authority.issue(fresh.domain, days=29)
    fresh.put("/etc/ssl/certs/chamilo-campus_test.pem", chain)
    fresh.put("/etc/ssl/private/chamilo-campus_test.key", key, "0600")
    fresh.run(f"systemctl restart {service(fresh)}")
    assert playbook.harden(fresh, **variables) > 0
    fresh.run("chamilo-hardening undo https --yes")
    assert fresh.run("ls /etc/ssl/certs/chamilo-campus_test.pem", check=False).returncode
