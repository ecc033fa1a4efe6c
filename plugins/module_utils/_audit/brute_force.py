# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks what stops password guessing: the application's lock and CAPTCHA, and the running fail2ban.

No login is tried. One harmless page request shows in which file, and in which form, visitors are logged; lines of
that form, turned into failed logins, are then given to the expressions that the jails run with.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import subprocess
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from .._application.observer import Endpoint, Observer, Unseen
from .._brute_force import fail2ban as brute_force_fail2ban
from .._brute_force.fail2ban import Fail2banError, Jail
from .._common.begun import Begun
from .._common.control import PASS, Finding, check, failed, not_applicable, passed
from .._common.paths import tail
from .._common.sentences import first_of
from ._log_writer import Writer
from ._networks import much_of_the_internet, within
from .host_jobs import RECORDS
from .passwords import on_every_portal, whole_number

# Access logs where a virtual host names none.
USUAL_LOGS = (
    "/var/log/nginx/access.log",
    "/var/log/apache2/access.log",
    "/var/log/apache2/other_vhosts_access.log",
)
LOGINS = ("/login_json", "/login/ldap/check", "/api/authentication_token")
_OF_THREE = ("/oauth/token", "/oauth/register")  # since 3.0
_INTERFACES = {"mcp": "mcp_enabled", "oauth": "oauth_server_enabled", "external_api": "external_api_enabled"}
UNLOCK = ("/usr/local/sbin/chamilo-hardening", "/usr/local/sbin/chamilo-unlock")
GUESSER, VICTIM = "203.0.113.66", "198.51.100.77"  # addresses for documentation: no client has them
FRIENDS = f"{RECORDS}/friends"  # the section's jail spares for a day each address that has an entry there
_MOST_ATTEMPTS = 10
_SLOWED = "/.well-known/chamilo-hardening/brute_force/pace"
_LOCK_WINDOW = 900  # seconds for which Chamilo counts failed logins of an account
_LOG_BYTES = 1 << 18
_PATIENCE = 1.0  # seconds until a request is in the log
_FORGED = f'{VICTIM} - - [] "POST {LOGINS[0]} HTTP/1.1" 401 0 "-" "-"'
_REQUEST = re.compile(r'^(?P<before>.*?)"GET (?P<path>\S+) (?P<protocol>HTTP/[\d.]+)" (?P<status>\d{3})(?P<after>.*)$')
_ADDRESS = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:]+:[0-9a-fA-F]*)(?![\w.:])")


# ------------------------------------------------------------------------------------------ the application


@check("brute_force_lock")
def lock(observer: Observer) -> Finding:
    def locks_after(least: int, desired: str) -> Finding:
        return on_every_portal(
            observer,
            "security.login_max_attempt_before_blocking_account",
            lambda value: least <= whole_number(value) <= _MOST_ATTEMPTS,
            desired,
        )

    found = locks_after(1, f"a number from 1 to {_MOST_ATTEMPTS} (0 is off)")
    if found.status != PASS:
        return found
    most, jail = max(((_before_a_ban(jail), jail.name) for jail in observer.once(banning)), default=(0, ""))
    if not jail:
        return found
    late = locks_after(
        most + 1,
        f"above {most}, as often as one address may fail in {_LOCK_WINDOW // 60} minutes before the jail {jail} bans "
        "it, or an attacker can lock any account",
    )
    if late.status != PASS:
        return late
    if not any(_slows(observer, endpoint) for endpoint in _own_doors(observer)):
        return failed(
            f"{found.evidence} The jail {jail} bans one address after {most} at most, but that takes a second or two, "
            "and what came meanwhile is tried: an attacker who sends many guesses at once can lock any account. The "
            f"web server has to slow down {LOGINS[2]}, where no CAPTCHA asks (role brute_force)."
        )
    return passed(
        f"{found.evidence} The jail {jail} bans one address before, after {most} at most, and the web server slows "
        "down many guesses at once where no CAPTCHA asks."
    )


def _own_doors(observer: Observer) -> list[Endpoint]:
    """Past any proxy: what is asked there answers this host alone."""
    own = [endpoint for host in observer.site.serving for endpoint in observer.doors_of(host, observer.site.domain)]
    return own or list(observer.endpoints.values())


def _slows(observer: Observer, endpoint: Endpoint) -> bool:
    """Whether an address that guesses has to wait before an account is locked.

    No login is tried: a path for this host alone is slowed down in the same way.
    """
    for turn in range(_MOST_ATTEMPTS - 1):
        status = observer.ask(endpoint, f"{_SLOWED}?{turn}").status
        if status != 404:
            return status == 503
    return False


def banning(observer: Observer) -> list[Jail]:
    """The jails that read the portal's access logs."""
    files = {os.path.realpath(host.access_log_file) for host in observer.site.answering or observer.site.fallback}
    return [
        jail
        for jail in observer.once(jails) or []
        if files & set(map(os.path.realpath, jail.files)) and not much_of_the_internet(jail.friends)
    ]


def _before_a_ban(jail: Jail) -> int:
    """How often one address fails at most within the time for which Chamilo counts: bans end, and counts begin anew."""
    bans = -(-_LOCK_WINDOW // jail.seconds) if jail.seconds > 0 else 1
    windows = -(-_LOCK_WINDOW // max(jail.window, 1))
    return max(jail.attempts * bans, (jail.attempts - 1) * windows + 1)


@check("brute_force_captcha")
def captcha(observer: Observer) -> Finding:
    return on_every_portal(observer, "security.allow_captcha", lambda value: value == "true", "'true'")


@check("brute_force_interfaces")
def interfaces(observer: Observer) -> Finding:
    if not observer.site.major:
        raise Unseen("the installed version is not known, and only Chamilo 3.0 and later have these interfaces")
    if observer.site.major < 3:
        return not_applicable("Chamilo has these interfaces since 3.0, and this one is older.")
    declared = observer.options["interfaces"]
    found = [
        on_every_portal(observer, f"security.{setting}", lambda value: value in ("", "false"), "'false'")
        for name, setting in _INTERFACES.items()
        if name not in declared
    ]
    wrong = [one.evidence for one in found if one.status != PASS]
    if wrong:
        return failed(f"{' '.join(wrong)} Nothing declares these interfaces as used.")
    used = f"Declared as used: {', '.join(declared)}." if declared else "No interface is declared as used."
    return passed(" ".join([*(one.evidence for one in found), used]))


@check("brute_force_captcha_block")
def captcha_block(observer: Observer) -> Finding:
    settings = ("captcha_number_mistakes_to_block_account", "captcha_time_to_block")
    found = [
        on_every_portal(observer, f"security.{name}", lambda value: whole_number(value) > 0, "a number above 0")
        for name in settings
    ]
    worst = failed if any(finding.status == "fail" for finding in found) else passed
    return worst(" ".join(finding.evidence for finding in found))


# ------------------------------------------------------------------------------------------------ fail2ban


@dataclass(frozen=True)
class Log:
    """Where and how one door of the portal writes its visitors down."""

    endpoint: Endpoint
    files: tuple[str, ...]
    line: str  # of our own request, as it stands there
    address: str  # the client's, as the log has it

    @property
    def file(self) -> str:
        return self.files[0]

    def failure(self, path: str = LOGINS[0], status: int = 401, method: str = "POST", keep: bool = False) -> str:
        """The line that a request from ``GUESSER`` would leave. ``keep``: with what we planted in it."""
        found = _REQUEST.match(self.line)
        if found is None or not self.address:
            raise Unseen(f"the lines of {self.file} have a form that is not understood: {self.line[:120]!r}")
        before = found["before"].replace(self.address, GUESSER, 1)
        after = found["after"] if keep else re.sub(r'"(?:[^"\\]|\\.)*"', '"-"', found["after"])
        return f'{before}"{method} {path} {found["protocol"]}" {status}{after}'


def logs(observer: Observer) -> list[Log]:
    """One request at each door that serves the portal, and the line it left."""
    files = _files(observer)
    found = [_trace(observer, endpoint, files) for endpoint in observer.endpoints.values()]
    kept = [log for log in found if log is not None]
    # A further name counts where its virtual host writes to another log.
    for endpoint in observer.further_doors:
        log = _trace(observer, endpoint, files)
        kept += [log] if log and log.file not in [known.file for known in kept] else []
    if not kept:
        raise Unseen(f"nothing on this host serves {observer.site.domain}, so no log of its visitors was found")
    return kept


def _trace(observer: Observer, endpoint: Endpoint, files: list[str]) -> Log | None:
    token = f"chamilo-hardening-{secrets.token_hex(8)}"
    headers = {"User-Agent": f'" {_FORGED}', "Referer": f'" 401 0 "{_FORGED}', "X-Forwarded-For": VICTIM}
    answer = observer.ask(endpoint, f"/login?{token}", headers=headers)
    if not answer.status:
        raise Unseen(f"{endpoint.url('/login')} gave no answer: {answer.error}")
    if answer.status in (301, 302, 307, 308) and answer.value("Location").startswith("https:"):
        return None  # no login happens at this endpoint
    end = time.monotonic() + _PATIENCE
    lines: dict[str, str] = {}
    while not any(map(_REQUEST.match, lines.values())) and time.monotonic() < end:
        time.sleep(0.01 if not lines else 0.05)
        lines = {
            file: line
            for file, line in ((file, _line_with(token, file, observer.site.php.user)) for file in files)
            if line
        }
    # An error log can contain the same request; that is not where logins are written.
    access = {file: line for file, line in lines.items() if _REQUEST.match(line)} or lines
    if not access:
        raise Unseen(
            f"a request to {endpoint.url('/login')} left no line in {first_of(files) or 'any log that is known'}"
        )
    line = next(iter(access.values()))
    addresses = _ADDRESS.findall(line.partition('"')[0])
    return Log(endpoint, tuple(access), line, addresses[0] if addresses else "")


def _line_with(token: str, file: str, web_user: str) -> str:
    text = tail(file, _LOG_BYTES, web_user)
    at = text.rfind(token.encode())
    end = text.find(b"\n", at)
    # Without its end a line is still being written.
    return "" if at < 0 or end < 0 else text[text.rfind(b"\n", 0, at) + 1 : end].decode("utf-8", "replace")


def _files(observer: Observer) -> list[str]:
    """Where access logs may be: what the virtual hosts name, what jails read, and the usual places."""
    named = [host.access_log_file for host in observer.site.virtual_hosts]
    watched = [file for jail in observer.once(jails) or [] for file in jail.files]
    known = (os.path.realpath(path) for path in (*named, *watched, *USUAL_LOGS) if path.startswith("/"))
    return [path for path in dict.fromkeys(known) if os.path.isfile(path)]


def jails(observer: Observer) -> list[Jail] | None:
    if not observer.as_root:
        raise Unseen("the running fail2ban answers root only")
    try:
        return brute_force_fail2ban.running()
    except Fail2banError as problem:
        raise Unseen(str(problem)) from problem


def _reads_own(observer: Observer, jail: Jail) -> bool:
    """Whether a jail reads what the application itself writes."""
    own = os.path.join(os.path.realpath(observer.site.root), "var/log/") if observer.site.root else ""
    return bool(own) and any(os.path.realpath(file).startswith(own) for file in jail.files)


def _reads(jail: Jail, log: Log) -> bool:
    return any(os.path.realpath(file) in log.files for file in jail.files)


def watching(observer: Observer) -> list[Jail]:
    """The jails that read what visitors of the portal can write to."""
    found, visitors = observer.once(jails) or [], observer.once(logs)
    return [jail for jail in found if _reads_own(observer, jail) or any(_reads(jail, log) for log in visitors)]


def engine(_observer: Observer) -> Begun:
    return brute_force_fail2ban.engine()


def counted(observer: Observer) -> dict[tuple[str, str], list[str]]:
    """Jail and line -> the addresses that the jail would count for it. The engine is started once for all."""
    lines = [line for log in observer.once(logs) for line in (*_attempts(observer, log), *_harmless(log))]
    lines += [line for log in observer.once(logs) for _label, line in _forgeries(log)]
    found = observer.once(watching)
    try:
        answers = brute_force_fail2ban.matches(observer.once(engine), found, lines)
    except Fail2banError as problem:
        raise Unseen(str(problem)) from problem
    return {
        (jail.name, line): addresses for jail, answer in zip(found, answers) for line, addresses in zip(lines, answer)
    }


def _logins(observer: Observer) -> tuple[str, ...]:
    return (*LOGINS, *(_OF_THREE if observer.site.major >= 3 else ()))


def _attempts(observer: Observer, log: Log) -> list[str]:
    return [log.failure(path) for path in _logins(observer)]


def _harmless(log: Log) -> list[str]:
    return [log.failure(status=200), log.failure("/", 200, "GET")]


@check("brute_force_fail2ban", prepare=engine)
def fail2ban(observer: Observer) -> Finding:
    found = observer.once(jails)
    if found is None:
        return failed(
            f"fail2ban {'does not run' if brute_force_fail2ban.is_installed() else 'is not installed'} on this host."
        )
    visitors = observer.once(logs)
    proxies = [log for log in visitors if within(log.address, observer.options["trusted_proxies"])]
    if proxies:
        return failed(
            f"{proxies[0].file} shows the proxy {proxies[0].address} instead of the visitors, so it is of no use."
        )
    for log in visitors:
        readers = [jail for jail in found if _reads(jail, log)]
        if not readers:
            own = first_of(file for jail in found if _reads_own(observer, jail) for file in jail.files)
            hint = f" {own} is read, but no line there names the address of every failed login." if own else ""
            return failed(
                f"Running jails: {first_of((jail.name for jail in found), 10) or 'none'}. None reads {log.file}, where "
                f"logins over {log.endpoint.scheme} are written.{hint}"
            )
        answers = observer.once(counted)
        guards = [jail for jail in readers if any(answers[jail.name, line] for line in _attempts(observer, log))]
        missed = [
            path
            for path, line in zip(_logins(observer), _attempts(observer, log))
            if not any(answers[jail.name, line] == [GUESSER] for jail in readers)
        ]
        if missed:
            seers = first_of(jail.name for jail in guards or readers)
            return failed(f"{seers} reads {log.file}, but does not see a failed login at {first_of(missed)}.")
        for jail in guards:
            if any(answers[jail.name, line] for line in _harmless(log)):
                return failed(f"The jail {jail.name} also counts requests that are no failed logins.")
            trouble = _toothless(observer, jail)
            if trouble:
                return failed(f"The jail {jail.name} reads {log.file} and sees failed logins, but {trouble}.")
        guard = guards[0]
    hidden = next(filter(None, (_behind_a_script(observer, log.endpoint) for log in visitors)), "")
    if hidden:
        return failed(
            f"{hidden}: behind an older script Chamilo tries passwords as well, and no log shows their result. Have "
            "the web server refuse the login paths there."
        )
    lasts = f"for {guard.seconds} s" if guard.seconds >= 0 else "for ever"
    return passed(
        f"The jail {guard.name} reads {first_of(log.file for log in visitors)}, where our own request showed up, sees "
        f"failed logins on all {len(_logins(observer))} paths, and bans {lasts} after {guard.attempts} in "
        f"{guard.window} s by {first_of(guard.actions)}."
    )


_OLDER = "/main/auth/lostPassword.php"  # as good as any other


def _behind_a_script(observer: Observer, endpoint: Endpoint) -> str:
    """What a login path behind an older script answers, where it is let in there."""
    answers = ((path, observer.ask(endpoint, f"{_OLDER}{path}").status) for path in _logins(observer))
    return next((f"{_OLDER}{path} answers {status}" for path, status in answers if status not in (403, 404)), "")


_REFUSES = "/.well-known/chamilo-hardening/brute_force/banned"  # answers this host alone, where the web server refuses


def _toothless(observer: Observer, jail: Jail) -> str:
    """Why a jail that sees everything would still not ban, or an empty text."""
    most = int(observer.options["attempts"])
    tools = {name: tool for name, tool in ((name, _tool(ban)) for name, ban in jail.actions.items()) if tool}
    if jail.attempts > most:
        return f"bans only after {jail.attempts} of them, not after {most}"
    if jail.window < 60:
        return f"forgets them after {jail.window} s"
    if 0 <= jail.seconds < 60:
        return f"bans for {jail.seconds} s only"
    if much := much_of_the_internet(jail.friends):
        return f"never bans {first_of(jail.friends, 10)}, which is {much} (ignoreip)"
    if not tools:
        return f"no action of it ({first_of(jail.actions) or 'it has none'}) refuses packets"
    # Packets of clients behind a proxy bear the proxy's address. The web server can refuse, or the proxy itself.
    further = {name: ban for name, ban in jail.actions.items() if name not in tools and "mail" not in ban}
    if observer.options["trusted_proxies"]:
        if not further:
            return f"{first_of(tools)} refuses packets alone, and those of clients behind a proxy come from the proxy"
        if not further.get(jail.name, "").startswith("touch "):
            raise Unseen(f"whether {first_of(further)} has the proxy or the web server refuse clients behind a proxy")
        if not _web_server_refuses(observer):
            return f"the web server does not check for the files that {jail.name} makes for banned clients"
    missing = [tool for tool in tools.values() if shutil.which(tool, path="/usr/sbin:/sbin:/usr/bin:/bin") is None]
    return f"{missing[0]}, by which it bans, is not installed" if missing else ""


def _web_server_refuses(observer: Observer) -> bool:
    """Whether the web server checks for banned clients."""
    return any(observer.ask(endpoint, _REFUSES).status == 204 for endpoint in _own_doors(observer))


def _tool(command: str) -> str:
    """The program of the firewall that a ban calls, or an empty text."""
    found = re.search(r"(?:^|[\s;&|/<])(nft|ip6?tables|ipset|ufw|firewall-cmd|shorewall|ip route)[\s>]", command)
    return found[1].split()[0] if found else ""


@check("brute_force_forgery", prepare=engine)
def forgery(observer: Observer) -> Finding:
    if observer.once(jails) is None:
        return not_applicable("No fail2ban runs here, so no other client can be banned by forged lines.")
    readers, visitors = observer.once(watching), observer.once(logs)
    if not readers:
        return not_applicable("No running jail reads what visitors write, so none can be made to ban others.")
    if own := next((jail for jail in readers if _reads_own(observer, jail)), None):
        return failed(
            f"The jail {own.name} reads what the application writes, where a line break in the user name of a failed "
            "login forges a whole line: an attacker can have any address banned."
        )
    if believed := believes(visitors, observer.options["trusted_proxies"]):
        return failed(f"{believed} So this header can have any address banned.")
    tried = [
        (jail.name, label, line)
        for jail in readers
        for log in visitors
        if _reads(jail, log)
        for label, line in _forgeries(log)
    ]
    answers = observer.once(counted)
    fooled = [f"{jail}, by {label}" for jail, label, line in tried if set(answers[jail, line]) - {GUESSER}]
    if fooled:
        return failed(f"An attacker can have the address of another client banned: {first_of(dict.fromkeys(fooled))}.")
    for jail in readers:
        for file in sorted(set(map(os.path.realpath, jail.files))):
            if way := observer.once(Writer).way_into(file):
                return failed(f"PHP's user can write what the jail {jail.name} reads, and so ban any address: {way}.")
    labels = first_of(dict.fromkeys(label for _jail, label, _line in tried), 10)
    return passed(
        f"{first_of(jail.name for jail in readers)} took a wrong address from none of {len(tried)} forged lines "
        f"({labels}), X-Forwarded-For of clients is not trusted in the log, and PHP's user cannot write it, nor "
        "after its rotation."
    )


def believes(visitors: Iterable[Log], proxies: Collection[str]) -> str:
    """Whether the web server takes a client's word for its address; else an empty text."""
    for log in visitors:
        if log.address == VICTIM and not within(log.endpoint.address, proxies):
            return (
                f"The web server takes the visitor's address from X-Forwarded-For of any client ({log.file}). Name "
                "your proxies alone in set_real_ip_from (nginx) or RemoteIPTrustedProxy (Apache)."
            )
    return ""


def _forgeries(log: Log) -> list[tuple[str, str]]:
    """Lines an attacker can cause in an access log, with the victim's address in each part the attacker controls."""
    escaped = _FORGED.replace('"', r"\x22" if r"\x22" in log.line else r"\"")
    in_url = escaped.replace(" ", "%20")
    plain = log.failure()
    before, _quote, rest = plain.partition('"')

    def as_user(text: str) -> str:
        return f'{before.replace(" - - [", f" - {text} [")}"{rest}'

    return [
        ("referer and user agent", log.failure("/login", 200, "GET", keep=True)),
        ("referer and user agent of a failed login", log.failure(keep=True)),
        ("the query", log.failure(f"{LOGINS[0]}?{in_url}")),
        ("the path", log.failure(f"/{in_url}", 404, "GET")),
        ("the request line", f'{before}"{escaped}" 400 0 "-" "-"'),
        ("the basic-auth user", as_user(VICTIM)),
        ("the basic-auth user", as_user(escaped)),
    ]


@check("brute_force_friends")
def friends(observer: Observer) -> Finding:
    if observer.once(jails) is None:
        return not_applicable("No fail2ban runs here, so no client is banned.")
    readers = observer.once(watching)
    if not readers:
        return not_applicable("No running jail reads what visitors of the portal write, so none bans them.")
    own = ["127.0.0.1", "::1"]
    controller = str(observer.options["controller"] or observer.site.managed_from)
    declared = [
        *own,
        *(str(one) for option in ("trusted_proxies", "friends") for one in observer.options[option]),
    ]
    declared += [controller] if controller else []
    noted = bool(controller) and os.path.exists(os.path.join(FRIENDS, controller))
    day = ""
    for jail in readers:
        spared = [*jail.friends, *([*own, *observer.site.addresses] if jail.spares_itself else [])]
        missing = [friend for friend in declared if not within(friend, spared)]
        # How old the note is does not count: the role renews it in each run, before it arms the jail.
        if noted and FRIENDS in jail.friend_command and controller in missing:
            missing.remove(controller)
            day = f" It spares {controller} for a day after each run of the role."
        if missing:
            managed = f" This host is managed from {controller}." if controller in missing else ""
            return failed(
                f"The jail {jail.name} could ban {first_of(missing)}: not among those it never bans.{managed}"
            )
    return passed(
        f"{first_of(jail.name for jail in readers)} never bans {first_of(declared, 10)}"
        f"{'' if len(declared) > 2 else '; no network, proxy or controller was declared'}.{day}"
    )


def _unlocker(observer: Observer) -> tuple[list[str], Begun] | Finding:
    """The command that unlocks an account, and its help; or why it must not be run as root."""
    program = next((path for path in UNLOCK if os.path.lexists(path)), "")
    if not program:
        return failed(f"There is no program that unlocks an account: neither {' nor '.join(UNLOCK)}.")
    try:
        status = os.stat(program)
    except OSError as problem:
        return failed(f"{program} cannot be used: {problem.strerror}.")
    if status.st_uid != 0 or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return failed(f"{program} can be changed by others than root, so root must not run it.")
    if not status.st_mode & stat.S_IXUSR:
        return failed(f"{program} cannot be run: mode {stat.S_IMODE(status.st_mode):o}.")
    if not observer.as_root:
        raise Unseen(f"whether {program} works can be tried as root only")
    words = [program] if program.endswith("unlock") else [program, "unlock"]
    return words, Begun([*words, "--help"])


@check("brute_force_unlock", prepare=_unlocker)
def unlock(observer: Observer) -> Finding:
    found = observer.once(_unlocker)
    if isinstance(found, Finding):
        return found
    words, program = found
    try:
        code, text, _errors = program.answer(b"", 5)
    except subprocess.TimeoutExpired:
        code, text = 124, b""
    if code or b"unlock" not in text.lower():
        return failed(f"{words[0]} has no command that unlocks an account: `{' '.join(words)} --help` gives no help.")
    return passed(f"{' '.join(words)} is there, belongs to root, and only root can change it.")
