# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Looks at the account Chamilo logs in with, at what it may do, and from where the database can be reached."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
from collections.abc import Iterable

from ansible_collections.chamilo.hardening.plugins.module_utils import _host
from ansible_collections.chamilo.hardening.plugins.module_utils._audit._traces import names, tail
from ansible_collections.chamilo.hardening.plugins.module_utils._configuration import Tree
from ansible_collections.chamilo.hardening.plugins.module_utils._control import Finding, check, failed, passed
from ansible_collections.chamilo.hardening.plugins.module_utils._database import Reader
from ansible_collections.chamilo.hardening.plugins.module_utils._look import Look, Unseen
from ansible_collections.chamilo.hardening.plugins.module_utils._running import processes

ALLOWED = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "INDEX")
_ADMINISTRATORS = ("root", "admin", "mysql", "mariadb.sys", "debian-sys-maint")
_GUESSABLE = ("password", "passwort", "secret", "changeme", "chamilo", "root", "admin", "mysql", "mariadb", "12345678")
_EVERYBODY_SEES = ("information_schema", "performance_schema")
_NAME = r"`(?:[^`]|``)*`|\*"
_GRANT = re.compile(
    rf"GRANT (?P<what>.+?) ON (?:[A-Z ]+ )?(?P<where>(?:{_NAME})(?:\.(?:{_NAME}))?) TO (?P<rest>.*)", re.S
)
_SERVERS = ("mariadbd", "mysqld")
# The server writes ***** in place of a password in the statements it knows.
_PASSWORD = re.compile(rb"(?:IDENTIFIED\s+BY|PASSWORD\s*\()\s*\\?'(?!\*{5}\\?')[^'\\]", re.I)
_AUDIT_LOG_BYTES = 1 << 20


def _grants(look: Look) -> list[str]:
    """What the server says the application's own account may do."""
    return [next(iter(row.values())) or "" for row in look.database.query("SHOW GRANTS")]


def _identity(look: Look) -> tuple[str, list[str]]:
    """The account the server took the application for, and every database that it sees."""
    rows = look.database.query("SELECT CURRENT_USER() AS account, SCHEMA_NAME AS name FROM information_schema.SCHEMATA")
    return (rows[0]["account"] or "") if rows else "", [row["name"] or "" for row in rows]


def _parsed(grant: str) -> tuple[set[str], str, bool]:
    """The privileges, the place (``db.*``), and whether they may be passed on. Never the password behind TO."""
    found = _GRANT.match(grant)
    if found is None:
        return {re.split(r" TO |'", grant.removeprefix("GRANT "))[0] or "something unknown"}, "", False
    privileges = {name.strip() for name in re.split(r",(?![^(]*\))", found["what"])}
    return privileges, found["where"].replace("`", ""), "WITH GRANT OPTION" in found["rest"]


@check("database_account")
def account(look: Look) -> Finding:
    whole, _databases = look.once(_identity)
    name = whole.rpartition("@")[0]
    known = look.database.account
    grants = look.once(_grants)
    says = f"Chamilo logs in to {known.socket or known.host} as {whole}"
    if name in _ADMINISTRATORS:
        return failed(f"{says}, an account of the server's administrator.")
    if not name:
        return failed(f"{says}: the server takes anybody, by an account without a name.")
    if any(where == "*.*" and "ALL PRIVILEGES" in what for what, where, _rest in map(_parsed, grants)):
        return failed(f"{says}, which may do everything on the whole server: an administrator by another name.")
    if not known.password and not any("unix_socket" in grant or "auth_socket" in grant for grant in grants):
        return failed(f"{says} without a password.")
    if known.password.lower() in (*_GUESSABLE, name.lower(), known.name.lower()):
        return failed(f"{says}, with a password that anybody would try first.")
    return passed(
        f"{says}, with {'a password' if known.password else 'the identity of its system account'} of its own."
    )


@check("database_privileges")
def privileges(look: Look) -> Finding:
    own = look.database.account.name
    granted: set[str] = set()
    surplus = []
    for what, where, passes_on in map(_parsed, look.once(_grants)):
        if what == {"USAGE"} and not passes_on:
            continue
        database = re.sub(r"\\([_%\\])", r"\1", where.partition(".")[0])
        if database != own:
            surplus.append(f"{', '.join(sorted(what))}{f' on {where}' if where else ' (a role or more)'}")
            continue
        plain = {re.sub(r" \(.*", "", name, flags=re.S) for name in what}
        granted |= plain
        more = sorted(plain - set(ALLOWED)) + (["GRANT OPTION"] if passes_on else [])
        surplus += [f"{', '.join(more)} on {where}"] if more else []
    others = [name for name in look.once(_identity)[1] if name != own and name.lower() not in _EVERYBODY_SEES]
    if others and not surplus:
        surplus.append(f"rights on {names(others)} that everybody has on this server")
    if surplus:
        seen = f" It sees {len(others)} other databases: {names(others)}." if others else ""
        return failed(f"The account has more than the eight privileges on {own}: {names(surplus)}.{seen}")
    held = ", ".join(name for name in ALLOWED if name in granted)
    return passed(f"The account has {held} on {own}, nothing else, and sees no other database.")


@check("database_bind")
def bind(look: Look) -> Finding:
    known = look.site.database
    sockets = look.once(_listening)
    if sockets is None:
        if known.host and known.host not in ("localhost", "127.0.0.1", "::1", *look.site.addresses):
            raise Unseen(
                f"The database runs on {known.host}; from where that machine can be reached cannot be seen here"
            )
        sockets = [address for address in look.site.listening if address.endswith(f":{known.port or 3306}")]
        if not sockets:
            raise Unseen("no database server runs on this host")
    if not sockets:
        return passed("The database server listens on no TCP port.")
    wide = [address for address in sockets if not _is_inside(address)]
    if wide:
        return failed(
            f"The database server listens on {names(wide)}, which others can reach unless a firewall forbids."
        )
    return passed(f"The database server listens on {names(sockets)} alone.")


def _listening(look: Look) -> list[str] | None:
    """The TCP addresses on which a database server of this host listens; None when none runs here."""
    servers = [process for process in look.once(processes) if process.name in _SERVERS and _is_ours(process.pid)]
    if not servers:
        return None
    if not look.as_root:
        raise Unseen("which addresses the database server listens on can be seen as root only")
    owned = {link for process in servers for link in _links(f"/proc/{process.pid}/fd")}
    return list(_host.listening(Tree(), {link[8:-1] for link in owned if link.startswith("socket:[")}))


def _is_ours(pid: int) -> bool:
    """Not in a network of its own, as in a container: there its addresses are none of this host."""
    try:
        return os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net")
    except OSError:  # not for us to see, or gone
        return True


def _links(folder: str) -> Iterable[str]:
    with contextlib.suppress(OSError):  # the process went meanwhile
        for name in os.listdir(folder):
            with contextlib.suppress(OSError):  # or closed it
                yield os.readlink(f"{folder}/{name}")


def _is_inside(address: str) -> bool:
    """Loopback or a private network. Not "everywhere", which Python calls private too."""
    where = ipaddress.ip_address(address.rpartition(":")[0].strip("[]"))
    where = getattr(where, "ipv4_mapped", None) or where
    return where.is_private and not where.is_unspecified


@check("database_audit_log")
def audit_log(look: Look) -> Finding:
    local = look.as_root and look.once(_listening) is not None
    reader = Reader.of_server() if local else look.database
    rows = reader.query("SHOW GLOBAL VARIABLES WHERE Variable_name LIKE 'server_audit%' OR Variable_name = 'datadir'")
    found = {row["Variable_name"] or "": row["Value"] or "" for row in rows}
    if found.get("server_audit_logging", "") != "ON":
        loaded = "server_audit_logging" in found
        return failed(f"The database's audit plugin is {'loaded, but does not log' if loaded else 'not loaded'}.")
    if found.get("server_audit_output_type", "").lower() == "syslog":
        return passed("server_audit is loaded and writes to the system log, which is rotated.")
    path = os.path.join(found.get("datadir", ""), found.get("server_audit_file_path", "") or "server_audit.log")
    wrong = []
    if "0" in (found.get("server_audit_file_rotations"), found.get("server_audit_file_rotate_size")):
        wrong.append("it is not rotated")
    if not local or not os.path.isfile(path):
        raise Unseen(f"server_audit logs to {path}, which cannot be looked at from here")
    if os.stat(path).st_mode & 0o007:
        wrong.append("every account of this host can read it")
    if _PASSWORD.search(tail(path, _AUDIT_LOG_BYTES)):
        wrong.append("there are passwords in it")
    if wrong:
        return failed(f"server_audit writes {path}, but {' and '.join(wrong)}.")
    size, kept = found.get("server_audit_file_rotate_size"), found.get("server_audit_file_rotations")
    return passed(f"server_audit writes {path}, rotates it at {size} bytes and keeps {kept}; no password in its end.")
