# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""What the discovery of a host is asked for, before any section changes something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans import headers
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans.portal import Portal
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans.shapes import Plan


@dataclass(frozen=True)
class Discovery(Plan):
    headers: Sequence[str]  # that are ours alone to send after this run. Discovery knows those of an earlier one.


def plan(portal: Portal, given: Mapping[str, Any]) -> Discovery:
    ours = headers.hidden(portal, given) if "headers" in given["_chamilo_common_due"] else []
    return Discovery(
        headers=[
            *(one for one in ours if one != "X-Powered-By"),
            *(["Strict-Transport-Security"] if given["_chamilo_common_takes_over"] else []),
        ],
        values={},
    )
