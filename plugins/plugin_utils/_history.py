# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What earlier audits saw: since when a control has its status, and what changed since the audit before.

One small file for each audit lies beside the report, in the directory history; the oldest are removed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import _answers
from ._controls import STATUSES

DIRECTORY = "history"
MOST = 50  # files
SHOWN = 30  # audits, in the chart
MET, OPEN = ("pass", "not_applicable"), ("fail", "not_assessed")

_WHEN = _answers.Text(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_CONTROL = _answers.Table(
    {"status": _answers.Text("|".join(STATUSES)), "since": _WHEN, "met": _answers.Flag()},
    frozenset({"status", "since"}),
)


class HistoryError(Exception):
    """A file of the history is not what was written there."""


def files(directory: Path) -> list[Path]:
    """The newest first."""
    return sorted((directory / DIRECTORY).glob("*.json"), reverse=True)


def read(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(known, dict) or known.keys() != {"generated", "hosts"}:
            raise ValueError("it is made otherwise")
        hosts = _answers.validate_hosts(_answers.Each(_CONTROL), known["hosts"], path.name)
        return {"generated": _answers.validate(_WHEN, known["generated"], path.name), "hosts": hosts}
    except (OSError, ValueError, RecursionError) as error:
        raise HistoryError(f"{path} cannot be read as a result of an audit: {error}. Move it away.") from error


def last(directory: Path, hosts: Collection[str]) -> dict[str, dict[str, Any]]:
    """Of each host its newest entry: ``generated`` and ``controls``. An audit may have been limited to other hosts."""
    found: dict[str, dict[str, Any]] = {}
    for path in files(directory):
        if all(name in found for name in hosts):
            break
        entry = read(path)
        for name in hosts:
            if name in entry["hosts"] and name not in found:
                found[name] = {"generated": entry["generated"], "controls": entry["hosts"][name]}
    return found


def annotate(rows: Iterable[dict[str, Any]], earlier: Mapping[str, Any] | None, generated: str) -> dict[str, Any]:
    """Give each row the day since when it has its status. Returns what changed since the audit before."""
    known = (earlier or {}).get("controls", {})
    rows = list(rows)
    for row in rows:
        before = known.get(row["id"])
        row["since"] = before["since"] if before and before["status"] == row["status"] else generated
    if not earlier:
        return {}
    return {"before": earlier["generated"], **_changed(known, {row["id"]: row for row in rows})}


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, list[str]]:
    """What became better or worse between two audits of a host."""
    found: dict[str, list[str]] = {"better": [], "worse": []}
    for name, one in now.items():
        if name in before and before[name]["status"] != one["status"]:
            was, is_ = before[name]["status"] in MET, one["status"]
            if is_ in MET and not was:
                found["better"].append(name)
            elif was and is_ in ("fail", "not_assessed"):
                found["worse"].append(name)
    return found


def course(
    directory: Path, present: Sequence[dict[str, Any]], severities: Mapping[str, str]
) -> dict[str, list[dict[str, Any]]]:
    """Of each host what the last audits came to, the oldest first: met, open by severity, better and worse.

    ``present``: the audit of now. ``severities``: of the controls.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    last: dict[str, Any] = {}
    hosts = {name for audit in present for name in audit["hosts"]}
    for audit in [*(read(path) for path in reversed(files(directory)[: SHOWN - 1])), *present]:
        for name in sorted(hosts & audit["hosts"].keys()):
            known = audit["hosts"][name]
            open_ = Counter(severities[one] for one in known if one in severities and known[one]["status"] in OPEN)
            met = sum(one["status"] == "pass" for one in known.values())
            step = {"generated": audit["generated"], "met": met, "open": dict(open_)}
            found.setdefault(name, []).append({**step, **_changed(last.get(name, {}), known)})
            last[name] = known
    return found


def entry(report: Mapping[str, Any], earlier: Mapping[str, Mapping[str, Any]]) -> str:
    """The file of this audit. A host that was not audited has none. ``met``: it was met before it was not."""
    hosts = {}
    for host in report["hosts"]:
        if host.get("error"):
            continue
        known = earlier.get(host["name"], {}).get("controls", {})
        hosts[host["name"]] = {
            row["id"]: {
                "status": row["status"],
                "since": row["since"],
                "met": row["status"] in MET or bool(known.get(row["id"], {}).get("met")),
            }
            for row in host["controls"]
        }
    return json.dumps({"generated": report["generated"], "hosts": hosts}) + "\n"


def name(generated: str) -> str:
    return f"{DIRECTORY}/{generated.replace(':', '')}.json"


def prune(directory: Path) -> None:
    for path in files(directory)[MOST:]:
        path.unlink(missing_ok=True)
