# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The copies of backup keys on the controller: where they are, and whether they outlive the run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DIRECTORY = "chamilo-keys"
LOCAL = ("local", "ansible.builtin.local")
# Set by what runs a job on a machine, or in a directory, of its own. AWX and ansible-runner set AWX_* as well.
JOBS = ("CI", "JENKINS_URL", "KUBERNETES_SERVICE_HOST", "TEAMCITY_VERSION", "TF_BUILD")
CONTAINERS = ("/.dockerenv", "/run/.containerenv")


class KeyCopyError(Exception):
    """A copy of a key cannot be read, moved or written. The text is for the administrator."""


@dataclass(frozen=True)
class KeyCopy:
    """The copy of one host's key. ``present``: where it is now; None when there is none."""

    path: Path
    present: Path | None
    lasting: bool  # the administrator named a directory by its whole path

    def read(self) -> str:
        """The key; empty when there is no copy."""
        if self.present is None:
            return ""
        try:
            key = self.present.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as problem:
            raise KeyCopyError(f"{self.present} cannot be read: {problem}.") from problem
        if not key:  # such as from a disk that was full
            raise KeyCopyError(f"{self.present} is empty. Remove it, and the key is fetched again.")
        return key

    def keep(self, key: str) -> None:
        """Write a copy. One that is there is the key of other backups, or of another host of that name: it stays."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as stream:
                    stream.write(key + "\n")
                    stream.flush()
                    os.fsync(stream.fileno())
            except OSError:
                self.path.unlink()  # half a key would hide a whole one that is elsewhere
                raise
        except OSError as problem:
            raise KeyCopyError(
                f"The copy of the backup key cannot be written: {self.path}: {problem.strerror}. Set "
                "chamilo_backups_key_folder to the absolute path of a directory that you can write."
            ) from problem

    def move(self) -> tuple[Path, str]:
        """Bring a copy from where it was before to where it belongs. Returns where it is, and what to report."""
        before = self.present or self.path
        if before == self.path:
            return before, ""
        try:
            self.keep(self.read())
        except KeyCopyError as problem:
            return before, f"The copy of the backup key stays in {before}. {problem}"
        before.unlink()
        return self.path, f"The copy of the backup key was moved from {before} to {self.path}."

    def cannot_be_kept(self) -> str:
        """Why a copy that has to be made would be lost; empty when it would not."""
        reason = "" if self.lasting else ephemeral()
        if reason:
            return (
                f"chamilo_backups_password is not set, and this controller does not outlive the run ({reason}): the "
                f"copy of the backup key in {self.path.parent} would be lost with it. Set chamilo_backups_password, "
                "from a vault, or set chamilo_backups_key_folder to the absolute path of a directory that is kept."
            )
        return "" if self.present else _not_writable(self.path.parent)


def _not_writable(directory: Path) -> str:
    there = next(place for place in (directory, *directory.parents) if place.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return ""
    return (
        f"The copy of the backup key cannot be written: {directory}: {there} is not a directory that you can write. "
        "Set chamilo_backups_key_folder to the absolute path of one, or set chamilo_backups_password, from a vault."
    )


def find(directory: str, host: str, site: str, variables: Mapping[str, Any]) -> KeyCopy:
    """The copy of a host's key.

    A relative directory is beside the inventory that names the host first, or in the home directory where that is no
    file (``-i host,``). Version 1.0.0 had it in the working directory: a copy is found there too, and beside the other
    inventories of the run, whose order may have been another one.
    """
    name = f"{re.sub(r'[^A-Za-z0-9_.-]', '_', host)}-{site}.key"
    given = Path(directory or DIRECTORY).expanduser()
    if given.is_absolute():
        path = given / name
        return KeyCopy(path, _first([path]), lasting=True)
    bases = [variables.get("inventory_dir") or Path.home()]
    bases += [_directory(source) for source in variables.get("ansible_inventory_sources") or () if "," not in source]
    bases += [Path.cwd(), Path.home()]
    paths = [Path(base).absolute() / given / name for base in bases]
    return KeyCopy(paths[0], _first(paths), lasting=False)


def _first(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if os.path.exists(path)), None)


def _directory(source: str) -> Path:
    return Path(source) if os.path.isdir(source) else Path(source).parent


def ephemeral(environment: Mapping[str, str] | None = None, containers: Iterable[str] = CONTAINERS) -> str:
    """What shows that this controller is gone after the run; empty for nothing."""
    known = os.environ if environment is None else environment
    for name in sorted(known):
        if (name in JOBS or name.startswith("AWX_")) and known[name].lower() not in ("", "0", "false"):
            return f"the environment variable {name} is set"
    return next((f"it is a container: {path} exists" for path in containers if os.path.exists(path)), "")


def machine(transport: str) -> str:
    """Which machine this controller is; empty when it is the host itself."""
    if transport in LOCAL:
        return ""
    try:
        return Path("/etc/machine-id").read_text(encoding="utf-8").strip() or "unknown"
    except OSError:  # a controller without one is no host of ours either
        return "unknown"
