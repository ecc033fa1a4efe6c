"""The engine of bin/demo: audit, harden, harden again, audit, on a real host that is thrown away afterwards."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.hosts.hardening import ENDED
from tests.playbook import PlayError, play
from tests.testbed import hosts, images, mail, store
from tests.testbed.engine import EngineError

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "chamilo-report"
# What harden promises: the controls for which the table names a role that is in the playbook.
TASKS = yaml.safe_load((ROOT / "playbooks/harden.yml").read_text())[2]["tasks"]
ROLES = [task["tags"] for task in TASKS if "block" in task]
TABLE = yaml.safe_load((ROOT / "meta/controls.yml").read_text())["controls"]
PROMISED = {control["id"] for control in TABLE if control.get("fixer", {}).get("role") in ROLES}
# The certificate is one of the testbed's own authority: a real one needs a public name.
VARIABLES = {
    "chamilo_https_certificate": "files",
    "chamilo_https_certificate_file": "/etc/ssl/testbed/fullchain.pem",
    "chamilo_https_certificate_key_file": "/etc/ssl/testbed/privkey.pem",
    "chamilo_https_hsts": "full",
    "chamilo_backups_key_folder": str(ROOT / ".cache/demo/keys"),
}
# What may be something else than green at the end, by level and status, and why. All of it is named.
APART = {
    ("people", "people"): "for a person to do",
    ("consider", "advice"): "not asked for (chamilo_level: consider)",
}
ABSENT = "what a throw-away host cannot have"
STATUSES = ("pass", "fail", "advice", "waived", "not_applicable", "not_assessed", "people")
START = time.monotonic()


class Disappointed(Exception):
    """The demo ran, but did not show what it promises."""


def report(text: str = "") -> None:
    for line in text.split("\n"):
        print(f"[{time.monotonic() - START:4.0f} s] {line}".rstrip(), flush=True)


def audit(inventory: Path, name: str) -> list[dict[str, Any]]:
    play("audit", inventory, variables={"chamilo_report_dir": str(REPORTS / name)})
    (host,) = json.loads((REPORTS / name / "report.json").read_text())["hosts"]
    return list(host["controls"])


def table(controls: Sequence[dict[str, Any]]) -> str:
    """Counts per section and status, only the statuses that occur."""
    shown = [status for status in STATUSES if any(control["status"] == status for control in controls)]
    counts: dict[str, Counter[str]] = {}
    for control in controls:
        counts.setdefault(control["section"], Counter())[control["status"]] += 1
    total = Counter(control["status"] for control in controls)
    rows = [["", *(status.replace("_", " ") for status in shown)]]
    rows += [[section, *(str(count[status] or "·") for status in shown)] for section, count in counts.items()]
    rows.append(["all", *(str(total[status]) for status in shown)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "    " + row[0].ljust(widths[0]) + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:]))
        for row in rows
    )


def apart(controls: Sequence[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """What is not green and need not be, by name; and what is red."""
    named: dict[str, list[str]] = {}
    red = []
    for control in controls:
        level, status = control["level"], control["status"]
        why = ABSENT if status == "not_applicable" else APART.get((level, status), "")
        if why:
            named.setdefault(why, []).append(control["id"])
        elif status != "pass":
            red.append(control)
    return "\n".join(f"    {why}: {', '.join(names)}" for why, names in named.items()), red


def wire(host: hosts.Host) -> str:
    """What a visitor is shown."""
    lines = []
    for scheme in ("http", "https"):
        answer = host.http(f"{scheme}://{host.domain}/login", verify=True, ca_file=str(hosts.authority.certificate()))
        lines.append(f"    {scheme}://{host.domain}/login: {answer.error or answer.status}")
        for name in ("Location", "Server", "Strict-Transport-Security", "X-Frame-Options", "X-Content-Type-Options"):
            lines += [f"        {name}: {value}" for value in answer.values(name)]
    return "\n".join(lines)


def demo(options: argparse.Namespace, network: str) -> None:
    report("A Chamilo portal as schools have it, on a real Debian host in a container that is removed afterwards.")
    host = hosts.up("campus", options.release, options.web, network=network)
    report(f"{host.domain} is up: Debian {host.release}, {host.web}, PHP-FPM, MariaDB and an application like Chamilo")
    inventory = ROOT / f".cache/demo/{network}.json"
    inventory.parent.mkdir(parents=True, exist_ok=True)
    store.up(network)
    mail.up(network)
    copies = {"chamilo_backups_offsite_repository": store.REPOSITORY}
    reported = {"chamilo_alert_mail": "admin@school.example", "chamilo_alert_webhook": mail.HOOK}
    reported["chamilo_monitoring_smtp_host"] = mail.NAME
    release = {"chamilo_release_archive": str(images.application())}
    variables = {**host.inventory(), **VARIABLES, **release, **copies, **reported}
    inventory.write_text(json.dumps({"chamilo": {"hosts": {host.domain: variables}}}))
    try:
        report(f"What a visitor gets before:\n{wire(host)}")

        report("1. audit (changes nothing)")
        before = audit(inventory, "before")
        report(table(before))

        report(f"2. harden: {', '.join(ROLES)} (certificate from the testbed's own authority, HSTS for a year)")
        report("    The program is compared with the package of its release: it was the web user's to write.")
        first = play("harden", inventory)
        report(f"    changed={first.changed[host.domain]} ({first.seconds:.0f} s)")
        began = time.monotonic()
        host.run(ENDED)
        report(f"    the host went on with the first backup and restore test for {time.monotonic() - began:.0f} s")

        report("3. harden again")
        second = play("harden", inventory)
        report(f"    changed={second.changed[host.domain]} ({second.seconds:.0f} s)")

        report("4. audit again")
        after = audit(inventory, "after")
        report(table(after))
        named, red = apart(after)
        report(f"Not green, and why:\n{named}" if named else "All of it is green.")
        report(f"What a visitor gets now:\n{wire(host)}")
    finally:
        if not options.keep:
            inventory.unlink()

    report(f"The reports: {REPORTS / 'before/report.html'}\n             {REPORTS / 'after/report.html'}")
    if options.keep:
        report(
            f"The host stays: http://{host.address}/ ({host.domain}), bin/env docker exec -it {host.container} bash,\n"
            f"    bin/env ansible-playbook playbooks/audit.yml -i {inventory.relative_to(ROOT)}\n"
            f"Remove it with: bin/env python -m tests.testbed down --all --network {network}"
        )
    if not any(control["status"] == "fail" for control in before if control["id"] in PROMISED):
        raise Disappointed("the first audit found nothing wrong with a host that was never hardened")
    if second.changed[host.domain]:
        raise Disappointed(f"the second run changed something:\n{second.output}")
    if red:
        lines = "\n".join(f"    {control['id']} ({control['status']}): {control['evidence']}" for control in red)
        raise Disappointed(f"not green after hardening:\n{lines}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/demo", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--web", choices=images.SERVERS, default="nginx")
    parser.add_argument("--release", choices=images.RELEASES, default="trixie")
    parser.add_argument("--keep", action="store_true", help="leave the host running and print how to reach it")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    network = f"chamilo-demo-{os.getpid()}"
    try:
        demo(options, network)
    except (EngineError, subprocess.CalledProcessError, PlayError, Disappointed) as problem:
        report(f"bin/demo: {problem}")
        return 1
    except KeyboardInterrupt:
        report("stopped")
        return 130
    finally:
        if not options.keep:
            hosts.down(network)
    return 0


if __name__ == "__main__":
    sys.exit(main())
