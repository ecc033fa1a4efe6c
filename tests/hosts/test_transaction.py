"""Transactions on real hosts: whatever goes wrong, and whenever the process dies, the site answers and the files are
as they were.

The engine is the one in the installed program, which is the one the module runs.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.playbook import PlayError, play
from tests.testbed import hosts
from tests.testbed.hosts import Host

if TYPE_CHECKING:
    from tests.hosts.conftest import Cell

ON_HOST = Path(__file__).with_name("on_host.py")
PROGRAM = "/usr/local/sbin/chamilo-hardening"
SERVICE = {"nginx": "nginx", "apache": "apache2"}
TEST = {"nginx": ["nginx", "-t"], "apache": ["apachectl", "configtest"]}
ETC = {"nginx": "/etc/nginx", "apache": "/etc/apache2"}
ENABLED = {"nginx": "conf.d", "apache": "sites-enabled"}
LISTEN = {"nginx": "server {{ listen {port}; }}\n", "apache": "Listen {port}\n"}
# A virtual host of the test's own, so that what breaks in it is not the site.
VIRTUAL_HOST = {
    "nginx": """\
server {{
    listen 80;
    server_name token.test;
    include /etc/nginx/made/deep/*.conf;
    location = /part {{ return {status}; }}
    location = /token {{ add_header X-Chamilo-Generation @generation@; return 204; }}
}}
""",
    "apache": """\
<VirtualHost *:80>
    ServerName token.test
    IncludeOptional /etc/apache2/made/deep/*.conf
    Redirect {status} /part
    Redirect 204 /token
    Header always set X-Chamilo-Generation @generation@
</VirtualHost>
""",
}


class Lab:
    """A host, and transactions on it."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.web = host.web
        self.etc = ETC[host.web]
        self.service = SERVICE[host.web]
        self.enabled = f"{self.etc}/{ENABLED[host.web]}"

    def plan(self, status: int = 410, extra: str = "# extra\n", **different: Any) -> dict[str, Any]:
        """Files that change, come, go and lead elsewhere, in a directory that is not there yet too."""
        text = VIRTUAL_HOST[self.web].format(status=status)
        return {
            "name": "headers",
            "files": [
                {"path": f"{self.enabled}/token.conf", "content": text},
                {"path": f"{self.etc}/made/deep/first.conf", "content": "# first\n"},
                {"path": f"{self.etc}/test/changes.conf", "content": "# new\n", "mode": "0644"},
                {"path": f"{self.etc}/test/key.pem", "secret_content": "new key", "mode": "0600"},
                {"path": f"{self.etc}/test/goes.conf", "state": "absent"},
                {"path": f"{self.etc}/test/link", "state": "link", "target": "changes.conf"},
                {"path": f"{self.enabled}/extra.conf", "content": extra},
            ],
            "test": [TEST[self.web]],
            "load": {"service": self.service},
            "probe": [
                self.probe("/token", 204, {"X-Chamilo-Generation": "@generation@"}),
                self.probe("/favicon.ico", 200, host=self.host.domain),
            ],
            **different,
        }

    def probe(
        self, path: str, status: int, headers: dict[str, str] | None = None, host: str = "token.test"
    ) -> dict[str, Any]:
        return {"url": f"http://127.0.0.1{path}", "host": host, "status": [status], "headers": headers or {}}

    def apply(self, plan: dict[str, Any], check: bool = True, name: str = "plan") -> dict[str, Any]:
        self.host.put(f"/root/{name}.json", json.dumps(plan))
        done = self.host.run(["python3", "-I", "-B", "/root/on_host.py", "apply", f"/root/{name}.json"], check=False)
        assert done.returncode in (0, 1), done.stdout + done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        assert not check or not result["failure"], result["failure"]
        return result

    def fail(self, plan: dict[str, Any]) -> dict[str, Any]:
        """A transaction that must fail and leave no trace, on disk or active."""
        before = self.digest()
        result = self.apply(plan, check=False)
        assert result["failure"]
        self.as_before(before)
        assert self.apply(self.plan())["changed"], "the next run goes through"
        self.undo()
        self.as_before(before)
        return result

    def die(self, **different: Any) -> None:
        """A run that is killed between swap and load: its own test does it, the one time that the mark is there."""
        kill = ["sh", "-c", "if rm /root/die; then kill -KILL $PPID; fi"]
        self.host.put("/root/die", "")
        self.host.put("/root/plan.json", json.dumps(self.plan(test=[kill], **different)))
        before = self.digest()
        done = self.host.run(["python3", "-I", "-B", "/root/on_host.py", "apply", "/root/plan.json"], check=False)
        assert done.returncode in (137, -9), done.stdout + done.stderr
        assert self.digest() != before

    def undo(self) -> str:
        return self.host.run([PROGRAM, "undo", "headers", "--yes"]).stdout

    def digest(self) -> str:
        return self.host.run(["python3", "-I", "-B", "/root/on_host.py", "digest", self.etc]).stdout

    def status(self) -> dict[str, Any]:
        known: dict[str, Any] = json.loads(self.host.run([PROGRAM, "status", "--json"]).stdout)
        return known

    def as_before(self, before: str) -> None:
        now = self.digest()
        assert sorted(set(now.splitlines()) ^ set(before.splitlines())) == []
        assert self.answers("/token") != 204
        assert (self.status()["sections"], self.broken()) == ({}, [])

    def broken(self) -> list[str]:
        return [one["why"] for one in self.status()["entries"] if one["state"] == "broken"]

    def answers(self, path: str, host: str = "token.test") -> int:
        return self.host.http(f"http://{host}{path}").status


class Visitors:
    """Requests without a break, some of them for pages that take two seconds. None may fail."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.failed: list[str] = []
        self.answered = 0
        self._over = threading.Event()
        pages = ["/favicon.ico", "/main/slow.php?seconds=0", "/main/slow.php?seconds=2", "/main/slow.php?seconds=2"]
        self._threads = [threading.Thread(target=self._visit, args=(page,)) for page in pages]

    def _visit(self, page: str) -> None:
        while not self._over.is_set():
            answer = self.host.http(page, timeout=30)
            if answer.status != 200:
                self.failed.append(f"{page}: {answer.status or answer.error}")
            self.answered += 1
            self._over.wait(0.05)

    def __enter__(self) -> Visitors:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        assert self.answered > 4 and self.failed == []


@pytest.fixture(scope="module")
def ready(cell: Cell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One host for all tests here: each leaves it as it was, which is what they are about."""
    network = f"chamilo-test-{os.getpid()}-transaction-{cell}"
    host = cell.up("campus", network)
    lab = Lab(host)
    host.put("/root/on_host.py", ON_HOST.read_text())
    host.run("command -v strace || { apt-get -q update && apt-get -q -y --no-install-recommends install strace; }")
    host.run(f"mkdir {lab.etc}/test && cd {lab.etc}/test && ln -s key.pem link && echo goes >goes.conf")
    host.put(f"{lab.etc}/test/changes.conf", "# old\n", "0640", "www-data:adm")
    host.put(f"{lab.etc}/test/key.pem", "old key", "0400")
    if host.web == "apache":
        host.run("a2enmod -q headers && systemctl reload apache2")
    directory = tmp_path_factory.mktemp("ansible")
    install = [{"hosts": "all", "gather_facts": False, "tasks": [{"chamilo.hardening.host_program": {"request": {}}}]}]
    (directory / "install.yml").write_text(yaml.safe_dump(install))
    (directory / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"campus": host.quick_inventory()}}}))
    assert play(str(directory / "install.yml"), directory / "hosts.yml").changed == {"campus": 1}
    assert play(str(directory / "install.yml"), directory / "hosts.yml").changed == {"campus": 0}
    yield lab
    hosts.down(network)


@pytest.fixture
def lab(ready: Lab) -> Iterator[Lab]:
    """The host, which must be after a test as it was before."""
    before = ready.digest()
    yield ready
    ready.as_before(before)


@pytest.mark.wire
def test_a_plan_is_applied_and_undone(lab: Lab) -> None:
    with Visitors(lab.host):
        done = lab.apply(lab.plan())
        assert done["changed"] and done["loaded"] and done["notes"] == []
        assert (lab.answers("/part"), lab.answers("/token")) == (410, 204)
        again = lab.apply(lab.plan())
        assert not again["changed"] and again["generation"] == done["generation"]
        assert "headers" in lab.host.run([PROGRAM, "status"]).stdout
        assert "loaded, and the site answers" in lab.undo()
    listed = lab.host.run("systemctl list-timers --all").stdout.replace("chamilo-hardening-daily", "")
    assert "chamilo-hardening" not in listed, "the timer of the transaction is gone"


@pytest.mark.wire
def test_a_syntax_error(lab: Lab) -> None:
    with Visitors(lab.host):
        failed = lab.fail(lab.plan(extra="no_such_directive;\n"))
    assert "no_such_directive" in failed["failure"] and failed["failure"].endswith("The old files were restored.")


@pytest.mark.wire
def test_a_probe_that_fails(lab: Lab) -> None:
    part = lab.probe("/part", 410)
    good = lab.plan()
    with Visitors(lab.host):
        lab.apply(good)
        before = lab.digest()
        failed = lab.apply(lab.plan(status=404, probe=[*good["probe"], part]), check=False)
        assert "/part as token.test answers 404 instead of 410" in failed["failure"]
        assert failed["failure"].endswith("The old configuration was restored and is active.")
        assert lab.digest() == before
        assert (lab.answers("/part"), lab.apply(good)["changed"]) == (410, False)
        lab.undo()


@pytest.mark.long
@pytest.mark.wire
def test_what_was_red_before_stops_nothing(lab: Lab) -> None:
    plan = lab.plan()
    red = [lab.probe("/not-there", 200, host=lab.host.domain), lab.probe("/part", 200)]
    with Visitors(lab.host):
        assert lab.apply({**plan, "probe": [*plan["probe"], *red]})["loaded"]
        lab.undo()


@pytest.fixture
def squatter(lab: Lab) -> Iterator[str]:
    lab.host.run("systemd-run --quiet --unit=squatter python3 -m http.server 8099 && sleep 1")
    yield LISTEN[lab.web].format(port=8099)
    lab.host.run("systemctl stop squatter")


@pytest.mark.wire
def test_an_occupied_port_ends_the_run_before_anything(lab: Lab, squatter: str) -> None:
    with Visitors(lab.host):
        failed = lab.fail(lab.plan(extra=squatter, listen=["0.0.0.0:8099"]))
    assert failed["failure"].startswith("0.0.0.0:8099 is occupied by python3 (process ")
    assert "No file was changed" in failed["failure"]


@pytest.mark.wire
def test_an_undeclared_occupied_port_is_detected_by_the_token(lab: Lab, squatter: str) -> None:
    # nginx goes on with the old configuration and reports success. Apache's parent exits: it is started again.
    failed = lab.fail(lab.plan(extra=squatter))
    assert failed["failure"].endswith("The old configuration was restored and is active.")
    assert lab.host.run(["systemctl", "is-active", lab.service]).stdout.strip() == "active"


@pytest.mark.long
@pytest.mark.wire
def test_a_port_of_the_service_itself_is_free(lab: Lab) -> None:
    with Visitors(lab.host):
        lab.apply(lab.plan(extra=LISTEN[lab.web].format(port=8098), listen=["0.0.0.0:80", "[::]:80", "0.0.0.0:8098"]))
        assert lab.host.http(f"http://{lab.host.domain}:8098/").status
        lab.undo()


def test_the_timer_rolls_back_what_a_dead_run_left(lab: Lab) -> None:
    before = lab.digest()
    with Visitors(lab.host):
        lab.die(set={"timer": 10})
        end = time.monotonic() + 60
        while lab.broken() and time.monotonic() < end:
            time.sleep(0.5)
        assert lab.digest() == before
    reported = lab.host.run("journalctl -t chamilo-hardening --no-pager -o cat").stdout
    assert "The run of headers that began at" in reported


@pytest.mark.parametrize("how", ["restart", "crash"])
def test_the_host_goes_down_half_way(lab: Lab, how: str) -> None:
    before = lab.digest()
    lab.die(extra="no_such_directive;\n")
    assert lab.host.run(TEST[lab.web], check=False).returncode, "the server would not start with this"
    getattr(lab.host, how)()
    assert lab.digest() == before
    assert lab.host.http("/favicon.ico").status == 200
    assert lab.apply(lab.plan())["recovered"] == []
    lab.undo()


@pytest.mark.long
def test_the_host_goes_down_half_way_and_a_disk_comes_late(lab: Lab) -> None:
    """A bind mount that waits for a slow unit stands in for a disk of the network."""
    slow = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=sleep 3\n"
    lab.host.put("/etc/systemd/system/slow.service", slow)
    lab.host.run(
        "mkdir -p /srv/disk /srv/late; echo old >/srv/disk/.env; systemctl daemon-reload; "
        "echo /srv/disk /srv/late none bind,nofail,x-systemd.requires=slow.service 0 0 >>/etc/fstab; "
        "systemctl daemon-reload; systemctl start srv-late.mount"
    )
    plan = lab.plan()
    before = lab.digest()
    lab.die(files=[*plan["files"], {"path": "/srv/late/.env", "secret_content": "new"}])
    assert lab.host.run("cat /srv/disk/.env").stdout == "new"
    lab.host.crash()
    assert lab.broken()
    left = [line for line in set(lab.digest().splitlines()) - set(before.splitlines()) if "/made" not in line]
    assert left == [], "but for empty directories, the host's own disk is as it was before a server starts"
    end = time.monotonic() + 60
    while lab.broken() and time.monotonic() < end:
        time.sleep(0.5)
    assert lab.digest() == before
    assert lab.host.run("cat /srv/disk/.env").stdout == "old\n"
    reported = lab.host.run("journalctl -t chamilo-hardening --no-pager -o cat").stdout
    assert "/srv/late is not mounted, and 1 of the files" in reported
    assert lab.host.run(["sh", "-c", "ls -A /var/lib/chamilo-hardening/kept"], check=False).stdout == ""
    lab.host.run("systemctl stop srv-late.mount; sed -i '/late/d' /etc/fstab; rm -r /srv/late /srv/disk")


def test_the_next_run_reports_what_it_found(lab: Lab) -> None:
    with Visitors(lab.host):
        lab.die()
        assert "The run of headers that began at" in lab.host.run([PROGRAM, "status"]).stdout
        done = lab.apply(lab.plan())
        assert done["loaded"] and "did not finish" in done["recovered"][0]
        lab.undo()


def test_two_runs_at_once(lab: Lab) -> None:
    # It ends when the others have been seen, however slow this machine is.
    slow = lab.plan(test=[["sh", "-c", "until test -e /root/go; do sleep 0.1; done"], TEST[lab.web]])
    other = {
        **lab.plan(),
        "name": "https:two",
        "files": [{"path": f"{lab.enabled}/two.conf", "content": "# two\n"}],
        "probe": [lab.probe("/favicon.ico", 200, host=lab.host.domain)],
    }
    results: dict[str, dict[str, Any]] = {}

    def start(name: str, plan: dict[str, Any]) -> threading.Thread:
        thread = threading.Thread(target=lambda: results.update({name: lab.apply(plan, check=False, name=name)}))
        thread.start()
        return thread

    with Visitors(lab.host):
        first = start("first", slow)
        while first.is_alive() and not any(one["state"] == "waiting" for one in lab.status()["entries"]):
            time.sleep(0.1)
        start("impatient", {**other, "set": {"lock": 0.5}}).join()
        second = start("second", other)
        while second.is_alive() and not lab.host.run(["pgrep", "-f", "apply /root/second.json"], check=False).stdout:
            time.sleep(0.1)
        lab.host.put("/root/go", "")
        first.join()
        second.join()
        lab.host.run([PROGRAM, "undo", "https", "--yes"])
        lab.undo()
    assert results["first"]["failure"] == results["second"]["failure"] == ""
    assert "belongs to headers (process " in results["impatient"]["failure"]


@pytest.mark.long
@pytest.mark.wire
def test_a_service_that_is_stopped_stays_so(lab: Lab) -> None:
    lab.host.run(["systemctl", "stop", lab.service])
    done = lab.apply(lab.plan())
    assert done["changed"] and not done["loaded"] and "is inactive" in done["notes"][0]
    assert lab.host.run(["systemctl", "is-active", lab.service], check=False).stdout.strip() == "inactive"
    lab.host.run(["systemctl", "start", lab.service])
    assert lab.answers("/token") == 204
    assert not lab.apply(lab.plan())["changed"]
    lab.undo()


@pytest.mark.long
def test_killed_before_each_system_call(lab: Lab, pytestconfig: pytest.Config) -> None:
    # All of them with --full; else every eighth, not the same ones on each server.
    step = 1 if pytestconfig.getoption("--full") else 8
    lab.host.put("/root/plan.json", json.dumps(lab.plan()))
    words = ["sweep", lab.etc, "/root/plan.json", str(step), str(len(lab.web) % step)]
    with Visitors(lab.host):
        done = lab.host.run(["python3", "-I", "-B", "/root/on_host.py", *words], check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    count = json.loads(done.stdout)
    print(count)
    assert count["points"] > 100
    # Waiting takes more or fewer calls each time: an answer a connection, and a thread (clone3) that ends it in time.
    assert [call for call in count["survived"] if not call.startswith(("wait", "connect", "clone3"))] == []
    assert count["recovered"] > count["tried"] * 0.3, count
    assert count["left"] == ["lock", "state.json"]


def test_through_ansible(lab: Lab, tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"campus": lab.host.quick_inventory()}}}))

    def write(plan: dict[str, Any]) -> str:
        task = {"chamilo.hardening.config_transaction": plan}
        (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
        return str(tmp_path / "play.yml")

    playbook = write(lab.plan())
    before = lab.digest()
    predicted = play(playbook, inventory, "--check", "--diff")
    assert predicted.changed == {"campus": 1} and lab.digest() == before
    real = play(playbook, inventory, "--diff", "-vvv")
    assert real.changed == {"campus": 1} and "new key" not in real.output and "old key" not in real.output

    def shown(output: str) -> list[str]:
        return [line for line in output.splitlines() if line.startswith(("+", "-"))]

    assert shown(predicted.output) and shown(predicted.output) == shown(real.output)
    assert play(playbook, inventory).changed == {"campus": 0}
    with pytest.raises(PlayError, match="no_such_directive(.|\n)*The old files were restored") as failed:
        play(write(lab.plan(extra="no_such_directive;\n")), inventory)
    assert "rolled_back" in str(failed.value)
    lab.undo()
