# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""The package of a release, a zip or tar file, as a manifest: the version that it names, and each file's checksum.

The controller makes the manifest, and the host keeps it: nothing else of the package is needed there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import lzma
import os
import re
import stat
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import IO, BinaryIO

from ansible_collections.chamilo.hardening.plugins.module_utils._application import release
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files as common_files
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Tree

_CHUNK = 1 << 20
_ENTRIES, _UNPACKED = 500_000, 8 << 30
_AGAIN = 23 * 3600  # seconds, a little less than a day between two runs
_SMALL = 4096  # bytes of a link
_LARGEST = 1 << 20  # bytes of a file that is read whole
_KNOWN_BY = "public/index.php"
_NAMING = (release.OWN, release.INSTALLER, "composer.json")  # what names the version
# Of a file that the web user may have made: one that has fewer blocks on the disk for its size has no end.
MOST, PACKED = 64 << 20, 16 * 512
_CHECKSUM = re.compile(r"[0-9a-f]{64}")


class ArchiveError(HardeningError):
    """The package of the release cannot be used; the message states why and what to do."""


@dataclass(frozen=True)
class Manifest:
    """``package``: its name. ``files``: the checksum of each file, by its path below the project directory.

    A link has its target instead. ``version`` is empty where no file of the package names it.
    """

    package: str
    sha256: str
    version: str
    files: Mapping[str, str]

    @property
    def words(self) -> str:
        return f"the package {self.package} (sha256 {self.sha256})"

    def text(self) -> str:
        return json.dumps(asdict(self), indent=0, sort_keys=True) + "\n"


def parse(text: str) -> Manifest:
    """A manifest as ``Manifest.text`` writes it."""
    try:
        known = json.loads(text)
        made = Manifest(*(known[name] for name in ("package", "sha256", "version", "files")))
        sound = _CHECKSUM.fullmatch(made.sha256) and made.files and isinstance(made.version, str)
        if not sound or not all(isinstance(value, str) for value in made.files.values()):
            raise ValueError("no list of files with their checksums")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise ArchiveError(f"This is no manifest of a package: {problem}.") from problem
    return made


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


def checksum(handle: int) -> str:
    """Empty for what cannot be compared, which differs from all."""
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        return ""
    digest, most, size = hashlib.sha256(), max(MOST, status.st_blocks * PACKED), 0
    while size <= most and (part := os.pread(handle, _CHUNK, size)):
        digest.update(part)
        size += len(part)
    return digest.hexdigest() if size <= most else ""


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
            found[name] = digest.hexdigest() if content else f"{common_files.LINK}{target}"
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


# ------------------------------------------------------------------------------------- what a host knows of packages


def _path(root: str, state: str) -> str:
    real = os.fsencode(os.path.realpath(root))
    return os.path.join(state or common_files.STATE, f"release-{hashlib.sha256(real).hexdigest()[:16]}.json")


def remember(manifest: Manifest, root: str, state: str = "") -> None:
    common_files.replace_file(_path(root, state), manifest.text())
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{_path(root, state)}.refused")


def known(root: str, version: str, state: str = "") -> Manifest | None:
    """The manifest of the release that a portal runs; None where the host has none, or that of another one."""
    try:
        with open(_path(root, state), encoding="utf-8", errors="surrogateescape") as stream:
            manifest = parse(stream.read())
    except (FileNotFoundError, ArchiveError):  # it is made again
        return None
    return manifest if is_of(manifest, version) else None


def is_of(manifest: Manifest, version: str) -> bool:
    """Whether a package is of this version, where both are known."""
    return not (manifest.version and version) or manifest.version == version


def refuse(problem: str, root: str, version: str, state: str = "") -> None:
    """The package cannot be had: for a day nobody asks for it again."""
    known = {"problem": problem, "version": version, "at": time.time()}
    common_files.replace_file(f"{_path(root, state)}.refused", json.dumps(known) + "\n")


def refusal(root: str, version: str, state: str = "") -> str:
    """Why the package of this version could not be had, for as long as that counts."""
    try:
        with open(f"{_path(root, state)}.refused", encoding="utf-8") as stream:
            known = json.load(stream)
        recent = known["version"] == version and 0 <= time.time() - known["at"] < _AGAIN
        return str(known["problem"]) if recent else ""
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return ""
