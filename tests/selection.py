"""Which tests a change needs: by the sections whose files it touches, and those built upon them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECTIONS = (
    "updates https permissions passwords brute_force sessions headers uploads database backups monitoring".split()
)
# The tests on hosts of each section (tests/hosts/test_NAME.py).
OF_SECTION = {
    "updates": "update updates window",
    "https": "access_rules certbot hsts https portals vhosts vhosts_nginx",
    "permissions": "access_rules chamilo_env intruder permissions window",
    "passwords": "passwords settings",
    "brute_force": "brute_force fail2ban_filter forecast proxy",
    "sessions": "proxy sessions",
    "headers": "browser headers",
    "uploads": "access_rules settings uploads",
    "database": "database",
    "backups": "backups window",
    "monitoring": "intruder monitoring",
}
# Those that see nothing of one section: they run when something common changed. What is in neither table always runs.
COMMON = set("application audit_data judges package preflight prove school secrets taking_back testbed".split())
COMMON |= {"transaction", "waivers"}
# What tests on hosts cannot notice; bin/test --fast checks it, and runs anyway.
NO_HOST = re.compile(r"(tests/(unit|bench|mutation|judges|tools)|docs|changelogs)/|[^/]+\.md$|roles/\w+/README\.md$")
OF_PATH = (
    re.compile(r"(?:roles|molecule)/(\w+)/"),
    re.compile(r"(?:plugins/module_utils/_(?:audit|attacks)|tests/attacks)/(\w+)\.py$"),
    re.compile(r"plugins/module_utils/_(\w+)/"),
)
IMPORT = re.compile(r"^ *from ansible_collections\.chamilo\.hardening\.plugins\.module_utils\._(\w+)", re.MULTILINE)


def importers(package: str) -> set[str]:
    """The sections whose engines import this package of engines, directly or not; its own section too."""
    engines = ROOT / "plugins/module_utils"
    uses = {
        section: set(IMPORT.findall("\n".join(file.read_text() for file in engines.glob(f"_{section}/*.py"))))
        for section in SECTIONS
    }
    found = {package}
    while more := {section for section, used in uses.items() if used & found} - found:
        found |= more
    return found & set(SECTIONS)


def sections_of(paths: Iterable[str]) -> tuple[set[str], set[str]] | None:
    """The sections that these changed files belong to, and test files of hosts among them. None: everything."""
    sections: set[str] = set()
    stems: set[str] = set()
    for path in paths:
        if NO_HOST.match(path):
            continue
        if own := re.fullmatch(r"tests/hosts/test_(\w+)\.py", path):
            stems.add(own[1])
            continue
        section = next((found[1] for pattern in OF_PATH if (found := pattern.match(path))), "")
        if section not in SECTIONS:
            return None
        sections |= importers(section)
    return sections, stems


def host_stems() -> set[str]:
    return {file.stem.removeprefix("test_") for file in (ROOT / "tests/hosts").glob("test_*.py")}


def stems_of(sections: set[str], stems: set[str]) -> set[str]:
    """The tests on hosts that these sections need, beside those that changed themselves."""
    if not sections:
        return stems
    others = {stem for section in set(SECTIONS) - sections for stem in OF_SECTION[section].split()}
    found = {stem for section in sections for stem in OF_SECTION[section].split()}
    return found | stems | (host_stems() - others - COMMON)


def changed_since(base: str) -> list[str]:
    """The files of the checkout that differ from where this branch left the base, uncommitted ones included."""
    git = ["git", "-c", "safe.directory=*"]

    def ask(*words: str) -> list[str]:
        done = subprocess.run([*git, *words], cwd=ROOT, check=True, capture_output=True, text=True)
        return done.stdout.splitlines()

    (fork,) = ask("merge-base", base, "HEAD")
    return [*ask("diff", "--name-only", "--no-renames", fork), *ask("ls-files", "--others", "--exclude-standard")]
