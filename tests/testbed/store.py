"""A machine for copies: restic's rest-server, which only lets its guests add, and ssh for sftp."""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass

from tests.testbed import hosts, images
from tests.testbed.engine import LABEL, EngineError, docker, ensure

NAME = "store.test"
USER, PASSWORD = "campus", "store-Password-1"
REPOSITORY = f"rest:http://{USER}:{PASSWORD}@{NAME}:8000/{USER}/portal"
SFTP = f"sftp:copies@{NAME}:/home/copies/portal"
START = """
mkdir -p /run/sshd /srv/copies /home/copies/.ssh
printf '%s' "$LOGIN" >/srv/copies/.htpasswd
printf '%s\\n' "$PUBLIC" >/home/copies/.ssh/authorized_keys
chown -R copies:copies /home/copies
ssh-keygen -A
/usr/sbin/sshd
exec restic-rest-server --path /srv/copies --listen :8000 --append-only --private-repos
"""


@dataclass
class Store:
    container: str
    directory: str = f"/srv/copies/{USER}/portal"

    def run(self, command: str) -> str:
        return docker("exec", self.container, "sh", "-c", command).stdout

    def down(self) -> None:
        docker("rm", "--force", "--volumes", self.container)


def image() -> str:
    # Debian has the server since trixie only.
    script = images.APT.format(packages="restic-rest-server openssh-server")
    return images.layer("store", images.base("trixie"), f"{script}\nuseradd --create-home --shell /bin/sh copies\n")


def up(network: str = hosts.NETWORK) -> Store:
    """A fresh one in the network, in place of one that is there."""
    ensure()
    hosts.make_network(network)
    store = Store(f"{network}-store")
    store.down()
    login = base64.b64encode(hashlib.sha1(PASSWORD.encode(), usedforsecurity=False).digest()).decode()
    docker(
        "run",
        "--detach",
        f"--name={store.container}",
        f"--network={network}",
        f"--network-alias={NAME}",
        f"--label={LABEL}",
        f"--env=LOGIN={USER}:{{SHA}}{login}",
        f"--env=PUBLIC={hosts.ssh_key().with_suffix('.pub').read_text().strip()}",
        image(),
        *("bash", "-euc", START),
    )
    for _try in range(100):
        if docker("exec", store.container, "sh", "-c", "ss -ltn | grep -q :8000", check=False).returncode == 0:
            return store
        time.sleep(0.1)
    raise EngineError(f"the store does not start: {docker('logs', store.container).stderr}")


def trust(host: hosts.Host) -> None:
    """Give the host's root the key with which it gets in by ssh, and the store's own to know it by."""
    host.put("/root/.ssh/id_ed25519", hosts.ssh_key().read_text(), "0600")
    host.run(f"ssh-keyscan -t ed25519 {NAME} >/root/.ssh/known_hosts 2>/dev/null")
