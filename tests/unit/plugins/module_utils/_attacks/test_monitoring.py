# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attacks that monitoring has to notice. Each leaves nothing behind, noticed or not."""

from __future__ import annotations

import contextlib
import http.server
import os
import threading
import time
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import monitoring
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._insider import Insider
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import compromise, daily, watch
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.integrity import Changes
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.watch import Seen
from ansible_collections.chamilo.hardening.plugins.module_utils._portal import accounts
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Listen, VirtualHost
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Site

ATTACKS = (
    monitoring.make_an_error,
    monitoring.guess_from_many_addresses,
    monitoring.make_an_administrator,
    monitoring.change_a_file,
    monitoring.leave_a_back_door,
)


@pytest.fixture
def host(monkeypatch, tmp_path):
    """A host on which each attack is noticed, unless ``blind`` is set."""
    for directory in ("public/main", "var/upload"):
        (tmp_path / directory).mkdir(parents=True)
    host = SimpleNamespace(
        insider=Insider(Site("campus.test", root=str(tmp_path))), blind=False, sites=["campus"], sql=[], json=[]
    )

    def there():
        return [os.path.join(directory, name) for directory, _directories, names in os.walk(tmp_path) for name in names]

    def compare(site):
        return Changes(added=[] if host.blind else [os.path.relpath(path, tmp_path) for path in there()])

    def trace(observer):
        return compromise.Trace([] if host.blind else [f"PHP: {path}" for path in there()])

    def review(reader, days, expected):
        names = [params[0] for sql, params in host.sql if sql.startswith("INSERT")]
        return accounts.Review(3, [], ["admin"], [] if host.blind else names)

    @contextlib.contextmanager
    def writing(account):
        yield lambda sql, params: host.sql.append((sql, params))

    monkeypatch.setattr(daily, "sites", lambda: host.sites)
    monkeypatch.setattr(watch, "configuration", lambda site: {"root": str(tmp_path), "log": "prod.log"})
    monkeypatch.setattr(watch, "pulse", lambda site: {} if host.blind else {"at": time.time()})
    monkeypatch.setattr(watch, "logins", lambda site: Seen("20 failed logins.", not host.blind))
    monkeypatch.setattr(daily, "log_test", lambda known: "")
    monkeypatch.setattr(daily, "compare", compare)
    monkeypatch.setattr(compromise, "trace", trace)
    monkeypatch.setattr(accounts, "review", review)
    monkeypatch.setattr(monitoring, "writing", writing)
    reader = SimpleNamespace(account=None, query=lambda sql: host.json)
    monkeypatch.setattr(monitoring.Reader, "of_site", classmethod(lambda cls, site: reader))
    monkeypatch.setattr(monitoring, "_guess", lambda insider, address: None)
    host.there = there
    return host


@pytest.mark.parametrize("attack", ATTACKS)
def test_each_is_noticed_where_the_section_is_active(host, attack):
    assert attack(host.insider).status == "pass" and host.there() == []
    host.blind = True
    assert attack(host.insider).status == "fail" and host.there() == []
    host.blind, host.sites = False, []
    assert attack(host.insider).status == "fail" and host.there() == []


def test_the_administrator_goes_again(host):
    monitoring.make_an_administrator(host.insider)
    (made, values), (gone, names) = host.sql
    assert made.startswith("INSERT") and gone.startswith("DELETE") and names == values[:1]


def test_the_administrator_has_its_role_in_the_form_of_the_column(host):
    monitoring.make_an_administrator(host.insider)
    host.json = [{"1": "1"}]
    monitoring.make_an_administrator(host.insider)
    assert [values[2] for sql, values in host.sql if sql.startswith("INSERT")] == [
        'a:1:{i:0;s:10:"ROLE_ADMIN";}',
        '["ROLE_ADMIN"]',
    ]


@pytest.mark.parametrize(
    ("age", "evidence"),
    [
        (890, "An error of the application is in prod.log, which monit read within the last minutes."),
        (901, "An error of the application is in prod.log, but monit does not read it."),
    ],
)
def test_a_log_that_monit_read_lately_is_watched(host, monkeypatch, age, evidence):
    monkeypatch.setattr(watch, "pulse", lambda site: {"at": time.time() - age})
    assert monitoring.make_an_error(host.insider).evidence == evidence


def test_this_portal_is_found_among_others(host, monkeypatch, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    roots = {"other": "/srv/other", "campus": str(tmp_path / "link"), "third": "/srv/third"}
    monkeypatch.setattr(watch, "configuration", lambda site: {"root": roots[site]})
    host.sites = list(roots)
    assert monitoring._watched(host.insider) == "campus"
    host.sites = ["other", "third"]
    assert monitoring._watched(host.insider) == ""


def test_each_wrong_password_comes_from_another_address(host, monkeypatch):
    seen = []
    monkeypatch.setattr(monitoring, "_guess", lambda insider, address: seen.append(address))
    found = monitoring.guess_from_many_addresses(host.insider)
    assert found.evidence == "20 wrong passwords from as many addresses raise the alarm: 20 failed logins."
    assert seen == [f"127.0.0.{last}" for last in range(2, 22)]
    host.blind = True
    words = "20 wrong passwords from as many addresses raised no alarm. 20 failed logins. After: 20 failed logins."
    assert monitoring.guess_from_many_addresses(host.insider).evidence == words


def test_an_error_that_is_lost_is_reported(host, monkeypatch):
    monkeypatch.setattr(daily, "log_test", lambda known: "A test error did not reach prod.log.")
    assert monitoring.make_an_error(host.insider).evidence == "A test error did not reach prod.log."


def test_it_guesses_from_another_address_each_time(monkeypatch):
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.client_address[0], self.path, self.headers["Host"]))
            self.send_response(401)
            self.end_headers()

        def log_message(self, *words):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        listens = (Listen("*", server.server_port, False),)
        site = Site("campus.test", serving=(VirtualHost("a.conf", 1, ("campus.test",), listens, ""),))
        monitoring._guess(Insider(site), "127.0.0.9")
        server.shutdown()
    assert seen == [("127.0.0.9", "/login_json", "campus.test")]


@pytest.mark.parametrize(
    ("listens", "port", "tls"),
    [
        ((), 80, False),
        ((Listen("unix:/run/nginx.sock", 0, tls=True), Listen("*", 8080, tls=False)), 8080, False),
        ((Listen("*", 80, tls=False), Listen("*", 8443, tls=True), Listen("*", 81, tls=False)), 8443, True),
    ],
)
def test_it_guesses_over_https_where_that_is_spoken(monkeypatch, listens, port, tls):
    """By whatever certificate; plain http only leads there."""
    seen = []

    class Stop(Exception):
        pass

    class Raw:
        def sendall(self, data):
            raise Stop

        def close(self):
            seen.append("closed")

    def wrap(context, raw, server_hostname):
        seen.append((server_hostname, context.check_hostname, context.verify_mode))
        return raw

    def connect(*asked):
        seen.append(asked)
        return Raw()

    monkeypatch.setattr(monitoring.socket, "create_connection", connect)
    monkeypatch.setattr(monitoring.ssl.SSLContext, "wrap_socket", wrap)
    serving = (VirtualHost("a.conf", 1, ("campus.test",), listens, ""),)
    with pytest.raises(Stop):
        monitoring._guess(Insider(Site("campus.test", serving=serving)), "127.0.0.9")
    wrapped = [("campus.test", False, monitoring.ssl.CERT_NONE)] if tls else []
    assert seen == [(("127.0.0.1", port), 10, ("127.0.0.9", 0)), *wrapped, "closed"]


def test_a_new_file_that_nothing_vouches_for_is_seen_as_well(host, monkeypatch):
    """A file that root alone can read resembles one that section permissions marked."""
    there = monitoring.daily.compare
    monkeypatch.setattr(monitoring.daily, "compare", lambda site: Changes(unvouched=there(site).added))
    assert monitoring.change_a_file(host.insider).status == "pass"
