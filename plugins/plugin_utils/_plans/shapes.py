# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan is made of: files, transactions, platform settings. Pure data; Ansible's modules carry it out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from typing import Any

from ...module_utils._application.discovered import Discovered
from ...module_utils._transaction import plan as options
from ...module_utils._transaction.job import Load
from ...module_utils._transaction.probe import Probe
from ...module_utils._webserver.planned import Edited
from .. import _discovered

Render = Callable[[str], str]  # the text of a template of the role


class PlanError(Exception):
    """The section cannot be enforced; the message gives the reason and what to do."""


@dataclass(frozen=True)
class File:
    """One file of a transaction. Its text is ``content``, or what becomes of ``template``, or ``document`` as JSON."""

    path: str
    template: str = ""
    content: str = ""
    target: str = ""  # of a link
    owner: str = "root"
    group: str = "root"
    mode: str = "0644"
    secret: bool = False
    absent: bool = False
    document: Mapping[str, Any] | None = None  # with files in it as they are rendered

    def written(self, render: Render) -> options.File:
        """As config_transaction takes it."""
        if self.absent:
            return options.File(self.path, "absent")
        if self.target:
            return options.File(self.path, "link", target=self.target)
        text = render(self.template) if self.template else self.content
        if self.document is not None:
            text = json.dumps(plain(self.document, render), indent=4, sort_keys=True)
        file = options.File(self.path, owner=self.owner, group=self.group, mode=self.mode)
        return replace(file, secret_content=text) if self.secret else replace(file, content=text)


@dataclass(frozen=True)
class Marked:
    """A file of its owner's with lines of ours in it, as discovery asks for it."""

    edited: Edited

    def written(self, render: Render) -> options.File:
        return options.File(self.edited.path, marks=self.edited.marks, digest=self.edited.digest)


@dataclass(frozen=True)
class Transaction:
    """Files that become active together. None are there any more when ``present`` is false."""

    name: str
    files: Sequence[File | Marked] = ()
    test: Sequence[Sequence[str]] = ()
    load: Load | None = None
    probe: Sequence[Probe] = ()
    present: bool = True
    listen: Sequence[str] = ()
    complete: bool = True  # what an earlier run wrote and ``files`` no longer has is undone

    def options(self, render: Render) -> dict[str, Any]:
        """As config_transaction takes them."""
        whole = options.Transaction(
            self.name,
            [file.written(render) for file in self.files],
            "present" if self.present else "absent",
            self.test,
            self.load,
            self.listen,
            self.probe,
            self.complete,
        )
        asked: dict[str, Any] = given(whole)
        return asked

    def due(self, info: Discovered, render: Render) -> bool:
        if not self.present:
            return self.name in info.in_force
        return not _discovered.generation(info, self.options(render))


@dataclass(frozen=True)
class Settings:
    """Platform settings of Chamilo. Without values, what an earlier run set is reset; without a section, nothing is."""

    section: str
    root: str
    values: Mapping[str, Any]
    web_user: str = ""

    def options(self, render: Render) -> dict[str, Any]:
        """As chamilo_settings takes them."""
        state = "present" if self.values else "absent"
        return {
            "root": self.root,
            **({"web_user": self.web_user} if self.web_user else {}),
            "settings": dict(self.values),
            **({"section": self.section, "state": state, "lock": True} if self.section else {}),
        }

    def due(self, info: Discovered, render: Render) -> bool:
        return not _discovered.holds(info, self.options(render))


@dataclass(frozen=True)
class Plan:
    """The base of each section's plan. A transaction or a setting that is None has nothing to do."""

    values: Mapping[str, Any]  # what the templates of the role see as ``plan``
    packages: Sequence[str] = field(default=(), kw_only=True)  # that the section needs, and that are not installed

    @property
    def more(self) -> bool:
        """Whether something has to be done besides transactions and settings."""
        return bool(self.packages)

    def due(self, info: Discovered, render: Render) -> bool:
        """Whether a host with this discovery needs a task at all."""
        steps = [getattr(self, one.name) for one in fields(self)]
        return self.more or any(step.due(info, render) for step in steps if isinstance(step, (Transaction, Settings)))

    def options(self, render: Render) -> dict[str, Any]:
        """The whole plan as the tasks of the role read it."""
        return {one.name: plain(getattr(self, one.name), render) for one in fields(self) if one.name != "values"}


def given(value: Any) -> Any:
    """A value as the options of a module. What is as the module has it by default is left out."""
    if is_dataclass(value):
        held = ((one, getattr(value, one.name)) for one in fields(value))
        return {one.name: given(item) for one, item in held if item != _default(one)}
    if isinstance(value, Mapping):
        return {name: given(item) for name, item in value.items()}
    return [given(item) for item in value] if isinstance(value, (list, tuple)) else value


def _default(one: Field[Any]) -> Any:
    return one.default if one.default_factory is MISSING else one.default_factory()


def plain(value: Any, render: Render) -> Any:
    """A part of a plan as the tasks of the role read it."""
    if isinstance(value, (Transaction, Settings)):
        return value.options(render)
    if isinstance(value, (File, Marked)):
        return given(value.written(render))
    if isinstance(value, Probe):
        return given(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name), render) for one in fields(value)}
    if isinstance(value, Mapping):
        return {name: plain(item, render) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, render) for item in value]
    return value
