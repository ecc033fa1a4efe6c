"""A host that an earlier version hardened: the next run adopts it, and undo restores what was there before both.

The earlier version comes out of the history of this checkout.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PACKED_ONCE
from tests.hosts.hardening import CERTIFICATE, QUIET, SPARED, Playbook, missing_from_the_portal
from tests.hosts.test_audit import audit
from tests.hosts.test_odd_orders import addresses, answers
from tests.hosts.test_taking_back import OTHERS, OURS, STAYS, VISITS, left, recipe
from tests.playbook import ROOT, PlayError, play
from tests.testbed.hosts import Host
from tests.tools.checkout import copy_checkout

PORTAL = "/var/www/chamilo"
STATE = "/var/lib/chamilo-hardening"
SITE = "campus_test"
FIRST_RELEASE = "1037a341"
# A page of the release and one of an intruder's: by their owner, both look as if the web user had planted them.
PAGE, PLANTED = "public/main/auth/lostPassword.php", "public/main/auth/planted.php"
LIST = f"{STATE}/planted-var-www-chamilo.txt"  # what they disabled, until nothing is
# Where a run leaves files, and those whose names say when or of what they are.
LEFT = f"find /usr/local /etc {STATE} ! -type d; getent passwd | cut -d: -f1; getent group | cut -d: -f1"
NAMED_ANEW = re.compile(
    rf"{STATE}/(baseline|transactions|written|kept|replaced-keys|backups/drills)/|\.lock$|/release-\w+\.json"
)


def earlier(commit: str, directory: Path) -> Path:
    """A version of the past, in a tree of collections of its own."""
    git = ["git", "-C", str(ROOT)]
    there = subprocess.run([*git, "cat-file", "-e", f"{commit}^{{commit}}"], capture_output=True, text=True)
    if there.returncode:
        shallow = subprocess.run([*git, "rev-parse", "--is-shallow-repository"], capture_output=True, text=True)
        if shallow.stdout.strip() != "false":
            pytest.skip(f"This checkout has no history with {commit}. Get it: git fetch --unshallow")
        pytest.fail(f"{commit}: {there.stderr}")
    tree = directory / "ansible_collections/chamilo/hardening"
    tree.mkdir(parents=True)
    archive = subprocess.run([*git, "archive", commit], stdout=subprocess.PIPE, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(tree)], input=archive, check=True)
    return tree


def harden_by(tree: Path, host: Host, playbook: Playbook, *options: str, **variables: Any) -> None:
    """With another version of the collection."""
    given = {**CERTIFICATE, **SPARED, "chamilo_backups_key_folder": str(playbook.keys), **variables}
    with pytest.MonkeyPatch.context() as then:
        then.setenv("ANSIBLE_COLLECTIONS_PATH", f"{tree.parents[2]}:{ROOT}/.cache/collections")
        for name in PACKED_ONCE:  # by which tests reuse the modules of this checkout
            then.delenv(name)
        play(str(tree / "playbooks/harden.yml"), playbook.inventory(host), *options, variables=given)


def files(host: Host) -> set[str]:
    """What a run left, but for what came with a package: those of that release stay."""
    packaged = {"/etc/networks", *host.run("cat /var/lib/dpkg/info/*.list").stdout.splitlines()}
    return {line for line in host.run(LEFT).stdout.splitlines() if not NAMED_ANEW.search(line)} - packaged


def of_vhost(host: Host) -> set[str]:
    """The virtual host that earlier versions wrote in the place of its owner's. A fresh host keeps his."""
    config = "/etc/nginx" if host.web == "nginx" else "/etc/apache2"
    name = f"chamilo-{SITE}"
    ours = {f"{config}/sites-{where}/{name}.conf" for where in ("available", "enabled")}
    return {*ours, f"{config}/sites-available/{name}.d/limits.conf"}


def modes(host: Host) -> list[str]:
    return host.run(f"cd {PORTAL} && stat -c '%U %a' {PAGE} {PLANTED}").stdout.splitlines()


def statuses(playbook: Playbook, host: Host) -> dict[str, str]:
    return {name: one["status"] for name, one in audit(playbook, host).items()}


@pytest.mark.long
@pytest.mark.cells("bookworm-apache", "trixie-nginx")
def test_a_host_of_the_first_release(
    hardened: Host, stage: Callable[..., Host], playbook: Playbook, release: str, tmp_path: Path
) -> None:
    """A host becomes one of that release, then of today's version, and then none."""
    fresh_files, fresh_statuses = files(hardened), statuses(playbook, hardened)
    tree = earlier(FIRST_RELEASE, tmp_path / "then")
    host = stage("fresh", lambda _host: None)  # in the place of the other
    own = Playbook(tmp_path / "now", given={"chamilo_release_archive": release})
    own.directory.mkdir()
    host.put(f"{PORTAL}/{PLANTED}", "<?php echo 'planted';", owner="www-data:www-data")
    host.run(
        f"cd {PORTAL} && chown root public/index.php public/main/*/version.php public/main/inc/global.inc.php && "
        f"touch {PAGE} && chown www-data {PAGE}"
    )
    paths = [path for path in addresses(host) if not PLANTED.endswith(path)]
    answered, old_files, before = answers(host, "http", paths), files(host), host.snapshot()
    harden_by(tree, host, own, chamilo_https_vhost="managed")
    assert modes(host) == ["root 600", "root 600"]
    host.run(["ls", LIST])

    output = " ".join(own.run("harden", host).output.split())
    assert "1 files that an earlier version had disabled are in use again" in output
    assert "public/main/auth: 1 files" in output and modes(host) == ["root 644", "root 600"]
    assert answers(host, "https", paths) == answered
    assert missing_from_the_portal(host, "https") == []
    assert own.harden(host) == 0
    known = host.run(["chamilo-hardening", "integrity", "check"], check=False).stdout
    assert f"new: {PLANTED}" not in known and PAGE not in known, "what it disabled is in its list of the files"
    host.run(f"rm {PORTAL}/{PLANTED} && chamilo-hardening integrity accept")
    assert statuses(own, host) == fresh_statuses
    assert files(host) - fresh_files - {LIST} == of_vhost(host)

    host.run(recipe())
    gone = {f"{PORTAL}/{PLANTED}"}
    assert left(before.changes(host.snapshot(), OTHERS)) - STAYS - VISITS - OURS - gone == set()
    here = {path for path in files(host) - old_files if path.startswith("/usr/local/")}
    assert here == {"/usr/local/sbin/chamilo-hardening"}
    assert answers(host, "http", paths) == answered
    assert missing_from_the_portal(host, "http") == []


@pytest.mark.cells("trixie-nginx")
def test_an_older_version_leaves_a_host_of_a_newer_one_alone(fresh: Host, playbook: Playbook, tmp_path: Path) -> None:
    newer = tmp_path / "ansible_collections/chamilo/hardening"
    copy_checkout(newer)
    galaxy = newer / "galaxy.yml"
    galaxy.write_text(re.sub(r"(?m)^version: .*", "version: 99.0.0", galaxy.read_text()))
    harden_by(newer, fresh, playbook, "--tags", "headers")
    before = fresh.snapshot()
    for tags in ("headers", "preflight"):
        with pytest.raises(PlayError, match=r"Version 99\.0\.0 of the\s+collection\s+hardened\s+this\s+host"):
            playbook.run("harden", fresh, "--tags", tags)
    assert before.changes(fresh.snapshot(), QUIET) == []
