# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a release as its package has them: a manifest, which the controller makes and the host keeps."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from .._common import files as common_files
from .._common.errors import HardeningError

_CHUNK = 1 << 20
_AGAIN = 23 * 3600  # seconds, a little less than a day between two runs
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
