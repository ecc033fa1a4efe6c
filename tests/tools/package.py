"""Builds the package, the same bytes wherever: ``bin/env python -m tests.tools.package DIRECTORY``.

ansible-galaxy builds it; then all that tells the builds apart goes out of the archive: times, owners, order, umask. The
compressed bytes are those of zlib: another implementation of it (zlib-ng) may pack the same archive differently.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests import run


def normalised(package: bytes, when: int) -> bytes:
    """The same archive with each entry as of ``when`` (seconds since 1970), owned by root, ordered by name."""
    archive = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(package)) as source,
        tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as target,
    ):
        for entry in sorted(source.getmembers(), key=lambda each: each.name):
            entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = when, 0, 0, "root", "root"
            entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            entry.pax_headers = {}
            target.addfile(entry, source.extractfile(entry))
    return gzip.compress(archive.getvalue(), compresslevel=9, mtime=when)


def committed() -> int:
    """When the commit was made that is checked out."""
    command = ["git", "-c", "safe.directory=*", "log", "-1", "--format=%ct"]
    return int(subprocess.run(command, cwd=run.ROOT, check=True, capture_output=True, text=True).stdout)


def build(target: Path) -> Path:
    """The package below ``target``."""
    with tempfile.TemporaryDirectory() as directory:
        # Not the checkout: the build walks all of it, .cache too, where other programs add and remove files meanwhile.
        source = run.copy_checkout(Path(directory) / "source")
        command = ["ansible-galaxy", "collection", "build", "--force", "--output-path", directory]
        subprocess.run(command, cwd=source, check=True)
        (built,) = Path(directory).glob("*.tar.gz")
        target.mkdir(parents=True, exist_ok=True)
        package = target / built.name
        package.write_bytes(normalised(built.read_bytes(), committed()))
    return package


if __name__ == "__main__":
    made = build(Path(sys.argv[1]))
    print(hashlib.sha256(made.read_bytes()).hexdigest(), made)
