# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import php_pool

WWW = """\
; Debian's
[global]
error_log = /var/log/x
[www]
user = www-data
group = www-data
listen = /run/php/php8.4-fpm.sock
listen.owner = www-data
listen.group = www-data
;listen.mode = 0660
listen.backlog = 511
pm = dynamic
pm.max_children = 50
slowlog = /var/log/$pool.log
env[DATABASE_PASSWORD] = "of; the owner"
php_admin_value[memory_limit] = 512M

[shop]
user = shop
pm.max_children = 1
"""
SAID = [
    "listen.backlog = 511",
    "pm = dynamic",
    "pm.max_children = 50",
    "slowlog = /var/log/www.log",
    'env[DATABASE_PASSWORD] = "of; the owner"',
    "php_admin_value[memory_limit] = 512M",
]


def test_the_name_of_an_account_fits_and_two_long_sites_are_two() -> None:
    assert php_pool.account("campus_example_org") == "chamilo-campus_example_org"
    first, second = (php_pool.account(f"campus_of_a_very_long_name_{end}") for end in "ab")
    assert len(first) == len(second) == 32 and first != second
    assert first.startswith("chamilo-campus_of_a_ver-")


def test_a_pool_takes_over_what_its_owner_reported() -> None:
    assert php_pool.pools_in(WWW) == ["www", "shop"]
    output = php_pool.lines_of(WWW, "www")
    assert output == SAID
    text = php_pool.pool("chamilo-campus", "chamilo-campus", "chamilo-campus", "unix:/run/x.sock", output, "From www.")
    assert "[chamilo-campus]\nuser = chamilo-campus\ngroup = chamilo-campus\nlisten = /run/x.sock\n" in text
    assert "listen.owner = root\nlisten.group = chamilo-web\nlisten.mode = 0660\n" in text
    # From its own text once more: what is written does not grow.
    assert php_pool.lines_of(text, "chamilo-campus") == SAID


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("user www-data;\nevents {}\n", "user www-data chamilo-web;\n"),
        ("# x\n\tuser  nginx nginx ; # of the owner\nevents {}\n", "\tuser nginx chamilo-web; # of the owner\n"),
        ("events {}\n", "user www-data chamilo-web;\n"),
        ("pid /run/x;\nuser www-data;", "user www-data chamilo-web;"),
    ],
)
def test_nginx_gets_a_group_and_loses_it_byte_for_byte(text: str, line: str) -> None:
    changed = php_pool.nginx_group(text)
    assert line in changed and changed.count("\n") >= text.count("\n")
    assert php_pool.nginx_group(changed) == changed, "a second time changes nothing"
    assert php_pool.nginx_as_before(changed) == text
    # What its owner wrote around it meanwhile stays.
    assert php_pool.nginx_as_before(f"# new\n{changed}").startswith("# new\n")


ROOTS = {"/var/www/chamilo", "/srv/campus"}


def test_the_jobs_of_the_portal_alone_get_another_user() -> None:
    text = (
        "SHELL=/bin/sh\n"
        "# * * * * * www-data php /var/www/chamilo/bin/console\n"
        "*/5 * * * * www-data php /var/www/chamilo/bin/console x >/dev/null\n"
        "@daily www-data cd /srv/campus && php bin/console y\n"
        "0 1 * * * www-data php /var/www/chamilo2/bin/console\n"
        "0 1 * * * root php /var/www/chamilo/bin/console\n"
        "0 1 * * mon www-data php /var/www/chamilo"
    )
    changed = php_pool.cron_user(text, ROOTS, "www-data", "chamilo-x")
    assert [new for new, old in zip(changed.splitlines(), text.splitlines()) if new != old] == [
        "*/5 * * * * chamilo-x php /var/www/chamilo/bin/console x >/dev/null",
        "@daily chamilo-x cd /srv/campus && php bin/console y",
        "0 1 * * mon chamilo-x php /var/www/chamilo",
    ]
    assert php_pool.cron_user(changed, ROOTS, "chamilo-x", "www-data") == text


def test_a_crontab_is_parted() -> None:
    text = "MAILTO=it@x\n# of the portal\n7 3 * * * php /srv/campus/bin/console x\n8 3 * * * php /var/www/shop/x\n"
    moved, stays = php_pool.crontab_parts(text, ROOTS)
    assert moved == "MAILTO=it@x\n7 3 * * * php /srv/campus/bin/console x\n"
    assert stays == "MAILTO=it@x\n# of the portal\n8 3 * * * php /var/www/shop/x\n"
    assert php_pool.crontab_parts(stays, ROOTS) == ("", stays)
    assert php_pool.has_jobs(stays) and not php_pool.has_jobs("MAILTO=it@x\n# 1 * * * * x\n")
