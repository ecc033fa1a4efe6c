"""What is done on a host with a virtual host, nginx's or Apache's: questions before our lines are in it, and after."""

from __future__ import annotations

import contextlib
import http.client
import re
import shutil
import ssl
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SITE, DOMAIN = "campus", "campus.example.org"
PUBLIC = Path("/var/www/chamilo/public")
PASSWORD = "Basic cGlsb3Q6cGFzc3dvcmQ="  # pilot:password


@dataclass
class Report:
    case: str
    valid_before: bool = False
    obstacles: list[str] = field(default_factory=list)
    valid: bool = False
    active: bool = False
    once: list[str] = field(default_factory=list)  # where a header came twice, or another than ours
    changed: list[str] = field(default_factory=list)  # addresses that were answered otherwise before
    closed: list[str] = field(default_factory=list)  # what our rules deny, and was not denied
    reported: list[str] = field(default_factory=list)  # where PHP did not get our parameter
    undone: bool = False
    statuses: list[int] = field(default_factory=list)
    error: str = ""

    @property
    def right(self) -> bool:
        wrong = self.once or self.changed or self.closed or self.reported
        return self.valid and self.active and self.undone and not wrong


class Host:
    """``etc``: the configuration of its web server, which each case begins with as it was."""

    def __init__(self, directory: str, etc: Path) -> None:
        self.number, self.etc = 0, etc
        self.first = Path(directory) / etc.name
        if not self.first.exists():
            shutil.copytree(etc, self.first, symlinks=True)

    def clean(self) -> None:
        shutil.rmtree(self.etc)
        shutil.copytree(self.first, self.etc, symlinks=True)
        for link in (self.etc / "sites-enabled").iterdir():
            link.unlink()


@dataclass
class Seen:
    status: int
    location: str
    challenge: str
    body: bytes
    headers: http.client.HTTPMessage

    @property
    def same(self) -> list[Any]:
        """What must be as before. What an application makes anew for each visit is none of it."""
        return [self.status, self.location, self.challenge]


class Named(http.client.HTTPSConnection):
    """Names the site in the TLS handshake, whatever the address."""

    def __init__(self, address: str, port: int, name: str, context: ssl.SSLContext) -> None:
        super().__init__(address, port, timeout=20, context=context)
        self._name, self._its = name, context

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._its.wrap_socket(self.sock, server_hostname=self._name)


def ask(scheme: str, port: int, name: str, path: str, user: str = "", address: str = "127.0.0.1") -> Seen | None:
    try:
        if scheme == "https":
            context = ssl._create_unverified_context()
            connection: http.client.HTTPConnection = Named(address, port, name, context)
        else:
            connection = http.client.HTTPConnection(address, port, timeout=20)
        usual = (scheme, port) in (("http", 80), ("https", 443))
        headers = {"Host": name if usual else f"{name}:{port}", "Connection": "close", "Cookie": "theirs=1"}
        connection.request("GET", path, headers={**headers, **({"Authorization": user} if user else {})})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        found = answer.headers
        return Seen(answer.status, found.get("Location", ""), found.get("WWW-Authenticate", ""), body, found)
    except (OSError, http.client.HTTPException):
        return None


def all_seen(asked: Iterable[Any]) -> dict[Any, Seen | None]:
    asked = list(asked)
    with ThreadPoolExecutor(8) as pool:
        return dict(zip(asked, pool.map(lambda each: ask(*each), asked)))


def desired(drop_ins: Path, headers: Iterable[str], tls: bool) -> Any:
    from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.in_place import DesiredHost

    roots, names = frozenset({"/var/www/chamilo", str(PUBLIC)}), frozenset(map(str.lower, headers))
    return DesiredHost(SITE, DOMAIN, frozenset(), roots, str(drop_ins), names, tls)


def questions(plan: Any, servers: Any, usual: Sequence[str], users: Sequence[str]) -> list[Any]:
    """Every name, scheme and port of the portal, with the usual addresses and its owner's own."""
    paths = list(dict.fromkeys((*usual, *(page.path for page in plan.pages))))
    places = {(block.file, block.line) for block in plan.blocks}
    found: dict[tuple[str, int, str, str, str], None] = {}
    for server in servers:
        if (server.host.file, server.host.line) in places:
            names = [name for name in server.host.names if "." in name] or [DOMAIN]
            for listen in server.host.listens:
                for name in names:
                    for path in paths:
                        for user in users:
                            scheme = "https" if listen.tls else "http"
                            found[scheme, listen.port, re.sub(r"^(\*|)\.", "any.", name), path, user] = None
    return list(found)


@contextlib.contextmanager
def marked(report: Report, plan: Any) -> Iterator[None]:
    """With our lines in the owner's files, as a transaction writes them, and without them again."""
    from ansible_collections.chamilo.hardening.plugins.module_utils._common import markers

    originals = {}
    for edited in plan.files:
        file = Path(edited.path)
        originals[file] = file.read_bytes()
        text = originals[file].decode("utf-8", "surrogateescape")
        file.write_bytes(markers.apply(text, edited.marks, SITE).encode("utf-8", "surrogateescape"))
    yield
    for file in originals:
        text = markers.strip(file.read_bytes().decode("utf-8", "surrogateescape"), SITE)
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
    report.undone = all(file.read_bytes() == data for file, data in originals.items())
