# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of controls against everything that is derived from it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import tests.attacks
from ansible_collections.chamilo.hardening.plugins.module_utils import _attacks, _audit
from ansible_collections.chamilo.hardening.plugins.module_utils._application import declared
from ansible_collections.chamilo.hardening.plugins.module_utils._common import control as common_control
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls, _preflight
from tests.tools import controls_table

ROOT = Path(__file__).resolve().parents[2]
TABLE = _controls.load()
SECTIONS = [section.id for section in TABLE.sections]


def load_all(package: Any) -> set[str]:
    """Import every module of the package, which registers what is in it. The names of the modules."""
    names = {module.name for module in pkgutil.iter_modules(package.__path__)}
    for name in sorted(names):
        importlib.import_module(f"{package.__name__}.{name}")
    return names


CHECK_FILES = load_all(_audit)
OURS = ("ansible_collections.chamilo.", "tests.attacks.")
# Where the attacks of each kind are: what is harmless anywhere is shipped, the others are the tests' own.
PLACES = {"prove": _attacks, "testbed": tests.attacks}
VANTAGE = ("wire", "web_user", "local_user", "database")
ATTACK_FILES = {where: load_all(package) for where, package in PLACES.items()}


def section_of(function: Any) -> str:
    return str(function.__module__).rpartition(".")[2]


def playbook(name: str) -> list[dict[str, Any]]:
    plays: list[dict[str, Any]] = yaml.safe_load((ROOT / "playbooks" / f"{name}.yml").read_text(encoding="utf-8"))
    return plays


def test_the_sections_are_those_of_the_guide_in_its_order() -> None:
    assert SECTIONS == (
        "updates https permissions passwords brute_force sessions headers uploads database backups monitoring".split()
    )


@pytest.mark.parametrize("control", TABLE.controls, ids=lambda control: control.id)
def test_a_control_is_whole(control: _controls.Control) -> None:
    attack, fixer = control.attack, control.fixer
    assert control.section in SECTIONS and control.id.startswith(f"{control.section}_")
    assert control.level in _controls.LEVELS
    assert control.critical in (True, False)
    assert bool(attack.none) != (attack.where in PLACES and attack.vantage in VANTAGE)
    assert bool(fixer.none) != bool(fixer.role)
    texts = [control.title, control.guide, control.why, control.note, control.unchecked, attack.none, fixer.none]
    texts += [*fixer.variables, *(text for pair in fixer.needs.items() for text in pair)]
    assert all(isinstance(text, str) and text == text.strip() for text in texts)
    assert control.title and control.guide and control.why


def test_the_table_has_each_control_once_in_the_order_of_the_sections() -> None:
    written = re.findall(r"^  - id: (\w+)$", (ROOT / "meta/controls.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert [control.id for control in TABLE.controls] == list(dict.fromkeys(written)) == written
    assert len(written) > 60
    sections = [SECTIONS.index(control.section) for control in TABLE.controls]
    assert sections == sorted(sections)
    assert all(section.title and section.guide for section in TABLE.sections)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_control_has_a_check_or_reports_why_not(section: str) -> None:
    desired = {control.id for control in TABLE.of(section) if not control.unchecked}
    registered = {name for name, function in common_control.checks.items() if section_of(function) == section}
    assert registered == desired, (
        f"write or remove the @check in _audit/{section}.py, or give the reason as check: none"
    )


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("section", SECTIONS)
def test_every_attack_is_written_where_it_belongs_and_no_other(section: str, where: str) -> None:
    desired = {c.id for c in TABLE.of(section) if not c.attack.none and c.attack.where == where}
    place = f"{PLACES[where].__name__}.{section}"
    registered = {name for name, function in common_control.attacks.items() if function.__module__ == place}
    assert registered == desired, f"write or remove the @attack in {place}, or give the reason as attack: none"


@pytest.mark.parametrize("name", sorted(ATTACK_FILES["prove"]))
def test_no_attack_that_is_shipped_reaches_the_database_of_a_portal(name: str) -> None:
    """It could insert an account there, or have what others wrote run."""
    used = vars(importlib.import_module(f"{_attacks.__name__}.{name}")).values()
    modules = {value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", "") for value in used}
    assert not [module for module in modules if str(module).endswith("._application.database")]


def calls(function: Any, seen: set[Any] | None = None) -> set[str]:
    """The names that a function of the collection reaches, through whatever it calls."""
    seen = set() if seen is None else seen
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    if code is None or code in seen or not str(function.__module__).startswith(OURS):
        return set()
    seen.add(code)
    found: set[str] = set()
    codes = [code]
    while codes:
        one = codes.pop()
        codes += [each for each in one.co_consts if inspect.iscode(each)]
        for name in {*one.co_names, *one.co_freevars}:
            known = function.__globals__.get(name)
            found.add(name)
            found |= calls(known, seen) if callable(known) else set()
            for module in [value for value in function.__globals__.values() if inspect.ismodule(value)]:
                if str(module.__name__).startswith(OURS) and name in vars(module):
                    found |= calls(vars(module)[name], seen) if callable(vars(module)[name]) else set()
    for cell in function.__closure__ or ():
        found |= calls(cell.cell_contents, seen) if callable(cell.cell_contents) else set()
    return found


def test_an_attack_runs_from_where_its_subject_comes() -> None:
    """One that takes an insider runs on the host itself, and only such a one."""
    taken = {
        name: next(iter(inspect.signature(function).parameters.values())).annotation
        for name, function in common_control.attacks.items()
    }
    assert {name for name, subject in taken.items() if subject == "Insider"} == common_control.inside_attacks


@pytest.mark.parametrize("name", sorted({*common_control.checks, *common_control.attacks}))
def test_a_check_and_an_attack_can_come_to_both_ends(name: str) -> None:
    """One that cannot fail is none, and one that cannot pass neither."""
    for register in (common_control.checks, common_control.attacks):
        if name in register:
            reached = calls(register[name])
            assert "passed" in reached, f"{register[name].__qualname__} never passes"
            assert reached & {"failed", "waiting"}, f"{register[name].__qualname__} never fails"


def test_a_check_that_only_passes_is_seen() -> None:
    def empty(_observer: Any) -> common_control.Finding:
        return common_control.passed("Seen.")

    empty.__module__ = common_control.__name__
    assert "passed" in calls(empty) and not calls(empty) & {"failed", "waiting"}


def test_checks_and_attacks_stand_in_the_file_of_their_section() -> None:
    for name, function in [*common_control.checks.items(), *common_control.attacks.items()]:
        assert TABLE.control(name).section == section_of(function), name


def test_only_people_s_controls_go_unchecked() -> None:
    assert {c.id for c in TABLE.controls if c.unchecked} <= {c.id for c in TABLE.controls if c.level == "people"}


def test_fixers_name_the_role_of_a_section_and_variables_that_it_has() -> None:
    for control in TABLE.controls:
        if not control.fixer.role:
            continue
        assert control.fixer.role == control.section, control.id
        options = {**_preflight.specs()[control.fixer.role], **_preflight.specs()["common"]}
        assert set(control.fixer.variables) <= set(options), control.id


@pytest.mark.parametrize("section", SECTIONS)
def test_what_steers_a_fixer_is_read_by_its_role_or_plan(section: str) -> None:
    """A control whose variable changes nothing would have no fixer at all."""
    places = [ROOT / "plugins/plugin_utils/_plans" / f"{section}.py", *(ROOT / "roles" / section).rglob("*")]
    roles = [path for path in (ROOT / "roles/common").rglob("*") if path.parent.name in ("vars", "tasks")]
    roles += sorted((ROOT / "plugins/plugin_utils/_plans").glob("*.py"))
    sources = [path for path in [*places, *roles] if path.suffix in (".py", ".yml", ".j2")]
    texts = [
        path.read_text(encoding="utf-8")
        for path in sources
        if path.is_file() and not {"meta", "defaults"} & set(path.parts)
    ]
    steering = {name for control in TABLE.of(section) for name in control.fixer.variables}
    unread = {name for name in steering if not any(name in text for text in texts)}
    assert unread == set(), f"variables in meta/controls.yml that neither the role nor _plans/{section}.py reads"


def test_harden_runs_each_role_that_fixes_something_in_the_order_of_the_guide() -> None:
    fixers = {control.fixer.role for control in TABLE.controls if control.fixer.role}
    desired = [name for name in SECTIONS if name in fixers]
    first, *sections = playbook("harden")[2]["tasks"]
    assert first["ansible.builtin.import_role"]["name"] == "chamilo.hardening.common"
    assert [section["tags"] for section in sections] == desired
    for name, section in zip(desired, sections, strict=True):
        (role,), (failed,) = section["block"], section["rescue"]
        assert role["ansible.builtin.import_role"]["name"] == f"chamilo.hardening.{name}"
        assert failed["vars"] == {"_chamilo_section": name} and f"'{name}'" in section["when"]


def test_the_first_play_of_harden_covers_all_sections_under_every_tag() -> None:
    first = playbook("harden")[0]
    assert first["tags"] == "always"
    assert first["vars"]["_chamilo_sections"] == SECTIONS


def test_internal_modules_know_the_sections() -> None:
    assert list(declared.SECTIONS) == SECTIONS


def test_every_section_has_a_role() -> None:
    for section in SECTIONS:
        assert (ROOT / "roles" / section / "meta" / "main.yml").exists(), section


def test_the_documentation_shows_the_table() -> None:
    page = controls_table.PAGE.read_text(encoding="utf-8")
    assert controls_table.render(page) == page, "run bin/env python tests/tools/controls_table.py"


def test_checks_read_options_that_are_declared_and_given_by_the_playbook() -> None:
    """A check that reads an option that is never set judges by its default, whatever the variable of the role is."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "plugins/module_utils").rglob("*.py")]
    read = {name for source in sources for name in re.findall(r"\bobserver\.options\[[\"'](\w+)[\"']\]", source)}
    assert len(read) > 10 and read - set(declared.DEFAULTS) == set(), "add it to _application/declared.py"
    assert not [source for source in sources if "observer.options.get(" in source], (
        "its default is in _application/declared.py"
    )
    task = playbook("audit")[0]["tasks"][0]["block"][1]["chamilo.hardening.guide_audit_info"]["request"]
    given = {name: found[1] for name, text in task.items() if (found := re.match(r"\{\{ (chamilo_\w+) \|", text))}
    assert declared.VARIABLES.items() <= given.items(), "playbooks/audit.yml and _application/declared.py differ"
    assert set(given) & set(declared.DEFAULTS) - set(declared.VARIABLES) == {"root", "site"}
