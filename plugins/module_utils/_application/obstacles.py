# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in the way of hardening a host, all of it at once, before anything changes."""

from __future__ import annotations

import grp
import os
import pwd
import re
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .._common import services
from .._common.mounts import mounts
from .._common.naming import HOST_NAME
from .._common.open_basedir import PREPENDED
from .._common.tree import Tree
from .._host.accounts import group_name
from .declared import SECTIONS
from .discovery import unfit
from .obstacle import Obstacle
from .outside import unanswered
from .request import Desired
from .site import Site

# Where every run writes: configuration, programs, its own state.
_WRITTEN = ("/etc", "/usr/local", "/var/lib")
_LEAST = 256  # MiB
_MIB = 1 << 20
_SKEW = 900  # seconds; a task may wait that long for its turn
_RELEASED = 1754697600  # 2025-08-09, Debian 13: no clock that is right shows an earlier day
OPTIONAL = frozenset({"clamav-daemon", "msmtp-mta"})  # packages that most runs do without
OFFSITE, SMTP = "chamilo_backups_offsite_repository", "chamilo_monitoring_smtp_host"
_DATABASE = "/run/mysqld/mysqld.sock"
_DATABASE_PORT, _DATABASE_SECONDS = 3306, 10.0
# Variables of directories: those that no visitor may ever reach, and those that have to be there.
_KEPT_APART = ("chamilo_backups_repository", "chamilo_backups_scratch")
_DIRECTORIES = ("chamilo_backups_scratch",)
# Sections that run PHP themselves, or write for its version or user.
_RUN_PHP = ("brute_force", "passwords", "permissions", "sessions", "uploads")
# And those that read or write the database, depend on the time, have files of the application, and a virtual host's.
_IN_THE_DATABASE = (*_RUN_PHP, "database", "backups", "monitoring")
_BY_THE_CLOCK = ("https", "brute_force", "backups")
_IN_THE_TREE = (*_RUN_PHP, "backups")
SERVED = ("updates", "https", "permissions", "brute_force", "sessions", "headers", "uploads")
# What every answer of the portal is to carry.
HEADERS = ("https_hsts", "headers_nosniff", "headers_frame_options", "headers_referrer_policy", "headers_csp")
_SECONDS = 20.0  # for a question to apt or the DNS
_NEAR = 0.8  # 1 is the same
NOT_ROOT = (
    "The task does not run as root. What the guide asks for only root can read and change. Leave out -e "
    "ansible_become=false, use -K where sudo asks for a password, or connect as root."
)


@dataclass(frozen=True)
class Host:
    """What was observed around the portal."""

    now: float = 0
    free: Mapping[str, int] = field(default_factory=dict)  # mount point -> MiB that root may write
    read_only: tuple[str, ...] = ()  # mount points
    not_mounted: tuple[str, ...] = ()  # mount points of /etc/fstab on the way to the portal, or in it
    mirror: str = ""  # why packages that are missing could not be fetched
    unanswered: Mapping[str, str] = field(default_factory=dict)  # variable -> why what it names gives no answer
    certificate: str = ""  # why the files of chamilo_https_certificate cannot serve the name
    unreachable: str = ""  # why no authority could reach the name
    web_groups: Mapping[int, str] = field(default_factory=dict)  # of PHP's user: number -> name
    foreign_addresses: tuple[str, ...] = ()  # on which the database is to listen, and which are none of this host
    served: Mapping[str, str] = field(default_factory=dict)  # variable of a directory -> what the web server serves
    no_directories: tuple[str, ...] = ()  # variables that name no directory of this host
    name: str = ""  # its own
    no_database: str = ""  # why the host on which the database of the portal runs gives no answer
    no_mail_domain: str = ""  # of chamilo_alert_mail, where this host knows no such name


def obstacles(site: Site, host: Host, desired: Desired) -> list[Obstacle]:
    """Why sections are left as they are, or the whole host is: what, why, and what to do."""
    found = [Obstacle(why) for why in site.errors]
    if desired.sections:
        found += unfit(site)
        found += _host(site, host, desired) + _clock(host.now, desired.controller_time)
        found += _mail(site, host, desired) + _offsite(host, desired)
        found += _variables(site, host, desired.variables)
    if set(desired.sections) - {"database"}:
        found += [Obstacle(why) for why in filter(None, [misnamed(site)])]
    if site.php.confined:
        found.append(
            Obstacle(
                f"open_basedir in {site.php.confined}: it leaves out {PREPENDED}, with what the sections uploads, "
                f"permissions and sessions have PHP run before each script of the portal. Every page would fail. Add "
                f":{PREPENDED} to it there, and reload {site.php.service or site.web.service}.",
                ("uploads", "permissions", "sessions"),
            )
        )
    found += _without_pool(site)
    if desired.vhost == "include":
        found += [
            Obstacle(
                f"{one.file} line {one.line}: {one.what} sends headers of its own, and so none of the virtual host's. "
                f"{one.remedy}, and reload {site.web.service}.",
                controls=HEADERS,
            )
            for one in site.in_place.bare
        ]
    if desired.vhost in site.own_host.refused:
        found.append(Obstacle(site.own_host.refused[desired.vhost], SERVED))
    if host.certificate:
        found.append(Obstacle(host.certificate, ("https",)))
    if host.unreachable:
        found.append(
            Obstacle(
                f"chamilo_https_certificate: {desired.acme}. {host.unreachable} Mend that first, or set "
                "chamilo_https_certificate to files, with chamilo_https_certificate_file and "
                "chamilo_https_certificate_key_file, or to self_signed for a trial.",
                ("https",),
            )
        )
    return [one for each in found for one in each.of(desired.sections)]


def _host(site: Site, host: Host, desired: Desired) -> list[Obstacle]:
    found = []
    found += [
        Obstacle(
            f"File system {point}: read-only. Nothing can be written there. Mount it writable: mount -o remount,rw "
            f"{point}",
            _keeping(site, point),
        )
        for point in host.read_only
    ]
    # What is beneath may be another portal's: nothing of it is known.
    found += [
        Obstacle(
            f"File system {point}: not mounted. /etc/fstab names it, and part of the portal lies there: what is "
            f"beneath would be changed instead. Mount it: mount {point}"
        )
        for point in host.not_mounted
    ]
    found += [
        Obstacle(
            f"Free space on {point}: {free} MiB. Packages and backups of what is replaced need {_LEAST} MiB at least. "
            "Make room there.",
            _keeping(site, point),
        )
        for point, free in sorted(host.free.items())
        if free < _LEAST and point not in host.read_only
    ]
    if host.no_database:
        found.append(
            Obstacle(
                f"Database on {host.no_database}. The portal needs it, and so does what is changed in its settings. "
                "Start it, or mend the way there.",
                _IN_THE_DATABASE,
            )
        )
    lacking = tuple(name for name, packages in desired.install.items() if _missing(site, packages))
    if host.mirror:
        found.append(
            Obstacle(
                f"Package mirror {host.mirror}. Packages are missing and could not be installed. Mend the DNS or the "
                "default route of this host, or have apt go by a proxy (Acquire::http::Proxy).",
                lacking,
            )
        )
    return found


def _keeping(site: Site, point: str) -> tuple[str, ...]:
    """The sections that write to a file system: all where it has what every run writes, else those of the tree."""
    every = any(f"{os.path.realpath(path)}/".startswith(f"{point.rstrip('/')}/") for path in _WRITTEN)
    return tuple(SECTIONS) if every else _IN_THE_TREE


def _missing(site: Site, packages: Sequence[str]) -> list[str]:
    """Those of these packages that are not installed."""
    return sorted(
        {*site.missing_packages}.difference(OPTIONAL) & {name.replace("{php}", site.php.version) for name in packages}
    )


def _clock(now: float, controller: float) -> list[Obstacle]:
    skew = now - controller
    if controller and abs(skew) > _SKEW:
        is_off = f"It is {_span(abs(skew))} {'ahead of' if skew > 0 else 'behind'} the controller's."
        set_it = "Set the clock of the one that is wrong: timedatectl set-ntp true"
    elif now < _RELEASED:
        is_off, set_it = "That is before this collection was released.", "Set it: timedatectl set-ntp true"
    else:
        return []
    why = f"Clock of this host: {_date(now)}. {is_off} Certificates, backups and bans go by it. {set_it}"
    return [Obstacle(why, _BY_THE_CLOCK)]


def _mail(site: Site, host: Host, desired: Desired) -> list[Obstacle]:
    found = []
    if host.no_mail_domain:
        box = desired.alert_mail.rpartition("@")[0]
        found.append(
            f"chamilo_alert_mail: {desired.alert_mail}. This host is not called {host.no_mail_domain} and finds no "
            "such name, so no alert would arrive. Give the whole address, such as admin@school.example, or a mailbox "
            f"of this host: {box}@{host.name or 'localhost'}."
        )
    if desired.alert_mail and not site.sendmail and not desired.smtp_host:
        found.append(
            f"chamilo_alert_mail: {desired.alert_mail}. This host has no program that sends mail (/usr/sbin/sendmail), "
            "so no alert would arrive. Set chamilo_monitoring_smtp_host to the mail server that takes mail of this "
            "host, or install a mail program, such as postfix."
        )
    name, place = SMTP, desired.outside.get(SMTP)
    if why_not := host.unanswered.get(name):
        found.append(
            f"{name}: {place} does not answer ({why_not}), so no alert would be sent by it. Mend the way there, or set "
            f"{name} and chamilo_monitoring_smtp_port to a mail server that takes mail of this host."
        )
    return [Obstacle(why, controls=("monitoring_delivery",)) for why in found]


def _offsite(host: Host, desired: Desired) -> list[Obstacle]:
    return [
        Obstacle(
            f"{OFFSITE}: {desired.outside[OFFSITE]} does not answer ({why}). Backups stay on this host alone, and are "
            f"lost with it. Mend the way there, or set {OFFSITE} to another repository.",
            controls=("backups_offsite",),
        )
        for name, why in host.unanswered.items()
        if name == OFFSITE
    ]


def _variables(site: Site, host: Host, values: Mapping[str, str]) -> list[Obstacle]:
    """What the host knows of the values of variables."""
    found = []
    user, group = values.get("chamilo_web_user"), values.get("chamilo_group")
    if user and site.php.user and user != site.php.user:
        found.append(
            Obstacle(
                f"chamilo_web_user: {user}. PHP of this portal runs as {site.php.user} "
                f"({site.php.pool_file or site.php.sapi}), and could not write its own files any more. Leave it empty, "
                "or have PHP run as that user first."
            )
        )
    if group and host.web_groups and group not in (*host.web_groups.values(), *map(str, host.web_groups)):
        found.append(
            Obstacle(
                f"chamilo_group: {group}. PHP's user {site.php.user} is no member of it, and could not read the "
                "program any more. Leave it empty, or name one of its groups: "
                f"{', '.join(host.web_groups.values())}."
            )
        )
    found += [
        Obstacle(
            f"chamilo_database_bind_address: {address}. This host has no such address, and the database would not "
            f"start. Name one of its own: {', '.join(('127.0.0.1', *site.addresses))}.",
            ("database",),
        )
        for address in host.foreign_addresses
    ]
    found += [
        Obstacle(
            f"{name}: {values[name]}. The web server serves {directory}, and what is saved there is one mistake away "
            "from every visitor. Name a directory outside of it.",
            ("backups",),
        )
        for name, directory in host.served.items()
    ]
    found += [
        Obstacle(
            f"{name}: {values[name]}. This host has no such directory, and the restore test needs it. Make it, or name "
            "another.",
            ("backups",),
        )
        for name in host.no_directories
    ]
    return found


def _without_pool(site: Site) -> list[Obstacle]:
    """Why nothing is known of the PHP that requests go to."""
    if not site.php.socket or site.php.user:
        return []
    host = next((host for host in (*site.serving, *site.fallback) if host.php == site.php.socket), None)
    place = f" ({host.file} line {host.line})" if host else ""
    address = site.php.socket.partition("unix:")[2] or site.php.socket
    why = (
        f"PHP of the portal: {site.php.socket}{place}. No pool of this host listens there, so its user and version are "
        f"not known. Have one listen there (listen = {address} in a file of /etc/php/*/fpm/pool.d), or lead the "
        "virtual host to one that is there."
    )
    return [Obstacle(why, _RUN_PHP)]


def misnamed(site: Site) -> str:
    """Why the name of the portal cannot be meant: it is served, and under other names alone. Else an empty text."""
    if not site.root or site.serving or site.domain in site.access_urls:
        return ""
    import difflib  # rarely needed

    known = [name for name in (*site.names, *site.access_urls) if HOST_NAME.fullmatch(name)]
    near = difflib.get_close_matches(site.domain, known, 1, _NEAR)
    # What answers to every name answers to this one. Only a slip of the pen is refused there.
    if not site.names or site.nameless:
        if not near:
            return ""
    nearest = near or difflib.get_close_matches(site.domain, known, 1, 0)
    meant = f" Did you mean {nearest[0]}?" if nearest else ""
    names = ", ".join(dict.fromkeys((*site.names, *site.access_urls)))
    own = next((f" ({host.file} line {host.line})" for host in site.virtual_hosts if {*host.names} & {*site.names}), "")
    return (
        f"chamilo_domain: {site.domain} is not served here.{meant} The portal in {site.root} is known as {names}{own}, "
        "and visitors would be sent to a name that leads nowhere. Set chamilo_domain, or the host's name in the "
        "inventory, to the name that visitors type. "
        f"If {site.domain} is to be a new name, have a virtual host serve it first."
    )


def observe(site: Site, desired: Desired, refusal: Callable[[str], str], tree: Tree | None = None) -> Host:
    """Observe the portal. Only what the run needs is requested.

    ``refusal`` returns why no certificate authority could reach a name.
    """
    tree = tree or Tree()
    written = [*_WRITTEN, *([site.root] if site.root else [])]
    mounted = {point: mount.read_only for point, mount in mounts().items()}
    points = list(dict.fromkeys(_mount_point(path, mounted) for path in map(os.path.realpath, written)))
    packages = list(dict.fromkeys(name for each in desired.install.values() for name in _missing(site, each)))
    # What the owner's own mail program does is not known.
    own_mail = site.sendmail and "msmtp-mta" in site.missing_packages
    database = "database" in desired.sections and os.path.exists(_DATABASE) and (not site.root or _has_database(site))
    wants = desired.acme == "certbot" or (desired.acme == "auto" and not site.served.good)
    return Host(
        now=time.time(),
        free={point: _free(point) for point in points},
        read_only=tuple(point for point in [*points, *_within(site.root, mounted)] if mounted.get(point)),
        not_mounted=_not_mounted(tree, site.root, mounted),
        mirror=_mirror(packages) if packages else "",
        unanswered=unanswered({name: place for name, place in desired.outside.items() if name != SMTP or not own_mail}),
        unreachable=refusal(site.domain) if wants and not site.lineage.good else "",
        web_groups=_groups(site.php.user, site.php.group) if desired.variables.get("chamilo_group") else {},
        foreign_addresses=_foreign(desired.variables.get("chamilo_database_bind_address", "")) if database else (),
        served=_served(site, desired.variables),
        no_directories=tuple(
            name for name in _DIRECTORIES if (path := desired.variables.get(name)) and not os.path.isdir(path)
        ),
        name=socket.gethostname().partition(".")[0],
        certificate=_refused_certificate(site, desired),
        no_database=_unanswered(site) if site.root and not _has_database(site) else "",
        no_mail_domain=_unknown(desired.alert_mail.rpartition("@")[2]),
    )


def _refused_certificate(site: Site, desired: Desired) -> str:
    if not (desired.certificate_file or desired.certificate_key_file):
        return ""
    # Loading TLS costs as much as all the rest: only when it is asked for.
    from .._webserver.certificate import complaint

    return complaint(desired.certificate_file, desired.certificate_key_file, site.domain)


def _unanswered(site: Site) -> str:
    """The host of the database, and why it gives no answer; empty where it does."""
    host = site.database.host
    why = unanswered({host: f"{host}:{site.database.port or _DATABASE_PORT}"}, seconds=_DATABASE_SECONDS)
    return f"{host}: {why[host]}" if why else ""


def _within(root: str, mounted: Iterable[str]) -> list[str]:
    """Where something is mounted in what the application writes. Nothing there is asked: its server may be away."""
    data = f"{os.path.realpath(root)}/var/"
    return [point for point in mounted if root and point.startswith(data)]


def _unknown(domain: str) -> str:
    """A name without a dot, where it is neither this host's nor known to it. Mail servers judge all others."""
    own = socket.gethostname().lower()
    if not domain or "." in domain or domain.lower() in ("localhost", own, own.partition(".")[0]):
        return ""
    status, _found = services.run(["getent", "ahosts", "--", domain], _SECONDS)
    return domain if status else ""


def _has_database(site: Site) -> bool:
    return site.database.host in ("", "localhost", "127.0.0.1", "::1", *site.addresses)


def _groups(user: str, group: str) -> dict[int, str]:
    """The groups of a user, that of its PHP among them."""
    try:
        account = pwd.getpwnam(user)
        first = grp.getgrnam(group).gr_gid if group else account.pw_gid
    except KeyError:
        return {}  # that PHP runs as an unknown user is reported elsewhere
    numbers = {first, *os.getgrouplist(user, first)}
    return {number: group_name(number) for number in numbers}


def _foreign(listen: str) -> tuple[str, ...]:
    """The addresses on which no program of this host can listen."""
    found = []
    for address in filter(None, map(str.strip, listen.split(","))):
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((address, 0))
            except OSError:
                found.append(address)
    return tuple(found)


def _served(site: Site, values: Mapping[str, str]) -> dict[str, str]:
    """For each variable of a directory that lies below a portal or a document root: that one."""
    roots = {os.path.realpath(path) for path in (site.root, *(host.root for host in site.virtual_hosts)) if path}
    found = {}
    for name in _KEPT_APART:
        path = f"{os.path.realpath(values[name])}/" if values.get(name) else ""
        around = [root for root in sorted(roots - {"/"}) if path.startswith(f"{root}/")]
        if around:
            found[name] = around[0]
    return found


def _mount_point(path: str, mounted: Mapping[str, bool]) -> str:
    return max((point for point in mounted if f"{path}/".startswith(f"{point.rstrip('/')}/")), key=len, default="/")


def _free(point: str) -> int:
    there = os.statvfs(point)
    if there.f_files and not there.f_favail:
        return 0  # no file more, however much room there is
    return there.f_bavail * there.f_frsize // _MIB


def _not_mounted(tree: Tree, root: str, mounted: Mapping[str, bool]) -> tuple[str, ...]:
    if not root or not tree.exists("/etc/fstab"):
        return ()
    real, found = os.path.realpath(root), []
    for line in tree.read("/etc/fstab").splitlines():
        fields = line.split()
        if len(fields) < 4 or line.lstrip().startswith("#") or "noauto" in fields[3].split(","):
            continue
        point = os.path.normpath(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1]))
        touches = f"{real}/".startswith(f"{point.rstrip('/')}/") or point.startswith(f"{real}/")
        if point.startswith("/") and touches and point not in mounted:
            found.append(point)
    return tuple(found)


_PROXIES = [
    f"Acquire::{scheme}::{name}"
    for scheme in ("http", "https")
    for name in ("Proxy", "Proxy-Auto-Detect", "ProxyAutoDetect")
]
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def _mirror(packages: Sequence[str]) -> str:
    """The first mirror with these packages that this host cannot reach, and why. Nothing is sent to it."""
    fetch = ["apt-get", "-qq", "-y", "--no-install-recommends", "--print-uris", "install", *packages]
    unknown, uris = services.run(fetch, _SECONDS)
    status, proxies = services.run(["apt-config", "dump", *_PROXIES], _SECONDS)
    if unknown or status or re.search(r'"[^"]+"', proxies) or any(os.environ.get(name) for name in _PROXY_VARIABLES):
        return ""  # what a proxy reaches is not known here
    found = re.findall(r"^'(https?)://(?:[^/@']*@)?([a-zA-Z0-9.-]+)(?::(\d+))?/", uris, re.MULTILINE)
    ports = {"http": 80, "https": 443}
    silent = unanswered({name: f"{name}:{port or ports[scheme]}" for scheme, name, port in found})
    return next((f"{name}: {why}" for name, why in silent.items()), "")


def _date(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))


def _span(seconds: float) -> str:
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.0f} hours" if seconds < 2 * 86400 else f"{seconds / 86400:.0f} days"
