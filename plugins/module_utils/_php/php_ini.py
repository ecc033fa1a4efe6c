# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PHP goes by: the one reader of its settings, for discovery, what ends sessions, and the audit.

From the weakest to the strongest. FPM: php.ini and conf.d, the pool, PHP_VALUE of the web server, [PATH=...] sections,
.user.ini. PHP in Apache: php.ini and conf.d, the main server, the virtual host, <Directory> from the shortest to the
longest. What an administrator's directive sets (php_admin_value) no weaker kind of directive changes.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from .._common.errors import HardeningError
from .._common.tree import Place, Tree
from .._webserver import apache, nginx
from .._webserver.configuration import GIVEN, Configuration, Directive, Server, VirtualHost, WebServer, every, walk
from . import php_fpm
from .php import Php

_PHP = "/etc/php"
_DIRECTIVES = ("php_value", "php_flag", "php_admin_value", "php_admin_flag")
_OURS = re.compile(r"\d+-chamilo-[\w.-]+\.ini")  # what this collection puts into conf.d
# What its files make of their owner's values.
_MADE = ("auto_prepend_file", "upload_max_filesize", "post_max_size")


class PhpError(HardeningError):
    """What PHP goes by cannot be read, or there is no PHP."""


@dataclass(frozen=True)
class Setting:
    value: str
    file: str
    line: int = 0
    admin: bool = False  # nothing that PHP's user can write changes it

    @property
    def place(self) -> str:
        return f"{self.file} line {self.line}"


Settings = Mapping[str, Setting]


def is_on(value: str) -> bool:
    return value.strip().lower() in ("1", "on", "yes", "true", "stdout")


def faces(tree: Tree) -> list[tuple[str, str]]:
    """Every version and face on this host."""
    found = [path.split("/") for path in tree.glob(f"{_PHP}/*/*/php.ini")]
    return [(parts[-3], parts[-2]) for parts in found]


def of_face(tree: Tree, version: str, face: str, script: str = "", ours: bool = True) -> dict[str, Setting]:
    """What one face of one version (fpm, apache2, cli) reads: php.ini, then conf.d in the order of names.

    ``script``: what sections [PATH=directory] set for it, and nothing else. ``ours``: False leaves out what the files
    of this collection make of their owner's values, which would hide later values of the owner.
    """
    directory = f"{_PHP}/{version}/{face}"
    found: dict[str, Setting] = {}
    for path in (f"{directory}/php.ini", *tree.glob(f"{directory}/conf.d/*.ini")):
        made = () if ours or not _OURS.fullmatch(posixpath.basename(path)) else _MADE
        for entry in php_fpm.entries(tree.read(path)) if tree.exists(path) else ():
            scope = php_fpm.counts(entry.section, script)
            if not entry.key and entry.name not in made and scope == ("insider" if script else "all"):
                found[entry.name] = Setting(entry.value, path, entry.number, bool(script))
    return found


class Served(Protocol):
    """Of a portal, what decides that."""

    @property
    def root(self) -> str: ...
    @property
    def php(self) -> Php: ...
    @property
    def web(self) -> WebServer: ...
    @property
    def serving(self) -> Sequence[VirtualHost]: ...
    @property
    def fallback(self) -> Sequence[VirtualHost]: ...


def of_site(tree: Tree, site: Served) -> dict[str, Setting]:
    """What is in force for the pages of a portal."""
    if not site.php.version:
        raise PhpError("the PHP that serves the site could not be found")
    web, hosts = site.web, {(host.file, host.line) for host in site.serving or site.fallback}
    configuration = apache.parse(tree, web.version) if web.name == "apache" else nginx.parse(tree)
    servers = apache.servers(configuration) if web.name == "apache" else nginx.servers(configuration)
    serving = [server for server in servers if (server.host.file, server.host.line) in hosts]
    pool = php_fpm.pool_behind(tree, php_fpm.pools(tree)[0], site.php.socket)
    return in_force(tree, site.php, site.root, pool, web.name, configuration, serving)


def in_force(
    tree: Tree,
    php: Php,
    root: str,
    pool: php_fpm.Pool | None,
    web_server: str,
    configuration: Configuration,
    serving: Sequence[Server],
    ours: bool = True,
) -> dict[str, Setting]:
    """The same, of what discovery has read already. ``ours``: see ``of_face``."""
    found = of_face(tree, php.version, php.face, ours=ours)
    if php.sapi == "mod_php":
        for server in serving:
            _add(found, _in_apache(configuration, server, f"{root}/public", ours))
        return found
    found.update(_of_pool(pool))
    for server in serving:
        found.update(_given(web_server, server))
    roots = dict.fromkeys((tree.real(root), root)) if root else ()
    for spelling in roots:
        found.update(of_face(tree, php.version, php.face, f"{spelling}/public/index.php", ours))
    _add(found, _of_user(tree, f"{root}/public", found, php.user) if root else {})
    return found


def _add(found: dict[str, Setting], weaker: Settings) -> None:
    for name, setting in weaker.items():
        if setting.admin or not (name in found and found[name].admin):
            found[name] = setting


def _of_pool(pool: php_fpm.Pool | None) -> dict[str, Setting]:
    if pool is None:
        return {}
    return {
        one.key: Setting(one.value, pool.file, one.number, "admin" in one.name)
        for one in pool.settings
        if one.name in _DIRECTIVES
    }


def _given(web_server: str, server: Server) -> dict[str, Setting]:
    """What the web server hands over with each request: lines of php.ini in PHP_VALUE and PHP_ADMIN_VALUE."""
    real = nginx.real_environment(server) if web_server == "nginx" else apache.real_environment(server)
    found: dict[str, Setting] = {}
    for name in GIVEN[::-1]:
        place = real.get(name, Place("", 0, ""))
        for entry in php_fpm.entries(place.what.replace("\\n", "\n")):
            found[entry.name] = Setting(entry.value, place.file, place.line, name == "PHP_ADMIN_VALUE")
    return found


def _of_user(tree: Tree, public: str, found: Settings, user: str) -> dict[str, Setting]:
    """The document root's .user.ini, which no PHP but FPM's reads."""
    name = found["user_ini.filename"].value if "user_ini.filename" in found else ".user.ini"
    own = f"{public}/{name}"
    if not name or not tree.exists(own):
        return {}
    try:
        text = tree.read(own, user)
    except OSError as problem:
        raise PhpError(f"{own}, which PHP goes by, cannot be read: {problem.strerror}") from problem
    return {one.name: Setting(one.value, own, one.number) for one in php_fpm.entries(text) if not one.key}


def _in_apache(configuration: Configuration, server: Server, public: str, ours: bool) -> dict[str, Setting]:
    """What Apache sets for its own PHP in a virtual host: it reads neither sections of php.ini nor .user.ini."""
    document_root = (server.host.root or public).rstrip("/")
    main, own = configuration.directives, server.block.block or ()
    blocks = [
        block
        for block in every((*main, *own), "directory")
        if block.arguments and f"{document_root}/".startswith(f"{block.arguments[0].rstrip('/')}/")
    ]
    blocks.sort(key=lambda block: len(block.arguments[0].rstrip("/")))
    found: dict[str, Setting] = {}
    for level in (_bare(main), _bare(own), *(walk(block.block or ()) for block in blocks)):
        for line in level:
            if line.name in _DIRECTIVES and len(line.arguments) == 2:
                name, value = line.arguments
                if ours or name not in _MADE or not configuration.is_ours(line.file):
                    _add(found, {name: Setting(value, line.file, line.line, "admin" in line.name)})
    return found


def _bare(level: Iterable[Directive]) -> list[Directive]:
    """The directives in no block of their level."""
    return [item for item in level if item.block is None]
