# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the sessions of the application are stored, and for how long: by its own configuration, or by PHP's."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Mapping

from .._common.tree import Tree

_SAVE_PATH = "/var/lib/php/sessions"
_OPTION = re.compile(r"^[ \t]+(gc_maxlifetime|save_path|name|handler_id):(?:[ \t]+([^\s#]\S*))?", re.M)
_COMPILED = re.compile(r"'session\.storage\.options' => \[\n(.*?)\n[ \t]*\],", re.DOTALL)
# Any form of a setting that stores sessions not in PHP, or not as in php.ini; only YAML can set the opposite.
_ELSEWHERE = re.compile(
    r"^(?![ \t]*#).*(?:handler_?id|save_?path|storage_factory_?id)"
    r"(?!:[ \t]+(?:null|~|session\.storage\.factory\.native)(?:[\s,}#]|$))",
    re.M | re.I,
)
_COMPILED_ELSEWHERE = re.compile(r"'session\.save_path' => (?!null\b)", re.I)
_ONLY_IN_TESTS = re.compile(
    r"^when@test:.*?(?=^[^\s#]|\Z)", re.M | re.S
)  # Symfony's own recipe has another store there
_FOR_TESTS = re.compile(r"/packages/test/|/services_test\.")
_READ = (".php", ".xml", ".yaml", ".yml")


def stored(own: Mapping[str, str], root: str, mode: str, in_php: Mapping[str, str] | None) -> tuple[str, str]:
    """Where the files of the sessions lie; else nothing, and what keeps them instead.

    ``own``: the application's options; ``in_php``: what PHP is set to, None where that is not known.
    """

    def resolved(text: str) -> str:
        return text.replace("%kernel.project_dir%", root).replace("%kernel.environment%", mode)

    handler = resolved(own.get("handler_id", ""))
    kind, is_address, place = handler.partition("://")
    if is_address and kind == "file":
        return (place, "") if _is_path(place) else ("", handler)
    if handler not in ("", "null", "NULL", "~", "session.handler.native_file"):
        return "", kind if is_address else handler  # an address can contain a password
    if in_php is None:
        return "", "PHP, whose settings are not known,"
    keeper = in_php.get("session.save_handler", "files")
    if keeper != "files":
        return "", keeper
    path = resolved(own.get("save_path", "") or in_php.get("session.save_path", ""))
    path = path.rpartition(";")[2].strip("'\"") or _SAVE_PATH
    return (path, "") if _is_path(path) else ("", path)


def _is_path(text: str) -> bool:
    return text.startswith("/") and "%" not in text


def options(tree: Tree, root: str, mode: str, web_user: str = "") -> dict[str, str]:
    """The active session options of the application: from its compiled container, else from its files.

    ``web_user``: whom PHP runs as. No link that this user could have laid is followed.
    """
    packages = f"{glob.escape(root)}/config/packages"
    files = [f"{root}/config/packages/framework.yaml", *tree.glob(f"{packages}/{glob.escape(mode)}/*.yaml")]
    messages: dict[str, str] = {}
    for path in files:
        for name, value in re.findall(_OPTION, _text(tree, path, web_user)):
            messages[name] = value.strip("'\"")
    for text in _compiled(tree, root, mode, web_user):
        found = _COMPILED.search(text)
        if found:
            entries = re.findall(r"'(\w+)' => (?:'([^']*)'|(\S+)),", found[1])
            # Who keeps them, and where, is none of the options there.
            kept = {name: messages[name] for name in ("handler_id", "save_path") if name in messages}
            return {**kept, **{name: text or bare for name, text, bare in entries}}
    return messages


def in_php(tree: Tree, root: str, mode: str, web_user: str = "") -> bool:
    """Whether php.ini decides where sessions are stored, except for tests. False as well where that is unknown."""
    config = f"{glob.escape(root)}/config"
    parts = ("services*", "packages/*", "packages/*/*", "packages/*/*/*")
    paths = [path for part in parts for path in tree.glob(f"{config}/{part}")]
    try:
        read = [tree.read(path, web_user) for path in paths if path.endswith(_READ) and not _FOR_TESTS.search(path)]
    except OSError:
        return False
    messages = [_ONLY_IN_TESTS.sub("", text) for text in read]
    newest = next(_compiled(tree, root, mode, web_user), "")
    return bool(messages) and not any(map(_ELSEWHERE.search, messages)) and not _COMPILED_ELSEWHERE.search(newest)


def _compiled(tree: Tree, root: str, mode: str, web_user: str) -> Iterator[str]:
    """What Symfony made of the configuration, the newest first."""
    pattern = f"{glob.escape(root)}/var/cache/{glob.escape(mode)}/Container*/*Container.php"
    for path in sorted(tree.glob(pattern), key=tree.changed, reverse=True):
        yield _text(tree, path, web_user)


def _text(tree: Tree, path: str, web_user: str) -> str:
    try:
        return tree.read(path, web_user)
    except OSError:
        return ""
