"""The package that is shipped: built, installed without a network, used by its full name far from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hosts.hardening import CERTIFICATE, SPARED, missing_from_the_portal
from tests.playbook import RECAP
from tests.testbed.engine import ROOT
from tests.testbed.hosts import Host
from tests.tools.checkout import copy_checkout


@dataclass(frozen=True)
class Installed:
    """A directory of a user who has nothing but the installed package."""

    directory: Path
    env: dict[str, str]

    def run(self, *command: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            command,
            cwd=cwd or self.directory,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=1500,
        )
        text = done.stdout + done.stderr
        assert done.returncode == 0, text
        assert "[WARNING]" not in text, text
        assert "[DEPRECATION" not in text, text
        return done.stdout

    def play(self, name: str, host: Host, *options: str) -> int:
        """How many tasks of a playbook of the collection changed something."""
        inventory = self.directory / "hosts.yml"
        variables = {**CERTIFICATE, **SPARED, "chamilo_backups_key_folder": str(self.directory / "keys")}
        hosts = {host.domain: {**host.inventory(), **variables}}
        inventory.write_text(json.dumps({"chamilo": {"hosts": hosts}}))
        output = self.run("ansible-playbook", f"chamilo.hardening.{name}", "-i", str(inventory), *options)
        return {host: int(count) for host, count in RECAP.findall(output)}[host.domain]

    def report(self) -> dict[str, int]:
        (host,) = json.loads((self.directory / "chamilo-report/report.json").read_text())["hosts"]
        assert host["reachable"]
        summary: dict[str, int] = host["summary"]
        return summary


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("package")
    source = copy_checkout(tmp_path_factory.mktemp("source") / "checkout")
    Installed(directory, dict(os.environ)).run(
        "ansible-galaxy", "collection", "build", "--output-path", str(directory), cwd=source
    )
    (built,) = directory.glob("chamilo-hardening-*.tar.gz")
    return built


@pytest.fixture(scope="module")
def install(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Installed]:
    """A function that installs the package for a user, whose programs come first in ``PATH``."""

    def at(programs: str = "") -> Installed:
        directory = tmp_path_factory.mktemp("controller")
        # The way into the testbed's containers, and nothing else of what bin/env has: the package needs no other
        # collection for a portal whose database is on its own host.
        (directory / "docker/ansible_collections").mkdir(parents=True)
        (directory / "docker/ansible_collections/community").symlink_to(
            ROOT / ".cache/collections/ansible_collections/community"
        )
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON"))}
        env = {
            **keep,
            "ANSIBLE_COLLECTIONS_PATH": f"{directory}/collections:{directory}/docker",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
            "PATH": f"{programs}:{keep['PATH']}".removeprefix(":"),
        }
        user = Installed(directory, env)
        # Without a network.
        command = ("ansible-galaxy", "collection", "install", "--offline", "-p", "collections", str(package))
        user.run("unshare", "--net", *command)
        return user

    return at


@pytest.fixture(scope="module")
def installed(install: Callable[..., Installed]) -> Installed:
    return install()


@pytest.mark.cells("trixie-nginx")
def test_audit_and_dry_run_by_full_name(installed: Installed, shared: Host) -> None:
    assert installed.play("audit", shared) == 0
    assert (installed.directory / "chamilo-report/report.html").is_file()
    assert installed.report()["fail"] > 10
    assert installed.play("harden", shared, "--check", "--tags", "https,permissions,headers,database") > 5


def test_no_other_collection_is_needed_or_there(installed: Installed) -> None:
    found = json.loads(installed.run("ansible-galaxy", "collection", "list", "--format", "json"))
    assert {name for content in found.values() for name in content if not name.startswith("community.")} == {
        "chamilo.hardening"
    }


def test_every_section_is_documented_as_a_role(installed: Installed) -> None:
    roles = json.loads(installed.run("ansible-doc", "-t", "role", "--list", "--json", "chamilo.hardening"))
    assert {"chamilo.hardening.https", "chamilo.hardening.headers"} <= set(roles)


def test_nothing_but_the_collection_is_shipped(installed: Installed) -> None:
    found = json.loads(installed.run("ansible-galaxy", "collection", "list", "--format", "json", "chamilo.hardening"))
    (directory,) = (Path(directory) for directory, content in found.items() if "chamilo.hardening" in content)
    shipped = {path.name for path in (directory / "chamilo/hardening").iterdir()}
    allowed = set(
        "CHANGELOG.md CODE_OF_CONDUCT.md CONTRIBUTING.md FILES.json LICENSE MANIFEST.json README.md SECURITY.md".split()
    )
    assert shipped <= allowed | {"changelogs", "docs", "meta", "playbooks", "plugins", "roles"}


@pytest.mark.long
@pytest.mark.cells("trixie-nginx")
def test_all_of_it_with_the_oldest_ansible_that_is_promised(install: Callable[..., Installed], fresh: Host) -> None:
    where = [str(ROOT / "bin/env"), "--oldest", "sh", "-c", 'echo "$VIRTUAL_ENV/bin"']
    user = install(subprocess.run(where, check=True, stdout=subprocess.PIPE, text=True, timeout=300).stdout.strip())
    assert user.run("ansible-playbook", "--version").startswith("ansible-playbook [core 2.19.")
    assert user.play("audit", fresh) == 0
    red = user.report()["fail"]
    assert user.play("harden", fresh, "--check") > 10
    assert user.play("harden", fresh) > 10
    assert user.play("harden", fresh) == 0
    assert missing_from_the_portal(fresh, "https") == []
    assert user.play("audit", fresh) == 0
    assert user.report()["fail"] < red / 2
