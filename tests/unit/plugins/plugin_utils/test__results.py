# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A result that a host delivered is read like any other answer of a host, which may be hostile."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import results
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _results

NOW = datetime.datetime(2026, 11, 30, 12, tzinfo=datetime.timezone.utc)
ANSWER: dict[str, Any] = {
    "observed": {"headers_csp": {"status": "fail", "evidence": "It is not sent."}},
    "chamilo_version": "2.0.4",
    "signs": [],
    "forecast": {},
    "names": ["campus.test"],
    "active": [],
}


def written(directory: Path, name: str = "campus", hours: float = 1, **more: Any) -> Path:
    moment = (NOW - datetime.timedelta(hours=hours)).timestamp()
    path = directory / _results.names(name)["file"]
    path.write_text(json.dumps({**results.document(name, "campus", ANSWER, moment), **more}))
    return path


def read(directory: Path, host: str = "campus") -> _results.Result:
    return _results.read(str(directory), host, 48, NOW)


def test_what_the_host_wrote_is_read(tmp_path: Path) -> None:
    written(tmp_path)
    assert read(tmp_path) == _results.Result(ANSWER, "2026-11-30T11:00:00Z")


@pytest.mark.parametrize("host", ["../../etc/passwd", "a/b", ".", "..", "campus.example.org", "a b", "ä", "%2f"])
def test_whatever_a_host_is_called_its_file_lies_in_the_directory(tmp_path: Path, host: str) -> None:
    assert written(tmp_path, host).parent == tmp_path and read(tmp_path, host).answer == ANSWER
    assert [path.name for path in tmp_path.iterdir()] == [_results.names(host)["file"]]


def test_two_hosts_never_share_a_file() -> None:
    hosts = ["a.b", "a_b", "a%b", "a%2eb", "a-b", "a/b"]
    assert len({_results.names(host)["file"] for host in hosts}) == len(hosts)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"host": "other"}, "is the result of another host"),
        ({"format": 2}, "has format 2"),
        ({"format": "1"}, "format is a text"),
        ({"generated": "yesterday"}, "generated"),
        ({"generated": "2026-99-99T11:00:00Z"}, "cannot be read"),
        ({"answer": []}, "answer is a list"),
        ({"answer": {**ANSWER, "observed": {"headers_csp": {"status": "fine", "evidence": ""}}}}, "status"),
        ({"answer": {"observed": {}}}, "is missing"),
        ({"answer": {**ANSWER, "names": ["{{ lookup('pipe', 'id') }}"]}}, "names"),
    ],
)
def test_another_form_is_refused_by_name(tmp_path: Path, more: dict[str, Any], why: str) -> None:
    written(tmp_path, **more)
    with pytest.raises(_results.ResultError, match=why):
        read(tmp_path)


def test_nothing_but_what_the_module_answers_reaches_the_controller(tmp_path: Path) -> None:
    written(tmp_path, answer={**ANSWER, "ansible_facts": {"chamilo_report_dir": "/"}, "failed": True, "_ansible_x": 1})
    assert read(tmp_path).answer == ANSWER


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"null"])
def test_what_is_no_result_is_refused(tmp_path: Path, content: bytes) -> None:
    written(tmp_path).write_bytes(content)
    with pytest.raises(_results.ResultError, match=r"campus\.json cannot be read as the result of an audit"):
        read(tmp_path)


def test_a_huge_file_and_one_that_is_none_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(_results.ResultError, match="more than 16 MiB"):
        read(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(_results.ResultError, match="no regular file"):
        read(tmp_path)


def test_an_old_result_is_none_and_one_that_is_to_come_neither(tmp_path: Path) -> None:
    written(tmp_path, hours=49)
    with pytest.raises(_results.ResultError, match=r"2026-11-28T11:00:00Z, more than 48 hours ago.*daily\.timer"):
        read(tmp_path)
    written(tmp_path, hours=-2)
    with pytest.raises(_results.ResultError, match="Set the clock of the host"):
        read(tmp_path)


def test_a_host_that_delivered_nothing_is_reported_how(tmp_path: Path) -> None:
    with pytest.raises(_results.ResultError, match=r"There is no .*chamilo_monitoring_results"):
        read(tmp_path)
