# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What gives the web user another account's rights."""

from __future__ import annotations

import errno
import grp
import os

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import privileges
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.tree import Identity

WEB = Identity("www-data", 33, frozenset({33, 4}))
SUDO = """\
Matching Defaults entries for www-data on campus:
    env_reset, mail_badpass, secure_path=/usr/local/sbin\\:/usr/sbin

User www-data may run the following commands on campus:
    (ALL : ALL) ALL
    (root) NOPASSWD: /usr/bin/systemctl restart *
"""


def test_directories_in_which_all_can_write_are_searched():
    assert {"/run/lock", "/var/lib/php/sessions", "/var/tmp"} <= set(privileges._DIRECTORIES)


def test_a_group_that_is_as_good_as_root(monkeypatch):
    names = {4: "adm", 33: "www-data", 999: "docker"}
    monkeypatch.setattr(grp, "getgrgid", lambda number: grp.struct_group((names[number], "x", number, [])))
    assert list(privileges.groups([WEB])) == []
    assert list(privileges.groups([Identity("www-data", 33, frozenset({33, 999, 5000}))])) == ["www-data in docker"]


def test_what_sudo_allows(monkeypatch):
    asked = []
    monkeypatch.setattr(privileges, "output", lambda argv, _seconds: asked.append(argv) or SUDO)
    assert list(privileges.rules([WEB])) == [
        "www-data as ALL : ALL: ALL",
        "www-data as root: NOPASSWD: /usr/bin/systemctl restart *",
    ]
    assert asked == [["sudo", "-n", "-l", "-U", "www-data"]]
    monkeypatch.setattr(
        privileges, "output", lambda _argv, _seconds: "User www-data is not allowed to run sudo on campus.\n"
    )
    assert list(privileges.rules([WEB])) == []


@pytest.mark.parametrize(("mode", "lends"), [(0o4755, True), (0o2755, True), (0o755, False), (0o4644, False)])
def test_a_program_with_its_owners_rights(tmp_path, monkeypatch, mode, lends):
    for name in ("tmp", "bin"):
        (tmp_path / name).mkdir()
        program = tmp_path / name / "php8.4"
        program.write_text("#!/bin/sh\n")
        program.chmod(mode)
    (tmp_path / "tmp/link").symlink_to("php8.4")
    monkeypatch.setattr(privileges, "_DIRECTORIES", (str(tmp_path / "tmp"), str(tmp_path / "none")))
    monkeypatch.setattr(privileges, "_INTERPRETERS", (str(tmp_path / "bin/php*"),))
    desired = [str(tmp_path / name / "php8.4") for name in ("tmp", "bin")] if lends else []
    assert privileges.programs() == (desired, "")


@pytest.mark.parametrize(("bits", "lends"), [(1 << 7, True), (1 << 10, False), (1 << 38, True), (0, False)])
def test_a_capability_counts_where_it_reaches_other_accounts(tmp_path, monkeypatch, bits, lends):
    program = tmp_path / "python3"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    low, high = bits & 0xFFFFFFFF, bits >> 32
    value = b"".join(number.to_bytes(4, "little") for number in (0x02000001, low, 0, high, 0))
    monkeypatch.setattr(os, "getxattr", lambda _path, _name: value)
    assert privileges._lends(str(program)) is lends


@pytest.mark.parametrize(("problem", "raised"), [(errno.ENODATA, False), (errno.ENOTSUP, False), (errno.EIO, True)])
def test_a_file_system_without_capabilities_lends_nothing_and_a_broken_one_is_reported(
    tmp_path, monkeypatch, problem, raised
):
    program = tmp_path / "python3"
    program.touch(0o755)

    def fails(_path, _name):
        raise OSError(problem, os.strerror(problem))

    monkeypatch.setattr(os, "getxattr", fails)
    assert not privileges._lends(str(tmp_path / "gone"))
    if not raised:
        assert not privileges._lends(str(program))
        return
    with pytest.raises(OSError, match="Input/output error"):
        privileges._lends(str(program))
