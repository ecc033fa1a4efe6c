# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate of a portal: where it comes from, what has to be done for it, and which names it is for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .portal import Portal

RENEWED_AT = 30  # days before its end


@dataclass(frozen=True)
class Pair:
    """The files of a certificate and its key. Empty: there is none."""

    certificate: str
    certificate_key: str


class Certificate:
    """Each value is worked out when it is asked for. Without ``policy`` another section only needs a virtual host."""

    def __init__(self, portal: Portal, given: Mapping[str, Any], policy: bool) -> None:
        self.portal, self.given, self.policy = portal, given, policy

    @cached_property
    def source(self) -> str:
        """A valid one is kept, whatever created it. One of Certbot's is managed, whatever had Certbot create it."""
        asked, served = str(self.given["chamilo_https_certificate"]), self.portal.site.served
        if asked != "auto":
            return asked
        if served.good and served.lineage:
            return "certbot"
        return "kept" if served.good or self.portal.elsewhere else "certbot"

    @property
    def todo(self) -> str:
        """What has to be done for it; nothing, most of the time."""
        site = self.portal.site
        if self.source == "self_signed":
            good = not site.self_signed.lacks and site.self_signed.days >= RENEWED_AT
            return "" if good else "sign"
        if self.source != "certbot" or (site.lineage.good and site.lineage.settled):
            return ""
        return "adopt" if site.lineage.good else "issue"

    @property
    def self_signed(self) -> Pair:
        word = self.portal.word
        return Pair(f"/etc/ssl/certs/chamilo-{word}.pem", f"/etc/ssl/private/chamilo-{word}.key")

    @cached_property
    def pair(self) -> Pair:
        """What is served. While an authority has not answered yet, that stays as it is."""
        served, lineage = self.portal.site.served, self.portal.site.lineage
        if not self.policy or self.given.get("_chamilo_https_waiting", False) or self.source == "kept":
            return Pair(served.file, served.key)
        if self.source == "self_signed":
            return self.self_signed
        if self.source == "files":
            return Pair(
                str(self.given["chamilo_https_certificate_file"]), str(self.given["chamilo_https_certificate_key_file"])
            )
        live = f"/etc/letsencrypt/live/{self.portal.domain}"
        return Pair(lineage.file or f"{live}/fullchain.pem", lineage.key or f"{live}/privkey.pem")

    @cached_property
    def names(self) -> list[str]:
        """The names of the portal that it is for: visitors of another one would only get a warning of their browser.

        In the order of the portal's names: in another one they would change the files in each run.
        """
        names, site = self.portal.site.portal_names, self.portal.site
        issued = self.given.get("__chamilo_https_issued", {}).get("names")
        judged = {"certbot": site.lineage, "kept": site.served, "files": site.given}.get(self.source)
        lacks = judged.lacks if judged else ()
        covered = [one for one in names if (one in issued if issued is not None else one not in lacks)]
        return covered or [self.portal.domain]

    @property
    def patterns(self) -> list[str]:
        """Each matches one of these names, or those that a wildcard stands for."""
        return [f"^{re.sub(r'^.[*].[.]', '[^.]+[.]', re.escape(one))}$" for one in self.names]
