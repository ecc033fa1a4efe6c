# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks whether uploads could run, from the outside and without placing one: the attack does that."""

from __future__ import annotations

import fnmatch
import os
import re
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from .._application.observer import Observer, Unseen
from .._common.control import PASS, Finding, check, failed, not_assessed, passed
from .._common.paths import shown
from .._common.sentences import first_of
from .._common.tree import Tree
from .._host.processes import named, output
from .._monitoring.tree import KEPT, tree, web_users, writable_directories
from .._webserver import apache
from .._webserver.configuration import Alias, Directive, VirtualHost, every, walk
from .._webserver.planned import Program
from . import host_jobs

GUIDE = ("exe", "bat", "sh", "php", "phtml", "cgi")
# Chamilo renames .php to .phps before its check, and does not know these others.
SLIPS_THROUGH = ("phps", "pht", "phar", "php3", "php4", "php5", "php7", "php8", "shtml", "htaccess")
_LISTS = ("list_type", "blacklist", "whitelist")

_SCANNER, _SCANNER_SECONDS = "/run/clamav/clamd.ctl", 30.0
_SCAN_HOURS = 1
_NO_PAGE = "vendor/autoload.php"
_NAMES = ("a.php", "a.PHP", "a.phtml", "a.phar", "a.php.jpg/b.php", "a.php/b")
_FEW = 3
_LONGEST = 60  # characters that are shown of an entry


@check("uploads_extensions")
def extensions(observer: Observer) -> Finding:
    kinds, refused, taken = (observer.database.effective(f"upload_extensions_{name}", "document") for name in _LISTS)
    found = {
        url: _only(taken[url]) if kind.lower() == "whitelist" else _all_but(refused[url]) for url, kind in kinds.items()
    }
    wrong = {url: finding for url, finding in found.items() if finding.status != "pass"}
    reported = wrong or found
    verdict = failed if wrong else passed
    texts = dict.fromkeys(finding.evidence for finding in reported.values())
    if len(texts) == 1 and len(reported) == len(found):
        return verdict(next(iter(texts)))
    more = f" And {len(reported) - _FEW} more portals." if len(reported) > _FEW else ""
    return verdict(" ".join(f"On {url}: {finding.evidence}" for url, finding in list(reported.items())[:_FEW]) + more)


def _types(text: str) -> list[str]:
    """The entries of a list, as Chamilo takes it apart: it compares each with what is behind a name's last dot."""
    return list(dict.fromkeys(filter(None, (part.strip() for part in text.lower().split(";")))))


def _no_types(names: Iterable[str]) -> str:
    odd = [name[:_LONGEST] for name in names if re.search(r"[.,\s]", name)]
    if not odd:
        return ""
    return (
        f"The list of file types contains what never matches: {first_of(map(repr, odd), _FEW)}. "
        "Chamilo expects each without a dot and a semicolon between them, as in exe;bat;sh."
    )


def _only(text: str) -> Finding:
    names = _types(text)
    allowed = [name for name in (*GUIDE, *SLIPS_THROUGH) if name in names]
    if allowed:
        return failed(f"Only listed types are taken, but these are among them: {', '.join(allowed)}.")
    odd = _no_types(names)
    if odd:
        return failed(odd)
    return passed(f"Only {len(names)} listed types are taken, and no dangerous one is among them.")


def _all_but(text: str) -> Finding:
    names = _types(text)
    missing = [name for name in (*GUIDE, *SLIPS_THROUGH) if name not in names]
    if not names:
        return failed("Nothing is blocked: the list of refused file types is empty.")
    odd = _no_types(names)
    if odd:
        return failed(odd)
    if missing:
        slips = " Chamilo renames .php to .phps before its check." if "phps" in missing else ""
        return failed(f"{len(names)} file types are refused, but not: {', '.join(missing)}.{slips}")
    return passed(f"{len(names)} file types are refused, the guide's six and what slips past them among them.")


@dataclass(frozen=True)
class Spot:
    """A directory under a web root that the web user can write to."""

    host: VirtualHost
    directory: str  # below the real root, perhaps behind a link
    program: Program | None = None  # whose directory it lies in, where that is outside of the root
    alias: Alias | None = None  # by which it is reached, where that is no document root

    @property
    def below(self) -> str:
        """Its path below the root of its virtual host, or that of a program or an alias; a dot for that itself."""
        outer = self.program or self.alias
        around = outer.directory if outer else self.host.root
        return os.path.relpath(self.directory, os.path.realpath(around))

    @property
    def start(self) -> str:
        """The beginning of the addresses of what lies in it."""
        outer = self.program or self.alias
        around = outer.path.rstrip("/") if outer else ""
        return f"{around}/" if self.below == "." else f"{around}/{self.below}/"


@dataclass(frozen=True)
class Spots:
    """What is known of such directories under every web root of this host."""

    found: list[Spot]
    unseen: list[str]  # roots that were too large to see whole, and what could not be inspected
    left_out: list[str]  # where there are more than were kept, and how many


def spots(observer: Observer) -> Spots:
    project = os.path.realpath(observer.root)
    seen = observer.once(tree)
    users = web_users(observer)
    found: list[Spot] = []
    unseen: list[str] = [f"{project}: {seen.unread.samples[0]}"] if seen.unread.count else []
    unseen += [f"{project}/{shown(path)}" for path in seen.public_unread]
    public = [f"{project}/{path}" for path in seen.public_writable]
    inspected: dict[str, tuple[list[str], int]] = {f"{project}/public": (public, seen.public_writable_count)}
    left_out: dict[str, str] = {}
    for host in observer.site.virtual_hosts:
        root = os.path.realpath(host.root) if host.root else ""
        if os.path.isdir(root):
            if root not in inspected:
                directories, whole = writable_directories(root, users)
                inspected[root] = (directories[:KEPT], len(directories))
                if not whole:
                    unseen.append(root)
            kept, count = inspected[root]
            found += [Spot(host, directory) for directory in kept]
            if count > len(kept):
                left_out[root] = f"{len(kept)} of the {count} writable directories under {shown(root)}"
        elif {"$", "%"} & {*root}:
            unseen.append(f"{host.root} (virtual host at {host.file}:{host.line})")
        for way in observer.ways(host):
            if not root or not f"{way.directory}/".startswith(f"{root}/"):
                inside = [path for path in public if f"{path}/".startswith(f"{way.directory}/")]
                found += [Spot(host, directory, alias=way) for directory in inside[:_FEW]]
    pages = [host for host in observer.site.serving if not host.leads_away]
    for program in observer.site.in_place.programs if pages else ():
        if os.path.isdir(program.directory):
            directories, whole = writable_directories(os.path.realpath(program.directory), users)
            found += [Spot(pages[0], directory, program) for directory in directories[:_FEW]]
            unseen += [] if whole else [program.directory]
    return Spots(found, unseen, list(left_out.values()))


def _place(spot: Spot) -> str:
    return f"{shown(spot.directory)} (virtual host at {spot.host.file}:{spot.host.line})"


@check("uploads_no_exec")
def no_exec(observer: Observer) -> Finding:
    known = observer.once(spots)
    if not observer.site.virtual_hosts:
        raise Unseen("no virtual host of a web server could be read on this host")
    open_: list[str] = []
    second: list[str] = []
    held = 0
    unknown: list[str] = []
    for spot in known.found:
        answer = _lets_php_through(observer, spot)
        if answer == "":
            held += 1
        elif spot.host.php and _served_by_php(observer, spot.host):
            second.append(_place(spot))
        elif spot.host.php:
            open_.append(f"{_place(spot)}: {answer}")
        else:
            unknown.append(_place(spot))
    if open_:
        return failed(f"PHP would run where the web user can write: {first_of(open_, _FEW, '; ')}.")
    if unknown or known.unseen:
        where = ", ".join([*unknown, *known.unseen][:_FEW])
        return not_assessed(f"Whether something written there could run is not visible without trying: {where}.")
    if known.left_out:
        return not_assessed(f"Only {', '.join(known.left_out[:_FEW])} were asked for PHP files.")
    roots = len({host.root for host in observer.site.virtual_hosts})
    if second:
        return passed(
            f"The web server hands PHP on from {'; '.join(second[:_FEW])}, but PHP itself refuses what is no page of "
            "Chamilo. Correct the document root of that virtual host all the same."
        )
    if held:
        asked = f"{held} writable directories under {roots} web roots were asked for PHP files: each is refused."
        return passed(asked + _programs(observer))
    nowhere = f"Under none of the {roots} web roots of this host is there a directory the web user can write to."
    return passed(nowhere + _programs(observer))


def _lets_php_through(observer: Observer, spot: Spot) -> str:
    """What the web server does with PHP names in a directory. Empty: it refuses them all, there or not."""
    endpoints = sorted(
        observer.doors_of(spot.host), key=lambda endpoint: endpoint.scheme != "https"
    )  # http may lead there alone
    for endpoint in endpoints[:1]:
        for name in _NAMES:
            answer = observer.ask(endpoint, f"{spot.start}chamilo-hardening-{name}")
            if answer.status != 403:
                return (
                    f"{answer.url} answers {answer.status or answer.error} instead of 403{_let_through(observer, spot)}"
                )
    return "" if endpoints else "it answers under no address of this host"


def _let_through(observer: Observer, spot: Spot) -> str:
    """Which other program under the portal's name it is that our rules leave alone, and what to do; else nothing."""
    around = [each for each in observer.site.in_place.programs if spot.start.startswith(f"{each.path.rstrip('/')}/")]
    if spot.host not in observer.site.serving or not around:
        return ""
    program = spot.program or around[0]
    return (
        f". {program.file}:{program.line} has PHP run below {program.path}: let nothing be written there, or remove "
        f'that line, or set chamilo_uploads_other_programs to ["!{program.path}"] and run harden'
    )


def _programs(observer: Observer) -> str:
    """What runs under the portal's name beside it, as a sentence."""
    known = [f"{each.path} ({each.file}:{each.line})" for each in observer.site.in_place.programs]
    return f" Other programs under the portal's name: {first_of(known, _FEW)}." if known else ""


def _served_by_php(observer: Observer, host: VirtualHost) -> bool:
    """Whether PHP refuses a script of the project that is no page of it. Only a root above all of it leads to one."""
    project, root = os.path.realpath(observer.root), os.path.realpath(host.root)
    if not f"{project}/".startswith(f"{root.rstrip('/')}/") or not os.path.isfile(f"{project}/{_NO_PAGE}"):
        return False
    path = os.path.relpath(f"{project}/{_NO_PAGE}", root)
    answers = [observer.ask(endpoint, f"/{path}") for endpoint in observer.doors_of(host)[:1]]
    # A rule of the web server for this directory would answer with a page of its own.
    return any((answer.status, answer.body) == (403, b"Forbidden\n") for answer in answers)


@check("uploads_no_override")
def no_override(observer: Observer) -> Finding:
    known = observer.once(spots)
    if not observer.site.virtual_hosts:
        raise Unseen("no virtual host of a web server could be read on this host")
    if not known.found:
        if known.unseen:
            return not_assessed(f"Not all directories could be inspected: {', '.join(known.unseen[:_FEW])}.")
        return passed("Under no web root of this host is there a directory the web user can write to.")
    faults = []
    php = observer.php
    name = php["user_ini.filename"].value if "user_ini.filename" in php else ".user.ini"
    found = [spot for spot in known.found if not spot.program]
    served = [spot for spot in found if spot.host.php and spot.host.php != "mod_php"]
    if name and served:
        faults.append(f"PHP obeys {name} in {_place(served[0])}")
    if observer.site.web.name == "apache":
        faults += _overrides(found)
    if faults:
        return failed(f"{'; '.join(faults[:_FEW])}.")
    if known.unseen:
        return not_assessed(f"Not all directories could be inspected: {', '.join(known.unseen[:_FEW])}.")
    if known.left_out and observer.site.web.name == "apache":
        return not_assessed(f"Only {', '.join(known.left_out[:_FEW])} were checked.")
    return passed(
        f"Neither .htaccess nor {name or '.user.ini'} has an effect in the {len(found)} writable directories."
    )


def _overrides(found: Iterable[Spot]) -> list[str]:
    """Where Apache would obey a .htaccess: the deepest <Directory> above the directory decides, None by default."""
    directives = list(walk(apache.parse(Tree()).directives))
    rules = [(block.arguments[0].rstrip("/"), block) for block in every(directives, "directory") if block.arguments]
    rules.sort(key=lambda rule: rule[0].count("/"))
    faults = []
    for spot in found:
        # Apache goes by the root as it is written and resolves no link; an Alias may lead to the directory itself.
        for directory in dict.fromkeys(
            (os.path.normpath(f"{spot.host.root}/{spot.below}"), os.path.realpath(spot.directory))
        ):
            reported, at = "None", ""
            for path, block in rules:
                if _contains(path, directory):
                    for rule in _allowing(block):
                        reported, at = " ".join(rule.arguments), f"{rule.file}:{rule.line}"
            if reported.lower() != "none":
                faults.append(f"Apache obeys .htaccess in {_place(spot)}: AllowOverride {reported} at {at}")
                break
    return faults


def _contains(argument: str, directory: str) -> bool:
    """Whether the argument of a <Directory> is a directory or one above it. A wildcard of Apache's stands for no /."""
    parts, desired = directory.split("/"), argument.replace("[^", "[!").split("/")
    return len(desired) <= len(parts) and all(map(fnmatch.fnmatchcase, parts, desired))


def _allowing(block: Directive) -> Iterable[Directive]:
    return every(block.block or (), "allowoverride")


@check("uploads_antivirus")
def antivirus(observer: Observer) -> Finding:
    names = {process.name for process in observer.processes}
    root = observer.root
    if "clamd" not in names:
        return failed("No virus scanner is running on this host (clamd).")
    scans = named(observer.jobs, r"clamd?scan|chamilo-hardening scan")
    if "clamonacc" not in names and not scans:
        return failed(f"clamd is running, but nothing has it scan new files in {root}/var.")
    how = scans[0].source if scans else "clamonacc"
    if not _knows_the_test_virus():
        return failed("clamd is running, but does not know the test virus EICAR: it has no signatures.")
    if not any("chamilo-hardening scan" in scan.command for scan in scans):
        return not_assessed(f"clamd finds the test virus and {how} scans; whether it is stopped needs a test file.")
    observer.needs_root("see when uploads were scanned last")
    site = next(
        (name for name, known in host_jobs.settings("uploads").items() if known.get("root") == observer.root), ""
    )
    last = host_jobs.job_of_ours(observer, "antivirus.json", site, "The scan of uploads", _SCAN_HOURS, "scan")
    if not last or last.status != PASS:
        return last or failed("The uploads of this portal were never scanned so far.")
    wrong = _misconfigured(output(("clamconf",)))
    if wrong:
        return failed(f"clamd finds the test virus, but {' and '.join(wrong)}. Correct it in /etc/clamav/clamd.conf.")
    return passed(f"clamd finds the test virus, and {how} shows it new uploads. {last.evidence}")


def _knows_the_test_virus() -> bool:
    virus = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as scanner:
            scanner.settimeout(_SCANNER_SECONDS)
            scanner.connect(_SCANNER)
            scanner.sendall(b"zINSTREAM\0" + struct.pack("!L", len(virus)) + virus + bytes(4))
            return b" FOUND" in scanner.recv(4096)
    except OSError as problem:
        raise Unseen(f"the virus scanner at {_SCANNER} does not answer: {problem}") from problem


def _misconfigured(configuration: str) -> list[str]:
    """What is active in clamd and should not be, by the output of clamconf."""
    if "ConcurrentDatabaseReload" not in configuration:
        raise Unseen("clamconf does not print the active settings of clamd")
    wrong = []
    if not re.search(r"^ConcurrentDatabaseReload disabled", configuration, re.MULTILINE):
        wrong.append("keeps its signatures in memory twice while it reads new ones (not: ConcurrentDatabaseReload no)")
    if re.search(r"^AlertExceedsMax disabled", configuration, re.MULTILINE):
        wrong.append("calls an archive clean that is too large for it inside (not: AlertExceedsMax yes)")
    return wrong
