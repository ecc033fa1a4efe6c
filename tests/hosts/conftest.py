"""Hosts for tests: each pair of a Debian release and a web server is a cell of the matrix, and with a later version of
Chamilo another one."""

from __future__ import annotations

import fcntl
import functools
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.hosts.hardening import Playbook
from tests.run import SECTIONS
from tests.testbed import flavours, hosts, images, mail
from tests.testbed.hosts import Host
from tests.testbed.mail import Sink

CELLS = [f"{release}-{web}" for release in images.RELEASES for web in images.SERVERS]
DEFAULT = ["trixie-nginx"]
HERE = Path(__file__).parent
# Later versions of Chamilo, on the Debian whose PHP they run with: for who asks for them.
LATER = [f"trixie-{web}-{flavour}" for flavour in flavours.VERSIONS[1:] for web in images.SERVERS]
# One network per process and purpose, so that those beside each other never meet.
RUN = f"{hosts.OF_TESTS}{os.getpid()}"
# What takes long begins first, so that the processes end together. Any other file comes after these, by its name.
# A ban has its seconds: its tests begin when the linters and unit tests beside them are done.
FIRST = (
    *("harden", "backups", "permissions", "secrets", "https", "monitoring", "uploads", "sessions", "settings"),
    *("brute_force", "upgrade", "flavours", "transaction", "certbot", "window", "database", "headers"),
)
# Whose tests one process runs behind those of another file: the attacks of prove go at the host that harden hardened.
BEHIND = {"prove": "harden"}
# Whose tests on the wire also run on a second cell where no matrix is asked for: harden and rollbacks.
SECOND_CELL = {"harden": "bookworm-apache"}
# Whose tests --full runs on later versions of Chamilo, too.
ON_LATER = {*SECTIONS, "settings", "audit", "window"}


@dataclass(frozen=True)
class Cell:
    release: str
    web: str
    flavour: str = flavours.VERSIONS[0]

    def __str__(self) -> str:
        later = () if self.flavour == flavours.VERSIONS[0] else (self.flavour,)
        return "-".join((self.release, self.web, *later))

    def up(self, name: str, network: str, **options: Any) -> Host:
        """A host of this cell."""
        return hosts.up(name, **{**asdict(self), "network": network, **options})


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hosts")
    words = f"cells to run on (default: {','.join(DEFAULT)}; there are {', '.join(CELLS + LATER)})"
    group.addoption("--matrix", metavar="CELL,...", help=words)
    group.addoption("--full", action="store_true", help="run all tests on all cells")
    group.addoption("--shard", metavar="K/N", default="1/1", help="run the part K of N")


def pytest_configure(config: pytest.Config) -> None:
    words = "wire: what is seen from outside, and rollbacks; those of harden run on a second cell"
    config.addinivalue_line("markers", words)
    config.addinivalue_line(
        "markers", "long: takes more time than bin/test has for it, so only bin/test --full runs it (by hand: -m long)"
    )
    config.addinivalue_line(
        "markers",
        "cells(cell, ...): run on these only, or in their later version; on the first where no others are wanted",
    )


def pytest_sessionstart(session: pytest.Session) -> None:
    """Hosts that a killed run left go."""
    if "PYTEST_XDIST_WORKER" not in os.environ and not session.config.option.collectonly:
        hosts.down_left()


def group_of(nodeid: str) -> tuple[int, str, str]:
    """What one process runs: the tests of a file on a cell. In the order in which they begin."""
    file, _colons, test = nodeid.partition("::")
    stem = file.rpartition("test_")[2].removesuffix(".py")
    stem = BEHIND.get(stem, stem)
    cell = re.search(rf"(?<=[\[-])(?:{'|'.join(LATER + CELLS)})(?=[\]-])", test)
    return FIRST.index(stem) if stem in FIRST else len(FIRST), stem, cell[0] if cell else ""


class ByGroup(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return "-".join(group_of(nodeid)[1:])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByGroup | None:
    return ByGroup(config, log) if config.getoption("dist") == "loadscope" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Group by group, and without long ones where not all are asked for."""
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    others = [item for item in items if not item.path.is_relative_to(HERE)]
    left = set(ours)
    if not config.getoption("--full") and "long" not in config.getoption("markexpr"):
        ours = [item for item in ours if not item.get_closest_marker("long")]
    number, count = map(int, config.getoption("--shard").split("/"))
    groups = sorted({group_of(item.nodeid) for item in ours})[number - 1 :: count]
    ours = [item for item in ours if group_of(item.nodeid) in groups]
    ours.sort(key=lambda item: (*group_of(item.nodeid), item.path.stem.removeprefix("test_") in BEHIND))
    config.hook.pytest_deselected(items=[*left.difference(ours)])
    items[:] = [*others, *ours]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cell" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("cells")
    matrix = metafunc.config.getoption("--matrix")
    if matrix:
        names = matrix.split(",")
    else:
        names = of_run(metafunc)
    unknown = sorted(set(names) - set(CELLS + LATER))
    if unknown:
        raise pytest.UsageError(f"no such cell: {', '.join(unknown)}; there are {', '.join(CELLS + LATER)}")
    if marker:
        later = [name for name in names if name in LATER and name.rpartition("-")[0] in marker.args]
        only = matrix and any(name in LATER for name in names)
        here = marker.args if matrix or metafunc.config.getoption("--full") else marker.args[:1]
        names = later if only else [*here, *later]
    cells = [Cell(*name.split("-")) for name in names]
    metafunc.parametrize("cell", cells, ids=names, scope="session")


def of_run(metafunc: pytest.Metafunc) -> list[str]:
    """The cells of a test where no matrix is asked for."""
    stem = metafunc.module.__name__.rpartition("test_")[2]
    if metafunc.config.getoption("--full"):
        return [*CELLS, *(LATER if stem in ON_LATER else ())]
    second = [SECOND_CELL[stem]] if stem in SECOND_CELL and metafunc.definition.get_closest_marker("wire") else []
    return [*DEFAULT, *second]


@pytest.fixture(scope="session")
def shared(cell: Cell) -> Iterator[Host]:
    """A sloppy host for tests that change nothing: one per cell, never changed by a test."""
    network = f"{RUN}-{cell}"
    yield cell.up("campus", network)
    hosts.down(network)


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Host]]:
    """A function that makes hosts for one test, with the options of ``hosts.up``; they know each other by name."""
    network = f"{RUN}-own"
    cell = request.getfixturevalue("cell") if "cell" in request.fixturenames else Cell("trixie", "nginx")
    yield lambda name="campus", **options: cell.up(name, **{"network": network, **options})
    hosts.down(network)


@pytest.fixture(scope="session")
def release(cell: Cell, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The package of the application of a cell, on the controller."""
    package = images.application()
    if cell.flavour == flavours.VERSIONS[0]:
        return str(package)
    path = tmp_path_factory.mktemp("release") / package.name
    shutil.copy(package, path)
    with flavours.overlay(cell.flavour) as tree, tarfile.open(path, "a") as archive:
        archive.add(tree, ".")
    return str(path)


@pytest.fixture
def sink(make: Callable[..., Host]) -> Iterator[Sink]:
    """The recipient of alerts, which also serves the feed, in the network of this test's hosts."""
    up = mail.up(f"{RUN}-own")
    yield up
    up.down()


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory that knows the images of hosts in a state that took long to reach: a file for each, by its name.

    bin/test has one for all its steps, and removes the images at its end.
    """
    if "CHAMILO_TEST_STAGES" in os.environ:
        yield Path(os.environ["CHAMILO_TEST_STAGES"])
        return
    directory = tmp_path_factory.mktemp("stages")
    yield directory
    hosts.forget_stages(directory)


def reach(kept: Path, make: Callable[..., Host], prepare: Callable[[Host], object], **options: str | bool) -> Host:
    """A host that ``prepare(host)`` worked on, from the image that the file names, or ends up naming."""
    with kept.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # another step of bin/test may be on its way there
        file.seek(0)
        if image := file.read():
            return make(image=image, **options)
        host = make(**options)
        prepare(host)
        file.write(host.save())
        return host


@pytest.fixture
def stage(cell: Cell, make: Callable[..., Host], stages: Path) -> Callable[..., Host]:
    """``stage(name, prepare)``: a host of the test's own that ``prepare(host)`` worked on, once per run and cell."""

    def at(name: str, prepare: Callable[[Host], object], **options: str | bool) -> Host:
        return reach(stages / f"{cell} {name}", make, prepare, **options)

    return at


@pytest.fixture
def keep(cell: Cell, stages: Path) -> Callable[[Playbook, Host], None]:
    """``keep(playbook, host)``: what ``hardened`` gives tests from now on, where they have nothing yet."""

    def at(playbook: Playbook, host: Host) -> None:
        kept = stages / f"{cell} hardened {playbook.sections}"
        reach(kept, lambda **_image: host, lambda _host: hand_on(playbook.keys, with_keys(kept)))

    return at


def with_keys(kept: Path) -> Path:
    """Where the copies of the backups' keys lie that belong to the image which the file names."""
    return kept.with_name(f"{kept.name}.keys")


def hand_on(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)


@pytest.fixture
def fresh(stage: Callable[..., Host]) -> Host:
    """A sloppy host of one test's own, to change at will."""
    return stage("fresh", lambda _host: None)


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    """Runs playbooks on hosts, with its inventories in a directory of the test's own."""
    return Playbook(tmp_path)


@pytest.fixture
def hardened(cell: Cell, make: Callable[..., Host], stages: Path, playbook: Playbook) -> Host:
    """A host of the test's own on which harden ran once, with its keys where ``playbook`` reads them."""
    kept = stages / f"{cell} hardened {playbook.sections}"

    def prepare(host: Host) -> None:
        playbook.harden(host)
        hand_on(playbook.keys, with_keys(kept))

    host = reach(kept, make, prepare)
    hand_on(with_keys(kept), playbook.keys)
    return host


def web_only(purpose: str, cell: Cell, stages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host with https and headers."""
    network = f"{RUN}-{cell}-{purpose}"
    playbook = Playbook(tmp_path_factory.mktemp(purpose), "https,headers")
    make = functools.partial(cell.up, "campus", network)
    yield reach(stages / f"{cell} hardened {playbook.sections}", make, playbook.harden)
    hosts.down(network)


@pytest.fixture(scope="session")
def served(cell: Cell, stages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host with https and headers for tests that change nothing: one per cell, never changed by a test."""
    yield from web_only("served", cell, stages, tmp_path_factory)


@pytest.fixture(scope="module")
def varied(cell: Cell, stages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The same for tests that set the variables of one section, whose tag they give, one after another."""
    yield from web_only("varied", cell, stages, tmp_path_factory)
