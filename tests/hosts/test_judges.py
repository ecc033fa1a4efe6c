"""Other people's tools inspect a hardened host: what they report about our files is nothing, or explained."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.hosts.hardening import Playbook
from tests.testbed import authority, images
from tests.testbed.engine import LABEL, ROOT, docker
from tests.testbed.hosts import Host

pytestmark = pytest.mark.long
ENTRY = re.compile(r"^\| (\w+) \| (\w+) \| `([\w-]+)` \|", re.MULTILINE)


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    return Playbook(tmp_path, "updates,https,permissions,sessions,headers,uploads")


def explained(judge: str, web: str) -> set[str]:
    """The findings that tests/judges/README.md explains."""
    text = (ROOT / "tests/judges/README.md").read_text()
    return {finding for who, where, finding in ENTRY.findall(text) if who == judge and where in (web, "both")}


def test_testssl_finds_nothing_above_low(hardened: Host) -> None:
    image = images.layer("testssl", images.base("trixie"), images.APT.format(packages="testssl.sh"))
    observer = "testssl --quiet --color 0 --warnings off --add-ca /ca.pem --severity MEDIUM --jsonfile /out.json"
    output = docker(
        *("run", "--rm", f"--label={LABEL}", f"--network={hardened.network}"),
        *(f"--volume={authority.certificate()}:/ca.pem:ro", image),
        *("sh", "-c", f"{observer} https://{hardened.domain} >/out.txt 2>&1; cat /out.json || cat /out.txt >&2"),
    ).stdout
    found = {one["id"]: one["finding"] for one in json.loads(output)}
    assert "cert_revocation" in found, f"it checked no certificate: {output}"
    # It may close before the ticket of TLS 1.3 comes, and then reports this. With or without tickets is no finding.
    if found.get("sessionresumption_ticket") == "check failed because of connect problem":
        del found["sessionresumption_ticket"]
    assert found.keys() == explained("testssl", hardened.web), found


def test_lynis_finds_nothing_about_the_web_server(hardened: Host) -> None:
    hardened.run("apt-get -q update && apt-get -q -y --no-install-recommends install lynis")
    hardened.run("lynis audit system --tests-from-group webservers --quick --no-colors --quiet")
    report = hardened.get("/var/log/lynis-report.dat")
    ran = re.search(r"^tests_executed=(.*)$", report, re.MULTILINE)
    assert ran and "HTTP-" in ran[1]
    found = dict(re.findall(r"^(?:warning|suggestion)\[\]=(HTTP-\d+)\|(.*)$", report, re.M))
    assert found.keys() == explained("lynis", hardened.web), found


@pytest.mark.cells("trixie-nginx")
def test_gixy_finds_nothing_in_our_files(hardened: Host) -> None:
    dump = hardened.run("nginx -T").stdout
    judge = [str(ROOT / "bin/env"), "--judges", "gixy", "--format", "json", "-"]
    done = subprocess.run(judge, input=dump, capture_output=True, text=True, timeout=300)
    output = json.loads(done.stdout)
    assert output, done.stderr  # the distribution's own file is never without one
    ours = [one for one in output if "chamilo" in Path(one["file"] or "").name or "/chamilo-" in (one["file"] or "")]
    found = {one["plugin"]: f"{one['file']}:{one['line']} {one['reason']}" for one in ours}
    assert found.keys() == explained("gixy", hardened.web), found
