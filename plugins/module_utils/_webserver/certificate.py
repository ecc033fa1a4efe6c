# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a certificate and a key on this host can serve a name."""

from __future__ import annotations

import ssl
import time

from .._common import x509


def complaint(certificate: str, key: str, domain: str) -> str:
    """What is wrong with the pair, in a sentence that names the variable; an empty text when it can serve the name.

    Whether others trust it is seen on the wire.
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
    try:
        with open(certificate, encoding="utf-8", errors="replace") as file:
            found = x509.first_of(file.read())
    except x509.CertificateError:
        return f"{names}, which contains no certificate in PEM form. Set it to the full chain, the site's own first."
    try:
        # Else OpenSSL would ask for a password on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError as problem:
        if problem.reason == "KEY_VALUES_MISMATCH":
            why = "does not belong to the certificate"
        else:
            why = "is not a key in PEM form that a server can read without a passphrase"
        return (
            f'chamilo_https_certificate_key_file is "{key}", which {why}. '
            f'Set it to the private key of "{certificate}", without a passphrase.'
        )
    if not found.covers(domain):
        why = f"it is for {', '.join(found.names) or 'no name'}. Set it to a certificate for that name."
    elif not found.not_before <= time.time() < found.not_after:
        why = "it is out of date. Renew it."
    else:
        return ""
    return f'{names}, which cannot serve "{domain}": {why}'
