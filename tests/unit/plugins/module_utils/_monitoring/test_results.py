# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the results of a host's own audits go: a directory, and a real HTTPS server."""

from __future__ import annotations

import base64
import http.server
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import results, watch

ANSWER = {"observed": {"headers_csp": {"status": "pass", "evidence": "Sent."}}}
RESULT = results.document("campus", "campus_test", ANSWER, 1790000123.0)


def known(to: str) -> dict[str, str]:
    return {"to": to, "file": "campus.json", "host": "campus"}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """``answers``: with what it answers, the first first; ``got``: method, path, authorization and content."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        + ["-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        + ["-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    known = SimpleNamespace(got=[], answers=[201])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            known.got.append((self.path, self.headers.get("Authorization"), json.loads(content)))
            known.headers = self.headers
            self.send_response(known.answers.pop(0))
            self.send_header("Location", "https://elsewhere.example/")
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    known.address = f"localhost:{listening.server_address[1]}"
    yield known
    listening.shutdown()
    listening.server_close()


def test_a_result_reports_of_which_host_and_when() -> None:
    assert RESULT == {
        "format": 1,
        "host": "campus",
        "site": "campus_test",
        "generated": "2026-09-21T14:15:23Z",
        "answer": ANSWER,
    }


def test_a_directory_gets_one_file_for_each_host_readable_by_root_alone(tmp_path: Path) -> None:
    for _time in range(2):
        results.deliver(known(str(tmp_path)), RESULT)
    (path,) = tmp_path.iterdir()
    assert (
        json.loads(path.read_text()) == RESULT and path.name == "campus.json" and path.stat().st_mode & 0o777 == 0o600
    )


def test_a_mount_that_is_away_is_not_filled_below(tmp_path: Path) -> None:
    away = tmp_path / "mount"
    with pytest.raises(results.DeliveryError, match=f"there is no directory {away}. Mount it"):
        results.deliver(known(str(away)), RESULT)
    assert not away.exists()


def test_an_endpoint_gets_it_by_put_with_the_user_of_the_address(server: Any) -> None:
    results.deliver(known(f"https://audit:p%40ss@{server.address}/dav/results/"), RESULT)
    ((path, authorization, content),) = server.got
    assert path == "/dav/results/campus.json" and content == RESULT
    assert authorization == f"Basic {base64.b64encode(b'audit:p@ss').decode()}"


@pytest.mark.parametrize("status", [300, 302, 401, 507])
def test_what_the_endpoint_refuses_is_reported_without_the_password_and_no_redirect_is_followed(
    server: Any, status: int
) -> None:
    server.answers = [status]
    with pytest.raises(results.DeliveryError, match=f"localhost answered {status}") as caught:
        results.deliver(known(f"https://audit:secret@{server.address}/dav"), RESULT)
    assert "secret" not in str(caught.value) and len(server.got) == 1


@pytest.mark.parametrize("status", [200, 201, 299])
def test_what_the_endpoint_accepts_is_delivered(server: Any, status: int) -> None:
    server.answers = [status]
    results.deliver(known(f"https://audit:secret@{server.address}/dav"), RESULT)
    assert len(server.got) == 1


def test_a_server_with_an_untrusted_certificate_gets_nothing(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(results.DeliveryError, match="localhost is not reached: certificate refused"):
        results.deliver(known(f"https://{server.address}/dav"), RESULT)
    assert server.got == []


def test_the_configuration_is_that_of_the_playbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "DIRECTORY", str(tmp_path))
    assert results.configuration("campus") == {}
    path = tmp_path / "results-campus.json"
    path.write_text(json.dumps(known("/srv/results")))
    assert results.configuration("campus") == known("/srv/results")
    path.write_text('{"to": 1}')
    with pytest.raises(results.DeliveryError, match="is damaged"):
        results.configuration("campus")


def test_a_directory_that_cannot_be_written_to_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_path: str, _text: str) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files, "replace_file", fails)
    with pytest.raises(results.DeliveryError, match=f"{tmp_path} cannot be written to: Read-only file system."):
        results.deliver(known(str(tmp_path)), RESULT)
