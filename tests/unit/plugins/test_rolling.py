# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook harden over portals with several nodes: a connection stands in for the hosts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _answers
from tests.unit.plugins.test_hostile_hosts import World, empty, good  # noqa: F401 (a fixture)

pytestmark = pytest.mark.slow
CAMPUS = {"chamilo_domain": "campus.test", "chamilo_database_tls": False}
HOSTS: dict[str, dict[str, Any]] = {
    "web1": {**CAMPUS, "chamilo_node": ["web"]},
    "web2": {**CAMPUS, "chamilo_node": ["web"]},
    "store": {**CAMPUS, "chamilo_node": ["database"], "chamilo_database_bind_address": "10.0.0.9"},
    "library.test": {},
    "library1.test": {"chamilo_domain": "library.example"},
    "library2.test": {"chamilo_domain": "library.example"},
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "world").mkdir()
    return World(tmp_path / "world", inline=True)


def harden(world: World, answers: dict[str, dict[str, Any]], *options: str, **variables: Any) -> str:
    for name in ("drain", "undrain"):
        path = world.directory / f"work/{name}.yml"
        path.write_text(f"- ansible.builtin.debug: {{msg: '{name} {{{{ inventory_hostname }}}}'}}\n")
        for host in ("web1", "web2"):
            HOSTS[host][f"chamilo_{name}_tasks"] = str(path)
    of_hosts = {
        host: {**HOSTS[host], "hostile_calls": str(world.directory.parent / f"{host}.calls")} for host in answers
    }
    # -v: with the hosts of each file of tasks that is included.
    return world.play("harden", answers, "-v", "--tags", "headers,database", *options, of_hosts=of_hosts, **variables)


def failed(output: str) -> list[str]:
    recap = output.split("PLAY RECAP")[1]
    return [line.split()[0] for line in recap.splitlines() if re.search(r"(failed|unreachable)=[1-9]", line)]


def order(output: str) -> list[list[str]]:
    """The hosts of each batch of the last play."""
    batches = [one.split("PLAY RECAP")[0] for one in output.split("PLAY [Enforce the security guide]")[1:]]
    return [
        sorted({host for of in re.findall(r"included: .* for (\S.*)", one) for host in of.split(", ")})
        for one in batches
    ]


def steps(output: str) -> list[str]:
    return [" ".join(each) for each in re.findall(r"/((?:un)?drain)\.yml for (\w+)$", output, re.MULTILINE)]


@pytest.fixture
def answers(good: dict[str, Any]) -> dict[str, dict[str, Any]]:
    account = {**empty(_answers.shape("chamilo_database_account")), "changed": False}
    alike = {**good, "chamilo_database_account": account}
    return {host: with_fingerprint(alike, host) for host in HOSTS if not re.match(r"library\d", host)}


def with_node(answers: dict[str, dict[str, Any]], host: str, **node: Any) -> dict[str, dict[str, Any]]:
    found = answers[host]["chamilo_site_info"]
    known = {"shared": {}, "secrets": {}, "sealed": "", **node}
    return {**answers, host: {**answers[host], "chamilo_site_info": {**found, "node": known}}}


def test_a_portal_is_hardened_node_by_node_and_its_database_first(world: World, answers: dict[str, Any]) -> None:
    output = harden(world, answers)
    assert failed(output) == [], output[-3000:]
    assert order(output) == [["library.test", "store"], ["web1"], ["web2"]]
    assert "Compare the nodes of each portal" in output
    assert steps(output) == ["drain web1", "undrain web1", "drain web2", "undrain web2"]
    alone = harden(world, {"library.test": answers["library.test"]})
    assert order(alone) == [["library.test"]]
    calls = (world.directory.parent / "library.test.calls").read_text().splitlines()
    assert sum("chamilo_site_info" in call for call in calls) == 2, "it is not discovered once more than it was"
    assert "WARNING" not in alone


def test_what_one_node_cannot_do_leaves_its_portal_as_it_was_and_no_other(
    world: World,
    answers: dict[str, Any],
) -> None:
    broken = {**answers, "web2": {**answers["web2"], "chamilo_site_info": {"failed": True, "msg": "No space left."}}}
    output = harden(world, broken)
    assert failed(output) == ["store", "web1"], "with them the run ends"
    assert "Node web2 of campus.test cannot be hardened, so store was left as it is. No space left." in flat(output)
    for host in ("web1", "store"):
        asked = (world.directory.parent / f"{host}.calls").read_text()
        assert "config_transaction" not in asked
    assert "config_transaction" in (world.directory.parent / "library.test.calls").read_text()


def test_a_shared_cache_and_other_secrets_are_refused_before_anything_changes(
    world: World,
    answers: dict[str, Any],
) -> None:
    shared = {"var/cache": "nfs4 nas:/campus /var/cache"}
    both = with_node(with_node(answers, "web1", shared=shared), "web2", shared=shared)
    output = harden(world, both)
    assert failed(output) == ["store", "web1"]
    assert flat(output).count("Nodes web1, web2 of campus.test share var/cache.") == 2
    assert "config_transaction" not in (world.directory.parent / "store.calls").read_text()


def test_a_node_that_fails_stops_the_next_one_and_no_other_portal(world: World, answers: dict[str, Any]) -> None:
    """Of two portals with two web nodes each, the second nodes are in one batch."""
    broken = {**answers, "web1": {**answers["web1"], "config_transaction": {"failed": True, "msg": "nginx -t failed."}}}
    others = {f"library{number}.test": with_fingerprint(answers["web1"], f"library{number}") for number in (1, 2)}
    output = harden(world, {**broken, **others})
    assert failed(output) == ["web2"], "with it the run ends"
    assert "web1: Not enforced: headers. 1 change: database 1." in flat(output)
    assert "Node web1 of campus.test failed in this run, so web2 was left as it is." in flat(output)
    assert "config_transaction" not in (world.directory.parent / "web2.calls").read_text()
    assert steps(output) == ["drain web1"], "it does not go back"
    assert "config_transaction" in (world.directory.parent / "library2.test.calls").read_text()


def test_a_node_that_goes_away_in_the_middle_stops_the_next_one(world: World, answers: dict[str, Any]) -> None:
    """As when its power fails: no answer reports what was done. The one that is left serves the portal as it did."""
    broken = {**answers, "web1": {**answers["web1"], "config_transaction": "away"}}
    others = {f"library{number}.test": with_fingerprint(answers["web1"], f"library{number}") for number in (1, 2)}
    output = harden(world, {**broken, **others})
    print(output)
    assert re.search(r"^web1 .*unreachable=1", output.split("PLAY RECAP")[1], re.MULTILINE)
    assert failed(output) == ["web1", "web2"]
    assert "Node web1 of campus.test failed in this run, so web2 was left as it is." in flat(output)
    assert not {"undrain web1", "drain web2"} & set(steps(output))
    assert "config_transaction" not in (world.directory.parent / "web2.calls").read_text()
    assert "config_transaction" in (world.directory.parent / "library2.test.calls").read_text()
    alone = harden(world, broken)
    assert re.search(r'web1: no longer reachable at "[^"]+". What that task did is not known.', flat(alone))
    assert "web2: left as it was: the run ended before its turn." in flat(alone)


def with_fingerprint(answer: dict[str, Any], text: str) -> dict[str, Any]:
    """The answers of another host."""
    info = answer["chamilo_site_info"]
    domain = HOSTS[text].get("chamilo_domain", text) if text in HOSTS else info["site"]["domain"]
    return {**answer, "chamilo_site_info": {**info, "site": {**info["site"], "fingerprint": text, "domain": domain}}}


def flat(output: str) -> str:
    return " ".join(output.split())
