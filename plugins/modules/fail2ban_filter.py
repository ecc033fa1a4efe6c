#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fail2ban_filter
short_description: Prove a filter of fail2ban before it bans anybody
version_added: 1.0.0
description:
  - Internal to the collection. It can change at any time.
  - Has fail2ban itself read the filter and try it on lines, with the address of a victim in every part of them that an
    attacker controls, and on the slowest lines that can be made of them. Writes nothing.
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.internal
"""

EXAMPLES = r"""
- name: Prove the filter
  chamilo.hardening.fail2ban_filter:
    request:
      name: campus-login
      failregex: ['^<ADDR> \S+ (?:[^"\\]|\\.)*"POST /login_json(?:\?\S*)? HTTP/[\d.]+" 401\b']
      datepattern: '\[(%d/%b/%Y:%H:%M:%S %z)\] "'
      samples:
        match:
          - line: '203.0.113.7 - - [25/Nov/2026:10:00:00 +0000] "POST /login_json HTTP/1.1" 401 31 "-" "curl/8.14"'
            address: 203.0.113.7
"""

RETURN = "{}"  # what the controller accepts is in plugins/plugin_utils/_answers.py

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._common import imports

imports.compile_once()

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.access_log import log_summary
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.fail2ban import is_installed
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_attacks import Sample
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_file import Definition, alone
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_proof import check, prove
from ansible_collections.chamilo.hardening.plugins.module_utils._common.request import options, run


@dataclass(frozen=True)
class Samples:
    match: Sequence[Mapping[str, Any]]  # each a line, and the one address that has to come out
    no_match: Sequence[str] = ()


@dataclass(frozen=True)
class Request:
    name: str
    failregex: Sequence[str]
    samples: Samples
    datepattern: str = ""
    # An access log, to see whether it shows visitors or only proxies.
    log: str = ""
    proxies: Sequence[str] = ()
    friends: Sequence[str] = ()


def work(request: Request, module: AnsibleModule) -> dict[str, Any]:
    definition = Definition(request.name, tuple(request.failregex), request.datepattern)
    lines = [Sample(str(each["line"]), str(each["address"])) for each in request.samples.match]
    lines += [Sample(line) for line in request.samples.no_match]
    check(definition, lines)
    result: dict[str, Any] = {"changed": False}
    if request.log and os.path.exists(request.log):
        result["log"] = log_summary(request.log, request.proxies, request.friends)
    if is_installed():
        alone(request.name)
        return {**result, "proof": prove(definition, lines).to_dict()}
    if not module.check_mode:
        module.fail_json(msg="The filter cannot be proved: fail2ban is not installed. Install it first.")
    return result


def main() -> None:
    run(AnsibleModule(options(Request), supports_check_mode=True), Request, work)


if __name__ == "__main__":
    main()
