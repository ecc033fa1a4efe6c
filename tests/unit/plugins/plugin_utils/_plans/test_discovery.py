# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What discovery is asked for before any section changes something."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tools.plans import planned, variables, waived

RIGHTS = ("permissions_code", "permissions_var", "permissions_env", "permissions_config")
REPORT = "Content-Security-Policy-Report-Only"


PLAYED = ["chamilo.hardening.common", "chamilo.hardening.https", "chamilo.hardening.headers"]
MAGIC = {"ansible_play_role_names": PLAYED, "ansible_run_tags": ["all"], "ansible_skip_tags": [], "group_names": []}


@pytest.mark.parametrize(
    ("given", "headers"),
    [
        ({}, ["X-Frame-Options", REPORT, "Strict-Transport-Security"]),
        ({"ansible_run_tags": ["headers"]}, ["X-Frame-Options", REPORT]),
        ({"ansible_run_tags": ["https"]}, ["Strict-Transport-Security"]),
        ({"ansible_run_tags": ["https"], "chamilo_https_state": "absent"}, []),
    ],
)
def test_discovery_checks_which_of_our_headers_others_send(
    host: Any, given: dict[str, Any], headers: list[str]
) -> None:
    plan = planned(host, "discovery", **variables(host, "headers", **{**MAGIC, **given}))
    assert plan["headers"][-len(headers) :] == headers if headers else plan["headers"] == []
    assert ("X-Frame-Options" in plan["headers"]) is ("X-Frame-Options" in headers)
    assert "X-Powered-By" not in plan["headers"]


@pytest.mark.parametrize(
    ("given", "once"),
    [
        ({}, {"server_tokens": "off"}),
        ({"chamilo_waivers": waived("headers_versions")}, {}),
        (
            {"chamilo_trusted_proxies": ["10.0.0.2"], "ansible_run_tags": ["https"]},
            {"real_ip_header": "X-Forwarded-For", "real_ip_recursive": "on"},
        ),
        ({"chamilo_trusted_proxies": ["10.0.0.2"], "ansible_run_tags": ["headers"]}, {"server_tokens": "off"}),
    ],
)
def test_what_nginx_takes_once_is_announced(host: Any, given: dict[str, Any], once: dict[str, str]) -> None:
    assert planned(host, "discovery", **variables(host, "headers", **{**MAGIC, **given}))["once"] == once


@pytest.mark.parametrize(
    ("given", "tree"),
    [
        ({}, True),
        ({"ansible_run_tags": ["preflight"]}, True),
        ({"ansible_run_tags": ["mine"]}, False),
        ({"ansible_skip_tags": ["permissions"]}, False),
        ({"chamilo_waivers": waived(*RIGHTS)}, False),
        ({"chamilo_waivers": waived(*RIGHTS[1:])}, True),
    ],
)
def test_who_owns_the_files_is_judged_before_anything_changes(host: Any, given: dict[str, Any], tree: bool) -> None:
    played = ["chamilo.hardening.permissions"]
    plan = planned(host, "discovery", **{**MAGIC, "ansible_play_role_names": played, **given})
    assert plan["tree"] == ({"owner": "root", "group": "", "web_user": "", "policy": [], "roots": []} if tree else {})


SCRATCH = {"chamilo_backups_scratch": "/var/tmp"}  # by default


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"chamilo_backups_repository": "/srv/b"}, {"chamilo_backups_repository": "/srv/b", **SCRATCH}),
        ({"chamilo_backups_repository": "sftp:x:/srv/b"}, SCRATCH),
        ({"chamilo_web_user": "www", "group_names": ["chamilo_db"]}, {}),
        ({"chamilo_web_user": "www"}, {"chamilo_web_user": "www", **SCRATCH}),
    ],
)
def test_what_the_controller_cannot_know_is_judged_by_the_host(
    host: Any, given: dict[str, Any], refused: dict[str, str]
) -> None:
    played = ["chamilo.hardening.backups"]
    plan = planned(host, "discovery", **{**MAGIC, "ansible_play_role_names": played, **given})
    assert {name: value for name, value in plan["variables"].items() if value} == refused


@pytest.mark.parametrize(
    ("given", "due"),
    [
        ({}, ["https", "database", "backups"]),
        ({"ansible_skip_tags": ["database", "backups"]}, ["https"]),
        ({"ansible_run_tags": ["backups", "mine"]}, ["backups"]),
        ({"ansible_run_tags": ["mine"]}, ["https", "database", "backups"]),  # they may be tagged so in a play
        ({"ansible_run_tags": ["passwords"]}, ["https", "database", "backups"]),
        ({"chamilo_backups_state": "absent"}, ["https", "database"]),
        ({"group_names": ["chamilo_db"]}, ["database"]),
        ({"group_names": ["chamilo_db", "chamilo_web"]}, ["https", "database", "backups"]),
    ],
)
def test_a_host_is_judged_by_what_this_run_enforces(host: Any, given: dict[str, Any], due: list[str]) -> None:
    played = [f"chamilo.hardening.{name}" for name in ("common", "https", "database", "backups")]
    magic = {"ansible_play_role_names": played, "ansible_run_tags": ["all"], "ansible_skip_tags": [], "group_names": []}
    assert sorted(planned(host, "discovery", **{**magic, **given})["sections"]) == sorted(due)


@pytest.mark.parametrize(
    ("given", "https", "written", "acme", "only_checks"),
    [
        ({}, True, True, "auto", False),
        ({"ansible_run_tags": ["preflight"]}, True, True, "auto", True),
        ({"ansible_run_tags": ["preflight", "headers"]}, False, True, "", False),
        ({"ansible_run_tags": ["headers"]}, False, True, "", False),
        ({"ansible_run_tags": ["headers"], "chamilo_https_vhost": "managed"}, False, True, "", False),
        ({"ansible_run_tags": ["database"]}, False, False, "", False),
        ({"ansible_run_tags": ["mine"]}, False, False, "", False),
        ({"ansible_skip_tags": ["https"]}, False, True, "", False),
        ({"group_names": ["chamilo_db"]}, False, False, "", False),
        ({"chamilo_https_certificate": "files"}, True, True, "", False),
        ({"chamilo_https_certificate": "certbot"}, True, True, "certbot", False),
        ({"chamilo_https_terminated_elsewhere": True}, True, True, "", False),
        ({"chamilo_https_acme_arguments": ["--dns-x"]}, True, True, "", False),
    ],
)
def test_discovery_is_reported_what_this_run_may_do(
    host: Any, given: dict[str, Any], https: bool, written: bool, acme: str, only_checks: bool
) -> None:
    played = [f"chamilo.hardening.{name}" for name in ("common", "https", "headers", "database")]
    magic = {"ansible_play_role_names": played, "ansible_run_tags": ["all"], "ansible_skip_tags": [], "group_names": []}
    plan = planned(host, "discovery", **variables(host, "headers", **{**magic, **given}))
    assert plan["tls"] is (https and not given.get("chamilo_https_terminated_elsewhere"))
    assert plan["vhost"] == (given.get("chamilo_https_vhost", "auto") if written else "")
    assert (plan["acme"], plan["only_checks"]) == (acme, only_checks)


@pytest.mark.parametrize(
    ("repository", "place"),
    [
        ("sftp:backup@nas.school.example:/srv/chamilo", "nas.school.example:22"),
        ("sftp://backup@nas.school.example:2222//srv", "nas.school.example:2222"),
        ("sftp:nas:/srv/chamilo", None),  # ssh may have another host by that name
        ("rest:https://school:pass%2Fword@vault.example:8000/x", "vault.example:8000"),
        ("rest:https://vault.example/x", "vault.example:443"),
        ("s3:https://s3.example/bucket", "s3.example:443"),
        ("s3:s3.amazonaws.com/bucket", None),
        ("b2:bucket:path", None),
        ("/srv/elsewhere", None),
        ("", None),
    ],
)
def test_of_a_repository_elsewhere_the_host_learns_no_more_than_where_it_is(host, repository, place):
    given = {"chamilo_backups_offsite_repository": repository, "ansible_play_role_names": ["chamilo.hardening.backups"]}
    plan = planned(host, "discovery", **variables(host, "backups", **{**MAGIC, **given}))
    assert plan["outside"].get("chamilo_backups_offsite_repository") == place
