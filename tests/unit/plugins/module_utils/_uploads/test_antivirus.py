# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import pwd
import resource
import socket
import struct
import threading
import time

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import alert, files, records
from ansible_collections.chamilo.hardening.plugins.module_utils._uploads import antivirus

VIRUS = b"a harmless word that stands for a virus"
SOMEBODY = pwd.getpwnam("www-data").pw_uid  # to give files away these tests need root


@pytest.fixture
def scanner(tmp_path, monkeypatch):
    """Something that speaks like clamd: finds VIRUS, takes no more than 1000 bytes, stumbles over "stumble"."""
    path = str(tmp_path / "clamd.ctl")
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    server.listen()

    def exactly(client, count):
        data = b""
        while len(data) < count:
            part = client.recv(count - len(data))
            if not part:
                return b""
            data += part
        return data

    def answer(client):
        command = exactly(client, 6)
        if command == b"zPING\0":
            return b"PONG\0"
        exactly(client, len(b"zINSTREAM\0") - 6)
        seen = b""
        while size := struct.unpack("!L", exactly(client, 4))[0]:
            seen += exactly(client, size)
        if len(seen) > 1000:
            return b"INSTREAM size limit exceeded. ERROR\0"
        if b"stumble" in seen:
            return b""
        if b"deep" in seen:
            return b"stream: Heuristics.Limits.Exceeded.MaxScanSize FOUND\0"
        return b"stream: Test.Virus FOUND\0" if VIRUS in seen else b"stream: OK\0"

    def serve():
        while True:
            try:
                client, _from = server.accept()
            except OSError:
                return
            with client:
                client.sendall(answer(client))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    monkeypatch.setattr(antivirus, "SOCKET", path)
    yield path
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


@pytest.fixture
def portal(tmp_path, monkeypatch):
    root = tmp_path / "campus"
    for directory in ("upload/re", "cache", "log"):
        (root / "var" / directory).mkdir(parents=True)
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    monkeypatch.setattr(antivirus, "CONFIGURATION", str(tmp_path / "uploads-*.json"))
    (tmp_path / "uploads-campus.json").write_text(json.dumps({"domain": "campus.test", "root": str(root)}))
    return root


@pytest.fixture
def reported(monkeypatch):
    heard = []
    monkeypatch.setattr(alert, "notify", lambda section, title, text, again=False: heard.append((title, text)))
    return heard


def test_a_virus_is_taken_away_and_reported(portal, scanner, reported):
    (portal / "var/upload/re/essay.txt").write_bytes(b"x" + VIRUS)
    (portal / "var/upload/re/other.txt").write_bytes(b"good")
    (portal / "var/cache/x.php").write_bytes(VIRUS)
    lines = antivirus.scan()
    assert lines[0] == "campus.test: 2 new files scanned, 1 with a virus, 0 not judged."
    assert not (portal / "var/upload/re/essay.txt").exists()
    assert (portal / "var/upload/re/other.txt").exists()
    assert (portal / "var/cache/x.php").exists()
    ((title, text),) = reported
    assert title == "A virus was uploaded to campus.test"
    assert "var/upload/re/essay.txt: Test.Virus, kept as " in text
    kept = text.rpartition(" ")[2]
    with open(kept, "rb") as file:
        assert file.read() == b"x" + VIRUS
    assert os.stat(kept).st_mode & 0o777 == 0o600
    with open(f"{kept}.json", encoding="utf-8") as file:
        assert json.load(file)["path"] == str(portal / "var/upload/re/essay.txt")
    assert os.stat(os.path.dirname(kept)).st_mode & 0o777 == 0o700


def test_what_was_scanned_is_not_scanned_again(portal, scanner, reported, monkeypatch):
    (portal / "var/upload/a").write_bytes(b"good")
    monkeypatch.setattr(antivirus, "_OVERLAP", 0.0)
    assert len(antivirus.scan()) == 1
    assert antivirus.scan() == []
    time.sleep(0.02)
    (portal / "var/upload/b").write_bytes(b"good")
    assert "1 new files" in antivirus.scan()[0]
    assert "2 new files" in antivirus.scan(everything=True)[0]
    assert reported == []


def test_an_upload_waits_for_a_scanner_that_is_down(portal, scanner, reported, tmp_path, monkeypatch):
    (portal / "var/upload/a").write_bytes(VIRUS)
    monkeypatch.setattr(antivirus.services, "run", lambda *_words: (0, ""))
    with monkeypatch.context() as patch:
        patch.setattr(antivirus, "SOCKET", str(tmp_path / "nobody"))
        for _scan in range(2):
            with pytest.raises(antivirus.AntivirusError, match="does not answer"):
                antivirus.scan()
    assert (portal / "var/upload/a").exists()
    assert {title for title, _text in reported} == {"Uploads are not scanned for viruses"}
    assert "1 with a virus" in antivirus.scan()[0]


def test_what_the_scanner_does_not_judge_blocks_nothing(portal, scanner, reported):
    (portal / "var/upload/a-large").write_bytes(bytes(2000))
    (portal / "var/upload/b-bad").write_bytes(b"stumble")
    (portal / "var/upload/c").write_bytes(VIRUS)
    lines = antivirus.scan()
    assert "1 with a virus, 2 not judged" in lines[0]
    assert {title for title, _text in reported} == {
        "A virus was uploaded to campus.test",
        "Uploads to campus.test were not judged",
    }


@pytest.mark.parametrize(
    ("breaks", "back", "found"), [(1, True, "Test.Virus"), (2, True, "breaks off"), (2, False, "ping")]
)
def test_a_file_counts_as_judged_only_by_an_answer(portal, monkeypatch, tmp_path, breaks, back, found):
    """A scanner that goes down in the middle of its first answers, and of those to a ping if it stays down."""
    answers = [*[b"stre"] * breaks, b"stream: Test.Virus FOUND\0"]
    path = str(tmp_path / "failing.ctl")

    def serve(server):
        with contextlib.suppress(OSError):
            while True:
                with server.accept()[0] as client:
                    asked = client.recv(1 << 16)
                    while asked.startswith(b"zINSTREAM") and not asked.endswith(bytes(4)):
                        asked += client.recv(1 << 16)
                    ping = b"PONG\0" if back else b""
                    client.sendall(ping if asked == b"zPING\0" else answers.pop(0))

    monkeypatch.setattr(antivirus, "SOCKET", path)
    (portal / "var/upload/a").write_bytes(VIRUS)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server, open(portal / "var/upload/a", "rb") as file:
        server.bind(path)
        server.listen()
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        try:
            assert antivirus.judge(file.fileno()) == found
        except (antivirus.AntivirusError, antivirus.NotJudged) as problem:
            assert found in str(problem)
        server.shutdown(socket.SHUT_RDWR)


def test_a_scanner_that_hangs_is_asked_whether_it_is_there(portal, monkeypatch):
    (portal / "var/upload/a").write_bytes(VIRUS)
    monkeypatch.setattr(antivirus, "_PATIENCE", 0.2)
    monkeypatch.setattr(antivirus, "SOCKET", str(portal / "silent.ctl"))
    silent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    silent.bind(str(portal / "silent.ctl"))
    silent.listen()
    with silent, open(portal / "var/upload/a", "rb") as file:
        with pytest.raises(antivirus.AntivirusError, match="does not answer"):
            antivirus.judge(file.fileno())
        monkeypatch.setattr(antivirus, "ping", lambda: None)
        with pytest.raises(antivirus.NotJudged, match="no answer in"):
            antivirus.judge(file.fileno())


def test_what_is_taken_away_is_reported_as_soon_as_it_can_be(portal, scanner, monkeypatch):
    def deaf(*_words, **_also):
        raise alert.AlertError("No notification was sent.")

    monkeypatch.setattr(alert, "notify", deaf)
    (portal / "var/upload/essay.txt").write_bytes(VIRUS)
    assert "No notification was sent." in antivirus.scan()
    assert not (portal / "var/upload/essay.txt").exists()
    heard = []
    monkeypatch.setattr(alert, "notify", lambda section, title, text: heard.append(text))
    for _scan in range(2):
        antivirus.scan()
    assert len(heard) == 1 and "essay.txt" in heard[0]


def test_no_link_is_followed_and_no_pipe_read(portal, scanner, reported, tmp_path):
    (tmp_path / "shadow").write_bytes(VIRUS)
    (portal / "var/upload/link").symlink_to(tmp_path / "shadow")
    (portal / "var/upload/folder").symlink_to(tmp_path)
    os.mkfifo(portal / "var/upload/pipe")
    assert antivirus.scan() == []
    assert (tmp_path / "shadow").exists()


def test_two_scans_do_not_meet(portal, scanner):
    import fcntl

    os.makedirs(files.STATE)
    with open(os.path.join(files.STATE, "antivirus.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert antivirus.scan() == ["The last scan is still going on."]


def test_uploads_on_another_disk_are_scanned_too(portal, scanner, reported, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "essay.txt").write_bytes(VIRUS)
    (portal / "var/courses").symlink_to(data)
    assert "1 new files scanned, 1 with a virus" in antivirus.scan()[0]
    assert not (data / "essay.txt").exists()
    (data / "essay.txt").write_bytes(VIRUS)
    (portal / "var").rename(tmp_path / "shared")
    (portal / "var").symlink_to(tmp_path / "shared")
    (portal / "var/cache/x.php").write_bytes(VIRUS)
    assert "1 new files scanned, 1 with a virus" in antivirus.scan()[0]


def test_the_web_user_has_no_other_files_taken_away(portal, scanner, reported, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_bytes(VIRUS)
    (portal / "var/x").symlink_to(other)
    os.lchown(portal / "var/x", SOMEBODY, -1)
    lines = antivirus.scan()
    assert (
        "1 not judged" in lines[0] and "a link to a directory of another user" in lines[1] and (other / "file").exists()
    )
    (portal / "var").rename(tmp_path / "x")
    (portal / "var").symlink_to(tmp_path / "x")
    os.lchown(portal / "var", SOMEBODY, -1)
    with pytest.raises(antivirus.AntivirusError, match="chown -h root"):
        antivirus.scan()


@pytest.mark.parametrize("turned", ["the link", "a folder on its way"])
def test_a_link_that_is_turned_during_the_scan_takes_nothing_away(
    portal, scanner, reported, tmp_path, monkeypatch, turned
):
    (tmp_path / "log/nginx").mkdir(parents=True)
    (tmp_path / "log/nginx/access.log").write_bytes(VIRUS)
    mine, link = portal / "var/upload/mine", portal / "var/l"
    (mine / "nginx").mkdir(parents=True)
    link.symlink_to(mine / "nginx")
    for path in (mine, mine / "nginx"):
        os.chown(path, SOMEBODY, -1)
    os.lchown(link, SOMEBODY, -1)
    (portal / "var/upload/last.txt").write_bytes(b"good")

    def turn(handle):  # while the first files are scanned
        with contextlib.suppress(FileNotFoundError):
            mine.rename(portal / "elsewhere")
            away = mine
            if turned == "the link":
                link.unlink()
                away = link
            away.symlink_to(tmp_path / "log" / ("nginx" if turned == "the link" else ""))
            os.lchown(away, SOMEBODY, -1)
        return judge(handle)

    judge = antivirus.judge
    monkeypatch.setattr(antivirus, "judge", turn)
    lines = antivirus.scan()
    assert (tmp_path / "log/nginx/access.log").exists()
    assert "1 new files scanned, 0 with a virus, 1 not judged" in lines[0]
    assert "var/l: could not be opened: a link to a directory" in lines[1]


def test_what_grows_after_it_was_judged_is_not_kept_whole(portal, scanner, reported, monkeypatch):
    path = portal / "var/upload/a"
    path.write_bytes(VIRUS)

    def grow(handle):
        virus = judge(handle)
        os.truncate(path, 1 << 24)
        return virus

    judge = antivirus.judge
    monkeypatch.setattr(antivirus, "judge", grow)
    monkeypatch.setattr(antivirus, "_BLOCK", 4)
    seen = antivirus.Seen()
    antivirus.scan_portal(str(portal), 0.0, str(portal / "keep"), seen)
    with open(seen.found[0].rpartition(" ")[2], "rb") as kept:
        assert kept.read() == VIRUS


def test_a_full_disk_is_not_filled_further_by_each_scan(portal, scanner, reported):
    (portal / "var/upload/a").write_bytes(VIRUS)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))  # Python ignores the signal
    try:
        with pytest.raises(OSError, match="too large"):
            antivirus.scan_portal(str(portal), 0.0, str(portal / "keep"), antivirus.Seen())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(portal / "keep") == [] and (portal / "var/upload/a").exists()


def test_after_the_clock_was_set_back_nothing_is_skipped(portal, scanner, reported):
    records.note(antivirus.RECORD, "campus", True, "", since=time.time() + 3600)
    (portal / "var/upload/a").write_bytes(VIRUS)
    assert "1 with a virus" in antivirus.scan()[0]


def test_what_was_found_before_the_scanner_went_is_reported(portal, scanner, reported, monkeypatch):
    for name in "ab":
        (portal / f"var/upload/{name}").write_bytes(VIRUS)
    answers = ["Test.Virus"]

    def judge(handle):
        if not answers:
            raise antivirus.AntivirusError("The virus scanner does not answer.")
        return answers.pop()

    monkeypatch.setattr(antivirus, "judge", judge)
    with pytest.raises(antivirus.AntivirusError, match="Test.Virus, kept as"):
        antivirus.scan()
    assert [title for title, _text in reported] == [
        "A virus was uploaded to campus.test",
        "Uploads are not scanned for viruses",
    ]


@pytest.fixture
def second(portal, tmp_path):
    """Another portal, which comes after the first, with a virus."""
    root = tmp_path / "school"
    (root / "var/upload").mkdir(parents=True)
    (root / "var/upload/essay.txt").write_bytes(VIRUS)
    (tmp_path / "uploads-school.json").write_text(json.dumps({"domain": "school.test", "root": str(root)}))
    return root


def test_a_pit_of_directories_ends_no_scan_and_is_reported(portal, second, scanner, reported, tmp_path, deep):
    deep(portal / "var/upload")
    (portal / "var/upload/z.txt").write_bytes(VIRUS)
    for _scan in range(2):
        antivirus.scan()
    assert not (second / "var/upload/essay.txt").exists() and not (portal / "var/upload/z.txt").exists()
    pits = [text for title, text in reported if title == "Uploads to campus.test were not judged"]
    assert len(set(pits)) == 1 and "more than 100 nested directories" in pits[0] and len(pits[0]) < 1000


def test_whatever_one_portal_stumbles_over_is_reported_and_the_others_are_scanned(
    portal, second, scanner, reported, monkeypatch, tmp_path
):
    scan_portal = antivirus.scan_portal

    def stumbles(root, *more):
        if root == str(portal):
            raise RecursionError("too deep")
        return scan_portal(root, *more)

    with monkeypatch.context() as patch:
        patch.setattr(antivirus, "scan_portal", stumbles)
        with pytest.raises(antivirus.AntivirusError, match=r"campus: The scan ended with RecursionError"):
            antivirus.scan()
    assert not (second / "var/upload/essay.txt").exists()
    assert records.read(antivirus.RECORD)["campus"]["ok"] is False
    assert "Uploads are not scanned for viruses" in [title for title, _text in reported]
    (tmp_path / "uploads-campus.json").write_text("{")
    (second / "var/upload/essay.txt").write_bytes(VIRUS)
    with pytest.raises(antivirus.AntivirusError, match=r"campus: The scan ended with JSONDecodeError"):
        antivirus.scan()
    assert not (second / "var/upload/essay.txt").exists()


def test_scans_that_do_not_take_place_are_reported_by_the_daily_work(portal, second, scanner, reported, monkeypatch):
    def wait(hours):
        monkeypatch.setattr(antivirus.time, "time", lambda: real() + hours * 3600)

    real = time.time
    assert antivirus.late() == ["Uploads are scanned in time."] and reported == []
    wait(3)
    assert len(antivirus.late()) == 2
    ((title, text),) = reported
    assert title == "The scan for viruses is late"
    assert "no scan of the uploads of campus for 3 hours" in text and "school" in text
    records.note(antivirus.RECORD, "school", True, "")
    assert [line.split()[8] for line in antivirus.late()] == ["campus"]
    wait(-5)
    assert "time to come" in antivirus.late()[0]


@pytest.mark.parametrize(
    ("code", "output", "why"),
    [(1, "Job failed.\nSee the journal.\n", "; See the journal."), (0, "x", "; has it signatures?")],
)
def test_a_scanner_that_is_down_is_started_before_it_counts_as_down(portal, monkeypatch, tmp_path, code, output, why):
    started = []
    monkeypatch.setattr(antivirus, "SOCKET", str(tmp_path / "nobody"))
    monkeypatch.setattr(
        antivirus.services, "run", lambda argv, _seconds: (started.append(argv[1:3]), (code, output))[1]
    )
    with pytest.raises(antivirus.AntivirusError) as raised:
        antivirus.ping()
    assert why in str(raised.value) and started == [["start", "clamav-daemon.socket"]]


def test_a_directory_that_does_not_open_is_reported_and_hides_no_other(portal, scanner, reported, monkeypatch):
    for name in "abc":
        (portal / f"var/upload/{name}").mkdir()
        (portal / f"var/upload/{name}/1").write_bytes(b"good")
    real = os.open

    def stale(path, *words, **more):
        if path == "b":
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), path)
        return real(path, *words, **more)

    monkeypatch.setattr(antivirus.os, "open", stale)
    assert antivirus.scan()[0] == "campus.test: 2 new files scanned, 0 with a virus, 1 not judged."
    ((_title, text),) = reported
    assert "var/upload/b: could not be opened: Stale file handle" in text


def test_a_scan_on_a_host_without_one_reports_so(portal, scanner, monkeypatch):
    """A scan that finds nothing, and one that scans nothing, must not give the same report."""
    heard = []
    parser = argparse.ArgumentParser()
    antivirus.add(parser.add_subparsers(), lambda text, *_level: heard.append(text))
    options = parser.parse_args(["scan", "--all"])
    monkeypatch.setattr(antivirus, "scan", lambda everything: [f"everything: {everything}"])
    assert options.run(options, None) == 0
    monkeypatch.setattr(antivirus, "CONFIGURATION", "/nowhere/uploads-*.json")
    assert options.run(options, None) == 1
    assert heard == [
        "everything: True",
        "No portal of this host is scanned: chamilo_uploads_antivirus is not set.",
    ]
