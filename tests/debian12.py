"""What needs no Docker, once more with Debian 12 as the controller (Python 3.11, ansible-core 2.19), in a container.

And what an ordinary user can run, as one.
"""

from __future__ import annotations

import os
import shutil
import sys

from tests.testbed import images
from tests.testbed.engine import LABEL
from tests.tools.checkout import CACHE, ROOT, listed

STEPS = "from tests import run; raise SystemExit(run.execute([*run.fast_steps(), *run.package_steps(full=True)]))"
SCRIPT = f"""
apt-get -qq update >/dev/null && apt-get -qq install --no-install-recommends git >/dev/null
cd /checkout && git init --quiet && bin/env python -c '{STEPS}'
useradd --create-home ada && chown -R ada . && runuser -u ada -- env HOME=/home/ada bin/test --fast
chown -R root .
"""


def main() -> None:
    copy = CACHE / "debian12"
    # Its own .cache stays, so that a second run is quick.
    for old in copy.iterdir() if copy.is_dir() else ():
        if old.name != ".cache":
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    for name in listed("."):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)
    # How this machine reaches its package index, the container must too.
    pip = [name for name in os.environ if name.startswith("PIP_")]
    certificates = "/etc/ssl/certs/ca-certificates.crt"
    os.execvp(
        "docker",
        [
            *("docker", "run", "--rm", "--init", f"--label={LABEL}", "--network=host"),
            # The unit tests mount file systems and make files immutable.
            *("--cap-add=SYS_ADMIN", "--cap-add=LINUX_IMMUTABLE", "--security-opt=apparmor=unconfined"),
            *(f"--env={name}" for name in pip),
            *(f"--volume={certificates}:{certificates}:ro", f"--volume={copy}:/checkout"),
            *(images.base("bookworm"), "bash", "-euc", SCRIPT),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
