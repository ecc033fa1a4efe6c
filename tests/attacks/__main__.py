"""Runs attacks on the host itself: ``python3 -m tests.attacks DOMAIN CONTROL...`` prints what each came to, as JSON."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict

from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._insider import Insider
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import attacks, observe
from tests.attacks import backups, brute_force, database, monitoring, sessions, uploads  # noqa: F401 (they register)

MADE_FOR_TESTS = "/etc/chamilo-testbed"

if __name__ == "__main__":
    if not os.path.exists(MADE_FOR_TESTS):
        raise SystemExit(f"These attacks are for hosts of the testbed alone, and this one has no {MADE_FOR_TESTS}.")
    domain, *controls = sys.argv[1:]
    found = observe({control: attacks[control] for control in controls}, Insider(discover(domain, require=True)))
    print(json.dumps({control: asdict(finding) for control, finding in found.items()}))
