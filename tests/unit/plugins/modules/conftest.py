# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _answers


@pytest.fixture(autouse=True)
def as_the_controller_reads_it(monkeypatch, request):
    """Whatever a module answers in its tests, the controller has to accept as it is."""
    module = request.path.stem.removeprefix("test_")
    leave = AnsibleModule._return_formatted

    def answered(self, answer):
        known = json.loads(json.dumps(answer))
        read = _answers.read(module, known)
        assert {name: value for name, value in read.items() if name in known} == {
            name: value for name, value in known.items() if name in read
        }
        # What only the action plugin of its own module needs, or no documentation names, does not get any further.
        assert set(known) - set(read) == set()
        leave(self, answer)

    monkeypatch.setattr(AnsibleModule, "_return_formatted", answered)
