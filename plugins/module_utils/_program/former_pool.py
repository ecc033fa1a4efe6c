# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pool and the account that an earlier version gave PHP of a portal: `undo permissions` gives them up.

Harden goes by the pool that it finds, this one or another. The files are one transaction; those of the portal change
their owner after it, and in between the old user is a member of the new one's group.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from typing import Any

from .._application.discovery import discover
from .._common.errors import HardeningError
from .._common.files import Item
from .._common.tree import Tree
from .._permissions import apply
from .._permissions import window as permissions_window
from .._settings import logins
from .._transaction.job import Outcome
from .._transaction.plan import plan
from .._transaction.repair import Repairing

MEMO = "/etc/chamilo-hardening/php_user-{site}.json"
NGINX = "/etc/nginx/nginx.conf"
_CRON = "/etc/cron.d/"
_SECONDS = 60
_LONGEST = 32  # characters of an account's name
_NGINX_OURS = re.compile(r"^# chamilo\.hardening, section permissions: was (.*)\n.*(\n|\Z)", re.MULTILINE)


class FormerPoolError(HardeningError):
    """PHP of a portal cannot get the user back that it had; the message states why and what to do."""


def tracked(engine: Repairing) -> list[str]:
    """The portals whose PHP has such a pool."""
    pattern = re.compile(r"permissions:(.+)\.pool")
    return [found[1] for name in engine.store.peek()["records"] if (found := pattern.fullmatch(name))]


def account(site: str) -> str:
    """The user, the group and the pool of a portal. A long name of a site was cut and made unique by its checksum."""
    name = f"chamilo-{site}"
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 9]}-{hashlib.sha256(site.encode()).hexdigest()[:8]}"


def undo(site: str, engine: Repairing) -> list[str]:
    """PHP as the user that it had before. What an administrator has to know of it."""
    return _Former(site, engine).undo()


class _Former:
    def __init__(self, word: str, engine: Repairing) -> None:
        self.word, self.engine = word, engine
        self.name = f"permissions:{word}.pool"
        self.memo: dict[str, Any] = json.loads(Tree().read(MEMO.format(site=word)))
        self.own, self.old = account(word), str(self.memo["user"])
        memo = self.memo
        self.site = discover(memo["domain"], memo["root"], memo["web_server"], site=word, require=True)
        self.files: Mapping[str, Any] = engine.store.peek()["records"][self.name]["files"]
        # Empty where an attempt before this one came as far as the files.
        self.pool = next((path for path in self.files if path.endswith(f"/pool.d/chamilo-{word}.conf")), "")
        found = re.search(r"(?m)^listen = (\S+)", Tree().read(self.pool) if self.pool else "")
        self.socket = f"unix:{found[1]}" if found else ""

    def undo(self) -> list[str]:
        window = permissions_window.Windows(self.engine).at(self.site.root)
        if window:
            raise FormerPoolError(
                f"PHP of {self.site.domain} gets no other user meanwhile: {window.description()}. Run "
                "`chamilo-hardening window close` first."
            )
        # The owner of a virtual host wrote the address of the pool into it, and only he can change that.
        awaited = self.memo["way"] == "line" and self.pool == self.site.php.pool_file != ""
        self._command("gpasswd", "--add", self.old, self.own)
        self._apply(awaited)
        tree = {**permissions_window.site(self.word).tree, "web_user": self.old, "group": self.memo["group"]}
        apply.produce(tree, pages=self.memo["probe"])
        logins.hand_over(self.site.sessions, self.own, self.old)
        # What others wrote is undone by commands that PHP's user has to be able to run.
        self.engine.hand_over(self.site.root, self.own, self.old)
        self._command("gpasswd", "--delete", self.old, self.own)
        for service in (self.site.php.service, self.site.web.service):  # a process keeps its groups until it ends
            self._command("systemctl", "try-reload-or-restart", service)
        reported = [f"PHP of {self.site.domain} runs as {self.old} again."]
        if self.engine.machine.command(("crontab", "-u", self.own, "-l"), _SECONDS)[0] == 0:
            reported.append(f"Move its jobs: crontab -u {self.own} -e, and the same lines to crontab -u {self.old} -e")
        if awaited:
            raise FormerPoolError(
                f"{' '.join(reported)} The virtual host hands requests to {self.socket}, which only its owner changes. "
                f"Write {self.memo['address']} there, run: systemctl reload {self.site.web.service}, then undo again."
            )
        self.engine.forget(self.name)
        os.unlink(MEMO.format(site=self.word))
        return reported

    def _apply(self, awaited: bool) -> None:
        """The transaction without what it brought. Files of ours alone are removed, since no plan names them."""
        memo = MEMO.format(site=self.word)
        files = [_edited(memo, Tree().read(memo))]  # until all is done
        if awaited:
            as_old = re.sub(rf"(?m)^(user|group) = {re.escape(self.own)}$", self._as_old, Tree().read(self.pool))
            files += [_edited(path, Tree().read(path)) for path in self.files if path not in (memo, self.pool)]
            files.append(_edited(self.pool, as_old))
        else:
            files += self._restored()
        record = self.engine.store.peek()["records"][self.name]
        probe = [{**one, "status": [200, 301, 302, 303]} for one in self.memo["probe"][:1]]
        given = {"name": self.name, "files": files, "test": record["test"], "probe": probe}
        self.engine.apply(plan(given), Outcome(), check=False)

    def _as_old(self, line: re.Match[str]) -> str:
        return f"{line[1]} = {self.memo[line[1]]}"

    def _restored(self) -> Iterator[dict[str, Any]]:
        """The files that were there before, as they are now but for what was changed in them."""
        for path, known in self.files.items():
            before = Item.from_json(known["before"])
            if not before.is_there:
                continue
            if not os.path.lexists(path):  # the owner's pool, whose address this one took
                was = self.engine.store.load(before)
                text = was.data.decode("utf-8", "surrogateescape")
                yield _desired(path, text, was.uid, was.gid, was.mode)
                continue
            text = Tree().read(path)
            if path == NGINX:
                others = [site for site in tracked(self.engine) if site != self.word]
                text = text if others else _NGINX_OURS.sub(lambda one: f"{one[1]}{one[2]}" if one[1] else "", text)
            elif path.startswith(_CRON):
                text = self._jobs(text)
            elif self.socket:  # our virtual host
                pattern = re.compile(rf"{re.escape(self.socket)}(?![\w.-])")
                text = pattern.sub(lambda _found: str(self.memo["address"]), text)
            yield _edited(path, text)

    def _jobs(self, text: str) -> str:
        """A file of /etc/cron.d with the portal's jobs as the old user."""
        line = re.compile(rf"(?m)^(\s*(?:@\w+|[\d*](?:\S*\s+\S+){{4}})\s+){re.escape(self.own)}(?=\s)")
        return line.sub(lambda found: f"{found[1]}{self.old}", text)

    def _command(self, *argv: str) -> None:
        code, output = self.engine.machine.command(argv, _SECONDS)
        if code:
            raise FormerPoolError(f"`{' '.join(argv)}` failed ({code}): {output or 'no output'}.")


def _edited(path: str, text: str) -> dict[str, Any]:
    """A file that keeps its owner and mode."""
    status = os.stat(path)
    return _desired(path, text, status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))


def _desired(path: str, text: str, owner: int, group: int, mode: int) -> dict[str, Any]:
    return {
        "path": path,
        "secret_content": text,
        "owner": str(owner),
        "group": str(group),
        "mode": f"{mode:04o}",
    }
