# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._attacker import Target
from ansible_collections.chamilo.hardening.plugins.module_utils._common.handshakes import Handshake
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer


class Portal(Target):
    """A portal that answers from a table: (scheme, path) or path -> Answer without its url. Anything else is 404."""

    def __init__(self, answers=None, trusted=True, protocols=("TLSv1_2", "TLSv1_3")):
        super().__init__("campus.test")
        self.answers = answers or {}
        self.trusted = trusted
        self.protocols = protocols
        self.asked = []

    def ask(self, scheme, path, **request):
        self.asked.append((scheme, path))
        url = f"{scheme}://campus.test{path}"
        if scheme == "https" and (not self.protocols or (request.get("verify") and not self.trusted)):
            return Answer(url, error="certificate refused: self-signed" if self.protocols else "refused")
        found = self.answers.get((scheme, path), self.answers.get(path, Answer("", 404, (), b"not here")))
        return Answer(url, found.status, found.headers, found.body, found.error)

    def shake(self, context=None):
        allowed = [name for name in self.protocols if context is None or _within(context, name)]
        return Handshake(protocol=allowed[-1]) if allowed else Handshake(error="handshake failure")


def _within(context, name):
    import ssl

    version = getattr(ssl.TLSVersion, name)
    low = ssl.TLSVersion.TLSv1 if context.minimum_version < 0 else context.minimum_version
    high = ssl.TLSVersion.TLSv1_3 if context.maximum_version < 0 else context.maximum_version
    return low <= version <= high


@pytest.fixture
def portal():
    return Portal
