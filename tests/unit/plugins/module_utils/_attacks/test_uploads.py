# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
import re
import subprocess
import tempfile

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import uploads
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._attacker import Target
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._insider import Insider
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Listen, VirtualHost
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.observer import Observer
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Php, Site


@pytest.fixture
def insider(open_folder):
    """A portal whose public/files the web user may write to."""
    root = open_folder
    (root / "public/main").mkdir(parents=True)
    (root / "public/files").mkdir()
    os.chown(root / "public/files", 65534, 65534)
    host = VirtualHost("/etc/nginx/campus", 3, ("campus.test",), (Listen("*", 80, tls=False),), str(root / "public"))
    return Insider(Site("campus.test", root=str(root), php=Php(user="nobody"), virtual_hosts=(host,)))


@pytest.fixture
def open_folder():
    """A directory that other accounts may enter too: those of pytest are closed."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        yield pathlib.Path(directory)


def serve(monkeypatch, root, answer):
    """``answer(file, behind)``: what the server answers when it is asked for a file."""

    def ask(_observer, endpoint, path, **_request):
        where = root / "public" / path.lstrip("/").partition("?")[0]
        file = next((one for one in (where, *where.parents) if one.is_file()), None)
        status, body = answer(file, path) if file else (404, b"")
        return Answer(endpoint.url(path), status, (), body)

    monkeypatch.setattr(Observer, "ask", ask)


def test_a_server_that_runs_one_name_is_caught(monkeypatch, insider):
    root = insider.site.root

    def runs_phtml(file, path):
        text = file.read_bytes()
        return (200, text.split(b"'")[1][::-1]) if file.name == "a.phtml" else (200, text)

    serve(monkeypatch, pathlib.Path(root), runs_phtml)
    found = uploads.lay_programs(insider)
    assert found.status == "fail"
    assert "a.phtml" in found.evidence
    assert "/etc/nginx/campus:3" in found.evidence
    assert os.listdir(f"{root}/public/files") == []


def test_a_server_that_runs_what_a_directory_begins_with_is_caught(monkeypatch, insider):
    def ask(_observer, endpoint, path, **_request):
        file = pathlib.Path(insider.site.root) / "public" / path.lstrip("/") / "index.php"
        found = path.endswith("/") and file.is_file()
        body = file.read_bytes().split(b"'")[1][::-1] if found else b""
        return Answer(endpoint.url(path), 200 if found else 403, (), body)

    monkeypatch.setattr(Observer, "ask", ask)
    found = uploads.lay_programs(insider)
    assert found.status == "fail" and "index.php, by its directory, in " in found.evidence


@pytest.mark.parametrize(("where", "below"), [("data", ""), ("data/own", "/own")])
def test_a_directory_behind_a_link_is_tried_by_its_address(monkeypatch, insider, where, below):
    """Also where the link leads to the parent of such a directory, and where links lead in a circle."""
    root = pathlib.Path(insider.site.root)
    os.chown(root / "public/files", 0, 0)
    (root / "data/own").mkdir(parents=True)
    os.chown(root / where, 65534, 65534)
    (root / "public/main/up").symlink_to("..")
    (root / "public/loop").symlink_to("loop")
    (root / "public/courses").symlink_to("../data")
    tried = []

    def runs(file, path):
        tried.append(path)
        text = file.read_bytes()
        return 200, text.split(b"'")[1][::-1] if file.name == "a.php" else text

    serve(monkeypatch, root, runs)
    found = uploads.lay_programs(insider)
    assert found.status == "fail", found.evidence
    assert f"{root}/public/courses{below} (virtual host at /etc/nginx/campus:3)" in found.evidence
    assert any(path.startswith(f"/courses{below}/chamilo-hardening-") for path in tried)
    assert sorted(os.listdir(root / where)) == ([] if below else ["own"])


def test_a_server_that_does_not_run_them_passes(monkeypatch, insider):
    serve(monkeypatch, pathlib.Path(insider.site.root), lambda file, path: (200, file.read_bytes()))
    found = uploads.lay_programs(insider)
    assert found.status == "pass", found.evidence
    assert os.listdir(f"{insider.site.root}/public/files") == []


def test_no_directory_to_lay_them_in(monkeypatch, insider):
    os.chown(f"{insider.site.root}/public/files", 0, 0)
    for attack in (uploads.lay_programs, uploads.lay_rules):
        assert "no directory" in attack(insider).evidence


def test_rules_that_are_obeyed_are_caught(monkeypatch, insider):
    def obeys(file, path):
        return (403 if (file.parent / ".htaccess").exists() else 200), b"plain"

    serve(monkeypatch, pathlib.Path(insider.site.root), obeys)
    found = uploads.lay_rules(insider)
    assert found.status == "fail"
    assert ".htaccess" in found.evidence
    serve(monkeypatch, pathlib.Path(insider.site.root), lambda file, path: (200, b"plain"))
    assert uploads.lay_rules(insider).status == "pass"


class Server(Target):
    """A portal that takes uploads, unless it refuses them; a scanner takes them away after ``scanned`` seconds."""

    def __init__(self, refused=(), served=True, scanned=None):
        super().__init__("campus.test")
        self.refused, self.served, self.scanned, self.now, self.asked = refused, served, scanned, 1000.0, []
        self.kept = {}

    def ask(self, scheme, path, method="GET", body=b"", headers=None, **_more):
        self.asked.append((method, path))
        if path == "/documents/upload":
            name = re.search(rb'filename="([^"]*)"', body)[1].decode()
            if name in self.refused:
                return Answer(path, 422)
            self.kept[path := f"/r/{name}"] = body.partition(b"\r\n\r\n")[2]
            return Answer(path, 201, (), json.dumps({"id": 7, "url": path, "title": "stored"}).encode())
        gone = self.scanned is not None and self.now - 1000 >= self.scanned
        return Answer(path, 404 if gone else 200, (), b"" if gone else self.kept.get(path, b""))

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def visitor(monkeypatch):
    """The visitor that an attack logs in as."""

    class Visitor:
        def __init__(self, target):
            self.target, self.cookies = target, {"sid": "x"}

        def login(self, user, password):
            assert (user, password) == ("name", "word")

        def ask(self, path):
            return self.target.get(path)

    monkeypatch.setattr(uploads, "Visitor", Visitor)
    monkeypatch.setattr(uploads, "test_account", lambda _insider: contextlib.nullcontext(("name", "word")))


@pytest.mark.parametrize(
    ("server", "status", "evidence"),
    [
        (
            Server(uploads._OFFERED),
            "pass",
            "The portal was offered 17 dangerous files under different names, and took none.",
        ),
        (Server(uploads._OFFERED[2:]), "fail", "The portal takes a.exe (as stored), a.bat (as stored)."),
    ],
)
def test_dangerous_files_are_offered_and_what_is_taken_goes_again(
    visitor, monkeypatch, insider, server, status, evidence
):
    monkeypatch.setattr(uploads, "here", lambda _insider: server)
    found = uploads.offer(insider)
    assert (found.status, found.evidence) == (status, evidence)
    assert len([asked for asked in server.asked if asked[1] == "/documents/upload"]) == 18
    assert server.asked.count(("DELETE", "/documents/7")) == len(server.kept)


def test_a_portal_that_takes_nothing_at_all_proves_nothing(visitor, monkeypatch, insider):
    server = Server(["a.txt"])
    monkeypatch.setattr(uploads, "here", lambda _insider: server)
    with pytest.raises(OSError, match="not even a text file is taken: 422"):
        uploads.offer(insider)


@pytest.fixture
def scanned(visitor, monkeypatch, insider):
    """``scanned(server, scanner)``: what the attack with a test virus finds."""

    def run(server, scanner="clamd"):
        monkeypatch.setattr(uploads, "here", lambda _insider: server)
        processes = {"1": "systemd", "42": scanner, "43": None, "self": "clamd"}
        real = open

        def opened(path, *more, **options):
            number = re.fullmatch(r"/proc/(\w+)/comm", str(path))
            if not number:
                return real(path, *more, **options)
            if processes[number[1]] is None:
                raise ProcessLookupError
            return io.StringIO(f"{processes[number[1]]}\n")

        monkeypatch.setattr(uploads.os, "listdir", lambda _path: list(processes))
        monkeypatch.setattr(uploads, "open", opened, raising=False)
        return uploads._virus(insider, lambda: server.now, server.sleep)

    return run


@pytest.mark.parametrize(
    ("server", "scanner", "status", "evidence"),
    [
        (Server(["essay.txt"]), "clamd", "pass", "The test virus was refused at once: 422."),
        (Server(scanned=0), "clamd", "pass", "The test virus was taken away 0 seconds after its upload."),
        (Server(scanned=60), "clamonacc", "pass", "The test virus was taken away 60 seconds after its upload."),
        (Server(scanned=328), "clamscan", "pass", "The test virus was taken away 328 seconds after its upload."),
        (Server(scanned=330), "clamd", "fail", "The test virus can still be downloaded 330 seconds after its upload."),
        (Server(), "cron", "fail", "The test virus was uploaded, and no scanner runs that could find it."),
    ],
)
def test_a_test_virus_is_taken_away_again(scanned, server, scanner, status, evidence):
    found = scanned(server, scanner)
    assert (found.status, found.evidence) == (status, evidence)
    assert (("DELETE", "/documents/7") in server.asked) == bool(server.kept), "nothing of it stays"
    assert all(b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE" in kept for kept in server.kept.values())


def test_no_program_contains_the_word_that_it_reports(tmp_path):
    for name in uploads._LAID:
        assert "abcdefghijklmnop" not in uploads._program(name, "abcdefghijklmnop"), name
    script = tmp_path / "a.cgi"
    script.write_text(uploads._program("a.cgi", "abcdefghijklmnop"))
    assert "abcdefghijklmnop" in subprocess.run(["sh", str(script)], capture_output=True, text=True).stdout
