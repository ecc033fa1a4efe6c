# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The web user changes the tree while it is walked. Real files, as root; the web user is www-data."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.policy import PermsError
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.walk import run
from tests.unit.plugins.module_utils._permissions.conftest import fill, give, order, sloppy, state

# Each makes anew what is to be changed: what is right is not touched, and could not be led astray.
ATTACKS = {
    "exchanges a folder and a link": """
        mkdir('d'); open('d/secret','w').close()
        while True:
            chmod('d', 0o777); chmod('d/secret', 0o666)
            rename('d', 'kept'); symlink(OUT, 'd'); os.unlink('d'); rename('kept', 'd')
    """,
    "exchanges a file and a link": """
        open('f','w').close()
        while True:
            chmod('f', 0o666)
            rename('f', 'kept'); symlink(OUT + '/secret', 'f'); os.unlink('f'); rename('kept', 'f')
    """,
    "moves a folder out and back": """
        mkdir('d'); open('d/f','w').close()
        while True:
            chmod('d', 0o777); chmod('d/f', 0o666)
            rename('d', OUT + '/open/d'); rename(OUT + '/open/d', 'd')
    """,
    "moves the names of a hard link about": """
        while True:
            rename('hard', 'a0/hard'); rename('a0/hard', 'z9/hard'); rename('z9/hard', 'hard')
    """,
    "makes files without end": """
        n = 0
        while True:
            n += 1
            open(f'n{n}','w').close()
            if n % 2000 == 0:
                for k in range(n - 1999, n + 1): os.unlink(f'n{k}')
    """,
}


@contextlib.contextmanager
def attacker(code, here, out):
    """A process of the web user's that does not rest."""
    lines = "\n".join(line[8:] for line in code.strip("\n").splitlines())
    start = f"import os\nfrom os import chmod, mkdir, rename, symlink\nos.chdir({str(here)!r}); OUT = {str(out)!r}\n"
    program = f"{start}{lines}\n"
    process = subprocess.Popen(
        ["/usr/bin/python3", "-c", program], user="www-data", group="www-data", extra_groups=[], stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.fixture
def arena():
    """A directory that others may pass, in memory, where an attacker is fastest. Those of pytest are closed to them."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        os.chmod(directory, 0o755)
        yield Path(directory)


def battlefield(arena):
    site, out = sloppy(arena / "chamilo"), arena / "out"
    here = site / "var/upload"
    (out / "open").mkdir(parents=True)
    watched = [out / "secret", out / "open/roots"]
    for name in ("a0", "z9", *(f"m{number}" for number in range(30))):
        (here / name).mkdir(parents=True)
        (here / name / "f").write_text("")
        watched.append(out / "open" / name)  # for a process that takes itself to be in upload/ still
    for path in watched:
        path.write_text("")
        path.chmod(0o600)
    give(out / "open", 0o777)
    os.link(out / "secret", here / "hard")
    subprocess.run(["chown", "-R", "www-data:", here / "a0", here / "z9"], check=True)
    give(here, 0o777)
    return site, here, out, [out, *watched]


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_outside_changes_during_an_attack(attack, arena):
    site, here, out, watched = battlefield(arena)
    before = [state(path) for path in watched]
    with attacker(ATTACKS[attack], here, out) as process:
        time.sleep(0.2)
        for round_ in range(100):
            # Something to do in each round, in the attacked directory.
            os.chmod(here, 0o777)
            os.chmod(site / "src", 0o777)
            found = run(order(site), processes=2)
            assert [state(path) for path in watched] == before, f"round {round_}"
            assert state(site / "src")[2] == "0755"
            assert all(one["path"].startswith("var/upload/") and one["why"] for one in found.refused)
        assert process.poll() is None, process.stderr.read().decode()
    os.chmod(here, 0o777)
    os.chown(site / "src", 1, 1)
    os.chown(here / "m3/f", 1, 1)
    predicted = run(order(site), check=True, processes=2)
    assert {one["path"] for one in predicted.samples} >= {"src", "var/upload"}
    done = run(order(site), processes=2)
    assert done.result() == predicted.result()
    assert not run(order(site)).changed
    assert [state(path) for path in watched] == before


def test_filling_the_tree_cannot_block_the_walk_for_ever(site):
    fill(site, 50)
    with pytest.raises(PermsError, match="not wholly checked in time"):
        run(order(site), patience=-1)
