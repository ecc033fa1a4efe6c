# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import observer
from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import (
    Endpoint,
    Observer,
    SideEndpoint,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import NO_ANSWER, Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Place
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import (
    Alias,
    Listen,
    VirtualHost,
    WebServer,
)

HTTP, HTTPS = Listen("*", 80, tls=False), Listen("*", 443, tls=True)


def host(*listens, names=("campus.test",), root="/srv/campus/public"):
    return VirtualHost("/etc/nginx/sites-enabled/x", 1, names, listens, root)


def inspect(*serving, options=None, addresses=("192.0.2.7",), **more):
    return Observer(
        Site("campus.test", root="/srv/campus", serving=serving, addresses=addresses, **more), options or {}
    )


@pytest.mark.parametrize(
    ("listen", "addresses", "endpoints"),
    [
        (HTTP, ("192.0.2.7",), ["192.0.2.7"]),
        (HTTP, (), ["127.0.0.1"]),
        (Listen("192.0.2.9", 80, tls=False), ("192.0.2.7",), ["192.0.2.9"]),
        (Listen("[::]", 80, tls=False), ("192.0.2.7", "2001:db8::7"), ["2001:db8::7"]),
        (Listen("[::]", 80, tls=False), ("192.0.2.7",), []),  # a host without IPv6
        (Listen("unix:/run/nginx.sock", 0, tls=False), ("192.0.2.7",), []),
    ],
)
def test_a_socket_is_called_as_a_visitor_would(listen, addresses, endpoints):
    assert [endpoint.address for endpoint in inspect(host(listen), addresses=addresses).all_endpoints] == endpoints


def test_https_and_the_usual_port_are_preferred():
    assert inspect(host(HTTP)).scheme == "http"
    assert inspect(host(HTTP), host(HTTPS)).scheme == "https"
    assert inspect(host(Listen("*", 8080, tls=False), HTTP)).endpoints["http"].port == 80
    proxied = inspect(host(HTTP), options={"terminated_elsewhere": True})
    assert proxied.endpoints["https"] == Endpoint("https", "campus.test", 443)


def test_an_unrelated_site_that_answers_by_default_is_not_the_portal():
    unrelated_client = host(HTTPS, names=("_",), root="/var/www/html")
    assert inspect(host(HTTP), fallback=(unrelated_client,)).scheme == "http"
    assert inspect(host(HTTP), fallback=(host(HTTPS, names=("_",)),)).scheme == "https"
    assert inspect(fallback=(unrelated_client,)).scheme == "https"


def test_without_a_configuration_what_listens_is_asked():
    found = inspect(listening=("0.0.0.0:80", "[::]:443", "127.0.0.1:3306"))
    assert sorted(found.endpoints) == ["http", "https"]
    assert inspect().endpoints == {}


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, ("https://campus.test/x", "", {"X-A": "1"})),
        (
            {"several_nodes": True},
            ("http://campus.test/x", "192.0.2.7", {"X-Forwarded-Proto": "https", "X-A": "1"}),
        ),
    ],
)
def test_one_of_several_nodes_is_asked_itself_past_the_proxy(monkeypatch, options, sent):
    """The answer is still that of the public name, so that redirects are judged as visitors see them."""
    asked = []

    def fetch(url, address="", headers=None, **_request):
        asked.append((url, address, headers))
        return Answer(url, 200)

    monkeypatch.setattr(observer, "fetch", fetch)
    found = inspect(host(HTTPS, HTTP), options={"terminated_elsewhere": True, **options})
    assert found.get("/x", headers={"X-A": "1"}).url == "https://campus.test/x"
    assert asked == [sent]


@pytest.mark.parametrize(
    ("root", "starts"),
    [
        ("/srv/campus/public", [""]),
        ("/srv/campus", ["", "/public"]),
        ("/srv", ["/campus/public"]),
        ("/", ["/srv/campus/public"]),
        ("/srv/campus/public/build", []),
    ],
)
def test_a_directory_leads_to_the_portal_or_does_not(root, starts):
    own, other = host(HTTP), host(HTTP, names=("_",), root=root)
    assert [side.start for side in inspect(own, virtual_hosts=(own, other)).side_endpoints] == starts


@pytest.mark.parametrize(
    ("web", "redirect", "include"),
    [
        (
            WebServer("nginx", service="nginx"),
            "return 301 https://campus.test$request_uri;",
            "include /etc/nginx/sites-available/chamilo-campus_test.d/*.conf;",
        ),
        (
            WebServer("apache", service="apache2"),
            "Redirect permanent / https://campus.test/",
            "IncludeOptional /etc/apache2/sites-available/chamilo-campus_test.d/*.conf",
        ),
    ],
)
def test_what_closes_another_virtual_host_is_a_line_of_its_web_server(web, redirect, include):
    other = host(HTTP, names=("_",))
    side = SideEndpoint(other, Endpoint("http", "192.0.2.7", 80), "")
    assert inspect(web=web).closing(side).endswith(f'Give it the line "{redirect}" or the line "{include}".')
    # nginx would take no second line of what our files set too.
    for own in ({"body_limit_own": True}, {"patience_own": True}, {"once": (Place("/a", 1, "server_tokens on"),)}):
        closing = inspect(web=web).closing(replace(side, host=replace(other, **own)))
        assert closing.endswith(f'Give it the line "{redirect}".')


def test_an_alias_of_another_site_and_a_link_among_its_files_lead_to_the_portal(tmp_path):
    public, shop = tmp_path / "campus/public", tmp_path / "shop"
    for path in (public / "main", public / "img", shop / "own"):
        path.mkdir(parents=True)
    (shop / "lms").symlink_to(public)
    (shop / "more").symlink_to(shop / "own")
    aliases = (
        Alias("/school", str(public)),
        Alias("/all", str(tmp_path / "campus")),
        Alias("/chosen", str(public / "main")),
        Alias("/own", str(shop / "own")),
    )
    other = host(HTTP, names=("shop.test",), root=str(shop))
    own = replace(host(HTTP, root=str(public)), aliases=(Alias("/img", str(public / "img")), Alias("", str(public))))
    found = Observer(
        Site(
            "campus.test",
            root=str(tmp_path / "campus"),
            virtual_hosts=(own, replace(other, aliases=aliases)),
            serving=(own,),
            addresses=("192.0.2.7",),
        ),
        {},
    )
    starts = [(side.endpoint.name, side.start) for side in found.side_endpoints]
    assert starts == [("shop.test", start) for start in ("/school", "/all/public", "/chosen", "/lms")]


@pytest.fixture
def wire(monkeypatch):
    sent = []

    def fetch(url, address, **request):
        sent.append((url, address, request))
        return Answer(url, 200)

    monkeypatch.setattr(observer, "fetch", fetch)
    return sent


def test_what_is_not_served_is_an_answer_too(wire):
    answer = inspect(host(HTTP)).get("/", "https")
    assert (answer.status, wire) == (0, [])
    assert "nothing here serves https" in answer.error


def test_a_server_that_does_not_answer_is_left_alone(monkeypatch):
    sent = []

    def fetch(url, address, **request):
        sent.append(url)
        return Answer(url, error=NO_ANSWER)

    monkeypatch.setattr(observer, "fetch", fetch)
    it = inspect(host(HTTP))
    errors = [it.get(f"/{number}").error for number in range(9)]
    assert len(sent) == 3
    assert errors[-1] == "not asked: 3 requests before got no answer in time"
