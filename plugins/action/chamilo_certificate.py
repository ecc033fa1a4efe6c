# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validates the result of a host against the documentation of the module of the same name."""

from __future__ import annotations

from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import ModuleAction


class ActionModule(ModuleAction):
    pass
