# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run reports of what it saw and did. Real files, as root; the web user is www-data."""

from __future__ import annotations

import json
import os

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import found as permissions_found
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.walk import run
from tests.unit.plugins.module_utils._permissions.conftest import order


def test_twenty_are_reported_one_by_one_and_all_are_counted(site):
    """Of what is changed, and of what is left alone."""
    for number in range(23):
        os.mkfifo(site / f"var/log/{number:02}")
    found = run(order(site), check=True)
    assert found.refused_total == 23
    for reported in ([one["path"] for one in found.refused], [one["path"] for one in found.samples]):
        assert len(reported) == len(set(reported)) == 20
        assert reported == sorted(reported)
    owners, groups, modes = (found.fixed[kind] for kind in ("owner", "group", "mode"))
    reported = permissions_found.diff(str(site), found)["after"].splitlines()
    assert reported[20:] == [f"and others: {owners} owners, {groups} groups, {modes} modes"]


def test_names_are_never_raw_in_what_is_reported(site):
    names = [b"line\nbreak", b"esc\x1b[31m", b"latin\xe9", b"\xff\xfe"]
    for name in names:
        with open(os.path.join(os.fsencode(site / "var"), name), "w"):
            pass
        os.link(os.path.join(os.fsencode(site / "var"), name), os.path.join(os.fsencode(site.parent), name))
    reported = run(order(site))
    assert reported.refused_total == 4
    text = json.dumps([reported.refused, reported.samples], ensure_ascii=False)
    text.encode()
    assert "\\u001b" not in text and "\x1b" not in text and "\\n" not in text.replace("\\\\n", "")
