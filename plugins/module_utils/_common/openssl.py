# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""openssl, which gets each passphrase through a file that no other process has."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence

# ("pkey", ...), the input, the passphrases -> exit code, what came out
OpenSsl = Callable[[Sequence[str], bytes, Sequence[str]], "tuple[int, bytes]"]


def secret_file(data: bytes) -> int:
    """An open file that is in memory alone: on no disk, in no process list. Of any length, where a pipe would wait."""
    handle = os.memfd_create("chamilo-hardening")
    os.fchmod(handle, 0o600)  # the client ignores an option file that every user may change
    with open(handle, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


def run_openssl(words: Sequence[str], given: bytes, passphrases: Sequence[str]) -> tuple[int, bytes]:
    """openssl with this on its input. ``@0`` stands for the first passphrase."""
    files = [secret_file(each.encode("utf-8", "surrogateescape") + b"\n") for each in passphrases]
    try:
        argv = [f"fd:{files[int(word[1:])]}" if word.startswith("@") else word for word in words]
        done = subprocess.run(
            ["openssl", *argv], input=given, capture_output=True, pass_fds=files, timeout=60, check=False
        )
    except FileNotFoundError:
        return 127, b""
    except subprocess.TimeoutExpired:
        return 124, b""
    finally:
        for file in files:
            os.close(file)
    return done.returncode, done.stdout
