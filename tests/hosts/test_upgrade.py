"""Versions of the collection that follow each other on a host."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.hardening import CERTIFICATE, QUIET, SPARED, Playbook
from tests.playbook import ROOT, PlayError, play
from tests.testbed.hosts import Host
from tests.tools.checkout import copy_checkout


def harden_by(tree: Path, host: Host, playbook: Playbook, *options: str, **variables: Any) -> None:
    """With another version of the collection."""
    given = {**CERTIFICATE, **SPARED, "chamilo_backups_key_folder": str(playbook.keys), **variables}
    with pytest.MonkeyPatch.context() as then:
        then.setenv("ANSIBLE_COLLECTIONS_PATH", f"{tree.parents[2]}:{ROOT}/.cache/collections")
        then.delenv("ANSIBLE_CALLBACKS_ENABLED")  # by which tests reuse the modules of this checkout
        play(str(tree / "playbooks/harden.yml"), playbook.inventory(host), *options, variables=given)


@pytest.mark.cells("trixie-nginx")
def test_an_older_version_leaves_a_host_of_a_newer_one_alone(fresh: Host, playbook: Playbook, tmp_path: Path) -> None:
    newer = tmp_path / "ansible_collections/chamilo/hardening"
    copy_checkout(newer)
    galaxy = newer / "galaxy.yml"
    galaxy.write_text(re.sub(r"(?m)^version: .*", "version: 99.0.0", galaxy.read_text()))
    harden_by(newer, fresh, playbook, "--tags", "headers")
    before = fresh.snapshot()
    for tags in ("headers", "preflight"):
        with pytest.raises(PlayError, match=r"Version 99\.0\.0 of the\s+collection\s+hardened\s+this\s+host"):
            playbook.run("harden", fresh, "--tags", tags)
    assert before.changes(fresh.snapshot(), QUIET) == []
