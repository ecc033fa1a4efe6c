# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last screen of a playbook: what changed, what is active, what is open, and the next command."""

from __future__ import annotations

import os
import re
import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ansible import constants as C

from . import _actions, _answers, _controls, _program

LINES = 20
WIDTH = 80
COLLECTION = "chamilo.hardening"
REPORTING = ("audit", "report")  # the playbooks that end with the report of all hosts
_NAMES = {"common": "host program"}  # what that role installs
# What ansible-playbook does without an option.
DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "inventory": C.DEFAULT_HOST_LIST,
        "connection": C.DEFAULT_TRANSPORT,
        "remote_user": C.DEFAULT_REMOTE_USER,
        "private_key_file": C.DEFAULT_PRIVATE_KEY_FILE,
    }
)
# What a command of the next playbook may repeat from the command line of this one. A value can be a password.
_HARMLESS = re.compile(r"(?:chamilo_\w+|ansible_become)=[\w./,-]*")
_SECRET = re.compile(r"password|secret|key|token|webhook|repository|environment|arguments")


@dataclass
class HostRun:
    """What became of one host."""

    changed: dict[str, int] = field(default_factory=dict)  # section (or "other") -> number of tasks
    sections: list[str] = field(default_factory=list)  # whose role ran
    enforces: list[str] = field(default_factory=list)  # and which of them are not to be undone
    begun: list[str] = field(default_factory=list)  # the jobs that go on on the host after the run
    controls: dict[str, str] = field(default_factory=dict)  # those that these sections enforce -> severity
    obstacles: list[dict[str, Any]] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)  # section -> why it is as it was
    state: list[dict[str, str]] = field(default_factory=list)  # what the host observed at the end
    ended: bool = False  # the run did all that it could, and has listed what it left
    failed: str = ""  # the task
    unreachable: bool = False
    lost: str = ""  # the task of a section at which it no longer was


@dataclass
class Run:
    """What became of one playbook. ``lines``, ``causes``, ``report``: the messages of its actions."""

    playbook: str
    check: bool = False
    hosts: dict[str, HostRun] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    causes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    report: str = ""
    inventory: str = ""  # that was written
    vault: str = ""  # that was written beside it
    sudo: bool = False  # whether sudo asks for a password
    report_dir: str = ""  # where harden.json goes; empty: no preflight has ended well

    def host(self, name: str) -> HostRun:
        return self.hosts.setdefault(name, HostRun())

    @property
    def failed(self) -> bool:
        return any(host.failed or host.unreachable for host in self.hosts.values())

    @property
    def hindered(self) -> bool:
        return any(host.left or host.obstacles for host in self.hosts.values())

    def settle(self) -> None:
        """What is open on each host, now that it is known how far its run came."""
        for name, host in self.hosts.items():
            in_the_way = {section: one["why"] for one in host.obstacles for section in one["sections"]}
            left = {**in_the_way, **host.left}
            host.left = {section: left[section] for section in host.enforces if section in left}
            if (host.failed or host.unreachable) and not host.sections and self.playbook == "harden":
                self.causes.pop(name, None)  # nothing was done: what else is open was not looked at
            elif found := [
                *_actions.hindered(host.controls, host.obstacles, host.left),
                *_actions.begun(host.controls, [] if self.check or "backups" in host.left else host.begun),
            ]:
                self.causes[name] = [*found, *self.causes.get(name, [])]
            if host.state:
                there = self.causes.setdefault(name, [])
                there += _actions.observed(host.state, there)


# -- the next command --------------------------------------------------------------------------------------------------


def next_command(run: Run, called: Mapping[str, Any], defaults: Mapping[str, Any], directory: str) -> tuple[str, str]:
    """Why, and the whole command. ``called``: the options of ansible-playbook; ``defaults``: those of its settings."""
    kinds = {cause["kind"] for causes in run.causes.values() for cause in causes}
    again = (run.playbook, _again(called))
    if run.playbook == "setup" and run.inventory:
        called = {
            "args": called.get("args"),
            "inventory": [run.inventory],
            "ask_vault_pass": bool(run.vault),
            "become_ask_pass": run.sudo and not run.vault,
        }
        if run.failed or run.hindered:
            why, name, more = "When that is mended", "harden", ["--tags", "preflight"]
        else:
            why, name, more = "Next, see what harden would change", "harden", ["--check", "--diff"]
    elif run.failed and run.playbook not in REPORTING:
        why, (name, more) = "When the error above is mended", again
    elif run.hindered:
        why, (name, more) = "When that is mended", again
    elif run.playbook == "discover":
        called = {
            **called,
            "extra_vars": [one for one in called.get("extra_vars") or () if "chamilo_inventory" not in one],
        }
        why, name, more = "Next, check the portals", "audit", []
        if run.inventory:
            called["inventory"], called["subset"] = [run.inventory], None
        else:
            why, name, more = "To write the inventory", "discover", ["-e", "chamilo_inventory=portals.yml"]
    elif run.playbook == "harden" and "preflight" in (called.get("tags") or ()):
        why, (name, more) = "Next", ("harden", ["--check", "--diff"])
    elif run.playbook == "harden" and run.check:
        why, (name, more) = (
            "To apply it",
            ("harden", [one for one in _again(called) if one not in ("--check", "--diff")]),
        )
    elif run.playbook in ("harden", "restore"):
        why, (name, more) = "Next, check what is open", ("audit", [])
    elif run.playbook == "prove":
        why, (name, more) = "Next", ("audit", [])
    elif _actions.ROLE in kinds:
        why, (name, more) = "Next, see what harden would change", ("harden", ["--check", "--diff"])
    elif _actions.VARIABLE in kinds:
        why, (name, more) = "When the variables are set", ("harden", [])
    elif run.failed or _actions.UNSEEN in kinds:
        why, (name, more) = "When that is mended", again
    else:
        why, (name, more) = "Next, attack it harmlessly", ("prove", [])
    return why, command(name, called, defaults, directory, more)


def command(
    name: str,
    called: Mapping[str, Any],
    defaults: Mapping[str, Any] = DEFAULTS,
    directory: str = "",
    more: Sequence[str] = (),
) -> str:
    """This playbook for the hosts, and in the way, that ansible-playbook was called for."""
    options = _options(called, defaults, directory or os.getcwd())
    return shlex.join(["ansible-playbook", _playbook(called, name), *options, *more])


def _playbook(called: Mapping[str, Any], name: str) -> str:
    """As it was called: by the name of the collection, or by a path."""
    for argument in called.get("args") or ():
        if Path(argument).parent.name == "playbooks" and Path(argument).suffix == ".yml":
            return str(Path(argument).with_name(f"{name}.yml"))
    return f"{COLLECTION}.{name}"


def _again(called: Mapping[str, Any]) -> list[str]:
    words = [word for name, word in (("check", "--check"), ("diff", "--diff")) if called.get(name)]
    if list(called.get("tags") or ()) not in ([], ["all"]):
        words += ["--tags", ",".join(called["tags"])]
    if called.get("skip_tags"):
        words += ["--skip-tags", ",".join(called["skip_tags"])]
    return words


def _options(called: Mapping[str, Any], defaults: Mapping[str, Any], directory: str) -> list[str]:
    """The options that select the hosts, how they are reached, and their variables."""
    words: list[str] = []
    for source in called.get("inventory") or ():
        if source not in (defaults.get("inventory") or ()):
            words += ["-i", source if "," in source else _relative(source, directory)]
    for name, option in (("subset", "--limit"), ("connection", "-c"), ("remote_user", "-u")):
        value = called.get(name)
        if value and value != defaults.get(name):
            words += [option, str(value)]
    if called.get("private_key_file") and called["private_key_file"] != defaults.get("private_key_file"):
        words += ["--private-key", _relative(str(called["private_key_file"]), directory)]
    words += [option for name, option in (("ask_pass", "-k"), ("become_ask_pass", "-K")) if called.get(name)]
    if called.get("ask_vault_pass"):
        words.append("--ask-vault-pass")
    for path in called.get("vault_password_files") or ():
        words += ["--vault-password-file", _relative(str(path), directory)]
    for given in called.get("extra_vars") or ():
        if given.startswith("@") or (_HARMLESS.fullmatch(given) and not _SECRET.search(given.partition("=")[0])):
            if not given.startswith(("chamilo_restore", "chamilo_audit_fail_on")):
                words += ["-e", given]
        else:
            words += ["-e", "..."]
    return words


def _relative(path: str, directory: str) -> str:
    """The path as it is written in that directory."""
    relative = os.path.relpath(path, directory)
    return path if relative.startswith("..") else relative


# -- for machines ------------------------------------------------------------------------------------------------------


def outcome(run: Run, why: str, command: str) -> dict[str, Any]:
    """What harden.json has: the state of each section on each host, what is open, and the next command."""
    return {
        "collection": _program.version_of(),
        "check": run.check,
        "failed": run.failed or run.hindered,
        "hosts": [
            {
                "name": name,
                "reachable": not host.unreachable,
                "failed": host.failed,
                "sections": {section: _state(host, section) for section in host.enforces},
                "changed": host.changed,
                "left": host.left,
                "open": run.causes.get(name, []),
            }
            for name, host in run.hosts.items()
        ],
        "next": {"why": why, "command": command},
    }


def _state(host: HostRun, section: str) -> str:
    if section in host.left:
        return "left"
    return "enforced" if section in host.sections and not (host.failed or host.unreachable) else "not looked at"


# -- the lines ---------------------------------------------------------------------------------------------------------


def lines(run: Run, why: str, command: str) -> list[str]:
    """At most 20 lines. The command is one line, however long: so it can be copied."""
    end = [*([f"Report: {run.report}"] if run.report else []), f"{why}:", f"  {command}"]
    causes = _actions.merge(run.causes)
    room = LINES - len(end) - bool(causes) + (len(_controls.load().sections) if run.playbook == "setup" else 0)
    top = _fitting([_wrapped(line, 4 if len(run.hosts) == 1 else 2, "", "  ") for line in _top(run)], room, causes)
    room -= len(top)
    middle = _open(causes, room, len(run.causes))
    return [*top, *middle, *end]


def _fitting(blocks: Sequence[Sequence[str]], room: int, causes: Sequence[Any]) -> list[str]:
    """The lines of these hosts, of as many as leave half of the room to what is open."""
    whole = [line for block in blocks for line in block]
    if len(whole) <= room // 2 or len(whole) + 2 * len(causes) <= room:
        return whole
    shown = list(blocks[0])
    for number, block in enumerate(blocks[1:], 1):
        if len(shown) + len(block) >= room // 2:
            return [*shown, f"... and {len(blocks) - number} more hosts."]
        shown += block
    return shown


def _top(run: Run) -> Iterable[str]:
    if run.playbook == "setup" and run.inventory and not run.failed:
        yield from _promised(run)
        return
    if run.lines:
        yield from run.lines
        return
    # The worst first.
    for name, host in sorted(run.hosts.items(), key=lambda item: _severity(item[1])):
        if host.lost and not run.check:
            unknown = "What that task did is not known."
            yield f'{name}: no longer reachable at "{host.lost}". {unknown}{_changes(run, host)}'
        elif host.unreachable:
            yield f"{name}: could not be reached. Nothing was done."
        elif host.failed:
            yield f'{name}: FAILED at "{host.failed}".{_changes(run, host)}'
        elif run.playbook == "harden" and run.failed and not (host.sections or host.changed):
            yield f"{name}: left as it was: the run ended before its turn."
        elif run.playbook in ("harden", "restore"):
            nothing = " Otherwise nothing to change." if host.left else " nothing to change."
            yield f"{name}:{_left(host)}{_changes(run, host) or nothing}{'' if run.check else _active(host)}"


def _promised(run: Run) -> Iterable[str]:
    """What harden will do, by the headings of the guide."""
    written = [os.path.relpath(path) for path in (run.inventory, run.vault) if path]
    yield f"Written: {' and '.join(written)}"
    yield "On the server nothing was changed. harden will make true there:"
    left = {section for host in run.hosts.values() for section in host.left}
    for section in _controls.load().sections:
        yield f"  {section.id:<12}{'not yet, see below' if section.id in left else section.afterwards}"


def _severity(host: HostRun) -> int:
    return 0 if host.failed or host.unreachable else 1 if host.left else 2


def _changes(run: Run, host: HostRun) -> str:
    number = sum(host.changed.values())
    if not number:
        return ""
    where = ", ".join(f"{_NAMES.get(name, name)} {count}" for name, count in host.changed.items())
    return f" {number} change{'s' * (number != 1)}{' to make' if run.check else ''}: {where}."


def _left(host: HostRun) -> str:
    """What is in the way of these, or failed in them. It comes first: a line is limited."""
    return f" Not enforced: {', '.join(host.left)}." if host.left else ""


def _active(host: HostRun) -> str:
    kept = {*host.left, *(["backups"] if host.begun else [])}
    kept |= {one["section"].partition(":")[0] for one in host.state if one["state"] in ("broken", "red", "open")}
    active = [name for name in host.enforces if name in host.sections and name not in kept]
    if not active:
        return ""
    return " All sections are active." if active == host.enforces else f" Active: {', '.join(active)}."


def _open(causes: Sequence[Mapping[str, Any]], room: int, hosts: int) -> list[str]:
    if not causes:
        return []
    reported: list[list[str]] = []
    for cause in causes:
        where = f" [{len(cause['hosts'])} of {hosts} hosts]" if hosts > 1 else ""
        number = f" ({len(cause['controls'])})" if len(cause["controls"]) > 1 else ""
        names = ", ".join(cause["controls"])
        by_name = {_actions.ROLE: names, _actions.HAND: ": ".join([*cause["controls"][:1], cause["text"]])}
        text = by_name.get(cause["kind"], cause["text"])
        words = f"{cause['severity']:<8} {_actions.HEADS[cause['kind']].lower()}{number}{where}: {text}"
        reported.append(_wrapped(words, max(1, min(4, room // len(causes))), "  ", " " * 11))
    shown: list[str] = []
    for done, block in enumerate(reported):
        left = len(reported) - done
        if len(shown) + len(block) + (left > 1) > room:
            return ["Open, the most severe first:", *shown, f"  ... and {left} more: see the report."]
        shown += block
    return ["Open, the most severe first:", *shown]


def _wrapped(text: str, most: int, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        _answers.printable(text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        max_lines=most,
        placeholder=" ...",
        break_on_hyphens=False,
        break_long_words=True,
    )
