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
  - Finds the project folder and the version of Chamilo, the web server and the virtual hosts that answer to the domain,
    the PHP behind them, the environment of the application, and what is known of the host around it.
  - Reads files only. It runs no command, opens no connection and changes nothing.
  - Works without root; RV(site.problems) then says what could not be read.
options:
  domain:
    description:
      - The public name of the portal.
    type: str
    required: true
  root:
    description:
      - The project folder of Chamilo, the one that holds C(public/) and C(bin/console).
      - When it is empty, it is the folder behind the document root of the virtual host that answers to O(domain), else
        the one Chamilo in the usual places.
    type: str
    default: ""
  web_server:
    description:
      - The web server that visitors reach.
      - When it is empty, it is the one that is installed, or of both the one that is running.
    type: str
    choices: ["", nginx, apache]
    default: ""
  site:
    description:
      - The word that is in the names of the files this collection writes for the portal.
      - With it RV(site.serving[].includes_ours) can be told.
    type: str
    default: ""
  packages:
    description:
      - Debian packages to look for. Those that are not installed are in RV(site.missing_packages).
    type: list
    elements: str
    default: []
  certificate_file:
    description:
      - A certificate chain that is to serve O(domain), in PEM form, the site's own certificate first.
      - When it is given, it must belong to O(certificate_key_file), be in date and cover the domain.
    type: path
    default: ""
  certificate_key_file:
    description:
      - The private key of O(certificate_file), without a passphrase.
    type: path
    default: ""
  require:
    description:
      - Fail when there is no Chamilo, no web server, or no way to tell which of several is meant, or when
        O(certificate_file) cannot serve the domain.
      - Otherwise these are in RV(site.problems).
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
    details:
      - This action does not modify state.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check mode), when in diff mode.
    support: N/A
    details:
      - This action does not modify state.
"""

EXAMPLES = r"""
- name: Find the portal
  chamilo.hardening.chamilo_site_info:
    domain: campus.example.org
  register: found

- name: Say what serves it
  ansible.builtin.debug:
    msg: >-
      {{ found.site.root }} is served by {{ found.site.web.name }} {{ found.site.web.version }}
      from {{ found.site.serving | map(attribute='file') | unique | join(', ') }}.

- name: Stop when there is no Chamilo in the folder, or fail2ban is not installed
  chamilo.hardening.chamilo_site_info:
    domain: campus.example.org
    root: /srv/campus
    packages: [fail2ban]
    require: true
  register: found
  failed_when: found is failed or found.site.missing_packages
"""

RETURN = r"""
site:
  description: What was found. Empty texts and lists mean that it was not.
  returned: success
  type: dict
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._site import SiteError, discover


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "domain": {"type": "str", "required": True},
            "root": {"type": "str", "default": ""},
            "web_server": {"type": "str", "choices": ["", "nginx", "apache"], "default": ""},
            "site": {"type": "str", "default": ""},
            "packages": {"type": "list", "elements": "str", "default": []},
            "certificate_file": {"type": "path", "default": ""},
            "certificate_key_file": {"type": "path", "default": ""},
            "require": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        site = discover(**module.params)
    except SiteError as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(changed=False, site=asdict(site))


if __name__ == "__main__":
    main()
