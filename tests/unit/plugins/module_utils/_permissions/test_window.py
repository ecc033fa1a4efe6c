# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real files, as root; only the commands are not run."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pwd
import subprocess
import sys
import threading

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import backup as backups_backup
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import portal as backups_portal
from ansible_collections.chamilo.hardening.plugins.module_utils._common import alert, mounts, services
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import open_windows
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import window as permissions_window
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.policy import PermsError
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.window import WindowError
from ansible_collections.chamilo.hardening.plugins.module_utils._program import main
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.job import Outcome, TransactionError
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import plan
from tests.unit.plugins.module_utils._permissions.conftest import WindowHost


@pytest.fixture
def host(tmp_path):
    return WindowHost(tmp_path)


def test_open_and_close_and_nothing_is_left(host):
    done = host.open(address="203.0.113.7")
    assert host.mode() == 0o664
    assert "until 1970-01-12 14:16:40 UTC; the installer answers 203.0.113.7 only" in done.window.description()
    assert host.file.read_text().endswith('if ($remote_addr = "203.0.113.7") {\n    set $chamilo_installer "";\n}\n')
    assert "OnCalendar=1970-01-12 14:16:40 UTC\n" in host.units()["chamilo-hardening-window.timer"]
    assert f"{sys.executable} window close --due" in host.units()["chamilo-hardening-window.service"]
    host.windows.close(host.windows.at(host.tree["path"]))
    assert host.mode() == 0o644
    assert not host.file.exists()
    assert host.units() == {}
    assert host.windows.known() == []
    assert "systemctl disable --now chamilo-hardening-window.timer" in host.commands


@pytest.mark.parametrize("what", ["file", "link", "directory", "nothing"])
def test_closing_takes_away_what_authorises_an_upgrade(host, what):
    """Chamilo's own wizard cannot remove it from a tree that is no longer PHP's to write."""
    host.open()
    flag, elsewhere = host.root / "UPGRADE_ENABLED", host.directory / "elsewhere"
    elsewhere.write_text("kept")
    {
        "file": flag.touch,
        "link": lambda: flag.symlink_to(elsewhere),
        "directory": flag.mkdir,
        "nothing": lambda: None,
    }[what]()
    done = host.windows.close(host.windows.at(host.tree["path"]))
    assert os.path.lexists(flag) is (what == "directory") and elsewhere.read_text() == "kept"
    assert any("UPGRADE_ENABLED was removed" in note for note in done.notes) is (what in ("file", "link"))


def test_a_window_is_not_closed_while_an_upgrade_stays_authorised(host, monkeypatch):
    host.open()
    (host.root / "UPGRADE_ENABLED").touch()

    def kept(*_arguments, **_more):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(permissions_window.os, "unlink", kept)
    with pytest.raises(WindowError, match="UPGRADE_ENABLED cannot be removed: Operation not permitted"):
        host.windows.close(host.windows.at(host.tree["path"]))
    assert host.windows.at(host.tree["path"])


@pytest.mark.parametrize("name", ["disk", "disk/chamilo", "disk/chamilo/public"])
def test_a_tree_on_a_disk_that_comes_late_is_closed_when_it_is_there(host, monkeypatch, name):
    """The disk is the directory above the tree, the tree itself, or a part of it that was named."""
    disk = host.directory / name
    (host.directory / "disk").mkdir()
    host.root = host.root.rename(host.directory / "disk/chamilo")
    host.tree["path"] = str(host.root)
    if name.endswith("public"):
        host.tree["roots"] = ["public"]
    mounted = {"/": "ext4", str(disk): "nfs4"}
    monkeypatch.setattr(mounts, "mounts", lambda: mounted)
    host.open()
    disk.rename(host.directory / "elsewhere")
    disk.mkdir()
    del mounted[str(disk)]
    with pytest.raises(WindowError, match=f"not wholly closed: {disk} is not mounted. If it is gone for good"):
        host.windows.close(host.windows.at(host.tree["path"]))
    assert host.windows.known() and host.units(), "it is tried again"
    assert os.listdir(disk) == []
    disk.rmdir()
    (host.directory / "elsewhere").rename(disk)
    mounted[str(disk)] = "nfs4"
    host.windows.close(host.windows.at(host.tree["path"]))
    assert host.mode() == 0o644 and host.units() == {}


@pytest.mark.parametrize("fails", ["daemon-reload", "enable", "restart", "systemctl"])
def test_what_nothing_would_close_is_not_open(host, monkeypatch, fails):
    monkeypatch.setattr(permissions_window, "Windows", lambda _engine: host.windows)
    host.fails = fails
    with pytest.raises(WindowError, match=r"`systemctl (daemon-reload|enable|restart)"):
        host.open()
    assert host.windows.known() == [] and host.mode() == 0o644
    (host.root / "public/index.php").chmod(0o666)
    found, reported = host.apply()
    assert found.changed and reported == "" and host.mode() == 0o644


def test_a_window_keeps_its_deadline_when_it_cannot_be_moved(host):
    host.open(minutes=10)
    before, units = host.windows.known(), host.units()
    host.fails = "restart chamilo-hardening-window.timer"
    with pytest.raises(WindowError, match="restart"):
        host.open("install", 60)
    assert host.windows.known() == before and host.units() == units
    assert host.mode() == 0o664


def test_an_opening_that_fails_is_closed_again(host, monkeypatch):
    host.fails = "nginx -t"
    with pytest.raises(TransactionError, match="nginx -t"):
        host.open(address="203.0.113.7")
    assert host.mode() == 0o644
    assert host.windows.known() == []
    assert host.units() == {}


def test_apache_is_reported_in_its_own_words(tmp_path):
    host = WindowHost(tmp_path, web="apache")
    host.open(address="2001:db8:0::7")
    assert host.file.read_text().endswith("\nRequire ip 2001:db8::7\n")


@pytest.mark.parametrize(("seconds", "output"), [(30, []), (0.1, ["nginx was reloaded and still answers as before."])])
def test_a_window_is_open_when_no_old_worker_of_nginx_answers(host, monkeypatch, seconds, output):
    """And closed when none answers: by its end, or for the first address by opening it again for another."""
    monkeypatch.setattr(services, "TURN_SECONDS", seconds)
    leaves = []

    def run(argv, _seconds):
        if argv[:2] == ["systemctl", "reload"]:
            leaves[-1].start()
        return (0, str(os.getpid())) if "--property=MainPID" in argv else host.run(argv, _seconds)

    host.engine.machine.run = run
    let_in = functools.partial(host.open, address="203.0.113.7")
    let_another_in = functools.partial(host.open, address="203.0.113.8")
    for change in (let_in, let_another_in, lambda: host.windows.close(host.windows.known()[0])):
        with subprocess.Popen(["sleep", "60"]) as worker:
            leaves.append(threading.Timer(0.2, worker.kill))
            done = change()
            assert (worker.poll() is None) is bool(output)
            assert [note.partition(" See its")[0] for note in done.notes] == output
            leaves[-1].join()


def test_opening_again_moves_the_deadline_and_the_address(host):
    host.open(address="203.0.113.7")
    host.now += 60
    host.open("install", 10, "::ffff:203.0.113.8")
    (window,) = host.windows.known()
    assert (window.profile, window.until, window.address) == ("install", 1_000_660, "203.0.113.8")
    assert host.mode() == 0o644 and host.mode(".env") == 0o660
    assert "203.0.113.8" in host.file.read_text()
    host.now += 60
    host.open("install", 10)
    (window,) = host.windows.known()
    assert (window.until, window.address, window.site) == (1_000_720, "203.0.113.8", "campus")
    assert "203.0.113.8" in host.file.read_text()
    host.now += 600  # its time is up: a new window has to name the address anew
    host.open("install", 10)
    assert not host.file.exists() and host.windows.known()[0].address == ""


def test_a_link_that_moves_on_leaves_no_tree_open(host):
    current = host.directory / "current"
    current.symlink_to("chamilo")
    host.tree["path"] = str(current)
    host.open()
    current.unlink()
    current.symlink_to("elsewhere")
    host.windows.close(host.windows.known()[0])
    assert host.mode() == 0o644


def test_a_tree_that_has_gone_is_closed(host):
    host.open()
    host.root.rename(host.directory / "gone")
    assert "is not there any more" in host.windows.close(host.windows.known()[0]).notes[0]
    assert host.windows.known() == []


def test_a_full_disk_keeps_no_window_open(host, monkeypatch):
    """What is written down lies on a disk of its own here, and nothing fits on it once the window is open."""
    monkeypatch.setattr(permissions_window, "Windows", lambda _engine: host.windows)
    directory = host.directory / "state"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", directory], check=True)
    try:
        host.open()
        with contextlib.suppress(OSError), open(directory / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
        assert main.main(("window", "close"), "1", host.engine) == 0
        assert host.mode() == 0o644
        assert host.windows.known() == [] and host.units() == {}
    finally:
        subprocess.run(["umount", "-l", directory], check=True)


def test_what_cannot_be_closed_stays_written_down(host):
    host.open(address="203.0.113.7")
    host.fails = "nginx -t"
    with pytest.raises(WindowError, match=r"not wholly closed: the installer: .*nginx -t"):
        host.windows.close(host.windows.known()[0])
    assert host.mode() == 0o644  # the other half is not left open for it
    assert host.windows.known() and host.units()
    host.fails = ""
    host.windows.close(host.windows.known()[0])
    assert not host.file.exists() and not host.units()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"minutes": 0}, "1 to 1440"),
        ({"minutes": 1441}, "1 to 1440"),
        ({"address": "campus.test"}, "Invalid value for --from: 'campus.test'. It must be one IP address"),
        ({"address": "203.0.113.0/24"}, "must be one IP address"),
        ({"address": 'fe80::1%") { return 200; } #'}, "must be one IP address"),
    ],
)
def test_what_does_not_fit_is_refused(host, given, words):
    with pytest.raises(WindowError, match=words):
        host.open(**given)
    assert host.commands == [] and host.mode() == 0o644


def test_the_installer_of_a_portal_that_is_not_known_stays_closed(host):
    words = "^Only the installer of a portal that the role permissions manages can be opened.$"
    with pytest.raises(WindowError, match=words):
        host.windows.open(host.tree, "upgrade", 30, "203.0.113.7")
    assert host.commands == [] and host.windows.known() == []
    assert host.windows.open(host.tree, "upgrade", 30).found.changed


def test_units_that_are_gone_already_hinder_no_closing(host):
    host.open()
    (host.directory / "units/chamilo-hardening-window.service").unlink()
    host.windows.close(host.windows.known()[0])
    assert host.units() == {} and host.windows.known() == [] and host.mode() == 0o644


def test_nothing_opens_where_nothing_would_close_it(host):
    host.engine.machine.systemd = False
    with pytest.raises(WindowError, match="systemd does not run here"):
        host.open()
    host.engine.machine.systemd = True
    host.engine.machine.program = "/nonexistent"
    with pytest.raises(WindowError, match="/nonexistent is not installed"):
        host.open()
    host.engine.machine.program = sys.executable
    host.tree["web_user"] = "nobody-at-all"
    with pytest.raises(PermsError, match="nobody-at-all"):
        host.open()
    assert host.windows.known() == []


def test_an_unguarded_installer_is_reported(host):
    (host.directory / "etc/updates.conf").unlink()
    assert "section updates is not active" in host.open(address="203.0.113.7").notes[0]


@pytest.mark.parametrize("text", ["[{", '[{"tree": {}}]'])
def test_a_damaged_list_is_reported(host, text):
    (host.directory / "state").mkdir()
    (host.directory / "state/windows.json").write_text(text)
    with pytest.raises(WindowError, match=r"windows\.json is damaged"):
        host.windows.known()


def write(host, *names):
    for name in names:
        text = json.dumps({"tree": host.tree, "installer": dict(host.portal.installer)})
        (host.directory / f"sites/permissions-{name}.json").write_text(text)
    return str(host.directory / "sites")


def test_the_site_is_the_only_one_or_the_one_named(host):
    directory = write(host)
    with pytest.raises(WindowError, match="has not run on this host"):
        permissions_window.site("", directory)
    write(host, "campus")
    assert permissions_window.site("", directory).tree == host.tree
    write(host, "shop")
    with pytest.raises(WindowError, match="several sites here: campus, shop"):
        permissions_window.site("", directory)
    assert permissions_window.site("shop", directory).name == "shop"
    with pytest.raises(WindowError, match="no site 'shap' here. There is: campus, shop"):
        permissions_window.site("shap", directory)


def test_the_module_leaves_an_open_tree_alone_and_closes_one_that_is_due(host, monkeypatch):
    host.serve(monkeypatch)
    found, reported = host.apply("upgrade", 30)
    assert found.changed and "is open (upgrade)" in reported
    found, reported = host.apply("install", 30)
    assert found.changed and "is open (install)" in reported, "another profile is another wish"
    host.apply("upgrade", 30)
    for profile, until in (("production", None), ("upgrade", 60)):
        found, reported = host.apply(profile, until)
        assert not found.changed and "1970-01-12 14:16:40" in reported
    host.now += 1800
    found, reported = host.apply(check=True)
    assert found.changed and host.mode() == 0o664
    found, reported = host.apply()
    assert found.changed and reported == "" and host.windows.known() == []
    with pytest.raises(WindowError, match="production has no end"):
        host.apply("production", 30)


@pytest.fixture
def desk(host, monkeypatch):
    """A host on which commands about windows can be typed. ``saved``: backups taken; ``reported``: the alerts."""
    monkeypatch.setattr(permissions_window, "Windows", lambda _engine: host.windows)
    monkeypatch.setattr(open_windows, "SITES", write(host, "campus"))
    monkeypatch.setattr(backups_portal, "CONFIGURATION", str(host.directory))
    monkeypatch.setattr(main.syslog, "syslog", lambda level, line: None)
    host.saved, host.reported, host.broken = [], [], ""

    def backup(portal):
        if host.broken:
            raise backups_portal.BackupError(host.broken)
        host.saved.append((portal.site, host.mode()))
        return ["42 files."]

    monkeypatch.setattr(backups_backup, "backup", backup)
    monkeypatch.setattr(alert, "notify", lambda section, title, text, again=False: host.reported.append((title, text)))
    return host


def saves(host, site):
    (host.directory / f"backups-{site}.json").write_text(
        json.dumps({"site": site, "domain": f"{site}.test", "root": "/"})
    )


def test_a_backup_that_fails_keeps_the_window_closed(desk, capsys):
    saves(desk, "campus")
    desk.broken = "The repository is full."
    assert main.main(("window", "open", "--yes"), "1", desk.engine) == 1
    assert (desk.mode(), desk.windows.known()) == (0o644, [])
    output = capsys.readouterr().err
    assert "the window stays closed: The repository is full." in output and "window open --without-backup" in output
    assert main.main(("window", "open", "--yes", "--without-backup"), "1", desk.engine) == 0
    assert desk.mode() == 0o664 and desk.saved == []


@pytest.mark.parametrize("words", [["--from", "banana"], ["--minutes", "0"]])
def test_what_is_refused_takes_no_backup(desk, capsys, words):
    saves(desk, "campus")
    assert main.main(("window", "open", "--yes", *words), "1", desk.engine) == 1
    assert desk.saved == [] and desk.mode() == 0o644
    assert words[1] in capsys.readouterr().err


def test_a_backup_that_needs_review_keeps_no_window_closed(desk, capsys, monkeypatch):
    def backup(_portal):
        raise backups_backup.NeedsReview("The other place is not there.")

    saves(desk, "campus")
    monkeypatch.setattr(backups_backup, "backup", backup)
    assert main.main(("window", "open", "--yes"), "1", desk.engine) == 0
    assert desk.mode() == 0o664
    output = capsys.readouterr()
    assert (
        "The backup of campus.test was made, and needs a check: The other place is not there."
        in output.out + output.err
    )


@pytest.mark.parametrize("words", [[], ["--due"]])
def test_a_closing_ends_with_what_the_update_changed_of_ours(desk, capsys, words):
    ours = desk.root / "config/ours.yaml"
    expected = {"path": str(ours), "content": "ours", "owner": "root", "group": "www-data", "mode": "0640"}
    desk.engine.apply(plan({"name": "sessions", "files": [expected]}), Outcome())
    for changed in ("", "theirs"):
        desk.open()
        if changed:
            ours.write_text(changed)
        desk.now += 60 * 60
        assert main.main(["window", "close", *words], "1", desk.engine) == 0
        output = capsys.readouterr().out
        assert (f"No longer as this collection wrote it: {ours}" in output) is bool(changed)
        assert "ansible-playbook chamilo.hardening.harden" in output
    assert [str(ours) in text for _title, text in desk.reported] == ([True] if words else []), (
        "a person who asked read it"
    )


def test_an_undelivered_alert_does_not_keep_a_window_open(desk, monkeypatch):
    def notify(*_words, **_more):
        raise alert.AlertError("no mail")

    monkeypatch.setattr(alert, "notify", notify)
    monkeypatch.setattr(main.repair, "edited", lambda state: {"sessions": ["/etc/x"]})
    desk.open()
    desk.now += 60 * 60
    assert main.main(("window", "close", "--due"), "1", desk.engine) == 0
    assert desk.windows.known() == [] and desk.mode() == 0o644


@pytest.mark.parametrize("laid", ["link", "gone"])
def test_what_the_web_user_lays_keeps_no_window_open(desk, capsys, laid):
    """While one is open the directory of the portal is its own."""
    desk.tree["roots"] = ["var", "config"]
    open_windows.SITES = write(desk, "campus")
    desk.open()
    config = desk.root / "config"
    config.rename(desk.root / "config.real")
    if laid == "link":
        config.symlink_to("config.real")
        os.lchown(config, pwd.getpwnam("www-data").pw_uid, -1)
    assert desk.root.stat().st_mode & 0o020
    desk.now += 60 * 60
    assert main.main(("window", "close", "--due"), "1", desk.engine) == 1
    assert desk.mode() == 0o644 and not desk.root.stat().st_mode & 0o022
    ((title, text),) = desk.reported
    assert title == "A window cannot be closed" and "is not wholly closed: config" in text
    assert desk.windows.known(), "it is tried again"
    config.unlink(missing_ok=True)
    (desk.root / "config.real").rename(config)
    assert main.main(("window", "close", "--due"), "1", desk.engine) == 0
    assert desk.windows.known() == []


def test_the_commands(desk, capsys):
    host = desk

    def typed(*words):
        assert main.main(words, "1", host.engine) == 0
        return capsys.readouterr().out

    output = typed("window", "open", "--yes", "--minutes", "1")
    assert "is open (upgrade) until" in output and "No backup was taken" in output
    assert "\nOpen:\n" in typed("status")
    assert typed("window", "close", "--due") == ""
    host.now += 60
    assert "is as the guide wants it again" in typed("window", "close", "--due")
    assert "No window is open" in typed("window", "close")
    assert main.main(("window", "open", "--yes", "--from", "x"), "1", host.engine) == 1
    assert "Invalid value for --from: 'x'" in capsys.readouterr().err
