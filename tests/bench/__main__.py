"""What a run costs, as a ratio to a task that does nothing (ping, same connection), all measured on one host.

Each round measures all of them one after the other, and the ratio is the median of the rounds, so that a slow minute
of the machine meets both sides.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.demo import VARIABLES
from tests.hosts.hardening import ENDED
from tests.playbook import play
from tests.testbed import hosts, images, mail, store

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache/bench"
LIMITS = {"second harden run": 14, "audit": 8, "20 unchanged files, one transaction": 3}
# Of the second harden run, on a host with nothing to do.
TASKS = {"carried out": 10, "started": 33}
MANY = 11  # tasks in a play, to get at the price of one
PING = {"name": "Do nothing", "ansible.builtin.ping": {}}
TRANSACTION = {
    "name": "Keep 20 files",
    "chamilo.hardening.config_transaction": {
        "name": "headers:bench",
        "files": [
            {"path": f"/etc/chamilo-bench/{number}.conf", "content": f"# {number}\n" * 40} for number in range(20)
        ],
    },
}


def seconds(playbook: str, inventory: Path, **variables: str) -> float:
    # The better of two: whatever else runs on this machine only ever makes it slower.
    return min(play(playbook, inventory, variables=variables).seconds for _ in range(2))


def written(name: str, tasks: list[dict[str, Any]]) -> str:
    path = CACHE / f"{name}.yml"
    path.write_text(json.dumps([{"hosts": "chamilo", "gather_facts": False, "become": True, "tasks": tasks}]))
    return str(path)


def price(name: str, task: dict[str, Any], inventory: Path) -> float:
    """Seconds of one more task of this kind in a play."""
    few, many = written(f"{name}-1", [task]), written(f"{name}-{MANY}", [task] * MANY)
    return (seconds(many, inventory) - seconds(few, inventory)) / (MANY - 1)


def measured(inventory: Path) -> tuple[float, dict[str, float]]:
    """A task that does nothing, and what is compared with it, in seconds."""
    unit = price("ping", PING, inventory)
    # A whole run is measured as its user sees it, the start of Ansible itself included.
    return unit, {
        "second harden run": seconds("harden", inventory),
        "audit": seconds("audit", inventory, chamilo_report_dir=str(CACHE / "report")),
        "20 unchanged files, one transaction": price("transaction", TRANSACTION, inventory),
    }


CARRIED_OUT, STARTED = r"(?:ok|changed): \[", r"(?:ok|changed|skipping|included): "


def executions(output: str, outcome: str = CARRIED_OUT) -> Counter[str]:
    """How many tasks of each role had such an outcome on the host. What is skipped costs the controller alone."""
    counted: Counter[str] = Counter()
    role = ""
    for line in output.splitlines():
        task = re.match(r"(?:TASK|RUNNING HANDLER) \[(?:chamilo\.hardening\.(\w+) : )?", line)
        if task:
            role = task[1] or "the play"
        elif re.match(outcome, line):
            counted[role] += 1
    return counted


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--web", choices=images.SERVERS, default="nginx")
    parser.add_argument("--release", choices=images.RELEASES, default="trixie")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    network = f"chamilo-bench-{os.getpid()}"
    CACHE.mkdir(parents=True, exist_ok=True)
    inventory = CACHE / f"{network}.json"
    try:
        host = hosts.up("campus", options.release, options.web, network=network)
        store.up(network)
        mail.up(network)
        # As on a host on which nothing is left out.
        whole = {
            "chamilo_release_archive": str(images.application()),
            "chamilo_backups_offsite_repository": store.REPOSITORY,
            "chamilo_alert_mail": "admin@school.example",
            "chamilo_alert_webhook": mail.HOOK,
            "chamilo_monitoring_smtp_host": mail.NAME,
        }
        variables = {**host.inventory(), **VARIABLES, **whole}
        inventory.write_text(json.dumps({"chamilo": {"hosts": {host.domain: variables}}}))
        play("harden", inventory)
        host.run(ENDED)
        # What waits for an administrator is done: each run checks again what was not accepted yet.
        host.run("chamilo-hardening integrity accept")
        play("harden", inventory)  # takes the copy of that list
        second = play("harden", inventory).output
        play(written("transaction-1", [TRANSACTION]), inventory)  # the first one writes
        rounds = [measured(inventory) for _ in range(options.rounds)]
    except KeyboardInterrupt:
        print("stopped")
        return 130
    finally:
        inventory.unlink(missing_ok=True)
        hosts.down(network)
    unit = statistics.median(unit for unit, _taken in rounds)
    print(f"A task that does nothing: {unit * 1000:.0f} ms ({options.web}, Debian {options.release})")
    slow = False
    for what, outcome in (("carried out", CARRIED_OUT), ("started", STARTED)):
        counted = executions(second, outcome)
        roles = ", ".join(f"{role} {number}" for role, number in counted.items())
        many = counted.total() > TASKS[what]
        slow = slow or many
        print(
            f"Tasks {what} in the second harden run: {counted.total()}, at most {TASKS[what]} ({roles})"
            f"{'  TOO MANY' if many else ''}"
        )
    for name, limit in LIMITS.items():
        took = statistics.median(taken[name] for _unit, taken in rounds)
        ratios = [taken[name] / unit for unit, taken in rounds]
        ratio = statistics.median(ratios)
        slow = slow or ratio > limit
        spread = f"{took:.2f} s, ratios {min(ratios):.1f} to {max(ratios):.1f}"
        print(f"{name:36} {ratio:6.1f} times that, at most {limit} ({spread}){'  TOO MUCH' if ratio > limit else ''}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
