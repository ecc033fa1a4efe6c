"""What a visitor gets after the role https alone, with given certificate files."""

from __future__ import annotations

import ssl

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.handshakes import handshake
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer, tls_context
from tests.testbed.authority import certificate
from tests.testbed.hosts import Host

testinfra_hosts = ["ansible://https"]


def secure(portal: Host, path: str) -> Answer:
    return portal.http(f"https://{portal.domain}{path}", verify=True, ca_file=str(certificate()))


@pytest.mark.parametrize("path", ["/login", "/main/auth/lostPassword.php", "/build/app.css"])
def test_the_site_works_over_https(portal: Host, path: str) -> None:
    answer = secure(portal, path)
    assert (answer.status, answer.error) == (200, "")


@pytest.mark.parametrize("path", ["/", "/login?next=%2Fhome", "/build/app.css", "/no-such-page"])
def test_plain_http_leads_to_the_same_page(portal: Host, path: str) -> None:
    answer = portal.http(path)
    assert (answer.status, answer.values("Location")) == (301, [f"https://{portal.domain}{path}"])


@pytest.mark.parametrize("path", ["/login", "/build/app.css", "/no-such-page"])
def test_hsts_once_and_only_over_https(portal: Host, path: str) -> None:
    (value,) = secure(portal, path).values("Strict-Transport-Security")
    assert "max-age=31536000" in value
    assert portal.http(path).values("Strict-Transport-Security") == []


@pytest.mark.parametrize(
    ("version", "spoken"),
    [
        (ssl.TLSVersion.TLSv1, False),
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
def test_only_current_protocols(portal: Host, version: ssl.TLSVersion, spoken: bool) -> None:
    # Level 0 lets our own side offer the old ones at all.
    context = tls_context(verify=False, minimum=version, maximum=version, ciphers="ALL:@SECLEVEL=0")
    answer = handshake(portal.domain, address=portal.address, context=context)
    assert bool(answer.protocol) is spoken, answer.error


def test_the_shop_beside_it_is_left_alone(portal: Host) -> None:
    answer = portal.http("http://shop.test/")
    assert (answer.status, answer.values("Location")) == (200, [])
