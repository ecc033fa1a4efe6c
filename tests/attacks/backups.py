"""Attacks on backups from inside the host: get at a copy without its key, or at one that lies about."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import json
import lzma
import os
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._insider import Insider
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import Finding, attack, failed, passed

_CONFIGURATION = "/etc/chamilo-hardening"
_STATE = "/var/lib/chamilo-hardening"
_USUAL = "/var/backups"
# What every dump of Chamilo, and every copy of its program, contains in clear.
_CLEAR = (b"CREATE TABLE", b"INSERT INTO", b"DATABASE_PASSWORD", b"APP_SECRET")
_COPY = re.compile(r"(?i)\.(?:sql|dump|zip|tar)(?:\.\w+)?$")
_DUMPED = re.compile(rb"-- (?:MySQL|MariaDB) dump|/\*M!999999|phpMyAdmin SQL Dump|-- Adminer ")
_MOST, _FILES = 1 << 22, 2000


def _repository() -> str:
    """The repository on this host, as root sees it."""
    for name in sorted(os.listdir(_CONFIGURATION)) if os.path.isdir(_CONFIGURATION) else []:
        if name.startswith("backups-") and name.endswith(".json"):
            with open(os.path.join(_CONFIGURATION, name), encoding="utf-8") as stream:
                place = str(json.load(stream).get("repository", ""))
            if place.startswith("/"):
                return place
    return ""


def _below(*tops: str) -> Iterator[str]:
    for top in tops:
        for directory, _directories, names in os.walk(top):
            yield from (os.path.join(directory, name) for name in sorted(names))


@attack("backups_encrypted", insider=True)
def read_without_the_key(insider: Insider) -> Finding:
    """What an attacker can read who has the repository, but not its key."""
    place = _repository()
    if not place:
        return failed("There is no encrypted repository on this host to be stolen; a plain dump would be.")
    inspected = 0
    for path in _below(place):
        if inspected == _FILES:
            break
        inspected += 1
        with open(path, "rb") as stream:
            content = stream.read(_MOST)
        clear = [word.decode() for word in _CLEAR if word in content]
        if clear:
            return failed(f"{path} contains {clear[0]} in clear.")
    if not inspected:
        raise OSError(f"{place} is empty")
    inside_of = _read(insider.unrelated_client, insider, place, _CONFIGURATION)
    if inside_of:
        return failed(f"{insider.unrelated_client} reads {inside_of}.")
    return passed(
        f"{inspected} files of {place} show nothing without the key, and {insider.unrelated_client} gets at neither."
    )


@attack("backups_private", insider=True)
def read_as_the_web_user(insider: Insider) -> Finding:
    """What an attacker can read who took over a page."""
    user = insider.web_user
    place = _repository()
    found = _read(user, insider, *filter(None, (place, _CONFIGURATION, _STATE, _USUAL)))
    found = found or _dump_below(os.path.join(insider.site.root, "public"))
    if found:
        return failed(f"{user} reads {found}.")
    return passed(f"{user} finds no copy that it can read in {place or _USUAL}, and not the key.")


def _dump_below(public: str) -> str:
    """The first dump of a database that a visitor could ask for."""
    for path in _below(public):
        if _COPY.search(path) and os.path.isfile(path):
            unpack: Any = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}.get(os.path.splitext(path)[1].lower())
            with contextlib.suppress(OSError, EOFError, lzma.LZMAError, zlib.error):  # damaged: of no use
                with (unpack or open)(path, "rb") as stream:
                    if _DUMPED.search(stream.read(2048)):
                        return path
    return ""


def _read(user: str, insider: Insider, *tops: str) -> str:
    """The first file that the account can read there and that is a part or a key of a backup."""
    tried = insider.as_user(user, _first(tops))
    if tried.error:
        raise OSError(tried.error)
    return str(tried.value or "")


def _first(tops: tuple[str, ...]) -> Callable[[], str]:
    def first() -> str:
        for path in _below(*tops):
            directory, name = os.path.split(path)
            if directory == _USUAL and (name.startswith("alternatives.") or not _COPY.search(name)):
                continue  # Debian keeps its lists of packages and alternatives.tar.0 there, readable by all
            try:
                with open(path, "rb"):
                    return path
            except OSError:
                continue
        return ""

    return first
