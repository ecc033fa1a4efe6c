# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts are nodes of which portal: any number of portals in one inventory, decided by its variables alone."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleError

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _portals
from ansible_collections.chamilo.hardening.plugins.plugin_utils._portals import Node, PortalError

CAMPUS, LIBRARY = {"chamilo_domain": "Campus.test"}, {"chamilo_domain": "library.test"}
TWO_PORTALS: dict[str, dict[str, Any]] = {
    "web1": {**CAMPUS, "group_names": ["chamilo", "chamilo_web"]},
    "web2": {**CAMPUS, "group_names": ["chamilo", "chamilo_web"]},
    "db1": {**CAMPUS, "group_names": ["chamilo", "chamilo_db"]},
    "shelf": {**LIBRARY, "chamilo_node": ["web"]},
    "store": {"chamilo_portal": "library.test", "chamilo_node": ["database"]},
    "small.test": {},
}


def nodes(hosts: dict[str, dict[str, Any]]) -> dict[str, Node]:
    return _portals.read_all(hosts, hosts)


def portal(host: str, hosts: dict[str, dict[str, Any]]) -> tuple[list[str], list[str], str]:
    found = _portals.of_host(host, nodes(hosts))
    return list(found.web), list(found.database), found.leader()


def test_each_portal_of_an_inventory_has_its_own_nodes_and_one_leader() -> None:
    for host in ("web1", "web2", "db1"):
        assert portal(host, TWO_PORTALS) == (["web1", "web2"], ["db1"], "web1")
    for host in ("shelf", "store"):
        assert portal(host, TWO_PORTALS) == (["shelf"], ["store"], "shelf")
    assert portal("small.test", TWO_PORTALS) == (["small.test"], [], "small.test")
    leads = {host: _portals.of_host(host, nodes(TWO_PORTALS)).of(host)["leads"] for host in TWO_PORTALS}
    assert [host for host, yes in leads.items() if yes] == ["web1", "shelf", "small.test"]


def test_a_database_that_names_no_portal_is_that_of_portals_without_one() -> None:
    store = {"group_names": ["chamilo_db"], "chamilo_domain": "db.test"}
    web = {"group_names": ["chamilo_web"]}
    hosts = {"campus.test": web, "db.test": store, "alone.test": {}}
    assert portal("campus.test", hosts)[1] == ["db.test"]
    assert portal("db.test", hosts) == (["campus.test"], ["db.test"], "campus.test")
    assert portal("alone.test", hosts)[1] == [], "not the database of another portal"
    hosts["library.test"] = web
    assert portal("library.test", hosts)[1] == ["db.test"]
    assert portal("db.test", hosts)[0] == ["campus.test", "library.test"]
    hosts["db2.test"] = {"group_names": ["chamilo_db"]}
    for host in ("library.test", "db2.test"):
        assert "Set chamilo_portal for each" in _portals.of_host(host, nodes(hosts)).error
    assert _portals.of_host("alone.test", nodes(hosts)).error == ""
    hosts["db2.test"] = {**hosts["db2.test"], "chamilo_portal": "library.test"}
    assert (portal("library.test", hosts)[1], portal("campus.test", hosts)[1]) == (["db2.test"], ["db.test"])
    assert portal("db.test", {"db.test": store}) == ([], ["db.test"], "")


def test_the_leader_is_declared_or_the_first_that_can_be_reached() -> None:
    hosts = {name: {**CAMPUS, "chamilo_leader": "b"} for name in "abc"}
    found = _portals.of_host("c", nodes(hosts))
    assert [found.leader(), found.leader(["b"]), found.leader("ab"), found.leader("abc")] == ["b", "a", "c", ""]
    assert [list(wave) for wave in found.waves(1)] == [["b"], ["a"], ["c"]]
    assert [list(wave) for wave in found.waves(2)] == [["b"], ["a", "c"]], "the others take its secrets"
    hosts["a"]["chamilo_leader"] = "c"
    assert "declare several leaders: c, b" in _portals.of_host("a", nodes(hosts)).error
    hosts = {name: {**CAMPUS, "chamilo_leader": "x"} for name in "ab"}
    assert "'x', which is no web node of campus.test. Valid: a, b." in _portals.of_host("a", nodes(hosts)).error


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({}, ("web", "database")),
        ({"chamilo_node": []}, ("web", "database")),
        ({"group_names": ["chamilo_db"]}, ("database",)),
        ({"group_names": ["chamilo_web"]}, ("web",)),
        ({"group_names": ["chamilo_web", "chamilo_db"]}, ("web", "database")),
        ({"group_names": ["chamilo_db"], "chamilo_node": ["web"]}, ("web",)),
        ({"chamilo_node": ["database", "web"]}, ("web", "database")),
    ],
)
def test_what_a_node_is_there_for(variables: dict[str, Any], found: tuple[str, ...]) -> None:
    assert _portals.purposes(variables) == found
    assert _portals.serves_web(variables) is ("web" in found)


@pytest.mark.parametrize(
    "variables",
    [
        {"chamilo_node": ["webb"]},
        {"chamilo_node": "web"},
        {"chamilo_portal": "a b"},
        {"chamilo_portal": "../x"},
        {"chamilo_domain": "<script>"},
        {"ansible_facts": {"chamilo_portal": "campus.test"}, "chamilo_portal": "campus.test"},
    ],
)
def test_a_host_that_is_misdeclared_or_lies_affects_no_other(variables: dict[str, Any]) -> None:
    hosts = {"web1": CAMPUS, "evil": variables}
    assert portal("web1", hosts) == (["web1"], [], "web1")
    if "ansible_facts" not in variables:
        with pytest.raises(PortalError, match=r"Invalid value for chamilo_\w+: "):
            _portals.read("evil", variables)
    assert _portals.serves_web(variables)


class Undefined(dict[str, Any]):
    def get(self, name: str, default: Any = None) -> Any:
        if name == "chamilo_domain":
            raise AnsibleError("'school' is undefined")
        return default


def test_a_variable_that_cannot_be_worked_out_costs_its_own_host_alone() -> None:
    hosts = {"web1": CAMPUS, "other": Undefined()}
    assert portal("web1", hosts)[0] == ["web1"]
    with pytest.raises(AnsibleError, match="'school' is undefined"):
        _portals.read("other", hosts["other"])


def test_nodes_are_changed_one_after_another_and_portals_side_by_side() -> None:
    def batches(hosts: list[str], **at_once: int) -> list[list[str]]:
        return _portals.order(nodes(TWO_PORTALS), hosts, at_once)

    every = list(TWO_PORTALS)
    assert batches(every) == [["db1", "store", "small.test"], ["web1", "shelf"], ["web2"]]
    assert batches(every, web1=2, web2=2) == [["db1", "store", "small.test"], ["web1", "shelf"], ["web2"]]
    three = dict.fromkeys(("web1", "web2", "web3"), CAMPUS)
    # The first web node that is left leads, and the others take its secrets.
    assert _portals.order(nodes(three), ["web2", "web3"], {"web2": 2}) == [["web2"], ["web3"]]
    assert batches(["web2", "shelf"]) == [["web2", "shelf"]], "what --limit leaves, with no empty batch"
    assert batches(["small.test", "elsewhere"]) == [["small.test", "elsewhere"]]
    assert batches([]) == []
    assert _portals.several(nodes(TWO_PORTALS), every) == ["web1", "web2", "db1", "shelf", "store"]
    assert _portals.several(nodes(TWO_PORTALS), ["small.test"]) == []


def given(host: str, hosts: dict[str, dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {**hosts[host], "inventory_hostname": host, "groups": {"all": list(hosts), "chamilo": list(hosts)}, **more}


def test_limit_leaves_no_node_out_and_other_hosts_are_none() -> None:
    hosts: dict[str, dict[str, Any]] = {"campus.test": {}, **dict.fromkeys(("web1", "web2"), CAMPUS)}
    groups = {"all": list(hosts), "chamilo": ["web1", "web2"]}
    variables = given("web2", hosts, groups=groups, ansible_play_hosts_all=["web2"], ansible_play_hosts=["web2"])
    _portal, node = _portals.here(variables, hosts)
    assert (node["web"], node["leader"], node["leads"]) == (["web1", "web2"], "web1", False)


def test_a_node_that_cannot_be_reached_does_not_lead() -> None:
    for answer, leads in (({}, False), ({"failed": True}, False), ({"unreachable": True}, True)):
        hosts = {"web1": {**CAMPUS, "__chamilo_common_info": answer}, "web2": CAMPUS}
        assert _portals.here(given("web2", hosts), hosts)[1]["leads"] is leads, "one that failed still does"


def test_what_a_role_is_given_for_one_host_counts_for_it() -> None:
    hosts: dict[str, dict[str, Any]] = {"web1": {}, "web2": CAMPUS}
    assert _portals.here(given("web1", hosts, **CAMPUS), hosts)[1]["web"] == ["web1", "web2"]
    with pytest.raises(PortalError, match="declare several leaders"):
        _portals.here(
            given("web1", hosts, **CAMPUS, chamilo_leader="web1"),
            {**hosts, "web2": {**CAMPUS, "chamilo_leader": "web2"}},
        )


def found(fingerprint: str, *groups: str, **more: Any) -> dict[str, Any]:
    site = {"fingerprint": fingerprint, "root": "/var/www/chamilo"}
    return {"group_names": groups, "__chamilo_common_info": {"site": site}, **more}


@pytest.mark.parametrize(
    ("other", "refused"),
    [
        (found("x"), True),
        (found("x", "chamilo_web", "chamilo_db"), True),
        (found("x", "chamilo_db"), False),
        (found("y"), False),
        (found(""), False),
        ({"group_names": ()}, False),
        ({"group_names": (), "__chamilo_common_info": {"failed": True}}, False),
    ],
)
def test_two_inventory_names_of_one_portal_are_refused(other: dict[str, Any], refused: bool) -> None:
    hosts = {"campus.test": found("x"), "library.test": other}
    for name, beside in (("campus.test", "library.test"), ("library.test", "campus.test")):
        play = {"ansible_play_hosts_all": ["campus.test", "library.test"], "hostvars": hosts}
        output = _portals.refusal({**hosts[name], **play, "inventory_hostname": name})
        assert bool(output) is refused, (name, beside)
        if refused:
            assert output.startswith("Inventory names campus.test, library.test: one portal. ")
            assert "/var/www/chamilo" in output and "chamilo_names" in output
