# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run can leave out because it was done, and still is as it was."""

from __future__ import annotations

import json
import os
import time

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import alert, files, records, recurring


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    monkeypatch.setattr(alert, "CONFIGURATION", str(tmp_path / "alert.json"))
    (tmp_path / "state").mkdir()
    return tmp_path


def succeeded(name: str) -> None:
    records.note(recurring.DAILY, name, True, "", configuration=recurring.configuration(name))


def test_a_step_is_settled_once_it_succeeded_as_it_is_configured(state):
    assert not recurring.settled("monitoring")
    succeeded("monitoring")
    assert recurring.settled("monitoring") and not recurring.settled("updates")
    (state / "monitoring-campus.json").write_text("{}")
    assert not recurring.settled("monitoring")
    succeeded("monitoring")
    assert recurring.settled("monitoring")
    (state / "alert.json").write_text('{"mail": "it@school.example", "webhook": ""}')
    assert not recurring.settled("monitoring"), "somebody else is told now"


def test_a_failed_job_is_due_again_where_there_is_a_recipient(state):
    records.note("monitoring.json", "delivery", False, "")
    succeeded("monitoring")
    assert recurring.settled("monitoring"), "nobody is told, and that is why it failed"
    (state / "alert.json").write_text('{"mail": "it@school.example", "webhook": ""}')
    succeeded("monitoring")
    assert not recurring.settled("monitoring")
    records.note("monitoring.json", "delivery", True, "")
    assert recurring.settled("monitoring")


def test_a_list_that_was_written_since_it_was_copied_has_to_be_copied(state):
    assert recurring.copied("campus"), "there is none"
    path = state / "state/integrity-campus.json"
    path.write_text("{}")
    assert not recurring.copied("campus")
    records.note(recurring.COPIES, "campus", True, "")
    os.utime(path, (time.time() - 5, time.time() - 5))
    assert recurring.copied("campus") and recurring.copied("shop")
    os.utime(path, (time.time() + 5, time.time() + 5))
    assert not recurring.copied("campus")


def test_the_same_list_written_again_needs_no_other_copy(state):
    """As `integrity accept` writes it where nothing differed."""
    records.note(recurring.COPIES, "campus", True, "", digest="5f")
    path = state / "state/integrity-campus.json"
    for digest, copied in (("5f", True), ("60", False)):
        path.write_text(json.dumps({"digest": digest}))
        os.utime(path, (time.time() + 5, time.time() + 5))
        assert recurring.copied("campus") is copied


@pytest.mark.parametrize(("age", "spared"), [(0, True), (300, True), (900, False)])
def test_who_was_noted_long_ago_is_noted_again(state, age, spared):
    note = state / "state/friends/192.0.2.7"
    note.mkdir(parents=True)
    os.utime(note, (time.time() - age, time.time() - age))
    assert recurring.spared("192.0.2.7") is spared
    assert not recurring.spared("192.0.2.8")
