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
        threading.Thread(target=server.serve_forever, daemon=True).start()
        listens = (Listen("*", server.server_port, False),)
        site = Site("campus.test", serving=(VirtualHost("a.conf", 1, ("campus.test",), listens, ""),))
        monitoring._guess(Insider(site), "127.0.0.9")
        server.shutdown()
    assert seen == [("127.0.0.9", "/login_json", "campus.test")]


def test_a_new_file_that_nothing_vouches_for_is_seen_as_well(host, monkeypatch):
    """A file that root alone can read resembles one that section permissions marked."""
    there = monitoring.daily.compare
    monkeypatch.setattr(monitoring.daily, "compare", lambda site: Changes(unvouched=there(site).added))
    assert monitoring.change_a_file(host.insider).status == "pass"
