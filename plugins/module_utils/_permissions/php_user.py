# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""PHP of a portal as a user of its own, and back, while the portal goes on.

The configuration is one transaction. Files change their owner after it: in between, the new user is a member of the old
one's group, so that either can do what the portal needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import window as permissions_window
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.pages import Pages
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.php_accounts import (
    Accounts,
    PhpUserError,
    primary_group,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.php_files import (
    Account,
    Memo,
    PoolFiles,
    memo,
    transaction,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.php_ways import Ways
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._settings import logins
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import Outcome, plan


@dataclass(frozen=True)
class Desired:
    """``tree``: what chamilo_perms takes. ``probe``: pages that must work as before. ``group``: of the files."""

    site: str
    own: bool
    domain: str
    root: str = ""
    web_server: str = ""
    web_user: str = ""
    group: str = ""
    tree: Mapping[str, Any] = field(default_factory=dict)
    probe: Sequence[Mapping[str, Any]] = ()


@dataclass
class Done:
    """What came of it. ``site``: as it was discovered last."""

    site: Site
    changed: bool = False
    reported: list[str] = field(default_factory=list)


def back(site: str, engine: Engine) -> Done:
    """As ``keep``, without Ansible: what is needed was written down."""
    known = memo(site)
    if known is None:
        raise PhpUserError(f"PHP of {site} has no user of its own here.")
    tree = permissions_window.site(site).tree
    desired = Desired(site, False, known.domain, known.root, known.web_server, tree=tree, probe=known.probe)
    return Switch(desired, engine).go(check=False)


class Switch:
    """One portal on its way to a user of its own, or back."""

    def __init__(self, desired: Desired, engine: Engine) -> None:
        self.desired = desired
        self.engine = engine
        self.accounts = Accounts(engine.machine, engine.store.root)
        self.site = discover(desired.domain, desired.root, desired.web_server, site=desired.site, require=True)
        self.memo = memo(desired.site)
        self.done = Done(self.site)
        self.ways = Ways(self.site)
        self.files = PoolFiles(desired.site, self.site, engine, desired.probe)

    def go(self, check: bool) -> Done:
        if self.desired.own:
            self._give(check)
        elif self.memo:
            self._take(self.memo, check)
        return self.done

    # -- a user of its own -------------------------------------------------------------------------------------------

    def _give(self, check: bool) -> None:
        if self.site.php.sapi != "fpm":
            self.done.reported.append(
                f"PHP of {self.site.domain} runs within Apache (mod_php), which has one user for all sites. Have "
                "Apache hand requests to PHP-FPM first."
            )
            return
        if self.desired.web_user not in ("", self.files.own.user):
            raise PhpUserError(
                f"chamilo_web_user: {self.desired.web_user}. PHP of this portal is to run as {self.files.own.user} "
                "(chamilo_permissions_php_user). Leave chamilo_web_user empty."
            )
        pool = self.ways.pool()
        if pool.file == self.files.file and self.memo:
            known = self.memo
        elif self.ways.is_alone(pool):
            self.done.reported.append(
                f"PHP of {self.site.domain} runs as {pool.user}, which no other site of this host does."
            )
            return
        else:
            way = self.ways.way(pool)
            known = Memo(
                self.site.domain, self.site.root, self.site.web.name, pool.user, pool.group,
                pool.address, pool.name, pool.file, way, bool(self.memo and self.memo.member),
            )  # fmt: skip
        waits = known.way == "line" and pool.file != self.files.file
        if waits:
            self.done.reported.append(self.ways.line(known.address, self.files.socket))
        switching = not waits and pool.user != self.files.own.user
        if check and (switching or not self.memo):
            self.done.changed = True
            return
        self._no_window(switching)
        if not check:
            known = self._accounts(known)
        user = known.account if waits else self.files.own
        if switching:
            self._switch(known.account, self.files.own, known)
        else:
            self._apply(self.files.desired(known, user), check)
            if not check and not waits:
                self._leave(self.files.own.user, known.group)

    # -- and back ----------------------------------------------------------------------------------------------------

    def _take(self, known: Memo, check: bool) -> None:
        pool = self.ways.pool()
        if check:
            self.done.changed = True
            return
        self._no_window(pool.user == self.files.own.user)
        if known.way == "line" and pool.file == self.files.file:
            self.done.reported.append(self.ways.line(self.files.socket, known.address))
            if pool.user != known.user:
                self._switch(self.files.own, known.account, known)
            return
        if pool.user == self.files.own.user:
            self._switch(self.files.own, known.account, None)
        else:
            self._apply(self.files.restored(known), check)
        self.engine.forget(transaction(self.desired.site))
        if known.member and not self.files.others():
            self.accounts.leave(self.site.web.user, primary_group(self.site.web.user))

    # -- both --------------------------------------------------------------------------------------------------------

    def _switch(self, old: Account, new: Account, known: Memo | None) -> None:
        """``known``: of the pool that runs as the new user; None where ours goes."""
        pages = Pages(self.desired.probe, self.engine.fetch)
        pages.probe()
        before = self.memo or known
        if before is None:
            raise AssertionError("one of them is there")
        self.accounts.join(new.user, old.group)
        try:
            self._apply(self.files.desired(known, new) if known else self.files.restored(before), check=False)
            self._rights(old, new)
            self._leave(new.user, old.group)
            problem = pages.broken()
        except (HardeningError, OSError) as reason:
            self._return(old, new, before)
            raise PhpUserError(f"PHP of {self.site.domain} runs as {old.user}, as before. {reason}") from reason
        if problem:
            self._return(old, new, before)
            raise PhpUserError(f"PHP of {self.site.domain} runs as {old.user}, as before: as {new.user}, {problem}.")
        # What others wrote is undone by commands that PHP's user has to be able to run.
        self.engine.hand_over(self.site.root, old.user, new.user)
        self.done.reported += self.accounts.move_jobs(old.user, new.user, self.files.roots)
        self.done.changed = True
        self.done.site = discover(
            self.desired.domain, self.desired.root, self.desired.web_server, site=self.desired.site
        )

    def _return(self, old: Account, new: Account, before: Memo) -> None:
        """The old user, with all its rights, after the new one did not do."""
        if transaction(self.desired.site) not in self.engine.store.peek()["records"]:
            self._leave(new.user, old.group)
            return
        self.accounts.join(old.user, new.group)
        if old == self.files.own:
            self._apply(self.files.desired(before, old), check=False)
        else:
            self._apply(self.files.restored(before), check=False)
            self.engine.forget(transaction(self.desired.site))
        self._rights(old=new, new=old)
        self._leave(old.user, new.group)
        self._leave(new.user, old.group)

    def _rights(self, old: Account, new: Account) -> None:
        """The files of the portal and its sessions, from one user to the other."""
        tree = {**self.desired.tree, "web_user": new.user, "group": self.desired.group or new.group}
        pages = {"probe": self.desired.probe, "service": self.site.php.service}
        permissions_window.apply(tree, "production", None, False, pages=pages)
        logins.hand_over(self.site, self.site.environment.get("APP_ENV") or "prod", old.user, new.user)

    def _apply(self, given: Mapping[str, Any], check: bool) -> None:
        outcome = Outcome()
        self.engine.apply(plan(given), outcome, check)
        self.done.changed |= outcome.changed
        self.done.reported += [*outcome.recovered, *outcome.notes]

    # -- accounts ----------------------------------------------------------------------------------------------------

    def _accounts(self, known: Memo) -> Memo:
        self.accounts.make(self.files.own.user)
        if self.desired.group:
            self.accounts.join(self.files.own.user, self.desired.group)
        # In another group, the web server's workers would lose that of their user, by which they read files of sites.
        web = self.site.web.user
        return replace(known, member=self.accounts.join(web, primary_group(web)) or known.member)

    def _leave(self, user: str, group: str) -> None:
        """No process of PHP keeps what the group gave."""
        if group not in ("", self.desired.group) and self.accounts.leave(user, group):
            for service in (self.site.php.service, self.site.web.service):
                self.accounts.command("systemctl", "try-reload-or-restart", service)

    def _no_window(self, switching: bool) -> None:
        window = permissions_window.Windows(self.engine).at(self.site.root) if switching else None
        if window:
            raise PhpUserError(
                f"PHP of {self.site.domain} gets no other user meanwhile: {window.description()}. Run "
                "`chamilo-hardening window close` first."
            )
