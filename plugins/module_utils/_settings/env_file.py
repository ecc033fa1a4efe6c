# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets keys of a Symfony application's environment in the files from which the application reads them.

The new texts are computed first (``Draft``), until the application would see every desired value; then all files, the
private key of the tokens among them, change in one transaction or not at all.
"""

from __future__ import annotations

import os
import posixpath
import pwd
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .._application import dotenv, known_secrets, sealed
from .._application.database import DatabaseError, Reader, as_number
from .._application.installation import Installation
from .._common.errors import HardeningError
from .._common.files import ABSENT, Item, file_item, note_written, noted
from .._common.files import Tree as Disk
from .._common.openssl import OpenSsl, run_openssl
from .._common.paths import open_guarded
from .._common.tree import Tree
from .._transaction.job import Change, Outcome
from .._transaction.recovery import Recovery
from . import env_shared
from .env_draft import Draft, EnvError, shown
from .env_transaction import CACHE_SECONDS, OWED, Writer
from .logins import EndLogins, end_logins
from .token_keys import Pair, PairPlan, TokenKeyError, planned, taken

REQUIRED = dotenv.SECRETS
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ROUNDS = 5  # one file may bring another into play; then it has to be settled
_SHORTEST = 4  # characters: a shorter value would be found in any text
_TOGETHER_NS = 60 * 10**9  # within which the two halves of a key pair are written


@dataclass(frozen=True)
class Desired:
    """The desired environment. A value of None: the key is removed everywhere."""

    values: Mapping[str, str | None] = field(default_factory=dict)
    secret_values: Mapping[str, str] = field(default_factory=dict, repr=False)
    require: Sequence[str] = ()
    generate: bool = False
    rotate_secret: bool = False
    web_user: str = ""
    probe: Sequence[Mapping[str, Any]] = ()  # pages that must be answered as before
    sealed: str = ""  # the secrets of the node that leads the portal
    salt: str = field(default="", repr=False)  # by which nodes of a portal hand them on in this run


@dataclass
class Result:
    """The result. Contains no secret."""

    changed: bool = False
    files: list[str] = field(default_factory=list)
    changes: dict[str, dict[str, str]] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    generated: list[str] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)
    cache_cleared: bool = False
    consequences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    diff: list[dict[str, str]] = field(default_factory=list)
    sealed: str = ""


class EnvFile:
    """The environment of one application, and what is to become of it."""

    def __init__(
        self,
        portal: Installation,
        engine: Recovery | None = None,
        two_factor: Callable[[Installation], str] | None = None,
        openssl: OpenSsl | None = None,
        end_logins: EndLogins = end_logins,
    ) -> None:
        self.portal = portal
        self.engine = engine or Recovery()
        self.two_factor = two_factor or in_use
        self.openssl = openssl or run_openssl
        self.end_logins = end_logins
        self._pair = PairPlan()
        self._shared: dict[str, str] = {}  # what the node that leads the portal has
        self._halves: dict[str, bytes] = {}  # of the key pair, as they are to be
        self._was_public = False  # one of the secrets that come from there
        self._old: dict[str, Item] = {}
        self._behind: dict[str, str] = {}  # a path -> the file it leads to

    def apply(self, desired: Desired, result: Result, check: bool = False) -> None:
        """Apply a desired state. ``result`` is filled step by step, so a failure keeps what was known."""
        expected = checked(desired)
        self._shared = env_shared.of_node(desired.sealed, desired.salt, self.openssl) if desired.sealed else {}
        with Disk() as disk:
            base = Tree()
            draft = Draft(base, lambda path: self._text(disk, path))
            before = self._environment(draft)
            self._share(desired, expected, before, result)
            self._keep_public_out(desired, expected, before, result)
            self._overruled(expected, before)
            self._settle(draft, expected)
            after = self._environment(draft)
            changes = {
                path: _with(self._old[path], text.encode("utf-8", "surrogateescape"))
                for path, text in ((self._target(disk, path), text) for path, text in draft.written.items())
            }
            if "JWT_PASSPHRASE" in expected or "JWT_PASSPHRASE" in desired.require or self._shared:
                try:
                    changes.update(self._keys(disk, desired, before, after))
                except TokenKeyError as problem:
                    raise EnvError(f"{problem} No file was changed.") from problem
            work = [
                Change(path, self._old[path], new) for path, new in changes.items() if self._old[path].data != new.data
            ]
        self._report(result, work, before, after, draft)
        if work and not check:
            self._carry_out(work, desired, before, after, result)
        result.notes += self._pair.notes
        result.consequences += self._pair.consequences
        if desired.salt and desired.require:
            halves = {name: half.decode("ascii", "replace") for name, half in self._halves.items()}
            values = {name: after.secret(name) for name in REQUIRED}
            result.sealed = sealed.seal({**values, **halves}, desired.salt, self.openssl)
        # A run that was killed behind its commit left them to this one.
        if self._ends_logins(result) or self.portal.root in self.engine.store.peek().get(OWED, ()):
            ended, notes = self.end_logins(self.portal, check)
            result.changed = True
            result.consequences += ended
            result.notes += notes if check else [*notes, *Writer(self.engine).logins_ended(self.portal.root)]

    def _ends_logins(self, result: Result) -> bool:
        return bool(result.generated or self._pair.replaced or self._was_public)

    # -- desired state -----------------------------------------------------------------------------------------------

    def _environment(self, draft: Draft) -> dotenv.Environment:
        environment = self.portal.environment(draft)
        if not environment.files:
            raise EnvError(" ".join(environment.problems) or f"{self.portal.root} has no environment file.")
        if environment.files[0].endswith(".env.dist"):
            raise EnvError(f"{self.portal.root} has no .env file: Chamilo is not installed yet.")
        return environment

    def _share(
        self, desired: Desired, expected: dict[str, str | None], before: dotenv.Environment, result: Result
    ) -> None:
        """Take the secrets of the node that leads the portal."""
        found = env_shared.taken(self._shared, before, self.portal, self.two_factor, desired.rotate_secret)
        expected.update(found)
        self._was_public = bool(set(found) & set(known_secrets.published(before)))
        result.consequences += [env_shared.TAKEN] if "APP_SECRET" in found else []

    def _keep_public_out(
        self, desired: Desired, expected: dict[str, str | None], before: dotenv.Environment, result: Result
    ) -> None:
        """Give what must not be public a value of its own; refuse what would lock people out."""
        known = [name for name in desired.require if name not in expected and name in known_secrets.published(before)]
        if known and not desired.generate:
            raise EnvError(
                f"{' and '.join(known)} of {self.portal.root} are public or easy to guess. Set generate, or give a "
                "value of your own in secret_values."
            )
        for name in known:
            expected[name] = secrets.token_hex(32)
            result.generated.append(name)
        new = expected.get("APP_SECRET")
        old = before.secret("APP_SECRET")
        if new is None or new in (old, self._shared.get("APP_SECRET")) or desired.rotate_secret:
            return
        why = self.two_factor(self.portal)
        if not why and "APP_SECRET" not in known_secrets.published(before):
            why = "it is the portal's own, and all who are remembered would have to log in again"
        if not why:
            return
        if "APP_SECRET" not in result.generated:
            raise EnvError(
                f"APP_SECRET was not changed: {why}. No file was changed. Set rotate_secret to change it all the same."
            )
        del expected["APP_SECRET"]
        result.generated.remove("APP_SECRET")
        result.refused.append({"name": "APP_SECRET", "why": why})

    def _overruled(self, expected: Mapping[str, str | None], before: dotenv.Environment) -> None:
        """Refuse what the server gives PHP: that wins over the files, and stands in a file that is not ours."""
        places = [
            f"{name} ({self.portal.given[name].file} line {self.portal.given[name].line})"
            for name, value in sorted(expected.items())
            if name in self.portal.given and _seen(before, name) != _meant(name, value)
        ]
        if places:
            raise EnvError(
                f"The server itself gives the application {' and '.join(places)}, which wins over its environment "
                "files. No file was changed. Take it out there, or correct it there."
            )

    def _settle(self, draft: Draft, expected: Mapping[str, str | None]) -> None:
        """Edit until the application would see every value, first without what Composer wrote, then with it."""
        dumped = posixpath.join(self.portal.root, ".env.local.php")
        if draft.exists(dumped) and draft.exists(posixpath.join(self.portal.root, ".env")):
            # The next `composer dump-env` takes its values from these.
            draft.hidden = dumped
            self._edit(draft, expected)
            draft.hidden = ""
        self._edit(draft, expected)

    def _edit(self, draft: Draft, expected: Mapping[str, str | None]) -> None:
        for _round in range(_ROUNDS):
            environment = self._environment(draft)
            left = {name: text for name, text in expected.items() if _seen(environment, name) != _meant(name, text)}
            if not left:
                return
            for name, text in left.items():
                draft.set(self._place(environment, name), name, text)
        raise EnvError(
            f"{' and '.join(left)} cannot be set in the environment files of {self.portal.root}: "
            f"{' '.join(environment.problems) or 'the application would still see another value'}"
        )

    @staticmethod
    def _place(environment: dotenv.Environment, name: str) -> str:
        """The file whose value wins, or the one for what is new."""
        source = environment.sources.get(name, "")
        if source in environment.files:
            return source
        own = [path for path in environment.files if path.endswith("/.env.local")]
        return (own or list(environment.files))[0]

    # -- files -------------------------------------------------------------------------------------------------------

    def _target(self, disk: Disk, path: str) -> str:
        """The file behind a path, read once. Links are followed as in reading."""
        if path not in self._behind:
            self._behind[path] = real = _real(path, self.portal.web_user)
            if real not in self._old:
                self._old[real] = disk.inspect(real)
        return self._behind[path]

    def _text(self, disk: Disk, path: str) -> str:
        return self._old[self._target(disk, path)].data.decode("utf-8", "surrogateescape")

    def _keys(
        self, disk: Disk, desired: Desired, before: dotenv.Environment, after: dotenv.Environment
    ) -> dict[str, Item]:
        """The key pair of the tokens, encrypted with the desired passphrase; a new one where others may have it."""
        paths = list(sealed.key_files(before.get, self.portal.root).values())
        if not self._below_root(paths[0]):
            raise EnvError(
                f"JWT_SECRET_KEY names {paths[0]}, which is not below {self.portal.root}. No file was changed."
            )
        # A public half outside is neither read nor written.
        private, public = (self._target(disk, path) if self._below_root(path) else "" for path in paths)
        old, half = self._old[private], self._old.get(public, ABSENT)
        theirs = [self._shared.get(name, "").encode() for name in sealed.USUAL]
        if not old.is_file and not theirs[0]:
            return {}  # no tokens are made here
        written = noted(self.engine.store.root)
        # One that was made by hand since has another checksum. The halves of a new pair are written together.
        ours = (private, old.sha256) in written
        apart = half.is_file and old.mtime_ns - half.mtime_ns >= _TOGETHER_NS
        rewritten = ours and apart and public not in {path for path, _checksum in written}
        reachable = old.is_file and _reachable(private)
        pair = Pair(private, public, old, half, self.openssl, rewritten, ours, reachable)
        # Several nodes share a pair: none makes one of its own where the passphrase is given to it.
        alone = desired.generate and "JWT_PASSPHRASE" in desired.require
        reader = _ids(desired.web_user or self.portal.web_user)
        words = before.secret("JWT_PASSPHRASE"), after.secret("JWT_PASSPHRASE")
        plan = taken(pair, theirs[0], theirs[1], *words, reader) if theirs[0] else None
        self._pair = plan or planned(pair, *words, alone, reader)
        found = dict(zip((private, public), self._pair.items))
        places = zip(sealed.USUAL, (private, public))
        self._halves = {name: found.get(path, self._old[path]).data for name, path in places if path}
        return found

    def _below_root(self, path: str) -> bool:
        return path.startswith(f"{self.portal.root}/")

    # -- doing it ----------------------------------------------------------------------------------------------------

    def _report(
        self,
        result: Result,
        work: Sequence[Change],
        before: dotenv.Environment,
        after: dotenv.Environment,
        draft: Draft,
    ) -> None:
        result.changed = bool(work)
        result.files = sorted(change.path for change in work)
        for name in sorted({*before.sources, *after.sources}):
            old, new = before.secret(name), after.secret(name)
            if old != new and dotenv.is_secret(name):
                result.secrets.append(name)
            elif old != new:
                result.changes[name] = {"before": old, "after": new}
        for path, text in sorted(draft.written.items()):
            old_text = self._old[self._behind[path]].data.decode("utf-8", "surrogateescape")
            result.diff.append(shown(path, old_text, text))
        words = "another key" if self._pair.replaced else "the same key, with another passphrase"
        for change in work:
            if b"PRIVATE KEY" in change.new.data:
                head = {"before_header": change.path, "after_header": change.path}
                result.diff.append({**head, "before": "the private key\n", "after": f"{words}\n"})

    def _carry_out(
        self,
        work: Sequence[Change],
        desired: Desired,
        before: dotenv.Environment,
        after: dotenv.Environment,
        result: Result,
    ) -> None:
        user = desired.web_user or self.portal.web_user
        commands = [self._console(user, after), *self._reload(work)]
        if not user:
            raise EnvError("It is not known as whom PHP runs here, so its cache cannot be cleared: set web_user.")
        outcome = Outcome()
        try:
            owing = self.portal.root if self._ends_logins(result) else ""
            Writer(self.engine).write(work, commands, desired.probe, outcome, owing)
        except (HardeningError, OSError) as problem:
            result.changed = False
            raise EnvError(_without_secrets(str(problem), before, after)) from problem
        finally:
            result.notes += [*outcome.recovered, *outcome.notes]
        # The public half of a key that stays comes first: a private one that is known alone counts as old.
        for path in [*self._pair.sound, *(change.path for change in work)]:
            result.notes += _noted(path, self.engine.store.root)
        result.cache_cleared = True
        old, new = before.get("APP_ENV"), after.get("APP_ENV")
        if old != new and re.fullmatch(r"\w+", old):
            result.notes += self._forget_cache(user, old)

    def _console(self, user: str, after: dotenv.Environment) -> list[str]:
        php = f"/usr/bin/php{self.portal.php}"
        mode = [f"APP_ENV={after.get('APP_ENV')}", f"APP_DEBUG={after.get('APP_DEBUG')}"]
        # The web user could not even list root's directory.
        place = [f"--chdir={self.portal.root}", "HOME=/nonexistent", *mode]
        console = [php if os.path.exists(php) else "php", "bin/console", "cache:clear", "--no-interaction", "--quiet"]
        return ["runuser", "-u", user, "--", "env", *place, *console]

    def _reload(self, work: Sequence[Change]) -> list[list[str]]:
        """Not every server checks a compiled PHP file again."""
        service = self.portal.service
        compiled = any(change.path.endswith(".php") for change in work)
        return [["systemctl", "try-reload-or-restart", service]] if compiled and service else []

    def _forget_cache(self, user: str, mode: str) -> list[str]:
        """Remove the cache of the previous mode. In dev mode Symfony makes it world-writable."""
        directory = f"{self.portal.root}/var/cache/{mode}"
        if not os.path.isdir(directory):
            return []
        # As the web user: it can replace any directory on the way by a link.
        remove = ["runuser", "-u", user, "--", "rm", "-rf", "--", directory]
        code, output = self.engine.machine.run(remove, CACHE_SECONDS)
        return (
            [f"{directory} is of no use any more and could not be removed: {output.splitlines()[-1]}"]
            if code and output
            else []
        )


def _real(path: str, web_user: str) -> str:
    """Where a path leads to. No link of the web user is followed."""
    try:
        handle = open_guarded(path, web_user)
    except FileNotFoundError:
        return path
    except OSError as problem:
        raise EnvError(f"{path} cannot be read: {problem.strerror}. No file was changed.") from problem
    try:
        return os.readlink(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


def checked(desired: Desired) -> dict[str, str | None]:
    """All desired values. Rejects contradictions."""
    for name in (*desired.values, *desired.secret_values):
        if not _NAME.fullmatch(name):
            raise EnvError(f"{name!r} is no name of a variable.")
    open_secrets = [name for name in desired.values if dotenv.is_secret(name)]
    if open_secrets:
        raise EnvError(
            f"{' and '.join(open_secrets)} may be a secret: give it in secret_values, so that no log shows it."
        )
    twice = sorted(set(desired.values) & set(desired.secret_values))
    if twice:
        raise EnvError(f"{' and '.join(twice)} stands in values and in secret_values.")
    expected: dict[str, str | None] = {**desired.values, **desired.secret_values}
    for name, text in expected.items():
        if "\0" in (text or ""):
            raise EnvError(f"The value of {name} has a NUL byte in it.")
        wrong = known_secrets.fault(text) or known_secrets.weakness(text) if text is not None else ""
        if name in REQUIRED and wrong:
            raise EnvError(
                f"The value given for {name} {wrong}. No file was changed. Give it a random one, "
                "such as `openssl rand -hex 32` prints."
            )
    return expected


def _without_secrets(text: str, *environments: dotenv.Environment) -> str:
    """A command that failed may have shown one."""
    for environment in environments:
        for name in environment.sources:
            value = environment.secret(name)
            if dotenv.is_secret(name) and len(value) >= _SHORTEST:
                text = text.replace(value, "***")
    return text


def _noted(path: str, state: str) -> list[str]:
    """Remember that a file is ours. The files have changed by now, so a failure is a note."""
    try:
        note_written(path, state)
    except (HardeningError, OSError) as problem:
        return [f"{path} is written, but that could not be noted: {problem}. The daily comparison will report it."]
    return []


def _with(old: Item, data: bytes) -> Item:
    """A file with another content, and all else as it is."""
    return replace(old, data=data, sha256=file_item(data, 0, 0, 0).sha256, mtime_ns=0)


def _reachable(path: str) -> bool:
    """Whether every account of the host can get to a file: each directory above it lets others through."""
    while path != "/":
        path = posixpath.dirname(path)
        if not os.stat(path).st_mode & 0o001:
            return False
    return True


def _ids(user: str) -> tuple[int, int]:
    """The numbers of an account and of its group; -1 where there is none of that name."""
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return -1, -1
    return account.pw_uid, account.pw_gid


def _seen(environment: dotenv.Environment, name: str) -> str | None:
    return environment.secret(name) if name in environment.sources else None


def _meant(name: str, text: str | None) -> str | None:
    return dotenv.debug_text(text) if name == "APP_DEBUG" and text is not None else text


def in_use(portal: Installation) -> str:
    """Why a new APP_SECRET would lock people out, or an empty text: it is the key to their second factor."""
    try:
        rows = Reader.of(portal).query(
            "SELECT COUNT(*) AS users FROM `user` WHERE mfa_enabled = 1 OR LENGTH(mfa_secret) > 0"
        )
    except DatabaseError as problem:
        return f"the use of two-factor login could not be checked ({str(problem).rstrip('.')})"
    users = as_number(rows[0]["users"])
    people = "1 person uses" if users == 1 else f"{users} people use"
    return f"{people} two-factor login, and could not log in any more" if users else ""
