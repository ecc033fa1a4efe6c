# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planted in a sample, and with what it is strained."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force import filter_attacks
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_attacks import Sample
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_file import Definition

NGINX = '203.0.113.7 - - [25/Nov/2026:14:47:59 +0000] "POST /login_json?a=b HTTP/1.1" 401 43 "-" "Mozilla/5.0 (X11)"'
APACHE = f"campus.test:443 {NGINX}"
IDS = "[2026-11-25 09:44:57] [Info] [Client 203.0.113.7] Login failed for username jdoe"
GOOD = Definition("campus", (r"^<ADDR> .*",))
FAILURE = Sample(NGINX, "203.0.113.7")
VICTIM = "198.51.100.77"


QUOTED = 'Refused "j doe" client=203.0.113.7 port 22'
NAMED = 'user=ada client=203.0.113.7 "GET /"'


@pytest.mark.parametrize(
    ("line", "planted"),
    [
        # A quoted field that is closed, as it is and as the servers escape that.
        (NGINX, f'43 "" {VICTIM} - - ['),
        (NGINX, rf'43 "\" {VICTIM} - - ['),
        (NGINX, rf'43 "\x22 {VICTIM} - - ['),
        (NGINX, f'43 "x {VICTIM} x" "Moz'),
        # Where no spaces can stand they are written in other ways.
        (NGINX, f"POST {VICTIM}%20-%20-%20[25"),
        (NGINX, f"POST {VICTIM}+-+-+[25"),
        (NGINX, r"/login_jsonx\x0A198.51.100.77%20-%20-%20["),
        (NGINX, f"/login_json?{VICTIM}%20-"),
        (NGINX, f"/login_json?x={VICTIM} HTTP"),
        # A line without a query may get one.
        (NGINX.replace("?a=b", ""), f"POST /login_json{VICTIM} HTTP"),
        # With the word that stands before an address.
        ("auth failure; rhost=203.0.113.7 user=jdoe", f"user=rhost={VICTIM} user=jdoe"),
        # No quotes, no names: what comes last.
        ("refused 203.0.113.7", f"refused 203.0.113.7{VICTIM}"),
        # The line from its start, from the address and from the word before it on, behind a quotation mark.
        (QUOTED, f'"" Refused "j doe" client={VICTIM} port 22'),
        (QUOTED, f'"" {VICTIM} port 22'),
        # The same with the line's own marks escaped.
        (NAMED, rf"user=user=ada client={VICTIM} \"GET /\""),
        # What is written in other ways already.
        (
            NGINX.replace("n_j", "n%20j"),
            f"POST {VICTIM}%20-%20-%20[25/Nov/2026:14:47:59%20+0000]%20%22POST%20/login%2520json",
        ),
        # Where logs have X-Forwarded-For.
        (NGINX, f'(X11)" "{VICTIM}, 10.0.0.1"'),
        # No address of its own.
        ("refused somebody", f"refused somebody{VICTIM} refused somebody"),
    ],
)
def test_what_is_planted_where(line, planted):
    made = [trial.line for trial in filter_attacks.plants(Sample(line), False)]
    assert any(planted in one for one in made), "\n".join(one for one in made if VICTIM in one)


def test_the_forged_line_is_the_victim_s_own_where_two_addresses_stand():
    """A proxy's, and that of the visitor whom the filter must find."""
    line = "10.0.0.5 via 203.0.113.7 refused"
    forged = f"10.0.0.5 via {VICTIM} refused"
    made = [trial.line for trial in filter_attacks.plants(Sample(line, "203.0.113.7"), False)]
    assert f"{line}{forged}" in made
    made = [trial.line for trial in filter_attacks.plants(Sample(line), False)]
    assert f"{line}{VICTIM} via 203.0.113.7 refused" in made, "of nobody: the first one is as good"


@pytest.mark.parametrize(
    ("line", "raw"),
    [
        (NGINX, False),
        (APACHE, False),
        (IDS, True),
        ("Nov 25 10:00:00 campus sshd[8]: Invalid user a from 203.0.113.7 port 40022", False),
        ("2026-11-25T10:00:00+00:00 campus sshd[8]: Invalid user a from 203.0.113.7 port 40022", False),
        ("[2026-11-25 09:44:57] [XSS] [IP 203.0.113.7] [URI /] [PARAM a] Detected", False),
    ],
)
def test_which_logs_escape_line_breaks(line, raw):
    assert filter_attacks.breaks_lines(GOOD, Sample(line), "auto") is raw
    assert filter_attacks.breaks_lines(Definition("x", ("^",), journalmatch="_COMM=x"), Sample(line), "auto") is False
    assert filter_attacks.breaks_lines(GOOD, Sample(line), "raw") is True
