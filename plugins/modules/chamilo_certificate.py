#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: chamilo_certificate
short_description: Have a certificate for the portal, by Certbot or signed by itself
version_added: 1.0.0
description:
  - Internal to the collection. It can change at any time.
  - Adopts the certificate that Certbot has for the name, asks for one once a challenge of its own was found under the
    public name, or signs one itself. How is in the README of P(chamilo.hardening.https#role).
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.internal
"""

EXAMPLES = "- chamilo.hardening.chamilo_certificate: {request: {}}\n"
RETURN = "{}"  # what the controller accepts is in plugins/plugin_utils/_answers.py

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._common.naming import is_name
from ansible_collections.chamilo.hardening.plugins.module_utils._common.request import options, run
from ansible_collections.chamilo.hardening.plugins.module_utils._https import acme
from ansible_collections.chamilo.hardening.plugins.module_utils._https.acme import AcmeError, Desired, Got
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.job import Outcome


@dataclass(frozen=True)
class Request:
    domain: str
    site: str  # the word in the names of the files of this portal
    source: Literal["certbot", "self_signed"] = "certbot"
    names: Sequence[str] = ()  # all of the portal, wildcards among them; the domain always is one
    # Of Certbot.
    webroot: str = ""  # served under the name on port 80; challenges go below .well-known/acme-challenge in it
    email: str = ""
    directory: str = ""  # of the authority; empty: Certbot's default, Let's Encrypt
    ca_file: str = ""  # behind the certificate of that directory, where the host does not trust it
    arguments: Sequence[str] = ()  # in place of a challenge over http
    # Where a self-signed one goes, or one of Certbot is served.
    certificate: str = ""
    certificate_key: str = field(default="", metadata={"no_log": False})
    service: str = ""  # which serves a self-signed one, and reloads when it is replaced
    test: Sequence[Sequence[str]] = ()  # commands that test its configuration


def work(request: Request, module: AnsibleModule) -> dict[str, Any]:
    outcome = Outcome()
    got = _get(request, outcome, module.check_mode)
    for note in [*outcome.recovered, *outcome.notes]:
        module.warn(note)
    result: dict[str, Any] = {"changed": got.changed}
    if got.pair.there:
        names = [name for name in _names(request) if name not in got.pair.lacks]
        result.update(certificate=got.pair.file, certificate_key=got.pair.key, days_left=got.pair.days, names=names)
    return {**result, "diff": outcome.diff} if module._diff else result


def _names(request: Request) -> tuple[str, ...]:
    """The domain first. Each becomes an argument of a program, so it has to be a name."""
    names = tuple(dict.fromkeys(name.lower() for name in (request.domain, *request.names)))
    wrong = [name for name in names[1:] if not is_name(name)]
    if wrong:
        raise AcmeError(f"Invalid value for names: {wrong[0]!r}. Valid: names of the DNS, such as www.example.org.")
    return names


def _get(request: Request, outcome: Outcome, check: bool) -> Got:
    needs = {"certbot": ("webroot",), "self_signed": ("certificate", "certificate_key")}.get(request.source, ())
    missing = [name for name in needs if not getattr(request, name)]
    if missing:
        raise AcmeError(f"source {request.source} needs {' and '.join(missing)}.")
    if request.source == "self_signed":
        served = {"test": request.test, "load": {"service": request.service, "action": "reload"}}
        return acme.self_sign(
            _names(request),
            request.site,
            request.certificate,
            request.certificate_key,
            Engine(),
            outcome,
            check,
            served if request.service else None,
        )
    desired = Desired(
        names=_names(request),
        site=request.site,
        webroot=request.webroot,
        email=request.email,
        directory=request.directory,
        ca_file=request.ca_file,
        arguments=tuple(request.arguments),
        served=request.certificate,
    )
    return acme.obtain(desired, Engine(), outcome, check)


def main() -> None:
    run(AnsibleModule(options(Request), supports_check_mode=True), Request, work)


if __name__ == "__main__":
    main()
