#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guide_prove
short_description: Try harmless attacks against a portal of your own
version_added: 1.0.0
description:
  - Internal to the collection. It can change at any time.
  - Attacks the portal, one attack for each control that can be attacked without harm. Most come over the network from
    the controller, some run on the host as another account.
  - Nothing is attacked unless a random word that was put under the document root through Ansible's connection comes
    back over the network. Fails when an attack on a control that is enforced gets through, or could not be tried.
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.internal
"""

EXAMPLES = "- chamilo.hardening.guide_prove: {request: {}}\n"
RETURN = "{}"  # what the controller accepts is in plugins/plugin_utils/_answers.py

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import (  # noqa: F401 (it registers) pylint: disable=unused-import
    permissions,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._insider import Insider
from ansible_collections.chamilo.hardening.plugins.module_utils._common import services
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import attacks, inside_attacks, observe
from ansible_collections.chamilo.hardening.plugins.module_utils._common.request import options, run

PROGRAM = "/usr/local/sbin/chamilo-hardening"


@dataclass(frozen=True)
class Request:
    domain: str
    names: Sequence[str] = ()
    root: str = ""
    web_server: Literal["", "nginx", "apache"] = ""
    # Made by the action plugin.
    token: str = field(default="", metadata={"no_log": False})
    state: Literal["present", "absent", "attack"] = "present"
    attacks: Sequence[str] = ()  # the controls to attack on the host


def work(request: Request, module: AnsibleModule) -> dict[str, Any]:
    if not request.token.isalnum():
        module.fail_json(msg="token is made by the action plugin of this module; do not call the module alone.")
    site = discover(request.domain, request.root, request.web_server, require=True, names=request.names)
    if request.state == "attack":
        desired = {control: attacks[control] for control in request.attacks if control in inside_attacks}
        found = observe(desired, Insider(site))
        findings = {control: {"status": one.status, "evidence": one.evidence} for control, one in found.items()}
        return {"changed": False, "findings": findings, "observed": _observed(site.domain)}
    # Where a question over https goes, whatever the redirect of plain http calls its root.
    public = f"{site.root}/public"
    roots = [host.root for host in (*site.serving, *site.fallback) if host.root]
    root = next((one for one in roots if os.path.realpath(one) == os.path.realpath(public)), [*roots, public][0])
    path = os.path.join(root, f"chamilo-hardening-{request.token[:16]}.txt")
    try:
        times = os.stat(root)
        if request.state == "present":
            # The web server need not be able to write here, and no other file is touched.
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "w") as file:
                os.fchmod(file.fileno(), 0o644)
                file.write(request.token)
        else:
            os.unlink(path)
        # Not even the time of the directory's last change is to show it.
        os.utime(root, ns=(times.st_atime_ns, times.st_mtime_ns))
    except OSError as problem:
        module.fail_json(msg=f"{path}: {problem.strerror}")
    names = [name for name in site.portal_names[1:] if name[:2] != "*."]
    return {"changed": False, "path": f"/{os.path.basename(path)}", "names": names}


def _observed(domain: str) -> dict[str, dict[str, str]]:
    """What the host program's audit finds now not met of the portal; nothing on a host that was not hardened."""
    code, text = services.run((PROGRAM, "audit", "--json"), 300)
    if code not in (0, 1):
        return {}
    try:
        answers = [one["answer"] for one in json.loads(text)]
    except ValueError:
        return {}
    return {
        name: {"status": one["status"], "evidence": one["evidence"]}
        for answer in answers
        if domain in answer["names"]
        for name, one in answer["observed"].items()
        if one["status"] == "fail"
    }


def main() -> None:
    run(AnsibleModule(options(Request)), Request, work)


if __name__ == "__main__":
    main()
