# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _forms, _preflight

SPECS = _preflight.specs()
OPTIONS = _preflight.options(SPECS)
SECTIONS = [section for section in SPECS if section != "common"]
GUIDE = yaml.safe_load((_preflight.ROLES / "uploads/defaults/main.yml").read_text())[
    "chamilo_uploads_blocked_extensions"
]

# Why a text, a number or a list of texts has no form of its own.
ANYTHING = {
    "chamilo_domain": "domain() says whether it is the inventory's",
    "chamilo_release_archive": "release()",
    "chamilo_permissions_policy": "its entries have choices, and chamilo_perms judges the rest",
    "chamilo_waivers": "waivers()",
    "chamilo_release_sha256": "release()",
    "chamilo_backups_key_folder": "a path on the controller, where key_copy() looks",
    "chamilo_permissions_roots": "chamilo_site_info, before anything changes",
    "chamilo_report_dir": "a path on the controller, which makes it",
    "chamilo_drain_tasks": "a path on the controller, which reads it",
    "chamilo_undrain_tasks": "a path on the controller, which reads it",
    "chamilo_inventory": "a path on the controller, where guide_inventory writes a new file",
    "chamilo_prove_ca_file": "a path on the controller, which reads it",
    "chamilo_setup_server": "a name of ssh, in no file before it was reached",
    "chamilo_setup_user": "an account of ssh, in no file before it was reached",
    "chamilo_setup_sudo_password": "encrypted",
    "chamilo_setup_vault_password": "encrypts",
    "chamilo_restore_confirm": "compared with the host's name, and used for nothing else",
}


def test_each_variable_has_a_form_or_a_reason() -> None:
    """Whatever is no choice reaches a template, a file or a command."""
    open_ended = {
        name
        for name, option in OPTIONS.items()
        if (option["type"] in ("str", "path", "int", "float") and not option.get("choices"))
        or (option["type"] == "list" and not option.get("choices"))
        or (option["type"] == "dict")
    }
    assert {*_forms.FORMS} | {*ANYTHING} == open_ended, "add it to FORMS of _forms.py, or give it choices"
    assert not {*_forms.FORMS} & {*ANYTHING}


def test_each_form_is_shown_accepting_and_refusing() -> None:
    """Else one that refuses nothing would be none: its text goes into a configuration."""
    assert set(GOOD) == set(BAD) == set(_forms.FORMS), "add what it accepts to GOOD, and what it refuses to BAD"


# What ends a text, a directive or a block of a web server, or begins a variable.
STRAY = ('x"y', "x;y", "x$y", "x\ny", "x{y", "x}y", '"; add_header X "y', "x\\y")
OF_THE_WEB_SERVER = ("chamilo_headers_", "chamilo_https_", "chamilo_uploads_", "chamilo_sessions_", "chamilo_updates_")
NOT_THERE = {
    "chamilo_https_acme_arguments": "of Certbot, each an argument of its own",
    "chamilo_https_acme_ca_file": "read by Certbot and by the audit",
    "chamilo_sessions_redis_ca_file": "percent-encoded, as the next ones",
    "chamilo_sessions_redis_password": "a parameter of a URL",
    "chamilo_sessions_redis_user": "a parameter of a URL",
    "chamilo_updates_feed": "asked by the host program",
}


@pytest.mark.parametrize("stray", STRAY)
def test_no_text_of_a_web_server_s_section_can_end_where_it_stands(stray: str) -> None:
    """A new variable of such a name is covered too: one line of text is no form for it."""
    names = [name for name in _forms.FORMS if name.startswith(OF_THE_WEB_SERVER) and name not in NOT_THERE]
    texts = [name for name in names if OPTIONS[name]["type"] not in ("int", "float")]
    assert len(texts) > 8
    for name in texts:
        assert judged(name, [stray] if OPTIONS[name]["type"] == "list" else stray), f"{name} accepts {stray!r}"


def test_the_defaults_have_their_forms() -> None:
    for path in sorted(_preflight.ROLES.glob("*/defaults/main.yml")):
        for name, value in (yaml.safe_load(path.read_text()) or {}).items():
            if "{{" not in str(value):
                assert _forms.judge(name, value) == []


GOOD: dict[str, list[Any]] = {
    "chamilo_names": [["www.campus.test"], ["*.campus.test"], ["!old.test"], ["!*.campus.test"], ["xn--hoch-5qa.test"]],
    "chamilo_root": ["", "/var/www/chamilo", "/srv/my campus"],
    "chamilo_site": ["campus", "campus_example_org", "a-b.c"],
    "chamilo_owner": ["root", "deploy", "DOM\\deploy", "deploy@school.example", "1000"],
    "chamilo_group": ["", "www-data", "web_users"],
    "chamilo_trusted_proxies": [["10.0.0.5", "fd00::/8", "2001:db8::5"], ["104.16.0.0/13", "172.64.0.0/13"]],
    "chamilo_headers_csp_sources": [{}, {"script-src": ["https://*.example.org"], "connect-src": ()}],
    "chamilo_integrations": [
        [{"partner": "lti", "direction": "embedded", "origin": "https://*.school.example:8443"}],
        [{"partner": "h5p", "origin": "https://school.h5p.com"}],
    ],
    "chamilo_friends": [["10.1.2.3/8", "11.0.0.0/8"], ["172.16.0.0/12", "::ffff:192.0.2.0/120"], ["2a00::/16"], []],
    "chamilo_database_clients": [["10.0.0.11", "10.0.0.0/24"], ["fd00::1"]],
    "chamilo_alert_mail": ["", "admin+chamilo@xn--schle-mva.example", "root@localhost"],
    "chamilo_alert_webhook": ["", "https://hook.example:8443/T0/B0?x=1", "https://[2001:db8::1]/x"],
    "chamilo_backups_repository": [
        "",
        "/var/backups/chamilo-hardening/campus",
        "/backup",
        "rest:http://127.0.0.1:8000/x",
    ],
    "chamilo_backups_offsite_repository": [
        *("", "sftp:backup@store.example:/campus", "sftp://backup@[2001:db8::1]:22/campus", "/mnt/nas"),
        *("rest:https://campus:s3cret@store.example/campus", "s3:https://minio.example:9000/campus/x"),
        *("b2:bucket:path/x", "rclone:my remote:my path", "rest:http+unix:///run/rest.sock:/x"),
    ],
    "chamilo_backups_environment": [{"AWS_SECRET_ACCESS_KEY": "a/b+c=", "RCLONE_BWLIMIT": 5, "_x": "a b"}],
    "chamilo_backups_password": ["", "long and with blanks", "ä€"],
    "chamilo_backups_keep_daily": [0, 7, 365],
    "chamilo_backups_scratch": ["", "/var/tmp", "/srv/scratch dir"],
    "chamilo_database_bind_address": ["", "127.0.0.1", "127.0.0.1,10.0.0.5", "127.0.0.1, 10.0.0.5", "::1", "0.0.0.0"],
    "chamilo_headers_csp_report_uri": ["", "https://reports.example/csp?site=campus", "/csp-reports"],
    "chamilo_headers_frame_ancestors": [
        ["https://portal.example:8443"],
        ["*.example.org"],
        ["http://intranet"],
        ["https://x.y/"],
    ],
    "chamilo_headers_xss_protection": ["0", 0, "1", "1; mode=block", "1;mode=block", "1; report=https://x.example/xss"],
    "chamilo_https_certificate_file": ["", "/etc/ssl/chain.pem", "/etc/letsencrypt/live/a.test/fullchain.pem"],
    "chamilo_https_subdomains": [["www.campus.example.org"], ["WWW.campus.example.org", "xn--a.campus.example.org"]],
    "chamilo_https_acme_email": ["", "admin@school.example"],
    "chamilo_https_acme_directory": ["", "https://ca:14000/dir"],
    "chamilo_https_acme_arguments": [["--dns-rfc2136", "--dns-rfc2136-credentials", "/etc/letsencrypt/rfc2136.ini"]],
    "chamilo_monitoring_disk_percent": [1, 90, 99],
    "chamilo_monitoring_administrators": [["admin", "anna.müller", "o'neil", "a b"], []],
    "chamilo_monitoring_smtp_host": ["", "mail.school.example", "mail_relay", "2001:db8::1"],
    "chamilo_monitoring_smtp_port": [25, 465, 587, 65535],
    "chamilo_passwords_minimum_length": [8, 12, 72],
    "chamilo_updates_feed": ["", "https://github.com/chamilo/chamilo-lms/releases.atom", "https://mirror:8443/feed"],
    "chamilo_uploads_blocked_extensions": [[*GUIDE, "PHP", "c++", "tar-gz", "7z"]],
    "chamilo_uploads_maximum_size": ["", "500M", "2G", "1048576", "1T"],
    "chamilo_uploads_other_programs": [["/forum/", "/phpmyadmin", "!/old-forum/v2.1"], []],
    "chamilo_uploads_plugins": [["BuyCourses", "h5p_import", "ims-lti"], []],
    "chamilo_prove_address": ["", "192.0.2.1", "2001:db8::1", "portal.internal"],
    "chamilo_restore_path": ["", "var/upload/a b.pdf", "/srv/data"],
    "chamilo_restore_run": ["", "20261125T0300"],
    "chamilo_audit_fail_on": ["", "must", "should"],
    "chamilo_backups_keep_monthly": [0, 12],
    "chamilo_backups_keep_weekly": [0, 4],
    "chamilo_brute_force_ban_seconds": [1, 86400],
    "chamilo_brute_force_captcha_minutes": [1, 30],
    "chamilo_brute_force_captcha_mistakes": [1, 3],
    "chamilo_brute_force_find_seconds": [60, 3600],
    "chamilo_database_admin_password": ["", "a b'\"$;"],
    "chamilo_database_admin_user": ["", "root"],
    "chamilo_host_timeout": [1, 3600],
    "chamilo_https_acme_ca_file": ["", "/etc/ssl/acme.pem"],
    "chamilo_https_certificate_key_file": ["", "/etc/ssl/private/campus.key"],
    "chamilo_leader": ["", "web1"],
    "chamilo_monitoring_dormant_days": [1, 365],
    "chamilo_monitoring_failures": [1, 20],
    "chamilo_monitoring_failures_minutes": [1, 1440],
    "chamilo_monitoring_smtp_from": ["", "campus@school.example"],
    "chamilo_monitoring_smtp_password": ["", "a b'\"$;"],
    "chamilo_monitoring_smtp_user": ["", "campus@school.example"],
    "chamilo_sessions_redis_host": ["", "redis.internal", "localhost", "10.0.0.5", "::1"],
    "chamilo_sessions_redis_port": [6379, 6380],
    "chamilo_sessions_redis_user": ["chamilo", "campus"],
    "chamilo_sessions_redis_password": ["", "a b'\"$;&=%"],
    "chamilo_sessions_redis_ca_file": ["", "/etc/ssl/redis.pem"],
    "chamilo_node": [["web"], ["database"], ["web", "database"]],
    "chamilo_passwords_rotation_days": [0, 365],
    "chamilo_portal": ["campus.example.org", "campus_2"],
    "chamilo_restore": ["host", "database", "files", "file"],
    "chamilo_serial": [1, 4],
    "chamilo_sessions_lifetime": [60, 3600],
    "chamilo_web_user": ["", "www-data"],
}

BAD: dict[str, list[Any]] = {
    "chamilo_names": [[""], ["!"], ["campus"], ["10.0.0.1"], ["https://a.test"], ["a.*"], ["*.*.a.test"], ["a .test"]],
    "chamilo_root": ["var/www/chamilo", "~/chamilo", "/srv\n/x"],
    "chamilo_site": ["", "../../tmp/x", "a b", "a;b", "-x", "x" * 65],
    "chamilo_group": ["a b", "a:b", "-x", "a\nb"],
    "chamilo_trusted_proxies": [
        *([each] for each in ("proxy", "0.0.0.0/0", "10.0.0.0/255.0.0.0", "fe80::1%eth0", "10.0.0.1\n", "10.0.0.1;")),
        *(["0.0.0.0/1", "128.0.0.0/1"], ["2000::/3"], ["::ffff:0:0/96"], ["11.0.0.0/8", "20.0.0.0/8"]),
    ],
    "chamilo_friends": [["0.0.0.0/1", "128.0.0.0/1"], ["10.0.0.0/8", "0.0.0.0/1", "::1"], ["2000::/15"]],
    "chamilo_database_clients": [["%"], ["10.0.0.%"], ["web1"], ["0.0.0.0/0"]],
    "chamilo_alert_mail": ["the office", "admin@-school", "a@b.example, c@d.example", "a@b.example\n"],
    "chamilo_alert_webhook": ["http://hook.example/hidden", "https://", "https://hook example/hidden"],
    "chamilo_backups_repository": ["backups", "/", "//etc", "/srv/../etc", "/var/lib", "/var/www", "/proc/1", "S3:x/y"],
    "chamilo_backups_offsite_repository": ["sftp:store", "https://store.example/x", "s3:", "local:/etc", "/mnt/nas\n"],
    "chamilo_backups_environment": [
        *({each: "x"} for each in ("PATH", "LD_PRELOAD", "RESTIC_REPOSITORY", "RESTIC_PASSWORD", "A=B")),
        *({"AWS_ACCESS_KEY_ID": each} for each in ("x\nPATH=/tmp", None)),
    ],
    "chamilo_backups_password": ["two\nlines"],
    "chamilo_backups_keep_daily": [-1, 10**6],
    "chamilo_backups_scratch": ["scratch", "~"],
    "chamilo_database_bind_address": ["localhost", "127.0.0.1:3306", "[::1]", "*", "10.0.0.5,", "10.0.0.0/8"],
    "chamilo_headers_csp_report_uri": [
        "https://a.example; script-src *",
        "a b",
        "//x",
        'https://x.y/"',
        "https://x.y/$host",
    ],
    "chamilo_headers_csp_sources": [
        *({"img-src": ["https://a.example"]}, {"script-src": "https://a.example"}, {"script-src": ["https://*"]}),
        *({"script-src": ["'unsafe-hashes'"]}, {"connect-src": ["https://a.example; script-src *"]}),
    ],
    "chamilo_integrations": [
        [{"partner": "lti", "origin": "https://lms.example"}],
        [{"partner": "h5p", "direction": "embeds", "origin": "https://a.example"}],
        [{"partner": "onlyoffice", "origin": "https://docs.example; script-src *"}],
    ],
    "chamilo_headers_frame_ancestors": [
        ["*"],
        ["'none'"],
        ["*.org"],
        ["https://a.example; script-src *"],
        ["data:"],
        ["x.y\n"],
    ],
    "chamilo_headers_xss_protection": ["mode=block", "", "1; mode=allow", 2, '1"', "1; mode=block\n", "$x"],
    "chamilo_https_certificate_file": ["chain.pem", "/etc/ssl/a b.pem", "/etc/ssl/x.pem;", "/x\n"],
    "chamilo_https_subdomains": [["https://www.campus.example.org"], ["www"], ["*.campus.example.org"]],
    "chamilo_https_acme_email": ["admin", "admin@school"],
    "chamilo_https_acme_directory": ["letsencrypt.org", "http://ca.example/dir"],
    "chamilo_https_acme_ca_file": ["ca.pem"],
    "chamilo_https_acme_arguments": [["--x\n"]],
    "chamilo_monitoring_dormant_days": [-5, 0],
    "chamilo_monitoring_failures": [0, 1_000_000],
    "chamilo_monitoring_failures_minutes": [0],
    "chamilo_monitoring_disk_percent": [101, 100, 0],
    "chamilo_monitoring_administrators": [[""], ["a\nb"]],
    "chamilo_monitoring_smtp_host": ["mail.school.example:587", "https://mail", "a b", "mail.school.example\nport 25"],
    "chamilo_monitoring_smtp_port": [0, 70000],
    "chamilo_monitoring_smtp_user": ["x\ntls off"],
    "chamilo_sessions_redis_host": ["redis.internal:6379", "tls://redis", "a b", "redis\nx"],
    "chamilo_sessions_redis_port": [0, 70000],
    "chamilo_sessions_redis_user": ["a\nb"],
    "chamilo_sessions_redis_password": ["a\nb"],
    "chamilo_sessions_redis_ca_file": ["redis.pem"],
    "chamilo_monitoring_smtp_password": ["x\ntls off"],
    "chamilo_monitoring_smtp_from": ["x"],
    "chamilo_passwords_minimum_length": [4, 200],
    "chamilo_passwords_rotation_days": [-5],
    "chamilo_updates_feed": ["github.com/chamilo", "http://github.com/chamilo"],
    "chamilo_uploads_blocked_extensions": [[], [".exe", "PHP"], ["*"], ["exe,bat"], [*GUIDE, ".exe"]],
    "chamilo_uploads_plugins": [["../main"], ["a/b"], ["a.b"], [""], ["a b"], ["-a"], ["(a|b)"]],
    "chamilo_uploads_other_programs": [["/"], ["forum"], ["//forum"], ["/a b"], ['/a"'], ["https://x/forum"]],
    "chamilo_uploads_maximum_size": ["5000000G", "500", "0", "256MiB", "lots", "-1G"],
    "chamilo_portal": ["a b", "-x", "../x", "<b>"],
    "chamilo_node": [["webb"]],
    "chamilo_leader": ["a\nb"],
    "chamilo_serial": [0],
    "chamilo_host_timeout": [0],
    "chamilo_audit_fail_on": ["never"],
    "chamilo_prove_address": ["https://x"],
    "chamilo_restore": ["all"],
    "chamilo_restore_path": ["--force"],
    "chamilo_restore_run": ["--force"],
    "chamilo_backups_keep_monthly": [-1, 36501],
    "chamilo_backups_keep_weekly": [-1, 36501],
    "chamilo_brute_force_ban_seconds": [0, 2**31],
    "chamilo_brute_force_captcha_minutes": [0, 2**31],
    "chamilo_brute_force_captcha_mistakes": [0, 2**31],
    "chamilo_brute_force_find_seconds": [59, 2**31],
    "chamilo_database_admin_password": ["a\nb"],
    "chamilo_database_admin_user": ["a\nb", "a\x00"],
    "chamilo_https_certificate_key_file": ["campus.key", "/etc/a b", "/etc/a;b", '/etc/a"b', "/etc/a\nb", "/etc/{a}"],
    "chamilo_owner": ["", "a b", "a;b", "-x"],
    "chamilo_sessions_lifetime": [59, 2**31],
    "chamilo_web_user": ["a b", "a;b", "-x"],
}


ROLE = {name: role for role, spec in SPECS.items() for name in spec}


def judged(name: str, value: Any) -> list[str]:
    values = {name: value}
    return _preflight.errors(SPECS, [ROLE[name]] if name in ROLE else [], values) + _preflight.subdomains(
        "Campus.example.org", values
    )


@pytest.mark.parametrize("name", GOOD)
def test_what_can_be_meant_is_accepted(name: str) -> None:
    assert [judged(name, value) for value in GOOD[name]] == [[]] * len(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_meant_is_refused_by_name(name: str) -> None:
    for value in BAD[name]:
        output = judged(name, value)
        assert output, f"{value!r} was accepted"
        assert all(each.startswith(f"Invalid value for {name}: ") and " Valid: " in each for each in output), output
        if OPTIONS[name].get("no_log"):
            assert all("(not shown: it is a secret)" in each for each in output)


def test_without_any_backup_kept_nothing_is_saved() -> None:
    none = {f"chamilo_backups_keep_{each}": 0 for each in ("daily", "weekly", "monthly")}
    (output,) = _preflight.errors(SPECS, SECTIONS, none)
    assert output.startswith("Invalid value for chamilo_backups_keep_daily, ")
    assert _preflight.errors(SPECS, SECTIONS, {**none, "chamilo_backups_keep_weekly": 1}) == []


def test_a_list_of_ones_own_may_lack_types_where_the_control_is_waived() -> None:
    waiver = {"control": "uploads_extensions", "reason": "x", "owner": "Anna", "until": "2999-01-01"}
    values: dict[str, Any] = {"chamilo_uploads_blocked_extensions": ["exe"]}
    (output,) = _preflight.errors(SPECS, ["uploads"], values)
    assert "it lacks bat, sh, php, phtml, cgi, phps" in output
    assert _preflight.errors(SPECS, ["uploads"], {**values, "chamilo_waivers": [waiver]}) == []
    assert _preflight.errors(SPECS, ["headers"], values) == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("08", '"chamilo_backups_hour": 8}'),
        (180, "YAML reads 3:00 as 180: write the hour alone, such as 3."),
        (24, "Valid: 0, 1, 2"),
    ],
)
def test_the_ways_in_which_yaml_reads_an_hour_are_named(value: Any, words: str) -> None:
    (output,) = _preflight.errors(SPECS, SECTIONS, {"chamilo_backups_hour": value})
    assert words in output and ": 3," not in output


@pytest.mark.parametrize("field", ["control", "reason", "owner", "until"])
def test_a_word_of_a_waiver_that_yaml_read_as_a_boolean_is_refused(field: str) -> None:
    waiver = {"control": "headers_csp", "reason": "x", "owner": "Anna", "until": "2999-01-01", field: False}
    (output,) = _preflight.errors(SPECS, SECTIONS, {"chamilo_waivers": [waiver]})
    assert output.startswith("chamilo_waivers, entry 1") and f"{field} is false: YAML reads" in output
