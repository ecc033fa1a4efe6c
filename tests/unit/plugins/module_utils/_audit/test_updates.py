# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Unseen
from ansible_collections.chamilo.hardening.plugins.module_utils._audit import permissions, updates
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import passed
from ansible_collections.chamilo.hardening.plugins.module_utils._host.processes import Job

# ----------------------------------------------------------------------------------------------------- installer


def test_that_chamilo_refuses_its_installer_itself_is_no_refusal_by_the_web_server(look_at):
    """Since 3.0 it does, until its database is away. The file with the version only returns."""
    at = "/main/install/version.php"
    finding = updates.installer(look_at(lambda endpoint, asked, _: (200 if asked == at else 403, {}, b"")))
    assert finding.status == "fail" and at in finding.evidence


@pytest.mark.parametrize(
    ("flag", "window", "root", "status"),
    [
        (True, "", True, "fail"),
        (True, "upgrade", True, "pass"),
        (True, "other", True, "fail"),
        (False, "", True, "pass"),
        (True, "", False, "not seen"),
    ],
)
def test_an_upgrade_that_stays_authorised(look_at, tmp_path, monkeypatch, flag, window, root, status):
    """Chamilo 3.0: with this file its installer upgrades for any visitor who reaches it."""
    look = look_at(lambda *_: (403, {}, b""), root=str(tmp_path / "campus"))
    (tmp_path / "campus").mkdir()
    if flag:
        (tmp_path / "campus/UPGRADE_ENABLED").touch()
    path = str(tmp_path / "campus") if window == "upgrade" else "/srv/other"
    known = [{"tree": {"path": path}, "profile": "upgrade", "until": look.now + 60}] if window else []
    (tmp_path / "windows.json").write_text(json.dumps(known))
    monkeypatch.setattr(permissions, "RECORDS", str(tmp_path))
    look.as_root = root
    if status == "not seen":
        with pytest.raises(Unseen, match="needs root to see whether a maintenance window is open"):
            updates.installer(look)
    else:
        finding = updates.installer(look)
        assert (finding.status, "UPGRADE_ENABLED" in finding.evidence) == (status, status == "fail")


def test_a_page_that_answers_to_everything_is_no_installer(look_at):
    assert updates.installer(look_at(lambda *_: (200, {}, b"<title>Campus</title>"))).status == "pass"


def test_an_installer_that_fails_is_not_refused(look_at):
    finding = updates.installer(look_at(lambda endpoint, path, _: (404 if "looks" in path else 500, {}, b"")))
    assert finding.status == "fail"


def test_a_silent_server_is_not_assessed(look_at):
    with pytest.raises(Unseen, match="connection refused"):
        updates.installer(look_at(lambda *_: (0, {}, b"")))
    with pytest.raises(Unseen, match="nothing on this host answers"):
        updates.installer(look_at(hosts=()))


@pytest.mark.parametrize(("names", "called"), [(("_",), "192.0.2.7"), (("www.campus.test",), "www.campus.test")])
def test_the_installer_is_open_under_another_name(beside, names, called):
    finding = updates.installer(beside(lambda *_: (200, {}, str(_).encode()), names=names))
    assert finding.status == "fail"
    assert f"http://{called}/main/install/index.php (200)" in finding.evidence
    for words in (
        "/etc/nginx/sites-enabled/default line 7",
        '"return 301 https://campus.test$request_uri;"',
        '"include /etc/nginx/sites-available/chamilo-campus_test.d/*.conf;"',
    ):
        assert words in finding.evidence


def test_the_installer_is_open_below_a_directory_above_the_portal(beside):
    def server(_door, path):
        return (200, {}, b"wizard") if path.startswith("/campus/public/main/install/") else (404, {}, b"")

    finding = updates.installer(beside(server, root="/srv"))
    assert "/campus/public/main/install/index.php (200)" in finding.evidence


@pytest.mark.parametrize("server", ["nginx", "Apache"])
def test_another_name_that_leads_to_the_portal_is_no_door(beside, server):
    def sent_on(_door, path):
        target = f"https://campus.test{path}"
        return 301, {"Location": target}, target.encode() if server == "Apache" else b"moved"

    assert updates.installer(beside(sent_on)).status == "pass"


def test_a_redirect_to_the_same_name_is_no_refusal(beside):
    def within(_door, path):
        return (302, {"Location": "?step=1"}, b"") if "looks" not in path else (404, {}, b"")

    assert updates.installer(beside(within)).status == "fail"


@pytest.mark.parametrize("root", ["", "/srv/second/public", "/srv/campus/public/build", "/srv/camp"])
def test_other_sites_are_not_asked_for_this_installer(beside, root):
    look = beside(lambda *_: (200, {}, str(_).encode()), root=root)
    assert updates.installer(look).status == "pass"
    assert {endpoint.name for endpoint, _path, _request in look.asked} == {"campus.test"}


def test_another_name_that_gives_no_answer_is_not_assessed(beside):
    with pytest.raises(Unseen, match="192.0.2.7"):
        updates.installer(beside(lambda *_: (0, {}, b"")))


# -------------------------------------------------------------------------------------------------------- system

GOOD = """\
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
Unattended-Upgrade::Origins-Pattern:: "origin=Debian,codename=${distro_codename},label=Debian-Security";
"""
UPGRADES = Job("apt-daily-upgrade.timer", "/usr/lib/apt/apt.systemd.daily install")


@pytest.fixture
def system(look_at, tmp_path, monkeypatch):
    program, stamps, settings = tmp_path / "unattended-upgrade", tmp_path / "periodic", tmp_path / "apt.conf.d"
    program.touch()
    stamps.mkdir()
    settings.mkdir()
    (settings / "20auto-upgrades").touch()
    monkeypatch.setattr(updates, "UNATTENDED", str(program))
    monkeypatch.setattr(updates, "PERIODIC", str(stamps))
    monkeypatch.setattr(updates, "CONFIGURATION", str(settings))
    monkeypatch.setattr(updates, "UPTIME", str(tmp_path / "uptime"))

    def make(configuration=GOOD, found=(UPGRADES,), days=None, up=100.0, installed=100.0, configured=0.0):
        (tmp_path / "uptime").write_text(f"{up * 86400:.2f} 1.00\n")
        monkeypatch.setattr(updates, "output", lambda argv: configuration)
        look = look_at()
        look.jobs = found
        if days is not None:
            (stamps / "upgrade-stamp").touch()
            os.utime(stamps / "upgrade-stamp", (1_700_000_000, 1_700_000_000))
            look.now = 1_700_000_000 + days * 86400
        ages = {str(program): installed, str(settings / "20auto-upgrades"): configured}
        monkeypatch.setattr(updates, "_changed", lambda path: look.now - ages[path] * 86400)
        return updates.system(look)

    return make


OLD = {"up": 50.0, "installed": 50.0, "configured": 50.0}


@pytest.mark.parametrize("what", OLD)
@pytest.mark.parametrize(("days", "words"), [(None, "has not run yet"), (12, "ran last 12.0 days ago")])
def test_a_run_that_is_not_due_yet_is_no_fault(system, what, days, words):
    """Such as after the start of a machine that was off, or was made from an image."""
    finding = system(**{**OLD, what: 2.0}, days=days)
    assert finding.status == "pass"
    assert words in finding.evidence


def test_what_is_switched_on_by_name_is_on(system):
    assert system(configuration=GOOD + 'APT::Periodic::Enable "1";\n').status == "pass"


def test_without_the_program(system, monkeypatch):
    monkeypatch.setattr(updates, "UNATTENDED", "/nowhere")
    finding = system()
    assert finding.status == "fail"
    assert "not installed" in finding.evidence


# --------------------------------------------------------------------------------------------------------- watch


def watch(look_at, *found):
    look = look_at(root="/srv/campus")
    look.jobs, look.processes = found, ()
    return updates.watch(look)


def test_without_our_check_there_is_none(look_at):
    assert watch(look_at, Job("own.timer", "php bin/console chamilo:update:check")).status == "fail"


def test_how_the_newest_release_is_known_is_part_of_what_ours_found(look_at, monkeypatch):
    monkeypatch.setattr(updates, "job_of_ours", lambda *_asked: passed("It ran 2 hours ago."))
    monkeypatch.setattr(updates, "known_by", lambda _observer: "By a list of 2026.")
    assert watch(look_at) == passed("It ran 2 hours ago. By a list of 2026.")


def test_of_another_distribution_nothing_is_known(system, monkeypatch, tmp_path):
    monkeypatch.setattr(updates, "STATUS", str(tmp_path / "none"))
    finding = system()
    assert finding.status == "not_assessed" and finding.evidence.startswith("This is not Debian or Ubuntu;")
