"""The engine of bin/test: order, failure, and what a failure takes with it; which tests run at all."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from tests import run, selection
from tests.run import Step
from tests.tools import package
from tests.unit.conftest import needing_root


@pytest.fixture(autouse=True)
def logs(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "LOGS", tmp_path)
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "DURATIONS", tmp_path / "durations.json")
    return tmp_path


def shell(name: str, script: str, minutes: float = 1, needs: str = "") -> Step:
    return Step(name, ["sh", "-c", script], minutes, needs=needs)


def test_a_step_waits_for_the_one_it_needs(logs, capsys):
    steps = [shell("first", f"sleep 0.3; touch {logs}/made"), shell("second", f"test -e {logs}/made", needs="first")]
    assert run.execute(steps) == 0
    assert capsys.readouterr().out.endswith("2 passed, 0 failed\n")


def test_a_failed_step_is_shown_whole_and_fails_what_needs_it(capsys):
    steps = [shell("broken", "echo why; exit 3"), shell("late", "true", needs="broken"), shell("other", "true")]
    assert run.execute(steps) == 1
    output = capsys.readouterr().out
    assert "why\n--- end of broken" in output and "not run, it needs the step 'broken'" in output
    assert output.endswith("failed: broken, late\n1 passed, 2 failed\n")


def test_a_step_that_does_not_end_is_stopped(capsys):
    assert run.execute([shell("endless", "sleep 600", minutes=0.005)]) == 1
    assert "not done after" in capsys.readouterr().out


def test_an_interrupted_run_waits_for_no_other_step(logs):
    """The steps that run are interrupted; those behind them do not begin."""
    script = f"""
from tests import run
run.LOGS = run.ROOT = folder = run.Path({str(logs)!r})
busy = "trap 'sleep 0.5; exit' INT; touch $0; sleep 60 & wait"
raise SystemExit(run.execute([run.Step(str(n), ["sh", "-c", busy, str(n)], 1, cwd=folder) for n in range(9)], 3))
"""
    command = ["sh", "-c", "trap '' INT; exec \"$@\"", "-", sys.executable, "-c", script]  # as in the background
    process = subprocess.Popen(command, cwd=Path(run.__file__).parents[1], stdout=subprocess.PIPE, text=True)
    while len(list(logs.glob("[0-9]"))) < 3:
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 130 and output.endswith("stopped\n")
    assert sorted(path.name for path in logs.glob("[0-9]")) == ["0", "1", "2"]


def test_a_warning_of_ansible_fails_the_step(capsys):
    assert run.execute([shell("loud", "echo '[WARNING]: something'")]) == 1
    assert "Ansible printed a warning" in capsys.readouterr().out


def test_a_need_that_is_no_part_of_this_run_blocks_no_step():
    assert run.execute([shell("alone", "true", needs="images")]) == 0


def test_what_took_long_comes_first(logs, monkeypatch):
    """By the last run here, else by the one that was recorded; what never ran may take long."""
    monkeypatch.setattr(run, "KNOWN_DURATIONS", logs / "known.json")
    run.write(run.KNOWN_DURATIONS, {"slow": 3, "quick": 400})
    assert run.execute([shell("quick", "true")]) == 0
    assert run.read(run.DURATIONS) == {"quick": 0}
    steps = run.longest_first([shell(name, "true") for name in ("quick", "slow", "new")])
    assert [step.name for step in steps] == ["new", "slow", "quick"]


@pytest.fixture
def checkout(monkeypatch):
    monkeypatch.setattr(run, "ROOT", selection.ROOT)


def test_the_shards_of_the_full_run_are_the_whole_of_it(checkout, monkeypatch):
    monkeypatch.setattr(run, "package_steps", lambda full: [shell("build", "true")])
    workflow = (selection.ROOT / ".github/workflows/tests.yml").read_text()
    shards = json.loads(re.search(r"^ +shard: (\[.*\])$", workflow, re.MULTILINE)[1])
    assert f"bin/test --full --shard ${{{{ matrix.shard }}}}/{len(shards)}\n" in workflow
    parts = [run.full_steps(run.shard(f"{number}/{len(shards)}")) for number in shards]
    found = [step.name for steps, alone in parts for step in [*steps, *alone] if step.name != "images"]
    whole = [step.name for steps in run.full_steps(slice(None)) for step in steps if step.name != "images"]
    assert sorted(found) == sorted(whole) and {"build", "bench", "unit tests", "hosts nodes"} <= set(whole)
    assert all(steps[0].name == "images" for steps, _alone in parts)


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/2/3"])
def test_a_shard_that_there_is_not_is_refused(text):
    with pytest.raises(ValueError):
        run.shard(text)


def test_the_tables_name_tests_on_hosts_that_are_there():
    of_sections = {stem for stems in selection.OF_SECTION.values() for stem in stems.split()}
    assert selection.OF_SECTION.keys() == set(selection.SECTIONS)
    assert of_sections | selection.COMMON <= selection.host_stems() and not of_sections & selection.COMMON


def test_a_test_on_hosts_that_no_table_names_runs_with_every_section(monkeypatch):
    monkeypatch.setattr(selection, "host_stems", lambda: {"headers", "database", "waivers", "new"})
    assert selection.stems_of({"headers"}, set()) >= {"headers", "new"}
    assert not selection.stems_of({"headers"}, set()) & {"database", "waivers"}
    assert selection.stems_of(set(), {"database"}) == {"database"}


@pytest.mark.parametrize(
    ("path", "sections"),
    [
        ("roles/headers/tasks/main.yml", {"headers"}),
        ("molecule/headers/tests/test_headers.py", {"headers"}),
        ("plugins/module_utils/_attacks/sessions.py", {"sessions"}),
        ("plugins/module_utils/_audit/sessions.py", {"sessions"}),
        ("plugins/module_utils/_monitoring/daily.py", {"monitoring"}),
        ("docs/recipes.md", set()),
        ("README.md", set()),
        ("tests/unit/test_run.py", set()),
        ("plugins/module_utils/_common/files.py", None),
        ("plugins/module_utils/_audit/_server.py", None),
        ("plugins/modules/chamilo_perms.py", None),
        ("playbooks/harden.yml", None),
        ("roles/common/tasks/main.yml", None),
        ("tests/testbed/hosts.py", None),
        ("bin/env", None),
    ],
)
def test_a_changed_file_selects_its_section_or_everything(path, sections):
    chosen = selection.sections_of([path])
    assert chosen == (None if sections is None else (sections, set()))


def test_a_changed_engine_selects_the_sections_that_import_it():
    """The monitor asks the permissions' engine which files are the release's own."""
    assert selection.importers("permissions") >= {"permissions", "monitoring"}
    chosen = selection.sections_of(["plugins/module_utils/_permissions/walk.py"])
    assert chosen and chosen[0] >= {"permissions", "monitoring"}


def test_a_changed_test_on_hosts_selects_itself(checkout, monkeypatch):
    monkeypatch.setattr(run, "changed_since", lambda base: ["tests/hosts/test_transaction.py", "docs/recipes.md"])
    monkeypatch.setattr(run, "fast_steps", lambda: [shell("fast", "true")])
    monkeypatch.setattr(run, "package_steps", list)
    steps = run.changed_steps("main")
    assert {step.name for step in steps} == {"images", "fast", "hosts transaction", "hosts transaction, second cell"}


def test_a_changed_role_selects_its_tests_its_scenario_and_the_whole_playbook(checkout, monkeypatch):
    monkeypatch.setattr(run, "changed_since", lambda base: ["roles/headers/tasks/main.yml"])
    monkeypatch.setattr(run, "fast_steps", list)
    monkeypatch.setattr(run, "package_steps", list)
    steps = {step.name: step for step in run.changed_steps("main")}
    assert steps.keys() >= {"images", "hosts headers", "hosts harden", "hosts audit", "molecule"}
    assert "hosts database" not in steps and "-s headers" in steps["molecule"].command[2]


def test_what_changed_is_seen_committed_or_not(logs, monkeypatch):
    monkeypatch.setattr(selection, "ROOT", logs)

    def git(*words):
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", *identity, *words], cwd=logs, check=True, capture_output=True)

    git("init", "--initial-branch=main")
    git("commit", "--allow-empty", "--message=base")
    git("checkout", "-b", "topic")
    (logs / "committed").touch()
    git("add", ".")
    git("commit", "--message=mine")
    (logs / "new").touch()
    git("checkout", "main")
    git("commit", "--allow-empty", "--message=theirs")
    git("checkout", "topic")
    assert sorted(selection.changed_since("main")) == ["committed", "new"]


def test_each_test_that_needs_root_is_there():
    """Others than root leave these out: tests/unit/conftest.py."""
    unit = Path(__file__).parent
    for file, functions in needing_root().items():
        there = set(re.findall(r"^ *def (test_\w+)", (unit / file).read_text(), re.MULTILINE))
        assert functions <= there, (file, functions - there)


def test_each_option_that_a_program_reads_is_declared():
    texts = [path.read_text(encoding="utf-8") for path in selection.ROOT.glob("tests/**/*.py")]
    programs = [text for text in texts if re.search(r"^    options = parser\.parse_args\(\)$", text, re.MULTILINE)]
    assert len(programs) > 5
    for text in programs:
        declared = re.findall(r'add_argument\(\s*"(?:-\w", ")?(?:--)?([\w-]+)"|\bdest="(\w+)"', text)
        names = {one.replace("-", "_") for names in declared for one in names}
        assert set(re.findall(r"\boptions\.(\w+)", text)) <= names, text[:200]


def test_no_step_of_the_package_reads_what_another_one_writes(logs, monkeypatch):
    """The build walks all below its directory; ansible-test and the environments come and go in the cache."""
    checkout = logs / "checkout"
    (checkout / "plugins").mkdir(parents=True)
    (checkout / "galaxy.yml").write_text("version: 1.0.0\n")
    (checkout / ".gitignore").write_text("/.cache/\n")
    (checkout / "README.md").symlink_to("galaxy.yml")
    subprocess.run(["git", "init", "--quiet"], cwd=checkout, check=True)
    (checkout / ".cache/dist").mkdir(parents=True)
    monkeypatch.setattr(run, "ROOT", checkout)
    monkeypatch.setattr(run, "CACHE", checkout / ".cache")
    monkeypatch.setattr(run, "TREE", checkout / ".cache/tree")
    steps = {step.name: step for step in run.package_steps()}
    assert steps["build"].command[2] == "tests.tools.package"
    galaxy = logs / "bin/ansible-galaxy"
    galaxy.parent.mkdir()
    galaxy.write_text('#!/bin/sh\nfor last; do :; done\ntar --exclude .git -czf "$last/built.tar.gz" .\n')
    galaxy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{galaxy.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(package, "committed", lambda: 5)
    monkeypatch.setattr(package, "normalised", lambda built, _when: built)
    with tarfile.open(package.build(logs / "dist")) as built:
        assert set(built.getnames()) == {".", "./.gitignore", "./README.md", "./galaxy.yml"}


@pytest.mark.parametrize("path", sorted((run.ROOT / "tests/hosts").glob("test_*.py")), ids=lambda path: path.stem)
def test_a_file_whose_tests_are_all_long_reports_so_for_the_whole(path):
    """Else bin/test starts pytest for nothing, which fails."""
    tests = [
        [ast.unparse(mark) for mark in node.decorator_list]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert run.LONG.search(path.read_text()) or any("pytest.mark.long" not in marks for marks in tests)
