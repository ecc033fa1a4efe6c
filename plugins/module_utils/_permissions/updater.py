# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""What Chamilo's own web updater (since 3.0) has downloaded and unpacked, proved before PHP may write the program.

All of it is the web user's. A package is copied first, and only what root copied is verified and read.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files as common_files
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import shown
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import package, signature, vouch
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.tree import open_trusted
from ansible_collections.chamilo.hardening.plugins.module_utils._portal import dotenv, release
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Tree

DOWNLOADS, STAGED = "var/update/downloads", "var/update/staging"
_USED = ("STAGING-INFO.json", "APPLY-PLAN.json")  # it takes nothing from a directory that has neither
_NOTE = re.compile(r"[A-Z]+(?:-[A-Z]+)*\.json")  # what it notes about a release, beside it
_LARGEST = 2 << 30  # bytes of a package
_SIGNATURE = ".minisig"


class UpdaterError(HardeningError):
    """What the web updater would lay is not what Chamilo's maintainers signed; the message states why."""


@dataclass(frozen=True)
class Signed:
    """A package that was verified. ``files``: the checksum of each, by the path at which it is unpacked."""

    name: str
    comment: str
    files: Mapping[str, str]


def prove(root: str, web_user: str) -> list[str]:
    """What the web updater would lay, as sentences. Nothing where the portal has none."""
    if not os.path.lexists(os.path.join(root, release.OWN)):
        return []
    tree, real = Tree(), os.path.realpath(root)
    environment = dotenv.read(tree, real, web_user=web_user)  # what root set in PHP's pool is for the audit
    if not environment.files and tree.exists(f"{real}/.env"):  # before the installation there is none
        raise UpdaterError(" ".join(environment.problems))
    source = release.takes_unsigned(environment.visible, environment.sources)
    if source:
        raise UpdaterError(
            f"{source}: with it the web updater takes any package, without a signature. Remove the line, and update "
            f"through the browser then."
        )
    top = open_trusted(root)
    try:
        names = [name for name in _names(top, DOWNLOADS) if not name.endswith(_SIGNATURE)]
        packages = [_verified(top, name) for name in names]
        lines = [f"{shown(one.name)} is signed: {shown(one.comment)}." for one in packages]
        for name in _names(top, STAGED):
            if any(_there(top, f"{STAGED}/{name}/{note}") for note in _USED):
                lines.append(f"{shown(f'{STAGED}/{name}')} is what {_unpacked(top, name, packages)} contains.")
    except OSError as problem:
        raise UpdaterError(f"{shown(root)}/var/update cannot be read: {problem.strerror}.") from problem
    finally:
        os.close(top)
    return lines


def _verified(top: int, name: str) -> Signed:
    path = f"{DOWNLOADS}/{name}"
    if not _there(top, f"{path}{_SIGNATURE}"):
        raise UpdaterError(
            f"{shown(path)} has no signature beside it. Have the web updater download both again, or remove it."
        )
    with tempfile.TemporaryDirectory(dir=common_files.STATE) as directory:
        for one in (path, f"{path}{_SIGNATURE}"):
            with open(vouch.open_below(top, one), "rb") as given:
                status = os.fstat(given.fileno())
                if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
                    raise UpdaterError(f"{shown(one)} is no package of a release. Remove it.")
                with open(os.path.join(directory, os.path.basename(one)), "wb") as copied:
                    shutil.copyfileobj(given, copied)
        copy = os.path.join(directory, name)
        try:
            comment = signature.verify(copy, f"{copy}{_SIGNATURE}", signature.OFFICIAL)
            with open(copy, "rb") as stream:
                return Signed(path, comment, package.checksums(copy, stream))
        except (signature.SignatureError, package.ArchiveError) as problem:
            raise UpdaterError(f"{str(problem).replace(copy, shown(path))}") from problem


def _unpacked(top: int, name: str, packages: Sequence[Signed]) -> str:
    """The package that a directory contains, file by file, and nothing else."""
    within = f"{STAGED}/{name}"
    fitting, counted, last = list(packages), 0, ""
    for path, digest in _files(top, within):
        if _NOTE.fullmatch(path) and not any(path in one.files for one in packages):
            continue
        fitting = [one for one in fitting if one.files.get(path) == digest]
        counted, last = counted + 1, path
        if not fitting:
            break
    for one in fitting:
        if len(one.files) == counted:
            return shown(one.name)
    why = f"{last} is none of its files" if not fitting and packages else "there is no signed package of it"
    if fitting:
        why = f"files of {fitting[0].name} are missing"
    raise UpdaterError(
        f"{shown(within)} is not what a signed package in {DOWNLOADS} contains: {shown(why)}. Remove the directory, "
        f"and have the web updater unpack the release again."
    )


def _files(top: int, within: str) -> Iterator[tuple[str, str]]:
    """Each file below a directory with its checksum, which is empty for what is no plain file."""
    handle = vouch.open_below(top, within, os.O_DIRECTORY)
    try:
        for directory, directories, names, here in os.fwalk(".", dir_fd=handle, follow_symlinks=False):
            directories.sort()
            for name in sorted(names + [one for one in directories if _is_link(one, here)]):
                path = os.path.normpath(os.path.join(directory, name))
                yield path, _checksum(here, name)
    finally:
        os.close(handle)


def _is_link(name: str, directory: int) -> bool:
    return stat.S_ISLNK(os.lstat(name, dir_fd=directory).st_mode)


def _checksum(directory: int, name: str) -> str:
    try:
        handle = vouch.open_below(directory, name)
    except OSError:  # a link, or gone in between: it differs from all
        return ""
    try:
        return vouch.checksum(handle)
    finally:
        os.close(handle)


def _names(top: int, path: str) -> list[str]:
    try:
        handle = vouch.open_below(top, path, os.O_DIRECTORY)
    except FileNotFoundError:
        return []
    try:
        return sorted(os.listdir(handle))
    finally:
        os.close(handle)


def _there(top: int, path: str) -> bool:
    try:
        os.stat(path, dir_fd=top, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
