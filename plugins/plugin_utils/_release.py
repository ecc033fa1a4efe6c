# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package of the release that a portal runs, on the controller: fetched, read, and deleted.

What stays is its manifest, which the hosts get. That of an official package is kept in the user's cache, for the next
host with this release.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError

from ansible import constants
from ansible.module_utils.urls import open_url

from ..module_utils._application import package, release_files
from ..module_utils._common.errors import HardeningError
from . import _answers

AUTO, OFF = "auto", "off"
OFFICIAL = "https://github.com/chamilo/chamilo-lms/releases/download/v{version}/chamilo-{version}.zip"
_RELEASE = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){2}")
_CONNECT, _OPEN, _WHOLE = 5, 15, 60  # seconds: for each connection, until the content begins, and for all of it
_REFUSED = 600  # seconds in which the other hosts of a run are given the same reason
_LARGEST = 2 << 30  # bytes
_CHUNK = 1 << 20


class UnavailableError(HardeningError):
    """The official package cannot be had; the message states why."""


def is_file(archive: str) -> bool:
    return archive not in (AUTO, OFF) and "://" not in archive


def manifest(archive: str, sha256: str, version: str) -> release_files.Manifest:
    """Of the package that ``chamilo_release_archive`` names. ``version``: what the host has installed."""
    if archive == AUTO:
        found = _official(version)
        if sha256 and found.sha256 != sha256.lower():
            raise release_files.ArchiveError(
                f"The official package of Chamilo {version} has the sha256 {found.sha256}, not {sha256}"
            )
        return found
    if is_file(archive):
        found = package.read(archive, sha256)
    else:
        try:
            with _fetched(archive) as path:
                found = package.read(path, sha256)
        except (UnavailableError, OSError) as problem:
            raise release_files.ArchiveError(f"{archive} cannot be fetched: {problem}") from problem
    if not release_files.is_of(found, version) and version != "unknown":
        raise release_files.ArchiveError(
            f"{archive} is the package of Chamilo {_answers.printable(found.version)}, and {version} is installed. "
            "Name the package of the release that is there"
        )
    return found


def _official(version: str) -> release_files.Manifest:
    if not _RELEASE.fullmatch(version):
        raise UnavailableError(f"Chamilo {version} is no release of which there is an official package")
    with _alone(version) as kept:
        try:
            with open(kept, encoding="utf-8") as file:
                return release_files.parse(file.read())
        except (OSError, release_files.ArchiveError):  # the first host with this release
            pass
        refused = f"{kept}.refused"
        with contextlib.suppress(OSError):  # it was not refused lately
            if 0 <= time.time() - os.stat(refused).st_mtime < _REFUSED:
                with open(refused, encoding="utf-8") as file:
                    raise UnavailableError(file.read())
        try:
            found = _fetched_official(version)
        except UnavailableError as problem:
            with contextlib.suppress(OSError):  # the next host waits as long
                _keep(refused, str(problem))
            raise
        with contextlib.suppress(OSError):  # it is fetched again then
            _keep(kept, found.text())
        return found


def _fetched_official(version: str) -> release_files.Manifest:
    address = OFFICIAL.format(version=version)
    try:
        with _fetched(address) as path:
            found = package.read(path)
    except (OSError, UnavailableError, release_files.ArchiveError) as problem:
        raise UnavailableError(f"{address}: {problem}") from problem
    if found.version != version:
        raise UnavailableError(f"{address} names Chamilo {_answers.printable(found.version) or 'of no version'}")
    return found


@contextlib.contextmanager
def _alone(version: str) -> Iterator[str]:
    """Where the manifest of a release is kept. Of several hosts that run at once, the first one fetches it."""
    directory = os.path.expanduser(os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "chamilo-hardening"))
    with contextlib.ExitStack() as locked:
        with contextlib.suppress(OSError):  # without a home of its own each host fetches it
            os.makedirs(directory, 0o700, exist_ok=True)
            lock = locked.enter_context(open(os.path.join(directory, "lock"), "a", encoding="utf-8"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield os.path.join(directory, f"release-{version}.json")


def _keep(path: str, text: str) -> None:
    handle, new = tempfile.mkstemp(dir=os.path.dirname(path))
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(new, path)


@contextlib.contextmanager
def _fetched(address: str) -> Iterator[str]:
    """A file of the controller with what is at an address, for as long as it is read."""
    end = time.monotonic() + _WHOLE
    with tempfile.TemporaryDirectory(dir=constants.DEFAULT_LOCAL_TMP) as directory:
        path = os.path.join(directory, address.rpartition("/")[2] or "package")
        response = _within(_OPEN, lambda: open_url(address, timeout=_CONNECT, validate_certs=True, decompress=False))
        with contextlib.closing(response), open(path, "wb") as file:
            if not response.geturl().startswith("https://"):
                raise UnavailableError("it leads to an address that is not https")
            for part in _parts(response, end):
                file.write(part)
        yield path


def _parts(response: Any, end: float) -> Iterator[bytes]:
    """What is sent, as it comes: a whole chunk could be waited for without end."""
    size = 0
    try:
        while part := response.read1(_CHUNK):
            size += len(part)
            if size > _LARGEST or time.monotonic() > end:
                raise UnavailableError(f"it is larger than {_LARGEST >> 30} GB, or took longer than {_WHOLE} seconds")
            yield part
    except HTTPException as problem:
        raise UnavailableError(f"what came is no answer of a web server: {problem!r}") from problem


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """The result of a call that may wait longer than its own limits, as for a name server."""
    done: queue.Queue[tuple[Any, Exception | None]] = queue.Queue()

    def run() -> None:
        try:
            done.put((call(), None))
        except Exception as problem:  # raised where it is waited for
            done.put((None, problem))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, problem = done.get(timeout=seconds)
    except queue.Empty:
        raise UnavailableError(f"no answer within {seconds} seconds") from None
    if isinstance(problem, HTTPError):
        raise UnavailableError(f"HTTP {problem.code}") from problem
    if problem:
        why = getattr(problem, "reason", "") or problem
        raise UnavailableError(str(getattr(why, "strerror", "") or why)) from problem
    return result
