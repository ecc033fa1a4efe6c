# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Brings a portal, or a part of it, back from a backup. What was there before is moved aside, never removed.

Everything is fetched and looked at beside the portal in use first. Then folders change places (each in one step of the
kernel) and all tables do (in one statement of the server; views, triggers, routines and events cannot move with them
and are made anew). What is about to change places is written down before, so that a restore that was killed is finished
by the next command.
"""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import errno
import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import IO, Any

from ansible_collections.chamilo.hardening.plugins.module_utils import (
    _backup,
    _database,
    _env,
    _machine,
    _perms,
    _state,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._backup import BackupError, Pair, Portal, Repository
from ansible_collections.chamilo.hardening.plugins.module_utils._configuration import Tree
from ansible_collections.chamilo.hardening.plugins.module_utils._perms import PermsError, mounts, open_trusted

PARTS = ("host", "database", "files", "file")
_FILES = ("var", "config", "public/plugin")  # and the environment files
_EXCHANGE = 2
_HERE = -100
# What cannot be moved with a table, as statements: what comes, and what was there.
_COMING, _GOING = "coming.sql", "views-and-programs.sql"
_OBJECTS = """
SELECT 'VIEW', TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = {0}
UNION ALL SELECT 'TRIGGER', TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {0}
UNION ALL SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {0}
UNION ALL SELECT 'EVENT', EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {0}"""
_STRANGERS = """
SELECT DISTINCT DEFINER FROM (
SELECT DEFINER FROM information_schema.VIEWS WHERE TABLE_SCHEMA = {0}
UNION ALL SELECT DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {0}
UNION ALL SELECT DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {0}
UNION ALL SELECT DEFINER FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {0}
) AS named WHERE DEFINER NOT IN (SELECT CONCAT(User, '@', Host) FROM mysql.user)"""
# What the guide gives the application's account.
_RIGHTS = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX"


def restore(portal: Portal, part: str, path: str = "", run: str = "", source: str = "") -> list[str]:
    """Bring a part back. ``run``: how the name of a backup begins, else the newest; ``source``: local, offsite."""
    with _backup.alone(portal, "restore", 60):
        lines = finish(portal)
        place, pair = _found(portal, run, source)
        when = datetime.datetime.fromtimestamp(pair.at, datetime.timezone.utc)
        lines.append(f"From the backup of {when:%Y-%m-%d %H:%M} UTC in {place.shown}:")
        work = _Work(portal, place, pair, part != "database")
        work.clear()
        try:
            if part in ("host", "files"):
                work.stage_files(part == "host")
                lines += work.elsewhere()
            if part == "file":
                work.stage_file(path)
            lines += work.left
            if part in ("host", "database"):
                work.stage_database()
        except (BackupError, OSError):
            if not work.wanted:
                work.discard()  # a disk that is full would stay full
            raise
        work.write_down()
        return lines + finish(portal)


def begin(site: str, url: str) -> Portal:
    """For a machine that knows nothing yet: how this portal is backed up stands in its backups."""
    place = Repository(Portal(site, site, "/", offsite=url), url)
    pairs = place.pairs()
    if not pairs:
        raise BackupError(f"{place.shown} holds no complete backup of {site}.")
    path = _backup.path_of(site)
    text, _complaint = place.run("dump", pairs[-1].files.id, path)
    portal = replace(_backup.parse(text, path), offsite=url)
    if not os.path.exists(path):  # with the address given: the one in the backup may be gone
        _state.replace_file(path, json.dumps(asdict(portal), indent=1, sort_keys=True) + "\n")
    return portal


def runs(portal: Portal, source: str = "") -> list[str]:
    """The backups there are, the newest last."""
    place, _pair = _found(portal, "", source)
    return [f"{pair.run}  {datetime.datetime.fromtimestamp(pair.at):%Y-%m-%d %H:%M}" for pair in place.pairs()]


def _found(portal: Portal, run: str, source: str) -> tuple[Repository, Pair]:
    """The backup that is meant, in the nearest repository that has it."""
    known = {"local": portal.repository, "offsite": portal.offsite}
    places = [known[source]] if source else list(portal.places)
    problems = []
    for url in filter(None, places):
        place = Repository(portal, url)
        try:
            pairs = [pair for pair in place.pairs() if pair.run.startswith(run)]
        except BackupError as problem:
            problems.append(str(problem))
            continue
        if pairs:
            return place, pairs[-1]
        problems.append(f"{place.shown} holds no {'backup ' + run if run else 'complete backup'} of {portal.domain}.")
    raise BackupError(" ".join(problems) or f"{portal.domain} has no {source or 'repository'}.")


class _Work:
    """What is fetched beside the portal, before anything changes places."""

    def __init__(self, portal: Portal, place: Repository, pair: Pair, files: bool = True) -> None:
        self.portal = portal
        self.place = place
        self.pair = pair
        self.root = portal.folder
        self.staging = _staging(portal, files)
        self.kept = _kept(self.staging)
        self.left: list[str] = []
        self.wanted = False  # what was fetched, though nothing of it can change places
        self.journal: dict[str, Any] = {"staging": self.staging, "kept": self.kept, "swaps": [], "database": {}}

    def clear(self) -> None:
        """Begin anew, without what a restore fetched that was killed before anything changed places."""
        self.discard()
        folder, name = os.path.split(self.staging)
        os.makedirs(folder, exist_ok=True)
        handle = _open_roots_alone(folder)
        try:
            os.mkdir(f"/proc/self/fd/{handle}/{name}", 0o700)  # ours, and closed, before anything lies in it
        finally:
            os.close(handle)
        self.made = os.lstat(self.staging)

    def discard(self) -> None:
        """Remove what was fetched."""
        if os.path.lexists(self.staging):
            os.close(_open_roots_alone(os.path.dirname(self.staging)))
            _backup.on_tree("rm", "-rf", "--", self.staging)
        if _may_restore(self.portal):
            _sql(self.portal, f"DROP DATABASE IF EXISTS {_quoted(_restoring(self.portal))}")

    def write_down(self) -> None:
        _state.replace_file(_journal(self.portal), json.dumps(self.journal, indent=1) + "\n")

    def stage_files(self, everything: bool) -> None:
        """Fetch the whole folder, or what the application writes and is configured by."""
        self._room(self.root, everything)
        chosen = [self.root] if everything else [f"{self.root}/{name}" for name in (*_FILES, ".env", ".env.*")]
        patterns = [
            f"--include={_literal(path) if not path.endswith('*') else _literal(path[:-1]) + '*'}" for path in chosen
        ]
        self._fetch(*patterns)
        fetched = f"{self.staging}{self.root}"
        if not os.path.lexists(f"{fetched}/var"):  # a link may lead to what is not there yet
            raise BackupError(f"The backup holds no {self.root}/var.")
        if not os.path.lexists(self.root):
            self._swap(fetched, self.root)
            return
        names = os.listdir(fetched)
        if everything:  # what came later goes aside too
            names += [
                name for name in os.listdir(self.root) if name not in names and name not in (".git", "node_modules")
            ]
        for name in sorted(names):
            if name == "public" and not everything:
                self._swap(f"{fetched}/public/plugin", f"{self.root}/public/plugin")
            elif f"{self.root}/{name}" != self.staging:
                self._swap(f"{fetched}/{name}", f"{self.root}/{name}")

    def _fetch(self, *patterns: str) -> None:
        if self.place.fetch(self.pair.files.id, self.staging, "--verify", *patterns):
            self.left.append(
                f"Files whose paths are too long did not come back. Snapshot {self.pair.files.id} has them. "
                "Because of them restic did not read the others once more after it wrote them."
            )
        if not os.path.samestat(os.lstat(self.staging), self.made):
            raise BackupError(f"{self.staging} was exchanged while the backup was fetched. Nothing was changed.")

    def elsewhere(self) -> list[str]:
        """What links lead to stays as it is: it may be on another disk, and others may use it."""
        return [
            f"Left as it is, because a link leads there: {path}. Snapshot {self.pair.files.id} has it too."
            if os.path.lexists(path)
            else f"A link leads to {path}, which is not there. To bring it back as well, restore this file or folder."
            for path in self._linked()
        ]

    def _linked(self) -> list[str]:
        ours = (self.root, _backup.path_of(self.portal.site))
        return [path for path in self.pair.files.paths if path not in ours]

    def stage_file(self, path: str) -> None:
        """Fetch one file, or one folder, also of what links lead to."""
        wanted = os.path.normpath(os.path.join(self.root, path))
        if not wanted.startswith(f"{self.root}/") and not any(_below(wanted, linked) for linked in self._linked()):
            raise BackupError(f"{path} is not below {self.root}, nor does a link of the backup lead there.")
        self._fetch(f"--include={_literal(wanted)}")
        fetched = f"{self.staging}{wanted}"
        if not os.path.lexists(fetched):
            if self.left:
                raise BackupError(" ".join(self.left))
            raise BackupError(f"{wanted} is not in that backup.{self._alike(os.path.basename(wanted))}")
        self._swap(fetched, wanted)

    def _alike(self, name: str) -> str:
        every = (node["path"] for node in self.place.nodes(self.pair.files.id))
        alike = [path for path in every if path.endswith(f"/{name}")][:5]
        return f" Did you mean {' or '.join(alike)}?" if alike else ""

    def stage_database(self) -> None:
        """Load the dump into a database of its own."""
        if not _may_restore(self.portal):
            raise BackupError(
                "No database server runs on this host: install mariadb-server first."
                if self.portal.local
                else f"The database is on {self.portal.host}. Put the login of an account that may make databases "
                f"there into {_login(self.portal)}, below [client], for as long as the restore takes."
            )
        path = f"{self.staging}/database.sql"
        with open(path, "xb") as output:
            self.place.run("dump", self.pair.database.id, _backup.DUMP, output=output)
        reading = _backup.Reading()
        with open(path, "rb") as stream:
            for part in iter(lambda: stream.read(1 << 20), b""):
                reading.take(part)
        if not reading.tail.endswith(_backup.stamp(self.pair.run)):
            raise BackupError("The dump in the backup is not whole, or of another run. Nothing was changed.")
        new = _restoring(self.portal)
        _sql(self.portal, f"CREATE DATABASE {_quoted(new)} CHARACTER SET utf8mb4")
        with open(path, "rb") as stream:
            _sql(self.portal, "", new, stream)
        if not set(reading.done().tables) <= set(_tables(self.portal, new)):
            raise BackupError("Not every table of the dump could be loaded. Nothing was changed.")
        os.unlink(path)
        _write_objects(self.portal, new, f"{self.staging}/{_COMING}")
        _sql(self.portal, _drops(self.portal, new))
        if _rows(self.portal, f"SHOW DATABASES WHERE `Database` = {_text(self.portal.name)}"):
            _write_objects(self.portal, self.portal.name, f"{self.staging}/{_GOING}")
        moment = os.path.basename(self.kept).rpartition("-")[2]
        self.journal["database"] = {"new": new, "old": f"{self.portal.name[:40]}_before_{moment}"}

    def _room(self, root: str, everything: bool) -> None:
        prefix = tuple(f"{root}/{name}" for name in ("", *_FILES))[not everything :]
        needed = 0
        for node in self.place.nodes(self.pair.files.id):
            if node["path"].startswith(prefix):
                needed += int(node.get("size", 0))
        folder = os.path.dirname(self.staging)
        there = os.statvfs(folder)
        free = there.f_bavail * there.f_frsize
        if free < needed * 1.05:
            raise BackupError(f"{folder} has {free / 1e6:.0f} MB free, the restore needs {needed / 1e6:.0f}.")

    def _swap(self, fetched: str, live: str) -> None:
        """Note what is to change places, and refuse while nothing was changed what could not."""
        mounted = [mount for mount in mounts() if _below(mount, live)]
        if mounted:
            raise BackupError(
                f"{mounted[0]} is a file system of its own, which cannot change places. Nothing was changed. Unmount "
                "it first; afterwards mount it elsewhere, and copy what came back onto it."
            )
        above = os.path.dirname(live)
        while not os.path.lexists(above):
            above = os.path.dirname(above)
        if _disk(above) != _disk(os.path.dirname(self.staging)):
            self.wanted = True
            raise BackupError(
                f"{live} is on another file system than {self.staging}, so it cannot change places. "
                f"Nothing was changed. What came back is {fetched}: copy it from there."
            )
        try:
            os.close(open_trusted(above))
        except PermsError as problem:
            raise BackupError(f"{problem} Nothing was changed.") from problem
        inode = os.lstat(fetched).st_ino if os.path.lexists(fetched) else 0
        self.journal["swaps"].append([fetched, live, inode])


# ------------------------------------------------------------------------------------------------- changing places


def finish(portal: Portal) -> list[str]:
    """Do what was written down and not done yet. Doing it twice does nothing."""
    try:
        with open(_journal(portal), encoding="utf-8") as stream:
            journal = json.load(stream)
    except FileNotFoundError:
        return []
    lines = []
    if os.path.lexists(journal["staging"]):  # else all is in its place, and what came there since stays
        for fetched, live, inode in journal["swaps"]:
            _change_places(fetched, live, inode)
    if journal["database"]:
        lines += _change_tables(portal, journal["database"], journal["staging"], journal["kept"])
    if os.path.lexists(journal["staging"]):
        os.rename(journal["staging"], journal["kept"])
    if journal["swaps"]:
        lines.append(f"{len(journal['swaps'])} files or folders are back; what was there is in {journal['kept']}.")
    lines += _wake(portal)
    os.unlink(_journal(portal))
    return lines


def _change_places(fetched: str, live: str, inode: int) -> None:
    """What was fetched goes where it belongs, what was there goes where that lay."""
    waiting = os.lstat(fetched).st_ino if os.path.lexists(fetched) else 0
    if waiting != inode:
        return  # done before
    if not inode and not os.path.lexists(live):
        return
    with _open(os.path.dirname(fetched), os.path.dirname(live)) as folder:
        there = f"{folder}/{os.path.basename(live)}"
        if not inode:  # it came after the backup
            os.makedirs(os.path.dirname(fetched), 0o700, exist_ok=True)
            os.rename(there, fetched)
        elif not os.path.lexists(there):
            os.rename(fetched, there)
        else:
            exchange(fetched, there)


@contextlib.contextmanager
def _open(fetched: str, live: str) -> Iterator[str]:
    """The way to a folder that is open: the web user, who may own it, can lay no link into that way any more."""
    handle = _make_way(fetched, live)
    try:
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


def _make_way(fetched: str, live: str) -> int:
    """Open a folder; make it, and those above, as they were in the backup."""
    if os.path.lexists(live):
        return open_trusted(live)
    with _open(os.path.dirname(fetched), os.path.dirname(live)) as above:
        os.mkdir(f"{above}/{os.path.basename(live)}", 0o700)
        handle = os.open(f"{above}/{os.path.basename(live)}", os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    known = os.stat(fetched)
    os.fchown(handle, known.st_uid, known.st_gid)
    os.fchmod(handle, stat.S_IMODE(known.st_mode))
    return handle


def exchange(one: str, other: str) -> None:
    """Two paths change places in one step."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return
    code = ctypes.get_errno()
    if code not in (errno.EINVAL, errno.ENOSYS):
        place = os.path.realpath(os.path.dirname(other)) + "/" + os.path.basename(other)
        raise BackupError(f"{place} cannot change places with {one}: {os.strerror(code)}.")
    aside = f"{one}.aside"  # a file system that cannot do it in one step
    os.rename(other, aside)
    os.rename(one, other)
    os.rename(aside, one)


def _change_tables(portal: Portal, names: Mapping[str, str], staging: str, kept: str) -> list[str]:
    new, old, live = names["new"], names["old"], portal.name
    coming, going = f"{staging}/{_COMING}", f"{staging}/{_GOING}"
    fresh = _tables(portal, new)
    if fresh:  # else it was done before
        present = _tables(portal, live)
        moves = [f"{_quoted(live)}.{_quoted(name)} TO {_quoted(old)}.{_quoted(name)}" for name in present]
        moves += [f"{_quoted(new)}.{_quoted(name)} TO {_quoted(live)}.{_quoted(name)}" for name in fresh]
        try:
            _sql(
                portal,
                f"SET SESSION lock_wait_timeout = 60; "
                f"CREATE DATABASE IF NOT EXISTS {_quoted(live)} CHARACTER SET utf8mb4; "
                f"CREATE DATABASE IF NOT EXISTS {_quoted(old)} CHARACTER SET utf8mb4; "
                f"{_drops(portal, live, 'TRIGGER')}; RENAME TABLE {', '.join(moves)}",
            )
        except BackupError:
            _load(portal, live, going)
            raise
    if os.path.exists(coming):
        _sql(portal, _drops(portal, live))
        _load(portal, live, coming)
    _sql(portal, f"DROP DATABASE IF EXISTS {_quoted(new)}")
    lines = [f"The database is back; what was there is in the database {old}."]
    if os.path.exists(going) and b"CREATE" in _read(going):
        lines.append(f"Views, triggers, routines and events that were there are in {kept}/{_GOING}.")
    strangers = _rows(portal, _STRANGERS.format(_text(live)))
    if strangers:
        lines.append(f"Views, triggers, routines or events name accounts that are not there: {', '.join(strangers)}.")
    return lines


def _wake(portal: Portal) -> list[str]:
    """Have the application see what came back: PHP keeps the program in memory."""
    lines = _account(portal)
    if portal.php_service:
        problem = _machine.Machine().service("reload", portal.php_service)
        lines += [problem] if problem else []
    return lines


def _account(portal: Portal) -> list[str]:
    """On a fresh machine the application's account is missing: make it, with the rights the guide gives it."""
    if not portal.local or not _may_restore(portal) or not os.path.isdir(portal.folder):
        return []
    known = _env.read(Tree(), portal.folder, web_user=portal.web_user)
    if not known.files:
        return list(known.problems)
    user, password = known.get("DATABASE_USER"), known.secret("DATABASE_PASSWORD")
    if not user or user == "root" or _rows(portal, f"SELECT 1 FROM mysql.user WHERE User = {_text(user)} LIMIT 1"):
        return []
    for host in ("localhost", "127.0.0.1"):
        account = f"{_text(user)}@{_text(host)}"
        _sql(
            portal,
            f"CREATE USER {account} IDENTIFIED BY {_text(password)}; "
            f"GRANT {_RIGHTS} ON {_quoted(portal.name).replace('_', chr(92) + '_')}.* TO {account}",
        )
    return [f"The database account {user} was made anew."]


# ------------------------------------------------------------------------------------------------- small things


def _staging(portal: Portal, files: bool = True) -> str:
    """Beside the portal's folder, inside where that is a file system of its own, or else where our records are.

    From there ``files`` can change places with the portal's, and nobody else can lead them elsewhere. No pattern
    matches a dot.
    """
    root = portal.folder
    parent, name = os.path.split(root)
    records = os.path.join(os.path.realpath(_state.STATE), "backups")
    problems = []
    for folder, called in ((parent, name), (root, name), (records, portal.site)):
        if _disk(folder) == _disk(root) or folder == records and not files:
            try:
                os.close(_open_roots_alone(folder))
                return f"{folder}/.{called}.restoring"
            except BackupError as problem:
                problems.append(problem)
    raise problems[0]


def _disk(path: str) -> tuple[int, str]:
    """The file system of a path, or of where it would be, and where that is mounted."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return os.stat(path).st_dev, max((mount for mount in mounts() if _below(path, mount)), key=len, default="/")


def _below(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder.rstrip('/')}/")


def _open_roots_alone(path: str) -> int:
    """Open a folder, or the nearest above it, on a way on which root alone can move or exchange anything."""
    here, way = os.open("/", os.O_DIRECTORY | os.O_CLOEXEC), "/"
    try:
        for name in [*filter(None, path.split("/")), ""]:
            status = os.fstat(here)
            shared = status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX
            if shared or status.st_uid not in (0, os.geteuid()):
                raise BackupError(
                    f"{way} can be written by others than root ({_perms.rights(status)}): they could lead what is "
                    f"fetched to elsewhere. Nothing was changed. Give it to root first: chown root:root {way} && "
                    f"chmod go-w {way}"
                )
            if not name or not os.path.lexists(f"/proc/self/fd/{here}/{name}"):
                break
            below = os.open(name, os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here, way = below, os.path.join(way, name)
        return here
    except (BackupError, OSError):
        os.close(here)
        raise


def _kept(staging: str) -> str:
    now = datetime.datetime.now(datetime.timezone.utc)
    return f"{os.path.splitext(staging)[0]}.before-{now:%Y%m%dT%H%M%SZ}"


def _journal(portal: Portal) -> str:
    return os.path.join(_state.STATE, "backups", f"{portal.site}.restoring.json")


def _restoring(portal: Portal) -> str:
    return f"{portal.name[:50]}_restoring"


def _literal(path: str) -> str:
    """A path as a pattern of restic that stands for itself."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", path)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _socket(portal: Portal) -> str:
    return portal.socket or _database.SOCKET


def _login(portal: Portal) -> str:
    return f"{_backup.CONFIGURATION}/restore-{portal.site}.cnf"


def _may_restore(portal: Portal) -> bool:
    """Whether we know a server, and may do everything there."""
    return os.path.exists(_socket(portal) if portal.local else _login(portal))


def _server(portal: Portal) -> list[str]:
    """How the programs of the server log in: as root of the one on this host, or as told on another."""
    if portal.local:
        return ["--no-defaults", "--user=root", f"--socket={_socket(portal)}"]
    return [f"--defaults-file={_login(portal)}", f"--host={portal.host}", f"--port={portal.port}"]


def _sql(portal: Portal, sql: str, database: str = "", source: IO[bytes] | None = None) -> str:
    """Statements go through the input: no password is in the process list."""
    program = shutil.which("mariadb", path=_backup.environment()["PATH"]) or "mysql"
    options = ["--binary-mode", "--batch", "--skip-column-names", "--max-allowed-packet=1G"]
    options += ["--default-character-set=utf8mb4", *([f"--database={database}"] if database else [])]
    with tempfile.TemporaryFile() as statements:
        statements.write(f"{sql};\n".encode())
        statements.seek(0)
        return _asked([program, *_server(portal), *options], source or statements).decode(errors="replace")


def _asked(command: Sequence[str], source: IO[bytes] | int, output: IO[bytes] | int = subprocess.PIPE) -> bytes:
    done = subprocess.run(
        [*_backup.LEASH, *command],
        stdin=source,
        stdout=output,
        stderr=subprocess.PIPE,
        env=_backup.environment(),
        check=False,
    )
    if done.returncode:
        raise BackupError(f"The database server refused: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return done.stdout or b""


def _rows(portal: Portal, sql: str) -> list[str]:
    return _sql(portal, sql).splitlines()


def _tables(portal: Portal, database: str) -> Sequence[str]:
    """All that can be moved to another database."""
    where = f"TABLE_SCHEMA = {_text(database)} AND TABLE_TYPE <> 'VIEW'"
    return sorted(_rows(portal, f"SELECT TABLE_NAME FROM information_schema.TABLES WHERE {where}"))


def _drops(portal: Portal, database: str, only: str = "") -> str:
    """The statements that remove what cannot be moved."""
    found = [line.split("\t", 1) for line in _rows(portal, _OBJECTS.format(_text(database)))]
    drops = [f"DROP {kind} IF EXISTS {_quoted(database)}.{_quoted(name)}" for kind, name in found if only in ("", kind)]
    return "; ".join(drops) or "DO 0"


def _write_objects(portal: Portal, database: str, path: str) -> None:
    """The statements that make anew what cannot be moved."""
    dump = [_backup.dumper(), *_server(portal), "--default-character-set=utf8mb4", "--single-transaction", "--no-data"]
    views = _rows(portal, f"SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = {_text(database)}")
    with open(path, "xb") as output:
        every = ["--no-create-info", "--add-drop-trigger", "--routines", "--events", "--", database]
        _asked([*dump, *every], subprocess.DEVNULL, output)
        if views:
            _asked([*dump, "--skip-triggers", "--", database, *views], subprocess.DEVNULL, output)


def _load(portal: Portal, database: str, path: str) -> None:
    if os.path.exists(path):
        with open(path, "rb") as stream:
            _sql(portal, "", database, stream)


def _read(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()
