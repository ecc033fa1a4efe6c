# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics for Prometheus: their text format, and what they report of a host."""

from __future__ import annotations

import socketserver
import ssl
import subprocess
import threading
import time
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._audit import _metrics
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.fail2ban import Fail2banError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import FAIL, PASS, Finding

AT = 1790000123.0


@pytest.fixture
def host(monkeypatch):
    """``records``: what jobs wrote down, by file; ``banned``: address -> jails."""
    host = SimpleNamespace(records={}, banned={}, jails=["chamilo-login"])
    seen = {"headers_csp": Finding(PASS, ""), "https_hsts": Finding(FAIL, "")}
    monkeypatch.setattr(_metrics.records, "read", lambda file: host.records.get(file, {}))
    monkeypatch.setattr(_metrics.fail2ban, "running", lambda: [SimpleNamespace(name=name) for name in host.jails])
    monkeypatch.setattr(_metrics.fail2ban, "banned", lambda: host.banned)
    host.observer = SimpleNamespace(endpoints={}, now=AT, site=SimpleNamespace(domain="campus.test", version="2.0.4"))
    host.observer.options = {"advisories": {}}
    host.observer.once = lambda question: question(host.observer)
    host.audit = SimpleNamespace(observer=host.observer, findings=seen)
    return host


def figures(host):
    text = _metrics.render("campus", host.audit)
    assert text.endswith("\n")
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def test_each_control_has_its_status(host):
    assert (
        figures(host).items()
        >= {
            'chamilo_control_status{site="campus",control="headers_csp",status="pass"}': "1",
            'chamilo_control_status{site="campus",control="https_hsts",status="fail"}': "1",
        }.items()
    )


def test_when_a_job_ran_is_reported_to_the_second_and_how_it_ended(host):
    host.records["backups.json"] = {"drill": {"at": AT, "ok": False}, "note": "no job"}
    host.records["updates.json"] = {"watch": {"at": AT - 1, "ok": True}}
    assert (
        figures(host).items()
        >= {
            'chamilo_job_timestamp_seconds{site="campus",job="backups_drill"}': "1790000123",
            'chamilo_job_timestamp_seconds{site="campus",job="updates_watch"}': "1790000122",
            'chamilo_job_ok{site="campus",job="backups_drill"}': "0",
            'chamilo_job_ok{site="campus",job="updates_watch"}': "1",
        }.items()
    )


def test_when_the_sources_of_updates_were_read_and_what_is_newer(host):
    read = {"feed": {"at": AT, "newest": {"2.0": "2.0.5"}}}
    host.records["updates.json"] = {"watch": {"at": AT, "ok": True, "read": {"campus.test": read}}}
    name = 'chamilo_updates_read_timestamp_seconds{site="campus",source='
    found = figures(host)
    assert found[f'{name}"feed"}}'] == "1790000123"
    assert float(found[f'{name}"list"}}']) > 1.79e9
    assert found['chamilo_update_available{site="campus",release="2.0.5"}'] == "1"
    host.observer.site.version = "2.0.5"
    assert figures(host)['chamilo_update_available{site="campus",release="2.0.5"}'] == "0"
    host.observer.site.version = ""
    assert not [each for each in figures(host) if each.startswith("chamilo_update_available")]


def test_bans_are_counted_by_jail_and_one_without_any_is_zero(host):
    host.jails.append("sshd")
    host.banned = {"203.0.113.7": ["chamilo-login", "recidive"], "203.0.113.8": ["chamilo-login"]}
    found = figures(host)
    assert found['chamilo_bans{site="campus",jail="chamilo-login"}'] == "2"
    assert found['chamilo_bans{site="campus",jail="sshd"}'] == "0"
    assert found['chamilo_bans{site="campus",jail="recidive"}'] == "1"


def test_a_fail2ban_that_gives_no_answer_has_no_figures(host, monkeypatch):
    def silent():
        raise Fail2banError("no answer")

    monkeypatch.setattr(_metrics.fail2ban, "running", silent)
    assert not [name for name in figures(host) if name.startswith("chamilo_bans")]


@pytest.fixture
def endpoint(tmp_path):
    """A TLS server with a certificate for 30 days, which is trusted where SSL_CERT_FILE names ``certificate``."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        + ["-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:campus.test"]
        + ["-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_arguments: None  # a client that does not believe in it
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield SimpleNamespace(
        address="127.0.0.1", port=server.server_address[1], name="campus.test", certificate=str(certificate)
    )
    server.shutdown()
    server.server_close()


DAYS = 'chamilo_certificate_days{site="campus"}'


def test_the_days_of_the_served_certificate_are_counted(host, endpoint, monkeypatch):
    host.observer.endpoints, host.observer.now = {"https": endpoint}, time.time()
    assert figures(host)[DAYS] == "0", "nobody believes in it"
    monkeypatch.setenv("SSL_CERT_FILE", endpoint.certificate)
    assert 29.9 < float(figures(host)[DAYS]) <= 30
    host.observer.now += 10 * 86400
    assert 19.9 < float(figures(host)[DAYS]) <= 20
    endpoint.name = "other.test"
    assert figures(host)[DAYS] == "0", "it is somebody else's"


def test_a_label_cannot_end_its_quotes(host):
    host.records["backups.json"] = {'a"\\\n': {"at": AT, "ok": True}}
    assert 'job="backups_a\\"\\\\\\n"' in _metrics.render("campus", host.audit)
