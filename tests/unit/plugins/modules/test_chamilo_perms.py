# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import functools
import json
import os
import shutil

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.chamilo.hardening.plugins.module_utils._application import release_files
from ansible_collections.chamilo.hardening.plugins.modules import chamilo_perms


def run(capsys, path, **arguments):
    with (
        patch_module_args({"path": str(path), "web_user": "www-data", "_ansible_diff": True, **arguments}),
        pytest.raises(SystemExit),
    ):
        chamilo_perms.main()
    return json.loads(capsys.readouterr().out)


@pytest.fixture(autouse=True)
def state(tmp_path_factory, monkeypatch):
    state = tmp_path_factory.mktemp("state")
    for name in ("apply", "package"):
        monkeypatch.setattr(chamilo_perms, name, functools.partial(getattr(chamilo_perms, name), state=str(state)))
    return state


@pytest.fixture
def site(tmp_path):
    for name in ("public/index.php", "var/log/x.log", "config/a.yaml", ".env"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    tmp_path.chmod(0o755)
    return tmp_path


def test_it_reports_what_it_will_do_does_it_and_is_done(capsys, site):
    predicted = run(capsys, site, _ansible_check_mode=True)
    done = run(capsys, site)
    assert predicted == done
    assert done["changed"] and done["entries"] == 9 and done["fixed"]["group"] == 9
    assert ".env  root:root 0644\n" in done["diff"]["before"]
    assert ".env  root:www-data 0640\n" in done["diff"]["after"]
    again = run(capsys, site)
    assert not again["changed"]
    assert again["fixed"] == {"owner": 0, "group": 0, "mode": 0, "setuid": 0, "acl": 0}
    assert again["diff"]["before"] == again["diff"]["after"] == ""


def test_names_become_numbers_and_modes_octal(capsys, site):
    rule = {"path": "public", "owner": "nobody", "group": "0", "file_mode": "0604"}
    run(capsys, site, policy=[rule], owner="daemon", group="adm")
    status = (site / "public/index.php").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (65534, 0, 0o604)
    assert (site / "config").owner() == "daemon"
    assert (site / "config").group() == "adm"


@pytest.mark.parametrize("owner", ["nobody", "1", "0"])
def test_the_owner_may_be_any_account_but_the_web_user(capsys, site, owner):
    assert run(capsys, site, owner=owner)["changed"]
    assert (site / ".env").stat().st_uid == {"nobody": 65534, "1": 1, "0": 0}[owner]


def test_modes_of_three_digits_and_rules_with_slashes_at_their_end(capsys, site):
    run(capsys, site, policy=[{"path": "config/", "directory_mode": "711", "file_mode": "0400"}])
    assert (site / "config").stat().st_mode & 0o777 == 0o711
    assert (site / "config/a.yaml").stat().st_mode & 0o777 == 0o400


def test_what_is_excluded_or_a_root_of_its_own(capsys, site):
    (site / "shared").mkdir()
    (site / "var").rename(site / "shared/var")
    (site / "var").symlink_to("shared/var")
    run(capsys, site, exclude=["config", "shared/**"], roots=["var/"])
    assert (site / "config").group() == "root", "left as it was"
    assert (site / "var/log/x.log").owner() == "www-data"


def test_a_name_can_do_no_harm_wherever_it_is_reported(capsys, site):
    esc = "\x1b[2J\n"
    (site / f"var/s{esc}.txt").write_text("")
    shutil.chown(site / f"var/s{esc}.txt", "www-data")
    (site / f"src{esc}").mkdir()
    (site / f"src{esc}/x.php").touch(0o200)
    (site / f"src{esc}/x.php").chmod(0o200)
    os.mkfifo(site / f"var/l{esc}")
    for check in (True, False):
        reported = run(capsys, site, _ansible_check_mode=check)
        assert reported["disabled"] == ["src\\x1b[2J\\n: 1 files"]
        assert "\nvar/s\\x1b[2J\\n.txt  www-data:root 0644\n" in reported["diff"]["before"]
        assert [one["path"] for one in reported["refused"]] == ["var/l\\x1b[2J\\n"]
        assert "\x1b" not in json.dumps(reported, ensure_ascii=False).replace("\\u001b", "\x1b")


def test_the_package_is_asked_for_until_its_manifest_is_there_or_it_cannot_be_had(capsys, site, state):
    (site / "version.php").write_text("<?php\nreturn ['version' => '3.0.2'];\n")
    shutil.chown(site / "public/index.php", "www-data")
    asked = run(capsys, site, package="auto")
    assert (asked["package_needed"], asked["version"], asked["changed"]) == ("3.0.2", "3.0.2", False)
    assert (site / "public/index.php").owner() == "www-data", "nothing was done yet"
    assert run(capsys, site, package="auto", _ansible_check_mode=True)["package_needed"] == ""

    release_files.refuse("no answer", str(site), "3.0.2", str(state))
    done = run(capsys, site, package="auto")
    assert (done["package_needed"], done["package_problem"], done["changed"]) == ("", "no answer", True)
    assert run(capsys, site, package="/srv/chamilo.zip")["package_needed"] == "3.0.2", "it was named since"

    known = release_files.Manifest("chamilo.zip", "5f" * 32, "3.0.2", {"var/log/x.log": "0" * 64})
    release_files.remember(known, str(site), str(state))
    done = run(capsys, site, package="auto", package_sha256="5F" * 32)
    assert done["package"] == f"the package chamilo.zip (sha256 {'5f' * 32})" and not done["changed"]
    other = run(capsys, site, package="auto", package_sha256="00" * 32)
    assert other["package_needed"] == "3.0.2", "another one is named"


def test_what_was_laid_by_another_profile_is_set_back(capsys, site):
    run(capsys, site, profile="upgrade")
    assert (site / "public/index.php").stat().st_mode & 0o777 == 0o664
    run(capsys, site)
    assert (site / "public/index.php").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"web_user": "www-dtaa"}, ["web_user", "www-dtaa"]),
        ({"web_user": "www-dtaa", "package": "auto"}, ["web_user", "www-dtaa"]),
        ({"web_user": "root"}, ["web_user is root"]),
        ({"owner": "www-data"}, ["owner", "www-data", "change the program"]),
        ({"policy": [{"path": "a", "group": "wheeel"}]}, ["rule 1: group", "wheeel"]),
        ({"policy": [{"path": "a", "file_mode": "00640"}]}, ["rule 1: file_mode", "00640"]),
        ({"policy": [{"path": "a", "file_mode": "0642"}]}, ["0642", "every user"]),
        ({"exclude": ["a/./b"]}, ["exclude", "a/./b"]),
        ({"exclude": ["/"]}, ["exclude"]),
        ({"owner": "nobdoy"}, ["owner", "nobdoy"]),
        ({"group": "wheeel"}, ["group", "wheeel"]),
        ({"path": "var/www"}, ["var/www", "slash"]),
        ({"exclude": ["../x"]}, ["exclude", "../x"]),
        ({"roots": ["/srv"]}, ["roots", "/srv"]),
        ({"policy": [{"path": "a"}, {"path": "b", "file_mode": "rw"}]}, ["rule 2", "file_mode", "rw"]),
        ({"policy": [{"path": "a", "file_mode": 420}]}, ["rule 1", "420", "quotes"]),
        ({"policy": [{"path": "a", "directory_mode": "0777"}]}, ["0777", "every user"]),
        ({"policy": [{"path": "/etc"}]}, ["rule 1", "/etc"]),
        ({"policy": [{"path": "a", "owner": "x\x1b"}]}, ["owner", "\\x1b"]),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_nothing_changes(capsys, site, given, words):
    before = (site / ".env").stat().st_gid
    output = run(capsys, given.pop("path", site), **given)
    assert output["failed"]
    assert all(word in output["msg"] for word in words), output["msg"]
    assert (site / ".env").stat().st_gid == before
