# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""The texts of the files with which PHP of a portal gets a user of its own, and loses it: what they were becomes what
they are to be. Pure.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection

MANAGED = "Managed by Ansible: chamilo.hardening, section permissions. Changes here are lost."
# Alone in it, the web server may use the sockets of such pools: PHP of other sites may run as the web server's user.
WEB_GROUP = "chamilo-web"
_LONGEST = 32  # characters of an account's name
_SECTION = re.compile(r"\s*\[([^\]]+)\]\s*(?:;.*)?")
_OWN = re.compile(r"\s*(?:user|group|listen(?:\.(?!backlog)\w+)*)\s*=")
_NGINX_USER = re.compile(r"^([ \t]*)user[ \t]+([^\s;]+)(?:[ \t]+[^\s;]+)?[ \t]*;", re.MULTILINE)
_NGINX_WAS = "# chamilo.hardening, section permissions: was "
_NGINX_OURS = re.compile(rf"^{re.escape(_NGINX_WAS)}(.*)\n.*(\n|\Z)", re.MULTILINE)
_CRON_LINE = re.compile(r"(\s*(?:@\w+|[\d*](?:\S*\s+\S+){4})\s+)(\S+)(\s+.+)", re.DOTALL)
_CRONTAB_LINE = re.compile(r"\s*(?:@\w+\s|[\d*]\S*(?:\s+\S+){4}\s)")
_CRON_SETTING = re.compile(r"\s*[A-Za-z_]\w*\s*=")


def account(site: str) -> str:
    """The user, the group and the pool of a portal. A long name of a site is cut and made unique by its checksum."""
    name = f"chamilo-{site}"
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 9]}-{hashlib.sha256(site.encode()).hexdigest()[:8]}"


def lines_of(text: str, pool: str) -> list[str]:
    """The owner's lines of a pool, except its user and its address. Its own name stays in its paths."""
    found: list[str] = []
    name = ""
    for line in text.splitlines():
        section = _SECTION.fullmatch(line)
        name = section[1] if section else name
        if name != pool or section or _OWN.match(line) or not line.strip() or line.lstrip()[0] in ";#":
            continue
        found.append(line.replace("$pool", pool))
    return found


def pools_in(text: str) -> list[str]:
    return [found[1] for line in text.splitlines() if (found := _SECTION.fullmatch(line)) and found[1] != "global"]


def pool(name: str, user: str, group: str, address: str, output: Collection[str], source: str) -> str:
    """The file of a pool, with the lines of its owner's pool. ``source``: where these are to be changed."""
    return "\n".join(
        [
            f"; {MANAGED}",
            f"; PHP of this portal alone. {source}",
            f"[{name}]",
            f"user = {user}",
            f"group = {group}",
            f"listen = {address.removeprefix('unix:')}",
            "listen.owner = root",
            f"listen.group = {WEB_GROUP}",
            "listen.mode = 0660",
            *output,
            "",
        ]
    )


def nginx_group(text: str) -> str:
    """nginx.conf with workers in the group that may use the sockets; ``nginx_as_before`` reverts it."""
    if _NGINX_OURS.search(text):
        return text
    found = _NGINX_USER.search(text)
    if not found:
        return f"{_NGINX_WAS}\nuser www-data {WEB_GROUP};\n{text}"
    start = text.rfind("\n", 0, found.start()) + 1
    end = text.find("\n", found.end())
    end = len(text) if end < 0 else end
    line = text[start:end]
    return (
        f"{text[:start]}{_NGINX_WAS}{line}\n"
        f"{found[1]}user {found[2]} {WEB_GROUP};{line[found.end() - start :]}{text[end:]}"
    )


def nginx_as_before(text: str) -> str:
    return _NGINX_OURS.sub(lambda found: f"{found[1]}{found[2]}" if found[1] else "", text)


def cron_user(text: str, roots: Collection[str], old: str, new: str) -> str:
    """A file of /etc/cron.d in which the jobs of the portal run as another user."""
    lines = []
    for line in text.splitlines(keepends=True):
        found = _CRON_LINE.fullmatch(line)
        of_portal = found and found[2] == old and _names(found[3], roots)
        lines.append(f"{found[1]}{new}{found[3]}" if found and of_portal else line)
    return "".join(lines)


def crontab_parts(text: str, roots: Collection[str]) -> tuple[str, str]:
    """A user's crontab as the jobs of the portal, with the settings that apply to them, and as all that stays."""
    moved: list[str] = []
    stays: list[str] = []
    jobs = False
    for line in text.splitlines(keepends=True):
        if _CRON_SETTING.match(line):
            moved.append(line)
            stays.append(line)
        elif _CRONTAB_LINE.match(line) and _names(line, roots):
            moved.append(line)
            jobs = True
        else:
            stays.append(line)
    return ("".join(moved) if jobs else ""), "".join(stays)


def has_jobs(crontab: str) -> bool:
    return any(map(_CRONTAB_LINE.match, crontab.splitlines()))


def _names(command: str, roots: Collection[str]) -> bool:
    return any(re.search(rf"{re.escape(root)}(?![\w.-])", command) for root in roots)
