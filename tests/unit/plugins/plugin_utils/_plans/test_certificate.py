# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the certificate of a portal comes from, what is done for it, and which names it is for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.certbot import Pair
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans.certificate import Certificate
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans.portal import Portal
from tests.tools.plans import answered

SERVED = Pair("/s.pem", "/s.key", good=True)
LIVE = Pair("/etc/letsencrypt/live/x/fullchain.pem", "/etc/letsencrypt/live/x/privkey.pem", good=True)


def certificate(asked: str = "auto", policy: bool = True, more: Any = None, **site: Any) -> Certificate:
    found = Site("campus.test", **{"portal_names": ("campus.test",), **site})
    variables = {
        "chamilo_domain": "campus.test",
        "chamilo_site": "campus_test",
        "chamilo_https_certificate": asked,
        "chamilo_https_certificate_file": "/g.pem",
        "chamilo_https_certificate_key_file": "/g.key",
        "chamilo_https_terminated_elsewhere": False,
        "__chamilo_common_info": answered(found),
        **(more or {}),
    }
    return Certificate(Portal(variables), variables, policy)


@pytest.mark.parametrize(
    ("asked", "site", "given", "source"),
    [
        ("auto", {}, {}, "certbot"),
        ("auto", {"served": SERVED}, {}, "kept"),
        ("auto", {"served": replace(SERVED, lineage="x")}, {}, "certbot"),
        ("auto", {"served": replace(SERVED, good=False)}, {}, "certbot"),
        ("auto", {}, {"chamilo_https_terminated_elsewhere": True}, "kept"),
        ("files", {"served": SERVED}, {}, "files"),
        ("self_signed", {"served": SERVED}, {}, "self_signed"),
    ],
)
def test_a_good_certificate_is_kept_unless_another_is_asked_for(asked, site, given, source):
    assert certificate(asked, more=given, **site).source == source


@pytest.mark.parametrize(
    ("asked", "site", "todo"),
    [
        ("certbot", {}, "issue"),
        ("certbot", {"lineage": LIVE}, "adopt"),
        ("certbot", {"lineage": replace(LIVE, settled=True)}, ""),
        ("self_signed", {}, "sign"),
        ("self_signed", {"self_signed": Pair(days=30)}, ""),
        ("self_signed", {"self_signed": Pair(days=29)}, "sign"),
        ("self_signed", {"self_signed": Pair(days=300, lacks=("www.campus.test",))}, "sign"),
        ("files", {}, ""),
        ("auto", {"served": SERVED}, ""),
    ],
)
def test_most_of_the_time_nothing_is_to_be_done(asked, site, todo):
    assert certificate(asked, **site).todo == todo


@pytest.mark.parametrize(
    ("asked", "site", "file"),
    [
        ("files", {}, "/g.pem"),
        ("self_signed", {}, "/etc/ssl/certs/chamilo-campus_test.pem"),
        ("certbot", {}, "/etc/letsencrypt/live/campus.test/fullchain.pem"),
        ("certbot", {"lineage": LIVE}, LIVE.file),
        ("auto", {"served": SERVED}, "/s.pem"),
    ],
)
def test_what_is_served_stays_until_the_new_one_is_there(asked, site, file):
    assert certificate(asked, **site).pair.certificate == file
    site = {"served": SERVED, **site}
    assert certificate(asked, policy=False, **site).pair.certificate == "/s.pem", "another section changes none"
    assert certificate(asked, more={"_chamilo_https_waiting": True}, **site).pair.certificate == "/s.pem"


@pytest.mark.parametrize("issued", [False, True])
def test_names_keep_their_order(issued):
    """Written in another one, they change files of the host in each run."""
    names = [f"{letter}.campus.test" for letter in "sphinxofblackquartz"]
    given = {"__chamilo_https_issued": {"names": sorted(set(names) - {"h.campus.test"})}} if issued else {}
    # What was issued in this run, discovery has not seen.
    lineage = replace(LIVE, lacks=tuple(names) if issued else ("h.campus.test",))
    found = certificate("certbot", more=given, portal_names=tuple(names), lineage=lineage).names
    assert found == [name for name in names if name != "h.campus.test"]


@pytest.mark.parametrize(
    ("asked", "lacks", "names"),
    [
        ("certbot", "lineage", ["campus.test"]),
        ("auto", "served", ["campus.test"]),
        ("files", "given", ["campus.test"]),
        ("self_signed", "served", ["campus.test", "www.campus.test"]),
    ],
)
def test_a_name_without_a_certificate_is_not_covered(asked, lacks, names):
    site = {"served": SERVED, lacks: replace(SERVED, lacks=("www.campus.test",))}
    assert certificate(asked, portal_names=("campus.test", "www.campus.test"), **site).names == names
