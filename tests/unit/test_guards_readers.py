# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on the host as root opens nothing below the portal's tree by a plain path.

The web user may have put a link, a pipe or a device there. Such files are opened by ``paths.open_regular``,
``paths.read_guarded`` or ``configuration.Tree``, or by a name in a directory that is open already (``dir_fd``).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2] / "plugins"
SOURCES = sorted([*(ROOT / "module_utils").rglob("*.py"), *(ROOT / "modules").glob("*.py")])
_OPENERS = {"os.open", "io.open", "gzip.open", "lzma.open", "bz2.open", "codecs.open", "io.FileIO"}
_STRICT = {"open_regular", "_regular", "os.open"}  # what they return is open; os.open itself is judged on its own
_FIXED = ("/dev/null", "/etc/", "/proc/", "/var/lib/chamilo-hardening/", "/run/chamilo-hardening/")

# Plain opens that were reviewed: why they cannot be led astray, and where (file:function).
REVIEWED = {
    "own state and settings, in directories that root alone can write": """
        _https/acme.py:bundle _common/alert.py:_incidents _common/alert.py:addressee
        _uploads/antivirus.py:scan _audit/host_jobs.py:record
        _audit/host_jobs.py:settings _audit/backups.py:_compared _audit/monitoring.py:_accounts_lost
        _audit/host_jobs.py:no_recipient _audit/monitoring.py:_to_today _audit/monitoring.py:_sign
        _audit/permissions.py:opened
        _backups/backup.py:_compared_key _backups/restic.py:_credentials _backups/commands.py:_restored
        _backups/key.py:_key _backups/portal.py:journal _backups/portal.py:portals _backups/portal.py:remembered
        _https/hsts.py:_read
        _https/hsts.py:bound _monitoring/integrity.py:read _database/migrate.py:migrate _common/records.py:read
        _https/renewal.py:configurations _common/locks.py:acquire
        _common/locks.py:holder _common/files.py:noted _transaction/store.py:load _common/files.py:document
        _brute_force/unlock.py:sites _updates/releases.py:watched _monitoring/watch.py:configuration
        _application/release_files.py:refusal _permissions/aside.py:known
        _monitoring/watch.py:pulse _permissions/open_windows.py:known
        _permissions/open_windows.py:sites _application/release_files.py:known
    """,
    "the package of the release, which an administrator names": """
        _application/package.py:read _program/new_release.py:_checksum
    """,
    "made in a directory of its own, or as another account than root": """
        _uploads/antivirus.py:_take_away _attacks/permissions.py:_lays _attacks/permissions.py:_opens
        _backups/dump.py:read
        _backups/restore_test.py:_fetch_dump
        _backups/restore_tables.py:load
        _backups/restore_tables.py:write_objects
        _backups/restore.py:_load _backups/restore.py:_dump guide_prove.py:work _program/new_release.py:lay
        _application/package.py:version_of
    """,
    "configuration, packages and certificates of the host, in directories of root's": """
        _https/acme.py:self_sign _audit/https.py:_from_file _audit/https.py:_lineage
        _webserver/certificate.py:complaint _brute_force/fail2ban.py:interpreter _brute_force/filter_file.py:read
        _common/mounts.py:_in_fstab
        _common/mounts.py:mounts _common/services.py:_listening
        _https/renewal.py:_present
        _host/processes.py:_text
    """,
    "a directory to begin with, from which names are followed step by step": """
        _https/acme.py:_challenge _uploads/antivirus.py:scan_portal _common/paths.py:open_path
        _permissions/walk.py:_walked
        _application/comparison.py:_walk
    """,
    "an open descriptor, in the directory of secrets of systemd's or root's": "_common/openssl.py:secret_file",
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
        insider = node.name if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else function
        if isinstance(node, ast.Call) and _is_plain(node):
            yield insider
        yield from _plain(node, insider)


def _found() -> set[str]:
    found = set()
    for path in SOURCES:
        below = path.relative_to(ROOT).as_posix().partition("/")[2]
        found |= {f"{below}:{name}" for name in _plain(ast.parse(path.read_text(encoding="utf-8")))}
    return found


def test_nothing_below_the_tree_is_opened_by_a_plain_path() -> None:
    reviewed = {where for places in REVIEWED.values() for where in places.split()}
    found = _found()
    assert found - reviewed == set(), "open it by paths.open_regular or read_guarded"
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


# What decides which links are followed, where it is not one of the rules of paths.py, and why.
RULES = {
    "_application/comparison.py": "lambda *_link: 'it was no link before'",  # none: the path was resolved
    "_backups/restore.py": "lambda *_link: 'a link'",  # none: what restic wrote has none on its way
    "_uploads/antivirus.py": "noted",  # all: what was opened is judged afterwards
}


def test_links_are_judged_by_one_set_of_rules() -> None:
    """``paths.of_root`` for what root writes or walks, ``paths.untrusted`` for what the application may have linked."""
    found = {}
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if path.name != "paths.py" and ast.unparse(call.func).split(".")[-1] == "open_path":
                found[str(path.relative_to(ROOT / "module_utils"))] = ast.unparse(call.args[1])
    common = ("of_root", "refusal", "self._refusal", "untrusted(web_user)")
    own = {where: rule for where, rule in found.items() if rule not in common}
    assert own == RULES


def test_what_a_user_can_change_is_judged_with_its_acl():
    """``Identity.controls`` knows the mode alone. ``Identity.changes`` reads the ACL, too."""
    callers = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if path.name != "obstacle.py"  # whose controls are those of the guide
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "controls" and isinstance(node.ctx, ast.Load)
        if ast.unparse(node.value) in ("user", "self", "other", "php", "web")
    ]
    # Its walk judges by mode and by ACL apart, to name the ACL.
    assert callers == ["module_utils/_monitoring/tree.py", "module_utils/_monitoring/tree.py"]


FLAG = re.compile(r"(os\.O|stat\.S)_[A-Z]+")


def test_flags_are_joined_so_that_each_is_set() -> None:
    """``O_DIRECTORY & O_NOFOLLOW`` is neither, and nothing fails: a link is followed, that is all."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.BitOr)
        if all(
            FLAG.fullmatch(re.split(r" \W+ ", ast.unparse(side))[at]) for side, at in ((node.left, -1), (node.right, 0))
        )
    ]
    assert wrong == []
