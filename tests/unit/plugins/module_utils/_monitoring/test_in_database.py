# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects and scripts in the portal's tables, as an attacker leaves them there and as the application has them."""

from __future__ import annotations

import base64
import re

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.in_database import planted
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.database import Account, Reader

ROLES = 'a:1:{i:0;s:10:"ROLE_ADMIN";}'
GADGET = 'a:1:{i:0;O:37:"Monolog\\Handler\\FingersCrossedHandler":1:{s:3:"\0*\0x";s:2:"id";}}'
ENVELOPE = (
    'O:36:"Symfony\\Component\\Messenger\\Envelope":1:{s:44:"\0Symfony\\Component\\Messenger\\Envelope\0message";'
    'O:28:"Symfony\\Component\\Mime\\Email":1:{s:1:"x";s:24:"%s";}}'
)


def with_slashes(text):
    """As the framework's queue has them: PHP's addslashes."""
    return re.sub(r"([\\'\"])", r"\\\1", text).replace("\0", "\\0")


def reader(**tables):
    """``table__column``: values."""

    def ask(sql):
        if "information_schema" in sql:
            return [dict(zip(("place", "name"), each.split("__"))) for each in tables]
        for each, values in tables.items():
            place, name = each.split("__")
            if f"FROM `{place}`" in sql:
                return [{"title": f"no. {row}", "content": text, "value": text} for row, text in enumerate(values)]
        raise AssertionError(sql)

    return Reader(Account("app"), ask=ask)


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [
        ("user__roles", GADGET, "Monolog\\Handler\\FingersCrossedHandler"),
        ("asset__metadata", 'C:11:"ArrayObject":2:{x}', "ArrayObject"),
        ("user__roles", ROLES, ""),
        ("ext_log_entries__data", 'a:1:{s:2:"at";O:8:"DateTime":1:{s:4:"date";s:4:"2026";}}', ""),
        ("user__roles", 'a:1:{i:0;s:13:"O:4:"Evil":0:";}', ""),  # in a text it is one
        ("messenger_messages__body", with_slashes(ENVELOPE % ("x" * 24)), ""),
        ("messenger_messages__body", base64.b64encode(with_slashes(ENVELOPE % ("x" * 24)).encode()).decode(), ""),
        ("messenger_messages__body", with_slashes(ENVELOPE % 'O:4:\\"Evil\\":0:{}' + "pad" * 2), ""),
        ("messenger_messages__body", with_slashes(GADGET), "Monolog\\Handler\\FingersCrossedHandler"),
        ("messenger_messages__body", base64.b64encode(with_slashes(GADGET).encode()).decode(), "Monolog\\Handler"),
        ("messenger_messages__body", '{"json": 1}', ""),
        ("messenger_messages__body", "", ""),
    ],
)
def test_an_object_that_is_none_of_the_application_s_is_named(column, value, named):
    objects, scripts = planted(reader(**{column: [value]}))
    assert scripts == [] and len(objects) == bool(named)
    assert not named or named in objects[0] and column.replace("__", ".") in objects[0]


@pytest.mark.parametrize(
    ("html", "named"),
    [
        ("<p>Hello<script src=//x.test/a.js></script>", "page no. 0 (<script)"),
        ("<img src=x onerror=alert(1)>", "page no. 0 (<img src=x onerror=)"),
        ("<a href=javascript:x()>", "page no. 0 (javascript:)"),
        ("<p>An only child = one; <iframe src=https://video.test></iframe> a transcript", ""),
    ],
)
def test_a_script_in_a_page_is_named(html, named):
    assert planted(reader(page__content=[html]))[1] == ([named] if named else [])


def test_the_name_of_a_table_is_no_statement():
    assert planted(reader(**{"x` UNION__roles": []})) == ([], [])


@pytest.mark.parametrize("column", ["us`er__roles", "user__ro`les"])
def test_a_name_that_would_end_a_statement_is_not_asked_for(column):
    assert planted(reader(**{column: [GADGET]})) == ([], [])
