# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._program import main as program_main
from ansible_collections.chamilo.hardening.plugins.module_utils._program.main import main
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.job import Outcome
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import plan
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.repair import Repairing


class Desk:
    """A host with an engine, and an administrator who types commands."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self.capsys = capsys
        self.reload = 0
        self.timer = 0
        self.timers = 0
        (root / "etc").mkdir()
        (root / "etc/a.conf").write_text("old")

    def run(self, argv: Any, _seconds: float) -> tuple[int, str]:
        if argv[0] == "systemd-run":
            self.timers += 1
            return self.timer, ""
        return (self.reload, "") if "reload" in argv else (0, "active" if "is-active" in argv else "")

    def engine(self) -> Repairing:
        return Repairing(str(self.root / "state"), Machine(self.run, systemd=True, program=sys.executable))

    def harden(self, name: str = "headers", path: str = "etc/a.conf", text: str = "") -> None:
        me = {"owner": str(os.geteuid()), "group": str(os.getegid())}
        files = [{"path": str(self.root / path), "content": text or f"by {name}", **me}]
        self.engine().apply(plan({"name": name, "files": files, "load": {"service": "web"}}), Outcome())

    def type(self, *words: str) -> tuple[int, str, str]:
        code = main(words, "1.2.3", self.engine())
        output = self.capsys.readouterr()
        return code, output.out, output.err

    def text(self, path: str = "etc/a.conf") -> str:
        return (self.root / path).read_text()


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(program_main.syslog, "syslog", lambda *words: lines.append(words[-1]))
    return lines


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], log: list[str]) -> Desk:
    return Desk(tmp_path, capsys)
