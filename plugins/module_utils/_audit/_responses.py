# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One answer of each class that can be had from outside without writing: 200, 301, 401, 403, 404, 413, 5xx."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from .._application.observer import Observer, Unseen
from .._common.http import Answer

MISSING = "/chamilo-hardening-looks-for-what-is-not-there"
API = "/api/users"  # needs a token, and asking without one is no login attempt
PAGES = ("/", "/login")
_REFUSED = ("/.htaccess", "/main/install/index.php", "/build/")
_FAR_TOO_MUCH = str(10**12)
_STATIC = (".svg", ".png", ".jpg", ".gif", ".ico", ".css", ".js", ".woff2", ".txt", ".html", ".json", ".pdf", ".mp4")
_MOST_DIRECTORIES, _MOST_FILES = 500, 40
_SECONDS = 1.5  # a server that would take so much waits for it


def page(observer: Observer) -> Answer:
    """A page of the application with status 200."""
    return next((answer for answer in map(observer.get, PAGES) if answer.status == 200), observer.get(PAGES[0]))


def static_path(observer: Observer) -> str:
    """The path of a stylesheet or script that the page names, or an empty text."""
    found = re.search(rb"""(?:href|src)=["'](/(?!/)[^"'?#\x00-\x20\x7f-\xff]+\.(?:css|js))["'?]""", page(observer).body)
    return found[1].decode() if found else ""


def samples(observer: Observer) -> list[str]:
    """Files of the portal, one of each kind in each place: a location of the owner's may answer for them alone."""
    public = os.path.join(observer.site.root or "/nonexistent", "public")
    found: dict[tuple[str, str], str] = {}
    for directory, _directories, names in itertools.islice(os.walk(public), _MOST_DIRECTORIES):
        top = os.path.relpath(directory, public).split("/")[0]
        for name in names:
            kind = os.path.splitext(name)[1].lower()
            if kind in _STATIC:
                found.setdefault((top, kind), "/" + quote(os.path.relpath(os.path.join(directory, name), public)))
    return list(found.values())[:_MOST_FILES]


def responses(observer: Observer) -> Mapping[str, Answer]:
    """Class of response -> an answer of that class. A class that no request brought about is not in it."""
    found: dict[str, Answer] = {}
    if not observer.endpoints:
        raise Unseen(f"nothing on this host answers to {observer.site.domain}: no web server, or another name")
    endpoint = observer.endpoints[observer.scheme]
    observer.ask_all([(endpoint, path) for path in (*PAGES, API, MISSING, MISSING + ".png", *_REFUSED)])
    first = page(observer)
    if not first.status:
        raise Unseen(f"{first.url} gave no answer: {first.error}")
    found["200 page"] = first
    static = static_path(observer)
    if static:
        found["200 file"] = observer.get(static)
    for path, answer in zip(paths := samples(observer), observer.ask_all([(endpoint, path) for path in paths])):
        found[f"200 {path}"] = answer
    for other in observer.all_endpoints:
        if other.scheme == endpoint.scheme and other != endpoint:
            found[f"{observer.ask(other, PAGES[0]).status} {other.address}"] = observer.ask(other, PAGES[0])
    # A proxy that ends TLS sends visitors to https by itself, and refuses too large bodies with headers of its own.
    if "https" in observer.endpoints and not observer.options["terminated_elsewhere"]:
        found["301"] = observer.get("/", "http")
    found["401"] = observer.get(API)
    refused = next((answer for answer in map(observer.get, _REFUSED) if answer.status == 403), None)
    if refused:
        found["403"] = refused
    found["404"] = observer.get(MISSING)
    found["404 file"] = observer.get(MISSING + ".png")
    # Apache checks the length of a request for PHP only once its body comes, so a file is requested.
    if not observer.options["terminated_elsewhere"]:
        announced = {"Content-Length": _FAR_TOO_MUCH}
        found["413"] = observer.get(static or MISSING, method="POST", headers=announced, timeout=_SECONDS)
    # Where a further name only leads to another one, it is none of the class.
    secure = [endpoint for endpoint in observer.further_doors if endpoint.scheme == observer.scheme]
    for answer in observer.ask_all([(endpoint, PAGES[0]) for endpoint in secure]):
        found[f"200 {urlsplit(answer.url).hostname}"] = answer
    # A page that fails is an answer of its own class.
    broken = [answer for answer in found.values() if answer.status >= 500]
    kept = {label: answer for label, answer in found.items() if label.startswith(str(answer.status))}
    if broken:
        kept[str(broken[0].status)] = broken[0]
    if not kept:
        raise Unseen(f"{first.url} answered {first.status}; no page, file or error of this site could be had")
    return kept


def unseen(observer: Observer, answers: Mapping[str, Answer]) -> str:
    """Which classes are missing, as a sentence; empty when none is."""
    desired = ["200 page", "200 file", *(["301"] if "https" in observer.endpoints else []), "401", "403", "404", "413"]
    missing = [label for label in desired if label not in answers]
    return f" Not seen here: {', '.join(missing)}." if missing else ""


def where(label: str, answer: Answer) -> str:
    return f"{answer.url} ({label})"
