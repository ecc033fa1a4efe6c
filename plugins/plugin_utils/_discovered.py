# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""What discovery saw on a host in this run: action plugins that can answer from it spare the host a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ansible.playbook.task import Task


def seen(task: Task, variables: Mapping[str, Any]) -> Mapping[str, Any]:
    """What chamilo_site_info returned; empty when the host has to be asked.

    Only the playbook harden says that no section comes twice. In any other play a task in between may have changed what
    discovery saw.
    """
    if variables.get("_chamilo_each_once") is not True or task.delegate_to:
        return {}
    return variables.get("__chamilo_common_info") or {}
