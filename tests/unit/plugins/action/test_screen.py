# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user sees of a run: the callback beside the playbooks, loaded by ansible-core itself."""

from __future__ import annotations

from typing import Any

import pytest

GONE = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9, "ansible_timeout": 60}
# A host without Chamilo, which ends the run before any change.
EMPTY = {"ansible_become": False, "chamilo_root": "/nonexistent"}


@pytest.mark.slow
def test_the_last_screen_of_a_run_names_the_next_command(ansible: Any) -> None:
    outcome = ansible.play(
        "chamilo.hardening.harden", {"gone.test": {**GONE, "chamilo_serail": 1}}, "--limit", "gone.test"
    )
    assert outcome.code == 2
    assert outcome.output.splitlines()[-3:] == [
        'gone.test: FAILED at "Check every variable".',
        "When the error above is mended:",
        "  ansible-playbook chamilo.hardening.harden -i hosts.yml --limit gone.test",
    ]


@pytest.mark.slow
def test_tasks_that_change_nothing_are_silent_unless_asked_for(ansible: Any) -> None:
    quiet = ansible.play("chamilo.hardening.audit", {"empty.test": EMPTY})
    assert quiet.code == 0, quiet.output
    assert "TASK [" not in quiet.output
    assert len(quiet.output.splitlines()) <= 40
    assert "Report: " in quiet.output and "Open, the most severe first:" in quiet.output
    verbose = ansible.play("chamilo.hardening.audit", {"empty.test": EMPTY}, "-v")
    assert "TASK [Check the host]" in verbose.output
    (ansible.directory / "ansible.cfg").write_text("[defaults]\ndisplay_ok_hosts = true\n")
    assert "TASK [Check the host]" in ansible.play("chamilo.hardening.audit", {"empty.test": EMPTY}).output


@pytest.mark.slow
def test_tasks_of_other_plays_stay_visible(ansible: Any) -> None:
    ping = {"name": "Mine", "hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.ping": {}}]}
    plays = [ping, {"ansible.builtin.import_playbook": "chamilo.hardening.audit"}]
    outcome = ansible.play(plays, {"empty.test": EMPTY})
    assert "TASK [ansible.builtin.ping]" in outcome.output and "TASK [Check the host]" in outcome.output
    assert "Report: " in outcome.output


@pytest.mark.slow
def test_discover_reports_what_it_found_and_how_to_have_it_written(ansible: Any) -> None:
    outcome = ansible.play("chamilo.hardening.discover", {"empty.test": {"ansible_become": False}})
    assert outcome.code == 0, outcome.output
    assert outcome.output.splitlines()[-3:] == [
        "empty.test: 0 portals",
        "To write the inventory:",
        "  ansible-playbook chamilo.hardening.discover -i hosts.yml -e chamilo_inventory=portals.yml",
    ]
