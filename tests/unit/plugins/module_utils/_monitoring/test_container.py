# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled code that was changed is known by what the application compiles, whatever its times are. Real files."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import container, container_record

CONSOLE = ("runuser", "-u", "www-data", "--", "php8.4", "bin/console")
LOADER = "<?php return new \\{name}\\App([ 'container.build_hash' => '{name}', 'container.build_time' => {time}, ]);"
GETTER = "prod/ContainerAbc/getMailer.php"
EVIL = "<?php system($_POST['x']);"


class Portal:
    """What its console compiles: the same each time, but for the moment."""

    def __init__(self, root):
        self.root, self.cache = root, root / "var/cache"
        self.cache.mkdir(parents=True)
        self.name, self.times, self.code, self.random, self.reloads = "ContainerAbc", 0, 0, False, 0

    def compile(self, argv, _seconds=0):
        if argv[0] == sys.executable:  # no view of its own: what is put away first is seen by all
            return 1, "Operation not permitted"
        assert tuple(argv) == (*CONSOLE, *container.WARM_UP)
        self.times += 1
        for path, text in {
            f"prod/{self.name}/getMailer.php": "<?php // mailer",
            f"prod/{self.name}/App.php": f"<?php // {self.times}" if self.random else "<?php // app",
            "prod/App_Container.php": LOADER.format(name=self.name, time=1_700_000_000 + self.times),
            "prod/twig/ab/page.php": "<?php // page",
            "prod/pools/x/y.php": f"<?php // {self.times}",
            "prod/App.meta": f"{self.times}",
        }.items():
            self.write(path, text)
        return self.code, "no memory"

    def write(self, path, text):
        (self.cache / path).parent.mkdir(parents=True, exist_ok=True)
        (self.cache / path).write_text(text)

    def reload(self):
        self.reloads += 1
        return ""

    def check(self):
        return container.check(str(self.root), CONSOLE, self.compile, self.reload)


@pytest.fixture
def portal(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    there = Portal(tmp_path / "campus")
    there.compile([*CONSOLE, *container.WARM_UP])
    assert there.check() == ([], "") and there.times == 2
    return there


@pytest.mark.parametrize("path", ["prod/twig/cd/later.php", "prod/pools/system/x/y.php", "prod/pools/app/z", "x/y"])
def test_what_cannot_be_compared_goes_each_day(portal, path):
    """Requests run the values of the pools, and the templates that were compiled later: they may be planted."""
    portal.write(path, EVIL)
    (portal.cache / "prod/App_Container.php").write_text(LOADER.format(name="ContainerAbc", time=1))
    assert portal.check() == ([], "") and (portal.times, portal.reloads) == (3, 0)
    assert not (portal.cache / path).exists()


@pytest.mark.parametrize("path", [GETTER, "prod/App_Container.php", "prod/twig/ab/page.php"])
def test_what_was_changed_with_all_of_its_times_is_named_and_gone(portal, path):
    """All of it at one moment, with the times it had."""
    new = portal.root / "var/new"
    shutil.copytree(portal.cache / "prod", new)
    (new / path.partition("/")[2]).write_text(EVIL)
    shutil.copystat(portal.cache / path, new / path.partition("/")[2])
    shutil.rmtree(portal.cache / "prod")
    new.rename(portal.cache / "prod")
    assert portal.check() == ([f"var/cache/{path}"], "") and portal.reloads == 1
    assert "system" not in (portal.cache / path).read_text()
    assert portal.check() == ([], "") and portal.reloads == 1
    assert container_record.found(str(portal.root)) == [f"var/cache/{path}"], "until an administrator looked at it"
    container_record.accepted(str(portal.root))
    assert container_record.found(str(portal.root)) == []


def test_a_build_number_contains_no_code(portal):
    text = LOADER.format(name="ContainerAbc", time="eval($_POST['x'])")
    portal.write("prod/App_Container.php", text)
    assert portal.check()[0] == ["var/cache/prod/App_Container.php"]


def test_a_container_of_another_name_that_this_configuration_does_not_give(portal):
    shutil.move(portal.cache / "prod/ContainerAbc", portal.cache / "prod/ContainerEvil")
    portal.write("prod/App_Container.php", LOADER.format(name="ContainerEvil", time=1))
    assert portal.check()[0] == ["var/cache/prod/ContainerEvil"]
    assert sorted(os.listdir(portal.cache / "prod")) == [
        "App.meta",
        "App_Container.php",
        "ContainerAbc",
        "pools",
        "twig",
    ]


def test_a_configuration_that_changed_is_no_break_in(portal):
    """An administrator cleared the cache after a change, or not yet."""
    portal.name = "ContainerNew"
    shutil.rmtree(portal.cache / "prod")
    portal.compile([*CONSOLE, *container.WARM_UP])
    assert portal.check() == ([], "") and container_record.found(str(portal.root)) == []
    portal.name = "ContainerNewer"
    assert portal.check() == ([], ""), "and nobody compiled it"
    shutil.rmtree(portal.cache / "prod")
    assert portal.check() == ([], "")


def test_what_never_comes_out_the_same_reports_nothing(portal):
    portal.random = True
    portal.write("prod/ContainerAbc/App.php", "<?php // 0")
    assert portal.check() == ([], "")
    portal.write(GETTER, EVIL)
    assert portal.check()[0] == [f"var/cache/{GETTER}"]


def test_a_cache_that_cannot_be_compiled_again_stays_and_that_is_reported(portal):
    portal.write(GETTER, EVIL)
    portal.code = 255
    found, problem = portal.check()
    assert found == [] and "could not be compiled again" in problem and "no memory" in problem
    assert (portal.cache / GETTER).read_text() == EVIL, "the old one is back, and is compared the next time"
    portal.code = 0
    assert portal.check()[0] == [f"var/cache/{GETTER}"]


def test_what_is_no_file_or_has_no_end_is_read_to_none(portal):
    for path, lay in {
        GETTER: os.mkfifo,
        "prod/ContainerAbc/App.php": lambda at: os.symlink("/etc/passwd", at),
        "prod/twig/ab/page.php": lambda at: os.truncate(os.open(at, os.O_CREAT | os.O_WRONLY), 1 << 40),
    }.items():
        (portal.cache / path).unlink()
        lay(portal.cache / path)
    assert sorted(portal.check()[0]) == [
        f"var/cache/{path}" for path in ("prod/ContainerAbc/App.php", GETTER, "prod/twig/ab/page.php")
    ]


def test_files_without_number_hide_nothing(portal, monkeypatch):
    monkeypatch.setattr(container, "_FILES", 30)
    for number in range(40):
        portal.write(f"prod/aa/{number}.php", "")
    portal.write(GETTER, EVIL)
    portal.check()
    assert "system" not in (portal.cache / GETTER).read_text() and not (portal.cache / "prod/aa").exists()


@pytest.mark.parametrize("text", ["", "[]", '{"/x": 1}'])
def test_a_record_that_is_not_whole_is_none(portal, text):
    with open(f"{files.STATE}/{container_record.RECORD}", "w", encoding="utf-8") as record:
        record.write(text)
    portal.write(GETTER, EVIL)
    assert portal.check()[0] == [f"var/cache/{GETTER}"]


def test_nothing_was_compiled_yet(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    (tmp_path / "var").mkdir()
    assert container.check(str(tmp_path), CONSOLE, pytest.fail, pytest.fail) == ([], "")


def test_a_directory_that_goes_meanwhile_hides_no_other(tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / "prod" / name).mkdir(parents=True)
        (tmp_path / "prod" / name / "x.php").touch()
    opened, gone = os.open, []

    def goes(path, *how, **at):
        if path in ("a", "b") and not gone:
            gone.append(path)
            raise FileNotFoundError
        return opened(path, *how, **at)

    top = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    monkeypatch.setattr(container.os, "open", goes)
    try:
        found = [path for path, _handle, _name in container._php(top, "", 0)]
    finally:
        os.close(top)
    (there,) = {"a", "b"} - {*gone}
    assert found == [f"prod/{there}/x.php"]
