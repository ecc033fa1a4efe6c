# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of each action plugin whose module is told where the portal is, instead of discovering it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils._application.request import Request
from . import _discovered
from ._host_action import HostAction, reason

MADE = ("installation", "installation_salt")


class ToldAction(HostAction):
    def _told(self, place: Mapping[str, Any], variables: dict[str, Any], required: bool = True) -> dict[str, Any]:
        """The options of ``MADE``: as this run discovered the portal, else as the host finds it now."""
        domain, root = str(place.get("domain") or "").lower(), str(place.get("root") or "")
        info = _discovered.seen(self._task, variables)
        # What the server gives PHP can be secret, and is not kept.
        fits = info and root in ("", info.site.root) and domain in ("", info.site.domain)
        if info and fits and not info.site.installation.given:
            return {"installation": asdict(info.site.installation)}
        salt = secrets.token_hex(16)
        asked = {"domain": domain, "root": root, "web_server": place.get("web_server") or "", "salt": salt}
        answer = self._ask("chamilo_site_info", Request, asked, variables)
        if answer.get("failed"):
            raise AnsibleActionFail(reason(answer))
        now = _discovered.answer(answer)
        if required and now.site.errors:
            raise AnsibleActionFail(" ".join(now.site.errors))
        return {"installation": {**asdict(now.site.installation), "given": now.given}, "installation_salt": salt}

    def _not_given(self, *names: str) -> None:
        for name in (*MADE, *names):
            if name in self._task.args:
                module = self._task.action.rpartition(".")[2]
                raise AnsibleActionFail(f"{module}: {name} is made by the collection and cannot be given.")
