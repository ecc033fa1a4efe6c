# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""The package of a release, a zip or tar file, as a list of its files with their checksums."""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, BinaryIO

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files as common_files
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import basis, vouch

_CHUNK = 1 << 20
_ENTRIES, _UNPACKED = 500_000, 8 << 30
_KNOWN_BY = "public/index.php"


def learn(archive: str, sha256: str, root: str, state: str = "") -> Mapping[str, str]:
    """Record the contents of the release's package. Returns the checksum of each of its files, by its path."""
    real, state = os.path.realpath(root), state or common_files.STATE
    try:
        with open(archive, "rb") as stream:
            found = vouch.checksum(stream.fileno())
            if not found:
                raise vouch.ArchiveError(f"{archive} is no file, or a sparse one. Name the package of the release.")
            if sha256 and found != sha256.lower():
                raise vouch.ArchiveError(
                    f"{archive} has the sha256 {found}, not {sha256}. Nothing was compared: fetch it again."
                )
            path = os.path.join(state, f"release-{hashlib.sha256(os.fsencode(real)).hexdigest()[:16]}.json")
            known = vouch.listed(path) if basis.read(real, state).sha256 == found else {}
            files = known or _packed(archive, stream)
    except OSError as problem:
        raise vouch.ArchiveError(f"{archive} cannot be read: {problem.strerror}.") from problem
    why = vouch.unlike(real, files)
    if why:
        raise vouch.ArchiveError(
            f"{archive} is the package of another release: {why}. Name the package of the release that is there "
            "(chamilo_release_archive)."
        )
    if known:
        return known
    words = f"{os.path.basename(archive)} (sha256 {found})"
    common_files.replace_file(path, json.dumps({"root": real, "sha256": found, "files": files}, indent=0) + "\n")
    basis.compared(real, state, f"the package {words}", found)
    return files


def _packed(archive: str, stream: BinaryIO) -> dict[str, str]:
    """The checksum of each file of a package, by its path below the project directory."""
    found = checksums(archive, stream)
    top = top_of(archive, found)
    return {name[len(top) :]: value for name, value in found.items() if name.startswith(top)}


def checksums(archive: str, stream: BinaryIO) -> dict[str, str]:
    """The checksum of each file of a package, by the path at which it is unpacked."""
    found: dict[str, str] = {}
    size = 0
    try:
        for name, content in members(stream):
            digest = hashlib.sha256()
            while part := content.read(_CHUNK):
                digest.update(part)
                size += len(part)
                if size > _UNPACKED:
                    raise vouch.ArchiveError(
                        f"{archive} unpacks to more than {_UNPACKED >> 30} GB. That is no release of Chamilo."
                    )
            found[name.removeprefix("./")] = digest.hexdigest()
            if len(found) > _ENTRIES:
                raise vouch.ArchiveError(
                    f"{archive} contains more than {_ENTRIES:,} files. That is no release of Chamilo."
                )
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, RuntimeError) as problem:
        raise vouch.ArchiveError(f"{archive} is no whole zip or tar file: {problem}.") from problem
    return found


def top_of(archive: str, names: Iterable[str]) -> str:
    """What stands before the path of each file of the release, as in ``chamilo-3.0.2/public/index.php``."""
    tops = [name[: -len(_KNOWN_BY)] for name in names if name == _KNOWN_BY or name.endswith(f"/{_KNOWN_BY}")]
    if not tops:
        raise vouch.ArchiveError(f"{archive} contains no {_KNOWN_BY}. Name the package of a release of Chamilo.")
    return min(tops, key=len)


def members(stream: BinaryIO) -> Iterator[tuple[str, IO[bytes]]]:
    """The files of a zip or tar file; links are left out."""
    if zipfile.is_zipfile(stream):
        with zipfile.ZipFile(stream) as packed:
            for info in packed.infolist():
                if not info.is_dir() and not stat.S_ISLNK(info.external_attr >> 16):
                    with packed.open(info) as content:
                        yield info.filename, content
        return
    stream.seek(0)
    with tarfile.open(fileobj=stream, mode="r|*") as tar:
        for member in tar:
            if member.isfile() and (insider := tar.extractfile(member)):
                yield member.name, insider
