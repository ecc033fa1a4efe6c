# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._common import tree
from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Tree


def device(path):
    os.symlink("/dev/zero", path)


@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir, device])
def test_what_is_no_file_is_refused_at_once(tmp_path, put):
    put(str(tmp_path / "file"))
    with pytest.raises(OSError, match="no regular file"):
        Tree().read(str(tmp_path / "file"))


def test_a_giant_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tree, "MOST", 10)
    (tmp_path / "file").write_text("x" * 11)
    with pytest.raises(OSError, match="larger than 10 bytes"):
        Tree().read(str(tmp_path / "file"))


@pytest.mark.parametrize("name", [".env.local", "public/main/install/version.php"])
def test_discovery_goes_on_past_a_pipe_and_reports_so(host, name):
    host.install("nginx")
    host.chamilo()
    host.testbed_site("nginx", "plain")
    pipe = host.root / "var/www/chamilo" / name
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    site = discover("campus.test", tree=host.tree)
    assert site.root == "/var/www/chamilo"
    assert any(f"{name} cannot be read: no regular file" in problem for problem in site.problems)
