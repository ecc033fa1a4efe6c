"""How many planted mistakes in what the roles are written in the tests without a host find.

    bin/env python -m tests.mutation.texts [--number 60] [--seed 4] [--list]

Mistakes as a person makes them: a task or a line left out, a condition turned round, a value replaced. They lie in
tasks and their conditions, in playbooks, templates, units, the report and the plans of the sections. A seeded sample,
the same share of each kind, is planted one at a time in a copy of the checkout, and the tests that bin/test --fast runs
on such a file run against it.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.run import copy_checkout

ROOT = Path(__file__).resolve().parents[2]
UNIT = "tests/unit"
PLUGINS = f"{UNIT}/plugins"
GUARDS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / UNIT).glob("test_guards_*.py"))
RENDERING = [f"{UNIT}/test_rendering.py"]
OF_ROLES = [*GUARDS, f"{PLUGINS}/plugin_utils/_plans", f"{UNIT}/test_waivers.py"]
# By kind: the files, and the tests that see them, the quick ones first.
KINDS: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "task": (("roles/*/tasks/*.yml", "roles/*/handlers/*.yml"), [*OF_ROLES, *RENDERING]),
    "when": (("roles/*/tasks/*.yml", "playbooks/*.yml", "playbooks/tasks/*.yml"), [*OF_ROLES, *RENDERING]),
    "playbook": (("playbooks/*.yml", "playbooks/tasks/*.yml"), [*GUARDS, *RENDERING]),
    "template": (("roles/*/templates/**/*.j2",), [*OF_ROLES, *RENDERING]),
    "unit": (
        (
            *("roles/*/templates/systemd/*.j2", "roles/brute_force/templates/memory.conf.j2"),
            *("plugins/module_utils/_permissions/window.py", "plugins/module_utils/_program/install.py"),
        ),
        [
            *GUARDS,
            *(f"{PLUGINS}/module_utils/_permissions/test_window.py", f"{PLUGINS}/module_utils/_program"),
            *RENDERING,
        ],
    ),
    "report": (("plugins/plugin_utils/report.html.j2",), [f"{PLUGINS}/plugin_utils/test__report.py"]),
    "plan": (("plugins/plugin_utils/_plans/*.py",), [*OF_ROLES, *RENDERING]),
}
# A value that is replaced by its opposite, and conditions that are turned round.
OPPOSITES = {"present": "absent", "started": "stopped", "true": "false", "True": "False"}
OPPOSITES |= {opposite: word for word, opposite in OPPOSITES.items() if word in ("true", "True")}
PYTHON = ((" == ", " != "), (" != ", " == "), (" and ", " or "), (" or ", " and "), (" not in ", " in "))
NO_CODE = ("#", '"""', "from ", "import ", "def ", "class ", "raise ")
SETTING = re.compile(r"^(\s+)([a-z_.]+): (\S.*)$")
UNIT_LINE = re.compile(r"^[A-Z][A-Za-z]+=")


@dataclass(frozen=True)
class Mistake:
    kind: str
    file: str
    line: int
    before: tuple[str, ...]
    after: tuple[str, ...]

    def text(self) -> str:
        lines = (ROOT / self.file).read_text(encoding="utf-8").split("\n")
        lines[self.line - 1 : self.line - 1 + len(self.before)] = self.after
        return "\n".join(lines)

    def __str__(self) -> str:
        shown = [*(f"-{line}" for line in self.before[:3]), *(f"+{line}" for line in self.after[:3])]
        return "\n    ".join([f"{self.kind:<8} {self.file}:{self.line}", *shown])


def number_changed(line: str) -> str:
    return re.sub(r"(?<![\w.])\d+(?!\.)", lambda found: str(int(found[0]) + 1).zfill(len(found[0])), line, count=1)


def in_tasks(lines: list[str]) -> Iterator[tuple[str, int, int, list[str]]]:
    """Kind, first line, number of lines, what stands there instead."""
    for at, line in enumerate(lines):
        if begin := re.match(r"^(\s*)- name: ", line):
            end = at + 1
            while end < len(lines) and (not lines[end].strip() or lines[end].startswith(begin[1] + " ")):
                end += 1
            yield "task", at, end - at, []
        elif not (found := SETTING.match(line)) or found[2] in ("name", "hosts", "description"):
            continue
        elif found[2] == "when":
            condition = re.sub(r"\s+# .*", "", found[3]).strip("'\"")
            if condition[0] not in "[>|":
                yield "when", at, 1, [f"{found[1]}when: not ({condition})"]
            yield "when", at, 1, []
        elif found[3] in OPPOSITES:
            yield "task", at, 1, [f"{found[1]}{found[2]}: {OPPOSITES[found[3]]}"]
        elif re.fullmatch(r"\d+|\"0\d{3}\"", found[3]):
            yield "task", at, 1, [number_changed(line)]
        else:
            yield "task", at, 1, []


def in_templates(lines: list[str]) -> Iterator[tuple[str, int, int, list[str]]]:
    for at, line in enumerate(lines):
        if turned := re.sub(r"\{%(-?) if (.*?) (-?)%\}", r"{%\1 if not (\2) \3%}", line, count=1):
            if turned != line:
                yield "template", at, 1, [turned]
        text = line.strip()
        if not text or text.startswith(("#", "//", "{%", "{#", "<?php", "}", "*", "/*", ";", "<!--")):
            continue
        yield "template", at, 1, []
        if re.search(r"\b\d+\b", re.sub(r"\{\{.*?\}\}", "", line)) and "{{" not in line:
            yield "template", at, 1, [number_changed(line)]


def in_units(lines: list[str]) -> Iterator[tuple[str, int, int, list[str]]]:
    for at, line in enumerate(lines):
        if UNIT_LINE.match(line):
            yield "unit", at, 1, []
            if re.search(r"=\d+\w*$", line):
                yield "unit", at, 1, [number_changed(line)]


def in_plans(lines: list[str]) -> Iterator[tuple[str, int, int, list[str]]]:
    for at, line in enumerate(lines):
        text = line.strip()
        if re.match(r"\s+f?\"[^\"]*\",?$", line) or text.startswith(NO_CODE):
            continue
        for before, after in PYTHON:
            if before in line.split("  #")[0]:
                yield "plan", at, 1, [line.replace(before, after, 1)]
        if turned := re.match(r"^(\s+)if (.*):$", line):
            yield "plan", at, 1, [f"{turned[1]}if not ({turned[2]}):"]
        for word in ("True", "False"):
            if re.search(rf"\b{word}\b", line):
                yield "plan", at, 1, [re.sub(rf"\b{word}\b", OPPOSITES[word], line, count=1)]
        if re.match(r"^\s+[\"'(*].*,$", line):
            yield "plan", at, 1, []


FINDERS = {"task": in_tasks, "when": in_tasks, "playbook": in_tasks, "template": in_templates, "report": in_templates}


def is_readable(mistake: Mistake) -> bool:
    """What no program can read is no plausible mistake: its author sees it at once."""
    try:
        if mistake.file.endswith(".yml"):
            plays = yaml.safe_load(mistake.text())
            return isinstance(plays, list) and all(isinstance(each, dict) and len(each) > 1 for each in plays)
        if mistake.file.endswith(".py"):
            compile(mistake.text(), mistake.file, "exec")
    except (yaml.YAMLError, SyntaxError):
        return False
    return True


def mistakes(kind: str) -> list[Mistake]:
    found = []
    for path in sorted({path for pattern in KINDS[kind][0] for path in ROOT.glob(pattern)}):
        lines = path.read_text(encoding="utf-8").split("\n")
        find = {"unit": in_units, "plan": in_plans}.get(kind) or FINDERS[kind]
        for of, at, count, after in find(lines):
            before = tuple(lines[at : at + count])
            if (of == "when") == (kind == "when") and before != tuple(after):
                found.append(Mistake(kind, str(path.relative_to(ROOT)), at + 1, before, tuple(after)))
    return found


def sample(number: int, seed: int) -> list[Mistake]:
    """As many of each kind."""
    chance, chosen = random.Random(seed), []
    kinds = list(KINDS)
    for index, kind in enumerate(kinds):
        share = (number - len(chosen)) // (len(kinds) - index)
        possible = mistakes(kind)
        chance.shuffle(possible)
        readable = (mistake for mistake in possible if is_readable(mistake))
        chosen += [mistake for mistake, _number in zip(readable, range(share))]
    return chosen


def copied(directory: Path) -> Path:
    tree = copy_checkout(directory / "tree")
    (tree / ".cache").symlink_to(ROOT / ".cache")
    return tree


def fails(tree: Path, tests: list[str]) -> bool:
    quick = ["-m", "not slow", "--quick"]  # as bin/test --fast
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *quick, *tests]
    environment = {**os.environ, "PYTHONPATH": f"{tree}:{tree}/.collections", "TMPDIR": str(tree.parent)}
    return bool(subprocess.run(command, cwd=tree, env=environment, capture_output=True, check=False).returncode)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.texts", description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=60, help="how many mistakes to plant")
    parser.add_argument("--seed", type=int, default=4, help="the same seed takes the same sample")
    parser.add_argument("--list", action="store_true", help="only show them")
    options = parser.parse_args()
    chosen = sample(options.number, options.seed)
    if options.list:
        print("\n".join(map(str, chosen)))
        return 0
    noticed: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as directory:
        tree = copied(Path(directory))
        for mistake in chosen:
            path = tree / mistake.file
            path.write_text(mistake.text(), encoding="utf-8")
            if fails(tree, KINDS[mistake.kind][1]):
                noticed[mistake.kind] += 1
            else:
                print(f"not noticed: {mistake}", flush=True)
            path.write_bytes((ROOT / mistake.file).read_bytes())
    for kind in KINDS:
        print(f"{kind:<10} {noticed[kind]:>3} of {sum(mistake.kind == kind for mistake in chosen):>3} noticed")
    print(f"{'all':<10} {noticed.total():>3} of {len(chosen):>3} noticed, {noticed.total() / len(chosen):.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
