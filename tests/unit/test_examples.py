"""The documentation: its examples parse, its variables exist and take the values shown, its links lead somewhere."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.cli.playbook import PlaybookCLI

from ansible_collections.chamilo.hardening.plugins.module_utils._program import main
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.store import Store
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _preflight, _removed
from tests import run
from tests.unit import test_guards_layers as layers

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md"), *ROOT.glob("roles/*/README.md")])
SPECS = _preflight.specs()
VARIABLES = {name for spec in SPECS.values() for name in spec} | set(_preflight.PLAYBOOK_VARIABLES)
# Modules, groups of the inventory, and the custom statistic of guide_report.
OTHER_NAMES = {path.stem for path in (ROOT / "plugins/modules").glob("*.py")}
OTHER_NAMES |= {"chamilo_web", "chamilo_db", "chamilo_version"}  # groups, and a key of report.json
OTHER_NAMES |= {"chamilo_ids"}  # a file of Chamilo's
# What belongs to other programs: their own documentation describes it.
FOREIGN = (
    *("ansible-galaxy ", "apt ", "git ", "pipx "),
    *("ansible-navigator ", "ansible-pull ", "docker run ", "version: 3\n"),  # tests/hosts/test_fleet.py runs them
    *("tar ", "mariadb ", "gh ", "sha256sum ", "python3 -m ", "useradd ", "chown ", "ansible/bin/"),
    *("proxy_set_header ", "http-check ", "include ", "for section in ", "do chamilo-hardening "),
)
COMMANDS = re.compile(r"(ansible-playbook|chamilo-hardening|bin/\w+)\s")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> Iterator[str]:
    """The indented examples of a page, each without its indentation; a line that ends in a backslash goes on."""
    # Lines that continue an item of a list are indented too, but no empty line stands before them.
    for found in re.finditer(r"(?<=\n\n)(?: {4}.*\n|\n(?= {4}))+", page.read_text() + "\n"):
        yield re.sub(r"\\\n\s*", "", re.sub(r"^ {4}", "", found[0], flags=re.MULTILINE))


def commands(line: str) -> list[str]:
    """The commands a line stands for: `open|close` and `backup | drill` are alternatives, the rest is a remark."""
    line = re.split(r"\s#\s|\s{3,}", line)[0].strip()
    program, _space, rest = line.partition(" ")
    if " | " in rest:
        return [f"{program} {one}" for one in rest.split(" | ")]
    line = re.sub(r"\[([^\]]*)\]", r"\1", line) if program == "chamilo-hardening" else line
    choice = re.search(r"\b([a-z]+)\|([a-z]+)\b", line)
    return [line.replace(choice[0], one) for one in choice.groups()] if choice else [line]


EXAMPLES = [(page, block) for page in PAGES for block in blocks(page)]
LINES = [
    pytest.param(command, id=f"{name(page)}: {command}")
    for page, block in EXAMPLES
    for line in block.splitlines()
    if COMMANDS.match(line)
    for command in commands(line)
]
DATA = [
    pytest.param(block, id=f"{name(page)}: {block.splitlines()[0]}")
    for page, block in EXAMPLES
    if not COMMANDS.match(block) and not block.startswith(FOREIGN)
]
INLINE = [
    pytest.param(found, id=f"{name(page)}: {found}")
    for page in PAGES
    for found in re.findall(r"`(chamilo_\w+: [^`]+)`", page.read_text())
]


def set_in(data: Any) -> Iterator[tuple[str, Any]]:
    """The variables of the collection that are set anywhere in an inventory, a play or a file of variables."""
    if isinstance(data, dict):
        for key, value in data.items():
            if str(key).startswith("chamilo_") and key not in OTHER_NAMES:
                yield key, value
            else:
                yield from set_in(value)
    elif isinstance(data, list):
        for entry in data:
            yield from set_in(entry)


def refused(values: dict[str, Any]) -> list[str]:
    sections = [section for section in SPECS if section != "common"]
    # Each example shows some variables of a host: what they need beside them is the text's business.
    beside = {"chamilo_trusted_proxies": ["192.0.2.1"]} if "chamilo_https_terminated_elsewhere" in values else {}
    if values.get("chamilo_https_certificate") == "files":
        beside = {f"chamilo_https_certificate_{part}": "/etc/ssl/x.pem" for part in ("file", "key_file")}
    return _preflight.errors(SPECS, sections, {**beside, **values})


@pytest.mark.parametrize("command", LINES)
def test_a_command_of_the_documentation_parses(command: str) -> None:
    program, *words = shlex.split(command)
    if program == "chamilo-hardening":
        main._parser("0").parse_args(words)
    elif program == "ansible-playbook":
        cli = PlaybookCLI([program, *words])
        cli.init_parser()
        options = cli.parser.parse_args(words)
        (playbook,) = options.args
        file = playbook if "/" in playbook else f"playbooks/{playbook.removeprefix('chamilo.hardening.')}.yml"
        assert (ROOT / file).is_file()
        assert {tag for tags in options.tags for tag in tags.split(",")} <= {"preflight", *run.SECTIONS}
        values: dict[str, Any] = {}
        for extra in options.extra_vars:
            values |= json.loads(extra) if extra.startswith("{") else dict([extra.split("=", 1)])
        assert not refused({name: value for name, value in values.items() if name.startswith("chamilo_")})
    elif program == "bin/env":
        assert words
    else:
        assert (ROOT / program).is_file()


@pytest.mark.parametrize("block", DATA)
def test_an_example_of_variables_is_accepted(block: str) -> None:
    values = dict(set_in(yaml.safe_load(block)))
    of_tasks = block.startswith("- name: ") and "delegate_to: balancer.internal" in block  # a host test runs them
    assert (
        values
        or of_tasks
        or "chamilo:" in block
        or "listen: chamilo web server reloaded" in block
        or "name: chamilo-hardening" in block
        or "role: chamilo.hardening" in block
        or "import_playbook: chamilo.hardening" in block
    )
    assert not refused(values)


@pytest.mark.parametrize("text", INLINE)
def test_a_variable_within_a_sentence_takes_the_value_shown(text: str) -> None:
    assert not refused(dict(set_in(yaml.safe_load(text))))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_variable_that_a_page_names_exists(page: Path) -> None:
    # `chamilo_monitoring_smtp_*` stands for all that begin so.
    named = re.findall(r"(?<![\w.-])(chamilo_\w+)(\*?)", page.read_text())
    gone = set(_removed.INSTEAD) if page.name == "upgrade.md" else set()
    known = VARIABLES | OTHER_NAMES | gone
    assert [
        word + star
        for word, star in named
        if not (any(one.startswith(word) for one in known) if star else word in known)
    ] == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub forms them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> Iterator[str]:
    """The relative links of a page that lead to no file, or to no heading in it."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        place, _hash, anchor = link.partition("#")
        target = page.parent / place if place else page
        if not re.match(r"\w+:", link) and (not target.exists() or (anchor and anchor not in anchors(target))):
            yield link


@pytest.mark.parametrize("page", [*PAGES, *ROOT.glob("tests/**/README.md")], ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken(page)) == []


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# Two words\n")
    links = "[a](other.md) [b](other.md#two-words) [c](#here) [d](https://example.org/x) [e](gone.md)"
    (tmp_path / "page.md").write_text(f"## Here\n{links} [f](other.md#no) [g](#no)\n")
    assert list(broken(tmp_path / "page.md")) == ["gone.md", "other.md#no", "#no"]


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150, "what is for a few readers goes to docs/"


# Pages that guide a contributor through the files. Names in them stand for others: <section>, <name>, SITE.
GUIDES = [ROOT / "CONTRIBUTING.md", ROOT / "docs/architecture.md", ROOT / "docs/controls.md", ROOT / "docs/tested.md"]
TOPS = "bin|docs|meta|molecule|playbooks|plugins|roles|tests|_common|_permissions"


@pytest.mark.parametrize("page", GUIDES, ids=name)
def test_each_path_that_a_contributor_is_sent_to_exists(page: Path) -> None:
    named = set(re.findall(rf"`((?:{TOPS})/[^`\s]+)`", page.read_text()))
    gone = []
    for path in sorted(named):
        pattern = path.replace("<section>", "headers").replace("_<package>", "_common").rstrip("/")
        below = ROOT / "plugins/module_utils" if path.startswith("_") else ROOT
        if not list(below.glob(pattern)):
            gone.append(path)
    assert gone == []


def test_the_architecture_names_each_package_on_its_floor() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    table = text[text.index("| floor |") : text.index("What two sections need")]
    rows = [re.findall(r"`(_\w+)`", row.split("|")[2]) for row in table.splitlines()[3:] if row]
    assert rows == [list(floor) for floor in reversed(layers.FLOORS)]


def test_what_the_architecture_calls_state_is_written_by_the_code() -> None:
    """A file in the tables of the state on disk is one that an engine or a role names."""
    sources = [*(ROOT / "plugins/module_utils").rglob("*.py"), *(ROOT / "roles").rglob("*.yml")]
    code = "\n".join(path.read_text() for path in sources)
    tables = (ROOT / "docs/architecture.md").read_text().split("## State on disk")[1].split("## A transaction")[0]
    rows = [line.split("|")[1] for line in tables.splitlines() if line.startswith("| `")]
    names = {one for row in rows for one in re.findall(r"`([^`]+)`", row)}
    assert len(names) > 30
    # As the code puts them together: the part before or after the name of the portal, of a step or of a time.
    parts = {re.split(r"SITE|STEP|\*", one.rstrip("/"))[:: -1 if one[0] == "*" else 1][0] for one in names}
    parts = {one.removeprefix("backups/").removesuffix(".lock") if one != ".lock" else one for one in parts} - {""}
    assert [one for one in sorted(parts) if one not in code] == []


def test_the_journal_of_the_architecture_has_the_keys_of_the_code() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs/architecture.md").read_text(), re.DOTALL)
    assert set(json.loads(block)) == set(Store("/nonexistent").peek())
