# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets on their way through the controller, which gives each run a salt: who has none cannot read them."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import posixpath
from collections.abc import Callable, Mapping
from typing import Any

from .._common.errors import HardeningError
from .._common.openssl import OpenSsl, run_openssl

# Of the pair that signs tokens: the private half may be encrypted otherwise on each node.
PRIVATE, PUBLIC = "JWT_SECRET_KEY", "JWT_PUBLIC_KEY"
USUAL = {PRIVATE: "config/jwt/private.pem", PUBLIC: "config/jwt/public.pem"}
_CIPHER = ("enc", "-aes-256-cbc", "-pbkdf2", "-pass", "@0")


def key_files(named: Callable[[str], str | None], root: str) -> dict[str, str]:
    """Where the halves of that pair lie, the private one first."""
    files = {name: (named(name) or usual).replace("%kernel.project_dir%", root) for name, usual in USUAL.items()}
    return {name: posixpath.normpath(posixpath.join(root, file)) for name, file in files.items()}


class SealError(HardeningError):
    """What was sealed cannot be used. The text is a sentence without a secret."""


def seal(values: Mapping[str, Any], salt: str, openssl: OpenSsl = run_openssl) -> str:
    """What is not empty of it; an empty text without openssl."""
    text = json.dumps({name: value for name, value in values.items() if value}).encode()
    code, sealed = openssl(_CIPHER, text, [_word(salt)])
    return "" if code else base64.b64encode(sealed).decode()


def unseal(what: str, text: str, salt: str, openssl: OpenSsl = run_openssl) -> dict[str, Any]:
    """What was sealed with this salt. ``what`` names it in an error."""
    try:
        code, opened = openssl([*_CIPHER, "-d"], base64.b64decode(text, validate=True), [_word(salt)])
        found = None if code else json.loads(opened)
    except (binascii.Error, ValueError):
        found = None
    if not isinstance(found, dict):
        raise SealError(f"{what} cannot be read.")
    return found


def _word(salt: str) -> str:
    """Another one than what fingerprints are keyed with."""
    return hmac.new(salt.encode(), b"sealed", "sha256").hexdigest()
