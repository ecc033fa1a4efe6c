# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of audits that a host runs itself, and the directory to which it delivers them.

The playbook report merges them. A result shows where a host is weak.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any

from .._common.errors import HardeningError

FORMAT = 1
LOST = "The result of the audit was not delivered"


class DeliveryError(HardeningError):
    """A result could not be delivered; the message states why."""


def configuration(site: str) -> dict[str, str]:
    """Where the results of a portal go: ``to`` and ``file``, and ``host``, its name in the inventory. Or nothing."""
    # Loaded only here: the controller needs no more of this file than the format.
    from . import watch

    path = f"{watch.DIRECTORY}/results-{site}.json"
    try:
        with open(path, encoding="utf-8") as stream:
            known = json.load(stream)
        return {name: str(known[name]) for name in ("to", "file", "host")}
    except FileNotFoundError:
        return {}
    except (ValueError, LookupError, TypeError) as problem:
        raise DeliveryError(f"{path} is damaged: {problem}. Run the playbook harden again.") from problem


def document(host: str, site: str, answer: Mapping[str, Any], moment: float | None = None) -> dict[str, Any]:
    """One result. ``answer``: what the module guide_audit_info would have answered."""
    generated = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
    return {"format": FORMAT, "host": host, "site": site, "generated": generated, "answer": dict(answer)}


def deliver(known: Mapping[str, str], result: Mapping[str, Any]) -> None:
    """Write the result to the configured destination."""
    text = json.dumps(result, sort_keys=True) + "\n"
    if not os.path.isdir(known["to"]):  # a mount that is away: its directory must not be filled instead
        raise DeliveryError(
            f"{LOST}: there is no directory {known['to']}. Mount it, or correct chamilo_monitoring_results."
        )
    # Here, since few audits deliver: on the controller the others need not compile it.
    from .._common import files

    try:
        files.replace_file(os.path.join(known["to"], known["file"]), text)
    except OSError as problem:
        raise DeliveryError(f"{LOST}: {known['to']} cannot be written to: {problem.strerror}.") from problem
