# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daily work of section monitoring: what is recorded for the audit, and what is reported."""

from __future__ import annotations

import json
import os
import socket
import time
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import accounts, comparison
from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Account
from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Observer
from ansible_collections.chamilo.hardening.plugins.module_utils._application.portal_reader import PortalReader
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._common import alert, files, records
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import daily, integrity, left_behind, watch
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.daily import MonitoringError
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.store import Store


def step():
    return daily.step(lambda _site, _observer: ("", dict))


@pytest.fixture
def host(monkeypatch, tmp_path):
    """A host with one portal on which all is well. ``reported``: the alerts, as title and text."""
    root = tmp_path / "portal"
    for path in ("public/index.php", "var/log/x"):
        (root / path).parent.mkdir(parents=True)
        (root / path).write_text("<?php")
    host = SimpleNamespace(
        reported=[], ways=["webhook"], admins=["admin"], left=[], error=None, broken=False, root=root
    )
    host.version = "2.0.4"
    host.in_database = []
    log = root / "var/log/prod.log"
    known = {
        "domain": "campus.test",
        "root": str(root),
        "log": str(log),
        "console": ["sh", "-c", f'echo "error $0" >>{log}'],
        "failures": 20,
        "percent": 90,
        "dormant_days": 90,
        "administrators": [],
    }
    (tmp_path / "etc").mkdir()
    host.configure = lambda **more: (tmp_path / "etc/monitoring-campus.json").write_text(json.dumps({**known, **more}))
    host.configure()
    host.pulse = lambda age=0.0: files.replace_file(
        f"{tmp_path}/run/watch-campus.json", json.dumps({"at": time.time() - age, "text": "3 failed logins."})
    )
    host.pulse()

    def notify(section, title, text, again=False, holds="", then=""):
        if host.error:
            raise alert.AlertError(host.error)
        host.reported.append((title, f"{text}\n{then}"))
        return host.ways

    def reviewed(reader, days, expected):
        if host.broken:
            raise accounts.AccountsError("The accounts could not be read.")
        return accounts.Review(3, [], host.admins, [name for name in host.admins if name not in expected])

    def listed(observer, database):
        found = left_behind.Lists()
        for title, texts in {"Crontab": host.left, "Administrator": host.in_database if database else []}.items():
            found.add(title, map(left_behind.Item.of, texts))
        return found

    observer = Observer(Site("campus.test", root=str(root)), {})
    observer.database = PortalReader(Account("chamilo"), ask=lambda sql: [])
    monkeypatch.setattr(watch, "DIRECTORY", str(tmp_path / "etc"))
    monkeypatch.setattr(watch, "PULSE", str(tmp_path / "run"))
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    monkeypatch.setattr(daily, "_PATIENCE", 0)
    host.real_tell = alert.notify
    monkeypatch.setattr(alert, "notify", notify)
    monkeypatch.setattr(alert, "addressee", lambda: alert.Addressee("", "https://hook.example" if host.ways else ""))
    monkeypatch.setattr(accounts, "review", reviewed)
    monkeypatch.setattr(left_behind, "make", listed)
    monkeypatch.setattr(
        daily,
        "portal_of",
        lambda site: daily.Portal(
            site, watch.configuration(site), Observer(replace(observer.site, version=host.version), {})
        ),
    )
    monkeypatch.setattr(Observer, "database", observer.database)
    host.record = lambda: {name: entry["ok"] for name, entry in records.read(daily.RECORD).items()}
    host.detail = lambda name: records.read(daily.RECORD)[name]["detail"]
    host.lines = lambda: records.read(left_behind.RECORD)["campus"]["lines"]
    host.titles = lambda: [title for title, _text in host.reported]
    return host


JOBS = ("app_log", "resources", "auth", "accounts", "delivery")


def test_where_all_is_well_all_is_green_and_only_the_copy_is_missing(host):
    step()
    assert host.record() == {**dict.fromkeys(JOBS, True), "integrity": False}
    assert host.titles() == ["Test alert", "Accounts to review at campus.test"]
    daily.copied("campus", daily.lists()["campus"]["digest"], "laptop:/copy")
    assert host.record()["integrity"] and "laptop:/copy" in host.detail("integrity")
    host.reported.clear()
    step()
    assert host.titles() == [] and host.record()["integrity"]


def test_without_a_recipient_no_check_that_reports_passes(host):
    host.ways = []
    step()
    assert not any(host.record().values())
    assert "set chamilo_alert_mail" in host.detail("auth")


def test_an_alert_that_does_not_go_out_is_reported(host):
    host.error = "No notification was sent. The webhook on hook.example answered 500."
    assert host.error in step()
    for name in ("delivery", "auth", "resources", "app_log", "accounts"):
        assert not host.record()[name] and "answered 500" in host.detail(name), name
        assert "chamilo_alert" not in host.detail(name), "there is a recipient"


def test_a_monit_that_does_not_ask_is_no_watch(host):
    host.pulse(age=3600)
    step()
    assert not host.record()["auth"] and "monit does not run" in host.detail("resources")


def test_an_error_that_does_not_reach_the_log_is_reported(host):
    host.configure(console=["true"])
    step()
    assert not host.record()["app_log"] and "APP_ENV=prod" in host.detail("app_log")


@pytest.mark.parametrize("kind", ["pipe", "socket", "directory", "device"])
def test_what_takes_the_place_of_the_log_is_reported_and_not_waited_for(host, tmp_path, kind):
    log = host.root / "var/log/prod.log"
    ran = tmp_path / "ran"
    host.configure(console=["touch", str(ran)])
    if kind == "pipe":
        os.mkfifo(log)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(str(log))
    elif kind == "directory":
        log.mkdir()
    else:
        log.symlink_to("/dev/zero")
    step()
    assert not host.record()["app_log"] and "prod.log is no regular file" in host.detail("app_log")
    assert "Remove it" in host.detail("app_log") and not ran.exists()


def test_a_log_without_an_end_is_read_in_part(host):
    with open(host.root / "var/log/prod.log", "wb") as file:
        file.truncate(1 << 42)
    host.configure(console=["true"])
    step()
    assert not host.record()["app_log"] and "did not reach" in host.detail("app_log")


def test_a_log_behind_a_link_is_not_read(host):
    (host.root / "var/log/prod.log").symlink_to("/etc/passwd")
    step()
    assert not host.record()["app_log"]


def test_the_database_is_checked_by_one_node_of_a_portal(host):
    host.configure(leader="web1")
    host.admins = ["admin", "intruder"]
    host.in_database = ["intruder"]
    step()
    assert host.titles() == ["Test alert"] and "accounts" not in host.record() and host.lines() == []
    host.configure()
    step()
    assert host.lines() == ["Administrator: intruder"] and "accounts" in host.record()


def test_a_new_administrator_is_reported_at_once_and_once(host, tmp_path):
    step()
    listed = tmp_path / "state/accounts-campus.txt"
    (text,) = (text for title, text in host.reported if title == "Accounts to review at campus.test")
    assert text.startswith(listed.read_text()) and "admin" in text
    assert "UNEXPECTED" not in text, "the first list is the yardstick"
    host.reported.clear()
    host.admins = ["admin", "intruder"]
    step()
    assert listed.read_text().startswith("UNEXPECTED ADMINISTRATORS: intruder")
    step()
    assert host.titles() == ["An unexpected administrator at campus.test"]
    host.configure(administrators=["admin", "intruder"])
    host.reported.clear()
    step()
    assert host.titles() == []


def test_a_second_intruder_and_a_second_line_of_one_day_are_reported_too(host, monkeypatch):
    """With the real alert and its memory, of which only the mail is caught."""
    monkeypatch.setattr(alert, "notify", host.real_tell)
    monkeypatch.setattr(alert, "addressee", lambda: alert.Addressee("admin@school.example"))
    monkeypatch.setattr(alert, "_mail", lambda _to, _section, title, text: host.reported.append((title, text)) or "")
    step()
    for number in (1, 2):
        host.reported.clear()
        host.admins = [*host.admins, f"intruder{number}"]
        host.left = [*host.left, f"/tmp/x{number}"]
        step()
        reported = dict(host.reported)
        assert f"intruder{number}" in reported["An unexpected administrator at campus.test"]
        assert f"Crontab: /tmp/x{number}\n" in reported["New at campus.test, which an intruder may have left"]
    host.reported.clear()
    step()
    assert host.titles() == []


def test_a_month_later_the_list_and_the_test_come_again(host, monkeypatch):
    step()
    host.reported.clear()
    later = time.time() + 28 * 86400
    monkeypatch.setattr(daily.time, "time", lambda: later)
    files.replace_file(f"{watch.PULSE}/watch-campus.json", json.dumps({"at": later, "text": ""}))
    step()
    assert host.titles() == ["Test alert", "Accounts to review at campus.test"]


def test_changed_files_are_reported_until_they_are_accepted(host):
    step()
    host.reported.clear()
    (host.root / "public/index.php").write_text("<?php evil();")
    step()
    assert host.titles() == ["Files of campus.test were changed"] and "changed: public/index.php" in host.reported[0][1]
    assert not host.record()["integrity"]
    assert daily.accept("campus").startswith("changed: public/index.php\n")
    assert not daily.compare("campus")


def test_the_program_is_compared_with_a_package_that_is_named_and_with_its_manifest_from_then_on(host, tmp_path):
    archive = tmp_path / "chamilo.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("chamilo/public/index.php", "<?php // as published")
    step()
    assert "of the release no package is known" in host.detail("integrity")
    assert daily.compare_release("campus").package == ""
    named = daily.compare_release("campus", str(archive))
    assert any(line.startswith("public: 1 file differs from the package") for line in named.lines())
    assert daily.compare_release("campus") == named
    step()
    assert "of the release there is the package chamilo.zip (sha256 " in host.detail("integrity")


@pytest.fixture
def shop(host, tmp_path):
    """A second portal."""
    text = (tmp_path / "etc/monitoring-campus.json").read_text()
    path = tmp_path / "etc/monitoring-shop.json"
    path.write_text(text.replace("campus.test", "shop.test"))
    files.replace_file(f"{tmp_path}/run/watch-shop.json", json.dumps({"at": time.time(), "text": ""}))
    return path


def test_what_was_accepted_of_one_portal_reports_nothing_of_another(host, shop):
    step()
    for site in ("campus", "shop"):
        daily.copied(site, daily.lists()[site]["digest"], "laptop:/copy")
    assert host.record()["integrity"]
    (host.root / "public/index.php").write_text("<?php evil();")
    step()
    daily.accept("campus")
    assert not host.record()["integrity"] and "Files of shop.test differ" in host.detail("integrity")
    shop.write_text("{")
    daily.accept("campus")
    assert "The files of shop could not be checked" in host.detail("integrity")


def test_an_unexpected_administrator_of_one_portal_is_reported_once_whatever_is_reported_of_another(host, shop):
    step()
    host.admins = ["admin", "eve"]
    step()
    campus = shop.with_name(shop.name.replace("shop", "campus"))
    campus.write_text(campus.read_text().replace('"administrators": []', '"administrators": ["admin", "m1", "m2"]'))
    for new in ("m1", "m2"):
        host.reported.clear()
        host.admins.append(new)
        step()
        assert host.titles() == ["An unexpected administrator at shop.test"]


def test_a_list_that_did_not_go_out_is_tried_each_day_and_the_other_portal_has_its_own(host, shop):
    host.error = "No notification was sent. The webhook on hook.example answered 500."
    step()
    host.error = None
    for titles in ({"Test alert", *(f"Accounts to review at {site}.test" for site in ("campus", "shop"))}, set()):
        host.reported.clear()
        step()
        assert set(host.titles()) == titles


def test_a_list_that_was_tampered_with_is_reported(host):
    step()
    path = f"{files.STATE}/integrity-campus.json"
    text = open(path, encoding="utf-8").read().replace("index.php", "indexx.php")
    files.replace_file(path, text)
    host.reported.clear()
    step()
    assert host.titles() == ["The list of files of campus.test cannot be used"]
    assert not host.record()["integrity"] and daily.lists() == {}


def test_a_copy_elsewhere_shows_what_differs(host, tmp_path):
    step()
    copy = tmp_path / "copy.json"
    copy.write_bytes(open(f"{files.STATE}/integrity-campus.json", "rb").read())
    (host.root / "public/new.php").write_text("")
    assert daily.compare("campus", str(copy)).added == ["public/new.php"]
    with pytest.raises(MonitoringError, match="no "):
        daily.compare("campus", str(tmp_path / "nothing"))


def test_what_was_read_is_accepted_and_what_is_new_after_that_is_one_alert(host):
    host.left = ["/usr/bin/php x", "/usr/bin/php y"]
    step()
    assert host.titles() == ["Test alert", "Accounts to review at campus.test"], "the first lists are in the report"
    assert host.lines() == ["Crontab: /usr/bin/php x", "Crontab: /usr/bin/php y"]
    host.reported.clear()
    host.left.append("/tmp/z")
    assert "2 lines are expected from now on" in daily.accept("campus"), "what came since was not read"
    assert host.lines() == ["Crontab: /tmp/z"]
    for _day in range(2):
        host.left = ["/tmp/z", "/tmp/evil"]
        step()
    assert host.titles() == ["New at campus.test, which an intruder may have left"]
    assert "Crontab: /tmp/evil" in host.reported[0][1] and "php" not in host.reported[0][1]
    assert daily.lists_of("campus") == ["* Crontab: /tmp/z", "* Crontab: /tmp/evil"]
    daily.accept("campus")
    assert host.lines() == [] and daily.lists_of("campus") == ["  Crontab: /tmp/z", "  Crontab: /tmp/evil"]


def test_an_alert_that_did_not_go_out_comes_the_next_day(host):
    step()
    host.left, host.ways = ["/tmp/evil"], []
    step()
    host.ways = ["webhook"]
    host.reported.clear()
    for _day in range(2):
        step()
    assert host.titles().count("New at campus.test, which an intruder may have left") == 1


def test_records_of_earlier_versions_go(host, tmp_path):
    records.note(daily.RECORD, "compromise", False, "PHP where only data belongs")
    former = [tmp_path / "state" / name for name in ("asked.json", "asked.json.lock", "compiled.json")]
    for path in former:
        path.touch()
    step()
    assert "compromise" not in host.record() and not any(path.exists() for path in former)


def test_what_cannot_be_checked_does_not_hide_the_rest(host):
    host.broken = True
    with pytest.raises(MonitoringError, match=r"The accounts of campus.test could not be checked: The accounts"):
        step()
    assert host.record()["auth"] and "accounts" not in host.record()


def test_files_of_ours_that_were_edited_are_reported(host, tmp_path):
    path = str(tmp_path / "etc/monit")
    with open(path, "w", encoding="utf-8") as file:
        file.write("mine")
    ours = files.file_item(b"ours", os.geteuid(), os.getegid(), 0o644).to_json()
    known = {"since": 1, "before": {"kind": "absent"}, "after": ours}
    record = {"at": "", "generation": "", "files": {path: known}}
    files.replace_file(f"{files.STATE}/state.json", json.dumps({"records": {"monitoring": record}}))
    step()
    assert ("Files of this collection were edited by hand", path) in [
        (title, text.splitlines()[0]) for title, text in host.reported
    ]


def test_lines_of_ours_that_a_panel_removed_are_reported(host, tmp_path):
    path = str(tmp_path / "etc/campus.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write("server {\n}\n")
    marked = {path: {"file": path, "seen": "", "sha256": "", "blocks": ["01234567"]}}
    record = {"at": "", "generation": "", "files": {}, "marked": marked}
    files.replace_file(f"{files.STATE}/state.json", json.dumps({"records": {"https:campus": record}}))
    lines = step()
    lost = f"{path}: lines of https:campus are gone, in 1 of 1 places."
    assert lost in lines
    ((title, text),) = ((title, text) for title, text in host.reported if lost in text)
    assert title == "Lines of this collection are gone from a virtual host" and "adds them again" in text


def test_a_host_without_the_section_has_nothing_to_do(host, tmp_path):
    (tmp_path / "etc/monitoring-campus.json").unlink()
    assert step() == [] and host.record() == {}


def test_a_log_that_is_not_to_be_watched_is_not_tried(host):
    host.configure(log="")
    step()
    assert "app_log" not in host.record() and host.record()["resources"]


def test_what_this_collection_wrote_becomes_part_of_the_list(host, monkeypatch):
    assert daily.lists() == {}
    step()
    before = daily.lists()["campus"]
    daily.copied("campus", before["digest"], "laptop:/copy")
    index = host.root / "public/index.php"
    index.write_text("<?php // ours")
    own = comparison.files(str(host.root))["public/index.php"]
    monkeypatch.setattr(Store, "written", lambda _store: {os.path.realpath(index): {own}})
    step()
    after = daily.lists()["campus"]
    assert (after["digest"] == before["digest"], after["copied"]) == (False, False)
    assert host.record()["integrity"] and host.detail("integrity").startswith("1 files are as listed")
    assert "an older list is on laptop:/copy" in host.detail("integrity")
    assert integrity.Manifest("campus", "").read()["files"]["public/index.php"] == own


def test_the_audit_of_each_portal_is_part_of_the_day(host, shop, tmp_path):
    ran = []

    def audit(site, _observer):
        ran.append(site)
        if site == "campus":
            raise ValueError("no figures")
        return "chamilo_control 1\n"

    for site in ("campus", "shop"):
        path = tmp_path / f"etc/monitoring-{site}.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "figures": str(tmp_path)}))
    with pytest.raises(MonitoringError, match="The audit of campus.test could not be checked: no figures"):
        daily.step(audit)
    assert ran == ["campus", "shop"] and (tmp_path / "chamilo_shop.prom").exists()
