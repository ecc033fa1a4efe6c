# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups are kept."""

from __future__ import annotations

import datetime
import json
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import restic, retention
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError
from tests.unit.plugins.module_utils._backups.conftest import made, of_campus

pytestmark = pytest.mark.usefixtures("directories")


DAY = 86400.0


def test_what_is_dated_ahead_takes_no_place_of_what_is_kept(directories: Path) -> None:
    """For ten days the clock was 400 days ahead; restic's own forget would remove each backup made since."""
    there = of_campus(directories, keep_daily=3, keep_weekly=0, keep_monthly=0)
    now = time.time()
    ahead = [made(f"a{number}", number, now + (400 + number) * DAY) for number in range(10)]
    since = [made(f"b{number}", 10 + number, now - (10 - number) * DAY) for number in range(10)]
    gone = [pair.run for pair in retention.outdated(there, [*ahead, *since])]
    assert sorted(gone) == [f"b{number}" for number in range(7)]


def test_days_weeks_and_months_are_kept_as_restic_does(directories: Path) -> None:
    there = of_campus(directories, keep_daily=2, keep_weekly=2, keep_monthly=2)
    begin = datetime.datetime(2026, 3, 31, 3).timestamp()  # a Tuesday
    every = [made(f"{number}", number, begin - (60 - number) * DAY) for number in range(61)]
    gone = {pair.run for pair in retention.outdated(there, every)}
    # 30 and 31 March; Sunday before, 29 March; February's last.
    assert {pair.run for pair in every} - gone == {"60", "59", "58", "29"}
    assert retention.outdated(there, every[:2]) == []


class Store:
    """What restic is asked of one repository, and what it answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *entries: tuple[str, str, tuple[str, ...]]) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.refusal = ""
        at = "2026-01-01T00:00:00Z"
        self.entries = [
            {"id": name, "tree": "t", "time": at, "paths": list(paths), "tags": [f"run={run}", "x", "number=7"]}
            for name, run, paths in entries
        ]

        def run(_place: restic.Repository, *arguments: str, seconds: float = 0) -> tuple[str, str]:
            if arguments[0] == "snapshots":
                assert arguments == ("snapshots", "--json", "--host", "campus", "--tag", "chamilo-hardening")
                return json.dumps(self.entries or None), ""
            self.asked.append(arguments)
            if self.refusal and arguments[0] == "forget":
                raise BackupError(self.refusal)
            return "", ""

        monkeypatch.setattr(restic.Repository, "run", run)


DUMPED = (restic.DUMP,)
PAIR = (("d1", "1", DUMPED), ("f1", "1", ("/srv",)))


@pytest.mark.parametrize(
    ("entries", "gone"),
    [((), ()), (PAIR, ()), ((*PAIR, ("d2", "2", DUMPED)), ("d2",)), ((("f0", "0", ("/srv",)), *PAIR), ("f0",))],
)
def test_what_a_run_left_that_was_killed_between_its_halves_goes(
    directories: Path, monkeypatch: pytest.MonkeyPatch, entries: Any, gone: tuple[str, ...]
) -> None:
    store = Store(monkeypatch, *entries)
    retention.forget_halves(restic.Repository(of_campus(directories), "/repository"))
    assert store.asked == ([("forget", *gone)] if gone else [])


@pytest.mark.parametrize("words", ["unexpected HTTP response (403)", "403 Forbidden", "AccessDenied", "Access Denied."])
def test_a_repository_that_lets_nothing_be_removed_is_left_alone(
    directories: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    store = Store(monkeypatch, ("d2", "2", DUMPED))
    store.refusal = words
    place = restic.Repository(of_campus(directories), "/repository")
    retention.forget_halves(place)
    store.refusal = "no answer after 4030 s"
    with pytest.raises(BackupError, match="4030"):
        retention.forget_halves(place)


@pytest.mark.parametrize(
    ("since", "refusal", "forgotten"),
    [
        (6.4 * DAY, "", None),
        (6.6 * DAY, "", True),
        (6.6 * DAY, "403", False),
        (-DAY, "", True),  # the clock was wrong then
        (None, "", None),  # the first run
    ],
)
def test_once_a_week_old_backups_go_and_the_repository_is_checked(
    directories: Path,
    monkeypatch: pytest.MonkeyPatch,
    since: float | None,
    refusal: str,
    forgotten: bool | None,
) -> None:
    now = 1_790_000_000.0
    monkeypatch.setattr(retention.time, "time", lambda: now)
    store = Store(monkeypatch, *PAIR)
    store.refusal = refusal
    monkeypatch.setattr(retention, "outdated", lambda _portal, pairs: pairs)
    memory = {"upkeep": {} if since is None else {"/repository": now - since}}
    lines = retention.upkeep(of_campus(directories), memory, "/repository")
    if forgotten is None:
        assert (lines, store.asked) == ([], [])
        assert memory == {"upkeep": {"/repository": now - (since or 0)}}
        return
    assert store.asked == [("unlock",), ("forget", "--prune", "d1", "f1"), ("check",)]
    kept = "/repository lets nothing be removed: what is old is cleared away over there."
    assert lines == [*([] if forgotten else [kept]), "/repository is in order."]
    assert memory == {"upkeep": {"/repository": now}}
