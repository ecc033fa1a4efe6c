"""A host that an attacker has taken over, without a host: it runs nothing, and answers each module from a file."""

from __future__ import annotations

import ast
import base64
import json
import re
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: hostile
short_description: Answers from a file
description: Answers each module with what stands in a file of JSON by the module's name, or by a star.
author: The chamilo.hardening maintainers
options:
  answers:
    description: The file.
    type: path
    required: true
    vars:
      - name: hostile_answers
  sent:
    description: Where to write what it is sent.
    type: path
    default: /dev/null
    vars:
      - name: hostile_sent
      - name: ansible_hostile_sent
  calls:
    description: Where to write which modules it is to run, with what, as a line of JSON each.
    type: path
    default: /dev/null
    vars:
      - name: hostile_calls
"""

AWAY = "away"  # an answer: the host is gone from here on
MODULE = re.compile(rb"module_fqn=['\"][\w.]*?(\w+)['\"]")
ARGUMENTS = re.compile(rb"^params=(['\"].*['\"]),?$", re.MULTILINE)


class Connection(ConnectionBase):
    transport = "hostile"
    has_pipelining = True
    module = ""

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        directory = re.search(r"echo (ansible-tmp-[\w.-]+)=", cmd)
        if directory:
            return 0, f"{directory[1]}=/nowhere/{directory[1]}\n".encode(), b""
        self._record_the_module(in_data or b"")
        with open(self.get_option("sent"), "ab") as sent:
            sent.write(cmd.encode() + b"\n" + (in_data or b""))
        if not in_data and "AnsiballZ" not in cmd:
            return 0, b"", b""
        answer = self._answer("async_wrapper" if "async_wrapper" in cmd else self.module)
        if answer == AWAY:
            raise AnsibleConnectionFailure("No route to host")
        return 0, answer if isinstance(answer, bytes) else json.dumps(answer).encode(), b""

    def put_file(self, in_path: str, out_path: str) -> None:
        super().put_file(in_path, out_path)
        self._record_the_module(Path(in_path).read_bytes())
        with open(self.get_option("sent"), "ab") as sent:
            sent.write(Path(in_path).read_bytes())

    def fetch_file(self, in_path: str, out_path: str) -> None:
        super().fetch_file(in_path, out_path)
        Path(out_path).write_text(str(self._answer("fetch")))

    def close(self) -> None:
        self._connected = False

    def _record_the_module(self, data: bytes) -> None:
        found = MODULE.search(data)
        if found:
            self.module = found[1].decode()
            written = ARGUMENTS.search(data)
            arguments = json.loads(ast.literal_eval(written[1].decode()))["ANSIBLE_MODULE_ARGS"] if written else {}
            with open(self.get_option("calls"), "a", encoding="utf-8") as calls:
                calls.write(json.dumps([self.module, arguments]) + "\n")

    def _answer(self, module: str) -> Any:
        known = json.loads(Path(self.get_option("answers")).read_text())
        answer = known.get(module, known.get("*"))
        return base64.b64decode(answer[len("raw:") :]) if isinstance(answer, str) and answer[:4] == "raw:" else answer
