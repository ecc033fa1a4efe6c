# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a transaction leaves to be done. How it ends is in test_env_file.py."""

from __future__ import annotations

import os

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import ABSENT, file_item
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.env_transaction import OWED, Writer
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import (
    Change,
    Outcome,
    TransactionError,
)


def test_the_logins_of_each_portal_are_owed_by_themselves(tmp_path):
    code = [0]
    writer = Writer(Engine(str(tmp_path / "state"), Machine(lambda *_argv: (code[0], "no"), systemd=False)))

    def write(name, owing):
        new = file_item(name.encode(), os.geteuid(), os.getegid(), 0o600)
        writer.write([Change(str(tmp_path / name), ABSENT, new)], [["true"]], [], Outcome(), owing)
        return writer.store.peek().get(OWED)

    assert write("none", "") is None
    assert write("one", "/srv/one") == ["/srv/one"]
    assert write("other", "/srv/other") == ["/srv/one", "/srv/other"]
    assert writer.logins_ended("/srv/one") == [] and writer.store.peek()[OWED] == ["/srv/other"]
    assert writer.logins_ended("/srv/other") == [] and OWED not in writer.store.peek()
    code[0] = 1
    with pytest.raises(TransactionError):
        write("refused", "/srv/one")
    assert OWED not in writer.store.peek()
