# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from dataclasses import fields
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import DatabaseError
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import StateError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.in_force import InForce
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.policy import PermsError
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.memory import Memory
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import VirtualHost
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.planned import OwnHost
from ansible_collections.chamilo.hardening.plugins.modules import chamilo_site_info
from tests.tools.asking import ask


def engine(in_force=None, cut_off=False):
    """What transactions left behind."""
    state = {"open": {"name": "headers:campus"} if cut_off else None, "pending": [], "records": {}}
    return SimpleNamespace(in_force=lambda: in_force or {}, store=SimpleNamespace(root="", peek=lambda: state))


@pytest.fixture
def root(monkeypatch):
    """It runs as root, on a host where no transaction and no setting is effective."""
    monkeypatch.setattr(chamilo_site_info.os, "geteuid", lambda: 0)
    monkeypatch.setattr(chamilo_site_info, "Engine", engine)
    monkeypatch.setattr(chamilo_site_info, "settings_in_force", lambda _site: {})


@pytest.fixture
def user(monkeypatch):
    monkeypatch.setattr(chamilo_site_info.os, "geteuid", lambda: 1000)


@pytest.mark.parametrize("check", [False, True])
def test_it_finds_and_changes_nothing(capsys, check):
    result = ask(
        chamilo_site_info, capsys, domain="Campus.test", packages=["no-such-package"], _ansible_check_mode=check
    )
    assert result["changed"] is False
    assert result["site"]["domain"] == "campus.test"
    assert result["site"]["missing_packages"] == ["no-such-package"]
    assert set(result["site"]) == {field.name for field in fields(Site)}


STORE = {"host": "127.0.0.1", "port": 1, "user": "chamilo", "prefix": "chamilo_campus:"}


def test_a_server_that_cannot_keep_sessions_is_an_obstacle(capsys, monkeypatch):
    result = ask(
        chamilo_site_info, capsys, domain="campus.test", session_store=STORE, session_store_password="canary-1"
    )
    (found,) = result["obstacles"]
    assert "Redis at 127.0.0.1:1 does not answer" in found["why"] and found["sections"] == ["sessions"]
    assert "canary" not in json.dumps(result)
    asked = []
    monkeypatch.setattr(chamilo_site_info.redis, "examine", asked.append)
    for host, tls in (("127.0.0.1", False), ("redis.internal", True)):
        assert "failed" not in ask(
            chamilo_site_info, capsys, domain="campus.test", session_store={**STORE, "host": host}
        )
        assert asked.pop().tls is tls


def test_what_is_required_and_not_there_fails_with_words(capsys):
    result = ask(chamilo_site_info, capsys, domain="campus.test", root="/no/such/folder", require=True)
    assert result["failed"] is True
    assert 'chamilo_root is "/no/such/folder", but no Chamilo is there' in result["msg"]


def rule(**wrong):
    return {"policy": [{"path": "var", "file_mode": "0600"}, {"path": "public/custom", **wrong}]}


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"owner": "nobody-here"}, "chamilo_owner is 'nobody-here', and there is none of that name."),
        ({"owner": "www-data"}, "chamilo_owner is 'www-data', as whom PHP runs"),
        ({"group": "no-group"}, "chamilo_group is 'no-group', and there is none of that name."),
        ({"web_user": "nobody-here"}, "chamilo_web_user is 'nobody-here', and there is no such user."),
        (
            {"policy": [{"path": "x", "owner": "no\x1bbody"}]},
            "chamilo_permissions_policy, rule 1: owner is 'no\\\\x1bbody'",
        ),
        (rule(file_mode="0777"), "rule 2: file_mode is '0777', which lets every user of this host write."),
        (rule(directory_mode="0778"), "rule 2: directory_mode is '0778'; write it as an octal number in quotes"),
        (rule(file_mode=416), "rule 2: file_mode is 416; write it as an octal number in quotes"),  # 0640 without quotes
        (rule(path="/etc"), "chamilo_permissions_policy, rule 2: '/etc' is no path below the tree"),
        (rule(path="public/../../x"), "rule 2: 'public/../../x' is no path below the tree"),
        ({"roots": ["/var/www/x"]}, "chamilo_permissions_roots: '/var/www/x' is no path below the tree"),
    ],
)
def test_what_chamilo_perms_would_refuse_is_refused_by_the_name_of_the_variable(capsys, tmp_path, tree, words):
    for part in ("public/main", "bin/console"):
        (tmp_path / part).mkdir(parents=True)
    result = ask(
        chamilo_site_info, capsys, domain="campus.test", root=str(tmp_path), tree={"web_user": "www-data", **tree}
    )
    (found,) = result["obstacles"]
    assert words in found["why"] and found["sections"] == ["permissions"]
    good = {"owner": "root", "group": "", "web_user": "www-data", "policy": [{"path": "x", "owner": 0}]}
    assert "failed" not in ask(chamilo_site_info, capsys, domain="campus.test", root=str(tmp_path), tree=good)


def test_where_there_is_no_portal_its_owner_is_not_checked(capsys):
    assert "failed" not in ask(chamilo_site_info, capsys, domain="campus.test", tree={"owner": "nobody-here"})


@pytest.mark.parametrize(("vhost", "fails"), [("", False), ("auto", True), ("managed", False), ("include", False)])
def test_a_virtual_host_that_is_refused_is_in_the_way_where_that_is_asked_for(capsys, root, monkeypatch, vhost, fails):
    refused = OwnHost(refused={"auto": "campus.conf line 3: X-School"})
    monkeypatch.setattr(chamilo_site_info, "discover", lambda **_wanted: Site("campus.test", own_host=refused))
    result = ask(chamilo_site_info, capsys, domain="campus.test", vhost=vhost, sections=["headers", "database"])
    found = [one for one in result["obstacles"] if "campus.conf line 3: X-School" in one["why"]]
    assert [one["sections"] for one in found] == ([["headers"]] if fails else [])


@pytest.mark.parametrize(("sections", "fails"), [([], False), (["https"], True)])
def test_what_only_root_can_enforce_is_refused_to_others(capsys, user, monkeypatch, sections, fails):
    result = ask(chamilo_site_info, capsys, domain="campus.test", sections=sections)
    assert result.get("failed", False) is fails
    assert ("The task does not run as root." in result.get("msg", "")) is fails


@pytest.mark.parametrize(("sections", "fails"), [([], False), (["https"], True)])
def test_a_host_that_cannot_have_what_is_asked_for_fails(capsys, root, monkeypatch, sections, fails):
    monkeypatch.setattr(chamilo_site_info, "discover", lambda **_wanted: Site("campus.test", distribution="Debian 11"))
    result = ask(chamilo_site_info, capsys, domain="campus.test", sections=sections)
    assert result.get("failed", False) is fails
    assert ("This host is Debian 11" in result.get("msg", "")) is fails


def test_all_that_is_in_the_way_is_in_one_message_and_in_check_mode_too(capsys, root, monkeypatch):
    facts = {"root": "/srv/campus", "names": ("campus.test",), "errors": ("There is no web server.",)}
    monkeypatch.setattr(chamilo_site_info, "discover", lambda **_wanted: Site("cmapus.test", **facts))
    monkeypatch.setattr(chamilo_site_info, "_judge", lambda *_given: (_ for _ in ()).throw(PermsError("No such user.")))
    asked = {
        "sections": ["https", "permissions", "monitoring"],
        "require": True,
        "tree": {"owner": "x"},
        "alert_mail": "a@campus.test",
    }
    for check in (False, True):
        result = ask(
            chamilo_site_info, capsys, domain="cmapus.test", controller_time=1000, _ansible_check_mode=check, **asked
        )
        assert result["failed"] is True and " obstacles. Nothing was changed.\n- No such user." in result["msg"]
        for part in ("There is no web server.", "Did you mean campus.test?", "Clock", "smtp_host"):
            assert part in result["msg"], part


def test_a_run_that_only_undoes_is_not_refused_for_an_unfit_host(capsys, monkeypatch):
    monkeypatch.setattr(chamilo_site_info, "discover", lambda **_wanted: Site("campus.test"))
    assert "failed" not in ask(
        chamilo_site_info, capsys, domain="campus.test", controller_time=1795000000, alert_mail="a@campus.test"
    )


def test_without_being_asked_for_what_is_missing_is_only_named(capsys, monkeypatch):
    monkeypatch.setattr(chamilo_site_info, "discover", lambda **_wanted: Site("campus.test", errors=("No Chamilo.",)))
    assert ask(chamilo_site_info, capsys, domain="campus.test")["site"]["errors"] == ["No Chamilo."]


@pytest.mark.parametrize(("kind", "dark", "active"), [("absent", "x", False), ("file", "", True), ("file", "x", False)])
def test_what_is_active_is_reported_and_what_is_not_fails_where_that_is_asked_for(
    capsys, root, monkeypatch, kind, dark, active
):
    path = "/etc/nginx/sites-available/chamilo-campus_test.d/https.conf"
    held = {"https:campus_test": InForce("ab12", {path: kind})}
    monkeypatch.setattr(chamilo_site_info, "Engine", lambda: engine(held))
    monkeypatch.setattr(chamilo_site_info, "inactive", lambda _site, word, known: dark if (word, known) else "")
    assert ask(chamilo_site_info, capsys, domain="campus.test")["active"] is active
    result = ask(chamilo_site_info, capsys, domain="campus.test", active=True)
    assert result.get("msg", "") == (dark if kind == "file" else "")


@pytest.mark.parametrize("problem", [StateError("damaged"), DatabaseError("gone")])
def test_settings_that_cannot_be_read_are_no_reason_to_find_nothing(capsys, root, monkeypatch, problem):
    def fails(_site):
        raise problem

    monkeypatch.setattr(chamilo_site_info, "settings_in_force", fails)
    result = ask(chamilo_site_info, capsys, domain="campus.test")
    assert result["settings_in_force"] == {} and "failed" not in result


@pytest.mark.parametrize("holds", [True, False])
def test_what_is_kept_of_settings_is_named_whether_or_not_it_is_active(capsys, root, monkeypatch, holds):
    monkeypatch.setattr(Memory, "recall", lambda _memory: {"uploads:campus": None})
    held = {"uploads:campus": {}} if holds else {}
    monkeypatch.setattr(chamilo_site_info, "settings_in_force", lambda _site: held)
    found = ask(chamilo_site_info, capsys, domain="campus.test")
    assert (found["settings_in_force"], found["settings_kept"]) == (held, ["uploads:campus"])


@pytest.mark.parametrize("user", [0, 1000])
def test_what_root_alone_can_read_is_reported_to_root(capsys, root, monkeypatch, user):
    monkeypatch.setattr(Memory, "recall", lambda _memory: {"https:shop": None, "https:campus": None})
    monkeypatch.setattr(chamilo_site_info, "installed_program", lambda: {"made_of": "5f"})
    monkeypatch.setattr(chamilo_site_info.os, "geteuid", lambda: user)
    found = ask(chamilo_site_info, capsys, domain="campus.test")
    known = (["https:campus", "https:shop"], {"made_of": "5f"}) if user == 0 else ([], {})
    assert (found["environment_kept"], found["program"]) == known
    assert user == 0 or not any(found["recurring"].values())


@pytest.mark.parametrize(("visits", "proxies"), [({}, []), ({"proxies": ["10.0.0.0/8"], "friends": []}, ["10.0.0.5"])])
def test_who_visits_is_read_from_the_log_of_the_portal(capsys, root, monkeypatch, tmp_path, visits, proxies):
    log = tmp_path / "campus.log"
    log.write_text('10.0.0.5 - - [25/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"\n')
    serving = VirtualHost("campus", 1, ("campus.test",), (), "", access_log=str(log), access_log_file=str(log))
    found = Site("campus.test", answering=(serving,))
    monkeypatch.setattr(chamilo_site_info, "discover", lambda **_wanted: found)
    recurring = ask(chamilo_site_info, capsys, domain="campus.test", visits=visits)["recurring"]
    assert recurring["proxies"] == proxies and not recurring["spared"]


@pytest.mark.parametrize("cut_off", [False, True])
def test_the_key_of_backups_is_shown_where_the_section_runs(capsys, root, monkeypatch, cut_off):
    monkeypatch.setattr(chamilo_site_info, "discover", lambda **_wanted: Site("campus.test", root="/srv/campus"))
    monkeypatch.setattr(chamilo_site_info, "obstacles", lambda *_given: [])
    monkeypatch.setattr(chamilo_site_info, "Engine", lambda: engine(cut_off=cut_off))
    monkeypatch.setattr(
        chamilo_site_info.backups_key, "shown", lambda site, salt: {"held": site == "campus_test", "salt": salt}
    )
    assert ask(chamilo_site_info, capsys, domain="campus.test", key_salt="f0")["backup_key"]["held"] is False
    shown = ask(chamilo_site_info, capsys, domain="campus.test", sections=["backups"], key_salt="f0")["backup_key"]
    assert shown["held"] is not cut_off
    assert ask(chamilo_site_info, capsys, domain="campus.test")["backup_key"]["held"] is False, "nothing is applied"
