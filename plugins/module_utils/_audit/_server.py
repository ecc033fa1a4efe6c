# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""What a database server runs, loads, fetches or writes without an account: persistence of an attacker that no grant
shows.

Each is named with the statement that removes it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Iterator, Mapping

from ansible_collections.chamilo.hardening.plugins.module_utils._portal.database import Reader, Row

_LOADED = """
SELECT 'function' AS kind, '' AS place, name AS name, dl AS more FROM mysql.func
UNION ALL SELECT 'plugin', '', name, dl FROM mysql.plugin
UNION ALL SELECT 'server', '', Server_name, CONCAT(Wrapper, ' at ', Host, Socket) FROM mysql.servers
UNION ALL SELECT 'table', TABLE_SCHEMA, TABLE_NAME, ENGINE FROM information_schema.TABLES
  WHERE ENGINE IN ('CONNECT', 'FEDERATED', 'SPHINX', 'SPIDER')
"""
_VARIABLES = """
SHOW GLOBAL VARIABLES WHERE Variable_name IN ('datadir', 'general_log_file', 'init_connect', 'init_file', 'init_slave',
  'log_error', 'plugin_dir', 'server_audit_file_path', 'slow_query_log_file', 'sql_error_log_filename')
"""
_LOGS = ("general_log_file", "log_error", "server_audit_file_path", "slow_query_log_file", "sql_error_log_filename")
# Those of MariaDB's own libraries that log, count, store or check passwords. None opens a port, a file or a connection.
_USUAL = {
    *("auth_ed25519.so", "auth_parsec.so", "auth_socket.so", "cracklib_password_check.so", "disks.so", "ha_archive.so"),
    *("ha_blackhole.so", "ha_rocksdb.so", "locales.so", "metadata_lock_info.so", "password_reuse_check.so"),
    *("query_cache_info.so", "query_response_time.so", "server_audit.so", "simple_password_check.so", "sql_errlog.so"),
    *("type_mysql_json.so", "wsrep_info.so"),
}
# Statements that old instructions have the server run at each login.
_HARMLESS_SET = re.compile(
    r"\s*SET\s+(?:SESSION\s+)?(?:NAMES\s+\w+(?:\s+COLLATE\s+\w+)?|(?:character_set|collation)_\w+\s*=\s*'?\w+'?"
    r"|autocommit\s*=\s*\w+)\s*",
    re.I,
)
_EXECUTABLE = re.compile(r"\.(?:ph\w+|s?html?|js|svg|inc|cgi|pl|py|sh)$", re.I)
_SERVED = ("/var/www", "/srv/www", "/usr/share/nginx")


def left_behind(server: Reader, roots: Collection[str], is_declared: Callable[[str], bool]) -> list[str]:
    """All of it. ``roots``: what web servers serve; ``is_declared``: whether this server may be a host's replica."""
    variables = {row["Variable_name"] or "": row["Value"] or "" for row in server.query(_VARIABLES)}
    return [
        *_replicas(server.query("SHOW ALL SLAVES STATUS"), is_declared),
        *_loaded(server.query(_LOADED), variables.get("plugin_dir", "")),
        *_output(variables),
        *_logs(variables, {*_SERVED, *map(os.path.realpath, filter(None, roots))}),
    ]


def text(value: str) -> str:
    """A value as it is written in a statement."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def name(*parts: str) -> str:
    """A name as it is written in a statement."""
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts if part)


def _replicas(rows: Collection[Row], is_declared: Callable[[str], bool]) -> Iterator[str]:
    for row in rows:
        source, connection = row.get("Master_Host") or "", row.get("Connection_name") or ""
        if is_declared(source):
            continue
        which = f" {text(connection)}" if connection else ""
        yield (
            f"the server replicates from {source or 'a host without a name'}, which chamilo_database_clients does not "
            f"name, and carries out what is written there (STOP SLAVE{which}; RESET SLAVE{which} ALL;)"
        )


def _loaded(rows: Collection[Row], directory: str) -> Iterator[str]:
    for row in rows:
        kind, called, more = row["kind"] or "", row["name"] or "", row["more"] or ""
        if kind == "function":
            yield f"the function {called} runs code of the library {more} (DROP FUNCTION {name(called)};)"
        elif kind == "server":
            yield f"the server definition {called} leads to {more} (DROP SERVER {name(called)};)"
        elif kind == "table":
            table = name(row["place"] or "", called)
            statements = f"SHOW CREATE TABLE {table}; DROP TABLE {table};"
            yield f"the table {row['place']}.{called} of the engine {more} reads and writes elsewhere ({statements})"
        elif more not in _USUAL or not _is_roots(os.path.join(directory, more)):
            yield f"the plugin {called} of {more} is loaded at each start (UNINSTALL PLUGIN {name(called)};)"


def _output(variables: Mapping[str, str]) -> Iterator[str]:
    for variable in ("init_connect", "init_slave"):
        value = variables.get(variable, "")
        if not all(_HARMLESS_SET.fullmatch(part) for part in value.split(";") if part.strip()):
            yield f"{variable} has statements that run in the sessions of others (SET GLOBAL {variable} = '';)"
    path = variables.get("init_file", "")
    if path and not _is_roots(path):
        yield (
            f"init_file names {path}, whose statements run as root at each start, and which others than root may "
            "change (take it out of the server's option files)"
        )


def _logs(variables: Mapping[str, str], served: Collection[str]) -> Iterator[str]:
    for variable in _LOGS:
        value = variables.get(variable, "")
        path = os.path.realpath(os.path.join(variables.get("datadir", ""), value))
        if value and (_EXECUTABLE.search(path) or any(f"{path}/".startswith(f"{root}/") for root in served)):
            yield (
                f"{variable} writes what visitors send into {path} (SET GLOBAL {variable} = DEFAULT; then check that "
                "file)"
            )


def _is_roots(path: str) -> bool:
    """Whether root alone may change a file, or lay another one in its place."""
    try:
        seen = [os.lstat(part) for part in (path, os.path.dirname(path))]
    except OSError:
        return False
    return all(each.st_uid == 0 and not each.st_mode & (stat.S_IWGRP | stat.S_IWOTH) for each in seen)
