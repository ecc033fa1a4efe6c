# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes PHP run the parts of sections before each script of a portal."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans import prepend

FACES = ("/etc/php/8.2/fpm", "/etc/php/8.4/apache2", "/etc/php/8.4/cli", "/etc/php/8.4/fpm")


def site(sapi: str = "fpm", prepended: str = "") -> Site:
    php, spellings = Php(sapi=sapi, prepended=prepended), ("/srv/x/1", "/srv/current")
    return Site("campus.test", php=php, php_folders=FACES, real_root="/srv/x/*", spellings=spellings)


@pytest.mark.parametrize(("sapi", "apache"), [("fpm", False), ("mod_php", True)])
def test_every_version_of_php_runs_them_and_none_on_the_command_line(sapi: str, apache: bool) -> None:
    paths = [file.path for file in prepend.files(site(sapi), "campus")]
    conf = ["/etc/apache2/conf-enabled/chamilo-campus-prepend.conf"] if apache else []
    faces = [f"{face}/conf.d/99-chamilo-campus-prepend.ini" for face in FACES if not face.endswith("cli")]
    assert paths == [prepend.PATH, *faces, *conf]


@pytest.mark.parametrize("before", ["", "/srv/before.php"])
def test_what_php_ran_before_it_still_runs(before: str) -> None:
    text = prepend.files(site(prepended=before), "campus")[1].content
    assert text.startswith("; Managed") and 'chamilo_hardening.root[campus] = "/srv/x/*"' in text
    assert ('chamilo_hardening.before[campus] = "/srv/before.php"' in text) is bool(before)
    assert text.endswith(f"[PATH=/srv/current]\nauto_prepend_file = {prepend.PATH}\n")


def test_apache_has_every_virtual_host_run_them() -> None:
    (conf,) = prepend.apache(site(), "campus")
    assert conf.content.count(f"php_admin_value auto_prepend_file {prepend.PATH}\n") == 2
    assert '<Directory "/srv/current">' in conf.content and conf.content.endswith("</IfModule>\n")
