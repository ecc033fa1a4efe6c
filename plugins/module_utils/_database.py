# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Reads the application's database, and never writes: every session is read only before its first question.

It speaks through PyMySQL where that is installed, else through the ``mariadb`` or ``mysql`` client. Every value comes
back as text or None, whichever way it came.
"""

from __future__ import annotations

import functools
import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union

from ansible_collections.chamilo.hardening.plugins.module_utils import _env
from ansible_collections.chamilo.hardening.plugins.module_utils._configuration import Tree
from ansible_collections.chamilo.hardening.plugins.module_utils._site import Site

Row = dict[str, Union[str, None]]
Ask = Callable[[str], list[Row]]

SOCKET = "/run/mysqld/mysqld.sock"
OVERRIDES = "config/settings_overrides.yaml"
_READ_ONLY = "SET SESSION TRANSACTION READ ONLY"
_SECONDS = 10

# What the application uses where no row exists: the defaults of its own settings schema.
DEFAULTS: Mapping[str, str] = {
    "document.upload_extensions_blacklist": "",
    "document.upload_extensions_list_type": "blacklist",
    "document.upload_extensions_replace_by": "dangerous",
    "document.upload_extensions_skip": "true",
    "platform.server_type": "prod",
    "security.allow_captcha": "false",
    "security.captcha_number_mistakes_to_block_account": "",
    "security.captcha_time_to_block": "",
    "security.check_password": "false",
    "security.force_renew_password_at_first_login": "false",
    "security.login_max_attempt_before_blocking_account": "0",
    "security.password_requirements": "",
    "security.password_rotation_days": "0",
    "security.security_session_cookie_samesite_none": "false",
}


class DatabaseError(Exception):
    """The database could not be read. The text says why, in a sentence without a secret."""


@dataclass(frozen=True)
class Account:
    """Who logs in, and where. An empty ``socket`` means TCP."""

    user: str
    password: str = field(default="", repr=False)
    host: str = "localhost"
    port: int = 3306
    socket: str = ""
    name: str = ""


class Reader:
    """One read-only way into a database. The connection is made by the first question."""

    def __init__(self, account: Account, root: str = "", ask: Ask | None = None, compiled: str = "") -> None:
        self.account = account
        self._root = root
        self._given = ask
        self._compiled = compiled  # the folder of the application's cache, where that is not renewed by itself

    @classmethod
    def of_site(cls, site: Site) -> Reader:
        """With the application's own account, as its environment names it."""
        there = site.database
        if not site.root:
            raise DatabaseError("No Chamilo was found on this host, so there is no account to read its database with.")
        environment = _env.read(Tree(), site.root)
        if environment.problems:
            raise DatabaseError(" ".join(environment.problems))
        if not there.user or not there.name:
            raise DatabaseError(f"The environment of {site.root} names no database user and database.")
        name = "DATABASE_PASSWORD"
        source = site.environment_source.get(name, "")
        if source != environment.sources.get(name, ""):
            raise DatabaseError(f"The application gets its database password from {source}, not from its .env files.")
        host = there.host or "localhost"
        # Like PHP: "localhost" means the socket, and the server may know other grants for 127.0.0.1.
        socket = (there.socket or SOCKET) if host == "localhost" else ""
        password = environment.secret(name)
        compiled = os.path.join(site.root, "var/cache/prod") if environment.get("APP_ENV") == "prod" else ""
        account = Account(there.user, password, host, there.port or 3306, socket, there.name)
        return cls(account, site.root, compiled=compiled)

    @classmethod
    def of_server(cls) -> Reader:
        """As root of the database server on this host, by the socket and without a password."""
        if os.geteuid() != 0:
            raise DatabaseError("The database server's own tables can be read as root only.")
        if not os.path.exists(SOCKET):
            raise DatabaseError(f"No database server runs on this host: there is no {SOCKET}.")
        return cls(Account("root", socket=SOCKET))

    def query(self, sql: str, params: Sequence[str | int] = ()) -> list[Row]:
        """The rows of one statement. Each ``%s`` stands for a parameter."""
        parts = sql.split("%s")
        if len(parts) != len(params) + 1:
            raise DatabaseError(f"The statement has {len(parts) - 1} places for {len(params)} values.")
        return self._ask(parts[0] + "".join(_literal(value) + part for value, part in zip(params, parts[1:])))

    def settings(self) -> dict[str, str]:
        """Effective settings of the main portal: ``category.variable`` to text."""
        found = {key: rows[1][0] for key, rows in self._stored.items() if 1 in rows}
        return {**DEFAULTS, **found, **self._overrides.get("default", {}), **self._overrides.get("1", {})}

    def effective(self, variable: str, category: str) -> dict[str, str]:
        """What each active portal really uses, by the portal's URL.

        A secondary portal's own row counts only where the main row is missing or may be changed.
        """
        key = f"{category}.{variable}"
        rows = self._stored.get(key, {})
        values = {}
        for portal, url in self._portals.items():
            main, changeable = rows.get(1, (DEFAULTS.get(key, ""), True))
            value = rows[portal][0] if portal in rows and changeable else main
            for scope in ("default", str(portal)):
                value = self._overrides.get(scope, {}).get(key, value)
            values[url] = value
        return values

    @functools.cached_property
    def _ask(self) -> Ask:
        if self._given is not None:
            return self._given
        return _pymysql(self.account) or _client(self.account)

    @functools.cached_property
    def _portals(self) -> dict[int, str]:
        rows = self.query("SELECT id, url FROM access_url WHERE active = 1 OR id = 1 ORDER BY id")
        return {int(row["id"] or 0): row["url"] or "" for row in rows} or {1: "the only portal"}

    @functools.cached_property
    def _stored(self) -> dict[str, dict[int, tuple[str, bool]]]:
        """``category.variable`` -> portal -> (value, may a secondary portal differ). Of doubles the last one counts."""
        found: dict[str, dict[int, tuple[str, bool]]] = {}
        for row in self.query(
            "SELECT category, variable, access_url, selected_value, access_url_changeable FROM settings"
            " WHERE subkey IS NULL OR subkey = '' ORDER BY id"
        ):
            key = f"{(row['category'] or '').lower()}.{row['variable']}"
            changeable = row["access_url_changeable"] == "1"
            found.setdefault(key, {})[int(row["access_url"] or 1)] = (row["selected_value"] or "", changeable)
        return found

    @functools.cached_property
    def _overrides(self) -> dict[str, dict[str, str]]:
        if not self._root:
            return {}
        path = Path(self._root, OVERRIDES)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as problem:
            raise DatabaseError(f"{path}, which wins over the database, cannot be read: {problem}.") from problem
        containers = Path(self._compiled).glob("*Container.php") if self._compiled else []
        moments = [container.stat().st_mtime for container in containers]
        if moments and max(moments) < path.stat().st_mtime:
            raise DatabaseError(
                f"{path} is newer than the application's cache, so it is not in force yet: run"
                " `bin/console cache:clear` as the web user."
            )
        return parse_overrides(text, str(path))


def _literal(value: str | int) -> str:
    """A value as SQL. Hexadecimal, so that no quoting rule of any SQL mode matters."""
    if isinstance(value, int):
        return str(int(value))
    return f"_utf8mb4 X'{value.encode('utf-8').hex()}'"


def _pymysql(account: Account) -> Ask | None:
    """Through PyMySQL, or None where it is not installed."""
    try:
        pymysql = importlib.import_module("pymysql")
    except ImportError:
        return None
    try:
        connection = pymysql.connect(
            user=account.user,
            password=account.password.encode("utf-8"),  # as PHP sends it; PyMySQL would make it latin-1
            host=account.host,
            port=account.port,
            unix_socket=account.socket or None,
            database=account.name or None,
            charset="utf8mb4",
            connect_timeout=_SECONDS,
            read_timeout=_SECONDS,
            write_timeout=_SECONDS,
            init_command=_READ_ONLY,
            read_default_file=None,
            conv={},  # no decoders: text, as the client gives it
            cursorclass=pymysql.cursors.DictCursor,
        )
    except (pymysql.MySQLError, OSError, RuntimeError) as problem:
        raise DatabaseError(_refused(account, problem)) from problem

    def ask(sql: str) -> list[Row]:
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return [{name: _text(value) for name, value in row.items()} for row in cursor.fetchall()]
        except (pymysql.MySQLError, OSError) as problem:
            raise DatabaseError(_refused(account, problem)) from problem

    return ask


def _text(value: str | bytes | None) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _refused(account: Account, problem: Exception) -> str:
    words = problem.args[1] if len(problem.args) > 1 else problem
    return f"The database on {account.socket or account.host} could not be read as {account.user!r}: {words}"


def _client(account: Account) -> Ask:
    """Through the command line client, which gets the password in a pipe and the statement on its input."""
    program = shutil.which("mariadb") or shutil.which("mysql")
    if program is None:
        raise DatabaseError("The database needs python3-pymysql or the mariadb client on this host to be read.")
    options = {
        "user": account.user,
        "password": account.password,
        "host": account.host,
        "port": str(account.port),
        "socket": account.socket,
        "database": account.name,
        "default-character-set": "utf8mb4",
        "connect-timeout": str(_SECONDS),
        "loose-ssl-verify-server-cert": "0",  # newer clients refuse a server without TLS, PHP does not
    }
    text = "[client]\n" + "".join(f"{name}={_option(value)}\n" for name, value in options.items() if value)

    def ask(sql: str) -> list[Row]:
        reading, writing = os.pipe()
        try:
            # Short enough for a pipe's buffer, so that nobody has to read while we write.
            os.write(writing, text.encode("utf-8"))
            os.close(writing)
            # As the only file: a .my.cnf of root's must not change who asks.
            done = subprocess.run(
                [program, f"--defaults-file=/dev/fd/{reading}", "--xml", "--binary-mode"],
                input=f"{_READ_ONLY};\n{sql};\n".encode(),
                capture_output=True,
                pass_fds=(reading,),
                env={"LC_ALL": "C"},
                timeout=2 * _SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as problem:
            raise DatabaseError(_refused(account, RuntimeError("no answer in time"))) from problem
        finally:
            os.close(reading)
        if done.returncode != 0:
            words = done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit code {done.returncode}"]
            raise DatabaseError(_refused(account, RuntimeError(words[-1])))
        return _rows(done.stdout.decode("utf-8", "replace"))

    return ask


def _option(value: str) -> str:
    """A value of an option file."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r") + '"'


_ROW = re.compile(r"<row>\n(.*?)</row>", re.DOTALL)
_FIELD = re.compile(r'<field name="([^"]*)"(?:( xsi:nil="true") />|>([^<]*)</field>)')


def _rows(xml: str) -> list[Row]:
    """The client's XML. Not an XML parser's work: the client passes on control characters, which XML forbids."""
    return [
        {_plain(name): None if nil else _plain(value) for name, nil, value in _FIELD.findall(row)}
        for row in _ROW.findall(xml)
    ]


def _plain(text: str) -> str:
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        text = text.replace(entity, character)
    return text


_QUOTED = r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*\""""
_BARE = r"""[^\s'"\[\]{}&*!|>%@`#,](?:[^#:]|(?<! )#|:(?! |$))*"""
_LINE = re.compile(rf"( *)({_QUOTED}|[A-Za-z0-9_.]+) *:(?: +({_QUOTED}|\{{ *\}}|{_BARE}))? *(?:(?<= )#.*)?$")
_STRANGE = "not of the form 'category.variable: value', so this reader does not understand the file."


def parse_overrides(text: str, path: str) -> dict[str, dict[str, str]]:
    """``default`` or a portal's number -> ``category.variable`` -> value.

    Only the shape that the application documents is understood; PyYAML need not be on the host. The values are what
    the application's code compares: a bare ``true`` is no text 'true' there, and is shown as what it is.
    """
    result: dict[str, dict[str, str]] = {}
    above: list[tuple[int, str]] = []  # indentation and key of the lines that contain this one
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#") or line == "---":
            continue
        where = f"{path}, line {number}"
        match = _LINE.match(line)
        if match is None:
            raise DatabaseError(f"{where}: {_STRANGE}")
        indent, key, value = len(match[1]), _scalar(match[2], where), match[3]
        # A line of the same depth, or a shallower one, closes what stood open.
        while above and above[-1][0] >= indent:
            above.pop()
        parents = [name for _, name in above]
        setting = len(parents) == 3
        if parents[:2] != ["parameters", "settings_overrides"][: len(parents)]:
            above.append((indent, key))  # another parameter: none of our business
        elif setting and value is not None and not value.startswith("{"):
            result.setdefault(parents[2], {})[key] = _scalar(value, where, bare=True)
        elif not setting and (value is None or value.startswith("{")):
            above.append((indent, key))
        elif parents and parents != ["parameters"]:
            raise DatabaseError(f"{where}: {_STRANGE}")
    return result


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", '"': '"', "\\": "\\", "/": "/", " ": " "}


def _scalar(text: str, where: str, bare: bool = False) -> str:
    text = text.strip()
    if text.startswith("'"):
        plain = text[1:-1].replace("''", "'")
    elif text.startswith('"'):
        if re.search(r'\\[^ntr0"\\/ ]', text.replace("\\\\", "")):
            raise DatabaseError(f"{where}: an escape that this reader does not know.")
        plain = re.sub(r"\\(.)", lambda match: _ESCAPES[match[1]], text[1:-1])
    elif bare and text.lower() in ("true", "false", "null", "~"):
        return f"{text} without quotes"
    else:
        plain = text
    # The file is a container parameter: %% is a percent sign, %name% another parameter.
    if "%" in plain.replace("%%", ""):
        raise DatabaseError(f"{where}: the value depends on another parameter, which cannot be seen here.")
    return plain.replace("%%", "%")
