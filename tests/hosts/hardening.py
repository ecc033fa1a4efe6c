"""Hardens a host of the testbed as a user would, and inspects it from outside."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.chamilo.hardening.plugins.module_utils._application.dotenv import parse_text
from tests import vhosts
from tests.playbook import Played, play
from tests.testbed import authority
from tests.testbed.app import selfcheck
from tests.testbed.hosts import Host

# The certificate of the testbed's own authority, which its hosts trust.
CERTIFICATE = {
    "chamilo_https_certificate": "files",
    "chamilo_https_certificate_file": "/etc/ssl/testbed/fullchain.pem",
    "chamilo_https_certificate_key_file": "/etc/ssl/testbed/privkey.pem",
    "chamilo_https_hsts": "full",
}
# The tests fail to log in more often than a person; they come out of Docker's networks.
SPARED = {"chamilo_friends": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]}
# The testbed's application is no release that Chamilo published.
OFFLINE = {"chamilo_release_archive": "off"}
# A host at rest writes these by itself. In /var/tmp units have directories of their own: PHP's cleaning of sessions.
AT_REST = [
    "/var/log/*",
    "/var/lib/systemd/*",
    "/var/lib/php/*",
    "/var/lib/nginx/*",
    "/var/tmp",
    "/root/.ansible*",
    "database:shop.visit",
]
QUIET = [*AT_REST, "database:*"]
# The program is there before a section decides anything; a directory's time shows it.
PROGRAM = [
    "/etc",
    "/etc/chamilo-hardening*",
    "/etc/systemd/system",
    "/etc/systemd/system/*",
    "unit:chamilo-hardening*",
    "/usr/local/sbin",
    "/usr/local/sbin/chamilo-*",
    "/var/lib",
    "/var/lib/chamilo-hardening*",
]
# The usual configuration of a proxy: TLS ends here, or (8443) is spoken on to the portal as well.
GATE = """
ssl_certificate /etc/ssl/portal.pem;
ssl_certificate_key /etc/ssl/portal.key;
proxy_set_header Host $host;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Proto $scheme;
proxy_ssl_server_name on;
proxy_ssl_name {domain};
server {{
    listen 80;
    listen 443 ssl;
    server_name {domain};
    location / {{ proxy_pass http://{address}; }}
}}
server {{
    listen 8443 ssl;
    server_name {domain};
    location / {{ proxy_pass https://{address}; }}
}}
"""
# With such a proxy the host itself needs no certificate.
BEHIND = {
    "chamilo_https_certificate": "auto",
    "chamilo_https_certificate_file": "",
    "chamilo_https_certificate_key_file": "",
    "chamilo_https_terminated_elsewhere": True,
}
# The first backup and restore test have ended, well or not.
ENDED = "while systemctl list-units --all --no-legend 'chamilo-hardening-first-*' | grep -q .; do sleep 0.2; done"
HSTS = "max-age=31536000; includeSubDomains"
# PHP keeps each program as it read it first, as Symfony advises for production.
KEEP_PROGRAMS = (
    "for directory in /etc/php/*/fpm/conf.d; do echo opcache.validate_timestamps=0 >$directory/99-owner.ini; done "
    "&& systemctl restart 'php*-fpm.service'"
)


@dataclass
class Playbook:
    """Runs playbooks on hosts of the testbed.

    ``directory`` holds inventories and plays. ``sections``: those that harden makes true, as tags; empty for all.
    ``given``: variables of each run.
    """

    directory: Path
    sections: str = ""
    details: bool = True
    given: dict[str, str] = field(default_factory=dict)
    patient: bool = True  # wait for the first backup and restore test, with which the host goes on after a run

    @property
    def keys(self) -> Path:
        """The copies of the backups' keys on the controller."""
        return self.directory / "keys"

    def inventory(self, *targets: Host) -> Path:
        path = self.directory / "hosts.yml"
        known = {target.domain: target.quick_inventory() for target in targets}
        path.write_text(yaml.safe_dump({"chamilo": {"hosts": known}}))
        return path

    def run(self, playbook: str, host: Host, *options: str, **variables: Any) -> Played:
        if playbook == "harden" and self.sections and not {"--tags", "--skip-tags"} & set(options):
            options = ("--tags", self.sections, *options)
        report = {"chamilo_report_dir": str(self.directory / "report")} if playbook in ("audit", "prove") else {}
        own = {"chamilo_backups_key_folder": str(self.keys)}
        given = {**CERTIFICATE, **SPARED, **OFFLINE, **own, **report, **self.given, **variables}
        done = play(playbook, self.inventory(host), *options, variables=given, details=self.details)
        if playbook == "harden" and self.patient:
            host.run(ENDED)
        return done

    def harden(self, host: Host, *options: str, **variables: Any) -> int:
        """Harden and return how many tasks changed something."""
        return self.run("harden", host, *options, **variables).changed[host.domain]

    def write(self, name: str, text: str) -> str:
        path = self.directory / name
        path.write_text(text)
        return str(path)


def dump(host: Host) -> str:
    """Where Chamilo's documented command leaves a copy of the database."""
    path = "/var/www/chamilo/public/dump.sql"
    host.run(f"mariadb-dump chamilo >{path}")
    return path


def changed(output: str) -> set[str]:
    """The tasks that reported "changed"."""
    tasks: set[str] = set()
    name = ""
    for line in output.splitlines():
        if found := re.match(r"TASK \[(?:chamilo\.hardening\.)?(.*)\] \*", line):
            name = found[1]
        elif line.startswith("changed: "):
            tasks.add(name)
    return tasks


def missing_from_the_portal(host: Host, scheme: str, name: str = "") -> list[str]:
    """What the portal (of another name, where there are several) no longer does for its users, in words."""
    found = selfcheck.check(f"{scheme}://{name or host.domain}", host.address, str(authority.certificate()))
    return [f"{name}: {detail}" for name, works, detail in found if not works]


def sql(host: Host, text: str, database: str = "chamilo") -> str:
    return host.run(["mariadb", "--batch", "--skip-column-names", database], data=text).stdout


def dump_environment(host: Host) -> dict[str, str]:
    """What ``composer dump-env`` makes of .env, which PHP reads instead from then on. Returns the values."""
    values = parse_text(host.get("/var/www/chamilo/.env"), ".env")
    lines = "".join(f"  '{name}' => '{value}',\n" for name, value in values.items())
    head = f'// This file was generated by running "composer dump-env {values["APP_ENV"]}"'
    host.put("/var/www/chamilo/.env.local.php", f"<?php\n\n{head}\n\nreturn array (\n{lines});\n")
    return values


def unrelated_site(host: Host) -> list[Any]:
    """What the other site on this host answers. Hardening must leave it as it is."""
    found = []
    for path in ("/", "/nothing-here"):
        answer = host.http(f"http://shop.test{path}")
        reported = sorted(
            (name, value) for name, value in answer.headers if name.lower() not in ("date", "server", "content-length")
        )
        # The one thing Apache knows for the whole host only: how much of its version it shows.
        found.append((path, answer.status, reported, re.sub(rb"Apache\S*(?: \(Debian\))?", b"Apache", answer.body)))
    return found


def proxy(host: Host, make: Callable[..., Host]) -> Host:
    """A host that stands in front of another one."""
    made = make("gate", release="trixie", web="nginx", state="virgin")
    chain, key = authority.issue(host.domain)
    made.put("/etc/ssl/portal.pem", chain)
    made.put("/etc/ssl/portal.key", key, "0600")
    made.put("/etc/nginx/conf.d/gate.conf", GATE.format(domain=host.domain, address=host.address))
    made.run("systemctl restart nginx")
    made.wait(f"http://{host.domain}/", address=made.address)
    return made


def into_a_release(host: Host) -> None:
    """current -> releases/7, with a var/ that all releases share: how deployment tools lay an application."""
    root, service = "/var/www/chamilo", {"nginx": "nginx", "apache": "apache2"}[host.web]
    host.run(
        f"mkdir -p /srv/campus/releases /srv/campus/shared && mv {root} /srv/campus/releases/7 &&"
        " mv /srv/campus/releases/7/var /srv/campus/shared/var && ln -s ../../shared/var /srv/campus/releases/7/var &&"
        " ln -s releases/7 /srv/campus/current && chown root:root /srv/campus/releases/7 &&"
        " chmod 755 /srv/campus/releases/7 &&"
        f" sed -i 's#{root}#/srv/campus/current#g' /etc/{service}/sites-available/* &&"
        f" systemctl restart 'php*-fpm.service' {service}"
    )


def include_line(host: Host) -> str:
    service, line = ("nginx", "include") if host.web == "nginx" else ("apache2", "IncludeOptional")
    end = ";" if host.web == "nginx" else ""
    return f"{line} /etc/{service}/sites-available/chamilo-campus_test.d/*.conf{end}"


def without_virtual_host(host: Host) -> None:
    """The portal of an administrator who laid it and has not yet had the web server serve it."""
    service, name = ("nginx", "chamilo") if host.web == "nginx" else ("apache2", "chamilo.conf")
    host.run(
        f"rm /etc/{service}/sites-enabled/{name} /etc/{service}/sites-available/{name} && systemctl restart {service}"
    )


def paste(host: Host, text: str) -> None:
    """Put a line into the portal's own virtual host, as its owner does."""
    service, name, file = (
        ("nginx", "server_name", "chamilo") if host.web == "nginx" else ("apache2", "ServerName", "chamilo.conf")
    )
    host.run(["sed", "-i", f"s|^ *{name} .*|&\\n{text}|", f"/etc/{service}/sites-available/{file}"])


def world(host: Host, runner: str, odd: dict[str, Any]) -> None:
    """Takes the virtual hosts of tests/vhosts, and odd ones, through a program of tests/hosts that runs on the host."""
    root, there = Path(__file__).resolve().parents[2], "/root/vhosts"
    host.put_tree(root / "plugins/module_utils", f"{there}/ansible_collections/chamilo/hardening/plugins/module_utils")
    host.put_tree(root / "tests/vhosts", f"{there}/tests/vhosts")
    host.put(f"{there}/run.py", Path(__file__).with_name(runner).read_text(encoding="utf-8"))
    host.put(f"{there}/odd.json", json.dumps(odd))
    lines = host.run(f"python3 -B {there}/run.py {there} {there}/odd.json").stdout.splitlines()
    reports: dict[str, dict[str, Any]] = {(report := json.loads(line))["case"]: report for line in lines}
    table = "\n".join(
        f"{name:45} {'right' if report['right'] else 'WRONG'} "
        f"{' '.join(key for key in ('valid_before', 'valid', 'active', 'undone') if report[key])} {report['statuses']}"
        for name, report in reports.items()
    )
    print(table)
    assert set(reports) == {case.name for case in vhosts.cases(host.web) if not case.panel} | set(odd)
    wrong = {name: report for name, report in reports.items() if not report["right"]}
    assert not wrong, f"{table}\n{json.dumps(wrong, indent=1)}"
