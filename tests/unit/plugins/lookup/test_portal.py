# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What playbooks and roles read about portals, as Ansible hands it to them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.chamilo.hardening.plugins.lookup.portal import LookupModule

ROOT = Path(__file__).resolve().parents[4]
HOSTS: dict[str, dict[str, Any]] = {
    "lb.test": {},
    "web1": {"chamilo_domain": "{{ school }}.test", "school": "campus"},
    "web2": {"chamilo_domain": "campus.test", "chamilo_leader": "web2"},
    "alone.test": {},
    "db": {"chamilo_portal": "campus.test", "chamilo_node": ["database"]},
    "other": {"chamilo_domain": "{{ nobody_set_this }}"},
}
PLAY = """
- hosts: chamilo
  gather_facts: false
  tasks:
    - ansible.builtin.debug: {msg: ""}
      register: __chamilo_preflight
- hosts: "{{ query('chamilo.hardening.portal', 'order') }}"
  serial: "{{ query('chamilo.hardening.portal', 'serial') }}"
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: "{{ inventory_hostname }}={{ lookup('chamilo.hardening.portal', 'web') }}"
    - ansible.builtin.debug:
        msg: "leader={{ lookup('chamilo.hardening.portal', 'node').leader }}"
      when: inventory_hostname != 'other'
- hosts: "{{ query('chamilo.hardening.portal', 'several') }}"
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: several
"""


def played(directory: Path, *options: str) -> list[list[tuple[str, str]]]:
    """What each play printed, a list for each batch."""
    children = {"chamilo": {"hosts": {name: more for name, more in HOSTS.items() if name != "lb.test"}}}
    inventory = {"all": {"hosts": {"lb.test": {}}, "children": children}}
    (directory / "hosts.json").write_text(json.dumps(inventory))
    (directory / "play.yml").write_text(PLAY)
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "hosts.json", "play.yml", *options]
    environment = {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(directory),
        "ANSIBLE_COLLECTIONS_PATH": f"{ROOT / '.collections'}",
        "ANSIBLE_NOCOLOR": "1",
    }
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    plays = done.stdout.split("PLAY [")[2:]
    return [re.findall(r"ok: \[(\S+?)\].*?msg(?:\": \"|: )([^\s\"]+)", one, re.DOTALL) for one in plays]


def test_a_play_goes_over_its_hosts_in_batches(tmp_path: Path) -> None:
    plays = played(tmp_path)
    ordered = [sorted({host for host, _output in batch}) for batch in plays]
    assert ordered == [["alone.test", "db", "other"], ["web2"], ["web1"], ["db", "web1", "web2"]]
    output = {f"{host} {words}" for batch in plays for host, words in batch}
    assert {
        "web1 web1=True",
        "db db=False",
        "db leader=web2",
        "web1 leader=web2",
        "alone.test leader=alone.test",
    } <= output


def test_what_limit_leaves_is_ordered_and_knows_the_others(tmp_path: Path) -> None:
    plays = played(tmp_path, "--limit", "web1,alone.test")
    assert [sorted({host for host, _output in batch}) for batch in plays] == [["alone.test", "web1"], ["web1"]]
    assert ("web1", "leader=web2") in plays[0]


def test_what_is_wrong_is_named() -> None:
    variables = {"inventory_hostname": "a", "chamilo_node": ["webb"], "hostvars": {}}
    lookup = LookupModule(loader=DataLoader(), templar=Templar(DataLoader(), variables=variables))
    for asked in ("web", "node"):
        with pytest.raises(AnsibleError, match="Invalid value for chamilo_node"):
            lookup.run([asked], variables)


def test_no_role_and_no_playbook_selects_hosts_by_itself() -> None:
    """By their group, or the first of them: with two portals in one inventory that is another portal's host."""
    files = [path for directory in ("roles", "playbooks") for path in (ROOT / directory).rglob("*")]
    for path in files:
        if path.suffix not in (".yml", ".j2") or path.parent.name == "meta":
            continue
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"\bgroups\b(?:\[|\.| \|)|\bgroup_names\b|\bchamilo_(?:db|web)'", text) == [], path
        for task in re.findall(r"delegate_to: (.*)", text):
            assert "first" not in task, path
