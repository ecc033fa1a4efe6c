"""Renders meta/controls.yml into docs/controls.md, between the markers. With --check it only compares the two."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / ".collections")]

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls  # noqa: E402 (needs the path above)

PAGE = ROOT / "docs/controls.md"
BEGIN, END = "<!-- controls:begin -->", "<!-- controls:end -->"


def fixed_by(control: _controls.Control) -> str:
    if control.fixer.role:
        return f"role `{control.fixer.role}`"
    return "a person"


def attacked(control: _controls.Control) -> str:
    return control.attack.where or "–"


def table() -> str:
    controls = _controls.load()
    lines = ["| control | level | what is true | enforced by | attack |", "| --- | --- | --- | --- | --- |"]
    for section in controls.sections:
        lines.append(f"| **{section.title}** | | | | |")
        lines.extend(
            f"| `{control.id}` | {control.level} | {control.title} | {fixed_by(control)} | {attacked(control)} |"
            for control in controls.of(section.id)
        )
    return "\n".join(lines)


def render(page: str) -> str:
    before, begin, rest = page.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(
            f"docs/controls.md has no place for the table of controls: the lines {BEGIN} and {END} are missing."
        )
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> int:
    page = PAGE.read_text(encoding="utf-8")
    rendered = render(page)
    if page == rendered:
        return 0
    if "--check" in sys.argv[1:]:
        print("The table in docs/controls.md is not that of meta/controls.yml: run tests/tools/controls_table.py")
        return 1
    PAGE.write_text(rendered, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
