# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Which line of a web server has it believe a client of what address it comes from."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from ansible_collections.chamilo.hardening.plugins.module_utils._common.sentences import first_of
from ansible_collections.chamilo.hardening.plugins.module_utils._portal import apache, nginx
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Directive, Tree, walk

_NGINX = ("set_real_ip_from",)
_APACHE = ("remoteipinternalproxy", "remoteiptrustedproxy")
_LISTS = ("remoteipinternalproxylist", "remoteiptrustedproxylist")
_MOST = 5


def lines(web: str, address: str, tree: Tree | None = None) -> str:
    """Those that contain this address, each with its file and line; an empty text where none of them is seen."""
    parse = nginx.parse if web == "nginx" else apache.parse
    try:
        directives = list(walk(parse(tree or Tree()).directives))
    except OSError:
        return ""
    found = list(_of_nginx(directives, address) if web == "nginx" else _of_apache(directives, address))
    return first_of((f"{one.written.strip().rstrip(';')} ({one.file} line {one.line})" for one in found), _MOST, "; ")


def _of_nginx(directives: Iterable[Directive], address: str) -> Iterator[Directive]:
    return (one for one in directives if one.name in _NGINX and _contains(one.arguments, address))


def _of_apache(directives: Sequence[Directive], address: str) -> Iterator[Directive]:
    named = [one for one in directives if one.name.lower() in (*_APACHE, *_LISTS)]
    for one in named:
        if one.name.lower() in _LISTS or _contains(one.arguments, address):
            yield one
    if not named:  # without a named proxy, all clients are trusted
        yield from (one for one in directives if one.name.lower() == "remoteipheader")


def _contains(networks: Iterable[str], address: str) -> bool:
    for text in networks:
        try:
            if ipaddress.ip_address(address) in ipaddress.ip_network(text, strict=False):
                return True
        except ValueError:
            continue  # a host name, or a socket
    return False
