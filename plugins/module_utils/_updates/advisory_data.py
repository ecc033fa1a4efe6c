# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Rendered from meta/advisories.yml by tests/tools/advisories.py: that file stays on the controller."""

from __future__ import annotations

DATED = "2026-11-29"
# Branch, whether it is supported, the least PHP, remark.
BRANCHES: tuple[tuple[str, bool, str, str], ...] = (
    ("1.11", True, "", ""),
    (
        "2.0",
        False,
        "8.2",
        "The branch 2.0 is no longer supported, so 2.0.4 is probably its last release: plan the move to 3.0",
    ),
    ("2.1", False, "", "2.1 was never released; it is a snapshot on the way to 3.0"),
    ("3.0", True, "8.3", ""),
)
# Release, whether it fixes vulnerabilities, what of them, what to do after the update.
RELEASES: tuple[tuple[str, bool, str, tuple[str, ...]], ...] = (
    ("1.11.38", True, "", ()),
    ("1.11.40", True, "", ()),
    ("1.11.42", True, "at least 35 vulnerabilities, two of them critical", ()),
    ("2.0.1", True, "several vulnerabilities, code without a login and the installer among them", ()),
    ("2.0.2", False, "", ()),
    ("2.0.3", True, "critical vulnerabilities", ()),
    (
        "2.0.4",
        True,
        "about seventy vulnerabilities, guessable tokens of password resets and SQL injection among them",
        (
            "Invalidate open tokens of password resets and confirmations; search the log for resets of administrators.",
            "Have accounts made by SSO or SCIM set a new password: theirs was not random.",
            "Set the JWT secret of OnlyOffice where it is used.",
        ),
    ),
    ("3.0.0", False, "", ()),
    ("3.0.1", True, "critical vulnerabilities of the installer", ()),
    (
        "3.0.2",
        True,
        "a bypass of two-factor authentication by the JWT login and takeovers of accounts, among others",
        (
            "Invalidate open tokens of password resets and confirmations.",
            "List the accounts made by LTI, SSO and SCIM.",
        ),
    ),
)
# Identifiers, summary, events of OSV's ranges, controls that stand in its way.
ADVISORIES: tuple[tuple[tuple[str, ...], str, tuple[tuple[str, str], ...], tuple[str, ...]], ...] = (
    (
        ("CVE-2026-45140", "GHSA-g4c3-4g96-6g4m"),
        "an attacker can run code on the server without a login",
        (("introduced", "2.0.0"), ("fixed", "2.0.1")),
        ("uploads_no_exec", "permissions_code", "permissions_docroot", "updates_installer"),
    ),
    (
        ("CVE-2026-45143", "GHSA-x88v-rg6r-vqq6"),
        "script in private messages, from a student to an administrator",
        (("introduced", "2.0.0"), ("fixed", "2.0.1")),
        ("headers_csp", "sessions_cookie_httponly"),
    ),
    (
        ("GHSA-mfgc-693v-xq5v",),
        "code through the installer of a running portal, without a login",
        (
            ("introduced", "0"),
            ("fixed", "1.11.42"),
            ("introduced", "2.0.0-alpha.1"),
            ("fixed", "2.0.4"),
            ("introduced", "3.0.0-alpha.1"),
            ("fixed", "3.0.1"),
        ),
        ("updates_installer", "permissions_code"),
    ),
    (
        ("CVE-2026-61532", "GHSA-97gp-5f3j-vwqr"),
        "files outside their directory by restoring a course backup",
        (("introduced", "2.0.0"), ("fixed", "2.0.4"), ("introduced", "3.0.0-alpha.1"), ("fixed", "3.0.2")),
        ("permissions_code", "uploads_no_exec"),
    ),
    (
        ("CVE-2026-61583", "GHSA-853c-q5q4-jm2c"),
        ".htaccess through dropbox",
        (("introduced", "0"), ("fixed", "1.11.42")),
        ("uploads_no_override", "uploads_no_exec"),
    ),
    (
        ("CVE-2026-54747", "GHSA-jv7g-9ff9-6cc5"),
        "script in the description of a course",
        (
            ("introduced", "0"),
            ("fixed", "1.11.42"),
            ("introduced", "2.0.0-alpha.1"),
            ("fixed", "2.0.4"),
            ("introduced", "3.0.0-alpha.1"),
            ("fixed", "3.0.2"),
        ),
        ("headers_csp",),
    ),
    (
        ("CVE-2026-112031",),
        "script in the projects of tickets",
        (("introduced", "1.11.0"), ("fixed", "1.11.42")),
        ("headers_csp",),
    ),
    (
        ("CVE-2026-114388",),
        "names and certificates without a login",
        (("introduced", "2.0.0-alpha.1"), ("fixed", "2.0.0-RC.3")),
        (),
    ),
    (
        ("CVE-2026-114390",),
        "the default certificate can be set without a login",
        (("introduced", "2.0.0-alpha.1"), ("fixed", "2.0.0-RC.3")),
        (),
    ),
    (
        ("CVE-2026-32931", "GHSA-863j-h6pf-3xhx"),
        "an upload that can be run in a directory of the web",
        (("introduced", "0"), ("fixed", "1.11.38"), ("introduced", "2.0.0-alpha.1"), ("fixed", "2.0.0-RC.3")),
        ("uploads_no_exec",),
    ),
    (
        ("CVE-2026-34160", "GHSA-g2xj-4cch-j276"),
        "requests to other servers through plugin/Pens/pens.php",
        (("introduced", "2.0.0-alpha.1"), ("fixed", "2.0.0-RC.3")),
        ("updates_installer",),
    ),
    (
        ("CVE-2026-33698",),
        "code through main/install",
        (("introduced", "0"), ("fixed", "1.11.38"), ("introduced", "2.0.0-alpha.1"), ("fixed", "2.0.0-RC.3")),
        ("updates_installer", "permissions_code"),
    ),
    (
        ("CVE-2026-33704",),
        "BigUpload writes .pht files",
        (("introduced", "0"), ("fixed", "1.11.38"), ("introduced", "2.0.0-alpha.1"), ("fixed", "2.0.0-RC.3")),
        ("uploads_no_exec", "updates_installer"),
    ),
    (
        ("CVE-2026-30875",),
        "H5P import writes .htaccess and PHP",
        (("introduced", "0"), ("fixed", "1.11.36"), ("introduced", "2.0.0-alpha.1"), ("fixed", "2.0.0-RC.3")),
        ("uploads_no_override", "uploads_no_exec"),
    ),
    (
        ("CVE-2026-33705",),
        "sources of templates can be read",
        (("introduced", "0"), ("fixed", "1.11.38"), ("introduced", "2.0.0-alpha.1"), ("fixed", "2.0.0-RC.3")),
        ("permissions_docroot",),
    ),
    (
        ("CVE-2026-31940",),
        "session fixation through aicc_hacp.php",
        (("introduced", "0"), ("fixed", "1.11.38"), ("introduced", "2.0.0-alpha.1"), ("fixed", "2.0.0-RC.3")),
        ("sessions_strict",),
    ),
    (
        ("CVE-2026-31941",),
        "requests to other servers through link previews",
        (("introduced", "0"), ("fixed", "1.11.38"), ("introduced", "2.0.0-alpha.1"), ("fixed", "2.0.0-RC.3")),
        (),
    ),
    (
        ("CVE-2026-32892",),
        "commands through file names",
        (("introduced", "0"), ("fixed", "1.11.38"), ("introduced", "2.0.0-alpha.1"), ("fixed", "2.0.0-RC.3")),
        ("permissions_code",),
    ),
    (
        ("CVE-2026-35196", "GHSA-crc6-r6c7-44q3"),
        "commands through certificates",
        (("introduced", "2.0.0-alpha.1"), ("fixed", "2.0.0-RC.3")),
        ("permissions_code",),
    ),
    (
        ("CVE-2026-33618",),
        "code through settings, by administrators",
        (("introduced", "2.0.0-alpha.1"), ("fixed", "2.0.0-RC.3")),
        (),
    ),
    (
        ("CVE-2026-40291", "GHSA-7phx-w897-4c9x"),
        "a student can become administrator",
        (("introduced", "2.0.0-alpha.1"), ("fixed", "2.0.0-RC.3")),
        ("monitoring_accounts",),
    ),
    (
        ("CVE-2026-33710",),
        "keys of the old API can be guessed",
        (("introduced", "0"), ("fixed", "1.11.38"), ("introduced", "2.0.0-alpha.1"), ("fixed", "2.0.0-RC.3")),
        (),
    ),
    (
        ("CVE-2026-33703",),
        "other people's personal data can be read",
        (("introduced", "2.0.0-alpha.1"), ("fixed", "2.0.0-RC.3")),
        (),
    ),
    (
        ("CVE-2026-33141",),
        "other people's personal data can be read",
        (("introduced", "2.0.0-alpha.1"), ("fixed", "2.0.0-RC.3")),
        (),
    ),
    (
        ("CVE-2026-33737",),
        "files can be read through XML",
        (("introduced", "0"), ("fixed", "1.11.38"), ("introduced", "2.0.0-alpha.1"), ("fixed", "2.0.0-RC.3")),
        ("permissions_env",),
    ),
    (("CVE-2026-1106",), "legal terms can be deleted", (("introduced", "2.0.0-alpha.1"), ("fixed", "2.0.0")), ()),
    (("CVE-2026-33706",), "the old REST service changes roles", (("introduced", "0"), ("fixed", "1.11.38")), ()),
    (
        ("CVE-2026-33708",),
        "the old REST service gives away personal data",
        (("introduced", "0"), ("fixed", "1.11.38")),
        (),
    ),
    (
        ("CVE-2026-34239",),
        "code through lang.ajax.php",
        (("introduced", "0"), ("last_affected", "1.11.40")),
        ("permissions_code",),
    ),
    (
        ("CVE-2026-39878",),
        "script in the registration form",
        (("introduced", "0"), ("fixed", "1.11.40")),
        ("headers_csp",),
    ),
    (
        ("CVE-2026-30881",),
        "SQL injection in the statistics",
        (("introduced", "0"), ("last_affected", "1.11.34")),
        ("database_privileges",),
    ),
    (
        ("CVE-2025-50187",),
        "code through the SOAP service",
        (("introduced", "0"), ("fixed", "1.11.28")),
        ("permissions_code",),
    ),
    (("CVE-2025-50188",), "the plugin vchamilo", (("introduced", "0"), ("fixed", "1.11.30")), ("updates_installer",)),
    (("CVE-2025-50196",), "the plugin vchamilo", (("introduced", "0"), ("fixed", "1.11.30")), ("updates_installer",)),
    (("CVE-2025-50198",), "the plugin vchamilo", (("introduced", "0"), ("fixed", "1.11.30")), ("updates_installer",)),
    (("CVE-2024-47886",), "the plugin vchamilo", (("introduced", "0"), ("fixed", "1.11.30")), ("updates_installer",)),
    (
        ("CVE-2025-50197",),
        "commands through sub_language_ajax.inc.php",
        (("introduced", "0"), ("fixed", "1.11.30")),
        ("updates_installer",),
    ),
    (("CVE-2025-52998",), "objects out of phar files", (("introduced", "0"), ("fixed", "1.11.30")), ()),
    (("CVE-2024-50337",), "requests to other servers through OpenID", (("introduced", "0"), ("fixed", "1.11.28")), ()),
    (
        ("CVE-2023-4220",),
        "a web shell through bigUpload, without a login",
        (("introduced", "0"), ("last_affected", "1.11.24")),
        ("uploads_no_exec", "updates_installer"),
    ),
    (
        ("CVE-2023-4221",),
        "commands through office documents",
        (("introduced", "0"), ("last_affected", "1.11.24")),
        ("permissions_code",),
    ),
    (
        ("CVE-2023-4222",),
        "commands through office documents",
        (("introduced", "0"), ("last_affected", "1.11.24")),
        ("permissions_code",),
    ),
    (
        ("CVE-2023-4223",),
        "learners can upload PHP",
        (("introduced", "0"), ("last_affected", "1.11.24")),
        ("uploads_no_exec", "uploads_extensions"),
    ),
    (
        ("CVE-2023-4224",),
        "learners can upload PHP",
        (("introduced", "0"), ("last_affected", "1.11.24")),
        ("uploads_no_exec", "uploads_extensions"),
    ),
    (
        ("CVE-2023-4225",),
        "learners can upload PHP",
        (("introduced", "0"), ("last_affected", "1.11.24")),
        ("uploads_no_exec", "uploads_extensions"),
    ),
    (
        ("CVE-2023-4226",),
        "learners can upload PHP",
        (("introduced", "0"), ("last_affected", "1.11.24")),
        ("uploads_no_exec", "uploads_extensions"),
    ),
    (
        ("CVE-2023-34960",),
        "commands through additional_webservices.php, without a login",
        (("introduced", "0"), ("last_affected", "1.11.20")),
        ("updates_installer", "uploads_no_exec"),
    ),
    (
        ("CVE-2023-3368",),
        "commands through additional_webservices.php, without a login",
        (("introduced", "0"), ("last_affected", "1.11.20")),
        ("updates_installer", "uploads_no_exec"),
    ),
    (
        ("CVE-2023-3533",),
        "commands through additional_webservices.php, without a login",
        (("introduced", "0"), ("last_affected", "1.11.20")),
        ("updates_installer", "uploads_no_exec"),
    ),
    (
        ("CVE-2023-3545",),
        "an uploaded .htaccess counts",
        (("introduced", "0"), ("last_affected", "1.11.20")),
        ("uploads_no_override",),
    ),
    (
        ("CVE-2023-34944",),
        "script in SVG images",
        (("introduced", "0"), ("last_affected", "1.11.18")),
        ("headers_csp", "uploads_extensions"),
    ),
    (
        ("CVE-2021-31933",),
        "uploads of .phar and .pht",
        (("introduced", "0"), ("last_affected", "1.11.14")),
        ("uploads_no_exec", "uploads_extensions"),
    ),
    (
        ("CVE-2021-37389",),
        "script in main/install",
        (("introduced", "0"), ("last_affected", "1.11.14")),
        ("updates_installer",),
    ),
    (
        ("CVE-2018-25158",),
        "elFinder renames files to .php",
        (("introduced", "0"), ("last_affected", "1.11.8")),
        ("uploads_no_exec",),
    ),
)
