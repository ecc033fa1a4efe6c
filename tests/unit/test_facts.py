"""The facts about Chamilo: the testbed's imitation is held against them, and the documentation has them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests import facts

APP = facts.ROOT / "tests/testbed/app"


@pytest.mark.parametrize("tree", [APP / "tree", APP / "flavours/3.0/tree"], ids=["2.0", "3.0"])
def test_the_imitation_is_not_otherwise_than_what_was_read(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert facts.main([str(tree)]) == 0, capsys.readouterr().out


def test_a_release_that_is_otherwise_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config/packages").mkdir(parents=True)
    (tmp_path / "config/packages/chamilo_ids.yaml").write_text("parameters: {}\n")
    assert facts.main([str(tmp_path)]) == 1
    assert "does not hold  own_headers" in capsys.readouterr().out


def test_the_newest_release_of_each_branch_is_fetched(tmp_path: Path) -> None:
    for version in ("2.0.4", "3.0.2"):
        with zipfile.ZipFile(tmp_path / f"chamilo-{version}.zip", "w") as archive:
            archive.writestr(f"chamilo-{version}/public/index.php", "<?php")
    (tmp_path / "into").mkdir()
    found = facts.released(str(tmp_path / "into"), f"file://{tmp_path}/chamilo-{{version}}.zip")
    assert [Path(one).name for one in found] == ["chamilo-2.0.4", "chamilo-3.0.2"]


def test_the_table_of_beliefs_is_that_of_the_facts() -> None:
    page = facts.PAGE.read_text(encoding="utf-8")
    assert facts.render(page) == page, "run bin/env python -m tests.facts --table"
