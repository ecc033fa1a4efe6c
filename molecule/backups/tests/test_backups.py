"""What the role backups alone leaves behind, on nginx and Apache, on both releases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.engine import ROOT
from tests.testbed.hosts import Host

testinfra_hosts = ["ansible://backups"]

RECORD = "/var/lib/chamilo-hardening/backups.json"


@pytest.fixture
def domain(host: Any) -> str:
    return str(host.ansible.get_variables()["inventory_hostname"])


def site(domain: str) -> str:
    return domain.replace(".", "_").replace("-", "__")


def test_a_backup_was_made_and_brought_back(host: Any) -> None:
    known = json.loads(host.check_output(f"cat {RECORD}"))
    assert {name: known[name]["ok"] for name in ("database", "files", "drill")} == {
        "database": True,
        "files": True,
        "drill": True,
    }
    assert not known["offsite"]["ok"], "it is on this host alone"


def test_what_is_in_the_repository_is_the_portal(host: Any, domain: str) -> None:
    restic = (
        f"restic --repo /var/backups/chamilo-hardening/{site(domain)} "
        f"--password-file /etc/chamilo-hardening/backups-{site(domain)}.key"
    )
    assert len(json.loads(host.check_output(f"{restic} snapshots --json"))) == 2
    dump = host.check_output(f"{restic} dump --path /database.sql latest /database.sql | tail -n 2")
    assert dump.startswith("-- Dump completed")
    assert host.check_output(f"{restic} ls --json latest | grep -c /var/www/chamilo/public/index.php") == "1"


def test_the_key_is_here_and_on_the_controller_and_nobody_else_reads_either(host: Any, domain: str) -> None:
    key = host.file(f"/etc/chamilo-hardening/backups-{site(domain)}.key")
    (copy,) = Path(ROOT, ".cache/molecule/keys").glob(f"{domain}-*.key")
    assert copy.read_text().strip() == key.content_string.strip() != ""
    assert (key.mode, key.user, copy.stat().st_mode & 0o777) == (0o600, "root", 0o600)
    assert host.run(f"runuser -u www-data -- ls /var/backups/chamilo-hardening/{site(domain)}").rc != 0


def test_it_goes_on_each_night(host: Any, domain: str) -> None:
    lines = host.check_output(f"grep -h chamilo-hardening /etc/cron.d/*{site(domain)}").splitlines()
    jobs = [line.split("root ")[1] for line in lines if not line.startswith("#")]
    assert jobs == [f"chamilo-hardening {job} --quiet --site {site(domain)}" for job in ("backup", "drill")]


def test_the_portal_and_the_shop_beside_it_still_answer(portal: Host) -> None:
    assert portal.http("/login").status == 200
    assert portal.http("http://shop.test/").status == 200
