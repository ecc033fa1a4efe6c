# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on the host as root opens nothing below the portal's tree by a plain path.

The web user may have put a link, a pipe or a device there. Such files are opened by ``_links.open_regular``,
``_links.read_guarded`` or ``_configuration.Tree``, or by a name in a directory that is open already (``dir_fd``).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2] / "plugins"
SOURCES = sorted([*(ROOT / "module_utils").rglob("*.py"), *(ROOT / "modules").glob("*.py")])
_OPENERS = {"os.open", "io.open", "gzip.open", "lzma.open", "bz2.open", "codecs.open", "io.FileIO"}
_STRICT = {"open_regular", "_regular", "os.open"}  # what they return is open; os.open itself is judged on its own
_FIXED = ("/etc/", "/proc/", "/var/lib/chamilo-hardening/", "/run/chamilo-hardening/")

# Plain opens that were looked at: why they cannot be led astray, and where (file:function).
REVIEWED = {
    "own state and settings, in directories that root alone can write": """
        _acme.py:attempts _acme.py:bundle _alert.py:_sent _alert.py:addressee _antivirus.py:_scan_site
        _antivirus.py:scan _attacks/backups.py:_repository _audit/_traces.py:record _audit/_traces.py:settings
        _audit/backups.py:_compared
        _audit/monitoring.py:_accounts_lost _audit/monitoring.py:_nobody _audit/monitoring.py:_sign
        _audit/permissions.py:_opened _audit/uploads.py:_late _backup.py:_compare_key _backup.py:_credentials
        _backup.py:alone _backup.py:holder _backup_commands.py:_restored _backup_key.py:keep_key
        _backup_portal.py:journal _backup_portal.py:portals _backup_portal.py:remembered _daily.py:_alone
        _database_account.py:_locked _database_account.py:_remembered _drill.py:_newest _env_memory.py:recall
        _hsts.py:_read _hsts.py:bound _integrity.py:read _migrate.py:migrate _perms.py:_alone _records.py:note
        _records.py:read _renewal.py:configurations _settings_memory.py:recall _state.py:holder _state.py:load
        _state.py:lock _state.py:noted _state.py:peek _unlock.py:sites _updates.py:step _watch.py:configuration
        _vouch.py:_read _vouch.py:listed _vouch.py:noted _watch.py:pulse _window.py:known _window.py:sites
    """,
    "the package of the release, which an administrator names": "_package.py:learn",
    "made in a directory of its own, or as another account than root": """
        _antivirus.py:_take_away _attacks/backups.py:first _attacks/backups.py:read_without_the_key
        _attacks/monitoring.py:__enter__ _attacks/permissions.py:_lays _attacks/permissions.py:_opens
        _attacks/uploads.py:write _backup.py:_put_away _drill.py:_definers _drill.py:_digest
        _drill.py:_fetch_dump _drill.py:_in_private _drill.py:_load _drill.py:_server _drill.py:_tables
        _drill.py:_without_tls _fail2ban_filter.py:write _restore.py:_load _restore.py:_make_way
        _restore.py:_read _restore.py:_write_objects _restore.py:_write_triggers _restore.py:stage_database
        guide_prove.py:main
    """,
    "configuration, packages and certificates of the host, in directories of root's": """
        _acme.py:_adopt _acme.py:self_sign _audit/https.py:_from_file _audit/https.py:_lineage
        _audit/updates.py:_versions _certificate.py:complaint _fail2ban.py:interpreter _fail2ban_filter.py:read
        _links.py:_in_fstab _links.py:file_systems _links.py:mounts _links.py:served_by_users _machine.py:_listening
        _obstacles.py:_lock_holder
        _php_settings.py:_text _renewal.py:_file_serial _renewal.py:_watch _running.py:_text
    """,
    "a directory to begin with, from which names are followed step by step": """
        _acme.py:_challenge _antivirus.py:_tops _links.py:open_path _perms.py:_walked
        _audit/_unvouched.py:__init__ _monitoring.py:_could_run _vouch.py:unlike _restore.py:_open_roots_alone
    """,
    "a checksum alone is made of it, and the last link is not followed": "_integrity.py:_checksum",
    "an open descriptor, in the directory of secrets of systemd's or root's": "_database.py:secret_file",
}


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _is_plain(call: ast.Call) -> bool:
    """Whether a call opens a file by a path that is not fixed."""
    if isinstance(call.func, ast.Attribute) and call.func.attr in ("read_text", "read_bytes"):
        return True
    if _name(call.func) not in {"open", *_OPENERS} or not call.args:
        return False
    if any(keyword.arg == "dir_fd" for keyword in call.keywords):
        return False
    where = call.args[0]
    if isinstance(where, ast.JoinedStr):
        where = where.values[0]
    if isinstance(where, ast.Constant) and str(where.value).startswith(_FIXED):
        return False
    return not (isinstance(where, ast.Call) and _name(where.func) in _STRICT)


def _plain(tree: ast.AST, function: str = "") -> Iterator[str]:
    """The functions that open files by plain paths."""
    for node in ast.iter_child_nodes(tree):
        inside = node.name if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else function
        if isinstance(node, ast.Call) and _is_plain(node):
            yield inside
        yield from _plain(node, inside)


def _found() -> set[str]:
    found = set()
    for path in SOURCES:
        below = path.relative_to(ROOT).as_posix().partition("/")[2]
        found |= {f"{below}:{name}" for name in _plain(ast.parse(path.read_text(encoding="utf-8")))}
    return found


def test_nothing_below_the_tree_is_opened_by_a_plain_path() -> None:
    reviewed = {where for places in REVIEWED.values() for where in places.split()}
    found = _found()
    assert found - reviewed == set(), "open it by _links.open_regular or read_guarded"
    assert reviewed - found == set(), "these do not open anything by a plain path any more"


def test_what_counts_as_a_plain_path() -> None:
    source = """
def a(path):
    open(path)
def b(root):
    Path(root, ".env").read_text()
def c(root):
    open(f"{root}/x")
def d(name):
    os.open(name, 0)
def e(name, handle):
    os.open(name, 0, dir_fd=handle)
    open(open_regular(name), "rb")
    open(os.open(name, 0, dir_fd=handle))
    open("/etc/os-release")
    open(f"/proc/{name}/status")
def f(path):
    gzip.open(path)
"""
    assert list(_plain(ast.parse(source))) == ["a", "b", "c", "d", "f"]
