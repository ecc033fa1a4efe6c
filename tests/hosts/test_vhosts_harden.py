# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual hosts as they stand in the world through the whole way: harden, again, and undo, on a real host."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from tests.hosts.hardening import BEHIND, HSTS, Playbook, changed
from tests.hosts.on_host_vhosts import FOREIGN
from tests.playbook import PlayError
from tests.testbed import authority
from tests.testbed.hosts import Host
from tests.vhosts import DOMAIN, HERE, Case, cases

pytestmark = pytest.mark.long

SECTIONS = ("https", "headers", "uploads", "brute_force")
ONCE = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "SAMEORIGIN", "Strict-Transport-Security": HSTS}
PATHS = ("/", "/index.php", "/img", "/robots.txt", "/no/such/page", "/main/auth/lostPassword.php")
# What the cases name that a host of the testbed does not have.
BESIDE = """
mkdir -p /etc/letsencrypt /usr/share/phpmyadmin /var/www/chamilo/public/plugin/touchbase/public
for each in nginx apache2; do
    test ! -d /etc/$each || echo 'pilot:{SHA}nU4eI71bcnBGqeO0t9tXvY1u5oQ=' >/etc/$each/campus.htpasswd
done
echo '<?php echo 1;' | tee /usr/share/phpmyadmin/index.php >/var/www/chamilo/public/plugin/touchbase/public/index.php
"""
NAMES = re.compile(r"(?i)^\s*(?:server_name|ServerName|ServerAlias)\s+([^;\n]*)", re.MULTILINE)
CERTIFICATES = re.compile(
    r"(ssl_certificate_key|ssl_certificate|ssl_trusted_certificate|SSLCertificateKeyFile|SSLCertificateFile"
    r"|SSLCertificateChainFile)\s+(/[^;\s]+)"
)


def lay(host: Host, case: Case) -> str:
    """The configuration of a case instead of the own one of the testbed. Why the server does not take it, if so."""
    directory = {"nginx": "/etc/nginx", "apache": "/etc/apache2"}[host.web]
    host.run(f"rm -f {directory}/sites-enabled/*{BESIDE}")
    names = {host.domain, "shop.test"}
    for options in ("nginx", "apache"):  # Certbot's own
        file = f"etc/letsencrypt/options-ssl-{options}.conf"
        host.put(f"/{file}", (HERE / "host" / file).read_text(encoding="utf-8"))
    for path, written in case.files.items():
        # A pattern for the portal's name and others, such as *.example.org, is one for them here too.
        text = written.replace(DOMAIN, host.domain).replace("example.org", host.domain.partition(".")[2])
        text = re.sub(r"^\s*ssl_dhparam [^;]*;", "", text, flags=re.MULTILINE)
        text = FOREIGN.sub(r"\1# \2", text)
        text = re.sub(r"/dev/std(?:err|out)\b", "/var/log/apache2/std.log", text)  # of a container
        for word in " ".join(NAMES.findall(text)).replace('"', "").split():
            name = word.partition(":")[0].lstrip(".")
            names |= {name, f"*.{name}"} if word.startswith(".") else {name} if "." in name else set()
        if "pool" in case.head:  # the testbed's own takes its place
            text = text.replace(
                case.head["pool"].split()[1], f"unix:{host.run('ls /run/php/php8*-fpm.sock').stdout.strip()}"
            )
        for name, file in CERTIFICATES.findall(text):
            own = "privkey" if name.lower().endswith(("key", "keyfile")) else "fullchain"
            host.run(f"mkdir -p $(dirname {file}) && ln -sf /etc/ssl/testbed/{own}.pem {file}")
        for log in re.findall(r"(?i)(?:access_log|error_log|customlog|errorlog)\s+\"?(/[^;\s\"]+)", text):
            host.run(f"mkdir -p $(dirname {log})")
        host.put(path.replace(DOMAIN, host.domain), text)
    for link, target in case.links.items():
        host.run(["ln", "-sf", target.replace(DOMAIN, host.domain), link.replace(DOMAIN, host.domain)])
    chain, key = authority.issue(*sorted(names))  # for all of them, since harden reports which are missing
    host.put("/etc/ssl/testbed/fullchain.pem", chain)
    host.put("/etc/ssl/testbed/privkey.pem", key, "0600")
    known = " ".join(name for name in sorted(names) if "*" not in name)  # the host asks itself by all of them
    host.run(f"echo '{host.address} {known}' >>/etc/hosts")
    if host.web == "apache":
        modules = {"rewrite", "headers", *case.head.get("modules", "").replace(",", " ").split()}
        host.run("a2enmod --quiet " + " ".join(sorted(modules)), check=False)
    test = {"nginx": "nginx -t", "apache": "apache2ctl configtest"}[host.web]
    service = {"nginx": "nginx", "apache": "apache2"}[host.web]
    tried = host.run(f"{test} && systemctl restart {service}", check=False)
    return tried.stderr[-500:] if tried.returncode else ""


def ask(host: Host, case: Case, scheme: str, path: str) -> Answer:
    """As a visitor does, by way of a proxy that speaks https where one has the ports of the web."""
    if "proxy" not in case.head:
        return host.http(f"{scheme}://{host.domain}{path}")
    return host.http(f"http://{host.domain}:{case.head['proxy']}{path}", headers={"X-Forwarded-Proto": scheme})


def seen(host: Host, case: Case) -> dict[str, tuple[int, str]]:
    """How each address is answered: by https where http leads there under the same path."""
    found = {}
    # Where the portal has no port 80, another site may answer there before.
    plain = host.web == "nginx" or any(re.search(r"\b80\b", text) for text in case.files.values())
    for path in PATHS:
        answer = ask(host, case, "http" if plain or "proxy" in case.head else "https", path)
        if answer.status in (301, 308) and answer.value("Location") == f"https://{host.domain}{path}":
            answer = ask(host, case, "https", path)
        found[path] = answer.status, re.sub(rf"^https?://{re.escape(host.domain)}(:\d+)?", "", answer.value("Location"))
    return found


def whole_way(host: Host, playbook: Playbook, case: Case) -> list[str]:
    """What is not as it should be."""
    invalid = lay(host, case)
    if invalid:
        return [f"is not valid here: {invalid}"]
    directory = {"nginx": "/etc/nginx", "apache": "/etc/apache2"}[host.web]
    host.run(f"rm -rf /root/before && cp -a {directory} /root/before")
    before = seen(host, case)
    networks = ["172.16.0.0/12", "192.168.0.0/16"]
    variables = {**BEHIND, "chamilo_trusted_proxies": networks} if "proxy" in case.head else {}
    wrong = []
    try:
        playbook.harden(host, **variables)
        after = seen(host, case)
        wrong += [f"{path}: {before[path]}, then {after[path]}" for path in PATHS if before[path] != after[path]]
        for path in ("/", "/robots.txt", "/no/such/page", "/img/x.phtml"):
            answer = ask(host, case, "https", path)
            sent = {name: answer.values(name) for name in ONCE}
            wrong += [f"{path}: {name} is {value}" for name, value in sent.items() if value != [ONCE[name]]]
        if ask(host, case, "https", "/img/x.phtml").status not in (401, 403):
            wrong.append("a program among the pictures is not refused")
        again = playbook.run("harden", host, **variables)
        tasks = sorted(changed(again.output)) if again.changed[host.domain] else []
        wrong += [f"a second run changes {tasks}"] if tasks else []
    except PlayError as failed:
        output = str(failed)
        warning = output.find("[WARNING]")
        wrong.append(f"harden: {output[-2000:] if warning < 0 else output[warning : warning + 1000]}")
    for section in SECTIONS[::-1]:
        host.run(["chamilo-hardening", "undo", section, "--yes"], check=False)
    left = host.run(f"diff -r /root/before {directory}", check=False).stdout
    return [*wrong, *([f"undo leaves: {left[:400]}"] if left else [])]


def own(web: str) -> list[Any]:
    return [pytest.param(case, id=case.name) for case in cases(web) if not case.panel]


@pytest.mark.cells("trixie-nginx")
@pytest.mark.parametrize("case", own("nginx"))
def test_a_virtual_host_of_the_world_is_hardened_in_nginx(fresh: Host, tmp_path: Path, case: Case) -> None:
    wrong = whole_way(fresh, Playbook(tmp_path, ",".join(SECTIONS)), case)
    assert not wrong, "\n".join(wrong)


@pytest.mark.cells("trixie-apache")
@pytest.mark.parametrize("case", own("apache"))
def test_a_virtual_host_of_the_world_is_hardened_in_apache(fresh: Host, tmp_path: Path, case: Case) -> None:
    wrong = whole_way(fresh, Playbook(tmp_path, ",".join(SECTIONS)), case)
    assert not wrong, "\n".join(wrong)
