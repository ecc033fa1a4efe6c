#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: chamilo_site_info
short_description: Find the Chamilo portal on a host, and what serves it
version_added: 1.0.0
description:
  - Internal to the collection. It can change at any time.
  - Finds the project directory and version of Chamilo, the web server and the virtual hosts that answer to the domain,
    the PHP behind them, the environment of the application, and what is known of the host around it. Where something is
    in the way of the sections that are about to run, it fails, and reports all of it in one message.
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.internal
  - chamilo.hardening.internal.secrets
"""

EXAMPLES = "- chamilo.hardening.chamilo_site_info: {request: {}}\n"
RETURN = "{}"  # what the controller accepts is in plugins/plugin_utils/_answers.py

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._application import redis
from ansible_collections.chamilo.hardening.plugins.module_utils._application.active import held, inactive
from ansible_collections.chamilo.hardening.plugins.module_utils._application.beliefs import doubts, judge
from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovered import (
    BackupKey,
    Compared,
    Discovered,
    Recurring,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._application.installation import Installation
from ansible_collections.chamilo.hardening.plugins.module_utils._application.nodes import compared
from ansible_collections.chamilo.hardening.plugins.module_utils._application.obstacle import Obstacle, report
from ansible_collections.chamilo.hardening.plugins.module_utils._application.obstacles import (
    NOT_ROOT,
    Host,
    observe,
    obstacles,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._application.request import Request, without_https
from ansible_collections.chamilo.hardening.plugins.module_utils._application.sealed import SealError, seal
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._application.virtual_hosts import Planned
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import key as backups_key
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.access_log import proxies_only
from ansible_collections.chamilo.hardening.plugins.module_utils._common import recurring
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.naming import word
from ansible_collections.chamilo.hardening.plugins.module_utils._common.request import options, run
from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Place
from ansible_collections.chamilo.hardening.plugins.module_utils._https.reach import no_authority, refusal
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.policy import PermsError, order
from ansible_collections.chamilo.hardening.plugins.module_utils._program.install import newer, own_pool
from ansible_collections.chamilo.hardening.plugins.module_utils._program.install import seen as installed_program
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.apply import in_force as settings_in_force
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.env_undo import MEMORY as ENVIRONMENT
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.undo_data import MEMORY as SETTINGS
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine, settled
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.probe import ask, ask_until, read
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.repair import Repaired

PATIENCE = 30.0  # seconds for a portal to answer as it has to
# Options of chamilo_perms, as the role permissions knows them.
VARIABLES = {
    "owner": "chamilo_owner",
    "group": "chamilo_group",
    "web_user": "chamilo_web_user",
    "policy": "chamilo_permissions_policy",
    "roots": "chamilo_permissions_roots",
}


def _judge(tree: Mapping[str, Any], site: Site) -> None:
    """Raise what chamilo_perms would report, before anything has changed."""
    found = {"path": site.root, "group": tree.get("group") or site.php.group}
    found["web_user"] = tree.get("web_user") or site.php.user
    order({"owner": "root", **tree, **found}, "production", called=VARIABLES)


def _settings(portal: Installation) -> tuple[dict[str, Any], list[str]]:
    """What sections set and is still effective, and the names of all that are saved."""
    kept: list[str] = []
    try:
        kept = sorted(SETTINGS.recall())
        return settings_in_force(portal), kept
    except HardeningError:
        return {}, kept  # nothing is known to be effective, so chamilo_settings checks again and reports the error


def _sealed(portal: Installation, salt: str) -> str:
    """What the server gives PHP, to be told to another module: it may be secret."""
    given = {name: asdict(place) for name, place in portal.given.items()}
    text = seal(given, salt) if salt and given else ""
    if salt and given and not text:
        raise SealError(f"The server gives PHP {', '.join(given)}. Install openssl, to hand that on.")
    return text


def _recurring(site: Site, portal: str, visits: Mapping[str, Sequence[str]]) -> Recurring:
    hosts = site.answering or site.fallback
    log = hosts[0].access_log_file if hosts and visits else ""
    there = log.startswith("/") and os.path.exists(log)
    seen = proxies_only(log, visits.get("proxies") or [], visits.get("friends") or []) if there else []
    return Recurring(
        daily=recurring.settled("updates") and recurring.settled("monitoring"),
        copied=recurring.copied(portal),
        spared=bool(site.managed_from) and recurring.spared(site.managed_from),
        proxies=tuple(seen),
    )


def _unanswered(expected: Mapping[str, Any]) -> str:
    """How a request was answered otherwise than it has to be; it may take a while after a reload."""
    probe = read(expected)
    return ask_until(lambda: "; ".join(probe.faults(ask(probe)).values()), time.monotonic() + PATIENCE)


def _discovered(request: Request, given: dict[str, Place]) -> Site:
    return discover(
        domain=request.domain,
        root=request.root,
        web_server=request.web_server,
        packages=request.packages,
        site=request.site,
        certificate_file=request.certificate_file,
        certificate_key_file=request.certificate_key_file,
        hosted=Planned(frozenset(request.once), frozenset(request.headers), request.tls),
        tree=Repaired(Engine().store) if os.geteuid() == 0 else None,
        names=request.names,
        given=given,
    )


def _refusals(request: Request, site: Site) -> list[Obstacle]:
    """What a section would fail at in the middle of the run."""
    found = []
    try:
        if request.tree and site.root:
            _judge(request.tree, site)
    except PermsError as problem:
        found.append(Obstacle(str(problem), ("permissions",)))
    store = request.session_store
    try:
        if store:
            tls, password = not redis.local(store.host), request.session_store_password
            redis.examine(redis.Store(store.host, store.port, tls, store.ca_file, store.user, password, store.prefix))
    except redis.StoreError as problem:
        found.append(Obstacle(str(problem), ("sessions",)))
    return found


def _in_the_way(request: Request, site: Site) -> list[Obstacle]:
    """All of it at once. What is in the way of the whole host ends the run before it changes anything."""

    def unreachable(domain: str) -> str:
        return refusal(domain) or no_authority(request.acme_directory, request.acme_ca_file)

    around = observe(site, request, unreachable) if request.sections else Host()
    by_others = (newer(request.collection_version), own_pool()) if request.sections else ()
    found = [*_refusals(request, site), *(Obstacle(why) for why in by_others if why)]
    return found + obstacles(site if request.require else replace(site, errors=()), around, request)


def work(request: Request, module: AnsibleModule) -> dict[str, Any]:
    as_root = os.geteuid() == 0  # only root may read what in_force rests on, and more
    if request.sections and not as_root:  # what else is in the way could not be seen
        module.fail_json(msg=report(request.domain, [Obstacle(NOT_ROOT)]))
    given: dict[str, Place] = {}
    site = _discovered(request, given)
    found = _in_the_way(request, site)
    if any(one.of_all for one in found):
        module.fail_json(msg=report(site.domain, found))
    if any("https" in one.sections for one in found) and request != (without := without_https(request)):
        request, given = without, {}
        site = _discovered(request, given)
    beliefs = judge(request.facts, site.root, site.version, site.php.user) if as_root and site.root else []
    found += [one for doubt in doubts(beliefs) for one in doubt.of(request.sections)]
    site = replace(site, left_alone=tuple(control for doubt in doubts(beliefs) for control in doubt.controls))
    portal = replace(site.installation, given=given)
    site_word = request.site or word(site.domain)
    engine = Engine()
    in_force = engine.in_force() if as_root else {}
    program = installed_program() if as_root else {}
    settings, settings_kept = _settings(portal) if as_root else ({}, [])
    kept = sorted(ENVIRONMENT.recall()) if as_root else []
    recurring_ = _recurring(site, site_word, request.visits) if as_root else Recurring()
    whole = as_root and bool(site.root) and settled(engine.store.peek())
    asks_for_key = whole and request.key_salt and "backups" in request.sections
    key = BackupKey(**backups_key.shown(site_word, request.key_salt)) if asks_for_key else BackupKey()
    nodes = request.salt and request.require and site.root and as_root
    drop_ins = held(site_word, in_force)
    dark = inactive(site, site_word, drop_ins) if drop_ins else ""
    if dark and request.active:
        module.fail_json(msg=dark)
    sick = [fault for fault in map(_unanswered, request.probe) if fault]
    if sick:
        module.fail_json(
            msg=f"The portal does not answer as it has to. {'. '.join(sick)}. See the log of the web server."
        )
    answer = Discovered(
        site,
        given=_sealed(portal, request.salt),
        active=bool(drop_ins) and not dark,
        in_force=in_force,
        program=program,
        settings_in_force=settings,
        settings_kept=tuple(settings_kept),
        environment_kept=tuple(kept),
        backup_key=key,
        node=compared(portal, request.salt) if nodes else Compared(),
        recurring=recurring_,
        obstacles=tuple(found),
    )
    return {"changed": False, **asdict(answer)}


def main() -> None:
    run(AnsibleModule(options(Request), supports_check_mode=True), Request, work)


if __name__ == "__main__":
    main()
