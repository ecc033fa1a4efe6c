# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written into the virtual hosts of an owner: planned from the configuration as it would be without it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from .._common.markers import has_marks
from .._common.tree import Tree
from . import apache, in_place_apache, in_place_nginx, nginx, shared_directives
from .configuration import Configuration, Server, walk
from .in_place import DesiredHost, Unmarked, digest
from .planned import Edited, InPlace

_IF_FOR_HTTPS = re.compile(r"\( ?\$(scheme|https|host|http_host|server_port)[ )]")


def shared(tree: Tree, drop_ins: str) -> tuple[frozenset[str], frozenset[str]]:
    """The content of our drop-ins: directives that nginx accepts once, and the names of headers in lower case."""
    texts = []
    for path in [*tree.glob(f"{drop_ins}/*.conf"), *tree.glob(f"{drop_ins}/location/*.conf")]:
        try:
            texts.append(tree.read(path))
        except OSError:  # only root may read it: plans of other users are never applied
            continue
    return shared_directives.once(texts), shared_directives.headers(texts)


def to_https(web_server: str, configuration: Configuration, servers: Iterable[Server], domain: str) -> bool:
    """Whether visitors of http are sent to https, by lines of an owner: ours let this host itself through."""
    return any(
        _same_under_https(argument.rstrip("?"), domain)
        for server in servers
        for item in server.block.block or ()
        if item.name != "if" or web_server != "nginx" or _IF_FOR_HTTPS.match(" ".join(item.arguments))
        for directive in walk([item])
        if not configuration.is_ours(directive.file)
        for argument in directive.arguments
    )


def _same_under_https(target: str, domain: str) -> bool:
    """Whether a redirect goes to the same address under https."""
    host = rf"(?:\$host|\$server_name|\$http_host|%\{{(?:SERVER_NAME|HTTP_HOST)\}}|{re.escape(domain)})"
    path = r"/?(?:\$request_uri|%\{REQUEST_URI\}|\$uri|\$1|%1|)"
    return re.fullmatch(rf"https://{host}(?::443)?{path}", target, re.IGNORECASE) is not None


def plan(tree: Tree, web_server: str, version: str, configuration: Configuration, desired: DesiredHost) -> InPlace:
    """The edits, also of files whose marks are to be removed. ``configuration``: the active one."""
    unmarked = Unmarked(tree, desired.site)
    marked = [file for file, text in configuration.texts.items() if has_marks(text, desired.site)]
    if marked:
        configuration = nginx.parse(unmarked) if web_server == "nginx" else apache.parse(unmarked, version)
    planner = in_place_nginx.plan if web_server == "nginx" else in_place_apache.plan
    found = planner(unmarked, configuration.of_owners(), desired)
    bare = {file: Edited(file, digest(configuration.texts.get(file, "")), ()) for file in marked}
    edits = {**bare, **{edited.path: edited for edited in found.files}}
    return replace(found, files=tuple(edits[path] for path in sorted(edits)), marked=tuple(bare.values()))
