#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_comparison
short_description: Compare a program with the package of its release
version_added: 2.0.0
description:
  - Internal to the collection. It can change at any time.
  - Keeps the manifest of the package on the host, or why the controller has none, and lists what differs from it.
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.internal
  - chamilo.hardening.internal.secrets
"""

EXAMPLES = "- chamilo.hardening.release_comparison: {request: {}}\n"
RETURN = "{}"  # what the controller accepts is in plugins/plugin_utils/_answers.py

import base64
import zlib
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._application import comparison, release_files
from ansible_collections.chamilo.hardening.plugins.module_utils._application.comparison import Request
from ansible_collections.chamilo.hardening.plugins.module_utils._common.request import options, run
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.store import Store


def work(request: Request, module: AnsibleModule) -> dict[str, Any]:
    store = Store()
    if not request.manifest:
        release_files.refuse(request.problem, request.root, request.version, store.root)
        return {"package": "", "package_problem": request.problem, "unlike": []}
    manifest = release_files.parse(zlib.decompress(base64.b64decode(request.manifest)).decode())
    release_files.remember(manifest, request.root, store.root)
    found = comparison.against_release(request.root, request.version, store.written(), store.root)
    return {"package": found.package, "package_problem": "", "unlike": found.lines()}


def main() -> None:
    run(AnsibleModule(options(Request), supports_check_mode=False), Request, work)


if __name__ == "__main__":
    main()
