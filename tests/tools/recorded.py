# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded sites of tests/unit/test_rendering.py: what stands on them, and what their administrators have set."""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._application import declared
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import OURS
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.planned import AccessFile
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls, _preflight
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans.discovery import ALL_PACKAGES
from tests.unit.plugins.conftest import Files

POOL = "[www]\nuser = www-data\ngroup = www-data\nlisten = /run/php/php8.4-fpm.sock\n"


def with_fpm(host: Files) -> None:
    host.write("/etc/php/8.4/fpm/pool.d/www.conf", POOL)


def with_own_host(host: Files) -> None:
    """An earlier version wrote it in place of an owner's, with his lines for timeouts, logs and PHP."""
    with_fpm(host)
    (path,) = (host.root / "etc/nginx/sites-available").glob("campus*")
    logs = "access_log /var/log/nginx/one.log;\naccess_log /var/log/nginx/two.log;\nerror_log /var/log/nginx/bad.log;\n"
    lines = f"{logs}fastcgi_read_timeout 600;\n"
    settings = 'fastcgi_param PHP_VALUE "memory_limit=1G \\n post_max_size=2G";\n'
    text = (
        path.read_text()
        .replace("server {\n", f"server {{\n{lines}", 1)
        .replace("fastcgi_pass", f"{settings}fastcgi_pass")
    )
    path.write_text(f"{OURS}\n{text}")


def with_own_host_of_apache(host: Files) -> None:
    with_fpm(host)
    (path,) = (host.root / "etc/apache2/sites-available").glob("campus*")
    path.write_text(f"{OURS}\n{path.read_text()}")


def with_drop_ins(host: Files) -> None:
    with_fpm(host)
    (path,) = (host.root / "etc/nginx/sites-available").glob("campus*")
    line = "include /etc/nginx/sites-available/chamilo-campus_test.d/*.conf;\n"
    path.write_text(path.read_text().replace("server {\n", f"server {{\n{line}"))


def with_old_address(host: Files) -> None:
    with_fpm(host)
    (path,) = (host.root / "etc/nginx/sites-available").glob("campus*")
    path.write_text(path.read_text().replace("server {\n", "server {\nrewrite ^/old/(.*).php$ /$1 permanent;\n", 1))


def with_mod_php(host: Files) -> None:
    host.write("/etc/php/8.4/apache2/php.ini")
    (host.root / "etc/apache2/conf-enabled/php8.4-fpm.conf").unlink()
    host.write("/etc/apache2/mods-enabled/php8.4.load", "LoadModule php_module /usr/lib/apache2/modules/libphp8.4.so\n")


@dataclass(frozen=True)
class Recorded:
    """A portal as it stands before the first run, and what its administrator has set."""

    server: str
    variables: dict[str, Any] = field(default_factory=dict)
    php: Callable[[Files], None] = with_fpm
    vhost: str = "plain"  # of tests/testbed/vhosts/
    base: str = ""  # the site whose rendering this one is compared with
    site: dict[str, Any] = field(default_factory=dict)  # what discovery reports besides
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)  # what modules answer besides


CERTIFICATE = {
    "chamilo_https_certificate": "files",
    "chamilo_https_certificate_file": "/etc/ssl/campus.pem",
    "chamilo_https_certificate_key_file": "/etc/ssl/campus.key",
}
# About half of each section, by their names alone, so that a new control leaves the others as they were.
ALL_WAIVED = [one.id for one in _controls.load().controls if one.level != "people" and len(one.id) % 2]

PEM = b"-----BEGIN CERTIFICATE-----\nMIIB\nAA==\n-----END CERTIFICATE-----\n"


def daily(copied: bool) -> str:
    """What the daily work answers."""
    return json.dumps({"ran": [], "lists": {"campus_test": {"digest": "5f" * 32, "copied": copied}}})


SITES = {
    "nginx": Recorded("nginx"),
    "apache": Recorded("apache", base="nginx"),
    "proxy": Recorded(
        "nginx",
        {"chamilo_https_terminated_elsewhere": True, "chamilo_trusted_proxies": ["10.0.0.2"]},
        with_old_address,
        base="nginx",
    ),
    "managed": Recorded("nginx", {"chamilo_https_vhost": "managed"}, with_own_host, base="nginx"),
    "kept_virtual_host": Recorded("apache", {"chamilo_https_vhost": "include"}, base="apache"),
    "mod_php": Recorded("apache", {"chamilo_uploads_maximum_size": "64M"}, with_mod_php, base="apache"),
    "waivers": Recorded(
        "nginx",
        {
            "chamilo_waivers": [
                {"control": name, "reason": "A test.", "owner": "Ada", "until": "2999-12-31"} for name in ALL_WAIVED
            ]
        },
        base="nginx",
    ),
    # Certbot gets its certificate from an authority of the school's own.
    "certbot": Recorded(
        "nginx",
        {
            "chamilo_https_certificate": "certbot",
            "chamilo_https_certificate_file": "",
            "chamilo_https_certificate_key_file": "",
            "chamilo_https_acme_email": "it@school.example",
            "chamilo_https_acme_directory": "https://acme.school.example/directory",
            "chamilo_https_acme_ca_file": "/etc/ssl/school.pem",
        },
        base="nginx",
    ),
    # A host on which nothing is installed yet, and what is due once.
    "bare": Recorded(
        "nginx",
        {
            "chamilo_https_certificate": "self_signed",
            "chamilo_https_certificate_file": "",
            "chamilo_https_certificate_key_file": "",
            "chamilo_integrations": [{"partner": "lti", "direction": "embeds", "origin": "https://lms.school.example"}],
            "chamilo_release_archive": "https://school.example/chamilo.tar.gz",
            "chamilo_release_sha256": "5f" * 32,
            "chamilo_uploads_antivirus": True,
        },
        base="nginx",
        site={
            "missing_packages": ALL_PACKAGES,
            "sendmail": False,
            "fail2ban": False,
            "managed_from": "192.0.2.7",
        },
        answers={
            "chamilo_site_info": {"active": False},
            "backup_key": {"due": ["backup", "drill"]},
            "command": {"stdout": daily(copied=False)},
            "config_transaction": {"changed": True},
        },
    ),
    # Hardened before, by a version that wrote other files. As soon as they are these, nothing is left to do.
    "upgraded": Recorded(
        "nginx",
        {},
        with_drop_ins,
        vhost="https",
        base="nginx",
        site={
            "database": {"client": "pymysql"},
            "fail2ban": True,
            "hsts_since": datetime.date.today().isoformat(),
            "ssh_log": True,
        },
        answers={"chamilo_site_info": {"recurring": {"daily": True, "copied": True, "spared": True, "proxies": []}}},
    ),
    "https_undone": Recorded("nginx", {"chamilo_https_state": "absent"}, base="nginx"),
    # The nodes of one portal.
    "web_node": Recorded(
        "nginx",
        {
            "chamilo_portal": "nodes",
            "chamilo_node": ["web"],
        },
        base="nginx",
        answers={
            "chamilo_database_account": {"server_here": False, "needs_admin": True, "source": "10.0.0.11"},
        },
    ),
    "database_node": Recorded(
        "nginx",
        {"chamilo_portal": "nodes", "chamilo_node": ["database"], "chamilo_database_bind_address": "10.0.0.9"},
        answers={"slurp": {"content": base64.b64encode(PEM).decode()}},
    ),
    # What most portals do without.
    "apache_proxy": Recorded(
        "apache",
        {
            "chamilo_https_terminated_elsewhere": True,
            "chamilo_https_vhost": "managed",
            "chamilo_trusted_proxies": ["10.0.0.2"],
        },
        with_own_host_of_apache,
        base="apache",
        site={
            "given": {"lacks": []},
            "lineage": {"webroot": "/var/lib/letsencrypt/challenges"},
            "portal_names": ["campus.test", "www.campus.test"],
        },
    ),
    "redis_and_smtp": Recorded(
        "nginx",
        {
            "chamilo_alert_mail": "it@school.example",
            "chamilo_monitoring_smtp_host": "mail.school.example",
            "chamilo_monitoring_smtp_password": "secret",
            "chamilo_monitoring_smtp_user": "it@school.example",
            "chamilo_sessions_handler": "redis",
            "chamilo_sessions_redis_host": "redis.internal",
            "chamilo_sessions_redis_password": "r" * 32,
            "chamilo_sessions_remember_me": False,
            "chamilo_uploads_maximum_size": "64M",
            "chamilo_uploads_other_programs": ["/old.forum/"],
        },
        base="nginx",
        site={
            "php": {"time_limit": 300},
            "php_folders": ["/etc/php/8.4/fpm"],
            "sendmail": False,
            "sessions_in_php": True,
        },
    ),
    "everything": Recorded(
        "apache",
        {
            "chamilo_level": "consider",
            "chamilo_alert_mail": "it@school.example",
            "chamilo_friends": ["192.0.2.0/24"],
            "chamilo_headers_csp": "enforce",
            "chamilo_headers_frame_ancestors": ["https://lms.school.example"],
            "chamilo_https_hsts": "full",
            "chamilo_backups_offsite_repository": "sftp:backup@vault.test:/srv/campus",
            "chamilo_database_audit_log": True,
            "chamilo_uploads_antivirus": True,
            "chamilo_uploads_other_programs": ["/forum/", "!/phpmyadmin"],
            "chamilo_monitoring_node_exporter": True,
        },
        base="apache",
        site={
            "access_files": [asdict(AccessFile("/var/www/chamilo/public/intranet", listed="Redirect"))],
            "php": {"time_limit": 900, "prepended_cli": "/srv/school/log.php"},
            "spellings": ["/var/www/chamilo", "/srv/chamilo"],
        },
    ),
}

# The sites that bin/test --fast plays: most of the tasks and of the lines of templates are sent to one of them.
USUAL = ("nginx", "apache", "bare", "database_node", "web_node", "everything", "upgraded")


def other(option: Mapping[str, Any]) -> Any:
    """A value that a variable does not have by default."""
    kind, default = option["type"], option["default"]
    if "choices" in option:
        value = next(one for one in option["choices"] if one != default)
        return [value] if kind == "list" else value
    if kind in ("bool", "int"):
        return not default if kind == "bool" else default + 1
    if option.get("elements") == "dict":
        return [{"partner": "lti", "direction": "embeds", "origin": "https://lms.school.example"}]
    return {"list": ["192.0.2.7"], "dict": {"lti": ["https://lms.school.example"]}}.get(kind, "/else")


# What each of the other playbooks reads, none as it is by default: what is left out of a task is missed then.
OWNED = {
    "chamilo_host_timeout": 600,
    "chamilo_level": "consider",
    "chamilo_names": ["www.campus.test"],
    "chamilo_report_dir": "chamilo-report/here",
    "chamilo_root": "/var/www/chamilo",
    "chamilo_web_server": "nginx",
    "chamilo_waivers": SITES["waivers"].variables["chamilo_waivers"][:1],
}
ELSEWHERE = {"chamilo_trusted_proxies": ["10.0.0.2"], "chamilo_https_terminated_elsewhere": True}
PLAYS = {
    "audit": {
        **OWNED,
        **{name: other(_preflight.options(_preflight.specs())[name]) for name in declared.VARIABLES.values()},
        **ELSEWHERE,
        "chamilo_audit_fail_on": "must",
        "chamilo_site": "campus",
    },
    "discover": {"chamilo_host_timeout": 600, "chamilo_inventory": "chamilo-report/found.yml"},
    "prove": {
        **OWNED,
        **ELSEWHERE,
        "chamilo_prove_address": "127.0.0.2",
        "chamilo_prove_ca_file": "/etc/ssl/school.pem",
    },
    "restore": {
        "chamilo_backups_environment": {"AWS_SECRET_ACCESS_KEY": "secret"},
        "chamilo_backups_key_folder": "chamilo-report/keys",
        "chamilo_backups_offsite_repository": "sftp:backup@vault.test:/srv/campus",
        "chamilo_backups_password": "p" * 43,
        "chamilo_backups_repository": "/srv/backups",
        "chamilo_database_admin_password": "secret",
        "chamilo_database_admin_user": "root",
        "chamilo_restore": "file",
        "chamilo_restore_path": "var/upload/1.pdf",
        "chamilo_restore_run": "20261125T020000Z",
        "chamilo_site": "campus",
    },
}
