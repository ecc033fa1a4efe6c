# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages of modules that playbooks of tests share: used for the same code and for no other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.tools.callback import packed_once


def test_no_package_of_other_code_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_once, "ROOT", tmp_path)
    module = tmp_path / "plugins/modules/x.py"
    module.parent.mkdir(parents=True)
    module.write_text("one")
    known = [packed_once.sources()]
    module.write_text("other")
    known.append(packed_once.sources())
    os.utime(module, (1, 1))
    known.append(packed_once.sources())
    module.rename(module.with_name("y.py"))
    known.append(packed_once.sources())
    assert len(set(known)) == 4
