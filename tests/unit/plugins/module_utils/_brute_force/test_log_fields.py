# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an attacker writes in a line of a log."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force import log_fields

NGINX = '203.0.113.7 - - [25/Nov/2026:14:47:59 +0000] "POST /login_json?a=b HTTP/1.1" 401 43 "-" "Mozilla/5.0 (X11)"'
NGINX_PARTS = [
    ("the user name", "-"),
    ("the path", "/login_json"),
    ("the query", "?a=b"),
    ("the referer", "-"),
    ("the user agent", "Mozilla/5.0 (X11)"),
]


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (NGINX, NGINX_PARTS),
        (
            '2001:db8::1 - jane doe [25/Nov/2026:14:47:59 +0000] "GET / HTTP/2.0" 200 43',
            [("the user name", "jane doe"), ("the path", "/"), ("the query", "")],
        ),
        ("Refused: user=jdoe", [("the user name", "jdoe")]),
        ('Refused "j doe", account: jane', [("a quoted text", "j doe"), ("the user name", "jane")]),
        ("Refused 'j doe'", [("a quoted text", "j doe")]),
        ("nothing known", [("the end of the line", "")]),
        (
            "Nov 25 10:00:00 campus app[8]: Error 42 path=/x?id id=jdoe tid 7 at imap[9] 203.0.113.7 by ada",
            [("a value", "jdoe"), ("a path", "/x?id")],
        ),
        ("Nov 25 Error ada: bob", [("the end of the line", "")]),
        # What is empty may be filled.
        (NGINX.replace("Mozilla/5.0 (X11)", ""), [*NGINX_PARTS[:-1], ("the user agent", "")]),
        *((f"Refused {word} jdoe", [("the user name", "jdoe")]) for word in ("username", "login", "account", "for")),
    ],
)
def test_where_clients_write(line, parts):
    found = log_fields.fields(line)
    assert [(one.what, line[one.start : one.end]) for one in found] == parts
    assert parts[0][1] or found[0].start == len(line)
