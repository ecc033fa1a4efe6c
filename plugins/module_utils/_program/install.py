# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs the program chamilo-hardening, its units (at boot and daily), and the recipients of alerts."""

from __future__ import annotations

import glob
import hashlib
import hmac
import io
import json
import marshal
import re
import secrets
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import MAGIC_NUMBER, source_hash
from typing import Optional

from .._common import alert
from .._common.files import ABSENT, Item, StateError, Tree, file_item
from .._common.services import Machine
from .._common.version import VersionError, parse
from .._transaction.store import Store

PROGRAM = "/usr/local/sbin/chamilo-hardening"
UNITS = "/etc/systemd/system"
UNIT = "chamilo-hardening-recover.service"
# Before everything that could read a half-changed file: ordinary services start after sysinit.target.
# RemainAfterExit, because a unit that sysinit.target wants would otherwise run again with each `systemctl start`.
UNIT_TEXT = """\
# Written by the Ansible collection chamilo.hardening.
[Unit]
Description=Roll back the files of an interrupted chamilo.hardening run
DefaultDependencies=no
RequiresMountsFor=/etc /usr /var/lib/chamilo-hardening
After=local-fs.target
Before=sysinit.target nginx.service apache2.service shutdown.target
Conflicts=shutdown.target
ConditionPathExists=/var/lib/chamilo-hardening/state.json

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=60
ExecStart={program} recover --boot

[Install]
WantedBy=sysinit.target
"""

DAILY = "chamilo-hardening-daily"
DAILY_TEXT = """\
# Written by the Ansible collection chamilo.hardening.
[Unit]
Description=Daily work of chamilo.hardening

[Service]
Type=oneshot
Nice=10
IOSchedulingClass=idle
TimeoutStartSec=4h
ExecStart={program} daily
# A step that fails sends its own alert; one that is stopped by its limit of time or memory cannot.
ExecStopPost=/bin/sh -c 'case "$SERVICE_RESULT" in success|exit-code) ;; *) exec {program} alert \
 "The daily work was stopped before its end" \
 "Result: $SERVICE_RESULT. See journalctl -u chamilo-hardening-daily, then run chamilo-hardening daily." ;; esac'
"""
TIMER_TEXT = """\
# Written by the Ansible collection chamilo.hardening.
[Unit]
Description=Daily work of chamilo.hardening

[Timer]
OnCalendar=*-*-* 05:00
RandomizedDelaySec=1h
Persistent=true

[Install]
WantedBy=timers.target
"""

LOCK_SECONDS = 180.0
# A compiled module that Python takes as it is, without a check of its source.
_UNCHECKED = (0b01).to_bytes(4, "little")
_MARK_LENGTH = 2 * hashlib.sha256().digest_size
_VERSION = re.compile(r"version='([\w.+-]{1,60})'")  # as the controller writes it into the program


@dataclass(frozen=True)
class Places:
    """Where the parts of it are."""

    program: str = PROGRAM
    units: str = UNITS
    addressee: str = alert.CONFIGURATION

    @property
    def timer(self) -> str:
        return f"{self.units}/{DAILY}.timer"


@dataclass(frozen=True)
class Request:
    """What the module host_program is asked for."""

    path: str = field(default=PROGRAM, metadata={"type": "path"})
    alert_mail: Optional[str] = None  # noqa: UP045 (Python 3.9 evaluates it) Nothing: the recipients stay as they are.
    alert_webhook: str = field(default="", metadata={"no_log": True})
    content: str = field(default="", metadata={"no_log": True})  # of the program, packed; made by the collection
    version: str = ""  # that of the collection
    daily: bool = True  # whether the host's timer does the daily work

    @property
    def recipient(self) -> alert.Addressee | None:
        if self.alert_mail is None and not self.alert_webhook:
            return None
        return alert.Addressee(self.alert_mail or "", self.alert_webhook)


@dataclass
class Installed:
    """What was, or would be, done."""

    changed: bool = False
    diff: list[dict[str, str]] = field(default_factory=list)


def seen(places: Places = Places()) -> dict[str, str]:
    """What is installed, for `asks_for_nothing`. Empty where a part of it is not as it was written.

    Who is told can hold a secret: it goes by a fingerprint that nobody can compare with another one.
    """
    with Tree() as tree:
        found, private = tree.inspect(places.program), tree.inspect(places.addressee)
        daily = tree.inspect(places.timer) != ABSENT
        right = all(tree.inspect(path).same(item) for path, item in _texts(places, daily).items())
    made_of = _made_of(found.data)
    if not (right and made_of and found.same(file_item(found.data, 0, 0, 0o755))):
        return {}
    salt = secrets.token_hex(16)
    reported = _fingerprint(private.data, salt) if private.same(file_item(private.data, 0, 0, 0o600)) else ""
    known = {"made_of": made_of, "magic": MAGIC_NUMBER.hex(), "salt": salt, "told": reported}
    return {**known, "daily": f"{daily:02x}"}


def newer(version: str, program: str = PROGRAM) -> str:
    """Why this version of the collection changes nothing here: a newer one did. Empty where none did."""
    with Tree() as tree:
        there = _version(tree.inspect(program).data)
    try:
        if not there or parse(there) <= parse(version):
            return ""
    except VersionError:
        return ""  # no release's program: the installation replaces it
    return (
        f"Version {there} of the collection hardened this host, and this is version {version}, which does not know all "
        "that a newer one wrote. Update it on the controller: ansible-galaxy collection install --upgrade "
        "chamilo.hardening"
    )


def own_pool(memos: str = "/etc/chamilo-hardening/php_user-*.json") -> str:
    """Why this version changes nothing here: one between the releases gave PHP an account, which only that undoes."""
    found = glob.glob(memos)
    if not found:
        return ""
    return (
        f"A version of the collection that was no release gave PHP an account and a pool of its own ({found[0]}). Its "
        "program is still here: run `chamilo-hardening undo permissions` on the host"
    )


def _version(program: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(program)) as archive:
            found = _VERSION.search(archive.read("__main__.py").decode("utf-8", "replace"))
    except (zipfile.BadZipFile, KeyError):
        return ""
    return found[1] if found else ""


def asks_for_nothing(
    content: bytes, recipient: alert.Addressee | None, known: Mapping[str, str], daily: bool = True
) -> bool:
    """Whether `install` would change nothing, by what `seen` saw on that host."""
    if known["daily"] != f"{daily:02x}":
        return False
    made_of = _name(content, bytes.fromhex(known["magic"])).hex()
    reported = "" if recipient is None else _fingerprint(_addressee(recipient), known["salt"])
    return known["made_of"] == made_of and (recipient is None or known["told"] == reported)


def _fingerprint(data: bytes, salt: str) -> str:
    return hmac.new(salt.encode(), data, "sha256").hexdigest()


def _addressee(recipient: alert.Addressee) -> bytes:
    return (json.dumps({"mail": recipient.mail, "webhook": recipient.webhook}, sort_keys=True) + "\n").encode()


def _texts(places: Places, daily: bool) -> dict[str, Item]:
    units, program = places.units, places.program
    timer = {
        places.timer: file_item(TIMER_TEXT.encode(), 0, 0, 0o644),
        f"{units}/timers.target.wants/{DAILY}.timer": Item("link", target=f"../{DAILY}.timer"),
    }
    return {
        f"{units}/{UNIT}": file_item(UNIT_TEXT.format(program=program).encode(), 0, 0, 0o644),
        # What `systemctl enable` does.
        f"{units}/sysinit.target.wants/{UNIT}": Item("link", target=f"../{UNIT}"),
        f"{units}/{DAILY}.service": file_item(DAILY_TEXT.format(program=program).encode(), 0, 0, 0o644),
        **{path: item if daily else ABSENT for path, item in timer.items()},
    }


@dataclass
class Installation:
    """What is to be there. ``recipient``: that of alerts; None leaves it as it is.

    ``store``: whose lock is taken for a change. Two portals of one host are two hosts to Ansible, which works on them
    at the same time.
    """

    content: bytes
    version: str
    recipient: alert.Addressee | None = None
    daily: bool = True
    machine: Machine = field(default_factory=Machine)
    places: Places = Places()
    store: Store = field(default_factory=Store)

    def install(self, check: bool) -> Installed:
        """Install what is not there already. An unchanged host costs a check of each file and no command."""
        if words := newer(self.version, self.places.program):
            raise StateError(f"{words}. Nothing was changed.")
        done = self._install(True)
        if done.changed and not check:
            with self.store.lock("the installation of chamilo-hardening", LOCK_SECONDS):
                done = self._install(False)
        return done

    def _install(self, check: bool) -> Installed:
        program, private, timer = self.places.program, self.places.addressee, self.places.timer
        desired = {program: ABSENT, **_texts(self.places, self.daily)}  # the program: see below
        if self.recipient is not None:
            desired[private] = file_item(_addressee(self.recipient), 0, 0, 0o600)
        done = Installed()
        with Tree() as tree:
            old = {path: tree.inspect(path) for path in desired}
            data, content = old[program].data, self.content
            made = data if _is_made_of(content, data) else compiled(content, program)
            desired[program] = file_item(made, 0, 0, 0o755)
            different = [path for path, item in desired.items() if not old[path].same(item)]
            for path in different:
                if path == private:
                    before, after = "", "the recipients of alerts (not shown: they can contain a secret)\n"
                elif path == program:
                    before, after = _summary(old[path]), f"version {self.version}, {_summary(desired[path])}"
                else:
                    before, after = _text(old[path]), _text(desired[path])
                done.diff.append({"before_header": path, "after_header": path, "before": before, "after": after})
            done.changed = bool(done.diff)
            if check:
                return done
            # The links matter at boot only. They come last, as the mark that systemd knows the rest: a run that ended
            # before is seen by that they are missing.
            links = [path for path in different if desired[path].is_link]
            if timer in different and not self.daily:
                self._systemctl("stop", f"{DAILY}.timer")
            _write(tree, {path: desired[path] for path in different if path not in links}, private)
            if any(path.startswith(f"{self.places.units}/") for path in different):
                self._systemctl("daemon-reload")
                if self.daily:
                    self._systemctl("restart", f"{DAILY}.timer")
            _write(tree, {path: desired[path] for path in links}, private)
        return done

    def _systemctl(self, *words: str) -> None:
        if not self.machine.systemd:
            return
        code, output = self.machine.run(["systemctl", *words], 60)
        if code:
            raise StateError(f"`systemctl {' '.join(words)}` failed ({code}): {output}")


def _write(tree: Tree, items: Mapping[str, Item], private: str) -> None:
    """Write them, each with its directory, which is root's alone for the ``private`` one."""
    for path, item in items.items():
        for directory in () if item == ABSENT else tree.missing_parents(path):
            tree.make_directory(directory, 0o700 if path == private else 0o755)
        tree.write(path, item)


def compiled(program: bytes, path: str) -> bytes:
    """A program (a zip of Python's modules) with each module compiled too, for the Python that runs this.

    To compile them is most of what a start costs otherwise. A Python of another version compiles them again each time.
    """
    stream = io.BytesIO(program)
    with zipfile.ZipFile(stream, "a") as archive:
        for name in archive.namelist():
            source = archive.read(name)
            code = marshal.dumps(compile(source, f"{path}/{name}", "exec", dont_inherit=True))
            member = zipfile.ZipInfo(f"{name}c", (1980, 1, 1, 0, 0, 0))
            archive.writestr(member, MAGIC_NUMBER + _UNCHECKED + source_hash(source) + code)
        archive.comment = bytes(_MARK_LENGTH)
    body = stream.getvalue()[:-_MARK_LENGTH]
    return body + _mark(program, body)


def _mark(program: bytes, body: bytes) -> bytes:
    """The end of a compiled program. Two compilations of one source need not be the same bytes, so it names that."""
    return _name(program, MAGIC_NUMBER) + hashlib.sha256(body).digest()


def _name(program: bytes, magic: bytes) -> bytes:
    return hashlib.sha256(magic + program).digest()


def _made_of(data: bytes) -> str:
    """What a program was made of, by its mark; empty where it is not as it was written."""
    body, mark = data[:-_MARK_LENGTH], data[-_MARK_LENGTH:]
    half = _MARK_LENGTH // 2
    return mark[:half].hex() if mark[half:] == hashlib.sha256(body).digest() else ""


def _is_made_of(program: bytes, data: bytes) -> bool:
    """Whether ``data`` is this program, compiled for this Python, as it was written."""
    return data[-_MARK_LENGTH:] == _mark(program, data[:-_MARK_LENGTH])


def _summary(item: Item) -> str:
    """Named by what it was made of; anything else, by itself."""
    if not item.is_file:
        return ""
    return f"sha256 {_made_of(item.data) or item.sha256}, mode {item.mode:04o}\n"


def _text(item: Item) -> str:
    return item.data.decode(errors="replace") if item.is_file else f"link to {item.target}\n" * bool(item.target)
