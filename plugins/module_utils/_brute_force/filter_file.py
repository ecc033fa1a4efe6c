# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""The file of a filter: what stands in it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError

DIRECTORY = "/etc/fail2ban/filter.d"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class FilterError(HardeningError):
    """A filter that must not be installed. The message states why, with the sample and its result."""


@dataclass(frozen=True)
class Definition:
    """A filter, as it stands in its file."""

    name: str
    failregex: tuple[str, ...]
    datepattern: str = ""

    def text(self) -> str:
        """The file. Its patterns are written as they are; what fail2ban would interpolate is escaped."""
        lines = ["# Managed by Ansible: chamilo.hardening, module fail2ban_filter. Changes here are lost.", ""]
        lines.append("[Definition]")
        for key, value in (
            ("failregex", self.failregex),
            ("ignoreregex", []),  # without it fail2ban warns
            ("datepattern", [self.datepattern] if self.datepattern else []),
        ):
            if value or key == "ignoreregex":
                lines.append(f"{key} = {f'{chr(10)}    '.join(one.replace('%', '%%') for one in value)}".rstrip())
        return "\n".join(lines) + "\n"


def alone(name: str) -> None:
    """Refuse a filter that another file would change behind the proof's back."""
    local = os.path.join(DIRECTORY, f"{name}.local")
    if os.path.lexists(local):
        raise FilterError(f"{local} would change what was proved. Remove it.")


def no_name(name: str) -> str:
    return (
        f"name: {name!r} is no name of a filter. It becomes a file of that name with .conf, so it consists of letters, "
        "digits, dots, dashes and underscores only, and no slash."
    )
