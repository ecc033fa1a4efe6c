"""Runs a playbook of the collection as a user would, and reports what it did."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CONNECTION = ROOT / "tests/testbed/connection"
WARNING = re.compile(r"\[(?:WARNING|DEPRECATION WARNING)\]")
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s", re.MULTILINE)


class PlayError(Exception):
    """The playbook failed, or Ansible printed a warning or a deprecation. The text is the whole output."""


@dataclass(frozen=True)
class Played:
    output: str
    changed: dict[str, int]  # per host
    seconds: float


def play(
    playbook: str,
    inventory: Path,
    *options: str,
    variables: Mapping[str, Any] | None = None,
    minutes: float = 10,
    details: bool = True,
) -> Played:
    """Run playbooks/<playbook>.yml (or the file that is named) on all hosts of an inventory.

    ``details``: print each task with its outcome, also where it changed nothing, which users do not get.
    """
    path = ROOT / f"playbooks/{playbook}.yml"
    command = ["ansible-playbook", str(path if path.is_file() else playbook), "-i", str(inventory), *options]
    if variables:
        command += ["-e", json.dumps(variables)]
    own = {"NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONNECTION_PLUGINS": str(CONNECTION)}
    if details:
        own |= {"ANSIBLE_DISPLAY_OK_HOSTS": "1", "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "1"}
    own["ANSIBLE_INVENTORY_ENABLED"] = "yaml"  # to load those for other formats takes time in each run
    began = time.monotonic()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **own},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=minutes * 60,
    )
    seconds = time.monotonic() - began
    if done.returncode or WARNING.search(done.stdout):
        raise PlayError(f"{' '.join(command)}\nexit code {done.returncode}\n{done.stdout}")
    return Played(done.stdout, {host: int(count) for host, count in RECAP.findall(done.stdout)}, seconds)
