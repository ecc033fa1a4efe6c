# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What applies to every role and playbook."""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.filter.core import regex_replace
from ansible.template import Templar, trust_as_template

from ansible_collections.chamilo.hardening.plugins.module_utils._application import database, declared
from ansible_collections.chamilo.hardening.plugins.module_utils._common import naming
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.repair import PARTS
from ansible_collections.chamilo.hardening.plugins.module_utils._updates import advisories
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import shared_directives
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _preflight
from ansible_collections.chamilo.hardening.plugins.plugin_utils._advisories import brief
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans import discovery, updates
from tests.tools import ways_in

ROOT = Path(__file__).resolve().parents[2]
ADVISORIES = advisories.read(brief()).advisories
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if (path / "meta").is_dir())
YAML_FILES = sorted(
    path
    for directory in ("roles", "playbooks")
    for path in (ROOT / directory).rglob("*.yml")
    if path.parent.name not in ("meta", "defaults")
)

# A module or action as the key of a task, a role, a filter or test behind a bar or "is", a lookup.
FOREIGN = "chamilo.hardening.foreign_module"
PLUGINS = "ansible_collections.chamilo.hardening.plugins"


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def options(role: str) -> dict[str, Any]:
    found: dict[str, Any] = load(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]["main"][
        "options"
    ]
    return found


def maps(value: Any) -> Iterator[dict[str, Any]]:
    """Every map in a YAML document: plays, blocks, tasks and what is in them."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from maps(item)


@pytest.mark.parametrize("role", ROLES)
def test_defaults_are_the_documented_options(role: str) -> None:
    defaults = load(ROOT / "roles" / role / "defaults" / "main.yml") or {}
    differ = f"roles/{role}/defaults/main.yml and meta/argument_specs.yml beside it differ"
    assert sorted(defaults) == sorted(options(role)), differ
    # One that is made of other variables is no value that a specification could name.
    plain = {name: value for name, value in defaults.items() if "{{" not in str(value)}
    assert plain == {name: option["default"] for name, option in options(role).items() if "default" in option}, differ


def test_the_audit_judges_by_the_defaults_of_the_roles() -> None:
    """Else it would be red on a host that the role has just hardened."""
    variables = {name: option for role in ROLES for name, option in options(role).items()}
    compared = {option: name for option, name in declared.VARIABLES.items() if "default" in variables[name]}
    assert len(compared) > 8
    assert {option: variables[name]["default"] for option, name in compared.items()} == {
        option: declared.DEFAULTS[option] for option in compared
    }, "plugins/module_utils/_application/declared.py has another default than the role"


@pytest.mark.parametrize("path", YAML_FILES + sorted(ROOT.glob("roles/*/templates/**/*.j2")), ids=str)
def test_the_domain_is_read_in_lower_case_alone(path: Path) -> None:
    """Web servers and browsers write it so, whatever the inventory has: https://Campus.Test is no redirect to it."""
    read = re.findall(r"\bchamilo_domain\b(?!')[^}]*", path.read_text(encoding="utf-8"))
    assert [
        one for one in read if not re.match(r"chamilo_domain (?:\| default\(inventory_hostname\) )?\| lower\b", one)
    ] == []


def test_roles_and_playbooks_make_the_word_of_a_domain_as_modules_do() -> None:
    rule = "lower | replace('-', '__') | regex_replace('[^a-z0-9_]', '_')"
    assert rule in load(ROOT / "roles" / "common" / "defaults" / "main.yml")["chamilo_site"]
    assert rule in (ROOT / "playbooks" / "restore.yml").read_text(encoding="utf-8")
    environment = jinja2.Environment()
    environment.filters["regex_replace"] = regex_replace
    assert environment.from_string(f"{{{{ 'a-B.test' | {rule} }}}}").render() == naming.word("a-B.test") == "a__b_test"


@pytest.mark.parametrize("word", ["plain", 'a"b', "a\\b", "\\\\n", "a\\", "it's #1; ä€", "two\nlines", " "])
def test_restore_writes_a_login_as_the_clients_of_the_database_read_it(word: str) -> None:
    tasks = maps(load(ROOT / "playbooks/restore.yml"))
    task = next(task for task in tasks if str(task.get("name")).startswith("Copy the login"))
    given = {"chamilo_database_admin_user": word, "chamilo_database_admin_password": f"{word}2"}
    written = Templar(DataLoader(), variables=given).template(trust_as_template(task[FOREIGN]["copy"]["content"]))
    assert written == f"[client]\nuser={database._option(word)}\npassword={database._option(word + '2')}\n"


def test_what_nginx_takes_once_is_discovered_and_written_as_announced() -> None:
    announced = {**discovery.HIDDEN, **discovery.PROXIES}
    assert sorted(announced) == sorted(shared_directives.ONCE)
    text = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("roles/*/templates/nginx/*.j2"))
    for name, value in announced.items():
        assert re.search(rf" '{name}' not in plan\.said %}}", text)
        assert re.findall(rf"^{name} (.*);$", text, re.MULTILINE) == [value]


@pytest.mark.parametrize("role", ROLES)
def test_variables_carry_the_name_of_the_collection_and_the_role(role: str) -> None:
    prefix = "chamilo_" if role == "common" else f"chamilo_{role}_"
    assert [name for name in options(role) if not name.startswith(prefix)] == []
    private = ROOT / "roles" / role / "vars" / "main.yml"
    if private.exists():
        assert [name for name in load(private) or {} if not name.startswith(f"_chamilo_{role}_")] == []


def test_what_is_read_of_an_earlier_task_is_registered_by_one() -> None:
    """A name that no task registers is undefined for good, and a default hides it."""
    files = [*YAML_FILES, *(ROOT / "roles").rglob("*.j2"), *(ROOT / "plugins").rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    made = set(re.findall(r"(?:register: |^ +)(__chamilo_\w+)(?:$| #|: )", text, re.MULTILINE))
    assert set(re.findall(r"(?<!\w)__chamilo_\w+(?![\w{])", text)) - made == set()


def test_the_parts_of_a_section_are_those_that_undo_knows() -> None:
    files = [*(ROOT / "roles").glob("*/tasks/*.yml"), *(ROOT / "plugins").rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    # name: "https:{{ chamilo_site }}.part", or f"https:{site}.part", or f"https:{portal.word}.part"
    found = re.findall(r'"[a-z_]+:\{+ ?[a-z_.]*(?:site|word) ?\}+\.(\w+)"', text)
    assert sorted(set(found)) == sorted(PARTS)


def test_playbooks_read_only_variables_that_are_known() -> None:
    """Others would be refused by the first play of harden."""
    known = {name for role in ROLES for name in options(role)} | set(_preflight.PLAYBOOK_VARIABLES)
    for path in sorted((ROOT / "playbooks").glob("*.yml")):
        used = set(re.findall(r"\bchamilo_[a-z_]+\b", path.read_text(encoding="utf-8")))
        assert used - known - {"chamilo_web", "chamilo_db", "chamilo_site_info", "chamilo_portals_info"} == set(), (
            path.name
        )


@pytest.mark.parametrize(
    ("given", "first"),
    [
        ({"chamilo_backups_first": True}, True),
        ({"chamilo_backups_first": True, "chamilo_backups_state": "present"}, True),
        ({"chamilo_backups_first": True, "chamilo_backups_state": "absent"}, False),
        ({}, False),
    ],
)
def test_only_where_there_are_backups_one_is_taken_first(given: dict[str, Any], first: bool) -> None:
    play = load(ROOT / "playbooks/harden.yml")[2]
    (task,) = (task for task in load(ROOT / "playbooks/tasks/before.yml") if task["name"].startswith("Run a backup"))
    assert task["when"] == "_chamilo_backs_up_first"
    (before,) = play["pre_tasks"]
    run = {"_chamilo_is_web": True, "ansible_run_tags": ["all"]}
    run |= {"_chamilo_backs_up_first": trust_as_template(play["vars"]["_chamilo_backs_up_first"])}
    templar = Templar(DataLoader(), variables={**run, **given})
    assert all(templar.evaluate_conditional(trust_as_template(one)) for one in before["when"]) is first


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_error_is_ignored_and_no_shell_is_called(path: Path) -> None:
    for entry in maps(load(path)):
        assert "ignore_errors" not in entry
        assert not {"shell", "ansible.builtin.shell", "ansible.legacy.shell"} & set(entry)


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks").glob("*.yml")), ids=lambda path: path.stem)
def test_every_play_runs_by_the_strategy_that_it_was_written_for(path: Path) -> None:
    """With another one of the user's ansible.cfg a report was written before its hosts had been audited."""
    assert {play["strategy"] for play in load(path)} == {"ansible.builtin.linear"}


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_task_hands_values_over_in_the_environment(path: Path) -> None:
    """Ansible writes it into the command line: every local user could list it, and sudo logs it."""
    assert not [entry for entry in maps(load(path)) if "environment" in entry]


def texts(value: Any) -> Iterator[str]:
    """Every text of a YAML value, but those that config_transaction keeps as secrets."""
    if isinstance(value, dict):
        value = [item for key, item in value.items() if key != "secret_content"]
    if isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


@functools.cache
def secrets() -> re.Pattern[str]:
    """What a text with a secret mentions: a variable whose specification sets no_log, one that is made of such
    variables, or a template that is.
    """
    names = {name for role in ROLES for name, option in options(role).items() if option.get("no_log")}
    made = {path.name: [path.read_text(encoding="utf-8")] for path in ROOT.glob("roles/*/templates/**/*.j2")}
    for path in YAML_FILES:
        document = load(path)
        variables = [document] if path.parent.name == "vars" else [one.get("vars", {}) for one in maps(document)]
        made.update((name, list(texts(value))) for known in variables for name, value in known.items())
        hidden = [one for one in maps(document) if one.get("no_log") is True]
        names |= {name for one in hidden for name in one.get("ansible.builtin.set_fact", {})}
    while True:
        pattern = re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, sorted(names)))})(?!\w)")
        more = {name for name, parts in made.items() if any(map(pattern.search, parts))} - names
        if not more:
            return pattern
        names |= more


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_secret_goes_to_a_module_in_an_option_that_is_not_logged(path: Path) -> None:
    """Or in a task that logs nothing. See test_no_module_logs_a_secret_however_it_is_called for the option."""
    secret = secrets()
    for task in (one for one in maps(load(path)) if one.get("no_log") is not True):
        for module, arguments in task.items():
            if module.count(".") != 2 or not isinstance(arguments, dict):
                continue
            source = ROOT / "plugins" / "modules" / f"{module.rpartition('.')[2]}.py"
            text = source.read_text(encoding="utf-8") if module.startswith("chamilo.hardening.") else ""
            masked = re.findall(r'^ +"(\w+)": \{.*"no_log": True', text, re.MULTILINE)
            if "chamilo.hardening.internal.secrets" in text:  # the action plugin takes them out of the request
                kind = importlib.import_module(f"{PLUGINS}.modules.{source.stem}").Request
                masked, arguments = (
                    [each.name for each in fields(kind) if each.metadata.get("no_log")],
                    arguments["request"],
                )
            shown = [
                name
                for name, value in arguments.items()
                if name not in masked and any(map(secret.search, texts(value)))
            ]
            assert shown == [], (task.get("name"), module)


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_removed_for_what_is_installed(path: Path) -> None:
    """apt -y makes room for a package by removing what conflicts with it, such as a MySQL server."""
    tasks = [entry for entry in maps(load(path)) if "apt" in entry.get(FOREIGN, {})]
    assert [task["name"] for task in tasks if task[FOREIGN]["apt"].get("fail_on_autoremove") is not True] == []


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_task_takes_all_its_options_from_a_template(path: Path) -> None:
    """Ansible warns of that, unless inject_facts_as_vars is off, as in our own ansible.cfg."""
    for entry in maps(load(path)):
        options = [value for key, value in entry.items() if key == "args" or re.fullmatch(r"\w+\.\w+\.\w+", str(key))]
        assert not [value for value in options if isinstance(value, str) and value.strip().startswith("{{")]


def test_the_table_of_ways_in_reports_what_the_roles_refuse_and_what_the_advisories_report() -> None:
    ways = ways_in.table()
    controls = load(ROOT / "meta/controls.yml")["controls"]
    assert {control for way in ways for control in way.controls} <= {control["id"] for control in controls}
    patterns = "|".join([updates.INSTALLER, *updates.EXPLOITED.values()])
    refused = [re.compile(rf"/(?:{one})(?:/|$)", re.IGNORECASE) for one in patterns.split("|")]
    closed = [way.address for way in ways if "updates_installer" in way.controls]
    assert closed == [way.address for way in ways if any(one.match(way.address) for one in refused)]
    assert [one for one in refused if not any(one.match(address) for address in closed)] == []
    (control,) = (one for one in controls if one["id"] == "updates_installer")
    assert [*control["items"]] == [*updates.EXPLOITED], "each can be waived alone"
    stops = {one: item.controls for item in ADVISORIES for one in item.ids}
    wrong = [
        (way.address, one, control)
        for way in ways
        for one in way.vulnerabilities
        for control in way.controls
        if control not in (*stops[one], *(["updates_version"] if not stops[one] else []))
    ]
    assert wrong == []
    reported = {one for way in ways if way.closed for one in way.vulnerabilities}
    closing = [item for item in ADVISORIES if "updates_installer" in item.controls]
    assert [item.ids[0] for item in closing if reported.isdisjoint(item.ids)] == ["CVE-2026-45140"]


def test_a_role_has_its_own_values_checked() -> None:
    """Where it runs without the playbook, which has those of all sections checked."""
    for role in {*ROLES} - {"common"}:
        asked = [
            task["vars"]["_chamilo_common_section"]
            for path in (ROOT / "roles" / role / "tasks").glob("*.yml")
            for task in maps(load(path))
            if task.get("ansible.builtin.include_role") == {"name": "chamilo.hardening.common", "tasks_from": "section"}
        ]
        assert asked == [role]


def names(document: Any) -> Iterator[str]:
    """The names of plays, blocks and tasks."""
    return (entry["name"] for entry in maps(document) if isinstance(entry.get("name"), str))


def test_tasks_that_tests_on_hosts_name_exist() -> None:
    """Such a test would pass for ever: a task of another name is not among those that changed something."""
    tests = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/hosts/*.py"))
    named = set(re.findall(r'"(\w+) : ([A-Z][^"{}]+)"', tests))
    known = {(path.parts[-3], task) for path in YAML_FILES for task in names(load(path))}
    assert named and named - known == set()
