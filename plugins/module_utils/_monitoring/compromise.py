# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Indicators of compromise, from names, times and shapes of files; a person has to judge them."""

from __future__ import annotations

import contextlib
import datetime
import glob
import itertools
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable

from ansible_collections.chamilo.hardening.plugins.module_utils._common.sentences import first_of
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import container_record, in_database
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.persistence import planted
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.search import Trace
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.stored_code import stored_code
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.traces import (
    USUAL_LOGS,
    Budget,
    head,
    pieces,
    walk,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.tree import Identity, shown, web_users
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.unvouched import Unvouched
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import vouch
from ansible_collections.chamilo.hardening.plugins.module_utils._portal import release
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.accounts import administers, administrators
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.database import DatabaseError, Row
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.observer import Observer
from ansible_collections.chamilo.hardening.plugins.module_utils._settings import logins
from ansible_collections.chamilo.hardening.plugins.module_utils._updates import sources

_SECONDS = 10.0  # for each walk
_CODE_BYTES = 128 << 20  # of PHP that is read
_FILE_BYTES = 256 << 10  # of one PHP file
_LOG_BYTES = 256 << 20  # of access logs, the newest first
_LINE_BYTES = 1 << 16  # of one line of them; no server takes a longer request
_FIRST_BYTES = 1 << 18  # of the newest log, whose first line shows when it begins
_RULES_BYTES = 1 << 14  # of what steers PHP in a directory
_LOG_HOURS = 25  # that are covered by them; the search is a daily one
_ENVIRONMENT_BYTES = 1 << 20
_LATELY = 30  # days
_UPDATE_DAYS = 2  # between the code of an update and its migration
# Where Debian's servers write when a virtual host sets no log.
_AN_HOUR = 3600
_A_DAY = 24 * _AN_HOUR

# ".phps" is what Chamilo itself makes of a forbidden upload, and nothing runs it.
_PHP = re.compile(r"(?i)\.(?:php\d?|phtml|phar|pht)$")
_STEERING = re.compile(r"(?i)^\.(?:htaccess|user\.ini)$")
# "SetHandler none" and "php_flag engine off" protect; these do the opposite.
_HANDLER = re.compile(
    rb"(?i)^[^\S\n]*(?:(?:Add|Set)Handler|AddType|ForceType)\s+\"?\S*(?:php|cgi|proxy:)"
    rb"|^[^\S\n]*(?:php_(?:admin_)?value\s+)?auto_(?:pre|ap)pend_file",
    re.M,
)
_PREPENDS = re.compile(rb"(?im)^[^\S\n]*(?:php_(?:admin_)?value\s+)?auto_(?:pre|ap)pend_file")
_NAMED = 25
_CONTAINERS, _COMPILED = 20, 20_000  # compiled by Symfony: directories, and files of one
_ASSETS = (
    "assets build bundles css courses documentation files fonts images img js libs media sound themes upload uploads"
).split()
_ROOT_SCRIPTS = frozenset({"index.php", "check.php", "courses.php", "load_search.php"})

_INPUT = re.compile(rb"\$_(?:GET|POST|REQUEST|COOKIE|SERVER|FILES)\b")
_RUNS = rb"\b(?:eval|assert|system|exec|shell_exec|passthru|popen|proc_open|pcntl_exec|create_function)\s*\(\s*"
# A shell runs what it is sent. Searched around each use of a request's data, which is fast in large files.
_BEFORE_INPUT = re.compile(
    _RUNS + rb"(?:\w+\s*\(\s*){0,3}@?$|`[\s{]*$|\$_(?:GET|POST|REQUEST|COOKIE)\s*\[[^\]\n]{1,64}\]\s*\(\s*@?$"
)
_PACKED = re.compile(
    rb"eval\s*\(\s*(?:\w+\s*\(\s*)?(?:gzinflate|gzuncompress|base64_decode|str_rot13|strrev|hex2bin)\s*\("
)
_KNOWN_SHELLS = (b"FilesMan", b"c99shell", b"r57shell", b"b374k", b"weevely", b"p0wny", b"WSOsetcookie")
_CONTEXT = 96  # bytes before the data
_DOUBTFUL = re.compile(
    rb"\b(?:eval|assert|system|exec|shell_exec|passthru|popen|proc_open|create_function|base64_decode|gzinflate|str_rot13|"
    rb"move_uploaded_file)\s*\("
)

# What a line of an access log asked for, where that was answered with 200. A quote in it is escaped.
_ANSWERED = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*"([^"\\]*(?:\\.[^"\\]*)*)" 200 ')
# What stood in the way of known attacks: a word to find fast, then how the request begins.
_EXPLOITS: tuple[tuple[str, bytes, re.Pattern[bytes]], ...] = tuple(
    (label, word, re.compile(line, re.I))
    for label, word, line in (
        ("a script in an upload directory of bigUpload", b"/bigupload/files/", rb"\S+ /\S*/bigupload/files/\S"),
        ("an upload to bigUpload", b"bigUpload.php", rb"POST /\S*bigUpload\.php"),
        ("the old web services", b"additional_webservices.php", rb"\S+ /\S*additional_webservices\.php"),
        ("the PENS plugin with a package to fetch", b"/Pens/pens.php", rb"\S+ /\S*/Pens/pens\.php"),
        (
            "a PHP file among assets",
            b".ph",
            rb"\S+ /(?:" + "|".join(_ASSETS).encode() + rb")/[^\s?]*\.ph(?:p\d?|tml|ar|t)\b",
        ),
        (
            "an upload of CStudio under a name that leaves its directory",
            b"big-upload.php",
            rb"\S+ /[^\s?]*/big-upload\.php\?\S*?(?:\.\.|%2e|%2f|/|\.ph)",
        ),
        ("a PHP file of a rare kind", b".ph", rb"\S+ /[^\s?]*\.(?:phtml|phar|pht|php\d)\b"),
        ("the environment file", b"/.env", rb"GET /\.env"),
        ("the Git directory", b"/.git/", rb"GET /\.git/"),
        ("a database dump", b".sql", rb"GET /[^\s?]*\.sql(?:\.\w+)?[\s?]"),
        ("a template's source", b".tpl", rb"GET /main/template/[^\s?]*\.tpl"),
    )
)
# Logged-in users request it as well, but only the first releases answered without a login.
_CSTUDIO = "CVE-2026-45140"
_BEFORE_ITS_FIX = (
    "an upload of CStudio, which this release takes without a login",
    b"big-upload.php",
    re.compile(rb"\S+ /[^\s?]*/big-upload\.php", re.I),
)
# Of Chamilo 3.0. It lies outside of the document root, and nothing includes it.
_UPDATER = re.compile(r"var/update/(?:staging/[^/]+|backups/[^/]+/files)/.")
_MIGRATION_LOG = "var/log/migration-to-2.0.log"
_DATE = re.compile(rb"\[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d(?: [+-]\d{4})?)")
_INSTALLER = re.compile(
    _DATE.pattern + rb'[^\]]*\] "(?:POST /main/install/|GET /main/install/migrate\.php)\S* [^"]*" (?:200|302) '
)
_INSTALLER_WORDS = (b"POST /main/install/", b"GET /main/install/migrate.php")
_INSTALLED = "the installer, after the installation"
_CLIENT = re.compile(rb"(?:^|\s)(\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}:[0-9a-f:]{1,40})\s", re.I)


def trace(observer: Observer, seconds: float = 0.0, database: bool = True) -> Trace:
    """Everything, once. The web user decides how much is in var/: no walk takes the time of another one.

    ``database``: what is in it, too, which all nodes of a portal share.
    """
    found = Trace()
    if not observer.as_root:
        found.gaps.append("root is needed to see what the web user left elsewhere")
    users = web_users(observer)
    walks: tuple[tuple[str, Callable[[Budget], None]], ...] = (
        ("the program", lambda budget: _code(observer, found, budget, users)),
        ("what links in the program lead to", lambda budget: _behind(observer, found, budget, users)),
        ("var/", lambda budget: _var(observer, found, budget)),
    )
    for where, step in walks:
        budget = Budget(seconds or _SECONDS)
        step(budget)
        if budget.gap:
            found.cut.append(f"{where}: {budget.gap}")
    _environment(observer, found)
    _migrated(observer, found)
    left = planted(observer, users)
    found.signs += left.signs
    found.gaps += left.gaps
    found.seen += ["cron jobs, keys, units and startup files of the web user", "its processes", "what root runs"]
    if database:
        _accounts(observer, found)
        _settings(observer, found)
    _sessions(observer, found)
    _requests(observer, found)
    found.gaps += found.cut
    return found


def _steers(path: str, web_user: str) -> bool:
    return bool(_HANDLER.search(head(path, _RULES_BYTES, web_user).replace(b"\\\n", b"")))  # a line may go on


def _var(observer: Observer, found: Trace, budget: Budget) -> None:
    """Below var/ nothing is a program but the cache that Symfony compiles, and what the web updater unpacked."""
    top = os.path.join(observer.root, "var")
    entries, updater, read = 0, 0, 0
    programs, steering, shells = [], [], []
    for entry in walk(top, budget, {os.path.join(top, "cache")}):
        entries += 1
        if _PHP.search(entry.name):
            path = os.path.relpath(entry.path, observer.root)
            if observer.site.major < 3 or not _UPDATER.match(path) or not entry.is_file(follow_symlinks=False):
                programs.append(path)
            elif read > _CODE_BYTES:
                found.cut.append("not all PHP of the web updater could be read in time")
                break
            else:
                text = head(entry.path, _FILE_BYTES, observer.site.php.user)
                updater, read = updater + 1, read + len(text)
                shells += [path] if _is_shell(text) else []
        elif _STEERING.match(entry.name) and _steers(entry.path, observer.site.php.user):
            steering.append(os.path.relpath(entry.path, observer.root))
    _compiled(observer, found)
    found.add("PHP where only data belongs", programs)
    found.add("a file that makes data run", steering)
    found.add("a suspected web shell, among the files of the web updater", shells)
    of_updater = f", {updater:,} of them PHP of the web updater" if updater else ""
    found.seen.append(f"{entries:,} files in var/{of_updater}")


def _code(observer: Observer, found: Trace, budget: Budget, users: tuple[Identity, ...]) -> None:
    scripts: list[tuple[str, os.stat_result]] = []
    misplaced, steering, linked = [], [], []
    unvouched = Unvouched(observer, users)
    left_out = {os.path.join(observer.root, name) for name in ("var", ".git", "node_modules")}
    above = len(os.path.join(observer.root, ""))
    try:
        for entry in walk(observer.root, budget, left_out):
            below = entry.path[above:]
            try:
                unvouched.inspect(below, entry.stat(follow_symlinks=False))
            except FileNotFoundError:  # it went meanwhile
                continue
            if not below.startswith(("public/", "src/")):
                continue
            runs = _PHP.search(entry.name) or _STEERING.match(entry.name)
            if runs and entry.is_symlink() and _theirs(os.path.realpath(entry.path), observer.root, users):
                linked.append(below)
            if _PHP.search(entry.name) and _is_file(entry):
                scripts.append((below, entry.stat()))
                parts = below.split("/")
                if parts[0] == "public" and len(parts) > 2 and parts[1] in _ASSETS:
                    misplaced.append(below)
            elif _STEERING.match(entry.name) and _changes_how_it_runs(entry.path, below, observer.site.php.user):
                steering.append(below)
        _unvouched(found, unvouched)
    finally:
        unvouched.close()
    found.add("a link that runs what the web user can change", linked)
    found.add("PHP among assets", misplaced)
    found.add("a file that changes how a directory is run", steering)
    # A release or a copy of it is written in one go; what came an hour after nearly all of it came later.
    moments = sorted(status.st_mtime for _path, status in scripts)
    release = moments[int(len(moments) * 0.95)] if moments else 0.0
    shells, unrelated, read = [], [], 0
    for path, status in sorted(scripts, key=lambda script: -script[1].st_mtime):
        if read > _CODE_BYTES or not budget.left:
            found.cut.append("not all of the PHP code could be read in time")
            break
        text = head(os.path.join(observer.root, path), _FILE_BYTES, observer.site.php.user)
        read += len(text)
        later = status.st_mtime > release + _AN_HOUR
        takes = _INPUT.search(text) or b"php://input" in text
        if _is_shell(text) or (later and takes and _DOUBTFUL.search(text)):
            shells.append(path)
        elif later and os.path.dirname(path) == "public" and os.path.basename(path) not in _ROOT_SCRIPTS:
            unrelated.append(path)
    found.add("a suspected web shell", shells)
    found.add("a script beside index.php that is newer than the release and no part of it", unrelated)
    found.seen.append(f"{len(scripts):,} PHP files below public/ and src/")


def _environment(observer: Observer, found: Trace) -> None:
    """Symfony compiles and runs code below var/: an environment file with another path has other code run.

    Each of these files counts, whoever changed it and when: a console command names its environment itself.
    """
    steered = []
    for path in sorted(glob.glob(os.path.join(glob.escape(observer.root), ".env*"))):
        if path.endswith(".dist"):
            continue
        text = head(path, _ENVIRONMENT_BYTES, observer.site.php.user).decode("utf-8", "replace")
        for name in vouch.environment_steers(text, observer.root):
            steered.append(f"{os.path.relpath(path, observer.root)} ({name})")
    found.add("an environment file that has code loaded from outside var/", steered)
    unsigned = release.takes_unsigned(observer.site.environment, observer.site.environment_source)
    found.add("the web updater takes packages without a signature", [unsigned] if unsigned else [])
    for name in ("APP_BUILD_DIR", "APP_CACHE_DIR"):
        value, source = observer.site.environment.get(name, ""), observer.site.environment_source.get(name, "")
        by_server = not source.startswith(f"{observer.root}/.env")
        if value and by_server and vouch.environment_steers(f"{name}={value}", observer.root):
            found.gaps.append(f"{source} has code compiled into {shown(value)} ({name}), where nothing is searched")
    found.seen.append("the environment files")


def _compiled(observer: Observer, found: Trace) -> None:
    """Symfony writes a compiled container in one go: what changed in it later was not compiled.

    A time that was set back does not hide it.
    """
    changed = []
    for directory in sorted(glob.glob(os.path.join(glob.escape(observer.root), "var/cache/*/Container*/")))[
        :_CONTAINERS
    ]:
        loaders = glob.glob(os.path.join(glob.escape(os.path.dirname(directory.rstrip("/"))), "*Container.php"))
        try:
            with os.scandir(directory) as entries:
                insider = [entry.path for entry in itertools.islice(entries, _COMPILED)]
            times = {path: os.lstat(path).st_ctime for path in [*insider, *loaders]}
        except OSError:  # it is compiled again at this moment
            continue
        ordered = sorted(times.values())
        together = ordered[int((len(ordered) - 1) * 0.95)] + _AN_HOUR if ordered else 0.0
        changed += [os.path.relpath(path, observer.root) for path, time in times.items() if time > together]
    found.add("compiled code that was changed after it was compiled", changed)
    found.add(
        "compiled code that was changed, and was compiled again since (chamilo-hardening integrity accept)",
        container_record.found(observer.root),
    )


def _changes_how_it_runs(path: str, below: str, web_user: str) -> bool:
    """Chamilo's own .htaccess may select the PHP version, but it may not have PHP load a file before each page."""
    text = head(path, _RULES_BYTES, web_user)
    return bool(_PREPENDS.search(text) if below == "public/.htaccess" else _HANDLER.search(text))


def _unvouched(found: Trace, unvouched: Unvouched) -> None:
    found.add(
        "files of the program that the web user could have changed after the release, which nothing vouches for",
        unvouched.doubtful,
        _NAMED,
    )
    found.add("files that cannot run until they are reviewed", unvouched.held, _NAMED)
    found.add("a Git directory in which Git would run what the web user could have set", unvouched.git(), _NAMED)
    if unvouched.unread:
        found.gaps.append(f"{unvouched.unread} files or directories of the program could not be opened")


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def _theirs(target: str, root: str, users: tuple[Identity, ...]) -> bool:
    """Whether the web user can write a file, which need not exist yet."""
    if target.startswith(os.path.realpath(os.path.join(root, "var")) + "/"):
        return True
    try:
        status = os.stat(target)
    except OSError:
        return False
    return any(user.changes(target, status) for user in users)


def _behind(observer: Observer, found: Trace, budget: Budget, users: tuple[Identity, ...]) -> None:
    """PHP of the web user in directories that links in the program lead to and that no other walk covers."""
    root = os.path.realpath(observer.root)
    var = os.path.realpath(os.path.join(root, "var"))
    programs = []
    for top in (os.path.join(observer.root, "public"), os.path.join(observer.root, "src")):
        for entry in walk(top, budget):
            if not (entry.is_symlink() and os.path.isdir(entry.path)):
                continue
            target = os.path.realpath(entry.path)
            cache = f"{target}/".startswith(f"{var}/cache/")
            if not cache and f"{target}/".startswith((f"{root}/", f"{var}/")):
                continue
            for insider in walk(target, budget):
                if _PHP.search(insider.name) and _theirs(os.path.realpath(insider.path), observer.root, users):
                    name = os.path.relpath(insider.path, target)
                    programs.append(os.path.join(os.path.relpath(entry.path, observer.root), name))
    found.add("PHP of the web user's behind a link", programs)


def _is_shell(text: bytes) -> bool:
    if any(name in text for name in _KNOWN_SHELLS) or _PACKED.search(text):
        return True
    starts = (found.start() for found in _INPUT.finditer(text))
    return any(_BEFORE_INPUT.search(text[max(0, start - _CONTEXT) : start]) for start in starts)


def taken_over(observer: Observer) -> tuple[list[str], list[str]]:
    """Administrators with an open password reset, and those that log in by LTI or SCIM: how 2.0.3 and 3.0.1 fell."""
    ask, admin = observer.database.query, administers(observer.database)
    resets = ask(
        f"SELECT username AS name FROM `user` WHERE {admin} AND active <> -2 AND confirmation_token <> ''"
        " AND password_requested_at > NOW() - INTERVAL %s DAY ORDER BY id",
        (_LATELY,),
    )
    made: list[Row] = []
    if ask("SHOW TABLES LIKE 'user\\_auth\\_source'"):  # since 2.0
        made = ask(
            "SELECT DISTINCT username AS name FROM `user` JOIN user_auth_source ON user_auth_source.user_id = `user`.id"
            f" WHERE {admin} AND active <> -2 AND authentication REGEXP 'lti|scim' ORDER BY username"
        )
    return [row["name"] or "" for row in resets], [row["name"] or "" for row in made]


def _accounts(observer: Observer, found: Trace) -> None:
    try:
        rows = administrators(observer.database, _LATELY)
    except DatabaseError as problem:
        found.gaps.append(f"the administrators could not be checked: {problem}")
        return
    pupils = [row["username"] or "" for row in rows if row["status"] == "5"]
    late = [row["username"] or "" for row in rows[1:] if row["late"] == "1" and row["status"] != "5"]
    found.add("pupils with an administrator's rights", pupils)
    found.add(f"administrators made in the last {_LATELY} days", late)
    found.seen.append(f"{len(rows)} administrators")
    try:
        resets, made = observer.once(taken_over)
    except DatabaseError as problem:
        found.gaps.append(f"how administrators log in could not be checked: {problem}")
        return
    found.add(f"open password resets of administrators, asked for in the last {_LATELY} days", resets)
    found.add("administrators whose account LTI or SCIM made or took over", made)


def _migrated(observer: Observer, found: Trace) -> None:
    """The installer's migration writes a log. An update changes the code first, and migrates within two days."""
    log = os.path.join(observer.root, _MIGRATION_LOG)
    code = [os.path.join(observer.root, path) for path in (release.OWN, release.INSTALLER)]
    placed = [os.lstat(path).st_ctime for path in code if os.path.lexists(path)]
    if placed and os.path.lexists(log):
        days = (os.lstat(log).st_mtime - max(placed)) / 86400
        if days > _UPDATE_DAYS:
            found.signs.append(
                f"the installer migrated {days:.0f} days after the last update of the code: {_MIGRATION_LOG}"
            )


def _settings(observer: Observer, found: Trace) -> None:
    try:
        stored = stored_code(observer.database, observer.site, web_users(observer))
    except (DatabaseError, OSError, ValueError) as problem:
        found.gaps.append(f"the settings could not be checked for commands and scripts: {problem}")
        return
    found.add(
        "settings that run a command, or a script in the browser of each visitor (pin your own in the application's "
        "overrides)",
        stored,
        _NAMED,
    )
    found.seen.append("settings")
    try:
        objects, scripts = in_database.planted(observer.database)
    except DatabaseError as problem:
        found.gaps.append(f"the tables could not be checked for objects and scripts: {problem}")
        return
    found.add("objects of PHP in the database that are none of the application's", objects, _NAMED)
    found.add("pages and announcements that run a script in the browser of each visitor", scripts)


def _sessions(observer: Observer, found: Trace) -> None:
    """PHP ends a session by its age: one that is dated in the future, which only a hand can do, lasts for good."""
    site = observer.site
    try:
        directory = logins.directory_of(site, site.environment.get("APP_ENV", "prod"))[0]
        ahead = 0
        with os.scandir(directory or "/nonexistent") as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    ahead += entry.stat(follow_symlinks=False).st_mtime > observer.now + _A_DAY
    except FileNotFoundError:  # sessions lie elsewhere, or there was none yet
        return
    except OSError as problem:
        found.gaps.append(f"the sessions could not be checked: {problem}")
        return
    if ahead:
        found.signs.append(f"sessions that never end, since they are dated in the future: {ahead} in {directory}")
    found.seen.append("sessions")


def _requests(observer: Observer, found: Trace) -> None:
    """Answers that an attack would have got, in the newest part of the access logs."""
    logs: list[str] = []
    for host in (*observer.site.serving, *observer.site.fallback):
        # Nothing named, a program, or a variable of the server's own.
        logs += [host.access_log_file] if host.access_log_file.startswith("/") else USUAL_LOGS
    paths = [path for log in dict.fromkeys(logs) for path in (log, f"{log}.1")]
    paths = [path for path in paths if os.path.isfile(path) and os.access(path, os.R_OK)]
    paths.sort(key=os.path.getmtime, reverse=True)
    here = {address.encode() for address in (*observer.site.addresses, "127.0.0.1", "::1")}
    unfixed = any(_CSTUDIO in each.ids for each in observer.once(sources.listed).open_in(observer.site.version))
    exploits = (*_EXPLOITS, _BEFORE_ITS_FIX) if unfixed else _EXPLOITS
    hits: dict[str, bytes] = {}
    times: Counter[str] = Counter()
    read, first = 0, b""
    unread = []
    for path in paths:
        try:
            for number, text in enumerate(pieces(path, _LOG_BYTES - read, observer.site.php.user)):
                first = first if number else text[:_FIRST_BYTES]
                read += len(text)
                for label, word, pattern in exploits:
                    for line in _lines_with(text, word):
                        asked = _ANSWERED.match(line)
                        if asked and pattern.match(asked[1]) and _client(line) not in here:
                            hits.setdefault(label, line)
                            times[label] += 1
                for line in (line for word in _INSTALLER_WORDS for line in _lines_with(text, word)):
                    if _after_installation(observer, line) and _client(line) not in here:
                        hits.setdefault(_INSTALLED, line)
                        times[_INSTALLED] += 1
        except OSError as problem:
            unread.append(path)
            found.gaps.append(f"{path} could not be read: {problem.strerror}")
        if read >= _LOG_BYTES:
            break
    paths = [path for path in paths if path not in unread]
    began = _DATE.search(first)
    if read >= _LOG_BYTES and began and _moment(began[1]) > observer.now - 3600 * _LOG_HOURS:
        found.cut.append(
            f"the access logs: only the newest {_LOG_BYTES >> 20} MB of {first_of(paths, 2)} were read, from "
            f"{began[1].decode()} on. A client with long headers can fill them"
        )
    for label, line in hits.items():
        known = re.search(r'"(\S+ [^\s?"]+)', line.decode("utf-8", "replace"))
        example = shown(known[1][:80]) if known else "a request"
        who = _client(line).decode() or "an unknown address"
        often = "once" if times[label] == 1 else f"{times[label]} times"
        found.signs.append(f"{label} answered a visitor {often}, for example {example} for {who}")
    if paths:
        found.seen.append(f"{read / 1e6:.1f} MB of {first_of(paths, 2)}")
    else:
        found.gaps.append("no access log could be read")


def _lines_with(text: bytes, word: bytes) -> Iterable[bytes]:
    at = text.find(word)
    while at >= 0:
        start, end = text.rfind(b"\n", 0, at) + 1, text.find(b"\n", at)
        end = len(text) if end < 0 else end
        yield text[start : min(end, start + _LINE_BYTES)]
        at = text.find(word, end)


def _client(line: bytes) -> bytes:
    found = _CLIENT.search(line.partition(b'"')[0])
    return found[1] if found else b""


def _after_installation(observer: Observer, line: bytes) -> bool:
    """The installer writes .env as its last act, so requests answered an hour later were another person's."""
    found = _INSTALLER.search(line)
    if not found:
        return False
    try:
        return _moment(found[1]) > os.path.getmtime(os.path.join(observer.root, ".env")) + _AN_HOUR
    except OSError:
        return True


def _moment(date: bytes) -> float:
    """When a line was written, in the host's own zone where it names none. What is no date is yet to come."""
    form = "%d/%b/%Y:%H:%M:%S %z" if b" " in date else "%d/%b/%Y:%H:%M:%S"
    try:
        return datetime.datetime.strptime(date.decode(), form).timestamp()
    except (ValueError, OverflowError):
        return math.inf
