"""The documentation site: what it takes from elsewhere in the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools import documentation_site as site


def test_example_reports_are_those_of_the_demo_and_both_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "REPORTS", tmp_path / "chamilo-report")
    for name in ("before", "after"):
        assert not site.examples(tmp_path / "extra")
        (tmp_path / "chamilo-report" / name).mkdir(parents=True)
        (tmp_path / "chamilo-report" / name / "report.html").write_text(name)
    assert site.examples(tmp_path / "extra")
    assert {path.name: path.read_text() for path in (tmp_path / "extra").iterdir()} == {
        "before.html": "before",
        "after.html": "after",
    }
    for name in ("before", "after"):
        assert f'href="examples/{name}.html"' in site.EXAMPLES
