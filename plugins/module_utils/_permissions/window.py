# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A maintenance window: PHP may write the tree for a while, for an update or an installation; it closes by itself.

The window is recorded, and the unit that closes it is armed, before the first mode changes: after any interruption it
gets closed. ``windows.json`` has all that closing a window needs.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .._application import release
from .._common.errors import HardeningError
from .._common.files import Tree, file_item
from .._common.mounts import mounts_on_the_way, not_mounted
from .._common.paths import shown
from .._transaction.engine import Engine
from .._transaction.job import Outcome
from .._transaction.plan import plan
from .._transaction.recovery import LOCK_SECONDS
from . import open_windows
from .apply import disabled, produce
from .found import Found
from .open_windows import Site, Window, WindowError
from .policy import Order, PermsError, order
from .tree import open_trusted
from .walk import run

MINUTES = 60
_LONGEST = 24 * 60
_UNITS = "/etc/systemd/system"
_NAME = "chamilo-hardening-window"
# At boot once more: a deadline may have passed while the host was down.
_TIMER = """\
# Written by chamilo-hardening; here only while a window is open.
[Unit]
Description=Close what chamilo-hardening window opened

[Timer]
OnBootSec=15s
{times}
AccuracySec=1s

[Install]
WantedBy=timers.target
"""
# Tried again and again: a tree must not stay open because something else was wrong for a moment.
_SERVICE = """\
# Written by chamilo-hardening; here only while a window is open.
[Unit]
Description=Close what chamilo-hardening window opened
After=local-fs.target nginx.service apache2.service

[Service]
Type=oneshot
ExecStart={program} window close --due
Restart=on-failure
RestartSec=60
"""


@dataclass
class Done:
    window: Window
    found: Found
    notes: list[str] = field(default_factory=list)


def site(name: str = "", directory: str = "") -> Site:
    """The one that is named, or the only one there is."""
    known = open_windows.sites(directory)
    if name in known:
        return known[name]
    names = ", ".join(known)
    if not known:
        raise WindowError("The role permissions has not run on this host, so there is nothing to open.")
    if name:
        raise WindowError(f"There is no site {name!r} here. There is: {names}.")
    if len(known) > 1:
        raise WindowError(f"There are several sites here: {names}. Name one with --site.")
    return next(iter(known.values()))


class Windows:
    """The windows of this host."""

    def __init__(self, engine: Engine, units: str = _UNITS, clock: Callable[[], float] = time.time) -> None:
        self.engine = engine
        self.units = units
        self.clock = clock

    def known(self) -> list[Window]:
        return open_windows.known(self.engine.store.root)

    def at(self, path: str) -> Window | None:
        return open_windows.at(path, self.engine.store.root)

    def due(self, window: Window) -> bool:
        return window.due(self.clock())

    def open(
        self,
        tree: Mapping[str, Any],
        profile: str,
        minutes: int,
        address: str = "",
        portal: Site | None = None,
    ) -> Done:
        """Open a tree, or give the window that is open another profile, deadline and address.

        Without an address, the one given before goes on.
        """
        address = self.validate(tree, minutes, address, portal)
        given = {**tree, "path": os.path.realpath(tree["path"])}
        desired = order(given, profile)
        now = int(self.clock())
        directories = [given["path"], *(os.path.join(given["path"], part) for part in given.get("roots") or ())]
        points = {directory: mounts_on_the_way(directory) for directory in directories}
        site = portal.name if portal else ""
        before = self.at(given["path"])
        if before and not address and not self.due(before):
            address, site = before.address, site or before.site
        window = Window(given, profile, now, now + 60 * minutes, address, site, points, _of_site(given, portal))
        with self.engine.store.lock("chamilo-hardening window open", LOCK_SECONDS):
            known = self.known()
            try:
                self._write([*(one for one in known if one.path != window.path), window])
            except (HardeningError, OSError):
                # Nothing was opened, so remove the record: an open tree would be left alone until its deadline.
                with contextlib.suppress(HardeningError, OSError):  # the first problem is the one to report
                    self._write(known)
                raise
        try:
            return self._opened(window, desired, before, portal)
        except HardeningError:
            self.close(window)
            raise

    def validate(self, tree: Mapping[str, Any], minutes: int, address: str, portal: Site | None) -> str:
        """The address as the web server writes it. Refuse what cannot be opened, or would not be closed again."""
        if not 1 <= minutes <= _LONGEST:
            raise WindowError(f"minutes is {minutes}; a window is open for 1 to {_LONGEST} minutes.")
        if address:
            address = _address(address)
            if portal is None:
                raise WindowError("Only the installer of a portal that the role permissions manages can be opened.")
        machine = self.engine.machine
        if not machine.systemd:
            raise WindowError("systemd does not run here, so nothing would close the window again.")
        if not os.access(machine.program, os.X_OK):
            raise WindowError(f"{machine.program} is not installed, so nothing would close the window again.")
        os.close(open_trusted(tree["path"]))
        return address

    def _opened(self, window: Window, desired: Order, before: Window | None, portal: Site | None) -> Done:
        with self.engine.store.lock("chamilo-hardening window open", LOCK_SECONDS):
            done = Done(window, run(desired, aside=disabled(window.tree, self.engine.store.root)))
        if portal and window.address:
            done.notes += self._let_in(window, portal)
            if not os.path.exists(f"{os.path.dirname(os.path.dirname(portal.installer['file']))}/updates.conf"):
                done.notes.append("Any client can reach the installer: the section updates is not active here.")
        elif before and not window.address:
            done.notes += self._close_one(before)
        return done

    def close(self, window: Window) -> Done:
        """Apply the production profile and block the installer. The unit retries what fails.

        Where a page of the portal does not work with it any more, owners and modes are rolled back, and it stays open.
        """
        done = Done(window, Found())
        problems = []
        try:
            done.notes += self._close_one(window)
        except HardeningError as problem:
            problems.append(f"the installer: {problem}")
        with self.engine.store.lock("chamilo-hardening window close", LOCK_SECONDS):
            missing = (not_mounted(points, directory) for directory, points in window.mounts.items())
            point = next(filter(None, missing), "")
            if point:
                gone = f"If it is gone for good, take it out of /etc/fstab and remove {shown(point)}."
                problems.append(f"{shown(point)} is not mounted. {gone}")
            else:
                self._close(window, done, problems)
            if not problems:
                self._write([one for one in self.known() if one.path != window.path])
        if problems:
            raise WindowError(f"{shown(window.path)} is not wholly closed: {' '.join(problems)}")
        return done

    def _close(self, window: Window, done: Done, problems: list[str]) -> None:
        try:
            done.notes += _revoke(window.path)
            # The web user may lay a link in the place of a root: all else is closed, and no longer its own to lay.
            done.found = self.produce(window.tree, window.pages, partly=True)
        except PermsError as problem:
            if os.path.lexists(window.path):
                problems.append(str(problem))
            else:
                done.notes.append(f"{shown(window.path)} is not there any more.")

    def produce(self, tree: Mapping[str, Any], pages: Mapping[str, Any], **more: Any) -> Found:
        """A tree as production wants it. ``pages``: see ``Site``."""
        probe, engine = pages.get("probe") or (), self.engine
        return produce(tree, "production", probe, engine.store.root, fetch=engine.fetch, **more)

    def _let_in(self, window: Window, portal: Site) -> list[str]:
        installer = portal.installer
        text = {
            "nginx": f'if ($remote_addr = "{window.address}") {{\n    set $chamilo_installer "";\n}}\n',
            "apache": f"Require ip {window.address}\n",
        }[installer["web"]]
        files = [{"path": installer["file"], "content": f"# Written by chamilo-hardening window.\n{text}"}]
        load = {"service": installer["service"], "action": "reload"}
        desired = {
            "name": _transaction(window),
            "files": files,
            "test": installer["test"],
            "load": load,
            "probe": [{**one, "same": True} for one in portal.pages.get("probe") or ()],
        }
        return self._turned(installer["service"], lambda outcome: self.engine.apply(plan(desired), outcome))

    def _close_one(self, window: Window) -> list[str]:
        name = _transaction(window)
        record = self.engine.store.peek()["records"].get(name)
        if not record:
            return []
        return self._turned(record["load"]["service"], lambda outcome: self.engine.undo(name, outcome))

    def _turned(self, service: str, change: Callable[[Outcome], None]) -> list[str]:
        """Make a change and wait until the web server uses it. Returns the messages.

        Old workers of nginx take connections for a moment after a reload; those of Apache stop before new ones start.
        """
        outcome = Outcome()
        machine = self.engine.machine
        old = machine.workers(service) if service.startswith("nginx") else set()
        change(outcome)
        messages = [*outcome.recovered, *outcome.notes]
        if outcome.loaded and not machine.outlast(old):
            messages.append(f"{service} was reloaded and still answers as before. See its error log.")
        return messages

    def _write(self, windows: list[Window]) -> None:
        """The list, and the units that follow from it: closed windows leave nothing behind."""
        if windows:
            self.engine.store.keep(open_windows.FILE, json.dumps([asdict(one) for one in windows], indent=1).encode())
        else:  # a full disk keeps nothing open
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.engine.store.root, open_windows.FILE))
        times = "\n".join(sorted({f"OnCalendar={one.closes}" for one in windows}))
        texts = {
            f"{self.units}/{_NAME}.service": _SERVICE.format(program=self.engine.machine.program),
            f"{self.units}/{_NAME}.timer": _TIMER.format(times=times),
        }
        if not windows:
            self._command("disable", "--now", f"{_NAME}.timer")
        with Tree() as tree:
            for path, text in texts.items():
                if windows:
                    tree.write(path, file_item(text.encode(), os.geteuid(), os.getegid(), 0o644))
                elif os.path.exists(path):
                    os.unlink(path)
        self._command("daemon-reload")
        if windows:
            self._command("enable", f"{_NAME}.timer")
            self._command("restart", f"{_NAME}.timer")

    def _command(self, *words: str) -> None:
        code, messages = self.engine.machine.run(["systemctl", *words], 60)
        if code:
            raise WindowError(f"`systemctl {' '.join(words)}` failed ({code}): {messages}")


def _revoke(path: str) -> list[str]:
    """Remove what authorises an upgrade by the installer, which cannot do so itself in a read-only tree."""
    directory = open_trusted(path)
    try:
        os.unlink(release.UPGRADES, dir_fd=directory)
    except (FileNotFoundError, IsADirectoryError):  # Chamilo checks for a file
        return []
    except OSError as problem:
        raise PermsError(
            f"{shown(os.path.join(path, release.UPGRADES))} cannot be removed: {problem.strerror}."
        ) from problem
    finally:
        os.close(directory)
    return [
        f"{release.UPGRADES} was removed: with it, the installer would start the next upgrade for any visitor who "
        "reaches it."
    ]


def _of_site(tree: Mapping[str, Any], portal: Site | None) -> Mapping[str, Any]:
    """The pages of the portal whose tree it is. The module names no portal."""
    known = [portal] if portal else open_windows.sites().values()
    return next((one.pages for one in known if os.path.realpath(one.tree["path"]) == tree["path"]), {})


def _transaction(window: Window) -> str:
    return f"permissions:{window.site}.window"


def _address(given: str) -> str:
    """As the web server writes it. An IPv6 zone, as in fe80::1%eth0, is never part of that."""
    try:
        if "%" in given:
            raise ValueError(given)
        address = ipaddress.ip_address(given)
    except ValueError as problem:
        raise WindowError(
            f"Invalid value for --from: {ascii(given)}. It must be one IP address, such as 203.0.113.7 or "
            "2001:db8::7. Nothing was changed, and no backup was taken."
        ) from problem
    return str(getattr(address, "ipv4_mapped", None) or address)
