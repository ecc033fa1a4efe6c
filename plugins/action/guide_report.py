# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the report of an audit on the controller. No host is touched."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ansible import context
from ansible.errors import AnsibleActionFail

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls, _history, _report, _screen
from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import CollectionAction


@dataclass(frozen=True)
class Request:
    hosts: Sequence[str]
    register: str  # under which the result of the audit, or of the attacks, is registered on each
    directory: str = field(default="chamilo-report", metadata={"type": "path"})
    attacks: bool = False
    fail_on: Literal["", "must", "should"] = ""  # the level from which a control that is not met is a failure


class ActionModule(CollectionAction):
    _requires_connection = False

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        request = self._validated(Request)
        # As it was registered: what a host answered is no template, and is not evaluated as one.
        answered = variables["hostvars"].raw_get
        table = _controls.load()
        generated = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        directory = Path(os.path.abspath(request.directory))
        if request.attacks:
            return self._attacks(request, answered, table, directory, generated)
        try:
            before = _history.last(directory, request.hosts)
            hosts = [
                _report.host(
                    name,
                    answered(name).get(request.register),
                    table,
                    answered(name),
                    before.get(name),
                    generated,
                )
                for name in request.hosts
            ]
            attacks = _report.last_attacks(directory)
            hosts = [{**one, "attacks": attacks[one["name"]]} if one["name"] in attacks else one for one in hosts]
            entry = _history.entry({"generated": generated, "hosts": hosts}, before)
            severities = {control.id: control.severity for control in table.controls}
            course = _history.course(directory, [json.loads(entry)], severities)
            report = _report.document(hosts, generated, course)
            pages = _report.to_pages(report, table, _screen.command("harden", context.CLIARGS))
            _report.write(
                directory,
                {
                    **pages,
                    "report.json": _report.to_json(report),
                    "junit.xml": _report.to_junit(report),
                    _history.name(generated): entry,
                },
            )
            _history.prune(directory)
            _report.prune(directory, pages)
        except (_report.ReportError, _history.HistoryError) as error:
            raise AnsibleActionFail(str(error)) from None
        except OSError as error:
            raise AnsibleActionFail(
                f"The report could not be written to {directory}: {error}. Set chamilo_report_dir to a directory "
                "you may write to."
            ) from error

        result: dict[str, Any] = {"report": str(directory / "report.html")}
        result["causes"] = {entry["name"]: entry["causes"] for entry in report["hosts"]}
        result["lines"] = [_report.overview(entry) for entry in report["hosts"]]
        # For AWX and ansible-runner, which keep no file: artifacts of the job. Of slices AWX keeps one of each name.
        # It hands them to the next job as variables, and guide_preflight refuses those with names like its own.
        result["ansible_stats"] = {
            "data": {_report.artifact_name(entry["name"]): _report.artifact(entry) for entry in report["hosts"]},
            "per_host": False,
            "aggregate": True,
        }
        place = f"The report is {result['report']}"
        objections = _report.objections(report["hosts"], request.fail_on)
        if objections:
            result["failed"] = True
            result["msg"] = "\n".join([*objections, place])
        else:
            result["msg"] = [*result["lines"], place]
            result["_ansible_verbose_always"] = True
        return result

    @staticmethod
    def _attacks(
        request: Request,
        answered: Callable[[str], Any],
        table: _controls.Table,
        directory: Path,
        generated: str,
    ) -> dict[str, Any]:
        """Write what the attacks came to into the report of the last audit."""
        attacks = {}
        for name in request.hosts:
            rows = ((answered(name) or {}).get(request.register) or {}).get("attacks")
            if rows:
                attacks[name] = {"generated": generated, "rows": _report.clean(rows)}
        path = directory / "report.json"
        try:
            if attacks:
                report = _report.with_attacks(path, attacks, table, generated)
                known = {**_report.last_attacks(directory), **attacks}
                texts = {
                    **_report.to_pages(report, table, _screen.command("harden", context.CLIARGS)),
                    "report.json": _report.to_json(report),
                }
                _report.write(directory, {**texts, _report.ATTACKS_FILE: _report.to_json(known)})
        except _report.ReportError as error:
            raise AnsibleActionFail(str(error)) from None
        except OSError as error:
            raise AnsibleActionFail(f"The report could not be written to {directory}: {error}.") from error
        counts = {name: sum(row["status"] == "held" for row in one["rows"]) for name, one in attacks.items()}
        return {
            "report": str(directory / "report.html") if attacks else "",
            "lines": [
                f"{name}: {held} of {len(attacks[name]['rows'])} attacks rejected" for name, held in counts.items()
            ],
            "causes": {name: _report.attack_causes(one["rows"], table) for name, one in attacks.items()},
            "msg": [line for name, one in attacks.items() for line in _report.attack_rows(name, one["rows"])],
            "_ansible_verbose_always": True,
        }
