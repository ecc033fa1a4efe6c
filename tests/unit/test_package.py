"""The package is the same wherever and whenever it is built."""

from __future__ import annotations

import io
import tarfile

from tests.tools.package import normalised


def archive(names: list[str], when: int, owner: str, mode: int) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as target:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.mtime, entry.uname, entry.uid, entry.mode = when, owner, when % 1000, mode
            if name.endswith(".d"):
                entry.type = tarfile.DIRTYPE
                target.addfile(entry)
            else:
                entry.size = len(name)
                target.addfile(entry, io.BytesIO(name.encode()))
    return written.getvalue()


def test_two_builds_are_the_same_bytes() -> None:
    one = normalised(archive(["MANIFEST.json", "plugins.d", "a"], 1_000_000, "ada", 0o664), 5)
    two = normalised(archive(["a", "MANIFEST.json", "plugins.d"], 2_000_000, "root", 0o644), 5)
    assert one == two
    with tarfile.open(fileobj=io.BytesIO(one)) as made:
        assert [(each.name, each.mtime, each.mode, each.uname) for each in made] == [
            ("MANIFEST.json", 5, 0o644, "root"),
            ("a", 5, 0o644, "root"),
            ("plugins.d", 5, 0o755, "root"),
        ]
        file = made.extractfile("a")
        assert file is not None and file.read() == b"a"
