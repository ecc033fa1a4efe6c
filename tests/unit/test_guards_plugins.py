# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every module and plugin."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "plugins" / "modules").glob("*.py"))
SOURCES = sorted((ROOT / "plugins").rglob("*.py"))
TESTS = ROOT / "tests" / "unit" / "plugins"
HEADER = [
    "# Copyright (c) 2026, the chamilo.hardening maintainers",
    "# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)",
    "# SPDX-License-Identifier: GPL-3.0-or-later",
]


def texts(path: Path) -> dict[str, str]:
    """The documentation of a module: its constants that are texts."""
    return {
        node.targets[0].id: node.value.value
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_module_is_documented_with_examples_that_parse(path: Path) -> None:
    found = texts(path)
    documentation = yaml.safe_load(found["DOCUMENTATION"])
    assert documentation["module"] == path.stem
    assert documentation["short_description"] and documentation["description"]
    examples = yaml.safe_load(found["EXAMPLES"])
    assert any(f"chamilo.hardening.{path.stem}" in example for example in examples)
    assert isinstance(yaml.safe_load(found["RETURN"]), dict)


def test_every_file_has_unit_tests_in_the_same_place() -> None:
    """But texts for documentation, and modules whose work is that of the action plugin of their name."""
    left = {"doc_fragments/attributes.py", "modules/guide_preflight.py", "modules/guide_report.py"}
    files = {path.relative_to(ROOT / "plugins") for path in SOURCES if path.name != "__init__.py"}
    assert left <= set(map(str, files))
    missing = {str(path) for path in files if not (TESTS / path.with_name(f"test_{path.name}")).exists()}
    assert missing - left == set()


def test_the_action_group_holds_every_module() -> None:
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert runtime["action_groups"]["all"] == [path.stem for path in MODULES]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_sources_say_whose_they_are_and_under_which_licence(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    if path.name == "__init__.py":
        assert lines == []
        return
    if lines[0].startswith("#!"):
        lines = lines[1:]
    assert lines[:3] == HEADER
    if path.parent.name in ("module_utils", "plugin_utils", "_audit", "_attacks"):
        assert lines[3] == "# Private to this collection: it can change at any time."


@pytest.mark.parametrize("folder", ["plugins", "playbooks", "roles", "meta"])
def test_everything_is_shipped(folder: str) -> None:
    """The manifest of galaxy.yml is an allow-list: a file of a new kind would be missing on the user's machine."""
    directives = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["manifest"]["directives"]
    patterns = [word for line in directives if f" {folder}" in line for word in line.split()[1:] if word != folder]
    files = [path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert files
    left = [path for path in files if not any(path.match(pattern) for pattern in patterns)]
    assert [str(path.relative_to(ROOT)) for path in left] == []


def test_every_module_and_role_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    roles = [f"[{path.name}](../roles/{path.name}/README.md)" for path in (ROOT / "roles").iterdir()]
    missing = [name for name in [*(f"`{path.stem}`" for path in MODULES), *roles] if name not in text]
    assert missing == []


def test_links_of_the_documentation_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("roles/*/README.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+)[)#]", page.read_text("utf-8"))]
    assert links
    assert [(str(page), link) for page, link in links if not (page.parent / link).exists()] == []
