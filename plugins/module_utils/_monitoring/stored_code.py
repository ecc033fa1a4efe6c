# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Settings of the platform that run a command on the host, or a script in the browser of each visitor."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from urllib.parse import unquote_plus

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.tree import Identity
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import basis, sites
from ansible_collections.chamilo.hardening.plugins.module_utils._portal import dotenv
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Tree
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.database import Reader
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Site

_MAILER = "MAILER_DSN"
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


def stored_code(reader: Reader, site: Site, users: Sequence[Identity] = ()) -> list[str]:
    """Their names, with what they run. What root pinned in the application's overrides is the administrator's.

    So is what root wrote into an environment file that none of ``users`` could write before either.
    """
    found = []
    for row in reader.query(_SUSPECT):
        name = f"{(row['category'] or '').lower()}.{row['variable']}"
        portal = int(row["access_url"] or 1)
        what = runs(row["selected_value"] or "")
        if what and name not in reader.pinned(portal):
            found.append(f"{name} of portal {portal} ({what})")
    environment = dotenv.read(Tree(), site.root, web_user=site.php.user)
    what = runs(environment.secret(_MAILER))
    if what and not _is_administrators(environment.sources[_MAILER], site.root, users):
        found.append(f"{_MAILER} in the environment ({what})")
    return found


def _is_administrators(path: str, root: str, users: Sequence[Identity]) -> bool:
    """Did root alone ever write this environment file, or did an administrator accept it?

    The section permissions makes it root's, whoever wrote it, and writes down before whose it was.
    """
    status = os.stat(path)  # which was read by the strict rules for links
    if not users or status.st_uid or any(user.changes(path, status) for user in users):
        return False
    hardened = any(os.path.realpath(one.tree["path"]) == os.path.realpath(root) for one in sites.known().values())
    seen = basis.read(root, files.STATE).environment
    return seen == 0 or (seen is None and not hardened)


def runs(value: str) -> str:
    """What a value runs, in words; never all of it: there may be a password beside."""
    for command in map(unquote_plus, _COMMAND.findall(value)):
        if not _USUAL.fullmatch(command):
            return f"the command {command[:60]}"
    script = _SCRIPT.search(value)
    return f"{script[0][:30].strip()} in the page" if script else ""
