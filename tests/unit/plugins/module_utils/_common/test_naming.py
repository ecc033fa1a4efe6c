# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The word for a domain in the names of files."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.naming import word


@pytest.mark.parametrize(
    ("domain", "known_as"),
    [
        ("campus.test", "campus_test"),
        ("A.b.test", "a_b_test"),
        ("a-b.test", "a__b_test"),
        ("xn--caf-dma.test", "xn____caf__dma_test"),
    ],
)
def test_the_word_in_the_names_of_files_reports_domains_apart(domain, known_as):
    assert word(domain) == known_as
