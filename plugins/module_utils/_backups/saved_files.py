# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a portal that a backup saves: its directory, and what trusted links in it lead to."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from .._common.paths import DIRECTORY
from .._common.sentences import first_of
from . import restic
from .portal import BackupError, Portal, path_of
from .restic import Repository, Snapshot


def saved_root(portal: Portal, place: Repository, files: Snapshot) -> str:
    """Where the portal lay when it was saved. Since then a link may lead elsewhere, as to a new release."""
    known = [path for path in files.paths if path != path_of(portal.site)]
    if portal.directory in known or not known:
        return portal.directory
    if len(known) == 1:
        return known[0]
    marks = {f"{path}/{name}": path for path in known for name in ("bin/console", "var")}
    found = [marks[node["path"]] for node in place.nodes(files.id) if node["path"] in marks]
    roots = [path for path in known if found.count(path) == 2]
    if len(roots) == 1:
        return roots[0]
    raise BackupError(
        f"Which of these in snapshot {files.id} is the portal's directory is unknown: {', '.join(known)}."
    )


SKIPPED = ("var/cache/*", "node_modules", ".git")  # made anew, or from where the program is from
ELSEWHERE = "web server, PHP, certificates and their keys, which the playbook harden makes or is given"
# Below the portal's directory. Links are not searched there: the content comes from elsewhere, or is not saved.
_MADE_ANEW = ("var/cache", "vendor", "node_modules", ".git")
_OF_THE_KERNEL = ("/proc/", "/sys/", "/dev/")
# Directories of the host's own; those with mixed content match only as a whole: some may be the portal's.
_OF_THE_HOST = re.compile(
    r"/(?:(?:bin|boot|etc|lib\w*|root|run|sbin|usr)(?:/|$)|(?:home(?:/[^/]+)?|media|mnt|opt|srv|tmp)?$"
    r"|var(?:/(?:backups|cache|crash|lib|local|lock|log|mail|opt|run|spool|tmp|www))?$"
    r"|var/(?:backups|cache|crash|lib|lock|log|mail|run|spool)/)"
)
_NAMED = 5  # links
_ANYTHING = os.O_PATH  # also a FIFO, which then does not make us wait


def contents(portal: Portal) -> list[str]:
    """What is saved: the portal's directory, what links inside it lead to, and how it is backed up."""
    linked = {target for _link, target in links(portal) if target}
    # What lies in one of these is not named again: restic knows by the paths which snapshot came before.
    found = {path for path in linked if linked.isdisjoint(map(str, PurePosixPath(path).parents))} | {portal.directory}
    if os.path.exists(path_of(portal.site)):
        found.add(path_of(portal.site))
    return sorted(found)


def strange_links(portal: Portal) -> list[str]:
    """Why what a link leads to is not saved; of many the first ones, so that they hide nothing else."""
    strange = [ascii(link)[1:-1] for link, target in links(portal) if not target]
    lines = [
        f"{link} is not followed: {portal.web_user} could have laid it, or moved it there, and its target is not "
        f"the portal's own. If it is right, give the target to {portal.web_user}, or link and directory to root "
        "(chown -h)."
        for link in strange[:_NAMED]
    ]
    return lines + ([f"The same goes for {len(strange) - _NAMED} more links."] if len(strange) > _NAMED else [])


def links(portal: Portal) -> Iterator[tuple[str, str]]:
    """Links that lead out of the portal's directory, and their targets; none where the web user must not choose it.

    The web user could have the whole host saved, or endless data. It may exchange its directories during the search:
    their entries, and the target of a link, are read through open descriptors. Links in the targets count as well. A
    link is followed to data that the web user can change, which is the portal's; and, where root made it and the web
    user cannot have moved it, to anything except the host's own directories.
    """
    root = portal.directory
    web, groups = -1, frozenset[int]()
    with contextlib.suppress(KeyError):
        account = pwd.getpwnam(portal.web_user)
        web, groups = account.pw_uid, frozenset(os.getgrouplist(portal.web_user, account.pw_gid))
    seen = {f"{root}/{name}" for name in _MADE_ANEW}
    directories = [root]
    while directories:
        directory = directories.pop()
        if directory in seen:
            continue
        seen.add(directory)
        # What cannot be listed, because its path is too long or it is a file, has no links for restic either.
        with contextlib.suppress(OSError), _opened(directory, DIRECTORY) as (handle, real):
            here = os.fstat(handle)
            for entry in list(os.scandir(handle)) if real == directory else ():
                if entry.is_dir(follow_symlinks=False):
                    directories.append(os.path.join(directory, entry.name))
                elif entry.is_symlink():
                    # Many lead nowhere, or to a link to a link and so on.
                    with contextlib.suppress(OSError), _opened(entry.name, _ANYTHING, handle) as (there, target):
                        found = os.fstat(there)
                        data = stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)
                        if not data or f"{target}/".startswith(f"{root}/"):
                            continue
                        laid = entry.stat(follow_symlinks=False).st_uid
                        own = found.st_gid in groups and laid != web
                        moved = here.st_uid == web or here.st_gid in groups and here.st_mode & 0o020
                        apart = laid != web and not (moved or here.st_mode & 0o002) and not _OF_THE_HOST.match(target)
                        followed = found.st_uid == web or own or apart
                        if followed and target.startswith(_OF_THE_KERNEL):  # a process of its own
                            continue
                        yield os.path.join(directory, entry.name), target if followed else ""
                        if followed:
                            directories.append(target)


@contextlib.contextmanager
def _opened(path: str, flags: int, directory: int | None = None) -> Iterator[tuple[int, str]]:
    """The descriptor of a path, in an open directory where one is given, and where what is open lies."""
    handle = os.open(path, flags, dir_fd=directory)
    try:
        yield handle, os.readlink(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


def save(place: Repository, tags: Sequence[str]) -> dict[str, Any]:
    root = place.portal.directory
    if not os.path.isdir(f"{root}/var"):
        raise BackupError(f"{root}/var is not there, so there is nothing to back up.")
    skipped = [f"--exclude={root}/{name}" for name in SKIPPED]
    with tempfile.NamedTemporaryFile() as listed:  # the web user decides how many it is, and a command line has an end
        listed.write(b"".join(os.fsencode(path) + b"\0" for path in contents(place.portal)))
        listed.flush()
        which = ["--files-from-raw", listed.name]
        reported, complaint = place.run("backup", "--json", "--quiet", *tags, *skipped, *which, accepted=(0, 3))
    # On a portal in use some are removed during the backup: those are no loss.
    missed = [path for path, _words in restic.complaints(complaint) if path and os.path.lexists(path)]
    if missed:
        raise BackupError(f"Files could not be read: {first_of(missed, 3)}.")
    summary = restic.summary(reported)
    if not summary["total_files_processed"]:
        raise BackupError(f"The backup of {root} is empty.")
    return summary
