# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""The files of a portal that a backup saves: its directory, what trusted links in it lead to, and its certificate."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shlex
import stat
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from .._application.discovery import discover
from .._common.errors import HardeningError
from .._common.sentences import first_of
from . import restic
from .portal import BackupError, Portal, path_of
from .restic import Repository, Snapshot


def below(path: str, directory: str) -> bool:
    return f"{path}/".startswith(f"{directory.rstrip('/')}/")


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
ELSEWHERE = "the configuration of web server, PHP and MariaDB, of which the playbook harden makes its part"
# Below the portal's directory. Links are not searched there: the content comes from elsewhere, or is not saved.
_MADE_ANEW = ("var/cache", "vendor", "node_modules", ".git")
_OF_THE_KERNEL = ("/proc/", "/sys/", "/dev/")
# Directories of the host's own; those with mixed content match only as a whole: some may be the portal's.
_OF_THE_HOST = re.compile(
    r"/(?:(?:bin|boot|etc|lib\w*|root|run|sbin|usr)(?:/|$)|(?:home(?:/[^/]+)?|media|mnt|opt|srv|tmp)?$"
    r"|var(?:/(?:backups|cache|crash|lib|local|lock|log|mail|opt|run|spool|tmp|www))?$"
    r"|var/(?:backups|cache|crash|lib|lock|log|mail|run|spool)/)"
)
_NAMED = 5  # links, files
_SMALL, _EMPTY, _HOLES = 1 << 20, 20, 64 << 30  # bytes; how many times its data a file claims; bytes of all such files
_EXCLUDED = 500  # files: the largest of them
_LONGEST = 20 * 3600.0  # seconds
_FOUND = "%T@/%s/%b/"  # when it was changed, the bytes it claims, the blocks it has


@dataclass
class Chosen:
    """What a backup saves, and what of that it leaves out."""

    paths: list[str]
    problems: list[str] = field(default_factory=list)  # in sentences
    hollow: list[str] = field(default_factory=list)  # files that are left out
    sizes: Counter[int] = field(default_factory=Counter)  # bytes of files, by the hour in which they were changed

    def since(self, moment: float) -> int:
        return sum(size for hour, size in self.sizes.items() if (hour + 1) * 3600 > moment)


def chosen(portal: Portal) -> Chosen:
    made = Chosen(contents(portal))
    try:
        served = discover(portal.domain, portal.root).served
        pair = {served.file, served.key} - {""}
        made.paths += sorted(path for path in pair | {*map(os.path.realpath, pair)} if os.path.isfile(path))
    except (HardeningError, OSError) as problem:
        made.problems.append(f"Which certificate is the portal's is unknown, so it is not saved: {problem}")
    _measure(made, portal)
    return made


def contents(portal: Portal) -> list[str]:
    """The portal's directory, what links inside it lead to, and how it is backed up."""
    linked = {target for _link, target in links(portal) if target}
    # What lies in one of these is not named again: restic knows by the paths which snapshot came before.
    found = {path for path in linked if linked.isdisjoint(map(str, PurePosixPath(path).parents))} | {portal.directory}
    if os.path.exists(path_of(portal.site)):
        found.add(path_of(portal.site))
    return sorted(found)


def _measure(made: Chosen, portal: Portal) -> None:
    """Sum up what there is, and leave out files that are nothing but holes, where these are too much to read.

    Data ends with the disk. By holes the web user may claim terabytes, and keep a backup busy for days.
    """
    root = restic.literal(portal.directory)
    pruned = [word for name in SKIPPED for word in ("-path", f"{root}/{name}", "-prune", "-o")]
    found = f"-type f ( -size +{_SMALL // 512} -printf {_FOUND}%p\\0 -o -printf {_FOUND}\\0 )".split()
    script = f'find "$@" {shlex.join([*pruned, *found])}'
    empty: list[tuple[int, str]] = []
    with _listing(made.paths) as listed, tempfile.TemporaryFile() as output:
        command = ["xargs", "-0", f"--arg-file={listed}", "sh", "-c", script, "find"]
        done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, env=restic.environment(), check=False)
        if done.returncode not in (0, 123):  # 123: some was gone by then; what cannot be read is named by restic
            raise BackupError(f"find failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
        output.seek(0)
        for entry in filter(None, output.read().split(b"\0")):
            changed, size, blocks, path = os.fsdecode(entry).split("/", 3)
            made.sizes[int(float(changed)) // 3600] += int(blocks) * 512
            if path and int(size) > _EMPTY * int(blocks) * 512:
                empty.append((int(size), path))
    total = 0
    for claimed, path in sorted(empty):
        total += claimed
        if total > _HOLES:
            made.hollow.append(path)
    if made.hollow:
        named = first_of([ascii(path)[1:-1] for path in made.hollow], _NAMED)
        made.problems.append(f"Left out, because they are nearly nothing but holes and too large: {named}.")


@contextlib.contextmanager
def _listing(paths: Sequence[str]) -> Iterator[str]:
    """A file with the paths: the web user decides how many it is, and a command line has an end."""
    with tempfile.NamedTemporaryFile() as listed:
        listed.write(b"".join(os.fsencode(path) + b"\0" for path in paths))
        listed.flush()
        yield listed.name


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

    The web user could have the whole host saved, or endless data. Links in the targets count as well. A link is
    followed to data that the web user can change, which is the portal's; and, where root made it and the web user can
    move nothing on the way to it, to anything except the host's own directories.
    """
    root = portal.directory
    web, groups = -1, frozenset[int]()
    with contextlib.suppress(KeyError):
        account = pwd.getpwnam(portal.web_user)
        web, groups = account.pw_uid, frozenset(os.getgrouplist(portal.web_user, account.pw_gid))
    seen: set[str] = set()
    directories = [root]
    while directories:
        directory = directories.pop()
        for link in _links_below(directory, root):
            if link in seen:
                continue
            seen.add(link)
            with contextlib.suppress(OSError):  # gone by now, too deep to be named, or leading nowhere
                target = os.path.realpath(link)
                there, laid = os.lstat(target), os.lstat(link).st_uid
                data = stat.S_ISDIR(there.st_mode) or stat.S_ISREG(there.st_mode)
                if not data or f"{target}/".startswith(f"{root}/"):
                    continue
                followed = there.st_uid == web or there.st_gid in groups and laid != web
                if followed and target.startswith(_OF_THE_KERNEL):  # a process of its own
                    continue
                ways = [os.lstat(way) for way in PurePosixPath(link).parents if below(str(way), directory)]
                moved = [way for way in ways if way.st_uid == web or way.st_gid in groups and way.st_mode & 0o020]
                shared = [way for way in ways if way.st_mode & 0o002 or stat.S_ISLNK(way.st_mode)]
                followed |= laid != web and not (moved or shared) and not _OF_THE_HOST.match(target)
                yield link, target if followed else ""
                if followed:
                    directories.append(target)


def _links_below(directory: str, root: str) -> list[str]:
    """Of what cannot be listed, because its path is too long or it is a file, restic knows no link either."""
    pruned = [word for name in _MADE_ANEW for word in ("-path", f"{restic.literal(root)}/{name}", "-prune", "-o")]
    command = ["find", directory, *pruned, "-type", "l", "-print0"]
    done = subprocess.run(command, capture_output=True, env=restic.environment(), check=False)
    return [os.fsdecode(link) for link in done.stdout.split(b"\0")[:-1]]


def save(place: Repository, tags: Sequence[str], made: Chosen) -> dict[str, Any]:
    root = place.portal.directory
    if not os.path.isdir(f"{root}/var"):
        raise BackupError(f"{root}/var is not there, so there is nothing to back up.")
    skipped = [f"--exclude={restic.literal(root)}/{name}" for name in SKIPPED]
    skipped += [f"--exclude={restic.literal(path)}" for path in made.hollow[-_EXCLUDED:]]
    with _listing(made.paths) as listed:
        words = ("backup", "--json", "--quiet", *tags, *skipped, "--files-from-raw", listed)
        reported, complaint = place.run(*words, accepted=(0, 3), seconds=_LONGEST)
    # On a portal in use some are removed during the backup: those are no loss.
    missed = [path for path, _words in restic.complaints(complaint) if path and os.path.lexists(path)]
    if missed:
        raise BackupError(f"Files could not be read: {first_of(missed, 3)}.")
    summary = restic.summary(reported)
    if not summary["total_files_processed"]:
        raise BackupError(f"The backup of {root} is empty.")
    return summary
