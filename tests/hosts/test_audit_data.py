"""The audit's sections passwords, brute_force, database, backups and monitoring, on real hosts.

Each is red on a sloppy host for the right reason, green once the thing is done by hand, and red again when undone.
The checks run on the host under its own Python, without Ansible around them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.hosts.hardening import dump
from tests.testbed.engine import ROOT
from tests.testbed.hosts import Host

SECTIONS = ("passwords", "brute_force", "database", "backups", "monitoring")
DIRECTORY = "/opt/audit"
PACKAGE = "ansible_collections/chamilo/hardening/plugins/module_utils"
PROGRAM = f"""
import json, sys, time
sys.path.insert(0, "{DIRECTORY}")
sys.dont_write_bytecode = True
from {PACKAGE.replace("/", ".")}._audit import {", ".join(SECTIONS)}, https, permissions
from {PACKAGE.replace("/", ".")}._common.control import checks, observe
from {PACKAGE.replace("/", ".")}._application.observer import Observer
from {PACKAGE.replace("/", ".")}._application.discovery import discover
options = json.load(sys.stdin)
chosen = tuple(options.pop("sections"))
observer = Observer(discover(options.pop("domain")), options)
began = time.monotonic()
found = observe({{name: check for name, check in checks.items() if name.startswith(chosen)}}, observer)
json.dump({{"seconds": time.monotonic() - began,
           "found": {{name: [finding.status, finding.evidence] for name, finding in found.items()}}}}, sys.stdout)
"""


@dataclass(frozen=True)
class Audit:
    status: Mapping[str, str]
    evidence: Mapping[str, str]
    seconds: float


def audit(host: Host, *sections: str, user: str = "root", **options: Any) -> Audit:
    prefixes = [f"{section}_" for section in sections or SECTIONS]
    words = ["python3", "-c", PROGRAM]
    reported = json.dumps({"domain": host.domain, "sections": prefixes, **options})
    answer = json.loads(host.run(words, user=user, data=reported).stdout)
    found = answer["found"]
    return Audit(
        {name: status for name, (status, _evidence) in found.items()},
        {name: evidence for name, (_status, evidence) in found.items()},
        answer["seconds"],
    )


def install(host: Host) -> Host:
    host.put_tree(ROOT / "plugins/module_utils", f"{DIRECTORY}/{PACKAGE}")
    return host


@pytest.fixture
def sloppy(stage: Callable[..., Host]) -> Host:
    return stage("with the audit", install)


RED = {
    "passwords_length": "5 characters",
    "passwords_mix": "no mix of cases",
    "passwords_enforced": "'false'",
    "passwords_expiry": "'0'",
    "brute_force_lock": "'0'",
    "brute_force_captcha": "'false'",
    "brute_force_captcha_block": "''",
    "brute_force_fail2ban": "not installed",
    "brute_force_unlock": "no program",
    "database_account": "an administrator by another name",
    "database_privileges": "ALL PRIVILEGES on *.*",
    "database_bind": "0.0.0.0:3306",
    "database_audit_log": "not loaded",
    "backups_database": "No backup of the database",
    "backups_files": "No backup of the uploads",
    "backups_offsite": "No copy on another machine",
    "backups_encrypted": "No encrypted backup",
    "backups_restore_tested": "No restore test was recorded",
    "backups_private": "public/dump.sql",
    "monitoring_app_log": "nothing shows that errors",
    "monitoring_resources": "No watch over processor",
    "monitoring_auth": "No count of failed logins",
    "monitoring_accounts": "2 are administrators: admin, second.admin",
    "monitoring_delivery": "No test alert",
    "monitoring_integrity": "No comparison",
}


def test_a_sloppy_host_is_red_for_the_right_reasons(sloppy: Host) -> None:
    sloppy.run("rm -f /var/www/chamilo/var/log/*.log")
    path = dump(sloppy)
    found = audit(sloppy)
    sloppy.run(["rm", path])
    unlike = {
        name: f"{found.status[name]}: {found.evidence[name]}"
        for name, words in RED.items()
        if found.status[name] != "fail" or words not in found.evidence[name]
    }
    assert unlike == {}
    assert {name: status for name, status in found.status.items() if name not in RED} == {
        "brute_force_forgery": "not_applicable",
        "brute_force_friends": "not_applicable",
        "brute_force_interfaces": "not_applicable",  # since 3.0
        "monitoring_compromise": "not_assessed",  # nothing was listed there
    }
    password = sloppy.run("sed -n \"s/^DATABASE_PASSWORD='\\(.*\\)'$/\\1/p\" /var/www/chamilo/.env").stdout.strip()
    assert password and password not in json.dumps(dict(found.evidence))
    print(f"\n{len(found.status)} checks in {found.seconds:.2f} s")


def test_a_daily_dump_of_ones_own(sloppy: Host) -> None:
    script = "#!/bin/sh\numask 077\nmkdir -p /var/backups/db\nmariadb-dump chamilo >/var/backups/db/chamilo.sql\n"
    sloppy.put("/etc/cron.daily/dump", script, mode="0755")
    sloppy.run("/etc/cron.daily/dump")
    found = audit(sloppy, "backups")
    assert found.status["backups_private"] == "pass", found.evidence["backups_private"]
    for control in ("backups_database", "backups_files", "backups_encrypted", "backups_offsite"):
        assert found.status[control] == "fail" and "waive this control" in found.evidence[control]
    sloppy.run("chmod 755 /var/backups/db; chmod 644 /var/backups/db/chamilo.sql")
    assert "/var/backups/db/chamilo.sql" in audit(sloppy, "backups").evidence["backups_private"]
