# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the section https asks a host for, and whether it has to be asked at all."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._https import hsts
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import plan as parsed
from tests.testbed import authority
from tests.tools.plans import discovered, in_force, planned, waived

SELF_SIGNED = {"chamilo_https_certificate": "self_signed"}
RUN = {"ansible_run_tags": ["all"], "ansible_skip_tags": [], "ansible_play_role_names": ["chamilo.hardening.https"]}
VHOST = "sites-available/chamilo-campus_test.conf"


def site(host: Any, server: str = "nginx", vhost: str = "plain", **changes: Any) -> dict[str, Any]:
    host.install(server)
    host.write("/var/lib/dpkg/status", "Package: nginx\nStatus: install ok installed\nVersion: 1.22.1-9\n\n")
    host.chamilo()
    host.testbed_site(server, vhost)
    return discovered(host, **changes)


def asked(host: Any, found: dict[str, Any], **given: Any) -> Any:
    return planned(
        host, "https", __chamilo_common_info={"site": found, "in_force": {}, "environment_kept": []}, **given
    )


def texts(plan: dict[str, Any]) -> dict[str, str]:
    """The files of a plan by the ends of their paths."""
    return {file["path"].removeprefix("/etc/"): file.get("content", "") for file in plan["vhost"]["files"]}


def text(plan: dict[str, Any], end: str) -> str:
    (found,) = [content for path, content in texts(plan).items() if path.endswith(end)]
    return found


# -------------------------------------------------------------------------------------------- whether it is due


def active(plan: dict[str, Any]) -> dict[str, Any]:
    """What a host answers that this plan was carried out on, with browsers bound since today."""
    today = hsts.datetime.date.today()
    step = hsts.decide("ramp", [], hsts.Ramp(), today, str, str, plan["bound"])
    made = [parsed({**plan["vhost"], "load": None})]
    made += [parsed(hsts._transaction(plan["program"], step))] if plan["program"]["hsts"]["mode"] == "ramp" else []
    return in_force(*made)


@pytest.mark.parametrize("vhost", ["auto", "managed"])
@pytest.mark.parametrize("certificate", ["auto", "self_signed"])
def test_a_host_on_which_it_is_active_is_asked_nothing(host, vhost, certificate):
    found = site(host)
    found["served"] |= {"file": "/s.pem", "key": "/s.key", "good": True, "lacks": [], "lineage": ""}
    found["self_signed"] |= {"lacks": [], "days": 300}
    found["own_host"]["refused"] = {}  # as where it is ours already
    given = {**RUN, "chamilo_https_vhost": vhost, "_chamilo_each_once": True}
    given["chamilo_https_certificate"] = certificate
    info = {"site": found, "in_force": {}, "environment_kept": []}
    assert planned(host, "https", due=True, __chamilo_common_info=info, **given) is True
    found["hsts_since"] = hsts.datetime.date.today().isoformat() if certificate == "auto" else ""
    info["in_force"] = active(planned(host, "https", __chamilo_common_info=info, **given))
    assert planned(host, "https", due=True, __chamilo_common_info=info, **given) is False
    for change in (
        {"chamilo_trusted_proxies": ["192.0.2.9"]},
        {"chamilo_https_state": "absent"},
        {"chamilo_https_hsts": "off", "chamilo_https_certificate": "auto"},
        {"chamilo_https_certificate": "self_signed" if certificate == "auto" else "auto"},
        {"chamilo_https_vhost": "include"},
        {"chamilo_https_subdomains": ["a.campus.test"]},
    ):
        assert planned(host, "https", due=True, __chamilo_common_info=info, **{**given, **change}) is True, change
    found["served"]["good"], found["self_signed"]["days"] = False, 1
    assert planned(host, "https", due=True, __chamilo_common_info=info, **given) is True


def test_a_virtual_host_that_is_refused_is_reported(host):
    found = site(host)
    found["own_host"]["refused"] = {"managed": "It is there."}
    assert asked(host, found, chamilo_https_vhost="managed")["refused"] == "It is there."
    assert asked(host, found, chamilo_https_vhost="auto")["refused"] == ""


# -------------------------------------------------------------------------------------------- how it is seen to work


@pytest.mark.parametrize(
    ("vhost", "names", "probed"),
    [
        ("include", ["campus.test", "www.campus.test", "*.campus.test", "~^x", "_", ".y.test"], ["www.campus.test"]),
        ("managed", ["campus.test", "www.campus.test"], []),
        ("include", ["campus.test"], []),
    ],
)
def test_a_change_is_probed_at_every_name_of_a_virtual_host_that_stays(host, vhost, names, probed):
    found = site(host, vhost="https")
    listens = [listen for one in found["serving"] for listen in one["listens"]]
    ours = {"listens": listens, "names": names, "includes_ours": True, "leads_away": False}
    found["serving"], found["redirected"] = [{**found["serving"][0], **ours}] * 2, False
    probes = asked(host, found, chamilo_https_vhost=vhost)["vhost"]["probe"]
    front = {key: value for key, value in probes[1].items() if key not in ("url", "was")}
    assert probes[2:] == [{"url": f"https://{name}/", "was": f"http://{name}/", **front} for name in probed]
    assert (probes[1]["url"], probes[1]["was"]) == ("https://campus.test/", "http://campus.test/")


def test_the_addresses_of_an_owner_answer_as_they_did(host):
    found = site(host)
    page = {"scheme": "http", "name": "campus.test", "path": "/old?x"}
    found["in_place"]["pages"] = [page, page]
    probes = asked(host, found)["vhost"]["probe"]
    assert [(one["url"], one["same"]) for one in probes[2:]] == [("http://campus.test/old?x", True)]


@pytest.mark.parametrize("mute", [True, False])
def test_an_owner_is_reminded_of_the_line_and_of_tls(host, mute):
    found = site(host, vhost="plain" if mute else "https")
    line = "include /etc/nginx/sites-available/chamilo-campus_test.d/*.conf;"
    reminder = asked(host, found, chamilo_https_vhost="include", **SELF_SIGNED)["reminder"]
    assert f'"{line}"' in reminder and "/etc/nginx/sites-available/campus.conf line 1" in reminder
    assert ("/etc/ssl/certs/chamilo-campus_test.pem" in reminder) is mute
    assert asked(host, found, **SELF_SIGNED)["reminder"] == ""


# -------------------------------------------------------------------------------------------- who is believed


@pytest.mark.parametrize(
    ("output", "given", "trusted"),
    [
        ("", {}, None),
        ("127.0.0.1, ::1,192.0.2.7", {}, None),
        ("127.0.0.1,10.0.0.9", {}, ""),
        ("127.0.0.1,10.0.0.9", {"chamilo_waivers": waived("https_trusted_proxies")}, None),
        ("", {"chamilo_trusted_proxies": ["10.0.0.2", "127.0.0.1"]}, "127.0.0.1,10.0.0.2"),
    ],
)
def test_the_application_trusts_its_proxies_and_no_others(host, output, given, trusted):
    found = site(host, addresses=["192.0.2.7"], environment={"TRUSTED_PROXIES": output})
    assert asked(host, found, **given)["proxies"] == trusted


def test_this_host_that_an_earlier_version_trusted_is_trusted_no_more(host):
    info = {
        "site": site(host, environment={"TRUSTED_PROXIES": "127.0.0.1,::1"}),
        "environment_kept": ["https:campus_test"],
    }
    assert planned(host, "https", __chamilo_common_info=info, **RUN)["proxies"] == ""


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_what_a_visitor_spoke_is_what_a_proxy_of_ours_reports(host, server):
    given = {"chamilo_trusted_proxies": ["10.0.0.2", "2001:db8::1"], "chamilo_https_terminated_elsewhere": True}
    plan = asked(host, site(host, server), **given)
    if server == "apache":
        by = "(%{CONN_REMOTE_ADDR} -ipmatch '10.0.0.2' || %{CONN_REMOTE_ADDR} -ipmatch '2001:db8::1')"
        assert text(plan, ".d/https.conf").count(by) == 3
        assert "mods-enabled/remoteip.load" in str(texts(plan))
    else:
        both = [text(plan, "conf.d/chamilo-campus_test-https.conf"), plan["program"]["hsts"]["files"][-1]["content"]]
        names = [re.findall(r"^geo \$realip_remote_addr (\S+)", one, re.M) for one in both]
        assert names[1] == [names[0][0].replace("_proxy", "_hsts_proxy")]
        assert text(plan, "/php/https.conf")


# -------------------------------------------------------------------------------------------- browsers are bound


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        ({}, "ramp"),
        ({"chamilo_https_hsts": "full"}, "full"),
        (SELF_SIGNED, "none"),
        ({"chamilo_waivers": waived("https_hsts")}, "none"),
    ],
)
def test_no_browser_is_bound_by_a_certificate_that_it_does_not_trust(host, given, mode):
    plan = asked(host, site(host), **given)
    assert plan["program"]["hsts"]["mode"] == mode
    assert json.loads(text(plan, "https-campus_test.json")) == plan["program"], "the host goes on by it"


def test_names_below_the_domain_are_named_with_the_declared_ones(host):
    names = ["campus.test", "a.campus.test", "*.campus.test", "campus.example"]
    given = {"chamilo_https_subdomains": ["B.campus.test", "a.campus.test"]}
    plan = asked(host, site(host, portal_names=names), **given)
    assert plan["program"]["hsts"]["subdomains"] == ["b.campus.test", "a.campus.test"]


# -------------------------------------------------------------------------------------------- other sections


def test_another_section_gets_a_virtual_host_and_no_policy(host):
    found = site(host)
    given = {"chamilo_https_vhost": "managed", "_chamilo_https_policy": False, **SELF_SIGNED}
    plan = asked(host, found, **given)
    assert "ssl_certificate" not in text(plan, VHOST) and "return 301" not in text(plan, ".d/https.conf")
    assert not [path for path in texts(plan) if path.endswith((".json", "hide/https.conf"))]
    assert plan["vhost"]["complete"] is False, "what the section itself wrote stays"


def test_a_virtual_host_that_another_section_needs_stays_without_this_one(host):
    found = site(host)
    name, given = "https:campus_test", {**RUN, "chamilo_https_state": "absent"}
    info = {"site": found, "environment_kept": [name], "in_force": {name: {"files": {"/x": "file"}}}}
    lent = planned(host, "https", __chamilo_common_info=info, **given)
    assert lent["undone"] == [f"{name}.renewal", f"{name}.certificate"] and lent["proxies_kept"]
    info["in_force"][name]["files"]["/etc/chamilo-hardening/https-campus_test.json"] = "file"
    assert planned(host, "https", __chamilo_common_info=info, **given)["undone"][0] == name


@pytest.mark.parametrize(
    ("vhost", "roles", "undone"),
    [
        ("plain", [], ["sessions:campus_test.php"]),
        ("https", [], []),
        ("plain", ["chamilo.hardening.sessions"], []),
    ],
)
def test_no_visitor_is_left_with_a_cookie_for_https_alone(host, vhost, roles, undone):
    info = {"site": site(host, vhost=vhost), "environment_kept": [], "in_force": {"sessions:campus_test.php": {}}}
    given = {**RUN, "ansible_play_role_names": roles, "chamilo_https_state": "absent"}
    assert planned(host, "https", __chamilo_common_info=info, **given)["cookies"] == undone


# -------------------------------------------------------------------------------------------- the templates


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("common.inc.js", False),
        ("photo.jpg", False),
        ("common.inc", True),
        ("common.INC", True),
        ("common.php.js", True),
        ("common.phtml", True),
    ],
)
@pytest.mark.parametrize(
    ("server", "rule", "behind"),
    [
        ("nginx", r"location (~\*) (\S+) \{\s+return 403;", "/x"),
        ("apache", r'<FilesMatch "(\(\?i\))(\S+)">\s+SetHandler none', ""),  # it gets the name of the file alone
    ],
    ids=["nginx", "apache"],
)
def test_names_of_programs_are_refused_where_a_server_could_run_them(host, server, rule, behind, name, refused):
    vhost = text(asked(host, site(host, server), chamilo_https_vhost="managed", _chamilo_https_policy=False), VHOST)
    patterns = [pattern for _any_case, pattern in re.findall(rule, vhost)[-2:]]
    assert patterns
    for path in {name, name + behind if refused else name}:
        assert {bool(re.search(pattern, path, re.IGNORECASE)) for pattern in patterns} == {refused}, path


@pytest.mark.parametrize(
    ("server", "served"),
    [
        ("nginx", 'root "/var/www/acme";'),
        ("apache", 'Alias /.well-known/acme-challenge "/var/www/acme/.well-known/acme-challenge"'),
    ],
)
def test_challenges_are_answered_from_where_certbot_puts_them(host, server, served):
    """Until now another virtual host did that on port 80, for all names of the host."""
    found = site(host, server)
    assert served not in text(asked(host, found, chamilo_https_vhost="managed"), VHOST)
    host.write("/etc/letsencrypt/live/campus.test/fullchain.pem", authority.issue("campus.test", days=60)[0])
    conf = "[renewalparams]\nauthenticator = webroot\nwebroot_path = /var/www/acme,\n"
    host.write("/etc/letsencrypt/renewal/campus.test.conf", conf)
    assert served in text(asked(host, discovered(host), chamilo_https_vhost="managed"), VHOST)


def test_apache_leaves_what_it_has_no_directory_for_below_well_known_to_the_application(host):
    """It takes /.well-known/oauth-protected-resource for a file .well-known with a path behind it."""
    vhost = text(asked(host, site(host, "apache"), chamilo_https_vhost="managed", **SELF_SIGNED), VHOST)
    hidden = set(re.findall(r'<FilesMatch "(\^\\\..*)">', vhost))
    assert len(hidden) == 1
    (pattern,) = hidden
    names = (".well-known", ".env", ".well-known.bak", ".git")
    assert [name for name in names if not re.search(pattern, name)] == [".well-known"]
