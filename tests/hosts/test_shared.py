"""What the web nodes of one portal have in common: the secrets of the application, and sessions in Redis or Valkey.

Each node has a database of its own here, which the sections of these tests do not read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from ansible_collections.chamilo.hardening.plugins.module_utils._application.dotenv import parse_text
from tests.hosts.hardening import changed
from tests.hosts.test_sessions import logged_in
from tests.playbook import Played, PlayError, play
from tests.testbed import authority, hosts, images
from tests.testbed.app.selfcheck import PASSWORDS, Browser
from tests.testbed.hosts import Host

pytestmark = pytest.mark.long

DOMAIN = "campus.test"
PROJECT = "/var/www/chamilo"
NODES = ("web1", "web2")
SECRETS = ("APP_SECRET", "JWT_PASSPHRASE")


@dataclass
class Nodes:
    """Two web nodes, and where their inventory lies."""

    network: str
    directory: Path
    hosts: dict[str, Host] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def up(self) -> Nodes:
        hosts.make_network(self.network)
        for name in NODES:
            self.hosts[name] = node = Host(name, self.network, state="sloppy")
            node.create(images.image("trixie", "nginx"), hosts.first_boot(node))
            node.run(
                f"sed -i 's/{node.domain}/{DOMAIN}/g' /etc/nginx/sites-available/chamilo && systemctl reload nginx"
            )
            node.run(["mariadb", "chamilo"], data=f"UPDATE access_url SET url = 'http://{DOMAIN}/';")
            node.wait(f"http://{DOMAIN}/")
        return self

    def run(self, *options: str, away: str = "", **variables: object) -> Played:
        nodes = {name: self[name].quick_inventory() for name in NODES}
        if away:
            nodes[away] |= {"ansible_host": "unused.invalid"}
        common = {"chamilo_domain": DOMAIN, **variables}
        path = self.directory / "hosts.yml"
        path.write_text(yaml.safe_dump({"chamilo": {"hosts": nodes, "vars": common}}))
        return play("harden", path, "--diff", "-vvv", *options)

    def secrets(self) -> dict[str, list[str]]:
        """Of each node, with the public half that belongs to its private one."""
        found = {}
        for name in NODES:
            text = parse_text(self[name].get(f"{PROJECT}/.env"), ".env")
            half = self[name].run(
                f"openssl pkey -in {PROJECT}/config/jwt/private.pem -passin stdin -pubout",
                data=text["JWT_PASSPHRASE"] + "\n",
            )
            assert half.stdout == self[name].get(f"{PROJECT}/config/jwt/public.pem")
            found[name] = [*(text[secret] for secret in SECRETS), half.stdout]
        return found


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    network = f"chamilo-test-{os.getpid()}-shared"
    yield Nodes(network, tmp_path_factory.mktemp("shared")).up()
    hosts.down(network)


def test_secrets_are_generated_once_and_the_others_take_them(nodes: Nodes) -> None:
    before = nodes.secrets()
    assert before["web1"][:2] == before["web2"][:2], "published ones"
    with pytest.raises(PlayError) as failed:
        nodes.run("--tags", "permissions", away="web2")
    first = str(failed.value)
    one = nodes.secrets()
    assert one["web2"] == before["web2"] and not set(one["web1"]) & set(before["web1"])
    second = nodes.run("--tags", "permissions")
    both = nodes.secrets()
    assert both["web1"] == both["web2"] == one["web1"]
    third = nodes.run("--tags", "permissions")
    assert third.changed == dict.fromkeys(NODES, 0), changed(third.output)
    for output in (first, second.output, third.output):
        assert not [value for value in (*both["web1"][:2], "PRIVATE KEY-----\\n") if value in output]
    for name in NODES:
        nodes[name].wait(f"http://{DOMAIN}/")
    # The leader got secrets of another portal, such as by a restored disk: it takes what the others have.
    nodes["web1"].run(f"sed -i 's/^APP_SECRET=.*/APP_SECRET={before['web1'][0]}/' {PROJECT}/.env")
    nodes.run("--tags", "permissions")
    assert nodes.secrets() == both


PASSWORD = "Canary1'quince;%&$x"
SESSIONS = {"chamilo_sessions_handler": "redis", "chamilo_sessions_redis_password": PASSWORD}
CONFIGURATION = """
port 0
tls-port 6379
bind 0.0.0.0
protected-mode no
tls-cert-file /etc/redis/redis.pem
tls-key-file /etc/redis/redis.pem
tls-auth-clients no
aclfile /etc/redis/users.acl
"""
RIGHTS = "resetchannels -@all +get +set +setex +expire +del +unlink +exists +eval +evalsha"
FILE = "/etc/php/8.4/fpm/conf.d/91-chamilo-campus_test-sessions.ini"


@dataclass(frozen=True)
class Store:
    """Debian's redis-server or valkey-server on a host, as the role's page has it."""

    host: Host
    kind: str = "redis"

    def set_up(self) -> None:
        chain, key = authority.issue(self.host.domain)
        self.host.put(f"/etc/{self.kind}/{self.kind}.pem", chain + key, "0644")
        self.host.run(f"cat >>/etc/{self.kind}/{self.kind}.conf", data=CONFIGURATION.replace("redis", self.kind))

    def allow(self, any_client: str) -> None:
        """``any_client``: what one without a password may do."""
        lines = [f"user default {any_client}", f"user chamilo on >{PASSWORD} ~chamilo-campus_test:* {RIGHTS}", ""]
        self.host.put(f"/etc/{self.kind}/users.acl", "\n".join(lines), "0644")
        self.host.run(f"systemctl restart {self.kind}-server")


@pytest.fixture(params=["redis", "valkey"])
def store(nodes: Nodes, request: pytest.FixtureRequest) -> Store:
    made = Host(request.param, nodes.network, state="empty")
    script = images.APT.format(packages=f"{request.param}-server")
    made.create(images.layer(request.param, images.base("trixie"), script), hosts.first_boot(made))
    store = Store(made, request.param)
    store.set_up()
    return store


def test_sessions_of_all_nodes_are_in_one_place(nodes: Nodes, store: Store) -> None:
    there = {**SESSIONS, "chamilo_sessions_redis_host": store.host.domain}
    visitors = [Browser(f"http://{DOMAIN}", nodes[name].address) for name in NODES]

    def log_in() -> list[bool]:
        """Log in on one node, and check on which nodes that counts."""
        visitors[0].cookies.clear()
        visitors[0].post_json("/login_json", username="student01", password=PASSWORDS["student01"])
        visitors[1].cookies = visitors[0].cookies
        return [logged_in(visitor) for visitor in visitors]

    assert log_in() == [True, False]
    store.allow("on nopass ~* +@all")
    with pytest.raises(
        PlayError, match=rf"Redis at {store.host.name}\.test:6379 answers clients without a password"
    ) as refused:
        nodes.run("--tags", "sessions", **there)
    assert log_in() == [True, False]
    assert nodes["web1"].run(["test", "-e", FILE], check=False).returncode == 1
    store.allow("off")
    first = nodes.run("--tags", "sessions", **there)
    assert log_in() == [True, True]
    again = nodes.run("--tags", "sessions", **there)
    assert again.changed == dict.fromkeys(NODES, 0), changed(again.output)
    for output in (str(refused.value), first.output, again.output):
        assert PASSWORD not in output and "Canary1" not in output
    assert nodes["web1"].run(["stat", "-c", "%a %U", FILE]).stdout == "600 root\n"
    nodes["web1"].run("chamilo-hardening undo sessions --yes")
    nodes["web2"].run("chamilo-hardening undo sessions --yes")
    assert log_in() == [True, False]
