# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks owners, groups and modes, the users of processes, and what the web server discloses."""

from __future__ import annotations

import glob
import grp
import hashlib
import json
import os
import pwd
import re
import stat
import time
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from .._application.observer import Endpoint, Observer, Unseen
from .._application.sealed import PRIVATE, key_files
from .._common import acl
from .._common.control import Finding, check, failed, not_assessed, passed
from .._common.http import Answer
from .._common.openssl import run_openssl
from .._common.paths import head, read_guarded, shown
from .._common.sentences import first_of
from .._common.tree import Tree
from .._host.accounts import rights, user_name
from .._host.processes import Process, output
from .._monitoring.tree import Identity, Seen, owners, php_user, tree, web_users
from .._php.php_ini import is_on
from .._webserver.configuration import VirtualHost
from . import _token_keys
from ._responses import API, MISSING, PAGES
from .host_jobs import RECORDS

PUBLIC_PASSPHRASE = "your_secret_passphrase"  # Chamilo ships it; it is publicly known
_FAULTS = 4  # in one piece of evidence
_HEAD = 200  # bytes that have to agree
_FEW = 4
_RECORD_BYTES = 1 << 20
_TOGETHER = 60  # seconds within which the two halves of a key pair are written


def _verdict(faults: Iterable[str], good: str, seen: Seen | None = None) -> Finding:
    """fail with the faults; pass only when everything could be inspected."""
    found = [fault for fault in faults if fault]
    if found:
        return failed(f"{first_of(found, _FAULTS, '; ')}.")
    if seen is not None and seen.unread.count:
        return not_assessed(f"{seen.unread.report('could not be inspected')}; run with root.")
    return passed(good)


def _mode(path: str) -> tuple[os.stat_result, str]:
    status = os.stat(path)
    return status, rights(status)


@check("permissions_code")
def code(observer: Observer) -> Finding:
    seen = observer.once(tree)
    users = web_users(observer)
    names = " or ".join(user.name for user in users)
    faults = opened(observer, "upgrade")
    if seen.code_writable.count:
        faults.append(seen.code_writable.report(f"of the program can be changed by {names}"))
    faults += [_parent(directory, users) for directory in _parents(observer.root)]
    if seen.code_owner.count:
        faults.append(seen.code_owner.report("of the program belong neither to root nor to a deploy user"))
    if seen.code_mode.count:
        faults.append(seen.code_mode.report("of the program allow more than 755 (directories) and 644 (files)"))
    if seen.code_acl.count:
        faults.append(
            seen.code_acl.report("of the program have an ACL, or pass one on, that gives more than their mode")
        )
    return _verdict(faults, f"{seen.entries:,} entries checked; {names} can change none of the program.", seen)


def opened(observer: Observer, *profiles: str) -> list[str]:
    """What PHP may write for a while because the administrator opened it, and until when. Only root can see it."""
    try:
        with open(os.path.join(RECORDS, "windows.json"), encoding="utf-8") as file:
            windows = json.load(file)
    except (FileNotFoundError, PermissionError):
        return []
    except ValueError as problem:
        return [f"what `chamilo-hardening window` wrote down is damaged ({problem})"]
    root = os.path.realpath(observer.root)
    found = []
    for window in windows:
        if window["tree"]["path"] == root and window["profile"] in profiles:
            until = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(window["until"]))
            over = ", and should be closed by now" if observer.now > window["until"] else ""
            found.append(
                f"a window is open (profile {window['profile']}, until {until}{over}): PHP may write here until then, "
                "or until `chamilo-hardening window close`"
            )
    return found


def _parents(root: str) -> list[str]:
    directories, directory = [], os.path.dirname(os.path.realpath(root))
    while directory not in directories:
        directories.append(directory)
        directory = os.path.dirname(directory)
    return directories


def _parent(directory: str, users: Iterable[Identity]) -> str:
    status, words = _mode(directory)
    sticky = status.st_mode & stat.S_ISVTX
    for user in users:
        if status.st_uid == user.user or (not sticky and user.changes(directory, status)):
            return f"{directory} ({words}) can be changed by {user.name}, so the whole directory can be exchanged"
    return ""


@check("permissions_var")
def var(observer: Observer) -> Finding:
    path, user = os.path.join(observer.root, "var"), php_user(observer)
    if not os.path.isdir(path):
        return failed(f"{path} is not there; Chamilo cannot work without it.")
    status, words = _mode(path)
    faults = []
    if status.st_uid != user.user:
        faults.append(f"var/ is {words}, but PHP runs as {user.name}")
    if not user.may(2, status.st_mode, status.st_uid, status.st_gid):
        faults.append(f"{user.name} cannot write to var/ ({words})")
    seen = observer.once(tree)
    others = _fellows(observer, os.stat(path).st_gid)
    if others:
        faults.append(f"{first_of(others)} may read it as well, by the group of var/ (gpasswd -d)")
    if seen.var_others.count:
        faults.append(seen.var_others.report("in var/ have rights for every account of this host"))
    if seen.var_owner.count:
        faults.append(seen.var_owner.report(f"in var/ do not belong to {user.name}"))
    return _verdict(faults, f"var/ is {words}, and nothing in it has a right for others.", seen)


def _fellows(observer: Observer, group: int) -> list[str]:
    """Accounts of this host besides the web server's and PHP's that are in a group, by /etc/group or as their own."""
    own = {"root", observer.site.php.user, observer.site.web.user, str(observer.options["owner"])}
    try:
        members = [*grp.getgrgid(group).gr_mem, *(one.pw_name for one in pwd.getpwall() if one.pw_gid == group)]
    except KeyError:
        return []
    return sorted({*members} - own)


@check("permissions_env")
def env(observer: Observer) -> Finding:
    files = [
        path for path in sorted(glob.glob(os.path.join(glob.escape(observer.root), ".env*"))) if os.path.isfile(path)
    ]
    if not files:
        return not_assessed(f"No .env file can be seen in {observer.root}.")
    faults = opened(observer, "upgrade", "install") + [_led_astray(observer, path) for path in files]
    faults += [fault for path in files for fault in _private(observer, path, 0o640)]
    return _verdict(faults, f"{', '.join(_described(path) for path in files[:_FEW])}.")


@check("permissions_config")
def config(observer: Observer) -> Finding:
    directory = os.path.join(observer.root, "config")
    if not os.path.isdir(directory):
        return not_assessed(f"{directory} is not there.")
    faults = opened(observer, "upgrade", "install") + _private(observer, directory, 0o750)
    seen = observer.once(tree)
    if seen.config_writable.count:
        faults.append(seen.config_writable.report("in config/ can be changed by the web user"))
    if seen.config_acl.count:
        faults.append(seen.config_acl.report("in config/ have an ACL, or pass one on, that gives more than their mode"))
    keys = sorted(glob.glob(os.path.join(glob.escape(directory), "jwt", "*.pem")))
    faults += [fault for path in keys for fault in _private(observer, path, 0o640)]
    if not faults and not os.access(directory, os.R_OK | os.X_OK):
        return not_assessed(f"{_described(directory)}; it cannot be inspected without root.")
    return _verdict(faults, f"{_described(directory)}; {len(keys)} keys in config/jwt are private.")


def _led_astray(observer: Observer, path: str) -> str:
    """Why root does not use its content."""
    try:
        Tree().read(path, php_user(observer).name)
    except PermissionError:  # another fault, if it is one
        return ""
    except OSError as problem:
        return f"{shown(os.path.basename(path))} is not read: {problem.strerror}"
    return ""


def _described(path: str) -> str:
    return f"{shown(os.path.basename(path))} is {_mode(path)[1]}"


def _private(observer: Observer, path: str, most: int) -> list[str]:
    """Why something with secrets is not readable by PHP alone."""
    status, words = _mode(path)
    here = f"{shown(os.path.relpath(path, observer.root))} ({words})"
    faults = []
    if status.st_mode & 0o777 & ~most:
        faults.append(f"{here} allows more than {most:o}")
    given = acl.access(path)
    if given and given.exceeds(most):
        faults.append(f"{here} has an ACL that gives more than {most:o}")
    php = php_user(observer)
    for user in web_users(observer):
        if user.changes(path, status):
            faults.append(f"{here} can be changed by {user.name}")
        elif user.user != php.user and user.may(4, status.st_mode, status.st_uid, status.st_gid):
            faults.append(f"{here} can be read by the web server ({user.name}), which has no need to")
    if status.st_uid not in owners(observer) and not faults:
        faults.append(f"{here} belongs neither to root nor to a deploy user")
    return faults


@check("permissions_no_777")
def no_777(observer: Observer) -> Finding:
    seen = observer.once(tree)
    every_address = (
        seen.every_address.report("can be changed by every account of this host") if seen.every_address.count else ""
    )
    return _verdict([every_address], f"{seen.entries:,} entries checked, none is writable by others.", seen)


@check("permissions_links")
def links(observer: Observer) -> Finding:
    seen = observer.once(tree)
    kinds = (
        (seen.setuid, "carry a setuid or setgid bit"),
        (seen.devices, "are device files"),
        (seen.links_out, "are links that lead out of the site"),
        (seen.links_given_away, "are links that give a web address to secrets of the program"),
        (seen.links_writable, "are links in the program to what the web user can change"),
        (seen.hard_links, "are also known under a name outside the site"),
    )
    faults = [tally.report(what) for tally, what in kinds if tally.count]
    good = (
        f"{seen.entries:,} entries checked: no setuid file, no device, no link out of the site or to what PHP writes."
    )
    return _verdict(faults, good, seen)


@check("permissions_web_user")
def web_user(observer: Observer) -> Finding:
    serving = [process for process in observer.processes if re.match(r"nginx|apache2|httpd|php-fpm", process.name)]
    if not serving:
        raise Unseen("neither a web server nor PHP-FPM is running on this host")
    workers = _workers(serving)
    rooted = [process for process in workers if process.user == 0]
    if rooted:
        seen = ", ".join(f"{process.name} (process {process.pid})" for process in rooted[:3])
        return failed(f"{len(rooted)} of {len(workers)} workers run as root: {seen}.")
    by_hand = [one for one in observer.processes if one.user == 0 and _runs_the_portal(observer, one)]
    if by_hand:
        return failed(f"{by_hand[0].name} (process {by_hand[0].pid}) runs a script of the portal as root.")
    for name in sorted({user_name(process.user) for process in workers}):
        if observer.as_root and (may := may_become_root(name)):
            return failed(f"{name} may become root: {may}.")
    kinds = sorted({f"{process.name} as {user_name(process.user)}" for process in workers})
    if _php_is_idle(observer, serving, workers):
        php = php_user(observer)
        if php.user == 0:
            return failed("PHP, which has no worker now, would run as root.")
        kinds.append(f"PHP, which has no worker now, as {php.name}")
    return passed(f"Workers run as ordinary users: {', '.join(kinds)}.")


def _runs_the_portal(observer: Observer, process: Process) -> bool:
    """PHP from the command line that was started in the project's directory, such as a consumer of messages."""
    if not re.fullmatch(r"php(?:\d+\.\d+)?", process.name) or not observer.site.root:
        return False
    try:
        where = os.readlink(f"/proc/{process.pid}/cwd")
    except OSError:  # it ended meanwhile, or is not for us to see
        return False
    return f"{where}/".startswith(f"{os.path.realpath(observer.site.root)}/")


def may_become_root(name: str) -> str:
    """What sudo lets an account run as another, by sudo itself; empty for nothing."""
    found = re.search(r"may run the following.*?\n(.*)", output(["sudo", "-n", "-l", "-U", name]), re.DOTALL)
    return " ".join(found[1].split())[:200] if found else ""


def _workers(serving: Sequence[Process]) -> list[Process]:
    """Those who do the work. A master with workers only watches over them; a web server without does it all itself."""
    names = {process.pid: process.name for process in serving}
    masters = {process.parent for process in serving if names.get(process.parent) == process.name}
    # The master of PHP-FPM never works: without visitors (pm = ondemand), or without a site, it has no workers.
    masters |= {one.pid for one in serving if one.name.startswith("php-fpm") and names.get(one.parent) != one.name}
    return [process for process in serving if process.pid not in masters]


def _php_is_idle(observer: Observer, serving: Sequence[Process], workers: Sequence[Process]) -> bool:
    """Whether the PHP-FPM of this site, of whatever version where that is not known, has no worker now."""
    known = [process for process in serving if process.name.startswith("php-fpm")]
    own = [process for process in known if process.name == f"php-fpm{observer.site.php.version}"] or known
    return bool(own) and not any(process in workers for process in own)


@check("permissions_production")
def production(observer: Observer) -> Finding:
    environment = observer.site.environment
    root = observer.root
    faults = []
    mode, debug = environment.get("APP_ENV", ""), environment.get("APP_DEBUG", "")
    if mode and mode != "prod":
        faults.append(f"APP_ENV is {mode} ({_source(observer, 'APP_ENV')})")
    # Symfony takes what is not set from the environment: debugging is off in prod.
    if debug.lower() not in ("", "0", "false", "off", "no"):
        faults.append(f"APP_DEBUG is {debug} ({_source(observer, 'APP_DEBUG')})")
    answers = [observer.get(path) for path in (*PAGES, API, MISSING)] if observer.endpoints else []
    faults += list(dict.fromkeys(filter(None, map(_reports, answers))))
    php = observer.php
    if "display_errors" in php and is_on(php["display_errors"].value):
        faults.append(f"PHP shows errors to visitors (display_errors in {php['display_errors'].file})")
    if faults:
        return failed(f"{'; '.join(faults[:_FAULTS])}.")
    if not mode:
        return not_assessed(f"APP_ENV of {root} could not be read; run with root.")
    if not any(answer.status for answer in answers):
        return not_assessed("APP_ENV is prod, but the site gave no answer that could show it.")
    kinds = observer.database.effective("server_type", "platform")
    wrong = [f"{kind} on {url}" if len(kinds) > 1 else kind for url, kind in kinds.items() if kind != "prod"]
    if wrong:
        return failed(f"Chamilo's setting platform.server_type is {first_of(wrong, _FAULTS)}.")
    return passed("APP_ENV is prod, debugging is off, server_type is prod, and an error shows no code.")


def _source(observer: Observer, name: str) -> str:
    return observer.site.environment_source.get(name, "source unknown")


def _reports(answer: Answer) -> str:
    if answer.values("X-Debug-Token"):
        return f"{answer.url} sends X-Debug-Token: the debug toolbar is on"
    trace = re.search(rb"Symfony Exception|sf-dump|exception-message|Stack trace:|Fatal error</b>:", answer.body)
    return f"{answer.url} shows {trace[0].decode()!r} to every visitor" if trace else ""


@check("permissions_secrets")
def secrets(observer: Observer) -> Finding:
    root = observer.root
    faults = [f"{name} has a publicly known value" for name in observer.site.secrets_default]
    faults += [
        f"{name} {why}: set one that `openssl rand -hex 32` prints" for name, why in observer.site.secrets_weak.items()
    ]
    key = key_files(observer.site.environment.get, root)[PRIVATE]
    if os.access(key, os.R_OK):
        faults += filter(None, [_key_fault(key, observer.site.php.user), _age_fault(key, observer.site.php.user)])
    faults += _token_keys.faults(observer.site, web_users(observer))
    if faults:
        return failed(f"{'; '.join(faults)}.")
    if not observer.site.environment:
        return not_assessed(f"The environment files of {root} could not be read; run with root.")
    if not os.path.exists(key) and observer.as_root:
        return passed("APP_SECRET and JWT_PASSPHRASE are the site's own. There is no JWT key.")
    if not os.access(key, os.R_OK):
        return not_assessed(f"APP_SECRET and JWT_PASSPHRASE are the site's own; {key} cannot be read without root.")
    return passed(
        "APP_SECRET and JWT_PASSPHRASE are the site's own; the JWT key is not older than its passphrase, and "
        "does not open with the public one."
    )


def _key_fault(key: str, web_user: str) -> str:
    try:
        content = read_guarded(key, web_user, 10_000)
    except OSError as problem:
        return f"config/jwt/private.pem is not read: {problem.strerror}"
    if b"ENCRYPTED" not in content:
        return "config/jwt/private.pem is not encrypted at all" if b"PRIVATE KEY" in content else ""
    code, _public = run_openssl(["pkey", "-passin", "@0", "-pubout"], content, [PUBLIC_PASSPHRASE])
    if code == 127:
        raise Unseen("without the program openssl it is unknown whether the JWT key opens with the public passphrase")
    return "" if code else "config/jwt/private.pem opens with the passphrase that Chamilo ships"


def _age_fault(key: str, web_user: str) -> str:
    """Whether our own record shows that the key got another passphrase when others could read it, and no new pair.

    The public half is written with each new pair, and not with a new passphrase. A key that was made by hand since has
    another checksum.
    """
    public = os.path.join(os.path.dirname(key), "public.pem")
    try:
        record = read_guarded(os.path.join(RECORDS, "written.json"), "", _RECORD_BYTES)
        written = {str(entry[0]): str(entry[1]) for entry in json.loads(record)}
        present = hashlib.sha256(read_guarded(key, web_user, _RECORD_BYTES)).hexdigest()
        age = os.stat(key).st_mtime - os.stat(public).st_mtime
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, LookupError, TypeError) as problem:
        raise Unseen(f"whether the JWT keys are older than their passphrase could not be seen: {problem}") from problem
    if written.get(os.path.realpath(key)) != present or os.path.realpath(public) in written or age < _TOGETHER:
        return ""
    return (
        "the key pair in config/jwt is older than its passphrase, which was public before: a copy of that time still "
        "signs tokens of any account"
    )


# ------------------------------------------------------------------------------------------------------ docroot


# A server that rejects unknown names gives nothing away, and so does one that reads the request and closes the
# connection, as nginx does with `return 444`. Of the portal's own virtual host that is none.
_REFUSES_UNTRUSTED = "UNRECOGNIZED_NAME"
_HANGS_UP = "closed connection without response"


@check("permissions_docroot")
def docroot(observer: Observer) -> Finding:
    root = os.path.realpath(observer.root)
    if not observer.site.virtual_hosts and not observer.endpoints:
        raise Unseen("no web server with a virtual host was found on this host")
    heads = _heads(observer, root)
    questions: list[tuple[Endpoint, str]] = []
    about: list[tuple[str, str]] = []  # the file each question is after, and who is asked
    hosts = [*observer.site.virtual_hosts] or [VirtualHost("the web server", 0, (), (), f"{root}/public")]
    for host in hosts:
        endpoints = observer.doors_of(host) if host.listens else list(observer.all_endpoints)
        for endpoint in {(endpoint.scheme, endpoint.port): endpoint for endpoint in reversed(endpoints)}.values():
            for path, file in _ways(root, os.path.realpath(host.root or "/nonexistent"), heads):
                questions.append((endpoint, path))
                about.append((file, f"{host.file}:{host.line}"))
    own = {f"{host.file}:{host.line}" for host in observer.site.serving}
    found: dict[tuple[str, str], str] = {}
    silent = []
    for (endpoint, _path), answer, (file, place) in zip(questions, observer.ask_all(questions), about):
        turned_away = _REFUSES_UNTRUSTED in answer.error or (place not in own and _HANGS_UP in answer.error)
        if not answer.status and not turned_away:
            silent.append(f"{endpoint.url('')} ({answer.error})")
        if _is(answer, file, heads[file]):
            found.setdefault((file, place), f"{answer.url} gives away {shown(file)} (virtual host at {place})")
    if found:
        worst = list(heads)
        return _verdict([found[key] for key in sorted(found, key=lambda key: worst.index(key[0]))], "")
    aside = _served_aside(observer) or _led_into(observer, root)
    if aside:
        return failed(aside)
    if not questions:
        raise Unseen("none of the virtual hosts of this host can be called")
    if silent:
        raise Unseen(f"{silent[0]} gave no answer, so what it gives away is not known")
    names = sorted({endpoint.url("") for endpoint, _path in questions})
    tried = (
        f"{len(questions)} ways to {', '.join(sorted(map(shown, heads))[:_FEW])} and others were tried under "
        f"{first_of(names, _FEW)}; none gave anything away"
    )
    if not observer.as_root and not all(heads.values()):
        return not_assessed(f"{tried}, but without root not every file can be recognised in an answer.")
    return passed(f"{tried}.")


def _served_aside(observer: Observer) -> str:
    """How visitors come to a page of the portal past the rules of its own virtual host."""
    for side in observer.side_endpoints:
        # Our lines count in all of a virtual host, and are written for paths that begin at the document root.
        if not side.start and (side.host.includes_ours or side.host in observer.site.answering):
            continue
        answer = observer.ask(side.endpoint, f"{side.start}/index.php")
        if 0 < answer.status < 400 and not side.sends_on(answer):
            return f"{answer.url} answers {answer.status}. {observer.closing(side)}"
    return ""


def _led_into(observer: Observer, root: str) -> str:
    """An alias, or a link below a document root, by which a web server serves what is not public."""
    for host in observer.site.virtual_hosts:
        links: list[tuple[str, str]] = []
        if os.path.isdir(host.root or "/nonexistent") and os.path.realpath(host.root) != f"{root}/public":
            with os.scandir(host.root) as entries:
                links = [(f"/{one.name}", one.path) for one in entries if one.is_symlink()]
        for path, directory in [*((one.path, one.directory) for one in host.aliases), *links]:
            real = os.path.realpath(directory)
            private = f"{real}/".startswith(f"{root}/") and not f"{real}/".startswith(f"{root}/public/")
            around = real != "/" and f"{root}/".startswith(f"{real}/")
            if private or around:
                return f"{path} leads into {shown(real)} (virtual host at {host.file}:{host.line}). Remove that."
    return ""


def _heads(observer: Observer, root: str) -> Mapping[str, bytes]:
    """What should not be reachable, worst first, with its first bytes; without them where this user may not read it."""
    here = glob.escape(root)
    desired = sorted(glob.glob(f"{here}/.env*"))[:_FEW]
    desired += [f"{root}/{path}" for path in ("config/jwt/private.pem", ".git/HEAD", ".git/config")]
    try:
        seen = observer.once(tree)
    except Unseen:
        seen = Seen()
    desired += [
        f"{root}/{path}" for path in seen.stored[:1] + seen.left[:_FEW] + ["composer.json"] + seen.templates[:2]
    ]
    desired += sorted(glob.glob(f"{here}/public/documentation/*.*"))[:1]
    return {
        os.path.relpath(path, root): head(path, _HEAD, observer.site.php.user)
        for path in desired
        if os.path.isfile(path)
    }


def _quoted(path: str) -> str:
    """As a browser asks for it: ``#``, ``?`` and ``%`` mean something else in an address."""
    return quote(os.fsencode(path))


def _ways(root: str, served: str, heads: Mapping[str, bytes]) -> Iterable[tuple[str, str]]:
    """Paths that could lead to each file, for a virtual host that serves a directory."""
    public = f"{root}/public"
    for file in heads:
        if f"{root}/{file}".startswith(f"{served}/"):
            yield f"/{_quoted(os.path.relpath(f'{root}/{file}', served))}", file
        elif served == public:
            yield f"/{_quoted(file)}", file
    secret = next((file for file in heads if file.startswith(".env")), "")
    if not secret:
        return
    if served == public:
        tricks = [
            f"//{secret}",
            f"/%2e{secret[1:]}",
            f"/../{secret}",
            f"/%2e%2e/{secret}",
            f"/build/..%2f..%2f{secret}",
        ]
    elif f"{root}/".startswith(f"{served}/"):
        start = root[len(served) :]
        tricks = [f"/{start}/{secret}", f"{start}/%2e{secret[1:]}"]
    else:  # another site: an alias would usually carry the directory's name
        tricks = [f"/{secret}", f"/{os.path.basename(root)}/{secret}"]
    yield from ((trick, secret) for trick in tricks)


def _is(answer: Answer, file: str, head: bytes) -> bool:
    """Whether the answer is that file. A front controller answers 200 to anything, so the content has to agree."""
    if answer.status not in (200, 206):
        return False
    if head:
        return answer.body.startswith(head) if len(head) == _HEAD else answer.body == head
    pattern = rb"\A(?:#.*\n|\s)*[A-Z_]+=" if file.startswith(".env") else rb"\A-----BEGIN|\Aref: refs/|\A\[core\]"
    return bool(re.search(pattern, answer.body))
