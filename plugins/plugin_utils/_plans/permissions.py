# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section permissions: whose the files of the portal are, which of them visitors get, and how PHP writes new ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...module_utils._transaction.job import Load
from .._nodes import sealed, settles_secrets
from .portal import Portal
from .shapes import File, Plan, Settings, Transaction

# What a waiver leaves as it is.
PARTS = {
    "permissions_code": ("assets", "bin", "public", "src", "templates", "tests", "translations", "vendor", "[!.]*.*"),
    "permissions_var": ("var",),
    "permissions_env": (".env*",),
    "permissions_config": ("config",),
}
# Sources and notes beside Chamilo's older pages, and what people leave behind.
SOURCES = "tpl|twig|sql|ya?ml|neon|dist|md|inc|lock"
LEFT = r"sql(?:\.\w+)?|dump|bak|old|orig|save|swp|swo|rej|log|tar|tgz|tar\.\w+"
UNSET = ("another file system is mounted here", "Operation not permitted", "Permission denied")


@dataclass(frozen=True)
class Permissions(Plan):
    domain: str
    web_server: str
    vhost: bool  # a virtual host has to include the drop-ins first
    environment: Mapping[str, str]  # keys of the application's environment
    secrets: Sequence[str]  # keys that it has to have, and that this node makes where they are public
    sealed: str  # those of another node of the portal, which this one takes
    production: Settings | None
    php: Transaction | None
    package: str  # of the release: auto, off, a file of the controller, or an address
    asked: bool  # owners and modes are set
    tree: Mapping[str, Any]  # for chamilo_perms now, and for `chamilo-hardening window` later
    pages: Mapping[str, Any]  # what has to work as before once owners and modes are set, for the same two
    web: Transaction
    messages: Sequence[str]  # what an administrator has to check
    unset: bool  # a file stays open: the run is not done

    @property
    def more(self) -> bool:
        return self.vhost or super().more


def plan(portal: Portal, given: Mapping[str, Any]) -> Permissions:
    site, php, name = portal.site, portal.site.php, f"permissions:{portal.word}"
    kept = [path for control, paths in PARTS.items() if not portal.enforced(control) for path in paths]
    asked = len(kept) < sum(map(len, PARTS.values()))  # with all of it waived the directory itself stays, too
    docroot, production = portal.enforced("permissions_docroot"), portal.enforced("permissions_production")
    secrets, taken = _secrets(portal)
    tree, pages = _tree(portal, given, kept), _pages(portal)
    of_php = Transaction(
        f"permissions:{portal.word}.php",
        files := _of_php(portal, production),
        [[f"php-fpm{php.version}", "-t"]] if php.sapi == "fpm" else portal.test,
        Load(php.service or portal.service),
        [portal.front],
        bool(files),
    )
    messages, unset = _to_check(given) if asked else ([], False)
    return Permissions(
        domain=portal.domain,
        web_server=portal.web,
        vhost=docroot and portal.vhost_due,
        packages=portal.client,  # or it could not be seen who uses a second factor
        environment={"APP_ENV": "prod", "APP_DEBUG": "0"} if production else {},
        secrets=secrets,
        sealed=taken,
        # The platform's own word for it. Every portal of a host has one.
        production=Settings("", portal.root, {"platform.server_type": "prod"}) if production and portal.leads else None,
        # With a waiver, only to take away what a run before it put there.
        php=of_php if files or portal.active(of_php.name) else None,
        # In YAML an off without quotes is false.
        package="off" if given["chamilo_release_archive"] in ("", "false", False) else given["chamilo_release_archive"],
        asked=asked,
        tree=tree,
        pages=pages,
        web=Transaction(
            name,
            _web(portal, tree, docroot, pages),
            portal.test,
            Load(portal.service),
            portal.probe("permissions") if docroot else [portal.front],
        ),
        messages=[*given.get("__chamilo_permissions_environment", {}).get("consequences", []), *messages],
        unset=unset,
        values={
            "drop_ins": portal.drop_ins,
            "sources": SOURCES,
            "left": LEFT,
            "spellings": site.spellings,
            "prepended": php.prepended_cli,
            "prepend": portal.prepend[0].path,
        },
    )


def _secrets(portal: Portal) -> tuple[list[str], str]:
    """The nodes of one portal share their secrets: the leader makes them, and the others take them from it."""
    several = len(portal.node["web"]) > 1
    if not portal.enforced("permissions_secrets") or several and not settles_secrets(portal.variables, portal.node):
        return [], ""
    made = ["APP_SECRET", "JWT_PASSPHRASE"] if portal.leads else []
    return made, sealed(portal.node, portal.variables["hostvars"]) if several else ""


def _tree(portal: Portal, given: Mapping[str, Any], kept: Sequence[str]) -> dict[str, Any]:
    php = portal.site.php
    return {
        "path": portal.root,
        "owner": given["chamilo_owner"],
        "group": given["chamilo_group"] or php.group,
        "web_user": given["chamilo_web_user"] or php.user,
        "policy": given["chamilo_permissions_policy"],
        "exclude": kept,
        "roots": [one for one in ("var", "config", *given["chamilo_permissions_roots"]) if one not in kept],
    }


def _pages(portal: Portal) -> dict[str, Any]:
    front = portal.front
    more = {"address": front.address, "send": front.send}
    return {"probe": [{"url": url, **more} for url in (front.url, f"{front.url}login")]}


def _of_php(portal: Portal, production: bool) -> list[File]:
    """PHP would make each upload world-readable. On the command line it checks whether a script is Chamilo's."""
    etc, word = f"/etc/php/{portal.site.php.version}", portal.word
    files: list[File] = []
    if portal.enforced("permissions_var"):
        files += [
            *portal.prepend,
            File("/usr/local/share/chamilo-hardening/prepend.d/permissions.php", "php/part.php.j2"),
            File(f"{etc}/cli/conf.d/99-chamilo-hardening-prepend.ini", "php/cli.ini.j2"),
        ]
    if production and portal.site.php.sapi == "mod_php":
        files.append(File(f"/etc/apache2/conf-enabled/chamilo-{word}-permissions.conf", "apache/silent.conf.j2"))
    elif production:  # PHP goes by it after its own files and after the settings of a pool
        files.append(File(f"{etc}/fpm/conf.d/91-chamilo-{word}-permissions.ini", "php/silent.ini.j2"))
    return files


def _web(portal: Portal, tree: Mapping[str, Any], docroot: bool, pages: Mapping[str, Any]) -> list[File]:
    drop_in = f"{portal.drop_ins}/permissions.conf"
    # Read by the drop-in of the section updates, which closes the installer.
    installer = {
        "web": portal.web,
        "file": f"{portal.drop_ins}/window/installer.conf",
        "test": portal.test,
        "service": portal.service,
    }
    known = json.dumps({"tree": tree, "installer": installer, "pages": pages}, indent=1, sort_keys=True)
    within = f"{portal.drop_ins}/within/permissions.conf"
    inner = [File(within, "nginx/within.conf.j2") if docroot else File(within, absent=True)]
    return [
        File(drop_in, f"{portal.web}/permissions.conf.j2") if docroot else File(drop_in, absent=True),
        *([] if portal.apache else inner),
        File(f"/etc/chamilo-hardening/permissions-{portal.word}.json", content=f"{known}\n", mode="0600"),
        *(portal.apache_modules("rewrite", "headers") if docroot else []),
    ]


def _to_check(given: Mapping[str, Any]) -> tuple[list[str], bool]:
    """What the walk over the files reported, and whether a file could not be set."""
    seen: Mapping[str, Any] = given.get("__chamilo_permissions_tree", {})
    if "disabled" not in seen:
        return [], False
    messages: list[str] = []
    if seen["window"]:
        messages.append(f"{seen['window']}. It is left as it is until then, or until: chamilo-hardening window close")
    if seen["package_problem"]:
        messages.append(
            "The program was not compared with the package of its release: "
            f"{seen['package_problem']}. Name the package in chamilo_release_archive"
        )
    if seen["unlike"]:
        messages.append(f"Differs from {seen['package']}, for a person to read: {'; '.join(seen['unlike'])}")
    if seen["given_back"]:
        messages.append(f"{seen['given_back']} files that an earlier version had disabled are in use again")
    if seen["disabled"]:
        messages.append(
            "Files are disabled, as earlier versions did it, and not known as part of the release. What is yours: "
            f"chmod 644, and run again. What is not: remove it. {'; '.join(seen['disabled'])}"
        )
    messages += [": ".join(map(str, one.values())) for one in seen["refused"]]
    return messages, any(one["why"].startswith(UNSET) for one in seen["refused"])
