# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""One answer of each class that can be had from outside without writing: 200, 301, 401, 403, 404, 413, 5xx."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.observer import Look, Unseen

MISSING = "/chamilo-hardening-looks-for-what-is-not-there"
API = "/api/users"  # needs a token, and asking without one is no login attempt
PAGES = ("/", "/login")
_REFUSED = ("/.htaccess", "/main/install/index.php", "/build/")
_FAR_TOO_MUCH = str(10**12)
_SECONDS = 1.5  # a server that would take so much waits for it
_ENTRIES = 5000


def page(look: Look) -> Answer:
    """A page of the application with status 200."""
    return next((answer for answer in map(look.get, PAGES) if answer.status == 200), look.get(PAGES[0]))


def static_path(look: Look) -> str:
    """The path of a real stylesheet or script, or an empty text."""
    seen = 0
    for folder in ("build", "assets", "bundles", "libs"):
        top = os.path.join(look.site.root or "/nonexistent", "public")
        for where, folders, files in os.walk(os.path.join(top, folder)):
            folders.sort()
            for name in sorted(files):
                if name.endswith((".css", ".js")):
                    return "/" + os.path.relpath(os.path.join(where, name), top)
            seen += len(files)
            if seen > _ENTRIES:
                break
    found = re.search(rb"""(?:href|src)=["'](/(?!/)[^"'?#\x00-\x20\x7f-\xff]+\.(?:css|js))["'?]""", page(look).body)
    return found[1].decode() if found else ""


def responses(look: Look) -> Mapping[str, Answer]:
    """Class of response -> an answer of that class. A class that no request brought about is not in it."""
    found: dict[str, Answer] = {}
    if not look.doors:
        raise Unseen(f"nothing on this host answers to {look.site.domain}: no web server, or another name")
    door = look.doors[look.scheme]
    look.ask_all([(door, path) for path in (*PAGES, API, MISSING, MISSING + ".png", *_REFUSED)])
    first = page(look)
    if not first.status:
        raise Unseen(f"{first.url} gave no answer: {first.error}")
    found["200 page"] = first
    static = static_path(look)
    if static:
        found["200 file"] = look.get(static)
    # A proxy that ends TLS sends visitors to https by itself, and refuses too large bodies with headers of its own.
    if "https" in look.doors and not look.options["terminated_elsewhere"]:
        found["301"] = look.get("/", "http")
    found["401"] = look.get(API)
    refused = next((answer for answer in map(look.get, _REFUSED) if answer.status == 403), None)
    if refused:
        found["403"] = refused
    found["404"] = look.get(MISSING)
    found["404 file"] = look.get(MISSING + ".png")
    # Apache checks the length of a request for PHP only once its body comes, so a file is requested.
    if not look.options["terminated_elsewhere"]:
        announced = {"Content-Length": _FAR_TOO_MUCH}
        found["413"] = look.get(static or MISSING, method="POST", headers=announced, timeout=_SECONDS)
    # Where a further name only leads to another one, it is none of the class.
    secure = [door for door in look.further_doors if door.scheme == look.scheme]
    for answer in look.ask_all([(door, PAGES[0]) for door in secure]):
        found[f"200 {urlsplit(answer.url).hostname}"] = answer
    # A page that fails is an answer of its own class.
    broken = [answer for answer in found.values() if answer.status >= 500]
    kept = {label: answer for label, answer in found.items() if label.startswith(str(answer.status))}
    if broken:
        kept[str(broken[0].status)] = broken[0]
    if not kept:
        raise Unseen(f"{first.url} answered {first.status}; no page, file or error of this site could be had")
    return kept


def unseen(look: Look, answers: Mapping[str, Answer]) -> str:
    """Which classes are missing, as a sentence; empty when none is."""
    wanted = ["200 page", "200 file", *(["301"] if "https" in look.doors else []), "401", "403", "404", "413"]
    missing = [label for label in wanted if label not in answers]
    return f" Not seen here: {', '.join(missing)}." if missing else ""


def where(label: str, answer: Answer) -> str:
    return f"{answer.url} ({label})"
