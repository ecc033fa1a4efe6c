# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.chamilo.hardening.plugins.module_utils._portal import declared
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.observer import Observer
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Site


def test_a_check_reads_what_was_declared_and_the_default_of_all_else() -> None:
    observer = Observer(Site("campus.test"), {"csp": "enforce", "attempts": 3})
    assert observer.options == {**declared.DEFAULTS, "csp": "enforce", "attempts": 3}
    assert Observer(Site("campus.test"), {}).options == declared.DEFAULTS


def test_each_variable_steers_an_option_of_its_own() -> None:
    assert len(set(declared.VARIABLES.values())) == len(declared.VARIABLES)
