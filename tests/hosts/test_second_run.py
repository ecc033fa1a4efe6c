"""The second run of harden changes nothing, on hosts whose configuration is not what most have."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests import vhosts
from tests.hosts.hardening import Playbook, missing_from_the_portal
from tests.testbed.hosts import Host

# Harden waits for the effect of what it changes, and must not take a slow answer for another configuration.
BUSY = "for one in 1 2 3 4; do timeout 900 sh -c 'while :; do :; done' & done"


def without_a_virtual_host(host: Host) -> None:
    host.run(f"rm /etc/*/sites-enabled/{'chamilo' if host.web == 'nginx' else 'chamilo.conf'}")
    host.run(["systemctl", "reload", "nginx" if host.web == "nginx" else "apache2"])


def mozillas(host: Host) -> None:
    """What Mozilla's generator writes, with the portal in it."""
    case = next(case for case in vhosts.cases("apache") if "mozilla" in case.name)
    (text,) = case.files.values()
    for old, new in (
        (vhosts.DOMAIN, host.domain),
        ("certs/ssl-cert-snakeoil.pem", "testbed/fullchain.pem"),
        ("private/ssl-cert-snakeoil.key", "testbed/privkey.pem"),
        ("php8.4", "php8.2"),
    ):
        text = text.replace(old, new)
    host.put("/etc/apache2/sites-available/chamilo.conf", text)
    host.run("a2enmod -q ssl socache_shmcb rewrite headers http2 && systemctl restart apache2")


def busy(host: Host) -> None:
    host.run(["sh", "-c", f"({BUSY}) >/dev/null 2>&1"])


def twice(host: Host, playbook: Playbook, before: Callable[[Host], None], **variables: str) -> None:
    playbook.sections = ""
    before(host)
    playbook.harden(host, **variables)
    assert playbook.harden(host, **variables) == 0
    assert missing_from_the_portal(host, "https") == []


def test_where_a_portal_had_no_virtual_host(fresh: Host, playbook: Playbook) -> None:
    twice(fresh, playbook, without_a_virtual_host, chamilo_https_vhost="managed")


@pytest.mark.long
@pytest.mark.cells("bookworm-apache")
def test_where_protocols_and_ciphers_stand_outside_of_the_virtual_host(fresh: Host, playbook: Playbook) -> None:
    twice(fresh, playbook, mozillas)


@pytest.mark.long
def test_on_a_busy_host(fresh: Host, playbook: Playbook) -> None:
    twice(fresh, playbook, busy)
