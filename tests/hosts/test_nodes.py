"""Two portals in one inventory, one of them with two web nodes behind a load balancer that visitors use meanwhile.

The tests come in this order: each goes on with the hosts as the one before left them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hosts.hardening import changed
from tests.hosts.load_balancer import Visitors
from tests.hosts.topology import WEB, Topology
from tests.playbook import ROOT, PlayError, play
from tests.testbed import hosts

pytestmark = pytest.mark.long

# A hook after which the power of the first node fails.
KILLED = """
- ansible.builtin.include_tasks: {drain}
- ansible.builtin.shell: (sleep 6; docker kill {container}) >/dev/null 2>&1 &
  delegate_to: localhost
  become: false
  when: inventory_hostname == "web1"
"""
NODES = (*WEB, "store", "library", "shelf")
RESTART = 2.0  # seconds for which the database may be away, where its address or its certificate changes


@pytest.fixture(scope="module")
def topology(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    network = f"chamilo-test-{os.getpid()}-nodes"
    directory = tmp_path_factory.mktemp("nodes")
    recipes = (ROOT / "docs/recipes.md").read_text()
    for name, text in zip(("drain", "undrain"), hooks(recipes)):
        (directory / f"{name}.yml").write_text(text)
    yield Topology(network, directory).up()
    hosts.down(network)


def hooks(recipes: str) -> list[str]:
    """The task files of the recipe for HAProxy, for the load balancer of these tests."""
    blocks = re.findall(r"(?<=\n\n)(?: {4}.*\n)+", recipes)
    found = [re.sub("^ {4}", "", block, flags=re.M) for block in blocks if "run/haproxy/admin.sock" in block]
    assert len(found) == 2
    return [block.replace("balancer.internal", "campus") for block in found]


def failing(topology: Topology, playbook: str, **variables: Any) -> str:
    """What a run says that does not succeed."""
    with pytest.raises(PlayError) as stopped:
        topology.run(playbook, **variables)
    return " ".join(str(stopped.value).split())


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
    report = json.loads((topology.directory / "report/report.json").read_text())
    return {host["name"]: {row["id"]: row["status"] for row in host["controls"]} for host in report["hosts"]}


def test_the_restart_of_the_database_can_be_put_off(topology: Topology) -> None:
    started = "systemctl show -p ExecMainStartTimestamp mariadb"
    before = topology["store"].run(started).stdout
    with Visitors(topology.address) as visitors:
        first = topology.run("harden", chamilo_database_restart="later")
    assert visitors.asked > 100 and visitors.failed == []
    assert all(first.changed[name] for name in WEB), first.changed
    output = " ".join(first.output.split())
    for name in WEB:
        assert f"{name}: Not active: database, backups (the restart of the database on store is put off)." in output
    assert "store: Not active: database (the restart of mariadb is put off)." in output
    again = topology.run("harden", chamilo_database_restart="later")
    assert again.changed == dict.fromkeys(NODES, 0), changed(again.output)
    assert topology["store"].run(started).stdout == before
    status = topology["store"].run("chamilo-hardening status").stdout
    assert "PUT OFF: The restart of mariadb is put off since " in status
    topology.run("audit")
    report = json.loads((topology.directory / "report/report.json").read_text())
    (evidence,) = [
        row["evidence"]
        for host in report["hosts"]
        for row in host["controls"]
        if (host["name"], row["id"]) == ("store", "database_bind")
    ]
    assert "The restart of mariadb is put off" in evidence


def test_a_portal_is_hardened_while_it_is_used(topology: Topology) -> None:
    # Each node is out of service while it is changed: only the restart of the database is seen.
    with Visitors(topology.address) as visitors:
        first = topology.run("harden")
    assert visitors.asked > 100
    assert [one for one in visitors.failed if one[0] - visitors.failed[0][0] > RESTART] == [], visitors.failed
    assert all(first.changed[name] for name in (*WEB, "store")), first.changed
    assert "PUT OFF" not in topology["store"].run("chamilo-hardening status").stdout
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


def test_a_section_is_undone_on_one_node_after_the_other_and_no_request_fails(topology: Topology) -> None:
    recipe = (ROOT / "docs/recipes.md").read_text().partition("such as an undo")[2]
    block = re.split(r"\n\n", recipe)[1] + "\n"
    path = topology.directory / "undo.yml"
    path.write_text(re.sub("^ {4}", "", block, flags=re.M).replace("chamilo_web", "campus_web"))
    with Visitors(topology.address) as visitors:
        play(str(path), topology.inventory())
    assert visitors.asked > 20 and visitors.failed == []
    for name in WEB:
        output = topology[name].run("chamilo-hardening status").stdout
        assert not re.search(r"^ +headers:", output, re.MULTILINE), output
    with Visitors(topology.address) as visitors:
        again = topology.run("harden")
    assert visitors.failed == []
    assert all(again.changed[name] for name in WEB)
    assert [again.changed[name] for name in NODES if name not in WEB] == [0, 0, 0], changed(again.output)


def test_a_database_comes_back_from_its_backup_and_no_request_fails(topology: Topology) -> None:
    topology["web1"].run("chamilo-hardening backup")
    topology["store"].run(
        ["mariadb", "-e", "GRANT ALL ON *.* TO keeper@'%' IDENTIFIED BY 'kept-for-a-test' WITH GRANT OPTION"]
    )
    topology["store"].run(
        ["mariadb", "chamilo"], data="UPDATE settings SET title = 'mislaid' WHERE variable = 'platform_language';"
    )
    login = {"chamilo_database_admin_user": "keeper", "chamilo_database_admin_password": "kept-for-a-test"}
    with Visitors(topology.address) as visitors:
        topology.run("restore", "--limit", "web1", chamilo_restore="database", chamilo_restore_confirm="web1", **login)
    topology["store"].run(["mariadb", "-e", "DROP USER keeper@'%'"])
    assert visitors.asked > 20 and visitors.failed == []
    assert "mislaid" not in topology["store"].run(["mariadb", "chamilo", "-e", "SELECT title FROM settings"]).stdout
    again = topology.run("harden")
    assert again.changed == dict.fromkeys(NODES, 0), changed(again.output)


def test_a_shared_disk_that_is_read_only_leaves_both_nodes_as_they_were(topology: Topology) -> None:
    for name in WEB:
        topology[name].run("mount -i -o remount,bind,ro /var/www/chamilo/var/upload")
    output = failing(topology, "harden")
    for name in WEB:
        topology[name].run("mount -i -o remount,bind,rw /var/www/chamilo/var/upload")
    assert "File system /var/www/chamilo/var/upload: read-only. Nothing can be written there." in output


def test_a_load_balancer_that_is_away_leaves_the_web_nodes_as_they_were(topology: Topology) -> None:
    topology["campus"].run("systemctl stop haproxy")
    output = failing(topology, "harden")
    topology["campus"].run("systemctl start haproxy")
    assert 'web1: FAILED at "Send visitors to the other nodes, and wait for the requests under way".' in output
    assert "Node web1 of campus.test failed in this run, so web2 was left as it is." in output


def test_a_database_that_is_away_leaves_the_web_nodes_as_they_were(topology: Topology) -> None:
    topology["store"].run("systemctl stop mariadb")
    output = failing(topology, "harden")
    topology["store"].run("systemctl start mariadb")
    assert "Database on store.test: Connection refused. The portal needs it" in output
    assert "Send visitors to the other nodes" not in output, "no node leaves the load balancer"


def test_a_node_that_is_killed_in_the_middle_stays_out_until_it_is_hardened(topology: Topology) -> None:
    for section in ("headers", "uploads"):
        for name in WEB:
            topology[name].run(f"chamilo-hardening undo {section} --yes")
    path = topology.directory / "killed.yml"
    path.write_text(KILLED.format(drain=topology.directory / "drain.yml", container=topology["web1"].container))
    with Visitors(topology.address) as visitors:
        output = failing(topology, "harden", of_campus={"chamilo_drain_tasks": str(path)})
    assert re.search(r'web1: (FAILED|no longer reachable) at "', output), output[-3000:]
    assert "Node web1 of campus.test failed in this run, so web2 was left as it is." in output
    assert "web2: left as it was: the run ended before its turn." in output or 'web2: FAILED at "' in output
    topology["web1"].restart()
    assert visitors.failed == []
    with Visitors(topology.address) as visitors:
        on = topology.run("harden")
    assert visitors.failed == []
    assert on.changed["web1"] and on.changed["web2"]
    assert topology.run("harden").changed == dict.fromkeys(NODES, 0)
    one, other = (generated(topology, name) for name in WEB)
    assert one == other
