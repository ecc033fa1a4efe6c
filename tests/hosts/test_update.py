"""chamilo-hardening update: a release is made by its package, and rolled back where it fails."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.hosts.conftest import Cell
from tests.hosts.hardening import Playbook, missing_from_the_portal
from tests.hosts.test_audit import audit
from tests.hosts.test_backups import make_anew
from tests.testbed import authority, flavours, images
from tests.testbed.hosts import Host

pytestmark = pytest.mark.long

ROOT = "/var/www/chamilo"
SECTIONS = "https,permissions,sessions,uploads,database,backups"  # with sessions a reload of PHP ends no request
MARK = "ALTER TABLE course ADD COLUMN marked INT NOT NULL DEFAULT 7"
HALF_WAY = "SET @half = (SELECT 1 UNION SELECT 2)"
BROKEN = ("<?php", "<?php throw new Error('broken');")
# What stands in a package: the program as it is, of another version, with migrations of its own.
PACK = """
import json, pathlib, sys, zipfile
root, given = pathlib.Path("{root}"), json.loads(sys.argv[1])
left = {{"var", ".env", ".git", "UPGRADE_ENABLED"}}
names = [path for path in root.rglob("*") if path.relative_to(root).parts[0] not in left and path.is_file()]
names = [path for path in names if not path.name.startswith("zz_chamilo_hardening")]  # ours, which no release has
with zipfile.ZipFile(given["to"], "w", zipfile.ZIP_DEFLATED) as package:
    for path in names:
        name = str(path.relative_to(root))
        text = path.read_bytes()
        if name in given["edits"]:
            before, after = given["edits"][name]
            assert before.encode() in text, name
            text = text.replace(before.encode(), after.encode(), 1)
        package.writestr("chamilo/" + name, text)
    for name, text in given["more"].items():
        package.writestr("chamilo/" + name, text)
"""
COMMAND = "src/CoreBundle/Command/MigrateCommand.php"
BROUGHT = "Version20261201000000"  # the migration of a package
CLASS = f"<?php namespace Chamilo\\CoreBundle\\Migrations\\Schema\\V200; final class {BROUGHT} {{}}"
VERSIONS = {"2.0": ("2.0.3", "2.0.4"), "3.0": ("3.0.1", "3.0.2")}
# The migrations that were made, as where it was installed before 3.0.
HISTORY = "INSERT INTO version (version, executed_at, execution_time) VALUES " + ",".join(
    f"('Chamilo\\\\CoreBundle\\\\Migrations\\\\Schema\\\\V200\\\\Version{name}', NOW(), 1)"
    for name in ("20260401000000", "20260501000000", "20260601000000")
)


# As the web updater unpacks a package, with what it notes beside that.
UNPACK = """
import pathlib, sys, zipfile
package, staging = map(pathlib.Path, sys.argv[1:])
staging.mkdir(parents=True)
zipfile.ZipFile(package).extractall(staging)
for note in ("STAGING-INFO", "APPLY-PLAN"):
    (staging / (note + ".json")).write_text("{}")
"""


@dataclass
class Visitors:
    """A person who reads the portal all the time, one page after another."""

    host: Host
    answered: int = 0
    failed: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def read(self) -> None:
        while not self.over.wait(0.1):
            for path in ("/login", "/main/auth/lostPassword.php"):
                answer = self.host.http(
                    f"https://{self.host.domain}{path}", ca_file=str(authority.certificate()), verify=True, timeout=60
                )
                self.answered += 1
                if answer.status != 200:
                    self.failed.append(f"{path}: {answer.status} {answer.error}")


@contextlib.contextmanager
def visited(host: Host) -> Iterator[Visitors]:
    visitors = Visitors(host)
    thread = threading.Thread(target=visitors.read)
    thread.start()
    try:
        yield visitors
    finally:
        visitors.over.set()
        thread.join()


def file_of_version(flavour: str) -> str:
    return "version.php" if flavour == "3.0" else "public/main/install/version.php"


def installed(host: Host, flavour: str) -> str:
    text = host.get(f"{ROOT}/{file_of_version(flavour)}")
    return next(version for version in VERSIONS[flavour] if f"'{version}'" in text)


def columns(host: Host) -> set[str]:
    return set(host.run("mariadb -N -B chamilo -e 'SHOW COLUMNS FROM course' | cut -f1").stdout.split())


def package(host: Host, flavour: str, name: str, *statements: str, kernel: tuple[str, str] = ("", "")) -> str:
    """A package on the host, of the newer version. ``kernel``: a text of that class, and what it has instead."""
    old, new = VERSIONS[flavour]
    begin = next(line for line in host.get(f"{ROOT}/{COMMAND}").splitlines() if "const VERSIONS = [" in line)
    listed = "".join(f'            "{statement}",\n' for statement in statements)
    edits = {
        file_of_version(flavour): (f"'{old}'", f"'{new}'"),
        COMMAND: (f"{begin}\n", f"{begin}\n        '{BROUGHT}' => [\n{listed}        ],\n"),
        "src/Kernel.php": kernel,
    }
    # Its statements are in the command; the file is there by which the real ones are found.
    migration = f"src/CoreBundle/Migrations/Schema/V200/{BROUGHT}.php"
    more = {"public/main/fresh.php": "<?php echo 'fresh';", migration: CLASS}
    given = json.dumps({"to": f"/root/{name}.zip", "edits": edits, "more": more})
    host.run(["python3", "-c", PACK.format(root=ROOT), given])
    return f"/root/{name}.zip"


def checksum(host: Host, path: str) -> str:
    return host.run(["sha256sum", path]).stdout.split()[0]


@pytest.mark.parametrize("flavour", VERSIONS)
def test_an_update_is_made_and_rolled_back(
    cell: Cell, make: Callable[..., Host], playbook: Playbook, flavour: str
) -> None:
    if images.PHP[cell.release] < flavours.PHP.get(flavour, ""):
        pytest.skip(f"Chamilo {flavour} does not run with PHP {images.PHP[cell.release]}")
    old, new = VERSIONS[flavour]
    host = make("campus", flavour=flavour)
    make_anew(host)
    host.run(f"sed -i s/{new}/{old}/ {ROOT}/{file_of_version(flavour)}")
    playbook.harden(host, "--tags", SECTIONS, chamilo_database_split=True)

    def update(*words: str, check: bool = True) -> tuple[int, str]:
        done = host.run(["chamilo-hardening", "update", *words], check=False)
        print(done.stdout, done.stderr)
        assert not check or done.returncode == 0, done.stderr
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    def release(name: str, *statements: str, kernel: tuple[str, str] = ("", "")) -> list[str]:
        path = package(host, flavour, name, *statements, kernel=kernel)
        return [path, "--sha256", checksum(host, path)]

    def in_use() -> tuple[str, bool]:
        """The version that is installed; and whether a migration is left."""
        return installed(host, flavour), "marked" in columns(host)

    good = release("good", MARK)
    host.put(f"{ROOT}/public/plugin/Own/index.php", "<?php echo 'own';")
    if flavour == "2.0":  # as where it was installed before 3.0
        host.run("mariadb chamilo -e 'DELETE FROM version'")
        code, output = update(*good, check=False)
        assert code == 1 and "history of migrations is empty" in output
        host.run(["mariadb", "chamilo"], data=HISTORY)

    # Nothing of these reaches the portal.
    host.put(f"{ROOT}/.git/HEAD", old)
    code, output = update(*good, check=False)
    assert code == 1 and "is a checkout of Git" in output
    host.run(["rm", "-r", f"{ROOT}/.git"])
    host.run("cp /root/good.zip /root/other.zip && echo x >>/root/other.zip")
    code, output = update("/root/other.zip", *good[1:], check=False)
    assert code == 1 and "has the sha256" in output
    assert in_use() == (old, False)
    assert missing_from_the_portal(host, "https") == []

    # One whose program is broken, and one that fails in the middle, after a table was changed.
    for name, statements, kernel in (("broken", (MARK,), BROKEN), ("half", (MARK, HALF_WAY), ("", ""))):
        with visited(host) as visitors:
            code, output = update(*release(name, *statements, kernel=kernel), check=False)
        assert code == 1 and "failed and was rolled back" in output
        assert in_use() == (old, False)
        assert visitors.answered > 40
        assert name == "broken" or visitors.failed == []
        assert missing_from_the_portal(host, "https") == []

    # One that is killed in the middle.
    slow = release("slow", MARK, "DO SLEEP(600)")
    host.run(["systemd-run", "--quiet", "--unit=slow", "chamilo-hardening", "update", *slow])
    end = time.monotonic() + 180
    while "marked" not in columns(host):
        assert time.monotonic() < end, host.run("journalctl -n 40 -u slow").stdout
        time.sleep(0.5)
    host.run("systemctl kill --signal=KILL slow; pkill -KILL -u www-data -f doctrine:migrations:migrate", check=False)
    assert "update --abandon" in host.run("chamilo-hardening status").stdout
    update("--abandon")
    assert in_use() == (old, False)

    with visited(host) as visitors:
        output = update(*good)[1]
    # What no release has: the plugin of the owner, and what this collection wrote is none of it.
    assert "Compared with the package good.zip" in output and "public/plugin/Own: 1 file is in no package" in output
    assert in_use() == (new, True)
    assert visitors.answered > 40 and visitors.failed == []
    assert missing_from_the_portal(host, "https") == []
    assert host.get(f"{ROOT}/public/plugin/Own/index.php") == "<?php echo 'own';"
    modes = f"cd {ROOT} && stat -c '%U:%G %a' public/index.php public/main/fresh.php config/services.yaml .env"
    assert host.run(modes).stdout.split("\n")[:4] == [
        *["root:www-data 644"] * 2,
        *["root:www-data 640"] * 2,
    ]
    playbook.harden(host, "--tags", SECTIONS, chamilo_database_split=True)
    assert playbook.harden(host, "--tags", SECTIONS, chamilo_database_split=True) == 0
    found = audit(playbook, host)
    assert f"Chamilo {new} is installed" in found["updates_version"]["evidence"]
    assert found["updates_version"]["status"] == "pass"


@pytest.mark.cells("trixie-nginx", "trixie-apache")  # whose PHP Chamilo 3.0 runs with
def test_the_web_updater_lays_a_release_in_a_window_alone(
    cell: Cell, make: Callable[..., Host], playbook: Playbook
) -> None:
    host = make("campus", flavour="3.0")
    make_anew(host)
    host.run(f"sed -i s/3.0.2/3.0.1/ {ROOT}/version.php")
    playbook.harden(host, "--tags", SECTIONS, chamilo_database_split=True)
    host.put(f"{ROOT}/public/main/admin/updater.php", Path(__file__).with_name("web_updater.php").read_text())
    var = f"{ROOT}/var/update"

    def stage(name: str, *statements: str) -> None:
        path = package(host, "3.0", name, *statements)
        host.run(f"install -d -o www-data {var}/downloads && install -o www-data {path} {var}/downloads")
        host.run(["python3", "-c", UNPACK, f"{var}/downloads/{name}.zip", f"{var}/staging/{name}"], user="www-data")

    def apply(name: str) -> tuple[int, str]:
        answer = host.http(
            f"https://{host.domain}/main/admin/updater.php?staging={name}",
            ca_file=str(authority.certificate()),
            verify=True,
            timeout=120,
        )
        return answer.status, answer.body.decode()

    def window(*words: str) -> tuple[int, str]:
        done = host.run(["chamilo-hardening", "window", *words], check=False)
        print(done.stdout, done.stderr)
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    stage("half", MARK, HALF_WAY)
    code, output = apply("half")
    assert code == 409 and output.startswith("Target file is not writable") and installed(host, "3.0") == "3.0.1"

    # One that fails in the middle: the backup that came before the window brings all of it back.
    with visited(host) as visitors:
        assert window("open")[0] == 0
        code, output = apply("half")
        assert (code, output.endswith("files applied"), installed(host, "3.0")) == (200, True, "3.0.2"), output
        done = host.run(["chamilo-hardening", "migrate"], check=False)
        assert done.returncode and "marked" in columns(host)
        assert window("close")[0] == 0
        host.run(["chamilo-hardening", "restore", "host", "--confirm", host.domain])
    assert (installed(host, "3.0"), columns(host) & {"marked"}) == ("3.0.1", set())
    # It lays file after file over the program in use, and what is half written answers wrongly or not at all.
    assert visitors.answered > 20 and len(visitors.failed) <= 4, visitors.failed
    assert missing_from_the_portal(host, "https") == []

    host.run(f"rm -rf {var}/staging {var}/downloads")
    stage("good", MARK)
    with visited(host) as visitors:
        assert window("open")[0] == 0
        assert apply("good")[0] == 200
        host.run(["chamilo-hardening", "migrate"])
        assert window("close")[0] == 0
    assert (installed(host, "3.0"), columns(host) & {"marked"}) == ("3.0.2", {"marked"})
    assert visitors.answered > 20 and len(visitors.failed) <= 4, visitors.failed
    assert missing_from_the_portal(host, "https") == []
    modes = f"cd {ROOT} && stat -c '%U:%G %a' public/index.php public/main/fresh.php config/services.yaml"
    assert host.run(modes).stdout.split("\n")[:3] == [*["root:www-data 644"] * 2, "root:www-data 640"]
    assert audit(playbook, host)["updates_version"]["status"] == "pass"
