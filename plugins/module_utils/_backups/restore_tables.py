# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""The tables of a restore: what came from the backup and what was there change places.

Views, triggers, routines and events cannot move with the tables: they are written down, and made anew.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

from .._application import database as portal_database
from .._application import dotenv
from .._common import records
from .._common.tree import Tree
from . import dump as backups_dump
from . import portal as backups_portal
from . import restic
from .portal import BackupError, Portal, Unchanged

_ENDING = 30.0  # seconds
# What cannot be moved with a table, as statements: what comes, what was there, and what of that hinders the move.
COMING, GOING, TRIGGERS = "coming.sql", "views-and-programs.sql", "triggers.sql"
_OBJECTS = """
SELECT 'VIEW', TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = {0}
UNION ALL SELECT 'TRIGGER', TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {0}
UNION ALL SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {0}
UNION ALL SELECT 'EVENT', EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {0}"""
_POINTING = """
SELECT TABLE_NAME, CONSTRAINT_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS
WHERE CONSTRAINT_SCHEMA = {0} AND UNIQUE_CONSTRAINT_SCHEMA = {1}"""
# Newer clients would print the statement that failed, with the passwords and rows in it. Older ones do not know this.
DISCREET = "--loose-skip-print-query-on-error"
_PACKET = 1 << 30  # the largest there is
# What the guide gives the application's account.
_RIGHTS = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX"


def change_tables(portal: Portal, names: Mapping[str, str], staging: str, kept: str) -> list[str]:
    new, old, live = names["new"], names["old"], portal.name
    coming, going = f"{staging}/{COMING}", f"{staging}/{GOING}"
    fresh = tables(portal, new)
    if fresh:  # else it was done before
        present = tables(portal, live)
        moves = [f"{quoted(live)}.{quoted(name)} TO {quoted(old)}.{quoted(name)}" for name in present]
        moves += [f"{quoted(new)}.{quoted(name)} TO {quoted(live)}.{quoted(name)}" for name in fresh]
        triggers = drops(portal, live, "TRIGGER")
        try:
            execute(
                portal,
                f"SET SESSION lock_wait_timeout = 60; "
                f"CREATE DATABASE IF NOT EXISTS {quoted(live)} CHARACTER SET utf8mb4; "
                f"CREATE DATABASE IF NOT EXISTS {quoted(old)} CHARACTER SET utf8mb4; "
                f"{triggers}; RENAME TABLE {', '.join(moves)}",
            )
        except BackupError as problem:
            if _lost(problem) or tables(portal, new) != fresh or tables(portal, old):
                raise
            words = f"{problem} The tables could not change places."
            try:
                load(portal, live, f"{staging}/{TRIGGERS}")
            except BackupError as another:
                raise BackupError(f"{words} The triggers could not be restored either. {another}") from problem
            execute(portal, f"DROP DATABASE IF EXISTS {quoted(old)}")
            same = sorted(drops(portal, live, "TRIGGER").split("; ")) == sorted(triggers.split("; "))
            raise Unchanged(
                f"{words} {'Nothing was changed.' if same else 'Nothing was changed, but triggers of it are gone.'}"
            ) from problem
    if os.path.exists(coming):
        execute(portal, drops(portal, live))
        load(portal, live, coming)
    execute(portal, f"DROP DATABASE IF EXISTS {quoted(new)}")
    lines = [f"The database is back; what was there is in the database {old}."]
    if os.path.exists(going) and b"CREATE" in _read(going):
        lines.append(f"Views, triggers, routines and events that were there are in {kept}/{GOING}.")
    return [*lines, *_cut(portal, old, live)]


def end_renames(portal: Portal) -> None:
    """End the statement that moves the tables: the server may go on with it after its client was killed."""
    ours = text(f"RENAME TABLE %{new_database(portal)}%")
    moving = f"FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND INFO LIKE {ours}"
    end = time.monotonic() + _ENDING
    while True:
        running = rows(portal, f"SELECT ID {moving}")
        if not running:
            return
        if time.monotonic() > end:
            raise BackupError("The server still moves tables. See SHOW FULL PROCESSLIST, then roll back again.")
        for number in running:
            with contextlib.suppress(BackupError):  # it has ended just now
                execute(portal, f"KILL {int(number)}")
        time.sleep(0.2)


def return_tables(portal: Portal, names: Mapping[str, str], base: str, moved: bool) -> list[str]:
    """Undo ``_change_tables``, as far as it got. What came from the backup, and was changed since, is kept aside."""
    new, old, live = names["new"], names["old"], portal.name
    aside = f"{live[:40]}_abandoned_{old.rpartition('_')[2]}"[:64]
    lines = []
    if not moved:
        load(portal, live, f"{base}/{TRIGGERS}")  # they go before the tables do
        lines.append("The tables had not changed places.")
    else:
        if not tables(portal, aside):
            _cut(portal, old, live)
            moves = [
                f"{quoted(live)}.{quoted(name)} TO {quoted(aside)}.{quoted(name)}" for name in tables(portal, live)
            ]
            moves += [f"{quoted(old)}.{quoted(name)} TO {quoted(live)}.{quoted(name)}" for name in tables(portal, old)]
            rename = f"RENAME TABLE {', '.join(moves)}" if moves else "DO 0"
            execute(
                portal,
                f"SET SESSION lock_wait_timeout = 60; "
                f"CREATE DATABASE IF NOT EXISTS {quoted(aside)} CHARACTER SET utf8mb4; {drops(portal, live)}; {rename}",
            )
        lines += _cut(portal, live, aside)
        execute(portal, drops(portal, live))
        load(portal, live, f"{base}/{GOING}")
        lines.append(f"The tables are as they were before; those from the backup are in the database {aside}.")
    execute(portal, f"DROP DATABASE IF EXISTS {quoted(new)}; DROP DATABASE IF EXISTS {quoted(old)}")
    return lines


def _lost(problem: BackupError) -> bool:
    """Whether the client lost the server, so that it may still be executing the statement."""
    return bool(re.search(r"\bERROR 2\d{3} ", str(problem)))


def _cut(portal: Portal, old: str, live: str) -> list[str]:
    """Have no table that was moved aside point to the tables in use: it would go on refusing or following deletions."""
    pointing = [line.split("\t", 1) for line in rows(portal, _POINTING.format(text(old), text(live)))]
    for table, name in pointing:
        execute(portal, f"ALTER TABLE {quoted(old)}.{quoted(table)} DROP FOREIGN KEY {quoted(name)}")
    if not pointing:
        return []
    named = ", ".join(f"{name} of {table}" for table, name in pointing)
    return [f"Foreign keys in {old} pointed to tables of the portal in use and were removed: {named}."]


_LOCKED = (
    "The files that came back name the database account {user}, from which the section database had taken the rights "
    "meanwhile. Give them back, and harden again: ansible-playbook chamilo.hardening.harden --tags database "
    "-e chamilo_database_state=absent"
)


def recreate_account(portal: Portal) -> list[str]:
    """On a fresh machine the application's account is missing: make it, with the rights the guide gives it."""
    if not portal.local or not may_restore(portal) or not os.path.isdir(portal.directory):
        return []
    known = dotenv.read(Tree(), portal.directory, web_user=portal.web_user)
    if not known.files:
        return list(known.problems)
    user, password = known.get("DATABASE_USER"), known.secret("DATABASE_PASSWORD")
    if not user or user == "root":
        return []
    if rows(portal, f"SELECT 1 FROM mysql.user WHERE User = {text(user)} LIMIT 1"):
        old = records.read(f"database-{portal.site}.json").get("old", {})
        # Its backup is older than the move, and what reads the database as the portal does cannot go on from here.
        locked = any(who.startswith(f"{user}@") for who in old)
        return [_LOCKED.format(user=user)] if locked else []
    for host in ("localhost", "127.0.0.1"):
        account = f"{text(user)}@{text(host)}"
        execute(
            portal,
            f"CREATE USER {account} IDENTIFIED BY {text(password)}; "
            f"GRANT {_RIGHTS} ON {quoted(portal.name).replace('_', chr(92) + '_')}.* TO {account}",
        )
    return [f"The database account {user} was made anew."]


def new_database(portal: Portal) -> str:
    return f"{portal.name[:50]}_restoring"


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _socket(portal: Portal) -> str:
    return portal.socket or portal_database.SOCKET


def login_file(portal: Portal) -> str:
    return f"{backups_portal.CONFIGURATION}/restore-{portal.site}.cnf"


def may_restore(portal: Portal) -> bool:
    """Whether we know a server, and may do everything there."""
    return os.path.exists(_socket(portal) if portal.local else login_file(portal))


def client_options(portal: Portal) -> list[str]:
    """How the programs of the server log in: as root of the one on this host, or by the given login on another."""
    if portal.local:
        return ["--no-defaults", "--user=root", f"--socket={_socket(portal)}"]
    there = [f"--defaults-file={login_file(portal)}", f"--host={portal.host}", f"--port={portal.port}"]
    authority = portal_database.authority(portal.host)
    return [*there, f"--ssl-ca={authority}", "--ssl-verify-server-cert"] if authority else there


def execute(portal: Portal, sql: str, database: str = "", source: IO[bytes] | None = None) -> str:
    """Statements go through the input: no password is in the process list."""
    program = shutil.which("mariadb", path=restic.environment()["PATH"]) or "mysql"
    options = [DISCREET, "--binary-mode", "--batch", "--skip-column-names", "--max-allowed-packet=1G"]
    options += ["--default-character-set=utf8mb4", *([f"--database={database}"] if database else [])]
    with tempfile.TemporaryFile() as statements:
        statements.write(f"{sql};\n".encode())
        statements.seek(0)
        return _asked([program, *client_options(portal), *options], source or statements).decode(errors="replace")


def _asked(command: Sequence[str], source: IO[bytes] | int, output: IO[bytes] | int = subprocess.PIPE) -> bytes:
    done = subprocess.run(
        [*restic.LEASH, *command],
        stdin=source,
        stdout=output,
        stderr=subprocess.PIPE,
        env=restic.environment(),
        check=False,
    )
    if done.returncode:
        raise BackupError(f"The database server refused: {complaint(done.stderr)}")
    return done.stdout or b""


def complaint(words: bytes) -> str:
    """What a program of the server complains of, without the statement, which may contain passwords and rows."""
    lines = words.decode(errors="replace").strip().splitlines()
    return " ".join([line for line in lines if line.startswith("ERROR ")] or lines[-1:])[-300:]


@contextlib.contextmanager
def large_rows(portal: Portal) -> Iterator[None]:
    """Have the server accept rows as large as a dump contains, where this account may set it."""
    usual = int(execute(portal, "SELECT @@GLOBAL.max_allowed_packet"))
    with contextlib.suppress(BackupError):
        execute(portal, f"SET GLOBAL max_allowed_packet = {_PACKET}")
    try:
        yield
    finally:
        with contextlib.suppress(BackupError):  # a server that is gone comes back with what it had
            execute(portal, f"SET GLOBAL max_allowed_packet = {usual}")


def rows(portal: Portal, sql: str) -> list[str]:
    return execute(portal, sql).splitlines()


def tables(portal: Portal, database: str) -> Sequence[str]:
    """All that can be moved to another database."""
    where = f"TABLE_SCHEMA = {text(database)} AND TABLE_TYPE <> 'VIEW'"
    return sorted(rows(portal, f"SELECT TABLE_NAME FROM information_schema.TABLES WHERE {where}"))


def drops(portal: Portal, database: str, only: str = "") -> str:
    """The statements that remove what cannot be moved."""
    found = [line.split("\t", 1) for line in rows(portal, _OBJECTS.format(text(database)))]
    drops = [f"DROP {kind} IF EXISTS {quoted(database)}.{quoted(name)}" for kind, name in found if only in ("", kind)]
    return "; ".join(drops) or "DO 0"


def write_objects(portal: Portal, database: str, path: str, *more: str) -> None:
    """The statements that make anew what cannot be moved."""
    views = rows(portal, f"SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = {text(database)}")
    dump = [*_no_data(portal), *more]
    with open(path, "xb") as output:
        every = ["--no-create-info", "--add-drop-trigger", "--routines", "--events", "--", database]
        _asked([*dump, *every], subprocess.DEVNULL, output)
        if views:
            _asked([*dump, "--skip-triggers", "--", database, *views], subprocess.DEVNULL, output)


def write_triggers(portal: Portal, database: str, path: str, *more: str) -> None:
    with open(path, "xb") as output:
        options = [*more, "--no-create-info", "--add-drop-trigger", "--", database]
        _asked([*_no_data(portal), *options], subprocess.DEVNULL, output)


def _no_data(portal: Portal) -> list[str]:
    return [
        backups_dump.program(),
        *client_options(portal),
        "--default-character-set=utf8mb4",
        "--single-transaction",
        "--no-data",
    ]


def load(portal: Portal, database: str, path: str) -> None:
    if os.path.exists(path):
        with open(path, "rb") as stream:
            execute(portal, "", database, stream)


def _read(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()
