# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing that a managed host answers becomes a path, a name, a template or a command without a form check."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import jinja2
import pytest
import yaml
from ansible.errors import AnsibleActionFail
from jinja2 import meta, nodes

from ansible_collections.chamilo.hardening.plugins.action import foreign_module
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _answers, _facts

ROOT = Path(__file__).resolve().parents[2]
TASKS = sorted([*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/*.yml")])
VARIABLES = sorted([*ROOT.glob("roles/*/vars/*.yml"), *ROOT.glob("roles/*/defaults/*.yml")])
TEMPLATES = sorted(path for path in ROOT.glob("roles/*/templates/**/*") if path.is_file())
ROUTING = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["plugin_routing"]
OURS = "chamilo.hardening."
# Runs a module of ansible-core or another collection, and takes over no facts.
FOREIGN, PLANNED = "chamilo.hardening.foreign_module", "chamilo.hardening.planned"
# These ask no host.
ASKS_NOBODY = {
    *(
        "add_host",
        "assert",
        "debug",
        "fail",
        "set_fact",
        "import_role",
        "include_role",
        "import_tasks",
        "include_tasks",
    ),
}
# These never leave the controller. What they take of hosts' answers has a form there.
NEVER_LEAVE = ("guide_inventory", "guide_preflight", "guide_report")
# What ansible-core sets itself, above any fact or after them. It takes ansible_connection from none.
ABOVE_FACTS = {
    *("ansible_check_mode", "ansible_connection", "ansible_failed_result", "ansible_play_hosts_all"),
    *("ansible_play_role_names", "ansible_run_tags", "ansible_skip_tags", "groups", "hostvars", "item", "omit"),
    "plan",  # all that the lookup of that name gives to a template
}

# What a form in plugins/plugin_utils/_answers.py makes harmless as a name, a path or a part of a command.
FORMED = {
    "__chamilo_common_info.site.web.name": ("chamilo_site_info", "site.web.name"),
    "__chamilo_common_info.site.database.host": ("chamilo_site_info", "site.database.host"),
    "__chamilo_database_account.source": ("chamilo_database_account", "source"),
    # Each true or false, as the documentation of the module states.
    "__chamilo_database_account.needs_admin": ("chamilo_database_account", "needs_admin"),
    "__chamilo_database_account.server_here": ("chamilo_database_account", "server_here"),
}
LOOKUPS = ("lookup", "query", "q")
# Filters that inspect files of the controller.
OF_FILES = {"fileglob", "realpath", "relpath", "expanduser", "expandvars"}
# Actions that read or run a file of the controller, or make one, by these options.
ON_CONTROLLER = {
    "fetch": ("dest",),
    "copy": ("src",),
    "template": ("src",),
    "script": ("cmd", "_raw_params"),
    "unarchive": ("src",),
    "assemble": ("src",),
    "include_vars": ("file", "dir", "_raw_params"),
    "include_tasks": ("file", "_raw_params"),
    "import_tasks": ("file", "_raw_params"),
    "include_role": ("name", "tasks_from", "vars_from"),
    "import_role": ("name", "tasks_from", "vars_from"),
    "add_host": ("name", "groups"),
    "group_by": ("key",),
}
PRINTED = {"debug": ("msg", "var"), "fail": ("msg",), "assert": ("fail_msg", "success_msg", "msg")}
OF_A_TASK = {"register", "when", "name", "tags", "loop", "changed_when", "failed_when", "until", "vars", "delegate_to"}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def tasks(value: Any) -> Iterator[dict[str, Any]]:
    """Each task of a file, those in blocks included, with what its block sets for it."""
    for entry in value or []:
        inner = [name for name in ("pre_tasks", "tasks", "block", "rescue", "always", "handlers") if name in entry]
        for name in inner:
            given = {key: entry[key] for key in ("delegate_to", "vars") if key in entry}
            yield from ({**given, **task} for task in tasks(entry[name]))
        if not inner:
            yield entry


def action(task: dict[str, Any]) -> tuple[str, Any]:
    name, given = next((key, task[key]) for key in task if re.fullmatch(r"\w+\.\w+\.\w+", key))
    if name not in (FOREIGN, PLANNED):
        return name, given
    [(module, options)] = given.items()
    return foreign_module.MODULES[module] if name == FOREIGN else f"{OURS}{module}", options


REGISTERED = {
    task["register"]: (action(task)[0], bool(task.get("delegate_to")))
    for path in TASKS
    for task in tasks(load(path))
    if "register" in task
}


class Known(dict[str, Any]):
    """The filters or tests of Ansible, whatever their names."""

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> Any:
        return len

    def get(self, name: str, default: Any = None) -> Any:
        return len


def variables(text: str, bare: bool = False) -> set[str]:
    """The variables that a template takes from outside."""
    tree = parsed(text, bare)
    environment = jinja2.Environment()
    environment.filters = environment.tests = Known()
    return meta.find_undeclared_variables(tree.set_environment(environment))


def parsed(text: str, bare: bool = False) -> nodes.Template:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a regular expression, which Ansible reads the same way
        return jinja2.Environment().parse(f"{{{{ {text} }}}}" if bare else text)


def reference(node: nodes.Node) -> str:
    """A variable with its attributes, such as a.b.c."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr) and (of := reference(node.node)):
        return f"{of}.{node.attr}"
    return ""


def references(node: nodes.Node) -> Iterator[str]:
    """What an expression is made of. What goes through the filter answer is ours alone from there on."""
    if isinstance(node, nodes.Filter) and node.name == f"{OURS}answer":
        return
    if isinstance(node, nodes.Const) and node.value == f"{OURS}plan":
        yield "__chamilo_common_info"  # which the lookup makes its plan of
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        yield from re.findall(r"\b_{1,2}chamilo_[\w.]+", node.value)  # such as of map(attribute='...')
    if whole := reference(node):
        yield whole
        return
    for child in node.iter_child_nodes():
        yield from references(child)


def formed(name: str) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in FORMED)


def of_hosts() -> dict[str, set[str]]:
    """The variables that come from what a host answered: "raw", or "held" by the base of our action plugins."""
    made: dict[str, list[str]] = {}
    for path in VARIABLES:
        for name, value in (load(path) or {}).items():
            made.setdefault(name, []).extend(texts(value))
    for path in TASKS:
        for task in tasks(load(path)):
            for name, value in {**(task.get("vars") or {}), **(task.get("ansible.builtin.set_fact") or {})}.items():
                made.setdefault(name, []).extend(texts(value))
    kinds: dict[str, set[str]] = {"raw": set(), "held": set()}
    for name, (module, _elsewhere) in REGISTERED.items():
        if module.removeprefix(OURS) not in NEVER_LEAVE:
            kinds["held" if module.startswith(OURS) else "raw"].add(name)
    used = {name: {one for text in of for one in references(parsed(text))} for name, of in made.items()}
    for kind, known in kinds.items():
        known |= {"ansible_failed_result"} if kind == "raw" else set()
        while True:
            more = {
                name
                for name, names in used.items()
                if name not in known and not formed(name) and any(comes_from(one, known) for one in names)
            }
            if not more:
                break
            known |= more
    return kinds


def comes_from(name: str, known: set[str]) -> bool:
    return not formed(name) and name.split(".", maxsplit=1)[0] in known


HOSTS = of_hosts()
ANY = HOSTS["raw"] | HOSTS["held"]


def found(texts_: Iterator[str], known: set[str], bare: bool = False) -> list[str]:
    return sorted({one for text in texts_ for one in references(parsed(text, bare)) if comes_from(one, known)})


def test_the_analysis_sees_what_comes_from_hosts() -> None:
    assert {"_chamilo_https_plan", "_chamilo_brute_force_plan", "_chamilo_permissions_plan"} <= HOSTS["held"]
    assert {"__chamilo_monitoring_daily", "__chamilo_database_certificate"} <= HOSTS["raw"]
    # As 1.0.0 had them.
    text = "{{ (__chamilo_monitoring_daily.stdout | from_json).lists['a'].digest[:16] }}"
    assert found(iter([text]), ANY) == ["__chamilo_monitoring_daily.stdout"]
    text = text.replace("from_json", f"{OURS}answer('daily')")
    assert found(iter([text]), ANY) == []
    assert found(iter(["{{ lookup('file', _chamilo_https_plan.root) }}"]), ANY) == ["_chamilo_https_plan.root"]


def test_what_is_formed_has_a_form() -> None:
    for module, path in FORMED.values():
        shape: Any = _answers.shape(module)
        for name in path.split("."):
            shape = shape.entries[name]
        assert isinstance(shape, _answers.Flag) or shape.form, path


@pytest.mark.parametrize("path", TASKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_answer_names_a_file_or_a_host_of_the_controller(path: Path) -> None:
    for task in tasks(load(path)):
        module, given = action(task)
        options = given if isinstance(given, dict) else {"_raw_params": given}
        for name in ON_CONTROLLER.get(module.rpartition(".")[2], ()):
            assert found(texts(options.get(name)), ANY) == [], task["name"]
        assert found(texts(task.get("delegate_to")), ANY) == [], task["name"]
        if task.get("delegate_to") in ("localhost", "127.0.0.1") or "local_action" in task:
            assert found(texts([given, task.get("vars"), task.get("loop")]), ANY) == [], task["name"]


@pytest.mark.parametrize("path", TASKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_answer_of_one_host_is_handed_to_another_without_a_form(path: Path) -> None:
    """A web node answered from where it comes, and that became a part of a statement for root of the database."""
    for task in tasks(load(path)):
        if task.get("delegate_to"):
            _module, given = action(task)
            assert found(texts([given, task.get("vars"), task.get("loop")]), ANY) == [], task["name"]


@pytest.mark.parametrize("path", TASKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_host_answers_for_all(path: Path) -> None:
    """What a task that runs once registers is registered for each host of the play."""
    assert [
        one["name"] for one in tasks(load(path)) if one.get("run_once") and one.get("delegate_to") != "localhost"
    ] == []


def test_no_answer_of_another_host_is_used_without_a_form() -> None:
    elsewhere = {name for name, (_module, delegated) in REGISTERED.items() if delegated}
    assert elsewhere
    for path in [*TASKS, *VARIABLES]:
        for text in texts(load(path)):
            names = [one for one in found(iter([text]), elsewhere) if not one.endswith((".stdout", ".rc"))]
            assert names == [], text


@pytest.mark.parametrize("path", TASKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_printed_is_safe_to_print(path: Path) -> None:
    for task in tasks(load(path)):
        module, given = action(task)
        for name in PRINTED.get(module.rpartition(".")[2], ()):
            assert found(texts((given or {}).get(name)), HOSTS["raw"], bare=name == "var") == [], task["name"]


def calls(node: nodes.Node) -> Iterator[nodes.Node]:
    """Whatever reads something of the controller: calls of lookups, and filters that inspect files."""
    for call in node.find_all(nodes.Call):
        # The lookup plan reads variables, and templates of ours by the name of the web server, which has a form.
        if (
            isinstance(call.node, nodes.Name)
            and call.node.name in LOOKUPS
            and nodes.Const(f"{OURS}plan") not in call.args
        ):
            yield call
    for filtered in node.find_all(nodes.Filter):
        if filtered.name.rpartition(".")[2] in OF_FILES:
            yield filtered


@pytest.mark.parametrize("path", [*TASKS, *VARIABLES, *TEMPLATES], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_answer_steers_what_is_read_on_the_controller(path: Path) -> None:
    whole = [path.read_text(encoding="utf-8")] if path in TEMPLATES else list(texts(load(path)))
    read = [call for text in whole for call in calls(parsed(text))]
    assert sorted({one for call in read for one in references(call) if comes_from(one, ANY)}) == []


def test_only_files_of_ours_are_templates() -> None:
    users = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "plugins").rglob("*.py"))
        if "trust_as_template" in path.read_text(encoding="utf-8")
    ]
    assert users == ["plugins/lookup/plan.py"]


@pytest.mark.parametrize("path", sorted((ROOT / "plugins/modules").glob("*.py")), ids=lambda path: path.stem)
def test_every_module_that_runs_on_a_host_has_its_answer_validated(path: Path) -> None:
    if path.stem in NEVER_LEAVE:
        return
    routed = ROUTING["modules"].get(path.stem, {}).get("action_plugin", path.stem)
    text = (ROOT / "plugins/action" / f"{routed.rpartition('.')[2]}.py").read_text(encoding="utf-8")
    assert re.search(r"^class ActionModule\((?:Host|Told)Action\):$", text, re.MULTILINE)
    assert "super()._execute_module" not in text


@pytest.mark.parametrize("path", TASKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_task_takes_over_facts(path: Path) -> None:
    """Any module may return facts, and facts override the inventory: so each that asks a host is run by ours."""
    names = {key for task in tasks(load(path)) for key in task if re.fullmatch(r"\w+\.\w+\.\w+", key)}
    assert {name for name in names if not name.startswith(OURS)} <= {f"ansible.builtin.{one}" for one in ASKS_NOBODY}
    assert [
        task["name"] for task in tasks(load(path)) if task.get("poll") or ("async" in task) != ("poll" in task)
    ] == []


@pytest.mark.parametrize("path", sorted((ROOT / "plugins/action").glob("*.py")), ids=lambda path: path.stem)
def test_every_action_plugin_refuses_facts_that_are_variables_of_the_controller(path: Path) -> None:
    plugin = importlib.import_module(f"ansible_collections.chamilo.hardening.plugins.action.{path.stem}").ActionModule
    action_ = plugin(Mock(args={}), Mock(), Mock(), Mock(), Mock(), Mock())
    for variables in (
        {"ansible_facts": {"chamilo_report_dir": "/"}},
        {"ansible_delegated_vars": {"db.test": {"ansible_facts": {"chamilo_report_dir": "/"}}}},
    ):
        with pytest.raises(AnsibleActionFail, match=r"Facts of (?:this host|db\.test) .*: chamilo_report_dir\."):
            action_.run(task_vars=variables)


@pytest.mark.parametrize("path", [*TASKS, *VARIABLES, *TEMPLATES], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_fact_is_a_variable_of_ours(path: Path) -> None:
    whole = [path.read_text(encoding="utf-8")] if path in TEMPLATES else list(texts(load(path)))
    names = {name for text in whole for name in variables(text)}
    for task in tasks(load(path)) if path in TASKS else ():
        for key in ("when", "changed_when", "failed_when", "that"):
            of = {**action(task)[1], **task} if isinstance(action(task)[1], dict) else task
            conditions = of.get(key, []) if isinstance(of.get(key), list) else [of.get(key, "")]
            for one in filter(None, map(str, conditions)):
                names |= variables(one, bare=True)
    names -= {*LOOKUPS, "now", "undef"}
    assert names - ABOVE_FACTS - set(_facts.reserved(dict.fromkeys(names))) == set()
