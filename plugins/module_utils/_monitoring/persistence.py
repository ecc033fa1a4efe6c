# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Persistence: what an intruder with the rights of the web user can leave outside the portal's tree to return.

Nothing is trusted because of its name. What root alone can write was not planted by the web user; a cron line of the
web user's own is compared as a whole with the forms that Chamilo documents.
"""

from __future__ import annotations

import glob
import os
import pwd
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.chamilo.hardening.plugins.module_utils._common.sentences import first_of
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import privileges
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.traces import Budget, head, walk
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.tree import Identity, changeable, shown
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.observer import Observer
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.processes import (
    CRON_LIMIT,
    CRONTABS,
    Process,
    jobs,
    output,
    processes,
)

_SECONDS = 5.0  # for the directories below
_LARGE = 1 << 20  # bytes of one file
_SMALL = 1 << 16  # of a short one, and of what the kernel reports of a process
_NAMED = 5  # lines of one crontab
_LONG = 3600.0  # seconds; no page of the portal takes that long

_FETCHES = re.compile(r"\b(?:curl|wget|base64|nc|ncat|socat)\b|/dev/(?:tcp|shm)/|(?<![\w/])/tmp/|/var/tmp/")
LOOSE = ("/tmp/", "/var/tmp/", "/dev/shm/", "/run/shm/", "/memfd:")

# ---- cron lines: a schedule, one program of the portal's, plain words; no option of PHP's but its memory, no shell
_SCHEDULE = r"(?:@\w+|(?:[\w*/,~-]+ ){4}[\w*/,~-]+)"
_PHP = r"(?:/usr/bin/)?php[\d.]* (?:-[fq] |-d memory_limit=-?\w+ )*"
_WORD = r"[\w=.:/@,-]+"
_OUTPUT = r"(?: ?(?:&>|[12]?>>?) ?(?:&1|/dev/null|/[\w./-]+\.log))*"
# Of the console's, no environment but prod: the .env file of another one could have code read from anywhere.
_OPTIONS = rf"(?: (?:(?:--env[= ]|-e[= ]?)prod(?![^ ])|(?!--env\b|-\w*e){_WORD}))*{_OUTPUT}"
_SCRIPT = re.compile(rf"{_SCHEDULE} {_PHP}(/[\w./-]+\.php)(?: {_WORD})*{_OUTPUT}")
# Of the commands of Chamilo and Symfony, the harmless ones. app:file-integrity:baseline would accept a change.
_COMMAND = (
    r"(?:app:(?!file-integrity:(?!scan))[\w:-]+|chamilo:(?!update:(?!check)|security:)[\w:-]+|messenger:consume"
    r"|cache:(?:clear|warmup|pool:prune))"
)
_ASSIGNS = re.compile(r"""\s*["']?([A-Za-z_]\w*)["']?\s*=\s*(.*?)\s*""")
_BINARIES = r"/(?:usr/(?:local/)?)?s?bin"
_HARMLESS = {
    "MAILTO": r"[\w.@,+ -]*",
    "MAILFROM": r"[\w.@+-]*",
    "TZ": r"[\w/+-]*",
    "CRON_TZ": r"[\w/+-]*",
    "LANG": r"[\w.@-]*",
    "LC_ALL": r"[\w.@-]*",
    "HOME": r"/[\w./-]*",
    "SHELL": r"/(?:usr/)?bin/(?:sh|dash|bash)",
    "PATH": rf"{_BINARIES}(?::{_BINARIES})*",
    "APP_ENV": "prod",
}

# ---- what a command line starts: behind what only passes it on, and behind an interpreter its script
_SHELL_PARTS = re.compile(r"\|\||&&|[;|&\n(){}`]")
_PASSES_ON = frozenset(
    "nice ionice timeout flock env exec chronic nohup setsid sudo time command if then else do !".split()
)
_RUNS_SCRIPTS = re.compile(r"(?:ba|da|z)?sh|\.|source|(?:php|python|perl|ruby)[\d.]*|node|run-parts")
# Options with a value in the next word.
_WITH_VALUE = {
    "flock": re.compile(r"-[a-z]*[wE]|--(?:timeout|conflict-exit-code)"),
    "timeout": re.compile(r"-[a-z]*[ks]|--(?:kill-after|signal)"),
    "ionice": re.compile(r"-[a-z]*[cn]|--class(?:data)?"),
    "env": re.compile(r"-[a-z0]*[uC]|--(?:unset|chdir)"),
    "sudo": re.compile(r"-[A-Za-z]*[ghpCDRTrt]|--(?:group|host|prompt|chdir|chroot|role|type)"),
    "time": re.compile(r"-[a-z]*[of]|--(?:output|format)"),
    "exec": re.compile("-[cl]*a"),
    "php": re.compile(r"-[a-z]*[cdzt]|--(?:php-ini|define|zend-extension|docroot)"),
    "python": re.compile("-[A-Za-z]*[WX]"),
    "ruby": re.compile("-[a-z]*[Ir]"),
    "node": re.compile("-r|--(?:require|import|loader)"),
    **dict.fromkeys(("sh", "bash", "dash", "zsh"), re.compile("[-+][a-z]*[oO]")),
}
_SUDO_USER = re.compile(r"(?:-[ABbEeHiKklNnPSsv]*u|--user=?)(.*)")  # behind letters that have no value
_EXEC = re.compile(r"^[ \t]*Exec\w+[ \t]*=[ \t]*[-+!@:|]*(.*)$", re.M)
_USER = re.compile(r"^[ \t]*User[ \t]*=[ \t]*(\S+)", re.M)

# ---- places
_AT = ("/var/spool/cron/atjobs/*", "/var/spool/cron/atspool/*", "/var/spool/at/*")
_LINGER = "/var/lib/systemd/linger"
_SSHD = ("/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*.conf")
_KEYS = (".ssh/authorized_keys", ".ssh/authorized_keys2", ".shosts", ".rhosts")
_USER_UNITS = (
    ".config/systemd/user .local/share/systemd/user .config/user-tmpfiles.d .local/share/user-tmpfiles.d "
    ".local/share/dbus-1/services .config/autostart"
).split()
_OTHER_CRONS = ("/var/spool/incron", "/var/spool/fcron")
_STARTUP = (
    ".bashrc .bash_profile .bash_login .bash_logout .bash_aliases .profile .zshrc .zshenv .zprofile .zlogin .kshrc "
    ".cshrc .tcshrc .login .pam_environment .forward .procmailrc .config/fish/config.fish .config/environment.d/* "
    ".ssh/rc .ssh/config .vimrc .screenrc .tmux.conf .npmrc .yarnrc .yarnrc.yml .config/psysh/config.php "
    ".composer/composer.json .composer/vendor/autoload.php .config/composer/composer.json "
    ".config/composer/vendor/autoload.php .local/lib/python*/site-packages/* .config/ImageMagick/*.xml .magick/*.xml "
    ".config/libreoffice/*/user/basic/*/*.xba .msmtprc .config/msmtp/config "
    ".bash_completion .config/libreoffice/*/user/Scripts/*/* .config/libreoffice/*/user/uno_packages/cache/*/* "
    ".mailrc .node_modules/* .node_libraries/* .my.cnf .mylogin.cnf .curlrc .wgetrc .gnupg/gpg.conf .inputrc"
).split()
_SKELETON = "/etc/skel"
_GIT = (".gitconfig", ".config/git/config")
_GIT_RUNS = re.compile(
    rb"(?im)^[ \t]*(?:fsmonitor|hookspath|sshcommand|askpass|editor|pager|helper|textconv|clean|smudge|process|command"
    rb"|cmd|program|path)[ \t]*=|^[ \t]*\[[ \t]*(?:alias|include|includeif)\b|=[ \t]*!"
)
# What root runs, or goes by when it runs something.
_OF_ROOT = ("/etc", "/usr/local/bin", "/usr/local/sbin", "/usr/local/lib")
_UNITS = tuple(
    f"{directory}/{kind}"
    for directory in (
        "/etc/systemd/system",
        "/usr/local/lib/systemd/system",
        "/run/systemd/system",
        "/run/systemd/transient",
    )
    for kind in ("*.service", "*.timer", "*.d/*.conf")
)
_PRELOAD = "/etc/ld.so.preload"
_PHP_FILES = ("/etc/php/*/*/php.ini", "/etc/php/*/*/conf.d/*.ini")
_PHP_RUNS = re.compile(
    r"^[ \t]*(?:php_(?:admin_)?value\[)?(?:auto_(?:pre|ap)pend_file|opcache\.(?:preload|file_cache)|include_path"
    r"|(?:zend_)?extension(?:_dir)?|sendmail_path)\]?[ \t]*=[ \t]*[\"']?(/[^\"'\s;]+)",
    re.M,
)
_SERVER_FILES = ("/etc/nginx/*.conf", "/etc/nginx/*/*", "/etc/apache2/*.conf", "/etc/apache2/*/*")
_SERVER_RUNS = re.compile(
    r"^[ \t]*(?:include(?:optional)?|load_?module(?:[ \t]+\w+(?=[ \t]))?|loadfile|js_import|perl_(?:modules|require))"
    r"[ \t]+[\"']?(/[^\"'\s;]+)",
    re.M | re.I,
)
_MANAGERS = frozenset(f"{usr}/lib/systemd/systemd{part}" for usr in ("", "/usr") for part in ("", "-executor"))
_SESSION = frozenset("/usr/bin/dbus-daemon /usr/bin/dbus-broker-launch /usr/bin/gpg-agent /usr/bin/ssh-agent".split())
_INITS = frozenset(("systemd", "init"))
_SHELLS = frozenset("sh bash dash zsh nc ncat socat perl python python3 ruby".split())
_SERVERS = re.compile(r"/usr/sbin/(?:php-fpm[\d.]*|nginx|apache2)")
_DELETED = " (deleted)"  # an update replaced the file meanwhile
_CRONS = re.compile(r"/usr/s?bin/(?:crond?|atd)")


@dataclass
class Planted:
    """``signs`` of an intruder, ``gaps`` in what could be seen."""

    signs: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)

    def add(self, what: str, paths: Iterable[str], advice: str = "") -> None:
        listed = list(dict.fromkeys(paths))
        if listed:
            self.signs.append(f"{what}: {first_of(map(shown, listed), 3)}{advice}")


def planted(observer: Observer, users: Sequence[Identity]) -> Planted:
    """Cron and at jobs, keys, units, startup files and processes of the web users; what root runs of theirs."""
    found = Planted()
    own = [user for user in users if user.user != 0]
    _crontabs(observer, found, own)
    for user in own:
        _home_of(found, user)
    numbers = {user.user for user in own}
    found.add(
        "an at job of the web user", (path for pattern in _AT for path in glob.glob(pattern) if _owned(path, numbers))
    )
    _units(observer, found, own)
    _of_root(observer, found, own)
    _running(observer, found, own)
    found.add("a group by which the web user can become root", privileges.groups(own))
    found.add("what sudo lets the web user do", privileges.rules(own))
    programs, gap = privileges.programs()
    found.add("a program that runs with its owner's rights, or with a capability", programs)
    if gap:
        found.gaps.append(f"programs that run with another user's rights: {gap}")
    return found


def _owned(path: str, numbers: set[int]) -> bool:
    try:
        return os.lstat(path).st_uid in numbers
    except OSError:  # it went meanwhile
        return False


# ------------------------------------------------------------------------------------------------- cron


def is_documented(line: str, roots: Iterable[str], users: Sequence[Identity]) -> bool:
    """Whether a cron line is one that Chamilo documents, or runs one script that the web user cannot change."""
    if not (line.isascii() and line.replace("\t", " ").isprintable()):
        return False
    line = re.sub(r"[ \t]+", " ", line.strip(" \t"))
    project = f"(?:{'|'.join(re.escape(root) for root in roots)})"
    console = rf"{_SCHEDULE} (?:(?:{_PHP})?{project}/bin/console|cd {project}/? && (?:{_PHP})?(?:\./)?bin/console)"
    if re.fullmatch(rf"{console} {_COMMAND}{_OPTIONS}", line):
        return True
    script = _SCRIPT.fullmatch(line)
    return script is not None and os.path.isfile(script[1]) and not changeable(script[1], users)


def _crontabs(observer: Observer, found: Planted, own: Sequence[Identity]) -> None:
    by_name = {user.name: user for user in own}
    roots = sorted({observer.root, os.path.realpath(observer.root), *observer.site.spellings})
    odd: dict[str, list[tuple[str, str]]] = {}
    for job in observer.once(jobs):
        path, _colon, line = job.source.rpartition(":")
        if path.startswith("/var/spool/cron/") and os.path.basename(path) in by_name:
            if not is_documented(job.command, roots, own):
                odd.setdefault(path, []).append((line, job.command))
        elif path.startswith("/etc/cron"):
            if set(job.command.split()[:7]) & set(by_name) and _FETCHES.search(job.command):
                found.signs.append(
                    f"a cron job that runs as the web user ({path}, line {line}): {shown(job.command[:80])}"
                )
    for path in (f"{directory}/{name}" for name in by_name for directory in CRONTABS):
        text = head(path, CRON_LIMIT + 1).decode("utf-8", "replace")
        if len(text) > CRON_LIMIT:
            found.signs.append(f"a crontab of the web user that is too long to be read whole: {path}")
        lines = list(_settings(text))
        if lines:
            odd.setdefault(path, []).extend(lines)
    for path, lines in odd.items():
        for line, command in lines[:_NAMED]:
            found.signs.append(
                f"a cron job of the web user ({path}, line {line}) that is none of those Chamilo documents: "
                f"{shown(command[:80])} (delete it if it is unknown; else move it into /etc/cron.d, which root alone "
                f"can write, with {os.path.basename(path)} as its user)"
            )
        if len(lines) > _NAMED:
            found.signs.append(f"a cron job of the web user: {len(lines) - _NAMED} more lines of that kind in {path}")


def _settings(text: str) -> Iterator[tuple[str, str]]:
    """The lines of a crontab that are no jobs and not harmless: what they set can run more than the jobs do."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or re.match(r"\s*(?:#|@|[\d*])", line):
            continue
        assigns = _ASSIGNS.fullmatch(line)
        allowed = _HARMLESS.get(assigns[1]) if assigns else None
        if not (assigns and allowed and re.fullmatch(allowed, assigns[2].strip("\"'"))):
            yield str(number), line.strip()


# ------------------------------------------------------------------------------------------------- homes


def home(name: str) -> str:
    try:
        return pwd.getpwnam(name).pw_dir
    except KeyError:
        return "/nonexistent"


def _home_of(found: Planted, user: Identity) -> None:
    top = home(user.name)
    keys = [path for pattern in _key_files(user, top) for path in glob.glob(pattern) if _contains(path)]
    budget = Budget(_SECONDS)
    units = [os.path.join(top, directory) for directory in _USER_UNITS]
    units += [f"/run/user/{user.user}/systemd/{directory}" for directory in ("user", "transient")]
    ways = [entry.path for directory in units for entry in walk(directory, budget) if _contains(entry.path)]
    ways += filter(os.path.lexists, (os.path.join(directory, user.name) for directory in (_LINGER, *_OTHER_CRONS)))
    found.add(f"persistent access for {user.name}", [*keys, *ways])
    if budget.gap:
        found.gaps.append(f"{top}: {budget.gap}")
    started = [path for pattern in _STARTUP for path in glob.glob(os.path.join(glob.escape(top), pattern))]
    theirs = [path for path in started if _from(path, user) and not _is_of_the_skeleton(path, top)]
    theirs += [
        path for name in _GIT if _from(path := os.path.join(top, name), user) and _GIT_RUNS.search(head(path, _SMALL))
    ]
    found.add(
        f"a file of {user.name}'s own that its programs run",
        theirs,
        " (delete it if it is unknown; else give it to root, with mode 644)",
    )


def _key_files(user: Identity, top: str) -> Iterator[str]:
    """Where sshd reads the keys of a user, as patterns: from each of its files, whatever the Match block."""
    templates = list(_KEYS)
    for path in (path for pattern in _SSHD for path in glob.glob(pattern)):
        for line in head(path, _LARGE).decode("utf-8", "replace").splitlines():
            setting = re.match(r"(?i)\s*AuthorizedKeysFile[\s=]+(.*)", line)
            templates += setting[1].replace('"', " ").split() if setting else []
    tokens = {"%%": "%", "%h": top, "%u": user.name, "%U": str(user.user)}
    for template in dict.fromkeys(templates):
        if template != "none":
            path = re.sub("%[%huU]", lambda token: tokens[token[0]], template)
            yield f"{glob.escape(os.path.join(top, path))}*"


def _from(path: str, user: Identity) -> bool:
    """Whether the user made a file, or can change it."""
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode) and status.st_uid != user.user:
            status = os.stat(path)
            if status.st_mode & stat.S_IWGRP:  # then it may have an ACL, which is asked for where the link leads
                path = os.path.realpath(path)
    except OSError:
        return False
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # a masked unit is a link to /dev/null
        return status.st_uid == user.user and not stat.S_ISSOCK(status.st_mode)  # of PHP, behind an alternative
    return user.changes(path, status)


def _is_of_the_skeleton(path: str, top: str) -> bool:
    skeleton = os.path.join(_SKELETON, os.path.relpath(path, top))
    return not os.path.islink(path) and os.path.isfile(skeleton) and head(path, _LARGE) == head(skeleton, _LARGE)


def _contains(path: str) -> bool:
    """Whether something is in a file. A link that leads nowhere was put there too, and may lead somewhere tomorrow."""
    try:
        return os.path.getsize(path) > 0
    except OSError:
        return True


# ------------------------------------------------------------------------------------------------- what root runs


def _units(observer: Observer, found: Planted, own: Sequence[Identity]) -> None:
    insider = below(os.path.join(observer.root, "var"), os.path.join(observer.root, "public"))
    numbers, by_name = {user.user for user in own}, {user.name for user in own}
    units = []
    for path in (path for pattern in _UNITS for path in glob.glob(pattern)):
        text = head(path, _SMALL).decode("utf-8", "replace")
        started = [words for line in _EXEC.findall(text) for words in starts(line)]
        spelled = [*started, *(os.path.realpath(start) for start in started if start.startswith("/"))]
        loose = any(start.startswith((*LOOSE, *insider)) for start in spelled)
        user = _USER.search(text)
        gains = not (user and user[1] in by_name) and _gains(started, own)
        if _owned(path, numbers) or loose or gains:
            units.append(path)
    found.add("a unit of systemd that starts what the web user can write", units)


def starts(command: str) -> list[str]:
    """The programs and scripts that a command line starts, as they are named there."""
    found = []
    for part in _SHELL_PARTS.split(command):
        words = [word.strip("\"'") for word in part.split()]
        while words and (os.path.basename(words[0]) in _PASSES_ON or re.match(r"\w+=|-|\d+[smhd]?$", words[0])):
            locks = os.path.basename(words[0]) == "flock"
            words = _behind_options(words)[locks:]  # and its file
        if not words:
            continue
        found.append(words[0])
        if _RUNS_SCRIPTS.fullmatch(os.path.basename(words[0])):
            if "-c" in words and not os.path.basename(words[0]).startswith("php"):
                found += starts(" ".join(words[words.index("-c") + 1 :]))
            else:
                found += _behind_options(words)[:1]
    return found


def _behind_options(command: Sequence[str]) -> list[str]:
    """The words of a command without the program and its options."""
    program, *words = command
    with_value = _WITH_VALUE.get(os.path.basename(program).rstrip("0123456789."))
    while words and words[0].startswith(("-", "+")):
        option = words.pop(0)
        if option == "--":
            break
        user = _SUDO_USER.fullmatch(option) if os.path.basename(program) == "sudo" else None
        if user:
            if (user[1] or "".join(words[:1])) not in ("root", "#0"):
                return []  # the rest has the rights of another account
            words = words if user[1] else words[1:]
        elif words and with_value and with_value.fullmatch(option):
            words.pop(0)
    return words


def _gains(started: Iterable[str], own: Sequence[Identity]) -> bool:
    named = (start for start in started if start.startswith("/") and not set(start) & set("*?[$"))
    return any(start.rstrip("/") and changeable(start, own) for start in named)


def _of_root(observer: Observer, found: Planted, own: Sequence[Identity]) -> None:
    """Files that root goes by and the web user can change, and programs of the web user's that others run."""
    budget = Budget(_SECONDS)
    changed = [path for top in _OF_ROOT for path in _entries(top, budget) if any(_from(path, user) for user in own)]
    found.add("a file that root runs or reads, and the web user can change", changed)
    if budget.gap:
        found.gaps.append(f"what root runs: {budget.gap}")
    by_name = {user.name for user in own}
    roots = sorted({observer.root, os.path.realpath(observer.root), *observer.site.spellings})
    jobs_of_others = []
    for job in observer.once(jobs):
        path, _colon, line = job.source.rpartition(":")
        if path.startswith("/var/spool/cron/") and os.path.basename(path) not in by_name:
            user, command, whole = os.path.basename(path), job.command, job.command
        elif re.match(r"/etc/cron(?:tab$|\.d/)", path):
            schedule, user, command = _fields(job.command)
            whole = f"{schedule} {command}"
        elif re.match(r"/etc/cron\.\w+ly/", job.source):
            user, command, whole, path, line = "root", job.command, "", job.source, ""
        else:
            continue
        if not job.active or user in by_name or (whole and is_documented(whole, roots, own)):
            continue
        if path.startswith("/var/spool/"):
            command = _fields(f"{command} ", named=False)[2]
        if _gains((start for text in _lines(command) for start in starts(text)), own):
            jobs_of_others.append(f"{path}, line {line} (as {user})" if line else f"{path} (as {user})")
    found.add("a cron job of another account that runs what the web user can change", jobs_of_others)
    libraries = head(_PRELOAD, _SMALL).decode("utf-8", "replace").split()
    found.add(
        "a library that every program loads, and the web user can change", (at for at in libraries if _gains([at], own))
    )
    found.add(
        "what PHP itself runs or loads, and the web user can change",
        (at for at in _by_php(observer) if _gains([at], own)),
    )
    found.add(
        "what the web server includes or loads as root, and the web user can change",
        (at for at in _by_server() if changeable(re.sub(r"/[^/]*[*?\[].*", "/x", at), own)),
    )


def _by_php(observer: Observer) -> Iterator[str]:
    pool = [observer.site.php.pool_file] if observer.site.php.pool_file else []
    for path in (*(path for pattern in _PHP_FILES for path in glob.glob(pattern)), *pool):
        yield from _PHP_RUNS.findall(head(path, _LARGE).decode("utf-8", "replace"))


def _by_server() -> Iterator[str]:
    """What its files include or load, and what a pattern there matches."""
    for path in (path for pattern in _SERVER_FILES for path in glob.glob(pattern)):
        for place in _SERVER_RUNS.findall(head(path, _LARGE).decode("utf-8", "replace")):
            yield from (place, *(glob.glob(place) if set(place) & set("*?[") else ()))


def _lines(command: str) -> Iterator[str]:
    for line in command.replace("\\\n", " ").split("\n"):
        if not line.lstrip().startswith("#"):
            yield line


def _fields(line: str, named: bool = True) -> tuple[str, str, str]:
    """The schedule, the user and the command of a cron line."""
    count = (1 if line.lstrip().startswith("@") else 5) + named
    parts = line.split(None, count)
    schedule = " ".join(parts[: count - named])
    return (
        schedule,
        parts[count - 1] if named and len(parts) >= count else "",
        parts[count] if len(parts) > count else "",
    )


def _entries(top: str, budget: Budget) -> Iterator[str]:
    """A file, or a directory with all below it."""
    waiting = [top] if os.path.lexists(top) else []
    while waiting and budget.left:
        path = waiting.pop()
        yield path
        if os.path.isdir(path) and not os.path.islink(path):
            try:
                waiting += [os.path.join(path, name) for name in os.listdir(path)]
            except PermissionError:
                budget.unread += 1
            except FileNotFoundError:  # gone meanwhile
                pass


# ------------------------------------------------------------------------------------------------- processes


def below(*directories: str) -> list[str]:
    """Directories as they are named and as the kernel names them, where links lead to them."""
    return [f"{spelled}/" for directory in directories for spelled in (directory, os.path.realpath(directory))]


def _running(observer: Observer, found: Planted, own: Sequence[Identity]) -> None:
    """Processes of the web user that are no workers of a server and belong to no service of the administrator's."""
    numbers = {user.user for user in own}
    insider = below(observer.root, os.path.join(observer.root, "var"))
    known = {process.pid: process for process in observer.once(processes)}
    strange = []
    for process in known.values():
        if process.user not in numbers:
            continue
        program = _program(process)
        if not program:  # gone, or not for us
            continue
        if program.startswith((*LOOSE, *insider)) or _is_a_daemon(observer, process, program, known, numbers):
            strange.append(f"{process.name} (process {process.pid}, {program})")
    found.add("a process of the web user that is no server", strange)


def _is_a_daemon(
    observer: Observer, process: Process, program: str, known: Mapping[int, Process], numbers: Collection[int]
) -> bool:
    """Whether a process left its parent, or runs for longer than any known page or cron job."""
    parent = known.get(process.parent)
    if process.parent == 1 and parent and parent.name not in _INITS:  # in containers it starts services itself
        return process.name in _SHELLS
    if process.parent == 1:
        units = units_of(process.pid)
        if program in _MANAGERS and any(unit.startswith("user@") for unit in units):
            return False  # of a session; what it starts is judged
        return not (units and units[-1].endswith(".service") and main_process(units[-1]) == process.pid)
    if parent is None:  # from outside of this container, or it ended meanwhile
        return False
    if parent.user in numbers and _program(parent) in _MANAGERS:
        return program not in _MANAGERS | _SESSION
    top, above = process, parent
    while above.user in numbers and above.parent in known:
        top, above = above, known[above.parent]
    server = _program(above).removesuffix(_DELETED)
    if program.removesuffix(_DELETED) == server:  # only the server itself makes workers
        return process.parent != above.pid
    if age(process.pid) <= _LONG:
        return False
    if _CRONS.fullmatch(server):
        command = arguments(top.pid)
        return not any(command in _spaced(job.command) for job in observer.once(jobs))
    return bool(_SERVERS.fullmatch(server))


def _program(process: Process) -> str:
    """What a process runs; empty where it is gone."""
    try:
        return os.readlink(f"/proc/{process.pid}/exe")
    except OSError:
        return ""


def _spaced(text: str) -> str:
    return " ".join(text.split())


def arguments(pid: int) -> str:
    """The command line of a process, or what a shell was given to run."""
    words = head(f"/proc/{pid}/cmdline", _SMALL).decode("utf-8", "replace").rstrip("\0").split("\0")
    return _spaced(words[2] if len(words) == 3 and words[1] == "-c" else " ".join(words))


def units_of(pid: int) -> list[str]:
    """The services and scopes that systemd keeps a process in, the innermost last; none without systemd."""
    text = head(f"/proc/{pid}/cgroup", _SMALL).decode("utf-8", "replace")
    return re.findall(r"(?<=/)[^/\n]+\.(?:service|scope)(?=[/\n]|$)", text)


def main_process(unit: str) -> int:
    number = output(["systemctl", "show", "--property=MainPID", "--value", "--", unit])
    return int(number) if number.isdigit() else 0


def age(pid: int) -> float:
    """For how many seconds a process runs; 0 where it is gone."""
    fields = head(f"/proc/{pid}/stat", _SMALL).rpartition(b")")[2].split()
    up = head("/proc/uptime", _SMALL).split()
    return float(up[0]) - int(fields[19]) / os.sysconf("SC_CLK_TCK") if len(fields) > 19 and up else 0.0
