"""Runs the attacks of tests/attacks: those of a visitor from here, those of an insider on the host itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._attacker import Target
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import (
    Finding,
    attacks,
    inside_attacks,
    observe,
)
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls
from tests.attacks import (  # noqa: F401 (they register)
    backups,
    brute_force,
    database,
    monitoring,
    passwords,
    sessions,
    uploads,
)
from tests.testbed import authority
from tests.testbed.hosts import Host

ROOT = Path(__file__).resolve().parents[2]
DIRECTORY = "/var/tmp/attacks"
CONTROLS = [control for control in _controls.load().controls if control.attack.where == "testbed"]


def attack(host: Host, controls: Iterable[str] = ()) -> dict[str, Finding]:
    """What the attacks on these controls, or on all, came to. A status of pass means that one was blocked."""
    chosen = list(controls) or [control.id for control in CONTROLS]
    outside = {control: attacks[control] for control in chosen if control not in inside_attacks}
    found = observe(outside, Target(host.domain, host.address, str(authority.certificate())))
    inside = [control for control in chosen if control in inside_attacks]
    if inside:
        own = f"{DIRECTORY}/ansible_collections/chamilo/hardening/plugins/module_utils"
        host.put_tree(ROOT / "plugins/module_utils", own)
        host.put_tree(ROOT / "tests/attacks", f"{DIRECTORY}/tests/attacks")
        program = ["python3", "-B", "-m", "tests.attacks", host.domain, *inside]
        output = host.run(["env", "-C", DIRECTORY, *program]).stdout
        host.run(["rm", "-r", DIRECTORY])
        accounts = host.run(["mariadb", "-N", "-e", "SELECT username FROM chamilo.user"]).stdout
        assert "canary-" not in accounts and "intruder-" not in accounts, "an account that an attack made was left"
        found |= {control: Finding(**finding) for control, finding in json.loads(output).items()}
    return found


def through(host: Host, controls: Iterable[str] = ()) -> set[str]:
    """The controls whose attack got through, or could not be tried."""
    return {control for control, finding in attack(host, controls).items() if finding.status != "pass"}
