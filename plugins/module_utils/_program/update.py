# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An update of Chamilo to another release, by its official package.

The program is laid beside the portal, and takes the place of the one in use by renames, in a moment. Migrations and
pages are watched; where one fails, the program before and the database of the backup come back. The journal of a
restore is written before each phase, so that an update which was killed can be rolled back.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import syslog
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from .._application import comparison, release_files
from .._application.database import Reader
from .._application.discovery import discover
from .._application.observer import Observer
from .._application.portal_reader import migrations, migrations_without_history
from .._application.site import Site
from .._backups import backup, exchange, jobs, restic, restore, restore_tables
from .._backups import portal as backups_portal
from .._backups.exchange import Exchange
from .._backups.portal import CHANGING, FETCHING, UPDATE, BackupError, Portal
from .._common import services
from .._common.errors import HardeningError
from .._common.sentences import first_of
from .._common.version import VersionError, parse
from .._database import migrate
from .._database.context import CREDENTIALS
from .._permissions import apply, open_windows, window
from .._permissions.policy import GIT
from .._transaction.engine import Engine
from .._updates import advisories
from .new_release import Package

ABOUT = """\
Updates Chamilo by the package of a release (zip or tar); --sha256 is its checksum, from the page of the release. It
takes a backup and lays the program beside the portal, and both change places at once. Migrations run, the pages that
answered before have to answer, and the program is compared with the package. After a failure, the previous program and
the database of that backup are restored. On each other web node of the portal, --node then lays the same program."""
_PAGES = ("/", "/login")
_SECONDS = 3600.0  # of a migration
# By names in one directory: what requests make or remove meanwhile is no failure.
_PUT_AWAY = """cd var/cache || exit 0
rm -rf .before && mkdir .before || exit 1
for entry in *; do
    [ -e "$entry" ] || [ -L "$entry" ] || continue
    mv -T -- "$entry" ".before/$entry" || [ ! -e "$entry" ] || exit 1
done
rm -rf .before"""
_ENDS = 300  # characters of a command's output


class UpdateError(HardeningError):
    """The update was not made, or was rolled back; the message states why."""


def add(commands: Any, report: Callable[..., None]) -> None:
    """Add the command. Its output goes to the terminal and to the journal."""
    command = commands.add_parser("update", help="update Chamilo, or leave it as it was", description=ABOUT)
    command.add_argument("package", metavar="PACKAGE", nargs="?", default="", help="the package of the release")
    command.add_argument("--sha256", default="", help="of the package, from the page of the release")
    command.add_argument("--site", default="", help="which portal, where there are several")
    command.add_argument("--node", action="store_true", help="another node updated the database: lay the program alone")
    command.add_argument("--abandon", action="store_true", help="roll back an update that was interrupted")
    command.set_defaults(run=lambda options, _engine: _run(options, report))


def _run(options: argparse.Namespace, report: Callable[..., None]) -> int:
    if options.abandon == bool(options.package and options.sha256):
        report("Name the package: chamilo-hardening update PACKAGE --sha256 SUM; or --abandon alone.", syslog.LOG_ERR)
        return 2
    portal = _here(options.site) if options.node else backups_portal.chosen(options.site)
    if options.abandon:
        lines: Iterable[str] = abandon(portal)
    else:
        package = Package(options.package, options.sha256)
        report(f"update of {portal.domain}: {package.manifest.words} is Chamilo {package.version}.")
        lines = follow(portal, package) if options.node else update(portal, package)
    for line in lines:
        report(f"update of {portal.domain}: {line}")
    return 0


def update(portal: Portal, package: Package) -> Iterator[str]:
    site = discover(portal.domain, portal.root)
    _suits(portal, site, package)
    yield f"From {site.version} to {package.version}."
    try:
        yield from backup.backup(portal)
    except backup.NeedsReview as problem:
        yield f"The backup was made, and needs a check: {problem}"
    yield from _Update(portal, site, package).carried_out()
    yield "Harden the portal again from where you run the playbook, then: chamilo-hardening integrity accept"


def follow(portal: Portal, package: Package) -> Iterator[str]:
    """Update the program of a web node. Its database is the leader's."""
    site = discover(portal.domain, portal.root)
    _fits(portal, site, package)
    _led(portal, site, package)
    yield f"From {site.version} to {package.version}, on this node alone."
    yield from _Update(portal, site, package, node=True).carried_out()


def _here(name: str) -> Portal:
    """A portal of this host that is not backed up here: a web node that does not lead."""
    known = window.site(name)
    probes = known.pages.get("probe") or [{}]
    site = discover(urlsplit(probes[0].get("url", "")).hostname or "", known.tree["path"])
    return Portal(
        known.name,
        site.domain,
        known.tree["path"],
        known.tree["web_user"],
        site.php.version,
        site.php.service,
        site.database.host or "localhost",
    )


def _suits(portal: Portal, site: Site, package: Package) -> None:
    """Refuse what could not be made, or not be rolled back, before anything is done."""
    _fits(portal, site, package)
    if not restore_tables.may_restore(portal):
        raise UpdateError(
            f"The database is on {portal.host}, and could not be rolled back. Put the login of an account that may "
            f"make databases there into {restore_tables.login_file(portal)}, below [client]. Nothing was changed."
        )
    if migrations_without_history(Reader.of(site.installation)):
        raise UpdateError(
            "The history of migrations is empty, so all of them would run again. With the code that is installed, run: "
            "doctrine:migrations:sync-metadata-storage, then doctrine:migrations:version --add --all (by "
            "chamilo-hardening migrate, or bin/console as PHP's user). Nothing was changed."
        )


def _fits(portal: Portal, site: Site, package: Package) -> None:
    """Refuse a program that does not fit this host."""
    if backups_portal.journal(portal):
        raise UpdateError(f"{backups_portal.unfinished(portal)} Nothing was changed.")
    try:
        newer = parse(package.version) > parse(site.version)
    except VersionError:
        why = "the package names no version" if site.version else "the installed version is not known"
        raise UpdateError(f"{package.path} cannot be compared with the portal: {why}. Nothing was changed.") from None
    if not newer:
        raise UpdateError(f"{package.path} is Chamilo {package.version}, and {site.version} is installed already.")
    old = advisories.packed().needs(package.version, site.php.version)
    if old:
        raise UpdateError(f"{old} Nothing was changed.")
    if os.path.lexists(f"{portal.root}/{GIT}"):
        raise UpdateError(
            f"{portal.root} is a checkout of Git, which a package does not update. Update it by git, in a window: see "
            '"Update a checkout of Git" in the recipes. Nothing was changed.'
        )
    if window.Windows(Engine()).at(portal.root):
        raise UpdateError("A window is open: chamilo-hardening window close, then update. Nothing was changed.")


def _led(portal: Portal, site: Site, package: Package) -> None:
    """Refuse a program whose migrations the leader has not made. Of the leader a node sees the database alone."""
    missing = package.migrations(portal.root)
    if missing:
        reader = Reader.of(site.installation)
        made = set() if migrations_without_history(reader) else migrations(reader)
        missing = [name for name in missing if name not in made]
    if missing:
        raise UpdateError(
            f"The node that leads {portal.domain} is not updated to {package.version}: the database does not remember "
            f"{first_of(missing, 1)}, which it brings, as made. Update that node first, without --node. Nothing was "
            "changed."
        )


class _Update(Exchange):
    """A release that is laid beside the portal, and changes places with the one in use."""

    def __init__(self, portal: Portal, site: Site, package: Package, node: bool = False) -> None:
        super().__init__(portal, UPDATE, run="" if node else restore.found(portal, "", "")[0][1].run)
        self.node = node  # of a portal whose database another one has updated
        self.site = site
        self.package = package
        self.journal["migrated"] = False

    def carried_out(self) -> list[str]:
        problem = ""
        with jobs.alone(self.portal, "update", 60):
            answers = _answers(self.site)
            try:
                self.clear()
                self.stage_release()
                self.write_down()
            except (HardeningError, OSError):
                exchange.discard(self.portal, self.staging)
                os.unlink(backups_portal.journal_path(self.portal))
                raise
            try:
                self._go(answers)
            except (HardeningError, OSError, KeyboardInterrupt) as stopped:  # whatever it was, the portal goes on
                problem = str(stopped) or "it was interrupted"
            if not problem:
                restore.keep(self.journal)
                os.unlink(backups_portal.journal_path(self.portal))
                return [
                    f"Chamilo {self.package.version} is in use. What was there is in {self.kept}.",
                    *self._differs(),
                ]
            lines = _program_back(self.portal, self.journal)
        lines += _database_back(self.portal, self.journal)
        raise UpdateError(
            f"The update to {self.package.version} failed and was rolled back: {problem} {' '.join(lines)}"
        )

    def stage_release(self) -> None:
        """The program as it is going to be: the owner's own files as they are, those of the release as it has them."""
        fetched = f"{self.staging}{self.root}"
        live = [name for name in self.package.parts if os.path.lexists(f"{self.root}/{name}")]
        size = 2 * sum(_size(f"{self.root}/{name}") for name in live)  # a copy, and what the release adds to it
        free = shutil.disk_usage(os.path.dirname(self.staging)).free
        if free < size * 1.05:
            where = os.path.dirname(self.staging)
            raise BackupError(f"{where} has {free / 1e6:.0f} MB free, the update needs {size / 1e6:.0f}.")
        os.makedirs(fetched)
        for name in live:
            if not self.package.whole(name):
                restic.on_tree("cp", "-a", "--reflink=auto", "--", f"{self.root}/{name}", f"{fetched}/{name}")
        status = os.lstat(f"{self.root}/public/index.php")
        before = release_files.known(self.root, self.site.version)
        self.package.lay(fetched, (status.st_uid, status.st_gid), before)
        for name in self.package.parts:
            if os.path.lexists(f"{fetched}/{name}"):
                self.swap(f"{fetched}/{name}", f"{self.root}/{name}")

    def _go(self, answers: Mapping[str, int]) -> None:
        backups_portal.reach(self.portal, self.journal, CHANGING)
        exchange.bring(self.journal)
        restore.wake(self.portal)  # before anything is compiled of two programs
        _compile(self.portal)
        self._owned()
        if not self.node:
            self.journal["migrated"] = True
            backups_portal.reach(self.portal, self.journal, CHANGING)
            _migrate(self.portal)
        wrong = [
            f"{path} answers {now} instead of {before}"
            for path, before in answers.items()
            if (now := _answers(self.site).get(path, 0)) != before
        ]
        if wrong:
            raise UpdateError(f"{'; '.join(wrong)}.")

    def _owned(self) -> None:
        """Owners and modes as the section permissions sets them, where it is active."""
        known = open_windows.sites().get(self.portal.site)
        if known:
            apply.produce(known.tree)

    def _differs(self) -> list[str]:
        """What a person has to look at, as at each comparison from now on."""
        release_files.remember(self.package.manifest, self.root)
        lines = comparison.against_release(self.root, self.package.version, Engine().store.written()).lines()
        return [f"Compared with {self.package.manifest.words}: {first_of(lines, 5, '; ') or 'no file differs'}."]


def abandon(portal: Portal) -> list[str]:
    """Roll back an update that was interrupted."""
    with jobs.alone(portal, "update", 60):
        journal = backups_portal.journal(portal)
        if journal.get("part") != UPDATE:
            raise UpdateError(f"No update of {portal.domain} is unfinished. Nothing was changed.")
        lines = _program_back(portal, journal)
    return [*lines, *_database_back(portal, journal)]


def _program_back(portal: Portal, journal: dict[str, Any]) -> list[str]:
    changed = journal["phase"] not in (FETCHING, backups_portal.STAGED)
    lines = restore.roll_back(portal, journal)
    if changed:
        with contextlib.suppress(UpdateError):  # PHP compiles it with the next request
            _compile(portal)
    return lines


def _database_back(portal: Portal, journal: Mapping[str, Any]) -> list[str]:
    """The database of the backup that was taken before, where migrations may have changed the one in use."""
    return restore.restore(portal, "database", run=journal["run"]) if journal.get("migrated") else []


def _answers(site: Site) -> dict[str, int]:
    """How pages of the portal are answered now: those that are answered well."""
    known = [one for one in open_windows.sites().values() if one.tree["path"] == site.root]
    # By the proxy's protocol, where TLS ends at one, or all that is seen is a redirect to https.
    elsewhere = any(probe.get("send") for one in known for probe in one.pages.get("probe", ()))
    observer = Observer(site, {"terminated_elsewhere": elsewhere, "several_nodes": elsewhere})
    found = {path: observer.get(path).status for path in _PAGES}
    return {path: status for path, status in found.items() if 200 <= status < 400}


def _as_php(portal: Portal, *command: str) -> list[str]:
    return services.as_user(portal.web_user, portal.directory, *command)


def _compile(portal: Portal) -> None:
    """What Symfony compiled of the program before is no part of this one, whose console it would break.

    PHP's user puts it away, so that it reaches nothing else. Whoever asks for a page meanwhile has it compiled.
    """
    for command in (
        ["sh", "-c", _PUT_AWAY],
        [f"php{portal.php}", "bin/console", "--no-interaction", "cache:warmup"],
    ):
        code, output = services.run(_as_php(portal, *command), _SECONDS)
        if code:
            raise UpdateError(f"The cache could not be compiled: {output.strip()[-_ENDS:]}.")


def _migrate(portal: Portal) -> None:
    if os.path.exists(f"{CREDENTIALS}/upgrade-{portal.site}.cnf"):
        _site, code = migrate.migrate((), portal.site)
        output = ""
    else:
        code, output = services.run(_as_php(portal, f"php{portal.php}", "bin/console", *migrate.MIGRATE), _SECONDS)
    if code:
        raise UpdateError(f"The migrations ended with {code}{': ' if output else ''}{output.strip()[-_ENDS:]}.")


def _size(path: str) -> int:
    """Bytes of a tree."""
    total = os.lstat(path).st_size
    for directory, _directories, names in os.walk(path):
        total += sum(os.lstat(os.path.join(directory, name)).st_size for name in names)
    return total
