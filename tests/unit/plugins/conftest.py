# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Tree
from ansible_collections.chamilo.hardening.plugins.module_utils._updates import advisories
from ansible_collections.chamilo.hardening.plugins.plugin_utils._advisories import brief

DEBIAN = Path(__file__).parents[1] / "fixtures" / "debian"
VHOSTS = Path(__file__).parents[2] / "testbed" / "vhosts"


class Files:
    """The files of a host that is not there."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def tree(self) -> Tree:
        return Tree(str(self.root))

    def write(self, path: str, text: str = "") -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def link(self, path: str, target: str) -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(target)

    def install(self, server: str) -> None:
        """What Debian's package brings."""
        shutil.copytree(DEBIAN / server, self.root, dirs_exist_ok=True)
        for file in self.root.glob("etc/apache2/*-available/*.*"):
            kind = file.parent.name.partition("-")[0]
            if kind in ("mods", "conf") and file.stem != "ssl":  # as a2enmod and a2enconf do it
                self.link(f"/etc/apache2/{kind}-enabled/{file.name}", f"../{kind}-available/{file.name}")
        self.write({"nginx": "/usr/sbin/nginx", "apache": "/usr/sbin/apache2"}[server])

    def site(self, server: str, text: str, name: str = "campus.conf") -> str:
        """A virtual host in sites-available, with its link in sites-enabled. Returns the file's path."""
        directory = {"nginx": "/etc/nginx", "apache": "/etc/apache2"}[server]
        self.write(f"{directory}/sites-available/{name}", text)
        self.link(f"{directory}/sites-enabled/{name}", f"../sites-available/{name}")
        return f"{directory}/sites-available/{name}"

    def testbed_site(self, server: str, name: str) -> str:
        """One of the virtual hosts that the real hosts are tested with."""
        text = (VHOSTS / server / f"{name}.conf").read_text()
        return self.site(server, text.replace("@DOMAIN@", "campus.test").replace("@PHP@", "8.4"))

    def chamilo(self, root: str = "/var/www/chamilo", env: str = "APP_ENV=prod\n") -> None:
        self.write(f"{root}/public/main/index.php")
        self.write(f"{root}/public/main/install/version.php", "<?php\nreturn ['new_version' => '2.0.4'];\n")
        self.write(f"{root}/bin/console")
        self.write(f"{root}/.env", env)


@pytest.fixture
def host(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def open_host():
    """The same, in a place that other users may enter; pytest's own is for its user alone."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Files(Path(directory))


@contextlib.contextmanager
def as_nobody():
    """As an account other than root, whichever account runs the tests."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def nobody():
    return as_nobody


@pytest.fixture
def deep():
    """Nests 1100 directories: more than Python's recursion limit, and more than one of cron's jobs may open."""
    made = []
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, limits[0]), limits[1]))

    def make(directory: Path) -> None:
        made.append(str(directory / "d"))
        here = os.open(directory, os.O_RDONLY)
        for _level in range(1100):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(here)

    yield make
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    subprocess.run(["rm", "-rf", "--", *made], check=True)


@pytest.fixture(autouse=True)
def packed(monkeypatch):
    """The list of releases and vulnerabilities, which on a host the program has in it."""
    monkeypatch.setattr(advisories, "packed", lambda: advisories.read(brief()))
