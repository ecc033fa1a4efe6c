"""What tests on hosts take for granted of the testbed. What is red on a sloppy host, audit and attacks see there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.testbed.hosts import Host

# Of the testbed alone: what else runs on it would notice, too.
pytestmark = [pytest.mark.long, pytest.mark.cells("trixie-nginx")]


def test_it_is_noon_when_a_host_is_made(shared: Host) -> None:
    """What cron does daily comes into no test."""
    assert 12 <= int(shared.run("date +%H").stdout) <= 14


def test_snapshot_sees_files_rows_and_units(fresh: Host) -> None:
    before = fresh.snapshot()
    # Debian's own services and the shop's job go on meanwhile.
    ignore = ("/var/log/*", "/var/lib/systemd/*", "database:shop.visit")
    assert before.changes(fresh.snapshot(), ignore) == []
    fresh.put("/etc/example", "x", mode="0600", owner="www-data:www-data")
    fresh.run(["mariadb", "-e", "UPDATE shop.article SET name = 'pen' WHERE id = 1"])
    fresh.run("systemctl stop cron && systemctl mask --runtime cron")
    fresh.run("systemd-run --quiet --unit=left --on-active=1h true")
    changes = before.changes(fresh.snapshot(), ignore)
    assert [line.split(": ")[0] for line in changes[:3]] == ["/etc", "/etc/example", "database:shop.article"]
    assert changes[3:] == [
        "unit:cron.service: enabled active -> masked-runtime",
        "unit:left.service: absent -> transient",
        "unit:left.timer: absent -> transient active",
    ]


@pytest.mark.parametrize("reboot", [Host.restart, Host.crash])
def test_files_survive_a_reboot(fresh: Host, reboot: Callable[[Host], None]) -> None:
    fresh.put("/etc/example", "kept")
    reboot(fresh)
    assert fresh.get("/etc/example") == "kept"
    assert fresh.http("/").status == 200


def test_stage_is_reached_once(stage: Callable[..., Host]) -> None:
    calls = []

    def prepare(host: Host) -> None:
        calls.append(host)
        host.put("/etc/example", "prepared")

    for _ in range(2):
        assert stage("example", prepare).get("/etc/example") == "prepared"
    assert len(calls) == 1
