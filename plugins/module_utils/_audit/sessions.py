# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks cookies on the wire, the lifetime of idle sessions, and who may choose a session's number."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from .._application import integrations, redis
from .._application.database import DatabaseError, as_number
from .._application.observer import Endpoint, Observer, Unseen
from .._application.symfony_sessions import options
from .._common.control import Finding, check, failed, passed
from .._common.http import Answer
from .._common.tree import Tree
from .._host.processes import longest_pause, named, output
from .._monitoring.tree import php_user
from .._php.php_ini import faces, of_face
from .._webserver import apache, nginx
from .._webserver.configuration import Directive, walk
from ._responses import PAGES
from .host_jobs import kept_from_starting

HOUR = 3600
GRACE = 300
SAVE_PATH = "/var/lib/php/sessions"
REMEMBER = "ch_remember_me"
REMEMBER_TYPE = 3  # in the table validation_token
_PHP_LIFETIME = "1440"
_NOTHING = ("", "null", "NULL", "~")
_NATIVE = "session.handler.native_file"
# Has the form of a number of PHP's own making, and is none.
_FORGED = "chamiloHardeningAudit0chosen0by0a0stranger"


@dataclass(frozen=True)
class Cookie:
    """A cookie as a server sets it. Its value stays out of every evidence."""

    name: str
    value: str = field(repr=False)
    flags: Mapping[str, str]
    url: str


def cookies_of(answer: Answer) -> list[Cookie]:
    found = []
    for line in answer.values("Set-Cookie"):
        first, *rest = line.split(";")
        name, _is, value = first.strip().partition("=")
        flags = {key.strip().lower(): flag.strip() for key, _is, flag in (part.partition("=") for part in rest)}
        found.append(Cookie(name, value, flags, answer.url))
    return found


def cookies(observer: Observer) -> Sequence[Cookie]:
    """All cookies that the first pages set for a visitor without any."""
    if not observer.endpoints:
        raise Unseen(f"nothing on this host answers to {observer.site.domain}")
    answers = [observer.get(path) for path in PAGES]
    found = [cookie for answer in answers for cookie in cookies_of(answer)]
    if not found:
        seen = ", ".join(f"{answer.url} ({answer.status or answer.error})" for answer in answers)
        raise Unseen(f"no page without a login sets a cookie: {seen}")
    return found


def session_cookies(observer: Observer) -> list[Cookie]:
    found = observer.once(cookies)
    name = observer.once(symfony).get("name", "")
    own = [cookie for cookie in found if cookie.name in (name, "PHPSESSID", "chamilo2")]
    return own or [cookie for cookie in found if re.fullmatch(r"[A-Za-z0-9,-]{22,256}", cookie.value)] or list(found)


def _names(some: Sequence[Cookie]) -> str:
    return ", ".join(dict.fromkeys(f"{cookie.name} at {cookie.url}" for cookie in some))


@check("sessions_cookie_secure")
def secure(observer: Observer) -> Finding:
    found = observer.once(cookies)
    bare = [cookie for cookie in found if "secure" not in cookie.flags]
    if "https" not in observer.endpoints:
        return failed(f"The site is served over plain http, and its cookies travel in the clear: {_names(found)}.")
    if bare:
        return failed(f"Without Secure: {_names(bare)}.")
    return passed(f"Secure is on every cookie: {_names(found)}.")


@check("sessions_cookie_httponly")
def http_only(observer: Observer) -> Finding:
    found = session_cookies(observer)
    bare = [cookie for cookie in found if "httponly" not in cookie.flags]
    return failed(f"Without HttpOnly: {_names(bare)}.") if bare else passed(f"HttpOnly is on {_names(found)}.")


@check("sessions_cookie_samesite")
def same_site(observer: Observer) -> Finding:
    found = session_cookies(observer)
    loose = [cookie for cookie in found if cookie.flags.get("samesite", "").lower() not in ("lax", "strict")]
    framing = integrations.origins(observer.options["integrations"], "session")
    if loose and framing and all(cookie.flags.get("samesite", "").lower() == "none" for cookie in loose):
        if any("secure" not in cookie.flags for cookie in loose):
            return failed(f"SameSite is None without Secure, and browsers drop such a cookie: {_names(loose)}.")
        return passed(
            f"SameSite is None on {_names(loose)}, declared for {', '.join(framing)} (chamilo_integrations). "
            "Forms of any site reach the session then; the tokens in Chamilo's own forms have to stop them."
        )
    if loose:
        seen = " or ".join(dict.fromkeys(cookie.flags.get("samesite") or "not said" for cookie in loose))
        return failed(f"SameSite is {seen} instead of Lax: {_names(loose)}.")
    return passed(f"SameSite is {found[0].flags['samesite']} on {_names(found)}.")


@check("sessions_strict")
def strict(observer: Observer) -> Finding:
    for store in observer.once(stores):
        try:
            if redis.is_open(store):
                return failed(f"Redis at {store} answers clients without a password, who can read and make sessions.")
        except (OSError, ValueError) as problem:
            raise Unseen(f"whether Redis at {store} answers clients without a password: {problem}") from problem
    own = session_cookies(observer)[0]
    endpoint = observer.endpoints[observer.scheme]
    path = own.url[len(endpoint.url("")) :]
    # A visitor who comes with a number of his own choice has to be given another one.
    if not _renumbered(observer, endpoint, path, own.name, {"Cookie": f"{own.name}={_FORGED}"}):
        return failed(f"{own.url} takes the session number a visitor made up (use_strict_mode is not active).")
    if not _renumbered(observer, endpoint, f"{path}?{own.name}={_FORGED}", own.name, {}):
        return failed(f"{own.url} takes a session number out of the address (use_only_cookies is not active).")
    return passed(f"{own.url} takes neither a made-up session number nor one in the address.")


_REACHING = {"ptrace", "pidfd_getfd", "process_vm_readv", "process_vm_writev"}
_YAMA = "/proc/sys/kernel/yama/ptrace_scope"


@check("sessions_apart")
def apart(observer: Observer) -> Finding:
    php, tree = observer.site.php, Tree()
    if php.sapi == "mod_php":
        return failed("PHP runs within Apache (mod_php) and reaches all of it. Have Apache hand PHP to PHP-FPM.")
    shown = dict(
        line.partition("=")[::2]
        for line in output(["systemctl", "show", "--property=SystemCallFilter,MainPID", php.service]).splitlines()
    )
    pid = shown.get("MainPID", "0")
    if not php.service or pid == "0":
        raise Unseen("the service of PHP does not run under systemd")
    calls = {word.partition(":")[0] for word in shown["SystemCallFilter"].lstrip("~").split()}
    allowed = _REACHING - calls if shown["SystemCallFilter"].startswith("~") or not calls else _REACHING & calls
    if allowed:
        return failed(f"{php.service} may use {', '.join(sorted(allowed))}, and reaches the web server's memory by it.")
    if "\nSeccomp:\t2\n" not in tree.read(f"/proc/{pid}/status"):
        return failed(
            f"{php.service} runs as it did before it was kept from {', '.join(sorted(_REACHING))}: restart it."
        )
    yama = tree.read(_YAMA).strip() if tree.exists(_YAMA) else ""
    if yama == "0":
        return failed("kernel.yama.ptrace_scope is 0: PHP opens the web server's memory in /proc.")
    rest = "" if yama else " This kernel has no Yama, so /proc/PID/mem stays open where both are one account."
    return passed(f"{php.service} can neither trace the web server nor take what it has open.{rest}")


def stores(observer: Observer) -> list[redis.Store]:
    """The servers of Redis that keep the sessions, as PHP or the application names them. Unix sockets are left out."""
    handler = observer.once(symfony).get("handler_id", "")
    try:
        php = observer.php
    except Unseen:
        php = {}
    if handler in (*_NOTHING, _NATIVE) and "session.save_handler" in php:
        redis_keeps = php["session.save_handler"].value == "redis" and "session.save_path" in php
        handler = php["session.save_path"].value if redis_keeps else ""
    found = []
    for place in re.split(r"[\s,]+", handler):
        kind, _is, rest = place.partition("://")
        if kind not in ("tcp", "redis", "tls", "ssl", "rediss") or "%env(" in rest:
            continue
        address = urlsplit(f"//{rest}")
        ca_file = dict(parse_qsl(address.query)).get("stream[cafile]", "")
        found.append(redis.Store(address.hostname or "", address.port or 6379, kind not in ("tcp", "redis"), ca_file))
    return found


def _renumbered(observer: Observer, endpoint: Endpoint, path: str, name: str, headers: Mapping[str, str]) -> bool:
    answer = observer.ask(endpoint, path, headers=headers)
    if not answer.status or answer.status >= 500:
        raise Unseen(f"{answer.url} answers {answer.status or answer.error}")
    given = [cookie.value for cookie in cookies_of(answer) if cookie.name == name]
    return any(value and value != _FORGED for value in given)


@check("sessions_remember_me")
def remember_me(observer: Observer) -> Finding:
    # No answer shows this to a client that is not remembered, so the configuration is read.
    if observer.once(taken_away):
        words = f"The web server takes the cookie {REMEMBER} out of each request: it logs no user in."
        try:
            kept = stored(observer)
        except DatabaseError as problem:
            return passed(f"{words} Whether logins are stored for it nevertheless was not seen: {problem}")
        # A user who ticks the box is stored again, and that is no failure.
        count = f" {kept} are stored for it nevertheless. They count again without that rule; harden deletes them."
        return passed(words + (count if kept else ""))
    kept = stored(observer)
    if kept:
        return failed(f"{kept} people are remembered for up to 14 days: their devices log in by themselves.")
    return failed(f'Nothing removes the cookie {REMEMBER}: "Remember me" keeps users logged in for 14 days.')


def stored(observer: Observer) -> int:
    """How many logins Chamilo keeps for devices that come back."""
    rows = observer.database.query("SELECT COUNT(*) AS kept FROM validation_token WHERE type = %s", [REMEMBER_TYPE])
    return as_number(rows[0]["kept"])


def taken_away(observer: Observer) -> bool:
    """Whether each virtual host of the portal hands requests on without the cookie of "Remember me"."""
    parser = {"nginx": nginx, "apache": apache}.get(observer.site.web.name)
    if parser is None:
        return False
    serving, _fallback = parser.answering(parser.servers(parser.parse(Tree())), observer.site.domain)
    return bool(serving) and all(any(map(_replaces_cookies, walk(server.block.block or ()))) for server in serving)


def _replaces_cookies(directive: Directive) -> bool:
    name, arguments = directive.name.lower(), directive.arguments
    if name == "fastcgi_param":
        return arguments[:1] == ("HTTP_COOKIE",) and arguments[1:2] != ("$http_cookie",)
    return name == "requestheader" and "Cookie" in arguments and "remember" in directive.written


# ----------------------------------------------------------------------------------------------------- lifetime


def symfony(observer: Observer) -> Mapping[str, str]:
    """The session options that are active in the application."""
    return options(Tree(), observer.root, observer.site.environment.get("APP_ENV") or "prod", observer.site.php.user)


@check("sessions_lifetime")
def lifetime(observer: Observer) -> Finding:
    limit = int(observer.options["sessions_lifetime"])
    php, application = observer.php, observer.once(symfony)

    def effective(name: str, default: str) -> str:
        own = application.get(name, "")
        given = php[f"session.{name}"].value if f"session.{name}" in php else ""
        return own if own not in _NOTHING else given or default

    handler = php["session.save_handler"].value if "session.save_handler" in php else "files"
    place, ttl = _handler(application.get("handler_id", ""))
    if place.startswith("/"):
        application = {**application, "save_path": place}
    elif place:
        handler = place
    if handler != "files":
        seconds = _number(ttl or effective("gc_maxlifetime", _PHP_LIFETIME))
        words = f"Sessions are kept by {handler} and forgotten after {seconds} s without a visit"
        return passed(f"{words}.") if seconds <= limit + GRACE else failed(f"{words}; desired: {limit} s.")
    directory = effective("save_path", SAVE_PATH).rpartition(";")[2]
    age = _oldest(observer, directory)
    if age > limit + GRACE:
        return failed(
            f"A session that was not used for {_hours(age)} is still kept in {directory}; desired: {_hours(limit)}."
        )
    kept = _kept(directory)
    if not kept:
        return failed(
            f"Old sessions are not cleaned up in {directory}: it is the directory of no php.ini, and PHP ignores it."
        )
    cleaners = named(observer.jobs, r"sessionclean")
    if not cleaners:
        return failed(f"No active timer or cron job clears away old sessions in {directory}.")
    passed_over = [kept_from_starting(job) for job in cleaners]
    if all(passed_over):
        return failed(f"Old sessions are not cleaned up in {directory}: {passed_over[0]}.")
    pause = min(map(longest_pause, cleaners))
    if pause == float("inf"):
        raise Unseen(f"how often {cleaners[0].source} clears away old sessions could not be determined")
    longest, source = max(kept)
    worst = longest + pause
    words = f"an idle session is forgotten after {_hours(longest)} ({source}), the cleaner runs every {_hours(pause)}"
    if worst > limit + GRACE:
        return failed(f"In {directory} {words}: {_hours(worst)} at worst; desired: {_hours(limit)}.")
    observer.needs_root(f"see whether older sessions are kept in {directory}")
    return passed(f"In {directory} {words}: {_hours(worst)} at worst, and no older one is there.")


def _handler(written: str) -> tuple[str, str]:
    """What Symfony's handler_id names: a directory or a kind of store, and its seconds. Empty: PHP's own."""
    if written in (*_NOTHING, _NATIVE):
        return "", ""
    kind, is_address, rest = written.partition("://")
    relative = kind == "file" and rest[:1] not in ("", "/")
    if not is_address or relative or "%" in written.replace("%%", ""):
        reported = kind if is_address else written  # an address can contain a password
        raise Unseen(f"how long sessions are kept by {reported}, which handler_id names, could not be determined")
    if kind == "file":
        return rest, ""
    ttl = re.search(r"[?&]ttl=(\d+)", rest)
    return kind, ttl[1] if ttl else ""


def _number(written: str) -> int:
    if not written.isdigit():  # %env(...)%
        raise Unseen(f"how long sessions are kept could not be determined: gc_maxlifetime is {written}")
    return int(written)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 2 * HOUR else f"{seconds / 60:.0f} minutes"


def _oldest(observer: Observer, directory: str) -> float:
    """Age in seconds of the session of this site that was idle longest; 0 where that cannot be seen."""
    owner = php_user(observer).user
    oldest = observer.now
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.startswith("sess_"):
                    status = entry.stat(follow_symlinks=False)
                    if status.st_uid == owner:
                        oldest = min(oldest, status.st_mtime)
    except OSError:
        return 0
    return observer.now - oldest


def _kept(directory: str) -> list[tuple[int, str]]:
    """How long Debian's cleaner leaves sessions in this directory: of all faces that use it, the longest counts."""
    found = []
    for version, face in faces(Tree()):
        known = of_face(Tree(), version, face)
        path = known["session.save_path"].value if "session.save_path" in known else ""
        if os.path.realpath(path.rpartition(";")[2] or SAVE_PATH) == os.path.realpath(directory):
            text = known["session.gc_maxlifetime"].value if "session.gc_maxlifetime" in known else _PHP_LIFETIME
            found.append((int(text), f"/etc/php/{version}/{face}"))
    return found
