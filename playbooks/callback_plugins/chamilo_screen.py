# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbooks of this collection print: progress of long steps, and one screen at the end.

ansible-core loads it by itself for the playbooks beside it. Tasks that were skipped or changed nothing are left out,
unless -v is given or the user's own settings (display_skipped_hosts, display_ok_hosts, result_format) decide otherwise.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from ansible import context
from ansible.executor.task_queue_manager import TaskQueueManager
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import lookup_loader

from ansible_collections.chamilo.hardening.plugins.plugin_utils import (
    _answers,
    _controls,
    _differences,
    _portals,
    _preflight,
    _program,
    _report,
    _screen,
)

PLAYBOOKS = Path(__file__).resolve().parents[1]
QUIET = {"display_skipped_hosts": False, "display_ok_hosts": False, "result_format": "yaml"}
FIRST, EACH = 10, 30  # seconds until a running task is reported, and between two reports


def _shortened(result: Any, shown: dict[str, set[str]]) -> Any:
    """The same result with less to show of what it changes."""
    for answer in (result.result, *(result.result.get("results") or ())):
        if isinstance(answer, dict) and answer.get("diff"):
            known = answer["diff"] if isinstance(answer["diff"], list) else [answer["diff"]]
            answer["diff"] = _differences.brief(known, shown.setdefault(result.host.get_name(), set()))
    return result


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "chamilo_screen"

    def __init__(self) -> None:
        super().__init__()
        self._run: _screen.Run | None = None
        self._quiet = False
        self._running: dict[tuple[str, str], tuple[str, float, float]] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()

    # -- which playbook, and how it is shown

    def v2_playbook_on_start(self, playbook: Any) -> None:
        plays = [self._place(play) for play in playbook.get_plays()]
        ours = [place for place in plays if place and place.parent == PLAYBOOKS]
        if not ours:
            return
        self._run = _screen.Run(ours[-1].stem, check=bool(context.CLIARGS.get("check")))
        # Of plays that are not ours nothing is hidden.
        if len(ours) == len(plays) and not self._display.verbosity:
            self._quiet = self._hide(sys._getframe(1))
        self._work_ahead(ours[-1].stem)
        self._ended.clear()
        threading.Thread(target=self._report_progress, daemon=True).start()

    @staticmethod
    def _work_ahead(playbook: str) -> None:
        """What each task on each host would work out anew, in a process that Ansible forks for it from this one."""
        _controls.load()
        _preflight.specs()
        if playbook == "harden":
            lookup_loader.get("chamilo.hardening.plan", class_only=True)
            _program.build()

    def v2_playbook_on_play_start(self, play: Any) -> None:
        if self._run is not None:
            variables = play.get_variable_manager().get_vars(play=play)
            if "hostvars" in variables:  # not before the first play that has hosts
                _portals.known(variables, variables["hostvars"])

    @staticmethod
    def _place(play: Any) -> Path | None:
        path = str(play.get_path() or "").rpartition(":")[0]
        return Path(path).resolve() if path else None

    @staticmethod
    def _hide(frame: Any) -> bool:
        """Have the callback that prints leave out what is not worth a line; whether it does.

        ansible-core hands a callback no reference to the one that prints: its caller has one.
        """
        while frame is not None and not isinstance(frame.f_locals.get("self"), TaskQueueManager):
            frame = frame.f_back
        printing = frame.f_locals["self"]._callback_plugins[0] if frame else None
        if printing is None or printing._load_name.rpartition(".")[2] != "default":
            return False
        for name, value in QUIET.items():
            if printing.get_option_and_origin(name)[1] == "default":
                printing.set_option(name, value)
        quiet = not printing.get_option("display_ok_hosts")
        if quiet:  # nor that a file of tasks is read
            show = printing.v2_runner_on_ok
            printing.v2_playbook_on_include = lambda included_file: None
            printing.v2_runner_on_ok = lambda result: None if isinstance(result.task, TaskInclude) else show(result)
            differ, shown = printing.v2_on_file_diff, dict[str, set[str]]()
            printing.v2_on_file_diff = lambda result: differ(_shortened(result, shown))
        return quiet

    # -- what happens

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        if self._run is None:
            return
        now = time.monotonic()
        with self._lock:
            self._running[(host.get_name(), task._uuid)] = (self._name(task), now, now + FIRST)

    def v2_runner_on_ok(self, result: Any) -> None:
        host = self._over(result)
        if host is None or self._run is None:
            return
        answer, role = self._answer(result), self._section(result)
        if role and role not in host.sections and role != "common":
            host.sections.append(role)
        if answer.get("changed"):
            name = role or "other"
            host.changed[name] = host.changed.get(name, 0) + 1
        self._take(result, answer)
        if self._quiet and not answer.get("changed"):
            self._show_hidden(result, answer, self._run)

    def v2_runner_on_skipped(self, result: Any) -> None:
        host, role = self._over(result), self._section(result)
        if host is not None and role and role not in host.sections and role != "common":
            host.sections.append(role)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        host, answer = self._over(result), self._answer(result)
        if host is None:
            return
        self._take(result, answer)
        if not ignore_errors:
            # That a run ends for what it left is no news.
            host.failed = host.failed if "left" in answer else self._name(self._task(result))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        host = self._over(result)
        if host is not None:
            host.unreachable = True
            # It was on its way: of a task that ended otherwise its answer would have come.
            if host.sections or self._section(result) not in ("", "common"):
                host.lost = self._name(self._task(result))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._ended.set()
        run, self._run = self._run, None
        if run is None:
            return
        for name, host in run.hosts.items():
            summary = stats.summarize(name)
            # Or it was rescued.
            host.failed = host.failed if summary["failures"] and not host.ended else ""
            host.unreachable = bool(summary["unreachable"])
            host.lost = host.lost if host.unreachable else ""
        run.settle()
        why, command = _screen.next_command(run, context.CLIARGS, _screen.DEFAULTS, os.getcwd())
        for line in _screen.lines(run, why, command):
            self._display.display(line)
        if run.playbook == "harden" and not run.check and run.report_dir:
            self._write(run, why, command)

    def _write(self, run: _screen.Run, why: str, command: str) -> None:
        text = json.dumps(_screen.outcome(run, why, command), indent=2) + "\n"
        try:
            _report.write(Path(run.report_dir), {"harden.json": text})
        except OSError as error:
            self._display.warning(f"{run.report_dir}/harden.json could not be written: {error}")

    # -- parts

    def _take(self, result: Any, answer: dict[str, Any]) -> None:
        """What an action of this collection has for the last screen."""
        action = str(self._task(result).action)
        if self._run and "__chamilo_failed" in (answer.get("ansible_facts") or {}):
            self._run.host(result.host.get_name()).left = dict(answer["ansible_facts"]["__chamilo_failed"])
        if self._run is None or action.rpartition(".")[0] != _screen.COLLECTION:
            return
        name = action.rpartition(".")[2]
        if name == "guide_report":
            self._run.lines = list(answer.get("lines", []))
            self._run.causes = dict(answer.get("causes", {}))
            self._run.report = str(answer.get("report", ""))
        elif name == "guide_inventory":
            self._run.lines = list(answer.get("lines", []))
            self._run.inventory = str(answer.get("inventory", ""))
            self._run.vault, self._run.sudo = str(answer.get("vault", "")), bool(answer.get("sudo"))
        elif name == "backup_key" and "due" in answer:
            self._run.host(result.host.get_name()).begun = list(answer["due"])
        elif name == "guide_preflight" and "left" in answer:
            self._run.host(result.host.get_name()).ended = True
        elif name == "guide_preflight" and "enforces" in answer:
            host = result.host.get_name()
            self._run.causes[host] = answer["causes"]
            self._run.host(host).enforces, self._run.host(host).controls = answer["enforces"], answer["controls"]
            self._run.host(host).obstacles = answer["obstacles"]
            self._run.report_dir = answer["report_dir"]
        elif name == "foreign_module" and list(answer.get("cmd") or ())[1:] == ["status", "--json"]:
            with contextlib.suppress(_answers.AnswerError):  # there is no program yet, or an older one
                self._run.host(result.host.get_name()).state = _answers.KINDS["status"](answer["stdout"])["entries"]
        elif name == "chamilo_site_info":
            known = self._run.host(result.host.get_name()).obstacles
            known += [one for one in answer.get("obstacles", ()) if one not in known]

    def _show_hidden(self, result: Any, answer: dict[str, Any], run: _screen.Run) -> None:
        """What the callback that prints would have shown of a task that changed nothing."""
        for warning in answer.get("warnings") or ():
            self._display.warning(_answers.printable(str(getattr(getattr(warning, "event", None), "msg", warning))))
        # Of an audit the last screen has all that its report would print.
        if answer.get("_ansible_verbose_always") and not (
            self._is_report(result) and run.playbook in _screen.REPORTING
        ):
            output = answer.get("msg", "")
            for line in [output] if isinstance(output, str) else output:
                self._display.display(_answers.without_controls(str(line)))

    def _is_report(self, result: Any) -> bool:
        return str(self._task(result).action).rpartition(".")[2] == "guide_report"

    def _over(self, result: Any) -> _screen.HostRun | None:
        name, task = result.host.get_name(), self._task(result)
        with self._lock:
            self._running.pop((name, task._uuid), None)
        return self._run.host(name) if self._run else None

    @staticmethod
    def _task(result: Any) -> Any:
        return result.task

    @staticmethod
    def _answer(result: Any) -> dict[str, Any]:
        return dict(result.result)

    @staticmethod
    def _name(task: Any) -> str:
        return str(task.get_name()).rpartition(" : ")[2].strip()

    def _section(self, result: Any) -> str:
        role = self._task(result)._role
        while role and role.get_parents():  # tasks of another section that one includes are no run of that one
            role = role.get_parents()[0]
        name = str(role.get_name()) if role else ""
        collection, _dot, section = name.rpartition(".")
        return section if collection == _screen.COLLECTION else ""

    def _report_progress(self) -> None:
        while not self._ended.wait(1):
            now = time.monotonic()
            with self._lock:
                due = {key: one for key, one in self._running.items() if one[2] <= now}
                for key, (name, since, _next) in due.items():
                    self._running[key] = (name, since, now + EACH)
            for (host, _task), (name, since, _next) in due.items():
                self._display.display(f"  {host}: {name}: {now - since:.0f} s so far")
