# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What discovery is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Optional


@dataclass(frozen=True)
class Desired:
    """What a run is about to do. What is in its way is refused."""

    sections: Sequence[str] = ()
    vhost: Literal["", "auto", "managed", "include"] = ""  # chamilo_https_vhost, where it counts in this run
    once: Mapping[str, str] = field(default_factory=dict)  # what it sets of that which nginx takes once
    acme: Literal["", "auto", "certbot"] = ""  # where this run may have Certbot ask for a certificate
    certificate_file: str = field(default="", metadata={"type": "path"})  # which is to serve the domain
    certificate_key_file: str = field(default="", metadata={"type": "path"})
    alert_mail: str = ""
    smtp_host: str = ""
    install: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by section: packages, where they are missing
    acme_directory: str = ""  # of that authority
    acme_ca_file: str = ""  # behind its certificate, where the host does not trust it
    outside: Mapping[str, str] = field(default_factory=dict)  # variable -> host and port that have to answer
    variables: Mapping[str, str] = field(default_factory=dict)  # whose values only the host can judge
    controller_time: float = 0  # seconds; 0: not known


@dataclass(frozen=True)
class SessionStore:
    """The server of Redis that is to keep the sessions of the portal."""

    host: str
    port: int
    user: str
    prefix: str  # of the keys of the portal
    ca_file: str = ""  # the certificates of its authority; empty: those that the host trusts


@dataclass(frozen=True)
class Request(Desired):
    """What the module chamilo_site_info is asked for."""

    domain: str = field(default="", metadata={"required": True})
    root: str = ""
    web_server: Literal["", "nginx", "apache"] = ""
    site: str = ""  # the word in the names of the files of this portal
    names: Sequence[str] = ()
    packages: Sequence[str] = ()  # to check for; {php} stands for the version of PHP that serves the portal
    tree: Mapping[str, Any] = field(default_factory=dict)  # what chamilo_perms will be given
    headers: Sequence[str] = ()  # for which lines of the owner's are set aside
    tls: bool = False  # whether an owner's virtual host is to speak https where it does not
    visits: Mapping[str, Sequence[str]] = field(default_factory=dict)  # "proxies" and "friends" to search a log for
    active: bool = False  # refuse a web server that does not go by the files of this collection
    require: bool = False  # refuse a host without Chamilo or web server, or a certificate that cannot serve the domain
    probe: Sequence[Mapping[str, Any]] = ()  # what this host has to answer, as for config_transaction
    session_store: Optional[SessionStore] = None  # noqa: UP045 (Python 3.9 evaluates it)
    session_store_password: str = field(default="", metadata={"no_log": True})
    # Made by the action plugin.
    salt: str = field(default="", metadata={"no_log": True})  # of the hashes by which nodes are compared
    key_salt: str = field(default="", metadata={"no_log": False})  # of the fingerprint of the backup key
    collection_version: str = ""  # of the collection that is about to harden the host
    facts: Sequence[Mapping[str, Any]] = ()  # that the program of the portal is compared with


def without_https(request: Request) -> Request:
    """What is asked for where the section https is left as it is: the rest goes by what is served now."""
    return replace(
        request,
        tls=False,
        acme="",
        once={name: value for name, value in request.once.items() if not name.startswith("real_ip_")},
        headers=[name for name in request.headers if name != "Strict-Transport-Security"],
    )
