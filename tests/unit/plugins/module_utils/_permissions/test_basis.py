# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What vouched for a program is not forgotten before an administrator answers for it."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import basis


def test_what_the_web_user_could_write_is_kept_until_it_is_accepted(tmp_path):
    portal, state = str(tmp_path / "campus"), str(tmp_path)
    assert (basis.read(portal, state).writable, basis.read(portal, state).plugins) == (0, {})
    basis.taken(portal, state, 900, {"public/plugin/A": "www-data, 2026-01-01"})
    basis.taken(portal, state, 0, {})  # a second run sees files of root's alone
    basis.taken(portal, state, 2, {"public/plugin/B": "www-data, 2026-02-01"})
    basis.compared(portal, state, "the package x.zip (sha256 abc)", "abc")  # which does not judge the files yet
    known = basis.read(portal, state)
    assert known.writable == 900 and sorted(known.plugins) == ["public/plugin/A", "public/plugin/B"]
    assert (known.words, known.sha256) == ("the package x.zip (sha256 abc)", "abc")
    assert basis.read(str(tmp_path / "other"), state) == basis.Basis()
    basis.accepted(portal, state)
    known = basis.read(portal, state)
    assert (known.writable, known.plugins, known.sha256) == (0, {}, "abc")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"/srv/x": 3}'])
def test_a_record_that_is_not_whole_is_none(tmp_path, text):
    (tmp_path / basis.FILE).write_text(text)
    assert basis.read("/srv/x", str(tmp_path)) == basis.Basis()
    basis.taken("/srv/x", str(tmp_path), 1, {})
    assert basis.read("/srv/x", str(tmp_path)).writable == 1


def test_whose_environment_files_were_is_seen_once(tmp_path):
    portal, state = str(tmp_path / "campus"), str(tmp_path)
    assert basis.read(portal, state).environment is None
    basis.environment_taken(portal, state, 0, first=False)  # of a version that wrote nothing down
    assert basis.read(portal, state).environment is None
    basis.environment_taken(portal, state, 2, first=True)
    basis.environment_taken(portal, state, 0, first=False)  # they are root's by now
    assert basis.read(portal, state).environment == 2
    basis.accepted(portal, state)
    assert basis.read(portal, state).environment == 0
    basis.environment_taken(portal, state, 1, first=True)  # the first run did not come to its end
    assert basis.read(portal, state).environment == 1
    basis.accepted(portal, state)
    basis.environment_taken(portal, state, 1, first=False)  # a window was open
    assert basis.read(portal, state).environment == 1


def test_an_administrator_accepts_unobserved_environment_files(tmp_path):
    basis.accepted("/srv/campus", str(tmp_path))
    assert basis.read("/srv/campus", str(tmp_path)).environment == 0
