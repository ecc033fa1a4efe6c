"""Runs on a web node: which node answers what its audit asks, when it knows of the others and when it does not."""

from __future__ import annotations

import json
import sys

sys.path.insert(0, sys.argv[1])

from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Observer

site = discover(sys.argv[2], "", "")
found = {}
for several in (False, True):
    observer = Observer(site, {"terminated_elsewhere": True, "several_nodes": several})
    found[str(several)] = sorted({observer.get(f"/?{number}").value("X-Node") for number in range(6)})
print(json.dumps(found))
