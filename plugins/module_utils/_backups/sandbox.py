# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Where a restore test starts what came back: as an account that owns nothing else, without a network.

Its database server and PHP run in one unit of systemd, and end with it. There what came back lies where it was saved,
over what is in use; but for that and the scratch directory, the host is read-only.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping

from .._common.sentences import first_of
from . import restic
from .portal import BackupError, Portal
from .restore_tables import DISCREET, quoted, text

# In the range that Debian assigns to no account. Whatever belongs to it is of a restore test.
UID = 65300
_UNIT = "chamilo-hardening-drill"
_CONFINED = (
    "PrivateNetwork=yes",
    "ProtectSystem=strict",
    "ProtectHome=tmpfs",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectKernelTunables=yes",
    "InaccessiblePaths=-/run/mysqld",  # of the server in use
    "NoNewPrivileges=yes",
    "MemoryMax=50%",
    "Nice=19",
    "KillSignal=SIGKILL",
    "RuntimeMaxSec=6h",
)
_BECOME = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all", "--")
# Prints the tables, and last why it ended. Nothing of the database has to outlive a power cut; for TLS it would make
# itself a key, which takes a second; the section database has the portal demand it. The environment wins over .env
# only through $_ENV, and the guard of the section uploads lets nothing run outside the portal's own directory.
_SCRIPT = f"""
ended() {{ echo "$1: $(grep -m 1 '^ERROR ' log || tail -c 300 log)"; exit 1; }}
for kind in net mnt; do
    case "$OUTSIDE" in *"$(readlink /proc/self/ns/$kind || echo :)"*)
        echo "systemd cannot shut a restore test off from the network and the files of this host, as in a container"
        echo "that may not make namespaces. Nothing of the backup was started."
        exit 1 ;;
    esac
done
umask 077
own="--no-defaults --datadir=$PWD/mysql --innodb-log-file-size=16M"
mariadb-install-db $own --auth-root-authentication-method=normal --skip-test-db >log 2>&1 ||
    ended "The database of the restore test could not be made"
alone="--skip-networking --skip-ssl --skip-log-bin --max-allowed-packet=1G --innodb-buffer-pool-size=64M"
alone="$alone --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0"
{{ mariadbd $own $alone --socket="$PWD/sql" --pid-file="$PWD/pid" --tmpdir="$PWD" >>log 2>&1; touch down; }} &
ask() {{
    mariadb --no-defaults --user=root --skip-ssl --socket="$PWD/sql" --binary-mode --batch --skip-column-names \
        {DISCREET} --max-allowed-packet=1G --default-character-set=utf8mb4 "$@"
}}
until ask --execute "$CREATE" 2>/dev/null || [ -e down ]; do sleep 0.2; done
[ ! -e down ] || ended "The database of the restore test did not start"
ask --database="$NAME" <database.sql >log 2>&1 || ended "The dump could not be loaded"
ask --execute "$LIST" 2>log || ended "The dump could not be loaded"
rm -f "$ROOT/config/packages/prod/zz_chamilo_hardening_database.yaml"
"$PHP" -d variables_order=EGPCS -d pdo_mysql.default_socket="$PWD/sql" -d mysqli.default_socket="$PWD/sql" \
    -d session.save_path="$PWD" -d sendmail_path=/bin/false -d opcache.enable_cli=0 -d auto_prepend_file=none \
    -S 127.0.0.1:8765 -t "$ROOT/public" "$ROOT/public/index.php" >>log 2>&1 &
"$PYTHON" -I -c "$REQUEST" "$DOMAIN" || ended "The last words of PHP"
"""
# Where our proxy is trusted, no redirect to https is needed to be believed.
_REQUEST = """\
import re, sys, time, urllib.request
headers = {"Host": sys.argv[1], "X-Forwarded-Proto": "https"}
request = urllib.request.Request("http://127.0.0.1:8765/login", headers=headers)
for left in range(120, -1, -1):
    try:
        page = urllib.request.build_opener().open(request, timeout=120).read(1 << 20).decode(errors="replace")
        break
    except OSError as problem:
        if not left or not isinstance(getattr(problem, "reason", ""), ConnectionRefusedError):
            sys.exit(print(f"The restored portal does not start: /login: {problem}.") or 1)
    time.sleep(0.25)
if not re.search("type=.?password|id=.?app\\\\b", page):
    sys.exit(print("The restored portal does not start: /login is no login page.") or 1)
"""


def hand_over(scratch: str) -> None:
    """Hand the scratch directory over to the account of restore tests. No other account gets into it."""
    with contextlib.suppress(KeyError):
        raise BackupError(f"The account {pwd.getpwuid(UID).pw_name} has the number {UID}, which restore tests use.")
    restic.on_tree("find", scratch, "-type", "d", "-exec", "chmod", "0700", "{}", "+")
    # Where root could read what its owner may not, as a file that is doubtful, its new owner has to.
    restic.on_tree("chmod", "-R", "u+r", "--", scratch)
    restic.on_tree("chown", "-hR", f"{UID}:{UID}", "--", scratch)


def end_all() -> None:
    """End whatever a restore test started: one that was killed may not have had the time."""
    subprocess.run(["systemctl", "stop", f"{_UNIT}*.service"], stdin=subprocess.DEVNULL, check=True)


def confined(scratch: str, places: Mapping[str, str], around: Mapping[str, str]) -> list[str]:
    """The script in a unit of its own, as the account of restore tests. ``places``: what lies where, and from where."""
    binds = [f'BindPaths="{source}":"{place}"' for place, source in {scratch: scratch, **places}.items()]
    around = {**restic.environment(), "HOME": scratch, "TMPDIR": scratch, **around}
    return [
        *("systemd-run", "--quiet", "--collect", "--wait", "--pipe", f"--unit={_UNIT}"),
        *(f"--property={each}" for each in (*_CONFINED, *binds, f"WorkingDirectory={scratch}")),
        *(f"--setenv={name}={value}" for name, value in around.items()),
        *("--", *_BECOME, "sh", "-c", _SCRIPT.replace("$", "$$")),  # systemd replaces variables
    ]


def prove(portal: Portal, scratch: str, places: Mapping[str, str], tables: Collection[str]) -> None:
    """Load the dump into a database server of its own, and start the portal that came back. Raises why it does not."""
    path = restic.environment()["PATH"]
    if not shutil.which("mariadbd", path=path):
        raise BackupError("A restore test needs the program of the database server: install mariadb-server-core.")
    around = {
        "OUTSIDE": " ".join(os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "mnt")),
        "NAME": portal.name,
        "CREATE": f"CREATE DATABASE {quoted(portal.name)}",
        "LIST": f"SELECT HEX(TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {text(portal.name)}",
        "ROOT": portal.directory,
        "PHP": shutil.which(f"php{portal.php}", path=path) or "php",
        "PYTHON": sys.executable,
        "REQUEST": _REQUEST,
        "DOMAIN": portal.domain,
        "DATABASE_HOST": "localhost",
        "DATABASE_USER": "root",
        "DATABASE_PASSWORD": "",
        "MAILER_DSN": "null://null",
    }
    done = subprocess.run(
        confined(scratch, places, around),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    lines = done.stdout.decode(errors="replace").strip().split("\n")
    listed = {bytes.fromhex(line).decode(errors="replace") for line in lines if re.fullmatch("(?:[0-9A-F]{2})+", line)}
    if done.returncode:
        words = " ".join(line for line in lines if not re.fullmatch("[0-9A-F]+", line))
        raise BackupError(words[-600:] or "systemd could not start the restore test.")
    missing = sorted({*tables} - listed)
    if missing:
        raise BackupError(f"The restored database lacks tables of its dump: {first_of(missing)}.")
