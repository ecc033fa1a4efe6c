# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts of the inventory are nodes of which portal, and which node does what is done once per portal.

Only variables of the inventory decide, and what the playbook sets. What a host answered never does: a host with facts
that are named like variables of this collection belongs to no other portal by them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleError
from jinja2.exceptions import UndefinedError

from . import _facts

WEB, DATABASE = "web", "database"
PURPOSES = (WEB, DATABASE)
GROUPS = {"chamilo_web": WEB, "chamilo_db": DATABASE}
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\Z")


# A variable that cannot be worked out: outside a template, and inside one.
NOT_WORKED_OUT = (AnsibleError, UndefinedError)


class PortalError(Exception):
    """The hosts of a portal contradict each other; the message states what to set."""


@dataclass(frozen=True)
class Node:
    """A host, from its own variables alone."""

    host: str
    portal: str
    purposes: tuple[str, ...] = PURPOSES
    named: bool = True  # whether its variables determine its portal
    leader: str = ""  # which host its variables declare

    @property
    def web(self) -> bool:
        return WEB in self.purposes


@dataclass(frozen=True)
class Portal:
    """The nodes of one portal, in the order of the inventory."""

    name: str
    web: tuple[str, ...] = ()
    database: tuple[str, ...] = ()  # there for the database alone
    declared: str = ""
    error: str = ""  # how its hosts contradict each other, and what to set

    @property
    def hosts(self) -> tuple[str, ...]:
        return (*self.database, *self.web)

    def leader(self, unreachable: Collection[str] = ()) -> str:
        """The web node that does what is done once per portal; empty where there is none."""
        order = ([self.declared] if self.declared else []) + [host for host in self.web if host != self.declared]
        return next((host for host in order if host not in unreachable), "")

    def waves(self, at_once: int, leader: str = "") -> list[tuple[str, ...]]:
        """Its nodes in the order in which they are changed: its database, its leader, then so many at a time.

        The others take their secrets from the leader, which has to be done by then.
        """
        first = leader or self.leader()
        web = [host for host in self.web if host != first]
        chunks = [tuple(web[start : start + at_once]) for start in range(0, len(web), at_once)]
        return [wave for wave in (self.database, tuple(host for host in self.web if host == first), *chunks) if wave]

    def of(self, host: str, unreachable: Collection[str] = ()) -> dict[str, Any]:
        """What roles read about a host of this portal."""
        leader = self.leader(unreachable)
        return {
            "portal": self.name,
            "web": list(self.web),
            "database": list(self.database),
            "leader": leader,
            "leads": host == leader,
        }


def share(attempts: int, nodes: int) -> int:
    """After how many failed logins one of so many web nodes bans, when all of them together allow that many.

    Each counts by itself what the load balancer sends to it.
    """
    return -(-attempts // max(nodes, 1))


def purposes(variables: Mapping[str, Any]) -> tuple[str, ...]:
    """What a host is there for."""
    declared = variables.get("chamilo_node")
    if declared:
        if not isinstance(declared, (list, tuple)) or not set(map(str, declared)) <= set(PURPOSES):
            raise PortalError(
                f"Invalid value for chamilo_node: {declared!r}. Valid: a list of {' and '.join(PURPOSES)}. An "
                "empty one means both, or what its groups chamilo_web and chamilo_db determine."
            )
        return tuple(one for one in PURPOSES if one in declared)
    groups = variables.get("group_names") or ()
    return tuple(purpose for group, purpose in GROUPS.items() if group in groups) or PURPOSES


def serves_web(variables: Mapping[str, Any]) -> bool:
    """Whether a host serves its portal. One of which that is unknown counts as one that does."""
    try:
        return WEB in purposes(variables)
    except (PortalError, *NOT_WORKED_OUT):
        return True


def read(host: str, variables: Mapping[str, Any]) -> Node:
    """A host as its own variables declare it."""
    portal = portal_of(host, variables)
    named = portal != host.lower()
    return Node(host, portal, purposes(variables), named, str(variables.get("chamilo_leader") or ""))


def portal_of(host: str, variables: Mapping[str, Any]) -> str:
    """The name of its portal."""
    portal = str(variables.get("chamilo_portal") or variables.get("chamilo_domain") or host).lower()
    if not NAME.match(portal):
        raise PortalError(
            f"Invalid value for chamilo_portal: {portal!r}. It stands for the portal in reports. Valid: a name of "
            "letters, digits, dots, _ and -."
        )
    return portal


def read_all(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> dict[str, Node]:
    """The nodes among these hosts. One that cannot be read is left out: its own tasks give the reason."""
    found: dict[str, Node] = {}
    for host in hosts:
        if host not in hostvars:
            continue
        variables = hostvars[host]
        try:
            if _facts.reserved(variables.get("ansible_facts")):
                continue
            found[host] = read(host, variables)
        except (PortalError, *NOT_WORKED_OUT):
            continue
    return found


def portals(nodes: Iterable[Node]) -> dict[str, Portal]:
    """Each portal by its name.

    A host that is there for the database alone, and whose variables name no portal, serves each portal that has web
    nodes without a database and no other host for it.
    """
    web: dict[str, list[Node]] = {}
    stores: dict[str, list[Node]] = {}
    for node in nodes:
        (web if node.web else stores).setdefault(node.portal, []).append(node)
    any_client = [one.host for name, own in stores.items() for one in own if name not in web and not one.named]
    without = [
        name for name, own in web.items() if name not in stores and any(DATABASE not in one.purposes for one in own)
    ]
    found: dict[str, Portal] = {}
    for name, own in web.items():
        database = [one.host for one in stores.get(name, ())] or (any_client if name in without else [])
        serving = tuple(one.host for one in own)
        declared = list(dict.fromkeys(one.leader for one in [*own, *stores.get(name, ())] if one.leader))
        error = ""
        if name in without and len(any_client) > 1 and len(without) > 1:
            error = (
                f"The portals {', '.join(sorted(without))} have no database of their own, and {', '.join(any_client)} "
                "belong to no portal. Set chamilo_portal for each of these hosts to the portal whose database it runs."
            )
        elif len(declared) > 1:
            error = (
                f"The nodes of {name} declare several leaders: {', '.join(declared)}. Set chamilo_leader to one of "
                "them, for the whole portal."
            )
        elif declared and declared[0] not in serving:
            error = (
                f"Invalid value for chamilo_leader: {declared[0]!r}, which is no web node of {name}. Valid: "
                f"{', '.join(serving)}."
            )
        found[name] = Portal(name, serving, tuple(database), declared[0] if declared and not error else "", error)
    for name, own in stores.items():
        left = tuple(one.host for one in own if not any(one.host in portal.database for portal in found.values()))
        if left and name not in found:
            found[name] = Portal(name, (), left)
    return found


def of_host(host: str, nodes: Mapping[str, Node]) -> Portal:
    """The portal of a host; of one that is there for the databases of several, with all of their nodes."""
    name, known_portals = nodes[host].portal, portals(nodes.values())
    if name in known_portals:
        return known_portals[name]
    served = [portal for portal in known_portals.values() if host in portal.database]
    web = tuple(dict.fromkeys(node for portal in served for node in portal.web))
    errors = [portal.error for portal in served if portal.error]
    return Portal(served[0].name if len(served) == 1 else name, web, (host,), error=errors[0] if errors else "")


def order(nodes: Mapping[str, Node], hosts: Sequence[str], at_once: Mapping[str, int]) -> list[list[str]]:
    """These hosts in batches: in each, of every portal the nodes that may be changed at the same time."""
    batch: dict[str, int] = {}
    for portal in portals(nodes.values()).values():
        size = min((at_once[host] for host in portal.web if host in at_once), default=1)
        first = portal.leader([host for host in portal.web if host not in hosts])
        waves = [[host for host in wave if host in hosts] for wave in portal.waves(size, first)]
        for number, wave in enumerate(wave for wave in waves if wave):
            for host in wave:
                batch[host] = max(batch.get(host, 0), number)
    batches: list[list[str]] = [[] for _number in range(max(batch.values(), default=0) + 1)]
    for host in hosts:
        batches[batch.get(host, 0)].append(host)
    return [one for one in batches if one]


def several(nodes: Mapping[str, Node], hosts: Sequence[str]) -> list[str]:
    """Those of these hosts whose portal has more than one node."""
    of_several = [portal.hosts for portal in portals(nodes.values()).values() if len(portal.hosts) > 1]
    together = {host for one in of_several for host in one}
    return [host for host in hosts if host in together]


def considered(variables: Mapping[str, Any], more: Iterable[str] = ()) -> tuple[str, ...]:
    """The hosts that may be nodes of a portal, in the order of the inventory. ``--limit`` leaves none out."""
    groups = variables.get("groups") or {}
    ours = {host for name in ("chamilo", *GROUPS) for host in groups.get(name) or ()}
    ours.update(variables.get("ansible_play_hosts_all") or (), more)
    every = [host for host in groups.get("all") or () if host in ours]
    return (*every, *sorted(ours.difference(every)))


class _Known:
    """The nodes that this process has read. The callback of the playbooks does before Ansible forks for the tasks."""

    hostvars: Any = None
    nodes: Mapping[str, Node] = {}
    names: frozenset[str] = frozenset()
    salt: str = ""


def known(variables: Mapping[str, Any], hostvars: Mapping[str, Any], more: Iterable[str] = ()) -> dict[str, Node]:
    """All nodes, as their hosts declare them."""
    names = considered(variables, more)
    if _Known.hostvars is not hostvars or not _Known.names.issuperset(names):
        _Known.hostvars, _Known.names, _Known.nodes = hostvars, frozenset(names), read_all(names, hostvars)
    return dict(_Known.nodes)


def salt(make: bool = False) -> str:
    """What nodes key the hashes of their secrets with: one text for a whole run, or none where none is compared."""
    if make:
        _Known.salt = secrets.token_hex(16)
    return _Known.salt


def unread(variables: Mapping[str, Any], hostvars: Mapping[str, Any]) -> dict[str, str]:
    """The hosts of the play that are left out of the nodes, each with its portal; empty where that is not known."""
    nodes = known(variables, hostvars)
    found: dict[str, str] = {}
    for host in variables.get("ansible_play_hosts_all") or ():
        if host in nodes or host not in hostvars or _facts.reserved(hostvars[host].get("ansible_facts")):
            continue
        try:
            found[host] = portal_of(host, hostvars[host])
        except (PortalError, *NOT_WORKED_OUT):
            found[host] = ""
    return found


def registered(hostvars: Mapping[str, Any], host: str) -> Mapping[str, Any]:
    """What tasks registered of a host, as it came."""
    # To work out all variables of each host for each other one takes hours.
    manager = getattr(hostvars, "_variable_manager", None)
    known_of: Any = getattr(manager, "_nonpersistent_fact_cache", None)
    if known_of is None:
        known_of = hostvars
    found: Mapping[str, Any] = known_of[host] if host in known_of else {}
    return found


def answer(hostvars: Mapping[str, Any], host: str) -> Mapping[str, Any]:
    """What a host answered to its discovery, as it came, or what its preflight refused before that."""
    known_of = registered(hostvars, host)
    refused = known_of.get("__chamilo_preflight")
    if isinstance(refused, Mapping) and refused.get("failed"):
        return refused
    found = known_of.get("__chamilo_common_info")
    return found if isinstance(found, Mapping) else {}


def unreachable(portal: Portal, hostvars: Mapping[str, Any]) -> list[str]:
    """The nodes that could not be reached when they were last asked in this run."""
    return [host for host in portal.hosts if answer(hostvars, host).get("unreachable") is True]


def here(variables: Mapping[str, Any], hostvars: Mapping[str, Any]) -> tuple[Portal, dict[str, Any]]:
    """The portal of this host, and what roles read about the host in it."""
    host = str(variables["inventory_hostname"])
    nodes = known(variables, hostvars)
    nodes[host] = read(host, variables)
    portal = of_host(host, nodes)
    if portal.error:
        raise PortalError(portal.error)
    return portal, portal.of(host, unreachable(portal, hostvars))


def refusal(variables: Mapping[str, Any]) -> str:
    """Why a host is not hardened: another inventory name of the play is the same portal. Empty where none is."""
    own = _web_site(variables)
    if not own.get("fingerprint"):
        return ""
    host, hosts = variables.get("inventory_hostname"), variables.get("hostvars") or {}
    others = (name for name in variables.get("ansible_play_hosts_all") or () if name != host)
    same = [str(name) for name in others if _site(answer(hosts, name)).get("fingerprint") == own["fingerprint"]]
    same = [name for name in same if serves_web(hosts[name])]
    if not same:
        return ""
    names = sorted([str(host), *same])
    return (
        f"Inventory names {', '.join(names)}: one portal. They lead to {own.get('root')} on the same machine, and each "
        "would undo what the other one configures. Keep one of them, and list names of the "
        "portal that are in no virtual host and no access URL in its chamilo_names."
    )


def _web_site(variables: Mapping[str, Any]) -> Mapping[str, Any]:
    """The discovered site of a host that serves it; empty for a host of the database alone."""
    return _site(variables.get("__chamilo_common_info") or {}) if serves_web(variables) else {}


def _site(answered: Mapping[str, Any]) -> Mapping[str, Any]:
    site = answered.get("site")
    return site if isinstance(site, Mapping) else {}
