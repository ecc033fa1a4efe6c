"""The package that is shipped: built, installed without a network, used by its full name far from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.testbed.engine import ROOT
from tests.testbed.hosts import Host

pytestmark = pytest.mark.long

Command = Callable[..., str]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """A function that runs a command where only the installed package is to be found."""
    folder = tmp_path_factory.mktemp("controller")
    keep = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON"))}
    # The dependencies come from bin/env; the collection itself only from the package.
    paths = f"{folder}/collections:{ROOT}/.cache/collections"
    env = {**keep, "ANSIBLE_COLLECTIONS_PATH": paths, "ANSIBLE_NOCOLOR": "1"}

    def run(*command: str, cwd: Path = folder) -> str:
        done = subprocess.run(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
        )
        text = done.stdout + done.stderr
        assert done.returncode == 0, text
        assert "[WARNING]" not in text, text
        assert "[DEPRECATION" not in text, text
        return done.stdout

    run("ansible-galaxy", "collection", "build", "--output-path", str(folder), cwd=ROOT)
    (package,) = folder.glob("chamilo-hardening-*.tar.gz")
    run("ansible-galaxy", "collection", "install", "--offline", "--no-deps", "-p", "collections", str(package))
    return run


@pytest.mark.cells("trixie-nginx")
def test_audit_and_dry_run_by_full_name(installed: Command, shared: Host, tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(json.dumps({"chamilo": {"hosts": {shared.domain: shared.inventory()}}}))
    report = tmp_path / "report"
    installed("ansible-playbook", "chamilo.hardening.audit", "-i", str(inventory), "-e", f"chamilo_report_dir={report}")
    assert (report / "report.html").is_file()
    (host,) = json.loads((report / "report.json").read_text())["hosts"]
    assert host["reachable"]
    assert host["summary"]["fail"] > 10
    certificate = "chamilo_https_certificate=self_signed"
    installed("ansible-playbook", "chamilo.hardening.harden", "-i", str(inventory), "--check", "-e", certificate)


def test_every_section_is_documented_as_a_role(installed: Command) -> None:
    roles = json.loads(installed("ansible-doc", "-t", "role", "--list", "--json", "chamilo.hardening"))
    assert {"chamilo.hardening.https", "chamilo.hardening.headers"} <= set(roles)


def test_nothing_but_the_collection_is_shipped(installed: Command) -> None:
    found = json.loads(installed("ansible-galaxy", "collection", "list", "--format", "json", "chamilo.hardening"))
    (folder,) = (Path(folder) for folder, content in found.items() if "chamilo.hardening" in content)
    shipped = {path.name for path in (folder / "chamilo/hardening").iterdir()}
    allowed = set("CHANGELOG.md CONTRIBUTING.md FILES.json LICENSE MANIFEST.json README.md".split())
    assert shipped <= allowed | {"changelogs", "docs", "meta", "playbooks", "plugins", "roles"}
