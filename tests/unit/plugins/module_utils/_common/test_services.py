# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands, services, timers and ports, as a transaction sees them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import services
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine, run, split_address


class Log:
    """Stands in for the commands of a host: notes them, answers with what it was given."""

    def __init__(self, *answers: tuple[int, str]) -> None:
        self.answers = list(answers)
        self.commands: list[str] = []

    def __call__(self, argv: Sequence[str], seconds: float) -> tuple[int, str]:
        self.commands.append(" ".join(argv))
        return self.answers.pop(0) if self.answers else (0, "")


def test_a_command_is_no_shell_and_both_its_outputs_come_back() -> None:
    code, output = run([sys.executable, "-c", "import sys; print(sys.argv[1]); sys.exit('$HOME; no')", "$HOME"], 10)
    assert (code, output.splitlines()) == (1, ["$HOME; no", "$HOME"]) or (code, sorted(output.splitlines())) == (
        1,
        ["$HOME", "$HOME; no"],
    )


def test_a_command_that_is_not_there_reports_so() -> None:
    assert run(["/no/such/command"], 10) == (127, "/no/such/command: No such file or directory")


def test_a_command_that_does_not_end_is_ended_with_its_children(tmp_path: Path) -> None:
    began = time.monotonic()
    code, output = run(["sh", "-c", f"(sleep 60; touch {tmp_path}/late) & echo $! >{tmp_path}/child; wait"], 0.5)
    assert (code, output) == (124, "no end within 0 seconds")
    assert time.monotonic() - began < 10
    child = int((tmp_path / "child").read_text())
    end = time.monotonic() + 10
    while os.path.exists(f"/proc/{child}") and _alive(child):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_command_that_talks_without_end_is_ended() -> None:
    began = time.monotonic()
    assert run(["yes", "x" * 1000], 60) == (124, "more than 16 MB of output")
    assert time.monotonic() - began < 30


def test_a_command_that_closes_its_output_and_goes_on_is_waited_for() -> None:
    assert run(["sh", "-c", "echo said; exec >&- 2>&-; sleep 0.3; exit 3"], 10) == (3, "said")
    assert run(["sh", "-c", "exec >&- 2>&-; sleep 60"], 0.3)[0] == 124


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.parametrize(
    ("output", "state"),
    [
        ("active", "active"),
        ("reloading", "active"),
        ("inactive", "inactive"),
        ("failed", "failed"),
        ("activating", "activating"),
        ("unknown", "inactive"),
        ("", "inactive"),
    ],
)
def test_the_state_of_a_service(output: str, state: str) -> None:
    assert Machine(Log((3, output)), systemd=True).state("web") == state


def test_without_systemd_the_service_command_answers() -> None:
    log = Log((0, "web is running"), (3, ""), (1, "broken"))
    machine = Machine(log, systemd=False)
    assert (machine.state("web"), machine.state("web")) == ("active", "inactive")
    assert machine.service("reload", "web") == "`service web reload` failed (1): broken"
    assert log.commands == ["service web status", "service web status", "service web reload"]


@pytest.mark.parametrize(("service", "waits"), [("php8.4-fpm.service", True), ("nginx.service", False)])
def test_a_reload_of_php_ends_with_its_old_workers(service: str, waits: bool) -> None:
    worker = subprocess.Popen(["sleep", "60"])
    leaves = threading.Timer(0.5, lambda: (worker.kill(), worker.wait()))

    def systemd(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        if argv[1] == "reload":
            leaves.start()
        return 0, str(os.getpid())

    began = time.monotonic()
    assert Machine(systemd, systemd=True).service("reload", service) == ""
    assert (time.monotonic() - began > 0.4) is waits
    leaves.join()


@pytest.mark.parametrize(
    ("title", "takes"), [("nginx: worker process", True), ("nginx: worker process is shutting down", False)]
)
def test_a_worker_is_waited_for_while_it_takes_connections(
    monkeypatch: pytest.MonkeyPatch, title: str, takes: bool
) -> None:
    monkeypatch.setattr(services, "TURN_SECONDS", 0.2)
    argv = ["sh", "-c", "echo; read end", title]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout and worker.stdout.readline() == b"\n"
        workers = Machine(Log((0, str(os.getpid()))), systemd=True).workers("nginx")
        assert str(worker.pid) in workers
        assert Machine.outlast({str(worker.pid)}) is not takes
        worker.kill()
    assert Machine.outlast({str(worker.pid)})


def test_a_failed_service_may_be_restarted_however_often_it_failed() -> None:
    log = Log()
    assert Machine(log, systemd=True).service("restart", "web") == ""
    assert log.commands == ["systemctl reset-failed web", "systemctl restart web"]


def test_a_timer_that_cannot_be_set_is_reported(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("")
    program.chmod(0o755)
    log = Log((1, "Failed to start transient timer unit"))
    machine = Machine(log, systemd=True, program=str(program))
    assert machine.arm("abc").endswith("could not be set: Failed to start transient timer unit")
    assert "--unit=chamilo-hardening-undo-abc" in log.commands[0] and "--on-active=60" in log.commands[0]
    # Ten starts in an hour, one every six minutes: it does not give up.
    assert all(f"--property={each}" in log.commands[0] for each in ("RestartSec=60", "StartLimitIntervalSec=0"))
    assert machine.arm("abc") == ""
    machine.disarm("abc")
    assert log.commands[-1] == "systemctl stop chamilo-hardening-undo-abc.timer"


@pytest.mark.parametrize("wrong", ["443", "host:443", "0.0.0.0", "0.0.0.0:0", "0.0.0.0:65536", "::1:443", "[::1]:x"])
def test_what_is_no_address(wrong: str) -> None:
    with pytest.raises(ValueError, match="no address with a port"):
        split_address(wrong)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_an_occupied_address_names_who_is_there(listener: socket.socket, host: str) -> None:
    port = listener.getsockname()[1]
    name = Path("/proc/self/comm").read_text().strip()
    output = Machine().occupied(f"{host}:{port}", "web")
    assert output == f"{host}:{port} is occupied by {name} (process {os.getpid()}); web could not listen there."


def test_an_address_the_service_has_itself_is_no_fault(listener: socket.socket) -> None:
    # Without systemd a process belongs to a service by its name.
    name = Path("/proc/self/comm").read_text().strip()
    assert Machine().occupied(f"127.0.0.1:{listener.getsockname()[1]}", name) == ""


def test_everything_of_ipv6_keeps_ipv4_out() -> None:
    with socket.socket(socket.AF_INET6) as server:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::", 0))
        server.listen()
        port = server.getsockname()[1]
        for address in (f"0.0.0.0:{port}", f"[::]:{port}", f"[::1]:{port}"):
            assert f"(process {os.getpid()})" in Machine().occupied(address, "web")


def test_an_address_of_another_host_cannot_be_listened_on() -> None:
    assert Machine().occupied("192.0.2.1:8099", "web") == (
        "192.0.2.1:8099 cannot be listened on: Cannot assign requested address."
    )


def test_a_process_that_has_ended_has_neither_parent_nor_name() -> None:
    gone = 1 << 30  # no process has such a number
    assert (services._parent(str(gone)), services._name(gone)) == ("", "a process that is gone")
    assert services._parent(str(os.getpid())) == str(os.getppid())
    assert services._children(str(gone)) == set()
    assert services._belongs(gone, "") is False
