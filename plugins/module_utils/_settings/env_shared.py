# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The secrets that a node takes from the one that leads its portal: what one signs, the other has to accept."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from .._application import dotenv, known_secrets
from .._application.installation import Installation
from .._application.sealed import USUAL, SealError, unseal
from .._common.openssl import OpenSsl, run_openssl
from .env_draft import EnvError

TAKEN = (
    "APP_SECRET is that of the node that leads the portal now. Who set up two-factor login on this node while it had "
    "another one sets it up again, and devices that this node remembered log in once more."
)
_OF_PEOPLE = (
    "The nodes of the portal do not have the same APP_SECRET: {}. No file was changed. Set "
    "chamilo_permissions_rotate_secret for the portal to have all of them share that of the one that leads it; who set "
    "up two-factor login on another one sets it up again."
)
_PUBLIC = (
    "The nodes of the portal do not have the same {0}, and that of the one that leads it is public and was left as it "
    "is. No file was changed. That node reports the reason; give all nodes the same new one."
)
_LONGEST = 16384  # characters of what is sealed for one name


def of_node(text: str, salt: str, openssl: OpenSsl = run_openssl) -> dict[str, str]:
    """What another node of the portal sealed: known names alone, and texts that can stand in a file."""
    what = "What the other node of the portal has as its secrets"
    found = unseal(what, text, salt, openssl)
    if not set(found) <= {*dotenv.SECRETS, *USUAL}:
        raise SealError(f"{what} cannot be read.")
    for name, value in found.items():
        form = r"[ -~\r\n]+" if name in USUAL else r"[^\x00-\x1f\x7f]+"
        if not (isinstance(value, str) and len(value) <= _LONGEST and re.fullmatch(form, value)):
            raise SealError(f"What the other node of the portal has as {name} can be none.")
    return found


def taken(
    theirs: Mapping[str, str],
    before: dotenv.Environment,
    portal: Installation,
    two_factor: Callable[[Installation], str],
    rotate: bool,
) -> dict[str, str]:
    """Those secrets of the leading node that this one has to have in place of its own."""
    found = {}
    for name in dotenv.SECRETS if theirs else ():
        value, public = theirs.get(name, ""), name in known_secrets.published(before)
        if value == before.secret(name):
            continue
        if not known_secrets.fault(value):
            found[name] = value
        elif not public:
            raise EnvError(_PUBLIC.format(name))
    # A second factor is encrypted with it: users who set it up on this node would be locked out.
    if "APP_SECRET" in found and "APP_SECRET" not in known_secrets.published(before) and not rotate:
        why = two_factor(portal)
        if why:
            raise EnvError(_OF_PEOPLE.format(why))
    return found
