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
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import alert, files, records
from ansible_collections.chamilo.hardening.plugins.module_utils._uploads import antivirus

VIRUS = b"a harmless word that stands for a virus"
SOMEBODY = pwd.getpwnam("www-data").pw_uid  # to give files away these tests need root


@pytest.fixture
def scanner(tmp_path):
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
    monkeypatch.setattr(alert, "notify", lambda section, title, text, again=False: heard.append((title, text, again)))
    return heard


def test_a_virus_is_taken_away_and_reported(portal, scanner, reported):
    (portal / "var/upload/re/essay.txt").write_bytes(b"x" + VIRUS)
    (portal / "var/upload/re/other.txt").write_bytes(b"good")
    (portal / "var/cache/x.php").write_bytes(VIRUS)
    lines = antivirus.scan(address=scanner)
    assert lines[0] == "campus.test: 2 new files scanned, 1 with a virus, 0 not judged."
    assert not (portal / "var/upload/re/essay.txt").exists()
    assert (portal / "var/upload/re/other.txt").exists()
    assert (portal / "var/cache/x.php").exists()
    ((title, text, again),) = reported
    assert (title, again) == ("A virus was uploaded to campus.test", True)
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
    assert len(antivirus.scan(address=scanner)) == 1
    assert antivirus.scan(address=scanner) == []
    time.sleep(0.02)
    (portal / "var/upload/b").write_bytes(b"good")
    assert "1 new files" in antivirus.scan(address=scanner)[0]
    assert "2 new files" in antivirus.scan(everything=True, address=scanner)[0]
    assert reported == []


def test_an_upload_waits_for_a_scanner_that_is_down(portal, scanner, reported, tmp_path):
    (portal / "var/upload/a").write_bytes(VIRUS)
    with pytest.raises(antivirus.AntivirusError, match="does not answer"):
        antivirus.scan(address=str(tmp_path / "nobody"))
    assert (portal / "var/upload/a").exists()
    assert [title for title, _text, _again in reported] == ["Uploads are not scanned for viruses"]
    assert "1 with a virus" in antivirus.scan(address=scanner)[0]


def test_a_scanner_that_is_down_is_reported_when_nothing_is_new(portal, reported, tmp_path):
    with pytest.raises(antivirus.AntivirusError):
        antivirus.scan(address=str(tmp_path / "nobody"))
    assert len(reported) == 1


def test_what_the_scanner_does_not_judge_blocks_nothing(portal, scanner, reported):
    (portal / "var/upload/a-large").write_bytes(bytes(2000))
    (portal / "var/upload/b-bad").write_bytes(b"stumble")
    (portal / "var/upload/c").write_bytes(VIRUS)
    lines = antivirus.scan(address=scanner)
    assert "1 with a virus, 2 not judged" in lines[0]
    assert {title for title, _text, _again in reported} == {
        "A virus was uploaded to campus.test",
        "Uploads to campus.test were not judged",
    }


class Failing:
    """A scanner that goes down in the middle of its first answers, and of those to a ping if it stays down."""

    def __init__(self, path, times, back=True):
        self.left, self.back = times, back
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.server.bind(path)
        self.server.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _from = self.server.accept()
            except OSError:
                return
            with client:
                asked = client.recv(10, socket.MSG_WAITALL if self.left else 0)
                if asked == b"zPING\0":
                    client.sendall(b"PONG\0" if self.back or self.left else b"")
                elif self.left:
                    self.left -= 1
                    client.sendall(b"stre")
                else:
                    while not asked.endswith(bytes(4)):
                        asked += client.recv(4096)
                    client.sendall(b"stream: Test.Virus FOUND\0")


@pytest.fixture
def failing(tmp_path):
    made = []

    def make(times, back=True):
        made.append(Failing(str(tmp_path / "failing.ctl"), times, back))
        return str(tmp_path / "failing.ctl")

    yield make
    for one in made:
        one.server.shutdown(socket.SHUT_RDWR)
        one.server.close()


def test_the_file_over_which_the_scanner_went_down_is_shown_again(portal, failing, reported):
    (portal / "var/upload/a").write_bytes(VIRUS)
    handle = os.open(portal / "var/upload/a", os.O_RDONLY)
    assert antivirus.judge(handle, failing(1)) == "Test.Virus"
    os.close(handle)


def test_while_the_scanner_stays_down_no_file_counts_as_not_judged(portal, failing, reported):
    (portal / "var/upload/a").write_bytes(VIRUS)
    handle = os.open(portal / "var/upload/a", os.O_RDONLY)
    with pytest.raises(antivirus.AntivirusError, match="ping"):
        antivirus.judge(handle, failing(2, back=False))
    os.close(handle)


def test_a_scanner_that_hangs_is_asked_whether_it_is_there(portal, monkeypatch):
    (portal / "var/upload/a").write_bytes(VIRUS)
    monkeypatch.setattr(antivirus, "_PATIENCE", 0.2)
    silent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    silent.bind(str(portal / "silent.ctl"))
    silent.listen()
    with silent, open(portal / "var/upload/a", "rb") as file:
        with pytest.raises(antivirus.AntivirusError, match="does not answer"):
            antivirus.judge(file.fileno(), str(portal / "silent.ctl"))
        monkeypatch.setattr(antivirus, "ping", lambda address: None)
        with pytest.raises(antivirus.NotJudged, match="no answer in"):
            antivirus.judge(file.fileno(), str(portal / "silent.ctl"))


def test_what_is_too_large_inside_is_not_judged_and_stays(portal, scanner, reported):
    (portal / "var/upload/a.zip").write_bytes(b"deep")
    lines = antivirus.scan(address=scanner)
    assert "0 with a virus, 1 not judged" in lines[0]
    assert (portal / "var/upload/a.zip").exists()
    ((title, text, _again),) = reported
    assert title == "Uploads to campus.test were not judged"
    assert "var/upload/a.zip: the scanner did not scan all of it, Heuristics.Limits.Exceeded.MaxScanSize" in text


@pytest.fixture
def clock(monkeypatch):
    """Hours that are added to the time that the scan reads, and not to that of files."""
    added = SimpleNamespace(hours=0.0)
    real = time.time
    monkeypatch.setattr(antivirus.time, "time", lambda: real() + added.hours * 3600)
    return added


def test_the_first_file_that_is_not_judged_is_reported_at_once_and_the_others_together(
    portal, scanner, reported, clock
):
    for name in ("one", "two", "three"):
        (portal / f"var/upload/{name}").write_bytes(bytes(2000))
        antivirus.scan(address=scanner)  # the file before is met again: two scans have a moment in common
    assert [text.count("var/upload/") for _title, text, _again in reported] == [1] and "one" in reported[0][1]
    clock.hours = 1.1
    antivirus.scan(address=scanner)
    assert [text.count("var/upload/") for _title, text, _again in reported] == [1, 2] and "one" not in reported[1][1]
    for number in range(25):
        (portal / f"var/upload/many-{number}").write_bytes(bytes(2000))
    antivirus.scan(everything=True, address=scanner)
    clock.hours = 2.2
    antivirus.scan(address=scanner)
    assert len(reported) == 3 and reported[-1][1].endswith("\nand 5 more; the journal names them")
    clock.hours = 3.3
    antivirus.scan(address=scanner)
    assert len(reported) == 3


def test_what_every_scan_finds_again_is_reported_once_a_day(portal, scanner, reported, clock):
    (portal / "var/upload/one").write_bytes(bytes(2000))
    for clock.hours in range(24):
        antivirus.scan(everything=True, address=scanner)
    assert len(reported) == 1
    clock.hours = 24.1
    antivirus.scan(everything=True, address=scanner)
    assert len(reported) == 2


def test_viruses_of_an_hour_are_reported_together(portal, scanner, reported, clock):
    for number in range(30):
        (portal / "var/upload/essay.txt").write_bytes(VIRUS)
        clock.hours = number / 30  # every two minutes
        antivirus.scan(everything=True, address=scanner)
    assert len(reported) == 1 and not (portal / "var/upload/essay.txt").exists()
    clock.hours = 1.1
    antivirus.scan(address=scanner)
    assert len(reported) == 2 and reported[1][1].count("kept as") == 20 and "and 9 more" in reported[1][1]


def test_an_undelivered_alert_is_sent_as_soon_as_it_can_be(portal, scanner, monkeypatch):
    def deaf(*_words, again=False):
        raise alert.AlertError("No notification was sent.")

    monkeypatch.setattr(alert, "notify", deaf)
    (portal / "var/upload/essay.txt").write_bytes(VIRUS)
    with pytest.raises(antivirus.AntivirusError, match="No notification was sent"):
        antivirus.scan(address=scanner)
    heard = []
    monkeypatch.setattr(alert, "notify", lambda section, title, text, again=False: heard.append(text))
    antivirus.scan(address=scanner)
    assert len(heard) == 1 and "essay.txt" in heard[0]


def test_a_scanner_that_is_down_does_not_make_old_news_new(portal, scanner, reported, tmp_path):
    (portal / "var/upload/one").write_bytes(bytes(2000))
    antivirus.scan(address=scanner)
    with pytest.raises(antivirus.AntivirusError):
        antivirus.scan(address=str(tmp_path / "nobody"))
    antivirus.scan(address=scanner)
    assert [again for _title, _text, again in reported] == [True, False]


def test_no_link_is_followed_and_no_pipe_read(portal, scanner, reported, tmp_path):
    (tmp_path / "shadow").write_bytes(VIRUS)
    (portal / "var/upload/link").symlink_to(tmp_path / "shadow")
    (portal / "var/upload/folder").symlink_to(tmp_path)
    os.mkfifo(portal / "var/upload/pipe")
    assert antivirus.scan(address=scanner) == []
    assert (tmp_path / "shadow").exists()


def test_another_file_of_that_name_stays(portal, scanner, monkeypatch):
    path = portal / "var/upload/a"
    path.write_bytes(VIRUS)

    def swap(handle, address=""):
        path.rename(portal / "var/upload/z")
        path.write_bytes(b"good")
        return "Test.Virus"

    monkeypatch.setattr(antivirus, "judge", swap)
    seen = antivirus.scan_portal(str(portal), 0.0, str(portal / "keep"), scanner)
    assert len(seen.found) >= 1
    assert path.read_bytes() == b"good" or seen.scanned > 1


def test_an_infected_file_is_moved_when_no_alert_is_sent(portal, scanner, monkeypatch):
    def deaf(*_unused, **_also):
        raise alert.AlertError("no mail went out")

    monkeypatch.setattr(alert, "notify", deaf)
    (portal / "var/upload/a").write_bytes(VIRUS)
    with pytest.raises(antivirus.AntivirusError, match=r"kept as .* no mail went out"):
        antivirus.scan(address=scanner)
    assert not (portal / "var/upload/a").exists()


def test_two_scans_do_not_meet(portal, scanner):
    import fcntl

    os.makedirs(files.STATE)
    with open(os.path.join(files.STATE, "antivirus.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert antivirus.scan(address=scanner) == ["The last scan is still going on."]


def test_uploads_on_another_disk_are_scanned_too(portal, scanner, reported, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "essay.txt").write_bytes(VIRUS)
    (portal / "var/courses").symlink_to(data)
    assert "1 new files scanned, 1 with a virus" in antivirus.scan(address=scanner)[0]
    assert not (data / "essay.txt").exists()
    (data / "essay.txt").write_bytes(VIRUS)
    (portal / "var").rename(tmp_path / "shared")
    (portal / "var").symlink_to(tmp_path / "shared")
    (portal / "var/cache/x.php").write_bytes(VIRUS)
    assert "1 new files scanned, 1 with a virus" in antivirus.scan(address=scanner)[0]


def test_the_web_user_has_no_other_files_taken_away(portal, scanner, reported, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_bytes(VIRUS)
    (portal / "var/x").symlink_to(other)
    os.lchown(portal / "var/x", SOMEBODY, -1)
    lines = antivirus.scan(address=scanner)
    assert "1 not judged" in lines[0] and "var/x: a link to a directory" in lines[1] and (other / "file").exists()
    (portal / "var").rename(tmp_path / "x")
    (portal / "var").symlink_to(tmp_path / "x")
    os.lchown(portal / "var", SOMEBODY, -1)
    with pytest.raises(antivirus.AntivirusError, match="chown -h root"):
        antivirus.scan(address=scanner)


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

    def turn(handle, address=""):  # while the first files are scanned
        with contextlib.suppress(FileNotFoundError):
            mine.rename(portal / "elsewhere")
            away = mine
            if turned == "the link":
                link.unlink()
                away = link
            away.symlink_to(tmp_path / "log" / ("nginx" if turned == "the link" else ""))
            os.lchown(away, SOMEBODY, -1)
        return judge(handle, address)

    judge = antivirus.judge
    monkeypatch.setattr(antivirus, "judge", turn)
    lines = antivirus.scan(address=scanner)
    assert (tmp_path / "log/nginx/access.log").exists()
    assert (
        "1 new files scanned, 0 with a virus, 1 not judged" in lines[0] and "var/l: a link to a directory" in lines[1]
    )


def test_what_grows_after_it_was_judged_is_not_kept_whole(portal, scanner, reported, monkeypatch):
    path = portal / "var/upload/a"
    path.write_bytes(VIRUS)

    def grow(handle, address=""):
        virus = judge(handle, address)
        os.truncate(path, 1 << 24)
        return virus

    judge = antivirus.judge
    monkeypatch.setattr(antivirus, "judge", grow)
    monkeypatch.setattr(antivirus, "_BLOCK", 4)
    seen = antivirus.scan_portal(str(portal), 0.0, str(portal / "keep"), scanner)
    with open(seen.found[0].rpartition(" ")[2], "rb") as kept:
        assert kept.read() == VIRUS


def test_a_full_disk_is_not_filled_further_by_each_scan(portal, scanner, reported):
    (portal / "var/upload/a").write_bytes(VIRUS)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))  # Python ignores the signal
    try:
        with pytest.raises(OSError, match="too large"):
            antivirus.scan_portal(str(portal), 0.0, str(portal / "keep"), scanner)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(portal / "keep") == [] and (portal / "var/upload/a").exists()


def test_a_portal_that_is_not_there_is_reported(portal, scanner, reported, tmp_path):
    portal.rename(tmp_path / "moved")
    with pytest.raises(antivirus.AntivirusError, match="No such file"):
        antivirus.scan(address=scanner)
    assert [title for title, _text, _again in reported] == ["Uploads are not scanned for viruses"]


def test_after_the_clock_was_set_back_nothing_is_skipped(portal, scanner, reported):
    records.note(antivirus.RECORD, "campus", True, "", since=time.time() + 3600)
    (portal / "var/upload/a").write_bytes(VIRUS)
    assert "1 with a virus" in antivirus.scan(address=scanner)[0]


def test_what_was_found_before_the_scanner_went_is_reported(portal, scanner, reported, monkeypatch):
    for name in "ab":
        (portal / f"var/upload/{name}").write_bytes(VIRUS)
    answers = ["Test.Virus"]

    def judge(handle, address=""):
        if not answers:
            raise antivirus.AntivirusError("The virus scanner does not answer.")
        return answers.pop()

    monkeypatch.setattr(antivirus, "judge", judge)
    with pytest.raises(antivirus.AntivirusError, match="Test.Virus, kept as"):
        antivirus.scan(address=scanner)
    assert [title for title, _text, _again in reported] == [
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
        antivirus.scan(address=scanner)
    assert not (second / "var/upload/essay.txt").exists() and not (portal / "var/upload/z.txt").exists()
    pits = [text for title, text, _again in reported if title == "Uploads to campus.test were not judged"]
    assert len(pits) == 1 and "more than 100 nested directories" in pits[0] and len(pits[0]) < 1000


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
        with pytest.raises(antivirus.AntivirusError, match=r"campus\.test ended with RecursionError"):
            antivirus.scan(address=scanner)
    assert not (second / "var/upload/essay.txt").exists()
    assert records.read(antivirus.RECORD)["campus"]["ok"] is False
    assert "Uploads are not scanned for viruses" in [title for title, _text, _again in reported]
    (tmp_path / "uploads-campus.json").write_text("{")
    (second / "var/upload/essay.txt").write_bytes(VIRUS)
    with pytest.raises(antivirus.AntivirusError, match=r"uploads-campus\.json ended with JSONDecodeError"):
        antivirus.scan(address=scanner)
    assert not (second / "var/upload/essay.txt").exists()


def test_a_scan_that_comes_to_no_end_is_reported(portal, scanner, reported, clock):
    answers = []

    def judge(handle, address=""):
        for hours in (1.9, 2.1):
            clock.hours = hours
            answers.append(antivirus.scan(address=scanner)[0])
        return ""

    (portal / "var/upload/a").write_bytes(b"slow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(antivirus, "judge", judge)
        antivirus.scan(address=scanner)
    assert answers[0] == "The last scan is still going on." and "2 hours ago" in answers[1]
    assert [(title, again) for title, _text, again in reported] == [
        ("The scan for viruses does not come to its end", False)
    ]


def test_scans_that_do_not_take_place_are_reported_by_the_daily_work(portal, second, scanner, reported, clock):
    assert antivirus.late() == ["Uploads are scanned in time."] and reported == []
    clock.hours = 3
    assert len(antivirus.late()) == 2
    ((title, text, again),) = reported
    assert (title, again) == ("The scan for viruses is late", False)
    assert "no scan of the uploads of campus for 3 hours" in text and "school" in text
    records.note(antivirus.RECORD, "school", True, "")
    assert [line.split()[8] for line in antivirus.late()] == ["campus"]
    clock.hours = -5
    assert "time to come" in antivirus.late()[0]


@pytest.mark.parametrize(("hours", "is_late"), [(-1.1, True), (-0.9, False), (0, False), (1.9, False), (2.1, True)])
def test_a_scan_is_late_from_the_third_hour_on(portal, reported, clock, hours, is_late):
    records.note(antivirus.RECORD, "campus", True, "")
    clock.hours = hours
    assert (antivirus.late() != ["Uploads are scanned in time."]) is is_late
    assert bool(reported) is is_late


def test_where_no_alert_goes_out_a_scan_without_an_end_fails_with_the_words(monkeypatch, clock):
    def deaf(*_words):
        raise alert.AlertError("no mail went out")

    monkeypatch.setattr(alert, "notify", deaf)
    with pytest.raises(antivirus.AntivirusError, match=r"began 3 hours ago .* no mail went out"):
        antivirus._still(antivirus.time.time() - 3 * 3600)


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


def test_a_file_that_cannot_be_shown_is_not_judged(monkeypatch, tmp_path):
    monkeypatch.setattr(antivirus, "_reach", lambda _scanner, _address: None)
    (tmp_path / "x").write_text("x")
    handle = os.open(tmp_path / "x", os.O_RDONLY)
    with pytest.raises(antivirus.NotJudged, match="not connected"):
        antivirus.judge(handle)
    os.close(handle)


def test_where_nothing_is_scanned_no_scan_is_late(portal, reported, monkeypatch, tmp_path):
    monkeypatch.setattr(antivirus, "CONFIGURATION", str(tmp_path / "nowhere/*"))
    assert antivirus.late() == [] and reported == []


# --------------------------------------------------------------------------------- directories that were moved


@pytest.fixture
def scan(portal, scanner, reported, monkeypatch):
    """A scan, a moment after what was written before it: how many files were shown to the scanner."""
    monkeypatch.setattr(antivirus, "_OVERLAP", 0.0)

    def scan():
        time.sleep(0.02)
        lines = antivirus.scan(address=scanner)
        time.sleep(0.02)
        return int(lines[0].split()[1]) if lines else 0

    return scan


@pytest.mark.parametrize("where", ["campus/var/cache", "campus/var/log", "elsewhere"])
def test_a_directory_that_was_filled_elsewhere_is_scanned_where_it_comes_to(portal, scan, tmp_path, where):
    bad = tmp_path / where / "x/below"
    bad.mkdir(parents=True)
    (bad / "essay.txt").write_bytes(VIRUS)
    scan()
    (tmp_path / where / "x").rename(portal / "var/upload/x")
    assert scan() == 1 and not (portal / "var/upload/x/below/essay.txt").exists()


def test_an_upload_has_no_known_directory_scanned_again(portal, scan):
    for number in range(20):
        (portal / f"var/upload/re/{number}").write_bytes(b"good")
    assert scan() == 20
    for _upload in range(2):
        (portal / f"var/upload/re/new{_upload}").write_bytes(b"good")
        assert scan() == 1
    (portal / "var/upload/re").rename(portal / "var/upload/other")
    assert scan() == 0  # where it lay before, all of it was seen
    (portal / "var/upload/in").mkdir()
    (portal / "var/upload/other").rename(portal / "var/upload/in/other")
    assert scan() == 22
    assert scan() == 0


def test_a_known_directory_that_was_filled_elsewhere_is_scanned_when_it_comes_back(portal, scan):
    scan()
    (portal / "var/upload/re").rename(portal / "var/cache/re")
    (portal / "var/cache/re/essay.txt").write_bytes(VIRUS)
    assert scan() == 0
    (portal / "var/cache/re").rename(portal / "var/upload/re")
    assert scan() == 1


def test_what_a_new_link_leads_to_is_scanned_however_old_it_is(portal, scan, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/essay.txt").write_bytes(VIRUS)
    scan()
    (portal / "var/x").symlink_to(tmp_path / "x")
    assert scan() == 1 and scan() == 0


def test_a_scan_that_broke_off_has_learnt_nothing(portal, scan, monkeypatch):
    (portal / "var/cache/x").mkdir()
    (portal / "var/cache/x/essay.txt").write_bytes(VIRUS)
    scan()
    (portal / "var/cache/x").rename(portal / "var/upload/x")
    with monkeypatch.context() as patch:
        patch.setattr(antivirus, "judge", lambda handle, address="": 1 / 0)
        with pytest.raises(antivirus.AntivirusError):
            scan()
    assert scan() == 1


def test_how_many_directories_are_remembered_has_an_end_and_only_what_is_forgotten_is_scanned_again(
    portal, scan, monkeypatch
):
    for name in "abcdef":
        (portal / f"var/upload/{name}").mkdir()
        (portal / f"var/upload/{name}/1").write_bytes(b"good")
    monkeypatch.setattr(antivirus, "_PLACES", 5)
    assert scan() == 6
    known = memory()["places"]
    assert len(known) == 5 and scan() == 0
    numbers = {place.split()[-1] for place in known}
    shown = {}
    for name in "abcdef":
        (portal / f"var/upload/{name}/2").write_bytes(b"good")
        shown[name] = scan()
        assert memory()["places"] == known
    assert shown == {name: 2 - (str((portal / f"var/upload/{name}").stat().st_ino) in numbers) for name in "abcdef"}
    assert 2 in shown.values()


def memory():
    with open(os.path.join(files.STATE, "antivirus-campus.json"), encoding="utf-8") as file:
        return json.load(file)


def test_a_directory_that_does_not_open_is_reported_and_scanned_whole_once_it_does(
    portal, scanner, reported, scan, monkeypatch
):
    for name in "abc":
        (portal / f"var/upload/{name}").mkdir()
        (portal / f"var/upload/{name}/1").write_bytes(b"good")
    real = os.open

    def stale(path, *words, **more):
        if path == "b":
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), path)
        return real(path, *words, **more)

    assert scan() == 3
    with monkeypatch.context() as patch:
        patch.setattr(antivirus.os, "open", stale)
        (portal / "var/upload/b/2").write_bytes(b"good")
        assert scan() == 0
        ((_title, text, _again),) = reported
        assert "var/upload/b: could not be opened: Stale file handle" in text
        (portal / "var/upload/c/2").write_bytes(b"good")
        assert scan() == 1
    assert scan() == 2


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


def test_what_is_no_directory_leads_nowhere_and_no_handle_is_left(portal):
    (portal / "file").touch()
    top = os.open(portal, os.O_RDONLY | os.O_DIRECTORY)
    try:
        handles = len(os.listdir("/proc/self/fd"))
        with pytest.raises(NotADirectoryError, match="'file'"):
            antivirus._led("file", top)
        assert len(os.listdir("/proc/self/fd")) == handles
    finally:
        os.close(top)


def test_a_directory_that_cannot_be_listed_is_closed(portal, monkeypatch):
    def fails(_handle):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    handle = os.open(portal, os.O_RDONLY | os.O_DIRECTORY)
    monkeypatch.setattr(antivirus.os, "scandir", fails)
    with pytest.raises(OSError, match="Input/output error"):
        antivirus._Directory(handle, str(portal), None, antivirus.Places(0.0))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(handle)


def test_a_file_that_goes_meanwhile_hides_no_other(portal, scanner, monkeypatch):
    for name in ("a", "gone", "z"):
        (portal / "var/upload" / name).write_bytes(b"an essay")
    opened = os.open

    def goes(path, *how, **at):
        if path == "gone":
            raise FileNotFoundError
        return opened(path, *how, **at)

    monkeypatch.setattr(antivirus.os, "open", goes)
    seen = antivirus.scan_portal(str(portal), 0.0, str(portal / "kept"), scanner)
    assert (seen.scanned, seen.found, seen.not_judged) == (2, [], [])


def test_an_alert_that_does_not_go_out_is_reported_beside_what_it_was_about(portal, monkeypatch, tmp_path):
    def unheard(*_words, **_how):
        raise alert.AlertError("No notification was sent.")

    monkeypatch.setattr(alert, "notify", unheard)
    with pytest.raises(antivirus.AntivirusError, match=r"scanner does not answer: .* No notification was sent\."):
        antivirus.scan(address=str(tmp_path / "no-scanner"))
