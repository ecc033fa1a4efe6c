# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import time
import zlib

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.chamilo.hardening.plugins.module_utils._application import release_files
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.store import Store
from ansible_collections.chamilo.hardening.plugins.modules import release_comparison


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setattr(release_comparison, "Store", lambda: Store(str(tmp_path / "state")))
    (tmp_path / "state").mkdir()
    return str(tmp_path / "state")


def run(capsys, root, manifest="", **request):
    given = {"request": {"root": str(root), "version": "3.0.2", **request}, "secrets": {"manifest": manifest}}
    with patch_module_args(given), pytest.raises(SystemExit):
        release_comparison.main()
    return json.loads(capsys.readouterr().out)


def test_what_differs_is_listed_and_the_manifest_is_kept(capsys, tmp_path, state):
    portal = tmp_path / "chamilo"
    for path in ("var/log/x.log", "public/index.php", "public/ours.php"):
        (portal / path).parent.mkdir(parents=True, exist_ok=True)
        (portal / path).write_text("")
    files.note_written(str(portal / "public/ours.php"), state)
    shutil.chown(portal / "public/index.php", "www-data")
    digest = hashlib.sha256(b"").hexdigest()
    known = release_files.Manifest(
        "chamilo.zip", "5f" * 32, "3.0.2", {"var/log/x.log": digest, "public/index.php": "0"}
    )
    answer = run(capsys, portal, base64.b64encode(zlib.compress(known.text().encode())).decode())
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert answer["unlike"] == [f"public: 1 file differs from the package (owner www-data, newest {today})"]
    assert answer["package"] == known.words
    assert release_files.known(str(portal), "3.0.2", state) == known


def test_why_there_is_no_package_is_kept(capsys, tmp_path, state):
    answer = run(capsys, tmp_path, problem="no answer")
    assert (answer["package"], answer["package_problem"], answer["unlike"]) == ("", "no answer", [])
    assert release_files.refusal(str(tmp_path), "3.0.2", state) == "no answer"
