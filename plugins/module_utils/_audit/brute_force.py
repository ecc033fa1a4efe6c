# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks what stops password guessing: the application's lock and CAPTCHA, and the running fail2ban.

No login is tried. A harmless request of each login's path shows what the web server writes to the journal about it;
these lines, turned into failed logins, are then given to the expressions that the jails run with.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from .._application.observer import Endpoint, Observer, Unseen
from .._brute_force import fail2ban as brute_force_fail2ban
from .._brute_force.fail2ban import Fail2banError, Jail
from .._common import services
from .._common.begun import Begun
from .._common.control import PASS, Finding, check, failed, not_applicable, passed, waiting
from .._common.http import MOVED
from .._common.networks import counted as of_network
from .._common.networks import within
from .._common.recurring import note
from .._common.sentences import first_of
from .._host.processes import output
from ._networks import much_of_the_internet
from .host_jobs import RECORDS, is_enabled
from .passwords import on_every_portal, whole_number
from .permissions import may_become_root

LOGINS = ("/login_json", "/login/ldap/check", "/api/authentication_token")
_INTERFACES = {"mcp": "mcp_enabled", "oauth": "oauth_server_enabled", "external_api": "external_api_enabled"}
UNLOCK = ("/usr/local/sbin/chamilo-hardening", "/usr/local/sbin/chamilo-unlock")
GUESSER, VICTIM = "203.0.113.66", "198.51.100.77"  # addresses for documentation: no client has them
FRIENDS = f"{RECORDS}/friends"  # the section's jail spares for a day each address that has an entry there
_MOST_ATTEMPTS = 10
_SLOWED = "/.well-known/chamilo-hardening/brute_force/pace"
_LOCK_WINDOW = 900  # seconds for which Chamilo counts failed logins of an account
_PATIENCE = 5.0  # seconds until a request is in the journal, on a busy host
_PAUSE = 0.1
_WAITED = 0.7  # seconds that no answer takes by itself
_MOST_ENTRIES = 1000
_LINE = re.compile(r"\A(?P<address>[0-9A-Fa-f.:/]{2,50}) (?P<before>(?:.*\D)?)(?P<status>\d{3})")


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
    jails_ = [jail for jail in watching(observer) if jail.journal and not much_of_the_internet(jail.friends)]
    most, jail = max(((_before_a_ban(jail), jail.name) for jail in jails_), default=(0, ""))
    if not jail:
        return found
    late = locks_after(
        most + 1,
        f"above {most}, as often as one address may fail in {_LOCK_WINDOW // 60} minutes before the jail {jail} bans "
        "it, or an attacker can lock any account",
    )
    if late.status != PASS:
        return late
    before = f"{found.evidence} The jail {jail} bans one address before, after {most} at most"
    if observer.site.web.name == "apache":
        return waiting(
            f"{before}. That takes a second or two, and Apache has nothing that slows down one address: who sends many "
            f"guesses at once to {LOGINS[2]}, where no CAPTCHA asks, can lock an account all the same.",
            "For a person: have a proxy in front slow down that path, or waive this control, and know how to unlock: "
            "chamilo-hardening unlock.",
        )
    if not any(_slows(observer, endpoint) for endpoint in _own_doors(observer)):
        return failed(
            f"{found.evidence} The jail {jail} bans one address after {most} at most, but that takes a second or two, "
            "and what came meanwhile is tried: an attacker who sends many guesses at once can lock any account. The "
            "web server has to let them wait where no CAPTCHA asks (role brute_force)."
        )
    return passed(f"{before}, and many guesses at once have to wait where no CAPTCHA asks, as measured.")


def _own_doors(observer: Observer) -> list[Endpoint]:
    """Past any proxy: what is asked there answers this host alone."""
    own = [endpoint for host in observer.site.serving for endpoint in observer.doors_of(host, observer.site.domain)]
    return own or list(observer.endpoints.values())


def _slows(observer: Observer, endpoint: Endpoint) -> bool:
    """Whether an address that guesses has to wait before an account is locked.

    No login is tried: a path for this host alone is slowed down in the same way.
    """
    for turn in range(_MOST_ATTEMPTS - 1):
        began = time.monotonic()
        status = observer.ask(endpoint, f"{_SLOWED}?{turn}").status
        if status != 404:
            return status == 503
        if time.monotonic() > began + _WAITED:
            return True
    return False


def _before_a_ban(jail: Jail) -> int:
    """How often one address fails at most within the time for which Chamilo counts: bans end, and counts begin anew."""
    bans = -(-_LOCK_WINDOW // jail.seconds) if jail.seconds > 0 else 1
    windows = -(-_LOCK_WINDOW // max(jail.window, 1))
    return max(jail.attempts * bans, (jail.attempts - 1) * windows + 1)


@check("brute_force_captcha")
def captcha(observer: Observer) -> Finding:
    found = on_every_portal(observer, "security.allow_captcha", lambda value: value == "true", "'true'")
    if not observer.database.two_factor():
        return found
    if found.status == PASS:
        return passed(f"{found.evidence} Nobody with a second factor can log in: the CAPTCHA locks them out.")
    return not_applicable(
        "Two-factor login is offered or used, and with Chamilo's CAPTCHA nobody who has it can log in. "
        "chamilo_brute_force_captcha: true switches the CAPTCHA on all the same."
    )


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
class Visit:
    """A request of a login's path that PHP answered, and what the web server wrote to the journal about it."""

    endpoint: Endpoint
    path: str
    status: int
    entry: Mapping[str, str]  # empty where it wrote nothing

    @property
    def address(self) -> str:
        """The client's, as it stands there."""
        found = _LINE.fullmatch(self.entry.get("MESSAGE", ""))
        return found["address"] if found else ""

    def line(self, status: int) -> str:
        """As fail2ban reads it, had ``GUESSER`` got that answer."""
        found = _LINE.fullmatch(self.entry["MESSAGE"])
        text = f"{GUESSER} {found['before']}{status}" if found else ""
        return f"{self.entry['_HOSTNAME']} {self.entry['SYSLOG_IDENTIFIER']}[{self.entry['_PID']}]: {text}"

    def read_by(self, jail: Jail) -> bool:
        """Whether the jail reads this entry."""
        return any(
            all(self.entry.get(name) == value for name, _is, value in (one.partition("=") for one in group))
            for group in jail.journal
        )


def visits(observer: Observer) -> list[Visit]:
    """One request for each login's path at each door that serves the portal."""
    observer.needs_root("read the journal of the web server")
    found: list[Visit] = []
    for endpoint in (*observer.endpoints.values(), *observer.further_doors):
        for path in LOGINS:
            visit = _visit(observer, endpoint, path)
            if visit is None:  # no login happens at this endpoint
                break
            found.append(visit)
            if not visit.entry:  # nor will there be one for the others
                return found
    if not found:
        raise Unseen(f"nothing on this host serves {observer.site.domain}, so nothing was seen of its visitors")
    return found


def _visit(observer: Observer, endpoint: Endpoint, path: str) -> Visit | None:
    began = time.time()
    # What a client claims. A GET tries no password.
    answer = observer.ask(endpoint, path, headers={"X-Forwarded-For": VICTIM})
    if not answer.status:
        raise Unseen(f"{endpoint.url(path)} gave no answer: {answer.error}")
    if answer.status in MOVED and answer.value("Location").startswith("https:"):
        return None
    entry: Mapping[str, str] = {}
    while not entry and time.time() < began + _PATIENCE:
        written = _journal(observer, began)
        # Nobody else gets this answer there: a browser sends a POST.
        lines = ((one, _LINE.fullmatch(one["MESSAGE"])) for one in written)
        entry = next((one for one, line in lines if line and line["status"] == str(answer.status)), {})
        if not entry:
            time.sleep(_PAUSE)
    return Visit(endpoint, path, answer.status, entry)


def _journal(observer: Observer, since: float) -> list[dict[str, str]]:
    """What the service of the web server wrote since then. The kernel vouches for the service."""
    asked = ["journalctl", "--no-pager", f"--lines={_MOST_ENTRIES}", "--output=json", f"--since=@{int(since)}"]
    code, output = services.run([*asked, f"_SYSTEMD_UNIT={_unit(observer)}"], 10)
    if code:
        raise Unseen(f"the journal cannot be read: {output.strip()[-200:]}")
    entries = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [
        {name: value for name, value in entry.items() if isinstance(value, str)}
        for entry in entries
        if isinstance(entry.get("MESSAGE"), str) and int(entry["__REALTIME_TIMESTAMP"]) >= since * 1_000_000
    ]


def _unit(observer: Observer) -> str:
    return f"{observer.site.web.service}.service"


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


def _reads_log(observer: Observer, jail: Jail) -> str:
    """An access log of the portal that a jail reads, or an empty text."""
    site = observer.site
    hosts = (*site.answering, *site.serving, *site.fallback)
    logs = {os.path.realpath(host.access_log_file) for host in hosts if host.access_log_file.startswith("/")}
    return next((file for file in jail.files if os.path.realpath(file) in logs), "")


def watching(observer: Observer) -> list[Jail]:
    """The jails that read what visitors of the portal have written: by the web server, or by the application."""
    unit = f"_SYSTEMD_UNIT={_unit(observer)}"
    return [
        jail
        for jail in observer.once(jails) or []
        if _reads_own(observer, jail)
        or _reads_log(observer, jail)
        or any(unit in group or (_named(group) and not _units(group)) for group in jail.journal)
    ]


def _named(group: Iterable[str]) -> bool:
    return any(one.startswith("SYSLOG_IDENTIFIER=") for one in group)


def _units(group: Iterable[str]) -> list[str]:
    return [one for one in group if one.startswith("_SYSTEMD_UNIT=")]


def engine(_observer: Observer) -> Begun:
    return brute_force_fail2ban.engine()


def counted(observer: Observer) -> dict[tuple[str, str], list[str]]:
    """Jail and line -> the addresses that the jail would count for it. The engine is started once for all."""
    lines = [visit.line(status) for visit in observer.once(visits) if visit.entry for status in (*_FAILED, *_HARMLESS)]
    found = watching(observer)
    try:
        answers = brute_force_fail2ban.matches(observer.once(engine), found, lines)
    except Fail2banError as problem:
        raise Unseen(str(problem)) from problem
    return {
        (jail.name, line): addresses for jail, answer in zip(found, answers) for line, addresses in zip(lines, answer)
    }


_FAILED, _HARMLESS = (401, 403, 429), (200, 302, 404, 405)  # how PHP answers a login


@check("brute_force_fail2ban", prepare=engine)
def fail2ban(observer: Observer) -> Finding:
    found = observer.once(jails)
    if found is None:
        return failed(
            f"fail2ban {'does not run' if brute_force_fail2ban.is_installed() else 'is not installed'} on this host."
        )
    visitors = observer.once(visits)
    silent = next((visit for visit in visitors if not visit.entry), None)
    if silent:
        return failed(
            f"{_unit(observer)} wrote nothing to the journal about a request to {silent.endpoint.url(silent.path)}, so "
            f"no failed login is seen there. Running jails: {first_of((jail.name for jail in found), 10) or 'none'}. A "
            "file does not show who wrote a line, and Chamilo's own log not the address of every failed login."
        )
    proxies = [visit for visit in visitors if within(visit.address, observer.options["trusted_proxies"])]
    if proxies:
        return failed(f"{_unit(observer)} writes the proxy {proxies[0].address} instead of the visitors.")
    for visit in visitors:
        where = visit.endpoint.url(visit.path)
        readers = [jail for jail in watching(observer) if visit.read_by(jail)]
        if not readers:
            names = first_of((jail.name for jail in found), 10) or "none"
            return failed(f"Running jails: {names}. None reads what {_unit(observer)} writes about logins at {where}.")
        answers = observer.once(counted)
        guards = [
            jail for jail in readers if all(answers[jail.name, visit.line(status)] == [GUESSER] for status in _FAILED)
        ]
        if not guards:
            return failed(f"{first_of(jail.name for jail in readers)} does not see each failed login at {where}.")
        for jail in readers:
            if any(answers[jail.name, visit.line(status)] for status in _HARMLESS):
                return failed(f"The jail {jail.name} also counts requests that are no failed logins.")
            trouble = _toothless(observer, jail)
            if trouble:
                return failed(f"The jail {jail.name} sees failed logins at {where}, but {trouble}.")
        guard = guards[0]
    hidden = next(filter(None, (_behind_a_script(observer, visit.endpoint) for visit in visitors)), "")
    if hidden:
        return failed(
            f"{hidden}: behind an older script Chamilo tries passwords as well, and no log shows their result. Have "
            "the web server refuse the login paths there."
        )
    lasts = f"for {guard.seconds} s" if guard.seconds >= 0 else "for ever"
    return passed(
        f"The jail {guard.name} reads what {_unit(observer)} writes to the journal, where our own requests showed up, "
        f"sees failed logins on all {len(LOGINS)} paths, and bans {lasts} after {guard.attempts} in "
        f"{guard.window} s by {first_of(guard.actions)}."
    )


_OLDER = "/main/auth/lostPassword.php"  # as good as any other


def _behind_a_script(observer: Observer, endpoint: Endpoint) -> str:
    """What a login path behind an older script answers, where it is let in there."""
    answers = ((path, observer.ask(endpoint, f"{_OLDER}{path}").status) for path in LOGINS)
    return next((f"{_OLDER}{path} answers {status}" for path, status in answers if status not in (400, 403, 404)), "")


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
    if re.fullmatch(r"\s*(?:/\w+)*/?(?:true|:|exit 0)\s*", jail.friend_command):
        return f"a command spares every address ({jail.friend_command.strip()})"
    if not is_enabled("fail2ban"):
        return "fail2ban is not started when the host boots"
    if flushed := _flushed(jail):
        return f"{flushed} is banned, and no rule of the kernel has it"
    if not tools:
        return f"no action of it ({first_of(jail.actions) or 'it has none'}) refuses packets"
    # Packets of clients behind a proxy bear the proxy's address. The web server can refuse, or the proxy itself.
    further = {name: ban for name, ban in jail.actions.items() if name not in tools and "mail" not in ban}
    if observer.options["trusted_proxies"]:
        if not further:
            return f"{first_of(tools)} refuses packets alone, and those of clients behind a proxy come from the proxy"
        if "touch " not in further.get(jail.name, ""):
            raise Unseen(f"whether {first_of(further)} has the proxy or the web server refuse clients behind a proxy")
        if not _web_server_refuses(observer):
            return f"the web server does not check for the files that {jail.name} makes for banned clients"
    missing = [tool for tool in tools.values() if shutil.which(tool, path="/usr/sbin:/sbin:/usr/bin:/bin") is None]
    return f"{missing[0]}, by which it bans, is not installed" if missing else ""


def _flushed(jail: Jail) -> str:
    """An address that the jail bans by the firewall and that the firewall does not know any more."""
    banned = [one for one, names in brute_force_fail2ban.banned().items() if jail.name in names]
    if not banned or not any(map(_tool, jail.actions.values())):
        return ""
    rules = "".join(map(output, (["nft", "list", "ruleset"], ["iptables-save"], ["ip6tables-save"], ["ipset", "list"])))
    held = {one.partition("/")[0] for one in re.findall(r"[0-9A-Fa-f.:/]+", rules)}
    return next((one for one in banned if held and one.partition("/")[0] not in held), "")


def _web_server_refuses(observer: Observer) -> bool:
    """Whether the web server checks for banned clients."""
    return any(observer.ask(endpoint, _REFUSES).status == 204 for endpoint in _own_doors(observer))


def _tool(command: str) -> str:
    """The program of the firewall that a ban calls, or an empty text."""
    found = re.search(r"(?:^|[\s;&|/<])(nft|ip6?tables|ipset|ufw|firewall-cmd|shorewall|ip route)[\s>]", command)
    return found[1].split()[0] if found else ""


@check("brute_force_forgery")
def forgery(observer: Observer) -> Finding:
    if observer.once(jails) is None:
        return not_applicable("No fail2ban runs here, so no other client can be banned by forged lines.")
    readers = watching(observer)
    if not readers:
        return not_applicable("No running jail reads what visitors have written, so none can be made to ban others.")
    if own := next((jail for jail in readers if _reads_own(observer, jail)), None):
        return failed(
            f"The jail {own.name} reads what the application writes, where a line break in the user name of a failed "
            "login forges a whole line: an attacker can have any address banned."
        )
    for jail in readers:
        if log := _reads_log(observer, jail):
            return failed(
                f"The jail {jail.name} reads {log}. A file does not show who wrote a line, and PHP that runs as the "
                "web server's user reaches what a process of that has open, so it can have any address banned. Have "
                "the jail read the journal."
            )
    if believed := believes(observer.once(visits), observer.options["trusted_proxies"]):
        return failed(f"{believed} So this header can have any address banned.")
    if any(host.php == "mod_php" for host in observer.site.serving):
        return failed(
            "PHP runs within Apache (mod_php), and programs that it starts inherit what Apache writes to the journal "
            "by: they can have any address banned. Have Apache hand PHP to PHP-FPM, as Debian's package php-fpm does."
        )
    for jail in readers:
        for group in jail.journal:
            fault = "names no service (_SYSTEMD_UNIT)" if not _units(group) else ""
            if not _named(group):
                fault = fault or "names no program of it (SYSLOG_IDENTIFIER)"
            if fault:
                return failed(f"PHP can have any address banned: of the journal the jail {jail.name} {fault}.")
    vouched = f"The kernel vouches for who wrote what {first_of(jail.name for jail in readers)} reads"
    return passed(f"{vouched}, and X-Forwarded-For of clients is not trusted in it.")


def believes(visitors: Iterable[Visit], proxies: Collection[str]) -> str:
    """Whether the web server takes a client's word for its address; else an empty text."""
    for visit in visitors:
        if visit.address == VICTIM and not within(visit.endpoint.address, proxies):
            return (
                "The web server takes the visitor's address from X-Forwarded-For of any client. Name your proxies "
                "alone in set_real_ip_from (nginx) or RemoteIPTrustedProxy (Apache)."
            )
    return ""


@check("brute_force_friends")
def friends(observer: Observer) -> Finding:
    if observer.once(jails) is None:
        return not_applicable("No fail2ban runs here, so no client is banned.")
    readers = watching(observer)
    if not readers:
        return not_applicable("No running jail reads what visitors of the portal have written, so none bans them.")
    own = ["127.0.0.1", "::1"]
    controller = str(observer.options["controller"] or observer.site.managed_from)
    declared = [
        *own,
        *(str(one) for option in ("trusted_proxies", "friends") for one in observer.options[option]),
    ]
    declared += [controller] if controller else []
    noted = bool(controller) and os.path.exists(os.path.join(FRIENDS, note(controller)))
    day = ""
    for jail in readers:
        spared = [*jail.friends, *([*own, *observer.site.addresses] if jail.spares_itself else [])]
        missing = [friend for friend in declared if not within(of_network(friend) or friend, spared)]
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
    user = observer.site.php.user
    if user and (may := may_become_root(user)):
        return failed(f"{user}, who runs PHP, may run programs of root's: {may}.")
    return passed(f"{' '.join(words)} is there, belongs to root, and only root can change it.")
