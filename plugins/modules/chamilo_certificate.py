#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: chamilo_certificate
short_description: Have a certificate for the portal, by Certbot or signed by itself
version_added: 1.0.0
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
description:
  - Internal to the collection. It can change at any time.
  - With O(source=certbot), adopts the certificate that Certbot has for the name, or asks for one once a challenge of
    its own was found under the public name. With O(source=self_signed), the host signs one itself. Others are never
    touched. How is in the README of P(chamilo.hardening.https#role).
options:
  domain:
    description: The public name of the portal.
    type: str
    required: true
  names:
    description:
      - All names of the portal, wildcards such as C(*.campus.example.org) among them. O(domain) is always one of them.
    type: list
    elements: str
    default: []
  site:
    description: The word that is in the names of the files this collection writes for the portal.
    type: str
    required: true
  source:
    description: Where the certificate comes from.
    type: str
    choices: [certbot, self_signed, look]
    default: certbot
  webroot:
    description:
      - The directory that is served under the name on port 80. Challenges go below C(.well-known/acme-challenge) in it.
    type: path
  email:
    description: Where the authority may write to.
    type: str
    default: ""
  directory:
    description: The ACME directory of the authority. When it is empty, it is Certbot's default, Let's Encrypt.
    type: str
    default: ""
  ca_file:
    description: The authority behind the certificate of O(directory), in PEM form, where the host does not trust it.
    type: path
    default: ""
  arguments:
    description: How Certbot proves that the name is yours, as its own arguments, in place of a challenge over http.
    type: list
    elements: str
    default: []
  certificate:
    description: Where the certificate goes. Needed with O(source=self_signed).
    type: path
  certificate_key:
    description: Where its key goes. Needed with O(source=self_signed).
    type: path
  service:
    description: Who serves the certificate, and reloads when it is replaced. With O(source=self_signed) only.
    type: str
  test:
    description: The commands that test the configuration of O(service).
    type: list
    elements: list
    default: []
notes:
  - O(source=certbot) needs Certbot on the host.
"""

EXAMPLES = r"""
- name: Have a certificate of Let's Encrypt
  chamilo.hardening.chamilo_certificate:
    domain: campus.example.org
    names: [www.campus.example.org]
    site: campus
    webroot: /var/www/chamilo/public
    email: admin@example.org
"""

RETURN = r"""
certificate:
  description: The file of the certificate and its chain.
  returned: when there is one
  type: str
certificate_key:
  description: The file of its key.
  returned: when there is one
  type: str
names:
  description: Those of O(names) and O(domain) that it is for, by their own names or by a wildcard.
  returned: when there is one
  type: list
  elements: str
days_left:
  description: How many days are left until it runs out.
  returned: when there is one
  type: int
diff:
  description: What changed in files that are no secret.
  returned: with C(--diff)
  type: list
  elements: dict
"""

import os

from ansible_collections.chamilo.hardening.plugins.module_utils._common import imports

imports.compile_once()

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._https import acme
from ansible_collections.chamilo.hardening.plugins.module_utils._https.acme import AcmeError, Desired, Got
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.names import is_name
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import Outcome


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "domain": {"type": "str", "required": True},
            "names": {"type": "list", "elements": "str", "default": []},
            "site": {"type": "str", "required": True},
            "source": {"type": "str", "choices": ["certbot", "self_signed", "look"], "default": "certbot"},
            "webroot": {"type": "path"},
            "email": {"type": "str", "default": ""},
            "directory": {"type": "str", "default": ""},
            "ca_file": {"type": "path", "default": ""},
            "arguments": {"type": "list", "elements": "str", "default": []},
            "certificate": {"type": "path"},
            "certificate_key": {"type": "path", "no_log": False},
            "service": {"type": "str"},
            "test": {"type": "list", "elements": "list", "default": []},
        },
        required_if=[
            ("source", "certbot", ("webroot",)),
            ("source", "self_signed", ("certificate", "certificate_key")),
        ],
        supports_check_mode=True,
    )
    outcome = Outcome()
    try:
        got = _get(module.params, outcome, module.check_mode)
    except (HardeningError, OSError) as problem:
        module.fail_json(msg=str(problem))
    for note in [*outcome.recovered, *outcome.notes]:
        module.warn(note)
    result = {"changed": got.changed}
    if got.pair.there:
        names = [name for name in _names(module.params) if name not in got.pair.lacks]
        result.update(certificate=got.pair.file, certificate_key=got.pair.key, days_left=got.pair.days, names=names)
    if module._diff:
        result["diff"] = outcome.diff
    module.exit_json(**result)


def _names(params: dict) -> tuple[str, ...]:
    """The domain first. Each becomes an argument of a program, so it has to be a name."""
    names = tuple(dict.fromkeys(name.lower() for name in (params["domain"], *params["names"])))
    wrong = [name for name in names[1:] if not is_name(name)]
    if wrong:
        raise AcmeError(f"Invalid value for names: {wrong[0]!r}. Valid: names of the DNS, such as www.example.org.")
    return names


def _get(params: dict, outcome: Outcome, check: bool) -> Got:
    if params["source"] == "look":
        refused = acme.refusal(params["domain"])
        if refused:
            raise AcmeError(
                f"{refused} Set chamilo_https_certificate to files, with chamilo_https_certificate_file and "
                "chamilo_https_certificate_key_file, or to self_signed for a trial. No certificate was asked for."
            )
        return Got()
    if params["source"] == "self_signed":
        served = {"test": params["test"], "load": {"service": params["service"], "action": "reload"}}
        return acme.self_sign(
            _names(params),
            params["site"],
            params["certificate"],
            params["certificate_key"],
            Engine(),
            outcome,
            check,
            served if params["service"] else None,
        )
    desired = Desired(
        names=_names(params),
        site=params["site"],
        webroot=params["webroot"],
        email=params["email"],
        directory=params["directory"],
        ca_file=params["ca_file"],
        arguments=tuple(params["arguments"]),
        served=params["certificate"] or "",
    )
    got = acme.obtain(desired, Engine(), outcome, check)
    owners = "" if check else acme.owners(os.path.isdir("/run/systemd/system"))
    outcome.notes += [owners] if owners else []
    return got


if __name__ == "__main__":
    main()
