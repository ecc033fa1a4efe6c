# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chamilo's own set-up for Apache: the virtual host that it ships, and PHP as a module of Apache."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.hosts.hardening import Playbook, missing_from_the_portal, unrelated_site
from tests.testbed.hosts import Host
from tests.vhosts import DOMAIN, cases

pytestmark = pytest.mark.long

SECTIONS = ("https", "permissions", "headers", "sessions", "brute_force", "uploads")
FILE = "/etc/apache2/sites-available/chamilo.conf"
# What its owner has PHP do, and what ours add.
SET = {
    "memory_limit": "256M",
    "upload_max_filesize": "256M",
    "post_max_size": "256M",
    "pcre.jit": "0",
    "error_reporting": "6135",
    "display_startup_errors": "0",
    "display_errors": "0",
    "auto_prepend_file": "/usr/local/share/chamilo-hardening/prepend.php",
}
ASKED = "/main/inc/asked.php"


def as_shipped(host: Host) -> None:
    host.run("apt-get -q update && apt-get -q -y --no-install-recommends install libapache2-mod-php")
    host.run(
        "a2disconf -q 'php*-fpm'; a2dismod -q mpm_event proxy_fcgi 2>/dev/null;"
        " a2enmod -q mpm_prefork $(ls /etc/apache2/mods-available | grep -o '^php[0-9.]*[0-9]')"
        " && systemctl disable -q --now $(cd /usr/lib/systemd/system; ls php*-fpm.service)"
    )
    (case,) = [case for case in cases("apache") if case.name.startswith("a01-")]
    (text,) = case.files.values()
    host.put(FILE, text.replace(DOMAIN, host.domain))
    host.run("systemctl restart apache2")
    assert host.wait(f"http://{host.domain}/login").status == 200


def reported(host: Host, scheme: str) -> dict[str, str]:
    """What PHP goes by in a script of the portal."""
    answer = host.http(f"{scheme}://{host.domain}{ASKED}")
    assert answer.status == 200, answer.body
    return {name: value for name, value in json.loads(answer.body).items() if name in SET}


@pytest.mark.cells("trixie-apache")
def test_chamilos_own_set_up_for_apache_is_hardened(fresh: Host, tmp_path: Path) -> None:
    host, playbook = fresh, Playbook(tmp_path, ",".join(SECTIONS))
    as_shipped(host)
    host.put(f"/var/www/chamilo/public{ASKED}", "<?php echo json_encode(ini_get_all(null, false));", "0644")
    owners, beside, before = host.get(FILE), unrelated_site(host), reported(host, "http")
    assert before == {**SET, "display_errors": before["display_errors"], "auto_prepend_file": ""}

    playbook.harden(host)
    assert not missing_from_the_portal(host, "https")
    assert unrelated_site(host) == beside
    assert reported(host, "https") == SET
    playbook.run("audit", host)
    controls = json.loads((tmp_path / "report/report.json").read_text())["hosts"][0]["controls"]
    red = [one for one in controls if one["status"] == "fail" and one["level"] in ("must", "should")]
    # PHP is in Apache, and no wall is between them.
    assert {one["id"] for one in red if one["section"] in SECTIONS} == {"brute_force_forgery", "sessions_apart"}
    assert playbook.harden(host) == 0

    for section in SECTIONS[::-1]:
        host.run(["chamilo-hardening", "undo", section, "--yes"])
    assert host.get(FILE) == owners
    assert reported(host, "http") == before
    assert not missing_from_the_portal(host, "http")
