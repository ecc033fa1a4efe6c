"""The role updates: security fixes install themselves, and a person hears of a new Chamilo."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.hosts.conftest import Cell
from tests.hosts.hardening import Playbook
from tests.testbed.hosts import Host
from tests.testbed.mail import FEED, HOOK, Sink

ATOM = "<feed>" + "".join("<entry><id>tag:github.com,2008:Repository/1/v{}</id></entry>" for _ in range(2)) + "</feed>"
# The installed release, and one that comes after it.
RELEASES = {"2.0": ("2.0.4", "2.0.5"), "3.0": ("3.0.2", "3.0.3")}
RECORD = "/var/lib/chamilo-hardening/updates.json"


def audited(playbook: Playbook, host: Host) -> dict[str, tuple[str, str]]:
    playbook.run("audit", host)
    report = json.loads((playbook.directory / "report/report.json").read_text())
    return {one["id"]: (one["status"], one["evidence"]) for one in report["hosts"][0]["controls"]}


def watch(host: Host) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(host.get(RECORD))["watch"]
    return known


def test_security_fixes_install_themselves_and_a_new_release_is_reported(
    cell: Cell, fresh: Host, sink: Sink, playbook: Playbook
) -> None:
    here, later = RELEASES[cell.flavour]
    sink.feed(ATOM.format(here, "3.1.0-RC.1"))
    known = {"chamilo_alert_webhook": HOOK, "chamilo_updates_feed": FEED}
    fresh.put("/etc/apt/apt.conf.d/20auto-upgrades", 'APT::Periodic::Unattended-Upgrade "0";\n')
    before = audited(playbook, fresh)
    assert (before["updates_os"][0], before["updates_watch"][0]) == ("fail", "fail")
    assert playbook.harden(fresh, "--tags", "updates", **known) > 0
    assert playbook.harden(fresh, "--tags", "updates", **known) == 0
    after = audited(playbook, fresh)
    names = ("updates_version", "updates_os", "updates_watch")
    assert {name: after[name] for name in names if after[name][0] != "pass"} == {}
    # What is active, whatever is configured elsewhere, and that Debian's own program would do it.
    output = fresh.run("apt-config dump APT::Periodic::Unattended-Upgrade").stdout
    assert output.strip() == 'APT::Periodic::Unattended-Upgrade "1";'
    tried = fresh.run(["unattended-upgrade", "--dry-run", "--debug"])
    assert "Debian-Security" in tried.stdout + tried.stderr
    assert fresh.run(["systemctl", "is-enabled", "apt-daily-upgrade.timer"]).stdout == "enabled\n"

    assert sink.titles() == [], f"{here} is installed, and a release candidate is no release"
    assert re.search(r"feed of releases read 20\d\d-", after["updates_version"][1])
    sink.feed(ATOM.format(here, later))
    fresh.run(["chamilo-hardening", "daily", "updates"])
    fresh.run(["chamilo-hardening", "daily", "updates"])
    (reported,) = sink.hooks()
    assert (reported["title"], reported["text"]) == (
        "A new Chamilo is out: campus.test",
        f"Chamilo {later} is out; {here} is installed.",
    )
    assert re.search(r"campus\.test: .*feed of releases read 20", fresh.run("chamilo-hardening status").stdout)

    # Away on the first day: no alert. On the third an alert reports that releases are not watched.
    sink.forget()
    sink.feed("")
    fresh.run(["chamilo-hardening", "daily", "updates"])
    assert sink.titles() == [] and watch(fresh)["ok"] and "answered 404" in watch(fresh)["detail"]
    since = watch(fresh)["away"]["campus.test"]
    fresh.run(f"sed -i 's/{since}/{since - 4 * 86400}/' {RECORD}")
    fresh.run(["chamilo-hardening", "daily", "updates"])
    assert sink.titles() == ["No check for new releases at campus.test"] and not watch(fresh)["ok"]

    # The project's own file comes before the installer's, and an old version has vulnerabilities.
    sink.forget()
    sink.feed(ATOM.format(here, later))
    root = "/var/www/chamilo"
    own = f"{root}/public/main/install/version.php" if cell.flavour == "2.0" else f"{root}/version.php"
    fresh.run(f"cp {own} /root/version.php && sed s/{here}/3.0.0/ /root/version.php >{root}/version.php")
    fresh.run(["chamilo-hardening", "daily", "updates"])
    (reported,) = sink.hooks()
    assert reported["title"] == "Update Chamilo now: campus.test" and "fixed in 3.0.2" in reported["text"]
    status, evidence = audited(playbook, fresh)["updates_version"]
    assert status == "fail" and "CVE-2026-61532" in evidence and "uploads_no_exec" in evidence

    # Disabled is reported, and what was read before still counts.
    fresh.run(f"rm {root}/version.php && cp /root/version.php {own}")
    playbook.harden(fresh, "--tags", "updates", **{**known, "chamilo_updates_feed": ""})
    last = audited(playbook, fresh)
    assert "disabled" in last["updates_watch"][1]
    assert last["updates_version"][0] == "fail" and f"{later} is the newest release" in last["updates_version"][1]
