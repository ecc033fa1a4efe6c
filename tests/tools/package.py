"""Builds the package, the same bytes wherever: `python -m tests.tools.package DIRECTORY`.

ansible-galaxy builds it; then all in which builds differ goes out of the archive: times, owners, order (also that
of its lists), umask. The compressed bytes are those of zlib: another implementation of it (zlib-ng) may pack the same
archive differently.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.tools.checkout import ROOT, copy_checkout

LISTS = ("FILES.json", "MANIFEST.json")


def normalised(package: bytes, when: int) -> bytes:
    """The same archive with each entry as of ``when`` (seconds since 1970), owned by root, ordered by name."""
    archive = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(package)) as source,
        tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as target,
    ):
        lists = ordered(*(file.read() for name in LISTS if (file := source.extractfile(name))))
        for entry in sorted(source.getmembers(), key=lambda each: each.name):
            entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = when, 0, 0, "root", "root"
            entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            entry.pax_headers = {}
            content = source.extractfile(entry)
            if entry.name in lists:
                entry.size, content = len(lists[entry.name]), io.BytesIO(lists[entry.name])
            target.addfile(entry, content)
    return gzip.compress(archive.getvalue(), compresslevel=9, mtime=when)


def ordered(files: bytes, manifest: bytes) -> dict[str, bytes]:
    """The two lists of a package, ordered by name: ansible-galaxy writes them in the order of its file system."""
    content = json.loads(files)
    content["files"].sort(key=lambda each: each["name"])
    text = json.dumps(content, indent=1).encode()
    head = json.loads(manifest)
    head["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(text).hexdigest()
    return dict(zip(LISTS, (text, json.dumps(head, indent=1).encode())))


def committed() -> int:
    """When the commit was made that is checked out."""
    command = ["git", "-c", "safe.directory=*", "log", "-1", "--format=%ct"]
    return int(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def build(target: Path) -> Path:
    """The package below ``target``."""
    with tempfile.TemporaryDirectory() as directory:
        # Not the checkout: the build walks all of it, .cache too, where other programs add and remove files meanwhile.
        source = copy_checkout(Path(directory) / "source")
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
