# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Discovery: what stands on this host, found in one pass and without changing anything.

Everything that a role or a check must know about the host is in ``Site``. Nothing here is a secret.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from .._common.naming import word
from .._common.open_basedir import confines
from .._common.tree import Place, Tree
from .._host import host as portal_host
from .._php import php_fpm, php_ini
from .._php.php import Php
from .._webserver import apache, certbot, nginx
from .._webserver.beside import leads, programs
from .._webserver.configuration import Configuration, Server, VirtualHost, WebServer, first
from .._webserver.names import Answering, answered, of_no_other_site, portal_names, redirected, visitors_names
from .._webserver.planned import InPlace
from . import application, known_secrets, symfony_sessions
from .dotenv import Environment
from .dotenv import read as read_environment
from .installation import Installation
from .obstacle import Obstacle
from .project import Findings, Projects
from .site import Database, Site, SiteError

_PROGRAMS = {"nginx": "/usr/sbin/nginx", "apache": "/usr/sbin/apache2"}
_PID_FILES = {"nginx": "/run/nginx.pid", "apache": "/run/apache2/apache2.pid"}
_MARIADB_SOCKET = "/run/mysqld/mysqld.sock"
# The platform settings are read and written by whichever is there. A host with MariaDB has the first.
_DATABASE_CLIENTS = (
    "/usr/bin/mariadb",
    "/usr/bin/mysql",
    "/usr/local/bin/mariadb",
    "/usr/local/bin/mysql",
    "/usr/lib/python3/dist-packages/pymysql",
)
# The oldest releases with what is set and called here: nginx 1.19.4, restic 0.14, mariadb-server-core.
_OLDEST = {"Debian": (12,), "Ubuntu": (24, 4)}
_LOCAL = ("", "localhost", "127.0.0.1", "::1")
# What PHP takes where nothing is set.
# They read /etc/cron.d as Debian's usual cron does, and would have to go for it.
_OTHER_CRONS = ("systemd-cron", "cronie", "bcron")
# What a web server hands over with each request. Symfony takes no HTTP_ for the environment.
_OF_A_REQUEST = re.compile(
    r"HTTP(S|_\w+)|SCRIPT_(FILE)?NAME|(DOCUMENT|CONTEXT)_ROOT|DOCUMENT_URI|PATH_(INFO|TRANSLATED)|QUERY_STRING"
    r"|REQUEST_\w+|CONTENT_(TYPE|LENGTH)|(SERVER|REMOTE)_\w+|GATEWAY_INTERFACE|REDIRECT_STATUS|PHP_(ADMIN_)?VALUE"
)
_CLAMD = "/etc/clamav/clamd.conf"
_FAIL2BAN = ("/run/fail2ban/fail2ban.pid", "fail2ban-server")
_FAIL2BAN_AT_BOOT = "/etc/systemd/system/multi-user.target.wants/fail2ban.service"


@dataclass(frozen=True)
class Hosts:
    """The virtual hosts of this host, as they are read. ``site``: the word in the names of our files."""

    tree: Tree
    domain: str
    site: str
    configuration: Configuration
    servers: Sequence[Server]


Hosted = Callable[[Site, Hosts], Site]


def programs_alone(site: Site, hosts: Hosts) -> Site:
    """With what owners have beside the portal, and no plan for their virtual hosts."""
    roots = roots_of(hosts.tree, site.root, hosts.servers)
    own = [one for one in hosts.servers if one.host.root.rstrip("/") in roots and not one.host.ours]
    serving = [one for one in own if not leads(one)]
    found = programs(hosts.tree, site.web.name, hosts.configuration, serving, roots)
    theirs = tuple(one for one in found if not hosts.configuration.is_ours(one.file))
    return replace(site, in_place=InPlace(programs=theirs))


def discover(
    domain: str,
    root: str = "",
    web_server: str = "",
    packages: Sequence[str] = (),
    site: str = "",
    certificate_file: str = "",
    certificate_key_file: str = "",
    hosted: Hosted = programs_alone,
    require: bool = False,
    tree: Tree | None = None,
    names: Sequence[str] | None = None,
    given: dict[str, Place] | None = None,
) -> Site:
    """Discover this host once.

    ``root`` and ``web_server``: set by the administrator, otherwise discovered. ``site``: the word in the names of our
    files. ``hosted``: adds what is planned for virtual hosts. ``names``: chamilo_names; with it the application's
    database is asked for its access URLs too. What every section needs and is not there is a ``SiteError`` when it is
    required, else a problem. ``given``: gets what the server gives PHP before any environment file is read; it may be
    secret.
    """
    observer = _Discovery(tree or Tree(), domain.lower(), site or word(domain))
    observer.hosted = hosted
    if certificate_file or certificate_key_file:
        observer.certificate = certificate_file, certificate_key_file
    found = observer.all(root, web_server, packages, names)
    if require and observer.errors:
        raise SiteError(" ".join(observer.errors))
    if given is not None:
        given.update(observer.given)
    return found


def unfit(site: Site, tree: Tree | None = None) -> list[Obstacle]:
    """What of this host is too old, or another product."""
    tree, found = tree or Tree(), []
    name, _blank, version = site.distribution.partition(" ")
    if version and tuple(map(int, re.findall(r"\d+", version))) < _OLDEST.get(name, ()):
        found.append(
            Obstacle(
                f"This host is {site.distribution}, whose web server, restic and MariaDB are too old for what would be "
                "set. The audit works here as well. Upgrade to Debian 12 or Ubuntu 24.04 at least."
            )
        )
    # MariaDB's own programs have its name, and links with the old ones.
    if tree.exists("/usr/sbin/mysqld") and not tree.exists("/usr/sbin/mariadbd"):
        here = site.database.host in (*_LOCAL, *site.addresses)
        program, needing = "/usr/sbin/mysqld", ("database", "backups") if here else ("backups",)
    elif tree.exists("/usr/bin/mysql") and not tree.exists("/usr/bin/mariadb"):
        program, needing = "/usr/bin/mysql", ("backups",)
    else:
        return found
    why = (
        f"MySQL is on this host ({program}). The section{'s' * (len(needing) > 1)} {' and '.join(needing)} cannot do "
        "without MariaDB's programs, for which MySQL would have to be removed. Put MariaDB in its place first."
    )
    return [*found, Obstacle(why, needing)]


def installation(domain: str, root: str, web_server: str) -> Installation:
    """Where the application lies, which must be there, with all that the server gives PHP."""
    given: dict[str, Place] = {}
    found = discover(domain, root, web_server, require=True, given=given)
    return replace(found.installation, given=given)


class _Discovery(Findings):
    def __init__(self, tree: Tree, domain: str, site: str) -> None:
        super().__init__(tree)
        self.projects = Projects(self, domain)
        self.domain = domain
        self.site = site
        self.hosted: Hosted = programs_alone
        self.certificate = "", ""
        self.given: dict[str, Place] = {}  # what PHP is given by the server: it wins over the environment files

    def all(self, root: str, web_server: str, packages: Sequence[str], declared: Sequence[str] | None = None) -> Site:
        tree = self.tree
        release = portal_host.release(tree)
        installed = portal_host.packages(tree, {*_named(tree, packages), "nginx", "apache2", *_OTHER_CRONS})
        if installed.keys() & set(_OTHER_CRONS):
            packages = [name for name in packages if name != "cron"]
        configuration, servers, web = self.web(web_server, installed)
        serving, fallback = answering_of(web.name)(servers, self.domain)
        hosts = {id(server): self.marked(server) for server in servers}
        root = self.projects.root(
            root, [server.host for server in (*serving, *fallback)], [server.host for server in servers]
        )
        pools, unread = php_fpm.pools(tree)
        self.problems += unread
        php, pool = self.php(web, serving, fallback, pools, root, configuration)
        seen = partial(
            php_ini.in_force, tree, php, root, pool, web.name, configuration, serving or fallback, ours=False
        )
        in_php = self.attempt(seen, None) if php.version else None
        php = self.attempt(lambda: self.set_in_php(php, pool, root, in_php or {}), php)
        environment = self.environment(root, web, serving, pool, php.user)
        mode = environment.get("APP_ENV") or "prod"
        php_keeps = bool(root) and symfony_sessions.in_php(tree, root, mode, php.user)
        own_options = {} if php_keeps or not root else symfony_sessions.options(tree, root, mode, php.user)
        values = None if in_php is None else {name: setting.value for name, setting in in_php.items()}
        sessions, keeper = symfony_sessions.stored(own_options, root, mode, values)
        self.problems += configuration.problems
        code = self.projects.release(root, php.user)
        own = [server for server in servers if root and self.projects.is_project(server.host.root, root)]
        names = tuple(dict.fromkeys(name for server in own for name in visitors_names(server)))
        site = Site(
            domain=self.domain,
            root=root,
            installed=environment.get("APP_INSTALLED") == "1",
            version=code.version,
            version_source=code.source,
            branch=code.branch,
            environment=environment.visible,
            environment_source=environment.sources,
            secrets_default=known_secrets.published(environment),
            secrets_weak=known_secrets.weak(environment),
            distribution=f"{release.get('NAME', '').partition(' ')[0]} {release.get('VERSION_ID', '')}".strip(),
            web=web,
            php=php,
            database=self.database(environment),
            virtual_hosts=tuple(hosts.values()),
            serving=tuple(hosts[id(server)] for server in serving),
            fallback=tuple(hosts[id(server)] for server in fallback),
            names=names,
            nameless=any(server in fallback and not visitors_names(server) for server in own),
            addresses=portal_host.addresses(tree),
            listening=portal_host.listening(tree),
            hsts_since=self.hsts_since(),
            certbot=certbot.program(tree),
            missing_packages=_missing(packages, php.version, installed),
            systemd=tree.is_directory("/run/systemd/system"),
            php_folders=tuple(posixpath.dirname(path) for path in tree.glob("/etc/php/*/*/php.ini")),
            spellings=self.projects.spellings(root, [server.host.root for server in servers]),
            real_root=self.projects.real_root(root),
            fingerprint=self.projects.fingerprint(root),
            sessions_in_php=php_keeps,
            sessions=sessions,
            sessions_keeper=keeper,
            memory=self.attempt(lambda: portal_host.memory(tree), 0),
            clamd_own=self.attempt(self.clamd_own, False),
            fail2ban=self.attempt(lambda: portal_host.is_running(tree, *_FAIL2BAN), False)
            and tree.is_link(_FAIL2BAN_AT_BOOT),
            sendmail=tree.exists("/usr/sbin/sendmail"),
            ssh_log=tree.exists("/var/log/auth.log"),
            managed_from=portal_host.managed_from(tree),
        )
        site = self.named(site, declared, servers, own)
        site = self.hosted(site, Hosts(tree, self.domain, self.site, configuration, servers))
        return replace(site, errors=tuple(self.errors), problems=(*self.errors, *self.problems, *self.denied()))

    def named(
        self, site: Site, declared: Sequence[str] | None, servers: Sequence[Server], own: Sequence[Server]
    ) -> Site:
        """With all names of the portal, and the virtual hosts that answer to them."""
        asked = declared is not None and site.root
        known_there = application.known_to(site, self.tree) if asked else application.Known()
        addresses = known_there.access_urls
        answering = answering_of(site.web.name)
        free = of_no_other_site(servers, own, (self.domain, *site.names), addresses, answering)
        names = portal_names(self.domain, declared or (), site.names, ())
        names = portal_names(self.domain, declared or (), (*site.names, *redirected(servers, names)), free)
        found, known = answered(servers, own, names, answering)
        hosts = tuple(host for host, one in zip(site.virtual_hosts, servers) if one in found or host in site.serving)
        site = replace(site, portal_names=names, **vars(known_there))
        site = replace(site, answering=hosts, answered=known)
        return _certified(self, site, f"chamilo-{self.site}", self.certificate)

    def web(self, desired: str, installed: dict[str, str]) -> tuple[Configuration, list[Server], WebServer]:
        """The web server that counts, with its configuration."""
        present = [name for name, path in _PROGRAMS.items() if self.tree.exists(path)]
        running = [name for name in present if self.runs(name)]
        name = desired
        if desired and desired not in present:
            self.errors.append(
                f'chamilo_web_server is "{desired}", but there is no {_PROGRAMS[desired]} on this host. '
                f"Install it, or set chamilo_web_server to what serves the portal."
            )
            name = ""
        elif not desired and not present:
            self.errors.append("Neither nginx nor Apache is installed on this host. Install one to serve Chamilo.")
        elif not desired and len(present) == 1:
            name = present[0]
        elif not desired and len(running) == 1:
            name = running[0]
        elif not desired:
            name = ""
            self.errors.append(
                f"nginx and Apache are both installed and {'both' if running else 'neither of them'} running. "
                f'Set chamilo_web_server to "nginx" or "apache": the one that visitors of the portal reach.'
            )
        if name == "nginx":
            configuration = nginx.parse(self.tree)
            user = first(configuration.directives, "user") or "www-data"
            version = _upstream(installed.get("nginx", ""))
            names_own = nginx.limits_names(configuration)
            web = WebServer(name, version, user, "nginx", name in running, names_own=names_own)
            return configuration, nginx.servers(configuration), web
        if name == "apache":
            version = _upstream(installed.get("apache2", ""))
            configuration = apache.parse(self.tree, version)
            user = first(configuration.directives, "user") or "www-data"
            web = WebServer(name, version, user, "apache2", name in running, configuration.modules)
            return configuration, apache.servers(configuration), web
        return Configuration(), [], WebServer()

    def runs(self, name: str) -> bool:
        process = posixpath.basename(_PROGRAMS[name])
        return self.attempt(lambda: portal_host.is_running(self.tree, _PID_FILES[name], process), False)

    def marked(self, server: Server) -> VirtualHost:
        """The virtual host, with the word whether it includes our drop-ins, or serves nothing."""
        drop_in = re.compile(rf"/sites-available/chamilo-{re.escape(self.site)}\.d/[^/]*$")
        ours = bool(self.site) and any(drop_in.search(f"/{path}") for path in server.host.includes)
        return replace(server.host, includes_ours=ours, leads_away=not ours and leads(server))

    def clamd_own(self) -> bool:
        """Whether clamd.conf is neither ours nor as the package makes it."""
        if not self.tree.exists(_CLAMD):
            return False
        return not self.tree.read(_CLAMD).startswith(("# Managed by Ansible", "#Automatically Generated by clamav"))

    def hsts_since(self) -> str:
        path = f"/var/lib/chamilo-hardening/hsts-{self.site}.json"
        if not self.site or not self.tree.exists(path):
            return ""
        try:
            return str(json.loads(self.attempt(lambda: self.tree.read(path), "{}")).get("since", ""))
        except (ValueError, AttributeError):
            self.problems.append(f"{path} is damaged.")
            return ""

    def php(
        self,
        web: WebServer,
        serving: Sequence[Server],
        fallback: Sequence[Server],
        pools: list[php_fpm.Pool],
        root: str,
        configuration: Configuration,
    ) -> tuple[Php, php_fpm.Pool | None]:
        """The PHP behind the portal: what its virtual hosts name, else the only one there is.

        What a file of ours names may be the PHP of the last Debian: then the only one there is takes its place.
        """
        near = [server.host for server in (*serving, *fallback) if self.projects.is_project(server.host.root, root)]
        near += [server.host for server in serving]
        named = next((host for host in near if host.php), None)
        address = named.php if named else ""
        if address == "mod_php" or (not address and apache.is_mod_php(web.modules)):
            versions = self.tree.glob("/etc/php/*/apache2")
            version = versions[-1].split("/")[3] if versions else ""
            return Php(version, "mod_php", web.service, user=web.user, group=web.user), None
        pool = php_fpm.pool_behind(self.tree, pools, address)
        gone = named and configuration.is_ours(named.file) and php_fpm.KNOWN_SOCKETS.fullmatch(address)
        if pool is None and (gone or not named):
            standard = [one for one in pools if one.name == "www"]
            pool = standard[0] if len(standard) == 1 else pools[0] if len(pools) == 1 else None
            address = pool.address if pool else address
        if pool is None:
            if address:
                self.problems.append(f"PHP goes to {address}, but no pool below /etc/php listens there.")
            return Php(sapi="fpm" if address else "", socket=address), None
        service = f"php{pool.version}-fpm"
        return Php(pool.version, "fpm", service, address, pool.file, pool.user, pool.group), pool

    def set_in_php(self, php: Php, pool: php_fpm.Pool | None, root: str, seen: php_ini.Settings) -> Php:
        """With the values of its files for the time a script may take, and for files to run before each."""
        if not php.version:
            return php
        known = {name: setting.value for name, setting in seen.items()}
        confining = seen.get("open_basedir")
        # PHP itself knows the file of php.ini.
        prepended = [one.value for one in (pool.settings if pool else ()) if one.key == "auto_prepend_file"]
        in_cli = [
            php_ini.of_face(self.tree, php.version, "cli", script, ours=False).get("auto_prepend_file")
            for script in (f"{root}/public/index.php", "")
        ]
        return replace(
            php,
            time_limit=php_fpm.size(known.get("max_execution_time", ""), 30),
            prepended=prepended[-1] if prepended else "",
            confined=confining.place if confining and confines(confining.value) else "",
            prepended_cli=next((one.value for one in in_cli if one), ""),
        )

    def environment(
        self, root: str, web: WebServer, serving: Sequence[Server], pool: php_fpm.Pool | None, user: str
    ) -> Environment:
        """What the application sees: the pool's and the virtual host's environment win over the files."""
        real = dict(pool.environment) if pool else {}
        for server in serving:
            given = nginx.real_environment(server) if web.name == "nginx" else apache.real_environment(server)
            real.update(given)
        self.given = real = {name: place for name, place in real.items() if not _OF_A_REQUEST.fullmatch(name)}
        if not root or not self.projects.is_chamilo(root):
            return Environment({}, (), ())
        environment = read_environment(self.tree, root, real, user)
        # Where it is there and even root is not to read it, nothing can be done right.
        lost = not environment.files and os.geteuid() == 0 and self.tree.exists(posixpath.join(root, ".env"))
        listed = self.errors if lost else self.problems
        listed += [f"{problem} Correct that file." if lost else problem for problem in environment.problems]
        return environment

    def database(self, environment: Environment) -> Database:
        host, port = environment.get("DATABASE_HOST"), environment.get("DATABASE_PORT")
        return Database(
            host=host,
            port=int(port) if port.isdigit() else 0,
            # PHP takes "localhost" as the socket.
            socket=_MARIADB_SOCKET if host == "localhost" else "",
            name=environment.get("DATABASE_NAME"),
            user=environment.get("DATABASE_USER"),
            client=next((path for path in _DATABASE_CLIENTS if self.tree.exists(path)), ""),
        )


def _named(tree: Tree, packages: Iterable[str]) -> set[str]:
    """The packages whose names may be meant: {php} is a version of PHP."""
    versions = {path.split("/")[3] for path in tree.glob("/etc/php/*/*/php.ini")}
    return {name.replace("{php}", version) for name in packages for version in versions or {""}}


def _missing(packages: Iterable[str], version: str, installed: Collection[str]) -> tuple[str, ...]:
    names = [name.replace("{php}", version) for name in packages]
    return tuple(name for name in names if name not in installed)


def roots_of(tree: Tree, root: str, servers: Sequence[Server]) -> frozenset[str]:
    """What leads to the document root of the portal, or to the project directory, as virtual hosts write it."""
    ours = {root, f"{root}/public"} if root else set()
    real = {tree.real(path) for path in ours}
    theirs = {server.host.root.rstrip("/") for server in servers if server.host.root}
    return frozenset(ours | {path for path in theirs if tree.real(path) in real})


def _certified(findings: Findings, site: Site, ours: str, given: tuple[str, str]) -> Site:
    """With the certificates for its names: served, Certbot's, signed by this collection, and named by a variable."""
    tree, names, now = findings.tree, site.portal_names, time.time()
    host = next((host for host in site.serving if host.certificate), None)

    def pair(file: str, key: str) -> certbot.Pair:
        return findings.attempt(
            lambda: certbot.pair(tree, file, key, names, now, site.root), certbot.Pair(file, key, lacks=names)
        )

    served = pair(host.certificate, host.certificate_key) if host else pair("", "")
    return replace(
        site,
        served=served,
        lineage=findings.attempt(
            lambda: certbot.for_names(tree, names, now, site.root, served.file), certbot.Pair(lacks=names)
        ),
        self_signed=pair(f"/etc/ssl/certs/{ours}.pem", f"/etc/ssl/private/{ours}.key"),
        given=pair(*given),
    )


def unused_drop_ins(paths: Iterable[str], tree: Tree | None = None) -> set[str]:
    """Of the files of ours that virtual hosts include, those that none includes now."""
    tree = tree or Tree()
    found: set[str] = set()
    for server, pattern in (("nginx", "/etc/nginx"), ("apache", "/etc/apache2")):
        mine = [path for path in paths if re.fullmatch(rf"{pattern}/sites-available/chamilo-[^/]+\.d/[^/]+", path)]
        if not mine:
            continue
        if server == "nginx":
            servers = nginx.servers(nginx.parse(tree))
        else:
            servers = apache.servers(apache.parse(tree))
        included = {posixpath.dirname(path) for one in servers for path in one.host.includes}
        found.update(path for path in mine if posixpath.dirname(path) not in included)
    return found


def answering_of(web_server: str) -> Answering:
    return nginx.answering if web_server == "nginx" else apache.answering


def _upstream(version: str) -> str:
    """A Debian version without epoch and revision: 1.26.3 of 1.26.3-3+deb13u1."""
    return re.sub(r"^\d+:|[-+~].*$", "", version)
