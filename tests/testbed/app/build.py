"""Makes the application's tree, as a tar file whose top is the content of /var/www/chamilo.

python -m tests.testbed.app.build DEST.tar [--base IMAGE]

Symfony, Doctrine, Monolog, Psr and Twig come out of Debian 13's packages, inside a container; the rest is the folder
`tree`. The same packages and the same tree give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

HERE = Path(__file__).resolve().parent
TREE = HERE / "tree"
CACHE = HERE.parents[2] / ".cache" / "testbed"
PACKAGES = [
    "php-doctrine-dbal",
    "php-monolog",
    "php-symfony-console",
    "php-symfony-dotenv",
    "php-symfony-expression-language",
    "php-symfony-framework-bundle",
    "php-symfony-lock",
    "php-symfony-mime",
    "php-symfony-monolog-bridge",
    "php-symfony-process",
    "php-symfony-rate-limiter",
    "php-symfony-runtime",
    "php-symfony-security-bundle",
    "php-symfony-translation",
    "php-symfony-twig-bundle",
    "php-symfony-web-profiler-bundle",
    "php-symfony-yaml",
    "php-twig",
]
FOLDERS = ["Doctrine", "Monolog", "Psr", "Symfony", "Twig"]
# Only downloads and unpacks: none of the packages is installed, so no PHP is needed. The packages' own autoload files
# name absolute paths; vendor/autoload.php of the tree takes their place.
SCRIPT = """
set -eu
exec 3>&1 >&2
apt-get -qq update
apt-get -qq -y --no-install-recommends --download-only -o Dir::Cache::archives=/tmp/debs install "$@"
mkdir -p /tmp/out
for deb in /tmp/debs/php-doctrine-*.deb /tmp/debs/php-monolog_*.deb /tmp/debs/php-psr-*.deb \
           /tmp/debs/php-symfony-*.deb /tmp/debs/php-twig_*.deb; do
    dpkg-deb -x "$deb" /tmp/out
done
cd /tmp/out/usr/share/php
tar -c --exclude=autoload.php -f - $FOLDERS >&3
"""
# The date of every entry: that of the release the tree imitates.
DATE = 1_780_000_000


def libraries(base: str) -> bytes:
    """The vendor folders out of Debian's packages, as a tar file. Kept for the next time."""
    key = hashlib.sha256("\n".join([SCRIPT, *PACKAGES, *FOLDERS]).encode()).hexdigest()[:16]
    kept = CACHE / f"app-libraries-{key}.tar"
    if not kept.exists():
        command = ["docker", "run", "--rm", "--network", "host", "--env", f"FOLDERS={' '.join(FOLDERS)}", base]
        command += ["sh", "-c", f"mkdir -p /tmp/debs/partial; {SCRIPT}", "sh", *PACKAGES]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            words = done.stderr.decode(errors="replace")[-2000:]
            raise SystemExit(f"Debian's packages could not be unpacked:\n{words}")
        CACHE.mkdir(parents=True, exist_ok=True)
        # Two builds at the same time must not see half a file.
        partial = kept.with_suffix(f".{os.getpid()}")
        partial.write_bytes(done.stdout)
        partial.replace(kept)
    return kept.read_bytes()


def entries(base: str) -> Iterator[tuple[str, bytes | None, bool]]:
    """Path, content (None for a folder), executable."""
    for path in TREE.rglob("*"):
        yield (
            str(PurePosixPath(path.relative_to(TREE))),
            None if path.is_dir() else path.read_bytes(),
            not path.is_dir() and os.access(path, os.X_OK) and path.stat().st_mode & 0o111 != 0,
        )
    with tarfile.open(fileobj=io.BytesIO(libraries(base))) as packed:
        for member in packed:
            if member.isdir():
                yield f"vendor/{member.name}", None, False
            # Links (to fonts of other packages) are left out.
            elif member.isfile() and (content := packed.extractfile(member)):
                yield f"vendor/{member.name}", content.read(), False


def build(destination: Path, base: str) -> None:
    with tarfile.open(destination, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, content, executable in sorted(entries(base), key=lambda entry: entry[0]):
            info = tarfile.TarInfo(name)
            info.mtime = DATE
            info.uname = info.gname = "root"
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
            else:
                info.size, info.mode = len(content), 0o755 if executable else 0o644
                tar.addfile(info, io.BytesIO(content))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.testbed.app.build", description=__doc__)
    parser.add_argument("destination", type=Path)
    parser.add_argument("--base", help="image with Debian 13's apt (made when not given)")
    options = parser.parse_args()
    if options.base is None:
        from tests.testbed import images

        options.base = images.base("trixie")
    build(options.destination, options.base)
    return 0


if __name__ == "__main__":
    sys.exit(main())
