# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""PHP's settings on a Debian host, by the files each of its faces (fpm, apache2, cli) reads. Later ones win."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.chamilo.hardening.plugins.module_utils._look import Look, Unseen

_PHP = "/etc/php"
_VALUE = r"""[ \t]*=[ \t]*(?:"([^"]*)"|'([^']*)'|([^;\n]*))"""
_LINE = re.compile(rf"^[ \t]*([\w.]+){_VALUE}", re.MULTILINE)
_POOL_LINE = re.compile(rf"^[ \t]*php_(?:admin_)?(?:value|flag)\[([\w.]+)\]{_VALUE}", re.MULTILINE)


@dataclass(frozen=True)
class Setting:
    value: str
    file: str


def is_on(value: str) -> bool:
    return value.strip().lower() in ("1", "on", "yes", "true", "stdout")


def of_face(version: str, face: str) -> dict[str, Setting]:
    """What one face of one version reads: php.ini, then conf.d in the order of names."""
    folder = f"{_PHP}/{version}/{face}"
    found: dict[str, Setting] = {}
    for path in [f"{folder}/php.ini", *sorted(glob.glob(f"{folder}/conf.d/*.ini"))]:
        if os.path.exists(path):
            found.update(_entries(path, _LINE))
    return found


def faces() -> list[tuple[str, str]]:
    """Every version and face on this host."""
    found = [path.split("/") for path in sorted(glob.glob(f"{_PHP}/*/*/php.ini"))]
    return [(parts[-3], parts[-2]) for parts in found]


def settings(look: Look) -> Mapping[str, Setting]:
    """What the PHP of this site reads, its pool's lines last."""
    return look.once(_settings)


def _settings(look: Look) -> Mapping[str, Setting]:
    php = look.site.php
    if not php.version:
        raise Unseen("the PHP that serves the site could not be found")
    found = of_face(php.version, "fpm" if php.sapi == "fpm" else "apache2")
    if php.pool_file and os.path.exists(php.pool_file):
        found.update(_entries(php.pool_file, _POOL_LINE))
    return found


def _entries(path: str, line: re.Pattern[str]) -> dict[str, Setting]:
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    return {
        match[1]: Setting(next((group for group in match.groups()[1:] if group is not None), "").strip(), path)
        for match in line.finditer(text)
    }
