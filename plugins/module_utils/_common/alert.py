# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Notifies the administrator by mail, through the host's own sendmail, and by a webhook. Alerts contain no secret."""

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
_DAY = 20 * 3600  # less than a day: what fails daily is notified daily, although the time varies
_TEXTS = 5  # different ones of a title that go out a day
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


def notify(section: str, title: str, text: str, again: bool = False) -> list[str]:
    """Write to the journal and notify the configured recipients. Returns the channels used; empty if none is set.

    The same alert, whatever its numbers, is sent at most once a day unless ``again``; the earlier channels are returned
    then. The number of different texts below one title is limited too.
    """
    title = " ".join(harmless(title).split())[:_TITLE]
    text = harmless(text.strip())[:_TEXT]
    _journal(section, f"{title}: {' '.join(text.split())}", syslog.LOG_WARNING)
    who = addressee()
    if not (who.mail or who.webhook):
        return []
    with _alone(title):
        name, moment = f"{section}: {title} #", time.time()
        key, sent = name + _gist(text), _sent(moment)
        alike = [each for each in sent if each.startswith(name)]
        if not again and (key in sent or len(alike) >= _TEXTS):
            return [str(way) for way in sent[key if key in sent else alike[0]]["ways"]]
        ways, problems = _send(who, section, title, text)
        for problem in problems:
            _journal(section, f"{title}: {problem}", syslog.LOG_ERR)
        if not ways:
            raise AlertError(f"No notification was sent: {title!r}. {' '.join(problems)}")
        try:
            _remember({**sent, key: {"at": moment, "ways": ways}})
        except OSError as problem:  # a full disk, perhaps the subject of the alert: rather repeat it than fail
            _journal(section, f"{title}: The alert could not be recorded as sent: {problem}", syslog.LOG_ERR)
        return ways


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


def _send(who: Addressee, section: str, title: str, text: str) -> tuple[list[str], list[str]]:
    ways, problems = [], []
    if who.mail:
        problem = _mail(who.mail, section, title, text)
        if problem:
            problems.append(problem)
        else:
            ways.append(f"mail to {who.mail}")
    if who.webhook:
        problem = _webhook(
            who.webhook, {"host": socket.gethostname(), "section": section, "title": title, "text": text}
        )
        if problem:
            problems.append(problem)
        else:
            ways.append("webhook")
    return ways, problems


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


def _sent(moment: float) -> dict[str, Any]:
    """The alerts of the last day."""
    try:
        with open(_memory(), encoding="utf-8") as stream:
            known = json.load(stream)
        return {key: entry for key, entry in known.items() if 0 <= moment - float(entry["at"]) < _DAY}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # rather a repeated alert than none


def _remember(sent: Mapping[str, Any]) -> None:
    files.replace_file(_memory(), json.dumps(sent, indent=1, sort_keys=True) + "\n")
