# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import subprocess
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import (
    Account,
    DatabaseError,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Unseen
from ansible_collections.chamilo.hardening.plugins.module_utils._application.portal_reader import PortalReader
from ansible_collections.chamilo.hardening.plugins.module_utils._audit import permissions
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._host.processes import Process
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php_ini import Setting
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import (
    Alias,
    Listen,
    VirtualHost,
    WebServer,
)
from tests.unit.plugins.module_utils._common.test_acl import let_write

HTTP = Listen("*", 80, tls=False)
HTTPS = Listen("*", 443, tls=True)

OF_THE_TREE = {
    "code": permissions.code,
    "var": permissions.var,
    "env": permissions.env,
    "config": permissions.config,
    "no_777": permissions.no_777,
    "links": permissions.links,
}


@pytest.mark.parametrize("name", OF_THE_TREE)
def test_a_tree_as_the_guide_wants_it_passes(tree_look, name):
    finding = OF_THE_TREE[name](tree_look())
    assert finding.status == "pass", finding.evidence


@pytest.mark.parametrize(
    ("name", "path", "mode", "words"),
    [
        ("code", "src/Kernel.php", 0o666, "1 entry of the program can be changed by"),
        ("code", "public", 0o777, "for example public"),
        ("code", "src/Kernel.php", 0o755, "allow more than 755"),
        ("var", "var/upload/resource/essay.txt", 0o664, "rights for every account"),
        ("var", "var", 0o775, "rights for every account"),
        ("env", ".env", 0o644, "allows more than 640"),
        ("env", ".env", 0o660, "can be changed by"),
        ("config", "config", 0o755, "allows more than 750"),
        ("config", "config/bundles.php", 0o660, "can be changed by the web user"),
        ("config", "config/jwt/private.pem", 0o644, "allows more than 640"),
        ("no_777", "var/upload", 0o777, "1 entry can be changed by every account of this host, for example var/upload"),
        ("no_777", "public/build/app.css", 0o646, "public/build/app.css"),
        ("links", "var/upload/resource/essay.txt", 0o4660, "setuid"),
    ],
)
def test_one_wrong_mode_fails(tree_look, project, name, path, mode, words):
    (project / path).chmod(mode)
    finding = OF_THE_TREE[name](tree_look())
    assert finding.status == "fail"
    assert words in finding.evidence


def test_where_root_may_not_read_the_web_user_does(tree_look, project, monkeypatch):
    """As on NFS with root_squash: a 777 there is no more green than elsewhere. Nor is what neither can read."""
    real, hidden = os.scandir, str(project.resolve() / "var/upload")
    (project / "var/upload/resource/essay.txt").chmod(0o666)

    def scandir(path):
        if os.geteuid() == 0 and str(path).startswith(hidden):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(os, "seteuid", lambda user: monkeypatch.setattr(os, "geteuid", lambda: user))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    finding = permissions.no_777(tree_look())
    assert finding.status == "fail" and "var/upload/resource/essay.txt" in finding.evidence
    (project / "var/upload/resource/essay.txt").chmod(0o660)
    assert permissions.no_777(tree_look()).status == "pass"
    assert os.geteuid() == 0
    monkeypatch.setattr(os, "seteuid", lambda user: None)
    finding = permissions.no_777(tree_look())
    assert finding.status == "not_assessed" and "var/upload" in finding.evidence


@pytest.mark.parametrize(
    ("profile", "reported"), [("upgrade", ["code", "env", "config"]), ("install", ["env", "config"])]
)
def test_an_open_window_is_reported(tree_look, project, tmp_path, monkeypatch, profile, reported):
    monkeypatch.setattr(permissions, "RECORDS", str(tmp_path))
    window = {"tree": {"path": str(project.resolve())}, "profile": profile, "opened": 0, "until": 1_000_000}
    elsewhere = {**window, "tree": {"path": "/srv/elsewhere"}}
    (tmp_path / "windows.json").write_text(json.dumps([elsewhere]))
    assert {OF_THE_TREE[name](tree_look()).status for name in OF_THE_TREE} == {"pass"}
    (tmp_path / "windows.json").write_text(json.dumps([elsewhere, window]))
    for name in ("code", "env", "config"):
        finding = OF_THE_TREE[name](tree_look())
        words = f"a window is open (profile {profile}, until 1970-01-12 13:46:40 UTC, and should be closed by now)"
        assert (words in finding.evidence) is (name in reported), finding.evidence
        assert finding.status == ("fail" if name in reported else "pass")
    (tmp_path / "windows.json").write_text("[")
    assert "is damaged" in permissions.code(tree_look()).evidence


def test_programs_keep_their_execute_bit_in_bin_alone(tree_look, project):
    (project / "vendor/package/bin").mkdir(parents=True)
    (project / "vendor/package/bin/tool").write_text("#!/bin/sh\n")
    (project / "vendor/package/bin/tool").chmod(0o755)
    assert permissions.code(tree_look()).status == "pass"
    shutil.move(project / "vendor/package/bin/tool", project / "vendor/package/tool")
    assert permissions.code(tree_look()).status == "fail"


@pytest.mark.parametrize(
    ("name", "path", "words"),
    [
        ("code", "src/Kernel.php", "can be changed by"),
        ("env", ".env", "can be changed by"),
        ("config", "config", "can be changed by"),
    ],
)
def test_what_belongs_to_the_web_user_can_be_changed_by_it(tree_look, project, web_user, name, path, words):
    shutil.chown(project / path, web_user)
    finding = OF_THE_TREE[name](tree_look())
    assert finding.status == "fail"
    assert words in finding.evidence


def test_a_var_of_root_breaks_the_site(tree_look, project):
    shutil.chown(project / "var", "root")
    finding = permissions.var(tree_look())
    assert finding.status == "fail" and "root:www-data 0770, but PHP runs as www-data;" in finding.evidence


def test_a_deploy_user_may_own_the_program_but_an_unknown_user_may_not(tree_look, project):
    for path in [project, *project.rglob("*")]:
        if path.relative_to(project).parts[:1] not in (("var",), ("config",), (".env",)):
            os.chown(path, 54321, -1)
    assert permissions.code(tree_look()).status == "pass"
    os.chown(project / "src/Kernel.php", 54322, -1)
    finding = permissions.code(tree_look())
    assert finding.status == "fail"
    assert "neither to root nor to a deploy user" in finding.evidence


@pytest.mark.parametrize("mode", [0o755, 0o1755])
def test_a_directory_above_that_the_web_user_owns_is_named(tree_look, project, web_user, mode):
    shutil.chown(project.parent, web_user)
    project.parent.chmod(mode)
    finding = permissions.code(tree_look())
    assert finding.status == "fail"
    assert "the whole directory can be exchanged" in finding.evidence


@pytest.mark.parametrize(("mode", "exchanged"), [(0o777, True), (0o1777, False), (0o755, False)])
def test_a_directory_above_that_all_can_write_is_named_where_it_is_not_sticky(tree_look, project, mode, exchanged):
    project.parent.chmod(mode)
    assert ("can be exchanged" in permissions.code(tree_look()).evidence) == exchanged


def test_the_web_server_that_is_not_php_reads_no_secret(tree_look, project, web_user):
    other = next(entry for entry in pwd.getpwall() if entry.pw_name in ("daemon", "bin"))
    observer = tree_look(web=WebServer("nginx", user=other.pw_name))
    assert permissions.env(observer).status == "pass"
    os.chown(project / ".env", 0, other.pw_gid)
    finding = permissions.env(tree_look(web=WebServer("nginx", user=other.pw_name)))
    assert finding.status == "fail"
    assert "can be read by the web server" in finding.evidence


def test_an_environment_file_that_the_web_user_led_elsewhere_is_a_finding(tree_look, project, web_user):
    (project / ".env.local").symlink_to("var/upload/resource/essay.txt")
    os.chown(project / ".env.local", pwd.getpwnam(web_user).pw_uid, -1, follow_symlinks=False)
    finding = permissions.env(tree_look())
    assert finding.status == "fail"
    assert ".env.local is not read: .env.local is a link of " in finding.evidence
    assert " to var/upload/resource/essay.txt, and " in finding.evidence


@pytest.mark.parametrize(
    ("name", "path", "status", "words"),
    [
        ("var", "var", "fail", "{project}/var is not there; Chamilo cannot work without it."),
        ("env", ".env", "not_assessed", "No .env file can be seen in {project}."),
        ("config", "config", "not_assessed", "{project}/config is not there."),
    ],
)
def test_what_is_not_there_is_no_pass(tree_look, project, name, path, status, words):
    shutil.move(project / path, project.parent / "away")
    finding = OF_THE_TREE[name](tree_look())
    assert (finding.status, finding.evidence) == (status, words.format(project=project))


def test_an_acl_that_gives_more_than_the_mode_is_named(tree_look, project, monkeypatch):
    let_write(project / "public", 54321)
    finding = permissions.code(tree_look())
    assert finding.status == "fail"
    assert "have an ACL, or pass one on, that gives more than their mode" in finding.evidence
    asked = []

    def access(path):
        return SimpleNamespace(exceeds=lambda most: asked.append((path, most)) or path.endswith(".env"))

    monkeypatch.setattr(permissions.acl, "access", access)
    assert ".env (root:www-data 0640) has an ACL that gives more than 640" in permissions.env(tree_look()).evidence
    assert (f"{project}/.env", 0o640) in asked


def test_a_var_that_php_cannot_write_to_breaks_the_site(tree_look, project):
    (project / "var").chmod(0o570)
    finding = permissions.var(tree_look())
    assert finding.status == "fail" and "www-data cannot write to var/ (www-data:www-data 0570)" in finding.evidence


def test_a_directory_that_cannot_be_read_is_not_assessed(tree_look, project, web_user):
    """As another user, in a process of its own: root may read everything."""
    reader = next(entry for entry in pwd.getpwall() if entry.pw_name in ("daemon", "bin"))
    for parent in list(project.parents)[:-1]:
        mode = parent.stat().st_mode
        if parent.stat().st_uid == 0 and "/pytest-" in str(parent) and mode & 0o011 != 0o011:
            parent.chmod(mode | 0o011)
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(reader.pw_gid)
        os.setuid(reader.pw_uid)
        observer = tree_look()
        seen = [
            permissions.no_777(observer).status,
            permissions.var(observer).status,
            permissions.code(observer).status,
        ]
        os._exit(0 if seen == ["not_assessed", "not_assessed", "not_assessed"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_without_chamilo_nothing_is_assessed(look_at):
    for function in (*OF_THE_TREE.values(), permissions.secrets, permissions.production, permissions.docroot):
        with pytest.raises(Unseen, match="no Chamilo found under the usual places; set chamilo_root"):
            function(look_at())


def running(observer, *found):
    observer.processes = tuple(Process(*entry) for entry in found)
    return observer


def test_masters_may_be_root_and_workers_not(look_at):
    observer = running(
        look_at(),
        (10, 1, "nginx", 0),
        (11, 10, "nginx", 33),
        (20, 1, "php-fpm8.4", 0),
        (21, 20, "php-fpm8.4", 33),
        (30, 1, "cron", 0),
    )
    assert permissions.web_user(observer).status == "pass"


@pytest.mark.parametrize(
    "found",
    [
        [(10, 1, "nginx", 0), (11, 10, "nginx", 0)],
        [(10, 1, "php-fpm8.4", 0), (11, 10, "php-fpm8.4", 33), (12, 10, "php-fpm8.4", 0)],
        [(10, 1, "apache2", 0)],  # it does the work itself
    ],
)
def test_a_worker_as_root_fails(look_at, found):
    finding = permissions.web_user(running(look_at(), *found))
    assert finding.status == "fail"
    assert "run as root" in finding.evidence


IDLE = ((10, 1, "nginx", 0), (11, 10, "nginx", 33), (20, 1, "php-fpm8.4", 0))


@pytest.mark.parametrize("more", [(), ((30, 1, "php-fpm8.2", 0), (31, 30, "php-fpm8.2", 33))])
def test_a_pool_without_workers_runs_as_it_is_configured(look_at, web_user, more):
    """pm = ondemand: its master is root, and workers come with the visitors."""
    finding = permissions.web_user(running(look_at(php=Php("8.4", "fpm", user=web_user)), *IDLE, *more))
    assert finding.status == "pass", finding.evidence
    assert f"PHP, which has no worker now, as {web_user}" in finding.evidence
    finding = permissions.web_user(running(look_at(php=Php("8.4", "fpm", user="root")), *IDLE, *more))
    assert finding.status == "fail"
    assert "PHP, which has no worker now, would run as root" in finding.evidence


def test_a_pool_without_workers_of_which_nothing_is_known_is_not_assessed(look_at):
    with pytest.raises(Unseen, match="the user PHP runs as could not be found"):
        permissions.web_user(running(look_at(), *IDLE))
    with pytest.raises(Unseen, match="the user PHP runs as could not be found"):
        permissions.web_user(running(look_at(php=Php("8.4", "fpm")), (20, 1, "php-fpm8.2", 0)))


def test_nothing_running_is_not_assessed(look_at):
    with pytest.raises(Unseen, match="neither a web server nor PHP-FPM"):
        permissions.web_user(running(look_at(), (1, 0, "systemd", 0)))


# ---------------------------------------------------------------------------------------------------- production


def produce(observer, server_type="prod", display="Off", second=None):
    """Two portals where the second one is given a word of its own."""
    observer.php = {"display_errors": Setting(display, "/etc/php/8.4/fpm/php.ini")}
    setting = {"category": "platform", "variable": "server_type", "access_url_changeable": "1"}
    rows = [{**setting, "access_url": "1", "selected_value": server_type}]
    portals = [{"id": "1", "url": "https://campus.test/"}]
    if second is not None:
        rows.append({**setting, "access_url": "2", "selected_value": second})
        portals.append({"id": "2", "url": "https://second.test/"})
    observer.database = PortalReader(Account("chamilo"), ask=lambda sql: portals if "access_url WHERE" in sql else rows)
    return observer


PROD = {"APP_ENV": "prod", "APP_DEBUG": "0"}


def plain(endpoint, path, request):
    return 200 if path == "/" else 404, {}, b"<html>"


def test_production(tree_look):
    assert permissions.production(produce(tree_look(plain, environment=PROD))).status == "pass"


@pytest.mark.parametrize(
    ("environment", "server", "more", "words"),
    [
        ({"APP_ENV": "dev"}, plain, {}, "APP_ENV is dev (source unknown)."),
        ({"APP_ENV": "prod", "APP_DEBUG": "1"}, plain, {}, "APP_DEBUG is 1"),
        (PROD, lambda *_: (200, {"X-Debug-Token": "a1"}, b""), {}, "the debug toolbar is on"),
        (PROD, lambda *_: (500, {}, b"<b>Fatal error</b>: Uncaught"), {}, "Fatal error"),
        (PROD, plain, {"display": "On"}, "display_errors"),
        (PROD, plain, {"server_type": "test"}, "platform.server_type is test."),
        (PROD, plain, {"second": "test"}, "platform.server_type is test on https://second.test/."),
    ],
)
def test_not_production(tree_look, environment, server, more, words):
    finding = permissions.production(produce(tree_look(server, environment=environment), **more))
    assert finding.status == "fail"
    assert words in finding.evidence


def test_an_environment_that_cannot_be_read_is_not_assessed(tree_look):
    assert permissions.production(produce(tree_look(plain))).status == "not_assessed"


def test_a_site_that_does_not_answer_is_not_assessed(tree_look):
    observer = produce(tree_look(lambda *_: (0, {}, b""), environment=PROD))
    assert permissions.production(observer).status == "not_assessed"


def test_a_database_that_does_not_answer_is_not_assessed(tree_look):
    with pytest.raises(DatabaseError):
        observer = tree_look(plain, environment=PROD)
        observer.php = {}
        permissions.production(observer)


# ------------------------------------------------------------------------------------------------------- secrets


def key(path, passphrase):
    encrypt = ["-aes256", "-pass", f"pass:{passphrase}"] if passphrase else []
    made = "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048".split()
    command = [*made, *encrypt, "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)


def test_secrets_of_its_own(tree_look, project):
    key(project / "config/jwt/private.pem", "a passphrase of its own")
    assert permissions.secrets(tree_look(environment=PROD)).status == "pass"


@pytest.mark.parametrize(
    ("passphrase", "words"), [("your_secret_passphrase", "the passphrase that Chamilo ships"), ("", "not encrypted")]
)
def test_a_key_that_opens(tree_look, project, passphrase, words):
    key(project / "config/jwt/private.pem", passphrase)
    finding = permissions.secrets(tree_look(environment=PROD))
    assert finding.status == "fail"
    assert words in finding.evidence


@pytest.mark.parametrize(
    ("written", "age", "status"),
    [
        (("private.pem",), 3600, "fail"),
        (("private.pem",), 5, "pass"),
        (("private.pem", "public.pem"), 3600, "pass"),
        (None, 3600, "pass"),
    ],
)
def test_a_pair_that_is_older_than_its_passphrase(tree_look, project, tmp_path, monkeypatch, written, age, status):
    monkeypatch.setattr(permissions, "RECORDS", str(tmp_path))
    private, public = project / "config/jwt/private.pem", project / "config/jwt/public.pem"
    key(private, "a passphrase of its own")
    public.write_text("")
    os.utime(public, (private.stat().st_mtime - age,) * 2)
    if written is not None:
        sums = {"private.pem": hashlib.sha256(private.read_bytes()).hexdigest()}
        known = [[os.path.realpath(private.parent / name), sums.get(name, "0")] for name in written]
        (tmp_path / "written.json").write_text(json.dumps(known))
    finding = permissions.secrets(tree_look(environment=PROD))
    assert finding.status == status and ("still signs tokens" in finding.evidence) == (status == "fail")


def test_a_record_that_cannot_be_read_is_not_green(tree_look, project, tmp_path, monkeypatch):
    monkeypatch.setattr(permissions, "RECORDS", str(tmp_path))
    key(project / "config/jwt/private.pem", "a passphrase of its own")
    (tmp_path / "written.json").write_text("{")
    with pytest.raises(Unseen, match="older than their passphrase"):
        permissions.secrets(tree_look(environment=PROD))


@pytest.mark.parametrize("root", [True, False])
def test_a_key_that_is_closed_to_the_audit_is_not_assessed(tree_look, project, monkeypatch, root):
    if not root:  # which could not see that it is not there
        (project / "config/jwt/private.pem").unlink()
    observer = tree_look(environment=PROD)
    observer.as_root = root
    monkeypatch.setattr(permissions.os, "access", lambda path, how: False)
    finding = permissions.secrets(observer)
    assert finding.status == "not_assessed" and finding.evidence.endswith("private.pem cannot be read without root.")


def test_public_defaults_fail(tree_look, project):
    (project / "config/jwt/private.pem").unlink()
    finding = permissions.secrets(tree_look(environment=PROD, secrets_default=("APP_SECRET",)))
    assert finding.status == "fail"
    assert "APP_SECRET" in finding.evidence
    assert permissions.secrets(tree_look(environment=PROD)).status == "pass"


def test_secrets_that_cannot_be_read_are_not_assessed(tree_look, project):
    (project / "config/jwt/private.pem").unlink()
    assert permissions.secrets(tree_look()).status == "not_assessed"


# ------------------------------------------------------------------------------------------------------- docroot


def serving(directory):
    """A web server with this directory as its root, and a front controller for the rest."""

    def answer(endpoint, path, request):
        file = os.path.normpath(f"{directory}/{path}")
        if os.path.isfile(file) and not file.endswith(".php"):
            with open(file, "rb") as stream:
                return 200, {}, stream.read()
        return 200, {}, b"<!DOCTYPE html><title>Campus</title>"

    return answer


def test_only_the_public_directory(tree_look, project):
    finding = permissions.docroot(tree_look(lambda endpoint, path, request: (404, {}, b"")))
    assert finding.status == "pass"
    assert ".env" in finding.evidence


@pytest.mark.parametrize("way", ["/.env", "//.env", "/%2eenv", "/../.env", "/%2e%2e/.env", "/build/..%2f..%2f.env"])
def test_one_way_to_a_secret_is_enough(tree_look, project, way):
    text = (project / ".env").read_bytes()
    it = tree_look(lambda endpoint, path, request: (200, {}, text) if path == way else (404, {}, b""))
    finding = permissions.docroot(it)
    assert finding.status == "fail" and f"{way} gives away .env" in finding.evidence


def test_a_secret_is_known_by_its_form_where_its_file_cannot_be_read(tree_look, monkeypatch):
    monkeypatch.setattr(permissions, "head", lambda *_file: b"")
    for text, status in ((b"# ours\nAPP_ENV=prod\n", "fail"), (b"<!DOCTYPE html>", "pass")):
        shop = VirtualHost("/etc/nginx/sites-enabled/shop", 7, ("shop.test",), (HTTP,), "/var/www/shop")
        it = tree_look(
            lambda endpoint, path, request, text=text: (200, {}, text) if path == "/campus/.env" else (404, {}, b""),
            virtual_hosts=(shop,),
        )
        assert permissions.docroot(it).status == status


def test_without_a_web_server_nothing_can_be_given_away(tree_look):
    with pytest.raises(Unseen, match="no web server with a virtual host was found on this host"):
        permissions.docroot(tree_look(hosts=()))
    closed = VirtualHost("/etc/nginx/sites-enabled/campus", 1, ("campus.test",), (), "/srv")
    with pytest.raises(Unseen, match="none of the virtual hosts of this host can be called"):
        permissions.docroot(tree_look(hosts=(closed,)))


def test_without_root_what_cannot_be_read_cannot_be_recognised(tree_look, project, monkeypatch):
    observer = tree_look(lambda endpoint, path, request: (404, {}, b""))
    observer.as_root = False
    assert permissions.docroot(observer).status == "pass"
    monkeypatch.setattr(permissions, "head", lambda *_file: b"")
    assert permissions.docroot(observer).status == "not_assessed"


def test_a_front_controller_that_answers_200_to_everything_gives_nothing_away(tree_look, project):
    def answer(endpoint, path, request):
        return 200, {}, b"<!DOCTYPE html><title>Campus</title>"

    assert permissions.docroot(tree_look(answer)).status == "pass"


@pytest.mark.parametrize("path", [".env.bak", "dump.sql", "documentation/changelog.html", "main/template/login.tpl"])
def test_what_was_left_below_the_web_root(tree_look, project, path):
    (project / "public" / path).parent.mkdir(parents=True, exist_ok=True)
    (project / "public" / path).write_text("DATABASE_PASSWORD=not-shown\n")
    finding = permissions.docroot(tree_look(serving(project / "public")))
    assert finding.status == "fail"
    assert f"gives away public/{path}" in finding.evidence
    assert "not-shown" not in finding.evidence


def test_an_old_virtual_host_with_the_project_as_its_root_is_named(tree_look, project):
    old = VirtualHost("/etc/nginx/sites-enabled/old", 7, ("old.test",), (HTTP,), str(project))
    new = VirtualHost("/etc/nginx/sites-enabled/campus", 1, ("campus.test",), (HTTP,), f"{project}/public")

    def answer(endpoint, path, request):
        return serving(project if endpoint.name == "old.test" else project / "public")(endpoint, path, request)

    finding = permissions.docroot(tree_look(answer, virtual_hosts=(new, old)))
    assert finding.status == "fail"
    assert "http://old.test/.env gives away .env (virtual host at /etc/nginx/sites-enabled/old:7)" in finding.evidence
    assert "essay.txt" in permissions.docroot(tree_look(answer, virtual_hosts=(old,))).evidence


def test_a_root_above_the_project(tree_look, project):
    above = VirtualHost("/etc/nginx/sites-enabled/default", 1, ("_",), (HTTP,), str(project.parent))
    finding = permissions.docroot(tree_look(serving(project.parent), virtual_hosts=(above,)))
    assert finding.status == "fail"
    assert "http://192.0.2.7/campus/.env" in finding.evidence


@pytest.mark.parametrize(
    ("status", "location", "result"),
    [
        (200, "", "fail"),
        (302, "/school/login", "fail"),
        (404, "", "pass"),
    ],
)
def test_an_alias_of_another_site_past_our_rules_is_named(tree_look, project, status, location, result):
    aliases = (Alias("/school", f"{project}/public"),)
    shop = VirtualHost("/etc/nginx/sites-enabled/shop", 7, ("shop.test",), (HTTPS,), "/srv/shop", aliases=aliases)
    campus = VirtualHost("/etc/nginx/sites-enabled/campus", 1, ("campus.test",), (HTTP,), f"{project}/public")

    def answer(endpoint, path, request):
        if endpoint.name == "shop.test" and path == "/school/index.php":
            return status, {"Location": location} if location else {}, b""
        return 404, {}, b""

    finding = permissions.docroot(tree_look(answer, virtual_hosts=(campus, shop), serving=(campus,)))
    assert finding.status == result
    if result == "fail":
        assert finding.evidence.startswith(f"https://shop.test/school/index.php answers {status}. ")
        assert "sites-enabled/shop line 7 serves the portal as well, below /school" in finding.evidence


@pytest.mark.parametrize(("ours", "result"), [(False, "fail"), (True, "pass")])
def test_a_site_without_a_name_with_the_root_of_the_portal(tree_look, project, ours, result):
    default = VirtualHost("/etc/x", 7, ("_",), (HTTP,), f"{project}/public", includes_ours=ours)
    campus = VirtualHost("/etc/nginx/sites-enabled/campus", 1, ("campus.test",), (HTTP,), f"{project}/public")

    def answer(endpoint, path, request):
        return 200 if path == "/index.php" else 404, {}, b""

    finding = permissions.docroot(tree_look(answer, virtual_hosts=(campus, default), serving=(campus,)))
    assert finding.status == result


def test_a_virtual_host_that_hangs_up_exposes_nothing(tree_look, project, monkeypatch):
    """As nginx does with `return 444`."""
    unrelated = VirtualHost("/etc/nginx/sites-enabled/default", 1, ("_",), (HTTP,), "/var/www/html")
    campus = VirtualHost("/etc/nginx/sites-enabled/campus", 1, ("campus.test",), (HTTP,), f"{project}/public")
    observer = tree_look(lambda endpoint, path, request: (404, {}, b""), virtual_hosts=(unrelated, campus))
    fetch = observer._fetch

    def hang_up(endpoint, path, **request):
        if (endpoint.name == "campus.test") is of_ours:
            return Answer(endpoint.url(path), error="Remote end closed connection without response")
        return fetch(endpoint, path, **request)

    monkeypatch.setattr(observer, "_fetch", hang_up)
    of_ours = False
    assert permissions.docroot(observer).status == "pass"
    of_ours = True
    with pytest.raises(Unseen, match="gave no answer"):
        permissions.docroot(tree_look(lambda endpoint, path, _: (0, {}, b""), virtual_hosts=(unrelated, campus)))
