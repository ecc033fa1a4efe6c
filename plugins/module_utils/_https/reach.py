# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an authority could give this host a certificate, as far as that can be known before anything is changed."""

from __future__ import annotations

import re
from collections.abc import Collection

from .._application.outside import unanswered
from .acme import Resolve, resolve

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"  # Certbot's own default


def refusal(domain: str, resolver: Resolve = resolve, own: Collection[str] | None = None) -> str:
    """Why no authority could reach the name, as far as that can be known before anything is changed.

    ``own``: the addresses of this host, where others are to be tried.
    """
    if "." not in domain or re.fullmatch(r"[0-9.:]+", domain):
        return f"{domain} is no name of the DNS, and no public authority certifies it."
    addresses = resolver(domain)
    if not addresses:
        return f"{domain} has no address in the DNS, so no authority can reach it."
    elsewhere = [one for one in addresses if own is not None and one not in own and not one.startswith(("127.", "::1"))]
    silent = unanswered({one: f"{one}:80" for one in elsewhere})
    for address, why in silent.items():
        return f"{domain} leads to {address}, which is no address of this host, and gives no answer on port 80 ({why})."
    return ""


def no_authority(directory: str, ca_file: str) -> str:
    """Why an authority cannot be asked for a certificate from this host."""
    url = directory or LETS_ENCRYPT
    why = unanswered({"": url}, ca_file).get("")
    return f"The authority {url} cannot be reached from here: {why}." if why else ""
