# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a restore test starts what came back, and what is read from it. The units are systemd's on real hosts."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import sandbox
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError, Portal

REFUSED = "echo 'urllib.error.URLError: <urlopen error [Errno 111] Connection refused>'; exit 1"
PORTAL = Portal("campus", "campus.test", "/x", php="8.4")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Makes programs. systemd-run runs what it is given, at once and with what is given for its environment."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    monkeypatch.setattr(sandbox.restic, "environment", lambda: {"PATH": os.environ["PATH"]})
    monkeypatch.setattr(sandbox, "UID", os.geteuid())
    monkeypatch.setattr(sandbox, "_BECOME", ())

    def make(name: str, script: str) -> None:
        (directory / name).write_text(f"#!/bin/sh\n{script}\n")
        (directory / name).chmod(0o755)

    given = '--setenv=*) export "${1#--setenv=}";; --property=WorkingDirectory=*) cd "${1#*Directory=}";;'
    make("systemd-run", f'while [ "$1" != -- ]; do case "$1" in {given} esac; shift; done; shift; "$@"')
    make("readlink", "echo 'net:[1]'; echo 'mnt:[2]'")  # of what is shut off
    make("systemctl", "exit 0")
    make("journalctl", f"printf %s {'x' * 400}its-last-words")
    return make


def test_what_runs_in_a_restore_test_has_neither_privileges_nor_a_network() -> None:
    command = sandbox.confined("/scratch", ["php", "a$b"], "--wait", directory="/scratch/files")
    properties = {word.partition("=")[2] for word in command if word.startswith("--property=")}
    assert {
        "PrivateNetwork=yes",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        'BindPaths="/scratch":"/scratch"',
    } <= properties
    assert "WorkingDirectory=/scratch/files" in properties and "--wait" in command
    become = ["setpriv", "--reuid=65300", "--regid=65300", "--clear-groups", "--inh-caps=-all", "--"]
    assert command[command.index("--") + 1 :] == [*become, "php", "a$$b"]


def test_the_account_of_the_restore_test_can_read_what_only_root_could(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A class that is doubtful lacks that right for its owner, as root needs none. Who owns the copy does need it."""
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / "outside").symlink_to(tmp_path / "outside")
    for path, mode in ((scratch / "Kernel.php", 0o244), (tmp_path / "outside", 0o200)):
        path.write_text("<?php")
        path.chmod(mode)
    (scratch / "open").mkdir(mode=0o755)
    sandbox.hand_over(str(scratch))
    found = {name: os.lstat(scratch / name) for name in ("", "open", "outside", "Kernel.php")}
    assert {(status.st_uid, status.st_gid) for status in found.values()} == {(sandbox.UID, sandbox.UID)}
    assert [found[name].st_mode & 0o777 for name in ("", "open")] == [0o700, 0o700]
    become = ["setpriv", f"--reuid={sandbox.UID}", f"--regid={sandbox.UID}", "--clear-groups"]
    # By the descriptor of its directory: the way there is for root alone.
    done = subprocess.run([*become, "cat", "Kernel.php"], cwd=scratch, capture_output=True, check=False)
    assert (done.stdout, (tmp_path / "outside").stat().st_mode & 0o777) == (b"<?php", 0o200), done.stderr


def test_an_account_that_has_the_number_of_restore_tests_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: SimpleNamespace(pw_name="anna"))
    with pytest.raises(BackupError, match="^The account anna has the number 65300, which restore tests use.$"):
        sandbox.hand_over("/nowhere")


def test_no_message_contains_the_statement_that_failed(programs: Callable[[str, str], None], tmp_path: Path) -> None:
    """It would be mailed."""
    programs(
        "mariadb",
        'echo "$*" >&2; printf "%s\\n" -------------- "INSERT INTO user VALUES (1)" -------------- "" '
        '"ERROR 1406 (22001) at line 2: Too long" >&2; exit 1',
    )
    with pytest.raises(BackupError, match=r"^The dump could not be loaded: ERROR 1406 .22001. at line 2: Too long$"):
        sandbox._ask(f"{tmp_path}/socket", "--execute", "INSERT")


@pytest.mark.parametrize(
    ("install", "server", "words"),
    [
        ("exit 0", "exit 0", ""),
        ("echo no room >&2; exit 1", "exit 0", "The database of the restore test could not be made: no room"),
        ("exit 0", "exit 1", f"The database of the restore test did not start: {'x' * 286}its-last-words"),
    ],
)
def test_a_database_server_of_its_own_is_made_and_started(
    programs: Callable[[str, str], None], tmp_path: Path, install: str, server: str, words: str
) -> None:
    programs("mariadb-install-db", install)
    programs("mariadbd", f'echo "$*" > {tmp_path}/called; {server}')
    if words:
        with pytest.raises(BackupError) as raised:
            sandbox._database(str(tmp_path), f"{tmp_path}/mysql.sock")
        assert str(raised.value) == words
    else:
        sandbox._database(str(tmp_path), f"{tmp_path}/mysql.sock")
        assert "--skip-networking" in (tmp_path / "called").read_text()
    assert (tmp_path / "mysql").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("listed", "words"), [("user course", ""), ("user", "lacks tables of its dump: course.")])
def test_a_database_that_lacks_a_table_of_its_dump_did_not_come_back(
    programs: Callable[[str, str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: str, words: str
) -> None:
    for name in ("mariadb-install-db", "mariadbd"):
        programs(name, "exit 0")
    programs("mariadb", f"printf '%s\\n' {listed}; [ -t 0 ] || cat >>{tmp_path}/loaded")
    (tmp_path / "database.sql").write_text("CREATE TABLE course")
    monkeypatch.setattr(sandbox, "_boot", lambda *_words: words or "it did not answer")
    with pytest.raises(BackupError, match=words or "The restored portal does not start: it did not answer"):
        sandbox.prove(PORTAL, str(tmp_path), f"{tmp_path}/database.sql", ["user", "course"])
    assert (tmp_path / "loaded").read_text() == "CREATE TABLE course"


@pytest.mark.parametrize("kinds", ["net", "mnt", ""])
def test_nothing_of_a_backup_is_started_where_systemd_does_not_shut_it_off(
    programs: Callable[[str, str], None], tmp_path: Path, kinds: str
) -> None:
    """It goes on without a network or mounts of their own where it may not make them."""
    own = {kind: os.readlink(f"/proc/self/ns/{kind}") if kind == kinds else f"{kind}:[1]" for kind in ("net", "mnt")}
    programs("readlink", f"printf '%s\\n' {' '.join(map(repr, own.values()))}" if kinds else "exit 1")
    programs("mariadbd", "exit 0")
    with pytest.raises(BackupError, match="cannot shut a restore test off from the network"):
        sandbox._database(str(tmp_path), f"{tmp_path}/mysql.sock")
    assert not (tmp_path / "mysql").exists()


def test_a_server_without_its_program_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.shutil, "which", lambda *_a, **_k: None)
    with pytest.raises(BackupError, match="install mariadb-server-core"):
        sandbox._database("/nowhere", "/nowhere/mysql.sock")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("echo '<input type=\"password\">'", ""),
        ("echo \"<div id='app' class='x'>\"", ""),
        ("echo an empty shell", "/login is no login page"),
        ("echo 'HTTP Error 500: Internal'; exit 1", "/login: HTTP Error 500: Internal"),
        (REFUSED, f"it did not answer: {'x' * 286}its-last-words"),
    ],
)
def test_a_login_page_is_known_when_it_is_seen(
    programs: Callable[[str, str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, problem: str
) -> None:
    programs("php8.4", "exit 0")
    programs("python", answer)
    monkeypatch.setattr(sandbox.sys, "executable", "python")
    monkeypatch.setattr(sandbox, "_BOOT_SECONDS", 0.5)
    assert sandbox._boot(PORTAL, str(tmp_path), f"{tmp_path}/mysql.sock") == problem


def test_a_restored_portal_that_ends_is_reported_with_its_last_words(
    programs: Callable[[str, str], None], tmp_path: Path
) -> None:
    programs("php8.4", "exit 0")
    programs("systemctl", "exit 3")
    assert "its-last-words" in sandbox._boot(PORTAL, str(tmp_path), f"{tmp_path}/mysql.sock")
