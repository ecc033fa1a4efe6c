# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planned for virtual hosts, of what discovery has read."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import virtual_hosts
from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._application.virtual_hosts import Planned


def test_access_rules_that_cannot_be_searched_may_close_something(host, monkeypatch):
    def refuse(*_given):
        raise PermissionError(13, "Permission denied")

    host.install("apache")
    host.chamilo()
    host.testbed_site("apache", "plain")
    monkeypatch.setattr(virtual_hosts.access_rules, "access_files", refuse)
    site = discover("campus.test", tree=host.tree, hosted=Planned())
    (file,) = site.access_files
    assert file.directory == site.root
    assert file.lost == "access rules in .htaccess files cannot be searched: Permission denied"


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_an_audit_sees_the_other_programs_that_a_plan_sees(host, server):
    """A plan reads the configuration without our lines; whoever judges reads it as it is."""
    host.install(server)
    host.chamilo()
    host.testbed_site(server, "plain")
    (path,) = discover("campus.test", tree=host.tree).serving
    host.write("/usr/share/wiki/index.php", "<?php")
    lines = {
        "nginx": "location /wiki/ { root /usr/share; location ~ \\.php$ { fastcgi_pass unix:/run/php/x.sock; } }",
        "apache": "Alias /wiki /usr/share/wiki",
    }
    file = host.root / path.file.lstrip("/")
    text = file.read_text()
    end = text.rindex("}") if server == "nginx" else text.rindex("</VirtualHost>")
    file.write_text(f"{text[:end]}{lines[server]}\n{text[end:]}")
    audited, planned = (discover("campus.test", tree=host.tree, **more) for more in ({}, {"hosted": Planned()}))
    assert audited.in_place.programs == planned.in_place.programs
    assert [one.directory for one in audited.in_place.programs] == ["/usr/share/wiki"]
    assert audited.in_place.files == () and planned.in_place.files
