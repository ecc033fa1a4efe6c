# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form of the values of variables, where their type is not enough: one declaration for each variable.

Type and choices are in the argument specifications of the roles. What only the host knows is asked there.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Union

from ansible.module_utils.common.text.formatters import human_to_bytes

from ..module_utils._application.integrations import NEEDS, directions

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

MOST = 2**31 - 1  # what every program that reads it can count to
_MEGABYTE, _TERABYTE = 2**20, 2**40
_CENTURY = 36500  # days

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAILBOX = re.compile(r"[^\s@<>,;:\"'()\[\]\\-][^\s@<>,;:\"'()\[\]\\]*")
_HOST_SOURCE = re.compile(r"(?:(?P<scheme>https?)://)?(?P<wild>\*\.)?(?P<host>[^/:\s]+)(?::(?:\d{1,5}|\*))?(?:/\S*)?")
# What of the content security policy can be added to: the rest allows any site that speaks https.
EXTENSIBLE = ("script-src", "style-src", "font-src", "connect-src", "worker-src")
# Each would end the text of a header or a directive, or begin a variable of the web server.
_UNSAFE_IN_POLICY = re.compile(r"[;,\s\"\\$%]|[^\x20-\x7e]")
_XSS = re.compile(r"0|1(?:; ?mode=block)?(?:; ?report=[^\s;,\"\\$%]+)?")
# The backends of restic: https://restic.readthedocs.io/en/stable/030_preparing_a_new_repo.html
_REPOSITORY = re.compile(
    r"/.*|sftp:(?://[^\s/]+/.*|[^\s/]+:.+)|rest:(?:https?://[^\s/]+.*|http\+unix://.+)|s3:.+/.+"
    r"|(?:swift|azure|gs|rclone):[^:]+:.*|b2:.+"
)
# What a repository in it, or below it, would fill or lose, and the directories that contain those of others.
_SYSTEM = re.compile(
    r"/(?:bin|boot|dev|etc|lib\w*|proc|run|sbin|sys|usr)(?:/.*)?"
    r"|/(?:home|opt|root|tmp|var(?:/(?:backups|cache|lib|log|mail|spool|tmp|www))?)?"
)
# restic gets its own from the program; the others decide which programs and libraries run.
_TAKEN = re.compile(r"PATH|IFS|ENV|BASH_ENV|LD_.*|RESTIC_(?:FROM_)?(?:REPOSITORY|PASSWORD)(?:_FILE|_COMMAND)?")
_PRIVATE: list[Any] = [
    *map(ipaddress.IPv4Network, ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16")),
    *map(ipaddress.IPv4Network, ("172.16.0.0/12", "192.168.0.0/16")),
    *map(ipaddress.IPv6Network, ("fc00::/7", "fe80::/10")),
]
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_WIDEST = {4: 8, 6: 16}  # the prefix of a public network that one organization may have for itself


@dataclass(frozen=True)
class Form:
    """``fits`` is asked about a text or a number, about each entry of a list, and about a whole dictionary."""

    valid: str
    fits: Callable[[Any], bool]


def between(least: int, most: int = MOST) -> Form:
    return Form(f"a number from {least} to {most}", lambda value: least <= value <= most)


def one_of(*words: str) -> Form:
    return Form(", ".join(words), lambda value: value in words)


def optional(form: Form) -> Form:
    """Empty means that it is not set."""
    return Form(f"{form.valid}, or empty", lambda value: value == "" or form.fits(value))


def matching(pattern: str, valid: str) -> Form:
    compiled = re.compile(pattern)
    return Form(valid, lambda value: compiled.fullmatch(value) is not None)


# ------------------------------------------------------------------------------------------------- texts


def is_host_name(text: str) -> bool:
    labels = text.split(".")
    return len(text) <= 253 and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def network(text: str) -> Network | None:
    """The network that a text names; None where it names none. A mask is a number: nginx reads no other."""
    address, slash, length = text.partition("/")
    if slash and not re.fullmatch(r"[0-9]{1,3}", length):
        return None
    try:
        return ipaddress.ip_network(text, strict=False) if is_address(address) else None
    except ValueError:
        return None


def too_wide(entries: Iterable[str]) -> str:
    """How much of the Internet networks contain together, where that is too much to trust or to spare; else empty."""
    public: dict[int, list[Any]] = {4: [], 6: []}
    for known in filter(None, map(network, entries)):
        own: Any = known
        if own.version == 6 and own.subnet_of(_MAPPED):  # IPv4 as IPv6 writes it
            own = ipaddress.IPv4Network((own.network_address.packed[12:], own.prefixlen - 96))
        elif own.version == 6 and own.supernet_of(_MAPPED):
            return "all of IPv4"
        if not any(own.version == each.version and own.subnet_of(each) for each in _PRIVATE):
            public[own.version].append(own)
    for version, found in public.items():
        total = sum(each.num_addresses for each in ipaddress.collapse_addresses(found))
        share = total / 2 ** (32 if version == 4 else 128)
        if share >= 2 / 2 ** _WIDEST[version]:
            return f"{share:.2%} of IPv{version}"
    return ""


def _is_portal_name(text: str) -> bool:
    name = text.removeprefix("!").removeprefix("*.")
    return "." in name and "_" not in name and is_host_name(name)


def _is_mailbox(text: str) -> bool:
    box, at, host = text.rpartition("@")
    return bool(at and _MAILBOX.fullmatch(box)) and is_host_name(host)


def _is_mail(text: str) -> bool:
    host = text.rpartition("@")[2]
    return _is_mailbox(text) and (host == "localhost" or "." in host)


def _is_https(text: str) -> bool:
    if _CONTROL.search(text) or re.search(r"[\s\"'\\<>]", text):
        return False
    try:
        parts = urllib.parse.urlsplit(text)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        return False
    return parts.scheme == "https" and (is_host_name(host) or is_address(host))


def _is_report_address(text: str) -> bool:
    return not _UNSAFE_IN_POLICY.search(text) and (_is_https(text) or re.match(r"/(?!/)", text) is not None)


def _is_host_source(text: str) -> bool:
    found = _HOST_SOURCE.fullmatch(text)
    if not found or _UNSAFE_IN_POLICY.search(text):
        return False
    host = found["host"]
    # A word without a dot is a keyword that lacks its quotes, unless a scheme shows that it is a host.
    named = "." in host or (found["scheme"] and not found["wild"])
    return bool(named) and (is_host_name(host) or is_address(host))


def _is_size(text: str) -> bool:
    try:
        return bool(_MEGABYTE <= human_to_bytes(text) <= _TERABYTE)
    except ValueError:
        return False


def _is_environment(value: Mapping[Any, Any]) -> bool:
    return all(
        re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(name))
        and not _TAKEN.fullmatch(str(name))
        and isinstance(content, (str, int, float))
        and not _CONTROL.search(str(content))
        for name, content in value.items()
    )


def _is_integration(value: Mapping[Any, Any]) -> bool:
    possible, origin = directions(str(value.get("partner"))), value.get("origin")
    direction = value.get("direction") or (possible[0] if len(possible) == 1 else "")
    return (
        set(value) <= {"partner", "direction", "origin"}
        and direction in possible
        and isinstance(origin, str)
        and origin.startswith("https://")
        and _is_host_source(origin)
    )


def _are_sources(value: Mapping[Any, Any]) -> bool:
    return all(
        directive in EXTENSIBLE
        and isinstance(sources, (list, tuple))
        and all(isinstance(each, str) and each.startswith("https://") and _is_host_source(each) for each in sources)
        for directive, sources in value.items()
    )


LINE = Form("one line of text without control characters", lambda text: not _CONTROL.search(text))
WORDS = Form("one line of text that is not empty", lambda text: bool(text.strip()) and not _CONTROL.search(text))
ABSOLUTE = Form(
    "an absolute path on the host, such as /srv/campus", lambda text: text[:1] == "/" and not _CONTROL.search(text)
)
# It stands in the configuration of the web server.
SERVED = matching(r"/[^\s;{}\"'\\$]+", "an absolute path on the host without blanks, quotes, semicolons or braces")
ACCOUNT = matching(r"(?!-)[^\s:/,;\"'`$]{1,64}", "the name of a user or a group, such as www-data")
ADDRESS = Form("an address without a port, such as 192.0.2.1 or 2001:db8::1", is_address)
ADDRESSES = Form(
    "addresses of this host without a port, separated by commas, such as 127.0.0.1,10.0.0.5",
    lambda text: all(is_address(part.strip()) for part in text.split(",")),
)
NETWORK = Form("an address or a network, such as 192.0.2.1 or 10.0.0.0/8", lambda text: network(text) is not None)
HOST = Form(
    "a host name or an address, without scheme and port, such as mail.school.example",
    lambda text: is_host_name(text) or is_address(text),
)
MAIL = Form("one mail address, such as admin@school.example; a domain with other letters as xn--...", _is_mail)
# A name without a dot may be the host's own: only there can it be judged.
MAILBOX = Form("one mail address, such as admin@school.example or, on this host, root@srv1", _is_mailbox)
HTTPS = Form("an address that begins with https://, such as https://school.example/path", _is_https)
REPORT = Form(
    "an address that begins with https://, without blanks, commas, semicolons, quotes, $ or %", _is_report_address
)
SOURCE = Form(
    "the origin of a site, such as https://portal.example.org or https://*.example.org; the portal itself is always "
    "among them",
    _is_host_source,
)
INTEGRATION = Form(
    "a partner, which way, and its origin, such as {partner: lti, direction: embeds, origin: https://lms.example.org}; "
    f"known are {', '.join(f'{partner} {direction}' for partner, direction in NEEDS)}",
    _is_integration,
)
SOURCES = Form(
    f"lists of origins that begin with https://, such as [https://maps.example.org], by {', '.join(EXTENSIBLE)}",
    _are_sources,
)
XSS = Form("0, 1 or 1; mode=block", lambda value: _XSS.fullmatch(str(value)) is not None)
REPOSITORY = Form(
    "an absolute path, or a repository as restic names it: sftp:user@host:/path, rest:https://host/path, "
    "s3:https://host/bucket, or one that begins with b2:, azure:, gs:, swift: or rclone:, in lower case",
    lambda text: not _CONTROL.search(text) and _REPOSITORY.fullmatch(text) is not None,
)
OWN_REPOSITORY = Form(
    "an absolute path of a directory that contains nothing else and is none of the system's, such as "
    "/srv/backups/campus, or a repository as restic names it",
    lambda text: (
        REPOSITORY.fits(text) and not (text[0] == "/" and _SYSTEM.fullmatch(posixpath.normpath(f"/{text.strip('/')}")))
    ),
)
ENVIRONMENT = Form(
    "names of letters, digits and _, such as AWS_ACCESS_KEY_ID, each with one line of text, and not those that the "
    "collection sets or that determine which programs run (RESTIC_REPOSITORY, RESTIC_PASSWORD, PATH, LD_*)",
    _is_environment,
)
EXTENSION = matching(
    r"[A-Za-z0-9_+-]{1,32}", "what is behind the last dot of a file name, one in each entry, such as exe"
)
SIZE = Form("a number and its unit, from 1M to 1T, such as 500M or 2G", _is_size)
SITE = matching(
    r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", "up to 64 letters, digits, dots, _ and -, for it stands in names of files"
)
DAYS = between(0, _CENTURY)

# Which variable has which form. Whatever is not here has choices, or a reason in the guard test.
FORMS: dict[str, Form] = {
    "chamilo_names": Form(
        "a name without scheme, port and path, such as www.campus.example.org, *.campus.example.org; with ! before it "
        "it is left out",
        _is_portal_name,
    ),
    "chamilo_portal": matching(
        r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?", "a name of letters, digits, dots, _ and -"
    ),
    "chamilo_node": one_of("web", "database"),
    "chamilo_leader": LINE,
    "chamilo_root": optional(ABSOLUTE),
    "chamilo_site": SITE,
    "chamilo_owner": ACCOUNT,
    "chamilo_group": optional(ACCOUNT),
    "chamilo_web_user": optional(ACCOUNT),
    "chamilo_trusted_proxies": NETWORK,
    "chamilo_friends": NETWORK,
    "chamilo_headers_csp_sources": SOURCES,
    "chamilo_integrations": INTEGRATION,
    "chamilo_alert_mail": optional(MAILBOX),
    "chamilo_alert_webhook": optional(HTTPS),
    "chamilo_backups_repository": optional(OWN_REPOSITORY),
    "chamilo_backups_offsite_repository": optional(REPOSITORY),
    "chamilo_backups_password": LINE,
    "chamilo_backups_environment": ENVIRONMENT,
    "chamilo_backups_keep_daily": DAYS,
    "chamilo_backups_keep_weekly": DAYS,
    "chamilo_backups_keep_monthly": DAYS,
    "chamilo_backups_scratch": optional(ABSOLUTE),
    "chamilo_brute_force_find_seconds": between(60),
    "chamilo_brute_force_ban_seconds": between(1),
    "chamilo_brute_force_captcha_mistakes": between(1),
    "chamilo_brute_force_captcha_minutes": between(1),
    "chamilo_database_bind_address": optional(ADDRESSES),
    "chamilo_database_clients": NETWORK,
    "chamilo_database_admin_user": LINE,
    "chamilo_database_admin_password": LINE,
    "chamilo_headers_csp_report_uri": optional(REPORT),
    "chamilo_headers_frame_ancestors": SOURCE,
    "chamilo_headers_xss_protection": XSS,
    "chamilo_https_certificate_file": optional(SERVED),
    "chamilo_https_certificate_key_file": optional(SERVED),
    "chamilo_https_subdomains": Form("a name below chamilo_domain, such as www.campus.example.org", is_host_name),
    "chamilo_https_acme_email": optional(MAIL),
    "chamilo_https_acme_directory": optional(HTTPS),
    "chamilo_https_acme_ca_file": optional(ABSOLUTE),
    "chamilo_https_acme_arguments": LINE,
    "chamilo_monitoring_dormant_days": between(1, _CENTURY),
    "chamilo_monitoring_administrators": WORDS,
    "chamilo_monitoring_failures": between(1, 100_000),
    "chamilo_monitoring_failures_minutes": between(1, 1440),
    "chamilo_monitoring_disk_percent": between(1, 99),
    "chamilo_monitoring_smtp_host": optional(HOST),
    "chamilo_monitoring_smtp_port": between(1, 65535),
    "chamilo_monitoring_smtp_user": LINE,
    "chamilo_monitoring_smtp_password": LINE,
    "chamilo_monitoring_smtp_from": optional(MAIL),
    "chamilo_passwords_minimum_length": between(8, 72),  # what PHP's bcrypt reads of a password
    "chamilo_passwords_rotation_days": DAYS,
    "chamilo_sessions_lifetime": between(60),  # Debian's cleaner counts whole minutes
    "chamilo_sessions_redis_host": optional(HOST),
    "chamilo_sessions_redis_port": between(1, 65535),
    "chamilo_sessions_redis_user": LINE,
    "chamilo_sessions_redis_password": LINE,
    "chamilo_sessions_redis_ca_file": optional(ABSOLUTE),
    "chamilo_updates_feed": optional(HTTPS),
    "chamilo_uploads_blocked_extensions": EXTENSION,
    "chamilo_uploads_maximum_size": optional(SIZE),
    "chamilo_uploads_other_programs": matching(
        r"!?/[A-Za-z0-9_~.-][A-Za-z0-9_~./-]*",
        "a path below the portal's name, such as /forum/; with ! before it is closed",
    ),
    "chamilo_uploads_plugins": matching(r"[A-Za-z0-9_][A-Za-z0-9_-]*", "the name of a directory below public/plugin"),
    "chamilo_host_timeout": between(1),
    "chamilo_serial": between(1),
    "chamilo_audit_fail_on": optional(one_of("must", "should")),
    "chamilo_prove_address": optional(HOST),
    "chamilo_restore": one_of("host", "database", "files", "file"),
    "chamilo_restore_path": matching(r"(?!-)[^\x00-\x1f\x7f]*", "a path that does not begin with a dash"),
    "chamilo_restore_run": matching(
        r"(?!-)[A-Za-z0-9:._+-]*", "the name of a backup, as chamilo-hardening restore list shows it"
    ),
}


def judge(name: str, value: Any, secret: bool = False) -> list[str]:
    """A sentence for each value of a variable that has not its form. Its type was judged before."""
    form = FORMS.get(name)
    if form is None:
        return []
    wrong = [each for each in (value if isinstance(value, (list, tuple)) else [value]) if not form.fits(each)]
    shown = ("(not shown: it is a secret)" if secret else repr(each) for each in wrong)
    return list(dict.fromkeys(f"Invalid value for {name}: {each}. Valid: {form.valid}." for each in shown))
