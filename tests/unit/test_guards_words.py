# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words that have a standard one in this field do not come back where they were replaced."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tools.sources import statements

ROOT = Path(__file__).resolve().parents[2]
# What to write instead is in the brackets.
AVOID = {
    r"somebody|nobody|anybody|everybody|whoever": "the administrator, a visitor, an attacker, or the passive",
    r"tell|tells|told|telling": "report, notify, alert, log",
    r"look|looks|looked|looking": "check, inspect, probe, discover, scan, monitor",
    r"folders?": "directory",
    r"(?:gives?|gave|given|puts?|brings?|brought|takes?|took|taken|way) back": "roll back, undo, restore",
    r"(?:in|into|of) force": "active, apply, activate, reload",
    r"(?:make|makes|made) true": "enforce, apply, configure",
    r"wish|wishes|wanted": "desired",
    r"shut|shuts": "ban, block; close",
    r"holes?": "vulnerability",
    r"strangers?|neighbours?": "client, attacker; unrelated site",
    r"drills?": "restore test",
    r"nights?|nightly": "daily",
    r"says?|said": "state, report, read",
    r"held|holds?(?! (?:a |the )?lock)": "contain, keep, track",
    r"canary": "test account, test file",
}
# Add a path when its text was changed; none is ever taken out.
CLEANED = (
    *("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/*.md", "roles/*/README.md", "tests/**/README.md"),
    *("meta/controls.yml", "roles/*/meta/*.yml", "changelogs/fragments/*.yml", "plugins/**/*.yml"),
)
# Directories of code whose comments, docstrings and messages were changed; likewise none is ever taken out.
CLEANED_CODE = (
    "playbooks/callback_plugins",
    "plugins/modules",
    "plugins/module_utils/_common",
    "plugins/module_utils/_transaction",
    "plugins/module_utils/_permissions",
    "plugins/module_utils/_monitoring",
    "plugins/module_utils/_backups",
    "plugins/module_utils/_brute_force",
    "plugins/action",
    "plugins/filter",
    "plugins/lookup",
    "plugins/plugin_utils",
    "plugins/plugin_utils/_plans",
    "plugins/module_utils/_audit",
    "plugins/module_utils/_attacks",
    "plugins/module_utils/_program",
    "plugins/module_utils/_uploads",
    "plugins/module_utils/_https",
    "plugins/module_utils/_database",
    "plugins/module_utils/_updates",
    "plugins/module_utils/_settings",
    "plugins/module_utils/_portal",
    "tests",
    "tests/bench",
    "tests/hosts",
    "tests/mutation",
    "tests/testbed",
    "tests/testbed/connection",
    "tests/tools",
    "tests/tools/callback",
    "tests/tools/connection",
)
PAGES = sorted({path for pattern in CLEANED for path in ROOT.glob(pattern)})
CODE = sorted({path for directory in CLEANED_CODE for path in ROOT.glob(f"{directory}/*.py")})
ENGINES = sorted({*CODE, *ROOT.glob("plugins/**/*.py"), *ROOT.glob("playbooks/**/*.py")})
TESTS = sorted(ROOT.glob("tests/**/test_*.py"))
# Comments and docstrings alone: texts in unit tests are data of the tests, such as names and messages that hosts have.
UNIT_TESTS = sorted(ROOT.glob("tests/unit/**/*.py"))
# Names that hosts store or modules answer, of sparse files, and of Python's own library.
KEPT = {
    *("in_force", "settings_in_force", "sessions_hold_old_values", "php_folders", "shut_out", "neighbours"),
    *("held", "holds", "told", "drills", "look"),
    *("_holes", "tell", "SHUT_RDWR"),
}
TEMPLATES = sorted([*ROOT.glob("roles/*/templates/**/*.j2"), ROOT / "plugins/plugin_utils/report.html.j2"])
TEMPLATES.remove(ROOT / "roles/database/templates/mariadb.cnf.j2")  # another comment would restart each database
# What has comments, beside code.
COMMENTED = sorted(
    path
    for pattern in ("roles/*/*/*.yml", "playbooks/**/*.yml", "molecule/**/*.yml", ".github/**/*.yml", "bin/*")
    for path in ROOT.glob(pattern)
)
TASKS = sorted([*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/*.yml")])


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(text: str) -> str:
    """Without examples, names in backticks and quotations."""
    text = re.sub(r"```.*?```|`[^`]*`|<!--.*?-->", " ", text, flags=re.DOTALL)
    text = re.sub(r"(?<=\n\n)(?: {4,}[^\n]*\n)+", " ", text)
    return re.sub(r'"[^"\n]*"', " ", text)


def without_names(text: str) -> str:
    """Documentation of a module without options, results, values and the keys of its YAML, which are a contract."""
    text = re.sub(r"\b(?:O|RV|V|C|E|M)\((?:[^()\\]|\\.)*\)", " ", text)
    text = re.sub(r"(?m)^ *(?:choices|default|type): .*$", " ", text)
    return re.sub(r"(?m)^ *(?:- )?\w+:(?= |$)", " ", text)


def identifiers(path: Path) -> set[str]:
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    return {token.string for token in tokens if token.type == tokenize.NAME}


def apart(identifier: str) -> str:
    """The words that a name is made of."""
    return " ".join(re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", identifier))


def words_of_code(source: str) -> str:
    """Comments, docstrings and messages: a text of fewer than three words is a name, not a message."""
    messages = [text for text in messages_of(source) if len(re.findall(r"[A-Za-z]+ +(?=[A-Za-z])", text)) >= 2]
    return "\n".join(prose(without_names(text)) for text in (*comments_of(source), *messages))


def words_beside_code(source: str) -> str:
    """Comments and docstrings."""
    return "\n".join(prose(without_names(text)) for text in (*comments_of(source), *docstrings_of(source)))


def comments_of(source: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


def docstrings_of(source: str) -> Iterator[str]:
    module = ast.parse(source)
    for node in (module, *statements(module)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield ast.get_docstring(node) or ""


def messages_of(source: str) -> Iterator[str]:
    """The texts in code, each as a whole, however many literals it is written in; with an X for each value."""
    within: set[int] = set()
    for node in ast.walk(ast.parse(source)):  # an f-string comes before the parts of it
        if isinstance(node, ast.JoinedStr):
            within |= {id(part) for part in node.values}
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in within:
            yield node.value


def avoided(text: str) -> list[str]:
    return [
        f"{found[0]}: write {instead}"
        for words, instead in AVOID.items()
        for found in re.finditer(rf"\b(?:{words})\b", text, re.IGNORECASE)
    ]


def names(document: Any) -> Iterator[str]:
    """The names of plays, blocks and tasks."""
    if isinstance(document, list):
        for entry in document:
            yield from names(entry)
    elif isinstance(document, dict):
        if isinstance(document.get("name"), str):
            yield document["name"]
        for key in ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"):
            yield from names(document.get(key))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_keeps_to_the_words_of_the_field(page: Path) -> None:
    assert avoided(prose(page.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", CODE, ids=name)
def test_code_keeps_to_the_words_of_the_field(path: Path) -> None:
    assert avoided(words_of_code(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", UNIT_TESTS, ids=name)
def test_comments_and_docstrings_of_unit_tests_keep_to_the_words_of_the_field(path: Path) -> None:
    assert avoided(words_beside_code(path.read_text(encoding="utf-8"))) == []


def words_of_template(source: str) -> str:
    """Comments, descriptions, texts within expressions, and what a page shows: what administrators read on a host."""
    comments = re.findall(
        r"^ *(?:#|;|//) .*|(?<= )// .*|^Description=.*|^[^{#]*<(?:p|h\d|dt|dd|li|td|th)\b.*", source, re.MULTILINE
    )
    texts = [text for text in re.findall(r"'([^'\n]*)'", source) if text.count(" ") > 1]
    return prose(re.sub(r"\{\{.*?\}\}|\{%.*?%\}|<[^>]*>", " ", "\n".join([*comments, *texts])))


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_a_template_keeps_to_the_words_of_the_field(path: Path) -> None:
    assert avoided(words_of_template(path.read_text(encoding="utf-8"))) == []


def test_what_of_a_template_is_words() -> None:
    assert avoided(words_of_template("# It tells {{ plan.folder }}.\nrun <folder>\n")) == [
        "tells: write report, notify, alert, log"
    ]
    assert len(avoided(words_of_template("if x then {{ alert('A', 'Nobody is there.') }}\nDescription=Tell it\n"))) == 2
    assert len(avoided(words_of_template("<p>Nobody.</p>\n    if ($x) { // it looks\n"))) == 2


@pytest.mark.parametrize("path", COMMENTED, ids=name)
def test_comments_of_other_files_keep_to_the_words_of_the_field(path: Path) -> None:
    comments = re.findall(r"(?:^|\s)# (.*)", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert avoided(prose("\n".join(comments))) == []


@pytest.mark.parametrize("path", ENGINES, ids=name)
def test_names_in_code_keep_to_the_words_of_the_field(path: Path) -> None:
    found = identifiers(path) - KEPT
    assert avoided("\n".join(map(apart, found))) == [], [one for one in found if avoided(apart(one))]


def test_names_of_tests_keep_to_the_words_of_the_field() -> None:
    texts = [path.read_text(encoding="utf-8") for path in TESTS]
    tests = [test for text in texts for test in re.findall(r"^ *def (test_\w+)", text, re.MULTILINE)]
    assert len(tests) > 3000
    assert avoided("\n".join(map(apart, tests))) == [], [test for test in tests if avoided(apart(test))]


@pytest.mark.parametrize("path", TASKS, ids=name)
def test_names_of_tasks_keep_to_the_words_of_the_field(path: Path) -> None:
    assert avoided("\n".join(names(yaml.safe_load(path.read_text(encoding="utf-8"))))) == []


def test_what_is_noticed_and_what_is_not() -> None:
    text = 'It tells `folder` nobody.\n\n    look\n\nA restore; "put back".\n'
    assert [one.split(":")[0] for one in avoided(prose(text))] == ["nobody", "tells"]


def test_what_of_code_is_words() -> None:
    source = '"""It tells them of a `folder`."""\nlook = "told"\nreport(f"the {look} of nobody was here")  # a drill\n'
    assert {one.split(":")[0] for one in avoided(words_of_code(source))} == {"tells", "nobody", "drill"}


def test_what_beside_code_is_words() -> None:
    source = '"""It tells."""\nclass Folder:\n """A folder."""\n def x():\n  """Holds."""\n  "told"  # shut\n'
    assert [one.split(":")[0] for one in avoided(words_beside_code(source))] == ["tells", "folder", "shut", "Holds"]


def test_names_in_documentation_are_no_words() -> None:
    source = 'RETURN = """\ntold:\n  description: Also RV(told), O(folder) and V(held), of a folder.\n"""\n'
    assert [one.split(":")[0] for one in avoided(words_of_code(source))] == ["folder"]


def test_tasks_that_tests_on_hosts_name_exist() -> None:
    """Such a test would pass for ever: a task of another name is not among those that changed something."""
    tests = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/hosts/*.py"))
    named = set(re.findall(r'"(\w+) : ([A-Z][^"{}]+)"', tests))
    known = {(path.parts[-3], task) for path in TASKS for task in names(yaml.safe_load(path.read_text("utf-8")))}
    assert len(named) > 5 and named - known == set()


@pytest.mark.parametrize("path", sorted((ROOT / "changelogs/fragments").glob("*.yml")), ids=lambda path: path.stem)
def test_each_entry_of_a_fragment_is_a_text(path: Path) -> None:
    """With a colon and a space in it YAML takes it for a mapping."""
    sections = yaml.safe_load(path.read_text(encoding="utf-8"))
    wrong = [entry for entries in sections.values() for entry in entries if not isinstance(entry, str)]
    assert wrong == [], (
        "begin the entry with '- >-' and write it on the next line, or leave out the blank after the colon"
    )
