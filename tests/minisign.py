"""Signs packages as minisign does."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Signer:
    def __init__(self, number: bytes = b"") -> None:
        self.number = number or os.urandom(8)
        self._key = Ed25519PrivateKey.generate()

    @property
    def public(self) -> str:
        return base64.b64encode(b"Ed" + self.number + self._key.public_key().public_bytes_raw()).decode()

    def sign(self, path: Path, comment: str = "timestamp:1793700000") -> Path:
        """Write the signature beside a file."""
        beside = path.with_name(f"{path.name}.minisig")
        beside.write_text(self.signature(hashlib.blake2b(path.read_bytes()).digest(), comment))
        return beside

    def signature(self, digest: bytes, comment: str) -> str:
        """The text of the signature of a file with this BLAKE2b checksum."""
        proof = self._key.sign(digest)
        lines = [
            "untrusted comment: signature from minisign secret key",
            base64.b64encode(b"ED" + self.number + proof).decode(),
            f"trusted comment: {comment}",
            base64.b64encode(self._key.sign(proof + comment.encode())).decode(),
        ]
        return "\n".join(lines) + "\n"
