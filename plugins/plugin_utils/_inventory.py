# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of discovered portals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import yaml

from . import _answers

# How a host is reached: it has to be set again for the new name of a portal.
REACHED_BY = (
    "ansible_connection",
    "ansible_host",
    "ansible_port",
    "ansible_python_interpreter",
    "ansible_ssh_private_key_file",
    "ansible_user",
)
# What the playbook setup asks for, for all portals of a server.
ANSWERS = ("chamilo_https_acme_email", "chamilo_alert_mail", "chamilo_backups_offsite_repository")
HEAD = """\
# Written by chamilo.hardening. A host of this group is a portal: its name is the one that visitors use.
"""
_WITH_PASSWORD = re.compile(r"//[^/@]*:[^/@]*@")
# Python is found on each host, without a warning about it at each run.
VARIABLES = {"ansible_python_interpreter": "auto_silent"}


class InventoryError(Exception):
    """The text reports what is wrong, and what to do."""


def hosts(
    found: Mapping[str, Sequence[Mapping[str, Any]]],
    variables: Mapping[str, Mapping[str, Any]],
    asked: Iterable[str] = (),
) -> dict[str, Any]:
    """The hosts of the group chamilo. ``found``: the portals of each inventory name; ``variables``: its own.

    ``asked``: all inventory names, also those of hosts that were not discovered. No other host answers for one.
    """
    entries: dict[str, dict[str, Any]] = {}
    for name, portals in found.items():
        own = variables[name]
        reached = {key: own[key] for key in REACHED_BY if own.get(key) not in (None, "", VARIABLES.get(key))}
        for portal in portals:
            domain = portal["domain"]
            if not domain:
                continue
            if domain != name and domain in asked and domain not in found:
                raise InventoryError(
                    f"{name} reports that it serves {domain}, which is the inventory name of another host, and that "
                    f"one was not discovered. What is meant for {domain} would be sent to {name}. Discover {domain} "
                    "first, or remove it from the inventory where both are one machine."
                )
            if domain in entries:
                raise InventoryError(
                    f"Several hosts or directories serve {domain}: {name} is one of them. An inventory name is one "
                    "node of a portal. Write the inventory yourself, by the recipe for several nodes."
                )
            entry = {} if domain == name else {"ansible_host": name}
            entries[domain] = {**entry, **reached}
            if len(portals) > 1:
                entries[domain]["chamilo_root"] = portal["root"]
    return entries


def answers(given: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """What was answered for all portals: what anyone may read, and the secrets, each by its variable."""
    told = {name: str(given[name]) for name in ANSWERS if given.get(name)}
    secret = {name: value for name, value in told.items() if _WITH_PASSWORD.search(value)}
    sudo = given.get("chamilo_setup_sudo_password")
    open_ = {name: value for name, value in told.items() if name not in secret}
    return open_, {**secret, **({"ansible_become_password": str(sudo)} if sudo else {})}


def to_yaml(entries: Mapping[str, Mapping[str, Any]], of_all: Mapping[str, str] = MappingProxyType({})) -> str:
    plain = {
        name: {key: str(value) if not isinstance(value, int) else value for key, value in entry.items()} or None
        for name, entry in entries.items()
    }
    group = {"hosts": plain, "vars": {**VARIABLES, **of_all}}
    text: str = yaml.safe_dump({"chamilo": group}, sort_keys=False, allow_unicode=True)
    return HEAD + text.replace(": null\n", ":\n")


def table(portals: Iterable[Mapping[str, Any]]) -> list[str]:
    """What was found on one host, for the terminal."""
    lines = []
    for portal in portals:
        others = [name for name in portal["names"] if name != portal["domain"]]
        lines.append((portal["domain"] or "(no name)") + (f" (also {', '.join(others)})" if others else ""))
        parts = [
            f"Chamilo {portal['version'] or '(version not found)'} in {portal['root']}",
            portal["web_server"] or "no web server",
            f"PHP {portal['php']}" if portal["php"] else "no PHP",
            f"database {portal['database']}" if portal["database"] else "no database",
        ]
        lines.append(f"  {', '.join(parts)}")
        lines += [f"  OBSTACLE: {words}" for words in portal["obstacles"]]
    return [_answers.printable(line) for line in lines]
