# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._application.virtual_hosts import Planned
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import access_rules
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import Directive

PUBLIC = "/var/www/chamilo/public"
SHIPPED = (Path(__file__).parents[4] / "testbed/app/tree/public/.htaccess").read_text()


@pytest.fixture
def portal(host):
    """A portal under Apache."""
    host.install("apache")
    host.chamilo()
    host.testbed_site("apache", "plain")
    host.write(f"{PUBLIC}/.htaccess", SHIPPED)
    return host


def site(host):
    return discover("campus.test", tree=host.tree, hosted=Planned())


def closed(host):
    places = [place for file in site(host).access_files for place in file.rules]
    return [(place.file.removeprefix(f"{PUBLIC}/"), place.line, place.what) for place in places]


def test_what_chamilo_ships_closes_nothing(portal):
    assert site(portal).access_files == ()


@pytest.mark.parametrize(
    ("text", "line", "what", "keep"),
    [
        ('AuthType Basic\nAuthName "x"\nRequire valid-user\n', 1, "AuthType Basic", "AuthConfig"),
        ("Require ip 10.0.0.0/8\n", 1, "Require ip 10.0.0.0/8", "AuthConfig"),
        ("Require all denied\n", 1, "Require all denied", "AuthConfig"),
        (
            "<RequireAll>\nRequire all granted\nRequire not ip 192.0.2.1\n</RequireAll>\n",
            3,
            "Require not ip 192.0.2.1",
            "",
        ),
        ("Order deny,allow\nDeny from all\n", 2, "Deny from all", "Limit"),
        ("Order allow,deny\n", 1, "Order allow,deny", "Limit"),
        ("Order allow,deny\nAllow from 10.0.0.0/8\n", 1, "Order allow,deny", "Limit"),
        ("AddType text/plain .log\nOrder allow,deny\n", 2, "Order allow,deny", "Limit"),
        ("Satisfy any\n", 1, "Satisfy any", "AuthConfig"),
        (
            "SetEnvIf Referer x ok\nOrder deny,allow\nDeny from all\nAllow from env=ok\n",
            3,
            "Deny from all",
            "FileInfo Limit",
        ),
        ("<Limit POST>\nRequire user bob\n</Limit>\n", 2, "Require user bob", "AuthConfig"),
        ("<If \"%{HTTP_HOST} == 'x'\">\nRequire host x.test\n</If>\n", 2, "Require host x.test", "AuthConfig"),
        (
            "RewriteEngine On\nRewriteCond %{REMOTE_ADDR} !^10\\.\nRewriteRule ^ - [F]\n",
            3,
            "RewriteRule ^ - [F]",
            "FileInfo",
        ),
        ("RewriteRule ^admin - [L,R=404]\n", 1, "RewriteRule ^admin - [L,R=404]", "FileInfo"),
        ("RedirectMatch 403 ^/admin\n", 1, "RedirectMatch 403 ^/admin", "FileInfo"),
        ("<IfModule mod_authz_core.c>\nRequire ip ::1\n</IfModule>\n", 2, "Require ip ::1", "AuthConfig"),
        ("<IfDefine CLOSED>\nRequire ip ::1\n</IfDefine>\n", 2, "Require ip ::1", "AuthConfig"),
        ('<FilesMatch "^\\.">\nRequire ip 10.0.0.0/8\n</FilesMatch>\n', 2, "Require ip 10.0.0.0/8", "AuthConfig"),
        ("Require ip \\\n  ::1\n", 1, "Require ip   ::1", "AuthConfig"),
    ],
)
def test_an_access_rule_goes_on_closing_what_it_closes(portal, text, line, what, keep):
    portal.write(f"{PUBLIC}/reports/.htaccess", text)
    found = site(portal)
    assert ("reports/.htaccess", line, what) in closed(portal)
    assert [file.directory for file in found.access_files] == [f"{PUBLIC}/reports"]
    assert found.access_files[0].keep == f"{keep or 'AuthConfig'} Nonfatal=Override"


@pytest.mark.parametrize(
    "text",
    [
        "Require all granted\n",
        "Order allow,deny\nAllow from all\n",
        '<FilesMatch "^\\.">\nRequire all denied\n</FilesMatch>\n',
        "<Files .ht*>\nOrder allow,deny\nDeny from all\n</Files>\n",
        "RewriteRule \\.git - [F]\n",
        "RewriteRule ^old$ /new [R=301,L]\n",
        "Redirect 301 /old /new\nphp_flag engine off\nOptions -Indexes\n",
        "<IfModule !mod_authz_core.c>\nDeny from all\n</IfModule>\n",
        "# Require ip 10.0.0.1\nInclude /etc/passwd\n",
    ],
)
def test_what_closes_nothing_or_what_ours_closes_too_is_not(portal, text):
    portal.write(f"{PUBLIC}/reports/.htaccess", text)
    assert closed(portal) == []


def test_a_rule_of_the_whole_portal_counts_and_nothing_of_ours_ends_it_in_a_virtual_host_of_its_owner(portal):
    portal.write(f"{PUBLIC}/.htaccess", f"{SHIPPED}Require ip 10.0.0.1\n")
    assert closed(portal) == [(".htaccess", 18, "Require ip 10.0.0.1")]
    assert [(file.directory, file.keep) for file in site(portal).access_files] == [(PUBLIC, "")]


@pytest.mark.parametrize("output", ["AllowOverride None", "AllowOverride FileInfo", ""])
def test_what_apache_does_not_obey_is_not_lost(portal, output):
    file = portal.root / "etc/apache2/sites-available/campus.conf"
    file.write_text(file.read_text().replace("AllowOverride All", output))
    portal.write(f"{PUBLIC}/reports/.htaccess", "Require ip 10.0.0.1\n")
    assert site(portal).access_files == ()


def test_of_several_sections_the_deepest_decides(portal):
    text = f"<Directory {PUBLIC}/*>\nAllowOverride None\n</Directory>\n"
    text += f"<Directory {PUBLIC}/reports/open>\nAllowOverride AuthConfig\n</Directory>\n"
    portal.write("/etc/apache2/conf-enabled/own.conf", text)
    for path in ("reports", "reports/open", "reports/open/inner"):
        portal.write(f"{PUBLIC}/{path}/.htaccess", "Require ip 10.0.0.1\n")
    found = [file.directory for file in site(portal).access_files]
    assert found == [f"{PUBLIC}/reports/open", f"{PUBLIC}/reports/open/inner"]


def test_apache_reads_what_lies_above_the_document_root_too(portal):
    portal.write("/etc/apache2/conf-enabled/own.conf", "<Directory /var/www>\nAllowOverride All\n</Directory>\n")
    portal.write("/var/www/.htaccess", "Require ip 10.0.0.1\n")
    assert closed(portal) == [("/var/www/.htaccess", 1, "Require ip 10.0.0.1")]
    assert site(portal).access_files[0].keep == ""


def test_another_name_of_access_files_is_known(portal):
    portal.write("/etc/apache2/conf-enabled/own.conf", "AccessFileName .rules\n")
    portal.write(f"{PUBLIC}/reports/.htaccess", "Require ip 10.0.0.1\n")
    portal.write(f"{PUBLIC}/reports/.rules", "Require ip 10.0.0.2\n")
    assert closed(portal) == [("reports/.rules", 1, "Require ip 10.0.0.2")]


def test_a_link_that_the_web_user_could_have_laid_is_neither_read_nor_overlooked(portal):
    """Without another user than ourselves, every link counts as our own: www-data has to be there for this one."""
    if os.geteuid() != 0:
        pytest.skip("only root can make links of another user")
    portal.write("/srv/secret/key", "Require ip 10.0.0.1 secret\n")
    portal.write(f"{PUBLIC}/trap/x")
    os.symlink(portal.root / "srv/secret/key", portal.root / PUBLIC.lstrip("/") / "trap/.htaccess")
    os.lchown(portal.root / PUBLIC.lstrip("/") / "trap/.htaccess", 33, 33)
    os.chown(portal.root / PUBLIC.lstrip("/") / "trap", 33, 33)
    portal.write("/srv/more/.htaccess", "Require ip 10.0.0.1 secret\n")
    os.symlink(portal.root / "srv/more", portal.root / PUBLIC.lstrip("/") / "trap/more")
    os.lchown(portal.root / PUBLIC.lstrip("/") / "trap/more", 33, 33)
    found = closed(portal)
    assert "secret" not in "".join(what for _file, _line, what in found).replace("srv/secret", "")
    assert [file for file, _line, _what in found] == ["trap/.htaccess", "trap/more"]
    assert all("not followed" in what or "cannot be read" in what for _file, _line, what in found)


def test_a_link_of_root_is_followed_as_apache_does_and_no_loop_is(portal):
    portal.write("/srv/more/.htaccess", "Require ip 10.0.0.1\n")
    portal.link("/srv/more/again", ".")
    portal.link(f"{PUBLIC}/more", "../../../../srv/more")
    assert ("more/.htaccess", 1, "Require ip 10.0.0.1") in closed(portal)


@pytest.mark.parametrize(
    ("text", "why"),
    [("<Files x>\n", "cannot be parsed"), ("#" * (1 << 20) + "\n", "larger than")],
)
def test_what_cannot_be_understood_is_in_the_way(portal, text, why):
    portal.write(f"{PUBLIC}/reports/.htaccess", text)
    assert why in closed(portal)[0][2]


def test_a_file_is_read_up_to_its_limit(portal):
    rule = "Require ip 10.0.0.1\n"
    portal.write(f"{PUBLIC}/reports/.htaccess", "#" * ((1 << 20) - len(rule) - 1) + f"\n{rule}")
    assert closed(portal) == [("reports/.htaccess", 2, rule.strip())]


@pytest.mark.parametrize(
    ("problem", "found"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), []),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory"), []),
        (
            PermissionError(errno.EACCES, "Permission denied"),
            [("reports", 1, "this directory cannot be searched: Permission denied")],
        ),
    ],
)
def test_a_directory_that_cannot_be_searched_is_in_the_way_and_one_that_went_is_not(
    portal, monkeypatch, problem, found
):
    def refusing(name, *more, **options):
        if name == "reports" and "dir_fd" in options:
            raise problem
        return real(name, *more, **options)

    real = os.open
    portal.write(f"{PUBLIC}/reports/x")
    portal.write(f"{PUBLIC}/sessions/.htaccess", "Require ip 10.0.0.1\n")
    monkeypatch.setattr(os, "open", refusing)
    assert closed(portal) == [*found, ("sessions/.htaccess", 1, "Require ip 10.0.0.1")]


@pytest.mark.parametrize(
    ("problem", "found"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), []),
        (
            OSError(errno.EIO, "Input/output error"),
            [(PUBLIC, 1, "this directory cannot be searched: Input/output error")],
        ),
    ],
)
def test_a_document_root_that_cannot_be_searched_is_in_the_way_and_one_that_went_is_not(
    portal, monkeypatch, problem, found
):
    def refusing(_tree, _path, *_more):
        raise problem

    portal.write(f"{PUBLIC}/reports/.htaccess", "Require ip 10.0.0.1\n")
    monkeypatch.setattr(type(portal.tree), "directory", refusing)
    assert closed(portal) == found


@pytest.mark.parametrize(
    ("target", "output", "found"),
    [
        ("/srv/more", "All", ["trap/more"]),
        ("/srv/none", "All", []),  # no .htaccess there
        ("/nowhere", "All", []),
        ("/srv/more", "None", []),
    ],
)
def test_a_link_that_is_not_followed_is_in_the_way_where_apache_reads_a_file_behind_it(portal, target, output, found):
    section = f"<Directory {PUBLIC}/trap/more>\nAllowOverride {output}\n</Directory>\n"
    portal.write("/etc/apache2/conf-enabled/own.conf", section)
    portal.write("/srv/more/.htaccess", "Require ip 10.0.0.1\n")
    portal.write("/srv/none/x")
    portal.write(f"{PUBLIC}/trap/x")
    trap = portal.root / PUBLIC.lstrip("/") / "trap"
    os.symlink(f"{portal.root}{target}", trap / "more")
    for path in (trap, trap / "more"):
        os.lchown(path, 33, 33)
    assert [path for path, _line, what in closed(portal) if "is not followed" in what] == found


def test_a_link_to_a_file_is_no_directory(portal):
    portal.write("/srv/more/.htaccess", "Require ip 10.0.0.1\n")
    portal.link(f"{PUBLIC}/page.html", "../../../../srv/more/.htaccess")
    assert closed(portal) == []


@pytest.mark.parametrize(
    ("depth", "what"), [(64, "Require ip 10.0.0.1"), (65, "directories deeper than 64 are not searched")]
)
def test_how_deep_is_searched(portal, depth, what):
    path = "/".join("d" * depth)
    portal.write(f"{PUBLIC}/{path}/.htaccess", "Require ip 10.0.0.1\n")
    assert closed(portal) == [(f"{path}/.htaccess" if depth == 64 else path, 1, what)]


def test_a_pattern_that_cannot_be_compiled_hides_nothing(portal):
    portal.write(f"{PUBLIC}/reports/.htaccess", '<FilesMatch "(">\nRequire all denied\n</FilesMatch>\n')
    assert closed(portal) == [("reports/.htaccess", 2, "Require all denied")]


def test_a_disk_that_cannot_be_read_is_in_the_way(portal, monkeypatch):
    def fails(*_arguments):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(access_rules, "access_files", fails)
    assert "Input/output error" in closed(portal)[0][2]
    assert {"auto", "include", "managed"} == set(site(portal).own_host.refused), (
        "what cannot be seen may close something"
    )


def test_a_pipe_is_not_waited_for(portal):
    portal.write(f"{PUBLIC}/reports/x")
    os.mkfifo(portal.root / PUBLIC.lstrip("/") / "reports/.htaccess")
    assert "no regular file" in closed(portal)[0][2]


def test_a_thousand_directories_in_each_other_end_at_a_limit(portal, deep):
    deep(portal.root / PUBLIC.lstrip("/"))
    assert "deeper than 64" in closed(portal)[0][2]


@pytest.mark.parametrize("name", ['a"b', "a\nb", "a*b", "a?b", "${X}", "a\\b", "ü", "a#b"])
def test_a_name_that_apache_would_read_as_something_else_is_refused_in_every_mode(portal, name):
    portal.write(f"{PUBLIC}/{name}/.htaccess", "Require ip 10.0.0.1\n")
    refused = site(portal).own_host.refused
    assert set(refused) == {"auto", "managed", "include"}
    assert "the name of its directory written into a configuration" in refused["include"]
    assert all(text.isprintable() for text in refused.values())


def test_what_is_shown_of_a_hostile_line_is_short_and_harms_no_terminal(portal):
    portal.write(f"{PUBLIC}/reports/.htaccess", f"Require ip \x1b[31m{'x' * 9000}\n")
    what = closed(portal)[0][2]
    assert what.isprintable() and len(what) < 300


@pytest.mark.parametrize(
    ("text", "keep", "listed"),
    [
        ("RewriteEngine On\nRewriteRule ^(.*)$ index.php [L]\n", "Nonfatal=Override", "RewriteEngine RewriteRule"),
        ("redirect 301 /old /new\nErrorDocument 404 /x\n", "Nonfatal=Override", "ErrorDocument Redirect"),
        ("DirectoryIndex start.html\nRequire ip ::1\n", "AuthConfig Nonfatal=Override", "DirectoryIndex"),
        ("<IfModule mod_rewrite.c>\nRewriteRule ^ - [F]\n</IfModule>\n", "FileInfo Nonfatal=Override", "RewriteRule"),
        # What runs a program is no rule of the owner's that is worth keeping, nor is what leads nowhere.
        ("RewriteRule \\.jpg$ - [H=application/x-httpd-php]\n", None, ""),
        ("RewriteRule \\.jpg$ - [L,T=application/x-httpd-php]\nRedirect /a /b\n", None, ""),
        ("AddHandler application/x-httpd-php .jpg\nphp_flag engine on\nOptions +ExecCGI\n", None, ""),
        ("RewriteEngine On\nRewriteBase /\n", None, ""),
    ],
)
def test_where_a_directory_leads_its_visitors_is_kept_and_nothing_more(portal, text, keep, listed):
    portal.write(f"{PUBLIC}/forum/.htaccess", text)
    found = site(portal)
    assert [(file.keep, file.listed) for file in found.access_files] == ([(keep, listed)] if keep else [])
    if keep:  # what is written then leads to the same once more
        ours = f"<Directory {PUBLIC}/*>\nAllowOverride None\n</Directory>\n<Directory {PUBLIC}/forum>\n"
        ours += f"AllowOverride {keep}\nAllowOverrideList {listed}\n</Directory>\n"
        portal.write("/etc/apache2/conf-enabled/chamilo-campus-uploads.conf", ours)
        assert site(portal).access_files == found.access_files
        portal.write(f"{PUBLIC}/img/.htaccess", text)
        assert site(portal).access_files == found.access_files


@pytest.mark.parametrize(
    ("lines", "classes"),
    [
        ([], None),
        (["AllowOverride None"], ""),
        (["AllowOverride all"], "AuthConfig FileInfo Indexes Limit Options"),
        (["AllowOverride AuthConfig Options=Indexes Nonfatal=All"], "AuthConfig Options"),
        (["AllowOverrideList None"], ""),
        (["AllowOverrideList Redirect"], "FileInfo"),
        (["AllowOverrideList Redirect Unheard"], "AuthConfig FileInfo Indexes Limit Options"),
        (["AllowOverride AuthConfig", "AllowOverrideList Redirect"], "AuthConfig FileInfo"),
    ],
)
def test_what_a_directory_allows_in_its_files(lines, classes):
    words = [line.split() for line in lines]
    block = tuple(Directive(name.lower(), tuple(rest), "x", 1) for name, *rest in words)
    found = access_rules._allowed(Directive("directory", ("/srv",), "x", 1, block))
    assert found == (None if classes is None else set(classes.split()))
