# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Repositories of restic, and the snapshots in them.

A backup is a pair of snapshots, of the database and of the files, with the tag of one run.
"""

from __future__ import annotations

import datetime
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from .portal import BackupError, Portal, remember, shown

CACHE = "/var/cache/chamilo-hardening/restic"
TAG = "chamilo-hardening"
DUMP = "/database.sql"  # its path in the snapshot
AHEAD = 3600.0  # seconds a date may be ahead of the clock; beyond, one of the two is wrong
_PATIENCE = 60.0  # seconds, for a repository to answer
_PLAIN = {
    "no space left on device": "the disk there is full",
    "connection refused|no such host|no route to host|network is unreachable|i/o timeout": "it cannot be reached",
}
# We may be killed: these processes must end with us, or a truncated dump would appear complete.
LEASH = ("setpriv", "--pdeathsig", "KILL", "--")
GENTLE = (*LEASH, "nice", "-n", "19", "ionice", "-t", "-c", "2", "-n", "7")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment() -> dict[str, str]:
    return {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root"}


def on_tree(*command: str) -> None:
    """Run a program on a whole tree: the web user's directories may be nested deeper than Python's functions allow."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(), check=False)
    if done.returncode:
        raise BackupError(f"{command[0]} failed: {done.stderr.decode(errors='replace').strip()[-300:]}")


def literal(path: str) -> str:
    """A path as a pattern of restic that stands for itself."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", path)


class Repository:
    """One repository, spoken to through restic. Addresses and keys go through its environment, never its arguments."""

    def __init__(self, portal: Portal, url: str) -> None:
        self.portal = portal
        self.url = url
        self.shown = shown(url)

    def environment(self) -> dict[str, str]:
        return {
            **environment(),
            **_credentials(self.portal),
            "RESTIC_REPOSITORY": self.url,
            "RESTIC_PASSWORD_FILE": self.portal.key_file,
            "RESTIC_CACHE_DIR": CACHE,
            "RESTIC_PROGRESS_FPS": "0.01",
        }

    def run(
        self,
        *arguments: str,
        accepted: Sequence[int] = (0,),
        seconds: float | None = None,
        output: IO[bytes] | None = None,
    ) -> tuple[str, str]:
        """What it prints, and what it complains of."""
        os.makedirs(CACHE, 0o700, exist_ok=True)
        try:
            done = subprocess.run(
                [*GENTLE, program(), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output or subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self.environment(),
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as problem:
            raise BackupError(
                f"{self.shown} gave no answer to restic {arguments[0]} in {seconds:g} seconds."
            ) from problem
        complaint = done.stderr.decode(errors="replace").strip()
        if done.returncode not in accepted:
            raise self.failed(arguments[0], done.returncode, complaint)
        return (done.stdout or b"").decode(errors="replace"), complaint

    def interactive(self, *arguments: str) -> int:
        """Run restic in the terminal; its exit code."""
        sys.stdout.flush()
        known = {**self.environment(), "TERM": os.environ.get("TERM", "")}
        del known["RESTIC_PROGRESS_FPS"]
        return subprocess.run([program(), *arguments], env=known, check=False).returncode

    def repaired(self) -> int:
        """Remove locks that were left, make the index anew, and check. restic's exit code."""
        anew = ("repair", "index") if knows("repair") else ("rebuild-index",)  # 0.16 has both
        return self.interactive("unlock") or self.interactive(*anew) or self.interactive("check")

    def failed(self, doing: str, code: int, complaint: str) -> BackupError:
        known = complaints(complaint.replace(self.url, self.shown))
        words = " ".join(" ".join(f"{path}: {words}" if path else words for path, words in known).split())[-600:]
        if "parsing repository location failed" in complaint:  # restic's message contains the password
            words = "this is no address. In a password, write what is neither letter nor digit as %2F for a slash."
        message = f"restic {doing} on {self.shown} failed ({code}): {words or 'no words'}"
        for known_so, plain in _PLAIN.items():
            if found := re.search(known_so, complaint):
                message = f"{self.shown}: {plain} (restic {doing}: {found[0]})"
        problem = BackupError(message)
        problem.complaint = complaint
        return problem

    def identity(self) -> str:
        """Its number. restic itself would go on trying for a quarter of an hour where there is no answer."""
        reported, _complaint = self.run("cat", "config", seconds=_PATIENCE)
        return str(json.loads(reported)["id"])

    def reached(self, memory: Mapping[str, Any]) -> None:
        """Whether it answers, and is the one that is known."""
        identity = self.identity()
        if identity != memory["repositories"].get(self.shown, identity):
            raise BackupError(f"{self.shown} is another repository than the one this host sent its backups to.")

    def prepare(self, memory: dict[str, Any]) -> None:
        """Know the repository, or make it where none is. One that was there before is never made anew."""
        if self.shown in memory["repositories"]:
            return
        try:
            identity = self.identity()
        except BackupError as absent:
            if "wrong password" in str(absent):
                raise
            if self.url.startswith("/"):
                os.makedirs(self.url, 0o700, exist_ok=True)
            try:
                # Where a repository is after all, or there is no answer, this fails and changes nothing.
                self.run("init", seconds=300)
            except BackupError as problem:
                raise BackupError(f"{absent} {problem}") from problem
            identity = self.identity()
        memory["repositories"][self.shown] = identity
        remember(self.portal, memory)

    def unlock(self) -> None:
        """Remove locks whose owner is gone, as a run leaves them that was killed."""
        self.run("unlock", seconds=300)

    def nodes(self, snapshot: str) -> Iterator[dict[str, Any]]:
        """What lies in a snapshot, one after the other: there may be a million."""
        with tempfile.TemporaryFile() as listed:
            self.run("ls", "--json", snapshot, output=listed)
            listed.seek(0)
            for line in listed:
                node = json.loads(line)
                if "path" in node and "type" in node:
                    yield node

    def fetch(self, snapshot: str, directory: str, *arguments: str) -> dict[str, str]:
        """Bring files back to a directory. Returns which could not be, and why: restic goes on without them."""
        sparse = ("--sparse",) if knows("--sparse", "restore") else ()
        try:
            self.run("restore", "--json", snapshot, "--target", directory, *sparse, *arguments)
        except BackupError as problem:
            known = complaints(problem.complaint)
            named = [(path, words) for path, words in known if path]
            if named and known[-1] == ("", f"Fatal: There were {len(named)} errors"):
                return dict(named)
            raise
        return {}

    def pairs(self) -> list[Pair]:
        """All complete pairs of this portal, the first run first."""
        return paired(self.entries())

    def entries(self) -> list[dict[str, Any]]:
        """This portal's snapshots, as restic lists them."""
        reported, _complaint = self.run("snapshots", "--json", "--host", self.portal.site, "--tag", TAG, seconds=600)
        return json.loads(reported) or []


def program() -> str:
    program = shutil.which("restic", path=PATH)
    if program is None:
        raise BackupError("restic is not installed on this host.")
    return program


@functools.cache
def knows(word: str, *command: str) -> bool:
    """Whether this version of restic has a command, or an option of one."""
    known = subprocess.run([program(), *command, "--help"], stdout=subprocess.PIPE, env=environment(), check=False)
    return f" {word} " in known.stdout.decode(errors="replace")


def _credentials(portal: Portal) -> dict[str, str]:
    """What restic needs to get into the repository, as the role wrote it: NAME=value lines."""
    try:
        with open(portal.credentials_file, encoding="utf-8") as stream:
            return dict(line.rstrip("\n").split("=", 1) for line in stream if "=" in line)
    except FileNotFoundError:
        return {}


@dataclass(frozen=True)
class Snapshot:
    id: str
    at: float
    run: str
    paths: tuple[str, ...]
    number: int = 0  # of its run; runs from before they were numbered have none


@dataclass(frozen=True)
class Pair:
    """A database and the files around it, of one run."""

    run: str
    database: Snapshot
    files: Snapshot

    @property
    def at(self) -> float:
        return self.database.at

    @property
    def number(self) -> int:
        return self.database.number

    @property
    def ahead(self) -> bool:
        """Whether its date is still to come: the clock was wrong then, or is now."""
        return self.at > time.time() + AHEAD


def paired(entries: Sequence[Mapping[str, Any]]) -> list[Pair]:
    runs: dict[str, dict[bool, Snapshot]] = {}
    for snapshot in snapshots(entries):
        runs.setdefault(snapshot.run, {})[snapshot.paths == (DUMP,)] = snapshot
    pairs = [Pair(run, both[True], both[False]) for run, both in runs.items() if len(both) == 2]
    return sorted(pairs, key=lambda pair: (pair.number, pair.at))


def snapshots(entries: Sequence[Mapping[str, Any]]) -> Iterator[Snapshot]:
    for entry in entries:
        tags = dict(tag.split("=", 1) for tag in entry.get("tags") or () if "=" in tag)
        run, number = tags.get("run", ""), tags.get("number", "")
        if run:
            at = moment(entry["time"])
            number = int(number) if re.fullmatch(r"[0-9]{1,15}", number) else 0
            yield Snapshot(entry["id"], at, run, tuple(entry["paths"]), number)


def moment(text: str) -> float:
    """restic's time, whose nanoseconds older Pythons do not read."""
    return datetime.datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace("Z", "+00:00")).timestamp()


def complaints(text: str) -> list[tuple[str, str]]:
    """What restic complains of: which path, where it names one, and the words. Newer versions print objects."""
    found = []
    for part in filter(str.strip, re.split(r"^(?=ignoring error for |Fatal: |\{)", text, flags=re.MULTILINE)):
        line, _end, more = part.partition("\n")
        try:
            known = json.loads(line)
            error = known.get("error", known)
            path, words = str(known.get("item", "")), error.get("message") or json.dumps(error)
        except (ValueError, AttributeError):
            named = re.match(r"ignoring error for (.+?): (.*)", part, flags=re.DOTALL)
            path, words, more = (named[1], named[2], "") if named else ("", part, "")
        found += [(path, words.strip())] + [("", more.strip())] * bool(more.strip())
    return found


def too_long(words: str) -> bool:
    """Whether a path is too long where files come back to. The web user may lay such ones: no reason to give up."""
    return words.endswith(": file name too long")


def output(stream: IO[bytes]) -> str:
    stream.seek(0)
    return " ".join(stream.read().decode(errors="replace").split())[-600:]


def summary(text: str) -> dict[str, Any]:
    for line in reversed(text.splitlines()):
        if '"summary"' in line:
            found: dict[str, Any] = json.loads(line)
            return found
    raise BackupError("restic did not report what it saved.")
