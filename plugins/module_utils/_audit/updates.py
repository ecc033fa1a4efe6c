# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks whether Chamilo and the system under it are current, and whether an update would be reported."""

from __future__ import annotations

import datetime
import glob
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from .._application import release
from .._application.database import DatabaseError
from .._application.observer import Endpoint, Observer, Unseen
from .._application.portal_reader import migrations_without_history
from .._common.control import Finding, check, failed, not_assessed, passed
from .._common.http import Answer
from .._common.paths import head
from .._common.version import parse as parse_version
from .._host.processes import named, output
from .._updates import advisories, sources
from .._updates.advisories import Advisories
from ._responses import MISSING
from .host_jobs import SETTINGS, job_of_ours, kept_from_starting, no_recipient, not_ours
from .permissions import opened

DAY = 86400
# Since 3.0 the application guards its wizard itself, until its database is away: the file with the version, which only
# returns, shows whether the web server refuses the directory.
INSTALLER = (
    "/main/install/index.php",
    "/main/install/version.php",
    "//main/install/index.php",
    "/main/install/index.php/audit",
    "/check.php",
)
STATUS = "/var/lib/dpkg/status"
PERIODIC = "/var/lib/apt/periodic"
UNATTENDED = "/usr/bin/unattended-upgrade"
UPTIME = "/proc/uptime"
CONFIGURATION = "/etc/apt/apt.conf.d"
_STALE_DAYS = 3
OURS = "updates.json"
# Not apt-daily.service, which fetches lists ("update").
_STARTS_IT = r"apt\.systemd\.daily (?!update)|(?m:apt\.systemd\.daily$)|unattended-upgrades?(?!-shutdown)"
_FACING = r"nginx|apache2|php|libapache2|mariadb|mysql|openssl|libssl"
_EMPTY = (
    "The history of migrations is empty, so an update would run all of them again: before the new code is there, run "
    "doctrine:migrations:sync-metadata-storage and doctrine:migrations:version --add --all with bin/console."
)


@check("updates_version")
def version(observer: Observer) -> Finding:
    site, root, listed = observer.site, observer.root, observer.once(sources.listed)
    here, by = site.version, known_by(observer)
    if not here:
        why = site.version_source or f"no file below {root} names it"
        code = f" The code is of the branch {site.branch}." if site.branch else ""
        return not_assessed(
            f"The installed version is not known: {why}.{code} Restore {release.OWN} (before 3.0: {release.INSTALLER}) "
            f"from the package of your release. {by}"
        )
    installed = f"Chamilo {here} is installed in {root} ({site.version_source})"
    why = listed.behind(here)
    if why:
        return failed(f"{installed}. {why}{_controls_of(listed, here)} {by}")
    old = listed.needs(here, site.php.version)
    if old:
        return failed(f"{installed}. {old} {by}")
    if site.branch and site.branch.partition(".")[0] != here.partition(".")[0]:
        return not_assessed(
            f"{installed}, but the code is of the branch {site.branch}: an update stopped half way, or the file is of "
            f"another release. Install the release again."
        )
    branch, read = advisories.of(here), sources.last_read(site.domain)
    newest = sources.newest_of_branch(listed, site.domain, here)
    if newest and parse_version(newest) > parse_version(here):
        return failed(f"{installed}. {newest} is the newest release of its branch: install it. {by}")
    if listed.age(_today(observer)) > advisories.DAYS and not sources.fresh(read, observer.now):
        return not_assessed(
            f"{installed}, and no vulnerability in it was known. The list is too old to be proof today, and the feed "
            f"of releases was not read in the last days. Install a newer version of this collection. {by}"
        )
    if branch not in listed.branches:
        return not_assessed(f"{installed}, but the list knows nothing of the branch {branch}. {by}")
    more = " ".join(filter(None, (listed.move(here, site.php.version), _history(observer), by)))
    return passed(f"{installed}, the newest known release of its branch. {more}")


def _history(observer: Observer) -> str:
    """What has to be done before the next update, where the database remembers no migration."""
    try:
        empty = migrations_without_history(observer.database)
    except (DatabaseError, Unseen):  # the controls about settings report it
        return ""
    return _EMPTY if empty else ""


def known_by(observer: Observer) -> str:
    """Of which day the list is, and when the daily check last read what is newer."""
    return sources.known_by(observer.once(sources.listed), observer.site.domain, observer.now)


def _today(observer: Observer) -> datetime.date:
    return datetime.datetime.fromtimestamp(observer.now, datetime.timezone.utc).date()


def _controls_of(listed: Advisories, here: str) -> str:
    """What stands in the way of its vulnerabilities on this host where it is hardened."""
    controls = advisories.controls(listed.open_in(here))
    if not controls:
        return ""
    return f" In the way of some stand {', '.join(controls)}, where they are green; only the update closes them all."


@check("updates_installer")
def installer(observer: Observer) -> Finding:
    endpoint = observer.endpoints.get(observer.scheme)
    if endpoint is None:
        raise Unseen(f"nothing on this host answers to {observer.site.domain}")
    answers, reached = _installer_behind(observer, endpoint)
    _all_answered(answers)
    for other in observer.all_endpoints:
        if not reached and other != endpoint:
            _answers, reached = _installer_behind(observer, other)
    if reached:
        return failed(f"{_called(reached)} Each update brings these files back.")
    aside: list[Answer] = []
    for side in observer.side_endpoints:
        asked, reached = _installer_behind(observer, side.endpoint, side.start)
        reached = [answer for answer in reached if not side.sends_on(answer)]
        if reached:
            return failed(f"{_called(reached)} {observer.closing(side)}")
        aside += asked
    _all_answered(aside)
    refused = (
        f"{len(answers)} ways to the installer and to check.php are refused, {answers[0].url} with {answers[0].status}."
    )
    flag = os.path.join(observer.site.root or "/nonexistent", release.UPGRADES)
    if os.path.isfile(flag) and not opened(observer, "upgrade", "install"):
        observer.needs_root(f"see whether a maintenance window is open, for which {flag} may be there")
        return failed(
            f"{flag} is there outside of a maintenance window: the installer upgrades for any visitor who reaches it. "
            f"Remove it. {refused}"
        )
    return passed(refused)


def _installer_behind(observer: Observer, endpoint: Endpoint, start: str = "") -> tuple[list[Answer], list[Answer]]:
    """What all ways to the installer answer, and those of them that lead there."""
    *answers, missing = observer.ask_all([(endpoint, start + path) for path in (*INSTALLER, MISSING)])
    refused = (0, 403, 404)
    return answers, [answer for answer in answers if answer.status not in refused and not _alike(answer, missing)]


def _all_answered(answers: Iterable[Answer]) -> None:
    for answer in answers:
        if not answer.status:
            raise Unseen(f"{answer.url} gave no answer: {answer.error}")


def _called(reached: Sequence[Answer]) -> str:
    open_ = [answer for answer in reached if answer.status < 500]
    if not open_:
        return f"{reached[0].url} answers {reached[0].status}: it is not refused, it only fails."
    return f"Any client can call {', '.join(f'{answer.url} ({answer.status})' for answer in open_[:3])}."


def _alike(answer: Answer, missing: Answer) -> bool:
    """The application answers whatever is not there with a page of its own."""
    return answer.status == missing.status and answer.body == missing.body


@check("updates_os")
def system(observer: Observer) -> Finding:
    if not os.path.exists(STATUS):
        return not_assessed("This is not Debian or Ubuntu; how its updates are installed is not known here.")
    now = " A reboot is needed." if os.path.exists("/run/reboot-required") else ""
    if not os.path.exists(UNATTENDED):
        return failed(f"unattended-upgrades is not installed, so nothing installs security updates.{now}")
    configuration = output(["apt-config", "dump"])
    faults = []
    if re.search(r'^APT::Periodic::Enable "0";$', configuration, re.MULTILINE):
        faults.append('APT::Periodic::Enable is "0"')
    if not _days(configuration, "Unattended-Upgrade"):
        faults.append("APT::Periodic::Unattended-Upgrade is not set")
    if not _days(configuration, "Update-Package-Lists"):
        faults.append("APT::Periodic::Update-Package-Lists is not set, so updates are never checked for")
    origins = re.findall(r'^Unattended-Upgrade::(?:Origins-Pattern|Allowed-Origins):: "(.*)";$', configuration, re.M)
    if not any("security" in origin.lower() for origin in origins):
        faults.append("the allowed origins leave out the security updates")
    jobs = named(observer.jobs, _STARTS_IT)
    if not jobs:
        faults.append("no active timer or cron job starts it (apt-daily-upgrade.timer)")
    passed_over = [kept_from_starting(job) for job in jobs]
    if jobs and all(passed_over):
        faults.append(passed_over[0])
    faults += _left_out(configuration)
    ran, due = _last_run(observer), _due_for(observer)
    if not faults and due > _STALE_DAYS:
        if ran > _STALE_DAYS:
            faults.append(f"the last run was {ran:.0f} days ago")
        elif ran < 0:
            faults.append(f"it has not run yet, {due:.0f} days after it could")
    if faults:
        return failed(f"Security updates do not install themselves: {'; '.join(faults)}.{now}")
    last = "has not run yet" if ran < 0 else f"ran last {ran:.1f} days ago"
    return passed(f"unattended-upgrades installs security updates; it {last}.{now}")


def _left_out(configuration: str) -> list[str]:
    """What faces the internet and is not upgraded."""
    excluded = re.findall(r'^Unattended-Upgrade::Package-Blacklist:: "(.*)";$', configuration, re.MULTILINE)
    faults = [f"{name} is not upgraded (Package-Blacklist)" for name in excluded if _matches_one(name)]
    held = [name for name in output(["apt-mark", "showhold"]).split() if re.match(_FACING, name)]
    faults += [f"{', '.join(held[:3])} held at a version (apt-mark unhold)"] if held else []
    places = output(["apt-get", "indextargets", "--format", "from $(SITE) $(RELEASE)"])
    if places.startswith("from ") and "security" not in places:
        faults.append("no source of packages has security updates")
    return faults


def _matches_one(pattern: str) -> bool:
    try:
        return any(re.match(pattern, name) for name in ("nginx", "apache2", "php8.4-fpm", "mariadb-server", "openssl"))
    except re.error:
        return False


def _days(configuration: str, what: str) -> bool:
    found = re.search(rf'^APT::Periodic::{what} "(.*)";$', configuration, re.MULTILINE)
    return bool(found) and found[1] not in ("", "0") if found else False


def _last_run(observer: Observer) -> float:
    """Days since unattended-upgrades ran; -1 when it has not yet."""
    try:
        return max(0.0, (observer.now - os.stat(f"{PERIODIC}/upgrade-stamp").st_mtime) / DAY)
    except FileNotFoundError:
        return -1


def _due_for(observer: Observer) -> float:
    """Days for which it could have run: the host is up, the program there, apt configured as it is."""
    up = float(head(UPTIME, 100).split()[0])
    last = max(map(_changed, [UNATTENDED, *glob.glob(f"{CONFIGURATION}/*")]))
    return min(up, observer.now - last) / DAY


def _changed(path: str) -> float:
    """When a file was put there. Its own time can be that of the package it is from."""
    return os.lstat(path).st_ctime


@check("updates_watch")
def watch(observer: Observer) -> Finding:
    declared = os.path.exists(f"{SETTINGS}/alert.json")
    lost = no_recipient if declared and observer.as_root else str
    ours = job_of_ours(observer, OURS, "watch", "The check for a newer release", 26, "daily", lost)
    if ours:
        return replace(ours, evidence=f"{ours.evidence} {known_by(observer)}")
    return not_ours(observer, "No check for a newer release by the role updates was recorded")
