# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from a dump as it passes by, and by which account it is made."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import database
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import dump, restic
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.dump import Reading
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError
from tests.unit.plugins.module_utils._backups.conftest import DUMP, of_campus

pytestmark = pytest.mark.usefixtures("directories")


@pytest.mark.parametrize("size", [1, 7, 100, 10000])
def test_the_tables_of_a_dump_are_seen_however_it_is_cut_into_parts(size: int) -> None:
    reading = Reading()
    for start in range(0, len(DUMP), size):
        reading.take(DUMP[start : start + size])
    assert reading.done().tables == ("course", "user")
    assert reading.done().size == len(DUMP)
    assert reading.ended


@pytest.mark.parametrize("missing", [1, 5, 17, 100])
def test_a_dump_without_its_last_line_has_not_ended(missing: int) -> None:
    reading = Reading()
    reading.take(DUMP[:-missing])
    assert reading.ended is (missing == 1)  # only the last end of line is missing


@pytest.mark.parametrize(
    ("account", "routines", "who"),
    [
        (False, 0, "--user=root"),
        (True, 0, "--defaults-file="),
        (True, 1, "--user=root"),
        (True, None, "--defaults-file="),
    ],
)
def test_the_account_for_backups_dumps_unless_it_cannot_see_all(
    directories: Path, monkeypatch: pytest.MonkeyPatch, account: bool, routines: int | None, who: str
) -> None:
    class Reader:
        def __init__(self, login: Any) -> None:
            assert login.user == "root"

        def query(self, _sql: str, params: Any) -> list[dict[str, Any]]:
            if routines is None:
                raise database.DatabaseError("root has a password")
            return [{"number": routines if params == ("chamilo",) else 9}]

    monkeypatch.setattr(database, "Reader", Reader)
    monkeypatch.setattr(dump, "program", lambda: "dump")
    (directories / "socket").touch()
    if account:
        (directories / "etc/backup-campus.cnf").touch()
    with dump.dumping(of_campus(directories, socket=str(directories / "socket"), name="chamilo")) as (
        command,
        _handles,
    ):
        assert any(word.startswith(who) for word in command[:2] + command[2:3])


@pytest.fixture
def saving(directories: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[dump.Dumped, str]]:
    """``saving(dumped, code, then)``: the dump program and restic are shell scripts; restic keeps what it reads."""
    programs = {"dumper": "", "restic": ""}
    monkeypatch.setattr(dump, "program", lambda: str(directories / "dumper"))
    monkeypatch.setattr(restic, "program", lambda: str(directories / "restic"))
    monkeypatch.setattr(restic, "CACHE", str(directories / "cache"))
    monkeypatch.setattr(restic, "GENTLE", ())
    monkeypatch.setattr(restic, "LEASH", ())
    (directories / "socket").touch()
    (directories / "etc/backup-campus.cnf").touch()
    monkeypatch.setattr(dump, "_has_routines", lambda _portal: False)

    def run(dumped: bytes = DUMP, code: int = 0, then: str = "") -> tuple[dump.Dumped, str]:
        (directories / "dumped").write_bytes(dumped)
        programs["dumper"] = f"cat {directories}/dumped; echo no rights >&2; exit {code}"
        programs["restic"] = (
            f'echo "$*" > {directories}/arguments; {then} cat > {directories}/kept.new\n'
            f"mv {directories}/kept.new {directories}/kept\n"
            """echo '{"message_type": "summary", "snapshot_id": "5a"}'"""
        )
        for name, text in programs.items():
            (directories / name).write_text(f"#!/bin/sh\n{text}\n")
            (directories / name).chmod(0o755)
        return dump.save(restic.Repository(of_campus(directories, name="chamilo"), "/repository"), "7", ["--tag", "x"])

    return run


def test_a_dump_goes_to_restic_as_it_comes_and_ends_with_its_run(saving: Any, directories: Path) -> None:
    large = DUMP.replace(b"-- Dump completed", b"-- more\n" * 300_000 + b"-- Dump completed")
    for text in (DUMP, large):
        dumped, snapshot = saving(text)
        kept = (directories / "kept").read_bytes()
        assert kept == text + b"-- chamilo-hardening run 7\n" and snapshot == "5a"
        assert dumped == dump.Dumped(len(kept), hashlib.sha256(kept).hexdigest(), ("course", "user"))
        words = (directories / "arguments").read_text()
        assert words == "backup --json --quiet --tag x --stdin --stdin-filename=/database.sql\n"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"code": 3}, r"^The dump of the database failed \(3\): no rights$"),
        ({"dumped": DUMP[:-30]}, "cut short: its last line is missing"),
        ({"dumped": b"-- Dump completed\n"}, "is empty: it has no table"),
        ({"then": "echo locked >&2; exit 11;"}, r"^restic backup on /repository failed \(11\): locked$"),
        ({"then": "cat > /dev/null; echo locked >&2; exit 1;"}, r"^restic backup on /repository failed \(1\): locked$"),
    ],
)
def test_of_a_dump_that_is_not_whole_nothing_is_kept(
    saving: Any, directories: Path, more: dict[str, Any], words: str
) -> None:
    with pytest.raises(BackupError, match=words):
        saving(**more)
    assert not (directories / "kept").exists()


def test_without_an_account_for_backups_a_server_elsewhere_is_asked_as_the_application_does(
    directories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its password is on no command line, and it sees no programs of the database: these are not asked for."""
    (directories / "chamilo").mkdir()
    (directories / "chamilo/.env").write_text("DATABASE_USER=lms\nDATABASE_PASSWORD=secret\n")
    monkeypatch.setattr(database, "AUTHORITY", str(directories / "none.pem"))
    monkeypatch.setattr(dump, "program", lambda: "dump")
    there = of_campus(directories, host="db.example.org", port=3307, name="chamilo")
    with dump.dumping(there) as (command, (handle,)):
        assert command == ["dump", f"--defaults-file=/dev/fd/{handle}", *dump.OPTIONS, "--", "chamilo"]
        options = Path(f"/dev/fd/{handle}").read_text()
    for line in ("user=lms", "password=secret", "host=db.example.org", "port=3307"):
        assert line in re.sub(r'["\' ]', "", options).splitlines()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(handle)


def test_where_no_socket_leads_to_the_server_nothing_more_is_seen_than_with_the_account_for_backups(
    directories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump, "program", lambda: "dump")
    account = directories / "etc/backup-campus.cnf"
    account.touch()
    with dump.dumping(of_campus(directories, host="db.example.org", name="chamilo")) as (command, handles):
        assert (command[:2], handles) == (["dump", f"--defaults-file={account}"], ())
