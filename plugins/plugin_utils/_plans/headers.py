# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section headers: which headers the web server sends, each of them once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...module_utils._application import integrations
from ...module_utils._transaction.job import Load
from .portal import Portal
from .shapes import File, Plan, Transaction

# The editor and the older pages of Chamilo need inline scripts and eval; its courses embed media from elsewhere, and
# its forms lead to tools and payment elsewhere. What it does not need is a script from another site.
POLICY = (
    "default-src 'self'",
    "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob: https:",
    "media-src 'self' data: blob: https:",
    "font-src 'self' data:",
    "connect-src 'self' data: blob:",
    "worker-src 'self' blob:",
    "frame-src 'self' blob: https:",
    "object-src 'self'",
    "base-uri 'self'",
    "form-action 'self' https:",
)
# Learning packages are small web sites that others made: scripts, fonts and records on other servers are usual.
PACKAGE_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob: https:",
    "object-src 'self'",
    "base-uri 'self'",
    "form-action 'self' https:",
)
# SCORM, which CStudio publishes as well, and the plugins for H5P and for xAPI and cmi5. An address that only seems to
# lead there gets the policy of all others.
PACKAGES = r"/(?:assets/scorm|plugin/(?:H5pImport|XApi))/(?![^?\s]*(?:\.\.|%2[EeFf]))"


@dataclass(frozen=True)
class Header:
    control: str
    name: str
    value: str
    package: str = ""  # the value for learning packages, where they have one of their own


@dataclass(frozen=True)
class Headers(Plan):
    vhost: bool  # a virtual host has to include the drop-ins first
    main: Transaction

    @property
    def more(self) -> bool:
        return self.vhost


def plan(portal: Portal, given: Mapping[str, Any]) -> Headers:
    present = given["chamilo_headers_state"] == "present"
    versions = portal.enforced("headers_versions")
    return Headers(
        vhost=present and portal.vhost_due,
        main=Transaction(
            f"headers:{portal.word}",
            _files(portal, versions),
            portal.test,
            Load(portal.service),
            portal.probe("headers"),
            present,
        ),
        values={
            "headers": [vars(one) for one in sent(portal, given)],
            "hidden": hidden(portal, given),
            "packages": PACKAGES,
            "versions": versions,
            "said": portal.messages,
            "drop_ins": portal.drop_ins,
            "variable": portal.variable,
        },
    )


def sent(portal: Portal, given: Mapping[str, Any]) -> list[Header]:
    """What the web server sends, and what a waiver leaves of it."""
    always = [
        Header("headers_nosniff", "X-Content-Type-Options", "nosniff"),
        Header("headers_xss_protection", "X-XSS-Protection", given["chamilo_headers_xss_protection"]),
        Header("headers_referrer_policy", "Referrer-Policy", "strict-origin-when-cross-origin"),
    ]
    desired = always + _framing(portal, given) + _policy(given)
    return [one for one in desired if portal.enforced(one.control)]


def hidden(portal: Portal, given: Mapping[str, Any]) -> list[str]:
    """The headers of which none comes from the application."""
    names = [one.name for one in sent(portal, given)]
    if _partners(given) and "Content-Security-Policy" in names:
        names.append("X-Frame-Options")
    if portal.enforced("headers_versions"):
        names.append("X-Powered-By")
    return list(dict.fromkeys(names))


def _partners(given: Mapping[str, Any]) -> list[str]:
    return integrations.ancestors(given["chamilo_headers_frame_ancestors"], given["chamilo_integrations"])


def _ancestors(given: Mapping[str, Any]) -> str:
    return " ".join(["frame-ancestors 'self'", *_partners(given)])


def _framing(portal: Portal, given: Mapping[str, Any]) -> list[Header]:
    """X-Frame-Options cannot name a partner: a declared one is let in by frame-ancestors instead."""
    if not _partners(given):
        return [Header("headers_frame_options", "X-Frame-Options", "SAMEORIGIN")]
    # A waived policy is not sent, and so blocks no frames.
    if given["chamilo_headers_csp"] == "enforce" and portal.enforced("headers_csp"):
        return []
    return [Header("headers_frame_options", "Content-Security-Policy", _ancestors(given))]


def _policy(given: Mapping[str, Any]) -> list[Header]:
    reports = given["chamilo_headers_csp_report_uri"]
    ends = [_ancestors(given), *([f"report-uri {reports}"] if reports else [])]
    names = {"enforce": ["Content-Security-Policy"], "report": ["Content-Security-Policy-Report-Only"], "off": []}
    added = {name: [*sources] for name, sources in given["chamilo_headers_csp_sources"].items()}
    added["script-src"] = [
        *added.get("script-src", []),
        *integrations.origins(given["chamilo_integrations"], "scripts"),
    ]
    own = [" ".join(dict.fromkeys([*rule.split(), *added.get(rule.split()[0], [])])) for rule in POLICY]
    value, package = ("; ".join([*policy, *ends]) for policy in (own, PACKAGE_POLICY))
    return [Header("headers_csp", name, value, package) for name in names[given["chamilo_headers_csp"]]]


def _files(portal: Portal, versions: bool) -> Sequence[File]:
    # In a file of its own: an owner's virtual host includes it once more, where it has the last word.
    common = [
        File(f"{portal.drop_ins}/headers.conf", f"{portal.web}/headers.conf.j2"),
        File(f"{portal.drop_ins}/location/headers.conf", f"{portal.web}/location.conf.j2"),
    ]
    if not portal.apache:
        # nginx chooses between values outside of a virtual host only.
        return [
            *common,
            File(f"{portal.drop_ins}/hide/headers.conf", "nginx/hide.conf.j2"),
            File(f"/etc/nginx/conf.d/chamilo-{portal.word}-headers.conf", "nginx/values.conf.j2"),
        ]
    # Read after Debian's own security.conf, which would have the last word.
    host = [File("/etc/apache2/conf-enabled/zz-chamilo-hardening.conf", "apache/host.conf.j2")] if versions else []
    return [*common, *portal.apache_modules("rewrite", "headers"), *host]
