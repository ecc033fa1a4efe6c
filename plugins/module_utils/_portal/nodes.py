# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""What the nodes of one portal are compared by: directories that several hosts may share, and secrets."""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Iterable

from ansible_collections.chamilo.hardening.plugins.module_utils._common import paths
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Tree
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.discovery import discover_environment
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.dotenv import read
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Site

# Each node has its own: the cache contains absolute paths and compiled code, and is emptied while it is used.
OWN = ("var/cache", "var/log")
SECRETS = ("APP_SECRET", "JWT_PASSPHRASE")
PUBLIC = "JWT_PUBLIC_KEY"  # of the pair that signs tokens; the private half may be encrypted otherwise on each node
_NETWORK = re.compile(
    r"nfs4?|cifs|smb3?|smbfs|ceph|glusterfs|9p|virtiofs|lustre|beegfs|gfs2?|ocfs2|afs|davfs2?|fuse(?:\..+)?"
)


def on_network(root: str, names: Iterable[str] = OWN, mountinfo: str = "/proc/self/mountinfo") -> dict[str, str]:
    """Those of these directories below the project that other hosts may see as well, each with where it really is."""
    mounted = paths.sources(mountinfo)
    found = {}
    for name in names:
        real = os.path.realpath(os.path.join(root, name))
        point = max((one for one in mounted if f"{real}/".startswith(f"{one.rstrip('/')}/")), key=len, default="/")
        kind, source, part = mounted.get(point, ("", "", "/"))
        if _NETWORK.fullmatch(kind):
            found[name] = f"{kind} {source} {os.path.normpath(os.path.join(part, os.path.relpath(real, point)))}"
    return found


def _public_key(site: Site, named: str) -> bytes:
    try:
        text = Tree().read(os.path.join(site.root, named.replace("%kernel.project_dir%", site.root)), site.php.user)
    except OSError:
        text = ""  # a node without one differs from those that have it
    return b"".join(text.encode("utf-8", "surrogateescape").split())


def compared(site: Site, salt: str) -> dict[str, dict[str, str]]:
    """What the controller compares with the answers of the other nodes. Without the salt a fingerprint is of no use."""
    _site, given = discover_environment(site.domain, site.root, site.web.name)
    environment = read(Tree(), site.root, given, site.php.user)
    values = {name: environment.secret(name).encode("utf-8", "surrogateescape") for name in SECRETS}
    values[PUBLIC] = _public_key(site, environment.secret(PUBLIC) or "config/jwt/public.pem")
    return {
        "shared": on_network(site.root),
        "secrets": {name: hmac.new(salt.encode(), value, "sha256").hexdigest() for name, value in values.items()},
    }
