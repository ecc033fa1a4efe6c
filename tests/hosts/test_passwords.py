"""The role passwords: what a user may choose, asked of the application, on every portal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.hosts.attacks import attack
from tests.hosts.hardening import Playbook, missing_from_the_portal, sql
from tests.hosts.test_audit_data import audit, install
from tests.hosts.test_harden import changed
from tests.playbook import PlayError
from tests.testbed.app.selfcheck import PASSWORDS, Browser
from tests.testbed.hosts import Host

RULES = "password_requirements"
OURS = {"length": 12, "lowercase": 1, "uppercase": 1, "numeric": 1, "specials": 1}


def change(host: Host, new: str, portal: str = "") -> int:
    """What the application answers to a new password, which is changed back."""
    student = Browser(f"http://{portal or host.domain}", host.address)
    assert student.login("student01", PASSWORDS["student01"]).status == 200
    old = PASSWORDS["student01"]
    answer = student.post_json("/account/change-password", current_password=old, new_password=new)
    if answer.status == 200 and new != old:
        assert student.post_json("/account/change-password", current_password=new, new_password=old).status == 200
    return answer.status


def stored(host: Host, variable: str) -> list[tuple[str, str, str]]:
    """Portal, value, and whether other portals may differ."""
    columns = "access_url, selected_value, access_url_changeable"
    text = sql(host, f"SELECT {columns} FROM settings WHERE variable = '{variable}' ORDER BY access_url;")
    rows = (line.split("\t") for line in text.splitlines())
    return [(portal, value, changeable) for portal, value, changeable in rows]


@pytest.fixture
def alone(playbook: Playbook) -> str:
    """A user's own play that takes this role alone."""
    role = {"name": "Set the rules", "ansible.builtin.include_role": {"name": "chamilo.hardening.passwords"}}
    play = {"hosts": "all", "become": True, "gather_facts": False, "tasks": [role]}
    return playbook.write("site.yml", json.dumps([play]))


SECOND = "second.test"


def add_portal(host: Host) -> None:
    """A second portal under a name of its own, with weaker rules of its own."""
    site = host.run(
        "ls /etc/nginx/sites-enabled/* /etc/apache2/sites-enabled/* 2>/dev/null | xargs grep -l campus.test"
    )
    (path,) = site.stdout.split()
    name = {"nginx": "s/server_name campus.test;/server_name campus.test second.test;/"}
    other = "s/ServerName campus.test/ServerName campus.test\\nServerAlias second.test/"
    host.run(["sed", "-i", name.get(host.web, other), host.run(["readlink", "-f", path]).stdout.strip()])
    host.run({"nginx": "systemctl restart nginx", "apache": "systemctl restart apache2"}[host.web])
    sql(
        host,
        "INSERT INTO access_url (id, url, description, active, created_by, tms) VALUES"
        f" (2, 'http://{SECOND}/', 'Second', 1, 1, NOW());"
        "INSERT INTO access_url_rel_user (access_url_id, user_id) SELECT 2, id FROM user;"
        "INSERT INTO settings (access_url, variable, category, selected_value, title, access_url_changeable) VALUES"
        " (2, 'check_password', 'security', 'false', '', 1), (2, 'password_requirements', 'security', '', '', 1);",
    )
    assert host.wait(f"http://{SECOND}/login").status == 200


def test_weak_passwords_are_refused_on_every_portal(fresh: Host, playbook: Playbook, alone: str) -> None:
    add_portal(fresh)
    install(fresh)
    portals = (fresh.domain, SECOND)
    # Rules for the main portal alone leave the other one open.
    sql(fresh, "UPDATE settings SET selected_value = 'true' WHERE variable = 'check_password' AND access_url = 1;")
    assert [change(fresh, "ab", portal) for portal in portals] == [400, 200]
    sql(fresh, "UPDATE settings SET selected_value = 'false' WHERE variable = 'check_password';")
    assert attack(fresh, ["passwords_length"])["passwords_length"].status == "fail"
    before = sql(fresh, "SELECT * FROM settings ORDER BY id;")

    # Every role puts the host program in place first.
    ours = {"common : Install the host program", "passwords : Require long and mixed passwords on every portal"}
    assert changed(playbook.run(alone, fresh, "--check", "--diff").output) == ours
    assert sql(fresh, "SELECT * FROM settings ORDER BY id;") == before
    assert changed(playbook.run(alone, fresh).output) == ours
    for portal in portals:
        assert change(fresh, "short-Pw-12", portal) == 400, "eleven characters"
        assert change(fresh, "only-lower-case-12", portal) == 400
        assert change(fresh, "Long-enough-12!", portal) == 200
    assert attack(fresh, ["passwords_length"])["passwords_length"].status == "pass"
    found = audit(fresh, "passwords")
    assert {name: status for name, status in found.status.items() if status != "pass"} == {"passwords_expiry": "fail"}
    rules = json.loads(stored(fresh, RULES)[0][1])
    assert rules == {"min": OURS}
    assert [(portal, changeable) for portal, _value, changeable in stored(fresh, RULES)] == [("1", "0"), ("2", "1")]
    assert missing_from_the_portal(fresh, "http") == []
    assert playbook.run(alone, fresh).changed[fresh.domain] == 0


def rule(host: Host) -> dict[str, int]:
    found: dict[str, int] = json.loads(stored(host, RULES)[0][1])["min"]
    return found


def test_waivers_level_and_declared_values_count(fresh: Host, playbook: Playbook, alone: str) -> None:
    strict = json.dumps({"min": {"length": 9, "lowercase": 0, "uppercase": 2, "numeric": 1, "specials": 1}})
    sql(fresh, f"UPDATE settings SET selected_value = '{strict}' WHERE variable = '{RULES}';")
    waiver: dict[str, Any] = {"reason": "old clients", "owner": "Ada", "until": "2099-12-31"}

    length = {**waiver, "control": "passwords_length"}
    playbook.run(alone, fresh, chamilo_waivers=[length])
    assert rule(fresh) == {"length": 9, "lowercase": 1, "uppercase": 2, "numeric": 1, "specials": 1}
    assert stored(fresh, "check_password")[0][1] == "true"
    assert stored(fresh, "password_rotation_days")[0][1] == "0"

    playbook.run(alone, fresh, chamilo_passwords_minimum_length=14, chamilo_level="consider")
    assert rule(fresh)["length"] == 14
    assert stored(fresh, "password_rotation_days")[0][1] == "365"
    sql(fresh, "UPDATE settings SET selected_value = '90' WHERE variable = 'password_rotation_days';")
    assert playbook.run(alone, fresh, chamilo_level="consider").changed[fresh.domain] == 0, "nothing is made weaker"
    sql(fresh, "UPDATE settings SET selected_value = '365' WHERE variable = 'password_rotation_days';")

    sql(fresh, "UPDATE settings SET selected_value = 'false' WHERE variable = 'check_password';")
    every = [{**waiver, "control": f"passwords_{name}"} for name in ("length", "mix", "enforced", "expiry")]
    playbook.run(alone, fresh, chamilo_waivers=every, chamilo_passwords_rotation_days=90)
    assert rule(fresh) == json.loads(strict)["min"], "what was there before the collection came is back"
    assert stored(fresh, "password_rotation_days")[0][1] == "0"
    assert stored(fresh, "check_password")[0][1] == "false", "what was changed since stays"
    again = playbook.run(alone, fresh, chamilo_waivers=every, chamilo_passwords_rotation_days=90)
    assert again.changed[fresh.domain] == 0

    playbook.run(alone, fresh, chamilo_passwords_rotation_days=90)
    assert stored(fresh, "password_rotation_days")[0][1] == "90"
    with pytest.raises(PlayError, match="Invalid value for chamilo_passwords_minimum_length: 4. Valid: "):
        playbook.run(alone, fresh, chamilo_passwords_minimum_length=4)


@pytest.mark.long
def test_an_override_that_weakens_the_rules_is_brought_in_line(fresh: Host, playbook: Playbook, alone: str) -> None:
    path = "/var/www/chamilo/config/settings_overrides.yaml"
    text = (
        "# mine\nparameters:\n    settings_overrides:\n        default:\n            security.check_password: 'false'\n"
    )
    fresh.put(path, text, mode="0640", owner="root:www-data")
    fresh.run(["php", "/var/www/chamilo/bin/console", "cache:clear"], user="www-data")
    assert change(fresh, "ab") == 200
    playbook.run(alone, fresh)
    assert change(fresh, "short-Pw-12") == 400
    assert fresh.get(path) == text.replace("'false'", "'true'")
    assert playbook.run(alone, fresh).changed[fresh.domain] == 0
