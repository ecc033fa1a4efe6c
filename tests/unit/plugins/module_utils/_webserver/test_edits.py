# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What discovery plans for the virtual hosts of an owner, first and again."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._application.virtual_hosts import Planned
from ansible_collections.chamilo.hardening.plugins.module_utils._common.markers import apply, strip
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import edits

SITE = "campus_test"
DROP_INS = {
    "nginx": f"/etc/nginx/sites-available/chamilo-{SITE}.d",
    "apache": f"/etc/apache2/sites-available/chamilo-{SITE}.d",
}


def planned(host, **options):
    hosted = Planned(**{"tls": True, **options})
    return discover("campus.test", site=SITE, tree=host.tree, hosted=hosted)


def carry_out(host, plan) -> dict[str, str]:
    """As config_transaction does. Returns what was there before."""
    before = {}
    for edited in plan.files:
        path = host.root / edited.path.lstrip("/")
        before[edited.path] = strip(path.read_text(), SITE)
        path.write_text(apply(before[edited.path], edited.marks, SITE))
    return before


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_a_virtual_host_of_ours_is_not_edited(host, server):
    host.install(server)
    host.chamilo()
    header = "# Managed by Ansible: chamilo.hardening, section https. Changes here are lost.\n"
    host.testbed_site(server, "plain")
    (path,) = (host.root / DROP_INS[server].lstrip("/")).parent.glob("campus*")
    path.write_text(header + path.read_text())
    assert planned(host).in_place.blocks == ()


def test_the_headers_of_an_earlier_run_have_one_sender_still(host):
    host.install("nginx")
    host.chamilo()
    host.site(
        "nginx",
        "server { listen 80; server_name campus.test; root /var/www/chamilo/public;\n"
        "add_header X-Frame-Options DENY;\nadd_header X-School x;\nserver_tokens on;\n}\n",
    )

    def aside() -> str:
        carry_out(host, planned(host).in_place)
        (path,) = (host.root / "etc/nginx/sites-available").glob("campus*")
        return "".join(line for line in path.read_text().splitlines(True) if line.startswith("# "))

    assert "add_header" not in aside(), "nothing of ours is sent yet"
    host.write(f"{DROP_INS['nginx']}/headers.conf", "server_tokens off;\n")
    host.write(f"{DROP_INS['nginx']}/location/headers.conf", 'add_header X-Frame-Options "SAMEORIGIN" always;\n')
    shared = aside()
    assert (
        "# add_header X-Frame-Options DENY;" in shared and "# server_tokens on;" in shared and "X-School" not in shared
    )


def test_a_virtual_host_that_leads_elsewhere_needs_no_line(host):
    host.install("nginx")
    host.chamilo()
    host.site(
        "nginx",
        "server { listen 80; server_name campus.test; return 301 https://$host$request_uri; }\n"
        "server { listen 443 ssl; server_name campus.test; root /var/www/chamilo/public; }\n",
    )
    assert [one.leads_away for one in planned(host).serving] == [True, False]


def test_what_leads_visitors_of_other_sites_back_serves_nothing(host):
    host.install("apache")
    host.chamilo()
    host.testbed_site("apache", "plain")
    host.write("/etc/apache2/sites-enabled/zeta.conf", "<VirtualHost *:80>\nServerName z.test\n</VirtualHost>\n")
    host.write("/etc/apache2/conf-enabled/php.conf", 'SetHandler "proxy:unix:/run/php/php8.4-fpm.sock|fcgi://l"\n')
    carry_out(host, planned(host).in_place)
    host.write(f"{DROP_INS['apache']}/tls/https.conf", "SSLEngine on\n")
    found = {one.names: one.leads_away for one in planned(host).virtual_hosts if one.php}
    assert found == {("campus.test",): False, ("z.test",): False, ("other-names.invalid",): True}


@pytest.mark.parametrize(
    ("server", "redirect"),
    [
        ("nginx", "if ($scheme = http) { return 301 https://$host$request_uri; }\n"),
        ("apache", "RewriteEngine On\nRewriteRule ^ https://%{SERVER_NAME}%{REQUEST_URI} [R=301,L]\n"),
    ],
)
def test_our_redirect_is_not_its_owners(host, server, redirect):
    """What is asked after a change would else be asked by https in the next run, which is a change."""
    host.install(server)
    host.chamilo()
    host.testbed_site(server, "plain")
    carry_out(host, planned(host).in_place)
    assert not planned(host).redirected
    host.write(f"{DROP_INS[server]}/https.conf", f"# Managed by Ansible: chamilo.hardening, section https.\n{redirect}")
    assert not planned(host).redirected
    host.write(f"{DROP_INS[server]}/https.conf", redirect)
    assert planned(host).redirected


def test_a_file_of_ours_that_cannot_be_read_hides_no_other(host):
    host.write("/d/a.conf/no-file", "")
    host.write("/d/b.conf", "add_header X-Frame-Options DENY;\n")
    host.write("/d/location/c.conf", "add_header X-School x;\n")
    assert edits.shared(host.tree, "/d")[1] == {"x-frame-options", "x-school"}
