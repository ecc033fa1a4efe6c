# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access rules in .htaccess files: what they close stays closed where this collection writes AllowOverride None."""

from __future__ import annotations

import errno
import os
import posixpath
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from .._common.paths import DIRECTORY, open_path, shown, untrusted
from .._common.tree import Place, Tree
from . import apache
from .configuration import Configuration, Directive, Server, every, walk
from .planned import AccessFile

_DEPTH = 64  # directories in each other; a portal has a dozen
_LONGEST = 1 << 20  # bytes of a .htaccess
_SHOWN = 200  # characters of a line
_ALL = frozenset({"AuthConfig", "FileInfo", "Indexes", "Limit", "Options"})
_CLASSES = {name.lower(): name for name in _ALL}
_AUTH = frozenset({"require", "satisfy", "sslrequire", "sslrequiressl", "sslverifyclient"})
_OPEN = frozenset({("require", "all", "granted"), ("sslverifyclient", "none")})
_CONDITIONS = ("setenvif", "setenvifnocase", "setenvifexpr", "browsermatch", "browsermatchnocase")
_REFUSES = re.compile(r"[\[,]\s*(?:F|forbidden|G|gone|(?:R|redirect)=4\d\d)\s*[\],]", re.IGNORECASE)
# Directives that redirect visitors, each with its class of AllowOverride. By name, since their classes allow far more.
_LEADS = {
    **dict.fromkeys(("RewriteEngine", "RewriteBase", "RewriteCond", "RewriteRule", "RewriteOptions"), "FileInfo"),
    **dict.fromkeys(("Redirect", "RedirectMatch", "RedirectPermanent", "RedirectTemp", "ErrorDocument"), "FileInfo"),
    **dict.fromkeys(("DirectoryIndex", "FallbackResource"), "Indexes"),
}
_LEADING = {name.lower(): name for name in _LEADS}
# A rule that has a file executed, or changes its type.
_HANDLES = re.compile(r"[\[,]\s*(?:H|handler|T|type)\s*=", re.IGNORECASE)
# One rule for names after a dot, without a second one for something else: that one would be lost.
_AFTER_A_DOT = re.compile(
    r"(?:\^?/?(?:\.\*)?|\((?:\?:)?\^\|/\))"  # anywhere, or where a name begins
    r"\\\.(?:[^|()]|\((?:[^()]|\([^()]*\))*\))*"
)
# What can stand in the argument of a <Directory> as it is.
_WRITABLE = re.compile(r"[\w./@+~ -]+", re.ASCII)


def needed(item: Directive) -> str:
    """The class of AllowOverride that an access rule needs; empty for what is no access rule."""
    words = tuple(map(str.lower, item.arguments))
    if item.name in _AUTH or item.name.startswith("auth"):
        return "" if (item.name, *words) in _OPEN else "AuthConfig"
    if item.name == "deny" or (item.name == "allow" and words != ("from", "all")):
        return "Limit"
    if item.name == "rewriterule":
        refuses = len(words) > 2 and _REFUSES.search(item.arguments[2]) is not None
        return "FileInfo" if refuses and _AFTER_A_DOT.fullmatch(item.arguments[0]) is None else ""
    if item.name in ("redirect", "redirectmatch") and words:
        return "FileInfo" if words[0] == "gone" or re.fullmatch(r"4\d\d", words[0]) else ""
    return ""


def rules(level: Sequence[Directive]) -> Iterator[tuple[Directive, str]]:
    """The access rules at a level and within it, each with what it needs. What ours refuses too is none."""
    allowed = any(item.name == "allow" and not needed(item) for item in level)
    for item in level:
        if item.block is not None:
            if item.name not in ("files", "filesmatch") or not _denies_hidden(item):
                yield from rules(item.block)
        elif item.name == "order" and "".join(item.arguments).lower() == "allow,deny" and not allowed:
            yield item, "Limit"  # by itself it denies all clients
        elif need := needed(item):
            yield item, need


def leading(level: Sequence[Directive], may: Collection[str]) -> list[str]:
    """The directives of a .htaccess that redirect visitors; none, where one of them could run a program."""
    names = set()
    for item in walk(level):
        name = _LEADING.get(item.name)
        if item.name == "rewriterule" and _HANDLES.search("".join(item.arguments[2:])):
            return []
        if name and _LEADS[name] in may:
            names.add(name)
    return sorted(names) if names - {"RewriteEngine", "RewriteOptions", "RewriteBase", "RewriteCond"} else []


def _denies_hidden(section: Directive) -> bool:
    """Whether a section denies nothing but what ours denies too."""
    inner, pattern = section.block or (), section.arguments[-1] if section.arguments else ""
    denies = all(
        (item.name == "require" and tuple(map(str.lower, item.arguments)) == ("all", "denied"))
        or (item.name == "deny" and tuple(map(str.lower, item.arguments)) == ("from", "all"))
        or (item.name == "order" and item.arguments)
        for item in inner
    )
    hidden = any(_matches(pattern, path) for path in (".htaccess", "/.htaccess", "/.git"))
    return denies and ((hidden and _AFTER_A_DOT.fullmatch(pattern) is not None) or pattern in (".ht*", ".*"))


def _matches(pattern: str, path: str) -> bool:
    try:
        return re.search(pattern, path, re.IGNORECASE) is not None
    except re.error:
        return False


def access_files(
    tree: Tree, configuration: Configuration, servers: Sequence[Server], kept: Iterable[str], web_user: str
) -> tuple[AccessFile, ...]:
    """The .htaccess files with access rules that count in these virtual hosts.

    ``kept``: directories in which nothing of this collection ends what a .htaccess may do. ``web_user``: whom PHP runs
    as. A link that this user could have laid is not followed.
    """
    found: dict[str, AccessFile] = {}
    for root in dict.fromkeys(server.host.root for server in servers if server.host.root):
        own = [server for server in servers if server.host.root == root]
        reader = _Reader(tree, configuration, own, {tree.real(path) for path in kept}, web_user)
        reader.read(root)
        found.update((file.directory, file) for file in reader.found)
    return tuple(found[directory] for directory in sorted(found))


def unwritable(files: Iterable[AccessFile]) -> list[Place]:
    """The rules that would be lost in a virtual host of its owner's as well."""
    return [place for file in files if file.lost for place in file.rules]


def _parts(block: Directive) -> list[str]:
    return block.arguments[0].rstrip("/").replace("[^", "[!").split("/") if block.arguments else ["~"]


def _contains(parts: Sequence[str], directory: Sequence[str]) -> bool:
    """Whether a <Directory> is for this directory or one above it. A wildcard of Apache's stands for no slash."""
    return len(parts) <= len(directory) and all(map(fnmatchcase, directory, parts))


def _allowed(block: Directive) -> frozenset[str] | None:
    """The classes that a <Directory> allows in .htaccess; None without AllowOverride."""
    output: frozenset[str] | None = None
    for item in every(block.block or (), "allowoverride", "allowoverridelist"):
        words = [word.lower().partition("=")[0] for word in item.arguments]
        if item.name == "allowoverridelist":  # single directives: as if their whole class were allowed
            classes = frozenset(_LEADS[_LEADING[word]] for word in words if word in _LEADING)
            more = classes if all(word in _LEADING or word == "none" for word in words) else _ALL
        else:
            more = _ALL if "all" in words else frozenset(_CLASSES[word] for word in words if word in _CLASSES)
        output = more if output is None else output | more
    return output


class _Overrides:
    """What .htaccess files may do in each directory, by the configuration of one virtual host."""

    def __init__(self, configuration: Configuration, server: Server) -> None:
        self._sections: dict[int, list[tuple[list[str], frozenset[str]]]] = {}
        for block in every((*configuration.directives, *(server.block.block or ())), "directory"):
            allowed = _allowed(block)
            if allowed is not None and block.arguments[:1] != ("~",):
                self._sections.setdefault(len(_parts(block)), []).append((_parts(block), allowed))

    def at(self, directory: str, above: frozenset[str]) -> frozenset[str]:
        """``above``: what is allowed in the directory above it."""
        parts = directory.split("/") if directory != "/" else [""]
        for desired, allowed in reversed(self._sections.get(len(parts), [])):
            if _contains(desired, parts):
                return allowed
        return above

    def below(self, directory: str) -> bool:
        """Whether something may be allowed further down."""
        parts = directory.split("/")
        return any(
            allowed and all(map(fnmatchcase, parts, desired))
            for length, sections in self._sections.items()
            if length > len(parts)
            for desired, allowed in sections
        )


class _Reader:
    def __init__(
        self, tree: Tree, configuration: Configuration, servers: Sequence[Server], kept: set[str], web_user: str
    ) -> None:
        self._tree, self._configuration = tree, configuration
        self._kept, self._web_user = kept, web_user
        self._overrides = [_Overrides(configuration, server) for server in servers]
        named = [item for item in every(configuration.directives, "accessfilename") if item.arguments]
        self._names = frozenset(named[-1].arguments if named else (".htaccess",))
        self._refusal = untrusted(web_user)
        self._followed: set[tuple[int, int]] = set()
        self.found: list[AccessFile] = []

    def read(self, root: str) -> None:
        """The document root, all that is below it, and what Apache reads on the way to it."""
        allowed = [frozenset[str]() for _each in self._overrides]
        way = "/"
        for part in root.split("/")[1:]:
            allowed = self._at(way, allowed)
            for name in sorted(self._names):
                if any(allowed) and self._tree.exists(posixpath.join(way, name)):
                    self._file(way, name, allowed, kept=True)
            way = posixpath.join(way, part)
        allowed = self._at(root, allowed)
        if not self._matters(root, allowed):
            return
        try:
            handle = self._tree.directory(root, self._refusal)
        except FileNotFoundError:
            return
        except OSError as problem:
            self._unseen(root, f"this directory cannot be searched: {problem.strerror}")
            return
        try:
            self._directory(handle, root, allowed, 0)
        finally:
            os.close(handle)

    def _at(self, directory: str, above: Sequence[frozenset[str]]) -> list[frozenset[str]]:
        return [each.at(directory, before) for each, before in zip(self._overrides, above)]

    def _matters(self, directory: str, allowed: Sequence[frozenset[str]]) -> bool:
        return any(allowed) or any(each.below(directory) for each in self._overrides)

    def _directory(self, handle: int, directory: str, allowed: list[frozenset[str]], depth: int) -> None:
        below, links = [], []
        with os.scandir(handle) as entries:
            for entry in entries:
                if entry.name in self._names:
                    if any(allowed):
                        self._file(directory, entry.name, allowed)
                elif entry.is_symlink():
                    links.append(entry.name)
                elif entry.is_dir(follow_symlinks=False):
                    below.append(entry.name)
        for name in sorted(below):
            path = posixpath.join(directory, name)
            there = self._at(path, allowed)
            if not self._matters(path, there):
                continue
            if depth == _DEPTH:
                self._unseen(path, f"directories deeper than {_DEPTH} are not searched")
                continue
            try:
                inner = os.open(name, DIRECTORY, dir_fd=handle)
            except (FileNotFoundError, NotADirectoryError):
                continue  # gone meanwhile
            except OSError as problem:
                self._unseen(path, f"this directory cannot be searched: {problem.strerror}")
                continue
            try:
                self._directory(inner, path, there, depth + 1)
            finally:
                os.close(inner)
        for name in sorted(links):
            self._link(handle, name, posixpath.join(directory, name), allowed, depth)

    def _link(self, handle: int, name: str, path: str, above: Sequence[frozenset[str]], depth: int) -> None:
        """Apache follows it, whatever account made it."""
        allowed = self._at(path, above)
        if not self._matters(path, allowed) or depth == _DEPTH:
            return
        try:
            inner, _linked = open_path(name, self._refusal, handle)
        except OSError as problem:
            if any(self._tree.exists(posixpath.join(path, file)) for file in self._names):
                self._unseen(path, f"a .htaccess lies behind this link, which is not followed: {problem.strerror}")
            return
        try:
            status = os.fstat(inner)
            if stat.S_ISDIR(status.st_mode) and (status.st_dev, status.st_ino) not in self._followed:
                self._followed.add((status.st_dev, status.st_ino))
                self._directory(inner, path, list(allowed), depth + 1)
        finally:
            os.close(inner)

    def _file(self, directory: str, name: str, allowed: Sequence[frozenset[str]], kept: bool = False) -> None:
        path = posixpath.join(directory, name)
        may = frozenset[str]().union(*allowed)
        try:
            text = self._tree.read(path, self._web_user)
            if len(text) > _LONGEST:
                raise OSError(errno.EFBIG, f"it is larger than {_LONGEST} bytes", path)
            level = apache.access_file(text, path, self._configuration)
        except OSError as problem:
            self._unseen(path, f"this file cannot be read: {problem.strerror}", directory)
            return
        except ValueError as problem:
            self._unseen(path, f"Apache refuses what this file closes, for it cannot be parsed: {problem}", directory)
            return
        count = [(item, need) for item, need in rules(level) if need in may]
        listed = leading(level, may)
        if listed and not count:
            self._found(directory, (), "Nonfatal=Override", kept, listed)
        elif count:
            needs = {need for _item, need in count}
            needs.update({"FileInfo"} & may if any(item.name in _CONDITIONS for item in walk(level)) else ())
            places = [Place(shown(path), item.line, _short(item.written)) for item, _need in count]
            self._found(directory, places, " ".join([*sorted(needs), "Nonfatal=Override"]), kept, listed)

    def _unseen(self, path: str, why: str, directory: str = "") -> None:
        """It may close anything, and let anything run: no AllowOverride is written for it."""
        self._found(directory or path, [Place(shown(path), 1, why)], "")

    def _found(
        self, directory: str, places: Sequence[Place], keep: str, kept: bool = False, listed: Sequence[str] = ()
    ) -> None:
        ends = not kept and self._tree.real(directory) not in self._kept
        writable = bool(keep) and _WRITABLE.fullmatch(directory) is not None
        if not places and not (ends and writable):
            return
        self.found.append(
            AccessFile(
                shown(directory),
                tuple(places),
                keep if ends and writable else "",
                ends and not writable,
                " ".join(listed) if ends and writable else "",
            )
        )


def _short(written: str) -> str:
    text = shown(written)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."
