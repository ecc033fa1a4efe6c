# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""The published security holes of Chamilo, as known on a day. A newer collection brings a newer list."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.chamilo.hardening.plugins.module_utils._common.version import VersionError, parse

DATED = "2026-11-25"
DAYS = 120  # an older list can no longer say that all is well


@dataclass(frozen=True)
class Branch:
    """A line of releases and the newest release in it that fixes a published hole."""

    name: str  # the first two numbers of its versions
    fixed: str
    advisory: str
    hole: str


# 2.0.1 is the least of all: CVE-2026-45140 needs no login.
LEAST = Branch("2.0", "2.0.1", "CVE-2026-45140", "anybody can run code on the server without a login")

BRANCHES = (LEAST,)


@dataclass(frozen=True)
class Advisory:
    """A published hole, or several of one kind.

    ``fixed``: the first release of the 2.x line without it; empty where it was in older lines alone.
    ``controls``: those of the table that stand in its way on a hardened host; none where only the update helps.
    """

    ids: str
    hole: str
    fixed: str
    controls: tuple[str, ...] = ()
    remark: str = ""


_NO_EXEC = "uploads_no_exec"
_READ_ONLY = "permissions_code"
_SERVICE = "Apps use the services below main/webservices, so they are not refused."
ADVISORIES = (
    Advisory(
        "CVE-2026-45140",
        "anybody can run code on the server without a login",
        "2.0.1",
        (_NO_EXEC, _READ_ONLY, "permissions_docroot", "updates_installer"),
        "The way in is not published; these controls stop what its four classes have in common.",
    ),
    Advisory("CVE-2026-45143", "script in private messages", "2.0.1", ("headers_csp", "sessions_cookie_httponly")),
    Advisory(
        "CVE-2026-34160",
        "requests to other servers through plugin/Pens/pens.php",
        "2.0.0-RC.3",
        ("updates_installer",),
        "The script is refused.",
    ),
    Advisory("CVE-2026-33698", "code through main/install", "2.0.0-RC.3", ("updates_installer", _READ_ONLY)),
    Advisory("CVE-2026-33704", "BigUpload writes .pht files", "2.0.0-RC.3", (_NO_EXEC, "updates_installer")),
    Advisory("CVE-2026-30875", "H5P import writes .htaccess and PHP", "2.0.0-RC.3", ("uploads_no_override", _NO_EXEC)),
    Advisory("CVE-2026-33705", "sources of templates can be read", "2.0.0-RC.3", ("permissions_docroot",)),
    Advisory("CVE-2026-31940", "session fixation through aicc_hacp.php", "2.0.0-RC.3", ("sessions_strict",)),
    Advisory(
        "CVE-2026-31941",
        "requests to other servers through link previews",
        "2.0.0-RC.3",
        (),
        "A firewall for outgoing.",
    ),
    Advisory(
        "CVE-2026-32892, CVE-2026-35196", "commands through file names and certificates", "2.0.0-RC.3", (_READ_ONLY,)
    ),
    Advisory("CVE-2026-33618", "code through settings, by administrators", "2.0.0-RC.3"),
    Advisory("CVE-2026-40291", "a student can become administrator", "2.0.0-RC.3", ("monitoring_accounts",)),
    Advisory(
        "CVE-2026-33710", "keys of the old API can be guessed", "2.0.0-RC.3", (), "Make new keys after the update."
    ),
    Advisory("CVE-2026-33703, CVE-2026-33141", "other people's personal data can be read", "2.0.0-RC.3"),
    Advisory("CVE-2026-33737", "files can be read through XML", "2.0.0-RC.3", ("permissions_env",)),
    Advisory("CVE-2026-1106", "legal terms can be deleted", "2.0.0"),
    Advisory("CVE-2026-33706, CVE-2026-33708", "the old REST service changes roles", "", (), _SERVICE),
    Advisory("CVE-2026-34239", "code through lang.ajax.php", "", (_READ_ONLY,)),
    Advisory("CVE-2026-39878", "script in the registration form", "", ("headers_csp",)),
    Advisory("CVE-2026-30881", "SQL injection in the statistics", "", ("database_privileges",)),
    Advisory("CVE-2025-50187", "code through the SOAP service", "", (_READ_ONLY,), _SERVICE),
    Advisory(
        "CVE-2025-50188, CVE-2025-50196, CVE-2025-50198, CVE-2024-47886",
        "the plugin vchamilo",
        "",
        ("updates_installer",),
    ),
    Advisory("CVE-2025-50197", "commands through sub_language_ajax.inc.php", "", ("updates_installer",)),
    Advisory("CVE-2025-52998", "objects out of phar files", "", (), "PHP 8 does not do that any more."),
    Advisory("CVE-2024-50337", "requests to other servers through OpenID", "", (), "A firewall for outgoing."),
    Advisory("CVE-2023-4220", "a web shell through bigUpload, without a login", "", (_NO_EXEC, "updates_installer")),
    Advisory("CVE-2023-4221, CVE-2023-4222", "commands through office documents", "", (_READ_ONLY,)),
    Advisory(
        "CVE-2023-4223, CVE-2023-4224, CVE-2023-4225, CVE-2023-4226",
        "learners can upload PHP",
        "",
        (_NO_EXEC, "uploads_extensions"),
    ),
    Advisory(
        "CVE-2023-34960, CVE-2023-3368, CVE-2023-3533",
        "commands through additional_webservices.php, without a login",
        "",
        ("updates_installer", _NO_EXEC),
    ),
    Advisory("CVE-2023-3545", "an uploaded .htaccess counts", "", ("uploads_no_override",)),
    Advisory("CVE-2023-34944", "script in SVG images", "", ("headers_csp", "uploads_extensions")),
    Advisory("CVE-2021-31933", "uploads of .phar and .pht", "", (_NO_EXEC, "uploads_extensions")),
    Advisory("CVE-2021-37389", "script in main/install", "", ("updates_installer",)),
    Advisory("CVE-2018-25158", "elFinder renames files to .php", "", (_NO_EXEC,)),
)


def open_in(version: str) -> list[Advisory]:
    """The published holes of an installed version of the 2.x line."""
    try:
        here = parse(version)
    except VersionError:
        return []
    return [each for each in ADVISORIES if here[0] == 2 and each.fixed and here < parse(each.fixed)]
