# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Signatures of packages, as minisign makes them: Ed25519 over the BLAKE2b checksum of a file."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import subprocess
import tempfile

from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError

# The key of Chamilo's releases, as the updater of 3.0 trusts it: A158EB4EFF622FB3.
OFFICIAL = "RWSzL2L/TutYoT4l8BsZxjjvH3yf7fpQE0XfkZpOT1TL6mExtsf6TbAG"
_LARGEST = 4096  # bytes of a signature
_FORM = re.compile(
    r"untrusted comment:[^\n]*\n([A-Za-z0-9+/=]{1,200})\ntrusted comment: ([^\n]{0,1000})\n([A-Za-z0-9+/=]{1,200})\s*"
)
_SPKI = bytes.fromhex("302a300506032b6570032100")  # what stands before a public key of Ed25519 in DER
_CHUNK = 1 << 20


class SignatureError(HardeningError):
    """A signature that does not prove where a file is from; the message states why."""


def verify(path: str, signature: str, key: str) -> str:
    """The comment that was signed with the file. ``key``: the public key, as minisign prints it."""
    number, public = _key(key)
    try:
        with open(signature, encoding="utf-8", errors="replace") as stream:
            text = stream.read(_LARGEST)
        digest = hashlib.blake2b()
        with open(path, "rb") as file:
            while part := file.read(_CHUNK):
                digest.update(part)
    except OSError as problem:
        raise SignatureError(f"{problem.filename} cannot be read: {problem.strerror}.") from problem
    form = _FORM.fullmatch(text)
    signed, comment = (_bytes(form[1], 74), form[2]) if form else (b"", "")
    both = _bytes(form[3], 64) if form else b""
    if not signed or not both or signed[:2] != b"ED":
        raise SignatureError(f"{signature} is no signature of minisign. Fetch it again.")
    if signed[2:10] != number:
        other, ours = signed[2:10][::-1].hex().upper(), number[::-1].hex().upper()
        raise SignatureError(
            f"{path} is signed with the key {other}, and {ours} is the trusted one. Do not use this package, unless "
            "its maintainers announced another key."
        )
    proofs = ((digest.digest(), signed[10:]), (signed[10:] + comment.encode(), both))
    if not all(_signed(message, proof, public) for message, proof in proofs):
        raise SignatureError(
            f"{path} is not what was signed: the signature does not fit. Do not use it; fetch both again."
        )
    return comment


def _key(text: str) -> tuple[bytes, bytes]:
    known = _bytes(text.strip(), 42)
    if known[:2] != b"Ed":
        raise SignatureError(f"{text[:80]!r} is no public key of minisign. Give the line that begins with RW (--key).")
    return known[2:10], known[10:]


def _bytes(text: str, length: int) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return found if len(found) == length else b""


def _signed(message: bytes, proof: bytes, public: bytes) -> bool:
    with tempfile.TemporaryDirectory() as directory:
        paths = {name: os.path.join(directory, name) for name in ("key", "message", "proof")}
        for name, content in (("key", _SPKI + public), ("message", message), ("proof", proof)):
            with open(paths[name], "wb") as file:
                file.write(content)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", paths["key"], "-rawin"]
        try:
            done = subprocess.run(
                [*command, "-in", paths["message"], "-sigfile", paths["proof"]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
        except FileNotFoundError:
            raise SignatureError("Signatures are verified with openssl, which is not installed. Install it.") from None
    return not done.returncode
