# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses at which Chamilo takes passwords, as they stand in an access log."""

from __future__ import annotations

import re

_LOGINS = ("login_json", "login/ldap/check", "oauth/token", "oauth/register", "api/authentication_token")


def _spelled(*texts: str) -> str:
    """Each letter as it is, or escaped."""
    return "|".join("".join(f"(?:{re.escape(one)}|%(?i:{ord(one):02x}))" for one in text) for text in texts)


LOGIN = re.compile(
    (
        r"(?:[A-Za-z][A-Za-z0-9+.-]*://[^/]*)?/"
        rf"(?:(?:[^?#%]{{0,200}}\.php/|index\.php)?(?:{'|'.join(_LOGINS)})"
        rf"|(?=[^?#%]{{0,240}}%)(?:[^?#]{{0,200}}{_spelled('.php/')}|{_spelled('index.php')})?"
        rf"(?:{_spelled(*_LOGINS)}))(?:[?#].*)?"
    ).encode()
)
