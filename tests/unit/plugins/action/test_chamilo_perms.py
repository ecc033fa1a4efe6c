# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package of the release, which the controller reads when a host asks for it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import socket
import threading
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.error import HTTPError, URLError

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.chamilo.hardening.plugins.action.chamilo_perms import ActionModule
from ansible_collections.chamilo.hardening.plugins.module_utils._application import release_files
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _release

OFFICIAL = "https://github.com/chamilo/chamilo-lms/releases/download/v3.0.2/chamilo-3.0.2.zip"


def packed(version: str = "3.0.2") -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("chamilo/public/index.php", "<?php")
        archive.writestr("chamilo/version.php", f'<?php\nreturn ["version" => "{version}"];\n')
    return content.getvalue()


class Web:
    """What is at each address; and which addresses were asked for."""

    def __init__(self, pages: dict[str, Any]) -> None:
        self.pages, self.asked = pages, []

    def open_url(self, address: str, timeout: float, validate_certs: bool, decompress: bool) -> Any:
        assert timeout == 5 and validate_certs is True and decompress is False
        self.asked.append(address)
        answer = self.pages.get(address, HTTPError(address, 404, "Not Found", None, None))
        if isinstance(answer, Exception):
            raise answer
        response = io.BytesIO(answer)
        response.geturl = lambda: f"{address.partition('://')[0]}://release-assets.example/x"
        return response


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Web:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(_release.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    web = Web({OFFICIAL: packed()})
    monkeypatch.setattr(_release, "open_url", web.open_url)
    return web


def run(needed: str = "3.0.2", **arguments: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The result of the action, and what the comparison was given, where there was one."""
    task = Mock(args={"root": "/srv", **arguments}, async_val=0, delegate_to=None)
    action = ActionModule(task, Mock(), Mock(), Mock(), Mock(), Mock())
    compared: list[dict[str, Any]] = []

    def execute(module_name: str = "", module_args: Any = None, **_options: Any) -> dict[str, Any]:
        if module_name:
            compared.append({**module_args["request"], **module_args.get("secrets", {})})
            return {"package": "the package", "package_problem": "", "unlike": ["public: 1 file is in no package"]}
        done = bool(compared)
        assert not done or module_args == {**task.args, "package": "off"}
        return {"changed": done, "version": needed, "package_needed": "" if done else needed}

    action._execute_module = execute
    action._find_needle = lambda _directory, name: name
    return action.run(task_vars={}), compared


def manifest(given: dict[str, Any]) -> release_files.Manifest:
    return release_files.parse(zlib.decompress(base64.b64decode(given["manifest"])).decode())


def test_a_host_that_has_its_manifest_is_asked_once_and_nothing_is_fetched(web: Web) -> None:
    result, again = run("", package="auto")
    assert (result["changed"], again, web.asked) == (False, [], [])


def test_the_official_package_is_fetched_once_for_all_hosts_with_this_release_and_deleted(
    web: Web, tmp_path: Path
) -> None:
    for _host in range(2):
        result, (given,) = run(package="auto")
        assert result["changed"] and "problem" not in given
        assert (result["package"], result["version"]) == ("the package", "3.0.2")
        assert result["unlike"] == ["public: 1 file is in no package"] and given["root"] == "/srv"
        found = manifest(given)
        assert (found.package, found.version) == ("chamilo-3.0.2.zip", "3.0.2")
        assert set(found.files) == {"public/index.php", "version.php"}
    assert web.asked == [OFFICIAL]
    assert [path.name for path in tmp_path.rglob("*.zip")] == []
    cache = tmp_path / "cache/chamilo-hardening"
    assert cache.stat().st_mode & 0o777 == 0o700
    assert (cache / "release-3.0.2.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("needed", "page", "words"),
    [
        ("3.0.2", None, "HTTP 404"),
        ("3.0.2", URLError("Name or service not known"), "Name or service not known"),
        ("3.0.2", b"<html>", "contains no public/index.php|no whole zip"),
        ("3.0.2", packed("3.0.1"), "names Chamilo 3.0.1"),
        ("3.0.2-dev", packed(), "no release of which there is an official package"),
        ("unknown", packed(), "no release of which there is an official package"),
        ("../../x", packed(), "no release of which there is an official package"),
    ],
)
def test_without_the_official_package_the_run_goes_on_and_the_host_is_given_the_reason(
    web: Web, needed: str, page: Any, words: str
) -> None:
    web.pages = {OFFICIAL: page} if page else {}
    result, (given,) = run(needed, package="auto")
    assert result["changed"] and "manifest" not in given
    assert any(word in given["problem"] for word in words.split("|"))


def test_what_does_not_answer_is_not_waited_for(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_release, "_OPEN", 0.05)
    monkeypatch.setattr(_release, "open_url", lambda *_given, **_more: time.sleep(5))
    begin = time.monotonic()
    _result, (given,) = run(package="auto")
    assert "no answer within" in given["problem"] and time.monotonic() - begin < 2


@pytest.mark.parametrize("limit", ["_LARGEST", "_WHOLE"])
def test_what_has_no_end_is_not_read_to_it(web: Web, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(_release, limit, -1)
    _result, (given,) = run(package="auto")
    assert "larger than" in given["problem"]


class Answer:
    """One over a real socket, which ends or goes on as its server likes."""

    def __init__(self, sent: Iterable[bytes]) -> None:
        ours, theirs = socket.socketpair()

        def send() -> None:
            with contextlib.suppress(OSError), theirs:
                for part in sent:
                    theirs.sendall(part)

        threading.Thread(target=send, daemon=True).start()
        self.response = http.client.HTTPResponse(ours)
        self.response.begin()
        self.response.geturl = lambda: "https://release-assets.example/x"

    def open_url(self, *_given: Any, **_more: Any) -> http.client.HTTPResponse:
        return self.response


HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_what_comes_byte_by_byte_is_not_waited_for_either(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def drip() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
        for _second in range(100):
            time.sleep(0.05)
            yield b"x"

    monkeypatch.setattr(_release, "_WHOLE", 0.2)
    monkeypatch.setattr(_release, "open_url", Answer(drip()).open_url)
    begin = time.monotonic()
    _result, (given,) = run(package="auto")
    assert "took longer than" in given["problem"] and time.monotonic() - begin < 2


@pytest.mark.parametrize("sent", [HEAD + b"5\r\nab", HEAD + b"no number\r\n"])
def test_an_answer_that_breaks_off_is_a_reason_and_no_failure(
    web: Web, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(_release, "open_url", Answer([sent]).open_url)
    result, (given,) = run(package="auto")
    assert result["changed"] and "is no answer of a web server" in given["problem"]


def test_the_other_hosts_of_a_run_do_not_wait_for_what_cannot_be_had(web: Web) -> None:
    web.pages = {}
    problems = {run(package="auto")[1][0]["problem"] for _host in range(3)}
    assert len(problems) == 1 and web.asked == [OFFICIAL]


def test_the_official_package_has_to_have_the_checksum_that_is_set(web: Web) -> None:
    _result, (given,) = run(package="auto")
    again = run(package="auto", package_sha256=manifest(given).sha256.upper())[1]
    assert len(again) == 1
    with pytest.raises(AnsibleActionFail, match="has the sha256 .*, not 0000"):
        run(package="auto", package_sha256="00" * 32)


@pytest.mark.parametrize("arguments", [{}, {"package": "off"}])
def test_a_host_that_asks_for_a_package_which_its_task_does_not_name_gets_none(
    web: Web, arguments: dict[str, Any]
) -> None:
    result, again = run(**arguments)
    assert (again, web.asked) == ([], []) and result["package_needed"] == "3.0.2"


def test_a_file_or_an_address_of_the_administrator_s(web: Web, tmp_path: Path) -> None:
    path = tmp_path / "ours.zip"
    path.write_bytes(packed())
    _result, (given,) = run(package=str(path))
    assert manifest(given).package == "ours.zip" and path.exists()
    address = "https://school.example/chamilo.zip"
    web.pages[address] = path.read_bytes()  # packed a second later it is another file
    _result, (given,) = run(package=address, package_sha256=manifest(given).sha256)
    assert manifest(given).package == "chamilo.zip"
    for wrong, words in (
        ({"package": address, "package_sha256": "00" * 32}, "has the sha256"),
        ({"package": "https://school.example/gone.zip"}, "cannot be fetched: HTTP 404"),
        ({"package": str(tmp_path / "gone.zip")}, "cannot be read"),
    ):
        with pytest.raises(AnsibleActionFail, match=words):
            run(**wrong)
    with pytest.raises(AnsibleActionFail, match=r"is the package of Chamilo 3\.0\.2, and 3\.0\.3 is installed"):
        run("3.0.3", package=str(path))


def test_an_address_that_leads_to_one_without_tls_is_refused(web: Web) -> None:
    web.pages["http://school.example/x.zip"] = packed()
    with pytest.raises(AnsibleActionFail, match="not https"):
        run(package="http://school.example/x.zip")


def test_a_controller_without_a_home_fetches_it_for_each_host(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    for _host in range(2):
        _result, (given,) = run(package="auto")
        assert manifest(given).version == "3.0.2"
    assert web.asked == [OFFICIAL] * 2
