# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each command by its way: `unlock` without the others, which take as long to load as all the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force import unlock
from ansible_collections.chamilo.hardening.plugins.module_utils._program import start

ROOT = Path(__file__).resolve().parents[5]
ENGINES = "ansible_collections.chamilo.hardening.plugins.module_utils."
LOADED = """
import sys
from ENGINES_program.start import main
try:
    main(["unlock", "--help"])
finally:
    print(*(name for name in sys.modules if name.startswith("ENGINES")), file=sys.stderr)
""".replace("ENGINES", ENGINES)


@pytest.mark.parametrize(
    ("program", "given"),
    [("chamilo-unlock", ["ada", "--yes"]), ("chamilo-hardening", ["unlock", "ada", "--yes"])],
)
def test_what_unlocks_is_reached_by_both_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], program: str, given: list[str]
) -> None:
    todo = Mock(acts=[1], description=lambda: ["ada is locked."], act=lambda: ["ada can log in."])
    monkeypatch.setattr(unlock, "inspect", lambda target: todo if target == "ada" else None)
    monkeypatch.setattr(sys, "argv", [f"/usr/local/sbin/{program}", *given])
    monkeypatch.setattr(start.os, "geteuid", lambda: 0)
    assert start.main() == 0
    assert capsys.readouterr().out == "ada is locked.\nunlock ada: ada can log in.\n"


def test_to_unlock_loads_no_other_command() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        env={"PYTHONPATH": str(ROOT / ".collections")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("usage: chamilo-hardening unlock ")
    loaded = {name.removeprefix(ENGINES) for name in done.stderr.split()}
    assert "_brute_force.unlock_command" in loaded
    others = ("_backups.", "_updates.", "_monitoring.", "_permissions.", "_portal.")  # the audit asks for the help
    assert not {name for name in loaded if name.startswith(others)}
