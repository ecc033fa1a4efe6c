# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written into virtual hosts of Apache, over those that stand in the world and over odd ones."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.markers import apply, strip
from ansible_collections.chamilo.hardening.plugins.module_utils._portal import apache, in_place_apache
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Tree
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.in_place import Unmarked, Wanted, digest
from tests.vhosts import Case, cases

DROP_INS = "/etc/apache2/sites-available/chamilo-campus.d"
SITE = "/etc/apache2/sites-available/campus.conf"
INCLUDE = f"IncludeOptional {DROP_INS}/*.conf"
WANTED = Wanted(
    site="campus",
    domain="campus.example.org",
    names=frozenset(),
    roots=frozenset({"/var/www/chamilo", "/var/www/chamilo/public"}),
    drop_ins=DROP_INS,
    headers=frozenset({"x-frame-options", "strict-transport-security"}),
    tls=True,
)
HEAD = "<VirtualHost *:80>\nServerName campus.example.org\nDocumentRoot /var/www/chamilo/public\n"


def planned(host, wanted=WANTED):
    """The plan for a host, and its files with the marks in them. It is the same with the marks in place."""
    tree = Unmarked(Tree(host.tree.prefix), wanted.site)
    first = in_place_apache.plan(tree, apache.parse(tree, "2.4.62"), wanted)
    texts = {}
    for edited in first.files:
        path = host.root / edited.file.lstrip("/")
        before = path.read_bytes().decode("utf-8", "surrogateescape")
        assert edited.digest == digest(before)
        texts[edited.file] = apply(before, edited.marks, wanted.site)
        assert strip(texts[edited.file], wanted.site) == before
        path.write_bytes(texts[edited.file].encode("utf-8", "surrogateescape"))
    again = in_place_apache.plan(tree, apache.parse(tree, "2.4.62"), wanted)
    assert again == first
    marked = apache.parse(Tree(host.tree.prefix), "2.4.62")
    assert marked.problems == apache.parse(tree, "2.4.62").problems
    return first, texts, marked


def modules(host, case: Case) -> None:
    for name in (*case.head.get("modules", "").split(), *(["php8.4"] if case.head.get("php") else [])):
        text = f"LoadModule {name.replace('8.4', '')}_module /usr/lib/apache2/modules/mod_{name}.so\n"
        host.write(f"/etc/apache2/mods-enabled/{name}.load", text)


@pytest.mark.parametrize("case", cases("apache"), ids=lambda case: case.name)
def test_every_virtual_host_of_the_world(host, case):
    host.install("apache")
    modules(host, case)
    case.lay(host.root)
    plan, texts, marked = planned(host)
    if case.panel:
        assert plan.files == ()
        assert plan.obstacles
        for obstacle in plan.obstacles:
            assert obstacle.file in case.files
            assert INCLUDE in obstacle.remedy
        return
    assert plan.obstacles == ()
    assert plan.files
    named, _fallback = apache.answering(apache.servers(marked), WANTED.domain)
    redirects = {(block.file, block.line) for block in plan.blocks if block.kind == "redirect"}

    serving = [server for server in named if INCLUDE.split()[1] in server.host.includes]
    assert {server.host.line for server in named} == {server.host.line for server in serving} | {
        line for _file, line in redirects
    }
