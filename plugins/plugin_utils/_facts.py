# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds variables of the controller among the facts of a host.

Unless inject_facts_as_vars is off, each fact is a variable that overrides defaults and inventory. Facts are what the
host answers: to a module of any collection, to setup, or in an earlier run that left them in a fact cache.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ansible import constants

# Of this collection, and what ansible-core sets for a host or a role, as far as facts override it.
_RESERVED = re.compile(
    r"_*chamilo|(?:inventory_(?:hostname|hostname_short|file|dir)|group_names|(?:ansible_)?parent_role_names)$"
)


def reserved(facts: Any, options: Collection[str] = ()) -> list[str]:
    """Those of these facts that are variables of the controller, or one of these options of a plugin."""
    if not isinstance(facts, Mapping):
        return []
    # In the variable ansible_facts each fact has lost its prefix.
    names = {*options, *(option.removeprefix("ansible_") for option in options)}
    return sorted(name for name in map(str, facts) if _RESERVED.match(name) or name in names)


def plugin_options(connection: Any) -> set[str]:
    """The variables from which this connection takes its options, with those of its shell and of its become plugin.

    The program that transfers files is among them. It runs on the controller.
    """
    plugins = {
        "connection": connection,
        "shell": getattr(connection, "_shell", None),
        "become": getattr(connection, "become", None),
    }
    variables: Iterable[Iterable[str]] = (
        constants.config.get_plugin_vars(kind, plugin._load_name) for kind, plugin in plugins.items() if plugin
    )
    return {name for names in variables for name in names if name.startswith("ansible_")}


def refusal(task_vars: Mapping[str, Any], connection: Any) -> str:
    """Why a task is not run: which facts of its host, or of the host that it is delegated to, are refused."""
    hosts = {"this host": task_vars, **(task_vars.get("ansible_delegated_vars") or {})}
    for host, variables in hosts.items():
        facts = variables.get("ansible_facts")
        found = reserved(facts, plugin_options(connection)) if facts else []
        if found:
            return (
                f"Facts of {host} are named like variables of the controller: {', '.join(found)[:1000]}. They would "
                "override what you set, and no honest host returns such facts. The task was not run. Inspect the host: "
                "it may be compromised. Clear the fact cache if there is one (--flush-cache), and set no such variable "
                "as a fact yourself (set_fact with cacheable)."
            )
    return ""
