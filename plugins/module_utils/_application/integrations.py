# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other services that the portal works with, and what browsers must be permitted for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# By partner and direction: what is needed beyond what a browser permits anyway. The partner ``embeds`` the portal, or
# is ``embedded`` in its pages.
#   frame    it shows the portal in a frame
#   session  the session cookie goes along from its pages: people log in in its frame; what a tool of LTI hands back (a
#            deep link) is a form that is sent from there
#   scripts  its scripts run in pages of the portal: api.js of ONLYOFFICE Docs, what sizes the frames of H5P elsewhere
NEEDS: Mapping[tuple[str, str], Sequence[str]] = {
    ("lti", "embeds"): ("frame", "session"),  # the portal is the tool
    ("lti", "embedded"): ("session",),  # the portal is the platform
    ("proctoring", "embeds"): ("frame", "session"),
    ("onlyoffice", "embedded"): ("scripts",),
    ("h5p", "embedded"): ("scripts",),
}

Integrations = Iterable[Mapping[str, Any]]


def directions(partner: str) -> list[str]:
    """Those that this partner can have. Where it is one, it need not be declared."""
    return [direction for one, direction in NEEDS if one == partner]


def origins(integrations: Integrations, need: str) -> list[str]:
    """Of those that need this."""
    return list(dict.fromkeys(one["origin"] for one in integrations if need in _needs(one)))


def _needs(one: Mapping[str, Any]) -> Sequence[str]:
    return NEEDS[one["partner"], one.get("direction") or directions(one["partner"])[0]]


def ancestors(partners: Sequence[str], integrations: Integrations) -> list[str]:
    """All origins that may show the portal in a frame: those declared as such, and those of integrations."""
    return list(dict.fromkeys([*partners, *origins(integrations, "frame")]))
