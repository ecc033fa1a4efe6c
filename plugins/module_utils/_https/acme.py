# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a certificate made: by an authority through Certbot, after a rehearsal, or by the host itself."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._common.errors import HardeningError
from .._common.files import STATE, replace_file
from .._common.paths import of_root, open_path
from .._common.tree import Tree
from .._host import host
from .._transaction.engine import Engine
from .._transaction.job import Outcome
from .._transaction.plan import plan
from .._webserver import certbot

if TYPE_CHECKING:
    from .._common.http import Answer

CHALLENGES = ".well-known/acme-challenge"
SYSTEM_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
BUNDLE = f"{STATE}/acme-authorities.pem"
CERTBOT_SECONDS = 300.0
SELF_SIGNED_DAYS = 825
RENEWED_AT = 30  # days left
_HOPS = 10  # as many redirects as Let's Encrypt follows

Resolve = Callable[[str], "Sequence[str]"]
Fetch = Callable[[str, str], "Answer"]


class AcmeError(HardeningError):
    """There is no certificate; the message states why and what to do."""


@dataclass(frozen=True)
class Desired:
    """What certificate is to be had, and how."""

    names: tuple[str, ...]  # of the portal, its domain first; *.example.org is a wildcard
    site: str
    webroot: str
    email: str = ""
    directory: str = ""
    ca_file: str = ""
    arguments: tuple[str, ...] = ()  # of Certbot, in place of the challenge over http
    served: str = ""  # the certificate that is served now

    @property
    def domain(self) -> str:
        return self.names[0]


@dataclass
class Got:
    """What was done."""

    changed: bool = False
    pair: certbot.Pair = field(default_factory=certbot.Pair)
    notes: list[str] = field(default_factory=list)


# -- the rehearsal ---------------------------------------------------------------------------------------------------


def resolve(name: str) -> list[str]:
    """The addresses of a name, as this host sees them."""
    try:
        found = socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
    except socket.gaierror:
        return []
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def rehearse(
    domain: str,
    webroot: str,
    resolver: Resolve = resolve,
    fetch: Fetch | None = None,
    token: str = "",
    outside: Collection[str] = (),
) -> str:
    """Why the authority would not find its challenge; empty when a challenge of our own is found under the name.

    ``outside``: addresses whose silence says nothing. Behind NAT a host often cannot reach its own from inside.
    """
    addresses = resolver(domain)
    if not addresses:
        return f"{domain} has no address in the DNS, so no authority can reach it."
    token = token or f"chamilo-hardening-{secrets.token_hex(16)}"
    try:
        with _challenge(webroot, token):
            whys = (_unseen(domain, address, token, fetch or _fetch, address in outside) for address in addresses)
            return next(filter(None, whys), "")
    except OSError as problem:
        return f"No challenge can be laid into {webroot}/{CHALLENGES}: {problem.strerror}."


@contextlib.contextmanager
def _challenge(webroot: str, token: str) -> Iterator[None]:
    """Serve a challenge. The web user may own the directory and exchange its entries for links meanwhile."""
    with contextlib.ExitStack() as back:
        directory = os.open(webroot, os.O_RDONLY | os.O_DIRECTORY)
        back.callback(os.close, directory)
        back.callback(os.umask, os.umask(0o022))
        for part in CHALLENGES.split("/"):
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=directory)
                back.callback(_remove, os.rmdir, part, directory)
            directory = open_path(part, of_root, directory)[0]
            back.callback(os.close, directory)
        handle = os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=directory)
        back.callback(_remove, os.unlink, token, directory)
        with open(handle, "w", encoding="ascii") as stream:
            stream.write(token)
        yield


def _remove(how: Callable[..., None], name: str, directory: int) -> None:
    with contextlib.suppress(OSError):  # it has another challenge meanwhile, or is gone
        how(name, dir_fd=directory)


def _unseen(domain: str, address: str, token: str, fetch: Fetch, may_be_silent: bool) -> str:
    from urllib.parse import urljoin, urlsplit

    first = url = f"http://{domain}/{CHALLENGES}/{token}"
    for _hop in range(_HOPS):
        name = urlsplit(url).hostname or ""
        answer = fetch(url, address if name == domain else "")
        where = f"{url} (at {address})" if name == domain else url
        led = "" if url == first else f" It was led there from {first}."
        if not answer.status and name == domain and may_be_silent:
            return ""
        if not answer.status:
            return f"{where} does not answer: {answer.error}.{led} {_hint(address)}"
        if answer.status in (301, 302, 303, 307, 308) and answer.value("Location"):
            url = urljoin(url, answer.value("Location"))
            continue
        if answer.status == 200 and answer.body.decode("ascii", "replace").strip() == token:
            return ""
        what = "another answer than this host's" if answer.status == 200 else str(answer.status)
        return f"{where} gives {what} where the challenge should be.{led} {_hint(address)}"
    return f"{first} leads from one address to the next without end."


def _hint(address: str) -> str:
    return (
        f"An authority asks at every address of the name. If {address} is not this host, set the DNS right; if it is, "
        "check what answers there on port 80."
    )


def _fetch(url: str, address: str) -> Answer:
    from .._common.http import fetch

    return fetch(url, address=address, timeout=10)


# -- certificates ----------------------------------------------------------------------------------------------------


def obtain(
    desired: Desired,
    engine: Engine,
    outcome: Outcome,
    check: bool = False,
    resolver: Resolve = resolve,
    fetch: Fetch | None = None,
) -> Got:
    """A certificate by Certbot for all names of the portal: a lineage that is there is adopted, else one is asked for.

    A name that cannot be proved is left out, and a note says why. The domain cannot: without it there is none.
    """
    ask = _Rehearsal(desired, resolver, fetch)
    found = certbot.for_names(Tree(), desired.names, time.time(), os.path.dirname(desired.webroot), desired.served)
    lineage = _Lineage(found, desired.names) if found.lineage else None
    adopted = False
    if lineage and found.good:
        adopted = _adopt(lineage, desired, engine, outcome, check, ask)
    if found.good and not found.lacks:
        return Got(adopted, found)
    if check:
        return Got(adopted or not found.good or any(not ask.hopeless(name) for name in found.lacks), found)
    try:
        if lineage and found.good:
            request = lineage.expansion(desired, ask, outcome)
            if not request:
                return Got(adopted, found)
        elif lineage:
            _proved(ask, desired, lineage.webroots(desired))
            _adopt(lineage, desired, engine, outcome, check, ask)
            request = lineage.renewal(desired, ask, outcome)
        else:
            _proved(ask, desired, [desired.webroot])
            request = _request(desired, ask.places(desired.names, [desired.webroot], outcome))
        _run(request, desired, engine, outcome)
    except AcmeError as problem:
        if not found.good:
            raise
        outcome.notes.append(f"The certificate {found.lineage} still lacks {', '.join(found.lacks)}. {problem}")
        return Got(adopted, found)
    found = certbot.for_names(Tree(), desired.names, time.time(), os.path.dirname(desired.webroot))
    if not found.good:
        raise AcmeError(f"Certbot reported success, but there is no certificate for {desired.domain}.")
    return Got(True, found)


class _Rehearsal:
    """Which names can be proved, each asked once."""

    def __init__(self, desired: Desired, resolver: Resolve, fetch: Fetch | None) -> None:
        self.desired = desired
        self._resolver, self._fetch = resolver, fetch
        self._known: dict[tuple[str, str], str] = {}

    def refusal(self, name: str, webroot: str) -> str:
        """Why a name cannot be proved with files in that directory; empty where it can."""
        if self.desired.arguments:
            return ""  # in another way, which is not rehearsed
        if name[:2] == "*.":
            return (
                "A wildcard is proved in the DNS alone. Set chamilo_https_acme_arguments to options of Certbot's DNS "
                "plugin, or chamilo_https_certificate_file to a certificate that has it."
            )
        if (name, webroot) not in self._known:
            own = (*host.addresses(Tree()), "127.0.0.1", "127.0.1.1", "::1")
            outside = {*self._resolver(self.desired.domain)} - {*own}
            self._known[name, webroot] = rehearse(name, webroot, self._resolver, self._fetch, outside=outside)
        return self._known[name, webroot]

    def hopeless(self, name: str) -> bool:
        """Whether a name cannot be proved, as far as that is known without asking this host."""
        return not self.desired.arguments and (name[:2] == "*." or not self._resolver(name))

    def place(self, name: str, webroots: Sequence[str]) -> tuple[str, str]:
        """The directory where its challenge is found, or why it is in none."""
        whys = {webroot: self.refusal(name, webroot) for webroot in webroots}
        found = next((webroot for webroot, why in whys.items() if not why), "")
        return found, "" if found else whys[webroots[0]]

    def places(self, names: Sequence[str], webroots: Sequence[str], outcome: Outcome) -> dict[str, str]:
        """The names that can be proved, with the directory for the challenges of each. A note states why one cannot."""
        found = {}
        for name in names:
            place, why = self.place(name, webroots)
            if place:
                found[name] = place
            else:
                outcome.notes.append(_left_out(name, why))
        return found


def _left_out(name: str, why: str) -> str:
    return (
        f"{name} is not in the certificate. {why} If it is no name of the portal, leave it out: chamilo_names: "
        f'["!{name}"]'
    )


def _proved(ask: _Rehearsal, desired: Desired, webroots: Sequence[str]) -> None:
    """Raise the reason where not even the domain can be proved."""
    why = ask.place(desired.domain, webroots)[1]
    if why:
        raise AcmeError(f"No certificate was asked for. {why}")


class _Lineage:
    """A lineage of Certbot, made by this collection or not."""

    def __init__(self, pair: certbot.Pair, portal: Sequence[str]) -> None:
        self.pair = pair
        self.path = f"{certbot.DIRECTORY}/renewal/{pair.lineage}.conf"
        self.text = Tree().read(self.path)
        self.foreign = [name for name in pair.names if name not in portal]

    @property
    def fixed(self) -> str:
        """Why its names stay as they are; empty where they may change."""
        way = certbot.value(self.text, "authenticator")
        if self.foreign:
            return f"it is for {', '.join(self.foreign)} as well"
        return "" if way == "webroot" else f"it proves its names by {way or 'what is not known'}"

    def webroots(self, desired: Desired) -> list[str]:
        return list(dict.fromkeys((self.pair.webroot or desired.webroot, desired.webroot)))

    def expansion(self, desired: Desired, ask: _Rehearsal, outcome: Outcome) -> list[str]:
        """How Certbot is asked for the names that it lacks; empty, with a note, where it cannot have them."""
        if self.fixed and (self.foreign or not desired.arguments):
            names = ",".join((*self.pair.names, *self.pair.lacks))
            outcome.notes.append(
                f"The certificate {self.pair.lineage} lacks {', '.join(self.pair.lacks)}, and is left as it is: "
                f"{self.fixed}. Add them the way it was made: certbot certonly --cert-name {self.pair.lineage} "
                f"--expand -d {names}"
            )
            return []
        webroots = self.webroots(desired)
        more = ask.places(self.pair.lacks, webroots, outcome)
        if not more:
            return []
        own = {name: ask.place(name, webroots) for name in self.pair.names}
        # What it has is not given up: it stays as it is until each of its names can be proved again.
        why = next((why for _place, why in own.values() if why), "")
        if why:
            raise AcmeError(f"No certificate was asked for. {why}")
        return _request(desired, {**{name: place for name, (place, _why) in own.items()}, **more}, self)

    def renewal(self, desired: Desired, ask: _Rehearsal, outcome: Outcome) -> list[str]:
        """How Certbot is asked for it again: by its own file, where its names stay."""
        names = tuple(dict.fromkeys((desired.domain, *self.pair.names, *self.pair.lacks)))
        if not self.fixed:
            places = ask.places(names, self.webroots(desired), outcome)
            if places.keys() != {*self.pair.names}:
                return _request(desired, places, self)
        return ["renew", "--cert-name", self.pair.lineage, "--no-random-sleep-on-renew", "--non-interactive"]

    def options(self) -> dict[str, str]:
        """Certbot's options in its own file; a new request would drop them."""
        names = ("server", "account", "key_type", "pre_hook", "post_hook", "renew_hook")
        known = {name: certbot.value(self.text, name).strip("'\"") for name in names}
        return {name.replace("renew", "deploy").replace("_", "-"): text for name, text in known.items() if text}


def _run(request: Sequence[str], desired: Desired, engine: Engine, outcome: Outcome) -> None:
    """Have Certbot ask. Names that the authority cannot prove are left out once, if the domain is not among them."""
    program = certbot.program(Tree())
    if not program:
        raise AcmeError("Certbot is not installed.")
    request, why, code = list(request), "", 1
    trusting = ["env", f"REQUESTS_CA_BUNDLE={bundle([desired.ca_file])}"] if desired.ca_file else []
    for _attempt in range(2):
        code, output = engine.machine.run([*trusting, program, *request], CERTBOT_SECONDS)
        why = _reason(output) if code else ""
        failed = {*re.findall(r"^\s*(?:Domain|Identifier): (\S+)$", output, re.MULTILINE)}
        if not code or not failed or not failed <= {*desired.names[1:]}:
            break
        request = _without(request, failed)
        outcome.notes += [_left_out(name, f"The authority could not prove it: {why}") for name in sorted(failed)]
    if code:
        raise AcmeError(
            f"Certbot could not get a certificate for {desired.domain}: {why} Its log is "
            "/var/log/letsencrypt/letsencrypt.log. The portal is served as before until then. Without an authority: "
            "set chamilo_https_certificate to files, or to self_signed for a trial."
        )


def _request(desired: Desired, places: Mapping[str, str], lineage: _Lineage | None = None) -> list[str]:
    """``places``: the directory for the challenges of each name. Of a lineage its own options stay."""
    name = lineage.pair.lineage if lineage else desired.domain
    words = ["certonly", "--non-interactive", "--agree-tos", "--cert-name", name]
    options = {"deploy-hook": certbot.HOOK, **({} if lineage else {"key-type": "ecdsa"})}
    options.update({"server": desired.directory} if desired.directory else {})
    options.update(lineage.options() if lineage else {})
    words += [word for option, text in options.items() for word in (f"--{option}", text)]
    words += ["--email", desired.email] if desired.email else ["--register-unsafely-without-email"]
    if lineage:
        words.append("--expand")
    if desired.arguments:
        return [*words, *desired.arguments, *(word for name in places for word in ("-d", name))]
    return [*words, "--webroot", *(word for name, place in places.items() for word in ("-w", place, "-d", name))]


def _without(request: Sequence[str], names: Collection[str]) -> list[str]:
    """The request without some names, each of which stands behind a -d."""
    left: list[str] = []
    for word in request:
        if word in names and left[-1:] == ["-d"]:
            left.pop()
        else:
            left.append(word)
    return left


def _adopt(lineage: _Lineage, desired: Desired, engine: Engine, outcome: Outcome, check: bool, ask: _Rehearsal) -> bool:
    """Have Certbot renew a lineage with our hook, and by files where all of its names are the portal's."""
    names, text = lineage.pair.names, lineage.text
    expected = certbot.adopted(text, names, desired.names, desired.webroot)
    if expected == text:
        return False
    changed = certbot.value(expected, "authenticator") != certbot.value(text, "authenticator")
    if changed and len(names) > 1 and not check:
        whys = (ask.refusal(name, desired.webroot) for name in names)
        why = next(filter(None, whys), "")
        if why:
            outcome.notes.append(f"{lineage.path} still uses {certbot.value(text, 'authenticator')}. {why}")
            expected = certbot.adopted(text, names, (), desired.webroot)
    if expected == text:
        return False
    mode = f"{stat.S_IMODE(os.stat(lineage.path).st_mode):04o}"
    file = {"path": lineage.path, "content": expected, "mode": mode}
    # Another lineage that was adopted before stays as it is.
    desired_files = {"name": f"https:{desired.site}.renewal", "files": [file], "complete": False}
    engine.apply(plan(desired_files), outcome, check)
    lineage.text = expected
    return outcome.changed


def bundle(files: Sequence[str]) -> str:
    """A file with the authorities of the host and some more, for Certbot. Its path."""
    texts = []
    for path in dict.fromkeys((SYSTEM_AUTHORITIES, *filter(None, files))):
        try:
            with open(path, encoding="utf-8") as stream:
                texts.append(stream.read().rstrip("\n") + "\n")
        except OSError as problem:
            raise AcmeError(f"The file of an authority, {path}, cannot be read: {problem.strerror}.") from problem
    replace_file(BUNDLE, "".join(texts))
    return BUNDLE


def _reason(output: str) -> str:
    """Certbot's own words, without those that are the same each time."""
    details = re.findall(r"^\s*(?:Detail|Type|Domain): (.+)$", output, re.MULTILINE)
    if details:
        return f"{'; '.join(details)}."
    boring = re.compile(r"Saving debug log|Ask for help|^[-\s]*$|See the logfile|Account registered|Requesting a cert")
    lines = [line.strip() for line in output.splitlines() if not boring.search(line)]
    return " ".join(lines)[-600:] or "no output"


def self_sign(
    names: Sequence[str],
    site: str,
    file: str,
    key: str,
    engine: Engine,
    outcome: Outcome,
    check: bool = False,
    load: Mapping[str, Any] | None = None,
) -> Got:
    """A certificate that no browser trusts. ``load``: who serves the one that is there, and its test."""
    found = certbot.pair(Tree(), file, key, names, time.time())
    if found.there and not found.lacks and found.days >= RENEWED_AT:
        return Got(False, found)
    if check:
        return Got(True, found)
    with tempfile.TemporaryDirectory() as directory:
        files = {"-keyout": f"{directory}/key", "-out": f"{directory}/certificate"}
        argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        alternatives = ",".join(f"DNS:{name}" for name in names)
        argv += ["-subj", "/CN=chamilo-hardening", "-addext", f"subjectAltName={alternatives}"]
        argv += ["-days", str(SELF_SIGNED_DAYS), *(word for option in files.items() for word in option)]
        code, output = engine.machine.run(argv, 60)
        if code:
            raise AcmeError(f"openssl could not make a certificate: {output[-300:]}")
        texts = {}
        for option, path in files.items():
            with open(path, encoding="ascii") as stream:
                texts[option] = stream.read()
    expected = [
        {"path": file, "content": texts["-out"]},
        {"path": key, "secret_content": texts["-keyout"], "mode": "0600"},
    ]
    params: dict[str, Any] = {"name": f"https:{site}.certificate", "files": expected}
    if load and found.there:
        params.update(load)
    engine.apply(plan(params), outcome)
    return Got(True, certbot.pair(Tree(), file, key, names, time.time()))
