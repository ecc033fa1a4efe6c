"""Runs on a host: prints a line for every path, every table of the database and every unit of systemd, as JSON."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys

SKIPPED = {"/proc", "/sys", "/dev", "/run", "/tmp", "/var/lib/mysql"}
PRIVATE = "/var/tmp/systemd-private-"  # of units that come and go, such as PHP's own cleaning of sessions
# MariaDB keeps statistics of its own in these.
TABLES = ["innodb_index_stats", "innodb_table_stats", "index_stats", "table_stats", "column_stats"]


def line(path: str) -> str:
    found = os.lstat(path)
    kind, mode = stat.filemode(found.st_mode)[0], stat.S_IMODE(found.st_mode)
    text = f"{kind} {mode:o} {found.st_uid}:{found.st_gid} {found.st_mtime_ns}"
    if stat.S_ISLNK(found.st_mode):
        return f"{text} {os.readlink(path)}"
    if stat.S_ISREG(found.st_mode):
        with open(path, "rb") as file:
            digest = hashlib.sha256()
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
        return f"{text} {found.st_size} {digest.hexdigest()}"
    return text


def units() -> dict[str, str]:
    """Which units there are, whether they are enabled, and which of them run.

    What others start when they need it (static), and what belongs to somebody's login, comes and goes by itself.
    """

    def rows(*words: str) -> list[list[str]]:
        output = subprocess.run(["systemctl", *words, "--no-legend", "--plain"], capture_output=True, text=True)
        return [row.split() for row in output.stdout.splitlines()]

    found = {row[0]: row[1] for row in rows("list-unit-files")}
    for name, _loaded, active, *_more in rows("list-units", "--type=service,timer,socket,path"):
        state = found.get(name, "")
        if state != "static" and not name.startswith("user") and active in ("active", "failed"):
            found[name] = f"{state} {active}".strip()
    return {f"unit:{name}": text for name, text in found.items()}


entries = {"/": line("/"), **units()}
for directory, directories, files in os.walk("/"):
    paths = {name: os.path.join(directory, name) for name in directories}
    directories[:] = [name for name, path in paths.items() if path not in SKIPPED and not path.startswith(PRIVATE)]
    for name in directories + files:
        path = os.path.join(directory, name)
        try:
            entries[path] = line(path)
        except FileNotFoundError:  # gone since it was listed: a later snapshot will show it
            continue

if shutil.which("mariadb-dump"):
    command = ["mariadb-dump", "--all-databases", "--skip-dump-date", "--order-by-primary", "--skip-extended-insert"]
    command += [f"--ignore-table=mysql.{table}" for table in TABLES]
    dump = subprocess.run(command, check=True, capture_output=True).stdout
    database = table = ""
    parts: dict[str, hashlib._Hash] = {}
    for row in dump.split(b"\n"):
        if row.startswith(b"USE `"):
            database, table = row.split(b"`")[1].decode(), ""
        elif row.startswith(b"-- Table structure for table `"):
            table = row.split(b"`")[1].decode()
        parts.setdefault(f"database:{database}.{table}", hashlib.sha256()).update(row + b"\n")
    entries.update((name, digest.hexdigest()) for name, digest in parts.items())
json.dump(entries, sys.stdout)
