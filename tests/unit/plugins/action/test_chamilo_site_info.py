# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ASKS_AND_GETS_NONE = """#!/bin/sh
echo "sudo: a password is required" >&2
exit 1
"""
REFUSES = """#!/bin/bash
while [ $# -gt 0 ]; do case "$1" in -p) prompt="$2"; shift;; esac; shift; done
for try in 1 2 3; do printf '%s' "$prompt" >&2; IFS= read -r word || break; echo "Sorry, try again." >&2; done
exit 1
"""


def test_harden_without_a_password_for_sudo_ends_with_a_sentence(
    ansible: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_BECOME_ALLOW_SAME_USER", "true")
    hosts = {}
    for name, text in (("none.test", ASKS_AND_GETS_NONE), ("wrong.test", REFUSES)):
        program = tmp_path / name
        program.write_text(text)
        program.chmod(0o755)
        hosts[name] = {"ansible_become_exe": str(program), "ansible_become_password": "x" if "wrong" in name else ""}
    outcome = ansible.play("chamilo.hardening.harden", hosts, "--tags", "headers")
    output = " ".join(outcome.output.split())
    assert (
        "sudo requires a password and got none. The task was not run. Provide it with -K (--ask-become-pass)" in output
    )
    assert (
        "sudo rejected the password. The task was not run. Provide the right one with -K (--ask-become-pass)" in output
    )
    assert "Standard Error" not in output and "become success" not in output
