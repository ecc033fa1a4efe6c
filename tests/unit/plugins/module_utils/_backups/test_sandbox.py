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
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
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
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
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
    (scratch / "open").mkdir(mode=0o755)
    sandbox.hand_over(str(scratch))
    found = {name: os.lstat(scratch / name) for name in ("", "open", "outside", "Kernel.php")}
    assert {(status.st_uid, status.st_gid) for status in found.values()} == {(sandbox.UID, sandbox.UID)}
    assert [found[name].st_mode & 0o777 for name in ("", "open")] == [0o700, 0o700]
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
    asked: list[tuple[Any, ...]] = []
    private = SimpleNamespace(prctl=lambda *what: asked.append(what) or 0, unshare=lambda what: asked.append((what,)))
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
    assert sandbox._in_private(portal, str(tmp_path), str(tmp_path / "mysql.sock")) == "it did not answer: broken"
    assert sessions == [True]
    pr_set_pdeathsig, clone_newnet = 1, 0x40000000
    assert asked == [(pr_set_pdeathsig, signal.SIGKILL), (clone_newnet,)]
    private.unshare = lambda _what: -1
    with pytest.raises(BackupError, match="no private network could be made"):
        sandbox._in_private(portal, str(tmp_path), str(tmp_path / "mysql.sock"))


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
    sessions: list[bool] = []
    real = subprocess.run

    def run(*arguments: Any, **options: Any) -> Any:
        sessions.append(options.get("start_new_session", False))
        return real(*arguments, **options)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(BackupError) as raised:
        sandbox.console(portal, str(tmp_path), "/socket", "cache:warmup", "-q")
    assert sessions == [True]
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


def test_a_server_that_ends_without_a_word_is_reported(scratch: Path) -> None:
    (scratch.parent / "mariadbd").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(BackupError, match="did not start: it ended before it wrote its log. The journal may show why"):
        with sandbox.started(str(scratch)):
            raise AssertionError("it started")


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


def test_a_server_without_its_program_is_not_started(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_a, **_k: None)
    with pytest.raises(BackupError, match="install mariadb-server-core"):
        with sandbox.started(str(scratch)):
            raise AssertionError("it started")


def test_a_server_that_does_not_listen_in_time_is_ended(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (scratch.parent / "mariadbd").write_text(f"#!/bin/sh\necho $$ > {scratch}/mysql.log; exec sleep 60\n")
    monkeypatch.setattr(sandbox, "_START_SECONDS", 1)
    with pytest.raises(BackupError, match=r"server of the restore test did not start: \d+$") as raised:
        with sandbox.started(str(scratch)):
            raise AssertionError("it started")
    assert not Path("/proc", str(raised.value).split()[-1]).exists()


@pytest.mark.parametrize(("found", "program"), [("/usr/bin/mariadb", "/usr/bin/mariadb"), (None, "mysql")])
def test_a_statement_is_sent_by_the_client_that_is_there(
    monkeypatch: pytest.MonkeyPatch, found: str | None, program: str
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(sandbox, "confined", lambda network=False: ["alone"])
    monkeypatch.setattr(shutil, "which", lambda *_a, **_k: found)
    done = SimpleNamespace(returncode=0)
    monkeypatch.setattr(subprocess, "run", lambda command, **_more: commands.append(command) or done)
    sandbox.Server("/socket").ask("SELECT 1")
    (command,) = commands
    assert command[:5] == ["alone", program, "--no-defaults", "--user=root", "--skip-ssl"]
    assert "--socket=/socket" in command and command[-2:] == ["--execute", "SELECT 1"]


def test_an_account_that_has_the_number_of_restore_tests_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: SimpleNamespace(pw_name="anna"))
    with pytest.raises(BackupError, match="^The account anna has the number 65300, which restore tests use.$"):
        sandbox.hand_over("/nowhere")


def test_what_runs_as_the_account_of_restore_tests_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "UID", 65301)
    started = [
        subprocess.Popen(["setpriv", f"--reuid={uid}", "--clear-groups", f"--regid={uid}", "sleep", "60"])
        for uid in (65301, 65301, 65302)
    ]
    try:
        for process, uid in zip(started, (65301, 65301, 65302)):
            while sandbox.users(process.pid) != {uid}:
                assert process.poll() is None, "it ended before it had its account"
                time.sleep(0.01)
        for process in started:
            threading.Thread(target=process.wait, daemon=True).start()
        sandbox.end_all()
        assert [process.wait(5) for process in started[:2]] == [-signal.SIGKILL, -signal.SIGKILL]
        assert started[2].poll() is None
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.mark.parametrize("rounds", [3, 60])
def test_what_does_not_end_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch, rounds: int) -> None:
    """Such as a process that waits for a disk."""
    waited: list[float] = []
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(sandbox.os, "listdir", lambda _path: ["4711", "self"] if len(waited) < rounds else ["self"])
    monkeypatch.setattr(sandbox, "users", lambda _pid: {sandbox.UID, 0})
    monkeypatch.setattr(sandbox.os, "kill", lambda *given: killed.append(given))
    monkeypatch.setattr(sandbox.time, "sleep", waited.append)
    sandbox.end_all()
    assert len(waited) == min(rounds, 50)
    assert killed == [(4711, signal.SIGKILL)] * len(waited)


PAGES = """
import http.server, os, sys

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ["PAGE"].encode() if self.headers["Host"] == "campus.test" else b"another portal"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

host, port = sys.argv[2].split(":")
print(os.getpid(), os.getsid(0), os.getcwd(), *sys.argv[3:], flush=True)
http.server.HTTPServer((host, int(port)), Page).serve_forever()
"""


@pytest.mark.parametrize(
    ("page", "problem"), [('<input type="password">', ""), ("an empty shell", "/login is no login page")]
)
def test_a_restored_portal_is_started_in_a_network_of_its_own(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, problem: str
) -> None:
    monkeypatch.setattr(sandbox, "confined", lambda network=False: [])
    around = {"PAGE": page, "PATH": os.environ["PATH"]}
    monkeypatch.setattr(sandbox, "_php", lambda *_more: ([sys.executable, "-c", PAGES], around))
    with socket.socket() as here:
        here.bind(("127.0.0.1", 0))  # the port is not free in the network of this host
        monkeypatch.setattr(sandbox, "_PORT", here.getsockname()[1])
        assert sandbox.boot(portal, str(tmp_path), str(tmp_path / "mysql.sock")) == problem
    process, session, *words = (tmp_path / "php.log").read_text().splitlines()[0].split()
    assert process == session and not Path("/proc", process).exists()
    public = f"{tmp_path}/public"
    assert words == [str(tmp_path), "-t", public, f"{public}/index.php"]


def test_a_restored_portal_that_does_not_answer_in_time_is_ended(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "".join(f"{number:05}" for number in range(100))
    monkeypatch.setattr(sandbox, "confined", lambda network=False: [])
    program = ["sh", "-c", f"echo $$ > {tmp_path}/pid; printf %s {words}; exec sleep 60"]
    monkeypatch.setattr(sandbox, "_php", lambda *_more: (program, {"PATH": os.environ["PATH"]}))
    monkeypatch.setattr(sandbox, "_BOOT_SECONDS", 1)
    found = sandbox.boot(portal, str(tmp_path), str(tmp_path / "mysql.sock"))
    assert found == f"it did not answer: {words[-300:]}"
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (BackupError("no private network"), "no private network"),
        (ValueError(), "ValueError"),
        (BackupError("x" * 3000), "x" * 2000),
        (SystemExit(), "it stopped without a word"),
    ],
)
def test_what_stops_a_restored_portal_is_reported(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, problem: BaseException, words: str
) -> None:
    def fails(*_words: str) -> str:
        raise problem

    monkeypatch.setattr(sandbox, "_in_private", fails)
    assert sandbox.boot(portal, "/x", "/socket") == words


@pytest.mark.parametrize(("found", "program"), [("/usr/bin/php8.4", "/usr/bin/php8.4"), (None, "php")])
def test_the_restored_application_finds_the_database_of_the_test_and_sends_nothing(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, found: str | None, program: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path: found if name == "php8.4" else None)
    (called, *options), around = sandbox._php(replace(portal, php="8.4"), "/scratch/mysql.sock")
    assert called == program and set(options[::2]) == {"-d"}
    assert {"pdo_mysql.default_socket=/scratch/mysql.sock", "sendmail_path=/bin/false"} <= {*options}
    assert (around["HOME"], around["TMPDIR"], around["DATABASE_USER"]) == ("/scratch", "/scratch", "root")
    assert (around["DATABASE_PASSWORD"], around["MAILER_DSN"]) == ("", "null://null")


@pytest.mark.parametrize(("hops", "problem"), [(4, ""), (5, "/5 leads nowhere but elsewhere")])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_of_a_restored_portal_are_followed(
    server: dict[str, tuple[int, str, str]], status: int, hops: int, problem: str
) -> None:
    server["/login"] = (status, "/1", "")
    server.update({f"/{hop}": (status, f"http://campus.test/{hop + 1}", "") for hop in range(1, hops)})
    server[f"/{hops}"] = (200, "", "<div id='app' class='x'>")
    assert sandbox._login_page("campus.test") == problem


def test_a_redirect_to_the_name_alone_is_to_its_first_page(server: dict[str, tuple[int, str, str]]) -> None:
    server["/login"] = (302, "https://campus.test", "")
    server["/"] = (200, "", "<input type=password>")
    assert sandbox._login_page("campus.test") == ""
