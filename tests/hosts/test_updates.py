"""The role updates: security fixes install themselves, and a person hears of a new Chamilo."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.hosts.conftest import RUN
from tests.hosts.hardening import Playbook
from tests.testbed import mail
from tests.testbed.hosts import Host
from tests.testbed.mail import FEED, HOOK, Sink

ATOM = "<feed>" + "".join("<entry><id>tag:github.com,2008:Repository/1/v{}</id></entry>" for _ in range(2)) + "</feed>"
RECORD = "/var/lib/chamilo-hardening/updates.json"


@pytest.fixture
def sink(make: Callable[..., Host]) -> Iterator[Sink]:
    """Somebody who is told, and who serves the feed, in the network of this test's hosts."""
    up = mail.up(f"{RUN}-own")
    yield up
    up.down()


def audited(playbook: Playbook, host: Host) -> dict[str, tuple[str, str]]:
    playbook.run("audit", host)
    report = json.loads((playbook.folder / "report/report.json").read_text())
    return {one["id"]: (one["status"], one["evidence"]) for one in report["hosts"][0]["controls"]}


def watch(host: Host) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(host.get(RECORD))["watch"]
    return known


def test_security_fixes_install_themselves_and_a_new_release_is_told(
    fresh: Host, sink: Sink, playbook: Playbook
) -> None:
    sink.feed(ATOM.format("2.0.1", "2.1.0-RC.1"))
    known = {"chamilo_alert_webhook": HOOK, "chamilo_updates_feed": FEED}
    before = audited(playbook, fresh)
    assert (before["updates_os"][0], before["updates_watch"][0]) == ("fail", "fail")
    assert playbook.harden(fresh, "--tags", "updates", **known) > 0
    assert playbook.harden(fresh, "--tags", "updates", **known) == 0
    after = audited(playbook, fresh)
    names = ("updates_version", "updates_os", "updates_watch")
    assert {name: after[name] for name in names if after[name][0] != "pass"} == {}
    # Debian's own program knows what it would do: the security archive, and nothing else of ours.
    tried = fresh.run(["unattended-upgrade", "--dry-run", "--debug"])
    assert "Debian-Security" in tried.stdout + tried.stderr
    assert fresh.run(["systemctl", "is-enabled", "apt-daily-upgrade.timer"]).stdout == "enabled\n"

    assert sink.titles() == [], "2.0.1 is installed, and a release candidate is no release"
    sink.feed(ATOM.format("2.0.1", "2.0.2"))
    fresh.run(["chamilo-hardening", "daily", "updates"])
    fresh.run(["chamilo-hardening", "daily", "updates"])
    (told,) = sink.hooks()
    assert (told["title"], told["text"]) == (
        "A new Chamilo is out: campus.test",
        "Chamilo 2.0.2 is out; 2.0.1 is installed.",
    )

    # Away on the first day: nobody is woken. On the third somebody hears that nobody would hear.
    sink.forget()
    sink.feed("")
    fresh.run(["chamilo-hardening", "daily", "updates"])
    assert sink.titles() == [] and watch(fresh)["ok"] and "answered 404" in watch(fresh)["detail"]
    since = watch(fresh)["away"]["campus.test"]
    fresh.run(f"sed -i 's/{since}/{since - 4 * 86400}/' {RECORD}")
    fresh.run(["chamilo-hardening", "daily", "updates"])
    assert sink.titles() == ["No look for new releases at campus.test"] and not watch(fresh)["ok"]

    # Without the installer's file the version is still known, and an old one is a hole.
    sink.forget()
    sink.feed(ATOM.format("2.0.1", "2.0.2"))
    root = "/var/www/chamilo/public"
    fresh.run(f"rm -r {root}/main/install && sed -i 's/2.0.1/2.0.0/' {root}/documentation/changelog.html")
    fresh.run(["chamilo-hardening", "daily", "updates"])
    (told,) = sink.hooks()
    assert told["title"] == "Update Chamilo now: campus.test" and "CVE-2026-45140" in told["text"]
    status, evidence = audited(playbook, fresh)["updates_version"]
    assert status == "fail" and "uploads_no_exec" in evidence

    # Switched off is said.
    playbook.harden(fresh, "--tags", "updates", **{**known, "chamilo_updates_feed": ""})
    assert "switched off" in audited(playbook, fresh)["updates_watch"][1]


def etc(host: Host) -> list[str]:
    """What apt and the web server are configured by. What a package brings stays when the section goes."""
    found = host.run(
        "find /etc/apt/apt.conf.d /etc/nginx /etc/apache2 -type f -print0 2>/dev/null | sort -z | xargs -0 sha256sum"
    ).stdout
    brought = ("50unattended-upgrades", "20auto-upgrades")
    return [line for line in found.splitlines() if not line.endswith(brought)]


@pytest.mark.long
def test_absent_brings_back_what_was_there(fresh: Host, playbook: Playbook) -> None:
    playbook.sections = "updates"
    before = etc(fresh)
    playbook.harden(fresh, chamilo_updates_feed="")
    assert fresh.http("/main/install/index.php").status in (403, 404)
    assert playbook.harden(fresh, chamilo_updates_feed="", chamilo_updates_state="absent") > 0
    assert playbook.harden(fresh, chamilo_updates_feed="", chamilo_updates_state="absent") == 0
    # The virtual host that includes the section's rules belongs to another.
    fresh.run("chamilo-hardening undo https --yes")
    assert etc(fresh) == before
    assert fresh.run("ls /etc/chamilo-hardening").stdout.count("updates") == 0
    assert fresh.wait("/main/install/index.php").status not in (403, 404)
