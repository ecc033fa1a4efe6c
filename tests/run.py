"""The engine of bin/test: steps that need no host, one after the other, and beside them those that need some.

A step is a command with a time limit; its output goes to .cache/logs/, and is shown whole when it fails: by its exit
code, by its time, or because Ansible printed a warning. pytest runs the tests on hosts in four processes: they often
wait, for a ban to end or a window to close.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import hosts, images
from tests.tools.checkout import CACHE, ROOT

SECTIONS = (
    "updates https permissions passwords brute_force sessions headers uploads database backups monitoring".split()
)
LOGS = CACHE / "logs"
WARNING = re.compile(r"\[(WARNING|DEPRECATION WARNING)\]")
SUMMARY = re.compile(r"^=* ?(\d+ (?:passed|failed|error).*?) in [\d.]+s", re.MULTILINE)
# pre-commit and git refuse a checkout of another user's, as a container of CI has it.
AROUND = {
    "NO_COLOR": "1",
    "PRE_COMMIT_HOME": str(CACHE / "pre-commit"),
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
}


@dataclass(frozen=True)
class Step:
    name: str
    command: str | list[str]
    minutes: float
    only: str = ""  # the inventory of molecule


class Run:
    """Steps in lanes: those of one follow each other."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.lock = threading.Lock()
        self.results: dict[str, bool] = {}
        self.running: set[subprocess.Popen[bytes]] = set()
        self.stopped = False

    def report(self, text: str) -> None:
        with self.lock:
            print(f"[{time.monotonic() - self.start:5.0f} s] {text}", flush=True)

    def lane(self, steps: list[Step]) -> None:
        for step in steps:
            if not self.stopped:
                self.results[step.name] = self.step(step)

    def step(self, step: Step) -> bool:
        log = LOGS / (re.sub(r"\W+", "-", step.name) + ".log")
        command = step.command if isinstance(step.command, list) else step.command.split()
        environment = {**os.environ, **AROUND, **({"TESTBED_INVENTORY": step.only} if step.only else {})}
        began = time.monotonic()
        self.report(f"start  {step.name}")
        with log.open("wb") as out:
            with self.lock:  # an interruption sees each process
                if self.stopped:
                    return False
                process = subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=environment,
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
                stop(process)
            self.running.discard(process)
        text = log.read_text(errors="replace")
        if not why and WARNING.search(text):
            why = "Ansible printed a warning"
        seconds = time.monotonic() - began
        if why:
            with self.lock:
                print(f"--- {step.name}: {' '.join(command)}\n{text.rstrip()}\n--- end of {step.name}")
            self.report(f"FAILED {step.name} ({seconds:.0f} s): {why}; log: {log}")
        else:
            tests = SUMMARY.findall(text)
            self.report(f"ok     {step.name} ({seconds:.0f} s)" + (f": {tests[-1]}" if tests else ""))
        return not why


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a step with all it started: first politely, so that it can take its hosts down."""
    for number, patience in ((signal.SIGINT, 60), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, number)
            process.wait(patience)


def execute(*lanes: list[Step]) -> int:
    LOGS.mkdir(parents=True, exist_ok=True)
    run = Run()
    # SIGINT too: what is started in the background ignores it, and so would the steps, which are stopped by it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    threads = [threading.Thread(target=run.lane, args=(steps,), daemon=True) for steps in lanes]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        with run.lock:
            run.stopped = True
        for process in list(run.running):
            stop(process)
        for thread in threads:
            thread.join(10)
        print("stopped")
        return 130
    failed = [step.name for steps in lanes for step in steps if not run.results.get(step.name)]
    if failed:
        print("failed: " + ", ".join(failed))
    print(f"{sum(map(len, lanes)) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


# Two processes beside those on hosts, which mostly wait.
UNIT_TESTS = "pytest -q --dist=worksteal tests/unit --numprocesses"


def fast_steps() -> list[Step]:
    return [
        Step("linters", "pre-commit run --all-files --hook-stage manual", 10),
        Step("unit tests", [*UNIT_TESTS.split(), "auto", "-m", "not slow"], 20),
    ]


def package_steps(full: bool = False) -> list[Step]:
    """What is shipped: checked by ansible-test and by Galaxy's own import check."""
    # Half of what ansible-test takes: ruff and mypy find what pylint would, and each test runs what import imports.
    left = "" if full else " --skip-test pylint --skip-test import"
    galaxy = (
        "rm -rf .cache/dist && python -m tests.tools.package .cache/dist && cd .cache/dist && "
        # Our own step asks ansible-lint, by stricter rules.
        "GALAXY_IMPORTER_RUN_ANSIBLE_LINT=false ../../bin/env --importer python -m galaxy_importer.main *.tar.gz"
    )
    return [
        Step("ansible-test sanity", f"python -m tests.tools.sanity{left}", 10),
        Step("galaxy-importer", ["sh", "-euc", galaxy], 8),
        Step("documentation site", "bin/env --docs python -m tests.tools.documentation_site", 8),
    ]


ON_HOSTS = (
    "pytest -v --durations=40 --numprocesses=4 --dist=loadscope --no-loadscope-reorder "
    "-o faulthandler_timeout=1500 tests/hosts"  # what hangs that long is named
)
IMAGES = Step("images", "python -m tests.testbed image --all", 20)


def molecule(*scenarios: str, full: bool = False) -> Step:
    """Without the reset it would take the hosts of a run that was cut off for hosts that it made just now."""
    chosen = " ".join(f"-s {name}" for name in scenarios) or "--all"
    # nginx is the first cell of the tests on hosts.
    only = "" if full else "apache.yml"
    return Step("molecule", ["sh", "-c", f"molecule reset && exec molecule test {chosen}"], 60, only)


def full_steps(shard: str) -> list[list[Step]]:
    """Everything, or one of N parts of it; what measures time comes last, and alone."""
    number, count = (int(word) for word in shard.split("/"))
    matrix = itertools.product(images.SERVERS, images.RELEASES)
    others = [
        *(Step(f"demo {web} {release}", f"bin/demo --web {web} --release {release}", 10) for web, release in matrix),
        molecule(full=True),
        Step("bench", "python -m tests.bench", 20),
        *(Step(f"bench of requests, {web}", f"python -m tests.bench.web --web {web}", 20) for web in images.SERVERS),
        Step("bench of permissions", "python -m tests.bench.permissions", 20),
        Step("bench of a fleet", "python -m tests.bench.fleet", 60),
        Step("Debian 12 as the controller", "python -m tests.debian12", 60),
    ]
    first = [*fast_steps()[:1], Step("unit tests", f"{UNIT_TESTS}=2", 45), *package_steps(full=True)]
    on_hosts = Step("hosts", f"{ON_HOSTS} --full --shard={shard}", 330)
    return [[*(first if number == 1 else []), IMAGES, on_hosts, *others[number - 1 :: count]]]


def shard(text: str) -> str:
    number, count = (int(word) for word in text.split("/"))
    if not 1 <= number <= count:
        raise ValueError(text)
    return text


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bin/test", description="The tests of this collection. Without an argument: all that CI runs."
    )
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--fast", action="store_true", help="about a minute; neither root nor Docker")
    one.add_argument("--full", action="store_true", help="the whole matrix and the long ones")
    one.add_argument("section", nargs="?", choices=SECTIONS, metavar="SECTION", help="only the tests of this section")
    parser.add_argument("--shard", metavar="K/N", type=shard, default="1/1", help="of --full, the part K of N")
    args = parser.parse_args()
    if args.shard != "1/1" and not args.full:
        parser.error("--shard is for --full")
    if args.fast:
        return execute(*([step] for step in fast_steps()))
    with shared_stages():
        if args.section:
            tests = Step("tests", ["pytest", "-q", "-k", f"{args.section} or guards", "tests/unit", "tests/hosts"], 60)
            return execute([tests, molecule(args.section)])
        if args.full:
            return execute(*full_steps(args.shard))
        linters, _quick = fast_steps()
        return execute(
            [linters, Step("unit tests", f"{UNIT_TESTS}=2", 45), *package_steps()],
            [IMAGES, Step("hosts", ON_HOSTS, 75), molecule("headers")],
        )


@contextlib.contextmanager
def shared_stages() -> Iterator[None]:
    """Lets all processes use the hosts that one of them brought into a state that took long to reach."""
    with tempfile.TemporaryDirectory() as directory:
        os.environ["CHAMILO_TEST_STAGES"] = directory
        try:
            yield
        finally:
            hosts.forget_stages(Path(directory))


if __name__ == "__main__":
    sys.exit(main())
