# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of an audit: one document, written as a page, as JSON and as JUnit XML.

Evidence comes from hosts that may be hostile: it is cleaned once, here, and escaped by whatever writes it.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from . import _actions, _answers, _history
from ._controls import ENFORCEABLE, SEVERITIES, STATUSES, Table, rows, summary
from ._program import version_of

LABELS = {
    "fail": "Not met",
    "not_assessed": "Not assessed",
    "advice": "Advice",
    "waived": "Waived",
    "people": "For people",
    "not_applicable": "Not applicable",
    "pass": "Met",
}


OPEN = ("fail", "not_assessed", "advice")


def clean(value: Any) -> Any:
    """Plain Python values, with every text safe to print."""
    if isinstance(value, Mapping):
        return {clean(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return _answers.displayable(str(value))


def texts(value: Any) -> list[str]:
    """One text or several, as a list."""
    if not value:
        return []
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]


class ReportError(Exception):
    """The text reports what is wrong, and what to do."""


def _unknown(reachable: bool, error: str) -> str:
    return f"{'The audit did not run' if reachable else 'The host could not be reached'}: {error}"


def _reason(audit: Mapping[str, Any]) -> str:
    """Why a task that ended without controls did not check the host."""
    given_up = audit.get("timedout")
    if given_up:
        return (
            f"No answer within {given_up['period']} seconds. The host may hang, or need more time: its log shows "
            "which. Set chamilo_host_timeout to the seconds that it may take."
        )
    return str(audit.get("msg") or "An earlier task failed on this host.").removeprefix("Task failed: ").strip()


def _declared(variables: Mapping[str, Any]) -> str:
    """The portal of a host that gave no answer, where its variables name it as plain text."""
    named = next(filter(None, map(variables.get, ("chamilo_portal", "chamilo_domain"))), "")
    return named.lower() if isinstance(named, str) and "{" not in named else ""


def host(
    name: str,
    audit: Mapping[str, Any] | None,
    table: Table,
    variables: Mapping[str, Any] | None = None,
    earlier: Mapping[str, Any] | None = None,
    generated: str = "",
) -> dict[str, Any]:
    """One host of the document, out of what guide_audit_info registered for it, which may be nothing.

    ``variables``: those of the host. ``earlier``: what the history has of it.
    """
    audit = audit or {}
    reachable = not audit.get("unreachable", False)
    error = str(audit.get("error", ""))
    controls = audit.get("controls")
    if controls is None:
        error = _reason(audit)
        controls = rows(table, {}, _unknown(reachable, error))
    controls = [dict(row) for row in controls]
    changes = _history.annotate(controls, earlier, generated) if generated and not error else {}
    known = (earlier or {}).get("controls", {})
    _actions.annotate(controls, table, variables or {}, audit.get("active") or (), known)
    causes = [] if error else _actions.causes(controls)
    causes += _actions.observed(audit.get("state") or (), causes)
    entry: dict[str, Any] = {
        "name": name,
        "reachable": reachable,
        "chamilo_version": str(audit.get("chamilo_version") or ""),
        "portal": str(audit.get("portal") or _declared(variables or {})),
        "names": texts(audit.get("names")),
        "controls": controls,
        "summary": summary(controls),
        "causes": causes,
        "changes": changes,
        "signs": texts(audit.get("signs")),
        "forecast": audit.get("forecast") or {},
    }
    if error:
        entry["error"] = error
        if earlier:
            seen = [{"id": name, "status": one["status"]} for name, one in known.items() if name in table.by_id]
            entry["last"] = {"generated": earlier["generated"], "summary": summary(seen)}
            entry["last"]["fail"] = [row["id"] for row in seen if row["status"] == "fail"]
    cleaned: dict[str, Any] = clean(entry)
    return cleaned


def document(
    hosts: Sequence[Mapping[str, Any]], generated: str, course: Mapping[str, Sequence[Any]] | None = None
) -> dict[str, Any]:
    """The whole. ``course``: of each host what the last audits came to, the oldest first."""
    entries = [{**entry, "course": (course or {}).get(entry["name"], [])} for entry in hosts]
    return {"collection": version_of(), "generated": generated, "hosts": entries}


# -- attacks -----------------------------------------------------------------------------------------------------------


_WHEN = _answers.Text(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_ATTACK = {
    **dict.fromkeys(("id", "title", "evidence"), _answers.Text()),
    "status": _answers.Text("held|through|waived|not_tried"),
}
_ATTACK_ROW = _answers.Table({**_ATTACK, "open": _answers.Flag()}, frozenset(_ATTACK))
_ATTACKS = _answers.Table(
    {"generated": _WHEN, "rows": _answers.List(_ATTACK_ROW)},
    frozenset({"generated", "rows"}),
)
ATTACKS_FILE = "attacks.json"  # beside the report, of which it is a part: audits write that anew


def last_attacks(directory: Path) -> dict[str, dict[str, Any]]:
    """What the last attacks on each host came to."""
    path = directory / ATTACKS_FILE
    if not path.exists():
        return {}
    try:
        return _answers.validate_hosts(_ATTACKS, json.loads(path.read_text(encoding="utf-8")), ATTACKS_FILE)
    except (OSError, ValueError, RecursionError) as error:
        raise ReportError(f"{path} cannot be read as results of the playbook prove: {error}. Move it away.") from error


def with_attacks(path: Path, attacks: Mapping[str, Mapping[str, Any]], table: Table, generated: str) -> dict[str, Any]:
    """The report of the last audit, with what these attacks came to. Without an audit nothing else is known."""
    entries = []
    try:
        if path.exists():
            known = json.loads(path.read_text(encoding="utf-8"))
            generated = _answers.validate(_WHEN, known["generated"], "generated")
            entries = [clean({"course": [], **one, "name": str(one["name"])}) for one in known["hosts"]]
            to_pages({**known, "hosts": entries}, table)
    except (OSError, ValueError, LookupError, TypeError, RecursionError, jinja2.TemplateError) as error:
        raise ReportError(
            f"{path} cannot be read as a report of this version ({error}), so it was not replaced. Run the playbook "
            "audit, or move it away."
        ) from error
    unknown = [name for name in attacks if name not in {entry["name"] for entry in entries}]
    entries += [host(name, {"msg": "The playbook audit has not run for this host."}, table) for name in unknown]
    entries = [{**one, "attacks": attacks[one["name"]]} if one["name"] in attacks else one for one in entries]
    return document(entries, generated, {one["name"]: one.get("course", []) for one in entries})


ATTACKS = {"through": "GOT THROUGH", "not_tried": "not tried", "waived": "not enforced", "held": "rejected"}


def attack_rows(name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The attacks on a host as a table, the worst first."""
    order = list(ATTACKS)
    lines = [
        f"{ATTACKS[row['status']]:<12} {row['id']:<26} {row['evidence'] if row.get('open') else row['title']}"
        for row in sorted(rows, key=lambda row: order.index(row["status"]))
    ]
    return [name, *(f"  {line}" for line in lines)]


def attack_causes(rows: Iterable[Mapping[str, Any]], table: Table) -> list[dict[str, Any]]:
    """The attacks that got through, the most severe first."""
    open_ = [
        {
            "id": row["id"],
            "severity": table.control(row["id"]).severity,
            "next": {"kind": _actions.HAND if row["status"] == "through" else _actions.UNSEEN, "text": row["evidence"]},
        }
        for row in rows
        if row["status"] in ("through", "not_tried")
    ]
    return _actions.causes(open_)


def objections(hosts: Iterable[Mapping[str, Any]], fail_on: str) -> list[str]:
    """Why the run must end with an error, one sentence for each host; empty when it need not."""
    messages: list[str] = []
    levels = ENFORCEABLE[: ENFORCEABLE.index(fail_on) + 1] if fail_on else ()
    for entry in hosts:
        asked = [row for row in entry["controls"] if row["level"] in levels]
        failed = [row["id"] for row in asked if row["status"] == "fail"]
        # A waived control need not be inspected.
        unseen = [row["id"] for row in asked if row["status"] == "not_assessed" and not _is_waived(row)]
        if entry.get("error") and (fail_on or entry["reachable"]):
            messages.append(overview(entry))
        elif failed or unseen:
            parts = [f"{len(failed)} not met ({', '.join(failed)})"] if failed else []
            parts += [f"{len(unseen)} not assessed ({', '.join(unseen)})"] if unseen else []
            messages.append(f"{entry['name']}: {'; '.join(parts)}")
    return messages


def _is_waived(row: Mapping[str, Any]) -> bool:
    return bool((row.get("waiver") or {}).get("holds"))


def _day(last: Mapping[str, Any]) -> str:
    return f"{last['generated'][:10]}, {last['summary']['fail']} not met"


def overview(entry: Mapping[str, Any]) -> str:
    """One line about a host, for the terminal."""
    if entry.get("error"):
        last = f" (last good result: {_day(entry['last'])})" if "last" in entry else ""
        return f"{entry['name']}: {_unknown(entry['reachable'], entry['error'])}{last}"
    counts = ", ".join(
        f"{entry['summary'][status]} {LABELS[status].lower()}" for status in STATUSES if entry["summary"][status]
    )
    signs = f"; for a person to read, what an intruder may have left: {len(entry['signs'])}" if entry["signs"] else ""
    return f"{entry['name']}: {counts}{signs}{changed(entry)}"


def artifact_name(host: str) -> str:
    """The name of a variable for a host, another one for each."""
    short = {".": "_", "-": "__"}
    return "guide_report_" + re.sub(r"[^0-9A-Za-z]", lambda found: short.get(found[0], f"_x{ord(found[0]):x}_"), host)


def artifact(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A host in short, for programs that keep nothing else of a run."""
    open_ = {status: [row["id"] for row in entry["controls"] if row["status"] == status] for status in OPEN}
    known = {name: entry[name] for name in ("error", "signs") if entry.get(name)}
    return {"host": entry["name"], "summary": dict(entry["summary"]), **open_, **known}


def changed(entry: Mapping[str, Any]) -> str:
    """What became better or worse since the audit before, for the end of a line; empty where nothing did."""
    changes = entry.get("changes") or {}
    parts = [f"{len(changes[word])} {word}" for word in ("better", "worse") if changes.get(word)]
    return f" ({', '.join(parts)} than on {changes['before'][:10]})" if parts else ""


# -- JSON and JUnit ----------------------------------------------------------------------------------------------------


def to_json(report: Mapping[str, Any]) -> str:
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


def to_junit(report: Mapping[str, Any]) -> str:
    """A suite for each host, a case for each control.

    fail is a failure. not_assessed is an error: what was not seen must not look like success. Whatever nobody asked
    for (advice, waived, people, not_applicable) is skipped.
    """
    suites = ET.Element("testsuites", name="chamilo.hardening")
    totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for entry in report["hosts"]:
        suite = ET.SubElement(suites, "testsuite", name=entry["name"], timestamp=report["generated"])
        counts = dict.fromkeys(totals, 0)
        for row in entry["controls"]:
            case = ET.SubElement(suite, "testcase", classname=f"{entry['name']}.{row['section']}", name=row["id"])
            counts["tests"] += 1
            if row["status"] == "pass":
                continue
            kind, count = {"fail": ("failure", "failures"), "not_assessed": ("error", "errors")}.get(
                row["status"], ("skipped", "skipped")
            )
            counts[count] += 1
            message = f"{LABELS[row['status']]}: {row['evidence']}"
            ET.SubElement(case, kind, message=message).text = f"{row['title']}\n{row['evidence']}\n{row['fix']}"
        for key, count_of_key in counts.items():
            suite.set(key, str(count_of_key))
            totals[key] += count_of_key
    for key, total in totals.items():
        suites.set(key, str(total))
    ET.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


# -- the page ----------------------------------------------------------------------------------------------------------


def _badness(counts: Mapping[str, int], controls: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
    """A sort key, worst first: failed musts, all failures, what was not seen."""
    musts = sum(row["status"] == "fail" and row["level"] == "must" for row in controls)
    return (-musts, -counts["fail"], -counts["not_assessed"], -counts["advice"])


def _view(entry: Mapping[str, Any], table: Table) -> dict[str, Any]:
    """A host as the page shows it: its sections and their controls, worst first."""
    order = {name: number for number, name in enumerate(STATUSES)}
    levels = {name: number for number, name in enumerate(ENFORCEABLE)}
    sections: list[dict[str, Any]] = []
    for section in table.sections:
        controls = [row for row in entry["controls"] if row["section"] == section.id and row["status"] != "people"]
        controls.sort(key=lambda row: (order[row["status"]], levels[row["level"]]))
        sections.append({"section": section, "controls": controls, "summary": summary(controls)})
    measured = [row for row in entry["controls"] if row["status"] not in ("people", "not_applicable")]
    return {
        **entry,
        "remark": _remark(entry),
        "attacks": entry.get("attacks"),
        "sections": sorted(sections, key=lambda item: _badness(item["summary"], item["controls"])),
        "by_section": {section.id: item["summary"] for section, item in zip(table.sections, sections)},
        "met": entry["summary"]["pass"],
        "measured": len(measured),
        "causes": entry.get("causes") or [],
        "run_out": [row for row in entry["controls"] if row.get("waiver") and not row["waiver"]["holds"]],
    }


def _remark(entry: Mapping[str, Any]) -> str:
    """What of a host is not of today: that it has no new result, or what became better or worse."""
    if entry.get("error"):
        return f"No new result; the last one is of {_day(entry['last'])}" if "last" in entry else "No result"
    return changed(entry).strip(" ()")


def _by_portal(hosts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The nodes of a portal beside each other, where the worst of them has its place. ``nodes``: how many it has.

    ``first``: whether the page names the portal in front of this host.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for view in hosts:
        groups.setdefault(view.get("portal") or f"host {view['name']}", []).append(view)
    return [
        {**view, "nodes": len(group), "first": len(group) > 1 and number == 0}
        for group in groups.values()
        for number, view in enumerate(group)
    ]


MANY = 20  # hosts, up to which all of a report is one page
HOST_PAGES = "hosts"  # the directory with a page for each, where there are more


def to_html(report: Mapping[str, Any], table: Table, harden: str = "ansible-playbook chamilo.hardening.harden") -> str:
    """All of it as one page. ``harden``: the command that runs it for these hosts."""
    return _page(_template(table), report, _views(report, table), table, harden)


def to_pages(
    report: Mapping[str, Any], table: Table, harden: str = "ansible-playbook chamilo.hardening.harden"
) -> dict[str, str]:
    """``report.html``, and for many hosts a page for each, to which it leads: their names below the directory."""
    if len(report["hosts"]) <= MANY:
        return {"report.html": to_html(report, table, harden)}
    template, views = _template(table), _views(report, table)
    paths = {view["name"]: f"{HOST_PAGES}/{_stem(view['name'])}.html" for view in views}
    links = {name: quote(path) for name, path in paths.items()}
    pages = {
        paths[view["name"]]: _page(template, report, [view], table, harden, top="../report.html") for view in views
    }
    return {**pages, "report.html": _page(template, report, views, table, harden, links=links)}


def _stem(host: str) -> str:
    """A file name for a host, different for each and without a way out of its directory."""
    return re.sub(r"^[.]|[^0-9A-Za-z._-]", lambda found: f"%{ord(found[0]):x}", host)


def _template(table: Table) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["section_of"] = lambda name: table.by_id[name].section
    return environment.get_template("report.html.j2")


def _views(report: Mapping[str, Any], table: Table) -> list[dict[str, Any]]:
    hosts = [_view(entry, table) for entry in report["hosts"]]
    # Hosts of which nothing is known first, then the worst.
    hosts.sort(key=lambda view: ("error" not in view, *_badness(view["summary"], view["controls"])))
    return _by_portal(hosts)


def _page(
    template: jinja2.Template,
    report: Mapping[str, Any],
    hosts: Sequence[Mapping[str, Any]],
    table: Table,
    harden: str,
    links: Mapping[str, str] | None = None,
    top: str = "",
) -> str:
    """``links``: the pages of the hosts, which are not on this one. ``top``: the page that leads to this one."""
    return template.render(
        report=report,
        harden=harden,
        hosts=hosts,
        links=links or {},
        top=top,
        table=table,
        totals={status: sum(view["summary"][status] for view in hosts) for status in STATUSES},
        statuses=STATUSES,
        severities=SEVERITIES,
        labels=LABELS,
        kinds=_actions.HEADS,
        attacks=ATTACKS,
        people=[control for control in table.controls if control.level == "people"],
    )


# -- files -------------------------------------------------------------------------------------------------------------


def write(directory: Path, files: Mapping[str, str]) -> None:
    """Each file whole or not at all. Readable by their owner alone: they show where the hosts are weak."""
    for name, content in files.items():
        place = (directory / name).parent
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=place, prefix=f".{Path(name).name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(content)
            os.replace(temporary, directory / name)
        except BaseException:
            os.unlink(temporary)
            raise


def prune(directory: Path, written: Collection[str]) -> None:
    """Remove the pages of hosts that are not in the report any more."""
    for path in (directory / HOST_PAGES).glob("*.html"):
        if f"{HOST_PAGES}/{path.name}" not in written:
            path.unlink()
