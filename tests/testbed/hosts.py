"""Hosts to try things on: each a container in which real systemd runs a real Debian."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.testbed import authority, flavours, images, vhosts
from tests.testbed.engine import (
    AROUND,
    LABEL,
    ROOT,
    EngineError,
    boot_flags,
    cache,
    docker,
    ensure,
    execute,
    lock,
    way_in,
)

if TYPE_CHECKING:
    from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer

NETWORK = os.environ.get("CHAMILO_TESTBED_NETWORK", "chamilo-testbed")
PREFIX = LABEL.split("=")[0]
OF_TESTS = "chamilo-test-"  # how networks of tests begin; the number of a process follows
USER = "teacher"  # the ordinary account with sudo of a host that is reached over ssh


@dataclass(frozen=True)
class Snapshot:
    """What was on a host: for each path, table and unit a line that changes when it does."""

    entries: dict[str, str]

    def changes(self, later: Snapshot, ignore: Sequence[str] = ()) -> list[str]:
        """What differs later, one line each, without the paths that match a pattern."""
        lines = []
        for path in sorted(self.entries.keys() | later.entries.keys()):
            old, new = self.entries.get(path), later.entries.get(path)
            if old != new and not any(fnmatch(path, pattern) for pattern in ignore):
                lines.append(f"{path}: {old or 'absent'} -> {new or 'absent'}")
        return lines


@dataclass
class Host:
    """One host. ``name`` is unique in its network; ``container`` is what Docker calls it."""

    name: str
    network: str
    release: str = "trixie"
    web: str = "nginx"
    state: str = "sloppy"
    vhost: str = "plain"
    ssh: bool = False
    address: str = field(default="", repr=False)

    @property
    def container(self) -> str:
        return f"{self.network}-{self.name}"

    @property
    def domain(self) -> str:
        return f"{self.name}.test"

    def run(
        self, command: str | Sequence[str], user: str = "root", check: bool = True, data: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command line, or a list of words, on the host."""
        words = ["sh", "-c", command] if isinstance(command, str) else list(command)
        if user == "root" and (way := way_in(self.container)):
            return execute(
                f"`{shlex.join(words)[:100]}`", [*way, *words], data.encode(), check, env=AROUND, umask=0o022
            )
        return docker("exec", "-i", "-u", user, self.container, *words, data=data.encode(), check=check)

    def get(self, path: str) -> str:
        return self.run(["cat", path]).stdout

    def put(self, path: str, text: str, mode: str = "0644", owner: str = "root:root") -> None:
        """Write a file. Directories above it are made."""
        where = shlex.quote(path)
        self.run(
            f"mkdir -p $(dirname {where}) && install -m 0600 /dev/null {where} && cat >{where} "
            f"&& chown {owner} {where} && chmod {mode} {where}",
            data=text,
        )

    def put_tree(self, directory: Path, path: str, owner: str = "root:root") -> None:
        """Copy a directory and all below it, with modes and links."""
        self.run(["mkdir", "-p", path])
        pack = ["tar", "--create", "--file=-", f"--directory={directory}", "."]
        unpack = ["docker", "exec", "-i", self.container, "tar", "--extract", "--no-same-owner", f"--directory={path}"]
        with subprocess.Popen(pack, stdout=subprocess.PIPE) as packer:
            subprocess.run(unpack, stdin=packer.stdout, check=True)
        if packer.returncode:
            raise EngineError(f"tar could not read {directory}")
        self.run(["chown", "-R", owner, path])

    def tail(self, path: str, lines: int = 20) -> str:
        return self.run(["tail", "-n", str(lines), path]).stdout

    def http(self, url: str, **options: Any) -> Answer:
        """One request from outside. A path alone is asked of this host by its public name, over plain http."""
        from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import fetch

        if url.startswith("/"):
            url = f"http://{self.domain}{url}"
        return fetch(url, address=options.pop("address", self.address), **options)

    def wait(self, url: str, seconds: float = 30, **options: Any) -> Answer:
        """Ask until an HTTP answer comes that is no 502 or 503."""
        end = time.monotonic() + seconds
        while True:
            answer = self.http(url, **options)
            if answer.status not in (0, 502, 503):
                return answer
            if time.monotonic() > end:
                raise EngineError(f"{self.name}: {url} gave no answer in {seconds} s: {answer.error or answer.status}")
            time.sleep(0.1)

    def systemd(self, seconds: float = 60) -> str:
        """Wait until the host has booted; what systemd reports then (running or degraded)."""
        end = time.monotonic() + seconds
        while True:
            state = self.run(["systemctl", "is-system-running", "--wait"], check=False).stdout.strip()
            if state in ("running", "degraded"):
                return state
            if time.monotonic() > end:
                log = docker("logs", "--tail", "20", self.container, check=False)
                raise EngineError(f"{self.name} does not boot: {state}\n{log.stdout}{log.stderr}")
            time.sleep(0.1)

    def ready(self) -> None:
        """Wait until the host has booted and its site answers."""
        self.locate()
        self.systemd()
        if self.state == "sloppy":
            self.wait(self.url)

    @property
    def url(self) -> str:
        """The first page of the site, on whatever scheme and port the virtual host of this fixture has."""
        scheme = "https" if self.vhost == "https" else "http"
        port = ":8080" if self.vhost == "other-port" else ""
        return f"{scheme}://{self.domain}{port}/"

    def create(self, image: str, preparation: str = "") -> None:
        """Make the container, in place of one of the same name, and wait until the host is ready."""
        docker("rm", "--force", "--volumes", self.container, check=False)
        keys = ("name", "network", "release", "web", "state", "vhost")
        labels = {**{key: getattr(self, key) for key in keys}, "ssh": "1" if self.ssh else ""}
        docker(
            "run",
            "--detach",
            f"--name={self.container}",
            # Not the public name: Apache's default site would take that for its own and answer first.
            f"--hostname={self.name}",
            f"--network={self.network}",
            f"--network-alias={self.domain}",
            f"--label={LABEL}",
            *(f"--label={PREFIX}.{key}={value}" for key, value in labels.items()),
            "--stop-signal=SIGRTMIN+3",
            "--tmpfs=/run",
            "--tmpfs=/tmp:exec,mode=1777",
            *boot_flags(image),
            image,
            # What makes the host itself goes in before the first service starts.
            *("bash", "-euc", preparation + "exec /sbin/init"),
        )
        self.ready()

    def become(self, flavour: str) -> None:
        """Put a later version over the application, in the state a sloppy host has."""
        least = flavours.PHP[flavour]
        if [int(part) for part in images.PHP[self.release].split(".")] < [int(part) for part in least.split(".")]:
            raise EngineError(f"Chamilo {flavour} needs PHP {least}; {self.release} has {images.PHP[self.release]}")
        root = "/var/www/chamilo"
        with flavours.overlay(flavour) as directory:
            self.put_tree(directory, root, "www-data:www-data")
        self.run(["mariadb", "chamilo"], data=flavours.changes(flavour))
        self.run(f"chmod -R 777 {root} && rm -rf {root}/var/cache/* && systemctl restart 'php*-fpm.service'")
        self.wait(self.url)

    def save(self) -> str:
        """An image of the host as it is now, for ``up``. The caller removes it: see ``forget``."""
        image = f"{images.REPOSITORY}:saved-{uuid.uuid4().hex[:12]}"
        docker("commit", self.container, image)
        return image

    def restart(self) -> None:
        """An orderly reboot: services stop, the host boots again."""
        docker("restart", "--time", "30", self.container)
        self.ready()

    def crash(self) -> None:
        """The power fails (as far as the host can notice: the page cache survives), then the host boots again."""
        docker("kill", self.container)
        docker("start", self.container)
        self.ready()

    def snapshot(self) -> Snapshot:
        """Every path, every table of the database and every unit of systemd, to compare before and after."""
        script = (images.HERE / "snapshot.py").read_text()
        return Snapshot(json.loads(self.run(["python3", "-"], data=script).stdout))

    def inventory(self) -> dict[str, object]:
        """The variables with which Ansible reaches this host."""
        if not self.ssh:
            return {
                "ansible_connection": "community.docker.docker",
                "ansible_host": self.container,
                "ansible_python_interpreter": "/usr/bin/python3",
            }
        return {
            "ansible_connection": "ansible.builtin.ssh",
            "ansible_host": self.address,
            "ansible_user": USER,
            "ansible_ssh_private_key_file": str(ssh_key()),
            "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
            "ansible_python_interpreter": "/usr/bin/python3",
        }

    def quick_inventory(self) -> dict[str, object]:
        """The same for ``tests.playbook.play``, which knows a quicker way into a container."""
        quick = not self.ssh and way_in(self.container)
        return {**self.inventory(), **({"ansible_connection": "testbed"} if quick else {})}

    def down(self) -> None:
        docker("rm", "--force", "--volumes", self.container)

    def locate(self) -> None:
        """Ask Docker for the address."""
        form = f'{{{{(index .NetworkSettings.Networks "{self.network}").IPAddress}}}}'
        self.address = docker("inspect", "--format", form, self.container).stdout.strip()


def up(
    name: str = "campus",
    release: str = "trixie",
    web: str = "nginx",
    state: str = "sloppy",
    vhost: str = "plain",
    network: str = NETWORK,
    ssh: bool = False,
    image: str = "",
    flavour: str = flavours.VERSIONS[0],
) -> Host:
    """A fresh host of this name; one that is there already is replaced.

    ``image`` is one from ``Host.save``; ``flavour`` is the version of the application, which such an image has already.
    """
    ensure()
    host = Host(name, network, release, web, state, vhost, ssh)
    make_network(network)
    if image:
        host.create(image)
        return host
    host.create(images.image(release, web, state), first_boot(host))
    if state == "sloppy":
        portal = host.url.replace(":8080", "")
        host.run(["mariadb", "chamilo"], data=f"UPDATE access_url SET url = '{portal}' WHERE id = 1;")
        if flavour != flavours.VERSIONS[0]:
            host.become(flavour)
    return host


def first_boot(host: Host) -> str:
    """What makes this host itself: names, certificate, virtual hosts, accounts."""
    chain, key = authority.issue(host.domain, f"www.{host.domain}", "shop.test")
    # Noon there: what cron and timers do daily comes into no test, at whatever hour that runs.
    zone = f"Etc/GMT{time.gmtime().tm_hour - 12:+d}"  # west of Greenwich is plus, in these names
    lines = [
        # A reboot finds the mark and goes straight on.
        "if test -e /var/lib/testbed-booted; then exec /sbin/init; fi",
        "mkdir -p /etc/ssl/testbed /usr/local/share/ca-certificates",
        f"ln -sfn /usr/share/zoneinfo/{zone} /etc/localtime",
        "touch /etc/chamilo-testbed",  # attacks that no host in use should suffer are meant for this one
        f"cat >/etc/ssl/testbed/fullchain.pem <<'EOF'\n{chain}EOF",
        f"(umask 077; cat >/etc/ssl/testbed/privkey.pem) <<'EOF'\n{key}EOF",
        f"cat >/usr/local/share/ca-certificates/testbed.crt <<'EOF'\n{authority.certificate().read_text()}EOF",
        # As update-ca-certificates does, which takes a second of processor time, and each test has its host.
        "cat /usr/local/share/ca-certificates/testbed.crt >>/etc/ssl/certs/ca-certificates.crt",
        "ln -s /usr/local/share/ca-certificates/testbed.crt /etc/ssl/certs/testbed.pem",
        "ln -s testbed.pem /etc/ssl/certs/$(openssl x509 -hash -noout -in /etc/ssl/certs/testbed.pem).0",
    ]
    if host.state == "sloppy":
        lines.append(vhosts.script(host.web, host.vhost, host.domain, images.PHP[host.release]))
        # "Behind a proxy, trust all addresses", as in a tutorial; there is no proxy.
        lines.append("sed -i 's#^TRUSTED_PROXIES=.*#TRUSTED_PROXIES=0.0.0.0/0#' /var/www/chamilo/.env")
    if host.ssh:
        public = ssh_key().with_suffix(".pub").read_text().strip()
        lines += [
            f"useradd --create-home --shell /bin/bash {USER}",
            f"install -d -o {USER} -g {USER} -m 0700 /home/{USER}/.ssh",
            f"echo '{public}' >/home/{USER}/.ssh/authorized_keys",
            f"echo '{USER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{USER}",
        ]
    lines.append("touch /var/lib/testbed-booted")
    return "\n".join(lines) + "\n"


def make_network(name: str) -> None:
    with lock("network"):
        if docker("network", "inspect", name, check=False).returncode:
            docker("network", "create", f"--label={LABEL}", name)


def ssh_key() -> Path:
    """The private key of the account on hosts that are reached over ssh; its public half lies beside it."""
    path = cache("ssh", "id_ed25519")
    with lock("ssh"):
        if not path.exists():
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "testbed", "-f", str(path)]
            subprocess.run(command, check=True)
    return path


def hosts(network: str = NETWORK) -> list[Host]:
    """The hosts of a network that exist now."""
    ensure()
    found = []
    names = docker("ps", "--all", "--quiet", f"--filter=label={PREFIX}.network={network}").stdout.split()
    for one in json.loads(docker("inspect", *names).stdout) if names else []:
        labels = {key[len(PREFIX) + 1 :]: value for key, value in one["Config"]["Labels"].items()}
        keys = ("name", "network", "release", "web", "state", "vhost")
        host = Host(**{key: labels[key] for key in keys}, ssh=bool(labels["ssh"]))
        host.locate()
        found.append(host)
    return sorted(found, key=lambda host: host.name)


def find(name: str, network: str = NETWORK) -> Host:
    for host in hosts(network):
        if host.name == name:
            return host
    raise EngineError(f"no host {name} in network {network}")


def forget(*saved: str) -> None:
    """Remove images from ``Host.save``, once no host uses them."""
    if saved:
        docker("rmi", "--force", *saved)


def forget_stages(directory: Path) -> None:
    """Remove the images that the files of a directory name."""
    forget(*filter(None, (kept.read_text() for kept in directory.iterdir() if kept.is_file())))


def down(network: str = NETWORK) -> None:
    """Remove all that is in a network of ours, and the network."""
    ensure()
    ours = f"--filter=label={LABEL}"
    within = docker("ps", "--all", "--quiet", ours, f"--filter=network={network}").stdout.split()
    within += docker("ps", "--all", "--quiet", ours, f"--filter=label={PREFIX}.network={network}").stdout.split()
    if within:
        docker("rm", "--force", "--volumes", *sorted(set(within)))
    if docker("network", "inspect", network, check=False).returncode == 0:
        docker("network", "rm", network)


def down_left() -> None:
    """Remove the networks of tests whose process is no more, with all that is in them."""
    ensure()
    names = docker("network", "ls", f"--filter=label={LABEL}", "--format={{.Name}}").stdout.split()
    for name in names:
        process = re.match(rf"{OF_TESTS}(\d+)", name)
        if process and not Path("/proc", process[1]).exists():
            down(name)


if str(ROOT / ".collections") not in sys.path:  # Host.http speaks through the collection's own client
    sys.path.append(str(ROOT / ".collections"))
