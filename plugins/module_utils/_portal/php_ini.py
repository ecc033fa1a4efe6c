# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""PHP's settings on a Debian host, by the files each of its faces (fpm, apache2, cli) reads. Later ones win."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.chamilo.hardening.plugins.module_utils._portal import apache
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Tree, walk
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.observer import Observer, Unseen

_PHP = "/etc/php"
_VALUE = r"""[ \t]*=[ \t]*(?:"([^"]*)"|'([^']*)'|([^;\n]*))"""
_IN_APACHE = ("php_value", "php_flag", "php_admin_value", "php_admin_flag")
_SECTION = re.compile(r"^[ \t]*\[([^\]\n]*)\].*$", re.MULTILINE)
_LINE = re.compile(rf"^[ \t]*([\w.]+){_VALUE}", re.MULTILINE)
_POOL_LINE = re.compile(rf"^[ \t]*php_(?:admin_)?(?:value|flag)\[([\w.]+)\]{_VALUE}", re.MULTILINE)


@dataclass(frozen=True)
class Setting:
    value: str
    file: str


def is_on(value: str) -> bool:
    return value.strip().lower() in ("1", "on", "yes", "true", "stdout")


def of_face(version: str, face: str, script: str = "") -> dict[str, Setting]:
    """What one face of one version reads: php.ini, then conf.d in the order of names.

    With a ``script`` what sections [PATH=folder] say of it, and nothing else; PHP goes by them last.
    """
    directory = f"{_PHP}/{version}/{face}"
    found: dict[str, Setting] = {}
    for path in [f"{directory}/php.ini", *sorted(glob.glob(f"{directory}/conf.d/*.ini"))]:
        if os.path.exists(path):
            for section, text in _sections(_text(path)):
                kind, _is, place = section.partition("=")
                above = kind.strip() == "PATH" and script.startswith(f"{place.strip().rstrip('/')}/")
                if above if script else kind.strip() not in ("PATH", "HOST"):
                    found.update(_entries(text, path, _LINE))
    return found


def _sections(text: str) -> Iterator[tuple[str, str]]:
    first, *more = _SECTION.split(text)
    yield "", first
    yield from zip(more[::2], more[1::2])


def faces() -> list[tuple[str, str]]:
    """Every version and face on this host."""
    found = [path.split("/") for path in sorted(glob.glob(f"{_PHP}/*/*/php.ini"))]
    return [(parts[-3], parts[-2]) for parts in found]


def settings(observer: Observer) -> Mapping[str, Setting]:
    """The settings of this site's PHP: from its files, its pool or Apache, and for and in its directory."""
    return observer.once(_settings)


def _settings(observer: Observer) -> Mapping[str, Setting]:
    php = observer.site.php
    if not php.version:
        raise Unseen("the PHP that serves the site could not be found")
    found = of_face(php.version, php.face)
    if php.pool_file and os.path.exists(php.pool_file):
        found.update(_entries(_text(php.pool_file), php.pool_file, _POOL_LINE))
    if php.sapi == "mod_php":
        found.update(_in_apache(f"{observer.site.root}/public/index.php"))
        return found
    for root in dict.fromkeys((os.path.realpath(observer.site.root), observer.site.root) if observer.site.root else ()):
        found.update(of_face(php.version, php.face, f"{root}/public/index.php"))
    name = found["user_ini.filename"].value if "user_ini.filename" in found else ".user.ini"
    own = f"{observer.site.root}/public/{name}"
    if observer.site.root and name and os.path.exists(own):
        try:
            found.update(_entries(Tree().read(own, php.user), own, _LINE))
        except OSError as problem:
            raise Unseen(f"{own}, which PHP goes by, cannot be read: {problem.strerror}") from problem
    return found


def _in_apache(script: str) -> dict[str, Setting]:
    """What the blocks <Directory> above a script set for PHP in Apache, which reads neither sections nor .user.ini."""
    found: dict[str, Setting] = {}
    for block in walk(apache.parse(Tree()).directives):
        if block.name == "directory" and block.arguments and script.startswith(f"{block.arguments[0].rstrip('/')}/"):
            for line in walk(block.block or ()):
                if line.name in _IN_APACHE and len(line.arguments) == 2:
                    found[line.arguments[0]] = Setting(line.arguments[1], line.file)
    return found


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def _entries(text: str, path: str, line: re.Pattern[str]) -> dict[str, Setting]:
    return {
        match[1]: Setting(next((group for group in match.groups()[1:] if group is not None), "").strip(), path)
        for match in line.finditer(text)
    }
