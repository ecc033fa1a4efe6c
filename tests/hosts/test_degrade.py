"""What is in the way of one section keeps no other one from being enforced; the run says so, and ends with 2."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.hardening import Playbook
from tests.playbook import PlayError
from tests.run import SECTIONS
from tests.testbed.hosts import Host

NO_CERTIFICATE = {
    "chamilo_https_certificate": "auto",
    "chamilo_https_certificate_file": "",
    "chamilo_https_certificate_key_file": "",
    "chamilo_https_hsts": "ramp",
}
PIN = "printf 'Package: %s\\nPin: release *\\nPin-Priority: -1\\n' {0} >/etc/apt/preferences.d/test"
UNPIN = "rm /etc/apt/preferences.d/test"
# Somebody has the database keep a platform setting as it is.
TRIGGERS = "".join(
    f'mariadb --delimiter=// chamilo -e "CREATE TRIGGER kept_{of[0].lower()} BEFORE {of} ON settings FOR EACH ROW '
    "IF NEW.variable = 'password_requirements' THEN SIGNAL SQLSTATE '45000'; END IF\";"
    for of in ("INSERT", "UPDATE")
)


@dataclass(frozen=True)
class Fault:
    """What is in the way of one section alone: commands that break and mend it, or variables that cannot be used."""

    breaks: str = "true"
    mends: str = "true"
    variables: dict[str, Any] = field(default_factory=dict)


def immutable(path: str) -> Fault:
    """Where a file is to be there is one that nobody can replace."""
    return Fault(f"install -D -m 644 /dev/null {path} && mount --bind {path} {path}", f"umount {path} && rm {path}")


def not_to_be_had(package: str) -> Fault:
    return Fault(f"apt-get -q -y purge {package} >/dev/null; {PIN.format(package)}", UNPIN)


FAULTS: Mapping[str, Fault] = {
    "updates": not_to_be_had("unattended-upgrades"),
    "https": Fault(variables=NO_CERTIFICATE),
    "permissions": Fault(variables={"chamilo_permissions_policy": [{"path": "x", "owner": "nobody-here"}]}),
    "passwords": Fault(TRIGGERS, "mariadb chamilo -e 'DROP TRIGGER kept_i; DROP TRIGGER kept_u'"),
    "brute_force": Fault("systemctl mask fail2ban", "systemctl unmask fail2ban"),
    "sessions": Fault(
        variables={
            "chamilo_sessions_handler": "redis",
            "chamilo_sessions_redis_host": "192.0.2.7",
            "chamilo_sessions_redis_password": "not-the-password",
        }
    ),
    "headers": immutable("/etc/SERVER/sites-available/chamilo-campus_test.d/headers.conf"),
    "uploads": immutable("/etc/SERVER/sites-available/chamilo-campus_test.d/uploads.conf"),
    "database": Fault(variables={"chamilo_database_bind_address": "192.0.2.99"}),
    "backups": Fault(variables={"chamilo_backups_scratch": "/srv/none"}),
    "monitoring": not_to_be_had("monit"),
}


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    return Playbook(tmp_path)


def written(playbook: Playbook) -> dict[str, Any]:
    """harden.json, and the only host in it."""
    (host,) = json.loads((playbook.directory / "report/harden.json").read_text())["hosts"]
    return dict(host)


def broken(host: Host, playbook: Playbook, faults: Sequence[str]) -> dict[str, Any]:
    """What harden left on a host with these faults at once, and its last lines."""
    given: dict[str, Any] = {"chamilo_report_dir": str(playbook.directory / "report")}
    server = "nginx" if host.web == "nginx" else "apache2"
    for section in faults:
        host.run(FAULTS[section].breaks.replace("SERVER", server))
        given |= FAULTS[section].variables
    with pytest.raises(PlayError) as refused:
        playbook.run("harden", host, **given)
    assert "exit code 2" in str(refused.value)
    # The site answers as before, and nobody is sent where it does not.
    assert host.http("/").status in (200, 301)
    for section in faults:
        host.run(FAULTS[section].mends.replace("SERVER", server))
    screen = " ".join(str(refused.value).split("PLAY RECAP")[1].split())
    left = ", ".join(section for section in SECTIONS if section in faults)
    assert f"{host.domain}: Not enforced: {left}." in screen and "All sections are active" not in screen
    assert "When that is mended: ansible-playbook" in screen
    return written(playbook)


def test_a_fault_keeps_no_other_section_from_being_enforced(fresh: Host, playbook: Playbook) -> None:
    halves = (
        ["https", "passwords", "brute_force", "headers", "uploads", "monitoring"],
        ["updates", "permissions", "sessions", "database", "backups"],
    )
    for number, faults in enumerate(halves):
        found = broken(fresh, playbook, faults)
        assert {name for name, state in found["sections"].items() if state == "left"} == {*faults}
        assert {name for name, state in found["sections"].items() if state == "enforced"} == {*SECTIONS} - {*faults}
        if not number:  # without a certificate http serves as before
            front = fresh.http("/")
            assert front.status == 200 and not front.values("Strict-Transport-Security")
            assert all("secure" not in one.lower() for one in front.values("Set-Cookie"))
    report = str(playbook.directory / "report")
    assert playbook.harden(fresh, chamilo_report_dir=report) > 0
    assert set(written(playbook)["sections"].values()) == {"enforced"} and written(playbook)["left"] == {}
    assert playbook.harden(fresh, chamilo_report_dir=report) == 0


@pytest.mark.long
@pytest.mark.parametrize("section", FAULTS)
def test_each_fault_alone(fresh: Host, playbook: Playbook, section: str) -> None:
    found = broken(fresh, playbook, [section])
    assert found["left"].keys() == {section}
    assert {name for name, state in found["sections"].items() if state == "enforced"} == {*SECTIONS} - {section}
    assert playbook.harden(fresh) > 0
    assert playbook.harden(fresh) == 0
