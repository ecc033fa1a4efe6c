# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Certbot has on this host, read from its own files, and what a certificate file on it is good for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .._common import x509
from .._common.tree import Tree

DIRECTORY = "/etc/letsencrypt"
# Debian's package, snap, and where its makers' instructions put it.
PROGRAMS = ("/usr/bin/certbot", "/snap/bin/certbot", "/usr/local/bin/certbot", "/opt/certbot/bin/certbot")
HOOK = "/usr/local/sbin/chamilo-hardening renewed"
# They change the web server's files at each renewal. Ours answers challenges from a directory.
_REPLACED = ("nginx", "apache")


@dataclass(frozen=True)
class Pair:
    """A certificate with its key. ``covers``: it is for the portal's first name, its domain.

    ``good``: in date too, and not signed by itself.
    """

    file: str = ""
    key: str = ""
    there: bool = False
    days: int = 0  # until it runs out
    covers: bool = False
    good: bool = False
    lineage: str = ""  # Certbot's name for it
    settled: bool = False  # Certbot renews it as we want it, for all names of the portal
    webroot: str = ""  # the directory of the domain's challenges, if it is none of the portal's
    names: tuple[str, ...] = ()  # the DNS names it is for
    lacks: tuple[str, ...] = ()  # names of the portal that it is not for


def program(tree: Tree) -> str:
    return next((path for path in PROGRAMS if tree.exists(path)), "")


def pair(tree: Tree, file: str, key: str, names: Sequence[str], now: float, root: str = "") -> Pair:
    """What a certificate file is good for. One that is not there, or is none, is good for nothing.

    ``names``: all of the portal's, its domain first.
    """
    if not file or not tree.exists(file):
        return Pair(file, key, lacks=tuple(names))
    try:
        found = x509.first_of(tree.read(file))
    except x509.CertificateError:
        return Pair(file, key, lacks=tuple(names))
    lacks = tuple(name for name in names if not found.covers(name))
    covers = names[0] not in lacks
    name = lineage_of(file)
    settled, webroot = False, ""
    conf = f"{DIRECTORY}/renewal/{name}.conf"
    if name and tree.exists(conf):
        text = tree.read(conf)
        settled = not lacks and adopted(text, found.names, names, f"{root}/public") == text
        webroot = _webroot(text.splitlines(), names[0])
    return Pair(
        file,
        key,
        there=True,
        days=int((found.not_after - now) // 86400),
        covers=covers,
        good=covers and not found.self_issued and found.not_before <= now < found.not_after,
        lineage=name,
        settled=settled,
        webroot="" if webroot == f"{root}/public" else webroot,
        names=found.names,
        lacks=lacks,
    )


def lineage_of(file: str) -> str:
    """The lineage a file belongs to; empty when it is none of Certbot's."""
    found = re.fullmatch(rf"{DIRECTORY}/live/([^/]+)/[^/]+", file)
    return found[1] if found else ""


def for_names(tree: Tree, names: Sequence[str], now: float, root: str, served: str = "") -> Pair:
    """The lineage that covers the domain, the first of the names, best.

    That is one in date, and of several the one that lacks the fewest names, then the one that is served, then the one
    that lasts longest.
    """
    best = Pair(lacks=tuple(names))
    for conf in tree.glob(f"{DIRECTORY}/renewal/*.conf"):
        live = f"{DIRECTORY}/live/{conf.rpartition('/')[2][: -len('.conf')]}"
        found = pair(tree, f"{live}/fullchain.pem", f"{live}/privkey.pem", names, now, root)
        if found.covers:
            best = max(best, found, key=lambda each: (each.good, -len(each.lacks), each.file == served, each.days))
    return best


def adopted(text: str, names: Sequence[str], portal: Sequence[str], webroot: str) -> str:
    """A lineage's renewal file as we want it: our hook behind its own, and no plugin that edits the web server.

    The way in which a lineage proves its names is changed only where all of them are the portal's.
    """
    lines = text.splitlines()
    start = next((number for number, line in enumerate(lines) if line.strip() == "[renewalparams]"), None)
    if start is None:
        return text
    end = next((n for n in range(start + 1, len(lines)) if lines[n].strip().startswith("[")), len(lines))
    head, options, rest = lines[: start + 1], lines[start + 1 : end], lines[end:]
    own = _value(options, "renew_hook")
    if HOOK not in own:
        _set(options, "renew_hook", _behind(own))
    if _value(options, "authenticator") in _REPLACED and set(names) <= set(portal):
        _set(options, "authenticator", "webroot")
        _set(options, "webroot_path", f"{webroot},")
        options = [line for line in options if not re.match(r"\s*installer\s*=", line)]
        rest = [*_without(rest, "webroot_map"), "[[webroot_map]]", *(f"{name} = {webroot}" for name in names)]
    return "\n".join([*head, *options, *rest]) + "\n"


def value(text: str, name: str) -> str:
    """The value of an option in a renewal file; empty without it."""
    return _value(text.splitlines(), name)


def _value(lines: Sequence[str], name: str) -> str:
    found = (re.match(rf"\s*{name}\s*=\s*(.*?)\s*$", line) for line in lines)
    value = next((each[1] for each in found if each), "")
    return "" if value == "None" else value


def _webroot(lines: Sequence[str], domain: str) -> str:
    """The directory of the domain's challenges, if they are files at all. The map of names to directories wins."""
    if _value(lines, "authenticator") != "webroot":
        return ""
    return _value(lines, re.escape(domain)) or _value(lines, "webroot_path").rstrip(",").rpartition(",")[2].strip()


def _set(lines: list[str], name: str, value: str) -> None:
    for number, line in enumerate(lines):
        if re.match(rf"\s*{name}\s*=", line):
            lines[number] = f"{name} = {value}"
            return
    while lines and not lines[-1].strip():
        lines.pop()
    lines.append(f"{name} = {value}")


def _behind(own: str) -> str:
    if not own:
        return HOOK
    quote = own[0] if own[0] in "'\"" and own[-1] == own[0] else ""
    return f"{quote}{own.strip(quote) if quote else own}; {HOOK}{quote}"


def _without(lines: Sequence[str], section: str) -> list[str]:
    kept, insider = [], False
    for line in lines:
        if line.strip().startswith("["):
            insider = line.strip() == f"[[{section}]]"
        if not insider:
            kept.append(line)
    return kept
