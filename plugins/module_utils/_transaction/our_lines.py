# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of ours in files that stay their owner's: what is remembered of them, and what of it is still there."""

from __future__ import annotations

import errno
import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypedDict

from .._common.files import Item, StateError, Tree, has_acl, must_be_file
from .._common.markers import MarkerError, sites, strip, sums
from .._common.mending import mended
from .._common.paths import of_root, open_path, open_regular

_FEW = 500  # files of a directory that are searched for one that was renamed


class Known(TypedDict):
    """What is remembered of a file, by the path it was named by."""

    file: str  # where that led
    seen: str  # what was asked for
    sha256: str  # of the whole file as it was then
    blocks: list[str]  # what stood between our marks, as checksums


def of(record: Mapping[str, Any]) -> Mapping[str, Known]:
    """The marked files of a transaction. What an older version wrote down knows of none."""
    found: Mapping[str, Known] = record.get("marked", {})
    return found


def site_of(name: str) -> str:
    """The site in the name of a transaction; empty where it is one of the host."""
    return name.partition(":")[2]


def written(root: str, sha256: str) -> bytes | None:
    """What a transaction wrote, by its checksum. None where no copy was kept, as by an older version."""
    with suppress(FileNotFoundError), open(open_regular(os.path.join(root, "written", sha256)), "rb") as stream:
        data = stream.read()
        return data if hashlib.sha256(data).hexdigest() == sha256 else None
    return None


def whole(root: str, text: str, known: Known | None, site: str) -> str:
    """The text of a file with all its blocks, whatever was done to them; as it is where no copy was kept."""
    before = written(root, known["sha256"]) if known else None
    return text if before is None else mended(text, before.decode("utf-8", "surrogateescape"), site)


def as_written(root: str, tree: Tree, path: str, known: Known) -> bool:
    """Whether a file is as it was when its marks were written, and can be mended when they are damaged."""
    try:
        if not os.path.exists(os.path.join(root, "written", known["sha256"])):
            return False
        return file_of_root(path) == known["file"] and tree.inspect(known["file"]).sha256 == known["sha256"]
    except (StateError, OSError):
        return False  # the transaction itself reports the fault


def places_of(tree: Tree, path: str, known: Known, site: str) -> list[str]:
    """Where a file is now: where it was, where its link leads, or under another name in its directory."""
    found = [known["file"]] if tree.inspect(known["file"]).is_file else []
    with suppress(StateError, OSError):
        found.append(file_of_root(path))
    if found:
        return sorted({*found})
    directory = os.path.dirname(known["file"])
    for name in sorted(os.listdir(directory))[:_FEW] if os.path.isdir(directory) else ():
        with suppress(StateError, OSError):  # it is no file of root's
            file = file_of_root(os.path.join(directory, name))
            if site in sites(text_of(tree.inspect(file))):
                found.append(file)
    return sorted({*found})


def file_of_root(path: str) -> str:
    """The file behind a path or a link of root: a regular one that only root may write."""
    try:
        handle = open_path(path, of_root)[0]
    except OSError as problem:
        if problem.errno not in (errno.ELOOP, errno.ENXIO, errno.ENOTDIR):
            raise
        raise StateError(f"{path} is not used: {problem.strerror}.") from problem
    try:
        info, real = os.fstat(handle), os.readlink(f"/proc/self/fd/{handle}")
        must_be_file(real, info)
        # An access list shows in the bits of the group.
        writers = 0o002 | (0o020 if info.st_gid not in (0, os.getegid()) or has_acl(handle) else 0)
        if info.st_uid not in (0, os.geteuid()) or info.st_mode & writers:
            raise StateError(
                f"{real} is not changed: others than root can write to it. Give it to root, if it is right: "
                f"chown root {real} && chmod go-w {real}"
            )
        return real
    finally:
        os.close(handle)


def text_of(item: Item) -> str:
    return item.data.decode("utf-8", "surrogateescape")


def lost(state: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is gone or damaged of the lines of each section in files that are their owner's, in sentences."""
    return {name: _lost(name, record) for name, record in state["records"].items()}


def _lost(name: str, record: Mapping[str, Any]) -> list[str]:
    """What is gone of our lines, or damaged. Where between the owner's lines they stand is for the owner to decide."""
    found = []
    with Tree() as tree:
        for path, known in sorted(of(record).items()):
            try:
                places = places_of(tree, path, known, site_of(name))
            except StateError as problem:
                found.append(str(problem))
                continue
            there: Counter[str] = Counter()
            damaged = []
            for file in places:
                text = text_of(tree.inspect(file))
                there |= Counter(sums(text, site_of(name)))
                try:
                    strip(text, site_of(name))
                except MarkerError as problem:
                    damaged.append(f"{file} {problem}")
            missing = Counter(known["blocks"]) - there
            found += damaged
            if not places:
                found.append(f"{known['file']} is not there any more.")
            elif missing and not damaged:
                number, total = sum(missing.values()), len(known["blocks"])
                found.append(f"{known['file']}: lines of {name} are gone, in {number} of {total} places.")
    return found
