#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: chamilo_site_info
short_description: Find the Chamilo portal on a host, and what serves it
version_added: 1.0.0
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
description:
  - Internal to the collection. It can change at any time.
  - Finds the project directory and version of Chamilo, the web server and the virtual hosts that answer to the domain,
    the PHP behind them, the environment of the application, and what is known of the host around it. With O(sections),
    it fails where something is in the way of them, and reports all of it in one message.
  - Changes nothing. Without root it observes less.
extends_documentation_fragment:
  - chamilo.hardening.attributes.info
  - chamilo.hardening.attributes.python
options:
  domain:
    description: The public name of the portal.
    type: str
    required: true
  root:
    description: The project directory of Chamilo. Empty means that it is found.
    type: str
    default: ""
  web_server:
    description: The web server that visitors reach. When it is empty, the one that is installed, or is running.
    type: str
    choices: ["", nginx, apache]
    default: ""
  site:
    description: The word in the names of the files this collection writes for the portal.
    type: str
    default: ""
  names:
    description: The value of C(chamilo_names).
    type: list
    elements: str
    default: []
  packages:
    description: Debian packages to check for. C({php}) in a name stands for the version of PHP that serves the portal.
    type: list
    elements: str
    default: []
  certificate_file:
    description: A certificate chain that is to serve O(domain).
    type: path
    default: ""
  certificate_key_file:
    description: The private key of O(certificate_file).
    type: path
    default: ""
  tree:
    description: What M(chamilo.hardening.chamilo_perms) will be given. What it would refuse is refused here.
    type: dict
    default: {}
  takeover:
    description: A value of C(chamilo_https_vhost). Fail when that cannot be done here.
    type: str
    choices: ["", auto, managed, include]
    default: ""
  sections:
    description: The sections of the guide that are about to be applied. Fail with all that is in their way.
    type: list
    elements: str
    default: []
  once:
    description: Directives that nginx takes once in a server block, with the value that this collection will set.
    type: dict
    default: {}
  headers:
    description: Names of headers for which lines of the virtual host's owner are set aside.
    type: list
    elements: str
    default: []
  tls:
    description: Whether an owner's virtual host is to speak https where it does not.
    type: bool
    default: false
  acme:
    description: A value of C(chamilo_https_certificate). Fail when Certbot would need an authority in vain.
    type: str
    choices: ["", auto, certbot]
    default: ""
  alert_mail:
    description: The value of C(chamilo_alert_mail). Fail when this host cannot send mail.
    type: str
    default: ""
  smtp_host:
    description: The value of C(chamilo_monitoring_smtp_host).
    type: str
    default: ""
  install:
    description: Those of O(packages) that the run installs. Fail when this host cannot reach the mirror that has one.
    type: list
    elements: str
    default: []
  variables:
    description: Values of variables that only the host can judge, by the names of the variables.
    type: dict
    default: {}
  visits:
    description: C(proxies) and C(friends), lists of networks to search for in the access log.
    type: dict
    default: {}
  controller_time:
    description: The time on the controller. Fail when this host's is more than a quarter of an hour from it.
    type: float
    default: 0
  active:
    description: Fail when the web server does not go by the files of this collection for O(site).
    type: bool
    default: false
  require:
    description: Fail when there is no Chamilo or no web server, or O(certificate_file) cannot serve the domain.
    type: bool
    default: false
  probe:
    description: Requests that this host has to answer, as for M(chamilo.hardening.config_transaction).
    type: list
    elements: dict
    default: []
  session_store:
    description:
      - The server of Redis that is to keep the sessions of the portal. Fail when it does not answer, when it answers
        clients without a password, or when the user cannot use keys with this prefix, or can use others.
    type: dict
    suboptions:
      host:
        description: Its name or address.
        type: str
        required: true
      port:
        description: Its port.
        type: int
        required: true
      ca_file:
        description: The certificates of its authority. Empty means those that the host trusts.
        type: path
        default: ""
      user:
        description: The user.
        type: str
        required: true
      prefix:
        description: What the keys of the portal begin with.
        type: str
        required: true
  session_store_password:
    description: The password of the user.
    type: str
    default: ""
  salt:
    description: What the hashes in RV(node) are keyed with. The collection makes it.
    type: str
    default: ""
  key_salt:
    description: What the fingerprint in RV(backup_key) is made with. The collection makes it.
    type: str
    default: ""
  collection_version:
    description: Of the collection that is about to harden the host. The collection sets it.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Find the portal
  chamilo.hardening.chamilo_site_info:
    domain: campus.example.org
  register: found
"""

RETURN = r"""
active:
  description: Whether the web server goes by the files of this collection for O(site), as it answers itself.
  returned: success
  type: bool
in_force:
  description: For each transaction its generation, and V(file), V(absent) or V(link) with the target for each path.
  returned: success
  type: dict
program:
  description: What the host program was made of; empty where a part of it is not as it was written.
  returned: success
  type: dict
settings_in_force:
  description: What each section asked M(chamilo.hardening.chamilo_settings) for last, as far as nothing would change.
  returned: success
  type: dict
node:
  description: What the nodes of one portal are compared by. Only with O(salt).
  returned: success
  type: dict
  contains:
    shared:
      description: Directories that each node must have for itself, on a file system that several hosts can mount.
      type: dict
    secrets:
      description: A keyed hash of each secret that all nodes must have in common.
      type: dict
    sealed:
      description: These secrets, encrypted, for M(chamilo.hardening.chamilo_env) on another node.
      type: str
settings_kept:
  description: The names under which M(chamilo.hardening.chamilo_settings) saved the earlier values of settings.
  returned: success
  type: list
  elements: str
backup_key:
  description: What M(chamilo.hardening.backup_key) would answer, where its copy was compared within the last day.
  returned: success
  type: dict
unchanged:
  description: What M(chamilo.hardening.chamilo_env) and M(chamilo.hardening.chamilo_database_account) would answer now.
  returned: success
  type: dict
environment_kept:
  description: The names under which M(chamilo.hardening.chamilo_env) keeps what keys of the environment were before.
  returned: success
  type: list
  elements: str
recurring:
  description: What sections do again in each run, and whether it is due.
  returned: success
  type: dict
  contains:
    daily:
      description: Whether the daily work of updates and monitoring succeeded as it is configured.
      type: bool
    copied:
      description: Whether the list of files of O(site) was copied off this host since it was written.
      type: bool
    spared:
      description: Whether the administrator's address was noted within the last ten minutes as one not to ban.
      type: bool
    proxies:
      description: The clients, if all of them are proxies. Only with O(visits).
      type: list
      elements: str
site:
  description: The dataclass C(Site) in C(plugins/module_utils/_portal/site.py). What was not found is empty.
  returned: success
  type: dict
"""

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._common import imports

imports.compile_once()

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import key as backups_key
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.access_log import log_summary
from ansible_collections.chamilo.hardening.plugins.module_utils._common import recurring
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._database import accounts_asked
from ansible_collections.chamilo.hardening.plugins.module_utils._https.acme import refusal
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.policy import PermsError, order
from ansible_collections.chamilo.hardening.plugins.module_utils._portal import redis
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.active import held, inactive
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Place
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.naming import word
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.nodes import compared
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.obstacles import (
    NOT_ROOT,
    Desired,
    Host,
    observe,
    obstacles,
    report,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._program.install import newer
from ansible_collections.chamilo.hardening.plugins.module_utils._program.install import seen as installed_program
from ansible_collections.chamilo.hardening.plugins.module_utils._settings import env_asked
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.apply import in_force as settings_in_force
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.env_undo import MEMORY as ENVIRONMENT
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.undo_data import MEMORY as SETTINGS
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.observed import settled
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.probe import Probe, ask, ask_until

PATIENCE = 30.0  # seconds for a portal to answer as it has to
NOT_SEEN = {"daily": False, "copied": False, "spared": False, "proxies": []}
# Options of chamilo_perms, as the role permissions knows them.
VARIABLES = {
    "owner": "chamilo_owner",
    "group": "chamilo_group",
    "web_user": "chamilo_web_user",
    "policy": "chamilo_permissions_policy",
}


def _judge(tree: dict, site: Site) -> None:
    """Raise what chamilo_perms would report, before anything has changed."""
    found = {"path": site.root, "group": tree.get("group") or site.php.group}
    found["web_user"] = tree.get("web_user") or site.php.user
    order({"owner": "root", **tree, **found}, "production", called=VARIABLES)


def _settings(site: Site) -> tuple[dict, list[str]]:
    """What sections set and is still effective, and the names of all that are saved."""
    kept: list[str] = []
    try:
        kept = sorted(SETTINGS.recall())
        return settings_in_force(site), kept
    except HardeningError:
        return {}, kept  # nothing is known to be effective, so chamilo_settings checks again and reports the error


def _unchanged(site: Site, given: Mapping[str, Place]) -> dict:
    """What modules of this run would find as they want it, by what they were asked for last."""
    found = {}
    for known in (env_asked, accounts_asked):
        try:
            found[known.MODULE] = known.answer(site, given)
        except (HardeningError, OSError, TypeError, ValueError):
            found[known.MODULE] = {}  # the module is run in its turn, and reports it
    return {name: answer for name, answer in found.items() if answer}


def _recurring(site: Site, portal: str, visits: dict) -> dict:
    hosts = site.answering or site.fallback
    log = hosts[0].access_log_file if hosts and visits else ""
    there = log.startswith("/") and os.path.exists(log)
    seen = log_summary(log, visits.get("proxies") or [], visits.get("friends") or []) if there else {"proxies": []}
    return {
        "daily": recurring.settled("updates") and recurring.settled("monitoring"),
        "copied": recurring.copied(portal),
        "spared": bool(site.managed_from) and recurring.spared(site.managed_from),
        "proxies": seen["proxies"],
    }


def _unanswered(expected: Mapping[str, Any]) -> str:
    """How a request was answered otherwise than it has to be; it may take a while after a reload."""
    probe = Probe(
        str(expected["url"]),
        address=str(expected.get("address", "")),
        status=tuple(map(int, expected.get("status", [200]))),
        send=tuple((expected.get("send") or {}).items()),
    )
    return ask_until(lambda: "; ".join(probe.faults(ask(probe)).values()), time.monotonic() + PATIENCE)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "domain": {"type": "str", "required": True},
            "root": {"type": "str", "default": ""},
            "web_server": {"type": "str", "choices": ["", "nginx", "apache"], "default": ""},
            "site": {"type": "str", "default": ""},
            "names": {"type": "list", "elements": "str", "default": []},
            "packages": {"type": "list", "elements": "str", "default": []},
            "certificate_file": {"type": "path", "default": ""},
            "certificate_key_file": {"type": "path", "default": ""},
            "tree": {"type": "dict", "default": {}},
            "takeover": {"type": "str", "choices": ["", "auto", "managed", "include"], "default": ""},
            "sections": {"type": "list", "elements": "str", "default": []},
            "once": {"type": "dict", "default": {}},
            "headers": {"type": "list", "elements": "str", "default": []},
            "tls": {"type": "bool", "default": False},
            "acme": {"type": "str", "choices": ["", "auto", "certbot"], "default": ""},
            "alert_mail": {"type": "str", "default": ""},
            "smtp_host": {"type": "str", "default": ""},
            "install": {"type": "list", "elements": "str", "default": []},
            "variables": {"type": "dict", "default": {}},
            "visits": {"type": "dict", "default": {}},
            "controller_time": {"type": "float", "default": 0},
            "active": {"type": "bool", "default": False},
            "require": {"type": "bool", "default": False},
            "probe": {"type": "list", "elements": "dict", "default": []},
            "session_store": {
                "type": "dict",
                "options": {
                    "host": {"type": "str", "required": True},
                    "port": {"type": "int", "required": True},
                    "ca_file": {"type": "path", "default": ""},
                    "user": {"type": "str", "required": True},
                    "prefix": {"type": "str", "required": True},
                },
            },
            "session_store_password": {"type": "str", "default": "", "no_log": True},
            "salt": {"type": "str", "default": "", "no_log": True},
            # No secret: nothing can be opened with it.
            "key_salt": {"type": "str", "default": "", "no_log": False},
            "collection_version": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    expected = dict(module.params)
    apart = ("tree", "visits", "require", "active", "salt", "key_salt", "probe")
    tree, visits, require, active, salt, key_salt, probes = (expected.pop(name) for name in apart)
    store, password = expected.pop("session_store"), expected.pop("session_store_password")
    version = expected.pop("collection_version")
    desired = Desired(**{each.name: expected.pop(each.name) for each in fields(Desired)})
    if desired.sections and os.geteuid() != 0:  # what else is in the way could not be seen
        module.fail_json(msg=report(expected["domain"], [NOT_ROOT]))
    messages: list[str] = []
    try:
        given: dict[str, Place] = {}
        site = discover(**expected, once=desired.once, given=given)
        try:
            if tree and site.root:
                _judge(tree, site)
        except PermsError as problem:
            messages.append(str(problem))
        try:
            if store:
                redis.examine(redis.Store(tls=not redis.local(store["host"]), password=password, **store))
        except redis.StoreError as problem:
            messages.append(str(problem))
        # Only root may read what it rests on.
        engine = Engine()
        in_force = engine.in_force() if os.geteuid() == 0 else {}
        program = installed_program() if os.geteuid() == 0 else {}
        settings, settings_kept = _settings(site) if os.geteuid() == 0 else ({}, [])
        kept = sorted(ENVIRONMENT.recall()) if os.geteuid() == 0 else []
        recurring_ = _recurring(site, expected["site"] or word(site.domain), visits) if os.geteuid() == 0 else NOT_SEEN
        whole = os.geteuid() == 0 and bool(site.root) and settled(engine.store.peek())
        unchanged = _unchanged(site, given) if whole and desired.sections else {}
        site_word = expected["site"] or word(site.domain)
        key = backups_key.shown(site_word, key_salt) if whole and key_salt and "backups" in desired.sections else {}
        node = compared(site, salt) if salt and require and site.root and os.geteuid() == 0 else {}
        around = observe(site, desired, refusal) if desired.sections else Host()
    except (HardeningError, OSError) as problem:
        module.fail_json(msg=str(problem))
    if desired.sections:
        messages += filter(None, [newer(version)])
    messages += obstacles(site if require else replace(site, errors=()), around, desired)
    if messages:
        module.fail_json(msg=report(site.domain, messages))
    drop_ins = held(expected["site"] or word(site.domain), in_force)
    dark = inactive(site, expected["site"] or word(site.domain), drop_ins) if drop_ins else ""
    if dark and active:
        module.fail_json(msg=dark)
    sick = [fault for fault in map(_unanswered, probes) if fault]
    if sick:
        module.fail_json(
            msg=f"The portal does not answer as it has to. {'. '.join(sick)}. See the log of the web server."
        )
    found = {
        "active": bool(drop_ins) and not dark,
        "site": asdict(site),
        "node": {"shared": {}, "secrets": {}, "sealed": "", **node},
        "program": program,
        "in_force": in_force,
        "settings_in_force": settings,
        "unchanged": unchanged,
        "backup_key": key,
        "recurring": recurring_,
    }
    module.exit_json(changed=False, **found, settings_kept=settings_kept, environment_kept=kept)


if __name__ == "__main__":
    main()
