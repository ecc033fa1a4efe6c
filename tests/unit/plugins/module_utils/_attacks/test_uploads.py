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
from dataclasses import replace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import uploads
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._attacker import Target
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._insider import Insider, Tried
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
    assert found.evidence.startswith("What the web user could write was run: a.phtml in ")
    assert "/etc/nginx/campus:3" in found.evidence and found.evidence.endswith(" and 4 more.")
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
    above, seen = pathlib.Path(insider.site.root, "public/files"), set()
    os.utime(above, ns=(10**9, 2 * 10**9))

    def shows(file, path):
        seen.update((part.stat().st_uid, oct(part.stat().st_mode & 0o777)) for part in (file, file.parent))
        return 200, file.read_bytes()

    serve(monkeypatch, pathlib.Path(insider.site.root), shows)
    found = uploads.lay_programs(insider)
    assert found.status == "pass", found.evidence
    # The first page of the directory, and 25 names, each asked for in ten ways.
    assert found.evidence == "Programs in 1 directories of the web user's were requested 251 times; none ran."
    assert seen == {(65534, "0o755")}, "another account, such as the server's, can read and run them"
    assert (above.stat().st_atime_ns, above.stat().st_mtime_ns) == (10**9, 2 * 10**9)
    assert os.listdir(above) == []


def test_a_virtual_host_that_serves_no_directory_here_is_left_out(insider):
    (host,) = insider.site.virtual_hosts
    others = (replace(host, root=""), replace(host, root="/nonexistent"), replace(host, listens=()))
    insider.site = replace(insider.site, virtual_hosts=(*others, host))
    ((above, endpoints, path, where),) = uploads._places(insider)
    assert (above, path, where) == (f"{insider.site.root}/public/files", "/files/", "/etc/nginx/campus:3")
    assert [endpoint.url(path) for endpoint in endpoints] == ["http://campus.test/files/"]


def test_a_document_root_that_is_the_web_users_itself_is_tried_by_the_first_address(insider):
    os.chown(f"{insider.site.root}/public", 65534, 65534)
    ((above, _endpoints, path, _where),) = uploads._places(insider)
    assert (above, path) == (f"{insider.site.root}/public", "/")


@pytest.mark.parametrize(
    ("turn", "words"),
    [(0, "public could not be searched as nobody"), (1, "no directory could be made in"), (2, "no file could be laid")],
)
@pytest.mark.parametrize("attack", [uploads.lay_programs, uploads.lay_rules])
def test_a_web_user_that_cannot_be_taken_proves_nothing(monkeypatch, insider, attack, turn, words):
    serve(monkeypatch, pathlib.Path(insider.site.root), lambda file, path: (200, b""))
    really, turns = insider.as_user, iter(range(9))

    def as_user(name, function):
        return Tried(error="stopped without a word") if next(turns) == turn else really(name, function)

    insider.as_user = as_user
    with pytest.raises(OSError, match=f"{words}.*: stopped without a word"):
        attack(insider)
    assert os.listdir(f"{insider.site.root}/public/files") == []


@pytest.fixture
def allowed(tmp_path, monkeypatch):
    """``allowed(*names)``: which directories may be written to, since root may write to all; which were asked for."""

    def allow(*names):
        asked = []

        def access(path, how):
            asked.append(os.path.relpath(path, tmp_path))
            return how == os.W_OK | os.X_OK and asked[-1] in names

        monkeypatch.setattr(uploads.os, "access", access)
        return asked

    return allow


@pytest.mark.parametrize(
    ("most", "entries", "found"),
    [
        (3, 99, ["b", "c", "a/x"]),
        (2, 99, ["b", "c"]),
        (4, 99, ["b", "c", "a/x", "d/x"]),
        (3, 6, ["b", "c"]),
        (3, 5, []),
    ],
)
def test_the_topmost_directories_that_can_be_written_to_are_tried(tmp_path, monkeypatch, allowed, most, entries, found):
    for name in "dcba":
        (tmp_path / name / "x").mkdir(parents=True)
        (tmp_path / name / "file").write_text("no directory")
    allowed("a/x", "b", "b/x", "c", "d/x", "d/file")
    monkeypatch.setattr(uploads, "_DIRECTORIES", most)
    monkeypatch.setattr(uploads, "_ENTRIES", entries)
    assert uploads._writable(str(tmp_path)) == [f"{tmp_path}/{name}" for name in found]


def test_links_that_lead_in_a_circle_are_followed_once(tmp_path, allowed):
    for name, other in ("ab", "ba"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "l").symlink_to(f"../{other}")
    asked = allowed()
    assert uploads._writable(str(tmp_path)) == []
    assert asked == [".", "a", "b", "a/l", "b/l", "a/l/l", "b/l/l"]


def test_a_directory_that_cannot_be_listed_hides_no_other(tmp_path, monkeypatch, allowed):
    for name in "ab":
        (tmp_path / name / "x").mkdir(parents=True)
    allowed("a/x", "b/x")
    scandir = os.scandir

    def closed(path):
        if path == f"{tmp_path}/a":
            raise PermissionError
        return scandir(path)

    monkeypatch.setattr(uploads.os, "scandir", closed)
    assert uploads._writable(str(tmp_path)) == [f"{tmp_path}/b/x"]


def test_no_directory_to_lay_them_in(monkeypatch, insider):
    os.chown(f"{insider.site.root}/public/files", 0, 0)
    for attack in (uploads.lay_programs, uploads.lay_rules):
        assert "no directory" in attack(insider).evidence


def test_rules_that_are_obeyed_are_caught(monkeypatch, insider):
    def obeys(file, path):
        return (403 if (file.parent / ".htaccess").exists() else 200), b"plain"

    serve(monkeypatch, pathlib.Path(insider.site.root), obeys)
    found = uploads.lay_rules(insider)
    where = f"{insider.site.root}/public/files (virtual host at /etc/nginx/campus:3)"
    assert found.status == "fail"
    assert found.evidence == f"The server obeyed what the web user had written: .htaccess in {where}."

    def prepends(file, path):
        rules = file.parent / ".user.ini"
        first = rules.read_text().split("= ")[1].strip() if rules.exists() and path.endswith("/b.php") else ""
        return 200, pathlib.Path(first).read_bytes().split(b"'")[1][::-1] if first else b"plain"

    serve(monkeypatch, pathlib.Path(insider.site.root), prepends)
    found = uploads.lay_rules(insider)
    assert found.status == "fail"
    assert found.evidence == f"The server obeyed what the web user had written: .user.ini in {where}."


@pytest.mark.parametrize(("before", "after"), [(200, 200), (403, 403), (404, 403), (200, 404)])
def test_rules_that_change_nothing_have_no_effect(monkeypatch, insider, before, after):
    def answer(file, path):
        return (after if (file.parent / ".htaccess").exists() else before), b"plain"

    serve(monkeypatch, pathlib.Path(insider.site.root), answer)
    found = uploads.lay_rules(insider)
    assert found.status == "pass"
    assert found.evidence == "Neither .htaccess nor .user.ini had an effect in 1 directories of the web user."


class Server(Target):
    """A portal that takes uploads, unless it refuses them; a scanner takes them away after ``scanned`` seconds."""

    def __init__(self, refused=(), served=True, scanned=None, refusal=422):
        super().__init__("campus.test")
        self.refusal = refusal
        self.refused, self.served, self.scanned, self.now, self.asked = refused, served, scanned, 1000.0, []
        self.kept = {}

    def ask(self, scheme, path, method="GET", body=b"", headers=None, **_more):
        self.asked.append((method, path))
        if path == "/documents/upload":
            name = re.search(rb'filename="([^"]*)"', body)[1].decode()
            assert headers["Cookie"] == "sid=x", "who logged in"
            if name in self.refused:
                return Answer(path, self.refusal, (), b'{"id": 8, "url": "/r/none"}')
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
            self.target, self.cookies = target, {}

        def login(self, user, password):
            assert (user, password) == ("name", "word")
            self.cookies["sid"] = "x"

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
        (
            Server(uploads._OFFERED, refusal=200),
            "pass",
            "The portal was offered 17 dangerous files under different names, and took none.",
        ),
        (Server(uploads._OFFERED[2:]), "fail", "The portal takes a.exe (as stored), a.bat (as stored)."),
        (
            Server(uploads._OFFERED[4:]),
            "fail",
            "The portal takes a.exe (as stored), a.bat (as stored), a.sh (as stored) and 1 more.",
        ),
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


@pytest.mark.parametrize("refusal", [200, 422])
def test_a_portal_that_takes_nothing_at_all_proves_nothing(visitor, monkeypatch, insider, refusal):
    server = Server(["a.txt"], refusal=refusal)
    monkeypatch.setattr(uploads, "here", lambda _insider: server)
    with pytest.raises(OSError, match=f"not even a text file is taken: {refusal}"):
        uploads.offer(insider)


def test_an_upload_without_an_answer_proves_nothing(visitor, monkeypatch, insider):
    server = Server()
    monkeypatch.setattr(server, "ask", lambda scheme, path, **_request: Answer(path, error="refused"))
    monkeypatch.setattr(uploads, "here", lambda _insider: server)
    with pytest.raises(OSError, match="/documents/upload gave no answer: refused"):
        uploads.offer(insider)


def test_a_file_is_uploaded_as_a_form_of_the_one_who_logged_in(visitor):
    asked = []

    class Portal(Target):
        def get(self, path, **request):
            asked.append((path, request))
            return Answer(path, 201, (), b"[]" if request["method"] == "POST" else b'{"id": 7}')

    sender = uploads.Visitor(None)
    sender.cookies = {"sid": "x", "lang": "en"}
    answer = uploads._send(sender, Portal("campus.test"), "a.txt", b"harmless")
    assert uploads._stored(answer) == {}, "an answer that is no object names nothing"
    ((path, request),) = asked
    kind, _is, edge = request["headers"].pop("Content-Type").partition("; boundary=")
    assert (path, request.pop("method"), request["headers"]) == (
        "/documents/upload",
        "POST",
        {"Cookie": "sid=x; lang=en"},
    )
    assert kind == "multipart/form-data" and re.fullmatch("[0-9a-f]{24}", edge)
    form = 'Content-Disposition: form-data; name="uploadFile"; filename="a.txt"'
    assert request["body"] == f"--{edge}\r\n{form}\r\n\r\nharmless\r\n--{edge}--\r\n".encode()
    uploads._remove(sender, Portal("campus.test"), Answer("", 201, (), b'{"id": 7}'))
    assert asked[1] == ("/documents/7", {"method": "DELETE", "headers": {"Cookie": "sid=x; lang=en"}})


def test_the_attack_with_a_test_virus_is_that_of_the_table(visitor, monkeypatch, insider):
    monkeypatch.setattr(uploads, "here", lambda _insider: Server(["essay.txt"]))
    assert uploads.send_virus(insider).evidence == "The test virus was refused at once: 422."


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
        (Server(["essay.txt"], refusal=200), "clamd", "pass", "The test virus was refused at once: 200."),
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
    included = uploads._program("a.shtml", "abcdefghijklmnop")
    included = included.replace('<!--#set var="a" value="abcdefgh" -->', "").replace(
        '<!--#echo var="a" -->', "abcdefgh"
    )
    assert included == "abcdefghijklmnop"
    script = tmp_path / "a.cgi"
    script.write_text(uploads._program("a.cgi", "abcdefghijklmnop"))
    assert "abcdefghijklmnop" in subprocess.run(["sh", str(script)], capture_output=True, text=True).stdout


def test_each_file_is_laid_with_its_text(insider, tmp_path):
    insider.as_user = lambda _name, function: Tried(function())
    uploads._lay(insider, str(tmp_path), {"a": "one", "b": "two"})
    assert {file.name: (file.read_text(), file.stat().st_mode & 0o777) for file in tmp_path.iterdir()} == {
        "a": ("one", 0o755),
        "b": ("two", 0o755),
    }
