# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a portal is served and how it is reached, from what discovery observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import (
    Listen,
    VirtualHost,
    WebServer,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.planned import Block, InPlace
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans.served import Served
from tests.tools.plans import answered, virtual_host

PLAIN = Listen("*", 80, tls=False)
TLS = Listen("*", 443, tls=True)
IN_PLACE = InPlace(blocks=(Block("/etc/nginx/sites-available/campus", 1, ("campus.test",), "portal", False),))


def served(*serving: VirtualHost, site: Mapping[str, Any] | None = None, **variables: Any) -> Served:
    found = Site("campus.test", **{"serving": serving, "web": WebServer("nginx"), **(site or {})})
    known = {"chamilo_domain": "Campus.test", "chamilo_site": "campus_test", "__chamilo_common_info": answered(found)}
    known |= {"chamilo_https_vhost": "auto", "chamilo_https_terminated_elsewhere": False}
    return Served({**known, **variables})


def host(*listens: Listen, ours: bool = True, away: bool = False) -> VirtualHost:
    return virtual_host(*listens, includes_ours=ours, leads_away=away)


@pytest.mark.parametrize(
    ("hosts", "active"),
    [
        ([], False),
        ([host(PLAIN)], True),
        ([host(PLAIN), host(TLS, ours=False)], False),
        ([host(PLAIN, ours=False, away=True), host(TLS)], True),  # one that only leads here needs none
    ],
)
def test_the_drop_ins_are_active_where_all_include_them(hosts: list[Any], active: bool) -> None:
    assert served(*hosts).in_force is active
    assert served(*hosts).vhost_due is not active
    assert served(*hosts, __chamilo_https_vhost={}).vhost_due is False
    assert served(*hosts, __chamilo_https_vhost={"failed": True}).vhost_due is not active


def test_the_generation_is_probed_where_something_will_answer() -> None:
    (probe,) = served().token("headers")
    assert probe.url == "http://campus.test/.well-known/chamilo-hardening/headers"
    assert served().probe("headers") == [probe, served().front]
    kept = {"chamilo_https_vhost": "include"}
    assert served(**kept).token("headers") == served(**kept).probe("headers") == []
    assert served(host(PLAIN), **kept).token("headers") == [probe]


@pytest.mark.parametrize(
    ("vhost", "blocks", "kept", "in_place"),
    [("auto", 1, True, True), ("auto", 0, False, False), ("managed", 1, False, False), ("include", 0, True, False)],
)
def test_an_owners_virtual_host_stays_where_it_serves_or_is_to_stay(
    vhost: str, blocks: int, kept: bool, in_place: bool
) -> None:
    found = served(site={"in_place": IN_PLACE if blocks else InPlace()}, chamilo_https_vhost=vhost)
    assert (found.vhost_kept, found.in_place) == (kept, in_place)


@pytest.mark.parametrize(
    ("hosts", "redirected", "base"),
    [
        ([], False, "http"),
        ([host(PLAIN, TLS)], False, "http"),
        ([host(PLAIN, TLS)], True, "https"),
        ([host(TLS)], False, "https"),
        ([host(PLAIN, TLS, ours=False)], True, "http"),
    ],
)
def test_a_probe_knocks_by_plain_http_as_long_as_the_portal_speaks_it(
    hosts: list[Any], redirected: bool, base: str
) -> None:
    found = served(*hosts, site={"redirected": redirected})
    assert found.probe_base == f"{base}://campus.test"


@pytest.mark.parametrize(
    ("listen", "vhost", "base", "front"),
    [
        (Listen("*", 8080, tls=False), "include", "http://campus.test:8080", "http://campus.test:8080/"),
        (Listen("*", 8080, tls=False), "managed", "http://campus.test", "http://campus.test/"),
        (Listen("*", 8443, tls=True), "include", "https://campus.test:8443", "https://campus.test:8443/"),
        (PLAIN, "include", "http://campus.test", "http://campus.test/"),
    ],
)
def test_a_portal_behind_another_port_is_probed_there(listen: Listen, vhost: str, base: str, front: str) -> None:
    """Unless the virtual host is to be ours, which has the ports of the web."""
    found = served(host(listen), chamilo_https_vhost=vhost)
    assert (found.probe_base, found.front.url) == (base, front)


@pytest.mark.parametrize(
    ("address", "taken", "known", "probed"),
    [
        ("*", [], [], "127.0.0.1"),
        ("*", ["127.0.0.1"], ["192.0.2.7"], "192.0.2.7"),
        ("[::]", [], [], "::1"),
        ("[::]", ["[::1]"], ["192.0.2.7", "2001:db8::7"], "2001:db8::7"),
        ("[::]", ["[::1]"], [], "::1"),
        ("[2001:db8::7]", [], [], "2001:db8::7"),
    ],
)
def test_no_probe_is_answered_by_a_page_for_an_address_alone(
    address: str, taken: list[str], known: list[str], probed: str
) -> None:
    others = tuple(host(replace(PLAIN, address=one)) for one in taken)
    site = {"virtual_hosts": others, "addresses": tuple(known)}
    assert served(host(replace(PLAIN, address=address)), site=site).probe_address == probed


@pytest.mark.parametrize(
    ("hosts", "given", "tls", "encrypted"),
    [
        ([host(PLAIN)], {}, False, False),
        ([host(TLS)], {}, True, True),
        ([host(PLAIN)], {"__chamilo_https_bound": {"changed": True}}, True, True),
        ([host(PLAIN)], {"__chamilo_https_bound": {"skipped": True}}, False, False),
        ([host(PLAIN)], {"__chamilo_https_bound": {}, "chamilo_https_vhost": "include"}, False, False),
        ([host(PLAIN)], {"chamilo_https_terminated_elsewhere": True}, False, True),
        ([host(PLAIN, ours=False)], {"chamilo_https_terminated_elsewhere": "yes"}, False, False),
        ([host(PLAIN, ours=False)], {"chamilo_https_terminated_elsewhere": "no"}, False, False),
        ([], {"chamilo_https_terminated_elsewhere": True, "__chamilo_https_bound": {}}, False, True),
    ],
)
def test_https_is_spoken_by_this_host_or_by_a_proxy(
    hosts: list[Any], given: dict[str, Any], tls: bool, encrypted: bool
) -> None:
    found = served(*hosts, **given)
    assert (found.tls, found.encrypted) == (tls, encrypted)
    assert found.front.url == f"{'https' if tls else 'http'}://campus.test/"
    assert found.front.send == ({"X-Forwarded-Proto": "https"} if found.elsewhere else {})


@pytest.mark.parametrize(
    ("groups", "is_web"),
    [((), True), (("chamilo_db",), False), (("chamilo_web",), True), (("chamilo_web", "chamilo_db"), True)],
)
def test_a_host_of_the_database_alone_serves_no_portal(groups: tuple[str, ...], is_web: bool) -> None:
    assert served(group_names=groups).is_web is is_web


@pytest.mark.parametrize(
    ("web", "line", "test"),
    [
        ("nginx", "include /etc/nginx/sites-available/chamilo-campus_test.d/*.conf;", [["nginx", "-t"]]),
        (
            "apache",
            "IncludeOptional /etc/apache2/sites-available/chamilo-campus_test.d/*.conf",
            [["apache2ctl", "configtest"]],
        ),
    ],
)
def test_each_web_server_is_asked_in_its_own_words(web: str, line: str, test: list[list[str]]) -> None:
    found = served(site={"web": WebServer(web)})
    assert (found.include_line, found.test) == (line, test)
