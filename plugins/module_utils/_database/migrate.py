# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Runs a command of the application, as the web user, with the database account that may change tables."""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import subprocess
import syslog
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .._application.database import Account, DatabaseError, Reader
from .._application.portal_reader import migrations_without_history
from .._common.alert import harmless
from .._common.files import STATE
from .context import CREDENTIALS
from .extra_accounts import option_file
from .server import AccountError

MIGRATE = ("doctrine:migrations:migrate", "--no-interaction")
_START, _END = "upgrade-", ".cnf"
ABOUT = """\
Runs the migrations of an update with the account that may change tables, where the application itself may not
(chamilo_database_split), or another command of Chamilo's console: chamilo-hardening migrate -- cache:clear. It runs as
the web user and asks nothing. As long as it does, that user can read the password of this account."""
_BUFFER = 1 << 20  # bytes: more than fits in the pipe; a longer line is shown in parts


def add(commands: Any, report: Callable[..., None]) -> None:
    """Add the command. Its output goes to the terminal and to the journal."""
    command = commands.add_parser("migrate", help="run the migrations of an update", description=ABOUT)
    command.add_argument("--site", default="", help="which portal, where there are several")
    command.add_argument("command", metavar="COMMAND", nargs="*", help=f"default: {' '.join(MIGRATE)}")
    command.set_defaults(run=lambda options, _engine: _run(options, report))


def _run(options: argparse.Namespace, report: Callable[..., None]) -> int:
    try:
        site, code = migrate(options.command, options.site)
    except AccountError as problem:
        report(str(problem), syslog.LOG_ERR)
        return 1
    report(
        f"migrate {site}: {'done' if not code else f'failed ({code})'}.", syslog.LOG_ERR if code else syslog.LOG_INFO
    )
    return code


def migrate(
    command: Sequence[str], site: str = "", root: str = STATE, credentials: str = CREDENTIALS
) -> tuple[str, int]:
    """The portal and the exit code. The output of the command goes where our own goes."""
    site = site or _only(credentials)
    try:
        with open(os.path.join(credentials, f"{_START}{site}{_END}"), encoding="utf-8") as stream:
            account = option_file(stream.read())
        with open(os.path.join(root, f"database-{site}.json"), encoding="utf-8") as stream:
            place = json.load(stream)["place"]
    except (OSError, ValueError, KeyError) as problem:
        raise AccountError(
            f"There is no account for upgrades of {site} ({problem}). It is made with chamilo_database_split."
        ) from problem
    if not command and place.get("database"):  # runs before 1.1 did not write it down
        _history(account, place["database"])
    console = [place["php"], "bin/console", *(("--no-interaction", *command) if command else MIGRATE)]
    # In the environment, which wins over the files of the application: on a command line every user could read it.
    secret = {"DATABASE_USER": account["user"], "DATABASE_PASSWORD": account["password"]}
    env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", **secret}
    words = ["runuser", "-u", place["user"], "--", "env", f"--chdir={place['root']}", "HOME=/nonexistent", *console]
    # The web user wrote what runs there. In a session of our own it could type into the terminal of the one who asked;
    # with a descriptor of the terminal it could read there, also when the command has ended.
    with subprocess.Popen(
        words,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as child:
        try:
            _pass_on(child)
        except KeyboardInterrupt:  # so the terminal stops us alone
            os.killpg(child.pid, signal.SIGINT)
            _pass_on(child)
        return site, child.wait()


def _history(account: Mapping[str, str], database: str) -> None:
    """Refuse to run every migration since the first release over tables that are there already."""
    host, port = account.get("host", "localhost"), int(account.get("port", 3306))
    there = Account(
        account["user"], account["password"], host, port, account.get("socket", ""), database, account.get("ssl-ca", "")
    )
    try:
        empty = migrations_without_history(Reader(there))
    except DatabaseError as problem:
        raise AccountError(f"The history of migrations cannot be read, so nothing was run. {problem}") from problem
    if empty:
        raise AccountError(
            f"The history of migrations in {database}.version is empty, as where Chamilo was installed before 3.0: "
            "all migrations would run again, over tables that are there. With the code of the version that made these "
            "tables in place, run: chamilo-hardening migrate -- doctrine:migrations:sync-metadata-storage, then "
            "chamilo-hardening migrate -- doctrine:migrations:version --add --all. Nothing was run."
        )


def _pass_on(child: subprocess.Popen[bytes]) -> None:
    """Pass on its output until it ends. A child that it leaves running may keep the pipe open for ever."""
    if child.stdout is None:
        raise AssertionError("it has a pipe")
    rest, over = b"", False
    while not over:
        over = child.poll() is not None
        ready = select.select([child.stdout], [], [], 0 if over else 0.2)[0]
        part = os.read(child.stdout.fileno(), _BUFFER) if ready else b""
        if ready and not part:
            child.wait()
            over = True
        *lines, rest = (rest + part).split(b"\n")
        if len(rest) > _BUFFER or over and rest:
            lines, rest = [*lines, rest], b""
        for line in lines:
            print(harmless(line.decode("utf-8", "replace").rstrip("\r")), flush=True)


def _only(credentials: str) -> str:
    names = sorted(os.listdir(credentials)) if os.path.isdir(credentials) else []
    sites = [name[len(_START) : -len(_END)] for name in names if name.startswith(_START) and name.endswith(_END)]
    if len(sites) == 1:
        return sites[0]
    if not sites:
        raise AccountError(
            "No portal of this host has an account for upgrades of its own: the application may change its tables "
            "itself, so run bin/console as the web user."
        )
    raise AccountError(f"Several portals have an account for upgrades. Name one: --site {' or --site '.join(sites)}.")
