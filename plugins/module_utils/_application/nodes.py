# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the nodes of one portal are compared by: directories that several hosts may share, and secrets."""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Iterable

from .._common import mounts
from .._common.tree import Tree
from .discovered import Compared
from .dotenv import SECRETS
from .installation import Installation
from .sealed import PRIVATE, PUBLIC, key_files, seal

# Each node has its own: the cache contains absolute paths and compiled code, and is emptied while it is used.
OWN = ("var/cache", "var/log")
_NETWORK = re.compile(
    r"nfs4?|cifs|smb3?|smbfs|ceph|glusterfs|9p|virtiofs|lustre|beegfs|gfs2?|ocfs2|afs|davfs2?|fuse(?:\..+)?"
)


def on_network(root: str, names: Iterable[str] = OWN, mountinfo: str = "/proc/self/mountinfo") -> dict[str, str]:
    """Those of these directories below the project that other hosts may see as well, each with where it really is."""
    mounted = mounts.mounts(mountinfo)
    found = {}
    for name in names:
        real = os.path.realpath(os.path.join(root, name))
        point = max((one for one in mounted if f"{real}/".startswith(f"{one.rstrip('/')}/")), key=len, default="/")
        mount = mounted.get(point, mounts.Mount(""))
        if _NETWORK.fullmatch(mount.kind):
            below = os.path.normpath(os.path.join(mount.part, os.path.relpath(real, point)))
            found[name] = f"{mount.kind} {mount.source} {below}"
    return found


def _half(portal: Installation, name: str, path: str) -> str:
    """A half of the pair; empty where there is none, or none below the portal's directory."""
    if name == PRIVATE and not path.startswith(f"{portal.root}/"):
        return ""
    try:
        text = Tree().read(path, portal.web_user)
    except OSError:
        return ""  # a node without one differs from those that have it
    return text if name == PUBLIC or "PRIVATE KEY" in text else ""


def compared(portal: Installation, salt: str) -> Compared:
    """What the controller compares with the answers of the other nodes. Without the salt all of it is of no use."""
    environment = portal.environment()
    values = {name: environment.secret(name) for name in SECRETS}
    halves = {name: _half(portal, name, path) for name, path in key_files(environment.secret, portal.root).items()}
    known = {**values, PUBLIC: "".join(halves[PUBLIC].split())}
    secrets = {
        name: hmac.new(salt.encode(), value.encode("utf-8", "surrogateescape"), "sha256").hexdigest()
        for name, value in known.items()
    }
    return Compared(on_network(portal.root), secrets, seal({**values, **halves}, salt))
