# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The key pair that signs the tokens of the API: whether others may have a copy, the same one encrypted, or a new one.

A key that others have signs tokens of any account, whatever passphrase its file has later.
"""

from __future__ import annotations

import contextlib
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .._application import known_secrets
from .._common import acl
from .._common.errors import HardeningError
from .._common.files import Item, file_item
from .._common.openssl import OpenSsl

SHIPPED_PASSPHRASE = "your_secret_passphrase"  # of the key in the sources of Chamilo
_OTHERS = 0o006  # read or write
_FEWEST_BITS = 2048
_CONSEQUENCE = (
    "The key pair of the API's tokens is replaced, for others may have the old one: {}. Tokens that were given out are "
    "refused, so clients of the API log in once more."
)
_SHARED = (
    "Others may have the key of the API's tokens, {}: {}. It was encrypted again and not replaced, for several nodes "
    "may share it. Replace it on one of them (bin/console lexik:jwt:generate-keypair --overwrite), and copy both files "
    "to the others."
)
_ELSEWHERE = (
    "Others may have the key of the API's tokens, {}: {}. It was not replaced, because JWT_PUBLIC_KEY names a file "
    "outside of the portal's directory. Replace both halves (bin/console lexik:jwt:generate-keypair --overwrite)."
)
_TAKEN = (
    "The key pair of the API's tokens is the one of the node that leads the portal now. Tokens that this node gave out "
    "are refused, so clients of the API log in once more."
)
_OPEN = (
    "Every account of this host can read {}, the key of the API's tokens (mode {:04o}). It was not replaced again, "
    "because this collection made it, with a passphrase of its own. Take that right away (chmod o= FILE), and out of "
    "chamilo_permissions_policy where that gives it."
)


class TokenKeyError(HardeningError):
    """The pair cannot be used or made. The text is a sentence without a secret."""


@dataclass(frozen=True)
class Pair:
    """A key pair as it lies on the disk.

    ``rewritten``: we encrypted it when others could have it, and made none. ``ours``: the private half is as we wrote
    it. ``reachable``: every account of the host can get to its directory. An empty ``public_path``: the public half
    is not ours to write.
    """

    path: str
    public_path: str
    private: Item
    public: Item
    openssl: OpenSsl
    rewritten: bool = False
    ours: bool = False
    reachable: bool = True

    @property
    def open(self) -> bool:
        """Whether every account of the host can read or write the private half."""
        return bool(self.private.mode & _OTHERS) and self.reachable

    def fits(self, passphrase: str) -> bool:
        """Whether the key is encrypted, with this passphrase."""
        return b"ENCRYPTED" in self.private.data and bool(self.opens(self.private.data, passphrase))

    def exposed(self, passphrases: Sequence[str]) -> str:
        """Why others may have a copy of the key, or an empty text. The passphrases are those it may have."""
        if b"ENCRYPTED" not in self.private.data:
            return "it was not encrypted"
        passphrase, half = self.opened(passphrases)
        fault = known_secrets.fault(passphrase)
        if fault:
            return f"its passphrase {fault}"
        if self.open and not self.ours:
            return f"every account of this host could read it (mode {stat.S_IMODE(self.private.mode):04o})"
        if self.public.is_file and self._normal(self.public.data) not in (b"", half):
            return "the public half belongs to another key"
        return "it was encrypted again when others could have it, and not replaced" if self.rewritten else ""

    def encrypted(self, passphrases: Sequence[str], new: str) -> bytes:
        """The same key, encrypted with another passphrase and no other."""
        old, half = self.opened(passphrases)
        words = ["-aes-256-cbc", "-passin", "@0", "-passout", "@1"]
        code, made = self.openssl(["pkey", *words], self.private.data, [old, new])
        if not code and b"ENCRYPTED" in made and self.opens(made, new) == half:
            return made
        raise TokenKeyError(f"{self.path} could not be encrypted with another passphrase: openssl answers {code}.")

    def renewed(self, passphrases: Sequence[str], new: str, user: int, group: int) -> tuple[Item, Item]:
        """Another pair of the same kind: the private half for its owner and for PHP, the public half for all."""
        kind = self._kind(self.opened(passphrases)[1])
        code, made = self.openssl(["genpkey", *kind, "-aes-256-cbc", "-pass", "@0"], b"", [new])
        half = self.opens(made, new) if not code and b"ENCRYPTED" in made else b""
        if not half:
            raise TokenKeyError(f"No new key pair could be made for {self.path}: openssl answers {code}.")
        return self.laid(made, half, user, group)

    def laid(self, made: bytes, half: bytes, user: int, group: int) -> tuple[Item, Item]:
        """Both halves of another pair as files. No account reads them that could not read those that are there."""
        old = self.private
        if not old.is_file:
            return file_item(made, 0, max(group, 0), 0o640), file_item(half, 0, max(group, 0), 0o644)
        private = file_item(made, old.uid, old.gid, old.mode & 0o640)
        listed = any(name == acl.ACCESS for name, _value in old.xattrs)
        # PHP read it as one of the others, or by an ACL; a new one has none.
        if (old.mode & 0o004 or listed) and user not in (old.uid, -1) and old.gid != group:
            private = file_item(made, old.uid, group, 0o640)
        here = self.public if self.public.is_file else private
        return private, file_item(half, here.uid, here.gid, (here.mode & 0o644) | 0o044)

    def is_pair(self, private: bytes, public: bytes, passphrase: str) -> bool:
        """Whether this is a pair of keys, encrypted with this passphrase."""
        half = self.opens(private, passphrase) if b"ENCRYPTED" in private else b""
        return bool(half) and half == self._normal(public)

    def opened(self, passphrases: Sequence[str]) -> tuple[str, bytes]:
        for passphrase in dict.fromkeys([*passphrases, SHIPPED_PASSPHRASE]):
            half = self.opens(self.private.data, passphrase)
            if half:
                return passphrase, half
        raise TokenKeyError(
            f"{self.path} does not open with JWT_PASSPHRASE, nor with the passphrase Chamilo ships: no token can be "
            "made. Make new keys with `bin/console lexik:jwt:generate-keypair --overwrite`."
        )

    def opens(self, key: bytes, passphrase: str) -> bytes:
        """The public half of a key, or nothing where the passphrase is not the right one."""
        code, public = self.openssl(["pkey", "-passin", "@0", "-pubout"], key, [passphrase])
        if code == 127:
            raise TokenKeyError("The JWT key cannot be checked without the program openssl. Install it.")
        return b"" if code else public

    def _normal(self, public: bytes) -> bytes:
        """The public half in the form that openssl gives it, also out of a certificate; nothing where it is neither."""
        for words in (["pkey", "-pubin", "-pubout"], ["x509", "-noout", "-pubkey"]):
            code, normal = self.openssl(words, public, [])
            if not code:
                return normal
        return b""

    def _kind(self, half: bytes) -> list[str]:
        """The words for a key of the same kind: its configuration names the algorithm."""
        _code, text = self.openssl(["pkey", "-pubin", "-noout", "-text"], half, [])
        curve = re.search(rb"ASN1 OID: (\w+)", text)
        if curve:
            return ["-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve[1].decode()}"]
        bits = re.search(rb"\((\d+) bit\)", text)
        return ["-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{max(_FEWEST_BITS, int(bits[1]) if bits else 0)}"]


@dataclass(frozen=True)
class PairPlan:
    """What is to become of a pair. ``items``: what is written, the private half first."""

    items: tuple[Item, ...] = field(default=(), repr=False)
    replaced: bool = False  # by another pair: tokens that the old one signed are refused
    sound: tuple[str, ...] = ()  # the public half of a key that no other account has
    consequences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def taken(pair: Pair, private: bytes, public: bytes, old: str, new: str, reader: tuple[int, int]) -> PairPlan | None:
    """The pair of another node of the portal, in place of the one that is here; None where that is the same."""
    half = pair.opens(private, new) if b"ENCRYPTED" in private else b""
    if not half:
        raise TokenKeyError("What the node that leads the portal has as the key of the API's tokens does not open.")
    public = public if pair.is_pair(private, public, new) else half  # a certificate
    here = b""
    with contextlib.suppress(TokenKeyError):  # one that does not open is of no use
        here = pair.opened((old, new))[1]
    if not pair.public_path or here == half and pair.is_pair(pair.private.data, pair.public.data, new):
        return None
    replaced = here not in (b"", half)
    return PairPlan(pair.laid(private, public, *reader), replaced, consequences=(_TAKEN,) if replaced else ())


def planned(pair: Pair, old: str, new: str, alone: bool, reader: tuple[int, int]) -> PairPlan:
    """A pair that opens with the passphrase ``new``: another one where others may have it and no node shares it."""
    if re.search(r"[\r\n]", new):
        raise TokenKeyError("JWT_PASSPHRASE has a line break, which openssl does not take.")
    known = (old, new)
    fits = pair.fits(new)
    why = pair.exposed(known) if alone or not fits else ""
    if why and alone and pair.public_path:
        return PairPlan(pair.renewed(known, new, *reader), True, consequences=(_CONSEQUENCE.format(why),))
    left_open = (_OPEN.format(pair.path, stat.S_IMODE(pair.private.mode)),) if pair.open and pair.ours else ()
    if why and not pair.public_path:
        left_open = (_ELSEWHERE.format(pair.path, why),)
    if fits:
        return PairPlan(notes=left_open)
    made = pair.encrypted(known, new)
    item = replace(pair.private, data=made, sha256=file_item(made, 0, 0, 0).sha256, mtime_ns=0)
    if why:
        return PairPlan((item,), notes=left_open if not pair.public_path else (_SHARED.format(pair.path, why),))
    return PairPlan((item,), sound=(pair.public_path,) if pair.public_path else (), notes=left_open)
