# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a restore test starts what came back, and what is read from it. The units are systemd's on real hosts."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import sandbox
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError, Portal

PORTAL = Portal("campus", "campus.test", "/x", php="8.4", name="cam`pus")
PAGE = '<input type="password">'


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Makes programs. systemd-run runs what it is given, at once and with what is given for its environment.

    A restore test succeeds with those that are there.
    """
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    monkeypatch.setattr(sandbox.restic, "environment", lambda: {"PATH": os.environ["PATH"]})
    monkeypatch.setattr(sandbox, "_BECOME", ())

    def make(name: str, script: str) -> None:
        (directory / name).write_text(f"#!/bin/sh\n{script}\n")
        (directory / name).chmod(0o755)

    given = '--setenv=*) export "${1#--setenv=}";; --property=WorkingDirectory=*) cd "${1#*Directory=}";;'
    runs = 'shift; "$1" "$2" "$(echo "$3" | sed "s/[$][$]/$/g")"'
    make("systemd-run", f'while [ "$1" != -- ]; do case "$1" in {given} esac; shift; done; {runs}')
    make("readlink", "echo 'net:[1]'")  # of what is shut off
    make("mariadb-install-db", "exit 0")
    make("mariadbd", f'echo "$*" >{tmp_path}/called; sleep 1')
    answers = f"*HEX*) echo 75736572; echo 61E280A862;; *--database*) cat >{tmp_path}/loaded;;"
    make("mariadb", f'echo "$*" >>{tmp_path}/asked; case "$*" in {answers} esac')
    make("php8.4", "echo its-last-words; sleep 1")
    make("python", "exit 0")
    monkeypatch.setattr(sandbox.sys, "executable", "python")
    (tmp_path / "database.sql").write_text("CREATE TABLE user")
    return make


def prove(tmp_path: Path, *more: str) -> None:
    sandbox.prove(PORTAL, str(tmp_path), {"/x": f"{tmp_path}/files/x"}, ["user", "a\u2028b", *more])


def test_what_runs_in_a_restore_test_has_neither_privileges_nor_a_network() -> None:
    command = sandbox.confined("/scratch", {"/srv/x": "/scratch/files/srv/x"}, {"NAME": "a$b"})
    properties = {word.partition("=")[2] for word in command if word.startswith("--property=")}
    assert {
        "PrivateNetwork=yes",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        'BindPaths="/scratch":"/scratch"',
        'BindPaths="/scratch/files/srv/x":"/srv/x"',
    } <= properties
    become = ["setpriv", "--reuid=65300", "--regid=65300", "--clear-groups", "--inh-caps=-all", "--"]
    assert command[command.index("--") + 1 :][: len(become)] == become and "--setenv=NAME=a$b" in command


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


def test_the_dump_is_loaded_and_the_portal_started(programs: Callable[[str, str], None], tmp_path: Path) -> None:
    prove(tmp_path)
    assert "--skip-networking" in (tmp_path / "called").read_text()
    assert "CREATE DATABASE `cam``pus`" in (tmp_path / "asked").read_text()
    assert (tmp_path / "loaded").read_text() == "CREATE TABLE user"
    (tmp_path / "down").unlink(missing_ok=True)
    with pytest.raises(BackupError, match=r"lacks tables of its dump: course\."):
        prove(tmp_path, "course")


@pytest.mark.parametrize(
    ("name", "script", "words"),
    [
        (
            "mariadb-install-db",
            "echo no room >&2; exit 1",
            "The database of the restore test could not be made: no room",
        ),
        ("mariadbd", "echo no memory; exit 1", "The database of the restore test did not start: no memory"),
        # The statement would be mailed.
        (
            "mariadb",
            'case "$*" in *--database*) echo "INSERT 1"; echo "ERROR 1406 (22001): Too long"; exit 1;; esac',
            "The dump could not be loaded: ERROR 1406 (22001): Too long",
        ),
        ("python", "echo The portal does not start.; exit 1", "not start. The last words of PHP: its-last-words"),
        # It goes on without a network or mounts of its own where it may not make them.
        ("readlink", "exit 1", "cannot shut a restore test off from the network"),
        (
            "readlink",
            'case "$1" in */net) exec /usr/bin/readlink "$1";; esac; echo "mnt:[1]"',
            "Nothing of the backup was",
        ),
        (
            "readlink",
            'case "$1" in */mnt) exec /usr/bin/readlink "$1";; esac; echo "net:[1]"',
            "Nothing of the backup was",
        ),
        ("systemd-run", "exit 1", "systemd could not start the restore test."),
    ],
)
def test_what_goes_wrong_is_reported(
    programs: Callable[[str, str], None], tmp_path: Path, name: str, script: str, words: str
) -> None:
    if name == "mariadbd":  # nothing answers
        programs("mariadb", "exit 1")
    programs(name, script)
    with pytest.raises(BackupError) as raised:
        prove(tmp_path)
    assert words in str(raised.value) and "INSERT" not in str(raised.value)


def test_a_server_without_its_program_is_not_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sandbox.shutil, "which", lambda *_a, **_k: None)
    with pytest.raises(BackupError, match="install mariadb-server-core"):
        prove(tmp_path)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (PAGE, ""),
        ("<div id='app' class='x'>", ""),
        ("an empty shell", "The restored portal does not start: /login is no login page.\n"),
        ("", "The restored portal does not start: /login: <urlopen error [Errno 111] Connection refused>.\n"),
    ],
)
def test_a_login_page_is_known_when_it_is_seen(answer: str, problem: str) -> None:
    opened = f"lambda *_a, **_k: __import__('io').BytesIO({answer.encode()!r})"
    faked = f"import urllib.request\nurllib.request.OpenerDirector.open = {opened}\n" if answer else ""
    script = faked + sandbox._REQUEST.replace("range(120,", "range(1,").replace(":8765", ":9")
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, "campus.test"], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == (problem, int(bool(problem))), done.stderr
