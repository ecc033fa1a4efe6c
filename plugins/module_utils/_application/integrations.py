# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other services that the portal works with, and what browsers must be permitted for each kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# Sites that show the portal in a frame, and whose users log in there: an LTI platform, a proctoring service.
FRAMED = ("lti", "proctoring")
# Sites whose scripts run in pages of the portal: api.js of ONLYOFFICE Docs, what sizes the frames of H5P elsewhere.
SCRIPTS = ("onlyoffice", "h5p")
KINDS = (*FRAMED, *SCRIPTS)


def framing(integrations: Mapping[str, Any]) -> list[str]:
    """Origins that show the portal in a frame."""
    return _origins(integrations, FRAMED)


def scripts(integrations: Mapping[str, Any]) -> list[str]:
    """Origins whose scripts run in pages of the portal."""
    return _origins(integrations, SCRIPTS)


def ancestors(partners: Sequence[str], integrations: Mapping[str, Any]) -> list[str]:
    """All origins that may show the portal in a frame: those declared as such, and those of integrations."""
    return list(dict.fromkeys([*partners, *framing(integrations)]))


def _origins(integrations: Mapping[str, Any], kinds: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(str(origin) for kind in kinds for origin in integrations.get(kind) or []))
