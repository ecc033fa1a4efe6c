# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""The dump of a portal's database, streamed into a repository."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from .._application import database, dotenv
from .._common.tree import Tree
from . import restic
from .portal import BackupError, Portal
from .restic import Repository

STAMP = b"-- chamilo-hardening run "
_CHUNK = 1 << 20
_ENDED = re.compile(rb"-- Dump completed\b[^\n]*\n?\Z")
_TABLE = re.compile(rb"^CREATE TABLE `((?:[^`]|``)+)`", re.MULTILINE)


def program() -> str:
    program = shutil.which("mariadb-dump", path=restic.PATH) or shutil.which("mysqldump", path=restic.PATH)
    if program is None:
        raise BackupError("Neither mariadb-dump nor mysqldump is installed on this host.")
    return program


# The same database always gives the same bytes but for comments.
OPTIONS = (
    "--single-transaction",
    "--no-tablespaces",
    "--skip-dump-date",
    "--hex-blob",
    "--default-character-set=utf8mb4",
    "--max-allowed-packet=1G",
)
# What Chamilo itself has none of. The application's account may not see them.
PROGRAMS = ("--routines", "--events")


def _by_socket(portal: Portal) -> str:
    """The socket by which root of this host reaches the portal's server, or an empty text."""
    path = portal.socket or database.SOCKET
    return path if portal.local and os.path.exists(path) else ""


def _has_routines(portal: Portal) -> bool:
    """Whether the database has what the account for backups may not see, and root by the socket may."""
    if not _by_socket(portal):
        return False
    sql = "SELECT COUNT(*) AS number FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s"
    try:
        (row,) = database.Reader(database.Account("root", socket=_by_socket(portal))).query(sql, (portal.name,))
    except database.DatabaseError:  # root does not get in by the socket
        return False
    return database.as_number(row["number"]) > 0


@contextlib.contextmanager
def dumping(portal: Portal) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """The command that dumps the portal's database, and the descriptors it needs."""
    account = portal.account_file
    if os.path.exists(account) and not _has_routines(portal):
        yield [program(), f"--defaults-file={account}", *OPTIONS, *PROGRAMS, "--", portal.name], ()
    elif _by_socket(portal):
        where = f"--socket={_by_socket(portal)}"
        yield [program(), "--no-defaults", "--user=root", where, *OPTIONS, *PROGRAMS, "--", portal.name], ()
    else:  # the application's own account
        known = dotenv.read(Tree(), portal.directory, web_user=portal.web_user)
        if not known.files:
            raise BackupError(" ".join(known.problems))
        login = database.Account(
            known.get("DATABASE_USER"),
            known.secret("DATABASE_PASSWORD"),
            portal.host,
            portal.port,
            authority=database.authority(portal.host),
        )
        reading = database._options(login)
        try:
            yield [program(), f"--defaults-file=/dev/fd/{reading}", *OPTIONS, "--", portal.name], (reading,)
        finally:
            os.close(reading)


@dataclass
class Dumped:
    """What came out of the dump program."""

    size: int = 0
    sha256: str = ""
    tables: tuple[str, ...] = ()


class Reading:
    """Inspects a dump while it is streamed."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._rest = b""
        self._tables: list[str] = []
        self._size = 0
        self.tail = b""

    def take(self, part: bytes) -> None:
        self._digest.update(part)
        self._size += len(part)
        self.tail = (self.tail + part)[-500:]
        text = self._rest + part
        end = text.rfind(b"\n") + 1
        self._tables += [name.decode(errors="replace").replace("``", "`") for name in _TABLE.findall(text[:end])]
        # Of a line that is not whole only its beginning matters.
        self._rest = text[end:][:300]

    @property
    def ended(self) -> bool:
        """Whether the dump program wrote its last line."""
        return bool(_ENDED.search(self.tail))

    def done(self) -> Dumped:
        return Dumped(self._size, self._digest.hexdigest(), tuple(sorted(self._tables)))


def read(path: str) -> Reading:
    reading = Reading()
    with open(path, "rb") as stream:
        for part in iter(lambda: stream.read(_CHUNK), b""):
            reading.take(part)
    return reading


def stamp(run: str) -> bytes:
    """The last line of each dump. An older dump under a newer name has another one, a dump that was cut off none."""
    return STAMP + run.encode() + b"\n"


def save(place: Repository, run: str, tags: Sequence[str]) -> tuple[Dumped, str]:
    """Stream the dump into the repository. Its snapshot is made only after the dump program ended well."""
    os.makedirs(restic.CACHE, 0o700, exist_ok=True)
    command = [
        *restic.GENTLE,
        restic.program(),
        "backup",
        "--json",
        "--quiet",
        *tags,
        "--stdin",
        f"--stdin-filename={restic.DUMP}",
    ]
    with contextlib.ExitStack() as stack:
        words, complaints = (stack.enter_context(tempfile.TemporaryFile()) for _each in range(2))
        dump_command, handles = stack.enter_context(dumping(place.portal))
        dump = subprocess.Popen(
            [*restic.LEASH, *dump_command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
            pass_fds=handles,
            env=restic.environment(),
        )
        saver = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, env=place.environment()
        )
        if not (dump.stdout and saver.stdin and saver.stdout):
            raise AssertionError("both have pipes")
        source = dump.stdout.fileno()
        reading = Reading()
        try:
            with contextlib.suppress(BrokenPipeError):  # restic failed: its output is read below
                for part in iter(lambda: os.read(source, _CHUNK), b""):
                    saver.stdin.write(part)
                    reading.take(part)
                if saver.poll() is None:
                    _must_be_whole(dump.wait(), words, reading)
                    reading.take(stamp(run))
                    saver.stdin.write(stamp(run))
                    saver.stdin.close()
            reported = saver.stdout.read()
            if saver.wait() != 0:
                complaints.seek(0)
                raise place.failed("backup", saver.returncode, complaints.read().decode(errors="replace"))
        finally:
            # Killed before its input ends: at an orderly end it would make a snapshot of what it has.
            for process in (saver, dump):
                if process.poll() is None:
                    process.kill()
                process.wait()
            with contextlib.suppress(BrokenPipeError):
                saver.stdin.close()
            saver.stdout.close()
            dump.stdout.close()
    return reading.done(), restic.summary(reported.decode())["snapshot_id"]


def _must_be_whole(code: int, words: IO[bytes], reading: Reading) -> None:
    if code:
        raise BackupError(f"The dump of the database failed ({code}): {restic.output(words)}")
    if not reading.ended:
        raise BackupError("The dump of the database was cut short: its last line is missing.")
    if not reading.done().tables:
        raise BackupError("The dump of the database is empty: it has no table.")
