# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package of a release, a zip or tar file: its members, and the manifest of them."""

from __future__ import annotations

import hashlib
import lzma
import os
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, BinaryIO

from .._common.files import LINK
from .._common.tree import Tree
from . import release
from .release_files import ArchiveError, Manifest, checksum

_CHUNK = 1 << 20
_ENTRIES, _UNPACKED = 500_000, 8 << 30
_SMALL = 4096  # bytes of a link
_LARGEST = 1 << 20  # bytes of a file that is read whole
_KNOWN_BY = "public/index.php"
_NAMING = (release.OWN, release.INSTALLER, "composer.json")  # what names the version
# Of a file that the web user may have made: one that has fewer blocks on the disk for its size has no end.


def read(archive: str, sha256: str = "") -> Manifest:
    """The manifest of a package. ``sha256``: the checksum that it has to have, where that is known."""
    try:
        with open(archive, "rb") as stream:
            found = checksum(stream.fileno())
            if not found:
                raise ArchiveError(f"{archive} is no file, or a sparse one. Name the package of the release.")
            if sha256 and found != sha256.lower():
                raise ArchiveError(
                    f"{archive} has the sha256 {found}, not {sha256}. Nothing was compared: fetch it again."
                )
            files, heads = _contents(archive, stream)
    except OSError as problem:
        raise ArchiveError(f"{archive} cannot be read: {problem.strerror}.") from problem
    top = top_of(archive, files)
    files = {name[len(top) :]: value for name, value in files.items() if name.startswith(top)}
    version = version_of({name[len(top) :]: text for name, text in heads.items() if name.startswith(top)})
    return Manifest(os.path.basename(archive), found, version, files)


def version_of(heads: Mapping[str, bytes]) -> str:
    """The version that the files of a package name, read as a portal's own are."""
    with tempfile.TemporaryDirectory() as directory:
        for name in _NAMING:
            if name in heads:
                os.makedirs(os.path.dirname(f"{directory}/{name}"), exist_ok=True)
                with open(f"{directory}/{name}", "wb") as file:
                    file.write(heads[name])
        return release.installed(Tree(), directory, None).version


def _contents(archive: str, stream: BinaryIO) -> tuple[dict[str, str], dict[str, bytes]]:
    """What is at each path at which the package is unpacked; and the files that name the version."""
    found: dict[str, str] = {}
    heads: dict[str, bytes] = {}
    size = 0
    try:
        for name, target, content in _entries(stream):
            digest, head = hashlib.sha256(), b""
            while content and (part := content.read(_CHUNK)):
                digest.update(part)
                head = head or part
                size += len(part)
                if size > _UNPACKED:
                    raise ArchiveError(
                        f"{archive} unpacks to more than {_UNPACKED >> 30} GB. That is no release of Chamilo."
                    )
            name = name.removeprefix("./")
            found[name] = digest.hexdigest() if content else f"{LINK}{target}"
            if name.endswith(_NAMING):
                heads[name] = head[:_LARGEST]
            if len(found) > _ENTRIES:
                raise ArchiveError(f"{archive} contains more than {_ENTRIES:,} files. That is no release of Chamilo.")
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, RuntimeError) as problem:
        raise ArchiveError(f"{archive} is no whole zip or tar file: {problem}.") from problem
    return found, heads


def top_of(archive: str, names: Iterable[str]) -> str:
    """What stands before the path of each file of the release, as in ``chamilo-3.0.2/public/index.php``."""
    tops = [name[: -len(_KNOWN_BY)] for name in names if name == _KNOWN_BY or name.endswith(f"/{_KNOWN_BY}")]
    if not tops:
        raise ArchiveError(f"{archive} contains no {_KNOWN_BY}. Name the package of a release of Chamilo.")
    return min(tops, key=len)


def members(stream: BinaryIO) -> Iterator[tuple[str, IO[bytes]]]:
    """The files of a zip or tar file; links are left out."""
    for name, _target, content in _entries(stream):
        if content:
            yield name, content


def _entries(stream: BinaryIO) -> Iterator[tuple[str, str, IO[bytes] | None]]:
    """Each file with its content, and each link with its target."""
    if zipfile.is_zipfile(stream):
        with zipfile.ZipFile(stream) as packed:
            for info in packed.infolist():
                if info.is_dir():
                    continue
                with packed.open(info) as content:
                    if stat.S_ISLNK(info.external_attr >> 16):
                        yield info.filename, os.fsdecode(content.read(_SMALL)), None
                    else:
                        yield info.filename, "", content
        return
    stream.seek(0)
    with tarfile.open(fileobj=stream, mode="r|*") as tar:
        for member in tar:
            if member.issym():
                yield member.name, member.linkname, None
            elif member.isfile() and (insider := tar.extractfile(member)):
                yield member.name, "", insider
