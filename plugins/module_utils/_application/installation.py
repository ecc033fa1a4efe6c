# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Chamilo lies on a host, and what the host decides for it: all that changes it goes by this.

Discovery finds it out, and a module that is told it needs no discovery.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._common.tree import Place, Tree
from .dotenv import Environment, read
from .sealed import unseal


@dataclass(frozen=True)
class Installation:
    root: str = ""
    web_user: str = ""  # whom PHP runs as
    version: str = ""  # of Chamilo's code
    php: str = ""  # its version
    service: str = ""  # what is reloaded for changed code
    given: Mapping[str, Place] = field(default_factory=dict, repr=False)  # by the server: wins over environment files
    sessions: str = ""  # the directory of the files of PHP's sessions
    sessions_keeper: str = ""  # what keeps them instead
    addresses: Sequence[str] = ()  # of this host
    document_roots: Sequence[str] = ()  # of all its virtual hosts

    def environment(self, tree: Tree | None = None) -> Environment:
        """What the application sees."""
        if not self.root:
            return Environment({}, (), ())
        return read(tree or Tree(), self.root, self.given, self.web_user)

    @property
    def mode(self) -> str:
        return self.environment().get("APP_ENV") or "prod"


def told(values: Mapping[str, Any], salt: str) -> Installation:
    """An installation, of which ``given`` was sealed."""
    given = unseal("What the server gives PHP", values["given"], salt) if values.get("given") else {}
    return Installation(**{**values, "given": {name: Place(**place) for name, place in given.items()}})
