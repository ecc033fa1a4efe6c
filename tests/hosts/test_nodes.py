"""Two portals in one inventory, one of them with two web nodes behind a load balancer that visitors use meanwhile.

The tests come in this order: each goes on with the hosts as the one before left them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator

import pytest

from tests.hosts.hardening import changed
from tests.hosts.load_balancer import Visitors
from tests.hosts.topology import WEB, Topology
from tests.playbook import ROOT
from tests.testbed import hosts

pytestmark = pytest.mark.long

NODES = (*WEB, "store", "library", "shelf")
RESTART = 2.0  # seconds for which the database may be away, where its address or its certificate changes


@pytest.fixture(scope="module")
def topology(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    network = f"chamilo-test-{os.getpid()}-nodes"
    folder = tmp_path_factory.mktemp("nodes")
    recipes = (ROOT / "docs/recipes.md").read_text()
    for name, text in zip(("drain", "undrain"), hooks(recipes)):
        (folder / f"{name}.yml").write_text(text)
    yield Topology(network, folder).up()
    hosts.down(network)


def hooks(recipes: str) -> list[str]:
    """The task files of the recipe for HAProxy, for the load balancer of these tests."""
    blocks = re.findall(r"(?<=\n\n)(?: {4}.*\n)+", recipes)
    found = [re.sub("^ {4}", "", block, flags=re.M) for block in blocks if "run/haproxy/admin.sock" in block]
    assert len(found) == 2
    return [block.replace("balancer.internal", "campus") for block in found]


def generated(topology: Topology, name: str) -> dict[str, str]:
    """The files of ours on a node, but for those of the backups: the leader has them, and its own password."""
    script = (
        "grep -rlsI 'chamilo.hardening\\|Managed by Ansible' /etc /usr/local /var/www/chamilo/config | sort |"
        " xargs sha256sum"
    )
    lines = topology[name].run(script).stdout.splitlines()
    found = {path: digest for digest, path in (line.split(maxsplit=1) for line in lines)}
    return {path: digest for path, digest in found.items() if "backup" not in path}


def report_of(topology: Topology) -> dict[str, dict[str, str]]:
    """Of each host the status of each control."""
    report = json.loads((topology.folder / "report/report.json").read_text())
    return {host["name"]: {row["id"]: row["status"] for row in host["controls"]} for host in report["hosts"]}


def test_a_portal_is_hardened_while_it_is_used(topology: Topology) -> None:
    with Visitors(topology.address) as visitors:
        first = topology.run("harden")
    assert visitors.asked > 100
    # Single requests fail outside of the restart: a weak point that docs/architecture.md names.
    later = [(at, said) for at, said in visitors.failed if at - visitors.failed[0][0] > RESTART]
    assert len(later) <= 2, visitors.failed
    assert all(first.changed[name] for name in NODES), first.changed
    with Visitors(topology.address) as visitors:
        again = topology.run("harden")
    assert again.changed == dict.fromkeys(NODES, 0), changed(again.output)
    assert visitors.failed == []
    one, other = (generated(topology, name) for name in WEB)
    assert one == other and one
    # What is done once is done by the leader alone.
    jobs = [topology[name].run("cat /etc/cron.d/chamilo-* 2>/dev/null", check=False).stdout for name in WEB]
    assert ["chamilo-hardening backup" in lines for lines in jobs] == [True, False]
    topology.run("audit")
    status = report_of(topology)
    assert set(status) == set(NODES)
    assert {name for name, rows in status.items() if rows["headers_nosniff"] == "pass"} == {*WEB, "library"}
    assert {name for name, rows in status["store"].items() if rows not in ("not_applicable", "people")} <= {
        "database_bind",
        "database_audit_log",
    }


def test_a_node_that_lost_its_headers_is_red_and_no_other(topology: Topology) -> None:
    file = "/etc/nginx/sites-available/chamilo-campus_test.d/headers.conf"
    topology["web2"].run(f"cp {file} /root/headers.conf && echo >{file} && systemctl reload nginx")
    topology.run("audit")
    status = report_of(topology)
    assert {name for name, rows in status.items() if rows["headers_nosniff"] == "fail"} == {"web2"}
    topology["web2"].run(f"cp /root/headers.conf {file} && systemctl reload nginx")
