# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""The application's database: a ``Reader``, whose sessions are read only before their first question, and ``writing``.

Both speak through PyMySQL where that is installed, else through the ``mariadb`` or ``mysql`` client. Every value comes
back as text or None, whichever way it came.
"""

from __future__ import annotations

import contextlib
import functools
import html
import importlib
import os
import re
import secrets
import select
import shutil
import subprocess
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, TypeVar, Union, cast

from .._common.errors import HardeningError
from .._common.openssl import secret_file
from .dotenv import Environment
from .installation import Installation

Row = dict[str, Union[str, None]]
Ask = Callable[[str], list[Row]]
Query = Callable[[str, Sequence[Union[str, int]]], list[Row]]

_R = TypeVar("_R", bound="Reader")
NOWHERE = Installation()
SOCKET = "/run/mysqld/mysqld.sock"
# Whom to trust when a database on another host speaks TLS: there once the role database made the two speak it.
AUTHORITY = "/usr/local/share/chamilo-hardening/database.pem"
_READ_ONLY = "SET SESSION TRANSACTION READ ONLY"
# Whatever the server's settings are, a value that does not fit is an error, a lock that does not come is one soon, and
# the connection stays while the portal is asked.
_STRICT = "SET SESSION sql_mode = 'STRICT_ALL_TABLES', innodb_lock_wait_timeout = 10, wait_timeout = 28800"
# The class of SQLSTATE by which a server refuses an account (28) or a statement (42), and would again.
_REFUSED = re.compile(r"ERROR \d+ \((?:28|42)")
_SECONDS = 10
_DEADLOCK = 1213
_LONGEST = 4000  # bytes of a line of an option file; the clients cut it at 4,096 and take the rest for another option
_PIECE = 1 << 16  # bytes read at a time


class DatabaseError(HardeningError):
    """The database could not be read or changed. The message states why, in a sentence without a secret."""


class NoClient(DatabaseError):
    """Nothing on this host can speak to a database."""


class Deadlock(DatabaseError):
    """The server preferred another transaction. No row was changed; the same may be tried again."""


@dataclass(frozen=True)
class Account:
    """Who logs in, and where. An empty ``socket`` means TCP, with TLS where ``authority`` names a file."""

    user: str
    password: str = field(default="", repr=False)
    host: str = "localhost"
    port: int = 3306
    socket: str = ""
    name: str = ""
    authority: str = ""


class Reader:
    """One read-only way into a database. The connection is made by the first question."""

    def __init__(self, account: Account, installation: Installation = NOWHERE, ask: Ask | None = None) -> None:
        self.account = account
        self.installation = installation
        self._given = ask

    @classmethod
    def of(cls: type[_R], installation: Installation) -> _R:
        """With the application's own account, as its environment names it."""
        root = installation.root
        if not root:
            raise DatabaseError("No Chamilo was found on this host, so there is no account to read its database with.")
        environment = installation.environment()
        if environment.problems:
            raise DatabaseError(" ".join(environment.problems))
        user, name = environment.get("DATABASE_USER"), environment.get("DATABASE_NAME")
        if not user or not name:
            raise DatabaseError(f"The environment of {root} names no database user and database.")
        password = "DATABASE_PASSWORD"
        if password in installation.given:
            source = environment.sources[password]
            raise DatabaseError(f"The application gets its database password from {source}, not from its .env files.")
        return cls(account_there(environment, user, environment.secret(password), name), installation)

    @classmethod
    def of_server(cls: type[_R]) -> _R:
        """As root of the database server on this host, by the socket and without a password."""
        if os.geteuid() != 0:
            raise DatabaseError("The database server's own tables can be read as root only.")
        if not os.path.exists(SOCKET):
            raise DatabaseError(f"No database server runs on this host: there is no {SOCKET}.")
        return cls(Account("root", socket=SOCKET))

    def query(self, sql: str, params: Sequence[str | int] = ()) -> list[Row]:
        """The rows of one statement. Each ``%s`` stands for a parameter."""
        return self._ask(_bound(sql, params))

    @functools.cached_property
    def _ask(self) -> Ask:
        if self._given is not None:
            return self._given
        connection = _connect(self.account, _READ_ONLY, "read")
        return _answers(connection, self.account, "read") if connection else _Client(self.account)


def account_there(environment: Environment, user: str, password: str, name: str = "") -> Account:
    """An account of the server that the application uses."""
    host, port = environment.get("DATABASE_HOST") or "localhost", environment.get("DATABASE_PORT")
    # Like PHP: "localhost" means the socket, and the server may know other grants for 127.0.0.1.
    socket = SOCKET if host == "localhost" else ""
    return Account(user, password, host, int(port) if port.isdigit() else 3306, socket, name, authority(host))


def authority(host: str) -> str:
    """The file with whom to trust when speaking with a database on that host; empty where no TLS is asked for."""
    return AUTHORITY if host not in ("localhost", "127.0.0.1", "::1") and os.path.exists(AUTHORITY) else ""


@contextlib.contextmanager
def writing(account: Account) -> Iterator[Query]:
    """One transaction. The changes of the block are committed when it ends, all of them or none."""
    connection = _connect(account, _STRICT, "changed") or _Session(account, _STRICT, "changed")
    ask = connection.ask if isinstance(connection, _Session) else _answers(connection, account, "changed")
    try:
        ask("START TRANSACTION")
        yield lambda sql, params: ask(_bound(sql, params))
        ask("COMMIT")
    finally:  # without a COMMIT the server forgets what was done
        connection.close()


def _bound(sql: str, params: Sequence[str | int]) -> str:
    """The statement with each ``%s`` replaced by a parameter."""
    parts = sql.split("%s")
    if len(parts) != len(params) + 1:
        raise DatabaseError(f"The statement has {len(parts) - 1} places for {len(params)} values.")
    return parts[0] + "".join(_literal(value) + part for value, part in zip(params, parts[1:]))


def _literal(value: str | int) -> str:
    """A value as SQL. Hexadecimal, so that no quoting rule of any SQL mode matters."""
    if isinstance(value, int):
        return str(int(value))
    return f"_utf8mb4 X'{value.encode('utf-8').hex()}'"


def _connect(account: Account, first: str, doing: str) -> Any:
    """A connection of PyMySQL, or None where that is not installed."""
    try:
        pymysql = importlib.import_module("pymysql")
    except ImportError:
        return None
    try:
        return pymysql.connect(
            user=account.user,
            password=account.password.encode("utf-8"),  # as PHP sends it; PyMySQL would make it latin-1
            host=account.host,
            port=account.port,
            unix_socket=account.socket or None,
            database=account.name or None,
            ssl={"ca": account.authority} if account.authority else None,
            charset="utf8mb4",
            connect_timeout=_SECONDS,
            read_timeout=2 * _SECONDS,
            write_timeout=_SECONDS,
            init_command=first,
            read_default_file=None,
            auth_plugin_map={"mysql_clear_password": functools.partial(_NeverInClear, pymysql.OperationalError)},
            conv=dict(pymysql.converters.encoders),  # no decoders: text, as the client gives it
            cursorclass=pymysql.cursors.DictCursor,
        )
    except (pymysql.MySQLError, OSError, RuntimeError) as problem:
        raise _refused(account, problem, doing) from problem


class _NeverInClear:
    """What PyMySQL asks for an answer when a server wants the password itself."""

    def __init__(self, refusal: Callable[..., Exception], _connection: object) -> None:
        self._refusal = refusal

    def authenticate(self, _packet: object) -> None:
        raise self._refusal(0, "the server wants the password in clear, and does not get it")


def _answers(connection: Any, account: Account, doing: str) -> Ask:
    pymysql = importlib.import_module("pymysql")

    def ask(sql: str) -> list[Row]:
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return [{name: _text(value) for name, value in row.items()} for row in cursor.fetchall()]
        except (pymysql.MySQLError, OSError) as problem:
            raise _refused(account, problem, doing) from problem

    return ask


def as_number(value: str | None) -> int:
    """Of a column: NULL counts as none."""
    return int(value or 0)


def _text(value: str | bytes | None) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _refused(account: Account, problem: Exception, doing: str) -> DatabaseError:
    words = str(problem.args[1] if len(problem.args) > 1 else problem)
    kind = Deadlock if problem.args[:1] == (_DEADLOCK,) or f"ERROR {_DEADLOCK} " in words else DatabaseError
    return kind(f"The database on {account.socket or account.host} could not be {doing} as {account.user!r}: {words}")


def _program() -> str:
    program = shutil.which("mariadb") or shutil.which("mysql")
    if program is None:
        raise NoClient("The database needs python3-pymysql or the mariadb client on this host to be read.")
    return program


def _options(account: Account) -> int:
    """The option file that the client reads, with the password."""
    options = {
        "user": account.user,
        "password": account.password,
        "host": account.host,
        "port": str(account.port),
        "socket": account.socket,
        "database": account.name,
        "default-character-set": "utf8mb4",
        "loose-connect-timeout": str(_SECONDS),  # the dump program knows none
        "ssl-ca": account.authority,
        # Newer clients refuse a server without TLS, PHP does not.
        "loose-ssl-verify-server-cert": "1" if account.authority else "0",
    }
    lines = {name: f"{name}={_option(value)}\n".encode() for name, value in options.items() if value}
    for name, line in lines.items():
        if len(line) > _LONGEST:
            raise DatabaseError(
                f"The {name} of the database account has more than {_LONGEST} characters, which no client reads. "
                "Give it a shorter one."
            )
    return secret_file(b"[client]\n" + b"".join(lines.values()))


class _Client:
    """Answers all questions through one session of the command line client."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._session: _Session | None = None

    def __call__(self, sql: str) -> list[Row]:
        is_new = self._session is None
        self._session = session = self._session or _Session(self._account, _READ_ONLY, "read")
        try:
            return session.ask(sql)
        except DatabaseError:
            self._session = None
            session.close()
            if is_new or not session.lost:
                raise
        return self(sql)  # the server may have restarted since the last question


class _Session:
    """One connection of the command line client, which is asked again and again.

    The client gets the password in its option file and statements on its input, and stops at the first error.
    """

    _END = re.compile(rb'<field name="chamilo_end">([0-9a-f]+)</field>\s*</row>\s*</resultset>')

    def __init__(self, account: Account, first: str, doing: str) -> None:
        self._account = account
        self._doing = doing
        self.lost = False  # the server or the client is gone, while the statement may be right
        program = _program()
        reading = _options(account)
        self._errors = tempfile.TemporaryFile()
        # As the only file: a .my.cnf of root's must not change who asks. Connecting again by itself would go on
        # outside the transaction, and without the first statement.
        command = [program, f"--defaults-file=/dev/fd/{reading}", "--xml", "--binary-mode", "--unbuffered"]
        try:
            self._process = subprocess.Popen(
                [*command, "--skip-reconnect"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                pass_fds=(reading,),
                env={"LC_ALL": "C"},
                bufsize=0,
            )
        finally:
            os.close(reading)
        self.close = weakref.finalize(self, _ended, self._process, self._errors)
        self._write(f"{first};\n")  # whether it could connect, the first answer shows

    def _write(self, text: str) -> None:
        rest = memoryview(text.encode())
        try:
            while rest:
                rest = rest[cast("IO[bytes]", self._process.stdin).write(rest) or 0 :]
        except BrokenPipeError as problem:
            raise self._gone() from problem

    def ask(self, sql: str) -> list[Row]:
        output = cast("IO[bytes]", self._process.stdout)
        mark = secrets.token_hex(8)
        self._write(f"{sql};\nSELECT '{mark}' AS chamilo_end;\n")
        answer = bytearray()
        deadline = time.monotonic() + 2 * _SECONDS
        while True:
            ready, _writable, _failed = select.select([output], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                self._process.kill()
                raise _refused(self._account, RuntimeError("no answer in time"), self._doing)
            part = output.read(_PIECE)
            if not part:
                raise self._gone()
            answer += part
            end = self._END.search(answer, max(0, len(answer) - len(part) - 200))
            if end and end[1] == mark.encode():
                return _rows(answer.decode("utf-8", "replace"))[:-1]

    def _gone(self) -> DatabaseError:
        """The last output of the client."""
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines() or [f"exit code {code}"]
        self.lost = not _REFUSED.search(lines[-1])
        return _refused(self._account, RuntimeError(lines[-1]), self._doing)


def _ended(process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    """End a connection, and with it a transaction that was not committed."""
    for stream in filter(None, (process.stdin, process.stdout)):
        with contextlib.suppress(BrokenPipeError):
            stream.close()
    try:
        process.wait(_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    errors.close()


def _option(value: str) -> str:
    """A value of an option file."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r") + '"'


_ROW = re.compile(r"<row>\n(.*?)</row>", re.DOTALL)
_FIELD = re.compile(r'<field name="([^"]*)"(?:( xsi:nil="true") />|>([^<]*)</field>)')


def _rows(xml: str) -> list[Row]:
    """The client's XML. Not an XML parser's work: the client passes on control characters, which XML forbids."""
    return [
        {html.unescape(name): None if nil else html.unescape(value) for name, nil, value in _FIELD.findall(row)}
        for row in _ROW.findall(xml)
    ]
