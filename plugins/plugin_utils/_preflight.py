# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the variables of a host, reported before anything changes."""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ..module_utils._application.obstacle import Obstacle
from ..module_utils._common.naming import word
from . import _controls, _forms, _keys, _portals, _removed

ROLES = Path(__file__).resolve().parents[2] / "roles"

# Variables of the playbooks, which belong to no role.
PLAYBOOK_VARIABLES: dict[str, dict[str, Any]] = {
    "chamilo_hosts": {"type": "raw"},  # a pattern, or a list of them
    "chamilo_host_timeout": {"type": "int"},
    "chamilo_inventory": {"type": "path"},
    "chamilo_report_dir": {"type": "path"},
    "chamilo_audit_fail_on": {"type": "str"},
    "chamilo_prove_address": {"type": "str"},
    "chamilo_prove_ca_file": {"type": "path"},
    "chamilo_restore": {"type": "str"},
    "chamilo_restore_confirm": {"type": "str"},
    "chamilo_restore_path": {"type": "str"},
    "chamilo_restore_run": {"type": "str"},
    "chamilo_serial": {"type": "int"},
    "chamilo_setup_server": {"type": "str"},
    "chamilo_setup_sudo_password": {"type": "str", "no_log": True},
    "chamilo_setup_user": {"type": "str"},
    "chamilo_setup_vault_password": {"type": "str", "no_log": True},
    "chamilo_drain_tasks": {"type": "path"},
    "chamilo_undrain_tasks": {"type": "path"},
}
# Renewal and HSTS, bans, backups, releases and alerts: a run alone does not keep them true.
BY_THE_PROGRAM = ("https", "brute_force", "backups", "updates", "monitoring")
NETWORKS = ("chamilo_trusted_proxies", "chamilo_friends", "chamilo_database_clients")
# Chamilo renames .php to .phps before its check, and knows none of the others behind it.
NEVER_TAKEN = (
    *("exe", "bat", "sh", "php", "phtml", "cgi"),
    *("phps", "pht", "phar", "php3", "php4", "php5", "php7", "php8", "shtml", "htaccess"),
)

_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)\Z")

Spec = Mapping[str, Mapping[str, Any]]

TEXTS = ("str", "path")
# A header that is a 0. Anywhere else a number is no text: YAML reads 0123 as 83, and no user and no site has that name.
NUMBERS_TOO = ("chamilo_headers_xss_protection",)
_EXPECTED = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "list": "a list",
    "dict": "a dictionary",
    "str": "a text",
    "path": "a text",
}
_EXAMPLES = {"bool": "true", "int": "30", "float": "0.5", "list": "[...]", "dict": "{...}"}


@functools.cache
def specs(roles: Path = ROLES) -> dict[str, Spec]:
    """The options of each role, by role."""
    found = {}
    for path in sorted(roles.glob("*/meta/argument_specs.yml")):
        data = _controls.load_yaml(path)
        found[path.parts[-3]] = data["argument_specs"]["main"].get("options") or {}
    return found


def options(all_specs: Mapping[str, Spec]) -> dict[str, Mapping[str, Any]]:
    """Each variable of the roles and of the playbooks."""
    return {name: option for spec in (*all_specs.values(), PLAYBOOK_VARIABLES) for name, option in spec.items()}


def unknown(values: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence for each variable that was removed, or is a misspelt one of ours. Others are the user's own."""
    return [
        f"{name} was removed. {_removed.INSTEAD[name]}"
        if name in _removed.INSTEAD
        else f"{name} is not a variable of this collection. Did you mean {meant}? One of your own needs another name."
        for name in sorted(values)
        if name.startswith("chamilo_") and name not in known
        for meant in ([name] if name in _removed.INSTEAD else _meant(name, values[name], known))
    ]


def _meant(name: str, value: Any, known: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The variable of which this is a misspelt name; empty where none is near.

    A list, or what a task registered, is none for a variable that takes a text: chamilo_sites is no chamilo_site.
    """
    tail = name.removeprefix("chamilo_")
    most = 1 if len(tail) < 8 else 2
    near = [(distance, other) for other in known if (distance := _edits(tail, other.removeprefix("chamilo_"))) <= most]
    meant = [other for _distance, other in sorted(near)[:1]]
    several = isinstance(value, (list, tuple, Mapping))
    return [one for one in meant if not several or _fits(str(known[one].get("type", "str")), value)]


def _edits(one: str, other: str) -> int:
    """How many letters are to be added, left out, replaced or swapped to make the one of the other."""
    before: list[int] = []
    row: list[int] = [*range(len(other) + 1)]
    for i, letter in enumerate(one, 1):
        last, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != wanted)))
            if last and j > 1 and (letter, one[i - 2]) == (other[j - 2], wanted):
                row[-1] = min(row[-1], last[j - 2] + 1)
    return row[-1]


def _fits(kind: str, value: Any) -> bool:
    if kind == "bool" or isinstance(value, bool):  # Python counts true and false among the numbers
        return kind == "bool" and isinstance(value, bool)
    if kind in TEXTS:
        return isinstance(value, str)
    types: dict[str, Any] = {"raw": object, "int": int, "float": (int, float), "list": (list, tuple), "dict": Mapping}
    return isinstance(value, types[kind])


def _given(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    names: dict[Any, str] = {str: "a text", (int, float): "a number", (list, tuple): "a list", Mapping: "a dictionary"}
    found = [name for types, name in names.items() if isinstance(value, types)]
    return (found or ["a date" if isinstance(value, datetime.date) else "nothing of the kind"])[0]


def form(name: str, option: Mapping[str, Any], value: Any) -> str:
    """A sentence for a value of another type than its option has, or nothing.

    Ansible's own check only tries whether it could be converted. What the role then reads is still the text "false",
    which counts as true, or the letters of a name where a list of names is wanted.
    """
    kind, secret = str(option.get("type", "str")), option.get("no_log")
    if kind not in _EXPECTED:
        return ""
    if isinstance(value, bool) and option.get("choices") and kind in TEXTS:
        if str(value).lower() in option["choices"]:
            return ""
        return (
            f"{name} is {str(value).lower()}: YAML reads on, off, yes and no that way. Put the word in quotes, such as "
            '"off".'
        )
    wrong, desired, verb = value, _EXPECTED[kind], "is"
    if _fits(kind, value):
        of = option.get("elements", "raw")
        others = [entry for entry in value if not _fits(of, entry)] if kind == "list" and of in _EXPECTED else []
        if not others:
            return ""
        wrong, desired, verb = others[0], f"{desired} in which each entry is {_EXPECTED[of]}", "holds"
    elif name in NUMBERS_TOO and _fits("int", value):
        return ""
    if wrong is None:
        messages = f"{name} {verb} no value at all" if verb == "holds" else f"{name} has no value"
    elif secret:
        messages = f"{name} {verb} {_given(wrong)}"
    else:
        shown = str(wrong).lower() if isinstance(wrong, bool) else repr(wrong) if isinstance(wrong, str) else str(wrong)
        messages = f"{name} {verb} {shown}" + ("" if isinstance(wrong, bool) else f", {_given(wrong)}")
    digits = kind == "int" and re.fullmatch("[0-9]+", str(value))
    example = str(int(value)) if digits else _removed.EXAMPLES.get(name, _EXAMPLES.get(kind, '"..."'))
    return f"{messages}, but must be {desired}. In YAML, or as JSON: -e '{{\"{name}\": {example}}}'."


def forms(all_specs: Mapping[str, Spec], values: Mapping[str, Any]) -> dict[str, str]:
    """A sentence for each variable of the wrong type. Sections that do not run count too: others read theirs."""
    messages = {name: form(name, option, values[name]) for name, option in options(all_specs).items() if name in values}
    return {name: sentence for name, sentence in messages.items() if sentence}


def against_spec(spec: Spec, values: Mapping[str, Any]) -> list[str]:
    """A sentence for each value that its role would refuse. Options that are not set are the role's business."""
    messages = []
    for name, option in spec.items():
        if name not in values:
            continue
        outcome = ArgumentSpecValidator({name: dict(option)}).validate({name: values[name]})
        if not outcome.error_messages:
            continue
        if option.get("no_log"):
            # Ansible's own messages contain the value.
            messages.append(
                f"Invalid value for {name}: (not shown: it is a secret). Valid: {_EXPECTED[option.get('type', 'str')]}."
            )
        elif option.get("choices") and not isinstance(values[name], (list, dict)):
            choices = ", ".join(str(choice) or "empty" for choice in option["choices"])
            messages.append(f"Invalid value for {name}: {values[name]!r}. Valid: {choices}.{_base_60(values[name])}")
        else:
            messages.extend(f"{name}: {message.rstrip('.')}." for message in outcome.error_messages)
    return messages


def _base_60(value: Any) -> str:
    """YAML 1.1 reads a time of day as one number."""
    if not isinstance(value, int) or value < 60:
        return ""
    hour, minute = divmod(value, 60)
    return f" YAML reads {hour}:{minute:02} as {value}: write the hour alone, such as {hour}."


def domain(value: Any, inventory_name: str) -> list[str]:
    """Whether the name can be a name on the web. Without ``chamilo_domain`` it is the host's name in the inventory."""
    text = str(value)
    if text == inventory_name:
        subject = f"The portal's name is the host's name in the inventory, {text!r}, and that"
        remedy = "Set chamilo_domain to the public name, such as campus.example.org."
    else:
        subject = f"chamilo_domain is {text!r}, and that"
        remedy = "Write the public name alone, such as campus.example.org, without scheme, port or path."
    labels = text.split(".")
    if len(text) > 253 or not all(_LABEL.match(label) for label in labels):
        return [f"{subject} is no valid domain name. {remedy}"]
    if labels[-1].isdigit():
        return [f"{subject} is an address, not a name. {remedy}"]
    return []


def width(name: str, entries: Sequence[str]) -> list[str]:
    """Whether networks that are trusted, or never banned, are too many for that."""
    found = _forms.too_wide(entries)
    if not found:
        return []
    return [
        f"Invalid value for {name}: {', '.join(entries)!r}. Together these contain {found}. Valid: networks of your "
        "own, public ones together no wider than /8 (IPv4) or /16 (IPv6)."
    ]


def keeps(values: Mapping[str, Any]) -> list[str]:
    """Whether any backup is kept."""
    names = [f"chamilo_backups_keep_{each}" for each in ("daily", "weekly", "monthly")]
    if any(values.get(name, 1) for name in names):
        return []
    return [f"Invalid value for {', '.join(names)}: 0. No backup would be kept. Valid: at least one of them above 0."]


def blocked_extensions(values: Mapping[str, Any]) -> list[str]:
    """Whether a list of one's own leaves out what the control asks for."""
    name = "chamilo_uploads_blocked_extensions"
    waived = [each.get("control") for each in values.get("chamilo_waivers") or [] if isinstance(each, Mapping)]
    if name not in values or values.get("chamilo_uploads_state") == "absent" or "uploads_extensions" in waived:
        return []
    missing = [each for each in NEVER_TAKEN if each not in map(str.lower, values[name])]
    if not missing:
        return []
    return [
        f"Invalid value for {name}: it lacks {', '.join(missing)}. The control uploads_extensions asks for them, and "
        "your list replaces the one of the role. Valid: a list with them, or a waiver of the control."
    ]


def subdomains(domain_name: Any, values: Mapping[str, Any]) -> list[str]:
    """A sentence for each name that is none below the domain, so that HSTS of the domain is nothing to it."""
    name = "chamilo_https_subdomains"
    form_of, entries = _forms.FORMS[name], values.get(name)
    return [
        f"Invalid value for {name}: {entry!r}. Valid: {form_of.valid}. This portal's is {domain_name}."
        for entry in (entries if isinstance(entries, (list, tuple)) else [])
        if isinstance(entry, str) and form_of.fits(entry) and not entry.lower().endswith(f".{str(domain_name).lower()}")
    ]


def names(domain_name: Any, values: Mapping[str, Any]) -> list[str]:
    """Whether the portal is to do without the name that the administrator gave it."""
    entries = values.get("chamilo_names")
    wrong = [
        entry
        for entry in (entries if isinstance(entries, (list, tuple)) else [])
        if isinstance(entry, str) and entry.lower() == f"!{domain_name}".lower()
    ]
    return [
        f"Invalid value for chamilo_names: {entry!r}. {domain_name} is the portal's first name, and is never left out. "
        "Valid: another name, or another chamilo_domain."
        for entry in wrong
    ]


def certificate(values: Mapping[str, Any]) -> list[str]:
    """Whether a certificate that is given as files is whole."""
    names = ("chamilo_https_certificate_file", "chamilo_https_certificate_key_file")
    file, key = (str(values.get(name, "")) for name in names)
    if values.get("chamilo_https_certificate") != "files" or (file and key):
        return []
    return [
        f'chamilo_https_certificate is "files", but {names[0]} is "{file}" and {names[1]} is "{key}". '
        "Set both to files on the host."
    ]


def session_store(values: Mapping[str, Any]) -> list[str]:
    """The variables that a server of sessions needs, and that are empty."""
    needed = [f"chamilo_sessions_redis_{name}" for name in ("host", "password")]
    if values.get("chamilo_sessions_handler") != "redis":
        return []
    return [
        f"chamilo_sessions_handler is redis, but {name} is empty. Set it." for name in needed if not values.get(name)
    ]


def elsewhere(values: Mapping[str, Any]) -> list[str]:
    """Whether it is known whose word counts, where TLS ends at a proxy."""
    if not values.get("chamilo_https_terminated_elsewhere") or values.get("chamilo_trusted_proxies"):
        return []
    return [
        "chamilo_https_terminated_elsewhere is set, but chamilo_trusted_proxies is empty. Put the address of your "
        "proxy, as this host sees it, into chamilo_trusted_proxies."
    ]


def release(values: Mapping[str, Any]) -> list[str]:
    """Whether it is known which package the program is to be compared with."""
    archive, checksum = (values.get(f"chamilo_release_{name}") or "" for name in ("archive", "sha256"))
    if not isinstance(archive, str) or not isinstance(checksum, str):
        return []  # that is reported where types are checked
    messages = []
    if "://" in archive and not archive.startswith("https://"):
        messages.append(
            f"chamilo_release_archive is {archive!r}. Valid values: auto, off, a file on the controller, an https:// "
            "address."
        )
    if checksum and not re.fullmatch(r"[0-9A-Fa-f]{64}", checksum):
        messages.append(
            f"chamilo_release_sha256 is {checksum!r}, which is no SHA-256 checksum: it has 64 digits from 0 to f."
        )
    if "://" in archive and not checksum:
        messages.append(
            "chamilo_release_archive is an address, but chamilo_release_sha256 is empty. Set it to the checksum that "
            "Chamilo publishes with the package: else it could be exchanged on the way."
        )
    return messages


def key_copy(sections: Sequence[str], values: Mapping[str, Any], variables: Mapping[str, Any]) -> list[str]:
    """Whether a copy of the backup key would be lost, where this run makes the section backups true.

    ``variables``: what Ansible itself knows of the host and of the run.
    """
    if (
        "backups" not in sections
        or values.get("chamilo_backups_password")
        or values.get("chamilo_backups_state") == "absent"
        or not _portals.serves_web({**values, "group_names": variables.get("group_names")})
        or not (_runs("backups", sections, variables) or values.get("chamilo_backups_first"))
    ):
        return []
    host = str(variables.get("inventory_hostname"))
    site = values.get("chamilo_site") or word(str(values.get("chamilo_domain", host)))
    directory = str(values.get("chamilo_backups_key_folder") or "")
    return list(filter(None, [_keys.find(directory, host, str(site), variables).cannot_be_kept()]))


def _runs(section: str, sections: Sequence[str], variables: Mapping[str, Any]) -> bool:
    """Whether this run enforces a section. The playbook harden asks about all of them, whichever will run."""
    tags = variables.get("ansible_run_tags") or ("all",)
    return section in sections and (len(sections) == 1 or bool({"all", "tagged", section} & set(tags)))


def without_program(sections: Sequence[str], values: Mapping[str, Any], variables: Mapping[str, Any]) -> list[Obstacle]:
    """The sections that would end with the run, where the host program is not to be installed."""
    if values.get("chamilo_host_program", True):
        return []
    scans = values.get("chamilo_uploads_antivirus") or values.get("chamilo_level") == "consider"
    left = [
        one
        for one in (*BY_THE_PROGRAM, *(["uploads"] if scans else []))
        if _runs(one, sections, variables) and values.get(f"chamilo_{one}_state") != "absent"
    ]
    why = (
        f"chamilo_host_program is false, and {', '.join(left)} would end with this run: the host program goes on with "
        "that work. Set chamilo_host_program to true, or leave that to a role of your own."
    )
    return [Obstacle(why, tuple(left))] if left else []


def waivers(value: Any, today: datetime.date) -> tuple[list[str], list[str]]:
    """What is wrong with the waivers, and which of them have run out."""
    try:
        parsed = _controls.parse_waivers(value, _controls.load())
    except _controls.ControlError as error:
        return [str(error)], []
    return [], [
        f"The waiver of {waiver.control} ({waiver.owner}: {waiver.reason}) ran out on {waiver.until}; the control is "
        "enforced again from this run on."
        for waiver in parsed
        if not waiver.holds(today)
    ]


def tags(variables: Mapping[str, Any], sections: Sequence[str], inherited: Iterable[str]) -> list[str]:
    """A sentence for each tag that was asked for, or left out, and that nothing in the playbook harden has."""
    valid = [*sections, "preflight"]
    known = {*valid, *inherited, "all", "always", "never", "tagged", "untagged"}
    return [
        f"Invalid value for --{option}: {tag!r}.{_controls.nearest(tag, valid)} Valid: {', '.join(valid)}."
        for option, name in (("tags", "ansible_run_tags"), ("skip-tags", "ansible_skip_tags"))
        for tag in variables.get(name) or ()
        if tag not in known
    ]


def of_playbooks(values: Mapping[str, Any]) -> list[str]:
    """A sentence for each variable of the playbooks that has not its form."""
    return [messages for name in PLAYBOOK_VARIABLES if name in values for messages in _forms.judge(name, values[name])]


def errors(all_specs: Mapping[str, Spec], sections: Sequence[str], values: Mapping[str, Any]) -> list[str]:
    """Everything that is wrong, one sentence each. ``values`` are the ``chamilo_`` variables that are set."""
    known = options(all_specs)
    messages = unknown(values, known)
    wrong = forms(all_specs, values)
    messages += wrong.values()
    values = {name: value for name, value in values.items() if name not in wrong}
    waived = values.get("chamilo_waivers")
    for role in ("common", *sections):
        # Waivers are judged whole below, with better words.
        spec = {name: option for name, option in all_specs.get(role, {}).items() if name != "chamilo_waivers"}
        messages += against_spec(spec, values)
    for name, option in known.items():
        if name in values:
            messages += _forms.judge(name, values[name], bool(option.get("no_log")))
    for name in NETWORKS:
        messages += width(name, values.get(name, []))
    messages += keeps(values)
    if "https" in sections:
        messages += certificate(values) + elsewhere(values)
    if "sessions" in sections:
        messages += session_store(values)
    if "uploads" in sections:
        messages += blocked_extensions(values)
    if "permissions" in sections:
        messages += release(values)
    if waived is not None:
        messages += waivers(waived, datetime.date.today())[0]
    return messages
