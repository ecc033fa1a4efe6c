# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the discovery of a host is asked for, before any section changes something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ...module_utils._application.declared import SECTIONS
from ...module_utils._application.obstacles import OFFSITE, SMTP
from ...module_utils._transaction.probe import Probe
from .. import _obstacles
from . import headers as section_headers
from . import sessions as section_sessions
from .portal import PACKAGES, Portal
from .served import HIDDEN, PROXIES
from .shapes import Plan

PREFIX = "chamilo.hardening."
# The sections that have drop-ins, which a virtual host has to include.
WEB = ("updates", "https", "permissions", "sessions", "headers", "uploads")
# Each gives rights to files of the portal.
RIGHTS = ("permissions_code", "permissions_var", "permissions_env", "permissions_config")
# A package manager is slow to report a missing package: it is asked once.
ALL_PACKAGES = [name for names in PACKAGES.values() for name in names]


@dataclass(frozen=True)
class Asked(Plan):
    """Apart from the rest, which takes values that are judged by their forms first."""

    sections: Sequence[str]  # of this play, and the one that the role common runs for
    again: bool  # what this play discovered is another portal, or was not asked for this section
    others: Sequence[str]  # the variables in which tasks registered what they did to another portal


@dataclass(frozen=True)
class Discovery(Plan):
    domain: str
    is_web: bool  # the host serves the portal, and is not there for its database alone
    sections: Sequence[str]  # those that this run applies; by tags that are none of ours it may be any of them
    web: Sequence[str]  # of these, those that need a virtual host
    only_checks: bool  # nothing is asked for but what is in the way: no task that changes something runs
    checked: Sequence[str]  # the packages of all sections
    install: Mapping[str, Sequence[str]]  # those of the sections that this run is for
    session_store: Mapping[
        str, Any
    ]  # the server that is to keep the sessions, which is refused where others could use it
    tree: Mapping[str, Any]  # what the section permissions is given: a user that the host does not have is refused
    vhost: str  # chamilo_https_vhost, where this run may write to a virtual host
    once: Mapping[str, str]  # what our files set that nginx takes once; an owner may have set another value there
    headers: Sequence[str]  # that are ours alone to send after this run. Discovery knows those of an earlier one.
    tls: bool
    acme: str  # by what Certbot may have to ask an authority for a certificate in this run
    outside: Mapping[str, str]  # by variable: the host and port that have to answer, and no more of an address
    variables: Mapping[str, str]  # refused by their names before anything changes, which the controller cannot know
    visits: Mapping[str, Sequence[str]]  # whom the section brute_force must not find alone in the log


@dataclass(frozen=True)
class Active(Plan):
    """What is asked for once more at the end of a run."""

    domain: str
    root: str
    web_server: str
    active: bool  # whether the web server goes by the files of this collection
    probe: Sequence[Probe]


def active(portal: Portal, given: Mapping[str, Any]) -> Active:
    due = sections_due(portal, given)
    return Active(
        domain=portal.domain,
        root=portal.root,
        web_server=portal.web,
        active=any(one in due for one in WEB),
        probe=[portal.front] if "chamilo_undrain_tasks" in given else [],
        values={},
    )


def asked_for(_portal: Portal, given: Mapping[str, Any]) -> Asked:
    asked = _asked(given)
    known = given.get("__chamilo_common_info") or {}
    another = "site" in known and known["site"]["domain"] not in ("", str(given["chamilo_domain"]).lower())
    done = [name for name in given if name.startswith(tuple(f"__chamilo_{one}_" for one in SECTIONS))]
    return Asked(
        sections=asked,
        again=another or not {*asked} <= {*known.get("asked", ())},
        others=done if another else [],
        values={},
    )


def plan(portal: Portal, given: Mapping[str, Any]) -> Discovery:
    asked = _asked(given)
    due = _chosen(portal, given)
    # By tags that are none of ours it is found out in its turn.
    known = bool({"all", "preflight", *asked} & set(given["ansible_run_tags"]))
    https = known and "https" in due
    web = [one for one in WEB if one in due]
    left = _obstacles.left(given)
    store = section_sessions.store(portal, given) if "sessions" in due else {}
    client = [section_sessions.CLIENT] if store else []
    return Discovery(
        domain=portal.domain,
        is_web=portal.is_web,
        sections=due,
        web=[one for one in web if one not in left],
        only_checks=[one for one in given["ansible_run_tags"] if one != "always"] == ["preflight"],
        checked=[*ALL_PACKAGES, *client],
        install={
            **{one: [*PACKAGES[one]] for one in due if one in PACKAGES},
            **({"sessions": client} if client else {}),
        },
        session_store=store,
        tree=_tree(given) if _gives_rights(portal, given, asked) else {},
        vhost=portal.vhost if known and web else "",
        once=_once(portal, given, due, https),
        headers=_headers(portal, given, due, https),
        tls=https and not portal.elsewhere,
        acme=_acme(portal, given) if https else "",
        outside=_outside(portal, given, due),
        variables=_variables(portal, given, due),
        visits={"proxies": given["chamilo_trusted_proxies"], "friends": given["chamilo_friends"]}
        if "brute_force" in due
        else {},
        values={},
    )


def _asked(given: Mapping[str, Any]) -> list[str]:
    if given.get("_chamilo_common_section"):
        return [given["_chamilo_common_section"]]
    if given.get("_chamilo_ahead"):  # the playbook harden, before the play that has the roles
        return list(given["_chamilo_ahead"])
    roles = [*given["ansible_play_role_names"], *given.get("ansible_parent_role_names", [])]
    found = [name[len(PREFIX) :] for name in roles if name.startswith(PREFIX)]
    return [name for name in dict.fromkeys(found) if name != "common"]


def sections_due(portal: Portal, given: Mapping[str, Any]) -> list[str]:
    """The sections that this run applies, as far as it is known by now."""
    left = _obstacles.left(given)
    return [one for one in _chosen(portal, given) if one not in left]


def _chosen(portal: Portal, given: Mapping[str, Any]) -> list[str]:
    """Those that this run is for. What is in their way is asked anew where a host is discovered twice."""
    asked = _asked(given)
    run, skip = given["ansible_run_tags"], given["ansible_skip_tags"]
    tagged = [one for one in asked if one in run]
    desired = asked if "all" in run else tagged or asked
    if not portal.is_web:
        desired = [one for one in desired if one == "database"]
    return [one for one in desired if one not in skip and given.get(f"chamilo_{one}_state") != "absent"]


def _gives_rights(portal: Portal, given: Mapping[str, Any], asked: Sequence[str]) -> bool:
    """Not by other tags than those of the section, nor with all of it waived."""
    tagged = {"all", "preflight", "permissions"} & set(given["ansible_run_tags"])
    named = "permissions" in asked and tagged and "permissions" not in given["ansible_skip_tags"]
    return bool(named) and any(map(portal.enforced, RIGHTS))


def _tree(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "owner": given["chamilo_owner"],
        "group": given["chamilo_group"],
        "web_user": given["chamilo_web_user"],
        "policy": given["chamilo_permissions_policy"],
        "roots": given["chamilo_permissions_roots"],
    }


def _once(portal: Portal, given: Mapping[str, Any], due: Sequence[str], https: bool) -> dict[str, str]:
    hides = "headers" in due and portal.enforced("headers_versions")
    return {**(HIDDEN if hides else {}), **(PROXIES if https and given["chamilo_trusted_proxies"] else {})}


def _headers(portal: Portal, given: Mapping[str, Any], due: Sequence[str], https: bool) -> list[str]:
    # The defaults of that role are not there yet where nodes are compared. An owner's headers are no obstacle.
    judged = "headers" in due and not given.get("_chamilo_ahead")
    ours = section_headers.hidden(portal, given) if judged else []
    return [
        *(one for one in ours if one != "X-Powered-By"),
        *(["Strict-Transport-Security"] if https else []),
    ]


def _acme(portal: Portal, given: Mapping[str, Any]) -> str:
    """None where the administrator validates the name by other means."""
    certificate = str(given["chamilo_https_certificate"])
    if certificate not in ("auto", "certbot") or given["chamilo_https_acme_arguments"]:
        return ""
    return "" if portal.elsewhere and certificate == "auto" else certificate


def _outside(portal: Portal, given: Mapping[str, Any], due: Sequence[str]) -> dict[str, str]:
    found = {}
    if "backups" in due and portal.leads and portal.enforced("backups_offsite"):
        by_proxy = any(name.lower().endswith("_proxy") for name in given["chamilo_backups_environment"])
        found[OFFSITE] = "" if by_proxy else _place(str(given[OFFSITE] or ""))
    if "monitoring" in due and given["chamilo_alert_mail"] and given[SMTP]:
        found[SMTP] = f"{given[SMTP]}:{given['chamilo_monitoring_smtp_port']}"
    return {name: place for name, place in found.items() if place}


def _place(repository: str) -> str:
    """Host and port of a repository of restic; empty where they are not in its address.

    Nor are they where ssh has a name of its own for the host: a name without a dot may be one.
    """
    kind, _colon, rest = repository.partition(":")
    if kind == "sftp" and not rest.startswith("//"):
        host = rest.partition(":")[0].rpartition("@")[2]
        return f"{host}:22" if "." in host else ""
    try:
        parts = urlsplit(repository if kind == "sftp" else rest)
        port = parts.port or {"sftp": 22, "http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return ""
    named = kind in ("rest", "s3", "sftp") and parts.hostname and port
    return f"{parts.hostname}:{port}" if named and (kind != "sftp" or "." in str(parts.hostname)) else ""


def _variables(portal: Portal, given: Mapping[str, Any], due: Sequence[str]) -> dict[str, str]:
    repository = str(given.get("chamilo_backups_repository") or "")
    asked = {
        "chamilo_group": given["chamilo_group"] if portal.is_web else "",
        "chamilo_web_user": given["chamilo_web_user"] if portal.is_web else "",
        "chamilo_database_bind_address": given["chamilo_database_bind_address"] if "database" in due else "",
        "chamilo_backups_repository": repository if "backups" in due and repository.startswith("/") else "",
        "chamilo_backups_scratch": given["chamilo_backups_scratch"] if "backups" in due else "",
    }
    return {name: str(value) for name, value in asked.items()}
