# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the report of an audit on the controller. No host is touched."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls, _history, _report
from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import CollectionAction


class ActionModule(CollectionAction):
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(
            {
                "hosts": {"type": "list", "elements": "str", "required": True},
                "register": {"type": "str", "required": True},
                "directory": {"type": "path", "default": "chamilo-report"},
                "fail_on": {"type": "str", "choices": ["", "must", "should"], "default": ""},
            }
        )
        # As it was registered: what a host answered is no template, and is not looked at as one.
        answered = (task_vars or {})["hostvars"].raw_get
        try:
            table = _controls.load()
        except _controls.ControlError as error:
            raise AnsibleActionFail(str(error)) from error
        generated = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        directory = Path(os.path.abspath(arguments["directory"]))
        try:
            before = _history.last(directory, arguments["hosts"])
            hosts = [
                _report.host(
                    name,
                    answered(name).get(arguments["register"]),
                    table,
                    answered(name),
                    before.get(name),
                    generated,
                )
                for name in arguments["hosts"]
            ]
            failed = {entry["name"] for entry in hosts if entry.get("error")}
            earlier = _report.last_results(directory / "report.json", failed, table)
            report = _report.document(hosts, generated, earlier)
            _report.write(
                directory,
                {
                    "report.html": _report.to_html(report, table),
                    "report.json": _report.to_json(report),
                    "junit.xml": _report.to_junit(report),
                    _history.name(generated): _history.entry(report, before),
                },
            )
            _history.prune(directory)
        except (_report.ReportError, _history.HistoryError) as error:
            raise AnsibleActionFail(str(error)) from None
        except OSError as error:
            raise AnsibleActionFail(
                f"The report could not be written to {directory}: {error}. Set chamilo_report_dir to a directory "
                "you may write to."
            ) from error

        # Nothing on a host changes, so that a report never counts as a change.
        result["changed"] = False
        result["report"] = str(directory / "report.html")
        result["causes"] = {entry["name"]: entry["causes"] for entry in report["hosts"]}
        result["lines"] = [_report.overview(entry) for entry in report["hosts"]]
        place = f"The report is {result['report']}"
        objections = _report.objections(report["hosts"], arguments["fail_on"])
        if objections:
            result["failed"] = True
            result["msg"] = "\n".join([*objections, place])
        else:
            result["msg"] = [*result["lines"], place]
            result["_ansible_verbose_always"] = True
        return result
