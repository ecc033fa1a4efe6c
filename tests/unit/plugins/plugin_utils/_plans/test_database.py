# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which accounts a portal gets, and where its database listens: on one host, and on a host of its own."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from ansible.errors import AnsibleError

from tests.testbed import authority
from tests.tools.plans import discovered, planned, waived


@pytest.fixture
def site(host: Any) -> dict[str, Any]:
    host.install("nginx")
    host.chamilo()
    host.testbed_site("nginx", "plain")
    return discovered(host)


ALONE = {"group_names": ["chamilo", "chamilo_db"], "groups": {"chamilo_db": ["campus.test"]}}
STORE = {"db.test": {"group_names": ["chamilo_db"]}}
WEB = {"group_names": ["chamilo", "chamilo_web"], "groups": {"chamilo_db": ["db.test"]}, "hostvars": STORE}
# Another portal, with a database host that names none.
LIBRARY = {
    "groups": {
        "all": ["library.test", "db.test", "campus.test"],
        "chamilo": ["library.test", "db.test", "campus.test"],
    },
    "hostvars": {"library.test": {"chamilo_node": ["web"]}, "db.test": {"chamilo_node": ["database"]}},
}
BIND = {"chamilo_database_bind_address": "10.0.0.7"}


def of(host: Any, site: dict[str, Any], **given: Any) -> Any:
    return planned(host, "database", __chamilo_common_info={"site": site}, **given)


@pytest.mark.parametrize(
    ("given", "account", "backup", "server"),
    [
        ({}, True, True, ""),
        (WEB, True, True, "db.test"),
        (LIBRARY, True, True, ""),  # the certificate of db.test is the other portal's
        ({**LIBRARY, "chamilo_node": ["web"]}, True, True, "db.test"),  # it serves both
        ({**ALONE, **BIND}, False, False, ""),
        ({"chamilo_waivers": waived("database_account")}, False, False, ""),
        ({**WEB, "chamilo_waivers": waived("database_privileges")}, False, True, "db.test"),
        ({"chamilo_backups_state": "absent"}, True, False, ""),
        ({**WEB, "chamilo_database_state": "absent"}, True, False, ""),
    ],
)
def test_who_gets_an_account(host, site, given, account, backup, server):
    plan = of(host, site, **given)
    assert (plan["account"], plan["backup"], plan["server"]) == (account, backup, server)
    assert plan["split"] is False
    assert of(host, site, chamilo_database_split=True, **given)["split"] is account


def answered(user: str, name: str = "account") -> dict[str, Any]:
    return {f"__chamilo_database_{name}": {"accounts": {"application": f"{user}@10.0.0.9"}}}


MOVED, OLD = answered("chamilo_campus_test", "account_there"), answered("chamilo")


@pytest.mark.parametrize(
    ("others", "retire"),
    [
        ({}, True),
        ({"web0": {}}, False),
        ({"web0": OLD}, False),  # it is waived there, or to come
        ({"web0": {**OLD, **MOVED}}, True),
        ({"web0": answered("chamilo_campus_test")}, True),
        ({"web0": MOVED, "web3": {}}, False),
    ],
)
def test_the_old_account_goes_with_the_last_node_that_needs_it(host, site, others, retire):
    """Its password would else open the database for ever, with all rights on the server."""
    nodes = {
        name: {"chamilo_domain": "campus.test", "group_names": ["chamilo_web"], **more} for name, more in others.items()
    }
    names = [*nodes, "campus.test", "db.test"]
    groups = {"all": names, "chamilo": names, "chamilo_db": ["db.test"]}
    given = {"group_names": ["chamilo", "chamilo_web"], "groups": groups, "hostvars": {**STORE, **nodes}}
    assert of(host, site, **given)["retire"] is retire


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        ({}, ["bind-address = 127.0.0.1"]),
        ({"chamilo_database_bind_address": "127.0.0.1, 10.0.0.7"}, ["bind-address = 127.0.0.1, 10.0.0.7"]),
        ({"chamilo_waivers": waived("database_bind")}, None),
        ({"chamilo_database_state": "absent"}, None),
        (
            {"chamilo_waivers": waived("database_bind"), "chamilo_database_audit_log": True},
            ["plugin-load-add = server_audit"],
        ),
        ({**ALONE, **BIND}, ["bind-address = 10.0.0.7", "ssl-cert = /etc/mysql/chamilo-hardening.pem"]),
    ],
)
def test_what_the_server_is_reported(host, site, given, lines):
    (file,) = of(host, site, **given)["main"]["files"]
    assert file["path"] == "/etc/mysql/mariadb.conf.d/zz-chamilo-hardening.cnf"
    if lines is None:
        assert file["state"] == "absent"
        return
    written = [line for line in file["content"].splitlines() if " = " in line]
    assert [line for line in lines if line not in written] == []
    assert ("bind-address" in file["content"]) is ("bind-address" in lines[0])


@pytest.mark.parametrize(
    ("address", "listen"),
    [
        ("", ["127.0.0.1:3306"]),
        ("127.0.0.1, fd00::7", ["127.0.0.1:3306", "[fd00::7]:3306"]),
    ],
)
def test_each_address_is_tried_before_anything_changes(host, site, address, listen):
    plan = of(host, site, chamilo_database_bind_address=address)
    assert plan["main"]["listen"] == listen
    assert (
        of(host, site, chamilo_database_bind_address=address, chamilo_database_state="absent")["main"]["listen"] == []
    )


def test_a_host_for_the_database_alone_needs_the_address_of_its_web_nodes(host, site):
    with pytest.raises(AnsibleError, match="Set chamilo_database_bind_address .* campus.test is to serve the database"):
        of(host, site, **ALONE)
    waived_ = of(host, site, **ALONE, chamilo_waivers=waived("database_bind"))
    assert waived_["main"]["listen"] == [] and waived_["main"]["probe"] == [] and waived_["serves"] is True


def test_chamilo_insists_on_the_certificate_that_was_fetched(host, site):
    assert of(host, site, **WEB)["tls"] is None
    assert of(host, site, **WEB, __chamilo_database_certificate={"skipped": True})["tls"] is None
    text = authority.issue("db.test", days=60)[0]
    answer = {"content": base64.b64encode(text.encode()).decode()}
    certificate, application = of(host, site, **WEB, __chamilo_database_certificate=answer)["tls"]["files"]
    assert certificate["content"] == text
    assert f"1009: {certificate['path']}" in application["content"] and application["mode"] == "0640"


def test_what_is_no_certificate_reaches_no_other_host(host, site):
    answer = {"content": base64.b64encode(b"<?php").decode()}
    with pytest.raises(AnsibleError, match="not one in PEM form"):
        of(host, site, **WEB, __chamilo_database_certificate=answer)
