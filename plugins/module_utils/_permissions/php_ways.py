# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""How requests come to the PHP of a portal, and who else comes there. Read only."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import php_pool
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.php_accounts import PhpUserError
from ansible_collections.chamilo.hardening.plugins.module_utils._portal import php_fpm
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Tree, VirtualHost
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Site

_HANDLER = '<FilesMatch "\\.ph(?:ar|p|tml)$"> SetHandler "proxy:{}|fcgi://localhost" </FilesMatch>'


class Ways:
    """The virtual hosts of one portal and their pools."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def pool(self) -> php_fpm.Pool:
        pools, problems = php_fpm.pools(Tree())
        pool = php_fpm.pool_behind(Tree(), pools, self.site.php.socket)
        if problems or pool is None:
            why = " ".join(problems) or f"requests go to {self.site.php.socket or 'no PHP-FPM'}, which no pool here is."
            raise PhpUserError(f"PHP of {self.site.domain} cannot get a user of its own: {why}")
        return pool

    def of_portal(self, host: VirtualHost) -> bool:
        root = os.path.realpath(self.site.root)
        return f"{os.path.realpath(host.root or '/')}/".startswith(f"{root}/")

    def hosts(self, address: str) -> Iterator[VirtualHost]:
        """The virtual hosts whose requests come to an address of PHP."""
        pools = php_fpm.pools(Tree())[0]
        desired = php_fpm.pool_behind(Tree(), pools, address)
        for host in self.site.virtual_hosts:
            same_pool = desired is not None and php_fpm.pool_behind(Tree(), pools, host.php) == desired
            if host.php and (host.php == address or same_pool):
                yield host

    def is_alone(self, pool: php_fpm.Pool) -> bool:
        """Whether its owner gave it a user of its own that no other service or account uses."""
        users = self._other_users()
        # PHP that runs as the web server's user may connect to each pool.
        return self.site.web.user not in {pool.user, *users} and pool.user not in users

    def _other_users(self) -> set[str]:
        """As whom PHP of other sites runs."""
        pools = php_fpm.pools(Tree())[0]
        others = [host for host in self.site.virtual_hosts if host.php and not self.of_portal(host)]
        return {pool.user for host in others if (pool := php_fpm.pool_behind(Tree(), pools, host.php))}

    def _is_safe(self, path: str) -> bool:
        """Whether PHP of no other site can put a socket of its own in the place of this one."""
        status = os.stat(os.path.dirname(path))
        uids = {pwd.getpwnam(user).pw_uid for user in self._other_users()}
        return status.st_uid not in uids and not status.st_mode & 0o022

    def way(self, pool: php_fpm.Pool) -> str:
        hosts = list(self.hosts(pool.address))
        mine = [host for host in hosts if self.of_portal(host)]
        if mine and all(host.ours for host in mine):
            return "virtual_host"
        alone = php_pool.pools_in(Tree().read(pool.file)) == [pool.name] and pool.address.startswith("unix:")
        alone = alone and self._is_safe(pool.address[len("unix:") :])
        files_of_portal = {host.file for host in mine}
        if (
            alone
            and mine == hosts
            and not self._names(pool.address, files_of_portal)
            and self._is_safe(pool.address[5:])
        ):
            return "address"
        return "line"

    def _names(self, address: str, without: set[str]) -> bool:
        """Whether another file of the web server names the address, for whomever."""
        top = f"/etc/{self.site.web.service}"
        patterns = ("*.conf", "conf.d/*", "conf-enabled/*", "sites-enabled/*", "snippets/*", "mods-enabled/*.conf")
        paths = [path for pattern in patterns for path in Tree().glob(f"{top}/{pattern}")]
        real = {os.path.realpath(path) for path in paths} - without
        return any(address in Tree().read(path) for path in real if os.path.isfile(path))

    def line(self, old: str, new: str) -> str:
        """What the owner of the virtual host has to change; the pool is there already."""
        places = ", ".join(f"{host.file} line {host.line}" for host in self.hosts(old) if self.of_portal(host))
        line = {"nginx": "fastcgi_pass {};", "apache": _HANDLER}[self.site.web.name].format(new)
        return (
            f"The virtual host of {self.site.domain} ({places}) hands requests to {old}, and only its owner can change "
            f"that. Write there: {line} Then run: systemctl reload {self.site.web.service}, and run this section "
            "again. Until then PHP runs as the user it has."
        )
