# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real openssl, and one that writes down what others could see of it."""

from __future__ import annotations

import os

from ansible_collections.chamilo.hardening.plugins.module_utils._common.openssl import run_openssl


def test_a_passphrase_longer_than_a_pipe_blocks_nothing():
    code, made = run_openssl(["pkey", "-passin", "@0", "-pubout"], b"no key", ["a" * 70_000])
    assert code not in (0, 124, 127) and made == b""


def test_a_passphrase_stands_in_no_list_of_processes(tmp_path, monkeypatch):
    """The fake openssl writes down what others could see of it."""
    (tmp_path / "openssl").write_text(
        f"#!/bin/sh\ntr '\\0' ' ' </proc/$$/cmdline >>{tmp_path}/seen\ncat /proc/$$/environ >>{tmp_path}/seen\n"
    )
    (tmp_path / "openssl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    run_openssl(["pkey", "-passin", "@0", "-passout", "@1"], b"key", ["canary-1", "canary-2"])
    seen = (tmp_path / "seen").read_text()
    assert "-passin fd:" in seen and "canary" not in seen
