"""The engine of bin/test: order, failure, and what a failure takes with it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import run
from tests.run import Step


@pytest.fixture(autouse=True)
def logs(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "LOGS", tmp_path)
    monkeypatch.setattr(run, "ROOT", tmp_path)
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
    said = capsys.readouterr().out
    assert "why\n--- end of broken" in said and "not run, it needs the step 'broken'" in said
    assert said.endswith("failed: broken, late\n1 passed, 2 failed\n")


def test_a_step_that_does_not_end_is_stopped(capsys):
    assert run.execute([shell("endless", "sleep 600", minutes=0.005)]) == 1
    assert "not done after" in capsys.readouterr().out


def test_whoever_stops_a_run_waits_for_no_other_step(logs):
    """The steps that run are told to end; those behind them do not begin."""
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
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 130 and said.endswith("stopped\n")
    assert sorted(path.name for path in logs.glob("[0-9]")) == ["0", "1", "2"]


def test_a_warning_of_ansible_fails_the_step(capsys):
    assert run.execute([shell("loud", "echo '[WARNING]: something'")]) == 1
    assert "Ansible printed a warning" in capsys.readouterr().out


def test_a_need_that_is_no_part_of_this_run_holds_nobody_up():
    assert run.execute([shell("alone", "true", needs="images")]) == 0


LOST_ONCE = """import pytest
host, race = [0, 1], [0, 1]

def test_host():
    assert not host.pop()

@pytest.mark.flaky(reruns=0)
def test_race():
    assert not race.pop()
"""


def test_what_looks_for_a_race_is_not_tried_once_more(tmp_path):
    """The marker wins over the option of the command line."""
    (tmp_path / "test_it.py").write_text(LOST_ONCE)
    command = [sys.executable, "-m", *run.ON_HOSTS, "-c", "/dev/null", f"--rootdir={tmp_path}", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path).stdout
    assert "1 failed, 1 passed, 1 rerun" in said and "FAILED test_it.py::test_race" in said


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
    source = steps["build"].cwd
    assert {path.name for path in source.iterdir()} == {".gitignore", "README.md", "galaxy.yml"}
    assert (source / "README.md").is_symlink()
    others = [step.cwd for name, step in steps.items() if name != "build"]
    assert not any(source in (one, *one.parents) or one in source.parents for one in others)
