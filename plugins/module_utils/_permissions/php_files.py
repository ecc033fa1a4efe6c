# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
"""The transaction with which PHP of a portal gets a user of its own, the one that takes it back, and what is kept."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import Item
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import php_pool
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.php_ways import Ways
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Tree
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine

_PHP = "/etc/php"
_CRON = "/etc/cron.d/*"
_MEMO = "/etc/chamilo-hardening/php_user-{site}.json"
_APACHE_GROUP = "/etc/apache2/conf-enabled/zz-chamilo-hardening-group.conf"
_NGINX = "/etc/nginx/nginx.conf"
_TESTS = {"nginx": ["nginx", "-t"], "apache": ["apache2ctl", "configtest"]}
# PHP compiles a file once for all pools, and would hand what it made of it to pools that may not read the file.
_OPCACHE = f"""\
; {php_pool.MANAGED}
; No site is handed what PHP compiled of a file that the site may not read.
opcache.validate_permission = 1
"""


@dataclass(frozen=True)
class Account:
    user: str
    group: str


@dataclass(frozen=True)
class Memo:
    """How PHP ran before, and what is needed to have it run like that again.

    ``way``: how requests come to our pool: the virtual host is ours and was changed (``virtual_host``), our pool
    listens where its owner's did (``address``), or the owner changes a line (``line``). ``member``: the web server's
    user became a member of its own group for us.
    """

    domain: str
    root: str
    web_server: str
    user: str
    group: str
    address: str
    pool: str
    file: str
    way: str
    member: bool = False
    probe: Sequence[Mapping[str, Any]] = ()

    @property
    def account(self) -> Account:
        return Account(self.user, self.group)


def transaction(site: str) -> str:
    return f"permissions:{site}.pool"


def tracked(engine: Engine) -> list[str]:
    """The portals whose PHP has a pool of ours."""
    pattern = re.compile(r"permissions:(.+)\.pool")
    return [found[1] for name in engine.store.peek()["records"] if (found := pattern.fullmatch(name))]


def memo(site: str) -> Memo | None:
    try:
        return Memo(**json.loads(Tree().read(_MEMO.format(site=site))))
    except FileNotFoundError:
        return None


class PoolFiles:
    """The files of one portal. ``probe``: pages that must work as before."""

    def __init__(self, word: str, site: Site, engine: Engine, probe: Sequence[Mapping[str, Any]]) -> None:
        self.word = word
        self.site = site
        self.engine = engine
        self.probe = probe
        self.own = Account(php_pool.account(word), php_pool.account(word))
        self.file = f"{_PHP}/{site.php.version}/fpm/pool.d/chamilo-{word}.conf"
        # Not in /run/php, which is the web server's user's: PHP of another site could put its own in the place of ours.
        self.socket = f"unix:/run/chamilo-{word}.sock"

    def desired(self, known: Memo, user: Account) -> dict[str, Any]:
        """The transaction that has our pool serve the portal, as that user."""
        address = known.address if known.way == "address" else self.socket
        # The owner's file is removed where ours takes its address: from then on, only ours has its lines.
        theirs, own = os.path.isfile(known.file), os.path.isfile(self.file)
        if theirs and not (known.way == "address" and own):
            output = php_pool.lines_of(_text(known.file), known.pool)
        else:
            output = php_pool.lines_of(_text(self.file), self.own.user) if own else []
        remedy = (
            "which comes back with: chamilo-hardening undo permissions"
            if known.way == "address"
            else "change it there, and run the section again"
        )
        source = f"The rest is taken over from [{known.pool}] of {known.file}; {remedy}."
        text = php_pool.pool(self.own.user, user.user, user.group, address, output, source)
        desired: list[dict[str, Any]] = [
            {"path": self.file, "secret_content": text, "mode": "0600"},
            {"path": f"{_PHP}/{self.site.php.version}/fpm/conf.d/{self._ini}", "content": _OPCACHE},
            {"path": _MEMO.format(site=self.word), "mode": "0600",
             "content": json.dumps({**asdict(known), "probe": list(self.probe or known.probe)}, indent=1) + "\n"},
        ]  # fmt: skip
        if known.way == "address":
            desired.append({"path": known.file, "state": "absent"})
        if known.way == "virtual_host":
            desired += self._virtual_hosts(known.address, address)
        if self.site.web.name == "nginx":
            desired.append(_edited(_NGINX, php_pool.nginx_group(_text(_NGINX))))
        else:
            group = (
                f"# {php_pool.MANAGED}\n# Alone in it, Apache may use the sockets of PHP.\nGroup {php_pool.WEB_GROUP}\n"
            )
            desired.append({"path": _APACHE_GROUP, "content": group})
        desired += self._cron(known.user, user.user)
        return self._transaction(desired, known)

    def restored(self, known: Memo) -> dict[str, Any]:
        """Files with other content than ours, without ours. Files of ours alone are removed: no plan names them."""
        edited: list[dict[str, Any]] = []
        if known.way == "virtual_host":
            edited += self._virtual_hosts(self.socket, known.address)
        if self.site.web.name == "nginx":
            text = _text(_NGINX)
            edited.append(_edited(_NGINX, text if self.others() else php_pool.nginx_as_before(text)))
        edited += self._cron(self.own.user, known.user)
        if known.way == "address":
            edited.append(self._removed(known.file))
        return self._transaction(edited, known)

    def _removed(self, path: str) -> dict[str, Any]:
        """The owner's file of a pool as it was: a transaction without it would not restore it."""
        record = self.engine.store.peek()["records"][transaction(self.word)]
        was = self.engine.store.load(Item.from_json(record["files"][path]["before"]))
        text = was.data.decode("utf-8", "surrogateescape")
        return {
            "path": path,
            "secret_content": text,
            "owner": str(was.uid),
            "group": str(was.gid),
            "mode": f"{was.mode:04o}",
        }

    def others(self) -> bool:
        """Whether another portal of this host has a user of its own."""
        own = _MEMO.format(site=self.word)
        return any(path != own for path in Tree().glob(_MEMO.format(site="*")))

    def _transaction(self, desired: Sequence[Mapping[str, Any]], known: Memo) -> dict[str, Any]:
        php, web = self.site.php, self.site.web
        test = [[f"php-fpm{php.version}", "-t"], _TESTS[web.name]]
        test += [["systemctl", "try-reload-or-restart", service] for service in (php.service, web.service)]
        if known.way == "address":  # a socket that stays open over a reload keeps its owner
            test[2:] = [test[3], ["systemctl", "try-restart", php.service]]
        probe = [{**one, "status": [200, 301, 302, 303]} for one in self.probe[:1]]
        return {"name": transaction(self.word), "files": list(desired), "test": test, "probe": probe}

    def _virtual_hosts(self, old: str, new: str) -> list[dict[str, Any]]:
        """Our virtual host, with another address of PHP."""
        paths = dict.fromkeys(
            host.file for host in self.site.virtual_hosts if host.ours and Ways(self.site).of_portal(host)
        )
        pattern = re.compile(rf"{re.escape(old)}(?![\w.-])")
        return [_edited(path, pattern.sub(lambda _found: new, _text(path))) for path in paths]

    def _cron(self, old: str, new: str) -> list[dict[str, Any]]:
        """The jobs of the portal in /etc/cron.d, with another user."""
        found = []
        tracked = self.engine.store.peek()["records"].get(transaction(self.word), {"files": {}})["files"]
        for path in Tree().glob(_CRON):
            status = os.lstat(path)
            if not stat.S_ISREG(status.st_mode) or status.st_uid or status.st_mode & 0o022:
                continue
            before = _text(path)
            after = php_pool.cron_user(before, self.roots, old, new)
            if after != before or path in tracked:
                found.append(_edited(path, after))
        return found

    @property
    def roots(self) -> set[str]:
        return {
            path for path in (self.site.root, self.site.real_root, *self.site.spellings) if path and "*" not in path
        }

    @property
    def _ini(self) -> str:
        return f"91-chamilo-{self.word}-user.ini"


def _text(path: str) -> str:
    return Tree().read(path)


def _edited(path: str, text: str) -> dict[str, Any]:
    """A file that is not ours alone: its owner and mode stay."""
    status = os.stat(path)
    owner, group = str(status.st_uid), str(status.st_gid)
    return {
        "path": path,
        "content": text,
        "owner": owner,
        "group": group,
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
    }
