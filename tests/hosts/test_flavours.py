"""Chamilo 3.0 in place of 2.0: hardened, at rest, audited and attacked, and its interfaces for programs."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.demo import apart
from tests.hosts.attacks import CONTROLS
from tests.hosts.attacks import through as unblocked
from tests.hosts.conftest import Cell
from tests.hosts.hardening import Playbook, changed, missing_from_the_portal
from tests.hosts.test_audit import APART, audit
from tests.hosts.test_prove import ATTACKS, CONSIDERED, prove
from tests.testbed import authority, flavours, images
from tests.testbed.hosts import Host

ROOT = "/var/www/chamilo"
DISCOVERY = "/.well-known/oauth-authorization-server"
MCP = {"method": "POST", "body": b"{}", "headers": {"Content-Type": "application/json"}}
# The other two interfaces are on, and nothing shows that they are used. Bbb is enabled in Chamilo, LtiProvider is not.
USED = {"chamilo_brute_force_interfaces": ["oauth"], "chamilo_uploads_plugins": ["BuyCourses", "bbb"]}
PLUGINS = ("/plugin/Bbb/webhook.php", "/plugin/LtiProvider/tool/jwks.php")


def test_chamilo_3_0_is_hardened_stays_so_and_rejects_attacks(
    cell: Cell, make: Callable[..., Host], playbook: Playbook
) -> None:
    if images.PHP[cell.release] < flavours.PHP["3.0"]:
        pytest.skip(f"Chamilo 3.0 does not run with PHP {images.PHP[cell.release]}")
    host = make("campus", flavour="3.0")
    assert (host.http("/mcp", **MCP).status, host.http(DISCOVERY).status) == (401, 200)

    assert [host.http(path).status for path in PLUGINS] == [401, 200]

    first = playbook.run("harden", host, **USED)
    assert "brute_force : Configure the account lock and the CAPTCHA of Chamilo" in changed(first.output)
    assert playbook.harden(host, **USED) == 0
    assert missing_from_the_portal(host, "https") == []

    secure = {"ca_file": str(authority.certificate()), "verify": True}
    assert host.http(f"https://{host.domain}/mcp", **secure, **MCP).status == 404
    assert host.http(f"https://{host.domain}{DISCOVERY}", **secure).status == 200, (
        "what ACME has beside it is no reason"
    )
    assert [host.http(f"https://{host.domain}{path}", **secure).status for path in PLUGINS] == [401, 403]
    host.run("systemctl stop mariadb")
    away = host.http(f"https://{host.domain}/main/install/index.php", **secure)
    host.run("systemctl start mariadb")
    assert away.status == 403, "the installer opens by itself while the database is away"

    # What the web user left before is for a person to read.
    host.run(["chamilo-hardening", "integrity", "accept"])
    # Chamilo's own check finds what harden left as it is, once it has a baseline, as the recipe says.
    for step in ("baseline", "scan"):
        scanned = host.run(f"cd {ROOT} && php bin/console app:file-integrity:{step}", user="www-data").stdout
    assert "0 differences" in scanned
    found = audit(playbook, host, **USED)
    red = {control["id"]: control["evidence"] for control in apart(list(found.values()))[1]}
    alone = {"brute_force_lock"} if host.web == "apache" else set()  # see test_audit.py
    assert {name: words for name, words in red.items() if name not in {*APART, *alone}} == {}
    assert "Chamilo 3.0.2 is installed" in found["updates_version"]["evidence"]
    assert "Declared as used: oauth." in found["brute_force_interfaces"]["evidence"]

    output = prove(playbook, host)
    through = {name for name, status in re.findall(r"id: (\w+) status: (\w+)", output) if status != "held"}
    assert through <= CONSIDERED
    assert f"{ATTACKS - len(through)} of {ATTACKS} attacks were blocked" in output
    assert unblocked(host) <= {one.id for one in CONTROLS if one.level == "consider"}
