"""The package is the same wherever and whenever it is built."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path, PurePath

import pytest
import yaml

from tests.tools.checkout import ROOT, copy_checkout, listed
from tests.tools.package import normalised

# What a user gets: each file of the checkout that matches.
SHIPPED = {
    ".": "CHANGELOG.md CODE_OF_CONDUCT.md CONTRIBUTING.md LICENSE README.md SECURITY.md",
    "changelogs": "changelogs/changelog.yaml changelogs/config.yaml",
    "docs": "*.md",
    "meta": "meta/*.txt meta/*.yml meta/*.json",
    "playbooks": "*.py *.yml",
    "plugins": "*.j2 *.json *.py *.yml",
    "roles": "*.conf *.j2 *.md *.php *.yml",
}
# What may lie in a contributor's clone, and belongs in no package.
STRAY = (
    ".cache/main/bin/python",
    ".env",
    "changelogs/.plugin-cache.yaml",
    "chamilo-keys/campus.test",
    "chamilo-report/report.html",
    "dist/chamilo-hardening-0.9.0.tar.gz",
    "plugins/modules/.host_program.py.swp",
    "plugins/modules/__pycache__/host_program.pyc",
    "tests/output/junit/x.xml",
)


def archive(names: list[str], when: int, owner: str, mode: int) -> bytes:
    """As ansible-galaxy writes it: lists and entries in the order of these names."""
    files = json.dumps({"files": [{"name": name} for name in names]}).encode()
    manifest = {"file_manifest_file": {"chksum_sha256": hashlib.sha256(files).hexdigest()}}
    content = {"FILES.json": files, "MANIFEST.json": json.dumps(manifest).encode()}
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as target:
        for name in (*content, *names):
            entry = tarfile.TarInfo(name)
            entry.mtime, entry.uname, entry.uid, entry.mode = when, owner, when % 1000, mode
            if name.endswith(".d"):
                entry.type = tarfile.DIRTYPE
                target.addfile(entry)
            else:
                text = content.get(name, name.encode())
                entry.size = len(text)
                target.addfile(entry, io.BytesIO(text))
    return written.getvalue()


def test_two_builds_are_the_same_bytes() -> None:
    one = normalised(archive(["z", "plugins.d", "a"], 1_000_000, "ada", 0o664), 5)
    two = normalised(archive(["a", "z", "plugins.d"], 2_000_000, "root", 0o644), 5)
    assert one == two
    with tarfile.open(fileobj=io.BytesIO(one)) as made:
        assert [(each.name, each.mtime, each.mode, each.uname) for each in made] == [
            ("FILES.json", 5, 0o644, "root"),
            ("MANIFEST.json", 5, 0o644, "root"),
            ("a", 5, 0o644, "root"),
            ("plugins.d", 5, 0o755, "root"),
            ("z", 5, 0o644, "root"),
        ]
        text = {name: file.read() for name in ("FILES.json", "MANIFEST.json", "a") if (file := made.extractfile(name))}
    assert text["a"] == b"a"
    assert [each["name"] for each in json.loads(text["FILES.json"])["files"]] == ["a", "plugins.d", "z"]
    listed = json.loads(text["MANIFEST.json"])["file_manifest_file"]["chksum_sha256"]
    assert listed == hashlib.sha256(text["FILES.json"]).hexdigest()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ansible-core alone installs from a contributor's clone."""
    assert "manifest" not in yaml.safe_load((ROOT / "galaxy.yml").read_text()), "ansible-core needs distlib for it"
    clone = copy_checkout(tmp_path_factory.mktemp("clone") / "checkout")
    for name in STRAY:
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text("stray")
    place = tmp_path_factory.mktemp("installed")
    command = [str(Path(sys.executable).with_name("ansible-galaxy")), "collection", "install", "--offline", "--force"]
    subprocess.run([*command, f"{clone}/", "--collections-path", str(place)], check=True, capture_output=True)
    return place / "ansible_collections/chamilo/hardening"


def test_a_clone_installs_what_is_meant_to_be_shipped(installed: Path) -> None:
    found = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    shipped = set()
    for name in listed("."):
        patterns = SHIPPED.get(name.partition("/")[0] if "/" in name else ".", "").split()
        if any(PurePath(name).match(pattern) for pattern in patterns):
            shipped.add(name)
    assert found - {"FILES.json", "MANIFEST.json"} == shipped


def test_nothing_of_a_kind_that_is_not_known_is_in_a_shipped_directory() -> None:
    left = [
        name
        for name in listed(*(each for each in SHIPPED if each not in (".", "changelogs")))
        if not any(PurePath(name).match(pattern) for pattern in SHIPPED[name.partition("/")[0]].split())
    ]
    assert left == []


REQUIREMENTS = sorted((ROOT / "tests/requirements").glob("*.in"))


def packages(text: str) -> dict[str, str]:
    """Each pinned package (its name as the index writes it) with the lines that belong to it."""
    lines = re.sub(r"^#.*$", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return {re.sub(r"[-_.]+", "-", line.partition(";")[0].split()[0]).lower(): line for line in lines if line.strip()}


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.stem)
def test_each_package_that_is_installed_is_pinned_with_hashes(path: Path) -> None:
    locked = packages(path.with_suffix(".txt").read_text())
    assert [name for name, line in locked.items() if "==" not in name or "--hash=sha256:" not in line] == []
    assert set(packages(path.read_text())) <= set(locked), f"{path.with_suffix('.txt').name} is older than {path.name}"


def test_what_tests_run_with_is_pinned_and_what_else_is_there_has_a_range() -> None:
    assert {path.stem for path in REQUIREMENTS} == {"main", "oldest", "collections"}
    for path in (ROOT / "tests/requirements").glob("*.txt"):
        lines = [line for line in path.read_text().splitlines() if line[:1] not in " #"]
        assert lines and all(re.search("==|~=|>=", line) for line in lines), path.name
