# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""What vouches for a file of the program that the web user could have written, and what such a file could run.

No file is trusted for its name: its content counts. A list that root alone can write (of the release's package, or
one that an administrator accepted) vouches by checksum. Without one there is evidence: what the web user can write, and
what is newer than nearly all of its release, is vouched for by nothing.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import stat
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import shells

if TYPE_CHECKING:
    import hashlib
    from collections.abc import Callable

    Theirs = Callable[["int | str", os.stat_result], bool]  # an open file or a path, and what it is like

LAID = 3600  # seconds: within them all of a release is laid
_NEARLY_ALL = 0.95  # an attacker touches some files, not that many
_SAMPLED = ("public/main", "src", "vendor")
_FILES, _DIRECTORIES, _IN_ONE = 1200, 300, 50  # of a sample
_READ = 8 << 20  # bytes of a file that are searched
_CHUNK = 1 << 20
MOST = 64 << 20  # bytes that are compared of what the web user decides how large it is
PACKED = 16 * 512  # bytes of a file that a block of the disk stands for, at most; else it is sparse, and has no end
_NOT_FOLLOWED = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY

PHP_NAME = re.compile(r"(?i)\.(?:php\d?|phtml|phar|pht)$")
_PHP_TEXT = re.compile(rb"(?i)<\?(?:php|=)|__HALT_COMPILER")
# What only a browser or a person reads. One of these that contains PHP is PHP all the same.
_PICTURES = "avif bmp eot gif ico jpe?g mo mp[34] og[gv] otf pdf pem png pub svg tiff? ttf wav web[mp] woff2?"
_TEXTS = (
    "bak css csv docx? gz html? less log map md odt old orig po pptx? rst save scss sql swf sw[op] tar tgz txt vtt wasm"
    " xlsx? zip"
)
_DATA = re.compile(rf"(?i)\.(?:{'|'.join([*_PICTURES.split(), *_TEXTS.split()])})$|~$")
_DATA_ANYWHERE = re.compile(rf"(?i)\.(?:{'|'.join(_PICTURES.split())})$")
# Elsewhere a script is run by the program's build, like webpack.config.js.
_DATA_IN_PUBLIC = re.compile(r"(?i)\.(?:m?js|json|lock|webmanifest|xml)$")
_TEMPLATES = re.compile(r"(?:^|/)(?:templates?|config)/")
# Symfony runs what stands in $( ), where it is not in single quotes.
_ENV_QUOTED = re.compile(r"\s*(?:export\s+)?\w+\s*=\s*'[^']*'\s*(?:#.*)?")
_ENV_LINE = re.compile(r"\s*(?:export\s+)?(\w+)\s*=(?!>)\s*(.*)")
_ENV_PHP = re.compile(r"""['"](\w+)['"]\s*=>\s*([^,\n]*)""")  # .env.local.php
# Symfony's runtime, directories from which its kernel loads compiled code, and how PHP, a shell or the linker starts.
_ENV_STEERS = re.compile(
    r"APP_(?:RUNTIME\w*|(?:BUILD|CACHE|LOG|PROJECT|SHARE)_DIR)|SYMFONY_DOTENV_\w+|KERNEL_CLASS|PHPRC|PHP_INI_SCAN_DIR"
    r"|LD_\w+|GCONV_PATH|BASH_ENV|PATH|COMPOSER_\w+|GIT_\w+|NODE_(?:OPTIONS|PATH)|PERL5\w+|PYTHON\w+"
)
_ENV_NO_CODE = re.compile(r"\w*(?:DSN|HOSTS?|KEY|KEY_ID|ORIGIN|PASSPHRASE|PASSWORD|SECRET|TOKEN|URL)")
_ENV_PATH = re.compile(r"""["']?(?:\.{0,2}/|~|(?:phar|php|file|data|glob|zip|compress\.\w+):)""")
_HANDLER = re.compile(
    rb"(?im)^\s*(?:(?:Add|Set)Handler|AddType|ForceType|Action|SetOutputFilter|AddOutputFilter)\s+\"?\S*"
    rb"(?:php|cgi|script|proxy:|server-parsed|includes)|auto_(?:pre|ap)pend_file|^\s*Options\b.*\b(?:ExecCGI|Includes)\b"
)
# Without these more could be seen than before.
_RULES = re.compile(rb"(?im)^\s*(?:<?Require|Deny|Order|Allow|Auth|Satisfy|Redirect|Rewrite|<Files|<Limit)")


@dataclass(frozen=True)
class Release:
    """When nearly all of a release was laid, by both clocks of a file, and whether it is the web user's own."""

    changed: float  # only root can set this one to an earlier time
    written: float  # a package sets it: the day of the release
    web: bool

    def later(self, status: os.stat_result) -> bool:
        return status[9] > self.changed or status[8] > self.written  # whole seconds, which are quicker to have


NOT_THERE = Release(float("inf"), float("inf"), False)


def release(top: int, web: int) -> Release:
    """By a sample of what each release has thousands of. ``top``: the project directory, open."""
    found: list[os.stat_result] = []
    pages: list[os.stat_result] = []
    _sample(top, "public", pages, _FILES, deep=False)
    for part in _SAMPLED:
        _sample(top, part, found, len(found) + _FILES)
        pages = pages or list(found)
    if not found:
        return NOT_THERE

    def nearly_all(times: Sequence[float]) -> float:
        return sorted(times)[int((len(times) - 1) * _NEARLY_ALL)] + LAID

    # Composer may have run as another user than the owner of the pages.
    theirs = sum(status.st_uid == web for status in pages)
    return Release(
        nearly_all([status.st_ctime for status in found]),
        nearly_all([status.st_mtime for status in found]),
        theirs * 2 > len(pages),
    )


def _sample(top: int, part: str, found: list[os.stat_result], most: int, deep: bool = True) -> None:
    """Some files of each of the directories, the upper ones first; no link is followed."""
    try:
        waiting = [open_below(top, part, os.O_DIRECTORY)]
    except OSError:  # not every tree has each of them
        return
    seen = 0
    while waiting:
        handle = waiting.pop(0)
        try:
            with os.scandir(handle) as entries:
                here = 0
                for entry in entries:
                    if len(found) >= most:
                        break
                    if entry.is_dir(follow_symlinks=False):
                        if deep and seen < _DIRECTORIES:
                            seen += 1
                            waiting.append(os.open(entry.name, _NOT_FOLLOWED | os.O_DIRECTORY, dir_fd=handle))
                    elif here < _IN_ONE and entry.is_file(follow_symlinks=False):
                        here += 1
                        found.append(entry.stat(follow_symlinks=False))
        except OSError:  # it went, or was exchanged, meanwhile
            pass
        finally:
            os.close(handle)


def open_below(top: int, path: str, flags: int = 0) -> int:
    """Open a path below a directory; no link on the way is followed."""
    *directories, name = path.split("/")
    handle = os.dup(top)
    try:
        for directory in directories:
            below = os.open(directory, _NOT_FOLLOWED | os.O_DIRECTORY, dir_fd=handle)
            os.close(handle)
            handle = below
        return os.open(name, _NOT_FOLLOWED | flags, dir_fd=handle)
    finally:
        os.close(handle)


# ------------------------------------------------------------------------------------------------ what can run

PHP, HANDLER, STEERS = "php", "handler", "steers"
_IN_BROWSERS = re.compile(r"(?i)^public/.*\.(?:m?js|x?html?|svgz?|swf|wasm|css|xml)$")


def runs_in_browsers(path: str) -> bool:
    """Whether visitors' browsers run the file as the portal's own: it is compared with a package where there is one."""
    return bool(_IN_BROWSERS.search(path))


def runs(path: str, handle: int) -> str:
    """What a file of the program could run: PHP, a file that makes other files run, something else that steers it.

    Empty for what is data by its content, whatever it is called.
    """
    name = path.rpartition("/")[2]
    if PHP_NAME.search(name):
        return PHP
    if name.lower() == ".user.ini":
        return HANDLER
    text, whole = _text(handle)
    if name.lower() == ".htaccess":
        return HANDLER if _HANDLER.search(text) and not _RULES.search(text) else STEERS
    if _PHP_TEXT.search(text):
        return PHP
    if re.fullmatch(r"\.env(?:\.\w+)*", name):
        return STEERS if not whole or any(map(_env_runs, text.decode("utf-8", "replace").splitlines())) else ""
    if not whole or text.startswith(b"#!"):
        return STEERS
    data = _DATA_ANYWHERE.search(name) or _DATA.search(name) and not _TEMPLATES.search(path)
    return "" if data or path.startswith("public/") and _DATA_IN_PUBLIC.search(name) else STEERS


def _env_runs(line: str) -> bool:
    if line.lstrip().startswith("#"):
        return False
    if "$(" in line and not _ENV_QUOTED.fullmatch(line):
        return True
    if environment_steers(line):
        return True
    # Another name with a path: what is loaded from there is not known.
    value = _ENV_LINE.match(line)
    return bool(value and not _ENV_NO_CODE.fullmatch(value[1]) and _ENV_PATH.match(value[2]))


def environment_steers(text: str, root: str = "") -> list[str]:
    """Names in an environment file that decide where code is loaded from, except directories in var/ of ``root``."""
    found = []
    values = [*filter(None, map(_ENV_LINE.match, text.splitlines())), *_ENV_PHP.finditer(text)]
    for value in values:
        if _ENV_STEERS.fullmatch(value[1]) and not _is_below_var(value[1], value[2], root):
            found.append(value[1])
    return list(dict.fromkeys(found))


def _is_below_var(name: str, value: str, root: str) -> bool:
    if not root or not name.endswith("_DIR"):
        return False
    plain = re.fullmatch(r"""(["']?)(/[\w./-]+)\1\s*(?:#.*)?""", value)
    var = os.path.realpath(os.path.join(root, "var"))
    return plain is not None and os.path.realpath(plain[2]).startswith(f"{var}/")


def _text(handle: int) -> tuple[bytes, bool]:
    """The beginning of a file, and whether it is all of it. Of what is no file nothing is known."""
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        return b"", False
    parts: list[bytes] = []
    size = 0
    while size < _READ:
        part = os.pread(handle, min(_CHUNK, _READ - size), size)
        if not part:
            return b"".join(parts), True
        parts.append(part)
        size += len(part)
    return b"".join(parts), os.fstat(handle).st_size <= size


def is_shell(path: str, handle: int) -> bool:
    """Whether a page runs what a request names: no history vouches for such a one."""
    return PHP_NAME.search(path) is not None and shells.obeys(_text(handle)[0])


def _read(handle: int, digest: hashlib._Hash) -> bool:
    """False for what is no file, and for one that is longer than what lies on the disk can be."""
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        return False
    most, size = max(MOST, status.st_blocks * PACKED), 0
    while size <= most and (part := os.pread(handle, _CHUNK, size)):
        digest.update(part)
        size += len(part)
    return size <= most


def checksum(handle: int) -> str:
    """Empty for what cannot be compared, which differs from all."""
    import hashlib  # most runs have nothing to compare, and it takes memory in each process of theirs

    digest = hashlib.sha256()
    return digest.hexdigest() if _read(handle, digest) else ""


# ----------------------------------------------------------------------------------------------------------- Git

_BOOLEAN = re.compile(r"(?i)(?:true|false|yes|no|on|off|0|1|)$")
_LFS = re.compile(r"git-lfs (?:clean|smudge)(?: --skip)? -- %f$|git-lfs filter-process(?: --skip)?$")
_HELPER = re.compile(r"(?:cache|store)(?: --[\w=./-]+)*$")
# section.key, without what stands between the two, where Git runs the value.
_PROGRAMS = frozenset(
    """core.fsmonitor core.hookspath core.sshcommand core.pager core.editor core.askpass core.gitproxy
    core.alternaterefscommand core.worktree sequence.editor interactive.difffilter uploadpack.packobjectshook
    include.path includeif.path gpg.program gpg.defaultkeycommand diff.external diff.command diff.textconv merge.driver
    filter.clean filter.smudge filter.process credential.helper difftool.cmd difftool.path mergetool.cmd mergetool.path
    guitool.cmd browser.cmd browser.path man.cmd man.path tar.command trailer.command trailer.cmd remote.uploadpack
    remote.receivepack remote.vcs protocol.allow init.templatedir gc.recentobjectshook sendemail.sendmailcmd
    sendemail.tocmd sendemail.cccmd sendemail.headercmd hook.command http.proxycommand instaweb.httpd""".split()
)


def git_settings(text: str) -> list[str]:
    """The settings of a Git configuration that run something, by name."""
    found = []
    for section, middle, key, value in _git_values(text):
        name = f"{section}.{key}"
        whole = f"{section}.{middle}.{key}" if middle else name
        runs_it = name in _PROGRAMS or section == "pager"
        if section == "alias" or name == "submodule.update":
            runs_it = value.lstrip().startswith("!")
        if key in ("url", "pushurl", "insteadof", "pushinsteadof"):
            runs_it = "ext::" in f"{middle} {value}"
        if name == "core.fsmonitor" or section == "pager":
            runs_it = runs_it and not _BOOLEAN.match(value)
        if section == "filter" and _LFS.match(value) or name == "credential.helper" and _HELPER.match(value):
            runs_it = False
        if name == "protocol.allow" and middle not in ("", "ext"):
            runs_it = False
        if runs_it:
            found.append(whole)
    return found


def _git_values(text: str) -> list[tuple[str, str, str, str]]:
    """Section, what stands in quotes beside it, key and value of each line."""
    section = middle = ""
    values = []
    for line in re.sub(r"\\\r?\n", "", text).splitlines():
        rest = line.strip().lstrip("\ufeff")
        while rest.startswith("["):
            head = re.match(r'\[\s*([\w.-]+)\s*(?:"((?:\\.|[^"\\])*)")?\s*\]', rest)
            if not head:
                break
            section, _dot, old = head[1].lower().partition(".")
            middle = head[2] if head[2] is not None else old
            rest = rest[head.end() :].strip()
        if not rest or rest[0] in "#;[":
            continue
        key, _equals, value = rest.partition("=")
        values.append((section, middle, key.strip().lower(), value.strip().replace('"', "")))
    return values


def git_runs(directory: int, theirs: Theirs) -> list[str]:
    """What Git would run out of this .git directory, which is open, and that the web user could have written."""
    found: list[str] = []
    loose = theirs(directory, os.fstat(directory))
    for name in ("config", "config.worktree"):
        found += _git_file(directory, name, theirs, loose)
    for name in ("commondir", "objects/info/alternates"):
        try:
            handle = open_below(directory, name)
        except OSError:  # most have neither
            continue
        os.close(handle)
        if loose and name == "commondir":
            found.append(name)
    found += _git_hooks(directory, theirs, loose)
    return found + _git_modules(directory, theirs, loose)


def _git_file(directory: int, name: str, theirs: Theirs, loose: bool) -> list[str]:
    try:
        handle = open_below(directory, name)
    except FileNotFoundError:
        return []
    except OSError as problem:
        return [f"{name}: {problem.strerror}"] if loose else []
    try:
        if not loose and not theirs(handle, os.fstat(handle)):
            return []
        text, whole = _text(handle)
    finally:
        os.close(handle)
    names = git_settings(text.decode("utf-8", "replace"))
    return [*names, *([] if whole else [f"{name}, which is too long"])]


def _git_hooks(directory: int, theirs: Theirs, loose: bool) -> list[str]:
    try:
        hooks = open_below(directory, "hooks", os.O_DIRECTORY)
    except OSError as problem:
        return [] if isinstance(problem, FileNotFoundError) or not loose else [f"hooks: {problem.strerror}"]
    found = []
    try:
        loose = loose or theirs(hooks, os.fstat(hooks))
        with os.scandir(hooks) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                active = stat.S_ISLNK(status.st_mode) or status.st_mode & 0o111 and stat.S_ISREG(status.st_mode)
                path = f"/proc/self/fd/{hooks}/{entry.name}"
                if active and not entry.name.endswith(".sample") and (loose or theirs(path, status)):
                    found.append(f"hooks/{entry.name}")
    finally:
        os.close(hooks)
    return sorted(found)[:20]


def _git_modules(directory: int, theirs: Theirs, loose: bool, levels: int = 4) -> list[str]:
    """Git enters submodules by itself."""
    try:
        modules = open_below(directory, "modules", os.O_DIRECTORY)
    except OSError:
        return []
    if not levels:
        os.close(modules)
        return ["modules, which are nested too deep"]
    found: list[str] = []
    try:
        loose = loose or theirs(modules, os.fstat(modules))
        with os.scandir(modules) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        for name in sorted(names)[:200]:
            try:
                handle = os.open(name, _NOT_FOLLOWED | os.O_DIRECTORY, dir_fd=modules)
            except OSError:  # it went meanwhile
                continue
            try:
                insider = [*_git_file(handle, "config", theirs, loose), *_git_hooks(handle, theirs, loose)]
                found += [f"modules/{name}: {one}" for one in insider]
                found += _git_modules(handle, theirs, loose, levels - 1)
            finally:
                os.close(handle)
    finally:
        os.close(modules)
    return found


_INDEX = 64 << 20  # bytes
_TRACKED = 200_000  # files


def tracked(top: int) -> dict[str, bytes]:
    """The checksum of each file of the project in Git's index, read as data. A writer of .git may have forged it."""
    try:
        handle = open_below(top, ".git/index")
    except OSError:  # most have none
        return {}
    with os.fdopen(handle, "rb") as file:
        text = file.read(_INDEX)
    try:
        return dict(itertools.islice(_index(text), _TRACKED))
    except (struct.error, ValueError, IndexError):  # not whole, or of a kind that is not known
        return {}


def _index(text: bytes) -> Iterator[tuple[str, bytes]]:
    mark, version, count = struct.unpack_from(">4sII", text)
    if mark != b"DIRC" or version not in (2, 3, 4):
        raise ValueError("no index")
    at, name = 12, b""
    for _entry in range(count):
        start = at
        (flags,) = struct.unpack_from(">H", text, start + 60)
        at += 64 if flags & 0x4000 else 62
        if version == 4:
            left, at = _length(text, at)
            end = text.index(b"\0", at)
            name = name[: len(name) - left] + text[at:end]
            at = end + 1
        else:
            end = text.index(b"\0", at)
            name = text[at:end]
            at = start + (end - start + 8) // 8 * 8
        yield os.fsdecode(name), text[start + 40 : start + 60]


def _length(text: bytes, at: int) -> tuple[int, int]:
    value = text[at] & 0x7F
    while text[at] & 0x80:
        at += 1
        value = (value + 1) << 7 | text[at] & 0x7F
    return value, at + 1


def blob(handle: int) -> bytes:
    """The checksum that Git gives a file; empty for what cannot be compared."""
    import hashlib  # as above

    digest = hashlib.sha1(b"blob %d\0" % os.fstat(handle).st_size)
    return digest.digest() if _read(handle, digest) else b""


# --------------------------------------------------------------------------------------- a history of its own

OWN = ("public/plugin", "public/themes")
PLUGINS = 500
_ENOUGH = 3  # files: fewer have no history
_MARKS = frozenset({"composer.json", "plugin.php", "package.json", "readme.md", ".git"})


def own_directory(path: str) -> str:
    """The directory of the plugin or theme a file belongs to; empty where it is part of none."""
    for place in OWN:
        if path.startswith(f"{place}/"):
            name, slash, _rest = path[len(place) + 1 :].partition("/")
            return f"{place}/{name}" if slash else ""
    return ""


def own_history(top: int, directory: str) -> Release:
    """When a plugin or theme was installed, if at once and with its own metadata; else ``NOT_THERE``."""
    found: list[os.stat_result] = []
    try:
        handle = open_below(top, directory, os.O_DIRECTORY)
    except OSError:
        return NOT_THERE
    try:
        marked = any(name.lower() in _MARKS for name in os.listdir(handle))
    finally:
        os.close(handle)
    _sample(top, directory, found, _FILES)
    if not marked or len(found) < _ENOUGH:
        return NOT_THERE
    changed = sorted(status.st_ctime for status in found)
    written = sorted(status.st_mtime for status in found)
    middle = len(found) // 2
    return Release(changed[middle] + LAID, written[middle] + LAID, True)


# ------------------------------------------------------------------------------------------------------ lists


LISTS = ("integrity-*.json", "release-*.json")  # below what the collection keeps


class Lists:
    """Checksums that root alone could write down, read when they are first asked for."""

    def __init__(self, root: str, paths: Sequence[str]) -> None:
        self._root = os.path.realpath(root)
        self._paths = paths
        self._known: list[Mapping[str, str]] | None = None
        self._release: Mapping[str, str] = {}
        self.own_directories: frozenset[str] = frozenset()  # the plugins and themes of the release

    def _inspect(self) -> list[Mapping[str, str]]:
        if self._known is None:
            self._known = []
            for path in self._paths:
                files = self._read(path)
                if os.path.basename(path).startswith("release-"):
                    if not files or unlike(self._root, files):  # the portal was updated since
                        continue
                    self._release = files
                    self.own_directories = frozenset(filter(None, map(own_directory, files)))
                self._known.append(files)
        return self._known

    def __bool__(self) -> bool:
        """Whether there is one of this tree."""
        return any(self._inspect())

    @property
    def release(self) -> Mapping[str, str]:
        """The files of the release's own package, where an administrator named it."""
        self._inspect()
        return self._release

    def vouch(self, path: str, handle: int) -> bool:
        desired = {known[path].partition(" ")[0] for known in self._inspect() if path in known}
        return bool(desired) and checksum(handle) in desired

    def _read(self, path: str) -> Mapping[str, str]:
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as stream:
                known = json.load(stream)
            files: Mapping[str, str] = known["files"]
            return files if os.path.realpath(known["root"]) == self._root else {}
        except (OSError, ValueError, KeyError, TypeError):  # a list that cannot be read vouches for nothing
            return {}


# -------------------------------------------------------------------------------------------- the release's package

_ASKED, _OTHER = 300, 0.1  # files of a package that are compared at once, and the part that an attacker does not change


def unlike(root: str, files: Mapping[str, str]) -> str:
    """Why a package is of another release than the one that is there; empty where it is of the same."""
    names = sorted(path for path in files if path.startswith(tuple(f"{part}/" for part in _SAMPLED)))
    asked = names[:: len(names) // _ASKED + 1]
    differ = 0
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for path in asked:
            try:
                handle = open_below(top, path)
            except OSError:  # gone, or a link
                differ += 1
                continue
            try:
                differ += checksum(handle) != files[path]
            finally:
                os.close(handle)
    finally:
        os.close(top)
    return f"{differ} of {len(asked)} files differ from it" if differ > len(asked) * _OTHER else ""


def listed(path: str) -> Mapping[str, str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            known: Mapping[str, str] = json.load(stream)["files"]
            return known
    except (OSError, ValueError, KeyError, TypeError):  # it is made again
        return {}
