# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HSTS ramp: decides and applies the next value of Strict-Transport-Security.

The role and ``chamilo-hardening daily`` take the same step from the same record on the host, so they never disagree.
"""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .._common.errors import HardeningError
from .._common.files import STATE
from .._common.in_force import InForce
from .._transaction.engine import Engine
from .._transaction.job import Outcome, TransactionError
from .._transaction.plan import asks_for_nothing, plan
from .._webserver.bound import full_from, kept, longest, seconds

if TYPE_CHECKING:
    from .._common.http import Answer

HEADER = "Strict-Transport-Security"
GUIDE = "max-age=31536000; includeSubDomains"
ALONE = "max-age=31536000"
TRIAL = "max-age=86400"
WITHDRAWN = "max-age=0"
# In the files of a configuration: the value, and what config_transaction knows as @generation@.
VALUE, MARK = "@hsts@", "@mark@"

Ask = Callable[[str, str, str], "Answer"]  # URL, address (empty: that of the name), file of an authority


class HstsError(HardeningError):
    """The record of the ramp cannot be used; the message states why and what to do."""


@dataclass(frozen=True)
class Ramp:
    """What was decided so far. ``since``: the day on which it began, or on which it was withdrawn."""

    mode: str = ""
    since: str = ""
    full: bool = False
    answered: tuple[str, ...] = ()  # declared subdomains that answered https when it was decided
    owner: str = ""  # what the owner of the virtual host sent, which browsers obey: it is never shortened

    def value(self, declared: Sequence[str]) -> str:
        if self.mode == "off":
            return WITHDRAWN
        ours = TRIAL if not self.full else GUIDE if set(declared) <= set(self.answered) else ALONE
        return kept(ours, self.owner)

    def text(self, declared: Sequence[str]) -> str:
        """The record. Its value is for those who only read it."""
        known = {**asdict(self), "answered": sorted(self.answered), "value": self.value(declared)}
        if not self.owner:
            del known["owner"]
        return json.dumps(known, sort_keys=True) + "\n"


@dataclass
class Step:
    """What came of one step."""

    value: str = ""
    ramp: Ramp = field(default_factory=Ramp)
    waits: list[str] = field(default_factory=list)  # why the guide's value is not sent, though it is due


def parse(text: str, path: str) -> Ramp:
    """The record of a host."""
    try:
        known = json.loads(text)
        if known["since"]:
            full_from(known["since"])
        return Ramp(
            known["mode"],
            known["since"],
            known.get("full") is True,
            tuple(known.get("answered", ())),
            str(known.get("owner", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise HstsError(f"{path} is damaged ({problem}). Remove it: the ramp begins again then.") from problem


def decide(
    mode: str,
    declared: Sequence[str],
    known: Ramp,
    today: datetime.date,
    portal: Callable[[], str],
    subdomain: Callable[[str], str],
    owner: str = "",
) -> Step:
    """The next step. ``portal`` and ``subdomain``: why a name must not be bound to https; empty: it may.

    A browser forgets a mistake after a day while the ramp lasts. A value is not reduced when a name fails to answer
    later: the watch of the same names would report that. Nor is the value that the ``owner`` of the virtual host had
    set before.
    """
    begins = not known.since or (known.mode == "off") != (mode == "off")
    ramp = Ramp(mode, today.isoformat()) if begins else replace(known, mode=mode)
    if mode == "off":
        ramp = replace(ramp, full=False, answered=(), owner="")
        return Step(WITHDRAWN, ramp)
    ramp = replace(ramp, owner=longest(ramp.owner, owner))
    step = Step()
    if mode == "full" or ramp.full or today >= full_from(ramp.since):
        whys = {name: "" if name in ramp.answered else subdomain(name) for name in declared}
        step.waits += [why for why in whys.values() if why]
        answered = tuple(sorted(name for name, why in whys.items() if not why))
        full = ramp.full or mode == "full"
        if not full:
            why = portal()
            step.waits += [why] if why else []
            full = not step.waits
        ramp = replace(ramp, full=full, answered=answered if full else ())
    step.ramp, step.value = ramp, ramp.value(declared)
    return step


def record_of(site: str) -> str:
    return f"{STATE}/hsts-{site}.json"


def name_of(site: str) -> str:
    """The name of the transaction that applies the value."""
    return f"https:{site}.hsts"


def take(
    configuration: Mapping[str, Any],
    engine: Engine,
    outcome: Outcome,
    check: bool = False,
    today: datetime.date | None = None,
    ask: Ask | None = None,
    owner: str = "",
) -> Step:
    """Decide the next step for a site and apply its value: header and record in one transaction."""
    site, domain, desired = configuration["site"], configuration["domain"], configuration["hsts"]
    if desired["mode"] == "none":
        warning = bound(site, domain)
        engine.withdraw(name_of(site), outcome, check)
        outcome.notes += [warning] if warning else []
        return Step()
    ask = ask or _ask
    known = _read(record_of(site))
    # Without an address: where the name leads, which is the proxy where TLS ends elsewhere.
    address, authority = desired.get("address", ""), configuration.get("ca_file", "")

    def portal() -> str:
        answer = ask(f"https://{domain}/", address, authority)
        if not answer.status or answer.status >= 500:
            where = f" at {address}" if address else ""
            return f"https://{domain}/{where} does not answer a client that checks certificates: {_why(answer)}"
        sent = answer.values(HEADER)
        trial = kept(TRIAL, longest(known.owner, owner))
        if sent != [trial]:
            return f"https://{domain}/ sends {' and '.join(sent) or 'no value'} as {HEADER} instead of {trial}"
        return ""

    step = decide(
        desired["mode"],
        desired["subdomains"],
        known,
        today or datetime.date.today(),
        portal,
        lambda name: unanswered(name, ask, authority),
        owner,
    )
    engine.apply(plan(_transaction(configuration, step)), outcome, check)
    return step


def settled(
    configuration: Mapping[str, Any],
    since: str,
    in_force: Mapping[str, InForce],
    today: datetime.date | None = None,
    owner: str = "",
) -> Step | None:
    """The step that is active already, where that is known without a request: ``since`` and
    `in_force` (of the engine) are its state."""
    desired = configuration["hsts"]
    known = in_force.get(name_of(configuration["site"]))
    if desired["mode"] == "none":
        return None if known or since else Step()
    if not known:
        return None

    def unknown(name: str = "") -> str:
        raise HstsError(f"a request to {name or 'the portal'} is needed")

    declared, today = desired["subdomains"], today or datetime.date.today()
    full = Ramp(desired["mode"], since, True, tuple(declared), owner)
    for ramp in (full, Ramp(desired["mode"], since, owner=owner)):
        with contextlib.suppress(HstsError, TransactionError):  # the host reports the fault
            step = decide(desired["mode"], declared, ramp, today, unknown, unknown, owner)
            # The record is one of the files, so it is this ramp that the host has.
            if asks_for_nothing(plan(_transaction(configuration, step)), known):
                return step
    return None


def _transaction(configuration: Mapping[str, Any], step: Step) -> dict[str, Any]:
    """The options of config_transaction that apply a step: header and record."""
    site, desired = configuration["site"], configuration["hsts"]
    texts = {VALUE: step.value, MARK: "@generation@"}
    record = {"path": record_of(site), "content": step.ramp.text(desired["subdomains"]), "mode": "0600"}
    return {
        "name": name_of(site),
        "files": [*({**each, "content": _filled(each["content"], texts)} for each in desired["files"]), record],
        "test": configuration["test"],
        "load": {"service": configuration["service"], "action": "reload"},
        "probe": [
            {**each, "headers": {key: _filled(value, texts) for key, value in each["headers"].items()}}
            for each in desired["probe"]
        ],
    }


def unanswered(name: str, ask: Ask | None = None, authority: str = "") -> str:
    """Why a subdomain must not be bound to https; empty when it answers there."""
    answer = (ask or _ask)(f"https://{name}/", "", authority)
    return "" if answer.status else f"https://{name}/ does not answer a client that checks certificates: {_why(answer)}"


def bound(site: str, domain: str) -> str:
    """A warning, when browsers are bound to https now and would not reach the portal without it."""
    try:
        with open(record_of(site), encoding="utf-8") as stream:
            known = json.load(stream)
        age = seconds(str(known.get("value", "")))
    except (FileNotFoundError, ValueError, AttributeError):
        return ""
    if not age:
        return ""
    return (
        f"Browsers that have been at {domain} since {known.get('since')} open it by https only, each for {age} seconds "
        f"({age // 86400} day{'s' * (age >= 172800)}) from its last visit. Where https goes away now, they cannot "
        'reach the portal. To let them go first: set chamilo_https_hsts to "off", run harden, and wait until your '
        "visitors have been there."
    )


def _filled(text: str, texts: Mapping[str, str]) -> str:
    for old, new in texts.items():
        text = text.replace(old, new)
    return text


def _read(path: str) -> Ramp:
    try:
        with open(path, encoding="utf-8") as stream:
            return parse(stream.read(), path)
    except FileNotFoundError:
        return Ramp()


def _why(answer: Answer) -> str:
    return answer.error or f"it answers {answer.status}"


def _ask(url: str, address: str, authority: str) -> Answer:
    # Here, because most runs send no request, and TLS is slow to import.
    from .._common.http import Answer, fetch

    answer = Answer(url)
    for file in dict.fromkeys((authority, "")):
        try:
            answer = fetch(url, address=address, verify=True, ca_file=file)
        except OSError as problem:
            answer = Answer(url, error=f"the authority's file {file} cannot be used: {problem}")
        if answer.status:
            break
    return answer
