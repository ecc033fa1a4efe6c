"""Two portals in one inventory, one of them with two web nodes behind a load balancer that visitors use meanwhile.

The tests come in this order: each goes on with the hosts as the one before left them.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hosts.hardening import changed
from tests.hosts.load_balancer import Visitors
from tests.hosts.test_brute_force import ATTEMPTS, Attacker, banned
from tests.hosts.test_monitoring import DEMOTE, PROMOTE, titles
from tests.hosts.test_proxy import REFUSED, guess, knock
from tests.hosts.test_sessions import logged_in
from tests.hosts.test_shared import SESSIONS, Store
from tests.hosts.test_update import HISTORY, MARK, VERSIONS, checksum, file_of_version, installed, package
from tests.hosts.topology import DOMAIN, PROJECT, WEB, Topology
from tests.playbook import ROOT, PlayError, play
from tests.testbed import authority, hosts, mail
from tests.testbed.app.selfcheck import PASSWORDS, Browser
from tests.testbed.mail import HOOK

pytestmark = pytest.mark.long

# A hook after which the power of the first node fails.
KILLED = """
- ansible.builtin.include_tasks: {drain}
- ansible.builtin.shell: (sleep 6; docker kill {container}) >/dev/null 2>&1 &
  delegate_to: localhost
  become: false
  when: inventory_hostname == "web1"
"""
# Of a package: who made its migration, and what it needs of PHP.
MADE = (
    "CREATE TABLE made (node VARCHAR(99))",
    "INSERT INTO made VALUES (USER())",
)
NEEDY = (
    "class Kernel",
    "\\extension_loaded('exif') || throw new \\RuntimeException('exif is missing');\n\nclass Kernel",
)
ACCESS_LOG = "/var/log/nginx/access.log"
LOCK = 10  # failed logins after which an account is locked
NODES = (*WEB, "store", "library", "shelf")
RESTART = 2.0  # seconds for which the database may be away, where its address or its certificate changes


@pytest.fixture(scope="module")
def topology(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    network = f"chamilo-test-{os.getpid()}-nodes"
    directory = tmp_path_factory.mktemp("nodes")
    recipes = (ROOT / "docs/recipes.md").read_text()
    for name, text in zip(("drain", "undrain"), hooks(recipes)):
        (directory / f"{name}.yml").write_text(text)
    yield Topology(network, directory).up()
    hosts.down(network)


def hooks(recipes: str) -> list[str]:
    """The task files of the recipe for HAProxy, for the load balancer of these tests."""
    blocks = re.findall(r"(?<=\n\n)(?: {4}.*\n)+", recipes)
    found = [re.sub("^ {4}", "", block, flags=re.M) for block in blocks if "run/haproxy/admin.sock" in block]
    assert len(found) == 2
    return [block.replace("balancer.internal", "campus") for block in found]


def recipe(topology: Topology, words: str, **names: str) -> str:
    """The play that docs/recipes.md has behind these words, with the names of these tests."""
    block = re.findall(r"(?<=\n\n)(?: {4}.*\n)+", (ROOT / "docs/recipes.md").read_text().partition(words)[2])[0]
    for name, ours in {"chamilo_web": "campus_web", **names}.items():
        assert name in block
        block = block.replace(name, ours)
    path = topology.directory / "recipe.yml"
    path.write_text(re.sub("^ {4}", "", block, flags=re.M))
    return str(path)


def failing(topology: Topology, playbook: str, *options: str, **variables: Any) -> str:
    """What a run prints that does not succeed."""
    with pytest.raises(PlayError) as stopped:
        topology.run(playbook, *options, **variables)
    return " ".join(str(stopped.value).split())


def generated(topology: Topology, name: str) -> dict[str, str]:
    """The files of ours on a node, but for those of the backups: the leader has them, and its own password."""
    script = (
        "grep -rlsI 'chamilo.hardening\\|Managed by Ansible' /etc /usr/local /var/www/chamilo/config | sort |"
        " xargs sha256sum"
    )
    lines = topology[name].run(script).stdout.splitlines()
    found = {path: digest for digest, path in (line.split(maxsplit=1) for line in lines)}
    return {path: digest for path, digest in found.items() if "backup" not in path}


def report_of(topology: Topology) -> dict[str, dict[str, str]]:
    """Of each host the status of each control."""
    report = json.loads((topology.directory / "report/report.json").read_text())
    return {host["name"]: {row["id"]: row["status"] for row in host["controls"]} for host in report["hosts"]}


def test_a_portal_is_hardened_while_it_is_used(topology: Topology) -> None:
    # Each node is out of service while it is changed: only the restart of the database is seen.
    with Visitors(topology.address) as visitors:
        first = topology.run("harden")
    assert visitors.asked > 100
    assert [one for one in visitors.failed if one[0] - visitors.failed[0][0] > RESTART] == [], visitors.failed
    assert all(first.changed[name] for name in (*WEB, "store")), first.changed
    with Visitors(topology.address) as visitors:
        again = topology.run("harden")
    assert again.changed == dict.fromkeys(NODES, 0), changed(again.output)
    assert visitors.failed == []
    one, other = (generated(topology, name) for name in WEB)
    assert one == other and one
    # What is done once is done by the leader alone.
    jobs = [topology[name].run("cat /etc/cron.d/chamilo-* 2>/dev/null", check=False).stdout for name in WEB]
    assert ["chamilo-hardening backup" in lines for lines in jobs] == [True, False]
    topology.run("audit")
    status = report_of(topology)
    assert set(status) == set(NODES)
    assert {name for name, rows in status.items() if rows["headers_nosniff"] == "pass"} == {*WEB, "library"}
    assert {name for name, rows in status["store"].items() if rows not in ("not_applicable", "people")} <= {
        "database_bind",
        "database_audit_log",
    }


def test_a_node_that_lost_its_headers_is_red_and_no_other(topology: Topology) -> None:
    file = "/etc/nginx/sites-available/chamilo-campus_test.d/headers.conf"
    topology["web2"].run(f"cp {file} /root/headers.conf && echo >{file} && systemctl reload nginx")
    topology.run("audit")
    status = report_of(topology)
    assert {name for name, rows in status.items() if rows["headers_nosniff"] == "fail"} == {"web2"}
    topology["web2"].run(f"cp /root/headers.conf {file} && systemctl reload nginx")


def test_a_section_is_undone_on_one_node_after_the_other_and_no_request_fails(topology: Topology) -> None:
    path = recipe(topology, "such as an undo")
    with Visitors(topology.address) as visitors:
        play(path, topology.inventory())
    assert visitors.asked > 20 and visitors.failed == []
    for name in WEB:
        output = topology[name].run("chamilo-hardening status").stdout
        assert not re.search(r"^ +headers:", output, re.MULTILINE), output
    with Visitors(topology.address) as visitors:
        again = topology.run("harden")
    assert visitors.failed == []
    assert all(again.changed[name] for name in WEB)
    assert [again.changed[name] for name in NODES if name not in WEB] == [0, 0, 0], changed(again.output)


def test_a_database_comes_back_from_its_backup_and_no_request_fails(topology: Topology) -> None:
    topology["web1"].run("chamilo-hardening backup")
    topology["store"].run(
        ["mariadb", "-e", "GRANT ALL ON *.* TO keeper@'%' IDENTIFIED BY 'kept-for-a-test' WITH GRANT OPTION"]
    )
    topology["store"].run(
        ["mariadb", "chamilo"], data="UPDATE settings SET title = 'mislaid' WHERE variable = 'platform_language';"
    )
    login = {"chamilo_database_admin_user": "keeper", "chamilo_database_admin_password": "kept-for-a-test"}
    with Visitors(topology.address) as visitors:
        topology.run("restore", "--limit", "web1", chamilo_restore="database", chamilo_restore_confirm="web1", **login)
    topology["store"].run(["mariadb", "-e", "DROP USER keeper@'%'"])
    assert visitors.asked > 20 and visitors.failed == []
    assert "mislaid" not in topology["store"].run(["mariadb", "chamilo", "-e", "SELECT title FROM settings"]).stdout
    again = topology.run("harden")
    assert again.changed == dict.fromkeys(NODES, 0), changed(again.output)


def older(topology: Topology) -> None:
    """The portal with the program of the version before, and the migrations that were made until then."""
    old, new = VERSIONS["2.0"]
    for name in WEB:
        topology[name].run(
            f"""
            set -e
            cd {PROJECT}
            if [ ! -e /root/older.tar ]; then
                sed -i s/{new}/{old}/ {file_of_version("2.0")}
                tar --exclude=./var -cf /root/older.tar .
            fi
            # The first time as well: in an image's own directories nothing can change places.
            find . -mindepth 1 -maxdepth 1 ! -name var -exec rm -r {{}} +
            tar -xpf /root/older.tar
            rm -rf var/cache/prod
            systemctl reload 'php*-fpm'
            """
        )
    before = "DELETE FROM version; DROP TABLE IF EXISTS made; ALTER TABLE course DROP COLUMN IF EXISTS marked;"
    login = "GRANT ALL ON *.* TO keeper@'%' IDENTIFIED BY 'kept-for-a-test' WITH GRANT OPTION;"
    topology["store"].run(["mariadb", "chamilo"], data=f"{before}{HISTORY};{login}")
    known = "[client]\nuser = keeper\npassword = kept-for-a-test\n"
    topology["web1"].put("/etc/chamilo-hardening/restore-campus_test.cnf", known, "0600")


def release(topology: Topology, name: str, kernel: tuple[str, str] = ("", "")) -> str:
    """A package that all nodes have, as the command takes it."""
    leader = topology["web1"]
    path = package(leader, "2.0", name, MARK, *MADE, kernel=kernel)
    topology["web2"].run(f"base64 -d >{path}", data=leader.run(f"base64 {path}").stdout)
    return f"{path} --sha256 {checksum(leader, path)}"


def update(topology: Topology, words: str) -> str:
    """The play of the recipe for a package."""
    names = {"web1.internal": "web1", "/root/chamilo-3.0.2.zip --sha256 SUM": words}
    return recipe(topology, "### With several web nodes", **names)


def versions(topology: Topology) -> list[str]:
    return [installed(topology[name], "2.0") for name in WEB]


def program(topology: Topology, name: str) -> list[str]:
    """The files of the portal on a node, with owner and mode, but for uploads, logs and caches.

    Not in it is what each node has of its own: the account in .env.
    """
    listed = "-type f ! -name .env -printf '%p %u:%g %m\\n' -exec sha256sum {} +"
    return sorted(topology[name].run(f"cd {PROJECT} && find . -path ./var -prune -o {listed}").stdout.split("\n"))


def migrated_by(topology: Topology) -> list[str]:
    """The host that made the migration of the package, each time it was."""
    rows = topology["store"].run(["mariadb", "-NB", "chamilo", "-e", "SELECT node FROM made"]).stdout.split()
    return [row.partition("@")[2].partition(".")[0] for row in rows]


def test_a_portal_is_updated_one_node_after_the_other_and_no_request_fails(topology: Topology) -> None:
    older(topology)
    good = release(topology, "good")
    early = topology["web2"].run(f"chamilo-hardening update {good} --node", check=False)
    assert early.returncode == 1 and versions(topology) == [VERSIONS["2.0"][0]] * 2
    assert f"The node that leads {DOMAIN} is not updated to {VERSIONS['2.0'][1]}" in early.stdout + early.stderr
    path = update(topology, good)
    with Visitors(topology.address) as visitors:
        play(path, topology.inventory())
    assert visitors.asked > 100 and visitors.failed == []
    assert versions(topology) == [VERSIONS["2.0"][1]] * 2
    assert migrated_by(topology) == [topology["web1"].container], "once, by the leader"
    with Visitors(topology.address) as visitors:
        topology.run("harden")
    assert visitors.failed == []
    again = topology.run("harden")
    assert again.changed == dict.fromkeys(NODES, 0), changed(again.output)
    one, other = (program(topology, name) for name in WEB)
    assert one == other and one
    assert generated(topology, "web1") == generated(topology, "web2")


def test_a_node_that_cannot_be_updated_is_named_and_the_other_one_serves(topology: Topology) -> None:
    old, new = VERSIONS["2.0"]
    older(topology)
    path = update(topology, release(topology, "needy", NEEDY))
    web2 = topology["web2"]
    web2.run("phpdismod exif && systemctl reload 'php*-fpm'")
    with Visitors(topology.address) as visitors, pytest.raises(PlayError) as stopped:
        play(path, topology.inventory())
    output = " ".join(str(stopped.value).split())
    assert "fatal: [web2]: FAILED!" in output and f"The update to {new} failed and was rolled back" in output
    assert "exif is missing" in output
    assert versions(topology) == [new, old]
    asked = ["--resolve", f"{DOMAIN}:80:127.0.0.1", "-H", "X-Forwarded-Proto: https", f"http://{DOMAIN}/login"]
    assert web2.run(["curl", "-sf", *asked]).stdout, "with the program before"
    web2.run("phpenmod exif && systemctl reload 'php*-fpm'")
    with visitors:
        play(path, topology.inventory(), "--limit", "web2")
    assert visitors.asked > 100 and visitors.failed == []
    assert versions(topology) == [new, new] and migrated_by(topology) == [topology["web1"].container]
    one, other = (program(topology, name) for name in WEB)
    assert one == other


def visitor_of(topology: Topology, node: str, **cookies: str) -> Browser:
    """A visitor with these cookies, whom the load balancer sends to this node."""
    known = {"NODE": node, **cookies}
    return Browser(f"https://{DOMAIN}", topology.address, str(authority.certificate()), cookies=known)


def crossings(topology: Topology) -> dict[str, bool]:
    """What a visitor takes from one node to the other."""
    found = {}
    student = {"username": "student01", "password": PASSWORDS["student01"]}
    visitor = visitor_of(topology, "web1")
    code = visitor.captcha()
    assert code
    visitor.cookies["NODE"] = "web2"
    found["captcha"] = visitor.post_json("/login_json", **student, captcha_code=code).status == 200
    visitor = visitor_of(topology, "web2")
    visitor.post_json("/login_json", **student, captcha_code=visitor.captcha(), _remember_me=True)
    assert logged_in(visitor)
    kept, remembered = (visitor.cookies[name] for name in ("chamilo2", "ch_remember_me"))
    found["session"] = logged_in(visitor_of(topology, "web1", chamilo2=kept))
    found["remember me"] = logged_in(visitor_of(topology, "web1", ch_remember_me=remembered))
    return found


def test_a_visitor_is_known_at_every_node(topology: Topology) -> None:
    assert crossings(topology) == {"captcha": False, "session": False, "remember me": True}
    store = Store(topology["campus"])
    store.set_up()
    store.allow("off")
    with Visitors(topology.address) as visitors:
        there = {**SESSIONS, "chamilo_sessions_redis_host": DOMAIN}
        topology.run("harden", "--tags", "sessions", of_campus=there)
    assert visitors.failed == []
    assert crossings(topology) == {"captcha": True, "session": True, "remember me": True}


def test_each_node_bans_after_its_share_and_an_account_is_locked_for_all(topology: Topology) -> None:
    balancer = topology["campus"]
    attacker = Attacker(hosts.up("attacker", state="empty", network=topology.network))
    own = attacker.host.run("ip route show default | cut -d' ' -f3").stdout.strip()  # where this test comes from
    topology.run("harden", "--tags", "brute_force", chamilo_friends=[own])
    guesser, victim = attacker.address(), "student07"
    answers = []
    for _attempt in range(2 * ATTEMPTS):
        answers.append(guess(attacker, guesser, balancer))
        time.sleep(2)  # a ban takes a second or two
    allowed = 2 * -(-ATTEMPTS // 2)
    assert set(answers[:allowed]) <= {401, 429} and set(answers[allowed:]) == {REFUSED}, answers
    assert [banned(topology[name]) for name in WEB] == [[guesser]] * 2

    # One attempt of each address, at one node after the other.
    body = json.dumps({"username": victim, "password": "wrong"})
    words = ["-H", "Content-Type: application/json", "--data-binary", body]
    active = ["mariadb", "-NB", "chamilo", "-e", f"SELECT active FROM user WHERE username = '{victim}'"]
    tried = f"grep -c authentication_token {ACCESS_LOG}"
    before = [int(topology[name].run(tried, check=False).stdout) for name in WEB]
    for _attempt in range(LOCK):
        assert topology["store"].run(active).stdout == "1\n"
        assert knock(attacker, attacker.address(), balancer, "/api/authentication_token", *words) == 401
    assert topology["store"].run(active).stdout == "0\n"
    assert [int(topology[name].run(tried).stdout) for name in WEB] == [count + LOCK // 2 for count in before]

    def let_in() -> list[bool]:
        """Whether each node takes the right password."""
        visitors = [visitor_of(topology, name) for name in WEB]
        return [visitor.login(victim, PASSWORDS["student01"]).status == 200 for visitor in visitors]

    assert let_in() == [False, False]
    topology["web2"].run(["chamilo-hardening", "unlock", victim, "--yes"])
    assert let_in() == [True, True]


def test_what_is_found_in_the_database_is_reported_once(topology: Topology) -> None:
    sink = mail.up(topology.network)
    topology.run("harden", of_campus={"chamilo_alert_webhook": HOOK})
    sink.forget()
    ask = ["mariadb", "chamilo"]
    topology["store"].run(ask, data=f"{PROMOTE}'student02';")
    for name in WEB:
        topology[name].run(["chamilo-hardening", "daily", "monitoring"], check=False)
    sent = titles(sink)
    desired = {"An unexpected administrator at campus.test", "New at campus.test, which an intruder may have left"}
    assert desired <= set(sent), sent
    assert len(sent) == len(set(sent)), sent
    topology["store"].run(ask, data=f"{DEMOTE}'student02';")


def test_a_node_that_is_misdeclared_leaves_its_portal_as_it_was_and_no_other(topology: Topology) -> None:
    topology["library"].run("chamilo-hardening undo headers --yes")
    wrong = {"chamilo_headers_csp": "{{ 'never' if inventory_hostname == 'web1' else 'report' }}"}
    output = failing(topology, "harden", "--tags", "headers", of_campus=wrong)
    assert 'web1: FAILED at "Check every variable".' in output
    assert f"Node web1 of {DOMAIN} cannot be hardened, so web2 was left as it is. Invalid value for" in output
    assert re.search(r'web2: FAILED at "[^"]+"\.(?! \d)', output), "without a change"
    assert re.search(r"library: \d+ changes?: headers", output)


def test_a_shared_disk_that_is_read_only_leaves_both_nodes_as_they_were(topology: Topology) -> None:
    for name in WEB:
        topology[name].run("mount -i -o remount,bind,ro /var/www/chamilo/var/upload")
    output = failing(topology, "harden")
    for name in WEB:
        topology[name].run("mount -i -o remount,bind,rw /var/www/chamilo/var/upload")
    assert "File system /var/www/chamilo/var/upload: read-only. Nothing can be written there." in output


def test_a_load_balancer_that_is_away_leaves_the_web_nodes_as_they_were(topology: Topology) -> None:
    topology["campus"].run("systemctl stop haproxy")
    output = failing(topology, "harden")
    topology["campus"].run("systemctl start haproxy")
    assert 'web1: FAILED at "Send visitors to the other nodes, and wait for the requests under way".' in output
    assert "Node web1 of campus.test failed in this run, so web2 was left as it is." in output


def test_a_database_that_is_away_leaves_the_web_nodes_as_they_were(topology: Topology) -> None:
    topology["store"].run("systemctl stop mariadb")
    output = failing(topology, "harden")
    topology["store"].run("systemctl start mariadb")
    assert "Database on store.test: Connection refused. The portal needs it" in output
    assert "Send visitors to the other nodes" not in output, "no node leaves the load balancer"


def test_a_node_that_is_killed_in_the_middle_stays_out_until_it_is_hardened(topology: Topology) -> None:
    for section in ("headers", "uploads"):
        for name in WEB:
            topology[name].run(f"chamilo-hardening undo {section} --yes")
    path = topology.directory / "killed.yml"
    path.write_text(KILLED.format(drain=topology.directory / "drain.yml", container=topology["web1"].container))
    with Visitors(topology.address) as visitors:
        output = failing(topology, "harden", of_campus={"chamilo_drain_tasks": str(path)})
    assert re.search(r'web1: (FAILED|no longer reachable) at "', output), output[-3000:]
    assert "Node web1 of campus.test failed in this run, so web2 was left as it is." in output
    assert "web2: left as it was: the run ended before its turn." in output or 'web2: FAILED at "' in output
    topology["web1"].restart()
    assert visitors.failed == []
    with Visitors(topology.address) as visitors:
        on = topology.run("harden")
    assert visitors.failed == []
    assert on.changed["web1"] and on.changed["web2"]
    assert topology.run("harden").changed == dict.fromkeys(NODES, 0)
    one, other = (generated(topology, name) for name in WEB)
    assert one == other
