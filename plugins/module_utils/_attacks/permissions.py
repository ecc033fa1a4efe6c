# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Attacks on what lies in the project directory: fetch it from outside, read or change it from inside."""

from __future__ import annotations

import glob
import itertools
import os
import re
import secrets
import subprocess
from collections.abc import Callable, Iterable, Sequence

from .._common.control import Finding, attack, failed, passed
from .._common.sentences import first_of
from ._attacker import Target, by_every_name
from ._insider import Insider

_PUBLIC_PASSPHRASE = "your_secret_passphrase"  # Chamilo ships it; it is publicly known
_MANY = 200  # files of each kind that are tried

# Path -> the form of its content. The portal answers many an address with a page of its own.
_LOOT = {
    "/.env": rb"(?m)^[A-Z][A-Z_]+=",
    "/.env.bak": rb"(?m)^[A-Z][A-Z_]+=",
    "/.env.local": rb"(?m)^[A-Z][A-Z_]+=",
    "/.git/HEAD": rb"\Aref: refs/",
    "/.git/config": rb"\[core\]",
    "/composer.json": rb"\A\s*\{\s*\"",
    "/config/jwt/private.pem": rb"PRIVATE KEY",
    "/config/settings_overrides.yaml": rb"settings_overrides:",
    "/dump.sql": rb"(?i)(?:CREATE TABLE|INSERT INTO)",
    "/backup.sql": rb"(?i)(?:CREATE TABLE|INSERT INTO)",
    "/documentation/": rb"(?i)<title>[^<]*(?:changelog|documentation|installation)",
    "/documentation/changelog.html": rb"(?i)<h1|<title>",
    "/main/template/default/layout/layout_1_col.tpl": rb"\{[%{]",
    "/var/log/prod.log": rb"\A[\[{]",
    "/var/log/ids/ids.log": rb"\A\[\d{4}-",
}
_DETOURS = ("/%s", "//%s", "/public/../%s", "/public/%%2e%%2e/%s", "/index.php/../%s", "/build/..%%2f..%%2f%s")


@attack("permissions_docroot")
@by_every_name
def fetch_secrets(target: Target) -> Finding:
    if not target.page.status:
        raise OSError(f"{target.page.url} gave no answer: {target.page.error}")
    ways = [(path, detour % path.lstrip("/")) for path in _LOOT for detour in _DETOURS]
    taken = [way for path, way in ways if _contains(target, way, _LOOT[path])]
    if taken:
        return failed(f"An attacker can fetch {first_of(taken, 3)} from {target.scheme}://{target.domain}.")
    return passed(f"{len(ways)} ways to private files were tried; none disclosed anything.")


def _contains(target: Target, way: str, content: bytes) -> bool:
    answer = target.get(way)
    return answer.status == 200 and answer.body != target.missing.body and re.search(content, answer.body) is not None


# --------------------------------------------------------------------------------- with an account on the host itself


def _root(insider: Insider) -> str:
    if not insider.site.root:
        raise OSError("no Chamilo was found on the host")
    return insider.site.root


def _named(root: str, paths: Sequence[str]) -> str:
    """The first few, for a sentence. A name that could harm a terminal is escaped."""
    names = (os.path.relpath(path, root) for path in paths)
    return first_of((name if name.isprintable() else ascii(name)[1:-1] for name in names), 3)


def _files(top: str) -> list[str]:
    """Some files below a directory, as root sees them."""
    found = (
        os.path.join(directory, name)
        for directory, _directories, names in os.walk(top)
        for name in names
        if not os.path.islink(os.path.join(directory, name))
    )
    return list(itertools.islice(found, _MANY))


def _opens(paths: Iterable[str], how: int) -> list[str]:
    """Those that can be opened. Nothing is read or written, so that nothing changes."""
    opened = []
    for path in paths:
        try:
            os.close(os.open(path, how | os.O_NOFOLLOW | os.O_NONBLOCK))
        except OSError:
            continue
        opened.append(path)
    return opened


def _lays(directories: Iterable[str], target: str = "") -> list[str]:
    """The directories in which a file, or a link to ``target``, can be made. It is removed at once."""
    laid = []
    for directory in directories:
        path = os.path.join(directory, f"chamilo-hardening-{secrets.token_hex(8)}.txt")
        try:
            if target:
                os.symlink(target, path)
            else:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError:
            continue
        os.unlink(path)
        laid.append(directory)
    return laid


def _done(insider: Insider, user: str, function: Callable[[], list[str]]) -> list[str]:
    tried = insider.as_user(user, function)
    if tried.error:
        raise OSError(f"as {user}: {tried.error}")
    return list(tried.value)


def _laid(insider: Insider, directories: Iterable[str], target: str = "") -> list[str]:
    """``_lays`` as the web user. Not even the time of a directory's last change is to show it."""
    times = {directory: os.stat(directory) for directory in directories if os.path.isdir(directory)}
    try:
        return _done(insider, insider.web_user, lambda: _lays(times, target))
    finally:
        for directory, status in times.items():
            os.utime(directory, ns=(status.st_atime_ns, status.st_mtime_ns))


@attack("permissions_code", insider=True)
def plant(insider: Insider) -> Finding:
    root, user = _root(insider), insider.web_user
    directories = [
        os.path.join(root, name) for name in ("", "public", "public/main", "src", "vendor", "bin", "templates")
    ]
    files = [path for name in ("public", "src", "vendor", "bin") for path in _files(os.path.join(root, name))]
    laid = _laid(insider, directories)
    opened = _done(insider, user, lambda: _opens(files, os.O_WRONLY))
    if laid or opened:
        return failed(f"{user}, and so an attacker with a page, can change {_named(root, [*laid, *opened])}.")
    return passed(
        f"{user} can neither add a file to {len(directories)} directories of the program nor change {len(files)} files."
    )


@attack("permissions_var", insider=True)
def read_uploads(insider: Insider) -> Finding:
    root, user = _root(insider), insider.unrelated_client
    files = [path for name in ("log", "upload", "cache") for path in _files(os.path.join(root, "var", name))]
    opened = _done(insider, user, lambda: _opens(files, os.O_RDONLY))
    if opened:
        return failed(f"Another account of this host ({user}) can read {_named(root, opened)}.")
    return passed(
        f"Another account of this host ({user}) can read none of {len(files)} logs, uploads and cached files."
    )


@attack("permissions_env", insider=True)
def read_passwords(insider: Insider) -> Finding:
    root = _root(insider)
    return _private(insider, root, glob.glob(os.path.join(glob.escape(root), ".env*")))


@attack("permissions_config", insider=True)
def read_configuration(insider: Insider) -> Finding:
    root = _root(insider)
    return _private(insider, root, _files(os.path.join(root, "config")))


def _private(insider: Insider, root: str, files: Sequence[str]) -> Finding:
    read = _done(insider, insider.unrelated_client, lambda: _opens(files, os.O_RDONLY))
    written = _done(insider, insider.web_user, lambda: _opens(files, os.O_WRONLY))
    if read:
        return failed(f"Another account of this host ({insider.unrelated_client}) can read {_named(root, read)}.")
    if written:
        return failed(f"{insider.web_user}, and so an attacker with a page, can change {_named(root, written)}.")
    return passed(f"{len(files)} files: {insider.unrelated_client} can read none, {insider.web_user} can change none.")


@attack("permissions_links", insider=True)
def lay_traps(insider: Insider) -> Finding:
    root, user = _root(insider), insider.web_user
    directories = [os.path.join(root, name) for name in ("", "public", "public/main", "config", "src", "vendor")]
    laid = _laid(insider, directories, "/etc/passwd")
    if laid:
        return failed(
            f"{user} can lay a link out of the tree into {_named(root, laid)}; the next repair may follow it."
        )
    return passed(f"{user} can lay no link into {len(directories)} directories of the program.")


@attack("permissions_secrets", insider=True)
def forge_token(insider: Insider) -> Finding:
    root, user = _root(insider), insider.web_user
    if insider.site.secrets_default:
        known = " and ".join(insider.site.secrets_default)
        return failed(f"An attacker can find or guess {known} and make valid logins at home.")
    key = os.path.join(root, "config/jwt/private.pem")
    if not os.path.exists(key):
        return passed("APP_SECRET and JWT_PASSPHRASE are not publicly known; there is no key to try them on.")
    command = ["openssl", "dgst", "-sha256", "-sign", key, "-passin", f"pass:{_PUBLIC_PASSPHRASE}"]

    def sign() -> bool:
        return not subprocess.run(command, input=b"forged", capture_output=True, check=False).returncode

    tried = insider.as_user(user, sign)
    if tried.error:
        raise OSError(f"as {user}: {tried.error}")
    if tried.value:
        return failed("The key that signs logins of the API opens with the passphrase that Chamilo ships.")
    return passed("APP_SECRET and JWT_PASSPHRASE are not publicly known; the shipped passphrase signs nothing.")


_ERRORS = ("/chamilo-hardening-asks-for-what-is-not-there", "/main/crash.php", "/api/chamilo-hardening", "/_profiler/")
_TRACE = re.compile(rb"Symfony Exception|sf-dump|exception-message|Stack trace:|Fatal error</b>:|Symfony Profiler")


@attack("permissions_production")
@by_every_name
def provoke(target: Target) -> Finding:
    answers = [target.page, *(target.get(path) for path in _ERRORS)]
    if not any(answer.status for answer in answers):
        raise OSError(f"{target.domain} gave no answer: {answers[0].error}")
    for answer in answers:
        shows = _TRACE.search(answer.body)
        if shows or answer.values("X-Debug-Token"):
            what = shows[0].decode() if shows else "X-Debug-Token"
            return failed(f"An error discloses internals of the portal: {answer.url} shows {what!r}.")
    return passed(f"{len(answers)} pages, errors among them, disclose neither code nor settings.")
