# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who can run which unit tests, and what is done once for all processes that run them."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import gc
import json
import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files

HERE = Path(__file__).parent
NEEDS_ROOT = HERE / "needs_root.txt"
MEMORY = "/dev/shm"
DEBIANS = ("www-data", "backup")  # accounts to which tests give files
REASON = "gives files away, mounts, or acts as another user: needs root"

# Not that of this machine, which may be a host. Engines that are imported later take it from there.
files.STATE = os.path.join(tempfile.gettempdir(), f"chamilo-hardening-{os.getpid()}")

# Tables and roles are read many times: the parser in C takes an eighth of the time.
yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@functools.cache
def needing_root() -> dict[str, set[str]]:
    """By file: the functions that need root; none where all of them do."""
    lines = [line.split() for line in NEEDS_ROOT.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    return {file: set(functions) for file, *functions in lines}


@functools.cache
def is_debian() -> bool:
    with contextlib.suppress(KeyError):
        return all(pwd.getpwnam(name) for name in DEBIANS)
    return False


def pytest_configure(config: pytest.Config) -> None:
    """Files lie in memory where that has room and runs programs: a disk takes three times as long to remove them."""
    if not os.access(MEMORY, os.W_OK) or config.option.basetemp:
        return
    facts = os.statvfs(MEMORY)
    if facts.f_bavail * facts.f_frsize > 2 << 30 and not facts.f_flag & (os.ST_NOEXEC | os.ST_NOSUID | os.ST_NODEV):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", MEMORY)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Where Debian's accounts are missing, what asks for them when it is imported cannot be."""
    if is_debian() or collection_path == HERE:
        return None
    if collection_path.is_dir():
        return collection_path.name == "_permissions" or None
    return any(f'("{name}")' in collection_path.read_text(encoding="utf-8") for name in DEBIANS) or None


@pytest.fixture(scope="session", autouse=True)
def no_disk() -> Iterator[None]:
    """No power is cut here, and waiting for the disk was half the time of what writes files.

    That it is called at the right moments is seen on a real host.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _handle: None)
        yield


def gives_away(function: Callable[..., Any], asked: set[str]) -> Callable[..., Any]:
    """The same, noted where it gives a file to an account that another than root could not give it to."""

    def wrapped(path: Any, uid: int, gid: int, **how: Any) -> Any:
        if max(uid, gid) > 0:
            asked.add(function.__name__)
        return function(path, uid, gid, **how)

    return wrapped


@pytest.fixture(scope="session")
def given_away() -> Iterator[set[str]]:
    """What the present test called to give files away, as root."""
    asked: set[str] = set()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("chown", "fchown", "lchown"):
            patch.setattr(os, name, gives_away(getattr(os, name), asked))
        yield asked


@pytest.fixture(autouse=True)
def on_any_machine(request: pytest.FixtureRequest, given_away: set[str]) -> Iterator[None]:
    """A test leaves the machine as it is, and one that needs root is listed, so that others leave it out."""
    given_away.clear()
    yield
    wrote = os.path.lexists(files.STATE)
    shutil.rmtree(files.STATE, ignore_errors=True)
    assert not wrote, "it wrote into the state directory of a host: give it one of its own"
    if given_away and os.geteuid() == 0:
        assert needs_root(request.node), f"it calls {', '.join(given_away)}: list it in {NEEDS_ROOT.name}"


def pytest_collection_finish() -> None:
    """To search for garbage took a tenth of the time; without it a process has 450 MB in the end, and 380 with it."""
    gc.disable()


def needs_root(item: pytest.Item) -> bool:
    functions = needing_root().get(str(item.path.relative_to(HERE)), {""})
    return not functions or getattr(item, "originalname", item.name) in functions


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # What one process does for all of them comes first: at the end the others would wait for it.
    items.sort(key=lambda item: item.path.name not in ("test_rendering.py", "test_waivers.py"))
    if os.geteuid() == 0:
        return
    for item in items:
        if needs_root(item):
            item.add_marker(pytest.mark.skip(reason=REASON))


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[], Any]], Any]:
    """``once(name, make)``: what ``make()`` returns, as JSON keeps it; with pytest-xdist the first process makes it."""
    directory = tmp_path_factory.getbasetemp()
    shared = directory.parent if "PYTEST_XDIST_WORKER" in os.environ else directory

    def get(name: str, make: Callable[[], Any]) -> Any:
        with (shared / f"{name}.json").open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            text = file.read()
            if not text:
                text = json.dumps(make())
                file.write(text)
            return json.loads(text)

    return get
