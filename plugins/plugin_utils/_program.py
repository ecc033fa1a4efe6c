# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the program chamilo-hardening out of the engines: one executable file, the same bytes wherever it is made."""

from __future__ import annotations

import functools
import io
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from . import _advisories, _beliefs

COLLECTION = Path(__file__).resolve().parents[2]
PACKAGE = "ansible_collections.chamilo.hardening.plugins.module_utils"
ENTRY = "_program.start"
# Isolated (-I): nothing from the caller's directory or environment is imported by root.
SHEBANG = b"#!/usr/bin/python3 -I\n"
# By its text: to parse half a megabyte of Python takes as long as a task.
_IMPORT = re.compile(r"^[ \t]*from (\.+)([\w.]*) import (?:\(([^)]*)\)|(.*))", re.MULTILINE)


@dataclass(frozen=True)
class Program:
    """The program and the version of the collection it was made from."""

    content: bytes
    version: str


@functools.lru_cache(maxsize=1)
def build(collection: Path = COLLECTION) -> Program:
    """The program. Its bytes depend on nothing but the engines and the version."""
    utils = collection / "plugins" / "module_utils"
    version = version_of(collection)
    members = {"__main__.py": _main(version).encode()}
    for module in needed(utils):
        path = utils.joinpath(*module.split(".")).with_suffix(".py")
        members[f"{PACKAGE.replace('.', '/')}/{path.relative_to(utils).as_posix()}"] = path.read_bytes()
    # What hosts judge by that is no code.
    members[f"{PACKAGE.replace('.', '/')}/_updates/advisories.json"] = json.dumps(_advisories.brief()).encode()
    members[f"{PACKAGE.replace('.', '/')}/_application/facts.json"] = json.dumps(_beliefs.brief()).encode()
    for name in [name for name in members if "/" in name]:
        for parent in list(Path(name).parents)[:-1]:
            members.setdefault(f"{parent.as_posix()}/__init__.py", b"")
    return Program(SHEBANG + _archive(members), version)


def needed(utils: Path, entry: str = ENTRY) -> list[str]:
    """The modules below module_utils that ``entry`` imports, directly or by way of others."""
    found: set[str] = set()
    todo = [entry]
    while todo:
        module = todo.pop()
        if module in found:
            continue
        found.add(module)
        todo += _imports(utils, module)
    return sorted(found)


def _imports(utils: Path, module: str) -> list[str]:
    way = module.split(".")
    source = utils.joinpath(*way).with_suffix(".py").read_text(encoding="utf-8")
    names: list[str] = []
    for dots, rest, several, one in _IMPORT.findall(re.sub("#.*", "", source)):
        # "from package import module" or "from module import name": whichever of the two is a file.
        package = ".".join([*way[: -len(dots)], *filter(None, [rest])])
        words = re.findall(r"\w+", re.sub(r" as \w+", "", several or one))
        names += [package, *(f"{package}.{word}".lstrip(".") for word in words)]
    return [name for name in names if name and utils.joinpath(*name.split(".")).with_suffix(".py").is_file()]


def _main(version: str) -> str:
    return f"import sys\n\nfrom {PACKAGE}.{ENTRY} import main\n\nsys.exit(main(version={version!r}))\n"


def _archive(members: dict[str, bytes]) -> bytes:
    """A zip without times and without compression, which is not the same in every build of zlib."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            member.create_system = 3
            member.external_attr = 0o644 << 16
            archive.writestr(member, members[name])
    return stream.getvalue()


def version_of(collection: Path = COLLECTION) -> str:
    """From the manifest of an installed collection, else from a clone's galaxy.yml."""
    manifest = collection / "MANIFEST.json"
    if manifest.is_file():
        return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
    return str(yaml.safe_load((collection / "galaxy.yml").read_text(encoding="utf-8"))["version"])
