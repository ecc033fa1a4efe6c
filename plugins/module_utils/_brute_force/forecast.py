# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Impact preview: the addresses that bans not yet active would have met in the last seven days.

By Chamilo's own record of logins. Bans are counted as fail2ban counts them, without it: it need not be installed yet.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field

from .._application import login_record
from .._application.database import Reader
from .._common.networks import counted, within
from .._common.sentences import first_of

DAYS = 7
BANS = "brute_force_fail2ban"
_SHOWN = 5  # addresses in a sentence
_SHARED = 3  # with as many accounts that logged in, several people share an address


@dataclass(frozen=True)
class Rules:
    """Whom fail2ban would ban."""

    attempts: int = 8
    find_seconds: int = 900
    ban_seconds: int = 900
    spared: tuple[str, ...] = ()  # networks that are never banned


@dataclass
class _Visitor:
    failures: list[int] = field(default_factory=list)  # their times
    good: int = 0
    accounts: set[str] = field(default_factory=set)  # that logged in

    def __str__(self) -> str:
        accounts = _many(len(self.accounts), "account")
        return f"{len(self.failures)} failed and {self.good} good logins, {accounts}"


def forecast(reader: Reader, rules: Rules) -> list[str]:
    """Returns sentences for the report."""
    logins = login_record.of_days(reader, DAYS)
    visitors: dict[str, _Visitor] = {}
    for login in logins:
        visitor = visitors.setdefault(counted(login.address), _Visitor())
        if login.good:
            visitor.good += 1
            visitor.accounts.add(login.name)
        elif login.address and not within(login.address, rules.spared):
            visitor.failures.append(login.moment)
    read = f"By Chamilo's record of the last {DAYS} days: {_many(len(logins), 'login')}."
    more = " There are more; these are the newest." if len(logins) == login_record.MOST else ""
    return [*_bans(visitors, rules), f"{read}{more}"]


def _bans(visitors: dict[str, _Visitor], rules: Rules) -> list[str]:
    """The addresses that would have been banned; those that several people share come first."""
    ban = f"A ban of {rules.ban_seconds} s" if rules.ban_seconds >= 0 else "A ban without an end"
    rule = f"{ban} after {rules.attempts} failed logins in {rules.find_seconds} s would have met"
    times = {address: bans(sorted(one.failures), rules) for address, one in visitors.items()}
    shared = {address for address, one in visitors.items() if len(one.accounts) >= _SHARED and times[address]}
    met = sorted(filter(times.get, times), key=lambda each: (each not in shared, -times[each], each))
    if not met:
        return [f"{rule} no address."]
    each_one = (f"{address} {_times(times[address])} ({visitors[address]})" for address in met)
    addresses, total = _many(len(met), "address", "es"), _times(sum(times.values()))
    messages = [f"{rule} {addresses}, {total}: {first_of(each_one, _SHOWN, '; ')}."]
    if shared:
        messages.append(
            f"Several people log in from {first_of(sorted(shared), _SHOWN)}. "
            "If that is the gateway of your school, put it into chamilo_friends first."
        )
    return messages


def bans(times: Sequence[int], rules: Rules) -> int:
    """How often fail2ban would have banned an address that failed at these times, which are in order."""
    count = total = 0
    first = last = 0
    at = 0
    while at < len(times):
        moment = times[at]
        at += 1
        if not count or last + rules.find_seconds <= moment:
            count, first = 1, moment
        else:
            # fail2ban keeps no list of times: what is older than its window goes on counting by its share.
            if first < moment - rules.find_seconds:
                count = round(count / float(moment - first) * rules.find_seconds)
                first = moment - rules.find_seconds
            count += 1
        last = moment
        if count >= rules.attempts:
            total, count = total + 1, 0
            # A banned client cannot fail.
            at = bisect.bisect_left(times, moment + rules.ban_seconds, at) if rules.ban_seconds >= 0 else len(times)
    return total


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _many(number: int, one: str, ending: str = "s") -> str:
    return f"{number:,} {one}{'' if number == 1 else ending}"
