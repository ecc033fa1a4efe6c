# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an authority could give this host a certificate, as far as that can be known before anything is changed."""

from __future__ import annotations

import re

from .._application.outside import unanswered
from .acme import Resolve, resolve

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"  # Certbot's own default


def refusal(domain: str, resolver: Resolve = resolve) -> str:
    """Why no authority could reach the name. No address is asked: behind NAT a host often cannot reach its own."""
    if "." not in domain or re.fullmatch(r"[0-9.:]+", domain):
        return f"{domain} is no name of the DNS, and no public authority certifies it."
    return "" if resolver(domain) else f"{domain} has no address in the DNS, so no authority can reach it."


def no_authority(directory: str, ca_file: str) -> str:
    """Why an authority cannot be asked for a certificate from this host."""
    url = directory or LETS_ENCRYPT
    why = unanswered({"": url}, ca_file).get("")
    return f"The authority {url} cannot be reached from here: {why}." if why else ""
