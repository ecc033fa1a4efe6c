# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans depend on the owner's configuration and on variables: what was carried out is planned again just so."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.lookup.plan import SECTIONS
from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._application.virtual_hosts import Planned
from ansible_collections.chamilo.hardening.plugins.module_utils._common.markers import apply, strip
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import plan
from tests.tools.plans import answered, planned, variables
from tests.tools.recorded import CERTIFICATE, SITES
from tests.unit.plugins.conftest import Files
from tests.vhosts import Case, cases

SITE = "campus_test"
PLAY = {
    "ansible_run_tags": ["all"],
    "ansible_skip_tags": [],
    "ansible_play_role_names": [f"chamilo.hardening.{section}" for section in SECTIONS],
    # The section https had its turn.
    "__chamilo_https_vhost": {"changed": False},
    "__chamilo_https_bound": {"changed": False},
}
# What is done in a run to come there, and is no part of what is to be.
STEPS = (".vhost", ".certificate.served")


def plans(host: Files, given: dict[str, Any]) -> dict[str, Any]:
    known = variables(host, *SECTIONS, __chamilo_common_info={}, chamilo_site=SITE, **PLAY) | given
    asked = planned(host, "discovery", **known)
    observed = discover(
        given["chamilo_domain"],
        site=SITE,
        tree=host.tree,
        hosted=Planned(frozenset(asked["once"]), frozenset(asked["headers"]), asked["tls"]),
    )
    known["__chamilo_common_info"] = json.loads(json.dumps(answered(observed)))
    return {section: planned(host, section, **known) for section in SECTIONS}


def transactions(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict) and {"name", "files", "probe"} <= set(value):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from transactions(each)


def carry_out(host: Files, options: dict[str, Any]) -> None:
    desired = plan(options)
    for file in desired.files:
        place = host.root / file.path.lstrip("/")
        if file.state == "file":
            host.write(file.path, file.content.decode())
        else:
            place.unlink(missing_ok=True)
        if file.state == "link":
            host.link(file.path, file.target)
    for marked in desired.marked:
        place = (host.root / marked.path.lstrip("/")).resolve()
        place.write_text(apply(strip(place.read_text(), SITE), marked.marks, SITE))


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted({*before, *after}):
            yield from differences(before.get(name), after.get(name), f"{path}.{name}")
    elif isinstance(before, list) and isinstance(after, list):
        for number, pair in enumerate(itertools.zip_longest(before, after)):
            yield from differences(*pair, f"{path}[{number}]")
    elif before != after and not path.endswith(STEPS):
        yield f"{path}: {before} -> {after}"


def settle(host: Files, **given: Any) -> list[str]:
    """How the plans after they were carried out differ from those before."""
    before = plans(host, {**CERTIFICATE, **given})
    for options in transactions(before):
        carry_out(host, options)
    return list(differences(before, plans(host, {**CERTIFICATE, **given})))


def prepare(host: Files, server: str) -> None:
    host.install(server)
    host.chamilo()
    host.write("/var/www/chamilo/config/packages/framework.yaml", "framework:\n    session: ~\n")
    host.link("/var/run", "../run")
    for name in ("socache_shmcb", "ssl") if server == "apache" else ():
        for file in (f"{name}.load", f"{name}.conf"):
            if not (host.root / f"etc/apache2/mods-available/{file}").exists():
                host.write(f"/etc/apache2/mods-available/{file}")
            host.link(f"/etc/apache2/mods-enabled/{file}", f"../mods-available/{file}")


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in SITES])
def test_recorded_sites(host: Files, name: str) -> None:
    recorded = SITES[name]
    prepare(host, recorded.server)
    host.testbed_site(recorded.server, recorded.vhost)
    recorded.php(host)
    assert settle(host, chamilo_domain="campus.test", **recorded.variables) == []


# The last one has nothing of the portal in it.
@pytest.mark.parametrize("vhost", ["auto", "managed"])
@pytest.mark.parametrize("name", ["plain", "https", "two-names", "foreign-headers", "default-server", "shop"])
@pytest.mark.parametrize("server", ["nginx", pytest.param("apache", marks=pytest.mark.slow)])
def test_virtual_hosts_of_the_test_bed(host: Files, server: str, name: str, vhost: str) -> None:
    prepare(host, server)
    host.testbed_site(server, name)
    SITES["nginx"].php(host)
    assert settle(host, chamilo_domain="campus.test", chamilo_https_vhost=vhost) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [case for server in ("nginx", "apache") for case in cases(server) if not case.panel],
    ids=lambda case: case.name,
)
def test_virtual_hosts_of_the_world(host: Files, case: Case) -> None:
    prepare(host, case.server)
    SITES["nginx"].php(host)
    for name in (*case.head.get("modules", "").split(), *(["php8.4"] if case.head.get("php") else [])):
        text = f"LoadModule {name.replace('8.4', '')}_module /usr/lib/apache2/modules/mod_{name}.so\n"
        host.write(f"/etc/apache2/mods-enabled/{name}.load", text)
    case.lay(host.root)
    if "pool" in case.head:
        name, socket = case.head["pool"].split()
        pool = f"[{name}]\nuser = www-data\ngroup = www-data\nlisten = {socket}\n"
        host.write(f"/etc/php/8.4/fpm/pool.d/{name}.conf", pool)
    assert settle(host, chamilo_domain="campus.example.org") == []
