# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Where a restore test starts what came back: as an account that owns nothing else, without a network.

Its database server and PHP run in units of systemd; but for the scratch directory, the host is read-only to them. What
is left of a restore test that was killed is ended when the next one begins, or after hours.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from . import restic
from .portal import BackupError, Portal
from .restore_tables import DISCREET, complaint

# In the range that Debian assigns to no account. Whatever belongs to it is of a restore test.
UID = 65300
_UNIT = "chamilo-hardening-drill"
_CONFINED = (
    "PrivateNetwork=yes",
    "ProtectSystem=strict",
    "ProtectHome=tmpfs",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectKernelTunables=yes",
    "InaccessiblePaths=-/run/mysqld",  # of the server in use
    "NoNewPrivileges=yes",
    "MemoryMax=50%",
    "Nice=19",
    "KillSignal=SIGKILL",
    "RuntimeMaxSec=6h",
    "TimeoutStartSec=60",
)
_BECOME = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all", "--")
_PORT = 8765
_TAIL = 300  # bytes of what a program wrote at its end
_BOOT_SECONDS = 120.0
_CLONE_NEWNET = 0x40000000


def hand_over(scratch: str) -> None:
    """Hand the scratch directory over to the account of restore tests. No other account gets into it."""
    with contextlib.suppress(KeyError):
        raise BackupError(f"The account {pwd.getpwuid(UID).pw_name} has the number {UID}, which restore tests use.")
    restic.on_tree("find", scratch, "-type", "d", "-exec", "chmod", "0700", "{}", "+")
    # Where root could read what its owner may not, as a file that is doubtful, its new owner has to.
    restic.on_tree("chmod", "-R", "u+r", "--", scratch)
    restic.on_tree("chown", "-hR", f"{UID}:{UID}", "--", scratch)


def end_all() -> None:
    """End whatever a restore test started: one that was killed may not have had the time."""
    subprocess.run(["systemctl", "stop", f"{_UNIT}-*.service"], stdin=subprocess.DEVNULL, check=True)


def confined(
    scratch: str, command: Sequence[str], *how: str, directory: str = "", more: Mapping[str, str] | None = None
) -> list[str]:
    """The command in a unit of its own, as the account of restore tests."""
    around = {**restic.environment(), "HOME": scratch, "TMPDIR": scratch, **(more or {})}
    properties = [*_CONFINED, f'BindPaths="{scratch}":"{scratch}"', f"WorkingDirectory={directory or scratch}"]
    return [
        *("systemd-run", "--quiet", "--collect", *how),
        *(f"--property={each}" for each in properties),
        *(f"--setenv={name}={value}" for name, value in around.items()),
        *("--", *_BECOME, *(word.replace("$", "$$") for word in command)),  # systemd replaces variables
    ]


def run(scratch: str, command: Sequence[str], stdin: Any = None, stdout: Any = None, **more: Any) -> str:
    """Run a confined command to its end. Returns why it failed: the end of what it wrote, or of its complaints."""
    unit = f"--unit={_UNIT}-{time.monotonic_ns()}"
    done = subprocess.run(
        confined(scratch, command, "--wait", "--pipe", unit, **more),
        stdin=stdin or subprocess.DEVNULL,
        stdout=stdout or subprocess.PIPE,
        stderr=subprocess.PIPE if stdout else subprocess.STDOUT,
        check=False,
    )
    words = (done.stderr if stdout else done.stdout).decode(errors="replace").strip()
    return (words or f"it ended with {done.returncode}") if done.returncode else ""


def _shut_off(scratch: str) -> None:
    """Refuse where systemd goes on without what it cannot set up, as in a container that may not make namespaces."""
    places = [f"/proc/self/ns/{kind}" for kind in ("net", "mnt")]
    with tempfile.TemporaryFile() as output:
        problem = run(scratch, ["readlink", *places], stdout=output)
        output.seek(0)
        theirs = output.read().decode(errors="replace").split()
    if problem or len(theirs) != len(places) or set(theirs) & set(map(os.readlink, places)):
        raise BackupError(
            "systemd cannot shut a restore test off from the network and the files of this host, as in a container "
            f"that may not make namespaces. Nothing of the backup was started. {problem[-_TAIL:]}".rstrip()
        )


def _start(name: str, scratch: str, command: Sequence[str], kind: str, **more: Any) -> None:
    """Start what runs until the restore test ends."""
    how = (f"--unit={_UNIT}-{name}", f"--service-type={kind}")
    if subprocess.run(confined(scratch, command, *how, **more), stdin=subprocess.DEVNULL, check=False).returncode:
        raise BackupError(f"The {name} of the restore test did not start: {_last_words(name)}")


def _last_words(name: str) -> str:
    read = ["journalctl", f"--unit={_UNIT}-{name}", "--output=cat", "--quiet", "--lines=20"]
    done = subprocess.run(read, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    return done.stdout.decode(errors="replace").strip()[-_TAIL:]


@dataclass(frozen=True)
class Server:
    """A database server of the restore test's own, behind a socket that no other account reaches."""

    socket: str

    def run(self, program: str, arguments: Sequence[str], stdin: Any = None, stdout: Any = None) -> str:
        command = [program, "--no-defaults", "--user=root", "--skip-ssl", f"--socket={self.socket}", *arguments]
        return run(os.path.dirname(self.socket), command, stdin, stdout)

    def client(self, arguments: Sequence[str], stdin: Any = None) -> None:
        program = shutil.which("mariadb", path=restic.environment()["PATH"]) or "mysql"
        options = ["--binary-mode", DISCREET, "--max-allowed-packet=1G", "--default-character-set=utf8mb4"]
        problem = self.run(program, [*options, *arguments], stdin)
        if problem:
            raise BackupError(f"The dump could not be loaded: {complaint(problem.encode())}")

    def ask(self, sql: str) -> None:
        self.client(["--execute", sql])


def database(scratch: str) -> Server:
    """Start one on an empty directory."""
    program = shutil.which("mariadbd", path=restic.environment()["PATH"])
    if program is None:
        raise BackupError("A restore test needs the program of the database server: install mariadb-server-core.")
    _shut_off(scratch)
    directory = f"{scratch}/mysql"
    os.mkdir(directory, 0o700)
    os.chown(directory, UID, UID)
    options = ["--no-defaults", f"--datadir={directory}", "--innodb-log-file-size=16M"]
    install = ["mariadb-install-db", *options, "--auth-root-authentication-method=normal", "--skip-test-db"]
    problem = run(scratch, install)
    if problem:
        raise BackupError(f"The database of the restore test could not be made: {problem[-_TAIL:]}")
    server = Server(f"{scratch}/mysql.sock")
    # Nothing of it has to outlive a power cut.
    quick = ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-buffer-pool-size=64M"]
    # For TLS it would make itself a key at each start, which takes a second.
    alone = ["--skip-networking", "--skip-ssl", "--skip-log-bin", "--max-allowed-packet=1G"]
    places = [f"--socket={server.socket}", f"--pid-file={directory}/pid", f"--tmpdir={scratch}"]
    _start("database", scratch, [program, *options, *quick, *alone, *places], "notify")
    return server


def boot(portal: Portal, root: str, database: str) -> str:
    """Start the restored portal. Returns why it showed no login page, or an empty text."""
    program, around = _php(portal, database)
    served = [*program, "-S", f"127.0.0.1:{_PORT}", "-t", f"{root}/public", f"{root}/public/index.php"]
    _start("php", os.path.dirname(database), served, "exec", directory=root, more=around)
    show = ["systemctl", "show", "--property=MainPID", "--value", f"{_UNIT}-php.service"]
    end = time.monotonic() + _BOOT_SECONDS
    while time.monotonic() < end:
        process = int(subprocess.run(show, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout or 0)
        if not process:
            break
        try:
            with ThreadPoolExecutor(1) as apart:  # a network is entered by one thread, which ends here
                return apart.submit(_login_page_within, process, portal.domain).result()
        except (ConnectionRefusedError, FileNotFoundError):
            time.sleep(0.2)
    return f"it did not answer: {_last_words('php')}"


def _login_page_within(process: int, domain: str) -> str:
    """Ask for the first page in the network of a process."""
    with open(f"/proc/{process}/ns/net", "rb") as network:
        if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), _CLONE_NEWNET):
            raise BackupError(f"The network of the restore test: {os.strerror(ctypes.get_errno())}")
    return _login_page(domain)


def _php(portal: Portal, database: str) -> tuple[list[str], dict[str, str]]:
    """How PHP of the portal is called here, and what it finds around it."""
    program = shutil.which(f"php{portal.php}", path=restic.environment()["PATH"]) or "php"
    settings = {
        "variables_order": "EGPCS",  # the environment below wins over .env only through $_ENV
        "pdo_mysql.default_socket": database,
        "mysqli.default_socket": database,
        "session.save_path": os.path.dirname(database),
        "sendmail_path": "/bin/false",
        "opcache.enable_cli": "0",
        "auto_prepend_file": "none",  # the guard of section uploads lets nothing run outside the portal's own directory
    }
    options = [word for name, value in settings.items() for word in ("-d", f"{name}={value}")]
    around = {
        "DATABASE_HOST": "localhost",
        "DATABASE_USER": "root",
        "DATABASE_PASSWORD": "",
        "MAILER_DSN": "null://null",
    }
    return [program, *options], around


def _login_page(domain: str) -> str:
    """Ask for the first page and follow where it leads. An empty text, or what is wrong."""
    path = "/login"
    for _hop in range(5):
        connection = http.client.HTTPConnection("127.0.0.1", _PORT, timeout=_BOOT_SECONDS)
        try:
            # Where our proxy is trusted, no redirect to https is needed to be believed.
            connection.request("GET", path, headers={"Host": domain, "X-Forwarded-Proto": "https"})
            answer = connection.getresponse()
            body = answer.read(1 << 20)
        finally:
            connection.close()
        if answer.status in (301, 302, 303, 307, 308):
            path = re.sub(r"^https?://[^/]+", "", answer.headers.get("Location", "/")) or "/"
            continue
        if answer.status != 200:
            return f"{path} answers {answer.status}"
        if not re.search(rb"type=.?password|id=.?app\b", body):
            return f"{path} is no login page"
        return ""
    return f"{path} leads nowhere but elsewhere"
