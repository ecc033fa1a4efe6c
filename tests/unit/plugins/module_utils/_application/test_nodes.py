# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""By what the nodes of a portal are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import nodes
from ansible_collections.chamilo.hardening.plugins.module_utils._application.installation import Installation
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.env_shared import of_node

MOUNTS = """\
1 1 8:1 / / rw - ext4 /dev/sda1 rw
2 1 0:40 {part} {root}/var rw - {kind} {source} rw
3 1 0:41 / {root}/var/log rw - tmpfs tmpfs rw
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in nodes.OWN:
        (tmp_path / "site" / name).mkdir(parents=True)
    return tmp_path / "site"


def mounted(root: Path, kind: str = "nfs4", source: str = "nas:/campus", part: str = "/") -> str:
    path = root.parent / "mountinfo"
    path.write_text(MOUNTS.format(root=root, kind=kind, source=source, part=part))
    return str(path)


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "fuse.glusterfs", "fuse.sshfs", "fuse"]
)
def test_a_directory_on_a_disk_of_several_hosts_has_one_name_on_all_of_them(root: Path, kind: str) -> None:
    assert nodes.on_network(str(root), mountinfo=mounted(root, kind)) == {"var/cache": f"{kind} nas:/campus /cache"}


@pytest.mark.parametrize("kind", ["ext4", "xfs", "tmpfs", "overlay", "fuseblk", "btrfs"])
def test_a_disk_of_its_own_is_none(root: Path, kind: str) -> None:
    assert nodes.on_network(str(root), mountinfo=mounted(root, kind)) == {}


def test_another_export_and_another_path_are_other_places(root: Path) -> None:
    places = {
        nodes.on_network(str(root), mountinfo=mounted(root, **more))["var/cache"]
        for more in ({}, {"source": "nas:/other"}, {"part": "/web1"})
    }
    assert len(places) == 3
    (root / "var/cache").rmdir()
    (root / "elsewhere").mkdir()
    (root / "var/cache").symlink_to(root / "elsewhere")
    assert nodes.on_network(str(root), mountinfo=mounted(root)) == {}, "a link to a disk of its own"


@pytest.fixture
def compared(root: Path) -> Callable[..., dict[str, Any]]:
    """What a node reports with this .env file."""

    def ask(text: str, salt: str = "s") -> dict[str, Any]:
        (root / ".env").write_text(text)
        return asdict(nodes.compared(Installation(str(root), "www-data"), salt))

    return ask


def test_secrets_are_compared_and_cannot_be_read_from_the_answer(root: Path, compared: Any) -> None:
    first = compared("APP_SECRET=abc\nJWT_PASSPHRASE=x\n")["secrets"]
    assert sorted(first) == ["APP_SECRET", "JWT_PASSPHRASE", "JWT_PUBLIC_KEY"] and "abc" not in str(first)
    assert first == compared("APP_SECRET='abc'\nJWT_PASSPHRASE=x\n")["secrets"]
    assert first["APP_SECRET"] != compared("APP_SECRET=abd\n")["secrets"]["APP_SECRET"]
    assert first["APP_SECRET"] != compared("APP_SECRET=abc\n", "t")["secrets"]["APP_SECRET"]
    (root / "config/jwt").mkdir(parents=True)
    (root / "config/jwt/private.pem").write_text("-- PRIVATE KEY --\n")
    sealed = compared("APP_SECRET=abc\n")["sealed"]
    assert of_node(sealed, "s") == {"APP_SECRET": "abc", "JWT_SECRET_KEY": "-- PRIVATE KEY --\n"}
    (root.parent / "elsewhere.pem").write_text("-- PRIVATE KEY --\n")
    for named in ("/etc/passwd", "../elsewhere.pem"):
        sealed = compared(f"JWT_SECRET_KEY={named}\n")["sealed"]
        assert of_node(sealed, "s") == {}, "nothing but a key below the portal"


def test_the_pair_that_signs_tokens_is_compared_wherever_it_lies(root: Path, compared: Any) -> None:
    def seen(text: str, key: str = "", place: str = "config/jwt/public.pem") -> str:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(key)
        found: str = compared(text)["secrets"]["JWT_PUBLIC_KEY"]
        return found

    missing = compared("")["secrets"]["JWT_PUBLIC_KEY"]
    first = seen("", "-- a --\nb\n")
    assert first == seen("", "-- a --\r\nb") and len({missing, first, seen("", "-- a --\nc\n")}) == 3
    named = "JWT_PUBLIC_KEY='%kernel.project_dir%/keys/own.pem'\n"
    assert seen(named, "-- a --\nb\n", "keys/own.pem") == first
