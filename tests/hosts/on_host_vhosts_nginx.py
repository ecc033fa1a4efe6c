"""What tests/hosts/test_vhosts_nginx.py runs on a host with nginx: each virtual host with our lines in it, and without.

on_host_vhosts_nginx.py DIRECTORY OWN    cases below DIRECTORY, and OWN (JSON): name -> text of a virtual host

The drop-ins are simple ones that do what the sections do: a rule that denies, header lines, a parameter of PHP. A line
of JSON for each case has what was observed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.vhosts import cases, on_host
from tests.vhosts.on_host import DOMAIN, PASSWORD, PUBLIC, SITE, Report, Seen, all_seen, ask, desired, marked, questions

NGINX = Path("/etc/nginx")
DROP_INS = NGINX / "sites-available/chamilo-campus.d"
HEADERS = ("X-Frame-Options", "Strict-Transport-Security", "X-Content-Type-Options", "Referrer-Policy")
SENT = "".join(f"add_header {name} ours always;\n" for name in HEADERS)
HIDDEN = "".join(f"fastcgi_hide_header {name};\nproxy_hide_header {name};\n" for name in HEADERS)
PROBE = "/.well-known/chamilo-hardening/probe"
DENIED = "/img/evil.php"
RULES = f"""location = {PROBE} {{
    add_header X-Chamilo-Generation @generation@ always;
    return 204;
}}
if ($uri ~* "\\.php(?:/|$)") {{
    rewrite "^/img/" /.well-known/chamilo-hardening/refused last;
}}
location = /.well-known/chamilo-hardening/refused {{
    return 403;
}}
location ~ /\\.(?!well-known(?:/|$)) {{
    return 403;
}}
include {DROP_INS}/hide/*.conf;
include {DROP_INS}/location/*.conf;
location @chamilo_range {{
    add_header X-Chamilo-Range "";
    return 416;
}}
error_page 416 = @chamilo_range;
"""
TLS = """listen 443 ssl;
listen [::]:443 ssl;
ssl_certificate /etc/ssl/testbed/fullchain.pem;
ssl_certificate_key /etc/ssl/testbed/privkey.pem;
"""
DROPPED = {"": RULES, "location/": SENT, "hide/": HIDDEN, "tls/": TLS, "php/": "fastcgi_param HTTP_COOKIE ours;\n"}
# The front, a page of PHP, a file, a redirect of a directory, and what is not there or forbidden.
USUAL = (
    "/",
    "/index.php",
    "/seen.php",
    "/robots.txt",
    "/img/x.png",
    "/no/such/page",
    "/none.css",
    "/.git/config",
    "/img",
)
# In the place of the application, which takes longer: it prints which cookie came, and sends headers itself.
SEEN = """<?php
header('X-Frame-Options: DENY');
header('Referrer-Policy: origin');
http_response_code((int) ($_GET['status'] ?? (preg_match('~^/no~', $_SERVER['REQUEST_URI'] ?? '') ? 404 : 200)));
echo $_SERVER['HTTP_COOKIE'] ?? '', '|', $_SERVER['SCRIPT_NAME'] ?? '';
"""
POOL = "[port]\nuser = www-data\ngroup = www-data\nlisten = 127.0.0.1:9000\npm = ondemand\npm.max_children = 2\n"
# Directives that have a file behind them.
FILES = re.compile(
    r"^\s*(ssl_certificate_key|ssl_certificate|ssl_trusted_certificate|ssl_dhparam|auth_basic_user_file)\s+([^;\s]+)",
    re.M,
)


class Nginx(on_host.Host):
    def load(self) -> str:
        """Why nginx does not take the configuration; an empty text once it is active."""
        self.number += 1
        # Found by no request of a case: it has an address of its own.
        (NGINX / "conf.d/zz-number.conf").write_text(
            f"server {{ listen 127.0.0.9:8999; server_name number.test; return 200 {self.number}; }}\n"
        )
        tested = subprocess.run(["nginx", "-t"], capture_output=True, text=True, check=False)
        if tested.returncode:
            return tested.stderr
        old = workers()
        subprocess.run(["systemctl", "reload-or-restart", "nginx"], check=True)
        for _attempt in range(500):
            answer = ask("http", 8999, "number.test", "/", address="127.0.0.9")
            if answer and answer.body == str(self.number).encode() and not old & workers():
                return ""
            time.sleep(0.02)
        return "nginx does not reload"


def workers() -> set[str]:
    """The processes that answer. One of before a reload goes on until it has noticed."""
    found = subprocess.run(["pgrep", "--full", "nginx: worker"], capture_output=True, text=True, check=False)
    return set(found.stdout.split())


def adapted(text: str) -> str:
    """A virtual host as it can stand on this host."""
    for name, path in FILES.findall(text):
        file = Path(path if path.startswith("/") else NGINX / path)
        file.parent.mkdir(parents=True, exist_ok=True)
        if name == "auth_basic_user_file":
            file.write_text("pilot:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n")
        elif not file.exists():
            file.symlink_to(f"/etc/ssl/testbed/{'privkey' if name.endswith('key') else 'fullchain'}.pem")
    text = re.sub(r"^\s*ssl_dhparam [^;]*;", "", text, flags=re.M)  # takes long to make
    for path in re.findall(r"(?:access|error)_log\s+(/[^;\s]+)", text):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    return text


def try_one(host: Nginx, name: str) -> Report:
    from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Tree
    from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import in_place_nginx, nginx
    from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.in_place import Unmarked

    report = Report(name)
    report.error = host.load()
    report.valid_before = not report.error
    if report.error:
        return report
    tree = Unmarked(Tree(), SITE)
    configuration = nginx.parse(tree)
    plan = in_place_nginx.plan(tree, configuration, desired(DROP_INS, HEADERS, tls=True))
    report.obstacles = [f"{one.file}:{one.line}: {one.what}. {one.remedy}." for one in plan.obstacles]
    if report.obstacles:
        return report
    closed = any("auth_basic" in configuration.texts[edited.path] for edited in plan.files)
    users = ("", PASSWORD) if closed else ("",)
    before = all_seen(questions(plan, nginx.servers(configuration), USUAL, users))
    with marked(report, plan):
        for kind, text in DROPPED.items():
            (DROP_INS / kind).mkdir(parents=True, exist_ok=True)
            (DROP_INS / kind / "probe.conf").write_text(text.replace("@generation@", name.replace(" ", "-")))
        report.error = host.load()
        report.valid = not report.error
        if report.valid:
            judge(report, before, name.replace(" ", "-"), users)
    return report


def judge(report: Report, before: dict[Any, Seen | None], generation: str, users: Sequence[str]) -> None:
    from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Tree
    from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import nginx

    servers = nginx.servers(nginx.parse(Tree()))
    ours = [server for server in servers if f"{DROP_INS}/*.conf" in server.host.includes]
    endpoints = dict.fromkeys(
        ("https" if listen.tls else "http", listen.port, name)
        for server in ours
        for listen in server.host.listens
        for name in [name for name in server.host.names if re.fullmatch(r"[\w-]+(\.[\w-]+)+", name)] or [DOMAIN]
    )
    paths = (*USUAL, *(f"/seen.php?status={status}" for status in (403, 404, 500)), DENIED, PROBE)
    asked = [(*endpoint, path, user) for endpoint in endpoints for path in paths for user in users]
    after = all_seen(dict.fromkeys([*before, *asked]))
    for each, was in before.items():
        answer = after[each]
        if (answer.same if answer else None) != (was.same if was else None) and not denied(each[3], answer):
            report.changed.append(f"{' '.join(map(str, each))}: {was and was.same} -> {answer and answer.same}")
    # By http, a condition of the owner's may lead to https before anything else is asked.
    probed = {endpoint: after[(*endpoint, PROBE, users[-1])] for endpoint in endpoints}
    report.active = any(endpoint[0] == "https" for endpoint in endpoints) and all(
        one is not None
        and (
            one.headers.get_all("X-Chamilo-Generation") == [generation]
            or (endpoint[0] == "http" and one.location == f"https://{endpoint[2]}{PROBE}")
        )
        for endpoint, one in probed.items()
    )
    statuses = set()
    for each, one in after.items():
        if each[:3] not in endpoints or each[3] == PROBE:
            continue
        where, status = " ".join(map(str, each)), one.status if one else 0
        statuses.add(status)
        report.once += [
            f"{where} {status} {header}: {values}"
            for header, values in ((header, one.headers.get_all(header) if one else None) for header in HEADERS)
            if values != ["ours"]
        ]
        if each[3] == DENIED and status not in (401, 403):
            report.closed.append(f"{where}: {status}")
        if one and status == 200 and b"|" in one.body[:20] and not one.body.startswith(b"ours|"):
            report.reported.append(f"{where}: {one.body[:60]!r}")
    report.statuses = sorted(statuses)


def denied(path: str, answer: Seen | None) -> bool:
    """Our own rules answer there, as they shall."""
    return path.startswith("/.git") and answer is not None and answer.status == 403


def main(directory: str, own: str) -> None:
    host = Nginx(directory, NGINX)

    for name in ("index.php", "seen.php"):
        (PUBLIC / name).write_text(SEEN)
    (PUBLIC / "img").mkdir(exist_ok=True)
    (PUBLIC / "img/x.png").write_bytes(b"x")
    (PUBLIC / "img/evil.php").write_text("<?php echo 'evil';\n")
    (PUBLIC / "plugin/touchbase/public").mkdir(parents=True, exist_ok=True)
    (PUBLIC / "plugin/touchbase/public/index.php").write_text(SEEN)
    Path("/usr/share/phpmyadmin").mkdir(exist_ok=True)
    Path("/usr/share/phpmyadmin/index.php").write_text(SEEN)
    (pools,) = Path("/etc/php").glob("*/fpm/pool.d")
    (pools / "zz.conf").write_text(POOL)
    subprocess.run(["systemctl", "restart", f"php{pools.parts[3]}-fpm"], check=True)
    host.clean()
    host.load()  # none of the workers of before is left then
    todo: list[tuple[str, Any]] = [(case.name, case) for case in cases("nginx") if not case.panel]
    todo += list(json.loads(Path(own).read_text()).items())
    for name, case in todo:
        host.clean()
        if isinstance(case, dict):
            for path, text in case.items():
                file = NGINX / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(adapted(text).replace("@PHP@", pools.parts[3]).encode("utf-8", "surrogateescape"))
            (NGINX / "sites-enabled/campus.conf").symlink_to("../sites-available/campus.conf")
        else:
            case.lay(Path("/"))
            for path in case.files:
                Path(path).write_text(adapted(Path(path).read_text()).replace("php8.4", f"php{pools.parts[3]}"))
            for path in NGINX.glob("nginxconfig.io/*"):
                adapted(path.read_text())
        report = try_one(host, name)
        print(json.dumps({**asdict(report), "right": report.right}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
