"""What a backup of 100,000 unchanged files costs, as a ratio to restic's own bare run over the same files.

python -m tests.bench.backups [--files N] [--rounds N] [--limit RATIO]

On a host of the testbed, as the role leaves it. Each round takes both one after the other, so that other work on the
machine meets both alike; the ratio is the median of the rounds, of the time on the clock and of the time of the
processors. Ours also dumps the database, in a second run of restic, and starts Python.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from tests.hosts.hardening import Playbook
from tests.testbed import hosts

LIMIT = 1.5
PREPARE = """
import os
for number in range({files}):
    directory = f"/var/www/chamilo/var/upload/bench/{{number // 500}}"
    os.makedirs(directory, exist_ok=True)
    with open(f"{{directory}}/{{number}}.txt", "w") as stream:
        stream.write(f"lesson {{number}} " * 8)
"""
MEASURE = """
import json, os, resource, subprocess, sys, time
def cost(command, environment):
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL)
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
known = {"RESTIC_PASSWORD_FILE": "/etc/chamilo-hardening/backups-campus_test.key",
         "RESTIC_REPOSITORY": "/var/backups/chamilo-hardening/campus_test",
         "RESTIC_CACHE_DIR": "/var/cache/chamilo-hardening/restic"}
bare = ["restic", "backup", "--quiet", "--host", "bare", "--exclude=/var/www/chamilo/var/cache/*", "/var/www/chamilo"]
ours = ["chamilo-hardening", "backup", "--quiet"]
cost(ours, {}), cost(bare, known)
print(json.dumps([[cost(bare, known), cost(ours, {})] for _round in range(int(sys.argv[1]))]))
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.backups", description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=LIMIT)
    options = parser.parse_args()
    network = f"chamilo-bench-{os.getpid()}"
    try:
        host = hosts.up("campus", network=network)
        with tempfile.TemporaryDirectory() as directory:
            Playbook(Path(directory), "backups").harden(host)
        host.run(["python3", "-"], data=PREPARE.format(files=options.files))
        reported = host.run(["python3", "-", str(options.rounds)], data=MEASURE).stdout
    finally:
        hosts.down(network)
    rounds = json.loads(reported)
    worst = 0.0
    for place, what in enumerate(("clock", "processors")):
        ratios = [ours[place] / bare[place] for bare, ours in rounds]
        bare_median = statistics.median(bare[place] for bare, _ours in rounds)
        ratio = statistics.median(ratios)
        worst = max(worst, ratio if place == 0 else 0)
        print(
            f"{what}: {ratio:.2f} times restic's own {bare_median:.2f} s over {options.files} unchanged files "
            f"(from {min(ratios):.2f} to {max(ratios):.2f})"
        )
    return 0 if worst <= options.limit else 1


if __name__ == "__main__":
    sys.exit(main())
