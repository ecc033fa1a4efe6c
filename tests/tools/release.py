"""Says what is missing for a release, and makes it; see bin/release.

What it makes is a commit. The tag is the maintainer's, who signs it; once
it is pushed the workflow runs all tests and publishes.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.tools import package
from tests.tools.checkout import ROOT

FORM = re.compile(r"(\d+)\.(\d+)\.(\d+)")
# What a release has to be where a fragment of that kind waits.
MAJOR = ("breaking_changes", "removed_features")
MINOR = ("major_changes", "minor_changes", "deprecated_features")
DAYS = 30  # how old the list of vulnerabilities may be


def number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def released(root: Path) -> list[str]:
    """The versions that were released, oldest first."""
    return sorted(yaml.safe_load((root / "changelogs/changelog.yaml").read_text())["releases"], key=number)


def fragments(root: Path) -> dict[str, dict[str, Any]]:
    return {
        path.name: yaml.safe_load(path.read_text()) for path in sorted((root / "changelogs/fragments").glob("*.yml"))
    }


def added_in(root: Path) -> Iterator[tuple[str, str]]:
    """Each file that says since when something is there, and the version."""
    for path in sorted([*root.glob("plugins/**/*"), *root.glob("roles/*/meta/*.yml")]):
        if path.suffix in (".py", ".yml"):
            for version in re.findall(r"^ *version_added: [\"']?([\d.]+)", path.read_text(), re.MULTILINE):
                yield str(path.relative_to(root)), version


def least(before: str, kinds: set[str]) -> str:
    """The lowest version that may come after one, by what changed."""
    major, minor, patch = number(before)
    if kinds & set(MAJOR):
        return f"{major + 1}.0.0"
    return f"{major}.{minor + 1}.0" if kinds & set(MINOR) else f"{major}.{minor}.{patch + 1}"


def missing(root: Path, version: str, today: datetime.date) -> Iterator[str]:
    """What a release of this version lacks, of that which the files show."""
    before = released(root)[-1]
    waiting = fragments(root)
    kinds = {kind for content in waiting.values() for kind in content}
    lowest = least(before, kinds)
    if number(version) < number(lowest):
        yield f"version: {version} comes after {before} with {', '.join(sorted(kinds))}: at least {lowest}"
    if not waiting:
        yield "changelogs/fragments: no fragment, so nothing is to be released"
    if "release_summary" not in kinds:
        yield "changelogs/fragments: no release_summary, which says in a few sentences for whom what changes"
    known = {*released(root), version}
    for path, since in sorted(set(added_in(root))):
        if since not in known:
            yield f"{path}: version_added is {since}, which was not released and is not {version}"
    upgrade = root / "docs/upgrade.md"
    if kinds & set(MAJOR) and (not upgrade.exists() or f"## From {before} to {version}" not in upgrade.read_text()):
        yield f'docs/upgrade.md: no section "From {before} to {version}"'
    dated = datetime.date.fromisoformat(json.loads((root / "meta/advisories.json").read_text())["dated"])
    if (today - dated).days > DAYS:
        yield f"meta/advisories.json: of {dated}; bin/env python -m tests.tools.advisories reads what came since"


def unpushed() -> Iterator[str]:
    """What of this clone is not what others have."""
    if changed := output("git", "status", "--porcelain"):
        yield f"git: not committed: {', '.join(line[3:] for line in changed.splitlines()[:5])}"
    upstream = subprocess.run(["git", "rev-parse", "@{upstream}"], cwd=ROOT, capture_output=True, text=True)
    if upstream.returncode or upstream.stdout != output("git", "rev-parse", "HEAD"):
        yield "git: this commit is not the newest one of its upstream branch, as last fetched"


def output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def make(version: str, before: str) -> None:
    """Version, changelog and examples of that release, in one commit."""
    galaxy = ROOT / "galaxy.yml"
    galaxy.write_text(re.sub(r"(?m)^version: .*", f"version: {version}", galaxy.read_text()))
    for page in (ROOT / "docs").glob("*.md"):
        text = page.read_text()
        page.write_text(text.replace(f"chamilo-hardening-{before}.tar.gz", f"chamilo-hardening-{version}.tar.gz"))
    subprocess.run(["antsibull-changelog", "release", "--version", version], cwd=ROOT, check=True)
    # What is recorded of a run has the version in it. What else differs is in the commit, for a review.
    recorded = [sys.executable, "-m", "pytest", "-q", "tests/unit/test_rendering.py"]
    subprocess.run(recorded, cwd=ROOT, env={**os.environ, "UPDATE": "1"}, check=True)
    subprocess.run(["git", "add", "--all"], cwd=ROOT, check=True)
    subprocess.run(["git", "commit", "--quiet", "--message", f"Release {version}"], cwd=ROOT, check=True)


def build(target: Path) -> Path:
    """The package of this commit, and the same again in a clone of its own."""
    made = package.build(target)
    with tempfile.TemporaryDirectory() as directory:
        clone = Path(directory) / "clone"
        subprocess.run(["git", "-c", "safe.directory=*", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        command = [sys.executable, "-m", "tests.tools.package", directory]
        subprocess.run(command, cwd=clone, check=True, env={**os.environ, "PYTHONPATH": str(clone)})
        if (Path(directory) / made.name).read_bytes() != made.read_bytes():
            sys.exit(f"bin/release: two builds of {made.name} differ.")
    checksum = f"{hashlib.sha256(made.read_bytes()).hexdigest()}  {made.name}\n"
    (target / "SHA256SUMS").write_text(checksum)
    print(checksum, end="")
    return made


def main() -> None:
    parser = argparse.ArgumentParser(prog="bin/release", description="Says what is missing for a release, or makes it.")
    parser.add_argument("version", nargs="?", metavar="X.Y.Z")
    parser.add_argument("--make", action="store_true", help="make it where nothing is missing")
    parser.add_argument("--package", type=Path, metavar="DIR", help="build the package twice, compare, add SHA256SUMS")
    args = parser.parse_args()
    if args.package:
        build(args.package)
        return
    if not FORM.fullmatch(args.version or ""):
        parser.error("which version? X.Y.Z")
    left = [*missing(ROOT, args.version, datetime.date.today()), *unpushed()]
    lint = subprocess.run(["antsibull-changelog", "lint"], cwd=ROOT, capture_output=True, text=True)
    left += lint.stdout.splitlines() if lint.returncode else []
    if left:
        sys.exit("\n".join([f"Missing for {args.version}:", *(f"- {one}" for one in left)]))
    print(f"Nothing is missing for {args.version}, of what can be seen here. The workflow runs all tests on its tag.")
    if args.make:
        make(args.version, released(ROOT)[-1])
        build(ROOT / "dist")
        print(f"Next: bin/test, then git tag --sign v{args.version} --message v{args.version}, git push --follow-tags")


if __name__ == "__main__":
    main()
