"""What is in the way is reported at once, before anything changes; what is not active at the end is reported too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hosts.conftest import Cell
from tests.hosts.hardening import QUIET, Playbook, include_line, paste
from tests.playbook import PlayError, play
from tests.testbed.hosts import Host

# A run leaves no more on a host than that Ansible was there.
TRACES = [*QUIET, "/root/.ansible*", "/tmp/*"]


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    return Playbook(tmp_path, "https,headers")


def refusal(playbook: Playbook, host: Host, *options: str, **variables: object) -> str:
    with pytest.raises(PlayError) as refused:
        playbook.run("harden", host, *options, **variables)
    return " ".join(str(refused.value).split())


@pytest.mark.parametrize("vhost", ["plain", pytest.param("default-server", marks=pytest.mark.long)])
@pytest.mark.wire
def test_everything_in_the_way_is_reported_at_once_and_nothing_changes(
    make: Callable[..., Host], cell: Cell, playbook: Playbook, vhost: str
) -> None:
    host = make(vhost=vhost)
    host.run("rm -f /usr/sbin/sendmail && echo 'nas:/files /var/www/chamilo/var/upload nfs _netdev 0 0' >>/etc/fstab")
    before = host.snapshot()
    wrong = {
        "chamilo_domain": "cmapus.test",
        "chamilo_alert_mail": "root@campus.test",
        "chamilo_https_certificate_file": "/etc/ssl/testbed/none.pem",
        "chamilo_web_user": "www-date",
        "chamilo_group": "users",
        "chamilo_database_bind_address": "192.0.2.99",
        "chamilo_backups_repository": "/var/www/chamilo/public/backups",
        "chamilo_backups_scratch": "/etc/passwd",
    }
    for options in (("--tags", "preflight"), ("--check",), ()):
        message = refusal(playbook, host, *options, **wrong)
        for part in (
            "cmapus.test is not served here. Did you mean campus.test?",
            'chamilo_https_certificate_file is "/etc/ssl/testbed/none.pem", which cannot be read',
            "mount /var/www/chamilo/var/upload",
            "chamilo_web_user: www-date. PHP of this portal runs as www-data",
            "chamilo_group: users. PHP's user www-data is no member of it",
            "obstacles. Nothing was changed.",
        ):
            assert part in message, part
        for part in (
            "Set chamilo_monitoring_smtp_host",
            "chamilo_web_user is 'www-date'",
            "chamilo_database_bind_address: 192.0.2.99. This host has no such address",
            "chamilo_backups_repository: /var/www/chamilo/public/backups. The web server serves /var/www/chamilo,",
            "chamilo_backups_scratch: /etc/passwd. This host has no such directory",
        ):
            assert (part in message) is ("preflight" in options), part
    assert not before.changes(host.snapshot(), TRACES)
    assert host.http("/").status == 200

    host.run("sed -i /nas:/d /etc/fstab")
    before = host.snapshot()
    done = playbook.run("harden", host, "--tags", "preflight")
    assert "no obstacle was found. Nothing was changed." in done.output
    assert not before.changes(host.snapshot(), TRACES)

    twice = {name: {**host.quick_inventory(), "chamilo_domain": host.domain} for name in (host.domain, "www1")}
    hosts = playbook.write("twice.json", json.dumps({"chamilo": {"hosts": twice}}))
    for options in (("--tags", "preflight"), ()):
        with pytest.raises(PlayError) as refused:
            play("harden", Path(hosts), *options, variables={"chamilo_backups_key_folder": str(playbook.keys)})
        output = " ".join(str(refused.value).split())
        assert output.count("Inventory names campus.test, www1: one portal. They lead to /var/www/chamilo") >= 2
        assert "changed=1" not in output
    assert not before.changes(host.snapshot(), TRACES)


@pytest.mark.wire
def test_what_no_virtual_host_includes_fails_at_the_end(fresh: Host, playbook: Playbook) -> None:
    own = {"chamilo_https_vhost": "include"}
    web = "nginx" if fresh.web == "nginx" else "apache2"
    file = "chamilo" if fresh.web == "nginx" else "chamilo.conf"
    playbook.sections = "headers,sessions"
    message = refusal(playbook, fresh, **own)
    place = f"/etc/{web}/sites-available/{file} line 1 includes no files of this collection."
    assert f'{place} Add the line "{include_line(fresh)}" there, then run: systemctl reload {web}' in message
    assert fresh.run("grep -r session.use_strict_mode /etc/php").stdout, "all else was done"
    paste(fresh, include_line(fresh))
    message = refusal(playbook, fresh, **own)
    assert f"Have it read them again: systemctl reload {web}" in message
    fresh.run(["systemctl", "reload", web])
    assert playbook.harden(fresh, **own) == 0
    assert fresh.http("/").values("X-Frame-Options") == ["SAMEORIGIN"]
    # Taken out again by its owner.
    fresh.run(f"sed -i '/chamilo-campus_test.d/d' /etc/{web}/sites-available/{file} && systemctl reload {web}")
    assert place in refusal(playbook, fresh, **own)
