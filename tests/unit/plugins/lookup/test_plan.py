# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plans of sections, as the roles read them."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader

from ansible_collections.chamilo.hardening.plugins.action import chamilo_site_info
from ansible_collections.chamilo.hardening.plugins.lookup import plan
from ansible_collections.chamilo.hardening.plugins.lookup.plan import SECTIONS
from tests.tools.plans import ROLES, discovered, planned, variables

# Each portal's own: what its files are called, what lies below its directory, and what is in its name.
OWN = re.compile(r"campus|shop|/srv/|/var/www/")
PATHS = re.compile(r'"path": "([^"]+)"')


@pytest.fixture
def site(host: Any) -> dict[str, Any]:
    host.install("nginx")
    host.chamilo()
    host.testbed_site("nginx", "plain")
    host.write("/etc/php/8.4/fpm/pool.d/www.conf", "[www]\nuser = www-data\nlisten = /run/php/php8.4-fpm.sock\n")
    return discovered(host)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_that_was_not_discovered_in_this_play_is_always_due(host, section, site):
    info = {"site": {}}
    assert planned(host, section, due=True, __chamilo_common_info=info) is True
    given = {"_chamilo_each_once": True, "__chamilo_common_info": {"site": site, "in_force": {}}}
    assert planned(host, section, due=True, **given) is True


def shared(value: Any) -> dict[str, str]:
    """The files of a plan that are not one portal's own, by their paths."""
    found: dict[str, str] = {}
    if isinstance(value, dict) and "path" in value:
        return {} if OWN.search(value["path"]) else {value["path"]: str(value)}
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            found |= shared(item)
    return found


@pytest.mark.parametrize("section", SECTIONS)
def test_a_file_of_the_whole_host_reports_the_same_whichever_portal_it_is_written_for(host, section, site):
    """Two portals on one host would write it anew in each run, each with its own name in it."""
    first = shared(planned(host, section, __chamilo_common_info={"site": site}))
    other = {**site, "domain": "shop.test", "root": "/srv/shop", "real_root": "/srv/shop", "spellings": ["/srv/shop"]}
    given = {"chamilo_domain": "shop.test", "chamilo_site": "shop_test"}
    second = shared(planned(host, section, __chamilo_common_info={"site": other}, **given))
    assert first == second


@pytest.mark.parametrize("section", SECTIONS)
def test_a_role_reads_its_plan_and_no_private_variable_of_another_role(section):
    files = [path for path in (ROLES / section).rglob("*") if path.suffix in (".yml", ".j2")]
    names = {name for path in files for name in re.findall(r"(?<!\w)__?chamilo_\w+", path.read_text(encoding="utf-8"))}
    known = (f"_chamilo_{section}_", f"__chamilo_{section}_")
    # By the playbook, by discovery, and to the roles that prepare the host, install packages and write virtual hosts.
    passed = {"_chamilo_each_once", "__chamilo_common_info", "_chamilo_https_policy"}
    passed |= {"_chamilo_common_packages", "_chamilo_common_section"}
    assert sorted(name for name in names - passed if not name.startswith(known)) == []


def test_what_is_wrong_is_named(host, site):
    waived = [{"control": "brute", "reason": "x", "owner": "x", "until": "2999-12-31"}]
    with pytest.raises(AnsibleError, match="no such control"):
        planned(host, "brute_force", __chamilo_common_info={"site": site}, chamilo_waivers=waived)


def test_the_options_of_one_task_read_one_plan(host, site, monkeypatch):
    made = []
    monkeypatch.setattr(plan.LookupModule, "_planned", lambda *_given: made.append(1) or {"made": len(made)})
    loader = DataLoader()
    first, second = {"chamilo_site": "a"}, {"chamilo_site": "a"}

    def ask(variables: dict[str, Any], section: str = "headers") -> Any:
        (found,) = plan.LookupModule(loader=loader, templar=None).run([section], variables)
        return found["made"]

    assert [ask(first), ask(first), ask(second), ask(second, "uploads"), ask(second, "uploads")] == [1, 1, 2, 3, 3]


def test_the_process_that_forks_has_read_the_plans():
    """Each fork compiles them anew otherwise: Ansible keeps no compiled modules of a collection."""
    assert chamilo_site_info.plan is plan
    tasks = yaml.safe_load((ROLES / "common/tasks/discover.yml").read_text(encoding="utf-8"))
    assert "chamilo.hardening.chamilo_site_info" in tasks[0]


def test_an_audit_reads_no_plan():
    """It asks for none, and to compile them takes as long as a task."""
    package = "ansible_collections.chamilo.hardening.plugins"
    actions = ", ".join(f"{package}.action.{name}" for name in ("guide_preflight", "guide_audit_info", "guide_report"))
    code = f"import sys, {actions}; sys.exit('{package}.lookup.plan' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_packages_of_all_sections_are_installed_at_once_and_not_twice(host, site):
    """By the playbook. A host on which none is missing is not asked for its plans."""
    site["database"]["client"] = "/usr/bin/mariadb"
    names = ["fail2ban", "restic", "cron", "unattended-upgrades", "monit", "clamav-daemon"]
    given = variables(host, *SECTIONS, _chamilo_ahead=[*SECTIONS], ansible_run_tags=["all"], ansible_skip_tags=[])
    given["__chamilo_common_info"] = {"site": {**site, "missing_packages": names}}
    assert {*planned(host, "packages", **given)["packages"]} == {*names, "certbot"} - {"clamav-daemon"}
    given["__chamilo_common_installed"] = [*names, "certbot"]
    found = {one: planned(host, one, **given)["packages"] for one in SECTIONS}
    assert planned(host, "packages", **given)["packages"] == [] and not any(found.values()), found
    # What is in the way of a section costs no other one.
    given |= {"__chamilo_common_installed": [], "__chamilo_failed": {"monitoring": "no package", "backups": "the same"}}
    assert {*planned(host, "packages", **given)["packages"]} == {"certbot", "fail2ban", "unattended-upgrades"}
