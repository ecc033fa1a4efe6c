# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Brings platform settings to a portal: reads, plans (``_settings``), writes the override file, then the table."""

from __future__ import annotations

import contextlib
import glob
import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .._application import overrides as portal_overrides
from .._application.catalogue import CATALOGUE
from .._application.database import Account, Deadlock, Query, Reader, as_number, writing
from .._application.installation import Installation
from .._common.files import STATE, Item, Tree, file_item, note_written
from .._common.host_lock import HostLock
from . import undo_data
from .plan import HIDDEN, Desired, Plan, Row, Seen, SettingsError, lines, plan
from .undo_data import Kept

_TRIES = 3
_LOCK_SECONDS = 60.0
_CACHE_SECONDS = 120
_PRODUCTION = Desired({"platform.server_type": "prod"})


@dataclass
class Outcome:
    """What was done, or would be."""

    plan: Plan
    changed: bool = False
    cache_cleared: bool = False
    diff: list[dict[str, str]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)  # what the section wants no more, a sentence for each


class Host:
    """An application and its database."""

    def __init__(
        self,
        account: Account,
        portal: Installation,
        state: str = STATE,
        transaction: Callable[[Account], contextlib.AbstractContextManager[Query]] = writing,
        read: Query | None = None,
    ) -> None:
        self._account = account
        self._portal = portal
        self._state = state
        self._transaction = transaction
        self._read = read or Reader(account).query

    def apply(self, desired: Desired, check: bool, section: str = "") -> Outcome:
        """Apply the settings, all of them or none. Those of a section can be undone by its name.

        Settings that it requested in an earlier run and no longer does are restored here.
        """
        gone = self._no_longer_desired(section, desired)
        if gone and not check:
            self._bring_about(desired, True, section, gone)  # what is refused is refused before anything changes
        moved, messages = self._back(gone, check) if gone else (False, [])
        outcome = self._bring_about(desired, check, section, gone)
        outcome.messages = messages
        if moved:
            outcome.changed = True
            outcome.diff.append(_side_by_side("platform settings no longer requested", "", "\n".join([*messages, ""])))
        return outcome

    def _no_longer_desired(self, section: str, desired: Desired) -> dict[str, Kept]:
        memory = undo_data.MEMORY.recall(self._state).get(section) if section else None
        if not memory or memory.root != self._portal.root:
            return {}
        # A setting may be unknown to this version: another one asked for it.
        return {key: one for key, one in memory.settings.items() if key not in desired.values and key in CATALOGUE}

    def _bring_about(self, desired: Desired, check: bool, section: str, gone: Mapping[str, Kept]) -> Outcome:
        before = self._file()
        seen = self._seen(self._read, desired, before)
        todo = plan(desired, seen)
        text = self._edited(before, todo)
        stale = self._stale(desired, before)
        outcome = Outcome(todo, todo.changes_rows or text is not None or stale, text is not None or stale)
        outcome.diff = self._diff(todo, before, text)
        if check or not (outcome.changed or gone):
            return outcome
        if section:
            # Before anything is written: a run that is killed must not have changed a setting without undo data.
            undo_data.remember(section, self._portal.root, seen, desired, self._state, gone)
        with self._pinned(before, text, stale):
            if todo.changes_rows:
                outcome.plan = self._write(desired, before)
                outcome.diff = self._diff(outcome.plan, before, text)
        return outcome

    def holding(self, desired_by_name: Mapping[str, Desired]) -> list[str]:
        """The names of the desired states that would change nothing now. The portal is read once for all."""
        file = self._file()
        every = Desired({key: value for desired in desired_by_name.values() for key, value in desired.values.items()})
        seen = self._seen(self._read, every, file)
        found = []
        for name, desired in desired_by_name.items():
            with contextlib.suppress(SettingsError):  # one that cannot be applied is not active
                todo = plan(desired, seen)
                if not todo.changes_rows and not todo.overrides and not self._stale(desired, file):
                    found.append(name)
        return found

    def restore(self, kept: Mapping[str, Kept]) -> list[str]:
        """Restore the values before the first change. Later changes by others stay. Returns a sentence for each."""
        return self._back(kept, False)[1]

    def _back(self, kept: Mapping[str, Kept], check: bool) -> tuple[bool, list[str]]:
        """Whether anything is moved, and a sentence for each."""
        desired = Desired({key: one.ours for key, one in kept.items()})
        before = self._file()
        todo, messages = undo_data.restoration(kept, self._seen(self._read, desired, before))
        text = self._edited(before, todo)
        moved = todo.changes_rows or text is not None
        if check:
            return moved, messages
        with self._pinned(before, text, False):
            if todo.changes_rows:
                with self._transaction(self._account) as ask:
                    todo, messages = undo_data.restoration(kept, self._seen(ask, desired, before, " FOR UPDATE"))
                    for sql, params in todo.statements():
                        ask(sql, params)
        return moved, messages

    # ------------------------------------------------------------------------------------------------------ the table

    def _seen(self, ask: Query, desired: Desired, overrides: Item, lock: str = "") -> Seen:
        # The portals first: two runs then wait for each other before either reads rows.
        portals = ask(f"SELECT id, url FROM access_url ORDER BY id{lock}", ())
        places = ", ".join(["%s"] * len(desired.variables))
        rows = ask(
            "SELECT id, access_url, category, variable, selected_value, access_url_changeable FROM settings"
            f" WHERE variable IN ({places}) AND (subkey IS NULL OR subkey = '') ORDER BY id{lock}",
            desired.variables,
        )
        return Seen(
            {as_number(row["id"]): row["url"] or "" for row in portals},
            [
                Row(
                    as_number(row["id"]),
                    int(row["access_url"]),
                    row["category"] or "",
                    row["variable"] or "",
                    row["selected_value"] or "",
                    row["access_url_changeable"] != "0",
                )
                for row in rows
                if row["access_url"]  # a row of no portal is never read
            ],
            self._parsed(overrides),
            self._portal.version,  # the one in the database is older where an update did not record it
        )

    def _write(self, desired: Desired, overrides: Item) -> Plan:
        for attempt in range(_TRIES):
            try:
                with self._transaction(self._account) as ask:
                    todo = plan(desired, self._seen(ask, desired, overrides, " FOR UPDATE"))
                    for sql, params in todo.statements():
                        ask(sql, params)
                return todo
            except Deadlock:
                if attempt == _TRIES - 1:
                    raise
        raise AssertionError("the loop returns or raises")

    # ---------------------------------------------------------------------------------------------- the override file

    @property
    def _path(self) -> str:
        return os.path.join(self._portal.root, portal_overrides.PATH)

    def _file(self) -> Item:
        with Tree() as tree:
            item = tree.inspect(self._path)
        if item.is_link:
            raise SettingsError(f"{self._path} is a link. Put the file itself there.")
        return item

    def _text(self, item: Item) -> str:
        try:
            return item.data.decode("utf-8")
        except UnicodeDecodeError as problem:
            raise SettingsError(f"{self._path} is no UTF-8 text: {problem}.") from problem

    def _parsed(self, item: Item) -> portal_overrides.Overrides:
        return portal_overrides.parse(self._text(item), self._path)

    def _edited(self, before: Item, todo: Plan) -> str | None:
        """The new text of the override file, or None where it stays."""
        if not todo.overrides:
            return None
        return portal_overrides.edit(self._text(before), self._path, todo.overrides)

    def _stale(self, desired: Desired, item: Item) -> bool:
        """Whether a run that was killed between file and cache left a file that is not active."""
        if not portal_overrides.in_force(self._parsed(item), list(desired.values)):
            return False
        cache = os.path.join(self._portal.root, "var/cache", self._portal.mode)
        moments = [os.stat(path).st_mtime_ns for path in glob.glob(f"{glob.escape(cache)}/*Container.php")]
        return bool(moments) and max(moments) < item.mtime_ns

    @contextlib.contextmanager
    def _pinned(self, before: Item, text: str | None, stale: bool) -> Iterator[None]:
        """Activate the new override file. A failure in the block restores the old one."""
        if text is None and not stale:
            yield
            return
        self._may_pin()
        with HostLock(self._state).lock("chamilo_settings", _LOCK_SECONDS), Tree() as tree:
            if not tree.inspect(self._path).same(before):
                raise SettingsError(f"{self._path} was modified concurrently. Nothing was written. Run again.")
            try:
                if text is not None:
                    tree.write(self._path, self._item(before, text))
                    note_written(self._path, self._state)
                self._clear_cache()
                yield
            except BaseException:
                if text is not None:
                    self._restore(tree, before)
                raise

    def _restore(self, tree: Tree, before: Item) -> None:
        # With the time it had, and the cache made from it: as if nothing had been.
        tree.write(self._path, before)
        with contextlib.suppress(SettingsError):  # the first failure is the one to report
            self._clear_cache()

    def _item(self, before: Item, text: str) -> Item:
        data = text.encode("utf-8")
        if before.is_file:
            return replace(file_item(data, before.uid, before.gid, before.mode), xattrs=before.xattrs)
        # Of root, so that an attacker with the rights of the web user cannot undo it.
        return file_item(data, 0, self._user().pw_gid, 0o640)

    def _may_pin(self) -> None:
        if os.geteuid() != 0:
            raise SettingsError("Pinning writes a file of root's and clears the cache as the web user: run it as root.")

    # ------------------------------------------------------------------------------------------------------ the cache

    def _user(self) -> pwd.struct_passwd:
        name = self._portal.web_user
        try:
            user = pwd.getpwnam(name)
        except KeyError as problem:
            raise SettingsError(f"There is no user {name!r}. Name the user of PHP in web_user.") from problem
        if user.pw_uid == 0:
            raise SettingsError("The application's cache is not made as root. Name the user of PHP in web_user.")
        return user

    def _clear_cache(self) -> None:
        """As the web user: files of root's in the cache would stop the application."""
        user = self._user()
        php = shutil.which("php")
        if php is None:
            raise SettingsError("Pinning needs the php command (package php-cli), to clear the application's cache.")
        groups = [group.gr_gid for group in grp.getgrall() if user.pw_name in group.gr_mem]
        try:
            done = subprocess.run(
                [php, "bin/console", "cache:clear", "--no-interaction"],
                cwd=self._portal.root,
                user=user.pw_uid,
                group=user.pw_gid,
                extra_groups=groups,
                umask=0o007,
                env={
                    "PATH": os.environ.get("PATH", os.defpath),
                    "LC_ALL": "C.UTF-8",
                    "HOME": "/nonexistent",
                    "APP_ENV": self._portal.mode,  # the server may give PHP another one than the files
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # what the web user wrote must not type into root's terminal
                timeout=_CACHE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as problem:
            raise SettingsError(f"bin/console cache:clear did not end in {_CACHE_SECONDS} seconds.") from problem
        if done.returncode:
            words = " ".join(done.stdout.decode("utf-8", "replace").split())[-300:]
            raise SettingsError(
                f"bin/console cache:clear failed as {user.pw_name}, so {self._path} is as it was before: {words}"
            )

    # ------------------------------------------------------------------------------------------------------- the diff

    def _diff(self, todo: Plan, before: Item, text: str | None) -> list[dict[str, str]]:
        changed = {key: result for key, result in todo.settings.items() if result["changed"]}
        extra = "".join(
            f"{row['setting']} of portal {row['portal']}: {row['value']!r} in a row that does not count"
            f" ({row['kind'].replace('_', ' ')}, {row['category']})\n"
            for row in todo.repaired
        )
        found = [_side_by_side("platform settings", lines(changed, "before") + extra, lines(changed, "after"))]
        if text is not None:
            found.append(_side_by_side(self._path, self._masked(self._text(before)), self._masked(text)))
        return found

    def _masked(self, text: str) -> str:
        """The file without the values that may be secrets: those that the catalogue does not know as harmless."""
        hidden: dict[str, dict[str, str | None]] = {}
        for scope, settings in portal_overrides.parse(text, self._path).items():
            hidden[scope] = {key: HIDDEN for key in settings if key not in CATALOGUE or CATALOGUE[key].secret}
        return portal_overrides.edit(text, self._path, hidden)


def in_force(portal: Installation, state: str = STATE, read: Query | None = None) -> dict[str, dict[str, Any]]:
    """What each section requested last, where it is still active and can be shown: it contains no secret.

    The empty name is production mode: a section requests it, and its undo keeps it.
    """
    if not portal.root:
        return {}
    desired_by_name = {"": _PRODUCTION} | {
        name: kept.asked
        for name, kept in undo_data.MEMORY.recall(state).items()
        # A setting may be unknown to this version: another one asked for it.
        if kept.asked
        and kept.root == portal.root
        and kept.asked.values.keys() <= CATALOGUE.keys()
        and not kept.asked.secret
    }
    host = Host(Account("") if read else Reader.of(portal).account, portal, state, read=read)
    return {name: desired_by_name[name].to_json() for name in host.holding(desired_by_name)}


def undo(name: str, portal: Installation, state: str = STATE) -> list[str]:
    """Bring the settings of a section back. Returns a sentence for each."""
    output = Host(Reader.of(portal).account, portal, state).restore(undo_data.MEMORY.recall(state)[name].settings)
    undo_data.MEMORY.forget(name, state)
    return output


def _side_by_side(header: str, before: str, after: str) -> dict[str, str]:
    return {"before_header": header, "after_header": header, "before": before, "after": after}


def result(outcome: Outcome) -> Mapping[str, Any]:
    """What the module returns."""
    todo = outcome.plan
    return {
        "changed": outcome.changed,
        "settings": todo.settings,
        "repaired": todo.repaired,
        "sessions_hold_old_values": todo.sessions_hold_old_values,
        "cache_cleared": outcome.cache_cleared,
    }
