# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible keeps no compiled code of a collection: what an audit imports is compiled in each run, and on each host."""

from __future__ import annotations

from tests.tools.payloads import PLUGINS, reached

LINES = 1000  # of engines, which are made for hosts
BYTES = 1_000_000  # of all that an audit takes to a host
# What changes a host, and has no business there.
WRITERS = ("_transaction/plan", "_transaction/engine", "_settings/plan", "_permissions/change", "_updates/releases")


def test_an_audit_compiles_few_engines_on_the_controller() -> None:
    found = reached(PLUGINS / f"action/{name}.py" for name in ("guide_preflight", "guide_audit_info", "guide_report"))
    engines = {file: file.read_text(encoding="utf-8").count("\n") for file in found if "module_utils" in file.parts}
    assert sum(engines.values()) <= LINES, sorted(f"{number} {file}" for file, number in engines.items())


def test_an_audit_takes_nothing_to_a_host_that_changes_one() -> None:
    found = reached([PLUGINS / "modules/guide_audit_info.py"], everywhere=True)
    writers = {PLUGINS / f"module_utils/{name}.py" for name in WRITERS}
    assert all(file.is_file() for file in writers) and not writers & found.keys()
    assert sum(file.stat().st_size for file in found) <= BYTES
