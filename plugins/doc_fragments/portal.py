# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Which portal is meant.
    DOCUMENTATION = r"""
options:
  domain:
    description:
      - The public name of the portal. It determines which virtual host and pool give the application its environment.
    type: str
    required: true
  root:
    description: The directory of Chamilo, the one with C(.env). Empty means that it is discovered.
    type: str
    default: ""
  web_server:
    description: The web server that serves it. Empty means that it is found.
    type: str
    choices: ["", nginx, apache]
    default: ""
"""

    # What the action plugin adds.
    INSTALLATION = r"""
options:
  installation:
    description:
      - Where the portal is and what its host gives it, as M(chamilo.hardening.chamilo_site_info) found it in this run,
        or finds it before the module runs. It is made by the collection and cannot be given in a task.
    type: dict
    default: {}
    version_added: 2.0.0
  installation_salt:
    description:
      - What opens the part of O(installation) that can be secret. It is made by the collection and cannot be given in a
        task.
    type: str
    default: ""
    version_added: 2.0.0
"""

    # Its pages.
    PROBE = r"""
options:
  probe:
    description: Pages of the portal that must be answered as before. Where one is not, the change is rolled back.
    type: list
    elements: dict
    default: []
    version_added: 2.0.0
    suboptions:
      url:
        description: The URL.
        type: str
        required: true
      address:
        description: The address to connect to, if it is not the one of the host in the URL.
        type: str
      send:
        description: Names and values of headers that go with the request.
        type: dict
        default: {}
"""
