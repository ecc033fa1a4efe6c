# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section uploads: what the web server and PHP run, which files Chamilo takes, and who scans them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ...module_utils._transaction.job import Load
from .portal import PACKAGES, Portal
from .shapes import File, Plan, Settings, Transaction

# Where Chamilo's program is, as its web addresses show it, and what some server may take for a program.
PROGRAM = r"(?:(?:main|{plugin}|certificates)/.+|[^/]+)\.php(?:/|$)"
LIKE = r"\.(?:p(?:h(?:p\d*|tml?|ar|t|ps)(?:[./]|$)|[ly](?:/|$))|(?:inc|f?cgi|shtml?)(?:/|$))"
RULES = r"(?:ht[^/]*|user\.ini)(?:/|$)"
GIB = 1 << 30
NEEDED = 3 * GIB  # of memory; ClamAV keeps more than 1 GiB


@dataclass(frozen=True)
class Uploads(Plan):
    vhost: bool  # a virtual host has to include the drop-ins first
    web: Transaction
    php: Transaction
    settings: Settings | None
    refused: str  # why the scanner is not installed
    scanner: Transaction | None

    @property
    def more(self) -> bool:
        return self.vhost or super().more or bool(self.refused)


def plan(portal: Portal, given: Mapping[str, Any]) -> Uploads:
    name, present = f"uploads:{portal.word}", given["chamilo_uploads_state"] == "present"
    no_exec, no_override = portal.enforced("uploads_no_exec"), portal.enforced("uploads_no_override")
    blocks = present and portal.enforced("uploads_extensions")
    scanned = present and _scanned(portal, given)
    refused = _refused(portal) if scanned else ""
    php = portal.site.php
    return Uploads(
        vhost=present and portal.vhost_due,
        web=Transaction(
            name,
            _web(portal, no_exec),
            portal.test,
            Load(portal.service),
            [*portal.token("uploads"), portal.front],
            present,
        ),
        php=Transaction(
            f"uploads:{portal.word}.php",
            _php(portal, no_exec),
            [[f"php-fpm{php.version}", "-t"]] if php.sapi != "mod_php" and php.version else portal.test,
            Load(php.service or portal.service),
            [portal.front],
            present,
        ),
        # With a waiver, only to reset what a run before it set.
        settings=Settings(name, portal.root, _settings(given) if blocks else {})
        if portal.leads and (blocks or portal.kept(name))
        else None,
        refused=refused,
        packages=portal.missing(*PACKAGES["uploads"]) if scanned and not refused else [],
        scanner=_scanner(portal, f"uploads:{portal.word}.antivirus", scanned),
        values={
            "no_exec": no_exec,
            "no_override": no_override,
            "programs": _programs(portal, given),
            "like": LIKE,
            "rules": RULES,
            # Each begins with its dot, which most names have once: nothing else of them is matched. Of two
            # backslashes in quotes nginx leaves one.
            "refused": [*([LIKE] if no_exec else []), *([rf"\\.(?<=/\\.){RULES}"] if no_override else [])],
            "rules_or": rf"(?is:.*/\\.{RULES})|" if no_override else "",
            "answered": portal.site.in_place.answered if portal.vhost_kept else (),
            "directories": _directories(portal),
            "spellings": portal.site.spellings,
            "limited": bool(given["chamilo_uploads_maximum_size"]),
            "file_most": portal.file_most,
            "request_most": portal.request_most,
            "access_files": [asdict(file) for file in portal.site.access_files if not file.lost],
        },
    )


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "document.upload_extensions_blacklist": given["chamilo_uploads_blocked_extensions"],
        "document.upload_extensions_skip": True,
        "lp.allow_htaccess_import_from_scorm": False,
    }


# ------------------------------------------------------------------------------------------------ what runs


def _programs(portal: Portal, given: Mapping[str, Any]) -> str:
    """Another program of the virtual host runs as before: one that it has a place for, and declared ones."""
    declared: list[str] = given["chamilo_uploads_other_programs"]
    found = [one.path for one in portal.site.in_place.programs]
    known = [one for one in found if re.fullmatch(r"/[A-Za-z0-9_~.-][A-Za-z0-9_~./-]*", one)]
    left = {one[1:].rstrip("/") for one in declared if one.startswith("!")}
    asked = {one.rstrip("/") for one in [*known, *(one for one in declared if not one.startswith("!"))]}
    # In the order that earlier runs wrote them in.
    others = [re.escape(one.lstrip("/")) for one in sorted(asked - left, key=lambda one: (one.lower(), one))]
    # No character of these names is one of a pattern.
    declared_plugins = set(given["chamilo_uploads_plugins"])
    used = "|".join(sorted(declared_plugins | set(portal.site.plugins) if declared_plugins else ()))
    own = PROGRAM.replace("{plugin}", f"plugin/(?:{used})" if used else "plugin")
    return f"(?:{own}|(?:{'|'.join(others)})(?:/|$))" if others else own


def _directories(portal: Portal) -> list[str]:
    """The project directory as it is written anywhere, also behind a link to the newest of its releases."""
    real = portal.site.real_root
    return [real if one == real.removesuffix("/*") else one for one in portal.site.spellings]


def _guard() -> list[File]:
    return [File("/usr/local/share/chamilo-hardening/prepend.d/uploads.php", "php/part.php.j2")]


def _web(portal: Portal, no_exec: bool) -> list[File]:
    files = [File(f"{portal.drop_ins}/uploads.conf", f"{portal.web}/uploads.conf.j2")]
    # nginx refuses a second limit in one virtual host: what its owner wrote there stays.
    if not portal.vhost_kept or not any(host.body_limit_own for host in portal.site.answering):
        files += portal.body_limit
    if not portal.apache:
        return files
    files += portal.apache_modules("rewrite", "headers")
    files.append(File(f"/etc/apache2/conf-enabled/chamilo-{portal.word}-uploads.conf", "apache/host.conf.j2"))
    # Where PHP is a module of Apache, Apache is what has to read them, also when the portal itself goes to PHP-FPM.
    if no_exec and any(face.endswith("/apache2") for face in portal.site.php_folders):
        files += [*portal.prepend, *portal.prepend_apache, *_guard()]
    return list(dict.fromkeys(files))


def _php(portal: Portal, no_exec: bool) -> list[File]:
    guarded = no_exec and portal.site.php.sapi != "mod_php"
    faces = [face for face in portal.site.php_folders if face.endswith(("/fpm", "/cgi"))]
    limits = [File(f"{face}/conf.d/91-chamilo-{portal.word}-uploads.ini", "php/site.ini.j2") for face in faces]
    return [*([*portal.prepend, *_guard()] if guarded else []), *limits]


# ------------------------------------------------------------------------------------------------ who scans


def _scanned(portal: Portal, given: Mapping[str, Any]) -> bool:
    large = given["chamilo_level"] == "consider" and portal.site.memory >= NEEDED
    asked = boolean(given["chamilo_uploads_antivirus"]) or large
    return asked and portal.enforced("uploads_antivirus", "consider")


def _refused(portal: Portal) -> str:
    memory = portal.site.memory
    if memory >= NEEDED:
        return ""
    return (
        f"chamilo_uploads_antivirus is true, but this host has {memory * 100 // GIB / 100} GiB of memory. ClamAV keeps "
        "more than 1 GiB in memory, and without 3 GiB the database or PHP would be killed for it. Nothing of the "
        "scanner was installed. Give the host more memory, or set chamilo_uploads_antivirus to false."
    )


def _scanner(portal: Portal, name: str, scanned: bool) -> Transaction | None:
    if not scanned and not portal.active(name):
        return None
    known = json.dumps({"domain": portal.domain, "root": portal.root}, sort_keys=True)
    files = [
        File(f"/etc/chamilo-hardening/uploads-{portal.word}.json", content=f"{known}\n", mode="0600"),
        File("/etc/cron.d/chamilo-hardening-scan", "scan.cron.j2"),
    ]
    if not portal.site.clamd_own:
        # Debian's own values, but for the options; the package has no directory for additions.
        files.append(File("/etc/clamav/clamd.conf", "clamd.conf.j2"))
    # Where it has no signatures yet it does not run; the first scan after they came starts it.
    return Transaction(name, files, [["systemctl", "try-restart", "clamav-daemon"]], present=scanned)
