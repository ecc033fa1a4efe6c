# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check may inspect: the discovered site, the network, the database, the clock. It only reads."""

from __future__ import annotations

import functools
import itertools
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from .._common.errors import HardeningError
from .._common.http import NO_ANSWER, Answer, fetch
from .._common.naming import word
from .._common.tree import Tree
from .._host import processes as host_processes
from .._php import php_ini
from .._webserver.configuration import Alias, Listen, VirtualHost
from .declared import DEFAULTS
from .portal_reader import PortalReader
from .site import Site, include_line

_T = TypeVar("_T")
MOST_NAMES = 20  # that are asked besides the domain
_MOST_FILES = 10_000  # of one document root that are read
_PATIENCE = 3  # requests without an answer, then a door is left alone


class Unseen(HardeningError):
    """Something a check needs cannot be observed here. The message becomes the evidence of ``not_assessed``."""


@dataclass(frozen=True)
class Endpoint:
    """Where a name of this host answers: what a visitor calls it, and the address behind it."""

    scheme: str
    name: str
    port: int
    address: str = ""  # empty: whatever the name resolves to

    def url(self, path: str) -> str:
        usual = self.port == (443 if self.scheme == "https" else 80)
        name = f"[{self.name}]" if ":" in self.name else self.name
        return f"{self.scheme}://{name}{'' if usual else f':{self.port}'}{path}"


@dataclass(frozen=True)
class SideEndpoint:
    """Where a virtual host serves the portal's directory past the document root of its own one."""

    host: VirtualHost
    endpoint: Endpoint
    start: str  # what stands in a path before that of the portal

    def sends_on(self, answer: Answer) -> bool:
        """Whether visitors are sent to another scheme or name. Where that is on this host, it is asked itself."""
        target = answer.value("Location")
        elsewhere = target.startswith(("http://", "https://")) and not f"{target}/".startswith(self.endpoint.url("/"))
        return answer.status in (301, 302, 307, 308) and elsewhere


def _links(directory: str) -> list[tuple[str, str]]:
    """The links that lie in a document root, as addresses and where they lead."""
    try:
        with os.scandir(directory or "/nonexistent") as found:
            return [(f"/{one.name}", one.path) for one in itertools.islice(found, _MOST_FILES) if one.is_symlink()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError:
        raise Unseen(f"{directory} cannot be listed without root") from None


class Observer:
    """One observation of one host. Data that two checks need is fetched once."""

    def __init__(self, site: Site, options: Mapping[str, Any]) -> None:
        self.site = site
        self.options = {**DEFAULTS, **options}  # what the administrator declared
        self.as_root = os.geteuid() == 0
        self.now = time.time()
        self._answers: dict[tuple[Any, ...], Answer] = {}
        self._late: Counter[Endpoint] = Counter()
        self._known: dict[Callable[[Observer], Any], Any] = {}

    def enforced(self, control: str) -> bool:
        """Whether a role makes it true here: what is waived, or left out by the level, turns no other control red."""
        return control not in (self.options["unenforced"])

    @functools.cached_property
    def database(self) -> PortalReader:
        """The application's own database, read only. Its methods raise DatabaseError with the reason."""
        return PortalReader.of(self.site.installation)

    @functools.cached_property
    def settings(self) -> Mapping[str, str]:
        """Effective platform settings of the main portal, ``category.variable`` to text. One query."""
        return self.database.settings()

    @functools.cached_property
    def php(self) -> Mapping[str, php_ini.Setting]:
        """What the site's PHP goes by."""
        try:
            return php_ini.of_site(Tree(), self.site)
        except php_ini.PhpError as problem:
            raise Unseen(str(problem)) from problem
        except OSError as problem:
            raise Unseen(f"{problem.filename} cannot be read: {problem.strerror}") from problem

    @functools.cached_property
    def processes(self) -> tuple[host_processes.Process, ...]:
        """Every process this user may see."""
        return host_processes.processes()

    @functools.cached_property
    def jobs(self) -> tuple[host_processes.Job, ...]:
        """What starts by the clock."""
        return host_processes.jobs(self.site.systemd)

    def once(self, question: Callable[[Observer], _T]) -> _T:
        """The answer to a question that several checks ask: the tree, the processes."""
        if question not in self._known:
            self._known[question] = question(self)
        return cast("_T", self._known[question])

    @property
    def root(self) -> str:
        """The project directory. A check that needs one is not assessed where there is none."""
        if not self.site.root:
            where = self.options["root"] or "the usual places"
            raise Unseen(f"no Chamilo found under {where}; set chamilo_root")
        return self.site.root

    def needs_root(self, purpose: str) -> None:
        """For what only root can see."""
        if not self.as_root:
            raise Unseen(f"needs root to {purpose}")

    @functools.cached_property
    def all_endpoints(self) -> tuple[Endpoint, ...]:
        """Every address at which the portal answers to its name. Behind a proxy that is the proxy, found by name."""
        domain = self.site.domain
        if self.options["terminated_elsewhere"]:
            return (Endpoint("http", domain, 80), Endpoint("https", domain, 443))
        # A fallback is ours only where it serves the same directory, or no virtual host has our name.
        public = os.path.join(self.site.root, "public")
        spare = [host for host in self.site.fallback if not self.site.serving or host.root == public]
        hosts = [*self.site.serving, *spare]
        if hosts:
            endpoints = [endpoint for host in hosts for endpoint in self.doors_of(host, domain)]
        else:  # no virtual host could be read: what listens on the usual ports
            ports = {int(address.rpartition(":")[2]) for address in self.site.listening}
            listens = [Listen("*", port, port == 443) for port in (80, 443) if port in ports]
            endpoints = self._doors(listens, domain)
        return tuple(sorted(dict.fromkeys(endpoints), key=lambda endpoint: endpoint.port not in (80, 443)))

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        """The first door of each scheme."""
        return {endpoint.scheme: endpoint for endpoint in reversed(self.all_endpoints)}

    @functools.cached_property
    def further_names(self) -> tuple[str, ...]:
        """The names of the portal that are asked besides its domain. Not all of many, or an audit would take long."""
        return tuple(name for name in self.site.portal_names[1:] if name[:2] != "*.")[:MOST_NAMES]

    @functools.cached_property
    def further_doors(self) -> tuple[Endpoint, ...]:
        """Where the portal answers to these names: at the doors of its domain."""
        endpoints = [
            replace(endpoint, name=name) for name in self.further_names for endpoint in self.endpoints.values()
        ]
        return tuple(endpoint for endpoint in endpoints if endpoint.name in self.site.answered or not endpoint.address)

    @property
    def unasked(self) -> str:
        """The names of the portal beyond those, as a sentence; empty when there is none."""
        names = [name for name in self.site.portal_names[1:] if name[:2] != "*."][MOST_NAMES:]
        return f"Not assessed, being more than {MOST_NAMES} names: {', '.join(names)}." if names else ""

    def doors_of(self, host: VirtualHost, name: str = "") -> list[Endpoint]:
        """Where a virtual host answers. Without a name of its own it is called by its address."""
        usable = [known.lstrip(".") for known in host.names if known.strip("_") and not set(known) & set("*~^$")]
        return self._doors(host.listens, name or next(iter(usable), ""))

    @functools.cached_property
    def side_endpoints(self) -> tuple[SideEndpoint, ...]:
        """Where the portal can be reached, perhaps, by another way than its own virtual host's document root."""
        if not self.site.root:
            return ()
        found = []
        for host in self.site.virtual_hosts:
            starts = dict.fromkeys(way.path for way in self.ways(host))
            found += [SideEndpoint(host, endpoint, start) for endpoint in self.doors_of(host) for start in starts]
        return tuple(found)

    def ways(self, host: VirtualHost) -> Iterator[Alias]:
        """What leads into public/ past the portal's own document root: another one, an alias, a link among files."""
        public = os.path.realpath(os.path.join(self.site.root, "public"))
        served = os.path.realpath(host.root or "/nonexistent").rstrip("/")
        if host not in self.site.serving and f"{public}/".startswith(f"{served}/"):
            # With the project directory as its root it may have a rule that leads to public/.
            below = public[len(served) :]
            yield from (
                Alias(start, public) for start in (["", below] if served == os.path.dirname(public) else [below])
            )
        elsewhere = [(alias.path, alias.directory) for alias in host.aliases]
        if not f"{served}/".startswith(f"{public}/"):
            elsewhere += _links(served)
        for path, directory in elsewhere:
            real = os.path.realpath(directory).rstrip("/")
            if real == f"{served}{path}".rstrip("/"):
                continue  # the same without it
            if f"{public}/".startswith(f"{real}/"):
                yield Alias(f"{path}{public[len(real) :]}", public)
            elif real.startswith(f"{public}/"):
                yield Alias(path, real)

    def closing(self, side: SideEndpoint) -> str:
        """What to do about a virtual host by which visitors come to the portal past its own one."""
        site, target, host = self.site, f"https://{self.site.domain}", side.host
        place, nginx = f"The virtual host of {host.file} line {host.line}", site.web.name == "nginx"
        if side.start:
            # All of the project directory, where that lies below a document root.
            path = side.start.removesuffix("/public") or side.start
            line = (
                f"location ^~ {path}/ {{ return 301 {target}/; }}"
                if nginx
                else f'RedirectMatch permanent "^{path}(?:/|$)" {target}/'
            )
            return (
                f"{place} serves the portal as well, below {side.start}, where the rules of this collection do not "
                f'reach it. Give it the line "{line}", in place of what serves that address now.'
            )
        redirect = f"return 301 {target}$request_uri;" if nginx else f"Redirect permanent / {target}/"
        include = include_line(site.web, self.options["site"] or word(site.domain))
        # nginx would refuse a second line of these.
        fits = not (host.once or host.body_limit_own or host.patience_own)
        lines = " or ".join(f'the line "{line}"' for line in ([redirect, include] if fits else [redirect]))
        return f"{place} serves the portal as well, but not for {site.domain}. Give it {lines}."

    def _doors(self, listens: Iterable[Listen], name: str) -> list[Endpoint]:
        endpoints = []
        for listen in listens:
            address = self._address(listen.address.strip("[]"))
            if address and listen.port:  # without a port it is a socket file
                endpoints.append(Endpoint("https" if listen.tls else "http", name or address, listen.port, address))
        return endpoints

    def _address(self, listen: str) -> str:
        """Where to call a listening socket: rather the host's own address than loopback, as visitors do."""
        if listen not in ("*", "", "0.0.0.0", "::"):
            return listen
        six = listen == "::"
        own = [known for known in self.site.addresses if (":" in known) == six]
        far = [known for known in own if not known.lower().startswith(("127.", "169.254.", "fe80:", "::1"))]
        return next(iter(far or own), "" if six else "127.0.0.1")

    @property
    def scheme(self) -> str:
        """https where it is served, else http."""
        return "https" if "https" in self.endpoints else "http"

    def get(self, path: str, scheme: str = "", **request: Any) -> Answer:
        """Fetch a path of the portal from this host. ``scheme`` default: https where it is served."""
        scheme = scheme or self.scheme
        endpoint = self.endpoints.get(scheme)
        if endpoint is None:
            return Answer(f"{scheme}://{self.site.domain}{path}", error=f"nothing here serves {scheme} for this name")
        return self.ask(endpoint, path, **request)

    def ask(self, endpoint: Endpoint, path: str, **request: Any) -> Answer:
        """Fetch a path behind any door of this host. The same question is sent once."""
        headers = tuple(sorted(dict(request.pop("headers", None) or {}).items()))
        key = (endpoint, path, headers, tuple(sorted(request.items())))
        if key not in self._answers:
            if self._late[endpoint] >= _PATIENCE:
                return Answer(endpoint.url(path), error=f"not asked: {_PATIENCE} requests before got {NO_ANSWER}")
            answer = self._fetch(endpoint, path, headers=dict(headers), **request)
            self._late[endpoint] += answer.error == NO_ANSWER
            self._answers[key] = answer
        return self._answers[key]

    def ask_all(self, questions: Iterable[tuple[Endpoint, str]]) -> list[Answer]:
        """Several at a time: most of an answer's time is the server's."""
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda question: self.ask(*question), questions))

    def _fetch(self, endpoint: Endpoint, path: str, **request: Any) -> Answer:
        if endpoint.address or not self._past_the_proxy:
            return fetch(endpoint.url(path), address=endpoint.address, **request)
        # As the proxy hands on what came to it by that scheme. A web server of ours believes its own host in this.
        own = self._past_the_proxy
        headers = {"X-Forwarded-Proto": endpoint.scheme, **(request.pop("headers", None) or {})}
        answer = fetch(own.url(path), address=own.address, headers=headers, **request)
        return replace(answer, url=endpoint.url(path))

    @functools.cached_property
    def _past_the_proxy(self) -> Endpoint | None:
        """This node's own endpoint, where a proxy would send a request to any of several; else nothing."""
        if not (self.options["terminated_elsewhere"] and self.options["several_nodes"]):
            return None
        listens = [listen for host in self.site.serving for listen in host.listens]
        return next(iter(self._doors(sorted(listens, key=lambda listen: listen.tls), self.site.domain)), None)
