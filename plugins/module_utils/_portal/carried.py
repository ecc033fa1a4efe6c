# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""What an owner's virtual hosts have PHP, timeouts and logs do: the virtual host of this collection goes on with it.

These lines become part of a file that the controller writes, so they are of simple forms, and none that may be a
secret. Any other is named, and ours does not take the place of such a virtual host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import (
    Configuration,
    Directive,
    Place,
    Server,
    every,
    walk,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.nginx import with_variables

_PHP = ("php_value", "php_flag", "php_admin_value", "php_admin_flag")
_PHP_PARAMETERS = ("PHP_VALUE", "PHP_ADMIN_VALUE")
_SETTING = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*", re.ASCII | re.IGNORECASE)
_VALUE = re.compile(r"[\w.,:;/+~^|&!() -]*", re.ASCII)
_SECRET = re.compile(r"pass|secret|auth|token|credential|key\b", re.IGNORECASE)
_WAITS = {
    "apache": ("proxytimeout", "timeout"),
    "nginx": ("fastcgi_read_timeout", "fastcgi_send_timeout", "fastcgi_connect_timeout"),
}
_APACHE_NAMES = {
    "proxytimeout": "ProxyTimeout",
    "timeout": "TimeOut",
    "customlog": "CustomLog",
    "logformat": "LogFormat",
}
_TIME = re.compile(r"(?:\d+(?:ms|[smhdwMy])? ?)+", re.ASCII)
_LOGS = {"apache": ("customlog", "logformat"), "nginx": ("access_log",)}
# One line without what a template could take for its own.
_LOG = re.compile(r"(?!.*\{[{%#])[ -~]+")


@dataclass(frozen=True)
class Carried:
    """Lines as ours have them, without the end that nginx asks for."""

    lines: tuple[str, ...] = ()
    php: tuple[str, ...] = ()  # nginx: where requests are handed to PHP
    lost: tuple[Place, ...] = ()


def carried(web_server: str, configuration: Configuration, servers: Sequence[Server]) -> Carried:
    """``servers``: those that serve the portal; ours too, which has what it carried over before."""
    lines: list[str] = []
    php: list[str] = []
    lost: list[Place] = []
    logs: list[Directive] = []
    for server in servers:
        level = [
            item
            for item in _near(server.block.block or (), server.host.root)
            if item.file == server.block.file or not configuration.is_ours(item.file)
        ]
        for item in level:
            found = _apache(item) if web_server == "apache" else _nginx(item, server)
            if found is None:
                lost.append(Place(item.file, item.line, _short(item)))
            elif found:
                (php if web_server == "nginx" else lines).append(found)
        logs += every(level, *_LOGS[web_server])
    kept = next((one.host.access_log for one in servers if one.host.access_log not in ("", "off")), "")
    lines += _logs(logs, kept, lost)
    return Carried(tuple(dict.fromkeys(lines)), tuple(dict.fromkeys(php)), tuple(dict.fromkeys(lost)))


def _near(level: Iterable[Directive], root: str) -> Iterator[Directive]:
    """What is for the whole portal, or for all of its PHP; what is for some addresses alone is not."""
    for item in level:
        yield item
        if item.block is not None and _is_for_all(item, root):
            yield from _near(item.block, root)


def _is_for_all(item: Directive, root: str) -> bool:
    place = item.arguments[-1] if item.arguments else ""
    if item.name == "directory":
        return bool(root) and f"{root}/".startswith(f"{place.rstrip('/')}/")
    if item.name == "location":
        of_php = any(every(walk(item.block or ()), "fastcgi_pass"))
        return of_php and (place == "/" or "index" in place or re.match(r"\^?/", place) is None)
    return item.name in ("proxy", "filesmatch")


def _apache(item: Directive) -> str | None:
    """The line; empty for what is none of these, None where it cannot be carried over."""
    if item.name in _PHP:
        name, value = (*item.arguments, "", "")[:2]
        fits = len(item.arguments) == 2 and _is_plain(name, value)
        return f'{item.name} {name} "{value}"' if fits else None
    if item.name in _WAITS["apache"] and item.arguments[:1] and item.arguments[0].isdigit():
        return f"{_APACHE_NAMES[item.name]} {item.arguments[0]}"
    if item.name == "proxyset":
        waits = [found[1] for word in item.arguments if (found := re.fullmatch(r"timeout=(\d+)", word))]
        return f"ProxyTimeout {waits[0]}" if waits else ""
    return ""


def _nginx(item: Directive, server: Server) -> str | None:
    if item.name == "fastcgi_param" and item.arguments[:1] and item.arguments[0] in _PHP_PARAMETERS:
        text = with_variables("".join(item.arguments[1:2]), server.block.block or ())
        text = re.sub(r"\$(?:document_root|realpath_root)\b", server.host.root.replace("\\", r"\\"), text)
        settings = [line.strip() for line in re.split(r"\n|\\n", text)]
        settings = [line for line in settings if line]
        for line in settings:
            name, equals, value = line.partition("=")
            if not equals or not _is_plain(name.strip(), value.strip().strip('"')):
                return None
        joined = r" \n ".join(line.replace('"', "") for line in settings)
        return f'fastcgi_param {item.arguments[0]} "{joined}"' if settings else ""
    if item.name in _WAITS["nginx"] and _TIME.fullmatch(" ".join(item.arguments)):
        return f"{item.name} {' '.join(item.arguments)}"
    return ""


def _logs(written: Sequence[Directive], kept: str, lost: list[Place]) -> Iterator[str]:
    """All but the one that ours keeps in any case, and the formats that they are written in."""
    for item in written:
        if item.arguments[:1] == ("off",) or (item.name != "logformat" and item.rest == kept):
            continue
        if _LOG.fullmatch(item.rest):
            yield f"{_APACHE_NAMES.get(item.name, item.name)} {item.rest}"
        else:
            lost.append(Place(item.file, item.line, _short(item)))


def _is_plain(name: str, value: str) -> bool:
    return (
        _SETTING.fullmatch(name) is not None
        and _VALUE.fullmatch(value) is not None
        and not _SECRET.search(f"{name}={value}")
    )


def _short(item: Directive) -> str:
    """The directive and what it sets. Its value may be a secret."""
    return " ".join((item.name, *item.arguments[:1])) if item.name not in ("customlog", "access_log") else item.name
