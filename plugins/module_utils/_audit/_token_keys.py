# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The key pair that the environment names for the API's tokens: whose it is, and whether its halves belong together.

An attacker who has the environment name his own public key signs tokens of any account with his private key.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from .._application import dotenv
from .._application.sealed import PRIVATE, PUBLIC, key_files
from .._application.site import Site
from .._common.openssl import run_openssl
from .._common.paths import read_guarded, shown
from .._common.tree import Tree
from .._monitoring.tree import Identity, changeable

_BYTES = 1 << 16
_NEW = "make a new pair: bin/console lexik:jwt:generate-keypair --overwrite"


def faults(site: Site, users: Iterable[Identity]) -> list[str]:
    """What lets an attacker sign tokens."""
    paths, found, users = key_files(site.environment.get, site.root), [], tuple(users)
    config = os.path.realpath(os.path.join(site.root, "config")) + "/"
    for name, path in paths.items():
        # Of the directory config other controls know whose it is.
        if not os.path.realpath(path).startswith(config) and changeable(path, users):
            source = site.environment_source.get(name, "the environment")
            found.append(
                f"{name} in {source} names {shown(path)}, which PHP's user can exchange: take that line out, and {_NEW}"
            )
    if not _belong_together(site, paths):
        found.append(
            f"{shown(paths[PUBLIC])} is not the public half of {shown(paths[PRIVATE])}, so tokens that another key "
            f"signed are accepted: {_NEW}"
        )
    return found


def _belong_together(site: Site, paths: Mapping[str, str]) -> bool:
    """False where both can be read, and are no pair."""
    try:
        private, public = (read_guarded(paths[name], site.php.user, _BYTES) for name in (PRIVATE, PUBLIC))
    except OSError:
        return True  # there is none, or it is no file: other controls report it
    environment = dotenv.read(Tree(), site.root, web_user=site.php.user)
    half = _openssl(["pkey", "-pubout", "-passin", "@0"], private, environment.secret("JWT_PASSPHRASE"))
    given = _openssl(["pkey", "-pubin", "-pubout"], public) or _openssl(["x509", "-noout", "-pubkey"], public)
    return not half or half == given


def _openssl(words: Sequence[str], key: bytes, *passphrases: str) -> bytes:
    """What openssl makes of a key on its input; nothing where it cannot."""
    code, made = run_openssl(words, key, passphrases)
    return b"" if code else made
