"""No secret is exposed: a test value in each place where one can stand, and a check of all that a run leaves."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.plugin_utils._preflight import PLAYBOOK_VARIABLES, specs
from tests.hosts.hardening import CERTIFICATE, Playbook
from tests.testbed import authority, mail
from tests.testbed.hosts import Host

ROOT = "/var/www/chamilo"
LEAK = "canary-leak-000000"  # let out by the test itself, to see that it would be found
# By the place it stands in. Each has a word of its own, so that a failure shows which one came out.
CANARIES = {
    "APP_SECRET": "canary-apple-5f71c2",
    "MAILER_DSN": "canary-plum-8ad301",
    "AWS_S3_STORAGE_SECRET": "canary-fig-77be1d",
    "database password": "Canary-Quince-1-c0ffee",
    "a setting of the portal": "canary-cherry-913bd0",
    "a password's hash": "canary-olive-4411ab",
    "a second factor": "canary-date-20c9ef",
    "an API token": "canary-lime-60dd17",
    "a remembered login": "canary-grape-3e3e3e",
    "LDAP configuration": "canary-pear-d2d2d2",
}
# For each variable whose argument specification has no_log, a word that is found again wherever its value goes.
VARIABLES = {
    "chamilo_alert_webhook": "canary-melon-aa55aa",
    "chamilo_backups_environment": "canary-kiwi-e1e1e1",
    "chamilo_backups_offsite_repository": "canary-lemon-4c4c4c",
    "chamilo_backups_password": "canary-mango-52b52b",
    "chamilo_database_admin_password": "Canary-Peach-1-90f0f0",
    "chamilo_monitoring_smtp_password": "canary-papaya-7d7d7d",
    "chamilo_sessions_redis_password": "canary-quince-0b0b0b",  # used in test_shared.py, where there is a Redis
}


def secrets() -> dict[str, Any]:
    """These variables, as an administrator gives them, and what it takes for them to be used."""
    word = VARIABLES
    return {
        "chamilo_alert_mail": "admin@school.example",
        "chamilo_alert_webhook": f"https://127.0.0.1:1/{word['chamilo_alert_webhook']}",
        "chamilo_backups_environment": {
            "AWS_ACCESS_KEY_ID": "campus",
            "AWS_SECRET_ACCESS_KEY": word["chamilo_backups_environment"],
        },
        # The web server of the host answers 404.
        "chamilo_backups_offsite_repository": (
            f"rest:http://campus:{word['chamilo_backups_offsite_repository']}@127.0.0.1/x"
        ),
        "chamilo_database_admin_user": "keeper",
        "chamilo_database_admin_password": word["chamilo_database_admin_password"],
        "chamilo_monitoring_smtp_host": mail.NAME,
        "chamilo_monitoring_smtp_user": "campus",
        "chamilo_monitoring_smtp_password": word["chamilo_monitoring_smtp_password"],
        "chamilo_sessions_redis_password": word["chamilo_sessions_redis_password"],
    }


SQL = """
ALTER USER 'chamilo'@'%' IDENTIFIED BY '{0[database password]}';
CREATE USER keeper@'%' IDENTIFIED BY '{0[chamilo_database_admin_password]}';
GRANT ALL ON *.* TO keeper@'%' WITH GRANT OPTION;
INSERT INTO settings (access_url, variable, category, selected_value, title, access_url_changeable)
  VALUES (1, 'mailer_dsn', 'mail', 'smtp://ada:{0[a setting of the portal]}@mail.test', '', 1);
UPDATE user SET password = '{0[a password's hash]}' WHERE username = 'student05';
UPDATE user SET api_token = '{0[an API token]}', mfa_secret = '{0[a second factor]}' WHERE username = 'student06';
INSERT INTO validation_token (type, resource_id, hash, created_at)
  VALUES (3, 11, '{0[a remembered login]}', NOW());
"""
WATCH = "while :; do cat /proc/[0-9]*/cmdline; sleep 0.05; done 2>/dev/null >/root/seen\n"


def plant(host: Host) -> dict[str, str]:
    """The words to search for, with those of keys and passphrases that are there already."""
    found = {**CANARIES, **VARIABLES}
    host.run(["mariadb", "chamilo"], data=SQL.format(found))
    for variable in ("APP_SECRET", "MAILER_DSN", "AWS_S3_STORAGE_SECRET"):
        host.run(f"sed -i '/^{variable}=/d' {ROOT}/.env && echo '{variable}={CANARIES[variable]}' >>{ROOT}/.env")
    password = CANARIES["database password"]
    host.run(f"sed -i '/^DATABASE_PASSWORD=/d' {ROOT}/.env && echo 'DATABASE_PASSWORD={password}' >>{ROOT}/.env")
    host.put(f"{ROOT}/config/authentication.yaml", f"# ldap: {CANARIES['LDAP configuration']}\nparameters: {{}}\n")
    host.run("rm -rf /var/www/chamilo/var/cache/* && systemctl restart 'php*-fpm.service'")
    assert host.wait(f"http://{host.domain}/login").status == 200, "it works with its new password"
    # The second line of a key is as good as a test value.
    for place, path in (
        ("certificate key", CERTIFICATE["chamilo_https_certificate_key_file"]),
        ("JWT key", f"{ROOT}/config/jwt/private.pem"),
    ):
        found[place] = host.run(["sed", "-n", "3p", path]).stdout.strip()
    return found


def watch(host: Host) -> None:
    """From now on, write down what every process was called with."""
    host.put("/root/watch", WATCH, "0700")
    host.run("systemd-run --quiet --unit=watch sh /root/watch")


def watched(host: Host) -> dict[str, str]:
    """What was written down, and the journal with all fields of each entry, and all other logs."""
    host.run("systemctl stop watch")
    seen = {"the process list": host.run("tr '\\0' ' ' </root/seen").stdout}
    host.run("rm /root/seen")
    seen["the journal"] = host.run("journalctl --no-pager -o export | tr -dc '[:print:]\\n'").stdout
    # One file for all: what is searched for stands in one line, and with its line the file is named.
    seen["/var/log"] = host.run("grep -rasH . /var/log --exclude-dir=journal", check=False).stdout
    return seen


def readable(host: Host, words: Iterable[str]) -> list[str]:
    """Files with one of the words that an ordinary account can read."""
    host.put("/root/words", "\n".join(words), "0600")
    found = host.run(
        "find / -xdev \\( -path /proc -o -path /sys \\) -prune -o -type f -perm /o=r -size -20M -print0"
        " | xargs -0 grep -lsF -f /root/words",
        check=False,
    ).stdout.split()
    return [path for path in found if host.run(["test", "-r", path], user="nobody", check=False).returncode == 0]


def test_what_is_let_out_is_found(fresh: Host) -> None:
    watch(fresh)
    fresh.put("/etc/leak", LEAK)
    fresh.put("/etc/kept", LEAK, "0640")
    fresh.run(f"logger {LEAK}; systemd-run --quiet sh -c 'sleep 3; : {LEAK}'; sleep 2")
    assert [where for where, text in watched(fresh).items() if LEAK in text] == ["the process list", "the journal"]
    assert readable(fresh, [LEAK]) == ["/etc/leak"]


def test_each_variable_with_a_secret_has_a_test_value() -> None:
    known = [option for spec in (*specs().values(), PLAYBOOK_VARIABLES) for option in spec.items()]
    secret = {name for name, option in known if option.get("no_log")}
    assert set(VARIABLES) == {name for name in secret if not name.startswith("chamilo_setup_")}  # those: test_setup.py


@pytest.mark.usefixtures("sink")  # a server that takes the mail
def test_no_secret_is_exposed(fresh: Host, playbook: Playbook, monkeypatch: pytest.MonkeyPatch) -> None:
    canaries = plant(fresh)
    assert all(len(word) > 12 for word in canaries.values()), canaries
    watch(fresh)
    monkeypatch.setenv("ANSIBLE_LOG_PATH", str(playbook.directory / "ansible.log"))
    seen: dict[str, str] = {}

    def run(name: str, *options: str, **variables: Any) -> None:
        # On its command line the test itself hands the variables to Ansible.
        output = playbook.run(name, fresh, "-vvvv", "--diff", *options, **secrets(), **variables).output
        seen[f"the output of {name} {' '.join(options)}"] = output.partition("PLAY [")[2]

    run("harden", "--check", chamilo_backups_password=canaries["chamilo_backups_password"])
    run("harden")
    run("audit")
    run("prove", chamilo_prove_address=fresh.address, chamilo_prove_ca_file=str(authority.certificate()))
    # The key that the host made is the password from now on.
    key = canaries["the key of the backups"] = fresh.run("cat /etc/chamilo-hardening/backups-*.key").stdout.strip()
    run("harden", "--tags", "backups", chamilo_backups_password=key)
    log = (playbook.directory / "ansible.log").read_text()
    assert "PLAY RECAP" in log
    seen["ansible.log"] = log
    fresh.run("chamilo-hardening unlock student05", check=False)
    seen["chamilo-hardening status"] = fresh.run("chamilo-hardening status --json").stdout
    for path in sorted(path for path in (playbook.directory / "report").rglob("*") if path.is_file()):
        seen[str(path.relative_to(playbook.directory))] = path.read_text()
    seen |= watched(fresh)
    assert "fail2ban" in seen["the process list"], "the watcher ran"
    # What the run made itself is in them too: the passphrase of the JWT key, for example.
    passphrase = fresh.run(f"sed -n 's/^JWT_PASSPHRASE=//p' {ROOT}/.env").stdout.strip().strip("'\"")
    assert passphrase not in ("", "your_secret_passphrase")
    assert len(key) > 12
    words = {**canaries, "JWT_PASSPHRASE": passphrase}
    out = [(place, where) for place, word in words.items() for where, text in seen.items() if word in text]
    assert not out

    assert not readable(fresh, words.values())
    assert f"{ROOT}/.env" in fresh.run("grep -rlsF -f /root/words /var/www/chamilo", check=False).stdout.split()


def test_the_values_that_a_section_keeps_for_undo_are_root_s_alone(fresh: Host, playbook: Playbook) -> None:
    play = [
        {
            "hosts": "all",
            "become": True,
            "gather_facts": False,
            "tasks": [
                {"chamilo.hardening.host_program": {"request": {}}},
                {
                    "chamilo.hardening.chamilo_settings": {
                        "chamilo_root": ROOT,
                        "secret_settings": {"mail.mailer_dsn": "smtp://u:canary-mango-1@mail"},
                        "section": "passwords:x",
                    }
                },
            ],
        }
    ]
    output = playbook.run(playbook.write("settings.yml", json.dumps(play)), fresh, "-vvvv", "--diff").output
    assert "canary" not in output.partition("PLAY [")[2]
    assert "canary" not in fresh.run("chamilo-hardening undo passwords --yes").stdout
    assert fresh.run("stat -c %a /var/lib/chamilo-hardening/settings.json").stdout.strip() == "600"
