"""The engine of bin/test: failure, time, interruption; and what of the tests on hosts is run."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest
import yaml

from tests import run
from tests.run import Step
from tests.tools import sanity
from tests.tools.checkout import ROOT, copy_checkout


@pytest.fixture(autouse=True)
def logs(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "LOGS", tmp_path)
    return tmp_path


def shell(name: str, script: str, minutes: float = 1) -> Step:
    return Step(name, ["sh", "-c", script], minutes)


def test_lanes_run_beside_each_other_and_their_steps_in_order(logs, capsys):
    waits = f"for i in $(seq 100); do test -e {logs}/made && exit; sleep 0.05; done; exit 1"
    assert run.execute([shell("waits", waits)], [shell("other", "true"), shell("makes", f"touch {logs}/made")]) == 0
    assert capsys.readouterr().out.endswith("\n3 passed, 0 failed\n")


def test_a_failed_step_is_shown_whole_and_the_others_go_on(capsys):
    assert run.execute([shell("broken", "echo why; exit 3"), shell("other", "true")]) == 1
    output = capsys.readouterr().out
    assert "why\n--- end of broken" in output
    assert output.endswith("\nfailed: broken\n1 passed, 1 failed\n")


@pytest.mark.parametrize(
    ("script", "why"), [("sleep 600", "not done after"), ("echo '[WARNING]: something'", "Ansible printed a warning")]
)
def test_what_does_not_end_or_warns_has_failed(capsys, script, why):
    assert run.execute([shell("it", script, minutes=0.01)]) == 1
    assert why in capsys.readouterr().out


def test_an_interrupted_run_waits_for_no_other_step(logs):
    """The steps that run are interrupted; those behind them do not begin."""
    script = f"""
from tests import run
run.LOGS = run.Path({str(logs)!r})
busy = "trap 'sleep 0.5; exit' INT; touch {logs}/$0; sleep 60 & wait"
step = lambda n: run.Step(str(n), ["sh", "-c", busy, str(n)], 1)
raise SystemExit(run.execute(*([step(n), step(n + 3)] for n in range(3))))
"""
    command = ["sh", "-c", "trap '' INT; exec \"$@\"", "-", sys.executable, "-c", script]  # as in the background
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    while len(list(logs.glob("[0-9]"))) < 3:
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 130 and output.endswith("stopped\n")
    assert sorted(path.name for path in logs.glob("[0-9]")) == ["0", "1", "2"]


def test_the_shards_of_the_full_run_are_the_whole_of_it():
    """What each part runs beside its share of the tests on hosts."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())["jobs"]["everything"]
    shards = workflow["strategy"]["matrix"]["shard"]
    assert shards == list(range(1, len(shards) + 1))
    assert f"bin/ci everything ${{{{ matrix.shard }}}}/{len(shards)}" in workflow["steps"][-1]["run"]

    def names(shard: str) -> list[str]:
        return [step.name for lane in run.full_steps(shard) for step in lane if step.name not in ("images", "hosts")]

    whole = names("1/1")
    assert sorted(name for number in shards for name in names(f"{number}/{len(shards)}")) == sorted(whole)
    assert {"bench", "unit tests", "molecule", "demo apache bookworm"} <= set(whole)


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/2/3"])
def test_a_shard_that_there_is_not_is_refused(text):
    with pytest.raises(ValueError):
        run.shard(text)


def collected(*options: str) -> list[str]:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *options, "tests/hosts"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return re.findall(r"^tests/hosts/\S.*::.*$", output, re.MULTILINE)


@pytest.mark.slow
def test_what_of_the_tests_on_hosts_is_run():
    """Without --full one cell, a second one for harden, and nothing long; with it all, each test in one shard."""
    some, everything = collected(), collected("--full")
    assert {name.split("[")[1][:-1].split("-")[0] for name in some if "test_headers" in name} == {"trixie"}
    assert any("test_harden.py" in name and "bookworm-apache" in name for name in some)
    assert not any("test_proxy.py" in name for name in some) and any("test_proxy.py" in name for name in everything)
    assert set(some) <= set(everything)
    shards = [collected("--full", f"--shard={number}/2") for number in (1, 2)]
    assert all(shards) and sorted(name for shard in shards for name in shard) == sorted(everything)


def test_what_is_checked_is_what_is_shipped(logs, monkeypatch):
    """In a copy: other steps write into the checkout meanwhile."""
    monkeypatch.setattr(sanity, "TREE", logs / "tree")
    copy = sanity.tree()
    assert (copy / "plugins/modules").is_dir() and (copy / "roles/https").is_dir() and not (copy / "docs").exists()
    assert (copy_checkout(logs / "whole") / "README.md").is_file()
