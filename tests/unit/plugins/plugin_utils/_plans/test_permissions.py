# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose the files of a portal are, what a waiver leaves of that, and what an administrator is asked to check."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _portals
from tests.tools.plans import discovered, planned, waived

REQUIRED = ["APP_SECRET", "JWT_PASSPHRASE"]
ALL = ("permissions_code", "permissions_var", "permissions_env", "permissions_config")


def site(host: Any, server: str = "nginx", sapi: str = "fpm", **info: Any) -> dict[str, Any]:
    host.install(server)
    host.chamilo()
    host.testbed_site(server, "plain")
    found = discovered(host, php_folders=["/etc/php/8.4/cli", "/etc/php/8.4/fpm"])
    php = {"version": "8.4", "sapi": sapi, "service": "php8.4-fpm", "user": "www-data", "group": "www-data"}
    return {"site": {**found, "php": {**found["php"], **php}}, **info}


def files(transaction: dict[str, Any]) -> dict[str, str]:
    return {file["path"]: file.get("content", "") for file in transaction["files"]}


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_private_files_are_rejected_unless_that_is_waived(host, server):
    info = site(host, server)
    texts = files(planned(host, "permissions", __chamilo_common_info=info)["web"])
    end = "/within/permissions.conf" if server == "nginx" else ".d/permissions.conf"
    (text,) = [text for path, text in texts.items() if path.endswith(end)]
    assert "|neon|" in text and "|swp|" in text
    plan = planned(host, "permissions", __chamilo_common_info=info, chamilo_waivers=waived("permissions_docroot"))
    states = {file["path"].rsplit("/", 1)[1]: file.get("state") for file in plan["web"]["files"]}
    assert states == {"permissions.conf": "absent", "permissions-campus_test.json": None}
    assert (plan["vhost"], plan["web"]["probe"]) == (False, plan["php"]["probe"])


@pytest.mark.parametrize(
    ("waivers", "asked", "exclude", "roots"),
    [
        ((), True, [], ["var", "config", "extra"]),
        (("permissions_var",), True, ["var"], ["config", "extra"]),
        (("permissions_env", "permissions_config"), True, [".env*", "config"], ["var", "extra"]),
        (ALL, False, None, ["extra"]),
    ],
)
def test_a_waiver_leaves_what_it_names(host, waivers, asked, exclude, roots):
    given = {"chamilo_permissions_roots": ["extra"], "chamilo_waivers": waived(*waivers)}
    plan = planned(host, "permissions", __chamilo_common_info=site(host), **given)
    assert (plan["asked"], plan["tree"]["roots"]) == (asked, roots)
    assert exclude is None or plan["tree"]["exclude"] == exclude
    # What the host goes by later is what is set now.
    known = json.loads(files(plan["web"])["/etc/chamilo-hardening/permissions-campus_test.json"])
    assert known["tree"] == plan["tree"] and known["installer"]["file"].endswith("/window/installer.conf")


@pytest.mark.parametrize(
    ("given", "owner", "group"),
    [({}, "www-data", "www-data"), ({"chamilo_web_user": "campus", "chamilo_group": "school"}, "campus", "school")],
)
def test_the_tree_is_for_the_user_that_php_runs_as(host, given, owner, group):
    tree = planned(host, "permissions", __chamilo_common_info=site(host), **given)["tree"]
    assert (tree["web_user"], tree["group"]) == (owner, group)


@pytest.mark.parametrize(
    ("server", "sapi", "file"),
    [
        ("nginx", "fpm", "/etc/php/8.4/fpm/conf.d/91-chamilo-campus_test-permissions.ini"),
        ("apache", "mod_php", "/etc/apache2/conf-enabled/chamilo-campus_test-permissions.conf"),
    ],
)
def test_no_visitor_sees_what_went_wrong(host, server, sapi, file):
    info = site(host, server, sapi)
    plan = planned(host, "permissions", __chamilo_common_info=info)
    assert "display_errors" in files(plan["php"])[file]
    assert plan["php"]["test"] == ([["php-fpm8.4", "-t"]] if sapi == "fpm" else [["apache2ctl", "configtest"]])
    assert (
        plan["production"]["settings"] == {"platform.server_type": "prod"} and plan["environment"]["APP_ENV"] == "prod"
    )
    plan = planned(host, "permissions", __chamilo_common_info=info, chamilo_waivers=waived("permissions_production"))
    assert file not in files(plan["php"])
    assert (plan["production"], plan["environment"]) == (None, {})


def test_php_that_nothing_is_asked_of_is_left_alone(host):
    info = site(host)
    given = {"__chamilo_common_info": info, "chamilo_waivers": waived("permissions_var", "permissions_production")}
    assert planned(host, "permissions", **given)["php"] is None
    info["in_force"] = {"permissions:campus_test.php": {}}
    assert planned(host, "permissions", **given)["php"]["state"] == "absent"


BESIDE = {
    "groups": {"all": ["web0", "campus.test"], "chamilo": ["web0", "campus.test"]},
    "hostvars": {"web0": {"chamilo_domain": "campus.test"}},
}


APART = {
    "chamilo_node": ["web"],
    "groups": {"all": ["store", "campus.test"], "chamilo": ["store", "campus.test"]},
    "hostvars": {"store": {"chamilo_domain": "campus.test", "chamilo_node": ["database"]}},
}


@pytest.mark.parametrize(
    ("given", "secrets", "leads"),
    [
        ({}, ["APP_SECRET", "JWT_PASSPHRASE"], True),
        (BESIDE, [], False),  # nodes of one portal share theirs, and not all of them take part
        ({**BESIDE, "chamilo_leader": "campus.test"}, [], True),
        ({"chamilo_waivers": waived("permissions_secrets")}, [], True),
        (APART, ["APP_SECRET", "JWT_PASSPHRASE"], True),  # its portal's only one that has them
    ],
)
def test_a_node_that_is_alone_makes_its_own_secrets(host, given, secrets, leads):
    plan = planned(host, "permissions", __chamilo_common_info=site(host), **given)
    assert (plan["secrets"], plan["production"] is not None) == (secrets, leads)
    assert plan["sealed"] == ""


def of_two(host, monkeypatch, leader, done=None, **seen):
    """The plan of campus.test, whose other node is web0."""
    monkeypatch.setattr(_portals._Known, "salt", "s")
    own = site(host)
    own = {**own, "site": {**own["site"], "secrets_default": seen.get("own", [])}}
    other = {"site": {"secrets_default": seen.get("other", [])}, "node": {"sealed": "b2Zvd2ViMA=="}}
    web0 = {"chamilo_domain": "campus.test", "__chamilo_common_info": {**other, **seen.get("more", {})}}
    hostvars = {
        "web0": {**web0, "__chamilo_permissions_environment": done or {}},
        "campus.test": {"chamilo_domain": "campus.test", "__chamilo_common_info": own},
    }
    given = {**BESIDE, "hostvars": hostvars, "chamilo_leader": leader, "ansible_play_hosts_all": list(hostvars)}
    for one in hostvars.values():
        one["chamilo_leader"] = leader
    return planned(host, "permissions", __chamilo_common_info=own, **given)


PUBLIC = ["APP_SECRET"]


@pytest.mark.parametrize(
    ("leader", "seen", "secrets", "sealed"),
    [
        ("campus.test", {}, REQUIRED, ""),
        ("campus.test", {"own": PUBLIC, "other": PUBLIC}, REQUIRED, ""),  # it makes them
        ("campus.test", {"own": PUBLIC}, REQUIRED, "b2Zvd2ViMA=="),  # the other node has better ones
        ("campus.test", {"own": PUBLIC, "more": {"unreachable": True}}, REQUIRED, ""),
        ("web0", {}, [], ""),  # its section was not run
        ("web0", {"done": {"sealed": "bWFkZQ=="}, "own": PUBLIC}, [], "bWFkZQ=="),
    ],
)
def test_the_leader_makes_the_secrets_and_the_others_take_them(host, monkeypatch, leader, seen, secrets, sealed):
    plan = of_two(host, monkeypatch, leader, **seen)
    assert (plan["secrets"], plan["sealed"]) == (secrets, sealed)


@pytest.mark.parametrize(
    ("archive", "package"),
    [("auto", "auto"), ("off", "off"), ("", "off"), ("false", "off"), ("/srv/chamilo.tar.gz", "/srv/chamilo.tar.gz")],
)
def test_the_release_is_compared_with_its_package(host, archive, package):
    plan = planned(host, "permissions", __chamilo_common_info=site(host), chamilo_release_archive=archive)
    assert plan["package"] == package


SEEN: dict[str, Any] = {
    "window": "",
    "package": "",
    "package_problem": "",
    "unlike": [],
    "given_back": 0,
    "disabled": [],
    "refused": [],
}


@pytest.mark.parametrize(
    ("seen", "reported", "unset"),
    [
        ({}, [], False),
        ({"window": "A window is open until 10:00"}, ["open until 10:00. It is left as it is until then"], False),
        ({"package_problem": "HTTP 404"}, ["was not compared .*: HTTP 404. Name .* chamilo_release_archive"], False),
        (
            {"package": "the package x.zip", "unlike": ["public: 1 file is in no package", "src: 2 files"]},
            ["Differs from the package x.zip.*: public: 1 file is in no package; src: 2 files"],
            False,
        ),
        ({"given_back": 2}, ["2 files that an earlier version had disabled are in use again"], False),
        ({"disabled": ["src: 1 files"]}, ["What is yours: chmod 644.*src: 1 files"], False),
        ({"refused": [{"path": "var/x", "why": "has 2 names"}]}, ["var/x: has 2 names"], False),
        ({"refused": [{"path": "var/x", "why": "Permission denied: x"}]}, ["var/x: Permission denied: x"], True),
    ],
)
def test_what_an_administrator_has_to_check_is_reported(host, seen, reported, unset):
    known = {
        "__chamilo_permissions_tree": {**SEEN, **seen},
        "__chamilo_permissions_environment": {"consequences": ["Everybody has to log in again."]},
    }
    info = site(host)
    plan = planned(host, "permissions", __chamilo_common_info=info, **known)
    assert plan["messages"][0] == "Everybody has to log in again." and plan["unset"] is unset
    assert len(plan["messages"]) == 1 + len(reported)
    assert all(re.search(pattern, text, re.DOTALL) for pattern, text in zip(reported, plan["messages"][1:]))
    without = planned(host, "permissions", __chamilo_common_info=info, chamilo_waivers=waived(*ALL), **known)
    assert (without["messages"], without["unset"]) == (["Everybody has to log in again."], False)
