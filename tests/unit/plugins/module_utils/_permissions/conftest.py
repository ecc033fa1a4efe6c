# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees for the tests of owners and modes, as root. The web user is www-data."""

from __future__ import annotations

import contextlib
import io
import os
import pwd
import stat
import subprocess
import sys
import types

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import apply, window
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import policy as permissions_policy
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.open_windows import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.policy import Order, built_in
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.window import Windows
from ansible_collections.chamilo.hardening.plugins.module_utils._program import main
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from tests.unit.plugins.module_utils._common.test_acl import packed

WEB = pwd.getpwnam("www-data")


def order(root, profile="production", policy=(), **options):
    rules = (*policy, *built_in(profile, 0, WEB.pw_gid, WEB.pw_uid))
    return Order(str(root), rules, WEB.pw_uid, frozenset({WEB.pw_gid}), **options)


@pytest.fixture(autouse=True)
def same_umask():
    old = os.umask(0o022)
    yield
    os.umask(old)


@pytest.fixture
def site(tmp_path):
    return sloppy(tmp_path / "chamilo")


def sloppy(root):
    """A portal after `chown -R www-data` and `chmod -R 777`."""
    for path in (
        ".env",
        ".env.local",
        "bin/console",
        "config/authentication.yaml",
        "config/jwt/private.pem",
        "public/index.php",
        "public/main/admin/index.php",
        "public/build/app.js",
        "src/Kernel.php",
        "var/cache/prod/x.php",
        "var/log/prod.log",
        "vendor/bin/doctrine",
        "vendor/a/b/bin/tool",
        "vendor/autoload.php",
    ):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)
    subprocess.run(["chown", "-R", "www-data:www-data", root], check=True)
    subprocess.run(["chmod", "-R", "777", root], check=True)
    return root


def state(path):
    status = os.lstat(path)
    return status.st_uid, status.st_gid, f"{stat.S_IMODE(status.st_mode):04o}"


def picture(directory):
    """Owner, group, mode and content of everything."""
    found = {}
    for where, directories, files in os.walk(os.fsencode(directory)):
        for name in [b".", *directories, *files]:
            path = os.path.join(where, name)
            found[path] = state(path)
    return found


def give(path, mode, owner="www-data"):
    account = pwd.getpwnam(owner)
    os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    if not os.path.islink(path):
        os.chmod(path, mode)


def reasons(found):
    return {one["path"]: one["why"] for one in found.refused}


def at_the_moment(monkeypatch, name, exchange, turn=1):
    """Right before this name is opened for the first time, or the second."""
    openly = os.open
    seen = []

    def opened(path, *given, **options):
        if path == name:
            seen.append(name)
            if len(seen) == turn:
                exchange()
        return openly(path, *given, **options)

    monkeypatch.setattr(os, "open", opened)


def acl(user=1, rights=4):
    """user::rw- user:1:r-- group::r-- mask::r-- other::---"""
    entries = [(1, 6, 0xFFFFFFFF), (2, rights, user), (4, 4, 0xFFFFFFFF), (0x10, rights, 0xFFFFFFFF)]
    entries.append((0x20, 0, 0xFFFFFFFF))
    return packed(entries)


ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


@pytest.fixture
def mount(tmp_path):
    """``mount(*words)``; skipping is no answer, so where mounts are forbidden the test fails."""
    done = []

    def mounted(*words):
        subprocess.run(["mount", *map(str, words)], check=True)
        if "remount" not in str(words):
            done.append(words[-1])

    yield mounted
    for target in reversed(done):
        subprocess.run(["umount", "-l", target], check=True)


def given(site):
    """As the module gets it, with the parts that the role names."""
    tree = {"path": str(site), "owner": "root", "group": None, "web_user": WEB.pw_name, "roots": ["var", "config"]}
    return permissions_policy.order(tree, "production")


def fill(site, directories=400, files=5):
    for directory in range(directories):
        path = site / f"var/upload/{directory % 20}/{directory}"
        path.mkdir(parents=True)
        for file in range(files):
            (path / str(file)).write_text("")


class WindowHost:
    """A portal with an installer, and a clock that a test can turn. ``needs``: by which bits its page is read."""

    def __init__(self, directory, web="nginx", pages=None):
        self.directory, self.root = directory, directory / "chamilo"
        self.now, self.dead, self.needs = 1_000_000.0, False, 0o004
        self.commands, self.fails = [], ""
        for name in ("public/index.php", "var/log/x.log", "config/a.yaml", ".env"):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text("")
        self.root.chmod(0o755)
        for name in ("units", "etc/window", "sites"):
            (directory / name).mkdir(parents=True)
        (directory / "etc/updates.conf").write_text("")
        machine = Machine(self.run, systemd=True, program=sys.executable)
        self.engine = Engine(str(directory / "state"), machine, self.fetch)
        self.windows = Windows(self.engine, str(directory / "units"), lambda: self.now)
        self.file = directory / "etc/window/installer.conf"
        installer = {"web": web, "file": str(self.file), "test": [["nginx", "-t"]], "service": "nginx"}
        self.tree = {"path": str(self.root), "owner": "root", "web_user": "www-data", "group": None}
        self.portal = Site("campus", self.tree, installer, pages or {})

    def run(self, argv, _seconds):
        self.commands.append(" ".join(argv))
        if self.fails and self.fails in self.commands[-1]:
            return 1, "no"
        return (0, "active") if "is-active" in argv else (0, "")

    def fetch(self, probe):
        return Answer(probe.url, 200 if not self.dead and self.mode() & self.needs else 500)

    def mode(self, path="public/index.php"):
        return stat.S_IMODE((self.root / path).stat().st_mode)

    def units(self):
        return {path.name: path.read_text() for path in (self.directory / "units").iterdir()}

    def open(self, profile="upgrade", minutes=30, address=""):
        return self.windows.open(self.tree, profile, minutes, address, self.portal)

    def serve(self, monkeypatch):
        """The program that the module runs is this process."""

        def run(argv, input, **_options):
            output, errors = io.StringIO(), io.StringIO()
            monkeypatch.setattr(sys, "stdin", io.StringIO(input))
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
                code = main.main(argv[1:], "1", self.engine)
            return subprocess.CompletedProcess(argv, code, output.getvalue(), errors.getvalue())

        monkeypatch.setattr(apply, "subprocess", types.SimpleNamespace(run=run))
        monkeypatch.setattr(window, "Windows", lambda _engine: self.windows)

    def apply(self, profile="production", until=None, check=False):
        """As the module does it."""
        return apply.apply(self.tree, profile, until, check, (), str(self.directory / "state"), lambda: self.now)
