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
import errno
import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from .._common.sentences import first_of
from . import restic
from .portal import BackupError, Portal
from .restore_tables import DISCREET, complaint, quoted

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
# Where our proxy is trusted, no redirect to https is needed to be believed.
_REQUEST = """\
import sys, urllib.request
headers = {"Host": sys.argv[2], "X-Forwarded-Proto": "https"}
request = urllib.request.Request(sys.argv[1], headers=headers)
print(urllib.request.build_opener().open(request, timeout=120).read(1 << 20))
"""


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


def _run(scratch: str, command: Sequence[str], *how: str, stdin: Any = None) -> tuple[int, str]:
    """Run a confined command to its end. Its code, and what it wrote."""
    done = subprocess.run(
        confined(scratch, command, "--wait", "--pipe", f"--unit={_UNIT}-{time.monotonic_ns()}", *how),
        stdin=stdin or subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode, done.stdout.decode(errors="replace").strip()


def _shut_off(scratch: str) -> None:
    """Refuse where systemd goes on without what it cannot set up, as in a container that may not make namespaces."""
    places = [f"/proc/self/ns/{kind}" for kind in ("net", "mnt")]
    code, words = _run(scratch, ["readlink", *places])
    theirs = words.split()
    if code or len(theirs) != len(places) or set(theirs) & set(map(os.readlink, places)):
        raise BackupError(
            "systemd cannot shut a restore test off from the network and the files of this host, as in a container "
            f"that may not make namespaces. Nothing of the backup was started. {words[-_TAIL:]}"
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


def prove(portal: Portal, root: str, dump: str, tables: Collection[str]) -> None:
    """Load the dump into a database server of its own, and start the portal that came back. Raises why it does not."""
    scratch = os.path.dirname(dump)
    server = f"{scratch}/mysql.sock"  # no other account reaches it
    _database(scratch, server)
    _ask(server, "--execute", f"CREATE DATABASE {quoted(portal.name)}")
    with open(dump, "rb") as stream:
        _ask(server, f"--database={portal.name}", stdin=stream)
    listed = _ask(server, "--batch", "--skip-column-names", "--execute", f"SHOW TABLES FROM {quoted(portal.name)}")
    missing = sorted({*tables} - {*listed.splitlines()})
    if missing:
        raise BackupError(f"The restored database lacks tables of its dump: {first_of(missing)}.")
    problem = _boot(portal, root, server)
    if problem:
        raise BackupError(f"The restored portal does not start: {problem}")


def _ask(server: str, *arguments: str, stdin: Any = None) -> str:
    program = shutil.which("mariadb", path=restic.environment()["PATH"]) or "mysql"
    options = ["--no-defaults", "--user=root", "--skip-ssl", f"--socket={server}", "--binary-mode", DISCREET]
    options += ["--max-allowed-packet=1G", "--default-character-set=utf8mb4"]
    code, words = _run(os.path.dirname(server), [program, *options, *arguments], stdin=stdin)
    if code:
        raise BackupError(f"The dump could not be loaded: {complaint(words.encode())}")
    return words


def _database(scratch: str, socket: str) -> None:
    """Start a server on an empty directory."""
    program = shutil.which("mariadbd", path=restic.environment()["PATH"])
    if program is None:
        raise BackupError("A restore test needs the program of the database server: install mariadb-server-core.")
    _shut_off(scratch)
    directory = f"{scratch}/mysql"
    os.mkdir(directory, 0o700)
    os.chown(directory, UID, UID)
    options = ["--no-defaults", f"--datadir={directory}", "--innodb-log-file-size=16M"]
    install = ["mariadb-install-db", *options, "--auth-root-authentication-method=normal", "--skip-test-db"]
    code, words = _run(scratch, install)
    if code:
        raise BackupError(f"The database of the restore test could not be made: {words[-_TAIL:]}")
    # Nothing of it has to outlive a power cut.
    quick = ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-buffer-pool-size=64M"]
    # For TLS it would make itself a key at each start, which takes a second.
    alone = ["--skip-networking", "--skip-ssl", "--skip-log-bin", "--max-allowed-packet=1G"]
    places = [f"--socket={socket}", f"--pid-file={directory}/pid", f"--tmpdir={scratch}"]
    _start("database", scratch, [program, *options, *quick, *alone, *places], "notify")


def _boot(portal: Portal, root: str, database: str) -> str:
    """Start the restored portal. Returns why it showed no login page, or an empty text."""
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
    served = [program, *options, "-S", f"127.0.0.1:{_PORT}", "-t", f"{root}/public", f"{root}/public/index.php"]
    scratch = os.path.dirname(database)
    _start("php", scratch, served, "exec", directory=root, more=around)
    request = [sys.executable, "-I", "-c", _REQUEST, f"http://127.0.0.1:{_PORT}/login", portal.domain]
    end = time.monotonic() + _BOOT_SECONDS
    while time.monotonic() < end and not _ended("php"):
        code, page = _run(scratch, request, f"--property=JoinsNamespaceOf={_UNIT}-php.service")
        if not code:
            return "" if re.search(r"type=.?password|id=.?app\b", page) else "/login is no login page"
        if not page.endswith(f"[Errno {errno.ECONNREFUSED}] Connection refused>"):
            return f"/login: {page[-_TAIL:]}"
    return f"it did not answer: {_last_words('php')}"


def _ended(name: str) -> bool:
    active = ["systemctl", "is-active", "--quiet", f"{_UNIT}-{name}.service"]
    return subprocess.run(active, stdin=subprocess.DEVNULL, check=False).returncode != 0
