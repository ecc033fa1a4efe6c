"""docs/troubleshooting.md quotes messages as the product has them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"^### `(.+)`$", PAGE, re.MULTILINE)


def messages() -> list[str]:
    """The texts of the plugins, with … for each value."""
    found = []
    for path in sorted((ROOT / "plugins").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


@pytest.mark.parametrize("quoted", QUOTED)
def test_a_message_is_one_of_the_product(quoted: str, once: Callable[[str, Callable[[], Any]], Any]) -> None:
    parts = quoted.strip("…").split("…")
    pattern = re.compile(".*?".join(map(re.escape, parts)), re.DOTALL)
    assert any(
        pattern.search(message) for message in once("messages", messages) if all(one in message for one in parts)
    )


def test_there_are_messages_to_compare() -> None:
    assert len(QUOTED) > 15
