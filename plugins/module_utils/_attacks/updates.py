# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks that use what an installation or an update left behind."""

from __future__ import annotations

from .._common.control import Finding, attack, failed, passed
from ._attacker import Target, by_every_name

_WAYS = (
    "/main/install/",
    "/main/install/index.php",
    "/main/install/version.php",  # since 3.0 the application guards the others, until its database is away
    "/main/install/index.php/x",
    "//main/install/index.php",
    "/main/./install/index.php",
    "/main/%69nstall/index.php",
    "/check.php",
    "/check.php/x",
)


@attack("updates_installer")
@by_every_name
def installer(target: Target) -> Finding:
    answers = [target.get(path) for path in _WAYS]
    if not any(answer.status for answer in answers):
        raise OSError(f"{target.domain} gave no answer: {answers[0].error}")
    reached = [
        answer for answer in answers if answer.status not in (0, 403, 404) and answer.body != target.missing.body
    ]
    if reached:
        return failed(f"An attacker reaches {', '.join(f'{answer.url} ({answer.status})' for answer in reached[:3])}.")
    return passed(f"{len(_WAYS)} ways to the installer and to check.php are refused.")
