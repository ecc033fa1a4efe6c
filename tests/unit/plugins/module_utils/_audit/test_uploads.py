# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Account
from ansible_collections.chamilo.hardening.plugins.module_utils._application.portal_reader import PortalReader
from ansible_collections.chamilo.hardening.plugins.module_utils._audit import host_jobs, uploads
from ansible_collections.chamilo.hardening.plugins.module_utils._host.processes import Job, Process
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php_ini import Setting
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import apache
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import (
    Alias,
    Configuration,
    Directive,
    Listen,
    VirtualHost,
    WebServer,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.planned import InPlace, Program

SOCKET = "unix:/run/php/php8.4-fpm.sock"
ALL = ";".join((*uploads.GUIDE, *uploads.SLIPS_THROUGH))


MAIN, SECOND = "https://campus.test/", "https://second.test/"


def extensions(look_at, changeable="1", second=None, **known):
    """Two portals where the second one is given settings of its own."""
    rows = [
        {
            "category": "document",
            "variable": f"upload_extensions_{name}",
            "access_url": portal,
            "selected_value": value,
            "access_url_changeable": changeable,
        }
        for portal, values in (("1", known), ("2", second or {}))
        for name, value in values.items()
    ]
    portals = [{"id": "1", "url": MAIN}, {"id": "2", "url": SECOND}][: 1 if second is None else 2]
    observer = look_at(root="/srv/campus")
    observer.database = PortalReader(Account("chamilo"), ask=lambda sql: portals if "access_url WHERE" in sql else rows)
    return uploads.extensions(observer)


@pytest.mark.parametrize(
    ("known", "status", "words"),
    [
        ({"list_type": "blacklist", "blacklist": ALL}, "pass", "16 file types"),
        ({"blacklist": ALL.upper().replace(";", "; ")}, "pass", ""),
        ({"blacklist": ""}, "fail", "Nothing is blocked"),
        ({}, "fail", "Nothing is blocked"),
        ({"blacklist": "exe;bat;sh;php;phtml;cgi"}, "fail", "renames .php to .phps"),
        ({"blacklist": ALL.replace("pht;", "")}, "fail", "but not: pht."),
        ({"list_type": "whitelist", "whitelist": "png;pdf"}, "pass", "2 listed types"),
        ({"list_type": "whitelist", "whitelist": "png;phtml"}, "fail", "phtml"),
    ],
)
def test_extensions(look_at, known, status, words):
    finding = extensions(look_at, **known)
    assert finding.status == status
    assert words in finding.evidence


@pytest.mark.parametrize("kind", ["blacklist", "whitelist"])
@pytest.mark.parametrize("wrong", [",", ", ", " ", ";."])
def test_a_list_that_chamilo_reads_otherwise_than_it_was_meant(look_at, kind, wrong):
    """It takes it apart at each semicolon, and compares with what is behind a name's last dot."""
    text = (ALL if kind == "blacklist" else "png;pdf;doc").replace(";", wrong)
    finding = extensions(look_at, list_type=kind, **{kind: text})
    assert finding.status == "fail"
    assert "never matches" in finding.evidence and "as in exe;bat;sh." in finding.evidence


def test_extensions_on_each_portal(look_at):
    finding = extensions(look_at, blacklist=ALL, second={"blacklist": ""})
    assert finding.status == "fail"
    assert finding.evidence == f"On {SECOND}: Nothing is blocked: the list of refused file types is empty."
    assert extensions(look_at, "0", blacklist=ALL, second={"blacklist": ""}).status == "pass", "the main row counts"
    finding = extensions(look_at, blacklist=ALL, second={"list_type": "whitelist", "whitelist": "png"})
    assert finding.status == "pass" and f"On {MAIN}: 16 file types" in finding.evidence
    assert f"On {SECOND}: Only 1 listed types" in finding.evidence


# ---------------------------------------------------------------------------------------------------- execution


def host(root, line=1, name="campus.test", php=SOCKET):
    return VirtualHost("/etc/nginx/sites-enabled/campus", line, (name,), (Listen("*", 80, tls=False),), root, php=php)


def refuse(endpoint, path, request):
    return 403, {}, b""


@pytest.fixture
def seen(tree_look, project):
    def make(server=refuse, hosts=None, user_ini=".user.ini", web="nginx", **more):
        hosts = hosts or (host(f"{project}/public"),)
        server_user = WebServer(web, user="www-data")
        observer = tree_look(server, virtual_hosts=hosts, serving=hosts, web=server_user, **more)
        observer.php = {"user_ini.filename": Setting(user_ini, "/etc/php/8.4/fpm/php.ini")}
        return observer

    return make


def test_nothing_to_write_to_under_a_web_root(seen):
    for function in (uploads.no_exec, uploads.no_override):
        finding = function(seen(lambda *_: (200, {}, b"")))
        assert finding.status == "pass", finding.evidence
        assert "is there a directory the web user can write to" in finding.evidence


@pytest.fixture
def upload(project, web_user):
    directory = project / "public/upload"
    directory.mkdir()
    shutil.chown(directory, web_user)
    return directory


def test_a_directory_where_every_php_name_is_refused(seen, upload):
    observer = seen()
    finding = uploads.no_exec(observer)
    assert finding.status == "pass"
    assert "1 writable directories" in finding.evidence
    assert {path.rpartition("hardening-")[2] for _door, path, _request in observer.asked} == set(uploads._NAMES)


@pytest.mark.parametrize("name", uploads._NAMES)
def test_one_name_that_gets_through_is_enough(seen, upload, name):
    finding = uploads.no_exec(seen(lambda endpoint, path, _: (404 if path.endswith(f"-{name}") else 403, {}, b"")))
    assert finding.status == "fail"
    assert f"/upload/chamilo-hardening-{name} answers 404" in finding.evidence
    assert "/etc/nginx/sites-enabled/campus:1" in finding.evidence


@pytest.mark.parametrize(
    ("path", "below", "start"), [("/lms", "public", "/lms/upload/"), ("/x", "public/upload", "/x/")]
)
def test_an_alias_of_another_site_is_asked_too(seen, project, upload, path, below, start):
    shop = replace(host("/srv/shop", 7, "shop.test"), aliases=(Alias(path, f"{project}/{below}"),))
    own = host(f"{project}/public")

    def answer(endpoint, path, request):
        return 404 if endpoint.name == "shop.test" else 403, {}, b""

    finding = uploads.no_exec(seen(answer, (own, shop)))
    assert finding.status == "fail"
    assert f"http://shop.test{start}chamilo-hardening-a.php answers 404 instead of 403" in finding.evidence
    assert uploads.no_exec(seen(refuse, (own, shop))).status == "pass"


FORUM = "/etc/nginx/sites-enabled/campus"


@pytest.mark.parametrize(
    ("path", "directory", "asked"),
    [("/upload/", "", "/upload/"), ("/forum", "forum", "/forum/files/")],
)
def test_a_location_that_our_rules_leave_alone_is_named(
    seen, project, upload, tmp_path, web_user, path, directory, asked
):
    """PHP for a directory of the portal where uploads are, and for one of another program."""
    if directory:
        upload.rmdir()
        (tmp_path / "forum/files").mkdir(parents=True)
        shutil.chown(tmp_path / "forum/files", web_user)
    program = Program(FORUM, 12, path, "PHP in the portal", f"{tmp_path}/forum" if directory else "")
    in_place = InPlace(programs=(program,))
    finding = uploads.no_exec(seen(lambda *_: (404, {}, b""), in_place=in_place))
    assert (
        finding.status == "fail"
        and f"{asked}chamilo-hardening-a.php answers 404 instead of 403. {FORUM}:12" in finding.evidence
    )
    assert f'set chamilo_uploads_other_programs to ["!{path}"] and run harden' in finding.evidence
    observer = seen(refuse, in_place=in_place)
    finding = uploads.no_exec(observer)
    assert finding.status == "pass"
    assert finding.evidence.endswith(f" Other programs under the portal's name: {path} ({FORUM}:12).")
    assert {each.rpartition("chamilo-hardening-")[0] for _door, each, _request in observer.asked} == {asked}
    assert uploads.no_override(seen(refuse, in_place=in_place, user_ini="")).status == "pass"


@pytest.fixture
def directories(project, tmp_path, web_user):
    """Directories of the web user's below the portal's public/ and below another site."""

    def make(number):
        for root in (project / "public/some", tmp_path / "shop/some"):
            root.mkdir(parents=True)
            for name in range(number):
                (root / f"{name:02}/deep").mkdir(parents=True)
                shutil.chown(root / f"{name:02}", web_user)
                shutil.chown(root / f"{name:02}/deep", web_user)
        return host(f"{project}/public"), host(f"{tmp_path}/shop", 9, "shop.test")

    return make


@pytest.mark.parametrize("alone", [0, 1])
def test_too_many_directories_to_ask_each_are_not_assessed(seen, directories, monkeypatch, alone):
    hosts = directories(13)[alone : alone + 1]
    root = hosts[0].root
    finding = uploads.no_exec(seen(refuse, hosts))
    assert finding.status == "not_assessed"
    assert finding.evidence == f"Only 12 of the 13 writable directories under {root} were asked for PHP files."
    assert uploads.no_exec(seen(lambda *_: (404, {}, b""), hosts)).status == "fail"
    monkeypatch.setattr(apache, "parse", lambda tree: Configuration())
    finding = uploads.no_override(seen(refuse, hosts, user_ini="", web="apache"))
    assert finding.status == "not_assessed"
    assert finding.evidence == f"Only 12 of the 13 writable directories under {root} were checked."
    assert uploads.no_override(seen(refuse, hosts, user_ini="")).status == "pass", "nginx obeys none anywhere"


@pytest.mark.parametrize(
    ("answer", "status"), [((403, b"Forbidden\n"), "pass"), ((403, b"<html>"), "fail"), ((200, b""), "fail")]
)
def test_a_wrong_root_behind_which_php_refuses(seen, project, web_user, answer, status):
    (project / "vendor").mkdir(exist_ok=True)
    (project / "vendor/autoload.php").write_text("<?php")
    shutil.chown(project / "var", web_user)
    hosts = (host(f"{project}/public"), host(str(project), 9, "old.test"))

    def server(endpoint, path, request):
        return (answer[0], {}, answer[1]) if path == "/vendor/autoload.php" else (404, {}, b"")

    finding = uploads.no_exec(seen(server, hosts))
    assert finding.status == status
    assert "/etc/nginx/sites-enabled/campus:9" in finding.evidence


def test_a_directory_behind_a_link_is_asked_by_its_address(seen, project, tmp_path):
    """Of the portal, where the web user has var/, and of a shop beside it."""
    (project / "public/courses").symlink_to("../var/upload")
    shop = tmp_path / "shop"
    (shop / "media").mkdir(parents=True)
    (shop / "media/files").symlink_to(project / "var/upload")
    hosts = (host(f"{project}/public"), host(str(shop), 9, "shop.test"))
    for function in (uploads.no_exec, uploads.no_override):
        finding = function(seen(lambda *_: (200, {}, b""), hosts, web="nginx"))
        assert finding.status == "fail"
        assert f"{project}/public/courses (virtual host at /etc/nginx/sites-enabled/campus:1)" in finding.evidence
    observer = seen(lambda endpoint, path, _: (403 if path.startswith("/courses/") else 404, {}, b""), hosts)
    evidence = uploads.no_exec(observer).evidence
    assert evidence.count("instead of 403") == 1
    assert f"{shop}/media/files (virtual host at /etc/nginx/sites-enabled/campus:9)" in evidence


def test_a_web_root_that_could_not_be_inspected_whole_is_not_assessed(seen, project, tmp_path, monkeypatch):
    shop = tmp_path / "shop"
    shop.mkdir()
    hosts = (host(f"{project}/public"), host(str(shop), 9, "shop.test"), host("", 11, "none.test"))
    for whole, status in ((True, "pass"), (False, "not_assessed")):
        monkeypatch.setattr(uploads, "writable_directories", lambda root, _users, whole=whole: ([], whole))
        for function in (uploads.no_exec, uploads.no_override):
            finding = function(seen(hosts=hosts))
            assert finding.status == status and (str(shop) in finding.evidence) is not whole


@pytest.mark.parametrize("php", ["", "mod_php"])
def test_a_user_ini_that_nothing_reads(seen, upload, project, php):
    assert uploads.no_override(seen(hosts=(host(f"{project}/public", php=php),))).status == "pass"


@pytest.mark.parametrize(("user_ini", "status"), [(".user.ini", "fail"), ("", "pass")])
def test_user_ini(seen, upload, user_ini, status):
    finding = uploads.no_override(seen(user_ini=user_ini))
    assert finding.status == status
    if status == "fail":
        assert "PHP obeys .user.ini" in finding.evidence


def section(path, value, line):
    rule = Directive("allowoverride", (value,), "/etc/apache2/apache2.conf", line + 1)
    return Directive("directory", (path,), "/etc/apache2/apache2.conf", line, (rule,) if value else ())


@pytest.mark.parametrize(
    ("outer", "inner", "status"), [("All", "None", "pass"), ("None", "FileInfo", "fail"), ("All", "", "fail")]
)
def test_htaccess(seen, upload, project, monkeypatch, outer, inner, status):
    found = Configuration((section(str(upload), inner, 20), section(str(project), outer, 10)))
    monkeypatch.setattr(apache, "parse", lambda tree: found)
    finding = uploads.no_override(seen(user_ini="", web="apache"))
    assert finding.status == status, finding.evidence
    if status == "fail":
        assert f"AllowOverride {inner or outer} at /etc/apache2/apache2.conf:{21 if inner else 11}" in finding.evidence


@pytest.mark.parametrize(
    ("rules", "status"),
    [
        ({"{above}/current/public": "All"}, "fail"),
        ({"{above}/current/public/": "All", "{above}/current/public/upload": "None"}, "pass"),
        # What Apache does not go by, unless an Alias leads there.
        ({"{above}/*/public": "All"}, "fail"),
        # One * is for one directory. How deep a section is counts, not how long its path is written.
        ({"{above}/*": "None", "/*/public": "All"}, "pass"),
        ({"{above}/current": "All", "{above}/*": "None"}, "pass"),
        ({"{above}/*": "None", "{above}/current": "All"}, "fail"),
        ({"{above}/current/public/upload/deep": "All"}, "pass"),
        ({"/": "All"}, "fail"),
    ],
)
def test_htaccess_behind_a_link_to_the_newest_release(seen, upload, project, monkeypatch, rules, status):
    (project.parent / "current").symlink_to(project)
    found = [section(path.format(above=project.parent), value, 10) for path, value in rules.items()]
    monkeypatch.setattr(apache, "parse", lambda tree: Configuration(tuple(found)))
    finding = uploads.no_override(seen(user_ini="", web="apache", hosts=(host(f"{project.parent}/current/public"),)))
    assert finding.status == status, finding.evidence


# ----------------------------------------------------------------------------------------------------- antivirus


OURS = Job("/etc/cron.d/chamilo-hardening-scan:2", "nice /usr/local/sbin/chamilo-hardening scan")


@pytest.mark.parametrize(
    ("names", "found", "knows", "minutes", "status", "words"),
    [
        (["nginx"], [], True, 1, "fail", "No virus scanner"),
        (["clamd"], [], True, 1, "fail", "nothing has it scan"),
        (["clamd", "clamonacc"], [], True, 1, "not_assessed", "clamonacc scans"),
        (["clamd"], [Job("/etc/cron.d/scan:1", "clamdscan /x")], True, 1, "not_assessed", "/etc/cron.d/scan:1"),
        (["clamd"], [OURS], False, 1, "fail", "no signatures"),
        (["clamd"], [OURS], True, 61, "fail", "The scan of uploads last succeeded"),
        (["clamd"], [OURS], True, None, "fail", "never scanned so far"),
        (["clamd", "cron"], [OURS], True, 1, "pass", "cron.d/chamilo-hardening-scan:2 shows it new uploads"),
        (["clamd"], [OURS], True, 1, "fail", "cron does not run"),
    ],
)
def test_antivirus(look_at, tmp_path, monkeypatch, names, found, knows, minutes, status, words):
    observer = look_at(root="/srv/campus")
    observer.as_root = True
    observer.processes = tuple(Process(number, 1, name, 0) for number, name in enumerate(names, 10))
    observer.jobs = tuple(found)
    (tmp_path / "uploads-campus.json").write_text('{"root": "/srv/campus"}')
    at = observer.now - 60 * (minutes or 0)
    (tmp_path / "antivirus.json").write_text(json.dumps({"campus": {"at": at, "ok": True}} if minutes else {}))
    for name, value in {"SETTINGS": str(tmp_path), "RECORDS": str(tmp_path), "PROGRAM": "/bin/sh"}.items():
        monkeypatch.setattr(host_jobs, name, value)
    monkeypatch.setattr(uploads, "_knows_the_test_virus", lambda: knows)
    monkeypatch.setattr(uploads, "output", lambda _argv: CLAMCONF)
    finding = uploads.antivirus(observer)
    assert finding.status == status, finding.evidence
    assert words in finding.evidence


# As clamconf 1.4 prints it.
CLAMCONF = """\
Config file: clamd.conf
-----------------------
AlertExceedsMax = "yes"
ConcurrentDatabaseReload disabled
MaxFileSize = "419430400"
"""
