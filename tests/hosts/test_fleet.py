"""What runs the playbooks for others: ansible-runner, ansible-navigator, ansible-pull, and an execution environment.

In the place of AWX stands ansible-runner, with which AWX runs its jobs: each has a directory of its own, and AWX's
variables in its environment. In the place of Docker Hub's Debian 13 stands the testbed's own, and a directory of this
machine in that of a volume.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.hosts.hardening import CERTIFICATE, SPARED
from tests.playbook import RECAP
from tests.testbed import images
from tests.testbed.engine import LABEL, ROOT, docker
from tests.testbed.hosts import Host
from tests.tools.checkout import copy_checkout

FLEET = (str(ROOT / "bin/env"), "--fleet")
RECIPE = re.search(
    r"(?:^    .*\n)*^    version: 3\n(?:^    .*\n)+", (ROOT / "docs/recipes.md").read_text(), re.MULTILINE
)
PULLED = "- import_playbook: chamilo.hardening.harden\n- import_playbook: chamilo.hardening.audit\n"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def run(*command: str, cwd: Path, code: int = 0, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=1500, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == code, output
    return output


@dataclass
class Fleet:
    """Hosts, and the directory that is there for each job, as a mount is."""

    directory: Path
    hosts: dict[str, Host]

    def kept(self, name: str) -> str:
        return str(self.directory / name)

    def inventory(self, path: Path, **variables: Any) -> str:
        """The README's."""
        names = {name: host.inventory() for name, host in self.hosts.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump({"chamilo": {"hosts": names, "vars": {**CERTIFICATE, **SPARED, **variables}}}))
        return str(path)

    def job(
        self, number: int, playbook: str, *options: str, code: int = 0, **variables: Any
    ) -> tuple[str, dict[str, Any]]:
        """What a playbook prints, and its artifacts; by ansible-runner, in a directory that is gone afterwards."""
        place = self.directory.parent / f"job{number}"
        self.inventory(place / "inventory/hosts.yml", **variables)
        (place / "project").mkdir()
        command = [*FLEET, "ansible-runner", "run", str(place), "--playbook", f"chamilo.hardening.{playbook}"]
        output = run(*command, "--ident=one", f"--cmdline={shlex.join(options)}", cwd=place, code=code, AWX_JOB_ID="7")
        events = [json.loads(path.read_text()) for path in (place / "artifacts/one/job_events").glob("*.json")]
        (stats,) = (event["event_data"] for event in events if event["event"] == "playbook_on_stats")
        shutil.rmtree(place)
        return output, stats["artifact_data"]


@pytest.fixture
def fleet(make: Callable[..., Host], tmp_path: Path) -> Fleet:
    (tmp_path / "kept").mkdir()
    hosts = [make(name, ssh=True) for name in ("campus", "desk")]
    return Fleet(tmp_path / "kept", {host.domain: host for host in hosts})


@pytest.mark.cells("trixie-nginx")
def test_slices_of_a_job_leave_an_artifact_each(fleet: Fleet) -> None:
    for number, name in enumerate(fleet.hosts):
        _output, artifacts = fleet.job(number, "audit", f"--limit={name}")
        assert list(artifacts) == [f"guide_report_{name.replace('.', '_')}"]
        assert all(len(one["fail"]) > 10 for one in artifacts.values())


@pytest.mark.long
@pytest.mark.cells("trixie-nginx")
def test_keys_and_reports_outlive_the_directory_of_a_job(fleet: Fleet) -> None:
    options = ("--limit=campus.test", "--tags=backups")
    output, _artifacts = fleet.job(1, "harden", *options, code=2)
    assert "set chamilo_backups_key_folder to the absolute path" in " ".join(output.split())
    given = {"chamilo_backups_key_folder": fleet.kept("keys"), "chamilo_report_dir": fleet.kept("report")}
    fleet.job(2, "harden", *options, **given)
    (key,) = (fleet.directory / "keys").iterdir()
    known = key.read_text()
    assert known.strip() == fleet.hosts["campus.test"].get("/etc/chamilo-hardening/backups-campus_test.key").strip()
    output, _artifacts = fleet.job(3, "harden", *options, **given)
    assert "changed=0" in output and key.read_text() == known
    for number in (4, 5):
        fleet.job(number, "audit", "--limit=campus.test", **given)
    (host,) = json.loads((fleet.directory / "report/report.json").read_text())["hosts"]
    assert len(list((fleet.directory / "report/history").iterdir())) == 2
    copied = next(control for control in host["controls"] if control["id"] == "backups_encrypted")
    assert copied["status"] == "pass", copied


@pytest.mark.cells("trixie-nginx")
def test_a_navigator_shows_and_keeps_the_audit(fleet: Fleet, tmp_path: Path) -> None:
    inventory = fleet.inventory(tmp_path / "hosts.yml")
    saved = str(tmp_path / "{playbook_name}.json")
    options = (
        "--mode",
        "stdout",
        "--playbook-artifact-save-as",
        saved,
        "--display-color",
        "false",
        "--execution-environment",
        "false",
        "-i",
        inventory,
    )
    place = tmp_path / "elsewhere"
    place.mkdir()
    output = run(*FLEET, "ansible-navigator", "run", "chamilo.hardening.audit", *options, cwd=place)
    assert {host: int(changed) for host, changed in RECAP.findall(output)} == dict.fromkeys(fleet.hosts, 0)
    assert f"Report: {place}/chamilo-report/report.html" in output
    assert json.loads((tmp_path / "audit.json").read_text())["status"] == "successful"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("package")
    source = copy_checkout(directory / "checkout")
    run(*FLEET, "ansible-galaxy", "collection", "build", "--output-path", str(directory), cwd=source)
    (built,) = directory.glob("*.tar.gz")
    return built


@pytest.fixture
def image(package: Path, tmp_path: Path) -> Iterator[str]:
    """The recipe's execution environment, on the testbed's own Debian."""
    definition = yaml.safe_load(textwrap.dedent(RECIPE[0]))
    definition["images"]["base_image"]["name"] = images.base("trixie")
    # How this machine reaches its package index, the image must too.
    definition["additional_build_files"].append({"src": CERTIFICATES, "dest": "machine"})
    definition["additional_build_steps"]["prepend_base"][:0] = [
        f"COPY _build/machine/{Path(CERTIFICATES).name} {CERTIFICATES}",
        *(f"ENV {name}={shlex.quote(value)}" for name, value in os.environ.items() if name.startswith("PIP_")),
    ]
    (tmp_path / "execution-environment.yml").write_text(yaml.safe_dump(definition, sort_keys=False))
    shutil.copy(package, tmp_path / "chamilo-hardening-1.0.0.tar.gz")
    run(*FLEET, "ansible-builder", "create", "--output-filename", "Dockerfile", cwd=tmp_path)
    name = f"{images.REPOSITORY}:environment-{os.getpid()}"
    docker("build", "--network=host", f"--label={LABEL}", f"--tag={name}", str(tmp_path / "context"))
    yield name
    docker("rmi", "--force", name)


@pytest.mark.long
@pytest.mark.cells("trixie-nginx")
def test_an_execution_environment_has_all_that_an_audit_needs(image: str, fleet: Fleet, tmp_path: Path) -> None:
    place = tmp_path / "runner"
    place.mkdir()
    campus = fleet.hosts["campus.test"]
    shutil.copy(str(campus.inventory()["ansible_ssh_private_key_file"]), place / "key")
    fleet.inventory(place / "hosts.yml", ansible_ssh_private_key_file="key")
    tree = yaml.safe_load((place / "hosts.yml").read_text())
    for variables in tree["chamilo"]["hosts"].values():
        del variables["ansible_ssh_private_key_file"]
    (place / "hosts.yml").write_text(yaml.safe_dump(tree))
    options = (f"--network={campus.network}", f"--user={os.getuid()}", f"--volume={place}:/runner")
    output = run(
        "docker",
        "run",
        "--rm",
        *options,
        image,
        "ansible-playbook",
        "chamilo.hardening.audit",
        "-i",
        "hosts.yml",
        cwd=place,
    )
    assert {host: int(changed) for host, changed in RECAP.findall(output)} == dict.fromkeys(fleet.hosts, 0)
    report = json.loads((place / "chamilo-report/report.json").read_text())
    assert all(host["reachable"] and host["summary"]["fail"] > 10 for host in report["hosts"])


@pytest.mark.long
@pytest.mark.cells("trixie-nginx")
def test_hosts_that_pull_find_themselves_in_the_inventory(make: Callable[..., Host], package: Path) -> None:
    """By Debian's own ansible-core. The repository is one of the host's own, which git clones by its address."""
    host = make()
    host.run("apt-get -qq update && apt-get -qq install --no-install-recommends ansible-core git >/dev/null")
    # Docker mounts the file: it cannot be replaced.
    host.run(f"sed 's/\\scampus$/ {host.domain} campus/' /etc/hosts >/tmp/hosts && cat /tmp/hosts >/etc/hosts")
    assert host.run("hostname --fqdn").stdout.strip() == host.domain
    host.run("base64 -d >/root/collection.tar.gz", data=base64.b64encode(package.read_bytes()).decode())
    host.run("ansible-galaxy collection install --offline /root/collection.tar.gz")
    variables = {**CERTIFICATE, **SPARED, "chamilo_headers_csp": "report"}
    portals = {"other.test": {"ansible_host": "192.0.2.1"}, host.domain: {"ansible_host": "server.test"}}

    def push(**more: str) -> None:
        tree = {"chamilo": {"hosts": portals, "vars": {**variables, **more}}}
        host.put("/srv/inventory/hosts.yml", yaml.safe_dump(tree))
        host.put("/srv/inventory/local.yml", PULLED)
        commit = "git -c user.name=admin -c user.email=admin@school.example commit -qm Inventory"
        host.run(f"cd /srv/inventory && git init -q && git add . && {commit}")

    def pull() -> int:
        output = host.run("ansible-pull -U file:///srv/inventory -i hosts.yml -t headers").stdout
        changed = dict(RECAP.findall(output))
        assert list(changed) == [host.domain], output
        return int(changed[host.domain])

    push()
    assert pull() > 0
    assert pull() == 0
    push(chamilo_headers_csp="enforce")
    assert pull() > 0
    assert "content-security-policy" in {name.lower() for name, _value in host.http("/login").headers}
