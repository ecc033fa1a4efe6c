# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._portal import php_ini
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Tree
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.observer import Observer, Unseen
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.php_ini import (
    faces,
    is_on,
    of_face,
    settings,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Php, Site


@pytest.fixture
def etc(tmp_path, monkeypatch):
    """Files below /etc/php."""
    monkeypatch.setattr(php_ini, "_PHP", str(tmp_path))

    def write(path, text):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(file)

    return write


def values(known):
    return {name: setting.value for name, setting in known.items()}


def test_settings_of_php(etc):
    etc("8.4/fpm/php.ini", '; a = 1\nb = 3600 ; seconds\nuser_ini.filename =\nsave_path = "/x;y"\n[PHP]\n')
    assert values(of_face("8.4", "fpm")) == {"b": "3600", "user_ini.filename": "", "save_path": "/x;y"}
    lines = ";php_admin_value[c.d] = 1\nphp_admin_value[b] = 7\nphp_flag[display_errors] = on\n"
    php = Php("8.4", "fpm", pool_file=etc("8.4/fpm/pool.d/www.conf", lines))
    found = values(settings(Observer(Site("campus.test", php=php), {})))
    assert (found["b"], found["display_errors"], "c.d" in found) == ("7", "on", False)
    assert is_on("On") and is_on("1") and not is_on("Off") and not is_on("")


def test_the_last_file_counts_in_the_order_of_names(etc):
    etc("8.4/fpm/php.ini", "a = 1\nb = 1\nc = 1\n")
    etc("8.4/fpm/conf.d/20-x.ini", "c = 20\n")
    etc("8.4/fpm/conf.d/10-x.ini", "b = 10\nc = 10\n")
    etc("8.4/fpm/conf.d/30-x.ini.dpkg-old", "c = 30\n")
    etc("8.4/cli/php.ini", "a = cli\n")
    found = of_face("8.4", "fpm")
    assert values(found) == {"a": "1", "b": "10", "c": "20"}
    assert found["c"].file.endswith("/conf.d/20-x.ini")
    assert faces() == [("8.4", "cli"), ("8.4", "fpm")]
    assert of_face("8.4", "apache2") == {}, "it is not there"


def test_a_damaged_file_gives_what_can_be_read_of_it(etc):
    etc("8.4/fpm/php.ini", b"a = \xff\xfe\n= 3\nb\nc = 'one\ttwo' ; three\n\x00d = 4")
    assert values(of_face("8.4", "fpm")) == {"a": "\ufffd\ufffd", "c": "one\ttwo"}


def test_without_a_php_nothing_is_guessed(etc):
    etc("8.4/fpm/php.ini", "a = 1\n")
    with pytest.raises(Unseen, match="PHP that serves the site could not be found"):
        settings(Observer(Site("campus.test"), {}))


def test_what_counts_for_the_directory_of_the_site(etc, tmp_path):
    """PHP goes by a section for its directory after the pool, and by a .user.ini in it after that."""
    root = tmp_path / "campus"
    (root / "public").mkdir(parents=True)
    site = Site("campus.test", root=str(root), php=Php("8.4", "fpm", pool_file=etc("8.4/fpm/pool.d/www.conf", "")))

    def shows():
        return settings(Observer(site, {}))["display_errors"].value

    etc("8.4/fpm/php.ini", "display_errors = Off\n")
    etc("8.4/fpm/conf.d/20-own.ini", f"[PATH={root}x]\ndisplay_errors = On\n[HOST=x]\ndisplay_errors = On\n")
    assert shows() == "Off"
    etc("8.4/fpm/pool.d/www.conf", "[www]\nphp_admin_flag[display_errors] = on\n")
    assert shows() == "on"
    etc("8.4/fpm/conf.d/91-ours.ini", f"[PATH={root}]\ndisplay_errors = Off\n")
    assert shows() == "Off"
    (root / "public/.user.ini").write_text("display_errors = 1\n")
    assert shows() == "1"
    etc("8.4/fpm/conf.d/92-ours.ini", f"[PATH={root}]\nuser_ini.filename =\n")
    assert shows() == "Off"


def test_a_file_in_the_directory_that_cannot_be_read_is_not_passed_over(etc, tmp_path):
    etc("8.4/fpm/php.ini", "a = 1\n")
    (tmp_path / "campus/public/.user.ini").mkdir(parents=True)
    with pytest.raises(Unseen, match="which PHP goes by, cannot be read"):
        settings(Observer(Site("campus.test", root=str(tmp_path / "campus"), php=Php("8.4", "fpm")), {}))


def test_what_apache_reports_its_own_php_for_the_directory(etc, tmp_path, monkeypatch):
    etc("8.4/apache2/php.ini", "display_errors = On\n")
    (tmp_path / "etc/apache2").mkdir(parents=True)
    (tmp_path / "etc/apache2/apache2.conf").write_text(
        'LoadModule php_module x.so\n<IfModule php_module>\n<Directory "/srv/campus">\n'
        "php_admin_flag display_errors off\nphp_value a\nOptions d e\n</Directory>\n</IfModule>\n"
        "<Directory /srv/other/>\nphp_flag display_errors on\n</Directory>\n"
        "<Directory /srv/campus-old>\nphp_value display_errors 2\n</Directory>\n"
        "<Directory>\nphp_value display_errors 3\n</Directory>\n"
    )
    monkeypatch.setattr(php_ini, "Tree", lambda: Tree(str(tmp_path)))
    for root, value in (("/srv/campus", "off"), ("/srv/other", "on"), ("/srv/third", "On")):
        site = Site("campus.test", root=root, php=Php("8.4", "mod_php"))
        found = settings(Observer(site, {}))
        assert found["display_errors"].value == value and not {"a", "options"} & found.keys()
