# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What could run of what the web user wrote, and what becomes of it. Real files, as root; the web user is www-data."""

from __future__ import annotations

import hashlib
import json
import math
import os
import pwd
import stat
import struct
import time
import types

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import policy, tree, vouch, walk
from tests.unit.plugins.module_utils._common.test_acl import let_write

WEB = pwd.getpwnam("www-data")
DAY = 86400


@pytest.mark.parametrize(
    ("path", "text", "what"),
    [
        ("public/x.php", "", "php"),
        ("public/x.PHTML", "", "php"),
        ("public/img/x.gif", "GIF89a<?php system($_GET[0]);", "php"),
        ("public/img/x.gif", "GIF89a", ""),
        ("public/main/x.inc", "<?= 1;", "php"),
        ("bin/console", "#!/usr/bin/env php\n<?php", "php"),
        ("bin/tool", "#!/bin/sh\n", "steers"),
        ("public/notes.txt", "#!/bin/sh\n", "steers"),
        ("public/notes.txt", "Notes", ""),
        ("config/packages/x.yaml", "services:\n", "steers"),
        ("config/x.txt", "what a configuration may include", "steers"),
        ("config/jwt/private.pem", "-----BEGIN", ""),
        ("templates/index.html.twig", "{{ 1 }}", "steers"),
        ("templates/x.html", "{{ 1 }}", "steers"),
        ("public/main/template/default/x.tpl", "{$x}", "steers"),
        ("public/.user.ini", "", "handler"),
        ("public/build/.htaccess", "AddHandler application/x-httpd-php .gif\n", "handler"),
        ("public/build/.htaccess", "php_value auto_prepend_file /tmp/x\n", "handler"),
        ("public/build/.htaccess", "Options +ExecCGI\nAddHandler cgi-script .sh\n", "handler"),
        ("public/build/.htaccess", "SetHandler none\nphp_flag engine off\n", "steers"),
        ("public/build/.htaccess", "Require all denied\nAddHandler application/x-httpd-php .gif\n", "steers"),
        (".env", "APP_ENV=prod\nDATABASE_PASSWORD='a(b'\n# $(date)\n", ""),
        (".env", "APP_ENV=$(id)\n", "steers"),
        (".env", "A='$(id)'\n", ""),
        (".env", "A='a'\"$(id)\"\n", "steers"),
        (".env.local", "export APP_RUNTIME=Evil\\Runtime\n", "steers"),
        (".env", "APP_CACHE_DIR=/var/tmp/.c\n", "steers"),
        (".env.evil", "export APP_BUILD_DIR='x'\n", "steers"),
        (".env.local", "APP_SHARE_DIR=x\nAPP_LOG_DIR=x\n", "steers"),
        (".env.local", "LD_PRELOAD=/tmp/x.so\n", "steers"),
        (".env.local", "WKHTML='/tmp/x'\nA=1\n", "steers"),
        (".env.local", "WKHTML=phar://x\n", "steers"),
        (".env.local", "REDIS_URL=redis://x/1\nJWT_SECRET_KEY=/etc/x.pem\nGITHUB_TOKEN=a\nCOLOUR=red\n", ""),
        (".env.local.php", "", "php"),
        ("vendor/composer/installed.json", "{}", "steers"),
        ("public/build/manifest.json", "{}", ""),
        ("public/build/app.js", "fetch('/')", ""),
        ("webpack.config.js", "require('child_process')", "steers"),
        (".yarn/releases/yarn-4.0.0.cjs", "require('child_process')", "steers"),
        ("assets/vue/main.mjs", "import 'x'", "steers"),
        ("package.json", '{"scripts": {"postinstall": "id"}}', "steers"),
        ("UPGRADE_ENABLED", "", "steers"),
    ],
)
def test_what_a_file_runs_is_determined_by_its_content(tmp_path, path, text, what):
    file = tmp_path / "file"
    file.write_text(text)
    handle = os.open(file, os.O_RDONLY)
    assert vouch.runs(path, handle) == what
    os.close(handle)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("A=1\nAPP_CACHE_DIR=/var/tmp/.c\n  export APP_BUILD_DIR = x\n", ["APP_CACHE_DIR", "APP_BUILD_DIR"]),
        ("<?php return array ('APP_ENV' => 'prod', 'APP_CACHE_DIR' => '/tmp/x');", ["APP_CACHE_DIR"]),
        ("# APP_CACHE_DIR=/tmp/x\nAPP_ENV=prod\n", []),
        ("APP_CACHE_DIR={root}/var/cache\nAPP_LOG_DIR='{root}/var/log' # ours\n", []),
        ("APP_CACHE_DIR={root}/var/../../x\n", ["APP_CACHE_DIR"]),
        ("APP_CACHE_DIR={root}/var/$X/x\n", ["APP_CACHE_DIR"]),
        ("APP_RUNTIME={root}/var/x\n", ["APP_RUNTIME"]),
    ],
)
def test_an_environment_file_that_has_code_loaded_from_elsewhere(tmp_path, text, names):
    text = text.replace("{root}", str(tmp_path))
    assert vouch.environment_steers(text, str(tmp_path)) == names


def test_a_picture_too_large_to_be_searched_is_no_data(tmp_path, monkeypatch):
    monkeypatch.setattr(vouch, "_READ", 1 << 20)
    file = tmp_path / "x.gif"
    file.write_bytes(b"\0" * (2 << 20))
    handle = os.open(file, os.O_RDONLY)
    assert vouch.runs("public/x.gif", handle) == "steers"
    os.close(handle)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[core]\n\tbare = false\n\tfsmonitor = true\n", []),
        ("[core]\n\tfsmonitor = touch /tmp/x\n", ["core.fsmonitor"]),
        ("[CORE] FSMonitor=/tmp/x ; one line", ["core.fsmonitor"]),
        ("[core]\n\tfsmon\\\nitor = /tmp/x\n", ["core.fsmonitor"]),
        (
            "[core]\nhooksPath=/tmp\nsshCommand=x\npager=less\neditor=vi\n",
            ["hookspath", "sshcommand", "pager", "editor"],
        ),
        ('[filter "lfs"]\n\tclean = git-lfs clean -- %f\n\tprocess = git-lfs filter-process\n', []),
        ('[filter "lfs"]\n\tclean = sh -c id\n', ["filter.lfs.clean"]),
        ('[diff "x"]\ntextconv = id\n[diff]\nexternal = id\n', ["diff.x.textconv", "diff.external"]),
        ("[alias]\nst = status\nco = !id\n", ["alias.co"]),
        ("[include]\npath = /tmp/x\n", ["include.path"]),
        ('[includeIf "gitdir:/"]\npath = /tmp/x\n', ["includeif.gitdir:/.path"]),
        ("[credential]\nhelper = store\n", []),
        ("[credential]\nhelper = !id\n", ["credential.helper"]),
        ("[gpg]\nprogram = id\n[uploadpack]\npackObjectsHook = id\n", ["gpg.program", "uploadpack.packobjectshook"]),
        ('[remote "origin"]\nurl = https://github.com/chamilo/chamilo-lms\nfetch = +refs/*\n', []),
        ('[remote "origin"]\nurl = ext::sh -c id\n', ["remote.origin.url"]),
        ('[branch "main"]\nremote = origin\nmerge = refs/heads/main\n', []),
        ("[pager]\nlog = false\ndiff = less\n", ["pager.diff"]),
        ("[core]\nfsmonitor\n", []),
        ("[core]\npager\n", ["core.pager"]),
        ("[credential]\nhelper = cache --timeout=300\n", []),
        ("[protocol]\nallow = always\n", ["protocol.allow"]),
        ('[protocol "ext"]\nallow = always\n[protocol "https"]\nallow = always\n', ["protocol.ext.allow"]),
        ('[submodule "x"]\nupdate = rebase\n[submodule "y"]\nupdate = !id\n', ["submodule.y.update"]),
        ('[url "ext::sh -c id"]\ninsteadOf = x\n[url "https://x"]\ninsteadOf = y\n', ["ext::sh -c id.insteadof"]),
        ("[filter.x]\nclean = id\n", ["filter.x.clean"]),  # as older versions wrote it
        ('[filter.x "y"]\nclean = id\n', ["filter.y.clean"]),
        ("# [core]\n; editor = id\n[user]\neditor = id\n", []),
        ("[[core]\neditor = id\n", []),
        ('\ufeff[core]\neditor = "id"\n', ["core.editor"]),
    ],
)
def test_settings_that_git_runs(text, names):
    found = vouch.git_settings(text)
    assert len(found) == len(names) and all(reported.endswith(name) for reported, name in zip(found, names)), found


# ------------------------------------------------------------------------------------------------ in a whole tree

RELEASE = [
    ".env",
    "bin/console",
    "composer.json",
    "config/bundles.php",
    "config/packages/framework.yaml",
    "config/routes.yaml",
    "config/services.yaml",
    "public/.htaccess",
    "public/index.php",
    "public/main/template/default/layout.tpl",
    *(f"public/main/page{number}.php" for number in range(20)),
    *(f"public/plugin/Shipped/{name}" for name in ("plugin.php", "composer.json", "a.php", "b.php")),
    *(f"src/CoreBundle/C{number}.php" for number in range(40)),
    "templates/index.html.twig",
    *(f"vendor/a/b/C{number}.php" for number in range(60)),
    "vendor/composer/autoload_files.php",
]
LAID = 1_700_000_000


def lay(site, name, text="<?php // as it was laid", days=0.0, owner=WEB.pw_uid, mode=0o777):
    path = site / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    os.chown(path, owner, WEB.pw_gid if owner else 0)
    when = LAID + days * DAY
    os.utime(path, (when, when))
    return path


@pytest.fixture
def site(tmp_path):
    """A release of the web user's own, all 777: only the files' own dates show what came later."""
    site = tmp_path / "chamilo"
    for name in RELEASE:
        lay(site, name)
    lay(site, ".env", "APP_ENV=prod\n")
    lay(site, "public/.htaccess", "RewriteEngine on\n")
    (site / "var").mkdir()
    return site


def harden(site, **given):
    order = {"path": str(site), "owner": "root", "web_user": "www-data", "roots": ["var", "config"], **given}
    return walk.run(policy.order(order, "production"))


def mode(path):
    status = os.lstat(path)
    return status.st_uid, f"{stat.S_IMODE(status.st_mode):04o}"


IMPLANTS = {
    "bin/console": "<?php system('id');",
    "config/bundles.php": "<?php return [Evil::class => []];",
    "config/packages/evil.yaml": "services: {x: {factory: system, arguments: [id]}}",
    "config/preload.php": "<?php system('id');",
    "config/routes.yaml": "x: {path: /x, controller: Evil}",
    "public/.htaccess": "AddHandler application/x-httpd-php .gif",
    "public/.user.ini": "auto_prepend_file=/tmp/x",
    "public/build/.htaccess": "AddHandler application/x-httpd-php .gif",
    "public/build/x.gif": "GIF89a<?php system('id');",
    "public/main/inc/x.inc": "<?php system('id');",
    "public/main/page1.php": "<?php system('id');",
    "public/main/template/default/layout.tpl": "{php}system('id');{/php}",
    "public/plugin/Shipped/a.php": "<?php system('id');",
    "public/x.phtml": "<?php system('id');",
    "src/CoreBundle/Evil.php": "<?php system('id');",
    "templates/index.html.twig": "{{ ['id']|filter('system') }}",
    "vendor/a/b/C1.php": "<?php system('id');",
    "vendor/composer/autoload_files.php": "<?php return ['/tmp/x'];",
}
# Unreadable for PHP and the web server from then on; what the portal may need is named and runs on.
NEUTRALISED = [
    "public/.user.ini",
    "public/build/.htaccess",
    "public/build/x.gif",
    "public/main/inc/x.inc",
    "public/main/page1.php",
    "public/plugin/Shipped/a.php",
    "public/x.phtml",
]


def test_what_was_planted_before_is_named_or_neutralised_whatever_it_is_called(site):
    for name, text in IMPLANTS.items():
        lay(site, name, text, days=30)
    found = harden(site)
    assert found.quarantined == NEUTRALISED
    assert found.doubtful == sorted(set(IMPLANTS) - set(NEUTRALISED))
    assert mode(site / "bin/console") == (0, "0355")
    assert mode(site / "config/packages/evil.yaml") == (0, "0240")
    assert mode(site / "public/.user.ini") == (0, "0600")
    assert mode(site / "public/build/.htaccess.quarantined") == (0, "0200")
    again = harden(site)
    assert (again.changed, again.quarantined, again.doubtful) == (False, found.quarantined, found.doubtful)
    acknowledged = [*NEUTRALISED, "bin/console", "config/**"]
    looked_at = harden(site, acknowledged=acknowledged)
    assert not looked_at.quarantined and len(looked_at.doubtful) == 6
    assert mode(site / "bin/console") == (0, "0755")
    assert (site / "public/build/.htaccess").exists()
    assert not harden(site, acknowledged=acknowledged).changed


def test_what_others_wrote_and_a_plugin_with_its_own_history_are_no_break_in(site):
    for name in ("plugin.php", "composer.json", "src/page.php", "view/page.tpl", "README.md"):
        lay(site, f"public/plugin/Ours/{name}", days=90)
    lay(site, "templates/index.html.twig", "{{ 'by hand' }}", days=40, owner=0, mode=0o644)
    lay(site, "config/authentication.yaml", "ldap: by hand", days=40, owner=0, mode=0o640)
    lay(
        site,
        "public/main/page2.php",
        "<?php // mended by hand",
        days=40,
        owner=pwd.getpwnam("games").pw_uid,
        mode=0o644,
    )
    lay(site, "public/img/logo.png", "\x89PNG", days=50)
    lay(site, ".env", "APP_ENV=prod\n", days=2)
    lay(site, "config/jwt/private.pem", "-----BEGIN", days=2)
    found = harden(site)
    assert (found.quarantined, found.doubtful) == ([], [])


WEATHER = ("plugin.php", "composer.json", "lang/english.php", "README.md")
SHELL = "<?php $h = getallheaders(); call_user_func($h['x-f'], $h['x-a']);"


def test_a_web_shell_that_came_as_a_plugin_cannot_run_and_a_plugin_is_written_down(site):
    for name in WEATHER:
        lay(site, f"public/plugin/Weather/{name}", days=90)
        lay(site, f"public/plugin/Timetable/{name}", days=90)
    lay(site, "public/plugin/Weather/start.php", SHELL, days=90)
    lay(site, "public/plugin/Timetable/start.php", "<?php echo (int) $_GET['week'];", days=90)
    found = harden(site)
    assert found.quarantined == ["public/plugin/Weather/start.php"]
    assert sorted(found.plugins) == ["public/plugin/Timetable", "public/plugin/Weather"]
    assert found.plugins["public/plugin/Weather"].startswith("www-data, 20")
    assert "plugins" not in found.result() and "writable" not in found.result()
    again = harden(site)
    assert (again.changed, again.quarantined) == (False, found.quarantined)


def test_how_much_of_the_program_the_web_user_could_write_is_counted_once(site):
    assert harden(site).writable == len(RELEASE) - 1  # but for .env
    assert harden(site).writable == 0
    lay(site, "src/CoreBundle/C1.php", owner=0, mode=0o666)
    lay(site, ".env", "APP_ENV=prod")
    assert harden(site).writable == 1


def test_what_came_later_into_a_plugin_with_its_own_history_is_named(site):
    for name in ("plugin.php", "composer.json", "src/page.php", "view/page.tpl", "README.md"):
        lay(site, f"public/plugin/Ours/{name}", days=90)
    lay(site, "public/plugin/Ours/src/x.php", days=95)
    assert harden(site).quarantined == ["public/plugin/Ours/src/x.php"]


def test_a_single_new_file_does_not_hide_the_others(site):
    """Once the age of the release was that of the newest of eight files, of which bin/console is one."""
    lay(site, "bin/console", days=400)
    lay(site, "public/main/shell.php", days=200)
    found = harden(site)
    assert (found.quarantined, found.doubtful) == (["public/main/shell.php"], ["bin/console"])


# -------------------------------------------------------------------------------- what the portal would be down without


def now_later(site, monkeypatch):
    """What changes from here on came later than the release by its ctime, which cannot be set back."""
    changed = [path.lstat().st_ctime for path in site.rglob("*")]
    monkeypatch.setattr(vouch, "LAID", max(changed) - min(changed))
    time.sleep(max(0, math.ceil(max(changed) + vouch.LAID) + 0.02 - time.time()))  # it counts in whole seconds


@pytest.mark.parametrize("name", ["public/index.php", "public/main/page3.php", "src/CoreBundle/Legacy.php"])
def test_a_file_that_was_only_touched_since_runs_on_and_is_named(site, monkeypatch, name):
    """As by `chmod 755`, or by a second name from any account. Its content has its old date."""
    lay(site, name)
    now_later(site, monkeypatch)
    (site / name).chmod(0o755)
    found = harden(site)
    assert (found.quarantined, found.doubtful) == ([], [name])
    assert mode(site / name) == (0, "0244")
    again = harden(site)
    assert (again.changed, again.doubtful) == (False, [name])


def test_a_second_name_puts_no_page_out_of_action(site, monkeypatch):
    now_later(site, monkeypatch)
    (site / "var/upload").mkdir()
    os.link(site / "public/main/page3.php", site / "var/upload/x")
    found = harden(site)
    assert (found.quarantined, found.doubtful) == ([], ["public/main/page3.php"])
    assert mode(site / "public/main/page3.php") == (0, "0244")
    again = harden(site)
    assert (again.changed, again.doubtful, again.refused) == (False, found.doubtful, [])


@pytest.mark.parametrize(("made", "is_new"), [(None, False), (-60, False), (60, True)])
def test_a_new_file_is_known_however_old_it_reports_it_is(site, monkeypatch, made, is_new):
    """By its time of birth. Where there is none, a later change time alone puts no page out of action."""
    now_later(site, monkeypatch)
    lay(site, "public/main/ws.php")
    monkeypatch.setattr(tree, "born", lambda _handle: None if made is None else time.time() + made)
    found = harden(site)
    assert (found.quarantined, found.doubtful)[not is_new] == ["public/main/ws.php"]


def test_a_page_that_obeys_its_visitors_is_quarantined_whatever_its_date(site, monkeypatch):
    now_later(site, monkeypatch)
    lay(site, "public/main/page3.php", "<?php system($_GET[0]);")
    assert harden(site).quarantined == ["public/main/page3.php"]


@pytest.mark.parametrize("name", ["public/index.php", "public/main/inc/global.inc.php"])
def test_what_every_page_goes_through_runs_on_and_is_named_whatever_it_contains(site, name):
    lay(site, name, "<?php // changed", days=30)
    found = harden(site)
    assert (found.quarantined, found.doubtful) == ([], [name])


def git(site, text="[core]\n\tbare = false\n", mode=0o777, owner=WEB.pw_uid):
    lay(site, ".git/config", text, mode=mode, owner=owner)
    lay(site, ".git/hooks/pre-commit.sample", "#!/bin/sh\n")
    os.chown(site / ".git", owner, WEB.pw_gid)
    return site / ".git"


def test_git_that_runs_what_an_acl_lets_the_web_user_set(site):
    directory = git(site, "[core]\n\tfsmonitor = touch /tmp/x\n", mode=0o644, owner=0)
    os.chmod(directory, 0o755)
    assert not harden(site).refused
    let_write(directory / "config", WEB.pw_uid)
    (refused,) = harden(site).refused
    assert refused["path"] == ".git" and "core.fsmonitor" in refused["why"]


def test_git_that_runs_what_the_web_user_set_never_becomes_root_s(site):
    directory = git(site, "[core]\n\tfsmonitor = touch /tmp/x\n")
    found = harden(site)
    (reported,) = found.refused
    assert reported["path"] == ".git" and "core.fsmonitor" in reported["why"]
    assert mode(directory) == (WEB.pw_uid, "0700") and mode(directory / "config")[0] == WEB.pw_uid
    again = harden(site)
    assert not again.changed and again.refused == found.refused
    (directory / "config").write_text("[core]\n\tbare = false\n")
    assert harden(site).refused == []
    assert (mode(directory), mode(directory / "config")) == ((0, "0700"), (0, "0600"))
    assert not harden(site).changed


def test_a_hook_of_the_web_user_s_too(site):
    directory = git(site)
    lay(site, ".git/hooks/post-checkout", "#!/bin/sh\nid\n")
    (reported,) = harden(site).refused
    assert "hooks/post-checkout" in reported["why"]
    assert mode(directory) == (WEB.pw_uid, "0700")


@pytest.fixture
def repository(tmp_path):
    """An empty .git and ``runs``: what of it Git would run, where these paths of it are the web user's."""
    (tmp_path / ".git/hooks").mkdir(parents=True)

    def runs(*theirs):
        def is_theirs(where, status):
            return any(os.path.samestat(status, os.lstat(tmp_path / ".git" / path)) for path in theirs)

        top = os.open(tmp_path / ".git", os.O_DIRECTORY)
        try:
            return vouch.git_runs(top, is_theirs)
        finally:
            os.close(top)

    return types.SimpleNamespace(at=tmp_path / ".git", runs=runs)


@pytest.mark.parametrize(("path", "found"), [("commondir", ["commondir"]), ("objects/info/alternates", [])])
def test_a_repository_that_leads_to_another_one(repository, path, found):
    (repository.at / "objects/info").mkdir(parents=True)
    (repository.at / path).write_text("/srv/x\n")
    assert repository.runs(".") == found
    assert repository.runs(path) == []


@pytest.mark.parametrize("name", ["config", "config.worktree"])
def test_which_of_the_settings_of_git_count(repository, name):
    (repository.at / name).write_text("[core]\neditor = id\n")
    assert repository.runs(".") == repository.runs(name) == ["core.editor"]
    assert repository.runs() == repository.runs("hooks") == []


@pytest.mark.parametrize("name", ["config", "hooks"])
def test_what_cannot_be_opened_of_git_counts_where_it_is_the_web_user_s(repository, name):
    (repository.at / "hooks").rmdir()
    (repository.at / name).symlink_to("/srv/x")
    (why,) = repository.runs(".")
    assert why.startswith(f"{name}: ") and repository.runs() == []


def test_settings_of_git_too_long_to_be_searched(repository, monkeypatch):
    text = "[core]\neditor = id\n"
    monkeypatch.setattr(vouch, "_READ", len(text))
    (repository.at / "config").write_text(text)
    assert repository.runs(".") == ["core.editor"]
    (repository.at / "config").write_text(f"{text}\n")
    assert repository.runs(".") == ["core.editor", "config, which is too long"]


def test_which_hooks_git_runs(repository):
    hooks = repository.at / "hooks"
    for name, rights in (("a", 0o755), ("b", 0o644), ("c.sample", 0o755), ("d", 0o601)):
        (hooks / name).touch()
        (hooks / name).chmod(rights)
    (hooks / "e").mkdir(0o755)
    (hooks / "f").symlink_to("/srv/x")
    assert repository.runs(".") == repository.runs("hooks") == ["hooks/a", "hooks/d", "hooks/f"]
    assert repository.runs("hooks/d", "hooks/b", "hooks/c.sample") == ["hooks/d"] and repository.runs() == []
    for number in range(30):
        (hooks / f"x{number:02}").symlink_to("/srv/x")
    assert repository.runs(".") == ["hooks/a", "hooks/d", "hooks/f", *(f"hooks/x{number:02}" for number in range(17))]


def test_a_module_of_git_is_the_web_user_s_by_the_directory_of_all(repository):
    module = repository.at / "modules/theme"
    module.mkdir(parents=True)
    (repository.at / "modules/x").touch()
    (module / "config").write_text("[core]\neditor = id\n")
    assert repository.runs("modules") == repository.runs("modules/theme/config") == ["modules/theme: core.editor"]
    assert repository.runs() == []


def test_modules_of_git_are_inspected_and_not_without_end(site):
    at = ".git"
    for level in range(6):
        at += f"/modules/m{level}"
        lay(site, f"{at}/config", "[core]\nfsmonitor = id\n")
        lay(site, f"{at}/hooks/post-merge", "#!/bin/sh\n", mode=0o755)
    top = os.open(site / ".git", os.O_DIRECTORY)
    try:
        found = vouch.git_runs(top, lambda *_which: True)
    finally:
        os.close(top)
    modules = [one for one in found if "modules" in one]
    assert modules == [
        *(f"modules/m{level}: {one}" for level in range(4) for one in ("core.fsmonitor", "hooks/post-merge")),
        "modules, which are nested too deep",
    ]


def test_settings_of_root_s_own_are_root_s(site):
    directory = git(site, "[core]\n\tsshCommand = ssh -i /root/key\n", mode=0o600, owner=0)
    lay(site, ".git/hooks/post-merge", "#!/bin/sh\n", mode=0o755, owner=0)
    (directory / "hooks").chmod(0o755)
    directory.chmod(0o755)
    os.chown(directory / "hooks", 0, 0)
    assert harden(site).refused == []
    assert mode(directory / "hooks/post-merge") == (0, "0700")


@pytest.mark.parametrize(
    ("text", "number", "behind"),
    [(b"\x00", 0, 1), (b"\x7f", 127, 1), (b"\x80\x00", 128, 2), (b"\x81\x7f", 383, 2), (b"\x80\x80\x00", 16512, 3)],
)
def test_how_much_of_a_name_git_leaves_out(text, number, behind):
    """As in Git's packs: each byte but the last one counts one more."""
    assert vouch._length(text + b"x", 0) == (number, behind)


def index(site, names, version=2):
    """As Git writes it."""
    text = struct.pack(">4sII", b"DIRC", version, len(names))
    before = b""
    for name in sorted(names):
        content = (site / name).read_bytes()
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).digest()
        entry = bytes(40) + blob + struct.pack(">H", 0x4000 if version == 3 else len(name))
        entry += bytes(2) if version == 3 else b""
        path = name.encode()
        if version == 4:
            same = len(os.path.commonprefix([before, path]))
            text += entry + bytes([len(before) - same]) + path[same:] + b"\0"
            before = path
        else:
            entry += path
            text += entry + bytes(8 - len(entry) % 8)
    lay(site, ".git/index", owner=0, mode=0o644).write_bytes(text + bytes(20))


@pytest.mark.parametrize("version", [2, 3, 4])
def test_what_git_has_as_it_is_runs_on_and_is_named(site, version):
    """An update by Git changes few files; none of its pages is down for that, and no intruder is believed."""
    lay(site, "public/main/page1.php", "<?php // updated", days=30)
    lay(site, "public/main/page2.php", "<?php // updated", days=30)
    index(site, [name for name in RELEASE if name != ".env"], version)
    lay(site, "public/main/page2.php", "<?php // updated, and changed", days=30)
    lay(site, "public/main/shell.php", days=30)
    found = harden(site)
    assert found.doubtful == ["public/main/page1.php"]
    assert found.quarantined == ["public/main/page2.php", "public/main/shell.php"]
    again = harden(site)
    assert (again.changed, again.doubtful, again.quarantined) == (False, found.doubtful, found.quarantined)


@pytest.mark.parametrize("loose", [".", ".git", ".git/index"])
def test_an_index_that_the_web_user_could_write_vouches_for_no_shell(site, loose):
    """Nor does it take from a portal the pages of an update that was made as that user."""
    lay(site, "public/main/auth/ws.php", "<?php system($_GET[0]);", days=30)
    lay(site, "public/main/auth/updated.php", "<?php echo 'a page';", days=30)
    lay(site, "public/main/auth/unknown.php", "<?php echo 'a page';", days=30)
    index(site, ["public/main/auth/ws.php", "public/main/auth/updated.php"])
    os.chown(site / loose, WEB.pw_uid, WEB.pw_gid)
    found = harden(site)
    assert sorted(found.quarantined) == ["public/main/auth/unknown.php", "public/main/auth/ws.php"]
    assert found.doubtful == ["public/main/auth/updated.php"]
    assert harden(site).quarantined == found.quarantined  # the index is root's by now


@pytest.mark.parametrize(
    "text", [b"", b"DIRC", b"DIRC\0\0\0\2\xff\xff\xff\xff", b"x" * 100, b"DIRC\0\0\0\4\0\0\0\1" + b"\xff" * 80]
)
def test_an_index_that_is_none_reports_nothing(site, text):
    lay(site, ".git/index").write_bytes(text)
    handle = os.open(site, os.O_RDONLY)
    assert vouch.tracked(handle) == {}
    os.close(handle)


def test_what_has_no_end_is_not_read_to_it(tmp_path, monkeypatch):
    """The account that makes a sparse file decides how long it is."""
    with (tmp_path / "Kernel.php").open("wb") as file:
        file.truncate(1 << 40)

    def pread(_handle, size, at):
        assert at < 1 << 28
        return bytes(size)

    monkeypatch.setattr(vouch.os, "pread", pread)
    with open(tmp_path / "Kernel.php", "rb") as file:
        assert vouch.checksum(file.fileno()) == ""
        assert vouch.blob(file.fileno()) == b""


@pytest.fixture
def no_files(tmp_path):
    """What the web user may lay in the place of a file."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    (tmp_path / "src").mkdir()
    return tmp_path


@pytest.mark.parametrize("name", ["pipe", "directory"])
def test_what_is_no_file_is_like_none(no_files, name):
    handle = os.open(no_files / name, os.O_RDONLY | os.O_NONBLOCK)
    assert (vouch.checksum(handle), vouch.blob(handle)) == ("", b"")
    for path in ("public/notes.txt", "public/logo.gif", ".env", "public/.htaccess"):
        assert vouch.runs(path, handle) == "steers"
    assert not vouch.is_shell("public/x.php", handle)
    os.close(handle)


def test_one_that_is_no_file_makes_no_other_release(no_files):
    files = {}
    for number in range(40):
        (no_files / f"src/C{number}.php").write_text("<?php")
        files[f"src/C{number}.php"] = hashlib.sha256(b"<?php").hexdigest()
    for name, make in (("src/C1.php", os.mkfifo), ("src/C2.php", os.mkdir)):
        (no_files / name).unlink()
        make(no_files / name)
    assert vouch.unlike(str(no_files), files) == ""


def test_a_list_of_root_s_vouches_by_checksum(site, tmp_path):
    handle = os.open(site / "bin/console", os.O_RDONLY)
    known = {"root": str(site), "files": {"bin/console": vouch.checksum(handle) + " setuid"}}
    listed = tmp_path / "list.json"
    listed.write_text(json.dumps(known))
    assert vouch.Lists(str(site), [str(listed), "/nonexistent"]).vouch("bin/console", handle)
    assert not vouch.Lists(str(tmp_path), [str(listed)]).vouch("bin/console", handle)
    (site / "bin/console").write_text("changed")
    assert not vouch.Lists(str(site), [str(listed)]).vouch("bin/console", handle)
    os.close(handle)


@pytest.mark.parametrize(
    ("text", "files"),
    [(None, {}), ("{", {}), ("[]", {}), ("{}", {}), ('{"files": {"a": "b"}, "root": "/x"}', {"a": "b"})],
)
def test_a_list_that_cannot_be_read_lists_nothing(tmp_path, text, files):
    if text is not None:
        (tmp_path / "list.json").write_text(text)
    assert vouch.listed(str(tmp_path / "list.json")) == files


@pytest.fixture
def top(tmp_path):
    handle = os.open(tmp_path, os.O_DIRECTORY)
    yield handle
    os.close(handle)


@pytest.mark.parametrize(("theirs", "web"), [(20, False), (21, True)])
def test_a_release_was_laid_when_nearly_all_of_its_files_were(tmp_path, top, theirs, web):
    for number in range(40):
        lay(tmp_path, f"src/{number}.php", days=number)
        lay(tmp_path, f"public/{number}.php", days=number, owner=WEB.pw_uid if number < theirs else 0)
    found = vouch.release(top, WEB.pw_uid)
    assert (found.written, found.web) == (LAID + 37 * DAY + 3600, web)
    changed = os.stat(tmp_path / "src/37.php").st_ctime
    assert abs(found.changed - changed - 3600) < 60


def test_a_tree_without_a_program_has_no_release(tmp_path, top):
    lay(tmp_path, "public/index.php")
    assert vouch.release(top, WEB.pw_uid) == vouch.NOT_THERE


def test_a_sample_is_of_some_files_of_each_of_some_directories(tmp_path, top, monkeypatch):
    monkeypatch.setattr(vouch, "_IN_ONE", 2)
    for directory in range(302):
        for number in range(3):
            lay(tmp_path, f"src/{directory}/{number}.php")
    (tmp_path / "src/link").symlink_to("0/0.php")
    found = []
    vouch._sample(top, "src", found, 1000)
    assert len(found) == 300 * 2
    vouch._sample(top, "src", found, 605)
    assert len(found) == 605
    found.clear()
    vouch._sample(top, "src", found, 100, deep=False)
    vouch._sample(top, "vendor", found, 100)
    assert found == []
    lay(tmp_path, "src/Kernel.php")
    vouch._sample(top, "src", found, 100, deep=False)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("names", "known"),
    [
        (["plugin.php", "a.php", "b.php"], True),
        (["README.md", "a.php", "b.php"], True),
        (["plugin.php", "a.php"], False),  # fewer have no history
        (["page.php", "a.php", "b.php"], False),
        ([], False),
    ],
)
def test_a_plugin_has_a_history_of_its_own_by_its_metadata(tmp_path, top, names, known):
    for number, name in enumerate(names):
        lay(tmp_path, f"public/plugin/Ours/{name}", days=number)
    found = vouch.own_history(top, "public/plugin/Ours")
    if known:
        assert (found.written, found.web) == (LAID + DAY + 3600, True), "the one in the middle"
    else:
        assert found == vouch.NOT_THERE


@pytest.mark.parametrize(
    ("path", "directory"),
    [
        ("public/plugin/Ours/src/x.php", "public/plugin/Ours"),
        ("public/themes/ours/x.css", "public/themes/ours"),
        ("public/plugin/x.php", ""),
        ("public/main/Ours/x.php", ""),
        ("public/plugins/Ours/x.php", ""),
    ],
)
def test_the_directory_of_a_plugin_or_theme(path, directory):
    assert vouch.own_directory(path) == directory


@pytest.mark.parametrize(
    ("text", "value", "end"),
    [
        (b"\x00", 0, 1),
        (b"\x7f", 127, 1),
        (b"\x80\x00", 128, 2),
        (b"\x81\x05", 261, 2),
        (b"\xff\x7f", 16511, 2),
        (b"\x80\x80\x00", 16512, 3),
        (b"\x03rest", 3, 1),
    ],
)
def test_a_number_in_an_index_is_read_as_git_writes_it(text, value, end):
    assert vouch._length(text, 0) == (value, end)
    assert vouch._length(b"x" + text, 1) == (value, end + 1)


@pytest.mark.parametrize(
    ("changed", "written", "later"), [(100, 50, False), (101, 50, True), (100, 51, True), (0, 0, False)]
)
def test_what_came_after_a_release_is_later_by_either_clock(changed, written, later):
    status = os.stat_result((0o100644, 1, 1, 1, 0, 0, 0, 0, written, changed))
    assert vouch.Release(100.0, 50.0, False).later(status) is later
    assert not vouch.NOT_THERE.later(status)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("# x = 1\n; y = 2\n\n[bad\nz = 3\n", [("", "", "z", "3")]),
        ('[Core] Pager = "less -R" \n', [("core", "", "pager", "less -R")]),
        ('[diff "A b"]\n textconv = cat\\\n -n\n', [("diff", "A b", "textconv", "cat -n")]),
        ("[alias.st][core]\n\teditor=vi\n", [("core", "", "editor", "vi")]),
        ("[filter.lfs]\nrequired\n", [("filter", "lfs", "required", "")]),
    ],
)
def test_the_settings_of_git_are_read_line_by_line(text, values):
    assert vouch._git_values(text) == values
