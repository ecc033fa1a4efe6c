# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What applies to every module and plugin."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args

from ansible_collections.chamilo.hardening.plugins.module_utils._common import request

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "plugins" / "modules").glob("*.py"))
SOURCES = sorted((ROOT / "plugins").rglob("*.py"))
CALLBACKS = sorted((ROOT / "playbooks" / "callback_plugins").glob("*.py"))
TESTS = ROOT / "tests" / "unit" / "plugins"
# REUSE-IgnoreStart
HEADER = [
    "# Copyright (c) 2026, the chamilo.hardening maintainers",
    "# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)",
    "# SPDX-License-Identifier: GPL-3.0-or-later",
]
# REUSE-IgnoreEnd

# What a secret is called. An option of such a name that is none declares it: no_log is False.
SECRET = re.compile(r"pass|secret|token|webhook|credential|private|dsn|(?:^|_)(?:key|salt|fingerprint)$")
# Several lines, and what repr() writes differently: the line a module logs of itself masks no such text in a list.
CANARY = "canary\n'\"\\é"


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
    assert "chamilo.hardening.attributes.python" in documentation["extends_documentation_fragment"]
    assert documentation["short_description"] and documentation["description"]
    internal = "Internal to the collection" in found["DOCUMENTATION"]
    examples = yaml.safe_load(found["EXAMPLES"])
    assert internal or any(f"chamilo.hardening.{path.stem}" in example for example in examples)
    assert isinstance(yaml.safe_load(found["RETURN"]), dict)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_documentation_of_a_module_comes_before_what_it_imports(path: Path) -> None:
    future, documentation = ast.parse(path.read_text(encoding="utf-8")).body[:2]
    assert isinstance(future, ast.ImportFrom) and future.module == "__future__"
    assert isinstance(documentation, ast.Assign), ast.unparse(documentation)


def test_the_action_group_contains_every_module() -> None:
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert runtime["action_groups"]["all"] == [path.stem for path in MODULES]


@pytest.mark.parametrize("path", [*SOURCES, *CALLBACKS], ids=lambda path: str(path.relative_to(ROOT)))
def test_sources_report_whose_they_are_and_under_which_licence(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    if path.name == "__init__.py":
        assert lines == []
        return
    if lines[0].startswith("#!"):
        lines = lines[1:]
    assert lines[:3] == HEADER


def test_every_function_is_called_from_somewhere() -> None:
    """But those that a decorator registers, and methods, which others may call by their name."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in [*SOURCES, *CALLBACKS]]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    used |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    kinds = (ast.FunctionDef, ast.ClassDef)
    made = [node for tree in trees for node in tree.body if isinstance(node, kinds) and not node.decorator_list]
    loaded = {"ActionModule", "CallbackModule", "FilterModule", "LookupModule", "ModuleDocFragment"}  # by Ansible
    assert [node.name for node in made if node.name not in used | loaded] == []


def test_every_role_and_every_module_for_users_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    roles = [f"[{path.name}](../roles/{path.name}/README.md)" for path in (ROOT / "roles").iterdir()]
    assert [name for name in roles if name not in text] == []
    internal = {path.stem for path in MODULES if "Internal to the collection" in path.read_text(encoding="utf-8")}
    assert len(internal) > 10
    table = text[text.index("## Modules") : text.index("## Variables")]
    assert {path.stem for path in MODULES} - internal == set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


class Logged(Exception):
    """A module has logged its call; its work does not begin."""


def called(path: Path) -> tuple[dict[str, Any], str]:
    """The options of a module, and the line it logs of itself when each has a value, and a secret a test value."""
    known: dict[str, Any] = {}
    lines: list[str] = []
    module = importlib.import_module(f"ansible_collections.chamilo.hardening.plugins.modules.{path.stem}")
    begin = basic.AnsibleModule.__init__

    def init(self: basic.AnsibleModule, argument_spec: dict[str, Any], **more: Any) -> None:
        known.update(argument_spec)
        with patch_module_args(filled(argument_spec)):
            begin(self, argument_spec, **more)
        raise Logged

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(basic, "has_journal", False)
        patch.setattr(basic.AnsibleModule, "_log_to_syslog", lambda self, line: lines.append(line))
        patch.setattr(basic.AnsibleModule, "__init__", init)
        with pytest.raises(Logged):
            module.main()
    return known, "".join(lines)


def options(spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, option in spec.items():
        yield name, option
        yield from options(option.get("options") or {})


def filled(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value(option) for name, option in spec.items()}


def value(option: Mapping[str, Any]) -> Any:
    kind = option.get("type", "str")
    if option.get("options"):
        return [filled(option["options"])] if kind == "list" else filled(option["options"])
    text = CANARY if option.get("no_log") else str((option.get("choices") or ["1"])[0])
    of: dict[str, Any] = {"dict": {"name": text}, "list": [text]}
    return [of.get(option.get("elements", "str"), text)] if kind == "list" else of.get(kind, text)


@pytest.mark.parametrize(
    "path", [path for path in MODULES if "def main" in path.read_text()], ids=lambda path: path.stem
)
def test_no_module_logs_a_secret_however_it_is_called(path: Path) -> None:
    known, line = called(path)
    assert "canary" not in line
    within = [name for name, option in options(known) if option.get("no_log") and option is not known.get(name)]
    assert bool(line) != bool(within), "a call with a secret within another option is refused, and nothing is logged"
    unsaid = [name for name, option in options(known) if SECRET.search(name) and "no_log" not in option]
    assert unsaid == []


@pytest.mark.parametrize(
    "path", [path for path in MODULES if "run(AnsibleModule" in path.read_text()], ids=lambda path: path.stem
)
def test_no_internal_module_shows_a_secret_of_its_request(path: Path) -> None:
    """Its action plugin hands them over in an option of their own, and it refuses them elsewhere."""
    module = importlib.import_module(f"ansible_collections.chamilo.hardening.plugins.modules.{path.stem}")
    specification = request.specification(module.Request)
    unsaid = [name for name, option in options(specification) if SECRET.search(name) and "no_log" not in option]
    assert unsaid == []
    secrets = {name for name, option in specification.items() if option.get("no_log")}
    documented = "chamilo.hardening.internal.secrets" in path.read_text(encoding="utf-8")
    assert bool(secrets) == documented == ("secrets" in request.options(module.Request))
    within = [name for name, option in options(specification) if option.get("no_log") and name not in secrets]
    assert within == [], "of what is nested ansible-core would mask nothing"
