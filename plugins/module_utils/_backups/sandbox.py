# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Where a restore test starts what came back: as an account that owns nothing else, without a network.

Its database server and PHP die with the restore test.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import http.client
import os
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import restic
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError, Portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.restore_tables import DISCREET, complaint
from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import open_regular

# In the range that Debian assigns to no account. Whatever runs as it, or belongs to it, is of a restore test.
UID = 65300
_PORT = 8765
_WORDS = 300  # bytes of what a program wrote at its end
_BOOT_SECONDS, _START_SECONDS = 120.0, 60.0
_CLONE_NEWNET, _PDEATHSIG = 0x40000000, 1


def confined(network: bool = False) -> list[str]:
    """Runs what follows as the account of restore tests, without privileges; it is killed with its parent."""
    alone = [] if network else ["unshare", "--net", "--"]
    become = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--no-new-privs", "--inh-caps=-all"]
    return [*alone, *become, "--pdeathsig=KILL", "--", "nice", "-n", "19"]


def hand_over(scratch: str) -> None:
    """Hand the scratch directory over to the account of restore tests. No other account gets into it."""
    with contextlib.suppress(KeyError):
        raise BackupError(f"The account {pwd.getpwuid(UID).pw_name} has the number {UID}, which restore tests use.")
    restic.on_tree("find", scratch, "-type", "d", "-exec", "chmod", "0700", "{}", "+")
    # Where root could read what its owner may not, as a file that is doubtful, its new owner has to.
    restic.on_tree("chmod", "-R", "u+r", "--", scratch)
    restic.on_tree("chown", "-hR", f"{UID}:{UID}", "--", scratch)


def end_all() -> None:
    """Kill what runs as the account of restore tests: one that was killed may not have had the time."""
    for _round in range(50):
        found = False
        for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if UID in users(pid):
                    found = True
                    os.kill(pid, signal.SIGKILL)
        if not found:
            return
        time.sleep(0.1)


def users(pid: int) -> set[int]:
    """As whom a process runs. The owner of its directory in /proc proves less: the process can make that root."""
    with open(f"/proc/{pid}/status", "rb") as stream:
        return {int(word) for line in stream if line.startswith(b"Uid:") for word in line.split()[1:]}


# How its own clients log in.
LOCAL = ("--no-defaults", "--user=root", "--skip-ssl")


@dataclass(frozen=True)
class Server:
    """A database server of the restore test's own, behind a socket that no other account reaches."""

    socket: str

    def client(self, arguments: Sequence[str], stdin: Any = subprocess.DEVNULL) -> None:
        program = shutil.which("mariadb", path=restic.environment()["PATH"]) or "mysql"
        options = [*LOCAL, f"--socket={self.socket}", "--binary-mode", DISCREET]
        done = subprocess.run(
            [*confined(), program, *options, "--max-allowed-packet=1G", "--default-character-set=utf8mb4", *arguments],
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=restic.environment(),
            check=False,
        )
        if done.returncode:
            raise BackupError(f"The dump could not be loaded: {complaint(done.stderr)}")

    def ask(self, sql: str) -> None:
        self.client(["--execute", sql])


def _last_words(log: str) -> str:
    try:
        with open(open_regular(log), encoding="utf-8", errors="replace") as stream:
            return stream.read()[-300:]
    except FileNotFoundError:
        return "it ended before it wrote its log. The journal may show why, such as a lack of memory."


@contextlib.contextmanager
def started(scratch: str) -> Iterator[Server]:
    """Start one on an empty directory."""
    program = shutil.which("mariadbd", path=restic.environment()["PATH"])
    if program is None:
        raise BackupError("A restore test needs the program of the database server: install mariadb-server-core.")
    directory, log = f"{scratch}/mysql", f"{scratch}/mysql.log"
    os.mkdir(directory, 0o700)
    os.chown(directory, UID, UID)
    around = {**restic.environment(), "TMPDIR": scratch, "HOME": scratch}
    options = ["--no-defaults", f"--datadir={directory}", "--innodb-log-file-size=16M"]
    made = subprocess.run(
        [*confined(), "mariadb-install-db", *options, "--auth-root-authentication-method=normal", "--skip-test-db"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=scratch,
        env=around,
        check=False,
    )
    if made.returncode:
        raise BackupError(
            f"The database of the restore test could not be made: {made.stdout.decode(errors='replace')[-300:]}"
        )
    server = Server(f"{scratch}/mysql.sock")
    # Nothing of it has to outlive a power cut.
    quick = ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-buffer-pool-size=64M"]
    # For TLS it would make itself a key at each start, which takes a second.
    alone = ["--skip-networking", "--skip-ssl", "--skip-log-bin", "--max-allowed-packet=1G"]
    process = subprocess.Popen(
        [*confined(), program, *options, *quick, *alone]
        + [f"--socket={server.socket}", f"--pid-file={directory}/pid", f"--log-error={log}", f"--tmpdir={scratch}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=scratch,
        env=around,
    )
    try:
        end = time.monotonic() + _START_SECONDS
        while not _listens(server.socket):
            if process.poll() is not None or time.monotonic() > end:
                raise BackupError(f"The database server of the restore test did not start: {_last_words(log)}")
            time.sleep(0.1)
        yield server
    finally:
        process.kill()
        process.wait()


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def boot(portal: Portal, root: str, database: str) -> str:
    """Start the restored portal where it has no network. Returns why it showed no login page, or an empty text."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        words = "it stopped without a word"
        try:
            os.close(reading)
            words = _in_private(portal, root, database)
        except Exception as problem:  # words for the parent, whatever it is
            words = str(problem) or type(problem).__name__
        finally:
            os.write(writing, words.encode()[:2000])
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        output = answer.read().decode(errors="replace")
    os.waitpid(child, 0)
    return output


def _in_private(portal: Portal, root: str, database: str) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PDEATHSIG, signal.SIGKILL)
    if libc.unshare(_CLONE_NEWNET):
        raise BackupError(f"no private network could be made: {os.strerror(ctypes.get_errno())}")
    _loopback()
    program, around = _php(portal, database)
    served = ["-S", f"127.0.0.1:{_PORT}", "-t", f"{root}/public", f"{root}/public/index.php"]
    log = os.path.join(os.path.dirname(database), "php.log")
    output = open(log, "x+b")  # read through what is open: the directory is the confined account's
    process = subprocess.Popen(
        [*confined(network=True), *program, *served],
        cwd=root,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,  # what comes out of a backup could type into the terminal of the one who asked
        env=around,
    )
    try:
        end = time.monotonic() + _BOOT_SECONDS
        answer = "it did not answer"
        while time.monotonic() < end and process.poll() is None:
            try:
                return _login_page(portal.domain)
            except ConnectionRefusedError:
                time.sleep(0.2)
        return f"{answer}: {_end_of(output)}"
    finally:
        process.kill()
        process.wait()
        output.close()


def _php(portal: Portal, database: str) -> tuple[list[str], dict[str, str]]:
    """How PHP of the portal is called here, and what it finds around it."""
    program = shutil.which(f"php{portal.php}", path=restic.environment()["PATH"]) or "php"
    settings = {
        "variables_order": "EGPCS",  # the environment below wins over .env only through $_ENV
        "pdo_mysql.default_socket": database,
        "mysqli.default_socket": database,
        "sendmail_path": "/bin/false",
        "opcache.enable_cli": "0",
        "auto_prepend_file": "none",  # the guard of section uploads lets nothing run outside the portal's own directory
    }
    options = [word for name, value in settings.items() for word in ("-d", f"{name}={value}")]
    around = {
        **restic.environment(),
        "HOME": os.path.dirname(database),
        "TMPDIR": os.path.dirname(database),
        "DATABASE_HOST": "localhost",
        "DATABASE_USER": "root",
        "DATABASE_PASSWORD": "",
        "MAILER_DSN": "null://null",
    }
    return [program, *options], around


def _end_of(output: IO[bytes]) -> str:
    size = os.fstat(output.fileno()).st_size
    return os.pread(output.fileno(), _WORDS, max(0, size - _WORDS)).decode(errors="replace").strip()


def console(portal: Portal, root: str, database: str, *words: str) -> None:
    """Run a command of the restored application, without a network."""
    program, around = _php(portal, database)
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [*confined(), *program, "bin/console", "--no-interaction", *words],
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=around,
            check=False,
        )
        if done.returncode:
            raise BackupError(f"`bin/console {' '.join(words)}` ended with {done.returncode}: {_end_of(output)}")


def _loopback() -> None:
    """Bring the loopback interface of this network up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sh", b"lo", 0x1 | 0x40)  # up and running
        fcntl.ioctl(handle, 0x8914, request)


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
