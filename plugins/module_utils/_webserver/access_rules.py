# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access rules in .htaccess files: what they close stays closed where this collection writes AllowOverride None.

Chamilo has one such file, in the document root itself. Of another one, an owner's, the rules are not judged: all
directives that close something or lead visitors stay allowed in its directory, and none that could run a program.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from .._common.paths import shown, untrusted
from .._common.tree import Place, Tree
from .._common.walks import Budget, walk
from .configuration import Configuration, Server, every
from .planned import AccessFile

_SECONDS = 60.0
_LONGEST = 1 << 20  # bytes of a .htaccess
# Those of the classes AuthConfig and Limit that close something.
_CLOSES = re.compile(
    r"(?im)^\s*(?:require(?!\s+all\s+granted)|auth\w*|satisfy|order|deny|allow(?!\s+from\s+all)|ssl(?:require|verify)\w*)\b"
)
# By name, since their classes allow far more.
_LISTED = (
    *("RewriteEngine", "RewriteBase", "RewriteCond", "RewriteRule", "RewriteOptions"),
    *("Redirect", "RedirectMatch", "RedirectPermanent", "RedirectTemp", "ErrorDocument"),
    *("DirectoryIndex", "FallbackResource"),
    *("SetEnvIf", "SetEnvIfNoCase", "SetEnvIfExpr", "BrowserMatch", "BrowserMatchNoCase"),
)
_REFUSES = re.compile(r"(?im)^\s*RewriteRule\b.*[\[,]\s*(?:F|forbidden|G|gone|(?:R|redirect)=4\d\d)\s*[\],]")
# A rule that has a file executed, or changes its type.
_HANDLES = re.compile(r"(?im)^\s*RewriteRule\b.*[\[,]\s*(?:H|handler|T|type)\s*=")
# What can stand in the argument of a <Directory> as it is.
_WRITABLE = re.compile(r"[\w./@+~ -]+", re.ASCII)


def access_files(
    tree: Tree, configuration: Configuration, servers: Sequence[Server], kept: Iterable[str], web_user: str
) -> tuple[AccessFile, ...]:
    """The .htaccess files that count in these virtual hosts and that close something, or lead visitors.

    ``kept``: directories in which nothing of this collection ends what a .htaccess may do. ``web_user``: whom PHP runs
    as. A link that this user could have laid is not followed.
    """
    named = [item for item in every(configuration.directives, "accessfilename") if item.arguments]
    names = named[-1].arguments if named else (".htaccess",)
    unended = {tree.real(path) for path in kept}
    found: dict[str, AccessFile] = {}
    for root in dict.fromkeys(server.host.root for server in servers if server.host.root):
        own = [server for server in servers if server.host.root == root]
        for directory, name, problem in _below(tree, root, names, web_user):
            if tree.real(directory) in unended and name:
                continue
            if any(_obeyed(configuration, server, directory) for server in own):
                file = _file(tree, directory, name, web_user) if name else AccessFile(shown(directory), "", problem)
                if file:
                    found[directory] = file
    return tuple(found[directory] for directory in sorted(found))


def unwritable(files: Iterable[AccessFile]) -> list[Place]:
    """Those that would be lost in a virtual host of its owner's as well."""
    return [Place(file.directory, 1, file.lost) for file in files if file.lost]


def _below(tree: Tree, root: str, names: Sequence[str], web_user: str) -> Iterator[tuple[str, str, str]]:
    """Each directory with such a file, as Apache sees it, and its name; or why a directory was not searched."""
    refusal, budget = untrusted(web_user), Budget(_SECONDS)
    waiting, met = [root], set()
    while waiting:
        top = waiting.pop()
        try:
            handle = tree.directory(top, refusal)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as problem:
            if top == root or any(tree.exists(f"{top}/{name}") for name in names):
                yield top, "", f"this directory is not searched: {problem.strerror}"
            continue
        try:
            status = os.fstat(handle)
            if (status.st_dev, status.st_ino) not in met:
                met.add((status.st_dev, status.st_ino))
                start = f"/proc/self/fd/{handle}"
                for entry in walk(start, budget):
                    path = top + entry.path[len(start) :]
                    if entry.name in names:
                        yield os.path.dirname(path), entry.name, ""
                    elif entry.is_symlink():  # Apache follows it
                        waiting.append(path)
        finally:
            os.close(handle)
    if budget.gap:
        yield root, "", budget.gap


def _obeyed(configuration: Configuration, server: Server, directory: str) -> bool:
    """Whether Apache reads the file: the deepest <Directory> around it decides. A wildcard stands for no slash."""
    deepest, obeyed = 0, False
    parts = directory.split("/")
    for block in every((*configuration.directives, *(server.block.block or ())), "directory"):
        desired = block.arguments[0].rstrip("/").replace("[^", "[!").split("/") if block.arguments else []
        if deepest <= len(desired) <= len(parts) and all(map(fnmatchcase, parts, desired)):
            lines = [*every(block.block or (), "allowoverride", "allowoverridelist")]
            if lines:
                deepest, obeyed = len(desired), any(word.lower() != "none" for item in lines for word in item.arguments)
    return obeyed


def _file(tree: Tree, directory: str, name: str, web_user: str) -> AccessFile | None:
    try:
        text = tree.read_bounded(f"{directory}/{name}", web_user, _LONGEST)
    except FileNotFoundError:
        return None
    except OSError as problem:
        return AccessFile(shown(f"{directory}/{name}"), "", f"this file cannot be read: {problem.strerror}")
    there = {word.lower() for word in re.findall(r"(?m)^\s*(\w+)", text)}
    runs = _HANDLES.search(text) is not None and _REFUSES.search(text) is None
    listed = [] if runs else [each for each in _LISTED if each.lower() in there]
    if not (listed or _CLOSES.search(text)):
        return None
    lost = "" if _WRITABLE.fullmatch(directory) else "the name of its directory cannot be written for Apache"
    return AccessFile(shown(directory), " ".join(listed), lost)
