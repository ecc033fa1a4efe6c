"""How many planted mistakes the unit tests of the engines notice.

    bin/env --mutation python -m tests.mutation [--number 100] [--seed 4] [--jobs 2] [--list] [PACKAGE ...]

Cosmic Ray finds every place where an operator, a number, a condition or an exception can be changed. A seeded sample of
these, but of what changes nothing (no_mistake.py), is planted one at a time in a copy of the checkout, and the engine's
own unit tests run against it, then those of all that imports it. A mistake is noticed when they fail or do not end.
The share noticed is printed, with the mistakes that were not noticed.
"""

from __future__ import annotations

import argparse
import math
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import unified_diff
from functools import cache
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.plugins import get_operator, operator_names

from tests.mutation.no_mistake import NoMistake

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".cache/main/bin/python"
ENGINES = ROOT / "plugins/module_utils"
UNIT = ROOT / "tests/unit"
GUARDS = tuple(f"tests/unit/test_guards_{what}.py" for what in ("limits", "readers", "table", "writers"))
ENOUGH = 0.85
# A mistake planted in an engine that changes owners as root must not reach this machine: all but the tree is read-only.
CAGE = """
mount --bind "$0" "$0"
findmnt --raw --noheadings --output TARGET | grep -Fxv "$0" | while read -r place; do
  mount -o remount,bind,ro "$(printf %b "$place")"
done
mount -t tmpfs tmpfs /var/tmp
mount -t tmpfs tmpfs /dev/shm
cd "$0" && exec "$@"
"""


@dataclass(frozen=True)
class Mutant:
    file: Path
    line: int
    operator: str
    occurrence: int

    def code(self) -> str:
        return str(MutationVisitor.mutate_code(self.file.read_text(), get_operator(self.operator)(), self.occurrence))

    def is_readable(self) -> bool:
        try:
            compile(self.code(), self.file, "exec")
        except (SyntaxError, AttributeError):  # Cosmic Ray cannot replace an exception with a dot in its name
            return False
        return True

    def __str__(self) -> str:
        before, after = self.file.read_text().splitlines(), self.code().splitlines()
        lines = [line for line in unified_diff(before, after, lineterm="", n=0) if line[:2] not in ("--", "++", "@@")]
        return "\n    ".join([f"{self.file.relative_to(ROOT)}:{self.line} {self.operator.split('/')[1]}", *lines])


@cache
def mutants(file: Path) -> list[Mutant]:
    nodes, no_mistake, found = list(ast_nodes(get_ast_from_path(file))), NoMistake(file.read_text()), []
    for name in sorted(operator_names()):
        if get_operator(name).arguments():  # those that need a name to work with
            continue
        operator = get_operator(name)()
        places = (start for node in nodes for start, _end in operator.mutation_positions(node))
        for occurrence, (line, column) in enumerate(places):
            if not no_mistake(name.split("/")[1], line, column):
                found.append(Mutant(file, line, name, occurrence))
    return found


def sample(files: list[Path], number: int, seed: int) -> list[Mutant]:
    """A file is drawn by its size, then a mistake in it: to list all that are possible in all files takes minutes."""
    chance, chosen = random.Random(seed), dict[Mutant, None]()
    sizes = [file.stat().st_size for file in files]
    while len(chosen) < number:
        (file,) = chance.choices(files, sizes)
        if possible := mutants(file):
            mutant = chance.choice(possible)
            if mutant.is_readable():
                chosen[mutant] = None
    return list(chosen)


def own_tests(file: Path) -> list[str]:
    package, name = file.relative_to(ENGINES).parts
    return [str((UNIT / "plugins/module_utils" / package / f"test_{name}").relative_to(ROOT))]


@cache
def further_tests(file: Path) -> list[str]:
    """Those that import it, those of the engines that import it, and guards of what no engine's own tests see."""
    package, name = file.relative_to(ENGINES).with_suffix("").parts
    imports = re.compile(rf"\._?{package} import \(?[^)]*?\b{name}\b|\b{package}\.{name}\b")
    near = [path for path in ENGINES.glob("_*/*.py") if imports.search(path.read_text())]
    found = {test for path in near for test in own_tests(path) if (ROOT / test).exists()}
    found |= {str(path.relative_to(ROOT)) for path in UNIT.rglob("test_*.py") if imports.search(path.read_text())}
    return sorted({*found, *GUARDS} - set(own_tests(file)))


def copy(directory: Path) -> Path:
    command = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    for name in filter(lambda name: os.path.lexists(ROOT / name), listed.stdout.splitlines()):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, directory / name, follow_symlinks=False)
    (directory / ".cache").mkdir()
    (directory / ".cache/collections").symlink_to(ROOT / ".cache/collections")  # which plays over recorded sites need
    return directory


def run(tests: list[str], tree: Path, patience: float) -> str:
    """What the tests print in this tree when they fail; nothing when they pass."""
    (tree / "tmp").mkdir(exist_ok=True)
    own = {"PYTHONPATH": f"{tree}:{tree}/.collections", "TMPDIR": f"{tree}/tmp", "HOME": f"{tree}/tmp"}
    own["PATH"] = f"{PYTHON.parent}:{os.environ['PATH']}"  # ruff, which a test runs
    caged = ["unshare", "--mount", "--propagation", "private", "bash", "-euc", CAGE, str(tree)]
    command = [*caged, str(PYTHON), "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", *tests]
    process = subprocess.Popen(
        command, env={**os.environ, **own}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        output, _none = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"they did not end in {patience:.0f} s"
    return output.decode(errors="replace") if process.returncode else ""


class Trees:
    """Copies of the checkout, one for each job."""

    def __init__(self, directory: Path, jobs: int) -> None:
        self.free: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(jobs):
            self.free.put(copy(directory / str(number)))
        self.took: dict[str, float] = {}

    def patience(self, tests: list[str], tree: Path) -> float:
        """How long they may take. Tests that fail in the cage before anything is planted notice nothing."""
        key = " ".join(tests)
        if key not in self.took:
            began = time.monotonic()
            output = run(tests, tree, 1200)
            if output:
                print(f"{key} fail before anything was planted:\n{output[-2000:]}", file=sys.stderr, flush=True)
            self.took[key] = float("nan") if output else time.monotonic() - began
        return 20 + 5 * self.took[key]

    def notice(self, mutant: Mutant) -> bool:
        tree = self.free.get()
        try:
            planted = tree / mutant.file.relative_to(ROOT)
            for tests in filter(None, (own_tests(mutant.file), further_tests(mutant.file))):
                patience = self.patience(tests, tree)
                if math.isnan(patience):
                    continue
                planted.write_text(mutant.code())
                noticed = run(tests, tree, patience)
                shutil.copy2(mutant.file, planted)
                if noticed:
                    return True
            return False
        finally:
            self.free.put(tree)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.splitlines()[0])
    packages = sorted(path.name for path in ENGINES.glob("_*/") if path.name != "__pycache__")
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=", ".join(packages))
    parser.add_argument("--number", type=int, default=100, help="how many mistakes to plant")
    parser.add_argument("--seed", type=int, default=4, help="the same seed takes the same sample")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", action="store_true", help="only show them")
    options = parser.parse_args()
    if unknown := sorted(set(options.packages) - set(packages)):
        parser.error(f"no such package: {', '.join(unknown)}; there are {', '.join(packages)}")

    files = [file for package in options.packages or packages for file in sorted((ENGINES / package).glob("*.py"))]
    chosen = sample([file for file in files if file.stat().st_size], options.number, options.seed)
    print(f"{len(chosen)} mistakes, seed {options.seed}", flush=True)
    if options.list:
        print("\n".join(map(str, chosen)))
        return 0

    noticed: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(options.jobs) as pool:
        Path(directory).chmod(0o755)  # some tests go on as the web user
        for mutant, was_noticed in zip(chosen, pool.map(Trees(Path(directory), options.jobs).notice, chosen)):
            noticed[mutant.file.parent.name] += was_noticed
            if not was_noticed:
                print(f"not noticed: {mutant}", flush=True)
    planted = Counter(mutant.file.parent.name for mutant in chosen)
    for package, number in sorted(planted.items()):
        print(f"{package:<14} {noticed[package]:>3} of {number:>3} noticed")
    share = noticed.total() / len(chosen)
    print(f"{'all':<14} {noticed.total():>3} of {len(chosen):>3} noticed, {share:.1%} (enough: {ENOUGH:.0%})")
    return 0 if share >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
