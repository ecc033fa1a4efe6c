# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results that hosts delivered by themselves, read on the controller: as untrusted as any other answer of a host."""

from __future__ import annotations

import datetime
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..module_utils._monitoring.results import FORMAT
from . import _answers

MOST = 16 << 20  # bytes of a result
WHEN = "%Y-%m-%dT%H:%M:%SZ"

_SHAPE = _answers.Table(
    {
        "format": _answers.Number(),
        "host": _answers.Text(),
        "site": _answers.Text(r"[0-9A-Za-z_.-]{1,255}"),
        "generated": _answers.Text(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
        "answer": _answers.shape("guide_audit_info"),
    },
    frozenset({"format", "host", "generated", "answer"}),
)


class ResultError(Exception):
    """There is no result that can be used; the message gives the reason and what to do."""


@dataclass(frozen=True)
class Result:
    """What a host answered, and when."""

    answer: Mapping[str, Any]
    generated: str


def stem(host: str) -> str:
    """A file name for a host, different for each and without a way out of its directory."""
    return re.sub(r"^[.]|[^0-9A-Za-z._-]", lambda found: f"%{ord(found[0]):x}", host)


def names(host: str) -> dict[str, str]:
    """The name of a host in the inventory, and that of the file with its result."""
    return {"host": host, "file": f"{stem(host)}.json"}


def read(directory: str, host: str, hours: int, now: datetime.datetime | None = None) -> Result:
    """The result of a host, where it is not older than that."""
    path = Path(directory) / names(host)["file"]
    try:
        known = _answers.validate(_SHAPE, json.loads(_text(path)), path.name)
        if known["format"] != FORMAT:
            raise ResultError(
                f"{path} has format {known['format']}, and this version of the collection reads format {FORMAT}. "
                "Update the collection here or, by the playbook harden, on the host."
            )
        if known["host"] != host:
            raise ResultError(f"{path} is the result of another host. Check which process writes to that directory.")
        generated = datetime.datetime.strptime(known["generated"], WHEN).replace(tzinfo=datetime.timezone.utc)
    except FileNotFoundError:
        raise ResultError(
            f"There is no {path}. Harden the host with chamilo_monitoring_results; its daily work delivers it."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ResultError(f"{path} cannot be read as the result of an audit: {error}.") from error
    age = (now or datetime.datetime.now(datetime.timezone.utc)) - generated
    if age > datetime.timedelta(hours=hours):
        raise ResultError(
            f"The last result is of {known['generated']}, more than {hours} hours ago. On the host, see "
            "`systemctl status chamilo-hardening-daily.timer`, or set chamilo_results_hours."
        )
    if age < datetime.timedelta(hours=-1):
        raise ResultError(f"The last result is of {known['generated']}, which is to come. Set the clock of the host.")
    return Result(known["answer"], known["generated"])


def _text(path: Path) -> str:
    # Not waited for where a pipe lies in its place, and never through a link to another file of this machine.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise ValueError("it is no regular file")
        content = stream.read(MOST + 1)
    if len(content) > MOST:
        raise ValueError(f"it has more than {MOST >> 20} MiB")
    return content.decode("utf-8")
