"""Compares what the collection believes of Chamilo (meta/facts.yml) with an unpacked release, and prints a table.

    python -m tests.facts DIRECTORY [DIRECTORY ...]
    python -m tests.facts --released     the newest release of each branch, fetched
    python -m tests.facts --table        write the table of docs/tested.md

Exit code 1 where one does not hold: mend what rests on it, or give the fact its versions.
"""

from __future__ import annotations

import sys
import tempfile
import urllib.request
import zipfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / ".collections")]

# pylint: disable=wrong-import-position
from ansible_collections.chamilo.hardening.plugins.module_utils._application import release  # noqa: E402
from ansible_collections.chamilo.hardening.plugins.module_utils._application.beliefs import judge  # noqa: E402
from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Tree  # noqa: E402
from ansible_collections.chamilo.hardening.plugins.module_utils._common.version import parse  # noqa: E402
from ansible_collections.chamilo.hardening.plugins.plugin_utils import (  # noqa: E402
    _advisories,
    _beliefs,
    _controls,
    _release,
)

PAGE = ROOT / "docs/tested.md"
BEGIN, END = "<!-- facts:begin -->", "<!-- facts:end -->"


def table() -> str:
    """As docs/tested.md has it."""
    rows = [
        f"| {one['belief']} | `{one['file']}` | {one['read']['commit']}, {one['read']['date']} |"
        for one in _controls.load_yaml(_beliefs.FACTS)["facts"]
    ]
    return "\n".join(["| belief | file | read at |", "| --- | --- | --- |", *rows])


def render(page: str) -> str:
    before, _begin, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


def compare(directory: str) -> Counter[str]:
    """Print what holds of an unpacked release, and count it."""
    root = str(Path(directory).resolve())
    here = release.installed(Tree(), root, None)
    found = judge(_beliefs.brief(), root, here.version, "")
    print(f"{directory}: Chamilo {here.version or 'of unknown version'}")
    for one in found:
        missing = f": no {', '.join(one.missing)}" if one.missing else ""
        print(f"  {one.state:14} {one.fact.id:20} {one.fact.file}{missing}")
    return Counter(one.state for one in found)


def released(into: str, address: str = _release.OFFICIAL) -> list[str]:
    """Where the newest release of each branch that has facts is unpacked. ``address``: of a package."""
    newest: dict[tuple[int, ...], str] = {}
    for one in sorted((one["version"] for one in _advisories.brief()["releases"]), key=parse):
        newest[parse(one)[:2]] = one
    found = []
    for version in (one for branch, one in newest.items() if branch >= (2, 0)):
        package, _headers = urllib.request.urlretrieve(address.format(version=version), f"{into}/{version}.zip")
        with zipfile.ZipFile(package) as archive:
            archive.extractall(f"{into}/{version}")
        found += [str(next(Path(into, version).glob("**/public/index.php")).parents[1])]
    return found


def main(arguments: list[str]) -> int:
    if arguments == ["--table"]:
        PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
        return 0
    if not arguments:
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory() as scratch:
        counts = [compare(one) for one in (released(scratch) if arguments == ["--released"] else arguments)]
    print(", ".join(f"{count} {state}" for state, count in sum(counts, Counter()).items()))
    return int(any(count["does not hold"] for count in counts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
