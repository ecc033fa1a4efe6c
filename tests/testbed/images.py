"""Images of real Debian hosts, made on the spot: of Debian's packages, or where there is no apt, of Docker's image.

    base(release)               Debian with systemd, cron, ssh, sudo: also the state "empty"
      stack                     + MariaDB, PHP-FPM
        web                     + nginx or Apache: the state "virgin"
        site                    + the application, its database, a second site
          web                   + nginx or Apache: the state "sloppy"

The tag of an image is a hash of all that went into it, so an image is made again only when something changed.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.testbed.engine import LABEL, ROOT, cache, docker, ensure, install, lock, report

REPOSITORY = "chamilo-testbed"
RELEASES = ("trixie", "bookworm")
SERVERS = ("nginx", "apache")
STATES = ("sloppy", "virgin", "empty")
PHP = {"trixie": "8.4", "bookworm": "8.2"}
HERE = Path(__file__).resolve().parent

BASE_PACKAGES = (
    "systemd,systemd-sysv,dbus,libpam-systemd,python3,python3-apt,sudo,iproute2,ca-certificates,curl,procps,cron,"
    "openssh-server,logrotate,less"
)
# Shell commands; $1 is the new host's root.
BASE_HOOKS = (
    # Every host needs an identity of its own.
    ": >$1/etc/machine-id",
    # A container has no kernel modules to load and no screen; its kernel's messages are those of all hosts.
    "ln -s /dev/null $1/etc/systemd/system/systemd-modules-load.service",
    "ln -s /dev/null $1/etc/systemd/system/getty.target",
    # Nor has it partitions, terminals or a suspended system, for which systemd searches each time it reads its units.
    "mkdir $1/etc/systemd/system-generators",
    "for name in bless-boot debug getty gpt-auto hibernate-resume rc-local run ssh system-update tpm2; do "
    "ln -s /dev/null $1/etc/systemd/system-generators/systemd-$name-generator; done",
    "mkdir -p $1/usr/lib/systemd/journald.conf.d",
    "printf '[Journal]\\nReadKMsg=no\\n' >$1/usr/lib/systemd/journald.conf.d/testbed.conf",
)
PHP_EXTENSIONS = "fpm cli mysql xml mbstring curl gd intl zip ldap apcu bcmath"

# No service may start while an image is made: there is no init in the container.
APT = """
export DEBIAN_FRONTEND=noninteractive
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get -q -o Acquire::Languages=none update
apt-get -q -y --no-install-recommends -o DPkg::Options::=--force-unsafe-io install {packages}
apt-get clean
rm /usr/sbin/policy-rc.d
"""


def tag(name: str, *inputs: str | bytes) -> str:
    digest = hashlib.sha256()
    for item in inputs:
        digest.update(item.encode() if isinstance(item, str) else item)
        digest.update(b"\0")
    return f"{REPOSITORY}:{name}-{digest.hexdigest()[:12]}"


def exists(image: str) -> bool:
    return docker("image", "inspect", image, check=False).returncode == 0


def tree_hash(directory: Path) -> str:
    """Names and bytes of all files below a directory, and whether its owner may execute them: no umask counts."""
    digest = hashlib.sha256()
    for path in sorted(path for path in directory.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        executable = path.stat().st_mode & 0o100
        digest.update(f"{path.relative_to(directory)}\0{executable}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def base(release: str) -> str:
    """The tag of a bare Debian of this release, made when it is missing."""
    ensure()
    options = apt_options()
    if shutil.which("apt-get") is None:
        return layer(f"base-{release}", f"debian:{release}", base_script(options))
    image = tag(f"base-{release}", release, BASE_PACKAGES, *BASE_HOOKS, *options)
    with lock(f"base-{release}"):
        if exists(image):
            return image
        report(f"making {image} (Debian {release}, about 30 seconds)")
        install("mmdebstrap")
        with tempfile.TemporaryDirectory() as directory:
            tar = f"{directory}/base.tar"
            command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={BASE_PACKAGES}"]
            command += [f"--aptopt={option}" for option in options]
            command += [f"--customize-hook={hook}" for hook in BASE_HOOKS]
            subprocess.run([*command, release, tar], check=True, stdout=sys.stderr)
            docker("import", "--change", f"LABEL {LABEL}", tar, image)
    return image


def base_script(options: Iterable[str]) -> str:
    """What makes a bare host of Debian's image for containers, whose services never start."""
    settings = "".join(f"{option};\n" for option in options)
    return "\n".join(
        (
            "rm -f /etc/apt/apt.conf.d/docker-* /etc/dpkg/dpkg.cfg.d/docker*",
            f"printf %s {shlex.quote(settings)} >/etc/apt/apt.conf.d/99testbed",
            APT.format(packages=BASE_PACKAGES.replace(",", " ")),
            'set -- ""  # the hooks know the new host\'s root by this',
            *BASE_HOOKS,
        )
    )


def apt_options() -> list[str]:
    """How this machine reaches Debian's mirrors: the same must apply to the hosts."""
    known = shutil.which("apt-config") is not None
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout if known else ""
    desired = ("Acquire::http::Proxy ", "Acquire::https::Proxy ", "Acquire::Check-Valid-Until ", "Acquire::Check-Date ")
    options = [line.rstrip(";") for line in dump.splitlines() if line.startswith(desired) and not line.endswith('"";')]
    for name, option in (("http_proxy", "Acquire::http::Proxy"), ("https_proxy", "Acquire::https::Proxy")):
        if name in os.environ and not any(line.startswith(option) for line in options):
            options.append(f'{option} "{os.environ[name]}"')
    return options


def layer(name: str, parent: str, script: str, files: Iterable[tuple[Path, str]] = ()) -> str:
    """An image made from another by a shell script, with files (a tar archive or a directory) put at a place before."""
    sources = list(files)
    inputs = [tree_hash(source) if source.is_dir() else source.read_bytes() for source, _ in sources]
    image = tag(name, parent, script, *inputs, *(place for _, place in sources))
    with lock(name):
        if exists(image):
            return image
        report(f"making {image}")
        container = f"{REPOSITORY}-build-{uuid.uuid4().hex[:8]}"
        docker("create", "--name", container, "--label", LABEL, parent, "bash", "-euc", script)
        try:
            for source, place in sources:
                docker("cp", f"{source}/." if source.is_dir() else str(source), f"{container}:{place}")
            docker("start", "--attach", container)
            docker("commit", container, image)
        finally:
            docker("rm", "--force", "--volumes", container)
    # Each change of the inputs leaves an image behind. What a container uses is not pruned.
    docker("image", "prune", "--all", "--force", f"--filter=label={LABEL}", "--filter=until=72h")
    return image


def stack(release: str) -> str:
    packages = f"mariadb-server {' '.join(f'php{PHP[release]}-{name}' for name in PHP_EXTENSIONS.split())}"
    return layer(f"stack-{release}", base(release), APT.format(packages=packages))


def application() -> Path:
    """The application's tree as a tar archive, made once for all releases."""
    sources = [(HERE / "app" / name).read_text() for name in ("build.py", "schema.sql")]
    words = [base("trixie"), tree_hash(HERE / "app" / "tree"), *sources]
    inputs = hashlib.sha256("\0".join(words).encode()).hexdigest()[:12]
    with lock("application"):
        archive = cache(f"application-{inputs}.tar")
        if not archive.exists():
            report("building the application")
            part = archive.with_suffix(".part")
            subprocess.run([sys.executable, "-m", "tests.testbed.app.build", str(part)], check=True, cwd=ROOT)
            part.rename(archive)
    return archive


def site(release: str) -> str:
    parent = stack(release)
    script = (HERE / "site.sh").read_text().replace("@PHP@", PHP[release])
    files = [
        (HERE / "site", "/"),
        (application(), "/var/tmp/application.tar"),
        (HERE / "app" / "schema.sql", "/var/tmp/schema.sql"),
    ]
    return layer(f"site-{release}", parent, script, files)


def image(release: str, web: str, state: str = "sloppy") -> str:
    """The tag of the image for a host, made when it is missing."""
    if state == "empty":
        return base(release)
    parent = stack(release) if state == "virgin" else site(release)
    packages = {"nginx": "nginx", "apache": "apache2"}[web]
    # What apt makes of its lists stays, or each host would make it again.
    script = APT.format(packages=packages) + "apt-cache gencaches\n"
    if web == "nginx" and state == "sloppy":
        # Debian 13 hides the version; a host that was upgraded from an older Debian shows it.
        script += r"sed -i 's/^\s*server_tokens off;.*/\tserver_tokens on;/' /etc/nginx/nginx.conf" + "\n"
    if web == "apache" and state == "sloppy":
        # The way of every tutorial for Apache with PHP-FPM.
        script += f"a2enmod -q proxy_fcgi setenvif rewrite headers\na2enconf -q php{PHP[release]}-fpm\n"
    return layer(f"{release}-{web}-{state}", parent, script)


def everything() -> list[str]:
    """All four sloppy images; the releases at the same time."""
    with ThreadPoolExecutor(len(RELEASES)) as pool:
        made = pool.map(lambda release: [image(release, web) for web in SERVERS], RELEASES)
    return [one for some in made for one in some]
