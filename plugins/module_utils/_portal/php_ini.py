# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""PHP's settings on a Debian host, by the files each of its faces (fpm, apache2, cli) reads. Later ones win."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.chamilo.hardening.plugins.module_utils._portal import apache, php_fpm
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Tree, walk
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.observer import Observer, Unseen

_PHP = "/etc/php"
_OF_PHP = ("php_value", "php_flag", "php_admin_value", "php_admin_flag")


@dataclass(frozen=True)
class Setting:
    value: str
    file: str


def is_on(value: str) -> bool:
    return value.strip().lower() in ("1", "on", "yes", "true", "stdout")


def of_face(version: str, face: str, script: str = "") -> dict[str, Setting]:
    """What one face of one version reads: php.ini, then conf.d in the order of names.

    With a ``script`` what sections [PATH=directory] say of it, and nothing else; PHP goes by them last.
    """
    directory = f"{_PHP}/{version}/{face}"
    found: dict[str, Setting] = {}
    for path in [f"{directory}/php.ini", *sorted(glob.glob(f"{directory}/conf.d/*.ini"))]:
        for entry in php_fpm.entries(_text(path)) if os.path.exists(path) else ():
            if not entry.key and php_fpm.counts(entry.section, script) == ("insider" if script else "all"):
                found[entry.name] = Setting(entry.value, path)
    return found


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
        for entry in php_fpm.entries(_text(php.pool_file)):
            if entry.name in _OF_PHP:
                found[entry.key] = Setting(entry.value, php.pool_file)
    if php.sapi == "mod_php":
        found.update(_in_apache(f"{observer.site.root}/public/index.php"))
        return found
    for root in dict.fromkeys((os.path.realpath(observer.site.root), observer.site.root) if observer.site.root else ()):
        found.update(of_face(php.version, php.face, f"{root}/public/index.php"))
    name = found["user_ini.filename"].value if "user_ini.filename" in found else ".user.ini"
    own = f"{observer.site.root}/public/{name}"
    if observer.site.root and name and os.path.exists(own):
        try:
            text = Tree().read(own, php.user)
        except OSError as problem:
            raise Unseen(f"{own}, which PHP goes by, cannot be read: {problem.strerror}") from problem
        found.update({entry.name: Setting(entry.value, own) for entry in php_fpm.entries(text) if not entry.key})
    return found


def _in_apache(script: str) -> dict[str, Setting]:
    """What the blocks <Directory> above a script set for PHP in Apache, which reads neither sections nor .user.ini."""
    found: dict[str, Setting] = {}
    for block in walk(apache.parse(Tree()).directives):
        if block.name == "directory" and block.arguments and script.startswith(f"{block.arguments[0].rstrip('/')}/"):
            for line in walk(block.block or ()):
                if line.name in _OF_PHP and len(line.arguments) == 2:
                    found[line.arguments[0]] = Setting(line.arguments[1], line.file)
    return found


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
