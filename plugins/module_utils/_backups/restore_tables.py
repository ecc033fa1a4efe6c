# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""The tables of a restore: what came from the backup and what was there change places.

Views, triggers, routines and events cannot move with the tables: they are written down, and made anew.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import IO

from .._application import database as portal_database
from .._application import dotenv
from .._common.tree import Tree
from . import dump as backups_dump
from . import portal as backups_portal
from . import restic
from .portal import BackupError, Portal

# What cannot be moved with a table, as statements: what comes, and what was there.
COMING, GOING = "coming.sql", "views-and-programs.sql"
_OBJECTS = """
SELECT HEX(CONCAT_WS(CHAR(0), kind, name)) FROM (
SELECT 'VIEW' AS kind, TABLE_NAME AS name FROM information_schema.VIEWS WHERE TABLE_SCHEMA = {0}
UNION ALL SELECT 'TRIGGER', TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {0}
UNION ALL SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {0}
UNION ALL SELECT 'EVENT', EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {0}) AS found"""
_POINTING = """
SELECT HEX(CONCAT_WS(CHAR(0), TABLE_NAME, CONSTRAINT_NAME)) FROM information_schema.REFERENTIAL_CONSTRAINTS
WHERE CONSTRAINT_SCHEMA = {0} AND UNIQUE_CONSTRAINT_SCHEMA = {1}"""
# Newer clients would print the statement that failed, with the passwords and rows in it. Older ones do not know this.
DISCREET = "--loose-skip-print-query-on-error"
# A server goes on with a statement whose client was killed. What comes next waits for it.
_ONE_AT_A_TIME = "DO GET_LOCK('chamilo-hardening restore', 90)"
# What the guide gives the application's account.
_RIGHTS = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX"


def change_tables(portal: Portal, new: str, old: str, statements: str) -> list[str]:
    """The tables of the portal go to another database, and those of ``new`` take their place. Twice does nothing."""
    live, fresh = portal.name, tables(portal, new)
    if fresh:  # else it was done before
        moves = [f"{quoted(live)}.{quoted(name)} TO {quoted(old)}.{quoted(name)}" for name in tables(portal, live)]
        moves += [f"{quoted(new)}.{quoted(name)} TO {quoted(live)}.{quoted(name)}" for name in fresh]
        execute(
            portal,
            f"{_ONE_AT_A_TIME}; SET SESSION lock_wait_timeout = 60; "
            f"CREATE DATABASE IF NOT EXISTS {quoted(live)} CHARACTER SET utf8mb4; "
            f"CREATE DATABASE IF NOT EXISTS {quoted(old)} CHARACTER SET utf8mb4; "
            f"{drops(portal, live, 'TRIGGER')}; RENAME TABLE {', '.join(moves)}",
        )
    execute(portal, drops(portal, live))
    load(portal, live, statements)
    execute(portal, f"DROP DATABASE IF EXISTS {quoted(new)}")
    return _cut(portal, old, live)


def moved(portal: Portal, names: Mapping[str, str]) -> bool:
    """Whether the tables changed places, as soon as that is decided."""
    execute(portal, _ONE_AT_A_TIME)
    return not tables(portal, names["new"])


def return_tables(portal: Portal, names: Mapping[str, str], going: str, moved: bool) -> list[str]:
    """Undo ``change_tables``, as far as it got. What came from the backup, and was changed since, is kept aside."""
    if not moved:
        load(portal, portal.name, going)  # the triggers go before the tables do
        execute(
            portal, f"DROP DATABASE IF EXISTS {quoted(names['new'])}; DROP DATABASE IF EXISTS {quoted(names['old'])}"
        )
        return ["The tables had not changed places."]
    if not going:
        return ["There was no database before: what came from the backup stays in it."]
    aside = f"{portal.name[:40]}_abandoned_{names['old'].rpartition('_')[2]}"[:64]
    lines = change_tables(portal, names["old"], aside, going)
    return [f"The tables are as they were before; those from the backup are in the database {aside}.", *lines]


def lost(problem: Exception) -> bool:
    """Whether the client lost the server, so that it may still be executing the statement."""
    return bool(re.search(r"\bERROR 2\d{3} ", str(problem)))


def _cut(portal: Portal, old: str, live: str) -> list[str]:
    """Have no table that was moved aside point to the tables in use: it would go on refusing or following deletions."""
    pointing = [names.split("\0", 1) for names in rows(portal, _POINTING.format(text(old), text(live)))]
    for table, name in pointing:
        execute(portal, f"ALTER TABLE {quoted(old)}.{quoted(table)} DROP FOREIGN KEY {quoted(name)}")
    if not pointing:
        return []
    named = ", ".join(f"{name} of {table}" for table, name in pointing)
    return [f"Foreign keys in {old} pointed to tables of the portal in use and were removed: {named}."]


_LOCKED = (
    "The files that came back name the database account {user}, which cannot read the portal's tables: {problem} Where "
    "the section database had taken its rights meanwhile, give them back, and harden again: ansible-playbook "
    "chamilo.hardening.harden --tags database -e chamilo_database_state=absent"
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
    if rows(portal, f"SELECT HEX(User) FROM mysql.user WHERE User = {text(user)} LIMIT 1"):
        # A backup from before the section database moved the portal to an account of its own names the one before.
        login = portal_database.Account(user, password, portal.host, portal.port, portal.socket)
        try:
            portal_database.Reader(login).query(f"SELECT 1 FROM {quoted(portal.name)}.user LIMIT 1")
        except portal_database.DatabaseError as problem:
            return [_LOCKED.format(user=user, problem=problem)]
        return []
    for host in ("localhost", "127.0.0.1"):
        account = f"{text(user)}@{text(host)}"
        execute(
            portal,
            f"CREATE USER {account} IDENTIFIED BY {text(password)}; "
            f"GRANT {_RIGHTS} ON {quoted(portal.name).replace('_', chr(92) + '_')}.* TO {account}",
        )
    return [f"The database account {user} was made anew."]


def databases(portal: Portal) -> list[str]:
    return rows(portal, "SELECT HEX(SCHEMA_NAME) FROM information_schema.SCHEMATA")


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


def rows(portal: Portal, sql: str) -> list[str]:
    """The only column, of names as HEX() writes them: one may contain what ends a line."""
    return [bytes.fromhex(line).decode() for line in execute(portal, sql).splitlines()]


def tables(portal: Portal, database: str) -> Sequence[str]:
    """All that can be moved to another database."""
    where = f"TABLE_SCHEMA = {text(database)} AND TABLE_TYPE <> 'VIEW'"
    return sorted(rows(portal, f"SELECT HEX(TABLE_NAME) FROM information_schema.TABLES WHERE {where}"))


def drops(portal: Portal, database: str, only: str = "") -> str:
    """The statements that remove what cannot be moved."""
    found = [names.split("\0", 1) for names in rows(portal, _OBJECTS.format(text(database)))]
    drops = [f"DROP {kind} IF EXISTS {quoted(database)}.{quoted(name)}" for kind, name in found if only in ("", kind)]
    return "; ".join(drops) or "DO 0"


def write_objects(portal: Portal, database: str, path: str, *more: str) -> None:
    """The statements that make anew what cannot be moved."""
    where = f"TABLE_SCHEMA = {text(database)}"
    views = rows(portal, f"SELECT HEX(TABLE_NAME) FROM information_schema.VIEWS WHERE {where}")
    options = ["--default-character-set=utf8mb4", "--single-transaction", "--no-data", *more]
    dump = [backups_dump.program(), *client_options(portal), *options]
    with open(path, "wb") as output:
        every = ["--no-create-info", "--add-drop-trigger", "--routines", "--events", "--", database]
        _asked([*dump, *every], subprocess.DEVNULL, output)
        if views:
            _asked([*dump, "--skip-triggers", "--", database, *views], subprocess.DEVNULL, output)


def load(portal: Portal, database: str, path: str) -> None:
    if os.path.exists(path):
        with open(path, "rb") as stream:
            execute(portal, "", database, stream)
