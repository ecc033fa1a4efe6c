# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node is left as it is while another one of its portal cannot be changed, or contradicts it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleError

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _nodes, _portals

CAMPUS = {"chamilo_domain": "campus.test"}
NFS = {"var/cache": "nfs4 nas:/campus /var/cache", "var/log": "nfs4 nas:/web1 /log"}


def answered(**node: Any) -> dict[str, Any]:
    return {"__chamilo_common_info": {"site": {}, "node": {"shared": {}, "secrets": {}, **node}}}


def joined(declared: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    found = type(answer)(declared)
    found.update(answer)
    return found


def output(host: str = "web2", left: str = "web1 web2 other", more: Any = None, **answers: dict[str, Any]) -> str:
    hosts = {"web1": CAMPUS, "web2": CAMPUS, "other": {}}
    hostvars = {name: joined(values, answers.get(name, answered())) for name, values in hosts.items()}
    play = {"ansible_play_hosts_all": list(hosts), "ansible_play_hosts": left.split()}
    play |= {"chamilo_level": "should", "chamilo_waivers": []}
    groups = {"groups": {"all": list(hosts), "chamilo": list(hosts)}}
    return _nodes.stopped({**hostvars[host], **play, **groups, "inventory_hostname": host, **(more or {})}, hostvars)


def test_nodes_that_agree_stand_in_nobodys_way() -> None:
    assert output() == output("web1") == output("other") == ""
    assert (
        output(
            web1=answered(shared={"var/cache": "nfs4 nas:/a /1"}), web2=answered(shared={"var/cache": "nfs4 nas:/a /2"})
        )
        == ""
    )
    assert output(web1=answered(secrets={"APP_SECRET": "a"}), web2=answered(secrets={"APP_SECRET": "a"})) == ""


def test_a_cache_that_several_nodes_share_is_refused() -> None:
    for host in ("web1", "web2"):
        words = output(host, web1=answered(shared=NFS), web2=answered(shared={**NFS, "var/log": "nfs4 nas:/web2 /log"}))
        assert words.startswith("Nodes web1, web2 of campus.test share var/cache. Each would empty it"), words
    assert output("other", web1=answered(shared=NFS), web2=answered(shared=NFS)) == "", "another portal"


NEVER = "Invalid value for chamilo_https_hsts: 'never'."


def misdeclared(**variables: Any) -> dict[str, Any]:
    return {"__chamilo_preflight": {"failed": True, "msg": NEVER}, **variables}


@pytest.mark.parametrize("node", [["web"], ["webb"]])
def test_a_node_that_is_misdeclared_stops_its_portal_and_no_other(node: list[str]) -> None:
    """Of what it is there for nothing is known, where that is what is wrong."""
    wrong = misdeclared(chamilo_node=node)
    words = f"Node web1 of campus.test cannot be hardened, so web2 was left as it is. {NEVER}"
    assert output(left="web2 other", web1=wrong) == words
    assert output("other", left="web2 other", web1=wrong) == ""
    assert output(left="web1 web2", other=misdeclared(chamilo_node=node)) == ""


@pytest.mark.parametrize("domain", ["a b", "{{ nothing }}"])
def test_a_host_of_which_no_portal_is_known_may_be_a_node_of_any_with_several(domain: str) -> None:
    class Unknown(dict[str, Any]):
        def get(self, name: str, default: Any = None) -> Any:
            if name == "chamilo_domain" and "{{" in domain:
                raise AnsibleError("'nothing' is undefined")
            return super().get(name, default)

    wrong = Unknown(misdeclared(chamilo_domain=domain))
    words = output(left="web2 other", web1=wrong)
    assert (
        words.startswith("Of host web1 it is not known whose node it is, so web2 was left as it is.") and NEVER in words
    )
    assert output("other", left="web2 other", web1=wrong) == "", "alone, and named as its portal"
    liar = misdeclared(ansible_facts={"chamilo_domain": "campus.test"})
    assert output(left="web2 other", web1=liar) == "", "no node of any"


def test_secrets_that_differ_are_named_and_not_shown() -> None:
    words = output(web1=answered(secrets={"APP_SECRET": "1f"}), web2=answered(secrets={"APP_SECRET": "2f"}))
    assert words.startswith("Nodes web1, web2 of campus.test do not have the same APP_SECRET.")
    assert "1f" not in words and "2f" not in words


WAIVED = {"control": "permissions_secrets", "reason": "x", "owner": "y", "until": "2999-01-01"}


@pytest.mark.parametrize(
    ("given", "settled"),
    [
        ({}, True),
        ({"ansible_run_tags": ["permissions", "https"]}, True),
        ({"ansible_run_tags": ["sessions"]}, False),
        ({"ansible_skip_tags": ["permissions"]}, False),
        ({"ansible_play_hosts_all": ["web2", "other"]}, False),  # --limit
        ({"chamilo_waivers": [WAIVED]}, False),
    ],
)
def test_secrets_that_differ_become_those_of_the_leader(
    given: dict[str, Any], settled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_portals._Known, "salt", "s")
    apart = {name: answered(secrets={"APP_SECRET": name}) for name in ("web1", "web2")}
    assert (output(more={"ansible_run_tags": ["all"], **given}, **apart) == "") is settled


def test_a_salt_is_for_nodes_of_a_portal_with_several(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts: dict[str, dict[str, Any]] = {"web1": CAMPUS, "web2": CAMPUS, "alone": {}}
    monkeypatch.setattr(_portals._Known, "salt", "")
    assert _nodes.salted(Plain(), of_a_task("web1", hosts)) == {}
    monkeypatch.setattr(_portals._Known, "salt", "s")
    assert [_nodes.salted(Plain(), of_a_task(host, hosts)) for host in hosts] == [{"salt": "s"}, {"salt": "s"}, {}]
    with pytest.raises(AnsibleError, match="'x', which is no web node"):
        _nodes.salted(Plain(), of_a_task("web1", {**hosts, "web1": {**CAMPUS, "chamilo_leader": "x"}}))


@pytest.mark.parametrize(
    ("answer", "left", "words"),
    [
        (
            {"failed": True, "msg": "No \x1b[2Jspace."},
            "web1 web2",
            "Node web1 of campus.test cannot be hardened, so web2 was left",
        ),
        (
            {"refused": "No space."},
            "web1 web2",
            "Node web1 of campus.test cannot be hardened, so web2 was left as it is. No s",
        ),
        ({"site": {}}, "web2", "Node web1 of campus.test failed in this run, so web2 was left as it is."),
        ({"unreachable": True, "msg": "timed out"}, "web2", ""),
        ({"unreachable": True, "failed": True}, "web1 web2", ""),
    ],
)
def test_a_node_that_fails_stops_those_that_come_after_it(answer: dict[str, Any], left: str, words: str) -> None:
    found = output(left=f"{left} other", web1={"__chamilo_common_info": answer})
    assert found.startswith(words) and "\x1b" not in found
    assert bool(found) is bool(words)
    assert output("other", left=f"{left} other", web1={"__chamilo_common_info": answer}) == ""


def test_nodes_that_limit_leaves_out_stop_no_run() -> None:
    play = {"ansible_play_hosts_all": ["web2"], "ansible_play_hosts": ["web2"]}
    assert output(web1={}, more=play) == ""


CONTROLS = [
    "backups_database",
    "backups_private",
    "database_account",
    "database_bind",
    "headers_csp",
    "monitoring_accounts",
]


class Plain:
    """Whatever is given is no template."""

    def template(self, value: Any) -> Any:
        return value


def of_a_task(host: str, hosts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    variables = {"inventory_hostname": host, "hostvars": hosts, "groups": {"chamilo": list(hosts)}, **hosts[host]}
    return {**variables, "ansible_play_hosts_all": list(hosts)}


def audited(host: str, hosts: dict[str, dict[str, Any]]) -> dict[str, str]:
    return _nodes.elsewhere(Plain(), of_a_task(host, hosts), CONTROLS)


def test_each_node_is_audited_for_what_it_is_there_for() -> None:
    hosts = {"web1": CAMPUS, "web2": CAMPUS, "store": {**CAMPUS, "chamilo_node": ["database"]}, "alone": {}}
    assert audited("web1", hosts) == audited("alone", hosts) == {}
    assert sorted(audited("web2", hosts)) == ["backups_database", "monitoring_accounts"]
    assert audited("web2", hosts)["backups_database"] == "Done once for campus.test, by its node web1."
    assert sorted({*CONTROLS} - {*audited("store", hosts)}) == ["database_bind"]
    assert audited("web2", {**hosts, "web2": {**CAMPUS, "chamilo_node": ["x"]}}) == {}, "its preflight refuses it"
    assert _nodes.portal_of(Plain(), {"inventory_hostname": "web2", **CAMPUS}) == "campus.test"
    assert _nodes.portal_of(Plain(), {"inventory_hostname": "web2", "chamilo_node": ["x"]}) == ""


def test_a_node_is_audited_as_one_of_several() -> None:
    hosts = {"web1": CAMPUS, "web2": CAMPUS, "store": {**CAMPUS, "chamilo_node": ["database"]}, "alone": {}}
    found = {host: _nodes.audited_as(Plain(), of_a_task(host, hosts), "5") for host in hosts}
    node = {"attempts": 3, "several_nodes": True}
    assert found == {"web1": node, "web2": node, "store": node, "alone": {}}
    behind = {host: {**hosts[host], "chamilo_https_terminated_elsewhere": True} for host in ("web1", "web2")}
    reason = "Done once for campus.test, by its node web1."
    assert _nodes.elsewhere(Plain(), of_a_task("web2", behind), ["https_protocols", "https_hsts"]) == {
        "https_protocols": reason
    }
    assert _nodes.elsewhere(Plain(), of_a_task("web1", behind), ["https_protocols"]) == {}


def test_hundreds_of_portals_of_one_node_are_reported_apart_without_reading_all_of_them() -> None:
    class Unread(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            raise AssertionError("read")

    assert _nodes.elsewhere(Plain(), {"inventory_hostname": "a.test", "hostvars": Unread()}, CONTROLS) == {}


def test_what_is_declared_wrongly_is_the_reason() -> None:
    variables = {**CAMPUS, "inventory_hostname": "web1", "chamilo_leader": "x", "hostvars": {}}
    assert _nodes.refusal(None, {"inventory_hostname": "web1"}) == ""
    assert "'x', which is no web node of campus.test" in _nodes.refusal(Plain(), variables)
