# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# pylint: disable=ansible-bad-function
"""What the application's database says of its portals: settings, addresses, plugins, migrations."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from .._common.tree import Tree
from . import overrides
from .catalogue import CATALOGUE
from .database import DatabaseError, Reader, as_number

_TABLES = (
    "SELECT table_name AS name FROM information_schema.tables"
    " WHERE table_schema = DATABASE() AND table_name IN ('user', 'version')"
)
# For versions with one table of the plugins, and another of the portals where each is enabled.
_ENABLED = (
    "SELECT DISTINCT title FROM plugin JOIN access_url_rel_plugin AS used ON used.plugin_id = plugin.id"
    " WHERE plugin.installed = 1 AND used.active = 1 ORDER BY title"
)


class PortalReader(Reader):
    """The database of an application, and the file that wins over it."""

    def settings(self) -> dict[str, str]:
        """Effective settings of the main portal: ``category.variable`` to text."""
        found = {key: rows[1][0] for key, rows in self._stored.items() if 1 in rows}
        return {**{key: setting.default for key, setting in CATALOGUE.items()}, **found, **self.pinned(1)}

    def pinned(self, portal: int) -> dict[str, str]:
        """What the application's overrides file has for a portal. It wins over the settings."""
        return {**self._overrides.get("default", {}), **self._overrides.get(str(portal), {})}

    def effective(self, variable: str, category: str) -> dict[str, str]:
        """What each active portal really uses, by the portal's URL.

        A secondary portal's own row counts only where the main row is missing or may be changed.
        """
        key = f"{category}.{variable}"
        default = CATALOGUE[key].default if key in CATALOGUE else ""
        rows = self._stored.get(key, {})
        values = {}
        for portal, url in self._portals.items():
            main, changeable = rows.get(1, (default, True))
            value = rows[portal][0] if portal in rows and changeable else main
            values[url] = self.pinned(portal).get(key, value)
        return values

    def hosts(self) -> list[str]:
        """The names in the addresses of the application's active portals, in lower case."""
        found = (re.match(r"https?://([^/:?#]+)", url.strip().lower()) for url in self._portals.values())
        return [each[1] for each in found if each]

    def plugins(self) -> list[str]:
        """The titles of the plugins that are enabled for a portal. An older release has no such tables: an error."""
        return [row["title"] or "" for row in self.query(_ENABLED)]

    def two_factor(self) -> bool:
        """Whether a login may ask for a second step: it is offered, or an account has one, which is enough."""
        if self.settings().get("security.2fa_enable") == "true":
            return True
        return bool(self.query("SELECT id FROM `user` WHERE mfa_enabled = 1 AND active <> -2 LIMIT 1"))

    @functools.cached_property
    def _portals(self) -> dict[int, str]:
        rows = self.query("SELECT id, url FROM access_url WHERE active = 1 OR id = 1 ORDER BY id")
        return {as_number(row["id"]): row["url"] or "" for row in rows} or {1: "the only portal"}

    @functools.cached_property
    def _stored(self) -> dict[str, dict[int, tuple[str, bool]]]:
        """``category.variable`` -> portal -> (value, may a secondary portal differ). Of doubles the last one counts."""
        found: dict[str, dict[int, tuple[str, bool]]] = {}
        for row in self.query(
            "SELECT category, variable, access_url, selected_value, access_url_changeable FROM settings"
            " WHERE subkey IS NULL OR subkey = '' ORDER BY id"
        ):
            if not row["access_url"]:  # the application asks for the rows of a portal
                continue
            key = f"{(row['category'] or '').lower()}.{row['variable']}"
            changeable = row["access_url_changeable"] == "1"
            found.setdefault(key, {})[int(row["access_url"])] = (row["selected_value"] or "", changeable)
        return found

    @functools.cached_property
    def _overrides(self) -> dict[str, dict[str, str]]:
        root = self.installation.root
        if not root:
            return {}
        path = Path(root, overrides.PATH)
        try:
            text = Tree().read(str(path), self.installation.web_user)
            text.encode("utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeEncodeError) as problem:
            why = problem.strerror if isinstance(problem, OSError) else problem
            raise DatabaseError(f"{path}, which wins over the database, cannot be read: {why}.") from problem
        # In any other mode the cache is renewed by itself.
        containers = Path(root, "var/cache/prod").glob("*Container.php") if self.installation.mode == "prod" else []
        moments = [container.stat().st_mtime for container in containers]
        if moments and max(moments) < path.stat().st_mtime:
            raise DatabaseError(
                f"{path} is newer than the application's cache, so it is not active yet: run"
                " `bin/console cache:clear` as the web user."
            )
        try:
            return overrides.parse(text, str(path))
        except overrides.OverridesError as problem:
            raise DatabaseError(str(problem)) from problem


def migrations_without_history(reader: Reader) -> bool:
    """Whether the portal has accounts, and no migration that it remembers: the next update would run them all."""
    there = {row["name"] for row in reader.query(_TABLES)}
    if "user" not in there:
        return False
    return "version" not in there or not reader.query("SELECT version FROM version LIMIT 1")


def migrations(reader: Reader) -> set[str]:
    """The migrations that the database remembers, each by the name of its class."""
    return {str(row["version"]).rpartition("\\")[2] for row in reader.query("SELECT version FROM version")}
