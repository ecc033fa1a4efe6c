"""What chamilo_perms costs on a tree of 100,000 files, as a ratio to a small C program, in the same run.

python -m tests.bench.permissions [--files N] [--rounds N] [--folder DIR]     needs root and gcc
"""

from __future__ import annotations

import argparse
import os
import pwd
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ansible_collections.chamilo.hardening.plugins.module_utils import _perms

# Parts of a Chamilo tree, and their share of its files.
SHARES = {"vendor": 0.4, "var/upload": 0.3, "public/main": 0.2, "src": 0.09, "config": 0.01}
IN_ONE = 12  # files in a folder
LIMITS = {"clean": 1.3, "all wrong": 2.0}
MEMORY = 50  # MB


def build(root: Path, files: int) -> None:
    for part, share in SHARES.items():
        for number in range(int(files * share)):
            folder = root / part / f"p{number // IN_ONE % 40}" / f"s{number // IN_ONE // 40}"
            if number % IN_ONE == 0:
                folder.mkdir(parents=True, exist_ok=True)
            os.close(os.open(folder / f"f{number}.php", os.O_CREAT | os.O_WRONLY, 0o644))


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """On the clock, and of the processors: the second holds on a busy machine too."""
    began, used = time.monotonic(), processors()
    work()
    return time.monotonic() - began, processors() - used


def processors() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


def best(rounds: list[tuple[float, float]]) -> tuple[float, float]:
    return min(clock for clock, _used in rounds), min(used for _clock, used in rounds)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.permissions", description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7, help="the best of so many; others only make it slower")
    parser.add_argument("--folder", default="/var/tmp")
    options = parser.parse_args()
    web = pwd.getpwnam("www-data")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        root, walk = Path(folder, "chamilo"), Path(folder, "walk")
        subprocess.run(["gcc", "-O2", "-o", walk, Path(__file__).with_name("walk.c")], check=True)
        build(root, options.files)
        given = {"path": str(root), "owner": "root", "web_user": "www-data", "roots": ["var", "config"]}
        order = _perms.order(given, "production")

        def c(what: str, *owner: int) -> None:
            words = [str(number) for number in owner or (0, 0)]
            command = [walk, root, what, *words, "0777", "0666"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

        def spoil() -> None:
            c("fix", 1, 1)

        first = _perms.run(order)
        print(f"{first.entries:,} entries, {len(os.sched_getaffinity(0))} processors")
        clean, looked = [], []
        for _round in range(options.rounds):
            looked.append(seconds(lambda: c("look")))
            clean.append(seconds(lambda: _perms.run(order)))
        fixed, whole = [], []
        for _round in range(options.rounds):
            spoil()
            fixed.append(seconds(lambda: c("fix", web.pw_uid, web.pw_gid)))
            spoil()
            whole.append(seconds(lambda: _perms.run(order)))
        bad = []
        for name, ours, theirs in (("clean", best(clean), best(looked)), ("all wrong", best(whole), best(fixed))):
            ratio = ours[0] / theirs[0]
            bad += [name] * (ratio > LIMITS[name])
            verdict = "  TOO MUCH" if name in bad else ""
            print(f"{name:10} {ratio:5.2f} times the C program, at most {LIMITS[name]}{verdict}")
            print(f"  {ours[0]:.3f} s to {theirs[0]:.3f} s; of the processors {ours[1]:.3f} s to {theirs[1]:.3f} s")
        used = (
            max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) // 1024
        )
        print(f"memory: {used} MB, at most {MEMORY}{'' if used < MEMORY else '  TOO MUCH'}")
        bad += ["memory"] * (used >= MEMORY)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
