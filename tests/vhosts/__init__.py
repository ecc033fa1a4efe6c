# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual hosts of portals as they stand in the world, one text file a case. README.md says how they are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOMAIN, ROOT = "campus.example.org", "/var/www/chamilo"
_FILE = re.compile(r"^#@ (?P<path>\S+)(?P<enabled> enabled(?:=(?P<name>\S+))?)?$", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """One host. ``head`` has what stands before its files: source, kind, family, expected, why and more."""

    name: str
    server: str  # nginx or apache
    head: dict[str, str]
    files: dict[str, str]  # path -> text
    links: dict[str, str]  # link in sites-enabled -> the file, by a path that is relative to the link

    @property
    def expected(self) -> str:
        return self.head["expected"]

    @property
    def panel(self) -> bool:
        """Whether a panel writes it again."""
        return self.expected == "refuse"

    def lay(self, root: Path) -> None:
        """Write it below a directory, with Certbot's files of options beside it."""
        for path in (HERE / "host").rglob("*"):
            if path.is_file():
                _write(root / path.relative_to(HERE / "host"), path.read_text(encoding="utf-8"))
        for name, text in self.files.items():
            _write(root / name.lstrip("/"), text)
        for link, target in self.links.items():
            (root / link.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            (root / link.lstrip("/")).symlink_to(target)


def cases(server: str) -> list[Case]:
    """All cases of a web server, by name."""
    return [_read(path, server) for path in sorted((HERE / server).glob("*.conf"))]


def _read(path: Path, server: str) -> Case:
    parts = list(_FILE.finditer(text := path.read_text(encoding="utf-8")))
    head = dict(re.findall(r"^# ([a-z]+): (.*)$", text[: parts[0].start()], re.MULTILINE))
    files, links = {}, {}
    for part, following in zip(parts, [*parts[1:], None]):
        files[part["path"]] = text[part.end() + 1 : following.start() if following else len(text)]
        if part["enabled"]:
            directory = f"/etc/{'nginx' if server == 'nginx' else 'apache2'}/sites-enabled"
            links[f"{directory}/{part['name'] or Path(part['path']).name}"] = (
                f"../sites-available/{Path(part['path']).name}"
            )
    return Case(path.stem, server, head, files, links)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
