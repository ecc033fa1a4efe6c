# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan as options of modules, and whether a host has to be asked for it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovered import Discovered
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._common.in_force import InForce
from ansible_collections.chamilo.hardening.plugins.module_utils._common.markers import Mark
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.job import Load
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import plan as parsed
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.planned import Edited
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans.shapes import (
    File,
    Marked,
    Plan,
    Settings,
    Transaction,
    plain,
)


@dataclass(frozen=True)
class Example(Plan):
    web: Transaction | None
    settings: Settings | None
    files: tuple[File, ...] = ()
    first: bool = False

    @property
    def more(self) -> bool:
        return self.first


def render(name: str) -> str:
    return f"the text of {name}\n"


WEB = Transaction("headers:campus", [File("/etc/x.conf", "x.j2")], [["nginx", "-t"]], Load("nginx"))
SETTINGS = Settings("headers:campus", "/var/www/chamilo", {"security.check_password": True})
WHOLE = Example({"word": "x"}, WEB, SETTINGS)
STORED = {
    "values": {"security.check_password": "true"},
    "reset": [],
    "portals": None,
    "lock": True,
    "pin": None,
}
ACTIVE = Discovered(
    Site("campus.test", "/var/www/chamilo"),
    in_force={"headers:campus": InForce(parsed(WEB.options(render)).generation, {"/etc/x.conf": "file"})},
    settings_in_force={"headers:campus": STORED},
)


@pytest.mark.parametrize(
    ("file", "options"),
    [
        (File("/a", "a.j2"), {"path": "/a", "content": "the text of a.j2\n"}),
        (File("/a", content="a", mode="0600"), {"path": "/a", "content": "a", "mode": "0600"}),
        (File("/a", "a.j2", secret=True), {"path": "/a", "secret_content": "the text of a.j2\n"}),
        (File("/a", target="b"), {"path": "/a", "state": "link", "target": "b"}),
        (File("/a", absent=True), {"path": "/a", "state": "absent"}),
        (
            File("/a", document={"z": 1, "files": [File("/b", "b.j2")]}),
            {
                "path": "/a",
                "content": json.dumps(
                    {"z": 1, "files": [{"path": "/b", "content": "the text of b.j2\n"}]}, indent=4, sort_keys=True
                ),
            },
        ),
        (
            Marked(Edited("/a", "d", (Mark(3, ("x",)),))),
            {"path": "/a", "digest": "d", "marks": [{"at": 3, "lines": ["x"]}]},
        ),
    ],
)
def test_a_file_has_the_options_that_it_needs(file: File | Marked, options: dict[str, Any]) -> None:
    assert plain(file, render) == options


def test_a_host_on_which_all_is_as_planned_is_not_asked() -> None:
    assert not WHOLE.due(ACTIVE, render)
    assert not replace(WHOLE, web=None, settings=None).due(Discovered(ACTIVE.site), render)


@pytest.mark.parametrize(
    "changed",
    [
        replace(WHOLE, web=replace(WEB, files=[File("/etc/x.conf", "y.j2")])),
        replace(WHOLE, web=replace(WEB, present=False)),
        replace(WHOLE, settings=replace(SETTINGS, values={"security.check_password": False})),
        replace(WHOLE, settings=replace(SETTINGS, values={})),
        replace(WHOLE, first=True),
    ],
)
def test_a_host_is_asked_for_whatever_differs(changed: Example) -> None:
    assert changed.due(ACTIVE, render)


def test_what_another_section_left_out_is_nothing_to_be_done() -> None:
    """Where a transaction is not to be complete, what it has beside is not restored."""
    active = ACTIVE.in_force["headers:campus"]
    more = InForce(active.generation, {**active.files, "/etc/more.conf": "file"})
    known = replace(ACTIVE, in_force={"headers:campus": more})
    assert WHOLE.due(known, render)
    assert not replace(WHOLE, web=replace(WEB, complete=False)).due(known, render)
