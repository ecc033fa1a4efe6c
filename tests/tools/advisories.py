"""Brings meta/advisories.json up to date from the public records.

Without arguments it asks OSV, and the project's advisories and releases on GitHub. What the list states of a
vulnerability already stays, for it was reviewed; where a record differs, that is printed. A new record is taken over
as it is published, with ``unreviewed`` set: what it lacks, and the controls in its way, are for a person to add.

With --check it only compares the list with its form.
"""

from __future__ import annotations

import datetime
import json
import re
import sys
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / ".collections")]

from ansible_collections.chamilo.hardening.plugins.module_utils._common.version import (  # noqa: E402 (needs the path)
    VersionError,
    parse,
    stable,
)

LIST = ROOT / "meta/advisories.json"
PACKAGE = {"ecosystem": "Packagist", "name": "chamilo/chamilo-lms"}
OSV = "https://api.osv.dev/v1/query"
REPOSITORY = "https://api.github.com/repos/chamilo/chamilo-lms"
GHSA = f"{REPOSITORY}/security-advisories?state=published&per_page=100"
RELEASES = f"{REPOSITORY}/releases?per_page=100"
_BYTES = 32 << 20
_SECURITY = re.compile(r"vulnerabilit|security (?:fix|hole|issue|patch|release|update)|CVE-\d|GHSA-", re.IGNORECASE)

_TEXT = {"type": "string", "minLength": 1}
_ID = {"type": "string", "pattern": r"^(CVE-\d{4}-\d{4,}|GHSA(-[23456789cfghjmpqrvwx]{4}){3})$"}
_TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
_VERSION = {"type": "string", "pattern": r"^(0|\d+\.\d+(\.\d+)?(-[A-Za-z]+\.?\d*)?)$"}
_REFERENCES = {
    "type": "array",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["type", "url"],
        "properties": {
            "type": {
                "enum": [
                    "ADVISORY",
                    "ARTICLE",
                    "DETECTION",
                    "DISCUSSION",
                    "EVIDENCE",
                    "FIX",
                    "PACKAGE",
                    "REPORT",
                    "WEB",
                ]
            },
            "url": {"type": "string", "pattern": "^https://"},
        },
    },
}
_EVENT = {
    "type": "object",
    "additionalProperties": False,
    "minProperties": 1,
    "maxProperties": 1,
    "properties": dict.fromkeys(("introduced", "fixed", "last_affected"), _VERSION),
}
# OSV's schema, as far as the list uses it: a name that OSV has means here what it means there, and none is added.
RECORD: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["id", "modified", "summary", "affected"],
    "properties": {
        "id": _ID,
        "modified": _TIME,
        "published": _TIME,
        "aliases": {"type": "array", "items": _ID, "uniqueItems": True, "minItems": 1},
        "summary": {**_TEXT, "maxLength": 100},
        "details": _TEXT,
        "severity": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["type", "score"],
                "properties": {
                    "type": {"enum": ["CVSS_V2", "CVSS_V3", "CVSS_V4"]},
                    "score": {"type": "string", "pattern": r"^(CVSS:[34]\.\d/)?[A-Z]+:"},
                },
            },
        },
        "affected": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["package", "ranges"],
                "properties": {
                    "package": {"const": PACKAGE},
                    "ranges": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 1,
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["type", "events"],
                            "properties": {
                                "type": {"const": "ECOSYSTEM"},
                                "events": {"type": "array", "minItems": 1, "items": _EVENT},
                            },
                        },
                    },
                },
            },
        },
        "references": _REFERENCES,
        "database_specific": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "severity": {"enum": ["CRITICAL", "HIGH", "MODERATE", "LOW"]},
                "way_in": _TEXT,
                "controls": {"type": "array", "items": _TEXT, "uniqueItems": True},
                "indicators": {"type": "array", "items": _TEXT},
                "remark": _TEXT,
                "unreviewed": {"const": True},
            },
        },
    },
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["about", "dated", "branches", "releases", "advisories"],
    "properties": {
        "about": _TEXT,
        "dated": {"type": "string", "format": "date", "pattern": r"^\d{4}-\d\d-\d\d$"},
        "branches": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "supported"],
                "properties": {
                    "name": {"type": "string", "pattern": r"^\d+\.\d+$"},
                    "supported": {"type": "boolean"},
                    "php": {"type": "string", "pattern": r"^\d\.\d+$"},
                    "remark": _TEXT,
                    "references": _REFERENCES,
                },
            },
        },
        "releases": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["version", "security"],
                "properties": {
                    "version": _VERSION,
                    "published": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"},
                    "security": {"type": "boolean"},
                    "summary": {**_TEXT, "maxLength": 100},
                    "references": _REFERENCES,
                },
            },
        },
        "advisories": {"type": "array", "items": RECORD},
    },
}

Known = dict[str, Any]
Fetch = Callable[[str, Mapping[str, Any]], Any]


def load(path: Path = LIST) -> Known:
    """The list, its form validated."""
    known: Known = json.loads(path.read_text(encoding="utf-8"))
    validate(known)
    return known


def validate(known: Known) -> None:
    jsonschema.validate(known, SCHEMA)
    names = [name for record in known["advisories"] for name in (record["id"], *record.get("aliases", []))]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SystemExit(f"meta/advisories.json: {', '.join(twice)} is listed twice. Merge the records.")


def dump(known: Known) -> str:
    """The text of the list."""
    return json.dumps(known, indent=1, ensure_ascii=False) + "\n"


def _events(record: Mapping[str, Any]) -> list[dict[str, str]]:
    events: list[dict[str, str]] = record["affected"][0]["ranges"][0]["events"]
    return events


# ------------------------------------------------------------------------------------------------------------ records


def fetch(address: str, body: Mapping[str, Any]) -> Any:
    """JSON from an address; with a body it is asked by POST."""
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(address, data, {"Accept": "application/json", "User-Agent": "chamilo.hardening"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read(_BYTES))


def records(fetch: Fetch) -> list[dict[str, Any]]:
    """What OSV and GitHub have published of the application, one record for each vulnerability, in OSV's terms."""
    found: list[dict[str, Any]] = []
    for one in [*_of_osv(fetch), *map(_of_ghsa, fetch(GHSA, {}))]:
        names = {one["id"], *one["aliases"]}
        same = next((other for other in found if names & {other["id"], *other["aliases"]}), None)
        if same is None:
            found.append(one)
        else:
            same["aliases"] = sorted({*same["aliases"], *names} - {same["id"]})
            for key, value in one.items():
                same[key] = same.get(key) or value
    return found


def _of_osv(fetch: Fetch) -> Iterator[dict[str, Any]]:
    answer = fetch(OSV, {"package": PACKAGE})
    while True:
        for one in answer.get("vulns", []):
            if "withdrawn" not in one:
                own = [
                    each for each in one.get("affected", []) if each.get("package", {}).get("name") == PACKAGE["name"]
                ]
                ranges = [range_ for each in own for range_ in each.get("ranges", []) if range_["type"] != "GIT"]
                yield {
                    "id": one["id"],
                    "aliases": one.get("aliases", []),
                    "published": one.get("published", ""),
                    "summary": one.get("summary", ""),
                    "severity": [each for each in one.get("severity", []) if each["type"].startswith("CVSS_")],
                    "level": one.get("database_specific", {}).get("severity", ""),
                    "events": [event for each in ranges for event in each["events"]],
                }
        if not answer.get("next_page_token"):
            return
        answer = fetch(OSV, {"package": PACKAGE, "page_token": answer["next_page_token"]})


def _of_ghsa(one: Mapping[str, Any]) -> dict[str, Any]:
    vector = (one.get("cvss") or {}).get("vector_string") or ""
    level = (one.get("severity") or "").upper()
    return {
        "id": one["ghsa_id"],
        "aliases": [one["cve_id"]] if one.get("cve_id") else [],
        "published": one.get("published_at") or "",
        "summary": one.get("summary") or "",
        "severity": _severity(vector),
        "level": {"MEDIUM": "MODERATE"}.get(level, level),
        "events": [
            event
            for each in one.get("vulnerabilities") or []
            for event in _range(str(each.get("vulnerable_version_range") or ""))
        ],
    }


def _severity(vector: str) -> list[dict[str, str]]:
    return [{"type": f"CVSS_V{vector[5]}", "score": vector}] if re.match(r"CVSS:[34]\.\d/", vector) else []


def _range(text: str) -> list[dict[str, str]]:
    """``>= 2.0.0, < 2.0.4`` as OSV's events."""
    events, begin = [], "0"
    for sign, number in re.findall(r"(<=|>=|<|>|=)?\s*v?(\d[\w.-]*)", text):
        version = _plain(number)
        if sign in (">=", ">"):
            begin = version
        elif sign in ("<", "<=", "=", "") and version:
            first = version if sign in ("=", "") else begin
            events += [{"introduced": first}, {"fixed" if sign == "<" else "last_affected": version}]
            begin = "0"
    return events


def _plain(text: str) -> str:
    """A version as the list writes it; empty where it is none."""
    text = text.removeprefix("v").strip()
    try:
        parse(text)
    except VersionError:
        return ""
    return text


def refresh(known: Known, fetch: Fetch, today: datetime.date, report: Callable[[str], None] = print) -> Known:
    """The list with what was published since."""
    advisories = [dict(one) for one in known["advisories"]]
    moment = f"{today.isoformat()}T00:00:00Z"
    for record in records(fetch):
        names = {record["id"], *record["aliases"]}
        mine = next((one for one in advisories if names & {one["id"], *one.get("aliases", [])}), None)
        if mine is None:
            report(f"{record['id']} is new: {record['summary']}")
            advisories.append(_new(record, moment))
            continue
        if record["events"] and record["events"] != _events(mine):
            report(f"{mine['id']}: the record has {record['events']}, the list {_events(mine)}; left as it is")
        more = {
            "aliases": sorted({*mine.get("aliases", []), *names} - {mine["id"]}),
            "published": mine.get("published") or record["published"],
            "severity": mine.get("severity") or record["severity"],
        }
        changed = {key: value for key, value in more.items() if value and value != mine.get(key)}
        if changed:
            mine.update(changed, modified=moment)
    result = {
        **known,
        "dated": today.isoformat(),
        "releases": [*known["releases"], *_new_releases(known, fetch(RELEASES, {}), report)],
        "advisories": [_ordered(one) for one in advisories],
    }
    validate(result)
    return result


def _new(record: Mapping[str, Any], moment: str) -> dict[str, Any]:
    specific = {"severity": record["level"]} if record["level"] in ("CRITICAL", "HIGH", "MODERATE", "LOW") else {}
    events = record["events"] or [{"introduced": "0"}]
    return {
        "id": record["id"],
        "aliases": sorted({*record["aliases"]} - {record["id"]}),
        "modified": moment,
        "published": record["published"],
        "summary": (record["summary"] or "no summary")[:100],
        "severity": record["severity"],
        "affected": [{"package": PACKAGE, "ranges": [{"type": "ECOSYSTEM", "events": events}]}],
        "references": [{"type": "ADVISORY", "url": f"https://osv.dev/vulnerability/{record['id']}"}],
        "database_specific": {**specific, "unreviewed": True},
    }


def _ordered(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in RECORD["properties"] if record.get(key)}


def _new_releases(
    known: Known, published: Iterable[Mapping[str, Any]], report: Callable[[str], None]
) -> list[dict[str, Any]]:
    listed = {one["version"] for one in known["releases"]}
    oldest = min((parse(one["version"]) for one in known["releases"]), default=parse("0.0"))
    found = []
    for one in published:
        version = _plain(str(one.get("tag_name") or ""))
        if version and stable(version) and version not in listed and parse(version) > oldest:
            security = bool(_SECURITY.search(str(one.get("body") or "")))
            report(f"{version} is a new release{', which fixes vulnerabilities' if security else ''}")
            found.append(
                {
                    "version": version,
                    "published": str(one.get("published_at") or "")[:10],
                    "security": security,
                    "references": [{"type": "WEB", "url": str(one["html_url"])}],
                }
            )
    return sorted(found, key=lambda one: parse(str(one["version"])))


def main(arguments: Sequence[str] = (), fetch: Fetch = fetch) -> int:
    known = load()
    if "--check" in arguments:
        same = LIST.read_text(encoding="utf-8") == dump(known)
        if not same:
            print("meta/advisories.json is not in its form: run bin/env python -m tests.tools.advisories")
        return 0 if same else 1
    LIST.write_text(dump(refresh(known, fetch, datetime.date.today())), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
