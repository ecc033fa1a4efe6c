# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shipped, checked by `ansible-test sanity`: python -m tests.tools.sanity [OPTION of it]..."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.tools.checkout import CACHE, copy_checkout

TREE = CACHE / "tree"
# What ansible-test needs beside that: without .gitignore it also scans the environment it makes in tests/output.
SHIPPED = ("galaxy.yml", "meta", "playbooks", "plugins", "roles", "tests/config.yml", ".gitignore")
# It would download get-pip.
PIP = """
import subprocess, sys
subprocess.check_call([sys.executable, "-m", "ensurepip"], stdout=subprocess.DEVNULL)
pinned = [word for word in sys.argv[1:] if "==" in word]
subprocess.check_call([sys.executable, "-m", "pip", "install", "-q", *pinned])
"""


def tree() -> Path:
    """Lays what the collection ships where ansible-test wants a collection: a real copy, it does not accept a link."""
    shutil.rmtree(TREE, ignore_errors=True)
    target = copy_checkout(TREE / "ansible_collections/chamilo/hardening", *SHIPPED)
    (TREE / "ansible_collections/ansible").symlink_to(CACHE / "collections/ansible_collections/ansible")
    # Without a repository of its own ansible-test asks the checkout around it, which ignores .cache, and finds nothing.
    subprocess.run(["git", "init", "--quiet"], cwd=target, check=True)
    return target


def main() -> None:
    home = CACHE / "home"
    for name in ("get_pip_24_2.py", "get_pip_25_2.py"):
        path = home / ".ansible/test/cache" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PIP)
    os.chdir(tree())
    # With --docker its container has each Python of hosts.
    python = ["--venv", "--python", f"{sys.version_info.major}.{sys.version_info.minor}"]
    command = ["ansible-test", "sanity", *([] if "--docker" in sys.argv else python), "--color", "no", *sys.argv[1:]]
    os.execvpe(command[0], command, {**os.environ, "HOME": str(home)})


if __name__ == "__main__":
    main()
