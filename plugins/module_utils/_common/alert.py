# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Notifies the administrator by mail, through the host's own sendmail, and by a webhook. Alerts contain no secret.

What lasts is an incident: of one cause there is one record, and a mail when it begins, after 1, 3 and 7 days, when it
becomes worse, and when it is over.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
import subprocess
import syslog
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from . import files, http, locks
from .errors import HardeningError

CONFIGURATION = "/etc/chamilo-hardening/alert.json"
SENDMAIL = ("/usr/sbin/sendmail", "/usr/lib/sendmail")
SECONDS = 10  # for the webhook
_DAY = 86400.0
_EARLY = 4 * 3600.0  # what is checked daily is not checked at the same time each day
_REPEATED = (0, 1, 3, 7)  # days after the beginning; then each week
_TEXTS = 5  # different ones of a title
_TITLE, _TEXT = 200, 20000  # characters


class AlertError(HardeningError):
    """No notification could be sent; the message states why."""


@dataclass(frozen=True)
class Addressee:
    """The recipient of notifications. Empty: none."""

    mail: str = ""
    webhook: str = ""


def addressee(path: str = "") -> Addressee:
    """The recipient configured on this host."""
    path = path or CONFIGURATION
    try:
        with open(path, encoding="utf-8") as stream:
            known = json.load(stream)
        return Addressee(str(known.get("mail") or ""), str(known.get("webhook") or ""))
    except FileNotFoundError:
        return Addressee()
    except (ValueError, AttributeError) as problem:
        raise AlertError(f"{path} cannot be read: {problem}. Run the playbook harden again.") from problem


def refusal(mail: str, webhook: str) -> str:
    """Why these recipients cannot be notified; empty when they can."""
    if mail and not re.fullmatch(r"[^\s@<>,;\"'-][^\s@<>,;\"']*@[^\s@<>,;\"']+", mail):
        return f"{mail!r} is no mail address. Give one address, such as admin@school.example."
    if webhook:
        parts = urllib.parse.urlsplit(webhook)
        if parts.scheme != "https" or not parts.hostname or re.search(r"\s", webhook):
            return "The webhook must be an address that begins with https://. (Its value is not shown: it is a secret.)"
    return ""


def notify(
    section: str,
    title: str,
    text: str,
    again: bool = False,
    cause: str = "",
    worse: int = 0,
    holds: str = "",
    then: str = "",
) -> list[str]:
    """Write to the journal and notify the configured recipients. Returns the channels used; empty if none is set.

    Text, ``holds`` and ``then`` say what is so, what still holds, and what to do. Without a ``cause``, an incident is
    what has the same title, and the same text whatever its numbers; of one title there are a few at most, and it ends
    when nothing sees it any more. ``worse``: each larger number goes out at once. ``again``: no incident, but an event.
    """
    title = " ".join(harmless(title).split())[:_TITLE]
    parts = [text.strip(), holds and f"What still holds: {holds}", then and f"What to do: {then}"]
    text = harmless("\n\n".join(filter(None, parts)))[:_TEXT]
    _journal(section, f"{title}: {' '.join(text.split())}", syslog.LOG_WARNING)
    if addressee() == Addressee():
        return []
    with _alone(title):
        moment, known = time.time(), _incidents()
        name = f"{section}: {title} #"
        key = f"{section}: {cause}" if cause else name + _gist(text)
        alike = [one for one in known if one.startswith(name)]
        if key not in known and len(alike) >= _TEXTS:
            key = alike[0]
        incident: dict[str, Any] = {"section": section, "since": moment, "seen": 0, "mails": 0, "ways": []}
        incident["named"] = bool(cause)
        incident |= {} if again else known.get(key, {})
        incident |= {"title": title, "at": moment, "seen": incident["seen"] + 1}
        try:
            if _due(incident) or worse > incident.get("worse", 0):
                since = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(incident["since"]))
                times = f"\n\nSeen {incident['seen']} times since {since}." if incident["seen"] > 1 else ""
                incident["ways"] = _sent(section, title, text + times) or incident["ways"]
                incident["mails"] += bool(incident["ways"])
                incident["worse"] = max(worse, incident.get("worse", 0))
        finally:
            if not again and incident["ways"]:
                _remember({**known, key: incident})
        return [str(way) for way in incident["ways"]]


def lasts(section: str, cause: str) -> bool:
    return f"{section}: {cause}" in _incidents()


def over(section: str, cause: str, text: str) -> None:
    """Notify once that an incident is over."""
    with _alone(cause):
        known = _incidents()
        incident = known.pop(f"{section}: {cause}", None)
        if incident:
            _end(incident, text)
            _remember(known)


def settle(section: str) -> None:
    """End what the daily work of a section, which just ended well, and monit have not seen any more.

    What has a cause is ended by whoever knows that it is over.
    """
    with _alone(section):
        known = _incidents()
        for key, incident in list(known.items()):
            unseen = time.time() - incident["at"] > _DAY - _EARLY
            if incident["section"] == section and unseen and not incident["named"]:
                _end(known.pop(key), "It was not seen any more.")
                _remember(known)


def _end(incident: Mapping[str, Any], text: str) -> None:
    since, at = (time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(incident[name])) for name in ("since", "at"))
    text = f"{text}\n\nIt was seen {incident['seen']} times, first on {since}, last on {at}. There is nothing to do."
    _journal(incident["section"], f"Over: {incident['title']}: {text}", syslog.LOG_NOTICE)
    _sent(incident["section"], f"Over: {incident['title']}", text)


def _due(incident: Mapping[str, Any]) -> bool:
    mails = incident["mails"]
    days = _REPEATED[mails] if mails < len(_REPEATED) else 7 * (mails - len(_REPEATED) + 2)
    return bool(incident["at"] - incident["since"] >= days * _DAY - _EARLY)


def _sent(section: str, title: str, text: str) -> list[str]:
    """Send it to the recipients. Returns the channels; none where there is no recipient."""
    who = addressee()
    content = {"host": socket.gethostname(), "section": section, "title": title, "text": text}
    tried = {f"mail to {who.mail}": _mail(who.mail, section, title, text)} if who.mail else {}
    tried |= {"webhook": _webhook(who.webhook, content)} if who.webhook else {}
    problems = list(filter(None, tried.values()))
    for problem in problems:
        _journal(section, f"{title}: {problem}", syslog.LOG_ERR)
    if tried and len(problems) == len(tried):
        raise AlertError(f"No notification was sent: {title!r}. {' '.join(problems)}")
    return [way for way, problem in tried.items() if not problem]


@contextlib.contextmanager
def _alone(title: str) -> Iterator[None]:
    """Of several at once each knows what the one before has sent."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a full disk, perhaps the subject of the alert
            os.makedirs(files.STATE, 0o700, exist_ok=True)
            stack.enter_context(locks.lock(f"{_memory()}.lock", title, locks.FOREVER))
        yield


def _gist(text: str) -> str:
    """What a text is about: the same problem has another number in it each time."""
    words = [word for word in text.split() if not re.search(r"\d", word)]
    return hashlib.sha256(" ".join(words).encode("utf-8", "replace")).hexdigest()[:16]


def harmless(text: str) -> str:
    """Names of files and people are in alerts: what is no text there harms no terminal, and keeps no alert back."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else ascii(sign)[1:-1] for sign in text)


def sendmail() -> str:
    """The program this host sends mail with; empty where there is none."""
    return next((path for path in SENDMAIL if os.access(path, os.X_OK)), "")


def _mail(address: str, section: str, title: str, text: str) -> str:
    """Hand a mail to the host's mail program. Returns why that failed, or an empty text."""
    program = sendmail()
    if not program:
        return f"This host has no sendmail, so no mail can go to {address}: install msmtp-mta, or postfix."
    host = socket.gethostname()
    mail = EmailMessage()
    mail["From"] = f"chamilo-hardening <root@{_mail_name() or host}>"
    mail["To"] = address
    mail["Subject"] = f"[{host}] {section}: {title}"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(f"{text}\n\n-- \nchamilo-hardening on {host}\n", cte="quoted-printable")
    try:
        # The address stands behind "--", so it can never be an option.
        done = subprocess.run(
            [program, "-i", "--", address],
            input=mail.as_bytes(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        return f"{program} could not take the mail to {address}: {problem}."
    if done.returncode:
        output = " ".join(done.stdout.decode(errors="replace").split())[-300:]
        return f"{program} refused the mail to {address} ({done.returncode}): {output}"
    return ""


def _mail_name() -> str:
    try:
        with open("/etc/mailname", encoding="utf-8") as stream:
            name = stream.read().strip()
    except OSError:
        return ""
    return name if re.fullmatch(r"[A-Za-z0-9.-]+", name) else ""


def _webhook(address: str, content: Mapping[str, str]) -> str:
    """Post to the webhook. Returns why that failed, or an empty text. Its path is a secret: only its host is named."""
    host = urllib.parse.urlsplit(address).hostname or ""
    # A redirect is not followed: the alert goes only to the configured recipient.
    try:
        answer = http.fetch(
            address,
            method="POST",
            headers={"Content-Type": "application/json"},
            body=json.dumps(content).encode(),
            verify=True,
            timeout=SECONDS,
        )
    except ValueError as problem:  # a port that is none
        return f"The webhook on {host} could not be reached: {problem}."
    if not answer.status:
        return f"The webhook on {host} could not be reached: {answer.error}."
    return "" if 200 <= answer.status < 300 else f"The webhook on {host} answered {answer.status}."


def _journal(section: str, text: str, level: int) -> None:
    syslog.openlog("chamilo-hardening", syslog.LOG_PID, syslog.LOG_DAEMON)
    syslog.syslog(level, f"{section}: {text[:1000]}")


def _memory() -> str:
    return os.path.join(files.STATE, "alerts.json")


def _incidents() -> dict[str, dict[str, Any]]:
    """The incidents that are not over."""
    try:
        with open(_memory(), encoding="utf-8") as stream:
            known = json.load(stream)
        # Earlier versions had no incidents. What began after now began by a wrong clock.
        return {key: one for key, one in known.items() if "mails" in one and one["since"] <= time.time()}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # rather a repeated alert than none


def _remember(known: Mapping[str, Any]) -> None:
    try:
        files.replace_file(_memory(), json.dumps(known, indent=1, sort_keys=True) + "\n")
    except OSError as problem:  # a full disk, perhaps the subject of the alert: rather repeat it than fail
        _journal("monitoring", f"Which alerts were sent could not be recorded: {problem}", syslog.LOG_ERR)
