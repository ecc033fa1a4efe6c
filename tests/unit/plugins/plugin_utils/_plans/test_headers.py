# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which headers are sent, with which values, and what the application may not send beside them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans.headers import PACKAGES
from tests.tools.plans import discovered, planned, variables, waived

PARTNER = {"chamilo_headers_frame_ancestors": ["https://lms.school.example"]}
CSP, REPORT = "Content-Security-Policy", "Content-Security-Policy-Report-Only"


def site(host: Any, server: str = "nginx", **changes: Any) -> dict[str, Any]:
    host.install(server)
    host.chamilo()
    host.testbed_site(server, "plain")
    return {"site": discovered(host, **changes)}


def files(plan: dict[str, Any]) -> dict[str, str]:
    return {file["path"]: file.get("content", "") for file in plan["main"]["files"]}


def lines(plan: dict[str, Any]) -> list[str]:
    (text,) = [text for path, text in files(plan).items() if path.endswith("/location/headers.conf")]
    return [line.removeprefix("add_header ").removesuffix(" always;") for line in text.splitlines() if "add" in line]


@pytest.mark.parametrize(
    ("given", "framing"),
    [
        ({}, ['X-Frame-Options "SAMEORIGIN"', REPORT]),
        ({"chamilo_headers_csp": "enforce"}, ['X-Frame-Options "SAMEORIGIN"', CSP]),
        ({"chamilo_headers_csp": "off"}, ['X-Frame-Options "SAMEORIGIN"']),
        # X-Frame-Options cannot name a partner.
        (PARTNER, [f"{CSP} \"frame-ancestors 'self' https://lms.school.example\"", REPORT]),
        ({**PARTNER, "chamilo_headers_csp": "enforce"}, [CSP]),
        # What is waived blocks no frames.
        (
            {**PARTNER, "chamilo_headers_csp": "enforce", "chamilo_waivers": waived("headers_csp")},
            [f"{CSP} \"frame-ancestors 'self' https://lms.school.example\""],
        ),
        ({"chamilo_waivers": waived("headers_frame_options")}, [REPORT]),
    ],
)
def test_framing_is_blocked_by_one_header(host, given, framing):
    plan = planned(host, "headers", __chamilo_common_info=site(host), **given)
    found = [line for line in lines(plan) if line.startswith(("X-Frame", "Content-Security"))]
    assert len(found) == len(framing) and all(map(str.startswith, found, framing)), found


def test_each_header_is_sent_once_and_hidden_before(host):
    plan = planned(host, "headers", __chamilo_common_info=site(host))
    texts = files(plan)
    (hide,) = [text for path, text in texts.items() if path.endswith("/hide/headers.conf")]
    names = [line.split()[0] for line in lines(plan)]
    assert len(names) == len(set(names))
    hidden = [line.split()[1].rstrip(";") for line in hide.splitlines() if line.startswith("fastcgi_hide_header")]
    assert hidden == [*names, "X-Powered-By"]


def test_a_partner_leaves_no_frame_options_of_the_application(host):
    known = variables(host, "headers", **PARTNER, chamilo_headers_csp="enforce", __chamilo_common_info=site(host))
    (text,) = [text for path, text in files(planned(host, "headers", **known)).items() if "/hide/" in path]
    assert "fastcgi_hide_header X-Frame-Options;" in text


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_integrations_are_permitted_what_each_kind_needs(host, server):
    services = [
        {"partner": "lti", "direction": "embeds", "origin": "https://lms.school.example"},
        {"partner": "lti", "direction": "embedded", "origin": "https://tool.school.example"},
        {"partner": "onlyoffice", "origin": "https://docs.school.example"},
    ]
    sources = {"script-src": ["https://js.culqi.example"], "connect-src": ["https://maps.example"]}
    given = {
        **PARTNER,
        "chamilo_headers_csp": "enforce",
        "chamilo_integrations": services,
        "chamilo_headers_csp_sources": sources,
    }
    texts = files(planned(host, "headers", __chamilo_common_info=site(host, server), **given))
    sent = "\n".join(texts.values())
    rules = {part.strip(' "') for line in sent.splitlines() for part in line.split(";")}
    assert any(rule.startswith("frame-ancestors 'self' https://lms.school.example") for rule in rules)
    assert sent.count("https://lms.school.example https://lms.school.example") == 0, "the same origin once"
    scripts = "https://js.culqi.example https://docs.school.example"
    assert f"script-src 'self' 'unsafe-inline' 'unsafe-eval' blob: {scripts}" in rules
    assert "connect-src 'self' data: blob: https://maps.example" in rules
    assert "tool.school.example" not in sent, "it is shown, and shows nothing"
    assert len([rule for rule in rules if "https://docs.school.example" in rule]) == 1
    hide = "fastcgi_hide_header X-Frame-Options;" if server == "nginx" else "unset X-Frame-Options"
    assert hide in sent and "SAMEORIGIN" not in sent


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("/assets/scorm/demo/index.html", True),
        ("/plugin/H5pImport/view.php?id=1", True),
        ("/plugin/XApi/package_asset.php?path=course/index.html", True),
        ("/plugin/XApi/../Bbb/start.php", False),
        ("/plugin/XApi%2e%2e/start.php", False),
        ("/plugin/XApiX/start.php", False),
        ("/plugin/CStudio/editor/index.php", False),
    ],
)
def test_learning_packages_have_a_policy_of_their_own(path, package):
    assert bool(re.match(PACKAGES, path)) is package


@pytest.mark.parametrize("server", ["nginx", "apache"])
@pytest.mark.parametrize(("given", "hides"), [({}, True), ({"chamilo_waivers": waived("headers_versions")}, False)])
def test_versions_are_hidden_unless_that_is_waived(host, server, given, hides):
    texts = files(planned(host, "headers", __chamilo_common_info=site(host, server), **given))
    assert ("server_tokens off" in str(texts) or "ServerTokens Prod" in str(texts)) is hides
    assert ("ServerSignature Off" in str(texts)) is (hides and server == "apache")
    assert ("X-Powered-By" in str(texts)) is hides
    assert [path for path in texts if path.endswith("zz-chamilo-hardening.conf")] == (
        ["/etc/apache2/conf-enabled/zz-chamilo-hardening.conf"] if hides and server == "apache" else []
    )


def test_nginx_takes_server_tokens_once(host):
    """Where its owner sets another value, or in one of two server blocks alone, nginx refuses ours with his line."""
    info = site(host)
    for owners, ours in ((["off"], False), (["Off", "off"], False), (["on"], True), (["off", ""], True)):
        lines = [[{"what": f"server_tokens {one}", "file": "/x", "line": 1}] if one else [] for one in owners]
        info["site"]["serving"] = [{**info["site"]["serving"][0], "once": once} for once in lines]
        given = {"__chamilo_common_info": info, "chamilo_https_vhost": "include"}
        assert ("server_tokens off" in str(files(planned(host, "headers", **given)))) is ours


def test_a_report_uri_ends_both_policies(host):
    given = {"chamilo_headers_csp_report_uri": "https://reports.example/csp", "__chamilo_common_info": site(host)}
    (text,) = [text for path, text in files(planned(host, "headers", **given)).items() if "-headers.conf" in path]
    values = [line for line in text.splitlines() if "report-uri https://reports.example/csp" in line]
    assert len(values) == 2 and "unsafe-eval" in values[0] and "default" in values[1]


def test_without_the_section_its_files_go(host):
    plan = planned(host, "headers", __chamilo_common_info=site(host), chamilo_headers_state="absent")
    assert (plan["vhost"], plan["main"]["state"]) == (False, "absent")


def test_the_section_is_due_until_what_it_sends_is_active(host):
    info = site(host)
    info["site"]["serving"] = [{**one, "includes_ours": True} for one in info["site"]["serving"]]
    given = {"__chamilo_common_info": info, "_chamilo_each_once": True}
    assert planned(host, "headers", due=True, **given) is True
    info["in_force"] = {}
    assert planned(host, "headers", due=True, chamilo_headers_state="absent", **given) is False
    info["in_force"] = {"headers:campus_test": {}}
    assert planned(host, "headers", due=True, chamilo_headers_state="absent", **given) is True
