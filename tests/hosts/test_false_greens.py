"""States in which a control has lost its effect: none of them is green. How one is added: CONTRIBUTING.md."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.chamilo.hardening.plugins.module_utils._backups.proof import fingerprint
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _advisories, _controls
from tests.hosts.conftest import RUN, Cell
from tests.hosts.hardening import SPARED, Playbook
from tests.hosts.test_backups import KEY, OFFSITE
from tests.hosts.test_monitoring import RECIPIENTS
from tests.run import SECTIONS
from tests.testbed import authority, store
from tests.testbed.engine import ROOT
from tests.testbed.hosts import Host
from tests.testbed.mail import Sink

STATES = ROOT / "tests/false_greens"
THERE = "/root/false-greens"
COLLECTION = "ansible_collections/chamilo/hardening"
SALT = "0" * 32


def states(web: str) -> list[dict[str, str]]:
    """Those of this web server, and of both."""
    read = [
        {"section": path.parent.name, "name": path.stem, **yaml.safe_load(path.read_text(encoding="utf-8"))}
        for path in sorted(STATES.glob("*/*.yml"))
    ]
    return [one for one in read if one.get("server", web) == web]


def asked(host: Host) -> dict[str, Any]:
    """What the playbook audit would ask this host for."""
    table = _controls.load()
    return {
        "domain": host.domain,
        "site": host.domain.replace(".", "_"),
        "friends": SPARED["chamilo_friends"],
        "hsts": "full",
        "key_holder": "another machine",
        "key_copy": "chamilo_backups_password",
        "key_proof": {"salt": SALT, "fingerprint": fingerprint(KEY, SALT)},
        "advisories": _advisories.brief(),
        "unenforced": _controls.unenforced(table, "should", []),
    }


def run(host: Host, chosen: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """What the host reports of the audit before, of each state, and of the audit after."""
    host.put_tree(ROOT / "plugins/module_utils", f"{THERE}/{COLLECTION}/plugins/module_utils")
    host.put(f"{THERE}/run.py", (ROOT / "tests/hosts/on_host_false_greens.py").read_text(encoding="utf-8"))
    host.put(f"{THERE}/host.sh", (STATES / "host.sh").read_text(encoding="utf-8"))
    for name, days in (("short", 2), ("own", 90)):
        chain, key = authority.issue(host.domain if name == "short" else "elsewhere.test", days=days)
        host.put(f"{THERE}/{name}.pem", chain)
        host.put(f"{THERE}/{name}.key", key, "0600")
    given = {"collection": THERE, "request": asked(host), "states": chosen}
    for line in host.run(["python3", "-B", f"{THERE}/run.py"], data=json.dumps(given)).stdout.splitlines():
        yield json.loads(line)


def prepared(host: Host, playbook: Playbook, directory: Path) -> None:
    playbook.harden(host, **RECIPIENTS, **OFFSITE, chamilo_report_dir=str(directory))
    host.run(["chamilo-hardening", "integrity", "accept"])


def test_no_state_without_its_effect_is_green(
    make: Callable[..., Host],
    sink: Sink,
    playbook: Playbook,
    cell: Cell,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    remote = store.up(f"{RUN}-own")
    host = make()
    prepared(host, playbook, tmp_path / "report")
    # All of them with --full or a matrix.
    chosen = states(cell.web)[:: 1 if request.config.getoption("--full") or request.config.getoption("--matrix") else 3]
    first, *reports, last = run(host, chosen)
    remote.down()
    controls = {one["name"]: one["control"] for one in chosen}
    before = {name: status for name, (status, _evidence) in first["before"].items()}
    print(*(f"{one['name']}: {one['status']} {one['evidence']} {one['seconds']}" for one in reports), sep="\n")
    green = {one["name"]: one["evidence"] for one in reports if one["status"] == "pass"}
    count = Counter(one["section"] for one in chosen)
    missed = Counter(one["section"] for one in chosen if one["name"] in green)
    print(*(f"{name:12} {count[name] - missed[name]:3} of {count[name]:3}" for name in SECTIONS), sep="\n")
    assert {one["name"]: one["problem"] for one in reports if one["problem"]} == {}
    assert {name for name, control in controls.items() if before[control] != "pass"} == set(), "not green before"
    known = {one["name"] for one in chosen if "missed" in one}
    assert {name: words for name, words in green.items() if name not in known} == {}
    if cell.web == "nginx":  # what both servers have may be noticed on one of them alone
        assert sorted(known - {*green}) == [], "noticed now: remove the line missed from these"
    assert {name: found for name, found in last["after"].items() if found[0] != before[name]} == {}
