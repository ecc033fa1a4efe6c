# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: chamilo_portals_info
short_description: List the Chamilo portals of a host
version_added: 2.0.0
description:
  - Internal to the collection. It can change at any time.
  - Finds each portal of a host by the virtual hosts that serve it and by the usual directories, before a name of it is
    known.
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.internal
"""

EXAMPLES = "- chamilo.hardening.chamilo_portals_info: {request: {}}\n"
RETURN = "{}"  # what the controller accepts is in plugins/plugin_utils/_answers.py

from dataclasses import asdict, dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._application.portals import portals
from ansible_collections.chamilo.hardening.plugins.module_utils._common.request import options, run

SECTIONS = ("database", "backups")  # those that need a database of a certain kind


@dataclass(frozen=True)
class Request:
    """Nothing more is to be said."""


def work(_request: Request, _module: AnsibleModule) -> dict[str, Any]:
    return {"changed": False, "portals": [asdict(portal) for portal in portals(SECTIONS)]}


def main() -> None:
    run(AnsibleModule(options(Request), supports_check_mode=True), Request, work)


if __name__ == "__main__":
    main()
