"""The table of known ways in, in docs/controls.md: what tests ask for is what it lists."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/controls.md"
VULNERABILITY = re.compile(r"CVE-[\d-]+|GHSA(?:-\w{4}){3}")
ROW = re.compile(r"^\| `(/[^`]+)` \| (closed|answers) \| ((?:`\w+`(?:, )?)+) \| (.+) \|$")


@dataclass(frozen=True)
class Way:
    """An address, whether a hardened host refuses it, the controls that stop what came in there, and what was fixed."""

    address: str
    closed: bool
    controls: tuple[str, ...]
    vulnerabilities: tuple[str, ...]


def table() -> list[Way]:
    text = PAGE.read_text(encoding="utf-8")
    _before, _begin, rest = text.partition("<!-- ways:begin -->\n")
    rows = rest.partition("<!-- ways:end -->")[0].splitlines()[2:]
    found = [ROW.match(row) for row in rows]
    assert rows and all(found), f"not of the form of this table: {[row for row, one in zip(rows, found) if not one]}"
    return [
        Way(
            one[1],
            one[2] == "closed",
            tuple(re.findall(r"\w+", one[3])),
            tuple(VULNERABILITY.findall(one[4])),
        )
        for one in found
        if one
    ]
