"""The role updates: security fixes install themselves, and a person hears of a new Chamilo."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.hosts.conftest import Cell
from tests.hosts.hardening import Playbook
from tests.testbed.hosts import Host
from tests.testbed.mail import FEED, HOOK, OSV, Sink

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
    sink.feed('{"vulns": [{"id": "CVE-2026-45143", "aliases": []}]}', "osv")
    known = {"chamilo_alert_webhook": HOOK, "chamilo_updates_feed": FEED, "chamilo_updates_osv": OSV}
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

    assert sink.titles() == [], (
        f"{here} is installed, a release candidate is no release, and the list knows better than OSV"
    )
    assert sink.asked()[0] == {"package": {"ecosystem": "Packagist", "name": "chamilo/chamilo-lms"}, "version": here}
    assert re.search(r"feed of releases read 20\d\d-.*OSV read 20\d\d-", after["updates_version"][1])
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
    assert "After the update: campus.test" in sink.titles()
    last = audited(playbook, fresh)
    assert "disabled" in last["updates_watch"][1]
    assert last["updates_version"][0] == "fail" and f"{later} is the newest release" in last["updates_version"][1]


# What goes on by itself, what Ansible leaves, and the program with what it remembers: that stays.
QUIET = [
    *("/var/log/*", "/var/lib/*", "/var/cache/*", "/root/.ansible*", "/var/www/chamilo/var/*"),
    *("database:mysql*", "database:shop.visit", "/usr/local/sbin/*", "/etc/systemd*", "unit:chamilo-hardening*"),
]
# A directory in which a file came and went.
ONLY_TIME = re.compile(r": d (\d+ \S+) \d+ -> d \1 \d+$")


@pytest.mark.long
@pytest.mark.parametrize("way", ["undo", "absent"])
def test_it_takes_itself_back(fresh: Host, playbook: Playbook, way: str) -> None:
    # The package stays when the section goes, so it is here before; and its virtual host belongs to the section https.
    fresh.run("apt-get update -qq && apt-get install -y -qq --no-install-recommends unattended-upgrades")
    playbook.harden(fresh, "--tags", "https")
    before = fresh.snapshot()
    known = {"chamilo_updates_feed": ""}
    assert playbook.harden(fresh, "--tags", "updates", **known) > 0
    url = f"https://{fresh.domain}/main/install/index.php"
    assert fresh.http(url).status == 403
    assert before.changes(fresh.snapshot(), QUIET), "there is something to undo"
    if way == "undo":
        fresh.run("chamilo-hardening undo updates --yes")
    else:
        assert playbook.harden(fresh, "--tags", "updates", **known, chamilo_updates_state="absent") > 0
        assert playbook.harden(fresh, "--tags", "updates", **known, chamilo_updates_state="absent") == 0
    assert not [one for one in before.changes(fresh.snapshot(), QUIET) if not ONLY_TIME.search(one)]
    assert fresh.wait(url).status not in (403, 404)
    assert "updates" not in fresh.run("chamilo-hardening status").stdout
