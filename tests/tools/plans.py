# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a section for a host that is not there, with the defaults of the roles."""

from __future__ import annotations

import functools
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.chamilo.hardening.plugins.lookup.plan import LookupModule
from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovered import Discovered
from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._application.virtual_hosts import Planned
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import Plan, as_seen
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import Listen, VirtualHost

ROLES = Path(__file__).resolve().parents[2] / "roles"


def trusted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: trusted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [trusted(each) for each in value]
    return trust_as_template(value) if isinstance(value, str) else value


def discovered(host: Any, **changes: Any) -> dict[str, Any]:
    """The site as its module answers it."""
    found: dict[str, Any] = json.loads(
        json.dumps(asdict(discover("campus.test", site="campus_test", tree=host.tree, hosted=Planned())))
    )
    return {**found, **changes}


def answered(site: Site | None = None, **more: Any) -> dict[str, Any]:
    """What chamilo_site_info answers of this site."""
    return asdict(Discovered(site or Site("campus.test"), **more))


def virtual_host(*listens: Listen, **changes: Any) -> VirtualHost:
    """One of the portal's, but for what is changed."""
    usual = {"file": "/etc/nginx/sites-available/campus", "line": 1, "names": ("campus.test",), "root": "/x/public"}
    return VirtualHost(**{**usual, "listens": listens or (Listen("*", 80, tls=False),), **changes})


@functools.cache
def of_role(name: str) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for part in ("defaults", "vars"):
        path = ROLES / name / part / "main.yml"
        known |= trusted(yaml.safe_load(path.read_text(encoding="utf-8"))) if path.exists() else {}
    return known


def variables(host: Any, *roles: str, **given: Any) -> dict[str, Any]:
    """Those of these roles and of common, on this host."""
    known: dict[str, Any] = {"inventory_hostname": "campus.test", "group_names": ["chamilo"], "groups": {}}
    for name in ("common", *roles):
        known |= of_role(name)
    if "__chamilo_common_info" not in given:
        known["__chamilo_common_info"] = {"site": discovered(host)}
    known |= {"ansible_play_hosts_all": [], "hostvars": {}}
    return {**known, **given}


def waived(*controls: str) -> list[dict[str, str]]:
    """chamilo_waivers for these controls."""
    return [{"control": one, "reason": "A test.", "owner": "Ada", "until": "2999-12-31"} for one in controls]


def planned(host: Any, section: str, due: bool = False, **given: Any) -> Any:
    """What the lookup plan gives to the tasks of the role."""
    known = variables(host, *([section] if (ROLES / section).is_dir() else []), **given)
    loader = DataLoader()
    (plan,) = LookupModule(loader=loader, templar=Templar(loader, variables=known)).run([section], known, due=due)
    return plan


def in_force(*made: Plan) -> dict[str, Any]:
    """What a host reports on which these transactions are active."""
    return {
        one.name: {
            "generation": one.generation,
            "files": {
                **{file.path: as_seen(file.state, file.target) for file in one.files},
                **{file.path: file.seen for file in one.marked},
            },
        }
        for one in made
    }
