# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the account Chamilo logs in with, its rights, and from where the database can be reached."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import ipaddress
import json
import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._application.database import DatabaseError, Reader
from .._application.observer import Observer, Unseen
from .._common.control import Finding, check, failed, passed
from .._common.networks import within
from .._common.paths import head, tail
from .._common.sentences import first_of
from .._common.tree import Tree
from .._host import host as portal_host

ALLOWED = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "INDEX")
_ADMINISTRATORS = ("root", "admin", "mysql", "mariadb.sys", "debian-sys-maint")
_GUESSABLE = ("password", "passwort", "secret", "changeme", "chamilo", "root", "admin", "mysql", "mariadb", "12345678")
_WORLD_READABLE = ("information_schema", "performance_schema")
# Root and the server itself, from its own host.
_SERVER_S_OWN = ("root", "mysql", "mariadb.sys", "debian-sys-maint")
# What monitoring has: it reads and writes no table by it.
_HARMLESS = {
    *("PROCESS", "RELOAD", "SHOW DATABASES", "REPLICATION CLIENT", "BINLOG MONITOR", "SLAVE MONITOR"),
    "REPLICA MONITOR",
}
# What a replica has: the server sends it each change of each row, where it writes them down.
_REPLICATES = {"REPLICATION SLAVE", "REPLICATION REPLICA"}
_BACKUP = ("LOCK TABLES", "SHOW VIEW", "TRIGGER", "EVENT")
_BY_PASSWORD = ("mysql_native_password", "mysql_old_password", "ed25519", "parsec", "caching_sha2_password")
_CREDENTIALS = "/etc/chamilo-hardening/*.cnf"
# Where root keeps the passwords of the server's own accounts.
_ROOT_KEEPS = ("/root/.my.cnf", "/etc/mysql/debian.cnf")
_NO_PASSWORD = {"invalid"}  # what Debian writes where no password is to fit
# With these on the server's own tables an account makes itself what it wants.
_ONLY_READS = {"SELECT", "DELETE", "EXECUTE", "SHOW VIEW", "USAGE"}
_MOST = 12
_NAME = r"`(?:[^`]|``)*`|\*"
_GRANT = re.compile(
    rf"GRANT (?P<what>.+?) ON (?:[A-Z ]+ )?(?P<where>(?:{_NAME})(?:\.(?:{_NAME}))?) TO (?P<rest>.*)", re.S
)
_SERVERS = ("mariadbd", "mysqld")
# The server writes ***** in place of a password in the statements it knows.
_PASSWORD = re.compile(rb"(?:IDENTIFIED\s+BY|PASSWORD\s*\()\s*\\?'(?!\*{5}\\?')[^'\\]", re.I)
_AUDIT_LOG_BYTES = 1 << 20


def _grants(observer: Observer) -> list[str]:
    """The grants of the application's own account, as the server lists them."""
    return [next(iter(row.values())) or "" for row in observer.database.query("SHOW GRANTS")]


def _identity(observer: Observer) -> tuple[str, list[str]]:
    """The account the server took the application for, and every database that it sees."""
    rows = observer.database.query(
        "SELECT CURRENT_USER() AS account, SCHEMA_NAME AS name FROM information_schema.SCHEMATA"
    )
    return (rows[0]["account"] or "") if rows else "", [row["name"] or "" for row in rows]


def _parsed(grant: str) -> tuple[set[str], str, bool]:
    """The privileges, the place (``db.*``), and whether they may be passed on. Never the password behind TO."""
    found = _GRANT.match(grant)
    if found is None:
        return {re.split(r" TO |'", grant.removeprefix("GRANT "))[0] or "something unknown"}, "", False
    privileges = {name.strip() for name in re.split(r",(?![^(]*\))", found["what"])}
    return privileges, found["where"].replace("`", ""), "WITH GRANT OPTION" in found["rest"]


@check("database_account")
def account(observer: Observer) -> Finding:
    whole, _databases = observer.once(_identity)
    name = whole.rpartition("@")[0]
    known = observer.database.account
    grants = observer.once(_grants)
    text = f"Chamilo logs in to {known.socket or known.host} as {whole}"
    if name in _ADMINISTRATORS:
        return failed(f"{text}, an account of the server's administrator.")
    if not name:
        return failed(f"{text}: the server accepts any user, by an account without a name.")
    if any(where == "*.*" and "ALL PRIVILEGES" in what for what, where, _rest in map(_parsed, grants)):
        return failed(f"{text}, which may do everything on the whole server: an administrator by another name.")
    if not known.password and not any("unix_socket" in grant or "auth_socket" in grant for grant in grants):
        return failed(f"{text} without a password.")
    if known.password.lower() in (*_GUESSABLE, name.lower(), known.name.lower()):
        return failed(f"{text}, with a password that an attacker would try first.")
    return passed(
        f"{text}, with {'a password' if known.password else 'the identity of its system account'} of its own."
    )


@check("database_privileges")
def privileges(observer: Observer) -> Finding:
    own = observer.database.account.name
    granted: set[str] = set()
    surplus = []
    for what, where, passes_on in map(_parsed, observer.once(_grants)):
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
    others = [name for name in observer.once(_identity)[1] if name != own and name.lower() not in _WORLD_READABLE]
    if others and not surplus:
        surplus.append(f"rights on {first_of(others)} that every account has on this server")
    try:
        ways = _other_accounts(observer)
    except (Unseen, DatabaseError):
        if not surplus:
            raise
        ways = []
    seen = f" It sees {len(others)} other databases: {first_of(others)}." if others else ""
    faults = [f"The account has more than the eight privileges on {own}: {first_of(surplus)}.{seen}"] if surplus else []
    if ways:
        faults.append(f"Others have power over {own}: {first_of(ways, _MOST, '; ')}.")
    if faults:
        return failed(" ".join(faults))
    held = ", ".join(name for name in ALLOWED if name in granted)
    text = f"The account has {held} on {own}, nothing else, and sees no other database"
    return passed(f"{text}. No other account has power over it.")


@dataclass
class _Login:
    """An account of the server, or a role."""

    user: str
    host: str
    role: bool = False
    locked: bool = False
    open: bool = False  # no password is asked
    by_socket: bool = False  # as the Unix account of its name, and in no other way
    passwords: frozenset[str] = frozenset()  # as the server keeps them, where no other way is open than the socket
    everywhere: set[str] = field(default_factory=set)  # privileges on the whole server
    here: set[str] = field(default_factory=set)  # on the portal's database, or on a part of it

    @property
    def name(self) -> str:
        return f"{_text(self.user)}@{_text(self.host)}"

    @property
    def local(self) -> bool:
        return self.host in ("localhost", "127.0.0.1", "::1", os.uname().nodename)

    @property
    def powers(self) -> str:
        """What it may do with the portal's data, in words; empty for nothing."""
        wide = self.everywhere - _HARMLESS
        parts = [f"{_spelled(wide)} on the whole server"] if wide else []
        return " and ".join([*parts, *([f"{_spelled(self.here)} on the portal's database"] if self.here else [])])


def _text(value: str) -> str:
    """A value as it is written in a statement."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _spelled(what: Iterable[str]) -> str:
    return first_of(sorted(what), 4)


def _server(observer: Observer) -> Reader:
    """The database server's own tables."""
    observer.needs_root("see the accounts of the database server")
    if observer.once(_listening) is None:
        raise Unseen(
            "which other accounts have power over its data can be read on the host of the database alone, "
            "by its root: SELECT User, Host, Priv FROM mysql.global_priv"
        )
    return Reader.of_server()


def _matches(pattern: str, database: str) -> bool:
    """Whether a database's name in a grant, where ``_`` and ``%`` stand for others, is that of this one."""
    words = {"%": ".*", "_": "."}
    parts = re.findall(r"\\.|.", pattern, re.S)
    found = "".join(words.get(part) or re.escape(part[-1]) for part in parts)
    return re.fullmatch(found, database, re.S | re.I) is not None


_RIGHTS = """
SELECT GRANTEE AS who, 'server' AS place, '' AS name, PRIVILEGE_TYPE AS what, IS_GRANTABLE AS passes_on
  FROM information_schema.USER_PRIVILEGES
UNION ALL SELECT GRANTEE, 'database', TABLE_SCHEMA, PRIVILEGE_TYPE, IS_GRANTABLE
  FROM information_schema.SCHEMA_PRIVILEGES
UNION ALL SELECT GRANTEE, 'part', TABLE_SCHEMA, PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.TABLE_PRIVILEGES
UNION ALL SELECT GRANTEE, 'part', TABLE_SCHEMA, PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.COLUMN_PRIVILEGES
UNION ALL SELECT CONCAT('''', User, '''@''', Host, ''''), 'part', Db, UPPER(Proc_priv), 'NO' FROM mysql.procs_priv
"""


def _logins(observer: Observer) -> dict[tuple[str, str], _Login]:
    """All accounts and roles of the server by user and host, each with what its roles may do."""
    server, own = observer.once(_server), observer.database.account.name
    logged = server.query("SHOW GLOBAL VARIABLES LIKE 'log\\_bin'")
    of_no_use = set() if any(row["Value"] == "ON" for row in logged) else _REPLICATES
    found: dict[tuple[str, str], _Login] = {}
    for row in server.query("SELECT User, Host, Priv FROM mysql.global_priv"):
        key, priv = (row["User"] or "", row["Host"] or ""), json.loads(row["Priv"] or "{}")
        found[key] = _login(*key, priv)
        if priv.get("is_role") and priv.get("access"):  # the view of privileges leaves roles out
            quoted = "PUBLIC" if key[0] == "PUBLIC" else _text(key[0])
            lines = (next(iter(line.values())) or "" for line in server.query(f"SHOW GRANTS FOR {quoted}"))
            rights = [what for what, where, _of in map(_parsed, lines) if where == "*.*"]
            found[key].everywhere |= {word for what in rights for word in what}
            found[key].everywhere.discard("USAGE")
    for row in server.query(_RIGHTS):
        user, _at, host = (row["who"] or "")[1:-1].rpartition("'@'")
        login = found.setdefault((user, host), _Login(user, host))
        what = {word for word in (row["what"] or "").split(",") if word != "USAGE"}
        what |= {"GRANT OPTION"} if row["passes_on"] == "YES" else set()
        name = row["name"] or ""
        if row["place"] == "server":
            login.everywhere |= what
        elif name == own if row["place"] == "part" else _matches(name, own):
            login.here |= what
        elif what:
            if name == "mysql" if row["place"] == "part" else _matches(name, "mysql"):
                login.everywhere |= {f"{word} on tables of mysql" for word in what - _ONLY_READS}
    members = [
        ((row["User"] or "", row["Host"] or ""), (row["Role"] or "", ""))
        for row in server.query("SELECT User, Host, Role FROM mysql.roles_mapping")
    ]
    for _depth in members:  # a role of a role of a role
        for member, role in members:
            if member in found and role in found:
                found[member].everywhere |= found[role].everywhere
                found[member].here |= found[role].here
    for login in found.values():
        login.everywhere -= of_no_use
    return found


def _login(user: str, host: str, priv: Mapping[str, Any]) -> _Login:
    usual = {"plugin": "mysql_native_password", "authentication_string": ""}
    ways = [{**usual, **(way or priv)} for way in priv.get("auth_or") or [{}]]  # the empty one is what stands above
    passwords = {way["authentication_string"] or "" for way in ways if way["plugin"] in _BY_PASSWORD}
    # Newer servers take a Unix account of another name, where one is written there.
    others = {
        "its own"
        if way["plugin"] == "unix_socket" and way["authentication_string"] in (None, "", user)
        else way["plugin"]
        for way in ways
        if way["plugin"] not in _BY_PASSWORD
    }
    return _Login(
        user,
        host,
        role=bool(priv.get("is_role")),
        locked=bool(priv.get("account_locked")),
        open="" in passwords,
        by_socket=others == {"its own"} and passwords <= _NO_PASSWORD,
        passwords=frozenset(passwords - _NO_PASSWORD if others <= {"its own"} else {"another way"}),
    )


def _is_administrator(observer: Observer, login: _Login) -> bool:
    """One of the server's own accounts, which only root of this host can log in with: by the socket or root's files."""
    return login.user in _SERVER_S_OWN and login.local and login.passwords <= observer.once(_kept_by_root)


def _kept_by_root(_observer: Observer) -> set[str]:
    """The passwords in files that root alone reads, as the server keeps them."""
    found = set()
    for path in _ROOT_KEEPS:
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(path)
            if status.st_uid == 0 and not status.st_mode & 0o077:
                lines = re.findall(rb"^\s*password\s*=\s*(.*?)\s*$", head(path, 10_000), re.M)
                found |= {line[1:-1] if line[:1] in (b'"', b"'") and line[-1:] == line[:1] else line for line in lines}
    once = (hashlib.sha1(each).digest() for each in found if each)  # the server's own way
    return {f"*{hashlib.sha1(each).hexdigest().upper()}" for each in once}


def _other_accounts(observer: Observer) -> list[str]:
    """The other accounts that could use the application's data, and the statement for each."""
    logins, own = observer.once(_logins), observer.once(_identity)[0]
    faults = []
    for login in logins.values():
        if login.user == "PUBLIC" and not login.host:
            if login.powers:
                faults.append(
                    f"each account (PUBLIC) has {login.powers} (SHOW GRANTS FOR PUBLIC; REVOKE it FROM PUBLIC;)"
                )
        elif login.locked or login.role:
            continue
        elif not login.user:
            faults.append(f"{login.name} accepts any user (DROP USER {login.name};)")
        elif login.user in _SERVER_S_OWN and login.local and not login.open and not _is_administrator(observer, login):
            faults.append(_with_a_password(login))
        elif login.powers and login.open:
            faults.append(f"{login.name} has {login.powers}, and no password ({_lock(login)})")
        elif login.powers and f"{login.user}@{login.host}" != own and not _is_desired(observer, login):
            faults.append(f"{login.name} has {login.powers} ({_lock(login)})")
    for row in observer.once(_server).query("SELECT User, Host, Proxied_user, Proxied_host FROM mysql.proxies_priv"):
        key = row["User"] or "", row["Host"] or ""
        login = logins.get(key, _Login(*key))
        proxied = _Login(row["Proxied_user"] or "", row["Proxied_host"] or "").name
        if not login.locked and not (login.user in _SERVER_S_OWN and login.local):
            revoke = f"REVOKE PROXY ON {proxied} FROM {login.name};"
            faults.append(f"{login.name} may act as {proxied} ({revoke})")
    return faults


def _lock(login: _Login) -> str:
    return f"ALTER USER {login.name} ACCOUNT LOCK;"


def _with_a_password(login: _Login) -> str:
    """An account of the server's own that accepts more than the socket, and the statement for it."""
    by_socket = login.host == "localhost" and login.user in ("root", "mysql")
    usual = f"ALTER USER {login.name} IDENTIFIED VIA mysql_native_password USING 'invalid' OR unix_socket;"
    statement = usual if by_socket else _lock(login)
    return (
        f"{login.name} takes a password, or a system account, that an attacker can choose ({statement} or, where the "
        f"password is yours, keep it in {_ROOT_KEEPS[0]}, mode 0600)"
    )


def _is_desired(observer: Observer, login: _Login) -> bool:
    """Whether an account has its rights for a reason: the server's, a Unix account's, ours, a declared client's."""
    if _is_administrator(observer, login):
        return True
    if login.by_socket and login.local:
        return login.user not in (observer.site.php.user, observer.site.web.user)
    if login.everywhere - _HARMLESS - _REPLICATES:
        return False
    if login.user in observer.once(_ours) and login.here <= {*ALLOWED, *_BACKUP} and not login.everywhere & _REPLICATES:
        return True
    return login.here <= {*ALLOWED} and _is_declared(login.host, observer.options["database_clients"])


def _ours(_observer: Observer) -> set[str]:
    """The accounts whose passwords lie with root, for backups and upgrades."""
    texts = [head(path, 10_000).decode("utf-8", "replace") for path in glob.glob(_CREDENTIALS)]
    return {found[1] for text in texts for found in re.finditer(r'^user="([^"\n]*)"$', text, re.M)}


def _is_declared(host: str, clients: Collection[str]) -> bool:
    """Whether the host of an account is a declared client, or within a declared network."""
    numbers = re.fullmatch(r"((?:\d+\.){1,3})%", host)
    if numbers:
        octets = numbers[1].rstrip(".").split(".")
        host = f"{'.'.join([*octets, '0', '0', '0'][:4])}/{8 * len(octets)}"
    return within(host, clients)


@check("database_bind")
def bind(observer: Observer) -> Finding:
    known = observer.site.database
    sockets = observer.once(_listening)
    if sockets is None:
        if known.host and known.host not in ("localhost", "127.0.0.1", "::1", *observer.site.addresses):
            raise Unseen(
                f"The database runs on {known.host}; from where that machine can be reached cannot be seen here"
            )
        sockets = [address for address in observer.site.listening if address.endswith(f":{known.port or 3306}")]
        if not sockets:
            raise Unseen("no database server runs on this host")
    if not sockets:
        return passed("The database server listens on no TCP port.")
    wide = [address for address in sockets if not _is_inside(address)]
    if wide:
        return failed(
            f"The database server listens on {first_of(wide)}, which others can reach unless a firewall forbids."
        )
    return passed(f"The database server listens on {first_of(sockets)} alone.")


def _listening(observer: Observer) -> list[str] | None:
    """The TCP addresses on which a database server of this host listens; None when none runs here."""
    servers = [process for process in observer.processes if process.name in _SERVERS and _is_ours(process.pid)]
    if not servers:
        return None
    if not observer.as_root:
        raise Unseen("which addresses the database server listens on can be seen as root only")
    owned = {link for process in servers for link in _links(f"/proc/{process.pid}/fd")}
    return list(portal_host.listening(Tree(), {link[8:-1] for link in owned if link.startswith("socket:[")}))


def _is_ours(pid: int) -> bool:
    """Not in a network of its own, as in a container: there its addresses are none of this host."""
    try:
        return os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net")
    except OSError:  # not for us to see, or gone
        return True


def _links(directory: str) -> Iterable[str]:
    with contextlib.suppress(OSError):  # the process went meanwhile
        for name in os.listdir(directory):
            with contextlib.suppress(OSError):  # or closed it
                yield os.readlink(f"{directory}/{name}")


def _is_inside(address: str) -> bool:
    """Loopback or a private network. Not "everywhere", which Python calls private too."""
    where = ipaddress.ip_address(address.rpartition(":")[0].strip("[]"))
    where = getattr(where, "ipv4_mapped", None) or where
    return where.is_private and not where.is_unspecified


@check("database_audit_log")
def audit_log(observer: Observer) -> Finding:
    local = observer.as_root and observer.once(_listening) is not None
    reader = observer.once(_server) if local else observer.database
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
        raise Unseen(f"server_audit logs to {path}, which cannot be inspected from here")
    if os.stat(path).st_mode & 0o007:
        wrong.append("every account of this host can read it")
    if _PASSWORD.search(tail(path, _AUDIT_LOG_BYTES)):
        wrong.append("there are passwords in it")
    if wrong:
        return failed(f"server_audit writes {path}, but {' and '.join(wrong)}.")
    size, kept = found.get("server_audit_file_rotate_size"), found.get("server_audit_file_rotations")
    return passed(f"server_audit writes {path}, rotates it at {size} bytes and keeps {kept}; no password in its end.")
