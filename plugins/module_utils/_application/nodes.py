# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the nodes of one portal are compared by: directories that several hosts may share, and secrets."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
import posixpath
import re
from collections.abc import Iterable, Mapping

from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovered import Compared
from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover_environment
from ansible_collections.chamilo.hardening.plugins.module_utils._application.dotenv import Environment, read
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._common import paths
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.openssl import OpenSsl, run_openssl
from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Tree

# Each node has its own: the cache contains absolute paths and compiled code, and is emptied while it is used.
OWN = ("var/cache", "var/log")
SECRETS = ("APP_SECRET", "JWT_PASSPHRASE")
# Of the pair that signs tokens: the private half may be encrypted otherwise on each node.
PRIVATE, PUBLIC = "JWT_SECRET_KEY", "JWT_PUBLIC_KEY"
USUAL = {PRIVATE: "config/jwt/private.pem", PUBLIC: "config/jwt/public.pem"}
_CIPHER = ("enc", "-aes-256-cbc", "-pbkdf2", "-pass", "@0")
_LONGEST = 16384  # characters of what is sealed for one name
_NETWORK = re.compile(
    r"nfs4?|cifs|smb3?|smbfs|ceph|glusterfs|9p|virtiofs|lustre|beegfs|gfs2?|ocfs2|afs|davfs2?|fuse(?:\..+)?"
)


def on_network(root: str, names: Iterable[str] = OWN, mountinfo: str = "/proc/self/mountinfo") -> dict[str, str]:
    """Those of these directories below the project that other hosts may see as well, each with where it really is."""
    mounted = paths.mounts(mountinfo)
    found = {}
    for name in names:
        real = os.path.realpath(os.path.join(root, name))
        point = max((one for one in mounted if f"{real}/".startswith(f"{one.rstrip('/')}/")), key=len, default="/")
        mount = mounted.get(point, paths.Mount(""))
        if _NETWORK.fullmatch(mount.kind):
            below = os.path.normpath(os.path.join(mount.part, os.path.relpath(real, point)))
            found[name] = f"{mount.kind} {mount.source} {below}"
    return found


class SealError(HardeningError):
    """What another node sealed cannot be used. The text is a sentence without a secret."""


def seal(values: Mapping[str, str], salt: str, openssl: OpenSsl = run_openssl) -> str:
    """Secrets for the other nodes of a portal. Who has no salt of this run cannot read them; empty without openssl."""
    text = json.dumps({name: value for name, value in values.items() if value}).encode()
    code, sealed = openssl(_CIPHER, text, [_word(salt)])
    return "" if code else base64.b64encode(sealed).decode()


def unseal(text: str, salt: str, openssl: OpenSsl = run_openssl) -> dict[str, str]:
    """What another node of the portal sealed: known names alone, and texts that can stand in a file."""
    try:
        code, opened = openssl([*_CIPHER, "-d"], base64.b64decode(text, validate=True), [_word(salt)])
        found = None if code else json.loads(opened)
    except (binascii.Error, ValueError):
        found = None
    if not isinstance(found, dict) or not set(found) <= {*SECRETS, *USUAL}:
        raise SealError("What the other node of the portal has as its secrets cannot be read.")
    for name, value in found.items():
        form = r"[ -~\r\n]+" if name in USUAL else r"[^\x00-\x1f\x7f]+"
        if not (isinstance(value, str) and len(value) <= _LONGEST and re.fullmatch(form, value)):
            raise SealError(f"What the other node of the portal has as {name} can be none.")
    return found


def _word(salt: str) -> str:
    """Another one than what fingerprints are keyed with."""
    return hmac.new(salt.encode(), b"sealed", "sha256").hexdigest()


def _half(site: Site, environment: Environment, name: str) -> str:
    """A half of the pair; empty where there is none, or none below the portal's directory."""
    named = (environment.secret(name) or USUAL[name]).replace("%kernel.project_dir%", site.root)
    path = posixpath.normpath(posixpath.join(site.root, named))
    if name == PRIVATE and not path.startswith(f"{site.root}/"):
        return ""
    try:
        text = Tree().read(path, site.php.user)
    except OSError:
        return ""  # a node without one differs from those that have it
    return text if name == PUBLIC or "PRIVATE KEY" in text else ""


def compared(site: Site, salt: str) -> Compared:
    """What the controller compares with the answers of the other nodes. Without the salt all of it is of no use."""
    _site, given = discover_environment(site.domain, site.root, site.web.name)
    environment = read(Tree(), site.root, given, site.php.user)
    values = {name: environment.secret(name) for name in SECRETS}
    halves = {name: _half(site, environment, name) for name in USUAL}
    known = {**values, PUBLIC: "".join(halves[PUBLIC].split())}
    secrets = {
        name: hmac.new(salt.encode(), value.encode("utf-8", "surrogateescape"), "sha256").hexdigest()
        for name, value in known.items()
    }
    return Compared(on_network(site.root), secrets, seal({**values, **halves}, salt))
