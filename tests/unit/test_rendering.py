# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What harden sends to recorded sites: each module, each file with its mode, each test, reload and probe.

A connection stands in for the host: it takes down what each module is asked for, and answers as an honest host would.
What came of it lies in tests/unit/rendered/, whole for nginx and Apache, and for the others as what differs from these.
After a change that is meant, write it anew and review the difference:

    UPDATE=1 bin/env pytest tests/unit/test_rendering.py
"""

from __future__ import annotations

import base64
import difflib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.chamilo.hardening.plugins.module_utils._portal.discovery import discover
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _answers, _controls
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans.discovery import ALL_PACKAGES
from tests.unit.plugins.conftest import Files
from tests.unit.plugins.test_hostile_hosts import World, empty

RENDERED = Path(__file__).parent / "rendered"
ROOT = Path(__file__).resolve().parents[2]
Once = Callable[[str, Callable[[], Any]], Any]
# Modules that read, and what differs from run to run.
READ_ONLY = ("chamilo_site_info", "setup", "stat", "slurp")
LEFT_OUT = {
    "host_program": ("content",),
    "chamilo_site_info": ("controller_time",),
    "backup_key": ("elsewhere", "folder", "salt"),
    "guide_audit_info": ("key_copy", "key_holder", "key_proof"),
}


POOL = "[www]\nuser = www-data\ngroup = www-data\nlisten = /run/php/php8.4-fpm.sock\n"


def with_fpm(host: Files) -> None:
    host.write("/etc/php/8.4/fpm/pool.d/www.conf", POOL)


def with_lines(host: Files) -> None:
    """Of the owner, for timeouts, logs and PHP."""
    with_fpm(host)
    (path,) = (host.root / "etc/nginx/sites-available").glob("campus*")
    logs = "access_log /var/log/nginx/one.log;\naccess_log /var/log/nginx/two.log;\n"
    lines = f'{logs}fastcgi_read_timeout 600;\nfastcgi_param PHP_VALUE "memory_limit=1G\npost_max_size=2G";\n'
    path.write_text(path.read_text().replace("server {\n", f"server {{\n{lines}", 1))


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
# By section, so that a new control in one leaves the others as they were.
ALL_WAIVED = [
    one.id
    for section in _controls.load().sections
    for one in [one for one in _controls.load().of(section.id) if one.level in ("must", "should", "consider")][::2]
]

PEM = b"-----BEGIN CERTIFICATE-----\nMIIB\nAA==\n-----END CERTIFICATE-----\n"


def daily(copied: bool) -> str:
    """What the daily work answers."""
    return json.dumps({"ran": [], "lists": {"campus_test": {"digest": "5f" * 32, "copied": copied}}})


SITES = {
    "nginx": Recorded("nginx"),
    "apache": Recorded("apache"),
    "proxy": Recorded(
        "nginx",
        {"chamilo_https_terminated_elsewhere": True, "chamilo_trusted_proxies": ["10.0.0.2"]},
        base="nginx",
    ),
    "managed": Recorded("nginx", {"chamilo_https_vhost": "managed"}, with_lines, base="nginx"),
    "kept_virtual_host": Recorded("apache", {"chamilo_https_vhost": "include"}, base="apache"),
    "mod_php": Recorded("apache", {}, with_mod_php, base="apache"),
    "waivers": Recorded(
        "nginx",
        {
            "chamilo_waivers": [
                {"control": name, "reason": "A test.", "owner": "Ada", "until": "2999-12-31"} for name in ALL_WAIVED
            ]
        },
        base="nginx",
    ),
    "tls_already": Recorded("nginx", {"chamilo_uploads_other_programs": ["/old.forum/"]}, vhost="https", base="nginx"),
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
            "chamilo_integrations": {"lti": ["https://lms.school.example"]},
            "chamilo_release_archive": "https://school.example/chamilo.tar.gz",
            "chamilo_release_sha256": "5f" * 32,
            "chamilo_uploads_antivirus": True,
        },
        base="nginx",
        site={
            "missing_packages": ALL_PACKAGES,
            "sendmail": False,
            "fail2ban": False,
            "exposed_logs": {"/var/www/chamilo/var/log/prod.log": "/etc/logrotate.d/chamilo"},
            "managed_from": "192.0.2.7",
        },
        answers={
            "chamilo_site_info": {"active": False},
            "command": {"stdout": daily(copied=False)},
            "config_transaction": {"changed": True},
        },
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
        answers={"chamilo_php_user": {"changed": True, "told": ["The cron job of www-data."]}},
    ),
}


def answers(host: Files, tls: bool, recorded: Recorded) -> dict[str, Any]:
    """What an honest host answers to each module."""
    site = json.loads(json.dumps(asdict(discover("campus.test", site="campus_test", tree=host.tree, tls=tls))))
    site["web"]["version"], site["memory"], site["systemd"] = "1.26.3", 4 << 30, True
    done: dict[str, Any] = {"changed": False}
    own = {path.stem: {**empty(_answers.shape(path.stem)), **done} for path in (ROOT / "plugins/modules").glob("*.py")}
    site |= recorded.site
    known = {
        **own,
        "*": done,
        "chamilo_site_info": {**own["chamilo_site_info"], "site": site, "active": True},
        "command": {**done, "rc": 0, "stdout": daily(copied=True), "stderr": "", "cmd": [], "stdout_lines": [""]},
        "chamilo_php_user": {
            **own["chamilo_php_user"],
            "php": {
                "user": "chamilo-campus_test",
                "group": "chamilo-campus_test",
                "socket": "unix:/run/chamilo-campus_test.sock",
                "pool_file": "/etc/php/8.4/fpm/pool.d/chamilo-campus_test.conf",
            },
        },
        "chamilo_database_account": {**own["chamilo_database_account"], "server_here": True},
        "config_transaction": {**done, "generation": "5f", "loaded": False, "recovered": [], "notes": []},
        "host_program": {**done, "version": "1.0.0"},
        "backup_key": {**own["backup_key"], "key": "k" * 43},
        "fetch": "[]",
        "slurp": {**done, "content": "W10=", "encoding": "base64"},
        "stat": {**done, "stat": {"exists": True, "isreg": True, "checksum": "0" * 40}},
    }
    return known | {module: known[module] | answer for module, answer in recorded.answers.items()}


def shown(module: str, arguments: dict[str, Any]) -> Iterator[str]:
    """A module's call as text: what it is asked for, then each file as it is to be."""
    asked = {
        name: value
        for name, value in arguments.items()
        if not name.startswith("_") and name not in LEFT_OUT.get(module, ()) and name != "files"
    }
    yield f"=== {module} {asked.pop('name', '')}".rstrip()
    if asked:
        yield yaml.safe_dump(asked, sort_keys=True, width=120, allow_unicode=True).rstrip()
    for file in arguments.get("files") or ():
        content = file.get("content", file.get("secret_content"))
        facts = {name: value for name, value in file.items() if name not in ("path", "content", "secret_content")}
        yield f"--- {file['path']} {' '.join(f'{name}={value}' for name, value in sorted(facts.items()))}".rstrip()
        if content is not None:
            yield str(content).rstrip("\n")


@dataclass(frozen=True)
class Run:
    """What harden did to a site. The output is that of all sites."""

    output: str
    calls: list[tuple[str, dict[str, Any]]]

    @property
    def text(self) -> str:
        written = [line for module, asked in self.calls if module not in READ_ONLY for line in shown(module, asked)]
        text = "\n".join(written).replace(str(ROOT), "ROOT")
        text = re.sub(r"[^\s=]+/world/work(?=/)", "HERE", text)
        return re.sub(r"(?<=password: )\w{32}$", "RANDOM", text, flags=re.MULTILINE) + "\n"


def play_all(directory: Path, playbook: str = "harden", *sites: str) -> tuple[str, dict[str, list[Any]]]:
    """One play over all sites: what it printed, and the calls of each. It is less work than a play for each."""
    recorded_sites = {site: SITES[site] for site in sites or SITES}
    hosts, variables = {}, {}
    for site, recorded in recorded_sites.items():
        host = Files(directory / site)
        host.install(recorded.server)
        host.chamilo()
        host.testbed_site(recorded.server, recorded.vhost)
        recorded.php(host)
        hosts[site] = answers(host, not recorded.variables.get("chamilo_https_terminated_elsewhere"), recorded)
        own = {
            "chamilo_domain": "campus.test",
            "chamilo_portal": site,
            "hostile_calls": str(directory / f"{site}.calls"),
        }
        variables[site] = {**CERTIFICATE, **own, **recorded.variables}
    (directory / "world").mkdir()
    output = World(directory / "world", inline=True, details=True).play(playbook, hosts, of_hosts=variables)
    written = {site: (directory / f"{site}.calls").read_text().splitlines() for site in recorded_sites}
    return output, {site: [json.loads(line) for line in lines] for site, lines in written.items()}


@pytest.fixture(scope="session")
def runs(once: Once, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    output, calls = once("rendered", lambda: play_all(tmp_path_factory.mktemp("sites")))
    return {site: Run(output, [(module, asked) for module, asked in calls[site]]) for site in SITES}


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(site: str, runs: dict[str, Run]) -> Run:
    return runs[site]


def test_a_run_comes_to_its_end(site: str, run: Run) -> None:
    assert re.search(rf"^{site} .* unreachable=0 +failed=0 ", run.output, re.MULTILINE), run.output[-3000:]


# Tasks that no recorded site carries out, and why.
UNREACHED = {
    "Refuse values that cannot work": "only where a role runs without the playbook; a guard reads it",
    "Refuse values that do not fit into a header": "the same",
    "Ensure that a virtual host includes the drop-ins": "only where the role runs without https before it",
    "Activate the virtual host that leads to it": "only where it is ours: tests/hosts/test_php_user.py",
    "Create the account for backups": "only where the role backups runs without database before it",
    "Discover the host": "no host is touched by it",
    "Run the first backup and restore test": "in the background, which the connection cannot",
    "Refuse to ban where only a proxy visits": "ends the run: test_obstacles",
    "Refuse to cut the web nodes off": "ends the run: tests/hosts/test_database.py",
    "Refuse to replace a virtual host that would lose something": "ends the run: tests/hosts/test_vhosts.py",
    "Refuse to install the scanner on a host that is too small for it": "ends the run: the plan's own test",
    "Drop the account that an interrupted run left there": "only where there is nothing else to do",
    "Restore the trusted proxies of the application": "only what an earlier run set: tests/hosts/test_https.py",
    "Undo the cookie that is sent over https only": "only what an earlier run set: tests/hosts/test_https.py",
    "Copy the package of the release to the host": "a file of the controller: tests/hosts/test_permissions.py",
    "Install PHP's client of Redis where it is missing": "only with sessions in Redis: tests of the plan",
    "Report files that an administrator must check": "changes nothing: the plan's own test",
}


def tasks(value: Any) -> Iterator[dict[str, Any]]:
    for task in value or ():
        if "block" not in task:
            yield task
        for part in ("block", "rescue", "always"):
            yield from tasks(task.get(part))


def test_each_task_of_the_roles_is_carried_out_for_a_site_or_there_is_a_reason(runs: dict[str, Run]) -> None:
    """What no site reaches is never compared, so that a mistake in it goes unnoticed."""
    done, task = set(), ("", "")
    for line in runs["nginx"].output.splitlines():
        if found := re.match(r"(?:TASK|RUNNING HANDLER) \[(?:chamilo\.hardening\.(\w+) : )?(.*)\] \**$", line):
            task = (found[1], found[2])
        elif re.match("(?:ok|changed|included): ", line):
            done.add(task)
    written = {
        (path.parts[-3], task["name"])
        for path in (ROOT / "roles").glob("*/[th]a*/*.yml")
        for task in tasks(yaml.safe_load(path.read_text(encoding="utf-8")))
    }
    assert sorted(name for _role, name in written - done if name not in UNREACHED) == []
    assert {name for _role, name in written} >= set(UNREACHED)


def difference(before: list[str], after: list[str], base: str, site: str) -> Iterator[str]:
    """Each part below the task that it is of. Line numbers would change with each line before them."""
    for line in difflib.unified_diff(before, after, base, site, n=2):
        number = re.match(r"@@ -(\d+)", line)
        if not number:
            yield line
            continue
        tasks = [one for one in before[: int(number[1])] if one.startswith("=== ")]
        yield f"@@ {tasks[-1][4:]}" if tasks else "@@\n"


def test_what_is_sent_is_what_was_reviewed(site: str, run: Run, request: pytest.FixtureRequest) -> None:
    golden, base = RENDERED / f"{site}.txt", SITES[site].base
    text = run.text
    if base:
        before = (RENDERED / f"{base}.txt").read_text(encoding="utf-8").splitlines(keepends=True)
        text = "".join(difference(before, text.splitlines(keepends=True), base, site))
    if os.environ.get("UPDATE"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8"), f"read the difference; if it is meant, see {__name__}"


# What a transaction does without, and why.
WITHOUT = {
    "updates.host": ({"test", "load", "probe"}, "apt reads its files at each start; its own settings need no test"),
    "ssh_jail": ({"test", "load", "probe"}, "fail2ban is started after it, and its own transaction tests all there is"),
    "brute_force": ({"probe"}, "the jail is asked by the filter's proof before, and by the task after it"),
    "sessions.application": ({"load"}, "its test builds the application's cache, which makes it active"),
    "uploads.antivirus": ({"load", "probe"}, "cron reads its file each minute, and the scan asks the scanner"),
    "database.application": ({"load"}, "its test builds the application's cache, which makes it active"),
    "backups": ({"test", "load", "probe"}, "cron reads its files each minute; a backup and a restore test follow"),
    "monitoring": ({"probe"}, "what monit reports is seen by the daily work, which follows"),
}


def test_each_transaction_is_tested_loaded_and_probed_or_there_is_a_reason(site: str, run: Run) -> None:
    variables = SITES[site].variables
    # Nothing answers before the owner's line is there, and a host that is there for the database serves no page.
    silent = variables.get("chamilo_https_vhost") == "include" or variables.get("chamilo_node") == ["database"]
    for module, asked in run.calls:
        if module == "config_transaction" and asked.get("state", "present") == "present":
            name = asked["name"].replace(":campus_test", "")
            missing = {step for step in ("test", "load", "probe") if not asked.get(step)} - (
                {"probe"} if silent else set()
            )
            assert missing <= WITHOUT.get(name, (set(), ""))[0], name


def test_what_the_audit_asks_is_what_was_reviewed(tmp_path: Path) -> None:
    output, calls = play_all(tmp_path, "audit", "everything")
    golden, text = RENDERED / "audit.txt", Run(output, [(module, asked) for module, asked in calls["everything"]]).text
    if os.environ.get("UPDATE"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
