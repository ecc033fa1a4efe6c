"""What 500 hosts cost one controller: time, memory, processor, and how much of the report a browser reads first.

python -m tests.bench.fleet [--hosts 500]

One real host of the testbed is hardened until nothing is left to do, and what it answers to one more harden and to an
audit is recorded. The names then answer the same, each a portal of its own, through what stands in for ssh (the script
``ssh`` beside this file). So all of it is the controller's: ansible-playbook, its workers, and one process for each
question. What a client of ssh computes, and how long hosts take, is not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.__main__ import ROOT
from tests.demo import VARIABLES
from tests.testbed import hosts

SSH = Path(__file__).with_name("ssh")
SECONDS, MEMORY = 120, 600  # of an audit, in MB
PROCESSOR = 3  # seconds for each node of a harden with nothing to do
PAGE = 2  # MB
PLAYBOOKS = ("audit", "harden")


@dataclass(frozen=True)
class Cost:
    """Of a run: seconds on the clock and of a processor, and MB of memory that all its processes had at most."""

    seconds: float
    processor: float
    memory: float


def family(parent: int) -> Iterator[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:  # it has ended
            continue
        children.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    waiting = [parent]
    while waiting:
        process = waiting.pop()
        yield process
        waiting += children.get(process, [])


def memory(parent: int) -> float:
    """MB of a process and its descendants; a page that several of them share counts once."""
    total = 0
    for process in family(parent):
        try:
            shares = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:  # it has ended
            continue
        total += sum(map(int, re.findall(r"^Pss:\s+(\d+)", shares, re.MULTILINE)))
    return total / 1000


def run(playbook: str, directory: Path, inventory: Path, **environment: str) -> Cost:
    command = ["ansible-playbook", str(ROOT / f"playbooks/{playbook}.yml"), "-i", str(inventory)]
    log = directory / f"{playbook}.log"
    began, most = time.monotonic(), 0.0
    with log.open("w") as out:
        process = subprocess.Popen(
            command, cwd=directory, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        while not (done := os.wait4(process.pid, os.WNOHANG))[0]:
            most = max(most, memory(process.pid))
            time.sleep(1)
    _process, status, usage = done
    process.returncode = os.waitstatus_to_exitcode(status)
    output = log.read_text()
    changed = [line for line in output.splitlines() if re.search(r" : ok=.*(changed|unreachable|failed)=[1-9]", line)]
    if process.returncode or (changed and "FLEET_ANSWERS" in environment):
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}\n{output[-4000:]}")
    return Cost(time.monotonic() - began, usage.ru_utime + usage.ru_stime, most)


def listed(directory: Path, names: dict[str, Any], **variables: Any) -> Path:
    path = directory / "hosts.json"
    path.write_text(json.dumps({"chamilo": {"hosts": names, "vars": variables}}))
    return path


def measured(directory: Path, number: int) -> dict[str, Cost]:
    """What an audit and a harden of so many names cost, after one real host has shown what is answered."""
    network = f"chamilo-bench-{os.getpid()}"
    keys = directory / "keys"
    own = {
        **VARIABLES,
        "chamilo_backups_key_folder": str(keys),
        "ansible_ssh_executable": str(SSH),
        "ansible_python_interpreter": "auto_silent",
    }
    try:
        host = hosts.up("campus", network=network, ssh=True)
        reached = {name: value for name, value in host.inventory().items() if name != "ansible_python_interpreter"}
        inventory = listed(directory, {host.domain: reached}, **own)
        for _number in range(2):  # the first one leaves something to do for the next
            run("harden", directory, inventory)
        for playbook in PLAYBOOKS:
            run(playbook, directory, inventory, FLEET_RECORD=str(directory / playbook))
    finally:
        hosts.down(network)
    machine = re.search(r'"fingerprint": "([0-9a-f]{32})"', (directory / "harden/2.answer").read_text())
    (key,) = keys.iterdir()
    answers = {"FLEET_MACHINE": machine[1] if machine else "", "FLEET_KEY": key.read_text().strip()}
    names = [f"school{one:03}.test" for one in range(number)]
    for name in names:
        shutil.copy(key, keys / key.name.replace(host.domain, name))
    fleet = {name: {"ansible_host": name, "chamilo_portal": name} for name in names}
    inventory = listed(directory, fleet, chamilo_domain=host.domain, **own)
    return {
        playbook: run(playbook, directory, inventory, FLEET_ANSWERS=str(directory / playbook), **answers)
        for playbook in PLAYBOOKS
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fleet", description=__doc__)
    parser.add_argument("--hosts", type=int, default=500)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        costs = measured(directory, options.hosts)
        page = (directory / "chamilo-report/report.html").stat().st_size / 1e6
    audit, harden = costs["audit"], costs["harden"]
    print(f"{options.hosts} hosts, {os.cpu_count()} processors, of which the audit took {audit.processor:.0f} s")
    print(f"A harden with nothing to do took {harden.seconds:.0f} s and {harden.memory:.0f} MB")
    bad = False
    for what, value, limit in (
        ("s, audit", audit.seconds, SECONDS),
        ("MB, audit", audit.memory, MEMORY),
        ("s of a processor for each node, harden with nothing to do", harden.processor / options.hosts, PROCESSOR),
        ("MB, first page of the report", page, PAGE),
    ):
        bad = bad or value > limit
        print(f"{value:.2f} {what}: at most {limit}{'  TOO MUCH' if value > limit else ''}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
