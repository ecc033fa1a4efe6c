# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._portal import configuration
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.discovery import discover


def device(path):
    os.symlink("/dev/zero", path)


@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir, device])
def test_what_is_no_file_is_refused_at_once(tmp_path, put):
    put(str(tmp_path / "file"))
    with pytest.raises(OSError, match="no regular file"):
        configuration.Tree().read(str(tmp_path / "file"))


def test_a_giant_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(configuration, "MOST", 10)
    (tmp_path / "file").write_text("x" * 11)
    with pytest.raises(OSError, match="larger than 10 bytes"):
        configuration.Tree().read(str(tmp_path / "file"))
    monkeypatch.undo()
    os.truncate(tmp_path / "file", 64 << 20)
    assert len(configuration.Tree().read(str(tmp_path / "file"))) == 64 << 20
    os.truncate(tmp_path / "file", (64 << 20) + 1)
    with pytest.raises(OSError, match="larger than 67108864 bytes"):
        configuration.Tree().read(str(tmp_path / "file"))


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


def test_the_word_for_a_site_is_its_domain(host):
    host.write("/var/lib/chamilo-hardening/hsts-campus_test.json", '{"since": "2026-11-25"}')
    assert discover("campus.test", tree=host.tree).hsts_since == "2026-11-25"


@pytest.mark.parametrize(
    ("address", "port", "public"),
    [
        ("*", 80, True),
        ("192.0.2.7", 443, True),
        ("*", 79, False),
        ("*", 81, False),
        ("*", 442, False),
        ("*", 8443, False),
        ("127.0.0.1", 80, False),
        ("[::1]", 443, False),
        ("localhost", 80, False),
        ("[::]", 80, True),
    ],
)
def test_a_visitor_who_types_a_name_gets_to_two_ports(address, port, public):
    assert configuration.is_public(address, port) == public


def test_what_is_no_directory_is_refused_and_no_handle_is_left(tmp_path):
    (tmp_path / "file").touch()
    handles = len(os.listdir("/proc/self/fd"))
    with pytest.raises(NotADirectoryError, match=f"no directory: '{tmp_path}/file'"):
        configuration.Tree().directory(str(tmp_path / "file"), lambda *_link: "")
    assert len(os.listdir("/proc/self/fd")) == handles
    handle = configuration.Tree().directory(str(tmp_path), lambda *_link: "")
    try:
        assert os.listdir(handle) == ["file"]
    finally:
        os.close(handle)
