# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the host is asked: one that cannot be reached gives it away."""

from __future__ import annotations

from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import plan

NAME, PATH = "headers:campus", "/etc/nginx/headers.conf"
FILES = [{"path": PATH, "content": "# @generation@\n"}, {"path": "/etc/nginx/old.conf", "state": "absent"}]
SEEN = {
    "generation": plan({"name": NAME, "files": FILES}).generation,
    "files": {PATH: "file", "/etc/nginx/old.conf": "absent", "/etc/nginx/older.conf": "absent"},
}


def known(seen: dict[str, Any]) -> dict[str, Any]:
    return {"_chamilo_each_once": True, "__chamilo_common_info": {"in_force": {NAME: seen}}}


QUESTIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({**known(SEEN), "_chamilo_each_once": False}, {}),
    (known({**SEEN, "generation": "0000000000000000"}), {}),
    (known({**SEEN, "files": {PATH: "file"}}), {}),
    (known(SEEN), {"state": "absent"}),
    (known(SEEN), {"name": "headers:other"}),
    (known(SEEN), {"files": [{**FILES[0], "mode": "0600"}, FILES[1]]}),
    (known(SEEN), {"files": [{**FILES[0], "mode": "a+r"}, FILES[1]]}),
    (known(SEEN), {"files": "none"}),
]
ANSWERED = [(known(SEEN), {"test": [["nginx", "-t"]], "load": {"service": "nginx"}})]


def test_only_what_discovery_found_in_force_is_not_asked_for_again(ansible: Any) -> None:
    questions = [
        (variables, {"chamilo.hardening.config_transaction": {"name": NAME, "files": FILES, **options}})
        for variables, options in [*QUESTIONS, *ANSWERED]
    ]
    assert ansible.ask(questions) == [(0, 0, 1)] * len(QUESTIONS) + [(1, 0, 0)]
