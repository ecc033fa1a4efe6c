"""What chamilo_perms costs on a tree of 100,000 files, as a ratio to ansible.builtin.file, in the same run.

python -m tests.bench.permissions [--files N] [--rounds N] [--directory DIR] [--many N]     needs root

Each round takes both one after the other, and the ratio is the median of the rounds, so that other work on the machine
meets both alike. Both have nothing to change. The engine uses all processors.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import policy, walk
from tests.testbed import engine

# Parts of a Chamilo tree, and their share of its files.
SHARES = {"vendor": 0.4, "var/upload": 0.3, "public/main": 0.2, "src": 0.09, "config": 0.01}
IN_ONE = 12  # files in a directory
SLOWER = 15  # times, at least, that ansible.builtin.file takes
MEMORY = 50  # MB
TRACED = 3000  # files

# A process of its own each, so that nothing else is in its memory or its trace.
ENGINE = """
import json, resource, sys
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import policy, walk
peak = lambda who: resource.getrusage(who).ru_maxrss // 1024
order = policy.order(json.loads(sys.argv[1]), "production")
before = peak(resource.RUSAGE_SELF)
found = walk.run(order)
print(json.dumps([found.entries, before, peak(resource.RUSAGE_SELF), peak(resource.RUSAGE_CHILDREN)]))
"""
FILE = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible.modules import file
with patch_module_args(json.loads(sys.argv[1])):
    file.main()
"""


def build(root: Path, files: int) -> None:
    for part, share in SHARES.items():
        for number in range(int(files * share)):
            directory = root / part / f"p{number // IN_ONE % 40}" / f"s{number // IN_ONE // 40}"
            if number % IN_ONE == 0:
                directory.mkdir(parents=True, exist_ok=True)
            os.close(os.open(directory / f"f{number}.php", os.O_CREAT | os.O_WRONLY, 0o644))


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """On the clock, and of the processors."""
    began, used = time.monotonic(), processors()
    work()
    return time.monotonic() - began, processors() - used


def processors() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


def given(root: Path) -> dict[str, Any]:
    return {"path": str(root), "owner": "root", "web_user": "www-data", "roots": ["var", "config"]}


def python(code: str, arguments: dict[str, Any], *before: str) -> str:
    command = [*before, sys.executable, "-c", code, json.dumps(arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


class Bench:
    def __init__(self) -> None:
        self.bad = False

    def report(self, line: str, good: bool) -> None:
        print(line + ("" if good else "  TOO MUCH"), flush=True)
        self.bad = self.bad or not good

    def recurse(self, root: Path, files: int, rounds: int) -> None:
        build(root, files)
        rule = {"path": "**", "owner": "root", "group": "root", "directory_mode": "0755", "file_mode": "0644"}
        order = policy.order({**given(root), "policy": [rule]}, "production")
        print(f"{walk.run(order).entries:,} entries, {len(os.sched_getaffinity(0))} processors")
        values = {"path": str(root), "owner": "root", "group": "root", "mode": "u=rwX,g=rX,o=rX"}
        start = seconds(lambda: python(FILE, {**values, "state": "directory"}))
        pairs = []
        for _round in range(rounds):
            whole = seconds(lambda: python(FILE, {**values, "state": "directory", "recurse": True}))
            pairs.append((whole, seconds(lambda: walk.run(order))))
        ratio, used = (
            statistics.median((file[way] - start[way]) / ours[way] for file, ours in pairs) for way in (0, 1)
        )
        line = f"ansible.builtin.file, recurse, takes {ratio:.0f} times as long ({used:.0f} of the processors)"
        self.report(f"{line}, at least {SLOWER}", ratio >= SLOWER)


def traced(directory: Path) -> str:
    """What was not inspected in one of two runs, by the system calls they made. The first has everything to change."""
    root, log = directory / "traced", directory / "trace"
    build(root, TRACED)
    calls = "trace=newfstatat,fstat,statx,openat"
    for number in (1, 2):
        python(ENGINE, given(root), "strace", "-f", "-y", "-qq", "-o", str(log), "-e", calls)
        text = log.read_text(errors="replace")
        seen = {f"{at}/{name}" for at, name in re.findall(r'newfstatat\(\d+<([^>]*)>, "([^"]+)"', text)}
        # What is not right is opened, and a directory always is.
        seen |= set(re.findall(r'(?:fstat\(\d+<|newfstatat\(\d+<)([^>]*)>(?:, "")?,', text))
        there = {os.path.join(at, name) for at, directories, names in os.walk(root) for name in [*directories, *names]}
        if there - seen:
            return f"run {number}: {len(there - seen)} of {len(there)} entries, such as {min(there - seen)}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.permissions", description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", default="/var/tmp")
    parser.add_argument("--many", type=int, default=1_000_000, help="files for the memory, in /dev/shm")
    options = parser.parse_args()
    engine.install("strace")
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        bench = Bench()
        bench.recurse(Path(directory, "chamilo"), options.files, options.rounds)
        missed = traced(Path(directory))
        bench.report(
            f"not inspected: {missed or 'nothing, in two runs of which the second changes nothing'}", not missed
        )
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        root = Path(directory, "chamilo")
        build(root, options.many)
        entries, before, own, other = json.loads(python(ENGINE, given(root)))
        helpers = min(4, len(os.sched_getaffinity(0))) - 1
        # Pages that processes share are counted for each of them.
        whole = own + helpers * other
        line = f"{entries:,} entries need {whole} MB in all processes, of which Python is {before} MB in each"
        bench.report(f"{line}; less than {MEMORY}", whole < MEMORY)
    return 1 if bench.bad else 0


if __name__ == "__main__":
    sys.exit(main())
