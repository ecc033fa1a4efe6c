# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package of a new release, laid over a copy of the program."""

from __future__ import annotations

import contextlib
import os
import re
import shutil

from .._application import package, release_files
from .._backups import restic
from .._common.errors import HardeningError
from .._common.files import LINK

# The portal's own; of the last one this is no part of a portal.
_OWN = (
    *(".env", ".env.local", ".env.local.php", ".git", "node_modules", "var", "public/courses", "public/upload"),
    "UPDATE-METADATA.json",
)
_WHOLE = ("src", "vendor", "public/main", "public/build")  # nothing of an older release stays in them
_MIGRATION = re.compile(r"src/CoreBundle/Migrations/Schema/\w+/(Version\d+)\.php")


class PackageError(HardeningError):
    """Files that are no release of Chamilo, or cannot be installed; the message states why."""


class Package:
    """``path``: a zip or tar file. ``sha256``: its checksum, from the page of the release."""

    def __init__(self, path: str, sha256: str) -> None:
        self.path = os.path.realpath(path)
        self.manifest = package.read(self.path, sha256)
        self.version = self.manifest.version
        files = self.manifest.files
        self.names = {name for name in files if not files[name].startswith(LINK) and not _own(name)}
        for name in self.names:
            if "\0" in name or {"", ".", ".."} & set(name.split("/")):
                raise PackageError(f"{self.path} has {ascii(name)}, which leads elsewhere. Nothing was changed.")

    @property
    def parts(self) -> list[str]:
        """The names at the top of the project directory that are laid."""
        return sorted({name.partition("/")[0] for name in self.names})

    def migrations(self, root: str) -> list[str]:
        """Those that it brings to the program there, each by the name of its class."""
        listed = ((name, _MIGRATION.fullmatch(name)) for name in sorted(self.names))
        return [found[1] for name, found in listed if found and not os.path.lexists(f"{root}/{name}")]

    def whole(self, path: str) -> bool:
        """Whether nothing of what is there now stays in this directory."""
        return path in _WHOLE and any(name.startswith(f"{path}/") for name in self.names)

    def lay(self, target: str, owner: tuple[int, int], before: release_files.Manifest | None = None) -> None:
        """Put the files of the release in place of those of the one before. No other account may write there yet.

        ``before``: the package of that one, where it is known: what it alone has goes, unless its owner changed it.
        """
        for path in filter(self.whole, _WHOLE):
            _way(target, path)
            restic.on_tree("rm", "-rf", "--", f"{target}/{path}")
        for name, checksum in before.files.items() if before else ():
            if name not in self.manifest.files and not _own(name) and _checksum(f"{target}/{name}") == checksum:
                os.unlink(f"{target}/{name}")
        made: set[str] = set()
        with open(self.path, "rb") as stream:
            top = package.top_of(self.path, [name.removeprefix("./") for name, _content in package.members(stream)])
            for raw, content in package.members(stream):
                name = raw.removeprefix("./")[len(top) :]
                if name not in self.names or not raw.removeprefix("./").startswith(top):
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


def _own(name: str) -> bool:
    return any(name == own or name.startswith(f"{own}/") for own in _OWN)


def _checksum(path: str) -> str:
    """Empty for what is no file, or is behind a link."""
    if os.path.realpath(path) != path:
        return ""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        return release_files.checksum(handle)
    finally:
        os.close(handle)


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
