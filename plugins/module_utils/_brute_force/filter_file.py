# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of a filter: what stands in it, and how it is written."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from .._common.errors import HardeningError
from .._common.files import Tree, file_item

DIRECTORY = "/etc/fail2ban/filter.d"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class FilterError(HardeningError):
    """A filter that must not be installed. The message states why, with the sample and its result."""


@dataclass(frozen=True)
class Definition:
    """A filter, as it stands in its file."""

    name: str
    failregex: tuple[str, ...]
    ignoreregex: tuple[str, ...] = ()
    prefregex: str = ""
    datepattern: str = ""
    journalmatch: str = ""

    def text(self) -> str:
        """The file. Its patterns are written as they are; what fail2ban would interpolate is escaped."""
        lines = ["# Managed by Ansible: chamilo.hardening, module fail2ban_filter. Changes here are lost.", ""]
        lines.append("[Definition]")
        for key, value in (
            ("prefregex", [self.prefregex] if self.prefregex else []),
            ("failregex", self.failregex),
            ("ignoreregex", self.ignoreregex),
            ("datepattern", [self.datepattern] if self.datepattern else []),
            ("journalmatch", [self.journalmatch] if self.journalmatch else []),
        ):
            if value or key == "ignoreregex":  # without it fail2ban warns
                lines.append(f"{key} = {f'{chr(10)}    '.join(one.replace('%', '%%') for one in value)}".rstrip())
        return "\n".join(lines) + "\n"


class File:
    """The file of a filter."""

    def __init__(self, directory: str, name: str) -> None:
        if not NAME.fullmatch(name):
            raise FilterError(no_name(name))
        self.path = os.path.join(directory, f"{name}.conf")

    def alone(self) -> None:
        """Refuse a filter that another file would change behind the proof's back."""
        local = f"{self.path[: -len('.conf')]}.local"
        if os.path.lexists(local):
            raise FilterError(f"{local} would change what was proved. Remove it, or give the filter another name.")

    def read(self) -> str | None:
        try:
            with open(self.path, encoding="utf-8", errors="surrogateescape") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def write(self, text: str | None) -> None:
        """Replace the file in one step, or remove it."""
        if text is None:
            os.unlink(self.path)
            return
        with Tree() as tree:
            tree.write(self.path, file_item(text.encode(), os.geteuid(), os.getegid(), 0o644))

    def diff(self, before: str | None, after: str | None) -> dict[str, str]:
        def header(text: str | None) -> str:
            return self.path if text is not None else f"{self.path} (absent)"

        headers = {"before_header": header(before), "after_header": header(after)}
        return {**headers, "before": before or "", "after": after or ""}


def no_name(name: str) -> str:
    return (
        f"name: {name!r} is no name of a filter. It becomes a file of that name with .conf, so it consists of letters, "
        "digits, dots, dashes and underscores only, and no slash."
    )
