#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guide_prove
short_description: Try harmless attacks against a portal of your own
version_added: 1.0.0
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.portal
description:
  - Internal to the collection. It can change at any time.
  - Attacks the portal, one attack for each control that can be attacked without harm. Most come over the network from
    the controller, some run on the host as another account.
  - Nothing is attacked unless a random word that was put under the document root through Ansible's connection comes
    back over the network. Fails when an attack on a control that is enforced gets through, or could not be tried.
options:
  names:
    description:
      - The value of C(chamilo_names), further names of the portal, and those that are none of it behind a C(!).
    type: list
    elements: str
    default: []
  address:
    description: The address the controller connects to.
    type: str
    default: ""
  ca_file:
    description: A file on the controller with the authority to trust, besides those of the system.
    type: path
    default: ""
  proxied:
    description: Whether O(domain) leads to a proxy instead of the host.
    type: bool
    default: false
  level:
    description: What is enforced, see the role chamilo.hardening.common.
    type: str
    choices: [must, should, consider]
    default: should
  waivers:
    description: Controls that are not enforced for a while, see the role chamilo.hardening.common.
    type: list
    elements: dict
    default: []
  token:
    description: For the action plugin alone, which makes it.
    type: str
    default: ""
  attacks:
    description: For the action plugin alone. The controls to attack on the host.
    type: list
    elements: str
    default: []
  state:
    description: For the action plugin alone.
    type: str
    choices: [present, absent, attack]
    default: present
"""

EXAMPLES = r"""
- name: Try to get in
  chamilo.hardening.guide_prove:
    domain: campus.example.org
"""

RETURN = "{}"  # what the playbooks and the last screen read, which the action plugin makes

import os

from ansible_collections.chamilo.hardening.plugins.module_utils._common import imports

imports.compile_once()

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import (  # noqa: F401 (it registers) pylint: disable=unused-import
    permissions,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._insider import Insider
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import attacks, inside_attacks, observe
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import SiteError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "domain": {"type": "str", "required": True},
            "names": {"type": "list", "elements": "str", "default": []},
            "root": {"type": "str", "default": ""},
            "web_server": {"type": "str", "choices": ["", "nginx", "apache"], "default": ""},
            "address": {"type": "str", "default": ""},
            "ca_file": {"type": "path", "default": ""},
            "proxied": {"type": "bool", "default": False},
            "level": {"type": "str", "choices": ["must", "should", "consider"], "default": "should"},
            "waivers": {"type": "list", "elements": "dict", "default": []},
            "token": {"type": "str", "default": "", "no_log": False},
            "attacks": {"type": "list", "elements": "str", "default": []},
            "state": {"type": "str", "choices": ["present", "absent", "attack"], "default": "present"},
        }
    )
    given = module.params
    if not given["token"].isalnum():
        module.fail_json(msg="token is made by the action plugin of this module; do not call the module alone.")
    try:
        where = (given["domain"], given["root"], given["web_server"])
        site = discover(*where, require=True, names=given["names"])
    except SiteError as problem:
        module.fail_json(msg=str(problem))
    if given["state"] == "attack":
        desired = {control: attacks[control] for control in given["attacks"] if control in inside_attacks}
        found = observe(desired, Insider(site))
        module.exit_json(
            changed=False,
            findings={control: {"status": one.status, "evidence": one.evidence} for control, one in found.items()},
        )
    # Where a question over https goes, whatever the redirect of plain http calls its root.
    public = f"{site.root}/public"
    roots = [host.root for host in (*site.serving, *site.fallback) if host.root]
    root = next((one for one in roots if os.path.realpath(one) == os.path.realpath(public)), [*roots, public][0])
    path = os.path.join(root, f"chamilo-hardening-{given['token'][:16]}.txt")
    try:
        times = os.stat(root)
        if given["state"] == "present":
            # The web server need not be able to write here, and no other file is touched.
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "w") as file:
                os.fchmod(file.fileno(), 0o644)
                file.write(given["token"])
        else:
            os.unlink(path)
        # Not even the time of the directory's last change is to show it.
        os.utime(root, ns=(times.st_atime_ns, times.st_mtime_ns))
    except OSError as problem:
        module.fail_json(msg=f"{path}: {problem.strerror}")
    names = [name for name in site.portal_names[1:] if name[:2] != "*."]
    module.exit_json(changed=False, path=f"/{os.path.basename(path)}", names=names)


if __name__ == "__main__":
    main()
