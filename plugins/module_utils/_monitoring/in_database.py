# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""What an attacker can leave in the portal's tables so that it runs: objects that PHP makes of them, and scripts.

The application's columns of serialized arrays contain no objects; its queue contains its own messages and those of the
framework.
"""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator

from ansible_collections.chamilo.hardening.plugins.module_utils._portal.database import Reader

_ROWS = 200  # of one column
# Doctrine writes down which columns it makes PHP's values of; of the older tables, and of the queue, it is known. Pages
# and announcements are cleaned when they are saved: a script there came another way.
_COLUMNS = """
SELECT TABLE_NAME AS place, COLUMN_NAME AS name FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND
DATA_TYPE IN ('text', 'mediumtext', 'longtext') AND (COLUMN_COMMENT REGEXP 'DC2Type:(array|object)' OR
(TABLE_NAME, COLUMN_NAME) IN (('user', 'roles'), ('fos_group', 'roles'), ('messenger_messages', 'body'),
('page', 'content'), ('sys_announcement', 'content')))
"""
_QUEUE = "messenger_messages"
_OBJECT = r'[OCE]:[0-9]+:"'
_TOKEN = re.compile(rb's:(\d+):"|[OC]:\d+:"([^"]{1,300})"|E:\d+:"([^":]{1,300})')
_DATE = re.compile(r"Date(?:Interval|Period|Time(?:Immutable|Zone)?)")  # Doctrine's log of changes has them
_OF_THE_QUEUE = re.compile(
    r"Symfony\\(?:Bridge\\Twig\\Mime|Component\\(?:Mailer|Messenger|Mime|Notifier))\\.*|Chamilo\\[\w\\]+"
)
_SCRIPT = re.compile(r"<\s*script\b|<[^>]*[\s/\"']on[a-z]+\s*=|javascript:", re.I)


def planted(reader: Reader) -> tuple[list[str], list[str]]:
    """Objects where the application has none of that class, by column and class; scripts, by table and title."""
    objects: list[str] = []
    scripts: list[str] = []
    for column in reader.query(_COLUMNS):
        place, name = column["place"] or "", column["name"] or ""
        if not (_is_name(place) and _is_name(name)):
            continue
        if name == "content":
            scripts += _scripts(reader, place)
        elif classes := _unusual(reader, place, name):
            objects.append(f"{place}.{name} ({', '.join(classes[:3])})")
    return objects, scripts


def _unusual(reader: Reader, place: str, name: str) -> list[str]:
    queue = place == _QUEUE  # its values may be encoded
    where = "" if queue else f" WHERE `{name}` REGEXP '{_OBJECT}'"
    rows = reader.query(f"SELECT `{name}` AS value FROM `{place}`{where} LIMIT {_ROWS}")
    values = ((row["value"] or "").encode() for row in rows)
    classes = {each for value in values for each in _classes(_plain(value) if queue else value)}
    return sorted(each for each in classes if not (_DATE.fullmatch(each) or queue and _OF_THE_QUEUE.fullmatch(each)))


def _scripts(reader: Reader, place: str) -> Iterator[str]:
    rows = reader.query(
        f"SELECT title, content FROM `{place}` WHERE content REGEXP 'script|on[a-z]+[[:space:]]*=' LIMIT {_ROWS}"
    )
    for row in rows:
        script = _SCRIPT.search(row["content"] or "")
        if script:
            yield f"{place} {row['title']} ({script[0][:30].strip()})"


def _is_name(text: str) -> bool:
    return re.fullmatch(r"\w+", text) is not None


def _plain(value: bytes) -> bytes:
    """What the framework's queue wrote: with slashes, and encoded where it was no text."""
    if b":" not in value:
        with contextlib.suppress(ValueError):
            value = base64.b64decode(value)
    return re.sub(rb"\\(.)", rb"\1", value, flags=re.S)


def _classes(text: bytes) -> Iterator[str]:
    """Of serialized values; what stands in a string is none."""
    at = 0
    while token := _TOKEN.search(text, at):
        at = token.end() + int(token[1] or 0)
        if not token[1]:
            yield (token[2] or token[3]).decode("utf-8", "replace")
