# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which directory is that of the portal."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover


def site_of(host, **options):
    return discover("campus.test", tree=host.tree, **options)


@pytest.mark.parametrize(
    ("root", "links", "document_root", "spellings"),
    [
        ("/var/www/chamilo", {}, "/var/www/chamilo/public", ["/var/www/chamilo"]),
        ("/var/www/chamilo", {"/srv/web": "/var/www"}, "/srv/web", ["/srv/web/chamilo", "/var/www/chamilo"]),
        ("/var/www/chamilo", {"/srv/old": "/var/www/chamilo"}, "/srv/old", ["/srv/old", "/var/www/chamilo"]),
        (
            "/srv/campus/current",
            {"/srv/campus/current": "/srv/campus/releases/7"},
            "/srv/campus/current/public",
            ["/srv/campus/current", "/srv/campus/releases"],
        ),
    ],
)
def test_how_the_project_directory_is_written(host, root, links, document_root, spellings):
    host.install("nginx")
    host.chamilo(links.get(root, root))
    for link, target in links.items():
        host.link(link, str(host.root) + target)
    if document_root:
        host.write("/etc/nginx/sites-enabled/x", f"server {{ server_name campus.test; root {document_root}; }}")
    site = site_of(host, root=root)
    assert list(site.spellings) == spellings
    releases = "/srv/campus/releases/*"
    assert site.real_root == (releases if "current" in root else str(links.get(root, root)))


@pytest.mark.parametrize("given, hint", [("/srv/none", False), ("/var/www/chamilo/public", True)])
def test_a_root_without_chamilo(host, given, hint):
    host.install("nginx")
    host.chamilo()
    (problem,) = site_of(host, root=given).problems
    assert problem.startswith(f'chamilo_root is "{given}", but no Chamilo is there: it has no public/main')
    assert ("It is the project directory, not its public/." in problem) is hint


def test_the_root_behind_the_virtual_host_wins(host):
    host.install("nginx")
    host.chamilo("/var/www/old")
    host.chamilo("/opt/learn/campus")
    host.site("nginx", "server {\n server_name campus.test;\n root /opt/learn/campus/public;\n}\n")
    assert site_of(host).root == "/opt/learn/campus"
    assert site_of(host, root="/var/www/old/").root == "/var/www/old"


def test_of_several_portals_that_answer_the_first_counts_and_of_several_others_none(host):
    host.install("nginx")
    for name in ("one", "two"):
        host.chamilo(f"/opt/{name}")
    block = "server {{\n listen {1};\n server_name {2};\n root /opt/{0}/public;\n}}\n"
    host.site("nginx", block.format("one", 80, "campus.test") + block.format("two", 8080, "campus.test"))
    assert site_of(host).root == "/opt/one"
    others = block.format("one", 80, "a.test") + block.format("two", 8080, "b.test")
    host.write("/etc/nginx/sites-available/campus.conf", f"server {{ listen 80 default_server; }}\n{others}")
    site = site_of(host)
    assert site.root == "" and any("Several Chamilo portals" in problem for problem in site.problems)


def test_the_root_in_a_usual_place(host):
    host.install("nginx")
    host.chamilo("/srv/www/campus")
    host.write("/srv/www/other/public/index.php")
    assert site_of(host).root == "/srv/www/campus"
    host.chamilo("/var/www/second")
    (problem,) = site_of(host).problems
    assert problem.startswith("Several Chamilo portals are on this host (/var/www/second, /srv/www/campus)")


def test_a_project_without_console_is_known_by_its_composer_file(host):
    host.install("nginx")
    host.write("/srv/campus/public/main/index.php")
    host.write("/srv/campus/composer.json", '{"name": "chamilo/chamilo-lms"}')
    assert site_of(host).root == "/srv/campus"


@pytest.mark.parametrize(
    "text, version",
    [
        ("<?php\nreturn ['new_version' => '2.0.0', 'new_version_status' => 'RC'];", "2.0.0-RC"),
        ("<?php\n$new_version = '2.0.1';\n$new_version_status = '';", "2.0.1"),
        ('<?php\n$new_version_status = "stable";', ""),
    ],
)
def test_the_version(host, text, version):
    host.install("nginx")
    host.chamilo()
    host.write("/var/www/chamilo/public/main/install/version.php", text)
    assert site_of(host).version == version


def test_a_project_a_user_may_not_enter_is_reported(open_host, nobody):
    open_host.install("nginx")
    open_host.chamilo()
    (open_host.root / "var/www/chamilo").chmod(0)
    with nobody():
        site = site_of(open_host, root="/var/www/chamilo")
    (open_host.root / "var/www/chamilo").chmod(0o755)
    assert site.problems[-1].startswith("This user may not read /var/www/chamilo/public/main")


def test_one_directory_of_one_machine_has_one_fingerprint(host):
    host.chamilo()
    host.chamilo("/srv/second")
    host.link("/srv/campus", "../var/www/chamilo")
    host.write("/proc/sys/kernel/random/boot_id", "c0ffee\n")
    one, again = site_of(host, root="/var/www/chamilo"), site_of(host, root="/srv/campus")
    assert one.fingerprint == again.fingerprint != site_of(host, root="/srv/second").fingerprint
    host.write("/proc/sys/kernel/random/boot_id", "a copy of the machine\n")
    assert site_of(host, root="/srv/campus").fingerprint not in ("", one.fingerprint)
