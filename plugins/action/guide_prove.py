# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes sure that the portal is the user's own, then attacks it from the controller and on the host."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import MOST_NAMES
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import (  # noqa: F401 (they register) pylint: disable=unused-import
    database,
    headers,
    https,
    permissions,
    sessions,
    updates,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._attacker import Target
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import (
    FAIL,
    NOT_ASSESSED,
    Finding,
    attacks,
    inside_attacks,
    not_assessed,
)
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _answers, _controls
from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import HostAction, reason


@dataclass(frozen=True)
class Request:
    domain: str
    names: Sequence[str] = ()
    root: str = ""
    web_server: str = ""
    address: str = ""  # that the controller connects to
    ca_file: str = field(default="", metadata={"type": "path"})  # an authority to trust, besides those of the system
    proxied: bool = False  # the domain leads to a proxy instead of the host
    level: Any = "should"
    waivers: Any = ()


class ActionModule(HostAction):
    _supports_check_mode = False

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        request = self._validated(Request)
        try:
            table = _controls.load()
            level = _controls.parse_level(request.level)
            waivers = _controls.parse_waivers(request.waivers, table)
        except _controls.ControlError as error:
            raise AnsibleActionFail(str(error)) from error
        left = _controls.unenforced(table, level, waivers)
        target = Target(request.domain.lower(), request.address, request.ca_file, request.proxied, left)
        # The same word for each call: the module does nothing without one.
        place: dict[str, Any] = {"token": secrets.token_hex(32)}
        place.update((name, getattr(request, name)) for name in ("domain", "names", "root", "web_server"))
        refused = self._prove_ownership(target, place, variables)
        if refused:
            return {"failed": True, "msg": refused}
        tried = [control for control in table.controls if control.attack.where == "prove"]
        within = [control.id for control in tried if control.id in inside_attacks]
        findings, open_ = self._attack_inside(within, place, variables)
        today = datetime.date.today()
        rows = [
            self._row(
                control,
                findings[control.id] if control.id in findings else self._try(target, control),
                _controls.enforced(control, level, waivers, today),
                open_.get(control.id, ""),
            )
            for control in tried
        ]
        through = [one for one in rows if one["status"] in ("through", "not_tried")]
        held = sum(one["status"] == "held" for one in rows)
        message = [f"{held} of {len(rows)} attacks were blocked."]
        message += [f"{one['id']}: {one['evidence']}" for one in through]
        return {"attacks": rows, "msg": message, "failed": bool(through)}

    def _prove_ownership(self, target: Target, place: dict[str, Any], variables: dict[str, Any]) -> str:
        """Why the portal may not be attacked, or an empty text."""
        placed = self._module({**place, "state": "present"}, variables)
        if placed.get("failed"):
            return reason(placed)
        try:
            # Requested at once, and with a token that cannot be guessed.
            path = placed.get("path", "/")
            answer = target.get(path)
            # The host reports its names; they are its own only where its token is served.
            target.names = tuple(
                name
                for name in placed.get("names", [])[:MOST_NAMES]
                if target.under(name).get(path).body.decode("utf-8", "replace") == place["token"]
            )
        finally:
            removed = self._module({**place, "state": "absent"}, variables)
        if removed.get("failed"):
            return f"The file that proves the portal is yours could not be removed: {reason(removed)}"
        if answer.body.decode("utf-8", "replace") != place["token"]:
            seen = answer.error or f"the answer was {answer.status}"
            return (
                f"{answer.url} is not served by this host: the word that Ansible put there did not come back ({seen}). "
                "Nothing was attacked. Is the domain right, and does it lead to this host from here? Set "
                "chamilo_prove_address to the host's address otherwise."
            )
        return ""

    def _attack_inside(
        self, controls: list[str], place: dict[str, Any], variables: dict[str, Any]
    ) -> tuple[dict[str, Finding], dict[str, str]]:
        """What became of them, and which controls the host itself finds not met now."""
        answer = self._module({**place, "state": "attack", "attacks": controls}, variables)
        if answer.get("failed"):
            return dict.fromkeys(controls, not_assessed(reason(answer))), {}
        found = {control: Finding(**finding) for control, finding in answer.get("findings", {}).items()}
        return found, {control: one["evidence"] for control, one in answer.get("observed", {}).items()}

    def _module(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        name = "chamilo.hardening.guide_prove"
        return self._execute_module(module_name=name, module_args={"request": arguments}, task_vars=variables)

    @staticmethod
    def _try(target: Target, control: _controls.Control) -> Finding:
        try:
            return attacks[control.id](target)
        except OSError as problem:
            return not_assessed(str(problem))
        except Exception as problem:  # an error in one attack is reported as its result, and the others continue
            return not_assessed(": ".join(filter(None, (type(problem).__name__, str(problem)))))

    @staticmethod
    def _row(control: _controls.Control, finding: Finding, enforced: bool, open_: str = "") -> dict[str, Any]:
        status, evidence = "held", _answers.displayable(finding.evidence)  # the portal's answers are untrusted as well
        if finding.status == NOT_ASSESSED:
            status, evidence = "not_tried", f"The attack could not be tried: {evidence}"
        elif finding.status == FAIL:
            status = "through"
        if status != "held" and not enforced:
            status = "waived"
        explained = bool(open_) and status == "held" and enforced
        if explained:
            evidence = f"Blocked, but {control.id} is not met: {_answers.displayable(open_)} The attack: {evidence}"
        return {"id": control.id, "title": control.title, "status": status, "evidence": evidence, "open": explained}
