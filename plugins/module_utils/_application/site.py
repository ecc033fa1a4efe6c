# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role or a check must know of a portal and its host. Nothing here is a secret."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .._common.errors import HardeningError
from .._common.tree import Place
from .._php.php import Php
from .._webserver import certbot as portal_certbot
from .._webserver.configuration import VirtualHost, WebServer
from .._webserver.planned import AccessFile, InPlace, OwnHost
from .installation import Installation


class SiteError(HardeningError):
    """The host does not match the variables, or lacks something that every section needs."""


@dataclass(frozen=True)
class Database:
    """Where the application finds its database. The password stays in the environment file."""

    host: str = ""
    port: int = 0
    socket: str = ""
    name: str = ""
    user: str = ""
    client: str = ""  # by what this host can ask it: the mariadb command, or Python's pymysql


@dataclass(frozen=True)
class Site:
    """The Chamilo portal on this host, and the host around it. Empty texts mean: not found."""

    domain: str
    root: str = ""  # the project directory; its public/ is the document root
    installed: bool = False
    version: str = ""
    version_source: str = ""  # the file that names it; else why one that should was refused
    branch: str = ""  # of the code itself, such as 3.0: by its migrations, or the framework that it is built on
    environment: dict[str, str] = field(default_factory=dict)  # effective values that are no secrets
    environment_source: dict[str, str] = field(default_factory=dict)  # name -> file that wins
    secrets_default: tuple[str, ...] = ()  # names whose value is published or empty
    secrets_weak: dict[str, str] = field(default_factory=dict)  # other names -> why their value could be guessed
    distribution: str = ""  # Debian 13
    web: WebServer = field(default_factory=WebServer)
    php: Php = field(default_factory=Php)
    database: Database = field(default_factory=Database)
    virtual_hosts: tuple[VirtualHost, ...] = ()  # all of this host
    serving: tuple[VirtualHost, ...] = ()  # those that answer to the domain by name
    fallback: tuple[VirtualHost, ...] = ()  # those that answer to it on ports 80 and 443 for want of a better
    names: tuple[str, ...] = ()  # as virtual hosts that serve the project directory name it
    portal_names: tuple[str, ...] = ()  # all of the portal's, the domain first; *.example.org is a wildcard
    access_urls: tuple[str, ...] = ()  # the names in the addresses that the application has for its portals
    plugins: tuple[str, ...] = ()  # directories below public/plugin, of those that the application has enabled
    left_alone: tuple[str, ...] = ()  # controls that rest on what this Chamilo does otherwise
    two_factor: bool = False  # a login may ask for a second step, with which Chamilo's CAPTCHA does not work
    answering: tuple[VirtualHost, ...] = ()  # those in serving, and all of the portal that answer to one of its names
    answered: tuple[str, ...] = ()  # the names of the portal, without wildcards, to which one of its own answers
    nameless: bool = False  # a virtual host that serves the project directory answers to every name that no other has
    redirected: bool = False  # visitors of http are sent to https now, by lines that are not ours
    own_host: OwnHost = field(default_factory=OwnHost)
    in_place: InPlace = field(default_factory=InPlace)  # what is written into the virtual hosts of an owner
    access_files: tuple[AccessFile, ...] = ()  # Apache: .htaccess files of the portal that close something now
    addresses: tuple[str, ...] = ()  # of this host
    listening: tuple[str, ...] = ()  # TCP addresses in LISTEN state, "0.0.0.0:80", "[::]:443"
    hsts_since: str = ""  # the day on which section https began to send Strict-Transport-Security, YYYY-MM-DD
    served: portal_certbot.Pair = field(
        default_factory=portal_certbot.Pair
    )  # the certificate of the virtual host that serves it
    lineage: portal_certbot.Pair = field(default_factory=portal_certbot.Pair)  # what Certbot has for the domain
    self_signed: portal_certbot.Pair = field(
        default_factory=portal_certbot.Pair
    )  # what this collection made for want of a better
    given: portal_certbot.Pair = field(default_factory=portal_certbot.Pair)  # what the administrator names
    certbot: str = ""  # the program
    missing_packages: tuple[str, ...] = ()  # of those asked for
    systemd: bool = False
    php_folders: tuple[str, ...] = ()  # of every php.ini: one for each version and face of PHP
    spellings: tuple[str, ...] = ()  # every path of the project directory, links and wrong roots included
    real_root: str = ""  # the project directory without links; /srv/campus/releases/* where a link leads to one of many
    fingerprint: str = ""  # of the project directory on this machine: the same by every inventory name of this host
    sessions_in_php: bool = False  # the application leaves them to php.ini; False where that is unknown
    sessions: str = ""  # the directory of their files
    sessions_keeper: str = ""  # what keeps them instead
    memory: int = 0  # bytes of this host
    clamd_own: bool = False  # clamd.conf is the owner's
    fail2ban: bool = False  # it runs, and starts at boot
    sendmail: bool = False  # there is a program that sends mail
    ssh_log: bool = False  # ssh writes to a file of its own, not to the journal alone
    managed_from: str = ""  # the address from which an administrator is logged in over ssh
    errors: tuple[str, ...] = ()  # what every section needs, and is not there
    problems: tuple[str, ...] = ()  # these, and what could not be seen

    @property
    def installation(self) -> Installation:
        """Where it lies. Of what the server gives PHP the values that are no secrets, and all places."""
        places = {name: re.fullmatch(r"(.*):(\d+)", source) for name, source in self.environment_source.items()}
        return Installation(
            root=self.root,
            web_user=self.php.user,
            version=self.version,
            php=self.php.version,
            service=self.php.service,
            given={
                name: Place(place[1], int(place[2]), self.environment.get(name, ""))
                for name, place in places.items()
                if place
            },
            sessions=self.sessions,
            sessions_keeper=self.sessions_keeper,
            addresses=self.addresses,
            document_roots=tuple(host.root for host in self.virtual_hosts),
        )

    @property
    def major(self) -> int:
        """The first number of the version, or of the branch of the code where that is all that is known; else 0."""
        return int((self.version or self.branch or "0").partition(".")[0])


def include_line(web: WebServer, site: str) -> str:
    """The line that includes our drop-ins in a virtual host."""
    drop_ins = f"/etc/{web.service}/sites-available/chamilo-{site}.d/*.conf"
    return f"include {drop_ins};" if web.name == "nginx" else f"IncludeOptional {drop_ins}"
