# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""The files of a new release: its package, or a directory in which it was built, laid over a copy of the program."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import restic
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import package
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.policy import GIT, GIT_MODE
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.tree import open_trusted
from ansible_collections.chamilo.hardening.plugins.module_utils._portal import release
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Tree

_METADATA = "UPDATE-METADATA.json"  # of the application's own updater: which files are no part of the release any more
# The portal's own, as the application's updater leaves them; of the last one this is no part of a portal.
_OWN = (
    ".env",
    ".env.local",
    ".env.local.php",
    ".git",
    "node_modules",
    "var",
    "public/courses",
    "public/upload",
    _METADATA,
)
_HISTORY = GIT  # goes to a portal that is a checkout of Git itself, whole
_WHOLE = ("src", "vendor", "public/main", "public/build")  # nothing of an older release stays in them
_NAMING = (release.OWN, release.INSTALLER, "composer.json")
_MIGRATION = re.compile(r"src/CoreBundle/Migrations/Schema/\w+/(Version\d+)\.php")
_LARGEST = 1 << 20  # bytes of a file that is read whole


class PackageError(HardeningError):
    """Files that are no release of Chamilo, or cannot be installed; the message states why."""


class Package:
    """``path``: a zip or tar file, or a directory. ``web_user``: who must not have written it.

    ``checkout``: whether the portal is a checkout of Git, which takes over the history of a directory that is one, too.
    """

    def __init__(self, path: str, web_user: str, checkout: bool = False) -> None:
        self.path = os.path.realpath(path)
        self._web_user = pwd.getpwnam(web_user).pw_uid
        self.is_archive = not os.path.isdir(self.path)
        git = f"{self.path}/{_HISTORY}"
        self.history = checkout and os.path.isdir(git) and not os.path.islink(git)
        self.size = sum(status.st_size for _path, status in self._trusted(git)) if self.history else 0
        self.names: set[str] = set()
        heads: dict[str, bytes] = {}
        for name, content in self._raw():
            self.names.add(name)
            if name.endswith((*_NAMING, _METADATA)):
                heads[name] = content.read(_LARGEST)
            self.size += len(heads.get(name, b"")) + _length(content)
        self._top = package.top_of(self.path, self.names)
        self.names = {name[len(self._top) :] for name in self.names if name.startswith(self._top)}
        self.version = _version({name[len(self._top) :]: text for name, text in heads.items()}, web_user)
        self.gone = _gone(heads.get(f"{self._top}{_METADATA}", b""))

    @property
    def parts(self) -> list[str]:
        """The names at the top of the project directory that are laid."""
        parts = {name.partition("/")[0] for name in self.names if not _own(name)}
        return sorted(parts | ({_HISTORY} if self.history else set()))

    def migrations(self, root: str) -> list[str]:
        """Those that it brings to the program there, each by the name of its class."""
        listed = ((name, _MIGRATION.fullmatch(name)) for name in sorted(self.names))
        return [found[1] for name, found in listed if found and not os.path.lexists(f"{root}/{name}")]

    def whole(self, path: str) -> bool:
        """Whether nothing of what is there now stays in this directory."""
        if path == _HISTORY:
            return self.history
        return path in _WHOLE and any(name.startswith(f"{path}/") for name in self.names)

    def lay(self, target: str, owner: tuple[int, int] = (0, 0)) -> None:
        """Put the files of the release in place of those of the one before. No other account may write there yet."""
        for path in filter(self.whole, (*_WHOLE, _HISTORY)):
            _way(target, path)
            restic.on_tree("rm", "-rf", "--", f"{target}/{path}")
        for path in self.gone:
            _way(target, path)
            restic.on_tree("rm", "-rf", "--", f"{target}/{path}")
        made: set[str] = set()
        for raw, content in self._raw():
            name = raw[len(self._top) :]
            if not raw.startswith(self._top) or not name or _own(name):
                continue
            directory = os.path.dirname(name)
            if directory not in made:
                _way(target, name, owner)
                made.add(directory)
            path = f"{target}/{name}"
            if os.path.isdir(path) and not os.path.islink(path):
                raise PackageError(f"{path} is a directory, and a file in {self.path}. Nothing was changed.")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as file:
                shutil.copyfileobj(content, file)
                os.fchown(handle, *owner)
                os.fchmod(handle, 0o644)
        if self.history:
            restic.on_tree("cp", "-a", "--reflink=auto", "--", f"{self.path}/{_HISTORY}", f"{target}/{_HISTORY}")
            restic.on_tree("chown", "-hR", "{}:{}".format(*owner), "--", f"{target}/{_HISTORY}")
            os.chmod(f"{target}/{_HISTORY}", GIT_MODE)

    def _raw(self) -> Iterator[tuple[str, IO[bytes]]]:
        """Every file, by the name that it has there."""
        if not self.is_archive:
            yield from self._directory()
            return
        with open(self.path, "rb") as stream:
            for raw, content in package.members(stream):
                name = raw.removeprefix("./")
                if name.startswith("/") or "\0" in name or {"", ".", ".."} & set(name.split("/")):
                    raise PackageError(f"{self.path} has {ascii(raw)}, which leads elsewhere. Nothing was changed.")
                yield name, content

    def _directory(self) -> Iterator[tuple[str, IO[bytes]]]:
        os.close(open_trusted(self.path))
        for path, _status in self._trusted(self.path):
            with open(path, "rb") as content:
                yield os.path.relpath(path, self.path), content

    def _trusted(self, top: str) -> Iterator[tuple[str, os.stat_result]]:
        """The files below a directory. PHP's user can write none of them, nor exchange one."""
        for directory, directories, names in os.walk(top):
            below = os.path.relpath(directory, top)
            directories[:] = sorted(
                name for name in directories if not _own(name if below == "." else f"{below}/{name}")
            )
            for path in (directory, *(os.path.join(directory, name) for name in sorted(names))):
                status = os.lstat(path)
                if stat.S_ISLNK(status.st_mode):  # those of vendor/bin are for who develops
                    continue
                if status.st_uid == self._web_user or status.st_mode & 0o002:
                    raise PackageError(
                        f"{path} can be written by PHP's user, or by any. Have another user build the release: "
                        f"chown -R root:root {self.path} && chmod -R o-w {self.path}"
                    )
                if stat.S_ISREG(status.st_mode):
                    yield path, status


def _own(name: str) -> bool:
    return any(name == own or name.startswith(f"{own}/") for own in _OWN)


def _length(content: IO[bytes]) -> int:
    length = 0
    while part := content.read(1 << 20):
        length += len(part)
    return length


def _version(heads: dict[str, bytes], web_user: str) -> str:
    """As the portal is read, once the files are there."""
    with tempfile.TemporaryDirectory() as directory:
        for name in _NAMING:
            if name in heads:
                os.makedirs(os.path.dirname(f"{directory}/{name}"), exist_ok=True)
                with open(f"{directory}/{name}", "wb") as file:
                    file.write(heads[name])
        return release.installed(Tree(), directory, web_user).version


def _gone(text: bytes) -> list[str]:
    """The files that the release no longer has, by its own list for the application's updater."""
    if not text:
        return []
    try:
        known: Any = json.loads(text)
        paths = known["remove"] if known["format"] == 1 else None
    except (ValueError, TypeError, KeyError, RecursionError):
        paths = None
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise PackageError(f"{_METADATA} of the package has another form than is known. Nothing was changed.")
    wrong = [path for path in paths if {"", ".", ".."} & set(path.split("/")) or "\0" in path or _own(path)]
    if wrong:
        raise PackageError(
            f"{_METADATA} removes {ascii(wrong[0])}, which is none of the release's. Nothing was changed."
        )
    return paths


def _way(target: str, name: str, owner: tuple[int, int] | None = None) -> None:
    """Make the directories above a file, or see that none of those that are there leads elsewhere."""
    path = target
    for part in name.split("/")[:-1]:
        path = f"{path}/{part}"
        if os.path.islink(path):
            raise PackageError(f"{path} is a link, so the release cannot be laid there. Nothing was changed.")
        if owner and not os.path.lexists(path):
            os.mkdir(path)
            os.chown(path, *owner)
            os.chmod(path, 0o755)
