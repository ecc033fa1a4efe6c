# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules and the host program report, whichever engine raised it."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.locks import Busy
from ansible_collections.chamilo.hardening.plugins.module_utils._database.accounts import AccountError
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import Refused


@pytest.mark.parametrize("kind", [Busy, AccountError, Refused])
def test_what_any_engine_raises_is_caught_by_one_name_with_its_words(kind: type[Exception]) -> None:
    with pytest.raises(HardeningError, match="held by another"):
        raise kind("held by another")
