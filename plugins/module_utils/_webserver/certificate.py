# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a certificate and a key on this host can serve a name, found out by a handshake with ourselves in memory."""

from __future__ import annotations

import ssl

_PARTIAL_CHAIN = 0x80000  # ssl.VERIFY_X509_PARTIAL_CHAIN has a name from Python 3.10 on
_ROUNDS = 10


def complaint(certificate: str, key: str, domain: str) -> str:
    """What is wrong with the pair, in a sentence that names the variable; an empty text when it can serve the name.

    The certificates in the file are trusted for the question: whether others trust them is seen on the wire.
    """
    for variable, path in (("certificate_file", certificate), ("certificate_key_file", key)):
        if not path:
            return (
                f"chamilo_https_{variable} is empty, but its counterpart is set. "
                f"Set chamilo_https_certificate_file and chamilo_https_certificate_key_file, or neither."
            )
        try:
            with open(path, "rb"):
                pass
        except OSError as problem:
            return (
                f'chamilo_https_{variable} is "{path}", which cannot be read: {problem.strerror}. Put the file there.'
            )

    names = f'chamilo_https_certificate_file is "{certificate}"'
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.verify_flags |= _PARTIAL_CHAIN
    try:
        client.load_verify_locations(certificate)
    except ssl.SSLError:
        return f"{names}, which contains no certificate in PEM form. Set it to the full chain, the site's own first."
    try:
        server.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as problem:
        if problem.reason == "KEY_VALUES_MISMATCH":
            why = "does not belong to the certificate"
        else:
            why = "is not a key in PEM form that a server can read without a passphrase"
        return (
            f'chamilo_https_certificate_key_file is "{key}", which {why}. '
            f'Set it to the private key of "{certificate}", without a passphrase.'
        )
    try:
        _shake_hands(server, client, domain)
    except ssl.SSLCertVerificationError as problem:
        why = problem.verify_message.rstrip(".")
        return f'{names}, which cannot serve "{domain}": {why}. Set it to a certificate for that name.'
    except ssl.SSLError as problem:
        why = str(getattr(problem, "reason", "") or problem.strerror)
        return f'{names}, which cannot serve "{domain}": {why}. Set it to a certificate clients accept.'
    return ""


def _no_password() -> str:
    return ""  # else OpenSSL would ask on the terminal


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, domain: str) -> None:
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=domain),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _round in range(_ROUNDS):
        for end in tuple(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                pass  # it is the other end's turn
        if not ends:
            return
    raise ssl.SSLError(ssl.SSL_ERROR_SSL, "the handshake does not end")
