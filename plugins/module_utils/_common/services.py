# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""What a transaction asks of the machine: run a command, load a service, arm a timer, see whether a port is free."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence

from .begun import environment

PROGRAM = "/usr/local/sbin/chamilo-hardening"
LOAD_SECONDS = 90.0
TURN_SECONDS = 30.0
TIMER_SECONDS = 60
_MOST = 16 << 20  # bytes of the output of a command
_PIECE = 1 << 16  # bytes read at a time

_FPM = re.compile(r"php[\d.]*-fpm(?:\.service)?$")
_RELOADS = ("reload", "reload-or-restart", "try-reload-or-restart")

Runner = Callable[[Sequence[str], float], "tuple[int, str]"]


def run(argv: Sequence[str], seconds: float) -> tuple[int, str]:
    """Run a command without a shell and without input. Returns its exit code and its output."""
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment("C"),
            start_new_session=True,
        )
    except OSError as problem:
        return 127, f"{argv[0]}: {problem.strerror}"
    with child:
        try:
            output = _heard(child, time.monotonic() + seconds)
        except (subprocess.TimeoutExpired, OverflowError) as problem:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            many = isinstance(problem, OverflowError)
            return 124, f"more than {_MOST >> 20} MB of output" if many else f"no end within {seconds:.0f} seconds"
    return child.returncode, output.decode(errors="replace").strip()


def as_user(user: str, directory: str, *words: str) -> list[str]:
    """The words by which the web user runs a command in its application: root must not run what that user wrote.

    What it makes is as the policy for var/ wants it.
    """
    place = ["env", f"--chdir={directory}", "HOME=/nonexistent"]
    return ["runuser", "-u", user, "--", "sh", "-c", 'umask 007; exec "$@"', "sh", *place, *words]


def _heard(child: subprocess.Popen[bytes], end: float) -> bytes:
    """All its output until it ends. A command that runs as the web user decides how much that is."""
    if child.stdout is None:
        raise AssertionError("it has a pipe")
    output = bytearray()
    with selectors.DefaultSelector() as ready:
        ready.register(child.stdout, selectors.EVENT_READ)
        while ready.select(max(0.0, end - time.monotonic())):
            part = os.read(child.stdout.fileno(), _PIECE)
            if not part:
                child.wait(max(0.0, end - time.monotonic()))
                return bytes(output)
            output += part
            if len(output) > _MOST:
                raise OverflowError
    raise subprocess.TimeoutExpired(child.args, 0)


class Machine:
    """Services, timers and ports of the host this runs on."""

    def __init__(self, runner: Runner = run, systemd: bool | None = None, program: str = PROGRAM) -> None:
        self.run = runner
        self.systemd = os.path.isdir("/run/systemd/system") if systemd is None else systemd
        self.program = program

    def state(self, service: str) -> str:
        """``active``, ``inactive``, ``failed``, or the transitional state that systemd reports (``activating`` ..)."""
        if not self.systemd:
            return "inactive" if self.run(["service", service, "status"], 30)[0] else "active"
        output = self.run(["systemctl", "is-active", service], 30)[1].splitlines()
        word = output[-1] if output else "unknown"
        return {"reloading": "active", "refreshing": "active", "unknown": "inactive"}.get(word, word)

    def service(self, action: str, service: str) -> str:
        """Reload or restart a service. Returns why it failed, or an empty text."""
        argv = ["systemctl", action, service] if self.systemd else ["service", service, action]
        if self.systemd and action == "restart":
            # A service that failed too often in a row would be refused.
            self.run(["systemctl", "reset-failed", service], 30)
        code, output = self.command(argv, LOAD_SECONDS)
        return f"`{' '.join(argv)}` failed ({code}): {_tail(output)}" if code else ""

    def command(self, argv: Sequence[str], seconds: float) -> tuple[int, str]:
        """Run a command. One that reloads PHP-FPM is over when its old workers are gone."""
        reloads = len(argv) == 3 and argv[0] == "systemctl" and argv[1] in _RELOADS and _FPM.match(argv[2])
        # A reload returns while old workers may still answer, and they have no token to recognize them by.
        old = self.workers(argv[2]) if reloads else set()
        code, output = self.run(argv, seconds)
        if not code:
            self.outlast(old)
        return code, output

    def workers(self, service: str) -> set[str]:
        """The process numbers of a service's workers. Empty without systemd."""
        if not self.systemd:
            return set()
        return _children(self.run(["systemctl", "show", "--property=MainPID", "--value", service], 30)[1])

    @staticmethod
    def outlast(workers: Iterable[str]) -> bool:
        """Wait until none of these workers takes a connection any more. Returns whether it came to that in time."""
        end = time.monotonic() + TURN_SECONDS
        while any(map(_answers, workers)):
            if time.monotonic() >= end:
                return False
            time.sleep(0.05)
        return True

    def arm(self, token: str, seconds: int = 0) -> str:
        """Have the host put things back by itself should we die. Returns why that is not so, or an empty text.

        ``seconds``: until the first try, where it need not be a minute.
        """
        if not self.systemd:
            return "systemd does not run here, so nothing would put the old files back before the next run."
        if not os.access(self.program, os.X_OK):
            return f"{self.program} is not installed, so nothing would put the old files back before the next run."
        # Early at boot a timer starts only after this unit: do not wait for it.
        argv = ["systemd-run", "--quiet", "--no-block", "--collect", f"--unit=chamilo-hardening-undo-{token}"]
        argv += [f"--on-active={seconds or TIMER_SECONDS}", "--timer-property=AccuracySec=1s"]
        # Retried every minute until it succeeds, for instance after the administrator has freed a disk.
        for setting in ("Restart=on-failure", "RestartSec=60", "StartLimitIntervalSec=0"):
            argv.append(f"--property={setting}")
        code, output = self.run([*argv, self.program, "recover"], 30)
        return f"The timer that would put the old files back could not be set: {_tail(output)}" if code else ""

    def disarm(self, token: str) -> None:
        """Take the timer back. Should it go off all the same, it finds nothing to do."""
        if self.systemd:
            self.run(["systemctl", "stop", f"chamilo-hardening-undo-{token}.timer"], 30)

    def occupied(self, listen: str, service: str) -> str:
        """Why ``service`` could not listen on this address, or an empty text.

        A bind that fails because the service itself is there already is none.
        """
        host, port = split_address(listen)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As web servers do: bound, but never listening, so that no visitor ends up here.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind((host, port))
            except OSError as problem:
                if problem.errno != errno.EADDRINUSE:
                    return f"{listen} cannot be listened on: {problem.strerror}."
                holders = _listeners(family, host, port)
                if holders and all(_belongs(pid, service) for pid in holders):
                    return ""
                names = sorted({f"{_name(pid)} (process {pid})" for pid in holders}) or ["another program"]
                return f"{listen} is occupied by {', '.join(names)}; {service or 'the service'} could not listen there."
        return ""


def _children(master: str) -> set[str]:
    """Found by their parent: the kernel's list of children may lack some while processes begin or end (proc(5))."""
    if master in ("", "0"):  # the service does not run
        return set()
    return {pid for pid in os.listdir("/proc") if pid.isdigit() and _parent(pid) == master}


def _parent(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            status = file.read()
    except OSError:  # it has ended
        return ""
    return status.rpartition(")")[2].split()[1]


def _answers(worker: str) -> bool:
    """A worker of nginx that takes no more connections shows it in its title; one that has ended has none."""
    try:
        with open(f"/proc/{worker}/cmdline", "rb") as file:
            title = file.read()
    except OSError:
        return False
    return bool(title) and b"is shutting down" not in title


def split_address(listen: str) -> tuple[str, int]:
    """``0.0.0.0:443`` or ``[::]:443`` as host and port."""
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([0-9]{1,5})", listen)
    if not found or not 0 < int(found.group(3)) < 65536:
        raise ValueError(f"{listen!r} is no address with a port, such as 0.0.0.0:443 or [::]:443")
    return found.group(1) or found.group(2), int(found.group(3))


def _listeners(family: int, host: str, port: int) -> list[int]:
    """The processes whose listening keeps others from this address and port."""
    own = _kernel_address(family, host)
    every = "0" * len(own)
    there = _listening("/proc/net/tcp6" if family == socket.AF_INET6 else "/proc/net/tcp", port)
    sockets = {inode for address, inode in there if own == every or address in (own, every)}
    if not sockets and family == socket.AF_INET:
        # A socket for all of IPv6 may take IPv4 as well.
        sockets = {inode for address, inode in _listening("/proc/net/tcp6", port) if set(address) == {"0"}}
    found = []
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        with contextlib.suppress(OSError):  # the process is gone
            handles = os.listdir(f"/proc/{pid}/fd")
            if any(_read_link(f"/proc/{pid}/fd/{handle}") in sockets for handle in handles):
                found.append(pid)
    return found


def _listening(table: str, port: int) -> list[tuple[str, str]]:
    """Address (as the kernel writes it) and socket of everything that listens on a port."""
    found = []
    with contextlib.suppress(FileNotFoundError), open(table, encoding="ascii") as stream:  # no IPv6: no table
        for line in stream.readlines()[1:]:
            fields = line.split()
            address, _colon, number = fields[1].partition(":")
            if fields[3] == "0A" and int(number, 16) == port:
                found.append((address, f"socket:[{fields[9]}]"))
    return found


def _kernel_address(family: int, host: str) -> str:
    raw = socket.inet_pton(family, host)
    words = (raw[start : start + 4] for start in range(0, len(raw), 4))
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)


def _belongs(pid: int, service: str) -> bool:
    """Does a process belong to the service: by its control group, else (no systemd) by its name."""
    unit = service if service.endswith(".service") else f"{service}.service"
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cgroup", encoding="utf-8") as stream:
        if any(unit in line.rstrip("\n").split("/") for line in stream):
            return True
    return bool(service) and _name(pid) == service


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return "a process that is gone"


def _read_link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _tail(output: str) -> str:
    """The last lines of a command's output: enough to act on, short enough for a message."""
    return "\n".join(output.splitlines()[-12:]) or "no output"
