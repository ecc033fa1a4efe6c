# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Settings of the platform that run a command on the host, or a script in the browser of each visitor."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

from ansible_collections.chamilo.hardening.plugins.module_utils._portal import dotenv
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Tree
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.database import Reader
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Site

_SUSPECT = (
    "SELECT category, variable, access_url, selected_value FROM settings"
    " WHERE selected_value REGEXP '<|javascript:|sendmail:' ORDER BY id"
)
_SCRIPT = re.compile(
    r"<\s*(?:script|iframe|object|embed|base|svg|form)\b|<[^>]*[\s/\"']on[a-z]+\s*=|javascript:|<[^>]*http-equiv\s*=\s*[\"']?refresh",
    re.I,
)
_COMMAND = re.compile(r"sendmail://[^\s?]*\?(?:[^\s&]*&)*command=([^&\s)]+)", re.I)
# The mail program of the system, as manuals have it; an envelope's sender runs nothing.
_USUAL = re.compile(r"/usr/(?:s?bin|lib)/(?:sendmail|msmtp)(?: -(?:bs|t|i|oi|f ?\w[\w.+-]*@\w[\w.-]*))*", re.A)


def stored_code(reader: Reader, site: Site) -> list[str]:
    """Their names, with what they run. What root pinned in the application's overrides is the administrator's."""
    found = []
    for row in reader.query(_SUSPECT):
        name = f"{(row['category'] or '').lower()}.{row['variable']}"
        portal = int(row["access_url"] or 1)
        what = runs(row["selected_value"] or "")
        if what and name not in reader.pinned(portal):
            found.append(f"{name} of portal {portal} ({what})")
    environment = dotenv.read(Tree(), site.root, web_user=site.php.user)
    what = runs(environment.secret("MAILER_DSN"))
    return [*found, *([f"MAILER_DSN in the environment ({what})"] if what else [])]


def runs(value: str) -> str:
    """What a value runs, in words; never all of it: there may be a password beside."""
    for command in map(unquote_plus, _COMMAND.findall(value)):
        if not _USUAL.fullmatch(command):
            return f"the command {command[:60]}"
    script = _SCRIPT.search(value)
    return f"{script[0][:30].strip()} in the page" if script else ""
