"""How many planted mistakes the unit tests of the four engines find.

    bin/env --mutation python -m tests.mutation [--number 200] [--seed 4] [--jobs 2] [ENGINE ...]

Cosmic Ray finds every place where an operator, a number, a condition or an exception can be changed; a seeded sample of
these is planted one at a time in a copy of the checkout, and the engine's own unit tests run against it. A mistake is
found when they fail or do not end. The share found is printed, with the mistakes that were not noticed.
"""

from __future__ import annotations

import argparse
import ast
import os
import queue
import random
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
from pathlib import Path

from cosmic_ray.commands.init import _all_work_items  # the list of places; "init" would only put it into a database
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.plugins import get_operator

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".cache/main/bin/python"
UTILS = "plugins/module_utils"
UNIT = "tests/unit/plugins"
ENGINES = {
    "chamilo_perms": (
        "_permissions/walk",
        "_permissions/policy",
        "_permissions/tree",
        "_permissions/entries",
        "_permissions/change",
        "_permissions/quarantine",
        "_permissions/found",
        "_permissions/release",
        "_permissions/window",
    ),
    "chamilo_settings": (
        "_settings/plan",
        "_settings/apply",
        "_settings/undo_data",
        "_settings/undo",
        "_portal/overrides",
        "_settings/catalogue",
        "_portal/database",
    ),
    "fail2ban_filter": (
        "_brute_force/filter_proof",
        "_brute_force/filter_attacks",
        "_brute_force/log_fields",
        "_brute_force/filter_file",
        "_brute_force/access_log",
        "_brute_force/fail2ban",
    ),
    "chamilo_env": ("_settings/env_file", "_settings/env_transaction", "_portal/dotenv"),
}
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
    engine: str
    file: str
    line: int
    column: int
    operator: str
    arguments: tuple[tuple[str, object], ...]
    occurrence: int

    def code(self) -> str:
        made = get_operator(self.operator)(**dict(self.arguments))
        return str(MutationVisitor.mutate_code((ROOT / self.file).read_text(), made, self.occurrence))

    def diff(self) -> str:
        before, after = (ROOT / self.file).read_text().splitlines(), self.code().splitlines()
        lines = [line for line in unified_diff(before, after, lineterm="", n=0) if line[:3] not in ("---", "+++")]
        return "\n    ".join(lines)


def annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where type annotations stand: they are text to the interpreter, so a change there is no mistake."""
    found = []
    for node in ast.walk(ast.parse(source)):
        for name in ("annotation", "returns"):
            part = getattr(node, name, None)
            if part is not None:
                found.append(((part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)))
    return found


def mutants(engine: str) -> list[Mutant]:
    found = []
    for name in ENGINES[engine]:
        file = f"{UTILS}/{name}.py"
        text = annotations((ROOT / file).read_text())
        for item in _all_work_items([ROOT / file], {}):
            (at,) = item.mutations
            if any(start <= tuple(at.start_pos) < end for start, end in text):
                continue
            arguments = tuple(sorted(at.operator_args.items()))
            found.append(Mutant(engine, file, *at.start_pos, at.operator_name, arguments, at.occurrence))
    return found


def tests(engine: str) -> list[str]:
    files = [f"{UNIT}/module_utils/{'/test_'.join(name.split('/'))}.py" for name in ENGINES[engine]]
    return [file for file in [*files, f"{UNIT}/modules/test_{engine}.py"] if (ROOT / file).exists()]


def copy(directory: Path) -> Path:
    command = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    for name in filter(lambda name: os.path.lexists(ROOT / name), listed.stdout.splitlines()):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, directory / name, follow_symlinks=False)
    return directory


def run(engine: str, tree: Path, patience: float) -> str:
    """What the engine's tests print in this tree when they fail; nothing when they pass."""
    (tree / "tmp").mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": f"{tree}:{tree}/.collections", "TMPDIR": f"{tree}/tmp"}
    caged = ["unshare", "--mount", "--propagation", "private", "bash", "-euc", CAGE, str(tree)]
    command = [*caged, str(PYTHON), "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests(engine)]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        output, _none = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"they did not end in {patience:.0f} s"
    return output.decode(errors="replace") if process.returncode else ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.splitlines()[0])
    parser.add_argument("engines", nargs="*", metavar="ENGINE", help=", ".join(ENGINES))
    parser.add_argument("--number", type=int, default=200, help="how many mistakes to plant")
    parser.add_argument("--seed", type=int, default=4, help="the same seed takes the same sample")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    engines = options.engines or list(ENGINES)
    unknown = sorted(set(engines) - set(ENGINES))
    if unknown:
        parser.error(f"no such engine: {', '.join(unknown)}; there are {', '.join(ENGINES)}")

    possible = [mutant for engine in engines for mutant in mutants(engine)]
    sample = random.Random(options.seed).sample(possible, min(options.number, len(possible)))
    print(f"{len(sample)} of {len(possible)} possible mistakes, seed {options.seed}", flush=True)

    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)  # some tests go on as the web user
        trees: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(options.jobs):
            trees.put(copy(Path(directory) / str(number)))
        patience = {}
        tree = trees.get()
        for engine in engines:
            began = time.monotonic()
            if output := run(engine, tree, 600):
                print(f"the tests of {engine} fail before anything was planted:\n{output}", file=sys.stderr)
                return 2
            patience[engine] = 10 + 5 * (time.monotonic() - began)
        trees.put(tree)

        def found(mutant: Mutant) -> bool:
            tree = trees.get()
            try:
                (tree / mutant.file).write_text(mutant.code())
                return bool(run(mutant.engine, tree, patience[mutant.engine]))
            finally:
                shutil.copy2(ROOT / mutant.file, tree / mutant.file)
                trees.put(tree)

        results = {}
        with ThreadPoolExecutor(options.jobs) as pool:
            for mutant, was_found in zip(sample, pool.map(found, sample), strict=True):
                results[mutant] = was_found
                if not was_found:
                    print(f"not found: {mutant.file}:{mutant.line} {mutant.operator}\n    {mutant.diff()}", flush=True)
    planted, caught = Counter(mutant.engine for mutant in sample), Counter(m.engine for m, ok in results.items() if ok)
    for engine in engines:
        if planted[engine]:
            share = caught[engine] / planted[engine]
            print(f"{engine:<18} {caught[engine]:>3} of {planted[engine]:>3} found, {share:.1%}")
    share = caught.total() / len(sample)
    print(f"{'all':<18} {caught.total():>3} of {len(sample):>3} found, {share:.1%} (enough: {ENOUGH:.0%})")
    return 0 if share >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
