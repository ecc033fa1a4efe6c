# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup rendered."""

from __future__ import annotations

DOCUMENTATION = r"""
name: rendered
short_description: The text of a template, without a copy of all variables
version_added: 1.0.0
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
description:
  - Finds a file in the C(templates) directory of the role and gives its text with all variables filled in.
  - Gives what P(ansible.builtin.template#lookup) gives, for templates that include no other file. That one copies every
    variable of the host for each template. The roles of this collection render some forty small files in a run, and the
    copies took a quarter of its time.
options:
  _terms:
    description: The names of the templates, relative to the C(templates) directory.
    type: list
    elements: str
    required: true
seealso:
  - plugin: ansible.builtin.template
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Show the text of a template of this role
  ansible.builtin.debug:
    msg: "{{ lookup('chamilo.hardening.rendered', 'nginx/https.conf.j2') }}"
"""

RETURN = r"""
_raw:
  description: The text of each template.
  type: list
  elements: str
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible.template import trust_as_template


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        texts = []
        for term in terms:
            path = self.find_file_in_search_path(variables, "templates", term, ignore_missing=True)
            if path is None:
                raise AnsibleError(f"There is no template {term} in the directory templates of this role.")
            text = trust_as_template(self._loader.get_text_file_contents(path))
            # A backslash in a file is a backslash, as the module template has it.
            texts.append(self._templar.template(text, escape_backslashes=False))
        return texts
