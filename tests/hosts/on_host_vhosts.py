"""What tests/hosts/test_vhosts.py runs on a host with Apache: each virtual host with our lines in it, and without.

on_host_vhosts.py DIRECTORY OWN    cases below DIRECTORY, and OWN (JSON): name -> text of a virtual host

The drop-ins are simple ones that do what the sections do: rules of mod_rewrite, a section that denies, header lines. A
line of JSON for each case has what was observed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.vhosts import cases, on_host
from tests.vhosts.on_host import DOMAIN, PASSWORD, PUBLIC, SITE, Report, Seen, all_seen, ask, desired, marked, questions

APACHE = Path("/etc/apache2")
DROP_INS = APACHE / "sites-available/chamilo-campus.d"
HEADERS = ("X-Frame-Options", "Strict-Transport-Security", "X-Content-Type-Options")
SET = "".join(
    f"Header onsuccess unset {name}\nHeader always unset {name}\nHeader always set {name} ours\n" for name in HEADERS
)
PROBE = "/.well-known/chamilo-hardening/probe"
DENIED = "/main/install/index.php"
RULES = f"""RewriteEngine On
RewriteRule ^{re.escape(PROBE)}$ - [E=PROBE:1,R=204,L]
Header always set X-Chamilo-Generation "@generation@" env=PROBE
{SET}<LocationMatch "(?i)^/+main/install(?:/|$)">
    Require all denied
</LocationMatch>
"""
CERTIFICATE = """SSLEngine on
SSLCertificateFile /etc/ssl/testbed/fullchain.pem
SSLCertificateKeyFile /etc/ssl/testbed/privkey.pem
"""
# A page of PHP, a file, what is not there, what is forbidden, and what a directory is led on to.
USUAL = ("/", "/robots.txt", "/no/such/page", "/.git/config", "/img", "/private/x.txt", "/main/index.php")
# Modules that Debian's package of Apache has not: their directives mean nothing here.
FOREIGN = re.compile(r"^([ \t]*)(php_\w+|ShibRequestSetting|AuthType shibboleth|SetHandler shib)\b", re.MULTILINE)


class Apache(on_host.Host):
    def load(self, anew: bool = False) -> bool:
        """Whether Apache takes the configuration, which is active then. Modules go with a start alone."""
        self.number += 1
        (APACHE / "conf-enabled/zz-number.conf").write_text(f"Header always set X-Number {self.number}\n")
        if subprocess.run(["apache2ctl", "configtest" if anew else "graceful"], capture_output=True).returncode:
            return False
        if anew:
            subprocess.run(["systemctl", "reset-failed", "apache2"], check=True)
            subprocess.run(["systemctl", "restart", "apache2"], check=True)
        ports = [int(port) for port in re.findall(r"^Listen (\d+)", (APACHE / "ports.conf").read_text(), re.MULTILINE)]
        for _attempt in range(200):
            answers = [ask("http", ports[0], "number.test", "/no-such-number") for _each in range(2)]
            if all(answer and answer.headers.get_all("X-Number") == [str(self.number)] for answer in answers):
                return True
            time.sleep(0.03)
        raise SystemExit("Apache does not reload")


def adapted(text: str) -> str:
    """A virtual host as it can stand on this host."""
    text = FOREIGN.sub(r"\1# \2", text)
    text = re.sub(r"(ErrorLog|CustomLog) /dev/std\w+", r"\1 /var/log/apache2/std.log", text)
    for path in re.findall(r"^\s*SSLCertificate\w*File\s+(\S+)", text, re.MULTILINE):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if not Path(path).exists():
            name = "privkey.pem" if re.search(r"key", path, re.IGNORECASE) else "fullchain.pem"
            Path(path).symlink_to(f"/etc/ssl/testbed/{name}")
    for path in re.findall(r"^\s*AuthUserFile\s+(\S+)", text, re.MULTILINE):
        Path(path).write_text("pilot:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n")
    return text


def enable(*modules: str) -> None:
    for module in modules:
        for path in (APACHE / "mods-available").glob(f"{module}.*"):
            link = APACHE / "mods-enabled" / path.name
            if not link.is_symlink():
                link.symlink_to(f"../mods-available/{path.name}")


def try_one(host: Apache, name: str, modules: list[str], tls: bool) -> Report:
    from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Tree
    from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import apache, in_place_apache
    from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.in_place import Unmarked

    report = Report(name)
    enable(*modules)
    report.valid_before = host.load(anew=True)
    if not report.valid_before:
        return report
    tree = Unmarked(Tree(), SITE)
    configuration = apache.parse(tree)
    plan = in_place_apache.plan(tree, configuration, desired(DROP_INS, HEADERS, tls))
    report.obstacles = [f"{one.file}:{one.line}: {one.what}. {one.remedy}." for one in plan.obstacles]
    if report.obstacles:
        return report
    users = ("", PASSWORD) if any("AuthUserFile" in text for text in configuration.texts.values()) else ("",)
    before = all_seen(questions(plan, apache.servers(configuration), USUAL, users))
    with marked(report, plan):
        for kind, text in (("", RULES.replace("@generation@", name)), ("location", SET), ("tls", CERTIFICATE)):
            (DROP_INS / kind).mkdir(parents=True, exist_ok=True)
            (DROP_INS / kind / "https.conf").write_text(text)
        enable("rewrite", "headers", *(["ssl", "socache_shmcb"] if plan.tls else []))
        report.valid = host.load()
        if report.valid:
            judge(report, plan, before, name)
    return report


def judge(report: Report, plan: Any, before: dict[Any, Seen | None], generation: str) -> None:
    from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Tree
    from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import apache

    for each, answer in all_seen(before).items():
        was = before[each]
        if (answer and answer.same) != (was and was.same):
            report.changed.append(f"{' '.join(map(str, each))}: {was and was.same} -> {answer and answer.same}")
    named, _fallback = apache.answering(apache.servers(apache.parse(Tree())), DOMAIN)
    portal = [block for block in plan.blocks if block.kind == "portal"]
    probed = []
    count = 0
    statuses = set()
    for server in named:
        edited = f"{DROP_INS}/*.conf" in server.host.includes
        if not edited:
            continue
        count += 1
        for listen in server.host.listens:
            scheme = "https" if listen.tls else "http"
            answer = ask(scheme, listen.port, DOMAIN, PROBE)
            probed.append(bool(answer and answer.headers.get_all("X-Chamilo-Generation") == [generation]))
            for (*_where, path), one in all_seen((scheme, listen.port, DOMAIN, path) for path in USUAL).items():
                counts = {header: (one.headers.get_all(header) if one else None) for header in HEADERS}
                statuses.add(one.status if one else 0)
                report.once += [
                    f"{scheme} {path} {one.status if one else 0} {header}: {values}"
                    for header, values in counts.items()
                    if values != ["ours"]
                ]
            for user in ("", PASSWORD):
                one = ask(scheme, listen.port, DOMAIN, DENIED, user)
                if not one or one.status not in ((401, 403) if not user else (403,)):
                    leads = one and one.status in (301, 302) and listen.port == 80
                    report.closed += [] if leads else [f"{scheme} {DENIED}: {one.status if one else 0}"]
    report.active = bool(probed) and all(probed) and count >= len(portal)
    report.statuses = sorted(statuses)


def main(directory: str, own: str) -> None:
    host = Apache(directory, APACHE)

    (PUBLIC / "private").mkdir(exist_ok=True)
    (PUBLIC / "private/x.txt").write_text("x\n")
    for path in ("/srv/recordings",):
        Path(path).mkdir(exist_ok=True)
    todo: list[tuple[str, Any]] = [(case.name, case) for case in cases("apache") if not case.panel]
    todo += list(json.loads(Path(own).read_text()).items())
    for name, case in todo:
        host.clean()
        access = PUBLIC / "private/.htaccess"
        access.unlink(missing_ok=True)
        if isinstance(case, dict):
            (APACHE / "sites-available/campus.conf").write_bytes(adapted(case["text"]).encode())
            (APACHE / "sites-enabled/campus.conf").symlink_to("../sites-available/campus.conf")
            if case.get("htaccess"):
                access.write_text(adapted(case["htaccess"]))
            modules, tls = case.get("modules", "").split(), True
        else:
            case.lay(Path("/"))
            for file in case.files:
                Path(file).write_text(adapted(Path(file).read_text()))
            modules, tls = case.head.get("modules", "").split(), "proxy" not in case.head
        modules += ["socache_shmcb"] if "ssl" in modules else []
        report = try_one(host, name, modules, tls)
        print(json.dumps({**asdict(report), "right": report.right}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
