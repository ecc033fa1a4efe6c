# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar, trust_as_template

from ansible_collections.chamilo.hardening.plugins.lookup.rendered import LookupModule

Render = Callable[[type], str]


@pytest.fixture
def render(tmp_path: Path) -> Render:
    """What a lookup gives for the file x.j2 of a role."""
    loader = DataLoader()
    variables = {
        "ansible_search_path": [str(tmp_path)],
        "word": trust_as_template("{{ other }}"),
        "other": "a\\b",
        "rows": ["1", "2"],
    }
    templar = Templar(loader=loader, variables=variables)
    (tmp_path / "templates").mkdir()

    def run(lookup: type) -> str:
        plugin = lookup(loader=loader, templar=templar)
        plugin._load_name = "template"  # for the options of Ansible's own
        (text,) = plugin.run(["x.j2"], variables)
        return str(text)

    return run


@pytest.mark.parametrize(
    "text",
    [
        "plain\n",
        "no line at the end",
        "two at the end\n\n",
        "{{ word }}\n",
        "location ~ \\.php$ { # \\n stays \\\\ }\n{{ '\\.' }}\n",
        "{% for row in rows %}\n    {{ row }}\n{% endfor %}\nend\n",
        "{% macro m() %}\nx\n{% endmacro %}\n{{ m() }}{% if word %}\nyes\n{% endif %}\n",
        "[1, 2]",
        "{# said to nobody #}\n",
        "",
    ],
)
def test_it_gives_what_the_lookup_template_gives(tmp_path, render, text):
    (tmp_path / "templates/x.j2").write_text(text)
    assert render(LookupModule) == render(lookup_loader.get("template", class_only=True))


def test_a_file_that_is_not_there_is_named(render):
    with pytest.raises(AnsibleError, match="no template x.j2"):
        render(LookupModule)
