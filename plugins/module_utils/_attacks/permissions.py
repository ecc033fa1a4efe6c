# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Attacks on what lies in the project folder: fetch it."""

from __future__ import annotations

import re

from ansible_collections.chamilo.hardening.plugins.module_utils._aim import Aim
from ansible_collections.chamilo.hardening.plugins.module_utils._control import Finding, attack, failed, passed

# Path -> what its content looks like. The portal answers many an address with a page of its own.
_LOOT = {
    "/.env": rb"(?m)^[A-Z][A-Z_]+=",
    "/.env.bak": rb"(?m)^[A-Z][A-Z_]+=",
    "/.env.local": rb"(?m)^[A-Z][A-Z_]+=",
    "/.git/HEAD": rb"\Aref: refs/",
    "/.git/config": rb"\[core\]",
    "/composer.json": rb"\A\s*\{\s*\"",
    "/config/jwt/private.pem": rb"PRIVATE KEY",
    "/config/settings_overrides.yaml": rb"settings_overrides:",
    "/dump.sql": rb"(?i)(?:CREATE TABLE|INSERT INTO)",
    "/backup.sql": rb"(?i)(?:CREATE TABLE|INSERT INTO)",
    "/documentation/": rb"(?i)<title>[^<]*(?:changelog|documentation|installation)",
    "/documentation/changelog.html": rb"(?i)<h1|<title>",
    "/main/template/default/layout/layout_1_col.tpl": rb"\{[%{]",
    "/var/log/prod.log": rb"\A[\[{]",
    "/var/log/ids/ids.log": rb"\A\[\d{4}-",
}
_DETOURS = ("/%s", "//%s", "/public/../%s", "/public/%%2e%%2e/%s", "/index.php/../%s", "/build/..%%2f..%%2f%s")


@attack("permissions_docroot")
def fetch_secrets(aim: Aim) -> Finding:
    if not aim.page.status:
        raise OSError(f"{aim.page.url} gave no answer: {aim.page.error}")
    ways = [(path, detour % path.lstrip("/")) for path in _LOOT for detour in _DETOURS]
    taken = [way for path, way in ways if _holds(aim, way, _LOOT[path])]
    if taken:
        more = f" and {len(taken) - 3} more" if len(taken) > 3 else ""
        return failed(f"A stranger can fetch {', '.join(taken[:3])}{more} from {aim.scheme}://{aim.domain}.")
    return passed(f"{len(ways)} ways to files that are nobody's business were tried; none gave anything away.")


def _holds(aim: Aim, way: str, content: bytes) -> bool:
    answer = aim.get(way)
    return answer.status == 200 and answer.body != aim.missing.body and re.search(content, answer.body) is not None
