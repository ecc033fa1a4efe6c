"""A portal with two web nodes: they leave HAProxy and nginx while visitors use it, and each is audited itself."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hosts.load_balancer import DOMAIN, Visitors, balance, hooks
from tests.playbook import ROOT
from tests.testbed.hosts import Host

SLOW = 3.0  # seconds that a request takes which is under way
PORTS = {"haproxy": 443, "nginx": 8443}


def node(make: Callable[..., Host], name: str) -> Host:
    """A web node of the portal, with a database of its own: all that is checked here is which node answers."""
    made = make(name)
    made.run(f"sed -i 's/{made.domain}/{DOMAIN}/g' /etc/nginx/sites-available/chamilo && systemctl reload nginx")
    return made


def asked_by_its_audit(node: Host, balancer: Host) -> dict[str, list[str]]:
    """The nodes that answer, by whether the audit knows that there are several."""
    there, file = "/root/nodes", "/etc/nginx/sites-available/chamilo"
    node.run(f"sed -i 's/ *server_name {DOMAIN};/&\\nadd_header X-Node {node.name};/' {file} && systemctl reload nginx")
    node.run(f"echo '{balancer.address} {DOMAIN}' >>/etc/hosts")
    node.put_tree(ROOT / "plugins/module_utils", f"{there}/ansible_collections/chamilo/hardening/plugins/module_utils")
    node.put(f"{there}/run.py", Path(__file__).with_name("on_host_nodes.py").read_text(encoding="utf-8"))
    found: dict[str, list[str]] = json.loads(node.run(f"python3 -B {there}/run.py {there} {DOMAIN}").stdout)
    return found


def answered(host: Host) -> int:
    """How many of the visitors' requests a node has answered."""
    return int(host.run("grep -c 'GET / ' /var/log/nginx/access.log", check=False).stdout)


def busy(balancer: Host, port: int, went: list[str]) -> threading.Thread:
    """Requests under way at every node."""
    one = f"curl -sk -o /dev/null -w '%{{http_code}} ' -H 'Host: {DOMAIN}' https://127.0.0.1:{port}/_testbed/slow"
    command = f"for _ in 1 2 3 4; do {one}?seconds={SLOW:g} & done; wait"

    def ask() -> None:
        went.extend(balancer.run(command).stdout.split())

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.7)
    return thread


@pytest.mark.cells("trixie-nginx")
def test_a_node_leaves_the_load_balancer_and_comes_back_and_no_request_fails(
    cell: object, make: Callable[..., Host]
) -> None:
    nodes = [node(make, name) for name in ("web1", "web2")]
    balancer = balance(nodes[0].network, nodes)
    balancer.wait(f"https://{DOMAIN}/")
    for (name, port), of in zip(PORTS.items(), hooks()):
        went: list[str] = []
        with Visitors(balancer.address, port) as visitors:
            under_way = busy(balancer, port, went)
            assert of.run(of.drain, balancer, nodes[0]) > SLOW / 2, f"{name}: it waits for the requests under way"
            before = answered(nodes[0])
            nodes[0].run("systemctl stop nginx")  # what is done to it meanwhile harms no visitor
            assert of.run(of.drain, balancer, nodes[0]) < SLOW, f"{name}: it is out already"
            time.sleep(1.5)
            nodes[0].run("systemctl start nginx")
            assert answered(nodes[0]) == before, name
            under_way.join()
            of.run(of.undrain, balancer, nodes[0])
            time.sleep(1.5)
            assert answered(nodes[0]) > before, f"{name}: it is back"
        assert went == ["200"] * 4, name
        assert visitors.asked > 40 and visitors.failed == [], (name, visitors.failed)
    # Each of them; an audit that does not know of the other one hears now this node, now that one.
    seen = [asked_by_its_audit(one, balancer) for one in nodes]
    assert [one["True"] for one in seen] == [["web1"], ["web2"]]
    assert seen[1]["False"] == ["web1", "web2"]
