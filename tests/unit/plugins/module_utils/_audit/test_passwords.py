# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Account
from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Observer
from ansible_collections.chamilo.hardening.plugins.module_utils._application.portal_reader import PortalReader
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._audit import passwords

MAIN, SECOND = "https://campus.test/", "https://second.test/"
GOOD = '{"min":{"length":12,"lowercase":1,"uppercase":1,"numeric":1,"specials":1}}'


def inspect(variable, main, second=None):
    """Two portals; the second one has a row of its own when a value is given."""
    rows = [
        {
            "category": "security",
            "variable": variable,
            "access_url": portal,
            "selected_value": value,
            "access_url_changeable": "1",
        }
        for portal, value in (("1", main), ("2", second))
        if value is not None
    ]

    def ask(sql):
        return [{"id": "1", "url": MAIN}, {"id": "2", "url": SECOND}] if "access_url WHERE" in sql else rows

    it = Observer(Site("campus.test"), {})
    it.database = PortalReader(Account("chamilo"), ask=ask)
    return it


@pytest.mark.parametrize("check", [passwords.length, passwords.mix])
def test_five_good_minimums_pass(check):
    assert check(inspect("password_requirements", GOOD)).status == "pass"


@pytest.mark.parametrize(
    ("value", "length", "mix"),
    [
        (None, "fail", "fail"),
        ("", "fail", "fail"),
        (GOOD.replace("12", "7"), "fail", "pass"),
        (GOOD.replace('"specials":1', '"specials":0'), "pass", "fail"),
        # With a key missing the application stumbles, so neither can be true.
        (GOOD.replace(',"specials":1', ""), "fail", "fail"),
        (GOOD.replace("12", '"twelve"'), "fail", "fail"),
        ('{"length":12}', "fail", "fail"),
        ("[]", "fail", "fail"),
        ("not json", "fail", "fail"),
    ],
)
def test_what_the_application_would_make_of_it(value, length, mix):
    it = inspect("password_requirements", value)
    assert (passwords.length(it).status, passwords.mix(it).status) == (length, mix)


def test_one_portal_with_a_weaker_rule_fails_and_is_named():
    finding = passwords.length(inspect("password_requirements", GOOD, GOOD.replace("12", "4")))
    assert finding.status == "fail"
    assert SECOND in finding.evidence
    assert MAIN not in finding.evidence


@pytest.mark.parametrize(
    ("value", "status"), [("true", "pass"), ("false", "fail"), (None, "fail"), ("1", "fail"), ("TRUE", "fail")]
)
def test_the_rules_count_only_when_the_application_reads_true(value, status):
    assert passwords.enforced(inspect("check_password", value)).status == status


@pytest.mark.parametrize(("value", "status"), [("90", "pass"), ("0", "fail"), (None, "fail"), ("-1", "fail")])
def test_expiry(value, status):
    assert passwords.expiry(inspect("password_rotation_days", value)).status == status
