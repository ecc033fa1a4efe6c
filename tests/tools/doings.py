# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role would ask its modules to do: its tasks and variables, templated by Ansible as in a play.

For a host that needs everything. Reads [[role, [waived control, ...]], ...] and writes a list of texts, as JSON; behind
the waived ones can stand the web server. In a process of its own: Ansible's loader has
to find the collection, not Python's.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template

ROLES = Path(__file__).resolve().parents[2] / "roles"
DIRECTORY = "/var/www/chamilo"
LOG = "/var/log/nginx/campus.log"


def site(web: str) -> dict[str, Any]:
    from ansible_collections.chamilo.hardening.plugins.module_utils._application import site as portal_site
    from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import configuration, planned

    serving = configuration.VirtualHost(
        "/etc/nginx/sites-enabled/campus",
        1,
        ("campus.test",),
        (configuration.Listen("*", 443, tls=True),),
        f"{DIRECTORY}/public",
        access_log=LOG,
        access_log_file=LOG,
        includes_ours=True,
    )
    found = portal_site.Site(
        "campus.test",
        version="3.0.2",
        root=DIRECTORY,
        real_root=DIRECTORY,
        spellings=(DIRECTORY,),
        sessions_in_php=True,
        installed=True,
        systemd=True,
        web=portal_site.WebServer(web, user="www-data", service=web, running=True),
        php=portal_site.Php("8.4", "fpm", "php8.4-fpm", user="www-data", group="www-data"),
        database=portal_site.Database("localhost", name="chamilo", client="mariadb"),
        serving=(serving,),
        answering=(serving,),
        in_place=planned.InPlace(blocks=(planned.Block(serving.file, 1, serving.names, "portal", True),)),
        portal_names=("campus.test",),
        php_folders=("/etc/php/8.4/fpm", "/etc/php/8.4/cli"),
        missing_packages=("fail2ban",),
    )
    known: dict[str, Any] = json.loads(json.dumps(asdict(found)))
    return known


def given(web: str) -> dict[str, Any]:
    """What tasks before these have found."""
    rules = {"settings": {"security.password_requirements": {"before": {"effective": {"1": "{}"}}}}}
    tree = {"window": "", "quarantined_total": 0, "doubtful_total": 0, "unnamed": 0, "listing": "", "refused": []}
    return {
        "inventory_hostname": "campus.test",
        "group_names": ["chamilo"],
        "groups": {"chamilo": ["campus.test"]},
        "hostvars": {},
        "ansible_check_mode": False,
        "__chamilo_common_info": {"site": site(web), "environment_kept": []},
        "__chamilo_https_vhost": {},
        "__chamilo_passwords_seen": rules,
        "__chamilo_permissions_tree": tree,
        "__chamilo_permissions_environment": {"consequences": []},
        "__chamilo_brute_force_filter": {"log": {"proxies": []}, "content": "[Definition]"},
        "__chamilo_brute_force_armed": {"changed": False},
    }


def doings(role: str, waived: list[str], web: str = "nginx") -> str:
    """What a role would ask its modules to do, as a text."""
    loader = DataLoader()
    loader.set_basedir(str(ROLES / role))
    variables = given(web)
    for name in ("common", role):
        for part in ("defaults", "vars"):
            variables |= loader.load_from_file(str(ROLES / name / part / "main.yml"), trusted_as_template=True)
    waiver = {"reason": "A test.", "owner": "Ada", "until": "2999-12-31"}
    variables |= {
        "chamilo_level": "consider",
        "chamilo_waivers": [{**waiver, "control": control} for control in waived],
        "ansible_search_path": [str(ROLES / role)],
    }
    templar = Templar(loader, variables=variables)
    done = []

    def perform(tasks: list[dict[str, Any]]) -> None:
        for task in tasks:
            conditions = task.get("when", [])
            for condition in conditions if isinstance(conditions, list) else [conditions]:
                if not templar.template(trust_as_template("{{ (" + str(condition) + ") | bool }}")):
                    break
            else:
                if "block" in task:
                    perform(task["block"])
                    continue
                included = task.get("ansible.builtin.include_tasks", "")
                if included in ("enforce.yml", "configure.yml", "prepare.yml"):
                    perform(loader.load_from_file(str(ROLES / role / "tasks" / included), trusted_as_template=True))
                    continue
                loop = templar.template(task.get("loop", [None]))
                for item in loop:
                    templar.available_variables = {**variables, "item": item}
                    done.append({key: templar.template(value) for key, value in task.items() if "." in key})
                templar.available_variables = variables

    perform(loader.load_from_file(str(ROLES / role / "tasks" / "main.yml"), trusted_as_template=True))
    return json.dumps(done)


if __name__ == "__main__":
    init_plugin_loader()
    json.dump([doings(*each) for each in json.load(sys.stdin)], sys.stdout)
