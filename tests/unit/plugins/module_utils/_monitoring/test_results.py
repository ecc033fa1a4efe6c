# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the results of a host's own audits go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import results, watch

ANSWER = {"observed": {"headers_csp": {"status": "pass", "evidence": "Sent."}}}
RESULT = results.document("campus", "campus_test", ANSWER, 1790000123.0)


def known(to: str) -> dict[str, str]:
    return {"to": to, "file": "campus.json", "host": "campus"}


def test_a_result_reports_of_which_host_and_when() -> None:
    assert RESULT == {
        "format": 1,
        "host": "campus",
        "site": "campus_test",
        "generated": "2026-09-21T14:15:23Z",
        "answer": ANSWER,
    }


def test_a_directory_gets_one_file_for_each_host_readable_by_root_alone(tmp_path: Path) -> None:
    for _time in range(2):
        results.deliver(known(str(tmp_path)), RESULT)
    (path,) = tmp_path.iterdir()
    assert (
        json.loads(path.read_text()) == RESULT and path.name == "campus.json" and path.stat().st_mode & 0o777 == 0o600
    )


def test_a_mount_that_is_away_is_not_filled_below(tmp_path: Path) -> None:
    away = tmp_path / "mount"
    with pytest.raises(results.DeliveryError, match=f"there is no directory {away}. Mount it"):
        results.deliver(known(str(away)), RESULT)
    assert not away.exists()


def test_the_configuration_is_that_of_the_playbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "DIRECTORY", str(tmp_path))
    assert results.configuration("campus") == {}
    path = tmp_path / "results-campus.json"
    path.write_text(json.dumps(known("/srv/results")))
    assert results.configuration("campus") == known("/srv/results")
    path.write_text('{"to": 1}')
    with pytest.raises(results.DeliveryError, match="is damaged"):
        results.configuration("campus")


def test_a_directory_that_cannot_be_written_to_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_path: str, _text: str) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files, "replace_file", fails)
    with pytest.raises(results.DeliveryError, match=f"{tmp_path} cannot be written to: Read-only file system."):
        results.deliver(known(str(tmp_path)), RESULT)
