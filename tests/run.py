"""The engine of bin/test: runs the steps, shows how long each took, shows a failing one whole, goes on to the end.

Four workers take one step after another: tests on hosts often wait, for a ban to end or a window to close. A step is a
command with a time limit; its output goes to .cache/logs/. It fails by its exit code, or when Ansible printed a warning
or a deprecation. What takes long comes first, so that the workers end together: how long a step took is kept in
.cache/durations.json, and for a new checkout in tests/durations.json, a copy of that.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.selection import SECTIONS, changed_since, host_stems, sections_of, stems_of
from tests.testbed import hosts
from tests.testbed import images as testbed_images

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
LOGS = CACHE / "logs"
TREE = CACHE / "tree"  # a real copy of the collection: ansible-test does not accept a link
# What ansible-test needs beside that: without .gitignore it also scans the environment it makes in tests/output.
OF_ANSIBLE_TEST = ("tests/config.yml", ".gitignore")
DURATIONS = CACHE / "durations.json"
KNOWN_DURATIONS = ROOT / "tests/durations.json"
WARNING = re.compile(r"\[(WARNING|DEPRECATION WARNING)\]")
PYTEST_LINE = re.compile(r"^=* ?(\d+ (?:passed|failed|error).*?) in [\d.]+s", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    name: str
    command: list[str]
    minutes: float
    cwd: Path = ROOT
    env: dict[str, str] = field(default_factory=dict)
    needs: str = ""  # another step of this run that comes first: when it failed, this one cannot run and fails too


class Run:
    def __init__(self, steps: list[Step]) -> None:
        self.start = time.monotonic()
        self.lock = threading.Lock()
        self.waiting = list(steps)
        self.names = {step.name for step in steps}
        self.ended = threading.Condition()
        self.results: dict[str, bool] = {}
        self.seconds: dict[str, int] = {}
        self.running: set[subprocess.Popen[bytes]] = set()

    def report(self, text: str) -> None:
        with self.lock:
            print(f"[{time.monotonic() - self.start:5.0f} s] {text}", flush=True)

    def work(self) -> None:
        while step := self.next():
            if self.results.get(step.needs, True):
                result = self.step(step)
            else:
                result = False
                self.report(f"FAILED {step.name}: not run, it needs the step '{step.needs}'")
            with self.ended:
                self.results[step.name] = result
                self.ended.notify_all()

    def next(self) -> Step | None:
        """The first step that can begin; waits for one. None when nothing is left."""
        with self.ended:
            while self.waiting:
                for step in self.waiting:
                    if step.needs not in self.names or step.needs in self.results:
                        self.waiting.remove(step)
                        return step
                self.ended.wait()
        return None

    def step(self, step: Step) -> bool:
        log = LOGS / (re.sub(r"\W+", "-", step.name) + ".log")
        began = time.monotonic()
        self.report(f"start  {step.name}")
        with log.open("wb") as out:
            process = subprocess.Popen(
                step.command,
                cwd=step.cwd,
                env={**os.environ, "NO_COLOR": "1", **step.env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.running.add(process)
            try:
                code = process.wait(step.minutes * 60)
                why = f"exit code {code}" if code else ""
            except subprocess.TimeoutExpired:
                why = f"not done after {step.minutes:g} minutes"
                self.stop(process)
            self.running.discard(process)
        text = log.read_text(errors="replace")
        if not why and WARNING.search(text):
            why = "Ansible printed a warning"
        seconds = time.monotonic() - began
        if why:
            with self.lock:
                print(f"--- {step.name}: {' '.join(step.command)}\n{text.rstrip()}\n--- end of {step.name}")
            self.report(f"FAILED {step.name} ({seconds:.0f} s): {why}; log: {log.relative_to(ROOT)}")
            return False
        with self.lock:
            self.seconds[step.name] = round(seconds)
        tests = PYTEST_LINE.findall(text)
        self.report(f"ok     {step.name} ({seconds:.0f} s)" + (f": {tests[-1]}" if tests else ""))
        return True

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """Ends a step with all it started: first politely, so that it can take its hosts down."""
        for number, patience in ((signal.SIGINT, 30), (signal.SIGKILL, 5)):
            try:
                os.killpg(process.pid, number)
                process.wait(patience)
                return
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue


def copy_checkout(target: Path, *paths: str) -> Path:
    """Copy the files of the checkout below these paths (all by default) to a directory that nothing else writes to."""
    shutil.rmtree(target, ignore_errors=True)
    for name in listed(*(paths or (".",))):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    return target


def copy_tree() -> Path:
    """Lays what the collection ships where ansible-test wants a collection."""
    shutil.rmtree(TREE, ignore_errors=True)
    shipped = ("galaxy.yml", "meta", "playbooks", "plugins", "roles")
    target = copy_checkout(TREE / "ansible_collections/chamilo/hardening", *shipped, *OF_ANSIBLE_TEST)
    (TREE / "ansible_collections/ansible").symlink_to(CACHE / "collections/ansible_collections/ansible")
    # Without a repository of its own ansible-test asks the checkout around it, which ignores .cache, and finds nothing.
    subprocess.run(["git", "init", "--quiet"], cwd=target, check=True)
    return target


def listed(*paths: str) -> list[str]:
    """The files of the checkout below these paths, new ones included, ignored ones not."""
    # The checkout may belong to another user than root.
    command = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "--", *paths]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return [name for name in names if os.path.lexists(ROOT / name)]


def home_of_ansible_test() -> Path:
    """A home directory for ansible-test: it would download get-pip, and has one here that uses Python's ensurepip."""
    home = CACHE / "home"
    stand_in = (
        "import subprocess, sys\n"
        'subprocess.check_call([sys.executable, "-m", "ensurepip"], stdout=subprocess.DEVNULL)\n'
        'pinned = [word for word in sys.argv[1:] if "==" in word]\n'
        'subprocess.check_call([sys.executable, "-m", "pip", "install", "-q", *pinned])\n'
    )
    directory = home / ".ansible/test/cache"
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("get_pip_24_2.py", "get_pip_25_2.py"):
        (directory / name).write_text(stand_in)
    return home


def read(path: Path) -> dict[str, Any]:
    """What was recorded; nothing where nothing was."""
    return dict(json.loads(path.read_text())) if path.exists() else {}


def write(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n")


def longest_first(steps: Sequence[Step]) -> list[Step]:
    """In the order of how long they took. What never ran comes first: it may take long."""
    known = read(KNOWN_DURATIONS) | read(DURATIONS)
    return sorted(steps, key=lambda step: (-known.get(step.name, 3600), step.name))


ON_HOSTS = ["pytest", "-v", "--durations=20"]


# Two, for three other steps run beside it.
UNIT_TESTS = ["pytest", "-q", "--numprocesses=2", "--dist=worksteal", "tests/unit"]
FAST_UNIT_TESTS = [*UNIT_TESTS, "--numprocesses=auto", "-m", "not slow"]


def fast_steps(slow: bool = True) -> list[Step]:
    """What needs no host. Unit tests that run whole playbooks or a crash at any moment are left out unless ``slow``."""
    documentation = "antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs self --skip-rstcheck"
    return [
        Step("ruff", ["ruff", "check"], 1),
        Step("mypy", ["mypy"], 2),
        Step("shellcheck", ["shellcheck", *listed("bin", ".ci")], 1),
        Step("codespell", ["codespell"], 1),
        Step("yamllint", ["yamllint", "--strict", "."], 1),
        Step("workflows", ["zizmor", "--offline", "--no-progress", ".github"], 1),
        Step(
            "workflows' schema",
            ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", *listed(".github/workflows")],
            1,
        ),
        Step("ansible-lint", ["ansible-lint", "--offline"], 3),
        Step("documentation", [str(ROOT / "bin/env"), "--docs", *documentation.split(), "."], 5),
        Step("changelog", ["antsibull-changelog", "lint"], 1),
        # Beside three others they take three times as long as alone, on a slow machine six times.
        Step("unit tests", UNIT_TESTS if slow else FAST_UNIT_TESTS, 45),
    ]


# Half of what ansible-test takes: ruff and mypy find what pylint would, and each test runs what import imports.
LEFT_TO_FULL = ("--skip-test", "pylint", "--skip-test", "import")


def package_steps(full: bool = False) -> list[Step]:
    """What is shipped: checked by ansible-test and by Galaxy's own import check."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    (CACHE / "dist").mkdir(exist_ok=True)
    package = CACHE / f"dist/chamilo-hardening-{version}.tar.gz"
    return [
        Step(
            "ansible-test sanity",
            ["ansible-test", "sanity", "--venv", "--python", python, "--color", "no", *(() if full else LEFT_TO_FULL)],
            10,
            cwd=copy_tree(),
            env={"HOME": str(home_of_ansible_test())},
        ),
        Step(
            "build",
            ["python", "-m", "tests.tools.package", str(package.parent)],
            2,
        ),
        Step(
            "galaxy-importer",
            [str(ROOT / "bin/env"), "--importer", "python", "-m", "galaxy_importer.main", str(package)],
            5,
            cwd=package.parent,
            # Our own step asks ansible-lint, by stricter rules.
            env={"GALAXY_IMPORTER_RUN_ANSIBLE_LINT": "false"},
            needs="build",
        ),
        Step(
            "documentation site",
            [str(ROOT / "bin/env"), "--docs", "python", "-m", "tests.tools.documentation_site"],
            5,
        ),
    ]


def molecule(scenarios: str) -> list[str]:
    """Without the reset it would take the hosts of a run that was cut off for hosts that it made just now."""
    return ["sh", "-c", f"molecule reset && exec molecule test {scenarios}"]


LONG = re.compile(r"^pytestmark = pytest\.mark\.long$", re.MULTILINE)  # a file that only --full runs
# Whose tests on the wire run on a second cell, Apache on Debian 12: harden and all attacks, and rollbacks. Each role
# alone meets Apache by molecule; --full runs all tests on all cells.
SECOND_CELL = ("harden", "transaction")


# Whose tests --full runs on the next version of Chamilo, too, with either server. bin/test runs test_flavours there.
LATER = ",".join(f"trixie-{web}-3.0" for web in testbed_images.SERVERS)
ON_LATER = {"settings", *SECTIONS, "audit", "window"}


# The attacks of test_prove go at the host that test_harden hardened: one process, in this order.
TOGETHER = {"harden": ["prove"]}


def host_steps(full: bool) -> list[Step]:
    """Real hosts: what is not long on one cell, and some of it on a second; or everything on all, and bin/demo."""
    images = Step("images", ["python", "-m", "tests.testbed", "image", "--all"], 20)
    steps = [
        Step(f"demo {web} {release}", ["bin/demo", "--web", web, "--release", release], 8, needs="images")
        for web, release in itertools.product(testbed_images.SERVERS, testbed_images.RELEASES)
        if full
    ]
    # nginx is the first cell of the tests on hosts below.
    of = {} if full else {"TESTBED_INVENTORY": "apache.yml"}
    steps.append(Step("molecule", molecule("--all"), 30, env=of, needs="images"))
    second = ["-m", "wire", "--matrix", "bookworm-apache"]
    for first in host_stems() - {stem for others in TOGETHER.values() for stem in others}:
        files = [f"tests/hosts/test_{stem}.py" for stem in (first, *TOGETHER.get(first, []))]
        text = "\n".join((ROOT / file).read_text() for file in files)
        name, command = f"hosts {first}", [*ON_HOSTS, *files]
        if full:
            steps.append(Step(name, [*command, "--full"], 120, needs="images"))
        elif not LONG.search(text):
            steps.append(Step(name, command, 30, needs="images"))
            if first in SECOND_CELL:
                steps.append(Step(f"{name}, second cell", [*command, *second], 30, needs="images"))
        if full and first in ON_LATER:
            steps.append(Step(f"{name}, later Chamilo", [*command, "--matrix", LATER], 120, needs="images"))
    return [images, *longest_first(steps)]


def changed_steps(base: str) -> list[Step]:
    """What needs no host, and of the tests on hosts those that the changes since this base may make fail."""
    chosen = sections_of(changed_since(base))
    images, *on_hosts = host_steps(full=False)
    if chosen is None:
        return [images, *fast_steps(), *package_steps(), *on_hosts]
    sections, stems = chosen
    cells = ("", ", second cell")
    names = {f"hosts {stem}{cell}" for stem in stems_of(sections, stems) for cell in cells}
    on_hosts = [step for step in on_hosts if step.name in names]
    scenarios = [section for section in sorted(sections) if (ROOT / "molecule" / section).is_dir()]
    if scenarios:
        command = molecule(" ".join(f"-s {section}" for section in scenarios))
        on_hosts.append(Step("molecule", command, 30, env={"TESTBED_INVENTORY": "apache.yml"}, needs="images"))
    return [*([images] if on_hosts else []), *fast_steps(), *package_steps(), *on_hosts]


def alone_steps() -> list[Step]:
    """What measures time, or fills the machine by itself."""
    return [
        Step("bench", ["python", "-m", "tests.bench"], 20),
        *(
            Step(f"bench of requests, {web}", ["python", "-m", "tests.bench.web", "--web", web], 20)
            for web in ("nginx", "apache")
        ),
        Step("bench of permissions", ["python", "-m", "tests.bench.permissions"], 20),
        Step("bench of last week's log", ["python", "-m", "tests.bench.forecast"], 5),
        Step("bench of backups", ["python", "-m", "tests.bench.backups"], 20),
        Step("bench of a fleet", ["python", "-m", "tests.bench.fleet"], 60),
        Step("Debian 12 as the controller", ["python", "-m", "tests.debian12"], 20),
    ]


def full_steps(part: slice) -> tuple[list[Step], list[Step]]:
    """All steps, or a part of them; and those that run one after the other, behind the others."""
    images, *on_hosts = host_steps(full=True)
    first = [] if part.start else [*fast_steps(), *package_steps(full=True)]
    return [images, *first, *on_hosts[part]], alone_steps()[part]


def shard(text: str) -> slice:
    """The part that `--shard K/N` names: each N-th step, from the K-th on."""
    number, count = (int(word) for word in text.split("/"))
    if not 1 <= number <= count:
        raise ValueError(text)
    return slice(number - 1, None, count)


def section_steps(section: str) -> list[Step]:
    guards = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests/unit").glob("test_guards_*.py"))
    steps = [Step("guards", ["pytest", "-q", *guards], 2)]
    steps.append(Step("tests", ["pytest", "-q", "-k", section, "tests/unit", "tests/hosts"], 30))
    if (ROOT / "molecule" / section).is_dir():
        steps.append(Step("molecule", molecule(f"-s {section}"), 15))
    return steps


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bin/test", description="The tests of this collection. Without an argument: all that CI runs."
    )
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--fast", action="store_true", help="two minutes; neither root nor Docker")
    one.add_argument("--changed", metavar="BASE", help="as CI, but only the sections that changed since a commit")
    one.add_argument("--full", action="store_true", help="the whole matrix and the long ones")
    one.add_argument("section", nargs="?", choices=SECTIONS, metavar="SECTION", help="only the tests of this section")
    parser.add_argument("--shard", metavar="K/N", type=shard, help="of --full, the part K of N")
    args = parser.parse_args()
    if args.shard and not args.full:
        parser.error("--shard is for --full")
    if args.section:
        return execute(section_steps(args.section))
    if args.fast:
        return execute(fast_steps(slow=False))
    alone: list[Step] = []
    if args.changed:
        steps = changed_steps(args.changed)
    elif args.full:
        steps, alone = full_steps(args.shard or slice(None))
    else:
        images, *on_hosts = host_steps(full=False)  # images come first: most of the others wait for them
        steps = [images, *fast_steps(), *package_steps(), *on_hosts]
    with shared_stages():
        code = execute(steps)
    return (execute(alone, 1) if alone else 0) or code


@contextlib.contextmanager
def shared_stages() -> Iterator[None]:
    """Lets the steps use the hosts that one of them brought into a state that took long to reach."""
    with tempfile.TemporaryDirectory() as directory:
        os.environ["CHAMILO_TEST_STAGES"] = directory
        try:
            yield
        finally:
            hosts.forget_stages(Path(directory))


def execute(steps: list[Step], workers: int = 4) -> int:
    LOGS.mkdir(parents=True, exist_ok=True)
    run = Run(steps)
    # SIGINT too: what is started in the background ignores it, and so would the steps, which are stopped by it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    threads = [threading.Thread(target=run.work, daemon=True) for _number in range(workers)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        run.waiting.clear()  # or the workers begin the next steps meanwhile
        for process in list(run.running):
            run.stop(process)
        print("stopped")
        return 130
    write(DURATIONS, read(DURATIONS) | run.seconds)
    names = [step.name for step in steps]
    failed = [name for name in names if not run.results.get(name)]
    if failed:
        print("failed: " + ", ".join(failed))
    print(f"{len(names) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
