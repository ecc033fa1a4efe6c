# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a node of a portal is not changed: another node failed, or the nodes contradict each other.

All of it is decided from what discovery saw of each node, before the first change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail

from . import _answers, _controls, _obstacles, _portals
from ._variables import Variables, default

Answers = Mapping[str, Mapping[str, Any]]  # what each node answered to its discovery


def refusal(templar: Any, variables: Mapping[str, Any]) -> str:
    """Why the host of a task is not changed, from the variables of that task."""
    if "hostvars" not in variables:
        return ""
    try:
        return stopped(Variables(templar, variables), variables["hostvars"])
    except _portals.PortalError as problem:
        return str(problem)


# What a host that is there for the database alone is asked for, and what one node does for all of a portal.
OF_A_DATABASE = ("database_bind", "database_audit_log")
ONCE = ("backups_", "monitoring_accounts")
OF_EACH = ("backups_private",)  # among those: copies of data lie in a directory of its own
OF_THE_PROXY = ("https_certificate", "https_protocols")  # where it ends TLS for all nodes of a portal


def elsewhere(templar: Any, variables: Mapping[str, Any], controls: Iterable[str]) -> dict[str, str]:
    """The controls that another node of the portal has to meet, each with the reason."""
    own = Variables(templar, variables)
    try:
        if not _portals.serves_web(own):
            reason = "This host is there for the database alone: the web nodes of its portal are audited for this."
            return {name: reason for name in controls if name not in OF_A_DATABASE}
    except (_portals.PortalError, *_portals.NOT_WORKED_OUT):
        return {}
    portal, node = _beside_others(own, variables)
    if portal is None or node["leads"]:
        return {}
    reason = f"Done once for {portal.name}, by its node {node['leader']}."
    once = (*ONCE, *OF_THE_PROXY) if own.get("chamilo_https_terminated_elsewhere") else ONCE
    return {name: reason for name in controls if name.startswith(once) and name not in OF_EACH}


def audited_as(templar: Any, variables: Mapping[str, Any], allowed: Any) -> dict[str, Any]:
    """The options of the audit that a portal with several web nodes has for each of them.

    ``allowed``: after how many failed logins the portal bans; all of its nodes together. None: as the role has it.
    """
    portal, _node = _beside_others(Variables(templar, variables), variables)
    if portal is None or len(portal.web) < 2:
        return {}
    allowed = default("chamilo_brute_force_attempts") if allowed is None else allowed
    return {"attempts": _portals.share(int(allowed), len(portal.web)), "several_nodes": True}


def _beside_others(own: Variables, variables: Mapping[str, Any]) -> tuple[_portals.Portal | None, dict[str, Any]]:
    """The portal of a host that may have other nodes, and the host in it; nothing where no variable hints at any.

    To read the variables of all hosts takes its time: with hundreds of portals nothing hints at a second node.
    """
    try:
        hints = ("chamilo_portal", "chamilo_node", "chamilo_leader")
        host = str(own.get("inventory_hostname"))
        named = str(own.get("chamilo_domain") or host).lower() != host.lower()
        grouped = set(_portals.GROUPS) & {*(own.get("group_names") or ())}
        if named or grouped or any(own.get(name) for name in hints):
            return _portals.here(own, variables["hostvars"])
    except (_portals.PortalError, *_portals.NOT_WORKED_OUT):
        pass
    return None, {}


def portal_of(templar: Any, variables: Mapping[str, Any]) -> str:
    """The portal of a host as its own variables have it, by which the report can group it; empty where they do not."""
    own = Variables(templar, variables)
    try:
        return _portals.read(str(own.get("inventory_hostname")), own).portal
    except (_portals.PortalError, *_portals.NOT_WORKED_OUT):
        return ""


def salted(templar: Any, variables: Mapping[str, Any]) -> dict[str, str]:
    """The option ``salt`` of a module, for a node of a portal with several; only where the run compares them."""
    salt = _portals.salt()
    if not salt or "hostvars" not in variables:
        return {}
    try:
        node = _portals.here(Variables(templar, variables), variables["hostvars"])[1]
    except _portals.PortalError as problem:
        raise AnsibleActionFail(str(problem)) from problem
    return {"salt": salt} if len(node["web"]) > 1 else {}


def settles_secrets(variables: Mapping[str, Any], node: Mapping[str, Any]) -> bool:
    """Whether this run can give all web nodes of a portal the same secrets: each of them takes part in it."""
    return bool(_portals.salt()) and set(node["web"]) <= set(variables.get("ansible_play_hosts_all") or ())


def sealed(node: Mapping[str, Any], hostvars: Mapping[str, Any]) -> str:
    """The secrets that a web node takes from another one, encrypted; empty where it keeps its own.

    All take them from the node that leads. That one takes them from the first node where none is public.
    """
    if not node["leads"]:
        raw = getattr(hostvars, "raw_get", hostvars.__getitem__)
        found = raw(node["leader"]).get("__chamilo_permissions_environment")
        return str(found.get("sealed") or "") if isinstance(found, Mapping) else ""
    for host in [node["leader"], *node["web"]]:
        answer = _portals.answer(hostvars, host)
        if not (_away(answer) or _refused(answer)) and not (answer.get("site") or {}).get("secrets_default", True):
            return "" if host == node["leader"] else str((answer.get("node") or {}).get("sealed") or "")
    return ""


def stopped(variables: Mapping[str, Any], hostvars: Mapping[str, Any]) -> str:
    """Why this host is left as it is; empty where nothing stands against it."""
    host = str(variables["inventory_hostname"])
    portal, node = _portals.here(variables, hostvars)
    several = len(portal.hosts) > 1
    for one, name in _portals.unread(variables, hostvars).items():
        why = _refused(_portals.answer(hostvars, one))
        if why and name == portal.name:
            return _left(one, portal.name, host, why)
        # A host that has the name of its portal, and is there for all of it, has no other nodes.
        alone = not several and _portals.read(host, variables) == _portals.Node(host, host.lower(), named=False)
        if why and not name and not alone:
            return (
                f"Of host {one} it is not known whose node it is, so {host} was left as it is. "
                f"{_answers.printable(why)}"
            )
    if not several:
        return ""
    others = [one for one in portal.hosts if one != host]
    answers = {one: answer for one in portal.hosts if (answer := _portals.answer(hostvars, one))}
    present = [one for one in others if one in answers and not _away(answers[one])]
    left = set(variables.get("ansible_play_hosts") or ())
    begun = set(variables.get("ansible_play_hosts_all") or ())
    for one in present:
        if _refused(answers[one]):
            return _left(one, portal.name, host, _refused(answers[one]))
    # Where a section failed, the others were enforced; the next nodes wait for a person.
    partly = [one for one in begun if _portals.registered(hostvars, one).get(_obstacles.FAILED)]
    failed = [one for one in present if one in begun and (one not in left or one in partly)]
    if failed:
        return (
            f"Node {failed[0]} of {portal.name} failed in this run, so {host} was left as it is. Mend that node, "
            "then run the playbook again: it goes on where it stopped."
        )
    web = {one: answers[one] for one in portal.web if one in answers and not _refused(answers[one])}
    return _shared(portal.name, web) or ("" if _settled(variables, node) else _secrets(portal.name, web))


def _left(node: str, portal: str, host: str, why: str) -> str:
    return f"Node {node} of {portal} cannot be hardened, so {host} was left as it is. {_answers.printable(why)}"


def _settled(variables: Mapping[str, Any], node: Mapping[str, Any]) -> bool:
    """Whether the section permissions gives the web nodes the same secrets in this run."""
    table = _controls.load()
    waivers = _controls.parse_waivers(variables["chamilo_waivers"], table)
    level = _controls.parse_level(variables["chamilo_level"])
    asked, skipped = (set(variables.get(f"ansible_{name}_tags") or ()) for name in ("run", "skip"))
    return (
        bool(asked & {"all", "permissions"})
        and "permissions" not in skipped
        and "permissions_secrets" not in _controls.unenforced(table, level, waivers)
        and settles_secrets(variables, node)
    )


def _refused(answer: Mapping[str, Any]) -> str:
    """Why a node cannot be hardened, as its discovery found in this play or in the one before."""
    return str(answer.get("refused") or (answer.get("msg", "It failed.") if answer.get("failed") else ""))


def _away(answer: Mapping[str, Any]) -> bool:
    return answer.get("unreachable") is True


def _alike(answers: Answers, part: str, differ: bool) -> dict[str, list[str]]:
    """The names in that part of the answers that two nodes have differently, or the same."""
    found: dict[str, list[str]] = {}
    values: dict[str, dict[str, str]] = {}
    for host, answer in answers.items():
        for name, value in ((answer.get("node") or {}).get(part) or {}).items():
            values.setdefault(name, {})[host] = str(value)
    test: Callable[[list[str]], bool] = (
        (lambda known: len(set(known)) > 1) if differ else (lambda known: len(set(known)) < len(known))
    )
    for name, known in values.items():
        if test(list(known.values())):
            twice = [value for value in known.values() if list(known.values()).count(value) > 1]
            found[name] = [host for host, value in known.items() if differ or value in twice]
    return found


def _shared(portal: str, answers: Answers) -> str:
    alike = _alike(answers, "shared", differ=False)
    if not alike:
        return ""
    hosts = sorted({host for of in alike.values() for host in of})
    names = " and ".join(_answers.printable(name) for name in sorted(alike))
    return (
        f"Nodes {', '.join(hosts)} of {portal} share {names}. Each would empty it while the other one works with it, "
        "and the portal would answer 500. Uploads, themes and sessions may be shared, these may not: put them on a "
        "disk of each node, such as by a mount of its own over that directory."
    )


def _secrets(portal: str, answers: Answers) -> str:
    differing = _alike(answers, "secrets", differ=True)
    if not differing:
        return ""
    name, hosts = sorted(differing.items())[0]
    return (
        f"Nodes {', '.join(hosts)} of {portal} do not have the same {_answers.printable(name)}. What one signs, the "
        "other refuses. Run the section permissions for all of them, which gives them those of the leader, or copy the "
        "value from the .env of one of them to the others, with the key pair in config/jwt/."
    )
