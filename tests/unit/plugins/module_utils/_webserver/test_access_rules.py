# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._application.virtual_hosts import Planned

PUBLIC = "/var/www/chamilo/public"
SHIPPED = (Path(__file__).parents[4] / "testbed/app/tree/public/.htaccess").read_text()
RULE = "Require ip 10.0.0.1\n"


@pytest.fixture
def portal(host):
    """A portal under Apache."""
    host.install("apache")
    host.chamilo()
    host.testbed_site("apache", "plain")
    host.write(f"{PUBLIC}/.htaccess", f"{SHIPPED}{RULE}")  # nothing of ours ends it
    return host


def site(host):
    return discover("campus.test", tree=host.tree, hosted=Planned())


def kept(host):
    return {file.directory.removeprefix(f"{PUBLIC}/"): file.lost or file.listed for file in site(host).access_files}


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ('AuthType Basic\nAuthName "x"\nRequire valid-user\n', ""),
        ("Require all denied\n", ""),
        ("<RequireAll>\nRequire all granted\nRequire not ip 192.0.2.1\n</RequireAll>\n", ""),
        ("Order deny,allow\nDeny from all\n", ""),
        ("order allow,deny\nAllow from 10.0.0.0/8\n", ""),
        ("Satisfy any\n", ""),
        ("SetEnvIf Referer x ok\nOrder deny,allow\nDeny from all\nAllow from env=ok\n", "SetEnvIf"),
        ("<IfModule mod_authz_core.c>\n  Require ip ::1\n</IfModule>\n", ""),
        ("RewriteCond %{REMOTE_ADDR} !^10\\.\nRewriteRule ^ - [F]\n", "RewriteCond RewriteRule"),
        ("redirectmatch 403 ^/admin\n", "RedirectMatch"),
        ("RewriteEngine On\nRewriteRule ^(.*)$ index.php [L]\n", "RewriteEngine RewriteRule"),
        ("ErrorDocument 404 /x\nDirectoryIndex start.html\n", "ErrorDocument DirectoryIndex"),
        ("RewriteRule ^a - [H=x]\nRewriteRule ^b - [L,R=404]\n", "RewriteRule"),
        ("<Files x>\nRequire ip ::1\n", ""),  # Apache answers nothing there, before and after
        # What runs a program is no rule of the owner's that is worth keeping.
        ("RewriteRule \\.jpg$ - [H=application/x-httpd-php]\n", None),
        ("RewriteRule \\.jpg$ - [L,T=application/x-httpd-php]\nRedirect /a /b\n", None),
        ("AddHandler application/x-httpd-php .jpg\nphp_flag engine on\nOptions +ExecCGI\n", None),
        # Nor is what closes nothing.
        ("Require all granted\nAllow from all\n", None),
        ("# Require ip 10.0.0.1\nphp_flag engine off\nOptions -Indexes\n", None),
    ],
)
def test_what_closes_or_leads_goes_on_doing_so_and_nothing_that_runs_a_program(portal, text, listed):
    portal.write(f"{PUBLIC}/reports/.htaccess", text)
    assert kept(portal) == ({} if listed is None else {"reports": listed})
    # With what is written then it is the same once more; what comes later has no effect.
    ours = f"<Directory {PUBLIC}/*>\nAllowOverride None\n</Directory>\n<Directory {PUBLIC}/reports>\n"
    ours += f"AllowOverride AuthConfig Limit Nonfatal=Override\nAllowOverrideList {listed}\n</Directory>\n"
    before = kept(portal)
    portal.write("/etc/apache2/conf-enabled/chamilo-campus-uploads.conf", ours)
    portal.write(f"{PUBLIC}/img/.htaccess", RULE)
    assert kept(portal) == before


@pytest.mark.parametrize("output", ["AllowOverride None", ""])
def test_what_apache_does_not_obey_is_not_lost(portal, output):
    file = portal.root / "etc/apache2/sites-available/campus.conf"
    file.write_text(file.read_text().replace("AllowOverride All", output))
    portal.write(f"{PUBLIC}/reports/.htaccess", RULE)
    assert kept(portal) == {}


def test_of_several_sections_the_deepest_decides_and_files_have_the_name_that_is_set(portal):
    text = f"<Directory {PUBLIC}/*>\nAllowOverride None\n</Directory>\nAccessFileName .rules\n"
    text += f"<Directory {PUBLIC}/reports/open>\nAllowOverride AuthConfig\n</Directory>\n"
    portal.write("/etc/apache2/conf-enabled/own.conf", text)
    for path in ("reports/.rules", "reports/open/.rules", "reports/open/in/.rules", "reports/open/other/.htaccess"):
        portal.write(f"{PUBLIC}/{path}", RULE)
    assert kept(portal) == {"reports/open": "", "reports/open/in": ""}


@pytest.mark.parametrize(("target", "found"), [("/srv/more", {"trap/more"}), ("/srv/none", set()), ("/nowhere", set())])
def test_a_link_that_the_web_user_could_have_laid_is_neither_followed_nor_overlooked(portal, target, found):
    """Without another user than ourselves, every link counts as our own: www-data has to be there for this one."""
    if os.geteuid() != 0:
        pytest.skip("only root can make links of another user")
    portal.write("/srv/more/.htaccess", RULE)
    portal.write("/srv/none/x")
    portal.write(f"{PUBLIC}/trap/x")
    trap = portal.root / PUBLIC.lstrip("/") / "trap"
    os.symlink(f"{portal.root}{target}", trap / "more")
    os.symlink(portal.root / "srv/more/.htaccess", trap / ".htaccess")
    for path in (trap, trap / "more", trap / ".htaccess"):
        os.lchown(path, 33, 33)
    refused = kept(portal)
    assert set(refused) == {*found, "trap/.htaccess"}
    assert all("not searched" in why or "cannot be read" in why for why in refused.values())
    assert set(site(portal).own_host.refused) == {"auto", "include", "managed"}


def test_a_link_of_root_is_followed_as_apache_does_and_no_loop_is(portal):
    portal.write("/srv/more/.htaccess", RULE)
    portal.link("/srv/more/again", ".")
    portal.link(f"{PUBLIC}/more", "../../../../srv/more")
    portal.link(f"{PUBLIC}/page.html", "../../../../srv/more/.htaccess")
    assert kept(portal) == {"more": ""}


def test_what_cannot_be_read_is_in_the_way_and_not_waited_for(portal):
    portal.write(f"{PUBLIC}/reports/x")
    os.mkfifo(portal.root / PUBLIC.lstrip("/") / "reports/.htaccess")
    portal.write(f"{PUBLIC}/large/.htaccess", "#" * (1 << 20) + "\n")
    refused = kept(portal)
    assert "no regular file" in refused["reports/.htaccess"] and "larger than" in refused["large/.htaccess"]
    assert "this file cannot be read" in site(portal).own_host.refused["include"]


@pytest.mark.parametrize("name", ['a"b', "a\nb", "a*b", "${X}", "a\\b", "ü"])
def test_a_name_that_apache_would_read_as_something_else_is_refused_in_every_mode(portal, name):
    portal.write(f"{PUBLIC}/{name}/.htaccess", RULE)
    refused = site(portal).own_host.refused
    assert set(refused) == {"auto", "managed", "include"}
    assert "the name of its directory written into a configuration" in refused["include"]
    assert all(text.isprintable() for text in refused.values())
