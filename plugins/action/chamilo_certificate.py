# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the task, and validates its answer: for this one, and the modules that meta/runtime.yml lists."""

from __future__ import annotations

from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import HostAction


class ActionModule(HostAction):
    pass
