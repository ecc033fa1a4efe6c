# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a restore test starts what came back, and what is read from it."""

from __future__ import annotations

import ctypes
import http.server
import os
import pwd
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import portal as backups_portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import sandbox
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError, Portal
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files

KEY = "a key"


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Portal:
    monkeypatch.setattr(backups_portal, "CONFIGURATION", str(tmp_path))
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    made = Portal("campus", "campus.test", "/x", repository="/repository", offsite="rest:http://store/x")
    Path(made.key_file).write_text(KEY)
    return made


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, tuple[int, str, str]]]:
    answers: dict[str, tuple[int, str, str]] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, location, body = answers.get(self.path, (404, "", ""))
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_arguments: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as listening:
        monkeypatch.setattr(sandbox, "_PORT", listening.server_port)
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield answers
        listening.shutdown()


def test_a_login_page_is_known_when_it_is_seen(server: dict[str, tuple[int, str, str]]) -> None:
    server["/login"] = (302, "https://campus.test/here", "")
    server["/here"] = (200, "", '<input type="password">')
    assert sandbox._login_page("campus.test") == ""
    server["/here"] = (200, "", "an empty shell")
    assert "no login page" in sandbox._login_page("campus.test")
    server["/here"] = (500, "", "")
    assert "answers 500" in sandbox._login_page("campus.test")
    server["/here"] = (302, "/login", "")
    assert "leads nowhere" in sandbox._login_page("campus.test")


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
    sandbox.hand_over(str(scratch))
    become = ["setpriv", f"--reuid={sandbox.UID}", f"--regid={sandbox.UID}", "--clear-groups"]
    # By the descriptor of its directory: the way there is for root alone.
    done = subprocess.run([*become, "cat", "Kernel.php"], cwd=scratch, capture_output=True, check=False)
    assert (done.stdout, (tmp_path / "outside").stat().st_mode & 0o777) == (b"<?php", 0o200), done.stderr


def test_what_the_restored_portal_reports_is_read_from_where_it_was_written(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It owns the directory: the content of another file under that name would be sent with the alert."""
    program = tmp_path / "php"
    program.write_text(f"#!/bin/sh\necho broken; rm {tmp_path}/php.log; ln -s {tmp_path}/secret {tmp_path}/php.log\n")
    program.chmod(0o755)
    (tmp_path / "secret").write_text("a secret")
    private = SimpleNamespace(prctl=lambda *_what: 0, unshare=lambda _what: 0)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_a, **_k: private)
    monkeypatch.setattr(sandbox, "_loopback", lambda: None)
    monkeypatch.setattr(sandbox, "confined", lambda network=False: [])
    monkeypatch.setattr(shutil, "which", lambda *_a, **_k: str(program))
    sessions: list[bool] = []
    real = subprocess.Popen

    def popen(*arguments: Any, **options: Any) -> Any:
        sessions.append(options.get("start_new_session", False))
        return real(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(sandbox, "_PORT", 1)
    assert sandbox._in_private(portal, str(tmp_path), str(tmp_path / "mysql.sock")) == "it did not answer: broken\n"
    assert sessions == [True]


def test_no_message_contains_the_statement_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be mailed."""
    output = (
        b"--------------\nINSERT INTO user VALUES ('anna')\n--------------\n\nERROR 1406 (22001) at line 2: Too long\n"
    )
    commands: list[list[str]] = []

    def run(command: list[str], **_more: Any) -> Any:
        commands.append(command)
        return SimpleNamespace(returncode=1, stderr=output)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(BackupError, match="^The dump could not be loaded: ERROR 1406 .22001. at line 2: Too long$"):
        sandbox.Server("/socket").ask("INSERT")
    assert "--loose-skip-print-query-on-error" in commands[0]


def test_a_hidden_process_of_the_restore_test_s_account_is_observed() -> None:
    child = os.fork()
    if not child:
        ctypes.CDLL(None).prctl(4, 0)  # PR_SET_DUMPABLE: /proc shows it as root's
        time.sleep(60)
        os._exit(0)
    try:
        assert sandbox.users(child) == {os.getuid()}
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_who_runs_in_a_restore_test_has_neither_privileges_nor_a_network() -> None:
    become = ["setpriv", "--reuid=65300", "--regid=65300", "--clear-groups", "--no-new-privs", "--inh-caps=-all"]
    end = ["--pdeathsig=KILL", "--", "nice", "-n", "19"]
    assert sandbox.confined() == ["unshare", "--net", "--", *become, *end]
    assert sandbox.confined(network=True) == [*become, *end]


@pytest.mark.parametrize(("size", "tail"), [(7, 7), (300, 300), (5000, 300)])
def test_a_command_of_the_restored_application_that_fails_is_reported_with_its_last_words(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, tail: int
) -> None:
    words = "".join(f"{number:05}" for number in range(size))[-size:]
    program = tmp_path / "php"
    program.write_text(f'#!/bin/sh\nprintf %s {words}\n[ "$DATABASE_PASSWORD$*" = good ]\n')
    program.chmod(0o755)
    monkeypatch.setattr(sandbox, "confined", lambda network=False: [])
    monkeypatch.setattr(sandbox, "_php", lambda *_more: ([str(program)], {"PATH": "/usr/bin:/bin"}))
    with pytest.raises(BackupError) as raised:
        sandbox.console(portal, str(tmp_path), "/socket", "cache:warmup", "-q")
    assert str(raised.value) == f"`bin/console cache:warmup -q` ended with 1: {words[-tail:]}"
    program.write_text('#!/bin/sh\n[ "$*" = "bin/console --no-interaction cache:warmup" ]\n')
    sandbox.console(portal, str(tmp_path), "/socket", "cache:warmup")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a server is to start. What makes its directory, and the server, are scripts."""
    monkeypatch.setattr(sandbox, "confined", lambda network=False: [])
    monkeypatch.setattr(sandbox, "UID", os.geteuid())
    monkeypatch.setattr(shutil, "which", lambda *_a, **_k: str(tmp_path / "mariadbd"))
    monkeypatch.setattr(sandbox.restic, "environment", lambda: {"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name, text in (("mariadb-install-db", "exit 0"), ("mariadbd", "exec sleep 60")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def test_a_database_that_cannot_be_made_is_reported(scratch: Path) -> None:
    (scratch.parent / "mariadb-install-db").write_text("#!/bin/sh\necho no room >&2; exit 1\n")
    with pytest.raises(BackupError, match="^The database of the restore test could not be made: no room\n$"):
        with sandbox.started(str(scratch)):
            raise AssertionError("it started")
    assert (scratch / "mysql").stat().st_mode & 0o777 == 0o700


def test_a_server_that_ends_at_once_is_reported_with_its_last_words(scratch: Path) -> None:
    words = "".join(f"{number:05}" for number in range(100))
    (scratch.parent / "mariadbd").write_text(f"#!/bin/sh\nprintf %s {words} > {scratch}/mysql.log; exit 1\n")
    with pytest.raises(BackupError) as raised:
        with sandbox.started(str(scratch)):
            raise AssertionError("it started")
    assert str(raised.value) == f"The database server of the restore test did not start: {words[-300:]}"


def test_a_server_is_ended_with_what_it_was_for(scratch: Path) -> None:
    started = scratch / "started"
    text = f"#!/bin/sh\necho $$ > {started}.new; mv {started}.new {started}; exec sleep 60\n"
    (scratch.parent / "mariadbd").write_text(text)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(scratch / "mysql.sock"))
        listening.listen()
        with sandbox.started(str(scratch)) as server:
            assert server.socket == f"{scratch}/mysql.sock"
            while not started.exists():
                time.sleep(0.01)
            process = Path("/proc", started.read_text().strip())
            assert process.exists()
    assert not process.exists()
