# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role wrote down about each portal of a host."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import sites


def test_each_portal_by_the_name_of_its_file(tmp_path: Path) -> None:
    for name, more in (("shop", {}), ("campus", {"pages": {"service": "php8.4-fpm"}})):
        text = json.dumps({"tree": {"path": f"/srv/{name}"}, "installer": {}, **more})
        (tmp_path / f"permissions-{name}.json").write_text(text)
    found = sites.known(str(tmp_path))
    assert list(found) == ["campus", "shop"]
    assert (found["campus"].tree["path"], found["campus"].pages) == ("/srv/campus", {"service": "php8.4-fpm"})
    assert found["shop"].pages == {} and sites.known(str(tmp_path / "none")) == {}
