# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-playbook that runs each task in its own process, not in a fork of it: a third of the processor time.

For tests in which a connection stands in for the hosts, so that tasks only render and answer. What a fork keeps apart
is copied: the task, which is resolved in place, with its blocks. Each template is compiled once for all hosts.

    python -m tests.tools.inline_playbook -i hosts.yml playbook.yml

Each task that a condition lets through is written to the file that the variable hostile_tasks names.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from typing import Any

from ansible._internal import _task
from ansible._internal._templating._jinja_bits import AnsibleEnvironment, _TemplateCompileContext
from ansible.cli.playbook import PlaybookCLI
from ansible.executor.process import worker
from ansible.executor.task_executor import TaskExecutor
from ansible.playbook.task import Task
from ansible.plugins import strategy
from ansible.utils.collection_loader import _collection_finder

# What an overlay of an environment can change, and with it what a text is compiled to.
OVERRIDES = (
    *("block_start_string", "block_end_string", "variable_start_string", "variable_end_string"),
    *("comment_start_string", "comment_end_string", "line_statement_prefix", "line_comment_prefix"),
    *("trim_blocks", "lstrip_blocks", "newline_sequence", "keep_trailing_newline"),
)
compile_text = AnsibleEnvironment.compile
compiled: dict[tuple[Any, ...], Any] = {}


def compile_once(self: AnsibleEnvironment, source: Any, *arguments: Any, **more: Any) -> Any:
    if not isinstance(source, str) or arguments or more:
        return compile_text(self, source, *arguments, **more)
    context = _TemplateCompileContext.current(optional=True)
    key = (str(source), context and context.escape_backslashes, *(getattr(self, name) for name in OVERRIDES))
    if key not in compiled:
        compiled[key] = compile_text(self, source)
    return compiled[key]


list_modules = _collection_finder._iter_modules_impl
listed: dict[tuple[Any, ...], list[Any]] = {}


def list_once(paths: Any, prefix: str = "") -> Iterator[Any]:
    """The plugins of a directory, which is read for each filter and test of each template."""
    key = (*paths, prefix)
    if key not in listed:
        listed[key] = list(list_modules(paths, prefix))
    return iter(listed[key])


# How a task is carried out. What it is for stands beside it, and whether it runs is seen by its being there.
KEYWORDS = (
    *("any_errors_fatal", "async_val", "become", "changed_when", "check_mode", "delay", "delegate_to", "failed_when"),
    *("ignore_errors", "ignore_unreachable", "no_log", "poll", "register", "retries", "run_once", "tags", "timeout"),
    "until",
)
validate = Task.post_validate


def bare(value: Any) -> Any:
    """The same without what ansible-core knows about each value."""
    if isinstance(value, dict):
        return {str(key): bare(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [bare(item) for item in value]
    return value if isinstance(value, (bool, int, float, type(None))) else str(value)


def validate_and_record(self: Task, templar: Any) -> None:
    validate(self, templar)
    if path := templar.available_variables.get("hostile_tasks"):
        how = {name: getattr(self, name) for name in KEYWORDS if getattr(self, name) != self.fattributes[name].default}
        task = bare({"name": self.name, "action": self.action, "args": self.args, "how": how})
        with open(path, "a", encoding="utf-8") as calls:
            calls.write(json.dumps(["TASK", task]) + "\n")


class InlineWorker(worker.WorkerProcess):
    def start(self) -> None:
        worker.current_worker = self
        task = self._task = self._task.copy(exclude_tasks=True)
        task.squash()
        with _task.TaskContext.create(task=task, task_vars=self._task_vars, host_name=self._host.name):
            result = TaskExecutor(
                self._host,
                self._play_context,
                self._loader,
                self._shared_loader_obj,
                self._final_q,
                self._variable_manager,
            ).run()
            result.finalize_registered_values()
        task.ignore_errors, task.ignore_unreachable = result.ignore_errors, result.ignore_unreachable
        self._final_q.send_task_result(self._host, task, result)

    def is_alive(self) -> bool:
        return False

    def close(self) -> None:
        pass


if __name__ == "__main__":
    gc.disable()  # it is over soon
    if hasattr(_task.TaskContext, "create"):  # else ansible-core is older than 2.21, and forks
        strategy.WorkerProcess = InlineWorker
    AnsibleEnvironment.compile = compile_once
    _collection_finder._iter_modules_impl = list_once
    Task.post_validate = validate_and_record
    PlaybookCLI.cli_executor(["ansible-playbook", *sys.argv[1:]])
