"""The Docker engine: found, started or installed, and spoken to through its own client."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache as once
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "testbed"
LABEL = "chamilo.hardening.testbed=1"

# What a host gets where the engine refuses --privileged. SYS_RESOURCE is what such machines lack themselves;
# Debian 12's engine does not know the youngest ones (BPF, PERFMON, CHECKPOINT_RESTORE).
CAPABILITIES = (
    "AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK "
    "IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST "
    "NET_RAW SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_NICE SYS_PACCT SYS_PTRACE SYS_TIME "
    "SYS_TTY_CONFIG WAKE_ALARM"
).split()
UNPRIVILEGED = (
    *(f"--cap-add={capability}" for capability in CAPABILITIES),
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--security-opt=systempaths=unconfined",
    "--cgroupns=host",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
)


class EngineError(Exception):
    """The engine is not there or refused."""


def report(text: str) -> None:
    print(f"testbed: {text}", file=sys.stderr, flush=True)


def cache(*parts: str) -> Path:
    """A path in the cache directory, which keeps itself out of version control."""
    path = CACHE.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n")
    return path


@contextmanager
def lock(name: str) -> Iterator[None]:
    """One at a time, over all processes of this checkout."""
    with cache("locks", name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def docker(
    *arguments: str, data: bytes | None = None, check: bool = True, timeout: float | None = 900
) -> subprocess.CompletedProcess[str]:
    """Run the client. Its words end up in the exception when it fails."""
    return execute(f"docker {arguments[0]}", ["docker", *arguments], data, check, timeout)


def execute(
    name: str,
    command: Sequence[str],
    data: bytes | None,
    check: bool,
    timeout: float | None = 900,
    env: Mapping[str, str] | None = None,
    umask: int = -1,
) -> subprocess.CompletedProcess[str]:
    """Run a command, which the exception calls by ``name`` when it fails."""
    done = subprocess.run(command, input=data, capture_output=True, timeout=timeout, env=env, umask=umask)
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    if check and done.returncode:
        raise EngineError(f"{name} failed with {done.returncode}: {(err + out)[-4000:].strip()}")
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


# What a command finds around it that comes that way.
AROUND = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
_FIRST: dict[str, tuple[str, int]] = {}  # of containers: the id, and the process that began it


def way_in(container: str) -> list[str]:
    """What runs a command in a container as its root; empty where that cannot be done from here.

    `docker exec` is the other way. It costs twenty times as much, and tests ask a host many thousand things.
    """
    if not _is_first(*_FIRST.get(container, ("", 0))):
        found = docker("inspect", "--format={{.Id}} {{.State.Pid}}", container, check=False).stdout.split()
        _FIRST[container] = (found[0], int(found[1])) if len(found) == 2 else ("", 0)
    ident, pid = _FIRST[container]
    return ["nsenter", "--all", f"--target={pid}", "--", "setsid", "--wait"] if _is_first(ident, pid) else []


def _is_first(ident: str, pid: int) -> bool:
    """Whether a process is one of this container: it may have been started anew since, or run on another machine."""
    try:
        return bool(ident) and ident in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False


def answers() -> bool:
    return shutil.which("docker") is not None and docker("info", check=False).returncode == 0


def ensure() -> None:
    """An engine that answers: the one that runs, else one started here, installed first when it is missing."""
    if answers():
        return
    with lock("engine"):
        if answers():
            return
        if os.geteuid() != 0:
            raise EngineError("no Docker engine answers, and only root can install or start one here")
        install("dockerd", "docker", "mmdebstrap", "iptables", "nft", "setsid")
        _start()


def install(*programs: str) -> None:
    """Debian's packages for the programs that are missing."""
    packages = {
        "docker": "docker-cli",
        "dockerd": "docker.io",
        "mmdebstrap": "mmdebstrap",
        "iptables": "iptables",
        "nft": "nftables",
        "setsid": "util-linux",
        "gcc": "build-essential",  # with what it needs to link
        "strace": "strace",
    }
    missing = [packages[program] for program in programs if shutil.which(program) is None]
    if not missing:
        return
    missing.append("debian-archive-keyring")
    subprocess.run(["apt-get", "update", "-q"], check=True, stdout=sys.stderr)
    # On Debian 12 the client is part of docker.io.
    if subprocess.run(["apt-cache", "show", "docker-cli"], capture_output=True).returncode:
        missing = [package for package in missing if package != "docker-cli"]
    report(f"installing {' '.join(missing)}")
    subprocess.run(
        ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing],
        check=True,
        stdout=sys.stderr,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )


def _start() -> None:
    log = cache("dockerd.log")
    if Path("/run/systemd/system").is_dir():
        report("starting the Docker engine (systemctl start docker)")
        subprocess.run(["systemctl", "start", "docker"], check=True)
    else:
        report(f"starting the Docker engine in a mount namespace of its own; its log is {log}")
        # Hosts need cgroup v2 with systemd's own layout; a mount namespace gives it without touching this machine.
        command = "umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec dockerd"
        with log.open("ab") as file:
            subprocess.Popen(
                ["unshare", "-m", "sh", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if answers():
            return
        time.sleep(0.5)
    tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
    raise EngineError(f"the Docker engine does not answer after a minute. {tail}")


@once
def boot_flags(image: str) -> Sequence[str]:
    """How a container must be run so that systemd can be its init: tried once per engine."""
    known = cache("boot", docker("info", "--format", "{{.ID}}").stdout.strip())
    if not known.exists():
        tried = docker("run", "--rm", "--label", LABEL, "--privileged", image, "true", check=False)
        if tried.returncode:
            report("the engine refuses --privileged: hosts get single capabilities instead")
        known.write_text("capabilities" if tried.returncode else "privileged")
    return ("--privileged",) if known.read_text() == "privileged" else UNPRIVILEGED
