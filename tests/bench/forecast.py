"""What it costs to scan last week's access log of a million lines, in seconds and in memory.

python -m tests.bench.forecast [--lines N] [--directory DIR]

The log has what a busy portal's has, and what attackers add to cost more: paths of 8,000 characters that never come
twice, one address that fails a hundred thousand times, and thousands of addresses that fail under ever other names. The
whole log has to be read, and whom the rules would have met has to be right.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECONDS = 10.0  # of a processor
MEMORY = 60  # MB, Python included
DAYS = 6
LONG = 12_000  # paths
ATTACKER, FAILURES = "203.0.113.9", 100_000
CROWD, BROWSERS = 15_000, 20
# A process of its own, so that nothing else is in its memory.
ENGINE = """
import json, resource, sys, time
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.forecast import (
    BANS,
    REFUSED,
    Rules,
    forecast,
)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before, began, used = peak(), time.monotonic(), time.process_time()
# The audit gives up after some seconds on the clock; here the whole log counts, however busy the machine is.
report = forecast({sys.argv[1]: ""}, Rules(frozenset({BANS, *REFUSED})), time.time(), most_seconds=600)
print(json.dumps([report, time.process_time() - used, time.monotonic() - began, before, peak()]))
"""
PAGES = ("/", "/home", "/courses", "/api/courses?page=2", "/main/lp/lp_controller.php?cid=3&id=%d", "/build/app.%d.js")


def write(file: Path, lines: int) -> int:
    """In the order of time, over the last six days. The number of failures of the one attacker."""
    dice = random.Random(1)
    began, step = time.time() - DAYS * 86400, DAYS * 86400 / lines
    every = {"long": lines // LONG, "attack": lines // FAILURES, "crowd": lines // (CROWD * BROWSERS)}
    failed = crowd = 0
    with file.open("w", encoding="ascii") as out:
        for number in range(lines):
            date = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(began + number * step))
            agent, status = f"Mozilla/5.0 (X11; Linux x86_64; rv:{number % 60}.0) Gecko/20100101 Firefox", 200
            if number % every["long"] == 0:
                address, asked, status = "198.51.100.7", f"GET /{number}/{'a' * 8000}", 404
            elif number % every["attack"] == 1:
                address, asked, status, agent = ATTACKER, "POST /login_json", 401, "curl/8.14.1"
                failed += 1
            elif number % every["crowd"] == 2:
                address, asked, status = f"2001:db8:{crowd % CROWD:x}::1", "POST /api/authentication_token", 401
                agent = f"browser {crowd // CROWD}"
                crowd += 1
            else:
                address = f"10.{dice.randrange(8)}.{dice.randrange(256)}.{dice.randrange(256)}"
                page = dice.choice(PAGES)
                asked = f"GET {page % dice.randrange(5000) if '%' in page else page}"
            out.write(f'{address} - - [{date}] "{asked} HTTP/1.1" {status} 5123 "https://campus.test/" "{agent}"\n')
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.forecast", description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--directory", help="where to make the log, of a quarter of a gigabyte")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        log = Path(directory) / "access.log"
        failed = write(log, options.lines)
        size = log.stat().st_size / 1e6
        answer = subprocess.run([sys.executable, "-c", ENGINE, log], check=True, stdout=subprocess.PIPE, text=True)
    reported, used, seconds, before, peak = json.loads(answer.stdout)
    # A ban begins with the fifth failure, and the next failures come when it is over.
    between = DAYS * 86400 / failed
    bans = round(DAYS * 86400 / (900 + 4.5 * between))
    met = reported["shut_out"]
    right = reported["whole"] and reported["lines"] == options.lines and [each["address"] for each in met] == [ATTACKER]
    right = right and met[0]["failed"] == failed and abs(met[0]["times"] - bans) <= bans * 0.02
    print(f"{options.lines} lines, {size:.0f} MB, of which {failed} are the failures of one address")
    bad = not right
    print("whom the rules would have met: " + ("right" if right else f"WRONG: {json.dumps(reported)}"))
    for what, measured, limit in (("s of a processor", used, SECONDS), ("MB of memory", peak, MEMORY)):
        bad = bad or measured > limit
        print(f"{measured:.1f} {what}, at most {limit:g}{'  TOO MUCH' if measured > limit else ''}")
    print(f"  {seconds:.1f} s on the clock; {before} MB before it began")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
