# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""What keys of an environment were before a section first set them, so that undoing the section brings them back.

Only of keys that are no secrets: of those, no copy is kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import STATE, StateError, replace_file
from ansible_collections.chamilo.hardening.plugins.module_utils._portal import dotenv
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Tree
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.discovery import discover_environment
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.env_file import (
    Editor,
    Result,
    Wish,
    checked,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.store import Store

FILE = "environment.json"
_LOCK_SECONDS = 180.0


@dataclass(frozen=True)
class Kept:
    """The keys of one section and portal. ``before``: null where a key stood nowhere."""

    domain: str
    root: str
    web_server: str
    before: Mapping[str, str | None]
    ours: Mapping[str, str]


def recall(state: str = STATE) -> dict[str, Kept]:
    """All that is kept, by the name of section and portal."""
    path = os.path.join(state, FILE)
    try:
        with open(path, encoding="utf-8") as file:
            return {name: Kept(**one) for name, one in json.load(file).items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as problem:
        raise StateError(f"{path} is damaged: {problem}.") from problem


def names(section: str, state: str = STATE) -> list[str]:
    """Under which names keys of a section (``https``, or of one portal, ``https:SITE``) are kept."""
    return sorted(name for name in recall(state) if section in (name, name.partition(":")[0]))


def told(kept: Sequence[str], state: str) -> Iterator[str]:
    """Which keys go back."""
    known = recall(state)
    for name in kept:
        yield f"These keys of the environment of {known[name].root} as well: {', '.join(sorted(known[name].before))}"


def remember(name: str, editor: Editor, values: Mapping[str, str]) -> None:
    """Keep what the application sees now of keys that are about to get another value, unless it is kept already."""
    checked(Wish(values=values))  # a secret among them is refused before it is kept
    state, site, seen = editor.engine.store.root, editor.site, _seen(editor)
    with Store(state).lock("chamilo_env", _LOCK_SECONDS):
        known = recall(state)
        old = known.get(name)
        before = dict(old.before) if old else {}
        before.update({key: seen.get(key) for key in values if key not in before and seen.get(key) != values[key]})
        ours = {**(old.ours if old else {}), **{key: values[key] for key in values if key in before}}
        kept = Kept(site.domain, site.root, site.web.name, before, ours)
        if before and kept != old:
            _write({**known, name: kept}, state)


def bring_back(name: str, editor: Editor, result: Result, check: bool = False) -> list[str]:
    """What was there before. A sentence for each key; what somebody else changed since stays, and is a note."""
    state = editor.engine.store.root
    kept = recall(state).get(name)
    if kept is None:
        return []
    seen = _seen(editor)
    back = {key: value for key, value in kept.before.items() if seen.get(key) in (kept.ours[key], value)}
    editor.apply(Wish(values=back), result, check)
    if not check:
        # Not sooner: what edits the environment takes the same lock.
        with Store(state).lock("chamilo_env", _LOCK_SECONDS):
            _write({other: one for other, one in recall(state).items() if other != name}, state)
    left = sorted(set(kept.before) - set(back))
    result.notes += [f"{key} was changed by somebody else since; it stays as it is." for key in left]
    return [f"{key} is {'not set' if value is None else repr(value)} again." for key, value in sorted(back.items())]


def undo(name: str, engine: Engine) -> list[str]:
    """The same on a host, without Ansible."""
    kept, result = recall(engine.store.root)[name], Result()
    editor = Editor(*discover_environment(kept.domain, kept.root, kept.web_server), engine)
    said = bring_back(name, editor, result)
    return [*said, *result.notes]


def _seen(editor: Editor) -> dict[str, str]:
    return dotenv.read(Tree(), editor.site.root, editor.given, editor.site.php.user).visible


def _write(known: Mapping[str, Kept], state: str) -> None:
    replace_file(os.path.join(state, FILE), json.dumps({name: asdict(one) for name, one in known.items()}) + "\n")
