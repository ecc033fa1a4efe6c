"""All sections are undone by the lines of docs/recipes.md, and the host is as it was but for what they name."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.hosts.hardening import Playbook, missing_from_the_portal, unrelated_site
from tests.testbed.engine import ROOT
from tests.testbed.hosts import Host

pytestmark = pytest.mark.long

PORTAL = "/var/www/chamilo"
# What packages bring, what programs write into their own directories, and the time at which something was written.
OTHERS = [
    "/usr/*",
    "/root*",
    "/opt*",
    "/boot*",
    "/var/lib/*",
    "/var/cache/*",
    "/var/log/*",
    "/var/backups*",
    "/var/spool/*",
]
OTHERS += [
    "/var/tmp*",
    "/var/mail*",
    f"{PORTAL}/var/*",
    "/etc/ld.so.cache",
    "/etc/passwd*",
    "/etc/group*",
    "/etc/*shadow*",
]
# What stays by the recipe: secrets, the account of the application.
STAYS = {
    f"{PORTAL}/.env",
    f"{PORTAL}/config/jwt/private.pem",
    f"{PORTAL}/config/jwt/public.pem",
    "database:mysql.db",
    "database:mysql.global_priv",
}
# What the check of the portal leaves there, and a job of the unrelated site.
VISITS = {f"database:chamilo.{table}" for table in ("resource_file", "track_e_login", "track_e_login_record", "user")}
VISITS |= {"database:shop.visit"}
# What the program that stays is made of, key and account of the backups, and what fail2ban would not start without.
OURS = {
    "/etc/chamilo-hardening",
    "/etc/chamilo-hardening/alert.json",
    "/etc/chamilo-hardening/backup-campus_test.cnf",
    "/etc/chamilo-hardening/backups-campus_test.key",
    "/etc/fail2ban/jail.d/chamilo-hardening-sshd.conf",
    "/etc/systemd/system/chamilo-hardening-daily.service",
    "/etc/systemd/system/chamilo-hardening-daily.timer",
    "/etc/systemd/system/chamilo-hardening-recover.service",
    "/etc/systemd/system/sysinit.target.wants/chamilo-hardening-recover.service",
    "/etc/systemd/system/timers.target.wants/chamilo-hardening-daily.timer",
    "unit:chamilo-hardening-daily.service",
    "unit:chamilo-hardening-daily.timer",
    "unit:chamilo-hardening-recover.service",
}
LINE = re.compile(r"^(?P<path>.*): (?P<before>.+) -> (?P<after>.+)$")
# Of a line of the snapshot: kind, mode, owner, time, and what is in it.
WITHOUT_TIME = re.compile(r"^(\S \S+ \S+) \d+")
CONTENT = re.compile(r"^(\S) \S+ \S+ \d+")


def recipe() -> str:
    """The loop, as it stands in the recipe."""
    text = Path(ROOT, "docs/recipes.md").read_text()
    (found,) = re.findall(r"^    for section in .*?; done$", text, re.MULTILINE | re.DOTALL)
    return "\n".join(line.removeprefix("    ") for line in found.splitlines())


def left(changes: list[str]) -> set[str]:
    """What differs but for times; in the portal, whose owners and modes stay, what is in its files.

    Of what is new in /etc and among the units only what has our name: the rest came with packages.
    """
    found = set()
    for change in changes:
        line = LINE.match(change)
        assert line, change
        path, before, after = line["path"], line["before"], line["after"]
        same = CONTENT if path.startswith(PORTAL) else WITHOUT_TIME
        package = before == "absent" and path.startswith(("/etc/", "unit:")) and "chamilo" not in path
        if same.sub(r"\1", before) != same.sub(r"\1", after) and not package:
            found.add(path)
    return found


def test_the_documented_recipe_undoes_everything(fresh: Host, playbook: Playbook) -> None:
    other = unrelated_site(fresh)
    before = fresh.snapshot()
    playbook.harden(fresh, chamilo_https_hsts="off")
    assert fresh.http("/").status == 301
    done = fresh.run(recipe())
    print(done.stdout, done.stderr)
    assert json.loads(fresh.run("chamilo-hardening status --json").stdout)["sections"].keys() <= {"ssh_jail"}
    assert missing_from_the_portal(fresh, "http") == [] and unrelated_site(fresh) == other
    assert left(before.changes(fresh.snapshot(), OTHERS)) - STAYS - VISITS - OURS == set()
